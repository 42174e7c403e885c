/* Subscriptions: reading on, live, waiting, what is shown, where they begin and end (C1, C4, C6, V6). */
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

static void C4_what_is_behind_the_batch_is_caught_up_with_batch_by_batch(void **state)
{
    static const struct stele_subscriber by_two = {PLAIN, .batch = 2};
    struct stage stage;
    struct receiver receiver = {0};
    struct stele_subscription_stats stats;

    (void)state;
    begin_stage(&stage, "memory:");
    append_many(stage.store, 5);
    begin_subscription(&stage, &by_two, &receiver);
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(receiver.shown, "1 2 3 4 5 ");
    stats = stats_of(&receiver);
    assert_int_equal(stats.batches, 3);
    assert_int_equal(stats.handled, 5);
    assert_int_equal(stats.position, 5);
    assert_int_equal(stats.head, 5);
    assert_int_equal(stats.lag, 0);
    assert_int_equal(stats.time_left, 0);
    assert_true(stats.is_healthy);
    stele_subscription_free(receiver.subscription);
    end_stage(&stage);
}

static void in_place_the_same_is_shown(void **state)
{
    static const struct stele_subscriber in_place = {PLAIN, .batch = 2, .in_place = true};
    struct stage stage;
    struct receiver receiver = {0};

    (void)state;
    begin_stage(&stage, "memory:");
    append_many(stage.store, 5);
    begin_subscription(&stage, &in_place, &receiver);
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(receiver.shown, "1 2 3 4 5 ");
    stele_subscription_free(receiver.subscription);
    end_stage(&stage);
}

static void several_run_on_one_store_each_at_its_own_place(void **state)
{
    static const struct stele_subscriber other = {PLAIN_AS("other"), .start = STELE_START_NOW};
    struct stage stage;
    struct receiver first = {0}, second = {0};

    (void)state;
    begin_stage(&stage, "memory:");
    append_many(stage.store, 2);
    begin_subscription(&stage, &plain, &first);
    begin_subscription(&stage, &other, &second);
    append_many(stage.store, 1);
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(first.shown, "1 2 3 ");
    assert_string_equal(second.shown, "3 ");
    stele_subscription_free(first.subscription);
    stele_subscription_free(second.subscription);
    end_stage(&stage);
}

/* --- Which events ------------------------------------------------------------------------------ */

static void append_mixture(stele_store *store)
{
    append_to(store, "order-1", "order.placed");        /* 1 */
    append_to(store, "order-1", "order.paid");          /* 2 */
    append_to(store, "parcel-1", "parcel.sent");        /* 3 */
    append_to(store, "parcel-1", "parcel.late.warned"); /* 4 */
    append_to(store, "order-2", "order.placed");        /* 5 */
}

static void assert_shows(const char *const *types, const char *category, bool in_place, const char *expected)
{
    const struct stele_subscriber subscriber = {PLAIN, .types = types, .category = category, .in_place = in_place};
    struct stage stage;
    struct receiver receiver = {0};

    begin_stage(&stage, "memory:");
    append_mixture(stage.store);
    begin_subscription(&stage, &subscriber, &receiver);
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(receiver.shown, expected);
    assert_int_equal(stats_of(&receiver).position, 5);
    stele_subscription_free(receiver.subscription);
    assert_int_equal(checkpoint_of(&stage, "reader"), 5);
    end_stage(&stage);
}

static void one_type_several_and_patterns_choose_events(void **state)
{
    static const char *const one[] = {"order.placed", NULL};
    static const char *const pattern[] = {"order.>", NULL};
    static const char *const several[] = {"order.paid", "parcel.*", NULL};

    (void)state;
    for (int in_place = 0; in_place < 2; in_place++) {
        assert_shows(one, NULL, in_place, "1 5 ");
        assert_shows(pattern, NULL, in_place, "1 2 5 ");
        assert_shows(several, NULL, in_place, "2 3 ");
        assert_shows(several, "order-", in_place, "2 ");
        assert_shows(NULL, "parcel-", in_place, "3 4 ");
    }
}

static void V6_what_matches_nothing_still_moves_the_checkpoint(void **state)
{
    static const char *const nothing[] = {"ship.lost", NULL};
    static const char *const nothing_of_two[] = {"ship.lost", "ship.found", NULL};

    (void)state;
    assert_shows(nothing, NULL, false, "");
    assert_shows(nothing_of_two, NULL, true, "");
}

