/* A wall clock that jumps by a day, to and fro: what counts elapsed time does not notice. */
#include "tests/unit/bus/fixture.h"

#define SECOND (INT64_C(1000) * MS)
#define DAY (INT64_C(86400) * SECOND)
#define START INT64_C(1767225600000000000)

/* --- A runtime without workers, on a clock of the test's own ---------------------------------------- */

static int64_t wall, elapsed;

static int64_t read_wall(void *context)
{
    (void)context;
    return wall;
}

static int64_t read_elapsed(void *context)
{
    (void)context;
    return elapsed;
}

static void pass(void *context, int64_t nanoseconds)
{
    (void)context;
    wall += nanoseconds;
    elapsed += nanoseconds;
}

static const struct stele_clock jumping = {.now = read_wall, .monotonic = read_elapsed, .pause = pass};

static int begin(void **state)
{
    struct stele_runtime_options options = STELE_OPTIONS_INIT(struct stele_runtime_options);
    stele_error *error = NULL;

    assert_int_equal(support_setup(state), 0);
    wall = START;
    elapsed = SECOND;
    options.clock = &jumping;
    assert_ok(stele_runtime_new(0, &options, &fixture_runtime, &error), error);
    assert_ok(stele_bus_new(fixture_runtime, NULL, &fixture_bus, &error), error);
    fixture_recorded();
    return 0;
}

#define clock_test(name) cmocka_unit_test_setup_teardown(name, begin, fixture_teardown)

/* Let time pass and run what is due. */
static void let_pass(int64_t nanoseconds)
{
    pass(NULL, nanoseconds);
    stele_runtime_run(fixture_runtime, 0);
}

/* To and fro: a day ahead, then a day behind where it began. */
static void jump(int turn)
{
    wall += turn % 2 == 0 ? DAY : -2 * DAY;
}

static const struct stele_route ticks = {.name = "ticks", .on = "note.taken", .handle = fixture_record};

/* --- Schedules ------------------------------------------------------------------------------------------ */

static void an_interval_is_elapsed_time(void **state)
{
    stele_message *tick = fixture_event("note.taken");
    stele_error *error = NULL;

    (void)state;
    fixture_add_as(&ticks, "t");
    assert_ok(stele_schedule_every(fixture_bus, 1000, tick, NULL, &error), error);
    for (int i = 0; i < 8; i++) {
        jump(i);
        let_pass(SECOND - 1);
        assert_string_equal(fixture_recorded(), "");
        jump(i + 1);
        let_pass(1);
        assert_string_equal(fixture_recorded(), "t1");
    }
    stele_message_unref(tick);
}

static void an_instant_is_not_before_its_time_whatever_the_clock_does(void **state)
{
    stele_message *tick = fixture_event("note.taken");
    stele_error *error = NULL;

    (void)state;
    fixture_add_as(&ticks, "t");
    assert_ok(stele_schedule_at(fixture_bus, START + 10 * SECOND, tick, NULL, &error), error);
    let_pass(5 * SECOND);
    wall -= DAY;
    let_pass(5 * SECOND);
    assert_string_equal(fixture_recorded(), "");
    let_pass(DAY - 1);
    assert_string_equal(fixture_recorded(), "");
    let_pass(1);
    assert_string_equal(fixture_recorded(), "t1");
    /* A step ahead, past the time: it comes when the time that was left has passed. */
    assert_ok(stele_schedule_at(fixture_bus, wall + 10 * SECOND, tick, NULL, &error), error);
    wall += DAY;
    let_pass(10 * SECOND);
    assert_string_equal(fixture_recorded(), "t1");
    stele_message_unref(tick);
}

/* --- Interceptors ----------------------------------------------------------------------------------------- */

static stele_status deliver(void)
{
    stele_message *event = fixture_event("note.taken");
    const stele_status status = stele_deliver(fixture_bus, event, NULL, NULL, NULL);

    stele_message_unref(event);
    return status;
}

static stele_status status_now;

static stele_status end_as_told(void *resource, const stele_message *message, stele_context *context)
{
    (void)resource;
    (void)message;
    (void)context;
    return status_now;
}

