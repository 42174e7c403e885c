/*
 * Observers: each with a bounded queue of its own and a task that empties it.
 *
 *     notify ──► sighting (copied once, counted references)
 *                  │ one lock, one pass, one task posted: it posts those of the observers
 *                  ├──► ring of observer 1 ──► task ──► see
 *                  ├──► ring of observer 2 ──► task ──► see
 *                  ...
 *
 * All rings, and the references to sightings, are guarded by the registry's one
 * mutex: a notifier takes it once whatever the number of observers, and all of
 * them see the same order. What is allocated, freed or called, is so outside
 * of it.
 *
 *              notify           a worker takes it          ring empty
 *     idle ───────────► ready ──────────────────► seeing ─────────────► idle
 *                         ▲                          │ more
 *                         └──────────────────────────┘
 *
 * An observer that is removed while it is ready or seeing is released by its
 * task, an idle one by whoever removes it; so `free` is always behind the last
 * `see`. A timer runs while somebody sees: a call of `see` that it finds twice
 * has hung, is logged, and another thread stands in for the one it holds.
 *
 * What can fail: adding, for what it is given or for memory. A notification for
 * which there is no memory is lost and counted as dropped.
 */
#include "bus/observers.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "message/message.h"
#include "runtime/runtime.h"

#define NANOS_PER_MS INT64_C(1000000)
#define OBSERVER_CAPACITY ((size_t)1024)
/* A call of `see` that lasts from one tick to the one after the next has hung. */
#define HANG_TICK (INT64_C(1000) * NANOS_PER_MS)
/* How long freeing a bus waits for observers that are seeing. */
#define FREE_WAIT (INT64_C(5000) * NANOS_PER_MS)

/* One observation for all observers; `texts` holds what its pointers point to. */
struct sighting {
    struct stele_observation observation;
    stele_message *message; /* the observation's */
    uint64_t number;        /* from 1, in the order of all */
    size_t references;
    struct sighting *next_dead;
    size_t allocated;
    char texts[];
};

struct observer {
    struct stele__task task;
    struct stele_observer table;
    void *context;
    struct stele__observers *owner;
    struct stele_slice on;       /* the pattern; absent for all */
    struct observer *next;       /* in the registry, until it is released */
    struct observer *next_ready; /* of those to be posted */

    struct sighting **ring; /* `capacity` places */
    size_t capacity;
    size_t first, count;
    struct sighting *seeing; /* what `see` is being called with */
    uint64_t calls, watched; /* of `see`; the one that was under way at the last tick */
    bool is_scheduled;
    bool is_removed;
    bool has_hung;
    uint64_t seen, dropped;
};

/* Somebody in stele__observers_flush(). */
struct flusher {
    struct flusher *next;
    uint64_t number; /* of the last sighting it waits for */
    size_t behind;   /* observers that still have one up to that number */
    struct stele__signal done;
};

struct stele__observers {
    atomic_uint want;
    atomic_uint_fast64_t salt;
    stele_runtime *runtime;

    pthread_mutex_t mutex;  /* guards what follows, and the observers and sightings */
    struct observer *first; /* in the order of adding; those that were removed too, until they are released */
    struct observer *ready, **last_ready; /* those that `spread` is to post */
    bool is_spreading;
    struct stele__task spread;
    struct flusher *flushers;
    uint64_t number;   /* of the last sighting */
    size_t references; /* the bus, each observer, the timer while it runs, `spread` while it is ready */
    bool is_stopped;
    bool is_freed;
    bool is_watching;
    struct stele__timer watch;
    struct stele__signal all_gone; /* set when it is freed and the last observer is released */
};

/* --- The registry --------------------------------------------------------------- */

static void spread(struct stele__task *task);
static void watch_for_hanging(struct stele__timer *timer);

static void lock(struct stele__observers *observers)
{
    pthread_mutex_lock(&observers->mutex);
}

static void unlock(struct stele__observers *observers)
{
    pthread_mutex_unlock(&observers->mutex);
}

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
    observers->spread.run = spread;
    observers->watch.name = "observers";
    observers->watch.fire = watch_for_hanging;
    *out = observers;
    return STELE_OK;
}

/* Give one reference back, under the lock; true if it was the last and the caller is to call end() without it. */
static bool drop_reference(struct stele__observers *observers)
{
    return --observers->references == 0;
}

static void end(struct stele__observers *observers)
{
    pthread_mutex_destroy(&observers->mutex);
    stele__signal_fini(&observers->all_gone);
    stele__free(observers, sizeof(*observers));
}

