/*
 * Places of routes in the log: the window of what is in flight, and where a
 * route begins. What can fail: reading and making a checkpoint.
 */
#include "bus/place.h"

#include "base/error.h"
#include "base/text.h"
#include "bus/core.h"
#include "store/subscribed.h"

#include <inttypes.h>
#include <xxhash.h>

struct stele__flight *stele__place_begin(struct stele__place *place, uint64_t position, uint64_t read)
{
    struct stele__flight *flight = &place->window[(place->first + place->count) % STELE__PLACE_WINDOW];

    *flight = (struct stele__flight){.place = place, .position = position};
    place->count++;
    place->outstanding++;
    place->references++;
    place->read = read;
    return flight;
}

void stele__place_give_up(struct stele__place *place, uint64_t read)
{
    place->count--;
    place->outstanding--;
    place->references--;
    place->read = read;
}

void stele__place_settle(struct stele__flight *flight, bool is_handled)
{
    struct stele__place *place = flight->place;

    place->outstanding--;
    flight->is_settled = is_handled;
    while (place->count && place->window[place->first].is_settled) {
        place->first = (place->first + 1) % STELE__PLACE_WINDOW;
        place->count--;
    }
}

bool stele__place_wants(const struct stele__place *place, const stele_message *event)
{
    const struct stele_slice type = stele_message_type(event);
    const struct stele_type *known = place->table->type ? stele__bus_type(place->route->bus, type) : NULL;

    return stele__route_matches(place->route, XXH3_64bits(type.data, type.size), type, known) &&
           stele__where_holds(&place->table->where, event);
}

/* The store is an older copy of itself, or not the one that the route read. */
static stele_status fail_beyond(const char *name, uint64_t position, uint64_t head, stele_error **error)
{
    stele__fail(error, STELE_CORRUPT,
                "checkpoint \"%s\" is at %" PRIu64 ", behind the last event of the store, at %" PRIu64
                ": the store has lost events, or the checkpoint is of another one. Say where the route is to go on: "
                "set the checkpoint, or delete it",
                name, position, head);
    stele__error_add(error, "checkpoint", "%s", name);
    return STELE_CORRUPT;
}

/* `head` was read before the checkpoint, which another process may have moved meanwhile, with the log. */
static stele_status check_is_reached(stele_store *store, const char *name, uint64_t position, uint64_t head,
                                     stele_error **error)
{
    stele_error *why = NULL;
    const stele_status status = position > head ? stele_wait(store, position - 1, 0, NULL, &why) : STELE_OK;

    if (status == STELE_TIMEOUT) {
        stele_error_free(why);
        return fail_beyond(name, position, head, error);
    }
    if (error)
        *error = why;
    else
        stele_error_free(why);
    return status;
}

stele_status stele__place_find_begin(stele_store *store, const struct stele_route *table, uint64_t head, uint64_t *out,
                                     stele_error **error)
{
    const uint64_t begin = table->begin == STELE_BEGIN_FIRST ? 0 : head;
    stele_error *why = NULL;
    stele_status status;

    *out = begin;
    if (table->delivery != STELE_DURABLE)
        return STELE_OK;
    status = stele__subscribed_check(store, table->name, error);
    if (status != STELE_OK)
        return status;
    status = stele_checkpoint_read(store, table->name, out, &why);
    if (status == STELE_NOT_FOUND) {
        stele_error_free(why);
        return stele_checkpoint_write(store, table->name, STELE_NO_CHECKPOINT, begin, error);
    }
    if (status == STELE_OK)
        return check_is_reached(store, table->name, *out, head, error);
    if (error)
        *error = why;
    else
        stele_error_free(why);
    return status;
}
