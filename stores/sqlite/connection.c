/*
 * Connections: opened as to a hostile file, with what they prepare.
 *
 * Each is used by one thread at a time, so SQLite's own mutexes are left out.
 * A statement is prepared when first asked for and kept to the end. Waiting
 * for a lock is done here, in small steps and against a deadline.
 *
 * What can fail: opening (the file is not there, not readable, not a
 * database), preparing (the schema is not ours), memory.
 */
#include "sqlite/sqlite.h"

#include "base/error.h"
#include "base/memory.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    LENGTH_MAX = STELE_PAYLOAD_MAX + 1024 * 1024, /* of a row: the payload and all that is beside it */
    SQL_MAX = 10000,
    PAUSE_MIN = 50, /* microseconds */
    PAUSE_MAX = 5000
};

/* --- Waiting for a lock ------------------------------------------------------------ */

/* SQLite calls this while somebody else holds a lock; 0 gives up. */
static int wait_for_lock(void *context, int attempts)
{
    struct sqlite_connection *connection = context;
    const int64_t now = connection->clock->monotonic(connection->clock->context);
    sqlite3_vfs *vfs = NULL;
    int pause = PAUSE_MAX;

    if (attempts == 0) {
        connection->busy_since = now;
        connection->busy_slept = 0;
    }
    connection->busy_waited = now - connection->busy_since;
    if (connection->busy_waited >= connection->busy_limit || connection->busy_slept >= connection->busy_limit) {
        if (connection->interrupt_on_giving_up)
            sqlite3_interrupt(connection->db);
        return 0;
    }
    if (attempts < 7)
        pause = PAUSE_MIN << attempts;
    if (pause > PAUSE_MAX)
        pause = PAUSE_MAX;
    sqlite3_file_control(connection->db, "main", SQLITE_FCNTL_VFS_POINTER, &vfs);
    if (!vfs)
        return 0;
    connection->busy_slept += vfs->xSleep(vfs, pause) * INT64_C(1000);
    return 1;
}

/* --- Opening ------------------------------------------------------------------------- */

/* Nothing in the file may make SQLite do what its schema does not need (contract D9). */
static int make_defensive(sqlite3 *db)
{
    static const struct {
        int option, on;
    } options[] = {
        {SQLITE_DBCONFIG_DEFENSIVE, 1},
        {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
        {SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},
        {SQLITE_DBCONFIG_ENABLE_VIEW, 0},
        {SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, 0},
    };
    int code = SQLITE_OK;

    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]) && code == SQLITE_OK; i++)
        code = sqlite3_db_config(db, options[i].option, options[i].on, (int *)NULL);
    sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
    sqlite3_limit(db, SQLITE_LIMIT_LENGTH, LENGTH_MAX);
    sqlite3_limit(db, SQLITE_LIMIT_SQL_LENGTH, SQL_MAX);
    return code;
}