/* Tell notifiers what the observers want together. */
static void update_want(struct stele__observers *observers)
{
    unsigned want = 0;

    for (const struct observer *each = observers->first; each && !observers->is_stopped; each = each->next)
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

/* --- Sightings -------------------------------------------------------------------- */

static const char *put_text(char **place, const char *text)
{
    const size_t size = strlen(text) + 1;
    const char *const copy = memcpy(*place, text, size);

    *place += size;
    return copy;
}

/* Of a message as it says itself: one that is lent by a cursor has no NUL behind its type. */
static struct stele_slice type_of(const struct stele_observation *seen)
{
    if (seen->message)
        return stele_message_type(seen->message);
    return stele__slice(seen->observed ? seen->observed : "");
}

/* A copy with one reference, which is the notifier's; NULL when memory is out. */
static struct sighting *sighting_new(const struct stele_observation *seen)
{
    const char *const route = seen->route ? seen->route : "";
    const char *const text = seen->text ? seen->text : "";
    const struct stele_slice type = type_of(seen);
    const size_t size = sizeof(struct sighting) + strlen(route) + strlen(text) + type.size + 3;
    stele_message *const message = seen->message ? stele_message_ref(seen->message) : NULL;
    struct sighting *sighting = NULL;
    char *place;

    if (!seen->message || message)
        sighting = stele__resize(NULL, 0, size);
    if (!sighting) {
        stele_message_unref(message);
        return NULL;
    }
    sighting->observation = *seen;
    sighting->observation.message = message;
    sighting->message = message;
    sighting->references = 1;
    sighting->allocated = size;
    place = sighting->texts;
    sighting->observation.route = put_text(&place, route);
    sighting->observation.text = put_text(&place, text);
    sighting->observation.observed = place;
    memcpy(place, type.data, type.size);
    place[type.size] = '\0';
    return sighting;
}

/* Give a reference back, under the lock; the last one puts it on the chain of the dead. */
static void sighting_drop(struct sighting *sighting, struct sighting **dead)
{
    if (--sighting->references > 0)
        return;
    sighting->next_dead = *dead;
    *dead = sighting;
}

/* Free a chain of the dead, without the lock. */
static void bury_all(struct sighting *dead)
{
    while (dead) {
        struct sighting *const next = dead->next_dead;

        stele_message_unref(dead->message);
        stele__free(dead, dead->allocated);
        dead = next;
    }
}

/* --- Queues ----------------------------------------------------------------------- */

/* The number of the oldest sighting that an observer has not done with. */
static uint64_t oldest(const struct observer *observer)
{
    if (observer->seeing)
        return observer->seeing->number;
    return observer->count ? observer->ring[observer->first]->number : UINT64_MAX;
}

static struct sighting *take(struct observer *observer)
{
    struct sighting *const sighting = observer->ring[observer->first];

    observer->first = observer->first + 1 == observer->capacity ? 0 : observer->first + 1;
    observer->count--;
    return sighting;
}

/* Count an observer that has passed what it was behind with, for those who flush. */
static void settle(struct stele__observers *observers, const struct observer *observer, uint64_t before)
{
    const uint64_t after = oldest(observer);

    for (struct flusher *each = observers->flushers; each; each = each->next) {
        if (before <= each->number && after > each->number && --each->behind == 0)
            stele__signal_set(&each->done);
    }
}

/* Throw out all that waits for an observer. */
static void empty(struct observer *observer, struct sighting **dead)
{
    const uint64_t before = oldest(observer);

    observer->dropped += observer->count;
    while (observer->count > 0)
        sighting_drop(take(observer), dead);
    settle(observer->owner, observer, before);
}

/* Queue a sighting; true if the observer's task is to be posted. */
static bool enqueue(struct observer *observer, struct sighting *sighting, struct sighting **dead)
{
    size_t place;

    if (observer->count == observer->capacity) {
        const uint64_t before = oldest(observer);

        observer->dropped++;
        if (observer->table.overflow == STELE_OBSERVER_DROP_NEWEST)
            return false;
        sighting_drop(take(observer), dead);
        settle(observer->owner, observer, before);
    }
    place = observer->first + observer->count;
    observer->ring[place < observer->capacity ? place : place - observer->capacity] = sighting;
    observer->count++;
    sighting->references++;
    if (observer->is_scheduled)
        return false;
    observer->is_scheduled = true;
    return true;
}

static bool wants(const struct observer *observer, enum stele_seen seen, struct stele_slice type)
{
    return !observer->is_removed && (observer->table.kinds & (unsigned)seen) &&
           (!observer->on.data || stele__pattern_match(observer->on, type));
}

/* Post the tasks of those that notifications made ready. */
static void spread(struct stele__task *task)
{
    struct stele__observers *const observers =
        (struct stele__observers *)(void *)((char *)task - offsetof(struct stele__observers, spread));
    stele_runtime *const runtime = observers->runtime;
    struct observer *ready;
    bool is_last;

    lock(observers);
    ready = observers->ready;
    observers->ready = NULL;
    observers->last_ready = &observers->ready;
    observers->is_spreading = false;
    is_last = drop_reference(observers);
    unlock(observers);
    while (ready) {
        struct observer *const next = ready->next_ready;

        stele__runtime_post(runtime, &ready->task);
        ready = next;
    }
    if (is_last)
        end(observers);
}

/* Count a sighting there was no memory for, or queue it with all that want it, who come behind those that are ready. */
static void hand_out(struct stele__observers *observers, const struct stele_observation *seen,
                     struct sighting *sighting, struct sighting **dead)
{
    const struct stele_slice type = type_of(seen);

    if (sighting)
        sighting->number = ++observers->number;
    for (struct observer *each = observers->is_stopped ? NULL : observers->first; each; each = each->next) {
        if (!wants(each, seen->seen, type))
            continue;
        if (!sighting) {
            each->dropped++;
        } else if (enqueue(each, sighting, dead)) {
            each->next_ready = NULL;
            *observers->last_ready = each;
            observers->last_ready = &each->next_ready;
        }
    }
    if (sighting)
        sighting_drop(sighting, dead);
}

void stele__observers_notify(struct stele__observers *observers, const struct stele_observation *observation)
{
    struct sighting *dead = NULL, *sighting;
    bool is_first;

    if (!(stele__observers_want(observers) & (unsigned)observation->seen))
        return;
    sighting = sighting_new(observation);
    lock(observers);
    hand_out(observers, observation, sighting, &dead);
    /* One task to post, whatever the number of observers: to wake threads is what costs. */
    is_first = observers->ready && !observers->is_spreading;
    observers->is_spreading |= is_first;
    observers->references += is_first;
    unlock(observers);
    if (is_first)
        stele__runtime_post(observers->runtime, &observers->spread);
    bury_all(dead);
}

/* --- Seeing ----------------------------------------------------------------------- */

/* Take an observer that is removed, and neither ready nor seeing, out of the world. Without the lock. */
static void release(struct observer *observer)
{
    struct stele__observers *const observers = observer->owner;
    bool is_last;

    if (observer->table.free)
        observer->table.free(observer->context);
    lock(observers);
    for (struct observer **each = &observers->first; *each; each = &(*each)->next) {
        if (*each == observer) {
            *each = observer->next;
            break;
        }
    }
    if (observers->is_freed && !observers->first)
        stele__signal_set(&observers->all_gone);
    is_last = drop_reference(observers);
    unlock(observers);
    stele__free(observer->ring, observer->capacity * sizeof(struct sighting *));
    stele__free(observer, sizeof(*observer));
    if (is_last)
        end(observers);
}

/* Have the timer run. Without memory for it, nobody looks for those that hang, until the next call of `see`. */
static void start_watching(struct stele__observers *observers)
{
    if (observers->is_watching || observers->is_freed)
        return;
    observers->is_watching = stele__timer_start(observers->runtime, &observers->watch, HANG_TICK);
    observers->references += observers->is_watching;
}

/* The sighting to be seen now; NULL for an observer that was removed meanwhile. */
static struct sighting *begin_seeing(struct observer *observer)
{
    lock(observer->owner);
    if (observer->count > 0) {
        observer->seeing = take(observer);
        observer->calls++;
        start_watching(observer->owner);
    }
    unlock(observer->owner);
    return observer->seeing;
}

/* Returns whether the observer's task is to be posted again; otherwise *is_removed says whether it is to be released. */
static bool end_seeing(struct observer *observer, bool *is_removed, struct sighting **dead)
{
    struct stele__observers *const observers = observer->owner;
    const uint64_t before = oldest(observer);
    struct sighting *const sighting = observer->seeing;

    observer->seeing = NULL;
    if (sighting) {
        observer->seen++;
        sighting_drop(sighting, dead);
        settle(observers, observer, before);
    }
    if (observer->has_hung)
        stele__runtime_overrun_end(observers->runtime);
    observer->has_hung = false;
    *is_removed = observer->is_removed;
    observer->is_scheduled = observer->count > 0;
    return observer->is_scheduled;
}

/* One step of an observer's task. */
static void see_next(struct stele__task *task)
{
    struct observer *const observer = (struct observer *)task;
    struct stele__observers *const observers = observer->owner;
    const struct sighting *const sighting = begin_seeing(observer);
    struct sighting *dead = NULL;
    bool has_more, is_removed;

    if (sighting)
        observer->table.see(observer->context, &sighting->observation);
    lock(observers);
    has_more = end_seeing(observer, &is_removed, &dead);
    unlock(observers);
    bury_all(dead);
    if (has_more)
        stele__runtime_post(observers->runtime, task);
    else if (is_removed)
        release(observer);
}

/* --- Those that hang ---------------------------------------------------------------- */

/* Names of observers, separated by commas, as many as fit. */
struct names {
    char text[256];
    size_t size;
};

static void add_name(struct names *names, const char *name)
{
    const size_t room = sizeof(names->text) - names->size;
    const int size = snprintf(names->text + names->size, room, "%s%s", names->size ? ", " : "", name);

    if (size > 0 && (size_t)size < room)
        names->size += (size_t)size;
    else
        names->text[names->size] = '\0';
}

/* Look at one that sees: true if it is to be looked at again. */
static bool look_at(struct observer *observer, struct names *hanging)
{
    if (observer->watched == observer->calls) {
        observer->has_hung = true;
        stele__runtime_overrun_begin(observer->owner->runtime);
        add_name(hanging, observer->table.name);
    }
    observer->watched = observer->calls;
    return !observer->has_hung;
}

static void watch_for_hanging(struct stele__timer *timer)
{
    struct stele__observers *const observers =
        (struct stele__observers *)(void *)((char *)timer - offsetof(struct stele__observers, watch));
    struct names hanging = {.size = 0};
    bool is_needed = false, is_last;

    lock(observers);
    for (struct observer *each = observers->first; each; each = each->next) {
        if (each->seeing && !each->has_hung && look_at(each, &hanging))
            is_needed = true;
    }
    observers->is_watching =
        is_needed && !observers->is_freed && stele__timer_start(observers->runtime, &observers->watch, HANG_TICK);
    is_last = !observers->is_watching && drop_reference(observers);
    unlock(observers);
    if (hanging.size > 0)
        STELE__LOG(STELE_LOG_WARNING, "observers hang", {"observers", hanging.text});
    if (is_last)
        end(observers);
}

/* --- Adding and removing ------------------------------------------------------------ */

static struct observer *find(const struct stele__observers *observers, const char *name)
{
    for (struct observer *each = observers->first; each; each = each->next) {
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

static struct observer *observer_new(struct stele__observers *observers, const struct stele_observer *table,
                                     void *context)
{
    struct observer *const observer = stele__alloc(sizeof(*observer));
    size_t size;

    if (!observer)
        return NULL;
    observer->table = *table;
    observer->table.kinds = table->kinds ? table->kinds : STELE_SEEN_ALL;
    observer->capacity = table->capacity ? table->capacity : OBSERVER_CAPACITY;
    observer->on = stele__slice(table->on);
    observer->context = context;
    observer->owner = observers;
    observer->task.name = table->name;
    observer->task.priority = STELE__PRIORITY_OBSERVER;
    observer->task.run = see_next;
    if (stele__size_multiply(observer->capacity, sizeof(struct sighting *), &size))
        observer->ring = stele__alloc(size);
    if (!observer->ring) {
        stele__free(observer, sizeof(*observer));
        return NULL;
    }
    return observer;
}

/* Put an observer behind the last one; under the lock. */
static void link_last(struct stele__observers *observers, struct observer *observer)
{
    struct observer **last = &observers->first;

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
    struct observer *observer;
    bool is_taken, is_stopped;

    if (status != STELE_OK)
        return status;
    observer = observer_new(observers, table, context);
    if (!observer)
        return stele__fail_memory(error);
    lock(observers);
    is_stopped = observers->is_stopped;
    is_taken = find(observers, table->name);
    if (!is_stopped && !is_taken)
        link_last(observers, observer);
    unlock(observers);
    if (!is_stopped && !is_taken)
        return STELE_OK;
    stele__free(observer->ring, observer->capacity * sizeof(struct sighting *));
    stele__free(observer, sizeof(*observer));
    if (is_stopped)
        return stele__fail(error, STELE_SHUTDOWN, "observer %s: the bus has stopped", table->name);
    return fail_observer(error, table->name, "the name is taken");
}

/* Take one out of what notifications reach, under the lock; true if the caller is to release it. */
static bool detach(struct observer *observer, struct sighting **dead)
{
    observer->is_removed = true;
    empty(observer, dead);
    update_want(observer->owner);
    return !observer->is_scheduled;
}

bool stele__observers_remove(struct stele__observers *observers, const char *name)
{
    struct sighting *dead = NULL;
    struct observer *observer;
    bool is_idle = false;

    lock(observers);
    observer = find(observers, name);
    if (observer)
        is_idle = detach(observer, &dead);
    unlock(observers);
    bury_all(dead);
    if (is_idle)
        release(observer);
    return observer;
}

void stele__observers_lost(struct stele__observers *observers, const char *name)
{
    struct observer *observer;

    lock(observers);
    observer = find(observers, name);
    if (observer)
        observer->dropped++;
    unlock(observers);
}

stele_status stele__observers_stats(struct stele__observers *observers, const char *name,
                                    struct stele_observer_stats *out, stele_error **error)
{
    const struct observer *observer;

    lock(observers);
    observer = find(observers, name);
    if (observer) {
        out->seen = observer->seen;
        out->dropped = observer->dropped;
        out->waiting = observer->count;
    }
    unlock(observers);
    if (!observer)
        return stele__fail(error, STELE_NOT_FOUND, "no observer is named %s", name);
    return STELE_OK;
}

/* --- Flushing and ending -------------------------------------------------------------- */

/* Begin to wait for what was notified so far; false if all have seen it. */
static bool begin_flush(struct stele__observers *observers, struct flusher *flusher)
{
    bool are_behind;

    lock(observers);
    flusher->number = observers->number;
    for (const struct observer *each = observers->first; each; each = each->next)
        flusher->behind += oldest(each) <= flusher->number;
    are_behind = flusher->behind > 0;
    if (are_behind) {
        flusher->next = observers->flushers;
        observers->flushers = flusher;
    }
    unlock(observers);
    return are_behind;
}

static size_t end_flush(struct stele__observers *observers, struct flusher *flusher)
{
    size_t behind;

    lock(observers);
    for (struct flusher **each = &observers->flushers; *each; each = &(*each)->next) {
        if (*each == flusher) {
            *each = flusher->next;
            break;
        }
    }
    behind = flusher->behind;
    unlock(observers);
    return behind;
}

stele_status stele__observers_flush(struct stele__observers *observers, uint32_t timeout_ms, stele_error **error)
{
    const int64_t deadline = stele__runtime_monotonic(observers->runtime) + timeout_ms * NANOS_PER_MS;
    struct flusher flusher = {.behind = 0};
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
    struct sighting *dead = NULL;
    uint64_t dropped = 0;
    char text[24];

    stele__observers_flush(observers, timeout_ms, NULL);
    lock(observers);
    observers->is_stopped = true;
    update_want(observers);
    for (struct observer *each = observers->first; each; each = each->next) {
        dropped += each->count;
        empty(each, &dead);
    }
    unlock(observers);
    bury_all(dead);
    if (dropped == 0)
        return;
    snprintf(text, sizeof(text), "%" PRIu64, dropped);
    STELE__LOG(STELE_LOG_WARNING, "observers did not see all", {"dropped", text});
}

/* Remove all that are still there; those that are idle come back as a chain to be released. */
static struct observer *detach_all(struct stele__observers *observers, struct sighting **dead)
{
    struct observer *idle = NULL, **last = &idle;

    for (struct observer *each = observers->first; each; each = each->next) {
        if (each->is_removed || !detach(each, dead))
            continue;
        each->next_ready = NULL;
        *last = each;
        last = &each->next_ready;
    }
    return idle;
}

static void release_all(struct observer *idle)
{
    while (idle) {
        struct observer *const next = idle->next_ready;

        release(idle);
        idle = next;
    }
}

/* Wait for the observers that are ready or seeing, some time: those that hang release themselves when they return. */
static void await_gone(struct stele__observers *observers)
{
    bool are_left;

    lock(observers);
    are_left = observers->first;
    observers->is_freed = true;
    unlock(observers);
    if (are_left)
        stele__runtime_wait(observers->runtime, &observers->all_gone,
                            stele__runtime_monotonic(observers->runtime) + FREE_WAIT);
}

void stele__observers_free(struct stele__observers *observers)
{
    struct sighting *dead = NULL;
    struct observer *idle;
    bool is_last;

    if (!observers)
        return;
    lock(observers);
    observers->is_stopped = true;
    idle = detach_all(observers, &dead);
    unlock(observers);
    bury_all(dead);
    release_all(idle);
    await_gone(observers);
    lock(observers);
    if (observers->is_watching && stele__timer_cancel(&observers->watch)) {
        observers->is_watching = false;
        drop_reference(observers);
    }
    is_last = drop_reference(observers);
    unlock(observers);
    if (is_last)
        end(observers);
}
