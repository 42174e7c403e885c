/*
 * The event being projected.
 *
 * A function is found by the name of the event's type: most logs have runs of
 * one type, so the last one is compared first and the map asked only behind
 * it. The payload is decoded by the message layer into the arena, once, and the
 * arena emptied after the call, which keeps its block.
 *
 * What can fail: a payload of another version than the function's type (there
 * is no upcaster), one that does not decode, memory, and the function itself.
 */
#include "projections/projecting.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "message/message.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* --- What a function asks --------------------------------------------------------- */

const stele_message *stele_projecting_message(const stele_projecting *at)
{
    return at->message;
}

stele_arena *stele_projecting_arena(stele_projecting *at)
{
    return &at->arena;
}

stele_error **stele_projecting_error(stele_projecting *at)
{
    /* A function may have tried something, and gone on. */
    stele_error_free(at->cause);
    at->cause = NULL;
    return &at->cause;
}

stele_status stele_projecting_fail(stele_projecting *at, stele_status status, const char *format, ...)
{
    char text[1024];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    return stele__fail(stele_projecting_error(at), status, "%s", text);
}

const char *stele_projecting_delivery(stele_projecting *at)
{
    const stele_message *message = at->message;
    int length = snprintf(at->delivery, sizeof(at->delivery), "%s:%" PRIu64, at->projection->name, message->position);

    if (message->part || message->has_more)
        snprintf(at->delivery + length, sizeof(at->delivery) - (size_t)length, ":%u", message->part);
    return at->delivery;
}

bool stele_projecting_is_replay(const stele_projecting *at)
{
    return at->message->position <= at->replay_until;
}

/* --- Calling ------------------------------------------------------------------------ */

stele_status stele__projecting_init(struct stele_projecting *at, const struct stele_projection *projection,
                                    stele_error **error)
{
    memset(at, 0, sizeof(*at));
    at->projection = projection;
    stele__arena_init(&at->arena);
    stele__map_init(&at->by_name);
    at->functions = stele__alloc(projection->on_count * sizeof(*at->functions));
    if (!at->functions)
        return stele__fail_memory(error);
    for (size_t i = 0; i < projection->on_count; i++) {
        struct stele__function *function = &at->functions[i];

        function->on = &projection->on[i];
        function->name = stele__slice(function->on->type->name);
        if (!stele__map_put(&at->by_name, function->name, function)) {
            stele__projecting_fini(at);
            return stele__fail_memory(error);
        }
    }
    return STELE_OK;
}

void stele__projecting_fini(struct stele_projecting *at)
{
    if (!at->functions)
        return;
    stele__map_fini(&at->by_name);
    stele__arena_fini(&at->arena);
    stele__free(at->functions, at->projection->on_count * sizeof(*at->functions));
    at->functions = NULL;
}

static const struct stele__function *find(struct stele_projecting *at, struct stele_slice type)
{
    const struct stele__function *function = at->latest;

    if (function && stele__slice_equal(function->name, type))
        return function;
    function = stele__map_get(&at->by_name, type);
    if (function)
        at->latest = function;
    return function;
}

static stele_status tell(struct stele_projecting *at, stele_status status, stele_error **error)
{
    const stele_message *message = at->message;

    if (!at->cause && error)
        stele__fail(&at->cause, status, "%s", stele_status_text(status));
    stele__error_prefix(&at->cause, "projection %s, position %" PRIu64, at->projection->name, message->position);
    stele__error_add(&at->cause, "projection", "%s", at->projection->name);
    stele__error_add(&at->cause, "position", "%" PRIu64, message->position);
    stele__error_add(&at->cause, "type", "%.*s", STELE_SLICE(message->type));
    if (error) {
        *error = at->cause;
        at->cause = NULL;
    }
    return status;
}

stele_status stele__project(struct stele_projecting *at, void *model, const stele_message *message, stele_error **error)
{
    const struct stele__function *function = find(at, message->type);
    const struct stele_projection_on *on;
    stele_status status = STELE_OK;
    void *event;

    if (!function)
        return STELE_OK;
    on = function->on;
    at->message = message;
    event = stele__arena_alloc(&at->arena, on->type->size);
    if (event)
        status = stele_message_read(message, on->type, &at->arena, event, &at->cause);
    else
        status = stele__fail_memory(&at->cause);
    if (status == STELE_OK)
        status = on->project(model, event, at);
    if (status != STELE_OK)
        status = tell(at, status, error);
    if (at->cause) {
        stele_error_free(at->cause);
        at->cause = NULL;
    }
    stele_arena_reset(&at->arena);
    return status;
}
