/*
 * Messages from CloudEvents JSON.
 *
 *     text --UTF-8--> envelope walk --member by member--> struct reading --whole?--> meta, payload --> message
 *                                       `data` --> json.h --> MessagePack
 *
 * Every member is checked where it is met; what must be there, and what must
 * not be there together, at the closing brace. Scratch memory is kept from
 * event to event of a batch. What can fail: the text is not JSON
 * (STELE_MALFORMED with its offset), an attribute breaks its rules
 * (STELE_INVALID naming it), a limit, memory.
 */
#include <stele/cloudevents.h>

#include <stele/clock.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/text.h"
#include "base/vector.h"
#include "message/cloudevents.h"
#include "message/json.h"
#include "message/message.h"

/* One event as far as it was read. */
struct event {
    struct stele_message draft;
    struct stele__attributes attributes;
    struct stele_extension extensions[STELE_EXTENSIONS_MAX];
    struct stele_slice unset[STELE_EXTENSIONS_MAX]; /* names of extensions that are null */
    size_t unset_count;
    unsigned seen; /* a bit per enum stele__attribute */
    bool has_specversion;
    bool has_time;
    struct stele_slice data;        /* raw JSON */
    struct stele_slice data_base64; /* its characters */
};

/* What is kept from event to event. */
struct reading {
    struct stele__envelope envelope;
    struct stele_arena scratch;
    struct stele__buffer meta;
    struct stele__buffer payload;
    size_t payload_limit;
    struct event event;
};

static stele_status fail_attribute(stele_error **error, enum stele__attribute attribute, const char *why)
{
    return stele__fail_attribute(error, stele__attribute_name(attribute), why);
}

/* --- Members ------------------------------------------------------------------------ */

static stele_status member_text(const struct reading *reading, const struct stele__member *member,
                                struct stele_slice *text, stele_error **error)
{
    if (member->kind != STELE__MEMBER_TEXT)
        return stele__fail_attribute(error, member->name, "is not a string");
    return stele__envelope_text(&reading->envelope, member, text, error);
}

/* Text of an attribute that attributes.c has rules for. */
static stele_status read_text(struct reading *reading, const struct stele__member *member,
                              enum stele__attribute attribute, struct stele_slice *text, stele_error **error)
{
    const stele_status status = member_text(reading, member, text, error);

    return status ? status : stele__attribute_check(attribute, *text, error);
}

static stele_status read_specversion(struct reading *reading, const struct stele__member *member, stele_error **error)
{
    struct stele_slice text;
    const stele_status status = member_text(reading, member, &text, error);

    reading->event.has_specversion = true;
    if (!status && !stele__slice_equal(text, stele__slice("1.0")))
        return fail_attribute(error, STELE__SPECVERSION, "is not \"1.0\"");
    return status;
}

static stele_status read_id(struct reading *reading, const struct stele__member *member, stele_error **error)
{
    struct stele_slice text;
    const stele_status status = read_text(reading, member, STELE__ID, &text, error);

    if (!status)
        stele__message_set_id(&reading->event.draft, text);
    return status;
}

static stele_status read_time(struct reading *reading, const struct stele__member *member, stele_error **error)
{
    struct stele_slice text;
    stele_status status = member_text(reading, member, &text, error);

    if (status)
        return status;
    status = stele_time_parse(text, &reading->event.draft.time, NULL);
    reading->event.has_time = status == STELE_OK;
    if (status == STELE_LIMIT) {
        stele__fail(error, STELE_LIMIT, "time: is outside 1677-09-21 to 2262-04-11");
        stele__error_add(error, "attribute", "time");
        return STELE_LIMIT;
    }
    return status ? fail_attribute(error, STELE__TIME, "is not a date-time of RFC 3339") : STELE_OK;
}

/* A number from 1 to `limit`, as a number or, because CloudEvents integers have 32 bits, in a text. */
static stele_status read_number(struct reading *reading, const struct stele__member *member, uint64_t limit,
                                uint64_t *out, stele_error **error)
{
    struct stele_slice text = member->raw;
    uint64_t value;

    if (member->kind == STELE__MEMBER_TEXT) {
        const stele_status status = stele__envelope_text(&reading->envelope, member, &text, error);

        if (status)
            return status;
    } else if (member->kind != STELE__MEMBER_INTEGER) {
        return stele__fail_attribute(error, member->name, "is not an integer");
    }
    if (!stele__parse_u64(text, &value) || value < 1 || value > limit)
        return stele__fail_attribute(error, member->name, "is not an integer from 1 within its range");
    *out = value;
    return STELE_OK;
}

