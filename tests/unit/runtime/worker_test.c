/* Worker threads: spare ones that stand in and retire, threads that cannot be had, stopping. */
#include "tests/support/support.h"

#include "runtime/thread.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>

#include "base/futex.h"

static atomic_int threads_left = -1; /* that may be started; below 0: any number */
static atomic_bool is_patient;       /* surplus threads wait for a call before they end */

static int start_thread(pthread_t *thread, void *(*run)(void *), void *context)
{
    if (atomic_load(&threads_left) == 0)
        return EAGAIN;
    if (atomic_load(&threads_left) > 0)
        atomic_fetch_sub(&threads_left, 1);
    return stele__thread_start(thread, run, context);
}

static void wait_for(struct stele__futex *futex, uint32_t seen, int64_t nanoseconds)
{
    (void)nanoseconds;
    if (atomic_load(&is_patient))
        stele__futex_wait(futex, seen);
}

#define stele__thread_start start_thread
#define stele__futex_wait_for wait_for
#include "lib/runtime/worker.c"
#undef stele__futex_wait_for
#undef stele__thread_start

static stele_runtime *new_runtime(unsigned threads, unsigned spare_threads)
{
    struct stele_runtime_options options = STELE_OPTIONS_INIT(struct stele_runtime_options);
    stele_runtime *runtime = NULL;
    stele_error *error = NULL;

    options.spare_threads = spare_threads;
    atomic_store(&threads_left, -1);
    atomic_store(&is_patient, true);
    assert_ok(stele_runtime_new(threads, &options, &runtime, &error), error);
    return runtime;
}

static struct stele_runtime_stats stats_of(stele_runtime *runtime)
{
    struct stele_runtime_stats stats;

    stele_runtime_get_stats(runtime, &stats);
    return stats;
}

/* --- Standing in ----------------------------------------------------------------------------------- */

static atomic_int arrived;

struct guest {
    struct stele__task task;
    stele_runtime *runtime;
    struct stele__signal *signal;
    bool overruns;
};

static void wait_for_signal(struct stele__task *task)
{
    struct guest *guest = (struct guest *)task;

    atomic_fetch_add(&arrived, 1);
    stele__runtime_wait(guest->runtime, guest->signal, INT64_MAX);
}

static void loop_until_signal(struct stele__task *task)
{
    struct guest *guest = (struct guest *)task;

    stele__runtime_overrun_begin(guest->runtime);
    atomic_fetch_add(&arrived, 1);
    while (!stele__signal_is_set(guest->signal))
        sched_yield();
    stele__runtime_overrun_end(guest->runtime);
}

static void await_arrivals(int count)
{
    while (atomic_load(&arrived) < count)
        sched_yield();
}

static void post_guests(stele_runtime *runtime, struct guest *guests, size_t count, struct stele__signal *signal,
                        void (*run)(struct stele__task *))
{
    atomic_store(&arrived, 0);
    for (size_t i = 0; i < count; i++) {
        guests[i] = (struct guest){{.name = "guest", .run = run}, runtime, signal, false};
        stele__runtime_post(runtime, &guests[i].task);
    }
}

static void assert_all_arrive(void (*run)(struct stele__task *))
{
    stele_runtime *runtime = new_runtime(2, 0);
    struct stele__signal signal = {0};
    struct guest guests[20];

    post_guests(runtime, guests, 20, &signal, run);
    await_arrivals(20);
    assert_in_range(stats_of(runtime).workers, 20, 22);
    assert_in_range(stats_of(runtime).spare_workers, 18, 20);
    stele__signal_set(&signal);
    stele_runtime_run_until_idle(runtime);
    assert_int_equal(stats_of(runtime).steps, 20);
    stele_runtime_free(runtime);
}

static void spare_threads_stand_in_for_those_that_wait(void **state)
{
    (void)state;
    assert_all_arrive(wait_for_signal);
}

static void spare_threads_stand_in_for_those_that_overrun(void **state)
{
    (void)state;
    assert_all_arrive(loop_until_signal);
}

