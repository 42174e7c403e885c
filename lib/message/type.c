/*
 * Checking descriptors: whether a type is one that the codecs and rules can
 * work with. Types nested in it, and its parents, are checked with it. A type may contain itself
 * through OPTIONAL or LIST, which is followed once; its values are bounded
 * when they are walked. What can fail: STELE_INVALID with "type", "field" and
 * "rule" for the first fault, STELE_LIMIT for names that are too long.
 */
#include "message/value.h"

#include "base/error.h"
#include "base/text.h"

#include <math.h>
#include <string.h>

/* The types that a check is inside of, innermost first. */
struct path {
    const struct path *up;
    const struct stele_type *type;
    size_t depth;
};

static stele_status check_type(const struct path *up, const struct stele_type *type, stele_error **error);

static stele_status wrong(const struct stele_type *type, const struct stele_field *field, const char *rule,
                          stele_error **error)
{
    const struct stele__place place = {.type = type, .field = field, .index = STELE__NO_INDEX};

    return stele__value_fault(&place, NULL, rule, error);
}

static bool is_number(enum stele_kind kind)
{
    return kind == STELE_KIND_INT64 || kind == STELE_KIND_UINT64 || kind == STELE_KIND_DOUBLE;
}

/* Rules that this kind, in this shape, cannot have; NULL if there is none. */
static const char *misplaced_rule(const struct stele_field *field)
{
    const enum stele_kind kind = field->kind;
    const bool list = stele__field_is_list(field);
    const bool sized = list || kind == STELE_KIND_TEXT || kind == STELE_KIND_BYTES;

    if (field->positive && !is_number(kind))
        return "STELE_POSITIVE is for INT64, UINT64 and DOUBLE";
    if (field->non_negative && kind != STELE_KIND_INT64 && kind != STELE_KIND_DOUBLE)
        return "STELE_NON_NEGATIVE is for INT64 and DOUBLE";
    if ((field->has_min || field->has_max) && !is_number(kind) && kind != STELE_KIND_TIME)
        return "STELE_MIN and STELE_MAX are for numbers and TIME";
    if (field->non_empty && !sized && kind != STELE_KIND_UUID)
        return "STELE_NON_EMPTY is for TEXT, BYTES, UUID and lists";
    if ((field->min_length || field->max_length) && !sized)
        return "STELE_MIN_LENGTH and STELE_MAX_LENGTH are for TEXT, BYTES and lists";
    if (field->one_of && kind != STELE_KIND_TEXT)
        return "STELE_ONE_OF is for TEXT";
    if (field->check_rule && (kind == STELE_KIND_BOOL || kind == STELE_KIND_STRUCT))
        return "STELE_CHECK is for numbers, TEXT, BYTES, UUID and TIME";
    return NULL;
}

static bool has_rules(const struct stele_field *field)
{
    return field->non_empty || field->positive || field->non_negative || field->has_min || field->has_max ||
           field->has_default || field->min_length || field->max_length || field->one_of || field->check_rule;
}

static bool ends_are_crossed(const struct stele_field *field)
{
    if (!field->has_min || !field->has_max)
        return false;
    if (field->kind == STELE_KIND_UINT64)
        return field->min.uint64 > field->max.uint64;
    if (field->kind == STELE_KIND_DOUBLE)
        return field->min.real > field->max.real;
    return field->min.int64 > field->max.int64;
}

static bool ends_are_finite(const struct stele_field *field)
{
    if (field->kind != STELE_KIND_DOUBLE)
        return true;
    return (!field->has_min || isfinite(field->min.real)) && (!field->has_max || isfinite(field->max.real));
}

static bool words_are_text(const char *const *words)
{
    size_t offset;

    for (; *words; words++) {
        if (!stele__utf8_valid(stele__slice(*words), &offset))
            return false;
    }
    return true;
}

static const char *contradiction(const struct stele_field *field)
{
    if (!ends_are_finite(field))
        return "minimum and maximum are finite";
    if (ends_are_crossed(field))
        return "the minimum is not above the maximum";
    if (field->max_length && field->min_length > field->max_length)
        return "the minimum length is not above the maximum length";
    if (field->one_of && !field->one_of[0])
        return "STELE_ONE_OF names something";
    if (field->one_of && !words_are_text(field->one_of))
        return "STELE_ONE_OF names valid UTF-8";
    return NULL;
}

static const char *wrong_default(const struct stele_field *field)
{
    size_t offset;

    if (!field->has_default)
        return NULL;
    if (field->shape != STELE_SHAPE_ONE)
        return "only a required field that is no list has a default";
    if (field->kind == STELE_KIND_BYTES || field->kind == STELE_KIND_UUID || field->kind == STELE_KIND_STRUCT)
        return "a default is for BOOL, numbers, TEXT and TIME";
    if (field->kind == STELE_KIND_TEXT &&
        (!field->fallback.text || !stele__utf8_valid(stele__slice(field->fallback.text), &offset)))
        return "a default text is valid UTF-8";
    if (field->kind == STELE_KIND_DOUBLE && !isfinite(field->fallback.real))
        return "a default is finite";
    return NULL;
}

/* Any member of the union: a custom check without a function would be called. */
static bool check_is_whole(const struct stele_field *field)
{
    static const union stele_check none;

    return (memcmp(&field->check, &none, sizeof(none)) != 0) == (field->check_rule != NULL);
}

