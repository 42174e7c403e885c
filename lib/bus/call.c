/*
 * One call of a handler, and what goes around it.
 *
 *   HANDLE ──PROCEED──► the handler ──OK──────────────► DONE ─► what it published
 *     │                    │ failed
 *     │                    └─► FAILED ──PROCEED──► DONE ─► policy, unit of work, "TYPE.error"
 *     │                          │ SKIP, FALLBACK ─► DONE ─► a success after all
 *     │                          └ RETRY ─► DONE ─► later, its attempt counted; behind the unit's deadline: TIMEOUT now
 *     ├ SKIP, FALLBACK: a success without a call     ├ RETRY: later, the attempt not counted; or TIMEOUT
 *     └ FAIL: a failure that nobody is asked about again
 *
 * Each attempt goes the whole way: interceptors are asked at HANDLE and told at
 * DONE once for each, so that breakers and limits count calls.
 *
 * Overrun: the deadline of a call is the earliest of the route's and what interceptors
 * set. A timer (watch) tells the unit of work on time, lets another thread
 * stand in, and marks the context; when the handler returns, what it
 * published is dropped and counted as late. If interceptors may want to try again
 * after a failure, the unit is told when they have been asked.
 *
 *   watch:   started ── timer fires ── told ── the handler returns ── freed
 *               └────── the handler returns, timer cancelled ──────────┘
 */
#include "bus/core.h"

#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>

/* --- Observers --------------------------------------------------------------------------------- */

void stele__see(const struct stele__context *context, enum stele_seen seen, stele_status status, const char *text,
                int64_t duration, size_t count)
{
    stele_bus *bus = context->bus;
    struct stele_observation observation = {.seen = seen};

    if (!stele__is_seen(bus, seen))
        return;
    observation.time = stele__runtime_now(bus->runtime);
    observation.monotonic = stele__runtime_monotonic(bus->runtime);
    observation.message = context->message;
    observation.route = context->item ? context->item->route->table->name : "";
    observation.observed = stele_message_type(context->message).data;
    observation.call = context->call;
    observation.parent_call = context->parent_call;
    observation.attempt = context->attempt;
    observation.hop = context->hop;
    observation.duration_ns = duration;
    observation.count = count;
    observation.status = status;
    observation.text = text ? text : "";
    stele__observers_notify(bus->observers, &observation);
}

/* --- Overruns --------------------------------------------------------------------------------------- */

struct watch {
    struct stele__timer timer;
    atomic_uint holders; /* the call, the timer */
    stele_runtime *runtime;
    struct stele_unit *unit;
    stele_message *message;
    const char *route;
    unsigned attempt;
    bool tells;            /* the unit, on time */
    pthread_mutex_t mutex; /* guards what follows */
    atomic_bool *expired;  /* of the context; NULL when it is gone */
    bool has_fired;
};

static void drop_watch(struct watch *watch)
{
    if (atomic_fetch_sub(&watch->holders, 1) > 1)
        return;
    pthread_mutex_destroy(&watch->mutex);
    stele_message_unref(watch->message);
    stele__unit_drop(watch->unit);
    stele__free(watch, sizeof(*watch));
}

static const char overrun_text[] = "the handler took longer than its time limit";

static void overrun(struct stele__timer *timer)
{
    struct watch *watch = (struct watch *)timer;

    pthread_mutex_lock(&watch->mutex);
    if (watch->expired) {
        atomic_store(watch->expired, true);
        watch->has_fired = true;
        stele__runtime_overrun_begin(watch->runtime);
    }
    pthread_mutex_unlock(&watch->mutex);
    if (watch->has_fired && watch->tells)
        stele__unit_fail(watch->unit, STELE_TIMEOUT, watch->route, watch->message, overrun_text, watch->attempt);
    drop_watch(watch);
}

/* NULL when memory is out: then the overrun is seen when the handler returns. */
static struct watch *start_watch(struct stele__context *context, int64_t delay, bool tells)
{
    struct watch *watch = stele__alloc(sizeof(*watch));