static void there_are_no_more_spare_threads_than_allowed(void **state)
{
    stele_runtime *runtime = new_runtime(1, 3);
    struct stele__signal signal = {0};
    struct guest guests[10];

    (void)state;
    post_guests(runtime, guests, 10, &signal, loop_until_signal);
    await_arrivals(4);
    assert_int_equal(stats_of(runtime).workers, 4);
    assert_int_equal(stats_of(runtime).ready, 6);
    assert_int_equal(atomic_load(&arrived), 4);
    stele__signal_set(&signal);
    stele_runtime_run_until_idle(runtime);
    assert_int_equal(atomic_load(&arrived), 10);
    stele_runtime_free(runtime);
}

static void spare_threads_retire(void **state)
{
    stele_runtime *runtime = new_runtime(2, 0);
    struct guest guests[6];

    (void)state;
    atomic_store(&is_patient, false);
    for (int round = 0; round < 20; round++) {
        struct stele__signal signal = {0};

        post_guests(runtime, guests, 6, &signal, wait_for_signal);
        await_arrivals(6);
        stele__signal_set(&signal);
        stele_runtime_run_until_idle(runtime);
        while (stats_of(runtime).workers > 2)
            sched_yield();
        assert_int_equal(stats_of(runtime).spare_workers, 0);
    }
    stele_runtime_free(runtime);
}

static void what_is_ready_waits_when_no_spare_thread_can_be_had(void **state)
{
    stele_runtime *runtime = new_runtime(1, 0);
    struct stele__signal signal = {0};
    struct guest guests[3];

    (void)state;
    atomic_store(&threads_left, 1);
    post_guests(runtime, guests, 3, &signal, loop_until_signal);
    await_arrivals(2);
    assert_int_equal(stats_of(runtime).workers, 2);
    assert_int_equal(stats_of(runtime).ready, 1);
    stele__signal_set(&signal);
    stele_runtime_run_until_idle(runtime);
    assert_int_equal(atomic_load(&arrived), 3);
    stele_runtime_free(runtime);
}

/* --- Making ------------------------------------------------------------------------------------------ */

static void a_runtime_without_its_threads_is_not_made(void **state)
{
    stele_runtime *runtime = NULL;
    stele_error *error = NULL;

    (void)state;
    for (int left = 0; left < 3; left++) {
        atomic_store(&threads_left, left);
        assert_failure(STELE_IO, stele_runtime_new(3, NULL, &runtime, &error), error);
        assert_message(error, "3 threads");
        stele_error_free(error);
        error = NULL;
        assert_null(runtime);
    }
    atomic_store(&threads_left, -1);
}

static void a_timer_without_its_thread_is_not_started(void **state)
{
    stele_runtime *runtime = new_runtime(1, 0);
    struct stele__timer timer = {.name = "timer"};

    (void)state;
    atomic_store(&threads_left, 0);
    assert_false(stele__timer_start(runtime, &timer, 0));
    assert_false(stele__timer_cancel(&timer));
    assert_int_equal(stats_of(runtime).timers, 0);
    stele_runtime_free(runtime);
}

static stele_status make_and_free(void *context, stele_error **error)
{
    const unsigned *threads = context;
    stele_runtime *runtime = NULL;
    const stele_status status = stele_runtime_new(*threads, NULL, &runtime, error);

    stele_runtime_free(runtime);
    return status;
}

static void making_one_survives_failing_allocations(void **state)
{
    unsigned threads[] = {0, 3};

    (void)state;
    atomic_store(&threads_left, -1);
    assert_true(support_every_allocation_fails(make_and_free, &threads[0]) > 0);
    assert_true(support_every_allocation_fails(make_and_free, &threads[1]) > 3);
}

