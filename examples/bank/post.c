/*
 * Posting a line (see post.h).
 *
 *   post_line ─► an order: accept_transaction, and a command for each account ─► stele_execute_all() ─► the reply
 *
 * What can fail: a rule of the bank (STELE_REJECTED), the ledger, memory. Nothing
 * is stored then; if others were faster, the order is decided again on fresh
 * state, here by stele_execute_all() and beyond that by the interceptor.
 */
#include "post.h"

#include "transaction.h"

#include <stdio.h>
#include <string.h>

STELE_DEFINE_COMMAND(post_line, "bank.line.post", 1, POST_LINE);

enum { COMMANDS_MAX = 3 }; /* of one line: the transaction, and up to two accounts */

stele_status make_command(const struct stele_uuid *line, int64_t time, const char *subject,
                          const struct stele_type *type, const void *payload, stele_message **out, stele_error **error)
{
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
    const struct stele_uuid id = stele_uuid_derive(line, (struct stele_slice){type->name, strlen(type->name)});
    char id_text[STELE_UUID_TEXT_SIZE];
    char line_text[STELE_UUID_TEXT_SIZE];

    stele_uuid_print(&id, id_text);
    stele_uuid_print(line, line_text);
    options.id = id_text;
    options.correlationid = line_text;
    options.source = "bank";
    options.subject = subject;
    options.has_time = true;
    options.time = time;
    return stele_message_new(type, payload, &options, out, error);
}

/* --- Orders ------------------------------------------------------------------------ */

/* The commands that a line stands for. */
struct order {
    const struct books *books;
    const struct post_line *line;
    int64_t time;
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

static stele_status order_add(struct order *order, const stele_repository *repository, const char *streams,
                              const char *name, const struct stele_type *type, const void *payload, stele_error **error)
{
    const size_t i = order->count;
    const stele_status status =
        make_command(&order->line->line, order->time, NULL, type, payload, &order->commands[i], error);

    if (status != STELE_OK)
        return status;
    snprintf(order->streams[i], STREAM_SIZE, "%s%s", streams, name);
    order->parts[i] = (struct stele_execution){repository, order->streams[i], order->commands[i]};
    order->count++;
    return STELE_OK;
}

/* FOR_ACCOUNT(order, number, error, deposit, .amount = 5): order_add() for a declared type. */
#define FOR_ACCOUNT(order, number, error, command, ...) \
    order_add((order), (order)->books->accounts, ACCOUNT_STREAMS, (number), &command##_type, \
              &(const struct command){__VA_ARGS__}, (error))

static stele_status add_open(struct order *order, const struct post_line *line, stele_error **error)
{
    return FOR_ACCOUNT(order, line->account, error, open_account, .number = line->account, .owner = line->owner);
}

static stele_status add_deposit(struct order *order, const struct post_line *line, stele_error **error)
{
    return FOR_ACCOUNT(order, line->account, error, deposit, .amount = line->amount.value, .text = line->text);
}

static stele_status add_withdraw(struct order *order, const struct post_line *line, stele_error **error)
{
    return FOR_ACCOUNT(order, line->account, error, withdraw, .amount = line->amount.value, .text = line->text);
}

static stele_status add_transfer(struct order *order, const struct post_line *line, stele_error **error)
{
    const stele_status status = FOR_ACCOUNT(order, line->account, error, send_transfer, .amount = line->amount.value,
                                            .receiver = line->counter, .text = line->text);

    if (status != STELE_OK)
        return status;
    return FOR_ACCOUNT(order, line->counter, error, receive_transfer, .amount = line->amount.value,
                       .sender = line->account, .text = line->text);
}

static stele_status add_suspend(struct order *order, const struct post_line *line, stele_error **error)
{
    return FOR_ACCOUNT(order, line->account, error, suspend_account, .text = line->text);
}

static stele_status add_reactivate(struct order *order, const struct post_line *line, stele_error **error)
{
    return FOR_ACCOUNT(order, line->account, error, reactivate_account, .text = line->text);
}

static stele_status add_close(struct order *order, const struct post_line *line, stele_error **error)
{
    return FOR_ACCOUNT(order, line->account, error, close_account, .text = line->text);
}

static const struct {
    const char *kind;
    stele_status (*add)(struct order *order, const struct post_line *line, stele_error **error);
} kinds[] = {
    {KIND_OPEN, add_open},         {KIND_DEPOSIT, add_deposit}, {KIND_WITHDRAW, add_withdraw},
    {KIND_TRANSFER, add_transfer}, {KIND_SUSPEND, add_suspend}, {KIND_REACTIVATE, add_reactivate},
    {KIND_CLOSE, add_close},
};

/* The transaction first: it knows whether the reference was used before. */
static stele_status make_order(struct order *order, stele_error **error)
{
    const struct post_line *line = order->line;
    const struct accept_transaction accept = {.reference = line->reference, .line = line->line};
    stele_status status = order_add(order, order->books->transactions, TRANSACTION_STREAMS, line->reference,
                                    &accept_transaction_type, &accept, error);

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && status == STELE_OK; i++) {
        if (strcmp(kinds[i].kind, line->kind) == 0)
            return kinds[i].add(order, line, error);
    }
    return status;
}

