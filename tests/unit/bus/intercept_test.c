/* Interceptors on a bus: adding and removing, patterns, and what the bus makes of each signal at each point. */
#include "tests/unit/bus/stage.h"

#include <stele/observe.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* --- An interceptor that says one thing ------------------------------------------------------ */

struct voice {
    struct stele_answer answer;
    unsigned until; /* says it so many times, then PROCEED; 0: always */
    const char *text;
    const struct stele_type *gives; /* order_paid_type or NULL */
    unsigned asked;
};

static struct voice voices[2];
static const size_t first_voice = 0, second_voice = 1;

static struct stele_answer speak(void *state, enum stele_point point, stele_call *call)
{
    struct voice *voice = state;

    (void)point;
    if (voice->asked++ >= voice->until && voice->until)
        return stele_proceed();
    if (voice->gives) {
        const struct order_paid payload = {.order = "given"};
        stele_message *message = NULL;

        assert_int_equal(STELE_OK, stele_message_new(voice->gives, &payload, NULL, &message, NULL));
        assert_int_equal(STELE_OK, stele_call_give(call, message));
        stele_message_unref(message);
    }
    if (voice->text && voice->answer.signal == STELE_FAIL)
        return stele_call_fail(call, voice->answer.status, "%s", voice->text);
    if (voice->text)
        return stele_call_error(call, voice->answer.status, "%s", voice->text);
    return voice->answer;
}

static stele_status make_voice(const void *settings, stele_bus *bus, void **state, stele_error **error)
{
    (void)bus;
    (void)error;
    *state = &voices[*(const size_t *)settings];
    return STELE_OK;
}

static const struct stele_interceptor_kind at_publish = {
    .name = "voice", .points = STELE_AT_PUBLISH, .ask = speak, .make = make_voice};
static const struct stele_interceptor_kind at_handle = {
    .name = "voice", .points = STELE_AT_HANDLE, .ask = speak, .make = make_voice};
static const struct stele_interceptor_kind at_failed = {
    .name = "voice", .points = STELE_AT_FAILED, .ask = speak, .make = make_voice};

static const struct stele_interceptor publish_voice = {
    .name = "publish", .on = "order.placed", .kind = &at_publish, .settings = &first_voice, .priority = 10};
static const struct stele_interceptor handle_voice = {
    .name = "handle", .on = "order.placed", .kind = &at_handle, .settings = &first_voice, .priority = 10};
static const struct stele_interceptor failed_voice = {
    .name = "failed", .on = "order.placed", .kind = &at_failed, .settings = &first_voice, .priority = 10};

static struct actor placed, paid;
static const struct stele_route placed_route = {.name = "placed", .on = "order.placed", .handle = stage_act};
static const struct stele_route paid_route = {.name = "paid", .on = "order.paid", .handle = stage_act};

static int setup(void **state)
{
    const int result = stage_setup(state);

    memset(voices, 0, sizeof(voices));
    placed = paid = (struct actor){0};
    if (result == 0) {
        stage_add(&placed_route, &placed);
        stage_add(&paid_route, &paid);
    }
    return result;
}

#define voice_test(name) cmocka_unit_test_setup_teardown(name, setup, stage_teardown)

static size_t publish_one(stele_status expected)
{
    stele_message *message = stage_order("o", 5, NULL);
    stele_error *error = NULL;
    size_t reached = 99;

    if (expected == STELE_OK)
        assert_ok(stele_publish(stage_bus, message, &reached, &error), error);
    else
        assert_status(expected, stele_publish(stage_bus, message, &reached, &error), error);
    stele_message_unref(message);
    return reached;
}

/* --- PUBLISH ------------------------------------------------------------------------------------ */

static void HEX16_SKIP_at_PUBLISH_drops_the_message_without_error(void **state)
{
    (void)state;
    voices[0].answer = stele_skip();
    stage_intercept(&publish_voice);
    assert_int_equal(0, publish_one(STELE_OK));
    assert_int_equal(0, placed.calls);
}

