/*
 * The rules of an account, one test each. Amounts are in cents.
 */
#include "tests/unit/bank/bank.h"

#include "examples/bank/account.h"
#include "examples/bank/history.h"

#define ADA "58271223"
#define BOB "11905703"

#define GIVEN_ACCOUNT(scenario) \
    STELE_GIVEN(scenario, account_opened, .number = ADA, .owner = "Ada", .currency = BANK_CURRENCY)
#define GIVEN_BALANCE(scenario, cents) STELE_GIVEN(scenario, money_deposited, .amount = (cents), .text = "Salary")
#define GIVEN_SUSPENDED(scenario) STELE_GIVEN(scenario, account_suspended, .text = "Fraud suspected")
#define GIVEN_CLOSED(scenario) STELE_GIVEN(scenario, account_closed, .text = "Moved away")

/* --- Opening ------------------------------------------------------------------------------ */

static void an_account_is_opened_for_an_owner(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, account) {
        STELE_WHEN(scenario, open_account, .number = ADA, .owner = "Ada");
        STELE_THEN(scenario, account_opened, .number = ADA, .owner = "Ada", .currency = BANK_CURRENCY);
        STELE_THEN_STATE(scenario, account, .number = ADA, .owner = "Ada");
    }
}

static void a_number_is_opened_once(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, account) {
        GIVEN_ACCOUNT(scenario);
        STELE_WHEN(scenario, open_account, .number = ADA, .owner = "Bob");
        STELE_THEN_REJECTED(scenario, "account exists: " ADA);
    }
}

static void a_closed_number_is_not_opened_again(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, account) {
        GIVEN_ACCOUNT(scenario);
        GIVEN_CLOSED(scenario);
        STELE_WHEN(scenario, open_account, .number = ADA, .owner = "Ada");
        STELE_THEN_REJECTED(scenario, "account exists: " ADA);
    }
}

static void a_number_has_eight_digits(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, account) {
        STELE_WHEN(scenario, open_account, .number = "5827122", .owner = "Ada");
        STELE_THEN_FAILS(scenario, STELE_INVALID);
    }
    STELE_SCENARIO (scenario, account) {
        STELE_WHEN(scenario, open_account, .number = "5827122x", .owner = "Ada");
        STELE_THEN_FAILS(scenario, STELE_INVALID);
    }
}

static void an_owner_has_a_name_without_control_characters(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, account) {
        STELE_WHEN(scenario, open_account, .number = ADA, .owner = "  ");
        STELE_THEN_FAILS(scenario, STELE_INVALID);
    }
    STELE_SCENARIO (scenario, account) {
        STELE_WHEN(scenario, open_account, .number = ADA, .owner = "Ada\033[2J");
        STELE_THEN_FAILS(scenario, STELE_INVALID);
    }
}

/* --- Depositing ----------------------------------------------------------------------------- */

static void a_deposit_adds_to_the_balance(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, account) {
        GIVEN_ACCOUNT(scenario);
        GIVEN_BALANCE(scenario, 100);
        STELE_WHEN(scenario, deposit, .amount = 50, .text = "Cheque 4711");
        STELE_THEN(scenario, money_deposited, .amount = 50, .text = "Cheque 4711");
        STELE_THEN_STATE(scenario, account, .number = ADA, .owner = "Ada", .balance = 150);
    }
}

static void nothing_is_deposited_to_an_unknown_account(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, account) {
        STELE_WHEN(scenario, deposit, .amount = 50, .text = "Cheque 4711");
        STELE_THEN_REJECTED(scenario, "unknown account");
    }
}

static void nothing_is_deposited_to_a_closed_account(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, account) {
        GIVEN_ACCOUNT(scenario);
        GIVEN_CLOSED(scenario);
        STELE_WHEN(scenario, deposit, .amount = 50, .text = "Cheque 4711");
        STELE_THEN_REJECTED(scenario, "account closed: " ADA);
    }
}

