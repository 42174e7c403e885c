/* Subscribers that do not keep to what is said, and logs that others wrote (C4, C5, D8). */
#include "tests/unit/store/subscription_stage.h"

#include <stele/deadletters.h>

#include "base/error.h"
#include "store/subscribed.h"

static const struct stele_subscriber plain = {PLAIN};
static const struct stele_subscriber own = {TRANSACTIONAL};

static void end_hostile(struct stage *stage, struct receiver *receiver)
{
    stele_subscription_free(receiver->subscription);
    end_stage(stage);
}

/* --- Texts of failures ------------------------------------------------------------------------- */

/* A byte that is no text, and 200 times "é". */
static stele_status fail_at_length(void *context, const stele_message *event, stele_error **error)
{
    char text[512];

    (void)context;
    (void)event;
    for (int i = 0; i < 200; i++)
        memcpy(text + 2 * i, "\xC3\xA9", 3);
    return stele__fail(error, STELE_MALFORMED, "\xFF %s", text);
}

static bool take_text(void *context, const struct stele_dead_letter *letter)
{
    *(size_t *)context = strlen(letter->text);
    return true;
}

static void C4_a_text_that_must_be_cut_is_cut_between_characters(void **state)
{
    static const struct stele_subscriber parks = {.name = "reader", .receive = fail_at_length};
    struct stage stage;
    struct receiver receiver = {0};
    stele_error *error = NULL;
    size_t size = 0;

    (void)state;
    begin_stage(&stage, "memory:");
    append_many(stage.store, 1);
    begin_subscription(&stage, &parks, &receiver);
    stele_runtime_run_until_idle(stage.runtime);
    assert_state(&receiver, STELE_SUBSCRIPTION_LIVE);
    assert_int_equal(stats_of(&receiver).parked, 1);
    assert_ok(stele_dead_list_in(stage.store, NULL, take_text, &size, &error), error);
    /* "? " and 126 times two bytes; half of the next one would fit into 255. */
    assert_int_equal(size, 2 + 126 * 2);
    assert_int_equal(strlen(stats_of(&receiver).last_error_text), 2 + 126 * 2);
    end_hostile(&stage, &receiver);
}

static bool take_code(void *context, const struct stele_subscription_record *record)
{
    snprintf(context, 64, "%s %s %zu", stele_subscription_state_name(record->state), record->code,
             strlen(record->text));
    return true;
}

static void C4_that_one_has_failed_is_recorded_whatever_the_text(void **state)
{
    static const struct stele_subscriber stops = {
        .name = "reader", .receive = fail_at_length, .on_failure = STELE_POISON_STOP};
    struct stage stage;
    struct receiver receiver = {0};
    stele_error *error = NULL;
    char text[64];

    (void)state;
    begin_stage(&stage, "memory:");
    append_many(stage.store, 1);
    begin_subscription(&stage, &stops, &receiver);
    stele_runtime_run_until_idle(stage.runtime);
    assert_ok(stele_subscriptions_visit(stage.store, take_code, text, &error), error);
    assert_string_equal(text, "failed MALFORMED 254");
    end_hostile(&stage, &receiver);
}

/* --- Errors that come with success ----------------------------------------------------------------- */

static stele_status receive_and_warn(void *context, const stele_message *event, stele_error **error)
{
    stele__fail(error, STELE_BUSY, "not at the first try");
    return receive(context, event, NULL);
}

static stele_status load_and_warn(void *context, uint64_t *position, stele_error **error)
{
    stele__fail(error, STELE_BUSY, "not at the first try");
    return load_position(context, position, NULL);
}

static stele_status begin_and_warn(void *context, stele_error **error)
{
    stele__fail(error, STELE_BUSY, "not at the first try");
    return begin_batch(context, NULL);
}

static stele_status commit_and_warn(void *context, uint64_t from, uint64_t to, stele_error **error)
{
    stele__fail(error, STELE_BUSY, "not at the first try");
    return commit_batch(context, from, to, NULL);
}

static void an_error_that_comes_with_success_is_none(void **state)
{
    static const struct stele_subscriber warning = {.name = "reader",
                                                    .category = "account-",
                                                    .receive = receive_and_warn,
                                                    .load = load_and_warn,
                                                    .begin = begin_and_warn,
                                                    .commit = commit_and_warn,
                                                    .rollback = roll_back};
    struct stage stage;
    struct receiver receiver = {.position = STELE_NO_CHECKPOINT};

    (void)state;
    begin_stage(&stage, "memory:");
    append_many(stage.store, 3);
    append_to(stage.store, "other", "money.moved");
    begin_subscription(&stage, &warning, &receiver);
    stele_runtime_advance(stage.runtime, SECOND);
    append_to(stage.store, "other", "money.moved");
    stele_runtime_advance(stage.runtime, SECOND);
    assert_string_equal(receiver.stored, "1 2 3 ");
    assert_int_equal(stats_of(&receiver).errors, 0);
    end_hostile(&stage, &receiver);
}

