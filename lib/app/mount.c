/*
 * Mounting: modules are collected, checked together with those that are there, and
 * put on the bus, all or none.
 *
 *   collected ── sound? ── types, interceptors, routes, aggregates on the bus ── mounted
 *       │          │ no                     │ failed
 *       └──────────┴── told, forgotten      └── taken off again, in reverse
 *
 * Routes that follow the log wait for the app's start (app.c). The arena keeps what
 * a failure on the bus leaves, since calls under way may still look at it.
 */
#include "app/app.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "bus/check.h"
#include "bus/core.h"

/* What an error's message can hold of problems, less the words around them and between; and of each one. */
enum { REPORT_MAX = 3600, LINE_MAX_SIZE = 1200 };

/* --- The report ---------------------------------------------------------------------------- */

/* How much of a line is shown: all of it, or whole characters. */
static size_t shown_size(struct stele_slice line)
{
    size_t size = LINE_MAX_SIZE;

    if (line.size <= LINE_MAX_SIZE)
        return line.size;
    while (size > 0 && ((unsigned char)line.data[size] & 0xc0) == 0x80)
        size--;
    return size;
}

/* As many lines as fit, each with a newline before it, and shortened if it is very long; returns how many they are. */
static size_t fit_lines(struct stele_slice text, struct stele__buffer *out)
{
    static const char cut[] = " ...";
    size_t lines = 0;

    while (text.size > 0) {
        const char *end = memchr(text.data + 1, '\n', text.size - 1);
        const struct stele_slice line = {text.data, end ? (size_t)(end - text.data) : text.size};
        const size_t shown = shown_size(line);
        const size_t size = shown + (shown < line.size ? sizeof(cut) - 1 : 0);

        if (out->size + size > REPORT_MAX)
            break;
        stele__buffer_print(out, "%.*s%s", (int)shown, line.data, shown < line.size ? cut : "");
        lines++;
        text.data += line.size;
        text.size -= line.size;
    }
    return lines;
}

/* "2 problems: one; another" */
static void join_lines(struct stele__buffer *message, const struct stele__problems *problems, struct stele_slice lines)
{
    stele__buffer_print(message, "%zu %s: ", problems->count, problems->count == 1 ? "problem" : "problems");
    for (size_t i = 1; i < lines.size; i++) {
        if (lines.data[i] == '\n')
            stele__buffer_add_text(message, "; ");
        else
            stele__buffer_add_byte(message, lines.data[i]);
    }
}

static stele_status fail_problems(const struct stele__problems *problems, stele_error **error)
{
    struct stele__buffer shown, message;
    size_t lines;
    char rest[40] = "";
    stele_status status;

    stele__buffer_init(&shown);
    stele__buffer_init(&message);
    lines = fit_lines(stele__buffer_slice(&problems->text), &shown);
    if (lines < problems->count)
        snprintf(rest, sizeof(rest), "\nand %zu more", problems->count - lines);
    join_lines(&message, problems, stele__buffer_slice(&shown));
    stele__buffer_add_byte(&message, '\0');
    status = stele__buffer_finish(&shown, "problems", error);
    if (status == STELE_OK)
        status = stele__buffer_finish(&message, "problems", error);
    if (status == STELE_OK) {
        status = stele__fail(error, STELE_INVALID, "%s%s%s", message.data, *rest ? "; " : "", *rest ? rest + 1 : "");
        stele__error_add(error, "problems", "%.*s%s", (int)shown.size - 1, shown.data + 1, rest);
    }
    stele__buffer_fini(&shown);
    stele__buffer_fini(&message);
    return status;
}

/* --- On the bus ------------------------------------------------------------------------------ */

stele_status stele__route_mount(stele_app *app, struct stele__mounted *mounted, size_t index, stele_error **error)
{
    const struct stele_route *route = &mounted->table.routes[index];
    void *resource = route->uses ? stele_app_resource(app, route->uses) : NULL;
    const stele_status status = stele_bus_add_route(app->bus, route, resource, &mounted->routes[index], error);

    if (status != STELE_OK)
        stele__error_prefix(error, "module %s", stele__module_label(&mounted->table));
    return status;
}