static stele_status read_typeversion(struct reading *reading, const struct stele__member *member, stele_error **error)
{
    uint64_t value = 1;
    const stele_status status = read_number(reading, member, UINT32_MAX, &value, error);

    reading->event.draft.type_version = (uint32_t)value;
    return status;
}

static stele_status read_kind(struct reading *reading, const struct stele__member *member, stele_error **error)
{
    struct stele_slice text;
    const stele_status status = member_text(reading, member, &text, error);

    if (status)
        return status;
    reading->event.draft.kind = stele__kind_find(text);
    if (reading->event.draft.kind == STELE_PART)
        return fail_attribute(error, STELE__MESSAGEKIND, "is none of event, command, query and reply");
    return STELE_OK;
}

/* A member that is not null and not `data`. */
static stele_status read_attribute(struct reading *reading, const struct stele__member *member,
                                   enum stele__attribute attribute, stele_error **error)
{
    struct event *event = &reading->event;
    uint64_t dropped;

    switch (attribute) {
    case STELE__SPECVERSION: return read_specversion(reading, member, error);
    case STELE__ID: return read_id(reading, member, error);
    case STELE__TYPE: return read_text(reading, member, attribute, &event->draft.type, error);
    case STELE__STREAM: return read_text(reading, member, attribute, &event->draft.stream, error);
    case STELE__TIME: return read_time(reading, member, error);
    case STELE__STREAMVERSION:
    case STELE__POSITION: return read_number(reading, member, STELE_VERSION_MAX, &dropped, error);
    case STELE__TYPEVERSION: return read_typeversion(reading, member, error);
    case STELE__MESSAGEKIND: return read_kind(reading, member, error);
    case STELE__DATA_BASE64: return member_text(reading, member, &event->data_base64, error);
    default: /* checked when they are encoded */
        return member_text(reading, member, &event->attributes.text[attribute], error);
    }
}

/* --- Extensions --------------------------------------------------------------------- */

static stele_status fail_twice(const struct reading *reading, const struct stele__member *member, stele_error **error)
{
    stele__envelope_fail(&reading->envelope, "a name is there twice", error);
    stele__error_add(error, "attribute", "%.*s", STELE_SLICE(member->name));
    return STELE_MALFORMED;
}

static bool has_extension(const struct event *event, struct stele_slice name)
{
    for (size_t i = 0; i < event->attributes.extension_count; i++) {
        if (stele__slice_equal(stele__slice(event->extensions[i].name), name))
            return true;
    }
    for (size_t i = 0; i < event->unset_count; i++) {
        if (stele__slice_equal(event->unset[i], name))
            return true;
    }
    return false;
}

static stele_status fail_many(stele_error **error)
{
    return stele__fail_limit(error, "extensions", STELE_EXTENSIONS_MAX + 1, STELE_EXTENSIONS_MAX, "attributes");
}

static stele_status add_unset(struct event *event, struct stele_slice name, stele_error **error)
{
    if (event->unset_count == STELE_EXTENSIONS_MAX)
        return fail_many(error);
    event->unset[event->unset_count++] = name;
    return STELE_OK;
}

static stele_status read_extension_value(const struct reading *reading, const struct stele__member *member,
                                         struct stele_extension *extension, stele_error **error)
{
    int64_t integer;

