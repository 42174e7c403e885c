/*
 * The log when nobody appends: moved into the file and cut, under the write
 * lock, in nobody's way. Where the thread does it, the tests wait for it to have
 * happened; where it matters what is in the way, they call the slot themselves.
 */
#include "tests/unit/sqlite/fixture.h"

#include "tests/support/fault_vfs.h"

#include "base/futex.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FRAME = 4096 + 24 };

static struct stele__futex cuts; /* of the log, counted */
static atomic_bool hold;         /* the next one is kept from happening */
static atomic_bool held;

static void look(void *context)
{
    (void)context;
    atomic_store(&held, true);
    while (atomic_load(&hold))
        sched_yield();
    stele__futex_wake(&cuts);
}

static int setup(void **state)
{
    const int result = support_setup(state);

    stele__futex_init(&cuts);
    atomic_store(&hold, false);
    atomic_store(&held, false);
    fault_vfs_install();
    return result;
}

static int teardown(void **state)
{
    fault_vfs_remove();
    stele__futex_fini(&cuts);
    return support_teardown(state);
}

static bool idle(stele_store *store)
{
    return store->ops->idle(store->backend);
}

static int log_pages(stele_store *store)
{
    int pages;

    stele__queue_enter(&store->queue);
    pages = fixture_inside(store)->writer.log_pages;
    stele__queue_leave(&store->queue);
    return pages;
}

static void wait_until_cut(stele_store *store)
{
    for (;;) {
        const uint32_t seen = stele__futex_read(&cuts);

        if (log_pages(store) == 0)
            return;
        stele__futex_wait(&cuts, seen);
    }
}

/* --- The thread ------------------------------------------------------------------------- */

static void D2_a_log_left_alone_is_moved_into_the_file_and_cut(void **state)
{
    stele_store *store;
    size_t file;

    (void)state;
    fault_vfs_watch(FAULT_TRUNCATE, FAULT_LOG, look, NULL);
    store = fixture_open_with(STELE_OPEN_CREATE, "idle=1");
    file = fixture_size(fixture_path());
    for (unsigned burst = 0; burst < 5; burst++) {
        fixture_fill(store, burst * 100 + 1, burst * 100 + 100);
        wait_until_cut(store);
        assert_int_equal(fixture_size(fixture_log()), 0);
        assert_true(fixture_size(fixture_path()) > file);
        file = fixture_size(fixture_path());
    }
    fixture_assert_holds(store, 500);
    stele_store_close(store);
}

struct appender {
    pthread_t thread;
    stele_store *store;
    unsigned n;
    stele_status status;
};

static void *append_one(void *context)
{
    struct appender *appender = context;

    appender->status = fixture_append(appender->store, "stream-0", appender->n, NULL);
    return NULL;
}

static void an_append_meanwhile_waits_and_is_not_refused(void **state)
{
    stele_store *store;
    struct appender appenders[2];

    (void)state;
    store = fixture_open_with(STELE_OPEN_CREATE, "idle=1");
    appenders[0] = (struct appender){.store = store, .n = 101};
    appenders[1] = (struct appender){.store = fixture_open_with(STELE_OPEN_EXISTING, "idle=1"), .n = 102};
    atomic_store(&hold, true);
    fault_vfs_watch(FAULT_TRUNCATE, FAULT_LOG, look, NULL);
    fixture_fill(store, 1, 1);
    while (!atomic_load(&held))
        sched_yield();
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&appenders[i].thread, NULL, append_one, &appenders[i]), 0);
    atomic_store(&hold, false);
    for (size_t i = 0; i < 2; i++) {
        pthread_join(appenders[i].thread, NULL);
        assert_int_equal(appenders[i].status, STELE_OK);
    }
    assert_int_equal(fixture_count(store), 3);
    stele_store_close(appenders[1].store);
    stele_store_close(store);
}

