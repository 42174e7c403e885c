/* Filters, orders, pages and cursors over views. */
#include "tests/support/support.h"

#include <stele/view.h>

#include <stdio.h>
#include <string.h>

/* `open` is the opening balance of a customer; `group` may be absent. */
#define ENTRY(FIELD, T) \
    FIELD(T, TEXT, id) \
    FIELD(T, INT64, amount) \
    FIELD(T, OPTIONAL(TEXT), branch) \
    FIELD(T, DOUBLE, rate) \
    FIELD(T, UINT64, visits) \
    FIELD(T, UUID, token) \
    FIELD(T, BYTES, tag) \
    FIELD(T, TIME, at) \
    FIELD(T, BOOL, open)
STELE_DECLARE_VIEW(entry, ENTRY);
STELE_DEFINE_VIEW(entry, "entry", 1, ENTRY, "id", "branch,amount");

struct desk {
    stele_views *views;
    stele_arena *arena;
};

static void put(const struct desk *desk, const char *id, int64_t amount, const char *branch)
{
    const struct entry row = {.id = id,
                              .amount = amount,
                              .branch = branch,
                              .rate = (double)amount / 2,
                              .visits = (uint64_t)amount,
                              .token = {{(uint8_t)amount}},
                              .tag = {id, 1},
                              .at = amount * 10,
                              .open = amount > 2};
    stele_error *error = NULL;

    assert_ok(entry_upsert(desk->views, &row, &error), error);
}

static struct desk open_desk(void)
{
    struct desk desk = {NULL, NULL};
    stele_error *error = NULL;

    support_temp_dir();
    assert_ok(stele_arena_new(&desk.arena, &error), error);
    assert_ok(stele_views_open(support_temp_path("read.db"), NULL, &desk.views, &error), error);
    assert_ok(stele_view_create(desk.views, &entry_view, &error), error);
    return desk;
}

/* a..f: amounts 1, 2, 3, 3, 4, 5; branches. */
static struct desk open_filled(void)
{
    const struct desk desk = open_desk();

    put(&desk, "a", 1, "North");
    put(&desk, "b", 2, NULL);
    put(&desk, "c", 3, "South%");
    put(&desk, "d", 3, "north_end");
    put(&desk, "e", 4, NULL);
    put(&desk, "f", 5, "");
    return desk;
}

static void close_desk(const struct desk *desk)
{
    stele_views_close(desk->views);
    stele_arena_free(desk->arena);
}

static const char *ids_of(const struct entry_page *page)
{
    static char text[128];
    size_t length = 0;

    text[0] = '\0';
    for (size_t i = 0; i < page->count; i++)
        length += (size_t)snprintf(text + length, sizeof(text) - length, "%s", page->rows[i].id);
    return text;
}

static void assert_filtered(const struct desk *desk, const struct stele_view_filter *filter, const char *expected)
{
    const struct stele_view_query query = {.filters = filter, .filter_count = 1};
    struct entry_page page = {0};
    uint64_t count = 99;
    stele_error *error = NULL;

    assert_ok(entry_list(desk->views, &query, desk->arena, &page, &error), error);
    assert_string_equal(ids_of(&page), expected);
    assert_int_equal(page.total, strlen(expected));
    assert_ok(stele_view_count(desk->views, &entry_view, &query, &count, &error), error);
    assert_int_equal(count, strlen(expected));
}

