/*
 * Many writers on one store: threads of several processes append random batches
 * with random expectations. What became of each batch is noted in memory that
 * outlives a killed process; what it expected stands in its own payloads. One
 * pass over the finished log then tells whether every expectation was true at
 * its place, and whether anything acknowledged is missing.
 */
#ifndef STELE_TESTS_CRASH_WRITERS_H
#define STELE_TESTS_CRASH_WRITERS_H

#include "tests/crash/plan.h"

#include <stdatomic.h>

enum { WRITERS_THREADS = 16, WRITERS_BATCHES_MAX = 512, WRITERS_LANES_MAX = 640 };

/* A lane is one thread of one process. */
struct lane {
    /* Of each batch: 0, TRYING, REJECTED, or the first position it was acknowledged at. */
    _Atomic uint64_t batches[WRITERS_BATCHES_MAX];
};

struct writers {
    struct lane *lanes; /* WRITERS_LANES_MAX, shared between processes */
    size_t streams;     /* that all write to */
};

void writers_init(struct writers *writers, size_t streams);
void writers_fini(struct writers *writers);
void writers_clear(struct writers *writers);

/* Append up to `batches` batches from each of `threads` threads, as the lanes from `lane` on. */
void writers_run(struct writers *writers, stele_store *store, size_t lane, size_t threads, size_t batches,
                 uint64_t seed);

/* What the log holds. */
struct writers_seen {
    size_t batches, acknowledged, unknown, rejected, expectations;
};

bool writers_check(struct writers *writers, stele_store *store, struct writers_seen *seen, struct verdict *verdict);

#endif
