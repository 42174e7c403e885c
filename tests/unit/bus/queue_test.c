/* Mailboxes: order, partitions, room, pausing, retries and suspension. */
#include "tests/unit/bus/fixture.h"

#include <stdio.h>
#include <string.h>

static void publish_note(const char *type, const char *text, int64_t number)
{
    stele_message *message = fixture_message(STELE_EVENT, type, text, number);
    stele_error *error = NULL;

    assert_ok(stele_publish(fixture_bus, message, NULL, &error), error);
    stele_message_unref(message);
}

/* Bold, 1.2: three events to one slow handler completed 1,2,0. */
static void KHO10_a_mailbox_keeps_the_order(void **state)
{
    static const struct stele_route route = {
        .name = "r", .on = "x", .handle = fixture_record, .delivery = STELE_QUEUED};

    (void)state;
    fixture_add_as(&route, "r");
    for (int i = 0; i < 5; i++)
        publish_note("x", "", i);
    assert_string_equal(fixture_recorded(), "");
    fixture_run();
    assert_string_equal(fixture_recorded(), "r0 r1 r2 r3 r4");
}

static void FWK08_mailboxes_run_by_priority(void **state)
{
    static const struct stele_route late = {
        .name = "late", .on = "x", .handle = fixture_record, .delivery = STELE_QUEUED, .priority = 200};
    static const struct stele_route usual = {
        .name = "usual", .on = "x", .handle = fixture_record, .delivery = STELE_QUEUED};
    static const struct stele_route early = {
        .name = "early", .on = "x", .handle = fixture_record, .delivery = STELE_QUEUED, .priority = 10};

    (void)state;
    fixture_add_as(&late, "l");
    fixture_add_as(&usual, "u");
    fixture_add_as(&early, "e");
    fixture_publish("x");
    fixture_run();
    assert_string_equal(fixture_recorded(), "e1 u1 l1");
}

static const struct stele_route rejecting = {.name = "r",
                                             .on = "x",
                                             .handle = fixture_record,
                                             .delivery = STELE_QUEUED,
                                             .capacity = 2,
                                             .overflow = STELE_REJECT};

static void a_full_mailbox_rejects_and_counts(void **state)
{
    stele_message *message = fixture_event("x");
    struct stele_unit_outcome outcome = {0};
    stele_error *error = NULL;
    size_t reached = 9;

    (void)state;
    fixture_add_as(&rejecting, "r");
    publish_note("x", "", 1);
    publish_note("x", "", 2);
    assert_failure(STELE_OVERLOAD, stele_publish(fixture_bus, message, &reached, &error), error);
    assert_string_equal(stele_error_get(error, "route"), "r");
    assert_int_equal(reached, 0);
    stele_error_free(error);
    error = NULL;
    assert_int_equal(fixture_stats("r").rejected, 1);
    assert_int_equal(fixture_stats("r").waiting, 2);
    assert_status(STELE_OVERLOAD, stele_deliver(fixture_bus, message, NULL, &outcome, &error), error);
    assert_int_equal(outcome.failure_count, 1);
    assert_int_equal(outcome.deliveries, 0);
    stele_unit_outcome_fini(&outcome);
    fixture_run();
    assert_string_equal(fixture_recorded(), "r1 r2");
    stele_message_unref(message);
}

static void a_full_mailbox_drops_its_oldest_and_tells_its_unit(void **state)
{
    static const struct stele_route dropping = {.name = "r",
                                                .on = "x",
                                                .handle = fixture_record,
                                                .delivery = STELE_QUEUED,
                                                .capacity = 2,
                                                .overflow = STELE_DROP_OLDEST};
    stele_message *first = fixture_message(STELE_EVENT, "x", "", 1);
    struct stele_unit_outcome outcome = {0};
    stele_unit *unit = NULL;
    stele_error *error = NULL;

    (void)state;
    fixture_add_as(&dropping, "r");
    assert_ok(stele_unit_begin(fixture_bus, NULL, &unit, &error), error);
    assert_ok(stele_unit_publish(unit, first, NULL, &error), error);
    publish_note("x", "", 2);
    publish_note("x", "", 3);
    assert_status(STELE_OVERLOAD, stele_unit_end(unit, &outcome, &error), error);
    assert_int_equal(outcome.failure_count, 1);
    fixture_run();
    assert_string_equal(fixture_recorded(), "r2 r3");
    assert_int_equal(fixture_stats("r").dropped, 1);
    stele_unit_outcome_fini(&outcome);
    stele_message_unref(first);
}