static void nothing_is_deposited_to_a_suspended_account(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, account) {
        GIVEN_ACCOUNT(scenario);
        GIVEN_SUSPENDED(scenario);
        STELE_WHEN(scenario, deposit, .amount = 50, .text = "Cheque 4711");
        STELE_THEN_REJECTED(scenario, "account suspended: " ADA);
    }
}

static void a_balance_stays_within_what_can_be_counted(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, account) {
        GIVEN_ACCOUNT(scenario);
        GIVEN_BALANCE(scenario, INT64_MAX - 1);
        STELE_WHEN(scenario, deposit, .amount = 1, .text = "The last cent");
        STELE_THEN(scenario, money_deposited, .amount = 1, .text = "The last cent");
    }
    STELE_SCENARIO (scenario, account) {
        GIVEN_ACCOUNT(scenario);
        GIVEN_BALANCE(scenario, INT64_MAX);
        STELE_WHEN(scenario, deposit, .amount = 1, .text = "One too many");
        STELE_THEN_REJECTED(scenario, "balance too large: " ADA);
    }
}

static void amounts_are_above_zero(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, account) {
        GIVEN_ACCOUNT(scenario);
        STELE_WHEN(scenario, deposit, .amount = 0, .text = "Nothing");
        STELE_THEN_FAILS(scenario, STELE_INVALID);
    }
    STELE_SCENARIO (scenario, account) {
        GIVEN_ACCOUNT(scenario);
        STELE_WHEN(scenario, withdraw, .amount = -1, .text = "Less than nothing");
        STELE_THEN_FAILS(scenario, STELE_INVALID);
    }
}

/* --- Withdrawing ---------------------------------------------------------------------------- */

static void a_withdrawal_takes_from_the_balance(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, account) {
        GIVEN_ACCOUNT(scenario);
        GIVEN_BALANCE(scenario, 100);
        STELE_WHEN(scenario, withdraw, .amount = 80, .text = "Shoes");
        STELE_THEN(scenario, money_withdrawn, .amount = 80, .method = METHOD_PAYMENT, .text = "Shoes");
        STELE_THEN_STATE(scenario, account, .number = ADA, .owner = "Ada", .balance = 20);
    }
}

static void a_withdrawal_in_cash_is_told_by_its_text(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, account) {
        GIVEN_ACCOUNT(scenario);
        GIVEN_BALANCE(scenario, 100);
        STELE_WHEN(scenario, withdraw, .amount = 80, .text = "Cash machine, Market Square");
        STELE_THEN(scenario, money_withdrawn, .amount = 80, .method = METHOD_CASH,
                   .text = "Cash machine, Market Square");
    }
}

static void the_whole_balance_can_be_withdrawn(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, account) {
        GIVEN_ACCOUNT(scenario);
        GIVEN_BALANCE(scenario, 100);
        STELE_WHEN(scenario, withdraw, .amount = 100, .text = "Shoes");
        STELE_THEN(scenario, money_withdrawn, .amount = 100, .method = METHOD_PAYMENT, .text = "Shoes");
        STELE_THEN_STATE(scenario, account, .number = ADA, .owner = "Ada", .balance = 0);
    }
}

static void more_than_the_balance_cannot_be_withdrawn(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, account) {
        GIVEN_ACCOUNT(scenario);
        GIVEN_BALANCE(scenario, 10000);
        STELE_WHEN(scenario, withdraw, .amount = 10001, .text = "Shoes");
        STELE_THEN_REJECTED(scenario, "insufficient funds: " ADA " has 100.00, 100.01 is wanted");
        STELE_THEN_STATE(scenario, account, .number = ADA, .owner = "Ada", .balance = 10000);
    }
}

