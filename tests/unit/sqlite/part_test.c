/* Views in the store's file, and what takes part in its appends, where the file, other processes and faults come in. */
#include "tests/support/fault_vfs.h"
#include "tests/support/tally.h"
#include "tests/unit/sqlite/fixture.h"

#include <stele/operations.h>

#include "projections/views.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BATCH = 3 };

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

static void join(struct tally *tally, stele_store *store)
{
    stele_error *error = NULL;

    assert_ok(tally_open(tally, store, BATCH, &error), error);
}

static void assert_right(stele_store *store, bool complete)
{
    char why[TALLY_TEXT];

    if (!tally_is_right(store, complete, why))
        fail_msg("%s", why);
}

/* A store of n events with the part, closed. */
static void make(unsigned n)
{
    stele_store *store = fixture_open();
    struct tally tally;

    join(&tally, store);
    fixture_fill(store, 1, n);
    tally_close(&tally);
    stele_store_close(store);
}

/* --- Others at the same file -------------------------------------------------------------- */

static void C2_what_a_program_without_the_part_appended_is_applied_first(void **state)
{
    stele_store *with = fixture_open();
    stele_store *without = fixture_open();
    struct tally tally;

    (void)state;
    join(&tally, with);
    fixture_fill(with, 1, 3);
    fixture_fill(without, 4, 8);
    assert_right(with, false);
    assert_int_equal(tally.applied, 3);
    fixture_fill(with, 9, 9);
    assert_int_equal(tally.applied, 9);
    assert_right(with, true);
    tally_close(&tally);
    stele_store_close(without);
    stele_store_close(with);
}

static void C2_two_that_take_part_apply_each_event_once(void **state)
{
    stele_store *stores[2] = {fixture_open(), fixture_open()};
    struct tally tallies[2];

    (void)state;
    join(&tallies[0], stores[0]);
    join(&tallies[1], stores[1]);
    for (unsigned n = 1; n <= 12; n++)
        fixture_fill(stores[n % 3 == 0], n, n);
    assert_int_equal(tallies[0].applied, 8);
    assert_int_equal(tallies[1].applied, 4);
    assert_right(stores[0], true);
    for (size_t i = 0; i < 2; i++) {
        tally_close(&tallies[i]);
        stele_store_close(stores[i]);
    }
}

enum { CHILDREN = 4, EACH = 40 };

/* The first child has no part in it. */
static void live(unsigned child)
{
    stele_store *store = fixture_open();
    struct tally tally;
    stele_error *error = NULL;

    if (child != 0 && tally_open(&tally, store, BATCH, &error) != STELE_OK)
        _exit(1);
    for (unsigned i = 0; i < EACH; i++)
        if (fixture_append(store, child % 2 ? "a" : "b", 1000 * (child + 1) + i, &error) != STELE_OK)
            _exit(2);
    _exit(0);
}

static void C2_processes_with_the_part_and_without_it_leave_the_view_right(void **state)
{
    pid_t children[CHILDREN];
    stele_store *store;
    struct tally tally;

    (void)state;
    make(2);
    for (unsigned i = 0; i < CHILDREN; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0)
            live(i);
    }
    for (size_t i = 0; i < CHILDREN; i++) {
        int status = 0;

        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    store = fixture_open();
    assert_right(store, false);
    join(&tally, store);
    assert_right(store, true);
    assert_int_equal(fixture_count(store), 2 + CHILDREN * EACH);
    tally_close(&tally);
    stele_store_close(store);
}

/* --- Groups ---------------------------------------------------------------------------------- */

struct member {
    struct stele_record record;
    struct stele_stream_expectation expectation;
};

static struct stele_append_member member_of(struct member *member, const char *type, const char *id)
{
    member->record = (struct stele_record){.stream = support_slice("s"),
                                           .type = support_slice(type),
                                           .type_version = 1,
                                           .id = support_slice(id),
                                           .meta = {"", 0},
                                           .payload = support_slice(id)};
    return (struct stele_append_member){.records = &member->record, .record_count = 1};
}

static void append_group(stele_store *store, struct stele_append_member *members, size_t count)
{
    stele__store_enter(store);
    store->ops->append(store->backend, members, count);
    stele__store_leave(store);
}

