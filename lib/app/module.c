/*
 * From the modules a program gives to those an app mounts: each once, those it is
 * made of before it, its tables copied into the app's arena with the names that
 * hold in its namespace.
 *
 * What can fail: memory. Modules in a circle and missing tables are problems,
 * told with all others.
 */
#include "app/app.h"

#include <string.h>

#include "base/error.h"
#include "base/text.h"

/* The way from the list down to a module: on the stack, the nearest first. */
struct trail {
    const struct stele_module *module;
    const struct trail *above;
};

struct collection {
    struct stele_arena *arena;
    struct stele__vector *modules;
    struct stele__problems *problems;
};

/* --- Names -------------------------------------------------------------------------- */

static bool is_in_namespace(const char *name, const char *prefix, size_t size)
{
    return strncmp(name, prefix, size) == 0 && name[size] == '.';
}

const char *stele__name_resolve(struct stele_arena *arena, const char *prefix, const char *name)
{
    const size_t size = strlen(prefix);
    const size_t name_size = name ? strlen(name) : 0;
    char *text = NULL;

    if (!name)
        return NULL;
    if (name[0] == '.')
        return name + 1;
    if (size == 0 || is_in_namespace(name, prefix, size))
        return name;
    text = stele_arena_alloc(arena, size + 1 + name_size + 1);
    if (!text)
        return NULL;
    memcpy(text, prefix, size);
    text[size] = '.';
    memcpy(text + size + 1, name, name_size + 1);
    return text;
}

/* --- Copies ------------------------------------------------------------------------- */

static size_t count_interceptors(const struct stele_interceptor *const *list)
{
    size_t count = 0;

    while (list && list[count])
        count++;
    return count;
}

/* A list of interceptors with resolved names; NULL for NULL, and when memory is out. */
static const struct stele_interceptor *const *copy_interceptors(struct stele_arena *arena, const char *prefix,
                                                                const struct stele_interceptor *const *list)
{
    const size_t count = count_interceptors(list);
    const struct stele_interceptor **copies = NULL;
    struct stele_interceptor *items = NULL;

    if (!list)
        return NULL;
    copies = stele__arena_array(arena, count + 1, sizeof(*copies));
    items = stele__arena_array(arena, count + 1, sizeof(*items));
    if (!copies || !items)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        items[i] = *list[i];
        items[i].name = stele__name_resolve(arena, prefix, list[i]->name);
        items[i].on = stele__name_resolve(arena, prefix, list[i]->on);
        copies[i] = &items[i];
    }
    return copies;
}

static void copy_routes(struct stele_arena *arena, struct stele_module *table)
{
    struct stele_route *routes = stele__arena_array(arena, table->route_count, sizeof(*routes));

    for (size_t i = 0; routes && i < table->route_count; i++) {
        routes[i] = table->routes[i];
        routes[i].name = stele__name_resolve(arena, table->name, table->routes[i].name);
        routes[i].on = stele__name_resolve(arena, table->name, table->routes[i].on);
        routes[i].interceptors = copy_interceptors(arena, table->name, table->routes[i].interceptors);
    }
    table->routes = routes;
}

static void empty_missing(struct stele__problems *problems, const struct stele_module *table, const char *name,
                          const void *items, size_t *count)
{
    if (items || *count == 0)
        return;
    stele__buffer_print(stele__problem(problems, table, NULL, NULL), "it has %zu %s, but the table is missing", *count,
                        name);
    *count = 0;
}

