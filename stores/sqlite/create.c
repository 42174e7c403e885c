/*
 * Creating a store: complete under a name nobody looks for, then renamed.
 *
 *     .NAME.PID-RANDOM.tmp: made 0600 -> WAL mode -> schema -> log moved in, synced, closed
 *         -> renamed to NAME, unless NAME is there by now -> folder synced
 *
 * Whatever fails or is killed on the way, there is either no store or a whole
 * one; what was begun is removed. If somebody else was faster, their store is
 * the one. Behind a VFS of the user's own nothing can be renamed: there the
 * store is made in place.
 */
#include "sqlite/operations.h"

#include "base/error.h"

#include <stele/uuid.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_ROOM = 180 }; /* of a long name only so much goes into the temporary one, which is to fit too */

/* --- The database ------------------------------------------------------------------ */

/* Only a "wal" that SQLite answers with counts: a VFS may be unable to. */
static stele_status enter_wal_mode(struct sqlite_connection *connection, stele_error **error)
{
    sqlite3_stmt *row = NULL;
    const char *mode = NULL;
    stele_status status = STELE_OK;
    int code = sqlite3_exec(connection->db, "PRAGMA page_size = 4096", NULL, NULL, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_prepare_v2(connection->db, "PRAGMA journal_mode = WAL", -1, &row, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(row);
    if (code == SQLITE_ROW)
        mode = (const char *)sqlite3_column_text(row, 0);
    if (code != SQLITE_ROW)
        status = stele__sqlite_fail(connection, code, "create it", error);
    else if (!mode || strcmp(mode, "wal") != 0)
        status = stele__fail(error, STELE_IO, "%s: cannot create it: no write-ahead log is possible there",
                             connection->path);
    sqlite3_finalize(row);
    return status;
}

/* Nobody else knows the file yet, so the log can be moved in without a guard. */
static stele_status move_log(struct sqlite_connection *connection, stele_error **error)
{
    int left = -1;
    int moved = -1;
    int code = sqlite3_wal_checkpoint_v2(connection->db, "main", SQLITE_CHECKPOINT_TRUNCATE, &left, &moved);

    if (code != SQLITE_OK)
        return stele__sqlite_fail(connection, code, "create it", error);
    if (left != 0)
        return stele__fail(error, STELE_IO, "%s: cannot create it: its log could not be moved in", connection->path);
    return sqlite3_db_config(connection->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, (int *)NULL) == SQLITE_OK
               ? STELE_OK
               : stele__fail_memory(error);
}

static stele_status fill(const struct sqlite_store *store, const char *path, stele_error **error)
{
    struct sqlite_connect how = stele__sqlite_how(store, true);
    struct sqlite_connection *connection = NULL;
    stele_status status;

    how.path = path;
    how.flags |= SQLITE_OPEN_CREATE;
    how.synchronous = "PRAGMA synchronous = FULL"; /* whatever the store is opened with */
    status = stele__sqlite_connect(&how, &connection, error);
    if (status == STELE_OK)
        status = enter_wal_mode(connection, error);
    if (status == STELE_OK)
        status = stele__sqlite_schema_upgrade(connection, &stele__sqlite_schema, error);
    if (status == STELE_OK)
        status = move_log(connection, error);
    stele__sqlite_disconnect(connection);
    return status;
}

/* --- Under another name ------------------------------------------------------------- */

stele_status stele__sqlite_name_temporary(const char *path, char temporary[PATH_MAX], stele_error **error)
{
    const char *name = strrchr(path, '/') + 1;
    const struct stele_uuid random = stele_uuid_new();
    char text[STELE_UUID_TEXT_SIZE];
    int length;

    stele_uuid_print(&random, text);
    length = snprintf(temporary, PATH_MAX, "%.*s.%.*s.%jd-%s.tmp", (int)(name - path), path, NAME_ROOM, name,
                      (intmax_t)getpid(), text);
    return length < PATH_MAX ? STELE_OK : stele__sqlite_fail_system(path, ENAMETOOLONG, "create it", error);
}

/* Made before SQLite opens it, for its permissions, which the log inherits. */
stele_status stele__sqlite_make_temporary(const char *path, const char *temporary, stele_error **error)
{
    const int file = open(temporary, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);

    if (file < 0)
        return stele__sqlite_fail_system(path, errno, "create it", error);
    close(file);
    return STELE_OK;
}

/* Give the file its name, if it is free. EEXIST if it is not. */
int stele__sqlite_rename_new(const char *from, const char *to)
{
    struct stat facts;

#ifdef RENAME_NOREPLACE
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return errno;
#endif
    /* A file system that knows no such renaming: the moment between looking and doing remains. */
    if (lstat(to, &facts) == 0)
        return EEXIST;
    return rename(from, to) == 0 ? 0 : errno;
}

stele_status stele__sqlite_sync_folder(const char *path, stele_error **error)
{
    char folder[PATH_MAX];
    const size_t length = (size_t)(strrchr(path, '/') - path);
    stele_status status = STELE_OK;
    int opened;

    memcpy(folder, path, length);
    memcpy(folder + length, length ? "" : "/", length ? 1 : 2);
    opened = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (opened < 0)
        return stele__sqlite_fail_system(folder, errno, "open the folder", error);
    /* EINVAL: a file system whose folders need no sync. */
    if (fsync(opened) != 0 && errno != EINVAL)
        status = stele__sqlite_fail_system(folder, errno, "sync the folder", error);
    close(opened);
    return status;
}

static bool log_is_left(const char *temporary)
{
    char log[PATH_MAX + 8];
    struct stat facts;

    snprintf(log, sizeof(log), "%s-wal", temporary);
    return stat(log, &facts) == 0 && facts.st_size > 0;
}

stele_status stele__sqlite_check_beside(const char *path, stele_error **error)
{
    static const char *const suffixes[] = {"-wal", "-journal"};
    char beside[PATH_MAX + 16];
    struct stat facts;

    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        snprintf(beside, sizeof(beside), "%s%s", path, suffixes[i]);
        /* Unless the store is there by now, made by another. */
        if (lstat(beside, &facts) != 0 || facts.st_size == 0 || lstat(path, &facts) == 0)
            continue;
        stele__fail(error, STELE_CORRUPT,
                    "%s: the file is missing, but its log is there: put the file back or move %s away", path, beside);
        stele__error_add(error, "path", "%s", path);
        return STELE_CORRUPT;
    }
    return STELE_OK;
}

static stele_status publish(const struct sqlite_store *store, const char *temporary, stele_error **error)
{
    int code;

    if (log_is_left(temporary))
        return stele__fail(error, STELE_IO, "%s: cannot create it: its log was not closed", store->path);
    code = stele__sqlite_rename_new(temporary, store->path);
    if (code == EEXIST)
        return STELE_OK;
    if (code)
        return stele__sqlite_fail_system(store->path, code, "create it", error);
    return stele__sqlite_sync_folder(store->path, error);
}

void stele__sqlite_remove_temporary(const char *temporary)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
    char path[PATH_MAX + 16];

    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        snprintf(path, sizeof(path), "%s%s", temporary, suffixes[i]);
        unlink(path);
    }
}

stele_status stele__sqlite_create(const struct sqlite_store *store, stele_error **error)
{
    char temporary[PATH_MAX];
    stele_status status;

    if (store->vfs)
        return fill(store, store->path, error);
    status = stele__sqlite_check_beside(store->path, error);
    if (status == STELE_OK)
        status = stele__sqlite_name_temporary(store->path, temporary, error);
    if (status == STELE_OK)
        status = stele__sqlite_make_temporary(store->path, temporary, error);
    if (status != STELE_OK)
        return status;
    status = fill(store, temporary, error);
    if (status == STELE_OK)
        status = publish(store, temporary, error);
    stele__sqlite_remove_temporary(temporary);
    return status;
}
