/*
 * The rules of a type, checked on a value: depth first, in field order, up to
 * the first that is broken. On a list, rules of size count its items; the
 * others hold for each item. Passing costs no memory; a fault is put into
 * words only when there is one. What can fail: STELE_INVALID with "type",
 * "field", "value" and "rule"; STELE_LIMIT for nesting; memory for the words.
 *
 * Whether text is UTF-8 and a double finite is checked here too: the other
 * rules mean nothing without it.
 */
#include "message/value.h"

#include "base/error.h"
#include "base/text.h"

#include <stele/clock.h>

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { RULE_SIZE = 96 };

static stele_status check_struct(const struct stele__place *up, const struct stele_type *type, size_t depth,
                                 const void *value, stele_error **error);

static stele_status broken(const struct stele__place *place, const void *item, const char *rule, stele_error **error)
{
    char text[STELE__VALUE_TEXT_SIZE];
    const bool printed = stele__value_print(place->field->kind, item, text);

    return stele__value_fault(place, printed ? text : NULL, rule, error);
}

/* A rule of one number, "at least 3 code points". */
static stele_status broken_bound(const struct stele__place *place, const void *item, const char *words, size_t bound,
                                 const char *unit, stele_error **error)
{
    char rule[RULE_SIZE];

    snprintf(rule, sizeof(rule), "%s %zu %s%s", words, bound, unit, bound == 1 ? "" : "s");
    return broken(place, item, rule, error);
}

/* "at least" or "at most" the minimum or maximum. */
static stele_status broken_end(const struct stele__place *place, const void *item, const char *words,
                               const union stele_scalar *end, stele_error **error)
{
    char text[STELE__VALUE_TEXT_SIZE];
    char rule[RULE_SIZE];

    stele__value_print(place->field->kind, end, text);
    snprintf(rule, sizeof(rule), "%s %s", words, text);
    return broken(place, item, rule, error);
}

static stele_status check_int(const struct stele__place *place, const void *item, stele_error **error)
{
    const struct stele_field *field = place->field;
    int64_t value;

    memcpy(&value, item, sizeof(value));
    if (field->positive && value <= 0)
        return broken(place, item, "positive", error);
    if (field->non_negative && value < 0)
        return broken(place, item, "not negative", error);
    if (field->has_min && value < field->min.int64)
        return broken_end(place, item, "at least", &field->min, error);
    if (field->has_max && value > field->max.int64)
        return broken_end(place, item, "at most", &field->max, error);
    if (!field->check_rule)
        return STELE_OK;
    if (field->kind == STELE_KIND_TIME ? !field->check.time(value) : !field->check.int64(value))
        return broken(place, item, field->check_rule, error);
    return STELE_OK;
}

static stele_status check_uint(const struct stele__place *place, const void *item, stele_error **error)
{
    const struct stele_field *field = place->field;
    uint64_t value;

    memcpy(&value, item, sizeof(value));
    if (field->positive && value == 0)
        return broken(place, item, "positive", error);
    if (field->has_min && value < field->min.uint64)
        return broken_end(place, item, "at least", &field->min, error);
    if (field->has_max && value > field->max.uint64)
        return broken_end(place, item, "at most", &field->max, error);
    if (field->check_rule && !field->check.uint64(value))
        return broken(place, item, field->check_rule, error);
    return STELE_OK;
}

static stele_status check_real(const struct stele__place *place, const void *item, stele_error **error)
{
    const struct stele_field *field = place->field;
    double value;

    memcpy(&value, item, sizeof(value));
    if (!isfinite(value))
        return broken(place, item, stele__kind_rule(STELE_KIND_DOUBLE), error);
    if (field->positive && value <= 0)
        return broken(place, item, "positive", error);
    if (field->non_negative && value < 0)
        return broken(place, item, "not negative", error);
    if (field->has_min && value < field->min.real)
        return broken_end(place, item, "at least", &field->min, error);
    if (field->has_max && value > field->max.real)
        return broken_end(place, item, "at most", &field->max, error);
    if (field->check_rule && !field->check.real(value))
        return broken(place, item, field->check_rule, error);
    return STELE_OK;
}

static bool is_one_of(const char *const *words, const char *text)
{
    for (; *words; words++) {
        if (strcmp(*words, text) == 0)
            return true;
    }
    return false;
}

static stele_status broken_one_of(const struct stele__place *place, const void *item, stele_error **error)
{
    struct stele__buffer rule;
    stele_status status;

    stele__buffer_init(&rule);
    stele__buffer_add_text(&rule, "one of ");
    for (const char *const *word = place->field->one_of; *word; word++) {
        stele__buffer_add_text(&rule, *word);
        stele__buffer_add_text(&rule, word[1] ? ", " : "");
    }
    stele__buffer_add_byte(&rule, '\0');
    status = stele__buffer_finish(&rule, "rule", error);
    if (status == STELE_OK)
        status = broken(place, item, rule.data, error);
    stele__buffer_fini(&rule);
    return status;
}

static stele_status check_length(const struct stele__place *place, const void *item, size_t length, const char *unit,
                                 stele_error **error)
{
    const struct stele_field *field = place->field;

    if (length < field->min_length)
        return broken_bound(place, item, "at least", field->min_length, unit, error);
    if (field->max_length && length > field->max_length)
        return broken_bound(place, item, "at most", field->max_length, unit, error);
    return STELE_OK;
}