static const char *field_fault(const struct stele_type *type, const struct stele_field *field)
{
    const char *fault;

    if ((unsigned)field->kind > STELE_KIND_STRUCT)
        return "the kind is one of enum stele_kind";
    if ((unsigned)field->shape > STELE_SHAPE_OPTIONAL_LIST)
        return "the shape is one of enum stele_shape";
    if (field->kind == STELE_KIND_STRUCT && !field->type)
        return "a STRUCT has a type";
    if (!stele__field_is_coded(field) && (has_rules(field) || field->shape != STELE_SHAPE_ONE))
        return "NONE and ARENA have no rules and no shape";
    if (field->kind == STELE_KIND_ARENA && type->kind != STELE_STATE && type->kind != STELE_PART)
        return "ARENA is for states";
    if (field->offset > type->size || stele__field_size(field) > type->size - field->offset)
        return "the field lies within its struct";
    if (!check_is_whole(field))
        return "a custom check has a function and a rule in words";
    fault = misplaced_rule(field);
    if (!fault)
        fault = contradiction(field);
    return fault ? fault : wrong_default(field);
}

static bool is_on_path(const struct path *path, const struct stele_type *type)
{
    for (; path; path = path->up) {
        if (path->type == type)
            return true;
    }
    return false;
}

static stele_status check_name(const struct stele_type *type, size_t index, stele_error **error)
{
    const struct stele_field *field = &type->fields[index];
    stele_status status;

    if (!field->name)
        return stele__fail(error, STELE_INVALID, "%s: field %zu has no name", type->name, index);
    status = stele__name_check(stele__slice(field->name), "field name", STELE_TYPE_MAX, error);
    if (status != STELE_OK) {
        stele__error_add(error, "type", "%s", type->name);
        stele__error_prefix(error, "%s, field %zu", type->name, index);
        return status;
    }
    for (size_t i = 0; i < index; i++) {
        if (strcmp(type->fields[i].name, field->name) == 0)
            return wrong(type, field, "names are unique", error);
    }
    return STELE_OK;
}

static stele_status check_field(const struct path *path, const struct stele_type *type, size_t index,
                                stele_error **error)
{
    const struct stele_field *field = &type->fields[index];
    stele_status status = check_name(type, index, error);
    const char *fault;

    if (status != STELE_OK)
        return status;
    fault = field_fault(type, field);
    if (fault)
        return wrong(type, field, fault, error);
    if (field->kind != STELE_KIND_STRUCT || is_on_path(path, field->type))
        return STELE_OK;
    if (path->depth == STELE_NESTING_MAX)
        return wrong(type, field, "types nest at most 64 deep", error);
    return check_type(path, field->type, error);
}

static stele_status check_head(const struct stele_type *type, stele_error **error)
{
    stele_status status;

    if (!type->name)
        return stele__fail_argument(error, "type", "has no name");
    status = stele__name_check(stele__slice(type->name), "type name", STELE_TYPE_MAX, error);
    if (status != STELE_OK)
        return status;
    if (type->version == 0)
        return wrong(type, NULL, "the version is 1 or above", error);
    if ((unsigned)type->kind > STELE_STATE)
        return wrong(type, NULL, "the kind is one of enum stele_message_kind", error);
    if (type->field_count && !type->fields)
        return wrong(type, NULL, "the fields are there", error);
    return STELE_OK;
}

static stele_status check_type(const struct path *up, const struct stele_type *type, stele_error **error)
{
    const struct path path = {up, type, up ? up->depth + 1 : 1};
    stele_status status = check_head(type, error);

    for (size_t i = 0; i < type->field_count && status == STELE_OK; i++)
        status = check_field(&path, type, i, error);
    return status;
}

/* --- Parents ------------------------------------------------------------------------ */

/* Whether what is written as `field` can be read as `inherited`. */
static bool is_alike(const struct stele_field *field, const struct stele_field *inherited)
{
    return field->kind == inherited->kind && field->shape == inherited->shape && field->type == inherited->type;
}

/* Both types are checked. */
static stele_status check_parent(const struct stele_type *type, stele_error **error)
{
    const struct stele_type *parent = type->parent;

    if (parent->kind != type->kind)
        return wrong(type, NULL, "the parent is of the same kind", error);
    for (size_t i = 0; i < parent->field_count; i++) {
        const struct stele_field *inherited = &parent->fields[i];
        const struct stele_field *field = stele__field_find(type, stele__slice(inherited->name));

        if (stele__field_is_coded(inherited) && (!field || !is_alike(field, inherited)))
            return wrong(type, inherited, "each field of the parent is there, of the same kind", error);
    }
    return STELE_OK;
}

static stele_status check_parents(const struct stele_type *type, stele_error **error)
{
    const struct stele_type *child = type;
    stele_status status = STELE_OK;

    for (size_t degree = 1; child->parent && status == STELE_OK; degree++) {
        if (degree > STELE_NESTING_MAX)
            return wrong(type, NULL, "parents end, at most 64 above", error);
        status = check_type(NULL, child->parent, error);
        if (status == STELE_OK)
            status = check_parent(child, error);
        child = child->parent;
    }
    return status;
}

stele_status stele_type_check(const struct stele_type *type, stele_error **error)
{
    stele_status status = type ? check_type(NULL, type, error) : stele__fail_argument(error, "type", "is NULL");

    return status == STELE_OK ? check_parents(type, error) : status;
}
