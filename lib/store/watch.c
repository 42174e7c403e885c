/*
 * Watching for the commits of others.
 *
 *     another handle commits ─► stele_wait() ─► listeners: "up to here"
 *
 * The thread is started with the first user and rests when there is none, so
 * that readers may come and go at no cost; it ends with the store. What this
 * handle commits ends its wait as well, but not at each commit of a burst.
 *
 * What can fail: the thread; waiting (tried again).
 */
#include "store/watch.h"

#include "base/error.h"
#include "runtime/thread.h"
#include "store/store.h"

#include <string.h>

#define MILLISECOND INT64_C(1000000)

enum { WAIT_MS = 100 }; /* at most, and closing the store for it */
static const int64_t pause_after_own = 2 * MILLISECOND;

/* False if that was known. */
static bool raise_head(struct stele__watch *watch, uint64_t head)
{
    uint64_t known = atomic_load(&watch->head);

    while (known < head) {
        if (atomic_compare_exchange_weak(&watch->head, &known, head))
            return true;
    }
    return false;
}

static void committed(struct stele__listener *listener, uint64_t head)
{
    raise_head((struct stele__watch *)((char *)listener - offsetof(struct stele__watch, listener)), head);
}

static void rest(struct stele__watch *watch)
{
    const uint32_t seen = stele__futex_read(&watch->word);

    if (!atomic_load(&watch->is_stopping) && atomic_load(&watch->users) == 0)
        stele__futex_wait(&watch->word, seen);
}

static void breathe(struct stele__watch *watch, int64_t pause)
{
    const uint32_t seen = stele__futex_read(&watch->word);

    if (!atomic_load(&watch->is_stopping))
        stele__futex_wait_for(&watch->word, seen, pause);
}

static void look(struct stele__watch *watch)
{
    uint64_t head = atomic_load(&watch->head);
    const stele_status status = stele_wait(watch->store, head, WAIT_MS, &head, NULL);

    if (status == STELE_OK && raise_head(watch, head))
        stele__listeners_tell(&watch->store->listeners, head);
    else if (status == STELE_OK)
        breathe(watch, pause_after_own);
    else if (status != STELE_TIMEOUT) /* which took its time; others come at once */
        breathe(watch, WAIT_MS * MILLISECOND);
}

static void *run(void *context)
{
    struct stele__watch *watch = context;

    while (!atomic_load(&watch->is_stopping)) {
        if (atomic_load(&watch->users) == 0)
            rest(watch);
        else
            look(watch);
    }
    return NULL;
}

stele_status stele__watch_init(struct stele__watch *watch, stele_store *store, stele_error **error)
{
    memset(watch, 0, sizeof(*watch));
    watch->store = store;
    watch->listener.committed = committed;
    if (pthread_mutex_init(&watch->mutex, NULL) != 0)
        return stele__fail_memory(error);
    if (stele__futex_init(&watch->word))
        return STELE_OK;
    pthread_mutex_destroy(&watch->mutex);
    return stele__fail_memory(error);
}

void stele__watch_stop(struct stele__watch *watch)
{
    atomic_store(&watch->is_stopping, true);
    stele__futex_wake(&watch->word);
    if (watch->started)
        pthread_join(watch->thread, NULL);
}

void stele__watch_fini(struct stele__watch *watch)
{
    stele__futex_fini(&watch->word);
    pthread_mutex_destroy(&watch->mutex);
}

stele_status stele__watch_begin(struct stele__watch *watch, stele_error **error)
{
    int code = 0;

    pthread_mutex_lock(&watch->mutex);
    if (!watch->started) {
        code = stele__thread_start(&watch->thread, run, watch);
        watch->started = code == 0;
        if (code == 0)
            stele__listeners_add(&watch->store->listeners, &watch->listener);
    }
    pthread_mutex_unlock(&watch->mutex);
    if (code != 0)
        return stele__fail(error, STELE_IO, "no thread can be started: %s", strerror(code));
    if (atomic_fetch_add(&watch->users, 1) == 0)
        stele__futex_wake(&watch->word);
    return STELE_OK;
}

void stele__watch_end(struct stele__watch *watch)
{
    atomic_fetch_sub(&watch->users, 1);
}
