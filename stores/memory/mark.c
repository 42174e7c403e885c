/*
 * Checkpoints in memory: an array sorted by name, as there are few. What can
 * fail: memory; then all is as before.
 */
#include "memory/mark.h"

#include "base/memory.h"

#include <string.h>

struct mark {
    struct stele_checkpoint content;
    char *name; /* the content's */
};

void memory__marks_init(struct memory__marks *marks)
{
    stele__vector_init(&marks->sorted, sizeof(struct mark));
}

static struct mark *at(const struct memory__marks *marks, size_t place)
{
    return stele__vector_at(&marks->sorted, place);
}

void memory__marks_fini(struct memory__marks *marks)
{
    for (size_t i = 0; i < marks->sorted.count; i++)
        stele__text_free(at(marks, i)->name);
    stele__vector_fini(&marks->sorted);
}

/* The place of a name, or where it would be. */
static size_t find(const struct memory__marks *marks, const char *name, bool *found)
{
    size_t low = 0;
    size_t high = marks->sorted.count;

    *found = false;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int order = strcmp(at(marks, middle)->name, name);

        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

uint64_t memory__marks_position(const struct memory__marks *marks, const char *name)
{
    bool found;
    const size_t place = find(marks, name, &found);

    return found ? at(marks, place)->content.position : STELE_NO_CHECKPOINT;
}

bool memory__marks_put(struct memory__marks *marks, const struct stele_checkpoint *checkpoint)
{
    bool found;
    const size_t place = find(marks, checkpoint->name, &found);
    struct mark mark = {.content = *checkpoint};

    if (found) {
        mark.name = at(marks, place)->name;
    } else {
        mark.name = stele__text_copy(checkpoint->name);
        if (!mark.name || !stele__vector_add(&marks->sorted)) {
            stele__text_free(mark.name);
            return false;
        }
        memmove(at(marks, place) + 1, at(marks, place), (marks->sorted.count - 1 - place) * sizeof(mark));
    }
    mark.content.name = mark.name;
    *at(marks, place) = mark;
    return true;
}

bool memory__marks_delete(struct memory__marks *marks, const char *name)
{
    bool found;
    const size_t place = find(marks, name, &found);

    if (!found)
        return false;
    stele__text_free(at(marks, place)->name);
    for (size_t i = place; i + 1 < marks->sorted.count; i++)
        *at(marks, i) = *at(marks, i + 1);
    stele__vector_truncate(&marks->sorted, marks->sorted.count - 1);
    return true;
}

void memory__marks_visit(const struct memory__marks *marks, const char *name, stele_checkpoint_visit *visit,
                         void *context)
{
    bool found = true;
    size_t place = name ? find(marks, name, &found) : 0;

    if (name && found)
        visit(context, &at(marks, place)->content);
    for (; !name && place < marks->sorted.count; place++)
        if (!visit(context, &at(marks, place)->content))
            return;
}
