/*
 * The inside of an open SQLite store.
 *
 *     struct sqlite_store
 *       writer ------- one connection: appends, under the front's gate
 *       checkpointer - one connection: moves the log into the file
 *       readers ------ a pool of connections, one per running read
 *       watch -------- threads that wait for a commit
 *
 * No connection checkpoints by itself: SQLite before 3.51.3 can lose commits
 * when a checkpoint runs beside a writer, so ours run only under the write lock
 * (checkpoint.c). Neither the database nor its -shm file is ever opened by
 * anything but SQLite, because closing it would drop SQLite's locks.
 */
#ifndef STELE_SQLITE_SQLITE_H
#define STELE_SQLITE_SQLITE_H

#include <stele/spi/store.h>

#include "base/arena.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>

enum {
    SQLITE_STORE_APPLICATION = 0x5354454c, /* "STEL": the file's application_id */
    SQLITE_STORE_PAGE = 4096,              /* bytes */
    SQLITE_STORE_CHECKPOINT_PAGES = 4000,  /* length of the log from which an append checkpoints */
    SQLITE_STORE_READERS_MAX = 8,
    SQLITE_STORE_BUSY_DEFAULT = 5000, /* ms */
    SQLITE_STORE_IDLE_DEFAULT = 1000, /* ms without a commit, after which the log is moved in */
    SQLITE_STORE_LOOKED_MAX = 65536   /* rows of one snapshot */
};

/* --- Names -------------------------------------------------------------------- */

/* A stream or type as its row says. */
struct sqlite_name {
    int64_t id; /* 0: the entry is empty */
    char *text; /* NUL-terminated */
    size_t size;
    size_t room;      /* bytes allocated at `text` */
    uint32_t version; /* of a type */
    uint32_t scan;    /* the scan for which `matches` was worked out */
    bool matches;
};

/* Names by id: direct-mapped, grown up to a bound, emptied when they take too much memory. */
struct sqlite_names {
    struct sqlite_name *entries;
    size_t capacity; /* a power of two, or 0 */
    size_t bytes;    /* of all texts */
};

/* --- Connections ---------------------------------------------------------------- */

/* Every statement there is; the texts are in statements.c. */
enum sqlite_statement {
    STATEMENT_BEGIN,
    STATEMENT_COMMIT,
    STATEMENT_ROLLBACK,
    STATEMENT_SAVE_MEMBER,
    STATEMENT_KEEP_MEMBER,
    STATEMENT_UNDO_MEMBER,
    STATEMENT_HEAD,
    STATEMENT_STREAM_FACTS,
    STATEMENT_STREAM_FORWARDS,
    STATEMENT_STREAM_BACKWARDS,
    STATEMENT_VISIT_STREAM_FORWARDS,
    STATEMENT_VISIT_STREAM_BACKWARDS,
    STATEMENT_VISIT_LOG_FORWARDS,
    STATEMENT_VISIT_LOG_BACKWARDS,
    STATEMENT_FIND,
    STATEMENT_STREAM_NAME,
    STATEMENT_TYPE_NAME,
    STATEMENT_STREAM_HEAD,
    STATEMENT_TYPE_ID,
    STATEMENT_STREAM_LAST_ID,
    STATEMENT_TYPE_LAST_ID,
    STATEMENT_INSERT_STREAM,
    STATEMENT_INSERT_TYPE,
    STATEMENT_INSERT_EVENT,
    STATEMENT_STREAMS_FORWARDS,
    STATEMENT_STREAMS_BACKWARDS,
    STATEMENT_COUNTS,
    STATEMENT_SIZE,
    STATEMENT_INTEGRITY,
    STATEMENT_STREAM_ROWS,
    STATEMENT_TYPE_ROWS,
    STATEMENT_VERSION_GAPS,
    STATEMENT_FORMAT,
    STATEMENT_FIND_COMMAND,
    STATEMENT_INSERT_COMMAND,
    STATEMENT_MARK_COMMAND,
    STATEMENT_FORGET_COMMANDS,
    STATEMENT_COMMAND_ROWS,
    STATEMENT_FIND_SNAPSHOT,
    STATEMENT_STORED_SNAPSHOT,
    STATEMENT_SAVE_SNAPSHOT,
    STATEMENT_DROP_SNAPSHOT,
    STATEMENT_DROP_SNAPSHOTS,
    STATEMENT_SNAPSHOT_ROWS,
    STATEMENT_FIND_CHECKPOINT,
    STATEMENT_WRITE_CHECKPOINT,
    STATEMENT_MOVE_CHECKPOINT,
    STATEMENT_DELETE_CHECKPOINT,
    STATEMENT_CHECKPOINT_ROWS,
    STATEMENT_COUNT
};

