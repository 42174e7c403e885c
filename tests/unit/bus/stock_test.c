/* Stock interceptors on a bus: retry, breaker, limits, gates, fallback. */
#include "tests/unit/bus/stage.h"

#include <stdatomic.h>
#include <string.h>

static struct actor placed;
static const struct stele_route placed_route = {
    .name = "placed", .on = "order.placed", .handle = stage_act, .on_failure = STELE_IGNORE};
static const struct stele_route queued_route = {
    .name = "placed", .on = "order.placed", .handle = stage_act, .delivery = STELE_QUEUED, .on_failure = STELE_IGNORE};

static int setup(void **state)
{
    placed = (struct actor){0};
    return stage_setup(state);
}

#define stock_test(name) cmocka_unit_test_setup_teardown(name, setup, stage_teardown)

/* --- Retry -------------------------------------------------------------------------------- */

static const struct stele_retry three_attempts = {
    .max_attempts = 3, .backoff = STELE_BACKOFF_FIXED, .jitter = STELE_JITTER_NONE, .delay_ms = 20};
static const struct stele_interceptor retry_3 = {.name = "retry", STELE_RETRY(&three_attempts)};

static void FWK17_fails_twice_and_passes_with_three_attempts(void **state)
{
    (void)state;
    placed.fails = 2;
    stage_add(&placed_route, &placed);
    stage_intercept(&retry_3);
    assert_int_equal(STELE_OK, stage_deliver());
    assert_int_equal(3, placed.calls);
    assert_int_equal(0, placed.times[0]);
    assert_int_equal(20 * MS, placed.times[1]);
    assert_int_equal(40 * MS, placed.times[2]);
}

static void FWK17_two_attempts_end_with_the_error(void **state)
{
    static const struct stele_retry two = {.max_attempts = 2, .delay_ms = 1};
    static const struct stele_interceptor retry = {.name = "retry", STELE_RETRY(&two)};

    (void)state;
    placed.fails = 2;
    stage_add(&placed_route, &placed);
    stage_intercept(&retry);
    assert_int_equal(STELE_FAILED, stage_deliver());
    assert_non_null(strstr(stage_text(), "call 2 failed"));
    assert_int_equal(2, placed.calls);
}

static void FWK17_one_attempt_is_never_made_again(void **state)
{
    static const struct stele_retry one = {.max_attempts = 1};
    static const struct stele_interceptor retry = {.name = "retry", STELE_RETRY(&one)};

    (void)state;
    placed.fails = 1;
    stage_add(&placed_route, &placed);
    stage_intercept(&retry);
    assert_int_equal(STELE_FAILED, stage_deliver());
    assert_int_equal(1, placed.calls);
}

static void ORX43_the_result_of_the_attempt_that_passes_is_the_reply(void **state)
{
    static const struct stele_route route = {.name = "quotes", .on = "quote.asked", .handle = stage_act};
    const struct quote_asked payload = {.order = "o"};
    struct quote answer;
    stele_message *question = NULL;
    stele_message *reply = NULL;
    stele_arena *arena = NULL;
    stele_error *error = NULL;

    (void)state;
    placed.fails = 2;
    placed.publishes = true;
    stage_add(&route, &placed);
    stage_intercept(&retry_3);
    assert_ok(stele_arena_new(&arena, &error), error);
    assert_ok(quote_asked_message(&payload, NULL, &question, &error), error);
    assert_ok(stele_request(stage_bus, question, NULL, &reply, &error), error);
    assert_ok(quote_read(reply, arena, &answer, &error), error);
    assert_int_equal(7, answer.price);
    stele_message_unref(question);
    stele_message_unref(reply);
    stele_arena_free(arena);
}

static void ORX43_a_failure_that_stays_tells_its_attempts(void **state)
{
    struct stele_unit_outcome outcome = {0};
    stele_message *message = stage_order("o", 5, NULL);

    (void)state;
    placed.fails = 99;
    placed.status = STELE_BUSY;
    stage_add(&placed_route, &placed);
    stage_intercept(&retry_3);
    assert_int_equal(STELE_BUSY, stage_deliver_message(message, &outcome));
    assert_int_equal(1, outcome.failure_count);
    assert_int_equal(3, outcome.failures[0].attempts);
    assert_string_equal("call 3 failed", outcome.failures[0].text);
    stele_unit_outcome_fini(&outcome);
    stele_message_unref(message);
}