static void a_sender_waits_for_room(void **state)
{
    static const struct stele_route blocking = {
        .name = "r", .on = "x", .handle = fixture_record, .delivery = STELE_QUEUED, .capacity = 1};

    (void)state;
    fixture_add_as(&blocking, "r");
    for (int i = 1; i <= 4; i++)
        publish_note("x", "", i);
    fixture_run();
    assert_string_equal(fixture_recorded(), "r1 r2 r3 r4");
    assert_int_equal(fixture_stats("r").rejected, 0);
}

static void a_sender_waits_no_longer_than_its_deadline(void **state)
{
    static const struct stele_route blocking = {
        .name = "r", .on = "x", .handle = fixture_record, .delivery = STELE_QUEUED, .capacity = 1};
    stele_message *message = fixture_event("x");
    stele_error *error = NULL;

    (void)state;
    fixture_add_as(&blocking, "r");
    assert_ok(stele_bus_pause(fixture_bus, "r", &error), error);
    publish_note("x", "", 1);
    assert_status(STELE_OVERLOAD, stele_publish(fixture_bus, message, NULL, &error), error);
    stele_message_unref(message);
}

static void partitions_keep_their_order_and_are_freed_when_empty(void **state)
{
    static const struct stele_route route = {
        .name = "r", .on = "x", .handle = fixture_record, .delivery = STELE_QUEUED, .partition = "text"};
    const char *recorded;

    (void)state;
    fixture_add_as(&route, "");
    for (int i = 1; i <= 9; i++)
        publish_note("x", i % 3 == 0 ? "c" : i % 3 == 1 ? "a" : "b", i);
    assert_int_equal(fixture_stats("r").partitions, 3);
    assert_int_equal(fixture_stats("r").waiting, 9);
    fixture_run();
    recorded = fixture_recorded();
    assert_true(strstr(recorded, "1") < strstr(recorded, "4") && strstr(recorded, "4") < strstr(recorded, "7"));
    assert_true(strstr(recorded, "2") < strstr(recorded, "5") && strstr(recorded, "5") < strstr(recorded, "8"));
    assert_true(strstr(recorded, "3") < strstr(recorded, "6") && strstr(recorded, "6") < strstr(recorded, "9"));
    assert_int_equal(strlen(recorded), strlen("1 2 3 4 5 6 7 8 9"));
    assert_int_equal(fixture_stats("r").partitions, 0);
}

static void the_keys_of_partitions_that_are_gone_take_no_memory(void **state)
{
    enum { KEYS = 5000 };
    static const struct stele_route route = {.name = "keyed",
                                             .on = "x",
                                             .handle = fixture_record,
                                             .delivery = STELE_QUEUED,
                                             .partition = "text",
                                             .capacity = KEYS};
    char key[16];
    size_t before;

    (void)state;
    fixture_add_as(&route, "k");
    publish_note("x", "first", 0);
    fixture_run();
    before = stele_memory_in_use();
    for (int i = 0; i < KEYS; i++) {
        snprintf(key, sizeof(key), "key-%d", i);
        publish_note("x", key, i);
    }
    fixture_run();
    fixture_recorded();
    assert_int_equal(fixture_stats("keyed").partitions, 0);
    assert_true(stele_memory_in_use() <= before + 32 * 1024);
}

static void the_capacity_is_that_of_all_partitions(void **state)
{
    static const struct stele_route route = {.name = "r",
                                             .on = "x",
                                             .handle = fixture_record,
                                             .delivery = STELE_QUEUED,
                                             .partition = "text",
                                             .capacity = 2,
                                             .overflow = STELE_REJECT};
    stele_message *third = fixture_message(STELE_EVENT, "x", "c", 3);
    stele_error *error = NULL;

    (void)state;
    fixture_add_as(&route, "r");
    publish_note("x", "a", 1);
    publish_note("x", "b", 2);
    assert_status(STELE_OVERLOAD, stele_publish(fixture_bus, third, NULL, &error), error);
    fixture_run();
    assert_ok(stele_publish(fixture_bus, third, NULL, &error), error);
    stele_message_unref(third);
}

