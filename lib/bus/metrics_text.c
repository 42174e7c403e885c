/*
 * Metrics as text: JSON through a field list, and the Prometheus text
 * exposition format 0.0.4, a family after the other, each with its HELP and
 * TYPE and a sample per route. Labels are names of routes, which the program
 * sets: what comes in messages makes no series. What can fail: memory.
 */
#include "bus/metrics.h"

#include <stele/type.h>

#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "message/json.h"
#include "message/value.h"

#define NANOS_PER_SECOND 1e9

/* --- JSON ------------------------------------------------------------------------- */

#define BUS_METRICS(FIELD, T) \
    FIELD(T, UINT64, routes) \
    FIELD(T, UINT64, published) \
    FIELD(T, UINT64, unrouted) \
    FIELD(T, UINT64, late_replies) \
    FIELD(T, UINT64, hops_ended) \
    FIELD(T, UINT64, unscheduled) \
    FIELD(T, UINT64, in_flight) \
    FIELD(T, UINT64, dead_letters) \
    FIELD(T, BOOL, stopping)
STELE_DECLARE_STRUCT(stele__bus_metrics, BUS_METRICS);
STELE_DEFINE_STRUCT(stele__bus_metrics, BUS_METRICS);

#define ROUTE_METRICS(FIELD, T) \
    FIELD(T, TEXT, name) \
    FIELD(T, UINT64, processed) \
    FIELD(T, UINT64, errors) \
    FIELD(T, UINT64, timeouts) \
    FIELD(T, UINT64, late) \
    FIELD(T, UINT64, rejected) \
    FIELD(T, UINT64, dropped) \
    FIELD(T, UINT64, skipped) \
    FIELD(T, UINT64, retries) \
    FIELD(T, UINT64, dead) \
    FIELD(T, UINT64, waiting) \
    FIELD(T, UINT64, running) \
    FIELD(T, UINT64, partitions) \
    FIELD(T, INT64, average_ns) \
    FIELD(T, INT64, p50_ns) \
    FIELD(T, INT64, p99_ns) \
    FIELD(T, INT64, max_ns) \
    FIELD(T, UINT64, position) \
    FIELD(T, UINT64, lag) \
    FIELD(T, BOOL, paused) \
    FIELD(T, OPTIONAL(TEXT), last_error) \
    FIELD(T, OPTIONAL(TEXT), last_error_text)
STELE_DECLARE_STRUCT(stele__route_metrics, ROUTE_METRICS);
STELE_DEFINE_STRUCT(stele__route_metrics, ROUTE_METRICS);

#define METRICS(FIELD, T) \
    FIELD(T, STRUCT(stele__bus_metrics), bus) \
    FIELD(T, LIST(STRUCT(stele__route_metrics)), routes)
STELE_DECLARE_STRUCT(stele__all_metrics, METRICS);
STELE_DEFINE_STRUCT(stele__all_metrics, METRICS);

static void set_route(const struct stele__metrics_route *from, struct stele__route_metrics *to)
{
    const struct stele_route_stats *const stats = &from->stats;

    *to = (struct stele__route_metrics){
        .name = from->name,
        .processed = stats->processed,
        .errors = stats->errors,
        .timeouts = stats->timeouts,
        .late = stats->late,
        .rejected = stats->rejected,
        .dropped = stats->dropped,
        .skipped = stats->skipped,
        .retries = stats->retries,
        .dead = stats->dead,
        .waiting = stats->waiting,
        .running = stats->running,
        .partitions = stats->partitions,
        .average_ns = stats->average_ns,
        .p50_ns = stats->p50_ns,
        .p99_ns = stats->p99_ns,
        .max_ns = stats->max_ns,
        .position = stats->position,
        .lag = stats->lag,
        .paused = stats->paused,
        .last_error = stats->last_error == STELE_OK ? NULL : stele_status_name(stats->last_error),
        .last_error_text = *from->error ? from->error : NULL,
    };
}

stele_status stele__metrics_to_json(const struct stele__metrics *metrics, stele_arena *arena,
                                    struct stele__buffer *buffer, stele_error **error)
{
    const struct stele_bus_stats *const bus = &metrics->bus;
    struct stele__all_metrics all = {
        .bus = {.routes = bus->routes,
                .published = bus->published,
                .unrouted = bus->unrouted,
                .late_replies = bus->late_replies,
                .hops_ended = bus->hops_ended,
                .unscheduled = bus->unscheduled,
                .in_flight = bus->in_flight,
                .dead_letters = bus->dead_letters,
                .stopping = bus->stopping},
    };
    struct stele__route_metrics *routes;
    size_t size;

