/*
 * What a subscription does when it is woken.
 *
 *     load, if need be ─► replay what was requeued ─► batch ─┬─ all well ─► commit, or the checkpoint, soon
 *                                                            └─ an event failed:
 *         rolled back ─► those before it once more, committed ─► verdict ─┬─ retry: a timer, then that event alone
 *                                                                         ├─ park, skip: on behind it
 *                                                                         └─ stop: failed
 *
 * The verdict waits until all before the event is committed, so nothing but that
 * event is in doubt while it is tried again. What is not an event's fault (the store,
 * `begin`, `commit`) is tried again from `load` on.
 *
 * One thread at a time: the tail sees to it. What can fail: all of that, memory.
 */
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "store/parked.h"
#include "store/subscribed.h"
#include "store/subscription.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SECOND INT64_C(1000000000)

enum { WINDOW = 65536 /* positions that one batch looks at */ };
static const int64_t save_retry_first = SECOND / 20;
static const int64_t save_retry_most = 5 * SECOND;
static const int64_t mark_pause = SECOND;

/* --- Moving ------------------------------------------------------------------------------------- */

static bool is_held(enum stele_subscription_state state)
{
    return state == STELE_SUBSCRIPTION_PAUSED || state == STELE_SUBSCRIPTION_FAILED ||
           state == STELE_SUBSCRIPTION_FINISHED || state == STELE_SUBSCRIPTION_DETACHED;
}

/* False if somebody has paused or detached it meanwhile, or it is over: that stands. */
static bool go(stele_subscription *subscription, enum stele_subscription_state next, bool *has_moved)
{
    bool stands;

    pthread_mutex_lock(&subscription->mutex);
    stands = is_held(subscription->stats.state) && subscription->stats.state != next;
    *has_moved =
        !stands && subscription->stats.state != next && stele__subscription_move(&subscription->stats.state, next);
    pthread_mutex_unlock(&subscription->mutex);
    return !stands;
}

void stele__subscription_tell(stele_subscription *subscription)
{
    if (subscription->subscriber->changed)
        subscription->subscriber->changed(subscription->context, subscription);
}

static bool move_on(stele_subscription *subscription, enum stele_subscription_state next)
{
    bool has_moved = false;
    const bool goes_on = go(subscription, next, &has_moved);

    if (has_moved)
        stele__subscription_tell(subscription);
    return goes_on;
}

void stele__subscription_note_error(stele_subscription *subscription, stele_status status, const char *text,
                                    uint64_t position)
{
    struct stele_subscription_stats *stats = &subscription->stats;

    pthread_mutex_lock(&subscription->mutex);
    stats->errors++;
    stats->failures++;
    stats->is_healthy = false;
    stats->last_error = status;
    stats->last_error_position = position;
    stats->last_error_time = stele__runtime_now(subscription->runtime);
    stele__utf8_fit(stats->last_error_text, sizeof(stats->last_error_text), text);
    pthread_mutex_unlock(&subscription->mutex);
}

/* What went wrong, also where nobody has said so. */
static const char *text_of(stele_status status, const stele_error *why)
{
    return why ? stele_error_message(why) : stele_status_text(status);
}

/* Record a state that outlives the process, if the store can be written. */
static void record(stele_subscription *subscription, const struct stele__subscribed_state *state)
{
    stele_error *why = NULL;

    if (!subscription->store->read_only && stele__subscribed_write(subscription->store, state, 1, &why) != STELE_OK)
        STELE__LOG(STELE_LOG_WARNING, "the state of a subscription cannot be recorded",
                   {"subscription", subscription->subscriber->name}, {"why", stele_error_message(why)});
    stele_error_free(why);
}

/* Move, record it, and wake those who wait. That one has finished is not recorded: the next one has another end. */
static void end(stele_subscription *subscription, const struct stele__subscribed_state *state)
{
    bool has_moved = false;

    pthread_mutex_lock(&subscription->recording);
    go(subscription, state->state, &has_moved);
    if (has_moved && state->state != STELE_SUBSCRIPTION_FINISHED)
        record(subscription, state);
    pthread_mutex_unlock(&subscription->recording);
    stele__subscription_publish(subscription, stele__runtime_monotonic(subscription->runtime));
    if (has_moved)
        stele__subscription_tell(subscription);
}

