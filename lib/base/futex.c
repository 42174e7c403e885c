/*
 * Sleeping on a word, by system. See futex.h for how it is used.
 *
 * What can fail: making the portable one, when the system is out of memory.
 */
#include "base/futex.h"

#include <time.h>

#define SECOND INT64_C(1000000000)

#ifndef STELE__FUTEX_PORTABLE

#include <limits.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

bool stele__futex_init(struct stele__futex *futex)
{
    atomic_init(&futex->word, 0);
    return true;
}

void stele__futex_fini(struct stele__futex *futex)
{
    (void)futex;
}

void stele__futex_wait(struct stele__futex *futex, uint32_t seen)
{
    syscall(SYS_futex, &futex->word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

void stele__futex_wait_for(struct stele__futex *futex, uint32_t seen, int64_t nanoseconds)
{
    const struct timespec time = {(time_t)(nanoseconds / SECOND), (long)(nanoseconds % SECOND)};

    syscall(SYS_futex, &futex->word, FUTEX_WAIT_PRIVATE, seen, &time, NULL, 0);
}

void stele__futex_wake(struct stele__futex *futex)
{
    atomic_fetch_add_explicit(&futex->word, 1, memory_order_release);
    syscall(SYS_futex, &futex->word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

void stele__futex_finish(struct stele__futex *futex, uint32_t value, uint32_t sleeping)
{
    /* Waking takes an address only: whatever is there by now, its sleepers are used to waking for nothing. */
    if (atomic_exchange_explicit(&futex->word, value, memory_order_acq_rel) & sleeping)
        syscall(SYS_futex, &futex->word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

void stele__futex_settle(struct stele__futex *futex)
{
    (void)futex;
}

#else

#include <stele/clock.h>

static bool init_condition(pthread_cond_t *condition)
{
    pthread_condattr_t monotonic;
    bool made;

    if (pthread_condattr_init(&monotonic) != 0)
        return false;
    made = pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0 && pthread_cond_init(condition, &monotonic) == 0;
    pthread_condattr_destroy(&monotonic);
    return made;
}

bool stele__futex_init(struct stele__futex *futex)
{
    atomic_init(&futex->word, 0);
    if (pthread_mutex_init(&futex->mutex, NULL) != 0)
        return false;
    if (init_condition(&futex->changed))
        return true;
    pthread_mutex_destroy(&futex->mutex);
    return false;
}

void stele__futex_fini(struct stele__futex *futex)
{
    pthread_cond_destroy(&futex->changed);
    pthread_mutex_destroy(&futex->mutex);
}

void stele__futex_wait(struct stele__futex *futex, uint32_t seen)
{
    pthread_mutex_lock(&futex->mutex);
    if (stele__futex_read(futex) == seen)
        pthread_cond_wait(&futex->changed, &futex->mutex);
    pthread_mutex_unlock(&futex->mutex);
}

void stele__futex_wait_for(struct stele__futex *futex, uint32_t seen, int64_t nanoseconds)
{
    const struct stele_clock *clock = stele_clock_system();
    const int64_t end = clock->monotonic(clock->context) + nanoseconds;
    const struct timespec until = {(time_t)(end / SECOND), (long)(end % SECOND)};

    pthread_mutex_lock(&futex->mutex);
    if (stele__futex_read(futex) == seen)
        pthread_cond_timedwait(&futex->changed, &futex->mutex, &until);
    pthread_mutex_unlock(&futex->mutex);
}

void stele__futex_wake(struct stele__futex *futex)
{
    /* Under the mutex: a sleeper has either seen the change or is waiting for it. */
    pthread_mutex_lock(&futex->mutex);
    atomic_fetch_add_explicit(&futex->word, 1, memory_order_release);
    pthread_cond_broadcast(&futex->changed);
    pthread_mutex_unlock(&futex->mutex);
}

void stele__futex_finish(struct stele__futex *futex, uint32_t value, uint32_t sleeping)
{
    (void)sleeping;
    pthread_mutex_lock(&futex->mutex);
    atomic_store_explicit(&futex->word, value, memory_order_release);
    pthread_cond_broadcast(&futex->changed);
    pthread_mutex_unlock(&futex->mutex);
}

void stele__futex_settle(struct stele__futex *futex)
{
    pthread_mutex_lock(&futex->mutex);
    pthread_mutex_unlock(&futex->mutex);
}

#endif
