/* Saving: pending events are stored at the version they were decided on, all or none. */
#include "tests/unit/aggregate/account.h"

#include <string.h>

static stele_instance *loaded_with_deposit(const struct world *world, const char *stream, int64_t amount)
{
    stele_instance *instance = load_or_new(world, stream);
    stele_error *error = NULL;
    assert_ok(decide(instance, deposit_command(amount, 1), &error), error);
    return instance;
}

static void ORX28_load_modify_save_load(void **state)
{
    (void)state;
    struct world world = world_open("memory:");
    stele_instance *instance = load_or_new(&world, "account-1");
    struct stele_appended result = {0};
    stele_error *error = NULL;
    assert_ok(decide(instance, open_command("Ada"), &error), error);
    assert_ok(decide(instance, deposit_command(40, 2), &error), error);
    assert_ok(stele_save(&instance, 1, &result, &error), error);
    assert_int_equal(3, result.version);
    assert_int_equal(1, result.first_position);
    assert_int_equal(3, result.last_position);
    assert_true(result.created);
    assert_false(result.repeated);
    assert_int_equal(0, stele_instance_pending(instance, NULL));
    assert_int_equal(3, stele_instance_version(instance));
    assert_int_equal(80, STELE_STATE_OF(account, instance)->balance);
    stele_instance_free(instance);

    instance = load(&world, "account-1");
    assert_string_equal("Ada", STELE_STATE_OF(account, instance)->owner);
    assert_int_equal(80, STELE_STATE_OF(account, instance)->balance);
    assert_int_equal(3, stele_instance_version(instance));
    stele_instance_free(instance);
    world_close(&world);
}

static void an_instance_goes_on_after_being_saved(void **state)
{
    (void)state;
    struct world world = world_open("memory:");
    stele_instance *instance = load_or_new(&world, "account-1");
    stele_error *error = NULL;
    for (int64_t i = 1; i <= 3; i++) {
        assert_ok(decide(instance, deposit_command(i, 1), &error), error);
        assert_ok(stele_save(&instance, 1, NULL, &error), error);
        assert_int_equal(i, stele_instance_version(instance));
    }
    stele_instance_free(instance);
    assert_int_equal(6, balance(&world, "account-1"));
    world_close(&world);
}

static void ORX28_saving_nothing_stores_nothing(void **state)
{
    (void)state;
    struct world world = world_open("memory:");
    stele_instance *instance = load_or_new(&world, "account-1");
    stele_error *error = NULL;
    assert_ok(stele_save(&instance, 1, NULL, &error), error);
    stele_instance_free(instance);
    instance = NULL;
    assert_int_equal(0, head(&world));
    assert_status(STELE_NOT_FOUND, stele_load(world.accounts, "account-1", NULL, &instance, &error), error);
    world_close(&world);
}

/* In the reference both saves succeeded and one of the two deposits was lost. */
static void ORX14_of_two_concurrent_load_modify_saves_one_is_a_conflict(void **state)
{
    (void)state;
    struct world world = world_open("memory:");
    execute(&world, "account-1", deposit_command(100, 1));
    stele_instance *first = loaded_with_deposit(&world, "account-1", 10);
    stele_instance *second = loaded_with_deposit(&world, "account-1", 20);
    stele_error *error = NULL;
    assert_ok(stele_save(&first, 1, NULL, &error), error);
    assert_failure(STELE_CONFLICT, stele_save(&second, 1, NULL, &error), error);
    const struct stele_conflict *conflict = stele_error_conflict(error);
    assert_non_null(conflict);
    assert_string_equal("account-1", conflict->stream);
    assert_int_equal(STELE_EXPECT_VERSION, conflict->expect);
    assert_int_equal(1, conflict->expected);
    assert_int_equal(2, conflict->actual);
    assert_int_equal(1, conflict->event_count);
    assert_string_equal("test.money.deposited", conflict->events[0].type);
    assert_int_equal(STELE_ACTION_RELOAD, stele_error_action(error));
    stele_error_free(error);
    /* the loser is as before */
    assert_int_equal(1, stele_instance_pending(second, NULL));
    assert_int_equal(120, STELE_STATE_OF(account, second)->balance);
    assert_int_equal(2, stele_instance_version(second));
    stele_instance_free(first);
    stele_instance_free(second);
    assert_int_equal(110, balance(&world, "account-1"));
    world_close(&world);
}

