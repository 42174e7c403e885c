/*
 * Bringing one stored event to what it is read as.
 *
 *     stored -> step -> step -> ... -> a shape without a step: a message
 *                  \-> a second event, on its own way ...
 *
 * What is under way between two steps is either bytes or, behind a function, the
 * very struct it gave: if the next step is a function of the same type, it is
 * called with that struct, inside the call that gave it, and nothing is encoded
 * but what arrives. So the depth of calls is the length of the way, which the
 * plan bounds, and parts are numbered in the order in which they are given.
 *
 * What can fail: a step's function, payloads that do not decode, changes,
 * limits: all STELE_CORRUPT, naming event and step. Memory.
 */
#include "message/upcast.h"

#include "base/error.h"
#include "base/text.h"
#include "message/value.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

/* One stored event on its way. The first failure ends it. */
struct run {
    const struct stele__upcasting *upcasting;
    const stele_message *stored;
    struct stele__upcasts *out;
    size_t given; /* events, by all steps */
    size_t bytes; /* of payloads made */
    stele_status failed;
    stele_error **error;
};

struct stele_upcast {
    struct run *run;
    const struct stele__step *step;
};

/* A payload between two steps. */
struct underway {
    const struct stele__shape *shape;
    const struct stele__step *step; /* that gave it; NULL: it is as stored */
    struct stele_slice bytes;       /* if `type` is NULL */
    const struct stele_type *type;
    const void *value;
};

static stele_status advance(struct run *run, const struct underway *underway);

/* --- Failing ------------------------------------------------------------------------- */

static stele_status fail_memory(struct run *run)
{
    run->failed = stele__fail_memory(run->error);
    return run->failed;
}

static stele_status fail_step(struct run *run, const struct stele__step *step, const char *why)
{
    const struct stele_upcaster *upcaster = step->upcaster;
    const stele_message *stored = run->stored;

    run->failed = stele__fail(
        run->error, STELE_CORRUPT, "event at position %" PRIu64 ": upcaster %s %" PRIu32 " -> %s %" PRIu32 ": %s",
        stored->position, upcaster->from, upcaster->from_version, upcaster->to, upcaster->to_version, why);
    stele__error_add(run->error, "position", "%" PRIu64, stored->position);
    stele__error_add(run->error, "stream", "%.*s", STELE_SLICE(stored->stream));
    stele__error_add(run->error, "version", "%" PRIu64, stored->version);
    stele__error_add(run->error, "step", "%s %" PRIu32 " -> %s %" PRIu32, upcaster->from, upcaster->from_version,
                     upcaster->to, upcaster->to_version);
    return run->failed;
}

/* A step failed for a cause that has an error, which is freed. */
static stele_status fail_cause(struct run *run, const struct stele__step *step, stele_status status, stele_error *cause)
{
    if (status == STELE_NO_MEMORY)
        fail_memory(run);
    else
        fail_step(run, step, stele_error_message(cause));
    stele_error_free(cause);
    return run->failed;
}

/* --- What arrives ----------------------------------------------------------------------- */

/* The bytes of what is under way, encoding it if need be. */
static stele_status take_bytes(struct run *run, const struct underway *underway, struct stele_slice *out)
{
    struct stele__buffer *scratch = &run->out->scratch;
    stele_error *cause = NULL;
    stele_status status;
    char *copy;

    *out = underway->bytes;
    if (!underway->type)
        return STELE_OK;
    stele__buffer_reset(scratch);
    scratch->limit = run->upcasting->payload_limit;
    status = stele__value_to_msgpack(underway->type, underway->value, scratch, &cause);
    if (status == STELE_OK)
        status = stele__buffer_finish(scratch, "payload", &cause);
    if (status != STELE_OK)
        return fail_cause(run, underway->step, status, cause);
    copy = stele__arena_alloc(&run->out->arena, scratch->size);
    if (!copy)
        return fail_memory(run);
    memcpy(copy, scratch->data, scratch->size);
    *out = (struct stele_slice){copy, scratch->size};
    return STELE_OK;
}

