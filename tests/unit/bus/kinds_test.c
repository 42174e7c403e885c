/*
 * Kinds of messages, who gets them, units of work, and what of a failure can be read (NTH-01 to NTH-10, ORX-05 to
 * ORX-14, FWK-02), with what the references got wrong in it.
 */
#include "tests/unit/bus/fixture.h"

#include <stele/deadletters.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* --- NTH-01: kinds ---------------------------------------------------------------------------------- */

static void NTH01_a_message_is_of_a_kind_and_the_kind_says_who_must_be_there(void **state)
{
    static const enum stele_message_kind kinds[] = {STELE_EVENT, STELE_COMMAND, STELE_QUERY, STELE_REPLY};
    static const stele_status unhandled[] = {STELE_OK, STELE_NO_HANDLER, STELE_NO_HANDLER, STELE_OK};
    static const struct stele_route route = {.name = "r", .on = "handled", .handle = fixture_record};
    stele_error *error = NULL;

    (void)state;
    fixture_add_as(&route, "r");
    for (size_t i = 0; i < 4; i++) {
        stele_message *alone = fixture_message(kinds[i], "unhandled", "", 1);
        stele_message *handled = fixture_message(kinds[i], "handled", "", (int64_t)i);

        assert_int_equal(stele_message_kind(alone), kinds[i]);
        assert_status(unhandled[i], stele_publish(fixture_bus, alone, NULL, &error), error);
        assert_ok(stele_publish(fixture_bus, handled, NULL, &error), error);
        stele_message_unref(alone);
        stele_message_unref(handled);
    }
    assert_string_equal(fixture_recorded(), "r0 r1 r2 r3");
}

static void NTH01_what_is_no_message_is_not_built(void **state)
{
    const struct stele_raw_message raws[] = {
        {.kind = STELE_STATE, .type = "x"}, {.kind = (enum stele_message_kind)99, .type = "x"}, {.kind = STELE_EVENT}};
    struct stele_type of_state = note_type;
    const struct note payload = {.text = "", .number = 1};
    stele_message *message = NULL;
    stele_error *error = NULL;

    (void)state;
    of_state.kind = STELE_STATE;
    assert_status(STELE_INVALID, stele_message_new(&of_state, &payload, NULL, &message, &error), error);
    for (size_t i = 0; i < 3; i++)
        assert_status(STELE_INVALID, stele_message_new_raw(&raws[i], NULL, &message, &error), error);
    assert_null(message);
}

static const void *seen_payload;
static int64_t seen_time;

static stele_status look(void *resource, const stele_message *message, stele_context *context)
{
    (void)resource;
    (void)context;
    seen_payload = stele_message_payload(message).data;
    seen_time = stele_message_time(message);
    return STELE_OK;
}

/* There is no function that changes one: all handlers see the same bytes, and so does the sender after them. */
static void NTH01_handlers_see_the_message_itself_with_its_time_of_creation(void **state)
{
    static const struct stele_route route = {.name = "r", .on = "x", .handle = look, .delivery = STELE_QUEUED};
    const struct stele_message_options options = {.size = sizeof(options), .has_time = true, .time = 1234567890};
    const struct stele_raw_message raw = {
        .kind = STELE_EVENT, .type = "x", .format = STELE_PAYLOAD_MSGPACK, .payload = {"\x81\xa1n\7", 4}};
    stele_message *message = NULL;
    stele_error *error = NULL;

    (void)state;
    fixture_add(&route, NULL);
    assert_ok(stele_message_new_raw(&raw, &options, &message, &error), error);
    assert_ok(stele_deliver(fixture_bus, message, NULL, NULL, &error), error);
    assert_ptr_equal(seen_payload, stele_message_payload(message).data);
    assert_int_equal(seen_time, 1234567890);
    assert_memory_equal(stele_message_payload(message).data, "\x81\xa1n\7", 4);
    stele_message_unref(message);
}

/* --- NTH-02, NTH-03, FWK-02: one handler for several types ------------------------------------------------ */

