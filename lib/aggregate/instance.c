/*
 * Instances: one aggregate in memory.
 *
 *   stored event -> row of the table -> decoded event -> evolve -> state
 *
 * Where a decoded event lives depends on what evolve could keep of it:
 *
 *   fleeting (no pointers, in it or in the state)   in `scratch`, reset at once
 *   all others                                      in `memory`, with their bytes
 *
 * So `memory` grows with the stream although the state points to little of it.
 * When it has grown enough, the state is copied, with all it points to, into
 * new memory and the old is dropped; not for a state that has memory of its
 * own (ARENA), as nobody can know what it keeps there.
 *
 * What can fail: events of unknown type, events that do not decode, memory.
 * evolve is called only when nothing can fail any more but what it asks
 * of the state's ARENA.
 */
#include "aggregate/aggregate.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "message/message.h"

#include <inttypes.h>
#include <string.h>

enum { TIDY_FROM = 1024 * 1024 }; /* bytes of memory below which garbage is left alone */

/* --- Life ------------------------------------------------------------------- */

/* Point the state's ARENA fields to the instance's memory. */
static void lend_memory(stele_instance *instance)
{
    const struct stele_type *type = instance->repository->aggregate->state;
    stele_arena *memory = &instance->memory;

    if (!instance->repository->owns_memory)
        return;
    for (size_t i = 0; i < type->field_count; i++) {
        if (type->fields[i].kind == STELE_KIND_ARENA)
            memcpy((char *)instance->state + type->fields[i].offset, &memory, sizeof(memory));
    }
}

stele_status stele__instance_new(const stele_repository *repository, const char *stream, stele_instance **out,
                                 stele_error **error)
{
    const size_t state_size = repository->aggregate->state->size;
    const size_t name_size = strlen(stream) + 1;
    stele_instance *instance = NULL;
    size_t size;

    if (stele__size_add(sizeof(*instance) + state_size, name_size, &size))
        instance = stele__alloc(size);
    if (!instance)
        return stele__fail_memory(error);
    instance->allocated = size;
    instance->repository = repository;
    instance->state = instance->bytes;
    instance->stream = instance->bytes + state_size;
    instance->compact_at = TIDY_FROM;
    instance->latest = INT64_MIN;
    memcpy(instance->stream, stream, name_size);
    stele__vector_init(&instance->pending, sizeof(stele_message *));
    lend_memory(instance);
    *out = instance;
    return STELE_OK;
}

void stele_instance_free(stele_instance *instance)
{
    if (!instance)
        return;
    stele__instance_clear_pending(instance);
    stele__vector_fini(&instance->pending);
    stele__arena_fini(&instance->scratch);
    stele__arena_fini(&instance->memory);
    stele__free(instance, instance->allocated);
}

void stele__instance_clear_pending(stele_instance *instance)
{
    stele_message *const *messages = instance->pending.items;

    for (size_t i = 0; i < instance->pending.count; i++)
        stele_message_unref(messages[i]);
    stele__vector_truncate(&instance->pending, 0);
}

void stele__instance_replace(stele_instance *instance, stele_instance *fresh)
{
    const struct stele_arena old = instance->memory;

    memcpy(instance->state, fresh->state, instance->repository->aggregate->state->size);
    instance->memory = fresh->memory;
    fresh->memory = old;
    lend_memory(instance);
    instance->compact_at = fresh->compact_at;
    instance->stored_version = fresh->stored_version;
    instance->snapshot_version = fresh->snapshot_version;
    instance->latest = fresh->latest;
    stele__instance_clear_pending(instance);
}

void stele__instance_reset(stele_instance *instance)
{
    memset(instance->state, 0, instance->repository->aggregate->state->size);
    stele__arena_fini(&instance->memory);
    stele_arena_reset(&instance->scratch);
    lend_memory(instance);
    instance->compact_at = TIDY_FROM;
    instance->stored_version = 0;
    instance->snapshot_version = 0;
    instance->latest = INT64_MIN;
}

/* The state was put in place from elsewhere: `status` says how that went. */
static stele_status settle_state(stele_instance *instance, stele_status status)
{
    if (status != STELE_OK) {
        stele__instance_reset(instance);
        return status;
    }
    lend_memory(instance);
    instance->compact_at = 2 * stele_arena_used(&instance->memory) + TIDY_FROM;
    return STELE_OK;
}

stele_status stele__instance_restore(stele_instance *instance, struct stele_slice bytes, stele_error **error)
{
    /* The state may point into the bytes it came from. */
    const struct stele_slice copy = {stele_arena_text(&instance->memory, bytes.data, bytes.size), bytes.size};

    if (!copy.data)
        return stele__fail_memory(error);
    return settle_state(instance, stele_msgpack_decode(instance->repository->aggregate->state, copy, &instance->memory,
                                                       instance->state, error));
}

stele_status stele__instance_copy(stele_instance *instance, const void *state, stele_error **error)
{
    return settle_state(instance, stele_value_copy(instance->repository->aggregate->state, state, &instance->memory,
                                                   instance->state, error));
}

/* --- Asking ----------------------------------------------------------------- */

const void *stele_instance_state(const stele_instance *instance, const struct stele_aggregate *aggregate)
{
    return instance && instance->repository->aggregate == aggregate ? instance->state : NULL;
}

const char *stele_instance_stream(const stele_instance *instance)
{
    return instance->stream;
}

uint64_t stele_instance_version(const stele_instance *instance)
{
    return instance->stored_version + instance->pending.count;
}

size_t stele_instance_pending(const stele_instance *instance, const stele_message *const **events)
{
    if (events)
        *events = instance->pending.items;
    return instance->pending.count;
}