    switch (member->kind) {
    case STELE__MEMBER_TEXT:
        extension->kind = STELE_EXTENSION_TEXT;
        return stele__envelope_text(&reading->envelope, member, &extension->text, error);
    case STELE__MEMBER_INTEGER:
        extension->kind = STELE_EXTENSION_INTEGER;
        if (!stele__parse_i64(member->raw, &integer) || integer < INT32_MIN || integer > INT32_MAX)
            return stele__fail_attribute(error, member->name, "is an integer beyond 32 bits");
        extension->integer = (int32_t)integer;
        return STELE_OK;
    case STELE__MEMBER_BOOLEAN:
        extension->kind = STELE_EXTENSION_BOOLEAN;
        extension->boolean = member->raw.data[0] == 't';
        return STELE_OK;
    case STELE__MEMBER_REAL: return stele__fail_attribute(error, member->name, "is a number with a fraction");
    case STELE__MEMBER_NULL:
    case STELE__MEMBER_NESTED: break;
    }
    return stele__fail_attribute(error, member->name, "is neither a string nor an integer nor a boolean");
}

static stele_status read_extension(struct reading *reading, const struct stele__member *member, stele_error **error)
{
    struct event *event = &reading->event;
    struct stele_extension *extension = &event->extensions[event->attributes.extension_count];
    stele_status status = stele__extension_name_check(member->name, error);

    if (status)
        return status;
    if (has_extension(event, member->name))
        return fail_twice(reading, member, error);
    if (member->kind == STELE__MEMBER_NULL)
        return add_unset(event, member->name, error);
    if (event->attributes.extension_count == STELE_EXTENSIONS_MAX)
        return fail_many(error);
    memset(extension, 0, sizeof(*extension));
    memcpy(extension->name, member->name.data, member->name.size);
    status = read_extension_value(reading, member, extension, error);
    event->attributes.extension_count += !status;
    return status;
}

static stele_status read_member(struct reading *reading, const struct stele__member *member, stele_error **error)
{
    const enum stele__attribute attribute = stele__attribute_find(member->name);

    if (attribute == STELE__ATTRIBUTES)
        return read_extension(reading, member, error);
    if (reading->event.seen & (1U << attribute))
        return fail_twice(reading, member, error);
    reading->event.seen |= 1U << attribute;
    if (attribute == STELE__DATA) {
        reading->event.data = member->raw;
        return STELE_OK;
    }
    return member->kind == STELE__MEMBER_NULL ? STELE_OK : read_attribute(reading, member, attribute, error);
}

/* --- Payload ------------------------------------------------------------------------ */

static stele_status read_data(struct reading *reading, stele_error **error)
{
    const struct stele_slice data = reading->event.data;
    struct stele__json json;
    stele_error *cause = NULL;
    const stele_status status = stele__json_parse(data, &json, &cause);

    if (status) {
        const char *offset = stele_error_get(cause, "offset");
        uint64_t inner = 0;

        if (offset && stele__parse_u64(stele__slice(offset), &inner))
            stele__error_add(&cause, "offset", "%zu", (size_t)(data.data - reading->envelope.start) + (size_t)inner);
        stele__error_add(&cause, "attribute", "data");
        stele__error_prefix(&cause, "data");
        if (error)
            *error = cause;
        else
            stele_error_free(cause);
        return status;
    }
    reading->payload.limit = reading->payload_limit;
    stele__json_to_msgpack(&json, json.root, &reading->payload);
    stele__json_fini(&json);
    return stele__buffer_finish(&reading->payload, "payload", error);
}

/* Decode base64 into `payload`. */
static stele_status decode_base64(struct reading *reading, stele_error **error)
{
    const struct stele_slice text = reading->event.data_base64;
    const size_t room = text.size / 4 * 3;
    size_t size = 0;
    size_t offset;
    char *bytes;

    /* Up to two bytes of the room are what padding stands for. */
    if (room > reading->payload_limit + 2)
        return stele__fail_limit(error, "payload", room, reading->payload_limit, "bytes");
    reading->payload.limit = 0;
    bytes = stele__buffer_extend(&reading->payload, room);
    if (!bytes)
        return stele__fail_memory(error);
    if (!stele__base64_decode(text, bytes, &size, &offset))
        return fail_attribute(error, STELE__DATA_BASE64, "is not base64 (RFC 4648)");
    if (size > reading->payload_limit)
        return stele__fail_limit(error, "payload", size, reading->payload_limit, "bytes");
    reading->payload.size = size;
    return STELE_OK;
}

