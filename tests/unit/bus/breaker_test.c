/* The circuit breaker and the token bucket as machines over explicit time, also with threads. */
#include "tests/support/support.h"

#include "bus/stock.h"

#include <limits.h>
#include <math.h>

enum { THRESHOLD = 3, RECOVERY = 100 };

/* --- Breaker ------------------------------------------------------------------------ */

static void begin_closed(struct stele__breaker *breaker)
{
    assert_true(stele__breaker_init(breaker, THRESHOLD, RECOVERY));
}

/* A call that begins and ends at `now`; false if it was not let through. */
static bool call(struct stele__breaker *breaker, int64_t now, bool has_failed)
{
    uint64_t ticket;

    if (!stele__breaker_enter(breaker, now, &ticket))
        return false;
    stele__breaker_leave(breaker, now, ticket, has_failed);
    return true;
}

static void open_at(struct stele__breaker *breaker, int64_t now)
{
    for (int i = 0; i < THRESHOLD; i++)
        assert_true(call(breaker, now, true));
    assert_int_equal(STELE__BREAKER_OPEN, breaker->state);
}

static void NTH26_opens_after_threshold_failures_in_a_row(void **state)
{
    struct stele__breaker breaker;

    (void)state;
    begin_closed(&breaker);
    assert_true(call(&breaker, 0, true));
    assert_true(call(&breaker, 0, true));
    assert_int_equal(STELE__BREAKER_CLOSED, breaker.state);
    assert_true(call(&breaker, 0, true));
    assert_int_equal(STELE__BREAKER_OPEN, breaker.state);
    assert_false(call(&breaker, 0, false));
    stele__breaker_fini(&breaker);
}

static void NTH26_a_success_begins_the_count_anew(void **state)
{
    struct stele__breaker breaker;

    (void)state;
    begin_closed(&breaker);
    for (int i = 0; i < 10; i++) {
        assert_true(call(&breaker, 0, true));
        assert_true(call(&breaker, 0, true));
        assert_true(call(&breaker, 0, false));
    }
    assert_int_equal(STELE__BREAKER_CLOSED, breaker.state);
    stele__breaker_fini(&breaker);
}

static void NTH26_stays_open_until_the_recovery_time_is_over(void **state)
{
    struct stele__breaker breaker;
    uint64_t ticket;

    (void)state;
    begin_closed(&breaker);
    open_at(&breaker, 1000);
    assert_false(stele__breaker_enter(&breaker, 1000 + RECOVERY - 1, &ticket));
    assert_int_equal(0, ticket);
    assert_true(stele__breaker_enter(&breaker, 1000 + RECOVERY, &ticket));
    assert_int_not_equal(0, ticket);
    assert_int_equal(STELE__BREAKER_HALF_OPEN, breaker.state);
    stele__breaker_fini(&breaker);
}

static void NTH26_half_open_lets_exactly_one_trial(void **state)
{
    struct stele__breaker breaker;
    uint64_t trial;
    uint64_t other;

    (void)state;
    begin_closed(&breaker);
    open_at(&breaker, 0);
    assert_true(stele__breaker_enter(&breaker, RECOVERY, &trial));
    assert_false(stele__breaker_enter(&breaker, RECOVERY, &other));
    assert_false(stele__breaker_enter(&breaker, RECOVERY * 10, &other));
    stele__breaker_leave(&breaker, RECOVERY * 10, trial, false);
    assert_int_equal(STELE__BREAKER_CLOSED, breaker.state);
    assert_true(call(&breaker, RECOVERY * 10, false));
    stele__breaker_fini(&breaker);
}

static void NTH26_failed_trial_opens_for_another_recovery_time(void **state)
{
    struct stele__breaker breaker;
    uint64_t trial;
    uint64_t other;

    (void)state;
    begin_closed(&breaker);
    open_at(&breaker, 0);
    assert_true(stele__breaker_enter(&breaker, RECOVERY, &trial));
    stele__breaker_leave(&breaker, RECOVERY + 50, trial, true);
    assert_int_equal(STELE__BREAKER_OPEN, breaker.state);
    assert_false(stele__breaker_enter(&breaker, 2 * RECOVERY + 49, &other));
    assert_true(stele__breaker_enter(&breaker, 2 * RECOVERY + 50, &other));
    assert_int_not_equal(trial, other);
    stele__breaker_fini(&breaker);
}

