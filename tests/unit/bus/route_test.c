/* Which routes a message reaches, and what is no route. */
#include "tests/unit/bus/fixture.h"

#include <stdio.h>
#include <string.h>

static void B2_exact_names_levels_and_the_rest_match(void **state)
{
    static const struct stele_route exact = {.name = "exact", .on = "order.created", .handle = fixture_record};
    static const struct stele_route level = {.name = "level", .on = "order.*", .handle = fixture_record};
    static const struct stele_route rest = {.name = "rest", .on = "order.>", .handle = fixture_record};
    static const struct stele_route all = {.name = "all", .on = ">", .handle = fixture_record};

    (void)state;
    fixture_add_as(&exact, "e");
    fixture_add_as(&level, "l");
    fixture_add_as(&rest, "r");
    fixture_add_as(&all, "a");
    assert_int_equal(fixture_publish("order.created"), 4);
    assert_string_equal(fixture_recorded(), "e1 l1 r1 a1");
    assert_int_equal(fixture_publish("order.created.twice"), 2);
    assert_string_equal(fixture_recorded(), "r1 a1");
    assert_int_equal(fixture_publish("order"), 1);
    assert_string_equal(fixture_recorded(), "a1");
}

/* Bold bug of 1.2 is the opposite of this: no order. */
static void ORX07_inline_routes_run_in_order_of_adding(void **state)
{
    static const struct stele_route routes[] = {
        {.name = "c", .on = "x", .handle = fixture_record},
        {.name = "a", .on = "x", .handle = fixture_record},
        {.name = "b", .on = "x", .handle = fixture_record},
    };

    (void)state;
    fixture_add_as(&routes[0], "c");
    fixture_add_as(&routes[1], "a");
    fixture_add_as(&routes[2], "b");
    fixture_publish("x");
    assert_string_equal(fixture_recorded(), "c1 a1 b1");
}

static void ORX07_a_hundred_routes_run_in_order_of_adding(void **state)
{
    enum { COUNT = 100 };
    static struct stele_route routes[COUNT];
    static char names[COUNT][8];
    char expected[COUNT * 8] = "";

    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        snprintf(names[i], sizeof(names[i]), "h%zu-", (i * 37) % COUNT);
        snprintf(expected + strlen(expected), 8, "%s%s1", i ? " " : "", names[i]);
        routes[i] = (struct stele_route){.name = names[i], .on = i % 2 ? "x" : "*", .handle = fixture_record};
        fixture_add_as(&routes[i], names[i]);
    }
    assert_int_equal(fixture_publish("x"), COUNT);
    assert_string_equal(fixture_recorded(), expected);
}

static void KHO11_an_event_that_nobody_wants_is_no_error(void **state)
{
    struct stele_bus_stats stats;

    (void)state;
    assert_int_equal(fixture_publish("nobody.cares"), 0);
    stele_bus_get_stats(fixture_bus, &stats);
    assert_int_equal(stats.unrouted, 1);
}

static void NTH11_a_command_that_nobody_handles_is_an_error(void **state)
{
    stele_message *command = fixture_message(STELE_COMMAND, "note.put", "", 1);
    stele_error *error = NULL;
    size_t reached = 7;

    (void)state;
    assert_failure(STELE_NO_HANDLER, stele_publish(fixture_bus, command, &reached, &error), error);
    assert_message(error, "note.put");
    assert_string_equal(stele_error_get(error, "type"), "note.put");
    assert_int_equal(reached, 0);
    stele_error_free(error);
    stele_message_unref(command);
}

static void B1_a_second_handler_of_a_command_is_an_error(void **state)
{
    static const struct stele_route first = {.name = "first", .type = &put_type, .handle = fixture_record};
    static const struct stele_route second = {.name = "second", .on = "note.put", .handle = fixture_record};
    static const struct stele_route third = {.name = "third", .type = &put_type, .handle = fixture_record};
    static const struct stele_route audit = {.name = "audit", .on = "note.*", .handle = fixture_record};
    stele_error *error = NULL;

    (void)state;
    fixture_add_as(&first, "f");
    assert_failure(STELE_INVALID, stele_bus_add_route(fixture_bus, &second, NULL, NULL, &error), error);
    assert_message(error, "second");
    assert_message(error, "first");
    stele_error_free(error);
    error = NULL;
    assert_status(STELE_INVALID, stele_bus_add_route(fixture_bus, &third, NULL, NULL, &error), error);
    fixture_add_as(&audit, "a");
}

