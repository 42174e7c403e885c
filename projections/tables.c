/*
 * Tables of a projection, taken from one file of views into another.
 *
 *     the text of the table -> made -> its rows, as they come -> the texts of its indexes -> made
 *
 * Nothing is attached: both files are open, and a row goes from a statement of
 * the one to a statement of the other. The number of a row (rowid) goes with it,
 * so that what is inserted later gets the same one as it would have got.
 *
 * What can fail: names in a mark changed by hand, a table that is not there or
 * is in the way, the files, memory.
 */
#include "projections/tables.h"

#include "base/error.h"
#include "projections/views.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* --- Names --------------------------------------------------------------------- */

static stele_status fail_name(const stele_views *views, const struct stele__mark *mark, stele_error **error)
{
    stele__fail(error, STELE_CORRUPT,
                "%s: projection %s: its mark was changed by hand: column tables holds what it cannot", views->file.path,
                mark->name);
    stele__error_add(error, "projection", "%s", mark->name);
    return STELE_CORRUPT;
}

stele_status stele__tables_walk(const stele_views *views, const struct stele__mark *mark, stele__table_each *each,
                                void *context, stele_error **error)
{
    const char *rest = *mark->tables ? mark->tables : NULL;
    struct stele_slice name;
    char text[STELE_VIEW_NAME_MAX + 1];
    stele_status status = STELE_OK;

    while (status == STELE_OK && stele__view_next_name(&rest, &name)) {
        if (name.size > STELE_VIEW_NAME_MAX)
            return fail_name(views, mark, error);
        memcpy(text, name.data, name.size);
        text[name.size] = '\0';
        if (!stele__view_is_table_name(text))
            return fail_name(views, mark, error);
        status = each(context, text, error);
    }
    return status;
}

static void add_quoted(struct stele__buffer *sql, const char *name)
{
    stele__buffer_add_byte(sql, '"');
    for (; *name; name++) {
        if (*name == '"')
            stele__buffer_add_byte(sql, '"');
        stele__buffer_add_byte(sql, *name);
    }
    stele__buffer_add_byte(sql, '"');
}

