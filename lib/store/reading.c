/*
 * Reading through upcasters.
 *
 *     query's type pattern -> the stored names that become a match -> scan
 *     record -> message -> its shape's way, if it has one -> the matches of it
 *
 * What can fail: a step of the way (STELE_CORRUPT), memory.
 */
#include "store/reading.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"

/* Does an event that has come to its end in this shape fit the pattern? */
static bool ends_as_match(void *context, const struct stele__shape *shape)
{
    const struct stele_slice *pattern = context;

    return !shape->next && stele__pattern_match(*pattern, shape->name);
}

static bool has_marked(const struct stele__shape *shape, const bool *marks)
{
    for (; shape; shape = shape->sibling) {
        if (shape->next && marks[shape->index])
            return true;
    }
    return false;
}

static void collect(struct stele__reading *reading, const bool *marks)
{
    struct stele_slice name;
    size_t place = 0;
    void *first;

    while (stele__map_next(&reading->upcasting->names, &place, &name, &first)) {
        if (has_marked(first, marks) && !stele__pattern_match(reading->type, name))
            reading->also[reading->also_count++] = name;
    }
}

static stele_status find_also(struct stele__reading *reading, stele_error **error)
{
    const size_t count = reading->upcasting->shape_count;
    bool *marks = stele__alloc(count * sizeof(*marks));

    reading->also = stele__alloc(count * sizeof(*reading->also));
    if (marks && reading->also) {
        stele__upcasting_mark(reading->upcasting, ends_as_match, &reading->type, marks);
        collect(reading, marks);
    }
    stele__free(marks, count * sizeof(*marks));
    return marks && reading->also ? STELE_OK : stele__fail_memory(error);
}

stele_status stele__reading_init(struct stele__reading *reading, const struct stele_store *store,
                                 struct stele__scan *scan, stele_error **error)
{
    stele_status status = STELE_OK;

    reading->upcasting = store->upcasting;
    if (!store->upcasting || !scan)
        return STELE_OK;
    reading->type = scan->wanted.type;
    if (reading->type.data)
        status = find_also(reading, error);
    scan->wanted.also = reading->also;
    scan->wanted.also_count = reading->also_count;
    scan->wanted.limit = UINT64_MAX;
    if (status != STELE_OK)
        stele__reading_fini(reading);
    return status;
}

void stele__reading_fini(struct stele__reading *reading)
{
    if (!reading->upcasting)
        return;
    stele__free(reading->also, reading->upcasting->shape_count * sizeof(*reading->also));
    reading->also = NULL;
    stele__upcasts_fini(&reading->upcasts);
}

/* Take out what does not match; parts keep their numbers. */
static void drop_others(struct stele__reading *reading, stele_message *messages)
{
    size_t kept = 0;

    for (size_t i = 0; i < reading->count; i++) {
        if (!stele__pattern_match(reading->type, messages[i].type))
            continue;
        if (kept != i)
            memcpy(&messages[kept], &messages[i], sizeof(messages[i]));
        messages[kept].self = &messages[kept];
        kept++;
    }
    if (kept)
        messages[kept - 1].has_more = false;
    reading->count = kept;
}

stele_status stele__reading_upcast(struct stele__reading *reading, stele_error **error)
{
    stele_message *messages = &reading->lent;
    const struct stele__shape *shape =
        stele__upcasting_find(reading->upcasting, messages->type, messages->type_version);
    stele_status status = STELE_OK;

    if (shape && shape->next) {
        status = stele__upcast_run(reading->upcasting, shape, &reading->lent, &reading->upcasts, error);
        messages = reading->upcasts.messages.items;
        reading->messages = messages;
        reading->count = reading->upcasts.messages.count;
    }
    if (status == STELE_OK && reading->type.data)
        drop_others(reading, messages);
    return status;
}
