/*
 * One projection's events, shown to its functions one at a time.
 *
 *     message -> the function of its type -> decoded into the arena -> called -> arena emptied
 */
#ifndef STELE_PROJECTIONS_PROJECTING_H
#define STELE_PROJECTIONS_PROJECTING_H

#include <stele/projection.h>

#include "base/arena.h"
#include "base/map.h"

enum { STELE__DELIVERY_SIZE = STELE_PROJECTION_NAME_MAX + sizeof(":18446744073709551615:4294967295") };

/* The function of a type. */
struct stele__function {
    struct stele_slice name;
    const struct stele_projection_on *on;
};

/* Owner only; set up once for each projection that runs. */
struct stele_projecting {
    const struct stele_projection *projection;
    struct stele__function *functions; /* as many as the projection has */
    struct stele__map by_name;
    const struct stele__function *latest;
    uint64_t replay_until; /* for stele_projecting_is_replay() */

    /* Of the call. */
    const stele_message *message;
    struct stele_arena arena;
    stele_error *cause;
    char delivery[STELE__DELIVERY_SIZE];
};

/* Of a projection that was checked. STELE_NO_MEMORY; then there is nothing to finish. */
stele_status stele__projecting_init(struct stele_projecting *at, const struct stele_projection *projection,
                                    stele_error **error);
void stele__projecting_fini(struct stele_projecting *at);

/* Call what there is for an event's type; STELE_OK without one. What failed is told with "projection", "type" and
 * "position". */
stele_status stele__project(struct stele_projecting *at, void *model, const stele_message *message,
                            stele_error **error);

/* Check a projection itself, and the model it is added with. STELE_INVALID, beginning "projection NAME: ". */
stele_status stele__projection_check(const struct stele_projection *projection, const void *model, stele_error **error);
/* Set "projection", and put its name in front of the message; returns `status`. */
stele_status stele__projection_fault(const struct stele_projection *projection, stele_status status,
                                     stele_error **error);

#endif
