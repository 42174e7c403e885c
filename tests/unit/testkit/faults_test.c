/*
 * Stores that fail on demand: which call fails, whether it had its effect, what is counted.
 */
#include "tests/support/support.h"
#include "tests/unit/testkit/parcel.h"

#include <stele/spi/store.h>
#include <stele/testkit.h>
#include <stele/view.h>

#include "store/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct fixture {
    stele_faults *faults;
    stele_store *store;
    stele_error *error;
};

static int setup(void **state)
{
    static struct fixture fixture;

    support_setup(state);
    fixture = (struct fixture){.store = NULL};
    assert_ok(stele_faults_new(&fixture.faults, &fixture.error), fixture.error);
    assert_ok(stele_faults_open(fixture.faults, "memory:", NULL, &fixture.store, &fixture.error), fixture.error);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    stele_store_close(fixture->store);
    stele_faults_free(fixture->faults);
    return support_teardown(state);
}

#define faults_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* Append the event with this id to a stream. */
static stele_status append(stele_store *store, const char *stream, const char *id, stele_error **error)
{
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
    const struct parcel_labelled payload = {.label = "A"};
    stele_message *event = NULL;
    stele_status status;

    options.id = id;
    status = parcel_labelled_message(&payload, &options, &event, error);
    if (status == STELE_OK)
        status = stele_append(store, stream, stele_expect_any(), event, NULL, error);
    stele_message_unref(event);
    return status;
}

static uint64_t events_in(stele_store *store)
{
    struct stele_stats stats;
    stele_error *error = NULL;

    assert_ok(stele_stats(store, &stats, &error), error);
    return stats.events;
}

/* --- Which call ----------------------------------------------------------------------------- */

static void without_a_fault_all_goes_well(void **state)
{
    const struct fixture *fixture = *state;
    stele_error *error = NULL;

    assert_ok(append(fixture->store, "s", "1", &error), error);
    assert_int_equal(1, events_in(fixture->store));
    assert_int_equal(1, stele_faults_calls(fixture->faults, STELE_CALL_OPEN));
    assert_int_equal(1, stele_faults_calls(fixture->faults, STELE_CALL_APPEND));
    assert_int_equal(1, stele_faults_calls(fixture->faults, STELE_CALL_WRITE));
    assert_int_equal(1, stele_faults_calls(fixture->faults, STELE_CALL_STATS));
    assert_int_equal(3, stele_faults_calls(fixture->faults, STELE_CALL_ANY));
    assert_int_equal(0, stele_faults_failed(fixture->faults, STELE_CALL_ANY));
}

static void the_next_call_fails_once_with_an_input_output_error(void **state)
{
    const struct fixture *fixture = *state;
    stele_error *error = NULL;

    assert_ok(STELE_FAULT(fixture->faults, .call = STELE_CALL_APPEND), error);
    assert_failure(STELE_IO, append(fixture->store, "s", "1", &error), error);
    assert_message(error, "the test made this call fail, before it was carried out");
    stele_error_free(error);
    error = NULL;
    assert_int_equal(0, events_in(fixture->store));
    assert_ok(append(fixture->store, "s", "1", &error), error);
    assert_int_equal(1, stele_faults_failed(fixture->faults, STELE_CALL_APPEND));
}

static void the_nth_call_from_now_fails(void **state)
{
    const struct fixture *fixture = *state;
    stele_error *error = NULL;

    assert_ok(append(fixture->store, "s", "1", &error), error);
    STELE_FAULT(fixture->faults, .call = STELE_CALL_APPEND, .nth = 2, .times = 2, .status = STELE_BUSY);
    assert_ok(append(fixture->store, "s", "2", &error), error);
    assert_status(STELE_BUSY, append(fixture->store, "s", "3", &error), error);
    assert_status(STELE_BUSY, append(fixture->store, "s", "3", &error), error);
    assert_ok(append(fixture->store, "s", "3", &error), error);
    assert_int_equal(3, events_in(fixture->store));
}

static void other_calls_are_not_counted(void **state)
{
    const struct fixture *fixture = *state;
    stele_error *error = NULL;

    STELE_FAULT(fixture->faults, .call = STELE_CALL_STATS);
    assert_ok(append(fixture->store, "s", "1", &error), error);
    assert_status(STELE_IO, stele_stats(fixture->store, &(struct stele_stats){.events = 0}, &error), error);
}

