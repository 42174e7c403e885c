/*
 * Shapes that changed. Ledgers are never rewritten: what an old one says in an
 * old shape is read as if it had been said in today's.
 *
 *   bank.money.withdrawn 1 -> 2   says how: by its text, as is decided today
 */
#include "history.h"

#include "account.h"
#include "transaction.h"

#define MONEY_WITHDRAWN_V1(FIELD, T) \
    FIELD(T, INT64, amount, STELE_POSITIVE) \
    FIELD(T, TEXT, text, TEXT_RULE)
STELE_DECLARE(money_withdrawn_v1, MONEY_WITHDRAWN_V1);
STELE_DEFINE_EVENT(money_withdrawn_v1, "bank.money.withdrawn", 1, MONEY_WITHDRAWN_V1);

static stele_status say_how(const struct money_withdrawn_v1 *old, stele_upcast *upcast)
{
    return STELE_UPCAST_TO(upcast, money_withdrawn, .amount = old->amount, .method = withdrawal_method(old->text),
                           .text = old->text);
}
STELE_DEFINE_UPCAST(say_how, money_withdrawn_v1)

const struct stele_upcaster bank_upcasters[] = {
    {.from = "bank.money.withdrawn",
     .from_version = 1,
     .to = "bank.money.withdrawn",
     .to_version = 2,
     .up = say_how_up,
     .old_type = &money_withdrawn_v1_type,
     .new_type = &money_withdrawn_type},
};
const size_t bank_upcaster_count = sizeof(bank_upcasters) / sizeof(bank_upcasters[0]);

const struct stele_type *const bank_events[] = {
    &account_opened_type,       &money_deposited_type,      &money_withdrawn_type,     &transfer_sent_type,
    &transfer_received_type,    &account_suspended_type,    &account_reactivated_type, &account_closed_type,
    &transaction_accepted_type, &transaction_rejected_type,
};
const size_t bank_event_count = sizeof(bank_events) / sizeof(bank_events[0]);
