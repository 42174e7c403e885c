/*
 * Snapshots, for the repository above: the front checks the store, keeps
 * writes to one thread at a time with appends, and turns every kind of damage
 * to a stored snapshot into "there is none": it is a cache.
 *
 * What can fail: the backend when it writes, and in reading what is no damage.
 */
#include "store/store.h"

#include "base/error.h"
#include "base/log.h"

/* A snapshot is not worth failing for: the stream has all of it. */
static stele_status note_damage(struct stele_slice stream, stele_error *failure, bool *damaged)
{
    STELE__LOG(STELE_LOG_WARNING, "a snapshot cannot be read: the whole stream is", {"stream", stream.data},
               {"why", stele_error_message(failure)});
    stele_error_free(failure);
    *damaged = true;
    return STELE_OK;
}

stele_status stele__store_load_snapshot(stele_store *store, struct stele_slice stream, stele_snapshot_visit *visit,
                                        void *context, bool *damaged, stele_error **error)
{
    stele_error *failure = NULL;
    stele_status status = stele__store_check(store, error);

    *damaged = false;
    if (status != STELE_OK)
        return status;
    status = store->ops->load_snapshot(store->backend, stream, visit, context, &failure);
    if (status == STELE_CORRUPT)
        return note_damage(stream, failure, damaged);
    if (error)
        *error = failure;
    else
        stele_error_free(failure);
    return status;
}

stele_status stele__store_save_snapshot(stele_store *store, const struct stele_snapshot *snapshot, stele_error **error)
{
    stele_status status = stele__store_check_writable(store, error);

    if (status != STELE_OK)
        return status;
    stele__store_enter(store);
    status = store->ops->save_snapshot(store->backend, snapshot, error);
    stele__store_leave(store);
    return status;
}

stele_status stele__store_drop_snapshot(stele_store *store, struct stele_slice stream, stele_error **error)
{
    stele_status status = stele__store_check_writable(store, error);

    if (status != STELE_OK)
        return status;
    stele__store_enter(store);
    status = store->ops->drop_snapshot(store->backend, stream, error);
    stele__store_leave(store);
    return status;
}