static void two_that_begin_the_same_stream_conflict(void **state)
{
    (void)state;
    struct world world = world_open("memory:");
    stele_instance *first = loaded_with_deposit(&world, "account-1", 10);
    stele_instance *second = loaded_with_deposit(&world, "account-1", 20);
    stele_error *error = NULL;
    assert_ok(stele_save(&second, 1, NULL, &error), error);
    assert_status(STELE_CONFLICT, stele_save(&first, 1, NULL, &error), error);
    stele_instance_free(first);
    stele_instance_free(second);
    assert_int_equal(20, balance(&world, "account-1"));
    world_close(&world);
}

static void what_was_decided_on_an_old_state_conflicts(void **state)
{
    (void)state;
    struct world world = world_open("memory:");
    struct stele_load_options options = STELE_OPTIONS_INIT(struct stele_load_options);
    stele_instance *past = NULL;
    stele_error *error = NULL;
    execute(&world, "account-1", deposit_command(100, 3));
    options.version = 2;
    assert_ok(stele_load(world.accounts, "account-1", &options, &past, &error), error);
    assert_ok(decide(past, deposit_command(1, 1), &error), error);
    assert_failure(STELE_CONFLICT, stele_save(&past, 1, NULL, &error), error);
    assert_int_equal(2, stele_error_conflict(error)->expected);
    stele_error_free(error);
    stele_instance_free(past);
    world_close(&world);
}

static void assert_picture(const char *expected, const stele_instance *instance)
{
    const struct stele_slice picture = STELE_STATE_OF(badge, instance)->picture;
    assert_int_equal(strlen(expected), picture.size);
    /* memcmp() here and not in cmocka, whose reads AddressSanitizer does not see. */
    assert_int_equal(0, memcmp(expected, picture.data, picture.size));
}

static void bytes_in_the_state_outlive_the_messages_they_came_in(void **state)
{
    (void)state;
    struct world world = world_open(support_temp_path("ledger.db"));
    struct stele_load_options options = STELE_OPTIONS_INIT(struct stele_load_options);
    stele_repository *badges = NULL;
    stele_instance *instance = NULL;
    stele_error *error = NULL;
    options.or_new = true;
    assert_ok(stele_repository_new(world.store, &badge_aggregate, NULL, &badges, &error), error);
    assert_ok(stele_load(badges, "badge-1", &options, &instance, &error), error);
    assert_ok(decide(instance, take_command("smiling"), &error), error);
    assert_ok(stele_save(&instance, 1, NULL, &error), error);
    assert_picture("smiling", instance);
    stele_instance_free(instance);
    assert_ok(stele_load(badges, "badge-1", NULL, &instance, &error), error);
    execute(&world, "account-1", deposit_command(1, 5));
    assert_picture("smiling", instance);
    stele_instance_free(instance);
    stele_repository_free(badges);
    world_close(&world);
}

/* --- Several ------------------------------------------------------------------- */

static void A2_several_instances_are_saved_in_one_step(void **state)
{
    (void)state;
    struct world world = world_open("memory:");
    stele_instance *both[] = {loaded_with_deposit(&world, "account-1", 10),
                              loaded_with_deposit(&world, "account-2", 20)};
    struct stele_appended result = {0};
    stele_error *error = NULL;
    assert_ok(decide(both[1], deposit_command(5, 1), &error), error);
    assert_ok(stele_save(both, 2, &result, &error), error);
    assert_int_equal(1, result.first_position);
    assert_int_equal(3, result.last_position);
    assert_int_equal(2, result.version);
    assert_int_equal(1, stele_instance_version(both[0]));
    assert_int_equal(2, stele_instance_version(both[1]));
    stele_instance_free(both[0]);
    stele_instance_free(both[1]);
    assert_int_equal(10, balance(&world, "account-1"));
    assert_int_equal(25, balance(&world, "account-2"));
    world_close(&world);
}

