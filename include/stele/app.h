/*
 * stele/app.h - modules, and the app they are mounted on.
 *
 * A module is a constant bundle of what belongs together: types, aggregates,
 * routes, interceptors, under one namespace. An app has a bus, perhaps a store,
 * and the resources that handlers use; mounting modules on it looks at the
 * whole graph and says everything that is wrong with it, at once.
 *
 *     @example app
 *     #define GREETED(FIELD, T) FIELD(T, TEXT, name)
 *     STELE_DECLARE(greeted, GREETED);
 *     STELE_DEFINE_EVENT(greeted, "greeter.greeted", 1, GREETED);
 *
 *     struct printer {
 *         FILE *out;
 *     };
 *
 *     static stele_status print(struct printer *printer, const struct greeted *event, stele_context *context)
 *     {
 *         (void)context;
 *         fprintf(printer->out, "hello, %s\n", event->name);
 *         return STELE_OK;
 *     }
 *     STELE_DEFINE_HANDLER_WITH(print, greeted, printer)
 *
 *     static const struct stele_type *const greeter_types[] = {&greeted_type, NULL};
 *     static const struct stele_route greeter_routes[] = {
 *         {.name = "print", .on = "greeted", .handle = print_handle, .uses = "printer"},
 *     };
 *     const struct stele_module greeter = {
 *         .name = "greeter",
 *         .types = greeter_types,
 *         .accepts = greeter_types,
 *         .routes = greeter_routes,
 *         .route_count = 1,
 *     };
 *
 *     stele_status run_greeter(stele_runtime *runtime, struct printer *printer, stele_error **error)
 *     {
 *         static const struct stele_module *const modules[] = {&greeter, NULL};
 *         stele_app *app = NULL;
 *         stele_status status = stele_app_new(runtime, NULL, &app, error);
 *         if (status == STELE_OK)
 *             status = stele_app_provide(app, "printer", printer, error);
 *         if (status == STELE_OK)
 *             status = stele_app_mount(app, modules, error);
 *         if (status == STELE_OK)
 *             status = stele_app_run(app, 5000, error); // until SIGINT or SIGTERM
 *         stele_app_free(app);
 *         return status;
 *     }
 *     @end
 *
 * Names. In a module named "order", a route's name, what it is `on`, and the
 * name and pattern of an interceptor are relative: "placed" is "order.placed".
 * What begins with "order." already stays as it is; a leading dot makes a name
 * absolute: ".payment.paid" is "payment.paid". Names of types are never changed.
 * An interceptor without a pattern is for every message, of other modules too.
 *
 * An app is used by one thread at a time; its bus by any.
 */
#ifndef STELE_APP_H
#define STELE_APP_H

#include <stele/aggregate.h>
#include <stele/base.h>
#include <stele/bus.h>
#include <stele/error.h>
#include <stele/intercept.h>
#include <stele/observe.h>
#include <stele/store.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct stele_app stele_app;

/* An aggregate of a module; the app makes its repository, on its store. */
struct stele_module_aggregate {
    const struct stele_aggregate *aggregate;
    const struct stele_repository_options *options;
    const char *prefix; /* these as in struct stele_aggregate_route */
    const char *key;
    enum stele_delivery delivery;
    size_t capacity;
    unsigned attempts;
};

/* A request that a module makes: what it sends, and the type that is to answer. */
struct stele_module_request {
    const struct stele_type *sent;
    const struct stele_type *answered;
};

/* A message published again and again while the app runs. */
struct stele_module_schedule {
    const struct stele_type *type;
    const void *payload;
    uint64_t every_ms;
};

struct stele_module {
    const char *name; /* the namespace: letters, digits, '_' and '-' between dots; or "" for none */
    const struct stele_type *const *types;   /* known in the app; this and the next lists have NULL at their end */
    const struct stele_type *const *accepts; /* types that come from outside: not looked for among what is published */
    const struct stele_module *const *modules; /* mounted before this one, with their own namespaces */
    const char *const *needs;                  /* resources that must be there, besides those of routes */
    const struct stele_interceptor *const *interceptors;
    const struct stele_route *routes;
    size_t route_count;
    const struct stele_module_aggregate *aggregates;
    size_t aggregate_count;
    const struct stele_module_request *requests;
    size_t request_count;
    const struct stele_module_schedule *schedules;
    size_t schedule_count;
    /* Called when the app starts, in the order of mounting, and when it stops, in reverse, for those started. */
    stele_status (*start)(stele_app *app, stele_error **error);
    void (*stop)(stele_app *app);
};

