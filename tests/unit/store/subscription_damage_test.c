/* What cannot be read, what cannot be written, and memory that runs out while a subscription runs (C2, C4, ORX-36). */
#include "tests/unit/sqlite/fixture.h"
#include "tests/unit/store/subscription_stage.h"

#include <stele/deadletters.h>
#include <stele/upcast.h>

static const char *ledger(void)
{
    static char url[4096];

    snprintf(url, sizeof(url), "sqlite:%s?idle=0", fixture_path());
    return url;
}

/* Five events, the third of which is damaged. */
static void begin_damaged(struct stage *stage)
{
    begin_stage(stage, ledger());
    append_many(stage->store, 5);
    stele_store_close(stage->store);
    fixture_tamper("UPDATE event SET time = time + 1 WHERE position = 3");
    stage->store = open_store(ledger(), stage->runtime);
}

struct letter {
    unsigned count;
    char id[64];
    uint64_t position;
    bool has_message;
};

static bool take_letter(void *context, const struct stele_dead_letter *letter)
{
    struct letter *taken = context;

    taken->count++;
    taken->position = letter->position;
    taken->has_message = letter->message != NULL;
    snprintf(taken->id, sizeof(taken->id), "%s", letter->id);
    return true;
}

static struct letter letter_in(const struct stage *stage)
{
    struct letter letter = {0};
    stele_error *error = NULL;

    assert_ok(stele_dead_list_in(stage->store, NULL, take_letter, &letter, &error), error);
    return letter;
}

static void assert_passes_damage(const struct stele_subscriber *subscriber)
{
    struct stage stage;
    struct receiver receiver = {0};

    begin_damaged(&stage);
    begin_subscription(&stage, subscriber, &receiver);
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(subscriber->load ? receiver.stored : receiver.shown, "1 2 4 5 ");
    assert_int_equal(stats_of(&receiver).last_error, STELE_CORRUPT);
    assert_int_equal(stats_of(&receiver).last_error_position, 3);
    assert_int_equal(stats_of(&receiver).errors, 1);
    if (subscriber->on_failure == STELE_POISON_PARK) {
        assert_int_equal(letter_in(&stage).count, 1);
        assert_int_equal(letter_in(&stage).position, 3);
        assert_string_equal(letter_in(&stage).id, "@3");
        assert_false(letter_in(&stage).has_message);
    }
    stele_subscription_free(receiver.subscription);
    end_stage(&stage);
}

static void C4_a_damaged_row_is_parked_without_being_tried_again(void **state)
{
    static const struct stele_subscriber parks = {PLAIN};

    (void)state;
    assert_passes_damage(&parks);
}

static void C4_a_damaged_row_is_parked_by_one_that_keeps_its_position_and_reads_in_place(void **state)
{
    static const struct stele_subscriber own = {TRANSACTIONAL, .in_place = true};

    (void)state;
    assert_passes_damage(&own);
}

static void C4_a_damaged_row_is_skipped_where_that_is_the_policy(void **state)
{
    static const struct stele_subscriber skips = {PLAIN, .on_failure = STELE_POISON_SKIP, .in_place = true};

    (void)state;
    assert_passes_damage(&skips);
}

static void C4_before_a_damaged_row_it_stops_where_that_is_the_policy(void **state)
{
    static const struct stele_subscriber stops = {PLAIN, .on_failure = STELE_POISON_STOP};
    struct stage stage;
    struct receiver receiver = {0};

    (void)state;
    begin_damaged(&stage);
    begin_subscription(&stage, &stops, &receiver);
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(receiver.shown, "1 2 ");
    assert_state(&receiver, STELE_SUBSCRIPTION_FAILED);
    stele_subscription_free(receiver.subscription);
    end_stage(&stage);
}

static void a_damaged_row_that_was_mended_is_shown_when_it_is_requeued(void **state)
{
    static const struct stele_subscriber parks = {PLAIN};
    struct stage stage;
    struct receiver receiver = {0};
    stele_error *error = NULL;

    (void)state;
    begin_damaged(&stage);
    begin_subscription(&stage, &parks, &receiver);
    stele_runtime_run_until_idle(stage.runtime);
    stele_subscription_free(receiver.subscription);
    stele_store_close(stage.store);
    fixture_tamper("UPDATE event SET time = time - 1 WHERE position = 3");
    stage.store = open_store(ledger(), stage.runtime);
    begin_subscription(&stage, &parks, &receiver);
    assert_ok(stele_dead_requeue_in(stage.store, NULL, NULL, &error), error);
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(receiver.shown, "1 2 4 5 3 ");
    assert_int_equal(letter_in(&stage).count, 0);
    stele_subscription_free(receiver.subscription);
    end_stage(&stage);
}

static void a_damaged_row_has_no_time_to_begin_at(void **state)
{
    static const struct stele_subscriber late = {PLAIN, .start = STELE_START_TIME,
                                                 .time = STELE_SIMULATION_START + 7200 * SECOND};
    struct stage stage;
    struct receiver receiver = {0};

    (void)state;
    begin_stage(&stage, ledger());
    for (int i = 0; i < 4; i++)
        append_at(stage.store, STELE_SIMULATION_START + i * 3600 * SECOND);
    stele_store_close(stage.store);
    fixture_tamper("UPDATE event SET time = time + 1 WHERE position = 2");
    stage.store = open_store(ledger(), stage.runtime);
    begin_subscription(&stage, &late, &receiver);
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(receiver.shown, "3 4 ");
    stele_subscription_free(receiver.subscription);
    end_stage(&stage);
}

