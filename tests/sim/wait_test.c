/*
 * Random handlers that ask each other, with deadlines, and units of work that
 * are cancelled or run out of time (B3, B4, B10).
 *
 *     driver ──ask──► service ──ask──► service ... each sleeps, answers, fails, or says nothing
 *     script ──unit, deliver──► cascade: what follows publishes more
 *
 *   - whoever asks is told by its deadline, and exactly then if nothing came before
 *   - an answer is that to the question; none that came in time is lost, late ones are counted
 *   - a service is called once for each question, whether anybody still waits or not
 *   - nothing of a cancelled unit begins; what runs is told; the rest happens once
 *   - a unit that is done in time says so, and then it is done
 */
#include "tests/sim/sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SERVICES = 4, ASKS = 512, FACTS = 1024, UNITS = 64, CASCADES = 3, DEPTH = 3 };

STELE_DECLARE(ask, SIM_STEP);
STELE_DEFINE_QUERY(ask, "ask.0", 1, SIM_STEP);
STELE_DECLARE(answer, SIM_STEP);
STELE_DEFINE_REPLY(answer, "answer", 1, SIM_STEP);

static const char *const ask_names[SERVICES] = {"ask.0", "ask.1", "ask.2", "ask.3"};
static struct stele_type ask_types[SERVICES];

enum lot { LOT_NAP = 1, LOT_NEST, LOT_TIMEOUT, LOT_ACT, LOT_SERVICE, LOT_ROUTE, LOT_MORE };

struct question {
    size_t service;
    unsigned depth;
    int64_t began, deadline;
    int64_t called; /* when its handler was; -1: not yet */
    int64_t ended;  /* when that returned what it answers or fails with, in time; -1: not yet */
    bool is_answered, has_failed;
    unsigned calls;
    bool is_over; /* for who has asked */
    stele_status status;
};

struct fact {
    size_t unit;
    unsigned depth;
    unsigned calls;
    bool is_visible;
};

struct service {
    struct stele_route route;
    size_t index;
};

static struct {
    stele_bus *bus;
    struct service services[SERVICES];
    struct stele_route cascades[CASCADES];
    struct question questions[ASKS];
    size_t question_count;
    struct fact facts[FACTS];
    size_t fact_count;
    bool is_cancelled[UNITS];
    size_t unit_count;
    bool is_stopping;
} world;

/* --- Asking ---------------------------------------------------------------------------------- */

static void check_answer(const struct question *question, int64_t number, stele_status status,
                         const stele_message *reply)
{
    const uint32_t limit = world.services[question->service].route.timeout_ms;
    struct answer answer = {0};
    stele_arena *arena = NULL;
    const int64_t now = sim_now();
    const bool overran = limit && question->called >= 0 && now == question->called + limit * SIM_MS;

    sim_expect(now <= question->deadline, "question %d was answered behind its deadline", (int)number);
    if (status == STELE_OK && stele_arena_new(&arena, NULL) == STELE_OK) {
        sim_expect(answer_read(reply, arena, &answer, NULL) == STELE_OK && answer.number == number,
                   "question %d got the answer to %d", (int)number, (int)answer.number);
        sim_expect(question->is_answered, "question %d got an answer that nobody gave", (int)number);
        stele_arena_free(arena);
    } else if (status == STELE_TIMEOUT) {
        sim_expect(now == question->deadline || overran, "question %d was given up too early", (int)number);
        sim_expect(question->ended < 0 || question->ended >= question->deadline,
                   "question %d was answered in time, and not told", (int)number);
    } else {
        sim_expect(status == STELE_SHUTDOWN ? world.is_stopping : question->has_failed || status == STELE_NOT_FOUND,
                   "question %d failed with %s", (int)number, stele_status_name(status));
        sim_expect(status != STELE_NOT_FOUND || (question->ended >= 0 && !question->is_answered),
                   "the answer to question %d was not found", (int)number);
    }
}

