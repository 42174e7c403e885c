/* Commits that fail: which outcome each failure has, and what the store does afterwards. */
#include "tests/unit/sqlite/fixture.h"

#include "tests/support/fault_vfs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

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

static stele_status append_with(stele_store *store, unsigned n, const struct fault *fault, stele_error **error)
{
    stele_status status;

    fault_vfs_set(fault);
    status = fixture_append(store, "stream-1", n, error);
    assert_true(fault_vfs_failures() > 0);
    fault_vfs_set(NULL);
    return status;
}

static const struct fault failing_sync = {
    .operations = FAULT_SYNC, .files = FAULT_LOG, .number = 1, .code = SQLITE_IOERR_FSYNC};

/* --- A failed sync or write ------------------------------------------------------------ */

static void D3_a_failed_sync_leaves_the_outcome_unknown_and_poisons(void **state)
{
    stele_store *store = fixture_open();
    stele_error *error = NULL;

    (void)state;
    fixture_fill(store, 1, 3);
    assert_failure(STELE_UNKNOWN, append_with(store, 4, &failing_sync, &error), error);
    assert_message(error, "open the store again");
    assert_non_null(stele_error_get(error, "path"));
    stele_error_free(error);
    error = NULL;
    /* The disk is well again, but nobody knows what it holds. */
    assert_failure(STELE_IO, fixture_append(store, "stream-2", 5, &error), error);
    assert_message(error, "close the store and open it again");
    stele_error_free(error);
    error = NULL;
    fixture_assert_holds(store, 3);
    stele_store_close(store);
}

static void D3_after_reopening_a_retry_settles_what_was_unknown(void **state)
{
    stele_store *store = fixture_open();
    stele_error *error = NULL;

    (void)state;
    fixture_fill(store, 1, 3);
    assert_status(STELE_UNKNOWN, append_with(store, 4, &failing_sync, &error), error);
    stele_store_close(store);
    assert_true(fixture_size(fixture_log()) > 0); /* closing judged nothing */
    store = fixture_open();
    assert_int_equal(fixture_size(fixture_log()), 0); /* opening moved it in and cut it */
    assert_in_range(fixture_count(store), 3, 4);
    assert_ok(fixture_append(store, "stream-1", 4, &error), error);
    assert_ok(fixture_append(store, "stream-1", 4, &error), error);
    fixture_assert_holds(store, 4);
    stele_store_close(store);
}

static void D3_a_write_that_was_done_but_reported_failed_is_found_by_the_retry(void **state)
{
    struct fault fault = failing_sync;
    stele_store *store = fixture_open();
    stele_error *error = NULL;

    (void)state;
    fixture_fill(store, 1, 3);
    fault.after = true;
    assert_status(STELE_UNKNOWN, append_with(store, 4, &fault, &error), error);
    stele_store_close(store);
    store = fixture_open();
    assert_int_equal(fixture_count(store), 4);
    assert_ok(fixture_append(store, "stream-1", 4, &error), error);
    fixture_assert_holds(store, 4);
    stele_store_close(store);
}

static void D3_a_store_is_not_opened_for_writing_while_its_log_cannot_be_moved_in(void **state)
{
    const struct fault fault = {
        .operations = FAULT_SYNC, .files = FAULT_DATABASE, .number = 1, .for_ever = true, .code = SQLITE_IOERR_FSYNC};
    stele_store *store = fixture_open();
    stele_error *error = NULL;

    (void)state;
    fixture_fill(store, 1, 3);
    assert_status(STELE_UNKNOWN, append_with(store, 4, &failing_sync, &error), error);
    stele_store_close(store);
    store = NULL;
    fault_vfs_set(&fault);
    assert_failure(STELE_IO, fixture_try(STELE_OPEN_EXISTING, NULL, &store, &error), error);
    assert_message(error, "log");
    stele_error_free(error);
    error = NULL;
    fault_vfs_set(NULL);
    store = fixture_open();
    assert_ok(fixture_append(store, "stream-1", 4, &error), error);
    fixture_assert_holds(store, 4);
    stele_store_close(store);
}

