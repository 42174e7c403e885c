/*
 * Routes: checking their structs, adding and removing them, which types they
 * are for.
 *
 *     add ── in the bus's list and table ── remove ── nobody sees it, nothing of it runs ── `stop`, freed
 *
 * A route is kept alive by the bus (until its removal has been seen by all who
 * read tables), by each delivery to it, and by whoever asked for it by name; the
 * last one calls `stop` and frees it. What can fail: a struct that is no good
 * (STELE_INVALID naming the route), memory.
 */
#include "bus/check.h"
#include "bus/core.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"

#include <string.h>
#include <xxhash.h>

/* --- Checking a struct ------------------------------------------------------------------- */

static stele_status fail_route(const struct stele_route *table, const char *why, stele_error **error)
{
    stele__fail(error, STELE_INVALID, "route %s: %s", table->name, why);
    stele__error_add(error, "route", "%s", table->name);
    return STELE_INVALID;
}

/* It must be able to match a type. */
static stele_status check_pattern(const char *on, stele_error **error)
{
    const stele_status status = stele__pattern_check(stele__slice(on), error);

    return status == STELE_OK ? stele__attribute_check(STELE__TYPE, stele__slice(on), error) : status;
}

static stele_status check_interest(const struct stele_route *table, stele_error **error)
{
    stele_status status;

    if (!table->on && !table->type)
        return fail_route(table, "neither `on` nor `type` is set", error);
    if (table->on && table->type)
        return fail_route(table, "both `on` and `type` are set", error);
    status = table->type ? stele_type_check(table->type, error) : check_pattern(table->on, error);
    if (status != STELE_OK) {
        stele__error_prefix(error, "route %s", table->name);
        stele__error_add(error, "route", "%s", table->name);
        return status;
    }
    if (table->type && table->type->kind != STELE_EVENT && table->type->kind != STELE_COMMAND &&
        table->type->kind != STELE_QUERY && table->type->kind != STELE_REPLY)
        return fail_route(table, "its type is none of messages", error);
    return STELE_OK;
}

/* What is wrong with the members together; NULL: nothing. */
static const char *misfit(const struct stele_route *table)
{
    const bool is_inline = table->delivery == STELE_INLINE;

    if ((unsigned)table->delivery > STELE_DURABLE || (unsigned)table->overflow > STELE_DROP_OLDEST ||
        (unsigned)table->on_failure > STELE_SUSPEND || (unsigned)table->begin > STELE_BEGIN_FIRST)
        return "a member is not of its enumeration";
    if (!table->handle)
        return "it has no handler";
    if (table->replies && table->replies->kind != STELE_REPLY)
        return "the type it replies with is no reply";
    if ((table->where.field != NULL) != (table->where.equals != NULL))
        return "a condition has a field and a value";
    if (is_inline && (table->partition || table->capacity || table->priority || table->overflow != STELE_BLOCK))
        return "partition, capacity, priority and overflow are of mailboxes, and it is inline";
    if (is_inline && table->on_failure == STELE_SUSPEND)
        return "STELE_SUSPEND needs a mailbox, and it is inline";
    if (table->partition && table->overflow == STELE_DROP_OLDEST)
        return "STELE_DROP_OLDEST does not go with partitions";
    if (table->partition && !*table->partition)
        return "its partition is empty";
    if (table->partition && table->partition[0] == '@' && strcmp(table->partition, "@subject") != 0 &&
        strcmp(table->partition, "@stream") != 0)
        return "its partition is neither a field nor \"@subject\" nor \"@stream\"";
    if (stele__route_is_stored(table) && table->overflow != STELE_BLOCK)
        return "a route after the commit loses nothing: overflow must be STELE_BLOCK";
    if (!stele__route_is_stored(table) && table->begin != STELE_BEGIN_NOW)
        return "`begin` is of routes after the commit";
    return NULL;
}

static stele_status check_route(const struct stele_route *table, stele_error **error)
{
    const char *fault;
    stele_status status;

    if (!table)
        return stele__fail_argument(error, "route", "is NULL");
    status = stele__name_check(stele__slice(table->name ? table->name : ""), "route", STELE_TYPE_MAX, error);
    if (status != STELE_OK)
        return status;
    status = check_interest(table, error);
    if (status != STELE_OK)
        return status;
    fault = misfit(table);
    return fault ? fail_route(table, fault, error) : STELE_OK;
}

