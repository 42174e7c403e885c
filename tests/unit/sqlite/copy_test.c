/* Copies of a store: whole or none, a prefix of the log, never over what somebody needs. */
#include "tests/unit/sqlite/fixture.h"

#include "tests/support/fault_vfs.h"

#include <stele/operations.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
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

static const char *copy_path(void)
{
    return support_temp_path("copy.db");
}

static stele_store *open_at(const char *path)
{
    const struct stele_store_options options = {.size = sizeof(options), .mode = STELE_OPEN_EXISTING};
    stele_store *store = NULL;
    stele_error *error = NULL;

    assert_ok(stele_store_open(path, &options, &store, &error), error);
    return store;
}

static void assert_copy_holds(unsigned n)
{
    stele_store *copy = open_at(copy_path());

    fixture_assert_holds(copy, n);
    stele_store_close(copy);
}

static const struct stele_copy_options overwriting = {.size = sizeof(overwriting), .overwrite = true};

/* --- What a copy is ---------------------------------------------------------------------- */

static void backup_is_one_complete_file_of_its_owner(void **state)
{
    stele_store *store = fixture_open();
    stele_error *error = NULL;
    struct stele_copied copied;
    struct stat facts;

    (void)state;
    fixture_fill(store, 1, 50);
    assert_ok(stele_backup(store, copy_path(), NULL, &copied, &error), error);
    assert_int_equal(copied.events, 50);
    assert_int_equal(copied.streams, 3);
    assert_int_equal(copied.head, 50);
    assert_int_equal(copied.bytes, fixture_size(copy_path()));
    assert_int_equal(stat(copy_path(), &facts), 0);
    assert_int_equal(facts.st_mode & 07777, 0600);
    fixture_fill(store, 51, 60);
    fixture_assert_holds(store, 60);
    stele_store_close(store);
    assert_int_equal(fixture_files(), 2);
    assert_copy_holds(50);
}

static void backup_of_an_empty_store_is_an_empty_store(void **state)
{
    stele_store *store = fixture_open();
    stele_error *error = NULL;
    struct stele_copied copied;

    (void)state;
    assert_ok(stele_backup(store, copy_path(), NULL, &copied, &error), error);
    assert_int_equal(copied.events, 0);
    assert_int_equal(copied.head, 0);
    stele_store_close(store);
    assert_copy_holds(0);
}

static void a_copy_is_appended_to_like_any_store(void **state)
{
    stele_store *store;
    stele_error *error = NULL;

    (void)state;
    fixture_make(10);
    assert_ok(stele_restore(fixture_path(), copy_path(), NULL, NULL, &error), error);
    store = open_at(copy_path());
    fixture_fill(store, 11, 20);
    fixture_assert_holds(store, 20);
    stele_store_close(store);
}

struct writer {
    stele_store *store;
    unsigned first;
    unsigned count;
    stele_status status;
};

static void *write_events(void *context)
{
    struct writer *writer = context;
    char stream[32];

    snprintf(stream, sizeof(stream), "writer-%u", writer->first);
    for (unsigned n = 0; n < writer->count && writer->status == STELE_OK; n++)
        writer->status = fixture_append(writer->store, stream, writer->first + n, NULL);
    return NULL;
}

/* Event for event the same as the store, as far as it goes. */
static void assert_is_prefix(const char *path, stele_store *store, uint64_t head)
{
    const struct stele_query everything = {.size = sizeof(everything)};
    stele_store *copy = open_at(path);
    stele_cursor *ours = NULL;
    stele_cursor *theirs = NULL;
    stele_error *error = NULL;
    const stele_message *left;
    const stele_message *right;
    uint64_t last = 0;

    assert_ok(stele_read(copy, &everything, &ours, &error), error);
    assert_ok(stele_read(store, &everything, &theirs, &error), error);
    for (;;) {
        assert_ok(stele_cursor_next(ours, &left, &error), error);
        if (!left)
            break;
        assert_ok(stele_cursor_next(theirs, &right, &error), error);
        assert_non_null(right);
        last = stele_message_position(left);
        assert_int_equal(last, stele_message_position(right));
        assert_int_equal(stele_message_version(left), stele_message_version(right));
        assert_string_equal(stele_message_id(left).data, stele_message_id(right).data);
        assert_string_equal(stele_message_stream(left).data, stele_message_stream(right).data);
    }
    assert_int_equal(last, head);
    stele_cursor_close(ours);
    stele_cursor_close(theirs);
    stele_store_close(copy);
}

