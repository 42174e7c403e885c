/*
 * stele append: JSON in, one event or one atomic batch appended.
 *
 * The text comes from the line or from standard input; each value becomes one
 * event. Fails on text that is not JSON, on a conflict (exit status 4), and on
 * what the store refuses; then nothing is stored.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "input.h"
#include "output.h"
#include "tool.h"

static const char name[] = "append";

/* JSON takes more room than what is stored of it. */
enum { BATCH_TEXT_MAX = 2 * STELE_BATCH_BYTES_MAX };

enum { KEY_ID = ARGS_FIRST_OWN, KEY_SOURCE, KEY_SUBJECT, KEY_TIME, KEY_CORRELATION, KEY_CAUSATION };

struct append {
    const char *db;
    const char *stream;
    const char *text; /* DATA; NULL for standard input */
    const char *type;
    struct stele_expected expected;
    struct stele_message_options attributes;
    bool batch;
};

/* The events of one append, in their order. */
struct collected {
    stele_message **events;
    size_t count;
};

static struct stele_expected parse_expected(const struct argp_state *state, const char *text)
{
    uint64_t version = 0;
    if (strcmp(text, "any") == 0)
        return stele_expect_any();
    if (strcmp(text, "none") == 0)
        return stele_expect_no_stream();
    if (strcmp(text, "exists") == 0)
        return stele_expect_exists();
    if (!args_is_number(text, STELE_VERSION_MAX, &version))
        args_refuse(state, "--expect: '%s' is not any, none, exists or a version from 0 to %" PRId64, text,
                    STELE_VERSION_MAX);
    return stele_expect_version(version);
}

