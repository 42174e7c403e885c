/*
 * stele show: one event, every attribute on its own line, the data laid out.
 *
 * The event is found by position or id. The payload is decoded to compact JSON
 * and indented here. Fails if there is no such event, or it is damaged.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "events.h"
#include "output.h"
#include "safe.h"
#include "tool.h"

static const char name[] = "show";

struct show {
    const char *db;
    const char *which;
    bool by_id;
    bool json;
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct show *show = state->input;
    const char **const places[] = {&show->db, &show->which};
    switch (key) {
    case ARGP_KEY_INIT: args_begin(state); return 0;
    case 'i': show->by_id = true; return 0;
    case 'j': show->json = true; return 0;
    case ARGP_KEY_ARG: args_place(state, argument, places, 2); return 0;
    case ARGP_KEY_END: args_require(state, 2, "DB ID|POSITION"); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option options[] = {
    {"id", 'i', NULL, 0, "Take a number for an id, not for a position", 0},
    {"json", 'j', NULL, 0, "Write the event as one CloudEvent, as JSON", 0},
    {0},
};

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "DB ID|POSITION",
    .doc = "Show one event. A number is a position, or, if there is none, an id.",
};

/* Write a text that may hold anything. */
static void write_safely(struct stele_slice text)
{
    const struct safe_extent extent = safe_measure(text, SAFE_UNLIMITED);
    char *harmless = tool_resize(NULL, extent.size + 1);
    safe_write(text, &extent, harmless);
    output_bytes(harmless, extent.size);
    free(harmless);
}

static void write_line(const char *label, struct stele_slice value)
{
    if (value.data == NULL)
        return;
    output_format(output_is_coloured() ? "\033[1m%-15s\033[0m " : "%-15s ", label);
    write_safely(value);
    output_text("\n");
}

static void write_text(const char *label, const char *value)
{
    write_line(label, (struct stele_slice){value, strlen(value)});
}

static void write_number(const char *label, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRIu64, value);
    write_text(label, text);
}

static void write_extensions(const stele_message *event)
{
    struct stele_extension extension;
    for (size_t i = 0; stele_message_extension(event, i, &extension); i++) {
        char number[16];
        switch (extension.kind) {
        case STELE_EXTENSION_TEXT: write_line(extension.name, extension.text); break;
        case STELE_EXTENSION_BOOLEAN: write_text(extension.name, extension.boolean ? "true" : "false"); break;
        case STELE_EXTENSION_INTEGER:
            snprintf(number, sizeof(number), "%" PRId32, extension.integer);
            write_text(extension.name, number);
            break;
        }
    }
}

static const char *kind_name(enum stele_message_kind kind)
{
    switch (kind) {
    case STELE_COMMAND: return "command";
    case STELE_QUERY: return "query";
    case STELE_REPLY: return "reply";
    default: return "event";
    }
}

static void write_attributes(const stele_message *event)
{
    char time[STELE_TIME_TEXT_SIZE];
    stele_time_print(stele_message_time(event), time);
    write_number("position", stele_message_position(event));
    write_line("stream", stele_message_stream(event));
    write_number("version", stele_message_version(event));
    write_line("type", stele_message_type(event));
    if (stele_message_type_version(event) != 1)
        write_number("type version", stele_message_type_version(event));
    if (stele_message_kind(event) != STELE_EVENT)
        write_text("kind", kind_name(stele_message_kind(event)));
    write_text("time", time);
    write_line("id", stele_message_id(event));
    write_line("source", stele_message_source(event));
    write_line("subject", stele_message_subject(event));
    write_line("content type", stele_message_datacontenttype(event));
    write_line("schema", stele_message_dataschema(event));
    write_line("correlation", stele_message_correlationid(event));
    write_line("causation", stele_message_causationid(event));
    write_line("trace", stele_message_traceparent(event));
    write_extensions(event);
}

/* The layout of compact JSON: where a line ends, and how deep the next one is. */
struct layout {
    FILE *out;
    size_t depth;
    bool in_string;
    bool escaped;
};

