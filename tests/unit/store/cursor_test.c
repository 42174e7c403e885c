/* Cursors and visits over a backend that stops early, fails, and has damaged rows. */
#include "tests/unit/store/fake.h"

#include <stdlib.h>
#include <string.h>

static struct fake fake;

/* Step to the end, or to the first failure; returns the events seen and leaves their last position in `*last`. */
static size_t step_on(stele_cursor *cursor, uint64_t *last, stele_status *status, stele_error **error)
{
    const stele_message *lent = NULL;
    size_t count = 0;

    for (;;) {
        *status = stele_cursor_next(cursor, &lent, error);
        if (*status != STELE_OK || !lent)
            return count;
        *last = stele_message_position(lent);
        count++;
    }
}

static stele_cursor *open_cursor(const struct stele_query *query)
{
    stele_cursor *cursor = NULL;
    stele_error *error = NULL;

    assert_ok(stele_read(&fake.store, query, &cursor, &error), error);
    return cursor;
}

static void assert_count(const struct stele_query *query, size_t count)
{
    stele_cursor *cursor = open_cursor(query);
    stele_error *error = NULL;
    stele_status status;
    uint64_t last = 0;

    assert_int_equal(step_on(cursor, &last, &status, &error), count);
    assert_ok(status, error);
    stele_cursor_close(cursor);
}

static void pages_follow_each_other_in_both_directions(void **state)
{
    const struct stele_query backwards = {.size = sizeof(backwards), .backwards = true};

    (void)state;
    fake_init(&fake, FAKE_MOST);
    assert_count(NULL, FAKE_MOST);
    assert_true(fake.reads > 3);
    assert_true(fake.reads < 10);
    assert_count(&backwards, FAKE_MOST);
}

static void later_pages_end_where_the_first_one_saw_the_end(void **state)
{
    const stele_message *lent = NULL;
    stele_cursor *cursor;
    stele_error *error = NULL;
    stele_status status;
    uint64_t last = 0;

    (void)state;
    fake_init(&fake, 500);
    fake.count = 100;
    cursor = open_cursor(NULL);
    assert_ok(stele_cursor_next(cursor, &lent, &error), error);
    fake.count = 500;
    assert_int_equal(step_on(cursor, &last, &status, &error), 99);
    assert_int_equal(last, fake_position(99));
    assert_int_equal(fake.greatest_until, fake_position(99));
    assert_int_equal(stele_cursor_head(cursor).position, fake_position(99));
    stele_cursor_close(cursor);
}

static void a_backend_that_stops_early_is_asked_again(void **state)
{
    const struct stele_query backwards = {.size = sizeof(backwards), .backwards = true};
    const struct stele_query limited = {.size = sizeof(limited), .limit = 50};

    (void)state;
    fake_init(&fake, 100);
    fake.stop_after = 7;
    assert_count(NULL, 100);
    assert_count(&backwards, 100);
    assert_count(&limited, 50);
}

static void a_page_is_no_longer_than_its_bytes_allow(void **state)
{
    enum { LARGE = 100 * 1024 };
    char *bytes = malloc(LARGE);
    stele_cursor *cursor;
    stele_error *error = NULL;
    stele_status status;
    uint64_t last = 0;

    (void)state;
    assert_non_null(bytes);
    memset(bytes, 0xc0, LARGE);
    fake_init(&fake, 20);
    for (size_t i = 0; i < fake.count; i++)
        fake.records[i].payload = (struct stele_slice){bytes, LARGE};
    cursor = open_cursor(NULL);
    assert_true(stele_memory_in_use() < 5 * LARGE); /* 3 of them pass 256 KiB */
    assert_int_equal(step_on(cursor, &last, &status, &error), 20);
    assert_ok(status, error);
    assert_true(stele_memory_in_use() < 5 * LARGE); /* the pages before are gone */
    stele_cursor_close(cursor);
    free(bytes);
}

static void a_page_that_ran_out_of_memory_in_its_middle_is_read_again_as_a_whole(void **state)
{
    enum { LARGE = 100 * 1024 };
    char *bytes = malloc(LARGE);

    (void)state;
    assert_non_null(bytes);
    memset(bytes, 0xc0, LARGE);
    fake_init(&fake, 20);
    for (size_t i = 0; i < fake.count; i++)
        fake.records[i].payload = (struct stele_slice){bytes, LARGE};
    for (size_t n = 1; n <= 8; n++) {
        stele_cursor *cursor = open_cursor(NULL);
        stele_status status;
        uint64_t last = 0;
        size_t count;

        support_fail_allocation(n);
        count = step_on(cursor, &last, &status, NULL);
        assert_int_equal(status, STELE_NO_MEMORY);
        support_fail_allocation(0);
        assert_int_equal(last, fake_position(count - 1));
        assert_int_equal(count + step_on(cursor, &last, &status, NULL), 20);
        assert_int_equal(status, STELE_OK);
        stele_cursor_close(cursor);
    }
    free(bytes);
}