static void NTH26_closed_again_it_takes_the_whole_threshold_to_open(void **state)
{
    struct stele__breaker breaker;

    (void)state;
    begin_closed(&breaker);
    open_at(&breaker, 0);
    assert_true(call(&breaker, RECOVERY, false));
    assert_true(call(&breaker, RECOVERY, true));
    assert_true(call(&breaker, RECOVERY, true));
    assert_int_equal(STELE__BREAKER_CLOSED, breaker.state);
    assert_true(call(&breaker, RECOVERY, true));
    assert_int_equal(STELE__BREAKER_OPEN, breaker.state);
    stele__breaker_fini(&breaker);
}

static void calls_from_before_it_opened_do_not_decide_the_trial(void **state)
{
    struct stele__breaker breaker;
    uint64_t slow;
    uint64_t trial;

    (void)state;
    begin_closed(&breaker);
    assert_true(stele__breaker_enter(&breaker, 0, &slow));
    open_at(&breaker, 0);
    stele__breaker_leave(&breaker, 1, slow, false);
    assert_int_equal(STELE__BREAKER_OPEN, breaker.state);
    assert_true(stele__breaker_enter(&breaker, RECOVERY, &trial));
    stele__breaker_leave(&breaker, RECOVERY, slow, true);
    assert_int_equal(STELE__BREAKER_HALF_OPEN, breaker.state);
    stele__breaker_leave(&breaker, RECOVERY, trial, false);
    assert_int_equal(STELE__BREAKER_CLOSED, breaker.state);
    stele__breaker_fini(&breaker);
}

static void a_withdrawn_trial_leaves_its_place_to_the_next(void **state)
{
    struct stele__breaker breaker;
    uint64_t trial;
    uint64_t next;

    (void)state;
    begin_closed(&breaker);
    open_at(&breaker, 0);
    assert_true(stele__breaker_enter(&breaker, RECOVERY, &trial));
    stele__breaker_withdraw(&breaker, 0);
    assert_false(stele__breaker_enter(&breaker, RECOVERY, &next));
    stele__breaker_withdraw(&breaker, trial);
    assert_true(stele__breaker_enter(&breaker, RECOVERY, &next));
    stele__breaker_withdraw(&breaker, trial);
    stele__breaker_leave(&breaker, RECOVERY, trial, true);
    assert_int_equal(STELE__BREAKER_HALF_OPEN, breaker.state);
    stele__breaker_leave(&breaker, RECOVERY, next, false);
    assert_int_equal(STELE__BREAKER_CLOSED, breaker.state);
    stele__breaker_fini(&breaker);
}

struct rush {
    struct stele__breaker *breaker;
    struct stele__bucket *bucket;
    pthread_barrier_t *start;
    atomic_uint *trials;
    unsigned rounds;
};

static void *rush_for_trial(void *context)
{
    const struct rush *rush = context;
    uint64_t ticket;

    pthread_barrier_wait(rush->start);
    if (stele__breaker_enter(rush->breaker, RECOVERY, &ticket))
        atomic_fetch_add(rush->trials, 1);
    return NULL;
}

enum { THREADS = 4 };

static void run_threads(void *(*run)(void *), struct rush *rush)
{
    pthread_t threads[THREADS];
    pthread_barrier_t start;

    assert_int_equal(0, pthread_barrier_init(&start, NULL, THREADS));
    rush->start = &start;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(0, pthread_create(&threads[i], NULL, run, rush));
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(0, pthread_join(threads[i], NULL));
    pthread_barrier_destroy(&start);
}

static void NTH26_half_open_lets_exactly_one_of_many_threads(void **state)
{
    (void)state;
    for (int round = 0; round < 50; round++) {
        struct stele__breaker breaker;
        atomic_uint trials = 0;
        struct rush rush = {.breaker = &breaker, .trials = &trials};

        begin_closed(&breaker);
        open_at(&breaker, 0);
        run_threads(rush_for_trial, &rush);
        assert_int_equal(1, trials);
        stele__breaker_fini(&breaker);
    }
}

/* --- Bucket -------------------------------------------------------------------------- */

#define SECOND INT64_C(1000000000)

static struct stele__bucket bucket_of(double per_second, unsigned burst)
{
    struct stele__bucket bucket;
    stele_error *error = NULL;

