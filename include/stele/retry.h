/*
 * stele/retry.h - how often to try again what failed, and after how long.
 *
 *     raw delay by backoff ── jitter ── cap
 *
 * A struct of settings, used wherever the library tries again: retry
 * interceptors, subscriptions. A setting that is 0 is its default. All of this
 * is pure and thread-safe.
 */
#ifndef STELE_RETRY_H
#define STELE_RETRY_H

#include <stele/base.h>
#include <stele/error.h>

#ifdef __cplusplus
extern "C" {
#endif

enum stele_backoff { STELE_BACKOFF_EXPONENTIAL, STELE_BACKOFF_LINEAR, STELE_BACKOFF_FIXED, STELE_BACKOFF_NONE };
enum stele_jitter {
    STELE_JITTER_FULL,  /* anything from 0 to the delay */
    STELE_JITTER_EQUAL, /* from half of it */
    STELE_JITTER_NONE
};
struct stele_retry {
    unsigned max_attempts; /* in total; default 4. 1: none is made again */
    enum stele_backoff backoff;
    enum stele_jitter jitter;
    uint32_t delay_ms;     /* before the second attempt; default 1000 */
    uint32_t increment_ms; /* LINEAR: added with each; default 1000 */
    double factor;         /* EXPONENTIAL: by which it grows; default 2, at least 1 */
    uint32_t max_delay_ms; /* applied last; default 60000 */
    /* Whether to try again after a status; NULL: unless its action is NEVER or ABORT, and after STELE_FAILED. */
    bool (*wants)(stele_status status);
};

/*
 * The delay in nanoseconds after attempt `attempt` (from 1; 0 gives 0) of a retry's settings (NULL:
 * defaults); `random` is 64 random bits for the jitter. Pure: for tables, tests and other loops.
 */
STELE_API int64_t stele_retry_delay(const struct stele_retry *settings, unsigned attempt, uint64_t random);
/* STELE_INVALID names the setting out of range. */
STELE_API stele_status stele_retry_check(const struct stele_retry *settings, stele_error **error);
/* Whether to try again after attempt `attempt` (from 1), which failed with `status`. */
STELE_API bool stele_retry_wants(const struct stele_retry *settings, unsigned attempt, stele_status status);

#ifdef __cplusplus
}
#endif

#endif
