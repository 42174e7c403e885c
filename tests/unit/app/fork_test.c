/* After fork(): a child's calls on what its parent made say so, and neither wait for threads that are gone nor free. */
#include "tests/unit/app/shop.h"

#include <stele/app.h>
#include <stele/deadletters.h>
#include <stele/intercept.h>
#include <stele/observe.h>

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* What a child finds wrong: the line, as its exit status. */
#define REQUIRE(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "child: line %d: %s\n", __LINE__, #condition); \
            return 1; \
        } \
    } while (0)

struct made {
    stele_runtime *runtime;
    stele_bus *bus;
    stele_unit *unit;
    stele_message *message;
    stele_message *query;
    stele_app *app;
    stele_runtime *simulation;
};

static void see_nothing(void *context, const struct stele_observation *seen)
{
    (void)context;
    (void)seen;
}

static int send_in_child(const struct made *made)
{
    stele_message *reply = NULL;
    stele_unit *unit = NULL;
    stele_error *error = NULL;

    REQUIRE(stele_publish(made->bus, made->message, NULL, &error) == STELE_FORKED);
    REQUIRE(stele_error_status(error) == STELE_FORKED);
    stele_error_free(error);
    REQUIRE(stele_deliver(made->bus, made->message, NULL, NULL, NULL) == STELE_FORKED);
    REQUIRE(stele_request(made->bus, made->query, NULL, &reply, NULL) == STELE_FORKED);
    REQUIRE(stele_unit_begin(made->bus, NULL, &unit, NULL) == STELE_FORKED);
    REQUIRE(stele_unit_publish(made->unit, made->message, NULL, NULL) == STELE_FORKED);
    REQUIRE(stele_unit_next(made->unit, &reply, NULL) == STELE_FORKED);
    stele_unit_cancel(made->unit);
    REQUIRE(stele_unit_end(made->unit, NULL, NULL) == STELE_FORKED);
    REQUIRE(stele_run_phases(made->bus, 0, NULL, NULL, NULL) == STELE_FORKED);
    REQUIRE(stele_schedule_every(made->bus, 10, made->message, NULL, NULL) == STELE_FORKED);
    REQUIRE(stele_schedule_at(made->bus, 0, made->message, NULL, NULL) == STELE_FORKED);
    REQUIRE(!stele_schedule_cancel(made->bus, 1));
    return 0;
}

static int change_in_child(const struct made *made)
{
    static const struct stele_route route = {.name = "r", .on = "x", .handle = shop_ignore};
    static const struct stele_observer observer = {.name = "o", .see = see_nothing};
    static const struct stele_interceptor valid = {.name = "valid", STELE_VALIDATION};
    struct stele_bus_stats stats;
    stele_event_log *log = NULL;

    REQUIRE(stele_bus_add_route(made->bus, &route, NULL, NULL, NULL) == STELE_FORKED);
    REQUIRE(!stele_bus_remove_route(made->bus, 1));
    REQUIRE(stele_bus_add_type(made->bus, &placed_type, NULL) == STELE_FORKED);
    REQUIRE(stele_bus_add_interceptor(made->bus, &valid, NULL) == STELE_FORKED);
    REQUIRE(!stele_bus_remove_interceptor(made->bus, "valid"));
    REQUIRE(stele_bus_add_observer(made->bus, &observer, NULL, NULL) == STELE_FORKED);
    REQUIRE(!stele_bus_remove_observer(made->bus, "o"));
    REQUIRE(stele_event_log_add(made->bus, 0, &log, NULL) == STELE_FORKED);
    REQUIRE(stele_bus_flush_observers(made->bus, 1000, NULL) == STELE_FORKED);
    REQUIRE(stele_bus_pause(made->bus, "note", NULL) == STELE_FORKED);
    REQUIRE(stele_dead_requeue(made->bus, NULL, NULL, NULL) == STELE_FORKED);
    REQUIRE(stele_dead_drop(made->bus, NULL, NULL, NULL) == STELE_FORKED);
    stele_bus_get_stats(made->bus, &stats);
    REQUIRE(stats.routes == 0);
    REQUIRE(stele_bus_stop(made->bus, 60000, NULL, NULL) == STELE_FORKED);
    stele_bus_free(made->bus);
    return 0;
}

