/*
 * Scenarios that say nothing sensible, that run out of memory, and how failures are told.
 */
#include "tests/unit/testkit/parcel.h"
#include "tests/unit/testkit/told.h"

#include <stele/runtime.h>
#include <stele/spi/store.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The steps at a line of their own choice. */
#define AT(line, step, type, ...) \
    stele_scenario_##step(scenario, &type##_type, &(const struct type){__VA_ARGS__}, (line))

static void a_step_behind_the_command_cannot_be_given(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, parcel) {
        AT(11, when, send_parcel, .label = "A");
        AT(12, given, parcel_packed, .address = "Main St");
        STELE_THEN_NOTHING(scenario);
    }
    assert_told("    line 12: given parcel.packed: the command came already, at line 11\n");
}

static void a_step_behind_what_is_expected_cannot_be_given(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, parcel) {
        AT(11, then_state, parcel, .is_sent = true);
        AT(12, given, parcel_packed, .address = "Main St");
    }
    assert_told("    line 12: given parcel.packed: what is expected was said already, at line 11\n");
}

static void there_is_one_command(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, parcel) {
        AT(11, when, send_parcel, .label = "A");
        AT(12, when, send_parcel, .label = "B");
        STELE_THEN_NOTHING(scenario);
    }
    assert_told("    line 12: when parcel.send: there is a command already, at line 11\n");
}

static void a_command_is_before_what_is_expected(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, parcel) {
        AT(11, then_state, parcel, .is_sent = true);
        AT(12, when, send_parcel, .label = "A");
    }
    assert_told("    line 12: when parcel.send: what is expected was said before it, at line 11\n");
}

static void what_follows_from_a_command_needs_one(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, parcel) {
        AT(11, then, parcel_labelled, .label = "A");
    }
    assert_told("    line 11: then: no command came; STELE_WHEN is before it\n");
}

static void expectations_do_not_contradict_each_other(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, parcel) {
        AT(11, when, send_parcel, .label = "A");
        AT(12, then, parcel_labelled, .label = "A");
        stele_scenario_then_rejected(scenario, "no", 13);
    }
    assert_told("    line 13: then: events were expected already, at line 12\n");
}

static void an_outcome_is_said_once(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, parcel) {
        AT(11, when, send_parcel, .label = "A");
        stele_scenario_then_rejected(scenario, "no", 12);
        stele_scenario_then_rejected(scenario, "no", 13);
    }
    assert_told("    line 13: then: a rejection was expected already, at line 12\n");
}

static void a_state_is_said_once(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, parcel) {
        AT(11, then_state, parcel, .is_sent = false);
        AT(12, then_state, parcel, .is_sent = false);
    }
    assert_told("    line 12: then parcel: the state was said already\n");
}

static void success_and_rejection_are_no_failures(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, parcel) {
        AT(11, when, send_parcel, .label = "A");
        stele_scenario_then_fails(scenario, STELE_REJECTED, 12);
    }
    assert_told("    line 12: then fails: REJECTED is no failure\n");
}

static void a_given_event_is_one_the_aggregate_knows(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, parcel) {
        AT(11, given, parcel_lost, .stele_unused = 0);
    }
    assert_told("    line 11: given parcel.lost: the aggregate has no evolve function for version 1 of it, and no "
                "upcaster reads it\n");
}

static void a_given_event_of_an_old_shape_needs_an_upcaster(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, parcel) {
        stele_scenario_given_json(scenario, "parcel.packed", 1, "{\"to\":\"Main St\"}", 11);
    }
    assert_told("    line 11: given parcel.packed: the aggregate has no evolve function for version 1 of it, and no "
                "upcaster reads it\n");
}

static void a_command_is_no_given_event(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, parcel) {
        AT(11, given, send_parcel, .label = "A");
    }
    assert_told("    line 11: given parcel.send: that is no event\n");
}

static void an_event_is_no_command(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, parcel) {
        AT(11, when, parcel_packed, .address = "Main St");
    }
    assert_told("    line 11: when parcel.packed: that is no command\n");
}

static void a_command_is_one_the_aggregate_decides(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, parcel) {
        AT(11, when, burn_parcel, .stele_unused = 0);
    }
    assert_told("    line 11: when parcel.burn: the aggregate has no decide function for it\n");
}