/* --- Which types a route is for -------------------------------------------------------------- */

static bool is_under(const struct stele_type *type, const struct stele_type *wanted)
{
    for (; type; type = type->parent) {
        if (type == wanted || strcmp(type->name, wanted->name) == 0)
            return true;
    }
    return false;
}

bool stele__route_matches(const struct stele__route *route, uint64_t hash, struct stele_slice name,
                          const struct stele_type *type)
{
    const struct stele_route *table = route->table;

    if (table->type) {
        return stele__slice_equal(stele__slice(table->type->name), name) || is_under(type, table->type) ||
               (table->type == &stele_handler_failed_type && !type && stele__error_depth(name) > 0);
    }
    if (route->hash)
        return route->hash == hash && stele__slice_equal(stele__slice(table->on), name);
    return stele__pattern_match(stele__slice(table->on), name);
}

/* --- One command, one handler, under the mutex ---------------------------------------------------- */

static bool is_exclusive(stele_bus *bus, const char *name)
{
    const struct stele_type *type = stele__bus_known(bus, stele__slice(name));

    return type && (type->kind == STELE_COMMAND || type->kind == STELE_QUERY);
}

/* Another handler of the same exact name, from the place `from` of the list on; NULL: none. */
static struct stele__route *find_rival(stele_bus *bus, const struct stele_route *table, size_t from)
{
    for (size_t i = from; i < bus->routes.count; i++) {
        struct stele__route *route = *(struct stele__route **)stele__vector_at(&bus->routes, i);

        if (stele__routes_are_rivals(route->table, table))
            return route;
    }
    return NULL;
}

static stele_status fail_rival(const struct stele_route *table, const struct stele__route *rival, stele_error **error)
{
    stele__fail(error, STELE_INVALID, "route %s: %s is handled by route %s already", table->name,
                stele__route_exact_name(table), rival->table->name);
    stele__error_add(error, "route", "%s", table->name);
    return STELE_INVALID;
}

static stele_status check_rivals(stele_bus *bus, const struct stele_route *table, stele_error **error)
{
    const struct stele__route *rival;

    if (!stele__route_exact_name(table) || !is_exclusive(bus, stele__route_exact_name(table)))
        return STELE_OK;
    rival = find_rival(bus, table, 0);
    return rival ? fail_rival(table, rival, error) : STELE_OK;
}

/* Now that a type is known: two routes that were added for its name before. */
static stele_status check_known(stele_bus *bus, const char *name, stele_error **error)
{
    if (!is_exclusive(bus, name))
        return STELE_OK;
    for (size_t i = 0; i < bus->routes.count; i++) {
        const struct stele__route *route = *(struct stele__route **)stele__vector_at(&bus->routes, i);
        const char *other = stele__route_exact_name(route->table);
        const struct stele__route *rival =
            other && strcmp(other, name) == 0 ? find_rival(bus, route->table, i + 1) : NULL;

        if (rival)
            return fail_rival(rival->table, route, error);
    }
    return STELE_OK;
}

/* --- Types, under the mutex -------------------------------------------------------------------------- */

const struct stele_type *stele__bus_known(const stele_bus *bus, struct stele_slice name)
{
    const struct stele__known *known = stele__map_get(&bus->types, name);

    return known ? known->type : NULL;
}

static bool put_type(stele_bus *bus, const struct stele_type *type)
{
    struct stele__known *known = stele__alloc(sizeof(*known));

    if (!known)
        return false;
    known->type = type;
    if (stele__map_put(&bus->types, stele__slice(type->name), known))
        return true;
    stele__free(known, sizeof(*known));
    return false;
}

static stele_status learn_one(stele_bus *bus, const struct stele_type *type, stele_error **error)
{
    const struct stele_slice name = stele__slice(type->name);
    const struct stele_type *known = stele__bus_known(bus, name);
    stele_status status;

    if (known == type)
        return STELE_OK;
    if (known) {
        stele__fail(error, STELE_INVALID, "another type has the name %s", type->name);
        stele__error_add(error, "type", "%s", type->name);
        return STELE_INVALID;
    }
    status = stele_type_check(type, error);
    if (status != STELE_OK)
        return status;
    if (!stele__table_renew(bus) || !put_type(bus, type))
        return stele__fail_memory(error);
    status = check_known(bus, type->name, error);
    if (status != STELE_OK)
        stele__free(stele__map_remove(&bus->types, name), sizeof(struct stele__known));
    return status;
}

