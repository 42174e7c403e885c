/*
 * What a scenario tells when something else came: expected and actual beside
 * each other. The texts are compared whole, but for their first line.
 */
#include "tests/unit/testkit/parcel.h"
#include "tests/unit/testkit/told.h"

#include <stele/runtime.h>

#include <math.h>
#include <string.h>

#define START STELE_SIMULATION_START

#define GIVEN_PACKED(scenario) STELE_GIVEN(scenario, parcel_packed, .address = "Main St")

static void what_is_as_expected_tells_nothing(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, parcel) {
        GIVEN_PACKED(scenario);
        STELE_WHEN(scenario, send_parcel, .label = "A");
        STELE_THEN(scenario, parcel_labelled, .label = "A");
        STELE_THEN(scenario, parcel_sent, .at = START);
        STELE_THEN_STATE(scenario, parcel, .address = "Main St", .is_sent = true);
    }
    STELE_SCENARIO (scenario, parcel) {
        GIVEN_PACKED(scenario);
        STELE_GIVEN(scenario, parcel_sent, .at = START);
        STELE_WHEN(scenario, send_parcel, .label = "A");
        STELE_THEN_NOTHING(scenario);
    }
    assert_not_told();
}

static void a_field_that_differs_is_marked(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, parcel) {
        GIVEN_PACKED(scenario);
        STELE_WHEN(scenario, send_parcel, .label = "A");
        STELE_THEN(scenario, parcel_labelled, .label = "B");
        STELE_THEN(scenario, parcel_sent, .at = START);
    }
    assert_told("    expected                           actual\n"
                "    \"events\": [                        \"events\": [\n"
                "      {\"parcel.labelled\": {              {\"parcel.labelled\": {\n"
                "  !     \"label\": \"B\"                       \"label\": \"A\"\n"
                "      }},                                }},\n"
                "      {\"parcel.sent\": {                  {\"parcel.sent\": {\n"
                "        \"at\": \"2026-01-01T00:00:00Z\"       \"at\": \"2026-01-01T00:00:00Z\"\n"
                "      }}                                 }}\n"
                "    ]                                  ]\n");
}

static void the_first_line_names_file_line_aggregate_and_command(void **state)
{
    const int line = __LINE__ + 3;

    (void)state;
    STELE_SCENARIO (scenario, parcel) {
        STELE_WHEN(scenario, send_parcel, .label = "A");
        STELE_THEN_NOTHING(scenario);
    }
    assert_string_equal(__FILE__, told_file());
    assert_int_equal(line, told_line());
    assert_int_equal(0, strncmp(__FILE__ ":", told_text(), strlen(__FILE__ ":")));
    assert_non_null(strstr(told_text(), ": scenario of parcel: parcel.send\n"));
}

static void events_in_another_order_differ(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, parcel) {
        GIVEN_PACKED(scenario);
        STELE_WHEN(scenario, send_parcel, .label = "A");
        STELE_THEN(scenario, parcel_sent, .at = START);
        STELE_THEN(scenario, parcel_labelled, .label = "A");
    }
    assert_told("    expected                           actual\n"
                "    \"events\": [                        \"events\": [\n"
                "  !   {\"parcel.sent\": {                  {\"parcel.labelled\": {\n"
                "  !     \"at\": \"2026-01-01T00:00:00Z\"       \"label\": \"A\"\n"
                "      }},                                }},\n"
                "  !   {\"parcel.labelled\": {              {\"parcel.sent\": {\n"
                "  !     \"label\": \"A\"                       \"at\": \"2026-01-01T00:00:00Z\"\n"
                "      }}                                 }}\n"
                "    ]                                  ]\n");
}

static void an_event_too_many_stands_alone_on_the_right(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, parcel) {
        GIVEN_PACKED(scenario);
        STELE_WHEN(scenario, send_parcel, .label = "A");
        STELE_THEN(scenario, parcel_labelled, .label = "A");
    }
    assert_told("    expected                  actual\n"
                "    \"events\": [               \"events\": [\n"
                "      {\"parcel.labelled\": {     {\"parcel.labelled\": {\n"
                "        \"label\": \"A\"              \"label\": \"A\"\n"
                "      }}                        }},\n"
                "  !                             {\"parcel.sent\": {\n"
                "  !                               \"at\": \"2026-01-01T00:00:00Z\"\n"
                "  !                             }}\n"
                "    ]                         ]\n");
}

static void an_event_that_did_not_come_stands_alone_on_the_left(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, parcel) {
        GIVEN_PACKED(scenario);
        STELE_GIVEN(scenario, parcel_sent, .at = START);
        STELE_WHEN(scenario, send_parcel, .label = "A");
        STELE_THEN(scenario, parcel_labelled, .label = "A");
    }
    assert_told("    expected                  actual\n"
                "    \"events\": [               \"events\": [\n"
                "  !   {\"parcel.labelled\": {\n"
                "  !     \"label\": \"A\"\n"
                "  !   }}\n"
                "    ]                         ]\n");
}