/* --- Functions that do what they must not ------------------------------------------------------------- */

static void free_itself(struct receiver *receiver, const stele_message *event)
{
    (void)event;
    stele_subscription_free(receiver->subscription);
}

static void freed_in_its_own_function_it_stays(void **state)
{
    struct stage stage;
    struct receiver receiver = {.during = free_itself};

    (void)state;
    begin_stage(&stage, "memory:");
    append_many(stage.store, 2);
    begin_subscription(&stage, &plain, &receiver);
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(receiver.shown, "1 2 ");
    end_hostile(&stage, &receiver);
}

/* Detaches itself, in the middle of a batch. */
static void keep_nothing(struct receiver *receiver, const stele_message *event)
{
    static const char *const nothing[] = {NULL};
    stele_error *error = NULL;

    if (stele_message_position(event) == 2)
        assert_ok(stele_subscriptions_keep(receiver->other, nothing, NULL, &error), error);
}

static void C4_detached_in_its_own_function_it_shows_nothing_more(void **state)
{
    struct stage stage;
    struct receiver receiver = {.during = keep_nothing, .position = STELE_NO_CHECKPOINT};

    (void)state;
    begin_stage(&stage, "memory:");
    append_many(stage.store, 4);
    receiver.other = stage.store;
    begin_subscription(&stage, &own, &receiver);
    stele_runtime_advance(stage.runtime, SECOND);
    assert_state(&receiver, STELE_SUBSCRIPTION_DETACHED);
    assert_string_equal(receiver.stored, "1 2 ");
    end_hostile(&stage, &receiver);
}

/* --- Requeued ------------------------------------------------------------------------------------------- */

static void pause_when_asked(struct receiver *receiver, const stele_message *event)
{
    stele_error *error = NULL;

    (void)event;
    if (receiver->fails_at == 0)
        assert_ok(stele_subscription_pause(receiver->subscription, &error), error);
}

static void C4_paused_among_requeued_events_it_stops_behind_the_first(void **state)
{
    struct stage stage;
    struct receiver receiver = {.during = pause_when_asked, .fails = UINT32_MAX, .status = STELE_MALFORMED};
    stele_error *error = NULL;

    (void)state;
    begin_stage(&stage, "memory:");
    begin_subscription(&stage, &plain, &receiver);
    for (receiver.fails_at = 1; receiver.fails_at <= 5; receiver.fails_at += 2) {
        append_many(stage.store, 1); /* at 1, 3 and 5; each is parked behind it */
        stele_runtime_run_until_idle(stage.runtime);
    }
    receiver.fails_at = 0;
    assert_ok(stele_dead_requeue_in(stage.store, NULL, NULL, &error), error);
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(receiver.shown, "1 ");
    assert_ok(stele_subscription_resume(receiver.subscription, &error), error);
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(receiver.shown, "1 3 ");
    end_hostile(&stage, &receiver);
}

/* --- What others have written ------------------------------------------------------------------------------ */

static void assert_forged(enum stele_subscription_state forged, const char *listed)
{
    const struct stele__subscribed_state states[] = {
        {.name = "reader", .state = forged, .code = "OK", .text = "\xF0\x9F\x98\x80"}};
    struct stage stage;
    struct receiver receiver = {0};
    stele_error *error = NULL;
    char text[64];

    begin_stage(&stage, "memory:");
    append_many(stage.store, 1);
    assert_ok(stele__subscribed_write(stage.store, states, 1, &error), error);
    assert_ok(stele_subscriptions_visit(stage.store, take_code, text, &error), error);
    assert_string_equal(text, listed);
    begin_subscription(&stage, &plain, &receiver);
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(receiver.shown, "1 ");
    end_hostile(&stage, &receiver);
}

static void C4_a_recorded_state_that_nobody_records_is_none(void **state)
{
    (void)state;
    assert_forged(STELE_SUBSCRIPTION_NEW, "catching up OK 4");
    assert_forged(STELE_SUBSCRIPTION_FINISHED, "catching up OK 4");
    assert_forged(STELE_SUBSCRIPTION_PARKED, "catching up OK 4");
}

static bool count_one(void *context, const struct stele_subscription_record *record)
{
    (void)record;
    ++*(unsigned *)context;
    return true;
}

