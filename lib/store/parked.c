/*
 * Parked events of a subscription.
 *
 *     add    ─► "$dead": buried
 *     replay ─► "$dead" folded on ─► what is requeued ─► its event, alone ─► receive ─┬─ "$dead": handled
 *                                                                                      └─ "$dead": buried again
 *
 * The stream is looked at once at the beginning, and then only while something
 * is parked and the log has grown: what is not parked cannot be requeued.
 *
 * An event is read anew, so that today's upcasters and damage that was mended
 * count. It is shown in a batch of its own, which leaves the position as it is. A
 * kill between its effect and the mark has it shown once more.
 *
 * What can fail: the store, `begin` and `commit`, memory.
 */
#include "store/parked.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "store/dead_log.h"

#include <stdio.h>

struct stele__parked {
    struct stele__yard yard;
    uint64_t version; /* of "$dead", up to which it is folded */
    uint64_t looked;  /* the head of the log at the last look */
    bool is_behind;   /* something was buried that is not folded yet */
};

stele_status stele__parked_new(stele_subscription *subscription, struct stele__parked **out, stele_error **error)
{
    struct stele__parked *parked = stele__alloc(sizeof(*parked));
    stele_status status;

    if (!parked)
        return stele__fail_memory(error);
    stele__yard_init(&parked->yard);
    parked->yard.only = subscription->subscriber->name;
    status = stele__dead_fold(subscription->store, &parked->yard, &parked->version, error);
    if (status != STELE_OK)
        stele__parked_free(parked);
    else
        *out = parked;
    return status;
}

void stele__parked_free(struct stele__parked *parked)
{
    if (!parked)
        return;
    stele__yard_fini(&parked->yard);
    stele__free(parked, sizeof(*parked));
}

static stele_status bury(stele_subscription *subscription, const struct stele__poison *poison, stele_error **error)
{
    struct stele__parked *parked = subscription->parked;
    const struct stele__burial burial = {
        .route = subscription->subscriber->name,
        .id = poison->id,
        .type = poison->type,
        .code = stele_status_name(poison->status),
        .text = poison->text,
        .attempts = poison->attempts,
        .position = poison->position,
        .time = stele__runtime_now(subscription->runtime),
    };
    const stele_status status = stele__dead_write_burial(subscription->store, &burial, NULL, error);

    if (status == STELE_OK)
        parked->is_behind = stele__dead_fold(subscription->store, &parked->yard, &parked->version, NULL) != STELE_OK;
    return status;
}

stele_status stele__parked_add(stele_subscription *subscription, stele_error **error)
{
    return bury(subscription, &subscription->poison, error);
}

/* --- Once more -------------------------------------------------------------------------------- */

/* One that is requeued, and behind the subscription: others come in their turn. */
static struct stele__grave *next_requeued(const stele_subscription *subscription)
{
    const struct stele__yard *yard = &subscription->parked->yard;

    if (yard->requeued == 0)
        return NULL;
    for (struct stele__grave *grave = yard->first; grave; grave = grave->next)
        if (grave->letter.is_requeued && grave->letter.position && grave->letter.position <= subscription->position)
            return grave;
    return NULL;
}

/* Its effect, or none. */
static void settle(struct stele__batch *batch)
{
    const stele_subscription *subscription = batch->subscription;
    const struct stele_subscriber *subscriber = subscription->subscriber;

    if (batch->is_begun && batch->fault == STELE__FAULT_NONE) {
        batch->status =
            subscriber->commit(subscription->context, subscription->written, subscription->written, &batch->why);
        if (batch->status != STELE_OK)
            batch->fault = stele__subscription_is_surroundings(batch->status) || batch->status == STELE_CONFLICT
                               ? STELE__FAULT_SURROUNDINGS
                               : STELE__FAULT_EVENT;
    }
    if (batch->is_begun && batch->fault != STELE__FAULT_NONE)
        subscriber->rollback(subscription->context);
    if (batch->fault == STELE__FAULT_EVENT && subscription->keeps_position &&
        stele__subscription_is_surroundings(batch->status))
        batch->fault = STELE__FAULT_SURROUNDINGS;
}

static stele_status write_handled(stele_subscription *subscription, const char *id, stele_error **error)
{
    const struct stele__dead_name name = {subscription->subscriber->name, id};
    size_t done;

    return stele__dead_write_marks(subscription->store, STELE__DEAD_HANDLED, &name, 1, &done, error);
}

/* It failed once more. */
static stele_status bury_again(stele_subscription *subscription, const struct stele__batch *batch, const char *id,
                               const char *type, stele_error **error)
{
    struct stele__poison *poison = &subscription->poison;

    poison->position = batch->failed_at;
    poison->attempts = 1;
    poison->status = batch->status;
    snprintf(poison->id, sizeof(poison->id), "%s", id);
    snprintf(poison->type, sizeof(poison->type), "%s", type);
    stele__utf8_fit(poison->text, sizeof(poison->text),
                    batch->why ? stele_error_message(batch->why) : stele_status_text(batch->status));
    stele__subscription_note_error(subscription, batch->status, poison->text, batch->failed_at);
    return bury(subscription, poison, error);
}

static stele_status show_again(stele_subscription *subscription, const struct stele__grave *grave, stele_error **error)
{
    const uint64_t position = grave->letter.position;
    char id[STELE_ID_MAX + 1], type[STELE_TYPE_MAX + 1];
    const struct stele__poison kept = subscription->poison;
    struct stele__batch batch = {
        .subscription = subscription,
        .after = position - 1,
        .until = position,
        .limit = 1,
        .is_again = true,
        .began = stele__runtime_monotonic(subscription->runtime),
    };
    stele_status status = STELE_OK;

    snprintf(id, sizeof(id), "%s", grave->letter.id);
    snprintf(type, sizeof(type), "%s", grave->letter.type);
    stele__subscription_read(&batch);
    settle(&batch);
    if (batch.fault == STELE__FAULT_SURROUNDINGS) {
        status = batch.status;
        if (error)
            *error = batch.why;
        else
            stele_error_free(batch.why);
        batch.why = NULL;
    } else if (batch.fault == STELE__FAULT_EVENT) {
        status = bury_again(subscription, &batch, id, type, error);
    } else {
        subscription->handled += batch.shown;
        status = write_handled(subscription, id, error);
    }
    subscription->poison = kept;
    stele_error_free(batch.why);
    return status;
}

stele_status stele__parked_replay(stele_subscription *subscription, stele_error **error)
{
    struct stele__parked *parked = subscription->parked;
    const uint64_t head = stele__tail_head(&subscription->tail);
    const struct stele__grave *grave;
    stele_status status;

    if (subscription->store->read_only ||
        (!parked->is_behind && (parked->yard.graves.count == 0 || parked->looked == head)))
        return STELE_OK;
    status = stele__dead_fold(subscription->store, &parked->yard, &parked->version, error);
    parked->is_behind = status != STELE_OK;
    while (status == STELE_OK && (grave = next_requeued(subscription)) != NULL) {
        /* It is to stop, or was paused. */
        if (atomic_load(&subscription->stop_at) == 0)
            return STELE_OK;
        status = show_again(subscription, grave, error);
        if (status == STELE_OK)
            status = stele__dead_fold(subscription->store, &parked->yard, &parked->version, error);
    }
    if (status == STELE_OK)
        parked->looked = head;
    return status;
}
