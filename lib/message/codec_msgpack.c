/*
 * Writing MessagePack: the only file that sees msgpack-c. Each function packs
 * one token into a buffer, which remembers what failed (base/buffer.h); beyond
 * that only a text, byte string, list or map of 4 GiB can fail (STELE_LIMIT).
 */
#include "message/msgpack.h"

#include <msgpack.h>

static int add_to_buffer(void *buffer, const char *bytes, size_t size)
{
    stele__buffer_add(buffer, bytes, size);
    return 0;
}

static msgpack_packer packer_of(struct stele__buffer *buffer)
{
    msgpack_packer packer;

    msgpack_packer_init(&packer, buffer, add_to_buffer);
    return packer;
}

/* MessagePack has no lengths above 32 bits. */
static bool fits(struct stele__buffer *buffer, size_t size)
{
    if (size <= UINT32_MAX)
        return true;
    if (!buffer->failed) {
        buffer->failed = STELE_LIMIT;
        buffer->refused = size;
        buffer->limit = buffer->limit ? buffer->limit : UINT32_MAX;
    }
    return false;
}

void stele__mp_write_nil(struct stele__buffer *buffer)
{
    msgpack_packer packer = packer_of(buffer);

    msgpack_pack_nil(&packer);
}

void stele__mp_write_bool(struct stele__buffer *buffer, bool value)
{
    msgpack_packer packer = packer_of(buffer);

    if (value)
        msgpack_pack_true(&packer);
    else
        msgpack_pack_false(&packer);
}

void stele__mp_write_int(struct stele__buffer *buffer, int64_t value)
{
    msgpack_packer packer = packer_of(buffer);

    msgpack_pack_int64(&packer, value);
}

void stele__mp_write_uint(struct stele__buffer *buffer, uint64_t value)
{
    msgpack_packer packer = packer_of(buffer);

    msgpack_pack_uint64(&packer, value);
}

void stele__mp_write_double(struct stele__buffer *buffer, double value)
{
    msgpack_packer packer = packer_of(buffer);

    msgpack_pack_double(&packer, value);
}

/* Short texts, which nearly all are, take one step for head and content. */
static void write_short_text(struct stele__buffer *buffer, struct stele_slice text)
{
    const bool is_fixed = text.size < 32;
    char *place = stele__buffer_extend(buffer, text.size + (is_fixed ? 1 : 2));

    if (!place)
        return;
    if (is_fixed) {
        *place++ = (char)(0xa0 | text.size);
    } else {
        *place++ = (char)0xd9;
        *place++ = (char)text.size;
    }
    if (text.size)
        memcpy(place, text.data, text.size);
}

void stele__mp_write_text(struct stele__buffer *buffer, struct stele_slice text)
{
    msgpack_packer packer = packer_of(buffer);

    if (text.size <= UINT8_MAX) {
        write_short_text(buffer, text);
        return;
    }
    if (!fits(buffer, text.size))
        return;
    msgpack_pack_str(&packer, text.size);
    msgpack_pack_str_body(&packer, text.data, text.size);
}

void stele__mp_write_bytes(struct stele__buffer *buffer, struct stele_slice bytes)
{
    msgpack_packer packer = packer_of(buffer);

    if (!fits(buffer, bytes.size))
        return;
    msgpack_pack_bin(&packer, bytes.size);
    msgpack_pack_bin_body(&packer, bytes.data, bytes.size);
}

void stele__mp_write_list(struct stele__buffer *buffer, uint32_t count)
{
    msgpack_packer packer = packer_of(buffer);

    msgpack_pack_array(&packer, count);
}

void stele__mp_write_map(struct stele__buffer *buffer, uint32_t count)
{
    msgpack_packer packer = packer_of(buffer);

    msgpack_pack_map(&packer, count);
}