/* Every operation of an append fails in turn: acknowledged, refused or unknown, and never a lie. */
static void assert_every_failure_is_told(unsigned operations, bool for_ever, int code)
{
    bool through = false;

    for (size_t number = 1; !through; number++) {
        const struct fault fault = {
            .operations = operations, .files = FAULT_ANY_FILE, .number = number, .for_ever = for_ever, .code = code};
        stele_store *store = fixture_open();
        stele_error *error = NULL;
        stele_status status;
        size_t held;

        fixture_fill(store, 1, 5);
        fault_vfs_set(&fault);
        status = fixture_append(store, "a new stream", 6, &error);
        through = fault_vfs_failures() == 0;
        stele_error_free(error);
        error = NULL;
        fault_vfs_set(NULL);
        stele_store_close(store);
        store = fixture_open();
        held = fixture_count(store);
        if (status == STELE_OK)
            assert_int_equal(held, 6);
        else if (status == STELE_UNKNOWN)
            assert_in_range(held, 5, 6);
        else
            assert_int_equal(held, 5);
        assert_ok(stele_verify(store, NULL, NULL, &error), error);
        assert_ok(fixture_append(store, "a new stream", 6, &error), error);
        fixture_assert_holds(store, 6);
        stele_store_close(store);
        support_temp_dir_remove();
        assert_in_range(number, 1, 100);
    }
}

static void D3_every_failing_operation_of_an_append_has_a_true_outcome(void **state)
{
    (void)state;
    assert_every_failure_is_told(FAULT_WRITE, false, SQLITE_IOERR_WRITE);
    assert_every_failure_is_told(FAULT_WRITE, true, SQLITE_IOERR_WRITE);
    assert_every_failure_is_told(FAULT_SYNC, false, SQLITE_IOERR_FSYNC);
    assert_every_failure_is_told(FAULT_READ, true, SQLITE_IOERR_READ);
}

/* --- A full disk -------------------------------------------------------------------------- */

static void a_full_disk_refuses_the_append_and_nothing_else(void **state)
{
    const struct fault fault = {
        .operations = FAULT_WRITE, .files = FAULT_LOG, .number = 1, .for_ever = true, .code = SQLITE_FULL};
    stele_store *store = fixture_open();
    stele_error *error = NULL;

    (void)state;
    fixture_fill(store, 1, 3);
    assert_failure(STELE_FULL, append_with(store, 4, &fault, &error), error);
    assert_message(error, "full");
    assert_int_equal(stele_error_action(error), STELE_ACTION_RETRY);
    stele_error_free(error);
    error = NULL;
    fixture_assert_holds(store, 3);
    fixture_fill(store, 4, 6);
    fixture_assert_holds(store, 6);
    stele_store_close(store);
    store = fixture_open();
    fixture_assert_holds(store, 6);
    stele_store_close(store);
}

static void a_disk_that_fills_up_at_any_write_loses_nothing(void **state)
{
    (void)state;
    assert_every_failure_is_told(FAULT_WRITE, true, SQLITE_FULL);
}

/* A disk may say "full" about the write that ends the commit when the bytes are there, or look like it with what an
 * older log left: after a crash that would be a commit. So nothing of it may stay in the log. */
static void A3_what_a_full_disk_refused_is_not_left_in_the_log(void **state)
{
    struct fault fault = {.operations = FAULT_WRITE, .files = FAULT_LOG, .after = true, .code = SQLITE_FULL};
    stele_store *store = fixture_open();
    stele_status status;
    size_t size;

    (void)state;
    fixture_fill(store, 1, 3);
    size = fixture_size(fixture_log());
    assert_true(size > 0);
    do {
        fault.number++;
        fault_vfs_set(&fault);
        status = fixture_append(store, "stream-1", 4, NULL);
        if (status != STELE_OK)
            assert_int_equal(fixture_size(fixture_log()), size);
    } while (status == STELE_FULL);
    fault_vfs_set(NULL);
    assert_int_equal(status, STELE_OK);
    assert_true(fault.number > 3);
    fixture_assert_holds(store, 4);
    stele_store_close(store);
}

