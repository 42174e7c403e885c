/* What becomes of events that fail, and of what surrounds them (C2, C4, ORX32-ORX36). */
#include "tests/unit/store/subscription_stage.h"

#include <stele/deadletters.h>

static const struct stele_subscriber parks = {PLAIN};
static const struct stele_subscriber stops = {PLAIN, .on_failure = STELE_POISON_STOP};
static const struct stele_subscriber skips = {PLAIN, .on_failure = STELE_POISON_SKIP};
static const struct stele_subscriber parks_once = {TRANSACTIONAL};
static const struct stele_subscriber stops_once = {TRANSACTIONAL, .on_failure = STELE_POISON_STOP};
static const struct stele_subscriber skips_once = {TRANSACTIONAL, .on_failure = STELE_POISON_SKIP};

/* Five events, the third of which fails. */
static void begin_failing(struct stage *stage, const struct stele_subscriber *subscriber, struct receiver *receiver)
{
    begin_stage(stage, "memory:");
    append_many(stage->store, 5);
    begin_subscription(stage, subscriber, receiver);
    stele_runtime_run_until_idle(stage->runtime);
}

static void end_failing(struct stage *stage, struct receiver *receiver)
{
    stele_subscription_free(receiver->subscription);
    end_stage(stage);
}

struct letters {
    unsigned count;
    uint64_t position;
    char route[32], code[32];
    uint64_t attempts, buried;
};

static bool take_letter(void *context, const struct stele_dead_letter *letter)
{
    struct letters *letters = context;

    letters->count++;
    letters->position = letter->position;
    letters->attempts = letter->attempts;
    letters->buried = letter->count;
    snprintf(letters->route, sizeof(letters->route), "%s", letter->route);
    snprintf(letters->code, sizeof(letters->code), "%s", letter->code);
    return true;
}

static struct letters letters_in(const struct stage *stage)
{
    struct letters letters = {0};
    stele_error *error = NULL;

    assert_ok(stele_dead_list_in(stage->store, NULL, take_letter, &letters, &error), error);
    return letters;
}

static void C4_an_event_that_fails_is_tried_again_later_and_later(void **state)
{
    struct stage stage;
    struct receiver receiver = {.fails_at = 3, .fails = 2};

    (void)state;
    begin_failing(&stage, &parks, &receiver);
    assert_string_equal(receiver.shown, "1 2 ");
    assert_state(&receiver, STELE_SUBSCRIPTION_RETRYING);
    assert_false(stats_of(&receiver).is_healthy);
    assert_int_equal(stats_of(&receiver).last_error, STELE_FAILED);
    assert_int_equal(stats_of(&receiver).last_error_position, 3);
    stele_runtime_advance(stage.runtime, SECOND - 1);
    assert_int_equal(receiver.calls, 3);
    stele_runtime_advance(stage.runtime, 1);
    assert_int_equal(receiver.calls, 4);
    stele_runtime_advance(stage.runtime, 2 * SECOND - 1);
    assert_int_equal(receiver.calls, 4);
    stele_runtime_advance(stage.runtime, 1);
    assert_string_equal(receiver.shown, "1 2 3 4 5 ");
    end_failing(&stage, &receiver);
}

static void ORX35_after_a_success_it_is_healthy_again(void **state)
{
    struct stage stage;
    struct receiver receiver = {.fails_at = 3, .fails = 1};

    (void)state;
    begin_failing(&stage, &parks, &receiver);
    stele_runtime_advance(stage.runtime, SECOND);
    assert_state(&receiver, STELE_SUBSCRIPTION_LIVE);
    assert_string_equal(receiver.states, "retrying, catching up, live, ");
    assert_true(stats_of(&receiver).is_healthy);
    assert_int_equal(stats_of(&receiver).errors, 1);
    assert_int_equal(stats_of(&receiver).failures, 0);
    /* What it was stays to be read. */
    assert_int_equal(stats_of(&receiver).last_error, STELE_FAILED);
    end_failing(&stage, &receiver);
}

static void commits_do_not_hasten_a_retry(void **state)
{
    struct stage stage;
    struct receiver receiver = {.fails_at = 3, .fails = UINT32_MAX};

    (void)state;
    begin_failing(&stage, &parks, &receiver);
    append_many(stage.store, 3);
    stele_runtime_run_until_idle(stage.runtime);
    assert_int_equal(receiver.calls, 3);
    end_failing(&stage, &receiver);
}

/* --- Policies ------------------------------------------------------------------------------------ */

