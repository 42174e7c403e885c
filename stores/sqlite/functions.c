/*
 * What SQL sees of a store: functions that turn stored bytes into text, and
 * the view `events` over them.
 *
 *   stele_json(BLOB)     MessagePack as JSON; NULL for NULL, for nothing, and for what JSON has no word for
 *   stele_id(ID)         16 bytes as the text of a UUID; text as it is
 *   stele_time(INTEGER)  nanoseconds since 1970 as RFC 3339
 *   stele_sound(...)     the columns of an event and of its names: 1, or the statement fails
 *
 * The file is compiled twice: into the library, and with
 * STELE_SQLITE_EXTENSION into the loadable extension, where SQLite is called
 * through the table that it hands over. All functions are pure.
 */
#include "sqlite/operations.h"

#include <stele/clock.h>
#include <stele/type.h>
#include <stele/uuid.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#ifdef STELE_SQLITE_EXTENSION
#include <sqlite3ext.h>
SQLITE_EXTENSION_INIT3
#endif

enum { PURE = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS };

static struct stele_slice bytes_of(sqlite3_value *value)
{
    struct stele_slice slice = {sqlite3_value_blob(value), 0};

    if (slice.data)
        slice.size = (size_t)sqlite3_value_bytes(value);
    else if (sqlite3_value_type(value) != SQLITE_NULL)
        slice.data = "";
    return slice;
}

/* --- Bytes to text ---------------------------------------------------------------------- */

static void fail(sqlite3_context *context, const char *function, stele_status status, const stele_error *error)
{
    char text[512];

    if (status == STELE_NO_MEMORY) {
        sqlite3_result_error_nomem(context);
        return;
    }
    snprintf(text, sizeof(text), "%s: %s", function, stele_error_message(error));
    sqlite3_result_error(context, text, -1);
}

static void json(sqlite3_context *context, int count, sqlite3_value **values)
{
    stele_arena *arena = sqlite3_user_data(context);
    const struct stele_slice bytes = bytes_of(values[0]);
    struct stele_slice text = {NULL, 0};
    stele_error *error = NULL;
    stele_status status = STELE_OK;

    (void)count;
    if (bytes.size > 0)
        status = stele_json_from_msgpack(bytes, arena, &text, &error);
    /* Not a word JSON has: no JSON. */
    if (status != STELE_OK && status != STELE_INVALID)
        fail(context, "stele_json", status, error);
    else if (status == STELE_OK && text.data)
        sqlite3_result_text64(context, text.data, text.size, SQLITE_TRANSIENT, SQLITE_UTF8);
    stele_error_free(error);
    stele_arena_reset(arena);
}

static void id(sqlite3_context *context, int count, sqlite3_value **values)
{
    const struct stele_slice bytes = bytes_of(values[0]);
    char text[STELE_UUID_TEXT_SIZE];
    struct stele_uuid uuid;

    (void)count;
    if (sqlite3_value_type(values[0]) != SQLITE_BLOB || bytes.size != sizeof(uuid.bytes)) {
        sqlite3_result_value(context, values[0]);
        return;
    }
    memcpy(uuid.bytes, bytes.data, sizeof(uuid.bytes));
    stele_uuid_print(&uuid, text);
    sqlite3_result_text(context, text, -1, SQLITE_TRANSIENT);
}

static void time_text(sqlite3_context *context, int count, sqlite3_value **values)
{
    char text[STELE_TIME_TEXT_SIZE];

    (void)count;
    if (sqlite3_value_type(values[0]) != SQLITE_INTEGER)
        return;
    stele_time_print(sqlite3_value_int64(values[0]), text);
    sqlite3_result_text(context, text, -1, SQLITE_TRANSIENT);
}

/* --- Checking a row --------------------------------------------------------------------- */

/* Arguments of stele_sound(). */
enum {
    POSITION,
    STREAM,
    VERSION,
    TYPE,
    TIME,
    ID,
    META,
    DATA,
    CHECKSUM,
    STREAM_NAME,
    STREAM_CHECKSUM,
    TYPE_NAME,
    TYPE_VERSION,
    TYPE_CHECKSUM,
    SOUND_COUNT
};

static uint64_t number(sqlite3_value *value)
{
    return (uint64_t)sqlite3_value_int64(value);
}

