/*
 * Keys that are there twice in a map: MessagePack can write them, JSON and
 * typed payloads have no place for them.
 *
 * One walk keeps the text keys of all open maps on a stack. Where a map closes,
 * its own keys, which are on top, are sorted, compared and taken off. What can
 * fail: a key twice (STELE_MALFORMED), bytes that are no MessagePack, memory.
 */
#include "message/msgpack.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "base/vector.h"

static int compare_keys(const void *left, const void *right)
{
    const struct stele_slice *const one = left;
    const struct stele_slice *const other = right;
    const size_t shorter = one->size < other->size ? one->size : other->size;
    const int order = shorter ? memcmp(one->data, other->data, shorter) : 0;

    return order ? order : (one->size > other->size) - (one->size < other->size);
}

/* Check the keys from `first` on and take them off. */
static stele_status close_map(const struct stele__mp_reader *reader, struct stele__vector *keys, size_t first,
                              stele_error **error)
{
    const size_t count = keys->count - first;
    struct stele_slice *own;

    if (count > 1) {
        own = stele__vector_at(keys, first);
        qsort(own, count, sizeof(*own), compare_keys);
        for (size_t i = 1; i < count; i++) {
            if (stele__slice_equal(own[i - 1], own[i]))
                return stele__mp_malformed(reader, own[i].data, "a key is there twice", error);
        }
    }
    stele__vector_truncate(keys, first);
    return STELE_OK;
}

static stele_status add_key(struct stele__vector *keys, const struct stele__mp_token *token, stele_error **error)
{
    struct stele_slice *key;

    if (token->kind != STELE__MP_TEXT)
        return STELE_OK;
    key = stele__vector_add(keys);
    if (!key)
        return stele__fail_memory(error);
    *key = token->as.slice;
    return STELE_OK;
}

stele_status stele__mp_check_keys(struct stele_slice bytes, stele_error **error)
{
    struct stele__mp_reader reader = stele__mp_reader(bytes);
    struct stele__mp_walk walk;
    struct stele__mp_token token;
    struct stele__vector keys;
    size_t firsts[STELE_NESTING_MAX]; /* by level: the number of keys below its own */
    enum stele__mp_step step = STELE__MP_VALUE;
    stele_status status = STELE_OK;

    stele__vector_init(&keys, sizeof(struct stele_slice));
    stele__mp_walk_init(&walk, &reader, 0);
    while (!status && step != STELE__MP_END) {
        const size_t depth = walk.depth;

        status = stele__mp_walk_next(&walk, &step, &token, error);
        if (!status && step == STELE__MP_KEY)
            status = add_key(&keys, &token, error);
        if (walk.depth > depth)
            firsts[depth] = keys.count;
        else if (!status && step == STELE__MP_CLOSE)
            status = close_map(&reader, &keys, firsts[walk.depth], error);
    }
    stele__vector_fini(&keys);
    return status;
}
