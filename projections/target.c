/*
 * Filling the tables of a projection, in their file or beside it.
 *
 *     load ─► position of the mark ─► { begin ─► tables written ─► mark moved, commit }* ─► swapped at the goal
 *
 * The mark is moved in the transaction of what it speaks of, compared and set: a
 * second writer of the same projection finds it moved, and its batch is rolled back. A
 * swap that fails leaves what was built; the next load tries it again.
 *
 * What can fail: files, tables that are another's or were changed, a mark ahead
 * of the log, a second writer.
 */
#include "projections/target.h"

#include "base/arena.h"
#include "base/error.h"
#include "projections/instore.h"
#include "projections/swap.h"
#include "projections/tables.h"
#include "projections/views.h"

#include <inttypes.h>
#include <string.h>

static stele_status pass_on(stele_status status, stele_error *cause, stele_error **error)
{
    if (error)
        *error = cause;
    else
        stele_error_free(cause);
    return status;
}

stele_status stele__target_head(stele_store *store, uint64_t *head, stele_error **error)
{
    uint64_t found = 0;
    stele_error *cause = NULL;
    const stele_status status = stele_wait(store, 0, 0, &found, &cause);

    if (status != STELE_OK && status != STELE_TIMEOUT)
        return pass_on(status, cause, error);
    stele_error_free(cause);
    *head = status == STELE_OK ? found : 0;
    return STELE_OK;
}

stele_views *stele__target_views(const struct stele__target *target)
{
    return target->built ? target->built : target->present;
}

/* The file beside which others are put; NULL for tables in memory. */
static const char *path_of(const struct stele__target *target)
{
    const char *path = target->path ? target->path : target->present->file.path;

    return strcmp(path, ":memory:") == 0 ? NULL : path;
}

/* --- Opening ------------------------------------------------------------------------ */

static stele_status refuse_table(void *context, const char *table, stele_error **error)
{
    stele_views *views = context;
    const int code =
        sqlite3_table_column_metadata(views->connection->db, "main", table, NULL, NULL, NULL, NULL, NULL, NULL);

    if (code == SQLITE_ERROR)
        return STELE_OK;
    if (code != SQLITE_OK)
        return stele__views_fail(views, NULL, code, "look for a table", error);
    stele__fail(error, STELE_INVALID, "%s: there is a table %s already, which is not of this projection",
                views->file.path, table);
    stele__error_add(error, "table", "%s", table);
    return STELE_INVALID;
}

stele_status stele__target_make(struct stele__target *target, stele_views *views, uint64_t position,
                                stele_error **error)
{
    struct stele__mark mark = {
        .name = target->name, .version = target->version, .position = position, .tables = target->tables};
    stele_status status = stele__marks_create(views, error);

    memcpy(mark.digest, target->digest, sizeof(mark.digest));
    if (status == STELE_OK)
        status = stele__tables_walk(views, &mark, refuse_table, views, error);
    if (status == STELE_OK)
        status = target->make(target->context, views, error);
    return status == STELE_OK ? stele__mark_write(views, &mark, error) : status;
}

static stele_status fail_ahead(const struct stele__target *target, uint64_t position, uint64_t head,
                               stele_error **error)
{
    stele__fail(error, STELE_CONFLICT,
                "its tables are at position %" PRIu64 ", and the log ends at %" PRIu64
                ": was the store restored from a backup? Remove them, and they are built again",
                position, head);
    stele__error_add(error, "projection", "%s", target->name);
    stele__error_add(error, "position", "%" PRIu64, position);
    stele__error_add(error, "head", "%" PRIu64, head);
    return STELE_CONFLICT;
}

static stele_status build_beside(struct stele__target *target, uint32_t old_version, stele_error **error)
{
    struct stele__beside beside = {
        .path = path_of(target),
        .name = target->name,
        .version = target->version,
        .tables = target->tables,
        .make = target->make,
        .context = target->context,
    };
    stele_status status;

    memcpy(beside.digest, target->digest, sizeof(beside.digest));
    status = stele__beside_open(&beside, &target->built, error);
    if (status == STELE_OK) {
        atomic_store(&target->old_version, old_version);
        stele__building_begin(&target->building, target->head);
    }
    return status;
}

