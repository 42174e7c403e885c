/*
 * What attributes are called and what they may be.
 *
 * Two tables have a row per attribute of the library's own: its name, and how
 * long its text may be and which form it must have. A text comes from options or from JSON, goes
 * through length, characters (the String type of CloudEvents 1.0.2) and form
 * (URIs of RFC 3986, media types of RFC 2045, W3C trace context), and is left
 * as it is. What can fail: the text; the error names the attribute.
 */
#include "message/attributes.h"

#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "message/syntax.h"

struct attribute_rules {
    size_t limit;                     /* bytes; 0: not a text that is checked here */
    bool (*form)(struct stele_slice); /* NULL: any text */
    const char *form_text;
};

#define NAME(text) \
    { \
        text, sizeof(text) - 1 \
    }

const struct stele_slice stele__attribute_names[STELE__ATTRIBUTES] = {
    [STELE__SOURCE] = NAME("source"),
    [STELE__SUBJECT] = NAME("subject"),
    [STELE__DATACONTENTTYPE] = NAME("datacontenttype"),
    [STELE__DATASCHEMA] = NAME("dataschema"),
    [STELE__CORRELATIONID] = NAME("correlationid"),
    [STELE__CAUSATIONID] = NAME("causationid"),
    [STELE__TRACEPARENT] = NAME("traceparent"),
    [STELE__SPECVERSION] = NAME("specversion"),
    [STELE__ID] = NAME("id"),
    [STELE__TYPE] = NAME("type"),
    [STELE__TIME] = NAME("time"),
    [STELE__STREAM] = NAME("stream"),
    [STELE__STREAMVERSION] = NAME("streamversion"),
    [STELE__POSITION] = NAME("position"),
    [STELE__TYPEVERSION] = NAME("typeversion"),
    [STELE__MESSAGEKIND] = NAME("messagekind"),
    [STELE__DATA] = NAME("data"),
    [STELE__DATA_BASE64] = NAME("data_base64"),
};

static const struct attribute_rules rules[STELE__ATTRIBUTES] = {
    [STELE__SOURCE] = {STELE_SOURCE_MAX, stele__is_uri_reference, "is not a URI reference (RFC 3986)"},
    [STELE__SUBJECT] = {STELE_SUBJECT_MAX, NULL, NULL},
    [STELE__DATACONTENTTYPE] = {STELE_EXTENSION_VALUE_MAX, stele__is_media_type, "is not a media type (RFC 2045)"},
    [STELE__DATASCHEMA] = {STELE_EXTENSION_VALUE_MAX, stele__is_uri, "is not an absolute URI (RFC 3986)"},
    [STELE__CORRELATIONID] = {STELE_CORRELATION_MAX, NULL, NULL},
    [STELE__CAUSATIONID] = {STELE_CORRELATION_MAX, NULL, NULL},
    [STELE__TRACEPARENT] = {STELE_EXTENSION_VALUE_MAX, stele__is_traceparent,
                            "is not a traceparent (W3C Trace Context)"},
    [STELE__ID] = {STELE_ID_MAX, NULL, NULL},
    [STELE__TYPE] = {STELE_TYPE_MAX, NULL, NULL},
    [STELE__STREAM] = {STELE_STREAM_MAX, NULL, NULL},
};

static const struct stele_slice kinds[] = {
    [STELE_EVENT] = NAME("event"),
    [STELE_COMMAND] = NAME("command"),
    [STELE_QUERY] = NAME("query"),
    [STELE_REPLY] = NAME("reply"),
};

enum stele__attribute stele__attribute_find(struct stele_slice name)
{
    enum stele__attribute attribute = 0;

    while (attribute < STELE__ATTRIBUTES && !stele__slice_equal(stele__attribute_names[attribute], name))
        attribute++;
    return attribute;
}

struct stele_slice stele__kind_name(enum stele_message_kind kind)
{
    return kinds[kind];
}

enum stele_message_kind stele__kind_find(struct stele_slice name)
{
    for (enum stele_message_kind kind = STELE_EVENT; kind <= STELE_REPLY; kind++) {
        if (stele__slice_equal(kinds[kind], name))
            return kind;
    }
    return STELE_PART;
}

static void add_attribute(stele_error **error, struct stele_slice name)
{
    stele__error_add(error, "attribute", "%.*s", STELE_SLICE(name));
}

stele_status stele__fail_attribute(stele_error **error, struct stele_slice name, const char *why)
{
    stele__fail(error, STELE_INVALID, "%.*s: %s", STELE_SLICE(name), why);
    add_attribute(error, name);
    return STELE_INVALID;
}

