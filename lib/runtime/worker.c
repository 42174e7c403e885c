/*
 * The threads of a runtime: finding work, sleeping, standing in for each other.
 *
 *     a task is added -> is someone searching? -> no: the last one to fall asleep is woken, or, when all are
 *                                                 blocked, a spare one started
 *
 * A thread that finds nothing looks on for a moment without the mutex, one at a
 * time and only where there is a second processor; then it sleeps. Surplus threads
 * (after those they stood in for have come back) take no more work, and end.
 *
 * What can fail: starting a thread. At the beginning that is an error; later
 * what is ready waits for the threads there are.
 */
#include "base/log.h"
#include "base/memory.h"
#include "runtime/thread.h"
#include "runtime/state.h"

#include <errno.h>

#define NANOS_PER_MS INT64_C(1000000)

/* --- Who runs callbacks in this thread ------------------------------------------------------- */

static _Thread_local struct stele__frame *innermost;

void stele__frame_enter(struct stele__frame *frame, stele_runtime *runtime, struct stele__worker *worker)
{
    frame->runtime = runtime;
    frame->worker = worker;
    frame->outer = innermost;
    frame->depth = stele__frame_depth(runtime) + 1;
    innermost = frame;
}

void stele__frame_leave(struct stele__frame *frame)
{
    innermost = frame->outer;
}

unsigned stele__frame_depth(const stele_runtime *runtime)
{
    for (const struct stele__frame *frame = innermost; frame; frame = frame->outer) {
        if (frame->runtime == runtime)
            return frame->depth;
    }
    return 0;
}

bool stele__runtime_is_inside(const stele_runtime *runtime)
{
    return stele__frame_depth(runtime) > 0;
}

/* --- Starting and ending threads, locked ------------------------------------------------------ */

/* A place for a thread: one whose thread has ended, or a new one. */
static struct stele__worker *find_place(stele_runtime *runtime)
{
    struct stele__worker *worker;

    for (worker = runtime->workers; worker; worker = worker->next) {
        if (worker->state == STELE__WORKER_ENDED) {
            /* It has let the mutex go for the last time: this does not wait for long. */
            pthread_join(worker->thread, NULL);
            worker->state = STELE__WORKER_UNUSED;
        }
        if (worker->state == STELE__WORKER_UNUSED)
            return worker;
    }
    worker = stele__alloc(sizeof(*worker));
    if (worker && !stele__futex_init(&worker->futex)) {
        stele__free(worker, sizeof(*worker));
        worker = NULL;
    }
    if (worker) {
        worker->runtime = runtime;
        worker->next = runtime->workers;
        runtime->workers = worker;
    }
    return worker;
}

int stele__worker_start(stele_runtime *runtime, void *(*run)(void *), struct stele__worker **out)
{
    struct stele__worker *worker = find_place(runtime);
    const int code = worker ? stele__thread_start(&worker->thread, run, worker) : ENOMEM;

    if (code == 0) {
        worker->state = STELE__WORKER_ALIVE;
        *out = worker;
    }
    return code;
}

void stele__worker_end(struct stele__worker *worker)
{
    worker->state = STELE__WORKER_ENDED;
    stele__runtime_tell(worker->runtime);
}

void stele__runtime_tell(stele_runtime *runtime)
{
    if (runtime->watchers)
        stele__futex_wake(&runtime->changed);
}

bool stele__runtime_is_quiet(const stele_runtime *runtime)
{
    return !runtime->ready.first && runtime->busy == 0 &&
           (runtime->timers.count == 0 || stele__timer_next(runtime) > stele__runtime_monotonic(runtime));
}

/* --- Sleeping, locked ------------------------------------------------------------------------- */

static void lie_down(struct stele__worker *worker)
{
    stele_runtime *runtime = worker->runtime;

    worker->asleep = true;
    worker->below = runtime->asleep;
    runtime->asleep = worker;
    runtime->searching--;
    runtime->awake--;
}

