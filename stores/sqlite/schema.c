/*
 * The schema: made in steps, compared word for word when a file is opened.
 *
 *     user_version 0 --step 0--> 1   (an empty database becomes a store)
 *                  1 --step 1--> 2   (the command ledger and snapshots)
 *                  2 --step 2--> 3   (checkpoints)
 *                  3 --step 3--> 4   (views)
 *
 * A file of an older version is brought up by the steps it lacks, in one
 * transaction; one of a newer version is refused. From version 4 on there may be
 * further tables, of plain columns (further.c). A file in which anything
 * else is defined is refused too: triggers and views would run in our process.
 */
#include "sqlite/sqlite.h"

#include "base/error.h"

#include <inttypes.h>
#include <string.h>

/* --- Version 1 --------------------------------------------------------------------- */

#define REFUSE(table, verb, text) \
    { \
        "trigger", #table "_refuses_" verb, #table, \
            "CREATE TRIGGER " #table "_refuses_" verb " BEFORE " text " ON " #table \
            " BEGIN SELECT RAISE(ABORT, 'stele: rows of " #table " are never changed or deleted'); END" \
    }

static const struct sqlite_object objects_1[] = {
    {"table", "stream", "stream",
     "CREATE TABLE stream(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, checksum INTEGER NOT NULL) STRICT"},
    {"table", "type", "type",
     "CREATE TABLE type(id INTEGER PRIMARY KEY, name TEXT NOT NULL, version INTEGER NOT NULL, "
     "checksum INTEGER NOT NULL, UNIQUE(name, version)) STRICT"},
    {"table", "event", "event",
     "CREATE TABLE event(position INTEGER PRIMARY KEY, stream INTEGER NOT NULL, version INTEGER NOT NULL, "
     "type INTEGER NOT NULL, time INTEGER NOT NULL, id ANY NOT NULL, meta BLOB, data BLOB, "
     "checksum INTEGER NOT NULL, UNIQUE(stream, version), UNIQUE(id)) STRICT"},
    REFUSE(stream, "update", "UPDATE"),
    REFUSE(stream, "delete", "DELETE"),
    REFUSE(type, "update", "UPDATE"),
    REFUSE(type, "delete", "DELETE"),
    REFUSE(event, "update", "UPDATE"),
    REFUSE(event, "delete", "DELETE"),
};

/* --- Version 2 --------------------------------------------------------------------- */

/* `number` is the order of remembering. Entries go when they are forgotten: a trigger cannot know who deletes. */
static const struct sqlite_object objects_2[] = {
    {"table", "command", "command",
     "CREATE TABLE command(number INTEGER PRIMARY KEY, id ANY NOT NULL UNIQUE, digest BLOB NOT NULL, "
     "time INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, version INTEGER NOT NULL, "
     "created INTEGER NOT NULL, rejection TEXT, checksum INTEGER NOT NULL) STRICT"},
    {"index", "command_by_time", "command", "CREATE INDEX command_by_time ON command(time)"},
    {"trigger", "command_refuses_update", "command",
     "CREATE TRIGGER command_refuses_update BEFORE UPDATE ON command "
     "BEGIN SELECT RAISE(ABORT, 'stele: rows of command are never changed'); END"},
    {"table", "snapshot", "snapshot",
     "CREATE TABLE snapshot(stream INTEGER PRIMARY KEY, version INTEGER NOT NULL, fingerprint BLOB NOT NULL, "
     "state BLOB NOT NULL, time INTEGER NOT NULL, checksum INTEGER NOT NULL) STRICT"},
};

/* --- Version 3 --------------------------------------------------------------------- */

static const struct sqlite_object objects_3[] = {
    {"table", "checkpoint", "checkpoint",
     "CREATE TABLE checkpoint(name TEXT NOT NULL PRIMARY KEY, position INTEGER NOT NULL, time INTEGER NOT NULL, "
     "checksum INTEGER NOT NULL) STRICT, WITHOUT ROWID"},
};

/* --- Version 4 --------------------------------------------------------------------- */

/* The version of each table of views, as in a file of views (projections/views.c). */
static const struct sqlite_object objects_4[] = {
    {"table", "stele_view", "stele_view",
     "CREATE TABLE stele_view(name TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL) STRICT, WITHOUT ROWID"},
};

static const struct sqlite_schema_step steps[] = {
    {objects_1, sizeof(objects_1) / sizeof(objects_1[0]), "PRAGMA user_version = 1"},
    {objects_2, sizeof(objects_2) / sizeof(objects_2[0]), "PRAGMA user_version = 2"},
    {objects_3, sizeof(objects_3) / sizeof(objects_3[0]), "PRAGMA user_version = 3"},
    {objects_4, sizeof(objects_4) / sizeof(objects_4[0]), "PRAGMA user_version = 4"},
};

const struct sqlite_schema stele__sqlite_schema = {steps, sizeof(steps) / sizeof(steps[0])};

/* --- Looking at a file ---------------------------------------------------------------- */

