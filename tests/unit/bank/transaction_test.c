/*
 * The rules of a transaction: what becomes of one reference, one test each.
 */
#include "tests/unit/bank/bank.h"

#include "examples/bank/transaction.h"

/* Two lines of a file. */
#define LINE_1 \
    { \
        .bytes = { 1 } \
    }
#define LINE_2 \
    { \
        .bytes = { 2 } \
    }

static void a_line_under_a_new_reference_is_accepted(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, transaction) {
        STELE_WHEN(scenario, accept_transaction, .reference = "R-1", .line = LINE_1);
        STELE_THEN(scenario, transaction_accepted, .line = LINE_1);
        STELE_THEN_STATE(scenario, transaction, .is_used = true, .line = LINE_1);
    }
}

static void a_reference_is_used_once(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, transaction) {
        STELE_GIVEN(scenario, transaction_accepted, .line = LINE_1);
        STELE_WHEN(scenario, accept_transaction, .reference = "R-1", .line = LINE_2);
        STELE_THEN_REJECTED(scenario, "duplicate reference: R-1");
    }
}

static void a_refused_line_uses_its_reference_up(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, transaction) {
        STELE_GIVEN(scenario, transaction_rejected, .line = LINE_1, .rule = "unknown account", .details = "");
        STELE_WHEN(scenario, accept_transaction, .reference = "R-1", .line = LINE_2);
        STELE_THEN_REJECTED(scenario, "duplicate reference: R-1");
    }
}

static void the_same_line_is_refused_with_the_same_words(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, transaction) {
        STELE_GIVEN(scenario, transaction_rejected, .line = LINE_1, .rule = "insufficient funds",
                    .details = "58271223 has 1.00, 2.00 is wanted");
        STELE_WHEN(scenario, accept_transaction, .reference = "R-1", .line = LINE_1);
        STELE_THEN_REJECTED(scenario, "insufficient funds: 58271223 has 1.00, 2.00 is wanted");
    }
}

static void a_refusal_is_noted_with_its_rule(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, transaction) {
        STELE_WHEN(scenario, reject_transaction, .line = LINE_1, .rule = "account closed", .details = "58271223");
        STELE_THEN(scenario, transaction_rejected, .line = LINE_1, .rule = "account closed", .details = "58271223");
        STELE_THEN_STATE(scenario, transaction, .is_used = true, .line = LINE_1, .rule = "account closed",
                         .details = "58271223");
    }
}

static void the_first_line_holds_the_reference(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, transaction) {
        STELE_GIVEN(scenario, transaction_accepted, .line = LINE_1);
        STELE_WHEN(scenario, reject_transaction, .line = LINE_2, .rule = "duplicate reference", .details = "R-1");
        STELE_THEN(scenario, transaction_rejected, .line = LINE_2, .rule = "duplicate reference", .details = "R-1");
        STELE_THEN_STATE(scenario, transaction, .is_used = true, .line = LINE_1);
    }
}

static void a_reference_is_letters_digits_and_hyphens(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, transaction) {
        STELE_WHEN(scenario, accept_transaction, .reference = "R 1", .line = LINE_1);
        STELE_THEN_FAILS(scenario, STELE_INVALID);
    }
    STELE_SCENARIO (scenario, transaction) {
        STELE_WHEN(scenario, accept_transaction, .reference = "", .line = LINE_1);
        STELE_THEN_FAILS(scenario, STELE_INVALID);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_under_a_new_reference_is_accepted),
        cmocka_unit_test(a_reference_is_used_once),
        cmocka_unit_test(a_refused_line_uses_its_reference_up),
        cmocka_unit_test(the_same_line_is_refused_with_the_same_words),
        cmocka_unit_test(a_refusal_is_noted_with_its_rule),
        cmocka_unit_test(the_first_line_holds_the_reference),
        cmocka_unit_test(a_reference_is_letters_digits_and_hyphens),
    };

    return cmocka_run_group_tests_name("the rules of a transaction", tests, use_cmocka, NULL);
}
