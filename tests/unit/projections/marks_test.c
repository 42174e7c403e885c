/* What a file of views remembers of its projections. */
#include "tests/support/support.h"

#include "projections/marks.h"

#include <sqlite3.h>
#include <string.h>

static stele_views *open_views(void)
{
    stele_views *views = NULL;
    stele_error *error = NULL;

    assert_ok(stele_views_open(support_temp_path("read.db"), NULL, &views, &error), error);
    return views;
}

static void write_mark(stele_views *views, const char *name, uint32_t version, uint64_t position)
{
    const struct stele__mark mark = {.name = name,
                                     .version = version,
                                     .digest = "0123456789abcde",
                                     .position = position,
                                     .tables = "a,b",
                                     .old_version = 7};
    stele_error *error = NULL;

    assert_ok(stele__marks_create(views, &error), error);
    assert_ok(stele__mark_write(views, &mark, &error), error);
}

static void by_hand(const char *sql)
{
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open(support_temp_path("read.db"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static uint64_t position_of(stele_views *views, const char *name)
{
    struct stele__mark mark;
    stele_arena *arena = NULL;
    stele_error *error = NULL;

    assert_ok(stele_arena_new(&arena, &error), error);
    assert_ok(stele__mark_read(views, name, arena, &mark, &error), error);
    stele_arena_free(arena);
    return mark.position;
}

static void a_mark_comes_back_as_it_was_written(void **state)
{
    struct stele__mark mark;
    stele_arena *arena = NULL;
    stele_views *views;
    stele_error *error = NULL;

    (void)state;
    support_temp_dir();
    views = open_views();
    assert_ok(stele_arena_new(&arena, &error), error);
    assert_status(STELE_NOT_FOUND, stele__mark_read(views, "p", arena, &mark, &error), error);
    write_mark(views, "p", UINT32_MAX, INT64_MAX);
    stele_views_close(views);

    views = open_views();
    assert_ok(stele__mark_read(views, "p", arena, &mark, &error), error);
    assert_string_equal(mark.name, "p");
    assert_int_equal(mark.version, UINT32_MAX);
    assert_memory_equal(mark.digest, "0123456789abcde", STELE__DIGEST_SIZE);
    assert_true(mark.position == INT64_MAX && mark.old_version == 7);
    assert_string_equal(mark.tables, "a,b");
    assert_status(STELE_NOT_FOUND, stele__mark_read(views, "q", arena, &mark, &error), error);
    assert_ok(stele__mark_delete(views, "p", &error), error);
    assert_ok(stele__mark_delete(views, "p", &error), error);
    assert_status(STELE_NOT_FOUND, stele__mark_read(views, "p", arena, &mark, &error), error);
    stele_arena_free(arena);
    stele_views_close(views);
}

struct seen {
    char names[16];
    size_t most;
};

static bool note(void *context, const struct stele__mark *mark)
{
    struct seen *seen = context;

    strcat(seen->names, mark->name);
    return strlen(seen->names) < seen->most;
}

static void marks_are_visited_by_name_until_it_is_enough(void **state)
{
    struct seen seen = {.most = 10};
    stele_views *views;
    stele_error *error = NULL;

    (void)state;
    support_temp_dir();
    views = open_views();
    assert_ok(stele__marks_visit(views, note, &seen, &error), error);
    assert_string_equal(seen.names, "");
    write_mark(views, "c", 1, 0);
    write_mark(views, "a", 1, 0);
    write_mark(views, "b", 1, 0);
    assert_ok(stele__marks_visit(views, note, &seen, &error), error);
    assert_string_equal(seen.names, "abc");
    seen = (struct seen){.most = 2};
    assert_ok(stele__marks_visit(views, note, &seen, &error), error);
    assert_string_equal(seen.names, "ab");
    stele_views_close(views);
}

static void C2_a_position_is_compared_before_it_moves(void **state)
{
    stele_views *views;
    stele_error *error = NULL;

    (void)state;
    support_temp_dir();
    views = open_views();
    write_mark(views, "p", 2, 10);
    assert_ok(stele__mark_move(views, "p", 2, 10, 15, &error), error);
    assert_ok(stele__mark_move(views, "p", 2, 15, 15, &error), error);
    assert_int_equal(position_of(views, "p"), 15);

    assert_failure(STELE_CONFLICT, stele__mark_move(views, "p", 2, 10, 20, &error), error);
    assert_string_equal(stele_error_get(error, "projection"), "p");
    assert_string_equal(stele_error_get(error, "expected"), "10");
    assert_string_equal(stele_error_get(error, "actual"), "15");
    stele_error_free(error);
    error = NULL;
    assert_status(STELE_CONFLICT, stele__mark_move(views, "p", 1, 15, 20, &error), error);
    assert_status(STELE_CONFLICT, stele__mark_move(views, "q", 2, 15, 20, &error), error);
    assert_status(STELE_INVALID, stele__mark_move(views, "p", 2, 15, 14, &error), error);
    assert_status(STELE_INVALID, stele__mark_move(views, "p", 2, 15, (uint64_t)INT64_MAX + 1, &error), error);
    assert_int_equal(position_of(views, "p"), 15);
    stele_views_close(views);
}

static void C2_a_position_is_taken_back_with_its_transaction(void **state)
{
    stele_views *views;
    stele_error *error = NULL;

    (void)state;
    support_temp_dir();
    views = open_views();
    write_mark(views, "p", 1, 0);
    assert_ok(stele_views_begin(views, &error), error);
    assert_ok(stele__mark_move(views, "p", 1, 0, 5, &error), error);
    assert_ok(stele_views_rollback(views, &error), error);
    assert_int_equal(position_of(views, "p"), 0);
    assert_ok(stele__mark_move(views, "p", 1, 0, 5, &error), error);
    assert_int_equal(position_of(views, "p"), 5);
    stele_views_close(views);
}

static void a_mark_changed_by_hand_is_found(void **state)
{
    static const char *const changes[] = {
        "UPDATE stele_projection SET version = 0",      "UPDATE stele_projection SET version = 4294967296",
        "UPDATE stele_projection SET digest = x'00'",   "UPDATE stele_projection SET position = -1",
        "UPDATE stele_projection SET old_version = -1", "UPDATE stele_projection SET old_version = 4294967296",
    };
    struct stele__mark mark;
    stele_arena *arena = NULL;
    stele_error *error = NULL;

    (void)state;
    support_temp_dir();
    assert_ok(stele_arena_new(&arena, &error), error);
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        stele_views *views = open_views();

        write_mark(views, "p", 1, 0);
        by_hand(changes[i]);
        assert_failure(STELE_CORRUPT, stele__mark_read(views, "p", arena, &mark, &error), error);
        assert_message(error, "projection p: its mark was changed by hand");
        stele_error_free(error);
        error = NULL;
        stele_views_close(views);
    }
    stele_arena_free(arena);
}

static void a_table_of_marks_that_is_another_is_found(void **state)
{
    struct stele__mark mark;
    stele_arena *arena = NULL;
    stele_views *views;
    stele_error *error = NULL;

    (void)state;
    support_temp_dir();
    views = open_views();
    by_hand("CREATE TABLE stele_projection(x)");
    assert_ok(stele_arena_new(&arena, &error), error);
    assert_status(STELE_CORRUPT, stele__mark_read(views, "p", arena, &mark, &error), error);
    assert_status(STELE_CORRUPT, stele__mark_move(views, "p", 1, 0, 1, &error), error);
    stele_arena_free(arena);
    stele_views_close(views);
}

static stele_status everything(void *context, stele_error **error)
{
    const struct stele__mark mark = {.name = "p", .version = 1, .digest = "0123456789abcde", .tables = "a"};
    struct stele__mark back;
    struct seen seen = {.most = 10};
    stele_views *views = NULL;
    stele_arena *arena = NULL;
    stele_status status = stele_arena_new(&arena, error);

    (void)context;
    if (status == STELE_OK)
        status = stele_views_open(support_temp_path("read.db"), NULL, &views, error);
    if (status == STELE_OK)
        status = stele__marks_create(views, error);
    if (status == STELE_OK)
        status = stele__mark_write(views, &mark, error);
    if (status == STELE_OK)
        status = stele__mark_read(views, "p", arena, &back, error);
    if (status == STELE_OK)
        status = stele__marks_visit(views, note, &seen, error);
    if (status == STELE_OK)
        status = stele__mark_move(views, "p", 1, 0, 5, error);
    if (status == STELE_OK && stele__mark_move(views, "p", 1, 0, 5, error) == STELE_NO_MEMORY)
        status = STELE_NO_MEMORY;
    else if (status == STELE_OK && error) {
        stele_error_free(*error);
        *error = NULL;
    }
    stele_views_close(views);
    stele_arena_free(arena);
    return status;
}

static void marks_survive_every_failed_allocation(void **state)
{
    (void)state;
    support_temp_dir();
    assert_true(support_every_allocation_fails(everything, NULL) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(a_mark_comes_back_as_it_was_written),
        support_test(marks_are_visited_by_name_until_it_is_enough),
        support_test(C2_a_position_is_compared_before_it_moves),
        support_test(C2_a_position_is_taken_back_with_its_transaction),
        support_test(a_mark_changed_by_hand_is_found),
        support_test(a_table_of_marks_that_is_another_is_found),
        support_test(marks_survive_every_failed_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