/* --- Old shapes -------------------------------------------------------------------------------- */

/* Events of "money.moved" have no payload: a field of it cannot be renamed. */
static const struct stele_change renamed[] = {STELE_RENAME("sum", "amount")};
static const struct stele_upcaster hopeless[] = {{.from = "money.lost",
                                                  .from_version = 1,
                                                  .to = "money.lost",
                                                  .to_version = 2,
                                                  .changes = renamed,
                                                  .change_count = 1}};

static void C4_an_event_that_cannot_be_upcast_goes_by_the_policy(void **state)
{
    static const struct stele_subscriber parks = {PLAIN};
    struct stele_store_options options = STELE_OPTIONS_INIT(struct stele_store_options);
    struct stage stage;
    struct receiver receiver = {0};
    stele_error *error = NULL;

    (void)state;
    begin_stage(&stage, ledger());
    append_to(stage.store, "a", "money.moved");
    append_to(stage.store, "a", "money.lost");
    append_to(stage.store, "a", "money.moved");
    stele_store_close(stage.store);
    options.upcasters = hopeless;
    options.upcaster_count = 1;
    assert_ok(stele_store_open(ledger(), &options, &stage.store, &error), error);
    begin_subscription(&stage, &parks, &receiver);
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(receiver.shown, "1 3 ");
    assert_int_equal(letter_in(&stage).position, 2);
    stele_subscription_free(receiver.subscription);
    /* Without the step it is read as it is, and handled. */
    stele_store_close(stage.store);
    stage.store = open_store(ledger(), stage.runtime);
    begin_subscription(&stage, &parks, &receiver);
    assert_ok(stele_dead_requeue_in(stage.store, NULL, NULL, &error), error);
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(receiver.shown, "1 3 2 ");
    stele_subscription_free(receiver.subscription);
    end_stage(&stage);
}

/* --- A store that cannot be written --------------------------------------------------------------- */

static void on_a_store_for_reading_it_stops_where_it_would_park(void **state)
{
    static const struct stele_subscriber own = {TRANSACTIONAL};
    struct stele_store_options options = STELE_OPTIONS_INIT(struct stele_store_options);
    struct stage stage;
    struct receiver receiver = {.fails_at = 2, .fails = UINT32_MAX, .status = STELE_MALFORMED};
    stele_error *error = NULL;

    (void)state;
    begin_stage(&stage, ledger());
    append_many(stage.store, 3);
    stele_store_close(stage.store);
    options.mode = STELE_OPEN_READ_ONLY;
    assert_ok(stele_store_open(ledger(), &options, &stage.store, &error), error);
    begin_subscription(&stage, &own, &receiver);
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(receiver.stored, "1 ");
    assert_state(&receiver, STELE_SUBSCRIPTION_FAILED);
    stele_subscription_free(receiver.subscription);
    end_stage(&stage);
}

/* --- Memory ------------------------------------------------------------------------------------------ */

/* Whichever allocation fails while it runs, in the end each event has its one effect. */
static void assert_survives_failed_allocations(const struct stele_subscriber *subscriber)
{
    for (size_t n = 1;; n++) {
        struct stage stage;
        struct receiver receiver = {.fails_at = 2, .fails = 3};
        stele_error *error = NULL;
        char expected[64];
        uint64_t head = 0;
        bool has_failed;

        begin_stage(&stage, "memory:");
        append_many(stage.store, 3);
        begin_subscription(&stage, subscriber, &receiver);
        support_fail_allocation(n);
        stele_runtime_advance(stage.runtime, 60 * SECOND);
        has_failed = support_allocation_failed();
        support_fail_allocation(0);
        append_many(stage.store, 1);
        stele_runtime_advance(stage.runtime, 60 * SECOND);
        assert_int_equal(letter_in(&stage).position, 2);
        assert_ok(stele_wait(stage.store, 0, 0, &head, &error), error);
        snprintf(expected, sizeof(expected), "1 3 %" PRIu64 " ", head);
        assert_string_equal(receiver.stored, expected);
        stele_subscription_free(receiver.subscription);
        end_stage(&stage);
        if (!has_failed)
            return;
    }
}

static void C2_memory_that_runs_out_for_a_moment_costs_no_event(void **state)
{
    static const struct stele_subscriber cursor = {TRANSACTIONAL};
    static const struct stele_subscriber in_place = {TRANSACTIONAL, .in_place = true};

    (void)state;
    assert_survives_failed_allocations(&cursor);
    assert_survives_failed_allocations(&in_place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(C4_a_damaged_row_is_parked_without_being_tried_again),
        support_test(C4_a_damaged_row_is_parked_by_one_that_keeps_its_position_and_reads_in_place),
        support_test(C4_a_damaged_row_is_skipped_where_that_is_the_policy),
        support_test(C4_before_a_damaged_row_it_stops_where_that_is_the_policy),
        support_test(a_damaged_row_that_was_mended_is_shown_when_it_is_requeued),
        support_test(a_damaged_row_has_no_time_to_begin_at),
        support_test(C4_an_event_that_cannot_be_upcast_goes_by_the_policy),
        support_test(on_a_store_for_reading_it_stops_where_it_would_park),
        support_test(C2_memory_that_runs_out_for_a_moment_costs_no_event),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