static void check(const struct argp_state *state, const struct append *append)
{
    args_require(state, 2, "DB STREAM");
    if (append->type == NULL)
        args_refuse(state, "--type is missing");
    if (append->batch && append->attributes.id != NULL)
        args_refuse(state, "--id names one event and cannot be given with --batch");
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct append *append = state->input;
    const char **const places[] = {&append->db, &append->stream, &append->text};
    switch (key) {
    case ARGP_KEY_INIT: args_begin(state); return 0;
    case 't': append->type = argument; return 0;
    case 'e': append->expected = parse_expected(state, argument); return 0;
    case 'b': append->batch = true; return 0;
    case KEY_ID: append->attributes.id = argument; return 0;
    case KEY_SOURCE: append->attributes.source = argument; return 0;
    case KEY_SUBJECT: append->attributes.subject = argument; return 0;
    case KEY_CORRELATION: append->attributes.correlationid = argument; return 0;
    case KEY_CAUSATION: append->attributes.causationid = argument; return 0;
    case KEY_TIME:
        append->attributes.has_time = true;
        append->attributes.time = args_time(state, "--time", argument, false);
        return 0;
    case ARGP_KEY_ARG: args_place(state, argument, places, 3); return 0;
    case ARGP_KEY_END: check(state, append); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option options[] = {
    {"type", 't', "TYPE", 0, "The type of the event, such as bank.money.deposited", 0},
    {"expect", 'e', "WHAT", 0, "What the stream must be: any (default), none (not written yet), exists, or its version",
     0},
    {"batch", 'b', NULL, 0, "One JSON value a line, each an event; all are stored or none", 0},
    {"id", KEY_ID, "ID", 0, "The id of the event; repeating an append with it is harmless", 0},
    {"source", KEY_SOURCE, "URI", 0, "Where the event comes from (default: stele)", 0},
    {"subject", KEY_SUBJECT, "TEXT", 0, "What the event is about", 0},
    {"time", KEY_TIME, "TIME", 0, "When it happened, as in RFC 3339 (default: now)", 0},
    {"correlation", KEY_CORRELATION, "ID", 0, "The conversation that it belongs to", 0},
    {"causation", KEY_CAUSATION, "ID", 0, "The message that caused it", 0},
    {0},
};

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "DB STREAM [DATA]",
    .doc = "Append an event to STREAM. Its data is JSON, from DATA or standard input. "
           "The store is created if it is not there.\v"
           "Prints the new version of the stream and the position in the log.",
};

static stele_status add_event(const struct append *append, struct stele_slice json, struct collected *collected,
                              stele_error **error)
{
    stele_arena *arena = tool_arena();
    struct stele_raw_message raw = {.kind = STELE_EVENT, .type = append->type, .format = STELE_PAYLOAD_MSGPACK};
    stele_message *event = NULL;
    stele_status status = stele_msgpack_from_json(json, arena, &raw.payload, error);
    if (status == STELE_OK)
        status = stele_message_new_raw(&raw, &append->attributes, &event, error);
    if (status == STELE_OK) {
        collected->events = tool_resize(collected->events, (collected->count + 1) * sizeof(*collected->events));
        collected->events[collected->count++] = event;
    }
    stele_arena_free(arena);
    return status;
}

static int collect_lines(const struct append *append, struct stele_slice text, struct collected *collected)
{
    struct stele_slice line;
    uint64_t number = 0;
    while (stele_ndjson_next(&text, &line, &number)) {
        stele_error *error = NULL;
        if (add_event(append, line, collected, &error) == STELE_OK)
            continue;
        tool_say(name, "line %" PRIu64 ": %s", number, stele_error_message(error));
        stele_error_free(error);
        return TOOL_FAILED;
    }
    return TOOL_DONE;
}

static int collect(const struct append *append, struct stele_slice text, struct collected *collected)
{
    stele_error *error = NULL;
    if (append->batch)
        return collect_lines(append, text, collected);
    if (strspn(text.data, " \t\r\n") == text.size) {
        tool_say(name, "there is no data: give JSON as an argument or on standard input");
        return TOOL_FAILED;
    }
    return add_event(append, text, collected, &error) == STELE_OK ? TOOL_DONE : tool_fail(name, error);
}

static void print_result(const struct append *append, const struct stele_appended *result, size_t count)
{
    output_format("%s version %" PRIu64, append->stream, result->version);
    if (count == 1)
        output_format(" position %" PRIu64, result->last_position);
    else if (count > 1)
        output_format(" positions %" PRIu64 " to %" PRIu64, result->first_position, result->last_position);
    if (append->batch)
        output_format(" (%zu event%s)", count, count == 1 ? "" : "s");
    output_format("%s\n", result->repeated ? " (already stored)" : "");
}

static int store_events(const struct append *append, const struct collected *collected)
{
    stele_store *store = tool_open(name, append->db, STELE_OPEN_CREATE);
    if (store == NULL)
        return TOOL_FAILED;
    struct stele_write *writes = tool_resize(NULL, (collected->count + 1) * sizeof(*writes));
    for (size_t i = 0; i < collected->count; i++)
        writes[i] = (struct stele_write){append->stream, collected->events[i]};
    const struct stele_expectation expectation = {append->stream, append->expected};
    const struct stele_batch batch = {
        .writes = writes, .write_count = collected->count, .expectations = &expectation, .expectation_count = 1};
    struct stele_appended result;
    stele_error *error = NULL;
    int status = TOOL_DONE;
    if (stele_append_batch(store, &batch, &result, &error) == STELE_OK)
        print_result(append, &result, collected->count);
    else
        status = tool_fail(name, error);
    free(writes);
    stele_store_close(store);
    return status;
}

int command_append(int argc, char **argv)
{
    struct append append = {.attributes = STELE_OPTIONS_INIT(struct stele_message_options)};
    struct collected collected = {0};
    append.attributes.payload_limit = STELE_PAYLOAD_MAX;
    args_parse(&argp, argc, argv, &append);
    char *input = NULL;
    struct stele_slice text = {append.text, append.text != NULL ? strlen(append.text) : 0};
    int status = TOOL_DONE;
    if (append.text == NULL)
        status = input_all(name, append.batch ? BATCH_TEXT_MAX : INPUT_LINE_MAX, &input, &text);
    if (status == TOOL_DONE)
        status = collect(&append, text, &collected);
    if (status == TOOL_DONE)
        status = store_events(&append, &collected);
    for (size_t i = 0; i < collected.count; i++)
        stele_message_unref(collected.events[i]);
    free(collected.events);
    free(input);
    return status;
}
