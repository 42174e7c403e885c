/*
 * Arguments: what the commands' argp parsers share.
 *
 * Every command is handed argv with argv[0] "stele: COMMAND", the form in which
 * getopt begins its messages. A wrong argument ends the program with status 2.
 */
#ifndef STELE_TOOLS_ARGS_H
#define STELE_TOOLS_ARGS_H

#include <argp.h>
#include <stele.h>

/* Parse a command's line with its parser; returns only if all is well. */
void args_parse(const struct argp *argp, int argc, char **argv, void *input);

/* To be called for ARGP_KEY_INIT: names the command as usage texts show it. */
void args_begin(struct argp_state *state);

/* Tell what is wrong with the arguments, and end. */
_Noreturn void args_refuse(const struct argp_state *state, const char *format, ...) STELE_PRINTF(2, 3);

/* For ARGP_KEY_ARG: put the argument into the next of `count` places, or refuse one too many. */
void args_place(const struct argp_state *state, char *argument, const char **const places[], unsigned count);

/* For ARGP_KEY_END: refuse fewer than `count` arguments; `names` are theirs, for the message. */
void args_require(const struct argp_state *state, unsigned count, const char *names);

/* A decimal number from `min` to `max`, without sign, blanks or anything behind it. */
uint64_t args_number(const struct argp_state *state, const char *option, const char *text, uint64_t min, uint64_t max);
/* The same without a message: false if it is none. */
bool args_is_number(const char *text, uint64_t max, uint64_t *out);

/* An RFC 3339 date-time; a date alone is its last moment (UTC) if `whole_day`, else refused. */
int64_t args_time(const struct argp_state *state, const char *option, const char *text, bool whole_day);

/* What commands take that show one thing of a store: DB, and 'j' (--json), each with a text of its own. */
struct args_showing {
    const char *db;
    bool json;
};
error_t args_parse_showing(int key, char *argument, struct argp_state *state);

/* What commands that list events take: --after --limit --reverse --type --until --json. */
struct args_reading {
    struct stele_query query;
    bool json;
};
extern const struct argp args_reading;

/* Keys of long options without a short one. */
enum {
    ARGS_AFTER = 0x100,
    ARGS_UNTIL,
    ARGS_CATEGORY,
    ARGS_FIRST_OWN /* a command's own keys begin here */
};

#endif
