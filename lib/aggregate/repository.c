/*
 * Repositories: a table bound to a store, and loading from it.
 *
 *   store -> stele__store_visit -> message, lent -> stele__instance_fold -> state
 *
 * A load begins at the newest state that is known, if one is (snapshot.c), and
 * reads the events behind it.
 *
 * What can fail: the table, the stream (missing, unknown types, damage), the
 * store, memory. A load that fails leaves nothing behind.
 */
#include "aggregate/aggregate.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "message/message.h"
#include "store/store.h"

#include <inttypes.h>

/* True if a struct holds no pointers, so that copying its bytes copies all of it. */
static bool type_is_flat(const struct stele_type *type)
{
    for (size_t i = 0; i < type->field_count; i++) {
        const struct stele_field *field = &type->fields[i];

        switch (field->kind) {
        case STELE_KIND_ARENA:
        case STELE_KIND_TEXT:
        case STELE_KIND_BYTES: return false;
        case STELE_KIND_STRUCT:
            if (field->shape != STELE_SHAPE_ONE || !type_is_flat(field->type))
                return false;
            break;
        default: break;
        }
        if (field->shape == STELE_SHAPE_LIST || field->shape == STELE_SHAPE_OPTIONAL_LIST)
            return false;
    }
    return true;
}

static bool type_has_arena(const struct stele_type *type)
{
    for (size_t i = 0; i < type->field_count; i++) {
        if (type->fields[i].kind == STELE_KIND_ARENA)
            return true;
    }
    return false;
}

static bool add_rows(stele_repository *repository)
{
    const struct stele_aggregate *aggregate = repository->aggregate;
    const bool state_is_flat = type_is_flat(aggregate->state);

    for (size_t i = 0; i < aggregate->evolution_count; i++) {
        struct stele__row *row = &repository->rows[i];

        row->evolution = &aggregate->evolutions[i];
        row->name = stele__slice(row->evolution->event->name);
        row->is_fleeting = state_is_flat || type_is_flat(row->evolution->event);
        if (!stele__map_put(&repository->by_name, row->name, row))
            return false;
    }
    return true;
}

/* What lets loads begin elsewhere than at nothing. */
static bool add_memory(stele_repository *repository, const struct stele_repository_options *given)
{
    repository->counts = stele__counts_new();
    repository->snapshot_every = given->snapshot_every;
    if (given->cache_bytes)
        repository->cache = stele__cache_new(given->cache_bytes);
    if (!repository->counts || (given->cache_bytes && !repository->cache))
        return false;
    return stele__fingerprint(repository->aggregate, repository->unknown, repository->store->upcasting,
                              repository->fingerprint, NULL) == STELE_OK;
}

stele_status stele_repository_new(stele_store *store, const struct stele_aggregate *aggregate,
                                  const struct stele_repository_options *options, stele_repository **out,
                                  stele_error **error)
{
    struct stele_repository_options given = STELE_OPTIONS_INIT(struct stele_repository_options);
    stele_repository *repository;
    stele_status status;

    if (!out)
        return stele__fail_argument(error, "out", "is NULL");
    status = stele__store_check(store, error);
    if (status == STELE_OK)
        status = stele_aggregate_check(aggregate, error);
    if (status == STELE_OK)
        status = stele__options_check(options, sizeof(given), sizeof(given), "options", error);
    if (status != STELE_OK)
        return status;
    if (options)
        given = *options;
    if (given.unknown != STELE_UNKNOWN_IS_ERROR && given.unknown != STELE_UNKNOWN_IS_SKIPPED)
        return stele__fail_argument(error, "options", "unknown is none of enum stele_unknown");
    repository = stele__alloc(sizeof(*repository));
    if (!repository)
        return stele__fail_memory(error);
    repository->store = store;
    repository->aggregate = aggregate;
    repository->clock = given.clock ? given.clock : stele_clock_system();
    repository->unknown = given.unknown;
    repository->remembers_commands = given.remember_commands;
    repository->owns_memory = type_has_arena(aggregate->state);
    repository->source = stele__text_copy(given.source ? given.source : "stele");
    repository->rows = stele__alloc((aggregate->evolution_count + 1) * sizeof(*repository->rows));
    if (!repository->source || !repository->rows || !add_rows(repository) || !add_memory(repository, &given)) {
        stele_repository_free(repository);
        return stele__fail_memory(error);
    }
    *out = repository;
    return STELE_OK;
}

void stele_repository_free(stele_repository *repository)
{
    if (!repository)
        return;
    stele__cache_free(repository->cache);
    stele__counts_unref(repository->counts);
    stele__map_fini(&repository->by_name);
    stele__free(repository->rows, (repository->aggregate->evolution_count + 1) * sizeof(*repository->rows));
    stele__text_free(repository->source);
    stele__free(repository, sizeof(*repository));
}

const struct stele_aggregate *stele_repository_aggregate(const stele_repository *repository)
{
    return repository->aggregate;
}

const struct stele__row *stele__repository_row(const stele_repository *repository, struct stele_slice type)
{
    return stele__map_get(&repository->by_name, type);
}

/* --- Loading ---------------------------------------------------------------- */

struct fold {
    stele_instance *instance;
    struct stele__loading *loading;
    uint64_t count;
    bool stopped; /* at an event that is too late */
    stele_status status;
    stele_error **error;
};

static bool fold_message(void *context, const stele_message *message)
{
    struct fold *fold = context;
    struct stele__loading *loading = fold->loading;

    if (loading->has_time && message->time > loading->time) {
        fold->stopped = true;
        return false;
    }
    if (loading->watched && message->id_is_uuid && stele_uuid_compare(&message->uuid, loading->watched) == 0) {
        loading->watched_version = message->version;
        loading->watched_time = message->time;
    }
    loading->has_gaps |= message->version > fold->instance->stored_version + 1;
    fold->status = stele__instance_fold(fold->instance, message, fold->error);
    fold->count++;
    return fold->status == STELE_OK;
}

