/*
 * Timers: a binary heap by due time, then by order of starting.
 *
 *     start -> the heap -> due -> fire: by the keeper, a thread of its own that the first timer starts;
 *                                 without workers, by whoever runs steps
 *
 * A timer remembers its place in the heap, so that cancelling finds it. The
 * keeper sleeps until the earliest is due, and is woken only for one that is
 * earlier than that: starting and cancelling timeouts that are never reached
 * wakes nobody. When a callback of the keeper waits, another keeper takes over,
 * and the first one ends after its callback.
 *
 * What can fail: memory for the heap, and the first timer's thread.
 */
#include "runtime/state.h"

static struct stele__timer **item(const stele_runtime *runtime, size_t place)
{
    return (struct stele__timer **)stele__vector_at(&runtime->timers, place - 1);
}

static void put(stele_runtime *runtime, size_t place, struct stele__timer *timer)
{
    *item(runtime, place) = timer;
    timer->place = place;
}

static bool is_before(const struct stele__timer *left, const struct stele__timer *right)
{
    return left->due != right->due ? left->due < right->due : left->order < right->order;
}

static void sift_up(stele_runtime *runtime, size_t place, struct stele__timer *timer)
{
    for (; place > 1 && is_before(timer, *item(runtime, place / 2)); place /= 2)
        put(runtime, place, *item(runtime, place / 2));
    put(runtime, place, timer);
}

static void sift_down(stele_runtime *runtime, size_t place, struct stele__timer *timer)
{
    const size_t count = runtime->timers.count;

    while (place * 2 <= count) {
        size_t child = place * 2;

        if (child < count && is_before(*item(runtime, child + 1), *item(runtime, child)))
            child++;
        if (!is_before(*item(runtime, child), timer))
            break;
        put(runtime, place, *item(runtime, child));
        place = child;
    }
    put(runtime, place, timer);
}

static bool add(stele_runtime *runtime, struct stele__timer *timer)
{
    if (!stele__vector_add(&runtime->timers))
        return false;
    timer->order = ++runtime->timer_order;
    sift_up(runtime, runtime->timers.count, timer);
    return true;
}

static void take_out(stele_runtime *runtime, struct stele__timer *timer)
{
    struct stele__timer *last = *item(runtime, runtime->timers.count);
    const size_t place = timer->place;

    stele__vector_truncate(&runtime->timers, runtime->timers.count - 1);
    timer->place = 0;
    if (last == timer)
        return;
    if (place > 1 && is_before(last, *item(runtime, place / 2)))
        sift_up(runtime, place, last);
    else
        sift_down(runtime, place, last);
}

int64_t stele__timer_next(const stele_runtime *runtime)
{
    return runtime->timers.count > 0 && !runtime->stopping ? (*item(runtime, 1))->due : INT64_MAX;
}

struct stele__timer *stele__timer_take(stele_runtime *runtime, int64_t time)
{
    struct stele__timer *timer = NULL;

    if (runtime->timers.count > 0 && stele__timer_next(runtime) <= time) {
        timer = *item(runtime, 1);
        take_out(runtime, timer);
    }
    return timer;
}

/* --- The keeper ------------------------------------------------------------------------------ */

void stele__keeper_wake(stele_runtime *runtime)
{
    if (runtime->keeper)
        stele__futex_wake(&runtime->keeper->futex);
}

/* Locked before and after. */
static void sleep_until(struct stele__worker *worker, int64_t due, int64_t now)
{
    stele_runtime *runtime = worker->runtime;
    const uint32_t seen = stele__futex_read(&worker->futex);

    runtime->keeper_until = due;
    pthread_mutex_unlock(&runtime->mutex);
    if (due == INT64_MAX)
        stele__futex_wait(&worker->futex, seen);
    else
        stele__futex_wait_for(&worker->futex, seen, due - now);
    pthread_mutex_lock(&runtime->mutex);
    /* Another one may be the keeper since. */
    if (runtime->keeper == worker)
        runtime->keeper_until = INT64_MIN;
}

