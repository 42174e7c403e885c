/* What the benchmarks of the store append: readings of meters, about 128 bytes of payload each. And where to. */
#ifndef BENCH_READINGS_H
#define BENCH_READINGS_H

#include "bench/bench.h"

/* About 128 bytes of MessagePack: three field names, two numbers, a text. */
#define READING(FIELD, T) \
    FIELD(T, INT64, amount) \
    FIELD(T, INT64, serial) \
    FIELD(T, TEXT, text)
STELE_DECLARE(reading, READING);

/* "FOLDER/bench-store-PID-NAME", for remove_store(). */
char *path_of(const struct bench *bench, const char *name);
/* Remove a store's files and free its path. */
void remove_store(char *path);

/* All of these end the program on failure. */
stele_store *open_store(const char *url);
stele_message *new_reading(int64_t serial);

void stream_name(unsigned stream, char name[32]);

/* Fill a store with `events` events, `streams` streams in turn, a thousand at a time. */
void fill(stele_store *store, unsigned streams, uint64_t events);
/* The same, with the streams numbered from `first`. */
void fill_from(stele_store *store, unsigned first, unsigned streams, uint64_t events);

#endif
