/*
 * Subscriptions: starting and ending them, and what others call while they run.
 *
 *     start ─► checked ─► recorded state, position ─► registered at the store ─► tail: steps (subscription_step.c)
 *     pause, resume ─► recorded ─► state
 *     wait ─► until the step has published a position
 *     free ─► no step any more ─► last position ─► gone
 *
 * What can fail: the subscriber's description, the store, memory.
 */
#include "store/subscription.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "store/parked.h"
#include "store/subscribed.h"

#include <inttypes.h>
#include <string.h>

enum { PAUSE_DEFAULT = 50 };

static _Thread_local struct stele__subscription_frame *innermost;

void stele__subscription_enter(struct stele__subscription_frame *frame)
{
    frame->outer = innermost;
    innermost = frame;
}

void stele__subscription_leave(const struct stele__subscription_frame *frame)
{
    innermost = frame->outer;
}

/* Is this thread in one of its functions? */
static bool is_inside(const stele_subscription *subscription)
{
    for (const struct stele__subscription_frame *frame = innermost; frame; frame = frame->outer)
        if (frame->subscription == subscription)
            return true;
    return false;
}

/* --- What a subscriber says ----------------------------------------------------------------- */

static stele_status check_functions(const struct stele_subscriber *subscriber, stele_error **error)
{
    const int count = (subscriber->load != NULL) + (subscriber->begin != NULL) + (subscriber->commit != NULL) +
                      (subscriber->rollback != NULL);

    if (!subscriber->receive)
        return stele__fail_argument(error, "receive", "is NULL");
    if (count != 0 && count != 4)
        return stele__fail_argument(error, "load", "load, begin, commit and rollback come together, or not at all");
    return STELE_OK;
}

static stele_status check_choices(const struct stele_subscriber *subscriber, stele_error **error)
{
    if ((unsigned)subscriber->start > STELE_START_TIME)
        return stele__fail_argument(error, "start", "is none of enum stele_start");
    if ((unsigned)subscriber->until > STELE_UNTIL_HEAD)
        return stele__fail_argument(error, "until", "is none of enum stele_until");
    if ((unsigned)subscriber->on_failure > STELE_POISON_SKIP)
        return stele__fail_argument(error, "on_failure", "is none of enum stele_poison_policy");
    if (subscriber->position > STELE_VERSION_MAX)
        return stele__fail_argument(error, "position", "is beyond STELE_VERSION_MAX");
    if (subscriber->batch > STELE_SUBSCRIPTION_BATCH_MAX)
        return stele__fail_limit(error, "batch", subscriber->batch, STELE_SUBSCRIPTION_BATCH_MAX, "events");
    return STELE_OK;
}

static stele_status check_subscriber(const struct stele_subscriber *subscriber, stele_error **error)
{
    stele_status status;

    if (!subscriber)
        return stele__fail_argument(error, "subscriber", "is NULL");
    if (!subscriber->name)
        return stele__fail_argument(error, "name", "is NULL");
    status = stele__name_check(stele__slice(subscriber->name), "name", STELE_CHECKPOINT_MAX, error);
    if (status == STELE_OK && subscriber->category && *subscriber->category)
        status = stele__name_check(stele__slice(subscriber->category), "category", STELE_STREAM_MAX, error);
    if (status == STELE_OK)
        status = check_functions(subscriber, error);
    if (status == STELE_OK)
        status = check_choices(subscriber, error);
    if (status == STELE_OK && subscriber->retry)
        status = stele_retry_check(subscriber->retry, error);
    return status;
}

static stele_status check_store(const stele_store *store, const stele_runtime *runtime,
                                const struct stele_subscriber *subscriber, stele_error **error)
{
    const bool keeps_position = subscriber && subscriber->load;
    stele_status status = stele__store_check(store, error);

    if (status != STELE_OK)
        return status;
    if (!runtime)
        return stele__fail_argument(error, "runtime", "is NULL");
    status = check_subscriber(subscriber, error);
    if (status == STELE_OK && store->read_only && !keeps_position)
        status = stele__fail(error, STELE_READ_ONLY,
                             "subscription \"%s\" keeps its position in the store, which was opened for reading only",
                             subscriber->name);
    return status;
}

