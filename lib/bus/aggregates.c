/*
 * Aggregates on the bus: each command type of the table becomes a route, whose
 * handler loads, decides and appends.
 *
 *     command ─► its stream: PREFIX and the value of `key` ─► stele_execute_all() ─► stele_accepted
 *
 * Queued, the routes of one aggregate share their mailboxes, with the stream as
 * the partition: commands of one stream never race each other. What can fail: a
 * command without a key (STELE_INVALID), what executing says.
 */
#include "bus/core.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "message/value.h"

#include <string.h>

STELE_DEFINE_REPLY(stele_accepted, "stele.accepted", 1, STELE_ACCEPTED);

static const struct stele_type *const accepted_only[] = {NULL};

struct stele__aggregate_place {
    atomic_uint references;
    const stele_repository *repository;
    const char *prefix;
    const char *key;
    unsigned attempts;
    size_t count;
    struct stele_route routes[]; /* one for each command */
};

void stele__aggregate_place_unref(struct stele__aggregate_place *place)
{
    if (place && atomic_fetch_sub(&place->references, 1) == 1)
        stele__free(place, sizeof(*place) + place->count * sizeof(place->routes[0]));
}

const char *stele__aggregate_stream(const struct stele__aggregate_place *place, const stele_message *command,
                                    stele_arena *arena, stele_error **error)
{
    char scratch[STELE__FIELD_TEXT_SIZE];
    const size_t prefix = strlen(place->prefix);
    const struct stele_slice key =
        place->key ? stele__payload_field(command, place->key, scratch) : stele_message_subject(command);
    char *stream;

    if (!key.data || key.size == 0) {
        stele__fail(error, STELE_INVALID, "the command has no %s, which names its stream",
                    place->key ? place->key : "subject");
        return NULL;
    }
    stream = stele__arena_alloc(arena, prefix + key.size + 1);
    if (!stream) {
        stele__fail_memory(error);
        return NULL;
    }
    memcpy(stream, place->prefix, prefix);
    memcpy(stream + prefix, key.data, key.size);
    stream[prefix + key.size] = '\0';
    return stream;
}

static stele_status answer(stele_context *context, const char *stream, const struct stele_appended *appended)
{
    return STELE_REPLY(context, stele_accepted, .stream = stream, .version = appended->version,
                       .first_position = appended->first_position, .last_position = appended->last_position,
                       .created = appended->created, .repeated = appended->repeated || appended->replayed);
}

static stele_status execute(void *resource, const stele_message *message, stele_context *context)
{
    const struct stele__aggregate_place *place = resource;
    const struct stele_execute_options options = {.size = sizeof(options), .attempts = place->attempts};
    struct stele_execution execution = {.repository = place->repository, .command = message};
    struct stele_appended appended = {0};
    stele_error *error = NULL;
    stele_status status = STELE_INVALID;

    execution.stream = stele__aggregate_stream(place, message, &stele__current->arena, &error);
    if (execution.stream)
        status = stele_execute_all(&execution, 1, &options, &appended, &error);
    else
        status = stele_error_status(error);
    if (status == STELE_OK)
        status = answer(context, execution.stream, &appended);
    else
        status = stele_context_fail(context, status, "%s", stele_error_message(error));
    stele_error_free(error);
    return status;
}

/* --- Adding -------------------------------------------------------------------------------------- */

static stele_status check_key(const struct stele_type *command, const char *key, stele_error **error)
{
    const struct stele_field *field = stele__field_find(command, stele__slice(key));

    if (field && field->shape == STELE_SHAPE_ONE &&
        (field->kind == STELE_KIND_TEXT || field->kind == STELE_KIND_UUID || field->kind == STELE_KIND_INT64 ||
         field->kind == STELE_KIND_UINT64))
        return STELE_OK;
    stele__fail(error, STELE_INVALID, "%s has no text, UUID or integer %s to name its stream", command->name, key);
    stele__error_add(error, "type", "%s", command->name);
    stele__error_add(error, "field", "%s", key);
    return STELE_INVALID;
}

static stele_status check_aggregate(stele_bus *bus, const struct stele_aggregate_route *route, stele_error **error)
{
    const struct stele_aggregate *aggregate;
    stele_status status = STELE_OK;

    if (!stele__bus_is_usable(bus))
        return stele__bus_fail_unusable(bus, error);
    if (!route || !route->repository)
        return stele__fail_argument(error, route ? "repository" : "route", "is NULL");
    if (route->delivery != STELE_INLINE && route->delivery != STELE_QUEUED)
        return stele__fail_argument(error, "delivery", "is neither STELE_INLINE nor STELE_QUEUED");
    if (route->delivery == STELE_INLINE && route->capacity)
        return stele__fail_argument(error, "capacity", "is of mailboxes, and the aggregate is inline");
    aggregate = stele_repository_aggregate(route->repository);
    for (size_t i = 0; route->key && i < aggregate->decider_count && status == STELE_OK; i++)
        status = check_key(aggregate->deciders[i].command, route->key, error);
    return status;
}

static struct stele__aggregate_place *make_place(const struct stele_aggregate_route *route)
{
    const struct stele_aggregate *aggregate = stele_repository_aggregate(route->repository);
    struct stele__aggregate_place *place =
        stele__alloc(sizeof(*place) + aggregate->decider_count * sizeof(place->routes[0]));

    if (!place)
        return NULL;
    atomic_init(&place->references, 1);
    place->repository = route->repository;
    place->prefix = route->prefix ? route->prefix : "";
    place->key = route->key;
    place->attempts = route->attempts;
    place->count = aggregate->decider_count;
    for (size_t i = 0; i < place->count; i++) {
        struct stele_route *made = &place->routes[i];

        made->name = aggregate->deciders[i].command->name;
        made->type = aggregate->deciders[i].command;
        made->handle = execute;
        made->publishes = accepted_only;
        made->replies = &stele_accepted_type;
        made->delivery = route->delivery;
        made->capacity = route->capacity;
    }
    return place;
}

/* Add the routes, or none of them. */
static stele_status add_routes(stele_bus *bus, struct stele__aggregate_place *place, struct stele__box *box,
                               stele_error **error)
{
    stele_status status = STELE_OK;
    stele_route_id *ids = stele__alloc(place->count * sizeof(*ids));
    size_t added = 0;

    if (!ids)
        return stele__fail_memory(error);
    for (; added < place->count; added++) {
        if (box)
            stele__box_ref(box);
        atomic_fetch_add(&place->references, 1);
        status = stele__route_add(bus, &place->routes[added], place, box, place, &ids[added], error);
        if (status != STELE_OK) {
            stele__box_unref(box);
            stele__aggregate_place_unref(place);
            break;
        }
    }
    for (size_t i = 0; status != STELE_OK && i < added; i++)
        stele_bus_remove_route(bus, ids[i]);
    stele__free(ids, place->count * sizeof(*ids));
    return status;
}

stele_status stele_bus_add_aggregate(stele_bus *bus, const struct stele_aggregate_route *route, stele_error **error)
{
    struct stele__aggregate_place *place;
    struct stele__box *box = NULL;
    stele_status status = check_aggregate(bus, route, error);

    if (status != STELE_OK || stele_repository_aggregate(route->repository)->decider_count == 0)
        return status;
    place = make_place(route);
    if (place && route->delivery == STELE_QUEUED)
        box = stele__box_new(bus, &place->routes[0], place);
    if (!place || (route->delivery == STELE_QUEUED && !box))
        status = stele__fail_memory(error);
    else
        status = add_routes(bus, place, box, error);
    stele__box_unref(box);
    stele__aggregate_place_unref(place);
    return status;
}
