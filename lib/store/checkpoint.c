/*
 * Checkpoints: how far a named reader of the log has come.
 *
 *     name, expected, position -> checked -> gate of the appends -> backend: compared and set
 *
 * They are written beside the group commit, not through it: few are, each for
 * many events. What can fail: the name, the comparison, the backend.
 */
#include "store/store.h"

#include "base/error.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>

enum { POSITION_TEXT = 24 };

static stele_status check_name(const char *name, stele_error **error)
{
    if (!name)
        return stele__fail_argument(error, "name", "is NULL");
    return stele__name_check(stele__slice(name), "checkpoint", STELE_CHECKPOINT_MAX, error);
}

static stele_status fail_missing(const char *name, stele_error **error)
{
    stele__fail(error, STELE_NOT_FOUND, "there is no checkpoint \"%s\"", name);
    stele__error_add(error, "checkpoint", "%s", name);
    return STELE_NOT_FOUND;
}

/* --- The rules ------------------------------------------------------------------------- */

static const char *print(uint64_t position, char text[POSITION_TEXT])
{
    if (position == STELE_NO_CHECKPOINT)
        return "none";
    snprintf(text, POSITION_TEXT, "%" PRIu64, position);
    return text;
}

stele_status stele_checkpoint_rules(const struct stele_checkpoint *checkpoint, uint64_t expected, uint64_t stored,
                                    uint64_t head, stele_error **error)
{
    char wanted[POSITION_TEXT], found[POSITION_TEXT];

    if (stored != expected) {
        stele__fail(error, STELE_CONFLICT, "checkpoint \"%s\": expected at %s, but it is at %s", checkpoint->name,
                    print(expected, wanted), print(stored, found));
        stele__error_add(error, "checkpoint", "%s", checkpoint->name);
        stele__error_add(error, "expected", "%s", print(expected, wanted));
        stele__error_add(error, "actual", "%s", print(stored, found));
        return STELE_CONFLICT;
    }
    if (checkpoint->position <= head)
        return STELE_OK;
    stele__fail(error, STELE_INVALID, "position: %" PRIu64 " is behind the last event, at %" PRIu64,
                checkpoint->position, head);
    stele__error_add(error, "argument", "position");
    return STELE_INVALID;
}

/* --- Reading ---------------------------------------------------------------------------- */

static bool take_position(void *context, const struct stele_checkpoint *checkpoint)
{
    uint64_t *position = context;

    *position = checkpoint->position;
    return false;
}

stele_status stele_checkpoint_read(stele_store *store, const char *name, uint64_t *position, stele_error **error)
{
    uint64_t found = STELE_NO_CHECKPOINT;
    stele_status status = stele__store_check(store, error);

    if (status == STELE_OK)
        status = check_name(name, error);
    if (status == STELE_OK && !position)
        status = stele__fail_argument(error, "position", "is NULL");
    if (status == STELE_OK)
        status = store->ops->read_checkpoints(store->backend, name, take_position, &found, error);
    if (status != STELE_OK)
        return status;
    if (found == STELE_NO_CHECKPOINT)
        return fail_missing(name, error);
    *position = found;
    return STELE_OK;
}

stele_status stele_checkpoint_list(stele_store *store, stele_checkpoint_visit *visit, void *context,
                                   stele_error **error)
{
    const stele_status status = stele__store_check(store, error);

    if (status != STELE_OK)
        return status;
    if (!visit)
        return stele__fail_argument(error, "visit", "is NULL");
    return store->ops->read_checkpoints(store->backend, NULL, visit, context, error);
}

/* --- Writing ----------------------------------------------------------------------------- */

stele_status stele_checkpoint_write(stele_store *store, const char *name, uint64_t expected, uint64_t position,
                                    stele_error **error)
{
    struct stele_checkpoint checkpoint = {.name = name, .position = position};
    stele_status status = stele__store_check_writable(store, error);

    if (status == STELE_OK)
        status = check_name(name, error);
    if (status != STELE_OK)
        return status;
    checkpoint.time = store->clock->now(store->clock->context);
    stele__store_enter(store);
    status = store->ops->write_checkpoint(store->backend, &checkpoint, expected, error);
    stele__store_leave(store);
    return status;
}

stele_status stele_checkpoint_delete(stele_store *store, const char *name, stele_error **error)
{
    bool found = false;
    stele_status status = stele__store_check_writable(store, error);

    if (status == STELE_OK)
        status = check_name(name, error);
    if (status != STELE_OK)
        return status;
    stele__store_enter(store);
    status = store->ops->delete_checkpoint(store->backend, name, &found, error);
    stele__store_leave(store);
    return status == STELE_OK && !found ? fail_missing(name, error) : status;
}
