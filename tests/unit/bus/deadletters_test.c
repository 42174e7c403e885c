/* Dead letters on a bus: burying, requeueing, dropping, with a store and without one (ORX-44, B3). */
#include "tests/unit/bus/log_stage.h"

static const struct stele_route charge = {.name = "charge", .on = "order.placed", .handle = note};
static const struct stele_route mail = {.name = "mail", .on = "order.placed", .handle = note};
static const struct stele_route queued = {
    .name = "queued", .on = "order.placed", .handle = note, .delivery = STELE_QUEUED};
static const struct stele_route stored = {
    .name = "stored", .on = "order.placed", .handle = note, .delivery = STELE_AFTER_COMMIT};

/* What a list shows, in one line: "route/id*count " and so on. */
struct shown {
    char text[1024];
    struct stele_dead_letter last; /* without texts */
    char code[32];
    char why[64];
    bool has_message;
};

static bool show(void *context, const struct stele_dead_letter *letter)
{
    struct shown *shown = context;
    const size_t used = strlen(shown->text);

    snprintf(shown->text + used, sizeof(shown->text) - used, "%s/%s*%d%s ", letter->route, letter->id,
             (int)letter->count, letter->is_requeued ? "?" : "");
    snprintf(shown->code, sizeof(shown->code), "%s", letter->code);
    snprintf(shown->why, sizeof(shown->why), "%s", letter->text);
    shown->last = *letter;
    shown->has_message = letter->message != NULL;
    return true;
}

#define DEAD(...) (&(const struct stele_dead_query){.size = sizeof(struct stele_dead_query), __VA_ARGS__})

static struct shown list(const struct log_stage *stage, const struct stele_dead_query *query)
{
    struct shown shown = {.text = ""};
    stele_error *error = NULL;

    assert_ok(stele_dead_list(stage->bus, query, show, &shown, &error), error);
    return shown;
}

static void assert_list(const struct log_stage *stage, const char *expected)
{
    assert_string_equal(list(stage, DEAD(.with_requeued = true)).text, expected);
}

static void publish(const struct log_stage *stage, const char *id)
{
    stele_message *event = log_stage_event("order.placed", id);
    stele_error *error = NULL;

    assert_ok(stele_publish(stage->bus, event, NULL, &error), error);
    stele_message_unref(event);
}

static uint64_t requeue(const struct log_stage *stage, const struct stele_dead_query *query)
{
    uint64_t count = 0;
    stele_error *error = NULL;

    assert_ok(stele_dead_requeue(stage->bus, query, &count, &error), error);
    return count;
}

/* --- Without a store ------------------------------------------------------------------------- */

static void begin_without_store(struct log_stage *stage, size_t capacity)
{
    struct stele_bus_options options = STELE_OPTIONS_INIT(struct stele_bus_options);
    stele_error *error = NULL;

    options.dead_letters = capacity;
    stage->store = NULL;
    assert_ok(stele_runtime_simulated(7, &stage->runtime, &error), error);
    assert_ok(stele_bus_new(stage->runtime, &options, &stage->bus, &error), error);
}

static void B3_a_message_whose_handler_fails_is_kept_with_the_reason(void **state)
{
    struct log_stage stage;
    struct notes failing = {.mutex = PTHREAD_MUTEX_INITIALIZER, .fails_on = "1", .status = STELE_TIMEOUT};
    struct notes fine = NOTES;
    struct stele_bus_stats stats;
    struct shown shown;

    (void)state;
    begin_without_store(&stage, 0);
    log_stage_route(&stage, &charge, &failing);
    log_stage_route(&stage, &mail, &fine);
    publish(&stage, "1");
    publish(&stage, "2");
    shown = list(&stage, NULL);
    assert_string_equal(shown.text, "charge/1*1 ");
    assert_string_equal(shown.code, "TIMEOUT");
    assert_true(shown.has_message);
    assert_int_equal(shown.last.attempts, 1);
    assert_int_equal(shown.last.first_time, STELE_SIMULATION_START);
    assert_string_equal(fine.text, "1 2 ");
    stele_bus_get_stats(stage.bus, &stats);
    assert_int_equal(stats.dead_letters, 1);
    log_stage_end(&stage);
}

