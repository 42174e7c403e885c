/* The ledger and the snapshots in their file: damage, failures, kills, and files of the format before them. */
#include "tests/unit/sqlite/fixture.h"

#include "store/ledger.h"
#include "tests/support/fault_vfs.h"

#include <stele/log.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define UUID "0192f0c4-0000-7000-8000-0000000000aa"

static int setup(void **state)
{
    const int result = support_setup(state);

    fault_vfs_install();
    return result;
}

static int teardown(void **state)
{
    fault_vfs_remove();
    return support_teardown(state);
}

/* --- Commands -------------------------------------------------------------------------- */

static stele_message *command_of(const char *id)
{
    const struct stele_raw_message raw = {
        .kind = STELE_COMMAND, .type = "do.it", .format = STELE_PAYLOAD_MSGPACK, .payload = {"\1", 1}};
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
    stele_message *command = NULL;
    stele_error *error = NULL;

    options.id = id;
    assert_ok(stele_message_new_raw(&raw, &options, &command, &error), error);
    return command;
}

/* Event n to "stream-1" as the outcome of a command; 0: the command is refused. */
static stele_status handle(stele_store *store, const char *id, unsigned n, struct stele_appended *result,
                           stele_error **error)
{
    stele_message *command = command_of(id);
    stele_message *event = n ? fixture_event(n) : NULL;
    const struct stele_write write = {"stream-1", event};
    const struct stele_batch batch = {
        .writes = &write, .write_count = n ? 1 : 0, .command = command, .rejection = n ? NULL : "no money"};
    const stele_status status = stele_append_batch(store, &batch, result, error);

    stele_message_unref(command);
    stele_message_unref(event);
    return status;
}

static stele_status find(stele_store *store, const char *id, stele_error **error)
{
    struct stele_outcome outcome;
    stele_arena *arena = NULL;
    stele_status status;

    assert_ok(stele_arena_new(&arena, error), *error);
    status = stele_find_outcome(store, id, arena, &outcome, error);
    stele_arena_free(arena);
    return status;
}

/* A store whose commands are UUID (accepted), "c-2" (refused) and "c-3" (accepted), closed. */
static void make_ledger(void)
{
    stele_store *store = fixture_open();
    stele_error *error = NULL;

    assert_ok(handle(store, UUID, 1, NULL, &error), error);
    assert_ok(handle(store, "c-2", 0, NULL, &error), error);
    assert_ok(handle(store, "c-3", 2, NULL, &error), error);
    stele_store_close(store);
}

/* --- Damage ------------------------------------------------------------------------------ */

static unsigned faults;
static char last_fault[200];

static void note_fault(void *context, const char *text)
{
    (void)context;
    faults++;
    snprintf(last_fault, sizeof(last_fault), "%s", text);
}

static void assert_faults(stele_store *store, unsigned count, const char *words)
{
    const struct stele_verify_options options = {.size = sizeof(options), .fault = note_fault};
    stele_error *error = NULL;

    faults = 0;
    assert_status(count ? STELE_CORRUPT : STELE_OK, stele_verify(store, &options, NULL, &error), error);
    assert_int_equal(faults, count);
    if (count)
        assert_non_null(strstr(last_fault, words));
}

static void assert_damaged(const char *sql, const char *id, const char *words)
{
    stele_store *store;
    stele_error *error = NULL;

    make_ledger();
    fixture_tamper(sql);
    store = fixture_open();
    assert_failure(STELE_CORRUPT, find(store, id, &error), error);
    assert_string_equal(stele_error_get(error, "id"), id);
    assert_non_null(stele_error_get(error, "path"));
    stele_error_free(error);
    error = NULL;
    /* It is neither done again nor answered; others are not concerned. */
    assert_status(STELE_CORRUPT, handle(store, id, 9, NULL, &error), error);
    assert_status(STELE_CORRUPT, handle(store, id, 0, NULL, &error), error);
    assert_ok(handle(store, "c-3", 2, NULL, &error), error);
    assert_ok(handle(store, "c-4", 3, NULL, &error), error);
    assert_int_equal(fixture_count(store), 3);
    assert_faults(store, 1, words);
    stele_store_close(store);
    support_temp_dir_remove();
}