static void NTH14_a_paused_mailbox_holds_and_goes_on_in_order(void **state)
{
    static const struct stele_route route = {
        .name = "r", .on = "x", .handle = fixture_record, .delivery = STELE_QUEUED};
    stele_error *error = NULL;

    (void)state;
    fixture_add_as(&route, "r");
    assert_ok(stele_bus_pause(fixture_bus, "r", &error), error);
    for (int i = 1; i <= 3; i++)
        publish_note("x", "", i);
    fixture_run();
    assert_string_equal(fixture_recorded(), "");
    assert_true(fixture_stats("r").paused);
    assert_ok(stele_bus_resume(fixture_bus, "r", &error), error);
    fixture_run();
    assert_string_equal(fixture_recorded(), "r1 r2 r3");
    assert_false(fixture_stats("r").paused);
}

static int breaks_left;

static stele_status break_some(void *resource, const stele_message *message, stele_context *context)
{
    return breaks_left-- > 0 ? fixture_break(resource, message, context) : fixture_record(resource, message, context);
}

static void a_suspended_route_keeps_the_message_at_its_head_until_resumed(void **state)
{
    static const struct stele_route route = {
        .name = "r", .on = "x", .handle = break_some, .delivery = STELE_QUEUED, .on_failure = STELE_SUSPEND};
    stele_message *message = fixture_message(STELE_EVENT, "x", "", 1);
    stele_error *error = NULL;

    (void)state;
    breaks_left = 2;
    fixture_add_as(&route, "r");
    assert_status(STELE_FAILED, stele_deliver(fixture_bus, message, NULL, NULL, &error), error);
    publish_note("x", "", 2);
    fixture_run();
    assert_string_equal(fixture_recorded(), "r1");
    assert_true(fixture_stats("r").paused);
    assert_int_equal(fixture_stats("r").waiting, 2);
    assert_ok(stele_bus_resume(fixture_bus, "r", &error), error);
    fixture_run();
    assert_string_equal(fixture_recorded(), "r1"); /* fails once more */
    assert_ok(stele_bus_resume(fixture_bus, "r", &error), error);
    fixture_run();
    assert_string_equal(fixture_recorded(), "r1 r2");
    assert_int_equal(fixture_stats("r").dead, 0);
    stele_message_unref(message);
}

static const struct stele_retry thrice = {
    .max_attempts = 3, .backoff = STELE_BACKOFF_FIXED, .jitter = STELE_JITTER_NONE, .delay_ms = 100};
static const struct stele_interceptor retry = {.name = "retry", STELE_RETRY(&thrice)};
static const struct stele_interceptor *const retrying[] = {&retry, NULL};

static void a_mailbox_is_held_while_a_retry_waits(void **state)
{
    static const struct stele_route route = {
        .name = "r", .on = "x", .handle = break_some, .delivery = STELE_QUEUED, .interceptors = retrying};
    stele_message *message = fixture_message(STELE_EVENT, "x", "", 1);
    stele_error *error = NULL;

    (void)state;
    breaks_left = 0;
    fixture_add_as(&route, "r");
    breaks_left = 2;
    publish_note("x", "", 1);
    publish_note("x", "", 2);
    fixture_run();
    assert_string_equal(fixture_recorded(), "r1");
    stele_runtime_advance(fixture_runtime, 99 * MS);
    assert_string_equal(fixture_recorded(), "");
    stele_runtime_advance(fixture_runtime, 1 * MS);
    assert_string_equal(fixture_recorded(), "r1");
    stele_runtime_advance(fixture_runtime, 100 * MS);
    assert_string_equal(fixture_recorded(), "r1 r2");
    assert_int_equal(fixture_stats("r").retries, 2);
    assert_int_equal(fixture_stats("r").dead, 0);
    /* Attempts come to an end. */
    breaks_left = 5;
    assert_status(STELE_FAILED, stele_deliver(fixture_bus, message, NULL, NULL, &error), error);
    assert_string_equal(fixture_recorded(), "r1 r1 r1");
    assert_int_equal(fixture_stats("r").dead, 1);
    stele_message_unref(message);
}

