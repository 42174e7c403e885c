/*
 * The inside of projections that run.
 *
 *     stele_projections ─── stele__running ... (one for each)
 *                             kind: what differs between IN_FILE, IN_STORE, IN_MEMORY, OUT and SQL files
 *                             subscription: what shows it the events; NULL in the store
 *
 * One that runs stays where it is until all are freed, so that a name is looked
 * up under the lock and used without it.
 */
#ifndef STELE_PROJECTIONS_PROJECTIONS_H
#define STELE_PROJECTIONS_PROJECTIONS_H

#include <stdatomic.h>

#include "base/vector.h"
#include "projections/building.h"
#include "projections/marks.h"
#include "projections/projecting.h"
#include "projections/target.h"
#include "runtime/runtime.h"
#include "store/store.h"

#include <pthread.h>

struct stele__running;

/* What a kind does. All but `size` and `start` may be NULL: there is nothing to do, or (rebuild, open) it is
 * refused. */
struct stele__running_kind {
    size_t size; /* of its struct, which begins with struct stele__running */
    /* Open what it needs, and begin; what it did so far is taken back by `stop`, called also if it fails. */
    stele_status (*start)(struct stele__running *running, stele_error **error);
    /* The subscription has been freed. */
    void (*stop)(struct stele__running *running);
    stele_status (*rebuild)(struct stele__running *running, stele_error **error);
    stele_status (*open)(struct stele__running *running, stele_views **out, stele_error **error);
    /* Of those that fill tables behind the log: what follows is then done with it. */
    struct stele__target *(*target)(struct stele__running *running);
    /* Of what is built anew. */
    struct stele__building *(*building)(struct stele__running *running);
    /* Instead of stele_subscription_wait(), until a monotonic time. */
    stele_status (*wait)(struct stele__running *running, uint64_t position, int64_t deadline, stele_error **error);
    /* Set what the kind knows; all else has been. */
    void (*tell)(struct stele__running *running, struct stele_projection_stats *stats);
};

struct stele__running {
    const struct stele__running_kind *kind;
    stele_projections *projections;
    const char *name;
    uint32_t version;
    enum stele_projection_kind told; /* in numbers */
    atomic_bool is_started;
    stele_subscription *subscription;

    /* Of those with functions. */
    const struct stele_projection *projection;
    void *model;
    const stele_model *sql_model; /* instead */
    struct stele_projecting at;
    struct stele_subscriber subscriber;
    char subscription_name[STELE_PROJECTION_NAME_MAX + sizeof(":4294967295")];
    const char **types; /* their names, and NULL */
};

struct stele_projections {
    stele_store *store;
    stele_runtime *runtime;
    char *file;
    pthread_mutex_t mutex;    /* guards the list */
    struct stele__vector all; /* struct stele__running *, in order of adding */
};

extern const struct stele__running_kind stele__running_in_file;
extern const struct stele__running_kind stele__running_in_store;
extern const struct stele__running_kind stele__running_in_memory;
extern const struct stele__running_kind stele__running_out;

/* Start the subscription of one with functions: `how` has what differs, and the context is `running`. */
stele_status stele__running_subscribe(struct stele__running *running, const struct stele_subscriber *how,
                                      stele_error **error);

/* STELE_NOT_FOUND for a name that is none, or not started yet. */
stele_status stele__running_find(stele_projections *projections, const char *name, struct stele__running **out,
                                 stele_error **error);
/* The next one that is started, from *place = 0 on; NULL at the end. */
struct stele__running *stele__running_next(stele_projections *projections, size_t *place);
/* Put its name in front of an error; returns `status`. */
stele_status stele__running_fault(const struct stele__running *running, stele_status status, stele_error **error);

/* Add one, made by its kind, and start it. `set` puts in what the kind needs. */
struct stele__running_seed {
    const struct stele__running_kind *kind;
    const char *name;
    uint32_t version;
    enum stele_projection_kind told;
    const struct stele_projection *projection;
    void *model;
    const stele_model *sql_model;
};
stele_status stele__running_add(stele_projections *projections, const struct stele__running_seed *seed,
                                stele_error **error);

/* What is known of its being built anew; NULL for a kind that is not, or not while it runs. */
struct stele__building *stele__running_building(struct stele__running *running);

/* STELE_INVALID for NULL. */
stele_status stele__projections_check(const stele_projections *projections, stele_error **error);

/* A digest of the views that a projection fills, and of what it fills them with. STELE_NO_MEMORY. */
stele_status stele__projection_digest(const struct stele_projection *projection, uint8_t out[STELE__DIGEST_SIZE],
                                      stele_error **error);
/* The names of its views, with commas between; to be freed with stele__text_free(). */
stele_status stele__projection_tables(const struct stele_projection *projection, char **out, stele_error **error);
/* Make its views. */
stele_status stele__projection_make(const struct stele_projection *projection, stele_views *views, stele_error **error);
/* Are they as they would be made? STELE_NOT_FOUND, STELE_INVALID with "view". */
stele_status stele__projection_compare(const struct stele_projection *projection, stele_views *views,
                                       stele_error **error);

#endif
