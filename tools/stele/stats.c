/*
 * stele stats: a store in numbers.
 */
#include <inttypes.h>
#include <string.h>

#include "args.h"
#include "output.h"
#include "tool.h"

static const char name[] = "stats";

struct arguments {
    const char *db;
    bool json;
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    const char **const places[] = {&arguments->db};
    switch (key) {
    case ARGP_KEY_INIT: args_begin(state); return 0;
    case 'j': arguments->json = true; return 0;
    case ARGP_KEY_ARG: args_place(state, argument, places, 1); return 0;
    case ARGP_KEY_END: args_require(state, 1, "DB"); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option options[] = {
    {"json", 'j', NULL, 0, "Write one JSON object", 0},
    {0},
};

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "DB",
    .doc = "Show the store in numbers.",
};

static void write_table(const struct stele_stats *stats)
{
    output_format("events      %" PRIu64 "\n", stats->events);
    output_format("streams     %" PRIu64 "\n", stats->streams);
    output_format("types       %" PRIu64 "\n", stats->types);
    output_format("head        %" PRIu64 "\n", stats->head);
    output_format("bytes       %" PRIu64 "\n", stats->bytes);
    output_format("log bytes   %" PRIu64 "\n", stats->log_bytes);
    output_format("backend     %s %s\n", stats->backend, stats->library);
    output_format("survives    %s\n", stats->durability);
}

static void write_text(const char *label, const char *value)
{
    output_format(",\"%s\":", label);
    output_json_string((struct stele_slice){value, strlen(value)});
}

static void write_json(const struct stele_stats *stats)
{
    output_format("{\"events\":%" PRIu64 ",\"streams\":%" PRIu64 ",\"types\":%" PRIu64 ",\"head\":%" PRIu64
                  ",\"bytes\":%" PRIu64 ",\"logbytes\":%" PRIu64,
                  stats->events, stats->streams, stats->types, stats->head, stats->bytes, stats->log_bytes);
    write_text("backend", stats->backend);
    write_text("library", stats->library);
    write_text("survives", stats->durability);
    output_text("}\n");
}

int command_stats(int argc, char **argv)
{
    struct arguments arguments = {0};
    args_parse(&argp, argc, argv, &arguments);
    stele_store *store = tool_open(name, arguments.db, STELE_OPEN_READ_ONLY);
    if (store == NULL)
        return TOOL_FAILED;
    struct stele_stats stats = {0};
    stele_error *error = NULL;
    const stele_status status = stele_stats(store, &stats, &error);
    if (status == STELE_OK && arguments.json)
        write_json(&stats);
    else if (status == STELE_OK)
        write_table(&stats);
    stele_store_close(store);
    return status == STELE_OK ? TOOL_DONE : tool_fail(name, error);
}
