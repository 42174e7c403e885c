/*
 * Reading: a stream or the log, in either direction, in one snapshot.
 *
 *     facts (head, stream) -> rows from the index or the table -> filters on ids -> checksum -> visitor
 *
 * Rows are not stepped to one by one: SQLite hands each to stele_visit(), a
 * condition of the statement, and goes on by itself while that is false. Asking
 * a function's arguments takes a third of the calls' time that asking a row does.
 *
 * The statement that gives the facts is left in its row until the end: while it
 * is, all statements of the connection see one snapshot. A read stops after a
 * bounded number of rows, so that no snapshot keeps the log from being moved.
 *
 * What can fail: a damaged row, a version that is missing in a stream, or rows
 * out of order (STELE_CORRUPT; `end->last` is its place, and reading can go on behind it); a
 * damaged page (nothing behind it can be reached); the file; memory.
 */
#include "sqlite/sqlite.h"

#include "base/error.h"
#include "base/text.h"

#include <inttypes.h>

struct reading {
    struct sqlite_connection *connection;
    const struct stele_scan *scan;
    stele_record_visit *visit;
    void *context;
    struct stele_scan_end end;
    int64_t stream;     /* id; 0 without one or if it is missing */
    uint64_t low, high; /* places wanted: above `low`, up to `high` */
    uint64_t next;      /* the version that must come now, in a stream */
    uint64_t looked;
    uint64_t visited;
    bool stopped;
    stele_status status;
    stele_error **error; /* of status */
};

static const char reading_name[] = "stele reading";

/* --- The snapshot ---------------------------------------------------------------------- */

static stele_status fail_missing(const struct reading *reading, const char *what, uint64_t version, stele_error **error)
{
    const struct stele_slice stream = reading->scan->stream;

    stele__fail(error, STELE_CORRUPT, "%s: stream \"%.*s\": version %" PRIu64 " %s", reading->connection->path,
                (int)stream.size, stream.data, version, what);
    stele__error_add(error, "path", "%s", reading->connection->path);
    stele__error_add(error, "stream", "%.*s", (int)stream.size, stream.data);
    stele__error_add(error, "version", "%" PRIu64, version);
    return STELE_CORRUPT;
}

/* The name that leads to an id must be the one its row says. */
static stele_status check_stream(const struct reading *reading, stele_error **error)
{
    struct sqlite_name *name = NULL;
    stele_status status = stele__sqlite_stream_name(reading->connection, reading->stream, &name, error);

    if (status != STELE_OK)
        return status;
    if (stele__slice_equal((struct stele_slice){name->text, name->size}, reading->scan->stream))
        return STELE_OK;
    return fail_missing(reading, "cannot be read: the index of stream names is damaged", 0, error);
}

/* Step the statement of facts, and leave it there. */
static stele_status take_snapshot(struct reading *reading, sqlite3_stmt **facts, stele_error **error)
{
    const struct stele_slice stream = reading->scan->stream;
    struct sqlite_connection *connection = reading->connection;
    int code;

    *facts = stele__sqlite_statement(connection, stream.data ? STATEMENT_STREAM_FACTS : STATEMENT_HEAD);
    if (!*facts)
        return stele__sqlite_fail(connection, sqlite3_extended_errcode(connection->db), "read it", error);
    if (stream.data)
        sqlite3_bind_text(*facts, 1, stream.data, (int)stream.size, SQLITE_STATIC);
    code = sqlite3_step(*facts);
    if (code != SQLITE_ROW)
        return stele__sqlite_fail(connection, code, "read it", error);
    reading->end.head = (uint64_t)sqlite3_column_int64(*facts, 0);
    if (!stream.data)
        return STELE_OK;
    reading->stream = sqlite3_column_int64(*facts, 1);
    reading->end.stream_version = (uint64_t)sqlite3_column_int64(*facts, 2);
    return reading->stream ? check_stream(reading, error) : STELE_OK;
}