static void C4_parked_it_is_a_dead_letter_and_the_rest_goes_on(void **state)
{
    struct stage stage;
    struct receiver receiver = {.fails_at = 3, .fails = UINT32_MAX};
    struct letters letters;

    (void)state;
    begin_failing(&stage, &parks, &receiver);
    stele_runtime_advance(stage.runtime, 3 * SECOND);
    assert_string_equal(receiver.shown, "1 2 4 5 ");
    assert_int_equal(receiver.calls, 7);
    assert_state(&receiver, STELE_SUBSCRIPTION_LIVE);
    assert_int_equal(stats_of(&receiver).parked, 1);
    assert_string_equal(receiver.states, "retrying, parked, catching up, live, ");
    letters = letters_in(&stage);
    assert_int_equal(letters.count, 1);
    assert_int_equal(letters.position, 3);
    assert_int_equal(letters.attempts, 3);
    assert_string_equal(letters.route, "reader");
    assert_string_equal(letters.code, "FAILED");
    end_failing(&stage, &receiver);
}

static void C4_stopped_it_stands_before_the_event_until_it_is_resumed(void **state)
{
    struct stage stage;
    struct receiver receiver = {.fails_at = 3, .fails = 3};
    stele_error *error = NULL;

    (void)state;
    begin_failing(&stage, &stops, &receiver);
    stele_runtime_advance(stage.runtime, 60 * SECOND);
    assert_state(&receiver, STELE_SUBSCRIPTION_FAILED);
    assert_int_equal(receiver.calls, 5);
    assert_int_equal(stats_of(&receiver).position, 2);
    assert_failure(STELE_FAILED, stele_subscription_wait(receiver.subscription, 5, 1000, &error), error);
    assert_string_equal(stele_error_get(error, "code"), "FAILED");
    stele_error_free(error);
    error = NULL;
    assert_ok(stele_subscription_resume(receiver.subscription, &error), error);
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(receiver.shown, "1 2 3 4 5 ");
    assert_state(&receiver, STELE_SUBSCRIPTION_LIVE);
    end_failing(&stage, &receiver);
}

static void C4_skipped_it_is_counted_and_left_behind(void **state)
{
    struct stage stage;
    struct receiver receiver = {.fails_at = 3, .fails = UINT32_MAX};

    (void)state;
    begin_failing(&stage, &skips, &receiver);
    stele_runtime_advance(stage.runtime, 3 * SECOND);
    assert_string_equal(receiver.shown, "1 2 4 5 ");
    assert_int_equal(stats_of(&receiver).skipped, 1);
    assert_int_equal(letters_in(&stage).count, 0);
    end_failing(&stage, &receiver);
}

static void with_one_attempt_none_is_made_again(void **state)
{
    static const struct stele_retry one = {.max_attempts = 1};
    static const struct stele_subscriber plain = {
        .name = "reader", .receive = receive, .retry = &one, .on_failure = STELE_POISON_SKIP};
    static const struct stele_subscriber own = {.name = "reader",
                                                .receive = receive,
                                                .retry = &one,
                                                .on_failure = STELE_POISON_SKIP,
                                                .load = load_position,
                                                .begin = begin_batch,
                                                .commit = commit_batch,
                                                .rollback = roll_back};
    struct stage stage;
    struct receiver first = {.fails_at = 3, .fails = UINT32_MAX}, second = first;

    (void)state;
    begin_failing(&stage, &plain, &first);
    assert_int_equal(first.calls, 5);
    end_failing(&stage, &first);
    begin_failing(&stage, &own, &second);
    assert_string_equal(second.stored, "1 2 4 5 ");
    /* 1 and 2 once more, since their batch was rolled back; 3 not. */
    assert_int_equal(second.calls, 7);
    end_failing(&stage, &second);
}

/* --- Subscribers that keep their position -------------------------------------------------------------- */

static void C2_those_before_the_event_are_committed_and_it_is_tried_alone(void **state)
{
    struct stage stage;
    struct receiver receiver = {.fails_at = 3, .fails = 1};

    (void)state;
    begin_failing(&stage, &parks_once, &receiver);
    assert_string_equal(receiver.stored, "1 2 ");
    assert_int_equal(receiver.position, 2);
    assert_state(&receiver, STELE_SUBSCRIPTION_RETRYING);
    stele_runtime_advance(stage.runtime, SECOND);
    assert_string_equal(receiver.stored, "1 2 3 4 5 ");
    assert_int_equal(receiver.position, 5);
    /* 1 2 | 3 | 4 5 */
    assert_int_equal(receiver.commits, 3);
    end_failing(&stage, &receiver);
}

