/* What a store remembers of subscriptions: paused, failed, finished, detached; and the list of all (C4). */
#include "tests/unit/store/subscription_stage.h"

static const struct stele_subscriber plain = {PLAIN};

static void start_again(struct stage *stage, const struct stele_subscriber *subscriber, struct receiver *receiver)
{
    stele_subscription_free(receiver->subscription);
    begin_subscription(stage, subscriber, receiver);
    stele_runtime_run_until_idle(stage->runtime);
}

static void C4_paused_it_stands_still_also_in_the_next_process(void **state)
{
    struct stage stage;
    struct receiver receiver = {0};
    stele_error *error = NULL;

    (void)state;
    begin_stage(&stage, "memory:");
    begin_subscription(&stage, &plain, &receiver);
    assert_ok(stele_subscription_pause(receiver.subscription, &error), error);
    assert_ok(stele_subscription_pause(receiver.subscription, &error), error);
    append_many(stage.store, 2); /* at 2 and 3 */
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(receiver.shown, "");
    assert_state(&receiver, STELE_SUBSCRIPTION_PAUSED);
    assert_status(STELE_CANCELLED, stele_subscription_wait(receiver.subscription, 3, 1000, &error), error);
    start_again(&stage, &plain, &receiver);
    assert_string_equal(receiver.shown, "");
    assert_state(&receiver, STELE_SUBSCRIPTION_PAUSED);
    assert_ok(stele_subscription_resume(receiver.subscription, &error), error);
    assert_ok(stele_subscription_resume(receiver.subscription, &error), error);
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(receiver.shown, "2 3 ");
    assert_string_equal(receiver.states, "paused, catching up, live, ");
    start_again(&stage, &plain, &receiver);
    assert_state(&receiver, STELE_SUBSCRIPTION_LIVE);
    stele_subscription_free(receiver.subscription);
    end_stage(&stage);
}

static void pause_at_two(struct receiver *receiver, const stele_message *event)
{
    stele_error *error = NULL;

    if (stele_message_position(event) == 2)
        assert_ok(stele_subscription_pause(receiver->subscription, &error), error);
}

static void assert_pause_inside(const struct stele_subscriber *subscriber, const char *before, const char *after)
{
    struct stage stage;
    struct receiver receiver = {.during = pause_at_two};
    stele_error *error = NULL;

    begin_stage(&stage, "memory:");
    append_many(stage.store, 4);
    begin_subscription(&stage, subscriber, &receiver);
    stele_runtime_run_until_idle(stage.runtime);
    assert_state(&receiver, STELE_SUBSCRIPTION_PAUSED);
    assert_string_equal(subscriber->load ? receiver.stored : receiver.shown, before);
    assert_ok(stele_subscription_resume(receiver.subscription, &error), error);
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(subscriber->load ? receiver.stored : receiver.shown, after);
    stele_subscription_free(receiver.subscription);
    end_stage(&stage);
}

static void C4_paused_by_its_own_function_it_stops_behind_that_event(void **state)
{
    static const struct stele_subscriber own = {TRANSACTIONAL};

    (void)state;
    assert_pause_inside(&plain, "1 2 ", "1 2 3 4 ");
    assert_pause_inside(&own, "1 2 ", "1 2 3 4 ");
}

static void C4_a_retry_that_is_paused_begins_anew_when_it_is_resumed(void **state)
{
    struct stage stage;
    struct receiver receiver = {.fails_at = 1, .fails = 4};
    stele_error *error = NULL;

    (void)state;
    begin_stage(&stage, "memory:");
    append_many(stage.store, 1);
    begin_subscription(&stage, &plain, &receiver);
    stele_runtime_advance(stage.runtime, SECOND);
    assert_int_equal(receiver.calls, 2);
    assert_ok(stele_subscription_pause(receiver.subscription, &error), error);
    stele_runtime_advance(stage.runtime, 60 * SECOND);
    assert_int_equal(receiver.calls, 2);
    assert_ok(stele_subscription_resume(receiver.subscription, &error), error);
    /* All three attempts: the last one succeeds. */
    stele_runtime_advance(stage.runtime, 60 * SECOND);
    assert_string_equal(receiver.shown, "1 ");
    stele_subscription_free(receiver.subscription);
    end_stage(&stage);
}