static void try_again_each_100_ms(enum stele_delivery delivery)
{
    static struct stele_route route = {.name = "r", .on = "x", .handle = break_some, .interceptors = retrying};
    const struct stele_send_options options = {.size = sizeof(options), .timeout_ms = 150};
    const struct stele_clock *clock = stele_runtime_clock(fixture_runtime);
    const int64_t began = clock->monotonic(clock->context);
    stele_message *message = fixture_message(STELE_EVENT, "x", "", 1);
    stele_error *error = NULL;

    route.delivery = delivery;
    breaks_left = 5;
    fixture_add_as(&route, "r");
    /* It fails at 0 and at 100 ms; the third attempt would be at 200. */
    assert_failure(STELE_TIMEOUT, stele_deliver(fixture_bus, message, &options, NULL, &error), error);
    assert_string_equal(stele_error_get(error, "route"), "r");
    assert_message(error, "there was no time left to try again: broken");
    stele_error_free(error);
    assert_int_equal(clock->monotonic(clock->context) - began, 100 * MS);
    stele_runtime_advance(fixture_runtime, 1000 * MS);
    assert_string_equal(fixture_recorded(), "r1 r1");
    assert_int_equal(fixture_stats("r").retries, 1);
    assert_int_equal(fixture_stats("r").dead, 1);
    assert_int_equal(fixture_stats("r").last_error, STELE_TIMEOUT);
    stele_message_unref(message);
}

static void B4_a_retry_behind_the_deadline_is_not_waited_for_in_a_mailbox(void **state)
{
    (void)state;
    try_again_each_100_ms(STELE_QUEUED);
}

static void B4_a_retry_behind_the_deadline_is_not_waited_for_inline(void **state)
{
    (void)state;
    try_again_each_100_ms(STELE_INLINE);
}

static struct stele_answer not_yet(void *state, enum stele_point point, stele_call *call)
{
    (void)state;
    (void)point;
    (void)call;
    return stele_retry_later(200 * MS);
}

static void B4_a_call_put_off_behind_the_deadline_is_not_waited_for(void **state)
{
    static const struct stele_interceptor_kind kind = {.name = "later", .points = STELE_AT_HANDLE, .ask = not_yet};
    static const struct stele_interceptor later = {.name = "later", .kind = &kind};
    static const struct stele_interceptor *const putting_off[] = {&later, NULL};
    static const struct stele_route route = {
        .name = "r", .on = "x", .handle = fixture_record, .delivery = STELE_QUEUED, .interceptors = putting_off};
    const struct stele_send_options options = {.size = sizeof(options), .timeout_ms = 150};
    const struct stele_clock *clock = stele_runtime_clock(fixture_runtime);
    const int64_t began = clock->monotonic(clock->context);
    stele_message *message = fixture_message(STELE_EVENT, "x", "", 1);
    stele_error *error = NULL;

    (void)state;
    fixture_add_as(&route, "r");
    assert_failure(STELE_TIMEOUT, stele_deliver(fixture_bus, message, &options, NULL, &error), error);
    assert_string_equal(stele_error_get(error, "route"), "r");
    assert_message(error, "there was no time left to try again");
    stele_error_free(error);
    assert_int_equal(clock->monotonic(clock->context), began);
    assert_string_equal(fixture_recorded(), "");
    stele_message_unref(message);
}

static void an_inline_retry_lets_time_pass_in_the_callers_thread(void **state)
{
    static const struct stele_route route = {.name = "r", .on = "x", .handle = break_some, .interceptors = retrying};
    const struct stele_clock *clock = stele_runtime_clock(fixture_runtime);
    const int64_t began = clock->monotonic(clock->context);

    (void)state;
    breaks_left = 2;
    fixture_add_as(&route, "r");
    fixture_publish("x");
    assert_string_equal(fixture_recorded(), "r1 r1 r1");
    assert_int_equal(clock->monotonic(clock->context) - began, 200 * MS);
}

