/*
 * The checkpoints of readers of the log: one row for each, moved by comparing
 * and setting. (checkpoint.c is about those of SQLite's own log.)
 *
 * A file of an older format that is only read has none. What can fail: a row
 * whose checksum does not fit is STELE_CORRUPT, never a place to read on from.
 */
#include "sqlite/sqlite.h"

#include "base/error.h"

#include <inttypes.h>
#include <string.h>

/* Columns of the statements that select a checkpoint. */
enum { NAME, POSITION, TIME, CHECKSUM };

bool stele__sqlite_checkpoint_row(sqlite3_stmt *row, struct stele_checkpoint *out)
{
    const char *name = (const char *)sqlite3_column_text(row, NAME);

    out->name = name ? name : "";
    out->position = (uint64_t)sqlite3_column_int64(row, POSITION);
    out->time = sqlite3_column_int64(row, TIME);
    return stele__sqlite_checkpoint_checksum(out) == (uint64_t)sqlite3_column_int64(row, CHECKSUM);
}

static stele_status fail_damaged(const struct sqlite_connection *connection, const char *name, stele_error **error)
{
    stele__fail(error, STELE_CORRUPT, "%s: checkpoint \"%s\" is damaged: its checksum does not fit", connection->path,
                name);
    stele__error_add(error, "path", "%s", connection->path);
    stele__error_add(error, "checkpoint", "%s", name);
    return STELE_CORRUPT;
}

static stele_status fail_last(const struct sqlite_connection *connection, const char *doing, stele_error **error)
{
    return stele__sqlite_fail(connection, sqlite3_extended_errcode(connection->db), doing, error);
}

/* --- Reading ------------------------------------------------------------------------------- */

static stele_status visit_rows(struct sqlite_connection *connection, const char *name, stele_checkpoint_visit *visit,
                               void *context, stele_error **error)
{
    sqlite3_stmt *row =
        stele__sqlite_statement(connection, name ? STATEMENT_FIND_CHECKPOINT : STATEMENT_CHECKPOINT_ROWS);
    struct stele_checkpoint checkpoint;
    stele_status status = STELE_OK;
    bool wanted = true;
    int code = SQLITE_ROW;

    if (!row)
        return fail_last(connection, "read a checkpoint", error);
    if (name)
        sqlite3_bind_text(row, 1, name, -1, SQLITE_STATIC);
    while (status == STELE_OK && wanted && (code = sqlite3_step(row)) == SQLITE_ROW) {
        /* In a damaged page another's row may stand where this name is looked for. */
        if (stele__sqlite_checkpoint_row(row, &checkpoint) && (!name || strcmp(name, checkpoint.name) == 0))
            wanted = visit(context, &checkpoint);
        else
            status = fail_damaged(connection, name ? name : checkpoint.name, error);
    }
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        status = stele__sqlite_fail(connection, code, "read a checkpoint", error);
    sqlite3_reset(row);
    return status;
}

stele_status stele__sqlite_read_checkpoints(struct stele_backend *backend, const char *name,
                                            stele_checkpoint_visit *visit, void *context, stele_error **error)
{
    struct sqlite_store *store = stele__sqlite_store(backend);
    struct sqlite_connection *connection = NULL;
    stele_status status = stele__sqlite_take_format(store, FORMAT_CHECKPOINTS, &connection, error);

    if (!connection)
        return status;
    status = visit_rows(connection, name, visit, context, error);
    stele__sqlite_give(store, connection);
    return status;
}

/* --- Writing -------------------------------------------------------------------------------- */

struct move {
    const struct stele_checkpoint *checkpoint;
    uint64_t expected;
};

static bool take_position(void *context, const struct stele_checkpoint *checkpoint)
{
    uint64_t *position = context;

    *position = checkpoint->position;
    return false;
}

