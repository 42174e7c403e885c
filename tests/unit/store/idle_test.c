/*
 * Tidying up between writes, over a backend that notes when it is asked to. The
 * tests wait for what happens, and never for time.
 */
#include "tests/support/support.h"

#include "runtime/thread.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>

static size_t threads_asked;
static bool no_threads; /* the system is out of them */

static int start_thread(pthread_t *thread, void *(*run)(void *), void *context)
{
    threads_asked++;
    return no_threads ? EAGAIN : stele__thread_start(thread, run, context);
}

#define stele__thread_start start_thread
#include "lib/store/idle.c"
#undef stele__thread_start

enum { SOON = 1, NEVER = INT_MAX /* ms */ };

/* --- A backend ------------------------------------------------------------------------ */

struct backend {
    struct stele_backend backend;
    struct stele__queue queue;
    struct stele__idle idle;
    struct stele__futex called;
    atomic_size_t calls;
    atomic_size_t vain;        /* so many calls more leave something to do */
    atomic_bool inside;        /* between entering and leaving, as the test does */
    atomic_bool overlapped;    /* a call came meanwhile */
    atomic_uint written;       /* as the test counts it */
    atomic_uint written_calls; /* the same, when the last call came */
};

static bool backend_idle(struct stele_backend *backend)
{
    struct backend *own = (struct backend *)backend;

    if (atomic_load(&own->inside))
        atomic_store(&own->overlapped, true);
    atomic_store(&own->written_calls, atomic_load(&own->written));
    atomic_fetch_add(&own->calls, 1);
    stele__futex_wake(&own->called);
    return atomic_load(&own->vain) == 0 || atomic_fetch_sub(&own->vain, 1) == 0;
}

static const struct stele_store_ops ops = {.size = sizeof(ops), .idle = backend_idle};

static struct backend backend;

static void open_idle(uint32_t idle_ms)
{
    stele_error *error = NULL;

    memset(&backend, 0, sizeof(backend));
    backend.backend.idle_ms = idle_ms;
    threads_asked = 0;
    assert_true(stele__futex_init(&backend.called));
    assert_ok(stele__queue_init(&backend.queue, &ops, &backend.backend, 0, 0, &error), error);
    assert_ok(stele__idle_init(&backend.idle, &backend.queue, &error), error);
    backend.queue.idle = &backend.idle;
}

static void close_idle(void)
{
    stele__idle_stop(&backend.idle);
    stele__queue_fini(&backend.queue);
    stele__idle_fini(&backend.idle);
    stele__futex_fini(&backend.called);
    assert_false(atomic_load(&backend.overlapped));
}

static void enter(void)
{
    stele__queue_enter(&backend.queue);
    atomic_store(&backend.inside, true);
}

static void leave(void)
{
    atomic_fetch_add(&backend.written, 1);
    stele__queue_wrote(&backend.queue);
    atomic_store(&backend.inside, false);
    stele__queue_leave(&backend.queue);
}

static void write_once(void)
{
    enter();
    leave();
}

static void wait_for_calls(size_t calls)
{
    for (;;) {
        const uint32_t seen = stele__futex_read(&backend.called);

        if (atomic_load(&backend.calls) >= calls)
            return;
        stele__futex_wait(&backend.called, seen);
    }
}

/* --- Tests ------------------------------------------------------------------------------ */

static void without_a_write_or_a_wish_there_is_no_thread(void **state)
{
    (void)state;
    open_idle(SOON);
    close_idle();
    assert_int_equal(threads_asked, 0);
    open_idle(0);
    write_once();
    close_idle();
    assert_int_equal(threads_asked, 0);
    assert_int_equal(atomic_load(&backend.calls), 0);
}

static void after_the_last_write_the_backend_is_called(void **state)
{
    (void)state;
    open_idle(SOON);
    for (unsigned n = 1; n <= 20; n++) {
        for (unsigned i = 0; i < n; i++)
            write_once();
        while (atomic_load(&backend.written_calls) != atomic_load(&backend.written))
            wait_for_calls(atomic_load(&backend.calls) + 1);
    }
    close_idle();
    assert_int_equal(threads_asked, 1);
}

static void once_all_is_tidy_nothing_is_asked_until_the_next_write(void **state)
{
    size_t calls;

    (void)state;
    open_idle(SOON);
    write_once();
    while (!atomic_load(&backend.idle.parked))
        sched_yield();
    calls = atomic_load(&backend.calls);
    assert_int_equal(calls, 1);
    write_once();
    wait_for_calls(calls + 1);
    close_idle();
    assert_int_equal(atomic_load(&backend.calls), calls + 1);
}

static void what_is_left_is_tried_again(void **state)
{
    (void)state;
    open_idle(SOON);
    atomic_store(&backend.vain, 3);
    write_once();
    while (!atomic_load(&backend.idle.parked))
        sched_yield();
    close_idle();
    assert_int_equal(atomic_load(&backend.calls), 4);
}

static void *write_many(void *context)
{
    for (unsigned i = 0; i < 2000; i++)
        write_once();
    return context;
}

static void nobody_is_in_the_gate_while_the_backend_is_called(void **state)
{
    pthread_t threads[3];

    (void)state;
    open_idle(SOON);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, NULL), 0);
    for (size_t i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    wait_for_calls(1);
    close_idle();
}

static void nothing_is_waited_for_at_the_gate(void **state)
{
    (void)state;
    open_idle(NEVER);
    enter();
    assert_false(tidy(&backend.queue));
    leave();
    atomic_store(&backend.queue.arrived, 1); /* somebody has come and is about to lead */
    assert_false(tidy(&backend.queue));
    atomic_store(&backend.queue.arrived, 0);
    assert_int_equal(atomic_load(&backend.calls), 0);
    assert_true(tidy(&backend.queue));
    assert_int_equal(atomic_load(&backend.calls), 1);
    close_idle();
}

static void closing_waits_for_no_time_to_pass(void **state)
{
    (void)state;
    open_idle(NEVER);
    write_once();
    close_idle();
    assert_int_equal(threads_asked, 1);
    assert_int_equal(atomic_load(&backend.calls), 0);
}

static void a_write_while_closing_starts_nothing(void **state)
{
    (void)state;
    open_idle(SOON);
    stele__idle_stop(&backend.idle);
    write_once();
    assert_int_equal(threads_asked, 0);
    stele__queue_fini(&backend.queue);
    stele__idle_fini(&backend.idle);
    stele__futex_fini(&backend.called);
}

static void without_threads_writes_go_on(void **state)
{
    (void)state;
    open_idle(SOON);
    no_threads = true;
    write_once();
    write_once();
    no_threads = false;
    close_idle();
    assert_int_equal(threads_asked, 1);
    assert_int_equal(atomic_load(&backend.calls), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(without_a_write_or_a_wish_there_is_no_thread),
        support_test(after_the_last_write_the_backend_is_called),
        support_test(once_all_is_tidy_nothing_is_asked_until_the_next_write),
        support_test(what_is_left_is_tried_again),
        support_test(nobody_is_in_the_gate_while_the_backend_is_called),
        support_test(nothing_is_waited_for_at_the_gate),
        support_test(closing_waits_for_no_time_to_pass),
        support_test(a_write_while_closing_starts_nothing),
        support_test(without_threads_writes_go_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
