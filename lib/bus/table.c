/*
 * Which routes a type has: a table from type names to entries, read without a
 * lock.
 *
 *     stele__read_begin ── find ── entry ── its items, in order of adding ── stele__read_end
 *                           │ not there
 *                           └─ under the mutex: made from all routes, put into a free slot
 *
 * An entry never changes. When a route or an interceptor comes or goes, the
 * whole table is replaced by an empty one, whose entries are made as types
 * are published; the old one is retired. A retired table is freed when each
 * reader counter was seen at 0 after its retirement: readers that came later
 * have the new table. Readers take one of two counters of their shard, and
 * each look lets the next ones take the other, so that every counter comes to
 * 0 however busy the bus is.
 *
 * A table holds at most STELE__TYPES_MAX entries: then it begins anew, so that
 * names from outside cannot fill the memory. What can fail: memory.
 */
#include "bus/core.h"

#include "base/memory.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { SLOTS_MIN = 16, STELE__TYPES_MAX = 16384 };

struct stele__table *stele__table_new(size_t slots)
{
    struct stele__table *table = stele__alloc(sizeof(*table) + slots * sizeof(table->slots[0]));

    if (table)
        table->mask = slots - 1;
    return table;
}

static void free_entry(struct stele__entry *entry)
{
    for (size_t i = 0; i < entry->chain.count; i++)
        stele__placed_unref(entry->chain.items[i]);
    for (size_t i = 0; i < entry->all; i++) {
        for (size_t j = 0; j < entry->items[i].chain.count; j++)
            stele__placed_unref(entry->items[i].chain.items[j]);
    }
    stele__free(entry, entry->allocated);
}

void stele__table_free(struct stele__table *table)
{
    if (!table)
        return;
    while (table->removed) {
        struct stele__route *removed = table->removed;

        table->removed = removed->next_removed;
        stele__route_release(removed, STELE__ROUTE_KNOWN);
    }
    while (table->entries) {
        struct stele__entry *entry = table->entries;

        table->entries = entry->next;
        free_entry(entry);
    }
    stele__free(table, sizeof(*table) + (table->mask + 1) * sizeof(table->slots[0]));
}

/* --- Reading -------------------------------------------------------------------------- */

/* Any number that differs between threads. */
static size_t shard_of_thread(void)
{
    static _Thread_local char here;

    return (size_t)(((uintptr_t)&here * UINT64_C(0x9e3779b97f4a7c15)) >> 48) % STELE__READER_SHARDS;
}

struct stele__reading stele__read_begin(stele_bus *bus)
{
    struct stele__reading reading = {NULL};

    if (stele__is_within(stele__current, bus))
        return reading;
    reading.counter =
        &bus->readers[shard_of_thread()].count[atomic_load_explicit(&bus->parity, memory_order_relaxed) & 1];
    atomic_fetch_add(reading.counter, 1);
    return reading;
}

/* Under the mutex: what of `counter` is not the bit. */
static bool is_unread(stele_bus *bus, size_t index)
{
    const uint32_t count = atomic_load(&bus->readers[index / 2].count[index % 2]);

    return (count & ~STELE__ATTENTION) == 0;
}

/* Under the mutex: take out of the retired tables those that nobody reads. */
static struct stele__table *take_unread(stele_bus *bus)
{
    struct stele__table **place = &bus->retired;
    struct stele__table *unread = NULL;
    uint32_t at_zero = 0;

    for (size_t i = 0; i < 2 * STELE__READER_SHARDS && bus->retired; i++)
        at_zero |= is_unread(bus, i) ? UINT32_C(1) << i : 0;
    while (*place) {
        struct stele__table *table = *place;

        table->unseen &= ~at_zero;
        if (table->unseen) {
            place = &table->retired_next;
            continue;
        }
        *place = table->retired_next;
        table->retired_next = unread;
        unread = table;
    }
    atomic_fetch_xor_explicit(&bus->parity, 1, memory_order_relaxed);
    if (!bus->retired && stele__bus_state(bus) == STELE__BUS_RUNNING)
        stele__attention(bus, false);
    return unread;
}

/* Not under a lock, and without the bus. */
static void free_tables(struct stele__table *table)
{
    while (table) {
        struct stele__table *next = table->retired_next;

        stele__table_free(table);
        table = next;
    }
}

static bool leave_quietly(atomic_uint *counter)
{
    unsigned count = atomic_load_explicit(counter, memory_order_relaxed);

    while (!(count & STELE__ATTENTION)) {
        if (atomic_compare_exchange_weak_explicit(counter, &count, count - 1, memory_order_seq_cst,
                                                  memory_order_relaxed))
            return true;
    }
    return false;
}

void stele__read_end(stele_bus *bus, struct stele__reading reading)
{
    struct stele__table *unread;

    if (!reading.counter || leave_quietly(reading.counter))
        return;
    pthread_mutex_lock(&bus->mutex);
    atomic_fetch_sub(reading.counter, 1);
    unread = take_unread(bus);
    if (stele__bus_state(bus) != STELE__BUS_RUNNING)
        stele__signal_set(&bus->progress);
    pthread_mutex_unlock(&bus->mutex);
    free_tables(unread);
}

