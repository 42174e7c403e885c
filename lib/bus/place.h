/*
 * Where a route after the commit is in the log.
 *
 *     handled          read                head
 *        |  in flight   |   not looked at   |
 *     ───┴──────────────┴───────────────────┴──►
 *
 * A few events at most are in flight: given to the route's mailbox, and not
 * settled. Behind the first of them nothing counts as handled. A durable route
 * writes that place down, as its checkpoint, and begins there the next time.
 *
 * A place is guarded by its follower's mutex, and counted: the list has one
 * reference, the reader while it reads, and each event in flight.
 */
#ifndef STELE_BUS_PLACE_H
#define STELE_BUS_PLACE_H

#include "bus/bus.h"

enum { STELE__PLACE_WINDOW = 128 /* events in flight */ };

struct stele__place;

/* An event in flight. */
struct stele__flight {
    struct stele__place *place;
    uint64_t position;
    bool is_settled;
};

struct stele__place {
    struct stele__follower *follower;
    struct stele__route *route; /* one reference */
    const struct stele_route *table;
    unsigned references;

    uint64_t read;                                    /* all up to here was looked at */
    uint64_t split;                                   /* an event that upcasters split, read in part */
    unsigned parts;                                   /* of it, that were looked at */
    struct stele__flight window[STELE__PLACE_WINDOW]; /* a ring, in order */
    size_t first, count;
    size_t outstanding; /* deliveries that have not come back: those of the window, and of one given up */

    uint64_t written;   /* the checkpoint */
    int64_t write_due;  /* not before, by the monotonic clock, unless there is much to write */
    bool is_writing;    /* somebody moves the checkpoint, without the mutex */
    bool is_last_asked; /* and is to move it once more, up to the end */
    bool is_lost;       /* the checkpoint is somebody else's */
    bool is_removed;    /* by the bus */
    bool is_stalled;    /* an event could not be read, or the checkpoint is lost */
    bool is_reading;    /* takes part in the batch being read */
};

/* Room for one more in flight, and nothing in the way. */
static inline bool stele__place_takes(const struct stele__place *place)
{
    return !place->is_removed && !place->is_stalled && place->count < STELE__PLACE_WINDOW;
}

/* Everything up to here is handled. */
static inline uint64_t stele__place_handled(const struct stele__place *place)
{
    return place->count ? place->window[place->first].position - 1 : place->read;
}

/* An event goes on its way, and all up to `read` was looked at then. There must be room. */
struct stele__flight *stele__place_begin(struct stele__place *place, uint64_t position, uint64_t read);
/* It did not: the last one begun is taken back. */
void stele__place_give_up(struct stele__place *place, uint64_t read);
/* It came back. `is_handled` is false if it was discarded: then the place stays before it for good. */
void stele__place_settle(struct stele__flight *flight, bool is_handled);

/* Does the event interest the route? */
bool stele__place_wants(const struct stele__place *place, const stele_message *event);

/* Find where a route begins: its checkpoint, which is made if there is none; the head, or the beginning. */
stele_status stele__place_find_begin(stele_store *store, const struct stele_route *table, uint64_t head, uint64_t *out,
                                     stele_error **error);

#endif
