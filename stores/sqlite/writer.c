/*
 * What the writer knows: streams with their last versions, types, and the ids
 * given out last.
 *
 * All of it is read inside a write transaction and stays right as long as
 * nobody else writes, which shows in the head of the log, and nothing is rolled
 * back; then `generation` changes and everything is asked anew.
 */
#include "sqlite/sqlite.h"

#include "base/error.h"
#include "base/memory.h"

#include <inttypes.h>
#include <string.h>
#include <xxhash.h>

/* --- Coming and going ---------------------------------------------------------------- */

stele_status stele__sqlite_writer_init(struct sqlite_store *store, stele_error **error)
{
    struct sqlite_writer *writer = &store->writer;

    writer->generation = 1;
    writer->committed_head = -1;
    writer->last_stream = -1;
    writer->last_type = -1;
    writer->checkpoint_at = store->checkpoint_pages;
    stele__arena_init(&writer->arena);
    writer->streams = stele__alloc(KNOWN_STREAMS * sizeof(*writer->streams));
    writer->types = stele__alloc(KNOWN_TYPES * sizeof(*writer->types));
    return writer->streams && writer->types ? STELE_OK : stele__fail_memory(error);
}

static void free_table(struct sqlite_known *table, size_t count)
{
    if (!table)
        return;
    for (size_t i = 0; i < count; i++)
        stele__free(table[i].text, table[i].room);
    stele__free(table, count * sizeof(*table));
}

void stele__sqlite_writer_fini(struct sqlite_writer *writer)
{
    free_table(writer->streams, KNOWN_STREAMS);
    free_table(writer->types, KNOWN_TYPES);
    stele__arena_fini(&writer->arena);
    writer->streams = NULL;
    writer->types = NULL;
}

void stele__sqlite_writer_forget(struct sqlite_writer *writer)
{
    writer->generation++;
    writer->last_stream = -1;
    writer->last_type = -1;
    /* Ids taken back may be given to other names. */
    stele__sqlite_names_clear(&writer->connection->streams);
    stele__sqlite_names_clear(&writer->connection->types);
}

/* --- Looking up ------------------------------------------------------------------------ */

static stele_status fail_damaged(const struct sqlite_writer *writer, const char *what, struct stele_slice name,
                                 stele_error **error)
{
    const char *path = writer->connection->path;

    stele__fail(error, STELE_CORRUPT, "%s: %s \"%.*s\" is damaged: its checksum does not fit", path, what,
                (int)name.size, name.data);
    stele__error_add(error, "path", "%s", path);
    return STELE_CORRUPT;
}

static bool is_known(const struct sqlite_known *known, uint64_t generation, struct stele_slice name)
{
    return known->generation == generation && known->size == name.size &&
           memcmp(known->text, name.data, name.size) == 0;
}

/* Let an entry stand for a name, as missing; it counts only when its generation is set. */
static stele_status name_entry(struct sqlite_known *known, struct stele_slice name, stele_error **error)
{
    known->generation = 0;
    if (known->room < name.size + 1) {
        char *text = stele__resize(known->text, known->room, name.size + 1);

        if (!text)
            return stele__fail_memory(error);
        known->text = text;
        known->room = name.size + 1;
    }
    memcpy(known->text, name.data, name.size);
    known->text[name.size] = '\0';
    known->size = name.size;
    known->id = 0;
    known->version = 0;
    return STELE_OK;
}

static uint64_t checksum_of(int64_t id, struct stele_slice name, bool is_type, uint64_t type_version)
{
    return is_type ? stele__sqlite_type_checksum(id, (uint32_t)type_version, name)
                   : stele__sqlite_stream_checksum(id, name);
}

/* Run a look-up by name whose row is id, checksum, version. */
static stele_status look_up(struct sqlite_writer *writer, enum sqlite_statement statement, struct sqlite_known *known,
                            uint32_t type_version, stele_error **error)
{
    const bool is_type = statement == STATEMENT_TYPE_ID;
    const struct stele_slice name = {known->text, known->size};
    sqlite3_stmt *row = stele__sqlite_statement(writer->connection, statement);
    stele_status status = STELE_OK;
    int code;

    if (!row)
        return stele__sqlite_fail(writer->connection, sqlite3_extended_errcode(writer->connection->db),
                                  "look up a name", error);
    sqlite3_bind_text(row, 1, name.data, (int)name.size, SQLITE_STATIC);
    if (is_type)
        sqlite3_bind_int64(row, 2, type_version);
    code = sqlite3_step(row);
    if (code == SQLITE_ROW) {
        const int64_t id = sqlite3_column_int64(row, 0);

        known->id = id;
        known->version = (uint64_t)sqlite3_column_int64(row, 2);
        if (checksum_of(id, name, is_type, type_version) != (uint64_t)sqlite3_column_int64(row, 1))
            status = fail_damaged(writer, is_type ? "type" : "stream", name, error);
    } else if (code != SQLITE_DONE) {
        status = stele__sqlite_fail(writer->connection, code, "look up a name", error);
    }
    sqlite3_reset(row);
    return status;
}