static void KHO33_each_operator_selects_its_rows(void **state)
{
    const struct desk desk = open_filled();
    const struct stele_view_filter none = {.field = "amount", .op = STELE_VIEW_IN};
    const struct stele_view_filter not_none = {.field = "branch", .op = STELE_VIEW_NOT_IN};
    const struct stele_view_filter null = {.field = "branch", .op = STELE_VIEW_IS_NULL};
    const struct stele_view_filter not_null = {.field = "branch", .op = STELE_VIEW_NOT_NULL};
    const struct stele_view_filter filters[] = {
        STELE_FILTER("amount", STELE_VIEW_EQ, stele_view_int64(3)),
        STELE_FILTER("amount", STELE_VIEW_NE, stele_view_int64(3)),
        STELE_FILTER("amount", STELE_VIEW_LT, stele_view_int64(3)),
        STELE_FILTER("amount", STELE_VIEW_LE, stele_view_int64(3)),
        STELE_FILTER("amount", STELE_VIEW_GT, stele_view_int64(3)),
        STELE_FILTER("amount", STELE_VIEW_GE, stele_view_int64(3)),
        STELE_FILTER("amount", STELE_VIEW_IN, stele_view_int64(5), stele_view_int64(1), stele_view_int64(9)),
        STELE_FILTER("amount", STELE_VIEW_NOT_IN, stele_view_int64(5), stele_view_int64(1)),
        STELE_FILTER("amount", STELE_VIEW_BETWEEN, stele_view_int64(2), stele_view_int64(3)),
        STELE_FILTER("branch", STELE_VIEW_LIKE, stele_view_text("north%")),
        STELE_FILTER("branch", STELE_VIEW_LIKE, stele_view_text("%\\%")),
        STELE_FILTER("branch", STELE_VIEW_STARTS, stele_view_text("North")),
        STELE_FILTER("branch", STELE_VIEW_STARTS, stele_view_text("")),
        STELE_FILTER("branch", STELE_VIEW_ENDS, stele_view_text("th%")),
        STELE_FILTER("branch", STELE_VIEW_ENDS, stele_view_text("")),
        STELE_FILTER("branch", STELE_VIEW_ENDS, stele_view_text("a North")),
        STELE_FILTER("branch", STELE_VIEW_CONTAINS, stele_view_text("_")),
        STELE_FILTER("branch", STELE_VIEW_CONTAINS, stele_view_text("")),
        STELE_FILTER("branch", STELE_VIEW_NE, stele_view_text("North")),
        STELE_FILTER("branch", STELE_VIEW_NOT_IN, stele_view_text("North")),
    };
    static const char *const expected[] = {"cd", "abef", "ab",   "abcd", "ef",   "cdef", "af", "bcde", "bcd", "ad",
                                           "c",  "a",    "acdf", "c",    "acdf", "",     "d",  "acdf", "cdf", "cdf"};

    (void)state;
    for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++)
        assert_filtered(&desk, &filters[i], expected[i]);
    assert_filtered(&desk, &none, "");
    assert_filtered(&desk, &not_none, "acdf");
    assert_filtered(&desk, &null, "be");
    assert_filtered(&desk, &not_null, "acdf");
    close_desk(&desk);
}

static void KHO33_each_kind_is_compared(void **state)
{
    const struct desk desk = open_filled();
    const struct stele_uuid token = {{4}};
    const struct stele_view_filter filters[] = {
        STELE_FILTER("rate", STELE_VIEW_EQ, stele_view_double(0.5)),
        STELE_FILTER("visits", STELE_VIEW_GE, stele_view_uint64(4)),
        STELE_FILTER("token", STELE_VIEW_GE, stele_view_uuid(token)),
        STELE_FILTER("tag", STELE_VIEW_LE, stele_view_bytes(support_slice("b"))),
        STELE_FILTER("at", STELE_VIEW_LT, stele_view_time(20)),
        STELE_FILTER("open", STELE_VIEW_EQ, stele_view_bool(true)),
        STELE_FILTER("id", STELE_VIEW_EQ, stele_view_text("' OR 1=1 --")),
    };
    static const char *const expected[] = {"a", "ef", "ef", "ab", "a", "cdef", ""};

    (void)state;
    for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++)
        assert_filtered(&desk, &filters[i], expected[i]);
    close_desk(&desk);
}

