/* Aggregates on a bus: their commands are routed, executed, answered (B7, B8). */
#include "tests/unit/bus/fixture.h"

#include <stele/aggregate.h>
#include <stele/store.h>

#include <pthread.h>
#include <string.h>

#define ACCOUNT(FIELD, T) FIELD(T, INT64, balance)
STELE_DECLARE(account, ACCOUNT);
STELE_DEFINE_STATE(account, "bank.account", 1, ACCOUNT);
#define DEPOSITED(FIELD, T) FIELD(T, INT64, amount)
STELE_DECLARE(deposited, DEPOSITED);
STELE_DEFINE_EVENT(deposited, "bank.deposited", 1, DEPOSITED);
#define DEPOSIT(FIELD, T) FIELD(T, TEXT, account) FIELD(T, INT64, amount)
STELE_DECLARE(deposit, DEPOSIT);
STELE_DEFINE_COMMAND(deposit, "bank.deposit", 1, DEPOSIT);
STELE_DECLARE(withdraw, DEPOSIT);
STELE_DEFINE_COMMAND(withdraw, "bank.withdraw", 1, DEPOSIT);

static void on_deposited(struct account *account, const struct deposited *event)
{
    account->balance += event->amount;
}

static stele_status decide_deposit(const struct account *account, const struct deposit *command,
                                   stele_decision *decision)
{
    (void)account;
    return STELE_EMIT(decision, deposited, .amount = command->amount);
}

static stele_status decide_withdraw(const struct account *account, const struct withdraw *command,
                                    stele_decision *decision)
{
    if (account->balance < command->amount)
        return stele_decision_reject(decision, "insufficient funds: %d", (int)account->balance);
    return command->amount ? STELE_EMIT(decision, deposited, .amount = -command->amount) : STELE_OK;
}

#define EVENTS(EVENT, A) EVENT(A, deposited, on_deposited)
#define COMMANDS(COMMAND, A) COMMAND(A, deposit, decide_deposit) COMMAND(A, withdraw, decide_withdraw)
STELE_DEFINE_AGGREGATE(account, EVENTS, COMMANDS);

static stele_store *store;
static stele_repository *repository;

static void open_bank(enum stele_delivery delivery)
{
    const struct stele_repository_options options = {.size = sizeof(options), .remember_commands = true};
    struct stele_aggregate_route route = {.prefix = "account-", .key = "account", .delivery = delivery};
    stele_error *error = NULL;

    assert_ok(stele_store_open("memory:", NULL, &store, &error), error);
    assert_ok(stele_repository_new(store, &account_aggregate, &options, &repository, &error), error);
    route.repository = repository;
    assert_ok(stele_bus_add_aggregate(fixture_bus, &route, &error), error);
}

static void close_bank(void)
{
    stele_bus_free(fixture_bus);
    fixture_bus = NULL;
    stele_repository_free(repository);
    stele_store_close(store);
}

static stele_message *command(const struct stele_type *type, const char *id, const char *account, int64_t amount)
{
    const struct stele_message_options options = {.size = sizeof(options), .id = id};
    const struct deposit payload = {.account = account, .amount = amount};
    stele_message *message = NULL;
    stele_error *error = NULL;

    assert_ok(stele_message_new(type, &payload, &options, &message, &error), error);
    return message;
}

static stele_status send(const struct stele_type *type, const char *id, int64_t amount, struct stele_accepted *accepted,
                         stele_error **error)
{
    stele_arena *arena = NULL;
    stele_message *message = command(type, id, "7", amount);
    stele_message *reply = NULL;
    stele_status status = stele_request(fixture_bus, message, NULL, &reply, error);

    if (status == STELE_OK && accepted && stele_arena_new(&arena, error) == STELE_OK) {
        status = stele_accepted_read(reply, arena, accepted, error);
        accepted->stream = "";
        stele_arena_free(arena);
    }
    stele_message_unref(message);
    stele_message_unref(reply);
    return status;
}

static void a_command_is_accepted_or_rejected(enum stele_delivery delivery)
{
    struct stele_accepted accepted = {0};
    stele_error *error = NULL;

    open_bank(delivery);
    assert_ok(send(&deposit_type, NULL, 50, &accepted, &error), error);
    assert_int_equal(accepted.version, 1);
    assert_true(accepted.created);
    assert_ok(send(&withdraw_type, NULL, 20, &accepted, &error), error);
    assert_int_equal(accepted.version, 2);
    assert_false(accepted.created);
    assert_failure(STELE_REJECTED, send(&withdraw_type, NULL, 31, NULL, &error), error);
    assert_message(error, "insufficient funds: 30");
    assert_string_equal(stele_error_get(error, "route"), "bank.withdraw");
    stele_error_free(error);
    close_bank();
}

static void B8_commands_are_loaded_decided_and_appended_inline(void **state)
{
    (void)state;
    a_command_is_accepted_or_rejected(STELE_INLINE);
}

static void B8_commands_are_loaded_decided_and_appended_in_mailboxes(void **state)
{
    (void)state;
    a_command_is_accepted_or_rejected(STELE_QUEUED);
}

