/*
 * The types of a store: registering, showing and checking them.
 *
 *     register  types -> registry.h: those that are new -> "$types", at the version it was read at
 *     visit     registered shapes + stored shapes, counted by the backend -> sorted -> visitor
 *     check     stored shapes -> where upcasters lead them -> all known?
 *
 * What can fail: types that do not agree, the store, memory.
 */
#include <stele/operations.h>
#include <stele/types.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "message/upcast.h"
#include "store/registry.h"

#include <inttypes.h>
#include <stdlib.h>

enum { NAMED_MAX = 16 }; /* shapes that the error of a check names */

static bool is_own(struct stele_slice name)
{
    return stele__slice_begins_with(name, stele__slice("stele."));
}

static stele_status check_type(const struct stele_type *type, stele_error **error)
{
    stele_status status = stele_type_check(type, error);

    if (status == STELE_OK &&
        (type->kind < STELE_EVENT || type->kind > STELE_REPLY || is_own(stele__slice(type->name)))) {
        stele__fail_argument(error, "types", "has one that no program writes");
        stele__error_add(error, "type", "%s", type->name);
        return STELE_INVALID;
    }
    return status;
}

static stele_status check_types(const struct stele_type *const *types, size_t count, stele_error **error)
{
    stele_status status = STELE_OK;

    if (count && !types)
        return stele__fail_argument(error, "types", "is NULL");
    for (size_t i = 0; i < count && status == STELE_OK; i++)
        status = check_type(types[i], error);
    return status;
}

/* --- Registering ------------------------------------------------------------------------- */

struct registering {
    struct stele__registry registry;
    struct stele__vector writes; /* struct stele_write, each with our reference to its event */
};

static void fini_registering(struct registering *registering)
{
    const struct stele_write *writes = registering->writes.items;

    for (size_t i = 0; i < registering->writes.count; i++)
        stele_message_unref(writes[i].event->self);
    stele__vector_fini(&registering->writes);
    stele__registry_fini(&registering->registry);
}

static stele_status add_write(struct registering *registering, const stele_store *store, const struct stele_type *type,
                              stele_error **error)
{
    stele_message *event = NULL;
    struct stele_write *write;
    stele_status status = stele__registry_add(&registering->registry, store, type, &event, error);

    if (status != STELE_OK || !event) {
        stele_message_unref(event);
        return status;
    }
    write = stele__vector_add(&registering->writes);
    if (!write) {
        stele_message_unref(event);
        return stele__fail_memory(error);
    }
    *write = (struct stele_write){STELE__TYPES_STREAM, event};
    return STELE_OK;
}

static stele_status append_writes(stele_store *store, const struct registering *registering, stele_error **error)
{
    const struct stele_expectation expectation = {STELE__TYPES_STREAM,
                                                  stele_expect_version(registering->registry.version)};
    const struct stele_batch batch = {.writes = registering->writes.items,
                                      .write_count = registering->writes.count,
                                      .expectations = &expectation,
                                      .expectation_count = 1};

    return batch.write_count ? stele__store_append_own(store, &batch, error) : STELE_OK;
}

static stele_status register_once(stele_store *store, const struct stele_type *const *types, size_t count,
                                  stele_error **error)
{
    struct registering registering;
    stele_status status;

    stele__registry_init(&registering.registry);
    stele__vector_init(&registering.writes, sizeof(struct stele_write));
    status = stele__registry_load(&registering.registry, store, error);
    for (size_t i = 0; i < count && status == STELE_OK; i++)
        status = add_write(&registering, store, types[i], error);
    if (status == STELE_OK)
        status = append_writes(store, &registering, error);
    fini_registering(&registering);
    return status;
}

stele_status stele_types_register(stele_store *store, const struct stele_type *const *types, size_t count,
                                  stele_error **error)
{
    stele_error *cause = NULL;
    stele_status status = stele__store_check(store, error);

    if (status == STELE_OK)
        status = check_types(types, count, error);
    if (status != STELE_OK)
        return status;
    /* On a conflict another program has registered something: what we add may be there now, or not agree any more. */
    for (;;) {
        status = register_once(store, types, count, &cause);
        if (status != STELE_CONFLICT)
            break;
        stele_error_free(cause);
        cause = NULL;
    }
    if (error)
        *error = cause;
    else
        stele_error_free(cause);
    return status;
}

