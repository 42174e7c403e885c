/* The states of a subscription and what becomes of an event that failed: pure (C4). */
#include "tests/support/support.h"

#include "store/subscription.h"

#include <string.h>

enum { STATES = STELE_SUBSCRIPTION_DETACHED + 1 };

/* One letter for each state in its order; '+' where the one of the line may be followed by the one of the column. */
static const char *const table[STATES] = {
    /* n c l p r k f e d */
    ".+.+..+.+", /* new */
    "..+++++++", /* catching up */
    ".+.++++++", /* live */
    ".+......+", /* paused */
    ".+.++++.+", /* retrying */
    ".+.++.+.+", /* parked */
    ".+.+....+", /* failed */
    ".........", /* finished */
    ".........", /* detached */
};

static void C4_every_move_is_in_the_table_or_refused(void **state)
{
    (void)state;
    for (int from = 0; from < STATES; from++) {
        for (int to = 0; to < STATES; to++) {
            enum stele_subscription_state now = (enum stele_subscription_state)from;
            const bool moved = stele__subscription_move(&now, (enum stele_subscription_state)to);

            if (moved != (table[from][to] == '+'))
                fail_msg("from %s to %s", stele_subscription_state_name((enum stele_subscription_state)from),
                         stele_subscription_state_name((enum stele_subscription_state)to));
            assert_int_equal(now, moved ? to : from);
        }
    }
}

static void a_state_beyond_the_last_is_refused(void **state)
{
    enum stele_subscription_state now = STELE_SUBSCRIPTION_NEW;

    (void)state;
    assert_false(stele__subscription_move(&now, (enum stele_subscription_state)STATES));
    assert_string_equal(stele_subscription_state_name((enum stele_subscription_state)STATES), "?");
    assert_string_equal(stele_subscription_state_name((enum stele_subscription_state) - 1), "?");
}

static void names_of_states_are_read_back(void **state)
{
    (void)state;
    for (int i = 0; i < STATES; i++) {
        enum stele_subscription_state found = STELE_SUBSCRIPTION_NEW;

        assert_true(
            stele__subscription_find_state(stele_subscription_state_name((enum stele_subscription_state)i), &found));
        assert_int_equal(found, i);
    }
    assert_string_equal(stele_subscription_state_name(STELE_SUBSCRIPTION_CATCHING_UP), "catching up");
    assert_false(stele__subscription_find_state("asleep", &(enum stele_subscription_state){STELE_SUBSCRIPTION_NEW}));
}

/* --- Failures -------------------------------------------------------------------------------- */

static const struct stele_retry three = {.max_attempts = 3, .jitter = STELE_JITTER_NONE};

static struct stele__verdict judge(enum stele_poison_policy policy, unsigned attempts, stele_status status)
{
    const struct stele_subscriber subscriber = {.retry = &three, .on_failure = policy};

    return stele__subscription_judge(&subscriber, attempts, status, 0);
}

static void C4_an_event_is_tried_with_growing_pauses_and_then_goes_by_its_policy(void **state)
{
    (void)state;
    assert_int_equal(judge(STELE_POISON_PARK, 1, STELE_FAILED).end, STELE__END_RETRY);
    assert_int_equal(judge(STELE_POISON_PARK, 1, STELE_FAILED).pause, INT64_C(1000000000));
    assert_int_equal(judge(STELE_POISON_PARK, 2, STELE_FAILED).pause, INT64_C(2000000000));
    assert_int_equal(judge(STELE_POISON_PARK, 3, STELE_FAILED).end, STELE__END_PARK);
    assert_int_equal(judge(STELE_POISON_STOP, 3, STELE_FAILED).end, STELE__END_STOP);
    assert_int_equal(judge(STELE_POISON_SKIP, 3, STELE_FAILED).end, STELE__END_SKIP);
}

static void what_will_never_succeed_is_not_tried_again(void **state)
{
    (void)state;
    assert_int_equal(judge(STELE_POISON_PARK, 1, STELE_MALFORMED).end, STELE__END_PARK);
    assert_int_equal(judge(STELE_POISON_STOP, 1, STELE_CORRUPT).end, STELE__END_STOP);
}

static void the_pause_is_never_longer_than_the_most(void **state)
{
    static const struct stele_retry many = {.max_attempts = 1000, .jitter = STELE_JITTER_NONE, .max_delay_ms = 5000};
    const struct stele_subscriber subscriber = {.retry = &many};

    (void)state;
    assert_int_equal(stele__subscription_judge(&subscriber, 999, STELE_FAILED, 0).pause, INT64_C(5000000000));
}

static struct stele__verdict judge_surroundings(unsigned attempts, stele_status status)
{
    const struct stele_subscriber subscriber = {.retry = &three};

    return stele__subscription_judge_surroundings(&subscriber, attempts, status, 0);
}

static void C4_a_full_disk_is_waited_for_without_end_and_others_as_often_as_an_event(void **state)
{
    (void)state;
    assert_int_equal(judge_surroundings(1000, STELE_FULL).end, STELE__END_RETRY);
    assert_int_equal(judge_surroundings(1000, STELE_BUSY).end, STELE__END_RETRY);
    assert_int_equal(judge_surroundings(2, STELE_READ_ONLY).end, STELE__END_RETRY);
    assert_int_equal(judge_surroundings(3, STELE_READ_ONLY).end, STELE__END_STOP);
    assert_int_equal(judge_surroundings(1, STELE_CONFLICT).end, STELE__END_STOP);
}

static void what_the_place_is_to_blame_for_is_known(void **state)
{
    (void)state;
    assert_true(stele__subscription_is_surroundings(STELE_FULL));
    assert_true(stele__subscription_is_surroundings(STELE_READ_ONLY));
    assert_false(stele__subscription_is_surroundings(STELE_FAILED));
    assert_false(stele__subscription_is_surroundings(STELE_INVALID));
    assert_false(stele__subscription_is_surroundings(STELE_CONFLICT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(C4_every_move_is_in_the_table_or_refused),
        support_test(a_state_beyond_the_last_is_refused),
        support_test(names_of_states_are_read_back),
        support_test(C4_an_event_is_tried_with_growing_pauses_and_then_goes_by_its_policy),
        support_test(what_will_never_succeed_is_not_tried_again),
        support_test(the_pause_is_never_longer_than_the_most),
        support_test(C4_a_full_disk_is_waited_for_without_end_and_others_as_often_as_an_event),
        support_test(what_the_place_is_to_blame_for_is_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