/* A connection and what it has prepared; used by one thread at a time. */
struct sqlite_connection {
    sqlite3 *db;
    const char *path; /* borrowed, for messages */
    sqlite3_stmt *statements[STATEMENT_COUNT];
    struct sqlite_names streams;
    struct sqlite_names types;
    uint32_t scan; /* number of the scan that is running */

    /* Waiting for a lock. */
    const struct stele_clock *clock;
    int64_t busy_limit; /* ns */
    int64_t busy_since;
    int64_t busy_waited;            /* ns, of the last wait */
    int64_t busy_slept;             /* ns, of these asleep: counts where the clock stands still */
    bool interrupt_on_giving_up;    /* see checkpoint.c */
    struct sqlite_connection *next; /* in the pool */
};

/* What opening a connection takes. */
struct sqlite_connect {
    const char *path;
    const char *vfs; /* NULL: the default */
    const struct stele_clock *clock;
    int flags; /* of sqlite3_open_v2() */
    int64_t busy_limit;
    uint64_t mmap;
    bool query_only;
    const char *synchronous; /* the PRAGMA */
};

stele_status stele__sqlite_connect(const struct sqlite_connect *how, struct sqlite_connection **out,
                                   stele_error **error);
/* Close; NULL is allowed. */
void stele__sqlite_disconnect(struct sqlite_connection *connection);

/* A prepared statement, ready to be bound; NULL when it cannot be prepared, and then sqlite3_errcode() says why. */
sqlite3_stmt *stele__sqlite_statement(struct sqlite_connection *connection, enum sqlite_statement statement);
/* The text of a statement. Static. */
const char *stele__sqlite_statement_text(enum sqlite_statement statement);

/* Run a statement that returns no row and takes no parameter; an SQLite result code. */
int stele__sqlite_run(struct sqlite_connection *connection, enum sqlite_statement statement);
/* Run one that returns one row of one integer (NULL counts as 0). */
stele_status stele__sqlite_number(struct sqlite_connection *connection, enum sqlite_statement statement, int64_t *out,
                                  stele_error **error);

/* --- Statuses ---------------------------------------------------------------------- */

/* The status an SQLite result code (basic or extended) stands for. */
stele_status stele__sqlite_status(int code);
/* Fail with a result code of the connection: "PATH: cannot DOING: why". Adds "path". */
stele_status stele__sqlite_fail(const struct sqlite_connection *connection, int code, const char *doing,
                                stele_error **error);
/* The same while the file is being opened, when it may turn out to be no database: STELE_FOREIGN. */
stele_status stele__sqlite_fail_opening(const struct sqlite_connection *connection, int code, const char *doing,
                                        stele_error **error);
/* The same for a code from errno(3). */
stele_status stele__sqlite_fail_system(const char *path, int code, const char *doing, stele_error **error);

/* --- Rows ---------------------------------------------------------------------------- */

