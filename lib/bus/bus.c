/*
 * A bus: made, stopped, freed.
 *
 *   running ── stop ──► stopping: nothing new from outside, what is in flight goes on
 *                          │ all done, or the time is over
 *                          ▼
 *                       stopped: mailboxes closed, what waited discarded, who waited answered,
 *                                `stop` of each route in reverse order, observers flushed
 *
 * What can fail: memory, when it is made; time, when it stops.
 */
#include "bus/core.h"

#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "store/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { TIMEOUT_MS = 30000, DEAD_LETTERS = 1000, SLOTS = 16, LEAVE_MS = 1000 };

/* --- Making and freeing ---------------------------------------------------------------------- */

/* Nobody uses it any more. */
static void free_bus(stele_bus *bus)
{
    struct stele_slice name;
    size_t place = 0;
    void *known;

    stele__schedules_free(bus->schedules);
    stele__follower_free(atomic_load(&bus->follower));
    while (bus->routes.count > 0) {
        struct stele__route *route = *(struct stele__route **)stele__vector_at(&bus->routes, bus->routes.count - 1);

        stele__vector_truncate(&bus->routes, bus->routes.count - 1);
        stele__route_release(route, STELE__ROUTE_KNOWN);
    }
    stele__table_reclaim(bus);
    stele__table_free(atomic_load(&bus->table));
    for (size_t i = 0; i < bus->placed.count; i++)
        stele__placed_unref(*(struct stele__placed **)stele__vector_at(&bus->placed, i));
    stele__memo_names_free(bus->memo_names);
    while (stele__map_next(&bus->types, &place, &name, &known))
        stele__free(known, sizeof(struct stele__known));
    stele__graves_free(bus->graves);
    if (bus->store)
        stele__store_let_go(bus->store);
    stele__observers_free(bus->observers);
    stele__unit_free_spare(bus);
    stele__delivery_free_spare(bus);
    stele__vector_fini(&bus->routes);
    stele__vector_fini(&bus->placed);
    stele__map_fini(&bus->names);
    stele__map_fini(&bus->types);
    stele__signal_fini(&bus->progress);
    stele__signal_fini(&bus->stopped);
    pthread_mutex_destroy(&bus->mutex);
    stele__text_free(bus->source);
    stele__free(bus, sizeof(*bus));
}

/* What needs no memory, and must be there before free_bus(). */
static bool init_bus(stele_bus *bus)
{
    stele__vector_init(&bus->routes, sizeof(struct stele__route *));
    stele__vector_init(&bus->placed, sizeof(struct stele__placed *));
    stele__map_init(&bus->names);
    stele__map_init(&bus->types);
    if (pthread_mutex_init(&bus->mutex, NULL) != 0)
        return false;
    if (stele__signal_init(&bus->stopped)) {
        if (stele__signal_init(&bus->progress))
            return true;
        stele__signal_fini(&bus->stopped);
    }
    pthread_mutex_destroy(&bus->mutex);
    return false;
}

static stele_status equip(stele_bus *bus, const struct stele_bus_options *options, stele_error **error)
{
    const size_t dead_letters = options && options->dead_letters ? options->dead_letters : DEAD_LETTERS;
    struct stele__table *table = stele__table_new(SLOTS);
    stele_status status;

    atomic_init(&bus->table, table);
    if (!table)
        return stele__fail_memory(error);
    if (options && options->source) {
        bus->source = stele__text_copy(options->source);
        if (!bus->source)
            return stele__fail_memory(error);
    }
    status = stele__observers_new(bus->runtime, &bus->observers, error);
    if (status == STELE_OK)
        status = stele__graves_new(bus, dead_letters, &bus->graves, error);
    if (status == STELE_OK)
        status = stele__schedules_new(bus, &bus->schedules, error);
    if (status == STELE_OK)
        status = stele__memo_names_new(&bus->memo_names, error);
    return status;
}

