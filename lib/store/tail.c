/*
 * Waking a reader of the log: a task that is posted once however often it is
 * woken, one timer, and an end that waits for both.
 *
 *     new ── go
 *             │
 *             ▼
 *     idle ── wake ──► posted ──► running ──► idle
 *                        ▲           │ wake
 *                        └─ again ◄──┘
 *
 * What can fail: finding the head, the thread of the watch, the timer's memory
 * (the next commit wakes as well).
 */
#include "store/tail.h"

#include "base/error.h"
#include "base/log.h"
#include "store/store.h"

enum task_state { TASK_NEW, TASK_IDLE, TASK_POSTED, TASK_RUNNING, TASK_AGAIN, TASK_ENDED };

/* --- Waking ------------------------------------------------------------------------------- */

void stele__tail_wake(struct stele__tail *tail)
{
    int state = atomic_load(&tail->state);

    for (;;) {
        if (state == TASK_IDLE) {
            if (atomic_compare_exchange_weak(&tail->state, &state, TASK_POSTED)) {
                stele__runtime_post(tail->runtime, &tail->task);
                return;
            }
        } else if (state != TASK_RUNNING || atomic_compare_exchange_weak(&tail->state, &state, TASK_AGAIN)) {
            return;
        }
    }
}

bool stele__tail_raise_head(struct stele__tail *tail, uint64_t head)
{
    uint64_t known = atomic_load(&tail->head);

    while (known < head) {
        if (atomic_compare_exchange_weak(&tail->head, &known, head))
            return true;
    }
    return false;
}

static void committed(struct stele__listener *listener, uint64_t head)
{
    struct stele__tail *tail = (struct stele__tail *)((char *)listener - offsetof(struct stele__tail, listener));

    if (stele__tail_raise_head(tail, head))
        stele__tail_wake(tail);
}

static void fire(struct stele__timer *timer)
{
    struct stele__tail *tail = (struct stele__tail *)((char *)timer - offsetof(struct stele__tail, timer));
    bool is_stopping;

    pthread_mutex_lock(&tail->mutex);
    tail->timer_waits = false;
    is_stopping = stele__tail_is_stopping(tail);
    /* Under the mutex, which who waits takes before it frees. */
    if (is_stopping)
        stele__signal_set(&tail->fired);
    pthread_mutex_unlock(&tail->mutex);
    if (!is_stopping)
        stele__tail_wake(tail);
}

void stele__tail_wake_in(struct stele__tail *tail, int64_t pause)
{
    const int64_t due = stele__runtime_monotonic(tail->runtime) + pause;

    pthread_mutex_lock(&tail->mutex);
    if (tail->timer_waits && due < tail->timer_due && stele__timer_cancel(&tail->timer))
        tail->timer_waits = false;
    if (!tail->timer_waits && !stele__tail_is_stopping(tail)) {
        tail->timer_waits = stele__timer_start(tail->runtime, &tail->timer, pause);
        tail->timer_due = due;
        if (!tail->timer_waits)
            STELE__LOG(STELE_LOG_WARNING, "out of memory: a reader waits for the next commit",
                       {"reader", tail->task.name});
    }
    pthread_mutex_unlock(&tail->mutex);
}

/* --- The task ------------------------------------------------------------------------------ */

/* Under the mutex, which who waits takes before it frees. */
static void end_task(struct stele__tail *tail)
{
    pthread_mutex_lock(&tail->mutex);
    atomic_store(&tail->state, TASK_ENDED);
    stele__signal_set(&tail->ended);
    pthread_mutex_unlock(&tail->mutex);
}

/* As soon as the state is idle or ended the tail may be gone. */
static void run(struct stele__task *task)
{
    struct stele__tail *tail = (struct stele__tail *)((char *)task - offsetof(struct stele__tail, task));
    int state = TASK_RUNNING;

    atomic_store(&tail->state, TASK_RUNNING);
    if (!stele__tail_is_stopping(tail) && tail->step(tail))
        stele__tail_wake(tail);
    if (stele__tail_is_stopping(tail)) {
        end_task(tail);
    } else if (!atomic_compare_exchange_strong(&tail->state, &state, TASK_IDLE)) {
        atomic_store(&tail->state, TASK_POSTED);
        stele__runtime_post(tail->runtime, &tail->task);
    }
}

/* --- Beginning and ending -------------------------------------------------------------------- */

