/*
 * A row of `event` as a record: columns out, checksum compared, ids turned
 * into names. Everything is borrowed from the row and the names.
 */
#include "sqlite/sqlite.h"

#include "base/error.h"
#include "base/text.h"

#include <inttypes.h>
#include <string.h>

/* Columns of the statements that select an event; those on one stream do not tell it. */
enum { POSITION, VERSION, TYPE, TIME, ID, META, DATA, CHECKSUM, STREAM, COLUMNS };

/* SQLite gives no address for an empty one. */
struct stele_slice stele__sqlite_blob(sqlite3_stmt *row, int column)
{
    struct stele_slice slice = {sqlite3_column_blob(row, column), 0};

    if (slice.data)
        slice.size = (size_t)sqlite3_column_bytes(row, column);
    else if (sqlite3_column_type(row, column) != SQLITE_NULL)
        slice.data = "";
    return slice;
}

static struct stele_slice bytes_of(sqlite3_value *value)
{
    struct stele_slice slice = {sqlite3_value_blob(value), 0};

    if (slice.data)
        slice.size = (size_t)sqlite3_value_bytes(value);
    else if (sqlite3_value_type(value) != SQLITE_NULL)
        slice.data = "";
    return slice;
}

void stele__sqlite_event_numbers(sqlite3_value **row, struct sqlite_event_row *out)
{
    out->position = sqlite3_value_int64(row[POSITION]);
    out->stream = sqlite3_value_int64(row[STREAM]);
    out->version = sqlite3_value_int64(row[VERSION]);
    out->type = sqlite3_value_int64(row[TYPE]);
    out->time = sqlite3_value_int64(row[TIME]);
}

static void read_bytes(sqlite3_value **row, struct sqlite_event_row *out)
{
    out->id_is_text = sqlite3_value_type(row[ID]) == SQLITE_TEXT;
    if (out->id_is_text) {
        out->id.data = (const char *)sqlite3_value_text(row[ID]);
        out->id.size = (size_t)sqlite3_value_bytes(row[ID]);
    } else {
        out->id = bytes_of(row[ID]);
    }
    /* An empty one is stored as NULL: the question which of them it is can be saved. */
    out->meta.size = (size_t)sqlite3_value_bytes(row[META]);
    out->meta.data = out->meta.size ? sqlite3_value_blob(row[META]) : NULL;
    out->payload = bytes_of(row[DATA]);
}

static stele_status fail(const struct sqlite_connection *connection, const struct sqlite_event_row *row,
                         stele_error **error)
{
    stele__fail(error, STELE_CORRUPT, "%s: the event at position %" PRId64 " is damaged: its checksum does not fit",
                connection->path, row->position);
    stele__error_add(error, "path", "%s", connection->path);
    stele__error_add(error, "position", "%" PRId64, row->position);
    return STELE_CORRUPT;
}

/* The row is what was written. A sum that fits a row nobody could have written is made by hand: refuse that too. */
static bool is_sound(const struct sqlite_event_row *row, uint64_t checksum)
{
    return row->id.data && (row->id_is_text || row->id.size == sizeof(struct stele_uuid)) && row->position > 0 &&
           row->version > 0 && stele__sqlite_event_checksum(row) == checksum;
}

static void fill(const struct sqlite_event_row *row, const struct sqlite_name *stream, const struct sqlite_name *type,
                 struct stele_record *out)
{
    out->position = (uint64_t)row->position;
    out->version = (uint64_t)row->version;
    out->stream = (struct stele_slice){stream->text, stream->size};
    out->type = (struct stele_slice){type->text, type->size};
    out->type_version = type->version;
    out->id_is_uuid = !row->id_is_text;
    out->id = row->id;
    if (out->id_is_uuid)
        memcpy(out->uuid.bytes, row->id.data, sizeof(out->uuid.bytes));
    out->time = row->time;
    out->meta = row->meta.data ? row->meta : (struct stele_slice){"", 0};
    out->payload = row->payload;
}

stele_status stele__sqlite_event_record(struct sqlite_connection *connection, sqlite3_value **row,
                                        struct sqlite_event_row *columns, struct stele_record *out, stele_error **error)
{
    struct sqlite_name *stream;
    struct sqlite_name *type;
    stele_status status;

    read_bytes(row, columns);
    if (!is_sound(columns, (uint64_t)sqlite3_value_int64(row[CHECKSUM])))
        return fail(connection, columns, error);
    status = stele__sqlite_stream_name(connection, columns->stream, &stream, error);
    if (status == STELE_OK)
        status = stele__sqlite_type_name(connection, columns->type, &type, error);
    if (status != STELE_OK) {
        stele__error_add(error, "position", "%" PRId64, columns->position);
        return status;
    }
    fill(columns, stream, type, out);
    return STELE_OK;
}

stele_status stele__sqlite_record(struct sqlite_connection *connection, sqlite3_stmt *row, int64_t stream,
                                  struct stele_record *out, stele_error **error)
{
    sqlite3_value *values[COLUMNS];
    struct sqlite_event_row columns;

    /* A connection without a mutex has none to protect them by. */
    for (int i = 0; i < COLUMNS; i++)
        values[i] = sqlite3_column_value(row, i);
    stele__sqlite_event_numbers(values, &columns);
    if (stream)
        columns.stream = stream;
    return stele__sqlite_event_record(connection, values, &columns, out, error);
}

static bool has_id(const struct stele_record *record, const struct stele_record *wanted)
{
    if (record->id_is_uuid != wanted->id_is_uuid)
        return false;
    return wanted->id_is_uuid ? memcmp(record->uuid.bytes, wanted->uuid.bytes, sizeof(wanted->uuid.bytes)) == 0
                              : stele__slice_equal(record->id, wanted->id);
}

stele_status stele__sqlite_found_record(struct sqlite_connection *connection, sqlite3_stmt *row,
                                        const struct stele_record *wanted, struct stele_record *out,
                                        stele_error **error)
{
    const stele_status status = stele__sqlite_record(connection, row, 0, out, error);

    if (status != STELE_OK || has_id(out, wanted))
        return status;
    stele__fail(error, STELE_CORRUPT,
                "%s: the index of event ids is damaged: it leads to another event, at position %" PRIu64,
                connection->path, out->position);
    stele__error_add(error, "path", "%s", connection->path);
    return STELE_CORRUPT;
}

void stele__sqlite_bind_id(sqlite3_stmt *statement, int place, const struct stele_record *record)
{
    if (record->id_is_uuid)
        sqlite3_bind_blob(statement, place, record->uuid.bytes, (int)sizeof(record->uuid.bytes), SQLITE_STATIC);
    else
        sqlite3_bind_text(statement, place, record->id.data, (int)record->id.size, SQLITE_STATIC);
}
