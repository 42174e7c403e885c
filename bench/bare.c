/* Bare SQLite: see bare.h. */
#include "bench/bare.h"

#include "bench/readings.h"

#include <stdlib.h>

static void bare_must(const struct bare *bare, int code, int expected)
{
    if (code == expected)
        return;
    fprintf(stderr, "bare SQLite: %s\n", sqlite3_errmsg(bare->database));
    exit(EXIT_FAILURE);
}

static sqlite3_stmt *prepare(const struct bare *bare, const char *sql)
{
    sqlite3_stmt *statement = NULL;

    bare_must(bare, sqlite3_prepare_v2(bare->database, sql, -1, &statement, NULL), SQLITE_OK);
    return statement;
}

void bare_step(const struct bare *bare, sqlite3_stmt *statement)
{
    bare_must(bare, sqlite3_step(statement), SQLITE_DONE);
    sqlite3_reset(statement);
}

/* A file of the store's own schema, opened by hand. */
struct bare *bare_open(const char *path)
{
    struct bare *bare = calloc(1, sizeof(*bare));

    if (!bare)
        exit(EXIT_FAILURE);
    stele_store_close(open_store(path));
    bare_must(bare, sqlite3_open(path, &bare->database), SQLITE_OK);
    bare_must(bare,
              sqlite3_exec(bare->database,
                           "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000",
                           NULL, NULL, NULL),
              SQLITE_OK);
    bare->begin = prepare(bare, "BEGIN IMMEDIATE");
    bare->commit = prepare(bare, "COMMIT");
    bare->insert = prepare(bare, "INSERT INTO event (position, stream, version, type, time, id, meta, data, checksum)"
                                 " VALUES (?1, ?2, ?3, 1, ?4, ?5, ?6, ?7, 1)");
    bare->read_stream = prepare(bare, "SELECT position, stream, version, type, time, id, meta, data, checksum"
                                      " FROM event WHERE stream = ?1 AND version > 0 ORDER BY version");
    bare->read_log = prepare(bare, "SELECT position, stream, version, type, time, id, meta, data, checksum"
                                   " FROM event WHERE position > 0 ORDER BY position");
    return bare;
}

void bare_close(struct bare *bare)
{
    sqlite3_finalize(bare->begin);
    sqlite3_finalize(bare->commit);
    sqlite3_finalize(bare->insert);
    sqlite3_finalize(bare->read_stream);
    sqlite3_finalize(bare->read_log);
    sqlite3_close(bare->database);
    free(bare);
}

void bare_insert(struct bare *bare, unsigned stream, const stele_message *message)
{
    const struct stele_slice payload = stele_message_payload(message);
    struct stele_uuid id;

    stele_message_uuid(message, &id);
    sqlite3_bind_int64(bare->insert, 1, ++bare->position);
    sqlite3_bind_int64(bare->insert, 2, stream + 1);
    sqlite3_bind_int64(bare->insert, 3, ++bare->versions[stream]);
    sqlite3_bind_int64(bare->insert, 4, stele_message_time(message));
    sqlite3_bind_blob(bare->insert, 5, id.bytes, sizeof(id.bytes), SQLITE_STATIC);
    sqlite3_bind_zeroblob(bare->insert, 6, 0);
    sqlite3_bind_blob(bare->insert, 7, payload.data, (int)payload.size, SQLITE_STATIC);
    bare_step(bare, bare->insert);
}

uint64_t bare_read(const struct bare *bare, sqlite3_stmt *statement)
{
    static volatile uint64_t sink;
    uint64_t rows = 0;
    uint64_t sum = 0;

    while (sqlite3_step(statement) == SQLITE_ROW) {
        for (int column = 0; column < 5; column++)
            sum += (uint64_t)sqlite3_column_int64(statement, column);
        for (int column = 5; column < 8; column++)
            sum +=
                (uintptr_t)sqlite3_column_blob(statement, column) + (unsigned)sqlite3_column_bytes(statement, column);
        sum += (uint64_t)sqlite3_column_int64(statement, 8);
        rows++;
    }
    bare_must(bare, sqlite3_reset(statement), SQLITE_OK);
    sink = sum;
    (void)sink;
    return rows;
}