static void a_message_that_the_domain_rejects_is_not_buried(void **state)
{
    struct log_stage stage;
    struct notes refusing = {.mutex = PTHREAD_MUTEX_INITIALIZER, .fails_on = "1", .status = STELE_REJECTED};

    (void)state;
    begin_without_store(&stage, 0);
    log_stage_route(&stage, &charge, &refusing);
    publish(&stage, "1");
    assert_list(&stage, "");
    log_stage_end(&stage);
}

static void ORX44_a_requeued_message_goes_to_its_route_and_no_other(void **state)
{
    struct log_stage stage;
    struct notes failing = {.mutex = PTHREAD_MUTEX_INITIALIZER, .fails_on = "1", .status = STELE_FAILED};
    struct notes fine = NOTES;

    (void)state;
    begin_without_store(&stage, 0);
    log_stage_route(&stage, &charge, &failing);
    log_stage_route(&stage, &mail, &fine);
    publish(&stage, "1");
    /* Again in vain: the count goes up. */
    assert_int_equal(requeue(&stage, NULL), 1);
    assert_list(&stage, "charge/1*2 ");
    assert_int_equal(list(&stage, NULL).last.attempts, 2);
    failing.fails_on = NULL;
    assert_int_equal(requeue(&stage, NULL), 1);
    assert_list(&stage, "");
    assert_string_equal(failing.text, "1 1 1 ");
    assert_string_equal(fine.text, "1 ");
    assert_int_equal(requeue(&stage, NULL), 0);
    log_stage_end(&stage);
}

static void without_a_store_the_oldest_letter_goes_first(void **state)
{
    struct log_stage stage;
    struct notes failing = {.mutex = PTHREAD_MUTEX_INITIALIZER, .status = STELE_FAILED};

    (void)state;
    begin_without_store(&stage, 2);
    log_stage_route(&stage, &charge, &failing);
    for (int i = 1; i <= 4; i++) {
        char id[16];

        snprintf(id, sizeof(id), "%d", i);
        failing.fails_on = id;
        publish(&stage, id);
    }
    assert_list(&stage, "charge/3*1 charge/4*1 ");
    log_stage_end(&stage);
}

static void letters_are_dropped_by_query(void **state)
{
    struct log_stage stage;
    struct notes failing = {.mutex = PTHREAD_MUTEX_INITIALIZER, .fails_on = "1", .status = STELE_FAILED};
    uint64_t count = 0;
    stele_error *error = NULL;

    (void)state;
    begin_without_store(&stage, 0);
    log_stage_route(&stage, &charge, &failing);
    log_stage_route(&stage, &mail, &failing);
    publish(&stage, "1");
    assert_list(&stage, "charge/1*1 mail/1*1 ");
    assert_ok(stele_dead_drop(stage.bus, DEAD(.route = "charge"), &count, &error), error);
    assert_int_equal(count, 1);
    assert_list(&stage, "mail/1*1 ");
    assert_status(STELE_INVALID, stele_dead_drop(NULL, NULL, NULL, &error), error);
    assert_status(STELE_INVALID, stele_dead_requeue(NULL, NULL, NULL, &error), error);
    assert_status(STELE_INVALID, stele_dead_list(stage.bus, NULL, NULL, NULL, &error), error);
    log_stage_end(&stage);
}

static void a_letter_whose_route_is_gone_stays(void **state)
{
    struct log_stage stage;
    struct notes failing = {.mutex = PTHREAD_MUTEX_INITIALIZER, .fails_on = "1", .status = STELE_FAILED};
    stele_route_id id;
    uint64_t count = 0;
    stele_error *error = NULL;

    (void)state;
    begin_without_store(&stage, 0);
    assert_ok(stele_bus_add_route(stage.bus, &charge, &failing, &id, &error), error);
    log_stage_route(&stage, &mail, &failing);
    publish(&stage, "1");
    assert_true(stele_bus_remove_route(stage.bus, id));
    failing.fails_on = NULL;
    assert_failure(STELE_NOT_FOUND, stele_dead_requeue(stage.bus, NULL, &count, &error), error);
    assert_string_equal(stele_error_get(error, "route"), "charge");
    stele_error_free(error);
    assert_int_equal(count, 1);
    assert_list(&stage, "charge/1*1 ");
    log_stage_end(&stage);
}

