/* The ledger from outside: asking for outcomes, forgetting them, limits, memory (B7). */
#include "tests/contract/contract.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UUID "0192f0c4-0000-7000-8000-0000000000aa"

/* --- Asking for an outcome ------------------------------------------------------------------------ */

static int64_t set_now;

static int64_t now(void *context)
{
    (void)context;
    return set_now;
}

static int64_t monotonic(void *context)
{
    (void)context;
    return stele_clock_system()->monotonic(stele_clock_system()->context);
}

static void pause_for(void *context, int64_t nanoseconds)
{
    (void)context;
    stele_clock_system()->pause(stele_clock_system()->context, nanoseconds);
}

static const struct stele_clock set_clock = {.now = now, .monotonic = monotonic, .pause = pause_for};

static stele_store *open_at(int64_t time)
{
    const struct stele_store_options options = {.size = sizeof(options), .clock = &set_clock};

    set_now = time;
    return contract_open_with(&options);
}

static void B7_the_outcome_of_a_command_can_be_asked_for(void **state)
{
    stele_store *store = open_at(1234);
    struct stele_outcome outcome;
    stele_arena *arena = NULL;
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele_arena_new(&arena, &error), error);
    contract_append(store, "b", 1);
    assert_ok(contract_accept(store, UUID, 1, NULL, &error), error);
    set_now = 1200;
    assert_ok(contract_refuse(store, "c-2", 1, "not today", &error), error);
    assert_ok(stele_find_outcome(store, UUID, arena, &outcome, &error), error);
    assert_false(outcome.rejected);
    assert_null(outcome.rejection.data);
    assert_int_equal(outcome.version, 1);
    assert_int_equal(outcome.first_position, 2);
    assert_int_equal(outcome.last_position, 2);
    assert_true(outcome.created);
    assert_int_equal(outcome.time, 1234);
    assert_ok(stele_find_outcome(store, "c-2", arena, &outcome, &error), error);
    assert_true(outcome.rejected);
    assert_int_equal(outcome.rejection.size, strlen("not today"));
    assert_string_equal(outcome.rejection.data, "not today");
    assert_int_equal(outcome.version, 1);
    assert_int_equal(outcome.first_position, 0);
    assert_int_equal(outcome.time, 1200);
    stele_arena_free(arena);
    stele_store_close(store);
}

static void an_outcome_is_asked_for_with_sound_arguments(void **state)
{
    char long_id[STELE_ID_MAX + 2];
    stele_store *store = contract_open();
    struct stele_outcome outcome;
    stele_arena *arena = NULL;
    stele_error *error = NULL;

    (void)state;
    memset(long_id, 'x', sizeof(long_id));
    long_id[STELE_ID_MAX + 1] = '\0';
    assert_ok(stele_arena_new(&arena, &error), error);
    assert_status(STELE_INVALID, stele_find_outcome(NULL, "x", arena, &outcome, &error), error);
    assert_status(STELE_INVALID, stele_find_outcome(store, NULL, arena, &outcome, &error), error);
    assert_status(STELE_INVALID, stele_find_outcome(store, "", arena, &outcome, &error), error);
    assert_status(STELE_INVALID, stele_find_outcome(store, "x", NULL, &outcome, &error), error);
    assert_status(STELE_INVALID, stele_find_outcome(store, "x", arena, NULL, &error), error);
    assert_status(STELE_LIMIT, stele_find_outcome(store, long_id, arena, &outcome, &error), error);
    long_id[STELE_ID_MAX] = '\0';
    assert_status(STELE_NOT_FOUND, stele_find_outcome(store, long_id, arena, &outcome, &error), error);
    assert_int_equal(stele_find_outcome(store, "x", arena, &outcome, NULL), STELE_NOT_FOUND);
    stele_arena_free(arena);
    stele_store_close(store);
}

static void a_store_opened_for_reading_knows_outcomes_and_remembers_none(void **state)
{
    const struct stele_store_options reading = {.size = sizeof(reading), .mode = STELE_OPEN_READ_ONLY};
    const struct stele_retention all = {.size = sizeof(all), .has_keep = true};
    stele_store *store = contract_open();
    stele_error *error = NULL;

    (void)state;
    if (contract_is_durable()) {
        assert_ok(contract_accept(store, "c-1", 1, NULL, &error), error);
        stele_store_close(store);
        store = contract_open_with(&reading);
        assert_true(contract_is_remembered(store, "c-1"));
        assert_status(STELE_READ_ONLY, contract_accept(store, "c-1", 1, NULL, &error), error);
        assert_status(STELE_READ_ONLY, stele_forget_commands(store, &all, NULL, &error), error);
    }
    stele_store_close(store);
}

