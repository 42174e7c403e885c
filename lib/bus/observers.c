/*
 * The registry of observers: adding and removing, waiting for them, their end.
 * What they see and how it gets to them is in seeing.c.
 *
 * An observer that is removed while it is ready or seeing is released by its
 * task, an idle one by whoever removes it; so `free` is always behind the last
 * `see`. Until then it stays in the list, seen by nobody. The registry itself
 * goes with the last of the bus, its observers, and the tasks and timers under way.
 *
 * What can fail: adding, for what it is given or for memory; waiting, for time.
 */
#include "bus/seeing.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"

#define NANOS_PER_MS INT64_C(1000000)
#define OBSERVER_CAPACITY ((size_t)1024)
#define OBSERVER_TIMEOUT_MS 1000
/* How long freeing a bus waits for observers that are seeing. */
#define FREE_WAIT (INT64_C(5000) * NANOS_PER_MS)

/* --- The registry --------------------------------------------------------------- */

stele_status stele__observers_new(stele_runtime *runtime, struct stele__observers **out, stele_error **error)
{
    struct stele__observers *observers = stele__alloc(sizeof(*observers));

    if (!observers)
        return stele__fail_memory(error);
    if (!stele__signal_init(&observers->all_gone)) {
        stele__free(observers, sizeof(*observers));
        return stele__fail_memory(error);
    }
    if (pthread_mutex_init(&observers->mutex, NULL) != 0) {
        stele__signal_fini(&observers->all_gone);
        stele__free(observers, sizeof(*observers));
        return stele__fail_memory(error);
    }
    observers->runtime = runtime;
    observers->last_ready = &observers->ready;
    observers->references = 1;
    observers->spread.name = "observers";
    observers->spread.priority = STELE__PRIORITY_OBSERVER;
    observers->spread.run = stele__observers_spread;
    observers->watch.name = "observers";
    observers->watch.fire = stele__observers_watch;
    *out = observers;
    return STELE_OK;
}

void stele__observers_end(struct stele__observers *observers)
{
    pthread_mutex_destroy(&observers->mutex);
    stele__signal_fini(&observers->all_gone);
    stele__free(observers, sizeof(*observers));
}

/* Tell notifiers what the observers want together. */
static void update_want(struct stele__observers *observers)
{
    unsigned want = 0;

    for (const struct stele__observer *each = observers->first; each && !observers->is_stopped; each = each->next)
        want |= each->is_removed ? 0 : each->table.kinds;
    atomic_store_explicit(&observers->want, want, memory_order_relaxed);
}

unsigned stele__observers_want(const struct stele__observers *observers)
{
    return atomic_load_explicit(&observers->want, memory_order_relaxed);
}

void stele__observers_set_salt(struct stele__observers *observers, uint64_t salt)
{
    atomic_store_explicit(&observers->salt, salt, memory_order_relaxed);
}

uint64_t stele__observers_salt(const struct stele__observers *observers)
{
    return atomic_load_explicit(&observers->salt, memory_order_relaxed);
}

stele_runtime *stele__observers_runtime(const struct stele__observers *observers)
{
    return observers->runtime;
}

/* --- Adding and removing ------------------------------------------------------------ */

static struct stele__observer *find(const struct stele__observers *observers, const char *name)
{
    for (struct stele__observer *each = observers->first; each; each = each->next) {
        if (!each->is_removed && strcmp(each->table.name, name) == 0)
            return each;
    }
    return NULL;
}

static stele_status fail_observer(stele_error **error, const char *name, const char *why)
{
    stele__fail(error, STELE_INVALID, "observer %s: %s", name && *name ? name : "?", why);
    stele__error_add(error, "observer", "%s", name ? name : "");
    return STELE_INVALID;
}

static stele_status check(const struct stele_observer *observer, stele_error **error)
{
    stele_status status;

    if (!observer->name || !*observer->name)
        return fail_observer(error, observer->name, "it has no name");
    if (!observer->see)
        return fail_observer(error, observer->name, "it has no function to see with");
    if (observer->kinds & ~STELE_SEEN_ALL)
        return fail_observer(error, observer->name, "kinds has bits that are none of enum stele_seen");
    if (observer->overflow != STELE_OBSERVER_DROP_OLDEST && observer->overflow != STELE_OBSERVER_DROP_NEWEST)
        return fail_observer(error, observer->name, "overflow is none of enum stele_observer_overflow");
    status = observer->on ? stele__pattern_check(stele__slice(observer->on), error) : STELE_OK;
    if (status != STELE_OK)
        stele__error_prefix(error, "observer %s", observer->name);
    return status;
}

