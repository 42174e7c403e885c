/*
 * Opening and closing.
 *
 *     parameters -> where the file is -> created if missing -> what it is, its log (without SQLite)
 *         -> a connection -> schema checked, upgraded if older -> log moved in and cut -> ready
 *
 * A log that is not empty was left by a process that died or whose commit
 * failed. Before anything is appended behind it, it is moved into the file and
 * cut, so that no page a failed sync has lost is relied on (contract D3).
 */
#include "sqlite/operations.h"

#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#ifdef __linux__
#include <sys/vfs.h>
#endif

#define MILLISECOND INT64_C(1000000)

enum { PATIENCE_MAX = 2000 /* ms that opening waits for others, to cut the log */ };

/* --- Parameters -------------------------------------------------------------------------- */

static stele_status fail_parameter(const struct stele_url_parameter *parameter, const char *wanted, stele_error **error)
{
    stele__fail(error, STELE_INVALID, "parameter %s=%s: %s", parameter->name, parameter->value, wanted);
    stele__error_add(error, "argument", "%s", parameter->name);
    return STELE_INVALID;
}

static stele_status take_sync(struct sqlite_store *store, const struct stele_url_parameter *parameter,
                              stele_error **error)
{
    static const char *const names[] = {"full", "normal", "off"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(parameter->value, names[i]) == 0) {
            store->sync = (enum sqlite_sync)i;
            return STELE_OK;
        }
    }
    return fail_parameter(parameter, "must be full, normal or off", error);
}

static stele_status take_time(const struct stele_url_parameter *parameter, uint64_t *ms, stele_error **error)
{
    if (!stele__parse_u64(stele__slice(parameter->value), ms) || *ms > INT_MAX)
        return fail_parameter(parameter, "must be a number of milliseconds", error);
    return STELE_OK;
}

static stele_status take_busy(struct sqlite_store *store, const struct stele_url_parameter *parameter,
                              stele_error **error)
{
    uint64_t ms = 0;
    stele_status status = take_time(parameter, &ms, error);

    store->busy_limit = (int64_t)ms * MILLISECOND;
    return status;
}

static stele_status take_idle(struct sqlite_store *store, const struct stele_url_parameter *parameter,
                              stele_error **error)
{
    uint64_t ms = 0;
    stele_status status = take_time(parameter, &ms, error);

    store->base.idle_ms = (uint32_t)ms;
    return status;
}

static stele_status take_mmap(struct sqlite_store *store, const struct stele_url_parameter *parameter,
                              stele_error **error)
{
    if (!stele__parse_u64(stele__slice(parameter->value), &store->mmap) || store->mmap > INT64_MAX)
        return fail_parameter(parameter, "must be a number of bytes", error);
    return STELE_OK;
}

static stele_status take_vfs(struct sqlite_store *store, const struct stele_url_parameter *parameter,
                             stele_error **error)
{
    if (!sqlite3_vfs_find(parameter->value))
        return fail_parameter(parameter, "no such VFS is registered in this process", error);
    stele__text_free(store->vfs);
    store->vfs = stele__text_copy(parameter->value);
    return store->vfs ? STELE_OK : stele__fail_memory(error);
}

static stele_status take_accept(struct sqlite_store *store, const struct stele_url_parameter *parameter,
                                stele_error **error)
{
    if (strcmp(parameter->value, "wal-damage") != 0)
        return fail_parameter(parameter, "must be wal-damage", error);
    store->accept_damage = true;
    return STELE_OK;
}

static stele_status take_parameter(struct sqlite_store *store, const struct stele_url_parameter *parameter,
                                   stele_error **error)
{
    static const struct {
        const char *name;
        stele_status (*take)(struct sqlite_store *, const struct stele_url_parameter *, stele_error **);
    } known[] = {
        {"sync", take_sync}, {"busy", take_busy}, {"idle", take_idle},
        {"mmap", take_mmap}, {"vfs", take_vfs},   {"accept", take_accept},
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strcmp(parameter->name, known[i].name) == 0)
            return known[i].take(store, parameter, error);
    return fail_parameter(parameter, "a store of SQLite has sync, busy, idle, mmap, vfs and accept", error);
}