static void events_where_nothing_was_expected_are_shown(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, parcel) {
        GIVEN_PACKED(scenario);
        STELE_WHEN(scenario, send_parcel, .label = "A");
        STELE_THEN_NOTHING(scenario);
    }
    assert_told("    expected      actual\n"
                "    \"events\": [   \"events\": [\n"
                "  !                 {\"parcel.labelled\": {\n"
                "  !                   \"label\": \"A\"\n"
                "  !                 }},\n"
                "  !                 {\"parcel.sent\": {\n"
                "  !                   \"at\": \"2026-01-01T00:00:00Z\"\n"
                "  !                 }}\n"
                "    ]             ]\n");
}

static void a_rejection_has_exactly_the_words(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, parcel) {
        STELE_WHEN(scenario, send_parcel, .label = "A");
        STELE_THEN_REJECTED(scenario, "not packed: A");
    }
    assert_told("    expected                      actual\n"
                "  ! \"rejected\": \"not packed: A\"   \"rejected\": \"not packed: \\\"A\\\"\"\n");
}

static void a_rejection_that_did_not_come_is_told(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, parcel) {
        GIVEN_PACKED(scenario);
        STELE_GIVEN(scenario, parcel_sent, .at = START);
        STELE_WHEN(scenario, send_parcel, .label = "A");
        STELE_THEN_REJECTED(scenario, "no");
    }
    assert_told("    expected           actual\n"
                "  ! \"rejected\": \"no\"   \"events\": [\n"
                "  !                    ]\n");
}

static void a_rejection_in_place_of_events_is_told(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, parcel) {
        STELE_WHEN(scenario, send_parcel, .label = "A");
        STELE_THEN(scenario, parcel_labelled, .label = "A");
    }
    assert_told("    expected                  actual\n"
                "  ! \"events\": [               \"rejected\": \"not packed: \\\"A\\\"\"\n"
                "  !   {\"parcel.labelled\": {\n"
                "  !     \"label\": \"A\"\n"
                "  !   }}\n"
                "  ! ]\n");
}

/* The library's own words follow, which are tested where they are made. */
static void another_failure_is_told_with_its_message(void **state)
{
    const char *expected = "    expected            actual\n"
                           "  ! \"failed\": \"LIMIT\"   \"failed\": \"INVALID\"\n"
                           "    the command failed: RULE\n";
    const char *table;

    (void)state;
    STELE_SCENARIO (scenario, parcel) {
        STELE_WHEN(scenario, send_parcel, .label = "");
        STELE_THEN_FAILS(scenario, STELE_LIMIT);
    }
    assert_int_equal(1, told_count());
    table = strchr(told_text(), '\n') + 1;
    assert_int_equal(0, strncmp(expected, table, (size_t)(strstr(expected, "RULE") - expected)));
    assert_non_null(strstr(table, "label"));
}

static void an_event_decided_against_its_rules_is_a_failure(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, parcel) {
        STELE_WHEN(scenario, pack_parcel, .address = "");
        STELE_THEN_FAILS(scenario, STELE_INVALID);
    }
    assert_not_told();
}

static void a_state_is_compared_whole(void **state)
{
    const struct good book = {.name = "book", .count = 3};

    (void)state;
    STELE_SCENARIO (scenario, parcel) {
        STELE_GIVEN(scenario, parcel_packed, .address = "Main St", .goods = {&book, 1});
        STELE_WHEN(scenario, send_parcel, .label = "A");
        STELE_THEN_STATE(scenario, parcel, .address = "Élysée", .weight = {2.5, true});
    }
    assert_told("    expected                 actual\n"
                "    \"accepted\": true         \"accepted\": true\n"
                "    \"state\": {               \"state\": {\n"
                "  !   \"address\": \"Élysée\",     \"address\": \"Main St\",\n"
                "      \"first\": {               \"first\": {\n"
                "  !     \"name\": null,            \"name\": \"book\",\n"
                "  !     \"count\": 0               \"count\": 3\n"
                "      },                       },\n"
                "  !   \"weight\": 2.5,           \"weight\": null,\n"
                "  !   \"is_sent\": false         \"is_sent\": true\n"
                "    }                        }\n");
}

static void outcome_and_state_are_told_at_once(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, parcel) {
        STELE_WHEN(scenario, send_parcel, .label = "A");
        STELE_THEN_NOTHING(scenario);
        STELE_THEN_STATE(scenario, parcel, .address = "Main St");
    }
    assert_told("    expected                  actual\n"
                "  ! \"events\": [               \"rejected\": \"not packed: \\\"A\\\"\"\n"
                "  ! ]\n"
                "    \"state\": {                \"state\": {\n"
                "  !   \"address\": \"Main St\",     \"address\": null,\n"
                "      \"first\": {                \"first\": {\n"
                "        \"name\": null,             \"name\": null,\n"
                "        \"count\": 0                \"count\": 0\n"
                "      },                        },\n"
                "      \"weight\": null,           \"weight\": null,\n"
                "      \"is_sent\": false          \"is_sent\": false\n"
                "    }                         }\n");
}

