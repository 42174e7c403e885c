/*
 * Rows: between a struct and the columns of a table, one at a time.
 *
 *     struct -> rules checked -> each field bound -> upsert
 *     key's fields bound -> row stepped to -> each column read -> struct, texts in the arena
 *
 * What can fail: a rule, a UINT64 beyond INTEGER, a row changed by hand into
 * something the type cannot hold, the file.
 */
#include "projections/views.h"

#include "base/arena.h"
#include "base/error.h"
#include "base/text.h"
#include "message/value.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* --- Binding ---------------------------------------------------------------------- */

static stele_status fail_big(const struct stele_view *view, const char *field, uint64_t value, stele_error **error)
{
    stele__fail(error, STELE_LIMIT, "view %s, field %s: is %" PRIu64 ", and a column holds at most %" PRId64,
                view->row->name, field, value, INT64_MAX);
    stele__error_add(error, "view", "%s", view->row->name);
    stele__error_add(error, "field", "%s", field);
    stele__error_add(error, "limit", "%" PRId64, INT64_MAX);
    stele__error_add(error, "actual", "%" PRIu64, value);
    return STELE_LIMIT;
}

static int bind_uuid(sqlite3_stmt *statement, int place, const char *item)
{
    struct stele_uuid uuid;
    char text[STELE_UUID_TEXT_SIZE];

    memcpy(&uuid, item, sizeof(uuid));
    stele_uuid_print(&uuid, text);
    return sqlite3_bind_text(statement, place, text, STELE_UUID_TEXT_SIZE - 1, SQLITE_TRANSIENT);
}

/* `item` is the C value of the kind. A UINT64 has been found to fit. */
static int bind_item(sqlite3_stmt *statement, int place, enum stele_kind kind, const char *item)
{
    bool boolean;
    int64_t integer;
    double real;
    const char *text;
    struct stele_slice bytes;

    switch (kind) {
    case STELE_KIND_BOOL: memcpy(&boolean, item, sizeof(boolean)); return sqlite3_bind_int(statement, place, boolean);
    case STELE_KIND_DOUBLE: memcpy(&real, item, sizeof(real)); return sqlite3_bind_double(statement, place, real);
    case STELE_KIND_TEXT:
        memcpy(&text, item, sizeof(text));
        return sqlite3_bind_text(statement, place, text, -1, SQLITE_STATIC);
    case STELE_KIND_BYTES:
        memcpy(&bytes, item, sizeof(bytes));
        return sqlite3_bind_blob64(statement, place, bytes.data, bytes.size, SQLITE_STATIC);
    case STELE_KIND_UUID: return bind_uuid(statement, place, item);
    default: memcpy(&integer, item, sizeof(integer)); return sqlite3_bind_int64(statement, place, integer);
    }
}

static stele_status bind(const stele_views *views, const struct stele_view *view, const struct stele_field *field,
                         const char *item, sqlite3_stmt *statement, int place, stele_error **error)
{
    uint64_t number = 0;
    int code;

    if (field->kind == STELE_KIND_UINT64 && item)
        memcpy(&number, item, sizeof(number));
    if (number > INT64_MAX)
        return fail_big(view, field->name, number, error);
    code = item ? bind_item(statement, place, field->kind, item) : sqlite3_bind_null(statement, place);
    return code == SQLITE_OK ? STELE_OK : stele__views_fail(views, view, code, "use the table", error);
}

stele_status stele__view_bind(const stele_views *views, const struct stele_view *view, size_t field, const void *row,
                              sqlite3_stmt *statement, int place, stele_error **error)
{
    const struct stele_field *described = &view->row->fields[field];
    const struct stele__items items = stele__field_items(described, row);

    return bind(views, view, described, items.present ? items.first : NULL, statement, place, error);
}

/* A text or slice that is NULL, text that is not UTF-8, a double that is not finite. */
static bool is_sound(const struct stele_view_value *value)
{
    size_t offset;

    switch (value->kind) {
    case STELE_KIND_TEXT: return value->as.text && stele__utf8_valid(stele__slice(value->as.text), &offset);
    case STELE_KIND_BYTES: return value->as.bytes.data != NULL;
    case STELE_KIND_DOUBLE: return isfinite(value->as.real);
    default: return true;
    }
}

