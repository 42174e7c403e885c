/* Fields at the top of a payload, as text: for conditions and partition keys. Nothing is allocated, nothing can fail: what
 * is not there is absent. */
#include "bus/core.h"

#include "base/text.h"
#include "message/msgpack.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static struct stele_slice printed(const char *scratch)
{
    return stele__slice(scratch);
}

static struct stele_slice as_text(const struct stele__mp_token *token, char scratch[STELE__FIELD_TEXT_SIZE])
{
    switch (token->kind) {
    case STELE__MP_TEXT: return token->as.slice;
    case STELE__MP_BOOL: return stele__slice(token->as.boolean ? "true" : "false");
    case STELE__MP_INT:
        snprintf(scratch, STELE__FIELD_TEXT_SIZE, "%" PRId64, token->as.integer);
        return printed(scratch);
    case STELE__MP_UINT:
        snprintf(scratch, STELE__FIELD_TEXT_SIZE, "%" PRIu64, token->as.unsigned_integer);
        return printed(scratch);
    case STELE__MP_DOUBLE:
        if (token->as.real - token->as.real != 0) /* neither NaN nor infinite */
            return stele__slice(NULL);
        stele__print_double(token->as.real, scratch);
        return printed(scratch);
    default: return stele__slice(NULL);
    }
}

struct stele_slice stele__payload_field(const stele_message *message, const char *field,
                                        char scratch[STELE__FIELD_TEXT_SIZE])
{
    const struct stele_slice name = stele__slice(field);
    struct stele__mp_reader reader = stele__mp_reader(stele_message_payload(message));
    struct stele__mp_token token;
    uint32_t pairs;

    if (stele_message_format(message) != STELE_PAYLOAD_MSGPACK || stele__mp_next(&reader, &token, NULL) != STELE_OK ||
        token.kind != STELE__MP_MAP)
        return stele__slice(NULL);
    for (pairs = token.as.count; pairs > 0; pairs--) {
        if (stele__mp_next(&reader, &token, NULL) != STELE_OK || token.kind != STELE__MP_TEXT)
            return stele__slice(NULL);
        if (stele__slice_equal(token.as.slice, name))
            return stele__mp_next(&reader, &token, NULL) == STELE_OK ? as_text(&token, scratch) : stele__slice(NULL);
        if (stele__mp_skip(&reader, 1, NULL) != STELE_OK)
            return stele__slice(NULL);
    }
    return stele__slice(NULL);
}

bool stele__where_holds(const struct stele_where *where, const stele_message *message)
{
    char scratch[STELE__FIELD_TEXT_SIZE];
    struct stele_slice value;

    if (!where->field)
        return true;
    value = stele__payload_field(message, where->field, scratch);
    return value.data && stele__slice_equal(value, stele__slice(where->equals));
}
