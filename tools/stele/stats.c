/*
 * stele stats: a store in numbers, as a whole, by table and by type.
 *
 * Tables are in bytes of pages, types in bytes of what their events hold.
 */
#include <inttypes.h>
#include <string.h>

#include "args.h"
#include "output.h"
#include "table.h"
#include "tool.h"

static const char name[] = "stats";

static const struct argp_option options[] = {
    {"json", 'j', NULL, 0, "Write one JSON object", 0},
    {0},
};

static const struct argp argp = {
    .options = options,
    .parser = args_parse_showing,
    .args_doc = "DB",
    .doc = "Show the store in numbers: as a whole, the bytes of each table with its indexes, and the events of each "
           "type with the bytes of their payloads, attributes and ids.",
};

static void write_whole(const struct stele_stats *stats)
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

/* --- The parts ------------------------------------------------------------------------ */

static const struct table_column table_columns[] = {
    {"TABLE", false, "36"},
    {"BYTES", true, NULL},
    {"INDEX BYTES", true, NULL},
    {NULL, false, NULL},
};

static const struct table_column type_columns[] = {
    {"TYPE", false, "33"}, {"VERSION", true, NULL}, {"EVENTS", true, NULL}, {"BYTES", true, NULL}, {NULL, false, NULL},
};

static bool add_table(void *context, const struct stele_table_size *size)
{
    struct table *table = context;
    table_cell(table, size->table);
    table_number(table, size->bytes);
    table_number(table, size->index_bytes);
    return true;
}

static bool add_type(void *context, const struct stele_type_size *size)
{
    struct table *table = context;
    table_cell(table, size->type);
    table_number(table, size->type_version);
    table_number(table, size->events);
    table_number(table, size->bytes);
    return true;
}

static bool write_table(void *context, const struct stele_table_size *size)
{
    bool *first = context;
    output_text(*first ? "{\"table\":" : ",{\"table\":");
    output_json_string(size->table);
    output_format(",\"bytes\":%" PRIu64 ",\"indexbytes\":%" PRIu64 "}", size->bytes, size->index_bytes);
    *first = false;
    return !output_is_lost();
}

static bool write_type(void *context, const struct stele_type_size *size)
{
    bool *first = context;
    output_text(*first ? "{\"type\":" : ",{\"type\":");
    output_json_string(size->type);
    output_format(",\"typeversion\":%" PRIu32 ",\"events\":%" PRIu64 ",\"bytes\":%" PRIu64 "}", size->type_version,
                  size->events, size->bytes);
    *first = false;
    return !output_is_lost();
}

static void write_text(const char *label, const char *value)
{
    output_format(",\"%s\":", label);
    output_json_string((struct stele_slice){value, strlen(value)});
}

/* --- The two forms -------------------------------------------------------------------- */

static stele_status write_parts(stele_store *store, stele_error **error)
{
    struct table *tables = table_new(table_columns);
    struct table *types = table_new(type_columns);
    stele_status status = stele_table_sizes(store, add_table, tables, error);
    if (status == STELE_OK)
        status = stele_type_sizes(store, add_type, types, error);
    if (status == STELE_OK) {
        output_text("\n");
        table_flush(tables);
        output_text("\n");
        table_flush(types);
    }
    table_free(types);
    table_free(tables);
    return status;
}

static stele_status write_json(stele_store *store, const struct stele_stats *stats, stele_error **error)
{
    bool first = true;
    output_format("{\"events\":%" PRIu64 ",\"streams\":%" PRIu64 ",\"types\":%" PRIu64 ",\"head\":%" PRIu64
                  ",\"bytes\":%" PRIu64 ",\"logbytes\":%" PRIu64 ",\"tablebytes\":[",
                  stats->events, stats->streams, stats->types, stats->head, stats->bytes, stats->log_bytes);
    stele_status status = stele_table_sizes(store, write_table, &first, error);
    output_text("],\"typebytes\":[");
    first = true;
    if (status == STELE_OK)
        status = stele_type_sizes(store, write_type, &first, error);
    output_text("]");
    write_text("backend", stats->backend);
    write_text("library", stats->library);
    write_text("survives", stats->durability);
    output_text("}\n");
    return status;
}

int command_stats(int argc, char **argv)
{
    struct args_showing arguments = {NULL};
    args_parse(&argp, argc, argv, &arguments);
    stele_store *store = tool_open(name, arguments.db, STELE_OPEN_READ_ONLY);
    if (store == NULL)
        return TOOL_FAILED;
    struct stele_stats stats = {0};
    stele_error *error = NULL;
    stele_status status = stele_stats(store, &stats, &error);
    if (status == STELE_OK && arguments.json) {
        status = write_json(store, &stats, &error);
    } else if (status == STELE_OK) {
        write_whole(&stats);
        status = write_parts(store, &error);
    }
    stele_store_close(store);
    return status == STELE_OK ? TOOL_DONE : tool_fail(name, error);
}
