/*
 * A word that threads sleep on until it changes: futex(2) on Linux, a mutex and
 * a condition variable elsewhere (or with STELE__FUTEX_PORTABLE, for tests).
 * Thread-safe; private to the process.
 *
 *     sleeper                                waker
 *     seen = stele__futex_read(futex)        make what is waited for true
 *     is it true already? then do not sleep  stele__futex_wake(futex)
 *     stele__futex_wait(futex, seen)
 *
 * The word only counts changes; what is waited for is kept elsewhere. Waits
 * end for nothing now and then, so the sleeper asks again in a loop. Waking
 * costs a system call: a waker that knows that nobody sleeps leaves it out.
 */
#ifndef STELE_BASE_FUTEX_H
#define STELE_BASE_FUTEX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#if !defined(__linux__) && !defined(STELE__FUTEX_PORTABLE)
#define STELE__FUTEX_PORTABLE
#endif

#ifdef STELE__FUTEX_PORTABLE
#include <pthread.h>
#endif

struct stele__futex {
    _Atomic uint32_t word;
#ifdef STELE__FUTEX_PORTABLE
    pthread_mutex_t mutex;
    pthread_cond_t changed;
#endif
};

/* False when the system is out of something. */
bool stele__futex_init(struct stele__futex *futex);
void stele__futex_fini(struct stele__futex *futex);

static inline uint32_t stele__futex_read(struct stele__futex *futex)
{
    return atomic_load_explicit(&futex->word, memory_order_acquire);
}

/* Sleep while the word is what was `seen`. May return for nothing. */
void stele__futex_wait(struct stele__futex *futex, uint32_t seen);
/* The same, for so many nanoseconds at most: more than 0. */
void stele__futex_wait_for(struct stele__futex *futex, uint32_t seen, int64_t nanoseconds);

/* Change the word and wake all who sleep on it. */
void stele__futex_wake(struct stele__futex *futex);

/*
 * The last word: put `value` in, and wake all who sleep if the word had a bit of `sleeping`. For a futex that ends with
 * its waiter: nothing of it is touched any more once a waiter has seen `value` and called stele__futex_settle().
 */
void stele__futex_finish(struct stele__futex *futex, uint32_t value, uint32_t sleeping);
void stele__futex_settle(struct stele__futex *futex);

#endif
