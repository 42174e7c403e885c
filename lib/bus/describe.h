/* What the stock observers say of an observation. Thread-safe. */
#ifndef STELE_BUS_DESCRIBE_H
#define STELE_BUS_DESCRIBE_H

#include <stele/observe.h>

/* "published" to "late". Static. */
const char *stele__seen_name(enum stele_seen seen);

/* True for what somebody should look at: failures, and what was lost. */
bool stele__seen_is_bad(enum stele_seen seen);

/* A text of a handler, which may hold anything, as UTF-8: itself, or a copy in `arena` with '?' for each byte that does not
 * belong there. NULL when memory is out. */
const char *stele__clean_text(const char *text, stele_arena *arena);

/* What a message is found by among all that follow from the same one: the trace id of its traceparent; without one, its
 * correlation id; without that, its id. Lives as long as the message; empty without one. */
struct stele_slice stele__chain_of(const stele_message *message);
/* The correlation id alone, or the id. */
struct stele_slice stele__correlation_of(const stele_message *message);

#endif
