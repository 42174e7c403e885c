/* Executing: load, decide, save, again on a conflict; a command that comes twice counts once. */
#include "tests/unit/aggregate/account.h"

#include <pthread.h>
#include <string.h>

enum { WRITERS = 8, DEPOSITS = 200 };

static void ORX12_a_command_is_loaded_decided_and_stored(void **state)
{
    (void)state;
    struct world world = world_open("memory:");
    struct stele_appended result = execute(&world, "account-1", open_command("Ada"));
    assert_int_equal(1, result.version);
    assert_true(result.created);
    result = execute(&world, "account-1", deposit_command(10, 3));
    assert_int_equal(4, result.version);
    assert_int_equal(2, result.first_position);
    assert_int_equal(4, result.last_position);
    assert_false(result.created);
    assert_int_equal(30, balance(&world, "account-1"));
    world_close(&world);
}

static void ORX12_a_rejection_stores_nothing(void **state)
{
    (void)state;
    struct world world = world_open("memory:");
    execute(&world, "account-1", deposit_command(10, 1));
    stele_message *command = withdraw_command(11);
    struct stele_appended result = {.version = 77};
    stele_error *error = NULL;
    assert_failure(STELE_REJECTED, stele_execute(world.accounts, "account-1", command, &result, &error), error);
    assert_message(error, "insufficient funds");
    assert_int_equal(77, result.version);
    stele_error_free(error);
    stele_message_unref(command);
    assert_int_equal(1, head(&world));
    world_close(&world);
}

static void B8_no_events_means_no_stream(void **state)
{
    (void)state;
    struct world world = world_open("memory:");
    const struct stele_appended result = execute(&world, "account-1", look_command());
    stele_instance *instance = NULL;
    stele_error *error = NULL;
    assert_int_equal(0, result.version);
    assert_int_equal(0, result.first_position);
    assert_status(STELE_NOT_FOUND, stele_load(world.accounts, "account-1", NULL, &instance, &error), error);
    world_close(&world);
}

