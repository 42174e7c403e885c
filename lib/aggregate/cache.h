/*
 * The cache of aggregates: states at versions, by stream, least recently used
 * ones thrown out beyond a number of bytes. Thread-safe.
 *
 * What is kept may be old, never wrong: whoever takes a state reads the events
 * behind its version, and saves expecting the version he came to.
 */
#ifndef STELE_AGGREGATE_CACHE_H
#define STELE_AGGREGATE_CACHE_H

#include <stele/type.h>

#include "base/arena.h"
#include "base/map.h"

#include <pthread.h>
#include <stdatomic.h>

/* A state at a version, with its own copy of all it points to. Never changes once it is in a cache. */
struct stele__kept {
    atomic_uint references;
    uint64_t version;
    uint64_t snapshot_version; /* of the newest snapshot known then */
    int64_t latest;            /* time of the latest event in it */
    void *state;
    struct stele_slice stream;
    struct stele_arena memory;
    size_t allocated;
    size_t bytes; /* in all */

    struct stele__kept *newer, *older; /* by last use; guarded by the cache's mutex */
};

struct stele__cache {
    size_t limit;          /* bytes */
    pthread_mutex_t mutex; /* guards what follows */
    struct stele__map by_stream;
    struct stele__kept *newest, *oldest;
    size_t bytes;
    uint64_t evictions;
};

/* NULL when memory is out. */
struct stele__cache *stele__cache_new(size_t limit);
void stele__cache_free(struct stele__cache *cache);

/* A copy of a state, with one reference; its numbers are 0, to be set. STELE_NO_MEMORY, STELE_LIMIT (too deep). */
stele_status stele__kept_new(const struct stele_type *type, const char *stream, const void *state,
                             struct stele__kept **out, stele_error **error);
void stele__kept_unref(struct stele__kept *kept);

/* The state kept for a stream, now the one used last, with a reference for the caller; NULL if there is none. */
struct stele__kept *stele__cache_find(struct stele__cache *cache, const char *stream);

/* Keep a state unless a newer one of its stream is kept, it is too large, or memory is out. Takes the reference. */
void stele__cache_keep(struct stele__cache *cache, struct stele__kept *kept);

/* How much is kept now, and how many states were thrown out to make room. */
struct stele__cache_size {
    uint64_t entries;
    uint64_t bytes;
    uint64_t evictions;
};
struct stele__cache_size stele__cache_measure(struct stele__cache *cache);

/* Throw out a state, if it is still the one that is kept. The caller's reference stays. */
void stele__cache_drop(struct stele__cache *cache, struct stele__kept *kept);

#endif