static void KHO33_filters_hold_together(void **state)
{
    const struct desk desk = open_filled();
    const struct stele_view_filter filters[] = {
        STELE_FILTER("amount", STELE_VIEW_GE, stele_view_int64(2)),
        STELE_FILTER("amount", STELE_VIEW_IN, stele_view_int64(1), stele_view_int64(3), stele_view_int64(4)),
        STELE_FILTER("branch", STELE_VIEW_CONTAINS, stele_view_text("o")),
    };
    const struct stele_view_query query = {.filters = filters, .filter_count = 3, .order = "-id"};
    struct entry_page page = {0};
    stele_error *error = NULL;

    (void)state;
    assert_ok(entry_list(desk.views, &query, desk.arena, &page, &error), error);
    assert_string_equal(ids_of(&page), "dc");
    close_desk(&desk);
}

static void KHO33_orders_go_up_and_down_with_the_key_behind(void **state)
{
    const struct desk desk = open_filled();
    static const struct {
        const char *order, *expected;
    } orders[] = {
        {NULL, "abcdef"},         {"", "abcdef"},          {"-id", "fedcba"},     {"+amount,-id", "abdcef"},
        {"-amount", "fecdba"},    {"branch", "befacd"},    {"-branch", "dcafbe"}, {"-branch, -amount", "dcafeb"},
        {"-open,rate", "cdefab"}, {"-token,at", "fecdba"},
    };
    stele_error *error = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        const struct stele_view_query query = {.order = orders[i].order};
        struct entry_page page = {0};

        assert_ok(entry_list(desk.views, &query, desk.arena, &page, &error), error);
        assert_string_equal(ids_of(&page), orders[i].expected);
    }
    close_desk(&desk);
}

static void KHO33_pages_by_number_have_bounds(void **state)
{
    const struct desk desk = open_desk();
    struct stele_view_query query = {0};
    struct entry_page page = {0};
    char id[2] = "a";
    stele_error *error = NULL;

    (void)state;
    assert_ok(entry_list(desk.views, NULL, desk.arena, &page, &error), error);
    assert_true(page.count == 0 && page.total == 0 && page.pages == 0 && !page.next);
    for (; id[0] <= 'u'; id[0]++) /* 21 */
        put(&desk, id, id[0], NULL);
    assert_ok(entry_list(desk.views, &query, desk.arena, &page, &error), error);
    assert_true(page.count == 20 && page.total == 21 && page.pages == 2 && page.next);
    query.page = 2;
    assert_ok(entry_list(desk.views, &query, desk.arena, &page, &error), error);
    assert_string_equal(ids_of(&page), "u");
    assert_null(page.next);
    query.page = 3;
    assert_ok(entry_list(desk.views, &query, desk.arena, &page, &error), error);
    assert_true(page.count == 0 && page.total == 21 && page.pages == 2 && !page.next);
    query.per_page = 7;
    assert_ok(entry_list(desk.views, &query, desk.arena, &page, &error), error);
    assert_string_equal(ids_of(&page), "opqrstu");
    assert_true(page.pages == 3 && !page.next);
    query.per_page = 1;
    query.page = 21;
    assert_ok(entry_list(desk.views, &query, desk.arena, &page, &error), error);
    assert_string_equal(ids_of(&page), "u");
    query.per_page = STELE_VIEW_PER_PAGE_MAX + 1;
    assert_status(STELE_LIMIT, entry_list(desk.views, &query, desk.arena, &page, &error), error);
    query.per_page = 0;
    query.page = UINT64_MAX;
    assert_status(STELE_INVALID, entry_list(desk.views, &query, desk.arena, &page, &error), error);
    close_desk(&desk);
}

