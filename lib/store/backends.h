/* The backends built into the library, by the scheme of their URLs. */
#ifndef STELE_STORE_BACKENDS_H
#define STELE_STORE_BACKENDS_H

#include <stele/spi/store.h>

extern const struct stele_store_ops stele__memory_ops;
extern const struct stele_store_ops stele__sqlite_ops;

struct stele__backend_entry {
    const struct stele_store_ops *ops;
    bool has_location; /* the URL says where: "sqlite:PATH", but not "memory:" */
};

/* The backend of a scheme; NULL if there is none. */
const struct stele__backend_entry *stele__backend_find(struct stele_slice scheme);

/* The backend of a bare path. */
const struct stele__backend_entry *stele__backend_of_paths(void);

#endif
