/*
 * The inside of a follower, for its two files: follow.c reads the log, and
 * follow_checkpoint.c writes down how far each route has come.
 */
#ifndef STELE_BUS_FOLLOW_H
#define STELE_BUS_FOLLOW_H

#include "bus/core.h"
#include "bus/place.h"
#include "store/store.h"
#include "store/tail.h"

struct stele__follower {
    stele_bus *bus;
    struct stele__tail tail;
    _Atomic uint64_t looked; /* the head at the last look for requeued letters; 0: look again */

    /* The task's own. */
    size_t turn;                  /* whose place is read from next */
    int64_t retry;                /* the last pause before trying again; 0: all went well */
    struct stele__vector readers; /* struct stele__place *, those that take part in the batch */

    pthread_mutex_t mutex;       /* guards what follows */
    struct stele__vector places; /* struct stele__place * */
};

/* Its route is given nothing more. `is_lost`: its checkpoint is not its own any more. */
void stele__place_stall(struct stele__place *place, bool is_lost, stele_status status, const char *text);

/* Write what is due of a place; at the end of it, all there is. False if that is to be tried again; `*pause` is when
 * something will be due, 0 if nothing will. */
bool stele__place_write_due(struct stele__place *place, bool at_the_end, int64_t *pause);
/* The last checkpoint of a place that is given nothing more. */
void stele__place_write_last(struct stele__place *place);

#endif
