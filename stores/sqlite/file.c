/*
 * The file, before SQLite sees it: where it is, what it is.
 *
 * Only stat(2) and its kin are used. Opening a database outside SQLite, and
 * closing it again, would drop the locks that SQLite holds on it in this
 * process. Behind a VFS of the user's own there may be no file at all: then
 * only that VFS is asked.
 */
#include "sqlite/sqlite.h"

#include "base/error.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define JOURNAL "-journal"
#define LOG "-wal"
#define SHARED "-shm"

enum { CHECK_PAUSE = 5000000 /* ns */ };

/* --- Where it is ----------------------------------------------------------------- */

/* "folder/name" behind the canonical folder; NULL with errno set. */
static char *canonical_new(const char *location, char canonical[PATH_MAX])
{
    char folder[PATH_MAX];
    const char *slash = strrchr(location, '/');
    const char *name = slash ? slash + 1 : location;
    size_t length = slash ? (size_t)(slash - location) : 0;
    char resolved[PATH_MAX];

    if (*name == '\0' || strlen(location) >= sizeof(folder)) {
        errno = *name ? ENAMETOOLONG : EISDIR;
        return NULL;
    }
    memcpy(folder, location, length);
    if (!slash)
        folder[length++] = '.';
    else if (length == 0)
        folder[length++] = '/';
    folder[length] = '\0';
    if (!realpath(folder, resolved))
        return NULL;
    if (strcmp(resolved, "/") == 0)
        resolved[0] = '\0';
    if (snprintf(canonical, PATH_MAX, "%s/%s", resolved, name) < PATH_MAX)
        return canonical;
    errno = ENAMETOOLONG;
    return NULL;
}

static bool is_dangling(const char *path)
{
    struct stat facts;

    return lstat(path, &facts) == 0 && S_ISLNK(facts.st_mode);
}

static stele_status find_file(const char *location, char canonical[PATH_MAX], stele_error **error)
{
    if (realpath(location, canonical))
        return STELE_OK;
    if (errno != ENOENT)
        return stele__sqlite_fail_system(location, errno, "find it", error);
    if (!canonical_new(location, canonical))
        return stele__sqlite_fail_system(location, errno, "find its folder", error);
    if (is_dangling(canonical))
        return stele__sqlite_fail_system(location, ENOENT, "follow the symbolic link", error);
    return STELE_OK;
}

static stele_status join(const char *path, const char *suffix, char **out, stele_error **error)
{
    const size_t size = strlen(path) + strlen(suffix) + 1;

    *out = stele__alloc(size);
    if (!*out)
        return stele__fail_memory(error);
    snprintf(*out, size, "%s%s", path, suffix);
    return STELE_OK;
}

stele_status stele__sqlite_locate(struct sqlite_store *store, const char *location, stele_error **error)
{
    char canonical[PATH_MAX];
    stele_status status;

    if (*location == '\0')
        return stele__fail_argument(error, "url", "the path is empty");
    if (!store->vfs) {
        status = find_file(location, canonical, error);
        if (status != STELE_OK)
            return status;
        location = canonical;
    }
    status = join(location, "", &store->path, error);
    if (status == STELE_OK)
        status = join(location, LOG, &store->log_path, error);
    if (status == STELE_OK)
        status = join(location, SHARED, &store->shared_path, error);
    return status;
}

void stele__sqlite_leave(struct sqlite_store *store)
{
    stele__text_free(store->path);
    stele__text_free(store->log_path);
    stele__text_free(store->shared_path);
}

/* --- Whether it is there ------------------------------------------------------------- */

static bool exists_in_vfs(const struct sqlite_store *store, const char *path)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(store->vfs);
    int exists = 0;

    return vfs->xAccess(vfs, path, SQLITE_ACCESS_EXISTS, &exists) == SQLITE_OK && exists;
}

stele_status stele__sqlite_exists(const struct sqlite_store *store, bool *exists, stele_error **error)
{
    struct stat facts;

    if (store->vfs) {
        *exists = exists_in_vfs(store, store->path);
        return STELE_OK;
    }
    *exists = lstat(store->path, &facts) == 0;
    if (!*exists && errno != ENOENT)
        return stele__sqlite_fail_system(store->path, errno, "find it", error);
    return STELE_OK;
}

/* With the rights that opening it would have. */
static bool may(const char *path, int what)
{
    return faccessat(AT_FDCWD, path, what, AT_EACCESS) == 0;
}

bool stele__sqlite_may_tidy(const struct sqlite_store *store)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(store->path, '/');
    struct stat facts;

    if (store->vfs || !slash || lstat(store->log_path, &facts) == 0 || !may(store->path, W_OK))
        return false;
    snprintf(folder, sizeof(folder), "%.*s", (int)(slash - store->path) + 1, store->path);
    return may(folder, W_OK);
}

/* --- What it is -------------------------------------------------------------------------- */

static const char *kind(mode_t mode)
{
    if (S_ISDIR(mode))
        return "a directory";
    if (S_ISFIFO(mode))
        return "a FIFO";
    if (S_ISSOCK(mode))
        return "a socket";
    return S_ISCHR(mode) || S_ISBLK(mode) ? "a device" : "no regular file";
}

static stele_status fail_kind(const struct sqlite_store *store, const struct stat *facts, stele_error **error)
{
    if (!S_ISREG(facts->st_mode))
        stele__fail(error, STELE_INVALID, "%s: is %s", store->path, kind(facts->st_mode));
    else
        stele__fail(error, STELE_INVALID,
                    "%s: has %ju names (hard links): opened by two names it would be damaged; copy it", store->path,
                    (uintmax_t)facts->st_nlink);
    stele__error_add(error, "argument", "url");
    return STELE_INVALID;
}

