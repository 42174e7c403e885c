/* Signals that come at bad moments, too often, and to the wrong process. */
#include "tests/unit/app/shop.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LONG_MS = 3600000 }; /* if a test needs it, something is wrong */

static stele_runtime *new_runtime(unsigned threads)
{
    stele_runtime *runtime = NULL;
    stele_error *error = NULL;
    shop_clear();
    assert_ok(stele_runtime_new(threads, NULL, &runtime, &error), error);
    return runtime;
}

/* Run an app of these two functions to its end, on workers and without. */
static void assert_runs(stele_status (*start)(stele_app *, stele_error **), void (*stop)(stele_app *))
{
    const struct stele_module module = {.name = "hostile", .start = start, .stop = stop};
    for (unsigned threads = 0; threads <= 2; threads += 2) {
        stele_runtime *runtime = new_runtime(threads);
        stele_app *app = shop_app(runtime, NULL);
        stele_error *error = NULL;
        assert_mounts(app, &module);
        assert_ok(stele_app_run(app, LONG_MS, &error), error);
        stele_app_free(app);
        stele_runtime_free(runtime);
    }
}

static void note_stop(stele_app *app)
{
    (void)app;
    shop_add_note("-");
}

/* --- Too many --------------------------------------------------------------------------------- */

static stele_status raise_both(stele_app *app, stele_error **error)
{
    (void)app;
    (void)error;
    raise(SIGINT);
    raise(SIGTERM);
    return STELE_OK;
}

static void FWK12_signals_during_the_start_end_it_behind_the_start(void **state)
{
    (void)state;
    assert_runs(raise_both, note_stop);
    assert_string_equal("- ", shop_notes);
}

/* More than a pipe holds: none waits for room. */
static stele_status raise_a_storm(stele_app *app, stele_error **error)
{
    (void)app;
    (void)error;
    for (int i = 0; i < 70000; i++)
        raise(SIGINT);
    return STELE_OK;
}

static void a_storm_of_signals_is_as_good_as_two(void **state)
{
    (void)state;
    assert_runs(raise_a_storm, note_stop);
}

static stele_status quit_at_once(stele_app *app, stele_error **error)
{
    (void)error;
    stele_app_quit(app);
    return STELE_OK;
}

static void raise_at_the_end(stele_app *app)
{
    (void)app;
    raise(SIGTERM);
    raise(SIGINT);
    raise(SIGINT);
}

static void signals_during_the_stop_change_nothing_that_was_done(void **state)
{
    (void)state;
    assert_runs(quit_at_once, raise_at_the_end);
}

/* --- To somebody else --------------------------------------------------------------------------- */

static int child_status;

/* A child that does not exec has the handlers of its parent, and their pipe. */
static stele_status kill_a_child(stele_app *app, stele_error **error)
{
    const pid_t child = fork();
    (void)app;
    (void)error;
    if (child == 0) {
        alarm(20); /* if no signal ends it before */
        for (;;)
            pause();
    }
    if (child < 0 || kill(child, SIGTERM) != 0 || waitpid(child, &child_status, 0) != child)
        return STELE_IO;
    return STELE_OK;
}

static const struct place a_tick = {.order = "tick"};
static atomic_int ticks;

static stele_status count_to_three(void *resource, const stele_message *message, stele_context *context)
{
    stele_app *const *app = resource;
    (void)message;
    (void)context;
    if (atomic_fetch_add(&ticks, 1) == 2)
        stele_app_quit(*app);
    return STELE_OK;
}

static void a_signal_to_a_child_ends_the_child_and_not_its_parent(void **state)
{
    const struct stele_module_schedule schedule = {.type = &place_type, .payload = &a_tick, .every_ms = 1};
    const struct stele_route route = {
        .name = "tick", .on = "place", .handle = count_to_three, .delivery = STELE_QUEUED, .uses = "app"};
    const struct stele_module module = {.name = "order",
                                        .routes = &route,
                                        .route_count = 1,
                                        .schedules = &schedule,
                                        .schedule_count = 1,
                                        .start = kill_a_child};
    stele_runtime *runtime = new_runtime(0);
    stele_app *app = shop_app(runtime, NULL);
    stele_error *error = NULL;
    (void)state;
    atomic_store(&ticks, 0);
    child_status = 0;
    assert_ok(stele_app_provide(app, "app", &app, &error), error);
    assert_mounts(app, &module);
    alarm(60); /* a child that lives on is waited for */
    assert_ok(stele_app_run(app, LONG_MS, &error), error);
    alarm(0);
    assert_true(WIFSIGNALED(child_status) && WTERMSIG(child_status) == SIGTERM);
    assert_int_equal(3, atomic_load(&ticks));
    stele_app_free(app);
    stele_runtime_free(runtime);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(FWK12_signals_during_the_start_end_it_behind_the_start),
        support_test(a_storm_of_signals_is_as_good_as_two),
        support_test(signals_during_the_stop_change_nothing_that_was_done),
        support_test(a_signal_to_a_child_ends_the_child_and_not_its_parent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
