/*
 * Handlers as blocks of a chain: what a call may give, names, what messages carry from hop to hop, codes of failures,
 * and the shapes that chains have (KHO-01 to KHO-17, FWK-01, FWK-05).
 */
#include "tests/unit/bus/fixture.h"

#include <stele/observe.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static stele_status deliver(const stele_message *message, struct stele_unit_outcome *outcome, stele_error **error)
{
    return stele_deliver(fixture_bus, message, NULL, outcome, error);
}

/* Deliver an event of a type, all of which succeeds. */
static void deliver_event(const char *type)
{
    stele_message *message = fixture_event(type);
    stele_error *error = NULL;

    assert_ok(deliver(message, NULL, &error), error);
    stele_message_unref(message);
}

/* --- KHO-01: what a call gives ----------------------------------------------------------------- */

static stele_status give_nothing(void *resource, const stele_message *message, stele_context *context)
{
    (void)resource;
    (void)message;
    (void)context;
    return STELE_OK;
}

static stele_status give_envelope(void *resource, const stele_message *message, stele_context *context)
{
    (void)message;
    return stele_context_send(context, resource);
}

static stele_status give_struct(void *resource, const stele_message *message, stele_context *context)
{
    (void)resource;
    (void)message;
    return STELE_PUBLISH(context, note, .text = "typed", .number = 7);
}

static const stele_message *taken;

static stele_status take(void *resource, const stele_message *message, stele_context *context)
{
    (void)context;
    taken = message;
    return fixture_record(resource, message, context);
}

static const struct stele_route take_note = {.name = "take", .on = "note.taken", .handle = take};

static void KHO01_a_call_that_gives_nothing_ends_the_chain(void **state)
{
    static const struct stele_route route = {.name = "r", .on = "x", .handle = give_nothing};
    struct stele_unit_outcome outcome = {0};
    stele_message *message = fixture_event("x");
    stele_error *error = NULL;

    (void)state;
    fixture_add(&route, NULL);
    fixture_add_as(&take_note, "t");
    assert_ok(deliver(message, &outcome, &error), error);
    assert_int_equal(outcome.messages, 1);
    assert_string_equal(fixture_recorded(), "");
    stele_unit_outcome_fini(&outcome);
    stele_message_unref(message);
}

static void KHO01_a_ready_message_is_sent_as_it_is(void **state)
{
    static const struct stele_route route = {.name = "r", .on = "x", .handle = give_envelope};
    stele_message *given = fixture_message(STELE_EVENT, "note.taken", "ready", 9);

    (void)state;
    fixture_add(&route, given);
    fixture_add_as(&take_note, "t");
    deliver_event("x");
    assert_string_equal(fixture_recorded(), "t9");
    assert_ptr_equal(taken, given);
    stele_message_unref(given);
}

static void KHO01_a_struct_becomes_a_message_of_its_type(void **state)
{
    static const struct stele_route route = {.name = "r", .on = "x", .handle = give_struct};

    (void)state;
    fixture_add(&route, NULL);
    fixture_add_as(&take_note, "t");
    deliver_event("x");
    assert_string_equal(fixture_recorded(), "t7");
}

/* The reference dropped a result without a declared type, or of another one, and said nothing. */
static void KHO01_what_must_not_be_given_is_a_failure_that_is_counted(void **state)
{
    static const struct stele_type *const nothing[] = {NULL};
    static const struct stele_route route = {.name = "r", .on = "x", .handle = give_struct, .publishes = nothing};
    const struct stele_bus_options options = {.size = sizeof(options), .measure = true};
    stele_message *message = fixture_event("x");
    stele_error *error = NULL;

    (void)state;
    fixture_renew(&options);
    fixture_add(&route, NULL);
    fixture_add_as(&take_note, "t");
    assert_failure(STELE_INVALID, deliver(message, NULL, &error), error);
    assert_message(error, "note.taken");
    assert_string_equal(stele_error_get(error, "route"), "r");
    stele_error_free(error);
    assert_string_equal(fixture_recorded(), "");
    assert_int_equal(fixture_stats("r").errors, 1);
    assert_int_equal(fixture_stats("r").dead, 1);
    stele_message_unref(message);
}

