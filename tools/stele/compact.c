/*
 * stele compact and stele upgrade: the file rebuilt without its free space,
 * and brought to the newest format. Both say what it was before and is now.
 */
#include <inttypes.h>

#include "args.h"
#include "output.h"
#include "tool.h"

struct change {
    const char *db;
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct change *change = state->input;
    const char **const places[] = {&change->db};
    switch (key) {
    case ARGP_KEY_INIT: args_begin(state); return 0;
    case ARGP_KEY_ARG: args_place(state, argument, places, 1); return 0;
    case ARGP_KEY_END: args_require(state, 1, "DB"); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp compact_argp = {
    .parser = parse,
    .args_doc = "DB",
    .doc = "Rebuild the file without free space. Positions, versions and ids stay. Nobody else may be reading or "
           "writing meanwhile, and twice the space is needed.",
};

static const struct argp upgrade_argp = {
    .parser = parse,
    .args_doc = "DB",
    .doc = "Bring the file to the newest format, in one step. Older programs may not be able to open it afterwards.",
};

static stele_status compact(stele_store *store, uint64_t *before, uint64_t *after, stele_error **error)
{
    struct stele_stats stats;
    stele_status status = stele_stats(store, &stats, error);
    if (status != STELE_OK)
        return status;
    *before = stats.bytes + stats.log_bytes;
    status = stele_compact(store, error);
    if (status == STELE_OK)
        status = stele_stats(store, &stats, error);
    *after = stats.bytes + stats.log_bytes;
    return status;
}

int command_compact(int argc, char **argv)
{
    struct change change = {0};
    args_parse(&compact_argp, argc, argv, &change);
    stele_store *store = tool_open("compact", change.db, STELE_OPEN_EXISTING);
    if (store == NULL)
        return TOOL_FAILED;
    uint64_t before = 0;
    uint64_t after = 0;
    stele_error *error = NULL;
    const stele_status status = compact(store, &before, &after, &error);
    stele_store_close(store);
    if (status != STELE_OK)
        return tool_fail("compact", error);
    output_format("%" PRIu64 " bytes before, %" PRIu64 " bytes now\n", before, after);
    return TOOL_DONE;
}

int command_upgrade(int argc, char **argv)
{
    struct change change = {0};
    args_parse(&upgrade_argp, argc, argv, &change);
    struct stele_format format = {0};
    stele_error *error = NULL;
    if (stele_upgrade(change.db, &format, &error) != STELE_OK)
        return tool_fail("upgrade", error);
    if (format.found < format.newest)
        output_format("format %" PRIu32 " before, format %" PRIu32 " now\n", format.found, format.newest);
    else
        output_format("format %" PRIu32 " is the newest: nothing to do\n", format.found);
    return TOOL_DONE;
}
