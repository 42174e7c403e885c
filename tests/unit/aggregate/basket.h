/* An aggregate whose state has something of every kind, for what is encoded and copied of states. */
#ifndef STELE_TESTS_AGGREGATE_BASKET_H
#define STELE_TESTS_AGGREGATE_BASKET_H

#include "tests/support/support.h"

#include <stele.h>

#define LINE(FIELD, T) FIELD(T, INT64, amount) FIELD(T, OPTIONAL(TEXT), note)
STELE_DECLARE_STRUCT(line, LINE);

#define BASKET(FIELD, T) \
    FIELD(T, ARENA, memory) \
    FIELD(T, OPTIONAL(TEXT), owner) \
    FIELD(T, INT64, total) \
    FIELD(T, LIST(STRUCT(line)), lines) \
    FIELD(T, OPTIONAL(STRUCT(line)), dearest) \
    FIELD(T, LIST(TEXT), notes) \
    FIELD(T, OPTIONAL(BYTES), seal) \
    FIELD(T, UUID, ticket) \
    FIELD(T, OPTIONAL(INT64), ceiling) \
    FIELD(T, DOUBLE, mean) \
    FIELD(T, BOOL, touched)
STELE_DECLARE(basket, BASKET);

#define NAMED(FIELD, T) FIELD(T, TEXT, name)
STELE_DECLARE(named, NAMED);
#define ADDED(FIELD, T) FIELD(T, INT64, amount) FIELD(T, OPTIONAL(TEXT), note)
STELE_DECLARE(added, ADDED);
#define SEALED(FIELD, T) FIELD(T, BYTES, seal) FIELD(T, UUID, ticket)
STELE_DECLARE(sealed, SEALED);
#define CAPPED(FIELD, T) FIELD(T, OPTIONAL(INT64), ceiling)
STELE_DECLARE(capped, CAPPED);
/* An event that no basket knows. */
#define DROPPED(FIELD, T) FIELD(T, NONE, stele_unused)
STELE_DECLARE(dropped, DROPPED);

/* Adds `amount` as many times as `parts` says; refused beyond the ceiling. */
#define ADD(FIELD, T) FIELD(T, INT64, amount) FIELD(T, INT64, parts, STELE_DEFAULT(1))
STELE_DECLARE(add, ADD);

STELE_DECLARE_AGGREGATE(basket);
/* The same, but its state is of version 2. */
STELE_DECLARE_AGGREGATE(new_basket);

/* A repository of baskets. */
struct basket_options {
    const struct stele_aggregate *aggregate; /* default basket_aggregate */
    enum stele_unknown unknown;
    uint64_t snapshot_every;
    size_t cache_bytes;
    bool remember_commands;
    const struct stele_clock *clock;
};
stele_repository *basket_repository(stele_store *store, const struct basket_options *options);

/* Append an event made of a payload, at a time, whatever the stream's version. */
void basket_append(stele_store *store, const char *stream, const struct stele_type *type, const void *payload,
                   int64_t time);
/* Append `count` events that add 1, 2, 3 ... at 1, 2, 3 ... seconds, counted from the stream's version on. */
void basket_fill(stele_store *store, const char *stream, uint64_t count);

stele_message *add_command(int64_t amount, int64_t parts);

/* The state, of either aggregate. */
const struct basket *basket_of(const stele_instance *instance);

/* Load what must be there, and check it. */
void assert_total(stele_repository *repository, const char *stream, uint64_t version, int64_t total);

struct stele_repository_stats basket_stats(const stele_repository *repository);

/* Wait until all snapshots are written. */
void basket_drain(stele_store *store);

#endif
