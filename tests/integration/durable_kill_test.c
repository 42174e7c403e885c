/*
 * A durable route in a process that is killed at random instants and started
 * again: every event is handled at least once, in order, and the checkpoint is
 * never ahead of what was handled (C2, A8).
 *
 * The child appends while its route handles. The handler's effect is a position
 * written into a pipe, which outlives the child; the parent kills it after so
 * many of them as the seed says, and reads what is left. In every other round
 * the handler waits for the parent each time.
 */
#include "tests/unit/bus/log_stage.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 25, BACKLOG = 800, MORE = 200, MOST_BEFORE_KILL = 900 };

static char url[4096];

/* --- The child ---------------------------------------------------------------------------- */

/* How a child tells, and waits to be allowed to go on (-1: it does not). */
struct line {
    int told;
    int allowed;
};

static stele_status tell(void *resource, const stele_message *message, stele_context *context)
{
    const struct line *line = resource;
    const uint64_t position = stele_message_position(message);

    char byte;

    (void)context;
    if (write(line->told, &position, sizeof(position)) != sizeof(position))
        return STELE_IO;
    return line->allowed < 0 || read(line->allowed, &byte, 1) == 1 ? STELE_OK : STELE_IO;
}

static const struct stele_route teller = {
    .name = "teller", .on = "order.>", .handle = tell, .delivery = STELE_DURABLE, .begin = STELE_BEGIN_FIRST};

/* Append events to the stream, in one batch. */
static bool append(stele_store *store, size_t count)
{
    const struct stele_raw_message raw = {.kind = STELE_EVENT, .type = "order.placed", .format = STELE_PAYLOAD_NONE};
    struct stele_write writes[BACKLOG];
    stele_message *events[BACKLOG] = {NULL};
    const struct stele_batch batch = {.writes = writes, .write_count = count};
    stele_status status = STELE_OK;

    for (size_t i = 0; i < count && status == STELE_OK; i++) {
        status = stele_message_new_raw(&raw, NULL, &events[i], NULL);
        writes[i] = (struct stele_write){"orders", events[i]};
    }
    if (status == STELE_OK)
        status = stele_append_batch(store, &batch, NULL, NULL);
    for (size_t i = 0; i < count; i++)
        stele_message_unref(events[i]);
    return status == STELE_OK;
}

/* Follow the store until the route is at the head; meanwhile append events one by one. */
static int follow(stele_store *store, struct line *line, int appends)
{
    stele_runtime *runtime = NULL;
    stele_bus *bus = NULL;

    if (stele_runtime_new(2, NULL, &runtime, NULL) != STELE_OK ||
        stele_bus_new(runtime, NULL, &bus, NULL) != STELE_OK || stele_bus_follow(bus, store, NULL) != STELE_OK ||
        stele_bus_add_route(bus, &teller, line, NULL, NULL) != STELE_OK)
        return 1;
    for (int i = 0; i < appends; i++)
        if (!append(store, 1))
            return 2;
    do
        stele_runtime_run_until_idle(runtime);
    while (log_stage_stats(&(struct log_stage){.bus = bus}, "teller").lag > 0);
    stele_bus_free(bus);
    stele_runtime_free(runtime);
    return 0;
}

/* One that is to be killed has a backlog, so that much is in flight, and more comes. */
static int run_child(struct line *line, bool is_to_die)
{
    stele_store *store = NULL;
    int status;

    if (stele_store_open(url, NULL, &store, NULL) != STELE_OK)
        return 3;
    if (is_to_die && !append(store, BACKLOG))
        return 4;
    status = follow(store, line, is_to_die ? MORE : 0);
    stele_store_close(store);
    return status;
}

/* A process that appends until it is killed. */
static pid_t start_producer(void)
{
    const pid_t producer = fork();
    stele_store *store = NULL;

    assert_true(producer >= 0);
    if (producer > 0)
        return producer;
    if (stele_store_open(url, NULL, &store, NULL) == STELE_OK)
        while (append(store, 3))
            continue;
    _exit(1);
}

