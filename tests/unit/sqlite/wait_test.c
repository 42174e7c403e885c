/* Waiting for a commit: of this process, of another, with and without the system's notices. */
#include "tests/unit/sqlite/fixture.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#define MILLISECOND INT64_C(1000000)

/* Long enough for the slowest machine: a wait that is not woken ends the test with a failure. */
enum { LONG = 60000 };

static int64_t now(void)
{
    return stele_clock_system()->monotonic(NULL);
}

static void C6_what_is_there_already_is_not_waited_for(void **state)
{
    stele_store *store = fixture_open();
    stele_error *error = NULL;
    uint64_t head = 0;

    (void)state;
    fixture_fill(store, 1, 3);
    assert_ok(stele_wait(store, 0, 0, &head, &error), error);
    assert_int_equal(head, 3);
    assert_ok(stele_wait(store, 2, LONG, NULL, &error), error);
    stele_store_close(store);
}

static void C6_a_wait_ends_with_its_time(void **state)
{
    stele_store *store = fixture_open();
    stele_error *error = NULL;
    const int64_t begin = now();

    (void)state;
    fixture_fill(store, 1, 1);
    assert_status(STELE_TIMEOUT, stele_wait(store, 1, 0, NULL, &error), error);
    assert_status(STELE_TIMEOUT, stele_wait(store, 1, 40, NULL, &error), error);
    assert_true(now() - begin >= 40 * MILLISECOND);
    stele_store_close(store);
}

struct waiter {
    pthread_t thread;
    stele_store *store;
    uint64_t position;
    stele_status status;
    uint64_t head;
};

static void *wait_for(void *context)
{
    struct waiter *waiter = context;

    waiter->status = stele_wait(waiter->store, waiter->position, LONG, &waiter->head, NULL);
    return NULL;
}

/* Let a number of threads sit in their waits. */
static void await_waiting(stele_store *store, size_t count)
{
    struct sqlite_watch *watch = &fixture_inside(store)->watch;
    size_t waiting = 0;
    bool listening = false;

    while (waiting < count || !listening) {
        sched_yield();
        pthread_mutex_lock(&watch->mutex);
        waiting = watch->waiting;
        listening = watch->listening;
        pthread_mutex_unlock(&watch->mutex);
    }
}

static void assert_all_wake(bool without_notices)
{
    enum { THREADS = 5 };
    stele_store *store = fixture_open();
    struct waiter waiters[THREADS];
    stele_error *error = NULL;

    fixture_fill(store, 1, 2);
    assert_status(STELE_TIMEOUT, stele_wait(store, 2, 0, NULL, &error), error);
    if (without_notices) {
        close(fixture_inside(store)->watch.notify);
        fixture_inside(store)->watch.notify = -1;
    }
    for (unsigned i = 0; i < THREADS; i++) {
        waiters[i] = (struct waiter){.store = store, .position = 2 + i};
        assert_int_equal(pthread_create(&waiters[i].thread, NULL, wait_for, &waiters[i]), 0);
    }
    await_waiting(store, THREADS);
    fixture_fill(store, 3, 2 + THREADS);
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(waiters[i].thread, NULL);
        assert_int_equal(waiters[i].status, STELE_OK);
        assert_in_range(waiters[i].head, 3 + i, 2 + THREADS);
    }
    stele_store_close(store);
}

static void C6_a_commit_wakes_all_who_wait_for_it(void **state)
{
    (void)state;
    assert_all_wake(false);
    support_temp_dir_remove();
    assert_all_wake(true);
}

/* A child that appends when told to, with the time of its acknowledgement in a pipe. */
static pid_t start_writer(int go[2], int done[2])
{
    const pid_t child = fork();

    if (child == 0) {
        stele_store *store = NULL;
        int64_t then;
        char byte;

        if (fixture_try(STELE_OPEN_EXISTING, NULL, &store, NULL) != STELE_OK)
            _exit(1);
        for (unsigned n = 10; read(go[0], &byte, 1) == 1 && byte == 'g'; n++) {
            if (fixture_append(store, "from afar", n, NULL) != STELE_OK)
                _exit(1);
            then = now();
            if (write(done[1], &then, sizeof(then)) != sizeof(then))
                _exit(1);
        }
        stele_store_close(store);
        _exit(0);
    }
    return child;
}

static void C6_a_commit_of_another_process_is_noticed_within_milliseconds(void **state)
{
    enum { ROUNDS = 20 };
    int go[2];
    int done[2];
    stele_store *store;
    int64_t best = INT64_MAX;
    int status = 0;
    pid_t child;

    (void)state;
    fixture_make(2);
    assert_int_equal(pipe(go), 0);
    assert_int_equal(pipe(done), 0);
    child = start_writer(go, done);
    store = fixture_open();
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct waiter waiter = {.store = store, .position = 2 + i};
        int64_t committed;
        int64_t noticed;

        assert_int_equal(pthread_create(&waiter.thread, NULL, wait_for, &waiter), 0);
        await_waiting(store, 1);
        assert_int_equal(write(go[1], "g", 1), 1);
        pthread_join(waiter.thread, NULL);
        noticed = now();
        assert_int_equal(waiter.status, STELE_OK);
        assert_int_equal(waiter.head, 3 + i);
        assert_int_equal(read(done[0], &committed, sizeof(committed)), sizeof(committed));
        if (noticed - committed < best)
            best = noticed - committed;
    }
    assert_int_equal(write(go[1], "q", 1), 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(best < 10 * MILLISECOND);
    for (int i = 0; i < 2; i++) {
        close(go[i]);
        close(done[i]);
    }
    stele_store_close(store);
}

/* A thread that waits does not look at the table meanwhile. */
static void C6_waiting_without_commits_reads_nothing(void **state)
{
    stele_store *store = fixture_open();
    stele_error *error = NULL;
    const sqlite3_stmt *head;
    int runs;

    (void)state;
    fixture_fill(store, 1, 1);
    fixture_inside(store)->watch.alert_end = 0;
    assert_status(STELE_TIMEOUT, stele_wait(store, 1, 0, NULL, &error), error);
    head = fixture_inside(store)->pool->statements[STATEMENT_HEAD];
    assert_non_null(head);
    sqlite3_stmt_status(fixture_inside(store)->pool->statements[STATEMENT_HEAD], SQLITE_STMTSTATUS_RUN, 1);
    assert_status(STELE_TIMEOUT, stele_wait(store, 1, 200, NULL, &error), error);
    runs = sqlite3_stmt_status(fixture_inside(store)->pool->statements[STATEMENT_HEAD], SQLITE_STMTSTATUS_RUN, 0);
    assert_in_range(runs, 1, 2);
    stele_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(C6_what_is_there_already_is_not_waited_for),
        support_test(C6_a_wait_ends_with_its_time),
        support_test(C6_a_commit_wakes_all_who_wait_for_it),
        support_test(C6_a_commit_of_another_process_is_noticed_within_milliseconds),
        support_test(C6_waiting_without_commits_reads_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
