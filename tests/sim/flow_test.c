/*
 * Random routes that overflow, are paused, removed and stopped with messages in
 * them; observers, schedules and dead letters beside (B3, B9, B10).
 *
 *   - every message that a route took has one end: handled, failed, dropped and counted, or named by the stop's report
 *   - nothing is handled twice, unless it was requeued; a mailbox keeps its order
 *   - an observer sees each event in order, or its counter says how many it missed; nobody waits for it
 *   - a schedule publishes at its times, and not behind its cancellation
 *   - what failed for good is a dead letter, until it is handled or dropped
 */
#include "tests/sim/flow_model.h"

#include <stele/deadletters.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct flow flow;

/* --- Handlers ------------------------------------------------------------------------------------ */

static bool is_poison(const struct seat *seat, int64_t number)
{
    return !flow.messages[number].is_healed &&
           sim_draw(LOT_POISON, (uint64_t)number * NODES + (uint64_t)(seat->name[5] - '0'), 8) == 0;
}

static stele_status handle(void *resource, const stele_message *message, stele_context *context)
{
    struct seat *seat = resource;
    struct sim_step step;
    size_t box;

    if (!sim_read(message, context, &step))
        return STELE_INVALID;
    box = seat->route.partition ? (size_t)step.key : 0;
    sim_note("%s handles %d", seat->name, (int)step.number);
    sim_expect(!seat->is_stopped, "%s was called behind its stop", seat->name);
    sim_expect(!seat->is_running[box] || seat->route.delivery == STELE_INLINE, "%s: two of one mailbox", seat->name);
    sim_expect(seat->dropped[step.number] == 0 || flow.messages[step.number].requeued,
               "%s: message %d was dropped, and handled", seat->name, (int)step.number);
    sim_expect(flow.messages[step.number].requeued || seat->handled[step.number] + seat->failed[step.number] == 0,
               "%s: message %d came twice", seat->name, (int)step.number);
    sim_expect(flow.messages[step.number].requeued || step.number > seat->last[box] ||
                   seat->route.delivery == STELE_INLINE,
               "%s: message %d is out of order", seat->name, (int)step.number);
    if (!flow.messages[step.number].requeued)
        seat->last[box] = step.number;
    seat->is_running[box] = true;
    if (seat->route.delivery == STELE_QUEUED && sim_draw(LOT_NAP, (uint64_t)step.number, 3) == 0)
        sim_sleep((int64_t)sim_draw(LOT_NAP + 100, (uint64_t)step.number, 9) * SIM_MS);
    seat->is_running[box] = false;
    if (is_poison(seat, step.number)) {
        seat->failed[step.number]++;
        return STELE_TIMEOUT;
    }
    seat->handled[step.number]++;
    return STELE_OK;
}

static void note_stop(void *resource)
{
    struct seat *seat = resource;

    sim_expect(!seat->is_stopped, "%s was stopped twice", seat->name);
    seat->is_stopped = true;
}

static void add_node(size_t index)
{
    struct seat *seat = &flow.seats[flow.seat_count++];
    stele_error *error = NULL;

    seat->type = (size_t)sim_draw(LOT_NODE, index, 3);
    snprintf(seat->name, sizeof(seat->name), "node-%zu", index);
    seat->route = (struct stele_route){.name = seat->name,
                                       .on = seat->type == 2 ? "sim.*" : sim_names[seat->type],
                                       .handle = handle,
                                       .stop = note_stop,
                                       .on_failure = sim_draw(LOT_NODE, 10 + index, 3) ? STELE_BURY : STELE_IGNORE};
    for (size_t i = 0; i < SIM_KEYS; i++)
        seat->last[i] = -1;
    if (sim_draw(LOT_NODE, 20 + index, 5) > 0) {
        seat->route.delivery = STELE_QUEUED;
        seat->route.capacity = 1 + (size_t)sim_draw(LOT_NODE, 30 + index, 12);
        seat->route.partition = sim_draw(LOT_NODE, 50 + index, 2) ? "key" : NULL;
        /* What has waited longest is not known of all partitions together. */
        seat->route.overflow = (enum stele_overflow)sim_draw(LOT_NODE, 40 + index, seat->route.partition ? 2 : 3);
    }
    sim_ok(stele_bus_add_route(flow.bus, &seat->route, seat, &seat->id, &error), error);
    flow.nodes[index] = seat;
}

