/* Questions in SQL, sizes, compaction and formats. */
#include "tests/unit/sqlite/fixture.h"

#include <stele/operations.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- Asking -------------------------------------------------------------------------------- */

/* An answer as text: the names, then each row, values between '|', a line each; numbers of rows are few. */
struct answer {
    char text[8192];
    size_t rows;
    size_t most; /* rows after which to stop; 0: all */
};

static void add(struct answer *answer, const char *format, ...) STELE_PRINTF(2, 3);
static void add(struct answer *answer, const char *format, ...)
{
    const size_t used = strlen(answer->text);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(answer->text + used, sizeof(answer->text) - used, format, arguments);
    va_end(arguments);
}

static void add_value(struct answer *answer, const struct stele_sql_value *value)
{
    switch (value->kind) {
    case STELE_SQL_NULL: add(answer, "NULL"); break;
    case STELE_SQL_INTEGER: add(answer, "%lld", (long long)value->integer); break;
    case STELE_SQL_REAL: add(answer, "%g", value->real); break;
    case STELE_SQL_TEXT: add(answer, "%.*s", (int)value->bytes.size, value->bytes.data); break;
    case STELE_SQL_BLOB: add(answer, "<%zu>", value->bytes.size); break;
    }
}

static bool keep(void *context, const struct stele_sql_row *row)
{
    struct answer *answer = context;

    for (size_t i = 0; i < row->count; i++) {
        add(answer, i ? "|" : "");
        if (row->values)
            add_value(answer, &row->values[i]);
        else
            add(answer, "%s", row->names[i]);
    }
    add(answer, "\n");
    answer->rows += row->values != NULL;
    return !answer->most || answer->rows < answer->most;
}

static stele_status ask(const char *sql, struct answer *answer, stele_error **error)
{
    stele_store *store = fixture_open_with(STELE_OPEN_READ_ONLY, NULL);
    const struct stele_sql_options options = {.size = sizeof(options), .timeout_ms = 60000};
    const stele_status status = stele_sql(store, sql, &options, keep, answer, error);

    stele_store_close(store);
    return status;
}

static void assert_answer(const char *sql, const char *expected)
{
    struct answer answer = {0};
    stele_error *error = NULL;

    assert_ok(ask(sql, &answer, &error), error);
    assert_string_equal(answer.text, expected);
}

static void assert_refused(stele_status expected, const char *sql)
{
    struct answer answer = {0};
    stele_error *error = NULL;

    assert_status(expected, ask(sql, &answer, &error), error);
}

static void append(stele_store *store, const char *stream, const struct stele_raw_message *raw,
                   const struct stele_message_options *options)
{
    stele_message *event = NULL;
    stele_error *error = NULL;

    assert_ok(stele_message_new_raw(raw, options, &event, &error), error);
    assert_ok(stele_append(store, stream, stele_expect_any(), event, NULL, &error), error);
    stele_message_unref(event);
}

/* Three events: JSON data and every attribute; a UUID and no payload; opaque bytes. */
static void make_examples(void)
{
    static const struct stele_extension extensions[] = {
        {.name = "tenant", .kind = STELE_EXTENSION_TEXT, .text = {"acme", 4}},
        {.name = "shard", .kind = STELE_EXTENSION_INTEGER, .integer = 7},
    };
    const struct stele_message_options full = {.size = sizeof(full),
                                               .id = "order-1",
                                               .source = "/shop",
                                               .subject = "desk",
                                               .has_time = true,
                                               .time = INT64_C(1700000000000000000),
                                               .correlationid = "c-1",
                                               .causationid = "cmd-9",
                                               .extensions = extensions,
                                               .extension_count = 2};
    const struct stele_message_options plain = {
        .size = sizeof(plain), .id = "0190a0b0-c0d0-7000-8000-000000000001", .has_time = true, .time = 0};
    const struct stele_message_options bytes = {.size = sizeof(bytes), .id = "b", .has_time = true, .time = 1};
    /* {"amount": 5} and 5 opaque bytes */
    const struct stele_raw_message placed = {STELE_EVENT,
                                             "order.placed",
                                             2,
                                             STELE_PAYLOAD_MSGPACK,
                                             {"\x81\xa6"
                                              "amount\x05",
                                              9}};
    const struct stele_raw_message closed = {STELE_EVENT, "order.closed", 1, STELE_PAYLOAD_NONE, {NULL, 0}};
    const struct stele_raw_message scanned = {STELE_EVENT, "order.scanned", 1, STELE_PAYLOAD_BYTES, {"\x81\xa6zzz", 5}};
    stele_store *store = fixture_open();

    append(store, "order-1", &placed, &full);
    append(store, "order-1", &closed, &plain);
    append(store, "order-2", &scanned, &bytes);
    stele_store_close(store);
}

