/*
 * The names of streams and types by id, as one connection has met them.
 *
 * Rows of events hold ids; a read turns each into a name. Ids are given out in
 * order, so a direct-mapped table serves them without collisions up to its
 * bound; a miss is one look-up by primary key. A row's checksum is checked as
 * it enters. What can fail: the look-up, memory, a damaged or missing row.
 */
#include "sqlite/sqlite.h"

#include "base/error.h"
#include "base/memory.h"

#include <inttypes.h>
#include <string.h>

enum {
    CAPACITY_MIN = 16,
    CAPACITY_MAX = 32768,
    GROWTH = 8,
    BYTES_MAX = 4 * 1024 * 1024 /* of texts, per table */
};

static struct sqlite_name *slot(const struct sqlite_names *names, int64_t id)
{
    return &names->entries[(uint64_t)id & (names->capacity - 1)];
}

void stele__sqlite_names_clear(struct sqlite_names *names)
{
    for (size_t i = 0; i < names->capacity; i++) {
        stele__free(names->entries[i].text, names->entries[i].room);
        memset(&names->entries[i], 0, sizeof(names->entries[i]));
    }
    names->bytes = 0;
}

void stele__sqlite_names_fini(struct sqlite_names *names)
{
    stele__sqlite_names_clear(names);
    stele__free(names->entries, names->capacity * sizeof(*names->entries));
    memset(names, 0, sizeof(*names));
}

/* A larger table with the same entries: two that had places of their own keep them. */
static bool grow(struct sqlite_names *names)
{
    struct sqlite_names larger = {.capacity = names->capacity ? names->capacity * GROWTH : CAPACITY_MIN,
                                  .bytes = names->bytes};

    larger.entries = stele__alloc(larger.capacity * sizeof(*larger.entries));
    if (!larger.entries)
        return false;
    for (size_t i = 0; i < names->capacity; i++)
        if (names->entries[i].text)
            *slot(&larger, names->entries[i].id) = names->entries[i];
    stele__free(names->entries, names->capacity * sizeof(*names->entries));
    *names = larger;
    return true;
}

/* The entry for an id, with room for a text; it takes the place of another when the table is as large as it gets. */
static struct sqlite_name *place(struct sqlite_names *names, int64_t id, size_t size)
{
    struct sqlite_name *entry;
    char *text;

    while (!names->capacity || (slot(names, id)->text && slot(names, id)->id != id && names->capacity < CAPACITY_MAX))
        if (!grow(names))
            return NULL;
    if (names->bytes + size > BYTES_MAX)
        stele__sqlite_names_clear(names);
    entry = slot(names, id);
    if (entry->room < size + 1) {
        text = stele__resize(entry->text, entry->room, size + 1);
        if (!text)
            return NULL;
        names->bytes += size + 1 - entry->room;
        entry->text = text;
        entry->room = size + 1;
    }
    return entry;
}

static stele_status fail(const struct sqlite_connection *connection, const char *what, int64_t id, const char *why,
                         stele_error **error)
{
    stele__fail(error, STELE_CORRUPT, "%s: %s %" PRId64 " %s", connection->path, what, id, why);
    stele__error_add(error, "path", "%s", connection->path);
    return STELE_CORRUPT;
}

/* Take the row of a look-up, checked, into the table. */
static stele_status keep(struct sqlite_connection *connection, struct sqlite_names *names, int64_t id,
                         sqlite3_stmt *row, struct sqlite_name **out, stele_error **error)
{
    const bool is_type = names == &connection->types;
    const struct stele_slice name = {(const char *)sqlite3_column_text(row, 0), (size_t)sqlite3_column_bytes(row, 0)};
    const uint32_t version = (uint32_t)sqlite3_column_int64(row, 1);
    const uint64_t checksum = (uint64_t)sqlite3_column_int64(row, 2);
    struct sqlite_name *entry;

    if (!name.data || checksum != (is_type ? stele__sqlite_type_checksum(id, version, name)
                                           : stele__sqlite_stream_checksum(id, name)))
        return fail(connection, is_type ? "type" : "stream", id, "is damaged: its checksum does not fit", error);
    entry = place(names, id, name.size);
    if (!entry)
        return stele__fail_memory(error);
    memcpy(entry->text, name.data, name.size + 1);
    entry->id = id;
    entry->size = name.size;
    entry->version = version;
    entry->scan = 0;
    *out = entry;
    return STELE_OK;
}

static stele_status look_up(struct sqlite_connection *connection, struct sqlite_names *names, int64_t id,
                            struct sqlite_name **out, stele_error **error)
{
    const bool is_type = names == &connection->types;
    sqlite3_stmt *row = stele__sqlite_statement(connection, is_type ? STATEMENT_TYPE_NAME : STATEMENT_STREAM_NAME);
    stele_status status;
    int code;

    if (!row)
        return stele__sqlite_fail(connection, sqlite3_extended_errcode(connection->db), "read a name", error);
    sqlite3_bind_int64(row, 1, id);
    code = sqlite3_step(row);
    if (code == SQLITE_ROW)
        status = keep(connection, names, id, row, out, error);
    else if (code == SQLITE_DONE)
        status = fail(connection, is_type ? "type" : "stream", id, "is used by an event but missing", error);
    else
        status = stele__sqlite_fail(connection, code, "read a name", error);
    sqlite3_reset(row);
    return status;
}

static stele_status get(struct sqlite_connection *connection, struct sqlite_names *names, int64_t id,
                        struct sqlite_name **out, stele_error **error)
{
    if (names->capacity) {
        struct sqlite_name *entry = slot(names, id);

        if (entry->id == id && entry->text) {
            *out = entry;
            return STELE_OK;
        }
    }
    return look_up(connection, names, id, out, error);
}

stele_status stele__sqlite_stream_name(struct sqlite_connection *connection, int64_t id, struct sqlite_name **out,
                                       stele_error **error)
{
    return get(connection, &connection->streams, id, out, error);
}

stele_status stele__sqlite_type_name(struct sqlite_connection *connection, int64_t id, struct sqlite_name **out,
                                     stele_error **error)
{
    return get(connection, &connection->types, id, out, error);
}
