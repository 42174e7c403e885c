/*
 * What the tests of the SQLite store share: a file, events whose bytes can be
 * told right or wrong by looking at them, and SQL past the library.
 *
 * Event n has the id "event-n", and a payload that follows from n alone.
 */
#ifndef STELE_TESTS_SQLITE_FIXTURE_H
#define STELE_TESTS_SQLITE_FIXTURE_H

#include "tests/support/support.h"

#include <stele/log.h>
#include <stele/store.h>

#include "sqlite/sqlite.h"
#include "store/store.h"

#include <stdbool.h>

/* The file that is tested, in the temporary folder; static. */
const char *fixture_path(void);

/* Open the store there, as an URL with parameters ("sync=off") or NULL. Its log is left alone, unless they say "idle=". */
stele_status fixture_try(enum stele_open_mode mode, const char *parameters, stele_store **out, stele_error **error);
stele_store *fixture_open(void);
stele_store *fixture_open_with(enum stele_open_mode mode, const char *parameters);
/* The inside of a store. */
struct sqlite_store *fixture_inside(stele_store *store);

/* Append event n. */
stele_status fixture_append(stele_store *store, const char *stream, unsigned n, stele_error **error);
/* Append the events from..to, one after the other, to "stream-(n % 3)". */
void fixture_fill(stele_store *store, unsigned from, unsigned to);
/* NULL when memory is out. */
stele_message *fixture_event(unsigned n);

/* Is a message what fixture_append() wrote? Gives its number. */
bool fixture_is_right(const stele_message *message, unsigned *n);

/* Read the whole log and assert that it holds right events only; gives how many. */
size_t fixture_count(stele_store *store);
/* The log holds the events 1..n in this order. */
void fixture_assert_holds(stele_store *store, unsigned n);

/* A store of n events at the path, closed. */
void fixture_make(unsigned n);

/* Run SQL on the file past the library; an SQLite result code. */
int fixture_sql(const char *sql);
/* Run SQL that the triggers would refuse: they are dropped for it and made again. */
void fixture_tamper(const char *sql);
/* The first value of a query as a number. */
int64_t fixture_sql_number(const char *sql);

/* The bytes of a file, from malloc(3). */
unsigned char *fixture_load(const char *path, size_t *size);
void fixture_save(const char *path, const void *bytes, size_t size);
/* Change the byte behind the only place in the file where `text` stands before a byte `from`. */
void fixture_redirect(const char *text, unsigned char from, unsigned char to);
/* Put a file of tests/fixtures at the path. */
void fixture_place(const char *name);
/* "PATH-wal"; static. */
const char *fixture_log(void);
bool fixture_is_there(const char *path);
size_t fixture_size(const char *path);
/* Files in the temporary folder. */
size_t fixture_files(void);

#endif
