/*
 * Projections of a store: added, found by name, visited, stopped.
 *
 *     add ─► checked ─► name taken, under the lock ─► started, without it ─► found by others from now on
 *
 * What can fail: what is wrong with a projection, what its kind cannot open,
 * its subscription, memory.
 */
#include "projections/projections.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "store/subscription.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

stele_status stele__projections_check(const stele_projections *projections, stele_error **error)
{
    return projections ? STELE_OK : stele__fail_argument(error, "projections", "is NULL");
}

stele_status stele__running_fault(const struct stele__running *running, stele_status status, stele_error **error)
{
    stele__error_prefix(error, "projection %s", running->name);
    stele__error_add(error, "projection", "%s", running->name);
    return status;
}

/* --- Life --------------------------------------------------------------------------- */

stele_status stele_projections_new(stele_store *store, stele_runtime *runtime,
                                   const struct stele_projections_options *options, stele_projections **out,
                                   stele_error **error)
{
    stele_projections *projections;
    stele_status status = stele__store_check(store, error);

    if (status == STELE_OK && !runtime)
        status = stele__fail_argument(error, "runtime", "is NULL");
    if (status == STELE_OK && !out)
        status = stele__fail_argument(error, "out", "is NULL");
    if (status == STELE_OK)
        status = stele__options_check(options, sizeof(size_t), sizeof(*options), "options", error);
    if (status != STELE_OK)
        return status;
    projections = stele__alloc(sizeof(*projections));
    if (!projections || pthread_mutex_init(&projections->mutex, NULL) != 0) {
        stele__free(projections, sizeof(*projections));
        return stele__fail_memory(error);
    }
    projections->store = store;
    projections->runtime = runtime;
    stele__vector_init(&projections->all, sizeof(struct stele__running *));
    if (options && options->file) {
        projections->file = stele__text_copy(options->file);
        if (!projections->file) {
            stele_projections_free(projections);
            return stele__fail_memory(error);
        }
    }
    *out = projections;
    return STELE_OK;
}

static void stop(struct stele__running *running)
{
    stele_subscription_free(running->subscription);
    if (running->kind->stop)
        running->kind->stop(running);
    if (running->projection) {
        stele__projecting_fini(&running->at);
        stele__free(running->types, (running->projection->on_count + 1) * sizeof(*running->types));
    }
    stele__free(running, running->kind->size);
}

void stele_projections_free(stele_projections *projections)
{
    if (!projections)
        return;
    for (size_t i = projections->all.count; i > 0; i--) {
        struct stele__running **place = stele__vector_at(&projections->all, i - 1);

        stop(*place);
    }
    stele__vector_fini(&projections->all);
    pthread_mutex_destroy(&projections->mutex);
    stele__text_free(projections->file);
    stele__free(projections, sizeof(*projections));
}

/* --- Finding -------------------------------------------------------------------------- */

/* With the lock. */
static struct stele__running *find(const stele_projections *projections, const char *name)
{
    for (size_t i = 0; i < projections->all.count; i++) {
        struct stele__running **place = stele__vector_at(&projections->all, i);

        if (strcmp((*place)->name, name) == 0)
            return *place;
    }
    return NULL;
}

stele_status stele__running_find(stele_projections *projections, const char *name, struct stele__running **out,
                                 stele_error **error)
{
    struct stele__running *running;
    stele_status status = stele__projections_check(projections, error);

    if (status == STELE_OK && !name)
        status = stele__fail_argument(error, "name", "is NULL");
    if (status != STELE_OK)
        return status;
    pthread_mutex_lock(&projections->mutex);
    running = find(projections, name);
    pthread_mutex_unlock(&projections->mutex);
    if (running && atomic_load(&running->is_started)) {
        *out = running;
        return STELE_OK;
    }
    stele__fail(error, STELE_NOT_FOUND, "there is no projection %s", name);
    stele__error_add(error, "projection", "%s", name);
    return STELE_NOT_FOUND;
}

struct stele__running *stele__running_next(stele_projections *projections, size_t *place)
{
    struct stele__running *found = NULL;

    pthread_mutex_lock(&projections->mutex);
    while (!found && *place < projections->all.count) {
        struct stele__running **at = stele__vector_at(&projections->all, (*place)++);

        if (atomic_load(&(*at)->is_started))
            found = *at;
    }
    pthread_mutex_unlock(&projections->mutex);
    return found;
}

