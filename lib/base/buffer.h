/*
 * A growing run of bytes. Appending never fails at once: when memory runs out,
 * or `limit` would be passed, the buffer becomes `failed` and ignores what
 * follows, so a writer checks once at its end with stele__buffer_finish().
 */
#ifndef STELE_BASE_BUFFER_H
#define STELE_BASE_BUFFER_H

#include <stele/base.h>
#include <stele/error.h>

#include <string.h>

#include "base/memory.h"

struct stele__buffer {
    char *data;
    size_t size;         /* bytes written */
    size_t capacity;     /* bytes of `data` */
    bool is_lent;        /* `data` is the caller's memory, not allocated */
    size_t limit;        /* most bytes it may hold; 0 = no limit */
    size_t refused;      /* bytes that were to follow after the limit was passed */
    stele_status failed; /* STELE_OK, STELE_NO_MEMORY or STELE_LIMIT */
};

static inline void stele__buffer_init(struct stele__buffer *buffer)
{
    *buffer = (struct stele__buffer){.data = NULL};
}
/* A buffer that writes into `memory` of the caller, who keeps it as long as the buffer, and allocates beyond it. */
static inline void stele__buffer_init_on(struct stele__buffer *buffer, char *memory, size_t size)
{
    *buffer = (struct stele__buffer){.data = memory, .capacity = size, .is_lent = true};
}
static inline void stele__buffer_fini(struct stele__buffer *buffer)
{
    if (!buffer->is_lent)
        stele__free(buffer->data, buffer->capacity);
    stele__buffer_init(buffer);
}
/* Forget the content (and the failure), keep the memory. */
void stele__buffer_reset(struct stele__buffer *buffer);

/* The part of stele__buffer_extend() that needs more memory, or must refuse. */
char *stele__buffer_grow(struct stele__buffer *buffer, size_t size);

/* Room for `size` more bytes to be written by the caller, counted as written; NULL if the buffer failed. */
static inline char *stele__buffer_extend(struct stele__buffer *buffer, size_t size)
{
    char *place;

    if (buffer->failed || size >= buffer->capacity - buffer->size ||
        (buffer->limit && buffer->size + size > buffer->limit))
        return stele__buffer_grow(buffer, size);
    place = buffer->data + buffer->size;
    buffer->size += size;
    return place;
}

static inline void stele__buffer_add(struct stele__buffer *buffer, const void *bytes, size_t size)
{
    char *place = stele__buffer_extend(buffer, size);

    if (place && size)
        memcpy(place, bytes, size);
}

static inline void stele__buffer_add_text(struct stele__buffer *buffer, const char *text)
{
    stele__buffer_add(buffer, text, strlen(text));
}

static inline void stele__buffer_add_byte(struct stele__buffer *buffer, char byte)
{
    char *place = stele__buffer_extend(buffer, 1);

    if (place)
        *place = byte;
}

void stele__buffer_print(struct stele__buffer *buffer, const char *format, ...) STELE_PRINTF(2, 3);

/* The failure of a buffer that failed. */
stele_status stele__buffer_fail(const struct stele__buffer *buffer, const char *what, stele_error **error);

/* STELE_OK, or the failure with `what` named in the error. */
static inline stele_status stele__buffer_finish(const struct stele__buffer *buffer, const char *what,
                                                stele_error **error)
{
    return buffer->failed ? stele__buffer_fail(buffer, what, error) : STELE_OK;
}

/* The content as a slice (data never NULL), valid until the buffer changes. */
static inline struct stele_slice stele__buffer_slice(const struct stele__buffer *buffer)
{
    const struct stele_slice slice = {buffer->data ? buffer->data : "", buffer->size};

    return slice;
}

#endif
