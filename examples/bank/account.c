/*
 * The rules of the bank.
 *
 * Each `decide` function looks at the account and the command, and either says
 * what happens or refuses. A refusal reads `rule: details`; the rule, up to the
 * colon, is what the bank counts refusals by. Each `on` function says what an
 * event means for the account. None of them reads or writes anything else.
 */
#include "account.h"

#include "money.h"

#include <ctype.h>
#include <string.h>

enum { NUMBER_LENGTH = 8, REFERENCE_LENGTH_MAX = 35 };

bool is_account_number(const char *text)
{
    return strlen(text) == NUMBER_LENGTH && strspn(text, "0123456789") == NUMBER_LENGTH;
}

bool is_reference(const char *text)
{
    const size_t length = strlen(text);

    if (length < 1 || length > REFERENCE_LENGTH_MAX)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (!isalnum((unsigned char)text[i]) && text[i] != '-')
            return false;
    }
    return true;
}

bool is_printable(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;

    for (; *at; at++) {
        const bool is_c1 = at[0] == 0xc2 && at[1] >= 0x80 && at[1] <= 0x9f; /* U+0080 to U+009F */

        if (*at < 0x20 || *at == 0x7f || is_c1)
            return false;
    }
    return true;
}

const char *withdrawal_method(const char *text)
{
    return strncmp(text, "Cash", strlen("Cash")) == 0 ? METHOD_CASH : METHOD_PAYMENT;
}

const char *account_condition(const struct account *account)
{
    if (account->is_closed)
        return "closed";
    return account->is_suspended ? "suspended" : "open";
}

STELE_DEFINE_EVENT(account_opened, "bank.account.opened", 1, ACCOUNT_OPENED);
STELE_DEFINE_EVENT(money_deposited, "bank.money.deposited", 1, MONEY_DEPOSITED);
STELE_DEFINE_EVENT(money_withdrawn, "bank.money.withdrawn", 2, MONEY_WITHDRAWN);
STELE_DEFINE_EVENT(transfer_sent, "bank.transfer.sent", 1, TRANSFER_SENT);
STELE_DEFINE_EVENT(transfer_received, "bank.transfer.received", 1, TRANSFER_RECEIVED);
STELE_DEFINE_EVENT(account_suspended, "bank.account.suspended", 1, ACCOUNT_SUSPENDED);
STELE_DEFINE_EVENT(account_reactivated, "bank.account.reactivated", 1, ACCOUNT_REACTIVATED);
STELE_DEFINE_EVENT(account_closed, "bank.account.closed", 1, ACCOUNT_CLOSED);

STELE_DEFINE_COMMAND(open_account, "bank.account.open", 1, OPEN_ACCOUNT);
STELE_DEFINE_COMMAND(deposit, "bank.money.deposit", 1, DEPOSIT);
STELE_DEFINE_COMMAND(withdraw, "bank.money.withdraw", 1, WITHDRAW);
STELE_DEFINE_COMMAND(send_transfer, "bank.transfer.send", 1, SEND_TRANSFER);
STELE_DEFINE_COMMAND(receive_transfer, "bank.transfer.receive", 1, RECEIVE_TRANSFER);
STELE_DEFINE_COMMAND(suspend_account, "bank.account.suspend", 1, SUSPEND_ACCOUNT);
STELE_DEFINE_COMMAND(reactivate_account, "bank.account.reactivate", 1, REACTIVATE_ACCOUNT);
STELE_DEFINE_COMMAND(close_account, "bank.account.close", 1, CLOSE_ACCOUNT);

STELE_DEFINE_STATE(account, "bank.account", 1, ACCOUNT);

/* --- What events mean ------------------------------------------------------------ */

static void on_opened(struct account *account, const struct account_opened *event)
{
    account->number = event->number;
    account->owner = event->owner;
}

static void on_deposited(struct account *account, const struct money_deposited *event)
{
    account->balance += event->amount;
}

static void on_withdrawn(struct account *account, const struct money_withdrawn *event)
{
    account->balance -= event->amount;
}

static void on_sent(struct account *account, const struct transfer_sent *event)
{
    account->balance -= event->amount;
}

static void on_received(struct account *account, const struct transfer_received *event)
{
    account->balance += event->amount;
}

static void on_suspended(struct account *account, const struct account_suspended *event)
{
    (void)event;
    account->is_suspended = true;
}

static void on_reactivated(struct account *account, const struct account_reactivated *event)
{
    (void)event;
    account->is_suspended = false;
}

static void on_closed(struct account *account, const struct account_closed *event)
{
    (void)event;
    account->is_closed = true;
}

/* --- What is allowed --------------------------------------------------------------- */

static stele_status require_open(const struct account *account, stele_decision *decision)
{
    if (!account->number)
        return stele_decision_reject(decision, "unknown account");
    if (account->is_closed)
        return stele_decision_reject(decision, "account closed: %s", account->number);
    return STELE_OK;
}

static stele_status require_active(const struct account *account, stele_decision *decision)
{
    const stele_status status = require_open(account, decision);

    if (status == STELE_OK && account->is_suspended)
        return stele_decision_reject(decision, "account suspended: %s", account->number);
    return status;
}

