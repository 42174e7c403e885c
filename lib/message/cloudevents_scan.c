/*
 * The walk over a CloudEvent's JSON object (RFC 8259).
 *
 *     { "name" : value , "name" : value }
 *       ^ at                            ^ ... behind the closing brace at the end
 *
 * Names and scalars are read to the letter of the grammar. Of an object or a
 * list only the end is looked for, by counting brackets outside of texts: as
 * `data` it goes to the parser, as anything else it is refused. What can fail:
 * the text is not JSON (STELE_MALFORMED with its offset), memory.
 */
#include "message/cloudevents.h"

#include <string.h>

#include "base/error.h"
#include "message/json.h"

void stele__envelope_blank(struct stele__envelope *envelope)
{
    while (envelope->at < envelope->end &&
           (*envelope->at == ' ' || *envelope->at == '\n' || *envelope->at == '\r' || *envelope->at == '\t'))
        envelope->at++;
}

bool stele__envelope_take(struct stele__envelope *envelope, char wanted)
{
    stele__envelope_blank(envelope);
    if (envelope->at == envelope->end || *envelope->at != wanted)
        return false;
    envelope->at++;
    return true;
}

stele_status stele__envelope_fail(const struct stele__envelope *envelope, const char *why, stele_error **error)
{
    const size_t offset = (size_t)(envelope->at - envelope->start);

    stele__fail(error, STELE_MALFORMED, "JSON, byte %zu: %s", offset,
                envelope->at == envelope->end ? "it ends here" : why);
    stele__error_add(error, "offset", "%zu", offset);
    return STELE_MALFORMED;
}

/* Pass over a text whose opening quote was taken. */
static stele_status pass_text(struct stele__envelope *envelope, bool *escaped, stele_error **error)
{
    while (envelope->at < envelope->end && *envelope->at != '"') {
        if ((unsigned char)*envelope->at < 0x20)
            return stele__envelope_fail(envelope, "a control character in a text", error);
        if (*envelope->at == '\\') {
            *escaped = true;
            if (++envelope->at == envelope->end)
                break;
        }
        envelope->at++;
    }
    if (envelope->at == envelope->end)
        return stele__envelope_fail(envelope, "", error);
    envelope->at++;
    return STELE_OK;
}

static void pass_digits(struct stele__envelope *envelope)
{
    while (envelope->at < envelope->end && *envelope->at >= '0' && *envelope->at <= '9')
        envelope->at++;
}

static stele_status pass_number(struct stele__envelope *envelope, struct stele__member *member, stele_error **error)
{
    const char *digits = envelope->at + (*envelope->at == '-');

    envelope->at = digits;
    pass_digits(envelope);
    if (envelope->at == digits || (*digits == '0' && envelope->at > digits + 1))
        return stele__envelope_fail(envelope, "not a number", error);
    member->kind = STELE__MEMBER_INTEGER;
    while (envelope->at < envelope->end && *envelope->at && strchr(".eE+-0123456789", *envelope->at)) {
        member->kind = STELE__MEMBER_REAL;
        envelope->at++;
    }
    return STELE_OK;
}

static stele_status pass_word(struct stele__envelope *envelope, const char *word, stele_error **error)
{
    const size_t size = strlen(word);

    if ((size_t)(envelope->end - envelope->at) < size || memcmp(envelope->at, word, size) != 0)
        return stele__envelope_fail(envelope, "not a value", error);
    envelope->at += size;
    return STELE_OK;
}

static stele_status pass_nested(struct stele__envelope *envelope, stele_error **error)
{
    size_t depth = 0;
    bool escaped;

    while (envelope->at < envelope->end) {
        const char c = *envelope->at++;

        if (c == '"') {
            const stele_status status = pass_text(envelope, &escaped, error);

            if (status)
                return status;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if ((c == '}' || c == ']') && --depth == 0) {
            return STELE_OK;
        }
    }
    return stele__envelope_fail(envelope, "", error);
}

static stele_status pass_value(struct stele__envelope *envelope, struct stele__member *member, stele_error **error)
{
    switch (envelope->at < envelope->end ? *envelope->at : '\0') {
    case '"':
        envelope->at++;
        member->kind = STELE__MEMBER_TEXT;
        return pass_text(envelope, &member->escaped, error);
    case '{':
    case '[': member->kind = STELE__MEMBER_NESTED; return pass_nested(envelope, error);
    case 't': member->kind = STELE__MEMBER_BOOLEAN; return pass_word(envelope, "true", error);
    case 'f': member->kind = STELE__MEMBER_BOOLEAN; return pass_word(envelope, "false", error);
    case 'n': member->kind = STELE__MEMBER_NULL; return pass_word(envelope, "null", error);
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9': return pass_number(envelope, member, error);
    default: return stele__envelope_fail(envelope, "not a value", error);
    }
}

/* Read a value, blanks in front included, into the member's kind, raw and escaped. */
static stele_status read_value(struct stele__envelope *envelope, struct stele__member *member, stele_error **error)
{
    const char *start;
    stele_status status;

    stele__envelope_blank(envelope);
    start = envelope->at;
    member->escaped = false;
    status = pass_value(envelope, member, error);
    member->raw.data = start;
    member->raw.size = (size_t)(envelope->at - start);
    return status;
}

stele_status stele__envelope_next(struct stele__envelope *envelope, bool first, struct stele__member *member,
                                  bool *there, stele_error **error)
{
    stele_status status;

    *there = !stele__envelope_take(envelope, '}');
    if (!*there)
        return STELE_OK;
    if (!first && !stele__envelope_take(envelope, ','))
        return stele__envelope_fail(envelope, "neither ',' nor '}' behind a member", error);
    stele__envelope_blank(envelope);
    if (envelope->at == envelope->end || *envelope->at != '"')
        return stele__envelope_fail(envelope, "not the name of a member", error);
    status = read_value(envelope, member, error);
    if (!status)
        status = stele__envelope_text(envelope, member, &member->name, error);
    if (!status && !stele__envelope_take(envelope, ':'))
        return stele__envelope_fail(envelope, "no ':' behind the name of a member", error);
    return status ? status : read_value(envelope, member, error);
}

/* Texts with escapes are rare enough to be left to the parser. */
static stele_status unescape(const struct stele__envelope *envelope, const struct stele__member *member,
                             struct stele_slice *text, stele_error **error)
{
    const struct stele__envelope place = {envelope->start, member->raw.data, envelope->end, NULL};
    struct stele__json json;
    const stele_status status = stele__json_parse(member->raw, &json, NULL);

    if (status)
        return status == STELE_NO_MEMORY ? stele__fail_memory(error)
                                         : stele__envelope_fail(&place, "a text with a malformed escape", error);
    text->size = json_string_length(json.root);
    text->data = stele_arena_text(envelope->scratch, json_string_value(json.root), text->size);
    stele__json_fini(&json);
    return text->data ? STELE_OK : stele__fail_memory(error);
}

stele_status stele__envelope_text(const struct stele__envelope *envelope, const struct stele__member *member,
                                  struct stele_slice *text, stele_error **error)
{
    if (member->escaped)
        return unescape(envelope, member, text, error);
    text->data = member->raw.data + 1;
    text->size = member->raw.size - 2;
    return STELE_OK;
}
