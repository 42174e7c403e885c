/*
 * A query on its way through the store, in as many steps as it takes. Each
 * step is one call of the backend's read and so one short snapshot; the first
 * one fixes where the log ends for all of them.
 */
#ifndef STELE_STORE_SCAN_H
#define STELE_STORE_SCAN_H

#include "store/store.h"

struct stele__scan {
    struct stele_scan wanted; /* what is left to read; the texts are the query's */
    struct stele_head head;   /* of the first snapshot */
    uint64_t visited;         /* the visitor counts here what it took in this step */
    bool no_memory;           /* the visitor sets it when it could not take a record: the step fails */
    bool begun;
    bool done; /* nothing is left */
};

/* Check a query (NULL: all) and make a scan of it, without reading yet. The query's texts must outlive the scan. */
stele_status stele__scan_init(struct stele__scan *scan, const struct stele_query *query, stele_error **error);

/*
 * Read on from where the last step ended, until the visitor stops, the backend
 * does, or nothing is left (`done`). STELE_CORRUPT: a record cannot be read,
 * and the next step begins behind it, unless the scan is `done` then, because
 * the store does not say where to go on. After any other error the step, as a
 * whole, may be tried again.
 */
stele_status stele__scan_step(const stele_store *store, struct stele__scan *scan, stele_record_visit *visit,
                              void *context, stele_error **error);

#endif
