/*
 * The grammars of attribute values, as predicates over one slice.
 *
 * Each takes the text apart from its outermost separator inwards and checks
 * the characters of every piece. They read only, and answer yes or no; which
 * attribute it was is said by attributes.c.
 */
#include "message/syntax.h"

#include <string.h>

#include "base/text.h"

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_lower_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f');
}

static bool is_hex(char c)
{
    return is_lower_hex(c) || (c >= 'A' && c <= 'F');
}

/* One of `set`; never its NUL. */
static inline bool is_one_of(char c, const char *set)
{
    while (*set && *set != c)
        set++;
    return *set != '\0';
}

static struct stele_slice slice_from(struct stele_slice text, size_t start)
{
    const struct stele_slice rest = {text.data + start, text.size - start};

    return rest;
}

static struct stele_slice slice_to(struct stele_slice text, size_t end)
{
    const struct stele_slice first = {text.data, end};

    return first;
}

/* The index of the first of `set`, or the size if there is none. */
static size_t index_of(struct stele_slice text, const char *set)
{
    size_t i = 0;

    while (i < text.size && !is_one_of(text.data[i], set))
        i++;
    return i;
}

/* --- Text -------------------------------------------------------------------------- */

/* True if the valid UTF-8 at `at` begins a control character or noncharacter. */
static bool is_forbidden(const unsigned char *at)
{
    if (at[0] < 0x20 || at[0] == 0x7F)
        return true;
    if (at[0] == 0xC2)
        return at[1] < 0xA0;
    if (at[0] == 0xEF) /* U+FDD0-FDEF, U+FFFE, U+FFFF */
        return (at[1] == 0xB7 && at[2] >= 0x90 && at[2] <= 0xAF) || (at[1] == 0xBF && at[2] >= 0xBE);
    return at[0] >= 0xF0 && (at[1] & 0x0F) == 0x0F && at[2] == 0xBF && at[3] >= 0xBE;
}

#define ONES UINT64_C(0x0101010101010101)

/*
 * Has a high bit for eight bytes if not all are printable ASCII. Taking ' ' from
 * each byte sets the high bit of those below it, adding 1 that of 0x7F; a byte
 * that borrows or carries has set its own high bit already.
 */
static inline uint64_t unprintable_of(const char *at)
{
    uint64_t bytes;

    memcpy(&bytes, at, sizeof(bytes));
    return bytes | (bytes - ONES * ' ') | (bytes + ONES);
}

/* The last step may look at bytes again. */
bool stele__is_printable(struct stele_slice text)
{
    uint64_t other = 0;
    size_t i = 0;

    for (; i + sizeof(uint64_t) <= text.size; i += sizeof(uint64_t))
        other |= unprintable_of(text.data + i);
    if (i > 0)
        return !((other | unprintable_of(text.data + text.size - sizeof(uint64_t))) & ONES << 7);
    for (; i < text.size; i++) {
        const uint64_t byte = (unsigned char)text.data[i];

        other |= byte | (byte - ' ') | (byte + 1);
    }
    return !(other & ONES << 7);
}

bool stele__is_string(struct stele_slice text, size_t *offset)
{
    const unsigned char *bytes = (const unsigned char *)text.data;

    if (stele__is_printable(text))
        return true;
    if (!stele__utf8_valid(text, offset))
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if ((bytes[i] < 0x20 || bytes[i] >= 0x7F) && is_forbidden(bytes + i)) {
            *offset = i;
            return false;
        }
    }
    return true;
}

/* --- URIs, RFC 3986 ---------------------------------------------------------------- */

/* Only unreserved characters, sub-delims, percent-encoded bytes, and those of `also`. */
static bool is_uri_piece(struct stele_slice text, const char *also)
{
    for (size_t i = 0; i < text.size; i++) {
        const char c = text.data[i];

        if (c == '%') {
            if (text.size - i < 3 || !is_hex(text.data[i + 1]) || !is_hex(text.data[i + 2]))
                return false;
            i += 2;
        } else if (!is_alpha(c) && !is_digit(c) && !is_one_of(c, also) && !is_one_of(c, "-._~!$&'()*+,;=")) {
            return false;
        }
    }
    return true;
}

static bool is_scheme(struct stele_slice text)
{
    if (text.size == 0 || !is_alpha(text.data[0]))
        return false;
    for (size_t i = 1; i < text.size; i++) {
        if (!is_alpha(text.data[i]) && !is_digit(text.data[i]) && !is_one_of(text.data[i], "+-."))
            return false;
    }
    return true;
}

static bool is_port(struct stele_slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (!is_digit(text.data[i]))
            return false;
    }
    return true;
}

/* Host and port; an address in brackets is checked for its characters only. */
static bool is_host(struct stele_slice text)
{
    size_t end;

    if (text.size > 0 && text.data[0] == '[') {
        end = index_of(text, "]");
        if (end == text.size || end < 3 || !is_uri_piece(slice_to(slice_from(text, 1), end - 1), ":"))
            return false;
        end++;
    } else {
        end = index_of(text, ":");
        if (!is_uri_piece(slice_to(text, end), ""))
            return false;
    }
    return end == text.size || (text.data[end] == ':' && is_port(slice_from(text, end + 1)));
}

