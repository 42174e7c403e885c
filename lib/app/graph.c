/*
 * The graph of an app: as text, module by module, and for Graphviz dot, where
 * types stand between those who publish them and those who are for them.
 *
 *     "type:order.place" -> "route:order.charge" -> "type:order.charged"
 *
 * Both are written into a buffer and copied to the caller's arena. What can fail:
 * memory.
 */
#include "app/app.h"

#include <inttypes.h>

#include "base/error.h"
#include "base/text.h"
#include "bus/check.h"

static const char *const deliveries[] = {"inline", "queued", "after commit", "durable"};

static const struct stele_module *module_at(const stele_app *app, size_t index)
{
    return &(*(struct stele__mounted **)stele__vector_at(&app->modules, index))->table;
}

/* --- Text ----------------------------------------------------------------------------------- */

static void text_names(struct stele__buffer *text, const char *indent, const char *what, const char *const *names)
{
    for (size_t i = 0; names && names[i]; i++)
        stele__buffer_print(text, "%s%s %s\n", indent, what, names[i]);
}

static void text_types(struct stele__buffer *text, const char *indent, const char *what,
                       const struct stele_type *const *types)
{
    for (size_t i = 0; types && types[i]; i++)
        stele__buffer_print(text, "%s%s %s\n", indent, what, types[i]->name);
}

static void text_route(struct stele__buffer *text, const struct stele_route *route)
{
    stele__buffer_print(text, "  route %s, %s\n", route->name, deliveries[route->delivery]);
    if (route->on)
        stele__buffer_print(text, "    on %s", route->on);
    else
        stele__buffer_print(text, "    on type %s", route->type->name);
    if (route->where.field)
        stele__buffer_print(text, " where %s = %s", route->where.field, route->where.equals);
    stele__buffer_add_byte(text, '\n');
    if (route->uses)
        stele__buffer_print(text, "    uses %s\n", route->uses);
    text_types(text, "    ", "publishes", route->publishes);
    if (route->replies)
        stele__buffer_print(text, "    replies %s\n", route->replies->name);
}

static void text_aggregate(struct stele__buffer *text, const struct stele_module_aggregate *entry)
{
    const struct stele_aggregate *aggregate = entry->aggregate;

    stele__buffer_print(text, "  aggregate %s, %s\n", aggregate->state->name, deliveries[entry->delivery]);
    for (size_t i = 0; i < aggregate->decider_count; i++)
        stele__buffer_print(text, "    on %s\n", aggregate->deciders[i].command->name);
    for (size_t i = 0; i < aggregate->evolution_count; i++)
        stele__buffer_print(text, "    stores %s\n", aggregate->evolutions[i].event->name);
}

static void text_interceptors(struct stele__buffer *text, const struct stele_interceptor *const *list)
{
    for (size_t i = 0; list && list[i]; i++)
        stele__buffer_print(text, "  interceptor %s on %s\n", list[i]->name, list[i]->on ? list[i]->on : "everything");
}

static void text_module(struct stele__buffer *text, const struct stele_module *module)
{
    stele__buffer_print(text, "module %s\n", stele__module_label(module));
    text_names(text, "  ", "needs", module->needs);
    text_types(text, "  ", "accepts", module->accepts);
    text_interceptors(text, module->interceptors);
    for (size_t i = 0; i < module->route_count; i++)
        text_route(text, &module->routes[i]);
    for (size_t i = 0; i < module->aggregate_count; i++)
        text_aggregate(text, &module->aggregates[i]);
    for (size_t i = 0; i < module->request_count; i++)
        stele__buffer_print(text, "  request %s, answered by %s\n", module->requests[i].sent->name,
                            module->requests[i].answered->name);
    for (size_t i = 0; i < module->schedule_count; i++)
        stele__buffer_print(text, "  schedule %s every %" PRIu64 " ms\n", module->schedules[i].type->name,
                            module->schedules[i].every_ms);
}

/* --- Dot --------------------------------------------------------------------------------------- */

/* "PREFIX:name" (or "name") as a quoted string of the dot language. */
static void dot_quote(struct stele__buffer *text, const char *prefix, const char *name)
{
    stele__buffer_add_byte(text, '"');
    if (prefix)
        stele__buffer_print(text, "%s:", prefix);
    for (; *name; name++) {
        if (*name == '"' || *name == '\\')
            stele__buffer_add_byte(text, '\\');
        stele__buffer_add_byte(text, *name);
    }
    stele__buffer_add_byte(text, '"');
}

static void dot_node(struct stele__buffer *text, const char *indent, const char *prefix, const char *name,
                     const char *shape)
{
    stele__buffer_add_text(text, indent);
    dot_quote(text, prefix, name);
    stele__buffer_add_text(text, " [label=");
    dot_quote(text, NULL, name);
    stele__buffer_print(text, ", shape=%s];\n", shape);
}

static void dot_edge(struct stele__buffer *text, const char *from_prefix, const char *from, const char *to_prefix,
                     const char *to, const char *style)
{
    stele__buffer_add_text(text, "  ");
    dot_quote(text, from_prefix, from);
    stele__buffer_add_text(text, " -> ");
    dot_quote(text, to_prefix, to);
    if (style)
        stele__buffer_print(text, " [style=%s]", style);
    stele__buffer_add_text(text, ";\n");
}

