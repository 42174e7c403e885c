/* Several processes: writers side by side, and writers that are killed. */
#include "tests/unit/sqlite/fixture.h"

#include "tests/support/fault_vfs.h"

#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- Side by side ----------------------------------------------------------------------- */

enum { WRITERS = 3, EACH = 60 };

static int write_beside_others(unsigned writer)
{
    stele_store *store = NULL;
    stele_error *error = NULL;
    stele_status status = fixture_try(STELE_OPEN_CREATE, "busy=60000", &store, &error);

    for (unsigned i = 0; i < EACH && status == STELE_OK; i++)
        status = fixture_append(store, i % 2 ? "shared" : "also shared", writer * EACH + i, &error);
    if (status != STELE_OK)
        fprintf(stderr, "%s\n", stele_error_message(error));
    stele_store_close(store);
    return status == STELE_OK ? 0 : 1;
}

static void start_writers(pid_t children[WRITERS])
{
    fixture_path();
    for (unsigned i = 0; i < WRITERS; i++) {
        children[i] = fork();
        if (children[i] == 0)
            _exit(write_beside_others(i));
    }
}

static void await_writers(const pid_t children[WRITERS])
{
    for (unsigned i = 0; i < WRITERS; i++) {
        int status = 1;

        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
}

static void A7_writers_in_several_processes_lose_and_mix_nothing(void **state)
{
    stele_store *store;
    stele_error *error = NULL;
    pid_t children[WRITERS];

    (void)state;
    start_writers(children);
    await_writers(children);
    store = fixture_open();
    assert_int_equal(fixture_count(store), WRITERS * EACH);
    assert_ok(stele_verify(store, NULL, NULL, &error), error);
    stele_store_close(store);
    assert_int_equal(fixture_sql_number("SELECT max(position) FROM event"), WRITERS * EACH);
    assert_int_equal(fixture_files(), 1);
}

/* Read what is behind `*last`, in order; false on anything else. */
static bool read_on(stele_store *store, uint64_t *last, unsigned *seen)
{
    struct stele_query query = STELE_OPTIONS_INIT(struct stele_query);
    const stele_message *event = NULL;
    stele_cursor *cursor = NULL;
    bool in_order;

    query.after = *last;
    in_order = stele_read(store, &query, &cursor, NULL) == STELE_OK;
    while (in_order && stele_cursor_next(cursor, &event, NULL) == STELE_OK && event) {
        in_order = stele_message_position(event) > *last;
        *last = stele_message_position(event);
        ++*seen;
    }
    stele_cursor_close(cursor);
    return in_order;
}

/* Nothing ever comes at or below a position that was seen: otherwise one who goes on behind it would miss something. */
static void C1_C6_a_reader_misses_nothing_of_writers_in_other_processes(void **state)
{
    stele_store *store;
    pid_t children[WRITERS];
    uint64_t last = 0;
    unsigned seen = 0;

    (void)state;
    start_writers(children);
    store = fixture_open();
    while (seen < WRITERS * EACH) {
        assert_int_equal(stele_wait(store, last, 60000, NULL, NULL), STELE_OK);
        assert_true(read_on(store, &last, &seen));
    }
    assert_int_equal(seen, WRITERS * EACH);
    await_writers(children);
    assert_int_equal(fixture_count(store), WRITERS * EACH);
    stele_store_close(store);
}

static void A7_an_abandoned_writer_delays_others_only_until_it_is_gone(void **state)
{
    stele_store *store = fixture_open();
    const pid_t child = fork();
    int status = 0;

    (void)state;
    if (child == 0) {
        sqlite3 *db = NULL;

        sqlite3_open_v2(fixture_path(), &db, SQLITE_OPEN_READWRITE, NULL);
        sqlite3_exec(db, "BEGIN IMMEDIATE; INSERT INTO stream(id, name, checksum) VALUES(900, 'half done', 0)", NULL,
                     NULL, NULL);
        raise(SIGKILL);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    fixture_fill(store, 1, 3);
    fixture_assert_holds(store, 3);
    stele_store_close(store);
    assert_int_equal(fixture_sql_number("SELECT count(*) FROM stream WHERE id = 900"), 0);
}

/* --- Forked off ------------------------------------------------------------------------------ */

enum { CHILD_FINE, CHILD_OPENED, CHILD_OTHER, CHILD_NO_OTHER };

/* In no mode, also when the inherited handle was closed; another file is fine. */
static int open_inherited(stele_store *inherited, bool closes)
{
    stele_store *store = NULL;
    int result = CHILD_FINE;

    if (closes)
        stele_store_close(inherited);
    for (int mode = STELE_OPEN_CREATE; mode <= STELE_OPEN_READ_ONLY && result == CHILD_FINE; mode++) {
        const stele_status status = fixture_try((enum stele_open_mode)mode, NULL, &store, NULL);

        if (status != STELE_FORKED)
            result = status == STELE_OK ? CHILD_OPENED : CHILD_OTHER;
    }
    if (stele_store_open(support_temp_path("another.db"), NULL, &store, NULL) != STELE_OK)
        return CHILD_NO_OTHER;
    stele_store_close(store);
    return result;
}

static void assert_child(stele_store *inherited, bool closes)
{
    const pid_t child = fork();
    int status = 1;

    if (child == 0)
        _exit(open_inherited(inherited, closes));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), CHILD_FINE);
}