/* Prepare, with the name of a table for ?1. */
static stele_status ask(const stele_views *views, const char *sql, const char *table, sqlite3_stmt **out,
                        stele_error **error)
{
    int code = sqlite3_prepare_v2(views->connection->db, sql, -1, out, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_bind_text(*out, 1, table, -1, SQLITE_STATIC);
    return code == SQLITE_OK ? STELE_OK : stele__views_fail(views, NULL, code, "copy a table", error);
}

/* --- Removing -------------------------------------------------------------------- */

static stele_status remove_table(void *context, const char *table, stele_error **error)
{
    const stele_views *views = context;
    sqlite3_stmt *forget = NULL;
    char sql[STELE_VIEW_NAME_MAX + 64];
    int code = SQLITE_OK;
    stele_status status;

    snprintf(sql, sizeof(sql), "DROP TABLE IF EXISTS \"%s\"", table);
    status = stele__views_run(views, sql, "remove a table", error);
    if (status == STELE_OK)
        status = ask(views, "DELETE FROM stele_view WHERE name = ?1 COLLATE NOCASE", table, &forget, error);
    if (status == STELE_OK)
        code = sqlite3_step(forget);
    if (status == STELE_OK && code != SQLITE_DONE)
        status = stele__views_fail(views, NULL, code, "remove a table", error);
    sqlite3_finalize(forget);
    return status;
}

stele_status stele__tables_remove(stele_views *views, const struct stele__mark *mark, stele_error **error)
{
    stele_status status = stele__views_check_writable(views, error);

    if (status != STELE_OK)
        return status;
    stele__views_forget(views);
    status = stele__tables_walk(views, mark, remove_table, views, error);
    return status == STELE_OK ? stele__mark_delete(views, mark->name, error) : status;
}

/* --- Copying ---------------------------------------------------------------------- */

/* A copy under way. */
struct copy {
    stele_views *from;
    stele_views *into;
};

static stele_status fail_table(const stele_views *views, const char *table, stele_status status, const char *why,
                               stele_error **error)
{
    stele__fail(error, status, "%s: table %s: %s", views->file.path, table, why);
    stele__error_add(error, "table", "%s", table);
    stele__error_add(error, "path", "%s", views->file.path);
    return status;
}

static stele_status check_free(const stele_views *views, const char *table, stele_error **error)
{
    sqlite3_stmt *found = NULL;
    stele_status status =
        ask(views, "SELECT 1 FROM sqlite_schema WHERE name = ?1 COLLATE NOCASE", table, &found, error);
    const int code = status == STELE_OK ? sqlite3_step(found) : SQLITE_DONE;

    if (code == SQLITE_ROW)
        status = fail_table(views, table, STELE_INVALID, "is there, and is none of the projection's own", error);
    else if (code != SQLITE_DONE)
        status = stele__views_fail(views, NULL, code, "copy a table", error);
    sqlite3_finalize(found);
    return status;
}

/* Of a text only the first statement is run: it comes out of a file. */
static stele_status make_object(const stele_views *into, const char *sql, stele_error **error)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(into->connection->db, sql, -1, &statement, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    sqlite3_finalize(statement);
    if (code == SQLITE_ERROR) /* a table was looked for before: an index of that name is there */
        return stele__fail(error, STELE_INVALID, "%s: cannot make a table: %s", into->file.path,
                           sqlite3_errmsg(into->connection->db));
    return code == SQLITE_DONE ? STELE_OK : stele__views_fail(into, NULL, code, "make a table", error);
}

/* Make what `type` is ("table", "index") of a table; `*count` of them. */
static stele_status make_objects(const struct copy *copy, const char *type, const char *table, size_t *count,
                                 stele_error **error)
{
    sqlite3_stmt *row = NULL;
    int code = SQLITE_DONE;
    stele_status status = ask(copy->from,
                              "SELECT sql FROM sqlite_schema WHERE tbl_name = ?1 COLLATE NOCASE AND type = ?2 "
                              "AND sql IS NOT NULL ORDER BY rowid",
                              table, &row, error);

    if (status == STELE_OK)
        sqlite3_bind_text(row, 2, type, -1, SQLITE_STATIC);
    *count = 0;
    while (status == STELE_OK && (code = sqlite3_step(row)) == SQLITE_ROW) {
        const char *sql = (const char *)sqlite3_column_text(row, 0);

        status = sql ? make_object(copy->into, sql, error) : stele__fail_memory(error);
        (*count)++;
    }
    if (status == STELE_OK && code != SQLITE_DONE)
        status = stele__views_fail(copy->from, NULL, code, "copy a table", error);
    sqlite3_finalize(row);
    return status;
}

/* A name for the number of a row that is no column's, in `free_names`; those that are taken become NULL. */
static void take_name(const char *column, const char *free_names[3])
{
    for (size_t i = 0; i < 3; i++)
        if (free_names[i] && strcasecmp(column, free_names[i]) == 0)
            free_names[i] = NULL;
}

static stele_status has_row_numbers(const struct copy *copy, const char *table, bool *has, stele_error **error)
{
    sqlite3_stmt *found = NULL;
    stele_status status = ask(copy->from, "SELECT wr FROM pragma_table_list(?1)", table, &found, error);
    const int code = status == STELE_OK ? sqlite3_step(found) : SQLITE_DONE;

    *has = code == SQLITE_ROW && sqlite3_column_int(found, 0) == 0;
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        status = stele__views_fail(copy->from, NULL, code, "copy a table", error);
    sqlite3_finalize(found);
    return status;
}

/* The columns that are stored, as a list; with the row's number, if there is a name for it. */
static stele_status list_columns(const struct copy *copy, const char *table, struct stele__buffer *list, int *count,
                                 stele_error **error)
{
    const char *free_names[3] = {"rowid", "_rowid_", "oid"};
    sqlite3_stmt *row = NULL;
    bool has = false;
    int code = SQLITE_DONE;
    stele_status status = has_row_numbers(copy, table, &has, error);

    *count = 0;
    if (status == STELE_OK)
        status = ask(copy->from, "SELECT name, hidden FROM pragma_table_xinfo(?1) ORDER BY cid", table, &row, error);
    while (status == STELE_OK && (code = sqlite3_step(row)) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(row, 0);

        if (!name)
            status = stele__fail_memory(error);
        else
            take_name(name, free_names);
        if (!name || sqlite3_column_int(row, 1) != 0)
            continue;
        if ((*count)++)
            stele__buffer_add_text(list, ", ");
        add_quoted(list, name);
    }
    if (status == STELE_OK && code != SQLITE_DONE)
        status = stele__views_fail(copy->from, NULL, code, "copy a table", error);
    sqlite3_finalize(row);
    for (size_t i = 0; has && i < 3; i++)
        if (free_names[i]) {
            stele__buffer_print(list, ", %s", free_names[i]);
            (*count)++;
            break;
        }
    return status;
}

static stele_status prepare_copy(const struct copy *copy, const char *table, sqlite3_stmt **select,
                                 sqlite3_stmt **insert, int *count, stele_error **error)
{
    struct stele__buffer list, sql;
    stele_status status;

    stele__buffer_init(&list);
    stele__buffer_init(&sql);
    status = list_columns(copy, table, &list, count, error);
    stele__buffer_add_byte(&list, '\0');
    if (status == STELE_OK)
        status = stele__buffer_finish(&list, "the list of columns", error);
    if (status != STELE_OK)
        goto out;
    stele__buffer_print(&sql, "SELECT %s FROM \"%s\"", list.data, table);
    status = stele__views_prepare(copy->from, NULL, &sql, select, error);
    if (status != STELE_OK)
        goto out;
    stele__buffer_init(&sql);
    stele__buffer_print(&sql, "INSERT INTO \"%s\"(%s) VALUES(?", table, list.data);
    for (int i = 1; i < *count; i++)
        stele__buffer_add_text(&sql, ",?");
    stele__buffer_add_text(&sql, ")");
    status = stele__views_prepare(copy->into, NULL, &sql, insert, error);
out:
    stele__buffer_fini(&list);
    return status;
}

static stele_status copy_rows(const struct copy *copy, const char *table, stele_error **error)
{
    sqlite3_stmt *select = NULL;
    sqlite3_stmt *insert = NULL;
    int count = 0;
    int code = SQLITE_DONE;
    stele_status status = prepare_copy(copy, table, &select, &insert, &count, error);

    while (status == STELE_OK && (code = sqlite3_step(select)) == SQLITE_ROW) {
        for (int i = 0; i < count && code == SQLITE_ROW; i++)
            if (sqlite3_bind_value(insert, i + 1, sqlite3_column_value(select, i)) != SQLITE_OK)
                code = SQLITE_NOMEM;
        if (code == SQLITE_ROW)
            code = sqlite3_step(insert);
        if (code != SQLITE_DONE)
            status = stele__views_fail(copy->into, NULL, code, "copy a table", error);
        sqlite3_reset(insert);
    }
    if (status == STELE_OK && code != SQLITE_DONE)
        status = stele__views_fail(copy->from, NULL, code, "copy a table", error);
    sqlite3_finalize(select);
    sqlite3_finalize(insert);
    return status;
}

/* The version of a typed view's table; one of a model has none. */
static stele_status copy_version(const struct copy *copy, const char *table, stele_error **error)
{
    sqlite3_stmt *row = NULL;
    sqlite3_stmt *keep = NULL;
    int64_t version = 0;
    int code = SQLITE_DONE;
    stele_status status =
        ask(copy->from, "SELECT version FROM stele_view WHERE name = ?1 COLLATE NOCASE", table, &row, error);

    if (status == STELE_OK)
        code = sqlite3_step(row);
    if (code == SQLITE_ROW)
        version = sqlite3_column_int64(row, 0);
    sqlite3_finalize(row);
    if (status != STELE_OK || code == SQLITE_DONE)
        return status;
    if (code != SQLITE_ROW)
        return stele__views_fail(copy->from, NULL, code, "copy a table", error);
    status = ask(copy->into, "INSERT OR REPLACE INTO stele_view(name, version) VALUES(?1, ?2)", table, &keep, error);
    if (status == STELE_OK) {
        sqlite3_bind_int64(keep, 2, version);
        code = sqlite3_step(keep);
        if (code != SQLITE_DONE)
            status = stele__views_fail(copy->into, NULL, code, "copy a table", error);
    }
    sqlite3_finalize(keep);
    return status;
}

static stele_status copy_table(void *context, const char *table, stele_error **error)
{
    const struct copy *copy = context;
    size_t count = 0;
    stele_status status = check_free(copy->into, table, error);

    if (status == STELE_OK)
        status = make_objects(copy, "table", table, &count, error);
    if (status == STELE_OK && count != 1)
        status = fail_table(copy->from, table, STELE_CORRUPT, "was removed by another program", error);
    if (status == STELE_OK)
        status = copy_rows(copy, table, error);
    if (status == STELE_OK)
        status = make_objects(copy, "index", table, &count, error);
    return status == STELE_OK ? copy_version(copy, table, error) : status;
}

stele_status stele__tables_copy(stele_views *from, stele_views *into, const struct stele__mark *mark,
                                stele_error **error)
{
    struct copy copy = {from, into};

    stele__views_forget(into);
    return stele__tables_walk(from, mark, copy_table, &copy, error);
}