static stele_status check_options(stele_runtime *runtime, const struct stele_bus_options *options, stele_bus **out,
                                  stele_error **error)
{
    stele_status status;

    if (!runtime)
        return stele__fail_argument(error, "runtime", "is NULL");
    if (!out)
        return stele__fail_argument(error, "out", "is NULL");
    status = stele__options_check(options, sizeof(*options), sizeof(*options), "options", error);
    if (status == STELE_OK && options && options->hops > STELE__HOPS_MOST)
        status = stele__fail_limit(error, "hops", options->hops, STELE__HOPS_MOST, "hops");
    if (status == STELE_OK && options && options->source)
        status = stele__attribute_check(STELE__SOURCE, stele__slice(options->source), error);
    return status;
}

stele_status stele_bus_new(stele_runtime *runtime, const struct stele_bus_options *options, stele_bus **out,
                           stele_error **error)
{
    stele_bus *bus;
    stele_status status = check_options(runtime, options, out, error);

    if (status != STELE_OK)
        return status;
    bus = stele__alloc(sizeof(*bus));
    if (!bus || !stele__fork_watch() || !init_bus(bus)) {
        stele__free(bus, sizeof(*bus));
        return stele__fail_memory(error);
    }
    bus->runtime = runtime;
    bus->generation = stele__fork_generation();
    bus->measures = options && options->measure;
    bus->source_is_route = options && options->source_is_route;
    bus->hops = options && options->hops ? options->hops : STELE_HOPS_MAX;
    bus->timeout_ms = options && options->timeout_ms ? options->timeout_ms : TIMEOUT_MS;
    status = equip(bus, options, error);
    if (status != STELE_OK)
        free_bus(bus);
    else
        *out = bus;
    return status;
}

bool stele__bus_is_usable(const stele_bus *bus)
{
    return bus && !stele__bus_is_foreign(bus);
}

stele_status stele__bus_fail_unusable(const stele_bus *bus, stele_error **error)
{
    if (!bus)
        return stele__fail_argument(error, "bus", "is NULL");
    return stele__fail(error, STELE_FORKED,
                       "the bus was made before fork(): fork first, and make runtime and bus in each process");
}

/* --- Its parts ------------------------------------------------------------------------------------ */

stele_runtime *stele_bus_runtime(const stele_bus *bus)
{
    return bus ? bus->runtime : NULL;
}

struct stele__observers *stele__bus_observers(stele_bus *bus)
{
    return bus->observers;
}

struct stele__graves *stele__bus_graves(stele_bus *bus)
{
    return bus->graves;
}

struct stele__schedules *stele__bus_schedules(stele_bus *bus)
{
    return bus->schedules;
}

struct stele__memo_names *stele__bus_memo_names(stele_bus *bus)
{
    return bus->memo_names;
}

struct stele__follower *stele__bus_follower(stele_bus *bus)
{
    return atomic_load(&bus->follower);
}

int64_t stele__bus_now(const stele_bus *bus)
{
    return stele__runtime_now(bus->runtime);
}

/* --- Following a store -------------------------------------------------------------------------------- */

stele_status stele_bus_follow(stele_bus *bus, stele_store *store, stele_error **error)
{
    struct stele__follower *follower = NULL;
    stele_status status = STELE_OK;

    if (!stele__bus_is_usable(bus))
        return stele__bus_fail_unusable(bus, error);
    if (!store)
        return stele__fail_argument(error, "store", "is NULL");
    pthread_mutex_lock(&bus->mutex);
    if (stele__bus_state(bus) != STELE__BUS_RUNNING)
        status = stele__bus_refuse(bus, error);
    else if (bus->store)
        status = stele__fail(error, STELE_INVALID, "the bus follows a store already");
    else
        bus->store = store;
    pthread_mutex_unlock(&bus->mutex);
    if (status != STELE_OK)
        return status;
    stele__store_hold(store);
    status = stele__follower_new(bus, store, &follower, error);
    if (status == STELE_OK) {
        atomic_store(&bus->follower, follower);
        status = stele__graves_follow(bus->graves, store, error);
    }
    if (status != STELE_OK) {
        atomic_store(&bus->follower, NULL);
        if (follower)
            stele__follower_stop(follower);
        stele__follower_free(follower);
        pthread_mutex_lock(&bus->mutex);
        bus->store = NULL;
        pthread_mutex_unlock(&bus->mutex);
        stele__store_let_go(store);
    }
    return status;
}

