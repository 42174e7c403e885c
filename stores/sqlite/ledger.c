/*
 * The command ledger: which commands were handled, and how they ended.
 *
 *     append: the rules look the id up in the writer's transaction -> a new one is
 *             written beside its events, under the same commit
 *     find:   by id, through a reader
 *     forget: a reader finds the place up to which a retention reaches; the writer
 *             deletes from the oldest on, some rows a transaction
 *
 * A file of format 1 that is only read has no ledger: nothing is found there.
 * What can fail: a row whose checksum does not fit is STELE_CORRUPT, never a
 * command that was not handled yet.
 */
#include "sqlite/sqlite.h"

#include "base/error.h"
#include "base/text.h"

#include <inttypes.h>
#include <string.h>

/* Columns of the statements that select an entry. */
enum { ID, DIGEST, TIME, FIRST, LAST, VERSION, CREATED, REJECTION, CHECKSUM };

/* The command outlives the statement's use: nothing is copied. */
static void bind_id(sqlite3_stmt *statement, const struct stele_command_record *command)
{
    if (command->id_is_uuid)
        sqlite3_bind_blob(statement, 1, command->uuid.bytes, (int)sizeof(command->uuid.bytes), SQLITE_STATIC);
    else
        sqlite3_bind_text(statement, 1, command->id.data, (int)command->id.size, SQLITE_STATIC);
}

static stele_status fail_damaged(const struct sqlite_connection *connection, const struct stele_command_record *wanted,
                                 stele_error **error)
{
    char text[STELE_UUID_TEXT_SIZE];
    struct stele_slice id = wanted->id;

    if (wanted->id_is_uuid) {
        stele_uuid_print(&wanted->uuid, text);
        id = (struct stele_slice){text, STELE_UUID_TEXT_SIZE - 1};
    }
    stele__fail(error, STELE_CORRUPT, "%s: the outcome of command %.*s is damaged: its checksum does not fit",
                connection->path, STELE_SLICE(id));
    stele__error_add(error, "path", "%s", connection->path);
    stele__error_add(error, "id", "%.*s", STELE_SLICE(id));
    return STELE_CORRUPT;
}

static stele_status fail_last(const struct sqlite_connection *connection, const char *doing, stele_error **error)
{
    return stele__sqlite_fail(connection, sqlite3_extended_errcode(connection->db), doing, error);
}

/* --- Rows ------------------------------------------------------------------------------- */

static struct stele_slice text(sqlite3_stmt *row, int column)
{
    const struct stele_slice found = {(const char *)sqlite3_column_text(row, column), 0};

    return found.data ? (struct stele_slice){found.data, (size_t)sqlite3_column_bytes(row, column)} : found;
}

static bool read_id(sqlite3_stmt *row, struct stele_command_record *out)
{
    const int type = sqlite3_column_type(row, ID);
    struct stele_slice uuid;

    out->id_is_uuid = type == SQLITE_BLOB;
    if (!out->id_is_uuid) {
        out->id = text(row, ID);
        return type == SQLITE_TEXT && out->id.data;
    }
    uuid = stele__sqlite_blob(row, ID);
    if (uuid.size != sizeof(out->uuid.bytes))
        return false;
    memcpy(out->uuid.bytes, uuid.data, sizeof(out->uuid.bytes));
    return true;
}

bool stele__sqlite_command_row(sqlite3_stmt *row, struct stele_command_record *out)
{
    const struct stele_slice digest = stele__sqlite_blob(row, DIGEST);
    const int64_t created = sqlite3_column_int64(row, CREATED);

    memset(out, 0, sizeof(*out));
    if (!read_id(row, out) || digest.size != sizeof(out->digest) || created < 0 || created > 1)
        return false;
    memcpy(out->digest, digest.data, sizeof(out->digest));
    out->time = sqlite3_column_int64(row, TIME);
    out->outcome.first_position = (uint64_t)sqlite3_column_int64(row, FIRST);
    out->outcome.last_position = (uint64_t)sqlite3_column_int64(row, LAST);
    out->outcome.version = (uint64_t)sqlite3_column_int64(row, VERSION);
    out->outcome.created = created == 1;
    out->rejection = text(row, REJECTION);
    return stele__sqlite_command_checksum(out) == (uint64_t)sqlite3_column_int64(row, CHECKSUM);
}

