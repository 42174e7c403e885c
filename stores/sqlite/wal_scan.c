/*
 * Looking into the log before SQLite does (contract D5).
 *
 *     -wal, read through the VFS -> stele__sqlite_wal_walk() -> commits behind damage?
 *         none: go on; 1 or 2: a torn end may look so, warn; more: STELE_CORRUPT
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
    TRIES = 3
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

/* What is done with the log while it is open. */
typedef stele_status log_work(const struct sqlite_store *store, sqlite3_file *file, void *out, stele_error **error);

static stele_status walk_file(const struct sqlite_store *store, sqlite3_file *file, void *out, stele_error **error)
{
    struct source source = {.base = {.read = read_file}, .file = file};
    stele_status status;

    source.base.context = &source;
    status = stele__sqlite_wal_walk(&source.base, out, error);
    if (status != STELE_OK)
        stele__error_prefix(error, "%s", store->path);
    return status;
}

static stele_status measure_file(const struct sqlite_store *store, sqlite3_file *file, void *out, stele_error **error)
{
    sqlite3_int64 size = 0;
    const int code = file->pMethods->xFileSize(file, &size);

    if (code != SQLITE_OK)
        return stele__fail(error, stele__sqlite_status(code), "%s: its write-ahead log cannot be measured",
                           store->path);
    *(uint64_t *)out = (uint64_t)size;
    return STELE_OK;
}

static bool is_there(sqlite3_vfs *vfs, const char *log)
{
    int exists = 0;

    return vfs->xAccess(vfs, log, SQLITE_ACCESS_EXISTS, &exists) == SQLITE_OK && exists;
}

static stele_status open_log(const struct sqlite_store *store, sqlite3_vfs *vfs, const char *log, log_work *work,
                             void *out, stele_error **error)
{
    sqlite3_file *file = stele__alloc((size_t)vfs->szOsFile);
    stele_status status = STELE_OK;
    int code = SQLITE_CANTOPEN;

    if (!file)
        return stele__fail_memory(error);
    /* The last one to close the store may remove it, the first one to open it make it again, at any moment. */
    for (int i = 0; i < TRIES && code == SQLITE_CANTOPEN && is_there(vfs, log); i++)
        code = vfs->xOpen(vfs, log, file, SQLITE_OPEN_READONLY | SQLITE_OPEN_WAL, NULL);
    if (code == SQLITE_OK)
        status = work(store, file, out, error);
    else if (is_there(vfs, log))
        status = stele__fail(error, stele__sqlite_status(code),
                             "%s: its write-ahead log cannot be opened (SQLite code %d)", store->path, code);
    if (file->pMethods)
        file->pMethods->xClose(file);
    stele__free(file, (size_t)vfs->szOsFile);
    return status;
}

/* Does nothing if there is no log, or an empty one. */
static stele_status with_log(const struct sqlite_store *store, log_work *work, void *out, stele_error **error)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(store->vfs);
    /* A VFS may look for parameters behind a name: only names made like this have that room. */
    sqlite3_filename name = sqlite3_create_filename(store->path, "", store->log_path, 0, NULL);
    stele_status status = STELE_OK;

    if (!name)
        return stele__fail_memory(error);
    if (is_there(vfs, store->log_path))
        status = open_log(store, vfs, sqlite3_filename_wal(name), work, out, error);
    sqlite3_free_filename(name);
    return status;
}

stele_status stele__sqlite_scan_log(const struct sqlite_store *store, struct sqlite_wal_facts *out, stele_error **error)
{
    memset(out, 0, sizeof(*out));
    return with_log(store, walk_file, out, error);
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