    if (!watch)
        return NULL;
    watch->timer.name = context->item->route->table->name;
    watch->timer.fire = overrun;
    watch->runtime = context->bus->runtime;
    watch->route = context->item->route->table->name;
    watch->attempt = context->attempt;
    watch->tells = tells;
    watch->expired = &context->is_expired;
    watch->message = stele_message_ref(context->message);
    watch->unit = context->unit;
    if (watch->unit)
        atomic_fetch_add_explicit(&watch->unit->references, 1, memory_order_relaxed);
    atomic_init(&watch->holders, 2);
    if (pthread_mutex_init(&watch->mutex, NULL) != 0) {
        stele_message_unref(watch->message);
        stele__unit_unref(watch->unit);
        stele__free(watch, sizeof(*watch));
        return NULL;
    }
    if (!watch->message || !stele__timer_start(watch->runtime, &watch->timer, delay)) {
        atomic_store(&watch->holders, 1);
        drop_watch(watch);
        return NULL;
    }
    return watch;
}

/* True if the unit was told. */
static bool end_watch(struct watch *watch)
{
    bool has_fired;
    bool was_told;

    if (!watch)
        return false;
    pthread_mutex_lock(&watch->mutex);
    watch->expired = NULL;
    has_fired = watch->has_fired;
    pthread_mutex_unlock(&watch->mutex);
    if (has_fired)
        stele__runtime_overrun_end(watch->runtime);
    else if (stele__timer_cancel(&watch->timer))
        drop_watch(watch);
    was_told = has_fired && watch->tells;
    drop_watch(watch);
    return was_told;
}

/* --- The end of a call --------------------------------------------------------------------------------- */

static const char *text_of(const struct stele__context *context, stele_status status)
{
    return context->text && *context->text ? context->text : stele_status_text(status);
}

static bool is_stopping(const stele_bus *bus)
{
    return stele__bus_state(bus) == STELE__BUS_STOPPED;
}

/* STELE_OK if there is sense in a call after so long; STELE_TIMEOUT if nobody waits for it then; else STELE_CANCELLED. */
static stele_status look_ahead(const struct stele__context *context, int64_t delay)
{
    const struct stele_unit *unit = context->unit;

    if (stele__unit_is_cancelled(unit) || is_stopping(context->bus) || atomic_load(&context->item->route->is_removed))
        return STELE_CANCELLED;
    return !unit || unit->deadline - stele__runtime_monotonic(context->bus->runtime) > delay ? STELE_OK : STELE_TIMEOUT;
}

static const char late_retry_text[] = "there was no time left to try again";

/* The failure behind which there is no time for another attempt. */
static stele_status fail_late(struct stele__context *context, stele_status status)
{
    const char *why = text_of(context, status);
    const size_t size = sizeof(late_retry_text) + 2 + strlen(why);
    char *text = stele__arena_alloc(&context->arena, size);

    if (text)
        snprintf(text, size, "%s: %s", late_retry_text, why);
    context->text = text ? text : late_retry_text;
    return STELE_TIMEOUT;
}

static void succeed(struct stele__context *context)
{
    if (context->emitted_count && is_stopping(context->bus)) {
        stele__unit_fail(context->unit, STELE_SHUTDOWN, "", context->message, NULL, 0);
        stele__context_drop(context);
    } else if (context->emitted_count) {
        stele__context_flush(context);
    }
}

/* The failure stands: the policy of the route, the unit of work, whoever wants to know. */
static enum stele__verdict fail(struct stele__context *context, stele_status status, const char *text, bool is_told)
{
    struct stele__route *route = context->item->route;
    const struct stele_route *table = route->table;

    stele__route_note_error(route, status, text);
    if (!is_told)
        stele__unit_fail(context->unit, status, table->name, context->message, text, context->attempt);
    if (table->on_failure == STELE_FAIL_FAST)
        stele__unit_cancel(context->unit);
    /* What the domain refuses is answered, not broken: nobody has to look at it. */
    if (table->on_failure == STELE_BURY && status != STELE_REJECTED) {
        stele__tally(&route->counts.dead);
        stele__graves_bury(context->bus->graves, table->name, context->message, status, text, context->attempt);
        stele__see(context, STELE_SEEN_BURIED, status, text, 0, 0);
    }
    if (!is_stopping(context->bus))
        stele__publish_failed(context, status, text);
    return table->on_failure == STELE_SUSPEND ? STELE__SUSPENDED : STELE__HANDLED;
}

