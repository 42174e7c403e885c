/*
 * stele/spi/store.h - for people who write a store: what a backend must do.
 *
 * The front (stele/store.h) checks every argument once and calls the backend
 * through a table of functions. The backend stores; it never calls the front.
 * All that is alike in every backend (what an expectation means, when an append
 * is a repetition) is here as functions that backends share.
 *
 * This interface is for code compiled together with the library: it may change
 * between minor versions.
 */
#ifndef STELE_SPI_STORE_H
#define STELE_SPI_STORE_H

#include <stele/store.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * One event as it is stored. Every slice is borrowed. Which of the attributes
 * are in `meta` is the message layer's affair (docs/file-format.md): a backend
 * keeps the bytes.
 */
struct stele_record {
    uint64_t position;
    uint64_t version;
    struct stele_slice stream; /* NUL-terminated */
    struct stele_slice type;   /* NUL-terminated */
    uint32_t type_version;
    bool id_is_uuid; /* id: the 16 bytes of `uuid`, or else the text in `id` */
    struct stele_uuid uuid;
    struct stele_slice id;
    int64_t time;
    struct stele_slice meta;
    struct stele_slice payload; /* absent (NULL) for a message without one */
};

struct stele_stream_expectation {
    struct stele_slice stream;
    struct stele_expected expected;
};

/* A command and its outcome, as the ledger keeps them. */
struct stele_command_record {
    bool id_is_uuid; /* as in struct stele_record */
    struct stele_uuid uuid;
    struct stele_slice id;
    uint8_t digest[16];           /* of what the command says; a backend only compares it */
    struct stele_slice rejection; /* absent: accepted */
    int64_t time;
    struct stele_appended outcome; /* set by the backend when it appends; without `replayed` and `repeated` */
};

/* A place in the ledger's order: by time, then by the order of remembering. */
struct stele_command_mark {
    bool found;
    int64_t time;
    uint64_t number;
};

/* The state of a stream at a version: a cache that may be lost at any time. */
struct stele_snapshot {
    struct stele_slice stream;
    uint64_t version;
    uint8_t fingerprint[16]; /* of the state's shape; compared before `state` is decoded */
    struct stele_slice state;
    int64_t time; /* of the latest event in it */
};

/*
 * One caller's append, in a group of them. The front has checked names, limits
 * and that no id is twice in it. The backend sets `status`, `error` (the front
 * owns it) and, on STELE_OK, `result`.
 */
struct stele_append_member {
    const struct stele_record *records; /* position and version are 0: the backend assigns them */
    size_t record_count;
    const struct stele_stream_expectation *expectations;
    size_t expectation_count;
    /* Remembered in the same transaction if the member is STELE_OK; NULL: none. Looked up before all else: see
     * stele_append_rules_command(). Its `outcome` is not read. */
    const struct stele_command_record *command;

    stele_status status;
    stele_error *error;
    struct stele_appended result;
};

/* What a read wants, checked by the front. */
struct stele_scan {
    struct stele_slice stream;      /* absent: the global order */
    struct stele_slice category;    /* absent: all */
    struct stele_slice type;        /* pattern; absent: all */
    const struct stele_slice *also; /* with a pattern: names that are wanted too, see stele_scan_wants() */
    size_t also_count;
    uint64_t after; /* version or position, exclusive, in the direction of reading; 0: from the start
                                    (the newest when backwards) */
    uint64_t until; /* highest version or position wanted; never 0, STELE_VERSION_MAX for the head */
    bool has_until_time;
    int64_t until_time;
    bool backwards;
    uint64_t limit; /* records to visit; never 0 */
};

/* Is a type wanted by a scan with a pattern? */
STELE_API bool stele_scan_wants(const struct stele_scan *scan, struct stele_slice type);

/* How a read ended. `head` and the stream's facts are of the snapshot it read. */
struct stele_scan_end {
    uint64_t head;           /* last position of the store */
    uint64_t stream_version; /* of the scan's stream; 0 without one or if it is missing */
    uint64_t last;           /* version or position up to which the scan has looked, matching or not */
    bool done;               /* nothing is left: as opposed to stopped by the visitor, the limit or a bound on work */
};

/* Called for each record, which is lent for the call; false stops. Must not call the store. */
typedef bool stele_record_visit(void *context, const struct stele_record *record);

typedef bool stele_command_visit(void *context, const struct stele_command_record *command);
typedef bool stele_snapshot_visit(void *context, const struct stele_snapshot *snapshot);

