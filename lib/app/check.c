/*
 * All that is wrong with the modules of an app, told at once.
 *
 * First each table by itself (names, patterns, handlers, resources), then the
 * graph they make together: types by name (known.c), who publishes what, who is
 * for it, who answers. Every problem is one line that names module and route; the
 * order is that of the modules, then of their tables.
 *
 * What can fail: memory. Everything else is a problem.
 */
#include "app/app.h"

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "bus/check.h"

struct check {
    const stele_app *app;
    const struct stele__graph *graph;
    struct stele__problems *problems;
    struct stele__map route_names; /* to the module */
    struct stele__map interceptor_names;
    struct stele__map module_names;
    struct stele__vector handlers; /* const struct stele_route *, of commands and queries, met so far */
    struct stele_module *module;   /* the one looked at */
    bool is_short_of_memory;
};

struct stele__buffer *stele__problem(struct stele__problems *problems, const struct stele_module *module,
                                     const char *kind, const char *name)
{
    struct stele__buffer *text = &problems->text;

    problems->count++;
    stele__buffer_print(text, "\nmodule %s", stele__module_label(module));
    if (kind)
        stele__buffer_print(text, ", %s %s", kind, name && *name ? name : "without a name");
    stele__buffer_add_text(text, ": ");
    return text;
}

static struct stele__buffer *tell(const struct check *check, const char *kind, const char *name)
{
    return stele__problem(check->problems, check->module, kind, name);
}

/* A problem, or only a warning where the app allows it. */
static void tell_unhandled(const struct check *check, const char *kind, const char *name, const char *what,
                           const char *type)
{
    if (!check->app->allow_unhandled) {
        stele__buffer_print(tell(check, kind, name), "%s: %s", what, type);
        return;
    }
    STELE__LOG(STELE_LOG_WARNING, what, {"module", check->module->name}, {kind, name}, {"type", type});
}

/* --- Names ------------------------------------------------------------------------------ */

/* Tell an error, if there is one, and free it. */
static void tell_error(struct check *check, const char *kind, const char *name, stele_status status, stele_error *error)
{
    if (status == STELE_NO_MEMORY)
        check->is_short_of_memory = true;
    else if (status != STELE_OK)
        stele__buffer_add_text(tell(check, kind, name), stele_error_message(error));
    stele_error_free(error);
}

/* Keep a name; tell if another has it. */
static void claim(struct check *check, struct stele__map *names, const char *kind, const char *name)
{
    const struct stele_module *other = stele__map_get(names, stele__slice(name));

    if (other)
        stele__buffer_print(tell(check, kind, name), "the name is taken, by module %s", stele__module_label(other));
    else if (!stele__map_put(names, stele__slice(name), check->module))
        check->is_short_of_memory = true;
}

static void check_name(struct check *check, struct stele__map *names, const char *kind, const char *name)
{
    stele_error *error = NULL;
    const stele_status status = stele__name_check(stele__slice(name ? name : ""), "name", STELE_TYPE_MAX, &error);

    tell_error(check, kind, name, status, error);
    if (status == STELE_OK && names)
        claim(check, names, kind, name);
}

static bool check_pattern(struct check *check, const char *kind, const char *name, const char *on)
{
    stele_error *error = NULL;
    const stele_status status = stele__pattern_check(stele__slice(on), &error);

    /* Offsets count from the beginning of the name that it became. */
    if (status != STELE_OK && kind)
        stele__error_prefix(&error, "%s", on);
    tell_error(check, kind, name, status, error);
    return status == STELE_OK;
}

/* Letters of any script, digits, '_' and '-' between dots: what can be written in front of any name. */
static bool is_of_namespace(char byte)
{
    return (unsigned char)byte >= 0x80 || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '_' || byte == '-' || byte == '.';
}

static void check_alphabet(const struct check *check, const char *name)
{
    size_t offset = 0;

    if (strpbrk(name, "*>")) {
        stele__buffer_add_text(tell(check, NULL, NULL), "a namespace has no wildcards");
        return;
    }
    while (is_of_namespace(name[offset]))
        offset++;
    if (name[offset])
        stele__buffer_print(tell(check, NULL, NULL),
                            "a namespace is letters, digits, '_' and '-' between dots: not '%c' at offset %zu",
                            name[offset], offset);
}