/* --- With a store ------------------------------------------------------------------------------ */

static void ORX44_letters_survive_the_bus_that_buried_them(void **state)
{
    struct log_stage stage = {.store = log_stage_store("memory:")};
    struct notes failing = {.mutex = PTHREAD_MUTEX_INITIALIZER, .fails_on = "1", .status = STELE_FAILED};
    struct notes fine = NOTES;

    (void)state;
    log_stage_begin(&stage, 0);
    log_stage_route(&stage, &stored, &failing);
    log_stage_route(&stage, &charge, &failing);
    log_stage_append(stage.store, "order.placed", "1");
    stele_runtime_run_until_idle(stage.runtime);
    publish(&stage, "1");
    assert_list(&stage, "stored/1*1 charge/1*1 ");
    /* Both by position: the message is in the store. */
    assert_int_equal(list(&stage, NULL).last.position, 1);
    log_stage_end(&stage);

    log_stage_begin(&stage, 0);
    log_stage_route(&stage, &stored, &fine);
    log_stage_route(&stage, &charge, &fine);
    assert_list(&stage, "stored/1*1 charge/1*1 ");
    assert_int_equal(requeue(&stage, DEAD(.route = "stored")), 1);
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(fine.text, "1 ");
    assert_list(&stage, "charge/1*1 ");
    log_stage_end(&stage);
    stele_store_close(stage.store);
}

static void a_message_that_is_not_stored_comes_back_as_it_was(void **state)
{
    struct log_stage stage = {.store = log_stage_store("memory:")};
    struct notes failing = {.mutex = PTHREAD_MUTEX_INITIALIZER, .fails_on = "p", .status = STELE_FAILED};
    struct shown shown;

    (void)state;
    log_stage_begin(&stage, 0);
    log_stage_route(&stage, &queued, &failing);
    publish(&stage, "p");
    stele_runtime_run_until_idle(stage.runtime);
    shown = list(&stage, NULL);
    assert_string_equal(shown.text, "queued/p*1 ");
    assert_string_equal(shown.code, "FAILED");
    assert_int_equal(shown.last.position, 0);
    assert_true(shown.has_message);
    failing.fails_on = NULL;
    requeue(&stage, NULL);
    assert_list(&stage, "queued/p*1? ");
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(failing.text, "p p ");
    assert_list(&stage, "");
    log_stage_end(&stage);
    stele_store_close(stage.store);
}

static void ORX44_marks_of_others_are_seen_in_the_log(void **state)
{
    struct log_stage stage = {.store = log_stage_store("memory:")};
    struct notes failing = {.mutex = PTHREAD_MUTEX_INITIALIZER, .fails_on = "1", .status = STELE_FAILED};
    uint64_t count = 0;
    stele_error *error = NULL;

    (void)state;
    log_stage_begin(&stage, 0);
    log_stage_route(&stage, &queued, &failing);
    publish(&stage, "1");
    stele_runtime_run_until_idle(stage.runtime);
    failing.fails_on = NULL;
    assert_ok(stele_dead_requeue_in(stage.store, NULL, &count, &error), error);
    assert_int_equal(count, 1);
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(failing.text, "1 1 ");
    assert_list(&stage, "");
    log_stage_end(&stage);
    stele_store_close(stage.store);
}

