/* Schedules: messages at a time, or again and again, in virtual time and with threads. */
#include "tests/unit/bus/stage.h"

#include <stele/log.h>

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

static struct actor placed;
static const struct stele_route placed_route = {
    .name = "placed", .on = "order.placed", .handle = stage_act, .on_failure = STELE_IGNORE};
static stele_message *message;

static int setup(void **state)
{
    const int result = stage_setup(state);

    placed = (struct actor){0};
    if (result == 0)
        message = stage_order("o", 5, NULL);
    return result;
}

static int teardown(void **state)
{
    stele_message_unref(message);
    return stage_teardown(state);
}

#define schedule_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static stele_schedule_id every(uint64_t interval_ms)
{
    stele_schedule_id id = 0;
    stele_error *error = NULL;

    assert_ok(stele_schedule_every(stage_bus, interval_ms, message, &id, &error), error);
    return id;
}

static stele_schedule_id at(int64_t time)
{
    stele_schedule_id id = 0;
    stele_error *error = NULL;

    assert_ok(stele_schedule_at(stage_bus, STELE_SIMULATION_START + time, message, &id, &error), error);
    return id;
}

static void KHO20_n_intervals_are_n_messages(void **state)
{
    (void)state;
    stage_add(&placed_route, &placed);
    every(100);
    stele_runtime_advance(stage_runtime, 100 * MS - 1);
    assert_int_equal(0, placed.calls);
    stele_runtime_advance(stage_runtime, 1);
    assert_int_equal(1, placed.calls);
    stele_runtime_advance(stage_runtime, 900 * MS);
    assert_int_equal(10, placed.calls);
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(100 * MS * (i + 1), placed.times[i]);
}

static stele_message *ticks[4];
static size_t tick_count;

static stele_status keep_tick(void *resource, const stele_message *tick, stele_context *context)
{
    (void)resource;
    (void)context;
    assert_in_range(tick_count, 0, 3);
    ticks[tick_count++] = stele_message_ref(tick);
    return STELE_OK;
}

static void KHO20_each_message_has_an_id_a_time_and_a_trace_of_its_own(void **state)
{
    static const struct stele_route route = {.name = "keep", .on = "order.placed", .handle = keep_tick};
    const struct stele_slice original = stele_message_id(message);

    (void)state;
    tick_count = 0;
    stage_add(&route, NULL);
    every(100);
    stele_runtime_advance(stage_runtime, 200 * MS);
    assert_int_equal(2, tick_count);
    for (size_t i = 0; i < 2; i++) {
        const struct stele_slice id = stele_message_id(ticks[i]);

        assert_int_equal(36, id.size);
        assert_memory_not_equal(original.data, id.data, 36);
        assert_true(stele_message_time(ticks[i]) == STELE_SIMULATION_START + 100 * MS * (int64_t)(i + 1));
        assert_null(stele_message_correlationid(ticks[i]).data);
        assert_null(stele_message_traceparent(ticks[i]).data);
    }
    assert_memory_not_equal(stele_message_id(ticks[0]).data, stele_message_id(ticks[1]).data, 36);
    stele_message_unref(ticks[0]);
    stele_message_unref(ticks[1]);
}

static unsigned logged;

static void count_warning(void *context, const struct stele_log_record *record)
{
    (void)context;
    logged += strcmp(record->message, "a scheduled message was not published") == 0;
}

static void KHO20_a_publish_that_fails_is_logged_and_counted_and_the_schedule_goes_on(void **state)
{
    const struct quote_asked payload = {.order = "o"};
    struct stele_bus_stats stats;
    stele_message *question = NULL;
    stele_error *error = NULL;

    (void)state;
    logged = 0;
    assert_ok(quote_asked_message(&payload, NULL, &question, &error), error);
    assert_ok(stele_schedule_every(stage_bus, 100, question, NULL, &error), error);
    stele_log_use(count_warning, NULL, STELE_LOG_WARNING);
    stele_runtime_advance(stage_runtime, 300 * MS);
    stele_log_use(NULL, NULL, STELE_LOG_TRACE);
    assert_int_equal(3, logged);
    stele_bus_get_stats(stage_bus, &stats);
    assert_int_equal(3, stats.unscheduled);
    stele_message_unref(question);
}

