/*
 * Checking a table of upcasters and choosing the step that each shape takes.
 *
 *     table -> step by step: well-formed? -> graph -> depth first: a circle?
 *                                                     the shortest way on
 *
 * The walk meets a shape when all it leads to is settled, so one pass chooses.
 * It goes over all edges, taken or not: a table with a circle anywhere is
 * refused. Its recursion is as deep as the longest way, at most
 * STELE_UPCASTERS_MAX.
 *
 * What can fail: the table (STELE_INVALID, STELE_LIMIT), memory.
 */
#include "message/upcast.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"

#include <inttypes.h>
#include <string.h>

/* --- One step ------------------------------------------------------------------------ */

static void name_step(const struct stele_upcaster *upcaster, stele_error **error)
{
    stele__error_prefix(error, "upcaster %s %" PRIu32 " -> %s %" PRIu32, upcaster->from ? upcaster->from : "?",
                        upcaster->from_version, upcaster->to ? upcaster->to : "?", upcaster->to_version);
    stele__error_add(error, "argument", "upcasters");
    stele__error_add(error, "step", "%s %" PRIu32 " -> %s %" PRIu32, upcaster->from ? upcaster->from : "?",
                     upcaster->from_version, upcaster->to ? upcaster->to : "?", upcaster->to_version);
}

static stele_status check_shape(const char *name, uint32_t version, stele_error **error)
{
    if (!name)
        return stele__fail(error, STELE_INVALID, "a name is NULL");
    if (version == 0)
        return stele__fail(error, STELE_INVALID, "a version is 0");
    if (stele__slice_begins_with(stele__slice(name), stele__slice("stele.")))
        return stele__fail(error, STELE_INVALID, "types whose names begin with \"stele.\" are the library's own");
    return stele__attribute_check(STELE__TYPE, stele__slice(name), error);
}

static stele_status check_ends(const struct stele_upcaster *upcaster, stele_error **error)
{
    stele_status status = check_shape(upcaster->from, upcaster->from_version, error);

    if (status == STELE_OK)
        status = check_shape(upcaster->to, upcaster->to_version, error);
    if (status != STELE_OK || strcmp(upcaster->from, upcaster->to) != 0)
        return status;
    if (upcaster->from_version == upcaster->to_version)
        return stele__fail(error, STELE_INVALID, "it leads from a shape to itself");
    if (upcaster->from_version > upcaster->to_version)
        return stele__fail(error, STELE_INVALID, "it goes back in versions");
    return STELE_OK;
}

static bool is_of(const struct stele_type *type, const char *name, uint32_t version)
{
    return strcmp(type->name, name) == 0 && type->version == version;
}

static bool is_message_kind(enum stele_message_kind kind)
{
    return kind == STELE_EVENT || kind == STELE_COMMAND || kind == STELE_QUERY || kind == STELE_REPLY;
}

static stele_status check_others(const struct stele_upcaster *upcaster, stele_error **error)
{
    stele_status status = STELE_OK;

    if (upcaster->other_count && !upcaster->others)
        return stele__fail(error, STELE_INVALID, "its other types are NULL");
    for (size_t i = 0; i < upcaster->other_count && status == STELE_OK; i++) {
        const struct stele_type *type = upcaster->others[i];

        status = stele_type_check(type, error);
        if (status == STELE_OK)
            status = check_shape(type->name, type->version, error);
        if (status == STELE_OK && type->kind != upcaster->new_type->kind)
            status = stele__fail(error, STELE_INVALID, "%s is of another kind", type->name);
    }
    return status;
}

static stele_status check_types(const struct stele_upcaster *upcaster, stele_error **error)
{
    const struct stele_type *old_type = upcaster->old_type;
    const struct stele_type *new_type = upcaster->new_type;
    stele_status status;

    if (!old_type || !new_type)
        return stele__fail(error, STELE_INVALID, "it has a function, but not both types");
    status = stele_type_check(old_type, error);
    if (status == STELE_OK)
        status = stele_type_check(new_type, error);
    if (status != STELE_OK)
        return status;
    if (!is_of(old_type, upcaster->from, upcaster->from_version))
        return stele__fail(error, STELE_INVALID, "its old type is %s %" PRIu32, old_type->name, old_type->version);
    if (!is_of(new_type, upcaster->to, upcaster->to_version))
        return stele__fail(error, STELE_INVALID, "its new type is %s %" PRIu32, new_type->name, new_type->version);
    if (!is_message_kind(old_type->kind) || old_type->kind != new_type->kind)
        return stele__fail(error, STELE_INVALID, "its types are not messages of one kind");
    return check_others(upcaster, error);
}