/* --- Folding ---------------------------------------------------------------- */

/* Say where a stored event is that cannot be folded. */
static void place_fault(const stele_instance *instance, const stele_message *message, stele_error **error)
{
    stele__error_add(error, "type", "%.*s", STELE_SLICE(message->type));
    stele__error_add(error, "stream", "%s", instance->stream);
    stele__error_add(error, "version", "%" PRIu64, message->version);
    stele__error_add(error, "position", "%" PRIu64, message->position);
}

static stele_status fail_unknown(const stele_instance *instance, const stele_message *message,
                                 const struct stele__row *row, stele_error **error)
{
    const char *aggregate = instance->repository->aggregate->state->name;

    if (row)
        stele__fail(error, STELE_UNKNOWN_TYPE,
                    "stream \"%s\", event %" PRIu64 ": %.*s is stored in version %" PRIu32
                    ", aggregate %s knows version %" PRIu32,
                    instance->stream, message->version, STELE_SLICE(message->type), message->type_version, aggregate,
                    row->evolution->event->version);
    else
        stele__fail(error, STELE_UNKNOWN_TYPE,
                    "stream \"%s\", event %" PRIu64 ": aggregate %s has no evolve function for %.*s", instance->stream,
                    message->version, aggregate, STELE_SLICE(message->type));
    place_fault(instance, message, error);
    return STELE_UNKNOWN_TYPE;
}

/* What a program wrote with an older table, or another program wrote, is not our caller's mistake: the bytes are at fault. */
static stele_status fail_undecodable(const stele_instance *instance, const stele_message *message, stele_error *cause,
                                     stele_error **error)
{
    if (stele_error_status(cause) == STELE_NO_MEMORY) {
        stele_error_free(cause);
        return stele__fail_memory(error);
    }
    stele__fail(error, STELE_CORRUPT, "stream \"%s\", event %" PRIu64 " does not decode: %s", instance->stream,
                message->version, stele_error_message(cause));
    stele_error_free(cause);
    place_fault(instance, message, error);
    return STELE_CORRUPT;
}

stele_status stele__instance_decode(stele_instance *instance, const struct stele__row *row,
                                    const stele_message *message, void **event, stele_error **error)
{
    const struct stele_type *type = row->evolution->event;
    stele_arena *arena = row->is_fleeting ? &instance->scratch : &instance->memory;
    struct stele_slice payload = message->payload;
    void *decoded = stele__arena_alloc(arena, type->size);
    stele_status status;

    if (!decoded)
        return stele__fail_memory(error);
    if (message->format != STELE_PAYLOAD_MSGPACK)
        return stele__fail(error, STELE_INVALID, "%s has no MessagePack payload", type->name);
    if (!row->is_fleeting) {
        /* The event may point into the bytes it came from. */
        payload.data = stele_arena_text(arena, payload.data, payload.size);
        if (!payload.data)
            return stele__fail_memory(error);
    }
    status = stele_msgpack_decode(type, payload, arena, decoded, error);
    if (status == STELE_OK)
        *event = decoded;
    return status;
}

static const struct stele__row *find_row(stele_instance *instance, struct stele_slice type)
{
    if (!instance->last || !stele__slice_equal(instance->last->name, type))
        instance->last = stele__repository_row(instance->repository, type);
    return instance->last;
}

static void note_folded(stele_instance *instance, const stele_message *message)
{
    instance->stored_version = message->version;
    if (message->time > instance->latest)
        instance->latest = message->time;
}

stele_status stele__instance_fold(stele_instance *instance, const stele_message *message, stele_error **error)
{
    const struct stele__row *row = find_row(instance, message->type);
    stele_error *cause = NULL;
    struct stele__arena_mark mark;
    void *event;

    if (!row && instance->repository->unknown == STELE_UNKNOWN_IS_SKIPPED) {
        note_folded(instance, message);
        return STELE_OK;
    }
    if (!row || row->evolution->event->version != message->type_version)
        return fail_unknown(instance, message, row, error);
    mark = stele__arena_mark(&instance->memory);
    if (stele__instance_decode(instance, row, message, &event, &cause) != STELE_OK) {
        stele_arena_reset(&instance->scratch);
        stele__arena_rewind(&instance->memory, mark);
        return fail_undecodable(instance, message, cause, error);
    }
    row->evolution->evolve(instance->state, event);
    /* evolve cannot say that the state's memory was out; a state that lacks something must not become an instance. */
    if (instance->memory.refused)
        return stele__fail_memory(error);
    note_folded(instance, message);
    if (row->is_fleeting)
        stele_arena_reset(&instance->scratch);
    else
        stele__instance_tidy(instance);
    return STELE_OK;
}

void stele__instance_tidy(stele_instance *instance)
{
    const struct stele_type *type = instance->repository->aggregate->state;
    struct stele_arena fresh;
    const size_t used = stele_arena_used(&instance->memory);
    void *copy;

    if (used < instance->compact_at || instance->repository->owns_memory)
        return;
    stele__arena_init(&fresh);
    copy = stele__arena_alloc(&fresh, type->size);
    if (copy && stele_value_copy(type, instance->state, &fresh, copy, NULL) == STELE_OK) {
        memcpy(instance->state, copy, type->size);
        stele__arena_fini(&instance->memory);
        instance->memory = fresh;
    } else {
        /* Out of memory: nothing is lost by trying later. */
        stele__arena_fini(&fresh);
    }
    /* A large state is copied when as much garbage again may have come, so that copying stays a small part of it all. */
    instance->compact_at = 2 * stele_arena_used(&instance->memory) + TIDY_FROM;
}
