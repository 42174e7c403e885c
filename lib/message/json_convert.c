/*
 * Payloads of any shape, without a type: JSON text -> tree -> MessagePack, and
 * MessagePack -> JSON text token by token. What can fail: see json_parse.c and
 * json_write.c; size (STELE_LIMIT) on what comes in and on the MessagePack.
 */
#include "message/json.h"

#include "base/error.h"
#include "message/value.h"

static stele_status check_arguments(const char *input, struct stele_slice given, const stele_arena *arena,
                                    const struct stele_slice *out, stele_error **error)
{
    if (!given.data)
        return stele__fail_argument(error, input, "is absent");
    if (!arena)
        return stele__fail_argument(error, "arena", "is NULL");
    if (!out)
        return stele__fail_argument(error, "out", "is NULL");
    if (given.size > STELE_PAYLOAD_MAX)
        return stele__fail_limit(error, "payload", given.size, STELE_PAYLOAD_MAX, "bytes");
    return STELE_OK;
}

stele_status stele_msgpack_from_json(struct stele_slice text, stele_arena *arena, struct stele_slice *out,
                                     stele_error **error)
{
    struct stele__json json = {.root = NULL};
    struct stele__buffer buffer;
    stele_status status = check_arguments("text", text, arena, out, error);

    if (status == STELE_OK)
        status = stele__json_parse(text, &json, error);
    if (status != STELE_OK)
        return status;
    stele__buffer_init(&buffer);
    buffer.limit = STELE_PAYLOAD_MAX;
    stele__json_to_msgpack(&json, json.root, &buffer);
    stele__json_fini(&json);
    return stele__buffer_to_arena(&buffer, STELE_OK, "payload", arena, out, error);
}

stele_status stele_json_from_msgpack(struct stele_slice bytes, stele_arena *arena, struct stele_slice *out,
                                     stele_error **error)
{
    struct stele__buffer buffer;
    stele_status status = check_arguments("bytes", bytes, arena, out, error);

    if (status != STELE_OK)
        return status;
    stele__buffer_init(&buffer);
    status = stele__json_write_msgpack(&buffer, bytes, error);
    return stele__buffer_to_arena(&buffer, status, "JSON", arena, out, error);
}
