/*
 * Controls: stores that are broken on purpose. If the harness does not find
 * what is wrong with them, it is the harness that is broken.
 *
 * The version check, the checksum and the ledger are planted out when this program is
 * linked (see local.mk): calls of them go through the functions below.
 */
#include "tests/support/support.h"

#include "sqlite/sqlite.h"
#include "tests/crash/flip.h"
#include "tests/crash/power.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { POINTS = 4000, FIXED_SQLITE = 3051003 };

/* --- Planted faults ---------------------------------------------------------------------- */

static bool no_version_check;
static bool no_checksum;
static bool no_ledger;

stele_status __real_stele_append_rules_expect(const struct stele_append_view *view, struct stele_append_member *member);
stele_status __wrap_stele_append_rules_expect(const struct stele_append_view *view, struct stele_append_member *member);
uint64_t __real_stele__sqlite_event_checksum(const struct sqlite_event_row *row);
uint64_t __wrap_stele__sqlite_event_checksum(const struct sqlite_event_row *row);
stele_status __real_stele__sqlite_remember(struct sqlite_writer *writer, const struct stele_command_record *command,
                                           const struct stele_appended *outcome, stele_error **error);
stele_status __wrap_stele__sqlite_remember(struct sqlite_writer *writer, const struct stele_command_record *command,
                                           const struct stele_appended *outcome, stele_error **error);

stele_status __wrap_stele_append_rules_expect(const struct stele_append_view *view, struct stele_append_member *member)
{
    return no_version_check ? STELE_OK : __real_stele_append_rules_expect(view, member);
}

uint64_t __wrap_stele__sqlite_event_checksum(const struct sqlite_event_row *row)
{
    return no_checksum ? 0 : __real_stele__sqlite_event_checksum(row);
}

stele_status __wrap_stele__sqlite_remember(struct sqlite_writer *writer, const struct stele_command_record *command,
                                           const struct stele_appended *outcome, stele_error **error)
{
    return no_ledger ? STELE_OK : __real_stele__sqlite_remember(writer, command, outcome, error);
}

static void run_power(struct power_options options, struct power_result *result)
{
    options.seed = support_seed().state;
    options.points = POINTS;
    power_run(&options, result);
    print_message("found after %zu images: %s\n", result->points, result->first);
}

static void control_a_sound_store_passes(void **state)
{
    (void)state;
    struct power_result result;

    run_power((struct power_options){.sync = "full"}, &result);
    assert_string_equal("", result.first);
}

static void control_without_a_sync_per_commit_events_are_lost(void **state)
{
    (void)state;
    struct power_result result;

    run_power((struct power_options){.sync = "normal"}, &result);
    assert_true(result.findings[FINDING_LOST] > 0);
    /* But what is left is sound: that is what sync=normal promises. */
    for (int i = FINDING_LOST + 1; i < FINDINGS; i++)
        assert_int_equal(0, result.findings[i]);
}

static void control_syncs_that_do_nothing_are_found(void **state)
{
    (void)state;
    struct power_result result;

    run_power((struct power_options){.sync = "full", .swallows_syncs = true}, &result);
    assert_true(result.findings[FINDING_LOST] > 0);
}

static void control_sync_off_damages_the_store(void **state)
{
    (void)state;
    struct power_result result;

    run_power((struct power_options){.sync = "off"}, &result);
    assert_true(result.findings[FINDING_LOST] > 0);
}

static void control_a_store_without_the_version_check_is_found(void **state)
{
    (void)state;
    struct power_result result;

    no_version_check = true;
    run_power((struct power_options){.sync = "full", .stop_at_first = true}, &result);
    no_version_check = false;
    assert_int_equal(1, result.findings[FINDING_ANSWER]);
}

static void control_a_store_that_forgets_commands_is_found(void **state)
{
    (void)state;
    struct power_result result;

    no_ledger = true;
    run_power((struct power_options){.sync = "full", .stop_at_first = true}, &result);
    no_ledger = false;
    assert_int_equal(1, result.findings[FINDING_LOST] + result.findings[FINDING_ANSWER]);
}

