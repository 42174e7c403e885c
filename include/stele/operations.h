/*
 * stele/operations.h - keeping a store: copies of it, its size, its format, questions in SQL.
 *
 *     @example operations
 *     stele_status nightly_copy(stele_store *store, stele_error **error)
 *     {
 *         struct stele_copied copied;
 *         return stele_backup(store, "/backup/ledger.db", NULL, &copied, error);
 *     }
 *     @end
 *
 * A backend may be without some of this: the call is STELE_INVALID then. A
 * store in memory has nothing of it but the sizes of types.
 */
#ifndef STELE_OPERATIONS_H
#define STELE_OPERATIONS_H

#include <stele/base.h>
#include <stele/error.h>
#include <stele/store.h>

#ifdef __cplusplus
extern "C" {
#endif

struct stele_copy_options {
    size_t size;
    bool overwrite; /* replace a store that is there and not in use; never anything else */
    /* Called now and then with the bytes copied so far and in all; false gives up (STELE_TIMEOUT). Must not call the
     * store. */
    bool (*progress)(void *context, uint64_t done, uint64_t all);
    void *context;
};

/* What a copy holds, counted in the copy itself. */
struct stele_copied {
    uint64_t events;
    uint64_t streams;
    uint64_t head; /* last position: worth noting elsewhere, for stele_verify() */
    uint64_t bytes;
};

/*
 * Copy a store to a new file, while it is read and written: the copy is the
 * store as it was at one moment of the call, a prefix of its log. The file is
 * made under another name in the same folder, synced, checked as by
 * stele_verify(), and only then given its name: there is a whole copy or none.
 * Copying holds one snapshot of the store, so its write-ahead log grows
 * meanwhile by what is appended.
 *
 * `path` is a path or the URL of a file, without parameters. `options` and
 * `out` may be NULL. Thread-safe.
 *
 * STELE_INVALID   something is there already (and with `overwrite`: a directory, a device, a file with two names,
 *                 the store itself); a log without its store lies beside the path
 * STELE_FOREIGN   with `overwrite`: what is there is not a store
 * STELE_BUSY      with `overwrite`: the store that is there is in use
 * STELE_CORRUPT   the copy has damage, and so has the store: see stele_verify()
 * STELE_NOT_FOUND, STELE_DENIED, STELE_READ_ONLY, STELE_FULL, STELE_IO, STELE_TIMEOUT, STELE_NO_MEMORY
 */
STELE_API stele_status stele_backup(stele_store *store, const char *path, const struct stele_copy_options *options,
                                    struct stele_copied *out, stele_error **error);

/*
 * Make a store out of a backup: the backup is checked as by stele_verify(),
 * then copied as by stele_backup(). The backup stays. Errors are those of
 * opening it for reading, of the check, and of stele_backup().
 */
STELE_API stele_status stele_restore(const char *backup, const char *path, const struct stele_copy_options *options,
                                     struct stele_copied *out, stele_error **error);

/*
 * Rebuild the file without the free space in it, its rows in order. Positions,
 * versions and ids stay. Meanwhile nobody can append, and twice the space is
 * needed, as much of it in the folder for temporary files (SQLITE_TMPDIR).
 * A kill leaves the file as before or as after.
 *
 * STELE_BUSY if another program, or another thread, reads or writes for longer
 * than the store waits for (`busy=` of the URL); the message says whether
 * the file is compacted already and only its log remains to be moved in.
 * STELE_READ_ONLY, STELE_FULL, STELE_CORRUPT, STELE_IO, STELE_NO_MEMORY.
 */
STELE_API stele_status stele_compact(stele_store *store, stele_error **error);

/* The format of a store's file, from 1, and the newest one this library knows. */
struct stele_format {
    uint32_t found;
    uint32_t newest;
};
STELE_API stele_status stele_store_format(stele_store *store, struct stele_format *out, stele_error **error);

/*
 * Bring the file of a store to the newest format, in one transaction. (So does
 * every opening for writing.) `out->found` is what it was before. Nothing to
 * do is no error. Errors as stele_store_open(); STELE_TOO_NEW if the file is
 * newer than this library.
 */
STELE_API stele_status stele_upgrade(const char *url, struct stele_format *out, stele_error **error);

/* A type in bytes: those of its events' payloads, attributes and ids. */
struct stele_type_size {
    struct stele_slice type;
    uint32_t type_version;
    uint64_t events;
    uint64_t bytes;
};

/* A table in bytes of the file: pages, full or not. */
struct stele_table_size {
    struct stele_slice table;
    uint64_t bytes;
    uint64_t index_bytes; /* of all its indexes */
};

/*
 * Visit types or tables, the largest first, until `visit` returns false; what
 * it is shown is lent, and it must not call the store. Looks at every event or
 * page. Where the SQLite beneath was built without its table `dbstat`, no
 * table is visited. Errors as stele_read().
 */
typedef bool stele_type_size_visit(void *context, const struct stele_type_size *size);
STELE_API stele_status stele_type_sizes(stele_store *store, stele_type_size_visit *visit, void *context,
                                        stele_error **error);
typedef bool stele_table_size_visit(void *context, const struct stele_table_size *size);
STELE_API stele_status stele_table_sizes(stele_store *store, stele_table_size_visit *visit, void *context,
                                         stele_error **error);

enum stele_sql_kind { STELE_SQL_NULL, STELE_SQL_INTEGER, STELE_SQL_REAL, STELE_SQL_TEXT, STELE_SQL_BLOB };

struct stele_sql_value {
    enum stele_sql_kind kind;
    int64_t integer;          /* of STELE_SQL_INTEGER */
    double real;              /* of STELE_SQL_REAL */
    struct stele_slice bytes; /* of STELE_SQL_TEXT (UTF-8) and STELE_SQL_BLOB */
};

/* A row of an answer. The first one visited has no values: it tells the columns, also of an answer without rows. */
struct stele_sql_row {
    size_t count;
    const char *const *names;
    const struct stele_sql_value *values;
};

struct stele_sql_options {
    size_t size;
    uint32_t timeout_ms; /* most time the answer may take; 0: no limit */
};

/* Called for each row, lent for the call; false ends the answer. Must not call the store. */
typedef bool stele_sql_visit(void *context, const struct stele_sql_row *row);

/*
 * Ask a question in SQL. Beside the tables of the file (docs/file-format.md)
 * there is a view
 *
 *   events(position, stream, version, type, typeversion, id, time, source,
 *          subject, correlationid, causationid, data, attributes)
 *
 * with `time` as RFC 3339, `data` the payload as JSON (NULL where it has no
 * JSON form) and `attributes` every other attribute as a JSON object. There are
 * the functions stele_json(BLOB), MessagePack as JSON; stele_id(ID), a stored
 * id as text; and stele_time(INTEGER), a stored time as RFC 3339.
 *
 * Only reading is possible: the connection is opened for reading, and whatever
 * would write, attach a file, load code or change a setting is STELE_DENIED.
 * The answer is of one snapshot of the store, held for as long as it takes.
 *
 * STELE_INVALID   the SQL is wrong ("line" and "offset" where SQLite tells), is more than one statement, or failed
 * STELE_CORRUPT   a damaged event was met in the view; "position"
 * STELE_TIMEOUT   the time was up
 * STELE_LIMIT, STELE_BUSY, STELE_IO, STELE_NO_MEMORY
 */
STELE_API stele_status stele_sql(stele_store *store, const char *sql, const struct stele_sql_options *options,
                                 stele_sql_visit *visit, void *context, stele_error **error);

#ifdef __cplusplus
}
#endif

#endif
