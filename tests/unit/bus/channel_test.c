/* Channels: broadcast and shared work, bounded, closable, on a simulated runtime and on threads. */
#include "tests/support/support.h"

#include <stele/channel.h>

#include <pthread.h>

#include "runtime/runtime.h"

#define READING(FIELD, T) FIELD(T, INT64, number)
STELE_DECLARE(reading, READING);
STELE_DEFINE_EVENT(reading, "sensor.reading", 1, READING);

enum { PATIENCE_MS = 60000 }; /* longer than any test */

static stele_message *new_reading(int64_t number)
{
    const struct reading payload = {.number = number};
    stele_error *error = NULL;
    stele_message *message = NULL;
    assert_ok(reading_message(&payload, NULL, &message, &error), error);
    return message;
}

static stele_status send_number(stele_channel *channel, int64_t number, uint32_t timeout_ms)
{
    stele_message *message = new_reading(number);
    const stele_status status = stele_channel_send(channel, message, timeout_ms, NULL);
    stele_message_unref(message);
    return status;
}

/* The number in a message; frees it. */
static int64_t take_number(stele_message *message)
{
    struct reading payload = {0};
    stele_arena *arena = NULL;
    assert_int_equal(STELE_OK, stele_arena_new(&arena, NULL));
    assert_int_equal(STELE_OK, reading_read(message, arena, &payload, NULL));
    stele_arena_free(arena);
    stele_message_unref(message);
    return payload.number;
}

/* The next number, without waiting; -1 for none yet, -2 at the end. */
static int64_t next(stele_channel_reader *reader)
{
    stele_message *message = NULL;
    switch (stele_channel_next(reader, 0, &message, NULL)) {
    case STELE_OK: return take_number(message);
    case STELE_END: return -2;
    default: return -1;
    }
}

static stele_runtime *new_simulation(void)
{
    stele_runtime *runtime = NULL;
    stele_error *error = NULL;
    assert_ok(stele_runtime_simulated(1, &runtime, &error), error);
    return runtime;
}

static stele_channel *new_channel(stele_runtime *runtime, enum stele_channel_kind kind, size_t capacity)
{
    stele_channel *channel = NULL;
    stele_error *error = NULL;
    assert_ok(stele_channel_new(runtime, kind, capacity, &channel, &error), error);
    return channel;
}

static stele_channel_reader *join(stele_channel *channel)
{
    stele_channel_reader *reader = NULL;
    stele_error *error = NULL;
    assert_ok(stele_channel_join(channel, &reader, &error), error);
    return reader;
}

/* --- Who gets what ------------------------------------------------------------------------ */

/* Bold, 3.2: the reference shared the work where its example expected a broadcast: 30 items arrived as 9, 10 and 11. */
static void NTH12_bug_thirty_items_broadcast_to_three_consumers_arrive_thirty_times_each(void **state)
{
    (void)state;
    stele_runtime *runtime = new_simulation();
    stele_channel *channel = new_channel(runtime, STELE_BROADCAST, 30);
    stele_channel_reader *readers[3];
    for (int i = 0; i < 3; i++)
        readers[i] = join(channel);
    for (int64_t number = 1; number <= 30; number++)
        assert_int_equal(STELE_OK, send_number(channel, number, 0));
    stele_channel_close(channel);
    for (int i = 0; i < 3; i++) {
        for (int64_t number = 1; number <= 30; number++)
            assert_int_equal(number, next(readers[i]));
        assert_int_equal(-2, next(readers[i]));
        stele_channel_leave(readers[i]);
    }
    stele_channel_free(channel);
    stele_runtime_free(runtime);
}

static void NTH12_work_of_thirty_items_is_shared_by_three_consumers(void **state)
{
    (void)state;
    stele_runtime *runtime = new_simulation();
    stele_channel *channel = new_channel(runtime, STELE_WORK, 30);
    stele_channel_reader *readers[3];
    for (int64_t number = 1; number <= 15; number++)
        assert_int_equal(STELE_OK, send_number(channel, number, 0));
    for (int i = 0; i < 3; i++)
        readers[i] = join(channel);
    for (int64_t number = 16; number <= 30; number++)
        assert_int_equal(STELE_OK, send_number(channel, number, 0));
    stele_channel_close(channel);
    for (int64_t number = 1; number <= 30; number++)
        assert_int_equal(number, next(readers[number % 3]));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(-2, next(readers[i]));
        stele_channel_leave(readers[i]);
    }
    stele_channel_free(channel);
    stele_runtime_free(runtime);
}

