/* The clock that stele_time_now() and new UUIDs read. */
#ifndef STELE_BASE_CLOCK_H
#define STELE_BASE_CLOCK_H

#include <stele/clock.h>

#define STELE__NANOS_PER_MS INT64_C(1000000)

/* Read `clock` (borrowed) from now on; NULL restores the system's. For tests: not thread-safe. */
void stele__clock_use(const struct stele_clock *clock);

#endif
