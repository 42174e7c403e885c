/* What the stock observers say of an observation. What can fail: memory for a text that has to be copied. */
#include "bus/describe.h"

#include <string.h>

#include "base/text.h"
#include "bus/spans.h"

const char *stele__seen_name(enum stele_seen seen)
{
    switch (seen) {
    case STELE_SEEN_PUBLISHED: return "published";
    case STELE_SEEN_STARTED: return "started";
    case STELE_SEEN_HANDLED: return "handled";
    case STELE_SEEN_FAILED: return "failed";
    case STELE_SEEN_RETRIED: return "retried";
    case STELE_SEEN_SKIPPED: return "skipped";
    case STELE_SEEN_DROPPED: return "dropped";
    case STELE_SEEN_BURIED: return "buried";
    case STELE_SEEN_UNROUTED: return "unrouted";
    case STELE_SEEN_INTERCEPTOR: return "interceptor";
    case STELE_SEEN_LATE: return "late";
    }
    return "?";
}

bool stele__seen_is_bad(enum stele_seen seen)
{
    return (seen & (STELE_SEEN_FAILED | STELE_SEEN_DROPPED | STELE_SEEN_BURIED | STELE_SEEN_INTERCEPTOR |
                    STELE_SEEN_LATE)) != 0;
}

const char *stele__clean_text(const char *text, stele_arena *arena)
{
    struct stele_slice rest = stele__slice(text);
    char *copy;
    size_t bad;

    if (stele__utf8_valid(rest, &bad))
        return text;
    copy = stele_arena_text(arena, text, rest.size);
    if (!copy)
        return NULL;
    rest.data = copy;
    while (!stele__utf8_valid(rest, &bad)) {
        copy += bad;
        *copy++ = '?';
        rest.data = copy;
        rest.size -= bad + 1;
    }
    return rest.data - (strlen(text) - rest.size);
}

struct stele_slice stele__correlation_of(const stele_message *message)
{
    struct stele_slice found = stele__slice("");

    if (!message)
        return found;
    found = stele_message_correlationid(message);
    return found.data ? found : stele_message_id(message);
}

struct stele_slice stele__chain_of(const stele_message *message)
{
    const struct stele_slice trace =
        message ? stele__traceparent_trace(stele_message_traceparent(message)) : stele__slice(NULL);

    return trace.data ? trace : stele__correlation_of(message);
}