static stele_status fail_foreign(const struct sqlite_connection *connection, const char *why, const char *what,
                                 stele_error **error)
{
    stele__fail(error, STELE_FOREIGN, "%s: not a stele store: %s%s", connection->path, why, what);
    stele__error_add(error, "path", "%s", connection->path);
    return STELE_FOREIGN;
}

static stele_status fail_step(const struct sqlite_connection *connection, int code, stele_error **error)
{
    return stele__sqlite_fail_opening(connection, code, "read its schema", error);
}

/* The one value of a PRAGMA or a query without parameters, as a number. */
static stele_status ask(struct sqlite_connection *connection, const char *question, int64_t *out, stele_error **error)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(connection->db, question, -1, &statement, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        *out = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return code == SQLITE_ROW ? STELE_OK : fail_step(connection, code, error);
}

static stele_status check_application(struct sqlite_connection *connection, stele_error **error)
{
    int64_t application = 0;
    int64_t objects = 0;
    stele_status status = ask(connection, "PRAGMA application_id", &application, error);

    if (status != STELE_OK || application == SQLITE_STORE_APPLICATION)
        return status;
    status = ask(connection, "SELECT count(*) FROM sqlite_schema", &objects, error);
    if (status != STELE_OK)
        return status;
    stele__fail(error, STELE_FOREIGN, "%s: not a stele store: %s (application_id %" PRId64 ", not %d)",
                connection->path, objects ? "another program's database" : "an empty file", application,
                SQLITE_STORE_APPLICATION);
    stele__error_add(error, "path", "%s", connection->path);
    return STELE_FOREIGN;
}

static stele_status check_version(struct sqlite_connection *connection, const struct sqlite_schema *schema,
                                  size_t *version, stele_error **error)
{
    int64_t found = 0;
    stele_status status = ask(connection, "PRAGMA user_version", &found, error);

    if (status != STELE_OK)
        return status;
    if (found <= 0)
        return fail_foreign(connection, "its user_version is not that of a store", "", error);
    if ((uint64_t)found > schema->step_count) {
        stele__fail(error, STELE_TOO_NEW,
                    "%s: written by a newer version: its format is %" PRId64 ", this library knows up to %zu",
                    connection->path, found, schema->step_count);
        stele__error_add(error, "path", "%s", connection->path);
        return STELE_TOO_NEW;
    }
    *version = (size_t)found;
    return STELE_OK;
}

/* --- Comparing the schema --------------------------------------------------------------- */

static const char *text(sqlite3_stmt *row, int column)
{
    const char *value = (const char *)sqlite3_column_text(row, column);

    return value ? value : "";
}

static const struct sqlite_object *expected(const struct sqlite_schema *schema, size_t version, const char *type,
                                            const char *name)
{
    for (size_t step = 0; step < version; step++)
        for (size_t i = 0; i < schema->steps[step].object_count; i++) {
            const struct sqlite_object *object = &schema->steps[step].objects[i];

            if (strcmp(object->type, type) == 0 && strcmp(object->name, name) == 0)
                return object;
        }
    return NULL;
}

/* An index that SQLite made for a UNIQUE of ours has no text. */
static bool is_automatic(sqlite3_stmt *row)
{
    return strcmp(text(row, 0), "index") == 0 && sqlite3_column_type(row, 3) == SQLITE_NULL &&
           strncmp(text(row, 1), "sqlite_autoindex_", 17) == 0;
}

static stele_status check_further(struct sqlite_connection *connection, size_t version, sqlite3_stmt *row,
                                  stele_error **error)
{
    const struct sqlite_object object = {text(row, 0), text(row, 1), text(row, 2), text(row, 3)};
    const char *fault;

    if (is_automatic(row))
        return STELE_OK;
    if (version < FORMAT_VIEWS)
        return fail_foreign(connection, "its schema has something else in it: ", object.name, error);
    fault = stele__sqlite_further_fault(&object, sqlite3_column_int64(row, 4));
    if (!fault)
        return STELE_OK;
    stele__fail(error, STELE_FOREIGN, "%s: not a stele store: its schema has something else in it: %s, which %s",
                connection->path, object.name, fault);
    stele__error_add(error, "path", "%s", connection->path);
    return STELE_FOREIGN;
}

static stele_status check_object(struct sqlite_connection *connection, const struct sqlite_schema *schema,
                                 size_t version, sqlite3_stmt *row, size_t *found, stele_error **error)
{
    const struct sqlite_object *object = expected(schema, version, text(row, 0), text(row, 1));

    if (!object)
        return check_further(connection, version, row, error);
    if (strcmp(object->table, text(row, 2)) != 0 || strcmp(object->sql, text(row, 3)) != 0)
        return fail_foreign(connection, "its schema was changed: ", text(row, 1), error);
    (*found)++;
    return STELE_OK;
}

