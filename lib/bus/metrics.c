/* Metrics of a bus: its numbers are copied while its routes are visited, then written. What can fail: memory. */
#include "bus/metrics.h"

#include <stele/observe.h>

#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/vector.h"
#include "bus/bus.h"
#include "bus/describe.h"
#include "message/value.h"

struct collecting {
    struct stele__vector routes; /* struct stele__metrics_route */
    struct stele_arena texts;
    bool is_out_of_memory;
};

static bool add_route(void *context, const struct stele_route_stats *stats)
{
    struct collecting *collecting = context;
    const char *const name = stats->route->name, *const error = stats->last_error_text;
    struct stele__metrics_route *const route = stele__vector_add(&collecting->routes);

    if (route) {
        route->stats = *stats;
        route->name = stele_arena_text(&collecting->texts, name, strlen(name));
        route->error = stele_arena_text(&collecting->texts, error, strlen(error));
    }
    if (route && route->name && route->error) {
        route->name = stele__clean_text(route->name, &collecting->texts);
        route->error = stele__clean_text(route->error, &collecting->texts);
    }
    collecting->is_out_of_memory = !route || !route->name || !route->error;
    return !collecting->is_out_of_memory;
}

static stele_status collect(stele_bus *bus, struct collecting *collecting, struct stele__metrics *out,
                            stele_error **error)
{
    stele_status status;

    stele__vector_init(&collecting->routes, sizeof(struct stele__metrics_route));
    stele__arena_init(&collecting->texts);
    stele_bus_get_stats(bus, &out->bus);
    status = stele_bus_visit_routes(bus, add_route, collecting, error);
    if (status == STELE_OK && collecting->is_out_of_memory)
        status = stele__fail_memory(error);
    out->routes = collecting->routes.items;
    out->route_count = collecting->routes.count;
    return status;
}

static stele_status check(const stele_bus *bus, const stele_arena *arena, const struct stele_slice *out,
                          stele_error **error)
{
    if (!stele__bus_is_usable(bus))
        return stele__bus_fail_unusable(bus, error);
    if (!arena)
        return stele__fail_argument(error, "arena", "is NULL");
    return out ? STELE_OK : stele__fail_argument(error, "out", "is NULL");
}

static stele_status write_metrics(stele_bus *bus, bool as_json, stele_arena *arena, struct stele_slice *out,
                                  stele_error **error)
{
    struct collecting collecting = {.is_out_of_memory = false};
    struct stele__metrics metrics = {.route_count = 0};
    struct stele__buffer buffer;
    stele_status status = check(bus, arena, out, error);

    if (status != STELE_OK)
        return status;
    stele__buffer_init(&buffer);
    status = collect(bus, &collecting, &metrics, error);
    if (status == STELE_OK && as_json)
        status = stele__metrics_to_json(&metrics, &collecting.texts, &buffer, error);
    else if (status == STELE_OK)
        stele__metrics_to_prometheus(&metrics, &buffer);
    status = stele__buffer_to_arena(&buffer, status, "metrics", arena, out, error);
    stele__vector_fini(&collecting.routes);
    stele__arena_fini(&collecting.texts);
    return status;
}

stele_status stele_metrics_json(stele_bus *bus, stele_arena *arena, struct stele_slice *out, stele_error **error)
{
    return write_metrics(bus, true, arena, out, error);
}

stele_status stele_metrics_prometheus(stele_bus *bus, stele_arena *arena, struct stele_slice *out, stele_error **error)
{
    return write_metrics(bus, false, arena, out, error);
}
