/*
 * The one place that allocates. Blocks remember no size: whoever frees says it
 * (as C23's free_sized), which keeps the count of memory in use exact.
 */
#ifndef STELE_BASE_MEMORY_H
#define STELE_BASE_MEMORY_H

#include <stele/memory.h>

/* `size` zeroed bytes, or NULL. */
void *stele__alloc(size_t size);

/* Grow or shrink a block; memory beyond `old_size` is not cleared. NULL leaves the block as it was. */
void *stele__resize(void *memory, size_t old_size, size_t new_size);

/* Free a block of `size` bytes; NULL is allowed. */
void stele__free(void *memory, size_t size);

/* A NUL-terminated copy of a text, to be freed with stele__text_free(). NULL for NULL or when memory is out. */
char *stele__text_copy(const char *text);
char *stele__text_copy_slice(struct stele_slice text);
void stele__text_free(char *text);

/* count * size into *bytes; false if it does not fit a size_t. */
bool stele__size_multiply(size_t count, size_t size, size_t *bytes);
bool stele__size_add(size_t left, size_t right, size_t *sum);

#endif
