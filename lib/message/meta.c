/*
 * The rarer attributes of a message as one MessagePack map; its layout is
 * drawn in message.h.
 *
 *     options, JSON --check--> stele__attributes_encode() --> meta in message and store row
 *     store row --> stele__message_open_meta() --check--> the readers at the end
 *
 * What can fail: attributes that break their rules (STELE_INVALID,
 * STELE_LIMIT), memory, a stored meta that is not one (STELE_CORRUPT). The
 * readers rely on the check and cannot fail.
 */
#include "message/message.h"

#include <string.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/text.h"
#include "message/syntax.h"

static const char *const format_names[] = {
    [STELE_PAYLOAD_NONE] = "none",
    [STELE_PAYLOAD_MSGPACK] = "msgpack",
    [STELE_PAYLOAD_BYTES] = "bytes",
};

/* --- Writing ------------------------------------------------------------------------ */

static stele_status check(const struct stele__attributes *attributes, stele_error **error)
{
    for (enum stele__attribute i = 0; i < STELE__META_TEXTS; i++) {
        stele_status status = STELE_OK;

        if (attributes->text[i].data)
            status = stele__attribute_check(i, attributes->text[i], error);
        if (status)
            return status;
    }
    return stele__extensions_check(attributes->extensions, attributes->extension_count, error);
}

/* True if a text is to be kept: it is there and not the default. */
static bool is_kept(const struct stele__attributes *attributes, enum stele__attribute attribute)
{
    const struct stele_slice text = attributes->text[attribute];

    return text.data && !(attribute == STELE__SOURCE && stele__slice_equal(text, stele__slice(STELE__SOURCE_DEFAULT)));
}

static uint32_t count_pairs(const struct stele__attributes *attributes)
{
    uint32_t count = 0;

    for (enum stele__attribute i = 0; i < STELE__META_TEXTS; i++)
        count += is_kept(attributes, i);
    count += attributes->kind != STELE_EVENT;
    count += attributes->format != STELE_PAYLOAD_MSGPACK;
    count += attributes->extension_count > 0;
    return count;
}

static void write_extension(struct stele__buffer *buffer, const struct stele_extension *extension)
{
    stele__mp_write_text(buffer, stele__slice(extension->name));
    switch (extension->kind) {
    case STELE_EXTENSION_TEXT: stele__mp_write_text(buffer, extension->text); break;
    case STELE_EXTENSION_INTEGER: stele__mp_write_int(buffer, extension->integer); break;
    case STELE_EXTENSION_BOOLEAN: stele__mp_write_bool(buffer, extension->boolean); break;
    }
}

static void write_extensions(struct stele__buffer *buffer, const struct stele__attributes *attributes)
{
    stele__mp_write_text(buffer, stele__slice("extensions"));
    stele__mp_write_map(buffer, (uint32_t)attributes->extension_count);
    for (size_t i = 0; i < attributes->extension_count; i++)
        write_extension(buffer, &attributes->extensions[i]);
}

stele_status stele__attributes_encode(const struct stele__attributes *attributes, struct stele__buffer *buffer,
                                      stele_error **error)
{
    const uint32_t pairs = count_pairs(attributes);
    const stele_status status = check(attributes, error);

    if (status || pairs == 0)
        return status;
    stele__mp_write_map(buffer, pairs);
    for (enum stele__attribute i = 0; i < STELE__META_TEXTS; i++) {
        if (!is_kept(attributes, i))
            continue;
        stele__mp_write_text(buffer, stele__attribute_name(i));
        stele__mp_write_text(buffer, attributes->text[i]);
    }
    if (attributes->kind != STELE_EVENT) {
        stele__mp_write_text(buffer, stele__attribute_name(STELE__MESSAGEKIND));
        stele__mp_write_text(buffer, stele__kind_name(attributes->kind));
    }
    if (attributes->format != STELE_PAYLOAD_MSGPACK) {
        stele__mp_write_text(buffer, stele__slice("format"));
        stele__mp_write_text(buffer, stele__slice(format_names[attributes->format]));
    }
    if (attributes->extension_count > 0)
        write_extensions(buffer, attributes);
    return stele__buffer_finish(buffer, "the attributes", error);
}

/* --- Checking what a store gave ------------------------------------------------------ */

/* The keys of meta that are no attributes; bits of `seen` behind those. */
enum { FORMAT = STELE__ATTRIBUTES, EXTENSIONS, UNKNOWN };

static unsigned find_key(struct stele_slice key)
{
    const unsigned attribute = stele__attribute_find(key);

    if (attribute < STELE__META_TEXTS || attribute == STELE__MESSAGEKIND)
        return attribute;
    if (stele__slice_equal(key, stele__slice("format")))
        return FORMAT;
    return stele__slice_equal(key, stele__slice("extensions")) ? EXTENSIONS : UNKNOWN;
}

static bool next_of_kind(struct stele__mp_reader *reader, enum stele__mp_kind kind, struct stele__mp_token *token)
{
    return stele__mp_next(reader, token, NULL) == STELE_OK && token->kind == kind;
}

static bool is_extension_value(const struct stele__mp_token *token)
{
    size_t offset;

    switch (token->kind) {
    case STELE__MP_TEXT: return stele__is_string(token->as.slice, &offset);
    case STELE__MP_INT: return token->as.integer >= INT32_MIN && token->as.integer <= INT32_MAX;
    case STELE__MP_BOOL: return true;
    default: return false;
    }
}

static bool check_extensions(struct stele__mp_reader *reader)
{
    struct stele__mp_token token;
    uint32_t count;

    if (!next_of_kind(reader, STELE__MP_MAP, &token) || token.as.count > STELE_EXTENSIONS_MAX)
        return false;
    count = token.as.count;
    for (uint32_t i = 0; i < count; i++) {
        if (!next_of_kind(reader, STELE__MP_TEXT, &token) || stele__extension_name_check(token.as.slice, NULL))
            return false;
        if (stele__mp_next(reader, &token, NULL) || !is_extension_value(&token))
            return false;
    }
    return true;
}

