/*
 * Text as lines, growing in an arena.
 *
 *     expected lines -+
 *                     +-> compare -> lines of two columns -> join -> one text
 *     actual lines  --+
 *
 * What can fail: memory. Then `failed` is set and stays set.
 */
#include "testkit/lines.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { FIRST_LINES = 16, GAP = 3 };

static const char cut[] = "\n(cut)";

static bool make_room(struct lines *lines)
{
    const size_t capacity = lines->capacity ? lines->capacity * 2 : FIRST_LINES;
    const char **items;

    if (lines->count < lines->capacity)
        return true;
    items = stele_arena_alloc(lines->arena, capacity * sizeof(*items));
    if (!items)
        return false;
    if (lines->count)
        memcpy(items, lines->items, lines->count * sizeof(*items));
    lines->items = items;
    lines->capacity = capacity;
    return true;
}

STELE_PRINTF(2, 0) static char *print(stele_arena *arena, const char *format, va_list arguments)
{
    va_list again;
    char *text = NULL;
    int size;

    va_copy(again, arguments);
    size = vsnprintf(NULL, 0, format, arguments);
    if (size >= 0)
        text = stele_arena_alloc(arena, (size_t)size + 1);
    if (text)
        vsnprintf(text, (size_t)size + 1, format, again);
    va_end(again);
    return text;
}

void stele__kit_print(struct lines *lines, const char *format, ...)
{
    va_list arguments;
    char *text;

    va_start(arguments, format);
    text = print(lines->arena, format, arguments);
    va_end(arguments);
    if (text && make_room(lines))
        lines->items[lines->count++] = text;
    else
        lines->failed = true;
}

/* --- Side by side ------------------------------------------------------------------------ */

/* Columns a text takes in a terminal, near enough: its code points. */
static size_t width_of(const char *text)
{
    size_t width = 0;

    for (; *text; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

static size_t widest(const struct lines *lines)
{
    size_t width = 0;

    for (size_t i = 0; i < lines->count; i++) {
        const size_t one = width_of(lines->items[i]);

        width = one > width ? one : width;
    }
    return width;
}

static size_t size_without_comma(const char *text)
{
    const size_t size = strlen(text);

    return size && text[size - 1] == ',' ? size - 1 : size;
}

static bool is_alike(const char *left, const char *right)
{
    const size_t size = size_without_comma(left);

    return size == size_without_comma(right) && memcmp(left, right, size) == 0;
}

static size_t alike_at_start(const struct lines *left, const struct lines *right, size_t shorter)
{
    size_t count = 0;

    while (count < shorter && is_alike(left->items[count], right->items[count]))
        count++;
    return count;
}

static size_t alike_at_end(const struct lines *left, const struct lines *right, size_t most)
{
    size_t count = 0;

    while (count < most && is_alike(left->items[left->count - 1 - count], right->items[right->count - 1 - count]))
        count++;
    return count;
}

/* A row of which either side may be missing (NULL). */
static void add_row(struct lines *out, size_t width, const char *left, const char *right)
{
    const bool differs = !left || !right || !is_alike(left, right);
    const char *shown = left ? left : "";
    const size_t padding = right && *right ? width + GAP - width_of(shown) : 0;

    stele__kit_print(out, "  %s %s%*s%s", differs ? "!" : " ", shown, (int)padding, "", right ? right : "");
}

static bool is_same(const struct pair *pair)
{
    const size_t count = pair->expected.count;

    return count == pair->actual.count && alike_at_start(&pair->expected, &pair->actual, count) == count;
}

static void add_pair(struct lines *out, size_t width, const struct lines *expected, const struct lines *actual)
{
    const size_t left = expected->count;
    const size_t right = actual->count;
    const size_t shorter = left < right ? left : right;
    const size_t longer = left < right ? right : left;
    const size_t end = alike_at_end(expected, actual, shorter - alike_at_start(expected, actual, shorter));

    for (size_t i = 0; i < longer - end; i++)
        add_row(out, width, i < left - end ? expected->items[i] : NULL, i < right - end ? actual->items[i] : NULL);
    for (size_t i = end; i > 0; i--)
        add_row(out, width, expected->items[left - i], actual->items[right - i]);
}

bool stele__kit_compare(const struct pair *pairs, size_t count, struct lines *out)
{
    size_t width = strlen("expected");
    bool same = true;

    for (size_t i = 0; i < count; i++) {
        const size_t wanted = widest(&pairs[i].expected);

        width = wanted > width ? wanted : width;
        same = same && is_same(&pairs[i]);
    }
    if (same)
        return true;
    stele__kit_print(out, "    %-*s%s", (int)(width + GAP), "expected", "actual");
    for (size_t i = 0; i < count; i++)
        add_pair(out, width, &pairs[i].expected, &pairs[i].actual);
    return false;
}

void stele__kit_join(const struct lines *lines, char *text, size_t size)
{
    size_t at = 0;

    text[0] = '\0';
    for (size_t i = 0; i < lines->count; i++) {
        const int wanted = snprintf(text + at, size - at, "%s%s", i ? "\n" : "", lines->items[i]);

        if (wanted < 0 || (size_t)wanted >= size - at) {
            memcpy(text + size - sizeof(cut), cut, sizeof(cut));
            return;
        }
        at += (size_t)wanted;
    }
}