/* --- Counting ------------------------------------------------------------------------------- */

struct counting {
    struct stele__registry *registry;
    bool no_memory;
};

static bool count_shape(void *context, const struct stele_type_size *size)
{
    struct counting *counting = context;
    struct stele__known_shape *shape;

    if (is_own(size->type))
        return true;
    shape = stele__registry_shape(counting->registry, size->type, size->type_version);
    counting->no_memory = !shape;
    if (shape)
        shape->events = size->events;
    return shape != NULL;
}

static int by_name(const void *left, const void *right)
{
    const struct stele__known_shape *const *one = left;
    const struct stele__known_shape *const *other = right;
    const int order = strcmp((*one)->name, (*other)->name);

    return order ? order : ((*one)->version > (*other)->version) - ((*one)->version < (*other)->version);
}

/* Add what is stored to a registry, and sort it. */
static stele_status count_stored(struct stele__registry *registry, stele_store *store, stele_error **error)
{
    struct counting counting = {.registry = registry};
    const stele_status status = stele_type_sizes(store, count_shape, &counting, error);

    if (status == STELE_OK && counting.no_memory)
        return stele__fail_memory(error);
    if (status == STELE_OK && registry->shapes.count)
        qsort(registry->shapes.items, registry->shapes.count, sizeof(struct stele__known_shape *), by_name);
    return status;
}

/* --- Where shapes lead --------------------------------------------------------------------------- */

/* Is a shape one of those that are known, by whatever measure? */
typedef bool known_test(const void *context, struct stele_slice name, uint32_t version);

struct leading {
    const struct stele__upcasting *upcasting; /* NULL: none */
    known_test *is_known;
    const void *context;
    bool *astray; /* by shape of `upcasting`: part of what it becomes is not known */
};

static bool ends_astray(void *context, const struct stele__shape *shape)
{
    const struct leading *leading = context;

    return !shape->next && !leading->is_known(leading->context, shape->name, shape->version);
}

static stele_status begin_leading(struct leading *leading, const struct stele_store *store, stele_error **error)
{
    leading->upcasting = store->upcasting;
    if (!store->upcasting)
        return STELE_OK;
    leading->astray = stele__alloc(store->upcasting->shape_count * sizeof(*leading->astray));
    if (!leading->astray)
        return stele__fail_memory(error);
    stele__upcasting_mark(store->upcasting, ends_astray, leading, leading->astray);
    return STELE_OK;
}

static void end_leading(struct leading *leading)
{
    if (leading->upcasting)
        stele__free(leading->astray, leading->upcasting->shape_count * sizeof(*leading->astray));
}

static bool is_reachable(const struct leading *leading, const struct stele__known_shape *known)
{
    const struct stele_slice name = stele__slice(known->name);
    const struct stele__shape *shape =
        leading->upcasting ? stele__upcasting_find(leading->upcasting, name, known->version) : NULL;

    return shape ? !leading->astray[shape->index] : leading->is_known(leading->context, name, known->version);
}

/* --- Showing ------------------------------------------------------------------------------------ */

static bool is_registered(const void *context, struct stele_slice name, uint32_t version)
{
    const struct stele__registry *registry = context;
    const struct stele__known_shape *shape = stele__map_get(&registry->names, name);

    while (shape && shape->version != version)
        shape = shape->sibling;
    return shape && shape->newest;
}

static void show_end(const struct leading *leading, struct stele_stored_type *type)
{
    const struct stele__shape *shape =
        leading->upcasting ? stele__upcasting_find(leading->upcasting, stele__slice(type->name), type->version) : NULL;

    while (shape && shape->next)
        shape = shape->next->to;
    type->becomes = shape ? shape->name.data : type->name;
    type->becomes_version = shape ? shape->version : type->version;
}

