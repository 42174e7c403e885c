/*
 * Projections in the store: part of the transaction of each append.
 *
 *     add ─► tables made, or made anew ─► joined: caught up, and in every append from then on
 *     append ─► BEGIN ─ events ─ apply ─ COMMIT
 *
 * Building anew is one transaction: tables removed, made, filled up to the head, with the gate held, so that
 * nothing is appended meanwhile. The mark then has that position: what is at or
 * below it is in the tables, whatever the checkpoint of the part says.
 *
 * What can fail: the functions (and the append with them); tables of another, or changed by hand.
 */
#include "projections/projections.h"

#include "base/arena.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "message/message.h"
#include "projections/instore.h"
#include "projections/tables.h"
#include "projections/target.h"
#include "projections/views.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct in_store {
    struct stele__running running;
    struct stele__target target; /* never opened: what is to be made, and compared */
    char *tables;
    stele_views *views;
    struct stele__part part;
    uint64_t folded; /* all up to here is in the tables; guarded by the gate */

    bool has_mutexes;
    pthread_mutex_t joining; /* of who leaves and joins again; taken before the gate */
    pthread_mutex_t mutex;   /* guards what follows */
    struct stele_subscription_stats stats;
};

static struct in_store *of(void *context)
{
    return context;
}

/* --- Events ----------------------------------------------------------------------------- */

static bool is_wanted(const struct in_store *inlined, const stele_message *event)
{
    const char *category = inlined->running.projection->category;

    return event->position > inlined->folded && !stele__stream_is_own(event->stream) &&
           (!category || stele__slice_begins_with(event->stream, stele__slice(category)));
}

static void note(struct in_store *inlined, stele_status status, const stele_message *event, const stele_error *why)
{
    struct stele_subscription_stats *stats = &inlined->stats;

    pthread_mutex_lock(&inlined->mutex);
    stats->is_healthy = status == STELE_OK;
    if (status == STELE_OK) {
        stats->handled++;
        stats->failures = 0;
    } else {
        stats->errors++;
        stats->failures++;
        stats->last_error = status;
        stats->last_error_position = event->position;
        stats->last_error_time = stele__runtime_now(inlined->running.projections->runtime);
        snprintf(stats->last_error_text, sizeof(stats->last_error_text), "%s", stele_error_message(why));
    }
    pthread_mutex_unlock(&inlined->mutex);
}

static stele_status project(struct in_store *inlined, const stele_message *event, stele_error **error)
{
    stele_error *why = NULL;
    const stele_status status = stele__project(&inlined->running.at, inlined->views, event, &why);

    note(inlined, status, event, why);
    if (error)
        *error = why;
    else
        stele_error_free(why);
    return status;
}

static stele_status apply(struct stele__part *part, const stele_message *event, stele_error **error)
{
    struct in_store *inlined = (struct in_store *)((char *)part - offsetof(struct in_store, part));

    return is_wanted(inlined, event) ? project(inlined, event, error) : STELE_OK;
}

/* --- Building ------------------------------------------------------------------------------ */

static stele_status fold(struct in_store *inlined, uint64_t until, stele_error **error)
{
    struct stele_query query = STELE_OPTIONS_INIT(struct stele_query);
    stele_cursor *cursor = NULL;
    const stele_message *event = NULL;
    stele_status status;

    query.until = until;
    query.category = inlined->running.projection->category;
    inlined->folded = 0;
    status = until ? stele_read(inlined->running.projections->store, &query, &cursor, error) : STELE_OK;
    while (status == STELE_OK && cursor) {
        status = stele_cursor_next(cursor, &event, error);
        if (status != STELE_OK || !event)
            break;
        if (is_wanted(inlined, event))
            status = project(inlined, event, error);
    }
    stele_cursor_close(cursor);
    return status;
}

