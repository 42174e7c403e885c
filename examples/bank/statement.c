/*
 * Statements: the events of an account, one line each, with the balance as it
 * ran. The balance at the end comes from the aggregate as it was at that time;
 * the two are computed on different ways and must agree.
 */
#include "statement.h"

#include "money.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DATE_LENGTH = 10 };

/* What an event is on a statement. */
struct entry {
    const char *kind;
    const char *counter; /* the other account of a transfer; else "" */
    const char *text;
    int64_t amount; /* as it changes the balance */
};

/* --- Events to entries -------------------------------------------------------------- */

static stele_status read_money(const stele_message *event, stele_arena *arena, struct entry *entry, stele_error **error)
{
    struct money_deposited deposited;
    struct money_withdrawn withdrawn;
    stele_status status;

    if (stele_message_is(event, &money_deposited_type)) {
        status = money_deposited_read(event, arena, &deposited, error);
        if (status == STELE_OK)
            *entry = (struct entry){"deposit", "", deposited.text, deposited.amount};
    } else {
        status = money_withdrawn_read(event, arena, &withdrawn, error);
        if (status == STELE_OK)
            *entry = (struct entry){"withdrawal", "", withdrawn.text, -withdrawn.amount};
    }
    return status;
}

static stele_status read_transfer(const stele_message *event, stele_arena *arena, struct entry *entry,
                                  stele_error **error)
{
    struct transfer_sent sent;
    struct transfer_received received;
    stele_status status;

    if (stele_message_is(event, &transfer_sent_type)) {
        status = transfer_sent_read(event, arena, &sent, error);
        if (status == STELE_OK)
            *entry = (struct entry){"transfer to", sent.receiver, sent.text, -sent.amount};
    } else {
        status = transfer_received_read(event, arena, &received, error);
        if (status == STELE_OK)
            *entry = (struct entry){"transfer from", received.sender, received.text, received.amount};
    }
    return status;
}

static stele_status read_condition(const stele_message *event, stele_arena *arena, struct entry *entry,
                                   stele_error **error)
{
    struct account_opened opened;
    struct account_suspended suspended;
    struct account_reactivated reactivated;
    struct account_closed closed;
    stele_status status;

    if (stele_message_is(event, &account_opened_type)) {
        status = account_opened_read(event, arena, &opened, error);
        if (status == STELE_OK)
            *entry = (struct entry){"opened", "", opened.owner, 0};
    } else if (stele_message_is(event, &account_suspended_type)) {
        status = account_suspended_read(event, arena, &suspended, error);
        if (status == STELE_OK)
            *entry = (struct entry){"suspended", "", suspended.text, 0};
    } else if (stele_message_is(event, &account_reactivated_type)) {
        status = account_reactivated_read(event, arena, &reactivated, error);
        if (status == STELE_OK)
            *entry = (struct entry){"reactivated", "", reactivated.text, 0};
    } else {
        status = account_closed_read(event, arena, &closed, error);
        if (status == STELE_OK)
            *entry = (struct entry){"closed", "", closed.text, 0};
    }
    return status;
}

static stele_status read_entry(const stele_message *event, stele_arena *arena, struct entry *entry, stele_error **error)
{
    if (stele_message_is(event, &money_deposited_type) || stele_message_is(event, &money_withdrawn_type))
        return read_money(event, arena, entry, error);
    if (stele_message_is(event, &transfer_sent_type) || stele_message_is(event, &transfer_received_type))
        return read_transfer(event, arena, entry, error);
    return read_condition(event, arena, entry, error);
}

/* --- Printing --------------------------------------------------------------------------- */

static void print_entry(const struct entry *entry, int64_t time, int64_t balance)
{
    char date[STELE_TIME_TEXT_SIZE];
    char amount[MONEY_TEXT_SIZE] = "";
    char running[MONEY_TEXT_SIZE];

    stele_time_print(time, date);
    if (entry->amount)
        money_print(entry->amount, amount);
    money_print(balance, running);
    printf("%.*s  %-13s %-8s %14s %14s  %s\n", DATE_LENGTH, date, entry->kind, entry->counter, amount, running,
           entry->text);
}

