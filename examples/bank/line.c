/*
 * Taking a line apart (see line.h).
 *
 *   bytes -> split at commas, quotes undone in place -> columns -> typed members
 *
 * What can fail: the line; the reason names the column.
 */
#include "line.h"

#include "account.h"
#include "money.h"

#include <stdio.h>
#include <string.h>

enum column { REFERENCE, TIME, KIND, ACCOUNT, COUNTER, AMOUNT, TEXT, COLUMNS };

static const char *const column_names[COLUMNS] = {"reference", "time", "kind", "account", "counter", "amount", "text"};

/* What a kind is called, and which columns it needs; the others must be empty, but for the text. */
static const struct kind {
    const char *name;
    bool has_counter;
    bool has_amount;
    bool has_owner; /* the text is one */
} kinds[] = {
    {.name = KIND_OPEN, .has_owner = true},
    {.name = KIND_DEPOSIT, .has_amount = true},
    {.name = KIND_WITHDRAW, .has_amount = true},
    {.name = KIND_TRANSFER, .has_counter = true, .has_amount = true},
    {.name = KIND_SUSPEND},
    {.name = KIND_REACTIVATE},
    {.name = KIND_CLOSE},
};

static bool fail(char fault[LINE_FAULT_SIZE], const char *what, const char *why)
{
    snprintf(fault, LINE_FAULT_SIZE, "%s %s", what, why);
    return false;
}

/* --- Columns ------------------------------------------------------------------ */

/* Undo the quotes of a field that begins with one. Returns what is behind it; NULL if the quote is never closed. */
static char *read_quoted(char *at, char **field)
{
    char *to = at;

    *field = at++;
    for (; *at; at++) {
        if (*at == '"') {
            at++;
            if (*at != '"') {
                *to = '\0';
                return at;
            }
        }
        *to++ = *at;
    }
    return NULL;
}

static bool split(char *at, char *columns[COLUMNS], char fault[LINE_FAULT_SIZE])
{
    for (size_t i = 0;; i++) {
        char end;

        if (i == COLUMNS)
            return fail(fault, "the line", "has more than 7 columns");
        columns[i] = at;
        if (*at == '"') {
            at = read_quoted(at, &columns[i]);
            if (!at)
                return fail(fault, column_names[i], "has a quote that is not closed");
        } else {
            at += strcspn(at, ",\"");
        }
        end = *at;
        if (end != ',' && end != '\0')
            return fail(fault, column_names[i], "has a quote in the wrong place");
        *at++ = '\0';
        if (end == '\0') {
            if (i + 1 < COLUMNS)
                return fail(fault, column_names[i + 1], "is missing");
            return true;
        }
    }
}

/* --- Values --------------------------------------------------------------------- */

static bool parse_time(const char *text, int64_t *time, char fault[LINE_FAULT_SIZE])
{
    const struct stele_slice slice = {text, strlen(text)};

    if (stele_time_parse(slice, time, NULL) == STELE_OK)
        return true;
    return fail(fault, "time", "is not a date and time such as 2025-03-01T09:30:00Z");
}

static const struct kind *parse_kind(const char *text, char fault[LINE_FAULT_SIZE])
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(text, kinds[i].name) == 0)
            return &kinds[i];
    }
    fail(fault, "kind", "is none of open, deposit, withdraw, transfer, suspend, reactivate, close");
    return NULL;
}

static bool parse_amount(const char *text, int64_t *amount, char fault[LINE_FAULT_SIZE])
{
    const char *why = money_parse(text, amount);

    return why ? fail(fault, "amount", why) : true;
}

/* Present exactly if the kind has it. */
static bool check_presence(const char *text, bool wanted, const char *name, char fault[LINE_FAULT_SIZE])
{
    if (wanted == (text[0] != '\0'))
        return true;
    return fail(fault, name, wanted ? "is empty" : "must be empty for this kind");
}

static bool check_number(const char *text, const char *name, char fault[LINE_FAULT_SIZE])
{
    return is_account_number(text) || fail(fault, name, "is not an account number: eight digits");
}

static bool check_reference(const char *text, char fault[LINE_FAULT_SIZE])
{
    return is_reference(text) || fail(fault, "reference", "is not 1 to 35 letters, digits and hyphens");
}

/* --- The line --------------------------------------------------------------------- */

/* The name space of line ids; a constant, or lines would be taken for new ones by another version of this program. */
static const struct stele_uuid line_ids = {
    {0x2b, 0x8e, 0x51, 0x0a, 0xc4, 0x37, 0x4f, 0x1d, 0x9e, 0x02, 0x7d, 0x66, 0x13, 0xfa, 0x50, 0xbe}};

/* The columns that only some kinds have. */
static bool parse_wanted(char *const columns[COLUMNS], const struct kind *kind, struct post_line *post,
                         char fault[LINE_FAULT_SIZE])
{
    if (!check_presence(columns[COUNTER], kind->has_counter, "counter", fault) ||
        !check_presence(columns[AMOUNT], kind->has_amount, "amount", fault))
        return false;
    if (kind->has_counter && !check_number(columns[COUNTER], "counter", fault))
        return false;
    if (kind->has_amount && !parse_amount(columns[AMOUNT], &post->amount.value, fault))
        return false;
    post->counter = kind->has_counter ? columns[COUNTER] : NULL;
    post->amount.present = kind->has_amount;
    post->owner = kind->has_owner ? columns[TEXT] : NULL;
    post->text = kind->has_owner ? "" : columns[TEXT];
    return true;
}

bool line_parse(char *bytes, size_t size, struct line *out, char fault[LINE_FAULT_SIZE])
{
    struct line line = {.post.line = stele_uuid_derive(&line_ids, (struct stele_slice){bytes, size})};
    const struct kind *kind = NULL;
    char *columns[COLUMNS];

    if (memchr(bytes, '\0', size))
        return fail(fault, "the line", "has a NUL byte");
    if (!split(bytes, columns, fault) || !check_reference(columns[REFERENCE], fault) ||
        !parse_time(columns[TIME], &line.time, fault))
        return false;
    kind = parse_kind(columns[KIND], fault);
    if (!kind || !check_number(columns[ACCOUNT], "account", fault) || !parse_wanted(columns, kind, &line.post, fault))
        return false;
    line.post.reference = columns[REFERENCE];
    line.post.kind = kind->name;
    line.post.account = columns[ACCOUNT];
    *out = line;
    return true;
}
