/* A durable route that ends while its handler runs: what was not handled comes again. */
#include "tests/unit/bus/log_stage.h"

#include "runtime/runtime.h"

struct slow {
    stele_runtime *runtime;
    unsigned calls;
    bool fails;
};

static stele_status take_long(void *resource, const stele_message *message, stele_context *context)
{
    struct slow *slow = resource;
    struct stele__signal never;

    (void)message;
    (void)context;
    slow->calls++;
    if (stele__signal_init(&never)) {
        stele__runtime_wait(slow->runtime, &never, stele__runtime_monotonic(slow->runtime) + 10000000);
        stele__signal_fini(&never);
    }
    return slow->fails ? STELE_FAILED : STELE_OK;
}

static void what_would_be_suspended_comes_again_if_its_route_was_removed_meanwhile(void **state)
{
    static const struct stele_route route = {.name = "slow",
                                             .on = ">",
                                             .handle = take_long,
                                             .delivery = STELE_DURABLE,
                                             .begin = STELE_BEGIN_FIRST,
                                             .on_failure = STELE_SUSPEND};
    struct log_stage stage = {.store = log_stage_store("memory:")};
    struct slow slow = {.fails = true};
    uint64_t position = 0;
    stele_route_id id;
    stele_error *error = NULL;

    (void)state;
    log_stage_begin(&stage, 0);
    slow.runtime = stage.runtime;
    assert_ok(stele_bus_add_route(stage.bus, &route, &slow, &id, &error), error);
    log_stage_append(stage.store, "order.placed", "1");
    stele_runtime_run(stage.runtime, 10);
    assert_int_equal(slow.calls, 1);
    assert_true(stele_bus_remove_route(stage.bus, id));
    stele_runtime_advance(stage.runtime, 1000000000);
    assert_ok(stele_checkpoint_read(stage.store, "slow", &position, &error), error);
    assert_int_equal(position, 0);
    slow.fails = false;
    assert_ok(stele_bus_add_route(stage.bus, &route, &slow, NULL, &error), error);
    stele_runtime_advance(stage.runtime, 1000000000);
    assert_int_equal(slow.calls, 2);
    assert_ok(stele_checkpoint_read(stage.store, "slow", &position, &error), error);
    assert_int_equal(position, 1);
    log_stage_end(&stage);
    stele_store_close(stage.store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(what_would_be_suspended_comes_again_if_its_route_was_removed_meanwhile),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
