/*
 * Signals, and waiting for them on the three kinds of runtime.
 *
 *     workers     spin, then sleep on the signal's word; a worker is replaced meanwhile
 *     driven      run what is ready; with nothing ready, sleep on the signal's word, which is also changed by
 *                 whoever makes something ready
 *     simulated   others run; with nothing ready, time passes (simulation.c); inside a callback the
 *                 thread sleeps meanwhile (carrier.c)
 *
 * The word: the highest bit says that the signal is set, the next one that somebody
 * may sleep; the rest counts wake-ups of sleepers without workers, for something else.
 * Nothing can fail but waiting: the deadline.
 */
#include "runtime/state.h"

#define IS_SET UINT32_C(0x80000000)
#define HAS_SLEEPER UINT32_C(0x40000000)

bool stele__signal_init(struct stele__signal *signal)
{
    return stele__futex_init(&signal->futex);
}

void stele__signal_fini(struct stele__signal *signal)
{
    stele__futex_fini(&signal->futex);
}

void stele__signal_set(struct stele__signal *signal)
{
    stele__futex_finish(&signal->futex, IS_SET, HAS_SLEEPER);
}

void stele__signal_reset(struct stele__signal *signal)
{
    atomic_fetch_and_explicit(&signal->futex.word, ~IS_SET, memory_order_acq_rel);
}

bool stele__signal_is_set(struct stele__signal *signal)
{
    return stele__futex_read(&signal->futex) & IS_SET;
}

/* Say that somebody sleeps; the word to sleep on, or one with IS_SET. */
static uint32_t announce(struct stele__signal *signal)
{
    return atomic_fetch_or_explicit(&signal->futex.word, HAS_SLEEPER, memory_order_acq_rel) | HAS_SLEEPER;
}

void stele__signal_sleep(struct stele__signal *signal)
{
    uint32_t seen;

    while (!((seen = announce(signal)) & IS_SET))
        stele__futex_wait(&signal->futex, seen);
    stele__futex_settle(&signal->futex);
}

/* Sleep on the word once, until `end` at most. */
static void doze(struct stele__signal *signal, uint32_t seen, int64_t now, int64_t end)
{
    if (end == INT64_MAX)
        stele__futex_wait(&signal->futex, seen);
    else if (end > now)
        stele__futex_wait_for(&signal->futex, seen, end - now);
}

static bool is_over(const stele_runtime *runtime, int64_t deadline)
{
    return deadline != INT64_MAX && stele__runtime_monotonic(runtime) >= deadline;
}

/* --- With workers ------------------------------------------------------------------------------ */

static bool may_spin(const stele_runtime *runtime)
{
    /* One that is woken may be on this very processor. */
    return atomic_load_explicit(&runtime->are_waits_short, memory_order_relaxed) &&
           atomic_load_explicit(&runtime->rising, memory_order_relaxed) == 0;
}

static bool spin(stele_runtime *runtime, struct stele__signal *signal)
{
    bool is_set = false;

    if (!may_spin(runtime))
        return false;
    /* One processor is left to those who are waited for. */
    if (atomic_fetch_add_explicit(&runtime->spinning_waiters, 1, memory_order_relaxed) + 1 < runtime->processors) {
        for (int look = 0; !(is_set = stele__signal_is_set(signal)) && look < STELE__SPINS; look++)
            stele__spin_pause(look);
        if (!is_set)
            atomic_store_explicit(&runtime->are_waits_short, false, memory_order_relaxed);
    }
    atomic_fetch_sub_explicit(&runtime->spinning_waiters, 1, memory_order_relaxed);
    return is_set;
}

static bool wait_asleep(stele_runtime *runtime, struct stele__signal *signal, int64_t deadline)
{
    const int64_t began = stele__runtime_monotonic(runtime);
    int64_t now = began;
    uint32_t seen;

    stele__block_begin();
    while (!((seen = announce(signal)) & IS_SET) && now < deadline) {
        doze(signal, seen, now, deadline);
        now = stele__runtime_monotonic(runtime);
    }
    stele__block_end();
    atomic_store_explicit(&runtime->are_waits_short, now - began < STELE__SHORT_WAIT, memory_order_relaxed);
    return seen & IS_SET;
}

/* --- Without --------------------------------------------------------------------------------- */

void stele__waiter_rouse(stele_runtime *runtime)
{
    if (runtime->waiters)
        stele__futex_wake(&runtime->waiters->signal->futex);
}

/* Locked. */
static void unregister(stele_runtime *runtime, struct stele__waiter *waiter)
{
    struct stele__waiter **place = &runtime->waiters;

    while (*place != waiter)
        place = &(*place)->next;
    *place = waiter->next;
    /* It may leave with what it was woken for undone. */
    if (runtime->ready.first)
        stele__waiter_rouse(runtime);
}

/* Until the signal is set, something is ready, a timer is due, the deadline is over, or for nothing. */
static void sleep_driven(stele_runtime *runtime, struct stele__signal *signal, bool may_run, int64_t deadline)
{
    struct stele__waiter waiter = {signal, NULL};
    const uint32_t seen = announce(signal);
    int64_t end = deadline;

    if (seen & IS_SET)
        return;
    pthread_mutex_lock(&runtime->mutex);
    if (may_run && runtime->ready.first && !runtime->stopped) {
        pthread_mutex_unlock(&runtime->mutex);
        return;
    }
    if (may_run && stele__timer_next(runtime) < end)
        end = stele__timer_next(runtime);
    if (may_run) {
        waiter.next = runtime->waiters;
        runtime->waiters = &waiter;
    }
    pthread_mutex_unlock(&runtime->mutex);
    stele__block_begin();
    doze(signal, seen, stele__runtime_monotonic(runtime), end);
    stele__block_end();
    if (may_run) {
        pthread_mutex_lock(&runtime->mutex);
        unregister(runtime, &waiter);
        pthread_mutex_unlock(&runtime->mutex);
    }
}

static bool wait_driven(stele_runtime *runtime, struct stele__signal *signal, int64_t deadline)
{
    const bool may_run = stele__frame_depth(runtime) < STELE__DEPTH;

    while (!stele__signal_is_set(signal) && !is_over(runtime, deadline)) {
        if (!may_run || !stele__step(runtime))
            sleep_driven(runtime, signal, may_run, deadline);
    }
    stele__step_end(runtime);
    return stele__signal_is_set(signal);
}

bool stele__runtime_wait(stele_runtime *runtime, struct stele__signal *signal, int64_t deadline)
{
    bool is_set = stele__signal_is_set(signal);

    if (!is_set && runtime->kind == STELE__SIMULATED)
        is_set = stele__simulation_wait(runtime, signal, deadline);
    else if (!is_set && runtime->kind == STELE__DRIVEN)
        is_set = wait_driven(runtime, signal, deadline);
    else if (!is_set)
        is_set = spin(runtime, signal) || wait_asleep(runtime, signal, deadline);
    if (is_set)
        stele__futex_settle(&signal->futex);
    return is_set;
}