static bool open_kind(struct stele_message *message, struct stele_slice name)
{
    message->kind = stele__kind_find(name);
    return message->kind != STELE_PART;
}

static bool open_format(struct stele_message *message, struct stele_slice name)
{
    for (enum stele_payload_format format = STELE_PAYLOAD_NONE; format <= STELE_PAYLOAD_BYTES; format++) {
        if (stele__slice_equal(name, stele__slice(format_names[format]))) {
            message->format = format;
            return true;
        }
    }
    return false;
}

static bool open_pair(struct stele_message *message, struct stele__mp_reader *reader, unsigned *seen)
{
    struct stele__mp_token token;
    unsigned key;

    if (!next_of_kind(reader, STELE__MP_TEXT, &token))
        return false;
    key = find_key(token.as.slice);
    if (key == UNKNOWN || *seen & (1U << key))
        return false;
    *seen |= 1U << key;
    if (key == EXTENSIONS)
        return check_extensions(reader);
    if (!next_of_kind(reader, STELE__MP_TEXT, &token))
        return false;
    if (key == FORMAT)
        return open_format(message, token.as.slice);
    if (key == STELE__MESSAGEKIND)
        return open_kind(message, token.as.slice);
    return stele__attribute_check((enum stele__attribute)key, token.as.slice, NULL) == STELE_OK;
}

static bool open_pairs(struct stele_message *message)
{
    struct stele__mp_reader reader = stele__mp_reader(message->meta);
    struct stele__mp_token token;
    unsigned seen = 0;
    uint32_t count;

    if (!next_of_kind(&reader, STELE__MP_MAP, &token))
        return false;
    count = token.as.count;
    for (uint32_t i = 0; i < count; i++) {
        if (!open_pair(message, &reader, &seen))
            return false;
    }
    return reader.at == reader.end;
}

stele_status stele__message_open_meta(struct stele_message *message, stele_error **error)
{
    message->kind = STELE_EVENT;
    message->format = STELE_PAYLOAD_MSGPACK;
    if (message->meta.size == 0 || open_pairs(message))
        return STELE_OK;
    return stele__fail(error, STELE_CORRUPT, "the stored attributes are damaged");
}

/* --- Reading ------------------------------------------------------------------------- */

/* Move behind the key `name`; false if there is none. */
static bool find_pair(struct stele__mp_reader *reader, struct stele_slice name)
{
    struct stele__mp_token token;
    uint32_t count;

    if (reader->at == reader->end || !next_of_kind(reader, STELE__MP_MAP, &token))
        return false;
    count = token.as.count;
    for (uint32_t i = 0; i < count; i++) {
        if (!next_of_kind(reader, STELE__MP_TEXT, &token))
            return false;
        if (stele__slice_equal(token.as.slice, name))
            return true;
        if (stele__mp_skip(reader, 0, NULL))
            return false;
    }
    return false;
}

struct stele_slice stele__meta_text(struct stele_slice meta, enum stele__attribute attribute)
{
    const struct stele_slice absent = {NULL, 0};
    struct stele__mp_reader reader = stele__mp_reader(meta);
    struct stele__mp_token token;

    if (!find_pair(&reader, stele__attribute_name(attribute)) || !next_of_kind(&reader, STELE__MP_TEXT, &token))
        return absent;
    return token.as.slice;
}

/* Take one pair off; false if there is none that was checked. */
static bool read_pair(struct stele__mp_reader *reader, struct stele__meta *out)
{
    struct stele__mp_token token;
    unsigned key;

    if (!next_of_kind(reader, STELE__MP_TEXT, &token))
        return false;
    key = find_key(token.as.slice);
    if (stele__mp_next(reader, &token, NULL))
        return false;
    if (key < STELE__META_TEXTS) {
        out->text[key] = token.as.slice;
    } else if (key == EXTENSIONS) {
        out->extensions.reader = *reader;
        out->extensions.left = token.as.count;
        for (uint32_t i = 0; i < 2 * out->extensions.left; i++) {
            if (stele__mp_next(reader, &token, NULL))
                return false;
        }
    }
    return true;
}

void stele__meta_read(struct stele_slice meta, struct stele__meta *out)
{
    struct stele__mp_reader reader = stele__mp_reader(meta);
    struct stele__mp_token token;
    uint32_t count;

    memset(out, 0, sizeof(*out));
    if (meta.size == 0 || !next_of_kind(&reader, STELE__MP_MAP, &token))
        return;
    count = token.as.count;
    for (uint32_t i = 0; i < count; i++) {
        if (!read_pair(&reader, out))
            return;
    }
}

bool stele__extension_next(struct stele__extension_walk *walk, struct stele_extension *out)
{
    struct stele__mp_token name, value;

    if (walk->left == 0 || !next_of_kind(&walk->reader, STELE__MP_TEXT, &name) ||
        stele__mp_next(&walk->reader, &value, NULL))
        return false;
    walk->left--;
    memset(out, 0, sizeof(*out));
    memcpy(out->name, name.as.slice.data, name.as.slice.size);
    if (value.kind == STELE__MP_TEXT) {
        out->kind = STELE_EXTENSION_TEXT;
        out->text = value.as.slice;
    } else if (value.kind == STELE__MP_INT) {
        out->kind = STELE_EXTENSION_INTEGER;
        out->integer = (int32_t)value.as.integer;
    } else {
        out->kind = STELE_EXTENSION_BOOLEAN;
        out->boolean = value.as.boolean;
    }
    return true;
}