/* A mark of this version is there: are the tables those it speaks of? */
static stele_status check_tables(const struct stele__target *target, stele_views *views, const struct stele__mark *mark,
                                 stele_error **error)
{
    const char *view;
    stele_error *cause = NULL;
    stele_status status;

    if (memcmp(mark->digest, target->digest, sizeof(mark->digest)) != 0) {
        stele__fail(error, STELE_INVALID,
                    "its tables of version %" PRIu32
                    " were made from something else: what is new needs another version",
                    mark->version);
        stele__error_add(error, "version", "%" PRIu32, mark->version);
        return STELE_INVALID;
    }
    if (strcmp(mark->tables, target->tables) != 0)
        return stele__fail(error, STELE_INVALID, "its mark was changed by hand: it speaks of other tables");
    status = target->check(target->context, views, &cause);
    if (status != STELE_INVALID && status != STELE_NOT_FOUND)
        return status == STELE_OK ? STELE_OK : pass_on(status, cause, error);
    stele__fail(error, STELE_INVALID, "its tables were changed by hand: %s", stele_error_message(cause));
    view = stele_error_get(cause, "view");
    if (view)
        stele__error_add(error, "view", "%s", view);
    stele_error_free(cause);
    return STELE_INVALID;
}

stele_status stele__target_look(const struct stele__target *target, stele_views *views, stele_arena *arena,
                                struct stele__mark *mark, stele_error **error)
{
    stele_error *cause = NULL;
    const stele_status status = stele__mark_read(views, target->name, arena, mark, &cause);

    if (status == STELE_NOT_FOUND) {
        stele_error_free(cause);
        mark->name = NULL;
        return STELE_OK;
    }
    if (status != STELE_OK)
        return pass_on(status, cause, error);
    if (target->rebuilds)
        return STELE_OK;
    if (mark->position > target->head)
        return fail_ahead(target, mark->position, target->head, error);
    return mark->version == target->version ? check_tables(target, views, mark, error) : STELE_OK;
}

/* In a transaction: whoever else comes to make them finds them made. */
static stele_status see_present(struct stele__target *target, stele_arena *arena, struct stele__mark *mark,
                                stele_error **error)
{
    stele_views *views = target->present;
    stele_status status = stele_views_begin(views, error);

    if (status != STELE_OK)
        return status;
    status = stele__target_look(target, views, arena, mark, error);
    if (status == STELE_OK && !mark->name)
        status = stele__target_make(target, views, 0, error);
    if (status == STELE_OK)
        return stele_views_commit(views, error);
    stele_views_rollback(views, NULL);
    return status;
}

stele_status stele__target_open(struct stele__target *target, stele_error **error)
{
    struct stele__mark mark = {0};
    struct stele_arena arena;
    bool is_cut_short = false;
    stele_status status = stele__building_init(&target->building, error);

    if (status == STELE_OK)
        status = stele__target_head(target->store, &target->head, error);
    if (status != STELE_OK)
        return status;
    if (target->path)
        status = stele_views_open(target->path, NULL, &target->present, error);
    else
        status = stele__views_in_store(target->store, &target->present, error);
    if (status != STELE_OK)
        return status;
    stele__arena_init(&arena);
    status = stele__beside_tidy(target->present, path_of(target), target->name, error);
    if (status == STELE_OK)
        status = see_present(target, &arena, &mark, error);
    if (status == STELE_OK)
        status =
            stele__beside_is_of(path_of(target), target->name, target->version, target->digest, &is_cut_short, error);
    if (status == STELE_OK && mark.name && (mark.version != target->version || target->rebuilds || is_cut_short))
        status = build_beside(target, mark.version, error);
    stele__arena_fini(&arena);
    return status;
}

void stele__target_close(struct stele__target *target)
{
    stele_views_close(target->built);
    stele_views_close(target->present);
    stele__building_fini(&target->building);
    target->built = NULL;
    target->present = NULL;
}

