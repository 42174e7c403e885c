/* One store used by many threads. Threads only note what happened; the test's thread asserts. */
#include "tests/contract/contract.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { THREADS = 16, EACH = 40, STREAMS = 4 };

struct appender {
    pthread_t thread;
    stele_store *store;
    stele_message *events[EACH];
    char streams[EACH][8];
    struct stele_expected expected;
    size_t done;
    size_t conflicts;
    stele_status failure;
};

static void *append_each(void *context)
{
    struct appender *appender = context;

    for (size_t i = 0; i < EACH; i++) {
        const stele_status status =
            stele_append(appender->store, appender->streams[i], appender->expected, appender->events[i], NULL, NULL);

        if (status == STELE_OK)
            appender->done++;
        else if (status == STELE_CONFLICT)
            appender->conflicts++;
        else
            appender->failure = status;
    }
    return NULL;
}

static void start_appenders(struct appender *appenders, stele_store *store, struct stele_expected expected)
{
    for (size_t i = 0; i < THREADS; i++) {
        appenders[i] = (struct appender){.store = store, .expected = expected};
        for (size_t j = 0; j < EACH; j++) {
            appenders[i].events[j] = contract_event("t", (int64_t)(i * EACH + j), NULL);
            snprintf(appenders[i].streams[j], sizeof(appenders[i].streams[j]), "s%zu", j % STREAMS);
        }
    }
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&appenders[i].thread, NULL, append_each, &appenders[i]), 0);
}

static void join_appenders(struct appender *appenders, size_t *done, size_t *conflicts)
{
    *done = *conflicts = 0;
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(appenders[i].thread, NULL);
        assert_int_equal(appenders[i].failure, STELE_OK);
        *done += appenders[i].done;
        *conflicts += appenders[i].conflicts;
        for (size_t j = 0; j < EACH; j++)
            stele_message_unref(appenders[i].events[j]);
    }
}

static struct appender appenders[THREADS];
static struct contract_seen seen[THREADS * EACH];

static void A7_threads_appending_at_once_lose_nothing_and_leave_no_gaps(void **state)
{
    uint64_t versions[STREAMS] = {0};
    bool stored[THREADS * EACH] = {false};
    uint64_t position = 0;
    size_t done, conflicts;
    stele_store *store = contract_open();

    (void)state;
    start_appenders(appenders, store, stele_expect_any());
    join_appenders(appenders, &done, &conflicts);
    assert_int_equal(done, THREADS * EACH);
    store = contract_reopen(store);
    assert_int_equal(contract_read(store, NULL, seen, THREADS * EACH, NULL), THREADS * EACH);
    for (size_t i = 0; i < THREADS * EACH; i++) {
        const size_t stream = (size_t)(seen[i].stream[1] - '0');

        assert_true(seen[i].position > position);
        position = seen[i].position;
        assert_int_equal(seen[i].version, ++versions[stream]);
        assert_false(stored[seen[i].number]);
        stored[seen[i].number] = true;
    }
    stele_store_close(store);
}

static void A7_of_threads_creating_a_stream_exactly_one_wins(void **state)
{
    size_t done, conflicts;
    stele_store *store = contract_open();

    (void)state;
    start_appenders(appenders, store, stele_expect_no_stream());
    join_appenders(appenders, &done, &conflicts);
    assert_int_equal(done, STREAMS);
    assert_int_equal(conflicts, THREADS * EACH - STREAMS);
    assert_int_equal(contract_count(store, NULL), STREAMS);
    stele_store_close(store);
}

/* --- Order ----------------------------------------------------------------------------- */

/* Who follows the head while others write meets all events, in the order in which a later read gives them. */
static void C1_C6_no_event_comes_at_or_below_a_position_that_was_seen(void **state)
{
    static struct contract_seen followed[THREADS * EACH];
    stele_store *store = contract_open();
    stele_error *error = NULL;
    size_t count = 0;
    size_t done, conflicts;

    (void)state;
    start_appenders(appenders, store, stele_expect_any());
    while (count < THREADS * EACH) {
        const uint64_t last = count ? followed[count - 1].position : 0;

        assert_ok(stele_wait(store, last, 60000, NULL, &error), error);
        count += contract_read(store, QUERY(.after = last), followed + count, THREADS * EACH - count, NULL);
    }
    join_appenders(appenders, &done, &conflicts);
    assert_int_equal(done, THREADS * EACH);
    assert_int_equal(contract_read(store, NULL, seen, THREADS * EACH, NULL), THREADS * EACH);
    for (size_t i = 0; i < THREADS * EACH; i++) {
        assert_int_equal(followed[i].position, seen[i].position);
        assert_int_equal(followed[i].number, seen[i].number);
    }
    stele_store_close(store);
}

