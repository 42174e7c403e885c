/*
 * `bank run`.
 *
 *   file -> read_line -> line_parse -> bank_handle -> tally -> summary
 *                          '- malformed lines: tallied with number and reason
 *
 * What can fail: the file, the ledger, memory. Lines handled so far stay
 * handled; the next run goes on behind them.
 */
#include "run.h"

#include "money.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RULES_MAX = 16, LINE_MAX_SIZE = 4096 };

struct rule {
    char name[REASON_SIZE];
    size_t count;
};

struct malformed {
    struct malformed *next;
    size_t number;
    char reason[REASON_SIZE];
};

struct tally {
    size_t lines;
    size_t outcomes[OUTCOME_MALFORMED + 1];
    struct rule rules[RULES_MAX];
    size_t rule_count;
    struct malformed *malformed;
    struct malformed **last;
};

/* --- Counting -------------------------------------------------------------------- */

static bool count_rule(struct tally *tally, const char *name)
{
    size_t i = 0;

    while (i < tally->rule_count && strcmp(tally->rules[i].name, name) != 0)
        i++;
    if (i == RULES_MAX)
        return false;
    if (i == tally->rule_count) {
        snprintf(tally->rules[i].name, REASON_SIZE, "%s", name);
        tally->rule_count++;
    }
    tally->rules[i].count++;
    return true;
}

static bool note_malformed(struct tally *tally, const char *reason)
{
    struct malformed *malformed = calloc(1, sizeof(*malformed));

    if (!malformed)
        return false;
    malformed->number = tally->lines;
    snprintf(malformed->reason, REASON_SIZE, "%s", reason);
    *tally->last = malformed;
    tally->last = &malformed->next;
    return true;
}

static bool count_outcome(struct tally *tally, enum outcome outcome, const char *reason)
{
    tally->outcomes[outcome]++;
    if (outcome == OUTCOME_REJECTED)
        return count_rule(tally, reason);
    return outcome == OUTCOME_MALFORMED ? note_malformed(tally, reason) : true;
}

static void tally_clear(struct tally *tally)
{
    while (tally->malformed) {
        struct malformed *next = tally->malformed->next;

        free(tally->malformed);
        tally->malformed = next;
    }
}

/* --- Reading ------------------------------------------------------------------------ */

/* Words on standard error; returns the exit status. */
static int fail(const char *path, size_t number, const char *why)
{
    if (number)
        fprintf(stderr, "bank: %s: line %zu: %s\n", path, number, why);
    else
        fprintf(stderr, "bank: %s: %s\n", path, why);
    return EXIT_FAILURE;
}

static stele_status handle_bytes(struct bank *bank, struct tally *tally, char *bytes, size_t size, stele_error **error)
{
    char reason[REASON_SIZE] = "";
    enum outcome outcome = OUTCOME_MALFORMED;
    struct line line;
    stele_status status = STELE_OK;

    if (size > LINE_MAX_SIZE)
        snprintf(reason, REASON_SIZE, "the line has %zu bytes, the limit is %d", size, LINE_MAX_SIZE);
    else if (line_parse(bytes, size, &line, reason))
        status = bank_handle(bank, &line, &outcome, reason, error);
    if (status == STELE_OK && !count_outcome(tally, outcome, reason))
        status = STELE_NO_MEMORY;
    return status;
}

/* Read a line, with a NUL in place of its end, LF or CRLF. Of one that is too long only the size goes on; false at the
 * end of the file or on failure. */
static bool read_line(FILE *file, char bytes[LINE_MAX_SIZE + 1], size_t *size)
{
    size_t count = 0;
    int last = 0;
    int byte;

    while ((byte = getc_unlocked(file)) != EOF && byte != '\n') {
        if (count < LINE_MAX_SIZE)
            bytes[count] = (char)byte;
        count++;
        last = byte;
    }
    if (ferror(file) || (byte == EOF && count == 0))
        return false;
    if (count > 0 && last == '\r')
        count--;
    bytes[count < LINE_MAX_SIZE ? count : LINE_MAX_SIZE] = '\0';
    *size = count;
    return true;
}