static int run_in_child(const struct made *made)
{
    const struct stele_module none = {.name = "none"};

    REQUIRE(stele_runtime_run_until_idle(made->runtime) == 0);
    REQUIRE(stele_runtime_run(made->simulation, 0) == 0);
    REQUIRE(stele_runtime_run_until_idle(made->simulation) == 0);
    REQUIRE(stele_runtime_advance(made->simulation, 1000) == 0);
    REQUIRE(stele_runtime_stop(made->runtime, 60000, NULL) == STELE_FORKED);
    stele_runtime_free(made->runtime);
    REQUIRE(shop_mount(made->app, &none, NULL) == STELE_FORKED);
    REQUIRE(stele_app_start(made->app, NULL) == STELE_FORKED);
    REQUIRE(stele_app_run(made->app, 60000, NULL) == STELE_FORKED);
    REQUIRE(stele_app_stop(made->app, 60000, NULL, NULL) == STELE_FORKED);
    stele_app_free(made->app);
    return 0;
}

/* What the child makes itself works. Not where a sanitizer allocates: fork() may leave its locks taken for good, and a
 * thread that begins takes them. */
static int make_in_child(const struct made *made)
{
#ifdef __SANITIZE_ADDRESS__
    (void)made;
#else
    stele_runtime *own = NULL;
    stele_bus *bus = NULL;

    REQUIRE(stele_runtime_new(1, NULL, &own, NULL) == STELE_OK);
    REQUIRE(stele_bus_new(own, NULL, &bus, NULL) == STELE_OK);
    REQUIRE(stele_publish(bus, made->message, NULL, NULL) == STELE_OK);
    stele_bus_free(bus);
    stele_runtime_free(own);
#endif
    return 0;
}

static int look_in_child(const struct made *made)
{
    return send_in_child(made) || change_in_child(made) || run_in_child(made) || make_in_child(made);
}

static void set_up(struct made *made)
{
    static const struct stele_route note = {
        .name = "note", .type = &placed_type, .handle = shop_ignore, .delivery = STELE_QUEUED};
    stele_error *error = NULL;

    shop_clear();
    assert_ok(stele_runtime_new(1, NULL, &made->runtime, &error), error);
    assert_ok(stele_bus_new(made->runtime, NULL, &made->bus, &error), error);
    assert_ok(stele_bus_add_route(made->bus, &note, NULL, NULL, &error), error);
    assert_ok(stele_unit_begin(made->bus, NULL, &made->unit, &error), error);
    made->message = shop_message(&placed_type, "a");
    made->query = shop_message(&price_type, "a");
    made->app = shop_app(made->runtime, NULL);
    made->simulation = shop_simulation();
    /* The worker has begun, and waits: at fork() it is in nobody's allocator. */
    assert_ok(stele_publish(made->bus, made->message, NULL, &error), error);
    stele_runtime_run_until_idle(made->runtime);
}

static void what_a_parent_made_is_refused_in_its_child(void **state)
{
    struct made made = {NULL};
    stele_error *error = NULL;
    int status = 0;
    pid_t child;

    (void)state;
    set_up(&made);
    child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(look_in_child(&made));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    /* The parent goes on. */
    assert_ok(stele_unit_publish(made.unit, made.message, NULL, &error), error);
    assert_ok(stele_unit_end(made.unit, NULL, &error), error);
    assert_ok(stele_deliver(made.bus, made.message, NULL, NULL, &error), error);
    stele_message_unref(made.message);
    stele_message_unref(made.query);
    stele_app_free(made.app);
    stele_runtime_free(made.simulation);
    stele_bus_free(made.bus);
    stele_runtime_free(made.runtime);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(what_a_parent_made_is_refused_in_its_child),
    };

    return cmocka_run_group_tests_name("fork", tests, NULL, NULL);
}
