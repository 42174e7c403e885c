/*
 * Routes after the commit: a reader of the log for all of them.
 *
 *     tail (store/tail.h), when woken ─► one batch of the log ─► each route that wants an event, its mailbox
 *                                          │                     (place.c: a few in flight, in order)
 *                                          └─► checkpoints that are due
 *
 * The task reads from the place of one route, and all routes that are at or
 * behind the batch's beginning take along what they have not seen: so routes at
 * the head share one read, and one that catches up does not hold up the others.
 * It runs on the runtime, never twice at once; nothing is kept of the log but a
 * position for each route.
 *
 * What can fail: reading (tried again, later each time), a row that is damaged
 * (its routes stop there, unless they ignore failures), a checkpoint that
 * somebody else moved or damaged (that route stops), memory.
 */
#include "bus/follow.h"

#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "message/message.h"

#include <inttypes.h>
#include <stdio.h>

#define MILLISECOND INT64_C(1000000)

enum { BATCH = 256 /* events read in one go */ };
static const int64_t retry_first = 10 * MILLISECOND;
static const int64_t retry_most = 5000 * MILLISECOND;

/* --- Waking --------------------------------------------------------------------------------- */

static bool is_stopping(struct stele__follower *follower)
{
    return stele__tail_is_stopping(&follower->tail);
}

static void wake(struct stele__follower *follower)
{
    stele__tail_wake(&follower->tail);
}

static void retry_later(struct stele__follower *follower)
{
    follower->retry = follower->retry == 0               ? retry_first
                      : follower->retry < retry_most / 2 ? follower->retry * 2
                                                         : retry_most;
    stele__tail_wake_in(&follower->tail, follower->retry);
}

/* --- Places ---------------------------------------------------------------------------------- */

static struct stele__place *place_at(const struct stele__vector *places, size_t index)
{
    return *(struct stele__place **)stele__vector_at(places, index);
}

/* Under the mutex; true if it is to be freed, behind it. */
static bool let_go(struct stele__place *place)
{
    return --place->references == 0;
}

/* Not under the mutex: the route may end by it. */
static void free_place(struct stele__place *place)
{
    stele__route_unref(place->route);
    stele__free(place, sizeof(*place));
}

static void give_place(struct stele__place *place)
{
    struct stele__follower *follower = place->follower;
    bool is_over;

    pthread_mutex_lock(&follower->mutex);
    is_over = let_go(place);
    pthread_mutex_unlock(&follower->mutex);
    if (is_over)
        free_place(place);
}

/* --- Checkpoints ------------------------------------------------------------------------------- */

/* Of the places that take part. */
static void write_checkpoints(struct stele__follower *follower)
{
    for (size_t i = 0; i < follower->readers.count; i++) {
        int64_t pause;

        if (!stele__place_write_due(place_at(&follower->readers, i), false, &pause))
            retry_later(follower);
        else if (pause)
            stele__tail_wake_in(&follower->tail, pause);
    }
}

/* --- Giving an event to a route ------------------------------------------------------------------- */

static void settled(void *context, stele_status status)
{
    struct stele__flight *flight = context;
    struct stele__place *place = flight->place;
    struct stele__follower *follower = place->follower;
    const bool was_cut_off = status == STELE_CANCELLED || status == STELE_SHUTDOWN;
    bool is_removed, is_ending, is_last;

    pthread_mutex_lock(&follower->mutex);
    is_removed = place->is_removed;
    is_ending = is_removed || is_stopping(follower);
    stele__place_settle(flight, !(was_cut_off && is_ending));
    is_last = place->outstanding == 0;
    pthread_mutex_unlock(&follower->mutex);
    if (!is_ending)
        wake(follower);
    /* Of a removed route the checkpoint may be another's by now, who begins behind it. */
    else if (is_last && !is_removed)
        stele__place_write_last(place);
    give_place(place);
}

/* All that was looked at when this event was: not yet its position while more parts of it come. */
static uint64_t read_with(const stele_message *event)
{
    return stele_message_position(event) - event->has_more;
}

