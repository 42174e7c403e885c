/*
 * What wakes a reader of a growing log, on a runtime.
 *
 *     commit of this handle ─► listener ─┐
 *     commit of another ─► watch ────────┼─► task: the owner's `step`, never twice at once
 *     stele__tail_wake() ────────────────┤
 *     stele__tail_wake_in() ─► timer ────┘
 *
 * Embedded by its owner: a subscription, the follower of a bus. Thread-safe but
 * for init, start, end and fini.
 */
#ifndef STELE_STORE_TAIL_H
#define STELE_STORE_TAIL_H

#include "runtime/runtime.h"
#include "store/listen.h"

#include <stele/store.h>

struct stele__tail {
    stele_store *store;
    stele_runtime *runtime;
    /* Do what there is to do; true if more is left, and it is to be called again soon. Once it has returned, and the tail
     * is being ended, the owner may be gone. */
    bool (*step)(struct stele__tail *tail);

    /* The tail's own. */
    struct stele__listener listener;
    struct stele__task task;
    atomic_int state;        /* enum task_state */
    _Atomic uint64_t head;   /* of the log, as far as is known */
    atomic_bool is_stopping; /* no step begins any more */
    bool is_watching;
    struct stele__signal ended; /* of the task, and of the timer; set when it stops */
    struct stele__signal fired;
    pthread_mutex_t mutex; /* guards what follows */
    struct stele__timer timer;
    bool timer_waits;
    int64_t timer_due;
};

/* `name` lives as long as the tail. STELE_NO_MEMORY. */
stele_status stele__tail_init(struct stele__tail *tail, stele_store *store, stele_runtime *runtime, const char *name,
                              bool (*step)(struct stele__tail *tail), stele_error **error);
/* Of one that was not started, or was ended. */
void stele__tail_fini(struct stele__tail *tail);

/* Find the head, and listen; no step begins before stele__tail_go(). Errors as stele_wait(), and STELE_IO when there is no
 * thread for the watch. */
stele_status stele__tail_start(struct stele__tail *tail, stele_error **error);
/* Let steps begin, and the first one at once. */
void stele__tail_go(struct stele__tail *tail);
/* Stop, without waiting: a step that is running goes on, and none begins any more. May be called twice. */
void stele__tail_stop(struct stele__tail *tail);
/* Stop, and wait until neither step nor timer runs or will run. Not in a step. */
void stele__tail_end(struct stele__tail *tail);

/* Have a step begin soon, behind one that is running. */
void stele__tail_wake(struct stele__tail *tail);
/* So many nanoseconds from now, if none is due before. */
void stele__tail_wake_in(struct stele__tail *tail, int64_t pause);

/* Look where the log ends. Errors as stele_wait(). */
stele_status stele__tail_find_head(struct stele__tail *tail, stele_error **error);
/* Say that the log goes at least so far; false if that was known. */
bool stele__tail_raise_head(struct stele__tail *tail, uint64_t head);
static inline uint64_t stele__tail_head(struct stele__tail *tail)
{
    return atomic_load(&tail->head);
}
static inline bool stele__tail_is_stopping(struct stele__tail *tail)
{
    return atomic_load(&tail->is_stopping);
}

#endif