/* With a repetition in it the group is run again, with care: what was applied is applied again, and counts once. */
static void D8_a_refused_member_disturbs_no_other_of_its_group(void **state)
{
    struct member room[5];
    struct stele_append_member members[5];
    stele_store *store = fixture_open();
    struct tally tally;

    (void)state;
    join(&tally, store);
    members[0] = member_of(&room[0], "t", "old");
    append_group(store, members, 1);
    assert_int_equal(members[0].status, STELE_OK);
    for (size_t round = 0; round < 2; round++) {
        members[0] = member_of(&room[0], TALLY_REFUSED, round ? "a2" : "a1");
        members[1] = member_of(&room[1], "t", round ? "b2" : "b1");
        members[2] = member_of(&room[2], TALLY_REFUSED, round ? "c2" : "c1");
        members[3] = member_of(&room[3], "t", round ? "old" : "d1");
        members[4] = member_of(&room[4], "t", round ? "e2" : "e1");
        append_group(store, members, 5);
        for (size_t i = 0; i < 5; i++) {
            const bool refused = i == 0 || i == 2;

            assert_int_equal(members[i].status, refused ? STELE_REJECTED : STELE_OK);
            assert_int_equal(members[i].result.last_position == 0, refused);
            stele_error_free(members[i].error);
        }
        assert_int_equal(members[4].result.version, round ? 6 : 4);
        assert_right(store, true);
    }
    tally_close(&tally);
    stele_store_close(store);
}

static void D8_positions_go_on_behind_a_refused_member(void **state)
{
    struct member room[2];
    struct stele_append_member members[2];
    stele_store *store = fixture_open();
    struct tally tally;

    (void)state;
    join(&tally, store);
    members[0] = member_of(&room[0], "t", "a");
    members[1] = member_of(&room[1], TALLY_REFUSED, "b");
    append_group(store, members, 2);
    assert_int_equal(members[0].result.last_position, 1);
    assert_int_equal(members[1].status, STELE_REJECTED);
    stele_error_free(members[1].error);
    assert_right(store, true);
    members[0] = member_of(&room[0], TALLY_REFUSED, "c");
    members[1] = member_of(&room[1], "t", "d");
    append_group(store, members, 2);
    stele_error_free(members[0].error);
    assert_int_equal(members[1].result.first_position, 2);
    assert_int_equal(members[1].result.version, 2);
    assert_right(store, true);
    tally_close(&tally);
    stele_store_close(store);
}

/* Types and streams that came with what was taken back are not known afterwards. */
static void D8_names_of_a_refused_member_are_taken_back(void **state)
{
    struct member room[2];
    struct stele_append_member members[2];
    stele_store *store = fixture_open();
    struct tally tally;
    stele_error *error = NULL;

    (void)state;
    join(&tally, store);
    members[0] = member_of(&room[0], TALLY_REFUSED, "a");
    members[1] = member_of(&room[1], "t", "b");
    append_group(store, members, 2);
    assert_int_equal(members[0].status, STELE_REJECTED);
    assert_int_equal(members[1].status, STELE_OK);
    stele_error_free(members[0].error);
    assert_ok(stele_verify(store, NULL, NULL, &error), error);
    tally_close(&tally);
    stele_store_close(store);
    assert_int_equal(fixture_sql_number("SELECT count(*) FROM type"), 1);
}

/* --- Faults ------------------------------------------------------------------------------------- */

static void D3_events_and_views_of_a_failed_commit_are_both_there_or_both_not(void **state)
{
    bool through = false;

    (void)state;
    for (size_t number = 1; !through; number++) {
        const struct fault fault = {.operations = FAULT_WRITE | FAULT_SYNC,
                                    .files = FAULT_DATABASE | FAULT_LOG,
                                    .number = number,
                                    .for_ever = number % 3 == 0,
                                    .code = number % 2 ? SQLITE_IOERR_WRITE : SQLITE_FULL};
        stele_store *store = fixture_open();
        struct tally tally;
        stele_error *error = NULL;
        stele_status status;

        join(&tally, store);
        fixture_fill(store, 1, 4);
        fault_vfs_set(&fault);
        status = fixture_append(store, "stream-0", 5, &error);
        through = fault_vfs_failures() == 0;
        fault_vfs_set(NULL);
        stele_error_free(error);
        error = NULL;
        if (through)
            assert_int_equal(status, STELE_OK);
        else
            assert_true(status == STELE_UNKNOWN || status == STELE_IO || status == STELE_FULL);
        if (status == STELE_FULL)
            assert_ok(fixture_append(store, "stream-0", 5, &error), error);
        if (status == STELE_UNKNOWN)
            assert_status(STELE_IO, stele_views_begin(tally.part.views, &error), error);
        tally_close(&tally);
        stele_store_close(store);
        store = fixture_open();
        assert_right(store, true);
        join(&tally, store);
        assert_ok(fixture_append(store, "stream-0", 5, &error), error);
        fixture_fill(store, 6, 7);
        fixture_assert_holds(store, 7);
        assert_right(store, true);
        tally_close(&tally);
        stele_store_close(store);
        support_temp_dir_remove();
        assert_in_range(number, 1, 100);
    }
}

