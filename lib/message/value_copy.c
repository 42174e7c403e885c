/*
 * Deep copies of typed values: the struct is copied as a whole, then every
 * pointer in it is replaced by one to a copy in the arena; a state's ARENA
 * becomes that arena. What can fail: memory, and values deeper than STELE_NESTING_MAX (STELE_LIMIT).
 */
#include "message/value.h"

#include "base/arena.h"
#include "base/error.h"
#include "base/memory.h"

#include <string.h>

struct copy {
    stele_arena *arena;
    stele_error **error;
};

static stele_status copy_fields(const struct copy *copy, const struct stele_type *type, size_t depth, void *value);

static void *clone(const struct copy *copy, const void *bytes, size_t count, size_t size)
{
    size_t total;
    void *clone = NULL;

    if (stele__size_multiply(count, size, &total))
        clone = stele__arena_alloc(copy->arena, total);
    if (clone && total)
        memcpy(clone, bytes, total);
    return clone;
}

static stele_status copy_text(const struct copy *copy, char *item)
{
    const char *text;

    memcpy(&text, item, sizeof(text));
    if (!text)
        return STELE_OK;
    text = clone(copy, text, strlen(text) + 1, 1);
    memcpy(item, &text, sizeof(text));
    return text ? STELE_OK : stele__fail_memory(copy->error);
}

static stele_status copy_bytes(const struct copy *copy, char *item)
{
    struct stele_slice bytes;

    memcpy(&bytes, item, sizeof(bytes));
    if (!bytes.data)
        return STELE_OK;
    bytes.data = clone(copy, bytes.data, bytes.size, 1);
    memcpy(item, &bytes, sizeof(bytes));
    return bytes.data ? STELE_OK : stele__fail_memory(copy->error);
}

/* Replace the pointers of items that are already copies. */
static stele_status copy_items(const struct copy *copy, const struct stele_field *field, size_t count, size_t depth,
                               char *first)
{
    const size_t size = stele__item_size(field);
    stele_status status = STELE_OK;

    for (size_t i = 0; i < count && status == STELE_OK; i++) {
        switch (field->kind) {
        case STELE_KIND_TEXT: status = copy_text(copy, first + i * size); break;
        case STELE_KIND_BYTES: status = copy_bytes(copy, first + i * size); break;
        case STELE_KIND_STRUCT: status = copy_fields(copy, field->type, depth, first + i * size); break;
        case STELE_KIND_ARENA: memcpy(first, &copy->arena, sizeof(copy->arena)); break;
        default: return STELE_OK;
        }
    }
    return status;
}

static stele_status copy_field(const struct copy *copy, const struct stele_field *field, size_t depth, void *value)
{
    const struct stele__items items = stele__field_items(field, value);
    const bool behind_pointer =
        stele__field_is_list(field) || (field->shape == STELE_SHAPE_OPTIONAL && field->kind == STELE_KIND_STRUCT);
    char *slot = (char *)value + field->offset;

    if (!items.present || (behind_pointer && !items.first))
        return STELE_OK;
    if (behind_pointer) {
        void *cloned = clone(copy, items.first, items.count, stele__item_size(field));

        if (!cloned)
            return stele__fail_memory(copy->error);
        memcpy(slot, &cloned, sizeof(cloned));
        slot = cloned;
    }
    return copy_items(copy, field, items.count, depth, slot);
}

static stele_status copy_fields(const struct copy *copy, const struct stele_type *type, size_t depth, void *value)
{
    stele_status status = STELE_OK;

    if (depth == STELE_NESTING_MAX)
        return stele__fail_nesting(copy->error);
    for (size_t i = 0; i < type->field_count && status == STELE_OK; i++)
        status = copy_field(copy, &type->fields[i], depth + 1, value);
    return status;
}

stele_status stele_value_copy(const struct stele_type *type, const void *value, stele_arena *arena, void *out,
                              stele_error **error)
{
    const struct copy copy = {arena, error};
    stele_status status = stele__codec_arguments(type, "value", value, arena, out, error);

    if (status != STELE_OK)
        return status;
    memmove(out, value, type->size);
    return copy_fields(&copy, type, 0, out);
}