stele_status stele__tail_find_head(struct stele__tail *tail, stele_error **error)
{
    stele_error *why = NULL;
    uint64_t head = 0;
    const stele_status status = stele_wait(tail->store, 0, 0, &head, &why);

    if (status == STELE_OK || status == STELE_TIMEOUT) {
        stele_error_free(why);
        stele__tail_raise_head(tail, head);
        return STELE_OK;
    }
    if (error)
        *error = why;
    else
        stele_error_free(why);
    return status;
}

stele_status stele__tail_init(struct stele__tail *tail, stele_store *store, stele_runtime *runtime, const char *name,
                              bool (*step)(struct stele__tail *tail), stele_error **error)
{
    tail->store = store;
    tail->runtime = runtime;
    tail->step = step;
    tail->listener.committed = committed;
    tail->task = (struct stele__task){.name = name, .priority = STELE__PRIORITY_DEFAULT, .run = run};
    tail->timer = (struct stele__timer){.name = name, .fire = fire};
    atomic_init(&tail->state, TASK_NEW);
    atomic_init(&tail->head, 0);
    atomic_init(&tail->is_stopping, false);
    tail->is_watching = tail->timer_waits = false;
    if (pthread_mutex_init(&tail->mutex, NULL) != 0)
        return stele__fail_memory(error);
    if (stele__signal_init(&tail->ended)) {
        if (stele__signal_init(&tail->fired))
            return STELE_OK;
        stele__signal_fini(&tail->ended);
    }
    pthread_mutex_destroy(&tail->mutex);
    return stele__fail_memory(error);
}

void stele__tail_fini(struct stele__tail *tail)
{
    stele__signal_fini(&tail->ended);
    stele__signal_fini(&tail->fired);
    pthread_mutex_destroy(&tail->mutex);
}

stele_status stele__tail_start(struct stele__tail *tail, stele_error **error)
{
    stele_status status = STELE_OK;

    stele__listeners_add(&tail->store->listeners, &tail->listener);
    if (!stele_runtime_is_simulated(tail->runtime))
        status = stele__watch_begin(&tail->store->watch, error);
    tail->is_watching = status == STELE_OK && !stele_runtime_is_simulated(tail->runtime);
    /* Behind the listener: what is committed in between is told twice, not never. */
    if (status == STELE_OK)
        status = stele__tail_find_head(tail, error);
    if (status != STELE_OK)
        stele__tail_end(tail);
    return status;
}

void stele__tail_go(struct stele__tail *tail)
{
    atomic_store(&tail->state, TASK_IDLE);
    stele__tail_wake(tail);
}

void stele__tail_stop(struct stele__tail *tail)
{
    bool was_stopping;

    pthread_mutex_lock(&tail->mutex);
    was_stopping = atomic_exchange(&tail->is_stopping, true);
    if (!was_stopping && tail->timer_waits && stele__timer_cancel(&tail->timer))
        tail->timer_waits = false;
    pthread_mutex_unlock(&tail->mutex);
    if (was_stopping)
        return;
    stele__listeners_remove(&tail->store->listeners, &tail->listener);
    if (tail->is_watching)
        stele__watch_end(&tail->store->watch);
}

static void wait_for(struct stele__tail *tail, struct stele__signal *signal)
{
    stele__runtime_wait(tail->runtime, signal, INT64_MAX);
    pthread_mutex_lock(&tail->mutex);
    pthread_mutex_unlock(&tail->mutex);
}

/* It is in `state`, in which nothing runs: nothing ever will. */
static bool end_from(struct stele__tail *tail, int state)
{
    if (!atomic_compare_exchange_strong(&tail->state, &state, TASK_ENDED))
        return false;
    stele__signal_set(&tail->ended);
    return true;
}

void stele__tail_end(struct stele__tail *tail)
{
    bool is_firing;

    stele__tail_stop(tail);
    pthread_mutex_lock(&tail->mutex);
    is_firing = tail->timer_waits;
    pthread_mutex_unlock(&tail->mutex);
    if (is_firing)
        wait_for(tail, &tail->fired);
    if (end_from(tail, TASK_NEW) || end_from(tail, TASK_IDLE))
        return;
    /* What was posted to a runtime that is stopped does not run; what runs still, is waited for. */
    if (stele__runtime_is_stopped(tail->runtime) && end_from(tail, TASK_POSTED))
        return;
    /* One more run, if it is about to be idle: it sees that it is the last. */
    stele__tail_wake(tail);
    wait_for(tail, &tail->ended);
}
