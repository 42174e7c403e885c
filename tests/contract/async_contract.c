/* Appending without waiting, and appends of many threads in one group. Threads only note; the test's thread asserts. */
#include "tests/contract/contract.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* What a done function was told. Its writer is a thread of the store; stele_flush() lies between that and the test. */
struct told {
    size_t times;
    size_t place; /* in the order of calls */
    stele_status status;
    struct stele_appended result;
    bool has_result, has_error;
    char stream[32]; /* of a conflict */
    uint64_t expected, actual;
};

static size_t calls; /* of done functions: one at a time */

static void note(void *context, stele_status status, const struct stele_appended *result, const stele_error *error)
{
    struct told *told = context;
    const struct stele_conflict *conflict = stele_error_conflict(error);

    told->times++;
    told->place = calls++;
    told->status = status;
    told->has_result = result != NULL;
    told->has_error = error != NULL;
    if (result)
        told->result = *result;
    if (conflict) {
        snprintf(told->stream, sizeof(told->stream), "%s", conflict->stream);
        told->expected = conflict->expected;
        told->actual = conflict->actual;
    }
}

static stele_status append_async(stele_store *store, const char *stream, struct stele_expected expected,
                                 const stele_message *event, struct told *told, stele_error **error)
{
    const struct stele_write write = {stream, event};
    const struct stele_expectation expectation = {stream, expected};

    return stele_append_async(
        store,
        &(struct stele_batch){.writes = &write, .write_count = 1, .expectations = &expectation, .expectation_count = 1},
        note, told, error);
}

static void must_append_async(stele_store *store, const char *stream, struct stele_expected expected, int64_t number,
                              struct told *told)
{
    stele_message *event = contract_event("thing.happened", number, NULL);
    stele_error *error = NULL;

    assert_ok(append_async(store, stream, expected, event, told, &error), error);
    stele_message_unref(event);
}

static void must_flush(stele_store *store)
{
    stele_error *error = NULL;

    assert_ok(stele_flush(store, &error), error);
}

static void assert_told_stored(const struct told *told, uint64_t version)
{
    assert_int_equal(told->times, 1);
    assert_int_equal(told->status, STELE_OK);
    assert_true(told->has_result);
    assert_false(told->has_error);
    assert_int_equal(told->result.version, version);
}

/* --- Outcomes ------------------------------------------------------------------------- */

static void appends_without_waiting_are_stored_and_told_in_the_order_of_the_calls(void **state)
{
    enum { COUNT = 2000 };
    static struct contract_seen seen[COUNT];
    static struct told told[COUNT];
    stele_store *store = contract_open();

    (void)state;
    memset(told, 0, sizeof(told));
    calls = 0;
    for (size_t i = 0; i < COUNT; i++)
        must_append_async(store, i % 2 ? "odd" : "even", stele_expect_version(i / 2), (int64_t)i, &told[i]);
    must_flush(store);
    for (size_t i = 0; i < COUNT; i++) {
        assert_told_stored(&told[i], i / 2 + 1);
        assert_int_equal(told[i].place, i);
        assert_int_equal(told[i].result.created, i < 2);
    }
    assert_int_equal(contract_read(store, NULL, seen, COUNT, NULL), COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(seen[i].number, i);
        assert_int_equal(seen[i].position, told[i].result.first_position);
    }
    stele_store_close(store);
}

static void D8_of_appends_without_waiting_each_conflict_is_told_to_its_own_and_disturbs_no_other(void **state)
{
    enum { COUNT = 300 };
    static struct told told[COUNT];
    char stream[16];
    stele_store *store = contract_open();

    (void)state;
    memset(told, 0, sizeof(told));
    for (size_t i = 0; i < COUNT; i++) {
        snprintf(stream, sizeof(stream), "s%zu", i);
        /* Every third expects what is not so. */
        must_append_async(store, stream, stele_expect_version(i % 3 == 1 ? 100 + i : 0), (int64_t)i, &told[i]);
    }
    must_flush(store);
    for (size_t i = 0; i < COUNT; i++) {
        if (i % 3 != 1) {
            assert_told_stored(&told[i], 1);
            continue;
        }
        snprintf(stream, sizeof(stream), "s%zu", i);
        assert_int_equal(told[i].times, 1);
        assert_int_equal(told[i].status, STELE_CONFLICT);
        assert_false(told[i].has_result);
        assert_string_equal(told[i].stream, stream);
        assert_int_equal(told[i].expected, 100 + i);
        assert_int_equal(told[i].actual, 0);
    }
    assert_int_equal(contract_count(store, NULL), COUNT - COUNT / 3);
    stele_store_close(store);
}

