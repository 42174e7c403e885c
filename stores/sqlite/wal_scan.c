/*
 * Looking into the log before SQLite does (contract D5).
 *
 *     -wal, read through the VFS -> stele__sqlite_wal_walk() -> commits behind damage?
 *         none: go on; 1 or 2: a torn end may look so, warn; more: STELE_CORRUPT
 *         perhaps, perhaps a log just begun anew: stele__sqlite_wal_is_moved() asks the file
 *
 * With sync=normal or off a power cut may leave any number of them, so they are
 * only warned of. A writer in another process may change the log during the
 * scan: damage counts only if it is seen in several scans. The log carries no
 * locks, so opening it here is harmless.
 */
#include "sqlite/sqlite.h"

#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum {
    TORN_MAX = 2, /* most whole commits that a power cut leaves behind a torn one */
    SCANS = 3,
    TRIES = 10 /* at a file that is there, but not any more when it is opened */
};

struct source {
    struct sqlite_wal_source base;
    sqlite3_file *file;
};

static bool read_file(void *context, void *bytes, size_t size, uint64_t offset)
{
    struct source *source = context;
    const int code = source->file->pMethods->xRead(source->file, bytes, (int)size, (sqlite3_int64)offset);

    if (code != SQLITE_OK && code != SQLITE_IOERR_SHORT_READ)
        source->base.failed = true;
    return code == SQLITE_OK;
}

/* --- Opening through the VFS --------------------------------------------------------------- */

/* The two files, by names that a VFS may look for parameters behind. */
struct files {
    const struct sqlite_store *store;
    sqlite3_vfs *vfs;
    sqlite3_filename database, log;
};

/* What is done with a file while it is open. */
typedef stele_status file_work(const struct files *files, sqlite3_file *file, void *out, stele_error **error);

static bool is_there(sqlite3_vfs *vfs, const char *path)
{
    int exists = 0;

    return vfs->xAccess(vfs, path, SQLITE_ACCESS_EXISTS, &exists) == SQLITE_OK && exists;
}

/*
 * The last one to close the store may remove its log, the first one to open it make it again, at any moment. So a
 * file that is missed once is none, whatever is there by now; one that is there and cannot be opened may have just gone.
 */
static int open_if_there(sqlite3_vfs *vfs, sqlite3_filename path, int kind, sqlite3_file *file)
{
    int code = SQLITE_CANTOPEN;

    for (int i = 0; i < TRIES && code == SQLITE_CANTOPEN; i++) {
        if (!is_there(vfs, path))
            return SQLITE_OK;
        code = vfs->xOpen(vfs, path, file, SQLITE_OPEN_READONLY | kind, NULL);
    }
    return code;
}

static stele_status with_file(const struct files *files, sqlite3_filename path, int kind, file_work *work, void *out,
                              stele_error **error)
{
    sqlite3_file *file = stele__alloc((size_t)files->vfs->szOsFile);
    stele_status status = STELE_OK;
    int code;

    if (!file)
        return stele__fail_memory(error);
    code = open_if_there(files->vfs, path, kind, file);
    if (code != SQLITE_OK)
        status = stele__fail(error, stele__sqlite_status(code), "%s: %s cannot be opened (SQLite code %d)",
                             files->store->path, path, code);
    else if (file->pMethods)
        status = work(files, file, out, error);
    if (file->pMethods)
        file->pMethods->xClose(file);
    stele__free(file, (size_t)files->vfs->szOsFile);
    return status;
}

/* Does nothing if there is no log. */
static stele_status with_log(const struct sqlite_store *store, file_work *work, void *out, stele_error **error)
{
    sqlite3_filename name = sqlite3_create_filename(store->path, "", store->log_path, 0, NULL);
    struct files files = {.store = store, .vfs = sqlite3_vfs_find(store->vfs), .database = name};
    stele_status status;

    if (!name)
        return stele__fail_memory(error);
    files.log = sqlite3_filename_wal(name);
    status = with_file(&files, files.log, SQLITE_OPEN_WAL, work, out, error);
    sqlite3_free_filename(name);
    return status;
}

/* --- Scanning ------------------------------------------------------------------------------- */

struct comparison {
    struct source log;
    bool moved;
};