stele_status stele__bus_learn(stele_bus *bus, const struct stele_type *type, stele_error **error)
{
    stele_status status = STELE_OK;

    for (; type && status == STELE_OK; type = type->parent)
        status = learn_one(bus, type, error);
    return status;
}

stele_status stele_bus_add_type(stele_bus *bus, const struct stele_type *type, stele_error **error)
{
    stele_status status;

    if (!stele__bus_is_usable(bus))
        return stele__bus_fail_unusable(bus, error);
    if (!type)
        return stele__fail_argument(error, "type", "is NULL");
    pthread_mutex_lock(&bus->mutex);
    status = stele__bus_learn(bus, type, error);
    pthread_mutex_unlock(&bus->mutex);
    stele__table_reclaim(bus);
    return status;
}

const struct stele_type *stele__bus_type(stele_bus *bus, struct stele_slice name)
{
    const struct stele_type *type;

    pthread_mutex_lock(&bus->mutex);
    type = stele__bus_known(bus, name);
    pthread_mutex_unlock(&bus->mutex);
    return type;
}

static stele_status learn_all(stele_bus *bus, const struct stele_route *table, stele_error **error)
{
    stele_status status = stele__bus_learn(bus, table->type, error);

    if (status == STELE_OK)
        status = stele__bus_learn(bus, table->replies, error);
    for (size_t i = 0; status == STELE_OK && table->publishes && table->publishes[i]; i++)
        status = stele__bus_learn(bus, table->publishes[i], error);
    if (status != STELE_OK) {
        stele__error_prefix(error, "route %s", table->name);
        stele__error_add(error, "route", "%s", table->name);
    }
    return status;
}

/* --- Making and freeing one ------------------------------------------------------------------------------ */

static void free_route(struct stele__route *route)
{
    for (size_t i = 0; i < route->placed_count; i++)
        stele__placed_unref(route->placed[i]);
    stele__free(route->placed, route->placed_count * sizeof(route->placed[0]));
    stele__box_unref(route->box);
    stele__aggregate_place_unref(route->aggregate);
    stele__measured_free(route->measured);
    stele__last_error_free(atomic_load(&route->last));
    stele__free(route, sizeof(*route));
}

static stele_status place_interceptors(struct stele__route *route, stele_error **error)
{
    const struct stele_interceptor *const *interceptors = route->table->interceptors;
    unsigned count = 0;

    while (interceptors && interceptors[count])
        count++;
    if (count == 0)
        return STELE_OK;
    route->placed = stele__alloc(count * sizeof(route->placed[0]));
    if (!route->placed)
        return stele__fail_memory(error);
    route->placed_count = count;
    for (unsigned i = 0; i < count; i++) {
        uint64_t order;
        stele_status status;

        pthread_mutex_lock(&route->bus->mutex);
        order = route->bus->next_place++;
        pthread_mutex_unlock(&route->bus->mutex);
        status = stele__placed_new(interceptors[i], route->bus, order, &route->placed[i], error);
        if (status != STELE_OK) {
            stele__error_prefix(error, "route %s", route->table->name);
            stele__error_add(error, "route", "%s", route->table->name);
            return status;
        }
    }
    return STELE_OK;
}

static stele_status make_route(stele_bus *bus, const struct stele_route *table, void *resource,
                               struct stele__route **out, stele_error **error)
{
    struct stele__route *route = stele__alloc(sizeof(*route));
    stele_status status;

    if (!route)
        return stele__fail_memory(error);
    route->table = table;
    route->resource = resource;
    route->bus = bus;
    atomic_init(&route->references, STELE__ROUTE_KNOWN);
    if (stele__route_is_exact(table))
        route->hash = XXH3_64bits(table->on, strlen(table->on));
    if (bus->measures)
        route->measured = stele__measured_new();
    status = route->measured || !bus->measures ? place_interceptors(route, error) : stele__fail_memory(error);
    if (status != STELE_OK)
        free_route(route);
    else
        *out = route;
    return status;
}