/* In a transaction, and so in the gate: the log does not grow. */
static stele_status build(struct in_store *inlined, const struct stele__mark *there, stele_error **error)
{
    uint64_t head = 0;
    stele_status status = stele__target_head(inlined->running.projections->store, &head, error);

    if (status == STELE_OK)
        status = stele__tables_remove(inlined->views, there, error);
    stele__views_forget(inlined->views);
    if (status == STELE_OK)
        status = stele__target_make(&inlined->target, inlined->views, head, error);
    if (status == STELE_OK)
        status = fold(inlined, head, error);
    if (status == STELE_OK)
        inlined->folded = head;
    return status;
}

/* Make the tables if they are not there, and anew if they are of another version or `anew`. */
static stele_status prepare(struct in_store *inlined, bool anew, stele_arena *arena, stele_error **error)
{
    struct stele__mark mark = {0};
    stele_status status = stele__target_look(&inlined->target, inlined->views, arena, &mark, error);

    if (status != STELE_OK)
        return status;
    if (!mark.name)
        return stele__target_make(&inlined->target, inlined->views, 0, error);
    if (anew || mark.version != inlined->target.version)
        return build(inlined, &mark, error);
    inlined->folded = mark.position;
    return STELE_OK;
}

static stele_status prepare_all(struct in_store *inlined, bool anew, stele_error **error)
{
    struct stele_arena arena;
    stele_status status = stele_views_begin(inlined->views, error);
    uint64_t folded;

    if (status != STELE_OK)
        return status;
    folded = inlined->folded;
    stele__arena_init(&arena);
    status = stele__target_head(inlined->running.projections->store, &inlined->target.head, error);
    if (status == STELE_OK)
        status = prepare(inlined, anew, &arena, error);
    if (status != STELE_OK) {
        inlined->folded = folded;
        stele_views_rollback(inlined->views, NULL);
    } else {
        status = stele_views_commit(inlined->views, error);
    }
    stele__arena_fini(&arena);
    return status;
}

/* --- The kind ------------------------------------------------------------------------------------ */

static stele_status make(void *context, stele_views *views, stele_error **error)
{
    return stele__projection_make(of(context)->running.projection, views, error);
}

static stele_status compare(void *context, stele_views *views, stele_error **error)
{
    return stele__projection_compare(of(context)->running.projection, views, error);
}

static stele_status set_up(struct in_store *inlined, stele_error **error)
{
    const struct stele__running *running = &inlined->running;
    stele_status status;

    if (pthread_mutex_init(&inlined->mutex, NULL) != 0)
        return stele__fail_memory(error);
    if (pthread_mutex_init(&inlined->joining, NULL) != 0) {
        pthread_mutex_destroy(&inlined->mutex);
        return stele__fail_memory(error);
    }
    inlined->has_mutexes = true;
    status = stele__projection_digest(running->projection, inlined->target.digest, error);
    if (status == STELE_OK)
        status = stele__projection_tables(running->projection, &inlined->tables, error);
    inlined->target.store = running->projections->store;
    inlined->target.name = running->name;
    inlined->target.version = running->version;
    inlined->target.tables = inlined->tables;
    inlined->target.make = make;
    inlined->target.check = compare;
    inlined->target.context = inlined;
    inlined->part.name = running->subscription_name;
    inlined->part.apply = apply;
    inlined->stats.is_healthy = true;
    inlined->stats.state = STELE_SUBSCRIPTION_LIVE;
    return status;
}

static stele_status join(struct in_store *inlined, stele_error **error)
{
    const size_t batch = inlined->running.projection->batch;

    return stele__part_join(inlined->running.projections->store, &inlined->part,
                            batch ? batch : STELE_SUBSCRIPTION_BATCH, error);
}

static stele_status start(struct stele__running *running, stele_error **error)
{
    struct in_store *inlined = of(running);
    stele_status status = set_up(inlined, error);

    if (status == STELE_OK)
        status = stele__views_in_store(running->projections->store, &inlined->views, error);
    inlined->part.views = inlined->views;
    if (status == STELE_OK)
        status = prepare_all(inlined, false, error);
    return status == STELE_OK ? join(inlined, error) : status;
}

