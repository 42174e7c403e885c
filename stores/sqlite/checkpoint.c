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

#define MILLISECOND INT64_C(1000000)

enum {
    LONG = 2,               /* times its length: the log is begun anew even if readers must be waited for */
    VERY_LONG = 4,          /* and it is cut */
    PATIENCE_READERS = 100, /* ms that they are waited for */
    RENEW_BYTES = 16384     /* of the log in one go */
};

static void note_failure(struct sqlite_store *store, int code)
{
    STELE__LOG(STELE_LOG_WARNING, "a checkpoint failed", {"path", store->path}, {"why", sqlite3_errstr(code)});
    if (stele__sqlite_status(code) == STELE_IO)
        atomic_store(&store->poisoned, true);
}

/* Move what no reader needs, without waiting for anybody; SQLITE_BUSY if somebody else is at it. */
static int move_log(struct sqlite_store *store)
{
    struct sqlite_connection *writer = store->writer.connection;
    const int64_t patience = writer->busy_limit;
    int code;

    /* What is committed is not acknowledged yet: if another process holds the lock, the next commit will do. */
    writer->busy_limit = 0;
    code = stele__sqlite_run(writer, STATEMENT_BEGIN);
    writer->busy_limit = patience;
    if (code != SQLITE_OK)
        return SQLITE_BUSY;
    code = sqlite3_wal_checkpoint_v2(store->checkpointer->db, "main", SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    stele__sqlite_run(writer, STATEMENT_ROLLBACK);
    return code;
}

/*
 * Move the log under the write lock, waiting up to `patience` ns for that and
 * for readers of older snapshots. To restart or to cut it, readers of its last
 * snapshot are waited for as well; who comes meanwhile reads from the file.
 */
static int move_all(struct sqlite_connection *connection, int mode, int64_t patience, int *pages)
{
    const int64_t limit = connection->busy_limit;
    int code;

    connection->busy_limit = patience;
    connection->interrupt_on_giving_up = true;
    code = sqlite3_wal_checkpoint_v2(connection->db, "main", mode, pages, NULL);
    connection->busy_limit = limit;
    connection->interrupt_on_giving_up = false;
    return code;
}

static bool gave_up(int code)
{
    return (code & 0xff) == SQLITE_BUSY || code == SQLITE_INTERRUPT;
}

static int find_log(struct sqlite_connection *connection, sqlite3_file **out)
{
    const int code = sqlite3_file_control(connection->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, out);

    return code == SQLITE_OK && (!*out || !(*out)->pMethods) ? SQLITE_IOERR : code;
}

/* SQLite does not sync the cut: without that, too, a power cut could bring the log back. */
static int sync_log(struct sqlite_connection *connection)
{
    sqlite3_file *log = NULL;
    const int code = find_log(connection, &log);

    return code == SQLITE_OK ? log->pMethods->xSync(log, SQLITE_SYNC_NORMAL) : code;
}

static int truncate_log(struct sqlite_connection *connection, int64_t patience, bool *truncated)
{
    int pages = -1;
    const int code = move_all(connection, SQLITE_CHECKPOINT_TRUNCATE, patience, &pages);

    *truncated = code == SQLITE_OK && pages == 0;
    return *truncated ? sync_log(connection) : code;
}

/*
 * With readers that come and go without a pause there is never a moment without
 * one, and the log would grow for ever: each commit finds it in use and goes on
 * at its end. So commits wait for a moment, until those who read now have gone.
 */
static int restart_log(struct sqlite_store *store)
{
    const int64_t patience = PATIENCE_READERS * MILLISECOND;
    bool truncated = false;

    if (store->writer.log_pages / VERY_LONG >= store->checkpoint_pages)
        return truncate_log(store->checkpointer, patience, &truncated);
    return move_all(store->checkpointer, SQLITE_CHECKPOINT_RESTART, patience, NULL);
}

/* Until the log begins anew: the longer it is, the longer until it is worth another try. */
static int next_length(const struct sqlite_store *store, int pages)
{
    const int longer = pages + pages / 4;
    const int too_long = LONG * store->checkpoint_pages;

    return pages < too_long && too_long < longer ? too_long : longer;
}

void stele__sqlite_checkpoint(struct sqlite_store *store)
{
    struct sqlite_writer *writer = &store->writer;
    int code;

    if (writer->log_pages < writer->checkpoint_at)
        return;
    code = move_log(store);
    if ((code & 0xff) == SQLITE_BUSY)
        return;
    if (code == SQLITE_OK && writer->log_pages / LONG >= store->checkpoint_pages)
        code = restart_log(store);
    if (code != SQLITE_OK && !gave_up(code))
        note_failure(store, code);
    writer->checkpoint_at = next_length(store, writer->log_pages);
}

/*
 * The log is cut, not only moved: what is there tomorrow is then one file, and
 * readers need not look into the log for each page. A reader in the way keeps it
 * from that for this time. The next burst pays for the log to grow again.
 */
static int empty_log(struct sqlite_store *store, bool *emptied)
{
    const int code = move_log(store);

    return code == SQLITE_OK ? truncate_log(store->checkpointer, 0, emptied) : code;
}

bool stele__sqlite_idle(struct stele_backend *backend)
{
    struct sqlite_store *store = stele__sqlite_store(backend);
    struct sqlite_writer *writer = &store->writer;
    bool emptied = false;
    int code;

    /* What lies at the paths now is not to be touched any more than by a close. */
    if (writer->log_pages == 0 || atomic_load(&store->poisoned) || stele__sqlite_check_files(store, NULL) != STELE_OK)
        return true;
    code = empty_log(store, &emptied);
    if (code != SQLITE_OK && !gave_up(code))
        note_failure(store, code);
    if (!emptied || code != SQLITE_OK)
        return false;
    writer->log_pages = 0;
    writer->checkpoint_at = store->checkpoint_pages;
    return true;
}

void stele__sqlite_note_log(struct sqlite_store *store, int pages)
{
    if (pages <= store->writer.log_pages)
        store->writer.checkpoint_at = store->checkpoint_pages;
    store->writer.log_pages = pages;
}

/*
 * Write the log over itself and sync it. A sync that failed may have dropped
 * bytes of it that reads still show: moved into the file as they are, they
 * would be ahead of the log on the disk, which a power cut would bring back and
 * play over them. Only a new write makes a new sync write them. Where a torn
 * write may spoil what lies beside it, the log is safer left alone.
 */
static int renew_log(struct sqlite_connection *connection)
{
    unsigned char bytes[RENEW_BYTES];
    sqlite3_file *log = NULL;
    sqlite3_int64 size = 0;
    int code = find_log(connection, &log);

    if (code != SQLITE_OK || !(log->pMethods->xDeviceCharacteristics(log) & SQLITE_IOCAP_POWERSAFE_OVERWRITE))
        return code;
    code = log->pMethods->xFileSize(log, &size);
    for (sqlite3_int64 at = 0; at < size && code == SQLITE_OK; at += RENEW_BYTES) {
        const int length = size - at < RENEW_BYTES ? (int)(size - at) : RENEW_BYTES;

        code = log->pMethods->xRead(log, bytes, length, at);
        if (code == SQLITE_OK)
            code = log->pMethods->xWrite(log, bytes, length, at);
    }
    return code == SQLITE_OK ? log->pMethods->xSync(log, SQLITE_SYNC_NORMAL) : code;
}

/* Under the write lock, so that nobody adds to the log meanwhile. */
static int renew_log_alone(struct sqlite_store *store, int64_t patience)
{
    struct sqlite_connection *connection = store->writer.connection;
    const int64_t limit = connection->busy_limit;
    int code;

    connection->busy_limit = patience;
    code = stele__sqlite_run(connection, STATEMENT_BEGIN);
    connection->busy_limit = limit;
    if (code != SQLITE_OK)
        return code;
    code = renew_log(connection);
    stele__sqlite_run(connection, STATEMENT_ROLLBACK);
    return code;
}

stele_status stele__sqlite_truncate_log(struct sqlite_store *store, int64_t patience, bool *truncated,
                                        stele_error **error)
{
    int code = renew_log_alone(store, patience);

    *truncated = false;
    if (code != SQLITE_OK && (code & 0xff) != SQLITE_BUSY)
        return stele__sqlite_fail(store->writer.connection, code, "renew its log", error);
    if (code == SQLITE_OK)
        code = truncate_log(store->checkpointer, patience, truncated);
    if (code == SQLITE_OK || gave_up(code))
        return STELE_OK;
    return stele__sqlite_fail(store->checkpointer, code, "move its log into it", error);
}
