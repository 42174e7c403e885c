/* Phases until nothing comes of them (FWK-10). */
#include "tests/unit/bus/fixture.h"

#include <inttypes.h>
#include <stdio.h>

/* Publishes as many messages as are left, one a phase. */
struct collector {
    int left;
    uint64_t phases[8];
    size_t count;
};

static stele_status flush(struct collector *collector, const struct stele_phase *phase, stele_context *context)
{
    collector->phases[collector->count++] = phase->number;
    if (collector->left == 0)
        return STELE_OK;
    collector->left--;
    return STELE_PUBLISH(context, note, .text = "group", .number = 1);
}
STELE_DEFINE_HANDLER_WITH(flush, stele_phase, collector)

static const struct stele_route collecting = {
    .name = "collecting", .on = "stele.phase", .handle = flush_handle, .delivery = STELE_QUEUED};
static const struct stele_route taking = {
    .name = "taking", .on = "note.taken", .handle = fixture_record, .delivery = STELE_QUEUED};

static void FWK10_without_work_there_is_one_phase(void **state)
{
    struct collector collector = {.left = 0};
    uint64_t phases = 0;
    stele_error *error = NULL;

    (void)state;
    fixture_add(&collecting, &collector);
    assert_ok(stele_run_phases(fixture_bus, 0, NULL, &phases, &error), error);
    assert_int_equal(phases, 1);
    assert_int_equal(collector.count, 1);
    assert_int_equal(collector.phases[0], 1);
}

static void FWK10_work_in_a_phase_gives_another(void **state)
{
    struct collector collector = {.left = 2};
    uint64_t phases = 0;
    stele_error *error = NULL;

    (void)state;
    fixture_add(&collecting, &collector);
    fixture_add_as(&taking, "t");
    assert_ok(stele_run_phases(fixture_bus, 0, NULL, &phases, &error), error);
    assert_int_equal(phases, 3);
    assert_int_equal(collector.count, 3);
    assert_int_equal(collector.phases[2], 3);
    assert_string_equal(fixture_recorded(), "t1 t1");
}

/* Somebody who publishes without end from outside would keep a count of all messages from ever coming to rest. */
static void FWK10_what_others_publish_does_not_count(void **state)
{
    struct collector collector = {.left = 0};
    stele_message *fed = fixture_event("note.taken");
    uint64_t phases = 0;
    stele_error *error = NULL;

    (void)state;
    fixture_add(&collecting, &collector);
    fixture_add_as(&taking, "t");
    assert_ok(stele_schedule_every(fixture_bus, 1, fed, NULL, &error), error);
    assert_ok(stele_publish(fixture_bus, fed, NULL, &error), error);
    assert_ok(stele_run_phases(fixture_bus, 0, NULL, &phases, &error), error);
    assert_int_equal(phases, 1);
    stele_message_unref(fed);
}

static void note_end(void *resource)
{
    fixture_write(resource);
}

static stele_status note_all(void *resource, const stele_message *message, stele_context *context)
{
    const struct stele_phase *phase = NULL;
    const void *untyped = NULL;
    char word[16] = "event";

    (void)resource;
    if (stele_message_is(message, &stele_phase_type) &&
        stele_context_read(context, &stele_phase_type, &untyped) == STELE_OK) {
        phase = untyped;
        snprintf(word, sizeof(word), "%" PRIu64, phase->number);
    }
    fixture_write(word);
    return STELE_OK;
}

/* One who is for all messages is told of phases, too; one who asks for nothing of it, only of the end. */
static void FWK09_phases_come_in_order_and_the_end_behind_them(void **state)
{
    static const struct stele_route all = {.name = "all", .on = ">", .handle = note_all, .stop = note_end};
    static const struct stele_route other = {
        .name = "other", .on = "else", .handle = note_all, .delivery = STELE_QUEUED, .stop = note_end};
    struct collector collector = {.left = 1};
    stele_error *error = NULL;

    (void)state;
    fixture_add_as(&all, "end");
    fixture_add(&collecting, &collector);
    fixture_add_as(&other, "other-end");
    assert_ok(stele_run_phases(fixture_bus, 0, NULL, NULL, &error), error);
    assert_ok(stele_bus_stop(fixture_bus, 1000, NULL, &error), error);
    assert_string_equal(fixture_recorded(), "1 event 2 other-end end");
}

static void phases_that_never_come_to_rest_end_at_the_limit(void **state)
{
    struct collector collector = {.left = 100};
    uint64_t phases = 7;
    stele_error *error = NULL;

    (void)state;
    fixture_add(&collecting, &collector);
    assert_failure(STELE_LIMIT, stele_run_phases(fixture_bus, 5, NULL, &phases, &error), error);
    assert_message(error, "after 5 phases");
    assert_int_equal(phases, 7);
    assert_int_equal(collector.count, 5);
    stele_error_free(error);
}

static void a_handler_that_fails_in_a_phase_ends_them(void **state)
{
    static const struct stele_route breaking = {.name = "breaking", .on = "stele.phase", .handle = fixture_break};
    static char tag[] = "x";
    stele_error *error = NULL;

    (void)state;
    fixture_add(&breaking, tag);
    assert_failure(STELE_FAILED, stele_run_phases(fixture_bus, 0, NULL, NULL, &error), error);
    assert_message(error, "broken");
    stele_error_free(error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(FWK10_without_work_there_is_one_phase),
        fixture_test(FWK10_work_in_a_phase_gives_another),
        fixture_test(FWK10_what_others_publish_does_not_count),
        fixture_test(FWK09_phases_come_in_order_and_the_end_behind_them),
        fixture_test(phases_that_never_come_to_rest_end_at_the_limit),
        fixture_test(a_handler_that_fails_in_a_phase_ends_them),
    };

    return cmocka_run_group_tests_name("phases", tests, NULL, NULL);
}
