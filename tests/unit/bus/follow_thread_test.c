/* Routes after the commit on real threads: other handles, routes that come and go, letters, all at once (C6). */
#include "tests/unit/bus/log_stage.h"

#include <stdatomic.h>

enum { APPENDERS = 3, APPENDS = 300 };

/* A route that counts, and notices what is out of order. */
struct counter {
    uint64_t last;
    atomic_uint count;
    atomic_bool out_of_order;
};

static stele_status count_one(void *resource, const stele_message *message, stele_context *context)
{
    struct counter *counter = resource;
    const uint64_t position = stele_message_position(message);

    (void)context;
    if (position <= counter->last)
        atomic_store(&counter->out_of_order, true);
    counter->last = position;
    atomic_fetch_add(&counter->count, 1);
    return STELE_OK;
}

static const struct stele_route counting = {
    .name = "counting", .on = "order.>", .handle = count_one, .delivery = STELE_DURABLE};
static const struct stele_route by_stream = {
    .name = "by-stream", .on = "order.>", .handle = note, .partition = "@stream", .delivery = STELE_DURABLE};

/* Wait until the route is at the head and everything it was given is handled. */
static void settle(const struct log_stage *stage, const char *route)
{
    stele_error *error = NULL;
    uint64_t head = 0;

    assert_ok(stele_wait(stage->store, 0, 0, &head, &error), error);
    while (log_stage_stats(stage, route).position < head)
        stele_runtime_run_until_idle(stage->runtime);
}

struct appender {
    pthread_t thread;
    stele_store *store;
    unsigned failed;
};

static void *keep_appending(void *context)
{
    const struct stele_raw_message raw = {.kind = STELE_EVENT, .type = "order.placed", .format = STELE_PAYLOAD_NONE};
    struct appender *appender = context;

    for (int i = 0; i < APPENDS; i++) {
        stele_message *event = NULL;

        if (stele_message_new_raw(&raw, NULL, &event, NULL) != STELE_OK ||
            stele_append(appender->store, i % 2 ? "a" : "b", stele_expect_any(), event, NULL, NULL) != STELE_OK)
            appender->failed++;
        stele_message_unref(event);
    }
    return NULL;
}

static void start(struct appender *appenders, stele_store *store)
{
    for (int i = 0; i < APPENDERS; i++) {
        appenders[i] = (struct appender){.store = store};
        assert_int_equal(pthread_create(&appenders[i].thread, NULL, keep_appending, &appenders[i]), 0);
    }
}

static void join(struct appender *appenders)
{
    for (int i = 0; i < APPENDERS; i++) {
        assert_int_equal(pthread_join(appenders[i].thread, NULL), 0);
        assert_int_equal(appenders[i].failed, 0);
    }
}

static void C1_events_of_many_threads_come_once_and_in_order(void **state)
{
    struct log_stage stage = {.store = log_stage_store("memory:")};
    struct appender appenders[APPENDERS];
    struct counter counter = {.last = 0};
    struct notes notes = NOTES;
    stele_error *error = NULL;

    (void)state;
    log_stage_begin(&stage, 3);
    assert_ok(stele_bus_add_route(stage.bus, &counting, &counter, NULL, &error), error);
    log_stage_route(&stage, &by_stream, &notes);
    start(appenders, stage.store);
    join(appenders);
    settle(&stage, "counting");
    settle(&stage, "by-stream");
    assert_int_equal(counter.count, APPENDERS * APPENDS);
    assert_false(counter.out_of_order);
    assert_int_equal(notes.count, APPENDERS * APPENDS);
    log_stage_end(&stage);
    stele_store_close(stage.store);
}

static void C6_what_another_handle_commits_is_seen(void **state)
{
    struct log_stage stage;
    struct appender appenders[APPENDERS];
    struct counter counter = {.last = 0};
    stele_store *other;
    char url[4096];
    stele_error *error = NULL;

    (void)state;
    snprintf(url, sizeof(url), "sqlite:%s/two.db?sync=off", support_temp_dir());
    stage.store = log_stage_store(url);
    other = log_stage_store(url);
    log_stage_begin(&stage, 2);
    assert_ok(stele_bus_add_route(stage.bus, &counting, &counter, NULL, &error), error);
    start(appenders, other);
    join(appenders);
    settle(&stage, "counting");
    assert_int_equal(counter.count, APPENDERS * APPENDS);
    assert_false(counter.out_of_order);
    log_stage_end(&stage);
    stele_store_close(other);
    stele_store_close(stage.store);
}

static void routes_come_and_go_while_events_come(void **state)
{
    struct log_stage stage = {.store = log_stage_store("memory:")};
    struct appender appenders[APPENDERS];
    struct counter counter = {.last = 0};
    stele_error *error = NULL;

    (void)state;
    log_stage_begin(&stage, 2);
    start(appenders, stage.store);
    for (int i = 0; i < 30; i++) {
        stele_route_id id;

        assert_ok(stele_bus_add_route(stage.bus, &counting, &counter, &id, &error), error);
        if (i % 3)
            stele_runtime_run_until_idle(stage.runtime);
        assert_true(stele_bus_remove_route(stage.bus, id));
        /* What was in flight ends before it begins again. */
        stele_runtime_run_until_idle(stage.runtime);
    }
    join(appenders);
    assert_ok(stele_bus_add_route(stage.bus, &counting, &counter, NULL, &error), error);
    /* The appenders may have been done before the route was there for the first time. */
    log_stage_append(stage.store, "order.placed", "last");
    settle(&stage, "counting");
    assert_true(counter.count > 0);
    assert_false(counter.out_of_order);
    log_stage_end(&stage);
    stele_store_close(stage.store);
}

