/*
 * Patterns over dotted names: levels between dots, '*' for any one level, '>'
 * at the end for one level or more.
 */
#include "base/text.h"

#include "base/error.h"

/* Cut the first level off `rest`; false when there is none left. An absent rest means that no level is left. */
static bool next_level(struct stele_slice *rest, struct stele_slice *level)
{
    const char *dot;

    if (!rest->data)
        return false;
    dot = rest->size ? memchr(rest->data, '.', rest->size) : NULL;
    *level = *rest;
    if (!dot) {
        *rest = (struct stele_slice){NULL, 0};
        return true;
    }
    level->size = (size_t)(dot - rest->data);
    rest->data = dot + 1;
    rest->size -= level->size + 1;
    return true;
}

static bool is_character(struct stele_slice level, char character)
{
    return level.size == 1 && level.data[0] == character;
}

bool stele__pattern_match(struct stele_slice pattern, struct stele_slice name)
{
    struct stele_slice wanted;
    struct stele_slice level;

    while (next_level(&pattern, &wanted)) {
        if (!next_level(&name, &level))
            return false;
        if (is_character(wanted, '>'))
            return true;
        if (!is_character(wanted, '*') && !stele__slice_equal(wanted, level))
            return false;
    }
    return !name.data;
}

static stele_status fail_pattern(size_t offset, const char *fault, stele_error **error)
{
    stele__fail(error, STELE_INVALID, "pattern: %s at offset %zu", fault, offset);
    stele__error_add(error, "field", "pattern");
    stele__error_add(error, "offset", "%zu", offset);
    return STELE_INVALID;
}

/* The offset of the first wildcard character in a level, its size if there is none. */
static size_t find_wildcard(struct stele_slice level)
{
    size_t offset = 0;

    while (offset < level.size && level.data[offset] != '*' && level.data[offset] != '>')
        offset++;
    return offset;
}

stele_status stele__pattern_check(struct stele_slice pattern, stele_error **error)
{
    struct stele_slice rest = pattern;
    struct stele_slice level;

    if (pattern.size == 0)
        return fail_pattern(0, "it is empty", error);
    while (next_level(&rest, &level)) {
        const size_t offset = (size_t)(level.data - pattern.data);
        const size_t wildcard = find_wildcard(level);

        if (level.size == 0)
            return fail_pattern(offset, "empty level", error);
        if (is_character(level, '>') && rest.data)
            return fail_pattern(offset, "'>' before the end", error);
        if (wildcard < level.size && level.size > 1)
            return fail_pattern(offset + wildcard, "wildcard inside a level", error);
    }
    return STELE_OK;
}
