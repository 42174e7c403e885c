/*
 * Typed values in memory: where items are, how a place in a value is named,
 * and deep copies.
 *
 * A field's shape decides what is at its offset:
 *
 *   ONE       the item
 *   OPTIONAL  TEXT, BYTES: the item, NULL when absent; STRUCT: a pointer to it;
 *             others: the item and a flag behind it
 *   LISTs     { items, count }, read as a struct stele_list_bytes whatever the items are
 *
 * What can fail: memory, and copies of values deeper than STELE_NESTING_MAX.
 */
#include "message/value.h"

#include "base/arena.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"

#include <stele/clock.h>

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { VALUE_TEXT_MAX = 64 };

/* Any list: pointers to objects are alike on every POSIX system. */
struct any_list {
    const void *items;
    size_t count;
};

const struct stele_field *stele__field_find(const struct stele_type *type, struct stele_slice name)
{
    for (size_t i = 0; i < type->field_count; i++) {
        if (stele__slice_equal(name, stele__slice(type->fields[i].name)))
            return &type->fields[i];
    }
    return NULL;
}

size_t stele__item_size(const struct stele_field *field)
{
    switch (field->kind) {
    case STELE_KIND_BOOL: return sizeof(bool);
    case STELE_KIND_INT64:
    case STELE_KIND_TIME: return sizeof(int64_t);
    case STELE_KIND_UINT64: return sizeof(uint64_t);
    case STELE_KIND_DOUBLE: return sizeof(double);
    case STELE_KIND_TEXT: return sizeof(const char *);
    case STELE_KIND_BYTES: return sizeof(struct stele_slice);
    case STELE_KIND_UUID: return sizeof(struct stele_uuid);
    case STELE_KIND_STRUCT: return field->type->size;
    case STELE_KIND_ARENA: return sizeof(stele_arena *);
    case STELE_KIND_NONE: break;
    }
    return 0;
}

static size_t optional_size(const struct stele_field *field)
{
    switch (field->kind) {
    case STELE_KIND_BOOL: return sizeof(struct stele_optional_bool);
    case STELE_KIND_INT64:
    case STELE_KIND_TIME: return sizeof(struct stele_optional_int64);
    case STELE_KIND_UINT64: return sizeof(struct stele_optional_uint64);
    case STELE_KIND_DOUBLE: return sizeof(struct stele_optional_double);
    case STELE_KIND_UUID: return sizeof(struct stele_optional_uuid);
    case STELE_KIND_STRUCT: return sizeof(const void *);
    case STELE_KIND_TEXT:
    case STELE_KIND_BYTES:
    case STELE_KIND_ARENA:
    case STELE_KIND_NONE: break;
    }
    return stele__item_size(field);
}

size_t stele__field_size(const struct stele_field *field)
{
    if (stele__field_is_list(field))
        return sizeof(struct any_list);
    return field->shape == STELE_SHAPE_OPTIONAL ? optional_size(field) : stele__item_size(field);
}

/* Where the flag of an optional item is, counted from the item; 0 if it has none. */
static size_t flag_offset(enum stele_kind kind)
{
    switch (kind) {
    case STELE_KIND_BOOL: return offsetof(struct stele_optional_bool, present);
    case STELE_KIND_INT64:
    case STELE_KIND_TIME: return offsetof(struct stele_optional_int64, present);
    case STELE_KIND_UINT64: return offsetof(struct stele_optional_uint64, present);
    case STELE_KIND_DOUBLE: return offsetof(struct stele_optional_double, present);
    case STELE_KIND_UUID: return offsetof(struct stele_optional_uuid, present);
    case STELE_KIND_TEXT:
    case STELE_KIND_BYTES:
    case STELE_KIND_STRUCT:
    case STELE_KIND_ARENA:
    case STELE_KIND_NONE: break;
    }
    return 0;
}

void stele__mark_present(enum stele_kind kind, void *slot)
{
    const size_t offset = flag_offset(kind);
    const bool present = true;

    if (offset)
        memcpy((char *)slot + offset, &present, sizeof(present));
}

static struct stele__items list_items(const struct stele_field *field, const char *slot)
{
    struct any_list list;

    memcpy(&list, slot, sizeof(list));
    return (struct stele__items){
        .first = list.items, .count = list.count, .present = list.items || field->shape == STELE_SHAPE_LIST};
}

static struct stele__items optional_item(const struct stele_field *field, const char *slot)
{
    struct stele__items items = {.first = slot};
    const size_t offset = flag_offset(field->kind);
    const void *pointer;

