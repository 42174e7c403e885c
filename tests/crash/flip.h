/*
 * Flipped bytes: a small store is made, then one bit of one byte of its file or
 * log is flipped, and the store is opened, read and verified.
 */
#ifndef STELE_TESTS_CRASH_FLIP_H
#define STELE_TESTS_CRASH_FLIP_H

#include "tests/crash/check.h"

struct flip_result {
    size_t flips;
    size_t refused;   /* the store did not open and said why */
    size_t reported;  /* reading or verifying said so */
    size_t harmless;  /* everything is there, and nobody complained */
    size_t shortened; /* the newest commits went with the end of the log; only the anchor tells */
    unsigned number;  /* in the header of the log: how often it was begun anew, but for its higher bytes */
    size_t findings[FINDINGS];
    char first[FINDING_TEXT + 200];
};

/* Flip in every `stride`-th byte of `file`: "/ledger" of a closed store, or "/ledger-wal" of an open one. */
void flip_run(uint64_t seed, const char *file, size_t stride, struct flip_result *result);

/*
 * Flip each bit of the header of a log that was begun anew so many times; its commits are in the file already
 * (`moved`), or only half of them.
 */
void flip_header(uint64_t seed, size_t restarts, bool moved, struct flip_result *result);

#endif
