/* What became of one reference (see transaction.h). */
#include "transaction.h"

STELE_DEFINE_EVENT(transaction_accepted, "bank.transaction.accepted", 1, TRANSACTION_ACCEPTED);
STELE_DEFINE_EVENT(transaction_rejected, "bank.transaction.rejected", 1, TRANSACTION_REJECTED);
STELE_DEFINE_COMMAND(accept_transaction, "bank.transaction.accept", 1, ACCEPT_TRANSACTION);
STELE_DEFINE_COMMAND(reject_transaction, "bank.transaction.reject", 1, REJECT_TRANSACTION);
STELE_DEFINE_STATE(transaction, "bank.transaction", 1, TRANSACTION);

static void on_accepted(struct transaction *transaction, const struct transaction_accepted *event)
{
    transaction->is_used = true;
    transaction->line = event->line;
}

static void on_rejected(struct transaction *transaction, const struct transaction_rejected *event)
{
    /* Later lines under the same reference are noted too, but the first one holds it. */
    if (transaction->is_used)
        return;
    transaction->is_used = true;
    transaction->line = event->line;
    transaction->rule = event->rule;
    transaction->details = event->details;
}

static stele_status decide_accept(const struct transaction *transaction, const struct accept_transaction *command,
                                  stele_decision *decision)
{
    if (!transaction->is_used)
        return STELE_EMIT(decision, transaction_accepted, .line = command->line);
    if (stele_uuid_compare(&transaction->line, &command->line) != 0 || !transaction->rule)
        return stele_decision_reject(decision, "duplicate reference: %s", command->reference);
    /* The same line once more gets the answer it got then, whatever has happened to the accounts since. */
    return stele_decision_reject(decision, "%s: %s", transaction->rule, transaction->details);
}

static stele_status decide_reject(const struct transaction *transaction, const struct reject_transaction *command,
                                  stele_decision *decision)
{
    (void)transaction;
    return STELE_EMIT(decision, transaction_rejected, .line = command->line, .rule = command->rule,
                      .details = command->details);
}

#define TRANSACTION_EVENTS(EVOLVE, A) \
    EVOLVE(A, transaction_accepted, on_accepted) \
    EVOLVE(A, transaction_rejected, on_rejected)
#define TRANSACTION_COMMANDS(DECIDE, A) \
    DECIDE(A, accept_transaction, decide_accept) \
    DECIDE(A, reject_transaction, decide_reject)
STELE_DEFINE_AGGREGATE(transaction, TRANSACTION_EVENTS, TRANSACTION_COMMANDS);