    assert_ok(stele__bucket_init(&bucket, per_second, burst, &error), error);
    return bucket;
}

static void a_bucket_gives_its_burst_then_one_token_per_interval(void **state)
{
    struct stele__bucket bucket = bucket_of(10, 3);

    (void)state;
    assert_int_equal(0, stele__bucket_take(&bucket, SECOND));
    assert_int_equal(0, stele__bucket_take(&bucket, SECOND));
    assert_int_equal(0, stele__bucket_take(&bucket, SECOND));
    assert_int_equal(SECOND / 10, stele__bucket_take(&bucket, SECOND));
    assert_int_equal(1, stele__bucket_take(&bucket, SECOND + SECOND / 10 - 1));
    assert_int_equal(0, stele__bucket_take(&bucket, SECOND + SECOND / 10));
    assert_int_equal(SECOND / 10, stele__bucket_take(&bucket, SECOND + SECOND / 10));
}

static void a_bucket_never_holds_more_than_its_burst(void **state)
{
    struct stele__bucket bucket = bucket_of(10, 2);

    (void)state;
    assert_int_equal(0, stele__bucket_take(&bucket, 0));
    assert_int_equal(0, stele__bucket_take(&bucket, 1000 * SECOND));
    assert_int_equal(0, stele__bucket_take(&bucket, 1000 * SECOND));
    assert_int_equal(SECOND / 10, stele__bucket_take(&bucket, 1000 * SECOND));
}

static void a_token_given_back_can_be_taken_again(void **state)
{
    struct stele__bucket bucket = bucket_of(1, 1);

    (void)state;
    assert_int_equal(0, stele__bucket_take(&bucket, 0));
    assert_int_equal(SECOND, stele__bucket_take(&bucket, 0));
    stele__bucket_return(&bucket);
    assert_int_equal(0, stele__bucket_take(&bucket, 0));
    assert_int_equal(SECOND, stele__bucket_take(&bucket, 0));
}

static void rates_out_of_range_are_named(void **state)
{
    const struct {
        double per_second;
        unsigned burst;
    } cases[] = {{0, 1}, {-1, 1}, {NAN, 1}, {INFINITY, 1}, {1.1e9, 1}, {1e-10, 1}, {1e-3, UINT_MAX}};
    stele_error *error = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct stele__bucket bucket;

        assert_failure(STELE_INVALID, stele__bucket_init(&bucket, cases[i].per_second, cases[i].burst, &error), error);
        assert_string_equal("per_second", stele_error_get(error, "argument"));
        stele_error_free(error);
        error = NULL;
    }
}

static void *drain(void *context)
{
    const struct rush *rush = context;

    pthread_barrier_wait(rush->start);
    for (unsigned i = 0; i < rush->rounds; i++) {
        if (stele__bucket_take(rush->bucket, SECOND) == 0)
            atomic_fetch_add(rush->trials, 1);
    }
    return NULL;
}

static void threads_together_get_no_more_than_the_burst(void **state)
{
    struct stele__bucket bucket = bucket_of(1, 1000);
    atomic_uint taken = 0;
    struct rush rush = {.bucket = &bucket, .trials = &taken, .rounds = 1000};

    (void)state;
    run_threads(drain, &rush);
    assert_int_equal(1000, taken);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(NTH26_opens_after_threshold_failures_in_a_row),
        support_test(NTH26_a_success_begins_the_count_anew),
        support_test(NTH26_stays_open_until_the_recovery_time_is_over),
        support_test(NTH26_half_open_lets_exactly_one_trial),
        support_test(NTH26_failed_trial_opens_for_another_recovery_time),
        support_test(NTH26_closed_again_it_takes_the_whole_threshold_to_open),
        support_test(calls_from_before_it_opened_do_not_decide_the_trial),
        support_test(a_withdrawn_trial_leaves_its_place_to_the_next),
        support_test(NTH26_half_open_lets_exactly_one_of_many_threads),
        support_test(a_bucket_gives_its_burst_then_one_token_per_interval),
        support_test(a_bucket_never_holds_more_than_its_burst),
        support_test(a_token_given_back_can_be_taken_again),
        support_test(rates_out_of_range_are_named),
        support_test(threads_together_get_no_more_than_the_burst),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