/* --- The register of a store ------------------------------------------------------------------- */

static stele_status fail_running(const char *name, stele_error **error)
{
    stele__fail(error, STELE_CONFLICT, "subscription \"%s\" runs already on this handle", name);
    stele__error_add(error, "subscription", "%s", name);
    stele__error_add(error, "state", "running");
    return STELE_CONFLICT;
}

static stele_status enlist(stele_subscription *subscription, stele_error **error)
{
    struct stele__subscribed *subscribed = &subscription->store->subscribed;
    const char *name = subscription->subscriber->name;
    bool is_running = false;

    pthread_mutex_lock(&subscribed->mutex);
    for (const stele_subscription *other = subscribed->first; other && !is_running; other = other->next)
        is_running = strcmp(other->subscriber->name, name) == 0;
    if (!is_running) {
        subscription->next = subscribed->first;
        subscribed->first = subscription;
    }
    pthread_mutex_unlock(&subscribed->mutex);
    return is_running ? fail_running(name, error) : STELE_OK;
}

static void delist(stele_subscription *subscription)
{
    struct stele__subscribed *subscribed = &subscription->store->subscribed;

    pthread_mutex_lock(&subscribed->mutex);
    for (stele_subscription **place = &subscribed->first; *place; place = &(*place)->next) {
        if (*place == subscription) {
            *place = subscription->next;
            break;
        }
    }
    pthread_mutex_unlock(&subscribed->mutex);
}

/* --- Beginning ------------------------------------------------------------------------------------ */

static bool init_mutexes(stele_subscription *subscription)
{
    if (pthread_mutex_init(&subscription->mutex, NULL) != 0)
        return false;
    if (pthread_mutex_init(&subscription->recording, NULL) == 0)
        return true;
    pthread_mutex_destroy(&subscription->mutex);
    return false;
}

static void describe(stele_subscription *subscription)
{
    const struct stele_subscriber *subscriber = subscription->subscriber;

    subscription->keeps_position = subscriber->load != NULL;
    subscription->batch = subscriber->batch ? subscriber->batch : STELE_SUBSCRIPTION_BATCH;
    subscription->save_pause = (subscriber->pause_ms ? subscriber->pause_ms : PAUSE_DEFAULT) * STELE__NANOS_PER_MS;
    subscription->written = subscription->marked = STELE_NO_CHECKPOINT;
    subscription->look_in = subscription->look_step = 1;
    atomic_init(&subscription->stop_at, UINT64_MAX);
    atomic_init(&subscription->is_fresh, false);
    atomic_init(&subscription->is_moved, false);
    subscription->stats.is_healthy = true;
}

static stele_status allocate(stele_store *store, stele_runtime *runtime, const struct stele_subscriber *subscriber,
                             void *context, stele_subscription **out, stele_error **error)
{
    stele_subscription *subscription = stele__alloc(sizeof(*subscription));
    stele_status status;

    if (!subscription || !init_mutexes(subscription)) {
        stele__free(subscription, sizeof(*subscription));
        return stele__fail_memory(error);
    }
    subscription->store = store;
    subscription->runtime = runtime;
    subscription->subscriber = subscriber;
    subscription->context = context;
    describe(subscription);
    status = stele__filter_init(&subscription->filter, subscriber->types, error);
    if (status == STELE_OK) {
        status =
            stele__tail_init(&subscription->tail, store, runtime, subscriber->name, stele__subscription_step, error);
        if (status == STELE_OK) {
            *out = subscription;
            return STELE_OK;
        }
    }
    stele__filter_fini(&subscription->filter);
    pthread_mutex_destroy(&subscription->recording);
    pthread_mutex_destroy(&subscription->mutex);
    stele__free(subscription, sizeof(*subscription));
    return status;
}

