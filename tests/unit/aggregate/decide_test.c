/* Deciding: a command becomes pending events and a new state, or leaves everything as it was. */
#include "tests/unit/aggregate/account.h"

#include <string.h>

static void assert_slice(const char *expected, struct stele_slice slice)
{
    assert_non_null(slice.data);
    assert_int_equal(strlen(expected), slice.size);
    assert_memory_equal(expected, slice.data, slice.size);
}

static void ORX25_three_commands_make_version_3_and_three_pending_events(void **state)
{
    (void)state;
    struct world world = world_open("memory:");
    stele_instance *instance = load_or_new(&world, "account-1");
    const stele_message *const *events = NULL;
    stele_error *error = NULL;
    assert_ok(decide(instance, open_command("Ada"), &error), error);
    assert_ok(decide(instance, deposit_command(100, 1), &error), error);
    assert_ok(decide(instance, withdraw_command(30), &error), error);
    assert_int_equal(3, stele_instance_version(instance));
    assert_int_equal(3, stele_instance_pending(instance, &events));
    assert_true(stele_message_is(events[0], &opened_type));
    assert_true(stele_message_is(events[1], &deposited_type));
    assert_true(stele_message_is(events[2], &withdrawn_type));
    assert_int_equal(70, STELE_STATE_OF(account, instance)->balance);
    assert_string_equal("Ada", STELE_STATE_OF(account, instance)->owner);
    assert_int_equal(0, head(&world));
    stele_instance_free(instance);
    world_close(&world);
}

static void a_rejection_carries_the_domains_words_and_changes_nothing(void **state)
{
    (void)state;
    struct world world = world_open("memory:");
    stele_instance *instance = load_or_new(&world, "account-1");
    stele_error *error = NULL;
    assert_ok(decide(instance, open_command("Ada"), &error), error);
    assert_failure(STELE_REJECTED, decide(instance, withdraw_command(1), &error), error);
    assert_string_equal("insufficient funds: 100%", stele_error_message(error));
    assert_string_equal("account-1", stele_error_get(error, "stream"));
    assert_string_equal("test.withdraw", stele_error_get(error, "type"));
    assert_int_equal(STELE_ACTION_NEVER, stele_error_action(error));
    assert_int_equal(1, stele_instance_pending(instance, NULL));
    assert_int_equal(0, STELE_STATE_OF(account, instance)->balance);
    stele_error_free(error);
    assert_int_equal(STELE_REJECTED, decide(instance, withdraw_command(1), NULL));
    stele_instance_free(instance);
    world_close(&world);
}

static void assert_misdeed(enum misdeed how, stele_status expected, const char *words)
{
    struct world world = world_open("memory:");
    stele_instance *instance = load_or_new(&world, "account-1");
    stele_error *error = NULL;
    assert_ok(decide(instance, deposit_command(50, 1), &error), error);
    assert_failure(expected, decide(instance, misbehave_command(how), &error), error);
    assert_message(error, words);
    assert_int_equal(1, stele_instance_pending(instance, NULL));
    assert_int_equal(50, STELE_STATE_OF(account, instance)->balance);
    assert_int_equal(1, STELE_STATE_OF(account, instance)->movements);
    assert_null(STELE_STATE_OF(account, instance)->owner);
    stele_error_free(error);
    error = NULL;
    /* and it works as before */
    assert_ok(decide(instance, deposit_command(5, 1), &error), error);
    assert_int_equal(55, STELE_STATE_OF(account, instance)->balance);
    stele_instance_free(instance);
    world_close(&world);
}

static void an_event_that_breaks_its_rules_fails_the_decision(void **state)
{
    (void)state;
    assert_misdeed(EMIT_BROKEN_AND_SAY_OK, STELE_INVALID, "amount");
}

static void an_event_without_evolve_function_fails_the_decision(void **state)
{
    (void)state;
    assert_misdeed(EMIT_UNKNOWN, STELE_INVALID, "no evolve function for test.account.frozen");
}

static void an_event_without_payload_fails_the_decision(void **state)
{
    (void)state;
    assert_misdeed(EMIT_NULL, STELE_INVALID, "payload");
}

static void a_rejection_cannot_be_taken_back(void **state)
{
    (void)state;
    assert_misdeed(REJECT_AND_SAY_OK, STELE_REJECTED, "first reason");
}

static void a_rejection_without_words_is_still_one(void **state)
{
    (void)state;
    assert_misdeed(REJECT_WITHOUT_A_WORD, STELE_REJECTED, "test.misbehave");
}

static void B5_what_was_emitted_before_a_rejection_never_happened(void **state)
{
    (void)state;
    assert_misdeed(EMIT_THEN_REJECT, STELE_REJECTED, "changed my mind");
}

static void ORX14_any_status_of_a_decide_function_reaches_the_caller(void **state)
{
    (void)state;
    assert_misdeed(RETURN_NOT_FOUND, STELE_NOT_FOUND, "test.misbehave");
}

