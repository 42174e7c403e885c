/*
 * stele/store.h - the append-only log: streams of events, one global order.
 *
 *     @example store
 *     stele_status open_and_append(stele_message *event, stele_error **error)
 *     {
 *         stele_store *store = NULL;
 *         stele_status status = stele_store_open("sqlite:ledger.db", NULL, &store, error);
 *         if (status != STELE_OK)
 *             return status;
 *         struct stele_appended result;
 *         status = stele_append(store, "account-7", stele_expect_version(3), event, &result, error);
 *         stele_store_close(store);
 *         return status;
 *     }
 *     @end
 *
 * Words. A *stream* is the history of one thing; its *version* is the number of
 * events ever written to it: 0 for none, and the first event is version 1. A
 * *position* is an event's place in the one order of the whole store; it only
 * grows, is never used twice, and may have holes. `after` is always exclusive.
 *
 * A store is thread-safe. A cursor is used by one thread at a time. After
 * fork() the child must not use a store or cursor of its parent: each call
 * says so with STELE_FORKED, and closing one there frees nothing. Nor can it
 * open a file again that was open when it was forked off: STELE_FORKED. Fork
 * first and open then, in each process.
 */
#ifndef STELE_STORE_H
#define STELE_STORE_H

#include <stele/base.h>
#include <stele/clock.h>
#include <stele/error.h>
#include <stele/limits.h>
#include <stele/message.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct stele_store stele_store;
typedef struct stele_cursor stele_cursor;

struct stele_hooks;    /* stele/hooks.h */
struct stele_upcaster; /* stele/upcast.h */

enum stele_open_mode {
    STELE_OPEN_CREATE,   /* create the store if it is not there */
    STELE_OPEN_EXISTING, /* STELE_NOT_FOUND if it is not there */
    STELE_OPEN_READ_ONLY /* neither create nor write: appends are STELE_READ_ONLY */
};

struct stele_store_options {
    size_t size;
    enum stele_open_mode mode;
    const struct stele_clock *clock; /* default stele_clock_system(); must outlive the store */
    size_t payload_limit; /* bytes of one payload; default STELE_PAYLOAD_DEFAULT, at most STELE_PAYLOAD_MAX */
    size_t queue_events;  /* events of appends under way, of all threads; default 65536 */
    size_t queue_bytes;   /* their payloads and attributes; default 32 MiB. Beyond either appenders wait. */
    const struct stele_hooks *hooks;        /* told what the store does; default none; must outlive the store */
    const struct stele_upcaster *upcasters; /* how old shapes are read; default none; must outlive the store */
    size_t upcaster_count;
};

/*
 * Open a store.
 *
 *   memory:                     in this process's memory, gone when closed
 *   sqlite:PATH[?NAME=VALUE&..] one SQLite file
 *   PATH                        the same, the path taken literally
 *
 * Parameters of sqlite:
 *
 *   sync=full     every append is synced to disk before it is acknowledged (default)
 *   sync=normal   a power cut may take back the last acknowledged appends; a killed process loses nothing
 *   sync=off      a power cut may damage the file
 *   busy=MS       how long to wait for a writer in another process; default 5000
 *   mmap=BYTES    memory-mapped reads; default 0 (off), see docs/stores.md
 *   vfs=NAME      an SQLite VFS registered in this process
 *   accept=wal-damage   open in spite of a damaged write-ahead log and lose the commits behind the damage
 *
 * A new file is made complete under another name and then renamed: there is a
 * whole store or none. Errors: STELE_NOT_FOUND; STELE_DENIED; STELE_READ_ONLY
 * (a directory or medium that cannot be written, opened for writing);
 * STELE_INVALID (a directory, a device, a file with a second hard link, an
 * unknown scheme or parameter); STELE_FOREIGN (another program's file, or its
 * schema was changed); STELE_TOO_NEW; STELE_CORRUPT (truncated or damaged; the
 * message says what is at risk and how to go on); STELE_BUSY; STELE_FULL;
 * STELE_IO; STELE_NO_MEMORY. The error has "path". Upcasters that are not in
 * order are STELE_INVALID too, as stele_upcasters_check() says.
 */
