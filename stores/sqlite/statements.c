/*
 * Every statement a store runs on its tables. No text is ever made at run
 * time: values are bound.
 */
#include "sqlite/sqlite.h"

#define EVENT_COLUMNS "position, version, type, time, id, meta, data, checksum"
#define EVENT "SELECT " EVENT_COLUMNS ", stream FROM event "
/* Whoever asks for a stream knows it. */
#define EVENT_OF_STREAM "SELECT " EVENT_COLUMNS " FROM event WHERE stream = ?1 "
/* Rows are handed over on the way; one that comes out says that no more are wanted. */
#define VISIT_STREAM \
    "SELECT 1 FROM event WHERE stream = ?1 AND version > ?2 AND version <= ?3 " \
    "AND stele_visit(?4, " EVENT_COLUMNS ", ?1) ORDER BY version"
#define VISIT_LOG \
    "SELECT 1 FROM event WHERE position > ?1 AND position <= ?2 " \
    "AND stele_visit(?3, " EVENT_COLUMNS ", stream) ORDER BY position"
#define COMMAND "SELECT id, digest, time, first, last, version, created, rejection, checksum, number FROM command "
#define SNAPSHOT "SELECT stream, version, fingerprint, state, time, checksum FROM snapshot "
#define CHECKPOINT "SELECT name, position, time, checksum FROM checkpoint "
#define STREAM_ID "(SELECT id FROM stream WHERE name = ?1)"

