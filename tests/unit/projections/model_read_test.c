/* Reading models: what is understood, and each mistake with its line. */
#include "tests/support/support.h"

#include "base/text.h"
#include "projections/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define HEAD "--! projection p 1\n"
#define TABLE "CREATE TABLE t(a TEXT PRIMARY KEY, n INTEGER NOT NULL) STRICT;\n"
#define ON "--! on e\n"

static stele_status parse(const char *text, stele_model **out, stele_error **error)
{
    return stele_model_parse(stele__slice(text), "m.sql", out, error);
}

static void assert_fault(const char *text, const char *line, const char *why)
{
    stele_model *model = NULL;
    stele_error *error = NULL;
    const stele_status status = parse(text, &model, &error);
    char place[32];

    if (status != STELE_MALFORMED || !strstr(stele_error_message(error), why))
        fail_msg("%s%s gives %s: %s", text, "\n", stele_status_name(status), stele_error_message(error));
    assert_string_equal(stele_error_get(error, "path"), "m.sql");
    if (strcmp(stele_error_get(error, "line"), line) != 0)
        fail_msg("%s%s is blamed on line %s: %s", text, "\n", stele_error_get(error, "line"),
                 stele_error_message(error));
    snprintf(place, sizeof(place), "m.sql:%s: ", line);
    assert_memory_equal(stele_error_message(error), place, strlen(place));
    stele_error_free(error);
}

static stele_model *read_model(const char *text)
{
    stele_model *model = NULL;
    stele_error *error = NULL;

    assert_ok(parse(text, &model, &error), error);
    return model;
}

/* --- What is understood -------------------------------------------------------------- */

static void a_model_is_read_with_its_tables_types_and_parameters(void **state)
{
    stele_model *model = read_model("\xef\xbb\xbf-- a comment; with a semicolon\n"
                                    "/* and \n another */\n"
                                    "--! projection my.model-1 4294967295 \r\n" TABLE "CREATE INDEX i ON t(n);;\n"
                                    "--! on a.b  c\n"
                                    "INSERT INTO t VALUES(:subject, @time) -- not ; the end\n"
                                    ";UPDATE t SET n = n + :amount + :amount WHERE a = 'it''s; --! no' AND \"a\" > :x\n"
                                    "--! on d\n"
                                    "WITH c(v) AS (VALUES(:y)) DELETE FROM t WHERE a IN (SELECT v FROM c)");

    (void)state;
    assert_string_equal(stele_model_name(model), "my.model-1");
    assert_int_equal(stele_model_version(model), UINT32_MAX);
    assert_string_equal(model->tables, "t");
    assert_int_equal(model->schema_count, 2);
    assert_int_equal(model->statements.count, 5);
    assert_int_equal(model->sections.count, 2);
    assert_string_equal(model->type_names[0], "a.b");
    assert_string_equal(model->type_names[1], "c");
    assert_string_equal(model->type_names[2], "d");
    assert_null(model->type_names[3]);
    assert_int_equal(stele__model_statement(model, 2)->parameters[0].source, MODEL_SUBJECT);
    assert_int_equal(stele__model_statement(model, 2)->parameters[1].source, MODEL_FIELD);
    assert_int_equal(stele__model_section(model, 0)->fields.count, 3); /* time, amount, x */
    assert_int_equal(stele__model_section(model, 1)->fields.count, 1);
    stele_model_free(model);
}

static void one_byte_makes_another_digest(void **state)
{
    stele_model *one = read_model(HEAD TABLE ON "DELETE FROM t");
    stele_model *same = read_model(HEAD TABLE ON "DELETE FROM t");
    stele_model *other = read_model(HEAD TABLE ON "DELETE FROM t ");

    (void)state;
    assert_memory_equal(one->digest, same->digest, STELE__DIGEST_SIZE);
    assert_memory_not_equal(one->digest, other->digest, STELE__DIGEST_SIZE);
    stele_model_free(one);
    stele_model_free(same);
    stele_model_free(other);
}

static void what_is_the_same_on_any_day_is_allowed(void **state)
{
    static const char *const values[] = {
        "date(:t, 'unixepoch')",
        "strftime('%Y-%m', :t / 1000000000, 'unixepoch', 'start of month', '+1 day')",
        "datetime('2025-01-01')",
        "julianday(:t)",
        "json_extract(:x, '$.a') ->> 'b'",
        "printf('%05d', :n)",
        "max(1, 2, :n) + coalesce(:n, 0)",
        "(SELECT count(*) + sum(n) OVER () FROM t)",
        "CASE WHEN :x LIKE 'a%' THEN upper(:x) ELSE substr(:x, 2) END",
        "(WITH c AS MATERIALIZED (SELECT n FROM t) SELECT count(*) FROM c)",
        "(WITH c(x) AS NOT /* yet */ MATERIALIZED (SELECT n FROM t) SELECT count(*) FROM c)",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        char text[512];

        snprintf(text, sizeof(text), HEAD TABLE ON "UPDATE t SET a = %s", values[i]);
        stele_model_free(read_model(text));
    }
}