/* False if the route can take no more now. `*kept` is the event, kept for all routes that want it. */
static bool give(struct stele__place *place, const stele_message *event, stele_message **kept)
{
    struct stele__follower *follower = place->follower;
    const uint64_t position = stele_message_position(event);
    struct stele__flight *flight = NULL;
    uint64_t before = 0;
    stele_error *why = NULL;

    if (!*kept)
        *kept = stele_message_ref(event);
    pthread_mutex_lock(&follower->mutex);
    before = place->read;
    if (*kept && stele__place_takes(place) && !is_stopping(follower))
        flight = stele__place_begin(place, position, read_with(event));
    pthread_mutex_unlock(&follower->mutex);
    if (!*kept)
        retry_later(follower);
    if (!flight)
        return false;
    if (stele__route_deliver(place->route, *kept, settled, flight, &why) == STELE_OK)
        return true;
    pthread_mutex_lock(&follower->mutex);
    stele__place_give_up(place, before);
    pthread_mutex_unlock(&follower->mutex);
    if (stele_error_status(why) != STELE_SHUTDOWN)
        STELE__LOG(STELE_LOG_WARNING, "an event cannot be given to its route yet", {"route", place->table->name},
                   {"why", stele_error_message(why)});
    stele_error_free(why);
    retry_later(follower);
    return false;
}

/* --- Reading --------------------------------------------------------------------------------------- */

/* All places take part in what the task does now. False when memory is out. */
static bool gather(struct stele__follower *follower)
{
    bool has_room;

    pthread_mutex_lock(&follower->mutex);
    has_room = stele__vector_reserve(&follower->readers, follower->places.count);
    for (size_t i = 0; has_room && i < follower->places.count; i++) {
        struct stele__place *place = place_at(&follower->places, i);

        place->references++;
        *(struct stele__place **)stele__vector_add(&follower->readers) = place;
    }
    pthread_mutex_unlock(&follower->mutex);
    return has_room;
}

static void disperse(struct stele__follower *follower)
{
    for (size_t i = 0; i < follower->readers.count; i++)
        give_place(place_at(&follower->readers, i));
    stele__vector_truncate(&follower->readers, 0);
}

/* Under the mutex: a place with something to read, in turns; NULL: none. */
static struct stele__place *whose_turn(struct stele__follower *follower)
{
    const uint64_t head = stele__tail_head(&follower->tail);
    const size_t count = follower->readers.count;

    for (size_t i = 0; i < count; i++) {
        struct stele__place *place = place_at(&follower->readers, (follower->turn + i) % count);

        if (stele__place_takes(place) && place->read < head && !is_stopping(follower)) {
            follower->turn = (follower->turn + i + 1) % count;
            return place;
        }
    }
    return NULL;
}

/* Who takes part in a batch that begins behind `after`. False if nobody has anything to read. */
static bool begin_batch(struct stele__follower *follower, uint64_t *after)
{
    const struct stele__place *place;

    pthread_mutex_lock(&follower->mutex);
    place = whose_turn(follower);
    if (place)
        *after = place->read;
    for (size_t i = 0; place && i < follower->readers.count; i++) {
        struct stele__place *reader = place_at(&follower->readers, i);

        reader->is_reading = stele__place_takes(reader) && reader->read >= *after;
    }
    pthread_mutex_unlock(&follower->mutex);
    return place != NULL;
}

/* All up to here was looked at by those who still take part. */
static void move_on(struct stele__follower *follower, uint64_t position)
{
    pthread_mutex_lock(&follower->mutex);
    for (size_t i = 0; i < follower->readers.count; i++) {
        struct stele__place *place = place_at(&follower->readers, i);

        if (place->is_reading && place->read < position)
            place->read = position;
    }
    pthread_mutex_unlock(&follower->mutex);
}

/* A part of an event whose other parts had to wait, for room perhaps. */
static bool was_looked_at(const struct stele__place *place, const stele_message *event)
{
    return place->split == stele_message_position(event) && event->part < place->parts;
}

static void note_part(struct stele__place *place, const stele_message *event)
{
    place->split = stele_message_position(event);
    place->parts = event->part + 1;
}

static void hand_out(struct stele__follower *follower, const stele_message *event)
{
    const uint64_t position = stele_message_position(event);
    stele_message *kept = NULL;

    /* The library's own streams are not for routes: a letter that is buried would have the next one buried. */
    for (size_t i = 0; i < follower->readers.count && !stele__stream_is_own(stele_message_stream(event)); i++) {
        struct stele__place *place = place_at(&follower->readers, i);

        /* Nobody else moves `read`. */
        if (!place->is_reading || place->read >= position || was_looked_at(place, event))
            continue;
        if (stele__place_wants(place, event))
            place->is_reading = give(place, event, &kept);
        if (place->is_reading && event->has_more)
            note_part(place, event);
    }
    stele_message_unref(kept);
    move_on(follower, read_with(event));
}

