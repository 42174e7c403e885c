/*
 * Spans: one for each attempt of a handler, made when it ends, of what was
 * observed alone; nothing is kept in between.
 *
 *     message ──► trace id, parent (of a call here: its number's; else what its traceparent says)
 *     end of the call ──► span id (of its number), end, and start: the end less the duration
 *
 * What can fail: adding the observer, for memory.
 */
#include "bus/spans.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/text.h"
#include "bus/describe.h"
#include "message/syntax.h"

/* Where the parts of a traceparent are. */
enum { TRACE_AT = 3, PARENT_AT = 36, FLAGS_AT = 53 };

static struct stele_slice part(struct stele_slice traceparent, size_t at, size_t size)
{
    struct stele_slice found = {NULL, 0};

    if (traceparent.data && stele__is_traceparent(traceparent)) {
        found.data = traceparent.data + at;
        found.size = size;
    }
    return found;
}

struct stele_slice stele__traceparent_trace(struct stele_slice traceparent)
{
    return part(traceparent, TRACE_AT, STELE__TRACE_SIZE - 1);
}

struct stele_slice stele__traceparent_parent(struct stele_slice traceparent)
{
    return part(traceparent, PARENT_AT, STELE__SPAN_SIZE - 1);
}

static void print_slice(struct stele_slice text, char *out)
{
    if (text.size)
        memcpy(out, text.data, text.size);
    out[text.size] = '\0';
}

/* 16 bytes for a text: those of the UUID it is, or a hash of it; never all zero, which is no trace. */
static struct stele_uuid trace_bytes(struct stele_slice text)
{
    static const struct stele_uuid none = {{0}};
    struct stele_uuid uuid;

    if (stele_uuid_parse(text, &uuid, NULL) == STELE_OK && stele_uuid_compare(&uuid, &none) != 0)
        return uuid;
    return stele_uuid_derive(&none, text);
}

void stele__trace_id(const stele_message *message, char text[STELE__TRACE_SIZE])
{
    const struct stele_slice trace = stele__traceparent_trace(stele_message_traceparent(message));
    struct stele_uuid uuid;

    if (trace.data) {
        print_slice(trace, text);
        return;
    }
    uuid = trace_bytes(stele__correlation_of(message));
    for (size_t i = 0; i < sizeof(uuid.bytes); i++)
        snprintf(text + 2 * i, 3, "%02x", uuid.bytes[i]);
}

void stele__span_id(uint64_t salt, uint64_t call, char text[STELE__SPAN_SIZE])
{
    uint64_t state = salt + call * UINT64_C(0x9E3779B97F4A7C15);
    const uint64_t id = stele__random_next(&state);

    snprintf(text, STELE__SPAN_SIZE, "%016" PRIx64, id ? id : 1); /* all zero is no span */
}

bool stele__span_traceparent(const struct stele__observers *observers, const stele_message *cause, uint64_t call,
                             char text[STELE__TRACEPARENT_SIZE])
{
    const uint64_t salt = stele__observers_salt(observers);
    struct stele_slice flags;
    char trace[STELE__TRACE_SIZE], span[STELE__SPAN_SIZE];

    if (salt == 0 || call == 0 || !cause)
        return false;
    flags = part(stele_message_traceparent(cause), FLAGS_AT, 2);
    stele__trace_id(cause, trace);
    stele__span_id(salt, call, span);
    snprintf(text, STELE__TRACEPARENT_SIZE, "00-%s-%s-%.*s", trace, span, 2, flags.data ? flags.data : "01");
    return true;
}

/* --- The observer ------------------------------------------------------------------ */

struct spans {
    struct stele__observers *observers;
    stele_span_end *end;
    void *context;
    uint64_t salt;
    struct stele__buffer name; /* of the span that is being told */
};

static void set_parent(const struct spans *spans, const struct stele_observation *seen, struct stele_span *span)
{
    if (seen->parent_call)
        stele__span_id(spans->salt, seen->parent_call, span->parent_id);
    else
        print_slice(stele__traceparent_parent(stele_message_traceparent(seen->message)), span->parent_id);
}

static void see_end(void *context, const struct stele_observation *seen)
{
    struct spans *spans = context;
    struct stele_span span = {.start = seen->time - seen->duration_ns,
                              .end = seen->time,
                              .status = seen->status,
                              .text = seen->text,
                              .attempt = seen->attempt};

    if (!seen->message || seen->call == 0)
        return;
    stele__trace_id(seen->message, span.trace_id);
    stele__span_id(spans->salt, seen->call, span.span_id);
    set_parent(spans, seen, &span);
    stele__buffer_reset(&spans->name);
    stele__buffer_print(&spans->name, "%s %s", seen->route, seen->observed);
    stele__buffer_add_byte(&spans->name, '\0');
    span.name = spans->name.failed ? seen->route : spans->name.data;
    spans->end(spans->context, &span);
}

static void free_spans(void *context)
{
    struct spans *spans = context;

    stele__observers_set_salt(spans->observers, 0);
    stele__buffer_fini(&spans->name);
    stele__free(spans, sizeof(*spans));
}

stele_status stele__spans_new(struct stele__observers *observers, stele_span_end *end, void *context,
                              stele_error **error)
{
    static const struct stele_observer observer = {.name = "spans",
                                                   .kinds = STELE_SEEN_HANDLED | STELE_SEEN_FAILED | STELE_SEEN_RETRIED,
                                                   .see = see_end,
                                                   .free = free_spans};
    struct spans *spans = stele__alloc(sizeof(*spans));
    stele_status status;

    if (!spans)
        return stele__fail_memory(error);
    stele__buffer_init(&spans->name);
    spans->observers = observers;
    spans->end = end;
    spans->context = context;
    spans->salt = stele_runtime_random(stele__observers_runtime(observers)) | 1;
    status = stele__observers_add(observers, &observer, spans, error);
    if (status == STELE_OK)
        stele__observers_set_salt(observers, spans->salt);
    else
        stele__free(spans, sizeof(*spans));
    return status;
}
