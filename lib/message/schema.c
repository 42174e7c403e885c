/*
 * Types as JSON Schema, draft 2020-12.
 *
 *     type -> the types it uses, each once (collect) -> the root as an object
 *     schema, the others as "$defs", named by their type names
 *
 * Nested types are references, so types that contain themselves need no
 * special case. What a schema cannot say (custom checks, bounds of times)
 * stands as words in "description". What can fail: two types under one name
 * (STELE_INVALID), memory.
 */
#include "message/value.h"

#include "base/error.h"
#include "base/text.h"
#include "base/vector.h"
#include "message/json.h"

#include <stele/clock.h>

#include <string.h>

struct schema {
    const struct stele_type *root;
    struct stele__vector types; /* const struct stele_type *: used by the root, itself not among them */
    struct stele__buffer *out;
};

static const struct stele_type *type_at(const struct schema *schema, size_t index)
{
    const struct stele_type *type;

    memcpy(&type, stele__vector_at(&schema->types, index), sizeof(type));
    return type;
}

/* --- Writing members --------------------------------------------------------------- */

static void add_key(struct stele__buffer *out, const char *key)
{
    stele__buffer_print(out, ",\"%s\":", key);
}

static void add_text(struct stele__buffer *out, const char *key, const char *text)
{
    add_key(out, key);
    stele__json_write_text(out, stele__slice(text));
}

static void add_int(struct stele__buffer *out, const char *key, int64_t value)
{
    add_key(out, key);
    stele__json_write_int(out, value);
}

static void add_uint(struct stele__buffer *out, const char *key, uint64_t value)
{
    add_key(out, key);
    stele__json_write_uint(out, value);
}

static void add_real(struct stele__buffer *out, const char *key, double value)
{
    add_key(out, key);
    stele__json_write_double(out, value);
}

/* --- Kinds ---------------------------------------------------------------------------- */

static void add_integer(struct stele__buffer *out, const struct stele_field *field)
{
    const bool from_zero = field->non_negative && (!field->has_min || field->min.int64 < 0);

    stele__buffer_add_text(out, "\"type\":\"integer\"");
    if (field->positive)
        add_int(out, "exclusiveMinimum", 0);
    if (from_zero)
        add_int(out, "minimum", 0);
    else if (field->has_min || !field->positive)
        add_int(out, "minimum", field->has_min ? field->min.int64 : INT64_MIN);
    add_int(out, "maximum", field->has_max ? field->max.int64 : INT64_MAX);
}

static void add_natural(struct stele__buffer *out, const struct stele_field *field)
{
    stele__buffer_add_text(out, "\"type\":\"integer\"");
    if (field->positive)
        add_uint(out, "exclusiveMinimum", 0);
    if (field->has_min || !field->positive)
        add_uint(out, "minimum", field->has_min ? field->min.uint64 : 0);
    add_uint(out, "maximum", field->has_max ? field->max.uint64 : UINT64_MAX);
}

static void add_number(struct stele__buffer *out, const struct stele_field *field)
{
    const bool from_zero = field->non_negative && (!field->has_min || field->min.real < 0);

    stele__buffer_add_text(out, "\"type\":\"number\"");
    if (field->positive)
        add_int(out, "exclusiveMinimum", 0);
    if (from_zero)
        add_int(out, "minimum", 0);
    else if (field->has_min)
        add_real(out, "minimum", field->min.real);
    if (field->has_max)
        add_real(out, "maximum", field->max.real);
}

static void add_string(struct stele__buffer *out, const struct stele_field *field, bool sizes)
{
    stele__buffer_add_text(out, "\"type\":\"string\"");
    if (sizes && field->min_length)
        add_uint(out, "minLength", field->min_length);
    if (sizes && field->max_length)
        add_uint(out, "maxLength", field->max_length);
    if (sizes && field->non_empty)
        add_text(out, "pattern", "\\S");
    if (!field->one_of)
        return;
    add_key(out, "enum");
    for (const char *const *word = field->one_of; *word; word++) {
        stele__buffer_add_byte(out, word == field->one_of ? '[' : ',');
        stele__json_write_text(out, stele__slice(*word));
    }
    stele__buffer_add_byte(out, ']');
}

/* Lengths are those of the text in base64. */
static void add_base64(struct stele__buffer *out, const struct stele_field *field, bool sizes)
{
    const size_t least = field->non_empty && field->min_length == 0 ? 1 : field->min_length;

    stele__buffer_add_text(out, "\"type\":\"string\",\"contentEncoding\":\"base64\"");
    if (sizes && least)
        add_uint(out, "minLength", stele__base64_size(least));
    if (sizes && field->max_length && field->max_length <= STELE_PAYLOAD_MAX)
        add_uint(out, "maxLength", stele__base64_size(field->max_length));
}

