/* Tables: what is wrong with one is said when a repository is made, before any event is read. */
#include "tests/unit/aggregate/account.h"

static const struct stele_evolution *first_evolution(void)
{
    return &account_aggregate.evolutions[0];
}

static void assert_refused(const struct stele_aggregate *aggregate, const char *why)
{
    stele_error *error = NULL;
    assert_failure(STELE_INVALID, stele_aggregate_check(aggregate, &error), error);
    assert_message(error, why);
    stele_error_free(error);
}

static void a_sound_table_is_accepted(void **state)
{
    (void)state;
    stele_error *error = NULL;
    assert_ok(stele_aggregate_check(&account_aggregate, &error), error);
    assert_ok(stele_aggregate_check(&diary_aggregate, &error), error);
}

static void ORX26_the_table_names_every_event_and_command_once(void **state)
{
    (void)state;
    assert_int_equal(3, account_aggregate.evolution_count);
    assert_int_equal(5, account_aggregate.decider_count);
    assert_ptr_equal(&account_type, account_aggregate.state);
    assert_ptr_equal(&opened_type, first_evolution()->event);
    assert_ptr_equal(&open_type, account_aggregate.deciders[0].command);
}

static void a_missing_table_or_state_is_refused(void **state)
{
    (void)state;
    assert_refused(NULL, "aggregate");
    struct stele_aggregate broken = account_aggregate;
    broken.state = NULL;
    assert_refused(&broken, "state");
    broken = account_aggregate;
    broken.evolutions = NULL;
    assert_refused(&broken, "evolutions");
    broken = account_aggregate;
    broken.deciders = NULL;
    assert_refused(&broken, "deciders");
}

static void types_of_another_kind_are_refused(void **state)
{
    (void)state;
    struct stele_aggregate broken = account_aggregate;
    broken.state = &opened_type;
    assert_refused(&broken, "test.account.opened");

    const struct stele_evolution command_as_event[] = {{&open_type, first_evolution()->evolve}};
    broken = account_aggregate;
    broken.evolutions = command_as_event;
    broken.evolution_count = 1;
    assert_refused(&broken, "test.open");

    const struct stele_decider event_as_command[] = {{&opened_type, account_aggregate.deciders[0].decide}};
    broken = account_aggregate;
    broken.deciders = event_as_command;
    broken.decider_count = 1;
    assert_refused(&broken, "test.account.opened");
}

static void missing_types_and_functions_are_refused(void **state)
{
    (void)state;
    const struct stele_evolution without_function[] = {{&opened_type, NULL}};
    const struct stele_evolution without_type[] = {{NULL, first_evolution()->evolve}};
    const struct stele_decider decider_without_function[] = {{&open_type, NULL}};
    struct stele_aggregate broken = account_aggregate;
    broken.evolution_count = 1;
    broken.evolutions = without_function;
    assert_refused(&broken, "evolve function is NULL");
    broken.evolutions = without_type;
    assert_refused(&broken, "type is NULL");
    broken = account_aggregate;
    broken.decider_count = 1;
    broken.deciders = decider_without_function;
    assert_refused(&broken, "decide function is NULL");
}

static void E1_two_types_under_one_name_are_refused(void **state)
{
    (void)state;
    struct stele_type twin = deposited_type;
    twin.name = opened_type.name;
    twin.version = 2;
    const struct stele_evolution twins[] = {*first_evolution(), {&twin, first_evolution()->evolve}};
    struct stele_aggregate broken = account_aggregate;
    broken.evolutions = twins;
    broken.evolution_count = 2;
    stele_error *error = NULL;
    assert_failure(STELE_INVALID, stele_aggregate_check(&broken, &error), error);
    assert_message(error, "twice");
    assert_string_equal("test.account.opened", stele_error_get(error, "type"));
    stele_error_free(error);
}

static void a_broken_type_is_refused_with_its_fault(void **state)
{
    (void)state;
    struct stele_type nameless = opened_type;
    nameless.name = "";
    const struct stele_evolution evolutions[] = {{&nameless, first_evolution()->evolve}};
    struct stele_aggregate broken = account_aggregate;
    broken.evolutions = evolutions;
    broken.evolution_count = 1;
    assert_refused(&broken, "test.account");
}

static void a_table_without_rows_is_accepted(void **state)
{
    (void)state;
    const struct stele_aggregate empty = {.state = &account_type};
    stele_error *error = NULL;
    assert_ok(stele_aggregate_check(&empty, &error), error);
    stele_store *store = NULL;
    stele_repository *repository = NULL;
    assert_ok(stele_store_open("memory:", NULL, &store, &error), error);
    assert_ok(stele_repository_new(store, &empty, NULL, &repository, &error), error);
    stele_repository_free(repository);
    stele_store_close(store);
}

static void a_repository_checks_its_table_store_and_options(void **state)
{
    (void)state;
    struct world world = world_open("memory:");
    struct stele_aggregate broken = account_aggregate;
    struct stele_repository_options options = STELE_OPTIONS_INIT(struct stele_repository_options);
    stele_repository *repository = NULL;
    stele_error *error = NULL;
    broken.state = NULL;
    assert_status(STELE_INVALID, stele_repository_new(world.store, &broken, NULL, &repository, &error), error);
    assert_status(STELE_INVALID, stele_repository_new(NULL, &account_aggregate, NULL, &repository, &error), error);
    assert_status(STELE_INVALID, stele_repository_new(world.store, &account_aggregate, NULL, NULL, &error), error);
    options.unknown = (enum stele_unknown)7;
    assert_status(STELE_INVALID, stele_repository_new(world.store, &account_aggregate, &options, &repository, &error),
                  error);
    options.size = 1;
    assert_status(STELE_INVALID, stele_repository_new(world.store, &account_aggregate, &options, &repository, &error),
                  error);
    assert_null(repository);
    stele_repository_free(NULL);
    world_close(&world);
}

static stele_status make_repository(void *context, stele_error **error)
{
    const struct world *world = context;
    stele_repository *repository = NULL;
    const stele_status status = stele_repository_new(world->store, &account_aggregate, NULL, &repository, error);
    stele_repository_free(repository);
    return status;
}

static void a_repository_is_made_whole_or_not_at_all(void **state)
{
    (void)state;
    struct world world = world_open("memory:");
    assert_in_range(support_every_allocation_fails(make_repository, &world), 4, 100);
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(a_sound_table_is_accepted),
        support_test(ORX26_the_table_names_every_event_and_command_once),
        support_test(a_missing_table_or_state_is_refused),
        support_test(types_of_another_kind_are_refused),
        support_test(missing_types_and_functions_are_refused),
        support_test(E1_two_types_under_one_name_are_refused),
        support_test(a_broken_type_is_refused_with_its_fault),
        support_test(a_table_without_rows_is_accepted),
        support_test(a_repository_checks_its_table_store_and_options),
        support_test(a_repository_is_made_whole_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