/* Print every event up to the moment; the balance they add up to. */
static stele_status print_entries(struct bank *bank, const char *stream, struct as_of as_of, int64_t *balance,
                                  stele_error **error)
{
    struct stele_query query = STELE_OPTIONS_INIT(struct stele_query);
    stele_cursor *cursor = NULL;
    stele_arena *arena = NULL;
    stele_status status = stele_arena_new(&arena, error);

    query.stream = stream;
    if (status == STELE_OK)
        status = stele_read(bank->ledger, &query, &cursor, error);
    while (status == STELE_OK) {
        const stele_message *event = NULL;
        struct entry entry = {0};

        status = stele_cursor_next(cursor, &event, error);
        if (status != STELE_OK || !event || (as_of.is_given && stele_message_time(event) > as_of.time))
            break;
        status = read_entry(event, arena, &entry, error);
        if (status != STELE_OK)
            break;
        *balance += entry.amount;
        print_entry(&entry, stele_message_time(event), *balance);
        stele_arena_reset(arena);
    }
    stele_cursor_close(cursor);
    stele_arena_free(arena);
    return status;
}

static int fail(const char *what, const char *why)
{
    fprintf(stderr, "bank: %s: %s\n", what, why);
    return EXIT_FAILURE;
}

static int print_loaded(struct bank *bank, const struct account *account, const char *stream, struct as_of as_of)
{
    char balance_text[MONEY_TEXT_SIZE];
    stele_error *error = NULL;
    int64_t balance = 0;
    stele_status status;
    int result;

    printf("Account %s, %s, %s\n\n", account->number, account->owner, account_condition(account));
    printf("%-10s  %-13s %-8s %14s %14s  %s\n", "date", "kind", "account", "amount", "balance", "text");
    status = print_entries(bank, stream, as_of, &balance, &error);
    money_print(account->balance, balance_text);
    printf("\nBalance %s %s\n", balance_text, BANK_CURRENCY);
    if (status != STELE_OK)
        result = fail(account->number, error ? stele_error_message(error) : stele_status_text(status));
    else if (balance != account->balance)
        result = fail(account->number, "the events do not add up to the balance");
    else
        result = EXIT_SUCCESS;
    stele_error_free(error);
    return result;
}

int print_statement(struct bank *bank, const char *number, struct as_of as_of)
{
    struct stele_load_options options = STELE_OPTIONS_INIT(struct stele_load_options);
    stele_instance *instance = NULL;
    stele_error *error = NULL;
    char stream[STREAM_SIZE];
    stele_status status;
    int result;

    if (!is_account_number(number))
        return fail(number, "not an account number: eight digits");
    account_stream(number, stream);
    options.has_time = as_of.is_given;
    options.time = as_of.time;
    status = stele_load(bank->books.accounts, stream, &options, &instance, &error);
    if (status == STELE_OK)
        result = print_loaded(bank, STELE_STATE_OF(account, instance), stream, as_of);
    else if (status == STELE_NOT_FOUND)
        result = fail(number, as_of.is_given ? "there was no such account at that time" : "there is no such account");
    else
        result = fail(number, stele_error_message(error));
    stele_error_free(error);
    stele_instance_free(instance);
    return result;
}

static stele_status print_account(void *context, const struct account *account, stele_error **error)
{
    char balance[MONEY_TEXT_SIZE];

    (void)context;
    (void)error;
    money_print(account->balance, balance);
    printf("%-8s %14s  %-9s  %s\n", account->number, balance, account_condition(account), account->owner);
    return STELE_OK;
}

int print_accounts(struct bank *bank)
{
    stele_error *error = NULL;
    stele_status status;
    int result = EXIT_SUCCESS;

    printf("%-8s %14s  %-9s  %s\n", "account", "balance", "condition", "owner");
    status = bank_accounts(bank, print_account, NULL, &error);
    if (status != STELE_OK)
        result = fail("accounts", error ? stele_error_message(error) : stele_status_text(status));
    stele_error_free(error);
    return result;
}