static void C4_failed_it_stands_also_in_the_next_process_and_says_why(void **state)
{
    static const struct stele_subscriber stops = {PLAIN, .on_failure = STELE_POISON_STOP};
    struct stage stage;
    struct receiver receiver = {.fails_at = 2, .fails = 3, .status = STELE_MALFORMED};
    stele_error *error = NULL;

    (void)state;
    begin_stage(&stage, "memory:");
    append_many(stage.store, 3);
    begin_subscription(&stage, &stops, &receiver);
    stele_runtime_run_until_idle(stage.runtime);
    start_again(&stage, &stops, &receiver);
    assert_state(&receiver, STELE_SUBSCRIPTION_FAILED);
    assert_int_equal(stats_of(&receiver).last_error, STELE_MALFORMED);
    assert_int_equal(stats_of(&receiver).last_error_position, 2);
    assert_status(STELE_FAILED, stele_subscription_wait(receiver.subscription, 3, 10, &error), error);
    receiver.fails = 0;
    assert_ok(stele_subscription_resume(receiver.subscription, &error), error);
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(receiver.shown, "1 2 3 ");
    stele_subscription_free(receiver.subscription);
    end_stage(&stage);
}

/* --- The list ---------------------------------------------------------------------------------- */

struct listing {
    char text[1024];
};

static bool list_one(void *context, const struct stele_subscription_record *record)
{
    struct listing *listing = context;
    const size_t used = strlen(listing->text);

    snprintf(listing->text + used, sizeof(listing->text) - used,
             "%s %s %" PRIu64 "/%" PRIu64 " %" PRIu64 " %s@%" PRIu64 "\n", record->name,
             stele_subscription_state_name(record->state), record->position, record->lag, record->parked, record->code,
             record->at);
    return true;
}

static void assert_listed(const struct stage *stage, const char *expected)
{
    struct listing listing = {""};
    stele_error *error = NULL;

    assert_ok(stele_subscriptions_visit(stage->store, list_one, &listing, &error), error);
    assert_string_equal(listing.text, expected);
}

/* What the library itself appends is nobody's lag. */
static void ORX32_the_store_lists_all_it_knows_by_name(void **state)
{
    static const struct stele_subscriber stops = {PLAIN_AS("b"), .on_failure = STELE_POISON_STOP};
    static const struct stele_subscriber parks = {PLAIN_AS("a")};
    struct stage stage;
    struct receiver one = {.fails_at = 1, .fails = UINT32_MAX, .status = STELE_MALFORMED}, other = one;
    stele_error *error = NULL;

    (void)state;
    begin_stage(&stage, "memory:");
    assert_listed(&stage, "");
    append_many(stage.store, 2);
    assert_ok(stele_checkpoint_write(stage.store, "a-route", STELE_NO_CHECKPOINT, 0, &error), error);
    begin_subscription(&stage, &stops, &one);
    stele_runtime_run_until_idle(stage.runtime); /* at 3: "b" has failed */
    begin_subscription(&stage, &parks, &other);
    stele_runtime_advance(stage.runtime, SECOND); /* at 4: 1 is parked */
    stele_subscription_free(one.subscription);
    stele_subscription_free(other.subscription);
    assert_listed(&stage, "a live 4/0 1 @0\n"
                          "a-route catching up 0/2 0 @0\n"
                          "b failed 0/2 0 MALFORMED@1\n");
    end_stage(&stage);
}

