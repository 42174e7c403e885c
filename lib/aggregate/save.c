/*
 * Saving: the pending events of instances become one batch, each stream
 * expected at the version its instance has read.
 *
 * When the store has had the events before (the command was decided again),
 * it answers with the first result. Their effect is then in the state twice:
 * once folded from the stream, once decided. So the instances are loaded anew.
 *
 * What can fail: a stream has moved on, the store, memory. The instances are
 * then as before.
 */
#include "aggregate/aggregate.h"

#include "base/error.h"
#include "base/memory.h"
#include "message/message.h"
#include "store/store.h"

#include <string.h>

static stele_status check_instances(stele_instance *const *instances, size_t count, stele_error **error)
{
    if (!instances || count == 0)
        return stele__fail_argument(error, "instances", "there are none");
    for (size_t i = 0; i < count; i++) {
        if (!instances[i])
            return stele__fail_argument(error, "instances", "one of them is NULL");
        if (instances[i]->repository->store != instances[0]->repository->store)
            return stele__fail_argument(error, "instances", "they are of different stores");
    }
    return STELE_OK;
}

static bool add_expectation(const stele_instance *instance, struct stele__vector *expectations)
{
    struct stele_expectation *expectation = stele__vector_add(expectations);

    if (!expectation)
        return false;
    expectation->stream = instance->stream;
    expectation->expected = stele_expect_version(instance->stored_version);
    return true;
}

static bool add_writes(const stele_instance *instance, struct stele__vector *writes)
{
    stele_message *const *events = instance->pending.items;

    for (size_t i = 0; i < instance->pending.count; i++) {
        struct stele_write *write = stele__vector_add(writes);

        if (!write)
            return false;
        *write = (struct stele_write){instance->stream, events[i]};
    }
    return true;
}

static bool fill(stele_instance *const *instances, size_t count, bool is_rejected, struct stele__vector *writes,
                 struct stele__vector *expectations)
{
    for (size_t i = 0; i < count; i++)
        if (!add_expectation(instances[i], expectations) || (!is_rejected && !add_writes(instances[i], writes)))
            return false;
    return true;
}

static stele_status append(stele_instance *const *instances, size_t count, const struct stele__handled *handled,
                           struct stele_appended *result, stele_error **error)
{
    static const struct stele__handled nothing = {NULL, NULL, NULL};
    struct stele__vector writes;
    struct stele__vector expectations;
    stele_status status;

    if (!handled)
        handled = &nothing;
    stele__vector_init(&writes, sizeof(struct stele_write));
    stele__vector_init(&expectations, sizeof(struct stele_expectation));
    if (fill(instances, count, handled->rejection != NULL, &writes, &expectations)) {
        const struct stele_batch batch = {.writes = writes.items,
                                          .write_count = writes.count,
                                          .expectations = expectations.items,
                                          .expectation_count = expectations.count,
                                          .command = handled->command,
                                          .rejection = handled->rejection};

        status = stele__store_append(instances[0]->repository->store, &batch, handled->digest, result, error);
    } else {
        status = stele__fail_memory(error);
    }
    stele__vector_fini(&writes);
    stele__vector_fini(&expectations);
    return status;
}

/* Load all anew, then put what was loaded into their places: all of them or none. */
static stele_status reload_all(stele_instance *const *instances, size_t count, stele_error **error)
{
    stele_instance **fresh = stele__alloc(count * sizeof(*fresh));
    stele_status status = fresh ? STELE_OK : stele__fail_memory(error);

    for (size_t i = 0; i < count && status == STELE_OK; i++) {
        struct stele__loading loading = {.or_new = true, .until = STELE_VERSION_MAX};

        status = stele__load(instances[i]->repository, instances[i]->stream, &loading, &fresh[i], error);
    }
    for (size_t i = 0; i < count && fresh; i++) {
        if (status == STELE_OK)
            stele__instance_replace(instances[i], fresh[i]);
        stele_instance_free(fresh[i]);
    }
    stele__free(fresh, count * sizeof(*fresh));
    return status;
}

/* Count it for the repository whose stream it was, or for the first if memory was out for the facts. */
static void count_conflict(stele_instance *const *instances, size_t count, const stele_error *error)
{
    const struct stele_conflict *conflict = stele_error_conflict(error);
    const stele_instance *lost = instances[0];

    for (size_t i = 0; conflict && i < count; i++) {
        if (strcmp(instances[i]->stream, conflict->stream) == 0)
            lost = instances[i];
    }
    stele__count(lost->repository->counts, STELE__COUNT_CONFLICTS, 1);
}

/* The pending events are settled. Only if they are `new` in the stream is the state that of its version, and worth
 * remembering. */
static void move_on(stele_instance *instance, bool new)
{
    stele_message *const *events = instance->pending.items;
    const size_t count = instance->pending.count;

    for (size_t i = 0; i < count; i++) {
        if (events[i]->time > instance->latest)
            instance->latest = events[i]->time;
    }
    instance->stored_version += count;
    stele__instance_clear_pending(instance);
    if (count > 0 && new)
        stele__remember(instance, false);
}

stele_status stele__save(stele_instance *const *instances, size_t count, bool reload,
                         const struct stele__handled *handled, struct stele_appended *result, stele_error **error)
{
    struct stele_appended appended = {0};
    stele_error *failure = NULL;
    stele_status status = append(instances, count, handled, &appended, &failure);

    if (status == STELE_CONFLICT)
        count_conflict(instances, count, failure);
    if (error)
        *error = failure;
    else
        stele_error_free(failure);
    if (status == STELE_OK && appended.repeated && reload)
        status = reload_all(instances, count, error);
    if (status != STELE_OK)
        return status;
    for (size_t i = 0; i < count; i++)
        move_on(instances[i], !appended.repeated && !appended.replayed && !(handled && handled->rejection));
    if (result)
        *result = appended;
    return STELE_OK;
}

stele_status stele_save(stele_instance *const *instances, size_t count, struct stele_appended *result,
                        stele_error **error)
{
    const stele_status status = check_instances(instances, count, error);

    return status == STELE_OK ? stele__save(instances, count, true, NULL, result, error) : status;
}
