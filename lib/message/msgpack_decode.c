/*
 * Decoding typed values from MessagePack, the path every event takes when it
 * is folded.
 *
 *     map -> for each key: the field expected next, else a search, else skip
 *         -> its value by kind straight into the struct
 *         -> at the end, fields that did not come: default, absent, or a fault
 *
 * Fields are written in declaration order, so the expected one nearly always
 * matches. Short keys, small integers and scalars take no call and no memory;
 * text is copied into the arena for its NUL, bytes point into the input.
 * Recursion goes only through nested structs and is bounded by
 * STELE_NESTING_MAX levels. What can fail: STELE_MALFORMED with "offset",
 * STELE_INVALID with "field" and "rule", STELE_LIMIT, memory.
 *
 * Of a key twice, only names the type knows are found; keys that are skipped
 * are not remembered.
 */
#include "message/value.h"

#include "base/arena.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "message/msgpack.h"

#include <math.h>
#include <string.h>

struct decoder {
    struct stele__mp_reader reader;
    stele_arena *arena;
    size_t room; /* see stele__decode_alloc() */
    stele_error **error;
};

static stele_status decode_struct(struct decoder *decoder, const struct stele__place *up, const struct stele_type *type,
                                  size_t depth, void *out);

static stele_status fail_kind(const struct decoder *decoder, const struct stele__place *place)
{
    return stele__value_fault(place, NULL, stele__kind_rule(place->field->kind), decoder->error);
}

/* --- Scalars ------------------------------------------------------------------- */

static inline stele_status decode_int(struct decoder *decoder, const struct stele__place *place, char *slot)
{
    struct stele__mp_reader *reader = &decoder->reader;
    struct stele__mp_token token;
    stele_status status;

    if (reader->at < reader->end && (unsigned char)*reader->at < 0x80) {
        const int64_t small = *reader->at++;

        memcpy(slot, &small, sizeof(small));
        return STELE_OK;
    }
    status = stele__mp_next(reader, &token, decoder->error);
    if (status != STELE_OK)
        return status;
    if (token.kind != STELE__MP_INT)
        return fail_kind(decoder, place);
    memcpy(slot, &token.as.integer, sizeof(token.as.integer));
    return STELE_OK;
}

static stele_status decode_uint(struct decoder *decoder, const struct stele__place *place, char *slot)
{
    struct stele__mp_token token;
    const stele_status status = stele__mp_next(&decoder->reader, &token, decoder->error);

    if (status != STELE_OK)
        return status;
    if (token.kind == STELE__MP_INT && token.as.integer >= 0)
        token.as.unsigned_integer = (uint64_t)token.as.integer;
    else if (token.kind != STELE__MP_UINT)
        return fail_kind(decoder, place);
    memcpy(slot, &token.as.unsigned_integer, sizeof(token.as.unsigned_integer));
    return STELE_OK;
}

static stele_status decode_bool(struct decoder *decoder, const struct stele__place *place, char *slot)
{
    struct stele__mp_token token;
    const stele_status status = stele__mp_next(&decoder->reader, &token, decoder->error);

    if (status != STELE_OK)
        return status;
    if (token.kind != STELE__MP_BOOL)
        return fail_kind(decoder, place);
    memcpy(slot, &token.as.boolean, sizeof(token.as.boolean));
    return STELE_OK;
}

static stele_status decode_real(struct decoder *decoder, const struct stele__place *place, char *slot)
{
    struct stele__mp_token token;
    const stele_status status = stele__mp_next(&decoder->reader, &token, decoder->error);
    double real = 0;

    if (status != STELE_OK)
        return status;
    if (token.kind == STELE__MP_DOUBLE)
        real = token.as.real;
    else if (token.kind == STELE__MP_INT)
        real = (double)token.as.integer;
    else if (token.kind == STELE__MP_UINT)
        real = (double)token.as.unsigned_integer;
    else
        return fail_kind(decoder, place);
    if (!isfinite(real))
        return fail_kind(decoder, place);
    memcpy(slot, &real, sizeof(real));
    return STELE_OK;
}

/* --- Text, bytes, UUIDs --------------------------------------------------------- */

/*
 * Only ASCII without NUL, as most text is: eight bytes at a step. Subtracting 1
 * from each byte sets the high bit of a byte that was 0, unless a lower one has
 * borrowed, which takes a 0 as well.
 */
