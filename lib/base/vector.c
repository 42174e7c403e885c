/*
 * Growing arrays of equal items. The capacity doubles when it is used up.
 * What can fail: memory runs out, and the vector stays as it was.
 */
#include "base/vector.h"

#include "base/memory.h"

#include <string.h>

enum { CAPACITY_MIN = 8 };

void stele__vector_init(struct stele__vector *vector, size_t item_size)
{
    memset(vector, 0, sizeof(*vector));
    vector->item_size = item_size;
}

void stele__vector_fini(struct stele__vector *vector)
{
    stele__free(vector->items, vector->capacity * vector->item_size);
    stele__vector_init(vector, vector->item_size);
}

bool stele__vector_reserve(struct stele__vector *vector, size_t count)
{
    size_t bytes;
    void *items;

    if (count <= vector->capacity)
        return true;
    if (!stele__size_multiply(count, vector->item_size, &bytes))
        return false;
    items = stele__resize(vector->items, vector->capacity * vector->item_size, bytes);
    if (!items)
        return false;
    vector->items = items;
    vector->capacity = count;
    return true;
}

static bool grow(struct stele__vector *vector)
{
    size_t capacity;

    if (vector->capacity < CAPACITY_MIN)
        return stele__vector_reserve(vector, CAPACITY_MIN);
    return stele__size_multiply(vector->capacity, 2, &capacity) && stele__vector_reserve(vector, capacity);
}

void *stele__vector_add(struct stele__vector *vector)
{
    void *item;

    if (vector->count == vector->capacity && !grow(vector))
        return NULL;
    vector->count++;
    item = stele__vector_at(vector, vector->count - 1);
    memset(item, 0, vector->item_size);
    return item;
}

void *stele__vector_at(const struct stele__vector *vector, size_t index)
{
    return (char *)vector->items + index * vector->item_size;
}

void stele__vector_truncate(struct stele__vector *vector, size_t count)
{
    if (count < vector->count)
        vector->count = count;
}
