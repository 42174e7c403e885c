/*
 * Compaction and the format of the file.
 *
 *     log moved in and cut (nobody reads or writes) -> VACUUM, one transaction in the log -> moved in and cut
 *
 * What can fail: somebody else is at the file (STELE_BUSY), no room for the
 * temporary copy or the log (STELE_FULL): all is as before. Only the last
 * step leaves a compacted store with a long log, which is said.
 */
#include "sqlite/operations.h"

#include "base/error.h"

static stele_status cut(struct sqlite_store *store, const char *what, stele_error **error)
{
    bool truncated = false;
    const stele_status status = stele__sqlite_truncate_log(store, store->busy_limit, &truncated, error);

    if (status != STELE_OK || truncated)
        return status;
    stele__fail(error, STELE_BUSY, "%s: %s", store->path, what);
    stele__error_add(error, "path", "%s", store->path);
    return STELE_BUSY;
}

static stele_status vacuum(struct sqlite_store *store, stele_error **error)
{
    struct sqlite_connection *connection = store->writer.connection;
    /* VACUUM attaches its temporary file. */
    const int limit = sqlite3_limit(connection->db, SQLITE_LIMIT_ATTACHED, 1);
    const int code = sqlite3_exec(connection->db, "VACUUM", NULL, NULL, NULL);
    stele_status status;

    sqlite3_limit(connection->db, SQLITE_LIMIT_ATTACHED, limit);
    if (code == SQLITE_OK)
        return STELE_OK;
    status = stele__sqlite_fail(connection, code, "compact it", error);
    if (status == STELE_IO)
        atomic_store(&store->poisoned, true);
    return status;
}

stele_status stele__sqlite_compact(struct stele_backend *backend, stele_error **error)
{
    struct sqlite_store *store = stele__sqlite_store(backend);
    stele_status status;

    if (atomic_load(&store->poisoned))
        return stele__fail(error, STELE_IO, "%s: an earlier write failed: close the store and open it again",
                           store->path);
    status = cut(store, "cannot compact it: another reader or writer is using it", error);
    if (status == STELE_OK)
        status = vacuum(store, error);
    if (status == STELE_OK)
        status = cut(store,
                     "it is compacted, but another reader or writer is using it: "
                     "until that ends, its log stays as large as the file",
                     error);
    return status;
}

stele_status stele__sqlite_format(struct stele_backend *backend, struct stele_format *out, stele_error **error)
{
    struct sqlite_store *store = stele__sqlite_store(backend);
    struct sqlite_connection *connection = NULL;
    size_t version = 0;
    stele_status status = stele__sqlite_take(store, &connection, error);

    if (status != STELE_OK)
        return status;
    status = stele__sqlite_schema_check(connection, &stele__sqlite_schema, &version, error);
    stele__sqlite_give(store, connection);
    *out = (struct stele_format){(uint32_t)version, (uint32_t)stele__sqlite_schema.step_count};
    return status;
}
