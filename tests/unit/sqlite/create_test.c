/* Creating: a whole store or none, whatever fails on the way and whoever else creates it. */
#include "tests/unit/sqlite/fixture.h"

#include "tests/support/fault_vfs.h"

#include <stdio.h>
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

static void D4_a_closed_new_store_is_one_file_of_its_owner(void **state)
{
    struct stat facts;
    const mode_t mask = umask(0);

    (void)state;
    stele_store_close(fixture_open());
    umask(mask);
    assert_int_equal(stat(fixture_path(), &facts), 0);
    assert_int_equal(facts.st_mode & 07777, 0600);
    assert_int_equal(fixture_files(), 1);
    assert_int_equal(fixture_sql_number("PRAGMA application_id"), 0x5354454c);
    assert_int_equal(fixture_sql_number("PRAGMA user_version"), 4);
    assert_int_equal(fixture_sql_number("PRAGMA page_size"), 4096);
}

static void D4_the_log_beside_it_is_its_owners_too(void **state)
{
    stele_store *store = fixture_open();
    struct stat facts;

    (void)state;
    fixture_fill(store, 1, 1);
    assert_int_equal(stat(fixture_log(), &facts), 0);
    assert_int_equal(facts.st_mode & 07777, 0600);
    stele_store_close(store);
}

/* It would be played over the new store. */
static void D4_no_store_is_made_beside_the_log_of_another(void **state)
{
    stele_store *store = NULL;
    stele_error *error = NULL;

    (void)state;
    fixture_save(fixture_log(), "commits of a store that was deleted", 35);
    assert_failure(STELE_CORRUPT, fixture_try(STELE_OPEN_CREATE, NULL, &store, &error), error);
    assert_message(error, "put the file back");
    stele_error_free(error);
    assert_int_equal(fixture_files(), 1);
    assert_int_equal(fixture_size(fixture_log()), 35);
}

static void D4_a_new_store_is_synced_whatever_the_parameters_say(void **state)
{
    stele_store *store = NULL;
    stele_error *error = NULL;

    (void)state;
    fault_vfs_set(NULL);
    assert_ok(fixture_try(STELE_OPEN_CREATE, "sync=off", &store, &error), error);
    assert_true(fault_vfs_count(FAULT_SYNC, FAULT_LOG) > 0);
    assert_true(fault_vfs_count(FAULT_SYNC, FAULT_DATABASE) > 0);
    stele_store_close(store);
}

/* Let the n-th of these operations fail, for each n, until creating succeeds. */
static void assert_whole_or_none(unsigned operations, bool for_ever, int code)
{
    size_t number = 0;
    bool created = false;

    while (!created) {
        const struct fault fault = {
            .operations = operations, .files = FAULT_ANY_FILE, .number = ++number, .for_ever = for_ever, .code = code};
        stele_store *store = NULL;
        stele_error *error = NULL;
        stele_status status;

        assert_in_range(number, 1, 1000);
        fault_vfs_set(&fault);
        status = fixture_try(STELE_OPEN_CREATE, NULL, &store, &error);
        created = fault_vfs_failures() == 0;
        fault_vfs_set(NULL);
        assert_true(status == STELE_OK || stele_error_get(error, "path"));
        stele_error_free(error);
        error = NULL;
        stele_store_close(store);
        if (fixture_is_there(fixture_path())) {
            store = NULL;
            assert_ok(fixture_try(STELE_OPEN_EXISTING, NULL, &store, &error), error);
            assert_int_equal(fixture_count(store), 0);
            stele_store_close(store);
            assert_int_equal(unlink(fixture_path()), 0);
        } else {
            assert_int_not_equal(status, STELE_OK);
        }
        assert_int_equal(fixture_files(), 0);
    }
    assert_true(number > 5);
}

static void D4_each_failing_write_leaves_a_whole_store_or_none(void **state)
{
    (void)state;
    assert_whole_or_none(FAULT_WRITE, false, SQLITE_IOERR_WRITE);
    assert_whole_or_none(FAULT_WRITE, true, SQLITE_FULL);
}

static void D4_each_failing_change_leaves_a_whole_store_or_none(void **state)
{
    (void)state;
    assert_whole_or_none(FAULT_SYNC | FAULT_TRUNCATE | FAULT_OPEN | FAULT_DELETE, false, SQLITE_IOERR);
}