static bool has_id(const struct stele_command_record *entry, const struct stele_command_record *wanted)
{
    if (entry->id_is_uuid != wanted->id_is_uuid)
        return false;
    return wanted->id_is_uuid ? memcmp(entry->uuid.bytes, wanted->uuid.bytes, sizeof(wanted->uuid.bytes)) == 0
                              : stele__slice_equal(entry->id, wanted->id);
}

/* Step to the entry; the statement is left in its row. A damaged index may lead to another's. */
static stele_status look_up(struct sqlite_connection *connection, const struct stele_command_record *wanted,
                            sqlite3_stmt **statement, struct stele_command_record *out, bool *found,
                            stele_error **error)
{
    sqlite3_stmt *row = stele__sqlite_statement(connection, STATEMENT_FIND_COMMAND);
    int code;

    *found = false;
    *statement = row;
    if (!row)
        return fail_last(connection, "look up a command", error);
    bind_id(row, wanted);
    code = sqlite3_step(row);
    if (code == SQLITE_DONE)
        return STELE_OK;
    if (code != SQLITE_ROW)
        return stele__sqlite_fail(connection, code, "look up a command", error);
    *found = stele__sqlite_command_row(row, out) && has_id(out, wanted);
    return *found ? STELE_OK : fail_damaged(connection, wanted, error);
}

/* --- Appending ---------------------------------------------------------------------------- */

stele_status stele__sqlite_view_command(void *context, const struct stele_command_record *wanted,
                                        struct stele_command_record *out, bool *found, stele_error **error)
{
    struct sqlite_writer *writer = context;
    sqlite3_stmt *row = NULL;
    stele_status status = look_up(writer->connection, wanted, &row, out, found, error);

    if (status == STELE_OK && *found && out->rejection.data) {
        stele_arena_reset(&writer->arena);
        out->rejection.data = stele_arena_text(&writer->arena, out->rejection.data, out->rejection.size);
        if (!out->rejection.data)
            status = stele__fail_memory(error);
    }
    sqlite3_reset(row);
    return status;
}

static void bind_entry(sqlite3_stmt *statement, const struct stele_command_record *entry)
{
    bind_id(statement, entry);
    sqlite3_bind_blob(statement, 2, entry->digest, (int)sizeof(entry->digest), SQLITE_STATIC);
    sqlite3_bind_int64(statement, 3, entry->time);
    sqlite3_bind_int64(statement, 4, (int64_t)entry->outcome.first_position);
    sqlite3_bind_int64(statement, 5, (int64_t)entry->outcome.last_position);
    sqlite3_bind_int64(statement, 6, (int64_t)entry->outcome.version);
    sqlite3_bind_int64(statement, 7, entry->outcome.created);
    if (entry->rejection.data)
        sqlite3_bind_text(statement, 8, entry->rejection.data, (int)entry->rejection.size, SQLITE_STATIC);
    else
        sqlite3_bind_null(statement, 8);
    sqlite3_bind_int64(statement, 9, (int64_t)stele__sqlite_command_checksum(entry));
}

stele_status stele__sqlite_remember(struct sqlite_writer *writer, const struct stele_command_record *command,
                                    const struct stele_appended *outcome, stele_error **error)
{
    sqlite3_stmt *statement = stele__sqlite_statement(writer->connection, STATEMENT_INSERT_COMMAND);
    struct stele_command_record entry = *command;
    int code;

    if (!statement)
        return fail_last(writer->connection, "remember a command", error);
    entry.outcome = *outcome;
    bind_entry(statement, &entry);
    code = sqlite3_step(statement);
    sqlite3_reset(statement);
    if (code == SQLITE_DONE && sqlite3_changes(writer->connection->db) != 1)
        code = SQLITE_CORRUPT;
    return code == SQLITE_DONE ? STELE_OK : stele__sqlite_fail(writer->connection, code, "remember a command", error);
}

/* --- Finding ------------------------------------------------------------------------------- */

stele_status stele__sqlite_find_command(struct stele_backend *backend, const struct stele_command_record *wanted,
                                        stele_command_visit *visit, void *context, stele_error **error)
{
    struct sqlite_store *store = stele__sqlite_store(backend);
    struct sqlite_connection *connection = NULL;
    struct stele_command_record entry;
    sqlite3_stmt *row = NULL;
    bool found = false;
    stele_status status = stele__sqlite_take_format(store, FORMAT_LEDGER, &connection, error);

    if (!connection)
        return status;
    status = look_up(connection, wanted, &row, &entry, &found, error);
    if (status == STELE_OK && found)
        visit(context, &entry);
    sqlite3_reset(row);
    stele__sqlite_give(store, connection);
    return status;
}