static void B1_two_routes_of_a_name_that_becomes_a_command_are_an_error(void **state)
{
    static const struct stele_route first = {.name = "first", .on = "note.put", .handle = fixture_record};
    static const struct stele_route second = {.name = "second", .on = "note.put", .handle = fixture_record};
    stele_message *command = fixture_message(STELE_COMMAND, "note.put", "", 1);
    stele_error *error = NULL;

    (void)state;
    fixture_add_as(&first, "f");
    fixture_add_as(&second, "s");
    assert_status(STELE_INVALID, stele_bus_add_type(fixture_bus, &put_type, &error), error);
    assert_status(STELE_INVALID, stele_publish(fixture_bus, command, NULL, &error), error);
    assert_string_equal(fixture_recorded(), "");
    stele_message_unref(command);
}

static void B1_conditions_may_share_a_command(void **state)
{
    static const struct stele_route euro = {
        .name = "euro", .type = &put_type, .where = {"text", "EUR"}, .handle = fixture_record};
    static const struct stele_route dollar = {
        .name = "dollar", .type = &put_type, .where = {"text", "USD"}, .handle = fixture_record};
    stele_message *command = fixture_message(STELE_COMMAND, "note.put", "USD", 3);
    stele_message *other = fixture_message(STELE_COMMAND, "note.put", "GBP", 3);
    stele_error *error = NULL;
    size_t reached = 0;

    (void)state;
    fixture_add_as(&euro, "e");
    fixture_add_as(&dollar, "d");
    assert_ok(stele_publish(fixture_bus, command, &reached, &error), error);
    assert_int_equal(reached, 1);
    assert_string_equal(fixture_recorded(), "d3");
    assert_status(STELE_NO_HANDLER, stele_publish(fixture_bus, other, NULL, &error), error);
    stele_message_unref(command);
    stele_message_unref(other);
}

#define BASE(FIELD, T) FIELD(T, TEXT, text)
STELE_DECLARE(base_event, BASE);
STELE_DEFINE_EVENT(base_event, "base.event", 1, BASE);
STELE_DECLARE(derived_event, NOTE);
STELE_DEFINE_EVENT_UNDER(derived_event, "derived.event", 1, NOTE, base_event);
STELE_DECLARE(grand_event, NOTE);
STELE_DEFINE_EVENT_UNDER(grand_event, "grand.event", 1, NOTE, derived_event);

static stele_status read_base(const struct base_event *event, stele_context *context)
{
    (void)context;
    fixture_write(event->text);
    return STELE_OK;
}
STELE_DEFINE_HANDLER(read_base, base_event);

static void FWK04_a_route_for_a_parent_gets_its_children_once_and_reads_them_as_the_parent(void **state)
{
    static const struct stele_route base = {.name = "base", .type = &base_event_type, .handle = read_base_handle};
    stele_message *child = fixture_message(STELE_EVENT, "derived.event", "child", 1);
    stele_message *grandchild = fixture_message(STELE_EVENT, "grand.event", "grandchild", 1);
    stele_error *error = NULL;
    size_t reached = 0;

    (void)state;
    fixture_add(&base, NULL);
    assert_ok(stele_publish(fixture_bus, child, &reached, &error), error);
    assert_int_equal(reached, 0); /* nobody has told the bus of it yet */
    assert_ok(stele_bus_add_type(fixture_bus, &grand_event_type, &error), error);
    assert_ok(stele_publish(fixture_bus, child, &reached, &error), error);
    assert_int_equal(reached, 1);
    assert_ok(stele_publish(fixture_bus, grandchild, &reached, &error), error);
    assert_int_equal(reached, 1);
    assert_string_equal(fixture_recorded(), "child grandchild");
    stele_message_unref(child);
    stele_message_unref(grandchild);
}

static void FWK02_a_condition_compares_a_field_as_text(void **state)
{
    static const struct stele_route number = {
        .name = "number", .on = "x", .where = {"number", "-42"}, .handle = fixture_record};
    static const struct stele_route absent = {
        .name = "absent", .on = "x", .where = {"missing", ""}, .handle = fixture_record};
    stele_message *message = fixture_message(STELE_EVENT, "x", "", -42);
    size_t reached = 0;
    stele_error *error = NULL;

    (void)state;
    fixture_add_as(&number, "n");
    fixture_add_as(&absent, "a");
    assert_ok(stele_publish(fixture_bus, message, &reached, &error), error);
    assert_int_equal(reached, 1);
    assert_string_equal(fixture_recorded(), "n-42");
    assert_int_equal(fixture_publish("x"), 0);
    stele_message_unref(message);
}