static void a_damaged_row_comes_between_its_neighbours_and_reading_goes_on(void **state)
{
    stele_cursor *cursor;
    stele_error *error = NULL;
    stele_status status;
    uint64_t last = 0;

    (void)state;
    fake_init(&fake, 50);
    fake.damaged[40] = true; /* on the second page */
    cursor = open_cursor(NULL);
    assert_int_equal(step_on(cursor, &last, &status, &error), 40);
    assert_int_equal(status, STELE_CORRUPT);
    assert_int_equal(last, fake_position(39));
    assert_message(error, "410");
    stele_error_free(error);
    error = NULL;
    assert_int_equal(step_on(cursor, &last, &status, &error), 9);
    assert_ok(status, error);
    assert_int_equal(last, fake_position(49));
    stele_cursor_close(cursor);
}

static void a_damaged_first_row_does_not_keep_a_cursor_from_opening(void **state)
{
    const struct stele_query backwards = {.size = sizeof(backwards), .backwards = true};
    const struct stele_query *queries[] = {NULL, &backwards};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        stele_cursor *cursor;
        stele_status status;
        uint64_t last = 0;

        fake_init(&fake, 3);
        fake.damaged[i == 0 ? 0 : 2] = true;
        cursor = open_cursor(queries[i]);
        assert_int_equal(stele_cursor_head(cursor).position, fake_position(2));
        assert_int_equal(step_on(cursor, &last, &status, NULL), 0);
        assert_int_equal(status, STELE_CORRUPT);
        assert_int_equal(step_on(cursor, &last, &status, NULL), 2);
        assert_int_equal(status, STELE_OK);
        stele_cursor_close(cursor);
    }
}

static void several_damaged_rows_are_told_one_by_one(void **state)
{
    stele_cursor *cursor;
    stele_status status;
    uint64_t last = 0;

    (void)state;
    fake_init(&fake, 4);
    fake.damaged[1] = fake.damaged[2] = fake.damaged[3] = true;
    cursor = open_cursor(NULL);
    assert_int_equal(step_on(cursor, &last, &status, NULL), 1);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(status, STELE_CORRUPT);
        assert_int_equal(step_on(cursor, &last, &status, NULL), 0);
    }
    assert_int_equal(status, STELE_OK);
    stele_cursor_close(cursor);
}

static void damage_without_a_place_ends_the_reading(void **state)
{
    stele_cursor *cursor = NULL;
    stele_error *error = NULL;
    stele_status status;
    uint64_t last = 0;

    (void)state;
    fake_init(&fake, 50);
    fake.place_unknown = true;
    fake.damaged[40] = true;
    cursor = open_cursor(NULL);
    assert_int_equal(step_on(cursor, &last, &status, NULL), 40);
    assert_int_equal(status, STELE_CORRUPT);
    assert_int_equal(step_on(cursor, &last, &status, NULL), 0);
    assert_int_equal(status, STELE_OK);
    stele_cursor_close(cursor);
    cursor = NULL;
    fake.damaged[0] = true;
    assert_status(STELE_CORRUPT, stele_read(&fake.store, NULL, &cursor, &error), error);
    assert_null(cursor);
}

static void a_row_that_is_no_message_is_passed_and_counts_for_the_limit(void **state)
{
    const struct stele_query limited = {.size = sizeof(limited), .limit = 3};
    stele_cursor *cursor;
    stele_status status;
    uint64_t last = 0;

    (void)state;
    fake_init(&fake, 5);
    fake.records[2].meta = support_slice("\xc1");
    cursor = open_cursor(&limited);
    assert_int_equal(step_on(cursor, &last, &status, NULL), 2);
    assert_int_equal(status, STELE_CORRUPT);
    assert_int_equal(step_on(cursor, &last, &status, NULL), 0);
    assert_int_equal(status, STELE_OK);
    assert_int_equal(stele_cursor_head(cursor).position, fake_position(2));
    stele_cursor_close(cursor);
}

