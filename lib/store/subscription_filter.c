/*
 * Which events a subscription is shown.
 *
 *     one type or pattern -> the store looks for it
 *     several             -> each event's type: found among those seen -> wanted or not
 *
 * A log has few types: what was decided of one is kept by its hash, in a table
 * of a fixed size where a newcomer takes the place of another.
 *
 * What can fail: a malformed pattern, memory.
 */
#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "store/subscription.h"

static stele_status check_types(const char *const *types, stele_error **error)
{
    for (size_t i = 0; types[i]; i++) {
        const struct stele_slice type = stele__slice(types[i]);
        stele_status status = STELE_OK;

        if (type.size > STELE_TYPE_MAX)
            status = stele__fail_limit(error, "types", type.size, STELE_TYPE_MAX, "bytes");
        else
            status = stele__pattern_check(type, error);
        if (status != STELE_OK) {
            stele__error_add(error, "argument", "types");
            stele__error_prefix(error, "types");
            return status;
        }
    }
    return STELE_OK;
}

stele_status stele__filter_init(struct stele__filter *filter, const char *const *types, stele_error **error)
{
    stele_status status;

    *filter = (struct stele__filter){NULL};
    if (!types)
        return STELE_OK;
    if (!types[0])
        return stele__fail_argument(error, "types", "is empty");
    status = check_types(types, error);
    if (status != STELE_OK)
        return status;
    if (!types[1]) {
        filter->pushed = types[0];
        return STELE_OK;
    }
    filter->types = types;
    filter->slots = stele__alloc(STELE__FILTER_SLOTS * sizeof(*filter->slots));
    return filter->slots ? STELE_OK : stele__fail_memory(error);
}

void stele__filter_fini(struct stele__filter *filter)
{
    if (filter->slots)
        stele__free(filter->slots, STELE__FILTER_SLOTS * sizeof(*filter->slots));
    filter->slots = NULL;
}

static bool matches(const struct stele__filter *filter, struct stele_slice type)
{
    for (size_t i = 0; filter->types[i]; i++) {
        if (stele__pattern_match(stele__slice(filter->types[i]), type))
            return true;
    }
    return false;
}

/* Names of types differ in length, or near their ends. */
static size_t hash(struct stele_slice type)
{
    size_t value = type.size;

    for (size_t i = type.size > 8 ? type.size - 8 : 0; i < type.size; i++)
        value = value * 31 + (unsigned char)type.data[i];
    return value % STELE__FILTER_SLOTS;
}

bool stele__filter_find(const struct stele__filter *filter, struct stele_slice type)
{
    struct stele__filter_slot *slot;

    if (type.size == 0 || type.size > STELE_TYPE_MAX)
        return false;
    slot = &filter->slots[hash(type)];
    if (slot->size == type.size && memcmp(slot->name, type.data, type.size) == 0)
        return slot->is_wanted;
    slot->size = (uint16_t)type.size;
    memcpy(slot->name, type.data, type.size);
    slot->is_wanted = matches(filter, type);
    return slot->is_wanted;
}
