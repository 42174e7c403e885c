/*
 * stele project and stele rebuild: read models out of SQL files.
 *
 *     FILE.sql, DB ─► checked ─► a subscription ─► progress, until the head, a signal, or a failure ─► what was done
 *
 * A signal ends the program behind the batch that is under way, a second one at
 * once: in either case the next run goes on from there. Events that were parked or skipped make the status 3.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "output.h"
#include "progress.h"
#include "table.h"
#include "tool.h"

enum { KEY_INTO = ARGS_FIRST_OWN, KEY_BATCH, KEY_ON_FAILURE, KEY_LIST, KEY_ROLLBACK, LOOK_MS = 100 };

struct projecting {
    const char *name; /* of the command */
    const char *db;
    const char *file;
    const char *into;
    const char *rollback; /* a projection to be put back */
    struct stele_model_options options;
    bool follow;
    bool quiet;
    bool list;
};

static volatile sig_atomic_t stop_asked;

static void ask_to_stop(int signal_number)
{
    (void)signal_number;
    stop_asked = 1;
}

/* --- Arguments --------------------------------------------------------------------- */

static enum stele_poison_policy parse_policy(const struct argp_state *state, const char *text)
{
    static const char *const names[] = {
        [STELE_POISON_PARK] = "park", [STELE_POISON_STOP] = "stop", [STELE_POISON_SKIP] = "skip"};
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(text, names[i]) == 0)
            return (enum stele_poison_policy)i;
    }
    args_refuse(state, "--on-failure: '%s' is none of park, stop, skip", text);
}

