/* Loading: a stream is folded into a state, as far as asked, or it is said why not. */
#include "tests/unit/aggregate/account.h"

#include <string.h>

#define SECOND INT64_C(1000000000)

/* An event of a declared type, at a time, straight into the store. */
static void append_at(const struct world *world, const char *stream, const struct stele_type *type, const void *payload,
                      int64_t time)
{
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
    stele_message *event = NULL;
    stele_error *error = NULL;
    options.has_time = true;
    options.time = time;
    assert_ok(stele_message_new(type, payload, &options, &event, &error), error);
    assert_ok(stele_append(world->store, stream, stele_expect_any(), event, NULL, &error), error);
    stele_message_unref(event);
}

/* An event whose payload is the bytes given, whatever the type says. */
static void append_raw(const struct world *world, const char *stream, const char *type, uint32_t version,
                       const char *bytes)
{
    const struct stele_raw_message raw = {.kind = STELE_EVENT,
                                          .type = type,
                                          .type_version = version,
                                          .format = STELE_PAYLOAD_MSGPACK,
                                          .payload = support_slice(bytes)};
    stele_message *event = NULL;
    stele_error *error = NULL;
    assert_ok(stele_message_new_raw(&raw, NULL, &event, &error), error);
    assert_ok(stele_append(world->store, stream, stele_expect_any(), event, NULL, &error), error);
    stele_message_unref(event);
}

/* opened by Ada at 1 s, then 10, 20, 30 ... deposited at 2 s, 3 s, 4 s ...: `count` events in all */
static void write_history(const struct world *world, const char *stream, int64_t count)
{
    append_at(world, stream, &opened_type, &(const struct opened){.owner = "Ada"}, SECOND);
    for (int64_t i = 1; i < count; i++)
        append_at(world, stream, &deposited_type, &(const struct deposited){.amount = 10 * i}, (i + 1) * SECOND);
}

static stele_status load_until(const struct world *world, uint64_t version, const int64_t *time, stele_instance **out,
                               stele_error **error)
{
    struct stele_load_options options = STELE_OPTIONS_INIT(struct stele_load_options);
    options.version = version;
    options.has_time = time != NULL;
    options.time = time != NULL ? *time : 0;
    return stele_load(world->accounts, "account-1", &options, out, error);
}

static void assert_balance_until(const struct world *world, uint64_t version, const int64_t *time,
                                 uint64_t version_reached, int64_t balance_reached)
{
    stele_instance *instance = NULL;
    stele_error *error = NULL;
    assert_ok(load_until(world, version, time, &instance, &error), error);
    assert_int_equal(version_reached, stele_instance_version(instance));
    assert_int_equal(balance_reached, STELE_STATE_OF(account, instance)->balance);
    stele_instance_free(instance);
}

static void ORX27_replay_runs_in_order_and_leaves_nothing_pending(void **state)
{
    (void)state;
    struct world world = world_open("memory:");
    write_history(&world, "account-1", 5);
    append_at(&world, "account-1", &opened_type, &(const struct opened){.owner = "Grace"}, 6 * SECOND);
    stele_instance *instance = load(&world, "account-1");
    const struct account *account = STELE_STATE_OF(account, instance);
    const stele_message *const *events = NULL;
    assert_string_equal("Grace", account->owner);
    assert_int_equal(10 + 20 + 30 + 40, account->balance);
    assert_int_equal(4, account->movements);
    assert_int_equal(6, stele_instance_version(instance));
    assert_int_equal(0, stele_instance_pending(instance, &events));
    assert_string_equal("account-1", stele_instance_stream(instance));
    stele_instance_free(instance);
    stele_instance_free(NULL);
    world_close(&world);
}

static void only_the_stream_asked_for_is_folded(void **state)
{
    (void)state;
    struct world world = world_open("memory:");
    write_history(&world, "account-1", 3);
    write_history(&world, "account-10", 4);
    assert_int_equal(30, balance(&world, "account-1"));
    assert_int_equal(60, balance(&world, "account-10"));
    world_close(&world);
}