static bool is_plain(struct stele_slice text)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t other = 0;
    size_t i = 0;

    for (; i + sizeof(uint64_t) <= text.size; i += sizeof(uint64_t)) {
        uint64_t bytes;

        memcpy(&bytes, text.data + i, sizeof(bytes));
        other |= bytes | (bytes - ones);
    }
    for (; i < text.size; i++)
        other |= (unsigned char)text.data[i] | ((uint64_t)(unsigned char)text.data[i] - 1);
    return !(other & ones << 7);
}

static stele_status check_text(const struct decoder *decoder, const struct stele__place *place, struct stele_slice text)
{
    size_t offset;

    if (!stele__utf8_valid(text, &offset))
        return stele__mp_malformed(&decoder->reader, text.data + offset, "the text is not valid UTF-8", decoder->error);
    if (memchr(text.data, '\0', text.size))
        return stele__value_fault(place, NULL, "text without U+0000", decoder->error);
    return STELE_OK;
}

static stele_status decode_text(struct decoder *decoder, const struct stele__place *place, char *slot)
{
    struct stele__mp_token token;
    stele_status status = stele__mp_next(&decoder->reader, &token, decoder->error);
    const struct stele_slice *text = &token.as.slice;
    const char *copy = "";

    if (status != STELE_OK)
        return status;
    if (token.kind != STELE__MP_TEXT)
        return fail_kind(decoder, place);
    if (!is_plain(*text)) {
        status = check_text(decoder, place, *text);
        if (status != STELE_OK)
            return status;
    }
    if (text->size) {
        char *memory = stele__arena_alloc(decoder->arena, text->size + 1);

        if (!memory)
            return stele__fail_memory(decoder->error);
        memcpy(memory, text->data, text->size);
        memory[text->size] = '\0';
        copy = memory;
    }
    memcpy(slot, &copy, sizeof(copy));
    return STELE_OK;
}

static stele_status decode_bytes(struct decoder *decoder, const struct stele__place *place, char *slot)
{
    struct stele__mp_token token;
    const stele_status status = stele__mp_next(&decoder->reader, &token, decoder->error);

    if (status != STELE_OK)
        return status;
    if (token.kind != STELE__MP_BYTES)
        return fail_kind(decoder, place);
    memcpy(slot, &token.as.slice, sizeof(token.as.slice));
    return STELE_OK;
}

static stele_status decode_uuid(struct decoder *decoder, const struct stele__place *place, char *slot)
{
    struct stele__mp_token token;
    const stele_status status = stele__mp_next(&decoder->reader, &token, decoder->error);
    struct stele_uuid uuid;

    if (status != STELE_OK)
        return status;
    if (token.kind == STELE__MP_BYTES && token.as.slice.size == sizeof(uuid.bytes))
        memcpy(uuid.bytes, token.as.slice.data, sizeof(uuid.bytes));
    else if (token.kind != STELE__MP_TEXT || stele_uuid_parse(token.as.slice, &uuid, NULL) != STELE_OK)
        return fail_kind(decoder, place);
    memcpy(slot, &uuid, sizeof(uuid));
    return STELE_OK;
}

/* --- Fields ----------------------------------------------------------------------- */

static inline stele_status decode_item(struct decoder *decoder, const struct stele__place *place, size_t depth,
                                       char *slot)
{
    switch (place->field->kind) {
    case STELE_KIND_INT64:
    case STELE_KIND_TIME: return decode_int(decoder, place, slot);
    case STELE_KIND_UINT64: return decode_uint(decoder, place, slot);
    case STELE_KIND_BOOL: return decode_bool(decoder, place, slot);
    case STELE_KIND_DOUBLE: return decode_real(decoder, place, slot);
    case STELE_KIND_TEXT: return decode_text(decoder, place, slot);
    case STELE_KIND_BYTES: return decode_bytes(decoder, place, slot);
    case STELE_KIND_UUID: return decode_uuid(decoder, place, slot);
    case STELE_KIND_STRUCT: return decode_struct(decoder, place, place->field->type, depth, slot);
    case STELE_KIND_ARENA:
    case STELE_KIND_NONE: break;
    }
    return STELE_OK;
}

