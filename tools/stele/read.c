/*
 * stele read and stele log: events of one stream, or of all in their order.
 *
 * A cursor lends event after event, which are shown as they come. With
 * --follow the log waits for the store to grow and reads on behind the head
 * that the last cursor reported, until a signal, a limit, or a reader that
 * went away. Fails on damage, naming the position.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "events.h"
#include "output.h"
#include "tool.h"

enum { FOLLOW_WAIT_MS = 250 };

struct reading {
    const char *name;
    const char *db;
    struct args_reading chosen;
    bool follow;
};

/* Set by a signal that asks --follow to end. */
static volatile sig_atomic_t stop_asked;

static void ask_to_stop(int signal_number)
{
    (void)signal_number;
    stop_asked = 1;
}

static error_t parse_read(int key, char *argument, struct argp_state *state)
{
    struct reading *reading = state->input;
    const char **const places[] = {&reading->db, &reading->chosen.query.stream};
    switch (key) {
    case ARGP_KEY_INIT:
        args_begin(state);
        state->child_inputs[0] = &reading->chosen;
        return 0;
    case ARGP_KEY_ARG: args_place(state, argument, places, 2); return 0;
    case ARGP_KEY_END: args_require(state, 2, "DB STREAM"); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static void check_log(const struct argp_state *state, const struct reading *reading)
{
    const struct stele_query *query = &reading->chosen.query;
    args_require(state, 1, "DB");
    if (reading->follow && (query->backwards || query->until != 0 || query->has_until_time))
        args_refuse(state, "--follow cannot be given with --reverse or --until");
}

static error_t parse_log(int key, char *argument, struct argp_state *state)
{
    struct reading *reading = state->input;
    const char **const places[] = {&reading->db};
    switch (key) {
    case ARGP_KEY_INIT:
        args_begin(state);
        state->child_inputs[0] = &reading->chosen;
        return 0;
    case ARGS_CATEGORY: reading->chosen.query.category = argument; return 0;
    case 'f': reading->follow = true; return 0;
    case ARGP_KEY_ARG: args_place(state, argument, places, 1); return 0;
    case ARGP_KEY_END: check_log(state, reading); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option log_options[] = {
    {"category", ARGS_CATEGORY, "PREFIX", 0, "Only streams whose names begin with PREFIX", 0},
    {"follow", 'f', NULL, 0, "Wait for further events and show them, until interrupted", 0},
    {0},
};

static const struct argp_child children[] = {{&args_reading, 0, NULL, 0}, {0}};

static const struct argp argp_read = {
    .parser = parse_read,
    .args_doc = "DB STREAM",
    .doc = "Show the events of STREAM, oldest first.",
    .children = children,
};

static const struct argp argp_log = {
    .options = log_options,
    .parser = parse_log,
    .args_doc = "DB",
    .doc = "Show the events of all streams in their global order, oldest first.",
    .children = children,
};

/* Show what the query finds now; `*head` is where the next one goes on. */
static stele_status show_all(stele_store *store, const struct reading *reading, struct events *events, uint64_t *shown,
                             struct stele_head *head, stele_error **error)
{
    stele_cursor *cursor = NULL;
    const stele_message *event = NULL;
    stele_status status = stele_read(store, &reading->chosen.query, &cursor, error);
    if (status != STELE_OK)
        return status;
    while (!stop_asked && (status = stele_cursor_next(cursor, &event, error)) == STELE_OK && event != NULL) {
        status = events_show(events, event, error);
        if (status != STELE_OK)
            break;
        ++*shown;
        if (*shown % 256 == 0 && output_is_lost())
            break;
    }
    *head = stele_cursor_head(cursor);
    stele_cursor_close(cursor);
    events_flush(events);
    return status;
}

static stele_status follow(stele_store *store, struct reading *reading, struct events *events, uint64_t shown,
                           uint64_t head, stele_error **error)
{
    const uint64_t limit = reading->chosen.query.limit;
    while (!stop_asked && !output_is_lost() && (limit == 0 || shown < limit)) {
        stele_error *waiting = NULL;
        stele_status status = stele_wait(store, head, FOLLOW_WAIT_MS, NULL, &waiting);
        if (status == STELE_TIMEOUT) {
            stele_error_free(waiting);
            continue;
        }
        if (status != STELE_OK) {
            *error = waiting;
            return status;
        }
        struct stele_head next = {0};
        reading->chosen.query.after = head;
        reading->chosen.query.limit = limit == 0 ? 0 : limit - shown;
        status = show_all(store, reading, events, &shown, &next, error);
        if (status != STELE_OK)
            return status;
        head = next.position;
    }
    return STELE_OK;
}

/* Both signals end the program as if it were done, also in the middle of a wait. */
static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = ask_to_stop};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static void note_missing(const struct reading *reading, const struct stele_head *head)
{
    const char *stream = reading->chosen.query.stream;
    if (stream != NULL && !head->exists)
        tool_say(reading->name, "stream %s has no events", stream);
}

static int show(struct reading *reading)
{
    stele_store *store = tool_open(reading->name, reading->db, STELE_OPEN_READ_ONLY);
    if (store == NULL)
        return TOOL_FAILED;
    if (reading->follow)
        catch_signals();
    struct events *events = events_new(reading->chosen.json);
    struct stele_head head = {0};
    const uint64_t after = reading->chosen.query.after;
    uint64_t shown = 0;
    stele_error *error = NULL;
    stele_status status = show_all(store, reading, events, &shown, &head, &error);
    if (status == STELE_OK && reading->follow)
        status = follow(store, reading, events, shown, head.position > after ? head.position : after, &error);
    if (status == STELE_OK)
        note_missing(reading, &head);
    events_free(events);
    stele_store_close(store);
    return status == STELE_OK ? TOOL_DONE : tool_fail(reading->name, error);
}

int command_read(int argc, char **argv)
{
    struct reading reading = {.name = "read", .chosen.query = STELE_OPTIONS_INIT(struct stele_query)};
    args_parse(&argp_read, argc, argv, &reading);
    return show(&reading);
}

int command_log(int argc, char **argv)
{
    struct reading reading = {.name = "log", .chosen.query = STELE_OPTIONS_INIT(struct stele_query)};
    args_parse(&argp_log, argc, argv, &reading);
    return show(&reading);
}
