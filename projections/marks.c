/*
 * The marks of projections in a file of views.
 *
 *     written with the tables it speaks of, in one transaction -> moved with each batch, compared and set
 *
 * What can fail: a row changed by hand into what is none, a table of that name
 * that is not ours (STELE_CORRUPT); a position that somebody else has moved
 * (STELE_CONFLICT); the file, memory.
 */
#include "projections/marks.h"

#include "base/arena.h"
#include "base/error.h"
#include "projections/views.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char columns[] = "name, version, digest, position, tables, old_version";

stele_status stele__marks_create(stele_views *views, stele_error **error)
{
    stele_status status = stele__views_enter(views, true, error);

    if (status != STELE_OK)
        return status;
    status = stele__views_run(views,
                              "CREATE TABLE IF NOT EXISTS stele_projection(name TEXT NOT NULL PRIMARY KEY, "
                              "version INTEGER NOT NULL, digest BLOB NOT NULL, position INTEGER NOT NULL, "
                              "tables TEXT NOT NULL, old_version INTEGER NOT NULL) STRICT, WITHOUT ROWID",
                              "keep the marks of projections", error);
    return stele__views_leave(views, true, status, error);
}

/* --- Reading ------------------------------------------------------------------- */

static stele_status fail_missing(const char *name, stele_error **error)
{
    stele__fail(error, STELE_NOT_FOUND, "projection %s: is not in the read database", name);
    stele__error_add(error, "projection", "%s", name);
    return STELE_NOT_FOUND;
}

static stele_status fail_row(const stele_views *views, const char *name, const char *column, stele_error **error)
{
    stele__fail(error, STELE_CORRUPT, "%s: projection %s: its mark was changed by hand: column %s holds what it cannot",
                views->file.path, name, column);
    stele__error_add(error, "projection", "%s", name);
    stele__error_add(error, "path", "%s", views->file.path);
    return STELE_CORRUPT;
}