static void ask(size_t service, unsigned depth, uint32_t timeout_ms)
{
    const int64_t number = (int64_t)world.question_count;
    struct stele_send_options options = STELE_OPTIONS_INIT(struct stele_send_options);
    const struct ask payload = {.number = number, .key = number % SIM_KEYS};
    struct question *question = &world.questions[number];
    stele_message *message = NULL;
    stele_message *reply = NULL;

    if (world.question_count == ASKS)
        return;
    world.question_count++;
    options.timeout_ms = timeout_ms;
    *question = (struct question){.service = service,
                                  .depth = depth,
                                  .began = sim_now(),
                                  .deadline = sim_now() + timeout_ms * SIM_MS,
                                  .called = -1,
                                  .ended = -1};
    if (stele_message_new(&ask_types[service], &payload, NULL, &message, NULL) != STELE_OK)
        abort();
    question->status = stele_request(world.bus, message, &options, &reply, NULL);
    question->is_over = true;
    sim_note("question %d: %s", (int)number, stele_status_name(question->status));
    check_answer(question, number, question->status, reply);
    stele_message_unref(message);
    stele_message_unref(reply);
}

/* --- Services ---------------------------------------------------------------------------------- */

static void nest(const struct service *service, uint64_t number)
{
    const struct question *question = &world.questions[number];

    if (question->depth >= DEPTH || sim_draw(LOT_NEST, number, 2) > 0)
        return;
    /* Now and then in a circle, which only a deadline ends. */
    ask(sim_draw(LOT_NEST, number + ASKS, 8) == 0 ? service->index : (size_t)sim_draw(LOT_SERVICE, number, SERVICES),
        question->depth + 1, 1 + (uint32_t)sim_draw(LOT_TIMEOUT, number, 40));
}

static stele_status serve(void *resource, const stele_message *message, stele_context *context)
{
    const struct service *service = resource;
    const void *untyped = NULL;
    const struct ask *asked;
    struct question *question;
    uint64_t act;
    bool is_late;

    (void)message;
    if (stele_context_read(context, &ask_types[service->index], &untyped) != STELE_OK)
        return STELE_INVALID;
    asked = untyped;
    question = &world.questions[asked->number];
    question->called = sim_now();
    sim_expect(++question->calls == 1, "a service was called again");
    act = sim_draw(LOT_ACT, (uint64_t)asked->number, 10);
    sim_sleep((int64_t)sim_draw(LOT_NAP, (uint64_t)asked->number, 12) * SIM_MS);
    nest(service, (uint64_t)asked->number);
    is_late = service->route.timeout_ms && sim_now() >= question->called + service->route.timeout_ms * SIM_MS;
    if (!is_late)
        question->ended = sim_now();
    question->has_failed = act == 0 || is_late;
    question->is_answered = act > 1 && !is_late;
    if (act == 0)
        return stele_context_fail(context, STELE_REJECTED, "no");
    return act == 1 ? STELE_OK : STELE_REPLY(context, answer, .number = asked->number, .key = 0);
}

/* An event that has somebody ask, beside all others. */
static stele_status drive(void *resource, const stele_message *message, stele_context *context)
{
    struct sim_step step;

    (void)resource;
    if (sim_read(message, context, &step))
        ask((size_t)step.number % SERVICES, 0, 1 + (uint32_t)step.number % 60);
    return STELE_OK;
}

/* --- Cascades -------------------------------------------------------------------------------------- */

static int64_t new_fact(size_t unit, unsigned depth)
{
    if (world.fact_count == FACTS)
        abort();
    world.facts[world.fact_count] = (struct fact){.unit = unit, .depth = depth};
    return (int64_t)world.fact_count++;
}

static stele_status cascade(void *resource, const stele_message *message, stele_context *context)
{
    const struct stele_route *route = resource;
    struct sim_step step;
    struct fact *fact;
    size_t first;

    if (!sim_read(message, context, &step))
        return STELE_INVALID;
    fact = &world.facts[step.number];
    sim_expect(fact->is_visible, "something came that nobody published");
    sim_expect(!world.is_cancelled[fact->unit], "something of a cancelled unit began");
    fact->calls++;
    /* An inline one is in its caller's thread, which no deadline could call back. */
    if (route->delivery == STELE_QUEUED)
        sim_sleep((int64_t)sim_draw(LOT_NAP, 9000 + (uint64_t)step.number, 6) * SIM_MS);
    sim_expect(!world.is_cancelled[fact->unit] || stele_context_is_cancelled(context), "a handler was not told");
    first = world.fact_count;
    for (uint64_t i = sim_draw(LOT_MORE, (uint64_t)step.number, 4); i-- > 0 && fact->depth < DEPTH;) {
        const size_t type = 1 + (size_t)sim_draw(LOT_MORE + 1 + i, (uint64_t)step.number, CASCADES);
        struct sim_step more = {.key = step.key};

        if (world.fact_count > FACTS / 2)
            break;
        more.number = new_fact(fact->unit, fact->depth + 1);
        if (stele_context_publish(context, &sim_types[type], &more, NULL) != STELE_OK)
            return STELE_FAILED;
    }
    for (size_t i = first; i < world.fact_count && !world.is_cancelled[fact->unit]; i++)
        world.facts[i].is_visible = true;
    return STELE_OK;
}