/* Bytes, or MessagePack, if they say that they are and it is true. */
static stele_status read_base64(struct reading *reading, stele_error **error)
{
    struct stele_slice *media_type = &reading->event.attributes.text[STELE__DATACONTENTTYPE];
    struct stele_slice payload;
    stele_status status = decode_base64(reading, error);

    reading->event.attributes.format = STELE_PAYLOAD_BYTES;
    if (status || !stele__slice_equal(*media_type, stele__slice(STELE__MSGPACK_MEDIA_TYPE)))
        return status;
    payload = stele__buffer_slice(&reading->payload);
    status = stele_msgpack_check(payload, NULL);
    if (!status)
        status = stele__mp_check_keys(payload, NULL);
    if (status)
        return status == STELE_NO_MEMORY ? stele__fail_memory(error) : STELE_OK;
    reading->event.attributes.format = STELE_PAYLOAD_MSGPACK;
    /* Said for the JSON only: what needs base64 is told by its content when it is written again. */
    if (!stele_msgpack_is_json(payload))
        media_type->data = NULL;
    return STELE_OK;
}

static stele_status read_payload(struct reading *reading, stele_error **error)
{
    struct event *event = &reading->event;

    if (event->data.data && event->data_base64.data)
        return fail_attribute(error, STELE__DATA_BASE64, "is there together with data");
    event->attributes.format = event->data.data ? STELE_PAYLOAD_MSGPACK : STELE_PAYLOAD_NONE;
    if (event->data.data)
        return read_data(reading, error);
    return event->data_base64.data ? read_base64(reading, error) : STELE_OK;
}

/* --- Events ------------------------------------------------------------------------- */

static stele_status check_required(const struct event *event, stele_error **error)
{
    if (!event->has_specversion)
        return fail_attribute(error, STELE__SPECVERSION, "is missing");
    if (!event->draft.id.data)
        return fail_attribute(error, STELE__ID, "is missing");
    if (!event->attributes.text[STELE__SOURCE].data)
        return fail_attribute(error, STELE__SOURCE, "is missing");
    if (!event->draft.type.data)
        return fail_attribute(error, STELE__TYPE, "is missing");
    return STELE_OK;
}

/* From the members to the message. */
static stele_status make_message(struct reading *reading, stele_message **out, stele_error **error)
{
    struct event *event = &reading->event;
    stele_status status = check_required(event, error);

    if (!status)
        status = read_payload(reading, error);
    event->attributes.kind = event->draft.kind;
    event->draft.format = event->attributes.format;
    if (!status)
        status = stele__attributes_encode(&event->attributes, &reading->meta, error);
    if (status)
        return status;
    if (!event->has_time)
        event->draft.time = stele_time_now();
    if (reading->meta.size)
        event->draft.meta = stele__buffer_slice(&reading->meta);
    event->draft.payload = stele__buffer_slice(&reading->payload);
    *out = stele__message_seal(&event->draft);
    return *out ? STELE_OK : stele__fail_memory(error);
}

static void reset_event(struct reading *reading)
{
    struct event *event = &reading->event;

    memset(&event->draft, 0, sizeof(event->draft));
    memset(&event->attributes, 0, sizeof(event->attributes));
    event->draft.kind = STELE_EVENT;
    event->draft.type_version = 1;
    event->attributes.extensions = event->extensions;
    event->unset_count = 0;
    event->seen = 0;
    event->has_specversion = false;
    event->has_time = false;
    event->data.data = NULL;
    event->data_base64.data = NULL;
    stele__buffer_reset(&reading->meta);
    stele__buffer_reset(&reading->payload);
    stele_arena_reset(&reading->scratch);
}

static stele_status read_event(struct reading *reading, stele_message **out, stele_error **error)
{
    struct stele__member member;
    stele_status status = STELE_OK;
    bool there = true;

    reset_event(reading);
    if (!stele__envelope_take(&reading->envelope, '{'))
        return stele__envelope_fail(&reading->envelope, "not an object", error);
    for (bool first = true; there && !status; first = false) {
        status = stele__envelope_next(&reading->envelope, first, &member, &there, error);
        if (!status && there)
            status = read_member(reading, &member, error);
    }
    return status ? status : make_message(reading, out, error);
}

/* --- Texts -------------------------------------------------------------------------- */