static void ORX41_attempts_are_made_at_their_virtual_times(void **state)
{
    static const struct stele_retry doubling = {.max_attempts = 4, .jitter = STELE_JITTER_NONE};
    static const struct stele_interceptor retry = {.name = "retry", STELE_RETRY(&doubling)};

    (void)state;
    placed.fails = 3;
    stage_add(&queued_route, &placed);
    stage_intercept(&retry);
    assert_int_equal(STELE_OK, stage_deliver());
    assert_int_equal(4, placed.calls);
    assert_int_equal(0, placed.times[0]);
    assert_int_equal(1000 * MS, placed.times[1]);
    assert_int_equal(3000 * MS, placed.times[2]);
    assert_int_equal(7000 * MS, placed.times[3]);
}

static void order_is_kept_while_a_queued_call_is_retried(void **state)
{
    stele_message *first = stage_order("first", 5, NULL);
    stele_error *error = NULL;

    (void)state;
    placed.fails = 2;
    stage_add(&queued_route, &placed);
    stage_intercept(&retry_3);
    assert_ok(stele_publish(stage_bus, first, NULL, &error), error);
    assert_int_equal(STELE_OK, stage_deliver());
    assert_int_equal(4, placed.calls);
    assert_int_equal(1, placed.attempts[0]);
    assert_int_equal(3, placed.attempts[2]);
    assert_int_equal(1, placed.attempts[3]);
    stele_message_unref(first);
}

static void what_is_not_worth_it_is_not_retried(void **state)
{
    static const struct {
        stele_status status;
        unsigned calls;
    } cases[] = {{STELE_REJECTED, 1}, {STELE_INVALID, 1}, {STELE_DENIED, 1},   {STELE_CORRUPT, 1}, {STELE_CANCELLED, 1},
                 {STELE_FAILED, 3},   {STELE_BUSY, 3},    {STELE_CONFLICT, 3}, {STELE_TIMEOUT, 3}, {STELE_OVERLOAD, 3}};

    (void)state;
    stage_add(&placed_route, &placed);
    stage_intercept(&retry_3);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        placed = (struct actor){.fails = 99, .status = cases[i].status};
        assert_int_equal(cases[i].status, stage_deliver());
        assert_int_equal(cases[i].calls, placed.calls);
    }
}

static bool wants_rejections(stele_status status)
{
    return status == STELE_REJECTED;
}

static void ORX41_an_own_policy_decides_what_is_worth_it(void **state)
{
    static const struct stele_retry own = {.max_attempts = 3, .delay_ms = 1, .wants = wants_rejections};
    static const struct stele_interceptor retry = {.name = "retry", STELE_RETRY(&own)};

    (void)state;
    placed = (struct actor){.fails = 99, .status = STELE_REJECTED};
    stage_add(&placed_route, &placed);
    stage_intercept(&retry);
    assert_int_equal(STELE_REJECTED, stage_deliver());
    assert_int_equal(3, placed.calls);
    placed = (struct actor){.fails = 99, .status = STELE_BUSY};
    assert_int_equal(STELE_BUSY, stage_deliver());
    assert_int_equal(1, placed.calls);
}

/* --- Deadline --------------------------------------------------------------------------------- */

static void a_call_that_takes_longer_than_its_deadline_times_out(void **state)
{
    static const struct stele_deadline settings = {.timeout_ms = 20};
    static const struct stele_interceptor deadline = {.name = "deadline", STELE_DEADLINE(&settings)};

    (void)state;
    placed.takes = 19 * MS;
    stage_add(&placed_route, &placed);
    stage_intercept(&deadline);
    assert_int_equal(STELE_OK, stage_deliver());
    placed.takes = 21 * MS;
    assert_int_equal(STELE_TIMEOUT, stage_deliver());
}