static stele_status check_objects(struct sqlite_connection *connection, const struct sqlite_schema *schema,
                                  size_t version, stele_error **error)
{
    sqlite3_stmt *rows = NULL;
    size_t found = 0;
    size_t wanted = 0;
    stele_status status = STELE_OK;
    int code = sqlite3_prepare_v2(connection->db, "SELECT type, name, tbl_name, sql, rootpage FROM sqlite_schema", -1,
                                  &rows, NULL);

    if (code == SQLITE_OK)
        while (status == STELE_OK && (code = sqlite3_step(rows)) == SQLITE_ROW)
            status = check_object(connection, schema, version, rows, &found, error);
    sqlite3_finalize(rows);
    if (status != STELE_OK)
        return status;
    if (code != SQLITE_DONE)
        return fail_step(connection, code, error);
    for (size_t step = 0; step < version; step++)
        wanted += schema->steps[step].object_count;
    return found == wanted ? STELE_OK : fail_foreign(connection, "a part of its schema is missing", "", error);
}

static stele_status check_journal(struct sqlite_connection *connection, stele_error **error)
{
    sqlite3_stmt *row = NULL;
    int code = sqlite3_prepare_v2(connection->db, "PRAGMA journal_mode", -1, &row, NULL);
    bool is_wal = false;

    if (code == SQLITE_OK)
        code = sqlite3_step(row);
    if (code == SQLITE_ROW)
        is_wal = strcmp(text(row, 0), "wal") == 0;
    sqlite3_finalize(row);
    if (code != SQLITE_ROW)
        return fail_step(connection, code, error);
    return is_wal ? STELE_OK
                  : fail_foreign(connection, "it was taken out of WAL mode; \"PRAGMA journal_mode = WAL\" restores it",
                                 "", error);
}

static stele_status check(struct sqlite_connection *connection, const struct sqlite_schema *schema, size_t *version,
                          stele_error **error)
{
    stele_status status = check_application(connection, error);

    if (status == STELE_OK)
        status = check_version(connection, schema, version, error);
    if (status == STELE_OK)
        status = check_objects(connection, schema, *version, error);
    return status;
}

stele_status stele__sqlite_schema_check(struct sqlite_connection *connection, const struct sqlite_schema *schema,
                                        size_t *version, stele_error **error)
{
    stele_status status;
    /* One look at all of it: somebody may be upgrading. */
    const int code = sqlite3_exec(connection->db, "BEGIN", NULL, NULL, NULL);

    if (code != SQLITE_OK)
        return fail_step(connection, code, error);
    status = check(connection, schema, version, error);
    if (!sqlite3_get_autocommit(connection->db))
        sqlite3_exec(connection->db, "ROLLBACK", NULL, NULL, NULL);
    return status == STELE_OK ? check_journal(connection, error) : status;
}

stele_status stele__sqlite_schema_check_inside(struct sqlite_connection *connection, stele_error **error)
{
    size_t version = 0;

    return check(connection, &stele__sqlite_schema, &version, error);
}

stele_status stele__sqlite_has_format(struct sqlite_store *store, struct sqlite_connection *connection, size_t format,
                                      bool *has, stele_error **error)
{
    int64_t found = 0;
    stele_status status;

    *has = atomic_load(&store->format) >= format;
    if (*has)
        return STELE_OK;
    status = stele__sqlite_number(connection, STATEMENT_FORMAT, &found, error);
    if (status != STELE_OK)
        return status;
    atomic_store(&store->format, (size_t)found);
    *has = (size_t)found >= format;
    return STELE_OK;
}

/* --- Changing it ---------------------------------------------------------------------------- */

static int run_step(sqlite3 *db, const struct sqlite_schema_step *step)
{
    int code = SQLITE_OK;

    for (size_t i = 0; i < step->object_count && code == SQLITE_OK; i++)
        code = sqlite3_exec(db, step->objects[i].sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? sqlite3_exec(db, step->mark, NULL, NULL, NULL) : code;
}

/* Inside the transaction: somebody else may have been faster. */
static int run_steps(sqlite3 *db, const struct sqlite_schema *schema, size_t version)
{
    int code = SQLITE_OK;

    if (version == 0)
        code = sqlite3_exec(db, "PRAGMA application_id = 0x5354454c", NULL, NULL, NULL);
    for (size_t step = version; step < schema->step_count && code == SQLITE_OK; step++)
        code = run_step(db, &schema->steps[step]);
    return code;
}

stele_status stele__sqlite_schema_upgrade(struct sqlite_connection *connection, const struct sqlite_schema *schema,
                                          stele_error **error)
{
    int64_t version = 0;
    stele_status status;
    int code = stele__sqlite_run(connection, STATEMENT_BEGIN);

    if (code != SQLITE_OK)
        return stele__sqlite_fail(connection, code, "begin to change its schema", error);
    status = ask(connection, "PRAGMA user_version", &version, error);
    if (status == STELE_OK) {
        code = run_steps(connection->db, schema, (size_t)version);
        if (code == SQLITE_OK)
            code = stele__sqlite_run(connection, STATEMENT_COMMIT);
        if (code == SQLITE_OK)
            return STELE_OK;
        status = stele__sqlite_fail(connection, code, version ? "upgrade its schema" : "make its schema", error);
    }
    if (!sqlite3_get_autocommit(connection->db))
        stele__sqlite_run(connection, STATEMENT_ROLLBACK);
    return status;
}