static void add_uuid(struct stele__buffer *out, const struct stele_field *field, bool sizes)
{
    stele__buffer_add_text(out, "\"type\":\"string\",\"format\":\"uuid\"");
    if (sizes && field->non_empty)
        stele__buffer_add_text(out, ",\"not\":{\"const\":\"00000000-0000-0000-0000-000000000000\"}");
}

/* A reference; bytes that a URI fragment or a JSON pointer has another use for are escaped. */
static void add_reference(const struct schema *schema, const struct stele_type *type)
{
    struct stele__buffer *out = schema->out;

    if (type == schema->root) {
        stele__buffer_add_text(out, "\"$ref\":\"#\"");
        return;
    }
    stele__buffer_add_text(out, "\"$ref\":\"#/$defs/");
    for (const char *at = type->name; *at; at++) {
        const bool plain = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || (*at >= '0' && *at <= '9') ||
                           *at == '.' || *at == '_' || *at == '-';

        if (plain)
            stele__buffer_add_byte(out, *at);
        else if (*at == '~' || *at == '/')
            stele__buffer_add_text(out, *at == '~' ? "~0" : "~1");
        else
            stele__buffer_print(out, "%%%02X", (unsigned)(unsigned char)*at);
    }
    stele__buffer_add_byte(out, '"');
}

/* The members of an item's schema. */
static void add_item(const struct schema *schema, const struct stele_field *field, bool sizes)
{
    switch (field->kind) {
    case STELE_KIND_BOOL: stele__buffer_add_text(schema->out, "\"type\":\"boolean\""); break;
    case STELE_KIND_INT64: add_integer(schema->out, field); break;
    case STELE_KIND_UINT64: add_natural(schema->out, field); break;
    case STELE_KIND_DOUBLE: add_number(schema->out, field); break;
    case STELE_KIND_TEXT: add_string(schema->out, field, sizes); break;
    case STELE_KIND_BYTES: add_base64(schema->out, field, sizes); break;
    case STELE_KIND_UUID: add_uuid(schema->out, field, sizes); break;
    case STELE_KIND_TIME: stele__buffer_add_text(schema->out, "\"type\":\"string\",\"format\":\"date-time\""); break;
    case STELE_KIND_STRUCT: add_reference(schema, field->type); break;
    case STELE_KIND_ARENA:
    case STELE_KIND_NONE: break;
    }
}

/* --- Fields ----------------------------------------------------------------------------- */

static void add_default(struct stele__buffer *out, const struct stele_field *field)
{
    char time[STELE_TIME_TEXT_SIZE];

    switch (field->kind) {
    case STELE_KIND_BOOL:
        add_key(out, "default");
        stele__buffer_add_text(out, field->fallback.boolean ? "true" : "false");
        break;
    case STELE_KIND_INT64: add_int(out, "default", field->fallback.int64); break;
    case STELE_KIND_UINT64: add_uint(out, "default", field->fallback.uint64); break;
    case STELE_KIND_DOUBLE: add_real(out, "default", field->fallback.real); break;
    case STELE_KIND_TEXT: add_text(out, "default", field->fallback.text); break;
    case STELE_KIND_TIME:
        stele_time_print(field->fallback.int64, time);
        add_text(out, "default", time);
        break;
    default: break;
    }
}

/* What has no keyword, in words: "at least 2020-01-01T00:00:00Z; on a weekday". */
static void add_description(struct stele__buffer *out, const struct stele_field *field)
{
    const bool time = field->kind == STELE_KIND_TIME;
    char least[STELE_TIME_TEXT_SIZE] = "";
    char most[STELE_TIME_TEXT_SIZE] = "";
    const char *parts[] = {"at least ", least, "at most ", most, "", field->check_rule ? field->check_rule : ""};
    struct stele__buffer text;

    if (time && field->has_min)
        stele_time_print(field->min.int64, least);
    if (time && field->has_max)
        stele_time_print(field->max.int64, most);
    stele__buffer_init(&text);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i += 2) {
        if (*parts[i + 1])
            stele__buffer_print(&text, "%s%s%s", text.size ? "; " : "", parts[i], parts[i + 1]);
    }
    if (text.failed)
        out->failed = text.failed;
    if (text.size) {
        add_key(out, "description");
        stele__json_write_text(out, stele__buffer_slice(&text));
    }
    stele__buffer_fini(&text);
}

