/*
 * Projections in memory: a struct of the program, folded from the first event on.
 *
 *     load ─► reset ─► { begin: held ─► events, in place ─► commit: let go }*
 *                             readers: stele_projections_hold() ... release()
 *
 * The model is a baton: one has it, the fold or a reader, and others wait in
 * line, so that neither starves the other. It is taken once a batch, not once an event. The fold calls the
 * user's functions while it has it: that is what it is for. When a model is
 * built anew, the fold keeps it until the goal, or until it stops on its way.
 *
 * What was folded into a struct cannot be rolled back: events that are shown again,
 * because a later one of their batch failed, are passed over. A function that fails must
 * have left the model as it was.
 *
 * What can fail: the functions; a wait in a simulation that nothing will end.
 */
#include "projections/projections.h"

#include "base/error.h"
#include "base/memory.h"
#include "message/message.h"
#include "projections/target.h"
#include "store/subscription.h"

enum { MEMORY_BATCH = 5000 };

/* Somebody who waits for the model; on its stack. */
struct in_line {
    struct stele__signal signal;
    struct in_line *next;
};

struct in_memory {
    struct stele__running running;

    /* The fold's own. */
    bool was_reset;
    uint64_t committed;
    uint64_t applied; /* the last event that was, and which part of it */
    unsigned applied_part;

    struct stele__building building;

    bool has_mutex;
    pthread_mutex_t mutex; /* guards what follows */
    bool is_taken;
    struct in_line *first, *last;
    bool fold_has_it;
    bool is_in_batch;
    bool is_stopping; /* the subscription goes no further than its batch */
};

static struct in_memory *of(void *context)
{
    return context;
}

/* --- The baton ------------------------------------------------------------------------ */

/* With the mutex. */
static void hand_on(struct in_memory *memory)
{
    struct in_line *next = memory->first;

    if (!next) {
        memory->is_taken = false;
        return;
    }
    memory->first = next->next;
    stele__signal_set(&next->signal);
}

/* True if it was in the line still. */
static bool leave_line(struct in_memory *memory, struct in_line *self)
{
    struct in_line **place = &memory->first;
    struct in_line *before = NULL;

    while (*place && *place != self) {
        before = *place;
        place = &before->next;
    }
    if (!*place)
        return false;
    *place = self->next;
    if (memory->last == self)
        memory->last = before;
    return true;
}

static stele_status take(struct in_memory *memory, stele_error **error)
{
    struct in_line self = {.next = NULL};
    bool gave_up = false;

    if (!stele__signal_init(&self.signal))
        return stele__fail_memory(error);
    pthread_mutex_lock(&memory->mutex);
    if (!memory->is_taken) {
        memory->is_taken = true;
        pthread_mutex_unlock(&memory->mutex);
        stele__signal_fini(&self.signal);
        return STELE_OK;
    }
    if (memory->first)
        memory->last->next = &self;
    else
        memory->first = &self;
    memory->last = &self;
    pthread_mutex_unlock(&memory->mutex);
    if (!stele__runtime_wait(memory->running.projections->runtime, &self.signal, INT64_MAX)) {
        pthread_mutex_lock(&memory->mutex);
        gave_up = leave_line(memory, &self);
        pthread_mutex_unlock(&memory->mutex);
    }
    stele__signal_fini(&self.signal);
    return gave_up ? stele__fail(error, STELE_INVALID, "the model is held, and nothing will let it go") : STELE_OK;
}

static void let_go(struct in_memory *memory)
{
    pthread_mutex_lock(&memory->mutex);
    hand_on(memory);
    pthread_mutex_unlock(&memory->mutex);
}

/* The fold has it, or takes it. */
static stele_status fold_take(struct in_memory *memory, stele_error **error)
{
    stele_status status = STELE_OK;

    if (!memory->fold_has_it)
        status = take(memory, error);
    if (status != STELE_OK)
        return status;
    pthread_mutex_lock(&memory->mutex);
    memory->fold_has_it = true;
    memory->is_in_batch = true;
    pthread_mutex_unlock(&memory->mutex);
    return STELE_OK;
}

/* The end of a batch: `keep` it, unless there is no next one. */
static void fold_leave(struct in_memory *memory, bool keep)
{
    pthread_mutex_lock(&memory->mutex);
    memory->is_in_batch = false;
    if (!keep || memory->is_stopping) {
        memory->fold_has_it = false;
        hand_on(memory);
    }
    pthread_mutex_unlock(&memory->mutex);
}

/* Paused by somebody, or failed: nobody is to wait for a model that nobody builds. */
static void changed(void *context, stele_subscription *subscription)
{
    struct in_memory *memory = of(context);
    struct stele_subscription_stats stats;

    stele_subscription_get_stats(subscription, &stats);
    pthread_mutex_lock(&memory->mutex);
    memory->is_stopping = stats.state != STELE_SUBSCRIPTION_CATCHING_UP && stats.state != STELE_SUBSCRIPTION_LIVE;
    if (memory->is_stopping && memory->fold_has_it && !memory->is_in_batch) {
        memory->fold_has_it = false;
        hand_on(memory);
    }
    pthread_mutex_unlock(&memory->mutex);
}

