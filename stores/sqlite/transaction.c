/*
 * Write transactions of the writer's connection, one at a time.
 *
 *     begin: BEGIN IMMEDIATE -> head of the log -> is what the writer knows still so?
 *     commit: one sync -> known head          roll back: what the writer knows is forgotten
 *
 * What can fail: the lock is not had in time, the disk is full: nothing is
 * written. A failed write or sync poisons the store (contract D3).
 */
#include "sqlite/sqlite.h"

#include "base/error.h"
#include "base/log.h"

#include <string.h>

/* The log that was found at opening is still to be cut. */
static stele_status cut_log(struct sqlite_store *store, stele_error **error)
{
    bool truncated = false;
    stele_status status = stele__sqlite_truncate_log(store, store->busy_limit, &truncated, error);

    if (status == STELE_OK && !truncated)
        status = stele__fail(error, STELE_BUSY, "%s: another program keeps its log from being moved in", store->path);
    return status;
}

stele_status stele__sqlite_bring_up(struct sqlite_store *store, stele_error **error)
{
    const size_t newest = stele__sqlite_schema.step_count;
    stele_status status;

    if (atomic_load(&store->format) == newest)
        return STELE_OK;
    status = stele__sqlite_schema_upgrade(store->writer.connection, &stele__sqlite_schema, error);
    if (status == STELE_OK)
        atomic_store(&store->format, newest);
    return status;
}

/* What opening had to leave, because the disk was full. */
static stele_status catch_up(struct sqlite_store *store, stele_error **error)
{
    stele_status status = cut_log(store, error);

    if (status == STELE_OK)
        status = stele__sqlite_bring_up(store, error);
    store->uncut = status != STELE_OK;
    return status;
}

stele_status stele__sqlite_check_writable(struct sqlite_store *store, stele_error **error)
{
    if (!store->writer.connection)
        return stele__fail(error, STELE_READ_ONLY, "%s: opened for reading only", store->path);
    if (atomic_load(&store->poisoned))
        return stele__fail(error, STELE_IO, "%s: an earlier write failed: close the store and open it again",
                           store->path);
    return store->uncut ? catch_up(store, error) : STELE_OK;
}

stele_status stele__sqlite_begin(struct sqlite_store *store, stele_error **error)
{
    struct sqlite_writer *writer = &store->writer;
    const int code = stele__sqlite_run(writer->connection, STATEMENT_BEGIN);
    stele_status status;

    if (code != SQLITE_OK)
        return stele__sqlite_fail(writer->connection, code, "begin to write", error);
    status = stele__sqlite_number(writer->connection, STATEMENT_HEAD, &writer->head, error);
    if (status == STELE_OK && writer->head != writer->committed_head)
        stele__sqlite_writer_forget(writer);
    return status;
}

/* --- What a full disk leaves ------------------------------------------------------------- */

/* Of the log: its header, and what stands before each page in it (https://sqlite.org/walformat.html). */
enum {
    LOG_HEADER_SIZE = 32,
    FRAME_HEADER_SIZE = 24,
    INDEX_SIZE = 32768,
    INDEX_FRAMES_AT = 16,
    INDEX_PAGE_SIZE_AT = 14
};

static sqlite3_file *file_of(struct sqlite_connection *connection, int which)
{
    sqlite3_file *file = NULL;

    sqlite3_file_control(connection->db, "main", which, &file);
    return file && file->pMethods ? file : NULL;
}

/* Where the last commit in the log ends, by the index that all its users share; false if that cannot be read. */
static bool find_end(struct sqlite_connection *connection, sqlite3_int64 *end)
{
    sqlite3_file *file = file_of(connection, SQLITE_FCNTL_FILE_POINTER);
    void volatile *region = NULL;
    uint32_t frames;
    uint16_t page_size;

    if (!file || file->pMethods->iVersion < 2 ||
        file->pMethods->xShmMap(file, 0, INDEX_SIZE, 0, &region) != SQLITE_OK || !region)
        return false;
    memcpy(&frames, (const char *)(uintptr_t)region + INDEX_FRAMES_AT, sizeof(frames));
    memcpy(&page_size, (const char *)(uintptr_t)region + INDEX_PAGE_SIZE_AT, sizeof(page_size));
    /* Pages of 65,536 bytes are written down as 1. */
    *end = LOG_HEADER_SIZE + (sqlite3_int64)frames * (FRAME_HEADER_SIZE + (page_size == 1 ? 65536 : page_size));
    return true;
}

/* Cut the log behind its last commit, with the lock held. */
static bool cut_behind_commits(struct sqlite_connection *connection)
{
    sqlite3_file *log = file_of(connection, SQLITE_FCNTL_JOURNAL_POINTER);
    sqlite3_int64 size = 0;
    sqlite3_int64 end;

    if (!log || !find_end(connection, &end) || log->pMethods->xFileSize(log, &size) != SQLITE_OK)
        return false;
    if (size <= end)
        return true;
    return log->pMethods->xTruncate(log, end) == SQLITE_OK &&
           log->pMethods->xSync(log, SQLITE_SYNC_NORMAL) == SQLITE_OK;
}

/*
 * A commit that found the disk full has been taken back in memory, but its
 * frames are in the log, the last one written in part: with what an older log
 * left behind it, that may be a whole commit to whoever opens the file after a
 * crash. So the log is cut there before anybody is told that nothing was
 * written. False if it could not be.
 */
