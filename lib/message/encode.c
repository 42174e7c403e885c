/*
 * Encoding typed values: one walk over the struct by its descriptor, two
 * tables of what to write, MessagePack and JSON. A struct is a map of its
 * present fields in field order. What can fail: text that is not UTF-8,
 * doubles that are not finite, NULL where something is required
 * (STELE_INVALID with the field), nesting, size, memory.
 */
#include "message/value.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "message/json.h"
#include "message/msgpack.h"

#include <stele/clock.h>

#include <math.h>
#include <string.h>

struct format {
    void (*boolean)(struct stele__buffer *buffer, bool value);
    void (*integer)(struct stele__buffer *buffer, int64_t value);
    void (*natural)(struct stele__buffer *buffer, uint64_t value);
    void (*real)(struct stele__buffer *buffer, double value);
    void (*text)(struct stele__buffer *buffer, struct stele_slice value);
    void (*bytes)(struct stele__buffer *buffer, struct stele_slice value);
    void (*time)(struct stele__buffer *buffer, int64_t value);
    void (*open)(struct stele__buffer *buffer, bool map, size_t count);
    void (*key)(struct stele__buffer *buffer, size_t index, const char *name);
    void (*item)(struct stele__buffer *buffer, size_t index);
    void (*close)(struct stele__buffer *buffer, bool map);
};

/* --- MessagePack ---------------------------------------------------------------- */

/* A count beyond 32 bits is a value beyond every limit: what was written so far is enough to say so. */
static void msgpack_open(struct stele__buffer *buffer, bool map, size_t count)
{
    const uint32_t narrow = count > UINT32_MAX ? UINT32_MAX : (uint32_t)count;

    if (map)
        stele__mp_write_map(buffer, narrow);
    else
        stele__mp_write_list(buffer, narrow);
}

static void msgpack_key(struct stele__buffer *buffer, size_t index, const char *name)
{
    (void)index;
    stele__mp_write_text(buffer, stele__slice(name));
}

static void msgpack_item(struct stele__buffer *buffer, size_t index)
{
    (void)buffer;
    (void)index;
}

static void msgpack_close(struct stele__buffer *buffer, bool map)
{
    (void)buffer;
    (void)map;
}

static const struct format msgpack_format = {
    .boolean = stele__mp_write_bool,
    .integer = stele__mp_write_int,
    .natural = stele__mp_write_uint,
    .real = stele__mp_write_double,
    .text = stele__mp_write_text,
    .bytes = stele__mp_write_bytes,
    .time = stele__mp_write_int,
    .open = msgpack_open,
    .key = msgpack_key,
    .item = msgpack_item,
    .close = msgpack_close,
};

/* --- JSON ------------------------------------------------------------------------- */

static void json_bool_text(struct stele__buffer *buffer, bool value)
{
    stele__buffer_add_text(buffer, value ? "true" : "false");
}

static void json_time(struct stele__buffer *buffer, int64_t value)
{
    char text[STELE_TIME_TEXT_SIZE];

    stele_time_print(value, text);
    stele__json_write_text(buffer, stele__slice(text));
}

static void json_open(struct stele__buffer *buffer, bool map, size_t count)
{
    (void)count;
    stele__buffer_add_byte(buffer, map ? '{' : '[');
}

static void json_separate(struct stele__buffer *buffer, size_t index)
{
    if (index)
        stele__buffer_add_byte(buffer, ',');
}

static void json_key(struct stele__buffer *buffer, size_t index, const char *name)
{
    json_separate(buffer, index);
    stele__json_write_text(buffer, stele__slice(name));
    stele__buffer_add_byte(buffer, ':');
}

static void json_close(struct stele__buffer *buffer, bool map)
{
    stele__buffer_add_byte(buffer, map ? '}' : ']');
}

