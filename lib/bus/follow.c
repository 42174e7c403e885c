/*
 * Routes after the commit: a reader of the log for all of them.
 *
 *     commit of this handle ─► listener ─┐
 *     commit of another ─► watcher ──────┼─► task: one batch of the log ─► each route that wants an event, its mailbox
 *     settled ───────────────────────────┤                                   (place.c: a few in flight, in order)
 *     timer: a checkpoint, or once more ─┘      └─► checkpoints that are due
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
#include "bus/core.h"

#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "bus/place.h"
#include "message/message.h"
#include "store/store.h"

#include <inttypes.h>
#include <stdio.h>

#define MILLISECOND INT64_C(1000000)

enum {
    BATCH = 256,                /* events read in one go */
    CHECKPOINT_POSITIONS = 256, /* handled since the last checkpoint: then one is written whatever goes on */
    WATCH_MS = 100              /* how long the watcher waits at most, and freeing for it */
};
static const int64_t checkpoint_pause = 50 * MILLISECOND; /* between two of a route that has little to write */
static const int64_t watch_pause = 2 * MILLISECOND;
static const int64_t retry_first = 10 * MILLISECOND;
static const int64_t retry_most = 5000 * MILLISECOND;

/*
 * Of the task:
 *
 *   idle ── wake ──► posted ──► running ──► idle
 *                      ▲           │ wake
 *                      └─ again ◄──┘
 */
enum task_state { TASK_IDLE, TASK_POSTED, TASK_RUNNING, TASK_AGAIN, TASK_ENDED };

struct stele__follower {
    stele_bus *bus;
    stele_store *store;
    stele_runtime *runtime;
    struct stele__listener listener;
    struct stele__task task;
    atomic_int task_state;      /* enum task_state */
    struct stele__signal ended; /* of the task, and of the timer; set when it stops */
    struct stele__signal fired;
    struct stele__blocking watcher;
    struct stele__futex breath; /* of the watcher, changed to end it */
    atomic_bool is_stopping;
    _Atomic uint64_t head;   /* of the log, as far as is known */
    _Atomic uint64_t looked; /* the head at the last look for requeued letters; 0: look again */

    /* The task's own. */
    size_t turn;                  /* whose place is read from next */
    int64_t retry;                /* the last pause before trying again; 0: all went well */
    struct stele__vector readers; /* struct stele__place *, those that take part in the batch */

    pthread_mutex_t mutex;       /* guards what follows */
    struct stele__vector places; /* struct stele__place * */
    struct stele__timer timer;
    bool timer_waits;
};

/* --- Waking --------------------------------------------------------------------------------- */

static void wake(struct stele__follower *follower)
{
    int state = atomic_load(&follower->task_state);

    for (;;) {
        if (state == TASK_IDLE) {
            if (atomic_compare_exchange_weak(&follower->task_state, &state, TASK_POSTED)) {
                stele__runtime_post(follower->runtime, &follower->task);
                return;
            }
        } else if (state != TASK_RUNNING || atomic_compare_exchange_weak(&follower->task_state, &state, TASK_AGAIN)) {
            return;
        }
    }
}

/* False if that was known. */
static bool raise_head(struct stele__follower *follower, uint64_t head)
{
    uint64_t known = atomic_load(&follower->head);

    while (known < head) {
        if (atomic_compare_exchange_weak(&follower->head, &known, head))
            return true;
    }
    return false;
}

static struct stele__follower *of_listener(struct stele__listener *listener)
{
    return (struct stele__follower *)((char *)listener - offsetof(struct stele__follower, listener));
}

static void committed(struct stele__listener *listener, uint64_t head)
{
    struct stele__follower *follower = of_listener(listener);

    raise_head(follower, head);
    wake(follower);
}

/* What this handle commits is told by the listener, but wakes the watcher as well: not at each commit of a burst. */
static void breathe(struct stele__follower *follower, int64_t pause)
{
    const uint32_t seen = stele__futex_read(&follower->breath);

    if (!atomic_load(&follower->is_stopping))
        stele__futex_wait_for(&follower->breath, seen, pause);
}

/* What other handles and processes commit. */
static void watch(void *context)
{
    struct stele__follower *follower = context;

    while (!atomic_load(&follower->is_stopping)) {
        uint64_t head = atomic_load(&follower->head);
        const stele_status status = stele_wait(follower->store, head, WATCH_MS, &head, NULL);

        if (status == STELE_OK && raise_head(follower, head))
            wake(follower);
        else if (status == STELE_OK)
            breathe(follower, watch_pause);
        else if (status != STELE_TIMEOUT) /* which took its time; others come at once */
            breathe(follower, WATCH_MS * MILLISECOND);
    }
}