static void C2_each_policy_leaves_every_other_event_with_one_effect(void **state)
{
    struct stage stage;
    struct receiver parked = {.fails_at = 3, .fails = UINT32_MAX}, skipped = parked, stopped = parked;

    (void)state;
    begin_failing(&stage, &parks_once, &parked);
    stele_runtime_advance(stage.runtime, 3 * SECOND);
    assert_string_equal(parked.stored, "1 2 4 5 ");
    assert_int_equal(letters_in(&stage).position, 3);
    end_failing(&stage, &parked);
    begin_failing(&stage, &skips_once, &skipped);
    stele_runtime_advance(stage.runtime, 3 * SECOND);
    assert_string_equal(skipped.stored, "1 2 4 5 ");
    end_failing(&stage, &skipped);
    begin_failing(&stage, &stops_once, &stopped);
    stele_runtime_advance(stage.runtime, 3 * SECOND);
    assert_string_equal(stopped.stored, "1 2 ");
    assert_state(&stopped, STELE_SUBSCRIPTION_FAILED);
    end_failing(&stage, &stopped);
}

static void a_busy_database_is_waited_for_and_loaded_from_again(void **state)
{
    struct stage stage;
    struct receiver receiver = {.begin_fails = 1, .commit_fails = 5};

    (void)state;
    begin_failing(&stage, &parks_once, &receiver);
    assert_state(&receiver, STELE_SUBSCRIPTION_RETRYING);
    assert_string_equal(receiver.stored, "");
    stele_runtime_advance(stage.runtime, 300 * SECOND);
    assert_string_equal(receiver.stored, "1 2 3 4 5 ");
    assert_int_equal(letters_in(&stage).count, 0);
    end_failing(&stage, &receiver);
}

static void a_full_database_parks_nothing_and_goes_on_when_there_is_room(void **state)
{
    struct stage stage;
    struct receiver receiver = {.fails_at = 3, .fails = 20, .status = STELE_FULL};

    (void)state;
    begin_failing(&stage, &parks_once, &receiver);
    stele_runtime_advance(stage.runtime, 600 * SECOND);
    assert_state(&receiver, STELE_SUBSCRIPTION_RETRYING);
    stele_runtime_advance(stage.runtime, 3600 * SECOND);
    assert_string_equal(receiver.stored, "1 2 3 4 5 ");
    assert_int_equal(letters_in(&stage).count, 0);
    end_failing(&stage, &receiver);
}

static void a_database_that_cannot_be_written_fails_the_subscription_and_parks_nothing(void **state)
{
    struct stage stage;
    struct receiver receiver = {.fails_at = 1, .fails = UINT32_MAX, .status = STELE_READ_ONLY};

    (void)state;
    begin_failing(&stage, &parks_once, &receiver);
    stele_runtime_advance(stage.runtime, 60 * SECOND);
    assert_state(&receiver, STELE_SUBSCRIPTION_FAILED);
    assert_int_equal(letters_in(&stage).count, 0);
    end_failing(&stage, &receiver);
}

static void a_commit_that_fails_for_one_of_its_events_is_put_to_that_event(void **state)
{
    struct stage stage;
    /* The batch of five, then 1 alone, which will never be better. */
    struct receiver receiver = {.commit_fails = 2, .commit_status = STELE_INVALID};

    (void)state;
    begin_failing(&stage, &skips_once, &receiver);
    stele_runtime_advance(stage.runtime, 60 * SECOND);
    assert_string_equal(receiver.stored, "2 3 4 5 ");
    assert_int_equal(stats_of(&receiver).skipped, 1);
    end_failing(&stage, &receiver);
}

static void C2_a_position_that_somebody_else_moved_fails_the_subscription(void **state)
{
    struct stage stage;
    struct receiver receiver = {0};
    stele_error *error = NULL;

    (void)state;
    begin_failing(&stage, &parks_once, &receiver);
    receiver.position = 4;
    append_many(stage.store, 1);
    stele_runtime_run_until_idle(stage.runtime);
    assert_state(&receiver, STELE_SUBSCRIPTION_FAILED);
    assert_int_equal(stats_of(&receiver).last_error, STELE_CONFLICT);
    assert_string_equal(receiver.stored, "1 2 3 4 5 ");
    /* Resumed, it goes on from where it was put. */
    assert_ok(stele_subscription_resume(receiver.subscription, &error), error);
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(receiver.stored, "1 2 3 4 5 5 6 ");
    end_failing(&stage, &receiver);
}