/* --- Adding ----------------------------------------------------------------------------- */

static stele_status make_running(stele_projections *projections, const struct stele__running_seed *seed,
                                 struct stele__running **out, stele_error **error)
{
    struct stele__running *running = stele__alloc(seed->kind->size);

    if (!running)
        return stele__fail_memory(error);
    running->kind = seed->kind;
    running->projections = projections;
    running->name = seed->name;
    running->version = seed->version;
    running->told = seed->told;
    running->model = seed->model;
    running->sql_model = seed->sql_model;
    snprintf(running->subscription_name, sizeof(running->subscription_name), "%s:%" PRIu32, seed->name, seed->version);
    if (seed->projection) {
        const stele_status status = stele__projecting_init(&running->at, seed->projection, error);

        if (status != STELE_OK) {
            stele__free(running, seed->kind->size);
            return status;
        }
        running->projection = seed->projection;
    }
    *out = running;
    return STELE_OK;
}

static stele_status take_name(stele_projections *projections, struct stele__running *running, stele_error **error)
{
    struct stele__running **place = NULL;
    bool is_taken;

    pthread_mutex_lock(&projections->mutex);
    is_taken = find(projections, running->name) != NULL;
    if (!is_taken)
        place = stele__vector_add(&projections->all);
    if (place)
        *place = running;
    pthread_mutex_unlock(&projections->mutex);
    if (is_taken)
        return stele__fail(error, STELE_INVALID, "there is one of this name already");
    return place ? STELE_OK : stele__fail_memory(error);
}

static void give_name_back(stele_projections *projections, const struct stele__running *running)
{
    struct stele__running **items;
    size_t kept = 0;

    pthread_mutex_lock(&projections->mutex);
    items = projections->all.items;
    for (size_t i = 0; i < projections->all.count; i++)
        if (items[i] != running)
            items[kept++] = items[i];
    stele__vector_truncate(&projections->all, kept);
    pthread_mutex_unlock(&projections->mutex);
}

stele_status stele__running_add(stele_projections *projections, const struct stele__running_seed *seed,
                                stele_error **error)
{
    struct stele__running *running = NULL;
    stele_status status = make_running(projections, seed, &running, error);

    if (status != STELE_OK)
        return status;
    status = take_name(projections, running, error);
    if (status != STELE_OK) {
        stele__running_fault(running, status, error);
        running->subscription = NULL;
        stop(running);
        return status;
    }
    status = running->kind->start(running, error);
    if (status == STELE_OK) {
        atomic_store(&running->is_started, true);
        return STELE_OK;
    }
    stele__running_fault(running, status, error);
    give_name_back(projections, running);
    stop(running);
    return status;
}

stele_status stele_projections_add(stele_projections *projections, const struct stele_projection *projection,
                                   void *model, stele_error **error)
{
    static const struct stele__running_kind *const kinds[] = {
        [STELE_PROJECTION_IN_FILE] = &stele__running_in_file,
        [STELE_PROJECTION_IN_STORE] = &stele__running_in_store,
        [STELE_PROJECTION_IN_MEMORY] = &stele__running_in_memory,
        [STELE_PROJECTION_OUT] = &stele__running_out,
    };
    stele_status status = stele__projections_check(projections, error);

    if (status == STELE_OK)
        status = stele__projection_check(projection, model, error);
    if (status != STELE_OK)
        return status;
    return stele__running_add(projections,
                              &(struct stele__running_seed){
                                  .kind = kinds[projection->kind],
                                  .name = projection->name,
                                  .version = projection->version,
                                  .told = projection->kind,
                                  .projection = projection,
                                  .model = model,
                              },
                              error);
}

stele_status stele__running_subscribe(struct stele__running *running, const struct stele_subscriber *how,
                                      stele_error **error)
{
    const struct stele_projection *projection = running->projection;

    running->types = stele__alloc((projection->on_count + 1) * sizeof(*running->types));
    if (!running->types)
        return stele__fail_memory(error);
    for (size_t i = 0; i < projection->on_count; i++)
        running->types[i] = projection->on[i].type->name;
    running->subscriber = *how;
    running->subscriber.name = running->subscription_name;
    running->subscriber.types = running->types;
    running->subscriber.category = projection->category;
    running->subscriber.start = projection->start;
    running->subscriber.retry = projection->retry;
    running->subscriber.on_failure = projection->on_failure;
    if (projection->batch)
        running->subscriber.batch = projection->batch;
    return stele_subscription_start(running->projections->store, running->projections->runtime, &running->subscriber,
                                    running, &running->subscription, error);
}