/* Make the context fit for the next call. */
static void refresh(struct stele__context *context)
{
    context->failed = STELE_OK;
    context->text = NULL;
    context->has_replied = false;
}

void stele__call_settle_plain(struct stele__context *context, stele_status status)
{
    stele__context_close(context);
    if (status == STELE_OK)
        status = context->failed;
    if (status == STELE_OK) {
        succeed(context);
    } else {
        stele__context_drop(context);
        fail(context, status, text_of(context, status), false);
    }
    refresh(context);
}

/* --- One attempt ------------------------------------------------------------------------------------------- */

/* What is known of an attempt. */
struct attempt {
    struct stele__context *context;
    struct stele_call call; /* with has_chain */
    bool has_chain;
    bool is_told; /* the unit, by the watch */
    int64_t duration;
};

static const struct stele__chain *chain_of(const struct attempt *attempt)
{
    return &attempt->context->item->chain;
}

/* Publish what interceptors gave instead of what the handler would have. */
static void take_given(struct attempt *attempt)
{
    struct stele__context *context = attempt->context;
    stele_message **given = attempt->call.given.items;

    stele__context_drop(context);
    for (size_t i = 0; i < attempt->call.given.count; i++) {
        stele_error *error = NULL;

        if (stele__context_emit(context, given[i], &error) != STELE_OK)
            stele__log_lost(given[i], stele_error_status(error), error);
        stele_error_free(error);
    }
    succeed(context);
}

static struct stele__result result_of(enum stele__verdict verdict, stele_status status, int64_t delay)
{
    const struct stele__result result = {verdict, status, delay};

    return result;
}

/* Asked at HANDLE: anything but PROCEED keeps the handler from being called. */
static struct stele__result keep_from_calling(struct attempt *attempt, struct stele_answer answer)
{
    struct stele__context *context = attempt->context;
    struct stele__route *route = context->item->route;
    const char *text = stele__call_answer_text(&attempt->call);

    switch (answer.signal) {
    case STELE_RETRY_LATER:
        if (look_ahead(context, answer.delay) == STELE_TIMEOUT)
            return result_of(stele__call_give_up(context, STELE_TIMEOUT), STELE_TIMEOUT, 0);
        return result_of(STELE__BACK_OFF, STELE_OK, answer.delay);
    case STELE_SKIP:
    case STELE_FALLBACK:
        stele__tally(&route->counts.skipped);
        stele__see(context, STELE_SEEN_SKIPPED, STELE_OK, text, 0, attempt->call.given.count);
        take_given(attempt);
        return result_of(STELE__HANDLED, STELE_OK, 0);
    default:
        text = *text ? text : stele_status_text(answer.status);
        stele__see(context, STELE_SEEN_FAILED, answer.status, text, 0, 0);
        return result_of(fail(context, answer.status, text, false), answer.status, 0);
    }
}

/* The earliest time by which the call must be over, of those that are its own. */
static int64_t call_deadline(const struct attempt *attempt, int64_t now)
{
    const uint32_t timeout_ms = attempt->context->item->route->table->timeout_ms;
    int64_t deadline = INT64_MAX;

    if (timeout_ms)
        deadline = now + timeout_ms * STELE__NANOS_PER_MILLISECOND;
    if (attempt->has_chain && attempt->call.deadline < deadline &&
        (!attempt->context->unit || attempt->call.deadline < attempt->context->unit->deadline))
        deadline = attempt->call.deadline;
    return deadline;
}

/* The result came too late. */
static stele_status expire(struct attempt *attempt)
{
    struct stele__context *context = attempt->context;
    struct stele__route *route = context->item->route;

    stele__context_drop(context);
    stele__tally(&route->counts.timeouts);
    stele__tally(&route->counts.late);
    context->text = overrun_text;
    stele__see(context, STELE_SEEN_LATE, STELE_TIMEOUT, overrun_text, attempt->duration, 0);
    return STELE_TIMEOUT;
}

