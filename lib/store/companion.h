/*
 * What is written along with appends: the store's own transactions, and those
 * who take part in every append (struct stele_companion of stele/spi/store.h).
 *
 * A participant keeps its place as a checkpoint of the store, moved in each
 * transaction that appends. If it is not where this process left it and the log ended, events were
 * appended without it: it is given those first.
 */
#ifndef STELE_STORE_COMPANION_H
#define STELE_STORE_COMPANION_H

#include "store/store.h"

/* --- Transactions ------------------------------------------------------------------- */

/*
 * A write transaction of the store, in the gate of the appends, which this thread
 * holds from begin to the end; ended by the thread that began it. STELE_INVALID if
 * the backend has none, and inside another one; STELE_READ_ONLY; as an append.
 */
stele_status stele__store_begin(stele_store *store, stele_error **error);
/* When it fails, all is rolled back; STELE_UNKNOWN: or not. */
stele_status stele__store_commit(stele_store *store, stele_error **error);
/* `broken`: because a write has failed with STELE_IO. */
void stele__store_roll_back(stele_store *store, bool broken);

/*
 * A database for views beside a backend that is not one of SQLite: its
 * transactions are begun and ended with those of the store. Set in the gate, freed with the store.
 */
struct stele__annex {
    stele_status (*begin)(struct stele__annex *annex, stele_error **error);
    stele_status (*commit)(struct stele__annex *annex, stele_error **error); /* rolls back if it fails */
    void (*roll_back)(struct stele__annex *annex);                           /* also after commit */
    void (*free)(struct stele__annex *annex);
};

/* --- Participants ----------------------------------------------------------------------- */

struct stele__participant {
    const char *name; /* of its checkpoint */
    /* See struct stele__part in projections/instore.h. */
    stele_status (*apply)(struct stele__participant *participant, const stele_message *event, stele_error **error);

    /* The store's own, used in the gate. */
    struct stele__participant *next;
    uint64_t position; /* of its checkpoint, as far as this process knows; STELE_NO_CHECKPOINT: it does not */
    uint64_t stored;   /* the same, inside a transaction */
};

/* As stele__part_join() and stele__part_leave(). `batch` is not 0. */
stele_status stele__participant_join(stele_store *store, struct stele__participant *participant, size_t batch,
                                     stele_error **error);
void stele__participant_leave(stele_store *store, struct stele__participant *participant);

/* Free the annex and what is kept for participants. */
void stele__companion_free(stele_store *store);

#endif