static void waits_are_not_among_any_calls(void **state)
{
    const struct fixture *fixture = *state;
    stele_error *error = NULL;
    uint64_t before;

    assert_ok(append(fixture->store, "s", "1", &error), error);
    before = stele_faults_calls(fixture->faults, STELE_CALL_ANY);
    STELE_FAULT(fixture->faults, .call = STELE_CALL_ANY);
    assert_ok(stele_wait(fixture->store, 0, 0, NULL, &error), error);
    assert_int_equal(before, stele_faults_calls(fixture->faults, STELE_CALL_ANY));
    assert_true(stele_faults_calls(fixture->faults, STELE_CALL_WAIT) > 0);
}

static void all_calls_fail_until_the_faults_are_cleared(void **state)
{
    const struct fixture *fixture = *state;
    stele_error *error = NULL;

    STELE_FAULT(fixture->faults, .call = STELE_CALL_WRITE, .times = UINT64_MAX, .status = STELE_FULL);
    for (int i = 0; i < 20; i++)
        assert_status(STELE_FULL, append(fixture->store, "s", "1", &error), error);
    assert_status(STELE_FULL, stele_checkpoint_write(fixture->store, "c", STELE_NO_CHECKPOINT, 0, &error), error);
    assert_int_equal(0, events_in(fixture->store));
    stele_faults_clear(fixture->faults);
    assert_ok(append(fixture->store, "s", "1", &error), error);
    assert_int_equal(21, stele_faults_failed(fixture->faults, STELE_CALL_WRITE));
}

static void the_fault_armed_first_decides(void **state)
{
    const struct fixture *fixture = *state;
    stele_error *error = NULL;

    STELE_FAULT(fixture->faults, .call = STELE_CALL_APPEND, .status = STELE_BUSY);
    STELE_FAULT(fixture->faults, .call = STELE_CALL_ANY, .times = 2, .status = STELE_FULL);
    assert_status(STELE_BUSY, append(fixture->store, "s", "1", &error), error);
    assert_status(STELE_FULL, append(fixture->store, "s", "1", &error), error);
    assert_ok(append(fixture->store, "s", "1", &error), error);
}

/* --- Before and after ------------------------------------------------------------------------- */

static void a_lost_answer_is_settled_by_repeating(void **state)
{
    const struct fixture *fixture = *state;
    stele_error *error = NULL;

    STELE_FAULT(fixture->faults, .call = STELE_CALL_APPEND, .status = STELE_UNKNOWN, .after = true);
    assert_failure(STELE_UNKNOWN, append(fixture->store, "s", "1", &error), error);
    assert_message(error, "the test made this call fail, after it was carried out");
    stele_error_free(error);
    error = NULL;
    assert_int_equal(1, events_in(fixture->store));
    assert_ok(append(fixture->store, "s", "1", &error), error);
    assert_int_equal(1, events_in(fixture->store));
}

static void a_call_that_fails_by_itself_tells_its_own_failure(void **state)
{
    const struct fixture *fixture = *state;
    struct stele_expectation expectation = {"s", stele_expect_version(7)};
    const struct stele_batch batch = {.expectations = &expectation, .expectation_count = 1};
    stele_error *error = NULL;

    STELE_FAULT(fixture->faults, .call = STELE_CALL_APPEND, .status = STELE_UNKNOWN, .after = true);
    assert_status(STELE_CONFLICT, stele_append_batch(fixture->store, &batch, NULL, &error), error);
}

static void note_done(void *context, stele_status status, const struct stele_appended *result, const stele_error *error)
{
    char *statuses = context;

    (void)result;
    (void)error;
    statuses[strlen(statuses)] = status == STELE_OK ? '+' : '-';
}

