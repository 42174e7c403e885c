/*
 * Retry: how long to wait after each attempt, and whether to make another.
 *
 *     raw delay by backoff ── jitter ── cap
 *
 *   EXPONENTIAL  delay * factor^(n - 1)
 *   LINEAR       delay + increment * (n - 1)
 *   FIXED        delay
 *   NONE         0
 *
 * after attempt n. Nothing can fail behind the check of the settings.
 */
#include <stele/retry.h>

#include "base/clock.h"
#include "base/error.h"

#include <math.h>

enum { ATTEMPTS_DEFAULT = 4, DELAY_DEFAULT = 1000, INCREMENT_DEFAULT = 1000, MAX_DELAY_DEFAULT = 60000 };
static const double factor_default = 2.0;

/* Settings with their defaults in place. */
static struct stele_retry complete(const struct stele_retry *settings)
{
    static const struct stele_retry defaults = {0};
    struct stele_retry whole = settings ? *settings : defaults;

    if (!whole.max_attempts)
        whole.max_attempts = ATTEMPTS_DEFAULT;
    if (!whole.delay_ms)
        whole.delay_ms = DELAY_DEFAULT;
    if (!whole.increment_ms)
        whole.increment_ms = INCREMENT_DEFAULT;
    if (whole.factor == 0)
        whole.factor = factor_default;
    if (!whole.max_delay_ms)
        whole.max_delay_ms = MAX_DELAY_DEFAULT;
    return whole;
}

stele_status stele_retry_check(const struct stele_retry *settings, stele_error **error)
{
    const struct stele_retry whole = complete(settings);

    if ((unsigned)whole.backoff > STELE_BACKOFF_NONE)
        return stele__fail_argument(error, "backoff", "is none of enum stele_backoff");
    if ((unsigned)whole.jitter > STELE_JITTER_NONE)
        return stele__fail_argument(error, "jitter", "is none of enum stele_jitter");
    if (!isfinite(whole.factor) || whole.factor < 1)
        return stele__fail_argument(error, "factor", "must be a number of at least 1");
    return STELE_OK;
}

/* factor^exponent by squaring: infinity is a result like others. */
static double power(double factor, unsigned exponent)
{
    double result = 1;

    for (; exponent; exponent >>= 1) {
        if (exponent & 1)
            result *= factor;
        factor *= factor;
    }
    return result;
}

/* A delay in nanoseconds as an integer, at most INT64_MAX. */
static int64_t to_nanos(double milliseconds)
{
    const double nanos = milliseconds * (double)STELE__NANOS_PER_MS;

    return nanos < 0x1p63 ? (int64_t)nanos : INT64_MAX;
}

static int64_t linear(const struct stele_retry *settings, unsigned attempt)
{
    const uint64_t delay = settings->delay_ms + (uint64_t)settings->increment_ms * (attempt - 1);

    return delay > INT64_MAX / STELE__NANOS_PER_MS ? INT64_MAX : (int64_t)delay * STELE__NANOS_PER_MS;
}

static int64_t raw_delay(const struct stele_retry *settings, unsigned attempt)
{
    switch (settings->backoff) {
    case STELE_BACKOFF_EXPONENTIAL: return to_nanos(settings->delay_ms * power(settings->factor, attempt - 1));
    case STELE_BACKOFF_LINEAR: return linear(settings, attempt);
    case STELE_BACKOFF_FIXED: return settings->delay_ms * STELE__NANOS_PER_MS;
    case STELE_BACKOFF_NONE: break;
    }
    return 0;
}

/* One of the numbers least to most, both included. */
static int64_t pick(int64_t least, int64_t most, uint64_t random)
{
    return least + (int64_t)(random % ((uint64_t)(most - least) + 1));
}

int64_t stele_retry_delay(const struct stele_retry *settings, unsigned attempt, uint64_t random)
{
    const struct stele_retry whole = complete(settings);
    const int64_t most = whole.max_delay_ms * STELE__NANOS_PER_MS;
    int64_t delay;

    if (attempt == 0)
        return 0;
    delay = raw_delay(&whole, attempt);
    if (whole.jitter == STELE_JITTER_FULL)
        delay = pick(0, delay, random);
    else if (whole.jitter == STELE_JITTER_EQUAL)
        delay = pick(delay / 2, delay, random);
    return delay < most ? delay : most;
}

bool stele_retry_wants(const struct stele_retry *settings, unsigned attempt, stele_status status)
{
    const enum stele_action action = stele_status_action(status);

    if (attempt >= complete(settings).max_attempts)
        return false;
    if (settings && settings->wants)
        return settings->wants(status);
    return status == STELE_FAILED || (action != STELE_ACTION_NEVER && action != STELE_ACTION_ABORT);
}
