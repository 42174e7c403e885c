/*
 * Units of work: what one message causes, until all of it is done.
 *
 *     new ── publish: note, fail ── leave, leave ... ── pending is 0: signal ── outcome
 *
 * A unit lives as long as one who waits for it or one delivery in it. Those who
 * wait look at it whenever its signal is set: by the last thing pending, and
 * earlier by the reply or a failure if a reply is awaited, by an event if events
 * are kept. It is set behind what there is to see, and without the mutex, which
 * whoever wakes takes at once; it is reset before looking.
 *
 * What can fail: memory; a failure that cannot be kept is counted all the same.
 */
#include "bus/core.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"

#include <string.h>

/* --- Making and freeing ------------------------------------------------------------------- */

static void free_unit(struct stele_unit *unit)
{
    stele__vector_fini(&unit->events);
    stele__signal_fini(&unit->signal);
    pthread_mutex_destroy(&unit->mutex);
    stele__free(unit, sizeof(*unit));
}

void stele__unit_free_spare(stele_bus *bus)
{
    struct stele_unit *unit = atomic_exchange(&bus->spare, NULL);

    if (unit)
        free_unit(unit);
}

static struct stele_unit *make_unit(void)
{
    struct stele_unit *unit = stele__alloc(sizeof(*unit));

    if (!unit)
        return NULL;
    if (pthread_mutex_init(&unit->mutex, NULL) != 0) {
        stele__free(unit, sizeof(*unit));
        return NULL;
    }
    if (!stele__signal_init(&unit->signal)) {
        pthread_mutex_destroy(&unit->mutex);
        stele__free(unit, sizeof(*unit));
        return NULL;
    }
    stele__vector_init(&unit->events, sizeof(stele_message *));
    return unit;
}

static int64_t deadline_of(stele_bus *bus, uint32_t timeout_ms)
{
    return stele__runtime_monotonic(bus->runtime) +
           (timeout_ms ? timeout_ms : bus->timeout_ms) * STELE__NANOS_PER_MILLISECOND;
}

struct stele_unit *stele__unit_new(stele_bus *bus, int64_t deadline)
{
    struct stele_unit *unit = atomic_exchange_explicit(&bus->spare, NULL, memory_order_acquire);

    if (!unit)
        unit = make_unit();
    if (!unit)
        return NULL;
    unit->bus = bus;
    unit->deadline = deadline;
    atomic_init(&unit->references, 1);
    atomic_init(&unit->pending, 1);
    return unit;
}

int64_t stele__unit_deadline(stele_bus *bus, const struct stele_send_options *options)
{
    return deadline_of(bus, options ? options->timeout_ms : 0);
}

/* Make it as new. */
static void clear(struct stele_unit *unit)
{
    while (unit->taken < unit->events.count)
        stele_message_unref(*(stele_message **)stele__vector_at(&unit->events, unit->taken++));
    stele__vector_fini(&unit->events);
    stele_message_unref(unit->reply);
    stele_arena_free(unit->arena);
    stele__text_free(unit->awaited_text);
    unit->awaited_text = NULL;
    unit->awaits_reply = unit->keeps_events = unit->is_shut_down = false;
    unit->awaited = stele__slice(NULL);
    atomic_init(&unit->is_cancelled, false);
    atomic_init(&unit->is_abandoned, false);
    atomic_init(&unit->messages, 0);
    atomic_init(&unit->deliveries, 0);
    unit->reply = NULL;
    unit->wrong_reply = STELE_OK;
    unit->failure_count = 0;
    unit->failures = NULL;
    unit->failures_kept = 0;
    unit->arena = NULL;
    unit->taken = 0;
    if (stele__signal_is_set(&unit->signal))
        stele__signal_reset(&unit->signal);
}

static void retire(struct stele_unit *unit)
{
    stele_bus *bus = unit->bus;
    struct stele_unit *other;

    clear(unit);
    other = atomic_exchange_explicit(&bus->spare, unit, memory_order_acq_rel);
    if (other)
        free_unit(other);
}

void stele__unit_unref(struct stele_unit *unit)
{
    if (!unit)
        return;
    if (stele__unit_is_alone(unit) || atomic_fetch_sub_explicit(&unit->references, 1, memory_order_acq_rel) == 1)
        retire(unit);
}

void stele__unit_drop(struct stele_unit *unit)
{
    if (!unit || atomic_fetch_sub_explicit(&unit->references, 1, memory_order_acq_rel) > 1)
        return;
    clear(unit);
    free_unit(unit);
}

void stele__unit_leave(struct stele_unit *unit)
{
    if (!unit)
        return;
    if (atomic_fetch_sub_explicit(&unit->pending, 1, memory_order_acq_rel) == 1)
        stele__signal_set(&unit->signal);
    stele__unit_unref(unit);
}

/* --- Failures --------------------------------------------------------------------------------- */

static const char *keep(struct stele_unit *unit, struct stele_slice text)
{
    const char *kept = stele_arena_text(unit->arena, text.data ? text.data : "", text.size);

    return kept ? kept : "";
}

static void keep_failure(struct stele_unit *unit, const struct stele_failure *failure, const stele_message *message)
{
    struct stele_failure *slot;

    if (unit->failures_kept == STELE_FAILURES_MAX)
        return;
    if (!unit->arena && stele_arena_new(&unit->arena, NULL) != STELE_OK)
        return;
    if (!unit->failures)
        unit->failures = stele__arena_array(unit->arena, STELE_FAILURES_MAX, sizeof(*unit->failures));
    if (!unit->failures)
        return;
    slot = &unit->failures[unit->failures_kept++];
    slot->status = failure->status;
    slot->attempts = failure->attempts;
    slot->route = keep(unit, stele__slice(failure->route));
    slot->text = keep(unit, stele__slice(failure->text));
    slot->type = keep(unit, stele_message_type(message));
    slot->id = keep(unit, stele_message_id(message));
}

