/*
 * Random buses in simulation, many seeds: nothing is lost or handled twice.
 *
 * From a seed come routes (inline, queued, partitioned; with and without a
 * retry), handlers that publish more or fail, and messages sent in three ways.
 * What a handler does follows from message, route and attempt alone, so that a
 * book can be kept of what has to come true:
 *
 *   - a message is handled once by each route of its type, or fails there for good once
 *   - what a handler publishes is seen only if it succeeds
 *   - a mailbox, or a partition of it, has one message in flight
 *   - what one sender sends comes to a route in order
 *   - deliver returns when all that follows is done, and tells how many failed
 *   - the same seed gives the same run
 *
 * Seeds, faults and traces: sim.h.
 */
#include "tests/sim/sim.h"

#include <stele/intercept.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUTES_MAX = 8, DEPTH_MAX = 4, FACTS_MAX = 4096, ROOTS_MAX = 48, ATTEMPTS = 3 };

/* A message, as the book knows it. */
struct fact {
    size_t type;
    size_t root;
    unsigned depth;
    bool is_visible;
    unsigned ended[ROUTES_MAX]; /* handled, or failed for good */
};

struct node {
    struct stele_route route;
    char name[32];
    size_t index;
    size_t type; /* SIM_TYPES: all of them */
    bool retries;
    bool running[SIM_KEYS];
    int64_t last_root;
    unsigned calls;
};

static struct world {
    stele_bus *bus;
    struct node nodes[ROUTES_MAX];
    size_t node_count;
    struct fact facts[FACTS_MAX];
    size_t fact_count;
    unsigned failures[ROOTS_MAX];
} world;

static int64_t new_fact(size_t type, size_t root, unsigned depth)
{
    if (world.fact_count == FACTS_MAX)
        abort();
    world.facts[world.fact_count] = (struct fact){.type = type, .root = root, .depth = depth};
    return (int64_t)world.fact_count++;
}

/* --- A handler ---------------------------------------------------------------------------- */

static stele_status publish_more(const struct node *node, const struct sim_step *step, stele_context *context)
{
    const struct fact *fact = &world.facts[step->number];
    const uint64_t place = (uint64_t)step->number * ROUTES_MAX + node->index;
    const bool may_more = fact->depth < DEPTH_MAX && world.fact_count + 2 < FACTS_MAX / 2;
    const uint64_t count = may_more ? sim_draw(1, place, 3) : 0;
    stele_status status = STELE_OK;

    for (uint64_t i = 0; i < count && status == STELE_OK; i++) {
        const size_t type = (size_t)sim_draw(2 + i, place, SIM_TYPES);
        const struct sim_step more = {.number = new_fact(type, fact->root, fact->depth + 1),
                                      .key = (int64_t)sim_draw(5 + i, place, SIM_KEYS)};

        status = stele_context_publish(context, &sim_types[type], &more, NULL);
    }
    return status;
}

/* How often a route fails on a message before it succeeds; ATTEMPTS and more: it never does. */
static unsigned failures_of(const struct node *node, int64_t number)
{
    const uint64_t lot = sim_draw(9, (uint64_t)number * ROUTES_MAX + node->index, 12);

    return lot == 0 ? ATTEMPTS : lot == 1 ? 1 : 0;
}

static void end_fact(struct node *node, struct fact *fact, bool has_failed)
{
    fact->ended[node->index]++;
    world.failures[fact->root] += has_failed;
}

static stele_status act(struct node *node, const struct sim_step *step, stele_context *context, size_t first)
{
    struct fact *fact = &world.facts[step->number];
    const unsigned attempt = stele_context_attempt(context);
    const stele_status status = publish_more(node, step, context);

    sim_expect(status == STELE_OK, "a handler could not publish");
    if (attempt <= failures_of(node, step->number)) {
        if (!node->retries || attempt == ATTEMPTS)
            end_fact(node, fact, true);
        return stele_context_fail(context, STELE_TIMEOUT, "not this time");
    }
    for (size_t i = first; i < world.fact_count; i++)
        world.facts[i].is_visible = true;
    end_fact(node, fact, false);
    return STELE_OK;
}