static void a_broadcast_reaches_who_joined_before(void **state)
{
    (void)state;
    stele_runtime *runtime = new_simulation();
    stele_channel *channel = new_channel(runtime, STELE_BROADCAST, 2);
    for (int64_t number = 1; number <= 5; number++) /* nobody has joined: nothing is kept, nothing is full */
        assert_int_equal(STELE_OK, send_number(channel, number, 0));
    stele_channel_reader *early = join(channel);
    assert_int_equal(STELE_OK, send_number(channel, 6, 0));
    stele_channel_reader *late = join(channel);
    assert_int_equal(STELE_OK, send_number(channel, 7, 0));
    assert_int_equal(6, next(early));
    assert_int_equal(7, next(early));
    assert_int_equal(-1, next(early));
    assert_int_equal(7, next(late));
    assert_int_equal(-1, next(late));
    stele_channel_leave(early);
    stele_channel_leave(late);
    stele_channel_free(channel);
    stele_runtime_free(runtime);
}

static void messages_are_shared_not_copied(void **state)
{
    (void)state;
    stele_runtime *runtime = new_simulation();
    stele_channel *channel = new_channel(runtime, STELE_BROADCAST, 0);
    stele_channel_reader *reader = join(channel);
    stele_message *sent = new_reading(1);
    stele_message *received = NULL;
    assert_int_equal(STELE_OK, stele_channel_send(channel, sent, 0, NULL));
    assert_int_equal(STELE_OK, stele_channel_next(reader, 0, &received, NULL));
    assert_ptr_equal(sent, received);
    stele_message_unref(received);
    stele_message_unref(sent);
    stele_channel_leave(reader);
    stele_channel_free(channel);
    stele_runtime_free(runtime);
}

/* --- Bounds --------------------------------------------------------------------------------- */

static void a_work_channel_is_full_at_its_capacity(void **state)
{
    (void)state;
    stele_runtime *runtime = new_simulation();
    stele_channel *channel = new_channel(runtime, STELE_WORK, 2);
    stele_channel_reader *reader = join(channel);
    stele_error *error = NULL;
    stele_message *third = new_reading(3);
    assert_int_equal(STELE_OK, send_number(channel, 1, 0));
    assert_int_equal(STELE_OK, send_number(channel, 2, 0));
    assert_failure(STELE_OVERLOAD, stele_channel_send(channel, third, 0, &error), error);
    assert_message(error, "2 messages wait");
    stele_error_free(error);
    assert_int_equal(1, next(reader));
    assert_int_equal(STELE_OK, stele_channel_send(channel, third, 0, NULL));
    assert_int_equal(2, next(reader));
    assert_int_equal(3, next(reader));
    stele_message_unref(third);
    stele_channel_leave(reader);
    stele_channel_free(channel);
    stele_runtime_free(runtime);
}

static void a_broadcast_is_as_full_as_for_its_slowest_reader(void **state)
{
    (void)state;
    stele_runtime *runtime = new_simulation();
    stele_channel *channel = new_channel(runtime, STELE_BROADCAST, 2);
    stele_channel_reader *fast = join(channel);
    stele_channel_reader *slow = join(channel);
    assert_int_equal(STELE_OK, send_number(channel, 1, 0));
    assert_int_equal(STELE_OK, send_number(channel, 2, 0));
    assert_int_equal(1, next(fast));
    assert_int_equal(2, next(fast));
    assert_int_equal(STELE_OVERLOAD, send_number(channel, 3, 0));
    assert_int_equal(1, next(slow));
    assert_int_equal(STELE_OK, send_number(channel, 3, 0));
    assert_int_equal(STELE_OVERLOAD, send_number(channel, 4, 0));
    stele_channel_leave(slow); /* what only it had not taken is let go */
    assert_int_equal(STELE_OK, send_number(channel, 4, 0));
    assert_int_equal(3, next(fast));
    assert_int_equal(4, next(fast));
    stele_channel_leave(fast);
    stele_channel_free(channel);
    stele_runtime_free(runtime);
}

static void what_nobody_took_goes_with_the_channel(void **state)
{
    (void)state;
    stele_runtime *runtime = new_simulation();
    stele_channel *work = new_channel(runtime, STELE_WORK, 4);
    stele_channel *broadcast = new_channel(runtime, STELE_BROADCAST, 4);
    stele_channel_reader *reader = join(broadcast);
    for (int64_t number = 1; number <= 3; number++) {
        assert_int_equal(STELE_OK, send_number(work, number, 0));
        assert_int_equal(STELE_OK, send_number(broadcast, number, 0));
    }
    assert_int_equal(1, next(reader));
    stele_channel_leave(reader);
    stele_channel_free(broadcast);
    stele_channel_free(work);
    stele_channel_free(NULL);
    stele_channel_leave(NULL);
    stele_channel_close(NULL);
    stele_runtime_free(runtime);
}

