/* What handlers do with their context: publish, answer, fail; and what a message carries on. */
#include "tests/unit/bus/fixture.h"

#include <stele/deadletters.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static stele_status deliver(const stele_message *message, stele_error **error)
{
    return stele_deliver(fixture_bus, message, NULL, NULL, error);
}

static stele_status publish_and_fail(void *resource, const stele_message *message, stele_context *context)
{
    (void)resource;
    (void)message;
    if (STELE_PUBLISH(context, note, .text = "seen", .number = 5) != STELE_OK)
        return STELE_NO_MEMORY;
    return stele_context_fail(context, STELE_REJECTED, "no: %d", 7);
}

static void B5_what_a_failing_handler_published_is_never_seen(void **state)
{
    static const struct stele_route failing = {.name = "failing", .on = "x", .handle = publish_and_fail};
    static const struct stele_route listener = {.name = "listener", .type = &note_type, .handle = fixture_record};
    stele_message *message = fixture_event("x");
    stele_error *error = NULL;

    (void)state;
    fixture_add(&failing, NULL);
    fixture_add_as(&listener, "l");
    assert_failure(STELE_REJECTED, deliver(message, &error), error);
    assert_message(error, "no: 7");
    assert_string_equal(stele_error_get(error, "text"), "no: 7");
    stele_error_free(error);
    assert_string_equal(fixture_recorded(), "");
    stele_message_unref(message);
}

static stele_status publish_two(void *resource, const stele_message *message, stele_context *context)
{
    (void)resource;
    (void)message;
    if (STELE_PUBLISH(context, note, .text = "", .number = 5) != STELE_OK)
        return STELE_OK;
    fixture_write("between");
    STELE_PUBLISH(context, note, .text = "", .number = 6);
    return STELE_OK;
}

static void FWK15_what_a_handler_publishes_comes_in_its_order_after_it_returned(void **state)
{
    static const struct stele_route publishing = {.name = "publishing", .on = "x", .handle = publish_two};
    static const struct stele_route listener = {.name = "listener", .type = &note_type, .handle = fixture_record};

    (void)state;
    fixture_add(&publishing, NULL);
    fixture_add_as(&listener, "l");
    fixture_publish("x");
    assert_string_equal(fixture_recorded(), "between l5 l6");
}

static stele_context *kept;

static stele_status keep(void *resource, const stele_message *message, stele_context *context)
{
    (void)resource;
    (void)message;
    kept = context;
    return STELE_OK;
}

static void *publish_from_thread(void *context)
{
    static stele_status status;

    status = STELE_PUBLISH((stele_context *)context, note, .text = "", .number = 1);
    return &status;
}

static stele_status lend(void *resource, const stele_message *message, stele_context *context)
{
    pthread_t thread;
    void *status = NULL;

    (void)resource;
    (void)message;
    if (pthread_create(&thread, NULL, publish_from_thread, context) != 0)
        return STELE_IO;
    pthread_join(thread, &status);
    fixture_write(*(stele_status *)status == STELE_INVALID ? "refused" : "taken");
    return STELE_OK;
}

static void FWK14_a_context_is_dead_after_its_call_and_in_other_threads(void **state)
{
    static const struct stele_route keeping = {.name = "keeping", .on = "x", .handle = keep};
    static const struct stele_route lending = {.name = "lending", .on = "y", .handle = lend};
    static const struct stele_route listener = {.name = "listener", .type = &note_type, .handle = fixture_record};

    (void)state;
    fixture_add(&keeping, NULL);
    fixture_add(&lending, NULL);
    fixture_add_as(&listener, "l");
    fixture_publish("x");
    assert_int_equal(STELE_PUBLISH(kept, note, .text = "", .number = 1), STELE_INVALID);
    assert_int_equal(stele_context_fail(kept, STELE_FAILED, "late"), STELE_INVALID);
    fixture_publish("y");
    assert_string_equal(fixture_recorded(), "refused");
}

