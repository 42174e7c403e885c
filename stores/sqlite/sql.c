/*
 * Questions in SQL, answered by a connection of their own that can only read.
 *
 *     connection (read-only) -> functions, view `events` -> query_only, authorizer, deadline
 *         -> statement prepared -> rows to the visitor -> closed
 *
 * The three locks on writing are independent: the file is opened for reading,
 * `query_only` is set, and the authorizer refuses everything that is not
 * reading while the statement is prepared. What can fail: the SQL (with the
 * place of the mistake), a damaged event, the time.
 */
#include "sqlite/operations.h"

#include "base/error.h"
#include "base/memory.h"

#include <inttypes.h>
#include <string.h>

enum {
    QUESTION_MAX = 1000000, /* bytes of SQL */
    STEPS = 10000           /* of SQLite's machine between two looks at the clock */
};

struct question {
    struct sqlite_connection *connection;
    const struct stele_clock *clock;
    const char *sql;
    const char *refused; /* what the authorizer refused; NULL: nothing */
    uint32_t timeout_ms;
    int64_t deadline;
    int64_t damaged; /* position; 0: none met */
};

/* --- What is allowed -------------------------------------------------------------------------- */

static const char *name_of(int action)
{
    switch (action) {
    case SQLITE_ATTACH: return "ATTACH";
    case SQLITE_DETACH: return "DETACH";
    case SQLITE_PRAGMA: return "PRAGMA";
    case SQLITE_TRANSACTION:
    case SQLITE_SAVEPOINT: return "a transaction";
    case SQLITE_INSERT:
    case SQLITE_UPDATE:
    case SQLITE_DELETE: return "writing";
    case SQLITE_FUNCTION: return "this function";
    default: return "what is not reading";
    }
}

static bool is_allowed(int action, const char *second)
{
    switch (action) {
    case SQLITE_SELECT:
    case SQLITE_READ:
    case SQLITE_RECURSIVE: return true;
    case SQLITE_FUNCTION: return sqlite3_stricmp(second, "load_extension") != 0;
    default: return false;
    }
}

static int authorize(void *context, int action, const char *first, const char *second, const char *database,
                     const char *trigger)
{
    struct question *question = context;

    (void)first;
    (void)database;
    (void)trigger;
    if (is_allowed(action, second))
        return SQLITE_OK;
    if (!question->refused)
        question->refused = name_of(action);
    return SQLITE_DENY;
}

static int is_late(void *context)
{
    const struct question *question = context;

    return question->clock->monotonic(question->clock->context) >= question->deadline;
}

/* --- Failures ---------------------------------------------------------------------------------- */

/* "line 2, column 5: near "x": syntax error", where SQLite knows the place. */
static stele_status fail_mistake(const struct question *question, stele_error **error)
{
    sqlite3 *db = question->connection->db;
    const int offset = sqlite3_error_offset(db);
    const char *message = sqlite3_errmsg(db);
    int line = 1;
    int column = 1;

    if (offset < 0)
        return stele__fail(error, STELE_INVALID, "%s", message);
    for (int i = 0; i < offset && question->sql[i]; i++) {
        column = question->sql[i] == '\n' ? 1 : column + 1;
        line += question->sql[i] == '\n';
    }
    stele__fail(error, STELE_INVALID, "line %d, column %d: %s", line, column, message);
    stele__error_add(error, "line", "%d", line);
    stele__error_add(error, "offset", "%d", offset);
    return STELE_INVALID;
}

static stele_status fail_damaged(const struct question *question, stele_error **error)
{
    stele__fail(error, STELE_CORRUPT, "%s: the event at position %" PRId64 " is damaged: a checksum does not fit",
                question->connection->path, question->damaged);
    stele__error_add(error, "path", "%s", question->connection->path);
    stele__error_add(error, "position", "%" PRId64, question->damaged);
    return STELE_CORRUPT;
}

static stele_status fail(const struct question *question, int code, stele_error **error)
{
    if (question->damaged)
        return fail_damaged(question, error);
    if (question->refused)
        return stele__fail(error, STELE_DENIED, "%s is not allowed: a question can only read", question->refused);
    switch (code & 0xff) {
    case SQLITE_ERROR:
    case SQLITE_MISMATCH:
    case SQLITE_RANGE: return fail_mistake(question, error);
    case SQLITE_INTERRUPT:
        return stele__fail(error, STELE_TIMEOUT, "the answer was not there after %" PRIu32 " ms", question->timeout_ms);
    case SQLITE_AUTH:
    case SQLITE_READONLY: return stele__fail(error, STELE_DENIED, "a question can only read");
    default: return stele__sqlite_fail(question->connection, code, "answer the question", error);
    }
}

/* --- The answer -------------------------------------------------------------------------------- */

/* A row's room: as many names and values as there are columns. */
struct answer {
    int count;
    const char **names;
    struct stele_sql_value *values;
};

static void read_value(sqlite3_stmt *row, int column, struct stele_sql_value *out)
{
    *out = (struct stele_sql_value){.kind = STELE_SQL_NULL};
    switch (sqlite3_column_type(row, column)) {
    case SQLITE_INTEGER:
        out->kind = STELE_SQL_INTEGER;
        out->integer = sqlite3_column_int64(row, column);
        break;
    case SQLITE_FLOAT:
        out->kind = STELE_SQL_REAL;
        out->real = sqlite3_column_double(row, column);
        break;
    case SQLITE_TEXT:
        out->kind = STELE_SQL_TEXT;
        out->bytes.data = (const char *)sqlite3_column_text(row, column);
        break;
    case SQLITE_BLOB:
        out->kind = STELE_SQL_BLOB;
        out->bytes.data = sqlite3_column_blob(row, column);
        if (!out->bytes.data)
            out->bytes.data = "";
        break;
    }
    if (out->bytes.data)
        out->bytes.size = (size_t)sqlite3_column_bytes(row, column);
}

