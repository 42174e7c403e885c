/* Spans and traceparents, of observations made here. */
#include "tests/unit/bus/registry.h"

#include <stdio.h>
#include <string.h>

#include "bus/spans.h"

#define TRACE "0af7651916cd43dd8448eb211c80319c"
#define PARENT "b7ad6b7169203331"

struct seen_spans {
    struct stele_span spans[8];
    char names[8][64], texts[8][64];
    size_t count;
};

static void keep(void *context, const struct stele_span *span)
{
    struct seen_spans *seen = context;

    assert_true(seen->count < 8);
    snprintf(seen->names[seen->count], sizeof(seen->names[0]), "%s", span->name);
    snprintf(seen->texts[seen->count], sizeof(seen->texts[0]), "%s", span->text);
    seen->spans[seen->count++] = *span;
}

static void add_spans(struct registry *registry, struct seen_spans *seen)
{
    stele_error *error = NULL;

    assert_ok(stele__spans_new(registry->observers, keep, seen, &error), error);
    assert_true(stele__observers_salt(registry->observers) != 0);
}

static void handled(struct registry *registry, uint64_t call, uint64_t parent_call, stele_message *message)
{
    const struct stele_observation observation = {.seen = STELE_SEEN_HANDLED,
                                                  .time = 5000,
                                                  .duration_ns = 1200,
                                                  .route = "charge",
                                                  .call = call,
                                                  .parent_call = parent_call,
                                                  .attempt = 2};

    registry_tell(registry, observation, "order.placed", message);
}

static void only_the_form_of_w3c_trace_context_is_taken(void **state)
{
    static const char *const malformed[] = {
        "",
        "00",
        "00-" TRACE "-" PARENT,                                    /* no flags */
        "ff-" TRACE "-" PARENT "-01",                              /* a version that is none */
        "00-00000000000000000000000000000000-" PARENT "-01",       /* no trace */
        "00-" TRACE "-0000000000000000-01",                        /* no parent */
        "00-0AF7651916CD43DD8448EB211C80319C-" PARENT "-01",       /* upper case */
        "00-0af7651916cd43dd8448eb211c80319-b7ad6b71692033311-01", /* a hyphen out of place */
        "00-" TRACE "-" PARENT "-0g",                              /* no digit */
        "00-" TRACE "-" PARENT "-01-",                             /* something behind version 0 */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
        assert_null(stele__traceparent_trace(support_slice(malformed[i])).data);
        assert_null(stele__traceparent_parent(support_slice(malformed[i])).data);
    }
    assert_null(stele__traceparent_trace(support_slice(NULL)).data);
    assert_memory_equal(TRACE, stele__traceparent_trace(support_slice("00-" TRACE "-" PARENT "-01")).data, 32);
    assert_memory_equal(PARENT, stele__traceparent_parent(support_slice("00-" TRACE "-" PARENT "-01")).data, 16);
}

static void ORX48_a_span_says_whose_when_and_how(void **state)
{
    struct seen_spans seen = {.count = 0};
    struct registry registry;

    (void)state;
    registry_begin(&registry);
    add_spans(&registry, &seen);
    handled(&registry, 1, 0, event_of("order.placed", "1", NULL, "00-" TRACE "-" PARENT "-01"));
    registry_flush(&registry);
    assert_int_equal(1, seen.count);
    assert_string_equal(TRACE, seen.spans[0].trace_id);
    assert_string_equal(PARENT, seen.spans[0].parent_id);
    assert_int_equal(16, strspn(seen.spans[0].span_id, "0123456789abcdef"));
    assert_string_equal("charge order.placed", seen.names[0]);
    assert_int_equal(3800, seen.spans[0].start);
    assert_int_equal(5000, seen.spans[0].end);
    assert_int_equal(2, seen.spans[0].attempt);
    assert_int_equal(STELE_OK, seen.spans[0].status);
    registry_finish(&registry);
}

static void a_message_without_a_traceparent_starts_a_trace_that_all_its_handlers_share(void **state)
{
    static const char id[] = "0198c0de-0000-7000-8000-00000000002a";
    struct seen_spans seen = {.count = 0};
    struct registry registry;

    (void)state;
    registry_begin(&registry);
    add_spans(&registry, &seen);
    handled(&registry, 1, 0, event_of("order.placed", id, NULL, NULL));
    handled(&registry, 2, 0, event_of("order.placed", id, NULL, NULL));
    handled(&registry, 3, 0, event_of("order.placed", "no uuid", NULL, NULL));
    handled(&registry, 4, 0, event_of("order.placed", "00000000-0000-0000-0000-000000000000", NULL, NULL));
    registry_flush(&registry);
    assert_string_equal("0198c0de00007000800000000000002a", seen.spans[0].trace_id);
    assert_string_equal(seen.spans[0].trace_id, seen.spans[1].trace_id);
    assert_string_equal("", seen.spans[0].parent_id);
    assert_string_not_equal(seen.spans[0].span_id, seen.spans[1].span_id);
    assert_int_equal(32, strspn(seen.spans[2].trace_id, "0123456789abcdef"));
    assert_string_not_equal(seen.spans[0].trace_id, seen.spans[2].trace_id);
    assert_string_not_equal("00000000000000000000000000000000", seen.spans[3].trace_id);
    registry_finish(&registry);
}

