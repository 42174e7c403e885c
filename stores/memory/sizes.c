/*
 * Sums by type: one pass over the records, which never change, without a lock.
 *
 *     record -> the sum of its name -> that of its version -> sorted -> visitor
 *
 * What can fail: memory.
 */
#include "memory/sizes.h"

#include "base/error.h"
#include "base/vector.h"

#include <stdlib.h>

struct sum {
    struct stele_type_size size;
    struct sum *sibling; /* another version of the name */
};

struct sums {
    struct stele_arena arena;
    struct stele__map by_name;
    struct stele__vector all; /* struct sum * */
};

static struct sum *add_sum(struct sums *sums, const struct stele_record *record, struct sum *first)
{
    struct sum *sum = stele__arena_array(&sums->arena, 1, sizeof(*sum));
    struct sum **place = sum ? stele__vector_add(&sums->all) : NULL;

    if (!place || (!first && !stele__map_put(&sums->by_name, record->type, sum)))
        return NULL;
    *place = sum;
    sum->size.type = record->type;
    sum->size.type_version = record->type_version;
    if (first) {
        sum->sibling = first->sibling;
        first->sibling = sum;
    }
    return sum;
}

static bool add(struct sums *sums, const struct stele_record *record)
{
    struct sum *first = stele__map_get(&sums->by_name, record->type);
    struct sum *sum = first;

    while (sum && sum->size.type_version != record->type_version)
        sum = sum->sibling;
    if (!sum)
        sum = add_sum(sums, record, first);
    if (!sum)
        return false;
    sum->size.events++;
    sum->size.bytes +=
        record->payload.size + record->meta.size + (record->id_is_uuid ? sizeof(record->uuid) : record->id.size);
    return true;
}

static int by_size(const void *left, const void *right)
{
    const struct sum *const *one = left;
    const struct sum *const *other = right;

    return ((*one)->size.bytes < (*other)->size.bytes) - ((*one)->size.bytes > (*other)->size.bytes);
}

static void show(const struct sums *sums, stele_type_size_visit *visit, void *context)
{
    struct sum *const *all = sums->all.items;

    if (sums->all.count)
        qsort(sums->all.items, sums->all.count, sizeof(struct sum *), by_size);
    for (size_t i = 0; i < sums->all.count; i++) {
        if (!visit(context, &all[i]->size))
            return;
    }
}

stele_status memory__sum_types(const struct memory__sequence *sequence, stele_type_size_visit *visit, void *context,
                               stele_error **error)
{
    struct sums sums = {0};
    bool whole = true;

    stele__vector_init(&sums.all, sizeof(struct sum *));
    for (size_t i = 0; i < sequence->count && whole; i++)
        whole = add(&sums, sequence->records[i]);
    if (whole)
        show(&sums, visit, context);
    stele__vector_fini(&sums.all);
    stele__map_fini(&sums.by_name);
    stele__arena_fini(&sums.arena);
    return whole ? STELE_OK : stele__fail_memory(error);
}
