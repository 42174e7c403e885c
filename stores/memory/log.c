/*
 * Adding to the log, all or nothing.
 *
 *     reserve: streams, types, copies of the records, room in every array, ids
 *     publish: versions, positions and pointers; nothing can fail any more
 *
 * What can fail: memory runs out while reserving. Ids and types entered so far
 * are taken out again; a stream without events does not exist; copies and room
 * stay behind unused until the log is freed.
 */
#include "memory/log.h"

#include "base/memory.h"

#include <string.h>

enum { CAPACITY_MIN = 8 };

void memory__log_init(struct memory__log *log)
{
    memset(log, 0, sizeof(*log));
    stele__map_init(&log->streams);
    stele__map_init(&log->types);
    stele__map_init(&log->texts);
    stele__map_init(&log->uuids);
    stele__arena_init(&log->arena);
}

void memory__log_fini(struct memory__log *log)
{
    stele__map_fini(&log->streams);
    stele__map_fini(&log->types);
    stele__map_fini(&log->texts);
    stele__map_fini(&log->uuids);
    stele__arena_fini(&log->arena);
}

/* --- Ids --------------------------------------------------------------------------------- */

static struct stele_slice id_key(const struct stele_record *record)
{
    struct stele_slice key = record->id;

    if (record->id_is_uuid) {
        key.data = (const char *)record->uuid.bytes;
        key.size = sizeof(record->uuid.bytes);
    }
    return key;
}

const struct stele_record *memory__log_find(const struct memory__log *log, const struct stele_record *wanted)
{
    return stele__map_get(wanted->id_is_uuid ? &log->uuids : &log->texts, id_key(wanted));
}

static bool add_id(struct memory__log *log, struct stele_record *record)
{
    return stele__map_put(record->id_is_uuid ? &log->uuids : &log->texts, id_key(record), record);
}

static void remove_id(struct memory__log *log, const struct stele_record *record)
{
    stele__map_remove(record->id_is_uuid ? &log->uuids : &log->texts, id_key(record));
}

/* --- Names --------------------------------------------------------------------------------- */

static bool copy_text(struct stele_arena *arena, struct stele_slice text, struct stele_slice *out)
{
    out->data = stele_arena_text(arena, text.data, text.size);
    out->size = text.size;
    return out->data != NULL;
}

static struct memory__stream *take_stream(struct memory__log *log, struct stele_slice name)
{
    struct memory__stream *stream = stele__map_get(&log->streams, name);

    if (stream)
        return stream;
    stream = stele__arena_array(&log->arena, 1, sizeof(*stream));
    if (!stream || !copy_text(&log->arena, name, &stream->name))
        return NULL;
    return stele__map_put(&log->streams, stream->name, stream) ? stream : NULL;
}

struct memory__stream *memory__log_stream(const struct memory__log *log, struct stele_slice name)
{
    struct memory__stream *stream = stele__map_get(&log->streams, name);

    return stream && stream->events.count ? stream : NULL;
}

static const struct memory__type *take_type(struct memory__log *log, struct stele_slice name)
{
    struct memory__type *type = stele__map_get(&log->types, name);

    if (type)
        return type;
    type = stele__arena_array(&log->arena, 1, sizeof(*type));
    if (!type || !copy_text(&log->arena, name, &type->name) || !stele__map_put(&log->types, type->name, type))
        return NULL;
    type->fresh = log->fresh;
    log->fresh = type;
    return type;
}

/* --- Records ------------------------------------------------------------------------------- */

static struct stele_slice place(char **at, struct stele_slice from)
{
    const struct stele_slice copy = {*at, from.size};

    if (!from.data)
        return from;
    if (from.size)
        memcpy(*at, from.data, from.size);
    (*at)[from.size] = '\0';
    *at += from.size + 1;
    return copy;
}

