/*
 * UTF-8 of RFC 3629: checking, counting, and the names built on it.
 *
 * Runs of ASCII are taken eight bytes at a time; other characters are decoded
 * against the table of well-formed sequences (Unicode, table 3-7), so overlong
 * forms, surrogates and what lies beyond U+10FFFF fail at their first byte.
 */
#include "base/text.h"

#include "base/error.h"

/* How many bytes of ASCII lie at the start, rounded down to a multiple of eight. */
static size_t ascii_run(const char *text, size_t size)
{
    size_t run = 0;
    uint64_t word;

    while (size - run >= sizeof(word)) {
        memcpy(&word, text + run, sizeof(word));
        if (word & UINT64_C(0x8080808080808080))
            break;
        run += sizeof(word);
    }
    return run;
}

static bool in_range(uint8_t byte, uint8_t least, uint8_t most)
{
    return byte >= least && byte <= most;
}

/* The bytes of the well-formed character at the start of a non-empty text; 0 if there is none. */
static size_t character_size(const char *text, size_t size)
{
    uint8_t bytes[4] = {0};

    memcpy(bytes, text, size < sizeof(bytes) ? size : sizeof(bytes));
    if (bytes[0] < 0x80)
        return 1;
    if (in_range(bytes[0], 0xC2, 0xDF))
        return in_range(bytes[1], 0x80, 0xBF) ? 2 : 0;
    if (in_range(bytes[0], 0xE0, 0xEF)) {
        const uint8_t least = bytes[0] == 0xE0 ? 0xA0 : 0x80;
        const uint8_t most = bytes[0] == 0xED ? 0x9F : 0xBF;

        return in_range(bytes[1], least, most) && in_range(bytes[2], 0x80, 0xBF) ? 3 : 0;
    }
    if (in_range(bytes[0], 0xF0, 0xF4)) {
        const uint8_t least = bytes[0] == 0xF0 ? 0x90 : 0x80;
        const uint8_t most = bytes[0] == 0xF4 ? 0x8F : 0xBF;

        return in_range(bytes[1], least, most) && in_range(bytes[2], 0x80, 0xBF) && in_range(bytes[3], 0x80, 0xBF) ? 4
                                                                                                                   : 0;
    }
    return 0;
}

bool stele__utf8_valid(struct stele_slice text, size_t *offset)
{
    size_t place = 0;

    while (place < text.size) {
        size_t size = ascii_run(text.data + place, text.size - place);

        if (size == 0)
            size = character_size(text.data + place, text.size - place);
        if (size == 0) {
            *offset = place;
            return false;
        }
        place += size;
    }
    return true;
}

void stele__utf8_fit(char *out, size_t size, const char *text)
{
    const size_t whole = strnlen(text, size);
    size_t length = whole < size ? whole : size - 1;
    size_t place = 0;
    size_t offset = 0;

    /* A character has three bytes behind its first at most. */
    for (int i = 0; i < 3 && length > 0 && length < whole && ((uint8_t)text[length] & 0xC0) == 0x80; i++)
        length--;
    memmove(out, text, length);
    out[length] = '\0';
    while (!stele__utf8_valid((struct stele_slice){out + place, length - place}, &offset)) {
        place += offset;
        out[place++] = '?';
    }
}

size_t stele__utf8_length(struct stele_slice text)
{
    size_t length = 0;

    for (size_t i = 0; i < text.size; i++)
        length += ((uint8_t)text.data[i] & 0xC0) != 0x80;
    return length;
}

/* The bytes of the character of property White_Space at the start of valid text; 0 if it is another one. */
static size_t white_space_size(const char *text, size_t size)
{
    static const char *const wide[] = {
        "\xC2\x85",     "\xC2\xA0",     "\xE1\x9A\x80", "\xE2\x80\x80", "\xE2\x80\x81", "\xE2\x80\x82", "\xE2\x80\x83",
        "\xE2\x80\x84", "\xE2\x80\x85", "\xE2\x80\x86", "\xE2\x80\x87", "\xE2\x80\x88", "\xE2\x80\x89", "\xE2\x80\x8A",
        "\xE2\x80\xA8", "\xE2\x80\xA9", "\xE2\x80\xAF", "\xE2\x81\x9F", "\xE3\x80\x80",
    };

    if (*text == ' ' || in_range((uint8_t)*text, 0x09, 0x0D))
        return 1;
    for (size_t i = 0; i < sizeof(wide) / sizeof(wide[0]); i++) {
        const size_t wide_size = strlen(wide[i]);

        if (size >= wide_size && memcmp(text, wide[i], wide_size) == 0)
            return wide_size;
    }
    return 0;
}

bool stele__utf8_blank(struct stele_slice text)
{
    size_t place = 0;

    while (place < text.size) {
        const size_t size = white_space_size(text.data + place, text.size - place);

        if (size == 0)
            return false;
        place += size;
    }
    return true;
}

/* The offset of the first control character of valid text; its size if there is none. */
static size_t find_control(struct stele_slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        const uint8_t byte = (uint8_t)text.data[i];

        if (byte < 0x20 || byte == 0x7F)
            return i;
        if (byte == 0xC2 && in_range((uint8_t)text.data[i + 1], 0x80, 0x9F))
            return i;
    }
    return text.size;
}

static stele_status fail_name(const char *what, size_t offset, const char *fault, stele_error **error)
{
    stele__fail(error, STELE_INVALID, "%s: %s at offset %zu", what, fault, offset);
    stele__error_add(error, "field", "%s", what);
    stele__error_add(error, "offset", "%zu", offset);
    return STELE_INVALID;
}

stele_status stele__name_check(struct stele_slice name, const char *what, size_t limit, stele_error **error)
{
    size_t offset = 0;

    if (name.size == 0) {
        stele__fail(error, STELE_INVALID, "%s: must not be empty", what);
        stele__error_add(error, "field", "%s", what);
        return STELE_INVALID;
    }
    if (name.size > limit)
        return stele__fail_limit(error, what, name.size, limit, "bytes");
    if (!stele__utf8_valid(name, &offset))
        return fail_name(what, offset, "invalid UTF-8", error);
    offset = find_control(name);
    if (offset < name.size)
        return fail_name(what, offset, "control character", error);
    return STELE_OK;
}
