/* The dead letters of a store, page by page: there may be more than fit into memory. */
#ifndef STELE_STORE_DEAD_WALK_H
#define STELE_STORE_DEAD_WALK_H

#include "store/dead_log.h"

#include "base/buffer.h"

/* The letters that a query wants, oldest first; owner only. */
struct stele__dead_walk {
    stele_store *store;
    struct stele_dead_query query;
    size_t at_once; /* most letters on a page */
    uint64_t taken;

    uint64_t after;  /* the letters of this page were first buried behind this version of "$dead" */
    uint64_t end;    /* of "$dead", as it was when the first page was read */
    uint64_t beyond; /* the first burial that found no room on this page; 0: all did */

    struct stele__yard yard; /* the letters of this page, and those that a mark has removed since */
    const struct stele__grave *next;

    uint64_t first_known;       /* the version that the first bit stands for */
    struct stele__buffer known; /* a bit for each version: does it bury once more a letter of an earlier page? */
};

/* Read the first page. To be ended also when it fails. STELE_INVALID for a query of another library; else as stele_read(). */
stele_status stele__dead_walk_begin(struct stele__dead_walk *walk, stele_store *store,
                                    const struct stele_dead_query *query, size_t at_once, stele_error **error);
/* The next letter of this page, lent until the page is turned; NULL behind the last one. */
const struct stele__grave *stele__dead_walk_on(struct stele__dead_walk *walk);
/* Read the next page. STELE_END if there is none. Errors as stele_read(). */
stele_status stele__dead_walk_turn(struct stele__dead_walk *walk, stele_error **error);
void stele__dead_walk_end(struct stele__dead_walk *walk);

#endif