static bool prepare_answer(sqlite3_stmt *statement, struct answer *out)
{
    const size_t count = (size_t)sqlite3_column_count(statement);

    out->count = (int)count;
    out->names = stele__alloc(count * sizeof(*out->names));
    out->values = stele__alloc(count * sizeof(*out->values));
    for (int i = 0; i < out->count && out->names; i++) {
        out->names[i] = sqlite3_column_name(statement, i);
        if (!out->names[i])
            return false;
    }
    return out->names && out->values;
}

static void free_answer(struct answer *answer)
{
    stele__free(answer->names, (size_t)answer->count * sizeof(*answer->names));
    stele__free(answer->values, (size_t)answer->count * sizeof(*answer->values));
}

static bool has_no_memory(const struct answer *answer)
{
    for (int i = 0; i < answer->count; i++) {
        const struct stele_sql_value *value = &answer->values[i];

        if (value->kind == STELE_SQL_TEXT && !value->bytes.data)
            return true;
    }
    return false;
}

static stele_status show_rows(const struct question *question, sqlite3_stmt *statement, struct answer *answer,
                              stele_sql_visit *visit, void *context, stele_error **error)
{
    struct stele_sql_row row = {(size_t)answer->count, answer->names, NULL};
    bool more = visit(context, &row);
    int code = SQLITE_ROW;

    row.values = answer->values;
    while (more && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        for (int i = 0; i < answer->count; i++)
            read_value(statement, i, &answer->values[i]);
        if (has_no_memory(answer))
            return stele__fail_memory(error);
        more = visit(context, &row);
    }
    return code == SQLITE_ROW || code == SQLITE_DONE ? STELE_OK : fail(question, code, error);
}

static stele_status answer_with(const struct question *question, sqlite3_stmt *statement, stele_sql_visit *visit,
                                void *context, stele_error **error)
{
    struct answer answer = {0};
    stele_status status;

    if (prepare_answer(statement, &answer))
        status = show_rows(question, statement, &answer, visit, context, error);
    else
        status = stele__fail_memory(error);
    free_answer(&answer);
    return status;
}

/* --- The question ------------------------------------------------------------------------------ */

/* Behind the statement there may be blanks, comments and semicolons only. */
static stele_status check_rest(const struct question *question, const char *rest, stele_error **error)
{
    while (*rest) {
        sqlite3_stmt *second = NULL;
        const char *end = rest;
        const int code = sqlite3_prepare_v2(question->connection->db, rest, -1, &second, &end);

        sqlite3_finalize(second);
        if (code != SQLITE_OK || second)
            return stele__fail(error, STELE_INVALID, "only one statement can be asked at a time");
        if (end == rest)
            break;
        rest = end;
    }
    return STELE_OK;
}

static stele_status prepare(struct question *question, sqlite3_stmt **out, stele_error **error)
{
    const char *rest = question->sql;
    const int code = sqlite3_prepare_v2(question->connection->db, question->sql, -1, out, &rest);
    stele_status status;

    if (code != SQLITE_OK)
        return fail(question, code, error);
    if (!*out)
        return stele__fail(error, STELE_INVALID, "there is no statement in it");
    status = check_rest(question, rest, error);
    if (status == STELE_OK && sqlite3_column_count(*out) == 0)
        status = stele__fail(error, STELE_DENIED, "a question can only read");
    return status;
}

/*
 * To connect a table-valued function is to write into SQLite's list of tables,
 * which the authorizer would refuse: those that a question may want are used
 * once before.
 */
static const char connect_tables[] = "SELECT 1 FROM json_each('[]'), json_tree('[]')";

static int lock_down(struct question *question)
{
    sqlite3 *db = question->connection->db;
    int code = stele__sqlite_add_functions(db, &question->damaged);

    if (code == SQLITE_OK)
        code = sqlite3_exec(db, stele__sqlite_events_view, NULL, NULL, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_exec(db, connect_tables, NULL, NULL, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_exec(db, "PRAGMA query_only = ON", NULL, NULL, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_set_authorizer(db, authorize, question);
    sqlite3_limit(db, SQLITE_LIMIT_SQL_LENGTH, QUESTION_MAX);
    if (question->timeout_ms) {
        question->deadline =
            question->clock->monotonic(question->clock->context) + (int64_t)question->timeout_ms * 1000000;
        sqlite3_progress_handler(db, STEPS, is_late, question);
    }
    return code;
}

stele_status stele__sqlite_sql(struct stele_backend *backend, const char *sql, uint32_t timeout_ms,
                               stele_sql_visit *visit, void *context, stele_error **error)
{
    struct sqlite_store *store = stele__sqlite_store(backend);
    struct sqlite_connect how = stele__sqlite_how(store, false);
    struct question question = {.clock = store->clock, .sql = sql, .timeout_ms = timeout_ms};
    sqlite3_stmt *statement = NULL;
    stele_status status;
    int code;

    how.flags = (how.flags & ~SQLITE_OPEN_READWRITE) | SQLITE_OPEN_READONLY;
    how.query_only = false; /* not before the view is made */
    status = stele__sqlite_connect(&how, &question.connection, error);
    if (status != STELE_OK)
        return status;
    code = lock_down(&question);
    if (code != SQLITE_OK)
        status = stele__sqlite_fail(question.connection, code, "answer the question", error);
    if (status == STELE_OK)
        status = prepare(&question, &statement, error);
    if (status == STELE_OK)
        status = answer_with(&question, statement, visit, context, error);
    sqlite3_finalize(statement);
    stele__sqlite_disconnect(question.connection);
    return status;
}