/* --- Connections ---------------------------------------------------------------------------- */

struct sqlite_connect stele__sqlite_how(const struct sqlite_store *store, bool writable)
{
    static const char *const levels[] = {"PRAGMA synchronous = FULL", "PRAGMA synchronous = NORMAL",
                                         "PRAGMA synchronous = OFF"};
    struct sqlite_connect how = {
        .path = store->path,
        .vfs = store->vfs,
        .clock = store->clock,
        .flags = writable || store->tidies ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY,
        .query_only = !writable,
        .busy_limit = store->busy_limit,
        .mmap = store->mmap,
        .synchronous = levels[store->sync],
    };

    /* The path is canonical already: a link that appears now is somebody's trick. */
    if (!store->vfs)
        how.flags |= SQLITE_OPEN_NOFOLLOW;
    return how;
}

static int note_log(void *context, sqlite3 *db, const char *name, int pages)
{
    (void)db;
    (void)name;
    stele__sqlite_note_log(context, pages);
    return SQLITE_OK;
}

static stele_status fail_read_only(const struct sqlite_store *store, stele_error **error)
{
    return stele__fail(error, STELE_READ_ONLY,
                       "%s: neither it nor the files beside it can be written; open it for reading only", store->path);
}

/* The checkpointer: a connection that has never read would do nothing. */
static stele_status connect_checkpointer(struct sqlite_store *store, stele_error **error)
{
    const struct sqlite_connect how = stele__sqlite_how(store, true);
    int64_t head;
    stele_status status = stele__sqlite_connect(&how, &store->checkpointer, error);

    return status == STELE_OK ? stele__sqlite_number(store->checkpointer, STATEMENT_HEAD, &head, error) : status;
}

/*
 * Cut the log that somebody left. On a full disk it cannot be moved in: then the
 * store can be read, and the first append tries again.
 */
static stele_status cut_log(struct sqlite_store *store, stele_error **error)
{
    const int64_t most = PATIENCE_MAX * MILLISECOND;
    stele_error *cause = NULL;
    bool truncated = false;
    stele_status status;

    if (stele__sqlite_log_size(store) == 0)
        return STELE_OK;
    status = stele__sqlite_truncate_log(store, store->busy_limit < most ? store->busy_limit : most, &truncated, &cause);
    if (status == STELE_OK && !truncated)
        STELE__LOG(STELE_LOG_WARNING, "other programs use the store: its log is not cut at opening",
                   {"path", store->path});
    if (status != STELE_FULL) {
        if (error && cause)
            *error = cause;
        else
            stele_error_free(cause);
        return status;
    }
    STELE__LOG(STELE_LOG_WARNING, "the disk is full: the store can only be read", {"path", store->path});
    stele_error_free(cause);
    store->uncut = true;
    return STELE_OK;
}

/* The writer, and through it the first look at the file. */
static stele_status connect_writer(struct sqlite_store *store, stele_error **error)
{
    const struct sqlite_connect how = stele__sqlite_how(store, true);
    struct sqlite_writer *writer = &store->writer;
    size_t version = 0;
    stele_status status;

    store->leaves_log = stele__sqlite_log_size(store) > 0;
    status = stele__sqlite_connect(&how, &writer->connection, error);
    if (status == STELE_OK)
        status = stele__sqlite_schema_check(writer->connection, &stele__sqlite_schema, &version, error);
    if (status != STELE_OK)
        return status;
    store->leaves_log = false;
    if (sqlite3_db_readonly(writer->connection->db, "main") == 1)
        return fail_read_only(store, error);
    status = connect_checkpointer(store, error);
    if (status == STELE_OK)
        status = cut_log(store, error);
    atomic_store(&store->format, version);
    if (status == STELE_OK && !store->uncut)
        status = stele__sqlite_bring_up(store, error);
    sqlite3_wal_hook(writer->connection->db, note_log, store);
    return status;
}