static void assert_refused(const struct stele_route *route, const char *why)
{
    stele_error *error = NULL;

    assert_failure(STELE_INVALID, stele_bus_add_route(fixture_bus, route, NULL, NULL, &error), error);
    assert_message(error, why);
    stele_error_free(error);
}

static void FWK03_a_route_without_interest_is_an_error(void **state)
{
    static const struct stele_route nothing = {.name = "r", .handle = fixture_record};
    static const struct stele_route both = {.name = "r", .on = "x", .type = &note_type, .handle = fixture_record};

    (void)state;
    assert_refused(&nothing, "neither");
    assert_refused(&both, "both");
}

static void routes_that_make_no_sense_are_errors(void **state)
{
    static const struct stele_route unnamed = {.on = "x", .handle = fixture_record};
    static const struct stele_route unhandled = {.name = "r", .on = "x"};
    static const struct stele_route malformed = {.name = "r", .on = "a..b", .handle = fixture_record};
    static const struct stele_route inside = {.name = "r", .on = "a.>.b", .handle = fixture_record};
    static const struct stele_route half = {.name = "r", .on = "x", .where = {"f", NULL}, .handle = fixture_record};
    static const struct stele_route boxed = {.name = "r", .on = "x", .capacity = 3, .handle = fixture_record};
    static const struct stele_route held = {
        .name = "r", .on = "x", .on_failure = STELE_SUSPEND, .handle = fixture_record};
    static const struct stele_route stored = {
        .name = "r", .on = "x", .delivery = STELE_AFTER_COMMIT, .handle = fixture_record};
    static const struct stele_route dropping = {.name = "r",
                                                .on = "x",
                                                .delivery = STELE_QUEUED,
                                                .partition = "text",
                                                .overflow = STELE_DROP_OLDEST,
                                                .handle = fixture_record};

    (void)state;
    assert_refused(&unnamed, "route");
    assert_refused(&unhandled, "no handler");
    assert_refused(&malformed, "route r");
    assert_refused(&inside, "route r");
    assert_refused(&half, "condition");
    assert_refused(&boxed, "inline");
    assert_refused(&held, "SUSPEND");
    assert_refused(&stored, "stele_bus_follow");
    assert_refused(&dropping, "partition");
}

static void KHO02_what_a_route_replies_with_is_a_reply(void **state)
{
    static const struct stele_route event = {
        .name = "r", .type = &ask_type, .handle = fixture_record, .replies = &note_type};
    static const struct stele_route command = {
        .name = "r", .type = &ask_type, .handle = fixture_record, .replies = &put_type};
    static const struct stele_route reply = {
        .name = "r", .type = &ask_type, .handle = fixture_record, .replies = &told_type};

    (void)state;
    assert_refused(&event, "route r: the type it replies with is no reply");
    assert_refused(&command, "no reply");
    fixture_add_as(&reply, "r");
}

