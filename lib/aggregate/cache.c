/*
 * The cache of aggregates.
 *
 *     find -> reference -> copied into an instance, without the lock
 *     keep -> newest ... oldest -> thrown out while there are too many bytes
 *
 * States are copied outside of the lock, and freed there: under it there is
 * only the map and the list. What can fail: memory; then nothing is kept.
 */
#include "aggregate/cache.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"

#include <string.h>

enum { PLACE_BYTES = 64 }; /* of an entry in the map, which is at most half empty */

/* --- States -------------------------------------------------------------------- */

static size_t align(size_t size)
{
    const size_t mask = _Alignof(max_align_t) - 1;

    return (size + mask) & ~mask;
}

stele_status stele__kept_new(const struct stele_type *type, const char *stream, const void *state,
                             struct stele__kept **out, stele_error **error)
{
    const size_t name_size = strlen(stream) + 1;
    const size_t head = align(sizeof(struct stele__kept));
    struct stele__kept *kept = NULL;
    stele_status status;
    size_t size;

    if (stele__size_add(head + name_size, align(type->size), &size))
        kept = stele__alloc(size);
    if (!kept)
        return stele__fail_memory(error);
    kept->allocated = size;
    kept->state = (char *)kept + head;
    kept->stream = (struct stele_slice){(char *)kept + head + align(type->size), name_size - 1};
    memcpy((char *)kept + head + align(type->size), stream, name_size);
    atomic_init(&kept->references, 1);
    stele__arena_init(&kept->memory);
    status = stele_value_copy(type, state, &kept->memory, kept->state, error);
    if (status != STELE_OK) {
        stele__kept_unref(kept);
        return status;
    }
    kept->bytes = size + stele__arena_footprint(&kept->memory) + PLACE_BYTES;
    *out = kept;
    return STELE_OK;
}

void stele__kept_unref(struct stele__kept *kept)
{
    if (!kept || atomic_fetch_sub_explicit(&kept->references, 1, memory_order_acq_rel) > 1)
        return;
    stele__arena_fini(&kept->memory);
    stele__free(kept, kept->allocated);
}

/* --- The list, under the mutex ---------------------------------------------------- */

static void take_out(struct stele__cache *cache, struct stele__kept *kept)
{
    if (kept->newer)
        kept->newer->older = kept->older;
    else
        cache->newest = kept->older;
    if (kept->older)
        kept->older->newer = kept->newer;
    else
        cache->oldest = kept->newer;
}

static void put_first(struct stele__cache *cache, struct stele__kept *kept)
{
    kept->newer = NULL;
    kept->older = cache->newest;
    if (cache->newest)
        cache->newest->newer = kept;
    else
        cache->oldest = kept;
    cache->newest = kept;
}

/* Take a state out of the cache and put it in front of `gone`, to be freed without the mutex. */
static void throw_out(struct stele__cache *cache, struct stele__kept *kept, struct stele__kept **gone)
{
    take_out(cache, kept);
    stele__map_remove(&cache->by_stream, kept->stream);
    cache->bytes -= kept->bytes;
    kept->older = *gone;
    *gone = kept;
}

static void unref_all(struct stele__kept *gone)
{
    while (gone) {
        struct stele__kept *next = gone->older;

        stele__kept_unref(gone);
        gone = next;
    }
}

static bool is_wanted(const struct stele__cache *cache, const struct stele__kept *kept)
{
    const struct stele__kept *present = stele__map_get(&cache->by_stream, kept->stream);

    return kept->bytes <= cache->limit && (!present || present->version < kept->version);
}

/* --- What others call --------------------------------------------------------------- */

struct stele__kept *stele__cache_find(struct stele__cache *cache, const char *stream)
{
    struct stele__kept *kept;

    pthread_mutex_lock(&cache->mutex);
    kept = stele__map_get(&cache->by_stream, stele__slice(stream));
    if (kept) {
        take_out(cache, kept);
        put_first(cache, kept);
        atomic_fetch_add_explicit(&kept->references, 1, memory_order_relaxed);
    }
    pthread_mutex_unlock(&cache->mutex);
    return kept;
}

void stele__cache_keep(struct stele__cache *cache, struct stele__kept *kept)
{
    struct stele__kept *gone = NULL;
    struct stele__kept *present;

    pthread_mutex_lock(&cache->mutex);
    if (is_wanted(cache, kept)) {
        present = stele__map_get(&cache->by_stream, kept->stream);
        if (present)
            throw_out(cache, present, &gone);
        while (cache->bytes + kept->bytes > cache->limit) {
            throw_out(cache, cache->oldest, &gone);
            cache->evictions++;
        }
        if (stele__map_put(&cache->by_stream, kept->stream, kept)) {
            put_first(cache, kept);
            cache->bytes += kept->bytes;
            kept = NULL;
        }
    }
    pthread_mutex_unlock(&cache->mutex);
    unref_all(gone);
    stele__kept_unref(kept);
}

void stele__cache_drop(struct stele__cache *cache, struct stele__kept *kept)
{
    struct stele__kept *gone = NULL;

    pthread_mutex_lock(&cache->mutex);
    if (stele__map_get(&cache->by_stream, kept->stream) == kept)
        throw_out(cache, kept, &gone);
    pthread_mutex_unlock(&cache->mutex);
    unref_all(gone);
}

struct stele__cache_size stele__cache_measure(struct stele__cache *cache)
{
    struct stele__cache_size size;

    pthread_mutex_lock(&cache->mutex);
    size = (struct stele__cache_size){cache->by_stream.count, cache->bytes, cache->evictions};
    pthread_mutex_unlock(&cache->mutex);
    return size;
}

struct stele__cache *stele__cache_new(size_t limit)
{
    struct stele__cache *cache = stele__alloc(sizeof(*cache));

    if (cache && pthread_mutex_init(&cache->mutex, NULL) != 0) {
        stele__free(cache, sizeof(*cache));
        return NULL;
    }
    if (cache) {
        stele__map_init(&cache->by_stream);
        cache->limit = limit;
    }
    return cache;
}

void stele__cache_free(struct stele__cache *cache)
{
    if (!cache)
        return;
    unref_all(cache->newest);
    stele__map_fini(&cache->by_stream);
    pthread_mutex_destroy(&cache->mutex);
    stele__free(cache, sizeof(*cache));
}