static void C4_one_whose_code_is_gone_is_detached_until_it_is_attached(void **state)
{
    static const struct stele_subscriber other = {PLAIN_AS("other")};
    static const char *const kept[] = {"other", NULL};
    struct stage stage;
    struct receiver one = {0}, two = {0};
    stele_subscription *refused = NULL;
    stele_error *error = NULL;
    uint64_t detached = 0;

    (void)state;
    begin_stage(&stage, "memory:");
    begin_subscription(&stage, &plain, &one);
    begin_subscription(&stage, &other, &two);
    append_many(stage.store, 1);
    stele_runtime_run_until_idle(stage.runtime);
    assert_ok(stele_subscriptions_keep(stage.store, kept, &detached, &error), error);
    assert_int_equal(detached, 1);
    assert_ok(stele_subscriptions_keep(stage.store, kept, &detached, &error), error);
    assert_int_equal(detached, 0);
    /* One that runs shows nothing more. */
    append_many(stage.store, 1);
    stele_runtime_run_until_idle(stage.runtime);
    assert_state(&one, STELE_SUBSCRIPTION_DETACHED);
    assert_string_equal(one.shown, "1 ");
    assert_string_equal(two.shown, "1 3 ");
    assert_status(STELE_INVALID, stele_subscription_resume(one.subscription, &error), error);
    stele_subscription_free(one.subscription);
    assert_failure(STELE_CONFLICT, stele_subscription_start(stage.store, stage.runtime, &plain, &one, &refused, &error),
                   error);
    assert_string_equal(stele_error_get(error, "state"), "detached");
    stele_error_free(error);
    error = NULL;
    assert_status(STELE_NOT_FOUND, stele_subscription_attach(stage.store, "nobody", &error), error);
    assert_ok(stele_subscription_attach(stage.store, "reader", &error), error);
    assert_ok(stele_subscription_attach(stage.store, "reader", &error), error);
    begin_subscription(&stage, &plain, &one);
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(one.shown, "1 3 ");
    stele_subscription_free(one.subscription);
    stele_subscription_free(two.subscription);
    end_stage(&stage);
}

static void wrong_arguments_are_named(void **state)
{
    struct stage stage;
    stele_error *error = NULL;

    (void)state;
    begin_stage(&stage, "memory:");
    assert_status(STELE_INVALID, stele_subscriptions_visit(NULL, list_one, NULL, &error), error);
    assert_status(STELE_INVALID, stele_subscriptions_visit(stage.store, NULL, NULL, &error), error);
    assert_status(STELE_INVALID, stele_subscriptions_keep(stage.store, NULL, NULL, &error), error);
    assert_status(STELE_INVALID, stele_subscription_attach(stage.store, NULL, &error), error);
    assert_status(STELE_INVALID, stele_subscription_pause(NULL, &error), error);
    assert_status(STELE_INVALID, stele_subscription_resume(NULL, &error), error);
    assert_status(STELE_INVALID, stele_subscription_wait(NULL, 1, 1, &error), error);
    assert_null(stele_subscription_name(NULL));
    end_stage(&stage);
}

/* --- Memory ----------------------------------------------------------------------------------------- */

static bool count_one(void *context, const struct stele_subscription_record *record)
{
    (void)record;
    ++*(unsigned *)context;
    return true;
}

static stele_status list_all(void *context, stele_error **error)
{
    const struct stage *stage = context;
    unsigned count = 0;

    return stele_subscriptions_visit(stage->store, count_one, &count, error);
}

static void listing_without_memory_leaves_nothing_behind(void **state)
{
    struct stage stage;
    struct receiver receiver = {0};
    stele_error *error = NULL;

    (void)state;
    begin_stage(&stage, "memory:");
    begin_subscription(&stage, &plain, &receiver);
    assert_ok(stele_subscription_pause(receiver.subscription, &error), error);
    stele_subscription_free(receiver.subscription);
    assert_true(support_every_allocation_fails(list_all, &stage) > 0);
    end_stage(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(C4_paused_it_stands_still_also_in_the_next_process),
        support_test(C4_paused_by_its_own_function_it_stops_behind_that_event),
        support_test(C4_a_retry_that_is_paused_begins_anew_when_it_is_resumed),
        support_test(C4_failed_it_stands_also_in_the_next_process_and_says_why),
        support_test(ORX32_the_store_lists_all_it_knows_by_name),
        support_test(C4_one_whose_code_is_gone_is_detached_until_it_is_attached),
        support_test(wrong_arguments_are_named),
        support_test(listing_without_memory_leaves_nothing_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
