/*
 * Reading MessagePack, one token at a time.
 *
 *     bytes -> stele__mp_next (one token) -> stele__mp_walk_next (its place in lists and maps)
 *                                            -> skip, stele_msgpack_check, stele_msgpack_is_json
 *
 * Formats 0x00-0xbf and 0xe0-0xff carry their value or length in the first
 * byte; the others are rows of `formats`. Nothing allocates or recurses. What
 * can fail: bytes cut short, lengths beyond the input, the byte 0xc1
 * (STELE_MALFORMED with "offset"), nesting (STELE_LIMIT).
 */
#include "message/msgpack.h"

#include "base/error.h"
#include "base/text.h"

#include <stele/type.h>

#include <math.h>
#include <string.h>

enum family { RESERVED, NIL, BOOLEAN, FLOAT32, FLOAT64, UNSIGNED, SIGNED, STR, BIN, EXT, FIXEXT, ARRAY, MAP };

/* The formats 0xc0 to 0xdf: `width` bytes of number follow the first byte (for FIXEXT: the size of its content). */
static const struct {
    uint8_t family;
    uint8_t width;
} formats[32] = {
    {NIL, 0},     {RESERVED, 0}, {BOOLEAN, 0}, {BOOLEAN, 0}, {BIN, 1},      {BIN, 2},      {BIN, 4},      {EXT, 1},
    {EXT, 2},     {EXT, 4},      {FLOAT32, 4}, {FLOAT64, 8}, {UNSIGNED, 1}, {UNSIGNED, 2}, {UNSIGNED, 4}, {UNSIGNED, 8},
    {SIGNED, 1},  {SIGNED, 2},   {SIGNED, 4},  {SIGNED, 8},  {FIXEXT, 1},   {FIXEXT, 2},   {FIXEXT, 4},   {FIXEXT, 8},
    {FIXEXT, 16}, {STR, 1},      {STR, 2},     {STR, 4},     {ARRAY, 2},    {ARRAY, 4},    {MAP, 2},      {MAP, 4},
};

stele_status stele__mp_malformed(const struct stele__mp_reader *reader, const char *at, const char *why,
                                 stele_error **error)
{
    const size_t offset = (size_t)(at - reader->start);

    stele__fail(error, STELE_MALFORMED, "MessagePack, byte %zu: %s", offset, why);
    stele__error_add(error, "offset", "%zu", offset);
    return STELE_MALFORMED;
}

static uint64_t load_number(const char *at, size_t width)
{
    uint64_t number = 0;

    for (size_t i = 0; i < width; i++)
        number = number << 8 | (unsigned char)at[i];
    return number;
}

static int64_t sign_extend(uint64_t number, size_t width)
{
    const uint64_t sign = UINT64_C(1) << (width * 8 - 1);

    /* Arithmetic on unsigned numbers wraps around; the conversion keeps the bits. */
    return (int64_t)((number ^ sign) - sign);
}

static double float_of(uint64_t bits)
{
    const uint32_t narrow = (uint32_t)bits;
    float value;

    memcpy(&value, &narrow, sizeof(value));
    return (double)value;
}