/* All pages by cursor, one behind the other. */
static void assert_walk(const struct desk *desk, const char *order, uint32_t per_page, const char *expected)
{
    struct stele_view_query query = {.order = order, .per_page = per_page, .after = ""};
    char text[64] = "";
    struct entry_page page = {0};
    stele_error *error = NULL;

    while (query.after) {
        assert_ok(entry_list(desk->views, &query, desk->arena, &page, &error), error);
        assert_true(page.count <= per_page && page.total == 0 && page.pages == 0);
        strncat(text, ids_of(&page), sizeof(text) - strlen(text) - 1);
        assert_true(strlen(text) < sizeof(text) - 1);
        query.after = page.next;
    }
    assert_string_equal(text, expected);
}

static void KHO33_cursors_meet_every_row_once_in_any_order(void **state)
{
    const struct desk desk = open_filled();

    (void)state;
    for (uint32_t per_page = 1; per_page <= 7; per_page++) {
        assert_walk(&desk, NULL, per_page, "abcdef");
        assert_walk(&desk, "-id", per_page, "fedcba");
        assert_walk(&desk, "amount,-id", per_page, "abdcef");
        assert_walk(&desk, "branch", per_page, "befacd");
        assert_walk(&desk, "-branch,-amount", per_page, "dcafeb");
        assert_walk(&desk, "-open,-tag", per_page, "fedcba");
        assert_walk(&desk, "-rate,token", per_page, "fecdba");
    }
    close_desk(&desk);
}

static void KHO33_a_cursor_goes_on_behind_its_row_whatever_came_and_went(void **state)
{
    const struct desk desk = open_filled();
    struct stele_view_query query = {.per_page = 3};
    struct entry_page page = {0};
    stele_error *error = NULL;

    (void)state;
    assert_ok(entry_list(desk.views, &query, desk.arena, &page, &error), error);
    query.after = page.next;
    assert_ok(entry_delete(desk.views, &(struct entry){.id = "c"}, &error), error);
    put(&desk, "aa", 1, NULL);
    put(&desk, "cc", 1, NULL);
    assert_ok(entry_list(desk.views, &query, desk.arena, &page, &error), error);
    assert_string_equal(ids_of(&page), "ccde");
    close_desk(&desk);
}

static void KHO33_a_cursor_of_something_else_is_malformed(void **state)
{
    const struct desk desk = open_filled();
    struct stele_view_query query = {.per_page = 3};
    static const char *const wrong[] = {"x", "AAAA", "AAAAAA==", "not base64 at all"};
    struct entry_page page = {0};
    char cut[256];
    stele_error *error = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        query.after = wrong[i];
        assert_status(STELE_MALFORMED, entry_list(desk.views, &query, desk.arena, &page, &error), error);
    }
    query.after = NULL;
    assert_ok(entry_list(desk.views, &query, desk.arena, &page, &error), error);
    assert_true(strlen(page.next) < sizeof(cut));
    /* Cut short at every length. */
    for (size_t length = 1; length < strlen(page.next); length++) {
        memcpy(cut, page.next, length);
        cut[length] = '\0';
        query.after = cut;
        assert_status(STELE_MALFORMED, entry_list(desk.views, &query, desk.arena, &page, &error), error);
    }
    query.after = page.next;
    query.order = "-id";
    assert_status(STELE_MALFORMED, entry_list(desk.views, &query, desk.arena, &page, &error), error);
    query.order = NULL;
    query.page = 1;
    assert_status(STELE_INVALID, entry_list(desk.views, &query, desk.arena, &page, &error), error);
    close_desk(&desk);
}

static void assert_bad(const struct desk *desk, const struct stele_view_query *query, const char *field)
{
    struct entry_page page = {0};
    stele_error *error = NULL;

    assert_failure(STELE_INVALID, entry_list(desk->views, query, desk->arena, &page, &error), error);
    assert_string_equal(stele_error_get(error, "view"), "entry");
    assert_string_equal(stele_error_get(error, "field"), field);
    stele_error_free(error);
}

