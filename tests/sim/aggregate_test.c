/*
 * Random commands to aggregates on a bus, repeated, contended, cut off (B7, B8).
 *
 *     command ─► its stream's mailbox ─► load, decide, append ─► reply      sent again, by whoever got none
 *                                               ▲
 *                  another program appends, an answer is lost, the process dies
 *
 *   - a command id has one outcome: the first one, whenever and from which process it is asked for again
 *   - another command under the id is STELE_ID_REUSE, and changes nothing
 *   - calls for one stream never overlap
 *   - versions are gapless; what is stored is what the accepted commands say, each once
 *   - a conflict is tried again, three times in all
 */
#include "tests/sim/disk.h"

#include <stele/aggregate.h>
#include <stele/intercept.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STREAMS = 3, COMMANDS = 96, ATTEMPTS = 3 };

#define TALLY(FIELD, T) FIELD(T, INT64, sum) FIELD(T, INT64, count)
STELE_DECLARE(tally, TALLY);
STELE_DEFINE_STATE(tally, "sim.tally", 1, TALLY);
#define ADDED(FIELD, T) FIELD(T, INT64, amount) FIELD(T, INT64, count)
STELE_DECLARE(added, ADDED);
STELE_DEFINE_EVENT(added, "sim.added", 1, ADDED);
#define ADD(FIELD, T) FIELD(T, INT64, stream) FIELD(T, INT64, amount) FIELD(T, INT64, number)
STELE_DECLARE(add, ADD);
STELE_DEFINE_COMMAND(add, "sim.add", 1, ADD);

struct command {
    int64_t stream, amount;
    unsigned others;    /* how often another program will be faster */
    unsigned contended; /* how often it was */
    unsigned firsts;    /* answers that are not said to be repetitions */
    bool is_known;      /* its outcome: */
    stele_status status;
    struct stele_accepted accepted;
};

static struct {
    stele_bus *bus;
    stele_repository *repository;
    struct command commands[COMMANDS];
    size_t count;
    bool is_running[STREAMS];
    int64_t foreign; /* events of another program */
    unsigned life;
    bool is_queued;
} world;

/* --- The aggregate ---------------------------------------------------------------------------- */

static void on_added(struct tally *tally, const struct added *event)
{
    tally->sum += event->amount;
    tally->count++;
}

static void append_as_another(int64_t stream, int64_t count)
{
    const struct added payload = {.amount = 1, .count = count};
    stele_message *event = NULL;
    stele_status status;
    char name[32];

    snprintf(name, sizeof(name), "tally-%d", (int)stream);
    if (added_message(&payload, NULL, &event, NULL) != STELE_OK)
        abort();
    status = stele_append(disk.store, name, stele_expect_any(), event, NULL, NULL);
    world.foreign += status == STELE_OK || status == STELE_UNKNOWN; /* then it is there all the same */
    stele_message_unref(event);
}

/* Odd sums refuse what is dividable by 7; 0 leads to nothing; more than 8 to two events. */
static stele_status decide_add(const struct tally *tally, const struct add *add, stele_decision *decision)
{
    struct command *command = &world.commands[add->number];
    stele_status status;

    sim_expect(!command->is_known || command->status == STELE_CONFLICT, "command %d was decided again",
               (int)add->number);
    if (command->others > 0 && !disk.is_cut) {
        command->others--;
        command->contended++;
        append_as_another(add->stream, tally->count + 1);
    }
    if (add->amount % 7 == 0 && add->amount && tally->sum % 2)
        return stele_decision_reject(decision, "not %d at %d", (int)add->amount, (int)tally->sum);
    status = add->amount ? STELE_EMIT(decision, added, .amount = add->amount, .count = tally->count + 1) : STELE_OK;
    if (status == STELE_OK && add->amount > 8)
        status = STELE_EMIT(decision, added, .amount = -1, .count = tally->count + 2);
    return status;
}

#define EVENTS(EVOLVE, A) EVOLVE(A, added, on_added)
#define DECISIONS(DECIDE, A) DECIDE(A, add, decide_add)
STELE_DEFINE_AGGREGATE(tally, EVENTS, DECISIONS);

/* --- Calls do not overlap ------------------------------------------------------------------------ */

/* Between HANDLE and DONE it takes time, in which another call could begin. */
static struct stele_answer watch(void *state, enum stele_point point, stele_call *call)
{
    stele_arena *arena = NULL;
    struct add add = {0};

    (void)state;
    if (disk.is_cut || stele_arena_new(&arena, NULL) != STELE_OK)
        return stele_proceed();
    if (add_read(stele_call_message(call), arena, &add, NULL) == STELE_OK) {
        if (point == STELE_AT_DONE && sim_draw(3, (uint64_t)add.number, 4) == 0)
            sim_sleep((int64_t)sim_draw(4, (uint64_t)add.number, 9) * SIM_MS);
        sim_expect(point != STELE_AT_HANDLE || !world.is_running[add.stream] || !world.is_queued,
                   "two commands of stream %d overlapped", (int)add.stream);
        world.is_running[add.stream] = point == STELE_AT_HANDLE;
    }
    stele_arena_free(arena);
    return stele_proceed();
}