static struct stele__observer *observer_new(struct stele__observers *observers, const struct stele_observer *table,
                                            void *context)
{
    struct stele__observer *const observer = stele__alloc(sizeof(*observer));
    size_t size;

    if (!observer)
        return NULL;
    observer->table = *table;
    observer->table.kinds = table->kinds ? table->kinds : STELE_SEEN_ALL;
    observer->capacity = table->capacity ? table->capacity : OBSERVER_CAPACITY;
    observer->limit = (table->timeout_ms ? table->timeout_ms : OBSERVER_TIMEOUT_MS) * NANOS_PER_MS;
    observer->on = stele__slice(table->on);
    observer->context = context;
    observer->owner = observers;
    observer->task.name = table->name;
    observer->task.priority = STELE__PRIORITY_OBSERVER;
    observer->task.run = stele__observer_run;
    if (stele__size_multiply(observer->capacity, sizeof(struct stele__sighting *), &size))
        observer->ring = stele__alloc(size);
    if (!observer->ring) {
        stele__free(observer, sizeof(*observer));
        return NULL;
    }
    return observer;
}

/* Put an observer behind the last one; under the lock. */
static void link_last(struct stele__observers *observers, struct stele__observer *observer)
{
    struct stele__observer **last = &observers->first;

    while (*last)
        last = &(*last)->next;
    *last = observer;
    observers->references++;
    update_want(observers);
}

stele_status stele__observers_add(struct stele__observers *observers, const struct stele_observer *table, void *context,
                                  stele_error **error)
{
    stele_status status = check(table, error);
    struct stele__observer *observer;
    bool is_taken, is_stopped;

    if (status != STELE_OK)
        return status;
    observer = observer_new(observers, table, context);
    if (!observer)
        return stele__fail_memory(error);
    stele__observers_lock(observers);
    is_stopped = observers->is_stopped;
    is_taken = find(observers, table->name);
    if (!is_stopped && !is_taken)
        link_last(observers, observer);
    stele__observers_unlock(observers);
    if (!is_stopped && !is_taken)
        return STELE_OK;
    stele__free(observer->ring, observer->capacity * sizeof(struct stele__sighting *));
    stele__free(observer, sizeof(*observer));
    if (is_stopped)
        return stele__fail(error, STELE_SHUTDOWN, "observer %s: the bus has stopped", table->name);
    return fail_observer(error, table->name, "the name is taken");
}

/* Take an observer that is removed, and neither ready nor seeing, out of the world. Without the lock. */
void stele__observer_release(struct stele__observer *observer)
{
    struct stele__observers *const observers = observer->owner;
    bool is_last;

    if (observer->table.free)
        observer->table.free(observer->context);
    stele__observers_lock(observers);
    for (struct stele__observer **each = &observers->first; *each; each = &(*each)->next) {
        if (*each == observer) {
            *each = observer->next;
            break;
        }
    }
    if (observers->is_freed && !observers->first)
        stele__signal_set(&observers->all_gone);
    is_last = stele__observers_drop(observers);
    stele__observers_unlock(observers);
    stele__free(observer->ring, observer->capacity * sizeof(struct stele__sighting *));
    stele__free(observer, sizeof(*observer));
    if (is_last)
        stele__observers_end(observers);
}

/* Take one out of what notifications reach, under the lock; true if the caller is to release it. */
static bool detach(struct stele__observer *observer, struct stele__sighting **dead)
{
    observer->is_removed = true;
    stele__observer_empty(observer, dead);
    update_want(observer->owner);
    return !observer->is_scheduled;
}

bool stele__observers_remove(struct stele__observers *observers, const char *name)
{
    struct stele__sighting *dead = NULL;
    struct stele__observer *observer;
    bool is_idle = false;

    stele__observers_lock(observers);
    observer = find(observers, name);
    if (observer)
        is_idle = detach(observer, &dead);
    stele__observers_unlock(observers);
    stele__sightings_free(dead);
    if (is_idle)
        stele__observer_release(observer);
    return observer;
}

void stele__observers_lost(struct stele__observers *observers, const char *name)
{
    struct stele__observer *observer;

    stele__observers_lock(observers);
    observer = find(observers, name);
    if (observer)
        observer->dropped++;
    stele__observers_unlock(observers);
}

stele_status stele__observers_stats(struct stele__observers *observers, const char *name,
                                    struct stele_observer_stats *out, stele_error **error)
{
    const struct stele__observer *observer;

    stele__observers_lock(observers);
    observer = find(observers, name);
    if (observer) {
        out->seen = observer->seen;
        out->dropped = observer->dropped;
        out->waiting = observer->count;
    }
    stele__observers_unlock(observers);
    if (!observer)
        return stele__fail(error, STELE_NOT_FOUND, "no observer is named %s", name);
    return STELE_OK;
}

