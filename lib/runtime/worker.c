/*
 * The threads of a runtime: finding work, sleeping, standing in for each other.
 *
 *     a task is added -> too few awake? -> the last one to fall asleep is given it and woken, or, when all are
 *                                          blocked, a spare one started
 *
 * A thread that finds nothing spins for a moment before it sleeps: one at a time,
 * where there is a second processor, and if that was, or would have been, worth it
 * the last time. Surplus threads (after those they stood in for have come back)
 * take no more work, and end.
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

/* The one that spins stays the uppermost. */
static void lie_down(struct stele__worker *worker)
{
    stele_runtime *runtime = worker->runtime;
    struct stele__worker **place = runtime->has_spinning ? &runtime->asleep->below : &runtime->asleep;

    worker->asleep = true;
    worker->below = *place;
    *place = worker;
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
    runtime->awake++;
}

static void end_spinning(struct stele__worker *worker)
{
    worker->runtime->has_spinning = false;
    worker->is_spinning = false;
}

/* Give the next task to the uppermost. True if it has to be woken for that. */
static bool hand_over(struct stele__worker *worker)
{
    stele_runtime *runtime = worker->runtime;
    struct stele__task *task = stele__ready_pop(&runtime->ready, NULL);
    const bool is_spinning = worker->is_spinning;

    get_up(worker);
    runtime->busy++;
    worker->busy = true;
    if (is_spinning)
        end_spinning(worker);
    else
        atomic_fetch_add_explicit(&runtime->rising, 1, memory_order_relaxed);
    worker->is_to_call = runtime->ready.first;
    atomic_store_explicit(&worker->task, task, memory_order_release);
    return !is_spinning;
}

static bool is_surplus(const stele_runtime *runtime)
{
    return runtime->threads > runtime->wanted;
}

/* Not locked: what this thread was called for, if it was. */
static struct stele__task *take_given(struct stele__worker *worker)
{
    struct stele__task *task = atomic_load_explicit(&worker->task, memory_order_acquire);

    if (task)
        atomic_store_explicit(&worker->task, NULL, memory_order_relaxed);
    return task;
}

/* Locked after only if it is NULL. */
static struct stele__task *take_or_lock(struct stele__worker *worker)
{
    struct stele__task *task = take_given(worker);

    if (task)
        return task;
    pthread_mutex_lock(&worker->runtime->mutex);
    task = take_given(worker);
    if (task)
        pthread_mutex_unlock(&worker->runtime->mutex);
    return task;
}

/* Whether it is called soon, by the last time: it spun with success, or hardly slept. */
static bool is_in_demand(struct stele__worker *worker)
{
    const stele_runtime *runtime = worker->runtime;
    const int64_t slept = worker->slept;

    if (worker->has_spun)
        return true;
    worker->slept = stele__runtime_monotonic(runtime);
    return worker->slept - slept < STELE__SHORT_WAIT;
}

static bool may_spin(struct stele__worker *worker)
{
    const stele_runtime *runtime = worker->runtime;

    return runtime->processors > 1 && !runtime->has_spinning && runtime->awake < runtime->wanted &&
           is_in_demand(worker);
}

/* Locked before; after only if it is NULL. */
static struct stele__task *spin(struct stele__worker *worker)
{
    stele_runtime *runtime = worker->runtime;
    struct stele__task *task = NULL;

    runtime->has_spinning = worker->is_spinning = true;
    pthread_mutex_unlock(&runtime->mutex);
    for (int look = 0; !(task = take_given(worker)) && look < STELE__SPINS; look++)
        stele__spin_pause(look);
    if (!task)
        task = take_or_lock(worker);
    worker->has_spun = task;
    if (!task)
        end_spinning(worker);
    return task;
}

/* The same, after sleeping once. */
static struct stele__task *sleep_once(struct stele__worker *worker, bool for_a_while)
{
    stele_runtime *runtime = worker->runtime;
    const uint32_t seen = stele__futex_read(&worker->futex);
    struct stele__task *task;

    pthread_mutex_unlock(&runtime->mutex);
    if (for_a_while)
        stele__futex_wait_for(&worker->futex, seen, STELE__IDLE_MS * NANOS_PER_MS);
    else
        stele__futex_wait(&worker->futex, seen);
    task = take_or_lock(worker);
    if (task)
        atomic_fetch_sub_explicit(&runtime->rising, 1, memory_order_relaxed);
    return task;
}

/* The same, until somebody calls; NULL: nothing runs any more, or it is a surplus thread, after a while. */
static struct stele__task *sleep_until_called(struct stele__worker *worker)
{
    stele_runtime *runtime = worker->runtime;
    struct stele__task *task = NULL;
    bool was_surplus = false;

    lie_down(worker);
    if (may_spin(worker))
        task = spin(worker);
    while (!task && !runtime->stopped && !(was_surplus && is_surplus(runtime))) {
        was_surplus = is_surplus(runtime);
        task = sleep_once(worker, was_surplus);
    }
    if (!task) {
        get_up(worker);
        runtime->searching++;
    }
    return task;
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

/* Locked before; not after if there is one. */
static struct stele__task *take_next(struct stele__worker *worker)
{
    stele_runtime *runtime = worker->runtime;
    struct stele__task *task = runtime->awake <= runtime->wanted ? stele__ready_pop(&runtime->ready, NULL) : NULL;
    struct stele__worker *other;

    if (!task)
        return NULL;
    runtime->searching--;
    runtime->busy++;
    worker->busy = true;
    other = stele__worker_call(runtime);
    pthread_mutex_unlock(&runtime->mutex);
    stele__worker_wake(runtime, other);
    return task;
}

/* Locked after. */
static void run_task(struct stele__worker *worker, struct stele__task *task)
{
    stele_runtime *runtime = worker->runtime;

    stele__task_run(runtime, task, STELE__LETTERS);
    pthread_mutex_lock(&runtime->mutex);
    worker->busy = false;
    runtime->busy--;
    runtime->searching++;
    if (runtime->busy == 0 && !runtime->ready.first)
        stele__runtime_tell(runtime);
}

/* Not locked: while threads were starting, more than one thing became ready. */
static void call_next(stele_runtime *runtime)
{
    struct stele__worker *other;

    pthread_mutex_lock(&runtime->mutex);
    other = stele__worker_call(runtime);
    pthread_mutex_unlock(&runtime->mutex);
    stele__worker_wake(runtime, other);
}

static void *work(void *context)
{
    struct stele__worker *worker = context;
    stele_runtime *runtime = worker->runtime;
    struct stele__frame frame;

    stele__frame_enter(&frame, runtime, worker);
    pthread_mutex_lock(&runtime->mutex);
    while (!runtime->stopped) {
        struct stele__task *task = take_next(worker);

        if (!task) {
            task = sleep_until_called(worker);
            if (!task)
                break;
            if (worker->is_to_call)
                call_next(runtime);
        }
        run_task(worker, task);
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
        return hand_over(worker) ? worker : NULL;
    if (!may_start_spare(runtime) || start_worker(runtime) != 0)
        complain(runtime);
    return NULL;
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
