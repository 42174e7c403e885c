/*
 * Registered types: their description as an event, and the fold of the events.
 *
 *     type -> its fields, and those of the structs in it -> compared with every
 *          older registration of the shape -> an event
 *     "$types" -> event by event -> shapes, each with its registrations
 *
 * What can fail: a type that does not agree (STELE_INVALID), an event of the
 * stream that cannot be read (STELE_CORRUPT), the store, memory.
 */
#include "store/registry.h"

#include "base/buffer.h"
#include "base/error.h"
#include "base/text.h"
#include "message/message.h"
#include "message/value.h"

#include <inttypes.h>

#define FIELD_LINE(FIELD, T) FIELD(T, TEXT, part) FIELD(T, TEXT, name) FIELD(T, TEXT, kind) FIELD(T, BOOL, is_required)
STELE_DECLARE_STRUCT(stele__field_line, FIELD_LINE);
STELE_DEFINE_STRUCT(stele__field_line, FIELD_LINE);

#define TYPE_REGISTERED(FIELD, T) \
    FIELD(T, TEXT, name) \
    FIELD(T, UINT64, version, STELE_MIN_UINT(1), STELE_MAX_UINT(UINT32_MAX)) \
    FIELD(T, TEXT, kind) FIELD(T, TEXT, schema) FIELD(T, LIST(STRUCT(stele__field_line)), fields)
STELE_DECLARE(stele__type_registered, TYPE_REGISTERED);
STELE_DEFINE_EVENT(stele__type_registered, "stele.type.registered", 1, TYPE_REGISTERED);

void stele__registry_init(struct stele__registry *registry)
{
    stele__arena_init(&registry->arena);
    stele__map_init(&registry->names);
    stele__vector_init(&registry->shapes, sizeof(struct stele__known_shape *));
    registry->version = 0;
}

void stele__registry_fini(struct stele__registry *registry)
{
    stele__vector_fini(&registry->shapes);
    stele__map_fini(&registry->names);
    stele__arena_fini(&registry->arena);
}

static struct stele__known_shape *add_shape(struct stele__registry *registry, struct stele_slice name, uint32_t version,
                                            struct stele__known_shape *first)
{
    struct stele__known_shape *shape = stele__arena_array(&registry->arena, 1, sizeof(*shape));
    const char *text = stele_arena_text(&registry->arena, name.data, name.size);
    struct stele__known_shape **place = shape && text ? stele__vector_add(&registry->shapes) : NULL;

    if (!place)
        return NULL;
    shape->name = text;
    shape->version = version;
    if (first) {
        shape->sibling = first->sibling;
        first->sibling = shape;
    } else if (!stele__map_put(&registry->names, stele__slice(text), shape)) {
        return NULL;
    }
    *place = shape;
    return shape;
}

struct stele__known_shape *stele__registry_shape(struct stele__registry *registry, struct stele_slice name,
                                                 uint32_t version)
{
    struct stele__known_shape *first = stele__map_get(&registry->names, name);

    for (struct stele__known_shape *shape = first; shape; shape = shape->sibling) {
        if (shape->version == version)
            return shape;
    }
    return add_shape(registry, name, version, first);
}

/* --- Folding the stream ----------------------------------------------------------------- */

static stele_status register_shape(struct stele__registry *registry, const struct stele__type_registered *event,
                                   stele_error **error)
{
    struct stele__known_shape *shape =
        stele__registry_shape(registry, stele__slice(event->name), (uint32_t)event->version);
    struct stele__registration *registration = stele__arena_array(&registry->arena, 1, sizeof(*registration));
    struct stele_stored_field *fields =
        stele__arena_array(&registry->arena, event->fields.count, sizeof(struct stele_stored_field));

    if (!shape || !registration || !fields)
        return stele__fail_memory(error);
    for (size_t i = 0; i < event->fields.count; i++) {
        const struct stele__field_line *line = &event->fields.items[i];

        fields[i] = (struct stele_stored_field){line->part, line->name, line->kind, line->is_required};
    }
    registration->schema = event->schema;
    registration->kind = stele__kind_find(stele__slice(event->kind));
    registration->fields = fields;
    registration->field_count = event->fields.count;
    registration->older = shape->newest;
    shape->newest = registration;
    return STELE_OK;
}

struct folding {
    struct stele__registry *registry;
    stele_status status;
    stele_error **error;
};

static bool fold(void *context, const stele_message *message)
{
    struct folding *folding = context;
    struct stele__type_registered event;
    stele_arena *arena = &folding->registry->arena;

    folding->status = stele__type_registered_read(message, arena, &event, folding->error);
    if (folding->status == STELE_OK)
        folding->status = register_shape(folding->registry, &event, folding->error);
    if (folding->status == STELE_OK || folding->status == STELE_NO_MEMORY)
        return folding->status == STELE_OK;
    folding->status = STELE_CORRUPT;
    stele__error_prefix(folding->error, "event at position %" PRIu64, message->position);
    return false;
}