struct stele_app_options {
    size_t size;
    stele_store *store;                  /* for aggregates, routes after the commit, dead letters; outlives the app */
    const struct stele_bus_options *bus; /* default: one that measures */
    bool
        allow_unhandled; /* types published that nothing handles, and handled that nothing publishes, are only logged */
};

/* An app on a runtime, which must outlive it. STELE_INVALID, STELE_NO_MEMORY. */
STELE_API stele_status stele_app_new(stele_runtime *runtime, const struct stele_app_options *options, stele_app **out,
                                     stele_error **error);
/* Stop (waiting up to 5 seconds) and free; NULL is allowed. */
STELE_API void stele_app_free(stele_app *app);

/* Name a resource, before what needs it is mounted. STELE_INVALID: NULL, no name, or one that is taken. */
STELE_API stele_status stele_app_provide(stele_app *app, const char *name, void *resource, stele_error **error);
/* A resource by name; NULL if there is none. */
STELE_API void *stele_app_resource(const stele_app *app, const char *name);

/*
 * Mount modules (NULL at the end of the list), before the app is started: all, or
 * none. The graph of all that is mounted then is checked: unknown types, two
 * types under one name, a second handler of a command or query, a reply other
 * than the one awaited, awaited but never published, published but never handled
 * (events of aggregates need no handler: they are in the log), handled but neither
 * published nor accepted, resources that are not there, names that are taken or
 * malformed, modules in a circle, an aggregate without a store. STELE_INVALID
 * with all problems in the message, and in the error's "problems", one a line; those beyond
 * some 3,600 bytes are only counted. A module mounted twice is mounted once. What
 * a bus alone can refuse (stele_bus_add_route()) comes after that, one by one.
 */
STELE_API stele_status stele_app_mount(stele_app *app, const struct stele_module *const *modules, stele_error **error);

/*
 * Start: the routes after the commit begin, then the `start` functions are
 * called, then the schedules run; if something fails, those started are stopped again
 * and its error returned, and the app may be started once more. Starting what is
 * started or stopped is STELE_INVALID.
 */
STELE_API stele_status stele_app_start(stele_app *app, stele_error **error);
/* Stop: stele_bus_stop(), then the `stop` functions in reverse. Stopping twice is harmless. */
STELE_API stele_status stele_app_stop(stele_app *app, uint32_t timeout_ms, struct stele_stopped *out,
                                      stele_error **error);
/*
 * Start, wait for SIGINT or SIGTERM (or stele_app_quit()), stop within
 * `timeout_ms`; a second signal ends the wait. The former handlers of these
 * signals are put back. One app at a time may run (STELE_INVALID). Worker threads
 * block all signals: a handler ends the app by stele_app_quit(), not by raise(3). A child of the process that
 * gets one of the two dies of it. A runtime without
 * workers is driven meanwhile; in a simulation, virtual time passes, and the app
 * ends as well when nothing will ever happen any more. Errors as stele_app_start()
 * and stele_app_stop(); STELE_IO when the system is out of descriptors.
 */
STELE_API stele_status stele_app_run(stele_app *app, uint32_t timeout_ms, stele_error **error);
/* Have stele_app_run() end. Thread-safe; from handlers too. */
STELE_API void stele_app_quit(stele_app *app);

/* Valid as long as the app. */
STELE_API stele_bus *stele_app_bus(const stele_app *app);
STELE_API stele_store *stele_app_store(const stele_app *app); /* NULL without one */
/* The repository of a mounted aggregate; NULL if there is none. */
STELE_API const stele_repository *stele_app_repository(const stele_app *app, const struct stele_aggregate *aggregate);

/*
 * The graph: modules, routes, what they are on and publish, in the order of
 * mounting: as text for people, or for Graphviz dot. In `arena`, with a NUL
 * behind it.
 */
STELE_API stele_status stele_app_graph_text(const stele_app *app, stele_arena *arena, struct stele_slice *out,
                                            stele_error **error);
STELE_API stele_status stele_app_graph_dot(const stele_app *app, stele_arena *arena, struct stele_slice *out,
                                           stele_error **error);

#ifdef __cplusplus
}
#endif

#endif