static void the_librarys_own_streams_are_not_shown(void **state)
{
    struct stage stage;
    struct receiver receiver = {0};
    stele_error *error = NULL;

    (void)state;
    begin_stage(&stage, "memory:");
    begin_subscription(&stage, &plain, &receiver);
    assert_ok(stele_subscription_pause(receiver.subscription, &error), error);
    assert_ok(stele_subscription_resume(receiver.subscription, &error), error);
    append_many(stage.store, 1);
    stele_runtime_run_until_idle(stage.runtime);
    /* 1 and 2 are what is recorded of the pause. */
    assert_string_equal(receiver.shown, "3 ");
    stele_subscription_free(receiver.subscription);
    end_stage(&stage);
}

/* --- Where it begins and ends ---------------------------------------------------------------------- */

static void assert_begins(const struct stele_subscriber *subscriber, const char *expected)
{
    struct stage stage;
    struct receiver receiver = {0};

    begin_stage(&stage, "memory:");
    for (int i = 0; i < 4; i++)
        append_at(stage.store, STELE_SIMULATION_START + i * SECOND);
    begin_subscription(&stage, subscriber, &receiver);
    append_many(stage.store, 1);
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(receiver.shown, expected);
    stele_subscription_free(receiver.subscription);
    end_stage(&stage);
}

static void it_begins_with_the_first_now_at_a_position_or_at_a_time(void **state)
{
    static const struct stele_subscriber now = {PLAIN, .start = STELE_START_NOW};
    static const struct stele_subscriber behind_two = {PLAIN, .start = STELE_START_POSITION, .position = 2};
    static const struct stele_subscriber time = {PLAIN, .start = STELE_START_TIME,
                                                 .time = STELE_SIMULATION_START + 2 * SECOND};
    static const struct stele_subscriber late_time = {PLAIN, .start = STELE_START_TIME,
                                                      .time = STELE_SIMULATION_START + 3600 * SECOND};

    (void)state;
    assert_begins(&plain, "1 2 3 4 5 ");
    assert_begins(&now, "5 ");
    assert_begins(&behind_two, "3 4 5 ");
    assert_begins(&time, "3 4 5 ");
    assert_begins(&late_time, "5 ");
}

static void now_stays_what_it_was_when_nothing_has_come_since(void **state)
{
    static const struct stele_subscriber now = {PLAIN, .start = STELE_START_NOW};
    struct stage stage;
    struct receiver first = {0}, second = {0};

    (void)state;
    begin_stage(&stage, "memory:");
    append_many(stage.store, 2);
    begin_subscription(&stage, &now, &first);
    stele_subscription_free(first.subscription);
    append_many(stage.store, 1);
    begin_subscription(&stage, &now, &second);
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(second.shown, "3 ");
    stele_subscription_free(second.subscription);
    end_stage(&stage);
}

static void a_position_beyond_the_log_is_refused(void **state)
{
    static const struct stele_subscriber beyond = {PLAIN, .start = STELE_START_POSITION, .position = 3};
    static const struct stele_subscriber own = {TRANSACTIONAL};
    struct receiver receiver = {.position = 9};
    struct stage stage;
    stele_error *error = NULL;

    (void)state;
    begin_stage(&stage, "memory:");
    append_many(stage.store, 2);
    assert_failure(STELE_INVALID,
                   stele_subscription_start(stage.store, stage.runtime, &beyond, NULL, &receiver.subscription, &error),
                   error);
    assert_string_equal(stele_error_get(error, "position"), "3");
    assert_string_equal(stele_error_get(error, "head"), "2");
    stele_error_free(error);
    error = NULL;
    assert_failure(
        STELE_INVALID,
        stele_subscription_start(stage.store, stage.runtime, &own, &receiver, &receiver.subscription, &error), error);
    assert_string_equal(stele_error_get(error, "position"), "9");
    stele_error_free(error);
    end_stage(&stage);
}

static void it_finishes_at_the_head_of_its_start(void **state)
{
    static const struct stele_subscriber until_head = {PLAIN, .until = STELE_UNTIL_HEAD};
    struct stage stage;
    struct receiver receiver = {0}, again = {0};
    stele_error *error = NULL;

    (void)state;
    begin_stage(&stage, "memory:");
    append_many(stage.store, 3);
    begin_subscription(&stage, &until_head, &receiver);
    append_many(stage.store, 1);
    assert_ok(stele_subscription_join(receiver.subscription, 1000, &error), error);
    assert_string_equal(receiver.shown, "1 2 3 ");
    assert_state(&receiver, STELE_SUBSCRIPTION_FINISHED);
    assert_status(STELE_CANCELLED, stele_subscription_wait(receiver.subscription, 4, 1000, &error), error);
    assert_status(STELE_INVALID, stele_subscription_pause(receiver.subscription, &error), error);
    stele_subscription_free(receiver.subscription);
    /* Once more: up to the head of now. */
    begin_subscription(&stage, &until_head, &again);
    assert_ok(stele_subscription_join(again.subscription, 1000, &error), error);
    assert_string_equal(again.shown, "4 ");
    stele_subscription_free(again.subscription);
    end_stage(&stage);
}