static void KHO33_a_query_that_does_not_fit_the_view_names_the_field(void **state)
{
    const struct desk desk = open_filled();
    const struct stele_view_filter filters[] = {
        STELE_FILTER("nobody", STELE_VIEW_EQ, stele_view_int64(3)),
        STELE_FILTER("amount", STELE_VIEW_EQ, stele_view_text("3")),
        STELE_FILTER("at", STELE_VIEW_EQ, stele_view_int64(3)),
        STELE_FILTER("amount", STELE_VIEW_STARTS, stele_view_int64(3)),
        STELE_FILTER("amount", STELE_VIEW_BETWEEN, stele_view_int64(3)),
        STELE_FILTER("branch", STELE_VIEW_IS_NULL, stele_view_text("")),
        STELE_FILTER("branch", STELE_VIEW_EQ, stele_view_text(NULL)),
        STELE_FILTER("branch", STELE_VIEW_EQ, stele_view_text("\xff")),
        {.field = "amount", .op = STELE_VIEW_EQ},
        {.field = "amount", .op = STELE_VIEW_EQ, .value_count = 1},
        STELE_FILTER("amount", (enum stele_view_operator)15, stele_view_int64(3)),
    };
    static const char *const orders[] = {"nobody", "-id,", "id,-id", "id; DROP TABLE entry", "--id", "\"id\""};
    static const char *const faults[] = {"nobody", "", "id", "id; DROP TABLE entry", "-id", "\"id\""};

    (void)state;
    for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++)
        assert_bad(&desk, &(struct stele_view_query){.filters = &filters[i], .filter_count = 1}, filters[i].field);
    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++)
        assert_bad(&desk, &(struct stele_view_query){.order = orders[i]}, faults[i]);
    close_desk(&desk);
}

static void KHO33_too_much_is_refused(void **state)
{
    const struct desk desk = open_filled();
    static struct stele_view_value values[STELE_VIEW_VALUES_MAX + 1];
    static struct stele_view_filter many[STELE_VIEW_FILTERS_MAX + 1];
    struct stele_view_filter in = {"amount", STELE_VIEW_IN, values, STELE_VIEW_VALUES_MAX};
    const struct stele_view_filter big = STELE_FILTER("visits", STELE_VIEW_LT, stele_view_uint64(UINT64_MAX));
    struct stele_view_query query = {.filters = &in, .filter_count = 1};
    uint64_t count = 0;
    stele_error *error = NULL;

    (void)state;
    for (size_t i = 0; i <= STELE_VIEW_VALUES_MAX; i++)
        values[i] = stele_view_int64((int64_t)i + 4);
    assert_ok(stele_view_count(desk.views, &entry_view, &query, &count, &error), error);
    assert_int_equal(count, 2);
    in.value_count++;
    assert_status(STELE_LIMIT, stele_view_count(desk.views, &entry_view, &query, &count, &error), error);
    for (size_t i = 0; i <= STELE_VIEW_FILTERS_MAX; i++)
        many[i] = (struct stele_view_filter){.field = "id", .op = STELE_VIEW_NOT_NULL};
    query.filters = many;
    query.filter_count = STELE_VIEW_FILTERS_MAX;
    assert_ok(stele_view_count(desk.views, &entry_view, &query, &count, &error), error);
    assert_int_equal(count, 6);
    query.filter_count++;
    assert_status(STELE_LIMIT, stele_view_count(desk.views, &entry_view, &query, &count, &error), error);
    query = (struct stele_view_query){.filters = &big, .filter_count = 1};
    assert_status(STELE_LIMIT, stele_view_count(desk.views, &entry_view, &query, &count, &error), error);
    close_desk(&desk);
}

/* --- Visits --------------------------------------------------------------------------------- */

struct seen {
    stele_views *views;
    char text[64];
    size_t most;
    stele_status nested;
};

static bool see(void *context, const struct entry *row)
{
    struct seen *seen = context;

    strncat(seen->text, row->id, sizeof(seen->text) - strlen(seen->text) - 1);
    seen->nested = entry_upsert(seen->views, row, NULL);
    return strlen(seen->text) < seen->most;
}