/* From `after` and `until`, which mean places in the direction of reading, to a range. */
static void set_range(struct reading *reading)
{
    const struct stele_scan *scan = reading->scan;
    const uint64_t newest = scan->stream.data ? reading->end.stream_version : reading->end.head;
    uint64_t high = scan->until < newest ? scan->until : newest;

    if (scan->backwards && scan->after && scan->after - 1 < high)
        high = scan->after - 1;
    reading->low = scan->backwards ? 0 : scan->after;
    reading->high = high;
    reading->next = scan->backwards ? high : reading->low + 1;
    reading->end.last = scan->backwards ? high + 1 : reading->low;
}

static sqlite3_stmt *range_statement(struct reading *reading)
{
    const bool backwards = reading->scan->backwards;
    const bool by_stream = reading->scan->stream.data != NULL;
    sqlite3_stmt *rows;
    int place = 1;

    if (by_stream)
        rows = stele__sqlite_statement(reading->connection,
                                       backwards ? STATEMENT_VISIT_STREAM_BACKWARDS : STATEMENT_VISIT_STREAM_FORWARDS);
    else
        rows = stele__sqlite_statement(reading->connection,
                                       backwards ? STATEMENT_VISIT_LOG_BACKWARDS : STATEMENT_VISIT_LOG_FORWARDS);
    if (!rows)
        return NULL;
    if (by_stream)
        sqlite3_bind_int64(rows, place++, reading->stream);
    sqlite3_bind_int64(rows, place++, (int64_t)reading->low);
    sqlite3_bind_int64(rows, place++, (int64_t)reading->high);
    sqlite3_bind_pointer(rows, place, reading, reading_name, NULL);
    return rows;
}

/* --- Filters ------------------------------------------------------------------------------ */

/* What a name says to this scan is worked out once and kept with it. */
static stele_status test_stream(struct reading *reading, int64_t id, bool *wanted, stele_error **error)
{
    struct sqlite_name *name = NULL;
    stele_status status = stele__sqlite_stream_name(reading->connection, id, &name, error);

    if (status != STELE_OK)
        return status;
    if (name->scan != reading->connection->scan) {
        name->scan = reading->connection->scan;
        name->matches = stele__slice_begins_with((struct stele_slice){name->text, name->size}, reading->scan->category);
    }
    *wanted = name->matches;
    return STELE_OK;
}

static stele_status test_type(struct reading *reading, int64_t id, bool *wanted, stele_error **error)
{
    struct sqlite_name *name = NULL;
    stele_status status = stele__sqlite_type_name(reading->connection, id, &name, error);

    if (status != STELE_OK)
        return status;
    if (name->scan != reading->connection->scan) {
        name->scan = reading->connection->scan;
        name->matches = stele_scan_wants(reading->scan, (struct stele_slice){name->text, name->size});
    }
    *wanted = name->matches;
    return STELE_OK;
}

/* Decide on a row by its ids, before its bytes are touched. */
static stele_status test(struct reading *reading, const struct sqlite_event_row *columns, bool *wanted,
                         stele_error **error)
{
    stele_status status = STELE_OK;

    *wanted = true;
    if (reading->scan->category.data)
        status = test_stream(reading, columns->stream, wanted, error);
    if (status == STELE_OK && *wanted && reading->scan->type.data)
        status = test_type(reading, columns->type, wanted, error);
    if (status != STELE_OK)
        stele__error_add(error, "position", "%" PRId64, columns->position);
    return status;
}

/* --- Rows ------------------------------------------------------------------------------------ */

/* Note where the scan is. It always moves on, also over a row whose place is damaged. */
static void note_place(struct reading *reading, uint64_t place)
{
    uint64_t *last = &reading->end.last;

    if (reading->scan->backwards)
        *last = place < *last ? place : *last - 1;
    else
        *last = place > *last ? place : *last + 1;
}

/* Versions of a stream have no gaps: one that is missing was lost. */
static stele_status check_version(struct reading *reading, uint64_t version, stele_error **error)
{
    const uint64_t wanted = reading->next;

    if (version != wanted) {
        note_place(reading, wanted);
        return fail_missing(reading, "is missing", wanted, error);
    }
    reading->next = reading->scan->backwards ? wanted - 1 : wanted + 1;
    return STELE_OK;
}

