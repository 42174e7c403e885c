/*
 * A transaction as an aggregate: what became of one reference.
 *
 * Each has a stream of its own, written in the same atomic step as the accounts
 * it moves. So the bank knows for ever which line of a file it has handled, and
 * with what outcome, also of those it refused.
 */
#ifndef BANK_TRANSACTION_H
#define BANK_TRANSACTION_H

#include "account.h"

#include <stele.h>

/* `line` is the identity of a line of a file: same line, same UUID. */
#define TRANSACTION_ACCEPTED(FIELD, T) FIELD(T, UUID, line, STELE_NON_EMPTY)
STELE_DECLARE(transaction_accepted, TRANSACTION_ACCEPTED);

#define TRANSACTION_REJECTED(FIELD, T) \
    FIELD(T, UUID, line, STELE_NON_EMPTY) \
    FIELD(T, TEXT, rule, STELE_NON_EMPTY) \
    FIELD(T, TEXT, details)
STELE_DECLARE(transaction_rejected, TRANSACTION_REJECTED);

/* Take a line on: refused if the reference was used before. */
#define ACCEPT_TRANSACTION(FIELD, T) \
    FIELD(T, TEXT, reference, REFERENCE_RULE) \
    FIELD(T, UUID, line, STELE_NON_EMPTY)
STELE_DECLARE(accept_transaction, ACCEPT_TRANSACTION);

/* Note that a line was refused, and by which rule. */
#define REJECT_TRANSACTION(FIELD, T) \
    FIELD(T, UUID, line, STELE_NON_EMPTY) \
    FIELD(T, TEXT, rule, STELE_NON_EMPTY) \
    FIELD(T, TEXT, details)
STELE_DECLARE(reject_transaction, REJECT_TRANSACTION);

/* The line that used the reference first, and by which rule it was refused, if it was. */
#define TRANSACTION(FIELD, T) \
    FIELD(T, BOOL, is_used) \
    FIELD(T, UUID, line) \
    FIELD(T, TEXT, rule) \
    FIELD(T, TEXT, details)
STELE_DECLARE(transaction, TRANSACTION);
STELE_DECLARE_AGGREGATE(transaction);

#endif
