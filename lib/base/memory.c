/*
 * The one place that allocates.
 *
 * Every request of the library goes through `allocator`, a table that a program
 * may replace while nothing is allocated. Callers say a block's size when they
 * free it, so the bytes in use are one atomic counter and blocks carry no
 * header. What can fail: memory runs out (NULL, nothing changed).
 */
#include "base/memory.h"

#include "base/error.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static void *malloc_resize(void *context, void *memory, size_t old_size, size_t new_size)
{
    (void)context;
    (void)old_size;
    return memory ? realloc(memory, new_size) : malloc(new_size);
}

static void malloc_release(void *context, void *memory, size_t size)
{
    (void)context;
    (void)size;
    free(memory);
}

static const struct stele_allocator malloc_allocator = {malloc_resize, malloc_release, NULL};

static struct stele_allocator allocator = {malloc_resize, malloc_release, NULL};
static atomic_size_t in_use;

/* An allocator is never asked for 0 bytes, so that it need not say what that means. */
static size_t at_least_one(size_t size)
{
    return size ? size : 1;
}

stele_status stele_memory_use(const struct stele_allocator *replacement, stele_error **error)
{
    if (replacement && !replacement->resize)
        return stele__fail_argument(error, "allocator", "resize is missing");
    if (replacement && !replacement->release)
        return stele__fail_argument(error, "allocator", "release is missing");
    if (stele_memory_in_use() != 0)
        return stele__fail_argument(error, "allocator", "memory of the allocator in use is not all freed");
    allocator = replacement ? *replacement : malloc_allocator;
    return STELE_OK;
}

size_t stele_memory_in_use(void)
{
    return atomic_load_explicit(&in_use, memory_order_relaxed);
}

void *stele__alloc(size_t size)
{
    void *memory = stele__resize(NULL, 0, size);

    if (memory)
        memset(memory, 0, at_least_one(size));
    return memory;
}

void *stele__resize(void *memory, size_t old_size, size_t new_size)
{
    const size_t before = memory ? at_least_one(old_size) : 0;
    const size_t after = at_least_one(new_size);
    void *resized = after <= PTRDIFF_MAX ? allocator.resize(allocator.context, memory, before, after) : NULL;

    /* Unsigned arithmetic wraps around, so a shrinking block subtracts. */
    if (resized)
        atomic_fetch_add_explicit(&in_use, after - before, memory_order_relaxed);
    return resized;
}

void stele__free(void *memory, size_t size)
{
    if (!memory)
        return;
    allocator.release(allocator.context, memory, at_least_one(size));
    atomic_fetch_sub_explicit(&in_use, at_least_one(size), memory_order_relaxed);
}

char *stele__text_copy(const char *text)
{
    const struct stele_slice slice = {text, text ? strlen(text) : 0};

    return stele__text_copy_slice(slice);
}

/* The copy's size is its strlen() when it is freed, so it ends at a NUL inside the slice. */
char *stele__text_copy_slice(struct stele_slice text)
{
    const char *end;
    size_t length;
    char *copy;

    if (!text.data)
        return NULL;
    end = text.size ? memchr(text.data, '\0', text.size) : NULL;
    length = end ? (size_t)(end - text.data) : text.size;
    copy = stele__resize(NULL, 0, length + 1);
    if (!copy)
        return NULL;
    memcpy(copy, text.data, length);
    copy[length] = '\0';
    return copy;
}

void stele__text_free(char *text)
{
    if (text)
        stele__free(text, strlen(text) + 1);
}

bool stele__size_multiply(size_t count, size_t size, size_t *bytes)
{
    return !__builtin_mul_overflow(count, size, bytes);
}

bool stele__size_add(size_t left, size_t right, size_t *sum)
{
    return !__builtin_add_overflow(left, right, sum);
}
