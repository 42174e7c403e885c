/*
 * stele/subscription.h - durable readers of the log, by name.
 *
 * A subscription shows the events of a store to a function, each one, in the
 * order of the log, from where it stopped the last time. It reads in batches
 * while it is behind (*catching up*), and is woken by each commit once it is not
 * (*live*), whichever process commits. How far it has come is its checkpoint.
 *
 *     @example subscription
 *     #define PARCEL_LOST(FIELD, T) FIELD(T, TEXT, parcel)
 *     STELE_DECLARE(parcel_lost, PARCEL_LOST);
 *     STELE_DEFINE_EVENT(parcel_lost, "parcel.lost", 1, PARCEL_LOST);
 *
 *     static stele_status tell_insurance(void *context, const stele_message *event, stele_error **error)
 *     {
 *         FILE *letters = context;
 *         (void)error;
 *         fprintf(letters, "%s\n", stele_message_id(event).data);
 *         return STELE_OK;
 *     }
 *
 *     static const char *const losses[] = {"parcel.lost", NULL};
 *     static const struct stele_subscriber insurance = {
 *         .name = "insurance",
 *         .types = losses,
 *         .receive = tell_insurance,
 *     };
 *
 *     stele_status tell_all(stele_store *store, stele_runtime *runtime, FILE *letters, stele_error **error)
 *     {
 *         stele_subscription *subscription = NULL;
 *         stele_status status = stele_subscription_start(store, runtime, &insurance, letters, &subscription, error);
 *         if (status == STELE_OK)
 *             status = stele_subscription_wait(subscription, 100, 5000, error); // until position 100 is handled
 *         stele_subscription_free(subscription);
 *         return status;
 *     }
 *     @end
 *
 * Delivery is at least once: after a kill the events since the last checkpoint
 * come again, with the same ids. A subscriber whose effect is in a database
 * makes it exactly once by keeping the position there as well, in the same
 * transaction (`load`, `begin`, `commit`, `rollback`); projections
 * (stele/projection.h) are subscribers of that kind.
 *
 * One name is one reader. If two processes run it, both are shown events, until one of them finds the checkpoint moved by
 * the other: that one has failed, and since that is recorded, the next to start stands until it is resumed.
 *
 * The states, and what leads from one to the other:
 *
 *                          ┌───────────── behind ─────────────┐
 *     new ── start ──► catching up ── at the head ──► live ────┘
 *                        │   ▲  ▲
 *            it fails    │   │  │  done: parked, passed over, or handled in the end
 *                        ▼   │  │
 *                     retrying ─┴── attempts used up ──► parked (being written down, then on), or failed
 *
 *     paused      by stele_subscription_pause(), from any of these, until resumed; also in the next process
 *     failed      it stands before the event that failed, until resumed; also in the next process
 *     finished    it has come to where it was to end (`until`); the next one goes on from there
 *     detached    its code was said to be gone (stele_subscriptions_keep()): refused until it is attached again
 *
 * An event that fails ends neither the process nor anything else: its
 * subscription tries again, later each time, and then does as its policy says.
 * Events before it in its batch have their effect; none behind it until it is decided.
 *
 * Subscriptions are thread-safe. In a simulation they belong to its thread.
 */
#ifndef STELE_SUBSCRIPTION_H
#define STELE_SUBSCRIPTION_H

#include <stele/base.h>
#include <stele/error.h>
#include <stele/message.h>
#include <stele/retry.h>
#include <stele/runtime.h>
#include <stele/store.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct stele_subscription stele_subscription;

#define STELE_SUBSCRIPTION_BATCH 500       /* events of one batch, by default */
#define STELE_SUBSCRIPTION_BATCH_MAX 10000 /* at most */

/* --- What a subscriber says of itself -------------------------------------------- */

/* Where a subscription begins that has no checkpoint. */
enum stele_start {
    STELE_START_FIRST,    /* with the first event */
    STELE_START_NOW,      /* with what is committed from now on */
    STELE_START_POSITION, /* behind `position` */
    STELE_START_TIME      /* with the first event whose time is at or after `time` */
};

/* Where it ends: then it is finished. */
enum stele_until {
    STELE_UNTIL_STOPPED, /* never by itself */
    STELE_UNTIL_HEAD     /* at the head of the log as it was when it started */
};

/* What becomes of an event that failed, retries included. */
enum stele_poison_policy {
    STELE_POISON_PARK, /* it becomes a dead letter (stele/deadletters.h) under the subscription's name, and the
                          subscription goes on; requeued, it is shown to `receive` once more */
    STELE_POISON_STOP, /* the subscription has failed, and stands before it; so it does instead of parking on a store
                          that is opened for reading, where nothing can be put aside */
    STELE_POISON_SKIP  /* it is logged, counted and left behind */
};

