/*
 * Making, stopping and freeing runtimes, and what is asked of them.
 *
 *     new -> ... -> stop: no more timers; what is ready runs, until the time is up; nothing runs; threads end -> free
 *
 * What can fail: memory, threads; stopping, when a callback does not return:
 * then its thread and the runtime's memory are left to it.
 */
#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"
#include "runtime/state.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#define NANOS_PER_MS INT64_C(1000000)
#define NANOS_PER_SECOND INT64_C(1000000000)
enum { FREE_TIMEOUT_MS = 5000 };

/* --- Making ------------------------------------------------------------------------------------ */

static unsigned count_processors(void)
{
    const long online = sysconf(_SC_NPROCESSORS_ONLN);

    return online > 1 ? (unsigned)online : 1;
}

static stele_runtime *make(enum stele__runtime_kind kind)
{
    stele_runtime *runtime = stele__fork_watch() ? stele__alloc(sizeof(*runtime)) : NULL;

    if (!runtime)
        return NULL;
    runtime->kind = kind;
    runtime->generation = stele__fork_generation();
    runtime->clock = stele_clock_system();
    runtime->processors = count_processors();
    runtime->descriptor = runtime->event_descriptor = runtime->timer_descriptor = -1;
    stele__vector_init(&runtime->timers, sizeof(struct stele__timer *));
    if (pthread_mutex_init(&runtime->mutex, NULL) != 0)
        goto no_mutex;
    if (!stele__futex_init(&runtime->changed))
        goto no_futex;
    return runtime;

no_futex:
    pthread_mutex_destroy(&runtime->mutex);
no_mutex:
    stele__free(runtime, sizeof(*runtime));
    return NULL;
}

static void destroy(stele_runtime *runtime)
{
    struct stele__worker *worker = runtime->workers;

    while (worker) {
        struct stele__worker *next = worker->next;

        stele__futex_fini(&worker->futex);
        stele__free(worker, sizeof(*worker));
        worker = next;
    }
    stele__descriptor_close(runtime);
    if (runtime->kind == STELE__SIMULATED)
        stele__simulation_fini(runtime);
    stele__vector_fini(&runtime->timers);
    stele__futex_fini(&runtime->changed);
    pthread_mutex_destroy(&runtime->mutex);
    stele__free(runtime, sizeof(*runtime));
}

static stele_status start(stele_runtime *runtime, unsigned threads, stele_error **error)
{
    int code;

    pthread_mutex_lock(&runtime->mutex);
    runtime->wanted = (int)threads;
    code = stele__worker_start_all(runtime);
    pthread_mutex_unlock(&runtime->mutex);
    if (code == ENOMEM)
        return stele__fail_memory(error);
    return code == 0 ? STELE_OK
                     : stele__fail(error, STELE_IO, "%u threads cannot be started: %s", threads, strerror(code));
}

static stele_status check(unsigned threads, const struct stele_runtime_options *options, stele_runtime **out,
                          stele_error **error)
{
    if (!out)
        return stele__fail_argument(error, "out", "is NULL");
    if (threads > STELE__THREADS_MAX)
        return stele__fail_argument(error, "threads", "is above 1024");
    return stele__options_check(options, sizeof(*options), sizeof(*options), "options", error);
}

stele_status stele_runtime_new(unsigned threads, const struct stele_runtime_options *options, stele_runtime **out,
                               stele_error **error)
{
    stele_status status = check(threads, options, out, error);
    stele_runtime *runtime;

    if (status != STELE_OK)
        return status;
    runtime = make(threads > 0 ? STELE__WORKERS : STELE__DRIVEN);
    if (!runtime)
        return stele__fail_memory(error);
    if (options && options->clock)
        runtime->clock = options->clock;
    runtime->random = stele__random();
    runtime->spare_most = STELE__SPARE_DEFAULT;
    if (options && options->spare_threads)
        runtime->spare_most = options->spare_threads < INT_MAX ? (int)options->spare_threads : INT_MAX;
    status = start(runtime, threads, error);
    if (status == STELE_OK)
        *out = runtime;
    else
        stele_runtime_free(runtime);
    return status;
}