static void A6_repeating_an_append_without_waiting_is_told_as_such(void **state)
{
    stele_store *store = contract_open();
    stele_message *event = contract_event("thing.happened", 1, NULL);
    struct told told[3] = {{0}};
    stele_error *error = NULL;

    (void)state;
    assert_ok(append_async(store, "a", stele_expect_no_stream(), event, &told[0], &error), error);
    assert_ok(append_async(store, "a", stele_expect_no_stream(), event, &told[1], &error), error);
    assert_ok(append_async(store, "b", stele_expect_any(), event, &told[2], &error), error);
    must_flush(store);
    assert_told_stored(&told[0], 1);
    assert_false(told[0].result.repeated);
    assert_told_stored(&told[1], 1);
    assert_true(told[1].result.repeated);
    assert_int_equal(told[2].status, STELE_ID_REUSE);
    assert_true(told[2].has_error);
    stele_message_unref(event);
    stele_store_close(store);
}

/* --- What is borrowed ---------------------------------------------------------------------- */

static void the_batch_is_the_callers_again_when_the_call_returns(void **state)
{
    stele_store *store = contract_open();
    struct told told = {0};
    stele_error *error = NULL;

    (void)state;
    for (int64_t i = 0; i < 50; i++) {
        char names[2][8] = {"first", "second"};
        stele_message *events[2] = {contract_event("t", 2 * i, NULL), contract_event("t", 2 * i + 1, NULL)};
        struct stele_write writes[2] = {{names[0], events[0]}, {names[1], events[1]}};
        struct stele_expectation expectations[2] = {{names[0], stele_expect_version((uint64_t)i)},
                                                    {names[1], stele_expect_version((uint64_t)i)}};

        assert_ok(stele_append_async(
                      store,
                      &(struct stele_batch){
                          .writes = writes, .write_count = 2, .expectations = expectations, .expectation_count = 2},
                      note, &told, &error),
                  error);
        memset(names, '!', sizeof(names));
        memset(writes, 0, sizeof(writes));
        memset(expectations, 0xff, sizeof(expectations));
        stele_message_unref(events[0]);
        stele_message_unref(events[1]);
    }
    must_flush(store);
    assert_int_equal(told.times, 50);
    assert_int_equal(told.status, STELE_OK);
    assert_int_equal(contract_version(store, "first"), 50);
    assert_int_equal(contract_version(store, "second"), 50);
    stele_store_close(store);
}

static void a_message_lent_by_a_cursor_may_be_appended_without_waiting(void **state)
{
    stele_store *source = contract_open();
    stele_store *target = NULL;
    const stele_message *lent = NULL;
    stele_cursor *cursor = NULL;
    stele_error *error = NULL;
    struct told told = {0};

    (void)state;
    for (int64_t i = 1; i <= 5; i++)
        contract_append(source, "a", i);
    assert_ok(stele_store_open("memory:", NULL, &target, &error), error);
    assert_ok(stele_read(source, NULL, &cursor, &error), error);
    for (;;) {
        assert_ok(stele_cursor_next(cursor, &lent, &error), error);
        if (!lent)
            break;
        assert_ok(append_async(target, "copy", stele_expect_any(), lent, &told, &error), error);
    }
    stele_cursor_close(cursor);
    must_flush(target);
    assert_int_equal(told.times, 5);
    assert_numbers(target, NULL, 1, 2, 3, 4, 5);
    stele_store_close(target);
    stele_store_close(source);
}

/* --- Refusals ------------------------------------------------------------------------------ */