STELE_API stele_status stele_store_open(const char *url, const struct stele_store_options *options, stele_store **out,
                                        stele_error **error);

/*
 * Close a store; NULL is allowed. Every cursor must be closed before, and no
 * other thread may be in a call. What was appended asynchronously is committed
 * and its done functions are called first, also for what they append meanwhile.
 * Not to be called by a done function. While a bus follows the store, closing is
 * put off until that bus is freed, and logged.
 */
STELE_API void stele_store_close(stele_store *store);

/* What a stream must be before an append (enum stele_expect in stele/error.h). */
struct stele_expected {
    enum stele_expect expect;
    uint64_t version; /* of STELE_EXPECT_VERSION; 0 there means the same as STELE_EXPECT_NO_STREAM */
};

static inline struct stele_expected stele_expect_any(void)
{
    struct stele_expected expected = {STELE_EXPECT_ANY, 0};
    return expected;
}
static inline struct stele_expected stele_expect_no_stream(void)
{
    struct stele_expected expected = {STELE_EXPECT_NO_STREAM, 0};
    return expected;
}
static inline struct stele_expected stele_expect_exists(void)
{
    struct stele_expected expected = {STELE_EXPECT_EXISTS, 0};
    return expected;
}
static inline struct stele_expected stele_expect_version(uint64_t version)
{
    struct stele_expected expected = {STELE_EXPECT_VERSION, version};
    return expected;
}

/* One event and the stream it goes to. */
struct stele_write {
    const char *stream;
    const stele_message *event;
};

/* A condition on a stream, written to or not. */
struct stele_expectation {
    const char *stream;
    struct stele_expected expected;
};

/*
 * What is appended in one atomic step: all of it or nothing, contiguous in the
 * global order, in the order given. A stream without an expectation is
 * appended to whatever it is; a stream has at most one.
 */
struct stele_batch {
    const struct stele_write *writes;
    size_t write_count;
    const struct stele_expectation *expectations;
    size_t expectation_count;
    /*
     * The command that the batch is the outcome of; NULL: none. Its id is
     * remembered with the outcome in the same transaction (the command ledger),
     * if the append is STELE_OK. If the id is remembered already, nothing is
     * looked at or written: with the same type, type version and payload the
     * first outcome is returned again, with `replayed` set; with another it is
     * STELE_ID_REUSE.
     */
    const stele_message *command;
    /*
     * With `command`: it was refused, for this reason (UTF-8, at most
     * STELE_REJECTION_MAX bytes). The batch has no writes then, but may have
     * expectations. STELE_OK: that is remembered; the command sent again gives
     * STELE_REJECTED with this text.
     */
    const char *rejection;
};

/* What an append did. */
struct stele_appended {
    uint64_t version;        /* of the last event written, in its stream; with no events, of the stream of the
                                first expectation */
    uint64_t first_position; /* 0 if nothing was to be written */
    uint64_t last_position;
    bool created;  /* the stream of the last event did not exist before */
    bool replayed; /* the batch's command was handled already: its first outcome again */
    bool repeated; /* the events were stored already (same ids, same content): the first result again */
};

/*
 * Append events. It is durable when the call returns STELE_OK (see sync= above).
 *
 * STELE_CONFLICT    an expectation does not hold; stele_error_conflict() has the facts. Nothing is written.
 * STELE_ID_REUSE    an event id is stored already, but not all of the batch is stored, in this order, in these
 *                   streams, with the same types and payloads; or the batch's command has the id of another one
 *                   that is remembered. Nothing is written. The error has "id".
 * STELE_REJECTED    the batch's command was refused before; the message is the text of then. Nothing is written.
 * STELE_UNKNOWN     an input/output error cut the commit short: it may be stored or not. The store refuses further
 *                   appends with STELE_IO until it is closed and opened again; then repeat the append to settle it.
 * STELE_INVALID     a stream name (empty, control characters, not UTF-8, or beginning with '$': such streams are
 *                   the library's own and can only be read), a malformed expectation, two expectations on one
 *                   stream, the same id twice in the batch, a rejection without a command or with events.
 * STELE_LIMIT       see stele/limits.h; the bytes of a batch are those of payloads and attributes; a batch has at
 *                   most STELE_BATCH_EVENTS_MAX expectations.
 * STELE_BUSY, STELE_FULL, STELE_READ_ONLY, STELE_IO, STELE_CORRUPT, STELE_NO_MEMORY: nothing is written.
 *
 * If all ids of the batch are stored already with the same content, the call
 * returns STELE_OK with the original result, whatever was expected: repeating
 * an append is always safe. A command that was forgotten meanwhile is then
 * remembered again, with that result. `result` may be NULL.
 */
