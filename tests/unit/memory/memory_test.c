/* What only the memory backend promises: failed appends leave no trace, records never move. */
#include "tests/support/support.h"

#include <stdio.h>
#include <string.h>

#include "memory/log.h"

static struct stele_record record(const char *id, const char *stream, const char *type)
{
    return (struct stele_record){
        .stream = support_slice(stream), .type = support_slice(type), .type_version = 1, .id = support_slice(id)};
}

static bool add(struct memory__log *log, const struct stele_record *records, size_t count,
                struct stele_appended *result)
{
    struct stele_append_member member = {.records = records, .record_count = count};

    if (!memory__log_enter(log, &member))
        return false;
    memory__log_publish(log, &member);
    if (result)
        *result = member.result;
    return true;
}

static void an_addition_that_ran_out_of_memory_leaves_no_trace(void **state)
{
    const struct stele_record before = record("id-0", "a", "t.one");
    const struct stele_record records[] = {
        record("id-1", "a", "t.one"), record("id-2", "b", "t.two"), record("id-3", "b", "t.three"),
        record("id-4", "a", "t.two"), record("id-5", "c", "t.two"),
    };
    struct memory__log log;
    struct stele_appended result;
    bool added = false;

    (void)state;
    memory__log_init(&log);
    assert_true(add(&log, &before, 1, NULL));
    for (size_t n = 1; !added; n++) {
        support_fail_allocation(n);
        added = add(&log, records, 5, &result);
        support_fail_allocation(0);
        if (added)
            break;
        assert_int_equal(log.events.count, 1);
        assert_int_equal(log.stream_count, 1);
        assert_int_equal(log.types.count, 1);
        assert_int_equal(log.texts.count, 1);
        assert_null(memory__log_find(&log, &records[0]));
        assert_null(memory__log_stream(&log, support_slice("b")));
        assert_int_equal(memory__log_stream(&log, support_slice("a"))->events.count, 1);
    }
    assert_int_equal(result.version, 1);
    assert_true(result.created);
    assert_int_equal(result.first_position, 2);
    assert_int_equal(result.last_position, 6);
    assert_int_equal(log.stream_count, 3);
    assert_int_equal(log.types.count, 3);
    assert_int_equal(memory__log_stream(&log, support_slice("a"))->events.count, 3);
    memory__log_fini(&log);
}

static void what_was_seen_stays_where_it_is_while_the_log_grows(void **state)
{
    struct memory__log log;
    struct memory__sequence seen = {0};
    const struct stele_record *first = NULL;

    (void)state;
    memory__log_init(&log);
    for (int i = 0; i < 5000; i++) {
        char id[16];
        struct stele_record next;

        snprintf(id, sizeof(id), "id-%d", i);
        next = record(id, "a", "t");
        assert_true(add(&log, &next, 1, NULL));
        if (i == 9) {
            seen = log.events;
            first = seen.records[0];
        }
    }
    assert_int_equal(seen.count, 10);
    assert_ptr_equal(seen.records[0], first);
    assert_ptr_equal(log.events.records[0], first);
    for (size_t i = 0; i < seen.count; i++)
        assert_int_equal(seen.records[i]->position, i + 1);
    memory__log_fini(&log);
}

static void names_are_kept_once(void **state)
{
    const struct stele_record one = record("id-1", "a", "t");
    const struct stele_record two = record("id-2", "a", "t");
    struct memory__log log;

    (void)state;
    memory__log_init(&log);
    assert_true(add(&log, &one, 1, NULL));
    assert_true(add(&log, &two, 1, NULL));
    assert_ptr_equal(log.events.records[0]->type.data, log.events.records[1]->type.data);
    assert_ptr_equal(log.events.records[0]->stream.data, log.events.records[1]->stream.data);
    memory__log_fini(&log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(an_addition_that_ran_out_of_memory_leaves_no_trace),
        support_test(what_was_seen_stays_where_it_is_while_the_log_grows),
        support_test(names_are_kept_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