static void add_field(const struct schema *schema, const struct stele_field *field)
{
    struct stele__buffer *out = schema->out;
    const bool list = stele__field_is_list(field);
    const size_t least = field->non_empty && field->min_length == 0 ? 1 : field->min_length;

    stele__buffer_add_byte(out, '{');
    if (list)
        stele__buffer_add_text(out, "\"type\":\"array\",\"items\":{");
    add_item(schema, field, !list);
    if (list) {
        stele__buffer_add_byte(out, '}');
        if (least)
            add_uint(out, "minItems", least);
        if (field->max_length)
            add_uint(out, "maxItems", field->max_length);
    }
    if (field->has_default)
        add_default(out, field);
    add_description(out, field);
    stele__buffer_add_byte(out, '}');
}

static bool is_required(const struct stele_field *field)
{
    return stele__field_is_coded(field) && !field->has_default &&
           (field->shape == STELE_SHAPE_ONE || field->shape == STELE_SHAPE_LIST);
}

/* The members of an object's schema. */
static void add_object(const struct schema *schema, const struct stele_type *type)
{
    struct stele__buffer *out = schema->out;
    size_t count = 0;

    stele__buffer_add_text(out, "\"type\":\"object\",\"properties\":{");
    for (size_t i = 0; i < type->field_count; i++) {
        if (!stele__field_is_coded(&type->fields[i]))
            continue;
        if (count++)
            stele__buffer_add_byte(out, ',');
        stele__json_write_text(out, stele__slice(type->fields[i].name));
        stele__buffer_add_byte(out, ':');
        add_field(schema, &type->fields[i]);
    }
    stele__buffer_add_text(out, "},\"required\":[");
    count = 0;
    for (size_t i = 0; i < type->field_count; i++) {
        if (!is_required(&type->fields[i]))
            continue;
        if (count++)
            stele__buffer_add_byte(out, ',');
        stele__json_write_text(out, stele__slice(type->fields[i].name));
    }
    stele__buffer_add_byte(out, ']');
}

/* --- Types -------------------------------------------------------------------------------- */

static stele_status add_type(struct schema *schema, const struct stele_type *type, stele_error **error)
{
    void *added;

    if (type == schema->root)
        return STELE_OK;
    for (size_t i = 0; i < schema->types.count; i++) {
        if (type_at(schema, i) == type)
            return STELE_OK;
        if (strcmp(type_at(schema, i)->name, type->name) == 0)
            return stele__fail(error, STELE_INVALID, "%s: two types in it are named %s", schema->root->name,
                               type->name);
    }
    added = stele__vector_add(&schema->types);
    if (!added)
        return stele__fail_memory(error);
    memcpy(added, &type, sizeof(type));
    return STELE_OK;
}

static stele_status add_types_of(struct schema *schema, const struct stele_type *type, stele_error **error)
{
    stele_status status = STELE_OK;

    for (size_t i = 0; i < type->field_count && status == STELE_OK; i++) {
        if (type->fields[i].kind == STELE_KIND_STRUCT)
            status = add_type(schema, type->fields[i].type, error);
    }
    return status;
}

/* The list grows while it is walked, until nothing new is found. */
static stele_status collect(struct schema *schema, stele_error **error)
{
    stele_status status = add_types_of(schema, schema->root, error);

    for (size_t i = 0; i < schema->types.count && status == STELE_OK; i++)
        status = add_types_of(schema, type_at(schema, i), error);
    return status;
}

static void write_schema(const struct schema *schema)
{
    struct stele__buffer *out = schema->out;

    stele__buffer_add_text(out, "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\"");
    add_text(out, "title", schema->root->name);
    stele__buffer_add_byte(out, ',');
    add_object(schema, schema->root);
    for (size_t i = 0; i < schema->types.count; i++) {
        stele__buffer_add_text(out, i ? "," : ",\"$defs\":{");
        stele__json_write_text(out, stele__slice(type_at(schema, i)->name));
        stele__buffer_add_text(out, ":{");
        add_object(schema, type_at(schema, i));
        stele__buffer_add_byte(out, '}');
    }
    stele__buffer_add_text(out, schema->types.count ? "}}" : "}");
}

stele_status stele_json_schema(const struct stele_type *type, stele_arena *arena, struct stele_slice *out,
                               stele_error **error)
{
    struct stele__buffer text;
    struct schema schema = {.root = type, .out = &text};
    stele_status status = stele__codec_arguments(type, "type", type, arena, out, error);

    if (status != STELE_OK)
        return status;
    stele__buffer_init(&text);
    stele__vector_init(&schema.types, sizeof(const struct stele_type *));
    status = collect(&schema, error);
    if (status == STELE_OK)
        write_schema(&schema);
    stele__vector_fini(&schema.types);
    return stele__buffer_to_arena(&text, status, "schema", arena, out, error);
}