/* A parameter of the URL, decoded. */
struct stele_url_parameter {
    const char *name;
    const char *value;
};

struct stele_open_request {
    const char *location; /* the URL without scheme and parameters */
    const struct stele_url_parameter *parameters;
    size_t parameter_count;
    enum stele_open_mode mode;
    const struct stele_clock *clock;
};

struct stele_store_ops;
struct stele_store_operations; /* stele/spi/operations.h */

/*
 * What is written along with appends, in their transaction: read models in the
 * store (contract C3). `append` calls, where it finds one:
 *
 *     begin    before the first record of a transaction is written; `head` is the last position
 *     apply    for each record, in order, once it has its version and position
 *     commit   when all is written; `head` is the last position then
 *     end      when the transaction has ended in any way, if it was begun
 *
 * A failure of `apply` refuses the member, with its status and error, and takes
 * back what was written for it and nothing else. A failure of `begin` or
 * `commit` refuses the group as a failed write does; but STELE_CONFLICT of
 * `commit` says that a checkpoint was moved by somebody else: the transaction is run
 * again, once. In these functions the front calls the backend's `transactions`.
 */
struct stele_companion {
    stele_status (*begin)(struct stele_companion *companion, uint64_t head, stele_error **error);
    stele_status (*apply)(struct stele_companion *companion, const struct stele_record *record, stele_error **error);
    stele_status (*commit)(struct stele_companion *companion, uint64_t head, stele_error **error);
    void (*end)(struct stele_companion *companion, bool committed);
};

/* What every backend's handle begins with. */
struct stele_backend {
    const struct stele_store_ops *ops;
    uint32_t idle_ms; /* set by `open`: nothing written for so long, `idle` is called; 0: never */
    /* Set by the front, one thread at a time with append; NULL: none. Only where there are `transactions`. */
    struct stele_companion *companion;
};

/*
 * Write transactions that the front runs itself, and what it does inside one,
 * its own or that of an append. All slots are required; one thread at a time
 * with append.
 */
struct stele_store_transactions {
    size_t size; /* of this struct */

    stele_status (*begin)(struct stele_backend *backend, uint64_t *head, stele_error **error);
    /* As durable as an append, with the same statuses; when it fails, the transaction is over. */
    stele_status (*commit)(struct stele_backend *backend, stele_error **error);
    /* `broken`: because a write has failed with STELE_IO, which counts as in an append. */
    void (*roll_back)(struct stele_backend *backend, bool broken);

    /* As `read` of the backend, of what the transaction sees. The visitor may write to the read models. */
    stele_status (*read)(struct stele_backend *backend, const struct stele_scan *scan, stele_record_visit *visit,
                         void *context, struct stele_scan_end *end, stele_error **error);
    /* Where a checkpoint is; STELE_NO_CHECKPOINT if it is not there. STELE_CORRUPT if its row is damaged. */
    stele_status (*position)(struct stele_backend *backend, const char *name, uint64_t *position, stele_error **error);
    /* Move one, if it is at `expected`; else STELE_CONFLICT. */
    stele_status (*move)(struct stele_backend *backend, const struct stele_checkpoint *checkpoint, uint64_t expected,
                         stele_error **error);
};

/*
 * The functions of a backend. All may block. Except where said, each may be
 * called by any number of threads at once; the backend takes its own locks and
 * holds none while it calls a visitor that would keep a writer waiting.
 * Errors are those of the front's function; all slots are required, but for `idle`, `operations` and `transactions`.
 */
struct stele_store_ops {
    size_t size;        /* of this struct */
    const char *scheme; /* "sqlite" */

    /* Open or create. A parameter it does not know is STELE_INVALID. */
    stele_status (*open)(const struct stele_open_request *request, struct stele_backend **out, stele_error **error);

    /* Called once, when no other call is running. */
    void (*close)(struct stele_backend *backend);

    /*
     * Append a group in one transaction: each member that may be written is,
     * with its versions and positions assigned in member order; the others get
     * their own status and disturb nobody. No member is STELE_OK before all is
     * durable. One thread at a time: the front sees to it.
     */
    void (*append)(struct stele_backend *backend, struct stele_append_member *members, size_t count);