static void the_view_shows_events_with_json(void **state)
{
    (void)state;
    make_examples();
    assert_answer("SELECT * FROM events WHERE position = 1",
                  "position|stream|version|type|typeversion|id|time|source|subject|correlationid|causationid|data|"
                  "attributes\n"
                  "1|order-1|1|order.placed|2|order-1|2023-11-14T22:13:20Z|/shop|desk|c-1|cmd-9|{\"amount\":5}|"
                  "{\"source\":\"/shop\",\"subject\":\"desk\",\"correlationid\":\"c-1\",\"causationid\":\"cmd-9\","
                  "\"tenant\":\"acme\",\"shard\":7}\n");
    assert_answer("SELECT position, stream, version, id, time, source, subject, data, attributes FROM events "
                  "WHERE position > 1 ORDER BY position DESC",
                  "position|stream|version|id|time|source|subject|data|attributes\n"
                  "3|order-2|1|b|1970-01-01T00:00:00.000000001Z|stele|NULL|NULL|{}\n"
                  "2|order-1|2|0190a0b0-c0d0-7000-8000-000000000001|1970-01-01T00:00:00Z|stele|NULL|NULL|{}\n");
    assert_answer("SELECT data ->> '$.amount' AS amount, attributes ->> '$.shard' AS shard FROM events "
                  "WHERE type LIKE 'order.p%'",
                  "amount|shard\n5|7\n");
    assert_answer("SELECT e.position, j.key, j.value FROM events AS e, json_each(e.data) AS j",
                  "position|key|value\n1|amount|5\n");
}

static void an_answer_without_rows_has_its_columns(void **state)
{
    (void)state;
    fixture_make(2);
    assert_answer("SELECT position, 1.5 AS half FROM events WHERE stream = 'none'", "position|half\n");
}

static void values_keep_their_kind(void **state)
{
    (void)state;
    fixture_make(1);
    assert_answer("SELECT 1, 1.5, 'a', x'0001', x'', NULL, -9223372036854775808",
                  "1|1.5|'a'|x'0001'|x''|NULL|-9223372036854775808\n1|1.5|a|<2>|<0>|NULL|-9223372036854775808\n");
}

static void functions_turn_bytes_into_text(void **state)
{
    (void)state;
    fixture_make(1);
    assert_answer("SELECT stele_json(x'81a16101') AS a, stele_json(NULL) AS b, stele_json(x'') AS c, "
                  "stele_json(x'c40101') AS d, stele_id('text') AS e, stele_time(1500000000) AS f",
                  "a|b|c|d|e|f\n{\"a\":1}|NULL|NULL|NULL|text|1970-01-01T00:00:01.500Z\n");
    assert_refused(STELE_INVALID, "SELECT stele_json(x'c1')");
    assert_refused(STELE_INVALID, "SELECT stele_json(x'92')");
}

static void a_visitor_ends_the_answer(void **state)
{
    struct answer answer = {.most = 2};
    stele_error *error = NULL;

    (void)state;
    fixture_make(9);
    assert_ok(ask("SELECT position FROM events", &answer, &error), error);
    assert_string_equal(answer.text, "position\n1\n2\n");
}

