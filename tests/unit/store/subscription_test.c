/* Subscriptions: reading on, live, waiting, where they begin and end (C4, C6, V6). */
#include "tests/unit/store/subscription_stage.h"

static const struct stele_subscriber plain = {PLAIN};

static void C4_it_catches_up_goes_live_and_keeps_its_position(void **state)
{
    struct stage stage;
    struct receiver first = {0}, second = {0};

    (void)state;
    begin_stage(&stage, "memory:");
    append_many(stage.store, 3);
    begin_subscription(&stage, &plain, &first);
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(first.shown, "1 2 3 ");
    assert_state(&first, STELE_SUBSCRIPTION_LIVE);
    append_many(stage.store, 1);
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(first.shown, "1 2 3 4 ");
    assert_string_equal(first.states, "live, ");
    stele_subscription_free(first.subscription);
    assert_int_equal(checkpoint_of(&stage, "reader"), 4);
    append_many(stage.store, 1);
    begin_subscription(&stage, &plain, &second);
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(second.shown, "5 ");
    stele_subscription_free(second.subscription);
    end_stage(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(C4_it_catches_up_goes_live_and_keeps_its_position),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