static void ORX48_what_a_call_publishes_has_its_span_as_parent(void **state)
{
    struct seen_spans seen = {.count = 0};
    struct registry registry;
    stele_message *cause;
    char traceparent[STELE__TRACEPARENT_SIZE];

    (void)state;
    registry_begin(&registry);
    cause = event_of("order.placed", "1", NULL, "00-" TRACE "-" PARENT "-00");
    assert_false(stele__span_traceparent(registry.observers, cause, 1, traceparent)); /* nobody wants spans */
    add_spans(&registry, &seen);
    assert_false(stele__span_traceparent(registry.observers, cause, 0, traceparent));
    assert_true(stele__span_traceparent(registry.observers, cause, 1, traceparent));
    handled(&registry, 2, 1, event_of("order.paid", "2", NULL, traceparent));
    handled(&registry, 1, 0, cause);
    registry_flush(&registry);
    assert_string_equal(TRACE, seen.spans[0].trace_id);
    assert_string_equal(TRACE, seen.spans[1].trace_id);
    assert_string_equal(seen.spans[1].span_id, seen.spans[0].parent_id);
    assert_string_equal(PARENT, seen.spans[1].parent_id);
    /* The same by the text alone, as another process would read it; flags are kept. */
    assert_memory_equal(seen.spans[1].span_id, traceparent + 36, 16);
    assert_string_equal("-00", traceparent + 52);
    registry_finish(&registry);
}

/* A handler may send a message that it built itself, with the traceparent of its cause. */
static void the_parent_is_the_call_that_published_whatever_the_message_says(void **state)
{
    struct seen_spans seen = {.count = 0};
    struct registry registry;

    (void)state;
    registry_begin(&registry);
    add_spans(&registry, &seen);
    handled(&registry, 1, 0, event_of("order.placed", "1", NULL, "00-" TRACE "-" PARENT "-01"));
    handled(&registry, 2, 1, event_of("order.paid", "2", NULL, "00-" TRACE "-" PARENT "-01"));
    registry_flush(&registry);
    assert_string_equal(seen.spans[0].span_id, seen.spans[1].parent_id);
    registry_finish(&registry);
}

static void a_trace_made_here_is_passed_on_as_sampled(void **state)
{
    struct seen_spans seen = {.count = 0};
    struct registry registry;
    stele_message *cause = event_of("a", "0198c0de-0000-7000-8000-00000000002a", NULL, NULL);
    char traceparent[STELE__TRACEPARENT_SIZE];

    (void)state;
    registry_begin(&registry);
    add_spans(&registry, &seen);
    assert_true(stele__span_traceparent(registry.observers, cause, 9, traceparent));
    assert_memory_equal("00-0198c0de00007000800000000000002a-", traceparent, 36);
    assert_string_equal("-01", traceparent + 52);
    assert_memory_equal("0198c0de", stele__traceparent_trace(support_slice(traceparent)).data, 8);
    stele_message_unref(cause);
    registry_finish(&registry);
}

static void spans_end_with_their_observer(void **state)
{
    struct seen_spans seen = {.count = 0};
    struct registry registry;

    (void)state;
    registry_begin(&registry);
    add_spans(&registry, &seen);
    assert_true(stele__observers_remove(registry.observers, "spans"));
    assert_int_equal(0, stele__observers_salt(registry.observers));
    registry_finish(&registry);
}

static void span_ids_of_many_calls_differ(void **state)
{
    char first[STELE__SPAN_SIZE], each[STELE__SPAN_SIZE];

    (void)state;
    stele__span_id(1, 1, first);
    for (uint64_t call = 2; call < 10000; call++) {
        stele__span_id(1, call, each);
        assert_string_not_equal(first, each);
        assert_string_not_equal("0000000000000000", each);
    }
    stele__span_id(2, 1, each);
    assert_string_not_equal(first, each);
}

static stele_status add_and_remove(void *context, stele_error **error)
{
    struct registry *registry = context;
    struct seen_spans seen = {.count = 0};
    const stele_status status = stele__spans_new(registry->observers, keep, &seen, error);

    if (status == STELE_OK)
        assert_true(stele__observers_remove(registry->observers, "spans"));
    return status;
}

static void adding_survives_each_failed_allocation(void **state)
{
    struct registry registry;

    (void)state;
    registry_begin(&registry);
    assert_int_equal(3, support_every_allocation_fails(add_and_remove, &registry));
    registry_finish(&registry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(only_the_form_of_w3c_trace_context_is_taken),
        support_test(ORX48_a_span_says_whose_when_and_how),
        support_test(a_message_without_a_traceparent_starts_a_trace_that_all_its_handlers_share),
        support_test(ORX48_what_a_call_publishes_has_its_span_as_parent),
        support_test(the_parent_is_the_call_that_published_whatever_the_message_says),
        support_test(a_trace_made_here_is_passed_on_as_sampled),
        support_test(spans_end_with_their_observer),
        support_test(span_ids_of_many_calls_differ),
        support_test(adding_survives_each_failed_allocation),
    };

    return cmocka_run_group_tests_name("spans", tests, NULL, NULL);
}