static int handle_lines(struct bank *bank, struct tally *tally, FILE *file, const char *path)
{
    char bytes[LINE_MAX_SIZE + 1];
    size_t size;
    int result = EXIT_SUCCESS;

    while (result == EXIT_SUCCESS && read_line(file, bytes, &size)) {
        stele_error *error = NULL;
        stele_status status;

        tally->lines++;
        if (tally->lines == 1) {
            if (strcmp(bytes, LINE_HEADER) != 0)
                result = fail(path, 1, "not a file of statements: the first line must be " LINE_HEADER);
            continue;
        }
        status = handle_bytes(bank, tally, bytes, size, &error);
        if (status != STELE_OK)
            result = fail(path, tally->lines, error ? stele_error_message(error) : stele_status_text(status));
        stele_error_free(error);
    }
    if (result == EXIT_SUCCESS && ferror(file))
        result = fail(path, 0, strerror(errno));
    else if (result == EXIT_SUCCESS && tally->lines == 0)
        result = fail(path, 0, "the file is empty");
    return result;
}

/* --- The summary ----------------------------------------------------------------------- */

static int compare_rules(const void *left, const void *right)
{
    const struct rule *a = left;
    const struct rule *b = right;

    return strcmp(a->name, b->name);
}

static void print_tally(struct tally *tally, const char *path)
{
    printf("%s: %zu lines\n\n", path, tally->lines - 1);
    printf("  %-28s %8zu\n", "accepted", tally->outcomes[OUTCOME_ACCEPTED]);
    printf("  %-28s %8zu\n", "rejected", tally->outcomes[OUTCOME_REJECTED]);
    qsort(tally->rules, tally->rule_count, sizeof(tally->rules[0]), compare_rules);
    for (size_t i = 0; i < tally->rule_count; i++)
        printf("    %-26s %8zu\n", tally->rules[i].name, tally->rules[i].count);
    printf("  %-28s %8zu\n", "already handled", tally->outcomes[OUTCOME_HANDLED]);
    printf("  %-28s %8zu\n", "malformed", tally->outcomes[OUTCOME_MALFORMED]);
    for (const struct malformed *malformed = tally->malformed; malformed; malformed = malformed->next)
        printf("    line %-6zu %s\n", malformed->number, malformed->reason);
}

static void print_sum(const char *name, int64_t amount)
{
    char text[MONEY_TEXT_SIZE];

    money_print(amount, text);
    printf("  %-16s %20s %s\n", name, text, BANK_CURRENCY);
}

/* The books balance if what the accounts hold is what came in less what went out. */
static int print_totals(struct bank *bank)
{
    struct totals totals;
    stele_error *error = NULL;
    const stele_status status = bank_totals(bank, &totals, &error);
    int64_t expected;

    if (status != STELE_OK) {
        fprintf(stderr, "bank: adding up: %s\n", error ? stele_error_message(error) : stele_status_text(status));
        stele_error_free(error);
        return EXIT_FAILURE;
    }
    expected = totals.deposited;
    printf("\n");
    print_sum("deposited", totals.deposited);
    print_sum("withdrawn", totals.withdrawn);
    print_sum("held", totals.held);
    printf("  %-16s %20zu\n", "accounts", totals.accounts);
    if (!money_add(&expected, -totals.withdrawn) || expected != totals.held) {
        printf("\nNOT BALANCED: held is not deposited less withdrawn\n");
        return EXIT_FAILURE;
    }
    printf("\nbalanced\n");
    return EXIT_SUCCESS;
}

int run_file(struct bank *bank, const char *path)
{
    struct tally tally = {.last = &tally.malformed};
    FILE *file = fopen(path, "r");
    int result;

    if (!file)
        return fail(path, 0, strerror(errno));
    result = handle_lines(bank, &tally, file, path);
    fclose(file);
    if (result == EXIT_SUCCESS) {
        print_tally(&tally, path);
        result = print_totals(bank);
    }
    tally_clear(&tally);
    return result;
}