static void release(stele_subscription *subscription)
{
    stele__parked_free(subscription->parked);
    stele__tail_fini(&subscription->tail);
    stele__filter_fini(&subscription->filter);
    pthread_mutex_destroy(&subscription->recording);
    pthread_mutex_destroy(&subscription->mutex);
    stele__free(subscription, sizeof(*subscription));
}

/* The state it begins with. */
static stele_status find_state(stele_subscription *subscription, struct stele__subscribed_state *state,
                               stele_arena *arena, stele_error **error)
{
    stele_status status =
        stele__subscribed_read(subscription->store, subscription->subscriber->name, arena, state, error);

    if (status == STELE_OK && state->state == STELE_SUBSCRIPTION_DETACHED)
        status = stele__subscribed_fail_detached(state->name, error);
    return status;
}

/* The status of a name, as it was recorded. */
static stele_status find_code(const char *name)
{
    stele_status status = STELE_OK;

    while (name && status <= STELE_LATE && strcmp(stele_status_name(status), name) != 0)
        status++;
    return name && status <= STELE_LATE ? status : STELE_FAILED;
}

static void take_failure(struct stele_subscription_stats *stats, const struct stele__subscribed_state *state)
{
    stats->is_healthy = false;
    stats->last_error = find_code(state->code);
    stats->last_error_position = state->at;
    stele__utf8_fit(stats->last_error_text, sizeof(stats->last_error_text), state->text ? state->text : "");
}

/* False if it was detached since its state was read. */
static bool begin_state(stele_subscription *subscription, const struct stele__subscribed_state *state)
{
    struct stele_subscription_stats *stats = &subscription->stats;
    bool has_moved;

    pthread_mutex_lock(&subscription->mutex);
    stats->position = stats->begin = subscription->rate_position = subscription->position;
    subscription->rate_since = stele__runtime_monotonic(subscription->runtime);
    has_moved = stele__subscription_move(&stats->state, state->state);
    if (has_moved && state->state == STELE_SUBSCRIPTION_FAILED)
        take_failure(stats, state);
    pthread_mutex_unlock(&subscription->mutex);
    return has_moved;
}

static stele_status prepare(stele_subscription *subscription, stele_error **error)
{
    struct stele__subscribed_state state;
    stele_arena *arena = NULL;
    stele_status status = stele_arena_new(&arena, error);

    if (status == STELE_OK)
        status = find_state(subscription, &state, arena, error);
    if (status == STELE_OK)
        status = stele__parked_new(subscription, &subscription->parked, error);
    if (status == STELE_OK)
        status = stele__tail_start(&subscription->tail, error);
    if (status == STELE_OK) {
        subscription->end =
            subscription->subscriber->until == STELE_UNTIL_HEAD ? stele__tail_head(&subscription->tail) : UINT64_MAX;
        status = stele__subscription_load(subscription, error);
        if (status == STELE_OK && !begin_state(subscription, &state))
            status = stele__subscribed_fail_detached(state.name, error);
        if (status != STELE_OK)
            stele__tail_end(&subscription->tail);
    }
    stele_arena_free(arena);
    return status;
}

stele_status stele_subscription_start(stele_store *store, stele_runtime *runtime,
                                      const struct stele_subscriber *subscriber, void *context,
                                      stele_subscription **out, stele_error **error)
{
    stele_subscription *subscription = NULL;
    stele_status status = check_store(store, runtime, subscriber, error);

    if (status == STELE_OK && !out)
        status = stele__fail_argument(error, "out", "is NULL");
    if (status == STELE_OK)
        status = allocate(store, runtime, subscriber, context, &subscription, error);
    if (status != STELE_OK)
        return status;
    status = enlist(subscription, error);
    if (status == STELE_OK) {
        status = prepare(subscription, error);
        if (status != STELE_OK)
            delist(subscription);
    }
    if (status != STELE_OK) {
        release(subscription);
        return status;
    }
    stele__store_hold(store);
    *out = subscription;
    stele__tail_go(&subscription->tail);
    return STELE_OK;
}