static void a_bus_stops_while_events_come_and_the_next_goes_on(void **state)
{
    struct log_stage stage = {.store = log_stage_store("memory:")};
    struct appender appenders[APPENDERS];
    struct counter counter = {.last = 0};
    stele_error *error = NULL;

    (void)state;
    start(appenders, stage.store);
    for (int i = 0; i < 8; i++) {
        log_stage_begin(&stage, 2);
        assert_ok(stele_bus_add_route(stage.bus, &counting, &counter, NULL, &error), error);
        if (i % 2)
            stele_runtime_run_until_idle(stage.runtime);
        log_stage_end(&stage);
    }
    join(appenders);
    log_stage_begin(&stage, 2);
    assert_ok(stele_bus_add_route(stage.bus, &counting, &counter, NULL, &error), error);
    settle(&stage, "counting");
    log_stage_end(&stage);
    /* Ended in order each time: nothing twice, nothing left out. */
    assert_false(counter.out_of_order);
    stele_store_close(stage.store);
}

/* --- A handler that does not return --------------------------------------------------------- */

struct gate {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool is_inside, is_open;
};

static stele_status stay_inside(void *resource, const stele_message *message, stele_context *context)
{
    struct gate *gate = resource;

    (void)message;
    (void)context;
    pthread_mutex_lock(&gate->mutex);
    gate->is_inside = true;
    pthread_cond_broadcast(&gate->changed);
    while (!gate->is_open)
        pthread_cond_wait(&gate->changed, &gate->mutex);
    pthread_mutex_unlock(&gate->mutex);
    return STELE_OK;
}

static void B10_stopping_does_not_wait_for_a_handler_that_holds_the_only_thread(void **state)
{
    static const struct stele_route stuck = {
        .name = "stuck", .on = "order.>", .handle = stay_inside, .delivery = STELE_DURABLE};
    struct log_stage stage = {.store = log_stage_store("memory:")};
    struct gate gate = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    uint64_t position = 9;
    stele_error *error = NULL;

    (void)state;
    log_stage_begin(&stage, 1);
    assert_ok(stele_bus_add_route(stage.bus, &stuck, &gate, NULL, &error), error);
    log_stage_append(stage.store, "order.placed", "1");
    pthread_mutex_lock(&gate.mutex);
    while (!gate.is_inside)
        pthread_cond_wait(&gate.changed, &gate.mutex);
    pthread_mutex_unlock(&gate.mutex);
    /* Nobody is there to read this one. */
    log_stage_append(stage.store, "order.placed", "2");
    assert_status(STELE_TIMEOUT, stele_bus_stop(stage.bus, 10, NULL, &error), error);
    assert_ok(stele_checkpoint_read(stage.store, "stuck", &position, &error), error);
    assert_int_equal(position, 0);
    pthread_mutex_lock(&gate.mutex);
    gate.is_open = true;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.mutex);
    stele_runtime_run_until_idle(stage.runtime);
    log_stage_end(&stage);
    assert_ok(stele_checkpoint_read(stage.store, "stuck", &position, &error), error);
    assert_int_equal(position, 1);
    stele_store_close(stage.store);
}

/* --- Letters --------------------------------------------------------------------------------- */

static atomic_bool is_broken;

static stele_status fail_while_broken(void *resource, const stele_message *message, stele_context *context)
{
    atomic_uint *handled = resource;

    (void)message;
    (void)context;
    if (atomic_load(&is_broken))
        return STELE_FAILED;
    atomic_fetch_add(handled, 1);
    return STELE_OK;
}

static void letters_are_buried_and_requeued_on_all_threads(void **state)
{
    static const struct stele_route fragile = {.name = "fragile",
                                               .on = "order.>",
                                               .handle = fail_while_broken,
                                               .partition = "@stream",
                                               .delivery = STELE_DURABLE};
    struct log_stage stage = {.store = log_stage_store("memory:")};
    struct appender appenders[APPENDERS];
    atomic_uint handled = 0;
    struct stele_bus_stats stats;
    stele_error *error = NULL;

    (void)state;
    atomic_store(&is_broken, true);
    log_stage_begin(&stage, 3);
    assert_ok(stele_bus_add_route(stage.bus, &fragile, &handled, NULL, &error), error);
    start(appenders, stage.store);
    join(appenders);
    settle(&stage, "fragile");
    stele_bus_get_stats(stage.bus, &stats);
    assert_int_equal(stats.dead_letters, APPENDERS * APPENDS);
    atomic_store(&is_broken, false);
    assert_ok(stele_dead_requeue(stage.bus, NULL, NULL, &error), error);
    while (atomic_load(&handled) < APPENDERS * APPENDS)
        stele_runtime_run_until_idle(stage.runtime);
    stele_runtime_run_until_idle(stage.runtime);
    stele_bus_get_stats(stage.bus, &stats);
    assert_int_equal(stats.dead_letters, 0);
    log_stage_end(&stage);
    assert_int_equal(handled, APPENDERS * APPENDS);
    stele_store_close(stage.store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(C1_events_of_many_threads_come_once_and_in_order),
        support_test(C6_what_another_handle_commits_is_seen),
        support_test(routes_come_and_go_while_events_come),
        support_test(a_bus_stops_while_events_come_and_the_next_goes_on),
        support_test(B10_stopping_does_not_wait_for_a_handler_that_holds_the_only_thread),
        support_test(letters_are_buried_and_requeued_on_all_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
