/*
 * The inside of an open store, for the files of the front and for the
 * repository above it.
 */
#ifndef STELE_STORE_STORE_H
#define STELE_STORE_STORE_H

#include <stele/spi/store.h>

#include "store/queue.h"

struct stele_store {
    const struct stele_store_ops *ops;
    struct stele_backend *backend;
    bool read_only;
    size_t payload_limit;
    unsigned generation;       /* of the process that opened it, see store/fork.h */
    struct stele__queue queue; /* what every append goes through */
};

/* STELE_INVALID for NULL, STELE_FORKED in a child of the process that opened the store. */
stele_status stele__store_check(const stele_store *store, stele_error **error);

/* The name of a stream as an argument: stele__name_check() with "stream" in the error. */
stele_status stele__store_check_stream(struct stele_slice name, stele_error **error);

/*
 * Fold over what a query selects: as stele_read(), but each message is lent to
 * `visit` straight from the backend, without a copy, until it returns false.
 * `visit` must not call the store: a transaction may be open meanwhile, so it
 * should be quick. All is of one snapshot of the log, which ends at `head` (may
 * be NULL; as stele_cursor_head(), filled on STELE_OK). A row that cannot be
 * read is STELE_CORRUPT and ends the visit.
 */
typedef bool stele__message_visit(void *context, const stele_message *lent);
stele_status stele__store_visit(stele_store *store, const struct stele_query *query, stele__message_visit *visit,
                                void *context, struct stele_head *head, stele_error **error);

#endif
