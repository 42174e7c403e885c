/*
 * Routes after the commit over stores that are not as they were left: restored,
 * edited, damaged, shared, closed too soon, with events nobody can read.
 */
#include "tests/unit/bus/log_stage.h"
#include "tests/unit/sqlite/fixture.h"

#include <stele/clock.h>
#include <stele/log.h>

#include "base/error.h"

#define SECOND INT64_C(1000000000)

static const struct stele_route durable = {
    .name = "durable", .on = "order.>", .handle = note, .delivery = STELE_DURABLE, .begin = STELE_BEGIN_FIRST};

static stele_store *open_file(void)
{
    char url[4096];

    snprintf(url, sizeof(url), "sqlite:%s?idle=0", fixture_path());
    return log_stage_store(url);
}

static uint64_t checkpoint(stele_store *store)
{
    uint64_t position = 0;
    stele_error *error = NULL;

    assert_ok(stele_checkpoint_read(store, "durable", &position, &error), error);
    return position;
}

/* Run the durable route on the store at the path, from where it is to the end of the log; its bus stays. */
static void run_durable(struct log_stage *stage, struct notes *notes)
{
    stage->store = open_file();
    log_stage_begin(stage, 0);
    log_stage_route(stage, &durable, notes);
    stele_runtime_run_until_idle(stage->runtime);
}

static void close_all(struct log_stage *stage)
{
    log_stage_end(stage);
    stele_store_close(stage->store);
}

/* --- Checkpoints that are not where they were ------------------------------------------------ */

static void a_checkpoint_behind_the_end_of_a_restored_log_is_an_error(void **state)
{
    struct log_stage stage;
    struct notes notes = NOTES;
    stele_error *error = NULL;

    (void)state;
    stage.store = open_file();
    log_stage_fill(stage.store, "order.placed", 1, 5);
    stele_store_close(stage.store);
    run_durable(&stage, &notes);
    close_all(&stage);
    /* As a backup of events does that was taken before the checkpoint was. */
    fixture_tamper("DELETE FROM event WHERE position > 3");
    stage.store = open_file();
    log_stage_begin(&stage, 0);
    assert_failure(STELE_CORRUPT, stele_bus_add_route(stage.bus, &durable, &notes, NULL, &error), error);
    assert_message(error, "checkpoint \"durable\" is at 5, behind the last event of the store, at 3");
    assert_string_equal(stele_error_get(error, "checkpoint"), "durable");
    stele_error_free(error);
    error = NULL;
    /* What the message says to do helps. */
    assert_ok(stele_checkpoint_write(stage.store, "durable", 5, 3, &error), error);
    log_stage_route(&stage, &durable, &notes);
    log_stage_append(stage.store, "order.placed", "6");
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(notes.text, "1 2 3 4 5 6 ");
    close_all(&stage);
}

static void a_checkpoint_edited_by_hand_is_damage_and_named(void **state)
{
    struct log_stage stage;
    struct notes notes = NOTES;
    stele_error *error = NULL;

    (void)state;
    stage.store = open_file();
    log_stage_fill(stage.store, "order.placed", 1, 3);
    stele_store_close(stage.store);
    run_durable(&stage, &notes);
    close_all(&stage);
    fixture_tamper("UPDATE checkpoint SET position = 1");
    stage.store = open_file();
    log_stage_begin(&stage, 0);
    assert_failure(STELE_CORRUPT, stele_bus_add_route(stage.bus, &durable, &notes, NULL, &error), error);
    assert_message(error, "durable");
    stele_error_free(error);
    assert_string_equal(notes.text, "1 2 3 ");
    close_all(&stage);
}

static void a_checkpoint_edited_while_its_route_runs_stops_that_route(void **state)
{
    struct log_stage stage;
    struct notes notes = NOTES;
    struct stele_route_stats stats;

    (void)state;
    stage.store = open_file();
    log_stage_fill(stage.store, "order.placed", 1, 3);
    stele_store_close(stage.store);
    run_durable(&stage, &notes);
    stele_runtime_advance(stage.runtime, SECOND);
    assert_int_equal(checkpoint(stage.store), 3);
    fixture_tamper("UPDATE checkpoint SET position = 1");
    log_stage_append(stage.store, "order.placed", "4");
    stele_runtime_advance(stage.runtime, SECOND);
    log_stage_append(stage.store, "order.placed", "5");
    stele_runtime_advance(stage.runtime, 100 * SECOND);
    stats = log_stage_stats(&stage, "durable");
    assert_int_equal(stats.last_error, STELE_CORRUPT);
    assert_string_equal(notes.text, "1 2 3 4 ");
    close_all(&stage);
}

