/*
 * Copying a store while it is used.
 *
 *     what is at the target: nothing, or (overwriting) a store nobody uses, which is held shut
 *         -> .NAME.PID-RANDOM.tmp: pages of one snapshot -> synced -> checked by the front
 *         -> renamed to NAME -> folder synced
 *
 * A log that lies where the copy's own will be belongs to another file and
 * would be played over the copy: without its store it is refused, and that of
 * a store that is replaced is moved into that one first. Whatever fails or is
 * killed on the way, the target is as before; what was begun is removed.
 */
#include "sqlite/operations.h"

#include "base/error.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STEP_PAGES = 1024 /* copied between two questions whether to go on */ };

struct copy {
    struct sqlite_store *from;
    const struct stele_copy_request *request;
    struct sqlite_store to; /* only its path, and what locating it takes */
    bool exists;
    struct sqlite_connection held; /* of a store that is replaced: keeps everyone else out */
    char temporary[PATH_MAX];
};

/* --- The target ----------------------------------------------------------------------------- */

static stele_status refuse(const char *path, const char *why, stele_error **error)
{
    stele__fail(error, STELE_INVALID, "%s: %s", path, why);
    stele__error_add(error, "argument", "path");
    stele__error_add(error, "path", "%s", path);
    return STELE_INVALID;
}

static bool is_same_file(const char *left, const char *right)
{
    struct stat one;
    struct stat other;

    return stat(left, &one) == 0 && stat(right, &other) == 0 && one.st_dev == other.st_dev &&
           one.st_ino == other.st_ino;
}

static stele_status ask_application(struct sqlite_connection *held, stele_error **error)
{
    sqlite3_stmt *row = NULL;
    int application = 0;
    int code = sqlite3_prepare_v2(held->db, "PRAGMA application_id", -1, &row, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_step(row);
    if (code == SQLITE_ROW)
        application = sqlite3_column_int(row, 0);
    sqlite3_finalize(row);
    if (code != SQLITE_ROW)
        return stele__sqlite_fail_opening(held, code, "replace it", error);
    if (application == SQLITE_STORE_APPLICATION)
        return STELE_OK;
    stele__fail(error, STELE_FOREIGN, "%s: is another program's database and is not replaced", held->path);
    stele__error_add(error, "path", "%s", held->path);
    return STELE_FOREIGN;
}

/*
 * Exclusive locking, asked for before the first access, keeps every other
 * connection out until ours is closed. It must leave the log's file alone then:
 * by that time the copy may have one of that name.
 */
static int open_exclusively(struct sqlite_connection *held, int busy_ms)
{
    int code = sqlite3_open_v2(held->path, &held->db,
                               SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_NOMUTEX, NULL);

    if (code != SQLITE_OK)
        return code;
    sqlite3_extended_result_codes(held->db, 1);
    sqlite3_busy_timeout(held->db, busy_ms);
    code = sqlite3_db_config(held->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)NULL);
    if (code == SQLITE_OK)
        code = sqlite3_exec(held->db, "PRAGMA locking_mode = EXCLUSIVE", NULL, NULL, NULL);
    return code;
}

static stele_status fail_hold(const struct sqlite_connection *held, int code, stele_error **error)
{
    if (stele__sqlite_status(code) != STELE_BUSY)
        return stele__sqlite_fail_opening(held, code, "replace it", error);
    stele__fail(error, STELE_BUSY, "%s: is in use and is not replaced", held->path);
    stele__error_add(error, "path", "%s", held->path);
    return STELE_BUSY;
}