/* A stranger's fault in the stream keeps the status it was made with; ours is about the store. */
static stele_status retell(stele_error *cause, stele_error **error)
{
    const stele_status status =
        stele__fail(error, STELE_CORRUPT, "stream %s: %s", STELE__TYPES_STREAM, stele_error_message(cause));

    stele__error_add(error, "stream", "%s", STELE__TYPES_STREAM);
    stele_error_free(cause);
    return status;
}

stele_status stele__registry_load(struct stele__registry *registry, stele_store *store, stele_error **error)
{
    stele_error *cause = NULL;
    struct folding folding = {.registry = registry, .error = &cause};
    struct stele_query query = STELE_OPTIONS_INIT(struct stele_query);
    struct stele_head head = {0};
    stele_status status;

    query.stream = STELE__TYPES_STREAM;
    status = stele__store_visit(store, &query, fold, &folding, &head, error);
    if (status != STELE_OK)
        return status;
    if (folding.status == STELE_NO_MEMORY)
        return stele__fail_memory(error);
    if (folding.status != STELE_OK)
        return retell(cause, error);
    registry->version = head.version;
    return STELE_OK;
}

/* --- Describing a type ---------------------------------------------------------------------- */

/* A type on its way to an event. */
struct description {
    stele_arena *arena;
    struct stele__vector types; /* const struct stele_type *: the type and the structs in it, each once */
    struct stele__vector lines; /* struct stele__field_line */
};

static bool add_type(struct description *description, const struct stele_type *type)
{
    const struct stele_type **place;

    for (size_t i = 0; i < description->types.count; i++) {
        place = stele__vector_at(&description->types, i);
        if (*place == type)
            return true;
    }
    place = stele__vector_add(&description->types);
    if (place)
        *place = type;
    return place != NULL;
}

static const char *print_kind(stele_arena *arena, const struct stele_field *field)
{
    struct stele__buffer text;
    const char *copy = NULL;

    stele__buffer_init(&text);
    if (stele__field_is_list(field))
        stele__buffer_add_text(&text, "list of ");
    stele__buffer_add_text(&text, stele__kind_text(field->kind));
    if (field->kind == STELE_KIND_STRUCT)
        stele__buffer_print(&text, " %s", field->type->name);
    if (!text.failed)
        copy = stele_arena_text(arena, text.data, text.size);
    stele__buffer_fini(&text);
    return copy;
}

static bool add_field(struct description *description, const char *part, const struct stele_field *field)
{
    struct stele__field_line *line;

    if (!stele__field_is_coded(field))
        return true;
    if (field->kind == STELE_KIND_STRUCT && !add_type(description, field->type))
        return false;
    line = stele__vector_add(&description->lines);
    if (!line)
        return false;
    line->part = part;
    line->name = field->name;
    line->kind = print_kind(description->arena, field);
    line->is_required = !field->has_default && (field->shape == STELE_SHAPE_ONE || field->shape == STELE_SHAPE_LIST);
    return line->kind != NULL;
}

/* The list of types grows while it is walked. */
static bool describe(struct description *description, const struct stele_type *type)
{
    bool whole = add_type(description, type);

    for (size_t i = 0; whole && i < description->types.count; i++) {
        const struct stele_type *const *part = stele__vector_at(&description->types, i);

        for (size_t j = 0; whole && j < (*part)->field_count; j++)
            whole = add_field(description, i == 0 ? "" : (*part)->name, &(*part)->fields[j]);
    }
    return whole;
}

/* --- Comparing --------------------------------------------------------------------------------- */

/* The fields of one side; the other side's lines are looked up in it. */
struct side {
    const struct stele_stored_field *fields;
    size_t count;
};

static bool has_part(const struct side *side, const char *part)
{
    for (size_t i = 0; i < side->count; i++) {
        if (strcmp(side->fields[i].part, part) == 0)
            return true;
    }
    return *part == '\0';
}

static const struct stele_stored_field *find_field(const struct side *side, const struct stele_stored_field *like)
{
    for (size_t i = 0; i < side->count; i++) {
        const struct stele_stored_field *field = &side->fields[i];

        if (strcmp(field->name, like->name) == 0 && strcmp(field->part, like->part) == 0)
            return field;
    }
    return NULL;
}

static stele_status fail_field(const struct stele_type *type, const struct stele_stored_field *field, const char *why,
                               stele_error **error)
{
    const char *dot = *field->part ? "." : "";

    stele__fail(error, STELE_INVALID, "%s %" PRIu32 ": field %s%s%s %s", type->name, type->version, field->part, dot,
                field->name, why);
    stele__error_add(error, "type", "%s", type->name);
    stele__error_add(error, "field", "%s%s%s", field->part, dot, field->name);
    return STELE_INVALID;
}

