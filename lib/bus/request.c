/*
 * Sending from outside: publish, deliver, request, units of work by hand.
 *
 *     publish:  the message, and back
 *     deliver:  a unit of work ── the message ── wait until nothing is pending ── outcome
 *     request:  the same, until the reply, a failure, or nothing is pending
 *     unit:     begin ── publish*, next* ── end
 *
 * Where all routes are inline everything has happened when publishing returns,
 * and nobody waits. Replies are matched by the unit of work, never by ids.
 *
 * What can fail: what publishing says; a handler of the cascade; time; the bus stops.
 */
#include "bus/core.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"

#include <string.h>

stele_status stele__bus_refuse(const stele_bus *bus, stele_error **error)
{
    (void)bus;
    return stele__fail(error, STELE_SHUTDOWN, "the bus is stopping");
}

static stele_status check_send(stele_bus *bus, const stele_message *message, const struct stele_send_options *options,
                               stele_error **error)
{
    if (!bus || stele__bus_is_foreign(bus))
        return stele__bus_fail_unusable(bus, error);
    if (!message)
        return stele__fail_argument(error, "message", "is NULL");
    return options ? stele__options_check(options, sizeof(*options), sizeof(*options), "options", error) : STELE_OK;
}

/* Hops go on where a handler publishes by the bus itself, or by another one. */
static struct stele__origin origin_here(const stele_bus *bus, struct stele_unit *unit)
{
    struct stele__origin origin = {unit, 1, 0};

    if (!stele__current)
        return origin;
    origin.hop = stele__current->hop + 1;
    if (stele__current->bus == bus)
        origin.parent_call = stele__current->call;
    return origin;
}

/* Publish from outside. A message that a cursor lends is copied before. */
static stele_status enter(stele_bus *bus, const stele_message *message, struct stele_unit *unit, size_t *reached,
                          stele_error **error)
{
    struct stele__reading reading;
    struct stele__origin origin;
    stele_status status;

    reading = stele__read_begin(bus);
    origin = origin_here(bus, unit);
    if (stele__bus_state(bus) != STELE__BUS_RUNNING)
        status = stele__bus_refuse(bus, error);
    else
        status = stele__publish(bus, message, &origin, reached, error);
    stele__read_end(bus, reading);
    return status;
}

/* A route cancels its unit when it fails: there must be one. */
static stele_status publish_in_unit(stele_bus *bus, const stele_message *message, size_t *reached, stele_error **error)
{
    struct stele_unit *unit = stele__unit_new(bus, INT64_MAX);
    stele_status status;

    if (!unit)
        return stele__fail_memory(error);
    status = enter(bus, message, unit, reached, error);
    stele__unit_leave(unit);
    return status;
}

stele_status stele_publish(stele_bus *bus, const stele_message *message, size_t *reached, stele_error **error)
{
    stele_status status = check_send(bus, message, NULL, error);
    stele_message *own = NULL;

    if (status != STELE_OK)
        return status;
    if (stele__message_is_lent(message)) {
        own = stele_message_ref(message);
        if (!own)
            return stele__fail_memory(error);
        message = own;
    }
    if (reached)
        *reached = 0;
    if (atomic_load_explicit(&bus->needs_units, memory_order_relaxed))
        status = publish_in_unit(bus, message, reached, error);
    else
        status = enter(bus, message, NULL, reached, error);
    stele_message_unref(own);
    return status;
}

/* --- How a unit ended ------------------------------------------------------------------------- */

static bool is_done(const struct stele_unit *unit)
{
    return atomic_load_explicit(&unit->pending, memory_order_acquire) == 0;
}

static bool is_answered(const struct stele_unit *unit)
{
    return unit->reply || unit->wrong_reply != STELE_OK || unit->failure_count > 0 || is_done(unit);
}

/* The first failure, as an error. */
static stele_status fail_first(const struct stele_unit *unit, stele_error **error)
{
    const struct stele_failure *first = unit->failures;

    if (unit->failures_kept == 0)
        return stele__fail_memory(error);
    if (*first->route)
        stele__fail(error, first->status, "route %s failed on %s: %s", first->route, first->type, first->text);
    else
        stele__fail(error, first->status, "%s", first->text);
    if (*first->route)
        stele__error_add(error, "route", "%s", first->route);
    stele__error_add(error, "text", "%s", first->text);
    stele__error_add(error, "type", "%s", first->type);
    stele__error_add(error, "id", "%s", first->id);
    return first->status;
}

static stele_status fail_wait(stele_status status, stele_error **error)
{
    if (status == STELE_TIMEOUT)
        return stele__fail(error, STELE_TIMEOUT, "the unit of work was not done in time");
    return status == STELE_SHUTDOWN ? stele__fail(error, STELE_SHUTDOWN, "the bus was stopped") : status;
}