/* --- Sending ------------------------------------------------------------------------------------------- */

static bool wants(const struct seat *seat, int64_t number)
{
    return seat && (seat->type == 2 || seat->type == flow.messages[number].type);
}

static bool may_wait(int64_t number)
{
    for (size_t i = 0; i < flow.node_count; i++)
        if (wants(flow.nodes[i], number) && flow.nodes[i]->route.delivery == STELE_QUEUED &&
            flow.nodes[i]->route.overflow == STELE_BLOCK)
            return true;
    return false;
}

/* Each route there is takes it, or refuses it: then it is dropped, as the witness hears. */
static void send(void)
{
    const int64_t number = flow.message_count++;
    const int64_t before = sim_now();
    stele_message *message;
    stele_status status;
    char id[32];

    flow.messages[number].type = (size_t)sim_next(2);
    flow.messages[number].key = (int64_t)sim_next(SIM_KEYS);
    snprintf(id, sizeof(id), "m-%d", (int)number);
    message = sim_message(flow.messages[number].type, number, flow.messages[number].key, id);
    for (size_t i = 0; i < flow.node_count; i++)
        if (wants(flow.nodes[i], number))
            flow.nodes[i]->is_offered[number] = true;
    status = stele_publish(flow.bus, message, NULL, NULL);
    sim_note("publish %d: %s", (int)number, stele_status_name(status));
    sim_expect(status == STELE_OK || status == STELE_OVERLOAD, "a publish: %s", stele_status_name(status));
    sim_expect(may_wait(number) || sim_now() == before, "a publisher waited");
    stele_message_unref(message);
}

/* A full mailbox that is paused has its senders wait for nothing. */
static void change_node(void)
{
    const size_t index = (size_t)sim_next(flow.node_count);
    struct seat *seat = flow.nodes[index];
    const uint64_t way = sim_next(4);

    sim_note("change node-%zu: %s", index, !seat ? "add" : way == 0 ? "remove" : way == 1 ? "pause" : "resume");
    if (!seat) {
        if (flow.seat_count < SEATS)
            add_node(index);
    } else if (way == 0) {
        sim_expect(stele_bus_remove_route(flow.bus, seat->id), "a route was not there");
        seat->is_gone = true;
        flow.nodes[index] = NULL;
    } else if (seat->route.delivery == STELE_QUEUED && seat->route.overflow != STELE_BLOCK) {
        sim_expect((way == 1 ? stele_bus_pause : stele_bus_resume)(flow.bus, seat->name, NULL) == STELE_OK,
                   "a route could not be paused or resumed");
    }
}

static bool heal(void *context, const struct stele_dead_letter *letter)
{
    const int64_t number = strtol(letter->id + 2, NULL, 10);

    (void)context;
    flow.messages[number].requeued++;
    sim_note("to requeue: %d", (int)number);
    flow.messages[number].is_healed = flow.messages[number].is_healed || sim_chance(70);
    return true;
}

static void requeue(void)
{
    const struct stele_dead_query some = {.size = sizeof(some), .limit = 1 + sim_next(4)};
    stele_status status;

    stele_dead_list(flow.bus, &some, heal, NULL, NULL);
    status = stele_dead_requeue(flow.bus, &some, NULL, NULL);
    sim_note("requeue: %s", stele_status_name(status));
    sim_expect(status == STELE_OK || status == STELE_NOT_FOUND, "requeueing: %s", stele_status_name(status));
}

static void take_step(void)
{
    const uint64_t lot = sim_next(100);

    if (lot < 45)
        for (uint64_t i = 1 + sim_next(8); i-- > 0 && flow.message_count < MESSAGES;)
            send();
    else if (lot < 58)
        change_node();
    else if (lot < 64)
        flow_plan_one();
    else if (lot < 67 && flow.plan_count)
        flow_cancel_plan(&flow.plans[sim_next(flow.plan_count)]);
    else if (lot < 73)
        requeue();
    else if (lot < 88)
        stele_runtime_run(sim.runtime, 1 + (size_t)sim_next(16));
    else
        stele_runtime_advance(sim.runtime, (int64_t)sim_next(30) * SIM_MS);
}

/* --- The end --------------------------------------------------------------------------------------------- */

