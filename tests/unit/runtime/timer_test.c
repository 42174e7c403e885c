/* Timers: order, cancelling, a million at one instant, and the thread that keeps time. */
#include "tests/support/support.h"

#include "runtime/runtime.h"

#include <sched.h>
#include <string.h>

enum { MILLION = 1000000 };

struct alarm {
    struct stele__timer timer;
    int number;
    int times_left; /* that it starts itself again */
};

static int fired[64]; /* numbers, in order */
static size_t fired_count;

static void note_number(struct stele__timer *timer)
{
    const struct alarm *alarm = (const struct alarm *)timer;

    if (fired_count < sizeof(fired) / sizeof(fired[0]))
        fired[fired_count] = alarm->number;
    fired_count++;
}

static stele_runtime *simulate(void)
{
    stele_runtime *runtime = NULL;
    stele_error *error = NULL;

    fired_count = 0;
    assert_ok(stele_runtime_simulated(1, &runtime, &error), error);
    return runtime;
}

static stele_runtime *new_runtime(unsigned threads)
{
    stele_runtime *runtime = NULL;
    stele_error *error = NULL;

    fired_count = 0;
    assert_ok(stele_runtime_new(threads, NULL, &runtime, &error), error);
    return runtime;
}

static uint64_t count_timers(stele_runtime *runtime)
{
    struct stele_runtime_stats stats;

    stele_runtime_get_stats(runtime, &stats);
    return stats.timers;
}

static void start(stele_runtime *runtime, struct alarm *alarm, int number, int64_t delay)
{
    memset(alarm, 0, sizeof(*alarm));
    alarm->timer.name = "alarm";
    alarm->timer.fire = note_number;
    alarm->number = number;
    assert_true(stele__timer_start(runtime, &alarm->timer, delay));
}

static void timers_fire_in_order_of_time_then_of_starting(void **state)
{
    static const int64_t delays[] = {30, 10, 20, 10, -5, 0, 30, 10};
    static const int expected[] = {4, 5, 1, 3, 7, 2, 0, 6};
    stele_runtime *runtime = simulate();
    struct alarm alarms[8];

    (void)state;
    for (int i = 0; i < 8; i++)
        start(runtime, &alarms[i], i, delays[i]);
    assert_int_equal(stele_runtime_run_until_idle(runtime), 2); /* those that are due at once */
    assert_int_equal(stele_runtime_advance(runtime, 29), 4);
    assert_int_equal(stele_runtime_advance(runtime, 1), 2);
    assert_memory_equal(fired, expected, sizeof(expected));
    stele_runtime_free(runtime);
}

static void a_million_timers_at_one_instant_fire_in_order(void **state)
{
    stele_runtime *runtime = simulate();
    struct alarm *alarms = test_calloc(MILLION, sizeof(*alarms));

    (void)state;
    for (int i = 0; i < MILLION; i++)
        start(runtime, &alarms[i], i, 1000);
    assert_int_equal(count_timers(runtime), MILLION);
    assert_int_equal(stele_runtime_advance(runtime, 1000), MILLION);
    assert_int_equal(fired_count, MILLION);
    for (int i = 0; i < 64; i++)
        assert_int_equal(fired[i], i);
    assert_int_equal(count_timers(runtime), 0);
    test_free(alarms);
    stele_runtime_free(runtime);
}

static void a_cancelled_timer_does_not_fire(void **state)
{
    stele_runtime *runtime = simulate();
    struct alarm never_started = {.number = 0};
    struct alarm alarms[3];

    (void)state;
    for (int i = 0; i < 3; i++)
        start(runtime, &alarms[i], i, 10);
    assert_true(stele__timer_cancel(&alarms[1].timer));
    assert_false(stele__timer_cancel(&alarms[1].timer));
    assert_false(stele__timer_cancel(&never_started.timer));
    assert_int_equal(stele_runtime_advance(runtime, 10), 2);
    assert_int_equal(fired[0], 0);
    assert_int_equal(fired[1], 2);
    assert_false(stele__timer_cancel(&alarms[0].timer));
    stele_runtime_free(runtime);
}

static void start_again(struct stele__timer *timer)
{
    struct alarm *alarm = (struct alarm *)timer;

    note_number(timer);
    if (alarm->times_left-- > 0)
        assert_true(stele__timer_start(timer->runtime, timer, 10));
}