/* --- Flushing and ending -------------------------------------------------------------- */

/* Begin to wait for what was notified so far, but for observers that wait here themselves; false if all have seen it. */
static bool begin_flush(struct stele__observers *observers, struct stele__flusher *flusher)
{
    bool are_behind;

    stele__observers_lock(observers);
    flusher->number = observers->number;
    for (const struct stele__observer *each = observers->first; each; each = each->next)
        flusher->behind += stele__observer_oldest(each) <= flusher->number && !stele__observer_is_here(each);
    are_behind = flusher->behind > 0;
    if (are_behind) {
        flusher->next = observers->flushers;
        observers->flushers = flusher;
    }
    stele__observers_unlock(observers);
    return are_behind;
}

static size_t end_flush(struct stele__observers *observers, struct stele__flusher *flusher)
{
    size_t behind;

    stele__observers_lock(observers);
    for (struct stele__flusher **each = &observers->flushers; *each; each = &(*each)->next) {
        if (*each == flusher) {
            *each = flusher->next;
            break;
        }
    }
    behind = flusher->behind;
    stele__observers_unlock(observers);
    return behind;
}

stele_status stele__observers_flush(struct stele__observers *observers, uint32_t timeout_ms, stele_error **error)
{
    const int64_t deadline = stele__runtime_monotonic(observers->runtime) + timeout_ms * NANOS_PER_MS;
    struct stele__flusher flusher = {.behind = 0};
    size_t behind = 0;

    if (!stele__signal_init(&flusher.done))
        return stele__fail_memory(error);
    if (begin_flush(observers, &flusher)) {
        stele__runtime_wait(observers->runtime, &flusher.done, deadline);
        behind = end_flush(observers, &flusher);
    }
    stele__signal_fini(&flusher.done);
    if (behind > 0)
        return stele__fail(error, STELE_TIMEOUT, "%zu observers have not seen all after %u ms", behind, timeout_ms);
    return STELE_OK;
}

void stele__observers_stop(struct stele__observers *observers, uint32_t timeout_ms)
{
    struct stele__sighting *dead = NULL;
    uint64_t dropped = 0;
    char text[24];

    stele__observers_flush(observers, timeout_ms, NULL);
    stele__observers_lock(observers);
    observers->is_stopped = true;
    update_want(observers);
    for (struct stele__observer *each = observers->first; each; each = each->next) {
        if (stele__observer_is_here(each)) /* it will see the rest when this call of it has returned */
            continue;
        dropped += each->count;
        stele__observer_empty(each, &dead);
    }
    stele__observers_unlock(observers);
    stele__sightings_free(dead);
    if (dropped == 0)
        return;
    snprintf(text, sizeof(text), "%" PRIu64, dropped);
    STELE__LOG(STELE_LOG_WARNING, "observers did not see all", {"dropped", text});
}

/* Remove all that are still there; those that are idle come back as a chain to be released. */
static struct stele__observer *detach_all(struct stele__observers *observers, struct stele__sighting **dead)
{
    struct stele__observer *idle = NULL, **last = &idle;

    for (struct stele__observer *each = observers->first; each; each = each->next) {
        if (each->is_removed || !detach(each, dead))
            continue;
        each->next_ready = NULL;
        *last = each;
        last = &each->next_ready;
    }
    return idle;
}

static void release_all(struct stele__observer *idle)
{
    while (idle) {
        struct stele__observer *const next = idle->next_ready;

        stele__observer_release(idle);
        idle = next;
    }
}

/* Wait for the observers that are ready or seeing, some time: those that hang release themselves when they return. */
static void await_gone(struct stele__observers *observers)
{
    bool are_left;

    stele__observers_lock(observers);
    are_left = observers->first;
    observers->is_freed = true;
    stele__observers_unlock(observers);
    if (are_left)
        stele__runtime_wait(observers->runtime, &observers->all_gone,
                            stele__runtime_monotonic(observers->runtime) + FREE_WAIT);
}

void stele__observers_free(struct stele__observers *observers)
{
    struct stele__sighting *dead = NULL;
    struct stele__observer *idle;
    bool is_last;

    if (!observers)
        return;
    stele__observers_lock(observers);
    observers->is_stopped = true;
    idle = detach_all(observers, &dead);
    stele__observers_unlock(observers);
    stele__sightings_free(dead);
    release_all(idle);
    await_gone(observers);
    stele__observers_lock(observers);
    if (observers->is_watching && stele__timer_cancel(&observers->watch)) {
        observers->is_watching = false;
        stele__observers_drop(observers);
    }
    is_last = stele__observers_drop(observers);
    stele__observers_unlock(observers);
    if (is_last)
        stele__observers_end(observers);
}