static void KHO20_a_handler_that_fails_does_not_end_the_schedule(void **state)
{
    (void)state;
    placed.fails = 2;
    stage_add(&placed_route, &placed);
    every(100);
    stele_runtime_advance(stage_runtime, 300 * MS);
    assert_int_equal(3, placed.calls);
}

static stele_status add_another(void *resource, const stele_message *tick, stele_context *context)
{
    bool *is_added = resource;

    (void)tick;
    if (*is_added)
        return STELE_OK;
    *is_added = true;
    return stele_schedule_every(stele_context_bus(context), 10, message, NULL, NULL);
}

/* Once upon a time what was added after the start never ran. */
static void KHO20_one_added_by_a_handler_runs(void **state)
{
    static const struct stele_route route = {.name = "add", .on = "order.placed", .handle = add_another};
    bool is_added = false;
    stele_error *error = NULL;

    (void)state;
    stage_add(&placed_route, &placed);
    assert_ok(stele_bus_add_route(stage_bus, &route, &is_added, NULL, &error), error);
    every(100);
    stele_runtime_advance(stage_runtime, 150 * MS);
    assert_int_equal(1 + 5, placed.calls);
}

static void KHO20_stopping_the_bus_ends_schedules(void **state)
{
    stele_error *error = NULL;

    (void)state;
    stage_add(&placed_route, &placed);
    every(100);
    at(250 * MS);
    stele_runtime_advance(stage_runtime, 100 * MS);
    assert_ok(stele_bus_stop(stage_bus, 0, NULL, &error), error);
    stele_runtime_advance(stage_runtime, 1000 * MS);
    assert_int_equal(1, placed.calls);
    assert_status(STELE_SHUTDOWN, stele_schedule_every(stage_bus, 100, message, NULL, &error), error);
    assert_status(STELE_SHUTDOWN, stele_schedule_at(stage_bus, 0, message, NULL, &error), error);
}

static void a_bus_may_be_freed_with_schedules_waiting(void **state)
{
    (void)state;
    for (int i = 1; i < 50; i++)
        every((uint64_t)i * 10);
    stele_runtime_advance(stage_runtime, 100 * MS);
}

static void at_publishes_once_at_its_time(void **state)
{
    (void)state;
    stage_add(&placed_route, &placed);
    at(70 * MS);
    stele_runtime_advance(stage_runtime, 1000 * MS);
    assert_int_equal(1, placed.calls);
    assert_int_equal(70 * MS, placed.times[0]);
}

static void at_a_time_that_is_over_publishes_at_once(void **state)
{
    stele_error *error = NULL;

    (void)state;
    stage_add(&placed_route, &placed);
    at(-1000 * MS);
    assert_ok(stele_schedule_at(stage_bus, INT64_MIN, message, NULL, &error), error);
    stele_runtime_advance(stage_runtime, 0);
    assert_int_equal(2, placed.calls);
    assert_int_equal(0, placed.times[1]);
}

static void at_the_end_of_time_waits(void **state)
{
    stele_error *error = NULL;

    (void)state;
    stage_add(&placed_route, &placed);
    assert_ok(stele_schedule_at(stage_bus, INT64_MAX, message, NULL, &error), error);
    stele_runtime_advance(stage_runtime, 3600 * 1000 * MS);
    assert_int_equal(0, placed.calls);
}

