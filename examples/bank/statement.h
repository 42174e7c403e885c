/* `bank statement` and `bank accounts`: what the ledger says. */
#ifndef BANK_STATEMENT_H
#define BANK_STATEMENT_H

#include "bank.h"

/* A moment to look at the ledger from; without one, now. */
struct as_of {
    bool is_given;
    int64_t time;
};

/* Print the statement of an account, or the list of all. Return an exit status; faults go to standard error. */
int print_statement(struct bank *bank, const char *number, struct as_of as_of);
int print_accounts(struct bank *bank);

#endif