/* Looked up, as SQLite's own answer for "no such table" is the one for any mistake in a statement. */
static stele_status has_marks(const stele_views *views, bool *has, stele_error **error)
{
    sqlite3_stmt *row = NULL;
    int code = sqlite3_prepare_v2(views->connection->db, "SELECT 1 FROM sqlite_schema WHERE name = 'stele_projection'",
                                  -1, &row, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_step(row);
    sqlite3_finalize(row);
    *has = code == SQLITE_ROW;
    return code == SQLITE_ROW || code == SQLITE_DONE
               ? STELE_OK
               : stele__views_fail(views, NULL, code, "read the marks of projections", error);
}

static stele_status prepare(const stele_views *views, const char *rest, sqlite3_stmt **out, stele_error **error)
{
    char sql[256];
    int code;

    snprintf(sql, sizeof(sql), "SELECT %s FROM stele_projection %s", columns, rest);
    code = sqlite3_prepare_v2(views->connection->db, sql, -1, out, NULL);
    return code == SQLITE_OK ? STELE_OK : stele__views_fail(views, NULL, code, "read the marks of projections", error);
}

static bool number_fits(sqlite3_stmt *row, int column, int64_t least, int64_t most)
{
    return sqlite3_column_type(row, column) == SQLITE_INTEGER && sqlite3_column_int64(row, column) >= least &&
           sqlite3_column_int64(row, column) <= most;
}

static const char *column_fault(sqlite3_stmt *row)
{
    if (!number_fits(row, 1, 1, UINT32_MAX))
        return "version";
    if (sqlite3_column_bytes(row, 2) != STELE__DIGEST_SIZE)
        return "digest";
    if (!number_fits(row, 3, 0, INT64_MAX))
        return "position";
    return number_fits(row, 5, 0, UINT32_MAX) ? NULL : "old_version";
}

static stele_status read_row(const stele_views *views, sqlite3_stmt *row, stele_arena *arena, struct stele__mark *out,
                             stele_error **error)
{
    const char *name = (const char *)sqlite3_column_text(row, 0);
    const char *tables = (const char *)sqlite3_column_text(row, 4);
    const char *fault = name && tables ? column_fault(row) : "tables";

    if (fault)
        return fail_row(views, name ? name : "?", fault, error);
    out->name = stele_arena_text(arena, name, (size_t)sqlite3_column_bytes(row, 0));
    out->tables = stele_arena_text(arena, tables, (size_t)sqlite3_column_bytes(row, 4));
    if (!out->name || !out->tables)
        return stele__fail_memory(error);
    out->version = (uint32_t)sqlite3_column_int64(row, 1);
    memcpy(out->digest, sqlite3_column_blob(row, 2), STELE__DIGEST_SIZE);
    out->position = (uint64_t)sqlite3_column_int64(row, 3);
    out->old_version = (uint32_t)sqlite3_column_int64(row, 5);
    return STELE_OK;
}

static stele_status mark_read(stele_views *views, const char *name, stele_arena *arena, struct stele__mark *out,
                              stele_error **error)
{
    sqlite3_stmt *row = NULL;
    bool has = false;
    stele_status status = has_marks(views, &has, error);
    int code;

    if (status == STELE_OK && !has)
        status = fail_missing(name, error);
    if (status == STELE_OK)
        status = prepare(views, "WHERE name = ?", &row, error);
    if (status != STELE_OK)
        return status;
    code = sqlite3_bind_text(row, 1, name, -1, SQLITE_STATIC);
    if (code == SQLITE_OK)
        code = sqlite3_step(row);
    if (code == SQLITE_ROW)
        status = read_row(views, row, arena, out, error);
    else if (code == SQLITE_DONE)
        status = fail_missing(name, error);
    else
        status = stele__views_fail(views, NULL, code, "read the marks of projections", error);
    sqlite3_finalize(row);
    return status;
}

stele_status stele__mark_read(stele_views *views, const char *name, stele_arena *arena, struct stele__mark *out,
                              stele_error **error)
{
    const stele_status status = stele__views_enter(views, false, error);

    if (status != STELE_OK)
        return status;
    return stele__views_leave(views, false, mark_read(views, name, arena, out, error), error);
}

static stele_status marks_visit(stele_views *views, stele__mark_visit *visit, void *context, stele_error **error)
{
    sqlite3_stmt *row = NULL;
    stele_arena *arena = NULL;
    struct stele__mark mark;
    bool more = false;
    int code = SQLITE_DONE;
    stele_status status = has_marks(views, &more, error);

    if (status != STELE_OK || !more)
        return status;
    status = stele_arena_new(&arena, error);
    if (status == STELE_OK)
        status = prepare(views, "ORDER BY name", &row, error);
    while (status == STELE_OK && more && (code = sqlite3_step(row)) == SQLITE_ROW) {
        stele_arena_reset(arena);
        status = read_row(views, row, arena, &mark, error);
        if (status == STELE_OK) {
            views->visiting = true;
            more = visit(context, &mark);
            views->visiting = false;
        }
    }
    if (status == STELE_OK && code != SQLITE_ROW && code != SQLITE_DONE)
        status = stele__views_fail(views, NULL, code, "read the marks of projections", error);
    sqlite3_finalize(row);
    stele_arena_free(arena);
    return status;
}

stele_status stele__marks_visit(stele_views *views, stele__mark_visit *visit, void *context, stele_error **error)
{
    const stele_status status = stele__views_enter(views, false, error);

    if (status != STELE_OK)
        return status;
    return stele__views_leave(views, false, marks_visit(views, visit, context, error), error);
}

/* --- Writing ------------------------------------------------------------------------ */

static stele_status finish(const stele_views *views, sqlite3_stmt *statement, int code, stele_error **error)
{
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    sqlite3_finalize(statement);
    return code == SQLITE_DONE ? STELE_OK
                               : stele__views_fail(views, NULL, code, "write the mark of a projection", error);
}

static stele_status mark_write(stele_views *views, const struct stele__mark *mark, stele_error **error)
{
    sqlite3_stmt *statement = NULL;
    int code =
        sqlite3_prepare_v2(views->connection->db, "INSERT OR REPLACE INTO stele_projection VALUES(?, ?, ?, ?, ?, ?)",
                           -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_bind_text(statement, 1, mark->name, -1, SQLITE_STATIC);
    if (code == SQLITE_OK)
        code = sqlite3_bind_int64(statement, 2, mark->version);
    if (code == SQLITE_OK)
        code = sqlite3_bind_blob(statement, 3, mark->digest, STELE__DIGEST_SIZE, SQLITE_STATIC);
    if (code == SQLITE_OK)
        code = sqlite3_bind_int64(statement, 4, (int64_t)mark->position);
    if (code == SQLITE_OK)
        code = sqlite3_bind_text(statement, 5, mark->tables, -1, SQLITE_STATIC);
    if (code == SQLITE_OK)
        code = sqlite3_bind_int64(statement, 6, mark->old_version);
    return finish(views, statement, code, error);
}

stele_status stele__mark_write(stele_views *views, const struct stele__mark *mark, stele_error **error)
{
    const stele_status status = stele__views_enter(views, true, error);

    if (status != STELE_OK)
        return status;
    return stele__views_leave(views, true, mark_write(views, mark, error), error);
}

static stele_status mark_delete(stele_views *views, const char *name, stele_error **error)
{
    sqlite3_stmt *statement = NULL;
    bool has = false;
    stele_status status = has_marks(views, &has, error);
    int code;

    if (status != STELE_OK || !has)
        return status;
    code =
        sqlite3_prepare_v2(views->connection->db, "DELETE FROM stele_projection WHERE name = ?", -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
    return finish(views, statement, code, error);
}

stele_status stele__mark_delete(stele_views *views, const char *name, stele_error **error)
{
    const stele_status status = stele__views_enter(views, true, error);

    if (status != STELE_OK)
        return status;
    return stele__views_leave(views, true, mark_delete(views, name, error), error);
}

/* --- Moving -------------------------------------------------------------------------- */

static stele_status fail_moved(stele_views *views, const char *name, uint32_t version, uint64_t from,
                               stele_error **error)
{
    struct stele__mark mark;
    stele_arena *arena = NULL;
    stele_status status = stele_arena_new(&arena, error);

    if (status == STELE_OK)
        status = stele__mark_read(views, name, arena, &mark, error);
    if (status == STELE_OK) {
        status = stele__fail(error, STELE_CONFLICT,
                             "projection %s: is at position %" PRIu64 " in version %" PRIu32 ", not at %" PRIu64
                             " in version %" PRIu32 ": another program has moved it",
                             name, mark.position, mark.version, from, version);
        stele__error_add(error, "projection", "%s", name);
        stele__error_add(error, "expected", "%" PRIu64, from);
        stele__error_add(error, "actual", "%" PRIu64, mark.position);
    } else if (status == STELE_NOT_FOUND) {
        if (error) {
            stele_error_free(*error);
            *error = NULL;
        }
        status = stele__fail(error, STELE_CONFLICT, "projection %s: another program has removed it", name);
        stele__error_add(error, "projection", "%s", name);
        stele__error_add(error, "expected", "%" PRIu64, from);
        stele__error_add(error, "actual", "none");
    }
    stele_arena_free(arena);
    return status;
}

static stele_status mark_move(stele_views *views, const char *name, uint32_t version, uint64_t from, uint64_t to,
                              stele_error **error)
{
    static const char sql[] =
        "UPDATE stele_projection SET position = ?4 WHERE name = ?1 AND version = ?2 AND position = ?3";
    stele_status status = STELE_OK;
    int code = SQLITE_OK;

    if (to < from || to > INT64_MAX)
        status = stele__fail_argument(error, "to", "is no position at or behind the one it is moved from");
    if (status != STELE_OK)
        return status;
    if (!views->move_mark)
        code = sqlite3_prepare_v3(views->connection->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &views->move_mark, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_bind_text(views->move_mark, 1, name, -1, SQLITE_STATIC);
    if (code == SQLITE_OK)
        code = sqlite3_bind_int64(views->move_mark, 2, version);
    if (code == SQLITE_OK)
        code = sqlite3_bind_int64(views->move_mark, 3, (int64_t)from);
    if (code == SQLITE_OK)
        code = sqlite3_bind_int64(views->move_mark, 4, (int64_t)to);
    if (code == SQLITE_OK)
        code = sqlite3_step(views->move_mark);
    if (code != SQLITE_DONE)
        status = stele__views_fail(views, NULL, code, "move the mark of a projection", error);
    sqlite3_reset(views->move_mark);
    if (status == STELE_OK && sqlite3_changes(views->connection->db) != 1)
        status = fail_moved(views, name, version, from, error);
    return status;
}

stele_status stele__mark_move(stele_views *views, const char *name, uint32_t version, uint64_t from, uint64_t to,
                              stele_error **error)
{
    const stele_status status = stele__views_enter(views, true, error);

    if (status != STELE_OK)
        return status;
    return stele__views_leave(views, true, mark_move(views, name, version, from, to, error), error);
}