static void NTH26_a_breaker_recovers_by_elapsed_time(void **state)
{
    static const struct stele_breaker settings = {.threshold = 2, .recovery_ms = 1000};
    static const struct stele_interceptor breaker = {.name = "breaker", STELE_BREAKER(&settings)};
    static const struct stele_interceptor *const interceptors[] = {&breaker, NULL};
    static const struct stele_route route = {.name = "r",
                                             .on = "note.taken",
                                             .handle = end_as_told,
                                             .interceptors = interceptors,
                                             .on_failure = STELE_IGNORE};

    (void)state;
    fixture_add(&route, NULL);
    status_now = STELE_FAILED;
    assert_int_equal(deliver(), STELE_FAILED);
    assert_int_equal(deliver(), STELE_FAILED);
    status_now = STELE_OK;
    for (int i = 0; i < 4; i++) {
        jump(i);
        assert_int_equal(deliver(), STELE_OVERLOAD);
    }
    let_pass(SECOND - 1);
    assert_int_equal(deliver(), STELE_OVERLOAD);
    wall -= DAY;
    let_pass(1);
    assert_int_equal(deliver(), STELE_OK);
}

static void a_rate_is_of_elapsed_time(void **state)
{
    static const struct stele_rate_limit settings = {.per_second = 1, .burst = 2};
    static const struct stele_interceptor limit = {.name = "limit", STELE_RATE_LIMIT(&settings)};
    static const struct stele_interceptor *const interceptors[] = {&limit, NULL};
    static const struct stele_route route = {.name = "r",
                                             .on = "note.taken",
                                             .handle = end_as_told,
                                             .interceptors = interceptors,
                                             .on_failure = STELE_IGNORE};

    (void)state;
    fixture_add(&route, NULL);
    status_now = STELE_OK;
    assert_int_equal(deliver(), STELE_OK);
    assert_int_equal(deliver(), STELE_OK);
    for (int i = 0; i < 4; i++) {
        jump(i);
        assert_int_equal(deliver(), STELE_OVERLOAD);
    }
    wall -= DAY;
    let_pass(SECOND);
    assert_int_equal(deliver(), STELE_OK);
    assert_int_equal(deliver(), STELE_OVERLOAD);
}

/* --- Deadlines and retries ------------------------------------------------------------------------------------ */

static int64_t left_before, left_after;
static unsigned attempts;

static stele_status jump_and_look(void *resource, const stele_message *message, stele_context *context)
{
    (void)resource;
    (void)message;
    left_before = stele_context_time_left(context);
    jump((int)attempts);
    left_after = stele_context_time_left(context);
    return stele_context_is_cancelled(context) ? STELE_CANCELLED : ++attempts < 4 ? STELE_TIMEOUT : STELE_OK;
}

static void deadlines_and_pauses_between_attempts_are_elapsed_time(void **state)
{
    static const struct stele_retry settings = {
        .max_attempts = 4, .delay_ms = 1000, .backoff = STELE_BACKOFF_FIXED, .jitter = STELE_JITTER_NONE};
    static const struct stele_interceptor retry = {.name = "retry", STELE_RETRY(&settings)};
    static const struct stele_interceptor *const interceptors[] = {&retry, NULL};
    static const struct stele_route route = {.name = "r",
                                             .on = "note.taken",
                                             .handle = jump_and_look,
                                             .interceptors = interceptors,
                                             .timeout_ms = 5000,
                                             .delivery = STELE_QUEUED,
                                             .on_failure = STELE_IGNORE};

    (void)state;
    attempts = 0;
    fixture_add(&route, NULL);
    fixture_publish("note.taken");
    let_pass(0);
    for (unsigned i = 1; i <= 4; i++) {
        assert_int_equal(attempts, i);
        assert_int_equal(left_before, left_after);
        assert_in_range(left_after, 1, 5 * SECOND);
        let_pass(SECOND - 1);
        assert_int_equal(attempts, i);
        let_pass(1);
    }
    assert_int_equal(fixture_stats("r").retries, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        clock_test(an_interval_is_elapsed_time),
        clock_test(an_instant_is_not_before_its_time_whatever_the_clock_does),
        clock_test(NTH26_a_breaker_recovers_by_elapsed_time),
        clock_test(a_rate_is_of_elapsed_time),
        clock_test(deadlines_and_pauses_between_attempts_are_elapsed_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