static void KHO33_a_visit_sees_rows_in_order_until_it_has_enough(void **state)
{
    const struct desk desk = open_filled();
    struct seen seen = {desk.views, "", 4, STELE_OK};
    const struct stele_view_query query = {.order = "-amount"};
    stele_error *error = NULL;

    (void)state;
    assert_ok(entry_visit(desk.views, &query, see, &seen, &error), error);
    assert_string_equal(seen.text, "fecd");
    assert_int_equal(seen.nested, STELE_INVALID);
    seen = (struct seen){desk.views, "", 99, STELE_OK};
    assert_ok(entry_visit(desk.views, NULL, see, &seen, &error), error);
    assert_string_equal(seen.text, "abcdef");
    put(&desk, "g", 1, NULL);
    assert_status(STELE_INVALID, entry_visit(desk.views, NULL, NULL, NULL, &error), error);
    assert_status(STELE_INVALID, entry_visit(desk.views, &(struct stele_view_query){.page = 1}, see, &seen, &error),
                  error);
    close_desk(&desk);
}

static void KHO33_more_queries_than_are_kept_still_answer(void **state)
{
    const struct desk desk = open_filled();

    (void)state;
    for (int round = 0; round < 3; round++) {
        for (int op = STELE_VIEW_EQ; op <= STELE_VIEW_GE; op++) {
            const struct stele_view_filter filter =
                STELE_FILTER("amount", (enum stele_view_operator)op, stele_view_int64(3));
            static const char *const expected[] = {"cd", "abef", "ab", "abcd", "ef", "cdef"};

            assert_filtered(&desk, &filter, expected[op]);
        }
    }
    close_desk(&desk);
}

/* --- Memory ------------------------------------------------------------------------------------ */

static stele_status list_all(void *context, stele_error **error)
{
    const struct stele_view_filter filter =
        STELE_FILTER("amount", STELE_VIEW_IN, stele_view_int64(3), stele_view_int64(4));
    struct stele_view_query query = {.filters = &filter, .filter_count = 1, .order = "-branch", .per_page = 1};
    struct seen seen = {NULL, "", 99, STELE_OK};
    stele_views *views = NULL;
    stele_arena *arena = NULL;
    struct entry_page page = {0};
    stele_status status = stele_arena_new(&arena, error);

    (void)context;
    if (status == STELE_OK)
        status = stele_views_open(support_temp_path("read.db"), NULL, &views, error);
    if (status == STELE_OK)
        status = entry_list(views, &query, arena, &page, error);
    query.after = page.next;
    if (status == STELE_OK)
        status = entry_list(views, &query, arena, &page, error);
    query.per_page = 0;
    if (status == STELE_OK)
        status = entry_visit(views, &query, see, &seen, error);
    stele_views_close(views);
    stele_arena_free(arena);
    return status;
}

static void KHO33_every_allocation_of_a_query_may_fail(void **state)
{
    const struct desk desk = open_filled();

    (void)state;
    close_desk(&desk);
    assert_true(support_every_allocation_fails(list_all, NULL) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(KHO33_each_operator_selects_its_rows),
        support_test(KHO33_each_kind_is_compared),
        support_test(KHO33_filters_hold_together),
        support_test(KHO33_orders_go_up_and_down_with_the_key_behind),
        support_test(KHO33_pages_by_number_have_bounds),
        support_test(KHO33_cursors_meet_every_row_once_in_any_order),
        support_test(KHO33_a_cursor_goes_on_behind_its_row_whatever_came_and_went),
        support_test(KHO33_a_cursor_of_something_else_is_malformed),
        support_test(KHO33_a_query_that_does_not_fit_the_view_names_the_field),
        support_test(KHO33_too_much_is_refused),
        support_test(KHO33_a_visit_sees_rows_in_order_until_it_has_enough),
        support_test(KHO33_more_queries_than_are_kept_still_answer),
        support_test(KHO33_every_allocation_of_a_query_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