static stele_status use_kept(void *resource, const stele_message *message, stele_context *context)
{
    (void)resource;
    (void)message;
    (void)context;
    fixture_write(STELE_PUBLISH(kept, note, .text = "", .number = 1) == STELE_INVALID ? "refused" : "taken");
    fixture_write(stele_context_message(kept) || stele_context_bus(kept) || stele_context_attempt(kept) ? "alive"
                                                                                                        : "dead");
    assert_true(stele_context_is_cancelled(kept));
    assert_int_equal(stele_context_time_left(kept), 0);
    assert_string_equal(stele_context_route(kept), "");
    return STELE_OK;
}

/* The library keeps both contexts at one place: the second is innermost and open when the first is used again. */
static void FWK14_a_context_is_dead_for_later_handlers_of_the_same_message_and_thread(void **state)
{
    static const struct stele_route keeping = {.name = "keeping", .on = "x", .handle = keep};
    static const struct stele_route using = {.name = "using", .on = "x", .handle = use_kept};
    static const struct stele_route again = {.name = "again", .on = "y", .handle = use_kept};
    static const struct stele_route listener = {.name = "listener", .type = &note_type, .handle = fixture_record};

    (void)state;
    fixture_add(&keeping, NULL);
    fixture_add(&using, NULL);
    fixture_add(&again, NULL);
    fixture_add_as(&listener, "l");
    fixture_publish("x");
    fixture_publish("y");
    assert_string_equal(fixture_recorded(), "refused dead refused dead");
}

static stele_status ignore_errors(void *resource, const stele_message *message, stele_context *context)
{
    (void)resource;
    (void)message;
    STELE_PUBLISH(context, put, .text = "", .number = 1);
    return STELE_OK;
}

static void a_type_that_is_not_declared_fails_the_call(void **state)
{
    static const struct stele_type *const declared[] = {&note_type, NULL};
    static const struct stele_route route = {.name = "r", .on = "x", .handle = ignore_errors, .publishes = declared};
    stele_message *message = fixture_event("x");
    stele_error *error = NULL;

    (void)state;
    fixture_add(&route, NULL);
    assert_failure(STELE_INVALID, deliver(message, &error), error);
    assert_message(error, "note.put");
    stele_error_free(error);
    stele_message_unref(message);
}

static stele_status answer_twice(void *resource, const stele_message *message, stele_context *context)
{
    (void)resource;
    (void)message;
    STELE_REPLY(context, told, .text = "", .number = 1);
    STELE_REPLY(context, told, .text = "", .number = 2);
    return STELE_OK;
}

static stele_status answer_with_an_event(void *resource, const stele_message *message, stele_context *context)
{
    (void)resource;
    (void)message;
    return STELE_REPLY(context, note, .text = "", .number = 1);
}

static void KHO02_an_answer_of_the_wrong_kind_or_a_second_one_is_an_error(void **state)
{
    static const struct stele_route twice = {.name = "twice", .on = "x", .handle = answer_twice};
    static const struct stele_route event = {.name = "event", .on = "y", .handle = answer_with_an_event};
    stele_message *x = fixture_event("x");
    stele_message *y = fixture_event("y");
    stele_error *error = NULL;

    (void)state;
    fixture_add(&twice, NULL);
    fixture_add(&event, NULL);
    assert_status(STELE_INVALID, deliver(x, &error), error);
    assert_status(STELE_INVALID, deliver(y, &error), error);
    stele_message_unref(x);
    stele_message_unref(y);
}

static stele_status flood(void *resource, const stele_message *message, stele_context *context)
{
    (void)resource;
    for (int i = 0; i <= STELE_EMISSIONS_MAX; i++)
        stele_context_send(context, message);
    return STELE_OK;
}

static void emissions_are_bounded(void **state)
{
    static const struct stele_route route = {.name = "r", .on = "x", .handle = flood};
    stele_message *message = fixture_event("x");
    stele_error *error = NULL;

    (void)state;
    fixture_add(&route, NULL);
    assert_status(STELE_LIMIT, deliver(message, &error), error);
    stele_message_unref(message);
}

static stele_status read_note(const struct note *read, stele_context *context)
{
    (void)context;
    (void)read;
    fixture_write("body");
    return STELE_OK;
}
STELE_DEFINE_HANDLER(read_note, note);