    if (offset) {
        memcpy(&items.present, slot + offset, sizeof(items.present));
    } else {
        /* TEXT, BYTES and STRUCT begin with a pointer. */
        memcpy(&pointer, slot, sizeof(pointer));
        items.present = pointer != NULL;
        if (field->kind == STELE_KIND_STRUCT)
            items.first = pointer;
    }
    items.count = items.present ? 1 : 0;
    return items;
}

struct stele__items stele__field_items_shaped(const struct stele_field *field, const void *value)
{
    const char *slot = (const char *)value + field->offset;

    return stele__field_is_list(field) ? list_items(field, slot) : optional_item(field, slot);
}

/* --- Faults ------------------------------------------------------------------ */

/* The path from the root, as `lines[2].amount`. */
static void print_path(const struct stele__place *place, struct stele__buffer *path)
{
    if (place->up)
        print_path(place->up, path);
    if (!place->field)
        return;
    if (path->size)
        stele__buffer_add_byte(path, '.');
    stele__buffer_add_text(path, place->field->name);
    if (place->index != STELE__NO_INDEX)
        stele__buffer_print(path, "[%zu]", place->index);
}

static const char *root_name(const struct stele__place *place)
{
    while (place->up)
        place = place->up;
    return place->type->name;
}

stele_status stele__value_fault(const struct stele__place *place, const char *value, const char *rule,
                                stele_error **error)
{
    const char *type = root_name(place);
    struct stele__buffer path;
    stele_status status;

    stele__buffer_init(&path);
    print_path(place, &path);
    stele__buffer_add_byte(&path, '\0');
    status = stele__buffer_finish(&path, "field", error);
    if (status == STELE_OK) {
        status = STELE_INVALID;
        stele__fail(error, status, "%s%s%s%s%s breaks the rule \"%s\"", type, path.size > 1 ? ": " : "", path.data,
                    value ? " = " : "", value ? value : "", rule);
        stele__error_add(error, "type", "%s", type);
        if (path.size > 1)
            stele__error_add(error, "field", "%s", path.data);
        if (value)
            stele__error_add(error, "value", "%s", value);
        stele__error_add(error, "rule", "%s", rule);
    }
    stele__buffer_fini(&path);
    return status;
}

const char *stele__kind_rule(enum stele_kind kind)
{
    switch (kind) {
    case STELE_KIND_BOOL: return "true or false";
    case STELE_KIND_INT64: return "integer from -9223372036854775808 to 9223372036854775807";
    case STELE_KIND_UINT64: return "integer from 0 to 18446744073709551615";
    case STELE_KIND_DOUBLE: return "finite number";
    case STELE_KIND_TEXT: return "text";
    case STELE_KIND_BYTES: return "bytes";
    case STELE_KIND_UUID: return "UUID";
    case STELE_KIND_TIME: return "time";
    case STELE_KIND_STRUCT: return "map of fields";
    case STELE_KIND_ARENA:
    case STELE_KIND_NONE: break;
    }
    return "nothing";
}

const char *stele__kind_text(enum stele_kind kind)
{
    static const char *const texts[] = {
        [STELE_KIND_NONE] = "none",   [STELE_KIND_ARENA] = "arena",   [STELE_KIND_BOOL] = "bool",
        [STELE_KIND_INT64] = "int64", [STELE_KIND_UINT64] = "uint64", [STELE_KIND_DOUBLE] = "double",
        [STELE_KIND_TEXT] = "text",   [STELE_KIND_BYTES] = "bytes",   [STELE_KIND_UUID] = "uuid",
        [STELE_KIND_TIME] = "time",   [STELE_KIND_STRUCT] = "struct",
    };

    return texts[kind];
}

/* At most 64 bytes of a text, cut between code points; one line. */
static bool print_text(const char *item, char text[STELE__VALUE_TEXT_SIZE])
{
    size_t size = item ? strlen(item) : 0;
    size_t offset;

    if (!item || !stele__utf8_valid((struct stele_slice){item, size}, &offset))
        return false;
    if (size > VALUE_TEXT_MAX) {
        size = VALUE_TEXT_MAX;
        while (((unsigned char)item[size] & 0xc0) == 0x80)
            size--;
    }
    for (size_t i = 0; i < size; i++)
        text[i] = (unsigned char)item[i] < ' ' || item[i] == '\x7f' ? '?' : item[i];
    text[size] = '\0';
    return true;
}

static void print_real(double value, char text[STELE__VALUE_TEXT_SIZE])
{
    if (isfinite(value))
        stele__print_double(value, text);
    else
        snprintf(text, STELE__VALUE_TEXT_SIZE, "%f", value);
}