/* What was made of one event is bounded as a batch is. */
static stele_status count_bytes(struct run *run, const struct stele__step *step, size_t size)
{
    run->bytes += size;
    if (run->bytes <= STELE_BATCH_BYTES_MAX)
        return STELE_OK;
    return fail_step(run, step, "what the event becomes is larger than STELE_BATCH_BYTES_MAX");
}

static stele_status arrive(struct run *run, const struct underway *underway)
{
    struct stele__vector *messages = &run->out->messages;
    struct stele_slice payload;
    stele_message *message;
    stele_status status = take_bytes(run, underway, &payload);

    if (status == STELE_OK)
        status = count_bytes(run, underway->step, payload.size);
    if (status != STELE_OK)
        return status;
    message = stele__vector_add(messages);
    if (!message)
        return fail_memory(run);
    memcpy(message, run->stored, sizeof(*message));
    message->type = underway->shape->name;
    message->type_version = underway->shape->version;
    message->payload = payload;
    message->part = (unsigned)(messages->count - 1);
    return STELE_OK;
}

/* --- Steps ---------------------------------------------------------------------------------- */

static stele_status decode(struct run *run, const struct stele__step *step, const struct underway *underway,
                           const void **out)
{
    const struct stele_type *type = step->upcaster->old_type;
    struct stele_slice bytes;
    stele_error *cause = NULL;
    stele_status status;
    void *value;

    if (underway->type == type) {
        *out = underway->value;
        return STELE_OK;
    }
    status = take_bytes(run, underway, &bytes);
    if (status != STELE_OK)
        return status;
    value = stele__arena_alloc(&run->out->arena, type->size);
    if (!value)
        return fail_memory(run);
    status = stele_msgpack_decode(type, bytes, &run->out->arena, value, &cause);
    *out = value;
    return status == STELE_OK ? STELE_OK : fail_cause(run, step, status, cause);
}

/* Events come out of stele_upcast_give(), in the call. */
static stele_status call(struct run *run, const struct stele__step *step, const struct underway *underway)
{
    struct stele_upcast upcast = {run, step};
    const void *old = NULL;
    char why[64];
    stele_status status = decode(run, step, underway, &old);

    if (status != STELE_OK)
        return status;
    status = step->upcaster->up(old, &upcast);
    if (run->failed != STELE_OK || status == STELE_OK)
        return run->failed;
    if (status == STELE_NO_MEMORY)
        return fail_memory(run);
    snprintf(why, sizeof(why), "its function returned %s", stele_status_name(status));
    return fail_step(run, step, why);
}

static stele_status change(struct run *run, const struct stele__step *step, const struct underway *underway)
{
    const struct stele__change_room room = {&run->out->arena, &run->out->scratch, run->upcasting->payload_limit};
    struct underway changed = {.shape = step->to, .step = step};
    stele_error *cause = NULL;
    stele_status status = take_bytes(run, underway, &changed.bytes);

    if (status == STELE_OK && step->upcaster->change_count) {
        status = stele__changes_make(step->changes, step->upcaster->change_count, changed.bytes, &room, &changed.bytes,
                                     &cause);
        if (status != STELE_OK)
            return fail_cause(run, step, status, cause);
    }
    return status == STELE_OK ? advance(run, &changed) : status;
}

static stele_status advance(struct run *run, const struct underway *underway)
{
    const struct stele__step *step = underway->shape->next;

    if (!step)
        return arrive(run, underway);
    if ((step->upcaster->up || step->upcaster->change_count) && run->stored->format != STELE_PAYLOAD_MSGPACK)
        return fail_step(run, step, "the event has no MessagePack payload");
    return step->upcaster->up ? call(run, step, underway) : change(run, step, underway);
}