static stele_status check_way(const struct stele_upcaster *upcaster, stele_error **error)
{
    if (upcaster->up && (upcaster->changes || upcaster->change_count))
        return stele__fail(error, STELE_INVALID, "it has a function and changes");
    if (upcaster->up)
        return check_types(upcaster, error);
    if (upcaster->old_type || upcaster->new_type || upcaster->others || upcaster->other_count)
        return stele__fail(error, STELE_INVALID, "it has types, but no function");
    if (upcaster->change_count && !upcaster->changes)
        return stele__fail(error, STELE_INVALID, "its changes are NULL");
    return STELE_OK;
}

static stele_status compile_changes(struct stele__upcasting *upcasting, struct stele__step *step, stele_error **error)
{
    const struct stele_upcaster *upcaster = step->upcaster;
    struct stele__change *changes =
        stele__arena_array(&upcasting->arena, upcaster->change_count, sizeof(struct stele__change));
    stele_status status = STELE_OK;

    if (!changes)
        return stele__fail_memory(error);
    for (size_t i = 0; i < upcaster->change_count && status == STELE_OK; i++)
        status = stele__change_compile(&upcaster->changes[i], &upcasting->arena, &changes[i], error);
    step->changes = changes;
    return status;
}

/* --- The graph -------------------------------------------------------------------------- */

const struct stele__shape *stele__upcasting_find(const struct stele__upcasting *upcasting, struct stele_slice name,
                                                 uint32_t version)
{
    const struct stele__shape *shape = stele__map_get(&upcasting->names, name);

    while (shape && shape->version != version)
        shape = shape->sibling;
    return shape;
}

/* The shape of a name and version, which joins the graph; NULL when memory is out. */
static struct stele__shape *take_shape(struct stele__upcasting *upcasting, const char *text, uint32_t version)
{
    const struct stele_slice name = stele__slice(text);
    struct stele__shape *first = stele__map_get(&upcasting->names, name);
    struct stele__shape *shape = first;

    while (shape && shape->version != version)
        shape = shape->sibling;
    if (shape)
        return shape;
    shape = stele__arena_array(&upcasting->arena, 1, sizeof(*shape));
    if (!shape)
        return NULL;
    shape->name = name;
    shape->version = version;
    shape->index = upcasting->shape_count;
    if (first) {
        shape->sibling = first->sibling;
        first->sibling = shape;
    } else if (!stele__map_put(&upcasting->names, name, shape)) {
        return NULL;
    }
    upcasting->shape_count++;
    return shape;
}

static bool take_shapes(struct stele__upcasting *upcasting, struct stele__step *step)
{
    const struct stele_upcaster *upcaster = step->upcaster;

    step->from = take_shape(upcasting, upcaster->from, upcaster->from_version);
    step->to = take_shape(upcasting, upcaster->to, upcaster->to_version);
    step->others = stele__arena_array(&upcasting->arena, upcaster->other_count, sizeof(struct stele__shape *));
    if (!step->from || !step->to || !step->others)
        return false;
    for (size_t i = 0; i < upcaster->other_count; i++) {
        const struct stele_type *type = upcaster->others[i];

        step->others[i] = take_shape(upcasting, type->name, type->version);
        if (!step->others[i])
            return false;
    }
    return true;
}

/* Steps of a shape are linked, the last of the table first. */
static stele_status link_step(struct stele__step *step, stele_error **error)
{
    for (const struct stele__step *other = step->from->first_step; other; other = other->next_step) {
        if (other->to == step->to)
            return stele__fail(error, STELE_INVALID, "there are two steps between these shapes");
    }
    step->next_step = step->from->first_step;
    step->from->first_step = step;
    return STELE_OK;
}

static stele_status add_step(struct stele__upcasting *upcasting, const struct stele_upcaster *upcaster,
                             stele_error **error)
{
    struct stele__step *step = &upcasting->steps[upcasting->step_count];
    stele_status status = check_ends(upcaster, error);

    step->upcaster = upcaster;
    if (status == STELE_OK)
        status = check_way(upcaster, error);
    if (status == STELE_OK)
        status = compile_changes(upcasting, step, error);
    if (status == STELE_OK && !take_shapes(upcasting, step))
        return stele__fail_memory(error);
    if (status == STELE_OK)
        status = link_step(step, error);
    if (status == STELE_OK)
        upcasting->step_count++;
    else if (status != STELE_NO_MEMORY)
        name_step(upcaster, error);
    return status;
}