/* --- Mistakes --------------------------------------------------------------------------- */

static void a_mistake_in_a_directive_is_told_with_its_line(void **state)
{
    (void)state;
    assert_fault("", "1", "there is no \"--! projection");
    assert_fault("-- only a comment\n\n", "3", "there is no \"--! projection");
    assert_fault("\nSELECT 1;\n" HEAD, "2", "comes first");
    assert_fault(ON, "1", "comes first");
    assert_fault("--! projection\n", "1", "a projection's name");
    assert_fault("--! projection a/b 1\n", "1", "a projection's name");
    assert_fault("--! projection p\n", "1", "its version");
    assert_fault("--! projection p 0\n", "1", "its version");
    assert_fault("--! projection p 4294967296\n", "1", "its version");
    assert_fault("--! projection p 1.5\n", "1", "its version");
    assert_fault("--! projection p 1 more\n", "1", "nothing stands behind");
    assert_fault(HEAD HEAD, "2", "named twice");
    assert_fault(HEAD "--!\n", "2", "a directive is");
    assert_fault(HEAD "--! upon e\n", "2", "a directive is");
    assert_fault(HEAD TABLE, "3", "there is no \"--! on TYPE\"");
    assert_fault(HEAD TABLE "--! on \n", "3", "behind \"on\" stand types");
    assert_fault(HEAD TABLE "--! on a b a\nDELETE FROM t", "3", "type a stands in a section already");
    assert_fault(HEAD TABLE "--! on a.>\nDELETE FROM t", "3", "is a pattern");
    assert_fault(HEAD TABLE "--! on a.b\nDELETE FROM t;\n\n--! on x a.b", "6", "type a.b stands");
    assert_fault(HEAD TABLE ON "\n--! on f\nDELETE FROM t", "3", "nothing is said to be done");
    assert_fault(HEAD TABLE ON "DELETE FROM t WHERE a = '\n--! on f\nDELETE FROM t", "4", "unrecognized token");
}

static void a_syntax_error_on_line_7_is_told_to_be_on_line_7(void **state)
{
    (void)state;
    assert_fault(HEAD TABLE ON "INSERT INTO t\n"
                               "  -- a comment\n"
                               "  VALUES(:a,\n"
                               "         :n ++ )",
                 "7", "near \")\": syntax error");
    assert_fault(HEAD TABLE ON "DELETE FROM t;\n\nDELETE FROM t WHERE\n a = 'x' GROUP\n", "7", "near \"GROUP\"");
    assert_fault(HEAD TABLE ON "DELETE FROM t\n\n\nDELETE FROM t;", "7", "near \"DELETE\"");
    assert_fault(HEAD "CREATE TABLE t(a,\n\n\n\n\n b NOT NULLL);", "7", "near \"NULLL\"");
    assert_fault(HEAD TABLE ON "DELETE FROM t;\n/* unknown\ncolumn: b */\nDELETE FROM t WHERE b = 1", "7",
                 "no such column: b");
    assert_fault(HEAD TABLE ON "DELETE FROM t WHERE a\n = 1 AND\n a IN (SELECT a FROM\n other)", "7",
                 "no such table: other");
    assert_fault(HEAD TABLE ON "INSERT INTO t(a, \n n, \n -- c\n c) VALUES(1, 2, 3)", "7", "no column named c");
    assert_fault(HEAD TABLE ON "DELETE FROM t WHERE\n\n\n nofunction(a)", "7", "no such function: nofunction");
    assert_fault(HEAD TABLE ON "DELETE FROM t WHERE\n\n\n random() = 1", "7", "random() is no function");
    assert_fault(HEAD TABLE ON "INSERT INTO t VALUES\n\n\n (:a, ?)", "7", "a parameter is");
    assert_fault(HEAD TABLE ON "INSERT INTO t VALUES\n\n\n (:a, ?3)", "7", "a parameter is");
    assert_fault(HEAD TABLE ON "INSERT INTO t VALUES\n\n\n (:a, $n)", "7", "a parameter is");
}

