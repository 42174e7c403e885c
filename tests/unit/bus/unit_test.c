/* Units of work: deliver, request, units by hand; failures and who is told. */
#include "tests/unit/bus/fixture.h"

#include <string.h>

#define SECOND (1000 * MS)

/* A handler that publishes the event it is given as its resource, and answers a query. */
static stele_status pass_on(void *resource, const stele_message *message, stele_context *context)
{
    static char tag[] = "p";
    const stele_status status = fixture_record(tag, message, context);

    return status == STELE_OK ? stele_context_forward(context, resource) : status;
}

static stele_status answer(void *resource, const stele_message *message, stele_context *context)
{
    (void)resource;
    (void)message;
    return STELE_REPLY(context, told, .text = "yes", .number = 42);
}

static stele_status deliver(const char *type, struct stele_unit_outcome *outcome, stele_error **error)
{
    stele_message *message = fixture_event(type);
    const stele_status status = stele_deliver(fixture_bus, message, NULL, outcome, error);

    stele_message_unref(message);
    return status;
}

static stele_status request(const struct stele_send_options *options, stele_message **reply, stele_error **error)
{
    stele_message *message = fixture_message(STELE_QUERY, "note.ask", "", 1);
    const stele_status status = stele_request(fixture_bus, message, options, reply, error);

    stele_message_unref(message);
    return status;
}

static const struct stele_route a_to_b = {.name = "a-b", .on = "a", .handle = pass_on, .delivery = STELE_QUEUED};
static const struct stele_route b_to_c = {.name = "b-c", .on = "b", .handle = pass_on};
static const struct stele_route c_end = {
    .name = "c-end", .on = "c", .handle = fixture_record, .delivery = STELE_QUEUED};

static void NTH06_deliver_waits_for_the_whole_cascade(void **state)
{
    struct stele_unit_outcome outcome = {0};
    stele_error *error = NULL;

    (void)state;
    fixture_add_as(&a_to_b, "b");
    fixture_add_as(&b_to_c, "c");
    fixture_add_as(&c_end, "end");
    assert_ok(deliver("a", &outcome, &error), error);
    assert_string_equal(fixture_recorded(), "p1 p1 end1");
    assert_int_equal(outcome.messages, 3);
    assert_int_equal(outcome.deliveries, 3);
    assert_int_equal(outcome.failure_count, 0);
    stele_unit_outcome_fini(&outcome);
}

static void NTH10_a_failure_stays_with_its_handler_and_is_told(void **state)
{
    static const struct stele_route breaking = {.name = "breaking", .on = "a", .handle = fixture_break};
    static const struct stele_route other = {.name = "other", .on = "a", .handle = fixture_record};
    struct stele_unit_outcome outcome = {0};
    stele_error *error = NULL;

    (void)state;
    fixture_add_as(&breaking, "x");
    fixture_add_as(&other, "o");
    assert_failure(STELE_FAILED, deliver("a", &outcome, &error), error);
    assert_message(error, "broken");
    assert_string_equal(stele_error_get(error, "route"), "breaking");
    assert_string_equal(fixture_recorded(), "x1 o1");
    assert_int_equal(outcome.failure_count, 1);
    assert_int_equal(outcome.failures_kept, 1);
    assert_string_equal(outcome.failures[0].route, "breaking");
    assert_string_equal(outcome.failures[0].type, "a");
    assert_string_equal(outcome.failures[0].text, "broken");
    assert_int_equal(outcome.failures[0].attempts, 1);
    assert_int_equal(stele_error_status(error), STELE_FAILED);
    stele_error_free(error);
    stele_unit_outcome_fini(&outcome);
}

