/* What a bus counted, taken together, and as text. */
#ifndef STELE_BUS_METRICS_H
#define STELE_BUS_METRICS_H

#include <stele/bus.h>

#include "base/buffer.h"

/* A route's numbers, with copies of what may go with the route. */
struct stele__metrics_route {
    struct stele_route_stats stats;
    const char *name;
    const char *error; /* text of the last one; "" if it never failed; UTF-8 */
};

struct stele__metrics {
    struct stele_bus_stats bus;
    const struct stele__metrics_route *routes;
    size_t route_count;
};

/* Append; a failure for lack of memory stays in the buffer. JSON needs `arena` for what it is made of. */
stele_status stele__metrics_to_json(const struct stele__metrics *metrics, stele_arena *arena,
                                    struct stele__buffer *buffer, stele_error **error);
void stele__metrics_to_prometheus(const struct stele__metrics *metrics, struct stele__buffer *buffer);

#endif