/* --- Following ------------------------------------------------------------------------ */

static stele_status read_position(struct stele__target *target, uint64_t *position, stele_error **error)
{
    struct stele__mark mark = {0};
    struct stele_arena arena;
    stele_status status;

    stele__arena_init(&arena);
    status = stele__mark_read(stele__target_views(target), target->name, &arena, &mark, error);
    if (status == STELE_OK && mark.version != target->version) {
        stele__fail(error, STELE_CONFLICT, "its tables are of version %" PRIu32 " now, not %" PRIu32, mark.version,
                    target->version);
        stele__error_add(error, "projection", "%s", target->name);
        status = STELE_CONFLICT;
    }
    if (status == STELE_OK)
        *position = mark.position;
    stele__arena_fini(&arena);
    return status;
}

static stele_status swap_at_goal(struct stele__target *target, uint64_t position, stele_error **error)
{
    stele_status status;

    if (!target->built || !stele__building_is_reached(&target->building, position))
        return STELE_OK;
    status = stele__swap_new(target->present, &target->built, path_of(target), target->name, error);
    if (status == STELE_OK)
        stele__building_end(&target->building);
    return status;
}

stele_status stele__target_load(struct stele__target *target, uint64_t *position, stele_error **error)
{
    uint64_t found = 0;
    uint64_t head = 0;
    stele_status status = stele__target_head(target->store, &head, error);

    if (status == STELE_OK && !target->built && stele__building_is_under_way(&target->building))
        status = build_beside(target, target->version, error);
    if (status == STELE_OK) {
        stele__building_take(&target->building, head);
        status = read_position(target, &found, error);
    }
    if (status == STELE_OK)
        status = swap_at_goal(target, found, error);
    if (status == STELE_OK)
        *position = found;
    return status;
}

stele_status stele__target_begin(struct stele__target *target, stele_error **error)
{
    return stele_views_begin(stele__target_views(target), error);
}

/* The batch is committed: what keeps its tables from being put in is no fault of its events, which are not to be parked. */
static stele_status swap_after_batch(struct stele__target *target, uint64_t position, stele_error **error)
{
    stele_error *cause = NULL;
    const stele_status status = swap_at_goal(target, position, &cause);

    if (status == STELE_OK || stele_status_action(status) != STELE_ACTION_NEVER)
        return status == STELE_OK ? STELE_OK : pass_on(status, cause, error);
    stele__fail(error, STELE_CONFLICT, "what was built cannot take its place: %s", stele_error_message(cause));
    stele__error_add(error, "projection", "%s", target->name);
    stele_error_free(cause);
    return STELE_CONFLICT;
}

stele_status stele__target_commit(struct stele__target *target, uint64_t from, uint64_t to, stele_error **error)
{
    stele_views *views = stele__target_views(target);
    stele_status status = stele__mark_move(views, target->name, target->version, from, to, error);

    if (status == STELE_OK)
        status = stele_views_commit(views, error);
    return status == STELE_OK ? swap_after_batch(target, to, error) : status;
}

void stele__target_rollback(struct stele__target *target)
{
    stele_views_rollback(stele__target_views(target), NULL);
}

stele_status stele__target_rebuild(struct stele__target *target, stele_error **error)
{
    if (!stele__building_ask(&target->building))
        return stele__fail(error, STELE_INVALID, "it is being built already");
    atomic_store(&target->old_version, target->version);
    return STELE_OK;
}

stele_status stele__target_swap_back(struct stele__target *target, stele_error **error)
{
    /* The handle that is there is the subscription's. */
    stele_views *views = NULL;
    stele_status status = STELE_OK;

    if (stele__building_is_under_way(&target->building))
        return stele__fail(error, STELE_INVALID, "another version is being built");
    if (target->path)
        status = stele_views_open(target->path, NULL, &views, error);
    else
        status = stele__views_in_store(target->store, &views, error);
    if (status == STELE_OK)
        status = stele__swap_old(views, path_of(target), target->name, error);
    stele_views_close(views);
    return status;
}
