/*
 * What a runtime is made of, for the files of this folder.
 *
 * One mutex guards it all. It is held for a few instructions at a time, never
 * while a callback runs, and never together with a mailbox's, but for stopping
 * (the runtime's first).
 *
 * A thread of the pool is always one of these; `wanted` of them are to be awake:
 *
 *       .------------------- nothing found ------------------.
 *       v                                                    |
 *     asleep --called, with a task--> running --done--> searching
 *       |                              |   ^
 *       '-- too many threads: it ends  v   |
 *                                    blocked (waits inside a callback; another one is called or started)
 *
 * Who makes something ready gives it to a thread that is asleep, if there is one
 * to be had: it runs it without asking for the mutex first, which the caller may
 * hold still. All of these changes are made under the mutex, so none is overlooked.
 */
#ifndef STELE_RUNTIME_STATE_H
#define STELE_RUNTIME_STATE_H

#include <sched.h>

#include "base/fork.h"
#include "base/vector.h"
#include "runtime/runtime.h"

enum {
    STELE__SPINS = 100,        /* looks before a thread goes to sleep, if its last wait was short: */
    STELE__SHORT_WAIT = 40000, /* nanoseconds */
    STELE__SPINS_ALONE = 40,   /* looks after which it lets others have the processor in between */
    STELE__LETTERS = 32,       /* of one mailbox before another one's turn */
    STELE__CHOICE = 64,        /* ready tasks that a simulation chooses among */
    STELE__DEPTH = 256,        /* waits within waits that run what is ready; threads of a simulation */
    STELE__IDLE_MS = 1000,     /* that a surplus thread sleeps before it ends */
    STELE__THREADS_MAX = 1024, /* of a runtime */
    STELE__SPARE_DEFAULT = 64
};

enum stele__runtime_kind {
    STELE__WORKERS,  /* threads of its own */
    STELE__DRIVEN,   /* the caller's threads, real time */
    STELE__SIMULATED /* one thread at a time, virtual time */
};

/* --- What is ready (ready.c) ------------------------------------------------------------- */

/* Lists of equal priority, chained by their first tasks. */
struct stele__ready {
    struct stele__task *first;
    atomic_size_t count; /* changed under the mutex, read by those who spin without it */
    atomic_int best;     /* the best priority; meaningful while something is ready */
};

void stele__ready_push(struct stele__ready *ready, struct stele__task *task);
/* The next task, or NULL. With `seed` the choice among the first ones of the best priority is drawn from it. */
struct stele__task *stele__ready_pop(struct stele__ready *ready, uint64_t *seed);

/* --- Threads (worker.c, timer.c) --------------------------------------------------------- */

struct stele__worker {
    stele_runtime *runtime;
    struct stele__worker *next;  /* of all; they are freed with the runtime only, so that a late waker finds them */
    struct stele__worker *below; /* in the stack of those asleep */
    pthread_t thread;
    enum { STELE__WORKER_UNUSED, STELE__WORKER_ALIVE, STELE__WORKER_ENDED } state;
    bool asleep;
    bool is_spinning; /* asleep, but looking: it need not be woken */
    bool busy;        /* running a callback, or about to */
    bool is_keeper;
    bool has_spun;                      /* the last time, with success */
    int64_t slept;                      /* since when, the last time */
    char apart[64];                     /* from what it looks at while it spins */
    bool is_to_call;                    /* another one, for there is more; set before the task */
    _Atomic(struct stele__task *) task; /* what it was called for; set under the mutex, taken without */
    struct stele__futex futex;          /* only its thread sleeps on it */
};

/* That this thread runs callbacks of a runtime; on its stack. */
struct stele__frame {
    stele_runtime *runtime;
    struct stele__worker *worker; /* NULL: a caller's thread */
    struct stele__frame *outer;
    unsigned depth; /* of the same runtime in a row */
};

/* Whether a spare thread was ever missed. */
enum stele__spare { STELE__SPARE_PLENTY, STELE__SPARE_OUT, STELE__SPARE_LOGGED };

/* Someone without workers who sleeps in stele__runtime_wait(). */
struct stele__waiter {
    struct stele__signal *signal;
    struct stele__waiter *next;
};