static void nothing_is_withdrawn_from_a_suspended_account(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, account) {
        GIVEN_ACCOUNT(scenario);
        GIVEN_BALANCE(scenario, 100);
        GIVEN_SUSPENDED(scenario);
        STELE_WHEN(scenario, withdraw, .amount = 1, .text = "Shoes");
        STELE_THEN_REJECTED(scenario, "account suspended: " ADA);
    }
}

/* The first banks did not say how money was withdrawn. */
static void withdrawals_of_old_ledgers_count(void **state)
{
    struct stele_scenario_options old = STELE_OPTIONS_INIT(struct stele_scenario_options);

    (void)state;
    old.upcasters = bank_upcasters;
    old.upcaster_count = bank_upcaster_count;
    STELE_SCENARIO_WITH (scenario, account, &old) {
        GIVEN_ACCOUNT(scenario);
        GIVEN_BALANCE(scenario, 100);
        STELE_GIVEN_JSON(scenario, "bank.money.withdrawn", 1, "{\"amount\":30,\"text\":\"Cash\"}");
        STELE_WHEN(scenario, withdraw, .amount = 71, .text = "Shoes");
        STELE_THEN_REJECTED(scenario, "insufficient funds: " ADA " has 0.70, 0.71 is wanted");
    }
}

/* --- Transfers -------------------------------------------------------------------------------- */

static void a_transfer_takes_from_the_sender(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, account) {
        GIVEN_ACCOUNT(scenario);
        GIVEN_BALANCE(scenario, 100);
        STELE_WHEN(scenario, send_transfer, .amount = 60, .receiver = BOB, .text = "Rent");
        STELE_THEN(scenario, transfer_sent, .amount = 60, .receiver = BOB, .text = "Rent");
        STELE_THEN_STATE(scenario, account, .number = ADA, .owner = "Ada", .balance = 40);
    }
}

static void a_transfer_adds_to_the_receiver(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, account) {
        GIVEN_ACCOUNT(scenario);
        STELE_WHEN(scenario, receive_transfer, .amount = 60, .sender = BOB, .text = "Rent");
        STELE_THEN(scenario, transfer_received, .amount = 60, .sender = BOB, .text = "Rent");
        STELE_THEN_STATE(scenario, account, .number = ADA, .owner = "Ada", .balance = 60);
    }
}

static void more_than_the_balance_cannot_be_sent(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, account) {
        GIVEN_ACCOUNT(scenario);
        STELE_WHEN(scenario, send_transfer, .amount = 1, .receiver = BOB, .text = "Rent");
        STELE_THEN_REJECTED(scenario, "insufficient funds: " ADA " has 0.00, 0.01 is wanted");
    }
}

static void nothing_is_sent_to_oneself(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, account) {
        GIVEN_ACCOUNT(scenario);
        GIVEN_BALANCE(scenario, 100);
        STELE_WHEN(scenario, send_transfer, .amount = 60, .receiver = ADA, .text = "Rent");
        STELE_THEN_REJECTED(scenario, "transfer to itself: " ADA);
    }
}

static void nothing_is_received_by_a_closed_account(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, account) {
        GIVEN_ACCOUNT(scenario);
        GIVEN_CLOSED(scenario);
        STELE_WHEN(scenario, receive_transfer, .amount = 60, .sender = BOB, .text = "Rent");
        STELE_THEN_REJECTED(scenario, "account closed: " ADA);
    }
}

/* --- Suspending and closing --------------------------------------------------------------------- */

static void a_suspended_account_is_reactivated(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, account) {
        GIVEN_ACCOUNT(scenario);
        GIVEN_SUSPENDED(scenario);
        STELE_WHEN(scenario, reactivate_account, .text = "All well");
        STELE_THEN(scenario, account_reactivated, .text = "All well");
        STELE_THEN_STATE(scenario, account, .number = ADA, .owner = "Ada");
    }
}

static void an_active_account_is_not_reactivated(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, account) {
        GIVEN_ACCOUNT(scenario);
        STELE_WHEN(scenario, reactivate_account, .text = "All well");
        STELE_THEN_REJECTED(scenario, "account not suspended: " ADA);
    }
}

