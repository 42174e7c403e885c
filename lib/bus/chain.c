/*
 * Interceptors in their places, and asking them.
 *
 *     chain: first ── second ── third          asked in order at PUBLISH, HANDLE, FAILED
 *                       │
 *                       └─ SKIP, RETRY, FALLBACK, FAIL: the answer; the third is not asked,
 *                          the first is told WITHDRAWN if this was at HANDLE
 *
 * An answer passes the gate of `allowed` before the core sees it. What is not
 * allowed there, or came too late, is an ERROR: of a critical interceptor the
 * answer FAIL, of another a line in the log, an observation, and the next is
 * asked. Nothing is allocated and no clock is read while all say PROCEED,
 * unless an interceptor has a time limit.
 *
 * What can fail: an interceptor; memory for a text, a note or a message given,
 * which is told to the interceptor.
 */
#include "bus/chain.h"
#include "bus/stock.h"

#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "runtime/runtime.h"

#include <stdarg.h>
#include <stdio.h>

enum { PRIORITY_DEFAULT = 100 };
enum { POINTS_ASKED = STELE_AT_PUBLISH | STELE_AT_HANDLE | STELE_AT_FAILED };
enum { POINTS_ALL = POINTS_ASKED | STELE_AT_DONE | STELE_AT_WITHDRAWN };

#define NANOS_PER_MS INT64_C(1000000)

/* --- In their places ---------------------------------------------------------------- */

static stele_status check_kind(const struct stele_interceptor_kind *kind, stele_error **error)
{
    if (!kind)
        return stele__fail(error, STELE_INVALID, "it has no kind");
    if (!kind->ask)
        return stele__fail(error, STELE_INVALID, "its kind has no function");
    if (kind->points == 0)
        return stele__fail(error, STELE_INVALID, "its kind has no points");
    if (kind->points & ~(unsigned)POINTS_ALL)
        return stele__fail(error, STELE_INVALID, "its kind has points that do not exist (%#x)", kind->points);
    return STELE_OK;
}

static stele_status check_interceptor(const struct stele_interceptor *interceptor, stele_error **error)
{
    if (interceptor->on && stele__pattern_check(stele__slice(interceptor->on), error) != STELE_OK)
        return STELE_INVALID;
    if ((unsigned)interceptor->critical > STELE_NOT_CRITICAL)
        return stele__fail(error, STELE_INVALID, "critical: is %u", (unsigned)interceptor->critical);
    return check_kind(interceptor->kind, error);
}

static int priority_of(const struct stele_interceptor *interceptor)
{
    if (interceptor->priority)
        return interceptor->priority;
    return interceptor->kind->priority ? interceptor->kind->priority : PRIORITY_DEFAULT;
}

static bool is_critical(const struct stele_interceptor *interceptor)
{
    if (interceptor->critical == STELE_CRITICAL_BY_PRIORITY)
        return priority_of(interceptor) < STELE_CRITICAL_BELOW;
    return interceptor->critical == STELE_CRITICAL;
}

static stele_status place(const struct stele_interceptor *interceptor, stele_bus *bus, uint64_t order,
                          struct stele__placed **out, stele_error **error)
{
    const struct stele_interceptor_kind *kind = interceptor->kind;
    struct stele__placed *placed = stele__alloc(sizeof(*placed));
    stele_status status = placed ? STELE_OK : stele__fail_memory(error);

    if (status == STELE_OK && kind->make)
        status = kind->make(interceptor->settings, bus, &placed->state, error);
    if (status != STELE_OK) {
        stele__free(placed, sizeof(*placed));
        return status;
    }
    placed->interceptor = interceptor;
    placed->name = interceptor->name;
    placed->ask = kind->ask;
    placed->timeout_ms = interceptor->timeout_ms;
    placed->points = kind->points;
    placed->priority = priority_of(interceptor);
    placed->is_critical = is_critical(interceptor);
    placed->order = order;
    atomic_init(&placed->references, 1);
    *out = placed;
    return STELE_OK;
}

stele_status stele__placed_new(const struct stele_interceptor *interceptor, stele_bus *bus, uint64_t order,
                               struct stele__placed **out, stele_error **error)
{
    stele_status status;