static void fill_outcome(struct stele_unit *unit, struct stele_unit_outcome *outcome)
{
    if (!outcome)
        return;
    pthread_mutex_lock(&unit->mutex);
    memset(outcome, 0, sizeof(*outcome));
    outcome->messages = atomic_load(&unit->messages);
    outcome->deliveries = atomic_load(&unit->deliveries);
    outcome->failure_count = unit->failure_count;
    if (unit->failures) {
        outcome->failures_kept = unit->failures_kept;
        memcpy(outcome->failures, unit->failures, outcome->failures_kept * sizeof(outcome->failures[0]));
    }
    outcome->memory = unit->arena;
    unit->arena = NULL;
    unit->failures = NULL;
    unit->failures_kept = 0;
    pthread_mutex_unlock(&unit->mutex);
}

void stele_unit_outcome_fini(struct stele_unit_outcome *outcome)
{
    if (!outcome)
        return;
    stele_arena_free(outcome->memory);
    memset(outcome, 0, sizeof(*outcome));
}

/* All is published that its owner publishes: wait for the rest. */
static stele_status finish(struct stele_unit *unit, stele_error **error)
{
    stele_status status = STELE_OK;

    if (!stele__unit_is_alone(unit) && atomic_fetch_sub_explicit(&unit->pending, 1, memory_order_acq_rel) > 1)
        status = stele__unit_wait(unit, is_done);
    if (status != STELE_OK) {
        atomic_store(&unit->is_abandoned, true);
        return fail_wait(status, error);
    }
    if (unit->failure_count > 0)
        return fail_first(unit, error);
    return STELE_OK;
}

/* --- Deliver ---------------------------------------------------------------------------------------- */

stele_status stele_deliver(stele_bus *bus, const stele_message *message, const struct stele_send_options *options,
                           struct stele_unit_outcome *outcome, stele_error **error)
{
    stele_unit *unit = NULL;
    stele_error *first = NULL;
    stele_status status = check_send(bus, message, options, error);
    stele_status ended;

    if (status != STELE_OK)
        return status;
    status = stele__unit_begin(bus, options, &unit, error);
    if (status != STELE_OK)
        return status;
    status = stele_unit_publish(unit, message, NULL, &first);
    if (status == STELE_OVERLOAD) { /* is in the unit, too */
        stele_error_free(first);
        first = NULL;
        status = STELE_OK;
    }
    ended = finish(unit, status == STELE_OK ? &first : NULL);
    status = status == STELE_OK ? ended : status;
    fill_outcome(unit, outcome);
    stele__unit_unref(unit);
    if (error)
        *error = first ? first : *error;
    else
        stele_error_free(first);
    return status;
}

/* --- Request ------------------------------------------------------------------------------------------ */

/* What a request has come to. Under the unit's mutex, or when nobody else has the unit. */
static stele_status take_answer(struct stele_unit *unit, stele_message **reply, stele_error **error)
{
    if (unit->reply) {
        *reply = unit->reply;
        unit->reply = NULL;
        return STELE_OK;
    }
    if (unit->wrong_reply == STELE_NO_MEMORY)
        return stele__fail_memory(error);
    if (unit->failure_count > 0)
        return fail_first(unit, error);
    return stele__fail(error, STELE_NOT_FOUND, "all is done, and nothing has answered");
}

static stele_status await_answer(struct stele_unit *unit, stele_message **reply, stele_error **error)
{
    stele_status status = STELE_OK;
    bool is_over;

    if (stele__unit_is_alone(unit))
        return take_answer(unit, reply, error);
    atomic_fetch_sub_explicit(&unit->pending, 1, memory_order_acq_rel);
    pthread_mutex_lock(&unit->mutex);
    is_over = is_answered(unit);
    pthread_mutex_unlock(&unit->mutex);
    if (!is_over)
        status = stele__unit_wait(unit, is_answered);
    pthread_mutex_lock(&unit->mutex);
    atomic_store(&unit->is_abandoned, true);
    status = status == STELE_OK ? take_answer(unit, reply, error) : fail_wait(status, error);
    pthread_mutex_unlock(&unit->mutex);
    return status;
}