    if (!stele__size_multiply(metrics->route_count, sizeof(*routes), &size))
        return stele__fail_memory(error);
    routes = stele_arena_alloc(arena, size);
    if (!routes)
        return stele__fail_memory(error);
    for (size_t i = 0; i < metrics->route_count; i++)
        set_route(&metrics->routes[i], &routes[i]);
    all.routes.items = routes;
    all.routes.count = metrics->route_count;
    return stele__value_to_json(&stele__all_metrics_type, &all, buffer, error);
}

/* --- Prometheus ------------------------------------------------------------------- */

/* A family with one sample of an unsigned number per route, or of the bus. */
struct family {
    const char *name;
    const char *type;
    const char *help;
    size_t offset; /* of the uint64_t in stele_route_stats or stele_bus_stats */
};

#define OF_BUS(member) offsetof(struct stele_bus_stats, member)
static const struct family bus_families[] = {
    {"stele_bus_routes", "gauge", "Routes on the bus.", OF_BUS(routes)},
    {"stele_bus_published_total", "counter", "Messages published, by callers and handlers.", OF_BUS(published)},
    {"stele_bus_unrouted_total", "counter", "Events that no route wanted.", OF_BUS(unrouted)},
    {"stele_bus_late_replies_total", "counter", "Replies to requests that had given up.", OF_BUS(late_replies)},
    {"stele_bus_hops_ended_total", "counter", "Messages refused because they followed from too many.",
     OF_BUS(hops_ended)},
    {"stele_bus_unscheduled_total", "counter", "Times of schedules at which nothing could be published.",
     OF_BUS(unscheduled)},
    {"stele_bus_in_flight", "gauge", "Deliveries waiting or running.", OF_BUS(in_flight)},
    {"stele_bus_dead_letters", "gauge", "Dead letters kept.", OF_BUS(dead_letters)},
};

#define OF_ROUTE(member) offsetof(struct stele_route_stats, member)
static const struct family route_families[] = {
    {"stele_route_timeouts_total", "counter", "Calls of the handler that overran their time.", OF_ROUTE(timeouts)},
    {"stele_route_late_results_total", "counter", "Results that came after their deadline.", OF_ROUTE(late)},
    {"stele_route_rejected_total", "counter", "Messages a full mailbox did not take.", OF_ROUTE(rejected)},
    {"stele_route_dropped_total", "counter", "Messages thrown out of the mailbox.", OF_ROUTE(dropped)},
    {"stele_route_skipped_total", "counter", "Messages that interceptors kept from the handler.", OF_ROUTE(skipped)},
    {"stele_route_retries_total", "counter", "Calls of the handler that followed a failed one.", OF_ROUTE(retries)},
    {"stele_route_buried_total", "counter", "Messages that became dead letters.", OF_ROUTE(dead)},
    {"stele_route_waiting", "gauge", "Messages in the mailboxes.", OF_ROUTE(waiting)},
    {"stele_route_running", "gauge", "Calls of the handler under way.", OF_ROUTE(running)},
    {"stele_route_partitions", "gauge", "Partitions with something in them.", OF_ROUTE(partitions)},
    {"stele_route_position", "gauge", "Position in the log up to which the route has handled.", OF_ROUTE(position)},
    {"stele_route_lag", "gauge", "Positions between the route and the head of the log.", OF_ROUTE(lag)},
};

static uint64_t number_at(const void *stats, size_t offset)
{
    uint64_t number;

    memcpy(&number, (const char *)stats + offset, sizeof(number));
    return number;
}