static void break_line(const struct layout *layout)
{
    fputc('\n', layout->out);
    for (size_t i = 0; i < layout->depth; i++)
        fputs("  ", layout->out);
}

static void lay_out_byte(struct layout *layout, char byte, char next)
{
    if (layout->in_string) {
        layout->in_string = layout->escaped || byte != '"';
        layout->escaped = !layout->escaped && byte == '\\';
        fputc(byte, layout->out);
        return;
    }
    const bool closes = byte == '}' || byte == ']';
    if (closes)
        layout->depth--;
    fputc(byte, layout->out);
    layout->in_string = byte == '"';
    if (byte == '{' || byte == '[')
        layout->depth++;
    if (byte == ':')
        fputc(' ', layout->out);
    const bool opens_filled = (byte == '{' && next != '}') || (byte == '[' && next != ']');
    if (opens_filled || byte == ',')
        break_line(layout);
}

static void lay_out(struct stele_slice json, FILE *out)
{
    struct layout layout = {.out = out};
    for (size_t i = 0; i < json.size; i++) {
        const char byte = json.data[i];
        const bool closes = !layout.in_string && (byte == '}' || byte == ']');
        const bool empty = i > 0 && (json.data[i - 1] == '{' || json.data[i - 1] == '[');
        if (closes && !empty) {
            layout.depth--;
            break_line(&layout);
            layout.depth++;
        }
        lay_out_byte(&layout, byte, i + 1 < json.size ? json.data[i + 1] : '\0');
    }
}

/* The lines of the layout are the only line feeds: those of the data are escaped in its JSON. */
static void write_lines(struct stele_slice text)
{
    while (text.size > 0) {
        const char *feed = memchr(text.data, '\n', text.size);
        const size_t size = feed != NULL ? (size_t)(feed - text.data) : text.size;
        write_safely((struct stele_slice){text.data, size});
        output_text("\n");
        const size_t passed = size + (feed != NULL ? 1 : 0);
        text = (struct stele_slice){text.data + passed, text.size - passed};
    }
}

static stele_status write_event(const stele_message *event, stele_arena *arena, stele_error **error)
{
    struct stele_slice payload;
    const stele_status status = events_payload(event, arena, &payload, error);
    if (status != STELE_OK)
        return status;
    write_attributes(event);
    if (payload.size == 0)
        return STELE_OK;
    char *text = NULL;
    size_t size = 0;
    FILE *memory = tool_have(open_memstream(&text, &size));
    lay_out(payload, memory);
    if (fclose(memory) != 0)
        tool_have(NULL);
    output_text("\n");
    write_lines((struct stele_slice){text, size});
    free(text);
    return STELE_OK;
}

static stele_status find(stele_store *store, const struct show *show, stele_message **event, stele_error **error)
{
    uint64_t position = 0;
    if (show->by_id || !args_is_number(show->which, STELE_VERSION_MAX, &position) || position == 0)
        return stele_find(store, show->which, event, error);
    const stele_status status = stele_find_position(store, position, event, error);
    if (status != STELE_NOT_FOUND || stele_find(store, show->which, event, NULL) != STELE_OK)
        return status;
    stele_error_free(*error);
    *error = NULL;
    return STELE_OK;
}

int command_show(int argc, char **argv)
{
    struct show show = {0};
    args_parse(&argp, argc, argv, &show);
    stele_store *store = tool_open(name, show.db, STELE_OPEN_READ_ONLY);
    if (store == NULL)
        return TOOL_FAILED;
    stele_arena *arena = tool_arena();
    stele_message *event = NULL;
    stele_error *error = NULL;
    stele_status status = find(store, &show, &event, &error);
    if (status == STELE_OK && show.json)
        status = events_json_line(event, arena, &error);
    else if (status == STELE_OK)
        status = write_event(event, arena, &error);
    stele_message_unref(event);
    stele_arena_free(arena);
    stele_store_close(store);
    return status == STELE_OK ? TOOL_DONE : tool_fail(name, error);
}
