/*
 * stele/clock.h - times, as numbers and as text.
 *
 * A time is an int64_t: nanoseconds since 1970-01-01T00:00:00Z, leap seconds
 * not counted (POSIX). That covers 1677-09-21 to 2262-04-11.
 */
#ifndef STELE_CLOCK_H
#define STELE_CLOCK_H

#include <stele/base.h>
#include <stele/error.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { STELE_TIME_TEXT_SIZE = 40 };

/* The wall clock now. Thread-safe. */
STELE_API int64_t stele_time_now(void);

/*
 * Write a time in the form of RFC 3339, in UTC: "2026-11-21T09:30:00Z", with
 * 3, 6 or 9 digits of a second where it has a fraction. NUL-terminated.
 */
STELE_API void stele_time_print(int64_t time, char text[STELE_TIME_TEXT_SIZE]);

/*
 * Read a date-time of RFC 3339 with any offset; fractions of up to 9 digits
 * (further digits must be there but are dropped); a leap second (":60") counts
 * as the second after it. STELE_MALFORMED names the offset of the fault,
 * STELE_LIMIT a year outside the range above.
 */
STELE_API stele_status stele_time_parse(struct stele_slice text, int64_t *out, stele_error **error);

/*
 * Where the library reads time. The default reads CLOCK_REALTIME and
 * CLOCK_MONOTONIC; tests pass their own. Every function is set.
 */
struct stele_clock {
    int64_t (*now)(void *context);                     /* wall clock, nanoseconds UTC; may step back */
    int64_t (*monotonic)(void *context);               /* nanoseconds from an arbitrary start; never steps back */
    void (*pause)(void *context, int64_t nanoseconds); /* let that time pass */
    void *context;
};

/* The system's clock. Static. */
STELE_API const struct stele_clock *stele_clock_system(void);

#ifdef __cplusplus
}
#endif

#endif