static void a_state_needs_no_command(void **state)
{
    const struct good book = {.name = "book", .count = 3};

    (void)state;
    STELE_SCENARIO (scenario, parcel) {
        STELE_GIVEN(scenario, parcel_packed, .address = "Main St", .goods = {&book, 1}, .weight = {0.5, true});
        STELE_THEN_STATE(scenario, parcel, .address = "Main St", .first = {"book", 3}, .weight = {0.5, true});
    }
    assert_not_told();
}

static void a_state_before_the_first_event_is_empty(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, parcel) {
        STELE_THEN_STATE(scenario, parcel, .is_sent = false);
    }
    assert_not_told();
}

static void time_passes_when_it_is_said_to(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, parcel) {
        GIVEN_PACKED(scenario);
        STELE_PASS(scenario, 86400 * INT64_C(1000000000));
        STELE_WHEN(scenario, send_parcel, .label = "A");
        STELE_THEN(scenario, parcel_labelled, .label = "A");
        STELE_THEN(scenario, parcel_sent, .at = START + 86400 * INT64_C(1000000000));
    }
    assert_not_told();
}

static void events_of_old_shapes_go_through_the_upcasters(void **state)
{
    struct stele_scenario_options options = STELE_OPTIONS_INIT(struct stele_scenario_options);

    (void)state;
    options.upcasters = parcel_upcasters;
    options.upcaster_count = 1;
    STELE_SCENARIO_WITH (scenario, parcel, &options) {
        STELE_GIVEN_JSON(scenario, "parcel.packed", 1, "{\"to\":\"Main St\"}");
        STELE_THEN_STATE(scenario, parcel, .address = "Main St");
    }
    assert_not_told();
}

/* An upcaster that makes of today's events what the aggregate does not know. */
static void an_event_that_cannot_be_read_fails_the_scenario(void **state)
{
    static const struct stele_upcaster away = {
        .from = "parcel.labelled", .from_version = 1, .to = "parcel.tagged", .to_version = 1};
    struct stele_scenario_options options = STELE_OPTIONS_INIT(struct stele_scenario_options);

    (void)state;
    options.upcasters = &away;
    options.upcaster_count = 1;
    STELE_SCENARIO_WITH (scenario, parcel, &options) {
        GIVEN_PACKED(scenario);
        STELE_WHEN(scenario, send_parcel, .label = "A");
        STELE_THEN_NOTHING(scenario);
    }
    assert_told("    the events: an event is read as a type the aggregate does not have\n");
}

static void a_value_that_json_cannot_say_fails_the_scenario(void **state)
{
    (void)state;
    STELE_SCENARIO (scenario, parcel) {
        STELE_THEN_STATE(scenario, parcel, .weight = {NAN, true});
    }
    assert_int_equal(1, told_count());
    assert_non_null(strstr(told_text(), "    the expected state: cannot be shown"));
}

/* What is told is cut at a limit. */
static void a_text_too_long_is_cut(void **state)
{
    char words[STELE_REJECTION_MAX + 1];

    (void)state;
    memset(words, 'x', sizeof(words) - 1);
    words[sizeof(words) - 1] = '\0';
    STELE_SCENARIO (scenario, parcel) {
        STELE_WHEN(scenario, send_parcel, .label = "A");
        for (int i = 0; i < 5; i++)
            STELE_THEN(scenario, parcel_labelled, .label = words);
    }
    assert_int_equal(1, told_count());
    assert_int_equal(STELE_TESTKIT_TEXT_MAX - 1, strlen(told_text()));
    assert_string_equal("\n(cut)", told_text() + strlen(told_text()) - strlen("\n(cut)"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        told_test(what_is_as_expected_tells_nothing),
        told_test(a_field_that_differs_is_marked),
        told_test(the_first_line_names_file_line_aggregate_and_command),
        told_test(events_in_another_order_differ),
        told_test(an_event_too_many_stands_alone_on_the_right),
        told_test(an_event_that_did_not_come_stands_alone_on_the_left),
        told_test(events_where_nothing_was_expected_are_shown),
        told_test(a_rejection_has_exactly_the_words),
        told_test(a_rejection_that_did_not_come_is_told),
        told_test(a_rejection_in_place_of_events_is_told),
        told_test(another_failure_is_told_with_its_message),
        told_test(an_event_decided_against_its_rules_is_a_failure),
        told_test(a_state_is_compared_whole),
        told_test(outcome_and_state_are_told_at_once),
        told_test(a_state_needs_no_command),
        told_test(a_state_before_the_first_event_is_empty),
        told_test(time_passes_when_it_is_said_to),
        told_test(events_of_old_shapes_go_through_the_upcasters),
        told_test(an_event_that_cannot_be_read_fails_the_scenario),
        told_test(a_value_that_json_cannot_say_fails_the_scenario),
        told_test(a_text_too_long_is_cut),
    };

    return cmocka_run_group_tests_name("testkit mismatch", tests, NULL, NULL);
}
