/* Files of views, their tables, and single rows. */
#include "tests/support/support.h"

#include "projections/views.h"

#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ACCOUNT(FIELD, T) \
    FIELD(T, TEXT, owner, STELE_NON_EMPTY) \
    FIELD(T, INT64, number) \
    FIELD(T, BOOL, open) \
    FIELD(T, UINT64, visits) \
    FIELD(T, DOUBLE, rate) \
    FIELD(T, BYTES, photo) \
    FIELD(T, UUID, token) \
    FIELD(T, TIME, opened) \
    FIELD(T, OPTIONAL(TEXT), note) \
    FIELD(T, OPTIONAL(INT64), limit) \
    FIELD(T, OPTIONAL(BOOL), vip) \
    FIELD(T, OPTIONAL(UINT64), points) \
    FIELD(T, OPTIONAL(DOUBLE), score) \
    FIELD(T, OPTIONAL(BYTES), mark) \
    FIELD(T, OPTIONAL(UUID), parent) \
    FIELD(T, OPTIONAL(TIME), closed)
STELE_DECLARE_VIEW(account, ACCOUNT);
STELE_DEFINE_VIEW(account, "account", 1, ACCOUNT, "owner, number", "visits", "open,opened");

/* The same table of another version, and of other shapes under the same version. */
#define SMALL(FIELD, T) FIELD(T, TEXT, id) FIELD(T, INT64, amount)
STELE_DECLARE_VIEW(small, SMALL);
STELE_DEFINE_VIEW(small, "small", 1, SMALL, "id");
STELE_DECLARE_VIEW(small_2, SMALL);
STELE_DEFINE_VIEW(small_2, "small", 2, SMALL, "id");
#define OTHER_KIND(FIELD, T) FIELD(T, TEXT, id) FIELD(T, TEXT, amount)
STELE_DECLARE_VIEW(other_kind, OTHER_KIND);
STELE_DEFINE_VIEW(other_kind, "small", 1, OTHER_KIND, "id");
#define ONE_MORE(FIELD, T) FIELD(T, TEXT, id) FIELD(T, INT64, amount) FIELD(T, BOOL, fresh)
STELE_DECLARE_VIEW(one_more, ONE_MORE);
STELE_DEFINE_VIEW(one_more, "small", 1, ONE_MORE, "id");
#define ONE_LESS(FIELD, T) FIELD(T, TEXT, id)
STELE_DECLARE_VIEW(one_less, ONE_LESS);
STELE_DEFINE_VIEW(one_less, "small", 1, ONE_LESS, "id");
STELE_DECLARE_VIEW(other_key, SMALL);
STELE_DEFINE_VIEW(other_key, "small", 1, SMALL, "amount");

static const struct stele_uuid token = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};

static struct account full_account(void)
{
    const struct account row = {
        .owner = "ann \xc3\xa9",
        .number = INT64_MIN,
        .open = true,
        .visits = INT64_MAX,
        .rate = 0.1,
        .photo = {"\0\xff", 2},
        .token = token,
        .opened = 1,
        .note = "",
        .limit = {INT64_MAX, true},
        .vip = {false, true},
        .points = {7, true},
        .score = {-1.5, true},
        .mark = {"", 0},
        .parent = {token, true},
        .closed = {-1, true},
    };
    return row;
}

static stele_views *open_views(void)
{
    stele_views *views = NULL;
    stele_error *error = NULL;

    support_temp_dir();
    assert_ok(stele_views_open(support_temp_path("read.db"), NULL, &views, &error), error);
    return views;
}

static stele_views *open_with(const struct stele_view *view)
{
    stele_views *views = open_views();
    stele_error *error = NULL;

    assert_ok(stele_view_create(views, view, &error), error);
    return views;
}

static void assert_fact(const stele_error *error, const char *name, const char *expected)
{
    assert_non_null(stele_error_get(error, name));
    assert_string_equal(stele_error_get(error, name), expected);
}