/* --- Waiting, in a simulation ------------------------------------------------------------------ */

/* A task that reads or sends once when it is run. */
struct turn {
    struct stele__task task;
    stele_channel *channel;       /* to send to, or NULL */
    stele_channel_reader *reader; /* to read from */
    int64_t number;               /* sent, or read */
    stele_status status;
    bool closes;
};

static void take_turn(struct stele__task *task)
{
    struct turn *turn = (struct turn *)task;
    stele_message *message = NULL;
    if (turn->closes) {
        stele_channel_close(turn->channel);
    } else if (turn->channel) {
        turn->status = send_number(turn->channel, turn->number, PATIENCE_MS);
    } else {
        turn->status = stele_channel_next(turn->reader, PATIENCE_MS, &message, NULL);
        if (turn->status == STELE_OK)
            turn->number = take_number(message);
    }
}

/* Tasks of one priority are run in an order of the seed's: each gets its own. */
static void post(stele_runtime *runtime, struct turn *turn, int priority)
{
    turn->task.name = "turn";
    turn->task.priority = priority;
    turn->task.run = take_turn;
    turn->status = STELE_FAILED;
    stele__runtime_post(runtime, &turn->task);
}

static void a_reader_that_waits_lets_the_sender_run(void **state)
{
    (void)state;
    stele_runtime *runtime = new_simulation();
    stele_channel *channel = new_channel(runtime, STELE_WORK, 1);
    stele_channel_reader *reader = join(channel);
    struct turn sender = {.channel = channel, .number = 7};
    stele_message *message = NULL;
    stele_error *error = NULL;
    post(runtime, &sender, 1);
    assert_ok(stele_channel_next(reader, PATIENCE_MS, &message, &error), error);
    assert_int_equal(7, take_number(message));
    assert_int_equal(STELE_OK, sender.status);
    stele_channel_leave(reader);
    stele_channel_free(channel);
    stele_runtime_free(runtime);
}

static void a_sender_that_waits_lets_the_reader_run(void **state)
{
    (void)state;
    stele_runtime *runtime = new_simulation();
    stele_channel *channel = new_channel(runtime, STELE_WORK, 1);
    struct turn reader = {.reader = join(channel)};
    assert_int_equal(STELE_OK, send_number(channel, 1, PATIENCE_MS));
    post(runtime, &reader, 1);
    assert_int_equal(STELE_OK, send_number(channel, 2, PATIENCE_MS));
    assert_int_equal(STELE_OK, reader.status);
    assert_int_equal(1, reader.number);
    assert_int_equal(2, next(reader.reader));
    stele_channel_leave(reader.reader);
    stele_channel_free(channel);
    stele_runtime_free(runtime);
}

static void readers_are_served_in_the_order_of_asking(void **state)
{
    (void)state;
    stele_runtime *runtime = new_simulation();
    stele_channel *channel = new_channel(runtime, STELE_WORK, 4);
    struct turn first = {.reader = join(channel)};
    struct turn second = {.reader = join(channel)};
    struct turn one = {.channel = channel, .number = 1};
    struct turn two = {.channel = channel, .number = 2};
    post(runtime, &first, 1);
    post(runtime, &second, 2);
    post(runtime, &one, 3);
    post(runtime, &two, 4);
    stele_runtime_run_until_idle(runtime);
    assert_int_equal(STELE_OK, first.status);
    assert_int_equal(1, first.number);
    assert_int_equal(STELE_OK, second.status);
    assert_int_equal(2, second.number);
    stele_channel_leave(first.reader);
    stele_channel_leave(second.reader);
    stele_channel_free(channel);
    stele_runtime_free(runtime);
}

