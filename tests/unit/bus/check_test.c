/* Looking at all routes of a bus: what nobody wants, what nobody knows, circles. */
#include "tests/support/support.h"

#include <stele/bus.h>

#include <stdio.h>
#include <string.h>

#include "bus/check.h"

#define NOTE(FIELD, T) FIELD(T, INT64, number)
STELE_DECLARE(ask, NOTE);
STELE_DECLARE(first, NOTE);
STELE_DECLARE(second, NOTE);
STELE_DECLARE(derived, NOTE);
STELE_DECLARE(answer, NOTE);
STELE_DEFINE_COMMAND(ask, "test.ask", 1, NOTE);
STELE_DEFINE_EVENT(first, "test.first", 1, NOTE);
STELE_DEFINE_EVENT(second, "test.second", 1, NOTE);
STELE_DEFINE_EVENT_UNDER(derived, "test.derived", 1, NOTE, first);
STELE_DEFINE_REPLY(answer, "test.answer", 1, NOTE);

static const struct stele_type *const only_first[] = {&first_type, NULL};
static const struct stele_type *const only_second[] = {&second_type, NULL};
static const struct stele_type *const only_derived[] = {&derived_type, NULL};
static const struct stele_type *const only_answer[] = {&answer_type, NULL};

static stele_status ignore(void *resource, const stele_message *message, stele_context *context)
{
    (void)resource;
    (void)message;
    (void)context;
    return STELE_OK;
}

static void keep_line(void *context, const char *text)
{
    char *lines = context;
    const size_t size = strlen(lines);
    snprintf(lines + size, 1024 - size, "%s\n", text);
}

/* The problems of a bus with these routes, a line each. */
static void assert_problems(const char *expected, const struct stele_route *routes, size_t count)
{
    stele_runtime *runtime = NULL;
    stele_bus *bus = NULL;
    stele_error *error = NULL;
    char lines[1024] = "";
    size_t expected_count = 0;
    assert_ok(stele_runtime_simulated(3, &runtime, &error), error);
    assert_ok(stele_bus_new(runtime, NULL, &bus, &error), error);
    for (size_t i = 0; i < count; i++)
        assert_ok(stele_bus_add_route(bus, &routes[i], NULL, NULL, &error), error);
    for (const char *place = expected; *place; place++)
        expected_count += *place == '\n';
    assert_int_equal(expected_count, stele_bus_check(bus, keep_line, lines));
    assert_string_equal(expected, lines);
    stele_bus_free(bus);
    stele_runtime_free(runtime);
}

static void a_sound_graph_has_no_problems(void **state)
{
    (void)state;
    const struct stele_route routes[] = {
        {.name = "a", .type = &ask_type, .handle = ignore, .publishes = only_first, .replies = &answer_type},
        {.name = "b", .on = "test.first", .handle = ignore, .publishes = only_derived},
        {.name = "c", .on = "test.*", .handle = ignore},
        {.name = "d", .on = "test.first.error", .handle = ignore},
    };
    assert_problems("", routes, 4);
    assert_problems("", NULL, 0);
}

static void KHO25_a_published_type_that_no_route_is_for_is_told(void **state)
{
    (void)state;
    const struct stele_route routes[] = {
        {.name = "a", .type = &ask_type, .handle = ignore, .publishes = only_first},
    };
    assert_problems("route a: publishes test.first, which no route is for\n", routes, 1);
}

static void KHO25_a_parent_type_takes_what_is_derived(void **state)
{
    (void)state;
    const struct stele_route routes[] = {
        {.name = "a", .type = &ask_type, .handle = ignore, .publishes = only_derived},
        {.name = "b", .type = &first_type, .handle = ignore},
    };
    assert_problems("", routes, 2);
}

static void KHO25_an_unknown_name_is_told(void **state)
{
    (void)state;
    const struct stele_route routes[] = {
        {.name = "a", .on = "test.frist", .handle = ignore},
        {.name = "b", .on = "test.frist.error", .handle = ignore},
    };
    assert_problems("route a: is on test.frist, which is neither known nor published\n"
                    "route b: is on test.frist.error, which is neither known nor published\n",
                    routes, 2);
}

static void KHO25_a_reply_that_is_not_stated_is_told(void **state)
{
    (void)state;
    const struct stele_route routes[] = {
        {.name = "a", .type = &ask_type, .handle = ignore, .publishes = only_answer},
    };
    assert_problems("route a: publishes the reply test.answer, but does not state it\n", routes, 1);
}

