/*
 * What the library's own parts run on: tasks, mailboxes, timers, waiting.
 *
 *   stele__task      one thing to run once
 *   stele__mailbox   letters of one receiver: first in, first out, one in flight
 *   stele__timer     one thing to run at a time
 *   stele__signal    something to wait for
 *
 * All four are embedded in the objects of their owners, so that nothing here
 * allocates per use and nothing can fail half-way. What is ready waits in one
 * queue by priority (lower first; within one, in the order of becoming ready; in
 * a simulation the seed chooses within one priority) for a worker, or for the
 * caller of stele_runtime_run(). No lock of the runtime is held while a
 * callback runs.
 */
#ifndef STELE_RUNTIME_RUNTIME_H
#define STELE_RUNTIME_RUNTIME_H

#include <stele/runtime.h>

#include <pthread.h>
#include <stdatomic.h>

#include "base/futex.h"

/* Priorities of ready work; routes take any, lower first. */
enum { STELE__PRIORITY_DEFAULT = 100, STELE__PRIORITY_OBSERVER = 1000000 };

/* Something in the queue of what is ready. Set `name`, `priority`, `run` once; the rest is the runtime's. */
struct stele__task {
    const char *name; /* in traces; lives as long as the task */
    int priority;
    void (*run)(struct stele__task *task); /* may free the task or post it again */

    struct stele__task *next;  /* of its priority */
    struct stele__task *last;  /* of its priority; of the first one only, as is the next */
    struct stele__task *worse; /* the first one of the next priority */
};

/* Have a task run once. It must not be waiting already. Thread-safe; from any callback. Once the runtime has been
 * stopped, nothing runs any more: the task is left alone. */
void stele__runtime_post(stele_runtime *runtime, struct stele__task *task);
/* It has been stopped: what was posted since does not run. */
bool stele__runtime_is_stopped(stele_runtime *runtime);

/* One letter; the first member of what is sent. */
struct stele__letter {
    struct stele__letter *next;
};

enum stele__mail {
    STELE__MAIL_TAKEN,
    STELE__MAIL_FULL,  /* at its capacity: the sender decides */
    STELE__MAIL_CLOSED /* the letter is the sender's still */
};

/*
 * A mailbox. Owned by whoever embeds it; thread-safe but for init and fini.
 *
 *          send             a worker takes it           queue empty
 *   idle ───────► ready ──────────────► running ──────────────► idle
 *                   ▲                      │ letters left
 *                   └──────────────────────┘
 */
struct stele__mailbox {
    struct stele__task task; /* ready while letters wait, none is in flight, and it is not paused; its `run` is NULL */
    stele_runtime *runtime;
    /* Deliver one letter, without a lock; never two at once. The letter is the function's. */
    void (*deliver)(struct stele__mailbox *mailbox, struct stele__letter *letter);
    void (*gone)(struct stele__mailbox *mailbox); /* see stele__mailbox_retire() */
    size_t capacity;                              /* letters that may wait; 0 = no limit */

    pthread_mutex_t mutex; /* guards what follows */
    struct stele__letter *first, *last;
    size_t count;
    size_t peak;
    bool scheduled; /* in the ready queue or running */
    bool paused;
    bool closed;
};

/* `name` lives as long as the mailbox. False when the system is out of something. */
bool stele__mailbox_init(struct stele__mailbox *mailbox, stele_runtime *runtime, const char *name, int priority,
                         size_t capacity, void (*deliver)(struct stele__mailbox *, struct stele__letter *));
/* The mailbox must be idle. */
void stele__mailbox_fini(struct stele__mailbox *mailbox);
enum stele__mail stele__mailbox_send(struct stele__mailbox *mailbox, struct stele__letter *letter);
/* As send, but beyond the capacity too: takes the oldest letter out and gives it back in *dropped (else NULL). */
enum stele__mail stele__mailbox_send_dropping(struct stele__mailbox *mailbox, struct stele__letter *letter,
                                              struct stele__letter **dropped);