static const struct stele_interceptor_kind watch_kind = {
    .name = "watch", .points = STELE_AT_HANDLE | STELE_AT_DONE, .ask = watch};
static const struct stele_interceptor watcher = {.name = "watcher", .on = "sim.add", .kind = &watch_kind};

/* --- Processes -------------------------------------------------------------------------------------- */

static stele_status send_again(void *resource, const stele_message *message, stele_context *context);
static const struct stele_route clerk = {.name = "clerk",
                                         .on = "sim.0",
                                         .handle = send_again,
                                         .delivery = STELE_QUEUED,
                                         .partition = "key",
                                         .on_failure = STELE_IGNORE};

static void begin_process(void)
{
    struct stele_repository_options options = STELE_OPTIONS_INIT(struct stele_repository_options);
    struct stele_aggregate_route route = {.prefix = "tally-", .key = "stream", .attempts = ATTEMPTS};
    stele_error *error = NULL;

    disk.is_cut = false;
    disk.cut_in = 0;
    memset(world.is_running, 0, sizeof(world.is_running));
    options.remember_commands = true;
    options.snapshot_every = sim_chance(50) ? 1 + sim_next(5) : 0;
    options.cache_bytes = sim_chance(50) ? 4096 : 0;
    sim_runtime_begin(world.life++);
    assert_ok(stele_bus_new(sim.runtime, NULL, &world.bus, &error), error);
    sim_ok(stele_repository_new(disk.store, &tally_aggregate, &options, &world.repository, &error), error);
    route.repository = world.repository;
    route.delivery = world.is_queued ? STELE_QUEUED : STELE_INLINE;
    sim_ok(stele_bus_add_aggregate(world.bus, &route, &error), error);
    sim_ok(stele_bus_add_interceptor(world.bus, &watcher, &error), error);
    sim_ok(stele_bus_add_route(world.bus, &clerk, NULL, NULL, &error), error);
}

static void end_process(void)
{
    stele_bus_free(world.bus);
    sim_runtime_end();
    stele_repository_free(world.repository);
}

static void kill_process(void)
{
    sim_note("kill");
    disk.is_cut = true;
    end_process();
    begin_process();
}

/* --- Sending -------------------------------------------------------------------------------------------- */

static void learn(struct command *command, size_t number, stele_status status, const stele_message *reply)
{
    struct stele_accepted accepted = {0};
    stele_arena *arena = NULL;

    if (status == STELE_OK && stele_arena_new(&arena, NULL) == STELE_OK) {
        sim_expect(stele_accepted_read(reply, arena, &accepted, NULL) == STELE_OK, "an answer cannot be read");
        stele_arena_free(arena);
    }
    /* Of two under way at once either may be told first. */
    command->firsts += status == STELE_OK && !accepted.repeated;
    sim_expect(command->firsts <= 1, "command %zu was accepted twice for the first time", number);
    if (command->is_known) {
        sim_expect(status == command->status && accepted.version == command->accepted.version &&
                       accepted.first_position == command->accepted.first_position &&
                       accepted.last_position == command->accepted.last_position,
                   "command %zu has two outcomes: %s at %" PRIu64 ", %s at %" PRIu64, number,
                   stele_status_name(command->status), command->accepted.version, stele_status_name(status),
                   accepted.version);
        return;
    }
    command->is_known = true;
    command->status = status;
    command->accepted = accepted;
}

/* With another body under the same id if `forges`. */
static void send(size_t number, bool forges)
{
    struct command *command = &world.commands[number];
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
    const struct add payload = {
        .stream = command->stream, .amount = command->amount + forges, .number = (int64_t)number};
    stele_message *message = NULL;
    const bool was_known = command->is_known;
    stele_message *reply = NULL;
    stele_status status;
    char id[32];

    snprintf(id, sizeof(id), "c-%zu", number);
    options.id = id;
    if (add_message(&payload, &options, &message, NULL) != STELE_OK)
        abort();
    status = stele_request(world.bus, message, NULL, &reply, NULL);
    sim_note("command %zu%s: %s", number, forges ? ", forged" : "", stele_status_name(status));
    if (disk.is_cut || status == STELE_UNKNOWN || status == STELE_SHUTDOWN)
        ; /* nobody knows */
    else if (forges)
        sim_expect(status == STELE_ID_REUSE, "another command under the id of %zu: %s", number,
                   stele_status_name(status));
    else if (status == STELE_OK || status == STELE_REJECTED)
        learn(command, number, status, reply);
    else
        sim_expect(status == STELE_CONFLICT && !was_known && command->contended >= ATTEMPTS,
                   "command %zu failed with %s", number, stele_status_name(status));
    stele_message_unref(message);
    stele_message_unref(reply);
}

