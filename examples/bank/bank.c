/*
 * The bank (see bank.h). The commands of a line have ids derived from the line,
 * so that the store knows a line that comes again by the events it made.
 */
#include "bank.h"

#include "money.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COMMANDS_MAX = 3 }; /* of one line: the transaction, and up to two accounts */

/* --- Opening --------------------------------------------------------------------- */

static int64_t time_of_line(void *context)
{
    const struct bank *bank = context;

    return bank->now;
}

static int64_t monotonic(void *context)
{
    const struct stele_clock *system = stele_clock_system();

    (void)context;
    return system->monotonic(system->context);
}

static void pause_for(void *context, int64_t nanoseconds)
{
    const struct stele_clock *system = stele_clock_system();

    (void)context;
    system->pause(system->context, nanoseconds);
}

stele_status bank_open(struct bank *bank, const char *ledger, enum stele_open_mode mode, stele_error **error)
{
    struct stele_store_options store_options = STELE_OPTIONS_INIT(struct stele_store_options);
    struct stele_repository_options options = STELE_OPTIONS_INIT(struct stele_repository_options);
    stele_status status;

    *bank = (struct bank){.clock = {time_of_line, monotonic, pause_for, bank}};
    store_options.mode = mode;
    options.clock = &bank->clock;
    options.source = "bank";
    status = stele_store_open(ledger, &store_options, &bank->ledger, error);
    if (status == STELE_OK)
        status = stele_repository_new(bank->ledger, &account_aggregate, &options, &bank->accounts, error);
    if (status == STELE_OK)
        status = stele_repository_new(bank->ledger, &transaction_aggregate, &options, &bank->transactions, error);
    if (status != STELE_OK)
        bank_close(bank);
    return status;
}

void bank_close(struct bank *bank)
{
    stele_repository_free(bank->transactions);
    stele_repository_free(bank->accounts);
    stele_store_close(bank->ledger);
    *bank = (struct bank){0};
}

void account_stream(const char *number, char stream[STREAM_SIZE])
{
    snprintf(stream, STREAM_SIZE, ACCOUNT_STREAMS "%s", number);
}

/* --- Commands ---------------------------------------------------------------------- */

/* What one line asks for. */
struct order {
    const struct line *line;
    struct stele_execution parts[COMMANDS_MAX];
    stele_message *commands[COMMANDS_MAX];
    char streams[COMMANDS_MAX][STREAM_SIZE];
    size_t count;
};

static void order_clear(struct order *order)
{
    for (size_t i = 0; i < order->count; i++)
        stele_message_unref(order->commands[i]);
    order->count = 0;
}

/* Add a command. Its id follows from the line and its type, so that the same line makes the same commands again. */
static stele_status order_add(struct order *order, const stele_repository *repository, const char *streams,
                              const char *name, const struct stele_type *type, const void *payload, stele_error **error)
{
    const size_t i = order->count;
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
    const struct stele_slice type_name = {type->name, strlen(type->name)};
    const struct stele_uuid id = stele_uuid_derive(&order->line->id, type_name);
    char id_text[STELE_UUID_TEXT_SIZE];
    char line_text[STELE_UUID_TEXT_SIZE];
    stele_status status;

    stele_uuid_print(&id, id_text);
    stele_uuid_print(&order->line->id, line_text);
    options.id = id_text;
    options.correlationid = line_text;
    options.source = "bank";
    options.has_time = true;
    options.time = order->line->time;
    status = stele_message_new(type, payload, &options, &order->commands[i], error);
    if (status != STELE_OK)
        return status;
    snprintf(order->streams[i], STREAM_SIZE, "%s%s", streams, name);
    order->parts[i] = (struct stele_execution){repository, order->streams[i], order->commands[i]};
    order->count++;
    return STELE_OK;
}