stele_status stele_runtime_simulated(uint64_t seed, stele_runtime **out, stele_error **error)
{
    stele_runtime *runtime;

    if (!out)
        return stele__fail_argument(error, "out", "is NULL");
    runtime = make(STELE__SIMULATED);
    if (!runtime)
        return stele__fail_memory(error);
    if (!stele__simulation_init(runtime, seed)) {
        destroy(runtime);
        return stele__fail_memory(error);
    }
    *out = runtime;
    return STELE_OK;
}

/* --- Asking ------------------------------------------------------------------------------------ */

uint64_t stele_runtime_seed(const stele_runtime *runtime)
{
    return runtime->seed;
}

bool stele_runtime_is_simulated(const stele_runtime *runtime)
{
    return runtime->kind == STELE__SIMULATED;
}

const struct stele_clock *stele_runtime_clock(const stele_runtime *runtime)
{
    return runtime->clock;
}

int64_t stele__runtime_monotonic(const stele_runtime *runtime)
{
    return runtime->clock->monotonic(runtime->clock->context);
}

int64_t stele__runtime_now(const stele_runtime *runtime)
{
    return runtime->clock->now(runtime->clock->context);
}

uint64_t stele_runtime_random(stele_runtime *runtime)
{
    uint64_t number;

    pthread_mutex_lock(&runtime->mutex);
    number = stele__random_next(&runtime->random);
    pthread_mutex_unlock(&runtime->mutex);
    return number;
}

void stele_runtime_get_stats(stele_runtime *runtime, struct stele_runtime_stats *out)
{
    int spare;

    pthread_mutex_lock(&runtime->mutex);
    spare = runtime->threads - runtime->wanted;
    *out = (struct stele_runtime_stats){
        .workers = (unsigned)runtime->threads,
        .spare_workers = spare > 0 ? (unsigned)spare : 0,
        .steps = atomic_load_explicit(&runtime->steps, memory_order_relaxed),
        .timers = runtime->timers.count,
        .ready = atomic_load_explicit(&runtime->ready.count, memory_order_relaxed),
    };
    pthread_mutex_unlock(&runtime->mutex);
}

/* --- What is ready ------------------------------------------------------------------------------- */

bool stele__runtime_add(stele_runtime *runtime, struct stele__task *task)
{
    struct stele__worker *worker = NULL;
    bool is_added;

    pthread_mutex_lock(&runtime->mutex);
    is_added = !runtime->stopped;
    if (is_added) {
        stele__ready_push(&runtime->ready, task);
        worker = stele__worker_call(runtime);
        stele__waiter_rouse(runtime);
        stele__descriptor_update(runtime);
    }
    pthread_mutex_unlock(&runtime->mutex);
    stele__worker_wake(runtime, worker);
    return is_added;
}

void stele__runtime_post(stele_runtime *runtime, struct stele__task *task)
{
    stele__runtime_add(runtime, task);
}

bool stele__runtime_is_stopped(stele_runtime *runtime)
{
    bool is_stopped;

    pthread_mutex_lock(&runtime->mutex);
    is_stopped = runtime->stopped;
    pthread_mutex_unlock(&runtime->mutex);
    return is_stopped;
}

/* --- Stopping ------------------------------------------------------------------------------------ */

static int64_t read_clock(void)
{
    const struct stele_clock *clock = stele_clock_system();

    return clock->monotonic(clock->context);
}

/* Locked before and after: sleep until a callback or a thread has ended, or for so long. */
static void watch(stele_runtime *runtime, int64_t nanoseconds)
{
    const uint32_t seen = stele__futex_read(&runtime->changed);

    runtime->watchers++;
    pthread_mutex_unlock(&runtime->mutex);
    stele__futex_wait_for(&runtime->changed, seen, nanoseconds);
    pthread_mutex_lock(&runtime->mutex);
    runtime->watchers--;
}