/* Four appends that may share a transaction: the second and fourth fail, one of them having been written. */
static void neighbours_in_a_group_are_not_disturbed(void **state)
{
    const struct fixture *fixture = *state;
    const struct parcel_labelled payload = {.label = "A"};
    char statuses[8] = "";
    stele_error *error = NULL;

    STELE_FAULT(fixture->faults, .call = STELE_CALL_APPEND, .nth = 2);
    STELE_FAULT(fixture->faults, .call = STELE_CALL_APPEND, .nth = 4, .status = STELE_UNKNOWN, .after = true);
    for (int i = 0; i < 4; i++) {
        stele_message *event = NULL;
        struct stele_write write = {.stream = "s"};
        const struct stele_batch batch = {.writes = &write, .write_count = 1};

        assert_ok(parcel_labelled_message(&payload, NULL, &event, &error), error);
        write.event = event;
        assert_ok(stele_append_async(fixture->store, &batch, note_done, statuses, &error), error);
        stele_message_unref(event);
    }
    assert_ok(stele_flush(fixture->store, &error), error);
    assert_string_equal("+-+-", statuses);
    assert_int_equal(3, events_in(fixture->store));
}

static void a_store_that_does_not_open_leaves_nothing_open(void **state)
{
    const struct fixture *fixture = *state;
    stele_store *store = NULL;
    stele_error *error = NULL;

    STELE_FAULT(fixture->faults, .call = STELE_CALL_OPEN, .status = STELE_DENIED);
    STELE_FAULT(fixture->faults, .call = STELE_CALL_OPEN, .nth = 2, .status = STELE_BUSY, .after = true);
    assert_status(STELE_DENIED, stele_faults_open(fixture->faults, "memory:", NULL, &store, &error), error);
    assert_status(STELE_BUSY, stele_faults_open(fixture->faults, "memory:", NULL, &store, &error), error);
    assert_null(store);
}

/* --- Every kind of call ------------------------------------------------------------------------ */

static bool visit_stream(void *context, const struct stele_stream *stream)
{
    (void)context;
    (void)stream;
    return true;
}

static bool visit_checkpoint(void *context, const struct stele_checkpoint *checkpoint)
{
    (void)context;
    (void)checkpoint;
    return true;
}

static stele_status call_read(stele_store *store, stele_error **error)
{
    stele_cursor *cursor = NULL;
    const stele_status status = stele_read(store, NULL, &cursor, error);

    stele_cursor_close(cursor);
    return status;
}

static stele_status call_find(stele_store *store, stele_error **error)
{
    stele_message *message = NULL;
    const stele_status status = stele_find(store, "1", &message, error);

    stele_message_unref(message);
    return status;
}

static stele_status call_streams(stele_store *store, stele_error **error)
{
    return stele_streams(store, NULL, visit_stream, NULL, error);
}

static stele_status call_wait(stele_store *store, stele_error **error)
{
    return stele_wait(store, 0, 0, NULL, error);
}

static stele_status call_verify(stele_store *store, stele_error **error)
{
    struct stele_verified verified;

    return stele_verify(store, NULL, &verified, error);
}

static stele_status call_find_command(stele_store *store, stele_error **error)
{
    stele_arena *arena = NULL;
    struct stele_outcome outcome;
    stele_status status = stele_arena_new(&arena, error);

    if (status == STELE_OK)
        status = stele_find_outcome(store, "c", arena, &outcome, error);
    stele_arena_free(arena);
    if (status != STELE_NOT_FOUND)
        return status;
    stele_error_free(*error);
    *error = NULL;
    return STELE_OK;
}

static stele_status call_forget(stele_store *store, stele_error **error)
{
    struct stele_retention retention = STELE_OPTIONS_INIT(struct stele_retention);

    retention.has_keep = true;
    return stele_forget_commands(store, &retention, NULL, error);
}

static stele_status call_checkpoints(stele_store *store, stele_error **error)
{
    return stele_checkpoint_list(store, visit_checkpoint, NULL, error);
}

static stele_status call_write_checkpoint(stele_store *store, stele_error **error)
{
    return stele_checkpoint_write(store, "c", STELE_NO_CHECKPOINT, 0, error);
}

static stele_status call_delete_checkpoint(stele_store *store, stele_error **error)
{
    return stele_checkpoint_delete(store, "c", error);
}

static bool visit_snapshot(void *context, const struct stele_snapshot *snapshot)
{
    (void)context;
    (void)snapshot;
    return true;
}

static stele_status call_load_snapshot(stele_store *store, stele_error **error)
{
    bool damaged;

    return stele__store_load_snapshot(store, support_slice("s"), visit_snapshot, NULL, &damaged, error);
}