static void A8_a_kill_at_any_write_leaves_events_and_views_together(void **state)
{
    bool done = false;

    (void)state;
    for (size_t number = 1; !done; number++) {
        const struct fault fault = {.operations = FAULT_CHANGES,
                                    .files = FAULT_ANY_FILE,
                                    .number = number,
                                    .for_ever = true,
                                    .code = SQLITE_IOERR};
        stele_store *store;
        struct tally tally;
        int status = 0;
        pid_t child;

        /* Two are missing when the child joins, in batches. */
        store = fixture_open();
        fixture_fill(store, 1, 4);
        stele_store_close(store);
        child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            store = fixture_open();
            fault_vfs_set(&fault);
            fault_vfs_kill();
            if (tally_open(&tally, store, BATCH, NULL) != STELE_OK)
                _exit(1);
            for (unsigned n = 5; n <= 7; n++)
                if (fixture_append(store, "stream-0", n, NULL) != STELE_OK)
                    _exit(2);
            _exit(0);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        done = WIFEXITED(status);
        if (done)
            assert_int_equal(status, 0);
        store = fixture_open();
        assert_right(store, done);
        join(&tally, store);
        for (unsigned n = 5; n <= 8; n++)
            assert_int_equal(fixture_append(store, "stream-0", n, NULL), STELE_OK);
        fixture_assert_holds(store, 8);
        assert_right(store, true);
        tally_close(&tally);
        stele_store_close(store);
        support_temp_dir_remove();
        assert_in_range(number, 1, 200);
    }
}

static void D3_a_transaction_of_the_views_poisons_as_an_append_does(void **state)
{
    const struct fault failing = {
        .operations = FAULT_SYNC, .files = FAULT_LOG, .number = 1, .code = SQLITE_IOERR_FSYNC};
    const struct tally_row row = {.stream = "x", .events = 1};
    stele_store *store = fixture_open();
    stele_views *views = NULL;
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele__views_in_store(store, &views, &error), error);
    assert_ok(stele_view_create(views, &tally_row_view, &error), error);
    fault_vfs_set(&failing);
    assert_status(STELE_UNKNOWN, tally_row_upsert(views, &row, &error), error);
    fault_vfs_set(NULL);
    assert_status(STELE_IO, tally_row_upsert(views, &row, &error), error);
    assert_status(STELE_IO, fixture_append(store, "a", 1, &error), error);
    stele_views_close(views);
    stele_store_close(store);
    store = fixture_open();
    fixture_fill(store, 1, 2);
    fixture_assert_holds(store, 2);
    stele_store_close(store);
}

/* --- The file -------------------------------------------------------------------------------------- */

static void a_backup_has_the_views_of_its_events(void **state)
{
    char copy[600];
    struct stele_store_options options = STELE_OPTIONS_INIT(struct stele_store_options);
    stele_store *store;
    struct tally tally;
    stele_error *error = NULL;

    (void)state;
    make(9);
    store = fixture_open();
    snprintf(copy, sizeof(copy), "%s", support_temp_path("copy.db"));
    assert_ok(stele_backup(store, copy, NULL, NULL, &error), error);
    fixture_fill(store, 10, 10);
    stele_store_close(store);
    options.mode = STELE_OPEN_READ_ONLY;
    assert_ok(stele_store_open(copy, &options, &store, &error), error);
    assert_right(store, true);
    stele_store_close(store);
    assert_ok(stele_store_open(copy, NULL, &store, &error), error);
    join(&tally, store);
    assert_int_equal(tally.applied, 0);
    assert_int_equal(fixture_append(store, "stream-0", 11, &error), STELE_OK);
    assert_right(store, true);
    tally_close(&tally);
    stele_store_close(store);
}

static bool find_tally(void *context, const struct stele_table_size *size)
{
    uint64_t *bytes = context;

    if (size->table.size == 5 && memcmp(size->table.data, "tally", 5) == 0)
        *bytes = size->bytes + size->index_bytes;
    return true;
}