static stele_status add_module(const struct collection *collection, const struct stele_module *module,
                               stele_error **error)
{
    struct stele_arena *arena = collection->arena;
    struct stele__mounted *mounted = stele__arena_array(arena, 1, sizeof(*mounted));
    struct stele__mounted **place = NULL;
    struct stele_module *table = NULL;

    if (!mounted)
        return stele__fail_memory(error);
    mounted->given = module;
    table = &mounted->table;
    *table = *module;
    table->name = stele__module_name(module);
    empty_missing(collection->problems, table, "routes", table->routes, &table->route_count);
    empty_missing(collection->problems, table, "aggregates", table->aggregates, &table->aggregate_count);
    empty_missing(collection->problems, table, "requests", table->requests, &table->request_count);
    empty_missing(collection->problems, table, "schedules", table->schedules, &table->schedule_count);
    copy_routes(arena, table);
    table->interceptors = copy_interceptors(arena, table->name, module->interceptors);
    mounted->routes = stele__arena_array(arena, table->route_count, sizeof(*mounted->routes));
    mounted->repositories = stele__arena_array(arena, table->aggregate_count, sizeof(const stele_repository *));
    place = arena->refused ? NULL : stele__vector_add(collection->modules);
    if (!place)
        return stele__fail_memory(error);
    *place = mounted;
    return STELE_OK;
}

/* --- Which, and in which order -------------------------------------------------------- */

static bool is_collected(const struct stele__vector *modules, const struct stele_module *module)
{
    for (size_t i = 0; i < modules->count; i++) {
        if ((*(struct stele__mounted **)stele__vector_at(modules, i))->given == module)
            return true;
    }
    return false;
}

static const struct trail *find_above(const struct trail *trail, const struct stele_module *module)
{
    while (trail && trail->module != module)
        trail = trail->above;
    return trail;
}

/* A circle is told with so many modules at its beginning and at its end. */
enum { TOLD_OF_CIRCLE = 4 };

/* "a -> b -> " from the module at `top` down to where the trail is, `behind` modules before its end; those in the middle
 * of a long one are only counted. Returns the place of the module in the circle, from 0. */
static size_t print_trail(struct stele__buffer *text, const struct trail *trail, const struct trail *top, size_t behind)
{
    const size_t place = trail == top ? 0 : print_trail(text, trail->above, top, behind + 1) + 1;

    if (place < TOLD_OF_CIRCLE || behind < TOLD_OF_CIRCLE)
        stele__buffer_print(text, "%s -> ", stele__module_label(trail->module));
    else if (place == TOLD_OF_CIRCLE)
        stele__buffer_print(text, "(%zu more) -> ", behind + 1 - TOLD_OF_CIRCLE);
    return place;
}

static void report_circle(const struct collection *collection, const struct stele_module *module,
                          const struct trail *trail, const struct trail *top)
{
    struct stele__buffer *text = stele__problem(collection->problems, module, NULL, NULL);

    stele__buffer_add_text(text, "modules in a circle: ");
    print_trail(text, trail, top, 0);
    stele__buffer_add_text(text, stele__module_label(module));
}

static stele_status collect_list(const struct collection *collection, const struct stele_module *const *list,
                                 const struct trail *above, stele_error **error);

static stele_status collect_module(const struct collection *collection, const struct stele_module *module,
                                   const struct trail *above, stele_error **error)
{
    const struct trail trail = {module, above};
    const struct trail *top = find_above(above, module);
    stele_status status;

    if (top)
        report_circle(collection, module, above, top);
    if (top || is_collected(collection->modules, module))
        return STELE_OK;
    status = collect_list(collection, module->modules, &trail, error);
    return status == STELE_OK ? add_module(collection, module, error) : status;
}

static stele_status collect_list(const struct collection *collection, const struct stele_module *const *list,
                                 const struct trail *above, stele_error **error)
{
    stele_status status = STELE_OK;

    for (size_t i = 0; status == STELE_OK && list && list[i]; i++)
        status = collect_module(collection, list[i], above, error);
    return status;
}

stele_status stele__collect(struct stele_arena *arena, const struct stele_module *const *list,
                            struct stele__vector *modules, struct stele__problems *problems, stele_error **error)
{
    const struct collection collection = {arena, modules, problems};

    return collect_list(&collection, list, NULL, error);
}