/* An older file is as good to read as one of today: steps only add. */
static stele_status connect_reader(struct sqlite_store *store, stele_error **error)
{
    struct sqlite_connection *connection = NULL;
    size_t version = 0;
    stele_status status = stele__sqlite_take(store, &connection, error);

    if (status != STELE_OK)
        return status;
    if (store->mode == STELE_OPEN_READ_ONLY)
        status = stele__sqlite_schema_check(connection, &stele__sqlite_schema, &version, error);
    if (status == STELE_OK)
        status = stele__sqlite_check_size(store, connection, error);
    stele__sqlite_give(store, connection);
    return status;
}

/* --- Opening ----------------------------------------------------------------------------------- */

/* SQLite 3.7.0 to 3.51.2 can lose commits when somebody checkpoints beside a writer; 3.50.7 and 3.44.6 have the fix. */
static bool loses_commits(int version)
{
    return version < 3044006 || (version >= 3045000 && version < 3050007) || (version >= 3051000 && version < 3051003);
}

static void say_opened(const struct sqlite_store *store)
{
    STELE__LOG(STELE_LOG_INFO, "store opened", {"path", store->path}, {"sqlite", sqlite3_libversion()});
    if (store->mode != STELE_OPEN_READ_ONLY && loses_commits(sqlite3_libversion_number()))
        STELE__LOG(STELE_LOG_WARNING,
                   "this SQLite can lose commits if programs other than stele write to the file meanwhile",
                   {"path", store->path}, {"sqlite", sqlite3_libversion()});
}

static void warn_of_network(const struct sqlite_store *store)
{
#ifdef __linux__
    static const unsigned long types[] = {0x6969, 0x517b, 0xff534d42, 0xfe534d42}; /* NFS, SMB, CIFS, SMB 2 */
    struct statfs facts;

    if (store->vfs || statfs(store->path, &facts) != 0)
        return;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (((unsigned long)facts.f_type & 0xffffffff) == types[i])
            STELE__LOG(STELE_LOG_WARNING, "the store is on a network file system, which is not safe",
                       {"path", store->path});
#else
    (void)store;
#endif
}

static stele_status fail_not_found(const struct sqlite_store *store, stele_error **error)
{
    return stele__fail(error, STELE_NOT_FOUND, "%s: there is no such file", store->path);
}

static stele_status prepare_file(struct sqlite_store *store, const char *location, stele_error **error)
{
    bool exists = false;
    stele_status status = stele__sqlite_locate(store, location, error);

    if (status == STELE_OK)
        status = stele__sqlite_exists(store, &exists, error);
    if (status != STELE_OK)
        return status;
    if (!exists && store->mode != STELE_OPEN_CREATE)
        return fail_not_found(store, error);
    if (!exists)
        status = stele__sqlite_create(store, error);
    if (status == STELE_OK)
        status = stele__sqlite_inspect(store, error);
    if (status == STELE_OK)
        status = stele__sqlite_enter_process(store, error);
    store->tidies = status == STELE_OK && store->mode == STELE_OPEN_READ_ONLY && stele__sqlite_may_tidy(store);
    return status == STELE_OK ? stele__sqlite_inspect_log(store, error) : status;
}

static stele_status open_store(struct sqlite_store *store, const struct stele_open_request *request,
                               stele_error **error)
{
    stele_status status = STELE_OK;

    for (size_t i = 0; i < request->parameter_count && status == STELE_OK; i++)
        status = take_parameter(store, &request->parameters[i], error);
    if (status == STELE_OK)
        status = prepare_file(store, request->location, error);
    if (store->mode == STELE_OPEN_READ_ONLY)
        store->base.idle_ms = 0;
    if (status == STELE_OK && store->mode != STELE_OPEN_READ_ONLY) {
        status = stele__sqlite_writer_init(store, error);
        if (status == STELE_OK)
            status = connect_writer(store, error);
    }
    if (status == STELE_OK)
        status = connect_reader(store, error);
    return status;
}

