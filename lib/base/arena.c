/*
 * Arenas: memory handed out in small pieces and freed all at once.
 *
 *     arena.block -> | newest | -> | older | -> NULL
 *                      |before = bytes handed out from the older ones
 *                      |bytes  [ used ............ | room ]
 *                                                  ^ arena.next
 *
 * A piece is cut from the newest block (inline, in arena.h). When it does not
 * fit, a new block goes in front, twice as large as the last up to BLOCK_MAX,
 * or as large as the piece needs. The first may be memory of the caller. Under AddressSanitizer all room is poisoned.
 * What can fail: memory runs out (NULL, the arena is as before).
 */
#include "base/arena.h"

#include "base/error.h"
#include "base/memory.h"

#include <string.h>

enum { BLOCK_MIN = 1024, BLOCK_MAX = 64 * 1024 }; /* bytes of a block, its head included */

struct stele__arena_block {
    struct stele__arena_block *older;
    size_t size;   /* of `bytes` */
    size_t before; /* handed out from the older blocks */
    bool is_lent;  /* the caller's memory, not allocated */
    _Alignas(max_align_t) char bytes[];
};

static size_t block_footprint(const struct stele__arena_block *block)
{
    return sizeof(*block) + block->size;
}

/* The size of the next block's bytes; 0 if a piece of `size` bytes can never fit. */
static size_t next_block_size(const struct stele_arena *arena, size_t size)
{
    const size_t head = sizeof(struct stele__arena_block);
    const size_t mask = _Alignof(max_align_t) - 1;
    size_t footprint = arena->block ? block_footprint(arena->block) * 2 : BLOCK_MIN;

    if (size > PTRDIFF_MAX - head - mask)
        return 0;
    if (footprint > BLOCK_MAX)
        footprint = BLOCK_MAX;
    if (footprint - head < size)
        return (size + mask) & ~mask;
    return footprint - head;
}

/* Make `block` the newest one, with `room` free bytes at its end. */
static void use_block(struct stele_arena *arena, struct stele__arena_block *block, size_t room)
{
    arena->block = block;
    arena->next = block ? block->bytes + (block->size - room) : NULL;
    arena->room = room;
    if (block)
        ASAN_POISON_MEMORY_REGION(arena->next, room);
}

static void drop_newest(struct stele_arena *arena)
{
    struct stele__arena_block *block = arena->block;

    arena->block = block->older;
    /* Whoever gets this memory next knows nothing of the poison. */
    ASAN_UNPOISON_MEMORY_REGION(block->bytes, block->size);
    if (!block->is_lent)
        stele__free(block, block_footprint(block));
}

stele_status stele_arena_new(stele_arena **out, stele_error **error)
{
    stele_arena *arena;

    if (!out)
        return stele__fail_argument(error, "out", "is NULL");
    arena = stele__alloc(sizeof(*arena));
    if (!arena)
        return stele__fail_memory(error);
    *out = arena;
    return STELE_OK;
}

void stele_arena_free(stele_arena *arena)
{
    if (!arena)
        return;
    stele__arena_fini(arena);
    stele__free(arena, sizeof(*arena));
}

void stele__arena_init(struct stele_arena *arena)
{
    memset(arena, 0, sizeof(*arena));
}

void stele__arena_init_on(struct stele_arena *arena, void *memory, size_t size)
{
    struct stele__arena_block *block = memory;

    block->older = NULL;
    block->size = (size - sizeof(*block)) & ~(_Alignof(max_align_t) - 1);
    block->before = 0;
    block->is_lent = true;
    arena->refused = false;
    use_block(arena, block, block->size);
}

void stele__arena_fini(struct stele_arena *arena)
{
    while (arena->block)
        drop_newest(arena);
    stele__arena_init(arena);
}

void *stele__arena_alloc_block(struct stele_arena *arena, size_t size)
{
    const size_t block_size = next_block_size(arena, size);
    struct stele__arena_block *block = NULL;

    if (block_size)
        block = stele__resize(NULL, 0, sizeof(*block) + block_size);
    if (!block) {
        arena->refused = true;
        return NULL;
    }
    block->older = arena->block;
    block->size = block_size;
    block->before = stele_arena_used(arena);
    block->is_lent = false;
    use_block(arena, block, block_size);
    return stele__arena_alloc(arena, size);
}

void *stele_arena_alloc(stele_arena *arena, size_t size)
{
    return stele__arena_alloc(arena, size);
}

void *stele__arena_array(struct stele_arena *arena, size_t count, size_t size)
{
    size_t bytes;
    void *items;

    if (!stele__size_multiply(count, size, &bytes))
        return NULL;
    items = stele__arena_alloc(arena, bytes);
    if (items)
        memset(items, 0, bytes);
    return items;
}

char *stele_arena_text(stele_arena *arena, const char *text, size_t size)
{
    char *copy = size < SIZE_MAX ? stele__arena_alloc(arena, size + 1) : NULL;

    if (!copy)
        return NULL;
    if (size)
        memcpy(copy, text, size);
    copy[size] = '\0';
    return copy;
}

size_t stele_arena_used(const stele_arena *arena)
{
    return arena->block ? arena->block->before + (arena->block->size - arena->room) : 0;
}

size_t stele__arena_footprint(const struct stele_arena *arena)
{
    size_t bytes = 0;

    for (const struct stele__arena_block *block = arena->block; block; block = block->older)
        bytes += block_footprint(block);
    return bytes;
}

void stele_arena_reset(stele_arena *arena)
{
    struct stele__arena_block *kept = arena->block;

    if (!kept)
        return;
    arena->block = kept->older;
    while (arena->block)
        drop_newest(arena);
    kept->older = NULL;
    kept->before = 0;
    use_block(arena, kept, kept->size);
}

struct stele__arena_mark stele__arena_mark(const struct stele_arena *arena)
{
    const struct stele__arena_mark mark = {arena->block, arena->room, arena->refused};

    return mark;
}

void stele__arena_rewind(struct stele_arena *arena, struct stele__arena_mark mark)
{
    arena->refused = mark.refused;
    /* A mark set before the first block: a block stays, so that mark and rewind in a loop do not allocate each time. */
    if (!mark.block) {
        stele_arena_reset(arena);
        return;
    }
    while (arena->block != mark.block)
        drop_newest(arena);
    use_block(arena, mark.block, mark.room);
}
