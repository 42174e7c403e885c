/*
 * Random logs, random routes behind them, and processes that die: nothing is
 * lost, and nothing is repeated beyond what at-least-once needs (C1, C2).
 *
 *     append, run, pause, remove, add, requeue, kill ...     drawn from the seed
 *        └─► at last: fair weather, all routes there, until idle ─► log_check() ─► reopened: nothing comes again
 *
 * A kill cuts the disk off, at any write or between two steps, and throws bus
 * and runtime away; the next process opens on what was written until then.
 */
#include "tests/sim/log_model.h"

#include <stele/deadletters.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static stele_bus *bus;

/* --- Processes --------------------------------------------------------------------------------- */

static void checkpointed(const char *name, uint64_t position)
{
    for (size_t i = 0; i < book.node_count; i++) {
        struct log_node *node = &book.nodes[i];

        if (strcmp(node->name, name) != 0)
            continue;
        sim_expect(!node->has_checkpoint || position > node->checkpoint, "%s: the checkpoint went back to %" PRIu64,
                   name, position);
        for (int64_t j = 1; j < book.fact_count; j++)
            sim_expect(book.facts[j].position > position || !book.facts[j].position || !log_wants(node, j) ||
                           node->has_ended[j],
                       "%s: the checkpoint went over %" PRIu64 ", which was not handled", name, book.facts[j].position);
        node->checkpoint = position;
        node->has_checkpoint = true;
        sim_note("%s is at %" PRIu64, name, position);
    }
}

static void add_node(struct log_node *node)
{
    struct log_seat *seat = log_seat_new(node);
    stele_error *error = NULL;

    seat->began = node->is_durable ? node->checkpoint : 0;
    sim_ok(stele_bus_add_route(bus, &seat->route, seat, &seat->id, &error), error);
    node->seat = seat;
}

static void remove_node(struct log_node *node)
{
    sim_expect(stele_bus_remove_route(bus, node->seat->id), "a route could not be removed");
    node->seat->is_gone = true;
    node->seat = NULL;
}

static void add_missing(void)
{
    for (size_t i = 0; i < book.node_count; i++)
        if (!book.nodes[i].seat)
            add_node(&book.nodes[i]);
}

static void begin_process(void)
{
    stele_error *error = NULL;

    disk.is_cut = false;
    disk.cut_in = 0;
    sim_runtime_begin(book.life);
    assert_ok(stele_bus_new(sim.runtime, NULL, &bus, &error), error);
    sim_ok(stele_bus_follow(bus, disk.store, &error), error);
    add_missing();
}

static void end_process(void)
{
    stele_bus_free(bus);
    sim_runtime_end();
    book.life++;
    for (size_t i = 0; i < book.seat_count; i++) {
        sim_expect(book.seats[i].stops == 1, "%s was not told that it stops", book.seats[i].node->name);
        book.seats[i].is_gone = true;
    }
    for (size_t i = 0; i < book.node_count; i++)
        book.nodes[i].seat = NULL;
}

static void kill_process(void)
{
    sim_note("kill");
    disk.is_cut = true;
    end_process();
    begin_process();
}

/* In the middle of it: what was not handled is left for the next process. */
static void stop_process(void)
{
    sim_note("stop");
    stele_bus_stop(bus, (uint32_t)sim_next(20), NULL, NULL);
    for (size_t i = 0; i < book.seat_count; i++)
        book.seats[i].is_gone = true;
    end_process();
    begin_process();
}

/* --- Operations ------------------------------------------------------------------------------------ */

static void append_some(void)
{
    const uint64_t count = 1 + sim_next(6);
    char stream[32];
    char id[32];

    for (uint64_t i = 0; i < count && book.fact_count < LOG_ROOTS; i++) {
        const size_t type = (size_t)sim_next(SIM_TYPES);
        const int64_t key = (int64_t)sim_next(SIM_KEYS);
        struct stele_appended appended = {0};
        stele_message *message;
        int64_t number;

        snprintf(id, sizeof(id), "root-%d", (int)book.fact_count);
        snprintf(stream, sizeof(stream), "s-%d", (int)sim_next(4));
        number = log_fact_new(type, key, 0, id);
        message = log_fact_message(number);
        if (stele_append(disk.store, stream, stele_expect_any(), message, &appended, NULL) == STELE_OK)
            book.facts[number].position = appended.first_position;
        else
            sim_expect(disk.is_cut, "an append failed");
        stele_message_unref(message);
    }
}

static bool mark_letter(void *context, const struct stele_dead_letter *letter)
{
    const bool drops = *(bool *)context;

    for (size_t i = 0; i < book.node_count; i++) {
        for (int64_t j = 1; j < book.fact_count; j++) {
            struct log_node *node = &book.nodes[i];

            if (strcmp(node->name, letter->route) != 0 || strcmp(book.facts[j].id, letter->id) != 0)
                continue;
            if (drops)
                node->is_dropped[j] = true;
            else if (letter->is_requeued)
                node->is_healed[j] = node->is_healed[j] || sim_chance(50);
            else
                node->requeued[j]++; /* it is about to be */
        }
    }
    return true;
}