#define BASE(FIELD, T) FIELD(T, INT64, number)
STELE_DECLARE(moved, BASE);
STELE_DEFINE_EVENT(moved, "car.moved", 1, BASE);
STELE_DECLARE(driven, BASE);
STELE_DEFINE_EVENT_UNDER(driven, "car.driven", 1, BASE, moved);
STELE_DECLARE(towed, BASE);
STELE_DEFINE_EVENT_UNDER(towed, "car.towed", 1, BASE, moved);
STELE_DECLARE(parked, BASE);
STELE_DEFINE_EVENT(parked, "car.parked", 1, BASE);

static stele_status note_move(const struct moved *event, stele_context *context)
{
    char word[64];

    snprintf(word, sizeof(word), "%.*s:%d", STELE_SLICE(stele_message_type(stele_context_message(context))),
             (int)event->number);
    fixture_write(word);
    return STELE_OK;
}
STELE_DEFINE_HANDLER(note_move, moved);

static void know_cars(void)
{
    static const struct stele_type *const types[] = {&driven_type, &towed_type, &parked_type};
    stele_error *error = NULL;

    for (size_t i = 0; i < 3; i++)
        assert_ok(stele_bus_add_type(fixture_bus, types[i], &error), error);
}

/* One of each type, numbered. */
static void publish_cars(void)
{
    static const char *const names[] = {"car.driven", "car.parked", "car.towed", "car.moved", "car.driven"};
    stele_error *error = NULL;

    for (int i = 0; i < 5; i++) {
        static const struct stele_type *const types[] = {&driven_type, &parked_type, &towed_type, &moved_type,
                                                         &driven_type};
        const struct moved payload = {.number = i};
        stele_message *message = NULL;

        assert_ok(stele_message_new(types[i], &payload, NULL, &message, &error), error);
        assert_memory_equal(stele_message_type(message).data, names[i], strlen(names[i]));
        assert_ok(stele_publish(fixture_bus, message, NULL, &error), error);
        stele_message_unref(message);
    }
    fixture_run();
}

/* A union as a parent: one mailbox for all of it, so that the order is kept among its types. */
static void NTH02_FWK02_a_handler_of_several_types_gets_these_and_no_other(void **state)
{
    static const struct stele_route moves = {
        .name = "moves", .type = &moved_type, .handle = note_move_handle, .delivery = STELE_QUEUED};

    (void)state;
    know_cars();
    fixture_add(&moves, NULL);
    publish_cars();
    assert_string_equal(fixture_recorded(), "car.driven:0 car.towed:2 car.moved:3 car.driven:4");
}

/* A union as routes that share handler and resource. */
static void NTH02_FWK02_two_routes_may_share_a_handler(void **state)
{
    static const struct stele_route driven = {.name = "driven", .type = &driven_type, .handle = note_move_handle};
    static const struct stele_route towed = {.name = "towed", .on = "car.towed", .handle = note_move_handle};

    (void)state;
    know_cars();
    fixture_add(&driven, NULL);
    fixture_add(&towed, NULL);
    publish_cars();
    assert_string_equal(fixture_recorded(), "car.driven:0 car.towed:2 car.driven:4");
}

static void NTH02_a_handler_without_interest_is_an_error(void **state)
{
    static const struct stele_route route = {.name = "r", .handle = fixture_record};
    stele_error *error = NULL;

    (void)state;
    assert_failure(STELE_INVALID, stele_bus_add_route(fixture_bus, &route, NULL, NULL, &error), error);
    assert_message(error, "neither `on` nor `type`");
    stele_error_free(error);
}

static void NTH03_who_wants_a_base_type_sees_what_is_derived_beside_all_others_that_match(void **state)
{
    static const struct stele_route base = {.name = "base", .type = &moved_type, .handle = note_move_handle};
    static const struct stele_route exact = {.name = "exact", .type = &towed_type, .handle = note_move_handle};
    static const struct stele_route wild = {.name = "wild", .on = "car.*", .handle = note_move_handle};
    const struct towed payload = {.number = 5};
    stele_message *message = NULL;
    size_t reached = 0;
    stele_error *error = NULL;

    (void)state;
    know_cars();
    fixture_add(&base, NULL);
    fixture_add(&exact, NULL);
    fixture_add(&wild, NULL);
    assert_ok(towed_message(&payload, NULL, &message, &error), error);
    assert_ok(stele_publish(fixture_bus, message, &reached, &error), error);
    assert_int_equal(reached, 3);
    assert_string_equal(fixture_recorded(), "car.towed:5 car.towed:5 car.towed:5");
    stele_message_unref(message);
}

