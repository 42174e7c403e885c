/* Versions of a projection beside each other, and their swap. */
#include "tests/support/support.h"

#include "projections/swap.h"
#include "projections/views.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define COUNTER(FIELD, T) FIELD(T, TEXT, id) FIELD(T, INT64, amount)
STELE_DECLARE_VIEW(counter, COUNTER);
STELE_DEFINE_VIEW(counter, "counter", 3, COUNTER, "id", "amount");

static const char *path(void)
{
    return support_temp_path("read.db");
}

/* Run SQL on a file; what its first row says comes back, static. */
static const char *ask_file(const char *name, const char *sql)
{
    static char answer[256];
    sqlite3 *db = NULL;
    sqlite3_stmt *row = NULL;

    assert_int_equal(sqlite3_open_v2(support_temp_path(name), &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &row, NULL), SQLITE_OK);
    answer[0] = '\0';
    if (sqlite3_step(row) == SQLITE_ROW && sqlite3_column_text(row, 0))
        snprintf(answer, sizeof(answer), "%s", sqlite3_column_text(row, 0));
    sqlite3_finalize(row);
    sqlite3_close(db);
    return answer;
}

static stele_status make_sql(void *context, stele_views *views, stele_error **error)
{
    return stele__views_run(views, context, "make the tables", error);
}

static stele_status make_counter(void *context, stele_views *views, stele_error **error)
{
    (void)context;
    return stele_view_create(views, &counter_view, error);
}

static struct stele__beside beside(uint32_t version, const char *sql)
{
    struct stele__beside it = {.path = path(), .name = "p", .version = version, .tables = "t", .make = make_sql};

    it.context = (void *)(uintptr_t)sql;
    it.digest[0] = (uint8_t)version;
    return it;
}

static stele_views *open_present(void)
{
    stele_views *views = NULL;
    stele_error *error = NULL;

    assert_ok(stele_views_open(path(), NULL, &views, &error), error);
    return views;
}

/* Build a version with one row, and put it in. */
static void build(stele_views *present, uint32_t version, const char *table, const char *row, uint64_t position)
{
    const struct stele__beside it = beside(version, table);
    stele_views *built = NULL;
    stele_error *error = NULL;

    assert_ok(stele__beside_open(&it, &built, &error), error);
    assert_true(stele__beside_exists(path(), "p"));
    assert_ok(stele__views_run(built, row, "write", &error), error);
    assert_ok(stele__mark_move(built, "p", version, 0, position, &error), error);
    assert_ok(stele__swap_new(present, &built, path(), "p", &error), error);
    assert_null(built);
    assert_false(stele__beside_exists(path(), "p"));
}

static void assert_mark(const char *name, const char *expected)
{
    assert_string_equal(ask_file(name, "SELECT version || ' ' || position || ' ' || old_version FROM stele_projection"),
                        expected);
}

static const char first[] = "CREATE TABLE t(a TEXT PRIMARY KEY) STRICT";
static const char second[] =
    "CREATE TABLE t(a TEXT, b INTEGER AS (length(a)) STORED, c BLOB); CREATE UNIQUE INDEX i ON t(a)";

static void E4_a_new_version_takes_the_place_of_the_old_one_which_is_kept(void **state)
{
    stele_views *present;

    (void)state;
    support_temp_dir();
    present = open_present();
    build(present, 1, first, "INSERT INTO t VALUES('one')", 5);
    assert_mark("read.db", "1 5 0");
    assert_int_equal(access(support_temp_path("read.db.p.old"), F_OK), -1);

    build(present, 2, second, "INSERT INTO t(rowid, a, c) VALUES(77, 'two', x'00ff')", 9);
    assert_mark("read.db", "2 9 1");
    assert_mark("read.db.p.old", "1 5 0");
    assert_string_equal(ask_file("read.db", "SELECT rowid || a || b || hex(c) FROM t"), "77two300FF");
    assert_string_equal(ask_file("read.db", "SELECT name FROM sqlite_schema WHERE type = 'index'"), "i");
    assert_string_equal(ask_file("read.db.p.old", "SELECT a FROM t"), "one");
    stele_views_close(present);
}

static void E4_a_rollback_exchanges_them_and_a_second_one_undoes_it(void **state)
{
    stele_views *present;
    stele_error *error = NULL;

    (void)state;
    support_temp_dir();
    present = open_present();
    build(present, 1, first, "INSERT INTO t VALUES('one')", 5);
    assert_status(STELE_NOT_FOUND, stele__swap_old(present, path(), "p", &error), error);
    build(present, 2, second, "INSERT INTO t(a) VALUES('two')", 9);

    assert_ok(stele__swap_old(present, path(), "p", &error), error);
    assert_mark("read.db", "1 5 2");
    assert_string_equal(ask_file("read.db", "SELECT a FROM t"), "one");
    assert_mark("read.db.p.old", "2 9 1");
    assert_int_equal(access(support_temp_path("read.db.p.back"), F_OK), -1);

    assert_ok(stele__swap_old(present, path(), "p", &error), error);
    assert_mark("read.db", "2 9 1");
    assert_string_equal(ask_file("read.db", "SELECT a || b FROM t"), "two3");
    assert_mark("read.db.p.old", "1 5 2");
    assert_status(STELE_NOT_FOUND, stele__swap_old(present, path(), "q", &error), error);
    stele_views_close(present);
}

