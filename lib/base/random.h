/* Random numbers, for what needs no secrecy: pauses, samples. */
#ifndef STELE_BASE_RANDOM_H
#define STELE_BASE_RANDOM_H

#include <stele/base.h>

/* 64 random bits, by libuuid. Never fails. Thread-safe. */
uint64_t stele__random(void);

#endif
