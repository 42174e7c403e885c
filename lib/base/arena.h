/* What the library does with arenas beyond stele/memory.h: arenas embedded in other objects, and savepoints. */
#ifndef STELE_BASE_ARENA_H
#define STELE_BASE_ARENA_H

#include <stele/memory.h>

#if defined(__SANITIZE_ADDRESS__)
#define STELE__ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define STELE__ADDRESS_SANITIZER 1
#endif
#endif

#ifdef STELE__ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif

struct stele__arena_block;

struct stele_arena {
    char *next;                       /* the first free byte of `block`, aligned for any type */
    size_t room;                      /* free bytes from there, a multiple of the alignment */
    struct stele__arena_block *block; /* the newest; older ones behind it */
    bool refused;                     /* something was asked for, and memory was out */
};

/* An empty arena in memory the caller owns; needs no memory until first use. */
void stele__arena_init(struct stele_arena *arena);
/* The same, whose first block is `memory` of the caller, aligned for any type, who keeps it as long as the arena. */
void stele__arena_init_on(struct stele_arena *arena, void *memory, size_t size);
void stele__arena_fini(struct stele_arena *arena);

/* Bytes the arena holds, handed out or not. */
size_t stele__arena_footprint(const struct stele_arena *arena);

/* The part of stele__arena_alloc() that needs a new block. */
void *stele__arena_alloc_block(struct stele_arena *arena, size_t size);

/* stele_arena_alloc() without the call. */
static inline void *stele__arena_alloc(struct stele_arena *arena, size_t size)
{
    const size_t mask = _Alignof(max_align_t) - 1;
    const size_t asked = size ? size : 1;
    size_t taken;
    void *memory = arena->next;

    if (asked > arena->room)
        return stele__arena_alloc_block(arena, asked);
    taken = (asked + mask) & ~mask;
    arena->next += taken;
    arena->room -= taken;
    ASAN_UNPOISON_MEMORY_REGION(memory, asked);
    return memory;
}

/* `count` objects of `size` bytes, zeroed; NULL when memory is out or the product overflows. */
void *stele__arena_array(struct stele_arena *arena, size_t count, size_t size);

/* A place to come back to: what was handed out after the mark is taken back, in any number of blocks. */
struct stele__arena_mark {
    struct stele__arena_block *block;
    size_t room;
    bool refused;
};
struct stele__arena_mark stele__arena_mark(const struct stele_arena *arena);
void stele__arena_rewind(struct stele_arena *arena, struct stele__arena_mark mark);

#endif
