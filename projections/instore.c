/*
 * Handles of views in a store, and parts in its appends.
 *
 *     SQLite: writes on the writer's connection, reads on one more of the same file
 *     others: both on the connection of a database in memory, the store's annex, made with the first handle
 *
 * What can fail: the store (opened for reading, without room for views), memory.
 */
#include "projections/instore.h"

#include "base/error.h"
#include "base/memory.h"
#include "projections/views.h"

#include <stddef.h>

/* --- The annex ------------------------------------------------------------------------- */

struct annex {
    struct stele__annex base;
    stele_views *views; /* with the connection of all */
};

static stele_status annex_begin(struct stele__annex *base, stele_error **error)
{
    return stele__views_run(((struct annex *)base)->views, "BEGIN IMMEDIATE", "begin", error);
}

static void annex_roll_back(struct stele__annex *base)
{
    const struct annex *annex = (struct annex *)base;

    if (!sqlite3_get_autocommit(annex->views->connection->db))
        sqlite3_exec(annex->views->connection->db, "ROLLBACK", NULL, NULL, NULL);
}

static stele_status annex_commit(struct stele__annex *base, stele_error **error)
{
    const struct annex *annex = (struct annex *)base;
    stele_status status;

    if (sqlite3_get_autocommit(annex->views->connection->db))
        return stele__fail(error, STELE_NO_MEMORY, "the transaction was lost to an earlier failure");
    status = stele__views_run(annex->views, "COMMIT", "commit", error);
    if (status != STELE_OK)
        annex_roll_back(base);
    return status;
}

static void annex_free(struct stele__annex *base)
{
    struct annex *annex = (struct annex *)base;

    stele_views_close(annex->views);
    stele__free(annex, sizeof(*annex));
}

static stele_status make_annex(stele_store *store, stele_error **error)
{
    struct annex *annex = stele__alloc(sizeof(*annex));
    stele_status status;

    if (!annex)
        return stele__fail_memory(error);
    annex->base = (struct stele__annex){annex_begin, annex_commit, annex_roll_back, annex_free};
    status = stele__views_in_memory(&annex->views, error);
    if (status == STELE_OK)
        store->annex = &annex->base;
    else
        stele__free(annex, sizeof(*annex));
    return status;
}

/* --- Handles ------------------------------------------------------------------------------ */

static stele_status name_path(stele_views *views, const char *path, stele_error **error)
{
    views->file.path = stele__text_copy(path);
    return views->file.path ? STELE_OK : stele__fail_memory(error);
}

static stele_status use_annex(stele_views *views, stele_store *store, stele_error **error)
{
    const struct annex *annex;
    stele_status status = name_path(views, ":memory:", error);

    if (status != STELE_OK)
        return status;
    stele__store_enter(store);
    if (!store->annex)
        status = make_annex(store, error);
    annex = (struct annex *)store->annex;
    if (status == STELE_OK)
        views->connection = annex->views->connection;
    stele__store_leave(store);
    views->store = store;
    return status;
}

/* The writer's connection, which then takes statements as long as those of a file of views. */
static stele_status use_writer(stele_views *views, stele_store *store, stele_error **error)
{
    const struct sqlite_store *file = stele__sqlite_store(store->backend);
    const stele_status status = name_path(views, file->path, error);

    if (status != STELE_OK)
        return status;
    views->connection = file->writer.connection;
    views->store = store;
    stele__store_enter(store);
    sqlite3_limit(views->connection->db, SQLITE_LIMIT_SQL_LENGTH, VIEWS_SQL_MAX);
    stele__store_leave(store);
    return STELE_OK;
}

static stele_status connect_reader(stele_views *views, const stele_store *store, stele_error **error)
{
    const struct sqlite_store *file = stele__sqlite_store(store->backend);
    struct sqlite_connect how = stele__sqlite_how(file, false);
    stele_status status = name_path(views, file->path, error);

    how.path = views->file.path;
    if (status == STELE_OK)
        status = stele__sqlite_connect(&how, &views->connection, error);
    if (status == STELE_OK)
        sqlite3_limit(views->connection->db, SQLITE_LIMIT_SQL_LENGTH, VIEWS_SQL_MAX);
    return status;
}

static stele_status open_handle(stele_store *store, bool reading, stele_views **out, stele_error **error)
{
    const bool is_file = store->ops == &stele__sqlite_ops;
    stele_views *views = NULL;
    stele_status status = stele__views_new(&views, error);

    if (status != STELE_OK)
        return status;
    views->read_only = reading;
    if (!is_file)
        status = use_annex(views, store, error);
    else
        status = reading ? connect_reader(views, store, error) : use_writer(views, store, error);
    if (status == STELE_OK)
        *out = views;
    else
        stele_views_close(views);
    return status;
}

stele_status stele__views_in_store(stele_store *store, stele_views **out, stele_error **error)
{
    stele_status status = stele__store_check_writable(store, error);

    if (status == STELE_OK && !store->ops->transactions)
        status = stele__fail_argument(error, "store", "has no room for views");
    return status == STELE_OK ? open_handle(store, false, out, error) : status;
}

stele_status stele_views_of_store(stele_store *store, stele_views **out, stele_error **error)
{
    stele_status status = stele__store_check(store, error);

    if (status == STELE_OK && !out)
        status = stele__fail_argument(error, "out", "is NULL");
    if (status == STELE_OK && !store->ops->transactions)
        status = stele__fail_argument(error, "store", "has no room for views");
    return status == STELE_OK ? open_handle(store, true, out, error) : status;
}

/* --- Parts ------------------------------------------------------------------------------------ */

static stele_status apply(struct stele__participant *participant, const stele_message *event, stele_error **error)
{
    struct stele__part *part = (struct stele__part *)((char *)participant - offsetof(struct stele__part, own));

    return part->apply(part, event, error);
}

stele_status stele__part_join(stele_store *store, struct stele__part *part, size_t batch, stele_error **error)
{
    if (!part->name)
        return stele__fail_argument(error, "name", "is NULL");
    if (part->views->store != store || part->views->read_only)
        return stele__fail_argument(error, "views", "is no handle that writes in this store");
    if (batch == 0)
        return stele__fail_argument(error, "batch", "is 0");
    part->own = (struct stele__participant){.name = part->name, .apply = apply};
    return stele__participant_join(store, &part->own, batch, error);
}

void stele__part_leave(stele_store *store, struct stele__part *part)
{
    stele__participant_leave(store, &part->own);
}
