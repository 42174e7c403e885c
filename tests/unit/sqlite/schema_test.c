/* The schema: rows that cannot be changed, and steps from one version to the next. */
#include "tests/unit/sqlite/fixture.h"

#include <string.h>

/* --- R2 ------------------------------------------------------------------------------- */

static void R2_plain_sql_cannot_change_or_delete_rows(void **state)
{
    static const char *const refused[] = {
        "UPDATE event SET data = x'00'",
        "DELETE FROM event",
        "UPDATE stream SET name = 'x'",
        "DELETE FROM stream",
        "UPDATE type SET version = 2",
        "DELETE FROM type",
        "UPDATE event SET time = 0 WHERE position = 2",
    };
    stele_store *store;

    (void)state;
    fixture_make(5);
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        assert_int_equal(fixture_sql(refused[i]), SQLITE_CONSTRAINT_TRIGGER);
    store = fixture_open();
    fixture_assert_holds(store, 5);
    stele_store_close(store);
}

static void R2_the_refusal_says_why(void **state)
{
    sqlite3 *db = NULL;

    (void)state;
    fixture_make(1);
    assert_int_equal(sqlite3_open_v2(fixture_path(), &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "DELETE FROM event", NULL, NULL, NULL), SQLITE_CONSTRAINT);
    assert_string_equal(sqlite3_errmsg(db), "stele: rows of event are never changed or deleted");
    sqlite3_close(db);
}

/* --- Steps ------------------------------------------------------------------------------- */

static const struct sqlite_object more[] = {
    {"table", "note", "note", "CREATE TABLE note(id INTEGER PRIMARY KEY, text TEXT) STRICT"},
};
static const struct sqlite_object wrong[] = {
    {"table", "note", "note", "CREATE TABLE note(id INTEGER PRIMARY KEY, text TEXT) STRICT"},
    {"table", "note", "note", "CREATE TABLE note(id INTEGER PRIMARY KEY)"},
};

/* A connection to a store of version 4, to which the schemas below have one step more. */
static struct sqlite_connection *connect_to_old(stele_store **store)
{
    fixture_make(4);
    *store = fixture_open();
    return fixture_inside(*store)->writer.connection;
}

static void an_older_file_is_brought_up_by_the_steps_it_lacks(void **state)
{
    const struct sqlite_schema_step steps[] = {stele__sqlite_schema.steps[0],
                                               stele__sqlite_schema.steps[1],
                                               stele__sqlite_schema.steps[2],
                                               stele__sqlite_schema.steps[3],
                                               {more, 1, "PRAGMA user_version = 5"}};
    const struct sqlite_schema schema = {steps, 5};
    stele_store *store;
    struct sqlite_connection *connection = connect_to_old(&store);
    stele_error *error = NULL;
    size_t version = 0;

    (void)state;
    assert_ok(stele__sqlite_schema_check(connection, &schema, &version, &error), error);
    assert_int_equal(version, 4);
    assert_ok(stele__sqlite_schema_upgrade(connection, &schema, &error), error);
    assert_ok(stele__sqlite_schema_check(connection, &schema, &version, &error), error);
    assert_int_equal(version, 5);
    /* Once more changes nothing. */
    assert_ok(stele__sqlite_schema_upgrade(connection, &schema, &error), error);
    /* To the library of today it is too new now. */
    assert_status(STELE_TOO_NEW, stele__sqlite_schema_check(connection, &stele__sqlite_schema, &version, &error),
                  error);
    stele_store_close(store);
}

static void a_step_that_fails_leaves_the_older_version(void **state)
{
    const struct sqlite_schema_step steps[] = {stele__sqlite_schema.steps[0],
                                               stele__sqlite_schema.steps[1],
                                               stele__sqlite_schema.steps[2],
                                               stele__sqlite_schema.steps[3],
                                               {wrong, 2, "PRAGMA user_version = 5"}};
    const struct sqlite_schema schema = {steps, 5};
    stele_store *store;
    struct sqlite_connection *connection = connect_to_old(&store);
    stele_error *error = NULL;
    size_t version = 0;

    (void)state;
    assert_failure(STELE_CORRUPT, stele__sqlite_schema_upgrade(connection, &schema, &error), error);
    assert_message(error, "upgrade");
    stele_error_free(error);
    error = NULL;
    assert_int_equal(sqlite3_get_autocommit(connection->db), 1);
    assert_ok(stele__sqlite_schema_check(connection, &schema, &version, &error), error);
    assert_int_equal(version, 4);
    stele_store_close(store);
    store = fixture_open();
    fixture_assert_holds(store, 4);
    stele_store_close(store);
}

static void ids_of_the_library_are_unique_by_an_index(void **state)
{
    (void)state;
    fixture_make(3);
    assert_int_equal(
        fixture_sql("INSERT INTO event SELECT 9, stream, 9, type, time, id, meta, data, checksum FROM event "
                    "WHERE position = 1"),
        SQLITE_CONSTRAINT_UNIQUE);
    assert_int_equal(fixture_sql("INSERT INTO event SELECT 9, stream, version, type, time, 'x', meta, data, checksum "
                                 "FROM event WHERE position = 1"),
                     SQLITE_CONSTRAINT_UNIQUE);
}

static void V5_order_and_positions_survive_a_vacuum(void **state)
{
    stele_store *store;

    (void)state;
    fixture_make(9);
    assert_int_equal(fixture_sql("VACUUM"), SQLITE_OK);
    store = fixture_open();
    fixture_assert_holds(store, 9);
    fixture_fill(store, 10, 12);
    fixture_assert_holds(store, 12);
    stele_store_close(store);
    assert_int_equal(fixture_sql_number("SELECT max(position) FROM event"), 12);
}

/* D6: nothing counts positions but the table itself. */
static void D6_there_is_no_autoincrement(void **state)
{
    (void)state;
    fixture_make(1);
    assert_int_equal(fixture_sql_number("SELECT count(*) FROM sqlite_schema WHERE sql LIKE '%autoincrement%'"), 0);
    assert_int_equal(fixture_sql_number("SELECT count(*) FROM sqlite_schema WHERE name = 'sqlite_sequence'"), 0);
}

static void D6_positions_have_no_holes_after_refused_appends(void **state)
{
    stele_store *store = fixture_open();
    stele_error *error = NULL;
    stele_message *event = fixture_event(99);

    (void)state;
    fixture_fill(store, 1, 2);
    assert_status(STELE_CONFLICT, stele_append(store, "stream-1", stele_expect_version(9), event, NULL, &error), error);
    fixture_fill(store, 1, 2); /* repetitions */
    fixture_fill(store, 3, 4);
    stele_message_unref(event);
    stele_store_close(store);
    assert_int_equal(fixture_sql_number("SELECT max(position) FROM event"), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(V5_order_and_positions_survive_a_vacuum),
        support_test(R2_plain_sql_cannot_change_or_delete_rows),
        support_test(R2_the_refusal_says_why),
        support_test(an_older_file_is_brought_up_by_the_steps_it_lacks),
        support_test(a_step_that_fails_leaves_the_older_version),
        support_test(ids_of_the_library_are_unique_by_an_index),
        support_test(D6_there_is_no_autoincrement),
        support_test(D6_positions_have_no_holes_after_refused_appends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