static void nothing_but_reading_is_possible(void **state)
{
    static const char *const refused[] = {
        "INSERT INTO event VALUES(9, 1, 9, 1, 0, 'x', NULL, NULL, 0)",
        "UPDATE event SET data = NULL",
        "DELETE FROM event",
        "DELETE FROM stream RETURNING id",
        "REPLACE INTO type VALUES(1, 'x', 1, 1)",
        "CREATE TABLE t(x)",
        "CREATE TEMP TABLE t(x)",
        "CREATE TEMP TRIGGER t INSERT ON event BEGIN SELECT 1; END",
        "CREATE VIEW v AS SELECT 1",
        "DROP TABLE event",
        "DROP VIEW events",
        "ALTER TABLE event ADD COLUMN x",
        "ATTACH ':memory:' AS other",
        "DETACH main",
        "PRAGMA user_version",
        "PRAGMA user_version = 7",
        "PRAGMA query_only = OFF",
        "PRAGMA writable_schema = ON",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "PRAGMA journal_mode = DELETE",
        "SELECT * FROM pragma_user_version",
        "VACUUM",
        "VACUUM INTO 'copy.db'",
        "REINDEX",
        "ANALYZE",
        "BEGIN",
        "BEGIN IMMEDIATE",
        "SAVEPOINT a",
        "SELECT load_extension('x')",
        "WITH a AS (SELECT 1) DELETE FROM event",
        "EXPLAIN DELETE FROM event",
    };
    unsigned char *before;
    unsigned char *after;
    size_t size;
    size_t left;

    (void)state;
    fixture_make(5);
    before = fixture_load(fixture_path(), &size);
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        assert_refused(STELE_DENIED, refused[i]);
    after = fixture_load(fixture_path(), &left);
    assert_int_equal(size, left);
    assert_memory_equal(before, after, size);
    free(before);
    free(after);
    assert_int_equal(fixture_files(), 1);
}

static void a_store_opened_for_writing_is_asked_without_being_written(void **state)
{
    stele_store *store = fixture_open();
    struct answer answer = {0};
    stele_error *error = NULL;

    (void)state;
    fixture_fill(store, 1, 4);
    assert_ok(stele_sql(store, "SELECT count(*) AS n FROM events", NULL, keep, &answer, &error), error);
    assert_string_equal(answer.text, "n\n4\n");
    assert_status(STELE_DENIED, stele_sql(store, "DELETE FROM event", NULL, keep, &answer, &error), error);
    fixture_fill(store, 5, 6);
    fixture_assert_holds(store, 6);
    stele_store_close(store);
}

static void mistakes_are_told_with_their_place(void **state)
{
    struct answer answer = {0};
    stele_error *error = NULL;

    (void)state;
    fixture_make(1);
    assert_failure(STELE_INVALID, ask("SELECT position\n  FROM event\n  WHERE nope = 1", &answer, &error), error);
    assert_message(error, "line 3, column 9: no such column: nope");
    assert_string_equal(stele_error_get(error, "line"), "3");
    assert_string_equal(stele_error_get(error, "offset"), "37");
    stele_error_free(error);
    assert_refused(STELE_INVALID, "SELEC 1");
    assert_refused(STELE_INVALID, "SELECT 1 FROM nowhere");
    assert_refused(STELE_INVALID, "SELECT abs(-9223372036854775808)");
    assert_refused(STELE_INVALID, "");
    assert_refused(STELE_INVALID, " -- nothing\n;");
    assert_refused(STELE_INVALID, "SELECT 1; SELECT 2");
    assert_refused(STELE_INVALID, "SELECT 1; garbage");
    assert_refused(STELE_LIMIT, "SELECT zeroblob(100000000)");
    assert_answer("SELECT 1 AS one; -- done\n ; /* all */", "one\n1\n");
}

static void arguments_are_checked(void **state)
{
    stele_store *store = fixture_open();
    stele_error *error = NULL;

    (void)state;
    assert_status(STELE_INVALID, stele_sql(store, NULL, NULL, keep, NULL, &error), error);
    assert_status(STELE_INVALID, stele_sql(store, "SELECT 1", NULL, NULL, NULL, &error), error);
    assert_status(STELE_INVALID, stele_sql(NULL, "SELECT 1", NULL, keep, NULL, &error), error);
    assert_status(STELE_INVALID, stele_type_sizes(store, NULL, NULL, &error), error);
    assert_status(STELE_INVALID, stele_table_sizes(store, NULL, NULL, &error), error);
    assert_status(STELE_INVALID, stele_store_format(store, NULL, &error), error);
    stele_store_close(store);
}

static void an_answer_that_takes_too_long_is_cut_off(void **state)
{
    stele_store *store = fixture_open();
    const struct stele_sql_options options = {.size = sizeof(options), .timeout_ms = 20};
    struct answer answer = {0};
    stele_error *error = NULL;

    (void)state;
    assert_failure(STELE_TIMEOUT,
                   stele_sql(store,
                             "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT max(x) FROM c",
                             &options, keep, &answer, &error),
                   error);
    assert_message(error, "20 ms");
    stele_error_free(error);
    stele_store_close(store);
}