/* --- Arguments of a batch ---------------------------------------------------------------------------- */

static void B7_a_rejection_stands_for_a_command_without_events(void **state)
{
    stele_message *command = contract_command("c-1", "do.it", 1);
    stele_message *event = contract_event("t", 1, NULL);
    const struct stele_write write = {"a", event};
    const struct stele_batch no_command = {.rejection = "no"};
    const struct stele_batch with_event = {.writes = &write, .write_count = 1, .command = command, .rejection = "no"};
    const struct stele_batch not_text = {.command = command, .rejection = "\xff"};
    stele_store *store = contract_open();
    stele_error *error = NULL;

    (void)state;
    assert_failure(STELE_INVALID, stele_append_batch(store, &no_command, NULL, &error), error);
    assert_string_equal(stele_error_get(error, "argument"), "batch.rejection");
    stele_error_free(error);
    error = NULL;
    assert_status(STELE_INVALID, stele_append_batch(store, &with_event, NULL, &error), error);
    assert_status(STELE_INVALID, stele_append_batch(store, &not_text, NULL, &error), error);
    assert_false(contract_is_remembered(store, "c-1"));
    stele_message_unref(command);
    stele_message_unref(event);
    stele_store_close(store);
}

static void a_rejection_has_a_limit(void **state)
{
    char *text = malloc(STELE_REJECTION_MAX + 2);
    stele_store *store = contract_open();
    stele_error *error = NULL;

    (void)state;
    assert_non_null(text);
    memset(text, 'n', STELE_REJECTION_MAX + 1);
    text[STELE_REJECTION_MAX + 1] = '\0';
    assert_failure(STELE_LIMIT, contract_refuse(store, "c-1", 1, text, &error), error);
    assert_string_equal(stele_error_get(error, "limit"), "4095");
    assert_string_equal(stele_error_get(error, "actual"), "4096");
    stele_error_free(error);
    error = NULL;
    text[STELE_REJECTION_MAX] = '\0';
    assert_ok(contract_refuse(store, "c-1", 1, text, &error), error);
    assert_failure(STELE_REJECTED, contract_refuse(store, "c-1", 1, text, &error), error);
    assert_string_equal(stele_error_message(error), text);
    stele_error_free(error);
    free(text);
    stele_store_close(store);
}

/* --- Forgetting ------------------------------------------------------------------------------------------ */

/* Remember commands "1", "2" ... at the times given. */
static void remember_at(stele_store *store, const int64_t *times, size_t count)
{
    stele_error *error = NULL;

    for (size_t i = 0; i < count; i++) {
        char id[24];

        snprintf(id, sizeof(id), "%zu", i + 1);
        set_now = times[i];
        assert_ok(contract_refuse(store, id, 1, "no", &error), error);
    }
}

/* Which of the commands "1" to "9" are remembered, as a text of their digits. */
static const char *remembered(stele_store *store)
{
    static char found[10];
    size_t count = 0;

    for (char digit = '1'; digit <= '9'; digit++)
        if (contract_is_remembered(store, (const char[]){digit, '\0'}))
            found[count++] = digit;
    found[count] = '\0';
    return found;
}

static uint64_t forget(stele_store *store, const int64_t *before, const uint64_t *keep)
{
    struct stele_retention retention = STELE_OPTIONS_INIT(struct stele_retention);
    uint64_t forgotten = UINT64_MAX;
    stele_error *error = NULL;

    retention.has_before = before != NULL;
    retention.before = before ? *before : 0;
    retention.has_keep = keep != NULL;
    retention.keep = keep ? *keep : 0;
    assert_ok(stele_forget_commands(store, &retention, &forgotten, &error), error);
    return forgotten;
}
#define BEFORE(time) (&(const int64_t){(time)})
#define KEEP(count) (&(const uint64_t){(count)})