static void a_command_that_decides_nothing_leaves_nothing_pending(void **state)
{
    (void)state;
    struct world world = world_open("memory:");
    stele_instance *instance = load_or_new(&world, "account-1");
    stele_error *error = NULL;
    assert_ok(decide(instance, look_command(), &error), error);
    assert_int_equal(0, stele_instance_pending(instance, NULL));
    assert_int_equal(0, stele_instance_version(instance));
    stele_instance_free(instance);
    world_close(&world);
}

static void what_is_not_a_command_of_the_table_is_refused(void **state)
{
    (void)state;
    struct world world = world_open("memory:");
    stele_instance *instance = load_or_new(&world, "account-1");
    stele_message *event = NULL;
    stele_error *error = NULL;
    assert_failure(STELE_INVALID, decide(instance, write_command(1), &error), error);
    assert_message(error, "no decide function for test.write");
    stele_error_free(error);
    error = NULL;
    assert_ok(deposited_message(&(const struct deposited){.amount = 1}, NULL, &event, &error), error);
    assert_status(STELE_INVALID, decide(instance, event, &error), error);
    assert_status(STELE_INVALID, stele_decide(instance, NULL, &error), error);
    stele_message *command = look_command();
    assert_status(STELE_INVALID, stele_decide(NULL, command, &error), error);
    stele_message_unref(command);
    stele_instance_free(instance);
    world_close(&world);
}

static void an_event_with_the_name_of_a_command_is_none(void **state)
{
    (void)state;
    struct world world = world_open("memory:");
    stele_instance *instance = load_or_new(&world, "account-1");
    const struct stele_raw_message raw = {.kind = STELE_EVENT,
                                          .type = "test.look",
                                          .type_version = 1,
                                          .format = STELE_PAYLOAD_MSGPACK,
                                          .payload = support_slice("\x80")};
    stele_message *event = NULL;
    stele_error *error = NULL;
    assert_ok(stele_message_new_raw(&raw, NULL, &event, &error), error);
    assert_status(STELE_INVALID, decide(instance, event, &error), error);
    stele_instance_free(instance);
    world_close(&world);
}

/* --- Identity ------------------------------------------------------------------ */

static void B6_events_follow_from_their_command(void **state)
{
    (void)state;
    struct world world = world_open("memory:");
    stele_instance *instance = load_or_new(&world, "account-1");
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
    const stele_message *const *events = NULL;
    stele_message *command = NULL;
    stele_error *error = NULL;
    options.id = "command-7";
    options.correlationid = "conversation-3";
    options.causationid = "letter-2";
    options.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    assert_ok(deposit_message(&(const struct deposit){.amount = 1, .parts = 2}, &options, &command, &error), error);
    assert_ok(decide(instance, command, &error), error);
    assert_int_equal(2, stele_instance_pending(instance, &events));
    for (int i = 0; i < 2; i++) {
        assert_slice("conversation-3", stele_message_correlationid(events[i]));
        assert_slice("command-7", stele_message_causationid(events[i]));
        assert_slice("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", stele_message_traceparent(events[i]));
        assert_int_equal(STELE_EVENT, stele_message_kind(events[i]));
    }
    stele_instance_free(instance);
    world_close(&world);
}

static void B6_without_a_correlation_the_command_begins_one(void **state)
{
    (void)state;
    struct world world = world_open("memory:");
    stele_instance *instance = load_or_new(&world, "account-1");
    const stele_message *const *events = NULL;
    stele_error *error = NULL;
    assert_ok(decide(instance, deposit_command_with_id(1, "command-8"), &error), error);
    assert_int_equal(1, stele_instance_pending(instance, &events));
    assert_slice("command-8", stele_message_correlationid(events[0]));
    assert_slice("command-8", stele_message_causationid(events[0]));
    assert_null(stele_message_traceparent(events[0]).data);
    stele_instance_free(instance);
    world_close(&world);
}

/* The ids of the two events that a command with this id makes in a stream. */
static void event_ids(const struct world *world, const char *stream, const char *command_id, struct stele_uuid ids[2])
{
    stele_instance *instance = load_or_new(world, stream);
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
    const stele_message *const *events = NULL;
    stele_message *command = NULL;
    stele_error *error = NULL;
    options.id = command_id;
    assert_ok(deposit_message(&(const struct deposit){.amount = 1, .parts = 2}, &options, &command, &error), error);
    assert_ok(decide(instance, command, &error), error);
    assert_int_equal(2, stele_instance_pending(instance, &events));
    assert_true(stele_message_uuid(events[0], &ids[0]));
    assert_true(stele_message_uuid(events[1], &ids[1]));
    stele_instance_free(instance);
}

