/*
 * Arguments shared by the commands: numbers and times are read strictly, and
 * the message names the option and what it was given.
 */
#include "args.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

/* The name in usage texts, "stele read"; argv[0] is "stele: read", with which getopt begins its messages. */
static char usage_name[32];
static char **usage_argv;

void args_parse(const struct argp *argp, int argc, char **argv, void *input)
{
    const error_t fault = argp_parse(argp, argc, argv, 0, NULL, input);
    if (fault != 0) {
        tool_say(NULL, "%s", strerror(fault));
        exit(TOOL_FAILED);
    }
}

static const char *command_of(const struct argp_state *state)
{
    return state->argv[0] + strlen("stele: ");
}

void args_begin(struct argp_state *state)
{
    snprintf(usage_name, sizeof(usage_name), "stele %s", command_of(state));
    program_invocation_short_name = usage_name;
    /* argp takes that name, and not argv[0], if it finds another argv than it was called with. */
    const size_t size = ((size_t)state->argc + 1) * sizeof(*usage_argv);
    usage_argv = tool_resize(usage_argv, size);
    memcpy(usage_argv, state->argv, size);
    state->argv = usage_argv;
}

void args_refuse(const struct argp_state *state, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    tool_say(command_of(state), "%s", text);
    argp_state_help(state, stderr, ARGP_HELP_STD_USAGE);
    exit(TOOL_USAGE);
}

void args_place(const struct argp_state *state, char *argument, const char **const places[], unsigned count)
{
    if (state->arg_num >= count)
        args_refuse(state, "one argument too many: '%s'", argument);
    *places[state->arg_num] = argument;
}

void args_require(const struct argp_state *state, unsigned count, const char *names)
{
    if (state->arg_num < count)
        args_refuse(state, "an argument is missing: %s", names);
}

error_t args_parse_showing(int key, char *argument, struct argp_state *state)
{
    struct args_showing *showing = state->input;
    const char **const places[] = {&showing->db};
    switch (key) {
    case ARGP_KEY_INIT: args_begin(state); return 0;
    case 'j': showing->json = true; return 0;
    case ARGP_KEY_ARG: args_place(state, argument, places, 1); return 0;
    case ARGP_KEY_END: args_require(state, 1, "DB"); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

bool args_is_number(const char *text, uint64_t max, uint64_t *out)
{
    uint64_t number = 0;
    if (text[0] == '\0')
        return false;
    for (; *text != '\0'; text++) {
        const unsigned digit = (unsigned)(unsigned char)*text - '0';
        if (digit > 9 || number > (max - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    *out = number;
    return true;
}

uint64_t args_number(const struct argp_state *state, const char *option, const char *text, uint64_t min, uint64_t max)
{
    uint64_t number = 0;
    if (!args_is_number(text, max, &number) || number < min)
        args_refuse(state, "%s: '%s' is not a number from %" PRIu64 " to %" PRIu64, option, text, min, max);
    return number;
}

int64_t args_time(const struct argp_state *state, const char *option, const char *text, bool whole_day)
{
    static const char day_end[] = "T23:59:59.999999999Z";
    char moment[STELE_TIME_TEXT_SIZE + sizeof(day_end)] = "";
    const size_t size = strlen(text);
    if (size < STELE_TIME_TEXT_SIZE)
        memcpy(moment, text, size);
    if (whole_day && size == strlen("2026-11-21"))
        memcpy(moment + size, day_end, sizeof(day_end));
    int64_t time = 0;
    if (stele_time_parse((struct stele_slice){moment, strlen(moment)}, &time, NULL) != STELE_OK)
        args_refuse(state, "%s: '%s' is not %sa time such as 2026-11-21T09:30:00Z", option, text,
                    whole_day ? "a number, a date or " : "");
    return time;
}

static void parse_until(const struct argp_state *state, const char *text, struct stele_query *query)
{
    if (text[strspn(text, "0123456789")] == '\0') {
        query->until = args_number(state, "--until", text, 1, STELE_VERSION_MAX);
        return;
    }
    query->has_until_time = true;
    query->until_time = args_time(state, "--until", text, true);
}

static error_t parse_reading(int key, char *argument, struct argp_state *state)
{
    struct args_reading *reading = state->input;
    switch (key) {
    case ARGS_AFTER: reading->query.after = args_number(state, "--after", argument, 0, STELE_VERSION_MAX); return 0;
    case 'n': reading->query.limit = args_number(state, "--limit", argument, 1, STELE_VERSION_MAX); return 0;
    case 'r': reading->query.backwards = true; return 0;
    case 't': reading->query.type = argument; return 0;
    case 'j': reading->json = true; return 0;
    case ARGS_UNTIL: parse_until(state, argument, &reading->query); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option reading_options[] = {
    {"after", ARGS_AFTER, "N", 0, "Begin behind this version (of a stream) or position (of the log)", 0},
    {"limit", 'n', "N", 0, "Show at most N events", 0},
    {"reverse", 'r', NULL, 0, "Newest first; --after N then begins below N", 0},
    {"type", 't', "PATTERN", 0, "Only types that match: a name, or bank.* (one level), bank.> (all below)", 0},
    {"until", ARGS_UNTIL, "END", 0,
     "Up to this version or position, if END is a number; else up to this time: a date (all of that day, UTC) "
     "or a date-time, both as in RFC 3339",
     0},
    {"json", 'j', NULL, 0, "Write one CloudEvent a line, as JSON", 0},
    {0},
};

const struct argp args_reading = {.options = reading_options, .parser = parse_reading};