static void B7_commands_are_forgotten_by_age(void **state)
{
    stele_store *store = open_at(0);

    (void)state;
    remember_at(store, (const int64_t[]){10, 20, 20, 30, 40}, 5);
    assert_int_equal(forget(store, BEFORE(10), NULL), 0);
    assert_string_equal(remembered(store), "12345");
    assert_int_equal(forget(store, BEFORE(20), NULL), 1);
    assert_string_equal(remembered(store), "2345");
    assert_int_equal(forget(store, BEFORE(31), NULL), 3);
    assert_string_equal(remembered(store), "5");
    assert_int_equal(forget(store, BEFORE(INT64_MIN), NULL), 0);
    assert_int_equal(forget(store, BEFORE(INT64_MAX), NULL), 1);
    assert_int_equal(forget(store, BEFORE(INT64_MAX), NULL), 0);
    stele_store_close(store);
}

static void B7_commands_are_forgotten_by_count(void **state)
{
    stele_store *store = open_at(0);

    (void)state;
    remember_at(store, (const int64_t[]){10, 20, 20, 20, 40}, 5);
    assert_int_equal(forget(store, NULL, KEEP(5)), 0);
    assert_int_equal(forget(store, NULL, KEEP(UINT64_MAX)), 0);
    assert_int_equal(forget(store, NULL, KEEP(3)), 2); /* of equal times the first goes first */
    assert_string_equal(remembered(store), "345");
    assert_int_equal(forget(store, NULL, KEEP(0)), 3);
    assert_string_equal(remembered(store), "");
    stele_store_close(store);
}

static void B7_with_age_and_count_commands_go_that_fit_both(void **state)
{
    stele_store *store = open_at(0);

    (void)state;
    remember_at(store, (const int64_t[]){10, 20, 30, 40, 50}, 5);
    assert_int_equal(forget(store, BEFORE(40), KEEP(4)), 1);
    assert_string_equal(remembered(store), "2345");
    assert_int_equal(forget(store, BEFORE(30), KEEP(1)), 1);
    assert_string_equal(remembered(store), "345");
    stele_store_close(store);
}

static void B7_the_newest_are_those_of_the_latest_time_also_if_the_clock_steps_back(void **state)
{
    stele_store *store = open_at(0);

    (void)state;
    remember_at(store, (const int64_t[]){50, 10, 40, -5, 20}, 5);
    store = contract_is_durable() ? (stele_store_close(store), open_at(0)) : store;
    assert_int_equal(forget(store, NULL, KEEP(3)), 2);
    assert_string_equal(remembered(store), "135");
    assert_int_equal(forget(store, BEFORE(41), NULL), 2);
    assert_string_equal(remembered(store), "1");
    stele_store_close(store);
}

static void B7_many_commands_are_forgotten_in_steps(void **state)
{
    enum { MANY = 1100 }; /* of steps of 500 */
    stele_store *store = open_at(7);
    stele_error *error = NULL;

    (void)state;
    for (size_t i = 0; i < MANY; i++) {
        char id[24];

        snprintf(id, sizeof(id), "command %zu", i);
        assert_ok(contract_refuse(store, id, 1, "no", &error), error);
    }
    assert_int_equal(forget(store, NULL, KEEP(100)), 1000); /* two whole steps, and one to see that it is done */
    assert_false(contract_is_remembered(store, "command 999"));
    assert_true(contract_is_remembered(store, "command 1000"));
    assert_int_equal(forget(store, BEFORE(8), NULL), 100);
    stele_store_close(store);
}

static void B7_a_forgotten_command_is_a_new_one(void **state)
{
    stele_store *store = contract_open();
    struct stele_appended result = {0};
    stele_error *error = NULL;

    (void)state;
    assert_ok(contract_accept(store, "c-1", 1, NULL, &error), error);
    assert_int_equal(forget(store, NULL, KEEP(0)), 1);
    store = contract_reopen(store);
    assert_ok(contract_accept(store, "c-1", 2, &result, &error), error);
    assert_false(result.replayed);
    assert_int_equal(result.version, 2);
    assert_ok(contract_accept(store, "c-1", 2, &result, &error), error);
    assert_true(result.replayed);
    assert_int_equal(result.version, 2);
    stele_store_close(store);
}

static void a_retention_must_say_something(void **state)
{
    const struct stele_retention nothing = STELE_OPTIONS_INIT(struct stele_retention);
    const struct stele_retention small = {.size = 1, .has_keep = true};
    stele_store *store = contract_open();
    stele_error *error = NULL;

    (void)state;
    assert_failure(STELE_INVALID, stele_forget_commands(store, &nothing, NULL, &error), error);
    assert_string_equal(stele_error_get(error, "argument"), "retention");
    stele_error_free(error);
    error = NULL;
    assert_status(STELE_INVALID, stele_forget_commands(store, NULL, NULL, &error), error);
    assert_status(STELE_INVALID, stele_forget_commands(store, &small, NULL, &error), error);
    assert_status(STELE_INVALID, stele_forget_commands(NULL, &nothing, NULL, &error), error);
    stele_store_close(store);
}