static void each_attempt_has_a_deadline_of_its_own(void **state)
{
    static const struct stele_deadline settings = {.timeout_ms = 20};
    static const struct stele_interceptor deadline = {.name = "deadline", STELE_DEADLINE(&settings)};

    (void)state;
    placed.takes = 15 * MS;
    placed.fails = 2;
    stage_add(&placed_route, &placed);
    stage_intercept(&deadline);
    stage_intercept(&retry_3);
    assert_int_equal(STELE_OK, stage_deliver());
    assert_int_equal(3, placed.calls);
}

/* --- Breaker ------------------------------------------------------------------------------------- */

static const struct stele_breaker two_failures = {.threshold = 2, .recovery_ms = 100};
static const struct stele_interceptor breaker_2 = {.name = "breaker", STELE_BREAKER(&two_failures)};

static void HEX25_breaker_opens_at_two_then_blocks_all(void **state)
{
    (void)state;
    placed.fails = 99;
    stage_add(&placed_route, &placed);
    stage_intercept(&breaker_2);
    assert_int_equal(STELE_FAILED, stage_deliver());
    assert_int_equal(STELE_FAILED, stage_deliver());
    for (int i = 0; i < 5; i++)
        assert_int_equal(STELE_OVERLOAD, stage_deliver());
    assert_int_equal(2, placed.calls);
}

static void NTH26_breaker_goes_through_all_its_states(void **state)
{
    (void)state;
    placed.fails = 3;
    stage_add(&placed_route, &placed);
    stage_intercept(&breaker_2);
    assert_int_equal(STELE_FAILED, stage_deliver());
    assert_int_equal(STELE_FAILED, stage_deliver());
    stele_runtime_advance(stage_runtime, 100 * MS - 1);
    assert_int_equal(STELE_OVERLOAD, stage_deliver());
    stele_runtime_advance(stage_runtime, 1);
    assert_int_equal(STELE_FAILED, stage_deliver()); /* the trial */
    assert_int_equal(STELE_OVERLOAD, stage_deliver());
    stele_runtime_advance(stage_runtime, 100 * MS);
    assert_int_equal(STELE_OK, stage_deliver());
    assert_int_equal(STELE_OK, stage_deliver());
    assert_int_equal(5, placed.calls);
}

static void NTH26_rejections_are_no_failures(void **state)
{
    (void)state;
    placed.fails = 99;
    placed.status = STELE_REJECTED;
    stage_add(&placed_route, &placed);
    stage_intercept(&breaker_2);
    for (int i = 0; i < 10; i++)
        assert_int_equal(STELE_REJECTED, stage_deliver());
    assert_int_equal(10, placed.calls);
}

static bool counts_busy(stele_status status)
{
    return status == STELE_BUSY;
}

static void NTH26_a_filter_says_which_failures_count(void **state)
{
    static const struct stele_breaker settings = {.threshold = 1, .counts = counts_busy};
    static const struct stele_interceptor breaker = {.name = "breaker", STELE_BREAKER(&settings)};

    (void)state;
    placed.fails = 99;
    stage_add(&placed_route, &placed);
    stage_intercept(&breaker);
    assert_int_equal(STELE_FAILED, stage_deliver());
    placed.status = STELE_BUSY;
    assert_int_equal(STELE_BUSY, stage_deliver());
    assert_int_equal(STELE_OVERLOAD, stage_deliver());
}

static bool is_flag_set;

static bool flag(void)
{
    return is_flag_set;
}

static const struct stele_skip_flag skip_settings = {.flag = flag};
static const struct stele_interceptor skip = {.name = "skip", STELE_SKIP_BY_FLAG(&skip_settings)};

