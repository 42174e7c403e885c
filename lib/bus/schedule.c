/*
 * Schedules: messages published at a time, or again and again.
 *
 *                timer             task
 *     WAITING ─────────► POSTED ─────────► PUBLISHING ──► ended (at)
 *        ▲                                     │
 *        └──────────── next due (every) ◄──────┘
 *
 * The timer only posts, as it fires in a thread that others need too. Cancelled
 * while it waits, a schedule is freed by who cancels it; later, by its own task,
 * which finds it no longer listed. What is published is a copy with a new id and
 * the time of the moment.
 *
 * Due times of `every` lie on a grid that begins with the first, so that nothing
 * drifts; one that could not be kept is left out, not made up for. `at` looks at
 * the wall clock again when its timer fires, as that may have been set meanwhile.
 *
 * What can fail: memory; a publish, which is logged and counted.
 */
#include <stele/bus.h>

#include "base/error.h"
#include "base/log.h"
#include "base/map.h"
#include "base/memory.h"
#include "bus/again.h"
#include "bus/bus.h"
#include "runtime/runtime.h"

#include <inttypes.h>
#include <stdio.h>

#define NANOS_PER_MS INT64_C(1000000)
enum { DRAIN_MS = 1000 };
/* Far enough away, and sums with the clock stay far from overflow: about 73 years. */
#define DELAY_MAX (INT64_MAX / 4)

struct schedule {
    struct stele__timer timer;
    struct stele__task task;
    struct stele__schedules *all; /* one reference */
    stele_schedule_id id;
    stele_message *message;
    int64_t interval;      /* nanoseconds; 0: once */
    int64_t due;           /* of `every` by the monotonic clock, else by the wall clock */
    bool is_listed;        /* guarded by the mutex */
    struct schedule *next; /* of those that stopping cancels */
};

/* Thread-safe; referenced by the bus and by each schedule. */
struct stele__schedules {
    stele_bus *bus;
    stele_runtime *runtime;
    atomic_size_t references;
    _Atomic uint64_t failed;   /* publishes */
    struct stele__signal idle; /* stopped, and nothing is publishing */

    pthread_mutex_t mutex; /* guards what follows */
    struct stele__map by_id;
    stele_schedule_id last_id;
    size_t publishing;
    bool is_stopped;
};

/* --- Memory ---------------------------------------------------------------------------------- */

stele_status stele__schedules_new(stele_bus *bus, struct stele__schedules **out, stele_error **error)
{
    struct stele__schedules *all = stele__alloc(sizeof(*all));

    if (!all || !stele__signal_init(&all->idle)) {
        stele__free(all, sizeof(*all));
        return stele__fail_memory(error);
    }
    if (pthread_mutex_init(&all->mutex, NULL) != 0) {
        stele__signal_fini(&all->idle);
        stele__free(all, sizeof(*all));
        return stele__fail_memory(error);
    }
    all->bus = bus;
    all->runtime = stele_bus_runtime(bus);
    atomic_init(&all->references, 1);
    stele__map_init(&all->by_id);
    *out = all;
    return STELE_OK;
}

static void unref(struct stele__schedules *all)
{
    if (atomic_fetch_sub_explicit(&all->references, 1, memory_order_acq_rel) > 1)
        return;
    stele__map_fini(&all->by_id);
    pthread_mutex_destroy(&all->mutex);
    stele__signal_fini(&all->idle);
    stele__free(all, sizeof(*all));
}

static void schedule_free(struct schedule *schedule)
{
    stele_message_unref(schedule->message);
    unref(schedule->all);
    stele__free(schedule, sizeof(*schedule));
}

static struct stele_slice key_of(const stele_schedule_id *id)
{
    return (struct stele_slice){(const char *)id, sizeof(*id)};
}

/* --- Times ----------------------------------------------------------------------------------- */

static int64_t until(int64_t time, int64_t now)
{
    const uint64_t delay = (uint64_t)time - (uint64_t)now;

    if (time <= now)
        return 0;
    return delay > DELAY_MAX ? DELAY_MAX : (int64_t)delay;
}

/* How long to wait for the next time; under the mutex. */
static int64_t time_left(struct schedule *schedule)
{
    const struct stele__schedules *all = schedule->all;
    const int64_t now = schedule->interval ? stele__runtime_monotonic(all->runtime) : stele__runtime_now(all->runtime);

    return until(schedule->due, now);
}