struct letters {
    uint64_t count;
};

static bool count_letter(void *context, const struct stele_dead_letter *letter)
{
    struct letters *letters = context;
    const int64_t number = strtol(letter->id + 2, NULL, 10);
    bool has_failed = false;

    for (size_t i = 0; i < flow.seat_count; i++)
        has_failed = has_failed || (strcmp(flow.seats[i].name, letter->route) == 0 && flow.seats[i].failed[number] > 0);
    sim_expect(has_failed, "a letter of %s to %s, which did not fail", letter->id, letter->route);
    letters->count++;
    sim_note("letter of %s to %s", letter->id, letter->route);
    return true;
}

/* How many are due: failed in a route that buries, and not handled since. */
static void check_letters(void)
{
    const struct stele_dead_query all = {.size = sizeof(all), .with_requeued = true};
    struct letters letters = {0};
    uint64_t due = 0;

    for (size_t index = 0; index < flow.node_count; index++) {
        for (int64_t j = 0; j < flow.message_count; j++) {
            unsigned failed = 0, handled = 0;

            for (size_t i = 0; i < flow.seat_count; i++) {
                const struct seat *seat = &flow.seats[i];

                if ((size_t)(seat->name[5] - '0') != index || seat->route.on_failure != STELE_BURY)
                    continue;
                failed += seat->failed[j];
                handled += seat->handled[j];
            }
            due += failed > 0 && handled == 0;
            if (failed > 0)
                sim_note("node-%zu: message %d failed %u, handled %u", index, (int)j, failed, handled);
        }
    }
    stele_dead_list(flow.bus, &all, count_letter, &letters, NULL);
    sim_expect(letters.count == due, "%" PRIu64 " letters, not %" PRIu64, letters.count, due);
}

/* Messages that a route took have an end; `*left` counts those that have none. */
static void count_left(const struct seat *seat, uint64_t *left)
{
    for (int64_t j = 0; j < flow.message_count; j++) {
        const unsigned ends = seat->handled[j] + seat->failed[j] + seat->dropped[j];

        sim_expect(ends <= 1 || flow.messages[j].requeued, "%s: message %d has %u ends", seat->name, (int)j, ends);
        *left += ends == 0 && seat->is_offered[j];
        if (ends == 0 && seat->is_offered[j])
            sim_note("%s: message %d has no end", seat->name, (int)j);
    }
}

/* All that a route has dropped. Of a letter that was requeued it is not known from which seat of the name it was. */
static uint64_t count_dropped(const char *name, const struct seat *only)
{
    uint64_t dropped = 0;

    for (size_t i = 0; i < flow.seat_count; i++) {
        const struct seat *seat = &flow.seats[i];

        for (int64_t j = 0; (!only || seat == only) && strcmp(seat->name, name) == 0 && j < flow.message_count; j++)
            dropped += seat->dropped[j];
    }
    return dropped;
}

static bool check_counts(void *context, const struct stele_route_stats *stats)
{
    (void)context;
    for (size_t i = 0; i < flow.node_count; i++) {
        const struct seat *seat = flow.nodes[i];
        const uint64_t counted = stats->dropped + stats->rejected;

        if (!seat || stats->route != &seat->route)
            continue;
        sim_expect(counted >= count_dropped(seat->name, seat) && counted <= count_dropped(seat->name, NULL),
                   "%s counts %" PRIu64 " dropped and rejected of %" PRIu64, seat->name, counted,
                   count_dropped(seat->name, seat));
        sim_expect(stats->waiting == 0 && stats->running == 0, "%s is not at rest", seat->name);
    }
    return true;
}

static void resume_all(void)
{
    for (size_t i = 0; i < flow.node_count; i++)
        if (flow.nodes[i] && flow.nodes[i]->route.delivery == STELE_QUEUED)
            stele_bus_resume(flow.bus, flow.nodes[i]->name, NULL);
}

/* At rest: all has an end. */
static void check_rest(void)
{
    resume_all();
    flow_check_plans();
    for (size_t i = 0; i < flow.plan_count; i++)
        flow_cancel_plan(&flow.plans[i]);
    stele_runtime_advance(sim.runtime, 10000 * SIM_MS);
    sim_expect(stele_bus_flush_observers(flow.bus, 60000, NULL) == STELE_OK, "observers are behind");
    for (size_t i = 0; i < flow.seat_count; i++) {
        uint64_t left = 0;

        count_left(&flow.seats[i], &left);
        sim_expect(left == 0, "%s: %" PRIu64 " messages have no end", flow.seats[i].name, left);
    }
    stele_bus_visit_routes(flow.bus, check_counts, NULL, NULL);
    check_letters();
    flow_check_observers();
}