/* --- Interceptors of the bus ---------------------------------------------------------------------------- */

/* Under the mutex. */
static size_t find_placed(const stele_bus *bus, const char *name)
{
    struct stele__placed *const *placed = bus->placed.items;
    size_t index = 0;

    while (index < bus->placed.count && strcmp(placed[index]->name, name) != 0)
        index++;
    return index;
}

/* Under the mutex. */
static stele_status add_placed(stele_bus *bus, struct stele__placed *placed, stele_error **error)
{
    struct stele__placed **slot;

    if (stele__bus_state(bus) != STELE__BUS_RUNNING)
        return stele__bus_refuse(bus, error);
    if (find_placed(bus, placed->name) < bus->placed.count) {
        stele__fail(error, STELE_INVALID, "interceptor %s: another one has this name", placed->name);
        stele__error_add(error, "interceptor", "%s", placed->name);
        return STELE_INVALID;
    }
    if (!stele__vector_reserve(&bus->placed, bus->placed.count + 1) || !stele__table_renew(bus))
        return stele__fail_memory(error);
    slot = stele__vector_add(&bus->placed);
    *slot = placed;
    return STELE_OK;
}

stele_status stele_bus_add_interceptor(stele_bus *bus, const struct stele_interceptor *interceptor, stele_error **error)
{
    struct stele__placed *placed = NULL;
    uint64_t order;
    stele_status status;

    if (!stele__bus_is_usable(bus))
        return stele__bus_fail_unusable(bus, error);
    pthread_mutex_lock(&bus->mutex);
    order = bus->next_place++;
    pthread_mutex_unlock(&bus->mutex);
    status = stele__placed_new(interceptor, bus, order, &placed, error);
    if (status != STELE_OK)
        return status;
    pthread_mutex_lock(&bus->mutex);
    status = add_placed(bus, placed, error);
    pthread_mutex_unlock(&bus->mutex);
    if (status != STELE_OK)
        stele__placed_unref(placed);
    stele__table_reclaim(bus);
    return status;
}

bool stele_bus_remove_interceptor(stele_bus *bus, const char *name)
{
    struct stele__placed *removed = NULL;
    size_t index;

    if (!stele__bus_is_usable(bus) || !name)
        return false;
    pthread_mutex_lock(&bus->mutex);
    index = find_placed(bus, name);
    if (index < bus->placed.count && stele__table_renew(bus)) {
        struct stele__placed **placed = bus->placed.items;

        removed = placed[index];
        memmove(&placed[index], &placed[index + 1], (bus->placed.count - index - 1) * sizeof(*placed));
        stele__vector_truncate(&bus->placed, bus->placed.count - 1);
    }
    pthread_mutex_unlock(&bus->mutex);
    if (!removed)
        return false;
    stele__placed_retire(removed);
    stele__placed_unref(removed);
    stele__table_reclaim(bus);
    return true;
}

/* --- Pausing ------------------------------------------------------------------------------------------------ */

static stele_status set_paused(stele_bus *bus, const char *name, void (*set)(struct stele__box *box),
                               stele_error **error)
{
    const struct stele__route *route;
    stele_status status = STELE_OK;

    if (!stele__bus_is_usable(bus))
        return stele__bus_fail_unusable(bus, error);
    if (!name)
        return stele__fail_argument(error, "route", "is NULL");
    pthread_mutex_lock(&bus->mutex);
    route = stele__route_find(bus, name);
    if (!route)
        status = stele__fail(error, STELE_NOT_FOUND, "there is no route %s", name);
    else if (!route->box)
        status = stele__fail(error, STELE_INVALID, "route %s is inline: it has no mailbox", name);
    else
        set(route->box);
    pthread_mutex_unlock(&bus->mutex);
    if (status != STELE_OK)
        stele__error_add(error, "route", "%s", name);
    return status;
}

