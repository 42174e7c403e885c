/*
 * What routes and buses count.
 *
 * Times go into a histogram of 8 buckets for each power of two: a bucket is at
 * most an eighth wide, and its middle, which stands for what is in it, at most
 * a sixteenth away (6.25 %). What can fail: memory, for the histogram.
 */
#include "bus/check.h"
#include "bus/core.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

enum { SUB_BITS = 3, SUB = 1 << SUB_BITS, BUCKETS = (64 - SUB_BITS) * SUB };

struct stele__measured {
    _Atomic uint64_t processed, errors, busy_ns;
    _Atomic int64_t max_ns;
    _Atomic uint64_t buckets[BUCKETS];
};

struct stele__last_error {
    pthread_mutex_t mutex;
    char text[sizeof(((struct stele_route_stats *)NULL)->last_error_text)];
};

/* --- Times ------------------------------------------------------------------------------- */

struct stele__measured *stele__measured_new(void)
{
    return stele__alloc(sizeof(struct stele__measured));
}

void stele__measured_free(struct stele__measured *measured)
{
    stele__free(measured, sizeof(*measured));
}

/* Below 16 each number has its own; then the highest bit and the three behind it say which. */
static size_t bucket_of(uint64_t value)
{
    unsigned bits = 0;

    while (bits < 64 && value >> bits >= 2 * SUB)
        bits++;
    return bits * SUB + (size_t)(value >> bits);
}

/* The middle of a bucket. */
static int64_t middle_of(size_t bucket)
{
    const unsigned bits = bucket < 2 * SUB ? 0 : (unsigned)(bucket / SUB - 1);
    const uint64_t low = (uint64_t)(bucket - bits * SUB) << bits;

    return (int64_t)(low + ((UINT64_C(1) << bits) >> 1));
}

void stele__measured_add(struct stele__measured *measured, int64_t nanoseconds, bool has_failed)
{
    const uint64_t value = nanoseconds > 0 ? (uint64_t)nanoseconds : 0;
    int64_t most = atomic_load_explicit(&measured->max_ns, memory_order_relaxed);

    stele__tally(&measured->processed);
    if (has_failed)
        stele__tally(&measured->errors);
    atomic_fetch_add_explicit(&measured->busy_ns, value, memory_order_relaxed);
    stele__tally(&measured->buckets[bucket_of(value)]);
    while ((int64_t)value > most && !atomic_compare_exchange_weak_explicit(&measured->max_ns, &most, (int64_t)value,
                                                                           memory_order_relaxed, memory_order_relaxed))
        continue;
}

/* The time that `part` of the calls took at most. */
static int64_t quantile(const struct stele__measured *measured, double part)
{
    const int64_t most = atomic_load_explicit(&measured->max_ns, memory_order_relaxed);
    uint64_t total = 0;
    uint64_t seen = 0;
    size_t bucket;

    for (size_t i = 0; i < BUCKETS; i++)
        total += atomic_load_explicit(&measured->buckets[i], memory_order_relaxed);
    if (total == 0)
        return 0;
    for (bucket = 0; bucket < BUCKETS - 1; bucket++) {
        seen += atomic_load_explicit(&measured->buckets[bucket], memory_order_relaxed);
        if ((double)seen >= part * (double)total)
            break;
    }
    return middle_of(bucket) < most ? middle_of(bucket) : most;
}

static void add_measured(const struct stele__measured *measured, struct stele_route_stats *out)
{
    if (!measured)
        return;
    out->processed = atomic_load_explicit(&measured->processed, memory_order_relaxed);
    out->errors = atomic_load_explicit(&measured->errors, memory_order_relaxed);
    if (out->processed)
        out->average_ns = (int64_t)(atomic_load_explicit(&measured->busy_ns, memory_order_relaxed) / out->processed);
    out->p50_ns = quantile(measured, 0.50);
    out->p99_ns = quantile(measured, 0.99);
    out->max_ns = atomic_load_explicit(&measured->max_ns, memory_order_relaxed);
}

/* --- The last error ------------------------------------------------------------------------- */

void stele__last_error_free(struct stele__last_error *last)
{
    if (last)
        pthread_mutex_destroy(&last->mutex);
    stele__free(last, sizeof(*last));
}

/* Made with the first failure; NULL when memory is out. */
static struct stele__last_error *last_error_of(struct stele__route *route)
{
    struct stele__last_error *last = atomic_load(&route->last);
    struct stele__last_error *made;

    if (last)
        return last;
    made = stele__alloc(sizeof(*made));
    if (!made || pthread_mutex_init(&made->mutex, NULL) != 0) {
        stele__free(made, sizeof(*made));
        return NULL;
    }
    if (atomic_compare_exchange_strong(&route->last, &last, made))
        return made;
    stele__last_error_free(made);
    return last;
}