static void dot_cluster(struct stele__buffer *text, const struct stele_module *module)
{
    stele__buffer_add_text(text, "  subgraph ");
    dot_quote(text, "cluster", module->name);
    stele__buffer_add_text(text, " {\n    label=");
    dot_quote(text, NULL, module->name);
    stele__buffer_add_text(text, ";\n");
    for (size_t i = 0; i < module->route_count; i++)
        dot_node(text, "    ", "route", module->routes[i].name, "box");
    for (size_t i = 0; i < module->aggregate_count; i++)
        dot_node(text, "    ", "aggregate", module->aggregates[i].aggregate->state->name, "cylinder");
    for (size_t i = 0; i < module->schedule_count; i++)
        dot_node(text, "    ", "schedule", module->schedules[i].type->name, "cds");
    stele__buffer_add_text(text, "  }\n");
}

/* Edges from the types a route is for, and to those it publishes; dashed to its reply. */
static void dot_route(struct stele__buffer *text, const struct stele__graph *graph, const struct stele_route *route)
{
    for (size_t i = 0; i < graph->types.count; i++) {
        const struct stele_type *type = stele__graph_type(graph, i)->type;

        if (stele__route_wants(route, type))
            dot_edge(text, "type", type->name, "route", route->name, NULL);
    }
    for (size_t i = 0; route->publishes && route->publishes[i]; i++)
        dot_edge(text, "route", route->name, "type", route->publishes[i]->name, NULL);
    if (route->replies)
        dot_edge(text, "route", route->name, "type", route->replies->name, "dashed");
}

static void dot_aggregate(struct stele__buffer *text, const struct stele_aggregate *aggregate)
{
    for (size_t i = 0; i < aggregate->decider_count; i++)
        dot_edge(text, "type", aggregate->deciders[i].command->name, "aggregate", aggregate->state->name, NULL);
    for (size_t i = 0; i < aggregate->evolution_count; i++)
        dot_edge(text, "aggregate", aggregate->state->name, "type", aggregate->evolutions[i].event->name, NULL);
}

static void dot_edges(struct stele__buffer *text, const struct stele__graph *graph, const struct stele_module *module)
{
    for (size_t i = 0; i < module->route_count; i++)
        dot_route(text, graph, &module->routes[i]);
    for (size_t i = 0; i < module->aggregate_count; i++)
        dot_aggregate(text, module->aggregates[i].aggregate);
    for (size_t i = 0; i < module->schedule_count; i++)
        dot_edge(text, "schedule", module->schedules[i].type->name, "type", module->schedules[i].type->name, NULL);
}

static void dot_graph(struct stele__buffer *text, const struct stele__graph *graph)
{
    stele__buffer_add_text(text, "digraph app {\n  rankdir=LR;\n");
    for (size_t i = 0; i < graph->modules->count; i++)
        dot_cluster(text, stele__graph_module(graph, i));
    for (size_t i = 0; i < graph->types.count; i++)
        dot_node(text, "  ", "type", stele__graph_type(graph, i)->type->name, "ellipse");
    for (size_t i = 0; i < graph->modules->count; i++)
        dot_edges(text, graph, stele__graph_module(graph, i));
    stele__buffer_add_text(text, "}\n");
}

/* --- Out ------------------------------------------------------------------------------------------ */

static stele_status check_arguments(const stele_app *app, const stele_arena *arena, const struct stele_slice *out,
                                    stele_error **error)
{
    if (!app)
        return stele__fail_argument(error, "app", "it is NULL");
    if (!arena)
        return stele__fail_argument(error, "arena", "it is NULL");
    return out ? STELE_OK : stele__fail_argument(error, "out", "it is NULL");
}

static stele_status hand_out(const struct stele__buffer *text, stele_arena *arena, struct stele_slice *out,
                             stele_error **error)
{
    const struct stele_slice slice = stele__buffer_slice(text);
    const stele_status status = stele__buffer_finish(text, "graph", error);
    const char *copy = status == STELE_OK ? stele_arena_text(arena, slice.data, slice.size) : NULL;

    if (status != STELE_OK)
        return status;
    if (!copy)
        return stele__fail_memory(error);
    *out = (struct stele_slice){copy, slice.size};
    return STELE_OK;
}

stele_status stele_app_graph_text(const stele_app *app, stele_arena *arena, struct stele_slice *out,
                                  stele_error **error)
{
    struct stele__buffer text;
    stele_status status = check_arguments(app, arena, out, error);

    if (status != STELE_OK)
        return status;
    stele__buffer_init(&text);
    for (size_t i = 0; i < app->modules.count; i++)
        text_module(&text, module_at(app, i));
    status = hand_out(&text, arena, out, error);
    stele__buffer_fini(&text);
    return status;
}

stele_status stele_app_graph_dot(const stele_app *app, stele_arena *arena, struct stele_slice *out, stele_error **error)
{
    struct stele__graph graph;
    struct stele__buffer text;
    stele_status status = check_arguments(app, arena, out, error);

    if (status != STELE_OK)
        return status;
    stele__buffer_init(&text);
    status = stele__graph_init(&graph, &app->modules, NULL, error);
    if (status == STELE_OK) {
        dot_graph(&text, &graph);
        status = hand_out(&text, arena, out, error);
    }
    stele__graph_fini(&graph);
    stele__buffer_fini(&text);
    return status;
}