/* --- Ending --------------------------------------------------------------------------------------- */

void stele_subscription_free(stele_subscription *subscription)
{
    stele_store *store;
    void (*let_go)(void *context);
    void *context;

    /* In a forked child its thread is not there, and may hold its locks. */
    if (!subscription || stele__store_check(subscription->store, NULL) == STELE_FORKED)
        return;
    store = subscription->store;
    if (is_inside(subscription)) {
        STELE__LOG(STELE_LOG_ERROR, "a subscription cannot be freed in one of its own functions: it stays",
                   {"subscription", subscription->subscriber->name});
        return;
    }
    let_go = subscription->let_go;
    context = subscription->context;
    stele__tail_stop(&subscription->tail);
    pthread_mutex_lock(&subscription->mutex);
    stele__subscription_rouse(subscription);
    pthread_mutex_unlock(&subscription->mutex);
    stele__tail_end(&subscription->tail);
    stele__subscription_save_last(subscription);
    delist(subscription);
    release(subscription);
    if (let_go)
        let_go(context);
    stele__store_let_go(store);
}

/* --- Pausing ---------------------------------------------------------------------------------------- */

static stele_status check(const stele_subscription *subscription, stele_error **error)
{
    if (!subscription)
        return stele__fail_argument(error, "subscription", "is NULL");
    return stele__store_check_writable(subscription->store, error);
}

enum stele_subscription_state stele__subscription_state(stele_subscription *subscription)
{
    enum stele_subscription_state state;

    pthread_mutex_lock(&subscription->mutex);
    state = subscription->stats.state;
    pthread_mutex_unlock(&subscription->mutex);
    return state;
}

/* Move it from outside; true if it moved. */
static bool move(stele_subscription *subscription, enum stele_subscription_state next)
{
    bool has_moved;

    pthread_mutex_lock(&subscription->mutex);
    if (next == STELE_SUBSCRIPTION_CATCHING_UP)
        atomic_store(&subscription->is_fresh, true);
    has_moved = stele__subscription_move(&subscription->stats.state, next);
    stele__subscription_rouse(subscription);
    pthread_mutex_unlock(&subscription->mutex);
    return has_moved;
}

/* Record a state, then move to it. */
static stele_status put(stele_subscription *subscription, enum stele_subscription_state next, stele_error **error)
{
    const struct stele__subscribed_state state = {.name = subscription->subscriber->name, .state = next};
    stele_status status = STELE_OK;
    enum stele_subscription_state present;
    bool has_moved = false;

    pthread_mutex_lock(&subscription->recording);
    present = stele__subscription_state(subscription);
    if (present == STELE_SUBSCRIPTION_FINISHED || present == STELE_SUBSCRIPTION_DETACHED)
        status = stele__fail(error, STELE_INVALID, "subscription \"%s\" is %s", state.name,
                             stele_subscription_state_name(present));
    else if (next == STELE_SUBSCRIPTION_PAUSED
                 ? present != next
                 : present == STELE_SUBSCRIPTION_PAUSED || present == STELE_SUBSCRIPTION_FAILED) {
        status = stele__subscribed_write(subscription->store, &state, 1, error);
        has_moved = status == STELE_OK && move(subscription, next);
    }
    pthread_mutex_unlock(&subscription->recording);
    if (has_moved)
        stele__subscription_tell(subscription);
    return status;
}

stele_status stele_subscription_pause(stele_subscription *subscription, stele_error **error)
{
    const stele_status status = check(subscription, error);

    return status == STELE_OK ? put(subscription, STELE_SUBSCRIPTION_PAUSED, error) : status;
}

