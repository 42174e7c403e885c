/*
 * Appending a group of members in one transaction.
 *
 *     BEGIN IMMEDIATE -> head of the log
 *        each member: command known? -> expectations -> rows written, or a verdict of its own
 *                                                        +-> companion, which may refuse the member
 *     COMMIT (one sync) -> members acknowledged -> waiters woken -> checkpoint if due
 *
 * The quick pass checks expectations only and lets the unique index on event
 * ids find repetitions. If it does, the group is rolled back and run again with
 * care: every member is asked for repetitions before it writes, so that no
 * member's fault disturbs its neighbours (contract D8).
 *
 * What can fail: a lock not had in time, a full disk, memory: nothing is
 * written and the store goes on. A failed write or sync: no member knows its
 * outcome if the commit had begun, and the store is poisoned (contract D3).
 */
#include "sqlite/sqlite.h"

#include "base/error.h"
#include "base/log.h"

#include <inttypes.h>
#include <string.h>

/* How a pass over a group may end. */
enum outcome {
    COMMITTED, /* or rolled back, because nobody had anything to write: every member has its verdict */
    REFUSED,   /* nothing is stored; `cause` says why */
    CUT_SHORT, /* it may be stored or not */
    AGAIN,     /* an event id is there already: look with care; or a companion has lost its place */
    DECLINED   /* a companion does not take the member */
};

struct group {
    struct sqlite_store *store;
    struct sqlite_writer *writer;
    struct stele_append_member *members;
    size_t count;
    struct stele_companion *companion; /* NULL: none */
    bool accompanied;                  /* it was begun */
    bool careful;
    bool wrote;
    bool declined; /* rows are to be rolled back, though the pass is good */
    stele_error *cause;
    stele_status cause_status;
};

/* --- The view that the rules ask ------------------------------------------------------ */

static stele_status view_version(void *context, struct stele_slice stream, uint64_t *out, stele_error **error)
{
    struct sqlite_known *known = NULL;
    stele_status status = stele__sqlite_writer_stream(context, stream, &known, error);

    if (status == STELE_OK)
        *out = known->version;
    return status;
}

/* The record stays as it is until the next question: the statement is left in its row. */
static stele_status view_find(void *context, const struct stele_record *wanted, struct stele_record *out, bool *found,
                              stele_error **error)
{
    struct sqlite_writer *writer = context;
    sqlite3_stmt *row = stele__sqlite_statement(writer->connection, STATEMENT_FIND);
    int code;

    if (!row)
        return stele__sqlite_fail(writer->connection, sqlite3_extended_errcode(writer->connection->db), "find an event",
                                  error);
    sqlite3_reset(row);
    stele__sqlite_bind_id(row, 1, wanted);
    code = sqlite3_step(row);
    *found = code == SQLITE_ROW;
    if (*found)
        return stele__sqlite_found_record(writer->connection, row, wanted, out, error);
    sqlite3_reset(row);
    return code == SQLITE_DONE ? STELE_OK : stele__sqlite_fail(writer->connection, code, "find an event", error);
}

/* A statement left in its row keeps a snapshot open, and with one open SQLite does not wait for the write lock. */
static void end_find(struct sqlite_writer *writer)
{
    sqlite3_stmt *row = stele__sqlite_statement(writer->connection, STATEMENT_FIND);

    if (row)
        sqlite3_reset(row);
}

static stele_status add_conflicting(struct sqlite_writer *writer, sqlite3_stmt *row, int64_t stream,
                                    struct stele_conflict *conflict, stele_error **error)
{
    struct stele_conflict_event *event = &conflict->events[conflict->event_count];
    struct stele_record record;
    stele_status status = stele__sqlite_record(writer->connection, row, stream, &record, error);

    if (status != STELE_OK)
        return status;
    event->position = record.position;
    event->version = record.version;
    event->type = stele_arena_text(&writer->arena, record.type.data, record.type.size);
    if (!event->type)
        return stele__fail_memory(error);
    conflict->event_count++;
    return STELE_OK;
}

