/*
 * Views in the store's own file, and taking part in its transactions.
 *
 *     append of this handle ─► gate ─► BEGIN ─ events written ─ each part: apply() ─ COMMIT ─► acknowledged
 *     stele_views_begin() of a handle in a store ─► gate ─► BEGIN ─ ... ─ stele_views_commit() ─► gate given back
 *
 * A handle in a store writes through the store's only writing connection, so
 * under the gate that appends go through: in apply(), and between begin and
 * commit, which are durable as an append is. Its transactions wake nobody, as they
 * append nothing. In a store in memory the views are in a database of SQLite in memory.
 */
#ifndef STELE_PROJECTIONS_INSTORE_H
#define STELE_PROJECTIONS_INSTORE_H

#include <stele/store.h>
#include <stele/view.h>

#include "store/companion.h"

/*
 * A handle that writes views in a store's file; closed by stele_views_close(), before the store. Single calls outside of
 * begin and commit are transactions of their own, as ever. A transaction is ended by the thread that began it, which
 * appends nothing meanwhile (STELE_INVALID). Tables named as the store's own are refused, and what would make the store
 * foreign to itself (commit fails with STELE_FOREIGN). A commit that was cut short is STELE_UNKNOWN, as an append.
 * STELE_READ_ONLY for a store opened for reading; STELE_NO_MEMORY; STELE_INVALID if the backend has no room for views.
 */
stele_status stele__views_in_store(stele_store *store, stele_views **out, stele_error **error);

/*
 * What takes part in each append of this handle. Members are set by who embeds it. Its checkpoint, under `name`, is
 * written in each transaction that appends; where it finds, in the transaction, that events were appended without it (by
 * another process, an older program), it applies those first: if that fails, so does the append, with "position".
 */
struct stele__part {
    const char *name;   /* of its checkpoint */
    stele_views *views; /* a handle in the store */
    /* Apply an event as it is read (upcast), lent for the call; the library's own streams are left out. A failure refuses
     * the append that it belongs to, with this status and error; what was written for it, and only that, is taken back.
     * An event may come again after a failed or repeated transaction: nothing is to be kept but in `views`. May use
     * `views`, but make no tables, and nothing else of the store (STELE_INVALID). One thread at a time. */
    stele_status (*apply)(struct stele__part *part, const stele_message *event, stele_error **error);

    struct stele__participant own; /* the store's own */
};

/* Catch up to the head, in transactions of up to `batch` events, and take part from then on: nothing is between. Errors of
 * `apply`, with "position", and as stele_append(). A checkpoint beyond the log is STELE_CONFLICT; a part of this name in
 * this handle of the store already, STELE_INVALID. */
stele_status stele__part_join(stele_store *store, struct stele__part *part, size_t batch, stele_error **error);
/* When it returns, `apply` is not called any more. One that has not joined is fine. Not from `apply`. */
void stele__part_leave(stele_store *store, struct stele__part *part);

#endif