/* --- Memory ------------------------------------------------------------------------------------------------- */

struct attempt {
    stele_message *accepted, *refused, *event;
};

static stele_status remember_ask_forget(void *context, stele_error **error)
{
    const struct stele_retention all = {.size = sizeof(all), .has_keep = true};
    const struct attempt *attempt = context;
    const struct stele_write write = {"a", attempt->event};
    const struct stele_batch accepted = {.writes = &write, .write_count = 1, .command = attempt->accepted};
    const struct stele_batch refused = {.command = attempt->refused, .rejection = "no"};
    struct stele_outcome outcome;
    stele_arena *arena = NULL;
    stele_store *store = NULL;
    stele_status status = stele_store_open(contract_url(), NULL, &store, error);

    if (status == STELE_OK)
        status = stele_append_batch(store, &accepted, NULL, error);
    if (status == STELE_OK)
        status = stele_append_batch(store, &refused, NULL, error);
    if (status == STELE_REJECTED) { /* what an earlier attempt remembered */
        stele_error_free(*error);
        *error = NULL;
        status = STELE_OK;
    }
    if (status == STELE_OK)
        status = stele_arena_new(&arena, error);
    if (status == STELE_OK)
        status = stele_find_outcome(store, "c-2", arena, &outcome, error);
    if (status == STELE_OK)
        status = stele_forget_commands(store, &all, NULL, error);
    stele_arena_free(arena);
    stele_store_close(store);
    return status;
}

static void running_out_of_memory_leaves_no_half_remembered_command(void **state)
{
    struct attempt attempt = {contract_command("c-1", "do.it", 1), contract_command("c-2", "do.it", 1),
                              contract_event_with_id("e-1")};

    (void)state;
    assert_true(support_every_allocation_fails(remember_ask_forget, &attempt) > 5);
    stele_message_unref(attempt.accepted);
    stele_message_unref(attempt.refused);
    stele_message_unref(attempt.event);
}

/* An append that fails for want of memory has remembered nothing; the next one finds all as it was. */
static void B7_an_append_without_memory_remembers_nothing(void **state)
{
    stele_store *store = contract_open();
    struct stele_appended result = {0};
    stele_error *error = NULL;
    bool through = false;

    (void)state;
    for (size_t n = 1; !through; n++) {
        stele_message *command = contract_command("c-1", "do.it", 1);
        stele_message *event = contract_event("t", 1, NULL);
        const struct stele_write write = {"a", event};
        const struct stele_batch batch = {.writes = &write, .write_count = 1, .command = command};

        support_fail_allocation(n);
        through = stele_append_batch(store, &batch, &result, NULL) == STELE_OK;
        support_fail_allocation(0);
        assert_int_equal(contract_is_remembered(store, "c-1"), through);
        assert_int_equal(contract_count(store, NULL), through);
        stele_message_unref(command);
        stele_message_unref(event);
    }
    assert_false(result.replayed);
    assert_ok(contract_accept(store, "c-1", 1, &result, &error), error);
    assert_true(result.replayed);
    stele_store_close(store);
}

static const struct CMUnitTest tests[] = {
    support_test(B7_the_outcome_of_a_command_can_be_asked_for),
    support_test(an_outcome_is_asked_for_with_sound_arguments),
    support_test(a_store_opened_for_reading_knows_outcomes_and_remembers_none),
    support_test(B7_a_rejection_stands_for_a_command_without_events),
    support_test(a_rejection_has_a_limit),
    support_test(B7_commands_are_forgotten_by_age),
    support_test(B7_commands_are_forgotten_by_count),
    support_test(B7_with_age_and_count_commands_go_that_fit_both),
    support_test(B7_the_newest_are_those_of_the_latest_time_also_if_the_clock_steps_back),
    support_test(B7_many_commands_are_forgotten_in_steps),
    support_test(B7_a_forgotten_command_is_a_new_one),
    support_test(a_retention_must_say_something),
    support_test(running_out_of_memory_leaves_no_half_remembered_command),
    support_test(B7_an_append_without_memory_remembers_nothing),
};

CONTRACT_GROUP(contract_outcome_group, tests);