/* Its name, where that is the source of what it publishes. */
static stele_status check_source(const stele_bus *bus, const struct stele_route *table, stele_error **error)
{
    const stele_status status =
        bus->source_is_route ? stele__attribute_check(STELE__SOURCE, stele__slice(table->name), error) : STELE_OK;

    if (status != STELE_OK) {
        stele__error_prefix(error, "route %s", table->name);
        stele__error_add(error, "route", "%s", table->name);
    }
    return status;
}

/* --- Adding ----------------------------------------------------------------------------------------------- */

/* Under the mutex. */
static stele_status enlist(stele_bus *bus, struct stele__route *route, stele_error **error)
{
    const struct stele_route *table = route->table;
    const struct stele_slice name = stele__slice(table->name);
    struct stele__route **slot;
    stele_status status;

    if (stele__bus_state(bus) != STELE__BUS_RUNNING)
        return stele__bus_refuse(bus, error);
    if (stele__map_get(&bus->names, name))
        return fail_route(table, "another route has this name", error);
    if (stele__route_is_stored(table) && !atomic_load(&bus->follower))
        return fail_route(table, "it reads the log, which needs stele_bus_follow() first", error);
    status = check_source(bus, table, error);
    if (status == STELE_OK)
        status = learn_all(bus, table, error);
    if (status == STELE_OK)
        status = check_rivals(bus, table, error);
    if (status != STELE_OK)
        return status;
    if (!stele__table_renew(bus) || !stele__vector_reserve(&bus->routes, bus->routes.count + 1) ||
        !stele__map_put(&bus->names, name, route))
        return stele__fail_memory(error);
    route->id = ++bus->next_id;
    slot = stele__vector_add(&bus->routes);
    *slot = route;
    if (table->on_failure == STELE_FAIL_FAST)
        atomic_store(&bus->needs_units, true);
    return STELE_OK;
}

stele_status stele__route_add(stele_bus *bus, const struct stele_route *table, void *resource, struct stele__box *box,
                              struct stele__aggregate_place *aggregate, stele_route_id *id, stele_error **error)
{
    struct stele__route *route = NULL;
    stele_status status = make_route(bus, table, resource, &route, error);
    stele_route_id added = 0;

    if (status != STELE_OK)
        return status;
    route->box = box;
    route->aggregate = aggregate;
    pthread_mutex_lock(&bus->mutex);
    status = enlist(bus, route, error);
    added = route->id;
    stele__route_ref(route);
    pthread_mutex_unlock(&bus->mutex);
    stele__table_reclaim(bus);
    if (status == STELE_OK && stele__route_is_stored(table)) {
        status = stele__follower_add(atomic_load(&bus->follower), route, error);
        if (status != STELE_OK) {
            route->box = NULL;
            atomic_store(&route->is_stopped, true);
            stele_bus_remove_route(bus, added);
        }
    }
    if (status != STELE_OK && added == 0) {
        route->box = NULL;
        route->aggregate = NULL;
        free_route(route);
        return status;
    }
    stele__route_release(route, STELE__ROUTE_KNOWN);
    if (status == STELE_OK && id)
        *id = added;
    if (status == STELE_OK && atomic_load(&bus->follower))
        stele__follower_look(atomic_load(&bus->follower));
    return status;
}

stele_status stele_bus_add_route(stele_bus *bus, const struct stele_route *route, void *resource, stele_route_id *id,
                                 stele_error **error)
{
    struct stele__box *box = NULL;
    stele_status status;

    if (!stele__bus_is_usable(bus))
        return stele__bus_fail_unusable(bus, error);
    status = check_route(route, error);
    if (status != STELE_OK)
        return status;
    if (route->delivery != STELE_INLINE) {
        box = stele__box_new(bus, route, NULL);
        if (!box)
            return stele__fail_memory(error);
    }
    status = stele__route_add(bus, route, resource, box, NULL, id, error);
    if (status != STELE_OK)
        stele__box_unref(box);
    return status;
}

/* --- Finding and removing ------------------------------------------------------------------------------------ */

struct stele__route *stele__route_find(stele_bus *bus, const char *name)
{
    return stele__map_get(&bus->names, stele__slice(name));
}

struct stele__route *stele__bus_route(stele_bus *bus, const char *name)
{
    struct stele__route *route;

