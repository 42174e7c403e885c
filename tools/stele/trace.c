/*
 * stele trace: which event caused which.
 *
 *     the whole log, once -> events of the correlation, each under its cause -> the tree, a line an event
 *
 * An event belongs to it if it carries the correlation id, if that is its own
 * id, or if an event that belongs to it is its cause. Causes come before what
 * they cause, so one pass finds all. The events are kept until they are shown.
 */
#include <inttypes.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "events.h"
#include "output.h"
#include "safe.h"
#include "table.h"
#include "tool.h"

static const char name[] = "trace";

enum { INDENT = 2, INDENT_MAX = 80 };

struct node {
    stele_message *event;
    struct stele_slice id;
    size_t depth;
    struct node *parent; /* NULL: its cause is not an event of the tree */
    struct node *first_child, *last_child;
    struct node *next; /* with the same parent */
};

struct trace {
    const char *db;
    const char *correlation;
    bool json;
    void *ids;        /* the nodes by id, for tsearch(3) */
    struct node root; /* of no event */
    stele_arena *arena;
    struct table *table;
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct trace *trace = state->input;
    const char **const places[] = {&trace->db, &trace->correlation};
    switch (key) {
    case ARGP_KEY_INIT: args_begin(state); return 0;
    case 'j': trace->json = true; return 0;
    case ARGP_KEY_ARG: args_place(state, argument, places, 2); return 0;
    case ARGP_KEY_END: args_require(state, 2, "DB CORRELATION"); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option options[] = {
    {"json", 'j', NULL, 0, "Write one JSON object a line: depth, position of the cause, and the event", 0},
    {0},
};

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "DB CORRELATION",
    .doc = "Show the events of a correlation id as a tree: each under the event that caused it. "
           "The id of an event stands for all that follows from it.",
};

/* --- The tree ------------------------------------------------------------------------ */

static int by_id(const void *left, const void *right)
{
    const struct stele_slice a = ((const struct node *)left)->id;
    const struct stele_slice b = ((const struct node *)right)->id;
    if (a.size != b.size)
        return a.size < b.size ? -1 : 1;
    return memcmp(a.data, b.data, a.size);
}

static struct node *find(const struct trace *trace, struct stele_slice id)
{
    const struct node wanted = {.id = id};
    if (id.data == NULL)
        return NULL;
    struct node *const *found = tfind(&wanted, &trace->ids, by_id);
    return found != NULL ? *found : NULL;
}

static bool is_correlation(const struct trace *trace, struct stele_slice text)
{
    return text.size == strlen(trace->correlation) && memcmp(text.data, trace->correlation, text.size) == 0;
}

static void add(struct trace *trace, const stele_message *lent, struct node *parent)
{
    struct node *node = tool_have(calloc(1, sizeof(*node)));
    node->event = tool_have(stele_message_ref(lent));
    node->id = stele_message_id(node->event);
    node->parent = parent;
    node->depth = parent != NULL ? parent->depth + 1 : 0;
    struct node *above = parent != NULL ? parent : &trace->root;
    if (above->last_child != NULL)
        above->last_child->next = node;
    else
        above->first_child = node;
    above->last_child = node;
    tool_have(tsearch(node, &trace->ids, by_id));
}

static stele_status collect(struct trace *trace, stele_store *store, stele_error **error)
{
    const struct stele_query everything = STELE_OPTIONS_INIT(struct stele_query);
    stele_cursor *cursor = NULL;
    const stele_message *event = NULL;
    stele_status status = stele_read(store, &everything, &cursor, error);
    while (status == STELE_OK && (status = stele_cursor_next(cursor, &event, error)) == STELE_OK && event != NULL) {
        struct node *parent = find(trace, stele_message_causationid(event));
        if (parent != NULL || is_correlation(trace, stele_message_correlationid(event)) ||
            is_correlation(trace, stele_message_id(event)))
            add(trace, event, parent);
    }
    stele_cursor_close(cursor);
    return status;
}

/* The next node in the order of a walk that shows a cause before what it caused; no recursion, a chain may be long. */
static struct node *next_of(struct node *node)
{
    if (node->first_child != NULL)
        return node->first_child;
    while (node->next == NULL && node->parent != NULL)
        node = node->parent;
    return node->next;
}

static void free_nodes(struct trace *trace)
{
    while (trace->ids != NULL) {
        struct node *node = *(struct node **)trace->ids;
        tdelete(node, &trace->ids, by_id);
        stele_message_unref(node->event);
        free(node);
    }
}

/* --- Showing it ----------------------------------------------------------------------- */

static const struct table_column trace_columns[] = {
    {"POSITION", true, "2"}, {"EVENT", false, "33"}, {"STREAM", false, "36"}, {"VERSION", true, NULL},
    {"TIME", false, "2"},    {"DATA", false, NULL},  {NULL, false, NULL},
};

static struct stele_slice indented(const struct node *node, stele_arena *arena)
{
    const struct stele_slice type = stele_message_type(node->event);
    const size_t indent = node->depth < INDENT_MAX / INDENT ? node->depth * INDENT : INDENT_MAX;
    char *text = tool_have(stele_arena_alloc(arena, indent + type.size));
    memset(text, ' ', indent);
    memcpy(text + indent, type.data, type.size);
    return (struct stele_slice){text, indent + type.size};
}

static stele_status show_row(const struct trace *trace, const struct node *node, stele_error **error)
{
    struct stele_slice payload;
    const stele_status status = events_payload(node->event, trace->arena, &payload, error);
    if (status != STELE_OK)
        return status;
    char time[STELE_TIME_TEXT_SIZE];
    stele_time_print(stele_message_time(node->event), time);
    table_number(trace->table, stele_message_position(node->event));
    table_cell(trace->table, indented(node, trace->arena));
    table_cell(trace->table, stele_message_stream(node->event));
    table_number(trace->table, stele_message_version(node->event));
    table_text(trace->table, time);
    table_cell(trace->table, payload);
    return STELE_OK;
}

static stele_status show_json(const struct trace *trace, const struct node *node, stele_error **error)
{
    output_format("{\"depth\":%zu,\"cause\":", node->depth);
    if (node->parent != NULL)
        output_format("%" PRIu64, stele_message_position(node->parent->event));
    else
        output_text("null");
    output_text(",\"event\":");
    return events_json(node->event, trace->arena, "}\n", error);
}

static stele_status show(struct trace *trace, stele_error **error)
{
    stele_status status = STELE_OK;
    for (struct node *node = trace->root.first_child; node != NULL && status == STELE_OK && !output_is_lost();
         node = next_of(node)) {
        stele_arena_reset(trace->arena);
        status = trace->json ? show_json(trace, node, error) : show_row(trace, node, error);
    }
    if (trace->table != NULL)
        table_flush(trace->table);
    return status;
}

int command_trace(int argc, char **argv)
{
    struct trace trace = {0};
    args_parse(&argp, argc, argv, &trace);
    stele_store *store = tool_open(name, trace.db, STELE_OPEN_READ_ONLY);
    if (store == NULL)
        return TOOL_FAILED;
    trace.arena = tool_arena();
    if (!trace.json)
        trace.table = table_new(trace_columns);
    stele_error *error = NULL;
    stele_status status = collect(&trace, store, &error);
    const bool found = trace.root.first_child != NULL;
    if (status == STELE_OK)
        status = show(&trace, &error);
    free_nodes(&trace);
    table_free(trace.table);
    stele_arena_free(trace.arena);
    stele_store_close(store);
    if (status != STELE_OK)
        return tool_fail(name, error);
    if (!found)
        tool_say(name, "%s: no event has the correlation id or the id '%s'", trace.db, trace.correlation);
    return found ? TOOL_DONE : TOOL_FAILED;
}