static void HEX16_FAIL_at_PUBLISH_is_the_publishers_error(void **state)
{
    stele_message *message = stage_order("o", 5, NULL);
    stele_error *error = NULL;

    (void)state;
    voices[0] = (struct voice){.answer = {STELE_FAIL, STELE_REJECTED, 0}, .text = "closed on Sundays"};
    stage_intercept(&publish_voice);
    assert_int_equal(STELE_REJECTED, stage_deliver());
    assert_non_null(strstr(stage_text(), "closed on Sundays"));
    assert_failure(STELE_REJECTED, stele_publish(stage_bus, message, NULL, &error), error);
    assert_string_equal("publish", stele_error_get(error, "interceptor"));
    stele_error_free(error);
    stele_message_unref(message);
    assert_int_equal(0, placed.calls);
}

/* OVERLOAD is what full mailboxes say, too, which a unit of work is told of in another way. */
static void HEX16_OVERLOAD_at_PUBLISH_is_told_by_deliver_and_by_a_cascade(void **state)
{
    static const struct stele_interceptor on_paid = {
        .name = "paid", .on = "order.paid", .kind = &at_publish, .settings = &first_voice};
    struct stele_unit_outcome outcome = {0};
    stele_message *message = stage_order("o", 5, NULL);

    (void)state;
    voices[0] = (struct voice){.answer = {STELE_FAIL, STELE_OVERLOAD, 0}, .text = "come back later"};
    stage_intercept(&on_paid);
    placed.publishes = true;
    assert_int_equal(STELE_OVERLOAD, stage_deliver_message(message, &outcome));
    assert_non_null(strstr(stage_text(), "come back later"));
    assert_int_equal(1, outcome.failure_count);
    assert_int_equal(0, paid.calls);
    stele_unit_outcome_fini(&outcome);
    assert_true(stele_bus_remove_interceptor(stage_bus, "paid"));
    stage_intercept(&publish_voice);
    assert_int_equal(STELE_OVERLOAD, stage_deliver());
    assert_non_null(strstr(stage_text(), "come back later"));
    stele_message_unref(message);
}

static void HEX16_FALLBACK_at_PUBLISH_publishes_another_in_its_place(void **state)
{
    (void)state;
    voices[0] = (struct voice){.answer = stele_fallback(), .gives = &order_paid_type};
    stage_intercept(&publish_voice);
    assert_int_equal(1, publish_one(STELE_OK));
    assert_int_equal(0, placed.calls);
    assert_int_equal(1, paid.calls);
}

static void HEX16_RETRY_at_PUBLISH_is_an_error(void **state)
{
    (void)state;
    voices[0].answer = stele_retry_later(MS);
    stage_intercept(&publish_voice);
    publish_one(STELE_INVALID);
    assert_int_equal(0, placed.calls);
}

static void HEX16_ERROR_at_PUBLISH_fails_the_message(void **state)
{
    (void)state;
    voices[0] = (struct voice){.answer = {STELE_ERROR, STELE_IO, 0}, .text = "the rules are lost"};
    stage_intercept(&publish_voice);
    publish_one(STELE_IO);
    assert_int_equal(0, placed.calls);
}

/* --- HANDLE ------------------------------------------------------------------------------------- */

static void HEX16_SKIP_at_HANDLE_is_a_success_without_a_call(void **state)
{
    (void)state;
    voices[0].answer = stele_skip();
    stage_intercept(&handle_voice);
    assert_int_equal(STELE_OK, stage_deliver());
    assert_int_equal(0, placed.calls);
}

static void HEX16_FALLBACK_at_HANDLE_publishes_without_a_call(void **state)
{
    (void)state;
    voices[0] = (struct voice){.answer = stele_fallback(), .gives = &order_paid_type};
    stage_intercept(&handle_voice);
    assert_int_equal(STELE_OK, stage_deliver());
    assert_int_equal(0, placed.calls);
    assert_int_equal(1, paid.calls);
}

