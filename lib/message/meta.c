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

/* The least of a set of attributes. */
static inline enum stele__attribute first_of(unsigned set)
{
    return (enum stele__attribute)__builtin_ctz(set);
}

/* Bits of the texts that are there. */
static inline unsigned given_texts(const struct stele_slice *text)
{
    unsigned given = 0;

    for (size_t i = STELE__META_TEXTS; i-- > 0;)
        given = given << 1 | (text[i].data != NULL);
    return given;
}

/* Check the texts that are there; bits of those to be kept, which is all but the default. */
static stele_status check_texts(const struct stele__attributes *attributes, unsigned *kept, stele_error **error)
{
    const struct stele_slice *text = attributes->text;
    const unsigned given = given_texts(text);

    for (unsigned left = given; left; left &= left - 1) {
        const enum stele__attribute i = first_of(left);
        stele_status status = STELE_OK;

        if (!attributes->is_valid[i])
            status = stele__attribute_check(i, text[i], error);
        if (status)
            return status;
    }
    *kept = given;
    if (text[STELE__SOURCE].data && stele__slice_equal(text[STELE__SOURCE], stele__slice(STELE__SOURCE_DEFAULT)))
        *kept &= ~(1U << STELE__SOURCE);
    return STELE_OK;
}

static bool has_own(const struct stele__attributes *attributes, const char *name)
{
    for (size_t i = 0; attributes->extensions && i < attributes->extension_count; i++) {
        if (strcmp(attributes->extensions[i].name, name) == 0)
            return true;
    }
    return false;
}

/* The next inherited extension that the message has not of its own. */
static bool next_inherited(const struct stele__attributes *attributes, struct stele__extension_walk *walk,
                           struct stele_extension *out)
{
    while (stele__extension_next(walk, out)) {
        if (!has_own(attributes, out->name))
            return true;
    }
    return false;
}

static stele_status count_extensions(const struct stele__attributes *attributes, size_t *count, stele_error **error)
{
    struct stele__extension_walk walk;
    struct stele_extension extension;

    *count = attributes->extension_count;
    if (*count == 0 && attributes->inherited.left == 0)
        return STELE_OK;
    walk = attributes->inherited;
    while (next_inherited(attributes, &walk, &extension))
        ++*count;
    if (*count > STELE_EXTENSIONS_MAX)
        return stele__fail_limit(error, "extensions", *count, STELE_EXTENSIONS_MAX, "attributes");
    return stele__extensions_check(attributes->extensions, attributes->extension_count, error);
}

