/*
 * Looking at all routes of a bus as a graph: types point to the routes that want
 * them, routes to the types they publish.
 *
 * The tables of the routes are collected first, so that nothing is looked at
 * under a lock of the bus. Circles of inline routes are found by walking down from
 * each route, depth first; a route is walked from once. What can fail: memory;
 * that is a problem to be told, like any other.
 */
#include "bus/check.h"

#include "base/buffer.h"
#include "base/text.h"
#include "base/vector.h"
#include "bus/core.h"

enum walk { UNSEEN, ON_THE_WAY, DONE };

struct node {
    const struct stele_route *route;
    enum walk walk;
};

/* The way down to a route: on the stack, the nearest first. */
struct trail {
    const struct node *node;
    const struct trail *above;
};

struct graph {
    stele_bus *bus;
    struct stele__vector nodes; /* struct node */
    bool is_short_of_memory;
    stele_problem *problem;
    void *context;
    size_t count; /* of problems */
    struct stele__buffer text;
};

/* --- What a route is for --------------------------------------------------------------- */

bool stele__route_wants(const struct stele_route *route, const struct stele_type *type)
{
    if (!route->type)
        return route->on && stele__pattern_match(stele__slice(route->on), stele__slice(type->name));
    while (type && type != route->type)
        type = type->parent;
    return type != NULL;
}

bool stele__route_is_exact(const struct stele_route *route)
{
    return route->on && !strpbrk(route->on, "*>");
}

const char *stele__route_exact_name(const struct stele_route *route)
{
    if (route->type)
        return route->type->name;
    return stele__route_is_exact(route) ? route->on : NULL;
}

bool stele__route_is_stored(const struct stele_route *route)
{
    return route->delivery == STELE_AFTER_COMMIT || route->delivery == STELE_DURABLE;
}

static bool are_kept_apart(const struct stele_where *left, const struct stele_where *right)
{
    return left->field && right->field && strcmp(left->field, right->field) == 0 &&
           strcmp(left->equals, right->equals) != 0;
}

bool stele__routes_are_rivals(const struct stele_route *left, const struct stele_route *right)
{
    const char *left_name = stele__route_exact_name(left);
    const char *right_name = stele__route_exact_name(right);

    return left_name && right_name && strcmp(left_name, right_name) == 0 &&
           !are_kept_apart(&left->where, &right->where);
}

/* --- Telling ------------------------------------------------------------------------------ */

/* Tell the problem that is in the graph's text. */
static void tell(struct graph *graph)
{
    stele__buffer_add_byte(&graph->text, '\0');
    if (graph->text.failed)
        graph->is_short_of_memory = true;
    else
        graph->problem(graph->context, graph->text.data);
    graph->count++;
    stele__buffer_reset(&graph->text);
}

static struct node *node_at(const struct graph *graph, size_t index)
{
    return stele__vector_at(&graph->nodes, index);
}

static bool is_wanted(const struct graph *graph, const struct stele_type *type)
{
    for (size_t i = 0; i < graph->nodes.count; i++) {
        if (stele__route_wants(node_at(graph, i)->route, type))
            return true;
    }
    return false;
}

static bool publishes(const struct stele_route *route, struct stele_slice name)
{
    if (route->replies && stele__slice_equal(stele__slice(route->replies->name), name))
        return true;
    for (size_t i = 0; route->publishes && route->publishes[i]; i++) {
        if (stele__slice_equal(stele__slice(route->publishes[i]->name), name))
            return true;
    }
    return false;
}

/* Known or published, or what becomes of its failure: "TYPE.error". */
static bool is_known(const struct graph *graph, struct stele_slice name)
{
    name.size -= stele__error_depth(name) * (sizeof(".error") - 1);
    for (size_t i = 0; i < graph->nodes.count; i++) {
        if (publishes(node_at(graph, i)->route, name))
            return true;
    }
    return stele__bus_type(graph->bus, name) != NULL;
}

/* --- The checks --------------------------------------------------------------------------- */