static void HEX16_RETRY_at_HANDLE_asks_again_after_the_delay(void **state)
{
    (void)state;
    voices[0] = (struct voice){.answer = stele_retry_later(30 * MS), .until = 2};
    stage_intercept(&handle_voice);
    assert_int_equal(STELE_OK, stage_deliver());
    assert_int_equal(3, voices[0].asked);
    assert_int_equal(1, placed.calls);
    assert_int_equal(60 * MS, placed.times[0]);
    assert_int_equal(1, placed.attempts[0]);
}

static void HEX16_FAIL_at_HANDLE_is_a_failure_without_a_call(void **state)
{
    struct stele_unit_outcome outcome = {0};
    stele_message *message = stage_order("o", 5, NULL);

    (void)state;
    voices[0] = (struct voice){.answer = {STELE_FAIL, STELE_DENIED, 0}, .text = "not here"};
    stage_intercept(&handle_voice);
    assert_int_equal(STELE_DENIED, stage_deliver_message(message, &outcome));
    assert_int_equal(1, outcome.failure_count);
    assert_string_equal("placed", outcome.failures[0].route);
    assert_string_equal("not here", outcome.failures[0].text);
    assert_int_equal(0, placed.calls);
    stele_unit_outcome_fini(&outcome);
    stele_message_unref(message);
}

static void HEX16_ERROR_at_HANDLE_is_a_failure_of_the_interceptor(void **state)
{
    (void)state;
    voices[0] = (struct voice){.answer = {STELE_ERROR, STELE_IO, 0}, .text = "the rules are lost"};
    stage_intercept(&handle_voice);
    assert_int_equal(STELE_IO, stage_deliver());
    assert_non_null(strstr(stage_text(), "interceptor handle: the rules are lost"));
    assert_int_equal(0, placed.calls);
}

/* Bold, 5.2: a veto was raised where failure handlers could retry or replace it. */
static void HEX15_a_veto_is_not_offered_to_those_asked_at_FAILED(void **state)
{
    static const struct stele_retry patient = {.delay_ms = 1};
    static const struct stele_interceptor retry = {.name = "retry", STELE_RETRY(&patient)};
    static const struct stele_interceptor rescue = {
        .name = "rescue", .kind = &at_failed, .settings = &second_voice, .priority = 99};

    (void)state;
    voices[0].answer = (struct stele_answer){STELE_FAIL, STELE_TIMEOUT, 0};
    voices[1].answer = stele_skip();
    stage_intercept(&handle_voice);
    stage_intercept(&retry);
    stage_intercept(&rescue);
    assert_int_equal(STELE_TIMEOUT, stage_deliver());
    assert_int_equal(1, voices[0].asked);
    assert_int_equal(0, voices[1].asked);
    assert_int_equal(0, placed.calls);
}

static void HEX01_others_are_handled_when_one_is_vetoed(void **state)
{
    static const struct stele_interceptor own = {.name = "own", .kind = &at_handle, .settings = &first_voice};
    static const struct stele_interceptor *const interceptors[] = {&own, NULL};
    static const struct stele_route guarded = {
        .name = "guarded", .on = "order.placed", .handle = stage_act, .interceptors = interceptors};
    struct actor actor = {0};

    (void)state;
    voices[0].answer = (struct stele_answer){STELE_FAIL, STELE_DENIED, 0};
    stage_add(&guarded, &actor);
    assert_int_equal(STELE_DENIED, stage_deliver());
    assert_int_equal(0, actor.calls);
    assert_int_equal(1, placed.calls);
}

/* Once upon a time a policy that never stopped retrying recursed without end. */
static void B9_a_retry_that_never_stops_ends_with_the_deadline(void **state)
{
    const struct stele_send_options options = {.size = sizeof(options), .timeout_ms = 1000};
    stele_message *message = stage_order("o", 5, NULL);
    stele_error *error = NULL;

    (void)state;
    voices[0].answer = stele_retry_later(100 * MS);
    stage_intercept(&handle_voice);
    assert_status(STELE_TIMEOUT, stele_deliver(stage_bus, message, &options, NULL, &error), error);
    assert_in_range(voices[0].asked, 9, 11);
    assert_int_equal(0, placed.calls);
    stele_message_unref(message);
}

/* --- FAILED ---------------------------------------------------------------------------------------- */