static void a_store_closed_meanwhile_is_closed_behind_it(void **state)
{
    stele_store *store;

    (void)state;
    for (unsigned n = 1; n <= 10; n++) {
        store = fixture_open_with(STELE_OPEN_CREATE, "idle=1");
        atomic_store(&held, false);
        atomic_store(&hold, true);
        fault_vfs_watch(FAULT_TRUNCATE, FAULT_LOG, look, NULL);
        fixture_fill(store, n, n);
        while (!atomic_load(&held))
            sched_yield();
        atomic_store(&hold, false);
        stele_store_close(store);
        assert_int_equal(fixture_files(), 1);
    }
    store = fixture_open();
    fixture_assert_holds(store, 10);
    stele_store_close(store);
}

static void a_child_has_no_such_thread_and_waits_for_none(void **state)
{
    stele_store *store = fixture_open_with(STELE_OPEN_CREATE, "idle=1000000");
    pid_t child;
    int status = 0;

    (void)state;
    fixture_fill(store, 1, 1);
    assert_true(store->idle.started);
    child = fork();
    if (child == 0) {
        stele_store_close(store);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    stele_store_close(store);
}

static void no_thread_where_none_is_wanted(void **state)
{
    stele_store *writer = fixture_open_with(STELE_OPEN_CREATE, "idle=0");
    stele_store *reader;

    (void)state;
    fixture_fill(writer, 1, 3);
    reader = fixture_open_with(STELE_OPEN_READ_ONLY, "idle=1");
    assert_false(writer->idle.started);
    assert_int_equal(reader->backend->idle_ms, 0);
    stele_store_close(reader);
    stele_store_close(writer);
}

/* --- The slot ------------------------------------------------------------------------------ */

static void D2_it_holds_the_write_lock(void **state)
{
    stele_store *store = fixture_open();
    sqlite3 *other = NULL;

    (void)state;
    fixture_fill(store, 1, 50);
    assert_int_equal(sqlite3_open_v2(fixture_path(), &other, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    fault_vfs_set(NULL);
    assert_false(idle(store));
    assert_int_equal(fault_vfs_count(FAULT_CHANGES, FAULT_ANY_FILE), 0);
    assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    assert_true(idle(store));
    assert_int_equal(fixture_size(fixture_log()), 0);
    sqlite3_close(other);
    stele_store_close(store);
}

static void a_reader_keeps_the_log_and_it_is_cut_later(void **state)
{
    stele_store *store = fixture_open();
    sqlite3 *reader = NULL;

    (void)state;
    fixture_fill(store, 1, 50);
    assert_int_equal(sqlite3_open_v2(fixture_path(), &reader, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(reader, "BEGIN; SELECT count(*) FROM event", NULL, NULL, NULL), SQLITE_OK);
    fixture_fill(store, 51, 60);
    assert_false(idle(store));
    assert_true(fixture_size(fixture_log()) > 60 * FRAME);
    fixture_assert_holds(store, 60);
    assert_int_equal(sqlite3_exec(reader, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    assert_true(idle(store));
    assert_int_equal(fixture_size(fixture_log()), 0);
    sqlite3_close(reader);
    fixture_fill(store, 61, 62);
    fixture_assert_holds(store, 62);
    stele_store_close(store);
}

static void without_a_commit_since_nothing_is_done(void **state)
{
    stele_store *store = fixture_open();

    (void)state;
    fault_vfs_set(NULL);
    assert_true(idle(store));
    fixture_fill(store, 1, 5);
    assert_true(idle(store));
    fault_vfs_set(NULL);
    assert_true(idle(store));
    assert_int_equal(fault_vfs_count(FAULT_CHANGES, FAULT_ANY_FILE), 0);
    stele_store_close(store);
}

static void the_next_log_is_as_long_as_any_before_an_append_moves_it(void **state)
{
    stele_store *store = fixture_open();
    struct sqlite_writer *writer = &fixture_inside(store)->writer;

    (void)state;
    fixture_inside(store)->checkpoint_pages = writer->checkpoint_at = 20;
    fixture_fill(store, 1, 30);
    assert_true(idle(store));
    assert_int_equal(writer->checkpoint_at, 20);
    stele_store_close(store);
}

static void D3_a_poisoned_store_leaves_the_log_alone(void **state)
{
    const struct fault fault = {.operations = FAULT_SYNC, .files = FAULT_LOG, .number = 1, .code = SQLITE_IOERR_FSYNC};
    stele_store *store = fixture_open();
    stele_error *error = NULL;

    (void)state;
    fixture_fill(store, 1, 20);
    fault_vfs_set(&fault);
    assert_status(STELE_UNKNOWN, fixture_append(store, "stream-0", 21, &error), error);
    fault_vfs_set(NULL);
    assert_true(idle(store));
    assert_int_equal(fault_vfs_count(FAULT_CHANGES, FAULT_ANY_FILE), 0);
    stele_store_close(store);
}

static void D3_a_write_or_sync_that_fails_in_it_poisons_and_loses_nothing(void **state)
{
    static const struct fault faults[] = {
        {.operations = FAULT_SYNC, .files = FAULT_LOG, .number = 1, .code = SQLITE_IOERR_FSYNC},
        {.operations = FAULT_WRITE, .files = FAULT_DATABASE, .number = 1, .code = SQLITE_IOERR_WRITE},
        {.operations = FAULT_SYNC, .files = FAULT_DATABASE, .number = 1, .code = SQLITE_IOERR_FSYNC},
        {.operations = FAULT_TRUNCATE, .files = FAULT_LOG, .number = 1, .code = SQLITE_IOERR_TRUNCATE},
    };
    stele_store *store = fixture_open_with(STELE_OPEN_CREATE, "sync=normal");
    stele_error *error = NULL;
    unsigned n = 1;

    (void)state;
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++, n += 10) {
        fixture_fill(store, n, n + 9);
        fault_vfs_set(&faults[i]);
        assert_false(idle(store));
        assert_int_equal(fault_vfs_failures(), 1);
        fault_vfs_set(NULL);
        assert_status(STELE_IO, fixture_append(store, "stream-0", n + 10, &error), error);
        error = NULL;
        fixture_assert_holds(store, n + 9);
        assert_true(idle(store));
        stele_store_close(store);
        store = fixture_open_with(STELE_OPEN_EXISTING, "sync=normal");
        fixture_assert_holds(store, n + 9);
    }
    stele_store_close(store);
}

static void a_full_disk_harms_nothing_and_is_tried_again(void **state)
{
    const struct fault fault = {
        .operations = FAULT_WRITE, .files = FAULT_DATABASE, .number = 1, .for_ever = true, .code = SQLITE_FULL};
    stele_store *store = fixture_open();

    (void)state;
    fixture_fill(store, 1, 20);
    fault_vfs_set(&fault);
    assert_false(idle(store));
    fixture_fill(store, 21, 25);
    fault_vfs_set(NULL);
    assert_true(idle(store));
    fixture_assert_holds(store, 25);
    stele_store_close(store);
}

static void a_file_that_lies_there_instead_is_left_alone(void **state)
{
    stele_store *store = fixture_open();

    (void)state;
    fixture_fill(store, 1, 20);
    assert_int_equal(remove(fixture_log()), 0);
    fault_vfs_set(NULL);
    assert_true(idle(store));
    assert_int_equal(fault_vfs_count(FAULT_CHANGES, FAULT_ANY_FILE), 0);
    stele_store_close(store);
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(D2_a_log_left_alone_is_moved_into_the_file_and_cut),
        test(an_append_meanwhile_waits_and_is_not_refused),
        test(a_store_closed_meanwhile_is_closed_behind_it),
        test(a_child_has_no_such_thread_and_waits_for_none),
        test(no_thread_where_none_is_wanted),
        test(D2_it_holds_the_write_lock),
        test(a_reader_keeps_the_log_and_it_is_cut_later),
        test(without_a_commit_since_nothing_is_done),
        test(the_next_log_is_as_long_as_any_before_an_append_moves_it),
        test(D3_a_poisoned_store_leaves_the_log_alone),
        test(D3_a_write_or_sync_that_fails_in_it_poisons_and_loses_nothing),
        test(a_full_disk_harms_nothing_and_is_tried_again),
        test(a_file_that_lies_there_instead_is_left_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