/* Somebody wants to know how long the call takes, or limits it: clocks are not looked at for nothing. */
static bool is_timed(const struct attempt *attempt)
{
    const struct stele__context *context = attempt->context;

    return attempt->has_chain || context->item->route->table->timeout_ms || context->bus->measures ||
           stele__is_seen(context->bus, STELE_SEEN_ALL);
}

/* Call the handler, under a watch if it has a deadline of its own. */
static stele_status call_handler(struct attempt *attempt)
{
    struct stele__context *context = attempt->context;
    const struct stele__item *item = context->item;
    stele_bus *bus = context->bus;
    const bool has_time = is_timed(attempt);
    const int64_t began = has_time ? stele__runtime_monotonic(bus->runtime) : 0;
    const int64_t deadline = call_deadline(attempt, began);
    struct watch *watch = NULL;
    stele_status status;

    refresh(context);
    atomic_store_explicit(&context->is_expired, false, memory_order_relaxed);
    context->deadline = deadline;
    if (deadline != INT64_MAX)
        watch = start_watch(context, deadline - began, !(item->chain.points & STELE_AT_FAILED));
    atomic_fetch_add_explicit(&item->route->counts.running, 1, memory_order_relaxed);
    status = item->handle(item->resource, context->message, stele__context_open(context, stele__tickets(1)));
    atomic_fetch_sub_explicit(&item->route->counts.running, 1, memory_order_relaxed);
    stele__context_close(context);
    attempt->is_told = end_watch(watch);
    attempt->duration = has_time ? stele__runtime_monotonic(bus->runtime) - began : 0;
    if (status == STELE_OK)
        status = context->failed;
    if (atomic_load(&context->is_expired) || (deadline != INT64_MAX && attempt->duration >= deadline - began))
        status = expire(attempt);
    if (bus->measures)
        stele__measured_add(item->route->measured, attempt->duration, status != STELE_OK);
    return status;
}

static void tell_done(struct attempt *attempt, stele_status status)
{
    struct stele__context *context = attempt->context;

    if (!attempt->has_chain || !(chain_of(attempt)->points & STELE_AT_DONE))
        return;
    attempt->call.status = status;
    attempt->call.text = status == STELE_OK ? "" : text_of(context, status);
    attempt->call.emitted = context->emitted;
    attempt->call.emitted_count = context->emitted_count;
    stele__chain_tell(chain_of(attempt), &attempt->call);
}

static struct stele__result succeed_call(struct attempt *attempt)
{
    struct stele__context *context = attempt->context;

    tell_done(attempt, STELE_OK);
    stele__see(context, STELE_SEEN_HANDLED, STELE_OK, "", attempt->duration, context->emitted_count);
    succeed(context);
    return result_of(STELE__HANDLED, STELE_OK, 0);
}

/* Asked at FAILED, with an answer that is not PROCEED. */
static struct stele__result recover(struct attempt *attempt, stele_status status, struct stele_answer answer)
{
    struct stele__context *context = attempt->context;
    const char *text;

    switch (answer.signal) {
    case STELE_RETRY_LATER:
        stele__tally(&context->item->route->counts.retries);
        stele__see(context, STELE_SEEN_RETRIED, status, text_of(context, status), attempt->duration, 0);
        return result_of(STELE__LATER, status, answer.delay);
    case STELE_SKIP:
    case STELE_FALLBACK:
        stele__see(context, STELE_SEEN_HANDLED, STELE_OK, text_of(context, status), attempt->duration,
                   attempt->call.given.count);
        take_given(attempt);
        return result_of(STELE__HANDLED, STELE_OK, 0);
    default:
        text = stele__call_answer_text(&attempt->call);
        text = *text ? text : text_of(context, answer.status);
        stele__see(context, STELE_SEEN_FAILED, answer.status, text, attempt->duration, 0);
        return result_of(fail(context, answer.status, text, attempt->is_told), answer.status, 0);
    }
}