/* SQL by another program on the file. */
static void by_hand(const char *sql)
{
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open(support_temp_path("read.db"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

/* --- Rows ----------------------------------------------------------------------------- */

static void KHO33_a_row_of_every_kind_comes_back_as_it_went_in(void **state)
{
    stele_views *views = open_with(&account_view);
    const struct account row = full_account();
    struct account back;
    stele_arena *arena = NULL;
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele_arena_new(&arena, &error), error);
    assert_ok(account_upsert(views, &row, &error), error);
    assert_ok(account_get(views, &row, arena, &back, &error), error);
    assert_string_equal(back.owner, "ann \xc3\xa9");
    assert_true(back.number == INT64_MIN && back.open && back.visits == INT64_MAX);
    assert_true(back.rate == 0.1 && back.opened == 1);
    assert_int_equal(back.photo.size, 2);
    assert_memory_equal(back.photo.data, "\0\xff", 2);
    assert_memory_equal(&back.token, &token, sizeof(token));
    assert_string_equal(back.note, "");
    assert_true(back.limit.present && back.limit.value == INT64_MAX);
    assert_true(back.vip.present && !back.vip.value);
    assert_true(back.points.present && back.points.value == 7);
    assert_true(back.score.present && back.score.value == -1.5);
    assert_true(back.mark.data && back.mark.size == 0);
    assert_true(back.parent.present && memcmp(&back.parent.value, &token, sizeof(token)) == 0);
    assert_true(back.closed.present && back.closed.value == -1);
    stele_arena_free(arena);
    stele_views_close(views);
}

static void KHO33_absent_fields_come_back_absent(void **state)
{
    stele_views *views = open_with(&account_view);
    const struct account row = {.owner = "bob", .photo = {"", 0}};
    struct account back = full_account();
    stele_arena *arena = NULL;
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele_arena_new(&arena, &error), error);
    assert_ok(account_upsert(views, &row, &error), error);
    assert_ok(account_get(views, &row, arena, &back, &error), error);
    assert_true(!back.note && !back.limit.present && !back.vip.present && !back.points.present);
    assert_true(!back.score.present && !back.mark.data && !back.parent.present && !back.closed.present);
    assert_true(back.photo.data && back.photo.size == 0 && !back.open);
    stele_arena_free(arena);
    stele_views_close(views);
}

static void KHO33_upsert_replaces_the_row_of_the_same_key_and_no_other(void **state)
{
    stele_views *views = open_with(&small_view);
    const struct small rows[] = {{"a", 1}, {"b", 2}, {"a", 3}};
    struct small back;
    uint64_t count = 0;
    stele_arena *arena = NULL;
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele_arena_new(&arena, &error), error);
    for (size_t i = 0; i < 3; i++)
        assert_ok(small_upsert(views, &rows[i], &error), error);
    assert_ok(stele_view_count(views, &small_view, NULL, &count, &error), error);
    assert_int_equal(count, 2);
    assert_ok(small_get(views, &(struct small){.id = "a"}, arena, &back, &error), error);
    assert_int_equal(back.amount, 3);
    assert_ok(small_get(views, &(struct small){.id = "b"}, arena, &back, &error), error);
    assert_int_equal(back.amount, 2);
    stele_arena_free(arena);
    stele_views_close(views);
}

static void KHO33_what_is_not_there_is_not_found(void **state)
{
    stele_views *views = open_with(&small_view);
    const struct small row = {"a", 1};
    struct small back = {"before", 5};
    stele_arena *arena = NULL;
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele_arena_new(&arena, &error), error);
    assert_failure(STELE_NOT_FOUND, small_get(views, &row, arena, &back, &error), error);
    assert_fact(error, "view", "small");
    stele_error_free(error);
    error = NULL;
    assert_int_equal(back.amount, 5);
    assert_status(STELE_NOT_FOUND, small_delete(views, &row, &error), error);
    assert_ok(small_upsert(views, &row, &error), error);
    assert_ok(small_delete(views, &row, &error), error);
    assert_status(STELE_NOT_FOUND, small_delete(views, &row, &error), error);
    assert_status(STELE_NOT_FOUND, account_upsert(views, &(struct account){.owner = "x", .photo = {"", 0}}, &error),
                  error);
    stele_arena_free(arena);
    stele_views_close(views);
}

