/*
 * A model that follows a log.
 *
 *     stele_model_start() ─► follower: target opened, statements ready ─► a subscription, which owns it
 *         ─► load, { begin ─► receive* ─► commit | rollback }*
 *
 * What can fail: see target.h and model_run.c; tables that are changed by hand
 * while it runs, which is found at the beginning of a batch.
 */
#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "projections/model_run.h"
#include "projections/swap.h"
#include "projections/views.h"
#include "store/subscription.h"

#include <inttypes.h>
#include <string.h>

/* --- Its tables ----------------------------------------------------------------------- */

stele_status stele__model_make_tables(const stele_model *model, stele_views *views, stele_error **error)
{
    stele_status status = STELE_OK;

    for (size_t i = 0; i < model->schema_count && status == STELE_OK; i++) {
        const struct stele_slice sql = stele__model_statement(model, i)->sql;
        sqlite3_stmt *statement = NULL;
        int code = sqlite3_prepare_v2(views->connection->db, sql.data, (int)sql.size, &statement, NULL);

        if (code == SQLITE_OK)
            code = sqlite3_step(statement);
        sqlite3_finalize(statement);
        if (code == SQLITE_ERROR) /* a name is taken by what is not the model's */
            status = stele__model_fault(model, STELE_INVALID, sql.data, error, "%s: %s", views->file.path,
                                        sqlite3_errmsg(views->connection->db));
        else if (code != SQLITE_DONE)
            status = stele__views_fail(views, NULL, code, "make the tables", error);
    }
    return status;
}