stele_status stele__view_bind_value(const stele_views *views, const struct stele_view *view,
                                    const struct stele_field *field, const struct stele_view_value *value,
                                    sqlite3_stmt *statement, int place, stele_error **error)
{
    if (value->kind != field->kind)
        return stele__view_fault(view, field->name, "is compared with a value of another kind", error);
    if (!is_sound(value))
        return stele__view_fault(view, field->name, "is compared with a value that is none of its kind", error);
    return bind(views, view, field, (const char *)&value->as, statement, place, error);
}

/* --- Reading -------------------------------------------------------------------------- */

static stele_status fail_row(const struct stele_view *view, const struct stele_field *field, stele_error **error)
{
    stele__fail(error, STELE_CORRUPT, "view %s, field %s: a row holds what its type cannot hold", view->row->name,
                field->name);
    stele__error_add(error, "view", "%s", view->row->name);
    stele__error_add(error, "field", "%s", field->name);
    return STELE_CORRUPT;
}

static stele_status read_text(sqlite3_stmt *row, int column, stele_arena *arena, struct stele_slice *out,
                              stele_error **error)
{
    const bool blob = sqlite3_column_type(row, column) == SQLITE_BLOB;
    const char *bytes = blob ? sqlite3_column_blob(row, column) : (const char *)sqlite3_column_text(row, column);
    const size_t size = (size_t)sqlite3_column_bytes(row, column);
    char *copy = bytes || (blob && size == 0) ? stele_arena_text(arena, bytes ? bytes : "", size) : NULL;

    *out = (struct stele_slice){copy, size};
    return copy ? STELE_OK : stele__fail_memory(error);
}

static bool place_text(enum stele_kind kind, struct stele_slice text, char *slot)
{
    struct stele_uuid uuid;
    size_t offset;

    if (kind == STELE_KIND_BYTES) {
        memcpy(slot, &text, sizeof(text));
        return true;
    }
    if (kind == STELE_KIND_UUID) {
        if (stele_uuid_parse(text, &uuid, NULL) != STELE_OK)
            return false;
        memcpy(slot, &uuid, sizeof(uuid));
        return true;
    }
    if (!stele__utf8_valid(text, &offset) || strlen(text.data) != text.size)
        return false;
    memcpy(slot, &text.data, sizeof(text.data));
    return true;
}

static bool place_number(enum stele_kind kind, sqlite3_stmt *row, int column, char *slot)
{
    const int64_t integer = sqlite3_column_int64(row, column);
    const double real = sqlite3_column_double(row, column);
    const bool boolean = integer == 1;

    if (kind == STELE_KIND_DOUBLE)
        memcpy(slot, &real, sizeof(real));
    else if (kind == STELE_KIND_BOOL)
        memcpy(slot, &boolean, sizeof(boolean));
    else
        memcpy(slot, &integer, sizeof(integer));
    if (kind == STELE_KIND_DOUBLE)
        return isfinite(real);
    if (kind == STELE_KIND_BOOL)
        return integer == 0 || integer == 1;
    return kind != STELE_KIND_UINT64 || integer >= 0;
}

static bool is_texty(enum stele_kind kind)
{
    return kind == STELE_KIND_TEXT || kind == STELE_KIND_BYTES || kind == STELE_KIND_UUID;
}

/* The table is STRICT: a column is of its declared type or NULL. */
static stele_status read_column(const struct stele_view *view, const struct stele_field *field, sqlite3_stmt *row,
                                int column, stele_arena *arena, char *slot, stele_error **error)
{
    struct stele_slice text;
    stele_status status = STELE_OK;
    bool sound;

    if (sqlite3_column_type(row, column) == SQLITE_NULL)
        return field->shape == STELE_SHAPE_OPTIONAL ? STELE_OK : fail_row(view, field, error);
    if (is_texty(field->kind)) {
        status = read_text(row, column, arena, &text, error);
        if (status != STELE_OK)
            return status;
        sound = place_text(field->kind, text, slot);
    } else {
        sound = place_number(field->kind, row, column, slot);
    }
    if (!sound)
        return fail_row(view, field, error);
    if (field->shape == STELE_SHAPE_OPTIONAL)
        stele__mark_present(field->kind, slot);
    return STELE_OK;
}

stele_status stele__view_read(const struct stele_view *view, sqlite3_stmt *row, stele_arena *arena, void *out,
                              stele_error **error)
{
    stele_status status = STELE_OK;

    memset(out, 0, view->row->size);
    for (size_t i = 0; i < view->row->field_count && status == STELE_OK; i++) {
        const struct stele_field *field = &view->row->fields[i];

        status = read_column(view, field, row, (int)i, arena, (char *)out + field->offset, error);
    }
    return status;
}

