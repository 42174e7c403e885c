/*
 * Snapshots in memory, one block each, counted by reference: the map has one,
 * and each reader. What can fail: memory; the stream may be without one then.
 */
#include "memory/snapshot.h"

#include "base/memory.h"

#include <string.h>

void memory__snapshots_init(struct memory__snapshots *snapshots)
{
    stele__map_init(&snapshots->by_stream);
}

void memory__snapshots_fini(struct memory__snapshots *snapshots)
{
    struct stele_slice stream;
    size_t at = 0;
    void *snapshot;

    while (stele__map_next(&snapshots->by_stream, &at, &stream, &snapshot))
        memory__snapshot_give(snapshot);
    stele__map_fini(&snapshots->by_stream);
    stele__map_init(&snapshots->by_stream);
}

struct memory__snapshot *memory__snapshots_take(const struct memory__snapshots *snapshots, struct stele_slice stream)
{
    struct memory__snapshot *snapshot = stele__map_get(&snapshots->by_stream, stream);

    if (snapshot)
        snapshot->references++;
    return snapshot;
}

void memory__snapshot_give(struct memory__snapshot *snapshot)
{
    if (--snapshot->references == 0)
        stele__free(snapshot, snapshot->allocated);
}

static struct memory__snapshot *copy_snapshot(const struct stele_snapshot *snapshot)
{
    const size_t size = sizeof(struct memory__snapshot) + snapshot->stream.size + 1 + snapshot->state.size;
    struct memory__snapshot *copy = stele__alloc(size);
    char *bytes = (char *)(copy + 1);

    if (!copy)
        return NULL;
    copy->content = *snapshot;
    copy->content.stream.data = bytes;
    memcpy(bytes, snapshot->stream.data, snapshot->stream.size);
    bytes += snapshot->stream.size + 1;
    copy->content.state.data = bytes;
    if (snapshot->state.size)
        memcpy(bytes, snapshot->state.data, snapshot->state.size);
    copy->references = 1;
    copy->allocated = size;
    return copy;
}

bool memory__snapshots_keep(struct memory__snapshots *snapshots, const struct stele_snapshot *snapshot)
{
    const struct memory__snapshot *stored = stele__map_get(&snapshots->by_stream, snapshot->stream);
    struct memory__snapshot *copy;

    if (stored && stored->content.version > snapshot->version &&
        memcmp(stored->content.fingerprint, snapshot->fingerprint, sizeof(snapshot->fingerprint)) == 0)
        return true;
    copy = copy_snapshot(snapshot);
    if (!copy)
        return false;
    /* An entry keeps its first key, which goes with the snapshot it is part of. */
    memory__snapshots_drop(snapshots, snapshot->stream);
    if (stele__map_put(&snapshots->by_stream, copy->content.stream, copy))
        return true;
    memory__snapshot_give(copy);
    return false;
}

void memory__snapshots_drop(struct memory__snapshots *snapshots, struct stele_slice stream)
{
    struct memory__snapshot *snapshot = stele__map_remove(&snapshots->by_stream, stream);

    if (snapshot)
        memory__snapshot_give(snapshot);
}