static void a_mark_waits_for_the_bus_that_has_the_route(void **state)
{
    struct log_stage stage = {.store = log_stage_store("memory:")};
    struct notes failing = {.mutex = PTHREAD_MUTEX_INITIALIZER, .fails_on = "1", .status = STELE_FAILED};
    stele_error *error = NULL;

    (void)state;
    log_stage_begin(&stage, 0);
    log_stage_route(&stage, &queued, &failing);
    publish(&stage, "1");
    stele_runtime_run_until_idle(stage.runtime);
    log_stage_end(&stage);
    assert_ok(stele_dead_requeue_in(stage.store, NULL, NULL, &error), error);

    failing.fails_on = NULL;
    log_stage_begin(&stage, 0);
    stele_runtime_run_until_idle(stage.runtime);
    assert_list(&stage, "queued/1*1? ");
    log_stage_route(&stage, &queued, &failing);
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(failing.text, "1 1 ");
    assert_list(&stage, "");
    log_stage_end(&stage);
    /* And no more. */
    log_stage_begin(&stage, 0);
    log_stage_route(&stage, &queued, &failing);
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(failing.text, "1 1 ");
    log_stage_end(&stage);
    stele_store_close(stage.store);
}

static void what_was_requeued_and_cut_off_is_handled_by_the_next_bus(void **state)
{
    struct log_stage stage = {.store = log_stage_store("memory:")};
    struct notes failing = {.mutex = PTHREAD_MUTEX_INITIALIZER, .fails_on = "1", .status = STELE_FAILED};
    stele_error *error = NULL;

    (void)state;
    log_stage_begin(&stage, 0);
    log_stage_route(&stage, &queued, &failing);
    publish(&stage, "1");
    stele_runtime_run_until_idle(stage.runtime);
    assert_ok(stele_bus_pause(stage.bus, "queued", &error), error);
    requeue(&stage, NULL);
    stele_bus_stop(stage.bus, 0, NULL, NULL);
    log_stage_end(&stage);
    failing.fails_on = NULL;
    log_stage_begin(&stage, 0);
    log_stage_route(&stage, &queued, &failing);
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(failing.text, "1 1 ");
    assert_list(&stage, "");
    log_stage_end(&stage);
    stele_store_close(stage.store);
}

static void a_store_that_refuses_a_letter_leaves_it_in_memory(void **state)
{
    const struct stele_store_options read_only = {.size = sizeof(read_only), .mode = STELE_OPEN_READ_ONLY};
    struct log_stage stage;
    struct notes failing = {.mutex = PTHREAD_MUTEX_INITIALIZER, .fails_on = "1", .status = STELE_FAILED};
    char url[4096];
    stele_error *error = NULL;

    (void)state;
    snprintf(url, sizeof(url), "sqlite:%s", support_temp_path("dead.db"));
    stele_store_close(log_stage_store(url));
    assert_ok(stele_store_open(url, &read_only, &stage.store, &error), error);
    log_stage_begin(&stage, 0);
    log_stage_route(&stage, &queued, &failing);
    publish(&stage, "1");
    stele_runtime_run_until_idle(stage.runtime);
    assert_list(&stage, "queued/1*1 ");
    failing.fails_on = NULL;
    assert_int_equal(requeue(&stage, NULL), 1);
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(failing.text, "1 1 ");
    assert_list(&stage, "");
    log_stage_end(&stage);
    stele_store_close(stage.store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(B3_a_message_whose_handler_fails_is_kept_with_the_reason),
        support_test(a_message_that_the_domain_rejects_is_not_buried),
        support_test(ORX44_a_requeued_message_goes_to_its_route_and_no_other),
        support_test(without_a_store_the_oldest_letter_goes_first),
        support_test(letters_are_dropped_by_query),
        support_test(a_letter_whose_route_is_gone_stays),
        support_test(ORX44_letters_survive_the_bus_that_buried_them),
        support_test(a_message_that_is_not_stored_comes_back_as_it_was),
        support_test(ORX44_marks_of_others_are_seen_in_the_log),
        support_test(a_mark_waits_for_the_bus_that_has_the_route),
        support_test(what_was_requeued_and_cut_off_is_handled_by_the_next_bus),
        support_test(a_store_that_refuses_a_letter_leaves_it_in_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