static void ORX28_a_missing_stream_is_not_found(void **state)
{
    (void)state;
    struct world world = world_open("memory:");
    stele_instance *instance = NULL;
    stele_error *error = NULL;
    assert_failure(STELE_NOT_FOUND, stele_load(world.accounts, "account-1", NULL, &instance, &error), error);
    assert_message(error, "account-1");
    assert_string_equal("account-1", stele_error_get(error, "stream"));
    assert_null(instance);
    stele_error_free(error);
    world_close(&world);
}

static void V4_load_or_new_begins_at_version_0_with_zeros(void **state)
{
    (void)state;
    struct world world = world_open("memory:");
    stele_instance *instance = load_or_new(&world, "account-1");
    const struct account *account = STELE_STATE_OF(account, instance);
    assert_null(account->owner);
    assert_int_equal(0, account->balance);
    assert_int_equal(0, stele_instance_version(instance));
    stele_instance_free(instance);
    assert_int_equal(0, head(&world));
    world_close(&world);
}

static void the_state_is_shown_as_its_own_type_only(void **state)
{
    (void)state;
    struct world world = world_open("memory:");
    stele_instance *instance = load_or_new(&world, "account-1");
    assert_non_null(STELE_STATE_OF(account, instance));
    assert_null(STELE_STATE_OF(diary, instance));
    assert_null(stele_instance_state(NULL, &account_aggregate));
    stele_instance_free(instance);
    world_close(&world);
}

static void ORX50_the_state_as_of_a_version(void **state)
{
    (void)state;
    struct world world = world_open("memory:");
    write_history(&world, "account-1", 6); /* 10, 20, 30, 40, 50 from version 2 on */
    assert_balance_until(&world, 1, NULL, 1, 0);
    assert_balance_until(&world, 3, NULL, 3, 30);
    assert_balance_until(&world, 6, NULL, 6, 150);
    assert_balance_until(&world, 0, NULL, 6, 150);
    world_close(&world);
}

static void ORX50_a_version_beyond_the_stream_is_not_found(void **state)
{
    (void)state;
    struct world world = world_open("memory:");
    write_history(&world, "account-1", 3);
    stele_instance *instance = NULL;
    stele_error *error = NULL;
    assert_failure(STELE_NOT_FOUND, load_until(&world, 4, NULL, &instance, &error), error);
    assert_message(error, "version 4");
    stele_error_free(error);
    error = NULL;
    assert_status(STELE_INVALID, load_until(&world, UINT64_MAX, NULL, &instance, &error), error);
    world_close(&world);
}

static void ORX50_the_state_between_events_3_and_4_is_that_of_3(void **state)
{
    (void)state;
    struct world world = world_open("memory:");
    write_history(&world, "account-1", 6);
    const int64_t at_3 = 3 * SECOND;
    const int64_t before_4 = 4 * SECOND - 1;
    const int64_t at_4 = 4 * SECOND;
    const int64_t after_all = 100 * SECOND;
    assert_balance_until(&world, 0, &at_3, 3, 30);
    assert_balance_until(&world, 0, &before_4, 3, 30);
    assert_balance_until(&world, 0, &at_4, 4, 60);
    assert_balance_until(&world, 0, &after_all, 6, 150);
    /* both bounds: the nearer one */
    assert_balance_until(&world, 2, &at_4, 2, 10);
    assert_balance_until(&world, 5, &at_3, 3, 30);
    world_close(&world);
}

static void ORX50_an_event_that_is_late_hides_those_behind_it(void **state)
{
    (void)state;
    struct world world = world_open("memory:");
    const int64_t now = 5 * SECOND;
    append_at(&world, "account-1", &deposited_type, &(const struct deposited){.amount = 1}, SECOND);
    append_at(&world, "account-1", &deposited_type, &(const struct deposited){.amount = 2}, 9 * SECOND);
    append_at(&world, "account-1", &deposited_type, &(const struct deposited){.amount = 4}, 2 * SECOND);
    /* A fold that left out the second event would be a state that never was. */
    assert_balance_until(&world, 0, &now, 1, 1);
    world_close(&world);
}