static bool is_authority(struct stele_slice text)
{
    const size_t at = index_of(text, "@");

    if (at == text.size)
        return is_host(text);
    return is_uri_piece(slice_to(text, at), ":") && is_host(slice_from(text, at + 1));
}

/* What stands between scheme and query. */
static bool is_hierarchy(struct stele_slice text)
{
    size_t end = 0;

    if (text.size >= 2 && text.data[0] == '/' && text.data[1] == '/') {
        const struct stele_slice rest = slice_from(text, 2);

        end = index_of(rest, "/");
        if (!is_authority(slice_to(rest, end)))
            return false;
        end += 2;
    }
    return is_uri_piece(slice_from(text, end), ":@/");
}

static bool is_uri_form(struct stele_slice text, bool needs_scheme)
{
    const size_t hash = index_of(text, "#");
    const size_t question = index_of(slice_to(text, hash), "?");
    const size_t stop = index_of(slice_to(text, question), ":/");
    const bool has_scheme = stop < question && text.data[stop] == ':';
    const size_t start = has_scheme ? stop + 1 : 0;

    /* A relative reference has no colon in its first segment, so one there always ends a scheme. */
    if (has_scheme ? !is_scheme(slice_to(text, stop)) : needs_scheme)
        return false;
    if (hash < text.size && !is_uri_piece(slice_from(text, hash + 1), ":@/?"))
        return false;
    if (question < hash && !is_uri_piece(slice_to(slice_from(text, question + 1), hash - question - 1), ":@/?"))
        return false;
    return is_hierarchy(slice_to(slice_from(text, start), question - start));
}

bool stele__is_uri(struct stele_slice text)
{
    return is_uri_form(text, true);
}

bool stele__is_uri_reference(struct stele_slice text)
{
    return is_uri_form(text, false);
}

/* --- Media types, RFC 2045 --------------------------------------------------------- */

/* The length of the token that `text` begins with. */
static size_t token_length(struct stele_slice text)
{
    size_t i = 0;

    while (i < text.size && text.data[i] > ' ' && text.data[i] < 0x7F && !is_one_of(text.data[i], "()<>@,;:\\\"/[]?="))
        i++;
    return i;
}

/* The length of the quoted string that `text` begins with, 0 if it has no end. */
static size_t quoted_length(struct stele_slice text)
{
    for (size_t i = 1; i < text.size; i++) {
        if (text.data[i] == '"')
            return i + 1;
        if (text.data[i] == '\\')
            i++;
    }
    return 0;
}

static size_t blank_length(struct stele_slice text)
{
    size_t i = 0;

    while (i < text.size && text.data[i] == ' ')
        i++;
    return i;
}

/* Take one `name=value` off; false if there is none. */
static bool take_parameter(struct stele_slice *rest)
{
    size_t length = token_length(*rest);

    if (length == 0 || length == rest->size || rest->data[length] != '=')
        return false;
    *rest = slice_from(*rest, length + 1);
    length = rest->size > 0 && rest->data[0] == '"' ? quoted_length(*rest) : token_length(*rest);
    *rest = slice_from(*rest, length);
    return length > 0;
}

bool stele__is_media_type(struct stele_slice text)
{
    size_t length = token_length(text);
    struct stele_slice rest;

    if (length == 0 || length == text.size || text.data[length] != '/')
        return false;
    rest = slice_from(text, length + 1);
    length = token_length(rest);
    if (length == 0)
        return false;
    rest = slice_from(rest, length);
    while (rest.size > 0) {
        rest = slice_from(rest, blank_length(rest));
        if (rest.size == 0 || rest.data[0] != ';')
            return false;
        rest = slice_from(rest, 1);
        rest = slice_from(rest, blank_length(rest));
        if (!take_parameter(&rest))
            return false;
    }
    return true;
}

/* --- Trace context ------------------------------------------------------------------ */

static bool is_lower_hex_run(struct stele_slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (!is_lower_hex(text.data[i]))
            return false;
    }
    return true;
}

static bool is_all_zero(struct stele_slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] != '0')
            return false;
    }
    return true;
}

bool stele__is_traceparent(struct stele_slice text)
{
    enum { VERSION = 0, TRACE = 3, PARENT = 36, FLAGS = 53, END = 55 };
    struct stele_slice trace, parent;

    if (text.size != END || text.data[TRACE - 1] != '-' || text.data[PARENT - 1] != '-' || text.data[FLAGS - 1] != '-')
        return false;
    trace = slice_to(slice_from(text, TRACE), PARENT - TRACE - 1);
    parent = slice_to(slice_from(text, PARENT), FLAGS - PARENT - 1);
    return is_lower_hex_run(slice_to(text, TRACE - 1)) && memcmp(text.data + VERSION, "ff", 2) != 0 &&
           is_lower_hex_run(trace) && !is_all_zero(trace) && is_lower_hex_run(parent) && !is_all_zero(parent) &&
           is_lower_hex_run(slice_from(text, FLAGS));
}