static void a_trial_that_is_skipped_leaves_its_place_to_the_next(void **state)
{
    (void)state;
    is_flag_set = false;
    placed.fails = 3;
    stage_add(&placed_route, &placed);
    stage_intercept(&breaker_2);
    stage_intercept(&skip);
    assert_int_equal(STELE_FAILED, stage_deliver());
    assert_int_equal(STELE_FAILED, stage_deliver());
    stele_runtime_advance(stage_runtime, 100 * MS);
    is_flag_set = true;
    assert_int_equal(STELE_OK, stage_deliver());
    is_flag_set = false;
    assert_int_equal(STELE_FAILED, stage_deliver());   /* the trial */
    assert_int_equal(STELE_OVERLOAD, stage_deliver()); /* of which one failure is enough */
    assert_int_equal(3, placed.calls);
}

static void breakers_of_two_routes_know_nothing_of_each_other(void **state)
{
    static const struct stele_interceptor *const own[] = {&breaker_2, NULL};
    static const struct stele_route bad = {
        .name = "bad", .on = "order.placed", .handle = stage_act, .on_failure = STELE_IGNORE, .interceptors = own};
    static const struct stele_route good = {
        .name = "good", .on = "order.placed", .handle = stage_act, .interceptors = own};
    struct actor fine = {0};

    (void)state;
    placed.fails = 99;
    stage_add(&bad, &placed);
    stage_add(&good, &fine);
    for (int i = 0; i < 5; i++)
        stage_deliver();
    assert_int_equal(2, placed.calls);
    assert_int_equal(5, fine.calls);
}

static void retries_count_as_calls_for_a_breaker(void **state)
{
    (void)state;
    placed.fails = 99;
    stage_add(&placed_route, &placed);
    stage_intercept(&breaker_2);
    stage_intercept(&retry_3);
    assert_int_equal(STELE_OVERLOAD, stage_deliver());
    assert_int_equal(2, placed.calls);
}

/* --- Rate limit -------------------------------------------------------------------------------------- */

static void HEX25_rate_limit_lets_three_pass_and_not_the_fourth(void **state)
{
    static const struct stele_rate_limit settings = {.per_second = 1, .burst = 3};
    static const struct stele_interceptor rate = {.name = "rate", STELE_RATE_LIMIT(&settings)};

    (void)state;
    stage_add(&placed_route, &placed);
    stage_intercept(&rate);
    for (int i = 0; i < 3; i++)
        assert_int_equal(STELE_OK, stage_deliver());
    assert_int_equal(STELE_OVERLOAD, stage_deliver());
    assert_int_equal(3, placed.calls);
    stele_runtime_advance(stage_runtime, 1000 * MS);
    assert_int_equal(STELE_OK, stage_deliver());
    assert_int_equal(STELE_OVERLOAD, stage_deliver());
}

static void a_rate_limit_that_waits_spreads_calls_in_order(void **state)
{
    static const struct stele_rate_limit settings = {.per_second = 10, .wait = true};
    static const struct stele_interceptor rate = {.name = "rate", STELE_RATE_LIMIT(&settings)};
    stele_error *error = NULL;

    (void)state;
    stage_add(&queued_route, &placed);
    stage_intercept(&rate);
    for (int i = 0; i < 4; i++) {
        stele_message *message = stage_order("o", 5, NULL);

        assert_ok(stele_publish(stage_bus, message, NULL, &error), error);
        stele_message_unref(message);
    }
    stele_runtime_advance(stage_runtime, 1000 * MS);
    assert_int_equal(4, placed.calls);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(100 * MS * i, placed.times[i]);
}

static void a_call_that_is_skipped_gives_its_token_back(void **state)
{
    static const struct stele_rate_limit settings = {.per_second = 1};
    static const struct stele_interceptor rate = {.name = "rate", STELE_RATE_LIMIT(&settings)};

    (void)state;
    is_flag_set = true;
    stage_add(&placed_route, &placed);
    stage_intercept(&rate);
    stage_intercept(&skip);
    for (int i = 0; i < 3; i++)
        assert_int_equal(STELE_OK, stage_deliver());
    is_flag_set = false;
    assert_int_equal(STELE_OK, stage_deliver());
    assert_int_equal(STELE_OVERLOAD, stage_deliver());
    assert_int_equal(1, placed.calls);
}

/* --- Concurrency --------------------------------------------------------------------------------------- */

static stele_status nested_status;

