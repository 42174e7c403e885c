/*
 * Checking what is below the records: the log, the file's pages and indexes,
 * the names, that no stream has a gap, the ledger, the snapshots, the readers' checkpoints. Events are
 * checked by the front, by reading them.
 *
 * A check takes long; `progress` is asked now and then and may stop it.
 */
#include "sqlite/sqlite.h"

#include "base/error.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    TEXT_MAX = 1500,
    STEPS = 100000 /* of SQLite's machine between two questions whether to stop */
};

struct check {
    struct sqlite_store *store;
    struct sqlite_connection *connection;
    const struct stele_verify_options *options; /* may be NULL */
    struct stele_verified *out;
};

static void STELE_PRINTF(2, 3) report(struct check *check, const char *format, ...)
{
    char text[TEXT_MAX];
    va_list arguments;

    check->out->faults++;
    if (!check->options || !check->options->fault)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    check->options->fault(check->options->context, text);
}

/* SQLite's machine asks whether to stop. */
static int is_to_stop(void *context)
{
    const struct check *check = context;

    return !check->options->progress(check->options->context, 0, 0);
}

static stele_status check_log(struct check *check, stele_error **error)
{
    struct sqlite_wal_facts facts;
    stele_status status = stele__sqlite_scan_log(check->store, &facts, error);

    if (status != STELE_OK)
        return status;
    check->out->log_commits = facts.commits;
    if (facts.at_risk)
        report(check, "the write-ahead log is damaged at byte %" PRIu64 ": %" PRIu64 " commits behind it are at risk",
               facts.damaged, facts.at_risk);
    return STELE_OK;
}

/* --- Statements whose rows are looked at one by one -------------------------------------- */

typedef void check_row(struct check *check, sqlite3_stmt *row);

/* A damaged page ends a check with a fault; it is not a failure to carry it out. */
static stele_status check_rows(struct check *check, enum sqlite_statement statement, check_row *look,
                               stele_error **error)
{
    sqlite3_stmt *row = stele__sqlite_statement(check->connection, statement);
    stele_status status = STELE_OK;
    int code = row ? SQLITE_ROW : sqlite3_extended_errcode(check->connection->db);

    while (code == SQLITE_ROW && (code = sqlite3_step(row)) == SQLITE_ROW)
        look(check, row);
    if (code != SQLITE_DONE) {
        status = stele__sqlite_status(code);
        if (status == STELE_CORRUPT)
            report(check, "a page of the file is damaged: %s", sqlite3_errmsg(check->connection->db));
        else
            stele__sqlite_fail(check->connection, code, "check it", error);
    }
    sqlite3_reset(row);
    return status == STELE_CORRUPT ? STELE_OK : status;
}

static void look_at_integrity(struct check *check, sqlite3_stmt *row)
{
    const char *text = (const char *)sqlite3_column_text(row, 0);

    if (!text || strcmp(text, "ok") != 0)
        report(check, "SQLite's integrity check: %s", text ? text : "(no memory)");
}

static struct stele_slice name_of(sqlite3_stmt *row)
{
    return (struct stele_slice){(const char *)sqlite3_column_text(row, 1), (size_t)sqlite3_column_bytes(row, 1)};
}

static void look_at_stream(struct check *check, sqlite3_stmt *row)
{
    const int64_t id = sqlite3_column_int64(row, 0);
    const struct stele_slice name = name_of(row);

    if (stele__sqlite_stream_checksum(id, name) != (uint64_t)sqlite3_column_int64(row, 3))
        report(check, "stream %" PRId64 " is damaged: its checksum does not fit", id);
}

static void look_at_type(struct check *check, sqlite3_stmt *row)
{
    const int64_t id = sqlite3_column_int64(row, 0);
    const struct stele_slice name = name_of(row);

    if (stele__sqlite_type_checksum(id, (uint32_t)sqlite3_column_int64(row, 2), name) !=
        (uint64_t)sqlite3_column_int64(row, 3))
        report(check, "type %" PRId64 " is damaged: its checksum does not fit", id);
}

static void look_at_gap(struct check *check, sqlite3_stmt *row)
{
    report(check, "stream %" PRId64 " has %" PRId64 " events up to version %" PRId64 ": versions are missing",
           (int64_t)sqlite3_column_int64(row, 0), (int64_t)sqlite3_column_int64(row, 1),
           (int64_t)sqlite3_column_int64(row, 2));
}

static void look_at_command(struct check *check, sqlite3_stmt *row)
{
    enum { NUMBER = 9 };
    struct stele_command_record command;

    if (!stele__sqlite_command_row(row, &command))
        report(check, "entry %" PRId64 " of the command ledger is damaged: its checksum does not fit",
               (int64_t)sqlite3_column_int64(row, NUMBER));
}

static void look_at_snapshot(struct check *check, sqlite3_stmt *row)
{
    struct stele_snapshot snapshot;
    int64_t stream;

    if (!stele__sqlite_snapshot_row(row, &stream, &snapshot))
        report(check, "the snapshot of stream %" PRId64 " is damaged: its checksum does not fit", stream);
}

static void look_at_checkpoint(struct check *check, sqlite3_stmt *row)
{
    struct stele_checkpoint checkpoint;

    if (!stele__sqlite_checkpoint_row(row, &checkpoint))
        report(check, "checkpoint \"%s\" is damaged: its checksum does not fit", checkpoint.name);
}

static stele_status check_tables(struct check *check, stele_error **error)
{
    static const struct {
        enum sqlite_statement statement;
        check_row *look;
        size_t format; /* from which on there is such a table */
    } parts[] = {
        {STATEMENT_INTEGRITY, look_at_integrity, 1},
        {STATEMENT_STREAM_ROWS, look_at_stream, 1},
        {STATEMENT_TYPE_ROWS, look_at_type, 1},
        {STATEMENT_VERSION_GAPS, look_at_gap, 1},
        {STATEMENT_COMMAND_ROWS, look_at_command, FORMAT_LEDGER},
        {STATEMENT_SNAPSHOT_ROWS, look_at_snapshot, FORMAT_LEDGER},
        {STATEMENT_CHECKPOINT_ROWS, look_at_checkpoint, FORMAT_CHECKPOINTS},
    };
    stele_status status = STELE_OK;

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && status == STELE_OK; i++) {
        bool has = false;

        status = stele__sqlite_has_format(check->store, check->connection, parts[i].format, &has, error);
        if (status == STELE_OK && has)
            status = check_rows(check, parts[i].statement, parts[i].look, error);
    }
    return status;
}

stele_status stele__sqlite_verify(struct stele_backend *backend, const struct stele_verify_options *options,
                                  struct stele_verified *out, stele_error **error)
{
    struct check check = {.store = stele__sqlite_store(backend), .options = options, .out = out};
    stele_status status = stele__sqlite_take(check.store, &check.connection, error);

    if (status != STELE_OK)
        return status;
    if (options && options->progress)
        sqlite3_progress_handler(check.connection->db, STEPS, is_to_stop, &check);
    status = check_log(&check, error);
    if (status == STELE_OK)
        status = check_tables(&check, error);
    sqlite3_progress_handler(check.connection->db, 0, NULL, NULL);
    stele__sqlite_give(check.store, check.connection);
    return status;
}