/* --- Calls ------------------------------------------------------------------------------ */

static stele_status upsert(stele_views *views, const struct stele_view *view, const void *row, stele_error **error)
{
    struct view_table *table = NULL;
    stele_status status = STELE_OK;
    int code;

    if (!row)
        status = stele__fail_argument(error, "row", "is NULL");
    if (status == STELE_OK)
        status = stele__view_table(views, view, &table, error);
    if (status != STELE_OK)
        return status;
    status = stele_value_check(view->row, row, error);
    if (status != STELE_OK)
        stele__error_add(error, "view", "%s", view->row->name);
    for (size_t i = 0; i < view->row->field_count && status == STELE_OK; i++)
        status = stele__view_bind(views, view, i, row, table->upsert, (int)i + 1, error);
    if (status != STELE_OK)
        return status;
    code = sqlite3_step(table->upsert);
    if (code != SQLITE_DONE)
        status = stele__views_fail(views, view, code, "write a row", error);
    sqlite3_reset(table->upsert);
    return status;
}

stele_status stele_view_upsert(stele_views *views, const struct stele_view *view, const void *row, stele_error **error)
{
    const stele_status status = stele__views_enter(views, true, error);

    if (status != STELE_OK)
        return status;
    return stele__views_leave(views, true, upsert(views, view, row, error), error);
}

/* A TEXT or BYTES of a key that is NULL is absent: it would find nothing. */
static stele_status bind_key(const stele_views *views, const struct view_table *table, const void *key,
                             sqlite3_stmt *statement, stele_error **error)
{
    stele_status status = STELE_OK;

    for (size_t i = 0; i < table->key_count && status == STELE_OK; i++)
        status = stele__view_bind(views, table->view, table->key[i], key, statement, (int)i + 1, error);
    return status;
}

static stele_status fail_missing(const struct stele_view *view, stele_error **error)
{
    stele__fail(error, STELE_NOT_FOUND, "view %s: there is no row of that key", view->row->name);
    stele__error_add(error, "view", "%s", view->row->name);
    return STELE_NOT_FOUND;
}

static stele_status get(stele_views *views, const struct stele_view *view, const void *key, stele_arena *arena,
                        void *out, stele_error **error)
{
    struct view_table *table = NULL;
    stele_status status = STELE_OK;
    int code;

    if (!key || !arena || !out)
        status = stele__fail_argument(error, !key ? "key" : !arena ? "arena" : "out", "is NULL");
    if (status == STELE_OK)
        status = stele__view_table(views, view, &table, error);
    if (status == STELE_OK)
        status = bind_key(views, table, key, table->get, error);
    if (status != STELE_OK)
        return status;
    code = sqlite3_step(table->get);
    if (code == SQLITE_ROW)
        status = stele__view_read(view, table->get, arena, out, error);
    else if (code == SQLITE_DONE)
        status = fail_missing(view, error);
    else
        status = stele__views_fail(views, view, code, "read a row", error);
    sqlite3_reset(table->get);
    return status;
}

stele_status stele_view_get(stele_views *views, const struct stele_view *view, const void *key, stele_arena *arena,
                            void *out, stele_error **error)
{
    const stele_status status = stele__views_enter(views, false, error);

    if (status != STELE_OK)
        return status;
    return stele__views_leave(views, false, get(views, view, key, arena, out, error), error);
}

static stele_status remove_row(stele_views *views, const struct stele_view *view, const void *key, stele_error **error)
{
    struct view_table *table = NULL;
    stele_status status = STELE_OK;
    int code;

    if (!key)
        status = stele__fail_argument(error, "key", "is NULL");
    if (status == STELE_OK)
        status = stele__view_table(views, view, &table, error);
    if (status == STELE_OK)
        status = bind_key(views, table, key, table->remove, error);
    if (status != STELE_OK)
        return status;
    code = sqlite3_step(table->remove);
    if (code != SQLITE_DONE)
        status = stele__views_fail(views, view, code, "delete a row", error);
    else if (sqlite3_changes(views->connection->db) == 0)
        status = fail_missing(view, error);
    sqlite3_reset(table->remove);
    return status;
}

stele_status stele_view_delete(stele_views *views, const struct stele_view *view, const void *key, stele_error **error)
{
    const stele_status status = stele__views_enter(views, true, error);

    if (status != STELE_OK)
        return status;
    return stele__views_leave(views, true, remove_row(views, view, key, error), error);
}