static void KHO25_circles_of_inline_routes_are_told_once_with_their_path(void **state)
{
    (void)state;
    const struct stele_route routes[] = {
        {.name = "in", .type = &ask_type, .handle = ignore, .publishes = only_first},
        {.name = "a", .type = &first_type, .handle = ignore, .publishes = only_second},
        {.name = "b", .on = "test.second", .handle = ignore, .publishes = only_derived},
        {.name = "self", .on = "test.second", .handle = ignore, .publishes = only_second},
    };
    /* in -> a -> b -> a; a -> self -> b (seen), self -> self. */
    assert_problems("inline routes in a circle: a -> b -> a\n"
                    "inline routes in a circle: self -> self\n",
                    routes, 4);
}

static void a_mailbox_in_a_circle_breaks_it(void **state)
{
    (void)state;
    const struct stele_route routes[] = {
        {.name = "a", .type = &first_type, .handle = ignore, .publishes = only_second},
        {.name = "b", .on = "test.second", .handle = ignore, .publishes = only_first, .delivery = STELE_QUEUED},
    };
    assert_problems("", routes, 2);
}

/* Bold, 3.2: two acyclic flows that shared names of steps were both told to be circles, since all were one graph. Here
 * first leads to second and third, and these two ways join; the same handlers serve two flows. */
static void KHO25_bug_ways_that_part_and_join_are_no_circle(void **state)
{
    (void)state;
    const struct stele_type *const both[] = {&second_type, &derived_type, NULL};
    const struct stele_route routes[] = {
        {.name = "one", .on = "test.ask", .handle = ignore, .publishes = both},
        {.name = "two", .on = "test.begin", .handle = ignore, .publishes = both},
        {.name = "left", .type = &second_type, .handle = ignore, .replies = &answer_type},
        {.name = "right", .type = &derived_type, .handle = ignore, .replies = &answer_type},
        {.name = "join", .type = &answer_type, .handle = ignore},
    };
    assert_problems("route one: is on test.ask, which is neither known nor published\n"
                    "route two: is on test.begin, which is neither known nor published\n",
                    routes, 5);
}

static void rivals_are_for_the_same_type_and_not_kept_apart(void **state)
{
    (void)state;
    const struct stele_route by_name = {.on = "test.ask"};
    const struct stele_route by_type = {.type = &ask_type};
    const struct stele_route pattern = {.on = "test.*"};
    const struct stele_route here = {.on = "test.ask", .where = {"number", "1"}};
    const struct stele_route there = {.on = "test.ask", .where = {"number", "2"}};
    const struct stele_route elsewhere = {.on = "test.ask", .where = {"place", "2"}};
    assert_true(stele__routes_are_rivals(&by_name, &by_type));
    assert_false(stele__routes_are_rivals(&by_name, &pattern));
    assert_false(stele__routes_are_rivals(&pattern, &pattern));
    assert_true(stele__routes_are_rivals(&by_name, &here));
    assert_false(stele__routes_are_rivals(&here, &there));
    assert_true(stele__routes_are_rivals(&here, &here));
    assert_true(stele__routes_are_rivals(&here, &elsewhere)); /* both may hold */
}

static void ignore_line(void *context, const char *text)
{
    (void)context;
    (void)text;
}

static void a_lack_of_memory_is_a_problem(void **state)
{
    (void)state;
    const struct stele_route route = {.name = "a", .type = &ask_type, .handle = ignore, .publishes = only_first};
    stele_runtime *runtime = NULL;
    stele_bus *bus = NULL;
    stele_error *error = NULL;
    assert_int_equal(0, stele_bus_check(NULL, ignore_line, NULL));
    assert_ok(stele_runtime_simulated(3, &runtime, &error), error);
    assert_ok(stele_bus_new(runtime, NULL, &bus, &error), error);
    assert_ok(stele_bus_add_route(bus, &route, NULL, NULL, &error), error);
    assert_int_equal(0, stele_bus_check(bus, NULL, NULL));
    for (size_t n = 1;; n++) {
        char lines[1024] = "";
        support_fail_allocation(n);
        assert_true(stele_bus_check(bus, keep_line, lines) > 0);
        if (!support_allocation_failed())
            break;
        assert_non_null(strstr(lines, "not all could be looked at: out of memory\n"));
    }
    support_fail_allocation(0);
    stele_bus_free(bus);
    stele_runtime_free(runtime);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(a_sound_graph_has_no_problems),
        support_test(KHO25_a_published_type_that_no_route_is_for_is_told),
        support_test(KHO25_a_parent_type_takes_what_is_derived),
        support_test(KHO25_an_unknown_name_is_told),
        support_test(KHO25_a_reply_that_is_not_stated_is_told),
        support_test(KHO25_circles_of_inline_routes_are_told_once_with_their_path),
        support_test(a_mailbox_in_a_circle_breaks_it),
        support_test(KHO25_bug_ways_that_part_and_join_are_no_circle),
        support_test(rivals_are_for_the_same_type_and_not_kept_apart),
        support_test(a_lack_of_memory_is_a_problem),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
