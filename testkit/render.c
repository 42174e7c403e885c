/*
 * Values as JSON, one field a line, by their descriptors.
 *
 *     struct -> fields -> a type of that one field -> stele_json_encode -> `"amount": 50`
 *
 * Only structs inside are taken apart here. The library's own encoder is not
 * asked for the whole, because it refuses a value that lacks a text, and the
 * state of an aggregate begins without any.
 *
 * What can fail: memory, and fields that no JSON can say.
 */
#include "testkit/render.h"

#include <string.h>

enum { STEP = 2 };

/* A list, whatever it is of. */
struct list {
    const void *items;
    size_t count;
};

static bool is_shown(const struct stele_field *field)
{
    return field->kind != STELE_KIND_NONE && field->kind != STELE_KIND_ARENA;
}

static const char *comma_behind(const struct stele_type *type, size_t field)
{
    for (size_t i = field + 1; i < type->field_count; i++)
        if (is_shown(&type->fields[i]))
            return ",";
    return "";
}

/* A required text or bytes that were never set. */
static bool is_unset(const struct stele_field *field, const void *value)
{
    const char *data = NULL;

    if (field->shape != STELE_SHAPE_ONE || (field->kind != STELE_KIND_TEXT && field->kind != STELE_KIND_BYTES))
        return false;
    memcpy(&data, (const char *)value + field->offset, sizeof(data)); /* a slice begins with its data */
    return !data;
}

static stele_status render_plain(struct lines *lines, size_t indent, const struct stele_field *field, const void *value,
                                 const char *comma)
{
    const struct stele_type only = {.name = "field",
                                    .version = 1,
                                    .kind = STELE_PART,
                                    .size = field->offset + sizeof(struct list),
                                    .fields = field,
                                    .field_count = 1};
    const size_t frame = strlen("{\"\":") + strlen(field->name);
    struct stele_slice json = {"", 0};
    stele_error *error = NULL;
    stele_status status = STELE_OK;

    if (!is_unset(field, value))
        status = stele_json_encode(&only, value, lines->arena, &json, &error);
    if (status != STELE_OK)
        stele__kit_print(lines, "%*s\"%s\": (%s)", (int)indent, "", field->name, stele_error_message(error));
    else if (json.size <= frame)
        stele__kit_print(lines, "%*s\"%s\": null%s", (int)indent, "", field->name, comma);
    else
        stele__kit_print(lines, "%*s\"%s\": %.*s%s", (int)indent, "", field->name, (int)(json.size - frame - 1),
                         json.data + frame, comma);
    stele_error_free(error);
    return status;
}

static void keep_first(stele_status *first, stele_status status)
{
    if (*first == STELE_OK)
        *first = status;
}

/* What stands around a struct: `head` before the brace, `tail` behind the other. */
struct frame {
    size_t indent;
    const char *head;
    const char *tail;
};

static stele_status render_struct(struct lines *lines, const struct frame *frame, const struct stele_type *type,
                                  const void *value);

static stele_status render_list(struct lines *lines, const struct frame *frame, const struct stele_type *type,
                                const struct list *list)
{
    struct frame item = {.indent = frame->indent + STEP, .head = "", .tail = ","};
    stele_status status = STELE_OK;

    stele__kit_print(lines, "%*s%s[", (int)frame->indent, "", frame->head);
    for (size_t i = 0; i < list->count; i++) {
        if (i + 1 == list->count)
            item.tail = "";
        keep_first(&status, render_struct(lines, &item, type, (const char *)list->items + i * type->size));
    }
    stele__kit_print(lines, "%*s]%s", (int)frame->indent, "", frame->tail);
    return status;
}

/* A field that is a struct, or several. */
static stele_status render_parts(struct lines *lines, const struct frame *frame, const struct stele_field *field,
                                 const void *place)
{
    const bool is_list = field->shape == STELE_SHAPE_LIST || field->shape == STELE_SHAPE_OPTIONAL_LIST;
    struct list list = {NULL, 0};

    if (field->shape == STELE_SHAPE_ONE)
        return render_struct(lines, frame, field->type, place);
    memcpy(&list, place, is_list ? sizeof(list) : sizeof(list.items));
    if (!list.items && field->shape != STELE_SHAPE_LIST) {
        stele__kit_print(lines, "%*s%snull%s", (int)frame->indent, "", frame->head, frame->tail);
        return STELE_OK;
    }
    return is_list ? render_list(lines, frame, field->type, &list)
                   : render_struct(lines, frame, field->type, list.items);
}

static stele_status render_field(struct lines *lines, size_t indent, const struct stele_field *field, const void *value,
                                 const char *comma)
{
    struct lines head = {.arena = lines->arena};
    struct frame frame = {.indent = indent, .tail = comma};

    if (field->kind != STELE_KIND_STRUCT)
        return render_plain(lines, indent, field, value, comma);
    stele__kit_print(&head, "\"%s\": ", field->name);
    if (head.failed)
        return STELE_NO_MEMORY;
    frame.head = head.items[0];
    return render_parts(lines, &frame, field, (const char *)value + field->offset);
}

static stele_status render_struct(struct lines *lines, const struct frame *frame, const struct stele_type *type,
                                  const void *value)
{
    stele_status status = STELE_OK;

    stele__kit_print(lines, "%*s%s{", (int)frame->indent, "", frame->head);
    for (size_t i = 0; i < type->field_count; i++)
        if (is_shown(&type->fields[i]))
            keep_first(&status,
                       render_field(lines, frame->indent + STEP, &type->fields[i], value, comma_behind(type, i)));
    stele__kit_print(lines, "%*s}%s", (int)frame->indent, "", frame->tail);
    return lines->failed ? STELE_NO_MEMORY : status;
}

stele_status stele__kit_render_event(struct lines *lines, const struct stele_type *type, const void *event)
{
    struct lines head = {.arena = lines->arena};
    struct frame frame = {.indent = STEP, .tail = "},"};

    stele__kit_print(&head, "{\"%s\": ", type->name);
    if (head.failed)
        return STELE_NO_MEMORY;
    frame.head = head.items[0];
    return render_struct(lines, &frame, type, event);
}

stele_status stele__kit_render_state(struct lines *lines, const struct stele_type *type, const void *state)
{
    const struct frame frame = {.indent = 0, .head = "\"state\": ", .tail = ""};

    return render_struct(lines, &frame, type, state);
}

void stele__kit_close_list(struct lines *lines)
{
    const char *last = lines->count ? lines->items[lines->count - 1] : "";
    const size_t size = strlen(last);

    if (size && last[size - 1] == ',') {
        lines->count--;
        stele__kit_print(lines, "%.*s", (int)(size - 1), last);
    }
    stele__kit_print(lines, "]");
}

stele_status stele__kit_render_text(struct lines *lines, const char *name, const char *text)
{
    const struct stele_field field = {.name = name, .kind = STELE_KIND_TEXT};
    const struct {
        const char *text;
        size_t unused;
    } value = {text, 0};

    return render_plain(lines, 0, &field, &value, "");
}
