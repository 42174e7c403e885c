/*
 * Commands of aggregates and what reacts to their events: stored first, then told, in the order of the log (ORX-12,
 * ORX-14); the reference's bank, which lost money by it.
 */
#include "tests/unit/bus/fixture.h"

#include <stele/aggregate.h>
#include <stele/store.h>

#include <stdio.h>
#include <string.h>

#define ACCOUNT(FIELD, T) FIELD(T, INT64, balance)
STELE_DECLARE(account, ACCOUNT);
STELE_DEFINE_STATE(account, "bank.account", 1, ACCOUNT);
#define MOVED(FIELD, T) FIELD(T, INT64, amount)
STELE_DECLARE(deposited, MOVED);
STELE_DEFINE_EVENT(deposited, "bank.deposited", 1, MOVED);
#define SENT(FIELD, T) FIELD(T, INT64, amount) FIELD(T, TEXT, to)
STELE_DECLARE(sent, SENT);
STELE_DEFINE_EVENT(sent, "bank.sent", 1, SENT);
#define DEPOSIT(FIELD, T) FIELD(T, TEXT, account) FIELD(T, INT64, amount)
STELE_DECLARE(deposit, DEPOSIT);
STELE_DEFINE_COMMAND(deposit, "bank.deposit", 1, DEPOSIT);
#define TRANSFER(FIELD, T) FIELD(T, TEXT, account) FIELD(T, INT64, amount) FIELD(T, TEXT, to)
STELE_DECLARE(transfer, TRANSFER);
STELE_DEFINE_COMMAND(transfer, "bank.transfer", 1, TRANSFER);

static void on_deposited(struct account *account, const struct deposited *event)
{
    account->balance += event->amount;
}

static void on_sent(struct account *account, const struct sent *event)
{
    account->balance -= event->amount;
}

static stele_status decide_deposit(const struct account *account, const struct deposit *command,
                                   stele_decision *decision)
{
    (void)account;
    return STELE_EMIT(decision, deposited, .amount = command->amount);
}

static stele_status decide_transfer(const struct account *account, const struct transfer *command,
                                    stele_decision *decision)
{
    if (account->balance < command->amount)
        return stele_decision_reject(decision, "insufficient funds: %d", (int)account->balance);
    return STELE_EMIT(decision, sent, .amount = command->amount, .to = command->to);
}

#define EVENTS(EVENT, A) EVENT(A, deposited, on_deposited) EVENT(A, sent, on_sent)
#define COMMANDS(COMMAND, A) COMMAND(A, deposit, decide_deposit) COMMAND(A, transfer, decide_transfer)
STELE_DEFINE_AGGREGATE(account, EVENTS, COMMANDS);

static stele_store *store;
static stele_repository *repository;

static void open_bank(void)
{
    struct stele_aggregate_route route = {.prefix = "account-", .key = "account", .delivery = STELE_QUEUED};
    stele_error *error = NULL;

    assert_ok(stele_store_open("memory:", NULL, &store, &error), error);
    assert_ok(stele_repository_new(store, &account_aggregate, NULL, &repository, &error), error);
    route.repository = repository;
    assert_ok(stele_bus_follow(fixture_bus, store, &error), error);
    assert_ok(stele_bus_add_aggregate(fixture_bus, &route, &error), error);
}

static void close_bank(void)
{
    stele_bus_free(fixture_bus);
    fixture_bus = NULL;
    stele_repository_free(repository);
    stele_store_close(store);
}

static stele_status send(const struct stele_type *type, const void *payload, stele_error **error)
{
    stele_message *message = NULL;
    stele_message *reply = NULL;
    stele_status status = stele_message_new(type, payload, NULL, &message, error);

    if (status == STELE_OK)
        status = stele_request(fixture_bus, message, NULL, &reply, error);
    stele_message_unref(reply);
    stele_message_unref(message);
    return status;
}

static int64_t balance_of(const char *stream)
{
    stele_instance *instance = NULL;
    stele_error *error = NULL;
    const struct account *account;
    int64_t balance;

    assert_ok(stele_load(repository, stream, NULL, &instance, &error), error);
    account = stele_instance_state(instance, &account_aggregate);
    balance = account->balance;
    stele_instance_free(instance);
    return balance;
}

/* Writes the event down, and whether it was in the store when it came. */
static stele_status witness(void *resource, const stele_message *message, stele_context *context)
{
    stele_message *stored = NULL;
    const stele_status status = stele_find_position(store, stele_message_position(message), &stored, NULL);
    char word[64];

    (void)resource;
    (void)context;
    snprintf(word, sizeof(word), "%.*s@%d%s", STELE_SLICE(stele_message_type(message)),
             (int)stele_message_position(message), status == STELE_OK ? "" : "?");
    fixture_write(word);
    stele_message_unref(stored);
    return STELE_OK;
}

