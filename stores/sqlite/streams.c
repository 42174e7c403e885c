/*
 * Listing streams by name.
 *
 * Names come from their unique index, which orders them bytewise; what is said
 * of each stream comes from its first and its last event. A listing is read in
 * pages, each a snapshot of its own, so that a long one keeps nobody waiting.
 */
#include "sqlite/sqlite.h"

#include "base/buffer.h"
#include "base/error.h"
#include "base/text.h"

#include <inttypes.h>

enum { PAGE = 4096 };

struct listing {
    struct sqlite_connection *connection;
    stele_stream_visit *visit;
    void *context;
    bool backwards;
    uint64_t left;             /* streams that may still be visited */
    struct stele__buffer low;  /* names from here on */
    struct stele__buffer high; /* and below this */
    bool has_high;
    bool ended;
};

/* --- The range of names ------------------------------------------------------------------ */

/* The least text behind all that begin with a prefix; none for a prefix of nothing but 0xff. */
static bool add_successor(struct stele__buffer *out, struct stele_slice prefix)
{
    size_t size = prefix.size;

    while (size > 0 && (unsigned char)prefix.data[size - 1] == 0xff)
        size--;
    if (size == 0)
        return false;
    stele__buffer_add(out, prefix.data, size - 1);
    stele__buffer_add_byte(out, (char)(prefix.data[size - 1] + 1));
    return true;
}

static void set(struct stele__buffer *buffer, struct stele_slice text)
{
    stele__buffer_reset(buffer);
    stele__buffer_add(buffer, text.data, text.size);
}

/* Narrow the range to names behind one, in the direction of reading. */
static void go_behind(struct listing *listing, struct stele_slice name)
{
    if (listing->backwards) {
        if (!listing->has_high || stele__slice_compare(name, stele__buffer_slice(&listing->high)) < 0)
            set(&listing->high, name);
        listing->has_high = true;
    } else if (stele__slice_compare(name, stele__buffer_slice(&listing->low)) >= 0) {
        /* The next text behind a name is the name with a NUL. */
        set(&listing->low, name);
        stele__buffer_add_byte(&listing->low, '\0');
    }
}

static void set_range(struct listing *listing, const struct stele_stream_query *query)
{
    const struct stele_slice category = stele__slice(query->category ? query->category : "");

    set(&listing->low, category);
    listing->has_high = add_successor(&listing->high, category);
    if (query->after)
        go_behind(listing, stele__slice(query->after));
}

static void bind_range(const struct listing *listing, sqlite3_stmt *rows)
{
    const struct stele_slice low = stele__buffer_slice(&listing->low);
    const struct stele_slice high = stele__buffer_slice(&listing->high);

    /* Copied: the bounds move on while the statement runs. */
    sqlite3_bind_text(rows, 1, low.data, (int)low.size, SQLITE_TRANSIENT);
    if (listing->has_high)
        sqlite3_bind_text(rows, 2, high.data, (int)high.size, SQLITE_TRANSIENT);
    else
        sqlite3_bind_blob(rows, 2, "", 0, SQLITE_STATIC); /* a blob sorts behind every text */
}

/* --- One stream ---------------------------------------------------------------------------- */

/* The first or last event of a stream. */
static stele_status edge(const struct listing *listing, enum sqlite_statement statement, int64_t stream,
                         struct stele_record *out, bool *found, stele_error **error)
{
    sqlite3_stmt *row = stele__sqlite_statement(listing->connection, statement);
    stele_status status = STELE_OK;
    int code;

    if (!row)
        return stele__sqlite_fail(listing->connection, sqlite3_extended_errcode(listing->connection->db),
                                  "read a stream", error);
    sqlite3_bind_int64(row, 1, stream);
    sqlite3_bind_int64(row, 2, 0);
    sqlite3_bind_int64(row, 3, INT64_MAX);
    code = sqlite3_step(row);
    *found = code == SQLITE_ROW;
    if (*found)
        status = stele__sqlite_record(listing->connection, row, stream, out, error);
    else if (code != SQLITE_DONE)
        status = stele__sqlite_fail(listing->connection, code, "read a stream", error);
    sqlite3_reset(row);
    return status;
}

