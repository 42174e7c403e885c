/*
 * The types of all modules by name, and what is known of each: whether it is
 * published (or comes from outside), awaited, wanted by a route.
 *
 * Types are mentioned in lists, by routes, aggregates, requests and schedules;
 * each mention marks its type. What can fail: memory. A second type under a name
 * is a problem.
 */
#include "app/app.h"

#include "base/error.h"
#include "base/text.h"
#include "bus/check.h"

struct gathering {
    struct stele__graph *graph;
    struct stele__problems *problems; /* NULL: not wanted */
    const struct stele_module *module;
    bool is_short_of_memory;
};

struct stele__used_type *stele__graph_find(const struct stele__graph *graph, struct stele_slice name)
{
    return stele__map_get(&graph->by_name, name);
}

/* NULL when memory is out. */
static struct stele__used_type *add_known(struct gathering *gathering, const struct stele_type *type)
{
    struct stele__graph *graph = gathering->graph;
    struct stele__used_type *known = stele__arena_array(&graph->arena, 1, sizeof(*known));
    struct stele__used_type **place = NULL;

    if (known) {
        known->type = type;
        known->module = gathering->module;
        if (stele__map_put(&graph->by_name, stele__slice(type->name), known))
            place = stele__vector_add(&graph->types);
    }
    if (!place) {
        gathering->is_short_of_memory = true;
        return NULL;
    }
    *place = known;
    return known;
}

static void check_type(struct gathering *gathering, const struct stele_type *type)
{
    stele_error *error = NULL;
    const stele_status status = stele_type_check(type, &error);

    if (status == STELE_NO_MEMORY)
        gathering->is_short_of_memory = true;
    else if (status != STELE_OK && gathering->problems)
        stele__buffer_add_text(stele__problem(gathering->problems, gathering->module, "type", type->name),
                               stele_error_message(error));
    stele_error_free(error);
}

static void check_same(const struct gathering *gathering, struct stele__used_type *known, const struct stele_type *type)
{
    if (known->type == type || known->has_other || !gathering->problems)
        return;
    known->has_other = true;
    stele__buffer_print(stele__problem(gathering->problems, gathering->module, "type", type->name),
                        "module %s has another type under this name", stele__module_label(known->module));
}

static void mention(struct gathering *gathering, const struct stele_type *type, unsigned marks)
{
    struct stele__used_type *known = NULL;

    if (type->name)
        known = stele__graph_find(gathering->graph, stele__slice(type->name));
    if (known)
        check_same(gathering, known, type);
    else
        check_type(gathering, type);
    if (!known && type->name)
        known = add_known(gathering, type);
    if (known)
        known->marks |= marks;
}

static void mention_list(struct gathering *gathering, const struct stele_type *const *list, unsigned marks)
{
    for (size_t i = 0; list && list[i]; i++)
        mention(gathering, list[i], marks);
}

static void mention_route(struct gathering *gathering, const struct stele_route *route)
{
    if (route->type)
        mention(gathering, route->type, 0);
    mention_list(gathering, route->publishes, STELE__PUBLISHED);
    if (route->replies)
        mention(gathering, route->replies, STELE__PUBLISHED);
}

static void mention_aggregate(struct gathering *gathering, const struct stele_aggregate *aggregate)
{
    const stele_status status = stele_aggregate_check(aggregate, NULL);

    if (status == STELE_NO_MEMORY)
        gathering->is_short_of_memory = true;
    if (status != STELE_OK)
        return;
    for (size_t i = 0; i < aggregate->decider_count; i++)
        mention(gathering, aggregate->deciders[i].command, STELE__WANTED);
    for (size_t i = 0; i < aggregate->evolution_count; i++)
        mention(gathering, aggregate->evolutions[i].event, STELE__PUBLISHED);
    mention(gathering, &stele_accepted_type, STELE__PUBLISHED);
}

static void mention_request(struct gathering *gathering, const struct stele_module_request *request)
{
    if (request->sent)
        mention(gathering, request->sent, STELE__PUBLISHED);
    if (request->answered)
        mention(gathering, request->answered, STELE__AWAITED);
}

static void mention_module(struct gathering *gathering)
{
    const struct stele_module *module = gathering->module;

    mention_list(gathering, module->types, 0);
    mention_list(gathering, module->accepts, STELE__PUBLISHED);
    for (size_t i = 0; i < module->route_count; i++)
        mention_route(gathering, &module->routes[i]);
    for (size_t i = 0; i < module->aggregate_count; i++)
        mention_aggregate(gathering, module->aggregates[i].aggregate);
    for (size_t i = 0; i < module->request_count; i++)
        mention_request(gathering, &module->requests[i]);
    for (size_t i = 0; i < module->schedule_count; i++) {
        if (module->schedules[i].type)
            mention(gathering, module->schedules[i].type, STELE__PUBLISHED);
    }
}

static void mark_wanted(const struct stele__graph *graph, const struct stele_route *route)
{
    for (size_t i = 0; i < graph->types.count; i++) {
        struct stele__used_type *known = stele__graph_type(graph, i);

        if (stele__route_wants(route, known->type))
            known->marks |= STELE__WANTED;
    }
}

struct stele__used_type *stele__graph_type(const struct stele__graph *graph, size_t index)
{
    return *(struct stele__used_type **)stele__vector_at(&graph->types, index);
}

struct stele_module *stele__graph_module(const struct stele__graph *graph, size_t index)
{
    return &(*(struct stele__mounted **)stele__vector_at(graph->modules, index))->table;
}

stele_status stele__graph_init(struct stele__graph *graph, const struct stele__vector *modules,
                               struct stele__problems *problems, stele_error **error)
{
    struct gathering gathering = {.graph = graph, .problems = problems};

    graph->modules = modules;
    stele__vector_init(&graph->types, sizeof(struct stele__used_type *));
    stele__map_init(&graph->by_name);
    stele__arena_init(&graph->arena);
    for (size_t i = 0; i < modules->count; i++) {
        gathering.module = stele__graph_module(graph, i);
        mention_module(&gathering);
    }
    for (size_t i = 0; i < modules->count; i++) {
        const struct stele_module *module = stele__graph_module(graph, i);

        for (size_t j = 0; j < module->route_count; j++)
            mark_wanted(graph, &module->routes[j]);
    }
    return gathering.is_short_of_memory ? stele__fail_memory(error) : STELE_OK;
}

void stele__graph_fini(struct stele__graph *graph)
{
    stele__map_fini(&graph->by_name);
    stele__vector_fini(&graph->types);
    stele__arena_fini(&graph->arena);
}
