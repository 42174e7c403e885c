/*
 * Snapshots: one row for a stream, replaced by the next.
 *
 * A cache, so a damaged row is no loss: reading it is STELE_CORRUPT, which the
 * front takes for none, and saving overwrites it. A file of format 1 that is
 * only read has no snapshots.
 */
#include "sqlite/sqlite.h"

#include "base/error.h"

#include <inttypes.h>
#include <string.h>

/* Columns of the statements that select a snapshot. */
enum { STREAM, VERSION, FINGERPRINT, STATE, TIME, CHECKSUM };

static stele_status fail_last(const struct sqlite_connection *connection, const char *doing, stele_error **error)
{
    return stele__sqlite_fail(connection, sqlite3_extended_errcode(connection->db), doing, error);
}

bool stele__sqlite_snapshot_row(sqlite3_stmt *row, int64_t *stream, struct stele_snapshot *out)
{
    const struct stele_slice fingerprint = stele__sqlite_blob(row, FINGERPRINT);

    *stream = sqlite3_column_int64(row, STREAM);
    out->version = (uint64_t)sqlite3_column_int64(row, VERSION);
    out->state = stele__sqlite_blob(row, STATE);
    out->time = sqlite3_column_int64(row, TIME);
    if (fingerprint.size != sizeof(out->fingerprint))
        return false;
    memcpy(out->fingerprint, fingerprint.data, sizeof(out->fingerprint));
    return stele__sqlite_snapshot_checksum(*stream, out) == (uint64_t)sqlite3_column_int64(row, CHECKSUM);
}

/* --- Loading ------------------------------------------------------------------------------- */

static stele_status fail_damaged(const struct sqlite_connection *connection, struct stele_slice stream,
                                 stele_error **error)
{
    stele__fail(error, STELE_CORRUPT, "%s: the snapshot of stream \"%.*s\" is damaged: its checksum does not fit",
                connection->path, STELE_SLICE(stream));
    stele__error_add(error, "path", "%s", connection->path);
    stele__error_add(error, "stream", "%.*s", STELE_SLICE(stream));
    return STELE_CORRUPT;
}

static stele_status load(struct sqlite_connection *connection, struct stele_slice stream, stele_snapshot_visit *visit,
                         void *context, stele_error **error)
{
    sqlite3_stmt *row = stele__sqlite_statement(connection, STATEMENT_FIND_SNAPSHOT);
    struct stele_snapshot snapshot = {.stream = stream};
    stele_status status = STELE_OK;
    int64_t id;
    int code;

    if (!row)
        return fail_last(connection, "load a snapshot", error);
    sqlite3_bind_text(row, 1, stream.data, (int)stream.size, SQLITE_STATIC);
    code = sqlite3_step(row);
    if (code == SQLITE_ROW && stele__sqlite_snapshot_row(row, &id, &snapshot))
        visit(context, &snapshot);
    else if (code == SQLITE_ROW)
        status = fail_damaged(connection, stream, error);
    else if (code != SQLITE_DONE)
        status = stele__sqlite_fail(connection, code, "load a snapshot", error);
    sqlite3_reset(row);
    return status;
}

stele_status stele__sqlite_load_snapshot(struct stele_backend *backend, struct stele_slice stream,
                                         stele_snapshot_visit *visit, void *context, stele_error **error)
{
    struct sqlite_store *store = stele__sqlite_store(backend);
    struct sqlite_connection *connection = NULL;
    stele_status status = stele__sqlite_take_format(store, FORMAT_LEDGER, &connection, error);

    if (!connection)
        return status;
    status = load(connection, stream, visit, context, error);
    stele__sqlite_give(store, connection);
    return status;
}

/* --- Saving --------------------------------------------------------------------------------- */

/* Is there a snapshot that the new one must not replace? */
static stele_status find_newer(struct sqlite_connection *connection, const struct sqlite_known *stream,
                               const struct stele_snapshot *snapshot, bool *newer, stele_error **error)
{
    sqlite3_stmt *row = stele__sqlite_statement(connection, STATEMENT_STORED_SNAPSHOT);
    struct stele_snapshot stored = {.version = 0};
    int64_t id;
    int code;

    *newer = false;
    if (!row)
        return fail_last(connection, "save a snapshot", error);
    sqlite3_bind_int64(row, 1, stream->id);
    code = sqlite3_step(row);
    if (code == SQLITE_ROW)
        *newer = stele__sqlite_snapshot_row(row, &id, &stored) && stored.version > snapshot->version &&
                 stored.version <= stream->version &&
                 memcmp(stored.fingerprint, snapshot->fingerprint, sizeof(stored.fingerprint)) == 0;
    sqlite3_reset(row);
    return code == SQLITE_ROW || code == SQLITE_DONE ? STELE_OK
                                                     : stele__sqlite_fail(connection, code, "save a snapshot", error);
}