/* Was this very line accepted before? `*version` is then that of its transaction. */
static stele_status find_accepted(const struct order *order, uint64_t *version, stele_error **error)
{
    const struct stele_load_options options = {.size = sizeof(options), .or_new = true};
    const struct transaction *transaction;
    stele_instance *instance = NULL;
    stele_status status = stele_load(order->books->transactions, order->streams[0], &options, &instance, error);

    if (status != STELE_OK)
        return status;
    transaction = STELE_STATE_OF(transaction, instance);
    if (transaction->is_used && !transaction->rule && stele_uuid_compare(&transaction->line, &order->line->line) == 0)
        *version = stele_instance_version(instance);
    stele_instance_free(instance);
    return STELE_OK;
}

static stele_status execute(const struct order *order, struct stele_appended *appended, stele_error **error)
{
    const stele_status status = find_accepted(order, &appended->version, error);

    appended->repeated = appended->version != 0;
    if (status != STELE_OK || appended->repeated)
        return status;
    return stele_execute_all(order->parts, order->count, NULL, appended, error);
}

/* --- The handler ------------------------------------------------------------------------ */

static stele_status post(struct books *books, const struct post_line *line, stele_context *context)
{
    struct order order = {.books = books, .line = line, .time = stele_message_time(stele_context_message(context))};
    struct stele_appended appended = {0};
    stele_error *error = NULL;
    stele_status status = make_order(&order, &error);

    if (status == STELE_OK)
        status = execute(&order, &appended, &error);
    if (status == STELE_OK)
        status = STELE_REPLY(context, stele_accepted, .stream = order.streams[0], .version = appended.version,
                             .first_position = appended.first_position, .last_position = appended.last_position,
                             .created = appended.created, .repeated = appended.repeated);
    else
        status = stele_context_fail(context, status, "%s", stele_error_message(error));
    stele_error_free(error);
    order_clear(&order);
    return status;
}
STELE_DEFINE_HANDLER_WITH(post, post_line, books)

/* --- The module ---------------------------------------------------------------------------- */

static const struct stele_type *const types[] = {&post_line_type, NULL};
/* What may be asked of the bank: lines, and single commands of its aggregates. */
static const struct stele_type *const accepts[] = {
    &post_line_type,          &open_account_type,       &deposit_type,
    &withdraw_type,           &send_transfer_type,      &receive_transfer_type,
    &suspend_account_type,    &reactivate_account_type, &close_account_type,
    &accept_transaction_type, &reject_transaction_type, NULL,
};

/* No clock: that of the runtime it is mounted on. */
static const struct stele_repository_options repository_options = {.size = sizeof(repository_options),
                                                                   .source = "bank"};
static const struct stele_module_aggregate aggregates[] = {
    {.aggregate = &account_aggregate, .options = &repository_options, .prefix = ACCOUNT_STREAMS},
    {.aggregate = &transaction_aggregate, .options = &repository_options, .prefix = TRANSACTION_STREAMS},
};

/* Another program may be writing to the same accounts, or hold the ledger for long. */
static const struct stele_retry patient = {.max_attempts = 5, .delay_ms = 50};
static const struct stele_interceptor retry = {.name = "retry", .on = ">", STELE_RETRY(&patient)};
static const struct stele_interceptor *const interceptors[] = {&retry, NULL};

/* A refusal is an answer, not a letter that somebody must look after. */
static const struct stele_route routes[] = {
    {.name = "post",
     .on = "line.post",
     .handle = post_handle,
     .uses = "books",
     .replies = &stele_accepted_type,
     .on_failure = STELE_IGNORE},
};

static stele_status start(stele_app *app, stele_error **error)
{
    struct books *books = stele_app_resource(app, "books");

    (void)error;
    books->accounts = stele_app_repository(app, &account_aggregate);
    books->transactions = stele_app_repository(app, &transaction_aggregate);
    return STELE_OK;
}

const struct stele_module bank_module = {
    .name = "bank",
    .types = types,
    .accepts = accepts,
    .interceptors = interceptors,
    .routes = routes,
    .route_count = sizeof(routes) / sizeof(routes[0]),
    .aggregates = aggregates,
    .aggregate_count = sizeof(aggregates) / sizeof(aggregates[0]),
    .start = start,
};