/* Required fields of the one side are to be on the other, but for structs that it has not at all. */
static stele_status check_required(const struct stele_type *type, const struct side *one, const struct side *other,
                                   const char *why, stele_error **error)
{
    for (size_t i = 0; i < one->count; i++) {
        const struct stele_stored_field *field = &one->fields[i];

        if (field->is_required && !find_field(other, field) && has_part(other, field->part))
            return fail_field(type, field, why, error);
    }
    return STELE_OK;
}

static stele_status check_common(const struct stele_type *type, const struct side *old, const struct side *new,
                                 stele_error **error)
{
    for (size_t i = 0; i < new->count; i++) {
        const struct stele_stored_field *field = &new->fields[i];
        const struct stele_stored_field *before = find_field(old, field);

        if (!before)
            continue;
        if (strcmp(before->kind, field->kind) != 0) {
            fail_field(type, field, "has another kind in the store", error);
            stele__error_add(error, "stored", "%s", before->kind);
            stele__error_add(error, "given", "%s", field->kind);
            return STELE_INVALID;
        }
        if (before->is_required != field->is_required)
            return fail_field(type, field,
                              before->is_required ? "is required in the store" : "is optional in the store", error);
    }
    return STELE_OK;
}

static stele_status check_agreement(const struct stele_type *type, const struct stele__registration *registration,
                                    const struct side *new, stele_error **error)
{
    const struct side old = {registration->fields, registration->field_count};
    stele_status status;

    if (registration->kind != type->kind) {
        stele__fail(error, STELE_INVALID, "%s %" PRIu32 " is not an event, command, query or reply alike in the store",
                    type->name, type->version);
        stele__error_add(error, "type", "%s", type->name);
        return STELE_INVALID;
    }
    status = check_common(type, &old, new, error);
    if (status == STELE_OK)
        status = check_required(type, new, &old, "is required, but not in the store", error);
    if (status == STELE_OK)
        status = check_required(type, &old, new, "is required in the store, but not here", error);
    return status;
}

/* --- Registering ----------------------------------------------------------------------------------- */

/* Is this very schema there? If not, does the type agree with what is? */
static stele_status compare(struct stele__registry *registry, const struct stele_type *type,
                            const struct stele__type_registered *event, bool *there, stele_error **error)
{
    const size_t count = event->fields.count;
    const struct stele__known_shape *shape = stele__registry_shape(registry, stele__slice(type->name), type->version);
    struct stele_stored_field *fields = stele__arena_array(&registry->arena, count, sizeof(*fields));
    const struct side new = {fields, count};
    stele_status status = STELE_OK;

    if (!shape || !fields)
        return stele__fail_memory(error);
    for (size_t i = 0; i < count; i++) {
        const struct stele__field_line *line = &event->fields.items[i];

        fields[i] = (struct stele_stored_field){line->part, line->name, line->kind, line->is_required};
    }
    *there = false;
    for (const struct stele__registration *old = shape->newest; old && status == STELE_OK; old = old->older) {
        status = check_agreement(type, old, &new, error);
        if (strcmp(old->schema, event->schema) == 0)
            *there = true;
    }
    return status;
}

static stele_status make_event(const struct stele_store *store, const struct stele__type_registered *payload,
                               stele_message **event, stele_error **error)
{
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);

    options.has_time = true;
    options.time = store->clock->now(store->clock->context);
    options.payload_limit = STELE_PAYLOAD_MAX;
    return stele__type_registered_message(payload, &options, event, error);
}

stele_status stele__registry_add(struct stele__registry *registry, const struct stele_store *store,
                                 const struct stele_type *type, stele_message **event, stele_error **error)
{
    struct description description = {.arena = &registry->arena};
    struct stele__type_registered payload = {
        .name = type->name, .version = type->version, .kind = stele__kind_name(type->kind).data};
    struct stele_slice schema;
    bool there = false;
    stele_status status = stele_json_schema(type, &registry->arena, &schema, error);

    stele__vector_init(&description.types, sizeof(const struct stele_type *));
    stele__vector_init(&description.lines, sizeof(struct stele__field_line));
    if (status == STELE_OK && !describe(&description, type))
        status = stele__fail_memory(error);
    if (status == STELE_OK) {
        payload.schema = schema.data;
        payload.fields.items = description.lines.items;
        payload.fields.count = description.lines.count;
        status = compare(registry, type, &payload, &there, error);
    }
    *event = NULL;
    if (status == STELE_OK && !there)
        status = make_event(store, &payload, event, error);
    if (status == STELE_OK && !there)
        status = register_shape(registry, &payload, error);
    stele__vector_fini(&description.lines);
    stele__vector_fini(&description.types);
    return status;
}
