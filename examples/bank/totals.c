/*
 * Adding up the ledger (see bank.h): the log read once, every account loaded.
 */
#include "bank.h"

#include "money.h"

#include <stdlib.h>

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
    stele_status status = stele_load(bank->books.accounts, stream, NULL, &instance, error);

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