/* As send, whatever the capacity. */
enum stele__mail stele__mailbox_force(struct stele__mailbox *mailbox, struct stele__letter *letter);
/* Hold letters back; resuming delivers them in order. */
void stele__mailbox_pause(struct stele__mailbox *mailbox);
void stele__mailbox_resume(struct stele__mailbox *mailbox);
/* Take no more. What waits is given back as a chain (NULL: nothing); one that is in flight goes on. */
struct stele__letter *stele__mailbox_close(struct stele__mailbox *mailbox);
/* Of a closed one: true if it is idle, and may be freed; else `gone` is called, without a lock, as soon as it is. */
bool stele__mailbox_retire(struct stele__mailbox *mailbox, void (*gone)(struct stele__mailbox *mailbox));
size_t stele__mailbox_count(struct stele__mailbox *mailbox);
/* True if nothing waits, nothing is in flight, and no worker is about to look: of a closed mailbox that stays so, and
 * it may be freed. */
bool stele__mailbox_is_idle(struct stele__mailbox *mailbox);

/*
 * Something at a time. Set `name` and `fire` once; the rest begins as zero and is the runtime's. Timers fire one after
 * the other, in order of time, then of starting; with workers in a thread of their own, so that they are in time when
 * all workers are taken. `fire` may start the timer again or free it; what takes long, it posts.
 */
struct stele__timer {
    const char *name;
    void (*fire)(struct stele__timer *timer);

    stele_runtime *runtime;
    int64_t due; /* by the monotonic clock */
    uint64_t order;
    size_t place; /* in the heap, from 1; 0 if it is not in it */
};

/* Start a timer that is not waiting, `delay` nanoseconds from now (0 and below: as soon as possible). False when memory
 * for the queue is out, or the system has no thread for the first timer. */
bool stele__timer_start(stele_runtime *runtime, struct stele__timer *timer, int64_t delay);
/* True if it was waiting and will not fire; false if it has fired, is firing, or was never started. */
bool stele__timer_cancel(struct stele__timer *timer);

/* Monotonic and wall time of the runtime, in nanoseconds. */
int64_t stele__runtime_monotonic(const stele_runtime *runtime);
int64_t stele__runtime_now(const stele_runtime *runtime);

/*
 * A word that is set once and waited for by any number. Zeroed memory is a signal that is not set. It may live on the
 * stack of the one who waits: whoever sets it does not touch it any more once a wait has returned true.
 */
struct stele__signal {
    struct stele__futex futex;
};
bool stele__signal_init(struct stele__signal *signal);
void stele__signal_fini(struct stele__signal *signal);
void stele__signal_set(struct stele__signal *signal);
/* Make it unset again; nobody may be waiting. */
void stele__signal_reset(struct stele__signal *signal);
bool stele__signal_is_set(struct stele__signal *signal);

/*
 * Wait until the signal is set, or the monotonic time is `deadline` (INT64_MAX:
 * none): true if it is set. With workers: spins briefly, then sleeps; a worker
 * that waits has another thread stand in for it. Without: runs what is ready, on
 * the caller's stack. In a simulation others have their turn, virtual time passes
 * from timer to timer up to the deadline, and the wait is false at once if nothing
 * will ever happen, or, in a callback, if there is no thread for the others.
 */
bool stele__runtime_wait(stele_runtime *runtime, struct stele__signal *signal, int64_t deadline);

/* Around something in a callback that may take long without using the processor, or has overrun: another thread stands
 * in. Calls pair; stele__runtime_overrun_end() may come from another thread than the begin. */
void stele__runtime_overrun_begin(stele_runtime *runtime);
void stele__runtime_overrun_end(stele_runtime *runtime);

/* True in a thread that is running a callback of this runtime. */
bool stele__runtime_is_inside(const stele_runtime *runtime);

/*
 * A thread of its own for a function that blocks elsewhere (on a store, say);
 * not counted as a worker. It must end by itself before the runtime is freed;
 * `join` waits for it. Not in a simulation (STELE_INVALID).
 */
struct stele__blocking {
    pthread_t thread;
    bool started;
    void (*run)(void *context);
    void *context;
};
stele_status stele__blocking_start(stele_runtime *runtime, struct stele__blocking *blocking, void (*run)(void *context),
                                   void *context, stele_error **error);
void stele__blocking_join(struct stele__blocking *blocking);

#endif
