/*
 * Balances: a read model in the ledger itself, written in the transaction of each
 * event. So it is never behind, and needs no waiting for.
 */
#ifndef BANK_BALANCES_H
#define BANK_BALANCES_H

#include "bank.h"

#define BALANCE(FIELD, T) \
    FIELD(T, TEXT, account) \
    FIELD(T, TEXT, owner) \
    FIELD(T, TEXT, condition) \
    FIELD(T, INT64, amount)
STELE_DECLARE_VIEW(balance, BALANCE);

extern const struct stele_projection balances_projection;

/* Print the accounts that hold at least so much, the richest first. Returns an exit status. */
int print_balances(struct bank *bank, int64_t least);

#endif
