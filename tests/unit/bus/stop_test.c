/* Stopping a bus (B10). */
#include "tests/unit/bus/fixture.h"

#include <stele/observe.h>

#include <stdio.h>
#include <string.h>

static stele_status pass_on(void *resource, const stele_message *message, stele_context *context)
{
    (void)message;
    return stele_context_forward(context, resource);
}

static void note_stop(void *resource)
{
    char word[32];

    snprintf(word, sizeof(word), "stop-%s", (const char *)resource);
    fixture_write(word);
}

static const struct stele_route first = {
    .name = "first", .on = "x", .handle = pass_on, .delivery = STELE_QUEUED, .stop = note_stop};
static const struct stele_route second = {
    .name = "second", .on = "y", .handle = fixture_record, .delivery = STELE_QUEUED, .stop = note_stop};

/* Bold, 1.2: stop returned with a handler running, and the follow-up event was lost. */
static void KHO24_stopping_finishes_what_is_in_flight_and_its_cascades(void **state)
{
    struct stele_stopped stopped;
    stele_error *error = NULL;

    (void)state;
    fixture_add_as(&first, "y");
    fixture_add_as(&second, "s");
    fixture_publish("x");
    assert_ok(stele_bus_stop(fixture_bus, 1000, &stopped, &error), error);
    assert_string_equal(fixture_recorded(), "s1 stop-s stop-y");
    assert_int_equal(stopped.discarded, 0);
    assert_int_equal(stopped.running, 0);
}

/* Bold, 1.2: what was published after the stop went into a dead queue. */
static void KHO09_B10_nothing_is_taken_after_the_stop(void **state)
{
    stele_message *message = fixture_event("y");
    stele_message *reply = NULL;
    stele_error *error = NULL;
    stele_unit *unit = NULL;

    (void)state;
    fixture_add_as(&second, "s");
    assert_ok(stele_bus_stop(fixture_bus, 1000, NULL, &error), error);
    assert_status(STELE_SHUTDOWN, stele_publish(fixture_bus, message, NULL, &error), error);
    assert_status(STELE_SHUTDOWN, stele_deliver(fixture_bus, message, NULL, NULL, &error), error);
    assert_status(STELE_SHUTDOWN, stele_request(fixture_bus, message, NULL, &reply, &error), error);
    assert_ok(stele_unit_begin(fixture_bus, NULL, &unit, &error), error);
    assert_status(STELE_SHUTDOWN, stele_unit_publish(unit, message, NULL, &error), error);
    assert_ok(stele_unit_end(unit, NULL, &error), error);
    assert_status(STELE_SHUTDOWN, stele_bus_add_route(fixture_bus, &first, NULL, NULL, &error), error);
    assert_ok(stele_bus_stop(fixture_bus, 1000, NULL, &error), error);
    assert_string_equal(fixture_recorded(), "stop-s");
    stele_message_unref(message);
}

static void B10_what_was_not_done_is_reported_and_told(void **state)
{
    stele_message *message = fixture_event("y");
    struct stele_unit_outcome outcome = {0};
    struct stele_stopped stopped;
    stele_unit *unit = NULL;
    stele_error *error = NULL;

    (void)state;
    fixture_add_as(&second, "s");
    assert_ok(stele_bus_pause(fixture_bus, "second", &error), error);
    assert_ok(stele_unit_begin(fixture_bus, NULL, &unit, &error), error);
    assert_ok(stele_unit_publish(unit, message, NULL, &error), error);
    assert_ok(stele_unit_publish(unit, message, NULL, &error), error);
    assert_failure(STELE_TIMEOUT, stele_bus_stop(fixture_bus, 10, &stopped, &error), error);
    assert_message(error, "second");
    stele_error_free(error);
    error = NULL;
    assert_int_equal(stopped.discarded, 2);
    assert_string_equal(stopped.routes, "second");
    assert_status(STELE_SHUTDOWN, stele_unit_end(unit, &outcome, &error), error);
    assert_int_equal(outcome.failure_count, 2);
    assert_string_equal(fixture_recorded(), "stop-s");
    stele_unit_outcome_fini(&outcome);
    stele_message_unref(message);
}

static stele_status stop_inside(void *resource, const stele_message *message, stele_context *context)
{
    stele_error *error = NULL;
    const stele_status status = stele_bus_stop(stele_context_bus(context), 1000, NULL, &error);

    (void)resource;
    (void)message;
    fixture_write(stele_status_name(status));
    stele_error_free(error);
    return STELE_OK;
}

