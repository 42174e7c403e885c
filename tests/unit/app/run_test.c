/* Running an app until a signal or until it is told to quit, on every kind of runtime. */
#include "tests/unit/app/shop.h"

#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

enum { LONG_MS = 3600000 }; /* if a test needs it, something is wrong */

static const struct place a_tick = {.order = "tick"};

static stele_runtime *new_runtime(unsigned threads)
{
    stele_runtime *runtime = NULL;
    stele_error *error = NULL;
    shop_clear();
    assert_ok(stele_runtime_new(threads, NULL, &runtime, &error), error);
    return runtime;
}

/* --- What ends a run --------------------------------------------------------------------------- */

static stele_status raise_interrupt(stele_app *app, stele_error **error)
{
    (void)app;
    (void)error;
    shop_add_note("+");
    raise(SIGINT);
    return STELE_OK;
}

static stele_status raise_terminate(stele_app *app, stele_error **error)
{
    (void)app;
    (void)error;
    shop_add_note("+");
    raise(SIGTERM);
    return STELE_OK;
}

static stele_status quit_at_once(stele_app *app, stele_error **error)
{
    (void)error;
    shop_add_note("+");
    stele_app_quit(app);
    return STELE_OK;
}

static void note_stop(stele_app *app)
{
    (void)app;
    shop_add_note("-");
}

static void assert_runs_once(stele_runtime *runtime, stele_status (*start)(stele_app *, stele_error **))
{
    const struct stele_module module = {.name = "once", .start = start, .stop = note_stop};
    stele_app *app = shop_app(runtime, NULL);
    stele_error *error = NULL;
    assert_mounts(app, &module);
    shop_clear();
    assert_ok(stele_app_run(app, LONG_MS, &error), error);
    assert_string_equal("+ - ", shop_notes);
    stele_app_free(app);
}

static void assert_ends(stele_runtime *runtime)
{
    assert_runs_once(runtime, raise_interrupt);
    assert_runs_once(runtime, raise_terminate);
    assert_runs_once(runtime, quit_at_once);
    stele_runtime_free(runtime);
}

static void B10_a_signal_or_quit_ends_a_run_on_workers(void **state)
{
    (void)state;
    assert_ends(new_runtime(2));
}

static void B10_a_signal_or_quit_ends_a_run_without_workers(void **state)
{
    (void)state;
    assert_ends(new_runtime(0));
}

static void B10_a_signal_or_quit_ends_a_run_in_a_simulation(void **state)
{
    (void)state;
    assert_ends(shop_simulation());
}

/* --- While it runs ------------------------------------------------------------------------------- */

static stele_status count_down(void *resource, const stele_message *message, stele_context *context)
{
    stele_app *const *app = resource;
    static atomic_int ticks;
    (void)message;
    (void)context;
    if (atomic_fetch_add(&ticks, 1) % 3 == 2)
        stele_app_quit(*app);
    return STELE_OK;
}

/* A schedule ticks, queued; the third tick quits. */
static void assert_quits_at_third_tick(stele_runtime *runtime)
{
    const struct stele_module_schedule schedule = {.type = &place_type, .payload = &a_tick, .every_ms = 1};
    const struct stele_route route = {
        .name = "tick", .on = "place", .handle = count_down, .delivery = STELE_QUEUED, .uses = "app"};
    const struct stele_module module = {
        .name = "order", .routes = &route, .route_count = 1, .schedules = &schedule, .schedule_count = 1};
    stele_app *app = shop_app(runtime, NULL);
    stele_error *error = NULL;
    assert_ok(stele_app_provide(app, "app", &app, &error), error);
    assert_mounts(app, &module);
    assert_ok(stele_app_run(app, LONG_MS, &error), error);
    stele_app_free(app);
    stele_runtime_free(runtime);
}

static void NTH15_a_run_works_until_a_handler_quits_on_workers(void **state)
{
    (void)state;
    assert_quits_at_third_tick(new_runtime(2));
}