static void check_published(struct graph *graph, const struct stele_route *route)
{
    for (size_t i = 0; route->publishes && route->publishes[i]; i++) {
        const struct stele_type *type = route->publishes[i];

        if (type->kind == STELE_REPLY && type != route->replies) {
            stele__buffer_print(&graph->text, "route %s: publishes the reply %s, but does not state it", route->name,
                                type->name);
            tell(graph);
        } else if (type->kind != STELE_REPLY && !is_wanted(graph, type)) {
            stele__buffer_print(&graph->text, "route %s: publishes %s, which no route is for", route->name, type->name);
            tell(graph);
        }
    }
}

static void check_interest(struct graph *graph, const struct stele_route *route)
{
    if (!stele__route_is_exact(route) || is_known(graph, stele__slice(route->on)))
        return;
    stele__buffer_print(&graph->text, "route %s: is on %s, which is neither known nor published", route->name,
                        route->on);
    tell(graph);
}

/* --- Circles -------------------------------------------------------------------------------- */

/* "a -> b -> " from `top` down to where the trail is. */
static void print_trail(struct stele__buffer *text, const struct trail *trail, const struct node *top)
{
    if (trail->node != top)
        print_trail(text, trail->above, top);
    stele__buffer_print(text, "%s -> ", trail->node->route->name);
}

static void tell_circle(struct graph *graph, const struct trail *trail, const struct node *top)
{
    stele__buffer_add_text(&graph->text, "inline routes in a circle: ");
    print_trail(&graph->text, trail, top);
    stele__buffer_add_text(&graph->text, top->route->name);
    tell(graph);
}

static void walk_from(struct graph *graph, struct node *node, const struct trail *above);

static void walk_type(struct graph *graph, const struct stele_type *type, const struct trail *trail)
{
    for (size_t i = 0; i < graph->nodes.count; i++) {
        struct node *node = node_at(graph, i);

        if (node->route->delivery == STELE_INLINE && stele__route_wants(node->route, type))
            walk_from(graph, node, trail);
    }
}

static void walk_from(struct graph *graph, struct node *node, const struct trail *above)
{
    const struct stele_type *const *types = node->route->publishes;
    const struct trail trail = {node, above};

    if (node->walk == ON_THE_WAY)
        tell_circle(graph, above, node);
    if (node->walk != UNSEEN)
        return;
    node->walk = ON_THE_WAY;
    for (size_t i = 0; types && types[i]; i++)
        walk_type(graph, types[i], &trail);
    if (node->route->replies)
        walk_type(graph, node->route->replies, &trail);
    node->walk = DONE;
}

/* --- All of it ------------------------------------------------------------------------------ */

static bool collect(void *context, const struct stele_route_stats *stats)
{
    struct graph *graph = context;
    struct node *node = stele__vector_add(&graph->nodes);

    if (!node) {
        graph->is_short_of_memory = true;
        return false;
    }
    node->route = stats->route;
    return true;
}

static void check_routes(struct graph *graph)
{
    for (size_t i = 0; i < graph->nodes.count; i++) {
        struct node *node = node_at(graph, i);

        check_published(graph, node->route);
        check_interest(graph, node->route);
        if (node->route->delivery == STELE_INLINE)
            walk_from(graph, node, NULL);
    }
}

size_t stele_bus_check(stele_bus *bus, stele_problem *problem, void *context)
{
    struct graph graph = {.bus = bus, .problem = problem, .context = context};

    if (!stele__bus_is_usable(bus) || !problem)
        return 0;
    stele__vector_init(&graph.nodes, sizeof(struct node));
    stele__buffer_init(&graph.text);
    if (stele_bus_visit_routes(bus, collect, &graph, NULL) != STELE_OK)
        graph.is_short_of_memory = true;
    check_routes(&graph);
    if (graph.is_short_of_memory) {
        problem(context, "not all could be looked at: out of memory");
        graph.count++;
    }
    stele__buffer_fini(&graph.text);
    stele__vector_fini(&graph.nodes);
    return graph.count;
}