    pthread_mutex_lock(&bus->mutex);
    route = stele__route_find(bus, name);
    if (route)
        stele__route_ref(route);
    pthread_mutex_unlock(&bus->mutex);
    return route;
}

const struct stele_route *stele__route_table(const struct stele__route *route)
{
    return route->table;
}

void stele__route_unref(struct stele__route *route)
{
    if (route)
        stele__route_release(route, STELE__ROUTE_KNOWN);
}

/* Under the mutex: take a route out; NULL if it is not there. The caller has one reference of it. */
static struct stele__route *delist(stele_bus *bus, stele_route_id id)
{
    struct stele__route **routes = bus->routes.items;
    struct stele__route *route;
    size_t index = 0;

    while (index < bus->routes.count && routes[index]->id != id)
        index++;
    if (index == bus->routes.count)
        return NULL;
    route = routes[index];
    memmove(&routes[index], &routes[index + 1], (bus->routes.count - index - 1) * sizeof(*routes));
    stele__vector_truncate(&bus->routes, bus->routes.count - 1);
    stele__map_remove(&bus->names, stele__slice(route->table->name));
    stele__route_ref(route);
    atomic_store(&route->is_removed, true);
    atomic_fetch_or(&route->references, STELE__ATTENTION);
    route->is_leaving = true;
    route->next_leaving = bus->leaving;
    bus->leaving = route;
    stele__table_remove(bus, route);
    return route;
}

/* Under the mutex: a removed route's deliveries are done. */
static void forget(stele_bus *bus, struct stele__route *route)
{
    struct stele__route **place = &bus->leaving;

    if (!route->is_leaving || !route->is_left || stele__route_deliveries(route) > 0)
        return;
    while (*place != route)
        place = &(*place)->next_leaving;
    *place = route->next_leaving;
    route->is_leaving = false;
}

bool stele_bus_remove_route(stele_bus *bus, stele_route_id id)
{
    struct stele__route *route = NULL;

    if (!stele__bus_is_usable(bus))
        return false;
    pthread_mutex_lock(&bus->mutex);
    if (!bus->is_stopped)
        route = delist(bus, id);
    pthread_mutex_unlock(&bus->mutex);
    if (!route)
        return false;
    for (size_t i = 0; i < route->placed_count; i++)
        stele__placed_retire(route->placed[i]);
    if (stele__route_is_stored(route->table))
        stele__follower_remove(atomic_load(&bus->follower), route);
    if (route->box && !route->aggregate)
        stele__box_close(route->box, STELE_CANCELLED);
    pthread_mutex_lock(&bus->mutex);
    route->is_left = true;
    forget(bus, route);
    pthread_mutex_unlock(&bus->mutex);
    stele__route_release(route, STELE__ROUTE_KNOWN);
    stele__table_reclaim(bus);
    return true;
}

/* --- The end of one --------------------------------------------------------------------------------------------- */

void stele__route_call_stop(struct stele__route *route)
{
    if (!atomic_exchange(&route->is_stopped, true) && route->table->stop)
        route->table->stop(route->resource);
}

static bool release_quietly(struct stele__route *route, uint64_t amount, uint64_t *left)
{
    uint64_t references = atomic_load_explicit(&route->references, memory_order_relaxed);

    while (!(references & STELE__ATTENTION)) {
        if (atomic_compare_exchange_weak_explicit(&route->references, &references, references - amount,
                                                  memory_order_acq_rel, memory_order_relaxed)) {
            *left = references - amount;
            return true;
        }
    }
    return false;
}

void stele__route_release(struct stele__route *route, uint64_t amount)
{
    uint64_t left;

    if (amount == STELE__ROUTE_KNOWN) {
        left = atomic_fetch_sub(&route->references, amount) - amount; /* tables may be freed behind the bus */
    } else if (!release_quietly(route, amount, &left)) {
        stele_bus *bus = route->bus;

        pthread_mutex_lock(&bus->mutex);
        left = atomic_fetch_sub(&route->references, amount) - amount;
        forget(bus, route);
        stele__signal_set(&bus->progress);
        pthread_mutex_unlock(&bus->mutex);
    }
    if ((left & ~(uint64_t)STELE__ATTENTION) != 0)
        return;
    stele__route_call_stop(route);
    free_route(route);
}