void stele__table_reclaim(stele_bus *bus)
{
    struct stele__table *unread;

    pthread_mutex_lock(&bus->mutex);
    unread = take_unread(bus);
    pthread_mutex_unlock(&bus->mutex);
    free_tables(unread);
}

uint32_t stele__readers(const stele_bus *bus)
{
    uint32_t readers = 0;

    for (size_t i = 0; i < STELE__READER_SHARDS; i++) {
        for (size_t j = 0; j < 2; j++)
            readers += atomic_load(&bus->readers[i].count[j]) & ~STELE__ATTENTION;
    }
    return readers;
}

static void set_bit(atomic_uint *counter, bool is_wanted)
{
    if (is_wanted)
        atomic_fetch_or(counter, STELE__ATTENTION);
    else
        atomic_fetch_and(counter, ~STELE__ATTENTION);
}

void stele__attention(stele_bus *bus, bool is_wanted)
{
    for (size_t i = 0; i < STELE__READER_SHARDS; i++) {
        set_bit(&bus->readers[i].count[0], is_wanted);
        set_bit(&bus->readers[i].count[1], is_wanted);
    }
}

/* --- Finding ---------------------------------------------------------------------------- */

static struct stele__entry *look_up(struct stele__table *table, uint64_t hash, struct stele_slice type)
{
    for (size_t place = (size_t)hash & table->mask;; place = (place + 1) & table->mask) {
        struct stele__entry *entry = atomic_load_explicit(&table->slots[place], memory_order_acquire);

        if (!entry || (entry->hash == hash && entry->name.size == type.size &&
                       memcmp(entry->name.data, type.data, type.size) == 0))
            return entry;
    }
}

static void insert(struct stele__table *table, struct stele__entry *entry)
{
    size_t place = (size_t)entry->hash & table->mask;

    while (atomic_load_explicit(&table->slots[place], memory_order_relaxed))
        place = (place + 1) & table->mask;
    entry->next = table->entries;
    table->entries = entry;
    table->count++;
    atomic_store_explicit(&table->slots[place], entry, memory_order_release);
}

/* --- Making an entry, under the mutex ------------------------------------------------------ */

/* What an entry is made of, and how much room it needs. */
struct making {
    stele_bus *bus;
    uint64_t hash;
    struct stele_slice name;
    const struct stele_type *type; /* NULL: not known */
    size_t items;
    size_t placed;
    struct stele__placed **next; /* where the next chain begins */
};

static bool is_fitting(const struct stele__placed *placed, struct stele_slice name)
{
    return !placed->interceptor->on || stele__pattern_match(stele__slice(placed->interceptor->on), name);
}

static bool goes_by_publish(const struct stele__route *route)
{
    return route->table->delivery == STELE_INLINE || route->table->delivery == STELE_QUEUED;
}

/* Add those that fit and have one of `points`; counts only, while there is no room yet. */
static void collect(struct making *making, struct stele__placed *const *from, size_t count, unsigned points,
                    struct stele__chain *chain)
{
    for (size_t i = 0; i < count; i++) {
        if (!(from[i]->points & points) || !is_fitting(from[i], making->name))
            continue;
        if (chain) {
            making->next[chain->count++] = stele__placed_ref(from[i]);
            chain->points |= from[i]->points;
        } else {
            making->placed++;
        }
    }
}

static void make_chain(struct making *making, const struct stele__route *route, unsigned points,
                       struct stele__chain *chain)
{
    if (chain)
        chain->items = making->next;
    collect(making, making->bus->placed.items, making->bus->placed.count, points, chain);
    if (route)
        collect(making, route->placed, route->placed_count, points, chain);
    if (!chain)
        return;
    qsort(making->next, chain->count, sizeof(struct stele__placed *), stele__placed_compare);
    making->next += chain->count;
}

static bool is_plain(const stele_bus *bus, const struct stele__item *item)
{
    const struct stele_route *table = item->route->table;

    return table->delivery == STELE_INLINE && item->chain.count == 0 && !table->where.field && table->timeout_ms == 0 &&
           !bus->measures;
}

static void make_item(struct making *making, struct stele__route *route, struct stele__entry *entry)
{
    struct stele__item *item = &entry->items[entry->all++];

    item->handle = route->table->handle;
    item->resource = route->resource;
    item->route = route;
    make_chain(making, route, ~(unsigned)STELE_AT_PUBLISH, &item->chain);
    item->is_plain = is_plain(making->bus, item);
    if (!goes_by_publish(route))
        return;
    entry->count++;
    entry->is_plain = entry->is_plain && item->is_plain;
    entry->exact += !route->table->where.field && (route->table->type || route->hash);
}