/* Every item takes a byte of input at least, so the reader has bounded the count by what is left. */
static stele_status decode_list(struct decoder *decoder, struct stele__place *place, size_t depth, char *slot)
{
    const size_t size = stele__item_size(place->field);
    struct stele__mp_token token;
    struct stele_list_bytes list;
    void *items;
    stele_status status = stele__mp_next(&decoder->reader, &token, decoder->error);

    if (status != STELE_OK)
        return status;
    if (token.kind != STELE__MP_LIST)
        return stele__value_fault(place, NULL, "list", decoder->error);
    if (depth == STELE_NESTING_MAX)
        return stele__fail_nesting(decoder->error);
    status = stele__decode_alloc(decoder->arena, &decoder->room, token.as.count, size, &items, decoder->error);
    for (size_t i = 0; i < token.as.count && status == STELE_OK; i++) {
        place->index = i;
        status = decode_item(decoder, place, depth + 1, (char *)items + i * size);
    }
    place->index = STELE__NO_INDEX;
    if (status != STELE_OK)
        return status;
    list.items = items;
    list.count = token.as.count;
    memcpy(slot, &list, sizeof(list));
    return STELE_OK;
}

/* True, behind it, if a nil comes next: what other languages write for "absent". */
static bool take_nil(struct decoder *decoder)
{
    if (decoder->reader.at == decoder->reader.end || (unsigned char)*decoder->reader.at != 0xc0)
        return false;
    decoder->reader.at++;
    return true;
}

static stele_status decode_optional(struct decoder *decoder, const struct stele__place *place, size_t depth, char *slot)
{
    const struct stele_field *field = place->field;
    void *part;
    stele_status status;

    if (take_nil(decoder))
        return STELE_OK;
    if (field->kind == STELE_KIND_STRUCT) {
        status = stele__decode_alloc(decoder->arena, &decoder->room, 1, field->type->size, &part, decoder->error);
        if (status != STELE_OK)
            return status;
        memcpy(slot, &part, sizeof(part));
        return decode_item(decoder, place, depth, part);
    }
    status = decode_item(decoder, place, depth, slot);
    stele__mark_present(field->kind, slot);
    return status;
}

static inline stele_status decode_field(struct decoder *decoder, struct stele__place *place, size_t depth, char *slot)
{
    switch (place->field->shape) {
    case STELE_SHAPE_ONE: return decode_item(decoder, place, depth, slot);
    case STELE_SHAPE_OPTIONAL: return decode_optional(decoder, place, depth, slot);
    case STELE_SHAPE_OPTIONAL_LIST:
        if (take_nil(decoder))
            return STELE_OK;
        return decode_list(decoder, place, depth, slot);
    case STELE_SHAPE_LIST: return decode_list(decoder, place, depth, slot);
    }
    return STELE_OK;
}

/* --- Structs ---------------------------------------------------------------------- */

static inline bool key_is(const struct stele_field *field, struct stele_slice key)
{
    for (size_t i = 0; i < key.size; i++) {
        if (field->name[i] != key.data[i] || field->name[i] == '\0')
            return false;
    }
    return field->name[key.size] == '\0';
}

/* The index of the field of that name, looked for from `expected` on and around; field_count if there is none. */
static inline size_t find_field(const struct stele_type *type, struct stele_slice key, size_t expected)
{
    for (size_t i = expected; i < type->field_count; i++) {
        if (key_is(&type->fields[i], key))
            return stele__field_is_coded(&type->fields[i]) ? i : type->field_count;
    }
    for (size_t i = 0; i < expected; i++) {
        if (key_is(&type->fields[i], key))
            return stele__field_is_coded(&type->fields[i]) ? i : type->field_count;
    }
    return type->field_count;
}

static inline stele_status next_key(struct decoder *decoder, const struct stele__place *place, struct stele_slice *key)
{
    struct stele__mp_reader *reader = &decoder->reader;
    struct stele__mp_token token;
    stele_status status;

    if (stele__mp_take_text(reader, key))
        return STELE_OK;
    status = stele__mp_next(reader, &token, decoder->error);
    if (status != STELE_OK)
        return status;
    if (token.kind != STELE__MP_TEXT) {
        const struct stele__place whole = {.up = place->up, .type = place->type, .index = STELE__NO_INDEX};

        return stele__value_fault(&whole, NULL, "keys are text", decoder->error);
    }
    *key = token.as.slice;
    return STELE_OK;
}