static uint32_t count_pairs(const struct stele__attributes *attributes, unsigned kept, size_t extensions)
{
    uint32_t count = 0;

    for (; kept; kept &= kept - 1)
        count++;
    count += attributes->kind != STELE_EVENT;
    count += attributes->format != STELE_PAYLOAD_MSGPACK;
    count += extensions > 0;
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

static void write_extensions(struct stele__buffer *buffer, const struct stele__attributes *attributes, size_t count)
{
    struct stele__extension_walk walk = attributes->inherited;
    struct stele_extension extension;

    stele__mp_write_text(buffer, stele__slice("extensions"));
    stele__mp_write_map(buffer, (uint32_t)count);
    for (size_t i = 0; i < attributes->extension_count; i++)
        write_extension(buffer, &attributes->extensions[i]);
    while (next_inherited(attributes, &walk, &extension))
        write_extension(buffer, &extension);
}

stele_status stele__attributes_encode(const struct stele__attributes *attributes, struct stele__buffer *buffer,
                                      stele_error **error)
{
    stele_status status;
    size_t extensions;
    uint32_t pairs;
    unsigned kept;

    status = check_texts(attributes, &kept, error);
    if (!status)
        status = count_extensions(attributes, &extensions, error);
    if (status)
        return status;
    pairs = count_pairs(attributes, kept, extensions);
    if (pairs == 0)
        return STELE_OK;
    stele__mp_write_map(buffer, pairs);
    for (; kept; kept &= kept - 1) {
        const enum stele__attribute i = first_of(kept);

        stele__mp_write_pair(buffer, stele__attribute_name(i), attributes->text[i]);
    }
    if (attributes->kind != STELE_EVENT)
        stele__mp_write_pair(buffer, stele__attribute_name(STELE__MESSAGEKIND), stele__kind_name(attributes->kind));
    if (attributes->format != STELE_PAYLOAD_MSGPACK)
        stele__mp_write_pair(buffer, stele__slice("format"), stele__slice(format_names[attributes->format]));
    if (extensions > 0)
        write_extensions(buffer, attributes, extensions);
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

static bool next_long_text(struct stele__mp_reader *reader, struct stele_slice *text)
{
    struct stele__mp_token token;

    if (stele__mp_next(reader, &token, NULL) || token.kind != STELE__MP_TEXT)
        return false;
    *text = token.as.slice;
    return true;
}

static inline bool next_text(struct stele__mp_reader *reader, struct stele_slice *text)
{
    return stele__mp_take_text(reader, text) || next_long_text(reader, text);
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
    struct stele_slice name;
    uint32_t count;

    if (!next_of_kind(reader, STELE__MP_MAP, &token) || token.as.count > STELE_EXTENSIONS_MAX)
        return false;
    count = token.as.count;
    for (uint32_t i = 0; i < count; i++) {
        if (!next_text(reader, &name) || stele__extension_name_check(name, NULL))
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
    struct stele_slice text;
    unsigned key;

    if (!next_text(reader, &text))
        return false;
    key = find_key(text);
    if (key == UNKNOWN || *seen & (1U << key))
        return false;
    *seen |= 1U << key;
    if (key == EXTENSIONS)
        return check_extensions(reader);
    if (!next_text(reader, &text))
        return false;
    if (key == FORMAT)
        return open_format(message, text);
    if (key == STELE__MESSAGEKIND)
        return open_kind(message, text);
    return stele__attribute_check((enum stele__attribute)key, text, NULL) == STELE_OK;
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
    struct stele_slice key;
    uint32_t count;

    if (reader->at == reader->end || !next_of_kind(reader, STELE__MP_MAP, &token))
        return false;
    count = token.as.count;
    for (uint32_t i = 0; i < count; i++) {
        if (!next_text(reader, &key))
            return false;
        if (stele__slice_equal(key, name))
            return true;
        if (!stele__mp_take_text(reader, &key) && stele__mp_skip(reader, 0, NULL))
            return false;
    }
    return false;
}

struct stele_slice stele__meta_text(struct stele_slice meta, enum stele__attribute attribute)
{
    const struct stele_slice absent = {NULL, 0};
    struct stele__mp_reader reader = stele__mp_reader(meta);
    struct stele_slice text;

    return find_pair(&reader, stele__attribute_name(attribute)) && next_text(&reader, &text) ? text : absent;
}

/* Take one pair off; false if there is none that was checked. */
static bool read_pair(struct stele__mp_reader *reader, struct stele__meta *out)
{
    struct stele__mp_token token;
    struct stele_slice name;
    unsigned key;

    if (!next_text(reader, &name))
        return false;
    key = find_key(name);
    if (key < STELE__META_TEXTS)
        return next_text(reader, &out->text[key]);
    if (stele__mp_next(reader, &token, NULL))
        return false;
    if (key == EXTENSIONS) {
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
    static const struct stele__meta nothing;
    struct stele__mp_reader reader = stele__mp_reader(meta);
    struct stele__mp_token token;
    uint32_t count;

    /* A copy is a few moves; clearing would be an instruction that takes long to start. */
    *out = nothing;
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
    struct stele__mp_token value;
    struct stele_slice name;

    if (walk->left == 0 || !next_text(&walk->reader, &name) || stele__mp_next(&walk->reader, &value, NULL))
        return false;
    walk->left--;
    memset(out, 0, sizeof(*out));
    memcpy(out->name, name.data, name.size);
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
