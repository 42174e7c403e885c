/*
 * The checksums of rows: XXH3, 64 bits, over a fixed little-endian head and
 * the row's bytes behind it (docs/file-format.md).
 *
 *   event   0 "EVNT"  4 size of id  8 position  16 stream  24 version  32 type  40 time
 *          48 size of meta  52 flags  56 size of data  64 id, meta, data
 *   command 0 "CMND"  4 size of id  8 time  16 first  24 last  32 version  40 size of rejection  44 flags
 *          48 digest  64 id, rejection
 *   snapshot 0 "SNAP" 4 size of state  8 stream  16 version  24 time  32 fingerprint  48 state
 *   stream  0 "STRM"  4 size of name  8 id  16 0        24 name
 *   type    0 "TYPE"  4 size of name  8 id  16 version  24 name
 *
 * The sizes keep bytes from moving between columns unseen.
 */
#define XXH_INLINE_ALL /* a row is hashed in less time than a call into the shared library takes */
#include "sqlite/sqlite.h"

#include "base/text.h"

#include <endian.h>
#include <string.h>
#include <xxhash.h>

enum {
    EVENT_HEAD = 64,
    COMMAND_HEAD = 64,
    SNAPSHOT_HEAD = 48,
    NAME_HEAD = 24,
    ONE_GO_MAX = 1024 /* up to here copying is cheaper than hashing in pieces */
};

enum { FLAG_ID_IS_TEXT = 1, FLAG_NO_META = 2, FLAG_NO_DATA = 4, FLAG_REJECTED = 8, FLAG_CREATED = 16 };

static void put32(unsigned char *bytes, uint32_t value)
{
    const uint32_t stored = htole32(value);

    memcpy(bytes, &stored, sizeof(stored));
}

static void put64(unsigned char *bytes, uint64_t value)
{
    const uint64_t stored = htole64(value);

    memcpy(bytes, &stored, sizeof(stored));
}

static uint64_t hash_pieces(const struct stele_slice *pieces, size_t count)
{
    XXH3_state_t state;

    XXH3_INITSTATE(&state);
    XXH3_64bits_reset(&state);
    for (size_t i = 0; i < count; i++)
        if (pieces[i].size)
            XXH3_64bits_update(&state, pieces[i].data, pieces[i].size);
    return XXH3_64bits_digest(&state);
}

static uint64_t hash_joined(const struct stele_slice *pieces, size_t count)
{
    unsigned char bytes[ONE_GO_MAX];
    size_t size = 0;

    for (size_t i = 0; i < count; i++) {
        if (pieces[i].size)
            memcpy(bytes + size, pieces[i].data, pieces[i].size);
        size += pieces[i].size;
    }
    return XXH3_64bits(bytes, size);
}

static uint64_t hash(const struct stele_slice *pieces, size_t count)
{
    size_t size = 0;

    for (size_t i = 0; i < count; i++)
        size += pieces[i].size;
    return size <= ONE_GO_MAX ? hash_joined(pieces, count) : hash_pieces(pieces, count);
}

uint64_t stele__sqlite_event_checksum(const struct sqlite_event_row *row)
{
    unsigned char head[EVENT_HEAD];
    const struct stele_slice pieces[] = {{(const char *)head, EVENT_HEAD}, row->id, row->meta, row->payload};
    uint32_t flags = 0;

    if (row->id_is_text)
        flags |= FLAG_ID_IS_TEXT;
    if (!row->meta.data)
        flags |= FLAG_NO_META;
    if (!row->payload.data)
        flags |= FLAG_NO_DATA;
    memcpy(head, "EVNT", 4);
    put32(head + 4, (uint32_t)row->id.size);
    put64(head + 8, (uint64_t)row->position);
    put64(head + 16, (uint64_t)row->stream);
    put64(head + 24, (uint64_t)row->version);
    put64(head + 32, (uint64_t)row->type);
    put64(head + 40, (uint64_t)row->time);
    put32(head + 48, (uint32_t)row->meta.size);
    put32(head + 52, flags);
    put64(head + 56, row->payload.size);
    return hash(pieces, sizeof(pieces) / sizeof(pieces[0]));
}

uint64_t stele__sqlite_command_checksum(const struct stele_command_record *command)
{
    unsigned char head[COMMAND_HEAD];
    const struct stele_slice id =
        command->id_is_uuid ? (struct stele_slice){(const char *)command->uuid.bytes, sizeof(command->uuid.bytes)}
                            : command->id;
    const struct stele_slice pieces[] = {{(const char *)head, COMMAND_HEAD}, id, command->rejection};
    uint32_t flags = 0;

    if (!command->id_is_uuid)
        flags |= FLAG_ID_IS_TEXT;
    if (command->rejection.data)
        flags |= FLAG_REJECTED;
    if (command->outcome.created)
        flags |= FLAG_CREATED;
    memcpy(head, "CMND", 4);
    put32(head + 4, (uint32_t)id.size);
    put64(head + 8, (uint64_t)command->time);
    put64(head + 16, command->outcome.first_position);
    put64(head + 24, command->outcome.last_position);
    put64(head + 32, command->outcome.version);
    put32(head + 40, (uint32_t)command->rejection.size);
    put32(head + 44, flags);
    memcpy(head + 48, command->digest, sizeof(command->digest));
    return hash(pieces, sizeof(pieces) / sizeof(pieces[0]));
}

uint64_t stele__sqlite_snapshot_checksum(int64_t stream, const struct stele_snapshot *snapshot)
{
    unsigned char head[SNAPSHOT_HEAD];
    const struct stele_slice pieces[] = {{(const char *)head, SNAPSHOT_HEAD}, snapshot->state};

    memcpy(head, "SNAP", 4);
    put32(head + 4, (uint32_t)snapshot->state.size);
    put64(head + 8, (uint64_t)stream);
    put64(head + 16, snapshot->version);
    put64(head + 24, (uint64_t)snapshot->time);
    memcpy(head + 32, snapshot->fingerprint, sizeof(snapshot->fingerprint));
    return hash(pieces, sizeof(pieces) / sizeof(pieces[0]));
}

static uint64_t name_checksum(const char *kind, int64_t id, uint64_t version, struct stele_slice name)
{
    unsigned char head[NAME_HEAD];
    const struct stele_slice pieces[] = {{(const char *)head, NAME_HEAD}, name};

    memcpy(head, kind, 4);
    put32(head + 4, (uint32_t)name.size);
    put64(head + 8, (uint64_t)id);
    put64(head + 16, version);
    return hash(pieces, sizeof(pieces) / sizeof(pieces[0]));
}

uint64_t stele__sqlite_stream_checksum(int64_t id, struct stele_slice name)
{
    return name_checksum("STRM", id, 0, name);
}

uint64_t stele__sqlite_type_checksum(int64_t id, uint32_t version, struct stele_slice name)
{
    return name_checksum("TYPE", id, version, name);
}

uint64_t stele__sqlite_checkpoint_checksum(const struct stele_checkpoint *checkpoint)
{
    return name_checksum("CHKP", (int64_t)checkpoint->position, (uint64_t)checkpoint->time,
                         stele__slice(checkpoint->name));
}