static stele_status send_again(void *resource, const stele_message *message, stele_context *context)
{
    struct sim_step step;

    (void)resource;
    if (disk.is_cut || !sim_read(message, context, &step))
        return STELE_FAILED;
    send((size_t)step.number, false);
    return STELE_OK;
}

static size_t new_command(void)
{
    struct command *command = &world.commands[world.count];

    *command = (struct command){.stream = (int64_t)sim_next(STREAMS),
                                .amount = (int64_t)sim_next(12),
                                .others = sim_chance(20) ? (unsigned)sim_next(5) : 0};
    return world.count++;
}

/* Through a handler, so that many are under way. */
static void have_sent(size_t number)
{
    stele_message *message = sim_message(0, (int64_t)number, (int64_t)sim_next(20), NULL);

    sim_expect(stele_publish(world.bus, message, NULL, NULL) == STELE_OK, "a publish failed");
    stele_message_unref(message);
}

static void take_step(void)
{
    const uint64_t lot = sim_next(100);

    if (lot < 45 && world.count < COMMANDS)
        have_sent(new_command());
    else if (lot < 60 && world.count)
        have_sent((size_t)sim_next(world.count));
    else if (lot < 70 && world.count)
        send((size_t)sim_next(world.count), false);
    else if (lot < 75 && world.count && world.commands[0].is_known)
        send(0, true);
    else if (lot < 80)
        disk.lost_words = sim_chance(50) ? (unsigned)sim_next(50) : 0;
    else if (lot < 85 && (disk.cuts_behind = sim_chance(50), true))
        disk.cut_in = 1 + sim_next(8);
    else if (lot < 88)
        kill_process();
    else
        stele_runtime_advance(sim.runtime, (int64_t)sim_next(20) * SIM_MS);
    if (disk.is_cut)
        kill_process();
}

/* --- The end ----------------------------------------------------------------------------------------------- */

/* What a stream has to be: one event for each that was accepted and of others, in gapless versions, each counted. */
static void check_stream(int64_t stream, int64_t *sum, uint64_t *events)
{
    struct stele_query query = STELE_OPTIONS_INIT(struct stele_query);
    const stele_message *event = NULL;
    stele_cursor *cursor = NULL;
    struct added added;
    stele_arena *arena = NULL;
    uint64_t version = 0;
    char name[32];

    snprintf(name, sizeof(name), "tally-%d", (int)stream);
    query.stream = name;
    if (stele_arena_new(&arena, NULL) != STELE_OK || stele_read(disk.store, &query, &cursor, NULL) != STELE_OK)
        abort();
    while (stele_cursor_next(cursor, &event, NULL) == STELE_OK && event) {
        version++;
        sim_expect(stele_message_version(event) == version, "%s has a gap at %" PRIu64, name, version);
        if (added_read(event, arena, &added, NULL) != STELE_OK)
            abort();
        sim_expect(added.count == (int64_t)version, "%s: version %" PRIu64 " was decided on %d events", name, version,
                   (int)added.count - 1);
        *sum += added.amount;
        ++*events;
    }
    stele_cursor_close(cursor);
    stele_arena_free(arena);
}

static void check_end(void)
{
    int64_t sum = 0, expected = world.foreign;
    uint64_t events = 0, due = (uint64_t)world.foreign;

    for (size_t i = 0; i < world.count; i++) {
        const struct command *command = &world.commands[i];

        sim_expect(command->is_known, "command %zu has no outcome", i);
        if (command->status != STELE_OK)
            continue;
        expected += command->amount - (command->amount > 8);
        due += (uint64_t)(command->amount > 0) + (uint64_t)(command->amount > 8);
    }
    for (int64_t i = 0; i < STREAMS; i++)
        check_stream(i, &sum, &events);
    sim_expect(sum == expected && events == due, "%d in %d events are stored, not %d in %d", (int)sum, (int)events,
               (int)expected, (int)due);
}

static void run_world(void)
{
    const uint64_t steps = 20 + sim_next(100);

    memset(&world, 0, sizeof(world));
    world.is_queued = sim_chance(70);
    disk_open();
    begin_process();
    for (uint64_t i = 0; i < steps && !sim_has_fault(); i++)
        take_step();
    disk.lost_words = 0;
    disk.cut_in = 0;
    stele_runtime_advance(sim.runtime, 10000 * SIM_MS);
    /* Whoever got no answer asks again, and so does everybody, twice. */
    for (size_t i = 0; i < 2 * world.count; i++) {
        world.commands[i % world.count].others = 0;
        send(i % world.count, false);
    }
    check_end();
    end_process();
    disk_close();
}

static void commands_of_random_aggregates_have_one_outcome(void **state)
{
    (void)state;
    sim_run_seeds("aggregate_test", run_world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(commands_of_random_aggregates_have_one_outcome),
    };

    return cmocka_run_group_tests_name("simulated aggregates", tests, NULL, NULL);
}