/* --- Folding ---------------------------------------------------------------------------- */

/* All up to a position is folded: is that all there was when building began? */
static bool is_built(struct in_memory *memory, uint64_t position)
{
    if (!stele__building_is_reached(&memory->building, position))
        return false;
    if (stele__building_is_under_way(&memory->building))
        stele__building_end(&memory->building);
    return true;
}

static stele_status load(void *context, uint64_t *position, stele_error **error)
{
    struct in_memory *memory = of(context);
    uint64_t head = 0;
    stele_status status = stele__target_head(memory->running.projections->store, &head, error);

    if (status != STELE_OK)
        return status;
    if (stele__building_take(&memory->building, head))
        memory->was_reset = false;
    if (!memory->was_reset) {
        status = fold_take(memory, error);
        if (status != STELE_OK)
            return status;
        memory->running.projection->reset(memory->running.model);
        memory->was_reset = true;
        memory->committed = 0;
        memory->applied = 0;
        fold_leave(memory, !is_built(memory, 0));
    }
    *position = memory->committed;
    return STELE_OK;
}

static stele_status begin(void *context, stele_error **error)
{
    return fold_take(of(context), error);
}

static stele_status receive(void *context, const stele_message *event, stele_error **error)
{
    struct in_memory *memory = of(context);
    stele_status status;

    /* What is behind the last commit and was applied has been rolled back in name only. An event from before it was put
     * aside, and comes again by somebody's wish. */
    if (event->position <= memory->applied && event->position > memory->committed &&
        (event->position < memory->applied || event->part <= memory->applied_part))
        return STELE_OK;
    status = stele__project(&memory->running.at, memory->running.model, event, error);
    if (status != STELE_OK)
        return status;
    if (event->position > memory->committed) {
        memory->applied = event->position;
        memory->applied_part = event->part;
    }
    return STELE_OK;
}

static stele_status commit(void *context, uint64_t from, uint64_t to, stele_error **error)
{
    struct in_memory *memory = of(context);

    (void)from;
    (void)error;
    memory->committed = to;
    fold_leave(memory, !is_built(memory, to));
    return STELE_OK;
}

static void rollback(void *context)
{
    fold_leave(of(context), false);
}

/* --- The kind ------------------------------------------------------------------------------- */

static stele_status start(struct stele__running *running, stele_error **error)
{
    struct in_memory *memory = of(running);
    const struct stele_subscriber how = {
        .receive = receive,
        .load = load,
        .begin = begin,
        .commit = commit,
        .rollback = rollback,
        .batch = MEMORY_BATCH,
        .in_place = true,
        .changed = changed,
    };
    stele_status status;

    if (pthread_mutex_init(&memory->mutex, NULL) != 0)
        return stele__fail_memory(error);
    memory->has_mutex = true;
    status = stele__building_init(&memory->building, error);
    return status == STELE_OK ? stele__running_subscribe(running, &how, error) : status;
}

static void stop(struct stele__running *running)
{
    struct in_memory *memory = of(running);

    if (memory->has_mutex)
        pthread_mutex_destroy(&memory->mutex);
    stele__building_fini(&memory->building);
}

static stele_status rebuild(struct stele__running *running, stele_error **error)
{
    if (!stele__building_ask(&of(running)->building))
        return stele__fail(error, STELE_INVALID, "it is being built already");
    stele__subscription_reload(running->subscription);
    return STELE_OK;
}

static struct stele__building *building(struct stele__running *running)
{
    return &of(running)->building;
}

const struct stele__running_kind stele__running_in_memory = {
    .size = sizeof(struct in_memory),
    .start = start,
    .stop = stop,
    .rebuild = rebuild,
    .building = building,
};

/* --- Readers ---------------------------------------------------------------------------------- */

static stele_status find(stele_projections *projections, const char *name, struct in_memory **out, stele_error **error)
{
    struct stele__running *running = NULL;
    const stele_status status = stele__running_find(projections, name, &running, error);

    if (status != STELE_OK)
        return status;
    if (running->kind != &stele__running_in_memory) {
        stele__fail(error, STELE_INVALID, "it is not in memory");
        return stele__running_fault(running, STELE_INVALID, error);
    }
    *out = of(running);
    return STELE_OK;
}

stele_status stele_projections_hold(stele_projections *projections, const char *name, stele_error **error)
{
    struct in_memory *memory = NULL;
    stele_status status = find(projections, name, &memory, error);

    if (status != STELE_OK)
        return status;
    status = take(memory, error);
    return status == STELE_OK ? STELE_OK : stele__running_fault(&memory->running, status, error);
}

void stele_projections_release(stele_projections *projections, const char *name)
{
    struct in_memory *memory = NULL;

    if (find(projections, name, &memory, NULL) == STELE_OK)
        let_go(memory);
}