/* Delivers an order.placed while it is being called itself. */
static stele_status deliver_within(void *resource, const stele_message *message, stele_context *context)
{
    (void)resource;
    (void)message;
    (void)context;
    nested_status = stage_deliver();
    return STELE_OK;
}

static const struct stele_route outer_route = {.name = "outer", .on = "order.paid", .handle = deliver_within};

static stele_status deliver_outer(void)
{
    const struct order_paid payload = {.order = "o"};
    stele_message *message = NULL;
    stele_error *error = NULL;
    stele_status status;

    assert_ok(order_paid_message(&payload, NULL, &message, &error), error);
    status = stage_deliver_message(message, NULL);
    stele_message_unref(message);
    return status;
}

static void beyond_the_limit_a_call_is_rejected_and_places_come_back(void **state)
{
    static const struct stele_concurrency_limit settings = {.limit = 1, .reject = true};
    static const struct stele_interceptor limit = {.name = "limit", STELE_CONCURRENCY_LIMIT(&settings)};

    (void)state;
    placed.fails = 1;
    stage_add(&placed_route, &placed);
    stage_add(&outer_route, NULL);
    stage_intercept(&limit);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(STELE_OK, deliver_outer());
        assert_int_equal(STELE_OVERLOAD, nested_status);
    }
    assert_int_equal(0, placed.calls);
    assert_int_equal(STELE_FAILED, stage_deliver());
    assert_int_equal(STELE_OK, stage_deliver());
}

static void a_skipped_call_gives_its_place_back(void **state)
{
    static const struct stele_concurrency_limit settings = {.limit = 1, .reject = true};
    static const struct stele_interceptor limit = {.name = "limit", STELE_CONCURRENCY_LIMIT(&settings)};

    (void)state;
    is_flag_set = true;
    stage_add(&placed_route, &placed);
    stage_intercept(&limit);
    stage_intercept(&skip);
    for (int i = 0; i < 3; i++)
        assert_int_equal(STELE_OK, stage_deliver());
    is_flag_set = false;
    assert_int_equal(STELE_OK, stage_deliver());
    assert_int_equal(1, placed.calls);
}

enum { CROWD = 200 };

struct crowd {
    atomic_uint running, most, calls;
};

static stele_status join_crowd(void *resource, const stele_message *message, stele_context *context)
{
    struct crowd *crowd = resource;
    const unsigned running = atomic_fetch_add(&crowd->running, 1) + 1;
    unsigned most = atomic_load(&crowd->most);

    (void)message;
    (void)context;
    while (running > most && !atomic_compare_exchange_weak(&crowd->most, &most, running))
        continue;
    atomic_fetch_add(&crowd->calls, 1);
    atomic_fetch_sub(&crowd->running, 1);
    return STELE_OK;
}

/* Many keys on four workers, and never more than two calls at once; all are made. */
static void threads_stay_within_the_limit(void **state)
{
    static const struct stele_concurrency_limit settings = {.limit = 2};
    static const struct stele_interceptor limit = {.name = "limit", STELE_CONCURRENCY_LIMIT(&settings)};
    static const struct stele_route route = {
        .name = "crowd", .on = "order.placed", .handle = join_crowd, .delivery = STELE_QUEUED, .partition = "amount"};
    struct crowd crowd = {0};
    stele_runtime *runtime = NULL;
    stele_bus *bus = NULL;
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele_runtime_new(4, NULL, &runtime, &error), error);
    assert_ok(stele_bus_new(runtime, NULL, &bus, &error), error);
    assert_ok(stele_bus_add_interceptor(bus, &limit, &error), error);
    assert_ok(stele_bus_add_route(bus, &route, &crowd, NULL, &error), error);
    for (int i = 0; i < CROWD; i++) {
        stele_message *message = stage_order("o", 1 + i % 16, NULL);

        assert_ok(stele_publish(bus, message, NULL, &error), error);
        stele_message_unref(message);
    }
    assert_ok(stele_bus_stop(bus, 60000, NULL, &error), error);
    assert_int_equal(CROWD, crowd.calls);
    assert_in_range(crowd.most, 1, 2);
    stele_bus_free(bus);
    stele_runtime_free(runtime);
}