/* What a row's checksum covers: its stored columns (docs/file-format.md). */
struct sqlite_event_row {
    int64_t position, stream, version, type, time;
    struct stele_slice id;
    bool id_is_text;
    struct stele_slice meta, payload; /* absent: NULL */
};
uint64_t stele__sqlite_event_checksum(const struct sqlite_event_row *row);
uint64_t stele__sqlite_command_checksum(const struct stele_command_record *command);
uint64_t stele__sqlite_snapshot_checksum(int64_t stream, const struct stele_snapshot *snapshot);
uint64_t stele__sqlite_checkpoint_checksum(const struct stele_checkpoint *checkpoint);
uint64_t stele__sqlite_stream_checksum(int64_t id, struct stele_slice name);
uint64_t stele__sqlite_type_checksum(int64_t id, uint32_t version, struct stele_slice name);

/*
 * The record in the present row of a statement that selects an event. Statements
 * on one stream do not tell it: `stream` is then its id, otherwise 0. Borrowed
 * until the statement or the connection's names are used again. STELE_CORRUPT
 * with "position" if its checksum does not fit, or its stream or type is not there.
 */
stele_status stele__sqlite_record(struct sqlite_connection *connection, sqlite3_stmt *row, int64_t stream,
                                  struct stele_record *out, stele_error **error);

/* The same for one that was looked for by its id: STELE_CORRUPT, too, if a damaged index has led to another. */
stele_status stele__sqlite_found_record(struct sqlite_connection *connection, sqlite3_stmt *row,
                                        const struct stele_record *wanted, struct stele_record *out,
                                        stele_error **error);

/* The same in two steps: the numbers, by which a scan decides whether it wants the row, and the rest. */
void stele__sqlite_event_numbers(sqlite3_value **row, struct sqlite_event_row *out);
stele_status stele__sqlite_event_record(struct sqlite_connection *connection, sqlite3_value **row,
                                        struct sqlite_event_row *columns, struct stele_record *out,
                                        stele_error **error);

/* Let a connection's scans have stele_visit(), which is of no use to anybody else. */
int stele__sqlite_add_visit(sqlite3 *db);

/* The ledger's entry in the present row of a statement that selects one, borrowed. False if it is damaged. */
bool stele__sqlite_command_row(sqlite3_stmt *row, struct stele_command_record *out);

/* The same for a snapshot, but for its stream's name; `*stream` is that one's id. */
bool stele__sqlite_snapshot_row(sqlite3_stmt *row, int64_t *stream, struct stele_snapshot *out);

/* The same for a reader's checkpoint. */
bool stele__sqlite_checkpoint_row(sqlite3_stmt *row, struct stele_checkpoint *out);

/* A blob column; absent for NULL. */
struct stele_slice stele__sqlite_blob(sqlite3_stmt *row, int column);

/* Bind a record's id as it is stored. */
void stele__sqlite_bind_id(sqlite3_stmt *statement, int place, const struct stele_record *record);

/* The name of a stream or type; borrowed until the next call for another id. */
stele_status stele__sqlite_stream_name(struct sqlite_connection *connection, int64_t id, struct sqlite_name **out,
                                       stele_error **error);
stele_status stele__sqlite_type_name(struct sqlite_connection *connection, int64_t id, struct sqlite_name **out,
                                     stele_error **error);
/* Forget all names, as after a rollback that may have taken back some. */
void stele__sqlite_names_clear(struct sqlite_names *names);
void stele__sqlite_names_fini(struct sqlite_names *names);

/* --- The write-ahead log, read without SQLite -------------------------------------------- */

/* What a scan of a log found. */
struct sqlite_wal_facts {
    uint64_t commits; /* whole ones from its beginning on */
    uint64_t at_risk; /* whole commits behind a damaged place: SQLite will ignore them */
    uint64_t damaged; /* offset of that place */
    bool contested;   /* the header is damaged, or was torn while the log began anew: then nothing is at risk */
};

/* A way to read bytes at an offset: false at the end of the file or on failure (then `*failed` is set). */
struct sqlite_wal_source {
    bool (*read)(void *context, void *bytes, size_t size, uint64_t offset);
    void *context;
    bool failed;
};
stele_status stele__sqlite_wal_walk(struct sqlite_wal_source *source, struct sqlite_wal_facts *out,
                                    stele_error **error);