stele_status stele_subscription_resume(stele_subscription *subscription, stele_error **error)
{
    stele_status status = check(subscription, error);

    if (status == STELE_OK)
        status = put(subscription, STELE_SUBSCRIPTION_CATCHING_UP, error);
    if (status == STELE_OK)
        stele__tail_wake(&subscription->tail);
    return status;
}

bool stele__subscription_detach(stele_subscription *subscription)
{
    bool has_moved;

    pthread_mutex_lock(&subscription->recording);
    has_moved = move(subscription, STELE_SUBSCRIPTION_DETACHED);
    pthread_mutex_unlock(&subscription->recording);
    return has_moved;
}

void stele__subscription_reload(stele_subscription *subscription)
{
    pthread_mutex_lock(&subscription->mutex);
    atomic_store(&subscription->is_moved, true);
    /* Who waits for a position waits for the new one. */
    subscription->stats.position = 0;
    stele__subscription_rouse(subscription);
    pthread_mutex_unlock(&subscription->mutex);
    stele__tail_wake(&subscription->tail);
}

/* --- Waiting ----------------------------------------------------------------------------------------- */

static stele_status fail_failed(const struct stele_subscription_stats *stats, const char *name, stele_error **error)
{
    stele__fail(error, STELE_FAILED, "subscription \"%s\" has failed: %s", name, stats->last_error_text);
    stele__error_add(error, "subscription", "%s", name);
    stele__error_add(error, "code", "%s", stele_status_name(stats->last_error));
    return STELE_FAILED;
}

static stele_status fail_late(uint64_t position, const char *name, uint32_t timeout_ms, stele_error **error)
{
    if (position == UINT64_MAX)
        stele__fail(error, STELE_TIMEOUT, "subscription \"%s\" is not finished after %" PRIu32 " ms", name, timeout_ms);
    else
        stele__fail(error, STELE_LATE, "subscription \"%s\" has not come to position %" PRIu64 " after %" PRIu32 " ms",
                    name, position, timeout_ms);
    stele__error_add(error, "subscription", "%s", name);
    return position == UINT64_MAX ? STELE_TIMEOUT : STELE_LATE;
}

static void remove_waiter(stele_subscription *subscription, const struct stele__subscription_waiter *waiter)
{
    for (struct stele__subscription_waiter **place = &subscription->waiters; *place; place = &(*place)->next) {
        if (*place == waiter) {
            *place = waiter->next;
            return;
        }
    }
}

/* Sleep until the position is there, or never will be, or the time is over: then false. The stats are of then. */
static stele_status sleep_for(stele_subscription *subscription, uint64_t position, int64_t deadline,
                              struct stele_subscription_stats *stats, bool *was_told, stele_error **error)
{
    struct stele__subscription_waiter waiter = {.position = position};

    if (!stele__signal_init(&waiter.signal))
        return stele__fail_memory(error);
    pthread_mutex_lock(&subscription->mutex);
    waiter.next = subscription->waiters;
    subscription->waiters = &waiter;
    stele__subscription_rouse(subscription);
    pthread_mutex_unlock(&subscription->mutex);
    *was_told = stele__runtime_wait(subscription->runtime, &waiter.signal, deadline);
    pthread_mutex_lock(&subscription->mutex);
    remove_waiter(subscription, &waiter);
    *stats = subscription->stats;
    pthread_mutex_unlock(&subscription->mutex);
    stele__signal_fini(&waiter.signal);
    return STELE_OK;
}

/* Is there nothing more to wait for? It may have been moved, or resumed, since the one who waits was told. */
static bool is_settled(const struct stele_subscription_stats *stats, uint64_t position)
{
    return stats->position >= position || stats->state == STELE_SUBSCRIPTION_FAILED ||
           stats->state == STELE_SUBSCRIPTION_PAUSED || stats->state == STELE_SUBSCRIPTION_FINISHED ||
           stats->state == STELE_SUBSCRIPTION_DETACHED;
}