static void fail(stele_subscription *subscription, stele_status status, const char *text, uint64_t position)
{
    char recorded[sizeof(subscription->stats.last_error_text)];
    const struct stele__subscribed_state state = {.name = subscription->subscriber->name,
                                                  .state = STELE_SUBSCRIPTION_FAILED,
                                                  .code = stele_status_name(status),
                                                  .text = recorded,
                                                  .at = position};

    stele__utf8_fit(recorded, sizeof(recorded), text);
    STELE__LOG(STELE_LOG_ERROR, "a subscription has failed", {"subscription", subscription->subscriber->name},
               {"why", text});
    end(subscription, &state);
}

static uint64_t random_of(stele_subscription *subscription)
{
    return stele_runtime_random(subscription->runtime);
}

/* Have the next step wait. */
static void retry_in(stele_subscription *subscription, int64_t pause)
{
    subscription->retry_at = stele__runtime_monotonic(subscription->runtime) + pause;
    if (move_on(subscription, STELE_SUBSCRIPTION_RETRYING))
        stele__tail_wake_in(&subscription->tail, pause);
}

/* What is no event's fault; takes the error. Always false. */
static bool meet_surroundings(stele_subscription *subscription, stele_status status, stele_error *why)
{
    const char *text = text_of(status, why);
    struct stele__verdict verdict;

    subscription->faults++;
    verdict = stele__subscription_judge_surroundings(subscription->subscriber, subscription->faults, status,
                                                     random_of(subscription));
    if (status == STELE_CONFLICT || subscription->keeps_position)
        subscription->needs_load = true;
    stele__subscription_note_error(subscription, status, text, subscription->position);
    if (verdict.end == STELE__END_RETRY) {
        STELE__LOG(STELE_LOG_WARNING, "a subscription cannot go on now",
                   {"subscription", subscription->subscriber->name}, {"why", text});
        retry_in(subscription, verdict.pause);
    } else {
        fail(subscription, status, text, subscription->position);
    }
    stele_error_free(why);
    return false;
}

/* --- The position --------------------------------------------------------------------------------- */

/* A position that cannot be written now keeps nothing from going on, unless it is somebody else's. */
static bool note_unsaved(stele_subscription *subscription, int64_t now, stele_status status, stele_error *why)
{
    const bool is_lost = status == STELE_CONFLICT || status == STELE_CORRUPT || status == STELE_INVALID;

    if (subscription->keeps_position || is_lost)
        return meet_surroundings(subscription, status, why);
    stele__subscription_note_error(subscription, status, text_of(status, why), subscription->position);
    STELE__LOG(STELE_LOG_WARNING, "a checkpoint cannot be written", {"subscription", subscription->subscriber->name},
               {"why", stele_error_message(why)});
    stele_error_free(why);
    subscription->save_retry = subscription->save_retry == 0                    ? save_retry_first
                               : subscription->save_retry < save_retry_most / 2 ? subscription->save_retry * 2
                                                                                : save_retry_most;
    subscription->save_at = now + subscription->save_retry;
    stele__tail_wake_in(&subscription->tail, subscription->save_retry);
    return true;
}

/* Write the position when it is time to. False if nothing goes on. */
static bool save_due(stele_subscription *subscription, int64_t now)
{
    stele_error *why = NULL;
    stele_status status;

    if (subscription->keeps_position && subscription->written != subscription->marked) {
        if (now >= subscription->mark_at) {
            stele__subscription_mark(subscription);
            subscription->mark_at = now + mark_pause;
        } else {
            stele__tail_wake_in(&subscription->tail, subscription->mark_at - now);
        }
    }
    if (subscription->position == subscription->written)
        return true;
    if (now < subscription->save_at) {
        stele__tail_wake_in(&subscription->tail, subscription->save_at - now);
        return true;
    }
    status = stele__subscription_save(subscription, &why);
    if (status != STELE_OK)
        return note_unsaved(subscription, now, status, why);
    stele_error_free(why);
    subscription->save_retry = 0;
    subscription->save_at = now + subscription->save_pause;
    return true;
}

/* --- Publishing --------------------------------------------------------------------------------------- */

void stele__subscription_rouse(stele_subscription *subscription)
{
    const bool is_over = is_held(subscription->stats.state);
    struct stele__subscription_waiter **place = &subscription->waiters;
    uint64_t nearest = UINT64_MAX;

    while (*place) {
        struct stele__subscription_waiter *waiter = *place;

        if (is_over || waiter->position <= subscription->stats.position) {
            *place = waiter->next;
            stele__signal_set(&waiter->signal);
            continue;
        }
        nearest = waiter->position < nearest ? waiter->position : nearest;
        place = &waiter->next;
    }
    if (is_over || stele__tail_is_stopping(&subscription->tail) || atomic_load(&subscription->is_moved))
        nearest = 0;
    atomic_store(&subscription->stop_at, nearest);
}

