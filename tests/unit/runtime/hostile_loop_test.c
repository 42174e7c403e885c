/*
 * A program's own loop that drives a runtime badly: polls when nothing is ready,
 * watches the descriptor in several ways, drives from several threads, frees in
 * the wrong order.
 */
#include "tests/support/support.h"

#include "runtime/runtime.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/epoll.h>
#endif

#define MS INT64_C(1000000)

static stele_runtime *new_runtime(void)
{
    stele_runtime *runtime = NULL;
    stele_error *error = NULL;

    assert_ok(stele_runtime_new(0, NULL, &runtime, &error), error);
    return runtime;
}

static bool is_readable(int descriptor, int timeout_ms)
{
    struct pollfd polled = {.fd = descriptor, .events = POLLIN};

    return poll(&polled, 1, timeout_ms) == 1;
}

static atomic_int fired;

static void count(struct stele__timer *timer)
{
    (void)timer;
    atomic_fetch_add(&fired, 1);
}

static struct stele__timer counter(void)
{
    return (struct stele__timer){.name = "count", .fire = count};
}

/* --- Nothing to do ------------------------------------------------------------------------------- */

/* Wakes of a loop that polls and runs what is ready, until so many timers have fired. */
static int poll_until(stele_runtime *runtime, int timers)
{
    const int descriptor = stele_runtime_descriptor(runtime);
    int wakes = 0;

    while (atomic_load(&fired) < timers) {
        assert_true(is_readable(descriptor, -1));
        stele_runtime_run(runtime, 1);
        wakes++;
    }
    assert_false(is_readable(descriptor, 0));
    return wakes;
}

static void a_loop_wakes_for_what_is_due_and_for_nothing_else(void **state)
{
    enum { TIMERS = 40 };
    stele_runtime *runtime = new_runtime();
    struct stele__timer timers[TIMERS];

    (void)state;
    atomic_store(&fired, 0);
    for (int i = 0; i < TIMERS; i++) {
        timers[i] = counter();
        assert_true(stele__timer_start(runtime, &timers[i], i * MS / 2));
    }
    /* At most two for one: rounding may wake it a little early. */
    assert_in_range(poll_until(runtime, TIMERS), 1, 2 * TIMERS);
    stele_runtime_free(runtime);
}

static void a_stopped_runtime_is_never_readable(void **state)
{
    stele_runtime *runtime = new_runtime();
    const int descriptor = stele_runtime_descriptor(runtime);
    struct stele__timer timer = counter(), late = counter();
    stele_error *error = NULL;

    (void)state;
    assert_true(stele__timer_start(runtime, &timer, 0));
    assert_true(is_readable(descriptor, -1));
    assert_ok(stele_runtime_stop(runtime, 100, &error), error);
    assert_false(is_readable(descriptor, 0));
    stele__timer_start(runtime, &late, 0);
    assert_false(is_readable(descriptor, 20));
    assert_int_equal(stele_runtime_run(runtime, 0), 0);
    stele__timer_cancel(&late);
    stele__timer_cancel(&timer);
    stele_runtime_free(runtime);
}

#ifdef __linux__

static int64_t stand_still(void *context)
{
    (void)context;
    return 1000 * MS;
}

static void pause_not(void *context, int64_t nanoseconds)
{
    (void)context;
    (void)nanoseconds;
}

/* By the runtime's own clock the time never comes; a loop that polls must not go round and round for it. */
static void a_clock_that_stands_still_does_not_keep_the_loop_awake(void **state)
{
    static const struct stele_clock still = {.now = stand_still, .monotonic = stand_still, .pause = pause_not};
    const struct stele_runtime_options options = {.size = sizeof(options), .clock = &still};
    stele_runtime *runtime = NULL;
    struct stele__timer timer = counter();
    stele_error *error = NULL;
    int descriptor;

    (void)state;
    assert_ok(stele_runtime_new(0, &options, &runtime, &error), error);
    descriptor = stele_runtime_descriptor(runtime);
    assert_true(stele__timer_start(runtime, &timer, 200 * MS));
    assert_true(is_readable(descriptor, -1));
    assert_int_equal(stele_runtime_run(runtime, 0), 0);
    assert_false(is_readable(descriptor, 0));
    assert_true(stele__timer_cancel(&timer));
    stele_runtime_free(runtime);
}