/* --- Authorisation ------------------------------------------------------------------------------------------ */

static unsigned predicates_asked;

static bool allows_ann(const char *user, const stele_message *message)
{
    (void)message;
    predicates_asked++;
    return user && strcmp(user, "ann") == 0;
}

static const struct stele_authorisation ann_only = {.allows = allows_ann};
static const struct stele_interceptor authorisation = {.name = "ann-only", STELE_AUTHORISATION(&ann_only)};

static stele_status deliver_as(const char *user)
{
    stele_message *message = stage_order("o", 5, user);
    const stele_status status = stage_deliver_message(message, NULL);

    stele_message_unref(message);
    return status;
}

static void HEX25_authorisation_on_a_bus_refuses_the_publisher(void **state)
{
    (void)state;
    predicates_asked = 0;
    stage_add(&placed_route, &placed);
    stage_intercept(&authorisation);
    assert_int_equal(STELE_OK, deliver_as("ann"));
    assert_int_equal(1, predicates_asked); /* once for each message, not again at HANDLE */
    assert_int_equal(STELE_DENIED, deliver_as("bob"));
    assert_non_null(strstr(stage_text(), "user bob may not send order.placed"));
    assert_int_equal(STELE_DENIED, deliver_as(NULL));
    assert_int_equal(1, placed.calls);
}

static void HEX25_authorisation_on_a_route_keeps_from_that_route(void **state)
{
    static const struct stele_interceptor *const own[] = {&authorisation, NULL};
    static const struct stele_route guarded = {
        .name = "guarded", .on = "order.placed", .handle = stage_act, .on_failure = STELE_IGNORE, .interceptors = own};
    struct actor actor = {0};

    (void)state;
    stage_add(&placed_route, &placed);
    stage_add(&guarded, &actor);
    assert_int_equal(STELE_DENIED, deliver_as("bob"));
    assert_int_equal(1, placed.calls);
    assert_int_equal(0, actor.calls);
    assert_int_equal(STELE_OK, deliver_as("ann"));
    assert_int_equal(1, actor.calls);
}

/* --- Validation ------------------------------------------------------------------------------------------------ */

static const struct stele_interceptor validation = {.name = "validation", STELE_VALIDATION};

/* A message of that type from outside, its payload given as JSON. */
static stele_status deliver_raw(const char *type, uint32_t version, const char *json)
{
    struct stele_raw_message raw = {
        .kind = STELE_EVENT, .type = type, .type_version = version, .format = STELE_PAYLOAD_MSGPACK};
    stele_message *message = NULL;
    stele_arena *arena = NULL;
    stele_error *error = NULL;
    stele_status status;

    assert_ok(stele_arena_new(&arena, &error), error);
    assert_ok(stele_msgpack_from_json(support_slice(json), arena, &raw.payload, &error), error);
    assert_ok(stele_message_new_raw(&raw, NULL, &message, &error), error);
    status = stage_deliver_message(message, NULL);
    stele_message_unref(message);
    stele_arena_free(arena);
    return status;
}

static void ORX06_messages_from_outside_keep_the_rules_of_their_type(void **state)
{
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele_bus_add_type(stage_bus, &order_placed_type, &error), error);
    stage_add(&placed_route, &placed);
    stage_intercept(&validation);
    assert_int_equal(STELE_OK, deliver_raw("order.placed", 1, "{\"order\":\"o\",\"amount\":1}"));
    assert_int_equal(STELE_INVALID, deliver_raw("order.placed", 1, "{\"order\":\"o\",\"amount\":0}"));
    assert_non_null(strstr(stage_text(), "order.placed"));
    assert_non_null(strstr(stage_text(), "amount"));
    assert_non_null(strstr(stage_text(), "positive"));
    assert_int_equal(STELE_INVALID, deliver_raw("order.placed", 1, "{\"order\":\" \",\"amount\":1}"));
    assert_non_null(strstr(stage_text(), "order"));
    assert_int_equal(STELE_INVALID, deliver_raw("order.placed", 1, "{\"order\":\"o\"}"));
    assert_int_equal(STELE_INVALID, deliver_raw("order.placed", 1, "{\"order\":\"o\",\"amount\":\"1\"}"));
    assert_int_equal(STELE_INVALID, deliver_raw("order.placed", 2, "{\"order\":\"o\",\"amount\":1}"));
    assert_int_equal(STELE_INVALID, deliver_raw("order.placed", 1, "[]"));
    assert_int_equal(1, placed.calls);
}

