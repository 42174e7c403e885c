/* The log: moved in under the write lock, bounded, gone when the store is closed. */
#include "tests/unit/sqlite/fixture.h"

#include "tests/support/fault_vfs.h"

#include <stdio.h>
#include <string.h>

enum { FRAME = 4096 + 24 };

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

static stele_store *open_with_short_log(int pages)
{
    stele_store *store = fixture_open_with(STELE_OPEN_CREATE, "sync=off");

    fixture_inside(store)->checkpoint_pages = pages;
    fixture_inside(store)->writer.checkpoint_at = pages;
    return store;
}

static void D2_the_log_stays_bounded_and_the_file_grows(void **state)
{
    stele_store *store = open_with_short_log(50);

    (void)state;
    fixture_fill(store, 1, 1000);
    /* 50 pages, and what one append writes at most. */
    assert_in_range(fixture_size(fixture_log()), 40 * FRAME, 60 * FRAME);
    assert_true(fixture_size(fixture_path()) > 100000);
    fixture_assert_holds(store, 1000);
    stele_store_close(store);
    assert_int_equal(fixture_files(), 1);
}

static void D2_without_reaching_its_length_nothing_is_moved(void **state)
{
    stele_store *store = fixture_open_with(STELE_OPEN_CREATE, "sync=off");
    const size_t empty = fixture_size(fixture_path());

    (void)state;
    fixture_fill(store, 1, 200);
    assert_int_equal(fixture_size(fixture_path()), empty);
    assert_in_range(fixture_inside(store)->writer.log_pages, 200, 4000);
    stele_store_close(store);
}

/* While a checkpoint writes to the database nobody else can take the write lock. */
static int probe(sqlite3 *other)
{
    const int code = sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL);

    if (code == SQLITE_OK)
        sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL);
    return code;
}

struct probing {
    sqlite3 *other;
    size_t free, taken;
};

static void probe_at_write(void *context)
{
    struct probing *probing = context;

    if (probe(probing->other) == SQLITE_BUSY)
        probing->taken++;
    else
        probing->free++;
}

