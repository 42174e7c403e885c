/*
 * What a stored record is read as: the one way from a backend's record to what
 * a reader sees, for cursors, visits, the repository and single events.
 *
 *     record -> lent message -> (upcasters) -> any number of lent messages
 *
 * Without upcasters that is one message, and costs one test. With them a query
 * changes its meaning on the way to the backend: the limit counts what is read,
 * not what is stored, and names of types are those after upcasting. So the scan
 * is opened up, and what it finds too much is dropped here.
 */
#ifndef STELE_STORE_READING_H
#define STELE_STORE_READING_H

#include "message/upcast.h"
#include "store/record.h"
#include "store/scan.h"

struct stele__reading {
    const struct stele__upcasting *upcasting; /* NULL: none */
    struct stele_slice type;                  /* pattern of what is wanted, with upcasters; absent: all */
    struct stele_slice *also;                 /* stored names that become such */
    size_t also_count;
    stele_message lent;
    struct stele__upcasts upcasts;
    const stele_message *messages; /* what the record is read as, lent until the next one */
    size_t count;
};

/*
 * Prepare to read what `scan` selects (NULL: single events), and open it up if
 * the store has upcasters. Its type pattern must live as long. STELE_NO_MEMORY.
 */
stele_status stele__reading_init(struct stele__reading *reading, const struct stele_store *store,
                                 struct stele__scan *scan, stele_error **error);
void stele__reading_fini(struct stele__reading *reading);

/* The part of stele__reading_take() that is there for upcasters. */
stele_status stele__reading_upcast(struct stele__reading *reading, stele_error **error);

/* Read a record, which must stay: sets `messages` and `count`. STELE_CORRUPT; STELE_NO_MEMORY. */
static inline stele_status stele__reading_take(struct stele__reading *reading, const struct stele_record *record,
                                               stele_error **error)
{
    const stele_status status = stele__record_to_message(record, &reading->lent, error);

    reading->messages = &reading->lent;
    reading->count = 1;
    if (!reading->upcasting || status != STELE_OK)
        return status;
    return stele__reading_upcast(reading, error);
}

#endif
