/*
 * A hash map from byte strings to pointers (XXH3, open addressing); owner
 * only. Keys are borrowed: they must live, unchanged, as long as their entry.
 */
#ifndef STELE_BASE_MAP_H
#define STELE_BASE_MAP_H

#include <stele/base.h>

struct stele__map_entry;

struct stele__map {
    struct stele__map_entry *entries;
    size_t count;
    size_t capacity; /* a power of two, or 0 */
    size_t tombstones;
};

void stele__map_init(struct stele__map *map);
void stele__map_fini(struct stele__map *map);
/* The value of `key`, NULL if it has none. */
void *stele__map_get(const struct stele__map *map, struct stele_slice key);
/* Set or replace (value not NULL; a replaced entry keeps its first key); false when memory is out. */
bool stele__map_put(struct stele__map *map, struct stele_slice key, void *value);
/* Remove and return the value, NULL if there was none. */
void *stele__map_remove(struct stele__map *map, struct stele_slice key);
/* Walk in no particular order: start with *place = 0; false at the end. The map must not change meanwhile. */
bool stele__map_next(const struct stele__map *map, size_t *place, struct stele_slice *key, void **value);

#endif
