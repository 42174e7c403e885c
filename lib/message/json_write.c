/*
 * Writing JSON straight into a buffer: the tokens, and MessagePack of any
 * shape as JSON. Text passes as it is but for quotes, backslashes and control
 * characters. What can fail: MessagePack that is not well-formed
 * (STELE_MALFORMED), too deep (STELE_LIMIT), or that JSON has no word for
 * (STELE_INVALID); a failure of the buffer stays in it.
 */
#include "message/json.h"

#include "base/error.h"
#include "base/text.h"
#include "message/msgpack.h"

#include <inttypes.h>
#include <math.h>

/* The escape of a character that needs one; NULL for others. */
static const char *escape_of(unsigned char byte)
{
    static const char *const controls[] = {
        "\\u0000", "\\u0001", "\\u0002", "\\u0003", "\\u0004", "\\u0005", "\\u0006", "\\u0007",
        "\\b",     "\\t",     "\\n",     "\\u000b", "\\f",     "\\r",     "\\u000e", "\\u000f",
        "\\u0010", "\\u0011", "\\u0012", "\\u0013", "\\u0014", "\\u0015", "\\u0016", "\\u0017",
        "\\u0018", "\\u0019", "\\u001a", "\\u001b", "\\u001c", "\\u001d", "\\u001e", "\\u001f",
    };

    if (byte < 0x20)
        return controls[byte];
    if (byte == '"')
        return "\\\"";
    return byte == '\\' ? "\\\\" : NULL;
}

void stele__json_write_text(struct stele__buffer *buffer, struct stele_slice text)
{
    size_t written = 0;

    stele__buffer_add_byte(buffer, '"');
    for (size_t i = 0; i < text.size; i++) {
        const char *escape = escape_of((unsigned char)text.data[i]);

        if (!escape)
            continue;
        stele__buffer_add(buffer, text.data + written, i - written);
        stele__buffer_add_text(buffer, escape);
        written = i + 1;
    }
    if (text.size > written)
        stele__buffer_add(buffer, text.data + written, text.size - written);
    stele__buffer_add_byte(buffer, '"');
}

void stele__json_write_int(struct stele__buffer *buffer, int64_t value)
{
    stele__buffer_print(buffer, "%" PRId64, value);
}

void stele__json_write_uint(struct stele__buffer *buffer, uint64_t value)
{
    stele__buffer_print(buffer, "%" PRIu64, value);
}

void stele__json_write_double(struct stele__buffer *buffer, double value)
{
    char text[STELE__DOUBLE_TEXT_SIZE];

    stele__buffer_add(buffer, text, stele__print_double(value, text));
}

void stele__json_write_base64(struct stele__buffer *buffer, struct stele_slice bytes)
{
    const size_t size = stele__base64_size(bytes.size);
    char *text = stele__buffer_extend(buffer, size + 2);

    if (!text)
        return;
    text[0] = '"';
    stele__base64_encode(bytes, text + 1);
    text[size + 1] = '"';
}

static stele_status fail_wordless(const struct stele__mp_reader *reader, const char *what, stele_error **error)
{
    const size_t offset = (size_t)(reader->at - reader->start);

    stele__fail(error, STELE_INVALID, "MessagePack before byte %zu: JSON has no word for %s", offset, what);
    stele__error_add(error, "offset", "%zu", offset);
    return STELE_INVALID;
}

static stele_status write_token(struct stele__buffer *buffer, const struct stele__mp_reader *reader,
                                const struct stele__mp_token *token, stele_error **error)
{
    size_t offset;

    switch (token->kind) {
    case STELE__MP_NIL: stele__buffer_add_text(buffer, "null"); break;
    case STELE__MP_BOOL: stele__buffer_add_text(buffer, token->as.boolean ? "true" : "false"); break;
    case STELE__MP_INT: stele__json_write_int(buffer, token->as.integer); break;
    case STELE__MP_UINT: stele__json_write_uint(buffer, token->as.unsigned_integer); break;
    case STELE__MP_DOUBLE:
        if (!isfinite(token->as.real))
            return fail_wordless(reader, "NaN and infinities", error);
        stele__json_write_double(buffer, token->as.real);
        break;
    case STELE__MP_TEXT:
        if (!stele__utf8_valid(token->as.slice, &offset))
            return stele__mp_malformed(reader, token->as.slice.data + offset, "the text is not valid UTF-8", error);
        stele__json_write_text(buffer, token->as.slice);
        break;
    case STELE__MP_BYTES: return fail_wordless(reader, "bytes", error);
    case STELE__MP_EXT: return fail_wordless(reader, "extension types", error);
    case STELE__MP_LIST: stele__buffer_add_byte(buffer, '['); break;
    case STELE__MP_MAP: stele__buffer_add_byte(buffer, '{'); break;
    }
    return STELE_OK;
}

/* The comma or colon before the step that was just read. */
static void write_separator(struct stele__buffer *buffer, const struct stele__mp_walk *walk, enum stele__mp_step step,
                            const struct stele__mp_token *token)
{
    const bool opened = token->kind == STELE__MP_LIST || token->kind == STELE__MP_MAP;
    const size_t depth = walk->depth - (opened ? 1 : 0);
    const struct stele__mp_level *level = depth ? &walk->levels[depth - 1] : NULL;

    if (!level || level->left + 1 == level->total)
        return;
    stele__buffer_add_byte(buffer, level->map && step == STELE__MP_VALUE ? ':' : ',');
}

static stele_status write_step(struct stele__buffer *buffer, const struct stele__mp_walk *walk,
                               enum stele__mp_step step, const struct stele__mp_token *token, stele_error **error)
{
    switch (step) {
    case STELE__MP_KEY:
        if (token->kind != STELE__MP_TEXT)
            return fail_wordless(walk->reader, "keys that are not text", error);
        if (memchr(token->as.slice.data, '\0', token->as.slice.size))
            return fail_wordless(walk->reader, "U+0000 in keys", error);
        write_separator(buffer, walk, step, token);
        return write_token(buffer, walk->reader, token, error);
    case STELE__MP_VALUE:
        write_separator(buffer, walk, step, token);
        return write_token(buffer, walk->reader, token, error);
    case STELE__MP_CLOSE: stele__buffer_add_byte(buffer, walk->levels[walk->depth].map ? '}' : ']'); break;
    case STELE__MP_END: break;
    }
    return STELE_OK;
}

stele_status stele__json_write_msgpack(struct stele__buffer *buffer, struct stele_slice bytes, stele_error **error)
{
    struct stele__mp_reader reader = stele__mp_reader(bytes);
    struct stele__mp_walk walk;
    struct stele__mp_token token;
    enum stele__mp_step step = STELE__MP_CLOSE;
    stele_status status = STELE_OK;

    stele__mp_walk_init(&walk, &reader, 0);
    while (status == STELE_OK && step != STELE__MP_END) {
        status = stele__mp_walk_next(&walk, &step, &token, error);
        if (status == STELE_OK)
            status = write_step(buffer, &walk, step, &token, error);
    }
    if (status == STELE_OK && reader.at != reader.end)
        status = stele__mp_malformed(&reader, reader.at, "bytes behind the end of the value", error);
    return status;
}
