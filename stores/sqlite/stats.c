/* A store in numbers. */
#include "sqlite/sqlite.h"

#include "base/error.h"

static stele_status count(struct sqlite_connection *connection, struct stele_stats *out, stele_error **error)
{
    sqlite3_stmt *row = stele__sqlite_statement(connection, STATEMENT_COUNTS);
    stele_status status = STELE_OK;
    int code = row ? sqlite3_step(row) : sqlite3_extended_errcode(connection->db);

    if (code == SQLITE_ROW) {
        out->events = (uint64_t)sqlite3_column_int64(row, 0);
        out->streams = (uint64_t)sqlite3_column_int64(row, 1);
        out->types = (uint64_t)sqlite3_column_int64(row, 2);
        out->head = (uint64_t)sqlite3_column_int64(row, 3);
    } else {
        status = stele__sqlite_fail(connection, code, "count its rows", error);
    }
    sqlite3_reset(row);
    return status;
}

stele_status stele__sqlite_stats(struct stele_backend *backend, struct stele_stats *out, stele_error **error)
{
    struct sqlite_store *store = stele__sqlite_store(backend);
    struct sqlite_connection *connection = NULL;
    struct stele_stats stats = {.backend = "sqlite", .library = sqlite3_libversion()};
    int64_t bytes = 0;
    stele_status status = stele__sqlite_take(store, &connection, error);

    if (status != STELE_OK)
        return status;
    status = count(connection, &stats, error);
    if (status == STELE_OK)
        status = stele__sqlite_number(connection, STATEMENT_SIZE, &bytes, error);
    stele__sqlite_give(store, connection);
    if (status != STELE_OK)
        return status;
    stats.bytes = (uint64_t)bytes;
    stats.log_bytes = stele__sqlite_log_size(store);
    stats.durability = store->sync == SYNC_FULL ? "power loss" : "process death";
    *out = stats;
    return STELE_OK;
}