static bool is_sound(sqlite3_value **values)
{
    const struct sqlite_event_row row = {
        .position = sqlite3_value_int64(values[POSITION]),
        .stream = sqlite3_value_int64(values[STREAM]),
        .version = sqlite3_value_int64(values[VERSION]),
        .type = sqlite3_value_int64(values[TYPE]),
        .time = sqlite3_value_int64(values[TIME]),
        .id_is_text = sqlite3_value_type(values[ID]) == SQLITE_TEXT,
        .id = bytes_of(values[ID]),
        .meta = bytes_of(values[META]),
        .payload = bytes_of(values[DATA]),
    };

    return row.position > 0 && row.version > 0 && row.id.data &&
           (row.id_is_text || row.id.size == sizeof(struct stele_uuid)) &&
           stele__sqlite_event_checksum(&row) == number(values[CHECKSUM]);
}

static bool names_are_sound(sqlite3_value **values)
{
    const struct stele_slice stream = bytes_of(values[STREAM_NAME]);
    const struct stele_slice type = bytes_of(values[TYPE_NAME]);
    const uint32_t version = (uint32_t)number(values[TYPE_VERSION]);

    return stream.data && type.data &&
           stele__sqlite_stream_checksum(sqlite3_value_int64(values[STREAM]), stream) ==
               number(values[STREAM_CHECKSUM]) &&
           stele__sqlite_type_checksum(sqlite3_value_int64(values[TYPE]), version, type) ==
               number(values[TYPE_CHECKSUM]);
}

static void sound(sqlite3_context *context, int count, sqlite3_value **values)
{
    int64_t *damaged = sqlite3_user_data(context);
    const int64_t position = sqlite3_value_int64(values[POSITION]);
    char text[128];

    (void)count;
    if (is_sound(values) && names_are_sound(values)) {
        sqlite3_result_int(context, 1);
        return;
    }
    if (damaged)
        *damaged = position;
    snprintf(text, sizeof(text), "the event at position %" PRId64 " is damaged: a checksum does not fit", position);
    sqlite3_result_error(context, text, -1);
    sqlite3_result_error_code(context, SQLITE_CORRUPT);
}

/* --- The connection --------------------------------------------------------------------- */

static void free_arena(void *arena)
{
    stele_arena_free(arena);
}

int stele__sqlite_add_functions(sqlite3 *db, int64_t *damaged)
{
    stele_arena *arena = NULL;
    int code;

    if (stele_arena_new(&arena, NULL) != STELE_OK)
        return SQLITE_NOMEM;
    /* On failure SQLite frees the arena. */
    code = sqlite3_create_function_v2(db, "stele_json", 1, PURE, arena, json, NULL, NULL, free_arena);
    if (code == SQLITE_OK)
        code = sqlite3_create_function_v2(db, "stele_id", 1, PURE, NULL, id, NULL, NULL, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_create_function_v2(db, "stele_time", 1, PURE, NULL, time_text, NULL, NULL, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_create_function_v2(db, "stele_sound", SOUND_COUNT, PURE, damaged, sound, NULL, NULL, NULL);
    return code;
}

#define META_JSON "stele_json(e.meta)"

/* Left joins, so that an event whose stream or type is missing is found damaged rather than not found. */
const char stele__sqlite_events_view[] =
    "CREATE TEMP VIEW IF NOT EXISTS events AS "
    "SELECT e.position AS position, s.name AS stream, e.version AS version, "
    "t.name AS type, t.version AS typeversion, stele_id(e.id) AS id, stele_time(e.time) AS time, "
    "coalesce(" META_JSON " ->> '$.source', 'stele') AS source, " META_JSON " ->> '$.subject' AS subject, " META_JSON
    " ->> '$.correlationid' AS correlationid, " META_JSON " ->> '$.causationid' AS causationid, "
    "CASE WHEN " META_JSON " ->> '$.format' IS NULL THEN stele_json(e.data) END AS data, "
    "json_patch(coalesce(json_remove(" META_JSON ", '$.format', '$.extensions'), '{}'), "
    "coalesce(" META_JSON " -> '$.extensions', '{}')) AS attributes "
    "FROM main.event AS e LEFT JOIN main.stream AS s ON s.id = e.stream LEFT JOIN main.type AS t ON t.id = e.type "
    "WHERE stele_sound(e.position, e.stream, e.version, e.type, e.time, e.id, e.meta, e.data, e.checksum, "
    "s.name, s.checksum, t.name, t.version, t.checksum)";
