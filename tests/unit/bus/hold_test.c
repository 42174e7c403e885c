/* A delivery that is called again, and what happens to its mailbox meanwhile. */
#include "tests/unit/bus/stage.h"

#include <stele/deadletters.h>

#include "runtime/runtime.h"

static const struct stele_retry once_more = {
    .max_attempts = 2, .backoff = STELE_BACKOFF_FIXED, .jitter = STELE_JITTER_NONE, .delay_ms = 5};
static const struct stele_interceptor retry = {.name = "retry", STELE_RETRY(&once_more)};
static const struct stele_interceptor *const retrying[] = {&retry, NULL};

struct sleeper {
    unsigned calls;
    bool is_running;
    bool has_overlapped;
};

/* Fails at once, and takes 10 ms the second time. */
static stele_status sleep_again(void *resource, const stele_message *message, stele_context *context)
{
    struct sleeper *sleeper = resource;
    struct stele__signal never;

    (void)message;
    sleeper->has_overlapped = sleeper->has_overlapped || sleeper->is_running;
    sleeper->calls++;
    if (stele_context_attempt(context) == 1)
        return STELE_TIMEOUT;
    sleeper->is_running = true;
    if (stele__signal_init(&never)) {
        stele__runtime_wait(stage_runtime, &never, stele__runtime_monotonic(stage_runtime) + 10 * MS);
        stele__signal_fini(&never);
    }
    sleeper->is_running = false;
    return STELE_OK;
}

static void publish(const char *order)
{
    stele_message *message = stage_order(order, 1, NULL);
    stele_error *error = NULL;

    assert_ok(stele_publish(stage_bus, message, NULL, &error), error);
    stele_message_unref(message);
}

static void a_mailbox_that_is_resumed_waits_for_the_call_that_is_made_again(void **state)
{
    static const struct stele_route route = {.name = "sleeper",
                                             .on = "order.placed",
                                             .handle = sleep_again,
                                             .delivery = STELE_QUEUED,
                                             .interceptors = retrying};
    struct sleeper sleeper = {0};
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele_bus_add_route(stage_bus, &route, &sleeper, NULL, &error), error);
    publish("1");
    publish("2");
    stele_runtime_advance(stage_runtime, 6 * MS);
    assert_int_equal(sleeper.calls, 2);
    assert_true(sleeper.is_running);
    assert_ok(stele_bus_resume(stage_bus, "sleeper", &error), error);
    stele_runtime_advance(stage_runtime, 8 * MS);
    assert_int_equal(sleeper.calls, 2);
    stele_runtime_advance(stage_runtime, 100 * MS);
    assert_int_equal(sleeper.calls, 4);
    assert_false(sleeper.has_overlapped);
}

static void a_mailbox_that_is_paused_meanwhile_stays_paused_behind_the_call(void **state)
{
    static const struct stele_route route = {.name = "sleeper",
                                             .on = "order.placed",
                                             .handle = sleep_again,
                                             .delivery = STELE_QUEUED,
                                             .interceptors = retrying};
    struct sleeper sleeper = {0};
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele_bus_add_route(stage_bus, &route, &sleeper, NULL, &error), error);
    publish("1");
    publish("2");
    stele_runtime_advance(stage_runtime, 6 * MS);
    assert_ok(stele_bus_pause(stage_bus, "sleeper", &error), error);
    stele_runtime_advance(stage_runtime, 100 * MS);
    assert_int_equal(sleeper.calls, 2);
    assert_ok(stele_bus_resume(stage_bus, "sleeper", &error), error);
    stele_runtime_advance(stage_runtime, 100 * MS);
    assert_int_equal(sleeper.calls, 4);
}

static bool count_letter(void *context, const struct stele_dead_letter *letter)
{
    (void)letter;
    ++*(unsigned *)context;
    return true;
}

static void a_requeued_letter_that_a_full_mailbox_drops_is_not_taken_for_handled(void **state)
{
    static const struct stele_route route = {.name = "actor",
                                             .on = "order.placed",
                                             .handle = stage_act,
                                             .delivery = STELE_QUEUED,
                                             .capacity = 1,
                                             .overflow = STELE_DROP_OLDEST};
    const struct stele_dead_query all = {.size = sizeof(all), .with_requeued = true};
    struct actor actor = {.fails = 1};
    unsigned letters = 0;
    stele_error *error = NULL;

    (void)state;
    stage_add(&route, &actor);
    publish("1");
    stele_runtime_run_until_idle(stage_runtime);
    assert_ok(stele_bus_pause(stage_bus, "actor", &error), error);
    assert_ok(stele_dead_requeue(stage_bus, NULL, NULL, &error), error);
    publish("2");
    assert_ok(stele_bus_resume(stage_bus, "actor", &error), error);
    stele_runtime_run_until_idle(stage_runtime);
    assert_int_equal(actor.calls, 2);
    assert_ok(stele_dead_list(stage_bus, &all, count_letter, &letters, &error), error);
    assert_int_equal(letters, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage_test(a_mailbox_that_is_resumed_waits_for_the_call_that_is_made_again),
        stage_test(a_mailbox_that_is_paused_meanwhile_stays_paused_behind_the_call),
        stage_test(a_requeued_letter_that_a_full_mailbox_drops_is_not_taken_for_handled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