static void ORX50_before_the_first_event_there_is_nothing(void **state)
{
    (void)state;
    struct world world = world_open("memory:");
    write_history(&world, "account-1", 2);
    const int64_t before_all = SECOND - 1;
    stele_instance *instance = NULL;
    stele_error *error = NULL;
    assert_failure(STELE_NOT_FOUND, load_until(&world, 0, &before_all, &instance, &error), error);
    assert_message(error, "account-1");
    stele_error_free(error);
    world_close(&world);
}

/* The reference ignored events without a handler and went on with a wrong state. */
static void E1_an_unknown_event_is_an_error_that_says_where(void **state)
{
    (void)state;
    struct world world = world_open("memory:");
    write_history(&world, "account-1", 2);
    append_at(&world, "account-1", &frozen_type, &(const struct frozen){.reason = "cold"}, 0);
    stele_instance *instance = NULL;
    stele_error *error = NULL;
    assert_failure(STELE_UNKNOWN_TYPE, stele_load(world.accounts, "account-1", NULL, &instance, &error), error);
    assert_message(error, "test.account.frozen");
    assert_string_equal("test.account.frozen", stele_error_get(error, "type"));
    assert_string_equal("account-1", stele_error_get(error, "stream"));
    assert_string_equal("3", stele_error_get(error, "version"));
    assert_string_equal("3", stele_error_get(error, "position"));
    assert_null(instance);
    stele_error_free(error);
    world_close(&world);
}

static void E1_a_reader_may_choose_to_skip_unknown_events(void **state)
{
    (void)state;
    struct world world = world_open("memory:");
    struct stele_repository_options options = STELE_OPTIONS_INIT(struct stele_repository_options);
    stele_repository *lenient = NULL;
    stele_instance *instance = NULL;
    stele_error *error = NULL;
    write_history(&world, "account-1", 2);
    append_at(&world, "account-1", &frozen_type, &(const struct frozen){.reason = "cold"}, 0);
    append_at(&world, "account-1", &deposited_type, &(const struct deposited){.amount = 7}, 0);
    append_at(&world, "account-1", &frozen_type, &(const struct frozen){.reason = "colder"}, 0);
    options.unknown = STELE_UNKNOWN_IS_SKIPPED;
    assert_ok(stele_repository_new(world.store, &account_aggregate, &options, &lenient, &error), error);
    assert_ok(stele_load(lenient, "account-1", NULL, &instance, &error), error);
    assert_int_equal(17, STELE_STATE_OF(account, instance)->balance);
    assert_int_equal(5, stele_instance_version(instance));
    /* The version counts what was skipped, so that saving expects the right one. */
    assert_ok(decide(instance, deposit_command(1, 1), &error), error);
    assert_ok(stele_save(&instance, 1, NULL, &error), error);
    assert_int_equal(6, stele_instance_version(instance));
    stele_instance_free(instance);
    stele_repository_free(lenient);
    world_close(&world);
}

static void E1_another_version_of_a_known_type_is_named_with_both_versions(void **state)
{
    (void)state;
    struct world world = world_open("memory:");
    append_raw(&world, "account-1", "test.money.deposited", 3,
               "\x81\xa6"
               "amount\x05");
    for (int i = 0; i < 2; i++) {
        struct stele_repository_options options = STELE_OPTIONS_INIT(struct stele_repository_options);
        stele_repository *repository = NULL;
        stele_instance *instance = NULL;
        stele_error *error = NULL;
        options.unknown = i == 0 ? STELE_UNKNOWN_IS_ERROR : STELE_UNKNOWN_IS_SKIPPED;
        assert_ok(stele_repository_new(world.store, &account_aggregate, &options, &repository, &error), error);
        assert_failure(STELE_UNKNOWN_TYPE, stele_load(repository, "account-1", NULL, &instance, &error), error);
        assert_message(error, "stored in version 3");
        assert_message(error, "knows version 1");
        stele_error_free(error);
        stele_repository_free(repository);
    }
    world_close(&world);
}