static void HEX16_SKIP_at_FAILED_is_a_success_after_all(void **state)
{
    (void)state;
    placed.fails = 1;
    voices[0].answer = stele_skip();
    stage_intercept(&failed_voice);
    assert_int_equal(STELE_OK, stage_deliver());
    assert_int_equal(1, placed.calls);
}

static void HEX16_FALLBACK_at_FAILED_publishes_instead(void **state)
{
    (void)state;
    placed.fails = 1;
    voices[0] = (struct voice){.answer = stele_fallback(), .gives = &order_paid_type};
    stage_intercept(&failed_voice);
    assert_int_equal(STELE_OK, stage_deliver());
    assert_int_equal(1, paid.calls);
}

static void HEX16_RETRY_at_FAILED_calls_again_with_the_attempt_counted(void **state)
{
    (void)state;
    placed.fails = 2;
    voices[0] = (struct voice){.answer = stele_retry_later(40 * MS), .until = 5};
    stage_intercept(&failed_voice);
    assert_int_equal(STELE_OK, stage_deliver());
    assert_int_equal(3, placed.calls);
    assert_int_equal(80 * MS, placed.times[2]);
    assert_int_equal(3, placed.attempts[2]);
}

static void HEX16_FAIL_at_FAILED_changes_status_and_text(void **state)
{
    (void)state;
    placed.fails = 1;
    voices[0] = (struct voice){.answer = {STELE_FAIL, STELE_BUSY, 0}, .text = "come back later"};
    stage_intercept(&failed_voice);
    assert_int_equal(STELE_BUSY, stage_deliver());
    assert_non_null(strstr(stage_text(), "come back later"));
}

static void HEX16_PROCEED_at_FAILED_leaves_the_failure(void **state)
{
    (void)state;
    placed.fails = 1;
    stage_intercept(&failed_voice);
    assert_int_equal(STELE_FAILED, stage_deliver());
    assert_non_null(strstr(stage_text(), "call 1 failed"));
}

/* --- Errors of interceptors ----------------------------------------------------------------------------- */

static unsigned passed_over;
static char passed_over_text[256];

static void see_fault(void *context, const struct stele_observation *seen)
{
    (void)context;
    passed_over++;
    snprintf(passed_over_text, sizeof(passed_over_text), "%s", seen->text);
}

static void HEX18_errors_that_are_passed_over_are_observed(void **state)
{
    static const struct stele_interceptor minor = {
        .name = "minor", .kind = &at_handle, .settings = &first_voice, .priority = 50};
    static const struct stele_observer observer = {.name = "faults", .kinds = STELE_SEEN_INTERCEPTOR, .see = see_fault};
    stele_error *error = NULL;

    (void)state;
    passed_over = 0;
    assert_ok(stele_bus_add_observer(stage_bus, &observer, NULL, &error), error);
    voices[0] = (struct voice){.answer = {STELE_ERROR, STELE_IO, 0}, .text = "no rules"};
    stage_intercept(&minor);
    assert_int_equal(STELE_OK, stage_deliver());
    stele_runtime_run_until_idle(stage_runtime);
    assert_int_equal(1, placed.calls);
    assert_int_equal(1, passed_over);
    assert_string_equal("interceptor minor: no rules", passed_over_text);
}

/* --- Which are asked --------------------------------------------------------------------------------------- */

static void HEX04_only_those_whose_pattern_fits_are_asked(void **state)
{
    static const struct {
        const char *on;
        unsigned asked;
    } cases[] = {{NULL, 1},         {"order.placed", 1}, {"order.*", 1}, {">", 1},
                 {"order.paid", 0}, {"order", 0},        {"*", 0},       {"payment.>", 0}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct stele_interceptor interceptor = handle_voice;

        voices[0].asked = 0;
        interceptor.on = cases[i].on;
        stage_intercept(&interceptor);
        assert_int_equal(STELE_OK, stage_deliver());
        assert_int_equal(cases[i].asked, voices[0].asked);
        assert_true(stele_bus_remove_interceptor(stage_bus, "handle"));
    }
}