static void E4_a_build_that_was_cut_short_is_continued(void **state)
{
    const struct stele__beside it = beside(1, first);
    const struct stele__beside other = beside(2, second);
    stele_views *built = NULL;
    stele_error *error = NULL;

    (void)state;
    support_temp_dir();
    assert_ok(stele__beside_open(&it, &built, &error), error);
    assert_ok(stele__views_run(built, "INSERT INTO t VALUES('one')", "write", &error), error);
    assert_ok(stele__mark_move(built, "p", 1, 0, 3, &error), error);
    stele_views_close(built);
    assert_ok(stele__beside_open(&it, &built, &error), error);
    assert_mark("read.db.p.new", "1 3 0");
    assert_string_equal(ask_file("read.db.p.new", "SELECT a FROM t"), "one");
    stele_views_close(built);

    assert_ok(stele__beside_open(&other, &built, &error), error);
    assert_mark("read.db.p.new", "2 0 0");
    assert_string_equal(ask_file("read.db.p.new", "SELECT count(*) FROM t"), "0");
    stele_views_close(built);
}

static void a_build_begun_anew_by_another_is_a_conflict(void **state)
{
    const struct stele__beside it = beside(1, first);
    const struct stele__beside other = beside(2, second);
    stele_views *mine = NULL;
    stele_views *theirs = NULL;
    stele_error *error = NULL;

    (void)state;
    support_temp_dir();
    assert_ok(stele__beside_open(&it, &mine, &error), error);
    assert_ok(stele__beside_open(&other, &theirs, &error), error);
    assert_status(STELE_CONFLICT, stele__mark_move(mine, "p", 1, 0, 3, &error), error);
    stele_views_close(mine);
    stele_views_close(theirs);
}

static void the_version_of_a_typed_view_goes_with_its_table(void **state)
{
    const struct counter row = {.id = "x", .amount = 3};
    struct counter back;
    struct stele__beside it = beside(1, NULL);
    stele_arena *arena = NULL;
    stele_views *present;
    stele_views *built = NULL;
    stele_error *error = NULL;

    (void)state;
    support_temp_dir();
    present = open_present();
    it.make = make_counter;
    it.tables = "counter";
    assert_ok(stele__beside_open(&it, &built, &error), error);
    assert_ok(counter_upsert(built, &row, &error), error);
    assert_ok(stele__swap_new(present, &built, path(), "p", &error), error);
    assert_ok(stele_arena_new(&arena, &error), error);
    assert_ok(counter_get(present, &row, arena, &back, &error), error);
    assert_int_equal(back.amount, 3);
    stele_arena_free(arena);
    stele_views_close(present);
}

static void a_table_of_somebody_else_is_left_alone(void **state)
{
    const struct stele__beside it = beside(1, first);
    stele_views *present;
    stele_views *built = NULL;
    stele_error *error = NULL;

    (void)state;
    support_temp_dir();
    present = open_present();
    assert_ok(stele__views_run(present, "CREATE TABLE T(mine); INSERT INTO T VALUES(1)", "write", &error), error);
    assert_ok(stele__beside_open(&it, &built, &error), error);
    assert_failure(STELE_INVALID, stele__swap_new(present, &built, path(), "p", &error), error);
    assert_string_equal(stele_error_get(error, "table"), "t");
    stele_error_free(error);
    assert_non_null(built);
    assert_string_equal(ask_file("read.db", "SELECT mine FROM T"), "1");
    stele_views_close(built);
    stele_views_close(present);
}

static void names_in_a_mark_changed_by_hand_remove_nothing(void **state)
{
    stele_views *present;
    const struct stele__beside it = beside(2, second);
    stele_views *built = NULL;
    stele_error *error = NULL;

    (void)state;
    support_temp_dir();
    present = open_present();
    build(present, 1, first, "INSERT INTO t VALUES('one')", 5);
    ask_file("read.db", "UPDATE stele_projection SET tables = 'stele_view'");
    assert_ok(stele__beside_open(&it, &built, &error), error);
    assert_status(STELE_CORRUPT, stele__swap_new(present, &built, path(), "p", &error), error);
    assert_string_equal(ask_file("read.db", "SELECT a FROM t"), "one");
    stele_views_close(built);
    stele_views_close(present);
}