/* All that there is of a table, as text. */
static int print_objects(sqlite3 *db, const char *table, struct stele__buffer *text)
{
    sqlite3_stmt *row = NULL;
    int code = sqlite3_prepare_v2(db,
                                  "SELECT type || ' ' || name || ' ' || ifnull(sql, '') FROM sqlite_schema "
                                  "WHERE tbl_name = ? COLLATE NOCASE ORDER BY type DESC, name",
                                  -1, &row, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_bind_text(row, 1, table, -1, SQLITE_STATIC);
    while (code == SQLITE_OK && (code = sqlite3_step(row)) == SQLITE_ROW) {
        const char *object = (const char *)sqlite3_column_text(row, 0);

        code = object ? SQLITE_OK : SQLITE_NOMEM;
        stele__buffer_add_text(text, object ? object : "");
        stele__buffer_add_byte(text, '\n');
    }
    sqlite3_finalize(row);
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

static stele_status fail_table(const stele_views *views, const char *table, bool is_there, stele_error **error)
{
    const stele_status status =
        stele__fail(error, is_there ? STELE_INVALID : STELE_NOT_FOUND, "%s: table %s is %s", views->file.path, table,
                    is_there ? "not as the model makes it" : "missing");

    stele__error_add(error, "table", "%s", table);
    return status;
}

static stele_status compare_table(const stele_views *views, const struct model_scratch *scratch, const char *table,
                                  stele_error **error)
{
    struct stele__buffer wanted, found;
    stele_status status = STELE_OK;
    int code;

    stele__buffer_init(&wanted);
    stele__buffer_init(&found);
    code = print_objects(views->connection->db, table, &found);
    if (code != SQLITE_OK)
        status = stele__views_fail(views, NULL, code, "look at the tables", error);
    else if (print_objects(scratch->db, table, &wanted) != SQLITE_OK)
        status = stele__fail_memory(error);
    if (status == STELE_OK)
        status = stele__buffer_finish(&wanted, "the tables", error);
    if (status == STELE_OK)
        status = stele__buffer_finish(&found, "the tables", error);
    if (status == STELE_OK && !stele__slice_equal(stele__buffer_slice(&wanted), stele__buffer_slice(&found)))
        status = fail_table(views, table, found.size > 0, error);
    stele__buffer_fini(&wanted);
    stele__buffer_fini(&found);
    return status;
}

stele_status stele__model_check_tables(const stele_model *model, stele_views *views, stele_error **error)
{
    const char *rest = *model->tables ? model->tables : NULL;
    struct model_scratch scratch;
    struct stele_slice name;
    char table[STELE_VIEW_NAME_MAX + 1];
    stele_status status = stele__model_scratch_open(&scratch, error);

    if (status == STELE_OK)
        status = stele__model_rebuild_scratch(model, &scratch, error);
    while (status == STELE_OK && stele__view_next_name(&rest, &name)) {
        memcpy(table, name.data, name.size);
        table[name.size] = '\0';
        status = compare_table(views, &scratch, table, error);
    }
    stele__model_scratch_close(&scratch);
    return status;
}

/* --- Following ---------------------------------------------------------------------------- */

static stele_status make(void *context, stele_views *views, stele_error **error)
{
    const struct stele__model_follower *follower = context;

    return stele__model_make_tables(follower->model, views, error);
}

static stele_status check(void *context, stele_views *views, stele_error **error)
{
    const struct stele__model_follower *follower = context;

    return stele__model_check_tables(follower->model, views, error);
}

/* Whoever gives a handle up does so in load or commit: then nothing may be prepared on it. */
static void let_go_of_built(struct stele__model_follower *follower, uint64_t position)
{
    if (follower->target.built && stele__building_is_reached(&follower->target.building, position))
        stele__model_run_forget(follower->run);
}

static stele_status load(void *context, uint64_t *position, stele_error **error)
{
    struct stele__model_follower *follower = context;

    stele__model_run_forget(follower->run);
    return stele__target_load(&follower->target, position, error);
}

static stele_status read_schema(stele_views *views, int64_t *schema, stele_error **error)
{
    sqlite3_stmt *row = NULL;
    int code = sqlite3_prepare_v2(views->connection->db, "PRAGMA schema_version", -1, &row, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_step(row);
    if (code == SQLITE_ROW)
        *schema = sqlite3_column_int64(row, 0);
    sqlite3_finalize(row);
    return code == SQLITE_ROW ? STELE_OK : stele__views_fail(views, NULL, code, "look at the tables", error);
}

/* In a transaction, so that nobody changes them until it ends. */
static stele_status look_at_tables(struct stele__model_follower *follower, stele_views *views, stele_error **error)
{
    int64_t schema = 0;
    stele_status status = read_schema(views, &schema, error);

    if (status != STELE_OK || (follower->schema == schema && follower->schema_of == views))
        return status;
    status = stele__model_check_tables(follower->model, views, error);
    if (status == STELE_INVALID || status == STELE_NOT_FOUND)
        stele__error_prefix(error, "projection %s: its tables were changed by hand", follower->model->name);
    if (status == STELE_OK) {
        follower->schema = schema;
        follower->schema_of = views;
    }
    return status;
}

static stele_status begin(void *context, stele_error **error)
{
    struct stele__model_follower *follower = context;
    stele_status status = stele__target_begin(&follower->target, error);

    if (status != STELE_OK)
        return status;
    status = look_at_tables(follower, stele__target_views(&follower->target), error);
    if (status != STELE_OK)
        stele__target_rollback(&follower->target);
    return status;
}

static stele_status receive(void *context, const stele_message *event, stele_error **error)
{
    struct stele__model_follower *follower = context;

    return stele__model_apply(follower->run, stele__target_views(&follower->target), event, error);
}

static stele_status commit(void *context, uint64_t from, uint64_t to, stele_error **error)
{
    struct stele__model_follower *follower = context;

    let_go_of_built(follower, to);
    return stele__target_commit(&follower->target, from, to, error);
}

static void rollback(void *context)
{
    struct stele__model_follower *follower = context;

    stele__target_rollback(&follower->target);
}

void stele__model_follower_subscribe(const struct stele__model_follower *follower, struct stele_subscriber *out)
{
    out->types = follower->model->type_names;
    out->receive = receive;
    out->load = load;
    out->begin = begin;
    out->commit = commit;
    out->rollback = rollback;
    out->in_place = follower->target.path != NULL;
}

stele_status stele__model_follower_open(struct stele__model_follower *follower, const stele_model *model,
                                        stele_store *store, const char *path, bool rebuild, stele_error **error)
{
    struct stele__target *target = &follower->target;
    stele_status status;

    follower->model = model;
    target->store = store;
    target->path = path;
    target->name = model->name;
    target->version = model->version;
    memcpy(target->digest, model->digest, sizeof(target->digest));
    target->tables = model->tables;
    target->make = make;
    target->check = check;
    target->context = follower;
    target->rebuilds = rebuild;
    status = stele__model_run_new(model, store, NULL, NULL, &follower->run, error);
    if (status != STELE_OK)
        return status;
    status = stele__target_open(target, error);
    if (status != STELE_OK) {
        stele__error_prefix(error, "projection %s", model->name);
        stele__error_add(error, "projection", "%s", model->name);
    }
    return status;
}

void stele__model_follower_close(struct stele__model_follower *follower)
{
    stele__model_run_free(follower->run);
    stele__target_close(&follower->target);
}

/* --- Started by itself ------------------------------------------------------------------------ */

/* What the subscription owns. */
struct started {
    struct stele__model_follower follower;
    struct stele_subscriber subscriber;
    struct stele_retry retry;
    char *path;
};

static void let_go(void *context)
{
    struct started *started = context;

    stele__model_follower_close(&started->follower);
    stele__text_free(started->path);
    stele__free(started, sizeof(*started));
}

static void set_subscriber(struct started *started, const struct stele_model_options *options)
{
    struct stele_subscriber *subscriber = &started->subscriber;

    subscriber->name = started->follower.model->name;
    stele__model_follower_subscribe(&started->follower, subscriber);
    if (!options)
        return;
    subscriber->until = options->until;
    subscriber->batch = options->batch;
    subscriber->on_failure = options->on_failure;
    if (options->retry) {
        started->retry = *options->retry;
        subscriber->retry = &started->retry;
    }
}

static stele_status check_start(const stele_model *model, const stele_store *store, const stele_runtime *runtime,
                                const char *path, const struct stele_model_options *options, stele_subscription **out,
                                stele_error **error)
{
    const char *missing = !model     ? "model"
                          : !store   ? "store"
                          : !runtime ? "runtime"
                          : !path    ? "path"
                          : !out     ? "out"
                                     : NULL;

    if (missing)
        return stele__fail_argument(error, missing, "is NULL");
    return stele__options_check(options, sizeof(size_t), sizeof(*options), "options", error);
}

stele_status stele_model_start(const stele_model *model, stele_store *store, stele_runtime *runtime, const char *path,
                               const struct stele_model_options *options, stele_subscription **out, stele_error **error)
{
    struct started *started;
    stele_subscription *subscription = NULL;
    stele_status status = check_start(model, store, runtime, path, options, out, error);

    if (status != STELE_OK)
        return status;
    started = stele__alloc(sizeof(*started));
    if (!started)
        return stele__fail_memory(error);
    started->path = stele__text_copy(path);
    status = started->path ? stele__model_follower_open(&started->follower, model, store, started->path,
                                                        options && options->rebuild, error)
                           : stele__fail_memory(error);
    if (status == STELE_OK) {
        set_subscriber(started, options);
        status = stele_subscription_start(store, runtime, &started->subscriber, started, &subscription, error);
    }
    if (status == STELE_OK) {
        subscription->let_go = let_go;
        *out = subscription;
    } else {
        let_go(started);
    }
    return status;
}

/* --- What is there -------------------------------------------------------------------------------- */

struct listing {
    const char *path;
    stele_model_visit *visit;
    void *context;
};

static bool show(void *context, const struct stele__mark *mark)
{
    const struct listing *listing = context;
    const struct stele_model_record record = {
        .name = mark->name,
        .version = mark->version,
        .position = mark->position,
        .old_version = mark->old_version,
        .is_building = stele__beside_exists(listing->path, mark->name),
    };

    return listing->visit(listing->context, &record);
}

stele_status stele_model_list(const char *path, stele_model_visit *visit, void *context, stele_error **error)
{
    struct stele_views_options options = STELE_OPTIONS_INIT(struct stele_views_options);
    struct listing listing = {path, visit, context};
    stele_views *views = NULL;
    stele_status status;

    if (!path || !visit)
        return stele__fail_argument(error, !path ? "path" : "visit", "is NULL");
    options.mode = STELE_OPEN_READ_ONLY;
    status = stele_views_open(path, &options, &views, error);
    if (status == STELE_OK)
        status = stele__marks_visit(views, show, &listing, error);
    stele_views_close(views);
    return status;
}

stele_status stele_model_rollback(const char *path, const char *name, stele_error **error)
{
    struct stele_views_options options = STELE_OPTIONS_INIT(struct stele_views_options);
    stele_views *views = NULL;
    stele_status status;

    if (!path || !name)
        return stele__fail_argument(error, !path ? "path" : "name", "is NULL");
    options.mode = STELE_OPEN_EXISTING;
    status = stele_views_open(path, &options, &views, error);
    if (status == STELE_OK)
        status = stele__swap_old(views, path, name, error);
    stele_views_close(views);
    return status;
}
