/* What routes and buses count (KHO-21). */
#include "tests/unit/bus/fixture.h"

#include <string.h>

static unsigned calls;
static int64_t takes[100];

/* Takes the virtual time that is planned for it; the last call fails. */
static stele_status take_time(void *resource, const stele_message *message, stele_context *context)
{
    const struct stele_clock *clock = stele_runtime_clock(fixture_runtime);

    (void)resource;
    (void)message;
    clock->pause(clock->context, takes[calls++]);
    return calls == 100 ? stele_context_fail(context, STELE_FAILED, "the last one") : STELE_OK;
}

static void assert_within_7_percent(int64_t expected, int64_t actual)
{
    const int64_t off = expected > actual ? expected - actual : actual - expected;

    assert_true(off * 100 <= expected * 7);
}

static void KHO21_calls_errors_and_times_are_kept_per_route(void **state)
{
    const struct stele_bus_options options = {.size = sizeof(options), .measure = true};
    static const struct stele_route one = {.name = "one", .on = "x", .handle = take_time};
    static const struct stele_route two = {.name = "two", .on = "y", .handle = fixture_record};
    struct stele_route_stats stats;
    struct stele_bus_stats totals;

    (void)state;
    fixture_renew(&options);
    calls = 0;
    for (size_t i = 0; i < 100; i++)
        takes[i] = (int64_t)(i + 1) * MS; /* 1 ms to 100 ms */
    fixture_add(&one, NULL);
    fixture_add_as(&two, "t");
    for (size_t i = 0; i < 100; i++)
        fixture_publish("x");
    fixture_publish("y");
    stats = fixture_stats("one");
    assert_int_equal(stats.processed, 100);
    assert_int_equal(stats.errors, 1);
    assert_int_equal(stats.average_ns, 50500000);
    assert_within_7_percent(50 * MS, stats.p50_ns);
    assert_within_7_percent(99 * MS, stats.p99_ns);
    assert_int_equal(stats.max_ns, 100 * MS);
    assert_int_equal(stats.last_error, STELE_FAILED);
    assert_string_equal(stats.last_error_text, "the last one");
    assert_int_equal(fixture_stats("two").processed, 1);
    assert_int_equal(fixture_stats("two").errors, 0);
    stele_bus_get_stats(fixture_bus, &totals);
    assert_int_equal(totals.published, 101);
    assert_int_equal(totals.routes, 2);
    assert_int_equal(totals.dead_letters, 1);
}

static void any_time_is_within_7_percent(void **state)
{
    const struct stele_bus_options options = {.size = sizeof(options), .measure = true};
    static const struct stele_route route = {.name = "one", .on = "x", .handle = take_time};
    static const int64_t times[] = {1, 7, 15, 16, 17, 31, 33, 100, 999, 123456, 987654321, INT64_C(86400000000000)};

    (void)state;
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        fixture_renew(&options);
        fixture_add(&route, NULL);
        calls = 0;
        takes[0] = takes[1] = times[i];
        takes[2] = 2 * times[i]; /* so that the greatest is not what is asked for */
        for (int call = 0; call < 3; call++)
            fixture_publish("x");
        assert_within_7_percent(times[i], fixture_stats("one").p50_ns);
    }
}

static bool stop_at_first(void *context, const struct stele_route_stats *stats)
{
    (void)context;
    fixture_write(stats->route->name);
    return false;
}

static bool take_all(void *context, const struct stele_route_stats *stats)
{
    (void)context;
    fixture_write(stats->route->name);
    return true;
}

static void routes_are_visited_in_order_of_adding(void **state)
{
    static const struct stele_route routes[] = {
        {.name = "c", .on = "x", .handle = fixture_record},
        {.name = "a", .on = "x", .handle = fixture_record},
        {.name = "b", .on = "x", .handle = fixture_record, .delivery = STELE_QUEUED},
    };
    stele_error *error = NULL;

    (void)state;
    for (size_t i = 0; i < 3; i++)
        fixture_add(&routes[i], NULL);
    assert_ok(stele_bus_visit_routes(fixture_bus, take_all, NULL, &error), error);
    assert_string_equal(fixture_recorded(), "c a b");
    assert_ok(stele_bus_visit_routes(fixture_bus, stop_at_first, NULL, &error), error);
    assert_string_equal(fixture_recorded(), "c");
    assert_status(STELE_INVALID, stele_bus_visit_routes(NULL, take_all, NULL, &error), error);
    assert_status(STELE_INVALID, stele_bus_visit_routes(fixture_bus, NULL, NULL, &error), error);
}

static void what_is_in_flight_is_counted(void **state)
{
    static const struct stele_route route = {
        .name = "r", .on = "x", .handle = fixture_record, .delivery = STELE_QUEUED};
    struct stele_bus_stats stats;

    (void)state;
    fixture_add_as(&route, "r");
    for (int i = 0; i < 3; i++)
        fixture_publish("x");
    stele_bus_get_stats(fixture_bus, &stats);
    assert_int_equal(stats.in_flight, 3);
    fixture_run();
    stele_bus_get_stats(fixture_bus, &stats);
    assert_int_equal(stats.in_flight, 0);
    assert_false(stats.stopping);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(KHO21_calls_errors_and_times_are_kept_per_route),
        fixture_test(any_time_is_within_7_percent),
        fixture_test(routes_are_visited_in_order_of_adding),
        fixture_test(what_is_in_flight_is_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