/* ORDER(order, repository, streams, name, error, deposit, .amount = 5): order_add() for a declared type. */
#define ORDER(order, repository, streams, name, error, command, ...) \
    order_add((order), (repository), (streams), (name), &command##_type, &(const struct command){__VA_ARGS__}, (error))

static stele_status order_transfer(const struct bank *bank, struct order *order, stele_error **error)
{
    const struct line *line = order->line;
    stele_status status = ORDER(order, bank->accounts, ACCOUNT_STREAMS, line->account, error, send_transfer,
                                .amount = line->amount, .receiver = line->counter, .text = line->text);

    if (status == STELE_OK)
        status = ORDER(order, bank->accounts, ACCOUNT_STREAMS, line->counter, error, receive_transfer,
                       .amount = line->amount, .sender = line->account, .text = line->text);
    return status;
}

static stele_status order_for_account(const struct bank *bank, struct order *order, stele_error **error)
{
    const struct line *line = order->line;
    const stele_repository *accounts = bank->accounts;
    const char *number = line->account;

    switch (line->kind) {
    case KIND_OPEN:
        return ORDER(order, accounts, ACCOUNT_STREAMS, number, error, open_account, .number = number,
                     .owner = line->text);
    case KIND_DEPOSIT:
        return ORDER(order, accounts, ACCOUNT_STREAMS, number, error, deposit, .amount = line->amount,
                     .text = line->text);
    case KIND_WITHDRAW:
        return ORDER(order, accounts, ACCOUNT_STREAMS, number, error, withdraw, .amount = line->amount,
                     .text = line->text);
    case KIND_TRANSFER: return order_transfer(bank, order, error);
    case KIND_SUSPEND:
        return ORDER(order, accounts, ACCOUNT_STREAMS, number, error, suspend_account, .text = line->text);
    case KIND_REACTIVATE:
        return ORDER(order, accounts, ACCOUNT_STREAMS, number, error, reactivate_account, .text = line->text);
    case KIND_CLOSE: return ORDER(order, accounts, ACCOUNT_STREAMS, number, error, close_account, .text = line->text);
    }
    return STELE_INVALID;
}

/* --- Handling a line ----------------------------------------------------------------- */

/* Which field broke which rule of its type. */
static void describe_fault(const stele_error *error, char reason[REASON_SIZE])
{
    const char *field = stele_error_get(error, "field");
    const char *rule = stele_error_get(error, "rule");

    if (field && rule)
        snprintf(reason, REASON_SIZE, "%s must be %s", field, rule);
    else
        snprintf(reason, REASON_SIZE, "%s", stele_error_message(error));
}

/* Note a refusal, `rule: details`, in the stream of the transaction. */
static stele_status note_rejection(struct bank *bank, const struct line *line, const char *refusal,
                                   enum outcome *outcome, char reason[REASON_SIZE], stele_error **error)
{
    struct order order = {.line = line};
    struct stele_appended appended;
    const char *colon = strchr(refusal, ':');
    stele_status status;

    snprintf(reason, REASON_SIZE, "%.*s", (int)(colon ? colon - refusal : REASON_SIZE - 1), refusal);
    status = ORDER(&order, bank->transactions, TRANSACTION_STREAMS, line->reference, error, reject_transaction,
                   .line = line->id, .rule = reason, .details = colon && colon[1] ? colon + 2 : "");
    if (status == STELE_OK)
        status = stele_execute_all(order.parts, order.count, NULL, &appended, error);
    if (status == STELE_OK)
        *outcome = appended.repeated ? OUTCOME_HANDLED : OUTCOME_REJECTED;
    order_clear(&order);
    return status;
}

static stele_status make_order(const struct bank *bank, struct order *order, stele_error **error)
{
    const struct line *line = order->line;
    const stele_status status = ORDER(order, bank->transactions, TRANSACTION_STREAMS, line->reference, error,
                                      accept_transaction, .reference = line->reference, .line = line->id);

    return status == STELE_OK ? order_for_account(bank, order, error) : status;
}

stele_status bank_handle(struct bank *bank, const struct line *line, enum outcome *outcome, char reason[REASON_SIZE],
                         stele_error **error)
{
    struct order order = {.line = line};
    struct stele_appended appended = {0};
    stele_error *fault = NULL;
    stele_status status;

    bank->now = line->time;
    status = make_order(bank, &order, &fault);
    if (status == STELE_INVALID) {
        describe_fault(fault, reason);
        *outcome = OUTCOME_MALFORMED;
        status = STELE_OK;
        goto out;
    }
    if (status == STELE_OK)
        status = stele_execute_all(order.parts, order.count, NULL, &appended, &fault);
    if (status == STELE_OK) {
        *outcome = appended.repeated ? OUTCOME_HANDLED : OUTCOME_ACCEPTED;
    } else if (status == STELE_REJECTED) {
        status = note_rejection(bank, line, stele_error_message(fault), outcome, reason, error);
    } else {
        *error = fault;
        fault = NULL;
    }
out:
    stele_error_free(fault);
    order_clear(&order);
    return status;
}

/* --- Adding up -------------------------------------------------------------------------- */

/* The names of all account streams: a visitor must not call the store, so they are collected first. */
struct names {
    stele_arena *arena;
    const char **names;
    size_t count;
    size_t capacity;
    bool is_out_of_memory;
};

static bool collect_name(void *context, const struct stele_stream *stream)
{
    struct names *names = context;

    if (names->count == names->capacity) {
        const size_t capacity = names->capacity ? 2 * names->capacity : 64;
        const char **grown = realloc(names->names, capacity * sizeof(*grown));

        names->is_out_of_memory = !grown;
        if (!grown)
            return false;
        names->names = grown;
        names->capacity = capacity;
    }
    names->names[names->count] = stele_arena_text(names->arena, stream->name.data, stream->name.size);
    names->is_out_of_memory = !names->names[names->count];
    return names->names[names->count++] != NULL;
}

static stele_status visit_account(struct bank *bank, const char *stream, account_visit *visit, void *context,
                                  stele_error **error)
{
    stele_instance *instance = NULL;
    stele_status status = stele_load(bank->accounts, stream, NULL, &instance, error);

    if (status == STELE_OK)
        status = visit(context, STELE_STATE_OF(account, instance), error);
    stele_instance_free(instance);
    return status;
}

stele_status bank_accounts(struct bank *bank, account_visit *visit, void *context, stele_error **error)
{
    struct stele_stream_query query = STELE_OPTIONS_INIT(struct stele_stream_query);
    struct names names = {0};
    stele_status status = stele_arena_new(&names.arena, error);

    query.category = ACCOUNT_STREAMS;
    if (status == STELE_OK)
        status = stele_streams(bank->ledger, &query, collect_name, &names, error);
    if (status == STELE_OK && names.is_out_of_memory)
        status = STELE_NO_MEMORY;
    for (size_t i = 0; i < names.count && status == STELE_OK; i++)
        status = visit_account(bank, names.names[i], visit, context, error);
    free(names.names);
    stele_arena_free(names.arena);
    return status;
}

static stele_status add_balance(void *context, const struct account *account, stele_error **error)
{
    struct totals *totals = context;

    (void)error;
    totals->accounts++;
    return money_add(&totals->held, account->balance) ? STELE_OK : STELE_LIMIT;
}

/* Add one event of the log, if it is money over the counter. */
static stele_status add_event(const stele_message *event, stele_arena *arena, struct totals *totals,
                              stele_error **error)
{
    struct money_deposited deposited;
    struct money_withdrawn withdrawn;
    stele_status status;

    if (stele_message_is(event, &money_deposited_type)) {
        status = money_deposited_read(event, arena, &deposited, error);
        if (status == STELE_OK && !money_add(&totals->deposited, deposited.amount))
            status = STELE_LIMIT;
    } else if (stele_message_is(event, &money_withdrawn_type)) {
        status = money_withdrawn_read(event, arena, &withdrawn, error);
        if (status == STELE_OK && !money_add(&totals->withdrawn, withdrawn.amount))
            status = STELE_LIMIT;
    } else {
        status = STELE_OK;
    }
    stele_arena_reset(arena);
    return status;
}

static stele_status add_log(struct bank *bank, struct totals *totals, stele_error **error)
{
    struct stele_query query = STELE_OPTIONS_INIT(struct stele_query);
    stele_cursor *cursor = NULL;
    stele_arena *arena = NULL;
    const stele_message *event = NULL;
    stele_status status = stele_arena_new(&arena, error);

    query.type = "bank.money.*";
    if (status == STELE_OK)
        status = stele_read(bank->ledger, &query, &cursor, error);
    while (status == STELE_OK) {
        status = stele_cursor_next(cursor, &event, error);
        if (status != STELE_OK || !event)
            break;
        status = add_event(event, arena, totals, error);
    }
    stele_cursor_close(cursor);
    stele_arena_free(arena);
    return status;
}

stele_status bank_totals(struct bank *bank, struct totals *totals, stele_error **error)
{
    stele_status status;

    *totals = (struct totals){0};
    status = add_log(bank, totals, error);
    if (status == STELE_OK)
        status = bank_accounts(bank, add_balance, totals, error);
    return status;
}
