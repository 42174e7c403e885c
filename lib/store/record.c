/*
 * A record is what a backend stores of a message; a lent message is a record
 * seen through the public accessors. On the way out a record passes
 *
 *     backend's row -> record (borrowed) -> lent message (borrowed) -> user
 *
 * so this is on the path of every event read: no allocation, no copy of bytes.
 * What can fail: a stored meta that is not one (STELE_CORRUPT).
 */
#include "store/record.h"

#include "base/error.h"
#include "base/text.h"

#include <inttypes.h>
#include <string.h>

void stele__record_from_message(const stele_message *message, struct stele_slice stream, struct stele_record *out)
{
    *out = (struct stele_record){
        .stream = stream,
        .type = message->type,
        .type_version = message->type_version,
        .id_is_uuid = message->id_is_uuid,
        .time = message->time,
        .meta = message->meta,
        .payload = message->payload,
    };
    if (message->id_is_uuid)
        out->uuid = message->uuid;
    else
        out->id = message->id;
}

static stele_status damaged(const struct stele_record *record, stele_error **error)
{
    stele__error_prefix(error, "event at position %" PRIu64, record->position);
    stele__error_add(error, "position", "%" PRIu64, record->position);
    return STELE_CORRUPT;
}

stele_status stele__record_to_message(const struct stele_record *record, stele_message *out, stele_error **error)
{
    atomic_init(&out->references, 0);
    out->self = out;
    out->kind = STELE_EVENT;
    out->format = STELE_PAYLOAD_MSGPACK;
    out->id_is_uuid = record->id_is_uuid;
    out->uuid = record->uuid;
    out->id = record->id_is_uuid ? stele__slice(NULL) : record->id;
    out->type_version = record->type_version;
    out->type = record->type;
    out->time = record->time;
    out->meta = record->meta;
    out->payload = record->payload;
    out->stream = record->stream;
    out->version = record->version;
    out->position = record->position;
    out->part = 0;
    out->has_more = false;
    out->allocated = 0;
    if (record->meta.size && stele__message_open_meta(out, error) != STELE_OK)
        return damaged(record, error);
    if ((out->format == STELE_PAYLOAD_NONE) != (record->payload.data == NULL)) {
        stele__fail(error, STELE_CORRUPT, "its format and its payload do not fit each other");
        return damaged(record, error);
    }
    return STELE_OK;
}

bool stele__record_same_id(const struct stele_record *left, const struct stele_record *right)
{
    if (left->id_is_uuid != right->id_is_uuid)
        return false;
    if (left->id_is_uuid)
        return memcmp(&left->uuid, &right->uuid, sizeof(left->uuid)) == 0;
    return stele__slice_equal(left->id, right->id);
}

struct stele_slice stele__record_id(const struct stele_record *record, char text[STELE_UUID_TEXT_SIZE])
{
    if (!record->id_is_uuid)
        return record->id;
    stele_uuid_print(&record->uuid, text);
    return (struct stele_slice){text, STELE_UUID_TEXT_SIZE - 1};
}

struct stele_slice stele__record_id_bytes(const struct stele_record *record)
{
    if (!record->id_is_uuid)
        return record->id;
    return (struct stele_slice){(const char *)record->uuid.bytes, sizeof(record->uuid.bytes)};
}