/* In the reference a consumer that never saw the stop flag kept its whole scope from ending. */
static void NTH12_bug_closing_ends_readers_and_senders_that_wait(void **state)
{
    (void)state;
    stele_runtime *runtime = new_simulation();
    stele_channel *empty = new_channel(runtime, STELE_BROADCAST, 1);
    stele_channel *full = new_channel(runtime, STELE_WORK, 1);
    struct turn reader = {.reader = join(empty)};
    struct turn sender = {.channel = full, .number = 2};
    struct turn close_empty = {.channel = empty, .closes = true};
    struct turn close_full = {.channel = full, .closes = true};
    assert_int_equal(STELE_OK, send_number(full, 1, 0));
    post(runtime, &reader, 1);
    post(runtime, &sender, 2);
    post(runtime, &close_empty, 3);
    post(runtime, &close_full, 4);
    stele_runtime_run_until_idle(runtime);
    assert_int_equal(STELE_END, reader.status);
    assert_int_equal(STELE_END, sender.status);
    stele_channel_close(full); /* twice is harmless */
    assert_int_equal(STELE_END, send_number(full, 3, 0));
    stele_channel_reader *late = join(full);
    assert_int_equal(1, next(late)); /* what was left; not the 2 that never went in */
    assert_int_equal(-2, next(late));
    stele_channel_leave(late);
    stele_channel_leave(reader.reader);
    stele_channel_free(full);
    stele_channel_free(empty);
    stele_runtime_free(runtime);
}

static void waiting_for_what_never_comes_ends(void **state)
{
    (void)state;
    stele_runtime *runtime = new_simulation();
    stele_channel *channel = new_channel(runtime, STELE_WORK, 1);
    stele_channel_reader *reader = join(channel);
    stele_message *message = NULL;
    stele_error *error = NULL;
    assert_failure(STELE_TIMEOUT, stele_channel_next(reader, 250, &message, &error), error);
    assert_message(error, "no message came in 250 ms");
    stele_error_free(error);
    assert_null(message);
    assert_int_equal(STELE_OK, send_number(channel, 1, 250));
    assert_int_equal(STELE_TIMEOUT, send_number(channel, 2, 250));
    assert_int_equal(1, next(reader)); /* the 2 was taken back */
    assert_int_equal(-1, next(reader));
    stele_channel_leave(reader);
    stele_channel_free(channel);
    stele_runtime_free(runtime);
}

/* --- Bad input, no memory ------------------------------------------------------------------------ */

static void invalid_arguments_are_named(void **state)
{
    (void)state;
    stele_runtime *runtime = new_simulation();
    stele_channel *channel = new_channel(runtime, STELE_WORK, 1);
    stele_channel *none = NULL;
    stele_channel_reader *reader = join(channel);
    stele_message *message = NULL;
    stele_error *error = NULL;
    assert_status(STELE_INVALID, stele_channel_new(NULL, STELE_WORK, 1, &none, &error), error);
    assert_status(STELE_INVALID, stele_channel_new(runtime, (enum stele_channel_kind)7, 1, &none, &error), error);
    assert_status(STELE_INVALID, stele_channel_new(runtime, STELE_WORK, 1, NULL, &error), error);
    assert_status(STELE_NO_MEMORY, stele_channel_new(runtime, STELE_WORK, SIZE_MAX, &none, &error), error);
    assert_status(STELE_INVALID, stele_channel_send(channel, NULL, 0, &error), error);
    assert_status(STELE_INVALID, stele_channel_send(NULL, NULL, 0, &error), error);
    assert_status(STELE_INVALID, stele_channel_join(NULL, &reader, &error), error);
    assert_status(STELE_INVALID, stele_channel_join(channel, NULL, &error), error);
    assert_status(STELE_INVALID, stele_channel_next(NULL, 0, &message, &error), error);
    assert_status(STELE_INVALID, stele_channel_next(reader, 0, NULL, &error), error);
    stele_channel_leave(reader);
    stele_channel_free(channel);
    stele_runtime_free(runtime);
}

static stele_status make_and_join(void *context, stele_error **error)
{
    stele_channel *channel = NULL;
    stele_channel_reader *reader = NULL;
    stele_status status = stele_channel_new(context, STELE_BROADCAST, 3, &channel, error);
    if (status == STELE_OK)
        status = stele_channel_join(channel, &reader, error);
    stele_channel_leave(reader);
    stele_channel_free(channel);
    return status;
}

static void making_and_joining_survive_a_lack_of_memory(void **state)
{
    (void)state;
    stele_runtime *runtime = new_simulation();
    assert_int_equal(3, support_every_allocation_fails(make_and_join, runtime)); /* channel, slots, reader */
    stele_runtime_free(runtime);
}

/* --- Threads -------------------------------------------------------------------------------------- */

enum { SENDERS = 3, READERS = 3, EACH = 300 };

struct party {
    pthread_t thread;
    stele_channel *channel;
    stele_channel_reader *reader;
    int64_t first; /* of a sender's numbers */
    bool is_sound;
    bool in_order; /* of each sender's numbers, as a reader saw them */
    unsigned char seen[SENDERS * EACH];
};