static void C2_a_checkpoint_that_somebody_else_moved_fails_the_subscription(void **state)
{
    struct stage stage;
    struct receiver receiver = {0};
    stele_error *error = NULL;

    (void)state;
    begin_failing(&stage, &parks, &receiver);
    assert_ok(stele_checkpoint_write(stage.store, "reader", 5, 2, &error), error);
    append_many(stage.store, 1);
    stele_runtime_advance(stage.runtime, SECOND);
    assert_state(&receiver, STELE_SUBSCRIPTION_FAILED);
    assert_int_equal(checkpoint_of(&stage, "reader"), 2);
    end_failing(&stage, &receiver);
}

/* --- Requeued ---------------------------------------------------------------------------------------------- */

static void requeue(const struct stage *stage, uint64_t expected)
{
    stele_error *error = NULL;
    uint64_t count = 0;

    assert_ok(stele_dead_requeue_in(stage->store, NULL, &count, &error), error);
    assert_int_equal(count, expected);
}

static void begin_parked(struct stage *stage, const struct stele_subscriber *subscriber, struct receiver *receiver)
{
    begin_failing(stage, subscriber, receiver);
    stele_runtime_advance(stage->runtime, 3 * SECOND);
    assert_int_equal(letters_in(stage).count, 1);
}

static void C5_a_parked_event_that_is_requeued_is_shown_once_more(void **state)
{
    struct stage stage;
    struct receiver receiver = {.fails_at = 3, .fails = 3};

    (void)state;
    begin_parked(&stage, &parks, &receiver);
    requeue(&stage, 1);
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(receiver.shown, "1 2 4 5 3 ");
    assert_int_equal(letters_in(&stage).count, 0);
    requeue(&stage, 0);
    end_failing(&stage, &receiver);
}

static void C5_its_effect_commits_at_the_position_that_stays(void **state)
{
    struct stage stage;
    struct receiver receiver = {.fails_at = 3, .fails = 3};
    uint64_t position;

    (void)state;
    begin_parked(&stage, &parks_once, &receiver);
    requeue(&stage, 1);
    position = receiver.position;
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(receiver.stored, "1 2 4 5 3 ");
    assert_true(receiver.position >= position);
    assert_int_equal(letters_in(&stage).count, 0);
    end_failing(&stage, &receiver);
}

static void one_that_fails_once_more_is_parked_again(void **state)
{
    struct stage stage;
    struct receiver receiver = {.fails_at = 3, .fails = 4};

    (void)state;
    begin_parked(&stage, &parks_once, &receiver);
    requeue(&stage, 1);
    stele_runtime_run_until_idle(stage.runtime);
    assert_int_equal(letters_in(&stage).count, 1);
    assert_int_equal(letters_in(&stage).buried, 2);
    assert_int_equal(letters_in(&stage).attempts, 4);
    requeue(&stage, 1);
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(receiver.stored, "1 2 4 5 3 ");
    end_failing(&stage, &receiver);
}

static void one_that_is_requeued_while_nothing_runs_is_shown_at_the_next_start(void **state)
{
    struct stage stage;
    struct receiver first = {.fails_at = 3, .fails = 3}, second = {0};

    (void)state;
    begin_parked(&stage, &parks, &first);
    stele_subscription_free(first.subscription);
    requeue(&stage, 1);
    begin_subscription(&stage, &parks, &second);
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(second.shown, "3 ");
    assert_int_equal(letters_in(&stage).count, 0);
    end_failing(&stage, &second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(C4_an_event_that_fails_is_tried_again_later_and_later),
        support_test(ORX35_after_a_success_it_is_healthy_again),
        support_test(commits_do_not_hasten_a_retry),
        support_test(C4_parked_it_is_a_dead_letter_and_the_rest_goes_on),
        support_test(C4_stopped_it_stands_before_the_event_until_it_is_resumed),
        support_test(C4_skipped_it_is_counted_and_left_behind),
        support_test(with_one_attempt_none_is_made_again),
        support_test(C2_those_before_the_event_are_committed_and_it_is_tried_alone),
        support_test(C2_each_policy_leaves_every_other_event_with_one_effect),
        support_test(a_busy_database_is_waited_for_and_loaded_from_again),
        support_test(a_full_database_parks_nothing_and_goes_on_when_there_is_room),
        support_test(a_database_that_cannot_be_written_fails_the_subscription_and_parks_nothing),
        support_test(a_commit_that_fails_for_one_of_its_events_is_put_to_that_event),
        support_test(C2_a_position_that_somebody_else_moved_fails_the_subscription),
        support_test(C2_a_checkpoint_that_somebody_else_moved_fails_the_subscription),
        support_test(C5_a_parked_event_that_is_requeued_is_shown_once_more),
        support_test(C5_its_effect_commits_at_the_position_that_stays),
        support_test(one_that_fails_once_more_is_parked_again),
        support_test(one_that_is_requeued_while_nothing_runs_is_shown_at_the_next_start),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