static void what_a_statement_may_not_do_is_refused(void **state)
{
    static const struct {
        const char *statement, *why;
    } refused[] = {
        {"ATTACH 'x' AS y", "is an INSERT"},
        {"DETACH main", "is an INSERT"},
        {"PRAGMA user_version = 3", "is an INSERT"},
        {"BEGIN", "is an INSERT"},
        {"COMMIT", "is an INSERT"},
        {"ROLLBACK", "is an INSERT"},
        {"SAVEPOINT x", "is an INSERT"},
        {"VACUUM", "is an INSERT"},
        {"VACUUM INTO 'stolen.db'", "is an INSERT"},
        {"ANALYZE", "is an INSERT"},
        {"REINDEX", "is an INSERT"},
        {"CREATE TABLE u(x)", "is an INSERT"},
        {"CREATE TEMP TABLE u(x)", "is an INSERT"},
        {"CREATE TRIGGER g AFTER INSERT ON t BEGIN DELETE FROM t; END", "is"},
        {"CREATE VIEW v AS SELECT * FROM t", "is an INSERT"},
        {"CREATE VIRTUAL TABLE v USING fts5(x)", "is"},
        {"DROP TABLE t", "is"},
        {"ALTER TABLE t ADD COLUMN z", "is"},
        {"SELECT * FROM t", "is an INSERT"},
        {"VALUES(1)", "is an INSERT"},
        {"EXPLAIN DELETE FROM t", "is an INSERT"},
        {"EXPLAIN QUERY PLAN DELETE FROM t", "is an INSERT"},
        {"INSERT INTO t VALUES('a', 1) RETURNING n", "RETURNING"},
        {"INSERT OR ROLLBACK INTO t VALUES(:a, 1)", "ROLLBACK or FAIL"},
        {"INSERT OR FAIL INTO t VALUES(:a, 1)", "ROLLBACK or FAIL"},
        {"UPDATE OR ROLLBACK t SET n = 1", "ROLLBACK or FAIL"},
        {"DELETE FROM sqlite_master", "sqlite_master"},
        {"INSERT INTO t SELECT count(*), 1 FROM sqlite_schema WINDOW sqlite_master AS ()", "is no table"},
        {"INSERT INTO t SELECT name, 1 FROM sqlite_schema", "is no table of the model's own"},
        {"INSERT INTO t SELECT name, 1 FROM pragma_table_info('t')", "is an INSERT"},
        {"INSERT INTO t SELECT value, 1 FROM json_each('[1]')", "is an INSERT"},
        {"WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) INSERT INTO t SELECT x, x FROM c",
         "refers to itself"},
        {"INSERT INTO t VALUES(random(), 1)", "random()"},
        {"INSERT INTO t VALUES(randomblob(4), 1)", "randomblob()"},
        {"INSERT INTO t VALUES(last_insert_rowid(), 1)", "last_insert_rowid()"},
        {"INSERT INTO t VALUES(changes(), 1)", "changes()"},
        {"INSERT INTO t VALUES(sqlite_version(), 1)", "sqlite_version()"},
        {"INSERT INTO t VALUES(load_extension('x'), 1)", "load_extension()"},
        {"INSERT INTO t VALUES(CURRENT_TIMESTAMP, 1)", "current_timestamp()"},
        {"INSERT INTO t VALUES(CURRENT_DATE, 1)", "current_date()"},
        {"INSERT INTO t VALUES(date('now'), 1)", "present moment"},
        {"INSERT INTO t VALUES(date(), 1)", "present moment"},
        {"INSERT INTO t VALUES(date('NoW', '+1 day'), 1)", "present moment"},
        {"INSERT INTO t VALUES(date(x'6e6f77'), 1)", "present moment"},
        {"INSERT INTO t VALUES(strftime('%Y'), 1)", "present moment"},
        {"INSERT INTO t VALUES(strftime('%Y', 'now'), 1)", "present moment"},
        {"INSERT INTO t VALUES(time('subsec'), 1)", "present moment"},
        {"INSERT INTO t VALUES(datetime(1, 'unixepoch', 'localtime'), 1)", "time zone"},
        {"INSERT INTO t VALUES(datetime(1, 'unixepoch', 'utc'), 1)", "time zone"},
        {"INSERT INTO t VALUES(julianday('now'), 1)", "present moment"},
        {"INSERT INTO temp.t VALUES(1, 1)", "no such table"},
        {"DELETE FROM other.t", "no such table"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        char text[512];

        snprintf(text, sizeof(text), HEAD TABLE ON "\n%s;\n", refused[i].statement);
        assert_fault(text, "5", refused[i].why);
    }
}

static void tables_are_made_by_create_table_and_create_index_alone(void **state)
{
    static const struct {
        const char *statement, *why;
    } refused[] = {
        {"CREATE TEMP TABLE u(x)", "nothing else"},
        {"CREATE TABLE temp.u(x)", "nothing else"},
        {"CREATE TABLE u AS SELECT 1", "nothing else"},
        {"CREATE TABLE stele_u(x)", "cannot be a table's name"},
        {"CREATE TABLE sqlite_u(x)", "reserved"},
        {"CREATE TABLE \"a,b\"(x)", "cannot be a table's name"},
        {"CREATE TABLE u(x INTEGER PRIMARY KEY AUTOINCREMENT)", "AUTOINCREMENT"},
        {"CREATE TABLE u(x DEFAULT CURRENT_TIMESTAMP)", "current_timestamp()"},
        {"CREATE TABLE u(x DEFAULT (random()))", "random()"},
        {"CREATE TABLE u(x DEFAULT (date('now')))", "present moment"},
        {"CREATE TABLE u(x CHECK(x > random()))", "random()"},
        {"CREATE TABLE u(x, y AS (random()))", "random()"},
        {"CREATE INDEX j ON t(random())", "random()"},
        {"CREATE INDEX stele_view ON t(a)", "cannot be an index's name"},
        {"CREATE TRIGGER g AFTER INSERT ON t BEGIN DELETE FROM t; END", "nothing else"},
        {"CREATE VIEW v AS SELECT 1", "nothing else"},
        {"CREATE VIRTUAL TABLE v USING fts5(x)", "nothing else"},
        {"INSERT INTO t VALUES('a', 1)", "nothing else"},
        {"UPDATE sqlite_master SET name = 'x'", "may not be modified"},
        {"DROP TABLE t", "nothing else"},
        {"ALTER TABLE t RENAME TO u", "nothing else"},
        {"SELECT 1", "nothing else"},
        {"PRAGMA journal_mode = DELETE", "nothing else"},
        {"VACUUM", "nothing else"},
        {"EXPLAIN CREATE TABLE u(x)", "nothing else"},
        {"CREATE TABLE t(x)", "already exists"},
        {"CREATE TABLE u(x) STRICT", "missing datatype"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        char text[512];

        snprintf(text, sizeof(text), HEAD TABLE "\n%s;\n" ON "DELETE FROM t", refused[i].statement);
        assert_fault(text, "4", refused[i].why);
    }
}

static void a_conflict_clause_in_a_table_counts_as_one_in_a_statement(void **state)
{
    (void)state;
    assert_fault(HEAD "CREATE TABLE t(a TEXT UNIQUE ON CONFLICT ROLLBACK);\n" ON "INSERT INTO t VALUES(:a)", "4",
                 "ROLLBACK or FAIL");
}

static void bytes_that_are_no_text_are_refused(void **state)
{
    static const char zero[] = HEAD "\n\0";
    stele_model *model = NULL;
    stele_error *error = NULL;

    (void)state;
    assert_fault(HEAD "\n-- \xff\n", "3", "not valid UTF-8");
    assert_failure(STELE_MALFORMED,
                   stele_model_parse((struct stele_slice){zero, sizeof(zero) - 1}, "m", &model, &error), error);
    assert_message(error, "m:3: there is a byte 0");
    stele_error_free(error);
}

/* --- Limits ------------------------------------------------------------------------------- */

/* A model of `count` statements, then `more`; freed by the caller. */
static char *many(size_t count, const char *statement, const char *more)
{
    const size_t size = sizeof(HEAD TABLE ON) + count * strlen(statement) + strlen(more) + 1;
    char *text = malloc(size);
    size_t at = (size_t)snprintf(text, size, "%s", HEAD TABLE ON);

    for (size_t i = 0; i < count; i++)
        at += (size_t)snprintf(text + at, size - at, "%s", statement);
    snprintf(text + at, size - at, "%s", more);
    return text;
}

static void assert_limit(char *text, bool fits)
{
    stele_model *model = NULL;
    stele_error *error = NULL;

    if (fits)
        assert_ok(parse(text, &model, &error), error);
    else
        assert_status(STELE_LIMIT, parse(text, &model, &error), error);
    stele_model_free(model);
    free(text);
}

/* A model with a section for `count` types. */
static char *many_types(int count)
{
    const size_t size = sizeof(HEAD TABLE) + 64 + (size_t)count * 8;
    char *text = malloc(size);
    size_t at = (size_t)snprintf(text, size, "%s%s--! on", HEAD, TABLE);

    for (int i = 0; i < count; i++)
        at += (size_t)snprintf(text + at, size - at, " t%d", i);
    snprintf(text + at, size - at, "\nDELETE FROM t");
    return text;
}

static void the_limits_are_kept(void **state)
{
    char *long_one = malloc(MODEL_SQL_MAX + 100);
    const size_t fixed = strlen("DELETE FROM t WHERE a = ''");

    (void)state;
    assert_limit(many(STELE_MODEL_STATEMENTS_MAX - 1, "DELETE FROM t;\n", ""), true);
    assert_limit(many(STELE_MODEL_STATEMENTS_MAX, "DELETE FROM t;\n", ""), false);
    assert_limit(many(STELE_MODEL_BYTES_MAX - sizeof(HEAD TABLE ON "DELETE FROM t") + 1, " ", "DELETE FROM t"), true);
    assert_limit(many(STELE_MODEL_BYTES_MAX - sizeof(HEAD TABLE ON "DELETE FROM t") + 2, " ", "DELETE FROM t"), false);
    assert_limit(many_types(STELE_MODEL_TYPES_MAX), true);
    assert_limit(many_types(STELE_MODEL_TYPES_MAX + 1), false);
    memset(long_one, 'x', MODEL_SQL_MAX + 99);
    memcpy(long_one, "DELETE FROM t WHERE a = '", fixed - 1);
    memcpy(long_one + MODEL_SQL_MAX - 1, "'", 2);
    assert_limit(many(1, long_one, ""), true);
    memcpy(long_one + MODEL_SQL_MAX - 1, "xx'", 4);
    assert_limit(many(1, long_one, ""), false);
    free(long_one);
}

static void a_statement_that_does_not_end_is_given_up(void **state)
{
    (void)state;
    assert_limit(many(1,
                      "INSERT INTO t WITH a(x) AS (VALUES(1),(2),(3),(4),(5),(6),(7),(8),(9),(10)), "
                      "b AS (SELECT 1 FROM a, a, a, a, a) SELECT count(*), 1 FROM b, b, b, b, b",
                      ""),
                 false);
}

/* --- Files ---------------------------------------------------------------------------------- */

static void a_file_is_read_and_what_is_none_is_told(void **state)
{
    const char *path;
    FILE *file;
    stele_model *model = NULL;
    stele_error *error = NULL;

    (void)state;
    support_temp_dir();
    path = support_temp_path("m.sql");
    assert_status(STELE_NOT_FOUND, stele_model_load(path, &model, &error), error);
    assert_status(STELE_INVALID, stele_model_load(support_temp_dir(), &model, &error), error);
    assert_status(STELE_INVALID, stele_model_load(NULL, &model, &error), error);
    file = fopen(path, "w");
    fputs(HEAD TABLE ON "DELETE FROM t", file);
    fclose(file);
    assert_ok(stele_model_load(path, &model, &error), error);
    assert_string_equal(stele_model_name(model), "p");
    stele_model_free(model);
    stele_model_free(NULL);
}

static stele_status parse_once(void *context, stele_error **error)
{
    stele_model *model = NULL;
    const stele_status status = parse(context, &model, error);

    stele_model_free(model);
    return status;
}

static void reading_survives_every_failed_allocation(void **state)
{
    char text[] =
        HEAD "CREATE TABLE t(a TEXT, n INTEGER DEFAULT 3) STRICT;\n" ON "INSERT INTO t VALUES(date(:a), :n);\n"
             "--! on f g\nDELETE FROM t WHERE a = :subject";

    (void)state;
    assert_true(support_every_allocation_fails(parse_once, text) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(a_model_is_read_with_its_tables_types_and_parameters),
        support_test(one_byte_makes_another_digest),
        support_test(what_is_the_same_on_any_day_is_allowed),
        support_test(a_mistake_in_a_directive_is_told_with_its_line),
        support_test(a_syntax_error_on_line_7_is_told_to_be_on_line_7),
        support_test(what_a_statement_may_not_do_is_refused),
        support_test(tables_are_made_by_create_table_and_create_index_alone),
        support_test(a_conflict_clause_in_a_table_counts_as_one_in_a_statement),
        support_test(bytes_that_are_no_text_are_refused),
        support_test(the_limits_are_kept),
        support_test(a_statement_that_does_not_end_is_given_up),
        support_test(a_file_is_read_and_what_is_none_is_told),
        support_test(reading_survives_every_failed_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