static stele_status hold(struct copy *copy, stele_error **error)
{
    struct sqlite_connection *held = &copy->held;
    stele_status status;
    int code;

    held->path = copy->to.path;
    code = open_exclusively(held, (int)(copy->from->busy_limit / 1000000));
    if (code == SQLITE_OK)
        code = sqlite3_exec(held->db, "BEGIN EXCLUSIVE; COMMIT", NULL, NULL, NULL);
    if (code != SQLITE_OK)
        return fail_hold(held, code, error);
    status = ask_application(held, error);
    if (status != STELE_OK)
        return status;
    code = sqlite3_wal_checkpoint_v2(held->db, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    return code == SQLITE_OK ? STELE_OK : fail_hold(held, code, error);
}

static stele_status prepare(struct copy *copy, stele_error **error)
{
    struct sqlite_store *to = &copy->to;
    stele_status status = stele__sqlite_locate(to, copy->request->path, error);

    if (status == STELE_OK)
        status = stele__sqlite_exists(to, &copy->exists, error);
    if (status != STELE_OK)
        return status;
    if (!copy->exists)
        return stele__sqlite_check_beside(to->path, error);
    if (!copy->request->overwrite)
        return refuse(to->path, "is there already", error);
    if (is_same_file(copy->from->path, to->path))
        return refuse(to->path, "is the store itself", error);
    status = stele__sqlite_inspect(to, error);
    return status == STELE_OK ? hold(copy, error) : status;
}

/* --- The pages --------------------------------------------------------------------------------- */

static stele_status fail_pages(const struct copy *copy, int code, stele_error **error)
{
    const struct sqlite_connection target = {.path = copy->to.path};

    return stele__sqlite_fail(&target, code, "write the copy", error);
}

static bool goes_on(const struct copy *copy, sqlite3_backup *backup)
{
    const struct stele_copy_request *request = copy->request;
    const uint64_t all = (uint64_t)sqlite3_backup_pagecount(backup);
    const uint64_t left = (uint64_t)sqlite3_backup_remaining(backup);

    return !request->progress ||
           request->progress(request->progress_context, (all - left) * SQLITE_STORE_PAGE, all * SQLITE_STORE_PAGE);
}

static stele_status copy_pages(const struct copy *copy, sqlite3 *from, sqlite3 *to, stele_error **error)
{
    sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
    bool stopped = false;
    int code = SQLITE_OK;

    if (!backup)
        return fail_pages(copy, sqlite3_extended_errcode(to), error);
    while (code == SQLITE_OK && !stopped) {
        code = sqlite3_backup_step(backup, STEP_PAGES);
        stopped = (code == SQLITE_OK || code == SQLITE_DONE) && !goes_on(copy, backup);
    }
    sqlite3_backup_finish(backup);
    if (code == SQLITE_DONE || (code == SQLITE_OK && stopped))
        return stopped ? stele__fail(error, STELE_TIMEOUT, "%s: the copy was given up", copy->to.path) : STELE_OK;
    return fail_pages(copy, code, error);
}

/* Nothing depends on the file before it is whole: no journal, and one sync at the end. */
static stele_status open_target(const struct copy *copy, sqlite3 **to, stele_error **error)
{
    int code =
        sqlite3_open_v2(copy->temporary, to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_NOMUTEX, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_extended_result_codes(*to, 1);
    if (code == SQLITE_OK)
        code = sqlite3_exec(*to, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF", NULL, NULL, NULL);
    return code == SQLITE_OK ? STELE_OK : fail_pages(copy, code, error);
}

/* The snapshot is held from here on: without it every commit would make the copy begin anew. */
static stele_status begin(struct sqlite_connection *from, stele_error **error)
{
    int64_t head;
    const int code = sqlite3_exec(from->db, "BEGIN", NULL, NULL, NULL);

    if (code != SQLITE_OK)
        return stele__sqlite_fail(from, code, "read it", error);
    return stele__sqlite_number(from, STATEMENT_HEAD, &head, error);
}

static stele_status copy_snapshot(const struct copy *copy, stele_error **error)
{
    struct sqlite_connection *from = NULL;
    sqlite3 *to = NULL;
    stele_status status = stele__sqlite_take(copy->from, &from, error);

    if (status != STELE_OK)
        return status;
    status = open_target(copy, &to, error);
    if (status == STELE_OK)
        status = begin(from, error);
    if (status == STELE_OK)
        status = copy_pages(copy, from->db, to, error);
    sqlite3_close(to);
    if (!sqlite3_get_autocommit(from->db))
        sqlite3_exec(from->db, "ROLLBACK", NULL, NULL, NULL);
    stele__sqlite_give(copy->from, from);
    return status;
}

static stele_status sync_file(const struct copy *copy, stele_error **error)
{
    const int file = open(copy->temporary, O_RDONLY | O_CLOEXEC);
    stele_status status = STELE_OK;

    if (file < 0)
        return stele__sqlite_fail_system(copy->to.path, errno, "write the copy", error);
    if (fsync(file) != 0)
        status = stele__sqlite_fail_system(copy->to.path, errno, "sync the copy", error);
    close(file);
    return status;
}

/* --- The name ------------------------------------------------------------------------------------- */

/* The empty log, and the index of it, of the store that is replaced: nobody has them open while it is held. */
static void remove_log(const struct copy *copy)
{
    char index[PATH_MAX + 16];

    snprintf(index, sizeof(index), "%s-shm", copy->to.path);
    unlink(copy->to.log_path);
    unlink(index);
}

static stele_status publish(const struct copy *copy, stele_error **error)
{
    const char *path = copy->to.path;
    int code;

    if (copy->exists) {
        remove_log(copy);
        code = rename(copy->temporary, path) == 0 ? 0 : errno;
    } else {
        code = stele__sqlite_rename_new(copy->temporary, path);
    }
    if (code == EEXIST)
        return refuse(path, "was made by somebody else meanwhile", error);
    if (code)
        return stele__sqlite_fail_system(path, code, "give the copy its name", error);
    return stele__sqlite_sync_folder(path, error);
}

static stele_status fill(struct copy *copy, stele_error **error)
{
    const struct stele_copy_request *request = copy->request;
    stele_status status = stele__sqlite_make_temporary(copy->to.path, copy->temporary, error);

    if (status != STELE_OK)
        return status;
    status = copy_snapshot(copy, error);
    if (status == STELE_OK)
        status = sync_file(copy, error);
    if (status == STELE_OK)
        status = request->check(request->check_context, copy->temporary, error);
    if (status == STELE_OK)
        status = publish(copy, error);
    stele__sqlite_remove_temporary(copy->temporary);
    return status;
}

static void finish(struct copy *copy)
{
    sqlite3_close(copy->held.db);
    stele__sqlite_leave(&copy->to);
}

stele_status stele__sqlite_backup(struct stele_backend *backend, const struct stele_copy_request *request,
                                  stele_error **error)
{
    struct sqlite_store *store = stele__sqlite_store(backend);
    struct copy copy = {.from = store, .request = request, .to = {.mode = STELE_OPEN_EXISTING}};
    stele_status status = prepare(&copy, error);

    if (status == STELE_OK)
        status = stele__sqlite_name_temporary(copy.to.path, copy.temporary, error);
    if (status == STELE_OK)
        status = fill(&copy, error);
    finish(&copy);
    return status;
}
