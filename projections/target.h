/*
 * Where a projection's tables are filled: in the file in which they are read,
 * or beside it until they have come to the head of the log.
 *
 *     open ─┬─ no mark                         made in the file, filled there
 *           ├─ mark of this version            goes on from its position
 *           └─ another version, or cut short   filled beside ── position >= goal ── swapped ──► filled there
 *
 * A target is what a transactional subscriber needs: load, begin, commit, rollback.
 * The swap is part of the load or commit that comes to the goal, the head of the log when building began.
 */
#ifndef STELE_PROJECTIONS_TARGET_H
#define STELE_PROJECTIONS_TARGET_H

#include <stele/store.h>

#include <stdatomic.h>

#include "projections/building.h"
#include "projections/marks.h"

/* Embedded by its owner, who sets what comes first. Used by one thread at a time, but for `building` and the version. */
struct stele__target {
    stele_store *store;
    const char *path; /* of the file; NULL: the store's own */
    const char *name;
    uint32_t version;
    uint8_t digest[STELE__DIGEST_SIZE];
    const char *tables; /* with commas between */
    /* Make the tables in a file without them, inside a transaction. */
    stele_status (*make)(void *context, stele_views *views, stele_error **error);
    /* Are those that are there as `make` makes them? STELE_INVALID; STELE_NOT_FOUND for one that is missing. */
    stele_status (*check)(void *context, stele_views *views, stele_error **error);
    void *context;
    bool rebuilds; /* build it anew, beside, whatever is there */

    stele_views *present;
    stele_views *built; /* beside; NULL: nothing is built there */
    struct stele__building building;
    _Atomic uint32_t old_version; /* read while one is built */
    uint64_t head;                /* when it was opened */
};

/*
 * Open the file, make what is not there, see where things are. STELE_INVALID
 * if tables of its names are there and are none of its own, were changed by hand, or the same version has another
 * digest; STELE_CONFLICT, with "position" and "head", if the file is ahead of the log; errors as stele_views_open().
 * Close it in any case.
 */
stele_status stele__target_open(struct stele__target *target, stele_error **error);
void stele__target_close(struct stele__target *target);

/* What is written to now. */
stele_views *stele__target_views(const struct stele__target *target);

/* As in struct stele_subscriber. */
stele_status stele__target_load(struct stele__target *target, uint64_t *position, stele_error **error);
stele_status stele__target_begin(struct stele__target *target, stele_error **error);
stele_status stele__target_commit(struct stele__target *target, uint64_t from, uint64_t to, stele_error **error);
void stele__target_rollback(struct stele__target *target);

/* Have the next load begin anew beside, with the head of then for its goal. Thread-safe. STELE_INVALID while one is built. */
stele_status stele__target_rebuild(struct stele__target *target, stele_error **error);

/* Put the version before the last swap back; the next load finds that it is another one. Thread-safe. STELE_INVALID while one
 * is built; STELE_NOT_FOUND if none is kept. */
stele_status stele__target_swap_back(struct stele__target *target, stele_error **error);

/*
 * Two of its parts, for who keeps their tables elsewhere: neither needs the target to be open, but `head` set. See what
 * there is: `mark` has no name if there is nothing. Errors are those of opening.
 */
stele_status stele__target_look(const struct stele__target *target, stele_views *views, stele_arena *arena,
                                struct stele__mark *mark, stele_error **error);
/* Make the tables, and their mark at a position, in a transaction. */
stele_status stele__target_make(struct stele__target *target, stele_views *views, uint64_t position,
                                stele_error **error);

/* The last position of the log. */
stele_status stele__target_head(stele_store *store, uint64_t *head, stele_error **error);

#endif