static void T5_a_backup_beside_eight_writers_is_a_prefix_of_the_log(void **state)
{
    enum { WRITERS = 8, EVENTS = 150, BACKUPS = 4 };
    stele_store *store = fixture_open_with(STELE_OPEN_CREATE, "sync=off");
    struct writer writers[WRITERS];
    struct stele_copied copied[BACKUPS];
    pthread_t threads[WRITERS];
    stele_error *error = NULL;

    (void)state;
    fixture_fill(store, 1, 400);
    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){store, (i + 1) * 1000, EVENTS, STELE_OK};
        assert_int_equal(pthread_create(&threads[i], NULL, write_events, &writers[i]), 0);
    }
    for (unsigned i = 0; i < BACKUPS; i++) {
        char name[32];

        snprintf(name, sizeof(name), "copy-%u.db", i);
        assert_ok(stele_backup(store, support_temp_path(name), NULL, &copied[i], &error), error);
    }
    for (unsigned i = 0; i < WRITERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(writers[i].status, STELE_OK);
    }
    for (unsigned i = 0; i < BACKUPS; i++) {
        char name[32];

        snprintf(name, sizeof(name), "copy-%u.db", i);
        assert_in_range(copied[i].head, i ? copied[i - 1].head : 400, 400 + WRITERS * EVENTS);
        assert_int_equal(copied[i].events, copied[i].head);
        assert_is_prefix(support_temp_path(name), store, copied[i].head);
    }
    stele_store_close(store);
}

static bool stop(void *context, uint64_t done, uint64_t all)
{
    unsigned *calls = context;

    assert_true(done <= all);
    (*calls)++;
    return false;
}

static void a_copy_that_is_given_up_leaves_nothing(void **state)
{
    stele_store *store = fixture_open();
    unsigned calls = 0;
    const struct stele_copy_options options = {.size = sizeof(options), .progress = stop, .context = &calls};
    stele_error *error = NULL;

    (void)state;
    fixture_fill(store, 1, 10);
    assert_status(STELE_TIMEOUT, stele_backup(store, copy_path(), &options, NULL, &error), error);
    assert_int_equal(calls, 1);
    stele_store_close(store);
    assert_int_equal(fixture_files(), 1);
}

/* Each step of the copy sees an append by somebody else. */
struct disturbance {
    stele_store *store;
    unsigned next;
    uint64_t done;
    bool went_back;
};

static bool disturb(void *context, uint64_t done, uint64_t all)
{
    struct disturbance *disturbance = context;

    disturbance->went_back |= done < disturbance->done || done > all;
    disturbance->done = done;
    return fixture_append(disturbance->store, "other", disturbance->next++, NULL) == STELE_OK &&
           disturbance->next < 2000;
}

static void a_copy_goes_forwards_whatever_is_appended_meanwhile(void **state)
{
    stele_store *store = fixture_open_with(STELE_OPEN_CREATE, "sync=off");
    struct disturbance disturbance = {.store = fixture_open_with(STELE_OPEN_EXISTING, "sync=off"), .next = 1000};
    const struct stele_copy_options options = {.size = sizeof(options), .progress = disturb, .context = &disturbance};
    struct stele_copied copied;
    stele_error *error = NULL;

    (void)state;
    fixture_fill(store, 1, 10);
    /* Pages enough for several steps; no table of ours has to be large for that. */
    stele_store_close(store);
    assert_int_equal(fixture_sql("CREATE TABLE t(x); WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c "
                                 "WHERE i < 4000) INSERT INTO t SELECT zeroblob(4000) FROM c; DROP TABLE t"),
                     SQLITE_OK);
    store = fixture_open_with(STELE_OPEN_READ_ONLY, NULL);
    assert_ok(stele_backup(store, copy_path(), &options, &copied, &error), error);
    assert_false(disturbance.went_back);
    assert_in_range(disturbance.next, 1003, 1020);
    assert_int_equal(copied.events, 10);
    stele_store_close(store);
    stele_store_close(disturbance.store);
    assert_copy_holds(10);
}

/* --- What is in the way ------------------------------------------------------------------- */