static void an_account_is_suspended_once(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, account) {
        GIVEN_ACCOUNT(scenario);
        STELE_WHEN(scenario, suspend_account, .text = "Fraud suspected");
        STELE_THEN(scenario, account_suspended, .text = "Fraud suspected");
        STELE_THEN_STATE(scenario, account, .number = ADA, .owner = "Ada", .is_suspended = true);
    }
    STELE_SCENARIO (scenario, account) {
        GIVEN_ACCOUNT(scenario);
        GIVEN_SUSPENDED(scenario);
        STELE_WHEN(scenario, suspend_account, .text = "Fraud suspected");
        STELE_THEN_REJECTED(scenario, "account suspended: " ADA);
    }
}

static void an_empty_account_is_closed(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, account) {
        GIVEN_ACCOUNT(scenario);
        STELE_WHEN(scenario, close_account, .text = "Moved away");
        STELE_THEN(scenario, account_closed, .text = "Moved away");
        STELE_THEN_STATE(scenario, account, .number = ADA, .owner = "Ada", .is_closed = true);
    }
}

static void an_account_with_money_is_not_closed(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, account) {
        GIVEN_ACCOUNT(scenario);
        GIVEN_BALANCE(scenario, 5);
        STELE_WHEN(scenario, close_account, .text = "Moved away");
        STELE_THEN_REJECTED(scenario, "balance not zero: " ADA " has 0.05");
    }
}

static void a_suspended_account_is_not_closed(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, account) {
        GIVEN_ACCOUNT(scenario);
        GIVEN_SUSPENDED(scenario);
        STELE_WHEN(scenario, close_account, .text = "Moved away");
        STELE_THEN_REJECTED(scenario, "account suspended: " ADA);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_account_is_opened_for_an_owner),
        cmocka_unit_test(a_number_is_opened_once),
        cmocka_unit_test(a_closed_number_is_not_opened_again),
        cmocka_unit_test(a_number_has_eight_digits),
        cmocka_unit_test(an_owner_has_a_name_without_control_characters),
        cmocka_unit_test(a_deposit_adds_to_the_balance),
        cmocka_unit_test(nothing_is_deposited_to_an_unknown_account),
        cmocka_unit_test(nothing_is_deposited_to_a_closed_account),
        cmocka_unit_test(nothing_is_deposited_to_a_suspended_account),
        cmocka_unit_test(a_balance_stays_within_what_can_be_counted),
        cmocka_unit_test(amounts_are_above_zero),
        cmocka_unit_test(a_withdrawal_takes_from_the_balance),
        cmocka_unit_test(a_withdrawal_in_cash_is_told_by_its_text),
        cmocka_unit_test(the_whole_balance_can_be_withdrawn),
        cmocka_unit_test(more_than_the_balance_cannot_be_withdrawn),
        cmocka_unit_test(nothing_is_withdrawn_from_a_suspended_account),
        cmocka_unit_test(withdrawals_of_old_ledgers_count),
        cmocka_unit_test(a_transfer_takes_from_the_sender),
        cmocka_unit_test(a_transfer_adds_to_the_receiver),
        cmocka_unit_test(more_than_the_balance_cannot_be_sent),
        cmocka_unit_test(nothing_is_sent_to_oneself),
        cmocka_unit_test(nothing_is_received_by_a_closed_account),
        cmocka_unit_test(a_suspended_account_is_reactivated),
        cmocka_unit_test(an_active_account_is_not_reactivated),
        cmocka_unit_test(an_account_is_suspended_once),
        cmocka_unit_test(an_empty_account_is_closed),
        cmocka_unit_test(an_account_with_money_is_not_closed),
        cmocka_unit_test(a_suspended_account_is_not_closed),
    };

    return cmocka_run_group_tests_name("the rules of an account", tests, use_cmocka, NULL);
}