stele_status stele__sqlite_open(const struct stele_open_request *request, struct stele_backend **out,
                                stele_error **error)
{
    struct sqlite_store *store = stele__alloc(sizeof(*store));
    stele_status status;

    if (!store)
        return stele__fail_memory(error);
    store->base.ops = &stele__sqlite_ops;
    store->clock = request->clock;
    store->mode = request->mode;
    store->busy_limit = SQLITE_STORE_BUSY_DEFAULT * MILLISECOND;
    store->base.idle_ms = SQLITE_STORE_IDLE_DEFAULT;
    store->checkpoint_pages = SQLITE_STORE_CHECKPOINT_PAGES;
    pthread_mutex_init(&store->pool_mutex, NULL);
    pthread_cond_init(&store->pool_given, NULL);
    status = stele__sqlite_watch_init(&store->watch, error);
    if (status == STELE_OK)
        status = open_store(store, request, error);
    if (status != STELE_OK) {
        if (error && !stele_error_get(*error, "path"))
            stele__error_add(error, "path", "%s", store->path ? store->path : request->location);
        stele__sqlite_close(&store->base);
        return status;
    }
    stele__sqlite_note_files(store);
    warn_of_network(store);
    say_opened(store);
    *out = &store->base;
    return STELE_OK;
}

/* --- Closing --------------------------------------------------------------------------------------- */

/* Let the connection, if it is the last one of all, move the log into the file and remove it. */
static void close_with_log(struct sqlite_connection *connection)
{
    sqlite3_db_config(connection->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, (int *)NULL);
}

/*
 * The writer goes last: if no other process has the file open, its close moves
 * the log in, under SQLite's exclusive lock, and removes it. After a failed
 * commit the log is left for the next opening to judge, and that of a file
 * which was refused to whom it belongs, as is what lies where ours lay.
 */
static void close_connections(struct sqlite_store *store)
{
    const bool ours = !store->path || stele__sqlite_check_files(store, NULL) == STELE_OK;

    while (store->pool) {
        struct sqlite_connection *connection = store->pool;

        store->pool = connection->next;
        if (store->tidies && ours)
            close_with_log(connection);
        stele__sqlite_disconnect(connection);
    }
    stele__sqlite_disconnect(store->checkpointer);
    if (store->writer.connection && !store->leaves_log && ours && !atomic_load(&store->poisoned))
        close_with_log(store->writer.connection);
    stele__sqlite_disconnect(store->writer.connection);
}

void stele__sqlite_close(struct stele_backend *backend)
{
    struct sqlite_store *store = stele__sqlite_store(backend);

    close_connections(store);
    stele__sqlite_writer_fini(&store->writer);
    stele__sqlite_watch_fini(&store->watch);
    pthread_cond_destroy(&store->pool_given);
    pthread_mutex_destroy(&store->pool_mutex);
    stele__text_free(store->vfs);
    stele__sqlite_leave_process(store);
    stele__sqlite_leave(store);
    stele__free(store, sizeof(*store));
}

const struct stele_store_ops stele__sqlite_ops = {
    .size = sizeof(struct stele_store_ops),
    .scheme = "sqlite",
    .open = stele__sqlite_open,
    .close = stele__sqlite_close,
    .append = stele__sqlite_append,
    .read = stele__sqlite_read,
    .find = stele__sqlite_find,
    .streams = stele__sqlite_streams,
    .wait = stele__sqlite_wait,
    .stats = stele__sqlite_stats,
    .verify = stele__sqlite_verify,
    .find_command = stele__sqlite_find_command,
    .mark_commands = stele__sqlite_mark_commands,
    .forget_commands = stele__sqlite_forget_commands,
    .load_snapshot = stele__sqlite_load_snapshot,
    .save_snapshot = stele__sqlite_save_snapshot,
    .drop_snapshot = stele__sqlite_drop_snapshot,
    .read_checkpoints = stele__sqlite_read_checkpoints,
    .write_checkpoint = stele__sqlite_write_checkpoint,
    .delete_checkpoint = stele__sqlite_delete_checkpoint,
    .idle = stele__sqlite_idle,
    .operations = &stele__sqlite_operations,
    .transactions = &stele__sqlite_transactions,
};
