/*
 * stele streams: the streams of a store, by name.
 *
 * The store visits them in bytewise order; each becomes a row, or a JSON object
 * on a line. Fails as reading the store does.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "args.h"
#include "output.h"
#include "safe.h"
#include "table.h"
#include "tool.h"

static const char name[] = "streams";

struct streams {
    const char *db;
    struct stele_stream_query query;
    bool json;
    struct table *table;
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct streams *streams = state->input;
    const char **const places[] = {&streams->db};
    switch (key) {
    case ARGP_KEY_INIT: args_begin(state); return 0;
    case ARGS_AFTER: streams->query.after = argument; return 0;
    case ARGS_CATEGORY: streams->query.category = argument; return 0;
    case 'n': streams->query.limit = args_number(state, "--limit", argument, 1, STELE_VERSION_MAX); return 0;
    case 'r': streams->query.backwards = true; return 0;
    case 'j': streams->json = true; return 0;
    case ARGP_KEY_ARG: args_place(state, argument, places, 1); return 0;
    case ARGP_KEY_END: args_require(state, 1, "DB"); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option options[] = {
    {"after", ARGS_AFTER, "NAME", 0, "Begin behind this name", 0},
    {"category", ARGS_CATEGORY, "PREFIX", 0, "Only streams whose names begin with PREFIX", 0},
    {"limit", 'n', "N", 0, "List at most N streams", 0},
    {"reverse", 'r', NULL, 0, "Last name first", 0},
    {"json", 'j', NULL, 0, "Write one JSON object a line", 0},
    {0},
};

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "DB",
    .doc = "List the streams by name, with their versions and their first and last events.",
};

static const struct table_column stream_columns[] = {
    {"STREAM", false, "36"},    {"VERSION", true, NULL},   {"FIRST", true, NULL}, {"LAST", true, NULL},
    {"FIRST TIME", false, "2"}, {"LAST TIME", false, "2"}, {NULL, false, NULL},
};

static void write_row(struct table *table, const struct stele_stream *stream, const char *first, const char *last)
{
    table_cell(table, stream->name);
    table_number(table, stream->version);
    table_number(table, stream->first_position);
    table_number(table, stream->last_position);
    table_text(table, first);
    table_text(table, last);
}

static void write_json(const struct stele_stream *stream, const char *first, const char *last)
{
    output_text("{\"stream\":");
    output_json_string(stream->name);
    output_format(",\"version\":%" PRIu64 ",\"firstposition\":%" PRIu64 ",\"lastposition\":%" PRIu64
                  ",\"firsttime\":\"%s\",\"lasttime\":\"%s\"}\n",
                  stream->version, stream->first_position, stream->last_position, first, last);
}

static bool show_stream(void *context, const struct stele_stream *stream)
{
    struct streams *streams = context;
    char first[STELE_TIME_TEXT_SIZE];
    char last[STELE_TIME_TEXT_SIZE];
    stele_time_print(stream->first_time, first);
    stele_time_print(stream->last_time, last);
    if (streams->json)
        write_json(stream, first, last);
    else
        write_row(streams->table, stream, first, last);
    return !output_is_lost();
}

int command_streams(int argc, char **argv)
{
    struct streams streams = {.query = STELE_OPTIONS_INIT(struct stele_stream_query)};
    args_parse(&argp, argc, argv, &streams);
    stele_store *store = tool_open(name, streams.db, STELE_OPEN_READ_ONLY);
    if (store == NULL)
        return TOOL_FAILED;
    if (!streams.json)
        streams.table = table_new(stream_columns);
    stele_error *error = NULL;
    const stele_status status = stele_streams(store, &streams.query, show_stream, &streams, &error);
    if (streams.table != NULL)
        table_flush(streams.table);
    table_free(streams.table);
    stele_store_close(store);
    return status == STELE_OK ? TOOL_DONE : tool_fail(name, error);
}
