/* Repositories that remember commands: the ledger answers before anything is decided again (B7). */
#include "tests/unit/aggregate/account.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ID "0192f0c4-0000-7000-8000-0000000000cc"

/* A world whose repository remembers. */
static struct world remember_world(const char *url)
{
    struct stele_repository_options options = STELE_OPTIONS_INIT(struct stele_repository_options);
    struct world world = world_open(url);
    stele_error *error = NULL;

    options.remember_commands = true;
    stele_repository_free(world.accounts);
    world.accounts = NULL;
    assert_ok(stele_repository_new(world.store, &account_aggregate, &options, &world.accounts, &error), error);
    return world;
}

static struct stele_outcome outcome_of(const struct world *world, const char *id)
{
    struct stele_outcome outcome = {.rejected = false};
    stele_arena *arena = NULL;
    stele_error *error = NULL;

    assert_ok(stele_arena_new(&arena, &error), error);
    assert_ok(stele_find_outcome(world->store, id, arena, &outcome, &error), error);
    stele_arena_free(arena);
    return outcome;
}

static uint64_t forget_all(const struct world *world)
{
    const struct stele_retention all = {.size = sizeof(all), .has_keep = true};
    stele_error *error = NULL;
    uint64_t forgotten = 0;

    assert_ok(stele_forget_commands(world->store, &all, &forgotten, &error), error);
    return forgotten;
}

static void B7_a_command_sent_again_gets_the_first_result(void **state)
{
    struct world world = remember_world("memory:");
    struct stele_appended first, again;

    (void)state;
    execute(&world, "account-1", deposit_command(5, 1));
    first = execute(&world, "account-1", deposit_command_with_id(10, ID));
    execute(&world, "account-1", deposit_command(7, 1));
    again = execute(&world, "account-1", deposit_command_with_id(10, ID));
    assert_false(first.replayed);
    assert_true(again.replayed);
    assert_false(again.repeated);
    assert_int_equal(again.version, 2);
    assert_int_equal(again.first_position, first.first_position);
    assert_int_equal(balance(&world, "account-1"), 22);
    assert_int_equal(outcome_of(&world, ID).version, 2);
    world_close(&world);
}

static void B7_a_rejection_is_remembered_though_the_state_would_allow_it_now(void **state)
{
    struct world world = remember_world("memory:");
    stele_message *command = withdraw_command_with_id(50, ID);
    struct stele_outcome outcome;
    stele_error *error = NULL;
    char *text;

    (void)state;
    execute(&world, "account-1", deposit_command(10, 1));
    assert_failure(STELE_REJECTED, stele_execute(world.accounts, "account-1", command, NULL, &error), error);
    assert_message(error, "insufficient funds");
    text = strdup(stele_error_message(error));
    stele_error_free(error);
    error = NULL;
    execute(&world, "account-1", deposit_command(100, 1));
    assert_failure(STELE_REJECTED, stele_execute(world.accounts, "account-1", command, NULL, &error), error);
    assert_string_equal(stele_error_message(error), text);
    stele_error_free(error);
    outcome = outcome_of(&world, ID);
    assert_true(outcome.rejected);
    assert_int_equal(outcome.version, 1);
    assert_int_equal(balance(&world, "account-1"), 110);
    free(text);
    stele_message_unref(command);
    world_close(&world);
}

static void B7_a_rejection_on_a_missing_stream_makes_no_stream(void **state)
{
    struct world world = remember_world("memory:");
    stele_message *command = withdraw_command_with_id(1, ID);
    stele_error *error = NULL;

    (void)state;
    assert_status(STELE_REJECTED, stele_execute(world.accounts, "account-1", command, NULL, &error), error);
    assert_int_equal(head(&world), 0);
    assert_true(outcome_of(&world, ID).rejected);
    stele_message_unref(command);
    world_close(&world);
}

static void B7_a_command_that_decides_nothing_is_remembered(void **state)
{
    struct world world = remember_world("memory:");
    stele_message *command = look_command();
    struct stele_appended result;
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele_execute(world.accounts, "account-1", command, &result, &error), error);
    assert_false(result.replayed);
    assert_ok(stele_execute(world.accounts, "account-1", command, &result, &error), error);
    assert_true(result.replayed);
    assert_int_equal(result.version, 0);
    assert_int_equal(head(&world), 0);
    stele_message_unref(command);
    world_close(&world);
}

static void B7_another_body_or_another_stream_is_id_reuse(void **state)
{
    struct world world = remember_world("memory:");
    stele_message *other = deposit_command_with_id(11, ID);
    stele_message *same = deposit_command_with_id(10, ID);
    stele_error *error = NULL;

    (void)state;
    execute(&world, "account-1", deposit_command_with_id(10, ID));
    assert_failure(STELE_ID_REUSE, stele_execute(world.accounts, "account-1", other, NULL, &error), error);
    assert_string_equal(stele_error_get(error, "id"), ID);
    stele_error_free(error);
    error = NULL;
    assert_status(STELE_ID_REUSE, stele_execute(world.accounts, "account-2", same, NULL, &error), error);
    assert_int_equal(head(&world), 1);
    stele_message_unref(other);
    stele_message_unref(same);
    world_close(&world);
}