/* Under the mutex: the rates of the last second, or more. */
static void count_rate(stele_subscription *subscription, int64_t now)
{
    struct stele_subscription_stats *stats = &subscription->stats;
    const int64_t passed = now - subscription->rate_since;

    if (passed < SECOND && (stats->rate != 0 || passed < SECOND / 100))
        return;
    stats->rate = (double)(stats->handled - subscription->rate_handled) * 1e9 / (double)passed;
    subscription->position_rate = (double)(stats->position - subscription->rate_position) * 1e9 / (double)passed;
    if (passed < SECOND)
        return;
    subscription->rate_since = now;
    subscription->rate_handled = stats->handled;
    subscription->rate_position = stats->position;
}

void stele__subscription_publish(stele_subscription *subscription, int64_t now)
{
    struct stele_subscription_stats *stats = &subscription->stats;

    pthread_mutex_lock(&subscription->mutex);
    stats->position = atomic_load(&subscription->is_moved) ? 0 : subscription->position;
    stats->handled = subscription->handled;
    stats->batches = subscription->batches;
    count_rate(subscription, now);
    stele__subscription_rouse(subscription);
    pthread_mutex_unlock(&subscription->mutex);
}

static void note_success(stele_subscription *subscription)
{
    subscription->faults = 0;
    /* What came before an event that failed says nothing of it. */
    if (subscription->poison.position)
        return;
    pthread_mutex_lock(&subscription->mutex);
    subscription->stats.failures = 0;
    subscription->stats.is_healthy = true;
    pthread_mutex_unlock(&subscription->mutex);
}

/* --- An event that failed -------------------------------------------------------------------------------- */

/* Behind it, whatever became of it. */
static void pass_over(stele_subscription *subscription)
{
    subscription->position = subscription->poison.position;
    subscription->poison.position = 0;
    subscription->save_at = 0;
    move_on(subscription, STELE_SUBSCRIPTION_CATCHING_UP);
}

static bool park(stele_subscription *subscription)
{
    stele_error *why = NULL;
    stele_status status;

    if (!move_on(subscription, STELE_SUBSCRIPTION_PARKED))
        return false;
    status = stele__parked_add(subscription, &why);
    if (status != STELE_OK)
        return meet_surroundings(subscription, status, why);
    pthread_mutex_lock(&subscription->mutex);
    subscription->stats.parked++;
    pthread_mutex_unlock(&subscription->mutex);
    pass_over(subscription);
    return true;
}

static bool skip(stele_subscription *subscription)
{
    char position[24];

    snprintf(position, sizeof(position), "%" PRIu64, subscription->poison.position);
    STELE__LOG(STELE_LOG_WARNING, "an event that failed is skipped", {"subscription", subscription->subscriber->name},
               {"position", position}, {"why", subscription->poison.text});
    pthread_mutex_lock(&subscription->mutex);
    subscription->stats.skipped++;
    pthread_mutex_unlock(&subscription->mutex);
    pass_over(subscription);
    return true;
}

static bool stop_before(stele_subscription *subscription)
{
    const struct stele__poison poison = subscription->poison;

    subscription->poison.position = 0;
    fail(subscription, poison.status, poison.text, poison.position);
    return false;
}

/* All before the event is handled: do with it what was found right. True to go on. */
static bool carry_out(stele_subscription *subscription)
{
    struct stele__poison *poison = &subscription->poison;

    switch (poison->verdict.end) {
    case STELE__END_PARK: return park(subscription);
    case STELE__END_SKIP: return skip(subscription);
    case STELE__END_STOP: return stop_before(subscription);
    case STELE__END_RETRY: break;
    }
    poison->is_judged = false;
    retry_in(subscription, poison->verdict.pause);
    return false;
}

