/*
 * stele/error.h - what went wrong, where, and what to do about it.
 *
 * Every call that can fail returns a stele_status and takes, as its last
 * parameter, an optional `stele_error **error`:
 *
 *     stele_error *error = NULL;
 *     if (stele_store_open("ledger.db", NULL, &store, &error) != STELE_OK) {
 *         fprintf(stderr, "%s\n", stele_error_message(error));
 *         stele_error_free(error);
 *     }
 *
 * Pass NULL if the status is enough. `*error` is written only on failure; what
 * it held before is not freed. When memory for the error object itself runs
 * out, `*error` becomes a static object of the same status that says so;
 * freeing it is harmless.
 * An error object is one-thread-at-a-time; it may be handed to another thread.
 */
#ifndef STELE_ERROR_H
#define STELE_ERROR_H

#include <stele/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * What a caller should do with a failure.
 *
 * NEVER   the same call will fail again; the call or its input must change.
 * RETRY   the same call may succeed later, unchanged.
 * RELOAD  read the present state, decide again, then call again.
 * ABORT   the object cannot go on: close it (and reopen it where it says so).
 */
enum stele_action {
    STELE_ACTION_NONE, /* success: nothing to do */
    STELE_ACTION_NEVER,
    STELE_ACTION_RETRY,
    STELE_ACTION_RELOAD,
    STELE_ACTION_ABORT
};

/* Every status: name, action, and the text used when there is no better one. */
#define STELE_STATUS_MAP(STATUS) \
    STATUS(OK, NONE, "success") \
    STATUS(INVALID, NEVER, "invalid argument or value") \
    STATUS(MALFORMED, NEVER, "malformed input") \
    STATUS(LIMIT, NEVER, "limit exceeded") \
    STATUS(NO_MEMORY, RETRY, "out of memory") \
    STATUS(NOT_FOUND, NEVER, "not found") \
    STATUS(CONFLICT, RELOAD, "the stream is not at the expected version") \
    STATUS(DELETED, NEVER, "the stream is deleted") \
    STATUS(ID_REUSE, NEVER, "an event id is already used for something else") \
    STATUS(REJECTED, NEVER, "rejected by the domain") \
    STATUS(UNKNOWN_TYPE, NEVER, "no such type is registered") \
    STATUS(BUSY, RETRY, "another writer holds the store") \
    STATUS(FULL, RETRY, "no space left") \
    STATUS(READ_ONLY, NEVER, "the store cannot be written") \
    STATUS(DENIED, NEVER, "permission denied") \
    STATUS(FOREIGN, NEVER, "not a stele store") \
    STATUS(TOO_NEW, NEVER, "written by a newer version") \
    STATUS(CORRUPT, ABORT, "stored bytes are damaged") \
    STATUS(IO, ABORT, "input/output error") \
    STATUS(UNKNOWN, RETRY, "the outcome is not known") \
    STATUS(FORKED, ABORT, "the handle was inherited through fork()") \
    STATUS(TIMEOUT, RETRY, "the time was up") \
    STATUS(NO_HANDLER, NEVER, "nothing handles this message") \
    STATUS(FAILED, NEVER, "a handler failed") \
    STATUS(OVERLOAD, RETRY, "too much is waiting") \
    STATUS(CANCELLED, NEVER, "cancelled") \
    STATUS(SHUTDOWN, ABORT, "shutting down") \
    STATUS(END, NONE, "there is no more") \
    STATUS(LATE, NEVER, "it is stored, but a read model has not come to it yet")

/*
 * STELE_UNKNOWN deserves a word: an append whose commit was cut short by an
 * input/output error may or may not be stored. Reopen the store and send the
 * same events (same ids) again: they are stored once in either case.
 */
typedef enum stele_status {
#define STELE__STATUS(name, action, text) STELE_##name,
    STELE_STATUS_MAP(STELE__STATUS)
#undef STELE__STATUS
} stele_status;

typedef struct stele_error stele_error;

/* The name of a status without its prefix ("CONFLICT"); "?" for a number that is none. Static. */
STELE_API const char *stele_status_name(stele_status status);

/* The default text of a status. Static. */
STELE_API const char *stele_status_text(stele_status status);

/* What to do about a status. */
STELE_API enum stele_action stele_status_action(stele_status status);

/* The status an error carries; STELE_OK for NULL. */
STELE_API stele_status stele_error_status(const stele_error *error);

/* What an error asks of its caller; same as stele_status_action() of its status. */
STELE_API enum stele_action stele_error_action(const stele_error *error);

/* One line of text that names what and where; "success" for NULL. Valid until the error is freed. */
STELE_API const char *stele_error_message(const stele_error *error);

/*
 * One fact of the error's context by name, as text; NULL if the error has none
 * of that name. Valid until the error is freed. Names in use:
 *
 *   "type" "field" "value" "rule"   a constraint that a value broke
 *   "argument"                      the parameter of a call that is at fault
 *   "limit" "actual"                a limit and the value beyond it
 *   "attribute"                     a CloudEvents attribute
 *   "path" "offset" "line"          a file; a byte in the input; a line of it
 *   "stream" "id" "position" "version"   the place in a store
 *   "route" "interceptor" "step"    who failed, on a bus
 *   "view"                          a read model (stele/view.h)
 *   "text"                          why, in the words of who failed there
 *   "problems"                      all that is wrong, one a line
 */
STELE_API const char *stele_error_get(const stele_error *error, const char *name);

enum { STELE_CONFLICT_EVENTS_MAX = 16 };

/* How a caller said a stream must be before an append (see stele/store.h). */
enum stele_expect {
    STELE_EXPECT_ANY,       /* whatever it is */
    STELE_EXPECT_NO_STREAM, /* never written: version 0 */
    STELE_EXPECT_EXISTS,    /* written at least once */
    STELE_EXPECT_VERSION    /* exactly at the version given */
};

/* An event that stands behind the expected version. */
struct stele_conflict_event {
    uint64_t position;
    uint64_t version;
    const char *type;
};

/* The facts of a STELE_CONFLICT. */
struct stele_conflict {
    const char *stream;
    enum stele_expect expect;
    uint64_t expected; /* a version; meaningful for STELE_EXPECT_VERSION */
    uint64_t actual;   /* the stream's version; 0 if it was never written */
    size_t event_count;
    /* The first events behind the expected version, at most 16; empty when the
     * stream is shorter than expected. */
    struct stele_conflict_event events[STELE_CONFLICT_EVENTS_MAX];
};

/*
 * The conflict an error carries; NULL if it is not a STELE_CONFLICT, or if memory
 * ran out for the facts. Valid until the error is freed.
 */
STELE_API const struct stele_conflict *stele_error_conflict(const stele_error *error);

/* Free an error; NULL is allowed. */
STELE_API void stele_error_free(stele_error *error);

#ifdef __cplusplus
}
#endif

#endif