static const struct format json_format = {
    .boolean = json_bool_text,
    .integer = stele__json_write_int,
    .natural = stele__json_write_uint,
    .real = stele__json_write_double,
    .text = stele__json_write_text,
    .bytes = stele__json_write_base64,
    .time = json_time,
    .open = json_open,
    .key = json_key,
    .item = json_separate,
    .close = json_close,
};

/* --- The walk ----------------------------------------------------------------------- */

struct encoder {
    const struct format *format;
    struct stele__buffer *buffer;
    stele_error **error;
};

static stele_status encode_struct(const struct encoder *encoder, const struct stele__place *up,
                                  const struct stele_type *type, size_t depth, const void *value);

static stele_status encode_text(const struct encoder *encoder, const struct stele__place *place, const void *item)
{
    const char *text;
    struct stele_slice slice;
    size_t offset;

    memcpy(&text, item, sizeof(text));
    if (!text)
        return stele__value_fault(place, NULL, "required", encoder->error);
    slice = stele__slice(text);
    if (!stele__utf8_valid(slice, &offset))
        return stele__value_fault(place, NULL, "valid UTF-8", encoder->error);
    encoder->format->text(encoder->buffer, slice);
    return STELE_OK;
}

static stele_status encode_bytes(const struct encoder *encoder, const struct stele__place *place, const void *item)
{
    struct stele_slice bytes;

    memcpy(&bytes, item, sizeof(bytes));
    if (!bytes.data)
        return stele__value_fault(place, NULL, "required", encoder->error);
    encoder->format->bytes(encoder->buffer, bytes);
    return STELE_OK;
}

static stele_status encode_real(const struct encoder *encoder, const struct stele__place *place, const void *item)
{
    char text[STELE__VALUE_TEXT_SIZE];
    double real;

    memcpy(&real, item, sizeof(real));
    if (!isfinite(real)) {
        stele__value_print(STELE_KIND_DOUBLE, item, text);
        return stele__value_fault(place, text, stele__kind_rule(STELE_KIND_DOUBLE), encoder->error);
    }
    encoder->format->real(encoder->buffer, real);
    return STELE_OK;
}

static void encode_uuid(const struct encoder *encoder, const void *item)
{
    struct stele_uuid uuid;
    char text[STELE_UUID_TEXT_SIZE];

    memcpy(&uuid, item, sizeof(uuid));
    stele_uuid_print(&uuid, text);
    encoder->format->text(encoder->buffer, stele__slice(text));
}

static void encode_number(const struct encoder *encoder, enum stele_kind kind, const void *item)
{
    int64_t integer;
    uint64_t natural;

    if (kind == STELE_KIND_UINT64) {
        memcpy(&natural, item, sizeof(natural));
        encoder->format->natural(encoder->buffer, natural);
        return;
    }
    memcpy(&integer, item, sizeof(integer));
    if (kind == STELE_KIND_TIME)
        encoder->format->time(encoder->buffer, integer);
    else
        encoder->format->integer(encoder->buffer, integer);
}

static stele_status encode_item(const struct encoder *encoder, const struct stele__place *place, size_t depth,
                                const void *item)
{
    bool boolean;

    switch (place->field->kind) {
    case STELE_KIND_BOOL:
        memcpy(&boolean, item, sizeof(boolean));
        encoder->format->boolean(encoder->buffer, boolean);
        break;
    case STELE_KIND_INT64:
    case STELE_KIND_UINT64:
    case STELE_KIND_TIME: encode_number(encoder, place->field->kind, item); break;
    case STELE_KIND_DOUBLE: return encode_real(encoder, place, item);
    case STELE_KIND_TEXT: return encode_text(encoder, place, item);
    case STELE_KIND_BYTES: return encode_bytes(encoder, place, item);
    case STELE_KIND_UUID: encode_uuid(encoder, item); break;
    case STELE_KIND_STRUCT: return encode_struct(encoder, place, place->field->type, depth, item);
    case STELE_KIND_ARENA:
    case STELE_KIND_NONE: break;
    }
    return STELE_OK;
}