/* Is what the sound commits of a log write in the database already, page for page? */
stele_status stele__sqlite_wal_is_moved(struct sqlite_wal_source *log, struct sqlite_wal_source *database, bool *moved,
                                        stele_error **error);

/* --- The store ------------------------------------------------------------------------------ */

enum sqlite_sync { SYNC_FULL, SYNC_NORMAL, SYNC_OFF };

/* What the writer knows of a stream or type it met, valid while `generation` is the writer's. */
struct sqlite_known {
    uint64_t generation;
    int64_t id;       /* 0: not stored */
    uint64_t version; /* of a stream: its last; of a type: its own */
    char *text;
    size_t size;
    size_t room;
};

enum { KNOWN_STREAMS = 4096, KNOWN_TYPES = 256 }; /* powers of two */

/* What appends keep between them. Used by one append at a time. */
struct sqlite_writer {
    struct sqlite_connection *connection; /* NULL in a store opened for reading */
    uint64_t generation;                  /* changes when rows may have come or gone without the writer's doing */
    int64_t head;                         /* last position, inside the transaction */
    int64_t committed_head;
    int64_t last_stream; /* highest ids in use; -1: not known */
    int64_t last_type;
    struct sqlite_known *streams;
    struct sqlite_known *types;
    struct stele_arena arena; /* of the rules' questions */
    int log_pages;            /* length of the log after the last commit; 0: nothing was written behind a cut */
    int checkpoint_at;        /* length from which the next checkpoint is tried */
};

/* Threads that wait for a commit; see wait.c. */
struct sqlite_watch {
    pthread_mutex_t mutex; /* guards the rest */
    pthread_cond_t changed;
    uint64_t changes;  /* counts what may have been a commit */
    size_t waiting;    /* threads in wait() */
    bool listening;    /* one of them sits in poll(2) for all */
    int notify;        /* inotify on the log, or -1 */
    int wake[2];       /* a pipe that ends the listener's poll */
    int64_t alert_end; /* until then the listener looks often: the log was written, its commit is on its way */
    int64_t alert_pause;
};

/* Which file a path led to; all zero: not known. */
struct sqlite_file_identity {
    uint64_t device, inode;
};

/* A store among those that this process has open, or inherited open (process.c). */
struct sqlite_entry {
    struct sqlite_entry *next;
    struct sqlite_file_identity file;
    bool entered;
    bool inherited;
};

struct sqlite_store {
    struct stele_backend base;
    char *path; /* absolute, no symbolic links */
    char *log_path;
    char *shared_path; /* of the memory that the processes share */
    struct sqlite_entry entry;
    struct sqlite_file_identity files[3]; /* behind the three paths, when they were opened */
    int64_t files_checked;                /* monotonic time of the last look; used under the front's gate */
    char *vfs;
    const struct stele_clock *clock;
    enum stele_open_mode mode;
    enum sqlite_sync sync;
    int64_t busy_limit;
    uint64_t mmap;
    bool accept_damage;
    bool tidies; /* opened for reading, but may remove the files that SQLite puts beside the store */
    int checkpoint_pages;
    bool leaves_log; /* a log lies beside a file that is not known to be a store: it is not ours to move */
    bool uncut;      /* the log found at opening must be cut before anything is appended; used under the front's gate */

    struct sqlite_writer writer;
    struct sqlite_connection *checkpointer;
    atomic_size_t format; /* of the file, as far as is known: somebody may have brought it up meanwhile */
    atomic_bool poisoned; /* a commit failed in the middle: no append until the store is opened anew */

    pthread_mutex_t pool_mutex; /* guards the three below */
    pthread_cond_t pool_given;
    struct sqlite_connection *pool; /* idle readers */
    size_t readers;                 /* all readers */

    struct sqlite_watch watch;
};

static inline struct sqlite_store *stele__sqlite_store(struct stele_backend *backend)
{
    return (struct sqlite_store *)backend;
}

