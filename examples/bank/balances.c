/* Balances (see balances.h): what each event does to the row of its account, and the list. */
#include "balances.h"

#include "account.h"
#include "money.h"

#include <stdlib.h>
#include <string.h>

STELE_DEFINE_VIEW(balance, "balance", 1, BALANCE, "account", "amount");

/* --- Events to rows ------------------------------------------------------------------- */

static const char *account_of(stele_projecting *at)
{
    return stele_message_stream(stele_projecting_message(at)).data + strlen(ACCOUNT_STREAMS);
}

/* Read the row of the account at hand. */
static stele_status read_row(stele_views *views, stele_projecting *at, struct balance *row)
{
    const struct balance key = {.account = account_of(at)};

    return balance_get(views, &key, stele_projecting_arena(at), row, stele_projecting_error(at));
}

static stele_status move(stele_views *views, stele_projecting *at, int64_t amount)
{
    struct balance row;
    stele_status status = read_row(views, at, &row);

    if (status != STELE_OK)
        return status;
    if (!money_add(&row.amount, amount))
        return stele_projecting_fail(at, STELE_LIMIT, "the balance of %s is too large", row.account);
    return balance_upsert(views, &row, stele_projecting_error(at));
}

static stele_status set_condition(stele_views *views, stele_projecting *at, const char *condition)
{
    struct balance row;
    stele_status status = read_row(views, at, &row);

    if (status != STELE_OK)
        return status;
    row.condition = condition;
    return balance_upsert(views, &row, stele_projecting_error(at));
}

static stele_status opened(stele_views *views, const struct account_opened *event, stele_projecting *at)
{
    const struct balance row = {.account = event->number, .owner = event->owner, .condition = "open"};

    return balance_upsert(views, &row, stele_projecting_error(at));
}
STELE_DEFINE_PROJECT(opened, account_opened)

static stele_status deposited(stele_views *views, const struct money_deposited *event, stele_projecting *at)
{
    return move(views, at, event->amount);
}
STELE_DEFINE_PROJECT(deposited, money_deposited)

static stele_status withdrawn(stele_views *views, const struct money_withdrawn *event, stele_projecting *at)
{
    return move(views, at, -event->amount);
}
STELE_DEFINE_PROJECT(withdrawn, money_withdrawn)

static stele_status sent(stele_views *views, const struct transfer_sent *event, stele_projecting *at)
{
    return move(views, at, -event->amount);
}
STELE_DEFINE_PROJECT(sent, transfer_sent)

static stele_status received(stele_views *views, const struct transfer_received *event, stele_projecting *at)
{
    return move(views, at, event->amount);
}
STELE_DEFINE_PROJECT(received, transfer_received)

static stele_status suspended(stele_views *views, const struct account_suspended *event, stele_projecting *at)
{
    (void)event;
    return set_condition(views, at, "suspended");
}
STELE_DEFINE_PROJECT(suspended, account_suspended)

static stele_status reactivated(stele_views *views, const struct account_reactivated *event, stele_projecting *at)
{
    (void)event;
    return set_condition(views, at, "open");
}
STELE_DEFINE_PROJECT(reactivated, account_reactivated)

static stele_status closed(stele_views *views, const struct account_closed *event, stele_projecting *at)
{
    (void)event;
    return set_condition(views, at, "closed");
}
STELE_DEFINE_PROJECT(closed, account_closed)

static const struct stele_projection_on on[] = {
    {&account_opened_type, opened_project},           {&money_deposited_type, deposited_project},
    {&money_withdrawn_type, withdrawn_project},       {&transfer_sent_type, sent_project},
    {&transfer_received_type, received_project},      {&account_suspended_type, suspended_project},
    {&account_reactivated_type, reactivated_project}, {&account_closed_type, closed_project},
};
static const struct stele_view *const views[] = {&balance_view, NULL};
const struct stele_projection balances_projection = {
    .name = "balances",
    .version = 1,
    .kind = STELE_PROJECTION_IN_STORE,
    .on = on,
    .on_count = sizeof(on) / sizeof(on[0]),
    .category = ACCOUNT_STREAMS,
    .views = views,
};

/* --- The list --------------------------------------------------------------------------- */

static bool print_row(void *context, const struct balance *row)
{
    char amount[MONEY_TEXT_SIZE];

    (void)context;
    money_print(row->amount, amount);
    printf("%-8s %14s  %-9s  %s\n", row->account, amount, row->condition, row->owner);
    return true;
}

int print_balances(struct bank *bank, int64_t least)
{
    const struct stele_view_filter filters[] = {STELE_FILTER("amount", STELE_VIEW_GE, stele_view_int64(least))};
    const struct stele_view_query query = {.filters = filters, .filter_count = 1, .order = "-amount"};
    stele_views *opened_views = NULL;
    stele_error *error = NULL;
    stele_status status = stele_views_of_store(bank->ledger, &opened_views, &error);
    int result = EXIT_SUCCESS;

    printf("%-8s %14s  %-9s  %s\n", "account", "balance", "condition", "owner");
    if (status == STELE_OK)
        status = balance_visit(opened_views, &query, print_row, NULL, &error);
    if (status != STELE_OK) {
        fprintf(stderr, "bank: balances: %s\n", stele_error_message(error));
        result = EXIT_FAILURE;
    }
    stele_error_free(error);
    stele_views_close(opened_views);
    return result;
}