stele_status stele_bus_pause(stele_bus *bus, const char *route, stele_error **error)
{
    return set_paused(bus, route, stele__box_pause, error);
}

stele_status stele_bus_resume(stele_bus *bus, const char *route, stele_error **error)
{
    return set_paused(bus, route, stele__box_resume, error);
}

/* --- Stopping --------------------------------------------------------------------------------------------------- */

/* Below, `own` is the innermost of the calls that this thread is in, NULL for none: they are not waited for. */

static uint32_t own_readers(const stele_bus *bus, const struct stele__context *own)
{
    return stele__is_within(own, bus) ? 1 : 0;
}

static uint32_t own_calls(const struct stele__route *route, const struct stele__context *own)
{
    uint32_t calls = 0;

    for (; own; own = own->outer)
        calls += own->bus == route->bus && own->item && own->item->route == route;
    return calls;
}

static uint32_t deliveries_of(const struct stele__route *route, const struct stele__context *own)
{
    const uint32_t deliveries = stele__route_deliveries(route);
    const uint32_t calls = own_calls(route, own);

    return deliveries > calls ? deliveries - calls : 0;
}

static struct stele__route *route_at(const stele_bus *bus, size_t index)
{
    return *(struct stele__route **)stele__vector_at(&bus->routes, index);
}

/* Under the mutex. */
static bool is_quiet(const stele_bus *bus, const struct stele__context *own)
{
    if (stele__readers(bus) > own_readers(bus, own))
        return false;
    for (size_t i = 0; i < bus->routes.count; i++) {
        if (deliveries_of(route_at(bus, i), own) > 0)
            return false;
    }
    for (const struct stele__route *route = bus->leaving; route; route = route->next_leaving) {
        if (deliveries_of(route, own) > 0)
            return false;
    }
    return true;
}

/* False if it was not to be before the deadline. Once it is, those who still come are refused: they are no work left. */
static bool wait_until_quiet(stele_bus *bus, const struct stele__context *own, int64_t deadline)
{
    bool goes_on = true;
    bool was_quiet = false;

    while (goes_on) {
        pthread_mutex_lock(&bus->mutex);
        was_quiet = is_quiet(bus, own);
        goes_on = !was_quiet && !bus->is_ending;
        if (goes_on && stele__signal_is_set(&bus->progress))
            stele__signal_reset(&bus->progress);
        pthread_mutex_unlock(&bus->mutex);
        if (goes_on)
            goes_on = stele__runtime_wait(bus->runtime, &bus->progress, deadline);
    }
    return was_quiet;
}

/* Refuse what is new. False if the bus is stopping already, or stopped. */
static bool begin_stop(stele_bus *bus)
{
    bool is_first;

    pthread_mutex_lock(&bus->mutex);
    is_first = stele__bus_state(bus) == STELE__BUS_RUNNING;
    if (is_first) {
        atomic_store(&bus->state, STELE__BUS_STOPPING);
        stele__attention(bus, true);
        for (size_t i = 0; i < bus->routes.count; i++)
            atomic_fetch_or(&route_at(bus, i)->references, STELE__ATTENTION);
    } else {
        bus->is_ending = true;
        stele__signal_set(&bus->progress);
    }
    pthread_mutex_unlock(&bus->mutex);
    return is_first;
}

/* Name a route, once. */
static void add_name(struct stele_stopped *stopped, struct stele__route *route)
{
    const char *name = route->table->name;
    const size_t used = strlen(stopped->routes);
    const size_t size = strlen(name);
    const size_t separator = used ? 2 : 0;

    if (route->is_told || used + separator + size >= sizeof(stopped->routes))
        return;
    route->is_told = true;
    memcpy(stopped->routes + used, ", ", separator);
    memcpy(stopped->routes + used + separator, name, size + 1);
}

