/*
 * The inside of a subscription.
 *
 *     subscription.c         starting, ending, what others call while it runs
 *     subscription_step.c    what it does when it is woken: batches, failures
 *     subscription_place.c   where it is: finding and writing it
 *     subscription_batch.c   reading a batch of the log and showing it
 *     subscription_filter.c  which events
 *     subscription_state.c   the states, and what becomes of an event that failed
 *     subscribed.c           what a store knows of all of them
 *     parked.c               events that were put aside
 */
#ifndef STELE_STORE_SUBSCRIPTION_H
#define STELE_STORE_SUBSCRIPTION_H

#include <stele/subscription.h>

#include "message/message.h"
#include "store/store.h"
#include "store/tail.h"

/* --- States (subscription_state.c) --------------------------------------------------- */

/* The state of a name; false if there is none of that name. */
bool stele__subscription_find_state(const char *name, enum stele_subscription_state *out);
/* Move on, if the table says so. */
bool stele__subscription_move(enum stele_subscription_state *state, enum stele_subscription_state next);

enum stele__end { STELE__END_RETRY, STELE__END_PARK, STELE__END_SKIP, STELE__END_STOP };
struct stele__verdict {
    enum stele__end end;
    int64_t pause; /* RETRY: nanoseconds before it */
};
/* What becomes of an event that has failed `attempts` times, the last time with `status`. */
struct stele__verdict stele__subscription_judge(const struct stele_subscriber *subscriber, unsigned attempts,
                                                stele_status status, uint64_t random);
/* The same for what is no event's fault: a store that cannot be read, a commit that fails. Tried again without end where
 * that may help. */
struct stele__verdict stele__subscription_judge_surroundings(const struct stele_subscriber *subscriber,
                                                             unsigned attempts, stele_status status, uint64_t random);
/* Is a failure, while an event's effect was written to a database, the database's? */
bool stele__subscription_is_surroundings(stele_status status);

/* --- Which events (subscription_filter.c) ----------------------------------------------- */

enum { STELE__FILTER_SLOTS = 64 };

struct stele__filter_slot {
    uint16_t size; /* 0: empty */
    bool is_wanted;
    char name[STELE_TYPE_MAX];
};

struct stele__filter {
    const char *const *types;         /* NULL: all, or pushed down */
    struct stele__filter_slot *slots; /* of types that were seen, by hash; if `types` */
    const char *pushed;               /* the only type, for the store to look for; NULL: none */
};

stele_status stele__filter_init(struct stele__filter *filter, const char *const *types, stele_error **error);
void stele__filter_fini(struct stele__filter *filter);
bool stele__filter_find(const struct stele__filter *filter, struct stele_slice type);

/* Is an event to be shown? */
static inline bool stele__filter_wants(const struct stele__filter *filter, const stele_message *event)
{
    if (stele__stream_is_own(event->stream))
        return false;
    return !filter->types || stele__filter_find(filter, event->type);
}

/* --- The subscription ----------------------------------------------------------------------- */

/* An event that failed, or what stood in for one: a damaged row has neither id nor type. */
struct stele__poison {
    uint64_t position; /* 0: none */
    unsigned attempts;
    bool is_judged; /* `verdict` is of the last attempt */
    struct stele__verdict verdict;
    stele_status status;
    char id[STELE_ID_MAX + 1];
    char type[STELE_TYPE_MAX + 1];
    char text[256];
};

/* Somebody who waits; on its stack. */
struct stele__subscription_waiter {
    uint64_t position; /* UINT64_MAX: for the end */
    struct stele__signal signal;
    struct stele__subscription_waiter *next;
};

struct stele_subscription {
    stele_store *store;
    stele_runtime *runtime;
    const struct stele_subscriber *subscriber;
    void *context;
    void (*let_go)(void *context); /* the subscription owns the context, and this frees it; NULL: it does not */
    struct stele__tail tail;
    struct stele__filter filter;
    bool keeps_position; /* the subscriber does */
    size_t batch;
    int64_t save_pause;
    uint64_t end; /* where it is finished; UINT64_MAX: never */
    /* Nothing behind this is to be shown in the batch that is under way: somebody waits for it, or it is to stop (0). */
    _Atomic uint64_t stop_at;
    atomic_bool is_fresh; /* it was resumed: all attempts anew */
    atomic_bool is_moved; /* its position is another: load it */

