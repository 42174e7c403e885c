/*
 * An app: a bus, perhaps a store, resources by name; starting and stopping.
 *
 *   start   log routes ── start functions ── schedules        failed: undone in reverse
 *   stop    bus (with schedules, routes) ── stop functions, in reverse, of those started
 *   free    stop, bus, repositories, arena
 *
 * The bus's routes look at tables in the app's arena. If a handler has not
 * returned when the app is freed, the bus keeps its memory, and so does the app.
 */
#include "app/app.h"

#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "bus/check.h"
#include "bus/core.h"

enum { FREE_TIMEOUT_MS = 5000 };

/* --- New --------------------------------------------------------------------------------- */

static stele_status make_bus(stele_app *app, const struct stele_bus_options *options, stele_error **error)
{
    struct stele_bus_options defaults = STELE_OPTIONS_INIT(struct stele_bus_options);
    stele_status status;

    defaults.measure = true;
    status = stele_bus_new(app->runtime, options ? options : &defaults, &app->bus, error);
    if (status == STELE_OK && app->store)
        status = stele_bus_follow(app->bus, app->store, error);
    return status;
}

static stele_status check_new(stele_runtime *runtime, const struct stele_app_options *options, stele_app **out,
                              stele_error **error)
{
    if (!runtime)
        return stele__fail_argument(error, "runtime", "it is NULL");
    if (!out)
        return stele__fail_argument(error, "out", "it is NULL");
    return stele__options_check(options, sizeof(size_t), sizeof(*options), "options", error);
}

stele_status stele_app_new(stele_runtime *runtime, const struct stele_app_options *options, stele_app **out,
                           stele_error **error)
{
    struct stele_app_options known = STELE_OPTIONS_INIT(struct stele_app_options);
    stele_status status = check_new(runtime, options, out, error);
    stele_app *app = NULL;

    if (status != STELE_OK)
        return status;
    if (options)
        memcpy(&known, options, options->size < sizeof(known) ? options->size : sizeof(known));
    app = stele__alloc(sizeof(*app));
    if (!app || !stele__signal_init(&app->quit)) {
        stele__free(app, sizeof(*app));
        return stele__fail_memory(error);
    }
    app->runtime = runtime;
    app->store = known.store;
    app->allow_unhandled = known.allow_unhandled;
    stele__arena_init(&app->arena);
    stele__map_init(&app->resources);
    stele__vector_init(&app->modules, sizeof(struct stele__mounted *));
    stele__vector_init(&app->repositories, sizeof(stele_repository *));
    stele__vector_init(&app->schedules, sizeof(stele_schedule_id));
    status = make_bus(app, known.bus, error);
    if (status != STELE_OK)
        stele_app_free(app);
    else
        *out = app;
    return status;
}

/* --- Resources ------------------------------------------------------------------------------ */

stele_status stele_app_provide(stele_app *app, const char *name, void *resource, stele_error **error)
{
    const char *kept = NULL;

    if (!app)
        return stele__fail_argument(error, "app", "it is NULL");
    if (!name || !*name)
        return stele__fail_argument(error, "name", "it is NULL or empty");
    if (!resource)
        return stele__fail_argument(error, "resource", "it is NULL");
    if (stele_app_resource(app, name))
        return stele__fail(error, STELE_INVALID, "there is a resource %s already", name);
    kept = stele_arena_text(&app->arena, name, strlen(name));
    if (!kept || !stele__map_put(&app->resources, stele__slice(kept), resource))
        return stele__fail_memory(error);
    return STELE_OK;
}

void *stele_app_resource(const stele_app *app, const char *name)
{
    return app && name ? stele__map_get(&app->resources, stele__slice(name)) : NULL;
}

/* --- Start ------------------------------------------------------------------------------------- */

static struct stele__mounted *module_at(const stele_app *app, size_t index)
{
    return *(struct stele__mounted **)stele__vector_at(&app->modules, index);
}

static stele_status follow_log(stele_app *app, struct stele__mounted *mounted, stele_error **error)
{
    stele_status status = STELE_OK;

    for (size_t i = 0; status == STELE_OK && i < mounted->table.route_count; i++) {
        if (stele__route_is_stored(&mounted->table.routes[i]))
            status = stele__route_mount(app, mounted, i, error);
    }
    return status;
}

static void unfollow_log(stele_app *app, struct stele__mounted *mounted)
{
    for (size_t i = mounted->table.route_count; i > 0; i--) {
        if (stele__route_is_stored(&mounted->table.routes[i - 1]))
            stele__route_unmount(app, mounted, i - 1);
    }
}

static stele_status start_module(stele_app *app, struct stele__mounted *mounted, stele_error **error)
{
    const stele_status status = mounted->table.start ? mounted->table.start(app, error) : STELE_OK;

    mounted->is_started = status == STELE_OK;
    if (status != STELE_OK)
        stele__error_prefix(error, "module %s does not start", stele__module_label(&mounted->table));
    return status;
}

static void stop_modules(stele_app *app)
{
    for (size_t i = app->modules.count; i > 0; i--) {
        struct stele__mounted *mounted = module_at(app, i - 1);

        if (mounted->is_started && mounted->table.stop)
            mounted->table.stop(app);
        mounted->is_started = false;
    }
}