void stele__route_note_error(struct stele__route *route, stele_status status, const char *text)
{
    struct stele__last_error *last = last_error_of(route);

    atomic_store_explicit(&route->last_error, (int)status, memory_order_relaxed);
    if (!last)
        return;
    pthread_mutex_lock(&last->mutex);
    stele__utf8_fit(last->text, sizeof(last->text), text);
    pthread_mutex_unlock(&last->mutex);
}

static void add_last_error(struct stele__route *route, struct stele_route_stats *out)
{
    struct stele__last_error *last = atomic_load(&route->last);

    out->last_error = (stele_status)atomic_load_explicit(&route->last_error, memory_order_relaxed);
    if (!last)
        return;
    pthread_mutex_lock(&last->mutex);
    memcpy(out->last_error_text, last->text, sizeof(last->text));
    pthread_mutex_unlock(&last->mutex);
}

/* --- Routes ------------------------------------------------------------------------------------ */

static void add_box(const struct stele__route *route, struct stele_route_stats *out)
{
    struct stele__box_counts counts;

    if (!route->box)
        return;
    pthread_mutex_lock(&route->bus->mutex);
    stele__box_count(route->box, &counts);
    pthread_mutex_unlock(&route->bus->mutex);
    out->waiting = counts.waiting;
    out->partitions = counts.partitions;
    out->paused = counts.is_paused;
}

static void add_place(const struct stele__route *route, struct stele_route_stats *out)
{
    struct stele__follower *follower = atomic_load(&route->bus->follower);
    uint64_t head = 0;

    if (!follower || !stele__route_is_stored(route->table))
        return;
    stele__follower_place(follower, route, &out->position, &head);
    out->lag = head > out->position ? head - out->position : 0;
}

static uint64_t read_count(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void collect(struct stele__route *route, struct stele_route_stats *out)
{
    const struct stele__route_counts *counts = &route->counts;

    memset(out, 0, sizeof(*out));
    out->route = route->table;
    out->timeouts = read_count(&counts->timeouts);
    out->late = read_count(&counts->late);
    out->rejected = read_count(&counts->rejected);
    out->dropped = read_count(&counts->dropped);
    out->skipped = read_count(&counts->skipped);
    out->retries = read_count(&counts->retries);
    out->dead = read_count(&counts->dead);
    out->running = read_count(&counts->running);
    add_measured(route->measured, out);
    add_last_error(route, out);
    add_box(route, out);
    add_place(route, out);
}

/* All routes, each with one reference. */
static stele_status hold_routes(stele_bus *bus, struct stele__vector *routes, stele_error **error)
{
    stele_status status = STELE_OK;

    stele__vector_init(routes, sizeof(struct stele__route *));
    pthread_mutex_lock(&bus->mutex);
    if (!stele__vector_reserve(routes, bus->routes.count))
        status = stele__fail_memory(error);
    for (size_t i = 0; i < bus->routes.count && status == STELE_OK; i++) {
        struct stele__route **slot = stele__vector_add(routes);

        *slot = *(struct stele__route **)stele__vector_at(&bus->routes, i);
        stele__route_ref(*slot);
    }
    pthread_mutex_unlock(&bus->mutex);
    return status;
}

stele_status stele_bus_visit_routes(stele_bus *bus, stele_route_visit *visit, void *context, stele_error **error)
{
    struct stele__vector routes;
    struct stele_route_stats stats;
    bool goes_on = true;
    stele_status status;

    if (!stele__bus_is_usable(bus))
        return stele__bus_fail_unusable(bus, error);
    if (!visit)
        return stele__fail_argument(error, "visit", "is NULL");
    status = hold_routes(bus, &routes, error);
    for (size_t i = 0; i < routes.count; i++) {
        struct stele__route *route = *(struct stele__route **)stele__vector_at(&routes, i);

        if (goes_on) {
            collect(route, &stats);
            goes_on = visit(context, &stats);
        }
        stele__route_release(route, STELE__ROUTE_KNOWN);
    }
    stele__vector_fini(&routes);
    return status;
}

/* --- A bus ---------------------------------------------------------------------------------------- */

void stele_bus_get_stats(stele_bus *bus, struct stele_bus_stats *out)
{
    if (!out)
        return;
    memset(out, 0, sizeof(*out));
    if (!stele__bus_is_usable(bus))
        return;
    out->published = read_count(&bus->published);
    out->unrouted = read_count(&bus->unrouted);
    out->late_replies = read_count(&bus->late_replies);
    out->hops_ended = read_count(&bus->hops_ended);
    out->unscheduled = stele__schedules_failed(bus->schedules);
    out->stopping = stele__bus_state(bus) != STELE__BUS_RUNNING;
    out->dead_letters = stele__graves_count(bus->graves);
    pthread_mutex_lock(&bus->mutex);
    out->routes = bus->routes.count;
    for (size_t i = 0; i < bus->routes.count; i++)
        out->in_flight += stele__route_deliveries(*(struct stele__route **)stele__vector_at(&bus->routes, i));
    pthread_mutex_unlock(&bus->mutex);
}