static void B7_the_first_answer_is_given_whatever_version_is_stated(void **state)
{
    struct world world = remember_world("memory:");
    stele_message *command = deposit_command_with_id(10, ID);
    const struct stele_execution execution = {world.accounts, "account-1", command};
    const struct stele_execute_options at = {.size = sizeof(at), .has_version = true, .version = 0};
    struct stele_appended result;
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele_execute_all(&execution, 1, &at, &result, &error), error);
    execute(&world, "account-1", deposit_command(1, 1));
    assert_ok(stele_execute_all(&execution, 1, &at, &result, &error), error);
    assert_true(result.replayed);
    assert_int_equal(result.version, 1);
    stele_message_unref(command);
    world_close(&world);
}

static void B7_a_conflict_with_the_stated_version_is_not_remembered(void **state)
{
    struct world world = remember_world("memory:");
    stele_message *command = deposit_command_with_id(10, ID);
    const struct stele_execution execution = {world.accounts, "account-1", command};
    struct stele_execute_options at = {.size = sizeof(at), .has_version = true, .version = 1};
    struct stele_appended result;
    stele_error *error = NULL;

    (void)state;
    assert_status(STELE_CONFLICT, stele_execute_all(&execution, 1, &at, NULL, &error), error);
    at.version = 0;
    assert_ok(stele_execute_all(&execution, 1, &at, &result, &error), error);
    assert_false(result.replayed);
    stele_message_unref(command);
    world_close(&world);
}

static void B7_the_first_command_stands_for_all_of_a_call(void **state)
{
    struct world world = remember_world("memory:");
    stele_message *withdraw = withdraw_command_with_id(30, ID);
    stele_message *deposit = deposit_command(30, 1);
    stele_message *more = deposit_command(31, 1);
    const struct stele_execution transfer[] = {{world.accounts, "account-1", withdraw},
                                               {world.accounts, "account-2", deposit}};
    const struct stele_execution other[] = {transfer[0], {world.accounts, "account-2", more}};
    struct stele_appended first, again;
    stele_error *error = NULL;

    (void)state;
    execute(&world, "account-1", deposit_command(100, 1));
    assert_ok(stele_execute_all(transfer, 2, NULL, &first, &error), error);
    assert_ok(stele_execute_all(transfer, 2, NULL, &again, &error), error);
    assert_true(again.replayed);
    assert_int_equal(again.first_position, 2);
    assert_int_equal(again.last_position, 3);
    assert_true(again.created);
    assert_status(STELE_ID_REUSE, stele_execute_all(other, 2, NULL, NULL, &error), error);
    assert_status(STELE_ID_REUSE, stele_execute_all(transfer, 1, NULL, NULL, &error), error);
    assert_int_equal(balance(&world, "account-1"), 70);
    assert_int_equal(balance(&world, "account-2"), 30);
    stele_message_unref(withdraw);
    stele_message_unref(deposit);
    stele_message_unref(more);
    world_close(&world);
}

static void B7_a_rejection_of_one_command_of_a_call_saves_no_event_of_the_others(void **state)
{
    struct world world = remember_world("memory:");
    stele_message *deposit = deposit_command_with_id(30, ID);
    stele_message *withdraw = withdraw_command(30);
    const struct stele_execution both[] = {{world.accounts, "account-1", deposit},
                                           {world.accounts, "account-2", withdraw}};
    stele_error *error = NULL;

    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_failure(STELE_REJECTED, stele_execute_all(both, 2, NULL, NULL, &error), error);
        assert_message(error, "insufficient funds");
        stele_error_free(error);
        error = NULL;
    }
    assert_int_equal(head(&world), 0);
    stele_message_unref(deposit);
    stele_message_unref(withdraw);
    world_close(&world);
}

static void A6_B7_a_forgotten_command_is_known_by_its_events_and_remembered_again(void **state)
{
    struct world world = remember_world("memory:");
    struct stele_appended result;

    (void)state;
    execute(&world, "account-1", deposit_command_with_id(10, ID));
    execute(&world, "account-1", deposit_command(1, 1));
    assert_int_equal(forget_all(&world), 2);
    result = execute(&world, "account-1", deposit_command_with_id(10, ID));
    assert_true(result.repeated);
    assert_false(result.replayed);
    assert_int_equal(result.version, 1);
    result = execute(&world, "account-1", deposit_command_with_id(10, ID));
    assert_true(result.replayed);
    assert_int_equal(result.version, 1);
    assert_int_equal(balance(&world, "account-1"), 11);
    world_close(&world);
}

static void B7_without_the_option_nothing_is_remembered(void **state)
{
    struct world world = world_open("memory:");

    (void)state;
    execute(&world, "account-1", deposit_command_with_id(10, ID));
    assert_true(execute(&world, "account-1", deposit_command_with_id(10, ID)).repeated);
    assert_int_equal(forget_all(&world), 0);
    world_close(&world);
}