static void B7_an_index_that_leads_elsewhere_is_told(void **state)
{
    stele_store *store;
    stele_error *error = NULL;

    (void)state;
    make_ledger();
    fixture_redirect("c-2", 2, 3);
    store = fixture_open();
    assert_status(STELE_CORRUPT, find(store, "c-2", &error), error);
    assert_status(STELE_CORRUPT, handle(store, "c-2", 0, NULL, &error), error);
    assert_ok(find(store, "c-3", &error), error);
    stele_store_close(store);
}

static void B7_a_damaged_entry_is_corrupt_and_never_a_new_command(void **state)
{
    static const char first[] = "entry 1 of the command ledger is damaged";
    static const char second[] = "entry 2 of the command ledger is damaged";

    (void)state;
    assert_damaged("UPDATE command SET digest = zeroblob(16) WHERE number = 1", UUID, first);
    assert_damaged("UPDATE command SET digest = x'00' WHERE number = 1", UUID, first);
    assert_damaged("UPDATE command SET time = time + 1 WHERE number = 1", UUID, first);
    assert_damaged("UPDATE command SET first = first + 1 WHERE number = 1", UUID, first);
    assert_damaged("UPDATE command SET last = last + 1 WHERE number = 1", UUID, first);
    assert_damaged("UPDATE command SET version = version + 1 WHERE number = 1", UUID, first);
    assert_damaged("UPDATE command SET created = 0 WHERE number = 1", UUID, first);
    assert_damaged("UPDATE command SET created = 2 WHERE number = 1", UUID, first);
    assert_damaged("UPDATE command SET rejection = 'no' WHERE number = 1", UUID, first);
    assert_damaged("UPDATE command SET checksum = checksum + 1 WHERE number = 1", UUID, first);
    assert_damaged("UPDATE command SET rejection = NULL WHERE number = 2", "c-2", second);
    assert_damaged("UPDATE command SET rejection = 'no money.' WHERE number = 2", "c-2", second);
    assert_damaged("UPDATE command SET id = 'c-9' WHERE number = 2", "c-9", second);
}

static void B7_a_changed_id_is_found_by_a_check(void **state)
{
    static const char *const changes[] = {"UPDATE command SET id = CAST(id AS BLOB) WHERE number = 2",
                                          "UPDATE command SET id = 2 WHERE number = 2",
                                          "UPDATE command SET id = x'00' WHERE number = 1"};

    (void)state;
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        stele_store *store;

        make_ledger();
        fixture_tamper(changes[i]);
        store = fixture_open();
        assert_faults(store, 1, "of the command ledger is damaged");
        stele_store_close(store);
        support_temp_dir_remove();
    }
}

static void R2_plain_sql_cannot_change_what_is_remembered(void **state)
{
    (void)state;
    make_ledger();
    assert_int_equal(fixture_sql("UPDATE command SET version = 7"), SQLITE_CONSTRAINT_TRIGGER);
    assert_int_equal(fixture_sql("UPDATE command SET rejection = NULL"), SQLITE_CONSTRAINT_TRIGGER);
}

/* --- Snapshots -------------------------------------------------------------------------------- */

static unsigned warnings;

static void count_warning(void *context, const struct stele_log_record *record)
{
    (void)context;
    if (strstr(record->message, "snapshot"))
        warnings++;
}

static bool count_visit(void *context, const struct stele_snapshot *snapshot)
{
    unsigned *visits = context;

    (void)snapshot;
    ++*visits;
    return true;
}

/* 1: there is one, 0: there is none, -1: it is damaged. */
static int snapshot_of(stele_store *store, const char *stream)
{
    unsigned visits = 0;
    stele_error *error = NULL;
    bool damaged = false;

    assert_ok(stele__store_load_snapshot(store, support_slice(stream), count_visit, &visits, &damaged, &error), error);
    assert_false(visits && damaged);
    return damaged ? -1 : (int)visits;
}