static void an_expected_event_is_one_the_aggregate_knows(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, parcel) {
        AT(11, when, send_parcel, .label = "A");
        AT(12, then, parcel_lost, .stele_unused = 0);
    }
    assert_told("    line 12: then parcel.lost: the aggregate has no evolve function for it\n");
}

static void an_expected_state_is_that_of_the_aggregate(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, parcel) {
        AT(11, then_state, parcel_lost, .stele_unused = 0);
    }
    assert_told("    line 11: then parcel.lost: the state of the aggregate is parcel\n");
}

static void time_does_not_go_back(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, parcel) {
        stele_scenario_pass(scenario, -1, 11);
    }
    assert_told("    line 11: pass: time does not go back\n");
}

/* The words for a broken rule are the library's. */
static void a_given_event_that_breaks_a_rule_is_told(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, parcel) {
        AT(11, given, parcel_packed, .address = "");
        STELE_THEN_STATE(scenario, parcel, .is_sent = false);
    }
    assert_int_equal(1, told_count());
    assert_non_null(strstr(told_text(), "    line 11: given: "));
    assert_non_null(strstr(told_text(), "address"));
}

static void an_expected_event_that_breaks_a_rule_is_told(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, parcel) {
        AT(11, when, pack_parcel, .address = "");
        AT(12, then, parcel_packed, .address = "");
    }
    assert_int_equal(1, told_count());
    assert_non_null(strstr(told_text(), "    line 12: then: "));
    assert_non_null(strstr(told_text(), "address"));
}

static void json_that_is_none_is_told(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, parcel) {
        stele_scenario_given_json(scenario, "parcel.packed", 2, "{", 11);
    }
    assert_int_equal(1, told_count());
    assert_non_null(strstr(told_text(), "    line 11: given: "));
}

static void a_scenario_that_checks_nothing_fails(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, parcel) {
        STELE_WHEN(scenario, send_parcel, .label = "A");
    }
    assert_int_equal(1, told_count());
    assert_non_null(strstr(told_text(), ": the scenario checks nothing: STELE_THEN is missing"));
}

static void a_table_out_of_order_does_not_begin(void **state)
{
    struct stele_aggregate broken = parcel_aggregate;

    (void)state;
    broken.state = &parcel_packed_type;
    assert_null(stele_scenario_new(&broken, NULL, "broken.c", 7));
    assert_int_equal(1, told_count());
    assert_int_equal(7, told_line());
    assert_int_equal(0, strncmp("broken.c:7: the scenario cannot begin: ", told_text(), 39));
    assert_false(stele_scenario_end(NULL));
}

static void options_begin_with_their_size(void **state)
{
    const struct stele_scenario_options options = {.size = 1};

    (void)state;
    assert_null(stele_scenario_new(&parcel_aggregate, &options, "options.c", 7));
    assert_string_equal("options.c:7: the scenario cannot begin: options: begin them with STELE_OPTIONS_INIT",
                        told_text());
}

/* --- Memory ----------------------------------------------------------------------------------- */

static stele_status passing_attempt(void *context, stele_error **error)
{
    struct stele_scenario_options options = STELE_OPTIONS_INIT(struct stele_scenario_options);
    const struct good book = {.name = "book", .count = 3};
    const unsigned before = told_count();

    (void)context;
    (void)error;
    options.upcasters = parcel_upcasters;
    options.upcaster_count = 1;
    STELE_SCENARIO_WITH (scenario, parcel, &options) {
        STELE_GIVEN_JSON(scenario, "parcel.packed", 1, "{\"to\":\"Main St\"}");
        STELE_GIVEN(scenario, parcel_packed, .address = "Main St", .goods = {&book, 1});
        STELE_WHEN(scenario, send_parcel, .label = "A");
        STELE_THEN(scenario, parcel_labelled, .label = "A");
        STELE_THEN(scenario, parcel_sent, .at = STELE_SIMULATION_START);
        STELE_THEN_STATE(scenario, parcel, .address = "Main St", .first = book, .is_sent = true);
    }
    return told_count() == before ? STELE_OK : stele_backend_fail(error, STELE_NO_MEMORY, told_text());
}