    /* The step's own. */
    uint64_t position; /* all up to here is handled */
    uint64_t written;  /* what the checkpoint, or the subscriber, is at; STELE_NO_CHECKPOINT: none yet */
    uint64_t marked;   /* the store's checkpoint, if the subscriber keeps the position itself */
    bool needs_load;
    struct stele__poison poison;
    uint64_t single_until; /* up to here each event is a batch */
    unsigned faults;       /* of the surroundings, one after the other */
    int64_t retry_at;      /* by the monotonic clock; 0: at once */
    int64_t save_at;
    int64_t save_retry; /* the last pause after a checkpoint that could not be written */
    int64_t mark_at;
    uint64_t look_in; /* events until the clock is read */
    uint64_t look_step;
    uint64_t handled, batches;
    struct stele__parked *parked;

    pthread_mutex_t recording; /* of whoever writes a state to the store; taken before `mutex` */
    pthread_mutex_t mutex;     /* guards what follows */
    struct stele_subscription_stats stats;
    int64_t rate_since; /* the beginning of the second that is counted */
    uint64_t rate_handled, rate_position;
    double position_rate;
    struct stele__subscription_waiter *waiters;
    stele_subscription *next; /* of its store; guarded by that list's mutex */
};

/* --- Running (subscription_step.c) ------------------------------------------------------------ */

/* Of the tail. */
bool stele__subscription_step(struct stele__tail *tail);
/* Its present state, for who does not hold the mutex. */
enum stele_subscription_state stele__subscription_state(stele_subscription *subscription);
/* Its code is said to be gone: it shows nothing more, and records no other state any more. False if that was so.
 * Thread-safe; the state is recorded by the caller. */
bool stele__subscription_detach(stele_subscription *subscription);

/* The subscriber, who keeps the position itself, has moved it: it is loaded before the next event, and until then nobody
 * who waits is told of the one that was. Thread-safe. */
void stele__subscription_reload(stele_subscription *subscription);
/* Publish where it is, to those who wait. */
void stele__subscription_publish(stele_subscription *subscription, int64_t now);
/* Under the mutex: wake those who have what they wait for, or cannot get it any more. */
void stele__subscription_rouse(stele_subscription *subscription);
void stele__subscription_note_error(stele_subscription *subscription, stele_status status, const char *text,
                                    uint64_t position);
/* Call `changed`. */
void stele__subscription_tell(stele_subscription *subscription);

/* Who is in a step, in this thread, from the innermost on. */
struct stele__subscription_frame {
    const stele_subscription *subscription;
    struct stele__subscription_frame *outer;
};
void stele__subscription_enter(struct stele__subscription_frame *frame);
void stele__subscription_leave(const struct stele__subscription_frame *frame);

/* --- Where it is (subscription_place.c) -------------------------------------------------------- */

/* Find where it is, and check that it is within the log. */
stele_status stele__subscription_load(stele_subscription *subscription, stele_error **error);
/* Write down where it is: its checkpoint, or, where nothing was shown, the subscriber's own position. `error` is not NULL. */
stele_status stele__subscription_save(stele_subscription *subscription, stele_error **error);
/* Bring the store's checkpoint of one that keeps its position itself to where it is, for those who look. */
void stele__subscription_mark(stele_subscription *subscription);
/* Write down all of it, when nothing runs any more. */
void stele__subscription_save_last(stele_subscription *subscription);

/* --- A batch (subscription_batch.c) ------------------------------------------------------------ */

enum stele__fault {
    STELE__FAULT_NONE,
    STELE__FAULT_EVENT,       /* `receive` failed, or a row cannot be read: `poison` tells which */
    STELE__FAULT_SURROUNDINGS /* the store, or `begin` */
};

struct stele__batch {
    stele_subscription *subscription;
    uint64_t after, until;
    size_t limit;
    uint64_t shown;   /* messages */
    uint64_t at;      /* of the event shown last */
    uint64_t reached; /* all up to here was looked at */
    bool is_begun;    /* the subscriber's transaction */
    bool is_stopped;
    bool is_again; /* an event that was parked */
    bool is_late;  /* the clock says that its position is to be written */
    int64_t began;
    enum stele__fault fault;
    uint64_t failed_at;
    stele_status status;
    stele_error *why;
};

/* Read and show what is behind `after`, up to `until`, at most `limit` events. Says in `fault` what went wrong; `why` is
 * then the caller's. */
void stele__subscription_read(struct stele__batch *batch);

#endif