static void KHO33_a_broken_rule_names_view_and_field(void **state)
{
    stele_views *views = open_with(&account_view);
    struct account row = full_account();
    uint64_t count = 1;
    stele_error *error = NULL;

    (void)state;
    row.owner = " ";
    assert_failure(STELE_INVALID, account_upsert(views, &row, &error), error);
    assert_fact(error, "view", "account");
    assert_fact(error, "field", "owner");
    stele_error_free(error);
    error = NULL;
    row.owner = "ann";
    row.rate = NAN;
    assert_failure(STELE_INVALID, account_upsert(views, &row, &error), error);
    assert_fact(error, "field", "rate");
    stele_error_free(error);
    error = NULL;
    assert_ok(stele_view_count(views, &account_view, NULL, &count, &error), error);
    assert_int_equal(count, 0);
    stele_views_close(views);
}

static void KHO33_a_uint64_beyond_an_integer_column_is_refused(void **state)
{
    stele_views *views = open_with(&account_view);
    struct account row = full_account();
    stele_error *error = NULL;

    (void)state;
    row.visits = UINT64_C(1) << 63;
    assert_failure(STELE_LIMIT, account_upsert(views, &row, &error), error);
    assert_fact(error, "view", "account");
    assert_fact(error, "field", "visits");
    assert_fact(error, "actual", "9223372036854775808");
    stele_error_free(error);
    error = NULL;
    row.visits--;
    assert_ok(account_upsert(views, &row, &error), error);
    stele_views_close(views);
}

static void KHO33_a_row_changed_by_hand_is_corrupt(void **state)
{
    stele_views *views = open_with(&account_view);
    const struct account row = {.owner = "bob", .photo = {"", 0}};
    static const struct {
        const char *sql, *field;
    } changes[] = {
        {"UPDATE account SET open = 2", "open"},
        {"UPDATE account SET open = 1, visits = -1", "visits"},
        {"UPDATE account SET visits = 1, token = 'nonsense'", "token"},
        {"UPDATE account SET token = '00000000-0000-0000-0000-000000000000', note = CAST(x'ff' AS TEXT)", "note"},
        {"UPDATE account SET note = NULL, rate = 9e999", "rate"},
    };
    struct account back;
    stele_arena *arena = NULL;
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele_arena_new(&arena, &error), error);
    assert_ok(account_upsert(views, &row, &error), error);
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        by_hand(changes[i].sql);
        assert_failure(STELE_CORRUPT, account_get(views, &row, arena, &back, &error), error);
        assert_fact(error, "view", "account");
        assert_fact(error, "field", changes[i].field);
        stele_error_free(error);
        error = NULL;
    }
    stele_arena_free(arena);
    stele_views_close(views);
}

/* --- Tables ------------------------------------------------------------------------------ */

static void KHO33_creating_again_changes_nothing(void **state)
{
    stele_views *views = open_with(&account_view);
    const struct account row = full_account();
    uint64_t count = 0;
    stele_error *error = NULL;

    (void)state;
    assert_ok(account_upsert(views, &row, &error), error);
    stele_views_close(views);
    views = open_with(&account_view);
    assert_ok(stele_view_create(views, &account_view, &error), error);
    assert_ok(stele_view_count(views, &account_view, NULL, &count, &error), error);
    assert_int_equal(count, 1);
    stele_views_close(views);
}

static void KHO33_a_table_of_another_shape_names_the_column(void **state)
{
    stele_views *views = open_with(&small_view);
    static const struct {
        const struct stele_view *view;
        const char *fact, *value;
    } others[] = {
        {&other_kind_view, "field", "amount"}, {&one_more_view, "field", "fresh"}, {&one_less_view, "field", "amount"},
        {&other_key_view, "view", "small"},    {&small_2_view, "version", "1"},
    };
    stele_error *error = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_failure(STELE_INVALID, stele_view_create(views, others[i].view, &error), error);
        assert_fact(error, others[i].fact, others[i].value);
        stele_error_free(error);
        error = NULL;
    }
    assert_status(STELE_INVALID, small_2_upsert(views, &(struct small_2){"a", 1}, &error), error);
    assert_ok(stele_view_drop(views, &small_2_view, &error), error);
    assert_ok(stele_view_drop(views, &small_2_view, &error), error);
    assert_ok(stele_view_create(views, &small_2_view, &error), error);
    assert_ok(small_2_upsert(views, &(struct small_2){"a", 1}, &error), error);
    stele_views_close(views);
}

