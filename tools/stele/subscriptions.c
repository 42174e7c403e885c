/*
 * stele subscriptions: how far each named reader of the log has come.
 *
 *     checkpoints, recorded states, dead letters -> a row each, or JSON
 *
 * Fails as reading the store does.
 */
#include <inttypes.h>
#include <string.h>

#include <stele/subscription.h>

#include "args.h"
#include "output.h"
#include "table.h"
#include "tool.h"

static const char name[] = "subscriptions";

static const struct argp_option options[] = {
    {"json", 'j', NULL, 0, "Write one JSON object a line", 0},
    {0},
};

static const struct argp argp = {
    .options = options,
    .parser = args_parse_showing,
    .args_doc = "DB",
    .doc = "Show the subscriptions and durable routes of a store: their states, how far each has come, what it has put "
           "aside, and why it stopped.",
};

static const struct table_column columns[] = {
    {"NAME", false, "36"}, {"STATE", false, "33"}, {"POSITION", true, NULL},    {"LAG", true, NULL},
    {"MOVED", false, "2"}, {"PARKED", true, NULL}, {"LAST ERROR", false, "31"}, {NULL, false, NULL},
};

static struct stele_slice slice_of(const char *text)
{
    return (struct stele_slice){text, strlen(text)};
}

static void write_row(struct table *table, const struct stele_subscription_record *record, const char *moved)
{
    table_text(table, record->name);
    table_text(table, stele_subscription_state_name(record->state));
    table_number(table, record->position);
    table_number(table, record->lag);
    table_text(table, moved);
    table_number(table, record->parked);
    table_text(table, *record->text ? record->text : record->code);
}

static void write_json(const struct stele_subscription_record *record, const char *moved)
{
    output_text("{\"name\":");
    output_json_string(slice_of(record->name));
    output_format(",\"state\":\"%s\",\"position\":%" PRIu64 ",\"head\":%" PRIu64 ",\"lag\":%" PRIu64
                  ",\"time\":\"%s\",\"parked\":%" PRIu64 ",\"error\":",
                  stele_subscription_state_name(record->state), record->position, record->head, record->lag, moved,
                  record->parked);
    if (*record->code == '\0') {
        output_text("null}\n");
        return;
    }
    output_text("{\"code\":");
    output_json_string(slice_of(record->code));
    output_text(",\"text\":");
    output_json_string(slice_of(record->text));
    output_format(",\"position\":%" PRIu64 "}}\n", record->at);
}

static bool show(void *context, const struct stele_subscription_record *record)
{
    struct table *table = context;
    char moved[STELE_TIME_TEXT_SIZE];
    stele_time_print(record->time, moved);
    if (table != NULL)
        write_row(table, record, moved);
    else
        write_json(record, moved);
    return !output_is_lost();
}

int command_subscriptions(int argc, char **argv)
{
    struct args_showing arguments = {NULL};
    args_parse(&argp, argc, argv, &arguments);
    stele_store *store = tool_open(name, arguments.db, STELE_OPEN_READ_ONLY);
    if (store == NULL)
        return TOOL_FAILED;
    struct table *table = arguments.json ? NULL : table_new(columns);
    stele_error *error = NULL;
    const stele_status status = stele_subscriptions_visit(store, show, table, &error);
    if (table != NULL)
        table_flush(table);
    table_free(table);
    stele_store_close(store);
    return status == STELE_OK ? TOOL_DONE : tool_fail(name, error);
}