static void KHO02_a_payload_that_does_not_decode_fails_without_the_body(void **state)
{
    static const struct stele_route route = {.name = "r", .on = "note.taken", .handle = read_note_handle};
    const struct stele_raw_message raw = {.kind = STELE_EVENT,
                                          .type = "note.taken",
                                          .type_version = 1,
                                          .format = STELE_PAYLOAD_MSGPACK,
                                          .payload = {"\x80", 1}}; /* an empty map */
    stele_message *message = NULL;
    stele_error *error = NULL;

    (void)state;
    fixture_add(&route, NULL);
    assert_ok(stele_message_new_raw(&raw, NULL, &message, &error), error);
    assert_failure(STELE_INVALID, deliver(message, &error), error);
    assert_string_equal(stele_error_get(error, "route"), "r");
    stele_error_free(error);
    assert_string_equal(fixture_recorded(), "");
    stele_message_unref(message);
}

/* --- What is carried on ------------------------------------------------------------------------- */

static stele_message *seen;

static stele_status take(void *resource, const stele_message *message, stele_context *context)
{
    (void)resource;
    (void)context;
    stele_message_unref(seen);
    seen = stele_message_ref(message);
    return STELE_OK;
}

static stele_status pass_on(void *resource, const stele_message *message, stele_context *context)
{
    (void)message;
    fixture_write(stele_context_user(context).data ? "user" : "none");
    return stele_context_forward(context, resource);
}

static stele_message *message_with_extensions(const char *traceparent)
{
    struct stele_extension extensions[3] = {
        {.name = "user", .kind = STELE_EXTENSION_TEXT, .text = support_slice("ann")},
        {.name = "tenant", .kind = STELE_EXTENSION_INTEGER, .integer = 7},
        {.name = "dry", .kind = STELE_EXTENSION_BOOLEAN, .boolean = true},
    };
    const struct stele_message_options options = {
        .size = sizeof(options), .extensions = extensions, .extension_count = 3, .traceparent = traceparent};
    const struct note payload = {.text = "t", .number = 1};
    stele_message *message = NULL;
    stele_error *error = NULL;

    assert_ok(note_message(&payload, &options, &message, &error), error);
    return message;
}