static void pausing_and_removing_reach_what_waits_for_a_retry(void **state)
{
    static const struct stele_route route = {
        .name = "r", .on = "x", .handle = break_some, .delivery = STELE_QUEUED, .interceptors = retrying};
    const stele_route_id id = fixture_add_as(&route, "r");
    stele_error *error = NULL;

    (void)state;
    breaks_left = 3;
    publish_note("x", "", 1);
    fixture_run();
    assert_ok(stele_bus_pause(fixture_bus, "r", &error), error);
    stele_runtime_advance(fixture_runtime, 1000 * MS);
    assert_string_equal(fixture_recorded(), "r1");
    assert_ok(stele_bus_resume(fixture_bus, "r", &error), error);
    fixture_run();
    assert_string_equal(fixture_recorded(), "r1");
    assert_true(stele_bus_remove_route(fixture_bus, id));
    stele_runtime_advance(fixture_runtime, 1000 * MS);
    assert_string_equal(fixture_recorded(), "");
}

static void what_waits_for_a_removed_route_is_told_to_its_unit(void **state)
{
    static const struct stele_route route = {
        .name = "r", .on = "x", .handle = fixture_record, .delivery = STELE_QUEUED, .partition = "text"};
    const stele_route_id id = fixture_add_as(&route, "r");
    stele_message *message = fixture_event("x");
    struct stele_unit_outcome outcome = {0};
    stele_unit *unit = NULL;
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele_unit_begin(fixture_bus, NULL, &unit, &error), error);
    assert_ok(stele_unit_publish(unit, message, NULL, &error), error);
    assert_ok(stele_unit_publish(unit, message, NULL, &error), error);
    assert_true(stele_bus_remove_route(fixture_bus, id));
    assert_status(STELE_CANCELLED, stele_unit_end(unit, &outcome, &error), error);
    assert_int_equal(outcome.failure_count, 2);
    assert_string_equal(outcome.failures[0].route, "r");
    stele_unit_outcome_fini(&outcome);
    stele_message_unref(message);
    fixture_run();
    assert_string_equal(fixture_recorded(), "");
}

static void a_queued_message_and_an_idle_route_are_small(void **state)
{
    enum { ROUTES = 500, MESSAGES = 10000 };
    static struct stele_route routes[ROUTES];
    static char names[ROUTES][16];
    static const struct stele_route many = {
        .name = "many", .on = "x", .handle = fixture_record, .delivery = STELE_QUEUED, .capacity = MESSAGES};
    size_t before = stele_memory_in_use();

    (void)state;
    for (size_t i = 0; i < ROUTES; i++) {
        snprintf(names[i], sizeof(names[i]), "r-%zu", i);
        routes[i] =
            (struct stele_route){.name = names[i], .on = names[i], .handle = fixture_record, .delivery = STELE_QUEUED};
        fixture_add(&routes[i], NULL);
    }
    assert_true(stele_memory_in_use() - before <= ROUTES * (size_t)512);
    fixture_add_as(&many, "m");
    publish_note("x", "", 0);
    before = stele_memory_in_use();
    for (int i = 1; i < MESSAGES; i++)
        publish_note("x", "", i);
    assert_true(stele_memory_in_use() - before <= MESSAGES * (size_t)(32 * 1024 * 1024 / 100000));
}

struct traced {
    char text[20000];
};

static void take_line(void *context, const char *line)
{
    struct traced *traced = context;
    const size_t used = strlen(traced->text);

    snprintf(traced->text + used, sizeof(traced->text) - used, "%s\n", line);
}

static void simulate(uint64_t seed, struct traced *traced)
{
    static const struct stele_route routes[] = {
        {.name = "a", .on = "x", .handle = fixture_record, .delivery = STELE_QUEUED},
        {.name = "b", .on = "x", .handle = fixture_record, .delivery = STELE_QUEUED, .partition = "text"},
        {.name = "c", .on = "x", .handle = break_some, .delivery = STELE_QUEUED, .interceptors = retrying},
    };
    static const char *const keys[] = {"k", "l", "m"};
    stele_error *error = NULL;

    breaks_left = 4;
    stele_bus_free(fixture_bus);
    stele_runtime_free(fixture_runtime);
    assert_ok(stele_runtime_simulated(seed, &fixture_runtime, &error), error);
    assert_ok(stele_bus_new(fixture_runtime, NULL, &fixture_bus, &error), error);
    traced->text[0] = '\0';
    stele_runtime_set_trace(fixture_runtime, take_line, traced);
    for (size_t i = 0; i < 3; i++)
        fixture_add_as(&routes[i], routes[i].name);
    for (int i = 0; i < 9; i++)
        publish_note("x", keys[i % 3], i);
    stele_runtime_advance(fixture_runtime, 10000 * MS);
    stele_runtime_set_trace(fixture_runtime, NULL, NULL);
}