static void judge(stele_subscription *subscription, const struct stele__batch *batch)
{
    struct stele__poison *poison = &subscription->poison;

    poison->attempts = poison->position == batch->failed_at ? poison->attempts + 1 : 1;
    poison->position = batch->failed_at;
    poison->status = batch->status;
    poison->is_judged = true;
    poison->verdict =
        stele__subscription_judge(subscription->subscriber, poison->attempts, batch->status, random_of(subscription));
    /* Where nothing can be written down, nothing can be left behind. */
    if (poison->verdict.end == STELE__END_PARK && subscription->store->read_only)
        poison->verdict.end = STELE__END_STOP;
    stele__utf8_fit(poison->text, sizeof(poison->text), text_of(batch->status, batch->why));
    stele__subscription_note_error(subscription, batch->status, poison->text, batch->failed_at);
}

/* --- A batch -------------------------------------------------------------------------------------------- */

static void roll_back(struct stele__batch *batch)
{
    if (batch->is_begun)
        batch->subscription->subscriber->rollback(batch->subscription->context);
    batch->is_begun = false;
}

static void count_batch(stele_subscription *subscription, const struct stele__batch *batch)
{
    subscription->handled += batch->shown;
    subscription->batches++;
    if (batch->reached >= subscription->poison.position)
        subscription->poison.position = 0;
}

/* A commit can fail for what is in it. Alone it is an event's fault, and of several each is then tried alone. */
static bool is_of_events(const struct stele__batch *batch, stele_status status)
{
    return batch->shown > 0 && status != STELE_CONFLICT && !stele__subscription_is_surroundings(status) &&
           stele_status_action(status) == STELE_ACTION_NEVER;
}

static bool meet_event(struct stele__batch *batch)
{
    stele_subscription *subscription = batch->subscription;
    const bool had_others = batch->shown > 0 && batch->at != batch->failed_at;

    roll_back(batch);
    if (subscription->keeps_position && stele__subscription_is_surroundings(batch->status)) {
        stele_error *why = batch->why;

        batch->why = NULL;
        return meet_surroundings(subscription, batch->status, why);
    }
    judge(subscription, batch);
    /* What came before it has its effect, or is rolled back and comes once more, up to there. */
    if (!subscription->keeps_position)
        subscription->handled += batch->shown;
    if (!subscription->keeps_position || !had_others)
        subscription->position = batch->failed_at - 1;
    return subscription->position < batch->failed_at - 1 || carry_out(subscription);
}

static bool meet_failed_commit(struct stele__batch *batch, stele_status status)
{
    stele_subscription *subscription = batch->subscription;
    stele_error *why = batch->why;

    batch->status = status;
    if (is_of_events(batch, status) && batch->limit == 1) {
        batch->failed_at = batch->at;
        batch->shown = 0;
        return meet_event(batch);
    }
    roll_back(batch);
    if (is_of_events(batch, status)) {
        subscription->single_until = batch->reached;
        return true;
    }
    /* It was moved under the batch, by somebody who said so. */
    if (status == STELE_CONFLICT && atomic_load(&subscription->is_moved))
        return true;
    batch->why = NULL;
    return meet_surroundings(subscription, status, why);
}

static bool commit(struct stele__batch *batch)
{
    stele_subscription *subscription = batch->subscription;
    stele_status status = STELE_OK;

    if (batch->is_begun)
        status =
            subscription->subscriber->commit(subscription->context, subscription->written, batch->reached, &batch->why);
    if (status != STELE_OK)
        return meet_failed_commit(batch, status);
    subscription->position = batch->reached;
    if (batch->is_begun)
        subscription->written = batch->reached;
    count_batch(subscription, batch);
    note_success(subscription);
    return true;
}

static bool finish(struct stele__batch *batch)
{
    stele_error *why = batch->why;

    switch (batch->fault) {
    case STELE__FAULT_NONE: return commit(batch);
    case STELE__FAULT_EVENT: return meet_event(batch);
    case STELE__FAULT_SURROUNDINGS: break;
    }
    roll_back(batch);
    if (!batch->subscription->keeps_position) {
        batch->subscription->position = batch->reached;
        batch->subscription->handled += batch->shown;
    }
    batch->why = NULL;
    return meet_surroundings(batch->subscription, batch->status, why);
}

/* How far the next batch may go. */
static uint64_t window(stele_subscription *subscription, uint64_t goal)
{
    const struct stele__poison *poison = &subscription->poison;
    uint64_t until = subscription->position + WINDOW < goal ? subscription->position + WINDOW : goal;

    if (poison->position && poison->is_judged)
        until = poison->position - 1;
    else if (poison->position)
        until = poison->position;
    return until;
}