static void an_empty_log_is_finished_at_once(void **state)
{
    static const struct stele_subscriber until_head = {TRANSACTIONAL, .until = STELE_UNTIL_HEAD};
    struct stage stage;
    struct receiver receiver = {.position = STELE_NO_CHECKPOINT};
    stele_error *error = NULL;

    (void)state;
    begin_stage(&stage, "memory:");
    begin_subscription(&stage, &until_head, &receiver);
    assert_ok(stele_subscription_join(receiver.subscription, 1000, &error), error);
    assert_int_equal(receiver.position, 0);
    stele_subscription_free(receiver.subscription);
    end_stage(&stage);
}

/* --- Waiting ------------------------------------------------------------------------------------------ */

static void wait_for_itself(struct receiver *receiver, const stele_message *event)
{
    stele_error *error = NULL;

    (void)event;
    assert_status(STELE_INVALID, stele_subscription_wait(receiver->subscription, 1, 1000, &error), error);
}

static void waiting_ends_with_the_position_or_with_the_time(void **state)
{
    struct stage stage;
    struct receiver receiver = {.during = wait_for_itself};
    stele_error *error = NULL;

    (void)state;
    begin_stage(&stage, "memory:");
    append_many(stage.store, 2);
    begin_subscription(&stage, &plain, &receiver);
    assert_ok(stele_subscription_wait(receiver.subscription, 2, 1000, &error), error);
    assert_string_equal(receiver.shown, "1 2 ");
    assert_status(STELE_LATE, stele_subscription_wait(receiver.subscription, 3, 1000, &error), error);
    assert_status(STELE_TIMEOUT, stele_subscription_join(receiver.subscription, 10, &error), error);
    assert_status(STELE_INVALID, stele_subscription_wait(receiver.subscription, UINT64_MAX, 1, &error), error);
    stele_subscription_free(receiver.subscription);
    end_stage(&stage);
}

/* --- What a description may not be ------------------------------------------------------------------------ */

static void assert_refused(const struct stage *stage, const struct stele_subscriber *subscriber, stele_status status,
                           const char *text)
{
    stele_subscription *subscription = NULL;
    stele_error *error = NULL;

    assert_failure(
        status, stele_subscription_start(stage->store, stage->runtime, subscriber, NULL, &subscription, &error), error);
    assert_message(error, text);
    stele_error_free(error);
    assert_null(subscription);
}

static void a_subscriber_that_is_not_whole_is_refused_by_name(void **state)
{
    static const char *const none[] = {NULL};
    static const char *const malformed[] = {"a.b", "a.>.b", NULL};
    static const struct stele_retry shrinking = {.factor = 0.5};
    static const struct {
        struct stele_subscriber subscriber;
        stele_status status;
        const char *text;
    } cases[] = {
        {{.receive = receive}, STELE_INVALID, "name"},
        {{.name = "", .receive = receive}, STELE_INVALID, "name"},
        {{.name = "x"}, STELE_INVALID, "receive"},
        {{PLAIN, .load = load_position}, STELE_INVALID, "load"},
        {{PLAIN, .types = none}, STELE_INVALID, "types"},
        {{PLAIN, .types = malformed}, STELE_INVALID, "types"},
        {{PLAIN, .start = (enum stele_start)9}, STELE_INVALID, "start"},
        {{PLAIN, .until = (enum stele_until)9}, STELE_INVALID, "until"},
        {{PLAIN, .on_failure = (enum stele_poison_policy)9}, STELE_INVALID, "on_failure"},
        {{PLAIN, .batch = STELE_SUBSCRIPTION_BATCH_MAX + 1}, STELE_LIMIT, "batch"},
        {{PLAIN, .start = STELE_START_POSITION, .position = UINT64_MAX}, STELE_INVALID, "position"},
        {{PLAIN, .category = "\x01"}, STELE_INVALID, "category"},
        {{.name = "x", .receive = receive, .retry = &shrinking}, STELE_INVALID, "factor"},
    };
    static const struct stele_subscriber largest = {PLAIN, .batch = STELE_SUBSCRIPTION_BATCH_MAX};
    struct stage stage;
    struct receiver receiver = {0};
    stele_error *error = NULL;

    (void)state;
    begin_stage(&stage, "memory:");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_refused(&stage, &cases[i].subscriber, cases[i].status, cases[i].text);
    assert_status(STELE_INVALID,
                  stele_subscription_start(NULL, stage.runtime, &plain, NULL, &receiver.subscription, &error), error);
    assert_status(STELE_INVALID,
                  stele_subscription_start(stage.store, NULL, &plain, NULL, &receiver.subscription, &error), error);
    assert_status(STELE_INVALID, stele_subscription_start(stage.store, stage.runtime, &plain, NULL, NULL, &error),
                  error);
    begin_subscription(&stage, &largest, &receiver);
    stele_subscription_free(receiver.subscription);
    stele_subscription_free(NULL);
    end_stage(&stage);
}