/* Write it, or with `from` only move one that is there. */
static stele_status put(struct sqlite_connection *connection, const struct stele_checkpoint *checkpoint,
                        const uint64_t *from, stele_error **error)
{
    sqlite3_stmt *statement =
        stele__sqlite_statement(connection, from ? STATEMENT_MOVE_CHECKPOINT : STATEMENT_WRITE_CHECKPOINT);
    int code;

    if (!statement)
        return fail_last(connection, "write a checkpoint", error);
    if (from)
        sqlite3_bind_int64(statement, 5, (int64_t)*from);
    sqlite3_bind_text(statement, 1, checkpoint->name, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 2, (int64_t)checkpoint->position);
    sqlite3_bind_int64(statement, 3, checkpoint->time);
    sqlite3_bind_int64(statement, 4, (int64_t)stele__sqlite_checkpoint_checksum(checkpoint));
    code = sqlite3_step(statement);
    sqlite3_reset(statement);
    return code == SQLITE_DONE ? STELE_OK : stele__sqlite_fail(connection, code, "write a checkpoint", error);
}

static stele_status move(struct sqlite_store *store, void *context, bool *changed, stele_error **error)
{
    const struct move *wanted = context;
    const struct stele_checkpoint *checkpoint = wanted->checkpoint;
    struct sqlite_writer *writer = &store->writer;
    uint64_t stored = STELE_NO_CHECKPOINT;
    stele_status status = visit_rows(writer->connection, checkpoint->name, take_position, &stored, error);

    if (status == STELE_OK)
        status = stele_checkpoint_rules(checkpoint, wanted->expected, stored, (uint64_t)writer->head, error);
    if (status != STELE_OK)
        return status;
    *changed = true;
    return put(writer->connection, checkpoint, NULL, error);
}

stele_status stele__sqlite_write_checkpoint(struct stele_backend *backend, const struct stele_checkpoint *checkpoint,
                                            uint64_t expected, stele_error **error)
{
    struct move wanted = {checkpoint, expected};

    return stele__sqlite_change(stele__sqlite_store(backend), move, &wanted, error);
}

/* --- Inside a transaction of the front or of an append ----------------------------------------- */

stele_status stele__sqlite_position_inside(struct stele_backend *backend, const char *name, uint64_t *position,
                                           stele_error **error)
{
    *position = STELE_NO_CHECKPOINT;
    return visit_rows(stele__sqlite_store(backend)->writer.connection, name, take_position, position, error);
}

stele_status stele__sqlite_move_inside(struct stele_backend *backend, const struct stele_checkpoint *checkpoint,
                                       uint64_t expected, stele_error **error)
{
    struct sqlite_connection *connection = stele__sqlite_store(backend)->writer.connection;
    const bool is_new = expected == STELE_NO_CHECKPOINT;
    stele_status status;

    /* Without the transaction, which a failure may have ended, this would be one of its own. */
    if (sqlite3_get_autocommit(connection->db))
        return stele__sqlite_fail(connection, SQLITE_IOERR, "write views: the transaction was rolled back", error);
    status = put(connection, checkpoint, is_new ? NULL : &expected, error);
    if (status != STELE_OK || is_new || sqlite3_changes(connection->db) == 1)
        return status;
    stele__fail(error, STELE_CONFLICT, "%s: checkpoint \"%s\" is not at %" PRIu64 " any more", connection->path,
                checkpoint->name, expected);
    stele__error_add(error, "checkpoint", "%s", checkpoint->name);
    return STELE_CONFLICT;
}

/* --- Taking away --------------------------------------------------------------------------------- */

struct removal {
    const char *name;
    bool found;
};

static stele_status take_away(struct sqlite_store *store, void *context, bool *changed, stele_error **error)
{
    struct removal *removal = context;
    struct sqlite_connection *connection = store->writer.connection;
    sqlite3_stmt *statement = stele__sqlite_statement(connection, STATEMENT_DELETE_CHECKPOINT);
    int code;

    if (!statement)
        return fail_last(connection, "delete a checkpoint", error);
    sqlite3_bind_text(statement, 1, removal->name, -1, SQLITE_STATIC);
    *changed = true;
    code = sqlite3_step(statement);
    sqlite3_reset(statement);
    if (code != SQLITE_DONE)
        return stele__sqlite_fail(connection, code, "delete a checkpoint", error);
    removal->found = *changed = sqlite3_changes(connection->db) > 0;
    return STELE_OK;
}

stele_status stele__sqlite_delete_checkpoint(struct stele_backend *backend, const char *name, bool *found,
                                             stele_error **error)
{
    struct removal removal = {.name = name};
    const stele_status status = stele__sqlite_change(stele__sqlite_store(backend), take_away, &removal, error);

    *found = removal.found;
    return status;
}