static bool run_batch(stele_subscription *subscription, uint64_t goal, int64_t now)
{
    struct stele__batch batch = {
        .subscription = subscription,
        .after = subscription->position,
        .reached = subscription->position,
        .until = window(subscription, goal),
        .limit = subscription->position < subscription->single_until ? 1 : subscription->batch,
        .began = now,
    };
    bool goes_on;

    if (subscription->poison.position && !subscription->poison.is_judged)
        batch.limit = 1;
    stele__subscription_read(&batch);
    goes_on = finish(&batch);
    if (batch.is_late)
        subscription->save_at = 0;
    stele_error_free(batch.why);
    return goes_on;
}

/* --- The step ---------------------------------------------------------------------------------------------- */

static uint64_t goal_of(stele_subscription *subscription)
{
    const uint64_t head = stele__tail_head(&subscription->tail);

    return head < subscription->end ? head : subscription->end;
}

/* False if nothing is to be done now. */
static bool is_due(stele_subscription *subscription, int64_t now)
{
    if (atomic_exchange(&subscription->is_fresh, false)) {
        subscription->poison.position = 0;
        subscription->faults = 0;
        subscription->retry_at = 0;
        subscription->needs_load = subscription->needs_load || subscription->keeps_position;
    }
    if (is_held(stele__subscription_state(subscription)))
        return false;
    if (atomic_exchange(&subscription->is_moved, false)) {
        subscription->position = subscription->poison.position = subscription->single_until = 0;
        subscription->retry_at = 0;
        subscription->needs_load = true;
    }
    if (subscription->retry_at > now) {
        stele__tail_wake_in(&subscription->tail, subscription->retry_at - now);
        return false;
    }
    subscription->retry_at = 0;
    return true;
}

static bool replay(stele_subscription *subscription)
{
    stele_error *why = NULL;
    const stele_status status = stele__parked_replay(subscription, &why);

    return status == STELE_OK || meet_surroundings(subscription, status, why);
}

static bool load_again(stele_subscription *subscription)
{
    stele_error *why = NULL;
    stele_status status;

    if (!subscription->needs_load)
        return true;
    status = stele__subscription_load(subscription, &why);
    if (status != STELE_OK)
        return meet_surroundings(subscription, status, why);
    stele__subscription_publish(subscription, stele__runtime_monotonic(subscription->runtime));
    return true;
}

/* One batch, or what became of an event. */
static bool advance(stele_subscription *subscription, int64_t now)
{
    const struct stele__poison *poison = &subscription->poison;

    if (poison->position && poison->is_judged && subscription->position == poison->position - 1)
        return carry_out(subscription);
    return subscription->position >= goal_of(subscription) || run_batch(subscription, goal_of(subscription), now);
}

/* It is at the head, or has come to its end. */
static void arrive(stele_subscription *subscription)
{
    const struct stele__subscribed_state state = {.name = subscription->subscriber->name,
                                                  .state = STELE_SUBSCRIPTION_FINISHED};

    if (stele__subscription_state(subscription) == STELE_SUBSCRIPTION_RETRYING)
        move_on(subscription, STELE_SUBSCRIPTION_CATCHING_UP);
    if (subscription->position < subscription->end) {
        move_on(subscription, STELE_SUBSCRIPTION_LIVE);
        return;
    }
    subscription->save_at = 0;
    if (save_due(subscription, stele__runtime_monotonic(subscription->runtime)) &&
        subscription->position == subscription->written)
        end(subscription, &state);
}

static bool do_step(stele_subscription *subscription)
{
    int64_t now = stele__runtime_monotonic(subscription->runtime);
    bool goes_on;

    if (!is_due(subscription, now))
        return false;
    goes_on = load_again(subscription) && replay(subscription) && advance(subscription, now);
    now = stele__runtime_monotonic(subscription->runtime);
    if (goes_on && subscription->position < goal_of(subscription))
        goes_on = move_on(subscription, STELE_SUBSCRIPTION_CATCHING_UP);
    else if (goes_on)
        arrive(subscription);
    stele__subscription_publish(subscription, now);
    if (goes_on)
        goes_on = save_due(subscription, now);
    return goes_on && subscription->position < goal_of(subscription);
}

bool stele__subscription_step(struct stele__tail *tail)
{
    stele_subscription *subscription = (stele_subscription *)((char *)tail - offsetof(struct stele_subscription, tail));
    struct stele__subscription_frame frame = {.subscription = subscription};
    bool has_more;

    stele__subscription_enter(&frame);
    has_more = do_step(subscription);
    stele__subscription_leave(&frame);
    return has_more;
}
