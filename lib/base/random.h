/* Random numbers, for what needs no secrecy: pauses, samples, simulations. */
#ifndef STELE_BASE_RANDOM_H
#define STELE_BASE_RANDOM_H

#include <stele/base.h>

/* 64 random bits, by libuuid. Never fails. Thread-safe. */
uint64_t stele__random(void);

/* The next number of the sequence in `*state`, which begins with any number: the same one, the same sequence. */
uint64_t stele__random_next(uint64_t *state);

/* The same, below `limit`, which must not be 0. Evenly for limits far below 2^64. */
uint64_t stele__random_below(uint64_t *state, uint64_t limit);

#endif