static void ORX09_all_failures_are_in_the_outcome_and_the_first_sixteen_are_kept(void **state)
{
    static struct stele_route routes[20];
    static char names[20][8];
    struct stele_unit_outcome outcome = {0};
    stele_error *error = NULL;

    (void)state;
    for (size_t i = 0; i < 20; i++) {
        memcpy(names[i], "r-00", 5);
        names[i][2] = (char)('0' + i / 10);
        names[i][3] = (char)('0' + i % 10);
        routes[i] = (struct stele_route){.name = names[i], .on = "a", .handle = fixture_break};
        fixture_add(&routes[i], NULL);
    }
    assert_status(STELE_FAILED, deliver("a", &outcome, &error), error);
    assert_int_equal(outcome.failure_count, 20);
    assert_int_equal(outcome.failures_kept, STELE_FAILURES_MAX);
    assert_string_equal(outcome.failures[15].route, "r-15");
    stele_unit_outcome_fini(&outcome);
}

static void KHO12_a_request_is_answered(void **state)
{
    static const struct stele_route route = {
        .name = "answer", .type = &ask_type, .handle = answer, .replies = &told_type, .delivery = STELE_QUEUED};
    stele_message *reply = NULL;
    stele_message *asked = fixture_message(STELE_QUERY, "note.ask", "", 1);
    stele_arena *arena = NULL;
    struct told read;
    stele_error *error = NULL;

    (void)state;
    fixture_add(&route, NULL);
    assert_ok(stele_request(fixture_bus, asked, NULL, &reply, &error), error);
    assert_ok(stele_arena_new(&arena, &error), error);
    assert_ok(told_read(reply, arena, &read, &error), error);
    assert_int_equal(read.number, 42);
    /* B6: the reply names the question. */
    assert_int_equal(stele_message_causationid(reply).size, stele_message_id(asked).size);
    assert_memory_equal(stele_message_causationid(reply).data, stele_message_id(asked).data,
                        stele_message_id(asked).size);
    assert_memory_equal(stele_message_correlationid(reply).data, stele_message_id(asked).data,
                        stele_message_id(asked).size);
    stele_arena_free(arena);
    stele_message_unref(reply);
    stele_message_unref(asked);
}

/* Bold, 1.2: with a request under way the subscribers of the answer did not run at all. */
static void KHO12_the_reply_reaches_its_subscribers_too(void **state)
{
    static const struct stele_route route = {.name = "answer", .type = &ask_type, .handle = answer};
    static const struct stele_route listener = {.name = "listener", .type = &told_type, .handle = fixture_record};
    stele_message *reply = NULL;
    stele_error *error = NULL;

    (void)state;
    fixture_add(&route, NULL);
    fixture_add_as(&listener, "l");
    assert_ok(request(NULL, &reply, &error), error);
    assert_string_equal(fixture_recorded(), "l42");
    stele_message_unref(reply);
}

/* Bold, 1.2: the requester waited out its whole timeout, and got "timeout". */
static void KHO16_the_requester_sees_a_failure_in_the_middle_of_the_chain_at_once(void **state)
{
    static const struct stele_route first = {
        .name = "first", .on = "note.ask", .handle = pass_on, .delivery = STELE_QUEUED};
    static const struct stele_route second = {
        .name = "second", .on = "step.two", .handle = fixture_break, .delivery = STELE_QUEUED};
    const struct stele_send_options patient = {.size = sizeof(patient), .timeout_ms = 3600000};
    const struct stele_clock *clock = stele_runtime_clock(fixture_runtime);
    const int64_t began = clock->monotonic(clock->context);
    stele_message *reply = NULL;
    stele_error *error = NULL;

    (void)state;
    fixture_add_as(&first, "step.two");
    fixture_add_as(&second, "s");
    assert_failure(STELE_FAILED, request(&patient, &reply, &error), error);
    assert_string_equal(stele_error_get(error, "route"), "second");
    assert_message(error, "broken");
    assert_null(reply);
    assert_int_equal(clock->monotonic(clock->context), began);
    stele_error_free(error);
}