/* --- The same name twice --------------------------------------------------------------------------- */

/*
 * Two programs with the route on one store: each handles what it reads, at least
 * once, and whoever writes the checkpoint first keeps it. The other one stops.
 */
static void C2_of_two_routes_of_one_name_one_goes_on_and_the_other_says_why_not(void **state)
{
    struct log_stage first, second;
    struct notes first_notes = NOTES, second_notes = NOTES;

    (void)state;
    run_durable(&first, &first_notes);
    run_durable(&second, &second_notes);
    log_stage_append(first.store, "order.placed", "1");
    stele_runtime_run_until_idle(first.runtime);
    stele_runtime_advance(first.runtime, SECOND);
    assert_int_equal(checkpoint(first.store), 1);
    log_stage_append(second.store, "order.placed", "2");
    stele_runtime_run_until_idle(second.runtime);
    stele_runtime_advance(second.runtime, SECOND);
    /* It has handled the first event too, and then found the checkpoint moved. */
    assert_int_equal(log_stage_stats(&second, "durable").last_error, STELE_CONFLICT);
    assert_int_equal(checkpoint(first.store), 1);
    log_stage_append(first.store, "order.placed", "3");
    log_stage_append(second.store, "order.placed", "4");
    stele_runtime_run_until_idle(second.runtime);
    stele_runtime_advance(second.runtime, SECOND);
    stele_runtime_run_until_idle(first.runtime);
    stele_runtime_advance(first.runtime, SECOND);
    assert_string_equal(first_notes.text, "1 2 3 4 ");
    assert_string_equal(second_notes.text, "1 2 ");
    assert_int_equal(checkpoint(first.store), 4);
    log_stage_end(&second);
    assert_int_equal(checkpoint(first.store), 4);
    stele_store_close(second.store);
    /* Gone for good only for the program that stopped: the next one goes on. */
    close_all(&first);
    second_notes.text[0] = '\0';
    run_durable(&second, &second_notes);
    log_stage_append(second.store, "order.placed", "5");
    stele_runtime_run_until_idle(second.runtime);
    assert_string_equal(second_notes.text, "5 ");
    close_all(&second);
}

/* Its own heir: it comes again from where the checkpoint was when it was removed. */
struct heir {
    stele_bus *bus;
    stele_route_id id;
    unsigned calls;
};

static stele_status replace_itself(void *resource, const stele_message *message, stele_context *context);

static const struct stele_route replacing = {.name = "durable",
                                             .on = "order.>",
                                             .handle = replace_itself,
                                             .delivery = STELE_DURABLE,
                                             .begin = STELE_BEGIN_FIRST};

static stele_status replace_itself(void *resource, const stele_message *message, stele_context *context)
{
    struct heir *heir = resource;

    (void)message;
    (void)context;
    if (heir->calls++ > 0)
        return STELE_OK;
    stele_bus_remove_route(heir->bus, heir->id);
    return stele_bus_add_route(heir->bus, &replacing, heir, &heir->id, NULL);
}

static void a_durable_route_replaced_within_its_own_call_goes_on(void **state)
{
    struct log_stage stage = {.store = log_stage_store("memory:")};
    struct heir heir = {.calls = 0};
    stele_error *error = NULL;

    (void)state;
    log_stage_begin(&stage, 0);
    heir.bus = stage.bus;
    assert_ok(stele_bus_add_route(stage.bus, &replacing, &heir, &heir.id, &error), error);
    for (int i = 1; i <= 3; i++) {
        log_stage_fill(stage.store, "order.placed", i, i);
        stele_runtime_run_until_idle(stage.runtime);
        stele_runtime_advance(stage.runtime, SECOND);
    }
    assert_int_equal(heir.calls, 4); /* the first event came twice */
    assert_int_equal(log_stage_stats(&stage, "durable").last_error, STELE_OK);
    assert_int_equal(checkpoint(stage.store), 3);
    close_all(&stage);
}

/* --- Events that the handler cannot read ------------------------------------------------------- */

#define NUMBER(FIELD, T) FIELD(T, INT64, n)
STELE_DECLARE(placed, NUMBER);
STELE_DEFINE_EVENT(placed, "order.placed", 1, NUMBER);

struct numbers {
    char text[64];
};