static stele_status save_snapshot(stele_store *store, const char *stream, uint64_t version, stele_error **error)
{
    const struct stele_snapshot snapshot = {
        .stream = support_slice(stream), .version = version, .state = support_slice("state"), .time = 5};

    return stele__store_save_snapshot(store, &snapshot, error);
}

static void E3_a_damaged_snapshot_is_none_and_told_and_replaced(void **state)
{
    static const char *const changes[] = {
        "UPDATE snapshot SET version = 2",        "UPDATE snapshot SET version = 99",
        "UPDATE snapshot SET state = x'00'",      "UPDATE snapshot SET state = x''",
        "UPDATE snapshot SET time = 6",           "UPDATE snapshot SET fingerprint = zeroblob(15)",
        "UPDATE snapshot SET checksum = 0",       "UPDATE snapshot SET fingerprint = randomblob(16)",
        "UPDATE snapshot SET stream = stream + 1"};
    stele_store *store;
    stele_error *error = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        const bool moved = i == 8;
        const char *stream = moved ? "stream-2" : "stream-1";

        fixture_make(9); /* three events in each of "stream-0" to "stream-2" */
        store = fixture_open();
        assert_ok(save_snapshot(store, "stream-1", 3, &error), error);
        assert_int_equal(snapshot_of(store, "stream-1"), 1);
        stele_store_close(store);
        fixture_tamper(changes[i]);
        store = fixture_open();
        warnings = 0;
        stele_log_use(count_warning, NULL, STELE_LOG_WARNING);
        assert_int_equal(snapshot_of(store, stream), -1);
        stele_log_use(NULL, NULL, STELE_LOG_ERROR);
        assert_int_equal(warnings, 1);
        assert_faults(store, 1, "snapshot of stream");
        /* Also in place of one that seems newer. */
        assert_ok(save_snapshot(store, stream, 1, &error), error);
        assert_int_equal(snapshot_of(store, stream), 1);
        assert_faults(store, 0, NULL);
        stele_store_close(store);
        support_temp_dir_remove();
    }
}

static void E3_a_table_full_of_garbage_disturbs_nobody(void **state)
{
    stele_store *store;
    stele_error *error = NULL;

    (void)state;
    fixture_make(9);
    fixture_tamper("WITH RECURSIVE n(i) AS (SELECT -5 UNION ALL SELECT i + 1 FROM n WHERE i < 500) "
                   "INSERT INTO snapshot SELECT i, random(), randomblob(abs(random() % 20)), "
                   "randomblob(abs(random() % 3000)), random(), random() FROM n");
    store = fixture_open();
    assert_int_equal(snapshot_of(store, "stream-0"), -1);
    assert_int_equal(snapshot_of(store, "stream-1"), -1);
    assert_int_equal(snapshot_of(store, "stream-2"), -1);
    assert_int_equal(snapshot_of(store, "missing"), 0);
    fixture_fill(store, 10, 12);
    fixture_assert_holds(store, 12);
    assert_faults(store, 506, "snapshot of stream");
    assert_ok(stele__store_drop_snapshot(store, support_slice(NULL), &error), error);
    assert_faults(store, 0, NULL);
    stele_store_close(store);
}

/* --- Failures and kills: outcome and events are one ----------------------------------------------- */

/* Event 4 is there exactly if its command is remembered; then it is sent again. */
static void assert_one(bool must, bool may)
{
    stele_store *store = fixture_open();
    struct stele_appended result = {0};
    stele_error *error = NULL;
    const stele_status found = find(store, "c-4", &error);
    const size_t count = fixture_count(store);

    stele_error_free(error);
    error = NULL;
    assert_true(found == STELE_OK || found == STELE_NOT_FOUND);
    assert_int_equal(count, found == STELE_OK ? 3 : 2);
    if (must)
        assert_int_equal(found, STELE_OK);
    if (!may)
        assert_int_equal(found, STELE_NOT_FOUND);
    assert_ok(handle(store, "c-4", 4, &result, &error), error);
    assert_int_equal(result.replayed, found == STELE_OK);
    assert_int_equal(fixture_count(store), 3);
    assert_faults(store, 0, NULL);
    stele_store_close(store);
}

