/*
 * A bank account as an aggregate: what can happen to it, what can be asked of
 * it, and what it remembers. Everything else (structs, checks, encodings)
 * follows from these lists; the rules of the bank are in account.c.
 *
 * Amounts are int64 in minor units: 12.50 is 1250.
 */
#ifndef BANK_ACCOUNT_H
#define BANK_ACCOUNT_H

#include <stele.h>

#define BANK_CURRENCY "EUR"

/* Account numbers are eight digits; references are 1 to 35 letters, digits and hyphens. */
bool is_account_number(const char *text);
bool is_reference(const char *text);
/* A statement shows texts as they are: a terminal must find nothing in them to obey. */
bool is_printable(const char *text);

#define NUMBER_RULE STELE_CHECK_TEXT(is_account_number, "eight digits")
#define REFERENCE_RULE STELE_CHECK_TEXT(is_reference, "1 to 35 letters, digits and hyphens")
#define TEXT_RULE STELE_MAX_LENGTH(140), STELE_CHECK_TEXT(is_printable, "without control characters")

/* How money is withdrawn: over the counter and at machines, or by paying. */
#define METHOD_CASH "cash"
#define METHOD_PAYMENT "payment"
/* As the text of a statement shows it. */
const char *withdrawal_method(const char *text);

/* --- What happened ------------------------------------------------------------ */

#define ACCOUNT_OPENED(FIELD, T) \
    FIELD(T, TEXT, number, NUMBER_RULE) \
    FIELD(T, TEXT, owner, STELE_NON_EMPTY, TEXT_RULE) \
    FIELD(T, TEXT, currency, STELE_ONE_OF(BANK_CURRENCY))
STELE_DECLARE(account_opened, ACCOUNT_OPENED);

#define MONEY_DEPOSITED(FIELD, T) \
    FIELD(T, INT64, amount, STELE_POSITIVE) \
    FIELD(T, TEXT, text, TEXT_RULE)
STELE_DECLARE(money_deposited, MONEY_DEPOSITED);

/* Version 2. The first did not say how (history.c). */
#define MONEY_WITHDRAWN(FIELD, T) \
    FIELD(T, INT64, amount, STELE_POSITIVE) \
    FIELD(T, TEXT, method, STELE_ONE_OF(METHOD_CASH, METHOD_PAYMENT)) \
    FIELD(T, TEXT, text, TEXT_RULE)
STELE_DECLARE(money_withdrawn, MONEY_WITHDRAWN);

#define TRANSFER_SENT(FIELD, T) \
    FIELD(T, INT64, amount, STELE_POSITIVE) \
    FIELD(T, TEXT, receiver, NUMBER_RULE) \
    FIELD(T, TEXT, text, TEXT_RULE)
STELE_DECLARE(transfer_sent, TRANSFER_SENT);

#define TRANSFER_RECEIVED(FIELD, T) \
    FIELD(T, INT64, amount, STELE_POSITIVE) \
    FIELD(T, TEXT, sender, NUMBER_RULE) \
    FIELD(T, TEXT, text, TEXT_RULE)
STELE_DECLARE(transfer_received, TRANSFER_RECEIVED);

#define ACCOUNT_SUSPENDED(FIELD, T) FIELD(T, TEXT, text, TEXT_RULE)
STELE_DECLARE(account_suspended, ACCOUNT_SUSPENDED);

#define ACCOUNT_REACTIVATED(FIELD, T) FIELD(T, TEXT, text, TEXT_RULE)
STELE_DECLARE(account_reactivated, ACCOUNT_REACTIVATED);

#define ACCOUNT_CLOSED(FIELD, T) FIELD(T, TEXT, text, TEXT_RULE)
STELE_DECLARE(account_closed, ACCOUNT_CLOSED);

/* --- What is asked ------------------------------------------------------------ */

#define OPEN_ACCOUNT(FIELD, T) \
    FIELD(T, TEXT, number, NUMBER_RULE) \
    FIELD(T, TEXT, owner, STELE_NON_EMPTY, TEXT_RULE)
STELE_DECLARE(open_account, OPEN_ACCOUNT);

#define DEPOSIT(FIELD, T) \
    FIELD(T, INT64, amount, STELE_POSITIVE) \
    FIELD(T, TEXT, text, TEXT_RULE)
STELE_DECLARE(deposit, DEPOSIT);

#define WITHDRAW(FIELD, T) \
    FIELD(T, INT64, amount, STELE_POSITIVE) \
    FIELD(T, TEXT, text, TEXT_RULE)
STELE_DECLARE(withdraw, WITHDRAW);

/* The two halves of a transfer: each account decides its own; they are stored together or not at all. */
#define SEND_TRANSFER(FIELD, T) \
    FIELD(T, INT64, amount, STELE_POSITIVE) \
    FIELD(T, TEXT, receiver, NUMBER_RULE) \
    FIELD(T, TEXT, text, TEXT_RULE)
STELE_DECLARE(send_transfer, SEND_TRANSFER);

#define RECEIVE_TRANSFER(FIELD, T) \
    FIELD(T, INT64, amount, STELE_POSITIVE) \
    FIELD(T, TEXT, sender, NUMBER_RULE) \
    FIELD(T, TEXT, text, TEXT_RULE)
STELE_DECLARE(receive_transfer, RECEIVE_TRANSFER);

#define SUSPEND_ACCOUNT(FIELD, T) FIELD(T, TEXT, text, TEXT_RULE)
STELE_DECLARE(suspend_account, SUSPEND_ACCOUNT);

#define REACTIVATE_ACCOUNT(FIELD, T) FIELD(T, TEXT, text, TEXT_RULE)
STELE_DECLARE(reactivate_account, REACTIVATE_ACCOUNT);

#define CLOSE_ACCOUNT(FIELD, T) FIELD(T, TEXT, text, TEXT_RULE)
STELE_DECLARE(close_account, CLOSE_ACCOUNT);

/* --- What an account remembers -------------------------------------------------- */

/* Only what its decisions and the list of accounts need: the statement is read from the events. */
#define ACCOUNT(FIELD, T) \
    FIELD(T, TEXT, number) \
    FIELD(T, TEXT, owner) \
    FIELD(T, INT64, balance) \
    FIELD(T, BOOL, is_suspended) \
    FIELD(T, BOOL, is_closed)
STELE_DECLARE(account, ACCOUNT);
STELE_DECLARE_AGGREGATE(account);

/* "open", "suspended", "closed". */
const char *account_condition(const struct account *account);

#endif
