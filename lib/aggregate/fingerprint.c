/*
 * Fingerprints: is a stored state one that this program would have folded?
 *
 *     state type -> text, type by type -> XXH3, 128 bits
 *
 * The text names the types in the order in which they are first met, so that a
 * type may contain itself:
 *
 *     0 bank.account 1
 *     text owner
 *     list struct 1 movements
 *     1 movement 1
 *     int64 amount
 *
 * Names and numbers of C do not come into it, nor do rules: only what the
 * encoding of a state depends on. Where unknown events are skipped, which are
 * known decides on the state as well, and their names follow, in order. The
 * steps by which older events become those of the table are the last part: what
 * a state was folded from depends on them. A step in code is known by its ends
 * alone.
 *
 * What can fail: memory.
 */
#include "aggregate/aggregate.h"

#include "base/buffer.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "message/upcast.h"
#include "message/value.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

static const char *const shape_names[] = {
    [STELE_SHAPE_ONE] = "",
    [STELE_SHAPE_OPTIONAL] = "optional ",
    [STELE_SHAPE_LIST] = "list ",
    [STELE_SHAPE_OPTIONAL_LIST] = "optional list ",
};

/* The number of a type among those met so far, which it joins; SIZE_MAX when memory is out. */
static size_t number_of(struct stele__vector *types, const struct stele_type *type)
{
    const struct stele_type **place;

    for (size_t i = 0; i < types->count; i++) {
        place = stele__vector_at(types, i);
        if (*place == type)
            return i;
    }
    place = stele__vector_add(types);
    if (!place)
        return SIZE_MAX;
    *place = type;
    return types->count - 1;
}

static bool print_type(struct stele__buffer *text, struct stele__vector *types, size_t number)
{
    const struct stele_type *const *place = stele__vector_at(types, number);
    const struct stele_type *type = *place;

    stele__buffer_print(text, "%zu %s %" PRIu32 "\n", number, type->name, type->version);
    for (size_t i = 0; i < type->field_count; i++) {
        const struct stele_field *field = &type->fields[i];

        stele__buffer_print(text, "%s%s ", shape_names[field->shape], stele__kind_text(field->kind));
        if (field->kind == STELE_KIND_STRUCT) {
            const size_t part = number_of(types, field->type);

            if (part == SIZE_MAX)
                return false;
            stele__buffer_print(text, "%zu ", part);
        }
        stele__buffer_print(text, "%s\n", field->name);
    }
    return true;
}

static bool print_shape(struct stele__buffer *text, const struct stele_type *state)
{
    struct stele__vector types;
    bool whole;

    stele__vector_init(&types, sizeof(const struct stele_type *));
    whole = number_of(&types, state) == 0;
    for (size_t i = 0; whole && i < types.count; i++)
        whole = print_type(text, &types, i);
    stele__vector_fini(&types);
    return whole;
}

static int compare_names(const void *left, const void *right)
{
    const char *const *left_name = left;
    const char *const *right_name = right;

    return strcmp(*left_name, *right_name);
}

static bool print_events(struct stele__buffer *text, const struct stele_aggregate *aggregate)
{
    struct stele__vector names;

    stele__vector_init(&names, sizeof(const char *));
    for (size_t i = 0; i < aggregate->evolution_count; i++) {
        const char **name = stele__vector_add(&names);

        if (!name) {
            stele__vector_fini(&names);
            return false;
        }
        *name = aggregate->evolutions[i].event->name;
    }
    if (names.count)
        qsort(names.items, names.count, sizeof(const char *), compare_names);
    for (size_t i = 0; i < names.count; i++) {
        const char *const *name = stele__vector_at(&names, i);

        stele__buffer_print(text, "event %s\n", *name);
    }
    stele__vector_fini(&names);
    return true;
}

static bool is_folded(void *context, const struct stele__shape *shape)
{
    const struct stele_aggregate *const *aggregate = context;

    for (size_t i = 0; i < (*aggregate)->evolution_count; i++) {
        if (stele__slice_equal(stele__slice((*aggregate)->evolutions[i].event->name), shape->name))
            return true;
    }
    return false;
}

/* The steps that begin or end at an event of the table. */
static bool print_steps(struct stele__buffer *text, const struct stele_aggregate *aggregate,
                        const struct stele__upcasting *upcasting)
{
    bool *marks = stele__alloc(upcasting->shape_count * sizeof(*marks));

    if (marks) {
        stele__upcasting_mark(upcasting, is_folded, &aggregate, marks);
        stele__upcasting_print(upcasting, marks, text);
    }
    stele__free(marks, upcasting->shape_count * sizeof(*marks));
    return marks != NULL;
}

bool stele__fingerprint_text(const struct stele_aggregate *aggregate, enum stele_unknown unknown,
                             const struct stele__upcasting *upcasting, struct stele__buffer *text)
{
    if (!print_shape(text, aggregate->state))
        return false;
    if (unknown == STELE_UNKNOWN_IS_SKIPPED && !print_events(text, aggregate))
        return false;
    if (upcasting && !print_steps(text, aggregate, upcasting))
        return false;
    return text->failed == STELE_OK;
}

stele_status stele__fingerprint(const struct stele_aggregate *aggregate, enum stele_unknown unknown,
                                const struct stele__upcasting *upcasting, uint8_t out[STELE__FINGERPRINT_SIZE],
                                stele_error **error)
{
    struct stele__buffer text;
    XXH128_canonical_t canonical;
    bool whole;

    stele__buffer_init(&text);
    whole = stele__fingerprint_text(aggregate, unknown, upcasting, &text);
    if (whole) {
        const struct stele_slice slice = stele__buffer_slice(&text);

        XXH128_canonicalFromHash(&canonical, XXH3_128bits(slice.data, slice.size));
        memcpy(out, canonical.digest, STELE__FINGERPRINT_SIZE);
    }
    stele__buffer_fini(&text);
    return whole ? STELE_OK : stele__fail_memory(error);
}
