/* A growing array of equal items; owner only. Items move when it grows. */
#ifndef STELE_BASE_VECTOR_H
#define STELE_BASE_VECTOR_H

#include <stele/base.h>

struct stele__vector {
    void *items;
    size_t count;
    size_t capacity;
    size_t item_size;
};

void stele__vector_init(struct stele__vector *vector, size_t item_size);
void stele__vector_fini(struct stele__vector *vector);
/* A new zeroed item at the end; NULL when memory is out. */
void *stele__vector_add(struct stele__vector *vector);
/* Make room for `count` items in all; false when memory is out. */
bool stele__vector_reserve(struct stele__vector *vector, size_t count);
/* The item at `index`, which must be below `count`. */
void *stele__vector_at(const struct stele__vector *vector, size_t index);
void stele__vector_truncate(struct stele__vector *vector, size_t count);

#endif
