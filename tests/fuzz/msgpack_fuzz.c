/*
 * Fuzzing the reading of MessagePack: any bytes are checked, turned into JSON
 * and decoded as a type that has every kind in every shape. What is accepted
 * must come back the same once it was written again.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/unit/message/samples.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void require(bool fact)
{
    if (!fact)
        abort();
}

static void require_equal(struct stele_slice left, struct stele_slice right)
{
    require(left.size == right.size && memcmp(left.data, right.data, left.size) == 0);
}

/* What is JSON prints, reads, and prints the same. */
static void check_shape(struct stele_slice payload, stele_arena *arena)
{
    struct stele_slice text;
    struct stele_slice again;
    struct stele_slice bytes;

    if (!stele_msgpack_is_json(payload))
        return;
    require(stele_msgpack_check(payload, NULL) == STELE_OK);
    require(stele_json_from_msgpack(payload, arena, &text, NULL) == STELE_OK);
    require(stele_msgpack_from_json(text, arena, &bytes, NULL) == STELE_OK);
    require(stele_json_from_msgpack(bytes, arena, &again, NULL) == STELE_OK);
    require_equal(text, again);
}

static void check_typed(struct stele_slice payload, stele_arena *arena)
{
    struct sample_every value;
    struct sample_every copy;
    struct stele_slice first;
    struct stele_slice second;
    stele_error *error = NULL;
    const stele_status status = stele_msgpack_decode(&sample_every_type, payload, arena, &value, &error);

    require((status == STELE_OK) == (error == NULL));
    stele_error_free(error);
    if (status != STELE_OK)
        return;
    require(stele_value_check(&sample_every_type, &value, NULL) == STELE_OK);
    require(stele_value_copy(&sample_every_type, &value, arena, &copy, NULL) == STELE_OK);
    require(stele_msgpack_encode(&sample_every_type, &copy, arena, &first, NULL) == STELE_OK);
    require(stele_msgpack_decode(&sample_every_type, first, arena, &copy, NULL) == STELE_OK);
    require(stele_msgpack_encode(&sample_every_type, &copy, arena, &second, NULL) == STELE_OK);
    require_equal(first, second);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const struct stele_slice payload = {(const char *)bytes, size};
    stele_error *error = NULL;
    stele_arena *arena = NULL;

    if (stele_arena_new(&arena, NULL) != STELE_OK)
        return 0;
    require((stele_msgpack_check(payload, &error) == STELE_OK) == (error == NULL));
    stele_error_free(error);
    check_shape(payload, arena);
    check_typed(payload, arena);
    stele_arena_free(arena);
    return 0;
}
