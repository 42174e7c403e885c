/*
 * A part in the appends of a store for tests: of each stream it counts the
 * events and keeps a digest of their ids, in their order, so that one applied
 * twice, out of order or not at all shows.
 */
#ifndef STELE_TESTS_TALLY_H
#define STELE_TESTS_TALLY_H

#include "projections/instore.h"

#define TALLY(FIELD, T) FIELD(T, TEXT, stream) FIELD(T, INT64, events) FIELD(T, INT64, digest) FIELD(T, INT64, position)
STELE_DECLARE_VIEW(tally_row, TALLY);

/* Events of this type are refused, with STELE_REJECTED, after they were counted. */
#define TALLY_REFUSED "tally.refused"

struct tally {
    struct stele__part part;
    stele_store *store;
    stele_arena *arena;
    size_t applied; /* calls that went well, of transactions that were rolled back too */
    bool joined;
};

/* Make the table if it is not there, and join. On failure all is as before. */
stele_status tally_open(struct tally *tally, stele_store *store, size_t batch, stele_error **error);
/* Leave and close, before the store. */
void tally_close(struct tally *tally);

/* Does the table, which is empty if it is not there, say what all events up to the checkpoint "tally" add up to, and is
 * that the head if `complete`? If not, `why` says so. Needs no part in the store. */
enum { TALLY_TEXT = 256 };
bool tally_is_right(stele_store *store, bool complete, char why[TALLY_TEXT]);

#endif