static void assert_every_failure_leaves_both_or_none(unsigned operations, bool for_ever, int code)
{
    bool through = false;

    for (size_t number = 1; !through; number++) {
        const struct fault fault = {
            .operations = operations, .files = FAULT_ANY_FILE, .number = number, .for_ever = for_ever, .code = code};
        stele_store *store;
        stele_error *error = NULL;
        stele_status status;

        make_ledger();
        store = fixture_open();
        fault_vfs_set(&fault);
        status = handle(store, "c-4", 4, NULL, &error);
        through = fault_vfs_failures() == 0;
        stele_error_free(error);
        fault_vfs_set(NULL);
        stele_store_close(store);
        assert_one(status == STELE_OK, status == STELE_OK || status == STELE_UNKNOWN);
        support_temp_dir_remove();
        assert_in_range(number, 1, 100);
    }
}

static void D3_B7_a_failing_append_stores_events_and_outcome_or_neither(void **state)
{
    (void)state;
    assert_every_failure_leaves_both_or_none(FAULT_WRITE, false, SQLITE_IOERR_WRITE);
    assert_every_failure_leaves_both_or_none(FAULT_WRITE, true, SQLITE_FULL);
    assert_every_failure_leaves_both_or_none(FAULT_SYNC, false, SQLITE_IOERR_FSYNC);
    assert_every_failure_leaves_both_or_none(FAULT_READ, true, SQLITE_IOERR_READ);
}

static void D3_B7_a_refusal_whose_commit_failed_is_unknown(void **state)
{
    const struct fault failing_sync = {
        .operations = FAULT_SYNC, .files = FAULT_LOG, .number = 1, .code = SQLITE_IOERR_FSYNC};
    stele_store *store;
    stele_error *error = NULL;

    (void)state;
    make_ledger();
    store = fixture_open();
    fault_vfs_set(&failing_sync);
    assert_status(STELE_UNKNOWN, handle(store, "c-4", 0, NULL, &error), error);
    fault_vfs_set(NULL);
    assert_status(STELE_IO, handle(store, "c-5", 0, NULL, &error), error);
    stele_store_close(store);
}

static void A8_B7_a_kill_at_any_change_leaves_events_and_outcome_or_neither(void **state)
{
    bool done = false;

    (void)state;
    for (unsigned calls = 1; !done; calls++) {
        const struct fault fault = {.operations = FAULT_WRITE | FAULT_SYNC,
                                    .files = FAULT_ANY_FILE,
                                    .number = calls,
                                    .for_ever = true,
                                    .code = SQLITE_IOERR};
        int status = 0;
        pid_t child;

        make_ledger();
        child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            stele_store *store = fixture_open();

            fault_vfs_set(&fault);
            fault_vfs_kill();
            _exit(handle(store, "c-4", 4, NULL, NULL) == STELE_OK ? 0 : 1);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        done = WIFEXITED(status);
        if (done)
            assert_int_equal(status, 0);
        assert_one(done, true);
        support_temp_dir_remove();
        assert_in_range(calls, 1, 100);
    }
}

static void D3_a_failing_snapshot_poisons_as_an_append_does(void **state)
{
    const struct fault failing_sync = {
        .operations = FAULT_SYNC, .files = FAULT_LOG, .number = 1, .code = SQLITE_IOERR_FSYNC};
    stele_store *store = fixture_open();
    stele_error *error = NULL;

    (void)state;
    fixture_fill(store, 1, 3);
    fault_vfs_set(&failing_sync);
    assert_status(STELE_UNKNOWN, save_snapshot(store, "stream-1", 1, &error), error);
    fault_vfs_set(NULL);
    assert_status(STELE_IO, fixture_append(store, "stream-1", 4, &error), error);
    assert_status(STELE_IO, save_snapshot(store, "stream-1", 1, &error), error);
    fixture_assert_holds(store, 3);
    stele_store_close(store);
    store = fixture_open();
    fixture_fill(store, 4, 4);
    fixture_assert_holds(store, 4);
    stele_store_close(store);
}

