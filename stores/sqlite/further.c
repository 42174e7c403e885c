/*
 * Tables that are not the store's own, but may be in its file: those of views.
 *
 *     row of sqlite_schema -> whose name is it -> its text, token by token -> ordinary, or why not
 *
 * SQL in the schema runs in the process of whoever opens the file. So a further
 * table must be a plain one: what is compared word for word with the store's own
 * tables is looked through here for anything that computes, but comparisons in a CHECK.
 */
#include "sqlite/sqlite.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum token_kind { TOKEN_END, TOKEN_WORD, TOKEN_QUOTED, TOKEN_OTHER };

struct token {
    enum token_kind kind;
    struct stele_slice text;
};

/* --- Tokens ------------------------------------------------------------------------------- */

static const char *skip_blank(const char *at)
{
    for (;;) {
        const char *end = NULL;

        if (isspace((unsigned char)*at)) {
            at++;
        } else if (strncmp(at, "--", 2) == 0) {
            at += strcspn(at, "\n");
        } else if (strncmp(at, "/*", 2) == 0) {
            end = strstr(at + 2, "*/");
            at = end ? end + 2 : at + strlen(at);
        } else {
            return at;
        }
    }
}

/* The end of a quoted text, in which a doubled quote stands for itself. */
static const char *skip_quoted(const char *at)
{
    const char quote = *at == '[' ? ']' : *at;

    for (at++; *at; at++) {
        if (*at != quote)
            continue;
        if (quote == ']' || at[1] != quote)
            return at + 1;
        at++;
    }
    return at;
}

static bool is_of_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '$' || (unsigned char)c >= 0x80;
}

static struct token next_token(const char **rest)
{
    const char *start = skip_blank(*rest);
    const char *end = start;
    enum token_kind kind = TOKEN_OTHER;

    if (!*start) {
        kind = TOKEN_END;
    } else if (strchr("'\"`[", *start)) {
        kind = TOKEN_QUOTED;
        end = skip_quoted(start);
    } else if (is_of_word(*start)) {
        kind = TOKEN_WORD;
        while (is_of_word(*end))
            end++;
    } else {
        end++;
    }
    *rest = end;
    return (struct token){kind, {start, (size_t)(end - start)}};
}

static bool is_word(const struct token *token, const char *word)
{
    return token->kind == TOKEN_WORD && token->text.size == strlen(word) &&
           strncasecmp(token->text.data, word, token->text.size) == 0;
}

static bool is_sign(const struct token *token, char sign)
{
    return token->kind == TOKEN_OTHER && *token->text.data == sign;
}

/* --- Texts ---------------------------------------------------------------------------------- */

/* Does a bracket behind this token make it the call of a function? Not behind what may stand before a bracket anyway. */
static bool is_called(const struct token *token)
{
    static const char *const words[] = {"and",  "or",   "not",  "in",   "is",   "between", "like",  "glob",
                                        "case", "when", "then", "else", "null", "escape",  "check", "default"};

    if (token->kind == TOKEN_QUOTED)
        return true;
    if (token->kind != TOKEN_WORD)
        return false;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (is_word(token, words[i]))
            return false;
    return true;
}

/* What the text makes: forged, the row that it is in may say something else. */
static bool makes(const char *sql, const char *kind)
{
    struct token token = next_token(&sql);

    if (!is_word(&token, "create"))
        return false;
    token = next_token(&sql);
    if (is_word(&token, "unique"))
        token = next_token(&sql);
    return is_word(&token, kind);
}

/* Expressions are in brackets within those of the columns; generated columns and CAST have an AS. */
static const char *fault_of_table(const char *sql)
{
    struct token before = {TOKEN_OTHER, {"", 0}};
    struct token token;
    size_t depth = 0;

    while ((token = next_token(&sql)).kind != TOKEN_END) {
        if (is_word(&token, "as"))
            return "computes a column";
        if (is_sign(&token, '(') && depth++ >= 2 && is_called(&before))
            return "calls a function";
        if (is_sign(&token, ')') && depth > 0)
            depth--;
        before = token;
    }
    return NULL;
}

/* One pair of brackets: that of the columns. */
static const char *fault_of_index(const char *sql)
{
    struct token token;
    size_t brackets = 0;

    while ((token = next_token(&sql)).kind != TOKEN_END)
        if (is_sign(&token, '(') && ++brackets > 1)
            return "is of expressions";
    return NULL;
}

/* --- Objects --------------------------------------------------------------------------------- */

static bool begins_with(const char *name, const char *prefix)
{
    return strncasecmp(name, prefix, strlen(prefix)) == 0;
}

static bool is_reserved(const char *name)
{
    return begins_with(name, "sqlite_") || (begins_with(name, "stele_") && strcmp(name, "stele_projection") != 0);
}

bool stele__sqlite_is_own_name(const char *name)
{
    /* The last one is made by questions in SQL, beside the tables. */
    static const char *const names[] = {"stream", "type", "event", "command", "snapshot", "checkpoint", "events"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcasecmp(name, names[i]) == 0)
            return true;
    return is_reserved(name);
}

const char *stele__sqlite_further_fault(const struct sqlite_object *object, int64_t root)
{
    const bool is_index = strcmp(object->type, "index") == 0;

    if (stele__sqlite_is_own_name(object->name) || stele__sqlite_is_own_name(object->table))
        return "has a name of the store's own";
    if (!is_index && strcmp(object->type, "table") != 0)
        return "is no table";
    if (root <= 0 || !makes(object->sql, object->type))
        return "is no ordinary table";
    return is_index ? fault_of_index(object->sql) : fault_of_table(object->sql);
}
