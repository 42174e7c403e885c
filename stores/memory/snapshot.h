/* The snapshots of the memory backend, by stream. A reader keeps the one it reads alive. */
#ifndef STELE_MEMORY_SNAPSHOT_H
#define STELE_MEMORY_SNAPSHOT_H

#include <stele/spi/store.h>

#include "base/map.h"

struct memory__snapshot {
    struct stele_snapshot content; /* its bytes lie behind it */
    size_t references;
    size_t allocated;
};

struct memory__snapshots {
    struct stele__map by_stream;
};

void memory__snapshots_init(struct memory__snapshots *snapshots);
/* Drop all; what is left can be used as after init. */
void memory__snapshots_fini(struct memory__snapshots *snapshots);

/* The stream's snapshot, kept alive until given back; NULL if there is none. */
struct memory__snapshot *memory__snapshots_take(const struct memory__snapshots *snapshots, struct stele_slice stream);
void memory__snapshot_give(struct memory__snapshot *snapshot);

/* Keep a copy, unless a newer one of the same fingerprint is there; false when memory is out. */
bool memory__snapshots_keep(struct memory__snapshots *snapshots, const struct stele_snapshot *snapshot);
void memory__snapshots_drop(struct memory__snapshots *snapshots, struct stele_slice stream);

#endif