static stele_status check_access(const struct sqlite_store *store, stele_error **error)
{
    if (!may(store->path, R_OK))
        return stele__sqlite_fail_system(store->path, errno, "read it", error);
    if (store->mode == STELE_OPEN_READ_ONLY || may(store->path, W_OK))
        return STELE_OK;
    return stele__fail(error, STELE_READ_ONLY, "%s: the file cannot be written; open it for reading only", store->path);
}

/* A file that SQLite opens beside the store, if it is there: left by somebody else, it may keep us out. */
static stele_status check_beside(const struct sqlite_store *store, const char *suffix, stele_error **error)
{
    const bool writes = store->mode != STELE_OPEN_READ_ONLY;
    char path[PATH_MAX + sizeof(JOURNAL)];
    struct stat facts;

    snprintf(path, sizeof(path), "%s%s", store->path, suffix);
    if (lstat(path, &facts) != 0)
        return STELE_OK;
    if (!S_ISREG(facts.st_mode))
        return stele__fail(error, STELE_INVALID, "%s: %s beside it is %s", store->path, path, kind(facts.st_mode));
    if (may(path, writes ? R_OK | W_OK : R_OK) || errno == ENOENT)
        return STELE_OK;
    return stele__fail(error, STELE_DENIED,
                       "%s: %s beside it cannot be %s: it must have the owner and the rights of the store", store->path,
                       path, writes ? "written" : "read");
}

/* A store never has one: SQLite would play it back into the file. */
static stele_status check_no_journal(const struct sqlite_store *store, stele_error **error)
{
    char path[PATH_MAX + sizeof(JOURNAL)];
    struct stat facts;

    snprintf(path, sizeof(path), "%s" JOURNAL, store->path);
    if (stat(path, &facts) != 0 || facts.st_size == 0)
        return STELE_OK;
    return stele__fail(error, STELE_CORRUPT,
                       "%s: a rollback journal, which is not this store's, lies beside it: move %s away", store->path,
                       path);
}

stele_status stele__sqlite_inspect(const struct sqlite_store *store, stele_error **error)
{
    struct stat facts;
    stele_status status;

    if (store->vfs)
        return STELE_OK;
    if (stat(store->path, &facts) != 0)
        return stele__sqlite_fail_system(store->path, errno, "find it", error);
    if (!S_ISREG(facts.st_mode) || facts.st_nlink > 1)
        return fail_kind(store, &facts, error);
    status = check_access(store, error);
    if (status != STELE_OK)
        return status;
    if (facts.st_size == 0)
        return stele__fail(error, STELE_FOREIGN, "%s: not a stele store: the file is empty", store->path);
    status = check_beside(store, LOG, error);
    if (status == STELE_OK)
        status = check_beside(store, SHARED, error);
    return status == STELE_OK ? check_no_journal(store, error) : status;
}

/*
 * Is the file as long as it says? With an empty log all pages are in it. The
 * order matters: a log that is seen empty now holds nothing of the count.
 */
stele_status stele__sqlite_check_size(const struct sqlite_store *store, struct sqlite_connection *connection,
                                      stele_error **error)
{
    struct stat facts;
    int64_t wanted = 0;
    stele_status status = stele__sqlite_number(connection, STATEMENT_SIZE, &wanted, error);

    if (status != STELE_OK || store->vfs || stele__sqlite_log_size(store) > 0 || stat(store->path, &facts) != 0)
        return status;
    if (facts.st_size >= wanted)
        return STELE_OK;
    return stele__fail(error, STELE_CORRUPT, "%s: the file is cut short: it has %jd bytes of %jd", store->path,
                       (intmax_t)facts.st_size, (intmax_t)wanted);
}

/* --- Whether it is still there ------------------------------------------------------------- */

static bool identify(const char *path, struct sqlite_file_identity *out)
{
    struct stat facts;

    if (stat(path, &facts) != 0)
        return false;
    *out = (struct sqlite_file_identity){(uint64_t)facts.st_dev, (uint64_t)facts.st_ino};
    return true;
}

void stele__sqlite_note_files(struct sqlite_store *store)
{
    if (store->vfs)
        return;
    identify(store->path, &store->files[0]);
    identify(store->log_path, &store->files[1]);
    identify(store->shared_path, &store->files[2]);
}

stele_status stele__sqlite_check_files(const struct sqlite_store *store, stele_error **error)
{
    const char *const paths[] = {store->path, store->log_path, store->shared_path};

    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        const struct sqlite_file_identity *opened = &store->files[i];
        struct sqlite_file_identity now;
        bool found;

        if (!opened->inode)
            continue;
        found = identify(paths[i], &now);
        if (found && now.device == opened->device && now.inode == opened->inode)
            continue;
        stele__fail(error, STELE_IO, "%s was %s while the store was open: nothing more is written to it", paths[i],
                    found ? "replaced by another file" : "removed");
        stele__error_add(error, "path", "%s", store->path);
        return STELE_IO;
    }
    return STELE_OK;
}

stele_status stele__sqlite_check_files_often(struct sqlite_store *store, stele_error **error)
{
    /* The system's clock: one of the user's own may stand still. */
    const struct stele_clock *clock = stele_clock_system();
    const int64_t now = clock->monotonic(clock->context);

    if (now - store->files_checked < CHECK_PAUSE)
        return STELE_OK;
    store->files_checked = now;
    return stele__sqlite_check_files(store, error);
}
