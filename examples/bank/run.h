/* `bank run`: a file of statements goes through the bank, line by line. */
#ifndef BANK_RUN_H
#define BANK_RUN_H

#include "bank.h"

/*
 * Handle every line of a file and print a summary. Returns an exit status: 0,
 * or 1 with words on standard error if the file cannot be read, the ledger
 * fails, or the books do not balance.
 */
int run_file(struct bank *bank, const char *path);

#endif