static void what_is_refused_at_once_is_not_told_again(void **state)
{
    stele_store *store = contract_open();
    stele_message *event = contract_event("t", 1, NULL);
    const struct stele_write write = {"a", event};
    const struct stele_batch batch = {.writes = &write, .write_count = 1};
    struct told told = {0};
    stele_error *error = NULL;

    (void)state;
    assert_failure(STELE_INVALID, stele_append_async(store, &batch, NULL, NULL, &error), error);
    assert_string_equal(stele_error_get(error, "argument"), "done");
    stele_error_free(error);
    error = NULL;
    assert_status(STELE_INVALID, stele_append_async(NULL, &batch, note, &told, &error), error);
    assert_status(STELE_INVALID, stele_append_async(store, NULL, note, &told, &error), error);
    assert_status(STELE_INVALID, append_async(store, "", stele_expect_any(), event, &told, &error), error);
    assert_status(STELE_INVALID, append_async(store, "$all", stele_expect_any(), event, &told, &error), error);
    assert_status(STELE_INVALID, append_async(store, "a", stele_expect_any(), NULL, &told, &error), error);
    assert_status(STELE_INVALID, stele_flush(NULL, &error), error);
    must_flush(store);
    stele_message_unref(event);
    stele_store_close(store);
    assert_int_equal(told.times, 0);
}

static void a_store_for_reading_only_takes_no_append_without_waiting(void **state)
{
    struct stele_store_options options = STELE_OPTIONS_INIT(struct stele_store_options);
    stele_store *store = contract_open();
    stele_message *event = contract_event("t", 1, NULL);
    struct told told = {0};
    stele_error *error = NULL;

    (void)state;
    stele_store_close(store);
    if (contract_is_durable()) {
        options.mode = STELE_OPEN_READ_ONLY;
        store = contract_open_with(&options);
        assert_status(STELE_READ_ONLY, append_async(store, "a", stele_expect_any(), event, &told, &error), error);
        must_flush(store);
        stele_store_close(store);
    }
    stele_message_unref(event);
    assert_int_equal(told.times, 0);
}

/* No cmocka here: the child shares the parent's output. */
static int use_in_child(stele_store *store, const stele_message *event)
{
    struct told told = {0};

    if (append_async(store, "a", stele_expect_any(), event, &told, NULL) != STELE_FORKED)
        return 1;
    if (stele_flush(store, NULL) != STELE_FORKED)
        return 2;
    stele_store_close(store);
    return told.times == 0 ? 0 : 3;
}

static void a_forked_child_may_not_append_without_waiting_and_disturbs_nothing(void **state)
{
    stele_store *store = contract_open();
    stele_message *event = contract_event("t", 1, NULL);
    struct told told[2] = {{0}};
    int result = 0;
    pid_t child;

    (void)state;
    must_append_async(store, "a", stele_expect_any(), 1, &told[0]);
    child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(use_in_child(store, event));
    while (waitpid(child, &result, 0) < 0)
        assert_int_equal(errno, EINTR);
    assert_true(WIFEXITED(result));
    assert_int_equal(WEXITSTATUS(result), 0);
    must_append_async(store, "a", stele_expect_any(), 2, &told[1]);
    must_flush(store);
    assert_numbers(store, NULL, 1, 2);
    stele_message_unref(event);
    stele_store_close(store);
}

/* --- Inside a done function ------------------------------------------------------------------- */

enum { CHAIN = 20 };

struct chain {
    stele_store *store;
    stele_message *events[CHAIN];
    size_t told;
    size_t wrong;
    bool waits; /* for each append */
};

static void append_next(void *context, stele_status status, const struct stele_appended *result,
                        const stele_error *error)
{
    struct chain *chain = context;
    struct stele_write write = {"chain", NULL};
    const struct stele_batch batch = {.writes = &write, .write_count = 1};

    (void)error;
    chain->wrong += status != STELE_OK || result->version != chain->told + 1;
    chain->wrong += stele_flush(chain->store, NULL) != STELE_INVALID;
    if (++chain->told == CHAIN)
        return;
    write.event = chain->events[chain->told];
    if (chain->waits) {
        chain->wrong += stele_append_batch(chain->store, &batch, NULL, NULL) != STELE_OK;
        if (++chain->told == CHAIN)
            return;
        write.event = chain->events[chain->told];
    }
    chain->wrong += stele_append_async(chain->store, &batch, append_next, chain, NULL) != STELE_OK;
}