static void B7_the_same_command_again_is_the_first_outcome(void **state)
{
    struct stele_accepted accepted = {0};
    stele_error *error = NULL;

    (void)state;
    open_bank(STELE_QUEUED);
    assert_ok(send(&deposit_type, "c-1", 50, &accepted, &error), error);
    assert_false(accepted.repeated);
    assert_ok(send(&deposit_type, NULL, 1, &accepted, &error), error);
    assert_ok(send(&deposit_type, "c-1", 50, &accepted, &error), error);
    assert_true(accepted.repeated);
    assert_int_equal(accepted.version, 1);
    assert_status(STELE_ID_REUSE, send(&deposit_type, "c-1", 51, NULL, &error), error);
    close_bank();
}

static void B8_no_events_make_no_stream(void **state)
{
    struct stele_accepted accepted = {0};
    stele_error *error = NULL;

    (void)state;
    open_bank(STELE_INLINE);
    assert_ok(send(&withdraw_type, NULL, 0, &accepted, &error), error);
    assert_int_equal(accepted.version, 0);
    assert_false(accepted.created);
    close_bank();
}

static void B1_an_aggregate_is_the_handler_of_its_commands(void **state)
{
    static const struct stele_route other = {.name = "other", .on = "bank.deposit", .handle = fixture_record};
    struct stele_aggregate_route keyless = {.key = "nothing"};
    stele_error *error = NULL;
    struct stele_bus_stats stats;

    (void)state;
    open_bank(STELE_QUEUED);
    assert_status(STELE_INVALID, stele_bus_add_route(fixture_bus, &other, NULL, NULL, &error), error);
    keyless.repository = repository;
    assert_status(STELE_INVALID, stele_bus_add_aggregate(fixture_bus, &keyless, &error), error);
    keyless.key = "account";
    assert_status(STELE_INVALID, stele_bus_add_aggregate(fixture_bus, &keyless, &error), error);
    assert_status(STELE_INVALID, stele_bus_add_aggregate(fixture_bus, NULL, &error), error);
    stele_bus_get_stats(fixture_bus, &stats);
    assert_int_equal(stats.routes, 2);
    close_bank();
}

enum { SENDERS = 4, EACH = 50 };

static void *deposit_often(void *context)
{
    (void)context;
    for (int i = 0; i < EACH; i++) {
        stele_message *message = command(i % 2 ? &deposit_type : &withdraw_type, NULL, "7", i % 2 ? 1 : 0);

        stele_deliver(fixture_bus, message, NULL, NULL, NULL);
        stele_message_unref(message);
    }
    return NULL;
}

/* Bold, 4.4: two concurrent changes of one aggregate both succeeded on the same version. */
static void commands_of_one_stream_never_race_each_other(void **state)
{
    struct stele_repository_stats stats;
    struct stele_accepted accepted = {0};
    pthread_t threads[SENDERS];
    stele_error *error = NULL;

    (void)state;
    open_bank(STELE_QUEUED);
    for (size_t i = 0; i < SENDERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, deposit_often, NULL), 0);
    for (size_t i = 0; i < SENDERS; i++)
        pthread_join(threads[i], NULL);
    assert_ok(send(&deposit_type, NULL, 1, &accepted, &error), error);
    assert_int_equal(accepted.version, SENDERS * EACH / 2 + 1);
    assert_ok(stele_repository_stats(repository, &stats, &error), error);
    assert_int_equal(stats.conflicts, 0);
    close_bank();
}

static stele_status add_once(void *context, stele_error **error)
{
    struct stele_aggregate_route route = {.repository = context, .key = "account", .delivery = STELE_QUEUED};
    stele_bus *bus = NULL;
    stele_status status = stele_bus_new(fixture_runtime, NULL, &bus, error);

    if (status == STELE_OK)
        status = stele_bus_add_aggregate(bus, &route, error);
    stele_bus_free(bus);
    return status;
}

/* One that is only read, or written by other programs. */
static void an_aggregate_without_commands_has_no_routes(void **state)
{
    struct stele_aggregate reading = account_aggregate;
    struct stele_aggregate_route route = {.delivery = STELE_QUEUED};
    struct stele_bus_stats stats;
    stele_error *error = NULL;

    (void)state;
    reading.decider_count = 0;
    reading.deciders = NULL;
    assert_ok(stele_store_open("memory:", NULL, &store, &error), error);
    assert_ok(stele_repository_new(store, &reading, NULL, &repository, &error), error);
    route.repository = repository;
    assert_ok(stele_bus_add_aggregate(fixture_bus, &route, &error), error);
    stele_bus_get_stats(fixture_bus, &stats);
    assert_int_equal(stats.routes, 0);
    close_bank();
}

static void memory_may_run_out_while_an_aggregate_is_added(void **state)
{
    (void)state;
    open_bank(STELE_QUEUED);
    assert_true(support_every_allocation_fails(add_once, repository) > 5);
    close_bank();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(B8_commands_are_loaded_decided_and_appended_inline),
        fixture_test(B8_commands_are_loaded_decided_and_appended_in_mailboxes),
        fixture_test(B7_the_same_command_again_is_the_first_outcome),
        fixture_test(B8_no_events_make_no_stream),
        fixture_test(B1_an_aggregate_is_the_handler_of_its_commands),
        fixture_thread_test(commands_of_one_stream_never_race_each_other),
        fixture_test(an_aggregate_without_commands_has_no_routes),
        fixture_test(memory_may_run_out_while_an_aggregate_is_added),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