static struct stele__entry *allocate_entry(struct making *making)
{
    const size_t size = sizeof(struct stele__entry) + making->items * sizeof(struct stele__item) +
                        making->placed * sizeof(struct stele__placed *) + making->name.size;
    struct stele__entry *entry = stele__alloc(size);
    char *name;

    if (!entry)
        return NULL;
    entry->allocated = size;
    entry->items = (struct stele__item *)(entry + 1);
    making->next = (struct stele__placed **)(entry->items + making->items);
    name = (char *)(making->next + making->placed);
    memcpy(name, making->name.data, making->name.size);
    entry->name.data = name;
    entry->name.size = making->name.size;
    entry->hash = making->hash;
    entry->is_plain = true;
    return entry;
}

static bool is_for(const struct making *making, const struct stele__route *route)
{
    return stele__route_matches(route, making->hash, making->name, making->type);
}

/* Make the items of those routes that a publisher goes through, or of the others. */
static void make_items(struct making *making, struct stele__entry *entry, bool by_publish)
{
    struct stele__route *const *routes = making->bus->routes.items;

    for (size_t i = 0; i < making->bus->routes.count; i++) {
        if (goes_by_publish(routes[i]) == by_publish && is_for(making, routes[i]))
            make_item(making, routes[i], entry);
    }
}

static struct stele__entry *make_entry(stele_bus *bus, uint64_t hash, struct stele_slice name)
{
    struct making making = {.bus = bus, .hash = hash, .name = name, .type = stele__bus_known(bus, name)};
    struct stele__route *const *routes = bus->routes.items;
    struct stele__entry *entry;

    make_chain(&making, NULL, STELE_AT_PUBLISH, NULL);
    for (size_t i = 0; i < bus->routes.count; i++) {
        if (!is_for(&making, routes[i]))
            continue;
        making.items++;
        make_chain(&making, routes[i], ~(unsigned)STELE_AT_PUBLISH, NULL);
    }
    entry = allocate_entry(&making);
    if (!entry)
        return NULL;
    make_chain(&making, NULL, STELE_AT_PUBLISH, &entry->chain);
    make_items(&making, entry, true);
    make_items(&making, entry, false);
    return entry;
}

/* --- Changing, under the mutex ----------------------------------------------------------------- */

static void retire(stele_bus *bus, struct stele__table *table)
{
    table->unseen = (UINT32_C(1) << (2 * STELE__READER_SHARDS)) - 1;
    table->retired_next = bus->retired;
    bus->retired = table;
    stele__attention(bus, true);
}

static bool replace(stele_bus *bus, size_t slots)
{
    struct stele__table *table = stele__table_new(slots);

    if (!table)
        return false;
    retire(bus, atomic_exchange(&bus->table, table));
    atomic_store(&bus->has_ghosts, false);
    return true;
}

bool stele__table_renew(stele_bus *bus)
{
    const struct stele__table *table = atomic_load_explicit(&bus->table, memory_order_relaxed);

    return table->count == 0 || replace(bus, table->mask + 1);
}

void stele__table_remove(stele_bus *bus, struct stele__route *removed)
{
    struct stele__table *table = atomic_load_explicit(&bus->table, memory_order_relaxed);

    removed->next_removed = table->removed;
    table->removed = removed;
    if (!replace(bus, table->mask + 1))
        atomic_store(&bus->has_ghosts, true);
}

/* A table for one more; false when memory is out. */
static bool make_room(stele_bus *bus)
{
    const struct stele__table *table = atomic_load_explicit(&bus->table, memory_order_relaxed);
    const size_t slots = table->mask + 1;

    if (table->count < slots / 2)
        return true;
    return replace(bus, slots < SLOTS_MIN || table->count >= STELE__TYPES_MAX ? SLOTS_MIN : 2 * slots);
}

static struct stele__entry *add_entry(stele_bus *bus, uint64_t hash, struct stele_slice type)
{
    struct stele__entry *entry = look_up(atomic_load_explicit(&bus->table, memory_order_relaxed), hash, type);

    if (entry || !make_room(bus))
        return entry;
    entry = make_entry(bus, hash, type);
    if (entry)
        insert(atomic_load_explicit(&bus->table, memory_order_relaxed), entry);
    return entry;
}

const struct stele__entry *stele__table_find(stele_bus *bus, struct stele_slice type)
{
    const uint64_t hash = XXH3_64bits(type.data, type.size);
    const struct stele__entry *entry = look_up(atomic_load_explicit(&bus->table, memory_order_seq_cst), hash, type);

    if (entry)
        return entry;
    pthread_mutex_lock(&bus->mutex);
    entry = add_entry(bus, hash, type);
    pthread_mutex_unlock(&bus->mutex);
    return entry;
}

const struct stele__item *stele__entry_item(const struct stele__entry *entry, const struct stele__route *route)
{
    for (size_t i = 0; i < entry->all; i++) {
        if (entry->items[i].route == route)
            return &entry->items[i];
    }
    return NULL;
}