static stele_status view_behind(void *context, struct stele_slice stream, uint64_t version,
                                struct stele_conflict *conflict, stele_error **error)
{
    struct sqlite_writer *writer = context;
    sqlite3_stmt *row = stele__sqlite_statement(writer->connection, STATEMENT_STREAM_FORWARDS);
    struct sqlite_known *known = NULL;
    stele_status status = stele__sqlite_writer_stream(writer, stream, &known, error);
    int code = SQLITE_ROW;

    if (status != STELE_OK)
        return status;
    if (!row)
        return stele__sqlite_fail(writer->connection, sqlite3_extended_errcode(writer->connection->db), "read a stream",
                                  error);
    stele_arena_reset(&writer->arena);
    sqlite3_bind_int64(row, 1, known->id);
    sqlite3_bind_int64(row, 2, (int64_t)version);
    sqlite3_bind_int64(row, 3, INT64_MAX);
    while (status == STELE_OK && conflict->event_count < STELE_CONFLICT_EVENTS_MAX &&
           (code = sqlite3_step(row)) == SQLITE_ROW)
        status = add_conflicting(writer, row, known->id, conflict, error);
    if (status == STELE_OK && code != SQLITE_ROW && code != SQLITE_DONE)
        status = stele__sqlite_fail(writer->connection, code, "read a stream", error);
    sqlite3_reset(row);
    return status;
}

static struct stele_append_view view_of(struct sqlite_writer *writer)
{
    return (struct stele_append_view){view_version, view_find, view_behind, stele__sqlite_view_command, writer};
}

/* --- Writing a member ------------------------------------------------------------------- */

static struct stele_slice present(struct stele_slice bytes)
{
    return bytes.size ? bytes : (struct stele_slice){NULL, 0};
}

static void bind_bytes(sqlite3_stmt *statement, int place, struct stele_slice bytes)
{
    if (bytes.data)
        sqlite3_bind_blob(statement, place, bytes.data, (int)bytes.size, SQLITE_STATIC);
    else
        sqlite3_bind_null(statement, place);
}

static void bind_event(sqlite3_stmt *statement, const struct stele_record *record, int64_t position, int64_t stream,
                       int64_t version, int64_t type)
{
    const struct sqlite_event_row row = {
        .position = position,
        .stream = stream,
        .version = version,
        .type = type,
        .time = record->time,
        .id = record->id_is_uuid ? (struct stele_slice){(const char *)record->uuid.bytes, sizeof(record->uuid.bytes)}
                                 : record->id,
        .id_is_text = !record->id_is_uuid,
        .meta = present(record->meta),
        .payload = record->payload,
    };

    sqlite3_bind_int64(statement, 1, position);
    sqlite3_bind_int64(statement, 2, stream);
    sqlite3_bind_int64(statement, 3, version);
    sqlite3_bind_int64(statement, 4, type);
    sqlite3_bind_int64(statement, 5, record->time);
    stele__sqlite_bind_id(statement, 6, record);
    bind_bytes(statement, 7, row.meta);
    bind_bytes(statement, 8, row.payload);
    sqlite3_bind_int64(statement, 9, (int64_t)stele__sqlite_event_checksum(&row));
}

/* Insert one row, counted; an SQLite result code. */
static int insert(struct sqlite_writer *writer, sqlite3_stmt *statement)
{
    const int code = sqlite3_step(statement);

    sqlite3_reset(statement);
    if (code != SQLITE_DONE)
        return code;
    return sqlite3_changes(writer->connection->db) == 1 ? SQLITE_OK : SQLITE_CORRUPT;
}

/* Stream and type of a record, added if they are new. */
static stele_status names_of(struct sqlite_writer *writer, const struct stele_record *record,
                             struct sqlite_known **stream, struct sqlite_known **type, stele_error **error)
{
    stele_status status = stele__sqlite_writer_stream(writer, record->stream, stream, error);

    if (status == STELE_OK && !(*stream)->id)
        status = stele__sqlite_writer_add(writer, *stream, false, error);
    if (status == STELE_OK)
        status = stele__sqlite_writer_type(writer, record->type, record->type_version, type, error);
    if (status == STELE_OK && !(*type)->id)
        status = stele__sqlite_writer_add(writer, *type, true, error);
    return status;
}

