/* What stele_store_open() is told: a URL with a known scheme, or a bare path. */
#ifndef STELE_STORE_URL_H
#define STELE_STORE_URL_H

#include <stele/spi/store.h>

#include "base/arena.h"
#include "store/backends.h"

struct stele__url {
    const struct stele__backend_entry *backend;
    const char *location;
    const struct stele_url_parameter *parameters;
    size_t parameter_count;
    struct stele_arena arena; /* owns the texts */
};

/*
 * Take a URL apart. STELE_INVALID: empty, an unknown scheme, a malformed
 * percent sequence, a parameter without name or '=' or given twice, a location
 * that is missing or not wanted. On failure nothing needs to be freed.
 */
stele_status stele__url_parse(const char *text, struct stele__url *out, stele_error **error);
void stele__url_fini(struct stele__url *url);

#endif