static stele_status call_save_snapshot(stele_store *store, stele_error **error)
{
    const struct stele_snapshot snapshot = {.stream = support_slice("s"), .version = 1, .state = support_slice("x")};

    return stele__store_save_snapshot(store, &snapshot, error);
}

static stele_status call_drop_snapshot(stele_store *store, stele_error **error)
{
    return stele__store_drop_snapshot(store, support_slice("s"), error);
}

static void every_kind_of_call_can_be_made_to_fail(void **state)
{
    static const struct {
        enum stele_store_call call;
        stele_status (*make)(stele_store *store, stele_error **error);
    } kinds[] = {
        {STELE_CALL_READ, call_read},
        {STELE_CALL_FIND, call_find},
        {STELE_CALL_STREAMS, call_streams},
        {STELE_CALL_WAIT, call_wait},
        {STELE_CALL_VERIFY, call_verify},
        {STELE_CALL_FIND_COMMAND, call_find_command},
        {STELE_CALL_MARK_COMMANDS, call_forget},
        {STELE_CALL_LOAD_SNAPSHOT, call_load_snapshot},
        {STELE_CALL_SAVE_SNAPSHOT, call_save_snapshot},
        {STELE_CALL_DROP_SNAPSHOT, call_drop_snapshot},
        {STELE_CALL_READ_CHECKPOINTS, call_checkpoints},
        {STELE_CALL_WRITE_CHECKPOINT, call_write_checkpoint},
        {STELE_CALL_DELETE_CHECKPOINT, call_delete_checkpoint},
    };
    const struct fixture *fixture = *state;
    stele_error *error = NULL;

    assert_ok(append(fixture->store, "s", "1", &error), error);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        const uint64_t before = stele_faults_calls(fixture->faults, kinds[i].call);

        STELE_FAULT(fixture->faults, .call = kinds[i].call, .status = STELE_BUSY);
        error = NULL;
        if (kinds[i].make(fixture->store, &error) != STELE_BUSY)
            fail_msg("call %d did not fail", (int)kinds[i].call);
        stele_error_free(error);
        stele_faults_clear(fixture->faults);
        error = NULL;
        assert_ok(kinds[i].make(fixture->store, &error), error);
        assert_true(stele_faults_calls(fixture->faults, kinds[i].call) >= before + 2);
    }
}

/* --- Through an aggregate ----------------------------------------------------------------------- */

static stele_status send(stele_repository *repository, const char *id, stele_error **error)
{
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
    const struct pack_parcel payload = {.address = "Main St"};
    stele_message *command = NULL;
    stele_status status;

    options.id = id;
    status = pack_parcel_message(&payload, &options, &command, error);
    if (status == STELE_OK)
        status = stele_execute(repository, "parcel-1", command, NULL, error);
    stele_message_unref(command);
    return status;
}

/* What a program does that wants each command done once: send it again until it knows. */
static void a_command_survives_a_failure_at_every_call(void **state)
{
    const struct fixture *fixture = *state;
    stele_repository *repository = NULL;
    stele_error *error = NULL;
    bool failed = true;
    uint64_t done = 0;

    assert_ok(stele_repository_new(fixture->store, &parcel_aggregate, NULL, &repository, &error), error);
    for (uint64_t n = 1; failed; n++) {
        char id[32];

        snprintf(id, sizeof(id), "command-%" PRIu64, n);
        STELE_FAULT(fixture->faults, .nth = n, .status = STELE_UNKNOWN, .after = true);
        failed = send(repository, id, NULL) != STELE_OK;
        stele_faults_clear(fixture->faults);
        assert_ok(send(repository, id, &error), error);
        done++;
    }
    assert_true(done > 2);
    assert_int_equal(done, events_in(fixture->store));
    stele_repository_free(repository);
}

/* --- A file ------------------------------------------------------------------------------------- */