static bool is_done(size_t unit)
{
    for (size_t i = 0; i < world.fact_count; i++)
        if (world.facts[i].unit == unit && world.facts[i].is_visible && world.facts[i].calls == 0)
            return false;
    return true;
}

static stele_message *new_root(size_t unit)
{
    const int64_t number = new_fact(unit, 0);

    world.facts[number].is_visible = true;
    return sim_message(1 + (size_t)sim_next(CASCADES), number, (int64_t)sim_next(SIM_KEYS), NULL);
}

static void check_unit(size_t unit, int64_t deadline, stele_status status)
{
    const int64_t now = sim_now();

    sim_note("unit %zu: %s", unit, stele_status_name(status));
    sim_expect(now <= deadline, "unit %zu ended behind its deadline", unit);
    sim_expect(status != STELE_TIMEOUT || now == deadline, "unit %zu was given up too early", unit);
    sim_expect(status != STELE_OK || is_done(unit), "unit %zu ended before all was done", unit);
    sim_expect(status == STELE_OK || status == STELE_TIMEOUT || (world.is_cancelled[unit] && status == STELE_CANCELLED),
               "unit %zu ended with %s", unit, stele_status_name(status));
}

static void deliver_one(void)
{
    struct stele_send_options options = STELE_OPTIONS_INIT(struct stele_send_options);
    const size_t unit = world.unit_count++;
    stele_message *message = new_root(unit);
    int64_t deadline;

    options.timeout_ms = 1 + (uint32_t)sim_next(60);
    deadline = sim_now() + options.timeout_ms * SIM_MS;
    check_unit(unit, deadline, stele_deliver(world.bus, message, &options, NULL, NULL));
    stele_message_unref(message);
}

static void cancel(stele_unit *unit, size_t number)
{
    world.is_cancelled[number] = true;
    sim_note("cancel %zu", number);
    stele_unit_cancel(unit);
}

static void unite_some(void)
{
    struct stele_send_options options = STELE_OPTIONS_INIT(struct stele_send_options);
    const size_t number = world.unit_count++;
    stele_message *event = NULL;
    stele_unit *unit = NULL;
    int64_t deadline;

    options.timeout_ms = 1 + (uint32_t)sim_next(80);
    deadline = sim_now() + options.timeout_ms * SIM_MS;
    sim_expect(stele_unit_begin(world.bus, &options, &unit, NULL) == STELE_OK, "a unit could not begin");
    for (uint64_t i = 1 + sim_next(3); i-- > 0;) {
        stele_message *message = new_root(number);

        sim_expect(stele_unit_publish(unit, message, NULL, NULL) == STELE_OK, "a unit could not publish");
        stele_message_unref(message);
    }
    for (uint64_t i = sim_next(6); i-- > 0 && stele_unit_next(unit, &event, NULL) == STELE_OK;)
        stele_message_unref(event);
    stele_runtime_run(sim.runtime, (size_t)sim_next(8) + 1);
    if (sim_chance(50))
        cancel(unit, number);
    if (sim_now() < deadline)
        check_unit(number, deadline, stele_unit_end(unit, NULL, NULL));
    else
        stele_unit_end(unit, NULL, NULL);
}

/* --- A world ----------------------------------------------------------------------------------------- */

static const struct stele_route driver = {
    .name = "driver", .on = "sim.0", .handle = drive, .delivery = STELE_QUEUED, .partition = "key"};

static void add_route(const struct stele_route *route, void *resource)
{
    stele_error *error = NULL;

    sim_ok(stele_bus_add_route(world.bus, route, resource, NULL, &error), error);
}

static void add_services(void)
{
    for (size_t i = 0; i < SERVICES; i++) {
        struct service *service = &world.services[i];

        service->index = i;
        service->route = (struct stele_route){.name = ask_names[i],
                                              .type = &ask_types[i],
                                              .handle = serve,
                                              .on_failure = STELE_IGNORE,
                                              .delivery = STELE_QUEUED,
                                              .replies = &answer_type,
                                              .partition = sim_draw(LOT_ROUTE, i, 2) ? "key" : NULL};
        if (sim_draw(LOT_ROUTE, 10 + i, 3) == 0)
            service->route.timeout_ms = 3 + (uint32_t)sim_draw(LOT_ROUTE, 20 + i, 20);
        add_route(&service->route, service);
    }
}