void stele__unit_fail(struct stele_unit *unit, stele_status status, const char *route, const stele_message *message,
                      const char *text, unsigned attempts)
{
    const struct stele_failure failure = {.status = status,
                                          .route = route,
                                          .text = text && *text ? text : stele_status_text(status),
                                          .attempts = attempts};

    if (!unit)
        return;
    pthread_mutex_lock(&unit->mutex);
    keep_failure(unit, &failure, message);
    unit->failure_count++;
    pthread_mutex_unlock(&unit->mutex);
    if (unit->awaits_reply)
        stele__signal_set(&unit->signal);
}

void stele__unit_cancel(struct stele_unit *unit)
{
    if (unit)
        atomic_store(&unit->is_cancelled, true);
}

/* --- Replies and events --------------------------------------------------------------------------- */

static bool is_awaited(const struct stele_unit *unit, const stele_message *message)
{
    return unit->awaited.data ? stele__slice_equal(unit->awaited, stele_message_type(message))
                              : stele_message_kind(message) == STELE_REPLY;
}

/* Under the mutex. */
static void take_reply(struct stele_unit *unit, const stele_message *message)
{
    if (unit->reply || unit->wrong_reply != STELE_OK)
        return;
    if (is_awaited(unit, message)) {
        unit->reply = stele_message_ref(message);
        unit->wrong_reply = unit->reply ? STELE_OK : STELE_NO_MEMORY;
    } else if (stele_message_kind(message) == STELE_REPLY) {
        unit->wrong_reply = STELE_INVALID;
        keep_failure(unit,
                     &(const struct stele_failure){.status = STELE_INVALID,
                                                   .route = "",
                                                   .text = "the reply is of another type than was asked for"},
                     message);
        unit->failure_count++;
    }
}

/* Under the mutex. */
static void keep_event(struct stele_unit *unit, const stele_message *message)
{
    stele_message **slot = stele__vector_add(&unit->events);

    if (slot)
        *slot = stele_message_ref(message);
    if (!slot || !*slot) {
        unit->events.count -= slot ? 1 : 0;
        unit->failure_count++;
        unit->wrong_reply = STELE_NO_MEMORY;
    }
}

void stele__unit_note(struct stele_unit *unit, const stele_message *message)
{
    const enum stele_message_kind kind = stele_message_kind(message);

    stele__unit_count(unit, &unit->messages, 1);
    if (unit->awaits_reply && (kind == STELE_REPLY || unit->awaited.data)) {
        if (is_awaited(unit, message) && atomic_load(&unit->is_abandoned)) {
            stele__tally(&unit->bus->late_replies);
            return;
        }
        pthread_mutex_lock(&unit->mutex);
        take_reply(unit, message);
        pthread_mutex_unlock(&unit->mutex);
        stele__signal_set(&unit->signal);
    } else if (unit->keeps_events && (kind == STELE_EVENT || kind == STELE_REPLY)) {
        pthread_mutex_lock(&unit->mutex);
        keep_event(unit, message);
        pthread_mutex_unlock(&unit->mutex);
        stele__signal_set(&unit->signal);
    }
}

/* --- Waiting ------------------------------------------------------------------------------------------ */

static void enlist(struct stele_unit *unit)
{
    stele_bus *bus = unit->bus;

    pthread_mutex_lock(&bus->mutex);
    unit->previous = NULL;
    unit->next = bus->waiting;
    if (bus->waiting)
        bus->waiting->previous = unit;
    bus->waiting = unit;
    unit->is_shut_down = bus->is_stopped;
    pthread_mutex_unlock(&bus->mutex);
}

static void delist(struct stele_unit *unit)
{
    stele_bus *bus = unit->bus;

    pthread_mutex_lock(&bus->mutex);
    if (unit->previous)
        unit->previous->next = unit->next;
    else
        bus->waiting = unit->next;
    if (unit->next)
        unit->next->previous = unit->previous;
    pthread_mutex_unlock(&bus->mutex);
}

/* Under the bus's mutex. */
void stele__units_shut_down(stele_bus *bus)
{
    for (struct stele_unit *unit = bus->waiting; unit; unit = unit->next) {
        pthread_mutex_lock(&unit->mutex);
        unit->is_shut_down = true;
        stele__signal_set(&unit->signal);
        pthread_mutex_unlock(&unit->mutex);
    }
}

stele_status stele__unit_wait(struct stele_unit *unit, bool (*is_over)(const struct stele_unit *unit))
{
    stele_status status = STELE_OK;
    bool is_done = false;

    enlist(unit);
    while (status == STELE_OK && !is_done) {
        if (stele__signal_is_set(&unit->signal))
            stele__signal_reset(&unit->signal);
        pthread_mutex_lock(&unit->mutex);
        is_done = is_over(unit);
        if (!is_done && unit->is_shut_down)
            status = STELE_SHUTDOWN;
        pthread_mutex_unlock(&unit->mutex);
        if (status == STELE_OK && !is_done && !stele__runtime_wait(unit->bus->runtime, &unit->signal, unit->deadline))
            status = STELE_TIMEOUT;
    }
    delist(unit);
    return status;
}