static void what_is_there_is_not_written_over(void **state)
{
    stele_store *store = fixture_open();
    stele_error *error = NULL;

    (void)state;
    fixture_fill(store, 1, 3);
    fixture_save(copy_path(), "diary", 5);
    assert_failure(STELE_INVALID, stele_backup(store, copy_path(), NULL, NULL, &error), error);
    assert_message(error, "is there already");
    assert_string_equal(stele_error_get(error, "argument"), "path");
    stele_error_free(error);
    error = NULL;
    assert_status(STELE_FOREIGN, stele_backup(store, copy_path(), &overwriting, NULL, &error), error);
    assert_int_equal(fixture_size(copy_path()), 5);
    stele_store_close(store);
    assert_int_equal(fixture_files(), 2);
}

static void another_programs_database_is_not_replaced(void **state)
{
    stele_store *store = fixture_open();
    stele_error *error = NULL;
    sqlite3 *db = NULL;

    (void)state;
    assert_int_equal(sqlite3_open(copy_path(), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE diary(day)", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_failure(STELE_FOREIGN, stele_backup(store, copy_path(), &overwriting, NULL, &error), error);
    assert_message(error, "another program's database");
    stele_error_free(error);
    stele_store_close(store);
    assert_int_equal(fixture_files(), 2);
}

static void other_things_in_the_way_are_refused(void **state)
{
    stele_store *store = fixture_open();
    stele_error *error = NULL;

    (void)state;
    assert_int_equal(mkdir(support_temp_path("folder"), 0700), 0);
    assert_status(STELE_INVALID, stele_backup(store, support_temp_path("folder"), NULL, NULL, &error), error);
    assert_failure(STELE_INVALID, stele_backup(store, support_temp_path("folder"), &overwriting, NULL, &error), error);
    assert_message(error, "a directory");
    stele_error_free(error);
    error = NULL;
    assert_status(STELE_NOT_FOUND, stele_backup(store, support_temp_path("no/copy.db"), NULL, NULL, &error), error);
    assert_failure(STELE_INVALID, stele_backup(store, fixture_path(), &overwriting, NULL, &error), error);
    assert_message(error, "is the store itself");
    stele_error_free(error);
    error = NULL;
    assert_status(STELE_INVALID, stele_backup(store, "sqlite:copy.db?sync=off", NULL, NULL, &error), error);
    assert_status(STELE_INVALID, stele_backup(store, "memory:", NULL, NULL, &error), error);
    assert_status(STELE_INVALID, stele_backup(store, "", NULL, NULL, &error), error);
    assert_status(STELE_INVALID, stele_backup(store, NULL, NULL, NULL, &error), error);
    assert_int_equal(rmdir(support_temp_path("folder")), 0);
    stele_store_close(store);
    assert_int_equal(fixture_files(), 1);
}

/* It would be played over the copy by the next one to open it. */
static void a_log_without_its_store_is_refused(void **state)
{
    stele_store *store = fixture_open();
    const char *log = support_temp_path("copy.db-wal");
    stele_error *error = NULL;

    (void)state;
    fixture_save(log, "left behind", 11);
    assert_failure(STELE_CORRUPT, stele_backup(store, copy_path(), NULL, NULL, &error), error);
    assert_message(error, "copy.db-wal");
    stele_error_free(error);
    assert_false(fixture_is_there(copy_path()));
    stele_store_close(store);
    unlink(log);
}

static void an_older_backup_is_replaced_if_told_so(void **state)
{
    stele_store *store = fixture_open();
    stele_error *error = NULL;

    (void)state;
    fixture_fill(store, 1, 5);
    assert_ok(stele_backup(store, copy_path(), NULL, NULL, &error), error);
    fixture_fill(store, 6, 9);
    assert_ok(stele_backup(store, copy_path(), &overwriting, NULL, &error), error);
    stele_store_close(store);
    assert_copy_holds(9);
    assert_int_equal(fixture_files(), 2);
}

/* A process that was killed leaves its log: nothing of it may come up in what takes the store's place. */
static void a_store_with_a_log_is_replaced_log_and_all(void **state)
{
    stele_error *error = NULL;
    stele_store *store;
    pid_t child;

    (void)state;
    fixture_make(5);
    child = fork();
    if (child == 0) {
        stele_store *doomed = NULL;

        stele_store_open(copy_path(), NULL, &doomed, NULL);
        for (unsigned n = 1; n <= 30; n++)
            fixture_append(doomed, "other", n, NULL);
        _exit(0);
    }
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_true(fixture_size(support_temp_path("copy.db-wal")) > 0);
    store = open_at(fixture_path());
    assert_ok(stele_backup(store, copy_path(), &overwriting, NULL, &error), error);
    stele_store_close(store);
    assert_int_equal(fixture_files(), 2);
    assert_copy_holds(5);
}

static void a_store_in_use_is_not_replaced(void **state)
{
    const struct stele_store_options options = {.size = sizeof(options), .mode = STELE_OPEN_EXISTING};
    stele_store *store = NULL;
    stele_store *used;
    stele_error *error = NULL;
    char url[4200];

    (void)state;
    fixture_make(5);
    assert_ok(stele_restore(fixture_path(), copy_path(), NULL, NULL, &error), error);
    used = open_at(copy_path());
    fixture_fill(used, 6, 8);
    snprintf(url, sizeof(url), "sqlite:%s?busy=50", fixture_path());
    assert_ok(stele_store_open(url, &options, &store, &error), error);
    assert_failure(STELE_BUSY, stele_backup(store, copy_path(), &overwriting, NULL, &error), error);
    assert_message(error, "is in use");
    stele_error_free(error);
    fixture_fill(used, 9, 10);
    fixture_assert_holds(used, 10);
    stele_store_close(used);
    stele_store_close(store);
}

static void a_store_in_use_by_another_process_is_not_replaced(void **state)
{
    stele_error *error = NULL;
    int ready[2];
    int done[2];
    char byte = 0;
    pid_t child;

    (void)state;
    fixture_make(5);
    assert_ok(stele_restore(fixture_path(), copy_path(), NULL, NULL, &error), error);
    assert_int_equal(pipe2(ready, O_CLOEXEC) + pipe2(done, O_CLOEXEC), 0);
    child = fork();
    if (child == 0) {
        stele_store *used = NULL;

        stele_store_open(copy_path(), NULL, &used, NULL);
        if (write(ready[1], "r", 1) != 1 || read(done[0], &byte, 1) != 1)
            _exit(1);
        stele_store_close(used);
        _exit(0);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    {
        stele_store *store = fixture_open_with(STELE_OPEN_READ_ONLY, "busy=50");

        assert_status(STELE_BUSY, stele_backup(store, copy_path(), &overwriting, NULL, &error), error);
        assert_int_equal(write(done[1], "d", 1), 1);
        assert_int_equal(waitpid(child, NULL, 0), child);
        assert_ok(stele_backup(store, copy_path(), &overwriting, NULL, &error), error);
        stele_store_close(store);
    }
    for (int i = 0; i < 2; i++) {
        close(ready[i]);
        close(done[i]);
    }
    assert_copy_holds(5);
}

/* --- What fails ------------------------------------------------------------------------------ */

/* Let the n-th of these operations fail, for each n, until the copy is made: before that nothing may be left. */
static void assert_whole_copy_or_none(unsigned operations, bool for_ever, int code, stele_status expected)
{
    stele_error *error = NULL;
    size_t number = 0;
    bool made = false;

    fixture_make(40);
    while (!made) {
        const struct fault fault = {
            .operations = operations, .files = FAULT_ANY_FILE, .number = ++number, .for_ever = for_ever, .code = code};
        stele_store *store = fixture_open_with(STELE_OPEN_READ_ONLY, NULL);
        stele_status status;

        assert_in_range(number, 1, 1000);
        fault_vfs_set(&fault);
        status = stele_backup(store, copy_path(), NULL, NULL, &error);
        made = fault_vfs_failures() == 0;
        fault_vfs_set(NULL);
        if (status != STELE_OK) {
            assert_false(made);
            assert_int_equal(status, expected);
            assert_false(fixture_is_there(copy_path()));
        } else {
            assert_copy_holds(40);
            assert_int_equal(unlink(copy_path()), 0);
        }
        stele_error_free(error);
        error = NULL;
        fixture_assert_holds(store, 40);
        stele_store_close(store);
        assert_int_equal(fixture_files(), 1);
    }
    assert_true(number > 5);
}

static void a_full_disk_in_the_middle_leaves_no_copy(void **state)
{
    (void)state;
    assert_whole_copy_or_none(FAULT_WRITE, true, SQLITE_FULL, STELE_FULL);
}

static void each_failing_write_leaves_no_copy(void **state)
{
    (void)state;
    assert_whole_copy_or_none(FAULT_WRITE, false, SQLITE_IOERR_WRITE, STELE_IO);
}

static void a_damaged_store_gives_no_copy_and_restores_nothing(void **state)
{
    stele_store *store;
    stele_error *error = NULL;

    (void)state;
    fixture_make(9);
    fixture_tamper("UPDATE event SET data = x'00' WHERE position = 4");
    store = fixture_open();
    assert_failure(STELE_CORRUPT, stele_backup(store, copy_path(), NULL, NULL, &error), error);
    assert_message(error, "position 4");
    stele_error_free(error);
    error = NULL;
    stele_store_close(store);
    assert_failure(STELE_CORRUPT, stele_restore(fixture_path(), copy_path(), NULL, NULL, &error), error);
    assert_message(error, "the backup is not good");
    assert_message(error, "position 4");
    stele_error_free(error);
    assert_int_equal(fixture_files(), 1);
}

static void what_is_no_backup_is_not_restored(void **state)
{
    stele_error *error = NULL;
    const char *diary = support_temp_path("diary.txt");
    unsigned char *bytes;
    size_t size;

    (void)state;
    assert_status(STELE_NOT_FOUND, stele_restore(fixture_path(), copy_path(), NULL, NULL, &error), error);
    fixture_save(diary, "dear diary, today I was mistaken for a database", 47);
    assert_status(STELE_FOREIGN, stele_restore(diary, copy_path(), NULL, NULL, &error), error);
    fixture_make(50);
    bytes = fixture_load(fixture_path(), &size);
    fixture_save(fixture_path(), bytes, size / 2);
    free(bytes);
    assert_status(STELE_CORRUPT, stele_restore(fixture_path(), copy_path(), NULL, NULL, &error), error);
    assert_status(STELE_INVALID, stele_restore(NULL, copy_path(), NULL, NULL, &error), error);
    assert_status(STELE_INVALID, stele_restore(diary, NULL, NULL, NULL, &error), error);
    assert_false(fixture_is_there(copy_path()));
}

static void a_store_in_memory_has_no_backups(void **state)
{
    stele_store *store = NULL;
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele_store_open("memory:", NULL, &store, &error), error);
    assert_failure(STELE_INVALID, stele_backup(store, copy_path(), NULL, NULL, &error), error);
    assert_message(error, "\"memory\" has no backups");
    stele_error_free(error);
    error = NULL;
    assert_status(STELE_INVALID, stele_compact(store, &error), error);
    stele_store_close(store);
}

static stele_status attempt_copy(void *context, stele_error **error)
{
    const stele_status status = stele_restore(fixture_path(), copy_path(), NULL, NULL, error);

    (void)context;
    if (status == STELE_OK)
        unlink(copy_path());
    else if (fixture_is_there(copy_path()))
        return STELE_IO;
    return status;
}

static void a_copy_without_memory_leaves_nothing(void **state)
{
    (void)state;
    fixture_make(6);
    assert_true(support_every_allocation_fails(attempt_copy, NULL) > 0);
    assert_int_equal(fixture_files(), 1);
}

#define copy_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        copy_test(backup_is_one_complete_file_of_its_owner),
        copy_test(backup_of_an_empty_store_is_an_empty_store),
        copy_test(a_copy_is_appended_to_like_any_store),
        copy_test(T5_a_backup_beside_eight_writers_is_a_prefix_of_the_log),
        copy_test(a_copy_that_is_given_up_leaves_nothing),
        copy_test(a_copy_goes_forwards_whatever_is_appended_meanwhile),
        copy_test(what_is_there_is_not_written_over),
        copy_test(another_programs_database_is_not_replaced),
        copy_test(other_things_in_the_way_are_refused),
        copy_test(a_log_without_its_store_is_refused),
        copy_test(an_older_backup_is_replaced_if_told_so),
        copy_test(a_store_with_a_log_is_replaced_log_and_all),
        copy_test(a_store_in_use_is_not_replaced),
        copy_test(a_store_in_use_by_another_process_is_not_replaced),
        copy_test(a_full_disk_in_the_middle_leaves_no_copy),
        copy_test(each_failing_write_leaves_no_copy),
        copy_test(a_damaged_store_gives_no_copy_and_restores_nothing),
        copy_test(what_is_no_backup_is_not_restored),
        copy_test(a_store_in_memory_has_no_backups),
        copy_test(a_copy_without_memory_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