static void control_a_store_without_checksums_is_found(void **state)
{
    (void)state;
    struct flip_result result = {0};

    no_checksum = true;
    flip_run(support_seed().state, "/ledger", 7, &result);
    no_checksum = false;
    print_message("found: %s\n", result.first);
    assert_true(result.findings[FINDING_BYTES] > 0);
}

/* --- An unguarded checkpoint beside a writer (contract D2) ------------------------------------- */

#define NAP_VFS "crash-nap"

static atomic_bool stop;

static sqlite3 *open_plain(void)
{
    sqlite3 *db = NULL;

    assert_int_equal(SQLITE_OK, sqlite3_open_v2("/plain", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NAP_VFS));
    sqlite3_busy_timeout(db, 60000);
    assert_int_equal(SQLITE_OK, sqlite3_exec(db,
                                             "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; "
                                             "PRAGMA wal_autocheckpoint = 0",
                                             NULL, NULL, NULL));
    return db;
}

static void *checkpoint_unguarded(void *context)
{
    sqlite3 *db = context;

    while (!atomic_load(&stop))
        sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    return NULL;
}

/* Rows in the table, or -1 if it cannot be read. */
static int count_rows(void)
{
    sqlite3 *db = open_plain();
    sqlite3_stmt *count = NULL;
    int rows = -1;

    sqlite3_prepare_v2(db, "SELECT count(*) FROM t NOT INDEXED", -1, &count, NULL);
    if (sqlite3_step(count) == SQLITE_ROW)
        rows = sqlite3_column_int(count, 0);
    sqlite3_finalize(count);
    sqlite3_close(db);
    return rows;
}

/* Commit rows until the table lacks one that was committed, or `seconds` are over; the rows committed. */
static int write_until_lost(sqlite3 *db, int seconds, bool *lost)
{
    const time_t end = time(NULL) + seconds;
    int rows = 0;

    while (!*lost && time(NULL) < end) {
        if (sqlite3_exec(db, "INSERT INTO t(x) VALUES(randomblob(200))", NULL, NULL, NULL) == SQLITE_OK)
            rows++;
        else
            *lost = true;
        if (rows % 20 == 0 && count_rows() != rows)
            *lost = true;
    }
    return rows;
}

static void D2_control_an_unguarded_checkpoint_loses_rows(void **state)
{
    (void)state;
    if (sqlite3_libversion_number() >= FIXED_SQLITE) {
        print_message("SQLite %s has the fix\n", sqlite3_libversion());
        skip();
    }
    const struct crash_options options = {
        .sector = 4096, .power_safe = true, .nap_permille = 100, .nap_max = 100, .seed = support_seed().state};
    struct crash_disk *disk = crash_disk_new(NAP_VFS, &options);
    sqlite3 *writer = open_plain();
    pthread_t thread;
    bool lost = false;

    assert_int_equal(SQLITE_OK, sqlite3_exec(writer, "CREATE TABLE t(id INTEGER PRIMARY KEY, x)", NULL, NULL, NULL));
    sqlite3 *checkpointer = open_plain();
    sqlite3_exec(checkpointer, "SELECT count(*) FROM t", NULL, NULL, NULL);
    atomic_store(&stop, false);
    assert_int_equal(0, pthread_create(&thread, NULL, checkpoint_unguarded, checkpointer));
    const int rows = write_until_lost(writer, 20, &lost);
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    sqlite3_close(checkpointer);
    sqlite3_close(writer);
    crash_disk_free(disk);
    print_message("SQLite %s: %s after %d commits\n", sqlite3_libversion(), lost ? "rows lost" : "nothing lost", rows);
    assert_true(lost);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(control_a_sound_store_passes),
        support_test(control_without_a_sync_per_commit_events_are_lost),
        support_test(control_syncs_that_do_nothing_are_found),
        support_test(control_sync_off_damages_the_store),
        support_test(control_a_store_without_the_version_check_is_found),
        support_test(control_a_store_that_forgets_commands_is_found),
        support_test(control_a_store_without_checksums_is_found),
        support_test(D2_control_an_unguarded_checkpoint_loses_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