static void event_ids_follow_from_command_stream_and_number(void **state)
{
    (void)state;
    struct world world = world_open("memory:");
    struct stele_uuid ids[7][2];
    event_ids(&world, "account-1", "command-1", ids[0]);
    event_ids(&world, "account-1", "command-1", ids[1]);
    assert_memory_equal(ids[0], ids[1], sizeof ids[0]);
    event_ids(&world, "account-2", "command-1", ids[1]);
    event_ids(&world, "account-1", "command-2", ids[2]);
    event_ids(&world, "account-1", "a/b", ids[3]);
    event_ids(&world, "b/account-1", "a", ids[4]);
    event_ids(&world, "account-1", "018f3b1c-7d2a-7c11-8a55-0123456789ab", ids[5]);
    event_ids(&world, "account-1", "018f3b1c-7d2a-7c11-8a55-0123456789ac", ids[6]);
    const struct stele_uuid *const all = ids[0];
    for (size_t i = 0; i < 14; i++) {
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(&all[i], &all[j], sizeof all[i]);
    }
    world_close(&world);
}

static int64_t at_noon(void *context)
{
    (void)context;
    return INT64_C(1700000000000000000);
}

static void events_carry_source_and_time_of_their_repository(void **state)
{
    (void)state;
    struct world world = world_open("memory:");
    struct stele_repository_options options = STELE_OPTIONS_INIT(struct stele_repository_options);
    struct stele_clock clock = *stele_clock_system();
    stele_repository *repository = NULL;
    stele_instance *instance = NULL;
    struct stele_load_options or_new = STELE_OPTIONS_INIT(struct stele_load_options);
    const stele_message *const *events = NULL;
    struct withdrawn payload;
    stele_arena *arena = NULL;
    stele_error *error = NULL;
    clock.now = at_noon;
    options.source = "bank/teller-4";
    options.clock = &clock;
    or_new.or_new = true;
    assert_ok(stele_repository_new(world.store, &account_aggregate, &options, &repository, &error), error);
    assert_ok(stele_load(repository, "account-1", &or_new, &instance, &error), error);
    assert_ok(decide(instance, deposit_command(9, 1), &error), error);
    assert_ok(decide(instance, withdraw_command(9), &error), error);
    stele_instance_pending(instance, &events);
    assert_slice("bank/teller-4", stele_message_source(events[0]));
    assert_int_equal(INT64_C(1700000000000000000), stele_message_time(events[0]));
    assert_ok(stele_arena_new(&arena, &error), error);
    assert_ok(withdrawn_read(events[1], arena, &payload, &error), error);
    assert_int_equal(INT64_C(1700000000000000000), payload.decided);
    stele_arena_free(arena);
    stele_instance_free(instance);
    stele_repository_free(repository);
    world_close(&world);
}

/* --- Atomicity ------------------------------------------------------------------ */

static stele_status decide_on_new(void *context, stele_error **error)
{
    struct world *world = context;
    struct stele_load_options options = STELE_OPTIONS_INIT(struct stele_load_options);
    stele_instance *instance = NULL;
    stele_status status;
    options.or_new = true;
    status = stele_load(world->accounts, "account-1", &options, &instance, error);
    if (status != STELE_OK)
        return status;
    struct stele_message_options message_options = STELE_OPTIONS_INIT(struct stele_message_options);
    stele_message *command = NULL;
    status = open_message(&(const struct open){.owner = "Ada"}, &message_options, &command, error);
    if (status == STELE_OK)
        status = stele_decide(instance, command, error);
    stele_message_unref(command);
    command = NULL;
    if (status == STELE_OK)
        status = deposit_message(&(const struct deposit){.amount = 1, .parts = 40}, NULL, &command, error);
    if (status == STELE_OK) {
        status = stele_decide(instance, command, error);
        /* all or nothing */
        assert_string_equal("Ada", STELE_STATE_OF(account, instance)->owner);
        assert_int_equal(status == STELE_OK ? 40 : 0, STELE_STATE_OF(account, instance)->balance);
        assert_int_equal(status == STELE_OK ? 41 : 1, stele_instance_pending(instance, NULL));
    }
    stele_message_unref(command);
    stele_instance_free(instance);
    return status;
}

static void a_decision_without_memory_changes_nothing(void **state)
{
    (void)state;
    struct world world = world_open("memory:");
    assert_in_range(support_every_allocation_fails(decide_on_new, &world), 20, 10000);
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(ORX25_three_commands_make_version_3_and_three_pending_events),
        support_test(a_rejection_carries_the_domains_words_and_changes_nothing),
        support_test(an_event_that_breaks_its_rules_fails_the_decision),
        support_test(an_event_without_evolve_function_fails_the_decision),
        support_test(an_event_without_payload_fails_the_decision),
        support_test(a_rejection_cannot_be_taken_back),
        support_test(a_rejection_without_words_is_still_one),
        support_test(B5_what_was_emitted_before_a_rejection_never_happened),
        support_test(ORX14_any_status_of_a_decide_function_reaches_the_caller),
        support_test(a_command_that_decides_nothing_leaves_nothing_pending),
        support_test(what_is_not_a_command_of_the_table_is_refused),
        support_test(an_event_with_the_name_of_a_command_is_none),
        support_test(B6_events_follow_from_their_command),
        support_test(B6_without_a_correlation_the_command_begins_one),
        support_test(event_ids_follow_from_command_stream_and_number),
        support_test(events_carry_source_and_time_of_their_repository),
        support_test(a_decision_without_memory_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
