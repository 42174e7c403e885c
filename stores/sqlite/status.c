/*
 * From SQLite's result codes and errno(3) to statuses.
 *
 * The text is SQLite's own, with the file and what was being done before it.
 */
#include "sqlite/sqlite.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

stele_status stele__sqlite_status(int code)
{
    if (code == SQLITE_IOERR_NOMEM)
        return STELE_NO_MEMORY;
    if (code == SQLITE_READONLY_DBMOVED)
        return STELE_IO;
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE: return STELE_OK;
    case SQLITE_NOMEM: return STELE_NO_MEMORY;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL: return STELE_BUSY;
    case SQLITE_FULL: return STELE_FULL;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_MISMATCH:
    case SQLITE_CONSTRAINT:
    case SQLITE_SCHEMA:
    case SQLITE_ERROR: return STELE_CORRUPT; /* our statements are right: the schema beneath them is not */
    case SQLITE_READONLY: return STELE_READ_ONLY;
    case SQLITE_PERM:
    case SQLITE_AUTH: return STELE_DENIED;
    case SQLITE_TOOBIG: return STELE_LIMIT;
    case SQLITE_INTERRUPT: return STELE_TIMEOUT;
    default: return STELE_IO;
    }
}

static stele_status system_status(int code)
{
    switch (code) {
    case ENOENT:
    case ENOTDIR: return STELE_NOT_FOUND;
    case EACCES:
    case EPERM: return STELE_DENIED;
    case EROFS: return STELE_READ_ONLY;
    case ENOSPC:
    case EDQUOT: return STELE_FULL;
    case ENOMEM: return STELE_NO_MEMORY;
    case ENAMETOOLONG:
    case ELOOP:
    case EISDIR: return STELE_INVALID;
    default: return STELE_IO;
    }
}

/* What the operating system said behind a failed open or access, where it says more than SQLite's code. */
static stele_status status_of(const struct sqlite_connection *connection, int code)
{
    const int system = connection->db ? sqlite3_system_errno(connection->db) : 0;

    if ((code & 0xff) == SQLITE_CANTOPEN && system)
        return system_status(system);
    if ((code & 0xff) == SQLITE_IOERR && (system == ENOSPC || system == EDQUOT))
        return STELE_FULL;
    return stele__sqlite_status(code);
}

stele_status stele__sqlite_fail(const struct sqlite_connection *connection, int code, const char *doing,
                                stele_error **error)
{
    const stele_status status = status_of(connection, code);
    /* The connection remembers its last failure only: its text fits no other code. */
    const bool last = connection->db && sqlite3_extended_errcode(connection->db) == code;
    const char *why = last ? sqlite3_errmsg(connection->db) : sqlite3_errstr(code);
    const int system = (code & 0xff) == SQLITE_CANTOPEN && connection->db ? sqlite3_system_errno(connection->db) : 0;
    char text[128];

    if (system)
        why = strerror_r(system, text, sizeof(text));
    if (status == STELE_NO_MEMORY)
        return stele__fail_memory(error);
    if (status == STELE_BUSY)
        stele__fail(error, status, "%s: cannot %s: another program holds the lock, waited %" PRId64 " ms",
                    connection->path, doing, connection->busy_waited / 1000000);
    else
        stele__fail(error, status, "%s: cannot %s: %s (SQLite code %d)", connection->path, doing, why, code);
    stele__error_add(error, "path", "%s", connection->path);
    return status;
}

/*
 * The -wal or -shm file could not be made. The database itself was found to be
 * accessible before. What cannot be made, SQLite tries to open, and that is the
 * error it leaves: there is no such file.
 */
static bool lacks_folder(const struct sqlite_connection *connection, int code)
{
    const int system = connection->db ? sqlite3_system_errno(connection->db) : 0;

    return code == SQLITE_READONLY_DIRECTORY || code == SQLITE_READONLY_CANTINIT ||
           ((code & 0xff) == SQLITE_CANTOPEN &&
            (system == EACCES || system == EROFS ||
             (system == ENOENT && faccessat(AT_FDCWD, connection->path, F_OK, 0) == 0)));
}

stele_status stele__sqlite_fail_opening(const struct sqlite_connection *connection, int code, const char *doing,
                                        stele_error **error)
{
    stele_status status;

    if ((code & 0xff) == SQLITE_NOTADB)
        status = stele__fail(error, STELE_FOREIGN,
                             "%s: not a stele store: it is no SQLite database, or only the beginning of one",
                             connection->path);
    else if (lacks_folder(connection, code))
        status = stele__fail(error, STELE_READ_ONLY,
                             "%s: its folder cannot be written, where two files are needed beside it even to read; "
                             "copy the store to another folder",
                             connection->path);
    else
        return stele__sqlite_fail(connection, code, doing, error);
    stele__error_add(error, "path", "%s", connection->path);
    return status;
}

stele_status stele__sqlite_fail_system(const char *path, int code, const char *doing, stele_error **error)
{
    const stele_status status = system_status(code);
    char why[128];

    if (status == STELE_NO_MEMORY)
        return stele__fail_memory(error);
    stele__fail(error, status, "%s: cannot %s: %s", path, doing, strerror_r(code, why, sizeof(why)));
    stele__error_add(error, "path", "%s", path);
    return status;
}
