/*
 * Decisions: a command becomes events, or a rejection.
 *
 *   command -> decide -> emit -> message built, event decoded   } one step each
 *                     -> emit -> ...
 *   decide returned STELE_OK: every step evolves the state and becomes pending
 *
 * An event is decoded from the message that was built of it, so the state is
 * what a later load of the stream will give. evolve cannot be undone:
 * everything that can fail is done before the first call of it. What can fail:
 * the domain says no, a payload breaks a rule, a type is not in the table,
 * memory. Then the steps are dropped and the instance is as before.
 */
#include "aggregate/aggregate.h"

#include "base/buffer.h"
#include "base/error.h"
#include "base/text.h"
#include "message/message.h"

#include <stdarg.h>
#include <stdio.h>

/* An event that is decided and not part of the state yet. */
struct step {
    const struct stele__row *row;
    stele_message *message;
    void *event;
};

struct stele_decision {
    stele_instance *instance;
    const stele_message *command;
    int64_t time;
    struct stele__vector steps;
    stele_status failed; /* the first failure; a decide function cannot take it back by returning STELE_OK */
    stele_error *error;
};

/* --- Event ids -------------------------------------------------------------- */

/* The name space of event ids (6f7a21c4-9d0e-4b53-8a1b-2f4d7c60e938); never changes, or repeated commands store twice. */
static const struct stele_uuid event_ids = {
    {0x6f, 0x7a, 0x21, 0xc4, 0x9d, 0x0e, 0x4b, 0x53, 0x8a, 0x1b, 0x2f, 0x4d, 0x7c, 0x60, 0xe9, 0x38}};

struct stele_uuid stele__event_id(const stele_message *command, const char *stream, size_t ordinal)
{
    /* A line feed between them, as neither an id nor a stream name can have one. */
    char name[STELE_ID_MAX + 1 + STELE_STREAM_MAX + 1 + 20 + 1];
    const struct stele_slice id = stele_message_id(command);
    const int length = snprintf(name, sizeof(name), "%.*s\n%s\n%zu", STELE_SLICE(id), stream, ordinal);

    return stele_uuid_derive(&event_ids, (struct stele_slice){name, (size_t)length});
}

/* --- What a decide function calls ------------------------------------------- */

struct stele_slice stele_decision_command_id(const stele_decision *decision)
{
    return stele_message_id(decision->command);
}

int64_t stele_decision_time(const stele_decision *decision)
{
    return decision->time;
}

static stele_status remember_failure(stele_decision *decision, stele_status status)
{
    decision->failed = status;
    return status;
}

stele_status stele_decision_reject(stele_decision *decision, const char *format, ...)
{
    struct stele__buffer text;
    va_list arguments;
    int length;
    char *place = NULL;

    if (!decision || !format)
        return STELE_INVALID;
    if (decision->failed != STELE_OK)
        return decision->failed;
    stele__buffer_init(&text);
    va_start(arguments, format);
    length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length >= 0)
        place = stele__buffer_extend(&text, (size_t)length + 1);
    if (place) {
        va_start(arguments, format);
        vsnprintf(place, (size_t)length + 1, format, arguments);
        va_end(arguments);
    }
    stele__fail(&decision->error, STELE_REJECTED, "%s", place ? place : stele_status_text(STELE_REJECTED));
    stele__error_add(&decision->error, "type", "%.*s", STELE_SLICE(decision->command->type));
    stele__error_add(&decision->error, "stream", "%s", decision->instance->stream);
    stele__buffer_fini(&text);
    return remember_failure(decision, STELE_REJECTED);
}

static stele_status build_message(stele_decision *decision, const struct stele_type *type, const void *payload,
                                  stele_message **out, stele_error **error)
{
    const stele_instance *instance = decision->instance;
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
    const struct stele_uuid id = stele__event_id(decision->command, instance->stream, decision->steps.count);
    char id_text[STELE_UUID_TEXT_SIZE];

    stele_uuid_print(&id, id_text);
    options.id = id_text;
    options.source = instance->repository->source;
    options.has_time = true;
    options.time = decision->time;
    options.cause = decision->command;
    options.payload_limit = STELE_PAYLOAD_MAX; /* the store knows its own, which may be above the default */
    return stele_message_new(type, payload, &options, out, error);
}

static stele_status fail_undecided(const stele_decision *decision, const char *what, const char *type,
                                   stele_error **error)
{
    stele__fail(error, STELE_INVALID, "aggregate %s has no %s for %s",
                decision->instance->repository->aggregate->state->name, what, type);
    stele__error_add(error, "type", "%s", type);
    return STELE_INVALID;
}

