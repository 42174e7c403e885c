/*
 * Decoding typed values from JSON: text -> tree (json_parse.c) -> struct, by
 * the descriptor -> the rules of the type (check.c). All text is copied into
 * the arena, the tree is freed. Recursion goes through nested structs and is
 * bounded by the parser's limit on nesting. What can fail: all that parsing
 * can, STELE_INVALID with "field" and "rule", STELE_LIMIT, memory.
 */
#include "message/value.h"

#include "base/arena.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "message/json.h"

#include <stele/clock.h>

#include <string.h>

struct decoder {
    const struct stele__json *json;
    stele_arena *arena;
    size_t room; /* see stele__decode_alloc() */
    stele_error **error;
};

static stele_status decode_object(struct decoder *decoder, const struct stele__place *up, const struct stele_type *type,
                                  const json_t *node, void *out);

static stele_status fail_rule(const struct decoder *decoder, const struct stele__place *place, const char *rule)
{
    return stele__value_fault(place, NULL, rule, decoder->error);
}

static stele_status fail_kind(const struct decoder *decoder, const struct stele__place *place)
{
    return fail_rule(decoder, place, stele__kind_rule(place->field->kind));
}

static struct stele_slice string_of(const json_t *node)
{
    return (struct stele_slice){json_string_value(node), json_string_length(node)};
}

static stele_status decode_int(const struct decoder *decoder, const struct stele__place *place, const json_t *node,
                               void *slot)
{
    int64_t value;

    if (!json_is_integer(node))
        return fail_kind(decoder, place);
    value = json_integer_value(node);
    memcpy(slot, &value, sizeof(value));
    return STELE_OK;
}

static stele_status decode_uint(const struct decoder *decoder, const struct stele__place *place, const json_t *node,
                                void *slot)
{
    uint64_t value;

    if (json_is_integer(node) && json_integer_value(node) >= 0)
        value = (uint64_t)json_integer_value(node);
    else if (!stele__json_wide(decoder->json, node, &value))
        return fail_kind(decoder, place);
    memcpy(slot, &value, sizeof(value));
    return STELE_OK;
}

static stele_status decode_real(const struct decoder *decoder, const struct stele__place *place, const json_t *node,
                                void *slot)
{
    const double value = json_number_value(node);

    if (!json_is_number(node))
        return fail_kind(decoder, place);
    memcpy(slot, &value, sizeof(value));
    return STELE_OK;
}

static stele_status decode_bool(const struct decoder *decoder, const struct stele__place *place, const json_t *node,
                                void *slot)
{
    const bool value = json_is_true(node);

    if (!json_is_boolean(node))
        return fail_kind(decoder, place);
    memcpy(slot, &value, sizeof(value));
    return STELE_OK;
}

static stele_status decode_text(const struct decoder *decoder, const struct stele__place *place, const json_t *node,
                                void *slot)
{
    const struct stele_slice text = string_of(node);
    const char *copy;

    if (!text.data)
        return fail_kind(decoder, place);
    if (memchr(text.data, '\0', text.size))
        return fail_rule(decoder, place, "text without U+0000");
    copy = stele_arena_text(decoder->arena, text.data, text.size);
    if (!copy)
        return stele__fail_memory(decoder->error);
    memcpy(slot, &copy, sizeof(copy));
    return STELE_OK;
}

static stele_status decode_bytes(const struct decoder *decoder, const struct stele__place *place, const json_t *node,
                                 void *slot)
{
    const struct stele_slice text = string_of(node);
    struct stele_slice bytes;
    char *memory;
    size_t offset;

    if (!text.data)
        return fail_rule(decoder, place, "text in base64");
    memory = stele__arena_alloc(decoder->arena, text.size / 4 * 3);
    if (!memory)
        return stele__fail_memory(decoder->error);
    if (!stele__base64_decode(text, memory, &bytes.size, &offset))
        return fail_rule(decoder, place, "text in base64");
    bytes.data = memory;
    memcpy(slot, &bytes, sizeof(bytes));
    return STELE_OK;
}

static stele_status decode_uuid(const struct decoder *decoder, const struct stele__place *place, const json_t *node,
                                void *slot)
{
    const struct stele_slice text = string_of(node);
    struct stele_uuid uuid;

    if (!text.data || stele_uuid_parse(text, &uuid, NULL) != STELE_OK)
        return fail_kind(decoder, place);
    memcpy(slot, &uuid, sizeof(uuid));
    return STELE_OK;
}

static stele_status decode_time(const struct decoder *decoder, const struct stele__place *place, const json_t *node,
                                void *slot)
{
    const struct stele_slice text = string_of(node);
    int64_t time;

    if (!text.data && json_is_integer(node))
        return decode_int(decoder, place, node, slot);
    if (!text.data || stele_time_parse(text, &time, NULL) != STELE_OK)
        return fail_rule(decoder, place, "time of RFC 3339 or integer of nanoseconds");
    memcpy(slot, &time, sizeof(time));
    return STELE_OK;
}

