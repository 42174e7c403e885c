/*
 * A program's main: start, wait for the end, stop.
 *
 *   start ── wait ── (signal, or stele_app_quit()) ── stop ── return
 *                                                      ▲
 *                              another signal: stele_bus_stop(bus, 0) from a thread that listens meanwhile
 *
 * What waits, depends on the runtime: with workers a poll of the signals; without,
 * of them and of the runtime's descriptor, running what is ready; a simulation
 * lets virtual time pass until nothing will ever happen.
 */
#include "app/app.h"
#include "app/signals.h"

#include <errno.h>
#include <poll.h>

#include "base/error.h"
#include "base/log.h"

/* Steps between two looks at the signals. */
enum { STEPS_AT_ONCE = 64 };

/* Virtual time between two looks at the signals, nanoseconds. */
#define SLICE INT64_C(1000000000)

struct watch {
    stele_app *app;
    struct stele__signals signals;
    struct stele__blocking listener;
};

void stele_app_quit(stele_app *app)
{
    if (!app)
        return;
    stele__signal_set(&app->quit);
    stele__signals_wake();
}

/* True if the signals that are there, or stele_app_quit(), end the wait. */
static bool is_over(struct watch *watch)
{
    enum stele__woken woken = STELE__WOKEN_NOTE;

    if (stele__signal_is_set(&watch->app->quit))
        return true;
    while (woken == STELE__WOKEN_NOTE) {
        if (!stele__signals_poll(&watch->signals, &woken))
            return false;
    }
    return true;
}

static void wait_polling(struct watch *watch)
{
    stele_runtime *runtime = watch->app->runtime;
    struct pollfd descriptors[] = {
        {.fd = watch->signals.read_end, .events = POLLIN},
        {.fd = stele_runtime_descriptor(runtime), .events = POLLIN}, /* poll(2) passes a negative one over */
    };

    while (!is_over(watch)) {
        if (poll(descriptors, 2, -1) < 0 && errno != EINTR)
            return;
        stele_runtime_run(runtime, STEPS_AT_ONCE);
    }
}

/* True if something may still happen in a simulation. */
static bool is_alive(stele_runtime *runtime)
{
    struct stele_runtime_stats stats;

    stele_runtime_get_stats(runtime, &stats);
    return stats.ready > 0 || stats.timers > 0;
}

static void wait_simulated(struct watch *watch)
{
    stele_runtime *runtime = watch->app->runtime;

    while (!is_over(watch) && is_alive(runtime))
        stele__runtime_wait(runtime, &watch->app->quit, stele__runtime_monotonic(runtime) + SLICE);
}

/* Runs in a thread of its own while the app stops. */
static void listen_for_another(void *context)
{
    const struct watch *watch = context;
    enum stele__woken woken;

    do
        woken = stele__signals_next(&watch->signals);
    while (woken == STELE__WOKEN_NOTE);
    if (woken == STELE__WOKEN_SIGNAL)
        stele_bus_stop(watch->app->bus, 0, NULL, NULL);
}

static stele_status stop_watched(struct watch *watch, uint32_t timeout_ms, stele_error **error)
{
    stele_runtime *runtime = watch->app->runtime;
    stele_error *unheard = NULL;
    stele_status status;

    if (!stele_runtime_is_simulated(runtime) &&
        stele__blocking_start(runtime, &watch->listener, listen_for_another, watch, &unheard) != STELE_OK)
        STELE__LOG(STELE_LOG_WARNING, "a second signal will not be heard", {"error", stele_error_message(unheard)});
    status = stele_app_stop(watch->app, timeout_ms, NULL, error);
    stele__signals_end(&watch->signals);
    stele__blocking_join(&watch->listener);
    stele_error_free(unheard);
    return status;
}

stele_status stele_app_run(stele_app *app, uint32_t timeout_ms, stele_error **error)
{
    struct watch watch = {.app = app};
    stele_status status;

    if (!app)
        return stele__fail_argument(error, "app", "it is NULL");
    status = stele__signals_catch(&watch.signals, error);
    if (status != STELE_OK)
        return status;
    status = stele_app_start(app, error);
    if (status == STELE_OK) {
        if (stele_runtime_is_simulated(app->runtime))
            wait_simulated(&watch);
        else
            wait_polling(&watch);
        status = stop_watched(&watch, timeout_ms, error);
    }
    stele__signals_release(&watch.signals);
    return status;
}