static stele_status fail_length(stele_error **error, struct stele_slice name, size_t actual, size_t limit)
{
    char what[STELE_EXTENSION_NAME_MAX + 1];

    memcpy(what, name.data, name.size);
    what[name.size] = '\0';
    stele__fail_limit(error, what, actual, limit, "bytes");
    add_attribute(error, name);
    return STELE_LIMIT;
}

/* Of a text that is not all printable ASCII. */
static stele_status check_characters(struct stele_slice name, struct stele_slice value, stele_error **error)
{
    size_t offset;

    if (stele__is_string(value, &offset))
        return STELE_OK;
    stele__fail(error, STELE_INVALID,
                "%.*s: byte %zu is not part of a character that CloudEvents allows in text (UTF-8, no controls)",
                STELE_SLICE(name), offset);
    add_attribute(error, name);
    return STELE_INVALID;
}

static inline stele_status check_text(struct stele_slice name, struct stele_slice value, size_t limit,
                                      stele_error **error)
{
    if (value.size > limit)
        return fail_length(error, name, value.size, limit);
    return stele__is_printable(value) ? STELE_OK : check_characters(name, value, error);
}

stele_status stele__attribute_check(enum stele__attribute attribute, struct stele_slice value, stele_error **error)
{
    const struct attribute_rules *rule = &rules[attribute];
    const struct stele_slice name = stele__attribute_name(attribute);
    stele_status status;

    if (value.size == 0)
        return stele__fail_attribute(error, name, "is empty");
    status = check_text(name, value, rule->limit, error);
    if (!status && rule->form && !rule->form(value))
        return stele__fail_attribute(error, name, rule->form_text);
    return status;
}

/* The names of foreign attributes may be of any length and content: show the beginning, as far as it is text. */
static struct stele_slice shown_name(struct stele_slice name)
{
    struct stele_slice shown = name;
    size_t offset;

    if (shown.size > STELE_EXTENSION_VALUE_MAX)
        shown.size = STELE_EXTENSION_VALUE_MAX;
    if (!stele__is_string(shown, &offset))
        shown.size = offset;
    return shown;
}

stele_status stele__extension_name_check(struct stele_slice name, stele_error **error)
{
    if (name.size == 0)
        return stele__fail_attribute(error, name, "an attribute has an empty name");
    for (size_t i = 0; i < name.size; i++) {
        const char c = name.data[i];

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')))
            return stele__fail_attribute(error, shown_name(name), "names have only characters a-z and 0-9");
    }
    if (name.size > STELE_EXTENSION_NAME_MAX) {
        stele__fail_limit(error, "the name of an attribute", name.size, STELE_EXTENSION_NAME_MAX, "bytes");
        add_attribute(error, shown_name(name));
        return STELE_LIMIT;
    }
    if (stele__attribute_find(name) != STELE__ATTRIBUTES)
        return stele__fail_attribute(error, name, "the name is the library's own");
    return STELE_OK;
}

static struct stele_slice extension_name(const struct stele_extension *extension)
{
    const struct stele_slice name = {extension->name, strnlen(extension->name, sizeof(extension->name))};

    return name;
}

static stele_status check_extension(const struct stele_extension *extension, stele_error **error)
{
    const struct stele_slice name = extension_name(extension);
    const stele_status status = stele__extension_name_check(name, error);

    if (status)
        return status;
    switch (extension->kind) {
    case STELE_EXTENSION_TEXT:
        if (!extension->text.data)
            return stele__fail_attribute(error, name, "its text is NULL");
        return check_text(name, extension->text, STELE_EXTENSION_VALUE_MAX, error);
    case STELE_EXTENSION_INTEGER:
    case STELE_EXTENSION_BOOLEAN: return STELE_OK;
    }
    return stele__fail_attribute(error, name, "its kind is none of text, integer and boolean");
}

stele_status stele__extensions_check(const struct stele_extension *extensions, size_t count, stele_error **error)
{
    if (count > STELE_EXTENSIONS_MAX)
        return stele__fail_limit(error, "extensions", count, STELE_EXTENSIONS_MAX, "attributes");
    if (count && !extensions)
        return stele__fail_argument(error, "extensions", "is NULL, their count is not 0");
    for (size_t i = 0; i < count; i++) {
        const stele_status status = check_extension(&extensions[i], error);

        if (status)
            return status;
        for (size_t j = 0; j < i; j++) {
            if (strcmp(extensions[i].name, extensions[j].name) == 0)
                return stele__fail_attribute(error, extension_name(&extensions[i]), "is there twice");
        }
    }
    return STELE_OK;
}