/* How a connection of the store is opened. */
struct sqlite_connect stele__sqlite_how(const struct sqlite_store *store, bool writable);

/* Take a reader out of the pool, waiting for one if all are in use, and give it back. */
stele_status stele__sqlite_take(struct sqlite_store *store, struct sqlite_connection **out, stele_error **error);
void stele__sqlite_give(struct sqlite_store *store, struct sqlite_connection *connection);
/* Take one if the file has at least this format; NULL if it has not. */
stele_status stele__sqlite_take_format(struct sqlite_store *store, size_t format, struct sqlite_connection **out,
                                       stele_error **error);

/* --- The file: what is there, creating it, its schema ------------------------------------------ */

/* Fill store->path and the paths beside it, canonical; they are freed with stele__sqlite_leave(), also on failure.
 * STELE_NOT_FOUND if the folder is missing. */
stele_status stele__sqlite_locate(struct sqlite_store *store, const char *location, stele_error **error);
void stele__sqlite_leave(struct sqlite_store *store);
/* Is a file there? */
stele_status stele__sqlite_exists(const struct sqlite_store *store, bool *exists, stele_error **error);
/* Refuse what cannot be a store, without opening it: other kinds of file, hard links, a rollback journal beside it. */
stele_status stele__sqlite_inspect(const struct sqlite_store *store, stele_error **error);
/* Refuse a file that lacks its end. */
stele_status stele__sqlite_check_size(const struct sqlite_store *store, struct sqlite_connection *connection,
                                      stele_error **error);
/* Before SQLite opens the file. STELE_FORKED if a parent of this process had it open when it forked. */
stele_status stele__sqlite_enter_process(struct sqlite_store *store, stele_error **error);
/* When SQLite has closed it. Does nothing if it was not entered. */
void stele__sqlite_leave_process(struct sqlite_store *store);
/* Remember which files the connections have open. */
void stele__sqlite_note_files(struct sqlite_store *store);
/* STELE_IO if one of them was removed or replaced: what is written to it is lost. */
stele_status stele__sqlite_check_files(const struct sqlite_store *store, stele_error **error);
/* The same, but not again within a few milliseconds. */
stele_status stele__sqlite_check_files_often(struct sqlite_store *store, stele_error **error);
/* Scan the log and judge it (contract D5). */
stele_status stele__sqlite_inspect_log(const struct sqlite_store *store, stele_error **error);
/* Only scan it; a missing log has no commits. */
stele_status stele__sqlite_scan_log(const struct sqlite_store *store, struct sqlite_wal_facts *out,
                                    stele_error **error);
/* May this process take away what it leaves beside the store? Not where a log is already: it is somebody's. */
bool stele__sqlite_may_tidy(const struct sqlite_store *store);
uint64_t stele__sqlite_log_size(const struct sqlite_store *store);

/* Make a complete, empty store at store->path, unless somebody else was faster. */
stele_status stele__sqlite_create(const struct sqlite_store *store, stele_error **error);

/* An object of the schema as sqlite_schema shows it. */
struct sqlite_object {
    const char *type, *name, *table, *sql;
};
/* What leads from one version of the schema to the next. */
struct sqlite_schema_step {
    const struct sqlite_object *objects;
    size_t object_count;
    const char *mark; /* sets user_version */
};
struct sqlite_schema {
    const struct sqlite_schema_step *steps; /* step n leads to version n + 1 */
    size_t step_count;
};
extern const struct sqlite_schema stele__sqlite_schema;

/* May a table or index that is none of the store's own be in its file? NULL, or why not. `root` is its first page. */
const char *stele__sqlite_further_fault(const struct sqlite_object *object, int64_t root);
/* Is it a name of the store's own tables, or one kept for later ones? */
bool stele__sqlite_is_own_name(const char *name);

/* Refuse a file that is not a store of ours. STELE_FOREIGN, STELE_TOO_NEW, STELE_CORRUPT. Gives its version. */
stele_status stele__sqlite_schema_check(struct sqlite_connection *connection, const struct sqlite_schema *schema,
                                        size_t *version, stele_error **error);