static void one_name_runs_once_on_a_handle(void **state)
{
    struct stage stage;
    struct receiver receiver = {0};
    stele_subscription *second = NULL;
    stele_error *error = NULL;

    (void)state;
    begin_stage(&stage, "memory:");
    begin_subscription(&stage, &plain, &receiver);
    assert_failure(STELE_CONFLICT, stele_subscription_start(stage.store, stage.runtime, &plain, NULL, &second, &error),
                   error);
    assert_string_equal(stele_error_get(error, "subscription"), "reader");
    assert_string_equal(stele_error_get(error, "state"), "running");
    stele_error_free(error);
    stele_subscription_free(receiver.subscription);
    end_stage(&stage);
}

static void a_store_for_reading_takes_only_those_that_keep_their_position(void **state)
{
    static const struct stele_subscriber own = {TRANSACTIONAL};
    struct stele_store_options options = STELE_OPTIONS_INIT(struct stele_store_options);
    struct stage stage;
    struct receiver receiver = {0};
    stele_error *error = NULL;

    (void)state;
    support_temp_dir();
    begin_stage(&stage, support_temp_path("log.db"));
    append_many(stage.store, 2);
    stele_store_close(stage.store);
    options.mode = STELE_OPEN_READ_ONLY;
    assert_ok(stele_store_open(support_temp_path("log.db"), &options, &stage.store, &error), error);
    assert_refused(&stage, &plain, STELE_READ_ONLY, "reader");
    begin_subscription(&stage, &own, &receiver);
    assert_ok(stele_subscription_wait(receiver.subscription, 2, 1000, &error), error);
    assert_string_equal(receiver.stored, "1 2 ");
    assert_status(STELE_READ_ONLY, stele_subscription_pause(receiver.subscription, &error), error);
    stele_subscription_free(receiver.subscription);
    end_stage(&stage);
}

/* --- Memory ------------------------------------------------------------------------------------------------- */

static stele_status start_once(void *context, stele_error **error)
{
    static const char *const several[] = {"money.moved", "order.>", NULL};
    static const struct stele_subscriber filtered = {PLAIN, .types = several};
    const struct stage *stage = context;
    struct receiver receiver = {0};
    const stele_status status =
        stele_subscription_start(stage->store, stage->runtime, &filtered, &receiver, &receiver.subscription, error);

    stele_subscription_free(receiver.subscription);
    return status;
}

static void starting_without_memory_leaves_nothing_behind(void **state)
{
    struct stage stage;
    struct receiver receiver = {0};

    (void)state;
    begin_stage(&stage, "memory:");
    append_many(stage.store, 1);
    /* Once, so that the store has its checkpoint and its caches. */
    begin_subscription(&stage, &plain, &receiver);
    stele_subscription_free(receiver.subscription);
    stele_runtime_run_until_idle(stage.runtime);
    assert_true(support_every_allocation_fails(start_once, &stage) > 0);
    end_stage(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(C4_it_catches_up_goes_live_and_keeps_its_position),
        support_test(C4_what_is_behind_the_batch_is_caught_up_with_batch_by_batch),
        support_test(in_place_the_same_is_shown),
        support_test(several_run_on_one_store_each_at_its_own_place),
        support_test(one_type_several_and_patterns_choose_events),
        support_test(V6_what_matches_nothing_still_moves_the_checkpoint),
        support_test(the_librarys_own_streams_are_not_shown),
        support_test(it_begins_with_the_first_now_at_a_position_or_at_a_time),
        support_test(now_stays_what_it_was_when_nothing_has_come_since),
        support_test(a_position_beyond_the_log_is_refused),
        support_test(it_finishes_at_the_head_of_its_start),
        support_test(an_empty_log_is_finished_at_once),
        support_test(waiting_ends_with_the_position_or_with_the_time),
        support_test(a_subscriber_that_is_not_whole_is_refused_by_name),
        support_test(one_name_runs_once_on_a_handle),
        support_test(a_store_for_reading_takes_only_those_that_keep_their_position),
        support_test(starting_without_memory_leaves_nothing_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
