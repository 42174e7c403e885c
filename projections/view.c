/*
 * Tables: a view checked, made in the file, compared with what is there.
 *
 *     view -> names, kinds, key, indexes -> the SQL of its table and indexes
 *         -> is there: compared column by column, then word for word | is not: made
 *
 * Every name that gets into SQL is a view's or field's own, checked here to be
 * letters, digits and '_', and quoted.
 */
#include "projections/views.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "message/value.h"
#include "store/store.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

/* --- Faults ------------------------------------------------------------------------ */

stele_status stele__view_fault(const struct stele_view *view, const char *field, const char *why, stele_error **error)
{
    const char *name = view->row->name ? view->row->name : "?";

    if (field)
        stele__fail(error, STELE_INVALID, "view %s, field %s: %s", name, field, why);
    else
        stele__fail(error, STELE_INVALID, "view %s: %s", name, why);
    stele__error_add(error, "view", "%s", name);
    if (field)
        stele__error_add(error, "field", "%s", field);
    return STELE_INVALID;
}

static stele_status fault_at(const struct stele_view *view, struct stele_slice field, const char *why,
                             stele_error **error)
{
    char text[STELE_VIEW_NAME_MAX + 1] = {0};

    memcpy(text, field.data, field.size < STELE_VIEW_NAME_MAX ? field.size : STELE_VIEW_NAME_MAX);
    return stele__view_fault(view, text, why, error);
}

/* --- A view itself -------------------------------------------------------------------- */

