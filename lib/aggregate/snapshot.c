/*
 * Where a load may begin, and what it leaves behind for the next one.
 *
 *     recall    cache -> state, or else  snapshot -> fingerprint -> decoded -> state
 *     (the events behind it are folded, which also proves that the stream has it)
 *     remember  state -> encoded -> the store's thread, every so many events
 *                     -> copied  -> cache
 *
 * Neither is the truth: that is the stream. So a snapshot of another shape, one
 * that is damaged, and one beyond the stream are discarded, counted, and
 * replaced. What can fail: memory; all else only makes a load slower.
 */
#include "aggregate/aggregate.h"

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "store/store.h"

#include <string.h>

/* --- Discarding --------------------------------------------------------------------- */

static const char *const reason_texts[] = {
    [STELE_DISCARD_SHAPE] = "the state has another shape now",
    [STELE_DISCARD_DAMAGED] = "it is damaged",
    [STELE_DISCARD_BEYOND] = "its version is beyond the stream's",
};

static void discard(const stele_instance *instance, struct stele__loading *loading, enum stele_discard_reason reason,
                    uint64_t version, size_t bytes)
{
    const stele_repository *repository = instance->repository;
    const struct stele_hook_snapshot discarded = {
        .aggregate = repository->aggregate->state->name,
        .stream = instance->stream,
        .version = version,
        .bytes = bytes,
        .reason = reason,
    };

    loading->discards = true;
    stele__count(repository->counts, (enum stele__count)(STELE__COUNT_DISCARDED_SHAPE + (int)reason), 1);
    STELE__LOG(STELE_LOG_INFO, "a snapshot is discarded", {"stream", instance->stream}, {"why", reason_texts[reason]});
    stele__hook_snapshot_discarded(repository->store->hooks, &discarded);
}

/* --- From a snapshot ------------------------------------------------------------------ */

enum found {
    FOUND_NOTHING,
    FOUND_GOOD,  /* it is the state now */
    FOUND_NEWER, /* than what is to be loaded */
    FOUND_OTHER_SHAPE,
    FOUND_DAMAGED
};

struct restoring {
    stele_instance *instance;
    const struct stele__loading *loading;
    enum found found;
    uint64_t version;
    size_t bytes;
    stele_status status; /* STELE_NO_MEMORY, or STELE_OK */
};

static enum found restore(struct restoring *restoring, const struct stele_snapshot *snapshot)
{
    stele_instance *instance = restoring->instance;
    const struct stele__loading *loading = restoring->loading;

    if (memcmp(snapshot->fingerprint, instance->repository->fingerprint, STELE__FINGERPRINT_SIZE) != 0)
        return FOUND_OTHER_SHAPE;
    if (snapshot->version == 0 || snapshot->version > STELE_VERSION_MAX)
        return FOUND_DAMAGED;
    if (snapshot->version > loading->until || (loading->has_time && snapshot->time > loading->time))
        return FOUND_NEWER;
    restoring->status = stele__instance_restore(instance, snapshot->state, NULL);
    if (restoring->status != STELE_OK) {
        if (restoring->status != STELE_NO_MEMORY)
            restoring->status = STELE_OK;
        return FOUND_DAMAGED;
    }
    instance->stored_version = snapshot->version;
    instance->snapshot_version = snapshot->version;
    instance->latest = snapshot->time;
    return FOUND_GOOD;
}

static bool visit_snapshot(void *context, const struct stele_snapshot *snapshot)
{
    struct restoring *restoring = context;

    restoring->version = snapshot->version;
    restoring->bytes = snapshot->state.size;
    restoring->found = restore(restoring, snapshot);
    return false;
}

static void tell_loaded(const struct restoring *restoring)
{
    const stele_repository *repository = restoring->instance->repository;
    const struct stele_hook_snapshot loaded = {
        .aggregate = repository->aggregate->state->name,
        .stream = restoring->instance->stream,
        .version = restoring->version,
        .bytes = restoring->bytes,
    };

    stele__count(repository->counts, STELE__COUNT_SNAPSHOTS_LOADED, 1);
    stele__hook_snapshot_loaded(repository->store->hooks, &loaded);
}

static stele_status recall_snapshot(stele_instance *instance, struct stele__loading *loading, stele_error **error)
{
    struct restoring restoring = {.instance = instance, .loading = loading};
    bool damaged = false;
    const stele_status status = stele__store_load_snapshot(instance->repository->store, stele__slice(instance->stream),
                                                           visit_snapshot, &restoring, &damaged, error);

    if (status != STELE_OK)
        return status;
    if (restoring.status != STELE_OK)
        return stele__fail_memory(error);
    if (damaged || restoring.found == FOUND_DAMAGED)
        discard(instance, loading, STELE_DISCARD_DAMAGED, restoring.version, restoring.bytes);
    else if (restoring.found == FOUND_OTHER_SHAPE)
        discard(instance, loading, STELE_DISCARD_SHAPE, restoring.version, restoring.bytes);
    if (restoring.found != FOUND_GOOD)
        return STELE_OK;
    loading->source = STELE_LOADED_FROM_SNAPSHOT;
    loading->from = restoring.version;
    tell_loaded(&restoring);
    return STELE_OK;
}

/* --- From the cache ------------------------------------------------------------------- */