/* The same, in a transaction of the connection that has changed the schema. */
stele_status stele__sqlite_schema_check_inside(struct sqlite_connection *connection, stele_error **error);
/* Run the steps that the file lacks in one transaction; with none of them an empty database becomes a store. */
stele_status stele__sqlite_schema_upgrade(struct sqlite_connection *connection, const struct sqlite_schema *schema,
                                          stele_error **error);

/* The formats from which on there are a ledger and snapshots, checkpoints of readers, and tables of views. */
enum { FORMAT_LEDGER = 2, FORMAT_CHECKPOINTS = 3, FORMAT_VIEWS = 4 };
/* Does the file have at least this format? */
stele_status stele__sqlite_has_format(struct sqlite_store *store, struct sqlite_connection *connection, size_t format,
                                      bool *has, stele_error **error);

/* --- Checkpoints ----------------------------------------------------------------------------------- */

/* Move the log into the file under the write lock, if it has grown long. Never fails an append. */
void stele__sqlite_checkpoint(struct sqlite_store *store);
/* The slot: move all of it and cut it, if nobody is in the way. */
bool stele__sqlite_idle(struct stele_backend *backend);
/* A commit of the writer has made the log so long. */
void stele__sqlite_note_log(struct sqlite_store *store, int pages);
/* Move all of it and cut it to nothing, waiting up to `patience` ns for others; `*truncated` says whether. */
stele_status stele__sqlite_truncate_log(struct sqlite_store *store, int64_t patience, bool *truncated,
                                        stele_error **error);

/* --- The writer --------------------------------------------------------------------------------------- */

stele_status stele__sqlite_writer_init(struct sqlite_store *store, stele_error **error);
void stele__sqlite_writer_fini(struct sqlite_writer *writer);
/* Forget what was read or written since the last commit. */
void stele__sqlite_writer_forget(struct sqlite_writer *writer);
/* The stream's id and version (0 and 0 if it is missing); valid until the next call. */
stele_status stele__sqlite_writer_stream(struct sqlite_writer *writer, struct stele_slice name,
                                         struct sqlite_known **out, stele_error **error);
stele_status stele__sqlite_writer_type(struct sqlite_writer *writer, struct stele_slice name, uint32_t version,
                                       struct sqlite_known **out, stele_error **error);
/* Insert a stream or type that is not there. */
stele_status stele__sqlite_writer_add(struct sqlite_writer *writer, struct sqlite_known *known, bool is_type,
                                      stele_error **error);

/* --- Write transactions, one at a time: the front's gate sees to it --------------------------------------- */

/* Bring an older file up to the format of today. */
stele_status stele__sqlite_bring_up(struct sqlite_store *store, stele_error **error);
/* Refuse what cannot be written now: a store opened for reading, poisoned, or whose log cannot be cut yet. */
stele_status stele__sqlite_check_writable(struct sqlite_store *store, stele_error **error);
stele_status stele__sqlite_begin(struct sqlite_store *store, stele_error **error);
/* On failure `*in_doubt` says that it may be stored or not: the store is poisoned then. Roll back after any failure. */
stele_status stele__sqlite_commit(struct sqlite_store *store, bool *in_doubt, stele_error **error);
void stele__sqlite_roll_back(struct sqlite_store *store);

/* Change rows in a transaction of its own. What `change` fails with undoes it; without `*changed` there was nothing. */
typedef stele_status sqlite_change(struct sqlite_store *store, void *context, bool *changed, stele_error **error);
stele_status stele__sqlite_change(struct sqlite_store *store, sqlite_change *change, void *context,
                                  stele_error **error);

/* The slots of transactions of the front. */
extern const struct stele_store_transactions stele__sqlite_transactions;
stele_status stele__sqlite_read_inside(struct stele_backend *backend, const struct stele_scan *scan,
                                       stele_record_visit *visit, void *context, struct stele_scan_end *end,
                                       stele_error **error);