static void A2_a_conflict_of_one_keeps_all_from_being_saved(void **state)
{
    (void)state;
    struct world world = world_open("memory:");
    stele_instance *both[] = {loaded_with_deposit(&world, "account-1", 10),
                              loaded_with_deposit(&world, "account-2", 20)};
    stele_error *error = NULL;
    execute(&world, "account-2", deposit_command(1, 1));
    assert_failure(STELE_CONFLICT, stele_save(both, 2, NULL, &error), error);
    assert_string_equal("account-2", stele_error_conflict(error)->stream);
    stele_error_free(error);
    assert_int_equal(1, stele_instance_pending(both[0], NULL));
    assert_int_equal(1, stele_instance_pending(both[1], NULL));
    stele_instance_free(both[0]);
    stele_instance_free(both[1]);
    assert_int_equal(1, head(&world));
    world_close(&world);
}

static void an_instance_without_events_takes_part_as_an_expectation(void **state)
{
    (void)state;
    struct world world = world_open("memory:");
    execute(&world, "account-2", deposit_command(1, 1));
    stele_instance *both[] = {loaded_with_deposit(&world, "account-1", 10), load(&world, "account-2")};
    stele_error *error = NULL;
    execute(&world, "account-2", deposit_command(1, 1));
    assert_status(STELE_CONFLICT, stele_save(both, 2, NULL, &error), error);
    stele_instance_free(both[1]);
    both[1] = load(&world, "account-2");
    assert_ok(stele_save(both, 2, NULL, &error), error);
    assert_int_equal(2, stele_instance_version(both[1]));
    stele_instance_free(both[0]);
    stele_instance_free(both[1]);
    assert_int_equal(10, balance(&world, "account-1"));
    world_close(&world);
}

static void instances_of_different_stores_or_the_same_stream_are_refused(void **state)
{
    (void)state;
    struct world world = world_open("memory:");
    struct world other = world_open("memory:");
    stele_instance *apart[] = {loaded_with_deposit(&world, "account-1", 10),
                               loaded_with_deposit(&other, "account-2", 20)};
    stele_instance *same[] = {apart[0], loaded_with_deposit(&world, "account-1", 20)};
    stele_instance *missing[] = {apart[0], NULL};
    stele_error *error = NULL;
    assert_status(STELE_INVALID, stele_save(apart, 2, NULL, &error), error);
    assert_status(STELE_INVALID, stele_save(same, 2, NULL, &error), error);
    assert_status(STELE_INVALID, stele_save(missing, 2, NULL, &error), error);
    assert_status(STELE_INVALID, stele_save(apart, 0, NULL, &error), error);
    assert_status(STELE_INVALID, stele_save(NULL, 1, NULL, &error), error);
    assert_int_equal(0, head(&world));
    assert_int_equal(0, head(&other));
    for (int i = 0; i < 2; i++)
        stele_instance_free(apart[i]);
    stele_instance_free(same[1]);
    world_close(&other);
    world_close(&world);
}

/* --- Again ----------------------------------------------------------------------- */

static void A6_events_saved_again_count_once_in_state_and_version(void **state)
{
    (void)state;
    struct world world = world_open("memory:");
    stele_instance *instance = load_or_new(&world, "account-1");
    struct stele_appended first = {0};
    struct stele_appended again = {0};
    stele_error *error = NULL;
    assert_ok(decide(instance, open_command("Ada"), &error), error);
    assert_ok(decide(instance, deposit_command_with_id(10, "command-1"), &error), error);
    assert_ok(stele_save(&instance, 1, &first, &error), error);
    stele_instance_free(instance);
    execute(&world, "account-1", deposit_command(5, 1));

    /* the answer was lost; another process decides the same command on what it sees */
    instance = load(&world, "account-1");
    assert_ok(decide(instance, deposit_command_with_id(10, "command-1"), &error), error);
    assert_int_equal(25, STELE_STATE_OF(account, instance)->balance);
    assert_ok(stele_save(&instance, 1, &again, &error), error);
    assert_true(again.repeated);
    assert_int_equal(first.last_position, again.last_position);
    assert_int_equal(2, again.version);
    assert_int_equal(15, STELE_STATE_OF(account, instance)->balance);
    assert_string_equal("Ada", STELE_STATE_OF(account, instance)->owner);
    assert_int_equal(3, stele_instance_version(instance));
    assert_int_equal(0, stele_instance_pending(instance, NULL));
    /* and it goes on */
    assert_ok(decide(instance, deposit_command(1, 1), &error), error);
    assert_ok(stele_save(&instance, 1, NULL, &error), error);
    stele_instance_free(instance);
    assert_int_equal(16, balance(&world, "account-1"));
    assert_int_equal(4, head(&world));
    world_close(&world);
}