static void the_same_seed_gives_the_same_trace(void **state)
{
    static struct traced first, second;
    static char recorded[4096];
    bool has_differed = false;

    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        simulate(seed, &first);
        snprintf(recorded, sizeof(recorded), "%s", fixture_recorded());
        simulate(seed, &second);
        assert_string_equal(first.text, second.text);
        assert_string_equal(recorded, fixture_recorded());
        simulate(seed + 1, &second);
        has_differed = has_differed || strcmp(first.text, second.text) != 0;
        fixture_recorded();
    }
    assert_true(has_differed);
}

static stele_status queue_once(void *context, stele_error **error)
{
    static const struct stele_route route = {.name = "r",
                                             .on = "note.taken",
                                             .handle = fixture_break,
                                             .delivery = STELE_QUEUED,
                                             .partition = "text",
                                             .interceptors = retrying};
    const struct note payload = {.text = "k", .number = 1};
    stele_bus *bus = NULL;
    stele_message *message = NULL;
    stele_status status = stele_bus_new(context, NULL, &bus, error);

    if (status == STELE_OK)
        status = stele_bus_add_route(bus, &route, fixture_tag("r"), NULL, error);
    if (status == STELE_OK)
        status = note_message(&payload, NULL, &message, error);
    if (status == STELE_OK)
        status = stele_publish(bus, message, NULL, error);
    stele_message_unref(message);
    stele_runtime_advance(context, 1000 * MS);
    if (status == STELE_OK && support_allocation_failed())
        status = stele_bus_stop(bus, 0, NULL, NULL) == STELE_OK ? STELE_NO_MEMORY : STELE_TIMEOUT;
    stele_bus_free(bus);
    stele_runtime_run_until_idle(context);
    return status;
}

static void memory_may_run_out_while_a_retry_is_held(void **state)
{
    (void)state;
    for (size_t n = 1;; n++) {
        stele_status status;

        support_fail_allocation(n);
        status = queue_once(fixture_runtime, NULL);
        if (!support_allocation_failed())
            break;
        assert_true(status == STELE_NO_MEMORY);
    }
    support_fail_allocation(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(KHO10_a_mailbox_keeps_the_order),
        fixture_test(FWK08_mailboxes_run_by_priority),
        fixture_test(a_full_mailbox_rejects_and_counts),
        fixture_test(a_full_mailbox_drops_its_oldest_and_tells_its_unit),
        fixture_test(a_sender_waits_for_room),
        fixture_test(a_sender_waits_no_longer_than_its_deadline),
        fixture_test(partitions_keep_their_order_and_are_freed_when_empty),
        fixture_test(the_keys_of_partitions_that_are_gone_take_no_memory),
        fixture_test(the_capacity_is_that_of_all_partitions),
        fixture_test(NTH14_a_paused_mailbox_holds_and_goes_on_in_order),
        fixture_test(a_suspended_route_keeps_the_message_at_its_head_until_resumed),
        fixture_test(a_mailbox_is_held_while_a_retry_waits),
        fixture_test(an_inline_retry_lets_time_pass_in_the_callers_thread),
        fixture_test(B4_a_retry_behind_the_deadline_is_not_waited_for_in_a_mailbox),
        fixture_test(B4_a_retry_behind_the_deadline_is_not_waited_for_inline),
        fixture_test(B4_a_call_put_off_behind_the_deadline_is_not_waited_for),
        fixture_test(pausing_and_removing_reach_what_waits_for_a_retry),
        fixture_test(what_waits_for_a_removed_route_is_told_to_its_unit),
        fixture_test(a_queued_message_and_an_idle_route_are_small),
        fixture_test(the_same_seed_gives_the_same_trace),
        fixture_test(memory_may_run_out_while_a_retry_is_held),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
