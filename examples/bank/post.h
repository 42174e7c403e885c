/*
 * The command that a line of statements becomes, and what the bank does with it.
 *
 *   bank.line.post ─► commands for the transaction and the accounts it names
 *                  ─► decided together, stored in one atomic step ─► stele_accepted
 *                                                     '- refused: STELE_REJECTED, `rule: details`
 */
#ifndef BANK_POST_H
#define BANK_POST_H

#include "account.h"

#include <stele.h>

/* Kinds of lines. */
#define KIND_OPEN "open"
#define KIND_DEPOSIT "deposit"
#define KIND_WITHDRAW "withdraw"
#define KIND_TRANSFER "transfer"
#define KIND_SUSPEND "suspend"
#define KIND_REACTIVATE "reactivate"
#define KIND_CLOSE "close"
#define KINDS KIND_OPEN, KIND_DEPOSIT, KIND_WITHDRAW, KIND_TRANSFER, KIND_SUSPEND, KIND_REACTIVATE, KIND_CLOSE

/* `line` is its identity; what a kind has no use for is absent. A line that breaks a rule never gets onto the bus. */
#define POST_LINE(FIELD, T) \
    FIELD(T, UUID, line, STELE_NON_EMPTY) \
    FIELD(T, TEXT, reference, REFERENCE_RULE) \
    FIELD(T, TEXT, kind, STELE_ONE_OF(KINDS)) \
    FIELD(T, TEXT, account, NUMBER_RULE) \
    FIELD(T, OPTIONAL(TEXT), counter, NUMBER_RULE) \
    FIELD(T, OPTIONAL(INT64), amount, STELE_POSITIVE) \
    FIELD(T, OPTIONAL(TEXT), owner, STELE_NON_EMPTY, TEXT_RULE) \
    FIELD(T, TEXT, text, TEXT_RULE)
STELE_DECLARE(post_line, POST_LINE);

/* The streams: a prefix, and the number of the account or the reference of the transaction. */
#define ACCOUNT_STREAMS "account-"
#define TRANSACTION_STREAMS "transaction-"
enum { STREAM_SIZE = 64 };

/* The repositories that lines are posted to: the resource "books" of the module, which fills it when the app starts. */
struct books {
    const stele_repository *accounts;
    const stele_repository *transactions;
};

/* Types, aggregates, and the route for lines. */
extern const struct stele_module bank_module;

/*
 * Make a command that follows from a line. Its id is derived from the line and
 * its type, so that the same line makes the same commands again. On a bus,
 * `subject` names the aggregate it is for; NULL for none.
 */
stele_status make_command(const struct stele_uuid *line, int64_t time, const char *subject,
                          const struct stele_type *type, const void *payload, stele_message **out, stele_error **error);

#endif