static bool take_back(struct sqlite_store *store)
{
    struct sqlite_connection *connection = store->writer.connection;
    bool is_done;

    stele__sqlite_roll_back(store);
    if (stele__sqlite_run(connection, STATEMENT_BEGIN) != SQLITE_OK)
        return false;
    is_done = cut_behind_commits(connection);
    stele__sqlite_run(connection, STATEMENT_ROLLBACK);
    return is_done;
}

/* --- Commit and rollback ------------------------------------------------------------------- */

stele_status stele__sqlite_commit(struct sqlite_store *store, bool *in_doubt, stele_error **error)
{
    struct sqlite_writer *writer = &store->writer;
    stele_status status;
    int code;

    *in_doubt = false;
    /* A failure on the way may have ended the transaction behind our back. */
    if (sqlite3_get_autocommit(writer->connection->db))
        return stele__sqlite_fail(writer->connection, SQLITE_IOERR, "write: the transaction was rolled back", error);
    status = stele__sqlite_check_files_often(store, error);
    if (status != STELE_OK)
        return status;
    code = stele__sqlite_run(writer->connection, STATEMENT_COMMIT);
    if (code == SQLITE_OK) {
        writer->committed_head = writer->head;
        return STELE_OK;
    }
    status = stele__sqlite_fail(writer->connection, code, "commit", error);
    if ((code & 0xff) == SQLITE_BUSY || ((code & 0xff) == SQLITE_FULL && take_back(store)))
        return status;
    atomic_store(&store->poisoned, true);
    *in_doubt = true;
    return status;
}

void stele__sqlite_roll_back(struct sqlite_store *store)
{
    struct sqlite_connection *connection = store->writer.connection;

    /* Some failures have rolled back already. */
    if (!sqlite3_get_autocommit(connection->db))
        stele__sqlite_run(connection, STATEMENT_ROLLBACK);
    stele__sqlite_writer_forget(&store->writer);
}

/* --- A change of its own ----------------------------------------------------------------- */

/* As with an append, a commit that was cut short may be found when the store is opened again. */
static stele_status commit_change(struct sqlite_store *store, stele_error **error)
{
    stele_error *cause = NULL;
    bool in_doubt;
    stele_status status = stele__sqlite_commit(store, &in_doubt, &cause);

    if (in_doubt) {
        status = stele__fail(error, STELE_UNKNOWN, "written or not, open the store again to see: %s",
                             stele_error_message(cause));
        stele__error_add(error, "path", "%s", store->path);
        stele_error_free(cause);
    } else if (status != STELE_OK && error) {
        *error = cause;
    } else {
        stele_error_free(cause);
    }
    return status;
}

static stele_status run(struct sqlite_store *store, sqlite_change *change, void *context, bool *changed,
                        stele_error **error)
{
    stele_status status = stele__sqlite_begin(store, error);

    if (status == STELE_OK)
        status = change(store, context, changed, error);
    if (status == STELE_OK && *changed)
        return commit_change(store, error);
    /* What could not be written is not tried again on the same pages. */
    if (status == STELE_IO && *changed)
        atomic_store(&store->poisoned, true);
    return status;
}

static void say_poisoned(const struct sqlite_store *store)
{
    STELE__LOG(STELE_LOG_ERROR, "the store takes no more appends until it is opened again", {"path", store->path});
}

stele_status stele__sqlite_change(struct sqlite_store *store, sqlite_change *change, void *context, stele_error **error)
{
    bool changed = false;
    stele_status status = stele__sqlite_check_writable(store, error);

    if (status != STELE_OK)
        return status;
    status = run(store, change, context, &changed, error);
    if (status == STELE_OK) {
        if (changed)
            stele__sqlite_checkpoint(store);
        else
            stele__sqlite_run(store->writer.connection, STATEMENT_ROLLBACK);
        return STELE_OK;
    }
    stele__sqlite_roll_back(store);
    if (atomic_load(&store->poisoned))
        say_poisoned(store);
    return status;
}

/* --- Transactions of the front --------------------------------------------------------------- */

static stele_status begin_transaction(struct stele_backend *backend, uint64_t *head, stele_error **error)
{
    struct sqlite_store *store = stele__sqlite_store(backend);
    stele_status status = stele__sqlite_check_writable(store, error);

    if (status != STELE_OK)
        return status;
    status = stele__sqlite_begin(store, error);
    if (status != STELE_OK)
        stele__sqlite_roll_back(store);
    *head = (uint64_t)store->writer.head;
    return status;
}

/* Only a write that failed has ended it already; then what could not be written is not tried again. */
static void end_transaction(struct sqlite_store *store, bool broken)
{
    if (broken && sqlite3_get_autocommit(store->writer.connection->db))
        atomic_store(&store->poisoned, true);
    stele__sqlite_roll_back(store);
    if (atomic_load(&store->poisoned))
        say_poisoned(store);
}

static void roll_back_transaction(struct stele_backend *backend, bool broken)
{
    end_transaction(stele__sqlite_store(backend), broken);
}

static stele_status commit_transaction(struct stele_backend *backend, stele_error **error)
{
    struct sqlite_store *store = stele__sqlite_store(backend);
    const stele_status status = commit_change(store, error);

    if (status == STELE_OK)
        stele__sqlite_checkpoint(store);
    else
        end_transaction(store, status == STELE_IO);
    return status;
}

const struct stele_store_transactions stele__sqlite_transactions = {
    .size = sizeof(struct stele_store_transactions),
    .begin = begin_transaction,
    .commit = commit_transaction,
    .roll_back = roll_back_transaction,
    .read = stele__sqlite_read_inside,
    .position = stele__sqlite_position_inside,
    .move = stele__sqlite_move_inside,
};