static struct stele_record *copy_record(struct memory__log *log, const struct stele_record *record)
{
    const size_t bytes = record->id.size + record->meta.size + record->payload.size + 3;
    struct stele_record *copy = stele__arena_alloc(&log->arena, sizeof(*copy) + bytes);
    char *at;

    if (!copy)
        return NULL;
    *copy = *record;
    at = (char *)(copy + 1);
    copy->id = place(&at, record->id);
    copy->meta = place(&at, record->meta);
    copy->payload = place(&at, record->payload);
    return copy;
}

static bool reserve(struct stele_arena *arena, struct memory__sequence *sequence, size_t count)
{
    size_t capacity = sequence->capacity ? sequence->capacity : CAPACITY_MIN;
    const struct stele_record **records;

    if (count <= sequence->capacity)
        return true;
    while (capacity < count)
        capacity *= 2;
    records = stele__arena_array(arena, capacity, sizeof(*records));
    if (!records)
        return false;
    /* All of them: behind `count` may stand what is not published yet. */
    if (sequence->capacity)
        memcpy(records, sequence->records, sequence->capacity * sizeof(*records));
    sequence->records = records;
    sequence->capacity = capacity;
    return true;
}

/* --- Adding ---------------------------------------------------------------------------------- */

/* Enter the `index`-th record of the member into both sequences, behind what can be seen. */
static bool prepare(struct memory__log *log, const struct stele_record *record, size_t index)
{
    struct memory__stream *stream = take_stream(log, record->stream);
    const struct memory__type *type = take_type(log, record->type);
    struct stele_record *copy = copy_record(log, record);

    if (!stream || !type || !copy || !reserve(&log->arena, &stream->events, stream->events.count + stream->pending + 1))
        return false;
    copy->stream = stream->name;
    copy->type = type->name;
    copy->version = stream->events.count + stream->pending + 1;
    copy->position = log->events.count + index + 1;
    if (!add_id(log, copy))
        return false;
    stream->events.records[copy->version - 1] = copy;
    log->events.records[copy->position - 1] = copy;
    stream->pending++;
    return true;
}

void memory__log_take_back(struct memory__log *log, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct stele_record *record = log->events.records[log->events.count + i];
        struct memory__stream *stream = stele__map_get(&log->streams, record->stream);

        stream->pending = 0;
        remove_id(log, record);
    }
    for (; log->fresh; log->fresh = log->fresh->fresh)
        stele__map_remove(&log->types, log->fresh->name);
}

static void publish(struct memory__log *log, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct memory__stream *stream =
            stele__map_get(&log->streams, log->events.records[log->events.count + i]->stream);

        log->stream_count += stream->events.count == 0 && stream->pending != 0;
        stream->events.count += stream->pending;
        stream->pending = 0;
    }
    log->events.count += count;
    log->fresh = NULL;
}

/* What a member that was written tells its caller. */
static void tell(const struct memory__log *log, size_t count, struct stele_appended *result)
{
    const struct stele_record *first = log->events.records[log->events.count - count];
    const struct stele_record *last = log->events.records[log->events.count - 1];
    const struct memory__stream *stream = stele__map_get(&log->streams, last->stream);

    result->version = last->version;
    result->first_position = first->position;
    result->last_position = last->position;
    /* The batch is what stands at the end of the log: the stream is new if its first event is part of that. */
    result->created = stream->events.records[0]->position >= first->position;
}

bool memory__log_enter(struct memory__log *log, const struct stele_append_member *member)
{
    const size_t count = member->record_count;

    if (count && !reserve(&log->arena, &log->events, log->events.count + count))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!prepare(log, &member->records[i], i)) {
            memory__log_take_back(log, i);
            return false;
        }
    }
    return true;
}

const struct stele_record *memory__log_entered(const struct memory__log *log, size_t index)
{
    return log->events.records[log->events.count + index];
}

void memory__log_publish(struct memory__log *log, struct stele_append_member *member)
{
    if (member->record_count == 0)
        return;
    publish(log, member->record_count);
    tell(log, member->record_count, &member->result);
}