/*
 * Positions only grow: a row that is not behind the last one stands on a page
 * that is in the wrong place. The next reading begins behind the last row; if
 * even its first one is out of order, one place is given up, to get on.
 */
static stele_status check_position(struct reading *reading, int64_t position, stele_error **error)
{
    const uint64_t place = (uint64_t)position;
    const uint64_t last = reading->end.last;

    if (position > 0 && (reading->scan->backwards ? place < last : place > last)) {
        note_place(reading, place);
        return STELE_OK;
    }
    if (reading->looked == 0)
        note_place(reading, last);
    stele__fail(error, STELE_CORRUPT,
                "%s: the event at position %" PRId64 " is out of order: it comes after position %" PRIu64,
                reading->connection->path, position, last);
    stele__error_add(error, "path", "%s", reading->connection->path);
    stele__error_add(error, "position", "%" PRId64, position);
    return STELE_CORRUPT;
}

/* Keep count of where the scan is, and whether this row may come next. */
static stele_status come_to(struct reading *reading, const struct sqlite_event_row *columns, stele_error **error)
{
    stele_status status;

    if (reading->scan->stream.data) {
        status = check_version(reading, (uint64_t)columns->version, error);
        if (status == STELE_OK)
            note_place(reading, (uint64_t)columns->version);
    } else {
        status = check_position(reading, columns->position, error);
    }
    reading->looked += status == STELE_OK;
    return status;
}

static stele_status visit_row(struct reading *reading, sqlite3_value **row, stele_error **error)
{
    const struct stele_scan *scan = reading->scan;
    struct sqlite_event_row columns;
    struct stele_record record;
    stele_status status;
    bool wanted = true;

    stele__sqlite_event_numbers(row, &columns);
    status = come_to(reading, &columns, error);
    if (status == STELE_OK && (scan->category.data || scan->type.data))
        status = test(reading, &columns, &wanted, error);
    if (status != STELE_OK || !wanted)
        return status;
    status = stele__sqlite_event_record(reading->connection, row, &columns, &record, error);
    if (status != STELE_OK || (scan->has_until_time && record.time > scan->until_time))
        return status;
    reading->visited++;
    reading->stopped = !reading->visit(reading->context, &record);
    return STELE_OK;
}

/* stele_visit(reading, columns of a row ...): is this enough? Nobody but read_range() can make the first of them. */
static void take_row(sqlite3_context *context, int count, sqlite3_value **values)
{
    struct reading *reading = sqlite3_value_pointer(values[0], reading_name);

    (void)count;
    if (!reading) {
        sqlite3_result_error(context, "stele_visit() is for stores", -1);
        return;
    }
    reading->status = visit_row(reading, values + 1, reading->error);
    sqlite3_result_int(context, reading->status != STELE_OK || reading->stopped ||
                                    reading->visited >= reading->scan->limit ||
                                    reading->looked >= SQLITE_STORE_LOOKED_MAX);
}

int stele__sqlite_add_visit(sqlite3 *db)
{
    return sqlite3_create_function_v2(db, "stele_visit", 10, SQLITE_UTF8 | SQLITE_DIRECTONLY, NULL, take_row, NULL,
                                      NULL, NULL);
}

static stele_status finish(struct reading *reading, stele_error **error)
{
    const uint64_t after_last = reading->scan->backwards ? reading->low : reading->high + 1;

    if (reading->scan->stream.data && reading->next != after_last && reading->low < reading->high) {
        note_place(reading, reading->next);
        return fail_missing(reading, "is missing", reading->next, error);
    }
    reading->end.done = true;
    if (!reading->scan->backwards && reading->end.last < reading->high)
        reading->end.last = reading->high;
    return STELE_OK;
}

