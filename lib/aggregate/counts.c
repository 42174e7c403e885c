/* Counting what repositories do, and telling it. What can fail: memory. */
#include "aggregate/aggregate.h"

#include "base/error.h"
#include "base/memory.h"

struct stele__counts *stele__counts_new(void)
{
    struct stele__counts *counts = stele__alloc(sizeof(*counts));

    if (counts)
        atomic_init(&counts->references, 1);
    return counts;
}

struct stele__counts *stele__counts_ref(struct stele__counts *counts)
{
    atomic_fetch_add_explicit(&counts->references, 1, memory_order_relaxed);
    return counts;
}

void stele__counts_unref(struct stele__counts *counts)
{
    if (counts && atomic_fetch_sub_explicit(&counts->references, 1, memory_order_acq_rel) == 1)
        stele__free(counts, sizeof(*counts));
}

static uint64_t number(const stele_repository *repository, enum stele__count what)
{
    return atomic_load_explicit(&repository->counts->of[what], memory_order_relaxed);
}

static void add_cache(struct stele__cache *cache, struct stele_repository_stats *stats)
{
    struct stele__cache_size size;

    if (!cache)
        return;
    size = stele__cache_measure(cache);
    stats->cache_entries = size.entries;
    stats->cache_bytes = size.bytes;
    stats->cache_evictions = size.evictions;
}

stele_status stele_repository_stats(const stele_repository *repository, struct stele_repository_stats *out,
                                    stele_error **error)
{
    struct stele_repository_stats stats = {0};

    if (!repository)
        return stele__fail_argument(error, "repository", "is NULL");
    if (!out)
        return stele__fail_argument(error, "out", "is NULL");
    stats.loads = number(repository, STELE__COUNT_LOADS);
    stats.events_folded = number(repository, STELE__COUNT_FOLDED);
    stats.cache_hits = number(repository, STELE__COUNT_CACHE_HITS);
    stats.cache_misses = number(repository, STELE__COUNT_CACHE_MISSES);
    stats.snapshots_loaded = number(repository, STELE__COUNT_SNAPSHOTS_LOADED);
    stats.snapshots_saved = number(repository, STELE__COUNT_SNAPSHOTS_SAVED);
    stats.snapshots_overtaken = number(repository, STELE__COUNT_SNAPSHOTS_OVERTAKEN);
    stats.snapshots_failed = number(repository, STELE__COUNT_SNAPSHOTS_FAILED);
    stats.discarded_shape = number(repository, STELE__COUNT_DISCARDED_SHAPE);
    stats.discarded_damaged = number(repository, STELE__COUNT_DISCARDED_DAMAGED);
    stats.discarded_beyond = number(repository, STELE__COUNT_DISCARDED_BEYOND);
    stats.conflicts = number(repository, STELE__COUNT_CONFLICTS);
    stats.retries = number(repository, STELE__COUNT_RETRIES);
    add_cache(repository->cache, &stats);
    *out = stats;
    return STELE_OK;
}
