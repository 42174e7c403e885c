/*
 * Contexts: what a handler publishes, answers and fails with.
 *
 *     publish, reply, send, forward ── kept ── the handler succeeds ── published, in order
 *                                        └──── it fails ── dropped
 *
 * A context lives on the stack of whoever calls handlers. What a handler gets is
 * no address of it but a ticket, a number in the guise of a pointer, which no other
 * call ever gets. Only that of the innermost call of the thread, while its handler
 * runs, is taken. So one that a handler kept beyond its end, or gave to another
 * thread, is refused without being looked into.
 *
 * What can fail: what is published (STELE_INVALID, STELE_LIMIT), memory. The
 * first failure stays with the context.
 */
#include "bus/again.h"
#include "bus/core.h"
#include "bus/spans.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "message/message.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

_Thread_local struct stele__context *stele__current;
_Thread_local uintptr_t stele__last_ticket = STELE__TICKET_RANGE - 1;

/* A payload that was read already. */
struct stele__read {
    struct stele__read *next;
    const struct stele_type *type;
    void *payload;
};

/* The first of a new range that has so many. */
uintptr_t stele__ticket_range(size_t count)
{
    static atomic_uintptr_t taken = 1; /* 0 is NULL */
    const uintptr_t ranges = count / STELE__TICKET_RANGE + 1;

    return atomic_fetch_add_explicit(&taken, ranges, memory_order_relaxed) * STELE__TICKET_RANGE;
}

/* The context of a ticket; NULL if its handler does not run here. */
static struct stele__context *context_of(const stele_context *ticket)
{
    struct stele__context *context = stele__current;

    return ticket && context && context->ticket == (uintptr_t)ticket ? context : NULL;
}

/* --- Failing ------------------------------------------------------------------------------ */

STELE_PRINTF(2, 0)
static void set_text(struct stele__context *context, const char *format, va_list arguments)
{
    va_list again;
    int size;
    char *text;

    va_copy(again, arguments);
    size = vsnprintf(NULL, 0, format, again);
    va_end(again);
    text = size > 0 ? stele__arena_alloc(&context->arena, (size_t)size + 1) : NULL;
    if (text)
        vsnprintf(text, (size_t)size + 1, format, arguments);
    context->text = text;
}

stele_status stele_context_fail(stele_context *ticket, stele_status status, const char *format, ...)
{
    struct stele__context *const context = context_of(ticket);
    va_list arguments;

    if (!context)
        return STELE_INVALID;
    va_start(arguments, format);
    set_text(context, format, arguments);
    va_end(arguments);
    return status == STELE_OK ? STELE_FAILED : status;
}

/* Record the first failure of a call on the context; frees the error. */
static stele_status record(struct stele__context *context, stele_status status, stele_error *error)
{
    if (status != STELE_OK && context->failed == STELE_OK) {
        const char *text = stele_error_message(error);

        context->failed = status;
        context->text = error ? stele_arena_text(&context->arena, text, strlen(text)) : NULL;
    }
    if (error)
        stele_error_free(error);
    return status;
}

/* --- Reading --------------------------------------------------------------------------------- */

/* True if a message of this type name is one of `type`, by its parents. */
static bool is_one_of(stele_bus *bus, struct stele_slice name, const struct stele_type *type)
{
    const struct stele_type *known = stele__bus_type(bus, name);

    if (!known)
        return type == &stele_handler_failed_type && stele__error_depth(name) > 0;
    for (known = known->parent; known; known = known->parent) {
        if (known == type || strcmp(known->name, type->name) == 0)
            return true;
    }
    return false;
}

static stele_status read_payload(struct stele__context *context, const struct stele_type *type, void *payload,
                                 stele_error **error)
{
    const stele_message *message = context->message;

    if (stele_message_format(message) == STELE_PAYLOAD_MSGPACK &&
        (stele_message_is(message, type) || is_one_of(context->bus, stele_message_type(message), type)))
        return stele_msgpack_decode(type, stele_message_payload(message), &context->arena, payload, error);
    return stele_message_read(message, type, &context->arena, payload, error);
}