static void a_type_that_is_not_known_is_not_validated(void **state)
{
    static const struct stele_route route = {.name = "any", .on = "other.*", .handle = stage_act};

    (void)state;
    stage_add(&route, &placed);
    stage_intercept(&validation);
    assert_int_equal(STELE_OK, deliver_raw("other.thing", 1, "{\"amount\":-1}"));
    assert_int_equal(1, placed.calls);
}

/* --- Skip by flag --------------------------------------------------------------------------------------------------- */

static void HEX25_a_flag_skips_while_it_is_set(void **state)
{
    (void)state;
    is_flag_set = true;
    stage_add(&placed_route, &placed);
    stage_intercept(&skip);
    assert_int_equal(STELE_OK, stage_deliver());
    assert_int_equal(0, placed.calls);
    is_flag_set = false;
    assert_int_equal(STELE_OK, stage_deliver());
    assert_int_equal(1, placed.calls);
}

static void HEX25_a_flag_can_skip_while_it_is_not_set(void **state)
{
    static const struct stele_skip_flag settings = {.flag = flag, .when_unset = true};
    static const struct stele_interceptor unless = {.name = "unless", STELE_SKIP_BY_FLAG(&settings)};

    (void)state;
    is_flag_set = false;
    stage_add(&placed_route, &placed);
    stage_intercept(&unless);
    assert_int_equal(STELE_OK, stage_deliver());
    assert_int_equal(0, placed.calls);
    is_flag_set = true;
    assert_int_equal(STELE_OK, stage_deliver());
    assert_int_equal(1, placed.calls);
}

/* --- Fallback value --------------------------------------------------------------------------------------------------- */

static const struct quote list_price = {.price = 99};
static const struct stele_route quotes = {
    .name = "quotes", .on = "quote.asked", .handle = stage_act, .replies = &quote_type};

static stele_status ask_quote(stele_message **reply)
{
    const struct quote_asked payload = {.order = "o"};
    const struct stele_extension user = {.name = "user", .text = support_slice("ann")};
    const struct stele_message_options options = {.size = sizeof(options),
                                                  .id = "question-1",
                                                  .correlationid = "talk-1",
                                                  .extensions = &user,
                                                  .extension_count = 1};
    stele_message *question = NULL;
    stele_error *error = NULL;
    stele_status status;

    assert_ok(quote_asked_message(&payload, &options, &question, &error), error);
    status = stele_request(stage_bus, question, NULL, reply, &error);
    stele_error_free(error);
    stele_message_unref(question);
    return status;
}

static void HEX25_a_fallback_answers_a_request_whose_handler_failed(void **state)
{
    static const struct stele_fallback_value settings = {.type = &quote_type, .payload = &list_price};
    static const struct stele_interceptor fallback = {
        .name = "fallback", .on = "quote.asked", STELE_FALLBACK_VALUE(&settings)};
    struct stele_extension user;
    struct quote answer;
    stele_message *reply = NULL;
    stele_arena *arena = NULL;
    stele_error *error = NULL;

    (void)state;
    placed.fails = 1;
    stage_add(&quotes, &placed);
    stage_intercept(&fallback);
    assert_int_equal(STELE_OK, ask_quote(&reply));
    assert_ok(stele_arena_new(&arena, &error), error);
    assert_ok(quote_read(reply, arena, &answer, &error), error);
    assert_int_equal(99, answer.price);
    assert_int_equal(STELE_REPLY, stele_message_kind(reply));
    assert_memory_equal("question-1", stele_message_causationid(reply).data, 10);
    assert_memory_equal("talk-1", stele_message_correlationid(reply).data, 6);
    assert_true(stele_message_extension(reply, 0, &user));
    assert_string_equal("user", user.name);
    stele_message_unref(reply);
    stele_arena_free(arena);
}