/* A queue with room for one: a done function that had to wait for room would wait for ever. */
static void run_chain(bool waits)
{
    struct stele_store_options options = STELE_OPTIONS_INIT(struct stele_store_options);
    struct chain chain = {.waits = waits};
    struct stele_write write = {"chain", NULL};
    stele_error *error = NULL;

    options.queue_events = 1;
    chain.store = contract_open_with(&options);
    for (size_t i = 0; i < CHAIN; i++)
        chain.events[i] = contract_event("t", (int64_t)i, NULL);
    write.event = chain.events[0];
    assert_ok(stele_append_async(chain.store, &(struct stele_batch){.writes = &write, .write_count = 1}, append_next,
                                 &chain, &error),
              error);
    stele_store_close(chain.store);
    assert_int_equal(chain.told, CHAIN);
    assert_int_equal(chain.wrong, 0);
    for (size_t i = 0; i < CHAIN; i++)
        stele_message_unref(chain.events[i]);
}

static void a_done_function_may_append_without_waiting_and_closing_sees_that_through(void **state)
{
    (void)state;
    run_chain(false);
}

static void a_done_function_may_append_and_wait(void **state)
{
    (void)state;
    run_chain(true);
}

static void closing_stores_what_was_appended_without_waiting(void **state)
{
    enum { COUNT = 500 };
    static struct told told[COUNT];
    stele_store *store = contract_open();

    (void)state;
    memset(told, 0, sizeof(told));
    for (size_t i = 0; i < COUNT; i++)
        must_append_async(store, "a", stele_expect_any(), (int64_t)i, &told[i]);
    stele_store_close(store);
    for (size_t i = 0; i < COUNT; i++)
        assert_told_stored(&told[i], i + 1);
    if (contract_is_durable()) {
        store = contract_open();
        assert_int_equal(contract_count(store, NULL), COUNT);
        stele_store_close(store);
    }
}

/* --- Memory -------------------------------------------------------------------------------------- */

struct attempt {
    stele_message *events[20];
    char names[20][8];
};

static stele_status append_twenty(void *context, stele_error **error)
{
    const struct attempt *attempt = context;
    struct stele_write writes[20];
    struct told told = {0};
    stele_store *store = NULL;
    stele_status status = stele_store_open(contract_url(), NULL, &store, error);

    for (size_t i = 0; i < 20; i++)
        writes[i] = (struct stele_write){attempt->names[i], attempt->events[i]};
    if (status == STELE_OK)
        status =
            stele_append_async(store, &(struct stele_batch){.writes = writes, .write_count = 20}, note, &told, error);
    stele_store_close(store);
    if (status == STELE_OK && told.times != 1)
        return STELE_CORRUPT;
    return status == STELE_OK ? told.status : status;
}

/* An allocation that fails in a cache of the backend may fail no append: so not support_every_allocation_fails(). */
static void appending_without_waiting_survives_every_failed_allocation(void **state)
{
    struct attempt attempt;
    stele_error *error = NULL;
    size_t failures = 0;

    (void)state;
    for (size_t i = 0; i < 20; i++) {
        snprintf(attempt.names[i], sizeof(attempt.names[i]), "s%zu", i);
        attempt.events[i] = contract_event("t", (int64_t)i, NULL);
    }
    for (;; failures++) {
        const size_t before = stele_memory_in_use();
        stele_status status;

        support_fail_allocation(failures + 1);
        status = append_twenty(&attempt, &error);
        stele_error_free(error);
        error = NULL;
        assert_int_equal(stele_memory_in_use(), before);
        if (status == STELE_OK && !support_allocation_failed())
            break;
        assert_true(status == STELE_OK || status == STELE_NO_MEMORY);
    }
    support_fail_allocation(0);
    assert_true(failures > 1);
    for (size_t i = 0; i < 20; i++)
        stele_message_unref(attempt.events[i]);
}

/* --- Many threads ----------------------------------------------------------------------------------- */

enum { THREADS = 16, EACH = 60, STREAMS = 3 };

/* A thread that appends to shared streams what it believes, right or wrong, and notes each outcome. */
struct writer {
    pthread_t thread;
    stele_store *store;
    stele_message *events[EACH];
    struct told told[EACH];
    char streams[EACH][8];
};