/* A type made by hand, as no macro would make it. */
static void assert_refused(const char *name, const struct stele_field *fields, size_t count, const char *key,
                           const char *index, const char *field)
{
    const struct stele_type row = {
        .name = name, .version = 1, .size = 256, .kind = STELE_PART, .fields = fields, .field_count = count};
    const char *const indexes[] = {index, NULL};
    const struct stele_view view = {&row, key, indexes};
    stele_error *error = NULL;

    assert_failure(STELE_INVALID, stele_view_check(&view, &error), error);
    if (field)
        assert_fact(error, "field", field);
    stele_error_free(error);
}

static void KHO33_a_view_that_cannot_be_a_table_is_refused(void **state)
{
    static const struct stele_field good[] = {{.name = "id", .kind = STELE_KIND_INT64},
                                              {.name = "n", .kind = STELE_KIND_INT64, .offset = 8}};
    static const struct stele_field quoted[] = {{.name = "i\"d", .kind = STELE_KIND_INT64}};
    static const struct stele_field twice[] = {{.name = "id", .kind = STELE_KIND_INT64},
                                               {.name = "ID", .kind = STELE_KIND_INT64, .offset = 8}};
    static const struct stele_field list[] = {{.name = "id", .kind = STELE_KIND_INT64, .shape = STELE_SHAPE_LIST}};
    static const struct stele_field maybe[] = {{.name = "id", .kind = STELE_KIND_INT64, .shape = STELE_SHAPE_OPTIONAL}};
    stele_error *error = NULL;

    (void)state;
    assert_refused("a.b", good, 2, "id", NULL, NULL);
    assert_refused("1a", good, 2, "id", NULL, NULL);
    assert_refused("sqlite_a", good, 2, "id", NULL, NULL);
    assert_refused("Stele_view", good, 2, "id", NULL, NULL);
    assert_refused("a", good, 2, NULL, NULL, NULL);
    assert_refused("a", good, 2, "", NULL, "");
    assert_refused("a", good, 2, "id,", NULL, "");
    assert_refused("a", good, 2, "id,id", NULL, "id");
    assert_refused("a", good, 2, "other", NULL, "other");
    assert_refused("a", good, 2, "id", "n, \"; DROP", "\"; DROP");
    assert_refused("a", quoted, 1, "i\"d", NULL, "i\"d");
    assert_refused("a", twice, 2, "id", NULL, "ID");
    assert_refused("a", list, 1, "id", NULL, "id");
    assert_refused("a", maybe, 1, "id", NULL, "id");
    assert_status(STELE_INVALID, stele_view_check(NULL, &error), error);
    assert_ok(stele_view_check(&account_view, &error), error);
}

/* --- Transactions ---------------------------------------------------------------------------- */

static void KHO33_rollback_takes_back_rows_and_tables(void **state)
{
    stele_views *views = open_with(&small_view);
    uint64_t count = 1;
    stele_error *error = NULL;

    (void)state;
    assert_status(STELE_INVALID, stele_views_commit(views, &error), error);
    assert_status(STELE_INVALID, stele_views_rollback(views, &error), error);
    assert_ok(stele_views_begin(views, &error), error);
    assert_status(STELE_INVALID, stele_views_begin(views, &error), error);
    assert_ok(small_upsert(views, &(struct small){"a", 1}, &error), error);
    assert_ok(stele_view_create(views, &account_view, &error), error);
    assert_ok(stele_view_count(views, &account_view, NULL, &count, &error), error);
    assert_ok(stele_views_rollback(views, &error), error);
    assert_ok(stele_view_count(views, &small_view, NULL, &count, &error), error);
    assert_int_equal(count, 0);
    assert_status(STELE_NOT_FOUND, stele_view_count(views, &account_view, NULL, &count, &error), error);
    stele_views_close(views);
}

static void KHO33_a_failed_write_leaves_the_rest_of_the_transaction(void **state)
{
    stele_views *views = open_with(&small_view);
    uint64_t count = 0;
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele_views_begin(views, &error), error);
    assert_ok(small_upsert(views, &(struct small){"a", 1}, &error), error);
    assert_status(STELE_INVALID, small_upsert(views, &(struct small){NULL, 1}, &error), error);
    assert_status(STELE_INVALID, stele_view_create(views, &small_2_view, &error), error);
    assert_ok(small_upsert(views, &(struct small){"b", 1}, &error), error);
    assert_ok(stele_views_commit(views, &error), error);
    assert_ok(stele_view_count(views, &small_view, NULL, &count, &error), error);
    assert_int_equal(count, 2);
    stele_views_close(views);
}