static stele_status describe(const struct listing *listing, int64_t id, struct stele_stream *out, bool *found,
                             stele_error **error)
{
    struct stele_record record;
    stele_status status = edge(listing, STATEMENT_STREAM_BACKWARDS, id, &record, found, error);

    if (status != STELE_OK || !*found)
        return status;
    out->version = record.version;
    out->last_position = record.position;
    out->last_time = record.time;
    status = edge(listing, STATEMENT_STREAM_FORWARDS, id, &record, found, error);
    if (status != STELE_OK || !*found)
        return status;
    out->first_position = record.position;
    out->first_time = record.time;
    return STELE_OK;
}

static stele_status fail_row(const struct listing *listing, struct stele_slice name, const char *why,
                             stele_error **error)
{
    stele__fail(error, STELE_CORRUPT, "%s: stream \"%.*s\" %s", listing->connection->path, (int)name.size,
                name.data ? name.data : "", why);
    stele__error_add(error, "path", "%s", listing->connection->path);
    return STELE_CORRUPT;
}

static stele_status visit_row(struct listing *listing, sqlite3_stmt *row, stele_error **error)
{
    const int64_t id = sqlite3_column_int64(row, 0);
    struct stele_stream stream = {
        .name = {(const char *)sqlite3_column_text(row, 1), (size_t)sqlite3_column_bytes(row, 1)},
    };
    bool found = false;
    stele_status status;

    if (!stream.name.data || stele__sqlite_stream_checksum(id, stream.name) != (uint64_t)sqlite3_column_int64(row, 2))
        return fail_row(listing, stream.name, "is damaged: its checksum does not fit", error);
    status = describe(listing, id, &stream, &found, error);
    if (status != STELE_OK)
        return status;
    if (!found)
        return fail_row(listing, stream.name, "has no events", error);
    listing->left--;
    listing->ended = !listing->visit(listing->context, &stream) || listing->left == 0;
    go_behind(listing, stream.name);
    return STELE_OK;
}

/* --- Pages -------------------------------------------------------------------------------------- */

static stele_status visit_page(struct listing *listing, sqlite3_stmt *rows, stele_error **error)
{
    stele_status status = STELE_OK;
    int code = SQLITE_ROW;

    for (int i = 0; i < PAGE && status == STELE_OK && !listing->ended; i++) {
        code = sqlite3_step(rows);
        if (code != SQLITE_ROW)
            break;
        status = visit_row(listing, rows, error);
    }
    if (status != STELE_OK || code == SQLITE_ROW)
        return status;
    listing->ended = true;
    return code == SQLITE_DONE ? STELE_OK : stele__sqlite_fail(listing->connection, code, "list streams", error);
}

static stele_status read_page(struct listing *listing, stele_error **error)
{
    sqlite3_stmt *rows = stele__sqlite_statement(listing->connection, listing->backwards ? STATEMENT_STREAMS_BACKWARDS
                                                                                         : STATEMENT_STREAMS_FORWARDS);
    stele_status status;

    if (!rows)
        return stele__sqlite_fail(listing->connection, sqlite3_extended_errcode(listing->connection->db),
                                  "list streams", error);
    bind_range(listing, rows);
    status = visit_page(listing, rows, error);
    sqlite3_reset(rows);
    if (status == STELE_OK)
        status = stele__buffer_finish(&listing->low, "stream name", error);
    if (status == STELE_OK)
        status = stele__buffer_finish(&listing->high, "stream name", error);
    return status;
}

stele_status stele__sqlite_streams(struct stele_backend *backend, const struct stele_stream_query *query,
                                   stele_stream_visit *visit, void *context, stele_error **error)
{
    struct sqlite_store *store = stele__sqlite_store(backend);
    struct listing listing = {.visit = visit, .context = context, .backwards = query->backwards, .left = query->limit};
    stele_status status = stele__sqlite_take(store, &listing.connection, error);

    if (status != STELE_OK)
        return status;
    stele__buffer_init(&listing.low);
    stele__buffer_init(&listing.high);
    set_range(&listing, query);
    status = stele__buffer_finish(&listing.low, "stream name", error);
    if (status == STELE_OK)
        status = stele__buffer_finish(&listing.high, "stream name", error);
    while (status == STELE_OK && !listing.ended)
        status = read_page(&listing, error);
    stele__buffer_fini(&listing.low);
    stele__buffer_fini(&listing.high);
    stele__sqlite_give(store, listing.connection);
    return status;
}