static void append_and_note(struct writer *writer, size_t i, struct stele_expected expected)
{
    struct stele_appended result;
    stele_error *error = NULL;
    const stele_status status =
        stele_append(writer->store, writer->streams[i], expected, writer->events[i], &result, &error);

    note(&writer->told[i], status, status == STELE_OK ? &result : NULL, error);
    stele_error_free(error);
}

static struct told last_of(const struct writer *writer, size_t i)
{
    return i < STREAMS ? (struct told){0} : writer->told[i - STREAMS];
}

/* It expects what it saw last of the stream: true now and then. */
static void *run_writer(void *context)
{
    struct writer *writer = context;

    for (size_t i = 0; i < EACH; i++) {
        const struct told last = last_of(writer, i);

        append_and_note(writer, i, stele_expect_version(last.status == STELE_OK ? last.result.version : last.actual));
    }
    return NULL;
}

static struct writer writers[THREADS];
static struct contract_seen seen[THREADS * EACH];

/* What was acknowledged is where the result says; of a stream's versions each is acknowledged once. */
static void assert_told_truly(const struct writer *writer, size_t i, size_t *stored)
{
    const struct told *told = &writer->told[i];

    assert_int_equal(told->times, 1);
    if (told->status == STELE_OK) {
        const struct contract_seen *event = &seen[told->result.first_position - 1];

        assert_int_equal(event->position, told->result.first_position);
        assert_int_equal(event->version, told->result.version);
        assert_string_equal(event->stream, writer->streams[i]);
        assert_int_equal(event->number, (int64_t)((size_t)(writer - writers) * EACH + i));
        ++*stored;
    } else {
        assert_int_equal(told->status, STELE_CONFLICT);
        assert_string_equal(told->stream, writer->streams[i]);
        assert_int_not_equal(told->expected, told->actual);
    }
}

static void D8_of_threads_in_one_group_each_gets_its_own_result_or_conflict(void **state)
{
    size_t stored = 0;
    size_t count;
    stele_store *store = contract_open();

    (void)state;
    for (size_t i = 0; i < THREADS; i++) {
        writers[i] = (struct writer){.store = store};
        for (size_t j = 0; j < EACH; j++) {
            writers[i].events[j] = contract_event("t", (int64_t)(i * EACH + j), NULL);
            snprintf(writers[i].streams[j], sizeof(writers[i].streams[j]), "s%zu", j % STREAMS);
        }
    }
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&writers[i].thread, NULL, run_writer, &writers[i]), 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(writers[i].thread, NULL);
    count = contract_read(store, NULL, seen, THREADS * EACH, NULL);
    for (size_t i = 0; i < THREADS; i++) {
        for (size_t j = 0; j < EACH; j++) {
            assert_told_truly(&writers[i], j, &stored);
            stele_message_unref(writers[i].events[j]);
        }
    }
    assert_int_equal(stored, count);
    assert_in_range(count, STREAMS, THREADS * EACH - 1);
    stele_store_close(store);
}

static const struct CMUnitTest tests[] = {
    support_test(appends_without_waiting_are_stored_and_told_in_the_order_of_the_calls),
    support_test(D8_of_appends_without_waiting_each_conflict_is_told_to_its_own_and_disturbs_no_other),
    support_test(A6_repeating_an_append_without_waiting_is_told_as_such),
    support_test(the_batch_is_the_callers_again_when_the_call_returns),
    support_test(a_message_lent_by_a_cursor_may_be_appended_without_waiting),
    support_test(what_is_refused_at_once_is_not_told_again),
    support_test(a_store_for_reading_only_takes_no_append_without_waiting),
    support_test(a_forked_child_may_not_append_without_waiting_and_disturbs_nothing),
    support_test(a_done_function_may_append_without_waiting_and_closing_sees_that_through),
    support_test(a_done_function_may_append_and_wait),
    support_test(closing_stores_what_was_appended_without_waiting),
    support_test(appending_without_waiting_survives_every_failed_allocation),
    support_test(D8_of_threads_in_one_group_each_gets_its_own_result_or_conflict),
};
CONTRACT_GROUP(contract_async_group, tests);