static const struct stele_route witnessing = {
    .name = "witness", .on = "bank.*", .handle = witness, .delivery = STELE_AFTER_COMMIT};

static void ORX12_events_come_after_the_commit_and_in_its_order(void **state)
{
    const struct deposit one = {.account = "a", .amount = 10};
    const struct deposit two = {.account = "b", .amount = 20};
    const struct transfer three = {.account = "a", .amount = 5, .to = "b"};
    stele_error *error = NULL;

    (void)state;
    open_bank();
    fixture_add(&witnessing, NULL);
    assert_ok(send(&deposit_type, &one, &error), error);
    assert_ok(send(&deposit_type, &two, &error), error);
    assert_ok(send(&transfer_type, &three, &error), error);
    fixture_run();
    assert_string_equal(fixture_recorded(), "bank.deposited@1 bank.deposited@2 bank.sent@3");
    close_bank();
}

static void ORX12_a_refused_command_leads_to_no_event(void **state)
{
    const struct transfer payload = {.account = "a", .amount = 5, .to = "b"};
    stele_error *error = NULL;

    (void)state;
    open_bank();
    fixture_add(&witnessing, NULL);
    assert_failure(STELE_REJECTED, send(&transfer_type, &payload, &error), error);
    assert_message(error, "insufficient funds: 0");
    stele_error_free(error);
    fixture_run();
    assert_string_equal(fixture_recorded(), "");
    close_bank();
}

/* What one account has sent is deposited at the other. */
static stele_status forward_money(const struct sent *event, stele_context *context)
{
    return STELE_PUBLISH(context, deposit, .account = event->to, .amount = event->amount);
}
STELE_DEFINE_HANDLER(forward_money, sent);

/* Bold, 4.4: handlers published what saving had cleared already, so that accounts of 1000 and 500 ended at 750 and 500
 * after a transfer of 250. */
static void ORX12_bug_a_transfer_loses_no_money(void **state)
{
    static const struct stele_route forwarding = {
        .name = "forward", .type = &sent_type, .handle = forward_money_handle, .delivery = STELE_DURABLE};
    const struct deposit first = {.account = "a", .amount = 1000};
    const struct deposit second = {.account = "b", .amount = 500};
    const struct transfer payload = {.account = "a", .amount = 250, .to = "b"};
    stele_error *error = NULL;

    (void)state;
    open_bank();
    fixture_add(&forwarding, NULL);
    assert_ok(send(&deposit_type, &first, &error), error);
    assert_ok(send(&deposit_type, &second, &error), error);
    assert_ok(send(&transfer_type, &payload, &error), error);
    fixture_run();
    assert_int_equal(balance_of("account-a"), 750);
    assert_int_equal(balance_of("account-b"), 750);
    close_bank();
}

/* Bold, 4.4: the repository never passed an expected version, so that both of two concurrent changes succeeded. */
static void ORX14_bug_of_two_saves_on_one_version_the_second_is_a_conflict_with_facts(void **state)
{
    const struct deposit opening = {.account = "a", .amount = 10};
    const struct deposit late = {.account = "a", .amount = 1};
    stele_instance *stale = NULL;
    stele_message *command = NULL;
    stele_error *error = NULL;

    (void)state;
    open_bank();
    assert_ok(send(&deposit_type, &opening, &error), error);
    assert_ok(stele_load(repository, "account-a", NULL, &stale, &error), error);
    assert_ok(send(&deposit_type, &late, &error), error); /* by the bus, meanwhile */
    assert_ok(deposit_message(&late, NULL, &command, &error), error);
    assert_ok(stele_decide(stale, command, &error), error);
    assert_failure(STELE_CONFLICT, stele_save(&stale, 1, NULL, &error), error);
    assert_non_null(stele_error_conflict(error));
    assert_string_equal(stele_error_conflict(error)->stream, "account-a");
    assert_int_equal(stele_error_conflict(error)->expected, 1);
    assert_int_equal(stele_error_conflict(error)->actual, 2);
    stele_error_free(error);
    assert_int_equal(balance_of("account-a"), 11);
    stele_message_unref(command);
    stele_instance_free(stale);
    close_bank();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(ORX12_events_come_after_the_commit_and_in_its_order),
        fixture_test(ORX12_a_refused_command_leads_to_no_event),
        fixture_test(ORX12_bug_a_transfer_loses_no_money),
        fixture_test(ORX14_bug_of_two_saves_on_one_version_the_second_is_a_conflict_with_facts),
    };

    return cmocka_run_group_tests_name("commit", tests, NULL, NULL);
}
