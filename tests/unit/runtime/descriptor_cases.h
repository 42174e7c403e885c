/* The tests of stele_runtime_descriptor(), for a program that has included one way to do it. */
#ifndef STELE_TESTS_DESCRIPTOR_CASES_H
#define STELE_TESTS_DESCRIPTOR_CASES_H

#include "runtime/runtime.h"

#include <poll.h>
#include <sys/resource.h>

#define MS INT64_C(1000000)

static stele_runtime *new_runtime(unsigned threads)
{
    stele_runtime *runtime = NULL;
    stele_error *error = NULL;

    assert_ok(stele_runtime_new(threads, NULL, &runtime, &error), error);
    return runtime;
}

static stele_runtime *simulate(void)
{
    stele_runtime *runtime = NULL;
    stele_error *error = NULL;

    assert_ok(stele_runtime_simulated(3, &runtime, &error), error);
    return runtime;
}

struct setter {
    struct stele__task task;
    struct stele__timer timer;
    struct stele__signal *signal;
    stele_runtime *runtime;
};

static void set_by_task(struct stele__task *task)
{
    stele__signal_set(((struct setter *)task)->signal);
}

static void set_by_timer(struct stele__timer *timer)
{
    stele__signal_set(((struct setter *)((char *)timer - offsetof(struct setter, timer)))->signal);
}

static void post_setter(void *context)
{
    struct setter *setter = context;

    stele__runtime_post(setter->runtime, &setter->task);
}

static struct setter setter_of(struct stele__signal *signal)
{
    return (struct setter){{.name = "set", .run = set_by_task}, {.name = "set", .fire = set_by_timer}, signal, NULL};
}

static bool is_readable(int descriptor, int timeout_ms)
{
    struct pollfd polled = {.fd = descriptor, .events = POLLIN};

    return poll(&polled, 1, timeout_ms) == 1;
}

static void a_foreign_event_loop_polls_for_what_is_ready(void **state)
{
    stele_runtime *runtime = new_runtime(0);
    const int descriptor = stele_runtime_descriptor(runtime);
    struct stele__signal signals[2] = {{{0}}, {{0}}};
    struct setter setters[2] = {setter_of(&signals[0]), setter_of(&signals[1])};

    (void)state;
    assert_true(descriptor >= 0);
    assert_int_equal(stele_runtime_descriptor(runtime), descriptor);
    assert_false(is_readable(descriptor, 0));
    stele__runtime_post(runtime, &setters[0].task);
    stele__runtime_post(runtime, &setters[1].task);
    assert_true(is_readable(descriptor, 0));
    assert_int_equal(stele_runtime_run(runtime, 1), 1);
    assert_true(is_readable(descriptor, 0));
    assert_int_equal(stele_runtime_run(runtime, 1), 1);
    assert_false(is_readable(descriptor, 0));
    assert_int_equal(stele_runtime_run(runtime, 0), 0);
    stele_runtime_free(runtime);
}

static void a_foreign_event_loop_polls_for_timers(void **state)
{
    stele_runtime *runtime = new_runtime(0);
    const int descriptor = stele_runtime_descriptor(runtime);
    struct stele__signal signals[2] = {{{0}}, {{0}}};
    struct setter setters[2] = {setter_of(&signals[0]), setter_of(&signals[1])};

    (void)state;
    assert_true(stele__timer_start(runtime, &setters[0].timer, 3600 * 1000 * MS));
    assert_false(is_readable(descriptor, 0));
    assert_true(stele__timer_start(runtime, &setters[1].timer, MS));
    assert_true(is_readable(descriptor, -1));
    while (stele_runtime_run(runtime, 0) == 0)
        assert_true(is_readable(descriptor, -1));
    assert_true(stele__signal_is_set(&signals[1]));
    assert_false(is_readable(descriptor, 0));
    assert_true(stele__timer_cancel(&setters[0].timer));
    assert_true(stele__timer_start(runtime, &setters[0].timer, 0));
    assert_true(is_readable(descriptor, -1));
    assert_true(stele__timer_cancel(&setters[0].timer));
    assert_false(is_readable(descriptor, 0));
    stele_runtime_free(runtime);
}

static void only_runtimes_without_threads_have_a_descriptor(void **state)
{
    stele_runtime *workers = new_runtime(1);
    stele_runtime *simulated = simulate();

    (void)state;
    assert_int_equal(stele_runtime_descriptor(workers), -1);
    assert_int_equal(stele_runtime_descriptor(simulated), -1);
    assert_int_equal(stele_runtime_run(workers, 0), 0);
    stele_runtime_free(workers);
    stele_runtime_free(simulated);
}

static void other_threads_make_it_readable(void **state)
{
    stele_runtime *runtime = new_runtime(0);
    const int descriptor = stele_runtime_descriptor(runtime);
    struct stele__signal signal = {{0}};
    struct setter setter = setter_of(&signal);
    struct stele__blocking blocking = {.started = false};
    stele_error *error = NULL;

    (void)state;
    setter.runtime = runtime;
    assert_ok(stele__blocking_start(runtime, &blocking, post_setter, &setter, &error), error);
    assert_true(is_readable(descriptor, -1));
    assert_int_equal(stele_runtime_run(runtime, 0), 1);
    assert_false(is_readable(descriptor, 0));
    stele__blocking_join(&blocking);
    stele_runtime_free(runtime);
}

static void without_descriptors_there_is_none(void **state)
{
    stele_runtime *runtime = new_runtime(0);
    struct rlimit before, none;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_int_equal(stele_runtime_descriptor(runtime), -1);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_true(stele_runtime_descriptor(runtime) >= 0);
    stele_runtime_free(runtime);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(a_foreign_event_loop_polls_for_what_is_ready),
        support_test(a_foreign_event_loop_polls_for_timers),
        support_test(only_runtimes_without_threads_have_a_descriptor),
        support_test(other_threads_make_it_readable),
        support_test(without_descriptors_there_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