/* --- NTH-07, NTH-09: units of work ---------------------------------------------------------------------- */

static void NTH07_publishing_in_a_unit_returns_at_once_and_its_events_are_results(void **state)
{
    static const struct stele_route route = {
        .name = "r", .on = "x", .handle = fixture_record, .delivery = STELE_QUEUED};
    stele_message *event = fixture_event("x");
    stele_message *command = fixture_message(STELE_COMMAND, "x", "", 2);
    stele_message *result = NULL;
    stele_unit *unit = NULL;
    stele_error *error = NULL;

    (void)state;
    fixture_add_as(&route, "r");
    assert_ok(stele_unit_begin(fixture_bus, NULL, &unit, &error), error);
    assert_ok(stele_unit_publish(unit, command, NULL, &error), error);
    assert_ok(stele_unit_publish(unit, event, NULL, &error), error);
    assert_string_equal(fixture_recorded(), ""); /* nothing was waited for */
    assert_ok(stele_unit_next(unit, &result, &error), error);
    assert_ptr_equal(result, event); /* a command is none */
    stele_message_unref(result);
    assert_status(STELE_END, stele_unit_next(unit, &result, &error), error);
    assert_ok(stele_unit_end(unit, NULL, &error), error);
    assert_string_equal(fixture_recorded(), "r2 r1");
    stele_message_unref(event);
    stele_message_unref(command);
}

/* The reference logged what was no message, and ignored it. */
static void NTH07_what_is_no_message_is_an_error(void **state)
{
    stele_unit *unit = NULL;
    stele_error *error = NULL;

    (void)state;
    assert_status(STELE_INVALID, stele_publish(fixture_bus, NULL, NULL, &error), error);
    assert_status(STELE_INVALID, stele_deliver(fixture_bus, NULL, NULL, NULL, &error), error);
    assert_ok(stele_unit_begin(fixture_bus, NULL, &unit, &error), error);
    assert_status(STELE_INVALID, stele_unit_publish(unit, NULL, NULL, &error), error);
    assert_ok(stele_unit_end(unit, NULL, &error), error);
}

static void NTH08_waiting_for_a_result_ends_with_the_units_time(void **state)
{
    static const struct stele_route route = {
        .name = "r", .on = "y", .handle = fixture_record, .delivery = STELE_QUEUED};
    const struct stele_send_options options = {.size = sizeof(options), .timeout_ms = 40};
    const struct stele_clock *clock = stele_runtime_clock(fixture_runtime);
    const int64_t began = clock->monotonic(clock->context);
    stele_message *command = fixture_message(STELE_COMMAND, "y", "", 1);
    stele_message *result = NULL;
    stele_unit *unit = NULL;
    stele_error *error = NULL;

    (void)state;
    fixture_add_as(&route, "r");
    assert_ok(stele_bus_pause(fixture_bus, "r", &error), error);
    assert_ok(stele_unit_begin(fixture_bus, &options, &unit, &error), error);
    assert_ok(stele_unit_publish(unit, command, NULL, &error), error);
    assert_status(STELE_TIMEOUT, stele_unit_next(unit, &result, &error), error);
    assert_int_equal(clock->monotonic(clock->context) - began, 40 * MS);
    assert_status(STELE_TIMEOUT, stele_unit_end(unit, NULL, &error), error);
    assert_null(result);
    stele_message_unref(command);
}

static stele_status publish_and_write(void *resource, const stele_message *message, stele_context *context)
{
    const stele_status status = stele_context_forward(context, resource);

    (void)message;
    fixture_write("returned");
    return status;
}