static stele_status start_reading(struct reading *reading, struct stele_slice json, size_t payload_limit,
                                  stele_error **error)
{
    const char *text = json.data ? json.data : "";
    size_t offset;

    stele__arena_init(&reading->scratch);
    stele__buffer_init(&reading->meta);
    stele__buffer_init(&reading->payload);
    reading->payload_limit = payload_limit ? payload_limit : STELE_PAYLOAD_DEFAULT;
    reading->envelope.start = text;
    reading->envelope.at = text;
    reading->envelope.end = text + json.size;
    reading->envelope.scratch = &reading->scratch;
    if (payload_limit > STELE_PAYLOAD_MAX)
        return stele__fail_limit(error, "payload_limit", payload_limit, STELE_PAYLOAD_MAX, "bytes");
    if (!stele__utf8_valid(json, &offset)) {
        reading->envelope.at += offset;
        return stele__envelope_fail(&reading->envelope, "not valid UTF-8", error);
    }
    return STELE_OK;
}

static stele_status end_reading(struct reading *reading, stele_status status, stele_error **error)
{
    if (!status) {
        stele__envelope_blank(&reading->envelope);
        if (reading->envelope.at != reading->envelope.end)
            status = stele__envelope_fail(&reading->envelope, "there is more behind the end", error);
    }
    stele__buffer_fini(&reading->payload);
    stele__buffer_fini(&reading->meta);
    stele__arena_fini(&reading->scratch);
    return status;
}

stele_status stele_cloudevent_decode(struct stele_slice json, size_t payload_limit, stele_message **out,
                                     stele_error **error)
{
    struct reading reading;
    stele_message *message = NULL;
    stele_status status;

    if (!out)
        return stele__fail_argument(error, "out", "is NULL");
    status = start_reading(&reading, json, payload_limit, error);
    if (!status)
        status = read_event(&reading, &message, error);
    status = end_reading(&reading, status, error);
    if (!status)
        *out = message;
    else
        stele_message_unref(message);
    return status;
}

static stele_status read_item(struct reading *reading, struct stele__vector *messages, stele_error **error)
{
    stele_message **place = stele__vector_add(messages);
    stele_status status;

    if (!place)
        return stele__fail_memory(error);
    status = read_event(reading, place, error);
    if (status)
        stele__error_add(error, "index", "%zu", messages->count - 1);
    return status;
}

static stele_status read_batch(struct reading *reading, struct stele__vector *messages, stele_error **error)
{
    stele_status status;

    if (!stele__envelope_take(&reading->envelope, '['))
        return read_item(reading, messages, error);
    if (stele__envelope_take(&reading->envelope, ']'))
        return STELE_OK;
    do
        status = read_item(reading, messages, error);
    while (!status && stele__envelope_take(&reading->envelope, ','));
    if (!status && !stele__envelope_take(&reading->envelope, ']'))
        return stele__envelope_fail(&reading->envelope, "neither ',' nor ']' behind an event", error);
    return status;
}

stele_status stele_cloudevents_decode(struct stele_slice json, size_t payload_limit, stele_arena *arena,
                                      stele_message ***out, size_t *count, stele_error **error)
{
    struct reading reading;
    struct stele__vector messages;
    stele_message **array = NULL;
    stele_status status;

    if (!arena)
        return stele__fail_argument(error, "arena", "is NULL");
    if (!out)
        return stele__fail_argument(error, "out", "is NULL");
    if (!count)
        return stele__fail_argument(error, "count", "is NULL");
    stele__vector_init(&messages, sizeof(stele_message *));
    status = start_reading(&reading, json, payload_limit, error);
    if (!status)
        status = read_batch(&reading, &messages, error);
    status = end_reading(&reading, status, error);
    if (!status) {
        array = stele__arena_array(arena, messages.count, sizeof(stele_message *));
        status = array ? STELE_OK : stele__fail_memory(error);
    }
    for (size_t i = 0; i < messages.count; i++) {
        stele_message *message = *(stele_message **)stele__vector_at(&messages, i);

        if (status)
            stele_message_unref(message);
        else
            array[i] = message;
    }
    if (!status) {
        *out = array;
        *count = messages.count;
    }
    stele__vector_fini(&messages);
    return status;
}