static bool is_name(const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
    static const char others[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";

    return name && *name && strchr(letters, *name) && name[strspn(name, others)] == '\0' &&
           strlen(name) <= STELE_VIEW_NAME_MAX;
}

bool stele__view_is_table_name(const char *name)
{
    return is_name(name) && strncasecmp(name, "sqlite_", 7) != 0 && strncasecmp(name, "stele_", 6) != 0;
}

static bool has_column(const struct stele_field *field)
{
    return !stele__field_is_list(field) && stele__field_is_coded(field) && field->kind != STELE_KIND_STRUCT;
}

size_t stele__view_field(const struct stele_type *row, struct stele_slice name)
{
    const struct stele_field *field = stele__field_find(row, name);

    return field ? (size_t)(field - row->fields) : SIZE_MAX;
}

bool stele__view_next_name(const char **rest, struct stele_slice *name)
{
    const char *start = *rest;
    size_t length;

    if (!start)
        return false;
    length = strcspn(start, ",");
    *rest = start[length] ? start + length + 1 : NULL;
    for (; length && *start == ' '; length--)
        start++;
    while (length && start[length - 1] == ' ')
        length--;
    *name = (struct stele_slice){start, length};
    return true;
}

/* A list of fields, each once; `out` has room for all. */
static stele_status read_fields(const struct stele_view *view, const char *list, size_t *out, size_t *count,
                                stele_error **error)
{
    struct stele_slice name;

    *count = 0;
    while (stele__view_next_name(&list, &name)) {
        const size_t field = stele__view_field(view->row, name);

        if (field == SIZE_MAX)
            return fault_at(view, name, "a key or index names it, and the row has no such field", error);
        for (size_t i = 0; i < *count; i++)
            if (out[i] == field)
                return fault_at(view, name, "is twice in a key or index", error);
        out[(*count)++] = field;
    }
    return STELE_OK;
}

static stele_status check_fields(const struct stele_view *view, stele_error **error)
{
    const struct stele_type *row = view->row;

    if (row->field_count > STELE_VIEW_FIELDS_MAX)
        return stele__view_fault(view, NULL, "has too many fields", error);
    for (size_t i = 0; i < row->field_count; i++) {
        const char *name = row->fields[i].name;

        if (!is_name(name))
            return stele__view_fault(view, name, "a name is up to 64 letters, digits and '_'", error);
        if (!has_column(&row->fields[i]))
            return stele__view_fault(view, name, "structs and lists have no place in a row", error);
        for (size_t j = 0; j < i; j++)
            if (strcasecmp(name, row->fields[j].name) == 0)
                return stele__view_fault(view, name, "differs from another field in case only", error);
    }
    return STELE_OK;
}

static stele_status check_keys(const struct stele_view *view, size_t *key, size_t *key_count, stele_error **error)
{
    size_t fields[STELE_VIEW_FIELDS_MAX];
    size_t count;
    stele_status status = read_fields(view, view->key, key, key_count, error);

    for (size_t i = 0; i < *key_count && status == STELE_OK; i++)
        if (view->row->fields[key[i]].shape == STELE_SHAPE_OPTIONAL)
            status = stele__view_fault(view, view->row->fields[key[i]].name, "a key's field is not optional", error);
    for (const char *const *index = view->indexes; index && *index && status == STELE_OK; index++)
        status = read_fields(view, *index, fields, &count, error);
    return status;
}

static stele_status check_view(const struct stele_view *view, size_t *key, size_t *key_count, stele_error **error)
{
    stele_status status;

    if (!view || !view->row)
        return stele__fail_argument(error, "view", "is NULL");
    if (!stele__view_is_table_name(view->row->name))
        return stele__view_fault(view, NULL,
                                 "a name is up to 64 letters, digits and '_', and begins neither with sqlite_ nor "
                                 "stele_",
                                 error);
    if (!view->key)
        return stele__view_fault(view, NULL, "has no key", error);
    status = stele_type_check(view->row, error);
    if (status == STELE_OK)
        status = check_fields(view, error);
    return status == STELE_OK ? check_keys(view, key, key_count, error) : status;
}

stele_status stele_view_check(const struct stele_view *view, stele_error **error)
{
    size_t key[STELE_VIEW_FIELDS_MAX];
    size_t key_count = 0;

    return check_view(view, key, &key_count, error);
}

/* --- Its SQL ----------------------------------------------------------------------------- */

static const char *column_type(const struct stele_field *field)
{
    switch (field->kind) {
    case STELE_KIND_DOUBLE: return "REAL";
    case STELE_KIND_TEXT:
    case STELE_KIND_UUID: return "TEXT";
    case STELE_KIND_BYTES: return "BLOB";
    default: return "INTEGER";
    }
}

static void add_names(struct stele__buffer *sql, const struct stele_type *row, const size_t *fields, size_t count)
{
    for (size_t i = 0; i < count; i++)
        stele__buffer_print(sql, "%s\"%s\"", i ? ", " : "", row->fields[fields ? fields[i] : i].name);
}

static void write_create(struct stele__buffer *sql, const struct view_table *table)
{
    const struct stele_type *row = table->view->row;

    stele__buffer_print(sql, "CREATE TABLE \"%s\"(", row->name);
    for (size_t i = 0; i < row->field_count; i++) {
        const struct stele_field *field = &row->fields[i];

        stele__buffer_print(sql, "\"%s\" %s%s, ", field->name, column_type(field),
                            field->shape == STELE_SHAPE_OPTIONAL ? "" : " NOT NULL");
    }
    stele__buffer_add_text(sql, "PRIMARY KEY(");
    add_names(sql, row, table->key, table->key_count);
    stele__buffer_add_text(sql, ")) STRICT, WITHOUT ROWID");
}

static stele_status write_index(struct stele__buffer *sql, const struct view_table *table, const char *index,
                                stele_error **error)
{
    const struct stele_type *row = table->view->row;
    size_t fields[STELE_VIEW_FIELDS_MAX];
    size_t count = 0;
    const stele_status status = read_fields(table->view, index, fields, &count, error);

    stele__buffer_print(sql, "CREATE INDEX IF NOT EXISTS \"%s.", row->name);
    for (size_t i = 0; i < count; i++)
        stele__buffer_print(sql, "%s%s", i ? "," : "", row->fields[fields[i]].name);
    stele__buffer_print(sql, "\" ON \"%s\"(", row->name);
    add_names(sql, row, fields, count);
    stele__buffer_add_text(sql, ")");
    return status;
}

static void write_upsert(struct stele__buffer *sql, const struct view_table *table)
{
    const struct stele_type *row = table->view->row;
    bool any = false;

    stele__buffer_print(sql, "INSERT INTO \"%s\"(", row->name);
    add_names(sql, row, NULL, row->field_count);
    stele__buffer_add_text(sql, ") VALUES(?");
    for (size_t i = 1; i < row->field_count; i++)
        stele__buffer_add_text(sql, ", ?");
    stele__buffer_add_text(sql, ") ON CONFLICT DO ");
    for (size_t i = 0; i < row->field_count; i++) {
        bool in_key = false;

        for (size_t k = 0; k < table->key_count; k++)
            in_key = in_key || table->key[k] == i;
        if (in_key)
            continue;
        stele__buffer_print(sql, "%s\"%s\" = excluded.\"%s\"", any ? ", " : "UPDATE SET ", row->fields[i].name,
                            row->fields[i].name);
        any = true;
    }
    if (!any)
        stele__buffer_add_text(sql, "NOTHING");
}

static void add_key_condition(struct stele__buffer *sql, const struct view_table *table)
{
    const struct stele_type *row = table->view->row;

    stele__buffer_print(sql, " FROM \"%s\" WHERE ", row->name);
    for (size_t i = 0; i < table->key_count; i++)
        stele__buffer_print(sql, "%s\"%s\" = ?", i ? " AND " : "", row->fields[table->key[i]].name);
}

/* --- What is there ----------------------------------------------------------------------- */

/* The one text or number that `sql` answers about the view's name; STELE_END if there is none. */
static stele_status look_up(const stele_views *views, const struct stele_view *view, const char *sql,
                            sqlite3_stmt **out, stele_error **error)
{
    int code = sqlite3_prepare_v2(views->connection->db, sql, -1, out, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_bind_text(*out, 1, view->row->name, -1, SQLITE_STATIC);
    if (code == SQLITE_OK)
        code = sqlite3_step(*out);
    if (code == SQLITE_ROW)
        return STELE_OK;
    return code == SQLITE_DONE ? STELE_END : stele__views_fail(views, view, code, "look for the table", error);
}

static bool fits(const struct stele_field *field, sqlite3_stmt *column)
{
    const char *name = (const char *)sqlite3_column_text(column, 0);
    const char *type = (const char *)sqlite3_column_text(column, 1);
    const bool required = sqlite3_column_int(column, 2) != 0;

    return name && type && strcmp(name, field->name) == 0 && strcmp(type, column_type(field)) == 0 &&
           required == (field->shape != STELE_SHAPE_OPTIONAL);
}

/* Name the first column that is not as its field wants it. */
static stele_status fault_columns(const stele_views *views, const struct stele_view *view, stele_error **error)
{
    const char *question = "SELECT name, type, \"notnull\" FROM pragma_table_xinfo(?) ORDER BY cid";
    sqlite3_stmt *column = NULL;
    char other[STELE_VIEW_NAME_MAX + 1] = {0};
    size_t at = 0;
    stele_status status = look_up(views, view, question, &column, error);

    while (status == STELE_OK && at < view->row->field_count && fits(&view->row->fields[at], column)) {
        at++;
        status = sqlite3_step(column) == SQLITE_ROW ? STELE_OK : STELE_END;
    }
    if (status == STELE_OK && at == view->row->field_count)
        sqlite3_snprintf(sizeof(other), other, "%s", sqlite3_column_text(column, 0));
    sqlite3_finalize(column);
    if (status != STELE_OK && status != STELE_END)
        return status;
    if (at < view->row->field_count)
        return stele__view_fault(view, view->row->fields[at].name,
                                 "the table's column is missing, elsewhere or of another kind", error);
    if (*other)
        return stele__view_fault(view, other, "is a column of the table, and no field of the row", error);
    return stele__view_fault(view, NULL, "the table in the file was made with another key or by another program",
                             error);
}

static stele_status check_version(const stele_views *views, const struct stele_view *view, stele_error **error)
{
    sqlite3_stmt *row = NULL;
    int64_t version = 0;
    stele_status status = look_up(views, view, "SELECT version FROM stele_view WHERE name = ?", &row, error);

    if (status == STELE_OK)
        version = sqlite3_column_int64(row, 0);
    sqlite3_finalize(row);
    if (status != STELE_OK && status != STELE_END)
        return status;
    if (version == view->row->version)
        return STELE_OK;
    stele__fail(error, STELE_INVALID, "view %s: the table is of version %" PRId64 ", not %" PRIu32, view->row->name,
                version, view->row->version);
    stele__error_add(error, "view", "%s", view->row->name);
    stele__error_add(error, "version", "%" PRId64, version);
    return STELE_INVALID;
}

/* STELE_END: there is no table of that name. */
static stele_status check_table(const stele_views *views, const struct view_table *table, stele_error **error)
{
    sqlite3_stmt *row = NULL;
    struct stele__buffer wanted;
    const char *found;
    bool same = false;
    stele_status status =
        look_up(views, table->view, "SELECT sql FROM sqlite_schema WHERE name = ? COLLATE NOCASE", &row, error);

    stele__buffer_init(&wanted);
    if (status == STELE_OK) {
        write_create(&wanted, table);
        status = stele__buffer_finish(&wanted, "the statement", error);
        found = (const char *)sqlite3_column_text(row, 0);
        same = status == STELE_OK && found && stele__slice_equal(stele__buffer_slice(&wanted), stele__slice(found));
    }
    sqlite3_finalize(row);
    stele__buffer_fini(&wanted);
    if (status != STELE_OK)
        return status;
    status = check_version(views, table->view, error);
    return status == STELE_OK && !same ? fault_columns(views, table->view, error) : status;
}

/* --- Taking one up ------------------------------------------------------------------------- */

static stele_status prepare_statements(const stele_views *views, struct view_table *table, stele_error **error)
{
    const struct stele_type *row = table->view->row;
    struct stele__buffer sql;
    stele_status status;

    stele__buffer_init(&sql);
    write_upsert(&sql, table);
    status = stele__views_prepare(views, table->view, &sql, &table->upsert, error);
    if (status != STELE_OK)
        return status;
    stele__buffer_init(&sql);
    stele__buffer_add_text(&sql, "SELECT ");
    add_names(&sql, row, NULL, row->field_count);
    add_key_condition(&sql, table);
    status = stele__views_prepare(views, table->view, &sql, &table->get, error);
    if (status != STELE_OK)
        return status;
    stele__buffer_init(&sql);
    stele__buffer_add_text(&sql, "DELETE");
    add_key_condition(&sql, table);
    return stele__views_prepare(views, table->view, &sql, &table->remove, error);
}

static struct view_table *find(const stele_views *views, const struct stele_view *view)
{
    for (size_t i = 0; i < views->tables.count; i++) {
        struct view_table **place = stele__vector_at(&views->tables, i);

        if ((*place)->view == view)
            return *place;
    }
    return NULL;
}

static stele_status take_up(stele_views *views, const struct stele_view *view, struct view_table **out,
                            stele_error **error)
{
    struct view_table **place = stele__vector_add(&views->tables);
    struct view_table *table = place ? stele__alloc(sizeof(*table)) : NULL;
    stele_status status;

    if (!table) {
        if (place)
            stele__vector_truncate(&views->tables, views->tables.count - 1);
        return stele__fail_memory(error);
    }
    *place = table;
    table->view = view;
    status = check_view(view, table->key, &table->key_count, error);
    if (status == STELE_OK)
        status = check_table(views, table, error);
    if (status == STELE_END)
        status = stele__fail(error, STELE_NOT_FOUND, "view %s: the table has not been created", view->row->name);
    if (status == STELE_OK)
        status = prepare_statements(views, table, error);
    if (status == STELE_OK)
        *out = table;
    else
        stele__views_forget(views);
    return status;
}

stele_status stele__view_table(stele_views *views, const struct stele_view *view, struct view_table **out,
                               stele_error **error)
{
    *out = find(views, view);
    return *out ? STELE_OK : take_up(views, view, out, error);
}

/* --- Making and removing --------------------------------------------------------------------- */

static stele_status keep_version(const stele_views *views, const struct stele_view *view, bool drop,
                                 stele_error **error)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(views->connection->db,
                                  drop ? "DELETE FROM stele_view WHERE name = ? COLLATE NOCASE"
                                       : "INSERT OR REPLACE INTO stele_view(name, version) VALUES(?, ?)",
                                  -1, &statement, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_bind_text(statement, 1, view->row->name, -1, SQLITE_STATIC);
    if (code == SQLITE_OK && !drop)
        code = sqlite3_bind_int64(statement, 2, view->row->version);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    sqlite3_finalize(statement);
    return code == SQLITE_DONE ? STELE_OK : stele__views_fail(views, view, code, "keep its version", error);
}

/* Run what a buffer holds, and free it. */
static stele_status run_buffer(const stele_views *views, struct stele__buffer *sql, const char *doing,
                               stele_error **error)
{
    stele_status status;

    stele__buffer_add_byte(sql, '\0');
    status = stele__buffer_finish(sql, "the statement", error);
    if (status == STELE_OK)
        status = stele__views_run(views, sql->data, doing, error);
    stele__buffer_fini(sql);
    return status;
}

static stele_status make_table(const stele_views *views, const struct view_table *table, stele_error **error)
{
    struct stele__buffer sql;
    stele_status status;

    stele__buffer_init(&sql);
    write_create(&sql, table);
    status = run_buffer(views, &sql, "create the table", error);
    return status == STELE_OK ? keep_version(views, table->view, false, error) : status;
}

static stele_status make(stele_views *views, const struct stele_view *view, stele_error **error)
{
    struct view_table table = {.view = view};
    struct stele__buffer sql;
    stele_status status = check_view(view, table.key, &table.key_count, error);

    if (status == STELE_OK)
        status = check_table(views, &table, error);
    if (status == STELE_END)
        status = make_table(views, &table, error);
    for (const char *const *index = view->indexes; status == STELE_OK && index && *index; index++) {
        stele__buffer_init(&sql);
        status = write_index(&sql, &table, *index, error);
        if (status == STELE_OK)
            status = run_buffer(views, &sql, "create an index", error);
        else
            stele__buffer_fini(&sql);
    }
    return status;
}

static stele_status remove_table(stele_views *views, const struct stele_view *view, stele_error **error)
{
    struct stele__buffer sql;
    stele_status status = stele_view_check(view, error);

    if (status != STELE_OK)
        return status;
    stele__views_forget(views);
    stele__buffer_init(&sql);
    stele__buffer_print(&sql, "DROP TABLE IF EXISTS \"%s\"", view->row->name);
    status = run_buffer(views, &sql, "drop the table", error);
    return status == STELE_OK ? keep_version(views, view, true, error) : status;
}

static stele_status check_place(const stele_views *views, const struct stele_view *view, stele_error **error)
{
    if (views->store && views->store->applying)
        return stele__view_fault(view, NULL, "tables are not made or removed while an event is applied", error);
    if (views->store && view->row->name && stele__sqlite_is_own_name(view->row->name))
        return stele__view_fault(view, NULL, "in a store this is the name of a table of the store's own", error);
    return STELE_OK;
}

/* All or nothing, inside a transaction and outside. */
static stele_status change_inside(stele_views *views, const struct stele_view *view,
                                  stele_status (*change)(stele_views *, const struct stele_view *, stele_error **),
                                  stele_error **error)
{
    sqlite3 *db = views->connection->db;
    const bool alone = sqlite3_get_autocommit(db);
    stele_status status = check_place(views, view, error);

    if (status == STELE_OK)
        status = stele__views_run(views, alone ? "BEGIN IMMEDIATE" : "SAVEPOINT stele_change", "begin", error);
    if (status != STELE_OK)
        return status;
    status = change(views, view, error);
    if (status == STELE_OK)
        status = stele__views_run(views, alone ? "COMMIT" : "RELEASE stele_change", "commit", error);
    if (status != STELE_OK && !sqlite3_get_autocommit(db))
        sqlite3_exec(db, alone ? "ROLLBACK" : "ROLLBACK TO stele_change; RELEASE stele_change", NULL, NULL, NULL);
    if (status != STELE_OK)
        stele__views_forget(views);
    return status;
}

static stele_status in_one_step(stele_views *views, const struct stele_view *view,
                                stele_status (*change)(stele_views *, const struct stele_view *, stele_error **),
                                stele_error **error)
{
    stele_status status = stele__views_enter(views, true, error);

    if (status != STELE_OK)
        return status;
    if (view && view->row)
        status = change_inside(views, view, change, error);
    else
        status = stele__fail_argument(error, "view", "is NULL");
    return stele__views_leave(views, true, status, error);
}

stele_status stele_view_create(stele_views *views, const struct stele_view *view, stele_error **error)
{
    return in_one_step(views, view, make, error);
}

stele_status stele_view_drop(stele_views *views, const struct stele_view *view, stele_error **error)
{
    return in_one_step(views, view, remove_table, error);
}