/* --- Damage ------------------------------------------------------------------------------------ */

static void assert_damaged(const char *sql, const char *position)
{
    struct answer answer = {0};
    stele_error *error = NULL;

    assert_failure(STELE_CORRUPT, ask(sql, &answer, &error), error);
    assert_string_equal(stele_error_get(error, "position"), position);
    assert_message(error, position);
    stele_error_free(error);
}

static void D5_a_damaged_event_fails_the_question(void **state)
{
    (void)state;
    fixture_make(9);
    fixture_tamper("UPDATE event SET data = x'00' WHERE position = 4");
    assert_damaged("SELECT * FROM events", "4");
    assert_damaged("SELECT count(*) FROM events", "4");
    assert_damaged("SELECT sum(version) FROM events WHERE version > 0", "4");
    assert_answer("SELECT position FROM events WHERE position IN (3, 5)", "position\n3\n5\n");
}

static void D5_damage_of_a_name_fails_the_question(void **state)
{
    (void)state;
    fixture_make(3);
    fixture_tamper("UPDATE stream SET name = 'forged' WHERE name = 'stream-2'");
    assert_damaged("SELECT stream FROM events", "2");
}

static void D5_an_event_whose_type_is_gone_is_damaged(void **state)
{
    (void)state;
    fixture_make(3);
    fixture_tamper("DELETE FROM type");
    assert_damaged("SELECT position FROM events", "1");
}

static stele_status attempt_question(void *context, stele_error **error)
{
    struct answer answer = {0};

    return stele_sql(context, "SELECT id, data, attributes FROM events", NULL, keep, &answer, error);
}

static void a_question_without_memory_says_so(void **state)
{
    stele_store *store;

    (void)state;
    make_examples();
    store = fixture_open();
    assert_true(support_every_allocation_fails(attempt_question, store) > 0);
    stele_store_close(store);
}

/* --- Sizes ------------------------------------------------------------------------------------- */

struct sizes {
    char text[1024];
    uint64_t bytes;
};

static bool keep_type(void *context, const struct stele_type_size *size)
{
    struct sizes *sizes = context;
    const size_t used = strlen(sizes->text);

    snprintf(sizes->text + used, sizeof(sizes->text) - used, "%.*s %u: %llu %llu\n", (int)size->type.size,
             size->type.data, size->type_version, (unsigned long long)size->events, (unsigned long long)size->bytes);
    return true;
}

static bool keep_table(void *context, const struct stele_table_size *size)
{
    struct sizes *sizes = context;
    const size_t used = strlen(sizes->text);

    snprintf(sizes->text + used, sizeof(sizes->text) - used, "%.*s ", (int)size->table.size, size->table.data);
    sizes->bytes += size->bytes + size->index_bytes;
    return true;
}

static void sizes_are_told_by_type_largest_first(void **state)
{
    stele_store *store;
    struct sizes sizes = {0};
    stele_error *error = NULL;

    (void)state;
    make_examples();
    store = fixture_open();
    fixture_fill(store, 1, 2);
    assert_ok(stele_type_sizes(store, keep_type, &sizes, &error), error);
    /* thing.happened: twice 60 of payload, 7 of id and 14 of meta ({"format": "bytes"}); order.placed: 9 of payload,
     * 7 of id, meta {"source": "/shop", "subject": "desk", "correlationid": "c-1", "causationid": "cmd-9",
     * "extensions": {"tenant": "acme", "shard": 7}} of 1+13+13+18+18+11+1+12+7 = 94; order.closed: 16 of id, meta
     * {"format": "none"}: 13; order.scanned: 5, 1, 14. */
    assert_string_equal(sizes.text, "thing.happened 1: 2 162\n"
                                    "order.placed 2: 1 110\n"
                                    "order.closed 1: 1 29\n"
                                    "order.scanned 1: 1 20\n");
    stele_store_close(store);
}