/* A subscriber; constant, and there as long as its subscription. */
struct stele_subscriber {
    const char *name; /* of the subscription and its checkpoint; at most STELE_CHECKPOINT_MAX bytes */

    /* Which events: all that fit both. The library's own streams ('$') are never shown. */
    const char *const *types; /* type names or patterns ("order.>"), NULL at the end; NULL: all */
    const char *category;     /* streams whose names begin with this; NULL: all */

    enum stele_start start;
    uint64_t position;
    int64_t time;
    enum stele_until until;

    /*
     * Handle one event, lent for the call. Anything but STELE_OK is a failure, with `*error` set or not. Called by one
     * thread at a time, a worker of the runtime.
     */
    stele_status (*receive)(void *context, const stele_message *event, stele_error **error);

    /*
     * For a subscriber that keeps the position itself; all four or none. The effect of a batch and its position must
     * take effect together:
     *
     *     load ── { begin ── receive* ── commit | rollback }*
     *
     * `load` gives the position it is at; STELE_NOT_FOUND: it has none yet. `commit` moves from the position that was
     * loaded or committed last (STELE_NO_CHECKPOINT: it had none) to another; STELE_CONFLICT if it is somewhere else:
     * somebody else has moved it, and the subscription has failed. `to` is `from` for an event that was parked and is
     * shown once more: its effect is committed, the position stays, and is compared all the same. Where nothing was
     * shown for a while, a batch may consist of `begin` and `commit` alone. `rollback` takes back all since `begin`,
     * also after a `commit` that failed.
     *
     * What is the place's fault and not the event's (STELE_BUSY, STELE_FULL, STELE_IO, STELE_READ_ONLY, STELE_DENIED,
     * STELE_NO_MEMORY) is tried again, from `load` on, also when `receive` says so; without end where it may pass, and
     * otherwise as often as an event: then the subscription has failed. So a full disk parks nothing. A `commit` that
     * fails otherwise is put to the events of its batch, each by itself.
     *
     * The store's checkpoint of the same name is then written now and then, for stele_subscriptions_visit() alone.
     */
    stele_status (*load)(void *context, uint64_t *position, stele_error **error);
    stele_status (*begin)(void *context, stele_error **error);
    stele_status (*commit)(void *context, uint64_t from, uint64_t to, stele_error **error);
    void (*rollback)(void *context);

    size_t batch;      /* events of one batch while catching up; default STELE_SUBSCRIPTION_BATCH */
    uint32_t pause_ms; /* most time between a handled event and its checkpoint or `commit`, while `receive` returns;
                          default 50 */
    /* `receive` neither calls the store nor waits for anything: events are shown to it as they are read, without a
     * copy, while a snapshot of the store is held. */
    bool in_place;

    const struct stele_retry *retry; /* NULL: its defaults (4 attempts, from 1 s on) */
    enum stele_poison_policy on_failure;

    /* Told of each change of state but of being detached, in the thread that changes it, without a lock; it may pause and
     * resume, and must not free. May be NULL. */
    void (*changed)(void *context, stele_subscription *subscription);
};

/* --- Running ------------------------------------------------------------------------ */

/*
 * Start a subscription on a store and a runtime, both of which must outlive it.
 * It begins to read at once, on the runtime. STELE_INVALID names what is wrong with the
 * subscriber; STELE_CONFLICT, with "subscription" and "state", if it was detached, or runs
 * already on this handle; a paused or failed one starts in that state. A position
 * beyond the log (a restored backup) is STELE_INVALID with "position" and "head": it would
 * miss events; see stele_checkpoint_write() and `load`. STELE_READ_ONLY for one that
 * keeps its position in a store opened for reading; STELE_IO; STELE_NO_MEMORY.
 */
STELE_API stele_status stele_subscription_start(stele_store *store, stele_runtime *runtime,
                                                const struct stele_subscriber *subscriber, void *context,
                                                stele_subscription **out, stele_error **error);

/*
 * Stop, behind the event that is being handled, write the checkpoint, and free;
 * NULL is allowed. Waits for `receive` to return. In one of its own functions it does
 * nothing but log that, and so it does after fork() in the child, without the log.
 */
STELE_API void stele_subscription_free(stele_subscription *subscription);

/* Hold it before the next event, and let it go on; also a failed one, with all its attempts. Both are recorded in the store
 * and hold for the next process. Doing so twice is harmless. STELE_INVALID for one that is finished; errors as stele_append(). */
STELE_API stele_status stele_subscription_pause(stele_subscription *subscription, stele_error **error);
STELE_API stele_status stele_subscription_resume(stele_subscription *subscription, stele_error **error);

