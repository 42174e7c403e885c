/* Opening, closing, reopening, forking, running out of memory, statistics and checks. */
#include "tests/contract/contract.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stele/clock.h>

/* --- Arguments ---------------------------------------------------------------------- */

static void ORX22_an_open_store_answers_and_a_missing_one_is_an_error(void **state)
{
    stele_store *store = contract_open();
    stele_message *event = contract_event("t", 1, NULL);
    const stele_message *lent = NULL;
    stele_message *found = NULL;
    stele_cursor *cursor = NULL;
    struct stele_stats stats;
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele_stats(store, &stats, &error), error);
    stele_store_close(store);
    assert_status(STELE_INVALID, stele_stats(NULL, &stats, &error), error);
    assert_status(STELE_INVALID, stele_append(NULL, "a", stele_expect_any(), event, NULL, &error), error);
    assert_status(STELE_INVALID, stele_read(NULL, NULL, &cursor, &error), error);
    assert_status(STELE_INVALID, stele_cursor_next(NULL, &lent, &error), error);
    assert_status(STELE_INVALID, stele_find(NULL, "a", &found, &error), error);
    assert_status(STELE_INVALID, stele_find_position(NULL, 1, &found, &error), error);
    assert_status(STELE_INVALID, stele_wait(NULL, 0, 0, NULL, &error), error);
    assert_status(STELE_INVALID, stele_verify(NULL, NULL, NULL, &error), error);
    assert_int_equal(stele_cursor_head(NULL).position, 0);
    stele_store_close(NULL);
    stele_cursor_close(NULL);
    stele_message_unref(event);
}

