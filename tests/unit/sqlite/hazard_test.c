/* What may happen to a store while it is open: pages damaged, files removed or replaced, disks full, clocks set back. */
#include "tests/unit/sqlite/fixture.h"

#include "tests/support/fault_vfs.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- Damaged pages ------------------------------------------------------------------------ */

enum { EVENTS = 3000, PAGE = 4096, FRAME = PAGE + 24 };

/* In another process: closing the file in this one would drop the locks that SQLite holds on it. */
static void damage(const char *path, size_t first, size_t step)
{
    const size_t size = fixture_size(path);
    const pid_t child = fork();
    int status = 1;

    if (child == 0) {
        static const char noise[64] = "noise where a page was";
        const int file = open(path, O_WRONLY | O_CLOEXEC);
        bool written = file >= 0;

        for (size_t at = first; at + sizeof(noise) <= size && written; at += step)
            written = pwrite(file, noise, sizeof(noise), (off_t)at) == (ssize_t)sizeof(noise);
        _exit(written ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* Read on behind each damaged event; a page that cannot be read at all ends it. Every event shown is right. */
static void read_past_damage(stele_store *store, unsigned *right, unsigned *corrupt)
{
    stele_cursor *cursor = NULL;
    stele_error *error = NULL;
    stele_status status = stele_read(store, NULL, &cursor, &error);
    unsigned n;

    *right = *corrupt = 0;
    while (status == STELE_OK || status == STELE_CORRUPT) {
        const stele_message *message = NULL;

        if (status == STELE_CORRUPT) {
            (*corrupt)++;
            stele_error_free(error);
            error = NULL;
        }
        if (!cursor || *corrupt > EVENTS)
            break;
        status = stele_cursor_next(cursor, &message, &error);
        if (status == STELE_OK && !message)
            break;
        if (status == STELE_OK) {
            assert_true(fixture_is_right(message, &n));
            (*right)++;
        }
    }
    assert_true(status == STELE_OK || status == STELE_CORRUPT);
    stele_cursor_close(cursor);
}

static void assert_damage_is_told(stele_store *store)
{
    stele_error *error = NULL;
    unsigned right, corrupt;
    stele_status status;

    read_past_damage(store, &right, &corrupt);
    assert_true(right < EVENTS);
    assert_true(corrupt > 0);
    assert_int_equal(stele_verify(store, NULL, NULL, &error), STELE_CORRUPT);
    stele_error_free(error);
    error = NULL;
    /* An append does not look at what it does not need; it may go on or refuse, but tells no lie. */
    status = fixture_append(store, "another stream", EVENTS + 1, &error);
    assert_true(status == STELE_OK || status == STELE_CORRUPT);
    stele_error_free(error);
}

static void damage_to_the_file_of_an_open_store_is_told_and_no_wrong_event_is_shown(void **state)
{
    stele_store *store = fixture_open();
    stele_error *error = NULL;
    bool truncated = false;

    (void)state;
    fixture_fill(store, 1, EVENTS);
    assert_ok(stele__sqlite_truncate_log(fixture_inside(store), 0, &truncated, &error), error);
    assert_true(truncated);
    damage(fixture_path(), 8 * PAGE + 1000, 5 * PAGE);
    assert_damage_is_told(store);
    stele_store_close(store);
}

static void damage_to_the_log_of_an_open_store_is_told_and_no_wrong_event_is_shown(void **state)
{
    stele_store *store = fixture_open_with(STELE_OPEN_CREATE, "sync=off");

    (void)state;
    fixture_fill(store, 1, EVENTS);
    damage(fixture_log(), 32 + 24 + 3000, FRAME);
    assert_damage_is_told(store);
    stele_store_close(store);
}

/* --- Files removed or replaced ------------------------------------------------------------- */

static void let_the_next_append_look(stele_store *store)
{
    fixture_inside(store)->files_checked = 0;
}

/* Refused, told why, refused from now on; reads go on. */
static void assert_given_up(stele_store *store, const char *path, const char *what)
{
    stele_error *error = NULL;

    let_the_next_append_look(store);
    assert_failure(STELE_IO, fixture_append(store, "stream-1", 100, &error), error);
    assert_message(error, path);
    assert_message(error, what);
    assert_string_equal(stele_error_get(error, "path"), fixture_path());
    stele_error_free(error);
    error = NULL;
    assert_failure(STELE_IO, fixture_append(store, "stream-1", 100, &error), error);
    assert_message(error, "open it again");
    stele_error_free(error);
    fixture_assert_holds(store, 20);
}

static void a_log_that_is_removed_while_open_is_noticed_by_the_next_append(void **state)
{
    stele_store *store = fixture_open();

    (void)state;
    fixture_fill(store, 1, 20);
    assert_int_equal(unlink(fixture_log()), 0);
    assert_given_up(store, fixture_log(), "removed");
    stele_store_close(store);
}

static void shared_memory_that_is_removed_while_open_is_noticed_by_the_next_append(void **state)
{
    stele_store *store = fixture_open();
    char path[4200];

    (void)state;
    fixture_fill(store, 1, 20);
    snprintf(path, sizeof(path), "%s-shm", fixture_path());
    assert_int_equal(unlink(path), 0);
    assert_given_up(store, path, "removed");
    stele_store_close(store);
}

static void a_file_that_is_removed_while_open_is_noticed_by_the_next_append(void **state)
{
    stele_store *store = fixture_open();

    (void)state;
    fixture_fill(store, 1, 20);
    assert_int_equal(unlink(fixture_path()), 0);
    assert_given_up(store, fixture_path(), "removed");
    stele_store_close(store);
}

static void a_file_that_is_replaced_while_open_is_noticed_and_closing_leaves_the_other_alone(void **state)
{
    stele_store *store = NULL;
    char other[4200];
    unsigned char *bytes, *after;
    size_t size, size_after;

    (void)state;
    fixture_make(5);
    bytes = fixture_load(fixture_path(), &size);
    assert_int_equal(unlink(fixture_path()), 0);
    store = fixture_open();
    fixture_fill(store, 1, 20);
    snprintf(other, sizeof(other), "%s.other", fixture_path());
    fixture_save(other, bytes, size);
    assert_int_equal(rename(other, fixture_path()), 0);
    assert_given_up(store, fixture_path(), "replaced");
    stele_store_close(store);
    after = fixture_load(fixture_path(), &size_after);
    assert_int_equal(size_after, size);
    assert_memory_equal(after, bytes, size);
    free(bytes);
    free(after);
}

/* Also without an append that would have noticed: what is removed at closing is removed by its name. */
static void closing_a_store_whose_file_was_replaced_removes_no_log(void **state)
{
    stele_store *store = fixture_open();
    char other[4200];

    (void)state;
    fixture_fill(store, 1, 20);
    snprintf(other, sizeof(other), "%s.other", fixture_path());
    fixture_save(other, "not ours", 8);
    assert_int_equal(rename(other, fixture_path()), 0);
    stele_store_close(store);
    assert_true(fixture_size(fixture_log()) > 0);
    assert_int_equal(fixture_size(fixture_path()), 8);
}

static void a_log_without_its_file_is_not_played_into_a_new_store(void **state)
{
    stele_store *store = fixture_open();
    stele_error *error = NULL;

    (void)state;
    fixture_fill(store, 1, 20);
    assert_int_equal(unlink(fixture_path()), 0);
    stele_store_close(store);
    store = NULL;
    assert_failure(STELE_CORRUPT, fixture_try(STELE_OPEN_CREATE, NULL, &store, &error), error);
    assert_message(error, "its log is there");
    assert_non_null(stele_error_get(error, "path"));
    stele_error_free(error);
    assert_false(fixture_is_there(fixture_path()));
    assert_int_equal(unlink(fixture_log()), 0);
    fixture_make(3);
}

/* --- A full disk, many threads ----------------------------------------------------------------- */

enum { THREADS = 8 };

struct filler {
    pthread_t thread;
    stele_store *store;
    unsigned number, appended, wanted;
    stele_status status;
};

/* Append until it fails, or `wanted` are there. */
static void *append_until_full(void *context)
{
    struct filler *filler = context;
    char stream[32];

    snprintf(stream, sizeof(stream), "stream-%u", filler->number);
    do {
        const unsigned n = (filler->number + 1) * 100000 + filler->appended;

        filler->status = fixture_append(filler->store, stream, n, NULL);
        if (filler->status == STELE_OK)
            filler->appended++;
    } while (filler->status == STELE_OK && filler->appended < filler->wanted);
    return NULL;
}

static void run_fillers(struct filler *fillers, unsigned wanted)
{
    for (unsigned i = 0; i < THREADS; i++) {
        fillers[i].wanted = fillers[i].appended + wanted;
        assert_int_equal(pthread_create(&fillers[i].thread, NULL, append_until_full, &fillers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(fillers[i].thread, NULL);
}

static void assert_all(stele_store *store, const struct filler *fillers, stele_status status)
{
    size_t appended = 0;

    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(fillers[i].status, status);
        appended += fillers[i].appended;
    }
    assert_int_equal(fixture_count(store), appended);
}

static void a_disk_that_fills_up_under_many_threads_is_told_to_each_and_the_store_goes_on(void **state)
{
    struct filler fillers[THREADS];
    stele_store *store;
    stele_error *error = NULL;

    (void)state;
    if (mount("tmpfs", support_temp_dir(), "tmpfs", 0, "size=2m") != 0)
        skip();
    store = fixture_open();
    for (unsigned i = 0; i < THREADS; i++)
        fillers[i] = (struct filler){.store = store, .number = i};
    run_fillers(fillers, 100000);
    assert_all(store, fillers, STELE_FULL);
    assert_int_equal(mount("tmpfs", support_temp_dir(), "tmpfs", MS_REMOUNT, "size=16m"), 0);
    run_fillers(fillers, 50);
    assert_all(store, fillers, STELE_OK);
    assert_ok(stele_verify(store, NULL, NULL, &error), error);
    stele_store_close(store);
    store = fixture_open();
    assert_all(store, fillers, STELE_OK);
    stele_store_close(store);
    assert_int_equal(umount(support_temp_dir()), 0);
}

/* The same where nothing may be mounted. */
static void a_log_that_takes_no_more_under_many_threads_is_told_to_each_and_the_store_goes_on(void **state)
{
    const struct fault fault = {
        .operations = FAULT_WRITE, .files = FAULT_LOG, .number = 300, .for_ever = true, .code = SQLITE_FULL};
    struct filler fillers[THREADS];
    stele_store *store;
    stele_error *error = NULL;

    (void)state;
    fault_vfs_install();
    store = fixture_open();
    for (unsigned i = 0; i < THREADS; i++)
        fillers[i] = (struct filler){.store = store, .number = i};
    fault_vfs_set(&fault);
    run_fillers(fillers, 100000);
    assert_all(store, fillers, STELE_FULL);
    fault_vfs_set(NULL);
    run_fillers(fillers, 50);
    assert_all(store, fillers, STELE_OK);
    assert_ok(stele_verify(store, NULL, NULL, &error), error);
    stele_store_close(store);
    fault_vfs_remove();
}

/* --- A clock that is set back --------------------------------------------------------------------- */

/* A second earlier each time it is asked. */
static int64_t now_earlier(void *context)
{
    int64_t *now = context;

    return *now -= 1000000000;
}

static int64_t never_moves(void *context)
{
    (void)context;
    return 1;
}

static void pass_no_time(void *context, int64_t nanoseconds)
{
    (void)context;
    (void)nanoseconds;
}

static void a_clock_that_steps_back_changes_neither_order_nor_the_times_given(void **state)
{
    enum { COUNT = 50 };
    int64_t now = INT64_C(1700000000) * 1000000000;
    const struct stele_clock clock = {now_earlier, never_moves, pass_no_time, &now};
    const struct stele_store_options opening = {.size = sizeof(opening), .clock = &clock};
    const struct stele_raw_message raw = {
        .kind = STELE_EVENT, .type = "thing.happened", .format = STELE_PAYLOAD_BYTES, .payload = {"x", 1}};
    stele_store *store = NULL;
    stele_cursor *cursor = NULL;
    stele_error *error = NULL;
    char before[64] = "";

    (void)state;
    assert_ok(stele_store_open(fixture_path(), &opening, &store, &error), error);
    for (int64_t i = 0; i < COUNT; i++) {
        const struct stele_message_options options = {
            .size = sizeof(options), .has_time = true, .time = (COUNT / 2 - i) * 1000000000};
        struct stele_appended result;
        stele_message *event = NULL;

        assert_ok(stele_message_new_raw(&raw, &options, &event, &error), error);
        assert_ok(stele_append(store, "stream", stele_expect_version((uint64_t)i), event, &result, &error), error);
        assert_int_equal(result.first_position, i + 1);
        stele_message_unref(event);
    }
    assert_ok(stele_read(store, NULL, &cursor, &error), error);
    for (int64_t i = 0; i < COUNT; i++) {
        const stele_message *message = NULL;

        assert_ok(stele_cursor_next(cursor, &message, &error), error);
        assert_non_null(message);
        assert_int_equal(stele_message_time(message), (COUNT / 2 - i) * 1000000000);
        assert_true(strcmp(stele_message_id(message).data, before) > 0);
        snprintf(before, sizeof(before), "%s", stele_message_id(message).data);
    }
    stele_cursor_close(cursor);
    stele_store_close(store);
}

/* Waiting for a lock ends though the clock that measures it stands still. */
static void A7_a_lock_is_given_up_where_the_clock_stands_still(void **state)
{
    int64_t now = 0;
    const struct stele_clock clock = {now_earlier, never_moves, pass_no_time, &now};
    const struct stele_store_options opening = {.size = sizeof(opening), .clock = &clock};
    char url[4200];
    stele_store *store = NULL;
    stele_error *error = NULL;
    sqlite3 *other = NULL;

    (void)state;
    snprintf(url, sizeof(url), "sqlite:%s?busy=30", fixture_path());
    assert_ok(stele_store_open(url, &opening, &store, &error), error);
    assert_int_equal(sqlite3_open_v2(fixture_path(), &other, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_status(STELE_BUSY, fixture_append(store, "stream-1", 1, &error), error);
    assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(other);
    fixture_fill(store, 1, 1);
    stele_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(damage_to_the_file_of_an_open_store_is_told_and_no_wrong_event_is_shown),
        support_test(damage_to_the_log_of_an_open_store_is_told_and_no_wrong_event_is_shown),
        support_test(a_log_that_is_removed_while_open_is_noticed_by_the_next_append),
        support_test(shared_memory_that_is_removed_while_open_is_noticed_by_the_next_append),
        support_test(a_file_that_is_removed_while_open_is_noticed_by_the_next_append),
        support_test(a_file_that_is_replaced_while_open_is_noticed_and_closing_leaves_the_other_alone),
        support_test(closing_a_store_whose_file_was_replaced_removes_no_log),
        support_test(a_log_without_its_file_is_not_played_into_a_new_store),
        support_test(a_disk_that_fills_up_under_many_threads_is_told_to_each_and_the_store_goes_on),
        support_test(a_log_that_takes_no_more_under_many_threads_is_told_to_each_and_the_store_goes_on),
        support_test(a_clock_that_steps_back_changes_neither_order_nor_the_times_given),
        support_test(A7_a_lock_is_given_up_where_the_clock_stands_still),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