static void write_head(struct stele__buffer *buffer, const char *name, const char *type, const char *help)
{
    stele__buffer_print(buffer, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* `NAME{route="..."` with the value escaped; the caller goes on with more labels or "}". */
static void write_label(struct stele__buffer *buffer, const char *name, const char *route)
{
    stele__buffer_print(buffer, "%s{route=\"", name);
    for (; *route; route++) {
        if (*route == '\\' || *route == '"')
            stele__buffer_add_byte(buffer, '\\');
        if (*route == '\n')
            stele__buffer_add_text(buffer, "\\n");
        else
            stele__buffer_add_byte(buffer, *route);
    }
    stele__buffer_add_byte(buffer, '"');
}

static void write_number(struct stele__buffer *buffer, const char *before, uint64_t number)
{
    stele__buffer_add_text(buffer, before);
    stele__json_write_uint(buffer, number);
    stele__buffer_add_byte(buffer, '\n');
}

static void write_seconds(struct stele__buffer *buffer, const char *before, double nanoseconds)
{
    stele__buffer_add_text(buffer, before);
    stele__json_write_double(buffer, nanoseconds / NANOS_PER_SECOND);
    stele__buffer_add_byte(buffer, '\n');
}

static void write_calls(const struct stele__metrics *metrics, struct stele__buffer *buffer)
{
    static const char name[] = "stele_route_calls_total";

    write_head(buffer, name, "counter", "Calls of the handler, by how they ended.");
    for (size_t i = 0; i < metrics->route_count; i++) {
        const struct stele_route_stats *const stats = &metrics->routes[i].stats;
        /* The two are counted one after the other, and read in between. */
        const uint64_t errors = stats->errors < stats->processed ? stats->errors : stats->processed;

        write_label(buffer, name, metrics->routes[i].name);
        write_number(buffer, ",status=\"success\"} ", stats->processed - errors);
        write_label(buffer, name, metrics->routes[i].name);
        write_number(buffer, ",status=\"error\"} ", errors);
    }
}

static void write_durations(const struct stele__metrics *metrics, struct stele__buffer *buffer)
{
    static const char name[] = "stele_route_duration_seconds";

    write_head(buffer, name, "summary", "Time in the handler.");
    for (size_t i = 0; i < metrics->route_count; i++) {
        const struct stele_route_stats *const stats = &metrics->routes[i].stats;
        const char *const route = metrics->routes[i].name;

        write_label(buffer, name, route);
        write_seconds(buffer, ",quantile=\"0.5\"} ", (double)stats->p50_ns);
        write_label(buffer, name, route);
        write_seconds(buffer, ",quantile=\"0.99\"} ", (double)stats->p99_ns);
        write_label(buffer, "stele_route_duration_seconds_sum", route);
        write_seconds(buffer, "} ", (double)stats->average_ns * (double)stats->processed);
        write_label(buffer, "stele_route_duration_seconds_count", route);
        write_number(buffer, "} ", stats->processed);
    }
    write_head(buffer, "stele_route_longest_seconds", "gauge", "The longest time in the handler.");
    for (size_t i = 0; i < metrics->route_count; i++) {
        write_label(buffer, "stele_route_longest_seconds", metrics->routes[i].name);
        write_seconds(buffer, "} ", (double)metrics->routes[i].stats.max_ns);
    }
}

static void write_flags(const struct stele__metrics *metrics, struct stele__buffer *buffer)
{
    write_head(buffer, "stele_bus_stopping", "gauge", "1 while the bus stops, and after.");
    write_number(buffer, "stele_bus_stopping ", metrics->bus.stopping);
    write_head(buffer, "stele_route_paused", "gauge", "1 while the route is held.");
    for (size_t i = 0; i < metrics->route_count; i++) {
        write_label(buffer, "stele_route_paused", metrics->routes[i].name);
        write_number(buffer, "} ", metrics->routes[i].stats.paused);
    }
}

void stele__metrics_to_prometheus(const struct stele__metrics *metrics, struct stele__buffer *buffer)
{
    for (size_t i = 0; i < sizeof(bus_families) / sizeof(bus_families[0]); i++) {
        const struct family *const family = &bus_families[i];

        write_head(buffer, family->name, family->type, family->help);
        stele__buffer_add_text(buffer, family->name);
        write_number(buffer, " ", number_at(&metrics->bus, family->offset));
    }
    write_calls(metrics, buffer);
    write_durations(metrics, buffer);
    for (size_t i = 0; i < sizeof(route_families) / sizeof(route_families[0]); i++) {
        const struct family *const family = &route_families[i];

        write_head(buffer, family->name, family->type, family->help);
        for (size_t k = 0; k < metrics->route_count; k++) {
            write_label(buffer, family->name, metrics->routes[k].name);
            write_number(buffer, "} ", number_at(&metrics->routes[k].stats, family->offset));
        }
    }
    write_flags(metrics, buffer);
}