static void fire(struct stele__timer *timer)
{
    struct stele__follower *follower =
        (struct stele__follower *)((char *)timer - offsetof(struct stele__follower, timer));

    bool is_stopping;

    pthread_mutex_lock(&follower->mutex);
    follower->timer_waits = false;
    is_stopping = atomic_load(&follower->is_stopping);
    /* Under the mutex, which who waits takes before it frees. */
    if (is_stopping)
        stele__signal_set(&follower->fired);
    pthread_mutex_unlock(&follower->mutex);
    if (!is_stopping)
        wake(follower);
}

/* Have the task run then, unless it is to run before anyway. */
static void wake_in(struct stele__follower *follower, int64_t pause)
{
    pthread_mutex_lock(&follower->mutex);
    if (!follower->timer_waits && !atomic_load(&follower->is_stopping))
        follower->timer_waits = stele__timer_start(follower->runtime, &follower->timer, pause);
    pthread_mutex_unlock(&follower->mutex);
}

static void retry_later(struct stele__follower *follower)
{
    follower->retry = follower->retry == 0               ? retry_first
                      : follower->retry < retry_most / 2 ? follower->retry * 2
                                                         : retry_most;
    wake_in(follower, follower->retry);
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

/* `is_lost`: its checkpoint is not its own any more. */
static void stall(struct stele__place *place, bool is_lost, stele_status status, const char *text)
{
    struct stele__follower *follower = place->follower;

    pthread_mutex_lock(&follower->mutex);
    place->is_stalled = true;
    place->is_lost = is_lost;
    pthread_mutex_unlock(&follower->mutex);
    STELE__LOG(STELE_LOG_ERROR, "a route after the commit is stopped", {"route", place->table->name}, {"why", text});
    stele__route_note_error(place->route, status, text);
}

/* --- Checkpoints ------------------------------------------------------------------------------- */

enum due { DUE_NOT, DUE_LATER, DUE_NOW };

/* Under the mutex. `*position` is what is to be written. */
static enum due what_is_due(const struct stele__place *place, bool at_the_end, int64_t now, uint64_t *position)
{
    *position = stele__place_handled(place);
    if (place->table->delivery != STELE_DURABLE || place->is_lost || *position == place->written ||
        (place->is_removed && !at_the_end))
        return DUE_NOT;
    if (at_the_end || *position - place->written >= CHECKPOINT_POSITIONS)
        return DUE_NOW;
    return now >= place->write_due ? DUE_NOW : DUE_LATER;
}

/* False if it is to be tried again: what somebody else moved, damaged, or left behind the end of the log, will not be. */
static bool write_checkpoint(struct stele__place *place, uint64_t position)
{
    stele_error *why = NULL;
    const stele_status status =
        stele_checkpoint_write(place->follower->store, place->table->name, place->written, position, &why);

    const bool is_lost = status == STELE_CONFLICT || status == STELE_CORRUPT || status == STELE_INVALID;

    if (status == STELE_OK)
        place->written = position;
    else if (is_lost)
        stall(place, true, status, stele_error_message(why));
    else
        STELE__LOG(STELE_LOG_WARNING, "a checkpoint cannot be written", {"route", place->table->name},
                   {"why", stele_error_message(why)});
    stele_error_free(why);
    return status == STELE_OK || is_lost;
}

/* Under the mutex: what is due for one who may write it. While somebody writes, that one is left to see to the end. */
static enum due begin_write(struct stele__place *place, bool at_the_end, int64_t now, uint64_t *position)
{
    enum due due;

    if (place->is_writing) {
        place->is_last_asked = place->is_last_asked || at_the_end;
        return DUE_NOT;
    }
    due = what_is_due(place, at_the_end, now, position);
    place->is_writing = due == DUE_NOW;
    return due;
}

/* Write what is due of a place; at the end of it, all there is. False if that is to be tried again. */
static bool write_due(struct stele__place *place, bool at_the_end, int64_t *pause)
{
    struct stele__follower *follower = place->follower;
    const int64_t now = stele__runtime_monotonic(follower->runtime);
    bool written = true;

    *pause = 0;
    do {
        uint64_t position = 0;
        enum due due;

        pthread_mutex_lock(&follower->mutex);
        due = begin_write(place, at_the_end, now, &position);
        if (due == DUE_LATER)
            *pause = place->write_due - now;
        pthread_mutex_unlock(&follower->mutex);
        if (due != DUE_NOW)
            return true;
        written = write_checkpoint(place, position);
        pthread_mutex_lock(&follower->mutex);
        place->is_writing = false;
        place->write_due = now + checkpoint_pause;
        at_the_end = place->is_last_asked;
        place->is_last_asked = false;
        pthread_mutex_unlock(&follower->mutex);
    } while (at_the_end);
    return written;
}

/* Of the places that take part. */
static void write_checkpoints(struct stele__follower *follower)
{
    for (size_t i = 0; i < follower->readers.count; i++) {
        int64_t pause;

        if (!write_due(place_at(&follower->readers, i), false, &pause))
            retry_later(follower);
        else if (pause)
            wake_in(follower, pause);
    }
}

/* The last one of a place that is given nothing more. */
static void write_last(struct stele__place *place)
{
    int64_t pause;

    write_due(place, true, &pause);
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
    is_ending = is_removed || atomic_load(&follower->is_stopping);
    stele__place_settle(flight, !(was_cut_off && is_ending));
    is_last = place->outstanding == 0;
    pthread_mutex_unlock(&follower->mutex);
    if (!is_ending)
        wake(follower);
    /* Of a removed route the checkpoint may be another's by now, who begins behind it. */
    else if (is_last && !is_removed)
        write_last(place);
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
    if (*kept && stele__place_takes(place) && !atomic_load(&follower->is_stopping))
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
    const uint64_t head = atomic_load(&follower->head);
    const size_t count = follower->readers.count;

    for (size_t i = 0; i < count; i++) {
        struct stele__place *place = place_at(&follower->readers, (follower->turn + i) % count);

        if (stele__place_takes(place) && place->read < head && !atomic_load(&follower->is_stopping)) {
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

/* The library's own streams are not for routes: a letter that is buried would have the next one buried. */
static bool is_own(const stele_message *event)
{
    return stele__slice_begins_with(stele_message_stream(event), stele__slice("$"));
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

    for (size_t i = 0; i < follower->readers.count && !is_own(event); i++) {
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
        stall(place, false, STELE_CORRUPT, why);
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

        raise_head(follower, head);
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
    stele_status status = stele_read(follower->store, &query, &cursor, &why);

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
    const uint64_t head = atomic_load(&follower->head);

    if (atomic_exchange(&follower->looked, head) == head || stele__graves_look(stele__bus_graves(follower->bus)))
        return;
    atomic_store(&follower->looked, 0);
    retry_later(follower);
}

/* True if there is more to read. */
static bool step(struct stele__follower *follower)
{
    uint64_t after = 0;
    bool has_more;

    look_for_letters(follower);
    /* A letter's handler may have stopped the bus. */
    if (atomic_load(&follower->is_stopping))
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

/* Under the mutex, which who waits takes before it frees. */
static void end_task(struct stele__follower *follower)
{
    pthread_mutex_lock(&follower->mutex);
    atomic_store(&follower->task_state, TASK_ENDED);
    stele__signal_set(&follower->ended);
    pthread_mutex_unlock(&follower->mutex);
}

/* As soon as the state is idle or ended the follower may be gone. */
static void run(struct stele__task *task)
{
    struct stele__follower *follower =
        (struct stele__follower *)((char *)task - offsetof(struct stele__follower, task));
    int state = TASK_RUNNING;

    atomic_store(&follower->task_state, TASK_RUNNING);
    if (!atomic_load(&follower->is_stopping) && step(follower))
        wake(follower);
    if (atomic_load(&follower->is_stopping)) {
        end_task(follower);
    } else if (!atomic_compare_exchange_strong(&follower->task_state, &state, TASK_IDLE)) {
        atomic_store(&follower->task_state, TASK_POSTED);
        stele__runtime_post(follower->runtime, &follower->task);
    }
}

/* --- Routes come and go ----------------------------------------------------------------------------------- */

/* The head of the log as it is now. */
static stele_status find_head(struct stele__follower *follower, stele_error **error)
{
    stele_error *why = NULL;
    uint64_t head = 0;
    const stele_status status = stele_wait(follower->store, 0, 0, &head, &why);

    if (status == STELE_OK || status == STELE_TIMEOUT) {
        stele_error_free(why);
        raise_head(follower, head);
        return STELE_OK;
    }
    if (error)
        *error = why;
    else
        stele_error_free(why);
    return status;
}

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
    stele_status status = find_head(follower, error);

    if (status == STELE_OK)
        status = stele__place_find_begin(follower->store, stele__route_table(route), atomic_load(&follower->head),
                                         &begin, error);
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
    write_last(place);
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
    *head = atomic_load(&follower->head);
    if (*head < *position)
        *head = *position;
}

/* --- The follower ------------------------------------------------------------------------------------------- */

static stele_status start(struct stele__follower *follower, stele_error **error)
{
    stele_status status = find_head(follower, error);

    if (status != STELE_OK)
        return status;
    stele__listeners_add(&follower->store->listeners, &follower->listener);
    if (!stele_runtime_is_simulated(follower->runtime))
        status = stele__blocking_start(follower->runtime, &follower->watcher, watch, follower, error);
    if (status != STELE_OK)
        stele__listeners_remove(&follower->store->listeners, &follower->listener);
    return status;
}

static void free_follower(struct stele__follower *follower)
{
    stele__vector_fini(&follower->places);
    stele__vector_fini(&follower->readers);
    stele__signal_fini(&follower->ended);
    stele__signal_fini(&follower->fired);
    stele__futex_fini(&follower->breath);
    pthread_mutex_destroy(&follower->mutex);
    stele__free(follower, sizeof(*follower));
}

static bool init_signals(struct stele__follower *follower)
{
    if (!stele__futex_init(&follower->breath))
        return false;
    if (stele__signal_init(&follower->ended)) {
        if (stele__signal_init(&follower->fired))
            return true;
        stele__signal_fini(&follower->ended);
    }
    stele__futex_fini(&follower->breath);
    return false;
}

stele_status stele__follower_new(stele_bus *bus, stele_store *store, struct stele__follower **out, stele_error **error)
{
    struct stele__follower *follower = stele__alloc(sizeof(*follower));
    stele_status status;

    if (!follower || pthread_mutex_init(&follower->mutex, NULL) != 0) {
        stele__free(follower, sizeof(*follower));
        return stele__fail_memory(error);
    }
    if (!init_signals(follower)) {
        pthread_mutex_destroy(&follower->mutex);
        stele__free(follower, sizeof(*follower));
        return stele__fail_memory(error);
    }
    follower->bus = bus;
    follower->store = store;
    follower->runtime = stele_bus_runtime(bus);
    follower->listener.committed = committed;
    follower->task = (struct stele__task){.name = "follow", .priority = STELE__PRIORITY_DEFAULT, .run = run};
    follower->timer.name = "follow";
    follower->timer.fire = fire;
    stele__vector_init(&follower->places, sizeof(struct stele__place *));
    stele__vector_init(&follower->readers, sizeof(struct stele__place *));
    status = start(follower, error);
    if (status != STELE_OK)
        free_follower(follower);
    else
        *out = follower;
    return status;
}

static void wait_for(struct stele__follower *follower, struct stele__signal *signal)
{
    stele__runtime_wait(follower->runtime, signal, INT64_MAX);
    pthread_mutex_lock(&follower->mutex);
    pthread_mutex_unlock(&follower->mutex);
}

/* Wait until neither the task nor the timer will run any more. */
static void end(struct stele__follower *follower)
{
    int state = TASK_IDLE;
    bool is_firing;

    pthread_mutex_lock(&follower->mutex);
    is_firing = follower->timer_waits;
    pthread_mutex_unlock(&follower->mutex);
    if (is_firing)
        wait_for(follower, &follower->fired);
    if (atomic_compare_exchange_strong(&follower->task_state, &state, TASK_ENDED))
        return;
    /* One more run, if it is about to be idle: it sees that it is the last. */
    wake(follower);
    wait_for(follower, &follower->ended);
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
    bool was_stopping;

    pthread_mutex_lock(&follower->mutex);
    was_stopping = atomic_exchange(&follower->is_stopping, true);
    if (!was_stopping && follower->timer_waits && stele__timer_cancel(&follower->timer))
        follower->timer_waits = false;
    pthread_mutex_unlock(&follower->mutex);
    if (was_stopping)
        return;
    stele__listeners_remove(&follower->store->listeners, &follower->listener);
    for (size_t i = 0; (place = take_place(follower, i)) != NULL; i++) {
        write_last(place);
        give_place(place);
    }
}

void stele__follower_free(struct stele__follower *follower)
{
    if (!follower)
        return;
    stele__follower_stop(follower);
    stele__futex_wake(&follower->breath);
    stele__blocking_join(&follower->watcher);
    end(follower);
    for (size_t i = 0; i < follower->places.count; i++)
        free_place(place_at(&follower->places, i));
    free_follower(follower);
}