/* Write one record. `*code` is SQLite's when the row was refused. */
static stele_status write_record(struct group *group, const struct stele_record *record, struct stele_appended *result,
                                 int *code)
{
    struct sqlite_writer *writer = group->writer;
    sqlite3_stmt *statement = stele__sqlite_statement(writer->connection, STATEMENT_INSERT_EVENT);
    struct sqlite_known *stream = NULL;
    struct sqlite_known *type = NULL;
    stele_status status = names_of(writer, record, &stream, &type, &group->cause);

    if (status != STELE_OK)
        return status;
    if (writer->head == INT64_MAX || stream->version >= INT64_MAX)
        return stele__fail(&group->cause, STELE_LIMIT, "%s: no position is left", writer->connection->path);
    if (statement) {
        bind_event(statement, record, writer->head + 1, stream->id, (int64_t)stream->version + 1, type->id);
        *code = insert(writer, statement);
    } else {
        *code = sqlite3_extended_errcode(writer->connection->db);
    }
    if (*code != SQLITE_OK)
        return stele__sqlite_fail(writer->connection, *code, "write an event", &group->cause);
    result->version = ++stream->version;
    result->last_position = (uint64_t)++writer->head;
    return STELE_OK;
}

static enum outcome refuse(struct group *group, stele_status status)
{
    group->cause_status = status;
    return REFUSED;
}

/* After some failures SQLite gives up the whole transaction, whether a companion says so or not. */
static bool is_lost(const struct group *group)
{
    return sqlite3_get_autocommit(group->writer->connection->db);
}

static enum outcome fail_lost(struct group *group)
{
    return refuse(group, stele__sqlite_fail(group->writer->connection, SQLITE_IOERR,
                                            "write views: the transaction was rolled back", &group->cause));
}

/* Show the companion the record just written. */
static stele_status accompany(const struct group *group, const struct stele_record *record,
                              struct stele_append_member *member)
{
    struct stele_record written = *record;

    written.position = member->result.last_position;
    written.version = member->result.version;
    return group->companion->apply(group->companion, &written, &member->error);
}

static enum outcome write_records(struct group *group, struct stele_append_member *member)
{
    memset(&member->result, 0, sizeof(member->result));
    member->result.first_position = (uint64_t)group->writer->head + 1;
    group->wrote = true;
    for (size_t i = 0; i < member->record_count; i++) {
        int code = SQLITE_OK;
        const stele_status status = write_record(group, &member->records[i], &member->result, &code);

        if ((code & 0xff) == SQLITE_CONSTRAINT && !group->careful)
            return AGAIN;
        if (status != STELE_OK)
            return refuse(group, status);
        if (group->companion)
            member->status = accompany(group, &member->records[i], member);
        if (member->status != STELE_OK)
            return DECLINED;
        if (group->companion && is_lost(group))
            return fail_lost(group);
    }
    member->result.created = stele_append_rules_created(member);
    return COMMITTED;
}

/* --- With a companion ---------------------------------------------------------------------- */

static enum outcome run_statement(struct group *group, enum sqlite_statement statement)
{
    struct sqlite_connection *connection = group->writer->connection;
    const int code = stele__sqlite_run(connection, statement);

    if (code == SQLITE_OK)
        return COMMITTED;
    return refuse(group, stele__sqlite_fail(connection, code, "write views", &group->cause));
}

static enum outcome begin_companion(struct group *group)
{
    stele_status status;

    if (group->accompanied)
        return COMMITTED;
    group->accompanied = true;
    status = group->companion->begin(group->companion, (uint64_t)group->writer->head, &group->cause);
    if (status != STELE_OK)
        return refuse(group, status);
    return is_lost(group) ? fail_lost(group) : COMMITTED;
}

/*
 * The member alone is taken back, unless it was its file that failed the
 * companion: then SQLite has rolled back the whole transaction.
 */
static enum outcome take_back(struct group *group, struct stele_append_member *member, int64_t head)
{
    struct sqlite_writer *writer = group->writer;
    enum outcome outcome = COMMITTED;