static stele_status decode_item(struct decoder *decoder, const struct stele__place *place, const json_t *node,
                                void *slot)
{
    switch (place->field->kind) {
    case STELE_KIND_BOOL: return decode_bool(decoder, place, node, slot);
    case STELE_KIND_INT64: return decode_int(decoder, place, node, slot);
    case STELE_KIND_UINT64: return decode_uint(decoder, place, node, slot);
    case STELE_KIND_DOUBLE: return decode_real(decoder, place, node, slot);
    case STELE_KIND_TEXT: return decode_text(decoder, place, node, slot);
    case STELE_KIND_BYTES: return decode_bytes(decoder, place, node, slot);
    case STELE_KIND_UUID: return decode_uuid(decoder, place, node, slot);
    case STELE_KIND_TIME: return decode_time(decoder, place, node, slot);
    case STELE_KIND_STRUCT: return decode_object(decoder, place, place->field->type, node, slot);
    case STELE_KIND_ARENA:
    case STELE_KIND_NONE: break;
    }
    return STELE_OK;
}

static stele_status decode_list(struct decoder *decoder, struct stele__place *place, const json_t *node, void *slot)
{
    const size_t size = stele__item_size(place->field);
    struct stele_list_bytes list = {.count = json_array_size(node)};
    void *items;
    stele_status status;

    if (!json_is_array(node))
        return fail_rule(decoder, place, "list");
    status = stele__decode_alloc(decoder->arena, &decoder->room, list.count, size, &items, decoder->error);
    for (size_t i = 0; i < list.count && status == STELE_OK; i++) {
        place->index = i;
        status = decode_item(decoder, place, json_array_get(node, i), (char *)items + i * size);
    }
    place->index = STELE__NO_INDEX;
    if (status != STELE_OK)
        return status;
    list.items = items;
    memcpy(slot, &list, sizeof(list));
    return STELE_OK;
}

static stele_status decode_optional(struct decoder *decoder, const struct stele__place *place, const json_t *node,
                                    void *slot)
{
    const struct stele_field *field = place->field;
    void *part;
    stele_status status;

    if (field->kind == STELE_KIND_STRUCT) {
        status = stele__decode_alloc(decoder->arena, &decoder->room, 1, field->type->size, &part, decoder->error);
        if (status != STELE_OK)
            return status;
        memcpy(slot, &part, sizeof(part));
        return decode_item(decoder, place, node, part);
    }
    status = decode_item(decoder, place, node, slot);
    stele__mark_present(field->kind, slot);
    return status;
}

/* A null is an optional field's "absent". */
static stele_status decode_field(struct decoder *decoder, struct stele__place *place, const json_t *node, char *out)
{
    const enum stele_shape shape = place->field->shape;
    const bool optional = shape == STELE_SHAPE_OPTIONAL || shape == STELE_SHAPE_OPTIONAL_LIST;
    char *slot = out + place->field->offset;

    if (!node || (optional && json_is_null(node)))
        return stele__decode_absent(place, out, decoder->error);
    if (stele__field_is_list(place->field))
        return decode_list(decoder, place, node, slot);
    return optional ? decode_optional(decoder, place, node, slot) : decode_item(decoder, place, node, slot);
}

static stele_status decode_object(struct decoder *decoder, const struct stele__place *up, const struct stele_type *type,
                                  const json_t *node, void *out)
{
    struct stele__place place = {.up = up, .type = type, .index = STELE__NO_INDEX};
    stele_status status = STELE_OK;

    if (!json_is_object(node))
        return fail_rule(decoder, &place, "object of fields");
    memset(out, 0, type->size);
    for (size_t i = 0; i < type->field_count && status == STELE_OK; i++) {
        place.field = &type->fields[i];
        if (stele__field_is_coded(place.field))
            status = decode_field(decoder, &place, json_object_get(node, place.field->name), out);
    }
    return status;
}

stele_status stele_json_decode(const struct stele_type *type, struct stele_slice text, stele_arena *arena, void *out,
                               stele_error **error)
{
    struct stele__json json = {.root = NULL};
    struct decoder decoder = {&json, arena, STELE__DECODE_ROOM, error};
    stele_status status = stele__codec_arguments(type, "text", text.data, arena, out, error);

    if (status == STELE_OK && text.size > STELE_PAYLOAD_MAX)
        status = stele__fail_limit(error, "payload", text.size, STELE_PAYLOAD_MAX, "bytes");
    if (status == STELE_OK)
        status = stele__json_parse(text, &json, error);
    if (status == STELE_OK)
        status = decode_object(&decoder, NULL, type, json.root, out);
    stele__json_fini(&json);
    return status == STELE_OK ? stele_value_check(type, out, error) : status;
}
