/*
 * The inside of an open store, for the files of the front and for the
 * repository above it.
 */
#ifndef STELE_STORE_STORE_H
#define STELE_STORE_STORE_H

#include <stele/spi/store.h>
#include <stele/subscription.h>

#include "store/hooks.h"
#include "store/idle.h"
#include "store/later.h"
#include "store/listen.h"
#include "store/queue.h"
#include "store/watch.h"

struct stele__upcasting;

/* The subscriptions that run on a handle. */
struct stele__subscribed {
    pthread_mutex_t mutex; /* guards what follows, and each one's `next` */
    stele_subscription *first;
};

struct stele_store {
    const struct stele_store_ops *ops;
    struct stele_backend *backend;
    const struct stele_clock *clock;
    bool read_only;
    size_t payload_limit;
    unsigned generation;       /* of the process that opened it, see base/fork.h */
    atomic_uint holds;         /* of those who have it open: whoever opened it, and each who holds it */
    struct stele__queue queue; /* what every append goes through */
    struct stele__later later; /* snapshots to be written */
    struct stele__idle idle;   /* calls the backend between writes */
    struct stele__listeners listeners;
    struct stele__watch watch;           /* for what others commit */
    struct stele__subscribed subscribed; /* what runs on this handle */
    const struct stele_hooks *hooks;     /* may be NULL */
    struct stele__upcasting *upcasting;  /* how old shapes are read; NULL: as they are */
    /* See store/companion.h; used in the gate, all three. */
    struct stele__companion *companion; /* what takes part in appends; NULL: nothing ever did */
    struct stele__annex *annex;         /* a database of views beside the backend; NULL: none */
    bool applying;                      /* a participant is being called */
};

/* Keep a store open, also when it is closed meanwhile: that is put off until the last one has let it go. Thread-safe. */
void stele__store_hold(stele_store *store);
void stele__store_let_go(stele_store *store);

/* STELE_INVALID for NULL and from what takes part in appends, STELE_FORKED in a child of the process that opened the
 * store. */
stele_status stele__store_check(const stele_store *store, stele_error **error);

/* The same, STELE_READ_ONLY for a store that was opened for reading, and STELE_INVALID in a transaction of this thread:
 * what writes would wait for itself. */
stele_status stele__store_check_writable(const stele_store *store, stele_error **error);

/* The name of a stream as an argument: stele__name_check() with "stream" in the error. */
stele_status stele__store_check_stream(struct stele_slice name, stele_error **error);

/*
 * Fold over what a query selects, as it is read: as stele_read(), but each
 * message is lent to `visit` straight from the backend, without a copy, until it returns false.
 * `visit` must not call the store: a transaction may be open meanwhile, so it
 * should be quick. All is of one snapshot of the log, which ends at `head` (may
 * be NULL; as stele_cursor_head(), filled on STELE_OK). A row that cannot be
 * read is STELE_CORRUPT and ends the visit.
 */
typedef bool stele__message_visit(void *context, const stele_message *lent);
stele_status stele__store_visit(stele_store *store, const struct stele_query *query, stele__message_visit *visit,
                                void *context, struct stele_head *head, stele_error **error);

/* Where the event with an id is in its stream, and when it was; version 0 if there is none. */
struct stele__place_in_stream {
    uint64_t version;
    int64_t time;
};
stele_status stele__store_place(stele_store *store, const struct stele_uuid *id, struct stele__place_in_stream *out,
                                stele_error **error);

/*
 * stele_append_batch(), for a batch whose command stands for more than it says
 * itself: `digest` (see store/ledger.h) is what it is told apart by; NULL: its own.
 */
stele_status stele__store_append(stele_store *store, const struct stele_batch *batch, const uint8_t *digest,
                                 struct stele_appended *result, stele_error **error);

/* A stream of the library's own: nobody else writes it, and readers by name are not shown it. */
static inline bool stele__stream_is_own(struct stele_slice name)
{
    return name.size && name.data[0] == '$';
}

/* The same for streams of the library's own, whose names begin with '$'. */
stele_status stele__store_append_own(stele_store *store, const struct stele_batch *batch, stele_error **error);

/* The gate of whatever writes besides appends: between the two no append is with the backend. */
void stele__store_enter(stele_store *store);
void stele__store_leave(stele_store *store);

/* --- Snapshots ------------------------------------------------------------------- */

/*
 * Visit the snapshot of a stream, lent for the call; no visit if there is none.
 * One that cannot be read (its row or its page is damaged) is logged and not
 * visited either, but `*damaged` is set: worth counting, and worth a new one.
 * `visit` must not call the store; what it returns is of no account. Thread-safe.
 */
stele_status stele__store_load_snapshot(stele_store *store, struct stele_slice stream, stele_snapshot_visit *visit,
                                        void *context, bool *damaged, stele_error **error);

/*
 * Keep a snapshot in place of the stored one. A stored one that is newer, sound
 * and of the same fingerprint stays (STELE_OK). STELE_NOT_FOUND if the stream is
 * missing, STELE_INVALID if the snapshot's version is beyond the stream's,
 * STELE_READ_ONLY; STELE_BUSY, STELE_FULL, STELE_IO and the like as in an append.
 * Waits for the appends before it. Thread-safe.
 */
stele_status stele__store_save_snapshot(stele_store *store, const struct stele_snapshot *snapshot, stele_error **error);

/* Delete the snapshot of a stream, if it has one; with an absent `stream` every snapshot. */
stele_status stele__store_drop_snapshot(stele_store *store, struct stele_slice stream, stele_error **error);

#endif
