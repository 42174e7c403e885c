/*
 * bank: a year of transactions becomes a ledger one can ask.
 *
 *     bank run examples/bank/statements.csv ledger.db
 *     bank accounts ledger.db
 *     bank statement ledger.db 10000017 --as-of 2025-06-30
 *
 * Exit status: 0 done, 1 failed, 2 used wrongly.
 */
#include "bank.h"
#include "money.h"
#include "run.h"
#include "statement.h"

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_USAGE = 2, WORDS_MAX = 3 };

struct verb;

struct arguments {
    const char *words[WORDS_MAX];
    size_t count;
    const struct verb *verb; /* what the first word asks for */
    struct as_of as_of;
    struct alerts alerts;
};

/* What can be asked for. */
struct verb {
    const char *name;
    size_t words; /* its own included */
    size_t file;  /* which of them is a file to read; 0 for none */
    size_t ledger;
    enum stele_open_mode mode;
    int (*act)(struct bank *bank, const struct arguments *arguments);
};

static int act_run(struct bank *bank, const struct arguments *arguments)
{
    return run_file(bank, arguments->words[1]);
}

static int act_statement(struct bank *bank, const struct arguments *arguments)
{
    return print_statement(bank, arguments->words[2], arguments->as_of);
}

static int act_accounts(struct bank *bank, const struct arguments *arguments)
{
    (void)arguments;
    return print_accounts(bank);
}

static const struct verb verbs[] = {
    {"run", 3, 1, 2, STELE_OPEN_CREATE, act_run},
    {"statement", 3, 0, 1, STELE_OPEN_READ_ONLY, act_statement},
    {"accounts", 2, 0, 1, STELE_OPEN_READ_ONLY, act_accounts},
};

static const struct verb *find_verb(const struct arguments *arguments)
{
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (strcmp(arguments->words[0], verbs[i].name) == 0 && arguments->count == verbs[i].words)
            return &verbs[i];
    }
    return NULL;
}

static const struct argp_option options[] = {
    {"alert", 'l', "AMOUNT", 0, "Tell each withdrawal of so much and more on standard error as it is stored", 0},
    {"as-of", 'a', "DATE", 0, "The statement as it was at the end of that day (2025-06-30), or at that moment", 0},
    {0},
};

/* A day, to its end in UTC, or a date and time of RFC 3339. */
static bool parse_moment(const char *text, int64_t *time)
{
    char moment[64];

    if (strlen(text) == strlen("2025-06-30"))
        snprintf(moment, sizeof(moment), "%sT23:59:59.999999999Z", text);
    else
        snprintf(moment, sizeof(moment), "%s", text);
    return stele_time_parse((struct stele_slice){moment, strlen(moment)}, time, NULL) == STELE_OK;
}

static error_t parse_option(int key, char *value, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    const char *why = NULL;

    switch (key) {
    case 'a':
        if (!parse_moment(value, &arguments->as_of.time))
            argp_error(state, "%s: not a date such as 2025-06-30 or 2025-06-30T12:00:00Z", value);
        arguments->as_of.is_given = true;
        return 0;
    case 'l':
        why = money_parse(value, &arguments->alerts.limit);
        if (why)
            argp_error(state, "%s: the amount %s", value, why);
        arguments->alerts.out = stderr;
        return 0;
    case ARGP_KEY_ARG:
        if (arguments->count == WORDS_MAX)
            argp_error(state, "%s: one argument too many", value);
        arguments->words[arguments->count++] = value;
        return 0;
    case ARGP_KEY_NO_ARGS: argp_error(state, "say what to do: run, statement or accounts"); return 0;
    case ARGP_KEY_END:
        arguments->verb = find_verb(arguments);
        if (!arguments->verb)
            argp_error(state, "%s: not one of: run FILE LEDGER, statement LEDGER ACCOUNT, accounts LEDGER",
                       arguments->words[0]);
        else if (arguments->as_of.is_given && arguments->verb->act != act_statement)
            argp_error(state, "--as-of goes with statement only");
        else if (arguments->alerts.out && arguments->verb->act != act_run)
            argp_error(state, "--alert goes with run only");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp parser = {
    options,
    parse_option,
    "run FILE LEDGER\nstatement LEDGER ACCOUNT\naccounts LEDGER",
    "Run a file of bank transactions into a ledger, and ask the ledger.\v"
    "LEDGER is the path or URL of a stele store; `run` creates it. Running a file again changes nothing.",
    NULL,
    NULL,
    NULL,
};

static int act(const struct arguments *arguments)
{
    const struct verb *verb = arguments->verb;
    const struct bank_options bank_options = {.mode = verb->mode, .alerts = arguments->alerts};
    struct bank bank;
    stele_error *error = NULL;
    int result;

    /* Before a ledger is made for nothing. */
    if (verb->file && access(arguments->words[verb->file], R_OK) != 0) {
        fprintf(stderr, "bank: %s: %s\n", arguments->words[verb->file], strerror(errno));
        return EXIT_FAILURE;
    }
    if (bank_open(&bank, arguments->words[verb->ledger], &bank_options, &error) != STELE_OK) {
        fprintf(stderr, "bank: %s\n", stele_error_message(error));
        stele_error_free(error);
        return EXIT_FAILURE;
    }
    result = verb->act(&bank, arguments);
    bank_close(&bank);
    return result;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {0};
    int result;

    argp_err_exit_status = EXIT_USAGE;
    argp_parse(&parser, argc, argv, 0, NULL, &arguments);
    result = act(&arguments);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        perror("bank: standard output");
        return EXIT_FAILURE;
    }
    return result;
}