static void a_full_disk_refuses_a_snapshot_and_nothing_else(void **state)
{
    const struct fault full = {
        .operations = FAULT_WRITE, .files = FAULT_LOG, .number = 1, .for_ever = true, .code = SQLITE_FULL};
    stele_store *store = fixture_open();
    stele_error *error = NULL;

    (void)state;
    fixture_fill(store, 1, 3);
    fault_vfs_set(&full);
    assert_status(STELE_FULL, save_snapshot(store, "stream-1", 1, &error), error);
    fault_vfs_set(NULL);
    fixture_fill(store, 4, 6);
    assert_ok(save_snapshot(store, "stream-1", 1, &error), error);
    assert_int_equal(snapshot_of(store, "stream-1"), 1);
    stele_store_close(store);
}

/* --- Format 1 ------------------------------------------------------------------------------------ */

/* The file kept from the first release: four events, in "account-7" and "account-8". */
static void place_old_file(void)
{
    fixture_place("version-1.db");
}

/* Its events are as the commands that made it said. */
static void assert_old_events(stele_store *store)
{
    static const char *const ids[] = {"0192f0c4-0000-7000-8000-000000000001", "0192f0c4-0000-7000-8000-000000000002",
                                      "second-account", "0192f0c4-0000-7000-8000-000000000004"};
    static const char *const types[] = {"bank.opened", "bank.deposited", "bank.opened", "bank.withdrawn"};
    static const uint64_t versions[] = {1, 2, 1, 3};

    for (size_t i = 0; i < 4; i++) {
        stele_message *message = NULL;
        stele_error *error = NULL;

        assert_ok(stele_find(store, ids[i], &message, &error), error);
        assert_int_equal(stele_message_position(message), i + 1);
        assert_int_equal(stele_message_version(message), versions[i]);
        assert_int_equal(stele_message_type(message).size, strlen(types[i]));
        assert_memory_equal(stele_message_type(message).data, types[i], strlen(types[i]));
        if (i == 1)
            assert_memory_equal(stele_message_correlationid(message).data, "order-1", 7);
        stele_message_unref(message);
    }
}

static void a_file_of_format_1_is_brought_up_when_it_is_opened_for_writing(void **state)
{
    stele_store *store;
    stele_error *error = NULL;

    (void)state;
    place_old_file();
    assert_int_equal(fixture_sql_number("PRAGMA user_version"), 1);
    store = fixture_open();
    assert_old_events(store);
    assert_ok(handle(store, "c-1", 1, NULL, &error), error);
    assert_ok(save_snapshot(store, "account-7", 3, &error), error);
    assert_faults(store, 0, NULL);
    stele_store_close(store);
    assert_int_equal(fixture_sql_number("PRAGMA user_version"), 4);
    store = fixture_open();
    assert_old_events(store);
    assert_ok(find(store, "c-1", &error), error);
    assert_int_equal(snapshot_of(store, "account-7"), 1);
    stele_store_close(store);
}

static void a_file_of_format_1_is_read_as_it_is(void **state)
{
    const struct stele_retention all = {.size = sizeof(all), .has_keep = true};
    unsigned char *before, *after;
    size_t size_before, size_after;
    stele_store *store;
    stele_error *error = NULL;

    (void)state;
    place_old_file();
    before = fixture_load(fixture_path(), &size_before);
    store = fixture_open_with(STELE_OPEN_READ_ONLY, NULL);
    assert_old_events(store);
    assert_status(STELE_NOT_FOUND, find(store, "c-1", &error), error);
    assert_int_equal(snapshot_of(store, "account-7"), 0);
    assert_status(STELE_READ_ONLY, save_snapshot(store, "account-7", 3, &error), error);
    assert_status(STELE_READ_ONLY, stele_forget_commands(store, &all, NULL, &error), error);
    assert_faults(store, 0, NULL);
    stele_store_close(store);
    after = fixture_load(fixture_path(), &size_after);
    assert_int_equal(size_after, size_before);
    assert_memory_equal(after, before, size_before);
    free(before);
    free(after);
}