static void sizes_are_told_by_table(void **state)
{
    stele_store *store;
    struct sizes sizes = {0};
    stele_error *error = NULL;

    (void)state;
    fixture_make(100);
    store = fixture_open();
    assert_ok(stele_table_sizes(store, keep_table, &sizes, &error), error);
    assert_int_equal(strncmp(sizes.text, "event ", 6), 0);
    assert_non_null(strstr(sizes.text, "stream "));
    assert_non_null(strstr(sizes.text, "type "));
    assert_non_null(strstr(sizes.text, "sqlite_schema "));
    stele_store_close(store);
    assert_int_equal(sizes.bytes, fixture_size(fixture_path()));
}

static stele_status attempt_sizes(void *context, stele_error **error)
{
    struct sizes sizes = {0};
    stele_store *store = NULL;
    stele_status status = fixture_try(STELE_OPEN_READ_ONLY, NULL, &store, error);

    (void)context;
    if (status == STELE_OK)
        status = stele_type_sizes(store, keep_type, &sizes, error);
    stele_store_close(store);
    return status;
}

static void sizes_without_memory_say_so(void **state)
{
    (void)state;
    make_examples();
    assert_true(support_every_allocation_fails(attempt_sizes, NULL) > 0);
}

static void D5_sizes_of_a_store_without_its_types_are_damage(void **state)
{
    struct sizes sizes = {0};
    stele_store *store;
    stele_error *error = NULL;

    (void)state;
    fixture_make(3);
    fixture_tamper("DELETE FROM type");
    store = fixture_open_with(STELE_OPEN_READ_ONLY, NULL);
    assert_status(STELE_CORRUPT, stele_type_sizes(store, keep_type, &sizes, &error), error);
    stele_store_close(store);
}

/* --- Compaction ---------------------------------------------------------------------------------- */

static void compaction_gives_back_free_space_and_changes_nothing(void **state)
{
    stele_store *store;
    stele_error *error = NULL;
    struct stele_verified verified;
    size_t before;

    (void)state;
    fixture_make(300);
    /* Free space as an index that was dropped leaves it. */
    assert_int_equal(fixture_sql("CREATE TABLE t(x); INSERT INTO t SELECT randomblob(4000) FROM event; DROP TABLE t"),
                     SQLITE_OK);
    before = fixture_size(fixture_path());
    store = fixture_open();
    assert_ok(stele_compact(store, &error), error);
    assert_true(fixture_size(fixture_path()) < before - 1000000);
    assert_int_equal(fixture_size(fixture_log()), 0);
    assert_ok(stele_verify(store, NULL, &verified, &error), error);
    fixture_assert_holds(store, 300);
    fixture_fill(store, 301, 320);
    fixture_assert_holds(store, 320);
    stele_store_close(store);
    assert_int_equal(fixture_files(), 1);
}

static void compaction_needs_a_store_opened_for_writing(void **state)
{
    stele_store *store;
    stele_error *error = NULL;

    (void)state;
    fixture_make(3);
    store = fixture_open_with(STELE_OPEN_READ_ONLY, NULL);
    assert_status(STELE_READ_ONLY, stele_compact(store, &error), error);
    stele_store_close(store);
}

