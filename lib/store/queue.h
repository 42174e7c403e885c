/*
 * Group commit: appends of any number of threads become groups, each written
 * by one call of the backend, with one sync. See queue.c for how.
 *
 * Thread-safe, except for init and fini.
 */
#ifndef STELE_STORE_QUEUE_H
#define STELE_STORE_QUEUE_H

#include <stele/hooks.h>
#include <stele/spi/store.h>

#include "base/futex.h"

#include <pthread.h>
#include <stdatomic.h>

enum { STELE__GROUP_MAX = 256 }; /* most members of a group; its events and bytes are bounded as those of a batch */

/* Bounds of what is held, if nothing else is asked for. */
enum { STELE__QUEUE_EVENTS = 65536, STELE__QUEUE_BYTES = 32 * 1024 * 1024 };

enum stele__queue_word {
    STELE__WORD_EVEN, /* members of groups with an even number, and of odd ones: two, so that */
    STELE__WORD_ODD,  /* who waits for the next group sleeps on while this one is woken */
    STELE__WORD_HEIR, /* the one who leads next */
    STELE__WORD_COMMITTER,
    STELE__WORD_ROOM, /* appenders for whom the queue is too full */
    STELE__WORD_FLUSH,
    STELE__WORD_COUNT
};

/* One append in the queue: on the stack of the thread that waits for it, or allocated. */
struct stele__queue_entry {
    struct stele_append_member member; /* the caller's; the outcome is the queue's */
    size_t bytes;                      /* of payloads and attributes */
    /* Called once with the outcome, without a lock, and may free the entry. NULL: a thread waits for it. */
    void (*deliver)(struct stele__queue_entry *entry);

    /* The queue's own. */
    struct stele__queue_entry *next;
    enum stele__queue_word word; /* what its thread sleeps on */
    atomic_int state;            /* enum entry_state */
};

/* A first-in-first-out list of entries, with what is in it. */
struct stele__queue_list {
    struct stele__queue_entry *first;
    struct stele__queue_entry *last;
    size_t count;
    size_t events;
    size_t bytes;
};

struct stele__idle;
struct stele__listeners;

struct stele__queue {
    const struct stele_store_ops *ops;
    struct stele_backend *backend;
    const struct stele_hooks *hooks;    /* told of commits; may be NULL; set before the first append */
    struct stele__idle *idle;           /* told of writes; may be NULL; likewise */
    struct stele__listeners *listeners; /* told of what is committed; may be NULL; likewise */
    size_t events_limit;
    size_t bytes_limit;
    struct stele__futex words[STELE__WORD_COUNT];
    pthread_t committer;     /* if `started` */
    pthread_mutex_t gate;    /* held while the backend writes */
    atomic_uintptr_t inside; /* the thread that holds it, by the address of something of its own; 0: none */

    pthread_mutex_t mutex; /* guards what follows */
    struct stele__queue_list waiting;
    struct stele__queue_list finished; /* committed, but not delivered yet */
    struct stele__queue_entry *heir;   /* the one of `waiting` who sleeps on STELE__WORD_HEIR; may be NULL */
    unsigned generation;               /* of the group that `waiting` becomes; its parity chooses the word */
    bool leading;                      /* there is a leader, or one was named and has yet to wake */
    bool committing;                   /* it has taken its group */
    bool delivering;                   /* some thread calls deliver functions */
    bool started;                      /* there is a committer thread */
    bool kicked;                       /* it was told that there is something to do */
    bool stopping;
    size_t events; /* held: waiting, being committed, or not delivered yet */
    size_t bytes;
    uint64_t room_asked, room_given; /* tickets of appenders, who are let in in order */
    uint64_t pushed, delivered;      /* asynchronous entries ever */
    size_t flushing;                 /* threads in stele__queue_flush() */
    struct stele_hook_commit untold; /* committed inside hooks, and not told yet */

    atomic_size_t arrived; /* count of `waiting`, for a leader to watch without the mutex */
    atomic_size_t about;   /* members of the last group, and those who waited when it was done */
    struct stele_append_member members[STELE__GROUP_MAX]; /* the leader's */
};

/* Groups go to `ops->append(backend, ...)`. Limits of 0 are the defaults. */
stele_status stele__queue_init(struct stele__queue *queue, const struct stele_store_ops *ops,
                               struct stele_backend *backend, size_t events_limit, size_t bytes_limit,
                               stele_error **error);
/* Commit and deliver all that was pushed, also by deliver functions meanwhile; then stop. No other call may be running. */
void stele__queue_fini(struct stele__queue *queue);

/* Append and wait for the outcome, in `entry->member`. Blocks while the queue is full. */
void stele__queue_append(struct stele__queue *queue, struct stele__queue_entry *entry);

/*
 * Append without waiting for the outcome: it goes to `entry->deliver`, in the
 * order of pushing, one at a time. Blocks while the queue is full, except in a
 * deliver function. On failure (STELE_NO_MEMORY: no thread can be started)
 * the entry is the caller's.
 */
stele_status stele__queue_push(struct stele__queue *queue, struct stele__queue_entry *entry, stele_error **error);

/* Between the two no group is with the backend: for what else writes to it. Deliver functions may do so too. */
void stele__queue_enter(struct stele__queue *queue);
void stele__queue_leave(struct stele__queue *queue);
/* Enter without waiting; false if somebody is in there or waits to be. */
bool stele__queue_try_enter(struct stele__queue *queue);
/* Is it this thread that is in there? It would wait for itself. */
bool stele__queue_is_inside(const struct stele__queue *queue);
/* To be said before leaving, if something may have been written. */
void stele__queue_wrote(struct stele__queue *queue);

/* Wait until all pushed before is delivered. STELE_INVALID in a deliver function, which would wait for itself. */
stele_status stele__queue_flush(struct stele__queue *queue, stele_error **error);

#endif