/* A row that is damaged: nobody knows for whom it was. */
static void meet_damage(struct stele__follower *follower, uint64_t position, const char *why)
{
    for (size_t i = 0; i < follower->readers.count; i++) {
        struct stele__place *place = place_at(&follower->readers, i);

        if (!place->is_reading || place->read >= position || place->table->on_failure == STELE_IGNORE)
            continue;
        place->is_reading = false;
        stele__place_stall(place, false, STELE_CORRUPT, why);
    }
    STELE__LOG(STELE_LOG_ERROR, "an event of the log cannot be read", {"why", why});
    move_on(follower, position);
}

/* Step the cursor; `*is_within` says that more parts of the event come. STELE_END behind the last event. */
static stele_status read_next(struct stele__follower *follower, stele_cursor *cursor, bool *is_within,
                              stele_error **error)
{
    const stele_message *event = NULL;
    uint64_t position = 0;
    const char *damaged;
    stele_status status = stele_cursor_next(cursor, &event, error);

    if (status == STELE_OK && !event) {
        const uint64_t head = stele_cursor_head(cursor).position;

        stele__tail_raise_head(&follower->tail, head);
        move_on(follower, head);
        return STELE_END;
    }
    if (status == STELE_OK) {
        *is_within = event->has_more;
        hand_out(follower, event);
        return STELE_OK;
    }
    damaged = stele_error_get(*error, "position");
    if (status != STELE_CORRUPT || !damaged || !stele__parse_u64(stele__slice(damaged), &position))
        return status;
    meet_damage(follower, position, stele_error_message(*error));
    stele_error_free(*error);
    *error = NULL;
    return STELE_OK;
}

static void read_batch(struct stele__follower *follower, uint64_t after)
{
    const struct stele_query query = {.size = sizeof(query), .after = after};
    stele_cursor *cursor = NULL;
    stele_error *why = NULL;
    bool is_within = false; /* an event, which no batch cuts: the next one would begin with its first part again */
    stele_status status = stele_read(follower->tail.store, &query, &cursor, &why);

    for (int i = 0; status == STELE_OK && (i < BATCH || is_within); i++)
        status = read_next(follower, cursor, &is_within, &why);
    stele_cursor_close(cursor);
    if (status == STELE_OK || status == STELE_END) {
        follower->retry = 0;
        return;
    }
    STELE__LOG(STELE_LOG_WARNING, "the log cannot be read now", {"why", stele_error_message(why)});
    stele_error_free(why);
    retry_later(follower);
}

/* --- The task ------------------------------------------------------------------------------------------ */

static void look_for_letters(struct stele__follower *follower)
{
    const uint64_t head = stele__tail_head(&follower->tail);

    if (atomic_exchange(&follower->looked, head) == head || stele__graves_look(stele__bus_graves(follower->bus)))
        return;
    atomic_store(&follower->looked, 0);
    retry_later(follower);
}

/* True if there is more to read. */
static bool step(struct stele__tail *tail)
{
    struct stele__follower *follower =
        (struct stele__follower *)((char *)tail - offsetof(struct stele__follower, tail));
    uint64_t after = 0;
    bool has_more;

    look_for_letters(follower);
    /* A letter's handler may have stopped the bus. */
    if (is_stopping(follower))
        return false;
    if (!gather(follower)) {
        retry_later(follower);
        return false;
    }
    if (begin_batch(follower, &after))
        read_batch(follower, after);
    write_checkpoints(follower);
    pthread_mutex_lock(&follower->mutex);
    /* After a failure the timer asks. */
    has_more = follower->retry == 0 && whose_turn(follower) != NULL;
    pthread_mutex_unlock(&follower->mutex);
    disperse(follower);
    return has_more;
}

/* --- Routes come and go ----------------------------------------------------------------------------------- */

static struct stele__place *new_place(struct stele__follower *follower, struct stele__route *route, uint64_t begin)
{
    struct stele__place *place = stele__alloc(sizeof(*place));

    if (!place)
        return NULL;
    stele__route_ref(route);
    place->follower = follower;
    place->route = route;
    place->table = stele__route_table(route);
    place->references = 1;
    place->read = place->written = begin;
    return place;
}

stele_status stele__follower_add(struct stele__follower *follower, struct stele__route *route, stele_error **error)
{
    struct stele__place *place;
    struct stele__place **slot = NULL;
    uint64_t begin = 0;
    stele_status status = stele__tail_find_head(&follower->tail, error);

    if (status == STELE_OK)
        status = stele__place_find_begin(follower->tail.store, stele__route_table(route),
                                         stele__tail_head(&follower->tail), &begin, error);
    if (status != STELE_OK)
        return status;
    place = new_place(follower, route, begin);
    if (!place)
        return stele__fail_memory(error);
    pthread_mutex_lock(&follower->mutex);
    slot = stele__vector_add(&follower->places);
    if (slot)
        *slot = place;
    pthread_mutex_unlock(&follower->mutex);
    if (!slot) {
        free_place(place);
        return stele__fail_memory(error);
    }
    wake(follower);
    return STELE_OK;
}