static void a_fallback_may_want_some_statuses_only(void **state)
{
    static const struct stele_fallback_value settings = {
        .type = &quote_type, .payload = &list_price, .wants = counts_busy};
    static const struct stele_interceptor fallback = {.name = "fallback", STELE_FALLBACK_VALUE(&settings)};
    stele_message *reply = NULL;

    (void)state;
    placed.fails = 99;
    stage_add(&quotes, &placed);
    stage_intercept(&fallback);
    assert_int_equal(STELE_FAILED, ask_quote(&reply));
    assert_null(reply);
    placed.status = STELE_BUSY;
    assert_int_equal(STELE_OK, ask_quote(&reply));
    stele_message_unref(reply);
}

static void a_fallback_comes_after_the_last_retry(void **state)
{
    static const struct stele_fallback_value settings = {.type = &quote_type, .payload = &list_price};
    static const struct stele_interceptor fallback = {.name = "fallback", STELE_FALLBACK_VALUE(&settings)};
    stele_message *reply = NULL;

    (void)state;
    placed.fails = 99;
    stage_add(&quotes, &placed);
    stage_intercept(&fallback);
    stage_intercept(&retry_3);
    assert_int_equal(STELE_OK, ask_quote(&reply));
    assert_int_equal(3, placed.calls);
    stele_message_unref(reply);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stock_test(FWK17_fails_twice_and_passes_with_three_attempts),
        stock_test(FWK17_two_attempts_end_with_the_error),
        stock_test(FWK17_one_attempt_is_never_made_again),
        stock_test(ORX43_the_result_of_the_attempt_that_passes_is_the_reply),
        stock_test(ORX43_a_failure_that_stays_tells_its_attempts),
        stock_test(ORX41_attempts_are_made_at_their_virtual_times),
        stock_test(order_is_kept_while_a_queued_call_is_retried),
        stock_test(what_is_not_worth_it_is_not_retried),
        stock_test(ORX41_an_own_policy_decides_what_is_worth_it),
        stock_test(a_call_that_takes_longer_than_its_deadline_times_out),
        stock_test(each_attempt_has_a_deadline_of_its_own),
        stock_test(HEX25_breaker_opens_at_two_then_blocks_all),
        stock_test(NTH26_breaker_goes_through_all_its_states),
        stock_test(NTH26_rejections_are_no_failures),
        stock_test(NTH26_a_filter_says_which_failures_count),
        stock_test(a_trial_that_is_skipped_leaves_its_place_to_the_next),
        stock_test(breakers_of_two_routes_know_nothing_of_each_other),
        stock_test(retries_count_as_calls_for_a_breaker),
        stock_test(HEX25_rate_limit_lets_three_pass_and_not_the_fourth),
        stock_test(a_rate_limit_that_waits_spreads_calls_in_order),
        stock_test(a_call_that_is_skipped_gives_its_token_back),
        stock_test(beyond_the_limit_a_call_is_rejected_and_places_come_back),
        stock_test(a_skipped_call_gives_its_place_back),
        stock_test(threads_stay_within_the_limit),
        stock_test(HEX25_authorisation_on_a_bus_refuses_the_publisher),
        stock_test(HEX25_authorisation_on_a_route_keeps_from_that_route),
        stock_test(ORX06_messages_from_outside_keep_the_rules_of_their_type),
        stock_test(a_type_that_is_not_known_is_not_validated),
        stock_test(HEX25_a_flag_skips_while_it_is_set),
        stock_test(HEX25_a_flag_can_skip_while_it_is_not_set),
        stock_test(HEX25_a_fallback_answers_a_request_whose_handler_failed),
        stock_test(a_fallback_may_want_some_statuses_only),
        stock_test(a_fallback_comes_after_the_last_retry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
