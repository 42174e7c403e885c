/*
 * Checkpoints, only ever under the write lock (contract D2).
 *
 * Before 3.51.3 SQLite can lose commits when a checkpoint runs beside a writer.
 * So the writer's connection takes the write lock and the checkpointer's
 * connection moves the log meanwhile. A truncating checkpoint takes the write
 * lock itself, but falls back to running without it when it has waited in vain:
 * giving up therefore interrupts it before it moves anything.
 *
 * What can fail: the file's disk is full (tried again later) or broken (the
 * store is poisoned, as by a failed commit); somebody reads an old snapshot
 * (the rest is moved next time).
 */
#include "sqlite/sqlite.h"

#include "base/error.h"
#include "base/log.h"

#include <inttypes.h>
#include <stdio.h>

enum { RETRY_PAGES = 1000 }; /* how far the log grows before an incomplete checkpoint is tried again */

static void note_failure(struct sqlite_store *store, int code)
{
    STELE__LOG(STELE_LOG_WARNING, "a checkpoint failed", {"path", store->path}, {"why", sqlite3_errstr(code)});
    if (stele__sqlite_status(code) == STELE_IO)
        atomic_store(&store->poisoned, true);
}

/* True if all of the log is in the file. */
static bool move_log(struct sqlite_store *store)
{
    int pages = -1;
    int moved = -1;
    int code = sqlite3_wal_checkpoint_v2(store->checkpointer->db, "main", SQLITE_CHECKPOINT_PASSIVE, &pages, &moved);

    /* Busy: another process is checkpointing. */
    if (code != SQLITE_OK && code != SQLITE_BUSY)
        note_failure(store, code);
    return code == SQLITE_OK && pages > 0 && moved == pages;
}

void stele__sqlite_checkpoint(struct sqlite_store *store)
{
    struct sqlite_writer *writer = &store->writer;
    bool complete;

    if (writer->log_pages < writer->checkpoint_at)
        return;
    if (stele__sqlite_run(writer->connection, STATEMENT_BEGIN) != SQLITE_OK)
        return;
    complete = move_log(store);
    stele__sqlite_run(writer->connection, STATEMENT_ROLLBACK);
    writer->checkpoint_at = complete ? store->checkpoint_pages : writer->log_pages + RETRY_PAGES;
}

/*
 * SQLite does not sync the cut. If an earlier sync failed and the system dropped
 * the log's bytes, the file may by now be ahead of what the disk has of the log:
 * without this sync a power cut would bring that log back, and it would be
 * played over the file.
 */
static int sync_log(struct sqlite_connection *connection)
{
    sqlite3_file *log = NULL;
    const int code = sqlite3_file_control(connection->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);

    if (code != SQLITE_OK || !log || !log->pMethods)
        return code;
    return log->pMethods->xSync(log, SQLITE_SYNC_NORMAL);
}

stele_status stele__sqlite_truncate_log(struct sqlite_store *store, int64_t patience, bool *truncated,
                                        stele_error **error)
{
    struct sqlite_connection *connection = store->checkpointer;
    const int64_t limit = connection->busy_limit;
    int pages = -1;
    int moved = -1;
    int code;

    connection->busy_limit = patience;
    connection->interrupt_on_giving_up = true;
    code = sqlite3_wal_checkpoint_v2(connection->db, "main", SQLITE_CHECKPOINT_TRUNCATE, &pages, &moved);
    connection->busy_limit = limit;
    connection->interrupt_on_giving_up = false;
    *truncated = code == SQLITE_OK && pages == 0;
    if (*truncated)
        code = sync_log(connection);
    if (code == SQLITE_OK || code == SQLITE_BUSY || code == SQLITE_INTERRUPT)
        return STELE_OK;
    return stele__sqlite_fail(connection, code, "move its log into it", error);
}