static void KHO05_three_hops_carry_trace_correlation_user_and_extras(void **state)
{
    static const char trace[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    static const struct stele_route one = {.name = "one", .on = "note.taken", .handle = pass_on};
    static const struct stele_route two = {.name = "two", .on = "hop.two", .handle = pass_on, .delivery = STELE_QUEUED};
    static const struct stele_route three = {.name = "three", .on = "hop.three", .handle = take};
    stele_message *message = message_with_extensions(trace);
    struct stele_extension extension;
    stele_error *error = NULL;

    (void)state;
    fixture_add_as(&one, "hop.two");
    fixture_add_as(&two, "hop.three");
    fixture_add(&three, NULL);
    assert_ok(deliver(message, &error), error);
    assert_string_equal(fixture_recorded(), "user user");
    assert_non_null(seen);
    assert_memory_equal(stele_message_traceparent(seen).data, trace, sizeof(trace) - 1);
    assert_memory_equal(stele_message_correlationid(seen).data, stele_message_id(message).data,
                        stele_message_id(message).size);
    assert_true(stele_message_extension(seen, 0, &extension));
    assert_string_equal(extension.name, "user");
    assert_memory_equal(extension.text.data, "ann", 3);
    assert_true(stele_message_extension(seen, 1, &extension));
    assert_int_equal(extension.integer, 7);
    assert_true(stele_message_extension(seen, 2, &extension));
    assert_true(extension.boolean);
    assert_false(stele_message_extension(seen, 3, &extension));
    stele_message_unref(seen);
    seen = NULL;
    stele_message_unref(message);
}

static void KHO05_as_many_extras_as_a_message_may_have_are_carried(void **state)
{
    static const struct stele_route one = {.name = "one", .on = "note.taken", .handle = pass_on};
    static const struct stele_route two = {.name = "two", .on = "hop.two", .handle = take};
    struct stele_extension extensions[32];
    char name[16];
    const struct stele_message_options options = {
        .size = sizeof(options), .extensions = extensions, .extension_count = 32};
    const struct note payload = {.text = "t", .number = 1};
    struct stele_extension extension;
    stele_message *message = NULL;
    stele_error *error = NULL;

    (void)state;
    for (int i = 0; i < 32; i++) {
        extensions[i] = (struct stele_extension){.kind = STELE_EXTENSION_INTEGER, .integer = i};
        snprintf(extensions[i].name, sizeof(extensions[i].name), "x%d", i);
    }
    assert_ok(note_message(&payload, &options, &message, &error), error);
    fixture_add_as(&one, "hop.two");
    fixture_add(&two, NULL);
    assert_ok(deliver(message, &error), error);
    assert_non_null(seen);
    for (int i = 0; i < 32; i++) {
        assert_true(stele_message_extension(seen, (size_t)i, &extension));
        snprintf(name, sizeof(name), "x%d", i);
        assert_string_equal(extension.name, name);
        assert_int_equal(extension.integer, i);
    }
    stele_message_unref(seen);
    seen = NULL;
    stele_message_unref(message);
}

static stele_status set_tenant(void *resource, const stele_message *message, stele_context *context)
{
    const struct stele_extension tenant = {.name = "tenant", .kind = STELE_EXTENSION_INTEGER, .integer = 8};
    const struct stele_message_options options = {.size = sizeof(options), .extensions = &tenant, .extension_count = 1};
    const struct told payload = {.text = "", .number = 1};

    (void)resource;
    (void)message;
    return stele_context_publish(context, &told_type, &payload, &options);
}

static void KHO05_what_one_branch_sets_the_other_does_not_see(void **state)
{
    static const struct stele_route setting = {.name = "setting", .on = "note.taken", .handle = set_tenant};
    static const struct stele_route passing = {.name = "passing", .on = "note.taken", .handle = pass_on};
    static const struct stele_route first = {.name = "first", .on = "note.told", .handle = take};
    static const struct stele_route second = {.name = "second", .on = "other", .handle = take};
    stele_message *message = message_with_extensions(NULL);
    stele_message *told_seen;
    struct stele_extension extension;
    stele_error *error = NULL;

    (void)state;
    fixture_add(&setting, NULL);
    fixture_add(&first, NULL);
    assert_ok(deliver(message, &error), error);
    told_seen = seen;
    seen = NULL;
    fixture_add_as(&passing, "other");
    fixture_add(&second, NULL);
    assert_ok(deliver(message, &error), error);
    assert_true(stele_message_extension(told_seen, 0, &extension));
    assert_string_equal(extension.name, "tenant");
    assert_int_equal(extension.integer, 8);
    assert_true(stele_message_extension(told_seen, 1, &extension));
    assert_string_equal(extension.name, "user");
    assert_true(stele_message_extension(seen, 1, &extension));
    assert_int_equal(extension.integer, 7);
    stele_message_unref(told_seen);
    stele_message_unref(seen);
    seen = NULL;
    stele_message_unref(message);
}

/* --- Failures as messages ---------------------------------------------------------------------------- */

static stele_status read_failure(const struct stele_handler_failed *failed, stele_context *context)
{
    char word[128];

    (void)context;
    snprintf(word, sizeof(word), "%s/%s/%s/%s/%d", failed->code, failed->text, failed->route, failed->type,
             (int)failed->attempts);
    fixture_write(word);
    return STELE_OK;
}
STELE_DEFINE_HANDLER(read_failure, stele_handler_failed);

static void KHO06_a_failure_is_one_event_with_code_text_route_and_extras(void **state)
{
    static const struct stele_route failing = {.name = "failing", .on = "note.taken", .handle = publish_and_fail};
    static const struct stele_route reading = {
        .name = "reading", .on = "note.taken.error", .handle = read_failure_handle};
    static const struct stele_route taking = {.name = "taking", .on = "*.*.error", .handle = take};
    static const struct stele_route typed = {
        .name = "typed", .type = &stele_handler_failed_type, .handle = read_failure_handle};
    stele_message *message = message_with_extensions(NULL);
    struct stele_extension extension;
    stele_error *error = NULL;

    (void)state;
    fixture_add(&failing, NULL);
    fixture_add(&reading, NULL);
    fixture_add(&taking, NULL);
    fixture_add(&typed, NULL);
    assert_status(STELE_REJECTED, deliver(message, &error), error);
    assert_string_equal(fixture_recorded(), "REJECTED/no: 7/failing/note.taken/1 REJECTED/no: 7/failing/note.taken/1");
    assert_true(stele_message_extension(seen, 0, &extension));
    assert_string_equal(extension.name, "user");
    assert_memory_equal(stele_message_causationid(seen).data, stele_message_id(message).data,
                        stele_message_id(message).size);
    stele_message_unref(seen);
    seen = NULL;
    stele_message_unref(message);
}

static void KHO08_error_events_that_fail_are_bounded(void **state)
{
    static const struct stele_route failing = {.name = "failing", .on = ">", .handle = fixture_break};
    stele_message *message = fixture_event("x");
    struct stele_unit_outcome outcome = {0};
    stele_error *error = NULL;

    (void)state;
    fixture_add_as(&failing, "f");
    assert_status(STELE_FAILED, stele_deliver(fixture_bus, message, NULL, &outcome, &error), error);
    assert_int_equal(outcome.messages, 1 + STELE_ERRORS_MAX);
    assert_int_equal(outcome.failure_count, 1 + STELE_ERRORS_MAX);
    stele_unit_outcome_fini(&outcome);
    stele_message_unref(message);
}

static bool count_letter(void *context, const struct stele_dead_letter *letter)
{
    char word[64];

    (void)context;
    snprintf(word, sizeof(word), "%s:%s", letter->route, letter->code);
    fixture_write(word);
    return true;
}

static void FWK13_B3_a_failure_is_buried_unless_the_route_ignores_it(void **state)
{
    static const struct stele_route burying = {.name = "burying", .on = "x", .handle = fixture_break};
    static const struct stele_route ignoring = {
        .name = "ignoring", .on = "x", .handle = fixture_break, .on_failure = STELE_IGNORE};
    stele_error *error = NULL;

    (void)state;
    fixture_add_as(&burying, "b");
    fixture_add_as(&ignoring, "i");
    fixture_publish("x");
    fixture_recorded();
    assert_ok(stele_dead_list(fixture_bus, NULL, count_letter, NULL, &error), error);
    assert_string_equal(fixture_recorded(), "burying:FAILED");
    assert_int_equal(fixture_stats("burying").dead, 1);
    assert_int_equal(fixture_stats("ignoring").dead, 0);
    assert_string_equal(fixture_stats("ignoring").last_error_text, "broken");
    assert_ok(stele_dead_requeue(fixture_bus, NULL, NULL, &error), error);
    assert_string_equal(fixture_recorded(), "b1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(B5_what_a_failing_handler_published_is_never_seen),
        fixture_test(FWK15_what_a_handler_publishes_comes_in_its_order_after_it_returned),
        fixture_test(FWK14_a_context_is_dead_after_its_call_and_in_other_threads),
        fixture_test(FWK14_a_context_is_dead_for_later_handlers_of_the_same_message_and_thread),
        fixture_test(a_type_that_is_not_declared_fails_the_call),
        fixture_test(KHO02_an_answer_of_the_wrong_kind_or_a_second_one_is_an_error),
        fixture_test(emissions_are_bounded),
        fixture_test(KHO02_a_payload_that_does_not_decode_fails_without_the_body),
        fixture_test(KHO05_three_hops_carry_trace_correlation_user_and_extras),
        fixture_test(KHO05_as_many_extras_as_a_message_may_have_are_carried),
        fixture_test(KHO05_what_one_branch_sets_the_other_does_not_see),
        fixture_test(KHO06_a_failure_is_one_event_with_code_text_route_and_extras),
        fixture_test(KHO08_error_events_that_fail_are_bounded),
        fixture_test(FWK13_B3_a_failure_is_buried_unless_the_route_ignores_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
