/*
 * Fuzzing the reading of JSON: any bytes are read as JSON of any shape and as
 * a type that has every kind in every shape. What is accepted must come back
 * the same once it was written again.
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

static void check_shape(struct stele_slice text, stele_arena *arena)
{
    struct stele_slice bytes;
    struct stele_slice again;
    struct stele_slice first;
    stele_error *error = NULL;
    const stele_status status = stele_msgpack_from_json(text, arena, &bytes, &error);

    require((status == STELE_OK) == (error == NULL));
    stele_error_free(error);
    if (status != STELE_OK)
        return;
    require(stele_msgpack_check(bytes, NULL) == STELE_OK);
    require(stele_msgpack_is_json(bytes));
    require(stele_json_from_msgpack(bytes, arena, &first, NULL) == STELE_OK);
    require(stele_msgpack_from_json(first, arena, &again, NULL) == STELE_OK);
    require_equal(bytes, again);
}

static void check_typed(struct stele_slice text, stele_arena *arena)
{
    struct sample_every value;
    struct stele_slice first;
    struct stele_slice second;

    if (stele_json_decode(&sample_every_type, text, arena, &value, NULL) != STELE_OK)
        return;
    require(stele_json_encode(&sample_every_type, &value, arena, &first, NULL) == STELE_OK);
    require(stele_json_decode(&sample_every_type, first, arena, &value, NULL) == STELE_OK);
    require(stele_json_encode(&sample_every_type, &value, arena, &second, NULL) == STELE_OK);
    require_equal(first, second);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const struct stele_slice text = {(const char *)bytes, size};
    stele_arena *arena = NULL;

    if (stele_arena_new(&arena, NULL) != STELE_OK)
        return 0;
    check_shape(text, arena);
    check_typed(text, arena);
    stele_arena_free(arena);
    return 0;
}
