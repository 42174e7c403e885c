/*
 * Checking a store against a journal: every invariant that a crash must not
 * break, and that the store goes on afterwards.
 */
#ifndef STELE_TESTS_CRASH_CHECK_H
#define STELE_TESTS_CRASH_CHECK_H

#include "tests/crash/plan.h"
#include "tests/support/crash_vfs.h"

/* How a store on a crash disk is opened. */
struct opening {
    struct crash_disk *disk;
    const char *vfs;
    const char *sync;     /* "full", "normal", "off" */
    int checkpoint_pages; /* the log is moved in when it is longer; 0: the store's own length */
    bool real_clock;      /* for threads: locks are waited for in real time, and the log is moved whenever idle */
};

/* How many of something are tried: what an environment variable says, or else a default, a fifth of it under a
 * sanitizer. */
size_t check_wanted(const char *variable, size_t otherwise);

/* Of an open store. */
void check_set_checkpoint(stele_store *store, int pages);
/* The next append moves the log into the file, which is not cut. */
void check_checkpoint_next(stele_store *store);

/* NULL and a finding if it does not open. */
stele_store *check_open(const struct opening *opening, struct verdict *verdict);

/*
 * Read the whole log. Every acknowledged event is there, at its position, with
 * its bytes; nothing rejected is; batches are whole and unmixed; versions are
 * gapless and positions rise. Of each step's command the ledger has the outcome,
 * and if that is unknown, as long as the events are there. The journal's model becomes that of the store,
 * and `present` (may be NULL) tells which steps are in it.
 */
bool check_log(struct journal *journal, stele_store *store, bool *present, struct verdict *verdict);

/* stele_verify() finds nothing. */
bool check_verify(stele_store *store, struct verdict *verdict);

/* Repeat each unknown step: from then on it is acknowledged. */
bool check_settle(struct journal *journal, stele_store *store, const bool *present, bool faulty,
                  struct verdict *verdict);

/* All of it: log, settling, the steps from `next` on (at most 3), log again, verify. */
bool check_store(struct journal *journal, stele_store *store, size_t next, struct verdict *verdict);

#endif