static stele_status encode_list(const struct encoder *encoder, struct stele__place *place, size_t depth,
                                struct stele__items items)
{
    const size_t size = stele__item_size(place->field);
    stele_status status = STELE_OK;

    if (items.count && !items.first)
        return stele__value_fault(place, NULL, "required", encoder->error);
    if (depth == STELE_NESTING_MAX)
        return stele__fail_nesting(encoder->error);
    encoder->format->open(encoder->buffer, false, items.count);
    /* A list that passed the limit is not walked to its end. */
    for (size_t i = 0; i < items.count && status == STELE_OK && !encoder->buffer->failed; i++) {
        place->index = i;
        encoder->format->item(encoder->buffer, i);
        status = encode_item(encoder, place, depth + 1, items.first + i * size);
    }
    place->index = STELE__NO_INDEX;
    encoder->format->close(encoder->buffer, false);
    return status;
}

static size_t count_present(const struct stele_type *type, const void *value)
{
    size_t count = 0;

    for (size_t i = 0; i < type->field_count; i++) {
        if (stele__field_is_coded(&type->fields[i]) && stele__field_items(&type->fields[i], value).present)
            count++;
    }
    return count;
}

static stele_status encode_struct(const struct encoder *encoder, const struct stele__place *up,
                                  const struct stele_type *type, size_t depth, const void *value)
{
    struct stele__place place = {.up = up, .type = type, .index = STELE__NO_INDEX};
    size_t written = 0;
    stele_status status = STELE_OK;

    if (depth == STELE_NESTING_MAX)
        return stele__fail_nesting(encoder->error);
    encoder->format->open(encoder->buffer, true, count_present(type, value));
    for (size_t i = 0; i < type->field_count && status == STELE_OK; i++) {
        const struct stele_field *field = &type->fields[i];
        const struct stele__items items = stele__field_items(field, value);

        if (!stele__field_is_coded(field) || !items.present)
            continue;
        place.field = field;
        encoder->format->key(encoder->buffer, written++, field->name);
        status = stele__field_is_list(field) ? encode_list(encoder, &place, depth + 1, items)
                                             : encode_item(encoder, &place, depth + 1, items.first);
    }
    encoder->format->close(encoder->buffer, true);
    return status;
}

stele_status stele__value_to_msgpack(const struct stele_type *type, const void *value, struct stele__buffer *buffer,
                                     stele_error **error)
{
    const struct encoder encoder = {&msgpack_format, buffer, error};

    return encode_struct(&encoder, NULL, type, 0, value);
}

stele_status stele__value_to_json(const struct stele_type *type, const void *value, struct stele__buffer *buffer,
                                  stele_error **error)
{
    const struct encoder encoder = {&json_format, buffer, error};

    return encode_struct(&encoder, NULL, type, 0, value);
}

stele_status stele_msgpack_encode(const struct stele_type *type, const void *value, stele_arena *arena,
                                  struct stele_slice *out, stele_error **error)
{
    struct stele__buffer buffer;
    stele_status status = stele__codec_arguments(type, "value", value, arena, out, error);

    if (status != STELE_OK)
        return status;
    stele__buffer_init(&buffer);
    buffer.limit = STELE_PAYLOAD_MAX;
    status = stele__value_to_msgpack(type, value, &buffer, error);
    return stele__buffer_to_arena(&buffer, status, "payload", arena, out, error);
}

stele_status stele_json_encode(const struct stele_type *type, const void *value, stele_arena *arena,
                               struct stele_slice *out, stele_error **error)
{
    struct stele__buffer buffer;
    stele_status status = stele__codec_arguments(type, "value", value, arena, out, error);

    if (status != STELE_OK)
        return status;
    stele__buffer_init(&buffer);
    buffer.limit = STELE_PAYLOAD_MAX;
    status = stele__value_to_json(type, value, &buffer, error);
    return stele__buffer_to_arena(&buffer, status, "payload", arena, out, error);
}
