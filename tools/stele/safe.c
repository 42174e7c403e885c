/*
 * Harmless text: step through the UTF-8, character by character; measure, then
 * write with the same steps. Nothing can fail; a malformed byte is shown as such.
 */
#include "safe.h"

#include <stdio.h>
#include <string.h>
#include <wchar.h>

static const char ellipsis[] = "\xe2\x80\xa6";

/* One character as it is shown. */
struct piece {
    size_t taken; /* bytes of the input */
    size_t size;  /* bytes of the output */
    size_t columns;
    const char *raw; /* the input itself, or NULL: see `escape` */
    char escape[12];
};

/* The length a UTF-8 sequence announces by its first byte; 0 for a byte that cannot be first. */
static size_t sequence_length(unsigned char first)
{
    if (first < 0x80)
        return 1;
    if (first >= 0xc2 && first <= 0xdf)
        return 2;
    if (first >= 0xe0 && first <= 0xef)
        return 3;
    return first >= 0xf0 && first <= 0xf4 ? 4 : 0;
}

/* The code point at the start of `text`, and its length; a length of 0 for malformed bytes. */
static uint32_t decode(struct stele_slice text, size_t *length)
{
    static const unsigned char first_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    const size_t announced = sequence_length((unsigned char)text.data[0]);
    *length = 0;
    if (announced == 0 || announced > text.size)
        return 0;
    uint32_t point = (unsigned char)text.data[0] & first_bits[announced];
    for (size_t i = 1; i < announced; i++) {
        const unsigned char byte = (unsigned char)text.data[i];
        if ((byte & 0xc0) != 0x80)
            return 0;
        point = point << 6 | (byte & 0x3fu);
    }
    if (point < smallest[announced] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
        return 0;
    *length = announced;
    return point;
}

static bool is_harmful(uint32_t point)
{
    return point < 0x20 || (point >= 0x7f && point <= 0x9f) || point == 0x061c || point == 0x200e || point == 0x200f ||
           (point >= 0x2028 && point <= 0x202e) || (point >= 0x2066 && point <= 0x2069);
}

static struct piece next_piece(struct stele_slice text)
{
    struct piece piece = {.raw = text.data, .columns = 1};
    size_t length = 0;
    const uint32_t point = decode(text, &length);
    piece.taken = piece.size = length != 0 ? length : 1;
    if (length == 0) {
        piece.raw = NULL;
        piece.size = piece.columns =
            (size_t)snprintf(piece.escape, sizeof(piece.escape), "\\x%02x", (unsigned char)text.data[0]);
    } else if (is_harmful(point)) {
        piece.raw = NULL;
        piece.size = piece.columns = (size_t)snprintf(piece.escape, sizeof(piece.escape), "\\u%04x", (unsigned)point);
    } else if (point >= 0x80) {
        const int columns = wcwidth((wchar_t)point);
        piece.columns = columns < 0 ? 1 : (size_t)columns;
    }
    return piece;
}

static void add_piece(struct safe_extent *extent, const struct piece *piece)
{
    extent->taken += piece->taken;
    extent->size += piece->size;
    extent->columns += piece->columns;
}

struct safe_extent safe_measure(struct stele_slice text, size_t columns)
{
    struct safe_extent whole = {0};
    struct safe_extent shortened = {0}; /* leaves one column for the ellipsis */
    while (whole.taken < text.size) {
        const struct stele_slice rest = {text.data + whole.taken, text.size - whole.taken};
        const struct piece piece = next_piece(rest);
        if (piece.columns > columns - whole.columns) {
            shortened.size += sizeof(ellipsis) - 1;
            shortened.columns++;
            shortened.cut = true;
            return shortened;
        }
        add_piece(&whole, &piece);
        if (whole.columns < columns)
            shortened = whole;
    }
    return whole;
}

void safe_write(struct stele_slice text, const struct safe_extent *extent, char *out)
{
    for (size_t taken = 0; taken < extent->taken;) {
        const struct stele_slice rest = {text.data + taken, text.size - taken};
        const struct piece piece = next_piece(rest);
        memcpy(out, piece.raw != NULL ? piece.raw : piece.escape, piece.size);
        out += piece.size;
        taken += piece.taken;
    }
    if (extent->cut)
        memcpy(out, ellipsis, sizeof(ellipsis) - 1);
}