/* --- The ways ------------------------------------------------------------------------------ */

/* The shapes between the start of a walk and where it is. */
struct path {
    const struct path *up;
    const struct stele__shape *shape;
};

static void print_path(struct stele__buffer *text, const struct path *path, const struct stele__shape *first)
{
    if (path->shape != first)
        print_path(text, path->up, first);
    stele__buffer_print(text, "%s %" PRIu32 " -> ", path->shape->name.data, path->shape->version);
}

static stele_status fail_circle(const struct path *path, const struct stele__shape *first, stele_error **error)
{
    struct stele__buffer text;
    stele_status status;

    stele__buffer_init(&text);
    print_path(&text, path, first);
    stele__buffer_print(&text, "%s %" PRIu32, first->name.data, first->version);
    if (text.failed) {
        status = stele__fail_memory(error);
    } else {
        status = stele__fail(error, STELE_INVALID, "upcasters lead in a circle: %.*s", (int)text.size, text.data);
        stele__error_add(error, "argument", "upcasters");
    }
    stele__buffer_fini(&text);
    return status;
}

/* Is the one step to be preferred? Both leave the same shape; later ones of the table are met first. */
static bool is_better(const struct stele__step *step, const struct stele__step *chosen)
{
    if (!chosen || step->to->distance != chosen->to->distance)
        return !chosen || step->to->distance < chosen->to->distance;
    return step->to->version >= chosen->to->version;
}

static stele_status visit_shape(struct stele__shape *shape, const struct path *up, stele_error **error)
{
    const struct path path = {up, shape};
    stele_status status = STELE_OK;

    if (shape->visit == STELE__SHAPE_DONE)
        return STELE_OK;
    if (shape->visit == STELE__SHAPE_OPEN)
        return fail_circle(up, shape, error);
    shape->visit = STELE__SHAPE_OPEN;
    for (const struct stele__step *step = shape->first_step; step && status == STELE_OK; step = step->next_step) {
        status = visit_shape(step->to, &path, error);
        for (size_t i = 0; i < step->upcaster->other_count && status == STELE_OK; i++)
            status = visit_shape(step->others[i], &path, error);
        if (status == STELE_OK && is_better(step, shape->next))
            shape->next = step;
    }
    if (shape->next)
        shape->distance = shape->next->to->distance + 1;
    shape->visit = STELE__SHAPE_DONE;
    return status;
}

static stele_status compile(struct stele__upcasting *upcasting, const struct stele_upcaster *upcasters, size_t count,
                            stele_error **error)
{
    stele_status status = STELE_OK;

    upcasting->steps = stele__arena_array(&upcasting->arena, count, sizeof(*upcasting->steps));
    if (!upcasting->steps)
        return stele__fail_memory(error);
    for (size_t i = 0; i < count && status == STELE_OK; i++)
        status = add_step(upcasting, &upcasters[i], error);
    for (size_t i = 0; i < upcasting->step_count && status == STELE_OK; i++)
        status = visit_shape(upcasting->steps[i].from, NULL, error);
    return status;
}

stele_status stele__upcasting_new(const struct stele_upcaster *upcasters, size_t count, size_t payload_limit,
                                  struct stele__upcasting **out, stele_error **error)
{
    struct stele__upcasting *upcasting;
    stele_status status;

    if (count && !upcasters)
        return stele__fail_argument(error, "upcasters", "is NULL");
    if (count > STELE_UPCASTERS_MAX)
        return stele__fail_limit(error, "upcasters", count, STELE_UPCASTERS_MAX, "steps");
    upcasting = stele__alloc(sizeof(*upcasting));
    if (!upcasting)
        return stele__fail_memory(error);
    stele__arena_init(&upcasting->arena);
    stele__map_init(&upcasting->names);
    upcasting->payload_limit = payload_limit;
    status = compile(upcasting, upcasters, count, error);
    if (status == STELE_OK)
        *out = upcasting;
    else
        stele__upcasting_free(upcasting);
    return status;
}

