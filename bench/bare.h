/*
 * SQLite driven by hand with prepared statements, on a file of the store's own
 * schema that a store made and left empty: what the store is compared with.
 * Rows get a constant for a checksum and a version counted here.
 * Every function ends the program on failure.
 */
#ifndef BENCH_BARE_H
#define BENCH_BARE_H

#include <stele.h>

#include <sqlite3.h>

enum { BARE_STREAMS = 1000 };

struct bare {
    sqlite3 *database;
    sqlite3_stmt *begin, *commit, *insert, *read_stream, *read_log;
    int64_t position;
    int64_t versions[BARE_STREAMS + 1];
};

struct bare *bare_open(const char *path);
void bare_close(struct bare *bare);

/* Run a statement that returns no rows, such as `begin` and `commit`. */
void bare_step(const struct bare *bare, sqlite3_stmt *statement);
void bare_insert(struct bare *bare, unsigned stream, const stele_message *message);

/* Step through a SELECT and touch every column; returns the rows. */
uint64_t bare_read(const struct bare *bare, sqlite3_stmt *statement);

#endif