/* Until a position; UINT64_MAX: until it is finished. */
static stele_status wait_until(stele_subscription *subscription, uint64_t position, uint32_t timeout_ms,
                               stele_error **error)
{
    struct stele_subscription_stats stats;
    const char *name;
    int64_t deadline;
    bool was_told = false;
    stele_status status = STELE_OK;

    if (!subscription)
        return stele__fail_argument(error, "subscription", "is NULL");
    name = subscription->subscriber->name;
    status = stele__store_check(subscription->store, error);
    if (status != STELE_OK)
        return status;
    if (is_inside(subscription))
        return stele__fail(error, STELE_INVALID, "subscription \"%s\" cannot be waited for in one of its own functions",
                           name);
    deadline = stele__runtime_monotonic(subscription->runtime) + (int64_t)timeout_ms * STELE__NANOS_PER_MS;
    do
        status = sleep_for(subscription, position, deadline, &stats, &was_told, error);
    while (status == STELE_OK && was_told && !is_settled(&stats, position));
    if (status != STELE_OK)
        return status;
    if (stats.position >= position || (position == UINT64_MAX && stats.state == STELE_SUBSCRIPTION_FINISHED))
        return STELE_OK;
    if (stats.state == STELE_SUBSCRIPTION_FAILED)
        return fail_failed(&stats, name, error);
    if (stats.state == STELE_SUBSCRIPTION_PAUSED || stats.state == STELE_SUBSCRIPTION_FINISHED ||
        stats.state == STELE_SUBSCRIPTION_DETACHED)
        return stele__fail(error, STELE_CANCELLED, "subscription \"%s\" is %s", name,
                           stele_subscription_state_name(stats.state));
    return fail_late(position, name, timeout_ms, error);
}

stele_status stele_subscription_wait(stele_subscription *subscription, uint64_t position, uint32_t timeout_ms,
                                     stele_error **error)
{
    if (position > STELE_VERSION_MAX)
        return stele__fail_argument(error, "position", "is beyond STELE_VERSION_MAX");
    return wait_until(subscription, position, timeout_ms, error);
}

stele_status stele_subscription_join(stele_subscription *subscription, uint32_t timeout_ms, stele_error **error)
{
    return wait_until(subscription, UINT64_MAX, timeout_ms, error);
}

/* --- Looking ------------------------------------------------------------------------------------------ */

/* Under the mutex: rates as they are now, also when nothing has come for a while. */
static void bring_up_to_date(const stele_subscription *subscription, int64_t now, struct stele_subscription_stats *out)
{
    const int64_t passed = now - subscription->rate_since;
    double position_rate = subscription->position_rate;

    if (passed >= 2 * INT64_C(1000000000)) {
        out->rate = (double)(out->handled - subscription->rate_handled) * 1e9 / (double)passed;
        position_rate = (double)(out->position - subscription->rate_position) * 1e9 / (double)passed;
    }
    out->lag = out->head > out->position ? out->head - out->position : 0;
    out->time_left = -1;
    if (out->lag == 0)
        out->time_left = 0;
    else if (position_rate > 0 && (double)out->lag / position_rate < 9e9)
        out->time_left = (int64_t)((double)out->lag * 1e9 / position_rate);
}

void stele_subscription_get_stats(stele_subscription *subscription, struct stele_subscription_stats *out)
{
    if (!subscription || !out)
        return;
    *out = (struct stele_subscription_stats){.state = STELE_SUBSCRIPTION_NEW};
    /* In a forked child its lock may be held by a thread that is not there. */
    if (stele__store_check(subscription->store, NULL) == STELE_FORKED)
        return;
    pthread_mutex_lock(&subscription->mutex);
    *out = subscription->stats;
    out->head = stele__tail_head(&subscription->tail);
    bring_up_to_date(subscription, stele__runtime_monotonic(subscription->runtime), out);
    pthread_mutex_unlock(&subscription->mutex);
}

const char *stele_subscription_name(const stele_subscription *subscription)
{
    return subscription ? subscription->subscriber->name : NULL;
}