static void check_order(struct node *node, const struct sim_step *step)
{
    const struct fact *fact = &world.facts[step->number];

    if (fact->depth > 0 || node->route.delivery == STELE_INLINE || node->route.partition)
        return;
    sim_expect(step->number >= node->last_root, "a mailbox is out of order");
    node->last_root = step->number;
}

static stele_status handle(struct node *node, const struct sim_step *step, stele_context *context)
{
    bool *running = &node->running[node->route.partition ? step->key : 0];
    const bool is_queued = node->route.delivery == STELE_QUEUED;
    stele_status status;

    node->calls++;
    sim_expect(world.facts[step->number].is_visible, "what a failed handler published was handled");
    sim_expect(world.facts[step->number].ended[node->index] == 0, "a message came to a route again");
    sim_expect(!is_queued || !*running, "two of one mailbox were in flight");
    check_order(node, step);
    *running = true;
    status = act(node, step, context, world.fact_count);
    *running = false;
    return status;
}

static stele_status handle_any(void *resource, const stele_message *message, stele_context *context)
{
    struct sim_step step;

    return sim_read(message, context, &step) ? handle(resource, &step, context) : STELE_INVALID;
}

/* --- A world ------------------------------------------------------------------------------- */

static const struct stele_retry retry_settings = {.max_attempts = ATTEMPTS, .delay_ms = 5};
static const struct stele_interceptor retry = {.name = "retry", STELE_RETRY(&retry_settings)};
static const struct stele_interceptor *const retrying[] = {&retry, NULL};

static void add_node(size_t index)
{
    struct node *node = &world.nodes[index];
    stele_error *error = NULL;

    node->index = index;
    node->type = (size_t)sim_draw(20, index, SIM_TYPES + 1);
    node->retries = sim_draw(21, index, 3) == 0;
    snprintf(node->name, sizeof(node->name), "route-%zu", index);
    node->route = (struct stele_route){.name = node->name,
                                       .on = node->type == SIM_TYPES ? "sim.*" : sim_names[node->type],
                                       .handle = handle_any,
                                       .on_failure = sim_draw(22, index, 2) ? STELE_BURY : STELE_IGNORE,
                                       .interceptors = node->retries ? retrying : NULL};
    if (sim_draw(23, index, 3) > 0) {
        node->route.delivery = STELE_QUEUED;
        node->route.priority = 50 + (int)sim_draw(24, index, 3) * 50;
        node->route.capacity = FACTS_MAX;
        node->route.partition = sim_draw(25, index, 3) == 0 ? "key" : NULL;
    }
    assert_ok(stele_bus_add_route(world.bus, &node->route, node, NULL, &error), error);
}

static void begin_world(void)
{
    struct stele_bus_options options = STELE_OPTIONS_INIT(struct stele_bus_options);
    stele_error *error = NULL;

    memset(&world, 0, sizeof(world));
    options.measure = true;
    sim_runtime_begin(0);
    assert_ok(stele_bus_new(sim.runtime, &options, &world.bus, &error), error);
    world.node_count = 2 + (size_t)sim_draw(30, 0, ROUTES_MAX - 1);
    for (size_t i = 0; i < world.node_count; i++)
        add_node(i);
}

static void end_world(void)
{
    stele_error *error = NULL;

    sim_ok(stele_bus_stop(world.bus, 1000, NULL, &error), error);
    stele_bus_free(world.bus);
    sim_runtime_end();
}

/* --- Sending -------------------------------------------------------------------------------- */

static stele_message *new_root(size_t root)
{
    const size_t type = (size_t)sim_draw(40, root, SIM_TYPES);
    const int64_t number = new_fact(type, root, 0);

    world.facts[number].is_visible = true;
    return sim_message(type, number, (int64_t)sim_draw(41, root, SIM_KEYS), NULL);
}

static bool wants(const struct node *node, const struct fact *fact)
{
    return node->type == SIM_TYPES || node->type == fact->type;
}