static stele_status take_number(struct numbers *numbers, const struct placed *placed, stele_context *context)
{
    const size_t used = strlen(numbers->text);

    (void)context;
    snprintf(numbers->text + used, sizeof(numbers->text) - used, "%d ", (int)placed->n);
    return STELE_OK;
}
STELE_DEFINE_HANDLER_WITH(take_number, placed, numbers)

static void append_raw(stele_store *store, const char *type, uint32_t version, const char *payload, size_t size)
{
    const struct stele_raw_message raw = {.kind = STELE_EVENT,
                                          .type = type,
                                          .type_version = version,
                                          .format = STELE_PAYLOAD_MSGPACK,
                                          .payload = {payload, size}};
    stele_message *event = NULL;
    stele_error *error = NULL;

    assert_ok(stele_message_new_raw(&raw, NULL, &event, &error), error);
    assert_ok(stele_append(store, "orders", stele_expect_any(), event, NULL, &error), error);
    stele_message_unref(event);
}

/* 1 and 5 can be read; 2 has a text for the number, 3 is of a type nobody knows, 4 of a version that is to come. */
static void append_unreadable(stele_store *store)
{
    append_raw(store, "order.placed", 1, "\x81\xa1n\1", 4);
    append_raw(store, "order.placed", 1, "\x81\xa1n\xa1x", 5);
    append_raw(store, "order.unheard", 1, "\x81\xa1n\3", 4);
    append_raw(store, "order.placed", 2, "\x81\xa1n\4", 4);
    append_raw(store, "order.placed", 1, "\x81\xa1n\5", 4);
}

static bool write_letter(void *context, const struct stele_dead_letter *letter)
{
    char *text = context;
    const size_t used = strlen(text);

    snprintf(text + used, 64 - used, "%d:%s ", (int)letter->position, letter->code);
    return true;
}

/* What a policy makes of these five: what was handled, what is dead, and where the checkpoint is. */
static void assert_policy(enum stele_failure_policy policy, const char *handled, const char *dead, uint64_t position)
{
    const struct stele_route route = {.name = "durable",
                                      .on = "order.>",
                                      .handle = take_number_handle,
                                      .delivery = STELE_DURABLE,
                                      .begin = STELE_BEGIN_FIRST,
                                      .on_failure = policy};
    struct log_stage stage = {.store = log_stage_store("memory:")};
    struct numbers numbers = {""};
    char letters[64] = "";
    stele_error *error = NULL;

    append_unreadable(stage.store);
    log_stage_begin(&stage, 0);
    assert_ok(stele_bus_add_route(stage.bus, &route, &numbers, NULL, &error), error);
    stele_runtime_run_until_idle(stage.runtime);
    stele_runtime_advance(stage.runtime, 10 * SECOND);
    assert_string_equal(numbers.text, handled);
    assert_ok(stele_dead_list(stage.bus, NULL, write_letter, letters, &error), error);
    assert_string_equal(letters, dead);
    assert_int_equal(checkpoint(stage.store), position);
    log_stage_end(&stage);
    assert_int_equal(checkpoint(stage.store), position);
    stele_store_close(stage.store);
}

static void B3_events_nobody_can_read_meet_each_policy(void **state)
{
    (void)state;
    /* The letters themselves are events 6 to 8 of the log, which the route has passed. */
    assert_policy(STELE_BURY, "1 5 ", "2:INVALID 3:INVALID 4:INVALID ", 8);
    assert_policy(STELE_IGNORE, "1 5 ", "", 5);
    assert_policy(STELE_FAIL_FAST, "1 5 ", "", 5);
    assert_policy(STELE_SUSPEND, "1 ", "", 1);
}

/* Each time it is let go on, the event at the head fails again, until the program that can read it comes. */
static void a_suspended_route_waits_for_a_program_that_can_read_the_event(void **state)
{
    static const struct stele_route route = {.name = "durable",
                                             .on = "order.>",
                                             .handle = take_number_handle,
                                             .delivery = STELE_DURABLE,
                                             .begin = STELE_BEGIN_FIRST,
                                             .on_failure = STELE_SUSPEND};
    struct log_stage stage = {.store = log_stage_store("memory:")};
    struct numbers numbers = {""};
    struct notes notes = NOTES;
    stele_error *error = NULL;

    (void)state;
    append_unreadable(stage.store);
    log_stage_begin(&stage, 0);
    assert_ok(stele_bus_add_route(stage.bus, &route, &numbers, NULL, &error), error);
    stele_runtime_run_until_idle(stage.runtime);
    for (int i = 0; i < 3; i++) {
        assert_ok(stele_bus_resume(stage.bus, "durable", &error), error);
        stele_runtime_advance(stage.runtime, SECOND);
    }
    assert_string_equal(numbers.text, "1 ");
    assert_int_equal(log_stage_stats(&stage, "durable").position, 1);
    log_stage_end(&stage);
    assert_int_equal(checkpoint(stage.store), 1);
    log_stage_begin(&stage, 0);
    log_stage_route(&stage, &durable, &notes);
    stele_runtime_run_until_idle(stage.runtime);
    assert_int_equal(notes.count, 4);
    close_all(&stage);
}