static void KHO01_what_is_given_and_wanted_by_nobody_is_counted(void **state)
{
    static const struct stele_route route = {.name = "r", .on = "x", .handle = give_struct};
    struct stele_bus_stats stats;

    (void)state;
    fixture_add(&route, NULL);
    deliver_event("x");
    stele_bus_get_stats(fixture_bus, &stats);
    assert_int_equal(stats.unrouted, 1);
}

/* --- KHO-03, FWK-01, FWK-05: names, free payloads, counts ----------------------------------------- */

static void KHO03_only_routes_on_exactly_that_name_run(void **state)
{
    static const char *const names[] = {"a.b", "a", "b", "a.b.c", "a.bc", "ab", "A.B", "x.a.b", "a.b.error"};
    static struct stele_route routes[9];
    struct stele_unit_outcome outcome = {0};
    stele_message *message = fixture_event("a.b");
    stele_error *error = NULL;

    (void)state;
    for (size_t i = 0; i < 9; i++) {
        routes[i] = (struct stele_route){.name = names[i], .on = names[i], .handle = fixture_record};
        fixture_add_as(&routes[i], names[i]);
    }
    assert_ok(deliver(message, &outcome, &error), error);
    assert_string_equal(fixture_recorded(), "a.b1");
    assert_int_equal(outcome.deliveries, 1);
    stele_unit_outcome_fini(&outcome);
    stele_message_unref(message);
}

/* {"any": [1, true], "size": 3}: attributes that no type of this program describes. */
static const char free_form[] = "\x82\xa3"
                                "any\x92\x01\xc3\xa4size\x03";

static stele_status compare_free_form(void *resource, const stele_message *message, stele_context *context)
{
    const struct stele_slice payload = stele_message_payload(message);
    const bool is_same = payload.size == sizeof(free_form) - 1 && memcmp(payload.data, free_form, payload.size) == 0;

    (void)context;
    fixture_write(is_same ? resource : "changed");
    return STELE_OK;
}

static void FWK01_an_event_is_a_name_and_whatever_attributes(void **state)
{
    static const struct stele_route all = {.name = "all", .on = ">", .handle = compare_free_form};
    static const struct stele_route large = {
        .name = "large", .on = "thing.*", .where = {"size", "3"}, .handle = compare_free_form};
    static const struct stele_route small = {
        .name = "small", .on = "thing.*", .where = {"size", "1"}, .handle = compare_free_form};
    const struct stele_raw_message raw = {.kind = STELE_EVENT,
                                          .type = "thing.seen",
                                          .format = STELE_PAYLOAD_MSGPACK,
                                          .payload = {free_form, sizeof(free_form) - 1}};
    stele_message *message = NULL;
    stele_error *error = NULL;

    (void)state;
    fixture_add_as(&all, "all");
    fixture_add_as(&large, "large");
    fixture_add_as(&small, "small");
    assert_ok(stele_message_new_raw(&raw, NULL, &message, &error), error);
    assert_ok(deliver(message, NULL, &error), error);
    assert_string_equal(fixture_recorded(), "all large");
    stele_message_unref(message);
}