/* Locked before and after. */
static void fire(struct stele__worker *worker, struct stele__timer *timer)
{
    stele_runtime *runtime = worker->runtime;

    runtime->busy++;
    worker->busy = true;
    pthread_mutex_unlock(&runtime->mutex);
    timer->fire(timer);
    atomic_fetch_add_explicit(&runtime->steps, 1, memory_order_relaxed);
    pthread_mutex_lock(&runtime->mutex);
    worker->busy = false;
    runtime->busy--;
    stele__runtime_tell(runtime);
}

/* Locked: when to look again. Without workers the keeper only tells that something is due, to whoever polls. */
static int64_t announce_next(stele_runtime *runtime, int64_t now)
{
    const int64_t next = stele__timer_next(runtime);

    if (next > now)
        return next;
    stele__descriptor_update(runtime);
    return INT64_MAX;
}

static void *keep_time(void *context)
{
    struct stele__worker *worker = context;
    stele_runtime *runtime = worker->runtime;
    struct stele__frame frame;

    stele__frame_enter(&frame, runtime, worker);
    pthread_mutex_lock(&runtime->mutex);
    while (!runtime->stopping && runtime->keeper == worker) {
        const int64_t now = stele__runtime_monotonic(runtime);
        struct stele__timer *timer = runtime->kind == STELE__WORKERS ? stele__timer_take(runtime, now) : NULL;

        if (timer)
            fire(worker, timer);
        else
            sleep_until(worker, announce_next(runtime, now), now);
    }
    if (runtime->keeper == worker)
        runtime->keeper = NULL;
    runtime->keepers--;
    stele__worker_end(worker);
    pthread_mutex_unlock(&runtime->mutex);
    stele__frame_leave(&frame);
    return NULL;
}

bool stele__keeper_start(stele_runtime *runtime)
{
    struct stele__worker *worker;

    if (stele__worker_start(runtime, keep_time, &worker) != 0)
        return false;
    worker->is_keeper = true;
    runtime->keeper = worker;
    runtime->keeper_until = INT64_MIN;
    runtime->keepers++;
    return true;
}

/* --- Starting and cancelling ------------------------------------------------------------------- */

/* Locked: a timer has become the first one. */
static void hurry(stele_runtime *runtime, int64_t due)
{
    if (runtime->kind == STELE__DRIVEN) {
        stele__waiter_rouse(runtime);
        stele__descriptor_update(runtime);
    } else if (runtime->kind == STELE__WORKERS && due < runtime->keeper_until) {
        runtime->keeper_until = due;
        stele__keeper_wake(runtime);
    }
}

/* Locked. */
static bool has_keeper(stele_runtime *runtime)
{
    return runtime->kind != STELE__WORKERS || runtime->keeper || runtime->stopping || stele__keeper_start(runtime);
}

bool stele__timer_start(stele_runtime *runtime, struct stele__timer *timer, int64_t delay)
{
    const int64_t now = stele__runtime_monotonic(runtime);
    bool started;

    timer->runtime = runtime;
    if (delay < 0)
        delay = 0;
    timer->due = delay < INT64_MAX - now ? now + delay : INT64_MAX;
    pthread_mutex_lock(&runtime->mutex);
    started = has_keeper(runtime) && add(runtime, timer);
    if (started && timer->place == 1)
        hurry(runtime, timer->due);
    pthread_mutex_unlock(&runtime->mutex);
    return started;
}

bool stele__timer_cancel(struct stele__timer *timer)
{
    stele_runtime *runtime = timer->runtime;
    bool was_waiting;

    if (!runtime)
        return false;
    pthread_mutex_lock(&runtime->mutex);
    was_waiting = timer->place > 0;
    if (was_waiting) {
        take_out(runtime, timer);
        stele__runtime_tell(runtime);
        if (runtime->kind == STELE__DRIVEN)
            stele__descriptor_update(runtime);
    }
    pthread_mutex_unlock(&runtime->mutex);
    return was_waiting;
}
