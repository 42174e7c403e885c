/*
 * stele dead: what handlers could not handle, and what is to become of it.
 *
 *     list, show: the letters that "$dead" folds to -> a table, a block each, or JSON
 *     requeue, drop: a mark for each in the store; a bus that has the route sees it
 *
 * Fails as reading and writing the store does.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <stele/deadletters.h>

#include "args.h"
#include "events.h"
#include "output.h"
#include "safe.h"
#include "table.h"
#include "tool.h"

static const char name[] = "dead";

struct dead {
    const char *db;
    const char *action;
    struct stele_dead_query query;
    bool all;
    bool json;
    struct table *table;
    stele_arena *arena;
    uint64_t shown;
    stele_status status;
    stele_error *error;
};

enum { KEY_ROUTE = ARGS_FIRST_OWN, KEY_ID, KEY_CODE, KEY_ALL, KEY_REQUEUED };

/* --- Arguments ---------------------------------------------------------------------------- */

static const char *const actions[] = {"list", "show", "requeue", "drop"};

static void check(const struct argp_state *state, const struct dead *dead)
{
    const struct stele_dead_query *query = &dead->query;
    bool known = false;
    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
        known = known || strcmp(actions[i], dead->action) == 0;
    if (!known)
        args_refuse(state, "'%s' is none of list, show, requeue, drop", dead->action);
    if (strcmp(dead->action, "drop") == 0 && !dead->all && !query->route && !query->id && !query->code && !query->limit)
        args_refuse(state, "drop needs --route, --id, --code or --limit, or --all");
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct dead *dead = state->input;
    const char **const places[] = {&dead->db, &dead->action};
    switch (key) {
    case ARGP_KEY_INIT: args_begin(state); return 0;
    case KEY_ROUTE: dead->query.route = argument; return 0;
    case KEY_ID: dead->query.id = argument; return 0;
    case KEY_CODE: dead->query.code = argument; return 0;
    case KEY_ALL: dead->all = true; return 0;
    case KEY_REQUEUED: dead->query.with_requeued = true; return 0;
    case 'n': dead->query.limit = args_number(state, "--limit", argument, 1, STELE_VERSION_MAX); return 0;
    case 'j': dead->json = true; return 0;
    case ARGP_KEY_ARG: args_place(state, argument, places, 2); return 0;
    case ARGP_KEY_END:
        args_require(state, 2, "DB and list, show, requeue or drop");
        check(state, dead);
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option options[] = {
    {"route", KEY_ROUTE, "NAME", 0, "Only letters of this route", 0},
    {"id", KEY_ID, "ID", 0, "Only letters whose message has this id", 0},
    {"code", KEY_CODE, "CODE", 0, "Only letters that failed with this code, such as TIMEOUT", 0},
    {"limit", 'n', "N", 0, "At most N letters, the oldest", 0},
    {"requeued", KEY_REQUEUED, NULL, 0, "Also letters that were requeued and not handled yet", 0},
    {"all", KEY_ALL, NULL, 0, "Let drop do without any of these", 0},
    {"json", 'j', NULL, 0, "Write one JSON object a line", 0},
    {0},
};

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "DB list|show|requeue|drop",
    .doc = "List or show dead letters (messages that a handler could not handle), have them handled again, or forget "
           "them.\vRequeueing leaves a mark; the program that has the route sees it and handles the message.",
};

/* --- Showing ------------------------------------------------------------------------------ */

static const struct table_column dead_columns[] = {
    {"ROUTE", false, "36"}, {"ID", false, NULL},       {"TYPE", false, "33"}, {"CODE", false, "31"},
    {"COUNT", true, NULL},  {"LAST TIME", false, "2"}, {"TEXT", false, NULL}, {NULL, false, NULL},
};

static void write_row(struct table *table, const struct stele_dead_letter *letter, const char *last)
{
    table_text(table, letter->route);
    table_text(table, letter->id);
    table_text(table, letter->type);
    table_text(table, letter->code);
    table_number(table, letter->count);
    table_text(table, last);
    table_text(table, letter->text);
}

static struct stele_slice slice_of(const char *text)
{
    return (struct stele_slice){text, strlen(text)};
}

static void write_member(const char *member, const char *text)
{
    output_format(",\"%s\":", member);
    output_json_string(slice_of(text));
}

static stele_status write_json(struct dead *dead, const struct stele_dead_letter *letter, const char *first,
                               const char *last)
{
    output_text("{\"route\":");
    output_json_string(slice_of(letter->route));
    write_member("id", letter->id);
    write_member("type", letter->type);
    write_member("code", letter->code);
    write_member("text", letter->text);
    output_format(",\"count\":%" PRIu64 ",\"attempts\":%" PRIu64 ",\"firsttime\":\"%s\",\"lasttime\":\"%s\"",
                  letter->count, letter->attempts, first, last);
    output_format(",\"position\":%" PRIu64 ",\"requeued\":%s,\"message\":", letter->position,
                  letter->is_requeued ? "true" : "false");
    if (letter->message == NULL) {
        output_text("null}\n");
        return STELE_OK;
    }
    return events_json(letter->message, dead->arena, "}\n", &dead->error);
}

static void write_line(const char *label, const char *text)
{
    const struct stele_slice raw = slice_of(text);
    const struct safe_extent extent = safe_measure(raw, SAFE_UNLIMITED);
    char *harmless = tool_have(malloc(extent.size + 1));
    safe_write(raw, &extent, harmless);
    output_format("%-10s ", label);
    output_bytes(harmless, extent.size);
    output_text("\n");
    free(harmless);
}

static stele_status write_block(struct dead *dead, const struct stele_dead_letter *letter, const char *first,
                                const char *last)
{
    output_text(dead->shown ? "\n" : "");
    write_line("route", letter->route);
    write_line("id", letter->id);
    write_line("type", letter->type);
    write_line("code", letter->code);
    write_line("text", letter->text);
    output_format("%-10s %" PRIu64 "\n", "count", letter->count);
    output_format("%-10s %" PRIu64 "\n", "attempts", letter->attempts);
    write_line("first time", first);
    write_line("last time", last);
    if (letter->position != 0)
        output_format("%-10s %" PRIu64 "\n", "position", letter->position);
    if (letter->is_requeued)
        write_line("requeued", "yes, and not handled yet");
    if (letter->message == NULL) {
        write_line("message", "(cannot be read any more)");
        return STELE_OK;
    }
    output_format("%-10s ", "message");
    return events_json(letter->message, dead->arena, "\n", &dead->error);
}

static bool show_letter(void *context, const struct stele_dead_letter *letter)
{
    struct dead *dead = context;
    char first[STELE_TIME_TEXT_SIZE];
    char last[STELE_TIME_TEXT_SIZE];
    stele_time_print(letter->first_time, first);
    stele_time_print(letter->last_time, last);
    stele_arena_reset(dead->arena);
    if (dead->table != NULL)
        write_row(dead->table, letter, last);
    else if (dead->json)
        dead->status = write_json(dead, letter, first, last);
    else
        dead->status = write_block(dead, letter, first, last);
    dead->shown++;
    return dead->status == STELE_OK && !output_is_lost();
}

static int show_letters(struct dead *dead)
{
    const bool is_list = strcmp(dead->action, "list") == 0;
    stele_store *store = tool_open(name, dead->db, STELE_OPEN_READ_ONLY);
    if (store == NULL)
        return TOOL_FAILED;
    dead->arena = tool_arena();
    if (is_list && !dead->json)
        dead->table = table_new(dead_columns);
    stele_status status = stele_dead_list_in(store, &dead->query, show_letter, dead, &dead->error);
    if (status == STELE_OK)
        status = dead->status;
    if (dead->table != NULL)
        table_flush(dead->table);
    table_free(dead->table);
    stele_arena_free(dead->arena);
    stele_store_close(store);
    if (status != STELE_OK)
        return tool_fail(name, dead->error);
    if (dead->shown > 0 || is_list)
        return TOOL_DONE;
    tool_say(name, "%s: there is no such dead letter", dead->db);
    return TOOL_FAILED;
}

/* --- Changing ----------------------------------------------------------------------------- */

static int change_letters(struct dead *dead)
{
    const bool is_drop = strcmp(dead->action, "drop") == 0;
    stele_store *store = tool_open(name, dead->db, STELE_OPEN_EXISTING);
    if (store == NULL)
        return TOOL_FAILED;
    uint64_t count = 0;
    const stele_status status = is_drop ? stele_dead_drop_in(store, &dead->query, &count, &dead->error)
                                        : stele_dead_requeue_in(store, &dead->query, &count, &dead->error);
    stele_store_close(store);
    if (dead->json)
        output_format("{\"%s\":%" PRIu64 "}\n", is_drop ? "dropped" : "requeued", count);
    else
        output_format("%" PRIu64 " %s\n", count, is_drop ? "dropped" : "requeued");
    if (status != STELE_OK)
        return tool_fail(name, dead->error);
    if (count > 0 || (dead->query.id == NULL && dead->query.route == NULL))
        return TOOL_DONE;
    tool_say(name, "%s: there is no such dead letter", dead->db);
    return TOOL_FAILED;
}

int command_dead(int argc, char **argv)
{
    struct dead dead = {.query = STELE_OPTIONS_INIT(struct stele_dead_query)};
    args_parse(&argp, argc, argv, &dead);
    if (strcmp(dead.action, "list") == 0 || strcmp(dead.action, "show") == 0)
        return show_letters(&dead);
    return change_letters(&dead);
}
