/*
 * The loadable extension: the functions and the view of functions.c for the
 * sqlite3 shell and everything else that loads extensions.
 *
 *     sqlite> .load /usr/local/lib/stele/stele_sqlite
 *     sqlite> SELECT position, type, data ->> '$.amount' FROM events;
 *
 * The view is made where the main database is a store. The store is opened by
 * the other program: only reading is safe there (docs/operating.md).
 */
#include <sqlite3ext.h>
SQLITE_EXTENSION_INIT1

#include <stele/base.h>

#include "sqlite/operations.h"

static bool is_store(sqlite3 *db)
{
    sqlite3_stmt *row = NULL;
    bool same = false;

    if (sqlite3_prepare_v2(db, "PRAGMA main.application_id", -1, &row, NULL) == SQLITE_OK &&
        sqlite3_step(row) == SQLITE_ROW)
        same = sqlite3_column_int(row, 0) == SQLITE_STORE_APPLICATION;
    sqlite3_finalize(row);
    return same;
}

/* SQLite looks for this name in a file stele_sqlite.so. */
STELE_API int sqlite3_stelesqlite_init(sqlite3 *db, char **error, const sqlite3_api_routines *routines);

int sqlite3_stelesqlite_init(sqlite3 *db, char **error, const sqlite3_api_routines *routines)
{
    int code;

    SQLITE_EXTENSION_INIT2(routines);
    code = stele__sqlite_add_functions(db, NULL);
    if (code == SQLITE_OK && is_store(db))
        code = sqlite3_exec(db, stele__sqlite_events_view, NULL, NULL, NULL);
    if (code != SQLITE_OK)
        *error = sqlite3_mprintf("stele: %s", sqlite3_errmsg(db));
    return code;
}