/* As if the process were killed behind the n-th write: nothing of it reaches the real name. */
static void D4_a_creator_killed_anywhere_leaves_a_whole_store_or_none(void **state)
{
    bool done = false;

    (void)state;
    for (unsigned calls = 1; !done; calls++) {
        const struct fault fault = {.operations = FAULT_WRITE | FAULT_SYNC | FAULT_OPEN,
                                    .files = FAULT_ANY_FILE,
                                    .number = calls,
                                    .for_ever = true,
                                    .code = SQLITE_IOERR};
        const pid_t child = fork();
        int status = 0;

        if (child == 0) {
            stele_store *store = NULL;

            fault_vfs_set(&fault);
            fault_vfs_kill();
            _exit(fixture_try(STELE_OPEN_CREATE, NULL, &store, NULL) == STELE_OK ? 0 : 1);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        done = WIFEXITED(status);
        if (fixture_is_there(fixture_path())) {
            stele_store *store = fixture_open_with(STELE_OPEN_EXISTING, NULL);

            assert_int_equal(fixture_count(store), 0);
            stele_store_close(store);
        }
        if (done)
            assert_int_equal(status, 0);
        assert_in_range(calls, 1, 500);
        support_temp_dir_remove();
    }
}

static void D4_of_many_processes_creating_at_once_all_open_the_same_store(void **state)
{
    enum { ROUNDS = 10, CHILDREN = 4 };

    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        stele_store *store;
        pid_t children[CHILDREN];

        fixture_path(); /* the folder is there before the children need it */
        for (unsigned i = 0; i < CHILDREN; i++) {
            children[i] = fork();
            if (children[i] == 0) {
                stele_store *mine = NULL;
                stele_error *error = NULL;
                bool fine = fixture_try(STELE_OPEN_CREATE, NULL, &mine, &error) == STELE_OK;

                fine = fine && fixture_append(mine, "shared", i + 1, &error) == STELE_OK;
                if (!fine)
                    fprintf(stderr, "%s\n", stele_error_message(error));
                stele_store_close(mine);
                _exit(fine ? 0 : 1);
            }
        }
        for (unsigned i = 0; i < CHILDREN; i++) {
            int status = 0;

            assert_int_equal(waitpid(children[i], &status, 0), children[i]);
            assert_int_equal(status, 0);
        }
        store = fixture_open_with(STELE_OPEN_EXISTING, NULL);
        assert_int_equal(fixture_count(store), CHILDREN);
        stele_store_close(store);
        assert_int_equal(fixture_files(), 1);
        support_temp_dir_remove();
    }
}

static void a_name_of_255_bytes_can_be_created(void **state)
{
    char name[256];
    stele_store *store = NULL;
    stele_error *error = NULL;

    (void)state;
    /* SQLite needs room for "-journal" behind it. */
    memset(name, 'n', 247);
    name[247] = '\0';
    assert_ok(stele_store_open(support_temp_path(name), NULL, &store, &error), error);
    stele_store_close(store);
    memset(name, 'n', 255);
    name[255] = '\0';
    store = NULL;
    assert_int_not_equal(stele_store_open(support_temp_path(name), NULL, &store, &error), STELE_OK);
    stele_error_free(error);
    assert_null(store);
}

static void a_store_is_made_in_place_through_a_named_vfs(void **state)
{
    stele_store *store = fixture_open_with(STELE_OPEN_CREATE, "vfs=fault");

    (void)state;
    fixture_fill(store, 1, 4);
    stele_store_close(store);
    store = fixture_open_with(STELE_OPEN_EXISTING, "vfs=fault");
    fixture_assert_holds(store, 4);
    stele_store_close(store);
    assert_int_equal(fixture_files(), 1);
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(D4_a_closed_new_store_is_one_file_of_its_owner),
        test(D4_the_log_beside_it_is_its_owners_too),
        test(D4_no_store_is_made_beside_the_log_of_another),
        test(D4_a_new_store_is_synced_whatever_the_parameters_say),
        test(D4_each_failing_write_leaves_a_whole_store_or_none),
        test(D4_each_failing_change_leaves_a_whole_store_or_none),
        test(D4_a_creator_killed_anywhere_leaves_a_whole_store_or_none),
        test(D4_of_many_processes_creating_at_once_all_open_the_same_store),
        test(a_name_of_255_bytes_can_be_created),
        test(a_store_is_made_in_place_through_a_named_vfs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