    if (!interceptor)
        return stele__fail_argument(error, "interceptor", "is NULL");
    status = stele__name_check(stele__slice(interceptor->name ? interceptor->name : ""), "interceptor", STELE_TYPE_MAX,
                               error);
    if (status != STELE_OK)
        return status;
    status = check_interceptor(interceptor, error);
    if (status == STELE_OK)
        status = place(interceptor, bus, order, out, error);
    if (status != STELE_OK) {
        stele__error_prefix(error, "interceptor %s", interceptor->name);
        stele__error_add(error, "interceptor", "%s", interceptor->name);
    }
    return status;
}

struct stele__placed *stele__placed_ref(struct stele__placed *placed)
{
    atomic_fetch_add_explicit(&placed->references, 1, memory_order_relaxed);
    return placed;
}

void stele__placed_unref(struct stele__placed *placed)
{
    if (!placed || atomic_fetch_sub_explicit(&placed->references, 1, memory_order_acq_rel) > 1)
        return;
    if (placed->interceptor->kind->free)
        placed->interceptor->kind->free(placed->state);
    stele__free(placed, sizeof(*placed));
}

void stele__placed_retire(struct stele__placed *placed)
{
    if (placed->interceptor->kind == &stele_memo_kind)
        stele__memo_retire(placed->state);
}

int stele__placed_compare(const void *left, const void *right)
{
    const struct stele__placed *const *first = left;
    const struct stele__placed *const *second = right;

    if ((*first)->priority != (*second)->priority)
        return (*first)->priority < (*second)->priority ? -1 : 1;
    return ((*first)->order > (*second)->order) - ((*first)->order < (*second)->order);
}

/* --- A call --------------------------------------------------------------------------- */

void stele__call_init(struct stele_call *call, stele_bus *bus, const stele_message *message,
                      const struct stele_route *route, int64_t deadline)
{
    memset(call, 0, sizeof(*call));
    call->bus = bus;
    call->message = message;
    call->route = route;
    call->attempt = 1;
    call->text = "";
    call->deadline = deadline;
    stele__vector_init(&call->given, sizeof(stele_message *));
    stele__buffer_init(&call->answer);
    stele__vector_init(&call->notes, sizeof(uint64_t));
}

static void clear_given(struct stele_call *call)
{
    for (size_t i = 0; i < call->given.count; i++)
        stele_message_unref(*(stele_message **)stele__vector_at(&call->given, i));
    stele__vector_truncate(&call->given, 0);
}

/* Forget what the one asked before left behind. */
static void clear_answer(struct stele_call *call)
{
    clear_given(call);
    stele__buffer_reset(&call->answer);
}

void stele__call_fini(struct stele_call *call)
{
    clear_answer(call);
    stele__vector_fini(&call->given);
    stele__buffer_fini(&call->answer);
    stele__vector_fini(&call->notes);
}

const char *stele__call_answer_text(const struct stele_call *call)
{
    return call->answer.size ? call->answer.data : "";
}

const stele_message *stele_call_message(const stele_call *call)
{
    return call->message;
}

stele_bus *stele_call_bus(const stele_call *call)
{
    return call->bus;
}

const struct stele_route *stele_call_route(const stele_call *call)
{
    return call->route;
}

unsigned stele_call_attempt(const stele_call *call)
{
    return call->attempt;
}

stele_status stele_call_status(const stele_call *call)
{
    return call->status;
}

const char *stele_call_text(const stele_call *call)
{
    return call->text ? call->text : "";
}

int64_t stele_call_time(const stele_call *call)
{
    return stele__runtime_monotonic(stele_bus_runtime(call->bus));
}

uint64_t stele_call_random(stele_call *call)
{
    return stele_runtime_random(stele_bus_runtime(call->bus));
}

int64_t stele_call_deadline(const stele_call *call)
{
    return call->deadline;
}

void stele_call_set_deadline(stele_call *call, int64_t deadline)
{
    if (deadline < call->deadline)
        call->deadline = deadline;
}

const stele_message *stele_call_emitted(const stele_call *call, size_t index)
{
    return index < call->emitted_count ? call->emitted[index] : NULL;
}

uint64_t *stele_call_note(stele_call *call)
{
    while (call->notes.count <= call->asking) {
        if (!stele__vector_add(&call->notes))
            return NULL;
    }
    return stele__vector_at(&call->notes, call->asking);
}