static void D2_a_checkpoint_holds_the_write_lock(void **state)
{
    stele_store *store = open_with_short_log(20);
    struct probing probing = {0};

    (void)state;
    assert_int_equal(sqlite3_open_v2(fixture_path(), &probing.other, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    assert_int_equal(probe(probing.other), SQLITE_OK);
    fault_vfs_watch(FAULT_WRITE, FAULT_DATABASE, probe_at_write, &probing);
    fixture_fill(store, 1, 100);
    fault_vfs_watch(0, 0, NULL, NULL);
    assert_true(probing.taken > 10);
    assert_int_equal(probing.free, 0);
    sqlite3_close(probing.other);
    stele_store_close(store);
}

static void D2_cutting_the_log_at_opening_holds_the_write_lock(void **state)
{
    stele_store *store = fixture_open_with(STELE_OPEN_CREATE, "sync=off");
    struct probing probing = {0};

    (void)state;
    fixture_fill(store, 1, 50);
    assert_int_equal(sqlite3_open_v2(fixture_path(), &probing.other, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    assert_int_equal(probe(probing.other), SQLITE_OK);
    fault_vfs_watch(FAULT_WRITE, FAULT_DATABASE, probe_at_write, &probing);
    stele_store_close(fixture_open());
    fault_vfs_watch(0, 0, NULL, NULL);
    assert_true(probing.taken > 1);
    assert_int_equal(probing.free, 0);
    sqlite3_close(probing.other);
    stele_store_close(store);
}

/* SQLite would run such a checkpoint without the lock after all: it must move nothing then. */
static void D2_giving_up_on_the_write_lock_moves_nothing(void **state)
{
    stele_store *store = fixture_open_with(STELE_OPEN_CREATE, "sync=off");
    struct sqlite_store *inside = fixture_inside(store);
    sqlite3 *other = NULL;
    stele_error *error = NULL;
    bool truncated = true;

    (void)state;
    fixture_fill(store, 1, 50);
    assert_int_equal(sqlite3_open_v2(fixture_path(), &other, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    fault_vfs_set(NULL);
    assert_ok(stele__sqlite_truncate_log(inside, 20 * 1000000, &truncated, &error), error);
    assert_false(truncated);
    assert_int_equal(fault_vfs_count(FAULT_WRITE, FAULT_DATABASE), 0);
    assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(other);
    assert_ok(stele__sqlite_truncate_log(inside, 20 * 1000000, &truncated, &error), error);
    assert_true(truncated);
    assert_int_equal(fixture_size(fixture_log()), 0);
    fixture_fill(store, 51, 60);
    fixture_assert_holds(store, 60);
    stele_store_close(store);
}

static void D2_an_old_snapshot_keeps_the_log_and_it_is_moved_later(void **state)
{
    stele_store *store = open_with_short_log(20);
    sqlite3 *reader = NULL;

    (void)state;
    fixture_fill(store, 1, 5);
    assert_int_equal(sqlite3_open_v2(fixture_path(), &reader, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(reader, "BEGIN; SELECT count(*) FROM event", NULL, NULL, NULL), SQLITE_OK);
    fixture_fill(store, 6, 300);
    assert_true(fixture_size(fixture_log()) > 300 * FRAME);
    assert_int_equal(sqlite3_exec(reader, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(reader);
    fixture_fill(store, 301, 900);
    assert_true(fixture_inside(store)->writer.log_pages < 60);
    fixture_assert_holds(store, 900);
    stele_store_close(store);
}

static void a_full_disk_in_a_checkpoint_harms_no_append(void **state)
{
    const struct fault fault = {
        .operations = FAULT_WRITE, .files = FAULT_DATABASE, .number = 1, .for_ever = true, .code = SQLITE_FULL};
    stele_store *store = open_with_short_log(20);

    (void)state;
    fault_vfs_set(&fault);
    fixture_fill(store, 1, 60);
    assert_true(fault_vfs_failures() > 0);
    fault_vfs_set(NULL);
    fixture_fill(store, 61, 70);
    fixture_assert_holds(store, 70);
    stele_store_close(store);
    store = fixture_open();
    fixture_assert_holds(store, 70);
    stele_store_close(store);
}

static void D3_a_failed_sync_in_a_checkpoint_poisons_but_loses_nothing(void **state)
{
    const struct fault fault = {
        .operations = FAULT_SYNC, .files = FAULT_DATABASE, .number = 1, .code = SQLITE_IOERR_FSYNC};
    stele_store *store = fixture_open();
    stele_error *error = NULL;
    unsigned n = 1;

    (void)state;
    fixture_inside(store)->checkpoint_pages = fixture_inside(store)->writer.checkpoint_at = 20;
    fault_vfs_set(&fault);
    while (fault_vfs_failures() == 0 && n < 100)
        fixture_fill(store, n, n), n++;
    assert_status(STELE_IO, fixture_append(store, "stream-1", n, &error), error);
    fixture_assert_holds(store, n - 1);
    stele_store_close(store);
    store = fixture_open();
    fixture_assert_holds(store, n - 1);
    fixture_fill(store, n, n + 5);
    stele_store_close(store);
}

struct heard {
    bool opened, warned;
};

static void hear(void *context, const struct stele_log_record *record)
{
    struct heard *heard = context;
    bool version = false;

    for (size_t i = 0; i < record->field_count; i++)
        version = version || (strcmp(record->fields[i].key, "sqlite") == 0 &&
                              strcmp(record->fields[i].value, sqlite3_libversion()) == 0);
    heard->opened = heard->opened || (version && record->level == STELE_LOG_INFO);
    heard->warned = heard->warned || (version && record->level == STELE_LOG_WARNING);
}

static void D2_the_linked_sqlite_is_logged_and_warned_of_if_it_has_the_fault(void **state)
{
    const int version = sqlite3_libversion_number();
    const bool mended =
        version >= 3051003 || (version >= 3050007 && version < 3051000) || (version >= 3044006 && version < 3045000);
    struct heard heard = {false, false};

    (void)state;
    stele_log_use(hear, &heard, STELE_LOG_TRACE);
    stele_store_close(fixture_open());
    stele_log_use(NULL, NULL, STELE_LOG_TRACE);
    assert_true(heard.opened);
    assert_int_equal(heard.warned, !mended);
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(D2_the_log_stays_bounded_and_the_file_grows),
        test(D2_without_reaching_its_length_nothing_is_moved),
        test(D2_a_checkpoint_holds_the_write_lock),
        test(D2_cutting_the_log_at_opening_holds_the_write_lock),
        test(D2_giving_up_on_the_write_lock_moves_nothing),
        test(D2_an_old_snapshot_keeps_the_log_and_it_is_moved_later),
        test(a_full_disk_in_a_checkpoint_harms_no_append),
        test(D3_a_failed_sync_in_a_checkpoint_poisons_but_loses_nothing),
        test(D2_the_linked_sqlite_is_logged_and_warned_of_if_it_has_the_fault),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