static stele_status write(struct sqlite_connection *connection, int64_t stream, const struct stele_snapshot *snapshot,
                          stele_error **error)
{
    sqlite3_stmt *statement = stele__sqlite_statement(connection, STATEMENT_SAVE_SNAPSHOT);
    int code;

    if (!statement)
        return fail_last(connection, "save a snapshot", error);
    sqlite3_bind_int64(statement, 1, stream);
    sqlite3_bind_int64(statement, 2, (int64_t)snapshot->version);
    sqlite3_bind_blob(statement, 3, snapshot->fingerprint, (int)sizeof(snapshot->fingerprint), SQLITE_STATIC);
    sqlite3_bind_blob64(statement, 4, snapshot->state.data, snapshot->state.size, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 5, snapshot->time);
    sqlite3_bind_int64(statement, 6, (int64_t)stele__sqlite_snapshot_checksum(stream, snapshot));
    code = sqlite3_step(statement);
    sqlite3_reset(statement);
    return code == SQLITE_DONE ? STELE_OK : stele__sqlite_fail(connection, code, "save a snapshot", error);
}

static stele_status fail_missing(struct stele_slice stream, stele_error **error)
{
    stele__fail(error, STELE_NOT_FOUND, "there is no stream \"%.*s\"", STELE_SLICE(stream));
    stele__error_add(error, "stream", "%.*s", STELE_SLICE(stream));
    return STELE_NOT_FOUND;
}

static stele_status save(struct sqlite_store *store, void *context, bool *changed, stele_error **error)
{
    const struct stele_snapshot *snapshot = context;
    struct sqlite_known *stream = NULL;
    bool newer = false;
    stele_status status = stele__sqlite_writer_stream(&store->writer, snapshot->stream, &stream, error);

    if (status != STELE_OK)
        return status;
    if (stream->version == 0)
        return fail_missing(snapshot->stream, error);
    if (snapshot->version > stream->version)
        return stele__fail_argument(error, "snapshot", "its version is beyond that of its stream");
    status = find_newer(store->writer.connection, stream, snapshot, &newer, error);
    if (status != STELE_OK || newer)
        return status;
    *changed = true;
    return write(store->writer.connection, stream->id, snapshot, error);
}

/* The change's context is not const; `save` only reads it. */
stele_status stele__sqlite_save_snapshot(struct stele_backend *backend, const struct stele_snapshot *snapshot,
                                         stele_error **error)
{
    struct stele_snapshot copy = *snapshot;

    return stele__sqlite_change(stele__sqlite_store(backend), save, &copy, error);
}

/* --- Dropping --------------------------------------------------------------------------------- */

static stele_status drop(struct sqlite_store *store, void *context, bool *changed, stele_error **error)
{
    const struct stele_slice *stream = context;
    struct sqlite_connection *connection = store->writer.connection;
    sqlite3_stmt *statement =
        stele__sqlite_statement(connection, stream->data ? STATEMENT_DROP_SNAPSHOT : STATEMENT_DROP_SNAPSHOTS);
    int code;

    if (!statement)
        return fail_last(connection, "drop a snapshot", error);
    if (stream->data)
        sqlite3_bind_text(statement, 1, stream->data, (int)stream->size, SQLITE_STATIC);
    *changed = true;
    code = sqlite3_step(statement);
    sqlite3_reset(statement);
    if (code != SQLITE_DONE)
        return stele__sqlite_fail(connection, code, "drop a snapshot", error);
    *changed = sqlite3_changes(connection->db) > 0;
    return STELE_OK;
}

stele_status stele__sqlite_drop_snapshot(struct stele_backend *backend, struct stele_slice stream, stele_error **error)
{
    return stele__sqlite_change(stele__sqlite_store(backend), drop, &stream, error);
}