static void a_stored_event_that_does_not_decode_is_corrupt_and_located(void **state)
{
    (void)state;
    struct world world = world_open("memory:");
    write_history(&world, "account-1", 2);
    append_raw(&world, "account-1", "test.money.deposited", 1,
               "\x81\xa6"
               "amount\xa4"
               "much");
    stele_instance *instance = NULL;
    stele_error *error = NULL;
    assert_failure(STELE_CORRUPT, stele_load(world.accounts, "account-1", NULL, &instance, &error), error);
    assert_message(error, "event 3 does not decode");
    assert_message(error, "amount");
    assert_string_equal("3", stele_error_get(error, "position"));
    stele_error_free(error);
    error = NULL;
    append_raw(&world, "account-2", "test.money.deposited", 1, "\x80");
    assert_status(STELE_CORRUPT, stele_load(world.accounts, "account-2", NULL, &instance, &error), error);
    assert_null(instance);
    world_close(&world);
}

static void arguments_are_checked(void **state)
{
    (void)state;
    struct world world = world_open("memory:");
    struct stele_load_options options = STELE_OPTIONS_INIT(struct stele_load_options);
    stele_instance *instance = NULL;
    stele_error *error = NULL;
    char longest[STELE_STREAM_MAX + 2];
    memset(longest, 's', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_status(STELE_INVALID, stele_load(NULL, "a", NULL, &instance, &error), error);
    assert_status(STELE_INVALID, stele_load(world.accounts, NULL, NULL, &instance, &error), error);
    assert_status(STELE_INVALID, stele_load(world.accounts, "a", NULL, NULL, &error), error);
    assert_status(STELE_INVALID, stele_load(world.accounts, "", NULL, &instance, &error), error);
    assert_status(STELE_INVALID, stele_load(world.accounts, "a\nb", NULL, &instance, &error), error);
    assert_status(STELE_LIMIT, stele_load(world.accounts, longest, NULL, &instance, &error), error);
    options.size = 3;
    assert_status(STELE_INVALID, stele_load(world.accounts, "a", &options, &instance, &error), error);
    world_close(&world);
}

/* --- Memory ------------------------------------------------------------------- */

static void what_the_state_keeps_of_events_outlives_them(void **state)
{
    (void)state;
    struct world world = world_open("memory:");
    append_at(&world, "account-1", &opened_type, &(const struct opened){.owner = "Ada Lovelace"}, 0);
    for (int64_t i = 0; i < 1000; i++)
        append_at(&world, "account-1", &deposited_type, &(const struct deposited){.amount = 1}, 0);
    stele_instance *instance = load(&world, "account-1");
    assert_string_equal("Ada Lovelace", STELE_STATE_OF(account, instance)->owner);
    assert_int_equal(1000, STELE_STATE_OF(account, instance)->balance);
    stele_instance_free(instance);
    world_close(&world);
}

static void a_long_stream_of_numbers_costs_no_memory(void **state)
{
    (void)state;
    struct world world = world_open("memory:");
    execute(&world, "account-1", deposit_command(1, 10));
    stele_instance *instance = load(&world, "account-1");
    const size_t stored = stele_memory_in_use();
    stele_instance_free(instance);
    const size_t small = stored - stele_memory_in_use();
    for (int i = 0; i < 50; i++)
        execute(&world, "account-1", deposit_command(1, 100));
    const size_t before = stele_memory_in_use();
    instance = load(&world, "account-1");
    assert_int_equal(5010, STELE_STATE_OF(account, instance)->balance);
    assert_int_equal(small, stele_memory_in_use() - before);
    stele_instance_free(instance);
    world_close(&world);
}

static void texts_that_are_no_longer_in_the_state_are_given_back(void **state)
{
    (void)state;
    enum { ROUNDS = 1000, LENGTH = 10000 };
    struct world world = world_open("memory:");
    static char owner[LENGTH + 1];
    memset(owner, 'x', LENGTH);
    for (int i = 0; i < ROUNDS; i++) {
        owner[i % LENGTH] = (char)('a' + i % 26);
        append_at(&world, "account-1", &opened_type, &(const struct opened){.owner = owner}, 0);
    }
    const size_t before = stele_memory_in_use();
    stele_instance *instance = load(&world, "account-1");
    /* 20 MB of decoded events went through; one of them is the state. */
    assert_in_range(stele_memory_in_use() - before, LENGTH, 2 * 1024 * 1024);
    assert_string_equal(owner, STELE_STATE_OF(account, instance)->owner);
    stele_instance_free(instance);
    world_close(&world);
}

static void a_state_may_have_memory_of_its_own(void **state)
{
    (void)state;
    struct world world = world_open("memory:");
    stele_repository *diaries = NULL;
    stele_instance *instance = NULL;
    stele_error *error = NULL;
    assert_ok(stele_repository_new(world.store, &diary_aggregate, NULL, &diaries, &error), error);
    for (int64_t i = 1; i <= 100; i++) {
        stele_message *command = write_command(i);
        assert_ok(stele_execute(diaries, "diary-1", command, NULL, &error), error);
        stele_message_unref(command);
    }
    assert_ok(stele_load(diaries, "diary-1", NULL, &instance, &error), error);
    assert_int_equal(100, STELE_STATE_OF(diary, instance)->pages);
    assert_int_equal(100, diary_number(STELE_STATE_OF(diary, instance), 0));
    assert_int_equal(1, diary_number(STELE_STATE_OF(diary, instance), 99));
    /* and go on with it after a decision */
    assert_ok(decide(instance, write_command(101), &error), error);
    assert_int_equal(101, diary_number(STELE_STATE_OF(diary, instance), 0));
    assert_int_equal(100, diary_number(STELE_STATE_OF(diary, instance), 1));
    stele_instance_free(instance);
    stele_repository_free(diaries);
    world_close(&world);
}

static stele_status load_account(void *context, stele_error **error)
{
    const struct world *world = context;
    stele_instance *instance = NULL;
    const stele_status status = stele_load(world->accounts, "account-1", NULL, &instance, error);
    if (status == STELE_OK) {
        assert_string_equal("Ada", STELE_STATE_OF(account, instance)->owner);
        assert_int_equal(30, STELE_STATE_OF(account, instance)->balance);
    } else {
        assert_null(instance);
    }
    stele_instance_free(instance);
    return status;
}

static void an_instance_is_loaded_whole_or_not_at_all(void **state)
{
    (void)state;
    struct world world = world_open("memory:");
    write_history(&world, "account-1", 3);
    assert_in_range(support_every_allocation_fails(load_account, &world), 2, 1000);
    world_close(&world);
}

static void the_same_state_comes_from_a_file(void **state)
{
    (void)state;
    struct world world = world_open(support_temp_path("ledger.db"));
    write_history(&world, "account-1", 40); /* 10 + 20 + ... + 390 */
    assert_int_equal(7800, balance(&world, "account-1"));
    assert_balance_until(&world, 3, NULL, 3, 30);
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(ORX27_replay_runs_in_order_and_leaves_nothing_pending),
        support_test(only_the_stream_asked_for_is_folded),
        support_test(ORX28_a_missing_stream_is_not_found),
        support_test(V4_load_or_new_begins_at_version_0_with_zeros),
        support_test(the_state_is_shown_as_its_own_type_only),
        support_test(ORX50_the_state_as_of_a_version),
        support_test(ORX50_a_version_beyond_the_stream_is_not_found),
        support_test(ORX50_the_state_between_events_3_and_4_is_that_of_3),
        support_test(ORX50_an_event_that_is_late_hides_those_behind_it),
        support_test(ORX50_before_the_first_event_there_is_nothing),
        support_test(E1_an_unknown_event_is_an_error_that_says_where),
        support_test(E1_a_reader_may_choose_to_skip_unknown_events),
        support_test(E1_another_version_of_a_known_type_is_named_with_both_versions),
        support_test(a_stored_event_that_does_not_decode_is_corrupt_and_located),
        support_test(arguments_are_checked),
        support_test(what_the_state_keeps_of_events_outlives_them),
        support_test(a_long_stream_of_numbers_costs_no_memory),
        support_test(texts_that_are_no_longer_in_the_state_are_given_back),
        support_test(a_state_may_have_memory_of_its_own),
        support_test(an_instance_is_loaded_whole_or_not_at_all),
        support_test(the_same_state_comes_from_a_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
