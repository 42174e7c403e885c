/*
 * Growing runs of bytes.
 *
 * Appends write into spare capacity (inline, in buffer.h); without it the
 * capacity doubles. One byte of it is always spare, so that printing has a
 * place for its NUL. The first capacity may be memory of the caller. What can fail: memory runs out or the limit is passed;
 * both are kept in `failed` until stele__buffer_finish() tells. Bytes beyond
 * the limit are counted, so that the error can say how long the whole was.
 */
#include "base/buffer.h"

#include "base/error.h"
#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>

enum { CAPACITY_MIN = 256 };

void stele__buffer_reset(struct stele__buffer *buffer)
{
    buffer->size = 0;
    buffer->refused = 0;
    buffer->failed = STELE_OK;
}

static void refuse(struct stele__buffer *buffer, size_t size)
{
    buffer->failed = STELE_LIMIT;
    if (!stele__size_add(buffer->refused, size, &buffer->refused))
        buffer->refused = SIZE_MAX;
}

/* Make the capacity greater than `needed`. */
static bool reserve(struct stele__buffer *buffer, size_t needed)
{
    size_t capacity = buffer->capacity < CAPACITY_MIN ? CAPACITY_MIN : buffer->capacity;
    char *grown;

    if (needed < buffer->capacity)
        return true;
    while (capacity <= needed) {
        if (!stele__size_multiply(capacity, 2, &capacity))
            return false;
    }
    grown =
        buffer->is_lent ? stele__resize(NULL, 0, capacity) : stele__resize(buffer->data, buffer->capacity, capacity);
    if (!grown)
        return false;
    if (buffer->is_lent)
        memcpy(grown, buffer->data, buffer->size);
    buffer->is_lent = false;
    buffer->data = grown;
    buffer->capacity = capacity;
    return true;
}

char *stele__buffer_grow(struct stele__buffer *buffer, size_t size)
{
    size_t needed;
    char *place;

    if (buffer->failed == STELE_NO_MEMORY)
        return NULL;
    if (!stele__size_add(buffer->size, size, &needed))
        needed = SIZE_MAX;
    if (buffer->failed == STELE_LIMIT || (buffer->limit && needed > buffer->limit)) {
        refuse(buffer, size);
        return NULL;
    }
    if (!reserve(buffer, needed)) {
        buffer->failed = STELE_NO_MEMORY;
        return NULL;
    }
    place = buffer->data + buffer->size;
    buffer->size = needed;
    return place;
}

void stele__buffer_print(struct stele__buffer *buffer, const char *format, ...)
{
    va_list arguments;
    char *place;
    int length;

    va_start(arguments, format);
    length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length <= 0)
        return;
    place = stele__buffer_extend(buffer, (size_t)length);
    if (!place)
        return;
    va_start(arguments, format);
    vsnprintf(place, (size_t)length + 1, format, arguments);
    va_end(arguments);
}

stele_status stele__buffer_fail(const struct stele__buffer *buffer, const char *what, stele_error **error)
{
    size_t whole;

    if (buffer->failed == STELE_NO_MEMORY)
        return stele__fail_memory(error);
    if (!stele__size_add(buffer->size, buffer->refused, &whole))
        whole = SIZE_MAX;
    return stele__fail_limit(error, what, whole, buffer->limit, "bytes");
}
