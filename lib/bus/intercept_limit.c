/*
 * Limits: so many calls in a time, so many at once.
 *
 * A rate is a bucket of tokens, kept as the instant at which it is full:
 *
 *     now                     full
 *     ──┼───────────────────────┼──►      missing tokens = (full - now) / interval
 *       '── at most capacity ───'         (none if full is over)
 *
 * Taking one moves `full` by an interval, which is one compare-and-swap. A call
 * that did not run after all (WITHDRAWN) gives back what it took. What can fail:
 * settings out of range, memory for the state.
 */
#include "bus/stock.h"

#include "base/error.h"
#include "base/memory.h"

#include <math.h>

/* --- Rate --------------------------------------------------------------------------------- */

enum { BURST_DEFAULT = 1 };

/* The longest time a whole bucket may take to fill, so that sums with the clock stay far from overflow: about 73 years. */
#define CAPACITY_MAX (INT64_MAX / 4)

stele_status stele__bucket_init(struct stele__bucket *bucket, double per_second, unsigned burst, stele_error **error)
{
    double interval;

    if (!isfinite(per_second) || per_second <= 0 || per_second > 1e9)
        return stele__fail_argument(error, "per_second", "must be above 0 and at most 1000000000");
    interval = 1e9 / per_second;
    if (interval * burst > (double)CAPACITY_MAX)
        return stele__fail_argument(error, "per_second", "is so low that its burst takes more than 70 years to fill");
    bucket->interval = (int64_t)interval;
    bucket->capacity = bucket->interval * burst;
    atomic_init(&bucket->full, INT64_MIN);
    return STELE_OK;
}

int64_t stele__bucket_take(struct stele__bucket *bucket, int64_t now)
{
    int64_t full = atomic_load_explicit(&bucket->full, memory_order_relaxed);
    int64_t next;

    do {
        next = (full > now ? full : now) + bucket->interval;
        if (next - now > bucket->capacity)
            return next - now - bucket->capacity;
    } while (
        !atomic_compare_exchange_weak_explicit(&bucket->full, &full, next, memory_order_relaxed, memory_order_relaxed));
    return 0;
}

void stele__bucket_return(struct stele__bucket *bucket)
{
    atomic_fetch_sub_explicit(&bucket->full, bucket->interval, memory_order_relaxed);
}

struct rate_place {
    struct stele__bucket bucket;
    bool wait;
};

static stele_status make_rate(const void *untyped, stele_bus *bus, void **state, stele_error **error)
{
    const struct stele_rate_limit *settings = untyped;
    struct rate_place *place;
    stele_status status;

    (void)bus;
    if (!settings)
        return stele__fail_argument(error, "settings", "is NULL");
    place = stele__alloc(sizeof(*place));
    if (!place)
        return stele__fail_memory(error);
    status = stele__bucket_init(&place->bucket, settings->per_second, settings->burst ? settings->burst : BURST_DEFAULT,
                                error);
    if (status != STELE_OK) {
        stele__free(place, sizeof(*place));
        return status;
    }
    place->wait = settings->wait;
    *state = place;
    return STELE_OK;
}

static void free_rate(void *state)
{
    stele__free(state, sizeof(struct rate_place));
}

static struct stele_answer ask_rate(void *state, enum stele_point point, stele_call *call)
{
    struct rate_place *place = state;
    int64_t delay;

    if (point == STELE_AT_WITHDRAWN) {
        stele__bucket_return(&place->bucket);
        return stele_proceed();
    }
    delay = stele__bucket_take(&place->bucket, stele_call_time(call));
    if (!delay)
        return stele_proceed();
    return place->wait
               ? stele_retry_later(delay)
               : stele_call_fail(call, STELE_OVERLOAD, "the rate limit is reached, the next call is free in %lld ms",
                                 (long long)((delay + STELE__NANOS_PER_MS - 1) / STELE__NANOS_PER_MS));
}

const struct stele_interceptor_kind stele_rate_limit_kind = {.name = "rate limit",
                                                             .points = STELE_AT_HANDLE | STELE_AT_WITHDRAWN,
                                                             .priority = 30,
                                                             .ask = ask_rate,
                                                             .make = make_rate,
                                                             .free = free_rate};

/* --- Concurrency ----------------------------------------------------------------------------- */

enum { RETRY_DEFAULT = 1 };

struct concurrency_place {
    unsigned limit;
    int64_t retry;
    bool reject;
    atomic_uint running;
};

static stele_status make_concurrency(const void *untyped, stele_bus *bus, void **state, stele_error **error)
{
    const struct stele_concurrency_limit *settings = untyped;
    struct concurrency_place *place;

    (void)bus;
    if (!settings || settings->limit == 0)
        return stele__fail_argument(error, "limit", "must be at least 1");
    place = stele__alloc(sizeof(*place));
    if (!place)
        return stele__fail_memory(error);
    place->limit = settings->limit;
    place->retry = (settings->retry_ms ? settings->retry_ms : RETRY_DEFAULT) * STELE__NANOS_PER_MS;
    place->reject = settings->reject;
    atomic_init(&place->running, 0);
    *state = place;
    return STELE_OK;
}

static void free_concurrency(void *state)
{
    stele__free(state, sizeof(struct concurrency_place));
}

static bool take_slot(struct concurrency_place *place)
{
    unsigned running = atomic_load_explicit(&place->running, memory_order_relaxed);

    while (running < place->limit) {
        if (atomic_compare_exchange_weak_explicit(&place->running, &running, running + 1, memory_order_acquire,
                                                  memory_order_relaxed))
            return true;
    }
    return false;
}

static struct stele_answer ask_concurrency(void *state, enum stele_point point, stele_call *call)
{
    struct concurrency_place *place = state;

    if (point != STELE_AT_HANDLE) {
        atomic_fetch_sub_explicit(&place->running, 1, memory_order_release);
        return stele_proceed();
    }
    if (take_slot(place))
        return stele_proceed();
    return place->reject
               ? stele_call_fail(call, STELE_OVERLOAD, "%u calls are running, which is the limit", place->limit)
               : stele_retry_later(place->retry);
}

const struct stele_interceptor_kind stele_concurrency_kind = {.name = "concurrency limit",
                                                              .points =
                                                                  STELE_AT_HANDLE | STELE_AT_DONE | STELE_AT_WITHDRAWN,
                                                              .priority = 35,
                                                              .ask = ask_concurrency,
                                                              .make = make_concurrency,
                                                              .free = free_concurrency};