static void C4_a_recorded_name_that_is_none_is_passed_over(void **state)
{
    static const char *const nothing[] = {NULL};
    static char endless[100000];
    const struct stele__subscribed_state states[] = {{.name = "", .state = STELE_SUBSCRIPTION_FAILED},
                                                     {.name = "a\x1B[2J", .state = STELE_SUBSCRIPTION_FAILED},
                                                     {.name = endless, .state = STELE_SUBSCRIPTION_PAUSED}};
    struct stage stage;
    stele_error *error = NULL;
    unsigned count = 0;
    uint64_t detached = 1;

    (void)state;
    memset(endless, 'n', sizeof(endless) - 1);
    begin_stage(&stage, "memory:");
    assert_ok(stele__subscribed_write(stage.store, states, 3, &error), error);
    assert_ok(stele_subscriptions_visit(stage.store, count_one, &count, &error), error);
    assert_int_equal(count, 0);
    assert_ok(stele_subscriptions_keep(stage.store, nothing, &detached, &error), error);
    assert_int_equal(detached, 0);
    end_stage(&stage);
}

/* --- Keeping --------------------------------------------------------------------------------------------------- */

/* It has written nothing yet that the store could know it by. */
static void C4_what_runs_is_known_before_it_has_written_anything(void **state)
{
    static const char *const nothing[] = {NULL};
    struct stage stage;
    struct receiver receiver = {.position = STELE_NO_CHECKPOINT};
    stele_subscription *refused = NULL;
    stele_error *error = NULL;
    uint64_t detached = 0;

    (void)state;
    begin_stage(&stage, "memory:");
    begin_subscription(&stage, &own, &receiver);
    assert_ok(stele_subscriptions_keep(stage.store, nothing, &detached, &error), error);
    assert_int_equal(detached, 1);
    assert_state(&receiver, STELE_SUBSCRIPTION_DETACHED);
    stele_subscription_free(receiver.subscription);
    assert_status(STELE_CONFLICT,
                  stele_subscription_start(stage.store, stage.runtime, &own, &receiver, &refused, &error), error);
    assert_ok(stele_subscription_attach(stage.store, "reader", &error), error);
    begin_subscription(&stage, &own, &receiver);
    end_hostile(&stage, &receiver);
}

static stele_status keep_none(void *context, stele_error **error)
{
    static const char *const nothing[] = {NULL};
    const struct stage *stage = context;

    return stele_subscriptions_keep(stage->store, nothing, NULL, error);
}

static stele_status attach_it(void *context, stele_error **error)
{
    const struct stage *stage = context;

    return stele_subscription_attach(stage->store, "reader", error);
}

static stele_status pause_it(void *context, stele_error **error)
{
    const struct receiver *receiver = context;

    return stele_subscription_pause(receiver->subscription, error);
}

static stele_status resume_it(void *context, stele_error **error)
{
    const struct receiver *receiver = context;

    return stele_subscription_resume(receiver->subscription, error);
}

/* The store may keep what it has grown by. */
static void assert_done_in_the_end(support_attempt *attempt, void *context)
{
    stele_status status = STELE_NO_MEMORY;

    for (size_t n = 1; status != STELE_OK; n++) {
        stele_error *error = NULL;

        support_fail_allocation(n);
        status = attempt(context, &error);
        support_fail_allocation(0);
        if (status != STELE_OK)
            assert_int_equal(status, STELE_NO_MEMORY);
        assert_int_equal(stele_error_status(error), status);
        stele_error_free(error);
    }
}

static void what_is_done_without_memory_is_done_later_or_not_at_all(void **state)
{
    struct stage stage;
    struct receiver receiver = {0};

    (void)state;
    begin_stage(&stage, "memory:");
    append_many(stage.store, 1);
    begin_subscription(&stage, &plain, &receiver);
    stele_runtime_run_until_idle(stage.runtime);
    assert_done_in_the_end(pause_it, &receiver);
    assert_state(&receiver, STELE_SUBSCRIPTION_PAUSED);
    assert_done_in_the_end(resume_it, &receiver);
    assert_state(&receiver, STELE_SUBSCRIPTION_CATCHING_UP);
    assert_done_in_the_end(keep_none, &stage);
    assert_state(&receiver, STELE_SUBSCRIPTION_DETACHED);
    stele_subscription_free(receiver.subscription);
    assert_done_in_the_end(attach_it, &stage);
    begin_subscription(&stage, &plain, &receiver);
    end_hostile(&stage, &receiver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(C4_a_text_that_must_be_cut_is_cut_between_characters),
        support_test(C4_that_one_has_failed_is_recorded_whatever_the_text),
        support_test(an_error_that_comes_with_success_is_none),
        support_test(freed_in_its_own_function_it_stays),
        support_test(C4_detached_in_its_own_function_it_shows_nothing_more),
        support_test(C4_paused_among_requeued_events_it_stops_behind_the_first),
        support_test(C4_a_recorded_state_that_nobody_records_is_none),
        support_test(C4_a_recorded_name_that_is_none_is_passed_over),
        support_test(C4_what_runs_is_known_before_it_has_written_anything),
        support_test(what_is_done_without_memory_is_done_later_or_not_at_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