static void a_timer_may_start_itself_again(void **state)
{
    stele_runtime *runtime = simulate();
    struct alarm alarm;

    (void)state;
    start(runtime, &alarm, 1, 10);
    alarm.timer.fire = start_again;
    alarm.times_left = 4;
    assert_int_equal(stele_runtime_advance(runtime, 39), 3);
    assert_int_equal(stele_runtime_advance(runtime, 1000), 2);
    assert_int_equal(count_timers(runtime), 0);
    stele_runtime_free(runtime);
}

static void free_timer(struct stele__timer *timer)
{
    fired_count++;
    test_free(timer);
}

static void a_timer_may_free_itself(void **state)
{
    stele_runtime *runtime = simulate();
    struct alarm *alarm = test_malloc(sizeof(*alarm));

    (void)state;
    start(runtime, alarm, 1, 10);
    alarm->timer.fire = free_timer;
    assert_int_equal(stele_runtime_advance(runtime, 10), 1);
    assert_int_equal(fired_count, 1);
    stele_runtime_free(runtime);
}

static void a_timer_beyond_all_time_never_fires(void **state)
{
    stele_runtime *runtime = simulate();
    struct alarm alarm;

    (void)state;
    start(runtime, &alarm, 1, INT64_MAX);
    assert_int_equal(stele_runtime_advance(runtime, INT64_MAX), 0);
    assert_true(stele__timer_cancel(&alarm.timer));
    stele_runtime_free(runtime);
}

/* Started and cancelled at random, timers fire exactly when a list of all of them says. */
static void random_starts_and_cancels_match_a_plain_list(void **state)
{
    enum { TIMERS = 50, ROUNDS = 20000 };
    stele_runtime *runtime = simulate();
    struct support_random random = support_seed();
    struct alarm alarms[TIMERS];
    bool waiting[TIMERS] = {false};
    int64_t due[TIMERS] = {0};
    int64_t time = 0;

    (void)state;
    memset(alarms, 0, sizeof(alarms));
    for (int round = 0; round < ROUNDS; round++) {
        const size_t i = support_random_below(&random, TIMERS);
        const int64_t step = (int64_t)support_random_below(&random, 5);
        size_t expected = 0;

        if (waiting[i]) {
            assert_true(stele__timer_cancel(&alarms[i].timer));
            waiting[i] = false;
        } else {
            due[i] = time + 1 + (int64_t)support_random_below(&random, 100);
            start(runtime, &alarms[i], (int)i, due[i] - time);
            waiting[i] = true;
        }
        time += step;
        for (size_t j = 0; j < TIMERS; j++) {
            expected += waiting[j] && due[j] <= time;
            waiting[j] = waiting[j] && due[j] > time;
        }
        assert_int_equal(stele_runtime_advance(runtime, step), expected);
    }
    for (size_t i = 0; i < TIMERS; i++)
        assert_int_equal(stele__timer_cancel(&alarms[i].timer), waiting[i]);
    stele_runtime_free(runtime);
}

static stele_status start_one(void *context, stele_error **error)
{
    stele_runtime *runtime = context;
    struct alarm alarm = {.timer = {.name = "alarm", .fire = note_number}};

    (void)error;
    if (!stele__timer_start(runtime, &alarm.timer, 10))
        return STELE_NO_MEMORY;
    stele__timer_cancel(&alarm.timer);
    return STELE_OK;
}

static void a_timer_that_finds_no_memory_is_not_started(void **state)
{
    stele_runtime *runtime = simulate();

    (void)state;
    support_fail_allocation(1);
    assert_int_equal(start_one(runtime, NULL), STELE_NO_MEMORY);
    assert_int_equal(count_timers(runtime), 0);
    assert_int_equal(start_one(runtime, NULL), STELE_OK);
    stele_runtime_free(runtime);
}

/* --- In real time ------------------------------------------------------------------------------ */

struct bell {
    struct stele__timer timer;
    struct stele__signal rung;
    struct stele__signal *awaited; /* before it rings; may be NULL */
};

static void ring(struct stele__timer *timer)
{
    struct bell *bell = (struct bell *)timer;

    if (bell->awaited)
        stele__runtime_wait(timer->runtime, bell->awaited, INT64_MAX);
    stele__signal_set(&bell->rung);
}

