/*
 * What observers see: each has a bounded queue of its own and a task that empties it.
 *
 *     notify ──► sighting (copied once, counted references)
 *                  │ one lock, one pass, one task posted: it posts those of the observers
 *                  ├──► ring of observer 1 ──► task ──► see
 *                  ├──► ring of observer 2 ──► task ──► see
 *                  ...
 *
 * All rings, and the references to sightings, are guarded by the registry's one
 * mutex: a notifier takes it once whatever the number of observers, and all of
 * them see the same order.
 *
 *              notify           a worker takes it          ring empty
 *     idle ───────────► ready ──────────────────► seeing ─────────────► idle
 *                         ▲                          │ more
 *                         └──────────────────────────┘
 *
 * A timer fires when the first of the calls of `see` that are under way has used
 * up its time: that one has hung, is logged, and another thread stands in for the
 * one it holds. It is not stopped by a call that returns in time, so that most
 * calls do not touch it.
 *
 * What can fail: memory. A notification for which there is none is lost and
 * counted as dropped.
 */
#include "bus/seeing.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"

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
static struct stele__sighting *sighting_new(const struct stele_observation *seen)
{
    const char *const route = seen->route ? seen->route : "";
    const char *const text = seen->text ? seen->text : "";
    const struct stele_slice type = type_of(seen);
    const size_t size = sizeof(struct stele__sighting) + strlen(route) + strlen(text) + type.size + 3;
    stele_message *const message = seen->message ? stele_message_ref(seen->message) : NULL;
    struct stele__sighting *sighting = NULL;
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
static void sighting_drop(struct stele__sighting *sighting, struct stele__sighting **dead)
{
    if (--sighting->references > 0)
        return;
    sighting->next_dead = *dead;
    *dead = sighting;
}

/* Free a chain of the dead, without the lock. */
void stele__sightings_free(struct stele__sighting *dead)
{
    while (dead) {
        struct stele__sighting *const next = dead->next_dead;

        stele_message_unref(dead->message);
        stele__free(dead, dead->allocated);
        dead = next;
    }
}

/* --- Queues ----------------------------------------------------------------------- */

/* The number of the oldest sighting that an observer has not done with. */
uint64_t stele__observer_oldest(const struct stele__observer *observer)
{
    if (observer->seeing)
        return observer->seeing->number;
    return observer->count ? observer->ring[observer->first]->number : UINT64_MAX;
}

static struct stele__sighting *take(struct stele__observer *observer)
{
    struct stele__sighting *const sighting = observer->ring[observer->first];