static void arguments_are_checked(void **state)
{
    (void)state;
    struct world world = world_open("memory:");
    struct world other = world_open("memory:");
    stele_message *command = look_command();
    struct stele_execute_options options = STELE_OPTIONS_INIT(struct stele_execute_options);
    const struct stele_execution two[] = {{world.accounts, "account-1", command},
                                          {other.accounts, "account-2", command}};
    char longest[STELE_STREAM_MAX + 2];
    stele_error *error = NULL;
    memset(longest, 's', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_status(STELE_INVALID, stele_execute(NULL, "a", command, NULL, &error), error);
    assert_status(STELE_INVALID, stele_execute(world.accounts, NULL, command, NULL, &error), error);
    assert_status(STELE_INVALID, stele_execute(world.accounts, "a", NULL, NULL, &error), error);
    assert_status(STELE_INVALID, stele_execute(world.accounts, "", command, NULL, &error), error);
    assert_status(STELE_LIMIT, stele_execute(world.accounts, longest, command, NULL, &error), error);
    assert_status(STELE_INVALID, stele_execute_all(two, 0, NULL, NULL, &error), error);
    assert_status(STELE_INVALID, stele_execute_all(NULL, 1, NULL, NULL, &error), error);
    assert_status(STELE_INVALID, stele_execute_all(two, 2, NULL, NULL, &error), error);
    const struct stele_execution one_store[] = {two[0], two[0]};
    options.has_version = true;
    assert_status(STELE_INVALID, stele_execute_all(one_store, 2, &options, NULL, &error), error);
    options.version = UINT64_MAX;
    assert_status(STELE_INVALID, stele_execute_all(one_store, 1, &options, NULL, &error), error);
    stele_message_unref(command);
    world_close(&other);
    world_close(&world);
}

/* --- Conflicts ------------------------------------------------------------------- */

/*
 * A clock through which another writer gets in between: time is read once per
 * decision, after loading and before saving.
 */
struct rival {
    struct world *world;
    int intrusions; /* still to come */
    int decisions;
    int pauses;
    int64_t paused_ns[16];
};

static int64_t intrude(void *context)
{
    struct rival *rival = context;
    rival->decisions++;
    if (rival->intrusions > 0) {
        rival->intrusions--;
        execute(rival->world, "account-1", deposit_command(1, 1));
    }
    return stele_time_now();
}

static void count_pause(void *context, int64_t nanoseconds)
{
    struct rival *rival = context;
    rival->paused_ns[rival->pauses++ % 16] = nanoseconds;
}

struct contested {
    struct world world;
    struct rival rival;
    struct stele_clock clock;
    stele_repository *accounts; /* whose clock lets the rival in */
};

static void contested_open(struct contested *contested, int intrusions)
{
    struct stele_repository_options options = STELE_OPTIONS_INIT(struct stele_repository_options);
    stele_error *error = NULL;
    *contested = (struct contested){.world = world_open("memory:")};
    execute(&contested->world, "account-1", deposit_command(100, 1));
    contested->rival = (struct rival){.world = &contested->world, .intrusions = intrusions};
    contested->clock = *stele_clock_system();
    contested->clock.now = intrude;
    contested->clock.pause = count_pause;
    contested->clock.context = &contested->rival;
    options.clock = &contested->clock;
    assert_ok(stele_repository_new(contested->world.store, &account_aggregate, &options, &contested->accounts, &error),
              error);
}

static void contested_close(struct contested *contested)
{
    stele_repository_free(contested->accounts);
    world_close(&contested->world);
}

static stele_status withdraw_100(struct contested *contested, const struct stele_execute_options *options,
                                 stele_error **error)
{
    stele_message *command = withdraw_command(100);
    const struct stele_execution execution = {contested->accounts, "account-1", command};
    const stele_status status = stele_execute_all(&execution, 1, options, NULL, error);
    stele_message_unref(command);
    return status;
}

static void B8_a_conflict_is_decided_again_on_fresh_state(void **state)
{
    (void)state;
    struct contested contested;
    stele_error *error = NULL;
    contested_open(&contested, 2);
    assert_ok(withdraw_100(&contested, NULL, &error), error);
    assert_int_equal(3, contested.rival.decisions);
    assert_int_equal(2, contested.rival.pauses);
    assert_int_equal(2, balance(&contested.world, "account-1"));
    contested_close(&contested);
}

static void B8_three_attempts_are_made_by_default(void **state)
{
    (void)state;
    struct contested contested;
    stele_error *error = NULL;
    contested_open(&contested, 3);
    assert_status(STELE_CONFLICT, withdraw_100(&contested, NULL, &error), error);
    assert_int_equal(3, contested.rival.decisions);
    assert_int_equal(2, contested.rival.pauses);
    assert_int_equal(103, balance(&contested.world, "account-1"));
    contested_close(&contested);
}

static void B8_pauses_grow_to_20_ms_and_are_random(void **state)
{
    (void)state;
    struct contested contested;
    struct stele_execute_options options = STELE_OPTIONS_INIT(struct stele_execute_options);
    stele_error *error = NULL;
    int64_t longest = 0;
    contested_open(&contested, 16);
    options.attempts = 17;
    assert_ok(withdraw_100(&contested, &options, &error), error);
    assert_int_equal(16, contested.rival.pauses);
    for (int i = 0; i < 16; i++) {
        const int64_t doubled = i < 5 ? INT64_C(1000000) << i : INT64_C(20000000);
        assert_in_range(contested.rival.paused_ns[i], 0, doubled < 20000000 ? doubled : 20000000);
        if (contested.rival.paused_ns[i] > longest)
            longest = contested.rival.paused_ns[i];
    }
    /* eleven draws below 20 ms: all below 2 ms once in 10^11 runs */
    assert_in_range(longest, 2000000, 20000000);
    contested_close(&contested);
}

static void B8_a_stated_version_is_not_tried_again(void **state)
{
    (void)state;
    struct contested contested;
    struct stele_execute_options options = STELE_OPTIONS_INIT(struct stele_execute_options);
    stele_error *error = NULL;
    contested_open(&contested, 1);
    options.has_version = true;
    options.version = 1;
    options.attempts = 10;
    assert_status(STELE_CONFLICT, withdraw_100(&contested, &options, &error), error);
    assert_int_equal(1, contested.rival.decisions);
    assert_int_equal(0, contested.rival.pauses);
    options.version = 2;
    assert_ok(withdraw_100(&contested, &options, &error), error);
    assert_int_equal(1, balance(&contested.world, "account-1"));
    contested_close(&contested);
}

static void B8_a_stated_version_that_is_not_the_streams_is_a_conflict_with_facts(void **state)
{
    (void)state;
    struct contested contested;
    struct stele_execute_options options = STELE_OPTIONS_INIT(struct stele_execute_options);
    stele_error *error = NULL;
    contested_open(&contested, 0);
    execute(&contested.world, "account-1", deposit_command(1, 2));
    options.has_version = true;
    const uint64_t others[] = {0, 2, 4, STELE_VERSION_MAX};
    for (int i = 0; i < 4; i++) {
        options.version = others[i];
        assert_failure(STELE_CONFLICT, withdraw_100(&contested, &options, &error), error);
        assert_int_equal(3, stele_error_conflict(error)->actual);
        stele_error_free(error);
        error = NULL;
    }
    assert_int_equal(0, contested.rival.decisions);
    contested_close(&contested);
}

/* --- Again --------------------------------------------------------------------- */

static void A6_the_same_command_twice_is_stored_once(void **state)
{
    (void)state;
    struct world world = world_open("memory:");
    stele_message *command = deposit_command(10, 3);
    struct stele_appended first = {0};
    struct stele_appended again = {0};
    stele_error *error = NULL;
    execute(&world, "account-0", open_command("Ada"));
    assert_ok(stele_execute(world.accounts, "account-1", command, &first, &error), error);
    execute(&world, "account-1", deposit_command(1, 1));
    assert_ok(stele_execute(world.accounts, "account-1", command, &again, &error), error);
    assert_false(first.repeated);
    assert_true(again.repeated);
    assert_int_equal(2, again.first_position);
    assert_int_equal(4, again.last_position);
    assert_int_equal(3, again.version);
    assert_int_equal(first.created, again.created);
    assert_int_equal(5, head(&world));
    assert_int_equal(31, balance(&world, "account-1"));
    stele_message_unref(command);
    world_close(&world);
}

static void A6_a_command_sent_again_is_not_judged_by_its_own_effect(void **state)
{
    (void)state;
    struct world world = world_open("memory:");
    execute(&world, "account-1", deposit_command(100, 1));
    /* On today's state these would be rejected, and the withdrawal's event has its time in the payload. */
    stele_message *commands[] = {withdraw_command(100), open_command("Ada")};
    for (int i = 0; i < 2; i++) {
        struct stele_appended first = {0};
        struct stele_appended again = {0};
        stele_error *error = NULL;
        assert_ok(stele_execute(world.accounts, "account-1", commands[i], &first, &error), error);
        assert_ok(stele_execute(world.accounts, "account-1", commands[i], &again, &error), error);
        assert_true(again.repeated);
        assert_int_equal(first.last_position, again.last_position);
        stele_message_unref(commands[i]);
    }
    assert_int_equal(3, head(&world));
    assert_int_equal(0, balance(&world, "account-1"));
    world_close(&world);
}

static void A6_a_stated_version_does_not_hinder_a_repetition(void **state)
{
    (void)state;
    struct world world = world_open("memory:");
    struct stele_execute_options options = STELE_OPTIONS_INIT(struct stele_execute_options);
    stele_message *command = open_command("Ada");
    const struct stele_execution execution = {world.accounts, "account-1", command};
    struct stele_appended again = {0};
    stele_error *error = NULL;
    options.has_version = true;
    options.version = 0;
    assert_ok(stele_execute_all(&execution, 1, &options, NULL, &error), error);
    execute(&world, "account-1", deposit_command(1, 1));
    assert_ok(stele_execute_all(&execution, 1, &options, &again, &error), error);
    assert_true(again.repeated);
    assert_int_equal(1, again.version);
    stele_message_unref(command);
    world_close(&world);
}

static void B7_another_command_under_the_same_id_is_refused(void **state)
{
    (void)state;
    struct world world = world_open("memory:");
    stele_message *first = deposit_command_with_id(10, "command-1");
    stele_message *other = deposit_command_with_id(11, "command-1");
    stele_error *error = NULL;
    assert_ok(stele_execute(world.accounts, "account-1", first, NULL, &error), error);
    assert_status(STELE_ID_REUSE, stele_execute(world.accounts, "account-1", other, NULL, &error), error);
    assert_int_equal(1, head(&world));
    stele_message_unref(first);
    stele_message_unref(other);
    world_close(&world);
}

/* --- Several --------------------------------------------------------------------- */

static void A2_several_commands_are_one_step(void **state)
{
    (void)state;
    struct world world = world_open("memory:");
    execute(&world, "account-1", deposit_command(100, 1));
    stele_message *out = withdraw_command(60);
    stele_message *in = deposit_command(60, 1);
    const struct stele_execution transfer[] = {{world.accounts, "account-1", out}, {world.accounts, "account-2", in}};
    struct stele_appended result = {0};
    stele_error *error = NULL;
    assert_ok(stele_execute_all(transfer, 2, NULL, &result, &error), error);
    assert_int_equal(2, result.first_position);
    assert_int_equal(3, result.last_position);
    assert_int_equal(40, balance(&world, "account-1"));
    assert_int_equal(60, balance(&world, "account-2"));
    /* again: nothing new */
    assert_ok(stele_execute_all(transfer, 2, NULL, &result, &error), error);
    assert_true(result.repeated);
    assert_int_equal(3, head(&world));
    stele_message_unref(out);
    stele_message_unref(in);
    world_close(&world);
}

static void A2_a_rejection_of_one_rejects_all(void **state)
{
    (void)state;
    struct world world = world_open("memory:");
    stele_message *in = deposit_command(60, 1);
    stele_message *out = withdraw_command(60);
    const struct stele_execution transfer[] = {{world.accounts, "account-2", in}, {world.accounts, "account-1", out}};
    stele_error *error = NULL;
    assert_status(STELE_REJECTED, stele_execute_all(transfer, 2, NULL, NULL, &error), error);
    assert_int_equal(0, head(&world));
    stele_message_unref(out);
    stele_message_unref(in);
    world_close(&world);
}

static void two_commands_for_one_stream_are_decided_one_after_the_other(void **state)
{
    (void)state;
    struct world world = world_open("memory:");
    stele_message *in = deposit_command(60, 1);
    stele_message *out = withdraw_command(60);
    const struct stele_execution both[] = {{world.accounts, "account-1", in}, {world.accounts, "account-1", out}};
    struct stele_appended result = {0};
    stele_error *error = NULL;
    assert_ok(stele_execute_all(both, 2, NULL, &result, &error), error);
    assert_int_equal(2, result.version);
    assert_int_equal(0, balance(&world, "account-1"));
    assert_ok(stele_execute_all(both, 2, NULL, &result, &error), error);
    assert_true(result.repeated);
    assert_int_equal(2, head(&world));
    stele_message_unref(out);
    stele_message_unref(in);
    world_close(&world);
}

static stele_status execute_twice(void *context, stele_error **error)
{
    const stele_message *command = context;
    stele_store *store = NULL;
    stele_repository *repository = NULL;
    stele_status status = stele_store_open("memory:", NULL, &store, error);
    if (status == STELE_OK)
        status = stele_repository_new(store, &account_aggregate, NULL, &repository, error);
    for (int i = 0; i < 2 && status == STELE_OK; i++)
        status = stele_execute(repository, "account-1", command, NULL, error);
    stele_repository_free(repository);
    stele_store_close(store);
    return status;
}

static void executing_without_memory_leaves_nothing_behind(void **state)
{
    (void)state;
    stele_message *command = deposit_command(10, 2);
    assert_in_range(support_every_allocation_fails(execute_twice, command), 10, 10000);
    stele_message_unref(command);
}

/* --- Many writers ------------------------------------------------------------------ */

struct writer {
    pthread_t thread;
    const struct world *world;
    stele_status status;
    char fault[256];
};

/* Deposits 1, 2, 3 ... DEPOSITS. */
static void *deposit_all(void *context)
{
    struct writer *writer = context;
    struct stele_execute_options options = STELE_OPTIONS_INIT(struct stele_execute_options);
    stele_error *error = NULL;
    options.attempts = 1000000;
    for (int64_t i = 1; i <= DEPOSITS && writer->status == STELE_OK; i++) {
        stele_message *command = NULL;
        const struct deposit payload = {.amount = i, .parts = 1};
        writer->status = deposit_message(&payload, NULL, &command, &error);
        if (writer->status == STELE_OK) {
            const struct stele_execution execution = {writer->world->accounts, "account-1", command};
            writer->status = stele_execute_all(&execution, 1, &options, NULL, &error);
        }
        stele_message_unref(command);
    }
    strncpy(writer->fault, stele_error_message(error), sizeof writer->fault - 1);
    stele_error_free(error);
    return NULL;
}

static void assert_no_deposit_is_lost(const char *url)
{
    struct world world = world_open(url);
    struct writer writers[WRITERS] = {0};
    for (int i = 0; i < WRITERS; i++) {
        writers[i].world = &world;
        assert_int_equal(0, pthread_create(&writers[i].thread, NULL, deposit_all, &writers[i]));
    }
    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(0, pthread_join(writers[i].thread, NULL));
    for (int i = 0; i < WRITERS; i++) {
        if (writers[i].status != STELE_OK)
            print_error("writer %d: %s\n", i, writers[i].fault);
        assert_int_equal(STELE_OK, writers[i].status);
    }
    stele_instance *instance = load(&world, "account-1");
    assert_int_equal(WRITERS * DEPOSITS * (DEPOSITS + 1) / 2, STELE_STATE_OF(account, instance)->balance);
    assert_int_equal(WRITERS * DEPOSITS, stele_instance_version(instance));
    stele_instance_free(instance);
    world_close(&world);
}

static void B8_eight_writers_lose_no_deposit_in_memory(void **state)
{
    (void)state;
    assert_no_deposit_is_lost("memory:");
}

static void B8_eight_writers_lose_no_deposit_in_a_file(void **state)
{
    (void)state;
    assert_no_deposit_is_lost(support_temp_path("ledger.db"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(ORX12_a_command_is_loaded_decided_and_stored),
        support_test(ORX12_a_rejection_stores_nothing),
        support_test(B8_no_events_means_no_stream),
        support_test(arguments_are_checked),
        support_test(B8_a_conflict_is_decided_again_on_fresh_state),
        support_test(B8_three_attempts_are_made_by_default),
        support_test(B8_pauses_grow_to_20_ms_and_are_random),
        support_test(B8_a_stated_version_is_not_tried_again),
        support_test(B8_a_stated_version_that_is_not_the_streams_is_a_conflict_with_facts),
        support_test(A6_the_same_command_twice_is_stored_once),
        support_test(A6_a_command_sent_again_is_not_judged_by_its_own_effect),
        support_test(A6_a_stated_version_does_not_hinder_a_repetition),
        support_test(B7_another_command_under_the_same_id_is_refused),
        support_test(A2_several_commands_are_one_step),
        support_test(A2_a_rejection_of_one_rejects_all),
        support_test(two_commands_for_one_stream_are_decided_one_after_the_other),
        support_test(executing_without_memory_leaves_nothing_behind),
        support_test(B8_eight_writers_lose_no_deposit_in_memory),
        support_test(B8_eight_writers_lose_no_deposit_in_a_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