/* What is marked as requeued is handled again, some time, in this process or the next. */
static void requeue_or_drop(bool drops)
{
    const struct stele_dead_query some = {.size = sizeof(some), .limit = 1 + sim_next(5)};
    const struct stele_dead_query marked = {.size = sizeof(marked), .with_requeued = true};
    stele_error *error = NULL;
    stele_status status;

    stele_dead_list(bus, &some, mark_letter, &drops, NULL);
    status = drops ? stele_dead_drop(bus, &some, NULL, &error) : stele_dead_requeue(bus, &some, NULL, &error);
    sim_expect(status == STELE_OK || status == STELE_NOT_FOUND || disk.is_cut, "letters could not be marked: %s",
               stele_error_message(error));
    stele_error_free(error);
    sim_note("%s letters: %s", drops ? "drop" : "requeue", stele_status_name(status));
    if (!drops && !disk.is_cut)
        stele_dead_list_in(disk.store, &marked, mark_letter, &drops, NULL);
}

static void change_node(void)
{
    struct log_node *node = &book.nodes[sim_next(book.node_count)];
    const uint64_t way = sim_next(4);

    sim_note("change %s: %s", node->name, !node->seat ? "add" : way == 0 ? "remove" : way == 1 ? "pause" : "resume");
    if (!node->seat)
        add_node(node);
    else if (way == 0)
        remove_node(node);
    else if (way == 1)
        stele_bus_pause(bus, node->name, NULL);
    else
        stele_bus_resume(bus, node->name, NULL);
}

static void run_some(void)
{
    if (sim_chance(50))
        stele_runtime_run(sim.runtime, 1 + (size_t)sim_next(20));
    else
        stele_runtime_advance(sim.runtime, (int64_t)sim_next(120) * SIM_MS);
}

static void change_disk(void)
{
    disk.weather = sim_chance(50) ? (unsigned)sim_next(60) : 0;
    if (sim_chance(40)) {
        disk.cut_in = 1 + sim_next(12);
        disk.cuts_behind = sim_chance(50);
    }
}

static void take_step(void)
{
    const uint64_t lot = sim_next(100);

    if (lot < 35)
        append_some();
    else if (lot < 65)
        run_some();
    else if (lot < 78)
        change_node();
    else if (lot < 86)
        requeue_or_drop(sim_chance(20));
    else if (lot < 93)
        change_disk();
    else if (lot < 96)
        kill_process();
    else
        stop_process();
    if (disk.is_cut)
        kill_process();
}

/* --- The end --------------------------------------------------------------------------------------------- */

static void heal_suspended(void)
{
    for (size_t i = 0; i < book.node_count; i++) {
        struct log_node *node = &book.nodes[i];

        for (int64_t j = 1; j < book.fact_count && node->policy == STELE_SUSPEND; j++)
            node->is_healed[j] = true;
        stele_bus_resume(bus, node->name, NULL);
    }
}

static void come_to_rest(void)
{
    sim_note("come to rest");
    disk.weather = 0;
    disk.cut_in = 0;
    add_missing();
    /* What is stored meanwhile may be poison, too. */
    for (int round = 0; round < 3; round++) {
        heal_suspended();
        stele_runtime_advance(sim.runtime, 30000 * SIM_MS);
    }
}

/* Nothing is left for the next process. */
static void check_reopened(void)
{
    stele_error *error = NULL;

    sim_ok(stele_bus_stop(bus, 1000, NULL, &error), error);
    end_process();
    begin_process();
    come_to_rest();
    for (size_t i = 0; i < book.node_count; i++)
        for (int64_t j = 1; j < book.fact_count && book.nodes[i].is_durable; j++)
            sim_expect(book.nodes[i].seat->ended[j] == 0, "%s: fact %d came again behind a graceful end",
                       book.nodes[i].name, (int)j);
}

static void run_world(void)
{
    const uint64_t steps = 20 + sim_next(60);

    disk_open();
    disk.checkpointed = checkpointed;
    log_draw();
    begin_process();
    for (uint64_t i = 0; i < steps && book.seat_count < LOG_SEATS - 3 * LOG_NODES && !sim_has_fault(); i++)
        take_step();
    come_to_rest();
    log_check();
    if (!sim_has_fault())
        check_reopened();
    end_process();
    disk_close();
}

static void random_logs_lose_nothing_and_repeat_no_more_than_they_must(void **state)
{
    (void)state;
    sim_run_seeds("log_test", run_world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(random_logs_lose_nothing_and_repeat_no_more_than_they_must),
    };

    return cmocka_run_group_tests_name("simulated logs", tests, NULL, NULL);
}
