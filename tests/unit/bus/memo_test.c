/* Memoising on a bus. */
#include "tests/unit/bus/stage.h"

#include <stdatomic.h>
#include <string.h>

static struct actor placed;
static const struct stele_route placed_route = {
    .name = "placed", .on = "order.placed", .handle = stage_act, .on_failure = STELE_IGNORE};

/* What was published, as a route for it saw it. */
enum { SEEN = 8 };
static stele_message *seen[SEEN];
static size_t seen_count;

static stele_status see(void *resource, const stele_message *message, stele_context *context)
{
    (void)resource;
    (void)context;
    assert_in_range(seen_count, 0, SEEN - 1);
    seen[seen_count] = stele_message_ref(message);
    return seen[seen_count++] ? STELE_OK : STELE_NO_MEMORY;
}

static const struct stele_route seen_route = {.name = "seen", .on = "order.paid", .handle = see};

static const struct stele_memo settings = {.name = "payments", .version = 1};
static const struct stele_interceptor memo = {.name = "memo", .on = "order.placed", STELE_MEMO(&settings)};

static int setup(void **state)
{
    const int result = stage_setup(state);

    placed = (struct actor){.publishes = true};
    seen_count = 0;
    if (result == 0) {
        stage_add(&placed_route, &placed);
        stage_add(&seen_route, NULL);
    }
    return result;
}

static int teardown(void **state)
{
    for (size_t i = 0; i < seen_count; i++)
        stele_message_unref(seen[i]);
    return stage_teardown(state);
}

#define memo_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static bool equal(struct stele_slice left, struct stele_slice right)
{
    return left.size == right.size && memcmp(left.data, right.data, left.size) == 0;
}

static void FWK16_same_input_twice_is_one_call_and_its_outputs_twice(void **state)
{
    (void)state;
    stage_intercept(&memo);
    assert_int_equal(STELE_OK, stage_deliver());
    assert_int_equal(STELE_OK, stage_deliver());
    assert_int_equal(1, placed.calls);
    assert_int_equal(2, seen_count);
    assert_true(equal(stele_message_payload(seen[0]), stele_message_payload(seen[1])));
    assert_true(equal(stele_message_type(seen[0]), stele_message_type(seen[1])));
}

static void FWK16_outputs_again_have_new_ids_and_the_new_cause(void **state)
{
    stele_message *first = stage_order("o", 5, "ann");
    stele_message *second = stage_order("o", 5, "bob");
    struct stele_extension user;

    (void)state;
    stage_intercept(&memo);
    assert_int_equal(STELE_OK, stage_deliver_message(first, NULL));
    assert_int_equal(STELE_OK, stage_deliver_message(second, NULL));
    assert_int_equal(1, placed.calls);
    assert_int_equal(2, seen_count);
    assert_false(equal(stele_message_id(seen[0]), stele_message_id(seen[1])));
    assert_true(equal(stele_message_id(second), stele_message_causationid(seen[1])));
    assert_true(equal(stele_message_id(second), stele_message_correlationid(seen[1])));
    assert_true(stele_message_extension(seen[1], 0, &user));
    assert_true(equal(support_slice("bob"), user.text));
    assert_false(stele_message_extension(seen[1], 1, &user));
    stele_message_unref(first);
    stele_message_unref(second);
}

/* Once upon a time half of what a failing call had said was kept. */
static void FWK16_a_failing_call_is_not_kept(void **state)
{
    (void)state;
    placed.fails = 1;
    stage_intercept(&memo);
    assert_int_equal(STELE_FAILED, stage_deliver());
    assert_int_equal(STELE_OK, stage_deliver());
    assert_int_equal(STELE_OK, stage_deliver());
    assert_int_equal(2, placed.calls);
    assert_int_equal(2, seen_count);
}

static void FWK16_another_input_is_another_call(void **state)
{
    (void)state;
    stage_intercept(&memo);
    assert_int_equal(STELE_OK, stage_deliver_order("a"));
    assert_int_equal(STELE_OK, stage_deliver_order("b"));
    assert_int_equal(2, placed.calls);
}

static void each_route_has_results_of_its_own(void **state)
{
    static const struct stele_route other = {.name = "other", .on = "order.placed", .handle = stage_act};
    struct actor actor = {0};

    (void)state;
    stage_add(&other, &actor);
    stage_intercept(&memo);
    assert_int_equal(STELE_OK, stage_deliver());
    assert_int_equal(STELE_OK, stage_deliver());
    assert_int_equal(1, placed.calls);
    assert_int_equal(1, actor.calls);
    assert_int_equal(2, seen_count);
}

static void beyond_its_entries_the_longest_unused_goes(void **state)
{
    static const struct stele_memo two = {.name = "two", .version = 1, .entries = 2};
    static const struct stele_interceptor small = {.name = "small", STELE_MEMO(&two)};
    static const struct {
        const char *order;
        unsigned calls; /* so far */
    } steps[] = {{"a", 1}, {"b", 2}, {"a", 2}, {"c", 3}, {"a", 3}, {"b", 4}, {"a", 4}, {"c", 5}};

    (void)state;
    placed.publishes = false;
    stage_intercept(&small);
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        assert_int_equal(STELE_OK, stage_deliver_order(steps[i].order));
        assert_int_equal(steps[i].calls, placed.calls);
    }
}