static void kill_and_wait(pid_t process)
{
    int status = 0;

    kill(process, SIGKILL);
    assert_int_equal(waitpid(process, &status, 0), process);
    assert_true(WIFSIGNALED(status));
}

/* --- The parent --------------------------------------------------------------------------- */

struct told {
    uint64_t next;        /* all below was handled */
    uint64_t rounds_back; /* rounds that began again before the end of the one before: redeliveries */
};

/* What a round told, in order: it begins at or before the first one that was not told yet. */
static void take(struct told *told, uint64_t position, uint64_t *last)
{
    if (*last == 0) {
        assert_in_range(position, 1, told->next);
        told->rounds_back += position < told->next;
    } else {
        assert_int_equal(position, *last + 1);
    }
    *last = position;
    if (position >= told->next)
        told->next = position + 1;
}

/* True when the child has told one more. */
static bool hear(int file, uint64_t *position)
{
    size_t got = 0;

    while (got < sizeof(*position)) {
        const ssize_t some = read(file, (char *)position + got, sizeof(*position) - got);

        if (some <= 0)
            break;
        got += (size_t)some;
    }
    assert_true(got == 0 || got == sizeof(*position));
    return got > 0;
}

/* A child whose handler waits for each event to be allowed, or does not. */
static pid_t start(bool waits, bool is_to_die, struct line *ours)
{
    int told[2], allowed[2];
    pid_t child;

    assert_int_equal(pipe(told), 0);
    assert_int_equal(pipe(allowed), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct line line = {told[1], waits ? allowed[0] : -1};

        close(told[0]);
        close(allowed[1]);
        _exit(run_child(&line, is_to_die));
    }
    close(told[1]);
    close(allowed[0]);
    *ours = (struct line){told[0], allowed[1]};
    return child;
}

/*
 * Kill a child after `most` have been told (0: let it end). One that waits is
 * killed inside its handler, with much in flight behind it; another wherever it is.
 */
static void run_round(struct told *told, uint64_t most, bool waits)
{
    struct line line;
    const pid_t child = start(waits, most > 0, &line);
    int status = 0;
    uint64_t position, last = 0, count = 0;

    while (hear(line.told, &position)) {
        take(told, position, &last);
        if (++count == most)
            kill(child, SIGKILL);
        else if (waits && count < most)
            assert_int_equal(write(line.allowed, "", 1), 1);
    }
    close(line.told);
    close(line.allowed);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) ? most > 0 : WEXITSTATUS(status) == 0);
}

static void assert_checkpoint(const struct told *told, bool at_the_end)
{
    stele_store *store = log_stage_store(url);
    uint64_t position = 0, head = 0;
    stele_error *error = NULL;

    assert_ok(stele_checkpoint_read(store, "teller", &position, &error), error);
    assert_true(position < told->next);
    if (at_the_end) {
        assert_ok(stele_wait(store, 0, 0, &head, &error), error);
        assert_int_equal(told->next, head + 1);
        assert_int_equal(position, head);
    }
    stele_store_close(store);
}

static void C2_a_durable_route_that_is_killed_handles_every_event_in_order(void **state)
{
    struct support_random random = support_seed();
    const char *wanted = getenv("STELE_CRASH_ROUTE_KILLS");
    const unsigned long rounds = wanted ? strtoul(wanted, NULL, 10) : ROUNDS;
    struct told told = {.next = 1};

    (void)state;
    snprintf(url, sizeof(url), "sqlite:%s/killed.db", support_temp_dir());
    for (unsigned long round = 0; round < rounds; round++) {
        const pid_t producer = round % 3 == 2 ? start_producer() : 0;

        run_round(&told, 1 + support_random_below(&random, MOST_BEFORE_KILL), round % 2 == 0);
        if (producer)
            kill_and_wait(producer);
        assert_checkpoint(&told, false);
    }
    run_round(&told, 0, false);
    assert_checkpoint(&told, true);
    print_message("%" PRIu64 " events, %" PRIu64 " of %lu rounds began again a little before\n", told.next - 1,
                  told.rounds_back, rounds);
    assert_true(told.rounds_back > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(C2_a_durable_route_that_is_killed_handles_every_event_in_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