static void FWK05_publishing_returns_how_many_were_reached(void **state)
{
    static const char *const names[] = {"r-1", "r-2", "r-3"};
    static struct stele_route routes[3];
    stele_message *message = fixture_event("x");
    stele_error *error = NULL;

    (void)state;
    for (size_t i = 0; i <= 3; i++) {
        assert_int_equal(fixture_publish("x"), i);
        if (i == 3)
            break;
        /* Queued ones count when the mailbox has it: none of them has run by then. */
        routes[i] = (struct stele_route){
            .name = names[i], .on = "x", .handle = fixture_record, .delivery = i % 2 ? STELE_INLINE : STELE_QUEUED};
        fixture_add_as(&routes[i], "r");
    }
    assert_ok(stele_bus_stop(fixture_bus, 1000, NULL, &error), error);
    assert_status(STELE_SHUTDOWN, stele_publish(fixture_bus, message, NULL, &error), error);
    stele_message_unref(message);
}

static stele_status reach_two(void *resource, const stele_message *message, stele_context *context)
{
    size_t reached = 9;
    stele_message *inner = fixture_event("x");
    const stele_status status = stele_publish(stele_context_bus(context), inner, &reached, NULL);

    (void)resource;
    (void)message;
    stele_message_unref(inner);
    fixture_write(reached == 2 ? "two" : "other");
    return status;
}

static void FWK05_a_handler_is_told_the_count_too(void **state)
{
    static const struct stele_route outer = {.name = "outer", .on = "y", .handle = reach_two};
    static const struct stele_route one = {.name = "one", .on = "x", .handle = give_nothing};
    static const struct stele_route two = {.name = "two", .on = "*", .where = {"number", "1"}, .handle = give_nothing};

    (void)state;
    fixture_add(&outer, NULL);
    fixture_add(&one, NULL);
    fixture_add(&two, NULL);
    fixture_publish("y");
    assert_string_equal(fixture_recorded(), "two");
}

/* --- KHO-04, KHO-05: what goes along a chain ------------------------------------------------------ */