/* The same on a real file system, where this is permitted. */
static void a_really_full_disk_refuses_and_goes_on_when_there_is_room(void **state)
{
    char filler[14000];
    stele_store *store = NULL;
    stele_error *error = NULL;
    unsigned held = 0;
    stele_status status;

    (void)state;
    if (mount("tmpfs", support_temp_dir(), "tmpfs", 0, "size=1m") != 0)
        skip();
    snprintf(filler, sizeof(filler), "%s/filler", support_temp_dir());
    fixture_save(filler, filler, sizeof(filler));
    store = fixture_open();
    while ((status = fixture_append(store, "stream-0", held + 1, &error)) == STELE_OK)
        held++;
    assert_int_equal(status, STELE_FULL);
    stele_error_free(error);
    error = NULL;
    assert_true(held > 10);
    fixture_assert_holds(store, held);
    assert_int_equal(unlink(filler), 0);
    assert_ok(fixture_append(store, "stream-0", held + 1, &error), error);
    fixture_assert_holds(store, held + 1);
    stele_store_close(store);
    /* The log is too long to be moved in, and waits for room. */
    store = fixture_open();
    fixture_assert_holds(store, held + 1);
    assert_ok(stele_verify(store, NULL, NULL, &error), error);
    assert_status(STELE_FULL, fixture_append(store, "stream-0", held + 2, &error), error);
    assert_int_equal(mount("tmpfs", support_temp_dir(), "tmpfs", MS_REMOUNT, "size=4m"), 0);
    assert_ok(fixture_append(store, "stream-0", held + 2, &error), error);
    fixture_assert_holds(store, held + 2);
    stele_store_close(store);
    assert_int_equal(fixture_size(fixture_log()), 0);
    assert_int_equal(umount(support_temp_dir()), 0);
}

/* --- A lock ---------------------------------------------------------------------------------- */