stele_status stele_context_read(stele_context *ticket, const struct stele_type *type, const void **out)
{
    struct stele__context *const context = context_of(ticket);
    struct stele__read *read;
    stele_error *error = NULL;
    stele_status status;

    if (!context || !type || !out)
        return STELE_INVALID;
    for (read = context->reads; read; read = read->next) {
        if (read->type == type) {
            *out = read->payload;
            return STELE_OK;
        }
    }
    if (!context->arena.block)
        stele__arena_init_on(&context->arena, context->first, sizeof(context->first));
    read = stele__arena_alloc(&context->arena, sizeof(*read));
    if (read)
        read->payload = stele__arena_alloc(&context->arena, type->size);
    if (!read || !read->payload)
        return record(context, stele__fail_memory(&error), error);
    status = read_payload(context, type, read->payload, &error);
    if (status != STELE_OK)
        return record(context, status, error);
    read->type = type;
    read->next = context->reads;
    context->reads = read;
    *out = read->payload;
    return STELE_OK;
}

/* --- Building what is published ------------------------------------------------------------------ */

/* Fill in what the bus gives a message. */
struct stele__envelope_draft {
    struct stele_message_options options;
    char id[STELE_UUID_TEXT_SIZE];
    char traceparent[STELE__TRACEPARENT_SIZE];
};

/* The source of what is published here; NULL: that of messages. */
static const char *source_here(const stele_bus *bus)
{
    const struct stele__context *context = stele__current;

    return bus->source_is_route && context && context->bus == bus && context->item ? context->item->route->table->name
                                                                                   : bus->source;
}

static void draft_envelope(stele_bus *bus, const struct stele_message_options *given, const stele_message *cause,
                           struct stele__envelope_draft *draft)
{
    static const struct stele_message_options no_options;
    struct stele_message_options *options = &draft->options;

    *options = given ? *given : no_options;
    options->size = sizeof(*options);
    if (!options->cause)
        options->cause = cause;
    if (!options->source)
        options->source = source_here(bus);
    /* A new message reads the system's clock itself, once for its time and its id. */
    if (!options->has_time && stele_runtime_clock(bus->runtime) != stele_clock_system()) {
        options->has_time = true;
        options->time = stele__runtime_now(bus->runtime);
    }
    if (!options->id && stele_runtime_is_simulated(bus->runtime)) {
        const struct stele_uuid id = stele__new_id(bus->runtime, options->time);

        stele_uuid_print(&id, draft->id);
        options->id = draft->id;
    }
    /* What a call publishes names the call's span, where somebody wants spans. */
    if (!options->traceparent && stele__current && stele__current->message == options->cause &&
        stele__span_traceparent(bus->observers, options->cause, stele__current->call, draft->traceparent))
        options->traceparent = draft->traceparent;
}

stele_status stele__bus_message(stele_bus *bus, const struct stele_type *type, const void *payload,
                                const struct stele_message_options *options, const stele_message *cause,
                                stele_message **out, stele_error **error)
{
    struct stele__envelope_draft draft;
    stele_status status = stele__options_check(options, sizeof(*options), sizeof(*options), "options", error);

    if (status != STELE_OK)
        return status;
    draft_envelope(bus, options, cause, &draft);
    return stele__message_follow(type, payload, &draft.options, out, error);
}

/* --- Publishing -------------------------------------------------------------------------------------- */

static bool grow(struct stele__context *context)
{
    const size_t size = context->emitted_capacity * sizeof(stele_message *);
    const bool is_few = context->emitted == context->few;
    stele_message **emitted = stele__resize(is_few ? NULL : context->emitted, is_few ? 0 : size, 2 * size);

    if (!emitted)
        return false;
    if (is_few)
        memcpy(emitted, context->few, sizeof(context->few));
    context->emitted = emitted;
    context->emitted_capacity *= 2;
    return true;
}

/* Add a message: its reference is the context's. */
static stele_status take(struct stele__context *context, stele_message *message, stele_error **error)
{
    if (context->emitted_count == STELE_EMISSIONS_MAX)
        return stele__fail_limit(error, "messages published by one call", context->emitted_count + 1,
                                 STELE_EMISSIONS_MAX, "messages");
    if (context->emitted_count == context->emitted_capacity && !grow(context))
        return stele__fail_memory(error);
    context->emitted[context->emitted_count++] = message;
    return STELE_OK;
}

stele_status stele__context_emit(struct stele__context *context, const stele_message *message, stele_error **error)
{
    stele_message *reference = stele_message_ref(message);
    const stele_status status = reference ? take(context, reference, error) : stele__fail_memory(error);

    if (status != STELE_OK)
        stele_message_unref(reference);
    return status;
}