/* --- A store that fails ----------------------------------------------------------------------------------- */

enum { FAILED_WAITS = 3 };

static pthread_mutex_t waits_mutex = PTHREAD_MUTEX_INITIALIZER; /* guards what follows */
static int failed_waits;
static pthread_cond_t waits_changed = PTHREAD_COND_INITIALIZER;

static stele_status fail_to_wait(struct stele_backend *backend, uint64_t position, uint32_t timeout_ms, uint64_t *head,
                                 stele_error **error)
{
    (void)backend;
    (void)position;
    (void)head;
    if (timeout_ms == 0)
        return stele__fail(error, STELE_TIMEOUT, "nothing is there");
    pthread_mutex_lock(&waits_mutex);
    failed_waits++;
    pthread_cond_signal(&waits_changed);
    pthread_mutex_unlock(&waits_mutex);
    return stele__fail(error, STELE_IO, "the disk is gone");
}

static void a_store_that_cannot_be_watched_is_not_asked_without_a_pause(void **state)
{
    const struct stele_clock *clock = stele_clock_system();
    const int64_t begin = clock->monotonic(clock->context);
    struct log_stage stage = {.store = log_stage_store("memory:")};
    const struct stele_store_ops *sound = stage.store->ops;
    struct stele_store_ops broken = *sound;

    (void)state;
    broken.wait = fail_to_wait;
    stage.store->ops = &broken;
    failed_waits = 0;
    log_stage_begin(&stage, 1);
    pthread_mutex_lock(&waits_mutex);
    while (failed_waits < FAILED_WAITS)
        pthread_cond_wait(&waits_changed, &waits_mutex);
    pthread_mutex_unlock(&waits_mutex);
    assert_true(clock->monotonic(clock->context) - begin > (FAILED_WAITS - 1) * SECOND / 20);
    log_stage_end(&stage);
    stage.store->ops = sound;
    stele_store_close(stage.store);
}

/* --- Closing in the wrong order -------------------------------------------------------------------------- */

static unsigned warned;

static void count_warnings(void *context, const struct stele_log_record *record)
{
    (void)context;
    warned += record->level == STELE_LOG_WARNING && strstr(record->message, "stays open") != NULL;
}

static void a_store_closed_before_its_bus_stays_open_until_that_is_freed(void **state)
{
    struct log_stage stage;
    struct notes notes = NOTES;

    (void)state;
    stage.store = open_file();
    log_stage_fill(stage.store, "order.placed", 1, 3);
    log_stage_begin(&stage, 2);
    log_stage_route(&stage, &durable, &notes);
    warned = 0;
    stele_log_use(count_warnings, NULL, STELE_LOG_WARNING);
    stele_store_close(stage.store);
    stele_log_use(NULL, NULL, STELE_LOG_ERROR);
    assert_int_equal(warned, 1);
    log_stage_end(&stage);
    /* All was written down, and the store was closed: nothing comes twice, nobody holds the file. */
    stage.store = open_file();
    assert_in_range(checkpoint(stage.store), 0, 3);
    stele_store_close(stage.store);
    assert_false(fixture_is_there(fixture_log()));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(a_checkpoint_behind_the_end_of_a_restored_log_is_an_error),
        support_test(a_checkpoint_edited_by_hand_is_damage_and_named),
        support_test(a_checkpoint_edited_while_its_route_runs_stops_that_route),
        support_test(C2_of_two_routes_of_one_name_one_goes_on_and_the_other_says_why_not),
        support_test(a_durable_route_replaced_within_its_own_call_goes_on),
        support_test(B3_events_nobody_can_read_meet_each_policy),
        support_test(a_suspended_route_waits_for_a_program_that_can_read_the_event),
        support_test(a_store_that_cannot_be_watched_is_not_asked_without_a_pause),
        support_test(a_store_closed_before_its_bus_stays_open_until_that_is_freed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