STELE_API stele_status stele_append_batch(stele_store *store, const struct stele_batch *batch,
                                          struct stele_appended *result, stele_error **error);

/* How a command ended. */
struct stele_outcome {
    bool rejected;
    struct stele_slice rejection; /* the domain's text, NUL-terminated; absent if accepted */
    uint64_t version;             /* this and the next three as in struct stele_appended */
    uint64_t first_position;
    uint64_t last_position;
    bool created;
    int64_t time; /* when it was remembered, by the store's clock */
};

/*
 * The outcome of a command by its id. The text lives in `arena`, which is
 * used for nothing else. STELE_NOT_FOUND if the command is not remembered: it
 * never was, it was forgotten, or the store is an older file opened for reading;
 * STELE_CORRUPT if what is remembered of it is damaged; STELE_INVALID;
 * STELE_LIMIT; STELE_IO; STELE_NO_MEMORY. Thread-safe.
 */
STELE_API stele_status stele_find_outcome(stele_store *store, const char *command_id, stele_arena *arena,
                                          struct stele_outcome *out, stele_error **error);

/*
 * Which commands to forget: those remembered before a time, or all but the
 * newest, by the time they were remembered. Both given: those that fit both.
 */
struct stele_retention {
    size_t size;
    bool has_before;
    int64_t before;
    bool has_keep;
    uint64_t keep; /* how many of the newest stay */
};

/*
 * Forget commands, in transactions of a few hundred with a pause between them,
 * so that no writer waits for long. `*forgotten` (may be NULL) is their number.
 * A forgotten command that is sent again is a new one to the ledger; its events
 * are still there, with ids that an append recognises. STELE_INVALID if neither
 * member is given; STELE_READ_ONLY; otherwise as stele_append_batch(), and some
 * may be forgotten already. Thread-safe.
 */
STELE_API stele_status stele_forget_commands(stele_store *store, const struct stele_retention *retention,
                                             uint64_t *forgotten, stele_error **error);

/* Append one event to one stream: stele_append_batch() with a batch of one. */
STELE_API stele_status stele_append(stele_store *store, const char *stream, struct stele_expected expected,
                                    const stele_message *event, struct stele_appended *result, stele_error **error);

/*
 * What became of an asynchronous append: what stele_append_batch() would have
 * returned. `result` is NULL unless the status is STELE_OK, `error` NULL if it
 * is. Both are lent for the call.
 */
typedef void stele_append_done(void *context, stele_status status, const struct stele_appended *result,
                               const stele_error *error);

/*
 * Append events without waiting for the disk: one thread can have hundreds of
 * appends under way, which share syncs. The batch is copied (its messages are
 * referenced). What one thread appends is committed in the order of its calls.
 *
 * STELE_OK means that `done` will be called, exactly once, by whichever thread
 * commits: one of the store's own (the first call starts it) or one that is in
 * a call of the store. The done functions of a store are called one at a time
 * and in order, without a lock. They may append, also asynchronously, but
 * should be quick, and must neither close the store nor wait for another
 * asynchronous append.
 *
 * Waits while too much is under way (queue_events, queue_bytes), except in a
 * done function. Errors: STELE_INVALID, STELE_LIMIT and STELE_READ_ONLY as
 * stele_append_batch(); STELE_NO_MEMORY. Then `done` is not called.
 */
STELE_API stele_status stele_append_async(stele_store *store, const struct stele_batch *batch, stele_append_done *done,
                                          void *context, stele_error **error);