static void HEX04_of_ten_and_ten_only_ten_are_asked(void **state)
{
    static struct stele_interceptor twenty[20];
    static char names[20][4];

    (void)state;
    for (size_t i = 0; i < 20; i++) {
        twenty[i] = handle_voice;
        snprintf(names[i], sizeof(names[i]), "i%zu", i);
        twenty[i].name = names[i];
        twenty[i].on = i % 2 ? "order.placed" : "order.paid";
        stage_intercept(&twenty[i]);
    }
    assert_int_equal(STELE_OK, stage_deliver());
    assert_int_equal(10, voices[0].asked);
}

static char order_asked[32];

static struct stele_answer ask_letter(void *state, enum stele_point point, stele_call *call)
{
    (void)point;
    (void)call;
    strcat(order_asked, state);
    return stele_proceed();
}

static stele_status make_letter(const void *settings, stele_bus *bus, void **state, stele_error **error)
{
    static char letters[256][2];
    const char letter = *(const char *)settings;

    (void)bus;
    (void)error;
    letters[(unsigned char)letter][0] = letter;
    *state = letters[(unsigned char)letter];
    return STELE_OK;
}

static const struct stele_interceptor_kind letter_kind = {
    .name = "letter", .points = STELE_AT_HANDLE, .ask = ask_letter, .make = make_letter};

static void HEX14_those_of_bus_and_route_are_merged_by_priority(void **state)
{
    static const struct stele_interceptor bus_50 = {.name = "b", .kind = &letter_kind, .settings = "b", .priority = 50};
    static const struct stele_interceptor bus_100 = {.name = "d", .kind = &letter_kind, .settings = "d"};
    static const struct stele_interceptor own_20 = {.name = "a", .kind = &letter_kind, .settings = "a", .priority = 20};
    static const struct stele_interceptor own_60 = {.name = "c", .kind = &letter_kind, .settings = "c", .priority = 60};
    static const struct stele_interceptor *const own[] = {&own_60, &own_20, NULL};
    static const struct stele_route route = {
        .name = "merged", .on = "order.paid", .handle = stage_act, .interceptors = own};
    struct actor actor = {0};
    const struct order_paid payload = {.order = "o"};
    stele_message *message = NULL;
    stele_error *error = NULL;

    (void)state;
    order_asked[0] = '\0';
    stage_intercept(&bus_100);
    stage_intercept(&bus_50);
    stage_add(&route, &actor);
    assert_ok(order_paid_message(&payload, NULL, &message, &error), error);
    assert_ok(stele_deliver(stage_bus, message, NULL, NULL, &error), error);
    assert_string_equal("bdabcd", order_asked); /* "paid" first, then "merged" */
    stele_message_unref(message);
}

/* --- Adding and removing ---------------------------------------------------------------------------------------- */

static void HEX13_a_name_that_is_taken_is_an_error(void **state)
{
    stele_error *error = NULL;

    (void)state;
    stage_intercept(&handle_voice);
    assert_failure(STELE_INVALID, stele_bus_add_interceptor(stage_bus, &handle_voice, &error), error);
    assert_message(error, "handle");
    stele_error_free(error);
    assert_int_equal(STELE_OK, stage_deliver());
    assert_int_equal(1, voices[0].asked);
}

static void HEX03_what_is_no_interceptor_is_an_error(void **state)
{
    static const struct stele_interceptor nameless = {.kind = &at_handle, .settings = &first_voice};
    static const struct stele_interceptor kindless = {.name = "kindless"};
    stele_error *error = NULL;

    (void)state;
    assert_status(STELE_INVALID, stele_bus_add_interceptor(stage_bus, NULL, &error), error);
    assert_status(STELE_INVALID, stele_bus_add_interceptor(stage_bus, &nameless, &error), error);
    assert_status(STELE_INVALID, stele_bus_add_interceptor(stage_bus, &kindless, &error), error);
}