static void bad_arguments_are_refused(void **state)
{
    struct stele_runtime_options options = STELE_OPTIONS_INIT(struct stele_runtime_options);
    stele_runtime *runtime = NULL;
    stele_error *error = NULL;

    (void)state;
    assert_failure(STELE_INVALID, stele_runtime_new(1025, NULL, &runtime, &error), error);
    assert_string_equal(stele_error_get(error, "argument"), "threads");
    stele_error_free(error);
    error = NULL;
    assert_status(STELE_INVALID, stele_runtime_new(0, NULL, NULL, &error), error);
    options.size = 1;
    assert_status(STELE_INVALID, stele_runtime_new(0, &options, &runtime, &error), error);
    assert_status(STELE_INVALID, stele_runtime_stop(NULL, 0, &error), error);
    stele_runtime_free(NULL);
}

/* --- Stopping ---------------------------------------------------------------------------------------- */

static void stopping_runs_what_is_ready_first(void **state)
{
    (void)state;
    for (unsigned threads = 0; threads <= 2; threads++) {
        stele_runtime *runtime = new_runtime(threads, 0);
        struct stele__signal signal = {0};
        struct guest guests[50];
        stele_error *error = NULL;

        stele__signal_set(&signal);
        post_guests(runtime, guests, 50, &signal, wait_for_signal);
        assert_ok(stele_runtime_stop(runtime, 60000, &error), error);
        assert_int_equal(atomic_load(&arrived), 50);
        assert_int_equal(stats_of(runtime).workers, 0);
        assert_ok(stele_runtime_stop(runtime, 0, &error), error);
        stele__runtime_post(runtime, &guests[0].task);
        assert_int_equal(stele_runtime_run(runtime, 0), 0);
        assert_int_equal(stele_runtime_run_until_idle(runtime), 0);
        assert_int_equal(atomic_load(&arrived), 50);
        stele_runtime_free(runtime);
    }
}

static void a_callback_that_does_not_return_is_left_alone(void **state)
{
    stele_runtime *runtime = new_runtime(2, 1);
    struct stele__signal signal = {0};
    struct guest guests[4];
    stele_error *error = NULL;

    (void)state;
    post_guests(runtime, guests, 4, &signal, loop_until_signal);
    await_arrivals(3);
    assert_failure(STELE_TIMEOUT, stele_runtime_stop(runtime, 1, &error), error);
    assert_message(error, "running");
    stele_error_free(error);
    error = NULL;
    assert_status(STELE_TIMEOUT, stele_runtime_stop(runtime, 0, &error), error);
    assert_int_equal(stats_of(runtime).workers, 3);
    assert_int_equal(stats_of(runtime).ready, 0); /* the fourth one will not run */
    stele__signal_set(&signal);
    assert_ok(stele_runtime_stop(runtime, 60000, &error), error);
    assert_int_equal(atomic_load(&arrived), 3);
    stele_runtime_free(runtime);
}

static void post_again(struct stele__task *task)
{
    stele__runtime_post(((struct guest *)task)->runtime, task);
}

static void what_never_ends_is_cut_off(void **state)
{
    (void)state;
    for (unsigned threads = 0; threads <= 2; threads++) {
        stele_runtime *runtime = new_runtime(threads, 0);
        struct guest guest;
        stele_error *error = NULL;

        post_guests(runtime, &guest, 1, NULL, post_again);
        assert_status(STELE_TIMEOUT, stele_runtime_stop(runtime, 1, &error), error);
        stele_runtime_free(runtime);
    }
}

static void drop(struct stele__mailbox *mailbox, struct stele__letter *letter)
{
    (void)mailbox;
    (void)letter;
}

static void letters_stay_in_the_mailboxes_of_a_stopped_runtime(void **state)
{
    stele_runtime *runtime = new_runtime(1, 0);
    struct stele__mailbox mailbox;
    struct stele__letter letter;
    stele_error *error = NULL;

    (void)state;
    assert_true(stele__mailbox_init(&mailbox, runtime, "box", 0, 0, drop));
    assert_ok(stele_runtime_stop(runtime, 60000, &error), error);
    assert_int_equal(stele__mailbox_send(&mailbox, &letter), STELE__MAIL_TAKEN);
    assert_int_equal(stele__mailbox_count(&mailbox), 1);
    assert_ptr_equal(stele__mailbox_close(&mailbox), &letter);
    assert_true(stele__mailbox_is_idle(&mailbox));
    stele__mailbox_fini(&mailbox);
    stele_runtime_free(runtime);
}

