#include "tests/unit/sqlite/fixture.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { PATTERN = 60, URL = 5000 };

const char *fixture_path(void)
{
    static char path[4096];

    snprintf(path, sizeof(path), "%s/ledger.db", support_temp_dir());
    return path;
}

const char *fixture_log(void)
{
    static char path[4200];

    snprintf(path, sizeof(path), "%s-wal", fixture_path());
    return path;
}

/* --- Opening ------------------------------------------------------------------------ */

stele_status fixture_try(enum stele_open_mode mode, const char *parameters, stele_store **out, stele_error **error)
{
    const struct stele_store_options options = {.size = sizeof(options), .mode = mode};
    const bool says_idle = parameters && strstr(parameters, "idle=");
    char url[URL];

    snprintf(url, sizeof(url), "sqlite:%s?%s%s%s", fixture_path(), says_idle ? "" : "idle=0",
             parameters && !says_idle ? "&" : "", parameters ? parameters : "");
    return stele_store_open(url, &options, out, error);
}

stele_store *fixture_open_with(enum stele_open_mode mode, const char *parameters)
{
    stele_store *store = NULL;
    stele_error *error = NULL;

    assert_ok(fixture_try(mode, parameters, &store, &error), error);
    return store;
}

stele_store *fixture_open(void)
{
    return fixture_open_with(STELE_OPEN_CREATE, NULL);
}

struct sqlite_store *fixture_inside(stele_store *store)
{
    return stele__sqlite_store(store->backend);
}

/* --- Events --------------------------------------------------------------------------- */

static void print_payload(unsigned n, char bytes[PATTERN + 1])
{
    for (unsigned i = 0; i < PATTERN; i++)
        bytes[i] = (char)('a' + (n * 31 + i * 7 + n / 26) % 26);
    bytes[PATTERN] = '\0';
}

stele_message *fixture_event(unsigned n)
{
    char bytes[PATTERN + 1];
    char id[32];
    const struct stele_raw_message raw = {
        .kind = STELE_EVENT,
        .type = "thing.happened",
        .format = STELE_PAYLOAD_BYTES,
        .payload = {bytes, PATTERN},
    };
    const struct stele_message_options options = {.size = sizeof(options), .id = id};
    stele_message *event = NULL;

    snprintf(id, sizeof(id), "event-%u", n);
    print_payload(n, bytes);
    stele_message_new_raw(&raw, &options, &event, NULL);
    return event;
}

bool fixture_is_right(const stele_message *message, unsigned *n)
{
    const struct stele_slice payload = stele_message_payload(message);
    const char *id = stele_message_id(message).data;
    char bytes[PATTERN + 1];
    char wanted[32];

    if (sscanf(id, "event-%u", n) != 1)
        return false;
    snprintf(wanted, sizeof(wanted), "event-%u", *n);
    print_payload(*n, bytes);
    return strcmp(id, wanted) == 0 && payload.size == PATTERN && memcmp(payload.data, bytes, PATTERN) == 0 &&
           strcmp(stele_message_type(message).data, "thing.happened") == 0;
}

stele_status fixture_append(stele_store *store, const char *stream, unsigned n, stele_error **error)
{
    stele_message *event = fixture_event(n);
    const stele_status status =
        event ? stele_append(store, stream, stele_expect_any(), event, NULL, error) : STELE_NO_MEMORY;

    stele_message_unref(event);
    return status;
}

void fixture_fill(stele_store *store, unsigned from, unsigned to)
{
    static const char *const streams[] = {"stream-0", "stream-1", "stream-2"};
    stele_error *error = NULL;

    for (unsigned n = from; n <= to; n++)
        assert_ok(fixture_append(store, streams[n % 3], n, &error), error);
}

size_t fixture_count(stele_store *store)
{
    stele_cursor *cursor = NULL;
    stele_error *error = NULL;
    const stele_message *message = NULL;
    size_t count = 0;
    unsigned n;

    assert_ok(stele_read(store, NULL, &cursor, &error), error);
    for (;;) {
        assert_ok(stele_cursor_next(cursor, &message, &error), error);
        if (!message)
            break;
        assert_true(fixture_is_right(message, &n));
        count++;
    }
    stele_cursor_close(cursor);
    return count;
}