/*
 * The entry of a stream, or the one to give up for it. A batch may go to a
 * thousand streams: with one place for each name, a third of them would drive
 * one another out, each time at the price of a query.
 */
static struct sqlite_known *stream_entry(const struct sqlite_writer *writer, struct stele_slice name)
{
    const uint64_t hash = XXH3_64bits(name.data, name.size);
    struct sqlite_known *pair = &writer->streams[hash & (KNOWN_STREAMS - 2)];

    for (size_t i = 0; i < 2; i++)
        if (is_known(&pair[i], writer->generation, name))
            return &pair[i];
    for (size_t i = 0; i < 2; i++)
        if (pair[i].generation != writer->generation)
            return &pair[i];
    return &pair[hash >> 63];
}

stele_status stele__sqlite_writer_stream(struct sqlite_writer *writer, struct stele_slice name,
                                         struct sqlite_known **out, stele_error **error)
{
    struct sqlite_known *known = stream_entry(writer, name);
    stele_status status;

    *out = known;
    if (is_known(known, writer->generation, name))
        return STELE_OK;
    status = name_entry(known, name, error);
    if (status == STELE_OK)
        status = look_up(writer, STATEMENT_STREAM_HEAD, known, 0, error);
    if (status == STELE_OK)
        known->generation = writer->generation;
    return status;
}

stele_status stele__sqlite_writer_type(struct sqlite_writer *writer, struct stele_slice name, uint32_t version,
                                       struct sqlite_known **out, stele_error **error)
{
    const uint64_t hash = XXH3_64bits_withSeed(name.data, name.size, version);
    struct sqlite_known *known = &writer->types[hash & (KNOWN_TYPES - 1)];
    stele_status status;

    *out = known;
    if (is_known(known, writer->generation, name) && known->version == version)
        return STELE_OK;
    status = name_entry(known, name, error);
    if (status == STELE_OK)
        status = look_up(writer, STATEMENT_TYPE_ID, known, version, error);
    if (status != STELE_OK)
        return status;
    known->version = version;
    known->generation = writer->generation;
    return STELE_OK;
}

/* --- Adding ------------------------------------------------------------------------------ */

static stele_status next_id(struct sqlite_writer *writer, enum sqlite_statement statement, int64_t *last, int64_t *out,
                            stele_error **error)
{
    if (*last < 0) {
        stele_status status = stele__sqlite_number(writer->connection, statement, last, error);

        if (status != STELE_OK)
            return status;
    }
    if (*last < 0 || *last == INT64_MAX)
        return stele__fail(error, STELE_CORRUPT, "%s: the ids of its names are damaged", writer->connection->path);
    *out = *last + 1;
    return STELE_OK;
}

stele_status stele__sqlite_writer_add(struct sqlite_writer *writer, struct sqlite_known *known, bool is_type,
                                      stele_error **error)
{
    struct sqlite_connection *connection = writer->connection;
    const struct stele_slice name = {known->text, known->size};
    sqlite3_stmt *row = NULL;
    int64_t *last = is_type ? &writer->last_type : &writer->last_stream;
    int64_t id = 0;
    stele_status status =
        next_id(writer, is_type ? STATEMENT_TYPE_LAST_ID : STATEMENT_STREAM_LAST_ID, last, &id, error);
    int code;

    if (status != STELE_OK)
        return status;
    row = stele__sqlite_statement(connection, is_type ? STATEMENT_INSERT_TYPE : STATEMENT_INSERT_STREAM);
    if (!row)
        return stele__sqlite_fail(connection, sqlite3_extended_errcode(connection->db), "add a name", error);
    sqlite3_bind_int64(row, 1, id);
    sqlite3_bind_text(row, 2, name.data, (int)name.size, SQLITE_STATIC);
    sqlite3_bind_int64(row, 3, (int64_t)checksum_of(id, name, is_type, known->version));
    if (is_type)
        sqlite3_bind_int64(row, 4, (int64_t)known->version);
    code = sqlite3_step(row);
    sqlite3_reset(row);
    if (code != SQLITE_DONE)
        return stele__sqlite_fail(connection, code, "add a name", error);
    *last = known->id = id;
    return STELE_OK;
}