static void what_a_type_cannot_be_called_no_route_is_on(void **state)
{
    static const struct stele_route control = {.name = "r", .on = "a.b\n", .handle = fixture_record};
    static const struct stele_route broken = {.name = "r", .on = "\xff.*", .handle = fixture_record};
    static const struct stele_route unkeyed = {
        .name = "r", .on = "x", .delivery = STELE_QUEUED, .partition = "", .handle = fixture_record};
    char name[STELE_TYPE_MAX + 2];
    stele_error *error = NULL;
    const struct stele_route endless = {.name = "r", .on = name, .handle = fixture_record};

    (void)state;
    memset(name, 'a', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    assert_refused(&control, "route r");
    assert_refused(&broken, "route r");
    assert_refused(&unkeyed, "partition");
    assert_status(STELE_LIMIT, stele_bus_add_route(fixture_bus, &endless, NULL, NULL, &error), error);
}

static void a_name_is_taken_until_its_route_is_removed(void **state)
{
    static const struct stele_route route = {.name = "r", .on = "x", .handle = fixture_record};
    const stele_route_id id = fixture_add_as(&route, "a");

    (void)state;
    assert_refused(&route, "name");
    assert_true(stele_bus_remove_route(fixture_bus, id));
    assert_false(stele_bus_remove_route(fixture_bus, id));
    assert_true(fixture_add_as(&route, "b") != id);
    fixture_publish("x");
    assert_string_equal(fixture_recorded(), "b1");
}

static unsigned stops;

static void count_stop(void *resource)
{
    (void)resource;
    stops++;
}

/* The table it is in stays until something else has it replaced, or the bus is freed. */
static void a_route_removed_without_memory_is_stopped_and_freed_with_the_bus(void **state)
{
    static const struct stele_route route = {.name = "r", .on = "x", .handle = fixture_record, .stop = count_stop};
    const stele_route_id id = fixture_add_as(&route, "a");

    (void)state;
    stops = 0;
    fixture_publish("x");
    support_fail_allocation(1);
    assert_true(stele_bus_remove_route(fixture_bus, id));
    assert_true(support_allocation_failed());
    support_fail_allocation(0);
    assert_int_equal(fixture_publish("x"), 0);
    stele_bus_free(fixture_bus);
    fixture_bus = NULL;
    assert_int_equal(stops, 1);
    assert_string_equal(fixture_recorded(), "a1");
}

static stele_route_id removed_ids[3];

static stele_status remove_all(void *resource, const stele_message *message, stele_context *context)
{
    for (size_t i = 0; i < 3; i++)
        stele_bus_remove_route(stele_context_bus(context), removed_ids[i]);
    return fixture_record(resource, message, context);
}

static void note_stop(void *resource)
{
    char word[16];

    snprintf(word, sizeof(word), "stop-%s", (const char *)resource);
    fixture_write(word);
}

/* Bold: upstream has no way to unsubscribe. */
static void ORX11_routes_are_removed_during_their_own_call(void **state)
{
    static const struct stele_route routes[] = {
        {.name = "a", .on = "x", .handle = remove_all, .stop = note_stop},
        {.name = "b", .on = "x", .handle = fixture_record, .stop = note_stop},
        {.name = "c", .on = "x", .handle = fixture_record, .stop = note_stop, .delivery = STELE_QUEUED},
    };
    const char *recorded;

    (void)state;
    removed_ids[0] = fixture_add_as(&routes[0], "a");
    removed_ids[1] = fixture_add_as(&routes[1], "b");
    removed_ids[2] = fixture_add_as(&routes[2], "c");
    fixture_publish("x");
    recorded = fixture_recorded();
    assert_memory_equal(recorded, "a1 ", 3); /* none is stopped before the call is over, and b is not called any more */
    assert_int_equal(strlen(recorded), strlen("a1 stop-a stop-b stop-c"));
    assert_non_null(strstr(recorded, "stop-a"));
    assert_non_null(strstr(recorded, "stop-b"));
    assert_non_null(strstr(recorded, "stop-c"));
    assert_int_equal(fixture_publish("x"), 0);
}

static void a_removed_inline_route_is_not_called_any_more_by_who_is_on_the_way(void **state)
{
    static const struct stele_route routes[] = {
        {.name = "a", .on = "x", .handle = remove_all},
        {.name = "b", .on = "x", .handle = fixture_record},
        {.name = "c", .on = "x", .handle = fixture_record},
    };

    (void)state;
    fixture_add_as(&routes[0], "a");
    removed_ids[0] = removed_ids[1] = fixture_add_as(&routes[1], "b");
    removed_ids[2] = 0; /* none */
    fixture_add_as(&routes[2], "c");
    fixture_publish("x");
    assert_string_equal(fixture_recorded(), "a1 c1");
}

static void NTH04_attach_and_detach_take_effect_for_later_messages(void **state)
{
    static const struct stele_route route = {.name = "r", .on = "x", .handle = fixture_record, .stop = note_stop};
    stele_route_id id;

    (void)state;
    assert_int_equal(fixture_publish("x"), 0);
    id = fixture_add_as(&route, "r");
    assert_int_equal(fixture_publish("x"), 1);
    assert_true(stele_bus_remove_route(fixture_bus, id));
    assert_int_equal(fixture_publish("x"), 0);
    assert_string_equal(fixture_recorded(), "r1 stop-r");
}

static void NTH05_any_number_of_buses_are_apart(void **state)
{
    static const struct stele_route route = {.name = "r", .on = "x", .handle = fixture_record};
    stele_bus *other = NULL;
    stele_error *error = NULL;

    (void)state;
    fixture_add_as(&route, "one");
    assert_ok(stele_bus_new(fixture_runtime, NULL, &other, &error), error);
    assert_ok(stele_bus_add_route(other, &route, fixture_tag("two"), NULL, &error), error);
    fixture_publish("x");
    assert_string_equal(fixture_recorded(), "one1");
    stele_bus_free(other);
}

static void KHO09_wrong_arguments_are_errors(void **state)
{
    stele_message *message = fixture_event("x");
    stele_error *error = NULL;
    stele_bus *bus = NULL;
    const struct stele_bus_options beyond = {.size = sizeof(beyond), .hops = 1000000};

    (void)state;
    assert_status(STELE_INVALID, stele_publish(NULL, message, NULL, &error), error);
    assert_status(STELE_INVALID, stele_publish(fixture_bus, NULL, NULL, &error), error);
    assert_status(STELE_INVALID, stele_bus_new(NULL, NULL, &bus, &error), error);
    assert_status(STELE_LIMIT, stele_bus_new(fixture_runtime, &beyond, &bus, &error), error);
    assert_status(STELE_INVALID, stele_bus_add_route(fixture_bus, NULL, NULL, NULL, &error), error);
    assert_status(STELE_NOT_FOUND, stele_bus_pause(fixture_bus, "none", &error), error);
    stele_message_unref(message);
}

static void names_from_outside_do_not_fill_the_memory(void **state)
{
    char type[32];
    size_t before;

    (void)state;
    fixture_publish("warm");
    before = stele_memory_in_use();
    for (int i = 0; i < 40000; i++) {
        snprintf(type, sizeof(type), "made.up.%d", i);
        fixture_publish(type);
    }
    assert_true(stele_memory_in_use() < before + 16u * 1024 * 1024);
}

static stele_status add_one(void *context, stele_error **error)
{
    static const struct stele_route route = {.name = "r",
                                             .type = &derived_event_type,
                                             .handle = fixture_record,
                                             .delivery = STELE_QUEUED,
                                             .partition = "text"};
    stele_bus *bus = NULL;
    stele_message *message = NULL;
    const struct derived_event payload = {.text = "k", .number = 1};
    stele_status status = stele_bus_new(context, NULL, &bus, error);

    if (status == STELE_OK)
        status = stele_bus_add_route(bus, &route, NULL, NULL, error);
    if (status == STELE_OK)
        status = derived_event_message(&payload, NULL, &message, error);
    if (status == STELE_OK)
        status = stele_publish(bus, message, NULL, error);
    stele_message_unref(message);
    stele_bus_free(bus);
    stele_runtime_run_until_idle(context);
    return status;
}

static void memory_may_run_out_anywhere(void **state)
{
    (void)state;
    assert_true(support_every_allocation_fails(add_one, fixture_runtime) > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(B2_exact_names_levels_and_the_rest_match),
        fixture_test(ORX07_inline_routes_run_in_order_of_adding),
        fixture_test(ORX07_a_hundred_routes_run_in_order_of_adding),
        fixture_test(KHO11_an_event_that_nobody_wants_is_no_error),
        fixture_test(NTH11_a_command_that_nobody_handles_is_an_error),
        fixture_test(B1_a_second_handler_of_a_command_is_an_error),
        fixture_test(B1_two_routes_of_a_name_that_becomes_a_command_are_an_error),
        fixture_test(B1_conditions_may_share_a_command),
        fixture_test(FWK04_a_route_for_a_parent_gets_its_children_once_and_reads_them_as_the_parent),
        fixture_test(FWK02_a_condition_compares_a_field_as_text),
        fixture_test(FWK03_a_route_without_interest_is_an_error),
        fixture_test(routes_that_make_no_sense_are_errors),
        fixture_test(KHO02_what_a_route_replies_with_is_a_reply),
        fixture_test(what_a_type_cannot_be_called_no_route_is_on),
        fixture_test(a_route_removed_without_memory_is_stopped_and_freed_with_the_bus),
        fixture_test(a_name_is_taken_until_its_route_is_removed),
        fixture_test(ORX11_routes_are_removed_during_their_own_call),
        fixture_test(a_removed_inline_route_is_not_called_any_more_by_who_is_on_the_way),
        fixture_test(NTH04_attach_and_detach_take_effect_for_later_messages),
        fixture_test(NTH05_any_number_of_buses_are_apart),
        fixture_test(KHO09_wrong_arguments_are_errors),
        fixture_test(names_from_outside_do_not_fill_the_memory),
        fixture_test(memory_may_run_out_anywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
