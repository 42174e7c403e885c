/* A read model being built anew: how far it has to come, and those who wait for it. */
#ifndef STELE_PROJECTIONS_BUILDING_H
#define STELE_PROJECTIONS_BUILDING_H

#include <stele/error.h>

#include "runtime/runtime.h"

struct stele__building_waiter;

/* Thread-safe, except for init and fini. */
struct stele__building {
    bool is_made;
    pthread_mutex_t mutex; /* guards what follows */
    bool is_under_way;
    bool is_asked_for; /* and not begun yet */
    uint64_t goal;     /* the position that ends it */
    struct stele__building_waiter *waiters;
};

stele_status stele__building_init(struct stele__building *building, stele_error **error);
/* One that was not made is fine. */
void stele__building_fini(struct stele__building *building);

/* It is to be built, from the next load on; false if it is being built already. */
bool stele__building_ask(struct stele__building *building);
/* Was it asked for since? Then it begins, with this goal: what is there now, and is read meanwhile, is not beyond it. */
bool stele__building_take(struct stele__building *building, uint64_t goal);
/* It is being built. */
void stele__building_begin(struct stele__building *building, uint64_t goal);
bool stele__building_is_under_way(struct stele__building *building);
/* Has a position come to the goal, or is nothing built? */
bool stele__building_is_reached(struct stele__building *building, uint64_t position);
void stele__building_end(struct stele__building *building);

/* Wait until nothing is built, or the monotonic time is `deadline`. STELE_LATE; STELE_NO_MEMORY. */
stele_status stele__building_wait(struct stele__building *building, stele_runtime *runtime, int64_t deadline,
                                  stele_error **error);

#endif
