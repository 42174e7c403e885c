/*
 * Snapshots that are written later, so that nobody waits for them.
 *
 * A thread of the store writes them, one at a time; it is started by the first
 * one. A stream has at most one that waits: a newer one takes the place of an
 * older one. Thread-safe, except for init, stop and fini.
 */
#ifndef STELE_STORE_LATER_H
#define STELE_STORE_LATER_H

#include <stele/spi/store.h>

#include "base/map.h"

#include <pthread.h>

/* What may wait: beyond either, offers are refused. */
enum { STELE__LATER_SNAPSHOTS = 4096, STELE__LATER_BYTES = 32 * 1024 * 1024 };

enum stele__later_end {
    STELE__LATER_WRITTEN,
    STELE__LATER_FAILED,   /* the backend would not; it has been logged */
    STELE__LATER_OVERTAKEN /* a newer one of its stream came before it was written */
};

/* A snapshot on its way. Made by stele__later_new(), filled in by the caller; once offered, the store's. */
struct stele__later_snapshot {
    struct stele_snapshot snapshot; /* `stream` and `state` point behind the struct */
    const char *aggregate;          /* for the hook; a name that lives as long as the program's types */
    bool replaces;                  /* the stored one is known to be wrong: drop it first */
    /* Called exactly once, without a lock, in the store's thread or in that of a later offer. */
    void (*settled)(void *context, enum stele__later_end end);
    void *context;

    struct stele__later_snapshot *next, *previous; /* the queue's own */
    size_t allocated;
};

struct stele__later {
    stele_store *store;
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t changed;
    struct stele__map waiting; /* by stream */
    struct stele__later_snapshot *first, *last;
    size_t bytes;
    bool writing;
    bool started;
    bool stopping;
    pthread_t thread; /* if `started` */
};

stele_status stele__later_init(struct stele__later *later, stele_store *store, stele_error **error);
/* Write all that waits, and take no more. */
void stele__later_stop(struct stele__later *later);
void stele__later_fini(struct stele__later *later);

/* A snapshot of `stream` with a copy of `state`; NULL when memory is out. */
struct stele__later_snapshot *stele__later_new(struct stele_slice stream, struct stele_slice state);
void stele__later_free(struct stele__later_snapshot *snapshot);

/* Have a snapshot written. False if it is refused (too much waits, memory is out, the store is closing): it is the
 * caller's then. */
bool stele__later_offer(struct stele__later *later, struct stele__later_snapshot *snapshot);

/* Wait until nothing waits and nothing is being written. Not from inside a hook or `settled`. */
void stele__later_drain(struct stele__later *later);

#endif