/* Under the mutex; NULL if it is not there. */
static struct stele__place *find_place(const struct stele__follower *follower, const struct stele__route *route,
                                       size_t *index)
{
    for (*index = 0; *index < follower->places.count; (*index)++)
        if (place_at(&follower->places, *index)->table == stele__route_table(route))
            return place_at(&follower->places, *index);
    return NULL;
}

void stele__follower_remove(struct stele__follower *follower, struct stele__route *route)
{
    struct stele__place *place;
    size_t index;

    pthread_mutex_lock(&follower->mutex);
    place = find_place(follower, route, &index);
    if (place) {
        for (size_t i = index; i + 1 < follower->places.count; i++)
            *(struct stele__place **)stele__vector_at(&follower->places, i) = place_at(&follower->places, i + 1);
        stele__vector_truncate(&follower->places, follower->places.count - 1);
        place->is_removed = true;
    }
    pthread_mutex_unlock(&follower->mutex);
    if (!place)
        return;
    stele__place_write_last(place);
    give_place(place);
}

void stele__follower_look(struct stele__follower *follower)
{
    atomic_store(&follower->looked, 0);
    wake(follower);
}

void stele__follower_place(struct stele__follower *follower, const struct stele__route *route, uint64_t *position,
                           uint64_t *head)
{
    const struct stele__place *place;
    size_t index;

    *position = 0;
    pthread_mutex_lock(&follower->mutex);
    place = find_place(follower, route, &index);
    if (place)
        *position = stele__place_handled(place);
    pthread_mutex_unlock(&follower->mutex);
    *head = stele__tail_head(&follower->tail);
    if (*head < *position)
        *head = *position;
}

/* --- The follower ------------------------------------------------------------------------------------------- */

static void free_follower(struct stele__follower *follower)
{
    stele__vector_fini(&follower->places);
    stele__vector_fini(&follower->readers);
    stele__tail_fini(&follower->tail);
    pthread_mutex_destroy(&follower->mutex);
    stele__free(follower, sizeof(*follower));
}

stele_status stele__follower_new(stele_bus *bus, stele_store *store, struct stele__follower **out, stele_error **error)
{
    struct stele__follower *follower = stele__alloc(sizeof(*follower));
    stele_status status;

    if (!follower || pthread_mutex_init(&follower->mutex, NULL) != 0) {
        stele__free(follower, sizeof(*follower));
        return stele__fail_memory(error);
    }
    status = stele__tail_init(&follower->tail, store, stele_bus_runtime(bus), "follow", step, error);
    if (status != STELE_OK) {
        pthread_mutex_destroy(&follower->mutex);
        stele__free(follower, sizeof(*follower));
        return status;
    }
    follower->bus = bus;
    stele__vector_init(&follower->places, sizeof(struct stele__place *));
    stele__vector_init(&follower->readers, sizeof(struct stele__place *));
    status = stele__tail_start(&follower->tail, error);
    if (status != STELE_OK) {
        free_follower(follower);
        return status;
    }
    *out = follower;
    stele__tail_go(&follower->tail);
    return STELE_OK;
}

/* A place with one more reference; NULL behind the last. */
static struct stele__place *take_place(struct stele__follower *follower, size_t index)
{
    struct stele__place *place = NULL;

    pthread_mutex_lock(&follower->mutex);
    if (index < follower->places.count) {
        place = place_at(&follower->places, index);
        place->references++;
    }
    pthread_mutex_unlock(&follower->mutex);
    return place;
}

/* Waits for nobody: the task may be behind a handler that never returns. It sees that it is to end when it comes to it. */
void stele__follower_stop(struct stele__follower *follower)
{
    struct stele__place *place;

    if (is_stopping(follower))
        return;
    stele__tail_stop(&follower->tail);
    for (size_t i = 0; (place = take_place(follower, i)) != NULL; i++) {
        stele__place_write_last(place);
        give_place(place);
    }
}

void stele__follower_free(struct stele__follower *follower)
{
    if (!follower)
        return;
    stele__follower_stop(follower);
    stele__tail_end(&follower->tail);
    for (size_t i = 0; i < follower->places.count; i++)
        free_place(place_at(&follower->places, i));
    free_follower(follower);
}