static bool sum_dropped(void *context, const struct stele_route_stats *stats)
{
    *(uint64_t *)context += stats->dropped;
    return true;
}

struct ending {
    const struct stele_stopped *stopped;
    uint64_t running; /* without an end, and neither dropped nor refused */
};

/* What the observers know may be cut off: the route's own counts are complete. */
static bool count_running(void *context, const struct stele_route_stats *stats)
{
    struct ending *ending = context;
    const uint64_t dropped = stats->dropped + stats->rejected;
    uint64_t left = 0;

    for (size_t i = 0; i < flow.node_count; i++) {
        const struct seat *seat = flow.nodes[i];

        for (int64_t j = 0; seat && stats->route == &seat->route && j < flow.message_count; j++)
            left += seat->is_offered[j] && seat->handled[j] + seat->failed[j] == 0;
    }
    sim_expect(left <= dropped || strstr(ending->stopped->routes, stats->route->name), "%s is not told of",
               stats->route->name);
    ending->running += left > dropped ? left - dropped : 0;
    return true;
}

/* In the middle of it: what has no end is told. */
static void check_stop(void)
{
    struct stele_stopped stopped;
    struct ending ending = {.stopped = &stopped};
    uint64_t before = 0, after = 0;
    stele_status status;

    stele_bus_visit_routes(flow.bus, sum_dropped, &before, NULL);
    status = stele_bus_stop(flow.bus, (uint32_t)sim_next(30), &stopped, NULL);
    stele_bus_visit_routes(flow.bus, sum_dropped, &after, NULL);

    sim_note("stop: %" PRIu64 " discarded, %" PRIu64 " running: %s", stopped.discarded, stopped.running,
             stopped.routes);
    sim_expect((status == STELE_OK) == (stopped.discarded + stopped.running == 0), "stop: %s",
               stele_status_name(status));
    sim_expect(after - before == stopped.discarded,
               "a stop tells of %" PRIu64 " messages that it discarded, not %" PRIu64, stopped.discarded,
               after - before);
    sim_expect(stopped.discarded == 0 || stopped.routes[0], "a stop tells of no route");
    stele_bus_visit_routes(flow.bus, count_running, &ending, NULL);
    sim_expect(ending.running <= stopped.running, "%" PRIu64 " messages are lost in a stop", ending.running);
}

static void begin_world(void)
{
    struct stele_bus_options options = STELE_OPTIONS_INIT(struct stele_bus_options);
    stele_error *error = NULL;

    memset(&flow, 0, sizeof(flow));
    options.measure = true;
    sim_runtime_begin(0);
    sim_ok(stele_bus_new(sim.runtime, &options, &flow.bus, &error), error);
    flow_add_observers();
    flow_add_ticker();
    flow.node_count = 1 + (size_t)sim_next(NODES);
    for (size_t i = 0; i < flow.node_count; i++)
        add_node(i);
}

static void end_world(void)
{
    stele_bus_free(flow.bus);
    sim_runtime_end();
    for (size_t i = 0; i < flow.seat_count; i++)
        sim_expect(flow.seats[i].is_stopped, "%s was not told that it stops", flow.seats[i].name);
    flow_free_observers();
}

static void run_world(void)
{
    const uint64_t steps = 15 + sim_next(50);

    begin_world();
    for (uint64_t i = 0; i < steps && !sim_has_fault(); i++)
        take_step();
    stele_runtime_advance(sim.runtime, 0);
    if (sim_chance(50)) {
        check_rest();
    } else {
        check_stop();
        stele_runtime_advance(sim.runtime, 1000 * SIM_MS);
    }
    end_world();
}

static void what_flows_through_random_buses_has_an_end_each(void **state)
{
    (void)state;
    sim_run_seeds("flow_test", run_world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(what_flows_through_random_buses_has_an_end_each),
    };

    return cmocka_run_group_tests_name("simulated flows", tests, NULL, NULL);
}
