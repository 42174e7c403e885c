/*
 * stele verify: check everything that is stored, and say what was checked.
 *
 * The store calls back with each fault, which is written at once, and with its
 * progress. Faults make the exit status 1.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "output.h"
#include "progress.h"
#include "safe.h"
#include "tool.h"

static const char name[] = "verify";

enum { KEY_EXPECT_HEAD = ARGS_FIRST_OWN };

struct verify {
    const char *db;
    uint64_t expect_head;
    bool json;
    uint64_t faults; /* told so far */
    struct progress progress;
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct verify *verify = state->input;
    const char **const places[] = {&verify->db};
    switch (key) {
    case ARGP_KEY_INIT: args_begin(state); return 0;
    case KEY_EXPECT_HEAD:
        verify->expect_head = args_number(state, "--expect-head", argument, 1, STELE_VERSION_MAX);
        return 0;
    case 'j': verify->json = true; return 0;
    case ARGP_KEY_ARG: args_place(state, argument, places, 1); return 0;
    case ARGP_KEY_END: args_require(state, 1, "DB"); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option options[] = {
    {"expect-head", KEY_EXPECT_HEAD, "POSITION", 0,
     "The store must reach to this position, which was noted elsewhere before", 0},
    {"json", 'j', NULL, 0, "Write one JSON object", 0},
    {0},
};

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "DB",
    .doc = "Check the write-ahead log, the structure of the file, every checksum, gapless versions, "
           "payloads that decode, and unique ids.",
};

static void show_fault(void *context, const char *text)
{
    struct verify *verify = context;
    const struct stele_slice raw = {text, strlen(text)};
    progress_clear(&verify->progress);
    if (verify->json) {
        output_text(verify->faults == 0 ? "" : ",");
        output_json_string(raw);
    } else {
        const struct safe_extent extent = safe_measure(raw, SAFE_UNLIMITED);
        char *harmless = tool_resize(NULL, extent.size + 1);
        safe_write(raw, &extent, harmless);
        output_text("fault: ");
        output_bytes(harmless, extent.size);
        output_text("\n");
        free(harmless);
    }
    verify->faults++;
}

static bool show_progress(void *context, uint64_t done, uint64_t all)
{
    struct verify *verify = context;
    progress_show(&verify->progress, done, done, all);
    return true;
}

static void write_table(const struct stele_verified *verified)
{
    output_format("events       %" PRIu64 " checked\n", verified->events);
    output_format("streams      %" PRIu64 " checked\n", verified->streams);
    output_format("log commits  %" PRIu64 " checked\n", verified->log_commits);
    output_format("faults       %" PRIu64 "\n", verified->faults);
}

static int finish(const struct verify *verify, const struct stele_verified *verified, stele_status status,
                  stele_error *error)
{
    if (verify->json)
        output_format("],\"ok\":%s,\"events\":%" PRIu64 ",\"streams\":%" PRIu64 ",\"logcommits\":%" PRIu64 "}\n",
                      status == STELE_OK ? "true" : "false", verified->events, verified->streams,
                      verified->log_commits);
    else
        write_table(verified);
    return status == STELE_OK ? TOOL_DONE : tool_fail(name, error);
}

int command_verify(int argc, char **argv)
{
    struct verify verify = {0};
    args_parse(&argp, argc, argv, &verify);
    stele_store *store = tool_open(name, verify.db, STELE_OPEN_READ_ONLY);
    if (store == NULL)
        return TOOL_FAILED;
    struct stele_verify_options asked = STELE_OPTIONS_INIT(struct stele_verify_options);
    asked.expect_head = verify.expect_head;
    asked.fault = show_fault;
    asked.progress = show_progress;
    asked.context = &verify;
    struct stele_verified verified = {0};
    stele_error *error = NULL;
    progress_start(&verify.progress);
    if (verify.json)
        output_text("{\"faults\":[");
    const stele_status status = stele_verify(store, &asked, &verified, &error);
    progress_clear(&verify.progress);
    stele_store_close(store);
    return finish(&verify, &verified, status, error);
}