static void compaction_beside_a_writer_is_busy(void **state)
{
    stele_store *store = fixture_open_with(STELE_OPEN_CREATE, "busy=50");
    stele_error *error = NULL;
    sqlite3 *other = NULL;

    (void)state;
    fixture_fill(store, 1, 5);
    assert_int_equal(sqlite3_open(fixture_path(), &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_failure(STELE_BUSY, stele_compact(store, &error), error);
    assert_message(error, "using it");
    stele_error_free(error);
    error = NULL;
    assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(other);
    assert_ok(stele_compact(store, &error), error);
    fixture_assert_holds(store, 5);
    stele_store_close(store);
}

static void compaction_beside_a_reader_is_busy_and_harmless(void **state)
{
    stele_store *store = fixture_open_with(STELE_OPEN_CREATE, "busy=50");
    stele_error *error = NULL;
    sqlite3 *other = NULL;

    (void)state;
    fixture_fill(store, 1, 5);
    assert_int_equal(sqlite3_open(fixture_path(), &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN; SELECT count(*) FROM event", NULL, NULL, NULL), SQLITE_OK);
    fixture_fill(store, 6, 7);
    assert_status(STELE_BUSY, stele_compact(store, &error), error);
    assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(other);
    assert_ok(stele_compact(store, &error), error);
    fixture_assert_holds(store, 7);
    stele_store_close(store);
}

/* --- Formats --------------------------------------------------------------------------------------- */

static void the_format_of_a_new_store_is_the_newest(void **state)
{
    stele_store *store = fixture_open();
    struct stele_format format;
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele_store_format(store, &format, &error), error);
    assert_int_equal(format.found, format.newest);
    assert_int_equal(format.newest, stele__sqlite_schema.step_count);
    stele_store_close(store);
    assert_ok(stele_upgrade(fixture_path(), &format, &error), error);
    assert_int_equal(format.found, format.newest);
    assert_ok(stele_upgrade(fixture_path(), NULL, &error), error);
}

static void upgrading_nothing_or_what_is_newer_is_refused(void **state)
{
    struct stele_format format;
    stele_error *error = NULL;

    (void)state;
    assert_status(STELE_NOT_FOUND, stele_upgrade(fixture_path(), &format, &error), error);
    assert_false(fixture_is_there(fixture_path()));
    fixture_make(1);
    assert_int_equal(fixture_sql("PRAGMA user_version = 99"), SQLITE_OK);
    assert_status(STELE_TOO_NEW, stele_upgrade(fixture_path(), &format, &error), error);
    assert_int_equal(fixture_sql_number("PRAGMA user_version"), 99);
    assert_status(STELE_NOT_FOUND, stele_upgrade("memory:", &format, &error), error);
}

/* --- The extension ----------------------------------------------------------------------------------- */

static void the_extension_adds_the_functions_and_the_view(void **state)
{
    const char *build = getenv("STELE_BUILD");
    char path[4200];
    char *message = NULL;
    sqlite3_stmt *row = NULL;
    sqlite3 *db = NULL;

    (void)state;
    snprintf(path, sizeof(path), "%s/.libs/stele_sqlite.so", build ? build : ".");
    if (access(path, R_OK) != 0)
        skip();
    make_examples();
    assert_int_equal(sqlite3_open_v2(fixture_path(), &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_enable_load_extension(db, 1), SQLITE_OK);
    if (sqlite3_load_extension(db, path, NULL, &message) != SQLITE_OK)
        print_message("%s\n", message);
    assert_null(message);
    assert_int_equal(
        sqlite3_prepare_v2(db, "SELECT stele_json(data), id FROM event WHERE position = 1", -1, &row, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(row), SQLITE_ROW);
    assert_string_equal(sqlite3_column_text(row, 0), "{\"amount\":5}");
    sqlite3_finalize(row);
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT count(*), max(time) FROM events", -1, &row, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(row), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(row, 0), 3);
    assert_string_equal(sqlite3_column_text(row, 1), "2023-11-14T22:13:20Z");
    sqlite3_finalize(row);
    sqlite3_close(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(the_view_shows_events_with_json),
        support_test(an_answer_without_rows_has_its_columns),
        support_test(values_keep_their_kind),
        support_test(functions_turn_bytes_into_text),
        support_test(a_visitor_ends_the_answer),
        support_test(nothing_but_reading_is_possible),
        support_test(a_store_opened_for_writing_is_asked_without_being_written),
        support_test(mistakes_are_told_with_their_place),
        support_test(arguments_are_checked),
        support_test(an_answer_that_takes_too_long_is_cut_off),
        support_test(D5_a_damaged_event_fails_the_question),
        support_test(D5_damage_of_a_name_fails_the_question),
        support_test(D5_an_event_whose_type_is_gone_is_damaged),
        support_test(a_question_without_memory_says_so),
        support_test(sizes_are_told_by_type_largest_first),
        support_test(sizes_are_told_by_table),
        support_test(sizes_without_memory_say_so),
        support_test(D5_sizes_of_a_store_without_its_types_are_damage),
        support_test(compaction_gives_back_free_space_and_changes_nothing),
        support_test(compaction_needs_a_store_opened_for_writing),
        support_test(compaction_beside_a_writer_is_busy),
        support_test(compaction_beside_a_reader_is_busy_and_harmless),
        support_test(the_format_of_a_new_store_is_the_newest),
        support_test(upgrading_nothing_or_what_is_newer_is_refused),
        support_test(the_extension_adds_the_functions_and_the_view),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