static int set_pragmas(sqlite3 *db, const struct sqlite_connect *how)
{
    char map[64];
    int code = sqlite3_exec(db, "PRAGMA cell_size_check = ON", NULL, NULL, NULL);

    if (code == SQLITE_OK && how->query_only)
        code = sqlite3_exec(db, "PRAGMA query_only = ON", NULL, NULL, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_exec(db, how->synchronous, NULL, NULL, NULL);
    /* A number is no text of somebody's: the pragma takes no bound value. */
    snprintf(map, sizeof(map), "PRAGMA mmap_size = %" PRIu64, how->mmap);
    if (code == SQLITE_OK)
        code = sqlite3_exec(db, map, NULL, NULL, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_wal_autocheckpoint(db, 0);
    return code;
}

static int open_database(struct sqlite_connection *connection, const struct sqlite_connect *how)
{
    int code = sqlite3_open_v2(how->path, &connection->db, how->flags | SQLITE_OPEN_NOMUTEX, how->vfs);

    if (code != SQLITE_OK)
        return connection->db ? sqlite3_extended_errcode(connection->db) : code;
    sqlite3_extended_result_codes(connection->db, 1);
    code = make_defensive(connection->db);
    if (code == SQLITE_OK)
        code = stele__sqlite_add_visit(connection->db);
    if (code == SQLITE_OK)
        code = sqlite3_busy_handler(connection->db, wait_for_lock, connection);
    if (code == SQLITE_OK)
        code = sqlite3_db_config(connection->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)NULL);
    return code == SQLITE_OK ? set_pragmas(connection->db, how) : code;
}

stele_status stele__sqlite_connect(const struct sqlite_connect *how, struct sqlite_connection **out,
                                   stele_error **error)
{
    struct sqlite_connection *connection = stele__alloc(sizeof(*connection));
    stele_status status;
    int code;

    if (!connection)
        return stele__fail_memory(error);
    connection->path = how->path;
    connection->clock = how->clock;
    connection->busy_limit = how->busy_limit;
    code = open_database(connection, how);
    if (code != SQLITE_OK) {
        status = stele__sqlite_fail_opening(connection, code, "open it", error);
        stele__sqlite_disconnect(connection);
        return status;
    }
    *out = connection;
    return STELE_OK;
}

void stele__sqlite_disconnect(struct sqlite_connection *connection)
{
    if (!connection)
        return;
    for (size_t i = 0; i < STATEMENT_COUNT; i++)
        sqlite3_finalize(connection->statements[i]);
    sqlite3_close(connection->db);
    stele__sqlite_names_fini(&connection->streams);
    stele__sqlite_names_fini(&connection->types);
    stele__free(connection, sizeof(*connection));
}

/* --- Statements ----------------------------------------------------------------------- */

sqlite3_stmt *stele__sqlite_statement(struct sqlite_connection *connection, enum sqlite_statement statement)
{
    sqlite3_stmt **place = &connection->statements[statement];

    if (!*place)
        sqlite3_prepare_v3(connection->db, stele__sqlite_statement_text(statement), -1, SQLITE_PREPARE_PERSISTENT,
                           place, NULL);
    return *place;
}

int stele__sqlite_run(struct sqlite_connection *connection, enum sqlite_statement statement)
{
    sqlite3_stmt *prepared = stele__sqlite_statement(connection, statement);
    int code;

    if (!prepared)
        return sqlite3_extended_errcode(connection->db);
    code = sqlite3_step(prepared);
    sqlite3_reset(prepared);
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

stele_status stele__sqlite_number(struct sqlite_connection *connection, enum sqlite_statement statement, int64_t *out,
                                  stele_error **error)
{
    sqlite3_stmt *prepared = stele__sqlite_statement(connection, statement);
    stele_status status = STELE_OK;
    int code;

    if (!prepared)
        return stele__sqlite_fail(connection, sqlite3_extended_errcode(connection->db), "read it", error);
    code = sqlite3_step(prepared);
    if (code == SQLITE_ROW)
        *out = sqlite3_column_int64(prepared, 0);
    else
        status = stele__sqlite_fail(connection, code, "read it", error);
    sqlite3_reset(prepared);
    return status;
}

/* --- The pool --------------------------------------------------------------------------- */

static stele_status add_reader(struct sqlite_store *store, struct sqlite_connection **out, stele_error **error)
{
    const struct sqlite_connect how = stele__sqlite_how(store, false);

    return stele__sqlite_connect(&how, out, error);
}

stele_status stele__sqlite_take(struct sqlite_store *store, struct sqlite_connection **out, stele_error **error)
{
    stele_status status;

    pthread_mutex_lock(&store->pool_mutex);
    while (!store->pool && store->readers == SQLITE_STORE_READERS_MAX)
        pthread_cond_wait(&store->pool_given, &store->pool_mutex);
    *out = store->pool;
    if (*out)
        store->pool = (*out)->next;
    else
        store->readers++;
    pthread_mutex_unlock(&store->pool_mutex);
    if (*out)
        return STELE_OK;

    status = add_reader(store, out, error);
    if (status != STELE_OK) {
        pthread_mutex_lock(&store->pool_mutex);
        store->readers--;
        pthread_cond_signal(&store->pool_given);
        pthread_mutex_unlock(&store->pool_mutex);
    }
    return status;
}

stele_status stele__sqlite_take_format(struct sqlite_store *store, size_t format, struct sqlite_connection **out,
                                       stele_error **error)
{
    bool has = false;
    stele_status status = stele__sqlite_take(store, out, error);

    if (status != STELE_OK)
        return status;
    status = stele__sqlite_has_format(store, *out, format, &has, error);
    if (!has) {
        stele__sqlite_give(store, *out);
        *out = NULL;
    }
    return status;
}

void stele__sqlite_give(struct sqlite_store *store, struct sqlite_connection *connection)
{
    pthread_mutex_lock(&store->pool_mutex);
    connection->next = store->pool;
    store->pool = connection;
    pthread_cond_signal(&store->pool_given);
    pthread_mutex_unlock(&store->pool_mutex);
}