static void HEX12_removing_says_whether_it_was_there(void **state)
{
    (void)state;
    voices[0].answer = stele_skip();
    stage_intercept(&handle_voice);
    assert_false(stele_bus_remove_interceptor(stage_bus, "other"));
    assert_true(stele_bus_remove_interceptor(stage_bus, "handle"));
    assert_false(stele_bus_remove_interceptor(stage_bus, "handle"));
    assert_int_equal(STELE_OK, stage_deliver());
    assert_int_equal(1, placed.calls);
    assert_int_equal(0, voices[0].asked);
}

static void HEX20_adding_and_removing_200_times_leaves_nothing(void **state)
{
    size_t before = 0;

    (void)state;
    for (int i = 0; i < 200; i++) {
        stage_intercept(&handle_voice);
        assert_int_equal(STELE_OK, stage_deliver());
        assert_true(stele_bus_remove_interceptor(stage_bus, "handle"));
        assert_int_equal(i + 1, voices[0].asked);
        placed.calls = 0;
        stele_runtime_run_until_idle(stage_runtime);
        if (i == 20)
            before = stele_memory_in_use();
    }
    assert_in_range(stele_memory_in_use(), 0, before + 1024);
}

static stele_status add_and_remove(void *context, stele_error **error)
{
    const stele_status status = stele_bus_add_interceptor(stage_bus, &handle_voice, error);

    (void)context;
    if (status == STELE_OK)
        stele_bus_remove_interceptor(stage_bus, "handle");
    return status;
}

static void every_allocation_of_adding_may_fail(void **state)
{
    stele_error *error = NULL;

    (void)state;
    assert_ok(add_and_remove(NULL, &error), error);
    support_every_allocation_fails(add_and_remove, NULL);
}

/* --- With threads ------------------------------------------------------------------------------ */

static atomic_uint handled;

static stele_status count_handled(void *resource, const stele_message *message, stele_context *context)
{
    (void)resource;
    (void)message;
    (void)context;
    atomic_fetch_add(&handled, 1);
    return STELE_OK;
}

struct publisher {
    stele_bus *bus;
    stele_message *message;
    unsigned count;
};

static void *publish_many(void *context)
{
    const struct publisher *publisher = context;

    for (unsigned i = 0; i < publisher->count; i++)
        stele_publish(publisher->bus, publisher->message, NULL, NULL);
    return NULL;
}

/* Interceptors with a state of their own come and go while threads publish: none is asked after its state was freed, and
 * every place that was taken is given back. */