static struct source source_of(sqlite3_file *file)
{
    return (struct source){.base = {.read = read_file}, .file = file};
}

static stele_status compare_with(const struct files *files, sqlite3_file *file, void *out, stele_error **error)
{
    struct comparison *comparison = out;
    struct source database = source_of(file);

    (void)files;
    database.base.context = &database;
    return stele__sqlite_wal_is_moved(&comparison->log.base, &database.base, &comparison->moved, error);
}

/*
 * SQLite's VFS knows which locks the process holds on the database: closing it
 * there drops none.
 */
static stele_status settle(const struct files *files, sqlite3_file *log, struct sqlite_wal_facts *facts,
                           stele_error **error)
{
    struct comparison comparison = {.log = source_of(log), .moved = false};
    stele_status status;

    comparison.log.base.context = &comparison.log;
    status = with_file(files, files->database, SQLITE_OPEN_MAIN_DB, compare_with, &comparison, error);
    if (comparison.moved)
        facts->at_risk = 0;
    return status;
}

static stele_status walk_file(const struct files *files, sqlite3_file *file, void *out, stele_error **error)
{
    struct source source = source_of(file);
    struct sqlite_wal_facts *facts = out;
    stele_status status;

    source.base.context = &source;
    status = stele__sqlite_wal_walk(&source.base, facts, error);
    if (status == STELE_OK && facts->contested && facts->at_risk)
        status = settle(files, file, facts, error);
    if (status != STELE_OK)
        stele__error_prefix(error, "%s", files->store->path);
    return status;
}

stele_status stele__sqlite_scan_log(const struct sqlite_store *store, struct sqlite_wal_facts *out, stele_error **error)
{
    memset(out, 0, sizeof(*out));
    return with_log(store, walk_file, out, error);
}

static stele_status measure_file(const struct files *files, sqlite3_file *file, void *out, stele_error **error)
{
    sqlite3_int64 size = 0;
    const int code = file->pMethods->xFileSize(file, &size);

    if (code != SQLITE_OK)
        return stele__fail(error, stele__sqlite_status(code), "%s: its write-ahead log cannot be measured",
                           files->store->path);
    *(uint64_t *)out = (uint64_t)size;
    return STELE_OK;
}

uint64_t stele__sqlite_log_size(const struct sqlite_store *store)
{
    struct stat facts;
    uint64_t size = 0;

    if (!store->vfs)
        return stat(store->log_path, &facts) == 0 ? (uint64_t)facts.st_size : 0;
    with_log(store, measure_file, &size, NULL);
    return size;
}

/* Of several scans the one that saw least damage: what a writer caused is gone in the next. */
static stele_status scan_calmly(const struct sqlite_store *store, struct sqlite_wal_facts *out, stele_error **error)
{
    stele_status status = stele__sqlite_scan_log(store, out, error);

    for (int i = 1; i < SCANS && status == STELE_OK && out->at_risk; i++) {
        struct sqlite_wal_facts again;

        status = stele__sqlite_scan_log(store, &again, error);
        if (status == STELE_OK && again.at_risk < out->at_risk)
            *out = again;
    }
    return status;
}

static void warn(const struct sqlite_store *store, const struct sqlite_wal_facts *facts)
{
    char commits[24];

    snprintf(commits, sizeof(commits), "%" PRIu64, facts->at_risk);
    STELE__LOG(STELE_LOG_WARNING, "the write-ahead log has commits behind a damaged one: they are lost",
               {"path", store->path}, {"commits", commits});
}

stele_status stele__sqlite_inspect_log(const struct sqlite_store *store, stele_error **error)
{
    struct sqlite_wal_facts facts;
    stele_status status = scan_calmly(store, &facts, error);

    if (status != STELE_OK || !facts.at_risk)
        return status;
    if (facts.at_risk <= TORN_MAX || store->sync != SYNC_FULL || store->accept_damage) {
        warn(store, &facts);
        return STELE_OK;
    }
    return stele__fail(error, STELE_CORRUPT,
                       "%s: its write-ahead log %s is damaged at byte %" PRIu64 ": %" PRIu64
                       " commits behind it are at risk; restore the log from a copy, or open with accept=wal-damage "
                       "to lose them",
                       store->path, store->log_path, facts.damaged, facts.at_risk);
}
