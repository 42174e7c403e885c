/*
 * How far the durable routes of a follower have come, written down.
 *
 *     settled, or read past ─► due: by what was handled, by time, at the end ─► checkpoint, compared and set
 *
 * One at a time writes for a place, without the mutex; who comes meanwhile leaves
 * it to that one to see to the end.
 *
 * What can fail: the store (tried again), a checkpoint that somebody else moved
 * or damaged (the route stops).
 */
#include "bus/follow.h"

#include "base/log.h"

#define MILLISECOND INT64_C(1000000)

enum { CHECKPOINT_POSITIONS = 256 /* handled since the last checkpoint: then one is written whatever goes on */ };
static const int64_t checkpoint_pause = 50 * MILLISECOND; /* between two of a route that has little to write */

void stele__place_stall(struct stele__place *place, bool is_lost, stele_status status, const char *text)
{
    struct stele__follower *follower = place->follower;

    pthread_mutex_lock(&follower->mutex);
    place->is_stalled = true;
    place->is_lost = is_lost;
    pthread_mutex_unlock(&follower->mutex);
    STELE__LOG(STELE_LOG_ERROR, "a route after the commit is stopped", {"route", place->table->name}, {"why", text});
    stele__route_note_error(place->route, status, text);
}

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
        stele_checkpoint_write(place->follower->tail.store, place->table->name, place->written, position, &why);

    const bool is_lost = status == STELE_CONFLICT || status == STELE_CORRUPT || status == STELE_INVALID;

    if (status == STELE_OK)
        place->written = position;
    else if (is_lost)
        stele__place_stall(place, true, status, stele_error_message(why));
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

bool stele__place_write_due(struct stele__place *place, bool at_the_end, int64_t *pause)
{
    struct stele__follower *follower = place->follower;
    const int64_t now = stele__runtime_monotonic(follower->tail.runtime);
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

void stele__place_write_last(struct stele__place *place)
{
    int64_t pause;

    stele__place_write_due(place, true, &pause);
}
