/*
 * Snapshots that are written later.
 *
 *     offer -> waiting, one per stream -> the thread -> drop, save -> hook, settled
 *                 |                                  '- failed ----> log,  settled
 *                 '- overtaken by a newer one ---------------------> settled
 *
 * What can fail: memory and the thread (the offer is refused), the backend. In
 * all cases a snapshot is lost, which is no loss: the next load is slower.
 */
#include "store/later.h"

#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "store/hooks.h"
#include "store/store.h"
#include "runtime/thread.h"

#include <string.h>

/* --- Snapshots ------------------------------------------------------------------------ */

struct stele__later_snapshot *stele__later_new(struct stele_slice stream, struct stele_slice state)
{
    struct stele__later_snapshot *snapshot = NULL;
    size_t size;
    char *bytes;

    if (stele__size_add(sizeof(*snapshot) + stream.size + 1, state.size, &size))
        snapshot = stele__alloc(size);
    if (!snapshot)
        return NULL;
    bytes = (char *)(snapshot + 1);
    memcpy(bytes, stream.data, stream.size);
    if (state.size)
        memcpy(bytes + stream.size + 1, state.data, state.size);
    snapshot->snapshot.stream = (struct stele_slice){bytes, stream.size};
    snapshot->snapshot.state = (struct stele_slice){bytes + stream.size + 1, state.size};
    snapshot->allocated = size;
    return snapshot;
}

void stele__later_free(struct stele__later_snapshot *snapshot)
{
    if (snapshot)
        stele__free(snapshot, snapshot->allocated);
}

static void settle(struct stele__later_snapshot *snapshot, enum stele__later_end end)
{
    snapshot->settled(snapshot->context, end);
    stele__later_free(snapshot);
}

/* --- The queue, under the mutex --------------------------------------------------------- */

static void add(struct stele__later *later, struct stele__later_snapshot *snapshot)
{
    snapshot->next = NULL;
    snapshot->previous = later->last;
    if (later->last)
        later->last->next = snapshot;
    else
        later->first = snapshot;
    later->last = snapshot;
    later->bytes += snapshot->allocated;
}

static void take_out(struct stele__later *later, struct stele__later_snapshot *snapshot)
{
    if (snapshot->previous)
        snapshot->previous->next = snapshot->next;
    else
        later->first = snapshot->next;
    if (snapshot->next)
        snapshot->next->previous = snapshot->previous;
    else
        later->last = snapshot->previous;
    later->bytes -= snapshot->allocated;
    stele__map_remove(&later->waiting, snapshot->snapshot.stream);
}

static bool has_room(const struct stele__later *later, const struct stele__later_snapshot *snapshot)
{
    return !later->first ||
           (later->waiting.count < STELE__LATER_SNAPSHOTS && later->bytes + snapshot->allocated <= STELE__LATER_BYTES);
}

/* --- The thread --------------------------------------------------------------------------- */

static void tell_saved(const stele_store *store, const struct stele__later_snapshot *snapshot)
{
    const struct stele_hook_snapshot saved = {
        .aggregate = snapshot->aggregate,
        .stream = snapshot->snapshot.stream.data,
        .version = snapshot->snapshot.version,
        .bytes = snapshot->snapshot.state.size,
    };

    stele__hook_snapshot_saved(store->hooks, &saved);
}

static void write_snapshot(stele_store *store, struct stele__later_snapshot *snapshot)
{
    stele_error *error = NULL;
    stele_status status = STELE_OK;

    if (snapshot->replaces)
        status = stele__store_drop_snapshot(store, snapshot->snapshot.stream, &error);
    if (status == STELE_OK)
        status = stele__store_save_snapshot(store, &snapshot->snapshot, &error);
    if (status == STELE_OK)
        tell_saved(store, snapshot);
    else
        STELE__LOG(STELE_LOG_WARNING, "a snapshot cannot be written", {"stream", snapshot->snapshot.stream.data},
                   {"why", stele_error_message(error)});
    stele_error_free(error);
    settle(snapshot, status == STELE_OK ? STELE__LATER_WRITTEN : STELE__LATER_FAILED);
}

static void *run(void *context)
{
    struct stele__later *later = context;

    pthread_mutex_lock(&later->mutex);
    for (;;) {
        struct stele__later_snapshot *snapshot = later->first;

        if (!snapshot && later->stopping)
            break;
        if (!snapshot) {
            pthread_cond_wait(&later->changed, &later->mutex);
            continue;
        }
        take_out(later, snapshot);
        later->writing = true;
        pthread_mutex_unlock(&later->mutex);
        write_snapshot(later->store, snapshot);
        pthread_mutex_lock(&later->mutex);
        later->writing = false;
        pthread_cond_broadcast(&later->changed);
    }
    pthread_mutex_unlock(&later->mutex);
    return NULL;
}

/* Under the mutex. */
static bool start(struct stele__later *later)
{
    if (!later->started)
        later->started = stele__thread_start(&later->thread, run, later) == 0;
    return later->started;
}

/* --- What others call ---------------------------------------------------------------------- */

/* Under the mutex: let a snapshot wait. One that it overtakes, or that overtakes it, is in `*overtaken`. */
static bool take_in(struct stele__later *later, struct stele__later_snapshot *snapshot,
                    struct stele__later_snapshot **overtaken)
{
    struct stele__later_snapshot *older = stele__map_get(&later->waiting, snapshot->snapshot.stream);

    if (later->stopping || !has_room(later, snapshot))
        return false;
    if (older && older->snapshot.version > snapshot->snapshot.version) {
        older->replaces = older->replaces || snapshot->replaces;
        *overtaken = snapshot;
        return true;
    }
    if (older) {
        take_out(later, older);
        snapshot->replaces = snapshot->replaces || older->replaces;
        *overtaken = older;
    }
    if (!stele__map_put(&later->waiting, snapshot->snapshot.stream, snapshot))
        return false;
    add(later, snapshot);
    return true;
}

bool stele__later_offer(struct stele__later *later, struct stele__later_snapshot *snapshot)
{
    struct stele__later_snapshot *overtaken = NULL;
    bool taken;

    pthread_mutex_lock(&later->mutex);
    taken = start(later) && take_in(later, snapshot, &overtaken);
    pthread_cond_broadcast(&later->changed);
    pthread_mutex_unlock(&later->mutex);
    if (overtaken)
        settle(overtaken, STELE__LATER_OVERTAKEN);
    return taken;
}

void stele__later_drain(struct stele__later *later)
{
    pthread_mutex_lock(&later->mutex);
    while (later->first || later->writing)
        pthread_cond_wait(&later->changed, &later->mutex);
    pthread_mutex_unlock(&later->mutex);
}

stele_status stele__later_init(struct stele__later *later, stele_store *store, stele_error **error)
{
    memset(later, 0, sizeof(*later));
    later->store = store;
    stele__map_init(&later->waiting);
    if (pthread_mutex_init(&later->mutex, NULL) != 0)
        return stele__fail_memory(error);
    if (pthread_cond_init(&later->changed, NULL) == 0)
        return STELE_OK;
    pthread_mutex_destroy(&later->mutex);
    return stele__fail_memory(error);
}

void stele__later_stop(struct stele__later *later)
{
    pthread_mutex_lock(&later->mutex);
    later->stopping = true;
    pthread_cond_broadcast(&later->changed);
    pthread_mutex_unlock(&later->mutex);
    if (later->started)
        pthread_join(later->thread, NULL);
}

void stele__later_fini(struct stele__later *later)
{
    pthread_cond_destroy(&later->changed);
    pthread_mutex_destroy(&later->mutex);
    stele__map_fini(&later->waiting);
}
