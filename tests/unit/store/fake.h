/*
 * A backend that a test scripts: records it is given, some of them damaged,
 * reads that stop early or fail. It reads the global order only.
 */
#ifndef STELE_TESTS_STORE_FAKE_H
#define STELE_TESTS_STORE_FAKE_H

#include "tests/support/support.h"

#include "store/store.h"

enum { FAKE_MOST = 1000 };

struct fake {
    struct stele_backend backend;
    struct stele_store store;               /* to be handed to the front */
    struct stele_record records[FAKE_MOST]; /* by position, ascending */
    bool damaged[FAKE_MOST];
    size_t count;

    size_t stop_after;       /* records looked at in one read; 0: all */
    bool place_unknown;      /* a damaged record's place is not told */
    stele_status failure;    /* of the read numbered `failing_read` */
    size_t failing_read;     /* from 1; 0: none */
    uint64_t faults_below;   /* that the backend's verify finds */
    size_t reads;            /* calls of read so far */
    uint64_t greatest_until; /* of the reads after the first */
};

/* A store of `count` events, 1 to 10, 20 ... positions, all in stream "s", with a payload of nil. */
void fake_init(struct fake *fake, size_t count);
uint64_t fake_position(size_t index);

#endif