static void a_cancelled_schedule_publishes_no_more(void **state)
{
    stele_schedule_id id;

    (void)state;
    stage_add(&placed_route, &placed);
    id = every(100);
    stele_runtime_advance(stage_runtime, 200 * MS);
    assert_true(stele_schedule_cancel(stage_bus, id));
    assert_false(stele_schedule_cancel(stage_bus, id));
    assert_false(stele_schedule_cancel(NULL, id));
    stele_runtime_advance(stage_runtime, 1000 * MS);
    assert_int_equal(2, placed.calls);
    id = at(2000 * MS);
    assert_true(stele_schedule_cancel(stage_bus, id));
    id = at(0);
    stele_runtime_advance(stage_runtime, 1);
    assert_false(stele_schedule_cancel(stage_bus, id));
    assert_int_equal(3, placed.calls);
    assert_false(stele_schedule_cancel(stage_bus, 12345));
}

static stele_schedule_id own_id;
static bool was_cancelled;

static stele_status cancel_own(void *resource, const stele_message *tick, stele_context *context)
{
    (void)resource;
    (void)tick;
    was_cancelled = stele_schedule_cancel(stele_context_bus(context), own_id);
    return STELE_OK;
}

static void a_schedule_may_be_cancelled_by_the_handler_of_its_message(void **state)
{
    static const struct stele_route route = {.name = "cancel", .on = "order.placed", .handle = cancel_own};

    (void)state;
    stage_add(&route, NULL);
    own_id = every(100);
    stele_runtime_advance(stage_runtime, 100 * MS);
    assert_true(was_cancelled);
    stele_runtime_advance(stage_runtime, 100 * MS);
    own_id = at(500 * MS);
    stele_runtime_advance(stage_runtime, 500 * MS);
    assert_false(was_cancelled); /* one that publishes its only message is over */
}

static void a_time_that_could_not_be_kept_is_left_out(void **state)
{
    (void)state;
    placed.takes = 250 * MS;
    stage_add(&placed_route, &placed);
    every(100);
    stele_runtime_advance(stage_runtime, 100 * MS); /* the handler ends at 350 */
    placed.takes = 0;
    stele_runtime_advance(stage_runtime, 150 * MS);
    assert_int_equal(100 * MS, placed.times[0]);
    assert_int_equal(400 * MS, placed.times[1]);
    assert_int_equal(500 * MS, placed.times[2]);
}

static void what_cannot_be_a_schedule_is_refused(void **state)
{
    stele_error *error = NULL;

    (void)state;
    assert_status(STELE_INVALID, stele_schedule_every(stage_bus, 0, message, NULL, &error), error);
    assert_status(STELE_INVALID, stele_schedule_every(stage_bus, UINT64_MAX, message, NULL, &error), error);
    assert_status(STELE_INVALID, stele_schedule_every(stage_bus, 100, NULL, NULL, &error), error);
    assert_status(STELE_INVALID, stele_schedule_every(NULL, 100, message, NULL, &error), error);
    assert_status(STELE_INVALID, stele_schedule_at(stage_bus, 0, NULL, NULL, &error), error);
    assert_status(STELE_INVALID, stele_schedule_at(NULL, 0, message, NULL, &error), error);
}

static stele_status begin_and_cancel(void *context, stele_error **error)
{
    stele_schedule_id id = 0;
    const stele_status status = stele_schedule_every(stage_bus, 100, message, &id, error);

    (void)context;
    if (status == STELE_OK)
        assert_true(stele_schedule_cancel(stage_bus, id));
    return status;
}

static void every_allocation_of_a_schedule_may_fail(void **state)
{
    stele_error *error = NULL;

    (void)state;
    assert_ok(begin_and_cancel(NULL, &error), error); /* tables of bus and runtime keep their memory */
    assert_int_not_equal(0, support_every_allocation_fails(begin_and_cancel, NULL));
}