static bool is_asked(const stele_call *call)
{
    return (call->point & POINTS_ASKED) != 0;
}

/* Set the text, unless nobody is being asked: the answer that stands must keep its own. */
STELE_PRINTF(2, 0) static void set_text(stele_call *call, const char *format, va_list arguments)
{
    va_list again;
    int size;
    char *place;

    if (!is_asked(call))
        return;
    stele__buffer_reset(&call->answer);
    va_copy(again, arguments);
    size = vsnprintf(NULL, 0, format, again);
    va_end(again);
    place = size > 0 ? stele__buffer_extend(&call->answer, (size_t)size) : NULL;
    if (place)
        vsnprintf(place, (size_t)size + 1, format, arguments);
}

struct stele_answer stele_call_fail(stele_call *call, stele_status status, const char *format, ...)
{
    const struct stele_answer answer = {STELE_FAIL, status, 0};
    va_list arguments;

    va_start(arguments, format);
    set_text(call, format, arguments);
    va_end(arguments);
    return answer;
}

struct stele_answer stele_call_error(stele_call *call, stele_status status, const char *format, ...)
{
    const struct stele_answer answer = {STELE_ERROR, status, 0};
    va_list arguments;

    va_start(arguments, format);
    set_text(call, format, arguments);
    va_end(arguments);
    return answer;
}

stele_status stele_call_give(stele_call *call, const stele_message *message)
{
    stele_message *given;
    stele_message **slot;

    if (!message || !is_asked(call))
        return STELE_INVALID;
    if (call->given.count >= STELE_EMISSIONS_MAX)
        return STELE_LIMIT;
    given = stele_message_ref(message);
    slot = given ? stele__vector_add(&call->given) : NULL;
    if (!slot) {
        stele_message_unref(given);
        return STELE_NO_MEMORY;
    }
    *slot = given;
    return STELE_OK;
}

/* --- Asking ------------------------------------------------------------------------------ */

static const char *point_name(enum stele_point point)
{
    if (point == STELE_AT_PUBLISH)
        return "PUBLISH";
    return point == STELE_AT_HANDLE ? "HANDLE" : "FAILED";
}

static const char *const signal_names[] = {
    [STELE_PROCEED] = "PROCEED",   [STELE_SKIP] = "SKIP", [STELE_RETRY_LATER] = "RETRY",
    [STELE_FALLBACK] = "FALLBACK", [STELE_FAIL] = "FAIL", [STELE_ERROR] = "ERROR",
};

/* An answer that is no good at a point becomes an ERROR that says so. */
static struct stele_answer check_answer(struct stele_answer answer, enum stele_point point, struct stele_call *call)
{
    if ((unsigned)answer.signal > STELE_ERROR)
        return stele_call_error(call, STELE_INVALID, "answered with a signal that does not exist (%u)",
                                (unsigned)answer.signal);
    if (point == STELE_AT_PUBLISH && answer.signal == STELE_RETRY_LATER)
        return stele_call_error(call, STELE_INVALID, "answered %s, which is not allowed at %s",
                                signal_names[answer.signal], point_name(point));
    if (point == STELE_AT_PUBLISH && answer.signal == STELE_FALLBACK && call->given.count != 1)
        return stele_call_error(call, STELE_INVALID, "answered FALLBACK with %zu messages, at PUBLISH it must be 1",
                                call->given.count);
    if ((answer.signal == STELE_FAIL || answer.signal == STELE_ERROR) && answer.status == STELE_OK)
        answer.status = STELE_FAILED;
    if (answer.signal == STELE_RETRY_LATER && answer.delay < 0)
        answer.delay = 0;
    return answer;
}

/* Its answer, or ERROR if that came too late; *let_pass is what it said itself. */
static struct stele_answer ask_one(const struct stele__placed *placed, enum stele_point point, struct stele_call *call,
                                   bool *let_pass)
{
    const int64_t began = placed->timeout_ms ? stele_call_time(call) : 0;
    const struct stele_answer answer = placed->ask(placed->state, point, call);
    int64_t took;

    *let_pass = answer.signal == STELE_PROCEED;
    if (!placed->timeout_ms)
        return answer;
    took = stele_call_time(call) - began;
    if (took <= placed->timeout_ms * NANOS_PER_MS)
        return answer;
    return stele_call_error(call, STELE_TIMEOUT, "took %lld ms to answer, its limit is %lu ms",
                            (long long)(took / NANOS_PER_MS), (unsigned long)placed->timeout_ms);
}

