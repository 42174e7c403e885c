/*
 * What the files of lib/app/ share: an app, modules as they are mounted, what is
 * wrong with them.
 *
 *   modules given ──► stele__collect() ──► mounted modules: tables copied, names resolved (module.c)
 *                                              │
 *                      stele__check_modules() ─┤ problems, all of them (check.c)
 *                                              ├──► routes, types, aggregates on the bus (mount.c)
 *                                              └──► text and dot (graph.c)
 */
#ifndef STELE_APP_APP_H
#define STELE_APP_APP_H

#include <stele/app.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/map.h"
#include "base/vector.h"
#include "runtime/runtime.h"

/* A module on an app. Lives in the app's arena. */
struct stele__mounted {
    const struct stele_module *given;
    struct stele_module table; /* a copy: names resolved, tables that are missing empty, never without a name */
    stele_route_id *routes;    /* table.route_count, once they are on the bus */
    const stele_repository **repositories; /* table.aggregate_count, likewise */
    size_t interceptors_added;
    size_t aggregates_added;
    bool is_started;
};

/*
 *            start                  stop
 *   MOUNTING ─────► STARTED ───────────────► STOPPED
 *      ▲  │ failed     (or at once, if it was never started)
 *      └──┘
 */
enum stele__app_state { STELE__MOUNTING, STELE__STARTED, STELE__STOPPED };

struct stele_app {
    stele_runtime *runtime;
    stele_bus *bus;
    stele_store *store;
    bool allow_unhandled;
    enum stele__app_state state;
    struct stele_arena arena;          /* modules, names */
    struct stele__map resources;       /* by name */
    struct stele__vector modules;      /* struct stele__mounted *, in the order of mounting */
    struct stele__vector repositories; /* stele_repository *, freed with the app: calls under way may use them */
    struct stele__vector schedules;    /* stele_schedule_id, while started */
    struct stele__signal quit;
};

/* What is wrong, a line each. */
struct stele__problems {
    struct stele__buffer text;
    size_t count;
};

/* Its namespace, "" for none. */
static inline const char *stele__module_name(const struct stele_module *module)
{
    return module->name ? module->name : "";
}

/* The same for people to read. */
static inline const char *stele__module_label(const struct stele_module *module)
{
    return *stele__module_name(module) ? module->name : "\"\"";
}

/* Begin a line, "module NAME, KIND NAME: " (without a `kind`: "module NAME: "), that the caller goes on with. */
struct stele__buffer *stele__problem(struct stele__problems *problems, const struct stele_module *module,
                                     const char *kind, const char *name);

/* A name as its module's namespace has it (stele/app.h); NULL for NULL, and when memory is out (arena->refused). */
const char *stele__name_resolve(struct stele_arena *arena, const char *prefix, const char *name);

/*
 * Append to `modules` those that `list` names and that are not there yet, those
 * they are made of before them. Circles and tables that are missing are problems.
 */
stele_status stele__collect(struct stele_arena *arena, const struct stele_module *const *list,
                            struct stele__vector *modules, struct stele__problems *problems, stele_error **error);

enum {
    STELE__PUBLISHED = 1, /* by a route, an aggregate, a request or a schedule; or it comes from outside */
    STELE__AWAITED = 2,
    STELE__WANTED = 4 /* by a route or an aggregate */
};

/* A type of the graph, by its name. */
struct stele__used_type {
    const struct stele_type *type;
    const struct stele_module *module; /* that mentions it first */
    unsigned marks;
    const char *handler;   /* of a command or query: the route or aggregate met last; NULL: none */
    const char *aggregate; /* the same, if it is one */
    bool has_other;        /* another type has its name, and that was told */
};

/* The types of all modules. */
struct stele__graph {
    const struct stele__vector *modules; /* struct stele__mounted * */
    struct stele__vector types;          /* struct stele__used_type *, as they are mentioned */
    struct stele__map by_name;
    struct stele_arena arena;
};

/* Find the types of modules; what is wrong with them is told, if `problems` is not NULL. Free with fini, also on failure. */
stele_status stele__graph_init(struct stele__graph *graph, const struct stele__vector *modules,
                               struct stele__problems *problems, stele_error **error);
void stele__graph_fini(struct stele__graph *graph);
struct stele__used_type *stele__graph_find(const struct stele__graph *graph,
                                           struct stele_slice name); /* NULL: unknown */
struct stele__used_type *stele__graph_type(const struct stele__graph *graph, size_t index);
struct stele_module *stele__graph_module(const struct stele__graph *graph, size_t index);

/* Find all that is wrong with the modules of an app, mounted and to be mounted. STELE_NO_MEMORY. */
stele_status stele__check_modules(const stele_app *app, const struct stele__vector *modules,
                                  struct stele__problems *problems, stele_error **error);

/* Routes that get stored events are put on the bus when the app starts, others when they are mounted. */
stele_status stele__route_mount(stele_app *app, struct stele__mounted *mounted, size_t index, stele_error **error);
void stele__route_unmount(stele_app *app, struct stele__mounted *mounted, size_t index);

#endif