/* On a runtime that is driven step by step: the timer has fired, the message is not published yet. */
static void a_schedule_is_cancelled_between_its_timer_and_its_message(void **state)
{
    stele_runtime *runtime = NULL;
    stele_bus *bus = NULL;
    stele_schedule_id id = 0;
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele_runtime_new(0, NULL, &runtime, &error), error);
    assert_ok(stele_bus_new(runtime, NULL, &bus, &error), error);
    assert_ok(stele_bus_add_route(bus, &placed_route, &placed, NULL, &error), error);
    assert_ok(stele_schedule_at(bus, 0, message, &id, &error), error);
    assert_int_equal(1, stele_runtime_run(runtime, 1));
    assert_int_equal(0, placed.calls);
    assert_true(stele_schedule_cancel(bus, id));
    stele_runtime_run_until_idle(runtime);
    assert_int_equal(0, placed.calls);
    stele_bus_free(bus);
    stele_runtime_free(runtime);
}

/* --- With threads -------------------------------------------------------------------------- */

static stele_status count_tick(void *resource, const stele_message *tick, stele_context *context)
{
    atomic_uint *count = resource;

    (void)tick;
    (void)context;
    atomic_fetch_add(count, 1);
    return STELE_OK;
}

struct canceller {
    stele_bus *bus;
    stele_schedule_id *ids;
    size_t count;
};

static void *cancel_all(void *context)
{
    const struct canceller *canceller = context;

    for (size_t i = 0; i < canceller->count; i++)
        stele_schedule_cancel(canceller->bus, canceller->ids[i]);
    return NULL;
}

/* Schedules begin, fire, are cancelled by another thread, and end with the bus, all at the same time. */
static void threads_begin_fire_cancel_and_stop_schedules(void **state)
{
    static const struct stele_route route = {.name = "count", .on = "order.placed", .handle = count_tick};
    enum { MANY = 200 };
    stele_schedule_id ids[MANY];
    struct canceller canceller = {.ids = ids, .count = MANY / 2};
    stele_runtime *runtime = NULL;
    stele_error *error = NULL;
    atomic_uint count = 0;
    pthread_t thread;

    (void)state;
    assert_ok(stele_runtime_new(2, NULL, &runtime, &error), error);
    assert_ok(stele_bus_new(runtime, NULL, &canceller.bus, &error), error);
    assert_ok(stele_bus_add_route(canceller.bus, &route, &count, NULL, &error), error);
    for (size_t i = 0; i < MANY; i++)
        assert_ok(i % 2 ? stele_schedule_every(canceller.bus, 1, message, &ids[i], &error)
                        : stele_schedule_at(canceller.bus, 0, message, &ids[i], &error),
                  error);
    assert_int_equal(0, pthread_create(&thread, NULL, cancel_all, &canceller));
    while (atomic_load(&count) < MANY / 2)
        stele_runtime_run_until_idle(runtime);
    assert_int_equal(0, pthread_join(thread, NULL));
    stele_bus_free(canceller.bus);
    stele_runtime_free(runtime);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        schedule_test(KHO20_n_intervals_are_n_messages),
        schedule_test(KHO20_each_message_has_an_id_a_time_and_a_trace_of_its_own),
        schedule_test(KHO20_a_publish_that_fails_is_logged_and_counted_and_the_schedule_goes_on),
        schedule_test(KHO20_a_handler_that_fails_does_not_end_the_schedule),
        schedule_test(KHO20_one_added_by_a_handler_runs),
        schedule_test(KHO20_stopping_the_bus_ends_schedules),
        schedule_test(a_bus_may_be_freed_with_schedules_waiting),
        schedule_test(at_publishes_once_at_its_time),
        schedule_test(at_a_time_that_is_over_publishes_at_once),
        schedule_test(at_the_end_of_time_waits),
        schedule_test(a_cancelled_schedule_publishes_no_more),
        schedule_test(a_schedule_may_be_cancelled_by_the_handler_of_its_message),
        schedule_test(a_time_that_could_not_be_kept_is_left_out),
        schedule_test(what_cannot_be_a_schedule_is_refused),
        schedule_test(every_allocation_of_a_schedule_may_fail),
        schedule_test(a_schedule_is_cancelled_between_its_timer_and_its_message),
        schedule_test(threads_begin_fire_cancel_and_stop_schedules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