/* A thread that runs callbacks of a simulation, when it has the turn. */
struct stele__carrier {
    stele_runtime *runtime;
    pthread_t thread;
    struct stele__signal turn;
    struct stele__carrier *next; /* of those that are idle, or wait */
    bool ends;
    struct stele__signal *signal; /* what its callback waits for */
    int64_t deadline;
};

/* What the caller of a simulation wants. */
struct stele__goal {
    struct stele__signal *signal; /* it ends when this is set, or `end` has passed; NULL: none */
    int64_t end;                  /* how far time may pass; INT64_MIN: not at all */
    size_t most;                  /* steps; 0: no limit */
    size_t steps;                 /* begun so far */
    bool finishes;                /* while callbacks wait, time may pass as far as it takes */
    bool unwinds;                 /* callbacks that wait are told that it is in vain, oldest first */
};

struct stele_runtime {
    enum stele__runtime_kind kind;
    const struct stele_clock *clock;
    struct stele_clock virtual_clock;
    uint64_t seed;
    unsigned processors;
    unsigned generation; /* of the process, see base/fork.h */
    atomic_uint_fast64_t steps;
    atomic_int spare; /* enum stele__spare */

    pthread_mutex_t mutex; /* guards what follows; in a simulation, which belongs to one thread, not everything */
    struct stele__futex changed;
    unsigned watchers; /* who sleep on `changed`: told when all is quiet, or a thread has ended */
    struct stele__ready ready;
    bool stopping; /* no timer fires any more */
    bool stopped;  /* nothing runs any more */
    uint64_t random;

    struct stele__vector timers; /* struct stele__timer *: a binary heap */
    uint64_t timer_order;

    struct stele__worker *workers; /* all there ever were */
    struct stele__worker *asleep;
    int wanted; /* threads to be awake, as asked for */
    int spare_most;
    int threads;                  /* of the pool */
    int awake;                    /* of these, neither asleep nor blocked */
    int searching;                /* of these, not running anything */
    int busy;                     /* callbacks running, blocked ones and timers included */
    bool has_spinning;            /* the uppermost one asleep spins */
    struct stele__worker *keeper; /* who fires the timers */
    int keepers;                  /* threads that are keepers, or were and are in a callback still */
    int64_t keeper_until;         /* when it looks by itself */

    struct stele__waiter *waiters; /* without workers */
    int descriptor;                /* -1 until somebody asks */
    int event_descriptor;          /* readable while something is ready */
    int timer_descriptor;          /* readable when a timer is due */
    bool event_shown;
    int64_t due_shown;

    struct stele__carrier *carriers; /* STELE__DEPTH of them, in a simulation */
    unsigned carrier_count;          /* that have a thread */
    struct stele__carrier *idle;
    struct stele__carrier *waiting; /* in callbacks, in the order of beginning to wait */
    struct stele__goal *goal;       /* NULL: the turn is the caller's */
    struct stele__signal turn;      /* the caller's */
    bool has_turn;                  /* it was initialised */

    int64_t time;   /* virtual */
    uint64_t order; /* the generator of choices */
    stele_runtime_trace *trace;
    void *trace_context;

    /* Of those who wait for a signal, with workers; far from what is under the mutex. */
    atomic_uint spinning_waiters;
    atomic_bool are_waits_short; /* the last one was */
    atomic_int rising;           /* workers that are woken, and not there yet */
};

/* In a child of the process that made it: its threads are gone, and its locks may be held by them. */
static inline bool stele__runtime_is_foreign(const stele_runtime *runtime)
{
    return runtime->generation != stele__fork_generation();
}

static inline void stele__relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
    __asm__ volatile("yield");
#endif
}

/* Between two looks of one that spins. Those it waits for may be on this very processor: after a while it yields. */
static inline void stele__spin_pause(int look)
{
    if (look < STELE__SPINS_ALONE)
        stele__relax();
    else
        sched_yield();
}