static bool show(const struct leading *leading, const struct stele__known_shape *known, stele_stored_type_visit *visit,
                 void *context)
{
    const struct stele__registration *registration = known->newest;
    struct stele_stored_type type = {
        .name = known->name,
        .version = known->version,
        .kind = STELE_EVENT,
        .events = known->events,
        .is_reachable = is_reachable(leading, known),
    };

    if (registration) {
        type.kind = registration->kind;
        type.schema = registration->schema;
        type.fields = registration->fields;
        type.field_count = registration->field_count;
    }
    show_end(leading, &type);
    return visit(context, &type);
}

stele_status stele_types_visit(stele_store *store, stele_stored_type_visit *visit, void *context, stele_error **error)
{
    struct stele__registry registry;
    struct leading leading = {.is_known = is_registered, .context = &registry};
    stele_status status = stele__store_check(store, error);

    if (status == STELE_OK && !visit)
        status = stele__fail_argument(error, "visit", "is NULL");
    if (status != STELE_OK)
        return status;
    stele__registry_init(&registry);
    status = stele__registry_load(&registry, store, error);
    if (status == STELE_OK)
        status = count_stored(&registry, store, error);
    if (status == STELE_OK)
        status = begin_leading(&leading, store, error);
    if (status == STELE_OK) {
        struct stele__known_shape *const *shapes = registry.shapes.items;

        for (size_t i = 0; i < registry.shapes.count; i++) {
            if (!show(&leading, shapes[i], visit, context))
                break;
        }
        end_leading(&leading);
    }
    stele__registry_fini(&registry);
    return status;
}

/* --- Checking --------------------------------------------------------------------------------------- */

struct known_types {
    const struct stele_type *const *types;
    size_t count;
};

static bool is_given(const void *context, struct stele_slice name, uint32_t version)
{
    const struct known_types *known = context;

    for (size_t i = 0; i < known->count; i++) {
        if (known->types[i]->version == version && stele__slice_equal(stele__slice(known->types[i]->name), name))
            return true;
    }
    return false;
}

static stele_status fail_unknown(const struct stele__buffer *text, size_t count, stele_error **error)
{
    if (text->failed)
        return stele__fail_memory(error);
    if (count > NAMED_MAX)
        stele__fail(error, STELE_UNKNOWN_TYPE, "%zu shapes are stored that nothing reads: %.*s and %zu more", count,
                    (int)text->size, text->data, count - NAMED_MAX);
    else
        stele__fail(error, STELE_UNKNOWN_TYPE, "%zu shape%s stored that nothing reads: %.*s", count,
                    count == 1 ? " is" : "s are", (int)text->size, text->data);
    stele__error_add(error, "count", "%zu", count);
    return STELE_UNKNOWN_TYPE;
}

static stele_status check_shapes(const struct stele__registry *registry, const struct leading *leading,
                                 stele_error **error)
{
    struct stele__known_shape *const *shapes = registry->shapes.items;
    struct stele__buffer text;
    stele_status status = STELE_OK;
    size_t count = 0;

    stele__buffer_init(&text);
    for (size_t i = 0; i < registry->shapes.count; i++) {
        if (is_reachable(leading, shapes[i]))
            continue;
        if (count++ < NAMED_MAX)
            stele__buffer_print(&text, "%s%s %" PRIu32 " (%" PRIu64 " event%s)", text.size ? ", " : "", shapes[i]->name,
                                shapes[i]->version, shapes[i]->events, shapes[i]->events == 1 ? "" : "s");
    }
    if (count)
        status = fail_unknown(&text, count, error);
    stele__buffer_fini(&text);
    return status;
}

stele_status stele_types_check(stele_store *store, const struct stele_type *const *types, size_t count,
                               stele_error **error)
{
    const struct known_types known = {types, count};
    struct leading leading = {.is_known = is_given, .context = &known};
    struct stele__registry registry;
    stele_status status = stele__store_check(store, error);

    if (status == STELE_OK)
        status = check_types(types, count, error);
    if (status != STELE_OK)
        return status;
    stele__registry_init(&registry);
    status = count_stored(&registry, store, error);
    if (status == STELE_OK)
        status = begin_leading(&leading, store, error);
    if (status == STELE_OK) {
        status = check_shapes(&registry, &leading, error);
        end_leading(&leading);
    }
    stele__registry_fini(&registry);
    return status;
}