    observer->first = observer->first + 1 == observer->capacity ? 0 : observer->first + 1;
    observer->count--;
    return sighting;
}

/* Count an observer that has passed what it was behind with, for those who flush. */
static void settle(struct stele__observers *observers, const struct stele__observer *observer, uint64_t before)
{
    const uint64_t after = stele__observer_oldest(observer);

    for (struct stele__flusher *each = observers->flushers; each; each = each->next) {
        if (before <= each->number && after > each->number && --each->behind == 0)
            stele__signal_set(&each->done);
    }
}

/* Throw out all that waits for an observer. */
void stele__observer_empty(struct stele__observer *observer, struct stele__sighting **dead)
{
    const uint64_t before = stele__observer_oldest(observer);

    observer->dropped += observer->count;
    while (observer->count > 0)
        sighting_drop(take(observer), dead);
    settle(observer->owner, observer, before);
}

/* Queue a sighting; true if the observer's task is to be posted. */
static bool enqueue(struct stele__observer *observer, struct stele__sighting *sighting, struct stele__sighting **dead)
{
    size_t place;

    if (observer->count == observer->capacity) {
        const uint64_t before = stele__observer_oldest(observer);

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

static bool wants(const struct stele__observer *observer, enum stele_seen seen, struct stele_slice type)
{
    return !observer->is_removed && (observer->table.kinds & (unsigned)seen) &&
           (!observer->on.data || stele__pattern_match(observer->on, type));
}

/* Post the tasks of those that notifications made ready. */
void stele__observers_spread(struct stele__task *task)
{
    struct stele__observers *const observers =
        (struct stele__observers *)(void *)((char *)task - offsetof(struct stele__observers, spread));
    stele_runtime *const runtime = observers->runtime;
    struct stele__observer *ready;
    bool is_last;

    stele__observers_lock(observers);
    ready = observers->ready;
    observers->ready = NULL;
    observers->last_ready = &observers->ready;
    observers->is_spreading = false;
    is_last = stele__observers_drop(observers);
    stele__observers_unlock(observers);
    while (ready) {
        struct stele__observer *const next = ready->next_ready;

        stele__runtime_post(runtime, &ready->task);
        ready = next;
    }
    if (is_last)
        stele__observers_end(observers);
}

/* Count a sighting there was no memory for, or queue it with all that want it, who come behind those that are ready. */
static void hand_out(struct stele__observers *observers, const struct stele_observation *seen,
                     struct stele__sighting *sighting, struct stele__sighting **dead)
{
    const struct stele_slice type = type_of(seen);

    if (sighting)
        sighting->number = ++observers->number;
    for (struct stele__observer *each = observers->is_stopped ? NULL : observers->first; each; each = each->next) {
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
    struct stele__sighting *dead = NULL, *sighting;
    bool is_first;

    if (!(stele__observers_want(observers) & (unsigned)observation->seen))
        return;
    sighting = sighting_new(observation);
    stele__observers_lock(observers);
    hand_out(observers, observation, sighting, &dead);
    /* One task to post, whatever the number of observers: to wake threads is what costs. */
    is_first = observers->ready && !observers->is_spreading;
    observers->is_spreading |= is_first;
    observers->references += is_first;
    stele__observers_unlock(observers);
    if (is_first)
        stele__runtime_post(observers->runtime, &observers->spread);
    stele__sightings_free(dead);
}

/* --- Seeing ----------------------------------------------------------------------- */

/* Have the timer fire at a time. Without memory for it, nobody looks for those that hang, until the next call of `see`. */
static void start_watching(struct stele__observers *observers, int64_t now, int64_t due)
{
    observers->watch_due = due;
    observers->is_watching = stele__timer_start(observers->runtime, &observers->watch, due - now);
    observers->references += observers->is_watching;
}

/* Have it fire by a time at the latest. */
static void watch_by(struct stele__observers *observers, int64_t now, int64_t due)
{
    if (observers->is_freed || (observers->is_watching && observers->watch_due <= due))
        return;
    if (observers->is_watching) {
        if (!stele__timer_cancel(&observers->watch)) /* it is firing, and looks at all */
            return;
        stele__observers_drop(observers); /* not the last: the observer has one */
    }
    start_watching(observers, now, due);
}

static _Thread_local struct stele__observer *innermost;

bool stele__observer_is_here(const struct stele__observer *observer)
{
    const struct stele__observer *here = innermost;

    while (here && here != observer)
        here = here->outer;
    return here != NULL;
}

static void see(struct stele__observer *observer, const struct stele_observation *observation)
{
    observer->outer = innermost;
    innermost = observer;
    observer->table.see(observer->context, observation);
    innermost = observer->outer;
}

/* The sighting to be seen now; NULL for an observer that was removed meanwhile. */
static struct stele__sighting *begin_seeing(struct stele__observer *observer)
{
    const int64_t now = stele__runtime_monotonic(observer->owner->runtime);

    stele__observers_lock(observer->owner);
    if (observer->count > 0) {
        observer->seeing = take(observer);
        observer->began = now;
        watch_by(observer->owner, now, now + observer->limit);
    }
    stele__observers_unlock(observer->owner);
    return observer->seeing;
}

/* Returns whether the observer's task is to be posted again; otherwise *is_removed says whether it is to be released. */
static bool end_seeing(struct stele__observer *observer, bool *is_removed, struct stele__sighting **dead)
{
    struct stele__observers *const observers = observer->owner;
    const uint64_t before = stele__observer_oldest(observer);
    struct stele__sighting *const sighting = observer->seeing;

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
void stele__observer_run(struct stele__task *task)
{
    struct stele__observer *const observer = (struct stele__observer *)task;
    struct stele__observers *const observers = observer->owner;
    const struct stele__sighting *const sighting = begin_seeing(observer);
    struct stele__sighting *dead = NULL;
    bool has_more, is_removed;

    if (sighting)
        see(observer, &sighting->observation);
    stele__observers_lock(observers);
    has_more = end_seeing(observer, &is_removed, &dead);
    stele__observers_unlock(observers);
    stele__sightings_free(dead);
    if (has_more)
        stele__runtime_post(observers->runtime, task);
    else if (is_removed)
        stele__observer_release(observer);
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

/* Look at one that sees, which may have hung; the time of the next look is not later than its end. */
static void look_at(struct stele__observer *observer, int64_t now, struct names *hanging, int64_t *next)
{
    const int64_t due = observer->began + observer->limit;

    if (now >= due) {
        observer->has_hung = true;
        stele__runtime_overrun_begin(observer->owner->runtime);
        add_name(hanging, observer->table.name);
    } else if (due < *next) {
        *next = due;
    }
}

void stele__observers_watch(struct stele__timer *timer)
{
    struct stele__observers *const observers =
        (struct stele__observers *)(void *)((char *)timer - offsetof(struct stele__observers, watch));
    struct names hanging = {.size = 0};
    int64_t now, next = INT64_MAX;
    bool is_last;

    stele__observers_lock(observers);
    now = stele__runtime_monotonic(observers->runtime);
    for (struct stele__observer *each = observers->first; each; each = each->next) {
        if (each->seeing && !each->has_hung)
            look_at(each, now, &hanging, &next);
    }
    observers->is_watching = false;
    if (next < INT64_MAX && !observers->is_freed)
        start_watching(observers, now, next);
    is_last = stele__observers_drop(observers);
    stele__observers_unlock(observers);
    if (hanging.size > 0)
        STELE__LOG(STELE_LOG_WARNING, "observers hang", {"observers", hanging.text});
    if (is_last)
        stele__observers_end(observers);
}