static void HEX20_interceptors_come_and_go_while_threads_publish(void **state)
{
    static const struct stele_concurrency_limit limit_settings = {.limit = 1000, .reject = true};
    static const struct stele_memo memo_settings = {.name = "m", .version = 1};
    static const struct stele_interceptor limit = {.name = "limit", STELE_CONCURRENCY_LIMIT(&limit_settings)};
    static const struct stele_interceptor breaker = {.name = "breaker", STELE_BREAKER(NULL)};
    static const struct stele_interceptor memo = {.name = "memo", STELE_MEMO(&memo_settings)};
    static const struct stele_route route = {.name = "count", .on = "order.placed", .handle = count_handled};
    enum { THREADS = 2, ROUNDS = 100, EACH = 500 };
    struct publisher publisher = {.message = stage_order("o", 5, NULL), .count = EACH};
    pthread_t threads[THREADS];
    stele_runtime *runtime = NULL;
    stele_error *error = NULL;

    (void)state;
    atomic_store(&handled, 0);
    assert_ok(stele_runtime_new(1, NULL, &runtime, &error), error);
    assert_ok(stele_bus_new(runtime, NULL, &publisher.bus, &error), error);
    assert_ok(stele_bus_add_route(publisher.bus, &route, NULL, NULL, &error), error);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(0, pthread_create(&threads[i], NULL, publish_many, &publisher));
    for (int i = 0; i < ROUNDS; i++) {
        const struct stele_interceptor *const interceptor = i % 3 == 0 ? &limit : i % 3 == 1 ? &breaker : &memo;

        assert_ok(stele_bus_add_interceptor(publisher.bus, interceptor, &error), error);
        assert_true(stele_bus_remove_interceptor(publisher.bus, interceptor->name));
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(0, pthread_join(threads[i], NULL));
    assert_in_range(handled, 1, THREADS * EACH);
    stele_message_unref(publisher.message);
    stele_bus_free(publisher.bus);
    stele_runtime_free(runtime);
}

/* --- Slow calls ---------------------------------------------------------------------------------------------------- */

struct slow_log {
    int64_t threshold;
    unsigned slow;
};

static void see_slow(void *context, const struct stele_observation *seen)
{
    struct slow_log *log = context;

    log->slow += seen->duration_ns >= log->threshold;
}

static void FWK18_slow_calls_are_known_by_their_duration(void **state)
{
    static const struct stele_observer observer = {
        .name = "slow", .kinds = STELE_SEEN_HANDLED | STELE_SEEN_FAILED, .see = see_slow};
    static const struct stele_observer every = {
        .name = "every", .kinds = STELE_SEEN_HANDLED | STELE_SEEN_FAILED, .see = see_slow};
    struct slow_log five_seconds = {.threshold = 5000 * MS};
    struct slow_log none = {.threshold = 0};
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele_bus_add_observer(stage_bus, &observer, &five_seconds, &error), error);
    assert_ok(stele_bus_add_observer(stage_bus, &every, &none, &error), error);
    assert_int_equal(STELE_OK, stage_deliver());
    placed.takes = 5000 * MS;
    assert_int_equal(STELE_OK, stage_deliver());
    stele_runtime_run_until_idle(stage_runtime);
    assert_int_equal(1, five_seconds.slow);
    assert_int_equal(2, none.slow);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        voice_test(HEX16_SKIP_at_PUBLISH_drops_the_message_without_error),
        voice_test(HEX16_FAIL_at_PUBLISH_is_the_publishers_error),
        voice_test(HEX16_OVERLOAD_at_PUBLISH_is_told_by_deliver_and_by_a_cascade),
        voice_test(HEX16_FALLBACK_at_PUBLISH_publishes_another_in_its_place),
        voice_test(HEX16_RETRY_at_PUBLISH_is_an_error),
        voice_test(HEX16_ERROR_at_PUBLISH_fails_the_message),
        voice_test(HEX16_SKIP_at_HANDLE_is_a_success_without_a_call),
        voice_test(HEX16_FALLBACK_at_HANDLE_publishes_without_a_call),
        voice_test(HEX16_RETRY_at_HANDLE_asks_again_after_the_delay),
        voice_test(HEX16_FAIL_at_HANDLE_is_a_failure_without_a_call),
        voice_test(HEX16_ERROR_at_HANDLE_is_a_failure_of_the_interceptor),
        voice_test(HEX15_a_veto_is_not_offered_to_those_asked_at_FAILED),
        voice_test(HEX01_others_are_handled_when_one_is_vetoed),
        voice_test(B9_a_retry_that_never_stops_ends_with_the_deadline),
        voice_test(HEX16_SKIP_at_FAILED_is_a_success_after_all),
        voice_test(HEX16_FALLBACK_at_FAILED_publishes_instead),
        voice_test(HEX16_RETRY_at_FAILED_calls_again_with_the_attempt_counted),
        voice_test(HEX16_FAIL_at_FAILED_changes_status_and_text),
        voice_test(HEX16_PROCEED_at_FAILED_leaves_the_failure),
        voice_test(HEX18_errors_that_are_passed_over_are_observed),
        voice_test(HEX04_only_those_whose_pattern_fits_are_asked),
        voice_test(HEX04_of_ten_and_ten_only_ten_are_asked),
        voice_test(HEX14_those_of_bus_and_route_are_merged_by_priority),
        voice_test(HEX13_a_name_that_is_taken_is_an_error),
        voice_test(HEX03_what_is_no_interceptor_is_an_error),
        voice_test(HEX12_removing_says_whether_it_was_there),
        voice_test(HEX20_adding_and_removing_200_times_leaves_nothing),
        voice_test(every_allocation_of_adding_may_fail),
        voice_test(HEX20_interceptors_come_and_go_while_threads_publish),
        voice_test(FWK18_slow_calls_are_known_by_their_duration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
