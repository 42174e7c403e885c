/*
 * Alerts: large withdrawals are told as they are committed, whichever program
 * has made them. A module of its own, which knows an event of the bank and
 * nothing else of it.
 */
#ifndef BANK_ALERTS_H
#define BANK_ALERTS_H

#include <stele.h>

#include <stdio.h>

/* The resource "alerts" of the module. */
struct alerts {
    FILE *out;
    int64_t limit; /* minor units: withdrawals of so much and more are told */
};

extern const struct stele_module alerts_module;

#endif