static const char *const texts[STATEMENT_COUNT] = {
    [STATEMENT_BEGIN] = "BEGIN IMMEDIATE",
    [STATEMENT_COMMIT] = "COMMIT",
    [STATEMENT_ROLLBACK] = "ROLLBACK",
    [STATEMENT_SAVE_MEMBER] = "SAVEPOINT stele_member",
    [STATEMENT_KEEP_MEMBER] = "RELEASE stele_member",
    [STATEMENT_UNDO_MEMBER] = "ROLLBACK TO stele_member",
    [STATEMENT_HEAD] = "SELECT max(position) FROM event",
    /* Joined to a row of nothing, so that there is one row even without the stream: it holds the snapshot. */
    [STATEMENT_STREAM_FACTS] = "SELECT (SELECT max(position) FROM event), s.id, "
                               "(SELECT version FROM event WHERE stream = s.id ORDER BY version DESC LIMIT 1) "
                               "FROM (SELECT 1) LEFT JOIN stream AS s ON s.name = ?1",
    [STATEMENT_STREAM_FORWARDS] = EVENT_OF_STREAM "AND version > ?2 AND version <= ?3 ORDER BY version",
    [STATEMENT_STREAM_BACKWARDS] = EVENT_OF_STREAM "AND version > ?2 AND version <= ?3 ORDER BY version DESC",
    [STATEMENT_VISIT_STREAM_FORWARDS] = VISIT_STREAM,
    [STATEMENT_VISIT_STREAM_BACKWARDS] = VISIT_STREAM " DESC",
    [STATEMENT_VISIT_LOG_FORWARDS] = VISIT_LOG,
    [STATEMENT_VISIT_LOG_BACKWARDS] = VISIT_LOG " DESC",
    [STATEMENT_FIND] = EVENT "WHERE id = ?1",
    [STATEMENT_STREAM_NAME] = "SELECT name, 0, checksum FROM stream WHERE id = ?1",
    [STATEMENT_TYPE_NAME] = "SELECT name, version, checksum FROM type WHERE id = ?1",
    [STATEMENT_STREAM_HEAD] = "SELECT id, checksum, "
                              "(SELECT version FROM event WHERE stream = s.id ORDER BY version DESC LIMIT 1) "
                              "FROM stream AS s WHERE name = ?1",
    [STATEMENT_TYPE_ID] = "SELECT id, checksum, version FROM type WHERE name = ?1 AND version = ?2",
    [STATEMENT_STREAM_LAST_ID] = "SELECT max(id) FROM stream",
    [STATEMENT_TYPE_LAST_ID] = "SELECT max(id) FROM type",
    [STATEMENT_INSERT_STREAM] = "INSERT INTO stream(id, name, checksum) VALUES(?1, ?2, ?3)",
    [STATEMENT_INSERT_TYPE] = "INSERT INTO type(id, name, checksum, version) VALUES(?1, ?2, ?3, ?4)",
    [STATEMENT_INSERT_EVENT] = "INSERT INTO event(position, stream, version, type, time, id, meta, data, checksum) "
                               "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    [STATEMENT_STREAMS_FORWARDS] = "SELECT id, name, checksum FROM stream WHERE name >= ?1 AND name < ?2 ORDER BY name",
    [STATEMENT_STREAMS_BACKWARDS] =
        "SELECT id, name, checksum FROM stream WHERE name >= ?1 AND name < ?2 ORDER BY name DESC",
    [STATEMENT_COUNTS] = "SELECT (SELECT count(*) FROM event), (SELECT count(*) FROM stream), "
                         "(SELECT count(*) FROM type), (SELECT max(position) FROM event)",
    [STATEMENT_SIZE] = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
    [STATEMENT_INTEGRITY] = "PRAGMA integrity_check",
    [STATEMENT_STREAM_ROWS] = "SELECT id, name, 0, checksum FROM stream ORDER BY id",
    [STATEMENT_TYPE_ROWS] = "SELECT id, name, version, checksum FROM type ORDER BY id",
    [STATEMENT_VERSION_GAPS] = "SELECT stream, count(*), max(version) FROM event GROUP BY stream "
                               "HAVING count(*) <> max(version) OR min(version) <> 1",
    [STATEMENT_FORMAT] = "PRAGMA user_version",
    [STATEMENT_FIND_COMMAND] = COMMAND "WHERE id = ?1",
    [STATEMENT_INSERT_COMMAND] = "INSERT INTO command(id, digest, time, first, last, version, created, rejection, "
                                 "checksum) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    [STATEMENT_MARK_COMMAND] = "SELECT time, number FROM command WHERE time <= ?1 "
                               "ORDER BY time DESC, number DESC LIMIT 1 OFFSET ?2",
    [STATEMENT_FORGET_COMMANDS] = "DELETE FROM command WHERE number IN (SELECT number FROM command "
                                  "WHERE (time, number) <= (?1, ?2) ORDER BY time, number LIMIT ?3)",
    [STATEMENT_COMMAND_ROWS] = COMMAND "ORDER BY number",
    [STATEMENT_FIND_SNAPSHOT] = SNAPSHOT "WHERE stream = " STREAM_ID,
    [STATEMENT_STORED_SNAPSHOT] = SNAPSHOT "WHERE stream = ?1",
    [STATEMENT_SAVE_SNAPSHOT] = "INSERT INTO snapshot(stream, version, fingerprint, state, time, checksum) "
                                "VALUES(?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT(stream) DO UPDATE SET "
                                "version = ?2, fingerprint = ?3, state = ?4, time = ?5, checksum = ?6",
    [STATEMENT_DROP_SNAPSHOT] = "DELETE FROM snapshot WHERE stream = " STREAM_ID,
    [STATEMENT_DROP_SNAPSHOTS] = "DELETE FROM snapshot",
    [STATEMENT_SNAPSHOT_ROWS] = SNAPSHOT "ORDER BY stream",
    [STATEMENT_FIND_CHECKPOINT] = CHECKPOINT "WHERE name = ?1",
    [STATEMENT_WRITE_CHECKPOINT] = "INSERT INTO checkpoint(name, position, time, checksum) VALUES(?1, ?2, ?3, ?4) "
                                   "ON CONFLICT(name) DO UPDATE SET position = ?2, time = ?3, checksum = ?4",
    [STATEMENT_MOVE_CHECKPOINT] = "UPDATE checkpoint SET position = ?2, time = ?3, checksum = ?4 "
                                  "WHERE name = ?1 AND position = ?5",
    [STATEMENT_DELETE_CHECKPOINT] = "DELETE FROM checkpoint WHERE name = ?1",
    [STATEMENT_CHECKPOINT_ROWS] = CHECKPOINT "ORDER BY name",
};

const char *stele__sqlite_statement_text(enum sqlite_statement statement)
{
    return texts[statement];
}