static void missing_arguments_are_named(void **state)
{
    stele_store *store = contract_open();
    const struct stele_write nothing = {"a", NULL};
    stele_error *error = NULL;
    const struct {
        stele_status status;
        const char *argument;
    } calls[] = {
        {stele_append(store, "a", stele_expect_any(), NULL, NULL, NULL), "event"},
        {stele_append_batch(store, NULL, NULL, NULL), "batch"},
        {stele_read(store, NULL, NULL, NULL), "out"},
        {stele_find(store, NULL, NULL, NULL), "id"},
        {stele_stats(store, NULL, NULL), "out"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        assert_int_equal(calls[i].status, STELE_INVALID);
    assert_failure(STELE_INVALID,
                   stele_append_batch(store, &(struct stele_batch){.writes = &nothing, .write_count = 1}, NULL, &error),
                   error);
    assert_string_equal(stele_error_get(error, "argument"), "event");
    stele_error_free(error);
    error = NULL;
    assert_failure(STELE_INVALID, stele_append_batch(store, &(struct stele_batch){.write_count = 1}, NULL, &error),
                   error);
    assert_string_equal(stele_error_get(error, "argument"), "batch.writes");
    stele_error_free(error);
    error = NULL;
    assert_failure(STELE_INVALID,
                   stele_append_batch(store, &(struct stele_batch){.expectation_count = 1}, NULL, &error), error);
    assert_string_equal(stele_error_get(error, "argument"), "batch.expectations");
    stele_error_free(error);
    stele_store_close(store);
}

static void options_of_another_size_are_refused(void **state)
{
    struct {
        struct stele_query query;
        uint64_t unknown;
    } longer = {.query = {.size = sizeof(longer)}};
    struct stele_query unsized = {.size = 0};
    struct stele_store_options options = STELE_OPTIONS_INIT(struct stele_store_options);
    stele_store *store = contract_open();
    stele_store *other = NULL;
    stele_cursor *cursor = NULL;
    stele_error *error = NULL;

    (void)state;
    assert_status(STELE_INVALID, stele_read(store, &unsized, &cursor, &error), error);
    assert_ok(stele_read(store, &longer.query, &cursor, &error), error); /* what is unknown is zero */
    stele_cursor_close(cursor);
    longer.unknown = 1;
    assert_status(STELE_INVALID, stele_read(store, &longer.query, &cursor, &error), error);
    options.payload_limit = STELE_PAYLOAD_MAX + 1;
    assert_status(STELE_LIMIT, stele_store_open(contract_url(), &options, &other, &error), error);
    options = (struct stele_store_options)STELE_OPTIONS_INIT(struct stele_store_options);
    options.mode = (enum stele_open_mode)9;
    assert_status(STELE_INVALID, stele_store_open(contract_url(), &options, &other, &error), error);
    assert_status(STELE_INVALID, stele_store_open(NULL, NULL, &other, &error), error);
    assert_status(STELE_INVALID, stele_store_open(contract_url(), NULL, NULL, &error), error);
    assert_null(other);
    stele_store_close(store);
}

static void errors_are_optional_everywhere(void **state)
{
    stele_store *store = contract_open();
    stele_message *event = contract_event("t", 1, NULL);
    stele_message *found = NULL;
    stele_cursor *cursor = NULL;

    (void)state;
    assert_int_equal(stele_append(store, "a", stele_expect_exists(), event, NULL, NULL), STELE_CONFLICT);
    assert_int_equal(stele_append(store, "", stele_expect_any(), event, NULL, NULL), STELE_INVALID);
    assert_int_equal(stele_read(store, QUERY(.type = ".."), &cursor, NULL), STELE_INVALID);
    assert_int_equal(stele_find(store, "nothing", &found, NULL), STELE_NOT_FOUND);
    assert_int_equal(stele_find_position(store, 1, &found, NULL), STELE_NOT_FOUND);
    assert_int_equal(stele_wait(store, 0, 0, NULL, NULL), STELE_TIMEOUT);
    stele_message_unref(event);
    stele_store_close(store);
}

/* --- Opening -------------------------------------------------------------------------- */

static void opening_what_is_not_there_creates_it_only_if_asked(void **state)
{
    struct stele_store_options options = STELE_OPTIONS_INIT(struct stele_store_options);
    stele_store *store = NULL;
    stele_error *error = NULL;

    (void)state;
    options.mode = STELE_OPEN_EXISTING;
    assert_status(STELE_NOT_FOUND, stele_store_open(contract_url(), &options, &store, &error), error);
    options.mode = STELE_OPEN_READ_ONLY;
    assert_failure(STELE_NOT_FOUND, stele_store_open(contract_url(), &options, &store, &error), error);
    assert_non_null(stele_error_get(error, "path"));
    stele_error_free(error);
    assert_null(store);
    if (!contract_is_durable())
        return;
    stele_store_close(contract_open());
    error = NULL;
    options.mode = STELE_OPEN_EXISTING;
    assert_ok(stele_store_open(contract_url(), &options, &store, &error), error);
    contract_append(store, "a", 1);
    stele_store_close(store);
}

static void a_store_opened_for_reading_refuses_appends(void **state)
{
    struct stele_store_options options = STELE_OPTIONS_INIT(struct stele_store_options);
    stele_store *store = NULL;
    stele_error *error = NULL;

    (void)state;
    options.mode = STELE_OPEN_READ_ONLY;
    if (!contract_is_durable()) {
        assert_status(STELE_NOT_FOUND, stele_store_open(contract_url(), &options, &store, &error), error);
        return;
    }
    store = contract_open();
    contract_append(store, "a", 1);
    stele_store_close(store);
    store = contract_open_with(&options);
    assert_numbers(store, NULL, 1);
    assert_status(STELE_READ_ONLY, contract_try(store, "a", stele_expect_any(), 2, &error), error);
    assert_status(STELE_READ_ONLY, stele_append_batch(store, &(struct stele_batch){.writes = NULL}, NULL, &error),
                  error);
    assert_numbers(store, NULL, 1);
    stele_store_close(store);
}

static void unknown_parameters_are_invalid(void **state)
{
    stele_store *store = NULL;
    stele_error *error = NULL;
    char url[8192];

    (void)state;
    snprintf(url, sizeof(url), "%s?colour=blue", contract_url());
    assert_failure(STELE_INVALID, stele_store_open(url, NULL, &store, &error), error);
    assert_message(error, "colour");
    stele_error_free(error);
}

static void A8_what_was_acknowledged_is_there_after_reopening(void **state)
{
    stele_store *store = contract_open();
    stele_error *error = NULL;

    (void)state;
    for (int64_t number = 1; number <= 20; number++) {
        contract_append(store, number % 3 ? "a" : "b", number);
        store = contract_reopen(store);
    }
    assert_numbers(store, NULL, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20);
    assert_numbers(store, QUERY(.stream = "b"), 3, 6, 9, 12, 15, 18);
    assert_ok(contract_try(store, "b", stele_expect_version(6), 21, &error), error);
    stele_store_close(store);
}

static void A8_an_empty_store_stays_a_store(void **state)
{
    stele_store *store = contract_reopen(contract_open());

    (void)state;
    assert_int_equal(contract_head(store), 0);
    assert_int_equal(contract_append(store, "a", 1).version, 1);
    stele_store_close(store);
}

/* --- Forking -------------------------------------------------------------------------- */

/* In the child: every call says so, closing does nothing. The number of the first check that fails, or 0. */
static int use_in_child(stele_store *store, stele_cursor *cursor, const stele_message *event)
{
    const stele_message *lent = NULL;
    stele_message *found = NULL;
    stele_cursor *other = NULL;
    struct stele_stats stats;
    stele_error *error = NULL;
    size_t held;

    if (stele_append(store, "a", stele_expect_any(), event, NULL, &error) != STELE_FORKED)
        return 1;
    if (stele_error_status(error) != STELE_FORKED || stele_error_action(error) != STELE_ACTION_ABORT)
        return 2;
    stele_error_free(error);
    if (stele_read(store, NULL, &other, NULL) != STELE_FORKED || other)
        return 3;
    if (stele_cursor_next(cursor, &lent, NULL) != STELE_FORKED)
        return 4;
    if (stele_find(store, "x", &found, NULL) != STELE_FORKED)
        return 5;
    if (stele_find_position(store, 1, &found, NULL) != STELE_FORKED)
        return 6;
    if (stele_wait(store, 0, 0, NULL, NULL) != STELE_FORKED)
        return 7;
    if (stele_stats(store, &stats, NULL) != STELE_FORKED)
        return 8;
    if (stele_verify(store, NULL, NULL, NULL) != STELE_FORKED)
        return 9;
    held = stele_memory_in_use();
    stele_cursor_close(cursor);
    stele_store_close(store);
    return stele_memory_in_use() == held ? 0 : 10;
}

static void FORKED_a_child_is_told_and_harms_nothing(void **state)
{
    stele_store *store = contract_open();
    stele_message *event = contract_event("t", 3, NULL);
    const stele_message *lent = NULL;
    stele_cursor *cursor = NULL;
    stele_error *error = NULL;
    int result = 0;
    pid_t child;

    (void)state;
    contract_append(store, "a", 1);
    contract_append(store, "a", 2);
    assert_ok(stele_read(store, NULL, &cursor, &error), error);
    assert_ok(stele_cursor_next(cursor, &lent, &error), error);
    child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(use_in_child(store, cursor, event));
    while (waitpid(child, &result, 0) < 0)
        assert_int_equal(errno, EINTR);
    assert_true(WIFEXITED(result));
    assert_int_equal(WEXITSTATUS(result), 0);
    assert_ok(stele_cursor_next(cursor, &lent, &error), error);
    assert_int_equal(contract_number(lent), 2);
    stele_cursor_close(cursor);
    assert_ok(stele_append(store, "a", stele_expect_version(2), event, NULL, &error), error);
    assert_numbers(store, NULL, 1, 2, 3);
    stele_message_unref(event);
    stele_store_close(store);
}

/* --- Memory ---------------------------------------------------------------------------- */

enum { BATCH = 20 }; /* more than is prepared without allocating */

struct attempt {
    struct stele_write writes[BATCH];
    struct stele_expectation expectations[BATCH];
    stele_message *events[BATCH];
    char names[BATCH][8];
};

static void make_attempt(struct attempt *attempt)
{
    for (size_t i = 0; i < BATCH; i++) {
        snprintf(attempt->names[i], sizeof(attempt->names[i]), "s%zu", i);
        attempt->events[i] = contract_event("t", (int64_t)i, NULL);
        attempt->writes[i] = (struct stele_write){attempt->names[i], attempt->events[i]};
        attempt->expectations[i] = (struct stele_expectation){attempt->names[i], stele_expect_no_stream()};
    }
}

static void free_attempt(struct attempt *attempt)
{
    for (size_t i = 0; i < BATCH; i++)
        stele_message_unref(attempt->events[i]);
}

/* All or none of the batch, in the store and in its numbers. */
static void assert_whole_or_absent(stele_store *store)
{
    const size_t count = contract_count(store, NULL);
    struct stele_stats stats;
    stele_error *error = NULL;

    assert_true(count == 0 || count == BATCH);
    assert_ok(stele_stats(store, &stats, &error), error);
    assert_int_equal(stats.events, count);
    assert_int_equal(stats.streams, count);
    assert_int_equal(contract_head(store) != 0, count != 0);
}

static stele_status open_append_read_close(void *context, stele_error **error)
{
    struct attempt *attempt = context;
    const struct stele_batch batch = {.writes = attempt->writes,
                                      .write_count = BATCH,
                                      .expectations = attempt->expectations,
                                      .expectation_count = BATCH};
    const stele_message *lent = NULL;
    stele_cursor *cursor = NULL;
    stele_store *store = NULL;
    stele_status status = stele_store_open(contract_url(), NULL, &store, error);

    if (status == STELE_OK)
        status = stele_append_batch(store, &batch, NULL, error);
    if (status == STELE_OK)
        status = stele_read(store, QUERY(.category = "s", .type = "*"), &cursor, error);
    if (status == STELE_OK)
        status = stele_cursor_next(cursor, &lent, error);
    stele_cursor_close(cursor);
    stele_store_close(store);
    return status;
}

static void running_out_of_memory_anywhere_is_an_error_and_leaks_nothing(void **state)
{
    struct attempt attempt;
    stele_store *store;

    (void)state;
    make_attempt(&attempt);
    assert_true(support_every_allocation_fails(open_append_read_close, &attempt) > 0);
    store = contract_open();
    assert_whole_or_absent(store);
    stele_store_close(store);
    free_attempt(&attempt);
}

static void an_append_that_ran_out_of_memory_wrote_nothing_and_can_be_repeated(void **state)
{
    struct attempt attempt;
    const struct stele_batch batch = {.writes = attempt.writes,
                                      .write_count = BATCH,
                                      .expectations = attempt.expectations,
                                      .expectation_count = BATCH};
    struct stele_appended result = {0};
    stele_store *store = contract_open();
    stele_error *error = NULL;
    bool failed = true;

    (void)state;
    make_attempt(&attempt);
    for (size_t n = 1; failed; n++) {
        stele_status status;

        support_fail_allocation(n);
        status = stele_append_batch(store, &batch, &result, &error);
        failed = support_allocation_failed();
        support_fail_allocation(0);
        assert_true(status == STELE_OK || (failed && status == STELE_NO_MEMORY));
        stele_error_free(error);
        error = NULL;
        if (status != STELE_OK)
            assert_int_equal(contract_count(store, NULL), 0);
        else
            break;
    }
    assert_false(result.repeated);
    assert_int_equal(result.version, 1);
    assert_whole_or_absent(store);
    assert_int_equal(contract_count(store, NULL), BATCH);
    free_attempt(&attempt);
    stele_store_close(store);
}

struct reading {
    stele_store *store;
    size_t count;
};

static stele_status read_all(void *context, stele_error **error)
{
    struct reading *reading = context;
    const stele_message *lent = NULL;
    stele_cursor *cursor = NULL;
    stele_status status = stele_read(reading->store, QUERY(.stream = "a"), &cursor, error);

    reading->count = 0;
    while (status == STELE_OK) {
        status = stele_cursor_next(cursor, &lent, error);
        if (status == STELE_OK && !lent)
            break;
        reading->count += status == STELE_OK;
    }
    stele_cursor_close(cursor);
    return status;
}

static void reading_across_pages_survives_every_failed_allocation(void **state)
{
    struct reading reading = {.store = contract_open()};

    (void)state;
    for (int64_t i = 0; i < 300; i++)
        contract_append(reading.store, "a", i);
    contract_count(reading.store, NULL); /* what the backend keeps for later reads is there now */
    assert_true(support_every_allocation_fails(read_all, &reading) > 0);
    assert_int_equal(reading.count, 300);
    stele_store_close(reading.store);
}

static void a_step_that_ran_out_of_memory_can_be_repeated(void **state)
{
    stele_store *store = contract_open();
    const stele_message *lent = NULL;
    stele_cursor *cursor = NULL;
    stele_error *error = NULL;
    size_t count = 0;
    size_t failures = 0;

    (void)state;
    for (int64_t i = 0; i < 300; i++)
        contract_append(store, "a", i);
    assert_ok(stele_read(store, NULL, &cursor, &error), error);
    do {
        stele_status status;

        support_fail_allocation(1);
        status = stele_cursor_next(cursor, &lent, &error);
        support_fail_allocation(0);
        if (status != STELE_OK) {
            assert_int_equal(status, STELE_NO_MEMORY);
            stele_error_free(error);
            error = NULL;
            failures++;
            assert_ok(stele_cursor_next(cursor, &lent, &error), error);
        }
        if (lent)
            assert_int_equal(contract_number(lent), count++);
    } while (lent);
    assert_int_equal(count, 300);
    assert_true(failures > 0);
    stele_cursor_close(cursor);
    stele_store_close(store);
}

/* --- Waiting, numbers, checks -------------------------------------------------------------- */

static void waiting_returns_the_head_at_once_or_the_time_is_up(void **state)
{
    stele_store *store = contract_open();
    const struct stele_clock *clock = stele_clock_system();
    stele_error *error = NULL;
    uint64_t last;
    uint64_t head = 0;
    int64_t start;

    (void)state;
    assert_status(STELE_TIMEOUT, stele_wait(store, 0, 0, &head, &error), error);
    assert_int_equal(head, 0);
    contract_append(store, "a", 1);
    last = contract_append(store, "a", 2).last_position;
    assert_ok(stele_wait(store, 0, 60000, &head, &error), error);
    assert_int_equal(head, last);
    assert_ok(stele_wait(store, last - 1, 60000, NULL, &error), error);
    start = clock->monotonic(clock->context);
    assert_status(STELE_TIMEOUT, stele_wait(store, last, 20, NULL, &error), error);
    assert_true(clock->monotonic(clock->context) - start >= 20 * 1000000);
    stele_store_close(store);
}

static void the_numbers_of_a_store_are_those_of_its_events(void **state)
{
    stele_store *store = contract_open();
    struct stele_stats stats;
    stele_error *error = NULL;
    uint64_t last;

    (void)state;
    assert_ok(stele_stats(store, &stats, &error), error);
    assert_int_equal(stats.events + stats.streams + stats.types + stats.head, 0);
    contract_append_type(store, "a", "t.one", 1);
    contract_append_type(store, "b", "t.two", 2);
    last = contract_append_type(store, "a", "t.one", 3).last_position;
    store = contract_reopen(store);
    assert_ok(stele_stats(store, &stats, &error), error);
    assert_int_equal(stats.events, 3);
    assert_int_equal(stats.streams, 2);
    assert_int_equal(stats.types, 2);
    assert_int_equal(stats.head, last);
    assert_true(stats.bytes > 0);
    assert_int_equal(strncmp(contract_url(), stats.backend, strlen(stats.backend)), 0);
    assert_string_equal(stats.durability, contract_is_durable() ? "power loss" : "nothing");
    assert_non_null(stats.library);
    stele_store_close(store);
}

struct checking {
    size_t faults;
    size_t reports;
    char text[256];
    uint64_t done;
    uint64_t all;
    bool stop;
};

static void count_fault(void *context, const char *text)
{
    struct checking *checking = context;

    checking->faults++;
    snprintf(checking->text, sizeof(checking->text), "%s", text);
}

static bool note_progress(void *context, uint64_t done, uint64_t all)
{
    struct checking *checking = context;

    checking->reports++;
    checking->done = done;
    checking->all = all;
    return !checking->stop;
}

static void a_sound_store_is_checked_without_faults(void **state)
{
    struct stele_verify_options options = STELE_OPTIONS_INIT(struct stele_verify_options);
    struct checking checking = {.faults = 0};
    struct stele_verified verified = {0};
    stele_store *store = contract_open();
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele_verify(store, NULL, NULL, &error), error);
    for (int64_t i = 0; i < 50; i++)
        contract_append(store, i % 2 ? "a" : "b", i);
    options.fault = count_fault;
    options.progress = note_progress;
    options.context = &checking;
    options.expect_head = contract_head(store);
    assert_ok(stele_verify(store, &options, &verified, &error), error);
    assert_int_equal(verified.events, 50);
    assert_int_equal(verified.streams, 2);
    assert_int_equal(verified.faults, 0);
    assert_int_equal(checking.faults, 0);
    assert_true(checking.reports > 0);
    assert_int_equal(checking.done, 50);
    assert_int_equal(checking.all, 50);
    stele_store_close(store);
}

static void D5_a_head_known_from_outside_must_be_reached(void **state)
{
    struct stele_verify_options options = STELE_OPTIONS_INIT(struct stele_verify_options);
    struct checking checking = {.faults = 0};
    struct stele_verified verified = {0};
    stele_store *store = contract_open();
    stele_error *error = NULL;

    (void)state;
    options.expect_head = contract_append(store, "a", 1).last_position + 1;
    options.fault = count_fault;
    options.context = &checking;
    assert_status(STELE_CORRUPT, stele_verify(store, &options, &verified, &error), error);
    assert_int_equal(verified.faults, 1);
    assert_int_equal(verified.events, 1);
    assert_int_equal(checking.faults, 1);
    assert_non_null(strstr(checking.text, "known to be written"));
    options.expect_head = (uint64_t)STELE_VERSION_MAX + 1;
    assert_status(STELE_INVALID, stele_verify(store, &options, NULL, &error), error);
    stele_store_close(store);
}

static void a_check_can_be_stopped(void **state)
{
    struct stele_verify_options options = STELE_OPTIONS_INIT(struct stele_verify_options);
    struct checking checking = {.stop = true};
    stele_store *store = contract_open();
    stele_error *error = NULL;

    (void)state;
    contract_append(store, "a", 1);
    options.progress = note_progress;
    options.context = &checking;
    assert_status(STELE_TIMEOUT, stele_verify(store, &options, NULL, &error), error);
    stele_store_close(store);
}

static stele_status verify_once(void *context, stele_error **error)
{
    return stele_verify(context, NULL, NULL, error);
}

static void a_check_survives_every_failed_allocation(void **state)
{
    stele_store *store = contract_open();

    (void)state;
    for (int64_t i = 0; i < 5; i++)
        contract_append(store, i % 2 ? "a" : "b", i);
    contract_count(store, NULL); /* as above */
    assert_true(support_every_allocation_fails(verify_once, store) > 0);
    stele_store_close(store);
}

static const struct CMUnitTest tests[] = {
    support_test(ORX22_an_open_store_answers_and_a_missing_one_is_an_error),
    support_test(missing_arguments_are_named),
    support_test(options_of_another_size_are_refused),
    support_test(errors_are_optional_everywhere),
    support_test(opening_what_is_not_there_creates_it_only_if_asked),
    support_test(a_store_opened_for_reading_refuses_appends),
    support_test(unknown_parameters_are_invalid),
    support_test(A8_what_was_acknowledged_is_there_after_reopening),
    support_test(A8_an_empty_store_stays_a_store),
    support_test(FORKED_a_child_is_told_and_harms_nothing),
    support_test(running_out_of_memory_anywhere_is_an_error_and_leaks_nothing),
    support_test(an_append_that_ran_out_of_memory_wrote_nothing_and_can_be_repeated),
    support_test(reading_across_pages_survives_every_failed_allocation),
    support_test(a_step_that_ran_out_of_memory_can_be_repeated),
    support_test(waiting_returns_the_head_at_once_or_the_time_is_up),
    support_test(the_numbers_of_a_store_are_those_of_its_events),
    support_test(a_sound_store_is_checked_without_faults),
    support_test(D5_a_head_known_from_outside_must_be_reached),
    support_test(a_check_can_be_stopped),
    support_test(a_check_survives_every_failed_allocation),
};
CONTRACT_GROUP(contract_life_group, tests);