/* The text of an ERROR with the interceptor's name in front. */
static void name_fault(const struct stele__placed *placed, struct stele_answer answer, struct stele_call *call)
{
    struct stele__buffer named;

    stele__buffer_init(&named);
    stele__buffer_print(&named, "interceptor %s: %s", placed->name,
                        call->answer.size ? call->answer.data : stele_status_text(answer.status));
    if (named.failed) {
        stele__buffer_fini(&named);
        return;
    }
    stele__buffer_fini(&call->answer);
    call->answer = named;
}

static void observe_fault(struct stele_answer answer, const struct stele_call *call)
{
    struct stele__observers *observers = stele__bus_observers(call->bus);
    struct stele_observation seen = {.seen = STELE_SEEN_INTERCEPTOR};

    if (!(stele__observers_want(observers) & STELE_SEEN_INTERCEPTOR))
        return;
    seen.time = stele__bus_now(call->bus);
    seen.monotonic = stele_call_time(call);
    seen.message = call->message;
    seen.route = call->route ? call->route->name : "";
    seen.observed = stele_message_type(call->message).data;
    seen.attempt = call->attempt;
    seen.status = answer.status;
    seen.text = stele__call_answer_text(call);
    stele__observers_notify(observers, &seen);
}

/* An ERROR: FAIL of a critical interceptor; passed over otherwise. */
static struct stele_answer judge_fault(const struct stele__placed *placed, struct stele_answer answer,
                                       struct stele_call *call)
{
    name_fault(placed, answer, call);
    if (placed->is_critical) {
        answer.signal = STELE_FAIL;
        return answer;
    }
    STELE__LOG(STELE_LOG_WARNING, "interceptor failed and was passed over", {"interceptor", placed->name},
               {"status", stele_status_name(answer.status)}, {"text", stele__call_answer_text(call)});
    observe_fault(answer, call);
    return stele_proceed();
}

/* Tell those of the first `count` that have `point`, the last first. */
static void tell(const struct stele__chain *chain, size_t count, enum stele_point point, struct stele_call *call)
{
    const size_t asking = call->asking;

    call->point = point;
    for (size_t i = chain->points & (unsigned)point ? count : 0; i-- > 0;) {
        const struct stele__placed *placed = chain->items[i];

        if (!(placed->points & (unsigned)point))
            continue;
        call->asking = i;
        placed->ask(placed->state, point, call);
    }
    call->asking = asking;
    stele__vector_truncate(&call->notes, 0);
}

struct stele_answer stele__chain_ask(const struct stele__chain *chain, enum stele_point point, struct stele_call *call)
{
    clear_answer(call);
    call->point = point;
    for (size_t i = chain->points & (unsigned)point ? 0 : chain->count; i < chain->count; i++) {
        const struct stele__placed *placed = chain->items[i];
        struct stele_answer answer;
        bool let_pass;

        if (!(placed->points & (unsigned)point))
            continue;
        call->asking = i;
        call->asked = placed;
        answer = ask_one(placed, point, call, &let_pass);
        if (answer.signal != STELE_PROCEED)
            answer = check_answer(answer, point, call);
        if (answer.signal == STELE_ERROR)
            answer = judge_fault(placed, answer, call);
        if (answer.signal == STELE_PROCEED) {
            if (call->given.count || call->answer.size)
                clear_answer(call);
            continue;
        }
        if (answer.signal != STELE_FALLBACK)
            clear_given(call);
        if (point == STELE_AT_HANDLE)
            tell(chain, let_pass ? i + 1 : i, STELE_AT_WITHDRAWN, call);
        return answer;
    }
    return stele_proceed();
}

void stele__chain_tell(const struct stele__chain *chain, struct stele_call *call)
{
    tell(chain, chain->count, STELE_AT_DONE, call);
}

void stele__chain_withdraw(const struct stele__chain *chain, struct stele_call *call)
{
    tell(chain, chain->count, STELE_AT_WITHDRAWN, call);
}