static void *send_each(void *context)
{
    struct party *party = context;
    party->is_sound = true;
    for (int64_t i = 0; i < EACH; i++) {
        const struct reading payload = {.number = party->first + i};
        stele_message *message = NULL;
        if (reading_message(&payload, NULL, &message, NULL) != STELE_OK ||
            stele_channel_send(party->channel, message, PATIENCE_MS, NULL) != STELE_OK)
            party->is_sound = false;
        stele_message_unref(message);
    }
    return NULL;
}

static void *read_all(void *context)
{
    struct party *party = context;
    int64_t latest[SENDERS] = {-1, -1, -1};
    stele_arena *arena = NULL;
    stele_message *message = NULL;
    stele_status status = stele_arena_new(&arena, NULL);
    party->in_order = true;
    while (status == STELE_OK &&
           (status = stele_channel_next(party->reader, PATIENCE_MS, &message, NULL)) == STELE_OK) {
        struct reading payload = {0};
        status = reading_read(message, arena, &payload, NULL);
        if (status == STELE_OK) {
            party->seen[payload.number]++;
            party->in_order &= latest[payload.number / EACH] < payload.number;
            latest[payload.number / EACH] = payload.number;
        }
        stele_message_unref(message);
    }
    party->is_sound = status == STELE_END;
    stele_arena_free(arena);
    return NULL;
}

/* All senders against all readers on a small channel; then how often each number was seen by all readers together. */
static void run_parties(enum stele_channel_kind kind, unsigned expected)
{
    static struct party senders[SENDERS], readers[READERS];
    stele_runtime *runtime = NULL;
    stele_error *error = NULL;
    assert_ok(stele_runtime_new(1, NULL, &runtime, &error), error);
    stele_channel *channel = new_channel(runtime, kind, 4);
    for (int i = 0; i < READERS; i++) {
        readers[i] = (struct party){.reader = join(channel)};
        assert_int_equal(0, pthread_create(&readers[i].thread, NULL, read_all, &readers[i]));
    }
    for (int i = 0; i < SENDERS; i++) {
        senders[i] = (struct party){.channel = channel, .first = (int64_t)i * EACH};
        assert_int_equal(0, pthread_create(&senders[i].thread, NULL, send_each, &senders[i]));
    }
    for (int i = 0; i < SENDERS; i++) {
        pthread_join(senders[i].thread, NULL);
        assert_true(senders[i].is_sound);
    }
    stele_channel_close(channel);
    for (int i = 0; i < READERS; i++) {
        pthread_join(readers[i].thread, NULL);
        assert_true(readers[i].is_sound);
        assert_true(readers[i].in_order);
        stele_channel_leave(readers[i].reader);
    }
    for (int number = 0; number < SENDERS * EACH; number++) {
        unsigned seen = 0;
        for (int i = 0; i < READERS; i++)
            seen += readers[i].seen[number];
        assert_int_equal(expected, seen);
    }
    stele_channel_free(channel);
    stele_runtime_free(runtime);
}

static void NTH28_threads_share_work_under_back_pressure_without_loss(void **state)
{
    (void)state;
    run_parties(STELE_WORK, 1);
}

static void NTH28_threads_broadcast_under_back_pressure_without_loss(void **state)
{
    (void)state;
    run_parties(STELE_BROADCAST, READERS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(NTH12_bug_thirty_items_broadcast_to_three_consumers_arrive_thirty_times_each),
        support_test(NTH12_work_of_thirty_items_is_shared_by_three_consumers),
        support_test(a_broadcast_reaches_who_joined_before),
        support_test(messages_are_shared_not_copied),
        support_test(a_work_channel_is_full_at_its_capacity),
        support_test(a_broadcast_is_as_full_as_for_its_slowest_reader),
        support_test(what_nobody_took_goes_with_the_channel),
        support_test(a_reader_that_waits_lets_the_sender_run),
        support_test(a_sender_that_waits_lets_the_reader_run),
        support_test(readers_are_served_in_the_order_of_asking),
        support_test(NTH12_bug_closing_ends_readers_and_senders_that_wait),
        support_test(waiting_for_what_never_comes_ends),
        support_test(invalid_arguments_are_named),
        support_test(making_and_joining_survive_a_lack_of_memory),
        support_test(NTH28_threads_share_work_under_back_pressure_without_loss),
        support_test(NTH28_threads_broadcast_under_back_pressure_without_loss),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