static stele_status start_schedule(stele_app *app, const struct stele_module_schedule *schedule, stele_error **error)
{
    stele_message *message = NULL;
    stele_schedule_id *id = stele__vector_add(&app->schedules);
    stele_status status = STELE_OK;

    if (!id)
        return stele__fail_memory(error);
    status = stele_message_new(schedule->type, schedule->payload, NULL, &message, error);
    if (status == STELE_OK)
        status = stele_schedule_every(app->bus, schedule->every_ms, message, id, error);
    stele_message_unref(message);
    if (status != STELE_OK) {
        stele__error_prefix(error, "schedule %s", schedule->type->name);
        stele__vector_truncate(&app->schedules, app->schedules.count - 1);
    }
    return status;
}

static stele_status start_schedules(stele_app *app, const struct stele_module *module, stele_error **error)
{
    stele_status status = STELE_OK;

    for (size_t i = 0; status == STELE_OK && i < module->schedule_count; i++)
        status = start_schedule(app, &module->schedules[i], error);
    return status;
}

static void cancel_schedules(stele_app *app)
{
    for (size_t i = 0; i < app->schedules.count; i++)
        stele_schedule_cancel(app->bus, *(stele_schedule_id *)stele__vector_at(&app->schedules, i));
    stele__vector_truncate(&app->schedules, 0);
}

/* All of one step for every module before the next step. */
static stele_status start_all(stele_app *app, stele_error **error)
{
    stele_status status = STELE_OK;

    for (size_t i = 0; status == STELE_OK && i < app->modules.count; i++)
        status = follow_log(app, module_at(app, i), error);
    for (size_t i = 0; status == STELE_OK && i < app->modules.count; i++)
        status = start_module(app, module_at(app, i), error);
    for (size_t i = 0; status == STELE_OK && i < app->modules.count; i++)
        status = start_schedules(app, &module_at(app, i)->table, error);
    return status;
}

static void undo_start(stele_app *app)
{
    cancel_schedules(app);
    stop_modules(app);
    for (size_t i = app->modules.count; i > 0; i--)
        unfollow_log(app, module_at(app, i - 1));
}

stele_status stele_app_start(stele_app *app, stele_error **error)
{
    stele_status status;

    if (!app)
        return stele__fail_argument(error, "app", "it is NULL");
    if (!stele__bus_is_usable(app->bus))
        return stele__bus_fail_unusable(app->bus, error);
    if (app->state != STELE__MOUNTING)
        return stele__fail(error, STELE_INVALID, "the app has been %s already",
                           app->state == STELE__STARTED ? "started" : "stopped");
    app->state = STELE__STARTED;
    status = start_all(app, error);
    if (status != STELE_OK) {
        undo_start(app);
        app->state = STELE__MOUNTING;
    }
    return status;
}

/* --- Stop ----------------------------------------------------------------------------------------- */

stele_status stele_app_stop(stele_app *app, uint32_t timeout_ms, struct stele_stopped *out, stele_error **error)
{
    stele_status status;

    if (!app)
        return stele__fail_argument(error, "app", "it is NULL");
    if (!stele__bus_is_usable(app->bus))
        return stele__bus_fail_unusable(app->bus, error);
    if (app->state == STELE__STOPPED)
        return STELE_OK;
    app->state = STELE__STOPPED;
    status = stele_bus_stop(app->bus, timeout_ms, out, error);
    stele__vector_truncate(&app->schedules, 0); /* they ended with the bus */
    stop_modules(app);
    return status;
}

static void free_repositories(const stele_app *app)
{
    for (size_t i = 0; i < app->repositories.count; i++)
        stele_repository_free(*(stele_repository **)stele__vector_at(&app->repositories, i));
}

/* True if a handler still runs. */
static bool is_abandoned(const stele_app *app)
{
    struct stele_bus_stats stats = {0};

    if (app->bus)
        stele_bus_get_stats(app->bus, &stats);
    return stats.in_flight > 0 || (app->bus && stele__readers(app->bus) > 0);
}

static void free_memory(stele_app *app)
{
    free_repositories(app);
    stele__vector_fini(&app->repositories);
    stele__vector_fini(&app->schedules);
    stele__vector_fini(&app->modules);
    stele__map_fini(&app->resources);
    stele__arena_fini(&app->arena);
    stele__signal_fini(&app->quit);
    stele__free(app, sizeof(*app));
}

void stele_app_free(stele_app *app)
{
    bool keep = false;

    if (!app || (app->bus && !stele__bus_is_usable(app->bus)))
        return;
    if (app->bus) {
        stele_app_stop(app, FREE_TIMEOUT_MS, NULL, NULL);
        keep = is_abandoned(app);
    }
    stele_bus_free(app->bus);
    if (keep)
        STELE__LOG(STELE_LOG_WARNING, "a handler has not returned; the memory of its app stays",
                   {"timeout_ms", "5000"});
    else
        free_memory(app);
}

/* --- Parts ----------------------------------------------------------------------------------------- */

stele_bus *stele_app_bus(const stele_app *app)
{
    return app ? app->bus : NULL;
}

stele_store *stele_app_store(const stele_app *app)
{
    return app ? app->store : NULL;
}

static const stele_repository *find_repository(const struct stele__mounted *mounted,
                                               const struct stele_aggregate *aggregate)
{
    for (size_t i = 0; i < mounted->table.aggregate_count; i++) {
        if (mounted->table.aggregates[i].aggregate == aggregate)
            return mounted->repositories[i];
    }
    return NULL;
}

const stele_repository *stele_app_repository(const stele_app *app, const struct stele_aggregate *aggregate)
{
    const stele_repository *found = NULL;

    for (size_t i = 0; app && !found && i < app->modules.count; i++)
        found = find_repository(module_at(app, i), aggregate);
    return found;
}