static void add_cascades(void)
{
    for (size_t i = 0; i < CASCADES; i++) {
        world.cascades[i] = (struct stele_route){.name = sim_names[1 + i], .on = sim_names[1 + i], .handle = cascade};
        if (sim_draw(LOT_ROUTE, 30 + i, 4) > 0)
            world.cascades[i].delivery = STELE_QUEUED;
        if (sim_draw(LOT_ROUTE, 40 + i, 2) && world.cascades[i].delivery == STELE_QUEUED)
            world.cascades[i].partition = "key";
        add_route(&world.cascades[i], &world.cascades[i]);
    }
}

static void drive_some(void)
{
    for (uint64_t i = 1 + sim_next(4); i-- > 0;) {
        stele_message *message = sim_message(0, (int64_t)sim_next(1000), (int64_t)sim_next(50), NULL);

        sim_expect(stele_publish(world.bus, message, NULL, NULL) == STELE_OK, "a publish failed");
        stele_message_unref(message);
    }
}

static void take_step(void)
{
    const uint64_t lot = sim_next(100);

    if (lot < 35)
        drive_some();
    else if (lot < 45)
        ask((size_t)sim_next(SERVICES), 0, 1 + (uint32_t)sim_next(60));
    else if (lot < 55 && world.fact_count < FACTS / 4)
        deliver_one();
    else if (lot < 70 && world.fact_count < FACTS / 4)
        unite_some();
    else if (lot < 85)
        stele_runtime_run(sim.runtime, 1 + (size_t)sim_next(20));
    else
        stele_runtime_advance(sim.runtime, (int64_t)sim_next(30) * SIM_MS);
}

/* At rest, or stopped in the middle of it all. */
static void check_end(bool was_cut_short)
{
    struct stele_bus_stats stats;
    uint64_t late = 0;

    stele_bus_get_stats(world.bus, &stats);
    for (size_t i = 0; i < world.question_count; i++) {
        const struct question *question = &world.questions[i];

        sim_expect(question->is_over, "who has asked question %zu waits for ever", i);
        sim_expect(was_cut_short || question->calls == 1, "question %zu was lost", i);
        late += question->status == STELE_TIMEOUT && question->is_answered;
    }
    sim_expect(was_cut_short || stats.late_replies == late, "%" PRIu64 " late replies are counted, not %" PRIu64,
               stats.late_replies, late);
    for (size_t i = 0; i < world.fact_count && !was_cut_short; i++) {
        const struct fact *fact = &world.facts[i];

        sim_expect(fact->calls == (fact->is_visible && !world.is_cancelled[fact->unit]) ||
                       (world.is_cancelled[fact->unit] && fact->calls <= 1),
                   "fact %zu was handled %u times", i, fact->calls);
    }
}

static void run_world(void)
{
    const uint64_t steps = 10 + sim_next(30);
    const bool is_cut_short = sim_chance(30);

    memset(&world, 0, sizeof(world));
    sim_runtime_begin(0);
    if (stele_bus_new(sim.runtime, NULL, &world.bus, NULL) != STELE_OK)
        abort();
    add_route(&driver, NULL);
    add_services();
    add_cascades();
    for (uint64_t i = 0; i < steps && world.unit_count < UNITS && !sim_has_fault(); i++)
        take_step();
    if (!is_cut_short)
        stele_runtime_advance(sim.runtime, 60000 * SIM_MS);
    world.is_stopping = true;
    stele_bus_stop(world.bus, is_cut_short ? (uint32_t)sim_next(20) : 1000, NULL, NULL);
    stele_runtime_advance(sim.runtime, 60000 * SIM_MS);
    check_end(is_cut_short);
    stele_bus_free(world.bus);
    sim_runtime_end();
}

static void who_waits_is_told_on_time_and_only_what_is_so(void **state)
{
    (void)state;
    for (size_t i = 0; i < SERVICES; i++) {
        ask_types[i] = ask_type;
        ask_types[i].name = ask_names[i];
    }
    sim_run_seeds("wait_test", run_world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(who_waits_is_told_on_time_and_only_what_is_so),
    };

    return cmocka_run_group_tests_name("simulated waits", tests, NULL, NULL);
}