static void real_timers_fire_with_workers(void **state)
{
    stele_runtime *runtime = new_runtime(1);
    struct bell late = {.timer = {.name = "late", .fire = ring}};
    struct bell first = {.timer = {.name = "first", .fire = ring}};
    struct bell soon = {.timer = {.name = "soon", .fire = ring}};

    (void)state;
    assert_true(stele__timer_start(runtime, &late.timer, INT64_C(3600) * 1000000000));
    assert_true(stele__timer_start(runtime, &first.timer, 0));
    assert_true(stele__runtime_wait(runtime, &first.rung, INT64_MAX));
    stele_runtime_run_until_idle(runtime); /* the thread that keeps time sleeps until the late one */
    assert_true(stele__timer_start(runtime, &soon.timer, 1000000));
    assert_true(stele__runtime_wait(runtime, &soon.rung, INT64_MAX));
    assert_false(stele__signal_is_set(&late.rung));
    assert_true(stele__timer_cancel(&late.timer));
    stele_runtime_free(runtime);
}

static void a_timer_whose_callback_waits_does_not_hold_up_others(void **state)
{
    stele_runtime *runtime = new_runtime(1);
    struct bell second = {.timer = {.name = "second", .fire = ring}};
    struct bell first = {.timer = {.name = "first", .fire = ring}, .awaited = &second.rung};

    (void)state;
    assert_true(stele__timer_start(runtime, &first.timer, 0));
    assert_true(stele__timer_start(runtime, &second.timer, 0));
    assert_true(stele__runtime_wait(runtime, &first.rung, INT64_MAX));
    stele_runtime_free(runtime);
}

static struct bell *bell_of_the_loop;

/* Takes its worker until the bell has rung, without the runtime's knowing. */
static void loop_until_rung(struct stele__task *task)
{
    (void)task;
    while (!stele__signal_is_set(&bell_of_the_loop->rung))
        sched_yield();
}

static void timers_fire_while_all_workers_are_taken(void **state)
{
    stele_runtime *runtime = new_runtime(1);
    struct bell bell = {.timer = {.name = "bell", .fire = ring}};
    struct stele__task loop = {.name = "loop", .run = loop_until_rung};

    (void)state;
    bell_of_the_loop = &bell;
    stele__runtime_post(runtime, &loop);
    assert_true(stele__timer_start(runtime, &bell.timer, 0));
    stele_runtime_run_until_idle(runtime);
    assert_true(stele__signal_is_set(&bell.rung));
    stele_runtime_free(runtime);
}

static void a_stopped_runtime_fires_no_timers(void **state)
{
    stele_runtime *runtime = new_runtime(1);
    struct bell bell = {.timer = {.name = "bell", .fire = ring}};
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele_runtime_stop(runtime, 1000, &error), error);
    assert_true(stele__timer_start(runtime, &bell.timer, 0));
    assert_true(stele__timer_cancel(&bell.timer));
    assert_false(stele__signal_is_set(&bell.rung));
    stele_runtime_free(runtime);
}

struct race {
    struct stele__timer timer;
    atomic_int fired;
};

static void count_race(struct stele__timer *timer)
{
    atomic_fetch_add(&((struct race *)timer)->fired, 1);
}

static void a_timer_is_either_cancelled_or_fires(void **state)
{
    enum { ROUNDS = 20000 };
    stele_runtime *runtime = new_runtime(1);
    struct race race = {.timer = {.name = "race", .fire = count_race}};
    int cancelled = 0;

    (void)state;
    atomic_init(&race.fired, 0);
    for (int i = 1; i <= ROUNDS; i++) {
        assert_true(stele__timer_start(runtime, &race.timer, i % 3 * 1000));
        if (stele__timer_cancel(&race.timer))
            cancelled++;
        else
            while (atomic_load(&race.fired) + cancelled < i)
                sched_yield();
        assert_int_equal(atomic_load(&race.fired) + cancelled, i);
    }
    stele_runtime_free(runtime);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(timers_fire_in_order_of_time_then_of_starting),
        support_test(a_million_timers_at_one_instant_fire_in_order),
        support_test(a_cancelled_timer_does_not_fire),
        support_test(a_timer_may_start_itself_again),
        support_test(a_timer_may_free_itself),
        support_test(a_timer_beyond_all_time_never_fires),
        support_test(random_starts_and_cancels_match_a_plain_list),
        support_test(a_timer_that_finds_no_memory_is_not_started),
        support_test(real_timers_fire_with_workers),
        support_test(a_timer_whose_callback_waits_does_not_hold_up_others),
        support_test(timers_fire_while_all_workers_are_taken),
        support_test(a_stopped_runtime_fires_no_timers),
        support_test(a_timer_is_either_cancelled_or_fires),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
