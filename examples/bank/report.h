/* `bank report`: balances by month, from a read model in SQL. */
#ifndef BANK_REPORT_H
#define BANK_REPORT_H

#include "bank.h"

/* What to report, and where to. */
struct report {
    const char *model;   /* the SQL file: monthly.sql */
    const char *into;    /* the read database, which is made or brought up to date */
    const char *account; /* of one account only; NULL: of all together */
    const char *chart;   /* the SVG file to write; NULL: none */
};

/* Print the table, write the chart. Returns an exit status; faults go to standard error. */
int print_report(struct bank *bank, const struct report *report);

#endif