/* Which fields have come; types of more than 64 fields have their bits in the arena. */
struct seen {
    uint64_t first;
    uint64_t *words;
};

static stele_status seen_init(struct decoder *decoder, const struct stele_type *type, struct seen *seen)
{
    seen->first = 0;
    seen->words = &seen->first;
    if (type->field_count <= 64)
        return STELE_OK;
    seen->words = stele__arena_array(decoder->arena, type->field_count / 64 + 1, sizeof(seen->words[0]));
    return seen->words ? STELE_OK : stele__fail_memory(decoder->error);
}

static inline bool was_seen(const struct seen *seen, size_t index)
{
    return seen->words[index / 64] >> index % 64 & 1;
}

static inline void set_seen(struct seen *seen, size_t index)
{
    seen->words[index / 64] |= UINT64_C(1) << index % 64;
}

/* One pair of the map; `*expected` is the index of the field that comes next in declaration order. */
static inline stele_status decode_pair(struct decoder *decoder, struct stele__place *place, size_t depth,
                                       struct seen *seen, size_t *expected, char *out)
{
    const struct stele_type *type = place->type;
    const char *start = decoder->reader.at;
    struct stele_slice key = {NULL, 0};
    const stele_status status = next_key(decoder, place, &key);
    size_t index;

    if (status != STELE_OK)
        return status;
    index = find_field(type, key, *expected);
    if (index == type->field_count)
        return stele__mp_skip(&decoder->reader, depth, decoder->error);
    if (was_seen(seen, index))
        return stele__mp_malformed(&decoder->reader, start, "a key for the second time", decoder->error);
    set_seen(seen, index);
    *expected = index + 1;
    place->field = &type->fields[index];
    return decode_field(decoder, place, depth, out + place->field->offset);
}

static stele_status finish_struct(struct stele__place *place, const struct seen *seen, void *out,
                                  const struct decoder *decoder)
{
    stele_status status = STELE_OK;

    for (size_t i = 0; i < place->type->field_count && status == STELE_OK; i++) {
        place->field = &place->type->fields[i];
        if (!was_seen(seen, i))
            status = stele__decode_absent(place, out, decoder->error);
    }
    return status;
}

static stele_status decode_struct(struct decoder *decoder, const struct stele__place *up, const struct stele_type *type,
                                  size_t depth, void *out)
{
    struct stele__place place = {.up = up, .type = type, .index = STELE__NO_INDEX};
    struct stele__mp_token token;
    struct seen seen;
    size_t expected = 0;
    stele_status status = stele__mp_next(&decoder->reader, &token, decoder->error);

    if (status == STELE_OK && token.kind != STELE__MP_MAP)
        return stele__value_fault(&place, NULL, stele__kind_rule(STELE_KIND_STRUCT), decoder->error);
    if (status == STELE_OK && depth == STELE_NESTING_MAX)
        return stele__fail_nesting(decoder->error);
    if (status == STELE_OK)
        status = seen_init(decoder, type, &seen);
    if (status != STELE_OK)
        return status;
    memset(out, 0, type->size);
    for (uint32_t i = 0; i < token.as.count && status == STELE_OK; i++)
        status = decode_pair(decoder, &place, depth + 1, &seen, &expected, out);
    return status == STELE_OK ? finish_struct(&place, &seen, out, decoder) : status;
}

stele_status stele_msgpack_decode(const struct stele_type *type, struct stele_slice bytes, stele_arena *arena,
                                  void *out, stele_error **error)
{
    struct decoder decoder = {stele__mp_reader(bytes), arena, STELE__DECODE_ROOM, error};
    stele_status status = stele__codec_arguments(type, "bytes", bytes.data, arena, out, error);

    if (status != STELE_OK)
        return status;
    if (bytes.size > STELE_PAYLOAD_MAX)
        return stele__fail_limit(error, "payload", bytes.size, STELE_PAYLOAD_MAX, "bytes");
    status = decode_struct(&decoder, NULL, type, 0, out);
    if (status == STELE_OK && decoder.reader.at != decoder.reader.end)
        status = stele__mp_malformed(&decoder.reader, decoder.reader.at, "bytes behind the end of the value", error);
    return status;
}