void stele__route_unmount(stele_app *app, struct stele__mounted *mounted, size_t index)
{
    if (mounted->routes[index])
        stele_bus_remove_route(app->bus, mounted->routes[index]);
    mounted->routes[index] = 0;
}

static stele_status add_routes(stele_app *app, struct stele__mounted *mounted, stele_error **error)
{
    stele_status status = STELE_OK;

    for (size_t i = 0; status == STELE_OK && i < mounted->table.route_count; i++) {
        if (!stele__route_is_stored(&mounted->table.routes[i]))
            status = stele__route_mount(app, mounted, i, error);
    }
    return status;
}

static stele_status add_interceptors(stele_app *app, struct stele__mounted *mounted, stele_error **error)
{
    const struct stele_interceptor *const *list = mounted->table.interceptors;
    stele_status status = STELE_OK;

    while (list && status == STELE_OK && list[mounted->interceptors_added]) {
        status = stele_bus_add_interceptor(app->bus, list[mounted->interceptors_added], error);
        if (status == STELE_OK)
            mounted->interceptors_added++;
    }
    return status;
}

/* A repository in the time of the app's runtime, unless its options say another. */
static stele_status make_repository(stele_app *app, const struct stele_module_aggregate *entry,
                                    const stele_repository **out, stele_error **error)
{
    struct stele_repository_options options = STELE_OPTIONS_INIT(struct stele_repository_options);
    stele_repository **place = stele__vector_add(&app->repositories);
    stele_status status;

    if (!place)
        return stele__fail_memory(error);
    if (entry->options)
        memcpy(&options, entry->options,
               entry->options->size < sizeof(options) ? entry->options->size : sizeof(options));
    options.size = sizeof(options);
    if (!options.clock)
        options.clock = stele_runtime_clock(app->runtime);
    status = stele_repository_new(app->store, entry->aggregate, &options, place, error);
    *out = *place;
    return status;
}

static stele_status add_aggregate(stele_app *app, struct stele__mounted *mounted, size_t index, stele_error **error)
{
    const struct stele_module_aggregate *entry = &mounted->table.aggregates[index];
    struct stele_aggregate_route route = {.prefix = entry->prefix,
                                          .key = entry->key,
                                          .delivery = entry->delivery,
                                          .capacity = entry->capacity,
                                          .attempts = entry->attempts};
    stele_status status = make_repository(app, entry, &mounted->repositories[index], error);

    if (status == STELE_OK) {
        route.repository = mounted->repositories[index];
        status = stele_bus_add_aggregate(app->bus, &route, error);
    }
    if (status != STELE_OK)
        stele__error_prefix(error, "module %s, aggregate %s", stele__module_label(&mounted->table),
                            entry->aggregate->state->name);
    else
        mounted->aggregates_added++;
    return status;
}

/* The routes of an aggregate have the names of its commands. */
static void remove_aggregate(stele_app *app, const struct stele_aggregate *aggregate)
{
    for (size_t i = 0; i < aggregate->decider_count; i++) {
        struct stele__route *route = stele__bus_route(app->bus, aggregate->deciders[i].command->name);
        const stele_route_id id = route ? route->id : 0;

        if (route)
            stele__route_unref(route);
        stele_bus_remove_route(app->bus, id);
    }
}

static stele_status add_module(stele_app *app, struct stele__mounted *mounted, stele_error **error)
{
    stele_status status = add_interceptors(app, mounted, error);

    if (status == STELE_OK)
        status = add_routes(app, mounted, error);
    while (status == STELE_OK && mounted->aggregates_added < mounted->table.aggregate_count)
        status = add_aggregate(app, mounted, mounted->aggregates_added, error);
    return status;
}

