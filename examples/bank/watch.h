/*
 * The fraud watch: accounts from which cash is withdrawn again and again within a
 * day, told while it happens. A read model in memory: it knows what the ledger says,
 * and is folded anew whenever the bank opens.
 */
#ifndef BANK_WATCH_H
#define BANK_WATCH_H

#include <stele.h>

#include <stdio.h>

enum { WATCH_TIMES = 3 }; /* withdrawals of cash within a day that are too many */

struct watched; /* an account */

struct watch {
    FILE *out;     /* where to tell; NULL: nowhere */
    uint64_t told; /* up to this position it was told by earlier runs */
    struct watched *accounts;
    size_t count, capacity;
};

extern const struct stele_projection watch_projection;

/* Free what it knows. */
void watch_clear(struct watch *watch);

#endif
