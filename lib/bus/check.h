/* What routes are for, asked by whoever looks at them as a graph: stele_bus_check(), and apps. */
#ifndef STELE_BUS_CHECK_H
#define STELE_BUS_CHECK_H

#include <stele/bus.h>

/* True if a route is for messages of a type: by its pattern, by the type, or by a parent of it. Its condition (`where`)
 * is not asked. */
bool stele__route_wants(const struct stele_route *route, const struct stele_type *type);

/* True if a route is `on` one name, without wildcards. */
bool stele__route_is_exact(const struct stele_route *route);

/* The name of the one type a route is for; NULL for a pattern. */
const char *stele__route_exact_name(const struct stele_route *route);

/* True if a route gets stored events, after their commit. */
bool stele__route_is_stored(const struct stele_route *route);

/* True if two routes are for exactly the same type and their conditions do not keep them apart: of a command or query only
 * one of them may be there. */
bool stele__routes_are_rivals(const struct stele_route *left, const struct stele_route *right);

#endif