static void advance(struct schedule *schedule)
{
    const int64_t late = stele__runtime_monotonic(schedule->all->runtime) - schedule->due;

    schedule->due += schedule->interval * (late > 0 ? late / schedule->interval + 1 : 1);
}

/* --- Publishing --------------------------------------------------------------------------------- */

/* Log it, and count it. */
static void note_failure(const struct schedule *schedule, stele_status status, const char *text)
{
    char id[24];

    atomic_fetch_add_explicit(&schedule->all->failed, 1, memory_order_relaxed);
    snprintf(id, sizeof(id), "%" PRIu64, schedule->id);
    STELE__LOG(STELE_LOG_WARNING, "a scheduled message was not published", {"schedule", id},
               {"type", stele_message_type(schedule->message).data}, {"status", stele_status_name(status)},
               {"text", text});
}

static void publish(const struct schedule *schedule)
{
    const struct stele__again how = {0};
    stele_message *message = NULL;
    stele_error *error = NULL;
    stele_status status = stele__message_again(schedule->all->runtime, schedule->message, &how, &message, &error);

    if (status == STELE_OK)
        status = stele_publish(schedule->all->bus, message, NULL, &error);
    if (status != STELE_OK)
        note_failure(schedule, status, stele_error_message(error));
    stele_error_free(error);
    stele_message_unref(message);
}

static void delist(struct schedule *schedule)
{
    stele__map_remove(&schedule->all->by_id, key_of(&schedule->id));
    schedule->is_listed = false;
}

/* True if it is to publish now. */
static bool begin(struct schedule *schedule)
{
    struct stele__schedules *all = schedule->all;
    bool begins;

    pthread_mutex_lock(&all->mutex);
    begins = schedule->is_listed;
    all->publishing += begins;
    if (begins && !schedule->interval)
        delist(schedule);
    pthread_mutex_unlock(&all->mutex);
    return begins;
}

/* Wait for the next time; false if there is none. */
static bool end(struct schedule *schedule)
{
    struct stele__schedules *all = schedule->all;
    bool goes_on;

    pthread_mutex_lock(&all->mutex);
    if (schedule->is_listed) {
        advance(schedule);
        if (!stele__timer_start(all->runtime, &schedule->timer, time_left(schedule))) {
            note_failure(schedule, STELE_NO_MEMORY, "there is no memory for its timer: it has ended");
            delist(schedule);
        }
    }
    goes_on = schedule->is_listed;
    all->publishing--;
    if (all->is_stopped && all->publishing == 0)
        stele__signal_set(&all->idle);
    pthread_mutex_unlock(&all->mutex);
    return goes_on;
}

static void run(struct stele__task *task)
{
    struct schedule *schedule = (struct schedule *)((char *)task - offsetof(struct schedule, task));

    if (begin(schedule)) {
        publish(schedule);
        if (end(schedule))
            return;
    }
    schedule_free(schedule);
}

static void fire(struct stele__timer *timer)
{
    struct schedule *schedule = (struct schedule *)((char *)timer - offsetof(struct schedule, timer));
    struct stele__schedules *all = schedule->all;
    bool waits = false;
    int64_t left;

    pthread_mutex_lock(&all->mutex);
    left = time_left(schedule);
    if (schedule->is_listed && !schedule->interval && left > 0)
        waits = stele__timer_start(all->runtime, timer, left);
    pthread_mutex_unlock(&all->mutex);
    if (!waits)
        stele__runtime_post(all->runtime, &schedule->task);
}

/* --- Beginning and ending ------------------------------------------------------------------------ */

static struct schedule *schedule_new(struct stele__schedules *all, const stele_message *message)
{
    struct schedule *schedule = stele__alloc(sizeof(*schedule));
    stele_message *reference = schedule ? stele_message_ref(message) : NULL;

    if (!reference) {
        stele__free(schedule, sizeof(*schedule));
        return NULL;
    }
    atomic_fetch_add_explicit(&all->references, 1, memory_order_relaxed);
    schedule->all = all;
    schedule->message = reference;
    schedule->timer.name = "schedule";
    schedule->timer.fire = fire;
    schedule->task.name = "schedule";
    schedule->task.priority = STELE__PRIORITY_DEFAULT;
    schedule->task.run = run;
    return schedule;
}

