/*
 * Taking a store's URL apart.
 *
 *     sqlite:dir/my%20ledger.db?sync=normal&busy=100
 *     scheme location           parameters
 *
 * What begins with a known scheme and ':' is a URL; its location, names and
 * values are percent-decoded (RFC 3986). Other text with a ':' before the first
 * '/' is refused, because it is a mistyped scheme more often than a file (and
 * "./" in front makes it a path). All the rest is a path, taken literally: '?'
 * and '%' are part of the file's name.
 *
 * What can fail: the text is malformed (the error names "url"), memory runs out.
 */
#include "store/url.h"

#include "base/error.h"
#include "base/text.h"

#include <string.h>

static stele_status fail(const char *text, const char *why, stele_error **error)
{
    stele__fail(error, STELE_INVALID, "url \"%s\": %s", text, why);
    stele__error_add(error, "argument", "url");
    return STELE_INVALID;
}

/* Decode `size` bytes into the arena; NULL with `*why` if they are malformed, or without if memory is out. */
static char *decode(struct stele_arena *arena, const char *text, size_t size, const char **why)
{
    char *out = stele_arena_text(arena, text, size);
    size_t length = 0;

    if (!out)
        return NULL;
    for (size_t i = 0; i < size; i++) {
        int byte = (unsigned char)text[i];

        if (byte == '%') {
            const int high = size - i > 2 ? stele__hex_digit(text[i + 1]) : -1;
            const int low = size - i > 2 ? stele__hex_digit(text[i + 2]) : -1;

            if (high < 0 || low < 0 || (high == 0 && low == 0)) {
                *why = "'%' must be followed by two hexadecimal digits that are not 00 (a '%' itself is \"%25\")";
                return NULL;
            }
            byte = high * 16 + low;
            i += 2;
        }
        out[length++] = (char)byte;
    }
    out[length] = '\0';
    return out;
}

static const char *parse_parameter(struct stele__url *url, const char *text, size_t size,
                                   struct stele_url_parameter *out)
{
    const char *equals = memchr(text, '=', size);
    const char *why = NULL;
    size_t name_size;

    if (!equals || equals == text)
        return "a parameter is written NAME=VALUE";
    name_size = (size_t)(equals - text);
    out->name = decode(&url->arena, text, name_size, &why);
    if (out->name)
        out->value = decode(&url->arena, equals + 1, size - name_size - 1, &why);
    for (const struct stele_url_parameter *other = url->parameters; other < out && out->name; other++)
        if (strcmp(other->name, out->name) == 0)
            return "a parameter is given twice";
    return why;
}

static size_t count_parameters(const char *query)
{
    size_t count = 1;

    for (const char *at = query; *at; at++)
        count += *at == '&';
    return count;
}

/* `query` is what stands behind the '?'. */
static stele_status parse_parameters(struct stele__url *url, const char *text, const char *query, stele_error **error)
{
    struct stele_url_parameter *parameters;
    const char *at = query;

    if (!*query)
        return STELE_OK;
    parameters = stele__arena_array(&url->arena, count_parameters(query), sizeof(*parameters));
    if (!parameters)
        return stele__fail_memory(error);
    url->parameters = parameters;
    for (;;) {
        struct stele_url_parameter *next = &parameters[url->parameter_count];
        const size_t size = strcspn(at, "&");
        const char *why = parse_parameter(url, at, size, next);

        if (why)
            return fail(text, why, error);
        if (!next->name || !next->value)
            return stele__fail_memory(error);
        url->parameter_count++;
        if (!at[size])
            return STELE_OK;
        at += size + 1;
    }
}

static stele_status parse_url(struct stele__url *url, const char *text, const char *rest, stele_error **error)
{
    const size_t size = strcspn(rest, "?");
    const char *why = NULL;

    url->location = decode(&url->arena, rest, size, &why);
    if (why)
        return fail(text, why, error);
    if (!url->location)
        return stele__fail_memory(error);
    if (url->backend->has_location && size == 0)
        return fail(text, "there is no path behind the scheme", error);
    if (!url->backend->has_location && size != 0)
        return fail(text, "this scheme takes no path", error);
    return rest[size] ? parse_parameters(url, text, rest + size + 1, error) : STELE_OK;
}

static stele_status parse_path(struct stele__url *url, const char *text, stele_error **error)
{
    url->backend = stele__backend_of_paths();
    url->location = stele_arena_text(&url->arena, text, strlen(text));
    return url->location ? STELE_OK : stele__fail_memory(error);
}

static stele_status fail_scheme(const char *text, size_t size, stele_error **error)
{
    stele__fail(
        error, STELE_INVALID,
        "url \"%s\": there is no scheme \"%.*s\" (sqlite: and memory: are known); a file of that name is \"./%s\"",
        text, (int)size, text, text);
    stele__error_add(error, "argument", "url");
    return STELE_INVALID;
}

stele_status stele__url_parse(const char *text, struct stele__url *out, stele_error **error)
{
    const size_t word = strcspn(text, ":/");
    struct stele__url url = {0};
    stele_status status;

    if (!*text)
        return fail(text, "is empty", error);
    stele__arena_init(&url.arena);
    if (text[word] == ':') {
        const struct stele_slice scheme = {text, word};

        url.backend = stele__backend_find(scheme);
        if (!url.backend)
            return fail_scheme(text, word, error);
        status = parse_url(&url, text, text + word + 1, error);
    } else {
        status = parse_path(&url, text, error);
    }
    if (status == STELE_OK)
        *out = url;
    else
        stele__url_fini(&url);
    return status;
}

void stele__url_fini(struct stele__url *url)
{
    stele__arena_fini(&url->arena);
}