static void a_file_fails_and_is_there_again(void **state)
{
    const struct fixture *fixture = *state;
    stele_store *store = NULL;
    stele_error *error = NULL;

    support_temp_dir();
    assert_ok(stele_faults_open(fixture->faults, support_temp_path("a.db"), NULL, &store, &error), error);
    STELE_FAULT(fixture->faults, .call = STELE_CALL_APPEND, .status = STELE_UNKNOWN, .after = true);
    assert_status(STELE_UNKNOWN, append(store, "s", "1", &error), error);
    stele_store_close(store);
    store = NULL;
    assert_ok(stele_faults_open(fixture->faults, support_temp_path("a.db"), NULL, &store, &error), error);
    assert_ok(append(store, "s", "1", &error), error);
    assert_int_equal(1, events_in(store));
    stele_store_close(store);
}

static void such_a_store_has_no_views(void **state)
{
    const struct fixture *fixture = *state;
    stele_views *views = NULL;
    stele_error *error = NULL;

    assert_status(STELE_INVALID, stele_views_of_store(fixture->store, &views, &error), error);
    assert_null(views);
}

/* --- Bad input and memory ------------------------------------------------------------------------ */

static void faults_that_make_no_sense_are_refused(void **state)
{
    const struct fixture *fixture = *state;
    struct stele_fault fault = STELE_OPTIONS_INIT(struct stele_fault);
    stele_error *error = NULL;

    fault.call = (enum stele_store_call)99;
    assert_status(STELE_INVALID, stele_faults_arm(fixture->faults, &fault, &error), error);
    fault.call = STELE_CALL_ANY;
    fault.status = (stele_status)99;
    assert_status(STELE_INVALID, stele_faults_arm(fixture->faults, &fault, &error), error);
    fault.status = STELE_BUSY;
    fault.size = 1;
    assert_status(STELE_INVALID, stele_faults_arm(fixture->faults, &fault, &error), error);
    assert_int_equal(0, stele_faults_calls(fixture->faults, (enum stele_store_call)99));
    fault.size = sizeof(fault);
    fault.nth = 1000;
    for (int i = 0; i < STELE_FAULTS_MAX; i++)
        assert_ok(stele_faults_arm(fixture->faults, &fault, &error), error);
    assert_status(STELE_LIMIT, stele_faults_arm(fixture->faults, &fault, &error), error);
}

static stele_status open_attempt(void *context, stele_error **error)
{
    stele_faults *faults = NULL;
    stele_store *store = NULL;
    stele_status status = stele_faults_new(&faults, error);

    (void)context;
    if (status == STELE_OK)
        status = stele_faults_open(faults, "memory:", NULL, &store, error);
    if (status == STELE_OK)
        status = append(store, "s", "1", error);
    stele_store_close(store);
    stele_faults_free(faults);
    return status;
}

static void without_memory_nothing_is_left_open(void **state)
{
    (void)state;
    assert_true(support_every_allocation_fails(open_attempt, NULL) > 0);
}

static void a_backend_is_wrapped_by_a_function(void **state)
{
    stele_store *store = NULL;
    stele_error *error = NULL;

    (void)state;
    assert_failure(STELE_INVALID, stele_store_open_wrapped("memory:", NULL, NULL, NULL, &store, &error), error);
    assert_message(error, "wrap");
    stele_error_free(error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        faults_test(without_a_fault_all_goes_well),
        faults_test(the_next_call_fails_once_with_an_input_output_error),
        faults_test(the_nth_call_from_now_fails),
        faults_test(other_calls_are_not_counted),
        faults_test(waits_are_not_among_any_calls),
        faults_test(all_calls_fail_until_the_faults_are_cleared),
        faults_test(the_fault_armed_first_decides),
        faults_test(a_lost_answer_is_settled_by_repeating),
        faults_test(a_call_that_fails_by_itself_tells_its_own_failure),
        faults_test(neighbours_in_a_group_are_not_disturbed),
        faults_test(a_store_that_does_not_open_leaves_nothing_open),
        faults_test(every_kind_of_call_can_be_made_to_fail),
        faults_test(a_command_survives_a_failure_at_every_call),
        faults_test(a_file_fails_and_is_there_again),
        faults_test(such_a_store_has_no_views),
        faults_test(faults_that_make_no_sense_are_refused),
        support_test(without_memory_nothing_is_left_open),
        support_test(a_backend_is_wrapped_by_a_function),
    };

    return cmocka_run_group_tests_name("testkit faults", tests, NULL, NULL);
}
