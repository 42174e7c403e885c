/*
 * Cursors: the values of the last row's ordering fields, as text.
 *
 *     base64( mark (4) | value | value ... )      a value: tag (1), then
 *         NULL -, INTEGER and REAL 8 bytes, TEXT and BLOB length (4) and bytes; big-endian
 *
 * The mark tells a cursor of another view, version or order apart. It is no
 * seal: a forged cursor can only make the reading begin elsewhere, as its
 * values are checked and bound like any others.
 *
 * What can fail: text that is no such thing, memory.
 */
#include "projections/views.h"

#include "base/arena.h"
#include "base/error.h"
#include "base/text.h"

#include <string.h>

enum { MARK_SIZE = 4, NUMBER_SIZE = 8, LENGTH_SIZE = 4 };

static uint32_t mix(uint32_t mark, const void *bytes, size_t size)
{
    const unsigned char *byte = bytes;

    /* FNV-1a */
    for (size_t i = 0; i < size; i++)
        mark = (mark ^ byte[i]) * 16777619U;
    return mark;
}

uint32_t stele__view_cursor_mark(const struct stele_view *view, const struct view_plan *plan)
{
    uint32_t mark = mix(2166136261U, view->row->name, strlen(view->row->name) + 1);

    mark = mix(mark, &view->row->version, sizeof(view->row->version));
    for (size_t i = 0; i < plan->order_count; i++) {
        const char *name = view->row->fields[plan->order[i].field].name;

        mark = mix(mark, plan->order[i].descending ? "-" : "+", 1);
        mark = mix(mark, name, strlen(name) + 1);
    }
    return mark;
}

static void add_number(struct stele__buffer *bytes, uint64_t number, size_t size)
{
    for (size_t i = size; i > 0; i--)
        stele__buffer_add_byte(bytes, (char)(unsigned char)(number >> (8 * (i - 1))));
}

static bool take_number(struct stele_slice *rest, size_t size, uint64_t *out)
{
    if (rest->size < size)
        return false;
    *out = 0;
    for (size_t i = 0; i < size; i++)
        *out = *out << 8 | (unsigned char)rest->data[i];
    rest->data += size;
    rest->size -= size;
    return true;
}

static void add_value(struct stele__buffer *bytes, sqlite3_stmt *row, int column)
{
    const int type = sqlite3_column_type(row, column);
    const double real = sqlite3_column_double(row, column);
    uint64_t number = (uint64_t)sqlite3_column_int64(row, column);
    const void *data;
    size_t size;

    stele__buffer_add_byte(bytes, (char)type);
    if (type == SQLITE_NULL)
        return;
    if (type == SQLITE_FLOAT)
        memcpy(&number, &real, sizeof(number));
    if (type == SQLITE_FLOAT || type == SQLITE_INTEGER) {
        add_number(bytes, number, NUMBER_SIZE);
        return;
    }
    data = sqlite3_column_blob(row, column);
    size = (size_t)sqlite3_column_bytes(row, column);
    add_number(bytes, size, LENGTH_SIZE);
    stele__buffer_add(bytes, data, data ? size : 0);
}

stele_status stele__view_cursor_write(const struct stele_view *view, const struct view_plan *plan, sqlite3_stmt *row,
                                      stele_arena *arena, const char **out, stele_error **error)
{
    struct stele__buffer bytes;
    char *text = NULL;
    size_t length;
    stele_status status;

    stele__buffer_init(&bytes);
    add_number(&bytes, stele__view_cursor_mark(view, plan), MARK_SIZE);
    for (size_t i = 0; i < plan->order_count; i++)
        add_value(&bytes, row, (int)plan->order[i].field);
    status = stele__buffer_finish(&bytes, "the cursor", error);
    if (status == STELE_OK) {
        length = stele__base64_size(bytes.size);
        text = stele_arena_alloc(arena, length + 1);
        status = text ? STELE_OK : stele__fail_memory(error);
    }
    if (status == STELE_OK) {
        stele__base64_encode(stele__buffer_slice(&bytes), text);
        text[length] = '\0';
        *out = text;
    }
    stele__buffer_fini(&bytes);
    return status;
}

bool stele__view_cursor_next(struct stele_slice *rest, struct view_cursor_value *out)
{
    uint64_t number = 0;

    *out = (struct view_cursor_value){0};
    if (!take_number(rest, 1, &number))
        return false;
    out->type = (int)number;
    switch (out->type) {
    case SQLITE_NULL: return true;
    case SQLITE_INTEGER:
    case SQLITE_FLOAT:
        if (!take_number(rest, NUMBER_SIZE, &number))
            return false;
        memcpy(&out->integer, &number, sizeof(number));
        memcpy(&out->real, &number, sizeof(number));
        return true;
    case SQLITE_TEXT:
    case SQLITE_BLOB:
        if (!take_number(rest, LENGTH_SIZE, &number) || rest->size < number)
            return false;
        out->bytes = (struct stele_slice){rest->data, (size_t)number};
        rest->data += number;
        rest->size -= (size_t)number;
        return true;
    default: return false;
    }
}

static bool fits(const struct stele_field *field, int type)
{
    if (type == SQLITE_NULL)
        return field->shape == STELE_SHAPE_OPTIONAL;
    switch (field->kind) {
    case STELE_KIND_DOUBLE: return type == SQLITE_FLOAT;
    case STELE_KIND_TEXT:
    case STELE_KIND_UUID: return type == SQLITE_TEXT;
    case STELE_KIND_BYTES: return type == SQLITE_BLOB;
    default: return type == SQLITE_INTEGER;
    }
}

static bool is_of(const struct stele_view *view, const struct view_plan *plan, struct stele_slice values)
{
    struct view_cursor_value value;
    uint64_t mark = 0;

    if (!take_number(&values, MARK_SIZE, &mark) || mark != stele__view_cursor_mark(view, plan))
        return false;
    for (size_t i = 0; i < plan->order_count; i++)
        if (!stele__view_cursor_next(&values, &value) || !fits(&view->row->fields[plan->order[i].field], value.type))
            return false;
    return values.size == 0;
}

stele_status stele__view_cursor_read(const struct stele_view *view, const struct view_plan *plan, const char *text,
                                     stele_arena *arena, struct stele_slice *out, stele_error **error)
{
    const struct stele_slice encoded = stele__slice(text);
    size_t size = 0;
    size_t offset = 0;
    char *bytes = stele_arena_alloc(arena, encoded.size / 4 * 3);

    if (!bytes)
        return stele__fail_memory(error);
    if (!stele__base64_decode(encoded, bytes, &size, &offset) ||
        !is_of(view, plan, (struct stele_slice){bytes, size})) {
        stele__fail(error, STELE_MALFORMED, "view %s: the cursor is none of this view and order", view->row->name);
        stele__error_add(error, "view", "%s", view->row->name);
        stele__error_add(error, "argument", "after");
        return STELE_MALFORMED;
    }
    *out = (struct stele_slice){bytes + MARK_SIZE, size - MARK_SIZE};
    return STELE_OK;
}
