/* Places in the text of SQL: enough to skip and to find, not to understand. */
#include "projections/sql_text.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

/* Behind the comment that begins at `at`; `at` itself if none does. */
static const char *skip_comment(const char *at, const char *end)
{
    const char *close;

    if (end - at < 2)
        return at;
    if (at[0] == '-' && at[1] == '-') {
        close = memchr(at, '\n', (size_t)(end - at));
        return close ? close + 1 : end;
    }
    if (at[0] != '/' || at[1] != '*')
        return at;
    for (at += 2; end - at >= 2; at++)
        if (at[0] == '*' && at[1] == '/')
            return at + 2;
    return end;
}

const char *stele__sql_skip(const char *at, const char *end)
{
    const char *before = NULL;

    while (at < end && at != before) {
        before = at;
        while (at < end && (isspace((unsigned char)*at) || *at == ';'))
            at++;
        at = skip_comment(at, end);
    }
    return at;
}

static bool is_word_byte(char byte)
{
    return isalnum((unsigned char)byte) || byte == '_' || (unsigned char)byte >= 0x80;
}

const char *stele__sql_find(const char *from, const char *end, const char *word)
{
    const size_t size = strlen(word);
    const char *at = from;

    while (at < end && size) {
        const char *behind = skip_comment(at, end);

        if (behind == at && *at == '\'') {
            behind = memchr(at + 1, '\'', (size_t)(end - at - 1));
            behind = behind ? behind + 1 : end;
        }
        if (behind != at) {
            at = behind;
            continue;
        }
        if ((size_t)(end - at) >= size && strncasecmp(at, word, size) == 0 &&
            (at == from || !is_word_byte(*word) || !is_word_byte(at[-1])) &&
            ((size_t)(end - at) == size || !is_word_byte(word[size - 1]) || !is_word_byte(at[size])))
            return at;
        at++;
    }
    return NULL;
}
