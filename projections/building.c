/*
 * Building anew, as others see it.
 *
 *     asked for ─► taken by the next load, begun ─► position >= goal ─► ended: those who wait are woken
 *
 * What can fail: a wait whose time is up; what a wait needs of the system.
 */
#include "projections/building.h"

#include "base/error.h"

struct stele__building_waiter {
    struct stele__signal signal;
    struct stele__building_waiter *next;
};

stele_status stele__building_init(struct stele__building *building, stele_error **error)
{
    if (pthread_mutex_init(&building->mutex, NULL) != 0)
        return stele__fail_memory(error);
    building->is_made = true;
    return STELE_OK;
}

void stele__building_fini(struct stele__building *building)
{
    if (building->is_made)
        pthread_mutex_destroy(&building->mutex);
    building->is_made = false;
}

static bool begin(struct stele__building *building, uint64_t goal, bool asked)
{
    bool is_new;

    pthread_mutex_lock(&building->mutex);
    is_new = !building->is_under_way;
    if (is_new) {
        building->is_under_way = true;
        building->is_asked_for = asked;
        building->goal = goal;
    }
    pthread_mutex_unlock(&building->mutex);
    return is_new;
}

bool stele__building_ask(struct stele__building *building)
{
    return begin(building, 0, true);
}

void stele__building_begin(struct stele__building *building, uint64_t goal)
{
    begin(building, goal, false);
}

bool stele__building_take(struct stele__building *building, uint64_t goal)
{
    bool was_asked_for;

    pthread_mutex_lock(&building->mutex);
    was_asked_for = building->is_asked_for;
    building->is_asked_for = false;
    if (was_asked_for)
        building->goal = goal;
    pthread_mutex_unlock(&building->mutex);
    return was_asked_for;
}

bool stele__building_is_under_way(struct stele__building *building)
{
    bool is_under_way;

    pthread_mutex_lock(&building->mutex);
    is_under_way = building->is_under_way;
    pthread_mutex_unlock(&building->mutex);
    return is_under_way;
}

bool stele__building_is_reached(struct stele__building *building, uint64_t position)
{
    bool is_reached;

    pthread_mutex_lock(&building->mutex);
    is_reached = !building->is_under_way || (!building->is_asked_for && position >= building->goal);
    pthread_mutex_unlock(&building->mutex);
    return is_reached;
}

void stele__building_end(struct stele__building *building)
{
    struct stele__building_waiter *waiter;

    pthread_mutex_lock(&building->mutex);
    building->is_under_way = false;
    while ((waiter = building->waiters)) {
        building->waiters = waiter->next;
        stele__signal_set(&waiter->signal);
    }
    pthread_mutex_unlock(&building->mutex);
}

/* With the mutex; true if it was among them still. */
static bool leave(struct stele__building *building, const struct stele__building_waiter *self)
{
    struct stele__building_waiter **place = &building->waiters;

    while (*place && *place != self)
        place = &(*place)->next;
    if (!*place)
        return false;
    *place = self->next;
    return true;
}

stele_status stele__building_wait(struct stele__building *building, stele_runtime *runtime, int64_t deadline,
                                  stele_error **error)
{
    struct stele__building_waiter self = {.next = NULL};
    bool is_late = false;

    if (!stele__building_is_under_way(building))
        return STELE_OK;
    if (!stele__signal_init(&self.signal))
        return stele__fail_memory(error);
    pthread_mutex_lock(&building->mutex);
    if (building->is_under_way) {
        self.next = building->waiters;
        building->waiters = &self;
    } else {
        stele__signal_set(&self.signal);
    }
    pthread_mutex_unlock(&building->mutex);
    if (!stele__runtime_wait(runtime, &self.signal, deadline)) {
        pthread_mutex_lock(&building->mutex);
        is_late = leave(building, &self);
        pthread_mutex_unlock(&building->mutex);
    }
    stele__signal_fini(&self.signal);
    return is_late ? stele__fail(error, STELE_LATE, "it is still being built") : STELE_OK;
}