/* Close the mailboxes, and call `stop` where nothing runs any more: in reverse order of adding. */
static void close_routes(stele_bus *bus, const struct stele__context *own, struct stele_stopped *stopped)
{
    for (size_t i = 0; i < bus->routes.count; i++) {
        struct stele__route *route = route_at(bus, i);
        uint64_t discarded;

        if (!route->box)
            continue;
        discarded = stele__box_close(route->box, STELE_SHUTDOWN);
        stopped->discarded += discarded;
        if (discarded)
            add_name(stopped, route);
    }
    for (size_t i = bus->routes.count; i-- > 0;) {
        struct stele__route *route = route_at(bus, i);
        const uint32_t running = deliveries_of(route, own);
        const bool is_own = own_calls(route, own) > 0;
        const bool may_run = !route->box && !is_own && atomic_load(&route->counts.running) > 0;

        if (running || may_run) {
            stopped->running += running ? running : atomic_load(&route->counts.running);
            add_name(stopped, route);
        } else if (!is_own) {
            stele__route_call_stop(route);
        }
    }
}

/* Nothing is added or removed any more: the list of routes needs no lock. */
static void close_bus(stele_bus *bus)
{
    pthread_mutex_lock(&bus->mutex);
    atomic_store(&bus->state, STELE__BUS_STOPPED);
    bus->is_stopped = true;
    stele__signal_set(&bus->stopped);
    pthread_mutex_unlock(&bus->mutex);
}

static stele_status report(const struct stele_stopped *stopped, struct stele_stopped *out, stele_error **error)
{
    if (out)
        *out = *stopped;
    if (stopped->discarded == 0 && stopped->running == 0)
        return STELE_OK;
    return stele__fail(error, STELE_TIMEOUT,
                       "the bus was stopped with %" PRIu64 " messages waiting and %" PRIu64 " handlers running: %s",
                       stopped->discarded, stopped->running, stopped->routes);
}

stele_status stele_bus_stop(stele_bus *bus, uint32_t timeout_ms, struct stele_stopped *out, stele_error **error)
{
    struct stele_stopped stopped = {0};
    const struct stele__context *own = stele__current;
    bool was_quiet = false;
    int64_t deadline;

    if (!stele__bus_is_usable(bus))
        return stele__bus_fail_unusable(bus, error);
    if (!begin_stop(bus))
        return report(&stopped, out, error);
    deadline = stele__runtime_monotonic(bus->runtime) + timeout_ms * STELE__NANOS_PER_MILLISECOND;
    stele__schedules_stop(bus->schedules);
    if (stele__bus_follower(bus))
        stele__follower_stop(stele__bus_follower(bus));
    if (timeout_ms)
        was_quiet = wait_until_quiet(bus, own, deadline);
    close_bus(bus);
    close_routes(bus, own, &stopped);
    pthread_mutex_lock(&bus->mutex);
    if (!was_quiet && stele__readers(bus) > own_readers(bus, own) && stopped.running == 0)
        stopped.running = stele__readers(bus) - own_readers(bus, own);
    stele__units_shut_down(bus);
    pthread_mutex_unlock(&bus->mutex);
    stele__observers_stop(bus->observers, timeout_ms);
    return report(&stopped, out, error);
}

void stele_bus_free(stele_bus *bus)
{
    bool is_quiet_now;
    bool is_drained;

    if (!stele__bus_is_usable(bus))
        return;
    stele_bus_stop(bus, 0, NULL, NULL);
    is_drained = stele__schedules_drain(bus->schedules);
    pthread_mutex_lock(&bus->mutex);
    bus->is_ending = false;
    pthread_mutex_unlock(&bus->mutex);
    /* Who was told of a result may be here before the thread that told it has left the bus. */
    wait_until_quiet(bus, NULL, stele__runtime_monotonic(bus->runtime) + LEAVE_MS * STELE__NANOS_PER_MILLISECOND);
    pthread_mutex_lock(&bus->mutex);
    is_quiet_now = is_drained && is_quiet(bus, NULL);
    pthread_mutex_unlock(&bus->mutex);
    if (is_quiet_now)
        free_bus(bus);
    else
        STELE__LOG(STELE_LOG_WARNING, "a bus was freed while handlers of it were running: its memory stays",
                   {"bus", bus->source ? bus->source : "stele"});
}