static void get_up(struct stele__worker *worker)
{
    stele_runtime *runtime = worker->runtime;
    struct stele__worker **place = &runtime->asleep;

    while (*place != worker)
        place = &(*place)->below;
    *place = worker->below;
    worker->asleep = false;
    runtime->searching++;
    runtime->awake++;
}

static bool is_surplus(const stele_runtime *runtime)
{
    return runtime->threads > runtime->wanted;
}

/* Until somebody calls: true. Or a surplus thread for a while, or until nothing runs any more: false. */
static bool sleep_until_called(struct stele__worker *worker)
{
    stele_runtime *runtime = worker->runtime;
    bool was_long = false;

    lie_down(worker);
    while (worker->asleep && !runtime->stopped && !(was_long && is_surplus(runtime))) {
        const uint32_t seen = stele__futex_read(&worker->futex);

        was_long = is_surplus(runtime);
        pthread_mutex_unlock(&runtime->mutex);
        if (was_long)
            stele__futex_wait_for(&worker->futex, seen, STELE__IDLE_MS * NANOS_PER_MS);
        else
            stele__futex_wait(&worker->futex, seen);
        pthread_mutex_lock(&runtime->mutex);
    }
    if (!worker->asleep)
        return true;
    get_up(worker);
    return false;
}

/* Look on without the mutex; false if there was nothing to see. */
static bool spin(stele_runtime *runtime)
{
    int left = runtime->worker_spins;

    if (runtime->spinning || runtime->processors < 2)
        return false;
    runtime->spinning = true;
    pthread_mutex_unlock(&runtime->mutex);
    while (left-- > 0 && atomic_load_explicit(&runtime->ready.count, memory_order_acquire) == 0)
        stele__relax();
    pthread_mutex_lock(&runtime->mutex);
    runtime->spinning = false;
    runtime->worker_spins = stele__spins_after(runtime->worker_spins, runtime->ready.first);
    return runtime->ready.first;
}

/* --- Working ----------------------------------------------------------------------------------- */

size_t stele__task_run(stele_runtime *runtime, struct stele__task *task, size_t most)
{
    size_t steps = 1;

    if (!task->run) {
        steps = stele__mailbox_deliver((struct stele__mailbox *)task, most);
    } else {
        stele__simulation_trace(runtime, "task", task->name);
        task->run(task);
    }
    atomic_fetch_add_explicit(&runtime->steps, steps, memory_order_relaxed);
    return steps;
}

/* Locked before and after. */
static void run_task(struct stele__worker *worker, struct stele__task *task)
{
    stele_runtime *runtime = worker->runtime;
    struct stele__worker *other;

    runtime->searching--;
    runtime->busy++;
    worker->busy = true;
    other = stele__worker_call(runtime);
    pthread_mutex_unlock(&runtime->mutex);
    stele__worker_wake(runtime, other);
    stele__task_run(runtime, task, STELE__LETTERS);
    pthread_mutex_lock(&runtime->mutex);
    worker->busy = false;
    runtime->busy--;
    runtime->searching++;
    if (runtime->busy == 0 && !runtime->ready.first)
        stele__runtime_tell(runtime);
}

/* Locked: true if there may be something to do, false if the thread is to end. */
static bool look_around(struct stele__worker *worker)
{
    stele_runtime *runtime = worker->runtime;

    return (runtime->awake <= runtime->wanted && spin(runtime)) || sleep_until_called(worker);
}

static void *work(void *context)
{
    struct stele__worker *worker = context;
    stele_runtime *runtime = worker->runtime;
    struct stele__frame frame;

    stele__frame_enter(&frame, runtime, worker);
    pthread_mutex_lock(&runtime->mutex);
    while (!runtime->stopped) {
        struct stele__task *task = runtime->awake <= runtime->wanted ? stele__ready_pop(&runtime->ready, NULL) : NULL;

        if (task)
            run_task(worker, task);
        else if (!look_around(worker))
            break;
    }
    runtime->searching--;
    runtime->awake--;
    runtime->threads--;
    stele__worker_end(worker);
    pthread_mutex_unlock(&runtime->mutex);
    stele__frame_leave(&frame);
    return NULL;
}