static void remove_module(stele_app *app, struct stele__mounted *mounted)
{
    while (mounted->aggregates_added > 0)
        remove_aggregate(app, mounted->table.aggregates[--mounted->aggregates_added].aggregate);
    for (size_t i = mounted->table.route_count; i > 0; i--)
        stele__route_unmount(app, mounted, i - 1);
    while (mounted->interceptors_added > 0)
        stele_bus_remove_interceptor(app->bus, mounted->table.interceptors[--mounted->interceptors_added]->name);
}

/* The types that the modules list or mention: their kinds decide how many handlers there may be. */
static stele_status add_types(stele_app *app, const struct stele__vector *modules, stele_error **error)
{
    struct stele__graph graph;
    stele_status status = stele__graph_init(&graph, modules, NULL, error);

    for (size_t i = 0; status == STELE_OK && i < graph.types.count; i++)
        status = stele_bus_add_type(app->bus, stele__graph_type(&graph, i)->type, error);
    stele__graph_fini(&graph);
    return status;
}

static struct stele__mounted *mounted_at(const struct stele__vector *modules, size_t index)
{
    return *(struct stele__mounted **)stele__vector_at(modules, index);
}

/* Put the modules from `first` on the bus, or none. */
static stele_status add_to_bus(stele_app *app, const struct stele__vector *modules, size_t first, stele_error **error)
{
    stele_status status = add_types(app, modules, error);
    size_t end = first;

    while (status == STELE_OK && end < modules->count)
        status = add_module(app, mounted_at(modules, end++), error);
    while (status != STELE_OK && end > first)
        remove_module(app, mounted_at(modules, --end));
    return status;
}

/* --- Mounting ---------------------------------------------------------------------------------- */

/* Collect and check. What the arena gave out is taken back on failure. */
static stele_status collect_sound(stele_app *app, const struct stele_module *const *list, struct stele__vector *modules,
                                  stele_error **error)
{
    const struct stele__arena_mark mark = stele__arena_mark(&app->arena);
    struct stele__problems problems = {.count = 0};
    stele_status status;

    stele__buffer_init(&problems.text);
    status = stele__collect(&app->arena, list, modules, &problems, error);
    if (status == STELE_OK)
        status = stele__check_modules(app, modules, &problems, error);
    if (status == STELE_OK)
        status = stele__buffer_finish(&problems.text, "problems", error);
    if (status == STELE_OK && problems.count > 0)
        status = fail_problems(&problems, error);
    if (status != STELE_OK)
        stele__arena_rewind(&app->arena, mark);
    stele__buffer_fini(&problems.text);
    return status;
}

static bool copy_modules(const struct stele__vector *from, struct stele__vector *to)
{
    if (!stele__vector_reserve(to, from->count))
        return false;
    for (size_t i = 0; i < from->count; i++)
        *(struct stele__mounted **)stele__vector_add(to) = mounted_at(from, i);
    return true;
}

stele_status stele_app_mount(stele_app *app, const struct stele_module *const *modules, stele_error **error)
{
    struct stele__vector all;
    stele_status status;

    if (!app)
        return stele__fail_argument(error, "app", "it is NULL");
    if (!modules)
        return stele__fail_argument(error, "modules", "it is NULL");
    if (!stele__bus_is_usable(app->bus))
        return stele__bus_fail_unusable(app->bus, error);
    if (app->state != STELE__MOUNTING)
        return stele__fail(error, STELE_INVALID, "modules are mounted before the app is started");
    stele__vector_init(&all, sizeof(struct stele__mounted *));
    status = copy_modules(&app->modules, &all) ? STELE_OK : stele__fail_memory(error);
    if (status == STELE_OK)
        status = collect_sound(app, modules, &all, error);
    if (status == STELE_OK)
        status = add_to_bus(app, &all, app->modules.count, error);
    if (status == STELE_OK) {
        const struct stele__vector former = app->modules;

        app->modules = all;
        all = former;
    }
    stele__vector_fini(&all);
    return status;
}