static void A7_a_lock_held_by_another_is_busy_after_the_stated_time(void **state)
{
    stele_store *store = fixture_open_with(STELE_OPEN_CREATE, "busy=30");
    stele_error *error = NULL;
    sqlite3 *other = NULL;
    const int64_t begin = stele_clock_system()->monotonic(NULL);
    int64_t waited;

    (void)state;
    fixture_fill(store, 1, 1);
    assert_int_equal(sqlite3_open_v2(fixture_path(), &other, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_failure(STELE_BUSY, fixture_append(store, "stream-2", 2, &error), error);
    waited = stele_clock_system()->monotonic(NULL) - begin;
    assert_true(waited >= 30 * 1000000);
    assert_message(error, "waited ");
    assert_in_range(strtoll(strstr(stele_error_message(error), "waited ") + strlen("waited "), NULL, 10), 30,
                    waited / 1000000);
    assert_int_equal(stele_error_action(error), STELE_ACTION_RETRY);
    stele_error_free(error);
    error = NULL;
    fixture_assert_holds(store, 1);
    assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(other);
    fixture_fill(store, 2, 2);
    fixture_assert_holds(store, 2);
    stele_store_close(store);
}

/* --- Memory ------------------------------------------------------------------------------------ */

/* Appends what is stored already, at an expectation that does not hold: every question of the rules is asked. */
static stele_status append_again(void *context, stele_error **error)
{
    stele_store *store = NULL;
    stele_message *event = NULL;
    stele_status status = fixture_try(STELE_OPEN_EXISTING, NULL, &store, error);

    (void)context;
    if (status != STELE_OK)
        return status;
    event = fixture_event(1);
    status = event ? stele_append(store, "stream-1", stele_expect_no_stream(), event, NULL, error) : STELE_NO_MEMORY;
    stele_message_unref(event);
    stele_store_close(store);
    return status;
}

/* Names that are new to the connection, and to the file the first time it succeeds. */
static stele_status append_new(void *context, stele_error **error)
{
    unsigned *n = context;
    stele_store *store = NULL;
    stele_status status = fixture_try(STELE_OPEN_EXISTING, NULL, &store, error);

    if (status == STELE_OK)
        status = fixture_append(store, "a new stream", *n, error);
    stele_store_close(store);
    return status;
}

static void D8_memory_that_runs_out_in_an_append_stores_nothing_and_poisons_nothing(void **state)
{
    unsigned n = 31;
    stele_store *store;

    (void)state;
    fixture_make(30);
    support_every_allocation_fails(append_again, NULL);
    support_every_allocation_fails(append_new, &n);
    store = fixture_open();
    fixture_assert_holds(store, 31);
    stele_store_close(store);
}

/* --- Groups --------------------------------------------------------------------------------------- */

enum { RECORDS = 2 };

struct member {
    struct stele_record records[RECORDS];
    struct stele_stream_expectation expectation;
};

static struct stele_slice slice(const char *text)
{
    return support_slice(text);
}

/* A member of `count` records in one stream, whose ids are `id` and `id` with a mark. */
static struct stele_append_member member_of(struct member *member, const char *stream, struct stele_expected expected,
                                            const char *const *ids, size_t count)
{
    memset(member, 0, sizeof(*member));
    for (size_t i = 0; i < count; i++)
        member->records[i] = (struct stele_record){.stream = slice(stream),
                                                   .type = slice("grouped"),
                                                   .type_version = 1,
                                                   .id = slice(ids[i]),
                                                   .meta = {"", 0},
                                                   .payload = slice(ids[i])};
    member->expectation = (struct stele_stream_expectation){slice(stream), expected};
    return (struct stele_append_member){.records = member->records,
                                        .record_count = count,
                                        .expectations = &member->expectation,
                                        .expectation_count = 1};
}

static void D8_a_members_fault_disturbs_no_other_of_its_group(void **state)
{
    static const char *const a[] = {"a1", "a2"};
    static const char *const b[] = {"b1", "b2"};
    static const char *const again[] = {"a1", "c2"};
    static const char *const c[] = {"c1"};
    struct member parts[6];
    struct stele_append_member members[6];
    stele_store *store = fixture_open();
    size_t const count = 6;

    (void)state;
    members[0] = member_of(&parts[0], "one", stele_expect_no_stream(), a, 2);
    members[1] = member_of(&parts[1], "one", stele_expect_version(7), b, 2);  /* a conflict */
    members[2] = member_of(&parts[2], "two", stele_expect_any(), again, 2);   /* half of it is member 0's */
    members[3] = member_of(&parts[3], "one", stele_expect_version(2), c, 1);  /* sees member 0 */
    members[4] = member_of(&parts[4], "one", stele_expect_no_stream(), a, 2); /* member 0 again */
    members[5] = member_of(&parts[5], "three", stele_expect_exists(), b, 1);  /* a conflict */
    store->ops->append(store->backend, members, count);
    assert_int_equal(members[0].status, STELE_OK);
    assert_int_equal(members[1].status, STELE_CONFLICT);
    assert_int_equal(stele_error_conflict(members[1].error)->actual, 2);
    assert_int_equal(members[2].status, STELE_ID_REUSE);
    assert_int_equal(members[3].status, STELE_OK);
    assert_int_equal(members[3].result.version, 3);
    assert_int_equal(members[3].result.first_position, 3);
    assert_false(members[3].result.created);
    assert_int_equal(members[4].status, STELE_OK);
    assert_true(members[4].result.repeated);
    assert_int_equal(members[4].result.first_position, 1);
    assert_int_equal(members[5].status, STELE_CONFLICT);
    for (size_t i = 0; i < count; i++)
        stele_error_free(members[i].error);
    stele_store_close(store);
    assert_int_equal(fixture_sql_number("SELECT count(*) FROM event"), 3);
    assert_int_equal(fixture_sql_number("SELECT count(*) FROM stream"), 1);
}

static void D3_in_a_cut_short_group_who_wrote_does_not_know_and_who_did_not_was_refused(void **state)
{
    static const char *const a[] = {"a1"};
    static const char *const b[] = {"b1"};
    struct member parts[2];
    struct stele_append_member members[2];
    stele_store *store = fixture_open();

    (void)state;
    members[0] = member_of(&parts[0], "one", stele_expect_no_stream(), a, 1);
    members[1] = member_of(&parts[1], "one", stele_expect_version(7), b, 1);
    fault_vfs_set(&failing_sync);
    store->ops->append(store->backend, members, 2);
    fault_vfs_set(NULL);
    assert_int_equal(members[0].status, STELE_UNKNOWN);
    assert_int_equal(members[1].status, STELE_IO);
    stele_error_free(members[0].error);
    stele_error_free(members[1].error);
    stele_store_close(store);
}

/* --- What the writer remembers ----------------------------------------------------------------------- */

static void the_writer_notices_what_others_wrote(void **state)
{
    stele_store *here = fixture_open();
    stele_store *there = fixture_open();
    stele_error *error = NULL;

    (void)state;
    for (unsigned n = 1; n <= 60; n++)
        assert_ok(fixture_append(n % 2 ? here : there, n % 5 ? "shared" : "rare", n, &error), error);
    fixture_assert_holds(here, 60);
    assert_ok(stele_verify(there, NULL, NULL, &error), error);
    stele_store_close(here);
    stele_store_close(there);
}

/* What is remembered of a stream must not make a conflict of what is none, nor the other way round. */
static void the_writer_knows_the_version_that_others_brought_a_stream_to(void **state)
{
    stele_store *stores[] = {fixture_open(), fixture_open()};
    stele_error *error = NULL;

    (void)state;
    for (unsigned n = 1; n <= 20; n++) {
        stele_message *event = fixture_event(n);

        assert_ok(stele_append(stores[n % 2], "shared", stele_expect_version(n - 1), event, NULL, &error), error);
        stele_message_unref(event);
        event = fixture_event(1000 + n);
        assert_status(STELE_CONFLICT,
                      stele_append(stores[1 - n % 2], "shared", stele_expect_version(n - 1), event, NULL, &error),
                      error);
        stele_message_unref(event);
    }
    for (unsigned n = 21; n <= 40; n++) {
        stele_message *event = fixture_event(n);

        assert_ok(stele_append(stores[n % 2], "shared", stele_expect_version(n - 1), event, NULL, &error), error);
        stele_message_unref(event);
    }
    fixture_assert_holds(stores[0], 40);
    stele_store_close(stores[0]);
    stele_store_close(stores[1]);
}

static void the_writer_forgets_what_was_rolled_back(void **state)
{
    const struct fault fault = {
        .operations = FAULT_WRITE, .files = FAULT_LOG, .number = 1, .for_ever = true, .code = SQLITE_FULL};
    stele_store *store = fixture_open();
    stele_error *error = NULL;

    (void)state;
    fault_vfs_set(&fault);
    assert_status(STELE_FULL, fixture_append(store, "first", 1, &error), error);
    fault_vfs_set(NULL);
    /* The ids that "first" and its type had go to others now. */
    assert_ok(fixture_append(store, "second", 1, &error), error);
    assert_ok(fixture_append(store, "first", 2, &error), error);
    assert_ok(stele_verify(store, NULL, NULL, &error), error);
    fixture_assert_holds(store, 2);
    stele_store_close(store);
    assert_int_equal(fixture_sql_number("SELECT id FROM stream WHERE name = 'second'"), 1);
    assert_int_equal(fixture_sql_number("SELECT id FROM stream WHERE name = 'first'"), 2);
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(D3_a_failed_sync_leaves_the_outcome_unknown_and_poisons),
        test(D3_after_reopening_a_retry_settles_what_was_unknown),
        test(D3_a_write_that_was_done_but_reported_failed_is_found_by_the_retry),
        test(D3_a_store_is_not_opened_for_writing_while_its_log_cannot_be_moved_in),
        test(D3_every_failing_operation_of_an_append_has_a_true_outcome),
        test(a_full_disk_refuses_the_append_and_nothing_else),
        test(a_disk_that_fills_up_at_any_write_loses_nothing),
        test(A3_what_a_full_disk_refused_is_not_left_in_the_log),
        test(a_really_full_disk_refuses_and_goes_on_when_there_is_room),
        test(A7_a_lock_held_by_another_is_busy_after_the_stated_time),
        test(D8_memory_that_runs_out_in_an_append_stores_nothing_and_poisons_nothing),
        test(D8_a_members_fault_disturbs_no_other_of_its_group),
        test(D3_in_a_cut_short_group_who_wrote_does_not_know_and_who_did_not_was_refused),
        test(the_writer_notices_what_others_wrote),
        test(the_writer_knows_the_version_that_others_brought_a_stream_to),
        test(the_writer_forgets_what_was_rolled_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