static void check_namespace(struct check *check)
{
    const char *name = check->module->name;
    stele_error *error = NULL;
    stele_status status;

    if (*name == '\0')
        return;
    status = stele__name_check(stele__slice(name), "namespace", STELE_TYPE_MAX, &error);
    tell_error(check, NULL, NULL, status, error);
    if (status == STELE_OK && check_pattern(check, NULL, NULL, name))
        check_alphabet(check, name);
    claim(check, &check->module_names, NULL, name);
}

/* --- Tables by themselves ----------------------------------------------------------------- */

static void check_interceptor(struct check *check, struct stele__map *names,
                              const struct stele_interceptor *interceptor)
{
    check_name(check, names, "interceptor", interceptor->name);
    if (interceptor->on)
        check_pattern(check, "interceptor", interceptor->name, interceptor->on);
    if (!interceptor->kind)
        stele__buffer_add_text(tell(check, "interceptor", interceptor->name), "it has no kind");
}

static void check_interceptors(struct check *check, struct stele__map *names,
                               const struct stele_interceptor *const *list)
{
    for (size_t i = 0; list && list[i]; i++)
        check_interceptor(check, names, list[i]);
}

static void check_resource(const struct check *check, const char *kind, const char *name, const char *resource)
{
    if (!stele_app_resource(check->app, resource))
        stele__buffer_print(tell(check, kind, name), "there is no resource %s", resource);
}

/* False if its interest cannot be looked at. */
static bool check_route_itself(struct check *check, const struct stele_route *route)
{
    bool is_sound = true;

    check_name(check, &check->route_names, "route", route->name);
    if (!route->on == !route->type) {
        stele__buffer_print(tell(check, "route", route->name), "it has %s `on` %s `type`",
                            route->on ? "both" : "neither", route->on ? "and" : "nor");
        is_sound = false;
    } else if (route->on) {
        is_sound = check_pattern(check, "route", route->name, route->on);
    }
    if (!route->handle)
        stele__buffer_add_text(tell(check, "route", route->name), "it has no handler");
    if (route->replies && route->replies->kind != STELE_REPLY)
        stele__buffer_print(tell(check, "route", route->name), "replies with %s, which is no reply",
                            route->replies->name ? route->replies->name : "a type without a name");
    if (route->uses)
        check_resource(check, "route", route->name, route->uses);
    if (!check->app->store && stele__route_is_stored(route))
        stele__buffer_add_text(tell(check, "route", route->name), "it follows the log, and the app has no store");
    check_interceptors(check, NULL, route->interceptors);
    return is_sound;
}

/* --- Interest ------------------------------------------------------------------------------- */

/* True if a route is for the errors of a type, "TYPE.error". */
static bool wants_error_of(const struct stele_route *route, const struct stele_type *type)
{
    char name[STELE_TYPE_MAX + 8 * STELE_ERRORS_MAX];
    size_t size = strlen(type->name);

    if (route->type == &stele_handler_failed_type)
        return true;
    if (!route->on || size > STELE_TYPE_MAX)
        return false;
    memcpy(name, type->name, size);
    for (unsigned depth = 0; depth < STELE_ERRORS_MAX; depth++) {
        memcpy(name + size, ".error", 6);
        size += 6;
        if (stele__pattern_match(stele__slice(route->on), (struct stele_slice){name, size}))
            return true;
    }
    return false;
}

struct interest {
    bool is_known;     /* a type of the app fits */
    bool is_published; /* and one that fits can come */
};

static struct interest find_interest(const struct check *check, const struct stele_route *route)
{
    struct interest interest = {false, false};

    for (size_t i = 0; i < check->graph->types.count && !interest.is_published; i++) {
        const struct stele__used_type *known = stele__graph_type(check->graph, i);

        if (stele__route_wants(route, known->type)) {
            interest.is_known = true;
            interest.is_published = known->marks & STELE__PUBLISHED;
        } else if (wants_error_of(route, known->type)) {
            interest = (struct interest){true, true};
        }
    }
    return interest;
}

static void check_interest(const struct check *check, const struct stele_route *route)
{
    const struct interest interest = find_interest(check, route);
    const char *on = route->on ? route->on : route->type->name;

    if (!interest.is_known)
        stele__buffer_print(tell(check, "route", route->name), "no type of the app is known as %s", on);
    else if (!interest.is_published)
        tell_unhandled(check, "route", route->name, "is for what nothing publishes and no module accepts", on);
}