/* Active, and its balance can grow by the amount. */
static stele_status require_room(const struct account *account, int64_t amount, stele_decision *decision)
{
    const stele_status status = require_active(account, decision);

    if (status == STELE_OK && account->balance > INT64_MAX - amount)
        return stele_decision_reject(decision, "balance too large: %s", account->number);
    return status;
}

/* Active, and its balance covers the amount. */
static stele_status require_funds(const struct account *account, int64_t amount, stele_decision *decision)
{
    const stele_status status = require_active(account, decision);
    char balance[MONEY_TEXT_SIZE];
    char wanted[MONEY_TEXT_SIZE];

    if (status != STELE_OK || account->balance >= amount)
        return status;
    money_print(account->balance, balance);
    money_print(amount, wanted);
    return stele_decision_reject(decision, "insufficient funds: %s has %s, %s is wanted", account->number, balance,
                                 wanted);
}

static stele_status decide_open(const struct account *account, const struct open_account *command,
                                stele_decision *decision)
{
    if (account->number)
        return stele_decision_reject(decision, "account exists: %s", account->number);
    return STELE_EMIT(decision, account_opened, .number = command->number, .owner = command->owner,
                      .currency = BANK_CURRENCY);
}

static stele_status decide_deposit(const struct account *account, const struct deposit *command,
                                   stele_decision *decision)
{
    const stele_status status = require_room(account, command->amount, decision);

    if (status != STELE_OK)
        return status;
    return STELE_EMIT(decision, money_deposited, .amount = command->amount, .text = command->text);
}

static stele_status decide_withdraw(const struct account *account, const struct withdraw *command,
                                    stele_decision *decision)
{
    const stele_status status = require_funds(account, command->amount, decision);

    if (status != STELE_OK)
        return status;
    return STELE_EMIT(decision, money_withdrawn, .amount = command->amount, .method = withdrawal_method(command->text),
                      .text = command->text);
}

static stele_status decide_send(const struct account *account, const struct send_transfer *command,
                                stele_decision *decision)
{
    const stele_status status = require_funds(account, command->amount, decision);

    if (status != STELE_OK)
        return status;
    if (strcmp(account->number, command->receiver) == 0)
        return stele_decision_reject(decision, "transfer to itself: %s", account->number);
    return STELE_EMIT(decision, transfer_sent, .amount = command->amount, .receiver = command->receiver,
                      .text = command->text);
}

static stele_status decide_receive(const struct account *account, const struct receive_transfer *command,
                                   stele_decision *decision)
{
    const stele_status status = require_room(account, command->amount, decision);

    if (status != STELE_OK)
        return status;
    return STELE_EMIT(decision, transfer_received, .amount = command->amount, .sender = command->sender,
                      .text = command->text);
}

static stele_status decide_suspend(const struct account *account, const struct suspend_account *command,
                                   stele_decision *decision)
{
    const stele_status status = require_active(account, decision);

    return status == STELE_OK ? STELE_EMIT(decision, account_suspended, .text = command->text) : status;
}

static stele_status decide_reactivate(const struct account *account, const struct reactivate_account *command,
                                      stele_decision *decision)
{
    const stele_status status = require_open(account, decision);

    if (status == STELE_OK && !account->is_suspended)
        return stele_decision_reject(decision, "account not suspended: %s", account->number);
    return status == STELE_OK ? STELE_EMIT(decision, account_reactivated, .text = command->text) : status;
}

static stele_status decide_close(const struct account *account, const struct close_account *command,
                                 stele_decision *decision)
{
    const stele_status status = require_active(account, decision);
    char balance[MONEY_TEXT_SIZE];

    if (status == STELE_OK && account->balance != 0) {
        money_print(account->balance, balance);
        return stele_decision_reject(decision, "balance not zero: %s has %s", account->number, balance);
    }
    return status == STELE_OK ? STELE_EMIT(decision, account_closed, .text = command->text) : status;
}

/* --- The table ------------------------------------------------------------------------ */

#define ACCOUNT_EVENTS(EVOLVE, A) \
    EVOLVE(A, account_opened, on_opened) \
    EVOLVE(A, money_deposited, on_deposited) \
    EVOLVE(A, money_withdrawn, on_withdrawn) \
    EVOLVE(A, transfer_sent, on_sent) \
    EVOLVE(A, transfer_received, on_received) \
    EVOLVE(A, account_suspended, on_suspended) \
    EVOLVE(A, account_reactivated, on_reactivated) \
    EVOLVE(A, account_closed, on_closed)
#define ACCOUNT_COMMANDS(DECIDE, A) \
    DECIDE(A, open_account, decide_open) \
    DECIDE(A, deposit, decide_deposit) \
    DECIDE(A, withdraw, decide_withdraw) \
    DECIDE(A, send_transfer, decide_send) \
    DECIDE(A, receive_transfer, decide_receive) \
    DECIDE(A, suspend_account, decide_suspend) \
    DECIDE(A, reactivate_account, decide_reactivate) \
    DECIDE(A, close_account, decide_close)
STELE_DEFINE_AGGREGATE(account, ACCOUNT_EVENTS, ACCOUNT_COMMANDS);