static void without_memory_a_scenario_fails(void **state)
{
    (void)state;
    assert_true(support_every_allocation_fails(passing_attempt, NULL) > 0);
}

/* A failing scenario fails in any case; nothing is lost meanwhile. */
static void without_memory_a_failing_scenario_fails_too(void **state)
{
    size_t failures = 0;
    bool failed = true;

    (void)state;
    for (size_t n = 1; failed; n++) {
        const unsigned before = told_count();

        support_fail_allocation(n);
        STELE_SCENARIO (scenario, parcel) {
            STELE_WHEN(scenario, send_parcel, .label = "A");
            STELE_THEN_REJECTED(scenario, "no");
            STELE_THEN_STATE(scenario, parcel, .is_sent = true);
        }
        failed = support_allocation_failed();
        support_fail_allocation(0);
        assert_int_equal(before + 1, told_count());
        assert_int_equal(0, stele_memory_in_use());
        failures++;
    }
    assert_true(failures > 1);
}

/* --- Telling ----------------------------------------------------------------------------------- */

static jmp_buf out;

static void leave(void *context, const char *file, int line, const char *text)
{
    (void)file;
    (void)line;
    *(bool *)context = *text != '\0';
    longjmp(out, 1);
}

static void a_failure_may_leave_by_a_jump(void **state)
{
    bool told = false;

    (void)state;
    stele_testkit_on_failure(leave, &told);
    if (setjmp(out) == 0) {
        STELE_SCENARIO (scenario, parcel) {
            STELE_WHEN(scenario, send_parcel, .label = "A");
            STELE_THEN_NOTHING(scenario);
        }
        fail();
    }
    assert_true(told);
    assert_int_equal(0, stele_memory_in_use());
}

static void fail_by_default(int written)
{
    dup2(written, STDERR_FILENO);
    stele_testkit_on_failure(NULL, NULL);
    stele_scenario_new(&parcel_aggregate, &(const struct stele_scenario_options){.size = 1}, "default.c", 7);
    _exit(0);
}

static void by_default_a_failure_is_printed_and_aborts(void **state)
{
    const char expected[] = "default.c:7: the scenario cannot begin: ";
    char text[256] = "";
    int ends[2];
    int status = 0;
    pid_t child;

    (void)state;
    assert_int_equal(0, pipe(ends));
    child = fork();
    assert_true(child >= 0);
    if (child == 0)
        fail_by_default(ends[1]);
    close(ends[1]);
    assert_true(read(ends[0], text, sizeof(text) - 1) > 0);
    close(ends[0]);
    assert_int_equal(child, waitpid(child, &status, 0));
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_int_equal(0, strncmp(expected, text, strlen(expected)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        told_test(a_step_behind_the_command_cannot_be_given),
        told_test(a_step_behind_what_is_expected_cannot_be_given),
        told_test(there_is_one_command),
        told_test(a_command_is_before_what_is_expected),
        told_test(what_follows_from_a_command_needs_one),
        told_test(expectations_do_not_contradict_each_other),
        told_test(an_outcome_is_said_once),
        told_test(a_state_is_said_once),
        told_test(success_and_rejection_are_no_failures),
        told_test(a_given_event_is_one_the_aggregate_knows),
        told_test(a_given_event_of_an_old_shape_needs_an_upcaster),
        told_test(a_command_is_no_given_event),
        told_test(an_event_is_no_command),
        told_test(a_command_is_one_the_aggregate_decides),
        told_test(an_expected_event_is_one_the_aggregate_knows),
        told_test(an_expected_state_is_that_of_the_aggregate),
        told_test(time_does_not_go_back),
        told_test(a_given_event_that_breaks_a_rule_is_told),
        told_test(an_expected_event_that_breaks_a_rule_is_told),
        told_test(json_that_is_none_is_told),
        told_test(a_scenario_that_checks_nothing_fails),
        told_test(a_table_out_of_order_does_not_begin),
        told_test(options_begin_with_their_size),
        told_test(without_memory_a_scenario_fails),
        told_test(without_memory_a_failing_scenario_fails_too),
        told_test(a_failure_may_leave_by_a_jump),
        told_test(by_default_a_failure_is_printed_and_aborts),
    };

    return cmocka_run_group_tests_name("testkit scenarios", tests, NULL, NULL);
}