static void NTH10_a_requester_does_not_wait_for_others_once_one_has_failed(void **state)
{
    static const struct stele_route held = {
        .name = "held", .on = "note.*", .handle = fixture_record, .delivery = STELE_QUEUED};
    static const struct stele_route failing = {
        .name = "failing", .type = &ask_type, .handle = fixture_break, .delivery = STELE_QUEUED};
    const struct stele_send_options patient = {.size = sizeof(patient), .timeout_ms = 3600000};
    stele_message *reply = NULL;
    stele_error *error = NULL;

    (void)state;
    fixture_add_as(&held, "h");
    fixture_add_as(&failing, "f");
    assert_ok(stele_bus_pause(fixture_bus, "held", &error), error);
    assert_status(STELE_FAILED, request(&patient, &reply, &error), error);
    assert_string_equal(fixture_recorded(), "f1");
}

static void a_request_that_nothing_answers_is_not_found(void **state)
{
    static const struct stele_route silent = {
        .name = "silent", .type = &ask_type, .handle = fixture_record, .delivery = STELE_QUEUED};
    stele_message *reply = NULL;
    stele_error *error = NULL;

    (void)state;
    fixture_add_as(&silent, "s");
    assert_status(STELE_NOT_FOUND, request(NULL, &reply, &error), error);
}

static void a_reply_of_the_wrong_type_is_invalid(void **state)
{
    static const struct stele_route route = {.name = "answer", .type = &ask_type, .handle = answer};
    const struct stele_send_options options = {.size = sizeof(options), .reply = "note.refused"};
    stele_message *reply = NULL;
    stele_error *error = NULL;

    (void)state;
    fixture_add(&route, NULL);
    assert_status(STELE_INVALID, request(&options, &reply, &error), error);
    assert_null(reply);
}

static void an_event_can_be_the_answer(void **state)
{
    static const struct stele_route route = {
        .name = "first", .on = "note.ask", .handle = pass_on, .delivery = STELE_QUEUED};
    const struct stele_send_options options = {.size = sizeof(options), .reply = "step.two"};
    stele_message *reply = NULL;
    stele_error *error = NULL;

    (void)state;
    fixture_add_as(&route, "step.two");
    assert_ok(request(&options, &reply, &error), error);
    assert_memory_equal(stele_message_type(reply).data, "step.two", 8);
    stele_message_unref(reply);
}

/* Takes two virtual seconds. */
static stele_status dawdle(void *resource, const stele_message *message, stele_context *context)
{
    const struct stele_clock *clock = stele_runtime_clock(fixture_runtime);

    clock->pause(clock->context, 2 * SECOND);
    return answer(resource, message, context);
}

static void KHO12_a_late_reply_is_counted_and_goes_to_its_subscribers(void **state)
{
    static const struct stele_route route = {
        .name = "slow", .type = &ask_type, .handle = dawdle, .delivery = STELE_QUEUED};
    static const struct stele_route listener = {.name = "listener", .type = &told_type, .handle = fixture_record};
    const struct stele_send_options options = {.size = sizeof(options), .timeout_ms = 1000};
    struct stele_bus_stats stats;
    stele_message *reply = NULL;
    stele_error *error = NULL;

    (void)state;
    fixture_add(&route, NULL);
    fixture_add_as(&listener, "l");
    assert_ok(stele_bus_pause(fixture_bus, "slow", &error), error);
    assert_status(STELE_TIMEOUT, request(&options, &reply, &error), error);
    assert_ok(stele_bus_resume(fixture_bus, "slow", &error), error);
    fixture_run();
    assert_string_equal(fixture_recorded(), "l42");
    stele_bus_get_stats(fixture_bus, &stats);
    assert_int_equal(stats.late_replies, 1);
}