bool stele__value_print(enum stele_kind kind, const void *item, char text[STELE__VALUE_TEXT_SIZE])
{
    union {
        bool boolean;
        int64_t integer;
        uint64_t natural;
        double real;
        const char *text;
        struct stele_slice bytes;
        struct stele_uuid uuid;
    } value;

    switch (kind) {
    case STELE_KIND_BOOL:
        memcpy(&value.boolean, item, sizeof(value.boolean));
        snprintf(text, STELE__VALUE_TEXT_SIZE, "%s", value.boolean ? "true" : "false");
        return true;
    case STELE_KIND_INT64:
        memcpy(&value.integer, item, sizeof(value.integer));
        snprintf(text, STELE__VALUE_TEXT_SIZE, "%" PRId64, value.integer);
        return true;
    case STELE_KIND_UINT64:
        memcpy(&value.natural, item, sizeof(value.natural));
        snprintf(text, STELE__VALUE_TEXT_SIZE, "%" PRIu64, value.natural);
        return true;
    case STELE_KIND_DOUBLE:
        memcpy(&value.real, item, sizeof(value.real));
        print_real(value.real, text);
        return true;
    case STELE_KIND_TEXT: memcpy(&value.text, item, sizeof(value.text)); return print_text(value.text, text);
    case STELE_KIND_BYTES:
        memcpy(&value.bytes, item, sizeof(value.bytes));
        snprintf(text, STELE__VALUE_TEXT_SIZE, "%zu byte%s", value.bytes.size, value.bytes.size == 1 ? "" : "s");
        return value.bytes.data != NULL;
    case STELE_KIND_UUID:
        memcpy(&value.uuid, item, sizeof(value.uuid));
        stele_uuid_print(&value.uuid, text);
        return true;
    case STELE_KIND_TIME:
        memcpy(&value.integer, item, sizeof(value.integer));
        stele_time_print(value.integer, text);
        return true;
    case STELE_KIND_STRUCT:
    case STELE_KIND_ARENA:
    case STELE_KIND_NONE: break;
    }
    return false;
}

stele_status stele__fail_nesting(stele_error **error)
{
    return stele__fail_limit(error, "nesting", STELE_NESTING_MAX + 1, STELE_NESTING_MAX, "levels");
}

/* --- What the codecs share ----------------------------------------------------- */

stele_status stele__codec_arguments(const struct stele_type *type, const char *input, const void *given,
                                    const stele_arena *arena, const void *out, stele_error **error)
{
    if (!type)
        return stele__fail_argument(error, "type", "is NULL");
    if (!given)
        return stele__fail_argument(error, input, "is NULL");
    if (!arena)
        return stele__fail_argument(error, "arena", "is NULL");
    if (!out)
        return stele__fail_argument(error, "out", "is NULL");
    return STELE_OK;
}

stele_status stele__decode_alloc(stele_arena *arena, size_t *room, size_t count, size_t size, void **out,
                                 stele_error **error)
{
    size_t bytes;

    if (!stele__size_multiply(count, size, &bytes) || bytes > *room)
        return stele__fail_limit(error, "decoded payload", bytes, STELE__DECODE_ROOM, "bytes");
    *out = stele__arena_alloc(arena, bytes);
    if (!*out)
        return stele__fail_memory(error);
    *room -= bytes;
    return STELE_OK;
}

stele_status stele__decode_absent(const struct stele__place *place, void *out, stele_error **error)
{
    const struct stele_field *field = place->field;
    char *slot = (char *)out + field->offset;

    if (!stele__field_is_coded(field) || field->shape == STELE_SHAPE_OPTIONAL ||
        field->shape == STELE_SHAPE_OPTIONAL_LIST)
        return STELE_OK;
    if (!field->has_default)
        return stele__value_fault(place, NULL, "required", error);
    /* All members of the union lie at its start. */
    memcpy(slot, &field->fallback, stele__item_size(field));
    return STELE_OK;
}

stele_status stele__buffer_to_arena(struct stele__buffer *buffer, stele_status status, const char *what,
                                    stele_arena *arena, struct stele_slice *out, stele_error **error)
{
    struct stele_slice copy;

    if (status == STELE_OK)
        status = stele__buffer_finish(buffer, what, error);
    if (status == STELE_OK) {
        copy.size = buffer->size;
        copy.data = stele_arena_text(arena, buffer->data, buffer->size);
        if (copy.data)
            *out = copy;
        else
            status = stele__fail_memory(error);
    }
    stele__buffer_fini(buffer);
    return status;
}