static stele_status check_declared(const struct stele__context *context, struct stele_slice name, stele_error **error)
{
    const struct stele_route *route = context->item->route->table;

    for (size_t i = 0; route->publishes[i]; i++) {
        if (stele__slice_equal(stele__slice(route->publishes[i]->name), name))
            return STELE_OK;
    }
    stele__fail(error, STELE_INVALID, "route %s publishes %.*s, which it does not declare", route->name,
                STELE_SLICE(name));
    stele__error_add(error, "route", "%s", route->name);
    stele__error_add(error, "type", "%.*s", STELE_SLICE(name));
    return STELE_INVALID;
}

/* True if what a handler publishes must be among what its route declares. */
static inline bool declares(const struct stele__context *context)
{
    return context->item->route->table->publishes != NULL;
}

/* A type with a parent must be known, or the parent's routes would not get it. */
static stele_status learn(stele_bus *bus, const struct stele_type *type, stele_error **error)
{
    stele_status status;

    if (!type->parent || stele__bus_type(bus, stele__slice(type->name)) == type)
        return STELE_OK;
    pthread_mutex_lock(&bus->mutex);
    status = stele__bus_learn(bus, type, error);
    pthread_mutex_unlock(&bus->mutex);
    return status;
}

static stele_status emit_new(struct stele__context *context, const struct stele_type *type, const void *payload,
                             const struct stele_message_options *options, stele_error **error)
{
    stele_message *message = NULL;
    stele_status status = learn(context->bus, type, error);

    if (status == STELE_OK)
        status = stele__bus_message(context->bus, type, payload, options, context->message, &message, error);
    if (status == STELE_OK)
        status = take(context, message, error);
    if (status != STELE_OK)
        stele_message_unref(message);
    return status;
}

stele_status stele_context_publish(stele_context *ticket, const struct stele_type *type, const void *payload,
                                   const struct stele_message_options *options)
{
    struct stele__context *const context = context_of(ticket);
    stele_error *error = NULL;
    stele_status status = STELE_OK;

    if (!context)
        return STELE_INVALID;
    if (!type || !payload)
        return record(context, stele__fail_argument(&error, type ? "payload" : "type", "is NULL"), error);
    if (declares(context))
        status = check_declared(context, stele__slice(type->name), &error);
    if (status == STELE_OK)
        status = emit_new(context, type, payload, options, &error);
    return record(context, status, error);
}

stele_status stele_context_send(stele_context *ticket, const stele_message *message)
{
    struct stele__context *const context = context_of(ticket);
    stele_error *error = NULL;
    stele_status status = STELE_OK;

    if (!context)
        return STELE_INVALID;
    if (!message)
        return record(context, stele__fail_argument(&error, "message", "is NULL"), error);
    if (declares(context))
        status = check_declared(context, stele_message_type(message), &error);
    if (status == STELE_OK)
        status = stele__context_emit(context, message, &error);
    return record(context, status, error);
}

static stele_status check_reply(const struct stele__context *context, const struct stele_type *type,
                                stele_error **error)
{
    const struct stele_route *route = context->item->route->table;

    if (type->kind != STELE_REPLY)
        return stele__fail(error, STELE_INVALID, "route %s answers with %s, which is no reply", route->name,
                           type->name);
    if (route->replies && strcmp(route->replies->name, type->name) != 0)
        return stele__fail(error, STELE_INVALID, "route %s answers with %s, it states %s", route->name, type->name,
                           route->replies->name);
    if (context->has_replied)
        return stele__fail(error, STELE_INVALID, "route %s answers twice", route->name);
    return STELE_OK;
}

stele_status stele_context_reply(stele_context *ticket, const struct stele_type *type, const void *payload)
{
    struct stele__context *const context = context_of(ticket);
    stele_error *error = NULL;
    stele_status status;

    if (!context)
        return STELE_INVALID;
    if (!type || !payload)
        return record(context, stele__fail_argument(&error, type ? "payload" : "type", "is NULL"), error);
    status = check_reply(context, type, &error);
    if (status == STELE_OK)
        status = emit_new(context, type, payload, NULL, &error);
    if (status == STELE_OK)
        context->has_replied = true;
    return record(context, status, error);
}

/* The kind of a type that is known, else that of the message. */
static enum stele_message_kind kind_of(stele_bus *bus, const char *name, const stele_message *message)
{
    const struct stele_type *type = stele__bus_type(bus, stele__slice(name));

    return type ? type->kind : stele_message_kind(message);
}