static void B4_an_overrun_is_a_timeout_and_its_result_is_dropped(void **state)
{
    static const struct stele_route route = {
        .name = "slow", .type = &ask_type, .handle = dawdle, .delivery = STELE_QUEUED, .timeout_ms = 1000};
    static const struct stele_route listener = {.name = "listener", .type = &told_type, .handle = fixture_record};
    stele_message *reply = NULL;
    stele_error *error = NULL;
    struct stele_route_stats stats;

    (void)state;
    fixture_add(&route, NULL);
    fixture_add_as(&listener, "l");
    assert_failure(STELE_TIMEOUT, request(NULL, &reply, &error), error);
    assert_string_equal(stele_error_get(error, "route"), "slow");
    stele_error_free(error);
    assert_string_equal(fixture_recorded(), "");
    stats = fixture_stats("slow");
    assert_int_equal(stats.timeouts, 1);
    assert_int_equal(stats.late, 1);
    assert_int_equal(stats.dead, 1);
    assert_int_equal(stats.last_error, STELE_TIMEOUT);
}

static void KHO13_each_route_has_its_own_limit(void **state)
{
    static const struct stele_route routes[] = {
        {.name = "short", .on = "a", .handle = dawdle, .timeout_ms = 10},
        {.name = "long", .on = "a", .handle = dawdle, .timeout_ms = 30000},
        {.name = "none", .on = "a", .handle = dawdle},
    };
    struct stele_unit_outcome outcome = {0};
    stele_error *error = NULL;

    (void)state;
    for (size_t i = 0; i < 3; i++)
        fixture_add(&routes[i], NULL);
    assert_status(STELE_TIMEOUT, deliver("a", &outcome, &error), error);
    assert_int_equal(outcome.failure_count, 1);
    assert_string_equal(outcome.failures[0].route, "short");
    stele_unit_outcome_fini(&outcome);
}

static void deliver_gives_up_at_its_deadline(void **state)
{
    static const struct stele_route route = {
        .name = "held", .on = "a", .handle = fixture_record, .delivery = STELE_QUEUED};
    stele_error *error = NULL;

    (void)state;
    fixture_add_as(&route, "h");
    assert_ok(stele_bus_pause(fixture_bus, "held", &error), error);
    assert_status(STELE_TIMEOUT, deliver("a", NULL, &error), error);
    assert_ok(stele_bus_resume(fixture_bus, "held", &error), error);
    fixture_run();
    assert_string_equal(fixture_recorded(), "h1");
}

static void NTH08_events_come_one_by_one_and_end(void **state)
{
    stele_message *message = fixture_event("a");
    stele_message *event = NULL;
    stele_unit *unit = NULL;
    stele_error *error = NULL;

    (void)state;
    fixture_add_as(&a_to_b, "b");
    fixture_add_as(&b_to_c, "c");
    assert_ok(stele_unit_begin(fixture_bus, NULL, &unit, &error), error);
    assert_ok(stele_unit_publish(unit, message, NULL, &error), error);
    for (const char *name = "abc"; *name; name++) {
        assert_ok(stele_unit_next(unit, &event, &error), error);
        assert_int_equal(stele_message_type(event).data[0], *name);
        stele_message_unref(event);
    }
    assert_status(STELE_END, stele_unit_next(unit, &event, &error), error);
    assert_ok(stele_unit_end(unit, NULL, &error), error);
    stele_message_unref(message);
}

static void a_cancelled_unit_discards_what_waits(void **state)
{
    stele_message *message = fixture_event("a");
    struct stele_unit_outcome outcome = {0};
    stele_unit *unit = NULL;
    stele_error *error = NULL;

    (void)state;
    fixture_add_as(&a_to_b, "b");
    assert_ok(stele_unit_begin(fixture_bus, NULL, &unit, &error), error);
    assert_ok(stele_unit_publish(unit, message, NULL, &error), error);
    stele_unit_cancel(unit);
    stele_unit_cancel(unit);
    assert_status(STELE_CANCELLED, stele_unit_end(unit, &outcome, &error), error);
    assert_int_equal(outcome.failure_count, 1);
    assert_string_equal(outcome.failures[0].route, "a-b");
    assert_string_equal(fixture_recorded(), "");
    assert_int_equal(fixture_stats("a-b").dropped, 1);
    stele_unit_outcome_fini(&outcome);
    stele_message_unref(message);
}