/* List it and start its timer; under the mutex. */
static stele_status list(struct schedule *schedule, stele_error **error)
{
    struct stele__schedules *all = schedule->all;

    if (all->is_stopped)
        return stele__fail(error, STELE_SHUTDOWN, "the bus is stopping");
    schedule->id = ++all->last_id;
    if (!stele__map_put(&all->by_id, key_of(&schedule->id), schedule))
        return stele__fail_memory(error);
    schedule->is_listed = true;
    if (!stele__timer_start(all->runtime, &schedule->timer, time_left(schedule))) {
        delist(schedule);
        return stele__fail_memory(error);
    }
    return STELE_OK;
}

static stele_status start(stele_bus *bus, const stele_message *message, int64_t interval, int64_t due,
                          stele_schedule_id *id, stele_error **error)
{
    struct stele__schedules *all = stele__bus_schedules(bus);
    struct schedule *schedule = schedule_new(all, message);
    stele_schedule_id new_id = 0;
    stele_status status;

    if (!schedule)
        return stele__fail_memory(error);
    schedule->interval = interval;
    schedule->due = due;
    pthread_mutex_lock(&all->mutex);
    status = list(schedule, error);
    if (status == STELE_OK)
        new_id = schedule->id; /* behind the mutex it may be over already */
    pthread_mutex_unlock(&all->mutex);
    if (status != STELE_OK) {
        schedule_free(schedule);
        return status;
    }
    if (id)
        *id = new_id;
    return STELE_OK;
}

stele_status stele_schedule_at(stele_bus *bus, int64_t time, const stele_message *message, stele_schedule_id *id,
                               stele_error **error)
{
    if (!stele__bus_is_usable(bus))
        return stele__bus_fail_unusable(bus, error);
    if (!message)
        return stele__fail_argument(error, "message", "is NULL");
    return start(bus, message, 0, time, id, error);
}

stele_status stele_schedule_every(stele_bus *bus, uint64_t interval_ms, const stele_message *message,
                                  stele_schedule_id *id, stele_error **error)
{
    int64_t interval;

    if (!stele__bus_is_usable(bus))
        return stele__bus_fail_unusable(bus, error);
    if (!message)
        return stele__fail_argument(error, "message", "is NULL");
    if (interval_ms < 1 || interval_ms > DELAY_MAX / NANOS_PER_MS)
        return stele__fail_argument(error, "interval_ms", "must be from 1 ms to 73 years");
    interval = (int64_t)interval_ms * NANOS_PER_MS;
    return start(bus, message, interval, stele__runtime_monotonic(stele_bus_runtime(bus)) + interval, id, error);
}

bool stele_schedule_cancel(stele_bus *bus, stele_schedule_id id)
{
    struct stele__schedules *all;
    struct schedule *schedule;
    bool is_waiting = false;

    if (!stele__bus_is_usable(bus))
        return false;
    all = stele__bus_schedules(bus);
    pthread_mutex_lock(&all->mutex);
    schedule = stele__map_get(&all->by_id, key_of(&id));
    if (schedule) {
        delist(schedule);
        is_waiting = stele__timer_cancel(&schedule->timer);
    }
    pthread_mutex_unlock(&all->mutex);
    if (is_waiting)
        schedule_free(schedule);
    return schedule != NULL;
}

void stele__schedules_stop(struct stele__schedules *all)
{
    struct schedule *waiting = NULL;
    struct stele_slice key;
    size_t place = 0;
    void *value;

    pthread_mutex_lock(&all->mutex);
    all->is_stopped = true;
    while (stele__map_next(&all->by_id, &place, &key, &value)) {
        struct schedule *schedule = value;

        schedule->is_listed = false;
        if (!stele__timer_cancel(&schedule->timer))
            continue;
        schedule->next = waiting;
        waiting = schedule;
    }
    stele__map_fini(&all->by_id);
    if (all->publishing == 0)
        stele__signal_set(&all->idle);
    pthread_mutex_unlock(&all->mutex);
    for (struct schedule *schedule = waiting, *next; schedule; schedule = next) {
        next = schedule->next;
        schedule_free(schedule);
    }
}

bool stele__schedules_drain(struct stele__schedules *all)
{
    return stele__runtime_wait(all->runtime, &all->idle,
                               stele__runtime_monotonic(all->runtime) + DRAIN_MS * NANOS_PER_MS);
}

uint64_t stele__schedules_failed(const struct stele__schedules *all)
{
    return atomic_load_explicit(&all->failed, memory_order_relaxed);
}

void stele__schedules_free(struct stele__schedules *all)
{
    if (all)
        unref(all);
}