/* Locked: callbacks of a simulation that wait do not count as busy. */
static bool is_drained(const stele_runtime *runtime)
{
    return stele__runtime_is_quiet(runtime) && !runtime->waiting;
}

/* Locked before and after: true once nothing is ready or running. */
static bool drain(stele_runtime *runtime, int64_t end)
{
    bool is_quiet;

    while (!(is_quiet = is_drained(runtime)) && read_clock() < end) {
        if (runtime->kind == STELE__WORKERS) {
            watch(runtime, end - read_clock());
            continue;
        }
        pthread_mutex_unlock(&runtime->mutex);
        if (runtime->kind == STELE__SIMULATED)
            stele__simulation_unwind(runtime);
        else
            stele__step(runtime);
        pthread_mutex_lock(&runtime->mutex);
    }
    return is_quiet;
}

/* Locked: what is ready will not run. */
static void drop_ready(stele_runtime *runtime)
{
    struct stele__task *task;

    while ((task = stele__ready_pop(&runtime->ready, NULL))) {
        if (!task->run)
            stele__mailbox_unschedule((struct stele__mailbox *)task);
    }
}

/* Locked before and after: end the threads but those that are in a callback. True if there are none of these. */
static bool end_threads(stele_runtime *runtime)
{
    bool all_ended = stele__carrier_end_all(runtime);

    for (struct stele__worker *worker = runtime->workers; worker; worker = worker->next) {
        if (worker->state == STELE__WORKER_ALIVE)
            stele__futex_wake(&worker->futex);
    }
    for (struct stele__worker *worker = runtime->workers; worker; worker = worker->next) {
        while (worker->state == STELE__WORKER_ALIVE && !worker->busy)
            watch(runtime, NANOS_PER_SECOND);
        all_ended = all_ended && worker->state != STELE__WORKER_ALIVE;
        if (worker->state == STELE__WORKER_ENDED) {
            pthread_join(worker->thread, NULL);
            worker->state = STELE__WORKER_UNUSED;
        }
    }
    return all_ended;
}

/* Whether all ended well; `*all_ended`: whether no thread is left. */
static bool stop(stele_runtime *runtime, uint32_t timeout_ms, bool *all_ended)
{
    const int64_t end = read_clock() + (int64_t)timeout_ms * NANOS_PER_MS;
    bool is_quiet;

    pthread_mutex_lock(&runtime->mutex);
    runtime->stopping = true;
    is_quiet = drain(runtime, end);
    runtime->stopped = true;
    drop_ready(runtime);
    *all_ended = end_threads(runtime);
    stele__runtime_tell(runtime);
    stele__descriptor_update(runtime);
    pthread_mutex_unlock(&runtime->mutex);
    return is_quiet && *all_ended;
}

stele_status stele_runtime_stop(stele_runtime *runtime, uint32_t timeout_ms, stele_error **error)
{
    bool all_ended;

    if (!runtime)
        return stele__fail_argument(error, "runtime", "is NULL");
    if (stele__runtime_is_foreign(runtime))
        return stele__fail(error, STELE_FORKED,
                           "the runtime was made before fork(): fork first, and make one in each process");
    if (stele__runtime_is_inside(runtime))
        return stele__fail(error, STELE_INVALID, "a runtime is not stopped from inside one of its handlers");
    if (!stop(runtime, timeout_ms, &all_ended))
        return stele__fail(error, STELE_TIMEOUT, "something was still %s after %u ms", all_ended ? "ready" : "running",
                           timeout_ms);
    return STELE_OK;
}

void stele_runtime_free(stele_runtime *runtime)
{
    bool all_ended = false;

    if (!runtime || stele__runtime_is_foreign(runtime))
        return;
    if (!stele__runtime_is_inside(runtime))
        stop(runtime, FREE_TIMEOUT_MS, &all_ended);
    if (all_ended)
        destroy(runtime);
    else
        stele__log(STELE_LOG_ERROR, "a runtime is not freed: one of its handlers has not returned", NULL, 0);
}