static stele_status forward(struct stele__context *context, const char *type, stele_error **error)
{
    const char *source = source_here(context->bus);
    struct stele__again how = {.type = type,
                               .kind = kind_of(context->bus, type, context->message),
                               .source = source ? source : STELE__SOURCE_DEFAULT,
                               .cause = context->message};
    char traceparent[STELE__TRACEPARENT_SIZE];
    stele_message *copy = NULL;
    stele_status status;

    if (stele__span_traceparent(context->bus->observers, context->message, context->call, traceparent))
        how.traceparent = traceparent;
    status = stele__message_again(context->bus->runtime, context->message, &how, &copy, error);
    if (status == STELE_OK)
        status = take(context, copy, error);
    if (status != STELE_OK)
        stele_message_unref(copy);
    return status;
}

stele_status stele_context_forward(stele_context *ticket, const char *type)
{
    struct stele__context *const context = context_of(ticket);
    stele_error *error = NULL;
    stele_status status = STELE_OK;

    if (!context)
        return STELE_INVALID;
    if (!type)
        return record(context, stele__fail_argument(&error, "type", "is NULL"), error);
    if (declares(context))
        status = check_declared(context, stele__slice(type), &error);
    if (status == STELE_OK)
        status = forward(context, type, &error);
    return record(context, status, error);
}

/* --- After the call ------------------------------------------------------------------------------------- */

void stele__context_drop(struct stele__context *context)
{
    for (size_t i = 0; i < context->emitted_count; i++)
        stele_message_unref(context->emitted[i]);
    context->emitted_count = 0;
}

/* Of a full mailbox: the unit and the route's counter know already. */
static bool is_counted(stele_status status, const stele_error *error)
{
    return status == STELE_OVERLOAD && !stele_error_get(error, "interceptor");
}

void stele__context_flush(struct stele__context *context)
{
    const struct stele__origin origin = {context->unit, context->hop + 1, context->call};

    for (size_t i = 0; i < context->emitted_count; i++) {
        stele_message *message = context->emitted[i];
        stele_error *error = NULL;
        const stele_status status = stele__publish(context->bus, message, &origin, NULL, &error);

        if (status != STELE_OK && status != STELE_OVERLOAD)
            stele__unit_fail(context->unit, status, "", message, stele_error_message(error), 0);
        if (status != STELE_OK && !is_counted(status, error))
            stele__log_lost(message, status, error);
        stele_error_free(error);
        stele_message_unref(message);
    }
    context->emitted_count = 0;
}

void stele__context_fini(struct stele__context *context)
{
    if (context->emitted != context->few)
        stele__free(context->emitted, context->emitted_capacity * sizeof(stele_message *));
    if (context->arena.block)
        stele__arena_fini(&context->arena);
}

/* --- What it says ------------------------------------------------------------------------------------------ */

const stele_message *stele_context_message(const stele_context *ticket)
{
    const struct stele__context *context = context_of(ticket);

    return context ? context->message : NULL;
}

stele_bus *stele_context_bus(const stele_context *ticket)
{
    const struct stele__context *context = context_of(ticket);

    return context ? context->bus : NULL;
}

const char *stele_context_route(const stele_context *ticket)
{
    const struct stele__context *context = context_of(ticket);

    return context ? context->item->route->table->name : "";
}

unsigned stele_context_attempt(const stele_context *ticket)
{
    const struct stele__context *context = context_of(ticket);

    return context ? context->attempt : 0;
}

unsigned stele_context_hop(const stele_context *ticket)
{
    const struct stele__context *context = context_of(ticket);

    return context ? context->hop : 0;
}

struct stele_slice stele_context_user(const stele_context *ticket)
{
    const struct stele__context *context = context_of(ticket);
    struct stele_extension extension;

    for (size_t i = 0; context && stele_message_extension(context->message, i, &extension); i++) {
        if (strcmp(extension.name, "user") == 0 && extension.kind == STELE_EXTENSION_TEXT)
            return extension.text;
    }
    return stele__slice(NULL);
}

static int64_t time_left(const struct stele__context *context)
{
    int64_t deadline = context->deadline;

    if (context->unit && context->unit->deadline < deadline)
        deadline = context->unit->deadline;
    return deadline == INT64_MAX ? INT64_MAX : deadline - stele__runtime_monotonic(context->bus->runtime);
}

int64_t stele_context_time_left(const stele_context *ticket)
{
    const struct stele__context *context = context_of(ticket);

    return context ? time_left(context) : 0;
}

bool stele_context_is_cancelled(const stele_context *ticket)
{
    const struct stele__context *context = context_of(ticket);

    return !context || stele__unit_is_cancelled(context->unit) || atomic_load(&context->is_expired) ||
           stele__bus_state(context->bus) != STELE__BUS_RUNNING || time_left(context) <= 0;
}