/* worker.c: in the comments, "locked" means under the runtime's mutex. */
void stele__frame_enter(struct stele__frame *frame, stele_runtime *runtime, struct stele__worker *worker);
void stele__frame_leave(struct stele__frame *frame);
/* How deep this thread is in callbacks of the runtime; 0: not at all. */
unsigned stele__frame_depth(const stele_runtime *runtime);
/* Locked: a new thread. 0, or a code of errno(3). */
int stele__worker_start(stele_runtime *runtime, void *(*run)(void *), struct stele__worker **out);
/* Locked: the last thing that a thread does. */
void stele__worker_end(struct stele__worker *worker);
/* Locked: if what is ready needs a thread, have one: start it, or return one that has it to be woken after unlocking. */
struct stele__worker *stele__worker_call(stele_runtime *runtime);
/* Not locked: wake what was returned, if anybody. */
void stele__worker_wake(stele_runtime *runtime, struct stele__worker *worker);
/* Locked: start the threads that are wanted. 0, or a code of errno(3). */
int stele__worker_start_all(stele_runtime *runtime);
/* Around sleeping, wherever: if this thread works for a runtime, another one stands in. */
void stele__block_begin(void);
void stele__block_end(void);
/* Locked: tell who waits for quiet, or for threads to end. */
void stele__runtime_tell(stele_runtime *runtime);
/* Locked: nothing is ready, running or due. */
bool stele__runtime_is_quiet(const stele_runtime *runtime);

/* Add a task to what is ready and see to it that it is run; false if nothing runs any more. */
bool stele__runtime_add(stele_runtime *runtime, struct stele__task *task);
/* Run a task that was taken out of the queue; returns the steps (0: a mailbox with nothing to deliver). */
size_t stele__task_run(stele_runtime *runtime, struct stele__task *task, size_t most);

/* mailbox.c: deliver letters, at most so many; the mailbox may be gone after. */
size_t stele__mailbox_deliver(struct stele__mailbox *mailbox, size_t most);
/* The runtime will not run it any more. */
void stele__mailbox_unschedule(struct stele__mailbox *mailbox);

/* timer.c, locked. */
/* A thread that fires the timers from now on; false if there is none to be had. */
bool stele__keeper_start(stele_runtime *runtime);
/* Have it look at the timers, and at whether to end. */
void stele__keeper_wake(stele_runtime *runtime);
/* When the next timer is due; INT64_MAX: never. */
int64_t stele__timer_next(const stele_runtime *runtime);
/* Take the next one out if it is due at `time`. */
struct stele__timer *stele__timer_take(stele_runtime *runtime, int64_t time);

/* step.c: run one thing in the caller's thread; false if nothing is ready. */
bool stele__step(stele_runtime *runtime);
/* After the last one: let a poller know what is left. */
void stele__step_end(stele_runtime *runtime);

/* wait.c, locked: have someone who sleeps without workers look again. */
void stele__waiter_rouse(stele_runtime *runtime);

/* Sleep, in real time, until a signal is set. */
void stele__signal_sleep(struct stele__signal *signal);

/* simulation.c */
/* False when memory is out; the runtime is destroyed as any other one. */
bool stele__simulation_init(stele_runtime *runtime, uint64_t seed);
void stele__simulation_fini(stele_runtime *runtime);
/* Let time pass to the next timer; false if that is beyond `end`. */
bool stele__simulation_jump(stele_runtime *runtime, int64_t end);
/* Run what is ready, at most so many steps (0: no limit); returns how many. `finishes`: see struct stele__goal. */
size_t stele__simulation_run(stele_runtime *runtime, size_t most, bool finishes);
/* Run a few steps; once nothing is ready, end the waits of callbacks. */
void stele__simulation_unwind(stele_runtime *runtime);
void stele__simulation_trace(stele_runtime *runtime, const char *kind, const char *name);
bool stele__simulation_wait(stele_runtime *runtime, struct stele__signal *signal, int64_t deadline);

/* carrier.c */
/* Whether this thread is one of the simulation's own. */
bool stele__carrier_is_here(const stele_runtime *runtime);
/* Wait in a callback, on such a thread. False, too, when there is no other thread to run what is waited for. */
bool stele__carrier_wait(stele_runtime *runtime, struct stele__signal *signal, int64_t deadline);
/* Give the turn away until the goal is reached. Only with no other goal. */
void stele__carrier_pursue(stele_runtime *runtime, struct stele__goal *goal);
/* End the threads; false, and nothing is done, if one of them is in a callback. */
bool stele__carrier_end_all(stele_runtime *runtime);

/* descriptor.c, locked: show what is ready and due to whoever polls. */
void stele__descriptor_update(stele_runtime *runtime);
void stele__descriptor_close(stele_runtime *runtime);

#endif