static void FWK13_fail_fast_cancels_the_rest_of_the_unit(void **state)
{
    static const struct stele_route failing = {
        .name = "failing", .on = "a", .handle = fixture_break, .on_failure = STELE_FAIL_FAST};
    static const struct stele_route other = {.name = "other", .on = "a", .handle = fixture_record};
    static const struct stele_route queued = {
        .name = "queued", .on = "a", .handle = fixture_record, .delivery = STELE_QUEUED};
    struct stele_unit_outcome outcome = {0};
    stele_error *error = NULL;

    (void)state;
    fixture_add_as(&queued, "q");
    fixture_add_as(&failing, "f");
    fixture_add_as(&other, "o");
    assert_status(STELE_FAILED, deliver("a", &outcome, &error), error);
    assert_string_equal(fixture_recorded(), "f1");
    assert_int_equal(outcome.failure_count, 3);
    stele_unit_outcome_fini(&outcome);
    /* Also when nobody waits. */
    fixture_publish("a");
    fixture_run();
    assert_string_equal(fixture_recorded(), "f1");
}

/* Bold, 3.2: messages that answer each other ended never. */
static void ping_pong_ends_at_the_hop_limit_that_the_error_names(void **state)
{
    static const struct stele_route ping = {.name = "ping", .on = "ping", .handle = pass_on};
    static const struct stele_route pong = {.name = "pong", .on = "pong", .handle = pass_on, .delivery = STELE_QUEUED};
    struct stele_unit_outcome outcome = {0};
    struct stele_bus_stats stats;
    stele_error *error = NULL;

    (void)state;
    fixture_add_as(&ping, "pong");
    fixture_add_as(&pong, "ping");
    assert_failure(STELE_LIMIT, deliver("ping", &outcome, &error), error);
    assert_message(error, "64 hops");
    stele_error_free(error);
    assert_int_equal(outcome.messages, STELE_HOPS_MAX);
    assert_int_equal(outcome.deliveries, STELE_HOPS_MAX);
    stele_bus_get_stats(fixture_bus, &stats);
    assert_int_equal(stats.hops_ended, 1);
    stele_unit_outcome_fini(&outcome);
}

static stele_status republish(void *resource, const stele_message *message, stele_context *context)
{
    (void)resource;
    return stele_publish(stele_context_bus(context), message, NULL, NULL);
}

static void the_hop_limit_holds_for_handlers_that_use_the_bus_itself(void **state)
{
    static const struct stele_route route = {.name = "r", .on = "a", .handle = republish};
    struct stele_bus_stats stats;

    (void)state;
    fixture_add(&route, NULL);
    fixture_publish("a");
    stele_bus_get_stats(fixture_bus, &stats);
    assert_int_equal(stats.hops_ended, 1);
}

static stele_status publish_there(void *resource, const stele_message *message, stele_context *context)
{
    (void)context;
    return stele_publish(resource, message, NULL, NULL);
}

/* They call each other on one stack. */
static void the_hop_limit_holds_for_two_buses_that_publish_to_each_other(void **state)
{
    static const struct stele_route there = {.name = "there", .on = "a", .handle = publish_there};
    static const struct stele_route back = {.name = "back", .on = "a", .handle = publish_there};
    struct stele_bus_stats here_stats, there_stats;
    stele_error *error = NULL;
    stele_bus *other = NULL;

    (void)state;
    assert_ok(stele_bus_new(fixture_runtime, NULL, &other, &error), error);
    fixture_add(&there, other);
    assert_ok(stele_bus_add_route(other, &back, fixture_bus, NULL, &error), error);
    fixture_publish("a");
    stele_bus_get_stats(fixture_bus, &here_stats);
    stele_bus_get_stats(other, &there_stats);
    assert_int_equal(here_stats.hops_ended + there_stats.hops_ended, 1);
    stele_bus_free(other);
}