static void B7_outcomes_outlive_the_process(void **state)
{
    struct world world = remember_world(support_temp_path("accounts.db"));
    stele_message *command = withdraw_command_with_id(50, ID);
    stele_error *error = NULL;

    (void)state;
    execute(&world, "account-1", deposit_command_with_id(10, "d-1"));
    assert_status(STELE_REJECTED, stele_execute(world.accounts, "account-1", command, NULL, &error), error);
    world_close(&world);
    world = remember_world(support_temp_path("accounts.db"));
    assert_true(execute(&world, "account-1", deposit_command_with_id(10, "d-1")).replayed);
    execute(&world, "account-1", deposit_command(100, 1));
    assert_failure(STELE_REJECTED, stele_execute(world.accounts, "account-1", command, NULL, &error), error);
    assert_message(error, "insufficient funds");
    stele_error_free(error);
    stele_message_unref(command);
    world_close(&world);
}

/* --- Several senders --------------------------------------------------------------------- */

enum { SENDERS = 6, COMMANDS = 40 };

struct sender {
    pthread_t thread;
    struct world *world;
    stele_message *commands[COMMANDS];
    size_t first;
    size_t failed;
};

static void *send_all(void *context)
{
    const struct stele_execute_options patient = {.size = sizeof(patient), .attempts = 1000};
    struct sender *sender = context;

    for (size_t i = 0; i < COMMANDS; i++) {
        const struct stele_execution execution = {sender->world->accounts, "account-1", sender->commands[i]};
        struct stele_appended result = {0};
        const stele_status status = stele_execute_all(&execution, 1, &patient, &result, NULL);

        sender->failed += status != STELE_OK;
        sender->first += status == STELE_OK && !result.replayed && !result.repeated;
    }
    return NULL;
}

static void B7_threads_that_send_the_same_commands_apply_each_once(void **state)
{
    static struct sender senders[SENDERS];
    struct world world = remember_world("memory:");
    size_t first = 0;

    (void)state;
    for (size_t i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){.world = &world};
        for (size_t j = 0; j < COMMANDS; j++) {
            char id[24];

            snprintf(id, sizeof(id), "command %zu", j);
            senders[i].commands[j] = deposit_command_with_id(1, id);
        }
    }
    for (size_t i = 0; i < SENDERS; i++)
        assert_int_equal(pthread_create(&senders[i].thread, NULL, send_all, &senders[i]), 0);
    for (size_t i = 0; i < SENDERS; i++) {
        pthread_join(senders[i].thread, NULL);
        assert_int_equal(senders[i].failed, 0);
        first += senders[i].first;
        for (size_t j = 0; j < COMMANDS; j++)
            stele_message_unref(senders[i].commands[j]);
    }
    assert_int_equal(first, COMMANDS);
    assert_int_equal(balance(&world, "account-1"), COMMANDS);
    world_close(&world);
}

/* --- Memory -------------------------------------------------------------------------------- */

struct attempt {
    stele_message *deposit, *withdraw;
};

static stele_status accept_and_refuse(void *context, stele_error **error)
{
    const struct stele_repository_options options = {.size = sizeof(options), .remember_commands = true};
    const struct attempt *attempt = context;
    stele_store *store = NULL;
    stele_repository *accounts = NULL;
    stele_status status = stele_store_open("memory:", NULL, &store, error);

    if (status == STELE_OK)
        status = stele_repository_new(store, &account_aggregate, &options, &accounts, error);
    if (status == STELE_OK)
        status = stele_execute(accounts, "account-1", attempt->deposit, NULL, error);
    if (status == STELE_OK)
        status = stele_execute(accounts, "account-1", attempt->withdraw, NULL, error);
    if (status == STELE_REJECTED) {
        stele_error_free(*error);
        *error = NULL;
        status = STELE_OK;
    }
    stele_repository_free(accounts);
    stele_store_close(store);
    return status;
}

static void running_out_of_memory_is_no_outcome(void **state)
{
    struct attempt attempt = {deposit_command(1, 1), withdraw_command(100)};

    (void)state;
    assert_true(support_every_allocation_fails(accept_and_refuse, &attempt) > 5);
    stele_message_unref(attempt.deposit);
    stele_message_unref(attempt.withdraw);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(B7_a_command_sent_again_gets_the_first_result),
        support_test(B7_a_rejection_is_remembered_though_the_state_would_allow_it_now),
        support_test(B7_a_rejection_on_a_missing_stream_makes_no_stream),
        support_test(B7_a_command_that_decides_nothing_is_remembered),
        support_test(B7_another_body_or_another_stream_is_id_reuse),
        support_test(B7_the_first_answer_is_given_whatever_version_is_stated),
        support_test(B7_a_conflict_with_the_stated_version_is_not_remembered),
        support_test(B7_the_first_command_stands_for_all_of_a_call),
        support_test(B7_a_rejection_of_one_command_of_a_call_saves_no_event_of_the_others),
        support_test(A6_B7_a_forgotten_command_is_known_by_its_events_and_remembered_again),
        support_test(B7_without_the_option_nothing_is_remembered),
        support_test(B7_outcomes_outlive_the_process),
        support_test(B7_threads_that_send_the_same_commands_apply_each_once),
        support_test(running_out_of_memory_is_no_outcome),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
