/*
 * bank: a year of transactions becomes a ledger one can ask.
 *
 *     bank run examples/bank/statements.csv ledger.db
 *     bank accounts ledger.db
 *     bank statement ledger.db 10000017 --as-of 2025-06-30
 *     bank report examples/bank/monthly.sql ledger.db monthly.db --svg balances.svg
 *
 * Exit status: 0 done, 1 failed, 2 used wrongly.
 */
#include "balances.h"
#include "bank.h"
#include "money.h"
#include "report.h"
#include "run.h"
#include "statement.h"

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_USAGE = 2, WORDS_MAX = 4 };

struct verb;

struct arguments {
    const char *words[WORDS_MAX];
    size_t count;
    const struct verb *verb; /* what the first word asks for */
    struct as_of as_of;
    struct alerts alerts;
    const char *account;
    const char *chart;
    int64_t above;
    bool has_above;
    bool is_watched;
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

static int act_balances(struct bank *bank, const struct arguments *arguments)
{
    return print_balances(bank, arguments->above);
}

static int act_report(struct bank *bank, const struct arguments *arguments)
{
    const struct report report = {
        .model = arguments->words[1],
        .into = arguments->words[3],
        .account = arguments->account,
        .chart = arguments->chart,
    };

    return print_report(bank, &report);
}

static const struct verb verbs[] = {
    {"run", 3, 1, 2, STELE_OPEN_CREATE, act_run},
    {"report", 4, 1, 2, STELE_OPEN_READ_ONLY, act_report},
    {"statement", 3, 0, 1, STELE_OPEN_READ_ONLY, act_statement},
    {"accounts", 2, 0, 1, STELE_OPEN_READ_ONLY, act_accounts},
    {"balances", 2, 0, 1, STELE_OPEN_READ_ONLY, act_balances},
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
    {"above", 'b', "AMOUNT", 0, "The balances of so much and more", 0},
    {"account", 'c', "NUMBER", 0, "The report of one account only", 0},
    {"alert", 'l', "AMOUNT", 0, "Tell each withdrawal of so much and more on standard error as it is stored", 0},
    {"as-of", 'a', "DATE", 0, "The statement as it was at the end of that day (2025-06-30), or at that moment", 0},
    {"svg", 's', "FILE", 0, "Write the balances of the report as a bar chart", 0},
    {"watch", 'w', NULL, 0, "Tell on standard error where cash is withdrawn three times within a day", 0},
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

static void check(const struct arguments *arguments, struct argp_state *state)
{
    const struct verb *verb = arguments->verb;

    if (!verb)
        argp_error(state,
                   "%s: not one of: run FILE LEDGER, statement LEDGER ACCOUNT, accounts LEDGER, "
                   "balances LEDGER, report MODEL LEDGER DATABASE",
                   arguments->words[0]);
    else if (arguments->as_of.is_given && verb->act != act_statement)
        argp_error(state, "--as-of goes with statement only");
    else if ((arguments->alerts.out || arguments->is_watched) && verb->act != act_run)
        argp_error(state, "--alert and --watch go with run only");
    else if (arguments->has_above && verb->act != act_balances)
        argp_error(state, "--above goes with balances only");
    else if ((arguments->account || arguments->chart) && verb->act != act_report)
        argp_error(state, "--account and --svg go with report only");
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
    case 'c': arguments->account = value; return 0;
    case 's': arguments->chart = value; return 0;
    case 'w': arguments->is_watched = true; return 0;
    case 'b':
        why = money_parse(value, &arguments->above);
        if (why)
            argp_error(state, "%s: the amount %s", value, why);
        arguments->has_above = true;
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
    case ARGP_KEY_NO_ARGS: argp_error(state, "say what to do: run, statement, accounts, balances or report"); return 0;
    case ARGP_KEY_END:
        arguments->verb = find_verb(arguments);
        check(arguments, state);
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp parser = {
    options,
    parse_option,
    "run FILE LEDGER\nstatement LEDGER ACCOUNT\naccounts LEDGER\nbalances LEDGER\nreport MODEL LEDGER DATABASE",
    "Run a file of bank transactions into a ledger, and ask the ledger.\v"
    "LEDGER is the path or URL of a stele store; `run` creates it. Running a file again changes nothing. "
    "MODEL is an SQL file such as examples/bank/monthly.sql, DATABASE where it keeps what it has added up.",
    NULL,
    NULL,
    NULL,
};

static int act(const struct arguments *arguments)
{
    const struct verb *verb = arguments->verb;
    const struct bank_options bank_options = {
        .mode = verb->mode, .alerts = arguments->alerts, .watch = arguments->is_watched ? stderr : NULL};
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