static void NTH09_what_a_handler_publishes_is_of_its_unit_and_done_before_the_unit_ends(void **state)
{
    static const struct stele_route parent = {
        .name = "parent", .on = "x", .handle = publish_and_write, .delivery = STELE_QUEUED};
    static const struct stele_route child = {
        .name = "child", .on = "y", .handle = publish_and_write, .delivery = STELE_QUEUED};
    static const struct stele_route grandchild = {
        .name = "grandchild", .on = "z", .handle = fixture_record, .delivery = STELE_QUEUED};
    struct stele_unit_outcome outcome = {0};
    stele_message *message = fixture_event("x");
    stele_unit *unit = NULL;
    stele_error *error = NULL;

    (void)state;
    fixture_add_as(&parent, "y");
    fixture_add_as(&child, "z");
    fixture_add_as(&grandchild, "g");
    assert_ok(stele_unit_begin(fixture_bus, NULL, &unit, &error), error);
    assert_ok(stele_unit_publish(unit, message, NULL, &error), error);
    assert_ok(stele_unit_end(unit, &outcome, &error), error);
    assert_string_equal(fixture_recorded(), "returned returned g1");
    assert_int_equal(outcome.messages, 3);
    stele_unit_outcome_fini(&outcome);
    stele_message_unref(message);
}

/* --- ORX-05: what is not valid is not enqueued ------------------------------------------------------------- */

#define ORDERED(FIELD, T) FIELD(T, TEXT, order, STELE_NON_EMPTY) FIELD(T, INT64, amount, STELE_POSITIVE)
STELE_DECLARE(order_thing, ORDERED);
STELE_DEFINE_COMMAND(order_thing, "thing.order", 1, ORDERED);

static stele_status order_nothing(void *resource, const stele_message *message, stele_context *context)
{
    (void)resource;
    (void)message;
    return STELE_PUBLISH(context, order_thing, .order = " ", .amount = 1);
}

static void ORX05_a_command_that_breaks_a_rule_is_not_built_and_nothing_is_enqueued(void **state)
{
    static const struct stele_route take = {
        .name = "take", .on = "thing.order", .handle = fixture_record, .delivery = STELE_QUEUED};
    static const struct stele_route give = {.name = "give", .on = "x", .handle = order_nothing};
    const struct order_thing invalid = {.order = "o", .amount = 0};
    stele_message *event = fixture_event("x");
    stele_message *message = NULL;
    stele_error *error = NULL;

    (void)state;
    fixture_add_as(&take, "t");
    fixture_add(&give, NULL);
    assert_failure(STELE_INVALID, order_thing_message(&invalid, NULL, &message, &error), error);
    assert_string_equal(stele_error_get(error, "field"), "amount");
    assert_null(message);
    stele_error_free(error);
    error = NULL;
    assert_failure(STELE_INVALID, stele_deliver(fixture_bus, event, NULL, NULL, &error), error);
    assert_message(error, "order");
    stele_error_free(error);
    assert_int_equal(fixture_stats("take").waiting, 0);
    fixture_run();
    assert_string_equal(fixture_recorded(), "");
    stele_message_unref(event);
}

/* --- ORX-08 to ORX-10: several handlers, or none --------------------------------------------------------------- */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int inside;

/* Returns when both handlers are in it: never, if they ran one after the other. */
static stele_status meet(void *resource, const stele_message *message, stele_context *context)
{
    (void)resource;
    (void)message;
    (void)context;
    pthread_mutex_lock(&mutex);
    inside++;
    pthread_cond_broadcast(&changed);
    while (inside < 2)
        pthread_cond_wait(&changed, &mutex);
    pthread_mutex_unlock(&mutex);
    fixture_write("met");
    return STELE_OK;
}

static void ORX08_handlers_of_one_message_run_together_and_deliver_waits_for_all(void **state)
{
    static const struct stele_route one = {.name = "one", .on = "x", .handle = meet, .delivery = STELE_QUEUED};
    static const struct stele_route two = {.name = "two", .on = "x", .handle = meet, .delivery = STELE_QUEUED};
    stele_message *message = fixture_event("x");
    stele_error *error = NULL;

    (void)state;
    inside = 0;
    fixture_add(&one, NULL);
    fixture_add(&two, NULL);
    assert_ok(stele_deliver(fixture_bus, message, NULL, NULL, &error), error);
    assert_string_equal(fixture_recorded(), "met met");
    stele_message_unref(message);
}