static stele_status fail_missing(const char *stream, const struct stele__loading *loading, uint64_t reached,
                                 stele_error **error)
{
    if (loading->until != STELE_VERSION_MAX && reached > 0)
        stele__fail(error, STELE_NOT_FOUND, "stream \"%s\" has no version %" PRIu64 ": it ends at %" PRIu64, stream,
                    loading->until, reached);
    else if (loading->has_time)
        stele__fail(error, STELE_NOT_FOUND, "stream \"%s\" has no event at or before that time", stream);
    else
        stele__fail(error, STELE_NOT_FOUND, "there is no stream \"%s\"", stream);
    stele__error_add(error, "stream", "%s", stream);
    return STELE_NOT_FOUND;
}

/* Events of which upcasters made nothing are part of the stream, also where it ends with them. */
static void pass_dropped(const struct fold *fold, uint64_t last)
{
    const uint64_t version = last < fold->loading->until ? last : fold->loading->until;

    if (fold->stopped || version <= fold->instance->stored_version)
        return;
    fold->instance->stored_version = version;
    fold->loading->has_gaps = true;
}

/* Fold the events behind the instance's version. */
static stele_status fold_behind(struct fold *fold, struct stele_head *head)
{
    stele_instance *instance = fold->instance;
    struct stele_query query = STELE_OPTIONS_INIT(struct stele_query);
    stele_status status;

    query.stream = instance->stream;
    query.after = instance->stored_version;
    query.until = fold->loading->until;
    status = stele__store_visit(instance->repository->store, &query, fold_message, fold, head, fold->error);
    if (status == STELE_OK && fold->status == STELE_OK)
        pass_dropped(fold, head->version);
    return status == STELE_OK ? fold->status : status;
}

/* The watched event may be one of those that did not have to be read. */
static stele_status look_for_watched(stele_instance *instance, struct stele__loading *loading, stele_error **error)
{
    struct stele__place_in_stream place;
    stele_status status;

    if (!loading->watched || loading->watched_version || (!loading->from && !loading->has_gaps))
        return STELE_OK;
    status = stele__store_place(instance->repository->store, loading->watched, &place, error);
    if (status == STELE_OK) {
        loading->watched_version = place.version;
        loading->watched_time = place.time;
    }
    return status;
}

static stele_status fold_stream(struct fold *fold)
{
    stele_instance *instance = fold->instance;
    struct stele__loading *loading = fold->loading;
    struct stele_head head;
    stele_status status = stele__recall(instance, loading, fold->error);

    if (status == STELE_OK)
        status = fold_behind(fold, &head);
    if (status == STELE_OK && head.version < loading->from) {
        stele__recall_was_wrong(instance, loading);
        status = fold_behind(fold, &head);
    }
    if (status != STELE_OK)
        return status;
    if (loading->until != STELE_VERSION_MAX && head.version < loading->until)
        return fail_missing(instance->stream, loading, head.version, fold->error);
    if (instance->stored_version == 0 && !loading->or_new)
        return fail_missing(instance->stream, loading, 0, fold->error);
    return look_for_watched(instance, loading, fold->error);
}

static void tell_loaded(const stele_instance *instance, const struct stele__loading *loading, uint64_t folded)
{
    const stele_repository *repository = instance->repository;
    const struct stele_hook_loaded loaded = {
        .aggregate = repository->aggregate->state->name,
        .stream = instance->stream,
        .version = instance->stored_version,
        .source = loading->source,
        .from = loading->from,
        .folded = folded,
    };

    stele__count(repository->counts, STELE__COUNT_LOADS, 1);
    stele__count(repository->counts, STELE__COUNT_FOLDED, folded);
    stele__hook_loaded(repository->store->hooks, &loaded);
}

stele_status stele__load(const stele_repository *repository, const char *stream, struct stele__loading *loading,
                         stele_instance **out, stele_error **error)
{
    struct fold fold = {.loading = loading, .error = error};
    stele_status status = stele__instance_new(repository, stream, &fold.instance, error);

    if (status == STELE_OK && loading->until > 0)
        status = fold_stream(&fold);
    if (status != STELE_OK) {
        stele_instance_free(fold.instance);
        return status;
    }
    tell_loaded(fold.instance, loading, fold.count);
    /* What came from the cache and has not moved on is there already. */
    if (loading->until == STELE_VERSION_MAX && !loading->has_time &&
        (fold.count > 0 || loading->source != STELE_LOADED_FROM_CACHE))
        stele__remember(fold.instance, loading->discards);
    *out = fold.instance;
    return STELE_OK;
}

stele_status stele_load(const stele_repository *repository, const char *stream,
                        const struct stele_load_options *options, stele_instance **out, stele_error **error)
{
    struct stele__loading loading = {.until = STELE_VERSION_MAX};
    stele_status status;

    if (!repository)
        return stele__fail_argument(error, "repository", "is NULL");
    if (!stream)
        return stele__fail_argument(error, "stream", "is NULL");
    if (!out)
        return stele__fail_argument(error, "out", "is NULL");
    status = stele__options_check(options, sizeof(*options), sizeof(*options), "options", error);
    if (status != STELE_OK)
        return status;
    if (options) {
        if (options->version > STELE_VERSION_MAX)
            return stele__fail_argument(error, "options", "version is above STELE_VERSION_MAX");
        loading.or_new = options->or_new;
        loading.until = options->version ? options->version : STELE_VERSION_MAX;
        loading.has_time = options->has_time;
        loading.time = options->time;
    }
    return stele__load(repository, stream, &loading, out, error);
}