static void stop(struct stele__running *running)
{
    struct in_store *inlined = of(running);

    stele__part_leave(running->projections->store, &inlined->part);
    stele_views_close(inlined->views);
    stele__text_free(inlined->tables);
    if (!inlined->has_mutexes)
        return;
    pthread_mutex_destroy(&inlined->joining);
    pthread_mutex_destroy(&inlined->mutex);
}

static stele_status rebuild(struct stele__running *running, stele_error **error)
{
    return prepare_all(of(running), true, error);
}

static stele_status open_views(struct stele__running *running, stele_views **out, stele_error **error)
{
    return stele_views_of_store(running->projections->store, out, error);
}

/* What another process has appended without it is applied with the next append of this one, or now. */
static stele_status catch_up(struct in_store *inlined, uint64_t position, stele_error **error)
{
    stele_store *store = inlined->running.projections->store;
    uint64_t reached = 0;
    stele_status status = stele_checkpoint_read(store, inlined->part.name, &reached, NULL);

    if (status == STELE_OK && reached >= position)
        return STELE_OK;
    pthread_mutex_lock(&inlined->joining);
    stele__part_leave(store, &inlined->part);
    status = join(inlined, error);
    pthread_mutex_unlock(&inlined->joining);
    return status;
}

/* Somebody who waits for the log to grow; on its stack. */
struct awaiting {
    struct stele__listener listener;
    uint64_t position;
    struct stele__signal signal;
};

static void committed(struct stele__listener *listener, uint64_t head)
{
    struct awaiting *awaiting = (struct awaiting *)((char *)listener - offsetof(struct awaiting, listener));

    if (head >= awaiting->position)
        stele__signal_set(&awaiting->signal);
}

/* Sleep until the log has come to a position, as far as is told, or the time is up. */
static stele_status await(stele_store *store, stele_runtime *runtime, uint64_t position, int64_t deadline,
                          stele_error **error)
{
    struct awaiting awaiting = {.listener = {.committed = committed}, .position = position};
    const bool is_real = !stele_runtime_is_simulated(runtime);
    uint64_t head = 0;
    stele_status status = STELE_OK;

    if (!stele__signal_init(&awaiting.signal))
        return stele__fail_memory(error);
    if (is_real)
        status = stele__watch_begin(&store->watch, error);
    if (status == STELE_OK) {
        stele__listeners_add(&store->listeners, &awaiting.listener);
        /* Behind the listener: nothing is missed in between. */
        status = stele__target_head(store, &head, error);
        if (status == STELE_OK && head < position)
            stele__runtime_wait(runtime, &awaiting.signal, deadline);
        stele__listeners_remove(&store->listeners, &awaiting.listener);
        if (is_real)
            stele__watch_end(&store->watch);
    }
    stele__signal_fini(&awaiting.signal);
    return status;
}

static stele_status wait(struct stele__running *running, uint64_t position, int64_t deadline, stele_error **error)
{
    stele_store *store = running->projections->store;
    uint64_t head = 0;
    stele_status status = stele__target_head(store, &head, error);

    if (status == STELE_OK && head < position) {
        status = await(store, running->projections->runtime, position, deadline, error);
        if (status == STELE_OK)
            status = stele__target_head(store, &head, error);
    }
    if (status != STELE_OK)
        return status;
    if (head < position)
        return stele__fail(error, STELE_LATE, "the log has not come to position %" PRIu64, position);
    return catch_up(of(running), position, error);
}

static void tell(struct stele__running *running, struct stele_projection_stats *stats)
{
    struct in_store *inlined = of(running);
    uint64_t head = 0;

    pthread_mutex_lock(&inlined->mutex);
    stats->running = inlined->stats;
    pthread_mutex_unlock(&inlined->mutex);
    if (stele__target_head(running->projections->store, &head, NULL) == STELE_OK) {
        stats->running.head = head;
        stats->running.position = head;
    }
}

const struct stele__running_kind stele__running_in_store = {
    .size = sizeof(struct in_store),
    .start = start,
    .stop = stop,
    .rebuild = rebuild,
    .open = open_views,
    .wait = wait,
    .tell = tell,
};