    /*
     * Visit records in order, in one snapshot: a version-gap in a stream or a
     * checksum that does not fit is STELE_CORRUPT with "position", and
     * `end->last` is then that record's place, so that a reader can go on
     * behind it; where that cannot be said it is 0. All of `end` is filled on
     * STELE_OK and STELE_CORRUPT. A backend may stop early, with `end->done`
     * false, to keep a snapshot short, but not without having moved on.
     */
    stele_status (*read)(struct stele_backend *backend, const struct stele_scan *scan, stele_record_visit *visit,
                         void *context, struct stele_scan_end *end, stele_error **error);

    /* Visit the record with the id of `wanted`; no visit if there is none. */
    stele_status (*find)(struct stele_backend *backend, const struct stele_record *wanted, stele_record_visit *visit,
                         void *context, stele_error **error);

    /* Visit streams by name. `query` is never NULL, its limit never 0. */
    stele_status (*streams)(struct stele_backend *backend, const struct stele_stream_query *query,
                            stele_stream_visit *visit, void *context, stele_error **error);

    /* Wait for a commit behind `position`, by whichever process. */
    stele_status (*wait)(struct stele_backend *backend, uint64_t position, uint32_t timeout_ms, uint64_t *head,
                         stele_error **error);

    stele_status (*stats)(struct stele_backend *backend, struct stele_stats *out, stele_error **error);

    /*
     * Check what is below the records: files, indexes, interned names. Faults
     * are told to `options->fault` and counted in `out->faults`, commits in
     * `out->log_commits`; the status is about carrying out the check. Rows and
     * streams are checked, and counted, by the front, by reading.
     */
    stele_status (*verify)(struct stele_backend *backend, const struct stele_verify_options *options,
                           struct stele_verified *out, stele_error **error);

    /* Visit the ledger's entry with the id of `wanted`; no visit if there is none. */
    stele_status (*find_command)(struct stele_backend *backend, const struct stele_command_record *wanted,
                                 stele_command_visit *visit, void *context, stele_error **error);

    /* Find how far a retention, which has a member at least, reaches; `out->found` is false if it lets nothing go. */
    stele_status (*mark_commands)(struct stele_backend *backend, const struct stele_retention *retention,
                                  struct stele_command_mark *out, stele_error **error);

    /* Forget the oldest entries up to and with a mark, at most `most` of them; `*forgotten` tells how many. One thread
     * at a time with append: the front sees to it. */
    stele_status (*forget_commands)(struct stele_backend *backend, const struct stele_command_mark *mark, uint64_t most,
                                    uint64_t *forgotten, stele_error **error);

    /* Visit the snapshot of a stream; no visit if there is none. STELE_CORRUPT if its row is damaged. */
    stele_status (*load_snapshot)(struct stele_backend *backend, struct stele_slice stream, stele_snapshot_visit *visit,
                                  void *context, stele_error **error);

    /* Keep a snapshot in place of the stored one, unless that is newer, sound and of the same fingerprint. One thread
     * at a time with append: the front sees to it. Need not be durable. STELE_NOT_FOUND if the stream is missing,
     * STELE_INVALID if it is shorter than the snapshot's version. */
    stele_status (*save_snapshot)(struct stele_backend *backend, const struct stele_snapshot *snapshot,
                                  stele_error **error);

    /* Delete a stream's snapshot, or with an absent `stream` every one. Same thread rule. */
    stele_status (*drop_snapshot)(struct stele_backend *backend, struct stele_slice stream, stele_error **error);

    /* Visit the checkpoint of this name, or with NULL each of them by name; no visit if there is none. STELE_CORRUPT if
     * a row is damaged. */
    stele_status (*read_checkpoints)(struct stele_backend *backend, const char *name, stele_checkpoint_visit *visit,
                                     void *context, stele_error **error);

    /* Move a checkpoint as stele_checkpoint_rules() says, in a transaction of its own, as durable as an append. The
     * front checked the name. One thread at a time with append. */
    stele_status (*write_checkpoint)(struct stele_backend *backend, const struct stele_checkpoint *checkpoint,
                                     uint64_t expected, stele_error **error);

    /* Delete a checkpoint; `*found` says whether there was one. Same thread rule. */
    stele_status (*delete_checkpoint)(struct stele_backend *backend, const char *name, bool *found,
                                      stele_error **error);

    /*
     * Nothing was written through this handle for a while: tidy up, shortly and without waiting for anybody. False if
     * something is left to do: called again, later each time. One thread at a time with append: the front sees to it.
     * Needed only by a backend that sets `idle_ms`.
     */
    bool (*idle)(struct stele_backend *backend);

    /* Copies, compaction, sizes, SQL. Optional: NULL, or a table whose slots are each optional. */
    const struct stele_store_operations *operations;