static void check_arguments(const struct projecting *projecting, const struct argp_state *state)
{
    if (projecting->into == NULL)
        args_refuse(state, "--into READ.DB is missing");
    if (projecting->list || projecting->rollback != NULL) {
        if (projecting->db != NULL)
            args_refuse(state, "%s takes no DB and no FILE", projecting->list ? "--list" : "--rollback");
        return;
    }
    args_require(state, 2, "DB and FILE");
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct projecting *projecting = state->input;
    const char **const places[] = {&projecting->db, &projecting->file};
    switch (key) {
    case ARGP_KEY_INIT: args_begin(state); return 0;
    case ARGP_KEY_ARG: args_place(state, argument, places, 2); return 0;
    case ARGP_KEY_END: check_arguments(projecting, state); return 0;
    case KEY_INTO: projecting->into = argument; return 0;
    case KEY_BATCH:
        projecting->options.batch = args_number(state, "--batch", argument, 1, STELE_SUBSCRIPTION_BATCH_MAX);
        return 0;
    case KEY_ON_FAILURE: projecting->options.on_failure = parse_policy(state, argument); return 0;
    case KEY_LIST: projecting->list = true; return 0;
    case KEY_ROLLBACK: projecting->rollback = argument; return 0;
    case 'f': projecting->follow = true; return 0;
    case 'q': projecting->quiet = true; return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

#define SHARED_OPTIONS \
    {"into", KEY_INTO, "READ.DB", 0, "The read database; made if it is not there", 0}, \
        {"batch", KEY_BATCH, "N", 0, "Events of one transaction (default 500)", 0}, \
        {"on-failure", \
         KEY_ON_FAILURE, \
         "POLICY", \
         0, \
         "What becomes of an event that fails: park it as a dead letter (default), stop in front of it, or skip it", \
         0}, \
    { \
        "quiet", 'q', NULL, 0, "Say nothing unless something is wrong", 0 \
    }

static const struct argp_option project_options[] = {
    SHARED_OPTIONS,
    {"follow", 'f', NULL, 0, "Go on with events that are appended from now on, until interrupted", 0},
    {"list", KEY_LIST, NULL, 0, "Only list what is in READ.DB", 0},
    {0},
};

static const struct argp project_argp = {
    .options = project_options,
    .parser = parse,
    .args_doc = "DB FILE\n--list --into READ.DB",
    .doc =
        "Build the read model that the SQL file FILE describes, and bring it to the end of the log. It goes on where it "
        "stopped; another version than the one that is there is built beside it and takes its place when it is "
        "complete.",
};

static const struct argp_option rebuild_options[] = {
    SHARED_OPTIONS,
    {"rollback", KEY_ROLLBACK, "NAME", 0, "Put the version of projection NAME before this one back", 0},
    {0},
};

static const struct argp rebuild_argp = {
    .options = rebuild_options,
    .parser = parse,
    .args_doc = "DB FILE\n--rollback NAME --into READ.DB",
    .doc = "Build a read model anew from the first event, beside the one that is there, and let it take its place. The "
           "one before is kept, and can be put back.",
};

/* --- What is there --------------------------------------------------------------------- */

static bool list_one(void *context, const struct stele_model_record *record)
{
    struct table *table = context;
    table_text(table, record->name);
    table_number(table, record->version);
    table_number(table, record->position);
    table_number(table, record->old_version);
    table_text(table, record->is_building ? "yes" : "no");
    return !output_is_lost();
}

static int list(const struct projecting *projecting)
{
    static const struct table_column columns[] = {
        {.title = "NAME"},
        {.title = "VERSION", .right = true},
        {.title = "POSITION", .right = true},
        {.title = "KEPT VERSION", .right = true},
        {.title = "BEING BUILT"},
        {.title = NULL},
    };
    struct table *table = table_new(columns);
    stele_error *error = NULL;
    const stele_status status = stele_model_list(projecting->into, list_one, table, &error);
    if (status == STELE_OK)
        table_flush(table);
    table_free(table);
    return status == STELE_OK ? TOOL_DONE : tool_fail(projecting->name, error);
}

static int roll_back(const struct projecting *projecting)
{
    stele_error *error = NULL;
    if (stele_model_rollback(projecting->into, projecting->rollback, &error) != STELE_OK)
        return tool_fail(projecting->name, error);
    if (!projecting->quiet)
        output_format("%s: the version before is back\n", projecting->rollback);
    return TOOL_DONE;
}

/* --- Running ------------------------------------------------------------------------------ */

/* Until it is done, has failed, or a signal came. */
static stele_status wait_for_end(const struct projecting *projecting, stele_subscription *running, stele_error **error)
{
    struct progress progress;
    struct stele_subscription_stats stats;
    progress_start(&progress);
    stele_status status = STELE_TIMEOUT;
    while (status == STELE_TIMEOUT && !stop_asked) {
        stele_error *waiting = NULL;
        status = stele_subscription_join(running, LOOK_MS, &waiting);
        stele_subscription_get_stats(running, &stats);
        if (status != STELE_OK && status != STELE_TIMEOUT)
            *error = waiting;
        else
            stele_error_free(waiting);
        if (status == STELE_TIMEOUT && !projecting->quiet && stats.state != STELE_SUBSCRIPTION_LIVE)
            progress_show(&progress, stats.handled, stats.position - stats.begin, stats.head - stats.begin);
        else
            progress_clear(&progress);
    }
    progress_clear(&progress);
    return status == STELE_TIMEOUT ? STELE_OK : status;
}

static int tell(const struct projecting *projecting, const stele_model *model,
                const struct stele_subscription_stats *stats)
{
    if (!projecting->quiet)
        output_format("%s version %" PRIu32 ": %" PRIu64 " events, up to position %" PRIu64 "\n",
                      stele_model_name(model), stele_model_version(model), stats->handled, stats->position);
    if (stats->parked + stats->skipped == 0)
        return TOOL_DONE;
    tool_say(projecting->name, "%" PRIu64 " events failed and were %s; the last one, at position %" PRIu64 ": %s",
             stats->parked + stats->skipped, stats->parked ? "parked (see stele dead)" : "skipped",
             stats->last_error_position, stats->last_error_text);
    return TOOL_BAD_LINES;
}

/* One that failed before is tried again: that is what it was started for. */
static stele_status wake(stele_subscription *running, stele_error **error)
{
    struct stele_subscription_stats stats;
    stele_subscription_get_stats(running, &stats);
    return stats.state == STELE_SUBSCRIPTION_FAILED ? stele_subscription_resume(running, error) : STELE_OK;
}

static int run(const struct projecting *projecting, const stele_model *model, stele_store *store,
               stele_runtime *runtime)
{
    stele_subscription *running = NULL;
    struct stele_subscription_stats stats = {0};
    stele_error *error = NULL;
    stele_status status =
        stele_model_start(model, store, runtime, projecting->into, &projecting->options, &running, &error);
    if (status == STELE_OK)
        status = wake(running, &error);
    if (status == STELE_OK)
        status = wait_for_end(projecting, running, &error);
    if (running != NULL)
        stele_subscription_get_stats(running, &stats);
    stele_subscription_free(running);
    return status == STELE_OK ? tell(projecting, model, &stats) : tool_fail(projecting->name, error);
}

static void warn(void *context, const char *text)
{
    const struct projecting *projecting = context;
    if (!projecting->quiet)
        tool_say(projecting->name, "%s", text);
}

static int project(struct projecting *projecting)
{
    const struct sigaction action = {.sa_handler = ask_to_stop, .sa_flags = (int)SA_RESETHAND};
    stele_model *model = NULL;
    stele_runtime *runtime = NULL;
    stele_error *error = NULL;
    if (stele_model_load(projecting->file, &model, &error) != STELE_OK)
        return tool_fail(projecting->name, error);
    int status = TOOL_FAILED;
    stele_store *store = tool_open(projecting->name, projecting->db, STELE_OPEN_EXISTING);
    if (store == NULL)
        goto out;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    projecting->options.until = projecting->follow ? STELE_UNTIL_STOPPED : STELE_UNTIL_HEAD;
    if (stele_model_check(model, store, warn, projecting, &error) != STELE_OK ||
        stele_runtime_new(1, NULL, &runtime, &error) != STELE_OK)
        status = tool_fail(projecting->name, error);
    else
        status = run(projecting, model, store, runtime);
out:
    stele_store_close(store);
    stele_runtime_free(runtime);
    stele_model_free(model);
    return status;
}

int command_project(int argc, char **argv)
{
    struct projecting projecting = {.name = "project", .options = STELE_OPTIONS_INIT(struct stele_model_options)};
    args_parse(&project_argp, argc, argv, &projecting);
    return projecting.list ? list(&projecting) : project(&projecting);
}

int command_rebuild(int argc, char **argv)
{
    struct projecting projecting = {.name = "rebuild", .options = STELE_OPTIONS_INIT(struct stele_model_options)};
    args_parse(&rebuild_argp, argc, argv, &projecting);
    projecting.options.rebuild = true;
    return projecting.rollback != NULL ? roll_back(&projecting) : project(&projecting);
}