static void FWK20_a_new_version_knows_nothing_of_the_old_one(void **state)
{
    static const struct stele_memo raised = {.name = "payments", .version = 2};
    static const struct stele_interceptor newer = {.name = "newer", .on = "order.placed", STELE_MEMO(&raised)};

    (void)state;
    stage_intercept(&memo);
    assert_int_equal(STELE_OK, stage_deliver());
    assert_true(stele_bus_remove_interceptor(stage_bus, "memo"));
    stage_intercept(&newer);
    assert_int_equal(STELE_OK, stage_deliver());
    assert_int_equal(2, placed.calls);
}

static void FWK20_a_second_memo_of_the_same_name_is_an_error(void **state)
{
    static const struct stele_interceptor same = {.name = "same", STELE_MEMO(&settings)};
    stele_error *error = NULL;

    (void)state;
    stage_intercept(&memo);
    assert_failure(STELE_INVALID, stele_bus_add_interceptor(stage_bus, &same, &error), error);
    assert_message(error, "payments 1");
    stele_error_free(error);
}

static stele_status remove_and_add(void *resource, const stele_message *message, stele_context *context)
{
    stele_bus *bus = stele_context_bus(context);

    (void)resource;
    (void)message;
    assert_true(stele_bus_remove_interceptor(bus, "memo"));
    return stele_bus_add_interceptor(bus, &memo, NULL);
}

static void a_name_is_free_as_soon_as_its_memo_is_removed(void **state)
{
    static const struct stele_route route = {.name = "renew", .on = "order.placed", .handle = remove_and_add};
    stele_error *error = NULL;

    (void)state;
    stage_intercept(&memo);
    assert_ok(stele_bus_add_route(stage_bus, &route, NULL, NULL, &error), error);
    assert_int_equal(STELE_OK, stage_deliver());
    assert_int_equal(STELE_OK, stage_deliver());
    assert_int_equal(2, placed.calls);
}

static void without_memory_the_handler_is_called_each_time(void **state)
{
    stele_message *message = stage_order("o", 5, NULL);

    (void)state;
    stage_intercept(&memo);
    for (size_t n = 1; n < 40; n++) {
        stele_error *error = NULL;
        stele_status status;

        placed.calls = 0;
        for (; seen_count; seen_count--)
            stele_message_unref(seen[seen_count - 1]);
        support_fail_allocation(n);
        status = stele_deliver(stage_bus, message, NULL, NULL, &error);
        support_fail_allocation(0);
        assert_true(status == STELE_OK || status == STELE_NO_MEMORY);
        assert_in_range(placed.calls, 0, 1);
        stele_error_free(error);
    }
    placed.calls = 0;
    assert_int_equal(STELE_OK, stage_deliver_message(message, NULL));
    assert_int_equal(0, placed.calls);
    stele_message_unref(message);
}

/* --- With threads -------------------------------------------------------------------------- */

static atomic_uint calls, payments;

static stele_status pay(void *resource, const stele_message *message, stele_context *context)
{
    (void)resource;
    (void)message;
    atomic_fetch_add(&calls, 1);
    return STELE_PUBLISH(context, order_paid, .order = "o");
}

static stele_status count_payment(void *resource, const stele_message *message, stele_context *context)
{
    (void)resource;
    (void)message;
    (void)context;
    atomic_fetch_add(&payments, 1);
    return STELE_OK;
}

/* Each of 16 inputs is computed once, and each of 400 messages leads to its payment. */
static void FWK16_threads_share_what_is_kept(void **state)
{
    static const struct stele_route pay_route = {
        .name = "pay", .on = "order.placed", .handle = pay, .delivery = STELE_QUEUED, .partition = "amount"};
    static const struct stele_route count_route = {.name = "count", .on = "order.paid", .handle = count_payment};
    enum { INPUTS = 16, MESSAGES = 400 };
    stele_runtime *runtime = NULL;
    stele_bus *bus = NULL;
    stele_error *error = NULL;

    (void)state;
    atomic_store(&calls, 0);
    atomic_store(&payments, 0);
    assert_ok(stele_runtime_new(4, NULL, &runtime, &error), error);
    assert_ok(stele_bus_new(runtime, NULL, &bus, &error), error);
    assert_ok(stele_bus_add_interceptor(bus, &memo, &error), error);
    assert_ok(stele_bus_add_route(bus, &pay_route, NULL, NULL, &error), error);
    assert_ok(stele_bus_add_route(bus, &count_route, NULL, NULL, &error), error);
    for (int i = 0; i < MESSAGES; i++) {
        stele_message *message = stage_order("o", 1 + i % INPUTS, NULL);

        assert_ok(stele_publish(bus, message, NULL, &error), error);
        stele_message_unref(message);
    }
    assert_ok(stele_bus_stop(bus, 60000, NULL, &error), error);
    assert_int_equal(INPUTS, calls);
    assert_int_equal(MESSAGES, payments);
    stele_bus_free(bus);
    stele_runtime_free(runtime);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        memo_test(FWK16_same_input_twice_is_one_call_and_its_outputs_twice),
        memo_test(FWK16_outputs_again_have_new_ids_and_the_new_cause),
        memo_test(FWK16_a_failing_call_is_not_kept),
        memo_test(FWK16_another_input_is_another_call),
        memo_test(each_route_has_results_of_its_own),
        memo_test(beyond_its_entries_the_longest_unused_goes),
        memo_test(FWK20_a_new_version_knows_nothing_of_the_old_one),
        memo_test(FWK20_a_second_memo_of_the_same_name_is_an_error),
        memo_test(a_name_is_free_as_soon_as_its_memo_is_removed),
        memo_test(without_memory_the_handler_is_called_each_time),
        memo_test(FWK16_threads_share_what_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