void stele__upcasting_free(struct stele__upcasting *upcasting)
{
    if (!upcasting)
        return;
    stele__map_fini(&upcasting->names);
    stele__arena_fini(&upcasting->arena);
    stele__free(upcasting, sizeof(*upcasting));
}

stele_status stele_upcasters_check(const struct stele_upcaster *upcasters, size_t count, stele_error **error)
{
    struct stele__upcasting *upcasting = NULL;
    const stele_status status = stele__upcasting_new(upcasters, count, STELE_PAYLOAD_MAX, &upcasting, error);

    stele__upcasting_free(upcasting);
    return status;
}

/* --- What leads where ------------------------------------------------------------------------ */

static bool leads_to_marked(const struct stele__step *step, const bool *marks)
{
    bool marked = marks[step->to->index];

    for (size_t i = 0; i < step->upcaster->other_count; i++)
        marked = marked || marks[step->others[i]->index];
    return marked;
}

/* Marks spread against the steps, until no step moves one. */
static bool spread(const struct stele__upcasting *upcasting, bool *marks)
{
    bool moved = false;

    for (size_t i = 0; i < upcasting->step_count; i++) {
        const struct stele__step *step = &upcasting->steps[i];

        if (step->from->next == step && !marks[step->from->index] && leads_to_marked(step, marks)) {
            marks[step->from->index] = true;
            moved = true;
        }
    }
    return moved;
}

void stele__upcasting_mark(const struct stele__upcasting *upcasting, stele__shape_test *test, void *context,
                           bool *marks)
{
    struct stele_slice name;
    size_t place = 0;
    void *value;

    while (stele__map_next(&upcasting->names, &place, &name, &value)) {
        for (const struct stele__shape *shape = value; shape; shape = shape->sibling)
            marks[shape->index] = test(context, shape);
    }
    while (spread(upcasting, marks))
        continue;
}

/* --- Steps as text ------------------------------------------------------------------------------ */

static void print_change(struct stele__buffer *text, const struct stele_change *change)
{
    static const char *const words[] = {[STELE_CHANGE_RENAME] = "rename",
                                        [STELE_CHANGE_DROP] = "drop",
                                        [STELE_CHANGE_ADD] = "add",
                                        [STELE_CHANGE_SET] = "set"};
    const bool is_named = change->kind == STELE_CHANGE_RENAME;
    const bool is_plain = change->kind == STELE_CHANGE_DROP;

    stele__buffer_print(text, " %s %zu:%s=%s", words[change->kind], strlen(change->field), change->field,
                        is_plain   ? ""
                        : is_named ? change->renamed
                                   : change->json);
}

static void print_step(struct stele__buffer *text, const struct stele_upcaster *upcaster)
{
    stele__buffer_print(text, "upcast %s %" PRIu32 " -> %s %" PRIu32, upcaster->from, upcaster->from_version,
                        upcaster->to, upcaster->to_version);
    for (size_t i = 0; i < upcaster->other_count; i++)
        stele__buffer_print(text, ", %s %" PRIu32, upcaster->others[i]->name, upcaster->others[i]->version);
    for (size_t i = 0; i < upcaster->change_count; i++)
        print_change(text, &upcaster->changes[i]);
    stele__buffer_add_byte(text, '\n');
}

/* The next step behind `last` by name and version of its start, among those that are taken from marked shapes. */
static const struct stele__step *step_behind(const struct stele__upcasting *upcasting, const bool *marks,
                                             const struct stele__step *last)
{
    const struct stele__step *next = NULL;

    for (size_t i = 0; i < upcasting->step_count; i++) {
        const struct stele__step *step = &upcasting->steps[i];
        int order = last ? stele__slice_compare(step->from->name, last->from->name) : 1;

        if (order == 0)
            order = step->from->version > last->from->version ? 1 : -1;
        if (order <= 0 || step->from->next != step || !marks[step->from->index])
            continue;
        order = next ? stele__slice_compare(step->from->name, next->from->name) : -1;
        if (order < 0 || (order == 0 && step->from->version < next->from->version))
            next = step;
    }
    return next;
}

void stele__upcasting_print(const struct stele__upcasting *upcasting, const bool *marks, struct stele__buffer *text)
{
    const struct stele__step *step = step_behind(upcasting, marks, NULL);

    for (; step; step = step_behind(upcasting, marks, step))
        print_step(text, step->upcaster);
}