/* The reference raised only if all had failed; here publishing never does, and delivering always (section 7, 6). */
static void ORX09_publishing_does_not_fail_with_its_handlers_and_delivering_does(void **state)
{
    static const struct stele_route sound = {.name = "sound", .on = "x", .handle = fixture_record};
    static const struct stele_route first = {.name = "first", .on = "x", .handle = fixture_break};
    static const struct stele_route second = {.name = "second", .on = "x", .handle = fixture_break};
    struct stele_unit_outcome outcome = {0};
    stele_message *message = fixture_event("x");
    stele_error *error = NULL;
    stele_route_id id;

    (void)state;
    id = fixture_add_as(&sound, "s");
    fixture_add_as(&first, "a");
    assert_int_equal(fixture_publish("x"), 2);
    assert_status(STELE_FAILED, stele_deliver(fixture_bus, message, NULL, &outcome, &error), error);
    assert_int_equal(outcome.failure_count, 1);
    assert_int_equal(outcome.deliveries, 2);
    stele_unit_outcome_fini(&outcome);
    fixture_add_as(&second, "b");
    assert_true(stele_bus_remove_route(fixture_bus, id));
    assert_int_equal(fixture_publish("x"), 2);
    assert_status(STELE_FAILED, stele_deliver(fixture_bus, message, NULL, &outcome, &error), error);
    assert_int_equal(outcome.failure_count, 2);
    assert_string_equal(outcome.failures[1].route, "second");
    stele_unit_outcome_fini(&outcome);
    stele_message_unref(message);
}

static void ORX10_an_event_without_handlers_reaches_none_and_a_command_fails(void **state)
{
    stele_message *event = fixture_event("x");
    stele_message *command = fixture_message(STELE_COMMAND, "y", "", 1);
    struct stele_unit_outcome outcome = {0};
    size_t reached = 7;
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele_publish(fixture_bus, event, &reached, &error), error);
    assert_int_equal(reached, 0);
    assert_ok(stele_deliver(fixture_bus, event, NULL, &outcome, &error), error);
    assert_int_equal(outcome.messages, 1);
    assert_int_equal(outcome.deliveries, 0);
    assert_failure(STELE_NO_HANDLER, stele_publish(fixture_bus, command, NULL, &error), error);
    assert_string_equal(stele_error_get(error, "type"), "y");
    stele_error_free(error);
    stele_unit_outcome_fini(&outcome);
    stele_message_unref(event);
    stele_message_unref(command);
}

/* --- ORX-14: what of a failure can be read ------------------------------------------------------------------------ */

static void ORX14_a_handlers_failure_names_type_handler_message_and_cause(void **state)
{
    static const struct stele_route route = {
        .name = "breaking", .on = "thing.done", .handle = fixture_break, .delivery = STELE_QUEUED};
    stele_message *message = fixture_event("thing.done");
    stele_error *error = NULL;
    const char *id;

    (void)state;
    fixture_add_as(&route, "b");
    assert_failure(STELE_FAILED, stele_deliver(fixture_bus, message, NULL, NULL, &error), error);
    assert_int_equal(stele_error_status(error), STELE_FAILED);
    assert_string_equal(stele_error_get(error, "type"), "thing.done");
    assert_string_equal(stele_error_get(error, "route"), "breaking");
    assert_string_equal(stele_error_get(error, "text"), "broken");
    id = stele_error_get(error, "id");
    assert_non_null(id);
    assert_int_equal(strlen(id), stele_message_id(message).size);
    assert_memory_equal(id, stele_message_id(message).data, strlen(id));
    stele_error_free(error);
    stele_message_unref(message);
}

/* --- Bold, 2.3 ---------------------------------------------------------------------------------------------------- */

/* Bold, 2.3, broadcast cost: each event was delivered to each of 121 components, which then looked whether they wanted
 * it. */