static void NTH15_a_run_drives_a_runtime_without_workers(void **state)
{
    (void)state;
    assert_quits_at_third_tick(new_runtime(0));
}

static void NTH15_a_run_lets_virtual_time_pass(void **state)
{
    (void)state;
    assert_quits_at_third_tick(shop_simulation());
}

static void a_simulation_in_which_nothing_will_happen_ends(void **state)
{
    (void)state;
    const struct stele_module module = {.name = "idle", .stop = note_stop};
    stele_runtime *runtime = shop_simulation();
    stele_app *app = shop_app(runtime, NULL);
    stele_error *error = NULL;
    assert_mounts(app, &module);
    assert_ok(stele_app_run(app, LONG_MS, &error), error);
    assert_string_equal("- ", shop_notes);
    stele_app_free(app);
    stele_runtime_free(runtime);
}

/* --- Signals --------------------------------------------------------------------------------------- */

static atomic_int former_calls;

static void former_handler(int signal)
{
    (void)signal;
    atomic_fetch_add(&former_calls, 1);
}

static void former_handlers_of_signals_are_put_back(void **state)
{
    (void)state;
    struct sigaction mine = {.sa_handler = former_handler}, before_interrupt, before_terminate, after;
    sigemptyset(&mine.sa_mask);
    sigaction(SIGINT, &mine, &before_interrupt);
    sigaction(SIGTERM, &mine, &before_terminate);
    atomic_store(&former_calls, 0);
    assert_ends(new_runtime(0));
    assert_int_equal(0, atomic_load(&former_calls));
    sigaction(SIGINT, &before_interrupt, &after);
    assert_true(after.sa_handler == former_handler);
    sigaction(SIGTERM, &before_terminate, &after);
    assert_true(after.sa_handler == former_handler);
}

static stele_status fail_to_start(stele_app *app, stele_error **error)
{
    (void)app;
    (void)error;
    return STELE_BUSY;
}

static void a_run_that_does_not_start_puts_handlers_back_too(void **state)
{
    (void)state;
    const struct stele_module module = {.name = "never", .start = fail_to_start};
    struct sigaction before, after;
    stele_runtime *runtime = new_runtime(0);
    stele_app *app = shop_app(runtime, NULL);
    assert_mounts(app, &module);
    sigaction(SIGTERM, NULL, &before);
    assert_int_equal(STELE_BUSY, stele_app_run(app, LONG_MS, NULL));
    sigaction(SIGTERM, NULL, &after);
    assert_true(before.sa_handler == after.sa_handler);
    stele_app_free(app);
    stele_runtime_free(runtime);
}

static stele_app *rival;
static stele_status rival_status;

static stele_status run_rival(stele_app *app, stele_error **error)
{
    (void)error;
    rival_status = stele_app_run(rival, LONG_MS, NULL);
    stele_app_quit(app);
    return STELE_OK;
}

static void one_app_runs_at_a_time(void **state)
{
    (void)state;
    const struct stele_module module = {.name = "first", .start = run_rival};
    stele_runtime *runtime = new_runtime(0);
    stele_app *app = shop_app(runtime, NULL);
    stele_error *error = NULL;
    rival = shop_app(runtime, NULL);
    rival_status = STELE_OK;
    assert_mounts(app, &module);
    assert_ok(stele_app_run(app, LONG_MS, &error), error);
    assert_int_equal(STELE_INVALID, rival_status);
    stele_app_free(rival);
    stele_app_free(app);
    stele_runtime_free(runtime);
}

/* A handler that is not done when the app is to end, and that sends the second signal itself. */
static atomic_bool is_released;

static stele_status outlast(void *resource, const stele_message *message, stele_context *context)
{
    (void)resource;
    (void)message;
    kill(getpid(), SIGINT);
    while (!stele_context_is_cancelled(context)) /* the bus is stopping */
        sched_yield();
    kill(getpid(), SIGINT);
    while (!atomic_load(&is_released))
        sched_yield();
    return STELE_OK;
}

