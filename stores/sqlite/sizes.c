/*
 * How many bytes each type and each table has.
 *
 * Types: one pass over the events, added up by the type's id. Tables: SQLite's
 * own `dbstat` counts pages; a library without it has no answer. What can
 * fail: memory, a damaged page.
 */
#include "sqlite/operations.h"

#include "base/error.h"
#include "base/memory.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { TYPES_MAX = 1 << 20 }; /* ids beyond this come from a damaged file */

struct type_sum {
    int64_t type;
    uint64_t events;
    uint64_t bytes;
};

struct type_sums {
    struct type_sum *all; /* by id */
    size_t count;
};

/* --- Types --------------------------------------------------------------------------------- */

static stele_status fail_sql(struct sqlite_connection *connection, int code, stele_error **error)
{
    return stele__sqlite_fail(connection, code, "measure it", error);
}

static stele_status add(const struct sqlite_connection *connection, struct type_sums *sums, sqlite3_stmt *row,
                        stele_error **error)
{
    const int64_t type = sqlite3_column_int64(row, 0);
    struct type_sum *sum;

    if (type < 0 || (uint64_t)type >= sums->count) {
        stele__fail(error, STELE_CORRUPT, "%s: type %" PRId64 " is used by an event but missing", connection->path,
                    type);
        stele__error_add(error, "path", "%s", connection->path);
        return STELE_CORRUPT;
    }
    sum = &sums->all[type];
    sum->type = type;
    sum->events++;
    sum->bytes += (uint64_t)sqlite3_column_int64(row, 1);
    return STELE_OK;
}

static stele_status add_all(struct sqlite_connection *connection, struct type_sums *sums, stele_error **error)
{
    static const char text[] =
        "SELECT type, coalesce(length(data), 0) + coalesce(length(meta), 0) + length(CAST(id AS BLOB)) FROM event";
    sqlite3_stmt *row = NULL;
    stele_status status = STELE_OK;
    int code = sqlite3_prepare_v2(connection->db, text, -1, &row, NULL);

    if (code == SQLITE_OK)
        while (status == STELE_OK && (code = sqlite3_step(row)) == SQLITE_ROW)
            status = add(connection, sums, row, error);
    if (status == STELE_OK && code != SQLITE_DONE)
        status = fail_sql(connection, code, error);
    sqlite3_finalize(row);
    return status;
}

static int by_size(const void *left, const void *right)
{
    const struct type_sum *a = left;
    const struct type_sum *b = right;

    if (a->bytes != b->bytes)
        return a->bytes > b->bytes ? -1 : 1;
    return a->type < b->type ? -1 : a->type > b->type;
}

static stele_status show_types(struct sqlite_connection *connection, struct type_sums *sums,
                               stele_type_size_visit *visit, void *context, stele_error **error)
{
    qsort(sums->all, sums->count, sizeof(*sums->all), by_size);
    for (size_t i = 0; i < sums->count && sums->all[i].events > 0; i++) {
        struct stele_type_size size = {.events = sums->all[i].events, .bytes = sums->all[i].bytes};
        struct sqlite_name *name;
        const stele_status status = stele__sqlite_type_name(connection, sums->all[i].type, &name, error);

        if (status != STELE_OK)
            return status;
        size.type = (struct stele_slice){name->text, name->size};
        size.type_version = name->version;
        if (!visit(context, &size))
            break;
    }
    return STELE_OK;
}

static stele_status measure_types(struct sqlite_connection *connection, stele_type_size_visit *visit, void *context,
                                  stele_error **error)
{
    struct type_sums sums = {0};
    int64_t last = 0;
    stele_status status = stele__sqlite_number(connection, STATEMENT_TYPE_LAST_ID, &last, error);

    if (status != STELE_OK)
        return status;
    sums.count = last >= 0 && last < TYPES_MAX ? (size_t)last + 1 : 1;
    sums.all = stele__alloc(sums.count * sizeof(*sums.all));
    if (!sums.all)
        return stele__fail_memory(error);
    status = add_all(connection, &sums, error);
    if (status == STELE_OK)
        status = show_types(connection, &sums, visit, context, error);
    stele__free(sums.all, sums.count * sizeof(*sums.all));
    return status;
}

/* In one snapshot, so that every type met has its row. */
stele_status stele__sqlite_type_sizes(struct stele_backend *backend, stele_type_size_visit *visit, void *context,
                                      stele_error **error)
{
    struct sqlite_store *store = stele__sqlite_store(backend);
    struct sqlite_connection *connection = NULL;
    stele_status status = stele__sqlite_take(store, &connection, error);
    int code;

    if (status != STELE_OK)
        return status;
    code = sqlite3_exec(connection->db, "BEGIN", NULL, NULL, NULL);
    status = code == SQLITE_OK ? measure_types(connection, visit, context, error) : fail_sql(connection, code, error);
    if (!sqlite3_get_autocommit(connection->db))
        sqlite3_exec(connection->db, "ROLLBACK", NULL, NULL, NULL);
    stele__sqlite_give(store, connection);
    return status;
}

/* --- Tables -------------------------------------------------------------------------------- */

static bool show_table(sqlite3_stmt *row, stele_table_size_visit *visit, void *context)
{
    const struct stele_table_size size = {
        .table = {(const char *)sqlite3_column_text(row, 0), (size_t)sqlite3_column_bytes(row, 0)},
        .bytes = (uint64_t)sqlite3_column_int64(row, 1),
        .index_bytes = (uint64_t)sqlite3_column_int64(row, 2),
    };

    return visit(context, &size);
}

static stele_status measure_tables(struct sqlite_connection *connection, stele_table_size_visit *visit, void *context,
                                   stele_error **error)
{
    static const char text[] =
        "SELECT coalesce(o.tbl_name, d.name), sum(iif(o.type IS 'index', 0, d.pgsize)), "
        "sum(iif(o.type IS 'index', d.pgsize, 0)) FROM dbstat AS d LEFT JOIN sqlite_schema AS o ON o.name = d.name "
        "WHERE d.aggregate = TRUE GROUP BY 1 ORDER BY sum(d.pgsize) DESC, 1";
    sqlite3_stmt *row = NULL;
    int code = sqlite3_prepare_v2(connection->db, text, -1, &row, NULL);

    if (code == SQLITE_ERROR && strstr(sqlite3_errmsg(connection->db), "dbstat"))
        return STELE_OK;
    if (code == SQLITE_OK)
        do
            code = sqlite3_step(row);
        while (code == SQLITE_ROW && show_table(row, visit, context));
    sqlite3_finalize(row);
    return code == SQLITE_DONE || code == SQLITE_ROW ? STELE_OK : fail_sql(connection, code, error);
}

stele_status stele__sqlite_table_sizes(struct stele_backend *backend, stele_table_size_visit *visit, void *context,
                                       stele_error **error)
{
    struct sqlite_store *store = stele__sqlite_store(backend);
    struct sqlite_connection *connection = NULL;
    stele_status status = stele__sqlite_take(store, &connection, error);

    if (status != STELE_OK)
        return status;
    status = measure_tables(connection, visit, context, error);
    stele__sqlite_give(store, connection);
    return status;
}
