/*
 * Projections into anything: at least once, the position in the store.
 *
 * Each version is a subscription of its own, with its checkpoint. What
 * other versions have come to is where repetition ends: the function asks
 * stele_projecting_is_replay().
 *
 * What can fail: reading checkpoints, the subscription, the functions.
 */
#include "projections/projections.h"

#include "base/text.h"

#include <string.h>

struct looking {
    const struct stele__running *running;
    uint64_t farthest;
};

static bool look(void *context, const struct stele_checkpoint *checkpoint)
{
    struct looking *looking = context;
    const char *name = looking->running->name;
    const size_t length = strlen(name);
    uint64_t version;

    if (strncmp(checkpoint->name, name, length) != 0 || checkpoint->name[length] != ':' ||
        !stele__parse_u64(stele__slice(checkpoint->name + length + 1), &version))
        return true;
    if (version != looking->running->version && checkpoint->position > looking->farthest)
        looking->farthest = checkpoint->position;
    return true;
}

static stele_status receive(void *context, const stele_message *event, stele_error **error)
{
    struct stele__running *running = context;

    return stele__project(&running->at, running->model, event, error);
}

static stele_status start(struct stele__running *running, stele_error **error)
{
    struct looking looking = {.running = running};
    const struct stele_subscriber how = {.receive = receive};
    const stele_status status = stele_checkpoint_list(running->projections->store, look, &looking, error);
    if (status != STELE_OK)
        return status;
    running->at.replay_until = looking.farthest;
    return stele__running_subscribe(running, &how, error);
}

const struct stele__running_kind stele__running_out = {
    .size = sizeof(struct stele__running),
    .start = start,
};