static stele_status check_text(const struct stele__place *place, const void *item, bool sizes, stele_error **error)
{
    const struct stele_field *field = place->field;
    const char *text;
    struct stele_slice slice;
    size_t offset;
    stele_status status = STELE_OK;

    memcpy(&text, item, sizeof(text));
    if (!text)
        return broken(place, item, "required", error);
    slice = stele__slice(text);
    if (!stele__utf8_valid(slice, &offset))
        return broken(place, item, "valid UTF-8", error);
    if (sizes && field->non_empty && stele__utf8_blank(slice))
        return broken(place, item, "not empty", error);
    if (sizes && (field->min_length || field->max_length))
        status = check_length(place, item, stele__utf8_length(slice), "code point", error);
    if (status != STELE_OK)
        return status;
    if (field->one_of && !is_one_of(field->one_of, text))
        return broken_one_of(place, item, error);
    if (field->check_rule && !field->check.text(text))
        return broken(place, item, field->check_rule, error);
    return STELE_OK;
}

static stele_status check_bytes(const struct stele__place *place, const void *item, bool sizes, stele_error **error)
{
    const struct stele_field *field = place->field;
    struct stele_slice bytes;
    stele_status status = STELE_OK;

    memcpy(&bytes, item, sizeof(bytes));
    if (!bytes.data)
        return broken(place, item, "required", error);
    if (sizes && field->non_empty && bytes.size == 0)
        return broken(place, item, "not empty", error);
    if (sizes)
        status = check_length(place, item, bytes.size, "byte", error);
    if (status == STELE_OK && field->check_rule && !field->check.bytes(bytes))
        return broken(place, item, field->check_rule, error);
    return status;
}

static stele_status check_uuid(const struct stele__place *place, const void *item, bool sizes, stele_error **error)
{
    static const struct stele_uuid nil = {{0}};
    const struct stele_field *field = place->field;
    struct stele_uuid uuid;

    memcpy(&uuid, item, sizeof(uuid));
    if (sizes && field->non_empty && stele_uuid_compare(&uuid, &nil) == 0)
        return broken(place, item, "not nil", error);
    if (field->check_rule && !field->check.uuid(&uuid))
        return broken(place, item, field->check_rule, error);
    return STELE_OK;
}

/* `sizes` is false for the items of a list, whose own size the rules of size are about. */
static stele_status check_item(const struct stele__place *place, const void *item, bool sizes, size_t depth,
                               stele_error **error)
{
    switch (place->field->kind) {
    case STELE_KIND_INT64:
    case STELE_KIND_TIME: return check_int(place, item, error);
    case STELE_KIND_UINT64: return check_uint(place, item, error);
    case STELE_KIND_DOUBLE: return check_real(place, item, error);
    case STELE_KIND_TEXT: return check_text(place, item, sizes, error);
    case STELE_KIND_BYTES: return check_bytes(place, item, sizes, error);
    case STELE_KIND_UUID: return check_uuid(place, item, sizes, error);
    case STELE_KIND_STRUCT: return check_struct(place, place->field->type, depth, item, error);
    case STELE_KIND_BOOL:
    case STELE_KIND_ARENA:
    case STELE_KIND_NONE: break;
    }
    return STELE_OK;
}

static stele_status broken_count(const struct stele__place *place, size_t count, const char *rule, size_t bound,
                                 stele_error **error)
{
    char value[STELE__VALUE_TEXT_SIZE];
    char words[RULE_SIZE];

    snprintf(value, sizeof(value), "%zu item%s", count, count == 1 ? "" : "s");
    if (bound)
        snprintf(words, sizeof(words), "%s %zu item%s", rule, bound, bound == 1 ? "" : "s");
    return stele__value_fault(place, value, bound ? words : rule, error);
}

static stele_status check_list(struct stele__place *place, struct stele__items items, size_t depth, stele_error **error)
{
    const struct stele_field *field = place->field;
    const size_t size = stele__item_size(field);
    stele_status status = STELE_OK;

    if (items.count && !items.first)
        return stele__value_fault(place, NULL, "required", error);
    if (field->non_empty && items.count == 0)
        return broken_count(place, items.count, "not empty", 0, error);
    if (items.count < field->min_length)
        return broken_count(place, items.count, "at least", field->min_length, error);
    if (field->max_length && items.count > field->max_length)
        return broken_count(place, items.count, "at most", field->max_length, error);
    if (depth == STELE_NESTING_MAX)
        return stele__fail_nesting(error);
    for (size_t i = 0; i < items.count && status == STELE_OK; i++) {
        place->index = i;
        status = check_item(place, items.first + i * size, false, depth + 1, error);
    }
    place->index = STELE__NO_INDEX;
    return status;
}

static stele_status check_struct(const struct stele__place *up, const struct stele_type *type, size_t depth,
                                 const void *value, stele_error **error)
{
    struct stele__place place = {.up = up, .type = type, .index = STELE__NO_INDEX};
    stele_status status = STELE_OK;

    if (depth == STELE_NESTING_MAX)
        return stele__fail_nesting(error);
    for (size_t i = 0; i < type->field_count && status == STELE_OK; i++) {
        const struct stele__items items = stele__field_items(&type->fields[i], value);

        place.field = &type->fields[i];
        if (!items.present)
            continue;
        status = stele__field_is_list(place.field) ? check_list(&place, items, depth + 1, error)
                                                   : check_item(&place, items.first, true, depth + 1, error);
    }
    return status;
}

stele_status stele_value_check(const struct stele_type *type, const void *value, stele_error **error)
{
    if (!type)
        return stele__fail_argument(error, "type", "is NULL");
    if (!value)
        return stele__fail_argument(error, "value", "is NULL");
    return check_struct(NULL, type, 0, value, error);
}
