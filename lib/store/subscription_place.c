/*
 * Where a subscription is in the log: found when it begins, and written down.
 *
 *     checkpoint, or what the subscriber loads ─► position
 *       └ none: the first, now, a position, a time ─► position, and a checkpoint
 *     position ─► checkpoint, or the subscriber's commit; then a checkpoint for those who look
 *
 * What can fail: the store, the subscriber's functions, a position beyond the log.
 */
#include "base/error.h"
#include "base/log.h"
#include "store/scan.h"
#include "store/subscription.h"

#include <inttypes.h>

/* --- Finding it ------------------------------------------------------------------------------------ */

static stele_status fail_beyond(uint64_t position, uint64_t head, stele_error **error)
{
    stele__fail(error, STELE_INVALID,
                "position: %" PRIu64 " is beyond the log, which ends at %" PRIu64
                ": events would be missed (is the store a restored copy?)",
                position, head);
    stele__error_add(error, "argument", "position");
    stele__error_add(error, "position", "%" PRIu64, position);
    stele__error_add(error, "head", "%" PRIu64, head);
    return STELE_INVALID;
}

struct first {
    int64_t time;
    uint64_t position; /* the first whose time is not before; 0: none */
    struct stele__scan *scan;
};

static bool is_before(void *context, const struct stele_record *record)
{
    struct first *first = context;

    first->scan->visited++;
    if (record->time >= first->time)
        first->position = record->position;
    return first->position == 0;
}

/* All before the first event at or after a time; a row that cannot be read has none. */
static stele_status find_time(stele_subscription *subscription, uint64_t *position, stele_error **error)
{
    struct stele__scan scan;
    struct first first = {.time = subscription->subscriber->time, .scan = &scan};
    stele_status status = stele__scan_init(&scan, NULL, error);

    while (status == STELE_OK && first.position == 0 && !scan.done) {
        stele_error *why = NULL;

        status = stele__scan_step(subscription->store, &scan, is_before, &first, &why);
        if (status == STELE_CORRUPT && !scan.done)
            status = STELE_OK;
        if (status != STELE_OK && error)
            *error = why;
        else
            stele_error_free(why);
    }
    if (status == STELE_OK)
        *position = first.position ? first.position - 1 : scan.head.position;
    return status;
}

static stele_status find_start(stele_subscription *subscription, uint64_t *position, stele_error **error)
{
    const struct stele_subscriber *subscriber = subscription->subscriber;

    *position = subscriber->start == STELE_START_POSITION ? subscriber->position : 0;
    if (subscriber->start == STELE_START_NOW)
        *position = stele__tail_head(&subscription->tail);
    return subscriber->start == STELE_START_TIME ? find_time(subscription, position, error) : STELE_OK;
}

static stele_status read_position(stele_subscription *subscription, uint64_t *position, stele_error **error)
{
    if (subscription->keeps_position)
        return subscription->subscriber->load(subscription->context, position, error);
    return stele_checkpoint_read(subscription->store, subscription->subscriber->name, position, error);
}

/* It has none yet: where it begins. Its own checkpoint is made at once, so that "now" stays what it is. */
static stele_status begin_anew(stele_subscription *subscription, uint64_t *position, stele_error **error)
{
    stele_status status = find_start(subscription, position, error);

    subscription->written = STELE_NO_CHECKPOINT;
    if (status != STELE_OK || subscription->keeps_position)
        return status;
    if (*position > stele__tail_head(&subscription->tail))
        return fail_beyond(*position, stele__tail_head(&subscription->tail), error);
    status = stele_checkpoint_write(subscription->store, subscription->subscriber->name, STELE_NO_CHECKPOINT, *position,
                                    error);
    if (status == STELE_OK)
        subscription->written = *position;
    return status;
}

stele_status stele__subscription_load(stele_subscription *subscription, stele_error **error)
{
    stele_error *why = NULL;
    uint64_t position = 0;
    stele_status status = read_position(subscription, &position, &why);

    if (status == STELE_NOT_FOUND) {
        stele_error_free(why);
        status = begin_anew(subscription, &position, error);
    } else if (status == STELE_OK) {
        stele_error_free(why);
        subscription->written = position;
    } else if (error) {
        *error = why;
    } else {
        stele_error_free(why);
    }
    if (status == STELE_OK && position > stele__tail_head(&subscription->tail))
        status = stele__tail_find_head(&subscription->tail, error);
    if (status == STELE_OK && position > stele__tail_head(&subscription->tail))
        status = fail_beyond(position, stele__tail_head(&subscription->tail), error);
    if (status != STELE_OK)
        return status;
    subscription->position = position;
    subscription->needs_load = false;
    return STELE_OK;
}

/* --- Writing it ------------------------------------------------------------------------------------- */

/* Move the subscriber's own position where nothing was shown. */
static stele_status commit_nothing(stele_subscription *subscription, stele_error **error)
{
    const struct stele_subscriber *subscriber = subscription->subscriber;
    stele_status status = subscriber->begin(subscription->context, error);

    if (status != STELE_OK)
        return status;
    stele_error_free(*error);
    *error = NULL;
    status = subscriber->commit(subscription->context, subscription->written, subscription->position, error);
    if (status == STELE_OK)
        subscription->written = subscription->position;
    else
        subscriber->rollback(subscription->context);
    return status;
}

void stele__subscription_mark(stele_subscription *subscription)
{
    const char *name = subscription->subscriber->name;
    uint64_t stored = STELE_NO_CHECKPOINT;
    stele_status status;

    if (subscription->store->read_only || subscription->marked == subscription->written ||
        subscription->written == STELE_NO_CHECKPOINT)
        return;
    status = stele_checkpoint_read(subscription->store, name, &stored, NULL);
    if ((status == STELE_OK && stored != subscription->written) || status == STELE_NOT_FOUND)
        status = stele_checkpoint_write(subscription->store, name, stored, subscription->written, NULL);
    if (status == STELE_OK)
        subscription->marked = subscription->written;
}

stele_status stele__subscription_save(stele_subscription *subscription, stele_error **error)
{
    stele_status status;

    if (subscription->keeps_position)
        return commit_nothing(subscription, error);
    status = stele_checkpoint_write(subscription->store, subscription->subscriber->name, subscription->written,
                                    subscription->position, error);
    if (status == STELE_OK)
        subscription->written = subscription->position;
    return status;
}

void stele__subscription_save_last(stele_subscription *subscription)
{
    stele_error *why = NULL;
    stele_status status = STELE_OK;

    if (!subscription->needs_load && subscription->position != subscription->written)
        status = stele__subscription_save(subscription, &why);
    if (status != STELE_OK)
        STELE__LOG(STELE_LOG_WARNING, "a subscription ends without its last position being written",
                   {"subscription", subscription->subscriber->name}, {"why", stele_error_message(why)});
    stele_error_free(why);
    if (subscription->keeps_position)
        stele__subscription_mark(subscription);
}
