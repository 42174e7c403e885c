/*
 * The file of views: opened as to a hostile file, its transactions.
 *
 *     path -> located, created whole under another name if missing -> inspected (without SQLite)
 *         -> a connection -> application_id, no triggers or SQL views -> ready
 *
 * Where the file is and how it is met is the work of stores/sqlite. Unlike a
 * store, a file of views checkpoints its log by itself: it can be made again.
 *
 * What can fail: the file (not there, not ours, not writable), a lock held by
 * another, memory.
 */
#include "projections/views.h"

#include "base/error.h"
#include "base/fork.h"
#include "base/memory.h"
#include "sqlite/operations.h"
#include "store/companion.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* --- Checks --------------------------------------------------------------------- */

stele_status stele__views_check(const stele_views *views, stele_error **error)
{
    if (!views)
        return stele__fail_argument(error, "views", "is NULL");
    if (views->generation != stele__fork_generation())
        return stele__fail(error, STELE_FORKED, "%s: the handle was opened before fork(): open one in this process",
                           views->file.path);
    if (views->visiting)
        return stele__fail_argument(error, "views", "is used from inside a visitor");
    return STELE_OK;
}

/* Is this thread in a transaction? In a store it may be that of an append, or of another handle. */
static bool is_inside(const stele_views *views)
{
    return views->store ? stele__queue_is_inside(&views->store->queue) : views->begun;
}

stele_status stele__views_check_writable(const stele_views *views, stele_error **error)
{
    const stele_status status = stele__views_check(views, error);

    if (status == STELE_OK && views->read_only)
        return stele__fail(error, STELE_READ_ONLY, "%s: is open for reading only", views->file.path);
    /* After some failures SQLite gives up the whole transaction; what follows must not be taken for a part of it. */
    if (status == STELE_OK && is_inside(views) && sqlite3_get_autocommit(views->connection->db))
        return stele__fail(error, STELE_INVALID, "%s: the transaction was lost to an earlier failure: roll it back",
                           views->file.path);
    return status;
}

stele_status stele__views_fail(const stele_views *views, const struct stele_view *view, int code, const char *doing,
                               stele_error **error)
{
    const stele_status status = stele__sqlite_fail(views->connection, code, doing, error);

    if (view)
        stele__error_add(error, "view", "%s", view->row->name);
    return status;
}

stele_status stele__views_run(const stele_views *views, const char *sql, const char *doing, stele_error **error)
{
    const int code = sqlite3_exec(views->connection->db, sql, NULL, NULL, NULL);

    return code == SQLITE_OK ? STELE_OK : stele__views_fail(views, NULL, code, doing, error);
}

stele_status stele__views_prepare(const stele_views *views, const struct stele_view *view, struct stele__buffer *sql,
                                  sqlite3_stmt **out, stele_error **error)
{
    stele_status status;
    int code;

    stele__buffer_add_byte(sql, '\0');
    status = stele__buffer_finish(sql, "the statement", error);
    if (status == STELE_OK) {
        code = sqlite3_prepare_v3(views->connection->db, sql->data, -1, SQLITE_PREPARE_PERSISTENT, out, NULL);
        if (code != SQLITE_OK)
            status = stele__views_fail(views, view, code, "use the table", error);
    }
    stele__buffer_fini(sql);
    return status;
}

/* --- Using the connection --------------------------------------------------------------- */

stele_status stele__views_enter(stele_views *views, bool writing, stele_error **error)
{
    stele_status status = writing ? stele__views_check_writable(views, error) : stele__views_check(views, error);

    if (status != STELE_OK || !views->store)
        return status;
    if (is_inside(views)) {
        views->entered += views->entered > 0;
        return STELE_OK;
    }
    if (writing)
        status = stele__store_begin(views->store, error);
    else
        stele__queue_enter(&views->store->queue);
    if (status == STELE_OK)
        views->entered = 1;
    return status;
}

stele_status stele__views_leave(stele_views *views, bool writing, stele_status status, stele_error **error)
{
    if (views->entered == 0 || --views->entered > 0) {
        views->broken = views->broken || (writing && status == STELE_IO);
        return status;
    }
    if (!writing) {
        stele__queue_leave(&views->store->queue);
        return status;
    }
    if (status == STELE_OK)
        return stele__store_commit(views->store, error);
    stele__store_roll_back(views->store, status == STELE_IO);
    return status;
}