void fixture_assert_holds(stele_store *store, unsigned last)
{
    stele_cursor *cursor = NULL;
    stele_error *error = NULL;
    const stele_message *message = NULL;
    unsigned n;

    assert_ok(stele_read(store, NULL, &cursor, &error), error);
    for (unsigned wanted = 1; wanted <= last; wanted++) {
        assert_ok(stele_cursor_next(cursor, &message, &error), error);
        assert_non_null(message);
        assert_true(fixture_is_right(message, &n));
        assert_int_equal(n, wanted);
    }
    assert_ok(stele_cursor_next(cursor, &message, &error), error);
    assert_null(message);
    stele_cursor_close(cursor);
}

void fixture_make(unsigned n)
{
    stele_store *store = fixture_open();

    fixture_fill(store, 1, n);
    stele_store_close(store);
}

/* --- Past the library -------------------------------------------------------------------- */

int fixture_sql(const char *sql)
{
    sqlite3 *db = NULL;
    int code = sqlite3_open_v2(fixture_path(), &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_exec(db, sql, NULL, NULL, NULL);
    code = code == SQLITE_OK ? code : sqlite3_extended_errcode(db);
    sqlite3_close(db);
    return code;
}

static void run_triggers(bool drop)
{
    for (size_t n = 0; n < stele__sqlite_schema.step_count; n++) {
        const struct sqlite_schema_step *step = &stele__sqlite_schema.steps[n];

        for (size_t i = 0; i < step->object_count; i++) {
            char text[100];

            if (strcmp(step->objects[i].type, "trigger") != 0)
                continue;
            snprintf(text, sizeof(text), "DROP TRIGGER %s", step->objects[i].name);
            assert_int_equal(fixture_sql(drop ? text : step->objects[i].sql), SQLITE_OK);
        }
    }
}

void fixture_tamper(const char *sql)
{
    run_triggers(true);
    assert_int_equal(fixture_sql(sql), SQLITE_OK);
    run_triggers(false);
}

int64_t fixture_sql_number(const char *sql)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *row = NULL;
    int64_t number;

    assert_int_equal(sqlite3_open_v2(fixture_path(), &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &row, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(row), SQLITE_ROW);
    number = sqlite3_column_int64(row, 0);
    sqlite3_finalize(row);
    sqlite3_close(db);
    return number;
}

unsigned char *fixture_load(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    unsigned char *bytes;

    assert_non_null(file);
    *size = fixture_size(path);
    bytes = malloc(*size + 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *size, file), *size);
    fclose(file);
    return bytes;
}

void fixture_save(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

bool fixture_is_there(const char *path)
{
    struct stat facts;

    return lstat(path, &facts) == 0;
}

size_t fixture_size(const char *path)
{
    struct stat facts;

    return stat(path, &facts) == 0 ? (size_t)facts.st_size : 0;
}

size_t fixture_files(void)
{
    DIR *folder = opendir(support_temp_dir());
    size_t count = 0;

    assert_non_null(folder);
    for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder))
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(folder);
    return count;
}

void fixture_redirect(const char *text, unsigned char from, unsigned char to)
{
    const size_t length = strlen(text);
    unsigned char *hit = NULL;
    size_t size;
    unsigned char *bytes = fixture_load(fixture_path(), &size);

    for (size_t i = 0; i + length < size; i++) {
        if (memcmp(bytes + i, text, length) != 0 || bytes[i + length] != from)
            continue;
        assert_null(hit);
        hit = bytes + i + length;
    }
    assert_non_null(hit);
    *hit = to;
    fixture_save(fixture_path(), bytes, size);
    free(bytes);
}

void fixture_place(const char *name)
{
    const char *source = getenv("STELE_SOURCE");
    char path[4096];
    unsigned char *bytes;
    size_t size;

    if (source)
        snprintf(path, sizeof(path), "%s/tests/fixtures/%s", source, name);
    else
        snprintf(path, sizeof(path), "%.*stests/fixtures/%s",
                 (int)(sizeof(__FILE__) - sizeof("tests/unit/sqlite/fixture.c")), __FILE__, name);
    bytes = fixture_load(path, &size);
    fixture_save(fixture_path(), bytes, size);
    free(bytes);
}