static bool is_usable(const struct stele__kept *kept, const struct stele__loading *loading)
{
    return kept && kept->version <= loading->until && (!loading->has_time || kept->latest <= loading->time);
}

static stele_status recall_cached(stele_instance *instance, struct stele__loading *loading, stele_error **error)
{
    const stele_repository *repository = instance->repository;
    struct stele__kept *kept = stele__cache_find(repository->cache, instance->stream);
    const bool hit = is_usable(kept, loading);
    stele_status status = STELE_OK;

    stele__count(repository->counts, hit ? STELE__COUNT_CACHE_HITS : STELE__COUNT_CACHE_MISSES, 1);
    if (hit)
        status = stele__instance_copy(instance, kept->state, error);
    if (hit && status == STELE_OK) {
        instance->stored_version = kept->version;
        instance->snapshot_version = kept->snapshot_version;
        instance->latest = kept->latest;
        loading->source = STELE_LOADED_FROM_CACHE;
        loading->from = kept->version;
    }
    stele__kept_unref(kept);
    return status;
}

stele_status stele__recall(stele_instance *instance, struct stele__loading *loading, stele_error **error)
{
    const stele_repository *repository = instance->repository;
    stele_status status = STELE_OK;

    if (repository->cache)
        status = recall_cached(instance, loading, error);
    if (status == STELE_OK && loading->source == STELE_LOADED_FROM_EVENTS && repository->snapshot_every)
        status = recall_snapshot(instance, loading, error);
    return status;
}

void stele__recall_was_wrong(stele_instance *instance, struct stele__loading *loading)
{
    const stele_repository *repository = instance->repository;

    if (loading->source == STELE_LOADED_FROM_SNAPSHOT) {
        discard(instance, loading, STELE_DISCARD_BEYOND, loading->from, 0);
    } else {
        struct stele__kept *kept = stele__cache_find(repository->cache, instance->stream);

        if (kept)
            stele__cache_drop(repository->cache, kept);
        stele__kept_unref(kept);
    }
    stele__instance_reset(instance);
    loading->source = STELE_LOADED_FROM_EVENTS;
    loading->from = 0;
}

/* --- Remembering ------------------------------------------------------------------------ */

static void settled(void *context, enum stele__later_end end)
{
    static const enum stele__count counts_of[] = {
        [STELE__LATER_WRITTEN] = STELE__COUNT_SNAPSHOTS_SAVED,
        [STELE__LATER_FAILED] = STELE__COUNT_SNAPSHOTS_FAILED,
        [STELE__LATER_OVERTAKEN] = STELE__COUNT_SNAPSHOTS_OVERTAKEN,
    };
    struct stele__counts *counts = context;

    stele__count(counts, counts_of[end], 1);
    stele__counts_unref(counts);
}

static bool offer(const stele_instance *instance, struct stele_slice state, bool replaces)
{
    const stele_repository *repository = instance->repository;
    struct stele__later_snapshot *later = stele__later_new(stele__slice(instance->stream), state);

    if (!later)
        return false;
    later->snapshot.version = instance->stored_version;
    later->snapshot.time = instance->latest;
    memcpy(later->snapshot.fingerprint, repository->fingerprint, STELE__FINGERPRINT_SIZE);
    later->aggregate = repository->aggregate->state->name;
    later->replaces = replaces;
    later->settled = settled;
    later->context = stele__counts_ref(repository->counts);
    if (stele__later_offer(&repository->store->later, later))
        return true;
    stele__counts_unref(repository->counts);
    stele__later_free(later);
    return false;
}

/* A state that cannot be encoded (a text that was never set, say) is tried again when as many events have come. */
static void write_snapshot(stele_instance *instance, bool replaces)
{
    const stele_repository *repository = instance->repository;
    struct stele_slice state;
    stele_error *error = NULL;
    const stele_status status =
        stele_msgpack_encode(repository->aggregate->state, instance->state, &instance->scratch, &state, &error);

    if (status != STELE_OK || !offer(instance, state, replaces)) {
        stele__count(repository->counts, STELE__COUNT_SNAPSHOTS_FAILED, 1);
        STELE__LOG(STELE_LOG_DEBUG, "no snapshot is made", {"stream", instance->stream},
                   {"why", error ? stele_error_message(error) : "too many wait to be written"});
    }
    stele_error_free(error);
    stele_arena_reset(&instance->scratch);
    instance->snapshot_version = instance->stored_version;
}

static bool is_due(const stele_instance *instance, bool replaces)
{
    const stele_repository *repository = instance->repository;

    if (!repository->snapshot_every || repository->store->read_only)
        return false;
    return replaces || instance->stored_version - instance->snapshot_version >= repository->snapshot_every;
}

static void keep(const stele_instance *instance)
{
    const stele_repository *repository = instance->repository;
    struct stele__kept *kept = NULL;

    if (stele__kept_new(repository->aggregate->state, instance->stream, instance->state, &kept, NULL) != STELE_OK)
        return;
    kept->version = instance->stored_version;
    kept->snapshot_version = instance->snapshot_version;
    kept->latest = instance->latest;
    stele__cache_keep(repository->cache, kept);
}

void stele__remember(stele_instance *instance, bool replaces)
{
    if (instance->stored_version == 0 || instance->memory.refused)
        return;
    if (is_due(instance, replaces))
        write_snapshot(instance, replaces);
    if (instance->repository->cache)
        keep(instance);
}