/* --- Opening ---------------------------------------------------------------------- */

static int enter_wal_mode(sqlite3 *db)
{
    sqlite3_stmt *row = NULL;
    const char *mode = NULL;
    int code = sqlite3_prepare_v2(db, "PRAGMA journal_mode = WAL", -1, &row, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_step(row);
    if (code == SQLITE_ROW)
        mode = (const char *)sqlite3_column_text(row, 0);
    if (code == SQLITE_ROW)
        code = mode && strcmp(mode, "wal") == 0 ? SQLITE_OK : SQLITE_IOERR;
    sqlite3_finalize(row);
    return code;
}

static stele_status connect_with(stele_views *views, const char *path, int flags, bool creating, stele_error **error)
{
    const struct sqlite_connect how = {
        .path = path,
        .clock = stele_clock_system(),
        .flags = flags,
        .busy_limit = views->file.busy_limit,
        .query_only = views->read_only,
        .synchronous = creating ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL",
    };
    const stele_status status = stele__sqlite_connect(&how, &views->connection, error);
    int code;

    if (status != STELE_OK)
        return status;
    sqlite3_limit(views->connection->db, SQLITE_LIMIT_SQL_LENGTH, VIEWS_SQL_MAX);
    code = sqlite3_db_config(views->connection->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, (int *)NULL);
    if (code == SQLITE_OK)
        code = sqlite3_wal_autocheckpoint(views->connection->db, SQLITE_STORE_CHECKPOINT_PAGES);
    return code == SQLITE_OK ? STELE_OK : stele__views_fail(views, NULL, code, "open it", error);
}

static stele_status connect(stele_views *views, const char *path, bool creating, stele_error **error)
{
    return connect_with(views, path,
                        SQLITE_OPEN_NOFOLLOW | (views->read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE),
                        creating, error);
}

static void disconnect(stele_views *views)
{
    stele__sqlite_disconnect(views->connection);
    views->connection = NULL;
}

/* `stele_view` keeps the version of each table. */
static int make_schema(sqlite3 *db)
{
    char sql[256];

    snprintf(sql, sizeof(sql),
             "BEGIN; PRAGMA application_id = %d; CREATE TABLE stele_view(name TEXT NOT NULL PRIMARY KEY, "
             "version INTEGER NOT NULL) STRICT, WITHOUT ROWID; COMMIT",
             VIEWS_APPLICATION);
    return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

static stele_status fill(stele_views *views, const char *path, stele_error **error)
{
    int code;
    stele_status status = connect(views, path, true, error);

    if (status != STELE_OK)
        return status;
    code = enter_wal_mode(views->connection->db);
    if (code == SQLITE_OK)
        code = make_schema(views->connection->db);
    if (code != SQLITE_OK)
        status = stele__views_fail(views, NULL, code, "create it", error);
    disconnect(views);
    return status;
}

static stele_status create(stele_views *views, stele_error **error)
{
    const char *path = views->file.path;
    char temporary[PATH_MAX];
    int code;
    stele_status status = stele__sqlite_check_beside(path, error);

    if (status == STELE_OK)
        status = stele__sqlite_name_temporary(path, temporary, error);
    if (status == STELE_OK)
        status = stele__sqlite_make_temporary(path, temporary, error);
    if (status != STELE_OK)
        return status;
    status = fill(views, temporary, error);
    if (status == STELE_OK) {
        code = stele__sqlite_rename_new(temporary, path);
        if (code == 0)
            status = stele__sqlite_sync_folder(path, error);
        else if (code != EEXIST) /* else somebody was faster: theirs is the file */
            status = stele__sqlite_fail_system(path, code, "create it", error);
    }
    stele__sqlite_remove_temporary(temporary);
    return status;
}

/* A number the file answers with. */
static stele_status ask(const stele_views *views, const char *question, int64_t *out, stele_error **error)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(views->connection->db, question, -1, &statement, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        *out = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return code == SQLITE_ROW ? STELE_OK
                              : stele__sqlite_fail_opening(views->connection, code, "read its schema", error);
}

static stele_status check_schema(const stele_views *views, stele_error **error)
{
    int64_t application = 0;
    int64_t active = 0;
    stele_status status = ask(views, "PRAGMA application_id", &application, error);

    if (status == STELE_OK)
        status = ask(views, "SELECT count(*) FROM sqlite_schema WHERE type NOT IN ('table', 'index')", &active, error);
    if (status != STELE_OK || (application == VIEWS_APPLICATION && active == 0))
        return status;
    if (active)
        stele__fail(error, STELE_FOREIGN, "%s: not a file of views: it has triggers or SQL views in it",
                    views->file.path);
    else
        stele__fail(error, STELE_FOREIGN, "%s: not a file of views: application_id is %" PRId64 ", not %d",
                    views->file.path, application, VIEWS_APPLICATION);
    stele__error_add(error, "path", "%s", views->file.path);
    return STELE_FOREIGN;
}

static stele_status open_file(stele_views *views, const char *path, stele_error **error)
{
    bool exists = false;
    stele_status status = stele__sqlite_locate(&views->file, path, error);

    if (status == STELE_OK)
        status = stele__sqlite_exists(&views->file, &exists, error);
    if (status != STELE_OK)
        return status;
    if (!exists && views->file.mode != STELE_OPEN_CREATE)
        return stele__fail(error, STELE_NOT_FOUND, "%s: there is no such file", views->file.path);
    if (!exists)
        status = create(views, error);
    if (status == STELE_OK)
        status = stele__sqlite_inspect(&views->file, error);
    if (status == STELE_OK)
        status = connect(views, views->file.path, false, error);
    return status == STELE_OK ? check_schema(views, error) : status;
}

stele_status stele__views_new(stele_views **out, stele_error **error)
{
    stele_views *views = stele__alloc(sizeof(*views));

    if (!views || !stele__fork_watch()) {
        stele__free(views, sizeof(*views));
        return stele__fail_memory(error);
    }
    stele__vector_init(&views->tables, sizeof(struct view_table *));
    views->generation = stele__fork_generation();
    *out = views;
    return STELE_OK;
}

stele_status stele__views_in_memory(stele_views **out, stele_error **error)
{
    stele_views *views = NULL;
    int code;
    stele_status status = stele__views_new(&views, error);

    if (status != STELE_OK)
        return status;
    views->file.path = stele__text_copy(":memory:");
    status = views->file.path
                 ? connect_with(views, views->file.path,
                                SQLITE_OPEN_MEMORY | SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, true, error)
                 : stele__fail_memory(error);
    if (status == STELE_OK) {
        code = make_schema(views->connection->db);
        if (code != SQLITE_OK)
            status = stele__views_fail(views, NULL, code, "create it", error);
    }
    if (status == STELE_OK)
        *out = views;
    else
        stele_views_close(views);
    return status;
}

stele_status stele_views_open(const char *path, const struct stele_views_options *options, stele_views **out,
                              stele_error **error)
{
    stele_views *views;
    stele_status status;

    if (!path)
        return stele__fail_argument(error, "path", "is NULL");
    if (!out)
        return stele__fail_argument(error, "out", "is NULL");
    status = stele__options_check(options, sizeof(size_t), sizeof(*options), "options", error);
    if (status != STELE_OK)
        return status;
    if (options && (unsigned)options->mode > STELE_OPEN_READ_ONLY)
        return stele__fail_argument(error, "mode", "is none");
    status = stele__views_new(&views, error);
    if (status != STELE_OK)
        return status;
    views->file.mode = options ? options->mode : STELE_OPEN_CREATE;
    views->file.busy_limit = (options && options->busy_ms ? options->busy_ms : VIEWS_BUSY_DEFAULT) * INT64_C(1000000);
    views->read_only = views->file.mode == STELE_OPEN_READ_ONLY;
    status = open_file(views, path, error);
    if (status == STELE_OK)
        *out = views;
    else
        stele_views_close(views);
    return status;
}

static void free_table(struct view_table *table)
{
    sqlite3_finalize(table->upsert);
    sqlite3_finalize(table->get);
    sqlite3_finalize(table->remove);
    for (size_t i = 0; i < VIEWS_QUERIES_KEPT; i++) {
        sqlite3_finalize(table->kept[i].statement);
        stele__text_free(table->kept[i].sql);
    }
    stele__free(table, sizeof(*table));
}

void stele__views_forget(stele_views *views)
{
    for (size_t i = 0; i < views->tables.count; i++) {
        struct view_table **place = stele__vector_at(&views->tables, i);

        free_table(*place);
    }
    stele__vector_truncate(&views->tables, 0);
    sqlite3_finalize(views->move_mark);
    views->move_mark = NULL;
}

/* The same for everybody, outside of any use: a statement goes where it was prepared. */
static void forget(stele_views *views)
{
    if (stele__views_enter(views, false, NULL) != STELE_OK)
        return;
    stele__views_forget(views);
    stele__views_leave(views, false, STELE_OK, NULL);
}

void stele_views_close(stele_views *views)
{
    if (!views)
        return;
    /* In a child process the locks are not ours to give back: what SQLite holds is left alone. */
    if (views->generation == stele__fork_generation()) {
        if (views->store && views->begun)
            stele_views_rollback(views, NULL);
        forget(views);
        if (!views->store)
            disconnect(views);
    }
    stele__vector_fini(&views->tables);
    stele__sqlite_leave(&views->file);
    stele__free(views, sizeof(*views));
}

/* --- Transactions ------------------------------------------------------------------- */

static stele_status check_begun(const stele_views *views, stele_error **error)
{
    const stele_status status = stele__views_check(views, error);

    if (status == STELE_OK && !views->begun)
        return stele__fail_argument(error, "views", "has no transaction");
    if (status == STELE_OK && !is_inside(views))
        return stele__fail_argument(error, "views", "is in a transaction that another thread has begun");
    return status;
}

/* In a store: what the transaction may change is looked at when it is done. */
static stele_status begin_in_store(stele_views *views, stele_error **error)
{
    stele_status status = stele__store_begin(views->store, error);

    if (status != STELE_OK)
        return status;
    views->broken = false;
    status = ask(views, "PRAGMA schema_version", &views->schema, error);
    if (status != STELE_OK)
        stele__store_roll_back(views->store, false);
    return status;
}

stele_status stele_views_begin(stele_views *views, stele_error **error)
{
    stele_status status = stele__views_check_writable(views, error);

    if (status == STELE_OK && is_inside(views))
        status = stele__fail_argument(error, "views", "is in a transaction already");
    if (status == STELE_OK)
        status =
            views->store ? begin_in_store(views, error) : stele__views_run(views, "BEGIN IMMEDIATE", "begin", error);
    if (status == STELE_OK)
        views->begun = true;
    return status;
}

static void undo(stele_views *views)
{
    if (views->store)
        stele__store_roll_back(views->store, views->broken);
    /* Without a transaction SQLite has rolled back by itself: the same in the end. */
    else if (!sqlite3_get_autocommit(views->connection->db))
        sqlite3_exec(views->connection->db, "ROLLBACK", NULL, NULL, NULL);
    views->begun = false;
}

/* A store in which something else than plain tables was made would not open again. */
static stele_status check_tables(const stele_views *views, stele_error **error)
{
    int64_t schema = 0;
    const stele_status status = ask(views, "PRAGMA schema_version", &schema, error);

    if (status != STELE_OK || schema == views->schema || views->store->annex)
        return status;
    return stele__sqlite_schema_check_inside(views->connection, error);
}

static stele_status commit(stele_views *views, stele_error **error)
{
    stele_status status = stele__views_check_writable(views, error);

    if (status == STELE_OK && views->store)
        status = check_tables(views, error);
    if (status == STELE_OK && !views->store)
        status = stele__views_run(views, "COMMIT", "commit", error);
    if (status != STELE_OK) {
        undo(views);
        return status;
    }
    views->begun = false;
    return views->store ? stele__store_commit(views->store, error) : STELE_OK;
}

stele_status stele_views_commit(stele_views *views, stele_error **error)
{
    stele_status status = check_begun(views, error);

    if (status != STELE_OK)
        return status;
    status = commit(views, error);
    if (status != STELE_OK)
        forget(views);
    return status;
}

stele_status stele_views_rollback(stele_views *views, stele_error **error)
{
    const stele_status status = check_begun(views, error);

    if (status != STELE_OK)
        return status;
    undo(views);
    forget(views);
    return STELE_OK;
}