    memset(&member->result, 0, sizeof(member->result));
    if (is_lost(group)) {
        group->cause = member->error;
        member->error = NULL;
        return refuse(group, member->status);
    }
    if (group->count > 1) {
        outcome = run_statement(group, STATEMENT_UNDO_MEMBER);
        if (outcome == COMMITTED)
            outcome = run_statement(group, STATEMENT_KEEP_MEMBER);
    } else {
        group->declined = true;
    }
    stele__sqlite_writer_forget(writer);
    writer->head = head;
    return outcome;
}

static enum outcome write_accompanied(struct group *group, struct stele_append_member *member)
{
    const bool is_alone = group->count == 1;
    const bool wrote = group->wrote;
    const int64_t head = group->writer->head;
    enum outcome outcome = begin_companion(group);

    if (outcome == COMMITTED && !is_alone)
        outcome = run_statement(group, STATEMENT_SAVE_MEMBER);
    if (outcome == COMMITTED)
        outcome = write_records(group, member);
    if (outcome == DECLINED) {
        outcome = take_back(group, member, head);
        group->wrote = wrote;
        return outcome;
    }
    return outcome == COMMITTED && !is_alone ? run_statement(group, STATEMENT_KEEP_MEMBER) : outcome;
}

static enum outcome write_member(struct group *group, struct stele_append_member *member)
{
    return group->companion ? write_accompanied(group, member) : write_records(group, member);
}

/* What is not run again is somebody else's haste, not a conflict of the members. */
static enum outcome commit_companion(struct group *group)
{
    const stele_status status =
        group->companion->commit(group->companion, (uint64_t)group->writer->head, &group->cause);

    if (status == STELE_OK)
        return COMMITTED;
    if (status == STELE_CONFLICT && !group->careful)
        return AGAIN;
    return refuse(group, status == STELE_CONFLICT ? STELE_BUSY : status);
}

static void end_companion(struct group *group, bool committed)
{
    if (group->accompanied)
        group->companion->end(group->companion, committed);
    group->accompanied = false;
}

/* --- One member -------------------------------------------------------------------------- */

/* In the quick pass a conflict may be a repetition: only then is it looked for. */
static stele_status judge_quickly(const struct stele_append_view *view, struct stele_append_member *member,
                                  bool *repeated)
{
    stele_status status = stele_append_rules_expect(view, member);
    stele_error *conflict = member->error;

    if (status != STELE_CONFLICT)
        return status;
    member->error = NULL;
    status = stele_append_rules_repeat(view, member, repeated);
    if (status == STELE_OK && !*repeated) {
        member->error = conflict;
        return STELE_CONFLICT;
    }
    stele_error_free(conflict);
    return status;
}

/* The verdict on a member. `*settled`: its events need not be written, because they or their command were before. */
static stele_status judge(const struct group *group, struct stele_append_member *member, bool *settled)
{
    const struct stele_append_view view = view_of(group->writer);
    stele_status status;

    if (group->careful)
        return stele_append_rules(&view, member, settled);
    status = stele_append_rules_command(&view, member, settled);
    return status != STELE_OK || *settled ? status : judge_quickly(&view, member, settled);
}

static enum outcome remember(struct group *group, const struct stele_append_member *member)
{
    const stele_status status = stele__sqlite_remember(group->writer, member->command, &member->result, &group->cause);

    group->wrote = true;
    return status == STELE_OK ? COMMITTED : refuse(group, status);
}

static enum outcome run_member(struct group *group, struct stele_append_member *member)
{
    enum outcome outcome = COMMITTED;
    bool settled = false;

    member->status = judge(group, member, &settled);
    end_find(group->writer);
    if (member->status != STELE_OK)
        return COMMITTED;
    if (!settled && member->record_count)
        outcome = write_member(group, member);
    if (outcome == COMMITTED && member->status == STELE_OK && member->command && !member->result.replayed)
        outcome = remember(group, member);
    return outcome;
}

/* --- The transaction ------------------------------------------------------------------------ */

static enum outcome begin(struct group *group)
{
    const stele_status status = stele__sqlite_begin(group->store, &group->cause);

    return status == STELE_OK ? COMMITTED : refuse(group, status);
}

static enum outcome commit(struct group *group)
{
    bool in_doubt = false;
    const stele_status status = stele__sqlite_commit(group->store, &in_doubt, &group->cause);

    if (status == STELE_OK)
        return COMMITTED;
    return in_doubt ? CUT_SHORT : refuse(group, status);
}