static void in_memory_nothing_is_kept(void **state)
{
    struct stele__beside it = beside(1, first);
    stele_views *present = NULL;
    stele_views *built = NULL;
    struct stele__mark mark;
    stele_arena *arena = NULL;
    stele_error *error = NULL;

    (void)state;
    support_temp_dir();
    assert_ok(stele__views_in_memory(&present, &error), error);
    it.path = NULL;
    for (uint32_t version = 1; version <= 2; version++) {
        it.version = version;
        assert_ok(stele__beside_open(&it, &built, &error), error);
        assert_ok(stele__views_run(built, "INSERT INTO t VALUES('one')", "write", &error), error);
        assert_ok(stele__swap_new(present, &built, NULL, "p", &error), error);
    }
    assert_ok(stele_arena_new(&arena, &error), error);
    assert_ok(stele__mark_read(present, "p", arena, &mark, &error), error);
    assert_int_equal(mark.version, 2);
    assert_int_equal(mark.old_version, 0);
    assert_false(stele__beside_exists(NULL, "p"));
    assert_status(STELE_NOT_FOUND, stele__swap_old(present, NULL, "p", &error), error);
    stele_arena_free(arena);
    stele_views_close(present);
}

/* A rollback that was cut short behind its first commit: ".old" is the present one again, the other is in ".back". */
static void E4_a_rollback_cut_short_is_done_by_the_next_call(void **state)
{
    stele_views *present;
    stele_error *error = NULL;

    (void)state;
    support_temp_dir();
    present = open_present();
    build(present, 1, first, "INSERT INTO t VALUES('one')", 5);
    build(present, 2, second, "INSERT INTO t(a) VALUES('two')", 9);
    assert_int_equal(rename(support_temp_path("read.db.p.old"), support_temp_path("read.db.p.back")), 0);
    assert_ok(stele__swap_old(present, path(), "p", &error), error);
    assert_mark("read.db", "1 5 2");
    assert_mark("read.db.p.old", "2 9 1");
    stele_views_close(present);
}

/* Cut short behind the commit: ".new" is what is there already. Cut short before it: ".old" is. */
static void E4_what_a_kill_has_left_behind_a_swap_is_removed(void **state)
{
    const struct stele__beside it = beside(2, second);
    stele_views *present;
    stele_views *built = NULL;
    stele_error *error = NULL;

    (void)state;
    support_temp_dir();
    present = open_present();
    build(present, 1, first, "INSERT INTO t VALUES('one')", 5);
    build(present, 2, second, "INSERT INTO t(a) VALUES('two')", 9);

    assert_ok(stele__beside_open(&it, &built, &error), error);
    stele_views_close(built);
    assert_ok(stele__beside_tidy(present, path(), "p", &error), error);
    assert_true(stele__beside_exists(path(), "p")); /* a rebuild on its way */

    ask_file("read.db.p.new", "UPDATE stele_projection SET old_version = 2, position = 9");
    ask_file("read.db.p.old", "UPDATE stele_projection SET version = 2, digest = x'02000000000000000000000000000000', "
                              "position = 9");
    assert_ok(stele__beside_tidy(present, path(), "p", &error), error);
    assert_true(stele__beside_exists(path(), "p")); /* not put in yet */

    ask_file("read.db.p.old", "UPDATE stele_projection SET version = 1, position = 5");
    assert_ok(stele__beside_tidy(present, path(), "p", &error), error);
    assert_false(stele__beside_exists(path(), "p"));
    assert_ok(stele__beside_tidy(present, path(), "p", &error), error);
    assert_mark("read.db", "2 9 1");
    stele_views_close(present);
}

static stele_status swap_twice(void *context, stele_error **error)
{
    stele_views *present = NULL;
    stele_views *built = NULL;
    stele_status status = stele_views_open(path(), NULL, &present, error);

    (void)context;
    for (uint32_t version = 1; version <= 2 && status == STELE_OK; version++) {
        const struct stele__beside it = beside(version, first);

        status = stele__beside_open(&it, &built, error);
        if (status == STELE_OK)
            status = stele__swap_new(present, &built, path(), "p", error);
        stele_views_close(built);
        built = NULL;
    }
    if (status == STELE_OK)
        status = stele__swap_old(present, path(), "p", error);
    stele_views_close(present);
    return status;
}

static void a_swap_survives_every_failed_allocation(void **state)
{
    (void)state;
    support_temp_dir();
    assert_true(support_every_allocation_fails(swap_twice, NULL) > 0);
    assert_string_equal(ask_file("read.db", "SELECT count(*) FROM stele_projection"), "1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(E4_a_new_version_takes_the_place_of_the_old_one_which_is_kept),
        support_test(E4_a_rollback_exchanges_them_and_a_second_one_undoes_it),
        support_test(E4_a_build_that_was_cut_short_is_continued),
        support_test(E4_a_rollback_cut_short_is_done_by_the_next_call),
        support_test(E4_what_a_kill_has_left_behind_a_swap_is_removed),
        support_test(a_build_begun_anew_by_another_is_a_conflict),
        support_test(the_version_of_a_typed_view_goes_with_its_table),
        support_test(a_table_of_somebody_else_is_left_alone),
        support_test(names_in_a_mark_changed_by_hand_remove_nothing),
        support_test(in_memory_nothing_is_kept),
        support_test(a_swap_survives_every_failed_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