static void FWK11_a_cascade_of_depth_1000_is_waited_for(void **state)
{
    const struct stele_bus_options options = {.size = sizeof(options), .hops = 1000};
    static const struct stele_route inlined = {.name = "i", .on = "a", .handle = pass_on};
    struct stele_unit_outcome outcome = {0};
    stele_error *error = NULL;

    (void)state;
    fixture_renew(&options);
    fixture_add_as(&inlined, "a");
    assert_status(STELE_LIMIT, deliver("a", &outcome, &error), error);
    assert_int_equal(outcome.deliveries, 1000);
    stele_unit_outcome_fini(&outcome);
}

struct failing {
    bool queued;
};

static stele_status request_once(void *context, stele_error **error)
{
    static const struct stele_route inlined = {.name = "answer", .type = &ask_type, .handle = answer};
    static const struct stele_route queued = {
        .name = "answer", .type = &ask_type, .handle = answer, .delivery = STELE_QUEUED};
    const struct failing *failing = context;
    const struct stele_send_options options = {.size = sizeof(options), .reply = "note.told"};
    const struct ask payload = {.text = "", .number = 1};
    stele_bus *bus = NULL;
    stele_message *message = NULL;
    stele_message *reply = NULL;
    stele_status status = stele_bus_new(fixture_runtime, NULL, &bus, error);

    if (status == STELE_OK)
        status = stele_bus_add_route(bus, failing->queued ? &queued : &inlined, NULL, NULL, error);
    if (status == STELE_OK)
        status = ask_message(&payload, NULL, &message, error);
    if (status == STELE_OK)
        status = stele_request(bus, message, &options, &reply, error);
    stele_message_unref(message);
    stele_message_unref(reply);
    stele_bus_free(bus);
    stele_runtime_run_until_idle(fixture_runtime);
    return status;
}

static void memory_may_run_out_in_a_request(void **state)
{
    struct failing failing = {false};

    (void)state;
    assert_true(support_every_allocation_fails(request_once, &failing) > 5);
    failing.queued = true;
    assert_true(support_every_allocation_fails(request_once, &failing) > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(NTH06_deliver_waits_for_the_whole_cascade),
        fixture_test(NTH10_a_failure_stays_with_its_handler_and_is_told),
        fixture_test(ORX09_all_failures_are_in_the_outcome_and_the_first_sixteen_are_kept),
        fixture_test(KHO12_a_request_is_answered),
        fixture_test(KHO12_the_reply_reaches_its_subscribers_too),
        fixture_test(KHO16_the_requester_sees_a_failure_in_the_middle_of_the_chain_at_once),
        fixture_test(NTH10_a_requester_does_not_wait_for_others_once_one_has_failed),
        fixture_test(a_request_that_nothing_answers_is_not_found),
        fixture_test(a_reply_of_the_wrong_type_is_invalid),
        fixture_test(an_event_can_be_the_answer),
        fixture_test(KHO12_a_late_reply_is_counted_and_goes_to_its_subscribers),
        fixture_test(B4_an_overrun_is_a_timeout_and_its_result_is_dropped),
        fixture_test(KHO13_each_route_has_its_own_limit),
        fixture_test(deliver_gives_up_at_its_deadline),
        fixture_test(NTH08_events_come_one_by_one_and_end),
        fixture_test(a_cancelled_unit_discards_what_waits),
        fixture_test(FWK13_fail_fast_cancels_the_rest_of_the_unit),
        fixture_test(ping_pong_ends_at_the_hop_limit_that_the_error_names),
        fixture_test(the_hop_limit_holds_for_handlers_that_use_the_bus_itself),
        fixture_test(the_hop_limit_holds_for_two_buses_that_publish_to_each_other),
        fixture_test(FWK11_a_cascade_of_depth_1000_is_waited_for),
        fixture_test(memory_may_run_out_in_a_request),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
