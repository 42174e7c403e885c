/*
 * stele/memory.h - where the library's memory comes from.
 *
 * Everything the library allocates goes through one table, which a program may
 * replace once, before its first other call into the library. (SQLite and
 * jansson keep their own allocators; see their manuals.)
 */
#ifndef STELE_MEMORY_H
#define STELE_MEMORY_H

#include <stele/base.h>
#include <stele/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * An allocator. `resize` behaves as realloc(3) with `old_size` the size last
 * asked for: memory NULL allocates, and it returns NULL when there is none
 * (leaving the old block alone). `release` takes NULL. Sizes are bytes, never
 * 0. Both are called from any thread.
 */
struct stele_allocator {
    void *(*resize)(void *context, void *memory, size_t old_size, size_t new_size);
    void (*release)(void *context, void *memory, size_t size);
    void *context;
};

/*
 * Use `allocator` (copied) from now on; NULL restores malloc(3).
 *
 * Not thread-safe: call it before any other call of the library, or when
 * nothing of the library is allocated. STELE_INVALID if the library still
 * holds memory of the allocator it would replace, or a function is missing.
 */
STELE_API stele_status stele_memory_use(const struct stele_allocator *allocator, stele_error **error);

/* Bytes the library holds at this moment, all threads together. Thread-safe. */
STELE_API size_t stele_memory_in_use(void);

/*
 * An arena: memory that is handed out in small pieces and freed all at once.
 * Used by one thread at a time.
 *
 * Pieces are aligned for any type. Under AddressSanitizer, memory given back
 * by stele_arena_reset() is poisoned.
 */
typedef struct stele_arena stele_arena;

/* A new, empty arena. STELE_NO_MEMORY. The caller frees it with stele_arena_free(). */
STELE_API stele_status stele_arena_new(stele_arena **out, stele_error **error);

/* `size` bytes that live until the arena is reset or freed; NULL when memory is out. A size of 0 gives a unique pointer. */
STELE_API void *stele_arena_alloc(stele_arena *arena, size_t size);

/* A copy of `size` bytes with a NUL behind it; NULL when memory is out. */
STELE_API char *stele_arena_text(stele_arena *arena, const char *text, size_t size);

/* Bytes handed out since the last reset. */
STELE_API size_t stele_arena_used(const stele_arena *arena);

/* Take back everything handed out; one block is kept for reuse. */
STELE_API void stele_arena_reset(stele_arena *arena);

/* Free the arena and all it handed out; NULL is allowed. */
STELE_API void stele_arena_free(stele_arena *arena);

#ifdef __cplusplus
}
#endif

#endif