static stele_status add_step(stele_decision *decision, const struct stele_type *type, const void *payload,
                             stele_error **error)
{
    const struct stele__row *row = stele__repository_row(decision->instance->repository, stele__slice(type->name));
    stele_message *message = NULL;
    struct step *step;
    void *event;
    stele_status status;

    if (!row || row->evolution->event->version != type->version)
        return fail_undecided(decision, "evolve function", type->name, error);
    status = build_message(decision, type, payload, &message, error);
    if (status != STELE_OK)
        return status;
    status = stele__instance_decode(decision->instance, row, message, &event, error);
    step = status == STELE_OK ? stele__vector_add(&decision->steps) : NULL;
    if (!step) {
        stele_message_unref(message);
        return status == STELE_OK ? stele__fail_memory(error) : status;
    }
    *step = (struct step){row, message, event};
    return STELE_OK;
}

stele_status stele_decision_emit(stele_decision *decision, const struct stele_type *type, const void *payload)
{
    if (!decision)
        return STELE_INVALID;
    if (decision->failed != STELE_OK)
        return decision->failed;
    if (!type || !payload)
        return remember_failure(decision, stele__fail_argument(&decision->error, type ? "payload" : "type", "is NULL"));
    return remember_failure(decision, add_step(decision, type, payload, &decision->error));
}

/* --- Deciding --------------------------------------------------------------- */

static const struct stele_decider *find_decider(const struct stele_aggregate *aggregate, const stele_message *command)
{
    for (size_t i = 0; i < aggregate->decider_count && command->kind == STELE_COMMAND; i++) {
        if (stele_message_is(command, aggregate->deciders[i].command))
            return &aggregate->deciders[i];
    }
    return NULL;
}

/* Decode the command and ask the domain; the failure, if any, is in the decision. */
static stele_status ask(stele_decision *decision, const struct stele_decider *decider)
{
    stele_instance *instance = decision->instance;
    void *payload = stele__arena_alloc(&instance->scratch, decider->command->size);
    stele_status status;

    if (!payload)
        return stele__fail_memory(&decision->error);
    status = stele_message_read(decision->command, decider->command, &instance->scratch, payload, &decision->error);
    if (status != STELE_OK)
        return status;
    status = decider->decide(instance->state, payload, decision);
    if (decision->failed != STELE_OK)
        return decision->failed;
    if (status != STELE_OK)
        return stele__fail(&decision->error, status, "deciding %s: %s", decider->command->name,
                           stele_status_text(status));
    return STELE_OK;
}

static bool reserve_pending(stele_decision *decision)
{
    struct stele__vector *pending = &decision->instance->pending;

    return stele__vector_reserve(pending, pending->count + decision->steps.count);
}

/* Nothing here can fail: the places of the pending events are reserved. */
static void take_steps(stele_decision *decision)
{
    stele_instance *instance = decision->instance;

    for (size_t i = 0; i < decision->steps.count; i++) {
        const struct step *step = stele__vector_at(&decision->steps, i);
        stele_message **place = stele__vector_add(&instance->pending);

        *place = step->message;
        step->row->evolution->evolve(instance->state, step->event);
    }
}

static void drop_steps(stele_decision *decision, struct stele__arena_mark mark)
{
    for (size_t i = 0; i < decision->steps.count; i++) {
        const struct step *step = stele__vector_at(&decision->steps, i);

        stele_message_unref(step->message);
    }
    stele__arena_rewind(&decision->instance->memory, mark);
}

static int64_t time_of_decision(const stele_instance *instance)
{
    const struct stele_clock *clock = instance->repository->clock;

    return instance->has_decision_time ? instance->decision_time : clock->now(clock->context);
}

stele_status stele_decide(stele_instance *instance, const stele_message *command, stele_error **error)
{
    stele_decision decision = {.instance = instance, .command = command};
    const struct stele_decider *decider;
    struct stele__arena_mark mark;
    stele_status status;

    if (!instance)
        return stele__fail_argument(error, "instance", "is NULL");
    if (!command)
        return stele__fail_argument(error, "command", "is NULL");
    decider = find_decider(instance->repository->aggregate, command);
    if (!decider)
        return fail_undecided(&decision, "decide function", stele_message_type(command).data, error);
    decision.time = time_of_decision(instance);
    stele__vector_init(&decision.steps, sizeof(struct step));
    mark = stele__arena_mark(&instance->memory);
    status = ask(&decision, decider);
    if (status == STELE_OK && !reserve_pending(&decision))
        status = stele__fail_memory(&decision.error);
    if (status == STELE_OK)
        take_steps(&decision);
    else
        drop_steps(&decision, mark);
    stele_arena_reset(&instance->scratch);
    stele__vector_fini(&decision.steps);
    if (status == STELE_OK)
        stele__instance_tidy(instance);
    else if (error)
        *error = decision.error;
    else
        stele_error_free(decision.error);
    return status;
}