/*
 * Wait until the done functions of everything appended asynchronously before
 * have returned. Appends that failed are no failure of this call. STELE_INVALID
 * in a done function, which would wait for itself.
 */
STELE_API stele_status stele_flush(stele_store *store, stele_error **error);

/*
 * Which events to read, and in which order. All zero: everything, oldest first.
 *
 * With `stream`, `after` and `until` are versions of it; otherwise they are
 * positions. Reading backwards starts at the newest event, or below `after`
 * if that is not 0, and goes down to the first.
 */
struct stele_query {
    size_t size;
    const char *stream;   /* one stream; a missing one has no events, which is no error */
    const char *category; /* streams whose names begin with this; not together with `stream`; "" is all */
    const char *type;     /* a type name or pattern: "bank.money.*" (one level), "bank.>" (the rest) */
    uint64_t after;       /* exclusive: in the direction of reading */
    uint64_t until;       /* inclusive: the highest version or position wanted; 0 = the head */
    bool has_until_time;
    int64_t until_time; /* only events whose time is at or before this */
    bool backwards;
    uint64_t limit; /* most events returned; 0 = no limit. What upcasters made of one event is never cut. */
};

/*
 * Open a cursor over events. It sees the store as it is at this call: events
 * appended later are not in it. It holds no transaction and no lock between
 * steps. STELE_INVALID (argument named; bounds above STELE_VERSION_MAX, a
 * malformed pattern), STELE_CORRUPT, STELE_IO, STELE_BUSY, STELE_NO_MEMORY.
 */
STELE_API stele_status stele_read(stele_store *store, const struct stele_query *query, stele_cursor **out,
                                  stele_error **error);

/*
 * The next event, lent until the next step or close (stele_message_ref() keeps
 * it), or NULL at the end. STELE_CORRUPT, with "position", for a row whose
 * checksum does not fit; stepping on continues behind it.
 */
STELE_API stele_status stele_cursor_next(stele_cursor *cursor, const stele_message **out, stele_error **error);

/* What a cursor knows of the place it reads. */
struct stele_head {
    /* Without a limit, or before it is reached: the last position of the store when the cursor was opened, even if
     * nothing matched. When the limit was reached: the position of the last event returned. */
    uint64_t position;
    uint64_t version; /* of the query's stream when the cursor was opened; 0 without one */
    bool exists;      /* the query's stream was ever written */
};
STELE_API struct stele_head stele_cursor_head(const stele_cursor *cursor);

/* Close a cursor; NULL is allowed. */
STELE_API void stele_cursor_close(stele_cursor *cursor);

/* The event with this id, or at this position (from 1); STELE_NOT_FOUND, and errors as stele_read(). The caller owns one
 * reference. */
STELE_API stele_status stele_find(stele_store *store, const char *id, stele_message **out, stele_error **error);
STELE_API stele_status stele_find_position(stele_store *store, uint64_t position, stele_message **out,
                                           stele_error **error);

/* A stream as a listing shows it. */
struct stele_stream {
    struct stele_slice name;
    uint64_t version;
    uint64_t first_position, last_position;
    int64_t first_time, last_time; /* of its first and last event */
};

struct stele_stream_query {
    size_t size;
    const char *category; /* names that begin with this */
    const char *after;    /* exclusive: names behind this one, bytewise, in the direction of reading */
    bool backwards;
    uint64_t limit;
};

/* Call `visit` for every stream, by name in bytewise order, until it returns false. The stream is lent for the call;
 * `visit` must not call the store. Errors as stele_read(). */
typedef bool stele_stream_visit(void *context, const struct stele_stream *stream);
STELE_API stele_status stele_streams(stele_store *store, const struct stele_stream_query *query,
                                     stele_stream_visit *visit, void *context, stele_error **error);

/*
 * Wait until the store holds an event behind `position`, written by whichever
 * process. STELE_OK with the head in `*head` (may be NULL), or STELE_TIMEOUT
 * after `timeout_ms` milliseconds. Does not poll the tables.
 */