static void views_are_measured_checked_and_compacted_with_the_rest(void **state)
{
    uint64_t bytes = UINT64_MAX;
    stele_store *store;
    stele_error *error = NULL;

    (void)state;
    make(9);
    store = fixture_open();
    assert_ok(stele_verify(store, NULL, NULL, &error), error);
    assert_ok(stele_table_sizes(store, find_tally, &bytes, &error), error);
    /* A library without dbstat shows no tables. */
    assert_true(bytes == UINT64_MAX || bytes == 2 * SQLITE_STORE_PAGE);
    assert_ok(stele_compact(store, &error), error);
    assert_right(store, true);
    stele_store_close(store);
    store = fixture_open_with(STELE_OPEN_READ_ONLY, NULL);
    assert_right(store, true);
    stele_store_close(store);
}

static void a_store_opened_for_reading_has_views_to_read(void **state)
{
    stele_store *store;
    stele_views *views = NULL;
    stele_error *error = NULL;

    (void)state;
    make(3);
    store = fixture_open_with(STELE_OPEN_READ_ONLY, NULL);
    assert_status(STELE_READ_ONLY, stele__views_in_store(store, &views, &error), error);
    assert_right(store, true);
    stele_store_close(store);
    fixture_place("version-3.db");
    store = fixture_open_with(STELE_OPEN_READ_ONLY, NULL);
    assert_ok(stele_views_of_store(store, &views, &error), error);
    assert_status(STELE_NOT_FOUND, stele_view_count(views, &tally_row_view, NULL, &(uint64_t){0}, &error), error);
    stele_views_close(views);
    stele_store_close(store);
}

/* As when the store was put back to an older state by hand, and its views were not. */
static void C2_a_checkpoint_beyond_the_log_is_a_conflict(void **state)
{
    struct stele_checkpoint checkpoint = {.name = "tally", .position = 9, .time = 5};
    char sql[200];
    stele_store *store;
    struct tally tally;
    stele_error *error = NULL;

    (void)state;
    make(3);
    snprintf(sql, sizeof(sql), "UPDATE checkpoint SET position = 9, time = 5, checksum = %lld",
             (long long)stele__sqlite_checkpoint_checksum(&checkpoint));
    assert_int_equal(fixture_sql(sql), SQLITE_OK);
    store = fixture_open();
    assert_failure(STELE_CONFLICT, tally_open(&tally, store, BATCH, &error), error);
    assert_string_equal(stele_error_get(error, "position"), "9");
    stele_error_free(error);
    fixture_fill(store, 4, 4);
    stele_store_close(store);
}

static void D9_a_transaction_that_would_make_the_store_foreign_is_refused(void **state)
{
    static const char *const strange[] = {
        "CREATE TRIGGER t AFTER INSERT ON tally BEGIN SELECT 1; END",
        "CREATE VIEW v AS SELECT 1",
        "CREATE TABLE a(x, y AS (x))",
        "CREATE INDEX i ON event(time)",
        "DROP TABLE checkpoint",
    };
    stele_store *store = fixture_open();
    struct tally tally;
    stele_error *error = NULL;

    (void)state;
    join(&tally, store);
    fixture_fill(store, 1, 2);
    for (size_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++) {
        assert_ok(stele_views_begin(tally.part.views, &error), error);
        assert_ok(stele__views_run(tally.part.views, strange[i], "try", &error), error);
        assert_status(STELE_FOREIGN, stele_views_commit(tally.part.views, &error), error);
    }
    assert_ok(stele_views_begin(tally.part.views, &error), error);
    assert_ok(stele__views_run(tally.part.views, "CREATE TABLE a(x CHECK (x > 0))", "make it", &error), error);
    assert_ok(stele_views_commit(tally.part.views, &error), error);
    fixture_fill(store, 3, 3);
    assert_right(store, true);
    tally_close(&tally);
    stele_store_close(store);
    stele_store_close(fixture_open());
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(C2_what_a_program_without_the_part_appended_is_applied_first),
        test(C2_two_that_take_part_apply_each_event_once),
        test(C2_processes_with_the_part_and_without_it_leave_the_view_right),
        test(D8_a_refused_member_disturbs_no_other_of_its_group),
        test(D8_positions_go_on_behind_a_refused_member),
        test(D8_names_of_a_refused_member_are_taken_back),
        test(D3_events_and_views_of_a_failed_commit_are_both_there_or_both_not),
        test(A8_a_kill_at_any_write_leaves_events_and_views_together),
        test(D3_a_transaction_of_the_views_poisons_as_an_append_does),
        test(a_backup_has_the_views_of_its_events),
        test(views_are_measured_checked_and_compacted_with_the_rest),
        test(a_store_opened_for_reading_has_views_to_read),
        test(C2_a_checkpoint_beyond_the_log_is_a_conflict),
        test(D9_a_transaction_that_would_make_the_store_foreign_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
