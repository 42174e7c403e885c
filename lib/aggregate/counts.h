/* What a repository counts. Shared with snapshots that are on their way when it is freed. Thread-safe. */
#ifndef STELE_AGGREGATE_COUNTS_H
#define STELE_AGGREGATE_COUNTS_H

#include <stele/base.h>

#include <stdatomic.h>

enum stele__count {
    STELE__COUNT_LOADS,
    STELE__COUNT_FOLDED,
    STELE__COUNT_CACHE_HITS,
    STELE__COUNT_CACHE_MISSES,
    STELE__COUNT_SNAPSHOTS_LOADED,
    STELE__COUNT_SNAPSHOTS_SAVED,
    STELE__COUNT_SNAPSHOTS_FAILED,
    STELE__COUNT_SNAPSHOTS_OVERTAKEN,
    STELE__COUNT_DISCARDED_SHAPE, /* in the order of enum stele_discard_reason */
    STELE__COUNT_DISCARDED_DAMAGED,
    STELE__COUNT_DISCARDED_BEYOND,
    STELE__COUNT_CONFLICTS,
    STELE__COUNT_RETRIES,
    STELE__COUNT_COUNT
};

struct stele__counts {
    atomic_uint references;
    _Atomic uint64_t of[STELE__COUNT_COUNT];
};

/* With one reference; NULL when memory is out. */
struct stele__counts *stele__counts_new(void);
struct stele__counts *stele__counts_ref(struct stele__counts *counts);
void stele__counts_unref(struct stele__counts *counts);

static inline void stele__count(struct stele__counts *counts, enum stele__count what, uint64_t number)
{
    atomic_fetch_add_explicit(&counts->of[what], number, memory_order_relaxed);
}

#endif
