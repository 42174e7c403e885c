/*
 * Running what is ready in the caller's thread, one thing at a time: without
 * workers, and in a simulation.
 *
 * Timers that are overdue come first, then what is ready, in a simulation only
 * then the timers of this very instant: so that each timer is followed by what
 * it makes ready. Nothing can fail.
 */
#include "base/log.h"
#include "runtime/state.h"

/* Locked: a timer to fire before anything that is ready. */
static struct stele__timer *take_overdue(stele_runtime *runtime)
{
    const bool is_simulated = runtime->kind == STELE__SIMULATED;

    if (runtime->timers.count == 0)
        return NULL;
    return stele__timer_take(runtime, stele__runtime_monotonic(runtime) - is_simulated);
}

/* Locked: a timer to fire when nothing is ready. */
static struct stele__timer *take_due(stele_runtime *runtime)
{
    return runtime->timers.count == 0 ? NULL : stele__timer_take(runtime, stele__runtime_monotonic(runtime));
}

static void fire(stele_runtime *runtime, struct stele__timer *timer)
{
    stele__simulation_trace(runtime, "timer", timer->name);
    timer->fire(timer);
    atomic_fetch_add_explicit(&runtime->steps, 1, memory_order_relaxed);
}

/* Run one of the two, without the mutex; false if it was a mailbox with nothing to deliver. */
static bool run(stele_runtime *runtime, struct stele__timer *timer, struct stele__task *task)
{
    struct stele__frame frame;
    bool has_run = true;

    stele__frame_enter(&frame, runtime, NULL);
    if (timer)
        fire(runtime, timer);
    else
        has_run = stele__task_run(runtime, task, 1) > 0;
    stele__frame_leave(&frame);
    return has_run;
}

bool stele__step(stele_runtime *runtime)
{
    bool has_run = false;

    while (!has_run) {
        struct stele__timer *timer = NULL;
        struct stele__task *task = NULL;

        pthread_mutex_lock(&runtime->mutex);
        if (!runtime->stopped) {
            timer = take_overdue(runtime);
            if (!timer)
                task = stele__ready_pop(&runtime->ready, runtime->kind == STELE__SIMULATED ? &runtime->order : NULL);
            if (!timer && !task)
                timer = take_due(runtime);
        }
        pthread_mutex_unlock(&runtime->mutex);
        if (!timer && !task)
            return false;
        has_run = run(runtime, timer, task);
    }
    return true;
}

void stele__step_end(stele_runtime *runtime)
{
    pthread_mutex_lock(&runtime->mutex);
    stele__descriptor_update(runtime);
    pthread_mutex_unlock(&runtime->mutex);
}

size_t stele_runtime_run(stele_runtime *runtime, size_t most)
{
    size_t steps = 0;

    if (runtime->kind == STELE__WORKERS || stele__runtime_is_foreign(runtime))
        return 0;
    if (runtime->kind == STELE__SIMULATED)
        return stele__simulation_run(runtime, most, false);
    while ((most == 0 || steps < most) && stele__step(runtime))
        steps++;
    stele__step_end(runtime);
    return steps;
}

static void wait_for_quiet(stele_runtime *runtime)
{
    pthread_mutex_lock(&runtime->mutex);
    while (!runtime->stopped && !stele__runtime_is_quiet(runtime)) {
        const uint32_t seen = stele__futex_read(&runtime->changed);

        runtime->watchers++;
        pthread_mutex_unlock(&runtime->mutex);
        stele__futex_wait(&runtime->changed, seen);
        pthread_mutex_lock(&runtime->mutex);
        runtime->watchers--;
    }
    pthread_mutex_unlock(&runtime->mutex);
}

size_t stele_runtime_run_until_idle(stele_runtime *runtime)
{
    if (stele__runtime_is_foreign(runtime))
        return 0;
    if (runtime->kind == STELE__SIMULATED)
        return stele__simulation_run(runtime, 0, true);
    if (runtime->kind == STELE__DRIVEN)
        return stele_runtime_run(runtime, 0);
    if (stele__runtime_is_inside(runtime))
        stele__log(STELE_LOG_ERROR, "stele_runtime_run_until_idle() was called from inside a handler", NULL, 0);
    else
        wait_for_quiet(runtime);
    return 0;
}