/* True if all that `root` caused is done, at each route. */
static bool is_done(size_t root)
{
    for (size_t i = 0; i < world.fact_count; i++) {
        const struct fact *fact = &world.facts[i];

        for (size_t j = 0; j < world.node_count; j++) {
            if (fact->root == root && fact->is_visible && wants(&world.nodes[j], fact) && fact->ended[j] == 0)
                return false;
        }
    }
    return true;
}

static void deliver_root(size_t root, const stele_message *message)
{
    struct stele_unit_outcome outcome = {0};
    const stele_status status = stele_deliver(world.bus, message, NULL, &outcome, NULL);

    sim_expect(is_done(root), "deliver returned before all was done");
    sim_expect(outcome.failure_count == world.failures[root], "deliver tells another number of failures");
    sim_expect(status == (world.failures[root] ? STELE_TIMEOUT : STELE_OK), "deliver returned another status");
    stele_unit_outcome_fini(&outcome);
}

static void unite_root(size_t root, const stele_message *message)
{
    struct stele_unit_outcome outcome = {0};
    stele_unit *unit = NULL;
    stele_error *error = NULL;

    assert_ok(stele_unit_begin(world.bus, NULL, &unit, &error), error);
    sim_ok(stele_unit_publish(unit, message, NULL, &error), error);
    stele_unit_end(unit, &outcome, NULL);
    sim_expect(is_done(root), "a unit of work ended before all was done");
    sim_expect(outcome.failure_count == world.failures[root], "a unit of work tells another number of failures");
    stele_unit_outcome_fini(&outcome);
}

static void send_root(size_t root)
{
    stele_message *message = new_root(root);
    const uint64_t way = sim_draw(42, root, 4);

    if (way == 0)
        deliver_root(root, message);
    else if (way == 1)
        unite_root(root, message);
    else
        sim_expect(stele_publish(world.bus, message, NULL, NULL) == STELE_OK, "a publish failed");
    stele_message_unref(message);
    if (sim_draw(43, root, 3) == 0)
        stele_runtime_run(sim.runtime, (size_t)sim_draw(44, root, 9) + 1);
}

static bool check_stats(void *context, const struct stele_route_stats *stats)
{
    const struct node *node = &world.nodes[*(size_t *)context];

    sim_expect(stats->processed == node->calls, "a route counts other calls than there were");
    sim_expect(stats->waiting == 0 && stats->running == 0, "a route is not at rest");
    ++*(size_t *)context;
    return true;
}

/* Every message came once to each route that wants it, and nothing came that was not to be seen. */
static void check_book(size_t roots)
{
    size_t index = 0;

    for (size_t i = 0; i < world.fact_count; i++) {
        for (size_t j = 0; j < world.node_count; j++) {
            const struct fact *fact = &world.facts[i];
            const bool is_expected = fact->is_visible && wants(&world.nodes[j], fact);

            sim_expect(fact->ended[j] == (is_expected ? 1 : 0), "a message was lost, or came where it should not");
        }
    }
    for (size_t root = 0; root < roots; root++)
        sim_expect(is_done(root), "something was not done");
    sim_expect(stele_bus_visit_routes(world.bus, check_stats, &index, NULL) == STELE_OK, "routes could not be visited");
}

static void run_world(void)
{
    size_t roots;

    begin_world();
    roots = 8 + (size_t)sim_draw(50, 0, ROOTS_MAX - 8);
    /* Cascades differ much in size: no more is begun than the book has room for. */
    for (size_t root = 0; root < roots && world.fact_count < FACTS_MAX / 8; root++)
        send_root(root);
    stele_runtime_advance(sim.runtime, 60000 * SIM_MS);
    check_book(roots);
    end_world();
}

static void random_buses_lose_nothing_and_handle_nothing_twice(void **state)
{
    (void)state;
    sim_run_seeds("bus_test", run_world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(random_buses_lose_nothing_and_handle_nothing_twice),
    };

    return cmocka_run_group_tests_name("simulated buses", tests, NULL, NULL);
}