static void a_reader_of_format_1_sees_the_ledger_once_somebody_brings_the_file_up(void **state)
{
    stele_store *reader, *writer;
    stele_error *error = NULL;

    (void)state;
    place_old_file();
    reader = fixture_open_with(STELE_OPEN_READ_ONLY, NULL);
    assert_status(STELE_NOT_FOUND, find(reader, "c-1", &error), error);
    assert_int_equal(snapshot_of(reader, "account-7"), 0);
    writer = fixture_open();
    assert_status(STELE_NOT_FOUND, find(reader, "c-1", &error), error);
    assert_ok(handle(writer, "c-1", 1, NULL, &error), error);
    assert_ok(save_snapshot(writer, "account-7", 3, &error), error);
    assert_ok(find(reader, "c-1", &error), error);
    assert_int_equal(snapshot_of(reader, "account-7"), 1);
    assert_faults(reader, 0, NULL);
    stele_store_close(writer);
    stele_store_close(reader);
}

static void a_file_is_brought_up_once_by_many_who_open_it(void **state)
{
    enum { ROUNDS = 5, CHILDREN = 5 };

    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        pid_t children[CHILDREN];
        stele_store *store;

        place_old_file();
        for (int i = 0; i < CHILDREN; i++) {
            children[i] = fork();
            assert_true(children[i] >= 0);
            if (children[i] == 0)
                _exit(fixture_try(i ? STELE_OPEN_EXISTING : STELE_OPEN_READ_ONLY, NULL, &store, NULL));
        }
        for (int i = 0; i < CHILDREN; i++) {
            int status = -1;

            assert_int_equal(waitpid(children[i], &status, 0), children[i]);
            assert_int_equal(status, 0);
        }
        store = fixture_open();
        assert_old_events(store);
        assert_faults(store, 0, NULL);
        stele_store_close(store);
        support_temp_dir_remove();
    }
}

static void bringing_a_file_up_fails_at_any_write_without_harm(void **state)
{
    bool through = false;

    (void)state;
    for (size_t number = 1; !through; number++) {
        const struct fault fault = {.operations = FAULT_WRITE | FAULT_SYNC,
                                    .files = FAULT_DATABASE | FAULT_LOG,
                                    .number = number,
                                    .for_ever = true,
                                    .code = number % 2 ? SQLITE_IOERR_WRITE : SQLITE_FULL};
        stele_store *store = NULL;
        stele_error *error = NULL;

        place_old_file();
        fault_vfs_set(&fault);
        through = fixture_try(STELE_OPEN_CREATE, NULL, &store, &error) == STELE_OK;
        stele_error_free(error);
        error = NULL;
        fault_vfs_set(NULL);
        stele_store_close(store);
        store = fixture_open_with(STELE_OPEN_READ_ONLY, NULL);
        assert_old_events(store);
        stele_store_close(store);
        store = fixture_open();
        assert_old_events(store);
        assert_ok(handle(store, "c-1", 1, NULL, &error), error);
        assert_faults(store, 0, NULL);
        stele_store_close(store);
        support_temp_dir_remove();
        assert_in_range(number, 1, 100);
    }
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(B7_an_index_that_leads_elsewhere_is_told),
        test(B7_a_damaged_entry_is_corrupt_and_never_a_new_command),
        test(B7_a_changed_id_is_found_by_a_check),
        test(R2_plain_sql_cannot_change_what_is_remembered),
        test(E3_a_damaged_snapshot_is_none_and_told_and_replaced),
        test(E3_a_table_full_of_garbage_disturbs_nobody),
        test(D3_B7_a_failing_append_stores_events_and_outcome_or_neither),
        test(D3_B7_a_refusal_whose_commit_failed_is_unknown),
        test(A8_B7_a_kill_at_any_change_leaves_events_and_outcome_or_neither),
        test(D3_a_failing_snapshot_poisons_as_an_append_does),
        test(a_full_disk_refuses_a_snapshot_and_nothing_else),
        test(a_file_of_format_1_is_brought_up_when_it_is_opened_for_writing),
        test(a_file_of_format_1_is_read_as_it_is),
        test(a_reader_of_format_1_sees_the_ledger_once_somebody_brings_the_file_up),
        test(a_file_is_brought_up_once_by_many_who_open_it),
        test(bringing_a_file_up_fails_at_any_write_without_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