stele_status stele__sqlite_position_inside(struct stele_backend *backend, const char *name, uint64_t *position,
                                           stele_error **error);
stele_status stele__sqlite_move_inside(struct stele_backend *backend, const struct stele_checkpoint *checkpoint,
                                       uint64_t expected, stele_error **error);

/* --- The ledger ------------------------------------------------------------------------------------------- */

/* What the rules ask; `context` is the writer. The rejection lives in its arena. */
stele_status stele__sqlite_view_command(void *context, const struct stele_command_record *wanted,
                                        struct stele_command_record *out, bool *found, stele_error **error);
/* Write an entry, inside a write transaction. */
stele_status stele__sqlite_remember(struct sqlite_writer *writer, const struct stele_command_record *command,
                                    const struct stele_appended *outcome, stele_error **error);

/* --- Waiting -------------------------------------------------------------------------------------------- */

stele_status stele__sqlite_watch_init(struct sqlite_watch *watch, stele_error **error);
void stele__sqlite_watch_fini(struct sqlite_watch *watch);
/* Wake whoever waits: something was committed by this store. */
void stele__sqlite_watch_tell(struct sqlite_watch *watch);

/* --- Slots of the table ------------------------------------------------------------------------------------ */

extern const struct stele_store_ops stele__sqlite_ops;

stele_status stele__sqlite_open(const struct stele_open_request *request, struct stele_backend **out,
                                stele_error **error);
void stele__sqlite_close(struct stele_backend *backend);
void stele__sqlite_append(struct stele_backend *backend, struct stele_append_member *members, size_t count);
stele_status stele__sqlite_read(struct stele_backend *backend, const struct stele_scan *scan, stele_record_visit *visit,
                                void *context, struct stele_scan_end *end, stele_error **error);
stele_status stele__sqlite_find(struct stele_backend *backend, const struct stele_record *wanted,
                                stele_record_visit *visit, void *context, stele_error **error);
stele_status stele__sqlite_streams(struct stele_backend *backend, const struct stele_stream_query *query,
                                   stele_stream_visit *visit, void *context, stele_error **error);
stele_status stele__sqlite_wait(struct stele_backend *backend, uint64_t position, uint32_t timeout_ms, uint64_t *head,
                                stele_error **error);
stele_status stele__sqlite_stats(struct stele_backend *backend, struct stele_stats *out, stele_error **error);
stele_status stele__sqlite_verify(struct stele_backend *backend, const struct stele_verify_options *options,
                                  struct stele_verified *out, stele_error **error);
stele_status stele__sqlite_find_command(struct stele_backend *backend, const struct stele_command_record *wanted,
                                        stele_command_visit *visit, void *context, stele_error **error);
stele_status stele__sqlite_mark_commands(struct stele_backend *backend, const struct stele_retention *retention,
                                         struct stele_command_mark *out, stele_error **error);
stele_status stele__sqlite_forget_commands(struct stele_backend *backend, const struct stele_command_mark *mark,
                                           uint64_t most, uint64_t *forgotten, stele_error **error);
stele_status stele__sqlite_load_snapshot(struct stele_backend *backend, struct stele_slice stream,
                                         stele_snapshot_visit *visit, void *context, stele_error **error);
stele_status stele__sqlite_save_snapshot(struct stele_backend *backend, const struct stele_snapshot *snapshot,
                                         stele_error **error);
stele_status stele__sqlite_drop_snapshot(struct stele_backend *backend, struct stele_slice stream, stele_error **error);
stele_status stele__sqlite_read_checkpoints(struct stele_backend *backend, const char *name,
                                            stele_checkpoint_visit *visit, void *context, stele_error **error);
stele_status stele__sqlite_write_checkpoint(struct stele_backend *backend, const struct stele_checkpoint *checkpoint,
                                            uint64_t expected, stele_error **error);
stele_status stele__sqlite_delete_checkpoint(struct stele_backend *backend, const char *name, bool *found,
                                             stele_error **error);

#endif
