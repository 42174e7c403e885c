/*
 * Writing MessagePack: the only file that sees msgpack-c. Each function writes
 * one token into a buffer, which remembers what failed (base/buffer.h); beyond
 * that only a text, byte string, list or map of 4 GiB can fail (STELE_LIMIT).
 * What nearly every message has, texts and what is one byte, is written by hand.
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
    msgpack_packer packer;

    if (value >= -32 && value < 128) {
        stele__buffer_add_byte(buffer, (char)value);
        return;
    }
    packer = packer_of(buffer);
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

static size_t text_head_size(size_t size)
{
    if (size < 32)
        return 1;
    return size <= UINT8_MAX ? 2 : size <= UINT16_MAX ? 3 : 5;
}

static void put_long_head(char *place, size_t head, size_t size)
{
    place[0] = (char)(head == 3 ? 0xda : 0xdb);
    for (size_t i = head - 1; i > 0; i--, size >>= 8)
        place[i] = (char)(size & 0xff);
}

static inline void put_text_head(char *place, size_t head, size_t size)
{
    if (head == 1) {
        place[0] = (char)(0xa0 | size);
    } else if (head == 2) {
        place[0] = (char)0xd9;
        place[1] = (char)size;
    } else {
        put_long_head(place, head, size);
    }
}

/* Returns the place behind it. */
static inline char *put_text(char *place, size_t head, struct stele_slice text)
{
    put_text_head(place, head, text.size);
    if (text.size)
        memcpy(place + head, text.data, text.size);
    return place + head + text.size;
}

/* By hand: most of what is written is text, and this takes room for head and content in one step. */
void stele__mp_write_text(struct stele__buffer *buffer, struct stele_slice text)
{
    const size_t head = text_head_size(text.size);
    char *place;

    if (!fits(buffer, text.size))
        return;
    place = stele__buffer_extend(buffer, head + text.size);
    if (place)
        put_text(place, head, text);
}

void stele__mp_write_pair(struct stele__buffer *buffer, struct stele_slice key, struct stele_slice text)
{
    const size_t key_head = text_head_size(key.size);
    const size_t head = text_head_size(text.size);
    char *place;

    if (!fits(buffer, key.size) || !fits(buffer, text.size))
        return;
    place = stele__buffer_extend(buffer, key_head + key.size + head + text.size);
    if (place)
        put_text(put_text(place, key_head, key), head, text);
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
    msgpack_packer packer;

    if (count < 16) {
        stele__buffer_add_byte(buffer, (char)(0x80 | count));
        return;
    }
    packer = packer_of(buffer);
    msgpack_pack_map(&packer, count);
}
