/*
 * A batch: events of the log, shown to the subscriber one by one.
 *
 *     in place:  backend's row ─► lent message ─┐
 *     otherwise: cursor's page ─► lent message ─┴─► wanted? ─► receive
 *
 * It ends with the log, with the window of positions it may look at, when it is
 * full, when somebody waits for a position in it, or when its time is up. For
 * that the clock is read after 1, 2, 4 ... events, as long as they are quick.
 *
 * What can fail: reading, a row (its place is told), `begin`, `receive`.
 */
#include "base/error.h"
#include "base/text.h"
#include "store/subscription.h"

#include <inttypes.h>
#include <stdio.h>

enum { LOOK_MOST = 4096 };

/* The time is up, or it is not; the next look is later if this one came early. */
static bool is_time_up(struct stele__batch *batch)
{
    stele_subscription *subscription = batch->subscription;
    const int64_t passed = stele__runtime_monotonic(subscription->runtime) - batch->began;

    if (passed * 8 < subscription->save_pause)
        subscription->look_step =
            subscription->look_step * 2 < LOOK_MOST ? subscription->look_step * 2 : (uint64_t)LOOK_MOST;
    else
        subscription->look_step = 1;
    subscription->look_in = subscription->look_step;
    return passed >= subscription->save_pause;
}

/* --- Showing ------------------------------------------------------------------------------ */

static bool stop(struct stele__batch *batch, uint64_t reached)
{
    batch->is_stopped = true;
    batch->reached = reached;
    return false;
}

static bool fail(struct stele__batch *batch, enum stele__fault fault, stele_status status, uint64_t position)
{
    batch->fault = fault;
    batch->status = status;
    batch->failed_at = position;
    return stop(batch, position - 1);
}

/* Behind it a new event may not begin. */
static bool is_full(const struct stele__batch *batch, uint64_t position)
{
    return !batch->is_again && (batch->shown >= batch->limit ||
                                position > atomic_load_explicit(&batch->subscription->stop_at, memory_order_relaxed));
}

static void take_texts(struct stele__poison *poison, const stele_message *event)
{
    snprintf(poison->id, sizeof(poison->id), "%.*s", STELE_SLICE(stele_message_id(event)));
    snprintf(poison->type, sizeof(poison->type), "%.*s", STELE_SLICE(event->type));
}

/* Of a function that has left one and says that all is well. */
static void drop_error(stele_error **why)
{
    stele_error_free(*why);
    *why = NULL;
}

static bool show(struct stele__batch *batch, const stele_message *event)
{
    stele_subscription *subscription = batch->subscription;
    const struct stele_subscriber *subscriber = subscription->subscriber;
    const uint64_t position = event->position;
    stele_status status = STELE_OK;

    if (subscription->keeps_position && !batch->is_begun) {
        status = subscriber->begin(subscription->context, &batch->why);
        if (status != STELE_OK)
            return fail(batch, STELE__FAULT_SURROUNDINGS, status, position);
        drop_error(&batch->why);
        batch->is_begun = true;
    }
    status = subscriber->receive(subscription->context, event, &batch->why);
    if (status != STELE_OK) {
        take_texts(&subscription->poison, event);
        return fail(batch, STELE__FAULT_EVENT, status, position);
    }
    batch->at = position;
    batch->shown++;
    drop_error(&batch->why);
    if (event->has_more)
        return true;
    if (--subscription->look_in == 0 && is_time_up(batch)) {
        batch->is_late = true;
        return stop(batch, position);
    }
    return batch->shown < batch->limit || stop(batch, position);
}

/* What a batch does with a message; false ends it. Parts of one event are never cut. */
static bool meet(void *context, const stele_message *event)
{
    struct stele__batch *batch = context;

    if (!stele__filter_wants(&batch->subscription->filter, event))
        return true;
    if (event->position != batch->at && is_full(batch, event->position))
        return stop(batch, event->position - 1);
    return show(batch, event);
}

/* --- Reading ------------------------------------------------------------------------------- */

/* Through a cursor: the store may be called meanwhile. */
static stele_status read_pages(struct stele__batch *batch, const struct stele_query *query, struct stele_head *head,
                               stele_error **error)
{
    const stele_message *event = NULL;
    stele_cursor *cursor = NULL;
    stele_status status = stele_read(batch->subscription->store, query, &cursor, error);

    while (status == STELE_OK) {
        status = stele_cursor_next(cursor, &event, error);
        if (status != STELE_OK || !event || !meet(batch, event))
            break;
    }
    *head = stele_cursor_head(cursor);
    stele_cursor_close(cursor);
    return status;
}

/* Where a row is that cannot be read; 0 if that is not known. */
static uint64_t find_place(stele_status status, const stele_error *why)
{
    const char *text = status == STELE_CORRUPT ? stele_error_get(why, "position") : NULL;
    uint64_t position = 0;

    return text && stele__parse_u64(stele__slice(text), &position) ? position : 0;
}

static void note_unreadable(struct stele__batch *batch, stele_status status, stele_error *why)
{
    const uint64_t place = find_place(status, why);
    struct stele__poison *poison = &batch->subscription->poison;

    batch->why = why;
    if (place > batch->after && place <= batch->until) {
        snprintf(poison->id, sizeof(poison->id), "@%" PRIu64, place);
        poison->type[0] = '\0';
        fail(batch, STELE__FAULT_EVENT, status, place);
    } else {
        fail(batch, STELE__FAULT_SURROUNDINGS, status, (batch->shown ? batch->at : batch->after) + 1);
    }
}

void stele__subscription_read(struct stele__batch *batch)
{
    stele_subscription *subscription = batch->subscription;
    const struct stele_query query = {
        .size = sizeof(query),
        .category = subscription->subscriber->category,
        .type = subscription->filter.pushed,
        .after = batch->after,
        .until = batch->until,
    };
    struct stele_head head = {0};
    stele_error *why = NULL;
    const stele_status status = subscription->subscriber->in_place
                                    ? stele__store_visit(subscription->store, &query, meet, batch, &head, &why)
                                    : read_pages(batch, &query, &head, &why);

    if (status != STELE_OK) {
        note_unreadable(batch, status, why);
        return;
    }
    stele__tail_raise_head(&subscription->tail, head.position);
    if (!batch->is_stopped)
        batch->reached = head.position < batch->until ? head.position : batch->until;
}