/* --- A batch is whole to every reader --------------------------------------------------- */

enum { BATCHES = 100, BATCH = 7 };

struct batch_writer {
    stele_store *store;
    stele_message *events[BATCHES][BATCH];
    atomic_bool finished;
    stele_status failure;
};

static void *write_batches(void *context)
{
    struct batch_writer *writer = context;

    for (size_t i = 0; i < BATCHES; i++) {
        struct stele_write writes[BATCH];

        for (size_t j = 0; j < BATCH; j++)
            writes[j] = (struct stele_write){j % 2 ? "a" : "b", writer->events[i][j]};
        const stele_status status = stele_append_batch(
            writer->store, &(struct stele_batch){.writes = writes, .write_count = BATCH}, NULL, NULL);
        if (status != STELE_OK)
            writer->failure = status;
    }
    atomic_store(&writer->finished, true);
    return NULL;
}

static void A2_a_batch_is_whole_to_every_reader(void **state)
{
    static struct batch_writer writer;
    static struct contract_seen whole[BATCHES * BATCH];
    pthread_t thread;
    bool finished;

    (void)state;
    writer = (struct batch_writer){.store = contract_open()};
    for (size_t i = 0; i < BATCHES; i++)
        for (size_t j = 0; j < BATCH; j++)
            writer.events[i][j] = contract_event("t", (int64_t)(i * BATCH + j), NULL);
    assert_int_equal(pthread_create(&thread, NULL, write_batches, &writer), 0);
    do {
        size_t count;

        finished = atomic_load(&writer.finished);
        count = contract_read(writer.store, NULL, whole, BATCHES * BATCH, NULL);
        assert_int_equal(count % BATCH, 0);
        for (size_t i = 0; i < count; i++)
            assert_int_equal(whole[i].number, i);
    } while (!finished);
    pthread_join(thread, NULL);
    assert_int_equal(writer.failure, STELE_OK);
    for (size_t i = 0; i < BATCHES; i++)
        for (size_t j = 0; j < BATCH; j++)
            stele_message_unref(writer.events[i][j]);
    stele_store_close(writer.store);
}

/* --- Waiting ------------------------------------------------------------------------------- */

struct waiter {
    pthread_t thread;
    stele_store *store;
    uint64_t position;
    uint64_t head;
    stele_status status;
};

static void *wait_for_one(void *context)
{
    struct waiter *waiter = context;

    waiter->status = stele_wait(waiter->store, waiter->position, 60000, &waiter->head, NULL);
    return NULL;
}

static void C6_waiting_threads_are_woken_by_an_append(void **state)
{
    struct waiter waiters[4];
    stele_store *store = contract_open();
    uint64_t before = contract_append(store, "a", 1).last_position;
    uint64_t after;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        waiters[i] = (struct waiter){.store = store, .position = before};
        assert_int_equal(pthread_create(&waiters[i].thread, NULL, wait_for_one, &waiters[i]), 0);
    }
    after = contract_append(store, "a", 2).last_position;
    for (size_t i = 0; i < 4; i++) {
        pthread_join(waiters[i].thread, NULL);
        assert_int_equal(waiters[i].status, STELE_OK);
        assert_int_equal(waiters[i].head, after);
    }
    stele_store_close(store);
}

static const struct CMUnitTest tests[] = {
    support_test(A7_threads_appending_at_once_lose_nothing_and_leave_no_gaps),
    support_test(A7_of_threads_creating_a_stream_exactly_one_wins),
    support_test(C1_C6_no_event_comes_at_or_below_a_position_that_was_seen),
    support_test(A2_a_batch_is_whole_to_every_reader),
    support_test(C6_waiting_threads_are_woken_by_an_append),
};
CONTRACT_GROUP(contract_thread_group, tests);