static void a_handler_may_stop_its_bus(void **state)
{
    static const struct stele_route queued = {
        .name = "queued", .on = "x", .handle = stop_inside, .delivery = STELE_QUEUED, .stop = note_stop};

    (void)state;
    fixture_add_as(&queued, "q");
    fixture_publish("x");
    fixture_run();
    assert_string_equal(fixture_recorded(), "OK"); /* its own `stop` comes behind its call */
    fixture_renew(NULL);
    assert_string_equal(fixture_recorded(), "stop-q");
}

/* Twelve calls on one stack: each waits for the next, the last one stops the bus. */
static stele_status go_deeper(void *resource, const stele_message *message, stele_context *context)
{
    const size_t depth = *(size_t *)resource;
    char name[8];
    stele_message *next = NULL;
    stele_error *error = NULL;
    stele_status status;

    if (depth == 12)
        return stop_inside(resource, message, context);
    snprintf(name, sizeof(name), "d%zu", depth + 1);
    next = fixture_event(name);
    status = stele_deliver(stele_context_bus(context), next, NULL, NULL, &error);
    stele_error_free(error);
    stele_message_unref(next);
    return status;
}

static void a_handler_deep_in_others_may_stop_its_bus(void **state)
{
    static struct stele_route routes[12];
    static char names[12][8];
    static size_t depths[12];
    stele_runtime *runtime = NULL;
    stele_message *first_message = fixture_event("d1");
    stele_error *error = NULL;
    stele_bus *bus = NULL;

    (void)state;
    assert_ok(stele_runtime_new(0, NULL, &runtime, &error), error);
    assert_ok(stele_bus_new(runtime, NULL, &bus, &error), error);
    for (size_t i = 0; i < 12; i++) {
        depths[i] = i + 1;
        snprintf(names[i], sizeof(names[i]), "d%zu", i + 1);
        routes[i] =
            (struct stele_route){.name = names[i], .on = names[i], .handle = go_deeper, .delivery = STELE_QUEUED};
        assert_ok(stele_bus_add_route(bus, &routes[i], &depths[i], NULL, &error), error);
    }
    assert_ok(stele_deliver(bus, first_message, NULL, NULL, &error), error);
    assert_string_equal(fixture_recorded(), "OK");
    stele_message_unref(first_message);
    stele_bus_free(bus);
    stele_runtime_free(runtime);
}

static void stop_seeing(void *context, const struct stele_observation *seen)
{
    stele_error *error = NULL;

    (void)context;
    fixture_write(seen->observed);
    fixture_write(stele_status_name(stele_bus_stop(fixture_bus, 60000, NULL, &error)));
    stele_error_free(error);
}

/* It would wait for itself; the rest of what it is to see comes behind the call. */
static void an_observer_may_stop_its_bus(void **state)
{
    static const struct stele_observer stopping = {
        .name = "stopping", .kinds = STELE_SEEN_PUBLISHED, .see = stop_seeing};
    const struct stele_clock *clock = stele_runtime_clock(fixture_runtime);
    stele_error *error = NULL;
    int64_t began;

    (void)state;
    fixture_add_as(&second, "s");
    assert_ok(stele_bus_add_observer(fixture_bus, &stopping, NULL, &error), error);
    fixture_publish("y");
    fixture_publish("z");
    began = clock->monotonic(clock->context);
    fixture_run();
    assert_int_equal(clock->monotonic(clock->context), began);
    assert_string_equal(fixture_recorded(), "s1 y stop-s OK z OK");
}

static void a_route_that_waits_for_a_retry_is_discarded(void **state)
{
    static const struct stele_retry slow = {.max_attempts = 5, .delay_ms = 60000, .jitter = STELE_JITTER_NONE};
    static const struct stele_interceptor retry = {.name = "retry", STELE_RETRY(&slow)};
    static const struct stele_interceptor *const retrying[] = {&retry, NULL};
    static const struct stele_route route = {
        .name = "r", .on = "x", .handle = fixture_break, .delivery = STELE_QUEUED, .interceptors = retrying};
    struct stele_stopped stopped;
    stele_error *error = NULL;

    (void)state;
    fixture_add_as(&route, "r");
    fixture_publish("x");
    fixture_run();
    assert_status(STELE_TIMEOUT, stele_bus_stop(fixture_bus, 1000, &stopped, &error), error);
    assert_int_equal(stopped.discarded, 1);
    assert_string_equal(fixture_recorded(), "r1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(KHO24_stopping_finishes_what_is_in_flight_and_its_cascades),
        fixture_test(KHO09_B10_nothing_is_taken_after_the_stop),
        fixture_test(B10_what_was_not_done_is_reported_and_told),
        fixture_test(a_handler_may_stop_its_bus),
        fixture_test(a_handler_deep_in_others_may_stop_its_bus),
        fixture_test(an_observer_may_stop_its_bus),
        fixture_test(a_route_that_waits_for_a_retry_is_discarded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