static double double_of(uint64_t bits)
{
    double value;

    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* A token whose content of `size` bytes begins at `at`. */
static stele_status read_content(struct stele__mp_reader *reader, const char *at, uint64_t size,
                                 enum stele__mp_kind kind, struct stele__mp_token *token, stele_error **error)
{
    if (size > (size_t)(reader->end - at))
        return stele__mp_malformed(reader, reader->at, "longer than the bytes that are left", error);
    token->kind = kind;
    token->as.slice.data = at;
    token->as.slice.size = (size_t)size;
    reader->at = at + size;
    return STELE_OK;
}

/* A list or map whose values begin at `at`: each needs a byte, so a count beyond the input is found here. */
static stele_status read_count(struct stele__mp_reader *reader, const char *at, uint64_t count,
                               enum stele__mp_kind kind, struct stele__mp_token *token, stele_error **error)
{
    const uint64_t least = kind == STELE__MP_MAP ? count * 2 : count;

    if (least > (size_t)(reader->end - at))
        return stele__mp_malformed(reader, reader->at, "more values announced than bytes are left", error);
    token->kind = kind;
    token->as.count = (uint32_t)count;
    reader->at = at;
    return STELE_OK;
}

static stele_status read_ext(struct stele__mp_reader *reader, const char *at, uint64_t size,
                             struct stele__mp_token *token, stele_error **error)
{
    if (at == reader->end)
        return stele__mp_malformed(reader, reader->at, "cut short", error);
    token->ext_type = (int8_t)*at;
    return read_content(reader, at + 1, size, STELE__MP_EXT, token, error);
}

static stele_status take_int(struct stele__mp_reader *reader, const char *at, int64_t value,
                             struct stele__mp_token *token)
{
    token->kind = STELE__MP_INT;
    token->as.integer = value;
    reader->at = at;
    return STELE_OK;
}

static stele_status take_uint(struct stele__mp_reader *reader, const char *at, uint64_t value,
                              struct stele__mp_token *token)
{
    if (value <= INT64_MAX)
        return take_int(reader, at, (int64_t)value, token);
    token->kind = STELE__MP_UINT;
    token->as.unsigned_integer = value;
    reader->at = at;
    return STELE_OK;
}

static stele_status take_double(struct stele__mp_reader *reader, const char *at, double value,
                                struct stele__mp_token *token)
{
    token->kind = STELE__MP_DOUBLE;
    token->as.real = value;
    reader->at = at;
    return STELE_OK;
}

static stele_status take_bool(struct stele__mp_reader *reader, bool value, struct stele__mp_token *token)
{
    token->kind = STELE__MP_BOOL;
    token->as.boolean = value;
    reader->at++;
    return STELE_OK;
}

/* The formats of the table. */
static stele_status read_format(struct stele__mp_reader *reader, unsigned lead, struct stele__mp_token *token,
                                stele_error **error)
{
    const enum family family = (enum family)formats[lead - 0xc0].family;
    const size_t width = formats[lead - 0xc0].width;
    const char *at = reader->at + 1;
    uint64_t number;

    if (family == FIXEXT)
        return read_ext(reader, at, width, token, error);
    if (width > (size_t)(reader->end - at))
        return stele__mp_malformed(reader, reader->at, "cut short", error);
    number = load_number(at, width);
    at += width;
    switch (family) {
    case NIL:
        token->kind = STELE__MP_NIL;
        reader->at = at;
        return STELE_OK;
    case BOOLEAN: return take_bool(reader, lead == 0xc3, token);
    case FLOAT32: return take_double(reader, at, float_of(number), token);
    case FLOAT64: return take_double(reader, at, double_of(number), token);
    case UNSIGNED: return take_uint(reader, at, number, token);
    case SIGNED: return take_int(reader, at, sign_extend(number, width), token);
    case STR: return read_content(reader, at, number, STELE__MP_TEXT, token, error);
    case BIN: return read_content(reader, at, number, STELE__MP_BYTES, token, error);
    case EXT: return read_ext(reader, at, number, token, error);
    case ARRAY: return read_count(reader, at, number, STELE__MP_LIST, token, error);
    case MAP: return read_count(reader, at, number, STELE__MP_MAP, token, error);
    case RESERVED:
    case FIXEXT: break;
    }
    return stele__mp_malformed(reader, reader->at, "0xc1 is no format", error);
}

stele_status stele__mp_next(struct stele__mp_reader *reader, struct stele__mp_token *token, stele_error **error)
{
    const char *at = reader->at;
    unsigned lead;

    if (at == reader->end)
        return stele__mp_malformed(reader, at, "cut short", error);
    lead = (unsigned char)*at++;
    if (lead < 0x80)
        return take_int(reader, at, (int64_t)lead, token);
    if (lead >= 0xe0)
        return take_int(reader, at, (int64_t)lead - 0x100, token);
    if (lead >= 0xc0)
        return read_format(reader, lead, token, error);
    if (lead >= 0xa0)
        return read_content(reader, at, lead & 0x1f, STELE__MP_TEXT, token, error);
    return read_count(reader, at, lead & 0x0f, lead >= 0x90 ? STELE__MP_LIST : STELE__MP_MAP, token, error);
}

void stele__mp_walk_init(struct stele__mp_walk *walk, struct stele__mp_reader *reader, size_t above)
{
    walk->reader = reader;
    walk->above = above;
    walk->depth = 0;
    walk->started = false;
}

static stele_status open_level(struct stele__mp_walk *walk, const struct stele__mp_token *token, stele_error **error)
{
    struct stele__mp_level *level;

    if (walk->above + walk->depth >= STELE_NESTING_MAX)
        return stele__fail_limit(error, "nesting", STELE_NESTING_MAX + 1, STELE_NESTING_MAX, "levels");
    level = &walk->levels[walk->depth++];
    level->map = token->kind == STELE__MP_MAP;
    level->total = level->map ? (uint64_t)token->as.count * 2 : token->as.count;
    level->left = level->total;
    return STELE_OK;
}

stele_status stele__mp_walk_next(struct stele__mp_walk *walk, enum stele__mp_step *step, struct stele__mp_token *token,
                                 stele_error **error)
{
    struct stele__mp_level *level = walk->depth ? &walk->levels[walk->depth - 1] : NULL;
    stele_status status;

    if (level ? level->left == 0 : walk->started) {
        *step = level ? STELE__MP_CLOSE : STELE__MP_END;
        walk->depth -= level ? 1 : 0;
        return STELE_OK;
    }
    walk->started = true;
    *step = level && level->map && level->left % 2 == 0 ? STELE__MP_KEY : STELE__MP_VALUE;
    status = stele__mp_next(walk->reader, token, error);
    if (status != STELE_OK)
        return status;
    if (level)
        level->left--;
    if (token->kind == STELE__MP_LIST || token->kind == STELE__MP_MAP)
        return open_level(walk, token, error);
    return STELE_OK;
}

stele_status stele__mp_skip(struct stele__mp_reader *reader, size_t above, stele_error **error)
{
    const char *const start = reader->at;
    struct stele__mp_walk walk;
    struct stele__mp_token token;
    enum stele__mp_step step = STELE__MP_VALUE;
    stele_status status = stele__mp_next(reader, &token, error);

    if (status != STELE_OK || (token.kind != STELE__MP_LIST && token.kind != STELE__MP_MAP))
        return status;
    reader->at = start;
    stele__mp_walk_init(&walk, reader, above);
    while (status == STELE_OK && step != STELE__MP_END)
        status = stele__mp_walk_next(&walk, &step, &token, error);
    return status;
}

static stele_status check_token(const struct stele__mp_reader *reader, const struct stele__mp_token *token,
                                stele_error **error)
{
    size_t offset;

    if (token->kind != STELE__MP_TEXT || stele__utf8_valid(token->as.slice, &offset))
        return STELE_OK;
    return stele__mp_malformed(reader, token->as.slice.data + offset, "the text is not valid UTF-8", error);
}

stele_status stele_msgpack_check(struct stele_slice bytes, stele_error **error)
{
    struct stele__mp_reader reader = stele__mp_reader(bytes);
    struct stele__mp_walk walk;
    struct stele__mp_token token;
    enum stele__mp_step step = STELE__MP_CLOSE;
    stele_status status = STELE_OK;

    if (!bytes.data)
        return stele__fail_argument(error, "bytes", "is absent");
    if (bytes.size > STELE_PAYLOAD_MAX)
        return stele__fail_limit(error, "payload", bytes.size, STELE_PAYLOAD_MAX, "bytes");
    stele__mp_walk_init(&walk, &reader, 0);
    while (status == STELE_OK && step != STELE__MP_END) {
        status = stele__mp_walk_next(&walk, &step, &token, error);
        if (status == STELE_OK && step <= STELE__MP_KEY)
            status = check_token(&reader, &token, error);
    }
    if (status == STELE_OK && reader.at != reader.end)
        status = stele__mp_malformed(&reader, reader.at, "bytes behind the end of the value", error);
    return status;
}

/* JSON could write U+0000 in a key, but its reader here refuses it. */
static bool key_is_json(const struct stele__mp_token *token)
{
    return token->kind == STELE__MP_TEXT && !memchr(token->as.slice.data, '\0', token->as.slice.size);
}

static bool token_is_json(enum stele__mp_step step, const struct stele__mp_token *token)
{
    size_t offset;

    if (step == STELE__MP_KEY && !key_is_json(token))
        return false;
    switch (token->kind) {
    case STELE__MP_TEXT: return stele__utf8_valid(token->as.slice, &offset);
    case STELE__MP_DOUBLE: return isfinite(token->as.real);
    case STELE__MP_BYTES:
    case STELE__MP_EXT: return false;
    default: return true;
    }
}

bool stele_msgpack_is_json(struct stele_slice bytes)
{
    struct stele__mp_reader reader = stele__mp_reader(bytes);
    struct stele__mp_walk walk;
    struct stele__mp_token token;
    enum stele__mp_step step = STELE__MP_CLOSE;

    if (!bytes.data)
        return false;
    stele__mp_walk_init(&walk, &reader, 0);
    while (step != STELE__MP_END) {
        if (stele__mp_walk_next(&walk, &step, &token, NULL) != STELE_OK)
            return false;
        if (step <= STELE__MP_KEY && !token_is_json(step, &token))
            return false;
    }
    return reader.at == reader.end && stele__mp_check_keys(bytes, NULL) == STELE_OK;
}