    /* Transactions of the front, and a companion of appends. Optional: NULL if the backend has none. */
    const struct stele_store_transactions *transactions;
};

/*
 * How a backend shows its present state, inside its transaction, to the rules
 * below. What `find` gives out must live until the next `find`, all else until
 * the rules return.
 */
struct stele_append_view {
    /* The version of a stream; 0 if it is missing. */
    stele_status (*version)(void *context, struct stele_slice stream, uint64_t *out, stele_error **error);
    /* The stored record with the id of `wanted`. */
    stele_status (*find)(void *context, const struct stele_record *wanted, struct stele_record *out, bool *found,
                         stele_error **error);
    /* Up to 16 events of a stream behind a version, oldest first. */
    stele_status (*behind)(void *context, struct stele_slice stream, uint64_t version, struct stele_conflict *conflict,
                           stele_error **error);
    /* The remembered command with the id of `wanted`. */
    stele_status (*command)(void *context, const struct stele_command_record *wanted, struct stele_command_record *out,
                            bool *found, stele_error **error);
    void *context;
};

/*
 * Was the member's command, if it has one, handled before? STELE_OK with
 * `*replayed` false if not; with `*replayed` true and `member->result` filled
 * with the first outcome if it was accepted; STELE_REJECTED with the first text
 * if it was refused; STELE_ID_REUSE if the id is that of another command.
 */
STELE_API stele_status stele_append_rules_command(const struct stele_append_view *view,
                                                  struct stele_append_member *member, bool *replayed);

/*
 * Do all expectations of a member hold? STELE_OK, or STELE_CONFLICT with the
 * facts in `member->error`, or what the view failed with. Fills the result of
 * a member without records: there is nothing more to do for it.
 */
STELE_API stele_status stele_append_rules_expect(const struct stele_append_view *view,
                                                 struct stele_append_member *member);

/*
 * Is a member a repetition? STELE_OK with `*repeated` set and `member->result`
 * filled with the original versions and positions if all its ids are stored, in
 * its order, in its streams, with its types and payloads; STELE_OK with
 * `*repeated` false if none is stored; STELE_ID_REUSE otherwise.
 */
STELE_API stele_status stele_append_rules_repeat(const struct stele_append_view *view,
                                                 struct stele_append_member *member, bool *repeated);

/*
 * True if a member whose `result.version` is set, by writing or as a repetition,
 * began the stream of its last record: all events of that stream up to there are
 * its own. The member has records.
 */
STELE_API bool stele_append_rules_created(const struct stele_append_member *member);

/*
 * All three, in the order that makes retries safe: a command that was handled
 * and a repetition are OK whatever was expected. On STELE_OK with `*repeated`
 * false the member's records are to be written. Then, and for a repetition too,
 * its command is to be remembered with `member->result`, unless that says
 * `replayed`. (A backend whose id index reports a duplicate while writing may ask
 * for the command, check the expectations, and ask for the repetition only then.)
 */
STELE_API stele_status stele_append_rules(const struct stele_append_view *view, struct stele_append_member *member,
                                          bool *repeated);

/*
 * May a checkpoint that is at `stored` (STELE_NO_CHECKPOINT: it is not there) be
 * moved, in a store whose last position is `head`? STELE_OK, STELE_CONFLICT, STELE_INVALID.
 */
STELE_API stele_status stele_checkpoint_rules(const struct stele_checkpoint *checkpoint, uint64_t expected,
                                              uint64_t stored, uint64_t head, stele_error **error);

/*
 * Put a backend of one's own over that of a store which is being opened: it gets
 * the calls of the front and passes on what it likes, under the same rules. From
 * STELE_OK on it owns `inner`, and closes it when it is closed itself. Its table
 * needs no `open`. Where it has `transactions`, it gives `inner` its own
 * `companion` before each append.
 */
typedef stele_status stele_backend_wrap(void *context, struct stele_backend *inner, struct stele_backend **out,
                                        stele_error **error);

/* stele_store_open(), with `wrap` called as soon as the backend is open; a failure of it is that of the call. */
STELE_API stele_status stele_store_open_wrapped(const char *url, const struct stele_store_options *options,
                                                stele_backend_wrap *wrap, void *context, stele_store **out,
                                                stele_error **error);

/* Set `*error` (if wanted) to a new error with this message, which is copied; returns `status`. */
STELE_API stele_status stele_backend_fail(stele_error **error, stele_status status, const char *message);

#ifdef __cplusplus
}
#endif

#endif