stele_status stele__upcast_run(const struct stele__upcasting *upcasting, const struct stele__shape *shape,
                               const stele_message *stored, struct stele__upcasts *out, stele_error **error)
{
    const struct underway underway = {.shape = shape, .bytes = stored->payload};
    struct run run = {.upcasting = upcasting, .stored = stored, .out = out, .error = error};
    stele_message *messages;

    stele_arena_reset(&out->arena);
    out->messages.item_size = sizeof(*messages);
    stele__vector_truncate(&out->messages, 0);
    if (advance(&run, &underway) != STELE_OK) {
        stele__vector_truncate(&out->messages, 0);
        return run.failed;
    }
    messages = out->messages.items;
    for (size_t i = 0; i < out->messages.count; i++) {
        messages[i].self = &messages[i];
        messages[i].has_more = i + 1 < out->messages.count;
    }
    return STELE_OK;
}

void stele__upcasts_fini(struct stele__upcasts *upcasts)
{
    stele__vector_fini(&upcasts->messages);
    stele__buffer_fini(&upcasts->scratch);
    stele__arena_fini(&upcasts->arena);
}

/* --- What functions call ------------------------------------------------------------------------ */

static bool is_shape_of(const struct stele__shape *shape, const struct stele_type *type)
{
    return shape->version == type->version && stele__slice_equal(shape->name, stele__slice(type->name));
}

/* The end of the step that a type is; NULL if it is none. */
static const struct stele__shape *find_end(const struct stele__step *step, const struct stele_type *type)
{
    if (type == step->upcaster->new_type || is_shape_of(step->to, type))
        return step->to;
    for (size_t i = 0; i < step->upcaster->other_count; i++) {
        if (is_shape_of(step->others[i], type))
            return step->others[i];
    }
    return NULL;
}

static stele_status refuse_type(struct run *run, const struct stele__step *step, const struct stele_type *type)
{
    char why[STELE_TYPE_MAX + 64];

    snprintf(why, sizeof(why), "it gave a %s of version %" PRIu32 ", which it does not name", type->name,
             type->version);
    fail_step(run, step, why);
    return STELE_INVALID;
}

stele_status stele_upcast_give(stele_upcast *upcast, const struct stele_type *type, const void *payload)
{
    struct underway underway = {.type = type, .value = payload};
    stele_error *cause = NULL;
    struct run *run;
    stele_status status;

    if (!upcast || upcast->run->failed != STELE_OK)
        return upcast ? upcast->run->failed : STELE_INVALID;
    run = upcast->run;
    underway.step = upcast->step;
    if (!type || !payload) {
        fail_step(run, upcast->step, "it gave NULL");
        return STELE_INVALID;
    }
    underway.shape = find_end(upcast->step, type);
    if (!underway.shape)
        return refuse_type(run, upcast->step, type);
    if (++run->given > STELE_UPCAST_EVENTS_MAX) {
        fail_step(run, upcast->step, "the event becomes more than STELE_UPCAST_EVENTS_MAX events");
        return STELE_LIMIT;
    }
    status = stele_value_check(type, payload, &cause);
    if (status != STELE_OK) {
        fail_cause(run, upcast->step, status, cause);
        return status;
    }
    return advance(run, &underway);
}

const stele_message *stele_upcast_message(const stele_upcast *upcast)
{
    return upcast->run->stored;
}

stele_status stele_upcast_fail(stele_upcast *upcast, const char *format, ...)
{
    va_list arguments;
    int length;
    char *text = NULL;

    if (!upcast || !format)
        return STELE_INVALID;
    if (upcast->run->failed != STELE_OK)
        return upcast->run->failed;
    va_start(arguments, format);
    length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length >= 0)
        text = stele__arena_alloc(&upcast->run->out->arena, (size_t)length + 1);
    if (!text)
        return fail_memory(upcast->run);
    va_start(arguments, format);
    vsnprintf(text, (size_t)length + 1, format, arguments);
    va_end(arguments);
    return fail_step(upcast->run, upcast->step, text);
}

unsigned stele_message_part(const stele_message *message)
{
    return message->part;
}
