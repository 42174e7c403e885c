/*
 * What all walks over typed values share: where a field's items are, where a
 * walk stands, how a fault is told, and what decoding may allocate.
 */
#ifndef STELE_MESSAGE_VALUE_H
#define STELE_MESSAGE_VALUE_H

#include <stele/error.h>
#include <stele/limits.h>
#include <stele/memory.h>
#include <stele/type.h>

#include "base/buffer.h"

/* A field's items in memory, one after the other: one, none if absent, or those of a list. */
struct stele__items {
    const char *first;
    size_t count;
    bool present;
};

static inline bool stele__field_is_list(const struct stele_field *field)
{
    return field->shape == STELE_SHAPE_LIST || field->shape == STELE_SHAPE_OPTIONAL_LIST;
}

/* False for what no encoding has: the place holder of a type without fields, the arena of a state. */
static inline bool stele__field_is_coded(const struct stele_field *field)
{
    return field->kind != STELE_KIND_NONE && field->kind != STELE_KIND_ARENA;
}

/* The field of a name; NULL if the type has none. */
const struct stele_field *stele__field_find(const struct stele_type *type, struct stele_slice name);

/* Bytes of one item; 0 for the place holder. */
size_t stele__item_size(const struct stele_field *field);

/* Bytes of the whole field in the struct. */
size_t stele__field_size(const struct stele_field *field);

/* The items of a field of the struct `value`. A list without items but with a count has `first` NULL. */
struct stele__items stele__field_items_shaped(const struct stele_field *field, const void *value);
static inline struct stele__items stele__field_items(const struct stele_field *field, const void *value)
{
    if (field->shape != STELE_SHAPE_ONE)
        return stele__field_items_shaped(field, value);
    return (struct stele__items){.first = (const char *)value + field->offset, .count = 1, .present = true};
}

/* Set the flag beside an optional number, BOOL, TIME or UUID; others are present by not being NULL. */
void stele__mark_present(enum stele_kind kind, void *slot);

/* Where a walk stands: a field of `type`, below the places above it. */
#define STELE__NO_INDEX SIZE_MAX
struct stele__place {
    const struct stele__place *up; /* NULL at the root */
    const struct stele_type *type;
    const struct stele_field *field; /* NULL for the value as a whole */
    size_t index;                    /* of an item of a list, else STELE__NO_INDEX */
};

/* STELE_INVALID for the value at a place: adds "type" (the root's), "field", "value" unless NULL, "rule". */
stele_status stele__value_fault(const struct stele__place *place, const char *value, const char *rule,
                                stele_error **error);

/* What a value of a kind has to be, as a rule in words. */
const char *stele__kind_rule(enum stele_kind kind);

/* The word for a kind: "int64". */
const char *stele__kind_text(enum stele_kind kind);

/* Print an item for an error, at most 64 bytes of it; false if it has no printable form. */
enum { STELE__VALUE_TEXT_SIZE = 72 };
bool stele__value_print(enum stele_kind kind, const void *item, char text[STELE__VALUE_TEXT_SIZE]);

/* STELE_LIMIT: values nest beyond STELE_NESTING_MAX. */
stele_status stele__fail_nesting(stele_error **error);

/*
 * Memory of lists and optional structs, which may be far larger decoded than
 * encoded (an empty map is one byte): together at most 16 times the largest
 * payload. `*room` is what is left of that. STELE_LIMIT, STELE_NO_MEMORY.
 */
#define STELE__DECODE_ROOM ((size_t)16 * STELE_PAYLOAD_MAX)
stele_status stele__decode_alloc(stele_arena *arena, size_t *room, size_t count, size_t size, void **out,
                                 stele_error **error);

/* Give an absent field its default or leave it absent (`out` is zeroed): STELE_INVALID "required" where it cannot be. */
stele_status stele__decode_absent(const struct stele__place *place, void *out, stele_error **error);

/* STELE_INVALID for an argument of a codec function that is NULL; `input` is the name of what is `given`. */
stele_status stele__codec_arguments(const struct stele_type *type, const char *input, const void *given,
                                    const stele_arena *arena, const void *out, stele_error **error);

/* Append a value to a buffer, as stele_msgpack_encode() and stele_json_encode() do; the caller finishes the buffer. */
stele_status stele__value_to_msgpack(const struct stele_type *type, const void *value, struct stele__buffer *buffer,
                                     stele_error **error);
stele_status stele__value_to_json(const struct stele_type *type, const void *value, struct stele__buffer *buffer,
                                  stele_error **error);

/* Copy what a buffer holds into an arena, with a NUL behind it, and free the buffer; `status` and its failure pass first. */
stele_status stele__buffer_to_arena(struct stele__buffer *buffer, stele_status status, const char *what,
                                    stele_arena *arena, struct stele_slice *out, stele_error **error);

#endif
