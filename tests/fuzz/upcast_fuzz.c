/*
 * Declared changes over arbitrary bytes: what comes out of well-formed
 * MessagePack is well-formed, and has no key twice unless the input had.
 */
#include "message/upcast.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static const struct stele_change changes[] = {
    STELE_RENAME("a", "b"), STELE_DROP("c"),        STELE_ADD("d", "{\"x\":[1,null]}"),
    STELE_SET("e", "-1.5"), STELE_RENAME("d", "f"), STELE_ADD("c", "\"again\""),
};

enum { COUNT = sizeof(changes) / sizeof(changes[0]), LIMIT = 4096 };

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void check_result(struct stele_slice before, struct stele_slice after)
{
    require(after.size <= LIMIT);
    if (stele_msgpack_check(before, NULL) == STELE_OK)
        require(stele_msgpack_check(after, NULL) == STELE_OK);
    if (stele__mp_check_keys(before, NULL) == STELE_OK)
        require(stele__mp_check_keys(after, NULL) == STELE_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const struct stele_slice payload = {(const char *)bytes, size};
    struct stele_arena arena;
    struct stele__buffer scratch;
    const struct stele__change_room room = {&arena, &scratch, LIMIT};
    struct stele__change compiled[COUNT];
    struct stele_slice changed = {NULL, 0};
    stele_error *error = NULL;
    stele_status status;

    stele__arena_init(&arena);
    stele__buffer_init(&scratch);
    for (size_t i = 0; i < COUNT; i++)
        require(stele__change_compile(&changes[i], &arena, &compiled[i], NULL) == STELE_OK);
    status = stele__changes_make(compiled, COUNT, payload, &room, &changed, &error);
    require((status == STELE_OK) == (error == NULL));
    if (status == STELE_OK)
        check_result(payload, changed);
    stele_error_free(error);
    stele__buffer_fini(&scratch);
    stele__arena_fini(&arena);
    return 0;
}