static void A6_a_diary_that_is_saved_again_keeps_its_memory(void **state)
{
    (void)state;
    struct world world = world_open("memory:");
    struct stele_load_options options = STELE_OPTIONS_INIT(struct stele_load_options);
    stele_repository *diaries = NULL;
    stele_instance *instance = NULL;
    stele_message *command = write_command(7);
    stele_error *error = NULL;
    options.or_new = true;
    assert_ok(stele_repository_new(world.store, &diary_aggregate, NULL, &diaries, &error), error);
    assert_ok(stele_execute(diaries, "diary-1", command, NULL, &error), error);
    assert_ok(stele_load(diaries, "diary-1", &options, &instance, &error), error);
    assert_ok(stele_decide(instance, command, &error), error);
    assert_int_equal(2, STELE_STATE_OF(diary, instance)->pages);
    assert_ok(stele_save(&instance, 1, NULL, &error), error);
    assert_int_equal(1, STELE_STATE_OF(diary, instance)->pages);
    assert_ok(decide(instance, write_command(8), &error), error);
    assert_int_equal(8, diary_number(STELE_STATE_OF(diary, instance), 0));
    assert_int_equal(7, diary_number(STELE_STATE_OF(diary, instance), 1));
    stele_message_unref(command);
    stele_instance_free(instance);
    stele_repository_free(diaries);
    world_close(&world);
}

static stele_status save_two(void *context, stele_error **error)
{
    stele_store *store = NULL;
    stele_repository *repository = NULL;
    stele_instance *both[2] = {NULL, NULL};
    const stele_message *command = context;
    struct stele_load_options options = STELE_OPTIONS_INIT(struct stele_load_options);
    stele_status status = stele_store_open("memory:", NULL, &store, error);
    options.or_new = true;
    if (status == STELE_OK)
        status = stele_repository_new(store, &account_aggregate, NULL, &repository, error);
    if (status == STELE_OK)
        status = stele_load(repository, "account-1", &options, &both[0], error);
    if (status == STELE_OK)
        status = stele_load(repository, "account-2", &options, &both[1], error);
    if (status == STELE_OK)
        status = stele_decide(both[0], command, error);
    if (status == STELE_OK)
        status = stele_save(both, 2, NULL, error);
    stele_instance_free(both[0]);
    both[0] = NULL;
    /* once more: the store has it, the instance is loaded anew */
    if (status == STELE_OK)
        status = stele_load(repository, "account-1", &options, &both[0], error);
    if (status == STELE_OK)
        status = stele_decide(both[0], command, error);
    if (status == STELE_OK) {
        status = stele_save(both, 2, NULL, error);
        assert_int_equal(status == STELE_OK ? 10 : 20, STELE_STATE_OF(account, both[0])->balance);
        assert_int_equal(status == STELE_OK ? 0 : 1, stele_instance_pending(both[0], NULL));
    }
    stele_instance_free(both[0]);
    stele_instance_free(both[1]);
    stele_repository_free(repository);
    stele_store_close(store);
    return status;
}

static void saving_without_memory_changes_nothing(void **state)
{
    (void)state;
    stele_message *command = deposit_command(10, 1);
    assert_in_range(support_every_allocation_fails(save_two, command), 10, 10000);
    stele_message_unref(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(ORX28_load_modify_save_load),
        support_test(an_instance_goes_on_after_being_saved),
        support_test(ORX28_saving_nothing_stores_nothing),
        support_test(ORX14_of_two_concurrent_load_modify_saves_one_is_a_conflict),
        support_test(two_that_begin_the_same_stream_conflict),
        support_test(what_was_decided_on_an_old_state_conflicts),
        support_test(bytes_in_the_state_outlive_the_messages_they_came_in),
        support_test(A2_several_instances_are_saved_in_one_step),
        support_test(A2_a_conflict_of_one_keeps_all_from_being_saved),
        support_test(an_instance_without_events_takes_part_as_an_expectation),
        support_test(instances_of_different_stores_or_the_same_stream_are_refused),
        support_test(A6_events_saved_again_count_once_in_state_and_version),
        support_test(A6_a_diary_that_is_saved_again_keeps_its_memory),
        support_test(saving_without_memory_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
