/*
 * The inside of the registry: what observers.c and seeing.c share.
 *
 * All is guarded by the registry's mutex but for the two words that are read
 * without it, and what never changes. What is allocated, freed or called, is so
 * outside of it.
 */
#ifndef STELE_BUS_SEEING_H
#define STELE_BUS_SEEING_H

#include "bus/observers.h"

#include <pthread.h>
#include <stdatomic.h>

#include "runtime/runtime.h"

/* One observation for all observers; `texts` holds what its pointers point to. */
struct stele__sighting {
    struct stele_observation observation;
    stele_message *message; /* the observation's */
    uint64_t number;        /* from 1, in the order of all */
    size_t references;
    struct stele__sighting *next_dead;
    size_t allocated;
    char texts[];
};

struct stele__observer {
    struct stele__task task;
    struct stele_observer table;
    void *context;
    struct stele__observers *owner;
    struct stele_slice on;              /* the pattern; absent for all */
    struct stele__observer *next;       /* in the registry, until it is released */
    struct stele__observer *next_ready; /* of those to be posted */

    struct stele__sighting **ring; /* `capacity` places */
    size_t capacity;
    size_t first, count;
    struct stele__sighting *seeing; /* what `see` is being called with */
    struct stele__observer *outer;  /* that the same thread is in `see` of; of the thread */
    int64_t limit;                  /* for one call of `see` */
    int64_t began;                  /* monotonic: the one that is under way */
    bool is_scheduled;
    bool is_removed;
    bool has_hung;
    uint64_t seen, dropped;
};

/* Somebody in stele__observers_flush(). */
struct stele__flusher {
    struct stele__flusher *next;
    uint64_t number; /* of the last sighting it waits for */
    size_t behind;   /* observers that still have one up to that number */
    struct stele__signal done;
};

struct stele__observers {
    atomic_uint want;
    atomic_uint_fast64_t salt;
    stele_runtime *runtime;

    pthread_mutex_t mutex;         /* guards what follows, and the observers and sightings */
    struct stele__observer *first; /* in the order of adding; those that were removed too, until they are released */
    struct stele__observer *ready, **last_ready; /* those that `spread` is to post */
    bool is_spreading;
    struct stele__task spread;
    struct stele__flusher *flushers;
    uint64_t number;   /* of the last sighting */
    size_t references; /* the bus, each observer, the timer while it runs, `spread` while it is ready */
    bool is_stopped;
    bool is_freed;
    bool is_watching;
    struct stele__timer watch;
    int64_t watch_due;             /* while it runs */
    struct stele__signal all_gone; /* set when it is freed and the last observer is released */
};

static inline void stele__observers_lock(struct stele__observers *observers)
{
    pthread_mutex_lock(&observers->mutex);
}

static inline void stele__observers_unlock(struct stele__observers *observers)
{
    pthread_mutex_unlock(&observers->mutex);
}

/* Under the lock: give one reference back; true if it was the last, and stele__observers_end() is to be called without it. */
static inline bool stele__observers_drop(struct stele__observers *observers)
{
    return --observers->references == 0;
}

/* --- observers.c ------------------------------------------------------------------ */

void stele__observers_end(struct stele__observers *observers);
/* Take an observer that is removed, and neither ready nor seeing, out of the world. Without the lock. */
void stele__observer_release(struct stele__observer *observer);

/* --- seeing.c ---------------------------------------------------------------------- */

/* True in a thread that is in `see` of the observer: it cannot wait for it. */
bool stele__observer_is_here(const struct stele__observer *observer);
/* The number of the oldest sighting that an observer has not done with. Under the lock. */
uint64_t stele__observer_oldest(const struct stele__observer *observer);
/* Throw out all that waits for an observer, under the lock; what nobody needs any more is put on the chain of the dead. */
void stele__observer_empty(struct stele__observer *observer, struct stele__sighting **dead);
/* Free a chain of the dead, without the lock. */
void stele__sightings_free(struct stele__sighting *dead);
/* One step of an observer's task; posts the tasks of those that are ready; looks for those that hang. */
void stele__observer_run(struct stele__task *task);
void stele__observers_spread(struct stele__task *task);
void stele__observers_watch(struct stele__timer *timer);

#endif