/* A page of the file is damaged: what is behind it cannot be reached from here. */
static stele_status break_off(struct reading *reading, int code, stele_error **error)
{
    const stele_status status = stele__sqlite_fail(reading->connection, code, "read it", error);

    if (status == STELE_CORRUPT) {
        reading->end.done = true;
        stele__error_add(error, "position", "%" PRIu64, reading->end.last);
    }
    return status;
}

static stele_status visit_rows(struct reading *reading, sqlite3_stmt *rows, stele_error **error)
{
    int code;

    reading->error = error;
    code = sqlite3_step(rows);
    if (reading->status != STELE_OK || code == SQLITE_ROW)
        return reading->status;
    return code == SQLITE_DONE ? finish(reading, error) : break_off(reading, code, error);
}

static stele_status read_range(struct reading *reading, stele_error **error)
{
    sqlite3_stmt *rows;
    stele_status status;

    set_range(reading);
    if (reading->low >= reading->high) {
        reading->end.done = true;
        return STELE_OK;
    }
    rows = range_statement(reading);
    if (!rows)
        return break_off(reading, sqlite3_extended_errcode(reading->connection->db), error);
    status = visit_rows(reading, rows, error);
    sqlite3_reset(rows);
    return status;
}

/* Numbers of scans tell kept matches apart: when they begin anew, all are forgotten. */
static void begin_scan(struct sqlite_connection *connection)
{
    if (++connection->scan != 0)
        return;
    stele__sqlite_names_clear(&connection->streams);
    stele__sqlite_names_clear(&connection->types);
    connection->scan = 1;
}

static stele_status read_on(struct reading *reading, stele_error **error)
{
    sqlite3_stmt *facts = NULL;
    stele_status status;

    begin_scan(reading->connection);
    status = take_snapshot(reading, &facts, error);
    if (status == STELE_OK)
        status = read_range(reading, error);
    sqlite3_reset(facts);
    return status;
}

stele_status stele__sqlite_read(struct stele_backend *backend, const struct stele_scan *scan, stele_record_visit *visit,
                                void *context, struct stele_scan_end *end, stele_error **error)
{
    struct sqlite_store *store = stele__sqlite_store(backend);
    struct reading reading = {.scan = scan, .visit = visit, .context = context};
    stele_status status = stele__sqlite_take(store, &reading.connection, error);

    if (status != STELE_OK)
        return status;
    status = read_on(&reading, error);
    stele__sqlite_give(store, reading.connection);
    *end = reading.end;
    return status;
}

stele_status stele__sqlite_read_inside(struct stele_backend *backend, const struct stele_scan *scan,
                                       stele_record_visit *visit, void *context, struct stele_scan_end *end,
                                       stele_error **error)
{
    struct reading reading = {.connection = stele__sqlite_store(backend)->writer.connection,
                              .scan = scan,
                              .visit = visit,
                              .context = context};
    const stele_status status = read_on(&reading, error);

    *end = reading.end;
    return status;
}

stele_status stele__sqlite_find(struct stele_backend *backend, const struct stele_record *wanted,
                                stele_record_visit *visit, void *context, stele_error **error)
{
    struct sqlite_store *store = stele__sqlite_store(backend);
    struct sqlite_connection *connection = NULL;
    struct stele_record record;
    sqlite3_stmt *row;
    int code = SQLITE_DONE;
    stele_status status = stele__sqlite_take(store, &connection, error);

    if (status != STELE_OK)
        return status;
    row = stele__sqlite_statement(connection, STATEMENT_FIND);
    if (row) {
        stele__sqlite_bind_id(row, 1, wanted);
        code = sqlite3_step(row);
    }
    if (code == SQLITE_ROW)
        status = stele__sqlite_found_record(connection, row, wanted, &record, error);
    else if (!row || code != SQLITE_DONE)
        status = stele__sqlite_fail(connection, sqlite3_extended_errcode(connection->db), "find an event", error);
    if (status == STELE_OK && code == SQLITE_ROW)
        visit(context, &record);
    sqlite3_reset(row);
    stele__sqlite_give(store, connection);
    return status;
}
