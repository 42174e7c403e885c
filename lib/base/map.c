/*
 * A hash map from byte strings to pointers: open addressing with linear
 * probing, at most three quarters full.
 *
 *     value NULL         the place was never used: a search ends here
 *     value &tombstone   removed: a search goes on, a new key may settle here
 *     else               an entry
 *
 * Entries keep their hash: growing never touches the keys, and a search
 * compares keys only where the hashes are equal. A table that has become far
 * too large is made smaller, or given back: what a burst of keys took does not
 * stay. What can fail: memory runs out in a put, and the map stays as it was.
 */
#include "base/map.h"

#include "base/memory.h"
#include "base/text.h"

#include <xxhash.h>

enum { CAPACITY_MIN = 16, CAPACITY_KEPT = 1024 };

struct stele__map_entry {
    struct stele_slice key;
    uint64_t hash;
    void *value;
};

static char tombstone;

static bool is_live(const struct stele__map_entry *entry)
{
    return entry->value && entry->value != &tombstone;
}

static uint64_t hash_of(struct stele_slice key)
{
    return XXH3_64bits(key.data, key.size);
}

void stele__map_init(struct stele__map *map)
{
    memset(map, 0, sizeof(*map));
}

void stele__map_fini(struct stele__map *map)
{
    stele__free(map->entries, map->capacity * sizeof(*map->entries));
    stele__map_init(map);
}

/* The live entry of `key`, NULL if there is none. */
static struct stele__map_entry *find(const struct stele__map *map, struct stele_slice key)
{
    uint64_t hash;

    if (map->count == 0)
        return NULL;
    hash = hash_of(key);
    for (size_t place = (size_t)hash & (map->capacity - 1);; place = (place + 1) & (map->capacity - 1)) {
        struct stele__map_entry *entry = &map->entries[place];

        if (!entry->value)
            return NULL;
        if (entry->hash == hash && entry->value != &tombstone && stele__slice_equal(entry->key, key))
            return entry;
    }
}

/* The first place of the probe sequence that a new key may take. */
static struct stele__map_entry *find_vacant(struct stele__map_entry *entries, size_t capacity, uint64_t hash)
{
    size_t place = (size_t)hash & (capacity - 1);

    while (is_live(&entries[place]))
        place = (place + 1) & (capacity - 1);
    return &entries[place];
}

/* Move the live entries into a new table without tombstones. */
static bool rebuild(struct stele__map *map, size_t capacity)
{
    struct stele__map_entry *entries;
    size_t bytes;

    if (!stele__size_multiply(capacity, sizeof(*entries), &bytes))
        return false;
    entries = stele__alloc(bytes);
    if (!entries)
        return false;
    for (size_t i = 0; i < map->capacity; i++) {
        if (is_live(&map->entries[i]))
            *find_vacant(entries, capacity, map->entries[i].hash) = map->entries[i];
    }
    stele__free(map->entries, map->capacity * sizeof(*map->entries));
    map->entries = entries;
    map->capacity = capacity;
    map->tombstones = 0;
    return true;
}

/* Make room for one more; a table that is full of tombstones is cleaned, not doubled. */
static bool make_room(struct stele__map *map)
{
    size_t capacity = map->capacity ? map->capacity : CAPACITY_MIN;

    if (map->capacity && map->count + map->tombstones + 1 <= map->capacity / 4 * 3)
        return true;
    if (map->count >= capacity / 2 && !stele__size_multiply(capacity, 2, &capacity))
        return false;
    return rebuild(map, capacity);
}

void *stele__map_get(const struct stele__map *map, struct stele_slice key)
{
    const struct stele__map_entry *entry = find(map, key);

    return entry ? entry->value : NULL;
}

bool stele__map_put(struct stele__map *map, struct stele_slice key, void *value)
{
    struct stele__map_entry *entry = find(map, key);

    if (entry) {
        entry->value = value;
        return true;
    }
    if (!make_room(map))
        return false;
    entry = find_vacant(map->entries, map->capacity, hash_of(key));
    if (entry->value == &tombstone)
        map->tombstones--;
    entry->key = key;
    entry->hash = hash_of(key);
    entry->value = value;
    map->count++;
    return true;
}

/* Give back what a few entries do not need; where there is no memory for a smaller table, the large one stays. */
static void shrink(struct stele__map *map)
{
    if (map->capacity <= CAPACITY_KEPT || map->count >= map->capacity / 8)
        return;
    if (map->count == 0)
        stele__map_fini(map);
    else
        rebuild(map, map->capacity / 4);
}

void *stele__map_remove(struct stele__map *map, struct stele_slice key)
{
    struct stele__map_entry *entry = find(map, key);
    void *value;

    if (!entry)
        return NULL;
    value = entry->value;
    entry->value = &tombstone;
    map->count--;
    map->tombstones++;
    shrink(map);
    return value;
}

bool stele__map_next(const struct stele__map *map, size_t *place, struct stele_slice *key, void **value)
{
    for (; *place < map->capacity; (*place)++) {
        const struct stele__map_entry *entry = &map->entries[*place];

        if (is_live(entry)) {
            *key = entry->key;
            *value = entry->value;
            (*place)++;
            return true;
        }
    }
    return false;
}