STELE_API stele_status stele_wait(stele_store *store, uint64_t position, uint32_t timeout_ms, uint64_t *head,
                                  stele_error **error);

/* --- Checkpoints: how far a named reader of the log has come -------------------- */

/* What a checkpoint that is not there is at. */
#define STELE_NO_CHECKPOINT UINT64_MAX

/* A checkpoint; `name` is lent for the visit. */
struct stele_checkpoint {
    const char *name;
    uint64_t position; /* all up to here is done; 0: nothing yet */
    int64_t time;      /* when it was written, by the store's clock */
};

/*
 * The position a checkpoint is at. STELE_NOT_FOUND if there is none of that
 * name, with "checkpoint"; STELE_CORRUPT if it is damaged; STELE_INVALID and
 * STELE_LIMIT for a malformed name; STELE_IO; STELE_NO_MEMORY. Thread-safe, as
 * are the three below.
 */
STELE_API stele_status stele_checkpoint_read(stele_store *store, const char *name, uint64_t *position,
                                             stele_error **error);

/*
 * Move a checkpoint from `expected` to `position`, in one transaction:
 * STELE_CONFLICT, with "checkpoint", "expected" and "actual", if it is anywhere
 * else. So of two readers of one name one notices, and going back is possible
 * only by saying from where. `expected` is STELE_NO_CHECKPOINT for one that is to
 * be made. STELE_INVALID for a position behind the last event, and as
 * stele_checkpoint_read(); otherwise as stele_append_batch(). It is durable when
 * the call returns STELE_OK, as an append is.
 */
STELE_API stele_status stele_checkpoint_write(stele_store *store, const char *name, uint64_t expected,
                                              uint64_t position, stele_error **error);

/* Delete a checkpoint, wherever it is: its reader begins anew. STELE_NOT_FOUND; otherwise as stele_checkpoint_write(). */
STELE_API stele_status stele_checkpoint_delete(stele_store *store, const char *name, stele_error **error);

/* Call `visit` for each checkpoint, by name in bytewise order, until it returns false; it must not call the store. Errors
 * as stele_checkpoint_read(). */
typedef bool stele_checkpoint_visit(void *context, const struct stele_checkpoint *checkpoint);
STELE_API stele_status stele_checkpoint_list(stele_store *store, stele_checkpoint_visit *visit, void *context,
                                             stele_error **error);

/* A store in numbers. Errors of stele_stats() as stele_read(). */
struct stele_stats {
    uint64_t events;
    uint64_t streams;
    uint64_t types;
    uint64_t head;          /* last position */
    uint64_t bytes;         /* on disk without its log, or in memory */
    uint64_t log_bytes;     /* of the write-ahead log */
    const char *backend;    /* "sqlite"; static */
    const char *durability; /* what an acknowledged append survives: "power loss", "process death", "nothing"; static */
    const char *library;    /* version of the library beneath; static */
};
STELE_API stele_status stele_stats(stele_store *store, struct stele_stats *out, stele_error **error);

/* What stele_verify() is asked. Neither function may call the store. */
struct stele_verify_options {
    size_t size;
    uint64_t expect_head; /* a position known from outside: the store must reach at least to it */
    /* Called for each fault found, with one line of text; may be NULL. */
    void (*fault)(void *context, const char *text);
    /* Called now and then with the events checked so far and in all; false stops the check (STELE_TIMEOUT). */
    bool (*progress)(void *context, uint64_t done, uint64_t all);
    void *context;
};

/* What it did. */
struct stele_verified {
    uint64_t events; /* rows whose checksum, version, id and payload were checked */
    uint64_t streams;
    uint64_t log_commits; /* commits scanned in the write-ahead log */
    uint64_t faults;
};

/*
 * Check the whole store: the write-ahead log, the file's own structure,
 * checksums, gapless versions, payloads that decode, unique ids, and the head
 * against `expect_head`. STELE_CORRUPT if there were faults; `*out` is filled
 * then too.
 */
STELE_API stele_status stele_verify(stele_store *store, const struct stele_verify_options *options,
                                    struct stele_verified *out, stele_error **error);

#ifdef __cplusplus
}
#endif

#endif