/* --- One handler for a command or query ----------------------------------------------------- */

static struct stele__used_type *find_exclusive(const struct check *check, const char *name)
{
    struct stele__used_type *type = stele__graph_find(check->graph, stele__slice(name));

    return type && (type->type->kind == STELE_COMMAND || type->type->kind == STELE_QUERY) ? type : NULL;
}

/* The name of the one met before that a route of a command is in the way of; NULL: none. */
static const char *find_rival(const struct check *check, const struct stele__used_type *type,
                              const struct stele_route *route)
{
    if (type->aggregate)
        return type->aggregate;
    for (size_t i = 0; i < check->handlers.count; i++) {
        const struct stele_route *other = *(const struct stele_route **)stele__vector_at(&check->handlers, i);

        if (stele__routes_are_rivals(other, route))
            return other->name ? other->name : "";
    }
    return NULL;
}

static void check_only_handler(struct check *check, const struct stele_route *route)
{
    const char *name = route->type ? route->type->name : route->on;
    struct stele__used_type *type = route->type || stele__route_is_exact(route) ? find_exclusive(check, name) : NULL;
    const char *rival = type ? find_rival(check, type, route) : NULL;
    const struct stele_route **place = NULL;

    if (!type)
        return;
    if (rival)
        stele__buffer_print(tell(check, "route", route->name), "%s has a handler already: %s", name, rival);
    place = stele__vector_add(&check->handlers);
    if (!place) {
        check->is_short_of_memory = true;
        return;
    }
    *place = route;
    type->handler = route->name ? route->name : "";
}

/* --- What is published ---------------------------------------------------------------------- */

static void check_has_interest(const struct check *check, const char *kind, const char *name, const char *what,
                               const struct stele_type *type)
{
    const struct stele__used_type *known =
        type->name ? stele__graph_find(check->graph, stele__slice(type->name)) : NULL;

    if (known && type->kind != STELE_REPLY && !(known->marks & (STELE__WANTED | STELE__AWAITED)))
        tell_unhandled(check, kind, name, what, type->name);
}

static void check_route(struct check *check, const struct stele_route *route)
{
    if (check_route_itself(check, route)) {
        check_interest(check, route);
        check_only_handler(check, route);
    }
    for (size_t i = 0; route->publishes && route->publishes[i]; i++)
        check_has_interest(check, "route", route->name, "publishes what nothing handles", route->publishes[i]);
}

/* --- Aggregates ------------------------------------------------------------------------------ */

static void check_command(struct check *check, const char *name, const struct stele_type *command)
{
    struct stele__used_type *known = find_exclusive(check, command->name);

    if (!known)
        return;
    if (known->handler)
        stele__buffer_print(tell(check, "aggregate", name), "%s has a handler already: %s", command->name,
                            known->handler);
    else
        claim(check, &check->route_names, "aggregate", command->name); /* its route has this name */
    known->handler = known->aggregate = name;
    if (!(known->marks & STELE__PUBLISHED))
        tell_unhandled(check, "aggregate", name, "is for what nothing publishes and no module accepts", command->name);
}

static void check_aggregate(struct check *check, const struct stele_module_aggregate *entry)
{
    const struct stele_aggregate *aggregate = entry->aggregate;
    const char *name = aggregate && aggregate->state ? aggregate->state->name : NULL;
    stele_error *error = NULL;
    stele_status status = stele_aggregate_check(aggregate, &error);

    tell_error(check, "aggregate", name, status, error);
    if (!check->app->store)
        stele__buffer_add_text(tell(check, "aggregate", name), "the app has no store");
    for (size_t i = 0; status == STELE_OK && i < aggregate->decider_count; i++)
        check_command(check, name, aggregate->deciders[i].command);
    error = NULL;
    status = stele__options_check(entry->options, sizeof(size_t), sizeof(*entry->options), "options", &error);
    tell_error(check, "aggregate", name, status, error);
}

/* --- Requests and schedules -------------------------------------------------------------------- */

