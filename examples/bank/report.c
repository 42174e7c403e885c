/*
 * The report by months (see report.h).
 *
 *     ledger ─► monthly.sql, brought up to the head ─► a table of months in the read database
 *            ─► SQL: sums by month ─► balance as it ran ─► table and chart
 *
 * The read database is SQLite's: any program reads it, as this one does here. It
 * may be deleted at any time, and is built again from the ledger.
 */
#include "report.h"

#include "chart.h"
#include "money.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

enum { BUILD_MS = 600000, LABEL_SIZE = 8 };

/* One month, of one account or all. */
struct month {
    char label[LABEL_SIZE];
    int64_t deposited, cash, paid, sent, received;
    int64_t balance; /* at its end */
};

struct months {
    struct month *months;
    size_t count, capacity;
};

static int fail(const char *what, const char *why)
{
    fprintf(stderr, "bank: %s: %s\n", what, why);
    return EXIT_FAILURE;
}

/* --- Bringing the read model up to date ----------------------------------------------- */

static stele_status build(struct bank *bank, const struct report *report, stele_error **error)
{
    struct stele_model_options options = STELE_OPTIONS_INIT(struct stele_model_options);
    stele_subscription *running = NULL;
    stele_runtime *runtime = NULL;
    stele_model *model = NULL;
    stele_status status = stele_model_load(report->model, &model, error);

    options.until = STELE_UNTIL_HEAD;
    options.on_failure = STELE_POISON_STOP;
    if (status == STELE_OK)
        status = stele_runtime_new(0, NULL, &runtime, error);
    if (status == STELE_OK)
        status = stele_model_start(model, bank->ledger, runtime, report->into, &options, &running, error);
    if (status == STELE_OK)
        status = stele_subscription_join(running, BUILD_MS, error);
    stele_subscription_free(running);
    stele_runtime_free(runtime);
    stele_model_free(model);
    return status;
}

/* --- Reading it --------------------------------------------------------------------------- */

static struct month *add_month(struct months *months)
{
    if (months->count == months->capacity) {
        const size_t capacity = months->capacity ? 2 * months->capacity : 16;
        struct month *grown = realloc(months->months, capacity * sizeof(*grown));

        if (!grown)
            return NULL;
        months->months = grown;
        months->capacity = capacity;
    }
    return &months->months[months->count++];
}

/* "2025-03" */
static bool set_label(struct month *month, const char *text)
{
    if (!text || strlen(text) != LABEL_SIZE - 1 || strspn(text, "0123456789-") != LABEL_SIZE - 1)
        return false;
    memcpy(month->label, text, LABEL_SIZE);
    return true;
}

/* False if the balance cannot be held. */
static bool run_balance(struct month *month, int64_t before)
{
    month->balance = before;
    return money_add(&month->balance, month->deposited) && money_add(&month->balance, month->received) &&
           money_add(&month->balance, -month->cash) && money_add(&month->balance, -month->paid) &&
           money_add(&month->balance, -month->sent);
}

static const char *read_months(sqlite3 *db, const char *account, struct months *months)
{
    static const char sql[] = "SELECT month, sum(deposited), sum(cash), sum(paid), sum(sent), sum(received) "
                              "FROM month WHERE ?1 IS NULL OR account = ?1 GROUP BY month ORDER BY month";
    sqlite3_stmt *rows = NULL;
    const char *why = NULL;
    int64_t balance = 0;
    int code = sqlite3_prepare_v2(db, sql, -1, &rows, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_bind_text(rows, 1, account, -1, SQLITE_STATIC);
    while (code == SQLITE_OK && !why && sqlite3_step(rows) == SQLITE_ROW) {
        struct month *month = add_month(months);

        if (!month) {
            why = stele_status_text(STELE_NO_MEMORY);
            break;
        }
        *month = (struct month){
            .deposited = sqlite3_column_int64(rows, 1),
            .cash = sqlite3_column_int64(rows, 2),
            .paid = sqlite3_column_int64(rows, 3),
            .sent = sqlite3_column_int64(rows, 4),
            .received = sqlite3_column_int64(rows, 5),
        };
        if (!set_label(month, (const char *)sqlite3_column_text(rows, 0)))
            why = "a month was changed by hand";
        else if (!run_balance(month, balance))
            why = "a balance is too large";
        balance = month->balance;
    }
    if (sqlite3_finalize(rows) != SQLITE_OK || code != SQLITE_OK)
        why = sqlite3_errmsg(db);
    return why;
}

/* --- Showing it ------------------------------------------------------------------------------ */

static void print_table(const struct months *months)
{
    printf("%-7s %16s %14s %14s %14s %14s %16s\n", "month", "deposited", "cash", "paid", "sent", "received", "balance");
    for (size_t i = 0; i < months->count; i++) {
        const struct month *month = &months->months[i];
        const int64_t amounts[] = {month->deposited, month->cash,     month->paid,
                                   month->sent,      month->received, month->balance};
        static const int widths[] = {16, 14, 14, 14, 14, 16};
        char amount[MONEY_TEXT_SIZE];

        printf("%-7s", month->label);
        for (size_t j = 0; j < sizeof(amounts) / sizeof(amounts[0]); j++) {
            money_print(amounts[j], amount);
            printf(" %*s", widths[j], amount);
        }
        printf("\n");
    }
}

static int write_chart(const struct report *report, const struct months *months)
{
    struct bar *bars = calloc(months->count + 1, sizeof(*bars));
    FILE *file = bars ? fopen(report->chart, "w") : NULL;
    char title[64];
    bool is_written;

    if (!file) {
        free(bars);
        return fail(report->chart, strerror(errno));
    }
    snprintf(title, sizeof(title), "Balance at the end of each month, %s%s%s", BANK_CURRENCY,
             report->account ? ", account " : "", report->account ? report->account : "");
    for (size_t i = 0; i < months->count; i++)
        bars[i] = (struct bar){months->months[i].label, months->months[i].balance};
    chart_write(file, title, bars, months->count);
    free(bars);
    is_written = !ferror(file);
    is_written = fclose(file) == 0 && is_written;
    return is_written ? EXIT_SUCCESS : fail(report->chart, strerror(errno));
}

int print_report(struct bank *bank, const struct report *report)
{
    struct months months = {0};
    stele_error *error = NULL;
    sqlite3 *db = NULL;
    const char *why = NULL;
    int result = EXIT_SUCCESS;

    if (report->account && !is_account_number(report->account))
        return fail(report->account, "not an account number: eight digits");
    if (build(bank, report, &error) != STELE_OK) {
        result = fail("report", stele_error_message(error));
        stele_error_free(error);
        return result;
    }
    /* Not for reading only: such a connection would leave SQLite's side files behind. */
    if (sqlite3_open_v2(report->into, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK)
        why = read_months(db, report->account, &months);
    else
        why = db ? sqlite3_errmsg(db) : stele_status_text(STELE_NO_MEMORY);
    if (why) {
        result = fail(report->into, why);
    } else {
        print_table(&months);
        result = report->chart ? write_chart(report, &months) : EXIT_SUCCESS;
    }
    sqlite3_close(db);
    free(months.months);
    return result;
}