static void bug_an_event_is_delivered_to_those_alone_that_want_it(void **state)
{
    enum { OTHERS = 120 };
    static struct stele_route others[OTHERS];
    static char names[OTHERS][16];
    static const struct stele_route wanting = {.name = "wanting", .on = "x", .handle = fixture_record};
    struct stele_unit_outcome outcome = {0};
    stele_message *message = fixture_event("x");
    stele_error *error = NULL;

    (void)state;
    for (size_t i = 0; i < OTHERS; i++) {
        snprintf(names[i], sizeof(names[i]), "other.%zu", i);
        others[i] =
            (struct stele_route){.name = names[i], .on = names[i], .handle = fixture_record, .delivery = STELE_QUEUED};
        fixture_add_as(&others[i], "o");
    }
    fixture_add_as(&wanting, "w");
    assert_int_equal(fixture_publish("x"), 1);
    assert_ok(stele_deliver(fixture_bus, message, NULL, &outcome, &error), error);
    assert_int_equal(outcome.deliveries, 1);
    assert_string_equal(fixture_recorded(), "w1 w1");
    stele_unit_outcome_fini(&outcome);
    stele_message_unref(message);
}

/* Fails on odd numbers. */
static stele_status refuse_odd(void *resource, const stele_message *message, stele_context *context)
{
    const struct stele_slice payload = stele_message_payload(message);
    const stele_status status = fixture_record(resource, message, context);

    return status == STELE_OK && payload.data[payload.size - 1] % 2 ? STELE_FAILED : status;
}

/* Bold, 2.3, poison: what had failed stayed at the head of the queue, and failed again with each later arrival; and
 * items 3, 5, 7, 9 were lost. */
static void bug_what_fails_is_buried_once_and_holds_up_nothing_behind_it(void **state)
{
    static const struct stele_route route = {.name = "r", .on = "x", .handle = refuse_odd, .delivery = STELE_QUEUED};
    struct stele_bus_stats stats;
    uint64_t requeued = 0;
    stele_error *error = NULL;

    (void)state;
    fixture_add_as(&route, "");
    for (int i = 0; i < 10; i++) {
        stele_message *message = fixture_message(STELE_EVENT, "x", "", i);

        assert_ok(stele_publish(fixture_bus, message, NULL, &error), error);
        stele_message_unref(message);
    }
    fixture_run();
    assert_string_equal(fixture_recorded(), "0 1 2 3 4 5 6 7 8 9");
    stele_bus_get_stats(fixture_bus, &stats);
    assert_int_equal(stats.dead_letters, 5);
    assert_ok(stele_dead_requeue(fixture_bus, NULL, &requeued, &error), error);
    assert_int_equal(requeued, 5);
    fixture_run();
    assert_string_equal(fixture_recorded(), "1 3 5 7 9");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(NTH01_a_message_is_of_a_kind_and_the_kind_says_who_must_be_there),
        fixture_test(NTH01_what_is_no_message_is_not_built),
        fixture_test(NTH01_handlers_see_the_message_itself_with_its_time_of_creation),
        fixture_test(NTH02_FWK02_a_handler_of_several_types_gets_these_and_no_other),
        fixture_test(NTH02_FWK02_two_routes_may_share_a_handler),
        fixture_test(NTH02_a_handler_without_interest_is_an_error),
        fixture_test(NTH03_who_wants_a_base_type_sees_what_is_derived_beside_all_others_that_match),
        fixture_test(NTH07_publishing_in_a_unit_returns_at_once_and_its_events_are_results),
        fixture_test(NTH07_what_is_no_message_is_an_error),
        fixture_test(NTH08_waiting_for_a_result_ends_with_the_units_time),
        fixture_test(NTH09_what_a_handler_publishes_is_of_its_unit_and_done_before_the_unit_ends),
        fixture_test(ORX05_a_command_that_breaks_a_rule_is_not_built_and_nothing_is_enqueued),
        fixture_thread_test(ORX08_handlers_of_one_message_run_together_and_deliver_waits_for_all),
        fixture_test(ORX09_publishing_does_not_fail_with_its_handlers_and_delivering_does),
        fixture_test(ORX10_an_event_without_handlers_reaches_none_and_a_command_fails),
        fixture_test(ORX14_a_handlers_failure_names_type_handler_message_and_cause),
        fixture_test(bug_an_event_is_delivered_to_those_alone_that_want_it),
        fixture_test(bug_what_fails_is_buried_once_and_holds_up_nothing_behind_it),
    };

    return cmocka_run_group_tests_name("kinds", tests, NULL, NULL);
}