/*
 * Wait until all up to a position of the log is handled (parked and skipped
 * events included). STELE_LATE if it is not after `timeout_ms`; STELE_FAILED, with
 * "code" and the text, if the subscription has failed, STELE_CANCELLED if it is paused or
 * finished before it; STELE_INVALID in its own `receive`.
 */
STELE_API stele_status stele_subscription_wait(stele_subscription *subscription, uint64_t position, uint32_t timeout_ms,
                                               stele_error **error);
/* Wait until it is finished. Errors as stele_subscription_wait(), and STELE_TIMEOUT. */
STELE_API stele_status stele_subscription_join(stele_subscription *subscription, uint32_t timeout_ms,
                                               stele_error **error);

/* --- Looking ------------------------------------------------------------------------- */

enum stele_subscription_state {
    STELE_SUBSCRIPTION_NEW,
    STELE_SUBSCRIPTION_CATCHING_UP,
    STELE_SUBSCRIPTION_LIVE,
    STELE_SUBSCRIPTION_PAUSED,
    STELE_SUBSCRIPTION_RETRYING,
    STELE_SUBSCRIPTION_PARKED,
    STELE_SUBSCRIPTION_FAILED,
    STELE_SUBSCRIPTION_FINISHED,
    STELE_SUBSCRIPTION_DETACHED
};
/* The name of a state in small letters: "catching up". Static; "?" for a number that is none. */
STELE_API const char *stele_subscription_state_name(enum stele_subscription_state state);

struct stele_subscription_stats {
    enum stele_subscription_state state;
    bool is_healthy;         /* it is not failed, and the last attempt succeeded */
    uint64_t position;       /* all up to here is handled */
    uint64_t head;           /* of the log, as far as is known */
    uint64_t lag;            /* positions between them */
    uint64_t begin;          /* the position at which this run began: for progress */
    uint64_t handled;        /* events, in this run */
    double rate;             /* of these a second, of the last seconds */
    int64_t time_left;       /* nanoseconds to the head at that rate; -1: not known */
    uint64_t errors;         /* calls that failed, in this run */
    uint64_t failures;       /* since the last success */
    uint64_t parked;         /* in this run */
    uint64_t skipped;        /* in this run, by policy */
    uint64_t batches;        /* committed */
    stele_status last_error; /* STELE_OK if there was none; stays after recovery */
    uint64_t last_error_position;
    int64_t last_error_time;
    char last_error_text[256];
};
/* After fork(), in the child: nothing but zeros. */
STELE_API void stele_subscription_get_stats(stele_subscription *subscription, struct stele_subscription_stats *out);

/* The subscriber's name; valid as long as the subscription. */
STELE_API const char *stele_subscription_name(const stele_subscription *subscription);

/* --- All of a store ---------------------------------------------------------------------- */

/* A subscription as the store knows it, whether it runs somewhere or not; lent for the visit. */
struct stele_subscription_record {
    const char *name;
    /* As last recorded: CATCHING_UP or LIVE by its position, PAUSED, FAILED, DETACHED. */
    enum stele_subscription_state state;
    uint64_t position, head, lag; /* the head is that of what subscriptions are shown */
    int64_t time;                 /* when the position was written */
    uint64_t parked;              /* events parked now */
    const char *code;             /* of the last failure that stopped it: name of the status; "" if none */
    const char *text;             /* its text */
    uint64_t at;                  /* the position it failed at; 0 if none */
};

/* Call `visit` for each subscription and durable route, by name, until it returns false; it must not call the store. Errors
 * as stele_read(). */
typedef bool stele_subscription_visit(void *context, const struct stele_subscription_record *record);
STELE_API stele_status stele_subscriptions_visit(stele_store *store, stele_subscription_visit *visit, void *context,
                                                 stele_error **error);

/*
 * Say which subscriptions the program still has (NULL at the end of the list): all
 * others that the store knows become detached, and `*detached` (may be NULL) is how many did. A
 * detached one keeps its checkpoint, but is not started again by a program that
 * happens to know it (an old release, say) until stele_subscription_attach() is
 * called. Those that run on this handle stop. A durable route (stele/bus.h) is refused as well when
 * it is added, but goes on where it runs. Errors as stele_append().
 */
STELE_API stele_status stele_subscriptions_keep(stele_store *store, const char *const *names, uint64_t *detached,
                                                stele_error **error);
/* STELE_NOT_FOUND if the store does not know it; harmless for one that is not detached. */
STELE_API stele_status stele_subscription_attach(stele_store *store, const char *name, stele_error **error);

#ifdef __cplusplus
}
#endif

#endif