static void KHO33_what_follows_a_lost_transaction_is_not_written_alone(void **state)
{
    stele_views *views = open_with(&small_view);
    uint64_t count = 1;
    stele_error *error = NULL;

    (void)state;
    for (int round = 0; round < 2; round++) {
        assert_ok(stele_views_begin(views, &error), error);
        assert_ok(small_upsert(views, &(struct small){"a", 1}, &error), error);
        /* As SQLite does by itself when the disk fails it. */
        assert_int_equal(sqlite3_exec(views->connection->db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
        assert_status(STELE_INVALID, small_upsert(views, &(struct small){"b", 1}, &error), error);
        if (round == 0)
            assert_status(STELE_INVALID, stele_views_commit(views, &error), error);
        else
            assert_ok(stele_views_rollback(views, &error), error);
    }
    assert_ok(stele_view_count(views, &small_view, NULL, &count, &error), error);
    assert_int_equal(count, 0);
    stele_views_close(views);
}

static void KHO33_a_second_writer_is_told_busy(void **state)
{
    stele_views *views = open_with(&small_view);
    stele_views *second = NULL;
    struct stele_views_options options = STELE_OPTIONS_INIT(struct stele_views_options);
    uint64_t count = 1;
    stele_error *error = NULL;

    (void)state;
    options.busy_ms = 1;
    assert_ok(stele_views_open(support_temp_path("read.db"), &options, &second, &error), error);
    assert_ok(stele_views_begin(views, &error), error);
    assert_ok(small_upsert(views, &(struct small){"a", 1}, &error), error);
    assert_status(STELE_BUSY, small_upsert(second, &(struct small){"b", 1}, &error), error);
    assert_ok(stele_view_count(second, &small_view, NULL, &count, &error), error);
    assert_int_equal(count, 0);
    assert_ok(stele_views_commit(views, &error), error);
    assert_ok(small_upsert(second, &(struct small){"b", 1}, &error), error);
    stele_views_close(second);
    stele_views_close(views);
}

/* --- Files ---------------------------------------------------------------------------------- */

static stele_status open_as(enum stele_open_mode mode, const char *path, stele_error **error)
{
    struct stele_views_options options = STELE_OPTIONS_INIT(struct stele_views_options);
    stele_views *views = NULL;
    stele_status status;

    options.mode = mode;
    status = stele_views_open(path, &options, &views, error);
    stele_views_close(views);
    return status;
}

static void KHO33_only_a_file_of_views_is_opened(void **state)
{
    const char *path;
    stele_error *error = NULL;
    FILE *file;

    (void)state;
    support_temp_dir();
    path = support_temp_path("read.db");
    assert_status(STELE_NOT_FOUND, open_as(STELE_OPEN_EXISTING, path, &error), error);
    assert_status(STELE_NOT_FOUND, open_as(STELE_OPEN_READ_ONLY, path, &error), error);
    assert_int_equal(access(path, F_OK), -1);
    by_hand("CREATE TABLE small(id TEXT)");
    assert_status(STELE_FOREIGN, open_as(STELE_OPEN_CREATE, path, &error), error);
    file = fopen(path, "w");
    assert_non_null(file);
    for (int i = 0; i < 1000; i++)
        fputs("no database ", file);
    fclose(file);
    assert_status(STELE_FOREIGN, open_as(STELE_OPEN_CREATE, path, &error), error);
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_status(STELE_INVALID, open_as(STELE_OPEN_CREATE, path, &error), error);
    unlink(path);
    assert_ok(open_as(STELE_OPEN_CREATE, path, &error), error);
    by_hand("CREATE TABLE t(a); CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END");
    assert_failure(STELE_FOREIGN, open_as(STELE_OPEN_CREATE, path, &error), error);
    assert_message(error, "triggers");
    stele_error_free(error);
}

static void KHO33_a_new_file_is_readable_by_its_owner_alone(void **state)
{
    stele_views *views = open_views();
    struct stat facts;

    (void)state;
    assert_int_equal(stat(support_temp_path("read.db"), &facts), 0);
    assert_int_equal(facts.st_mode & 0777, 0600);
    stele_views_close(views);
}

static void KHO33_a_handle_for_reading_reads_and_does_not_write(void **state)
{
    stele_views *views = open_with(&small_view);
    struct stele_views_options options = STELE_OPTIONS_INIT(struct stele_views_options);
    struct small back;
    stele_arena *arena = NULL;
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele_arena_new(&arena, &error), error);
    assert_ok(small_upsert(views, &(struct small){"a", 1}, &error), error);
    stele_views_close(views);
    options.mode = STELE_OPEN_READ_ONLY;
    assert_ok(stele_views_open(support_temp_path("read.db"), &options, &views, &error), error);
    assert_ok(small_get(views, &(struct small){.id = "a"}, arena, &back, &error), error);
    assert_int_equal(back.amount, 1);
    assert_status(STELE_READ_ONLY, small_upsert(views, &back, &error), error);
    assert_status(STELE_READ_ONLY, small_delete(views, &back, &error), error);
    assert_status(STELE_READ_ONLY, stele_views_begin(views, &error), error);
    assert_status(STELE_READ_ONLY, stele_view_create(views, &small_view, &error), error);
    stele_arena_free(arena);
    stele_views_close(views);
}

static void KHO33_a_handle_inherited_through_fork_is_refused(void **state)
{
    stele_views *views = open_with(&small_view);
    int status = 0;
    pid_t child = fork();

    (void)state;
    if (child == 0)
        _exit(small_upsert(views, &(struct small){"a", 1}, NULL) == STELE_FORKED ? 0 : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    stele_views_close(views);
}

/* --- Memory -------------------------------------------------------------------------------- */

static stele_status use_all(void *context, stele_error **error)
{
    const struct account row = full_account();
    struct account back;
    stele_views *views = NULL;
    stele_arena *arena = NULL;
    stele_status status;

    (void)context;
    unlink(support_temp_path("read.db"));
    status = stele_arena_new(&arena, error);
    if (status == STELE_OK)
        status = stele_views_open(support_temp_path("read.db"), NULL, &views, error);
    if (status == STELE_OK)
        status = stele_view_create(views, &account_view, error);
    if (status == STELE_OK)
        status = stele_views_begin(views, error);
    if (status == STELE_OK)
        status = account_upsert(views, &row, error);
    if (status == STELE_OK)
        status = stele_views_commit(views, error);
    if (status == STELE_OK)
        status = account_get(views, &row, arena, &back, error);
    if (status == STELE_OK)
        status = account_delete(views, &row, error);
    if (status == STELE_OK)
        status = stele_view_drop(views, &account_view, error);
    stele_views_close(views);
    stele_arena_free(arena);
    return status;
}

static void KHO33_every_allocation_may_fail(void **state)
{
    (void)state;
    support_temp_dir();
    assert_true(support_every_allocation_fails(use_all, NULL) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(KHO33_a_row_of_every_kind_comes_back_as_it_went_in),
        support_test(KHO33_absent_fields_come_back_absent),
        support_test(KHO33_upsert_replaces_the_row_of_the_same_key_and_no_other),
        support_test(KHO33_what_is_not_there_is_not_found),
        support_test(KHO33_a_broken_rule_names_view_and_field),
        support_test(KHO33_a_uint64_beyond_an_integer_column_is_refused),
        support_test(KHO33_a_row_changed_by_hand_is_corrupt),
        support_test(KHO33_creating_again_changes_nothing),
        support_test(KHO33_a_table_of_another_shape_names_the_column),
        support_test(KHO33_a_view_that_cannot_be_a_table_is_refused),
        support_test(KHO33_rollback_takes_back_rows_and_tables),
        support_test(KHO33_a_failed_write_leaves_the_rest_of_the_transaction),
        support_test(KHO33_what_follows_a_lost_transaction_is_not_written_alone),
        support_test(KHO33_a_second_writer_is_told_busy),
        support_test(KHO33_only_a_file_of_views_is_opened),
        support_test(KHO33_a_new_file_is_readable_by_its_owner_alone),
        support_test(KHO33_a_handle_for_reading_reads_and_does_not_write),
        support_test(KHO33_a_handle_inherited_through_fork_is_refused),
        support_test(KHO33_every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
