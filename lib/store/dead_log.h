/* Dead letters in a store: events of the stream "$dead", and what they fold to. */
#ifndef STELE_STORE_DEAD_LOG_H
#define STELE_STORE_DEAD_LOG_H

#include "store/yard.h"

/* What becomes of letters, as events. */
enum stele__dead_mark { STELE__DEAD_REQUEUED, STELE__DEAD_HANDLED, STELE__DEAD_DROPPED };

/* Which letter, in a batch of marks. */
struct stele__dead_name {
    const char *route, *id;
};

/*
 * Fold what was written behind `*version` of "$dead" into the yard, and move
 * `*version` on. A damaged row, and an event that cannot be read, are logged and
 * passed over. Errors as stele_read().
 */
stele_status stele__dead_fold(stele_store *store, struct stele__yard *yard, uint64_t *version, stele_error **error);
/* The same up to version `until`; 0: to the end. */
stele_status stele__dead_fold_until(stele_store *store, struct stele__yard *yard, uint64_t *version, uint64_t until,
                                    stele_error **error);

/* Write that a message was buried; `burial` has route, id, type, code, text, attempts and time. A message that is stored is
 * kept by its position, others as a whole; NULL: it is stored, at `burial->position`. Errors as stele_append(). */
stele_status stele__dead_write_burial(stele_store *store, const struct stele__burial *burial,
                                      const stele_message *message, stele_error **error);

/* Write what became of letters, in batches; `*done` is how many are written, on failure too. */
stele_status stele__dead_write_marks(stele_store *store, enum stele__dead_mark mark,
                                     const struct stele__dead_name *names, size_t count, size_t *done,
                                     stele_error **error);

/* The message of a letter that is in the store at `position`, or, if that is 0, in event `version` of "$dead". The caller
 * owns it. STELE_CORRUPT if another message than the one with the letter's id is there; else as stele_find_position(). */
stele_status stele__dead_message(stele_store *store, const char *id, uint64_t position, uint64_t version,
                                 stele_message **out, stele_error **error);

#endif