static stele_status publish_one(stele_app *app, stele_error **error)
{
    stele_message *message = NULL;
    stele_status status = stele_message_new(&place_type, &a_tick, NULL, &message, error);
    if (status == STELE_OK)
        status = stele_publish(stele_app_bus(app), message, NULL, error);
    stele_message_unref(message);
    return status;
}

static void FWK12_bug_a_second_signal_ends_the_wait_for_handlers(void **state)
{
    (void)state;
    const struct stele_route route = {.name = "outlast", .on = "place", .handle = outlast, .delivery = STELE_QUEUED};
    const struct stele_module module = {.name = "order",
                                        .accepts = only_place,
                                        .routes = &route,
                                        .route_count = 1,
                                        .start = publish_one,
                                        .stop = note_stop};
    stele_runtime *runtime = new_runtime(1);
    stele_app *app = shop_app(runtime, NULL);
    stele_error *error = NULL;
    atomic_store(&is_released, false);
    assert_mounts(app, &module);
    assert_status(STELE_TIMEOUT, stele_app_run(app, LONG_MS, &error), error);
    assert_string_equal("- ", shop_notes); /* the stop functions are called nevertheless */
    atomic_store(&is_released, true);
    stele_runtime_run_until_idle(runtime);
    stele_app_free(app);
    stele_runtime_free(runtime);
}

/* --- A stop that waits -------------------------------------------------------------------------- */

static atomic_bool is_running;

static stele_status finish_late(void *resource, const stele_message *message, stele_context *context)
{
    (void)resource;
    (void)message;
    atomic_store(&is_running, true);
    while (!stele_context_is_cancelled(context)) /* until the bus is stopping */
        sched_yield();
    return STELE_PUBLISH(context, placed, .order = "late");
}

/* The reference returned at once from its stop with a handler running, and lost the event that followed. */
static void KHO24_bug_stopping_waits_for_handlers_that_run_and_for_what_they_publish(void **state)
{
    (void)state;
    const struct stele_route routes[] = {
        {.name = "late", .on = "place", .handle = finish_late, .publishes = only_placed, .delivery = STELE_QUEUED},
        {.name = "note", .on = "placed", .handle = shop_note, .delivery = STELE_QUEUED},
    };
    const struct stele_module module = {.name = "order",
                                        .accepts = only_place,
                                        .routes = routes,
                                        .route_count = 2,
                                        .start = publish_one,
                                        .stop = note_stop};
    stele_runtime *runtime = new_runtime(1);
    stele_app *app = shop_app(runtime, NULL);
    struct stele_stopped stopped = {.discarded = 9};
    stele_error *error = NULL;
    atomic_store(&is_running, false);
    assert_mounts(app, &module);
    assert_ok(stele_app_start(app, &error), error);
    while (!atomic_load(&is_running))
        sched_yield();
    assert_ok(stele_app_stop(app, LONG_MS, &stopped, &error), error);
    assert_string_equal("order.note - ", shop_notes);
    assert_int_equal(0, stopped.discarded + stopped.running);
    stele_app_free(app);
    stele_runtime_free(runtime);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(B10_a_signal_or_quit_ends_a_run_on_workers),
        support_test(B10_a_signal_or_quit_ends_a_run_without_workers),
        support_test(B10_a_signal_or_quit_ends_a_run_in_a_simulation),
        support_test(NTH15_a_run_works_until_a_handler_quits_on_workers),
        support_test(NTH15_a_run_drives_a_runtime_without_workers),
        support_test(NTH15_a_run_lets_virtual_time_pass),
        support_test(a_simulation_in_which_nothing_will_happen_ends),
        support_test(former_handlers_of_signals_are_put_back),
        support_test(a_run_that_does_not_start_puts_handlers_back_too),
        support_test(one_app_runs_at_a_time),
        support_test(KHO24_bug_stopping_waits_for_handlers_that_run_and_for_what_they_publish),
        support_test(FWK12_bug_a_second_signal_ends_the_wait_for_handlers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
