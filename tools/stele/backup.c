/*
 * stele backup and stele restore: a copy of a store, out of it and back.
 *
 * The library makes, checks and names the copy; here are the words. Both say
 * what the copy holds, of which the head is worth noting (verify --expect-head).
 */
#include <inttypes.h>

#include "args.h"
#include "output.h"
#include "progress.h"
#include "tool.h"

struct backup {
    const char *name; /* of the command */
    const char *from;
    const char *to;
    bool force;
    bool json;
    struct progress progress;
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct backup *backup = state->input;
    const char **const places[] = {&backup->from, &backup->to};
    switch (key) {
    case ARGP_KEY_INIT: args_begin(state); return 0;
    case 'f': backup->force = true; return 0;
    case 'j': backup->json = true; return 0;
    case ARGP_KEY_ARG: args_place(state, argument, places, 2); return 0;
    case ARGP_KEY_END: args_require(state, 2, state->root_argp->args_doc); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option backup_options[] = {
    {"force", 'f', NULL, 0, "Replace FILE if it is a store that is not in use", 0},
    {"json", 'j', NULL, 0, "Write one JSON object", 0},
    {0},
};

static const struct argp backup_argp = {
    .options = backup_options,
    .parser = parse,
    .args_doc = "DB FILE",
    .doc = "Copy a store to FILE while it is read and written. The copy is the store as it was at one moment; "
           "it is checked before it gets its name.",
};

static const struct argp_option restore_options[] = {
    {"force", 'f', NULL, 0, "Replace DB if it is a store that is not in use", 0},
    {"json", 'j', NULL, 0, "Write one JSON object", 0},
    {0},
};

static const struct argp restore_argp = {
    .options = restore_options,
    .parser = parse,
    .args_doc = "BACKUP DB",
    .doc = "Check a backup and copy it to DB, whole or not at all. The backup stays.",
};

static bool show_progress(void *context, uint64_t done, uint64_t all)
{
    struct backup *backup = context;
    progress_show(&backup->progress, 0, done, all);
    return true;
}

static void report(const struct backup *backup, const struct stele_copied *copied)
{
    if (backup->json)
        output_format("{\"events\":%" PRIu64 ",\"streams\":%" PRIu64 ",\"head\":%" PRIu64 ",\"bytes\":%" PRIu64 "}\n",
                      copied->events, copied->streams, copied->head, copied->bytes);
    else
        output_format("%" PRIu64 " events in %" PRIu64 " streams, head %" PRIu64 ", %" PRIu64 " bytes\n",
                      copied->events, copied->streams, copied->head, copied->bytes);
}

static stele_status back_up(const struct backup *backup, const struct stele_copy_options *options,
                            struct stele_copied *copied, stele_error **error)
{
    struct stele_store_options how = STELE_OPTIONS_INIT(struct stele_store_options);
    how.mode = STELE_OPEN_READ_ONLY;
    stele_store *store = NULL;
    stele_status status = stele_store_open(backup->from, &how, &store, error);
    if (status == STELE_OK)
        status = stele_backup(store, backup->to, options, copied, error);
    stele_store_close(store);
    return status;
}

static int run(struct backup *backup, bool restores)
{
    struct stele_copy_options options = STELE_OPTIONS_INIT(struct stele_copy_options);
    options.overwrite = backup->force;
    options.progress = show_progress;
    options.context = backup;
    struct stele_copied copied = {0};
    stele_error *error = NULL;
    progress_start(&backup->progress);
    const stele_status status = restores ? stele_restore(backup->from, backup->to, &options, &copied, &error)
                                         : back_up(backup, &options, &copied, &error);
    progress_clear(&backup->progress);
    if (status != STELE_OK)
        return tool_fail(backup->name, error);
    report(backup, &copied);
    return TOOL_DONE;
}

int command_backup(int argc, char **argv)
{
    struct backup backup = {.name = "backup"};
    args_parse(&backup_argp, argc, argv, &backup);
    return run(&backup, false);
}

int command_restore(int argc, char **argv)
{
    struct backup backup = {.name = "restore"};
    args_parse(&restore_argp, argc, argv, &backup);
    return run(&backup, true);
}