static const char trace[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

static stele_status pass_on(void *resource, const stele_message *message, stele_context *context)
{
    (void)message;
    return stele_context_forward(context, resource);
}

static stele_status tell_origin(void *resource, const stele_message *message, stele_context *context)
{
    const struct stele_slice source = stele_message_source(message);
    const struct stele_slice traceparent = stele_message_traceparent(message);
    const struct stele_slice user = stele_context_user(context);
    struct stele_extension extra;
    char word[128];

    (void)resource;
    snprintf(word, sizeof(word), "%.*s/%.*s/%s/%d/%u", STELE_SLICE(source), STELE_SLICE(user),
             traceparent.size == sizeof(trace) - 1 && memcmp(traceparent.data, trace, 35) == 0 ? "traced" : "lost",
             stele_message_extension(message, 1, &extra) ? (int)extra.integer : -1, stele_context_hop(context));
    fixture_write(word);
    return STELE_OK;
}

static stele_status tell_origin_and_pass_on(void *resource, const stele_message *message, stele_context *context)
{
    const stele_status status = tell_origin(NULL, message, context);

    return status == STELE_OK ? stele_context_forward(context, resource) : status;
}

static stele_message *traced_message(void)
{
    const struct stele_extension extensions[2] = {
        {.name = "user", .kind = STELE_EXTENSION_TEXT, .text = support_slice("ann")},
        {.name = "tenant", .kind = STELE_EXTENSION_INTEGER, .integer = 7},
    };
    const struct stele_message_options options = {.size = sizeof(options),
                                                  .source = "/desk",
                                                  .extensions = extensions,
                                                  .extension_count = 2,
                                                  .traceparent = trace};
    const struct note payload = {.text = "t", .number = 1};
    stele_message *message = NULL;
    stele_error *error = NULL;

    assert_ok(note_message(&payload, &options, &message, &error), error);
    return message;
}

static void deliver_three_hops(void)
{
    static const struct stele_route one = {.name = "one", .on = "note.taken", .handle = tell_origin_and_pass_on};
    static const struct stele_route two = {
        .name = "two", .on = "hop.two", .handle = tell_origin_and_pass_on, .delivery = STELE_QUEUED};
    static const struct stele_route three = {.name = "three", .on = "hop.three", .handle = tell_origin};
    stele_message *message = traced_message();
    stele_error *error = NULL;

    fixture_add_as(&one, "hop.two");
    fixture_add_as(&two, "hop.three");
    fixture_add(&three, NULL);
    assert_ok(deliver(message, NULL, &error), error);
    stele_message_unref(message);
}

static void KHO04_three_hops_keep_trace_user_and_extras_and_name_who_emitted(void **state)
{
    const struct stele_bus_options options = {.size = sizeof(options), .source = "/shop", .source_is_route = true};

    (void)state;
    fixture_renew(&options);
    deliver_three_hops();
    assert_string_equal(fixture_recorded(), "/desk/ann/traced/7/1 one/ann/traced/7/2 two/ann/traced/7/3");
}

static void KHO04_the_source_is_that_of_the_bus_unless_said_otherwise(void **state)
{
    const struct stele_bus_options options = {.size = sizeof(options), .source = "/shop"};

    (void)state;
    fixture_renew(&options);
    deliver_three_hops();
    assert_string_equal(fixture_recorded(), "/desk/ann/traced/7/1 /shop/ann/traced/7/2 /shop/ann/traced/7/3");
}

static void KHO04_built_messages_and_failures_name_who_emitted_too(void **state)
{
    static const struct stele_route giving = {.name = "giving", .on = "x", .handle = give_struct};
    static const struct stele_route breaking = {.name = "breaking", .on = "x", .handle = fixture_break};
    static const struct stele_route noted = {.name = "noted", .on = "note.taken", .handle = tell_origin};
    static const struct stele_route failed = {.name = "failed", .on = "x.error", .handle = tell_origin};
    static const struct stele_route blank = {.name = "no reference", .on = "x", .handle = give_struct};
    const struct stele_bus_options options = {.size = sizeof(options), .source_is_route = true};
    stele_error *error = NULL;

    (void)state;
    fixture_renew(&options);
    fixture_add(&giving, NULL);
    fixture_add_as(&breaking, "b");
    fixture_add(&noted, NULL);
    fixture_add(&failed, NULL);
    fixture_publish("x");
    assert_string_equal(fixture_recorded(), "giving//lost/-1/2 b1 breaking//lost/-1/2");
    assert_failure(STELE_INVALID, stele_bus_add_route(fixture_bus, &blank, NULL, NULL, &error), error);
    assert_message(error, "route no reference");
    stele_error_free(error);
}

/* Time passes between the hops. */
static stele_status pass_on_later(void *resource, const stele_message *message, stele_context *context)
{
    const struct stele_clock *clock = stele_runtime_clock(fixture_runtime);

    clock->pause(clock->context, 5 * MS);
    return pass_on(resource, message, context);
}

static stele_status note_time(void *resource, const stele_message *message, stele_context *context)
{
    (void)context;
    *(int64_t *)resource = stele_message_time(message);
    return STELE_OK;
}

static void KHO05_what_is_forwarded_has_its_own_time(void **state)
{
    static const struct stele_route first = {.name = "first", .on = "x", .handle = pass_on_later};
    static const struct stele_route second = {.name = "second", .on = "y", .handle = note_time};
    const struct stele_clock *clock = stele_runtime_clock(fixture_runtime);
    const int64_t began = clock->now(clock->context);
    int64_t time = 0;

    (void)state;
    fixture_add_as(&first, "y");
    fixture_add(&second, &time);
    deliver_event("x");
    assert_int_equal(time - began, 5 * MS);
}

/* --- KHO-07: codes of failures ------------------------------------------------------------------------ */

static stele_status tell_code(const struct stele_handler_failed *failed, stele_context *context)
{
    (void)context;
    fixture_write(failed->code);
    return STELE_OK;
}
STELE_DEFINE_HANDLER(tell_code, stele_handler_failed);

static const struct stele_route codes = {.name = "codes", .on = "x.error", .handle = tell_code_handle};

static stele_status dawdle(void *resource, const stele_message *message, stele_context *context)
{
    const struct stele_clock *clock = stele_runtime_clock(fixture_runtime);

    (void)resource;
    (void)message;
    (void)context;
    clock->pause(clock->context, 50 * MS);
    return STELE_OK;
}

/* An event x fails with a status; and that is the code of its x.error. */
static void assert_code(stele_status expected, const char *code)
{
    stele_message *message = fixture_event("x");
    stele_error *error = NULL;

    assert_status(expected, deliver(message, NULL, &error), error);
    assert_string_equal(fixture_recorded(), code);
    stele_message_unref(message);
}

static void KHO07_a_handler_that_overruns_is_TIMEOUT(void **state)
{
    static const struct stele_route route = {.name = "r", .on = "x", .handle = dawdle, .timeout_ms = 20};

    (void)state;
    fixture_add(&route, NULL);
    fixture_add(&codes, NULL);
    assert_code(STELE_TIMEOUT, "TIMEOUT");
}

static void KHO07_a_request_that_is_not_answered_is_TIMEOUT(void **state)
{
    static const struct stele_route route = {
        .name = "r", .type = &ask_type, .handle = give_nothing, .delivery = STELE_QUEUED};
    const struct stele_send_options options = {.size = sizeof(options), .timeout_ms = 70};
    const struct stele_clock *clock = stele_runtime_clock(fixture_runtime);
    stele_message *message = fixture_message(STELE_QUERY, "note.ask", "", 1);
    stele_message *reply = NULL;
    stele_error *error = NULL;
    int64_t began = clock->monotonic(clock->context);

    (void)state;
    fixture_add(&route, NULL);
    assert_ok(stele_bus_pause(fixture_bus, "r", &error), error);
    assert_status(STELE_TIMEOUT, stele_request(fixture_bus, message, &options, &reply, &error), error);
    assert_int_equal(clock->monotonic(clock->context) - began, 70 * MS);
    /* Nothing stated is the default of the bus. */
    began = clock->monotonic(clock->context);
    assert_status(STELE_TIMEOUT, stele_request(fixture_bus, message, NULL, &reply, &error), error);
    assert_int_equal(clock->monotonic(clock->context) - began, 30000 * MS);
    stele_message_unref(message);
}

static stele_status fail_bare(void *resource, const stele_message *message, stele_context *context)
{
    (void)message;
    (void)context;
    return *(const stele_status *)resource;
}

/* The reference knew "handler_error" for all that went wrong in a handler. */
static void KHO07_a_handler_fails_with_the_code_it_chose(void **state)
{
    static const struct stele_route route = {.name = "r", .on = "x", .handle = fail_bare};
    static stele_status statuses[] = {STELE_FAILED, STELE_REJECTED, STELE_DENIED, STELE_IO, STELE_NO_MEMORY};
    static const char *const names[] = {"FAILED", "REJECTED", "DENIED", "IO", "NO_MEMORY"};

    (void)state;
    fixture_add(&codes, NULL);
    for (size_t i = 0; i < 5; i++) {
        const stele_route_id id = fixture_add(&route, &statuses[i]);

        assert_code(statuses[i], names[i]);
        assert_true(stele_bus_remove_route(fixture_bus, id));
    }
}

static stele_status fail_with_ok(void *resource, const stele_message *message, stele_context *context)
{
    (void)resource;
    (void)message;
    return stele_context_fail(context, STELE_OK, "something");
}

static void KHO07_a_failure_without_a_code_is_FAILED(void **state)
{
    static const struct stele_route route = {.name = "r", .on = "x", .handle = fail_with_ok};

    (void)state;
    fixture_add(&route, NULL);
    fixture_add(&codes, NULL);
    assert_code(STELE_FAILED, "FAILED");
}

static void KHO07_what_a_stop_cuts_off_is_SHUTDOWN(void **state)
{
    static const struct stele_route route = {.name = "r", .on = "x", .handle = give_nothing, .delivery = STELE_QUEUED};
    stele_message *message = fixture_event("x");
    struct stele_unit_outcome outcome = {0};
    stele_unit *unit = NULL;
    stele_error *error = NULL;

    (void)state;
    fixture_add(&route, NULL);
    assert_ok(stele_bus_pause(fixture_bus, "r", &error), error);
    assert_ok(stele_unit_begin(fixture_bus, NULL, &unit, &error), error);
    assert_ok(stele_unit_publish(unit, message, NULL, &error), error);
    assert_status(STELE_TIMEOUT, stele_bus_stop(fixture_bus, 0, NULL, &error), error);
    assert_status(STELE_SHUTDOWN, stele_unit_end(unit, &outcome, &error), error);
    assert_int_equal(outcome.failures[0].status, STELE_SHUTDOWN);
    /* 1.2: what was told at shutdown carried a foreign trace; here it is the message's own id. */
    assert_int_equal(strlen(outcome.failures[0].id), stele_message_id(message).size);
    assert_memory_equal(outcome.failures[0].id, stele_message_id(message).data, stele_message_id(message).size);
    stele_unit_outcome_fini(&outcome);
    stele_message_unref(message);
}

/* What stands for "worker_error": the message could not be handed to the one who was to work on it. */
static void KHO07_a_mailbox_that_takes_no_more_is_OVERLOAD(void **state)
{
    static const struct stele_route route = {.name = "r",
                                             .on = "x",
                                             .handle = give_nothing,
                                             .delivery = STELE_QUEUED,
                                             .capacity = 1,
                                             .overflow = STELE_REJECT};
    stele_message *message = fixture_event("x");
    struct stele_unit_outcome outcome = {0};
    stele_error *error = NULL;

    (void)state;
    fixture_add(&route, NULL);
    assert_ok(stele_bus_pause(fixture_bus, "r", &error), error);
    fixture_publish("x");
    assert_status(STELE_OVERLOAD, deliver(message, &outcome, &error), error);
    assert_int_equal(outcome.failures[0].status, STELE_OVERLOAD);
    assert_string_equal(outcome.failures[0].route, "r");
    stele_unit_outcome_fini(&outcome);
    stele_message_unref(message);
}

/* --- KHO-23: who wants failures ----------------------------------------------------------------------- */

static void KHO23_one_who_fails_on_a_failure_does_not_keep_it_from_the_next(void **state)
{
    static const struct stele_route failing = {.name = "failing", .on = "x", .handle = fixture_break};
    static const struct stele_route first = {.name = "first", .on = "x.error", .handle = fixture_break};
    static const struct stele_route second = {.name = "second", .on = "x.error", .handle = tell_code_handle};
    stele_message *message = fixture_event("x");
    struct stele_unit_outcome outcome = {0};
    stele_error *error = NULL;

    (void)state;
    fixture_add_as(&failing, "x");
    fixture_add_as(&first, "e");
    fixture_add(&second, NULL);
    assert_failure(STELE_FAILED, deliver(message, &outcome, &error), error);
    assert_string_equal(stele_error_get(error, "route"), "failing");
    assert_string_equal(fixture_recorded(), "x1 e0 FAILED");
    assert_int_equal(outcome.failure_count, 2);
    stele_error_free(error);
    stele_unit_outcome_fini(&outcome);
    stele_message_unref(message);
}

/* --- KHO-10: one event, several handlers ----------------------------------------------------------------- */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool has_come;

/* Returns when what the fast one published has been handled: never, if that waited for the slow one. */
static stele_status wait_for_the_fast_one(void *resource, const stele_message *message, stele_context *context)
{
    (void)resource;
    (void)message;
    (void)context;
    pthread_mutex_lock(&mutex);
    while (!has_come)
        pthread_cond_wait(&changed, &mutex);
    pthread_mutex_unlock(&mutex);
    fixture_write("slow");
    return STELE_OK;
}

static stele_status come(void *resource, const stele_message *message, stele_context *context)
{
    (void)resource;
    (void)message;
    (void)context;
    pthread_mutex_lock(&mutex);
    has_come = true;
    fixture_write("fast");
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
    return STELE_OK;
}

/* Threads; the reference published what handlers gave only behind the slowest of them. */
static void KHO10_what_a_fast_one_gives_does_not_wait_for_a_slow_one(void **state)
{
    static const struct stele_route slow = {
        .name = "slow", .on = "x", .handle = wait_for_the_fast_one, .delivery = STELE_QUEUED};
    static const struct stele_route breaking = {
        .name = "breaking", .on = "x", .handle = fixture_break, .delivery = STELE_QUEUED};
    static const struct stele_route fast = {.name = "fast", .on = "x", .handle = pass_on, .delivery = STELE_QUEUED};
    static const struct stele_route next = {.name = "next", .on = "y", .handle = come, .delivery = STELE_QUEUED};
    static char y[] = "y";
    struct stele_unit_outcome outcome = {0};
    stele_message *message = fixture_event("x");
    stele_error *error = NULL;
    const char *recorded;

    (void)state;
    has_come = false;
    fixture_add(&slow, NULL);
    fixture_add_as(&breaking, "b");
    fixture_add(&fast, y);
    fixture_add(&next, NULL);
    assert_status(STELE_FAILED, deliver(message, &outcome, &error), error);
    assert_int_equal(outcome.failure_count, 1);
    assert_string_equal(outcome.failures[0].route, "breaking");
    assert_int_equal(outcome.deliveries, 4);
    recorded = fixture_recorded();
    assert_non_null(strstr(recorded, "b1"));
    assert_true(strstr(recorded, "fast") < strstr(recorded, "slow"));
    stele_unit_outcome_fini(&outcome);
    stele_message_unref(message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(KHO01_a_call_that_gives_nothing_ends_the_chain),
        fixture_test(KHO01_a_ready_message_is_sent_as_it_is),
        fixture_test(KHO01_a_struct_becomes_a_message_of_its_type),
        fixture_test(KHO01_what_must_not_be_given_is_a_failure_that_is_counted),
        fixture_test(KHO01_what_is_given_and_wanted_by_nobody_is_counted),
        fixture_test(KHO03_only_routes_on_exactly_that_name_run),
        fixture_test(FWK01_an_event_is_a_name_and_whatever_attributes),
        fixture_test(FWK05_publishing_returns_how_many_were_reached),
        fixture_test(FWK05_a_handler_is_told_the_count_too),
        fixture_test(KHO04_three_hops_keep_trace_user_and_extras_and_name_who_emitted),
        fixture_test(KHO04_the_source_is_that_of_the_bus_unless_said_otherwise),
        fixture_test(KHO04_built_messages_and_failures_name_who_emitted_too),
        fixture_test(KHO05_what_is_forwarded_has_its_own_time),
        fixture_test(KHO07_a_handler_that_overruns_is_TIMEOUT),
        fixture_test(KHO07_a_request_that_is_not_answered_is_TIMEOUT),
        fixture_test(KHO07_a_handler_fails_with_the_code_it_chose),
        fixture_test(KHO07_a_failure_without_a_code_is_FAILED),
        fixture_test(KHO07_what_a_stop_cuts_off_is_SHUTDOWN),
        fixture_test(KHO07_a_mailbox_that_takes_no_more_is_OVERLOAD),
        fixture_test(KHO23_one_who_fails_on_a_failure_does_not_keep_it_from_the_next),
        fixture_thread_test(KHO10_what_a_fast_one_gives_does_not_wait_for_a_slow_one),
    };

    return cmocka_run_group_tests_name("blocks", tests, NULL, NULL);
}