/* --- Looking ------------------------------------------------------------------------------ */

stele_status stele_projections_visit(stele_projections *projections, stele_projection_visit *visit, void *context,
                                     stele_error **error)
{
    struct stele__running *running;
    size_t place = 0;
    stele_status status = stele__projections_check(projections, error);

    if (status == STELE_OK && !visit)
        status = stele__fail_argument(error, "visit", "is NULL");
    if (status != STELE_OK)
        return status;
    while ((running = stele__running_next(projections, &place))) {
        struct stele_projection_stats stats = {
            .name = running->name, .version = running->version, .kind = running->told};
        struct stele__building *building = stele__running_building(running);

        if (running->subscription)
            stele_subscription_get_stats(running->subscription, &stats.running);
        if (building)
            stats.is_building = stele__building_is_under_way(building);
        if (stats.is_building && running->kind->target)
            stats.old_version = atomic_load(&running->kind->target(running)->old_version);
        if (running->kind->tell)
            running->kind->tell(running, &stats);
        if (!visit(context, &stats))
            break;
    }
    return STELE_OK;
}

stele_subscription *stele_projections_subscription(stele_projections *projections, const char *name)
{
    struct stele__running *running = NULL;

    return stele__running_find(projections, name, &running, NULL) == STELE_OK ? running->subscription : NULL;
}

struct stele__building *stele__running_building(struct stele__running *running)
{
    if (running->kind->target)
        return &running->kind->target(running)->building;
    return running->kind->building ? running->kind->building(running) : NULL;
}

/* --- Tables ----------------------------------------------------------------------------------- */

static stele_status open_file(const struct stele__running *running, stele_views **out, stele_error **error)
{
    struct stele_views_options options = STELE_OPTIONS_INIT(struct stele_views_options);

    options.mode = STELE_OPEN_READ_ONLY;
    if (!running->projections->file)
        return stele_views_of_store(running->projections->store, out, error);
    return stele_views_open(running->projections->file, &options, out, error);
}

stele_status stele_projections_open(stele_projections *projections, const char *name, stele_views **out,
                                    stele_error **error)
{
    struct stele__running *running = NULL;
    stele_status status = stele__running_find(projections, name, &running, error);

    if (status == STELE_OK && !out)
        status = stele__fail_argument(error, "out", "is NULL");
    if (status != STELE_OK)
        return status;
    if (running->kind->target)
        status = open_file(running, out, error);
    else if (running->kind->open)
        status = running->kind->open(running, out, error);
    else
        status = stele__fail(error, STELE_INVALID, "it has no views");
    return status == STELE_OK ? STELE_OK : stele__running_fault(running, status, error);
}

static stele_status rebuild_target(struct stele__running *running, stele_error **error)
{
    const stele_status status = stele__target_rebuild(running->kind->target(running), error);

    if (status == STELE_OK)
        stele__subscription_reload(running->subscription);
    return status;
}

stele_status stele_projections_rebuild(stele_projections *projections, const char *name, stele_error **error)
{
    struct stele__running *running = NULL;
    stele_status status = stele__running_find(projections, name, &running, error);

    if (status != STELE_OK)
        return status;
    if (running->kind->target)
        status = rebuild_target(running, error);
    else if (running->kind->rebuild)
        status = running->kind->rebuild(running, error);
    else
        status = stele__fail(error, STELE_INVALID, "what goes out cannot be built anew");
    return status == STELE_OK ? STELE_OK : stele__running_fault(running, status, error);
}

stele_status stele_projections_rollback(stele_projections *projections, const char *name, stele_error **error)
{
    struct stele__running *running = NULL;
    stele_status status = stele__running_find(projections, name, &running, error);

    if (status != STELE_OK)
        return status;
    if (running->kind->target)
        status = stele__target_swap_back(running->kind->target(running), error);
    else
        status = stele__fail(error, STELE_INVALID, "nothing is kept of a projection of its kind");
    if (status != STELE_OK)
        return stele__running_fault(running, status, error);
    /* It finds that its tables are of another version, and stops. */
    stele__subscription_reload(running->subscription);
    return STELE_OK;
}