/* Writes of a companion that only catches up count too, where SQLite has given up on them. */
static bool has_failed_to_write(const struct group *group)
{
    return group->cause_status == STELE_IO && (group->wrote || (group->accompanied && is_lost(group)));
}

static enum outcome run_pass(struct group *group)
{
    enum outcome outcome = begin(group);

    for (size_t i = 0; i < group->count && outcome == COMMITTED; i++)
        outcome = run_member(group, &group->members[i]);
    if (outcome == COMMITTED && group->wrote && group->accompanied)
        outcome = commit_companion(group);
    if (outcome == COMMITTED && group->wrote)
        outcome = commit(group);
    else if (outcome == COMMITTED && !group->declined)
        stele__sqlite_run(group->writer->connection, STATEMENT_ROLLBACK);
    if (outcome == REFUSED && has_failed_to_write(group))
        atomic_store(&group->store->poisoned, true);
    if (outcome != COMMITTED || !is_lost(group))
        stele__sqlite_roll_back(group->store);
    end_companion(group, outcome == COMMITTED && group->wrote);
    return outcome;
}

/* --- The group ---------------------------------------------------------------------------------- */

static void clear_verdicts(struct group *group)
{
    for (size_t i = 0; i < group->count; i++) {
        stele_error_free(group->members[i].error);
        group->members[i].error = NULL;
        group->members[i].status = STELE_OK;
        memset(&group->members[i].result, 0, sizeof(group->members[i].result));
    }
}

static enum outcome run_group(struct group *group)
{
    enum outcome outcome = run_pass(group);

    if (outcome != AGAIN)
        return outcome;
    clear_verdicts(group);
    stele_error_free(group->cause);
    group->cause = NULL;
    group->careful = true;
    group->wrote = false;
    group->declined = false;
    return run_pass(group);
}

static void fail_member(const struct group *group, struct stele_append_member *member, stele_status status,
                        const char *words)
{
    const char *path = group->store->path;
    const char *position;

    stele_error_free(member->error);
    member->error = NULL;
    member->status = status;
    if (status == STELE_NO_MEMORY) {
        stele__fail_memory(&member->error);
        return;
    }
    stele__fail(&member->error, status, "%s%s", words, stele_error_message(group->cause));
    stele__error_add(&member->error, "path", "%s", path);
    position = stele_error_get(group->cause, "position");
    if (position)
        stele__error_add(&member->error, "position", "%s", position);
}

/*
 * Nothing was committed, or nobody knows. A member that only had a verdict had
 * it from rows which may never have come to be: it is told to try again too.
 */
static void fail_members(struct group *group, enum outcome outcome)
{
    for (size_t i = 0; i < group->count; i++) {
        struct stele_append_member *member = &group->members[i];
        const bool in_doubt =
            outcome == CUT_SHORT && member->status == STELE_OK && (member->record_count > 0 || member->command);

        if (in_doubt)
            fail_member(group, member, STELE_UNKNOWN, "stored or not, open the store again to see: ");
        else
            fail_member(group, member, outcome == CUT_SHORT ? STELE_IO : group->cause_status, "");
    }
}

void stele__sqlite_append(struct stele_backend *backend, struct stele_append_member *members, size_t count)
{
    struct sqlite_store *store = stele__sqlite_store(backend);
    struct group group = {
        .store = store, .writer = &store->writer, .members = members, .count = count, .companion = backend->companion};
    enum outcome outcome = REFUSED;
    bool was_writable;

    clear_verdicts(&group);
    group.cause_status = stele__sqlite_check_writable(store, &group.cause);
    was_writable = group.cause_status == STELE_OK;
    if (was_writable)
        outcome = run_group(&group);
    if (outcome != COMMITTED) {
        fail_members(&group, outcome);
    } else if (group.wrote) {
        stele__sqlite_watch_tell(&store->watch);
        stele__sqlite_checkpoint(store);
    }
    if (was_writable && atomic_load(&store->poisoned))
        STELE__LOG(STELE_LOG_ERROR, "the store takes no more appends until it is opened again", {"path", store->path},
                   {"why", stele_error_message(group.cause)});
    stele_error_free(group.cause);
}