static int start_worker(stele_runtime *runtime)
{
    struct stele__worker *worker;
    const int code = stele__worker_start(runtime, work, &worker);

    if (code == 0) {
        worker->is_keeper = false;
        runtime->threads++;
        runtime->awake++;
        runtime->searching++;
    }
    return code;
}

int stele__worker_start_all(stele_runtime *runtime)
{
    int code = 0;

    while (code == 0 && runtime->threads < runtime->wanted)
        code = start_worker(runtime);
    return code;
}

/* --- Calling others ------------------------------------------------------------------------------ */

/* Locked: threads in the place of others. */
static int count_spare(const stele_runtime *runtime)
{
    const int workers = is_surplus(runtime) ? runtime->threads - runtime->wanted : 0;

    return workers + (runtime->keepers > 1 ? runtime->keepers - 1 : 0);
}

/* Locked. */
static bool may_start_spare(stele_runtime *runtime)
{
    return !runtime->stopped && count_spare(runtime) < runtime->spare_most;
}

/* Locked: no more threads. It is logged later, without the mutex. */
static void complain(stele_runtime *runtime)
{
    int silent = STELE__SPARE_PLENTY;

    atomic_compare_exchange_strong(&runtime->spare, &silent, STELE__SPARE_OUT);
}

static void log_complaint(stele_runtime *runtime)
{
    int out = STELE__SPARE_OUT;

    if (atomic_load_explicit(&runtime->spare, memory_order_relaxed) == STELE__SPARE_OUT &&
        atomic_compare_exchange_strong(&runtime->spare, &out, STELE__SPARE_LOGGED))
        stele__log(STELE_LOG_WARNING, "all threads of a runtime wait, and there are no more: what is ready waits, too",
                   NULL, 0);
}

struct stele__worker *stele__worker_call(stele_runtime *runtime)
{
    struct stele__worker *worker = runtime->asleep;

    if (!runtime->ready.first || runtime->searching > 0 || runtime->awake >= runtime->wanted)
        return NULL;
    if (worker)
        get_up(worker);
    else if (!may_start_spare(runtime) || start_worker(runtime) != 0)
        complain(runtime);
    return worker;
}

void stele__worker_wake(stele_runtime *runtime, struct stele__worker *worker)
{
    if (worker)
        stele__futex_wake(&worker->futex);
    log_complaint(runtime);
}

/* --- Standing in ------------------------------------------------------------------------------------ */

void stele__runtime_overrun_begin(stele_runtime *runtime)
{
    struct stele__worker *other;

    if (runtime->kind != STELE__WORKERS)
        return;
    pthread_mutex_lock(&runtime->mutex);
    runtime->awake--;
    other = stele__worker_call(runtime);
    pthread_mutex_unlock(&runtime->mutex);
    stele__worker_wake(runtime, other);
}

void stele__runtime_overrun_end(stele_runtime *runtime)
{
    if (runtime->kind != STELE__WORKERS)
        return;
    pthread_mutex_lock(&runtime->mutex);
    runtime->awake++;
    pthread_mutex_unlock(&runtime->mutex);
}

/* The frame of the pool that this thread belongs to, if any. */
static const struct stele__frame *find_pool(void)
{
    const struct stele__frame *frame = innermost;

    while (frame && !frame->worker)
        frame = frame->outer;
    return frame;
}

static void block_keeper(struct stele__worker *worker)
{
    stele_runtime *runtime = worker->runtime;

    pthread_mutex_lock(&runtime->mutex);
    if (runtime->keeper == worker && (!may_start_spare(runtime) || !stele__keeper_start(runtime)))
        complain(runtime);
    pthread_mutex_unlock(&runtime->mutex);
    log_complaint(runtime);
}

void stele__block_begin(void)
{
    const struct stele__frame *frame = find_pool();

    if (frame && frame->worker->is_keeper)
        block_keeper(frame->worker);
    else if (frame)
        stele__runtime_overrun_begin(frame->runtime);
}

void stele__block_end(void)
{
    const struct stele__frame *frame = find_pool();

    if (frame && !frame->worker->is_keeper)
        stele__runtime_overrun_end(frame->runtime);
}