stele_status stele_request(stele_bus *bus, const stele_message *message, const struct stele_send_options *options,
                           stele_message **reply, stele_error **error)
{
    stele_unit *unit = NULL;
    stele_status status = check_send(bus, message, options, error);

    if (status == STELE_OK && !reply)
        status = stele__fail_argument(error, "reply", "is NULL");
    if (status != STELE_OK)
        return status;
    status = stele__unit_begin(bus, options, &unit, error);
    if (status != STELE_OK)
        return status;
    unit->awaits_reply = true;
    status = stele_unit_publish(unit, message, NULL, error);
    if (status == STELE_OK)
        status = await_answer(unit, reply, error);
    else
        atomic_fetch_sub(&unit->pending, 1);
    stele__unit_unref(unit);
    return status;
}

/* --- Units by hand -------------------------------------------------------------------------------------- */

stele_status stele__unit_begin(stele_bus *bus, const struct stele_send_options *options, stele_unit **out,
                               stele_error **error)
{
    struct stele_unit *unit = stele__unit_new(bus, stele__unit_deadline(bus, options));

    if (!unit)
        return stele__fail_memory(error);
    if (options && options->reply) {
        unit->awaited = stele__slice(options->reply);
        unit->awaited_text = stele__text_copy(options->reply);
        unit->awaited.data = unit->awaited_text;
        if (!unit->awaited_text) {
            stele__unit_unref(unit);
            return stele__fail_memory(error);
        }
    }
    *out = unit;
    return STELE_OK;
}

stele_status stele_unit_begin(stele_bus *bus, const struct stele_send_options *options, stele_unit **out,
                              stele_error **error)
{
    stele_status status;

    if (!bus || stele__bus_is_foreign(bus))
        return stele__bus_fail_unusable(bus, error);
    if (!out)
        return stele__fail_argument(error, "out", "is NULL");
    status = stele__options_check(options, sizeof(*options), sizeof(*options), "options", error);
    if (status == STELE_OK)
        status = stele__unit_begin(bus, options, out, error);
    if (status == STELE_OK)
        (*out)->keeps_events = true;
    return status;
}

stele_status stele_unit_publish(stele_unit *unit, const stele_message *message, size_t *reached, stele_error **error)
{
    stele_message *own = NULL;
    stele_status status;

    if (!unit)
        return stele__fail_argument(error, "unit", "is NULL");
    if (stele__bus_is_foreign(unit->bus))
        return stele__bus_fail_unusable(unit->bus, error);
    if (!message)
        return stele__fail_argument(error, "message", "is NULL");
    if (stele__message_is_lent(message)) {
        own = stele_message_ref(message);
        if (!own)
            return stele__fail_memory(error);
        message = own;
    }
    if (reached)
        *reached = 0;
    status = enter(unit->bus, message, unit, reached, error);
    stele_message_unref(own);
    return status;
}

/* The owner's own share does not count. */
static bool has_event_or_end(const struct stele_unit *unit)
{
    return unit->taken < unit->events.count || atomic_load_explicit(&unit->pending, memory_order_acquire) == 0;
}

/* Under the mutex. */
static stele_message *take_event(struct stele_unit *unit)
{
    stele_message *message;

    if (unit->taken == unit->events.count)
        return NULL;
    message = *(stele_message **)stele__vector_at(&unit->events, unit->taken++);
    if (unit->taken == unit->events.count) {
        stele__vector_truncate(&unit->events, 0);
        unit->taken = 0;
    }
    return message;
}

stele_status stele_unit_next(stele_unit *unit, stele_message **out, stele_error **error)
{
    stele_message *message;
    stele_status status;

    if (!unit)
        return stele__fail_argument(error, "unit", "is NULL");
    if (stele__bus_is_foreign(unit->bus))
        return stele__bus_fail_unusable(unit->bus, error);
    if (!out)
        return stele__fail_argument(error, "out", "is NULL");
    atomic_fetch_sub(&unit->pending, 1);
    status = stele__unit_wait(unit, has_event_or_end);
    atomic_fetch_add(&unit->pending, 1);
    if (status != STELE_OK)
        return fail_wait(status, error);
    pthread_mutex_lock(&unit->mutex);
    message = take_event(unit);
    pthread_mutex_unlock(&unit->mutex);
    if (!message)
        return stele__fail(error, STELE_END, "the unit of work is done, and all its events are taken");
    *out = message;
    return STELE_OK;
}

void stele_unit_cancel(stele_unit *unit)
{
    if (unit && !stele__bus_is_foreign(unit->bus))
        stele__unit_cancel(unit);
}

stele_status stele_unit_end(stele_unit *unit, struct stele_unit_outcome *outcome, stele_error **error)
{
    stele_status status;

    if (!unit)
        return stele__fail_argument(error, "unit", "is NULL");
    if (stele__bus_is_foreign(unit->bus))
        return stele__bus_fail_unusable(unit->bus, error);
    status = finish(unit, error);
    fill_outcome(unit, outcome);
    stele__unit_unref(unit);
    return status;
}