static void letters_that_were_not_delivered_in_time_can_be_taken_back(void **state)
{
    stele_runtime *runtime = new_runtime(1, 1);
    struct stele__signal signal = {0};
    struct stele__mailbox mailbox;
    struct stele__letter letter;
    struct guest guests[2];
    stele_error *error = NULL;

    (void)state;
    post_guests(runtime, guests, 2, &signal, loop_until_signal);
    await_arrivals(2);
    assert_true(stele__mailbox_init(&mailbox, runtime, "box", 0, 0, drop));
    stele__mailbox_send(&mailbox, &letter);
    assert_status(STELE_TIMEOUT, stele_runtime_stop(runtime, 0, &error), error);
    assert_ptr_equal(stele__mailbox_close(&mailbox), &letter);
    assert_true(stele__mailbox_is_idle(&mailbox));
    stele__mailbox_fini(&mailbox);
    stele__signal_set(&signal);
    stele_runtime_free(runtime);
}

static atomic_int status_inside;

static void stop_inside(struct stele__task *task)
{
    stele_runtime *runtime = ((struct guest *)task)->runtime;

    atomic_store(&status_inside, (int)stele_runtime_stop(runtime, 1000, NULL));
    stele_runtime_run_until_idle(runtime);
}

static void a_handler_does_not_stop_its_own_runtime(void **state)
{
    stele_runtime *runtime = new_runtime(1, 0);
    struct guest guest;

    (void)state;
    post_guests(runtime, &guest, 1, NULL, stop_inside);
    stele_runtime_run_until_idle(runtime);
    assert_int_equal(atomic_load(&status_inside), STELE_INVALID);
    stele_runtime_free(runtime);
}

/* --- Threads for what blocks elsewhere ------------------------------------------------------------------ */

static void arrive(void *context)
{
    atomic_fetch_add((atomic_int *)context, 1);
}

static void a_blocking_function_gets_a_thread_of_its_own(void **state)
{
    stele_runtime *runtime = new_runtime(1, 0);
    stele_runtime *simulated = NULL;
    struct stele__blocking blocking = {.started = false};
    stele_error *error = NULL;

    (void)state;
    atomic_store(&arrived, 0);
    assert_ok(stele__blocking_start(runtime, &blocking, arrive, &arrived, &error), error);
    stele__blocking_join(&blocking);
    assert_int_equal(atomic_load(&arrived), 1);
    assert_ok(stele_runtime_simulated(1, &simulated, &error), error);
    assert_status(STELE_INVALID, stele__blocking_start(simulated, &blocking, arrive, &arrived, &error), error);
    stele__blocking_join(&blocking);
    stele_runtime_free(simulated);
    stele_runtime_free(runtime);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(spare_threads_stand_in_for_those_that_wait),
        support_test(spare_threads_stand_in_for_those_that_overrun),
        support_test(there_are_no_more_spare_threads_than_allowed),
        support_test(spare_threads_retire),
        support_test(what_is_ready_waits_when_no_spare_thread_can_be_had),
        support_test(a_runtime_without_its_threads_is_not_made),
        support_test(a_timer_without_its_thread_is_not_started),
        support_test(making_one_survives_failing_allocations),
        support_test(bad_arguments_are_refused),
        support_test(stopping_runs_what_is_ready_first),
        support_test(a_callback_that_does_not_return_is_left_alone),
        support_test(what_never_ends_is_cut_off),
        support_test(letters_stay_in_the_mailboxes_of_a_stopped_runtime),
        support_test(letters_that_were_not_delivered_in_time_can_be_taken_back),
        support_test(a_handler_does_not_stop_its_own_runtime),
        support_test(a_blocking_function_gets_a_thread_of_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