static struct stele__result fail_call(struct attempt *attempt, stele_status status)
{
    struct stele__context *context = attempt->context;
    struct stele_answer answer = stele_proceed();

    stele__context_drop(context);
    if (attempt->has_chain && (chain_of(attempt)->points & STELE_AT_FAILED)) {
        attempt->call.status = status;
        attempt->call.text = text_of(context, status);
        answer = stele__chain_ask(chain_of(attempt), STELE_AT_FAILED, &attempt->call);
    }
    tell_done(attempt, status);
    if (answer.signal == STELE_RETRY_LATER) {
        const stele_status ahead = look_ahead(context, answer.delay);

        if (ahead != STELE_OK)
            answer = stele_proceed();
        if (ahead == STELE_TIMEOUT)
            status = fail_late(context, status);
    }
    if (answer.signal != STELE_PROCEED)
        return recover(attempt, status, answer);
    stele__see(context, STELE_SEEN_FAILED, status, text_of(context, status), attempt->duration, 0);
    return result_of(fail(context, status, text_of(context, status), attempt->is_told), status, 0);
}

static struct stele__result run(struct attempt *attempt)
{
    struct stele__context *context = attempt->context;
    struct stele_answer answer = stele_proceed();
    stele_status status;

    if (attempt->has_chain && (chain_of(attempt)->points & STELE_AT_HANDLE))
        answer = stele__chain_ask(chain_of(attempt), STELE_AT_HANDLE, &attempt->call);
    if (answer.signal != STELE_PROCEED)
        return keep_from_calling(attempt, answer);
    stele__see(context, STELE_SEEN_STARTED, STELE_OK, "", 0, 0);
    status = call_handler(attempt);
    return status == STELE_OK ? succeed_call(attempt) : fail_call(attempt, status);
}

struct stele__result stele__call_once(struct stele__context *context)
{
    struct stele__result result;
    struct attempt attempt;

    attempt.context = context;
    attempt.is_told = false;
    attempt.duration = 0;
    if (stele__is_seen(context->bus, STELE_SEEN_ALL))
        context->call = atomic_fetch_add_explicit(&context->bus->calls, 1, memory_order_relaxed) + 1;
    attempt.has_chain = context->item->chain.count > 0;
    if (attempt.has_chain) {
        stele__call_init(&attempt.call, context->bus, context->message, context->item->route->table,
                         context->unit ? context->unit->deadline : INT64_MAX);
        attempt.call.attempt = context->attempt;
    }
    result = run(&attempt);
    if (attempt.has_chain)
        stele__call_fini(&attempt.call);
    refresh(context);
    return result;
}

/* --- Inline, with retries ------------------------------------------------------------------------------------ */

/* Let that time pass in the caller's thread; false if there is no sense in it any more. */
static bool pass(const struct stele__context *context, int64_t delay)
{
    stele_bus *bus = context->bus;
    const struct stele_clock *clock = stele_runtime_clock(bus->runtime);

    if (look_ahead(context, delay) != STELE_OK)
        return false;
    if (delay <= 0)
        return true;
    if (stele_runtime_is_simulated(bus->runtime))
        clock->pause(clock->context, delay);
    else
        stele__runtime_wait(bus->runtime, &bus->stopped, stele__runtime_monotonic(bus->runtime) + delay);
    return look_ahead(context, 0) == STELE_OK;
}

void stele__call_inline(struct stele__context *context)
{
    struct stele__result result;

    context->attempt = 1;
    for (;;) {
        result = stele__call_once(context);
        if (result.verdict != STELE__LATER && result.verdict != STELE__BACK_OFF)
            return;
        if (!pass(context, result.delay)) {
            stele__call_give_up(context, result.status == STELE_OK ? STELE_TIMEOUT : result.status);
            return;
        }
        context->attempt += result.verdict == STELE__LATER;
    }
}

enum stele__verdict stele__call_give_up(struct stele__context *context, stele_status status)
{
    context->call = 0; /* that one has ended: there is none for this */
    stele__see(context, STELE_SEEN_FAILED, status, late_retry_text, 0, 0);
    return fail(context, status, late_retry_text, false);
}