/* What a module's tables answer a type with, if they state it; NULL if not. */
static const struct stele_type *find_answer(const struct stele_module *module, const struct stele_type *sent,
                                            const char **handler)
{
    for (size_t i = 0; i < module->route_count; i++) {
        *handler = module->routes[i].name;
        if (module->routes[i].replies && stele__route_wants(&module->routes[i], sent))
            return module->routes[i].replies;
    }
    for (size_t i = 0; i < module->aggregate_count; i++) {
        const struct stele_aggregate *aggregate = module->aggregates[i].aggregate;

        for (size_t j = 0; aggregate && aggregate->deciders && j < aggregate->decider_count; j++) {
            *handler = aggregate->state ? aggregate->state->name : NULL;
            if (aggregate->deciders[j].command == sent)
                return &stele_accepted_type;
        }
    }
    return NULL;
}

/* Tell who answers with something else than what is awaited; false if nobody does. */
static bool check_answers(const struct check *check, const struct stele_module_request *request)
{
    bool is_other = false;

    for (size_t i = 0; i < check->graph->modules->count && request->answered->kind == STELE_REPLY; i++) {
        const char *handler = NULL;
        const struct stele_type *answer = find_answer(stele__graph_module(check->graph, i), request->sent, &handler);

        if (!answer || answer == request->answered)
            continue;
        stele__buffer_print(tell(check, "request", request->sent->name), "awaits %s, but %s answers with %s",
                            request->answered->name, handler ? handler : "a route", answer->name);
        is_other = true;
    }
    return is_other;
}

static void check_request(const struct check *check, const struct stele_module_request *request)
{
    const struct stele__used_type *known = NULL;

    if (!request->sent || !request->sent->name || !request->answered || !request->answered->name) {
        stele__buffer_add_text(tell(check, "request", request->sent ? request->sent->name : NULL),
                               "it does not name what is sent and what answers");
        return;
    }
    check_has_interest(check, "request", request->sent->name, "sends what nothing handles", request->sent);
    known = stele__graph_find(check->graph, stele__slice(request->answered->name));
    if (!check_answers(check, request) && known && !(known->marks & STELE__PUBLISHED))
        stele__buffer_print(tell(check, "request", request->sent->name), "awaits %s, which nothing publishes",
                            request->answered->name);
}

static void check_schedule(const struct check *check, const struct stele_module_schedule *schedule)
{
    const char *name = schedule->type ? schedule->type->name : NULL;

    if (!schedule->type || !schedule->payload)
        stele__buffer_print(tell(check, "schedule", name), "it has no %s", schedule->type ? "payload" : "type");
    if (schedule->every_ms == 0)
        stele__buffer_add_text(tell(check, "schedule", name), "its interval is 0");
    if (schedule->type)
        check_has_interest(check, "schedule", name, "publishes what nothing handles", schedule->type);
}

/* --- All of it ------------------------------------------------------------------------------------ */

static void check_module(struct check *check)
{
    const struct stele_module *module = check->module;

    check_namespace(check);
    for (size_t i = 0; module->needs && module->needs[i]; i++)
        check_resource(check, NULL, NULL, module->needs[i]);
    check_interceptors(check, &check->interceptor_names, module->interceptors);
    for (size_t i = 0; i < module->route_count; i++)
        check_route(check, &module->routes[i]);
    for (size_t i = 0; i < module->aggregate_count; i++)
        check_aggregate(check, &module->aggregates[i]);
    for (size_t i = 0; i < module->request_count; i++)
        check_request(check, &module->requests[i]);
    for (size_t i = 0; i < module->schedule_count; i++)
        check_schedule(check, &module->schedules[i]);
}

static void check_graph(struct check *check)
{
    stele__map_init(&check->route_names);
    stele__map_init(&check->interceptor_names);
    stele__map_init(&check->module_names);
    stele__vector_init(&check->handlers, sizeof(const struct stele_route *));
    for (size_t i = 0; i < check->graph->modules->count; i++) {
        check->module = stele__graph_module(check->graph, i);
        check_module(check);
    }
    stele__map_fini(&check->route_names);
    stele__map_fini(&check->interceptor_names);
    stele__map_fini(&check->module_names);
    stele__vector_fini(&check->handlers);
}

stele_status stele__check_modules(const stele_app *app, const struct stele__vector *modules,
                                  struct stele__problems *problems, stele_error **error)
{
    struct stele__graph graph;
    struct check check = {.app = app, .graph = &graph, .problems = problems};
    stele_status status = stele__graph_init(&graph, modules, problems, error);

    if (status == STELE_OK)
        check_graph(&check);
    stele__graph_fini(&graph);
    return status == STELE_OK && check.is_short_of_memory ? stele__fail_memory(error) : status;
}
