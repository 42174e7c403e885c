/*
 * Power cuts: a workload is run once on a recording disk; then power fails at
 * each of its operations, with each kind of damage, and what is left is opened
 * and checked (check.h).
 */
#ifndef STELE_TESTS_CRASH_POWER_H
#define STELE_TESTS_CRASH_POWER_H

#include "tests/crash/check.h"

struct power_options {
    uint64_t seed;
    size_t points;    /* go on with new workloads until so many images were checked */
    const char *sync; /* "full" */
    bool swallows_syncs;
    bool stop_at_first; /* finding */
    bool second_cuts;   /* at some points power fails again during recovery */
};

struct power_result {
    size_t workloads;
    size_t operations; /* that power failed at */
    size_t points;     /* different images checked */
    size_t second_cuts;
    size_t settled; /* points with a step whose outcome was unknown */
    size_t stored;  /* of these the ones where it was there */
    size_t findings[FINDINGS];
    char first[FINDING_TEXT + 200]; /* the first finding, and where */
};

void power_run(const struct power_options *options, struct power_result *result);

#endif