/* Edge-triggered: one edge for each time that something becomes ready. */
static void an_edge_triggered_loop_sees_what_becomes_ready(void **state)
{
    stele_runtime *runtime = new_runtime();
    const int loop = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event wanted = {.events = EPOLLIN | EPOLLET};
    struct epoll_event got;

    (void)state;
    assert_true(loop >= 0);
    assert_int_equal(epoll_ctl(loop, EPOLL_CTL_ADD, stele_runtime_descriptor(runtime), &wanted), 0);
    assert_int_equal(epoll_wait(loop, &got, 1, 0), 0);
    atomic_store(&fired, 0);
    for (int i = 1; i <= 5; i++) {
        struct stele__timer timer = counter();

        assert_true(stele__timer_start(runtime, &timer, MS));
        while (atomic_load(&fired) < i) {
            assert_int_equal(epoll_wait(loop, &got, 1, 5000), 1);
            stele_runtime_run(runtime, 0);
        }
        assert_int_equal(epoll_wait(loop, &got, 1, 0), 0);
    }
    close(loop);
    stele_runtime_free(runtime);
}

/* The loop's own descriptor outlives the runtime: it simply has one less to watch. */
static void a_runtime_may_be_freed_before_the_loop_that_watches_it(void **state)
{
    stele_runtime *runtime = new_runtime();
    const int loop = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event wanted = {.events = EPOLLIN};
    struct epoll_event got;
    struct stele__timer timer = counter();

    (void)state;
    assert_int_equal(epoll_ctl(loop, EPOLL_CTL_ADD, stele_runtime_descriptor(runtime), &wanted), 0);
    assert_true(stele__timer_start(runtime, &timer, 0));
    assert_int_equal(epoll_wait(loop, &got, 1, -1), 1);
    stele__timer_cancel(&timer);
    stele_runtime_free(runtime);
    assert_int_equal(epoll_wait(loop, &got, 1, 0), 0);
    close(loop);
}

#endif

/* --- Two who drive --------------------------------------------------------------------------------- */

enum { LETTERS = 2000, DRIVERS = 4 };

struct load {
    stele_runtime *runtime;
    struct stele__mailbox mailbox;
    struct stele__letter letters[LETTERS];
    struct stele__timer timers[LETTERS];
    int inside; /* guarded by the mailbox being one at a time: a race is seen by ThreadSanitizer */
    atomic_int delivered;
};

static void deliver(struct stele__mailbox *mailbox, struct stele__letter *letter)
{
    struct load *load = (struct load *)((char *)mailbox - offsetof(struct load, mailbox));

    (void)letter;
    assert_true(++load->inside == 1);
    load->inside--;
    atomic_fetch_add(&load->delivered, 1);
}

static void *drive(void *context)
{
    struct load *load = context;

    while (atomic_load(&load->delivered) < LETTERS || atomic_load(&fired) < LETTERS)
        stele_runtime_run(load->runtime, 3);
    return NULL;
}

static void several_threads_may_drive_one_runtime(void **state)
{
    struct load *load = test_calloc(1, sizeof(*load));
    pthread_t drivers[DRIVERS];

    (void)state;
    atomic_store(&fired, 0);
    load->runtime = new_runtime();
    assert_true(stele__mailbox_init(&load->mailbox, load->runtime, "load", 1, 0, deliver));
    for (int i = 0; i < DRIVERS; i++)
        assert_int_equal(pthread_create(&drivers[i], NULL, drive, load), 0);
    for (int i = 0; i < LETTERS; i++) {
        load->timers[i] = counter();
        assert_true(stele__timer_start(load->runtime, &load->timers[i], i));
        assert_int_equal(stele__mailbox_send(&load->mailbox, &load->letters[i]), STELE__MAIL_TAKEN);
    }
    for (int i = 0; i < DRIVERS; i++)
        pthread_join(drivers[i], NULL);
    assert_int_equal(load->delivered, LETTERS);
    assert_int_equal(atomic_load(&fired), LETTERS);
    assert_false(is_readable(stele_runtime_descriptor(load->runtime), 0));
    stele__mailbox_fini(&load->mailbox);
    stele_runtime_free(load->runtime);
    test_free(load);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(a_loop_wakes_for_what_is_due_and_for_nothing_else),
        support_test(a_stopped_runtime_is_never_readable),
#ifdef __linux__
        support_test(a_clock_that_stands_still_does_not_keep_the_loop_awake),
        support_test(an_edge_triggered_loop_sees_what_becomes_ready),
        support_test(a_runtime_may_be_freed_before_the_loop_that_watches_it),
#endif
        support_test(several_threads_may_drive_one_runtime),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