/* SQLite would believe to hold the locks of its parent there: commits of the child were lost when the parent closed. */
static void A8_a_forked_child_does_not_open_what_its_parent_had_open(void **state)
{
    stele_store *store = fixture_open();
    stele_store *second = fixture_open();

    (void)state;
    fixture_fill(store, 1, 3);
    assert_child(store, false);
    assert_child(store, true);
    stele_store_close(second);
    assert_child(store, true);
    fixture_fill(store, 4, 5);
    fixture_assert_holds(store, 5);
    stele_store_close(store);
}

static int append_in_child(void)
{
    stele_store *store = fixture_open_with(STELE_OPEN_EXISTING, NULL);

    fixture_fill(store, 4, 5);
    stele_store_close(store);
    return 0;
}

static void A7_a_forked_child_opens_what_its_parent_had_closed(void **state)
{
    stele_store *store = fixture_open();
    int status = 1;
    pid_t child;

    (void)state;
    fixture_fill(store, 1, 3);
    stele_store_close(store);
    child = fork();
    if (child == 0)
        _exit(append_in_child());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    store = fixture_open();
    fixture_assert_holds(store, 5);
    stele_store_close(store);
}

/* --- Killed --------------------------------------------------------------------------------- */

/* Append without end, and say how far it is acknowledged. */
static void write_until_killed(unsigned first, atomic_uint *acknowledged)
{
    stele_store *store = NULL;

    if (fixture_try(STELE_OPEN_CREATE, NULL, &store, NULL) != STELE_OK)
        _exit(1);
    fixture_inside(store)->checkpoint_pages = fixture_inside(store)->writer.checkpoint_at = 30;
    for (unsigned n = first;; n++) {
        if (fixture_append(store, n % 2 ? "odd" : "even", n, NULL) != STELE_OK)
            _exit(1);
        atomic_store(acknowledged, n);
    }
}

static void A8_a_writer_killed_at_any_instant_loses_nothing_acknowledged(void **state)
{
    enum { KILLS = 30 };
    struct support_random random = support_seed();
    atomic_uint *acknowledged =
        mmap(NULL, sizeof(*acknowledged), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    unsigned held = 0;

    (void)state;
    assert_ptr_not_equal(acknowledged, MAP_FAILED);
    fixture_path();
    for (unsigned i = 0; i < KILLS; i++) {
        const unsigned until = held + 1 + (unsigned)support_random_below(&random, 40);
        stele_store *store;
        stele_error *error = NULL;
        const pid_t child = fork();
        int status = 0;
        unsigned acked;

        if (child == 0)
            write_until_killed(held + 1, acknowledged);
        while (atomic_load(acknowledged) < until && waitpid(child, &status, WNOHANG) == 0)
            sched_yield();
        kill(child, SIGKILL);
        waitpid(child, &status, 0);
        acked = atomic_load(acknowledged);
        assert_in_range(acked, until, UINT32_MAX);
        store = fixture_open();
        held = (unsigned)fixture_count(store);
        assert_in_range(held, acked, acked + 1);
        fixture_assert_holds(store, held);
        assert_ok(stele_verify(store, NULL, NULL, &error), error);
        stele_store_close(store);
    }
    munmap(acknowledged, sizeof(*acknowledged));
}

/* Kill at the n-th change of a file, for each n, while three batches of two streams are written. */
static void A8_a_kill_at_any_change_of_a_file_leaves_batches_whole(void **state)
{
    bool survived = false;

    (void)state;
    fault_vfs_install();
    for (size_t number = 1; !survived; number++) {
        const struct fault fault = {.operations = FAULT_WRITE | FAULT_SYNC | FAULT_TRUNCATE,
                                    .files = FAULT_ANY_FILE,
                                    .number = number,
                                    .code = SQLITE_IOERR};
        stele_store *store;
        stele_error *error = NULL;
        pid_t child;
        int status = 0;

        fixture_make(2);
        child = fork();
        if (child == 0) {
            if (fixture_try(STELE_OPEN_EXISTING, NULL, &store, NULL) != STELE_OK)
                _exit(1);
            fixture_inside(store)->checkpoint_pages = fixture_inside(store)->writer.checkpoint_at = 10;
            fault_vfs_set(&fault);
            fault_vfs_kill();
            for (unsigned n = 3; n < 9; n += 2) {
                stele_message *events[] = {fixture_event(n), fixture_event(n + 1)};
                const struct stele_write writes[] = {{"left", events[0]}, {"right", events[1]}};

                if (stele_append_batch(store, &(struct stele_batch){.writes = writes, .write_count = 2}, NULL, NULL) !=
                    STELE_OK)
                    _exit(1);
            }
            stele_store_close(store);
            _exit(0);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        survived = WIFEXITED(status);
        store = fixture_open();
        assert_int_equal(fixture_count(store) % 2, 0);
        assert_ok(stele_verify(store, NULL, NULL, &error), error);
        fixture_fill(store, 20, 22);
        stele_store_close(store);
        if (survived)
            assert_int_equal(status, 0);
        support_temp_dir_remove();
        assert_in_range(number, 1, 200);
    }
    fault_vfs_remove();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(A7_writers_in_several_processes_lose_and_mix_nothing),
        support_test(C1_C6_a_reader_misses_nothing_of_writers_in_other_processes),
        support_test(A7_an_abandoned_writer_delays_others_only_until_it_is_gone),
        support_test(A8_a_forked_child_does_not_open_what_its_parent_had_open),
        support_test(A7_a_forked_child_opens_what_its_parent_had_closed),
        support_test(A8_a_writer_killed_at_any_instant_loses_nothing_acknowledged),
        support_test(A8_a_kill_at_any_change_of_a_file_leaves_batches_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