static void a_read_that_failed_can_be_tried_again(void **state)
{
    stele_cursor *cursor = NULL;
    stele_error *error = NULL;
    stele_status status;
    uint64_t last = 0;

    (void)state;
    fake_init(&fake, 100);
    fake.failing_read = 2;
    fake.failure = STELE_BUSY;
    cursor = open_cursor(NULL);
    assert_int_equal(step_on(cursor, &last, &status, &error), 32);
    assert_int_equal(status, STELE_BUSY);
    stele_error_free(error);
    error = NULL;
    assert_int_equal(step_on(cursor, &last, &status, &error), 68);
    assert_ok(status, error);
    stele_cursor_close(cursor);
    cursor = NULL;
    fake.reads = 0;
    fake.failing_read = 1;
    assert_status(STELE_BUSY, stele_read(&fake.store, NULL, &cursor, &error), error);
    assert_null(cursor);
}

static void a_cursor_closed_with_an_untold_fault_leaks_nothing(void **state)
{
    (void)state;
    fake_init(&fake, 3);
    fake.damaged[2] = true;
    stele_cursor_close(open_cursor(NULL));
}

/* --- Visiting without copies ----------------------------------------------------------- */

struct visit {
    size_t count;
    size_t stop_at;
    uint64_t last;
};

static bool count_visit(void *context, const stele_message *lent)
{
    struct visit *visit = context;

    visit->last = stele_message_position(lent);
    return ++visit->count != visit->stop_at;
}

static void a_visit_sees_every_event_without_allocating(void **state)
{
    struct visit visit = {.count = 0};
    struct stele_head head;
    stele_error *error = NULL;

    (void)state;
    fake_init(&fake, 500);
    fake.stop_after = 9;
    assert_ok(stele__store_visit(&fake.store, NULL, count_visit, &visit, &head, &error), error);
    assert_int_equal(visit.count, 500);
    assert_int_equal(head.position, fake_position(499));
    assert_int_equal(support_allocations(), 0);
}

static void a_visit_ends_where_its_visitor_or_limit_says(void **state)
{
    const struct stele_query limited = {.size = sizeof(limited), .limit = 20};
    struct visit visit = {.stop_at = 11};
    struct stele_head head;
    stele_error *error = NULL;

    (void)state;
    fake_init(&fake, 50);
    fake.stop_after = 9;
    assert_ok(stele__store_visit(&fake.store, NULL, count_visit, &visit, &head, &error), error);
    assert_int_equal(visit.count, 11);
    assert_int_equal(head.position, fake_position(49));
    visit = (struct visit){.count = 0};
    assert_ok(stele__store_visit(&fake.store, &limited, count_visit, &visit, &head, &error), error);
    assert_int_equal(visit.count, 20);
    assert_int_equal(head.position, fake_position(19));
}

static void a_visit_ends_at_damage(void **state)
{
    struct visit visit = {.count = 0};
    struct stele_head head = {.position = 77};
    stele_error *error = NULL;

    (void)state;
    fake_init(&fake, 50);
    fake.damaged[5] = true;
    assert_status(STELE_CORRUPT, stele__store_visit(&fake.store, NULL, count_visit, &visit, &head, &error), error);
    assert_int_equal(visit.count, 5);
    assert_int_equal(head.position, 77);
    fake_init(&fake, 50);
    fake.records[5].payload = support_slice(NULL);
    visit = (struct visit){.count = 0};
    assert_status(STELE_CORRUPT, stele__store_visit(&fake.store, NULL, count_visit, &visit, &head, &error), error);
    assert_int_equal(visit.count, 5);
    assert_int_equal(stele__store_visit(&fake.store, NULL, count_visit, &visit, NULL, NULL), STELE_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(pages_follow_each_other_in_both_directions),
        support_test(later_pages_end_where_the_first_one_saw_the_end),
        support_test(a_backend_that_stops_early_is_asked_again),
        support_test(a_page_is_no_longer_than_its_bytes_allow),
        support_test(a_page_that_ran_out_of_memory_in_its_middle_is_read_again_as_a_whole),
        support_test(a_damaged_row_comes_between_its_neighbours_and_reading_goes_on),
        support_test(a_damaged_first_row_does_not_keep_a_cursor_from_opening),
        support_test(several_damaged_rows_are_told_one_by_one),
        support_test(damage_without_a_place_ends_the_reading),
        support_test(a_row_that_is_no_message_is_passed_and_counts_for_the_limit),
        support_test(a_read_that_failed_can_be_tried_again),
        support_test(a_cursor_closed_with_an_untold_fault_leaks_nothing),
        support_test(a_visit_sees_every_event_without_allocating),
        support_test(a_visit_ends_where_its_visitor_or_limit_says),
        support_test(a_visit_ends_at_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