/* --- Forgetting ------------------------------------------------------------------------------ */

/* The newest entry up to a time, but for the `keep` newest of those. */
static stele_status mark(struct sqlite_connection *connection, int64_t until, uint64_t keep,
                         struct stele_command_mark *out, stele_error **error)
{
    sqlite3_stmt *row = stele__sqlite_statement(connection, STATEMENT_MARK_COMMAND);
    int code;

    *out = (struct stele_command_mark){.found = false};
    if (!row)
        return fail_last(connection, "read the ledger", error);
    sqlite3_bind_int64(row, 1, until);
    sqlite3_bind_int64(row, 2, keep > INT64_MAX ? INT64_MAX : (int64_t)keep);
    code = sqlite3_step(row);
    if (code == SQLITE_ROW) {
        out->found = true;
        out->time = sqlite3_column_int64(row, 0);
        out->number = (uint64_t)sqlite3_column_int64(row, 1);
    }
    sqlite3_reset(row);
    return code == SQLITE_ROW || code == SQLITE_DONE ? STELE_OK
                                                     : stele__sqlite_fail(connection, code, "read the ledger", error);
}

static struct stele_command_mark lower(struct stele_command_mark left, struct stele_command_mark right)
{
    if (!left.found || !right.found)
        return (struct stele_command_mark){.found = false};
    if (left.time != right.time)
        return left.time < right.time ? left : right;
    return left.number < right.number ? left : right;
}

static stele_status mark_all(struct sqlite_connection *connection, const struct stele_retention *retention,
                             struct stele_command_mark *out, stele_error **error)
{
    struct stele_command_mark before = {.found = true, .time = INT64_MAX, .number = INT64_MAX};
    struct stele_command_mark kept = before;
    stele_status status = STELE_OK;

    if (retention->has_before && retention->before == INT64_MIN)
        return STELE_OK;
    if (retention->has_before)
        status = mark(connection, retention->before - 1, 0, &before, error);
    if (status == STELE_OK && retention->has_keep)
        status = mark(connection, INT64_MAX, retention->keep, &kept, error);
    if (status == STELE_OK)
        *out = lower(before, kept);
    return status;
}

stele_status stele__sqlite_mark_commands(struct stele_backend *backend, const struct stele_retention *retention,
                                         struct stele_command_mark *out, stele_error **error)
{
    struct sqlite_store *store = stele__sqlite_store(backend);
    struct sqlite_connection *connection = NULL;
    stele_status status = stele__sqlite_take_format(store, FORMAT_LEDGER, &connection, error);

    *out = (struct stele_command_mark){.found = false};
    if (!connection)
        return status;
    status = mark_all(connection, retention, out, error);
    stele__sqlite_give(store, connection);
    return status;
}

struct forgetting {
    const struct stele_command_mark *mark;
    uint64_t most;
    uint64_t forgotten;
};

static stele_status forget(struct sqlite_store *store, void *context, bool *changed, stele_error **error)
{
    struct forgetting *forgetting = context;
    struct sqlite_connection *connection = store->writer.connection;
    sqlite3_stmt *statement = stele__sqlite_statement(connection, STATEMENT_FORGET_COMMANDS);
    int code;

    if (!statement)
        return fail_last(connection, "forget commands", error);
    sqlite3_bind_int64(statement, 1, forgetting->mark->time);
    sqlite3_bind_int64(statement, 2, (int64_t)forgetting->mark->number);
    sqlite3_bind_int64(statement, 3, (int64_t)forgetting->most);
    *changed = true;
    code = sqlite3_step(statement);
    sqlite3_reset(statement);
    if (code != SQLITE_DONE)
        return stele__sqlite_fail(connection, code, "forget commands", error);
    forgetting->forgotten = (uint64_t)sqlite3_changes(connection->db);
    *changed = forgetting->forgotten > 0;
    return STELE_OK;
}

stele_status stele__sqlite_forget_commands(struct stele_backend *backend, const struct stele_command_mark *mark,
                                           uint64_t most, uint64_t *forgotten, stele_error **error)
{
    struct forgetting forgetting = {.mark = mark, .most = most};
    const stele_status status = stele__sqlite_change(stele__sqlite_store(backend), forget, &forgetting, error);

    if (status == STELE_OK)
        *forgotten = forgetting.forgotten;
    return status;
}
