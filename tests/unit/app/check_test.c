/* What mounting refuses: the whole graph is looked at, and all problems are told at once. */
#include "tests/unit/app/shop.h"

#include <stele/log.h>

#include <stdio.h>
#include <string.h>

/* An app on a simulation, without a store; for one refused module each. */
struct stage {
    stele_runtime *runtime;
    stele_app *app;
};

static struct stage set_up(const struct stele_app_options *options)
{
    struct stage stage = {.runtime = shop_simulation()};
    stage.app = shop_app(stage.runtime, options);
    return stage;
}

static void tear_down(struct stage *stage)
{
    stele_app_free(stage->app);
    stele_runtime_free(stage->runtime);
}

static void assert_refused(const struct stele_module *module, const char *message)
{
    struct stage stage = set_up(NULL);
    shop_assert_refused(stage.app, module, message);
    tear_down(&stage);
}

/* --- One problem each --------------------------------------------------------------------- */

static void KHO19_a_resource_that_is_not_there_is_named(void **state)
{
    (void)state;
    const struct stele_route route = {.name = "ship", .on = "placed", .handle = shop_ignore, .uses = "printer"};
    const char *const needs[] = {"clock", NULL};
    const struct stele_module order = {
        .name = "order", .accepts = only_placed, .needs = needs, .routes = &route, .route_count = 1};
    assert_refused(&order, "2 problems:\n"
                           "module order: there is no resource clock\n"
                           "module order, route order.ship: there is no resource printer");
}

static void KHO25_a_type_that_nobody_knows_is_told(void **state)
{
    (void)state;
    const struct stele_route routes[] = {
        {.name = "ship", .on = "plaecd", .handle = shop_ignore},
        {.name = "all", .on = ".payment.*", .handle = shop_ignore},
    };
    const struct stele_module order = {.name = "order", .accepts = only_placed, .routes = routes, .route_count = 2};
    assert_refused(&order, "2 problems:\n"
                           "module order, route order.ship: no type of the app is known as order.plaecd\n"
                           "module order, route order.all: no type of the app is known as payment.*");
}

static void KHO25_what_is_published_and_handled_by_none_is_told(void **state)
{
    (void)state;
    const struct stele_type *const publishes[] = {&shipped_type, &receipt_type, NULL};
    const struct stele_route route = {.name = "ship", .on = "placed", .handle = shop_ignore, .publishes = publishes};
    const struct stele_module order = {.name = "order", .accepts = only_placed, .routes = &route, .route_count = 1};
    assert_refused(&order, "1 problem:\n"
                           "module order, route order.ship: publishes what nothing handles: order.shipped");
}

static void KHO25_what_is_handled_and_published_by_none_is_told(void **state)
{
    (void)state;
    const struct stele_route routes[] = {
        {.name = "ship", .on = "placed", .handle = shop_ignore},
        {.name = "bill", .type = &paid_type, .handle = shop_ignore},
    };
    const struct stele_module order = {.name = "order", .types = only_placed, .routes = routes, .route_count = 2};
    assert_refused(&order,
                   "2 problems:\n"
                   "module order, route order.ship: is for what nothing publishes and no module accepts: order.placed\n"
                   "module order, route order.bill: is for what nothing publishes and no module accepts: payment.paid");
}

static void B1_a_second_handler_of_a_command_is_told(void **state)
{
    (void)state;
    const struct stele_route routes[] = {
        {.name = "one", .on = "place", .handle = shop_ignore},
        {.name = "two", .type = &place_type, .handle = shop_ignore},
        {.name = "watch", .on = ">", .handle = shop_ignore},
        {.name = "three", .on = "placed", .handle = shop_ignore}, /* events have any number */
        {.name = "four", .on = "placed", .handle = shop_ignore},
    };
    const struct stele_type *const accepts[] = {&place_type, &placed_type, NULL};
    const struct stele_module order = {.name = "order", .accepts = accepts, .routes = routes, .route_count = 5};
    assert_refused(&order, "1 problem:\n"
                           "module order, route order.two: order.place has a handler already: order.one");
}

static void handlers_that_conditions_keep_apart_are_no_second_ones(void **state)
{
    (void)state;
    const struct stele_route routes[] = {
        {.name = "here", .on = "place", .where = {"order", "a"}, .handle = shop_ignore},
        {.name = "there", .on = "place", .where = {"order", "b"}, .handle = shop_ignore},
    };
    const struct stele_module order = {.name = "order", .accepts = only_place, .routes = routes, .route_count = 2};
    struct stage stage = set_up(NULL);
    assert_mounts(stage.app, &order);
    tear_down(&stage);
}

static void a_reply_other_than_the_one_awaited_is_told(void **state)
{
    (void)state;
    const struct stele_route route = {.name = "place", .on = "place", .handle = shop_ignore, .replies = &receipt_type};
    const struct stele_module order = {.name = "order", .routes = &route, .route_count = 1};
    const struct stele_module *const parts[] = {&order, NULL};
    const struct stele_module_request request = {&place_type, &quote_type};
    const struct stele_module desk = {.name = "desk", .modules = parts, .requests = &request, .request_count = 1};
    assert_refused(&desk, "1 problem:\n"
                          "module desk, request order.place: awaits order.quote, but order.place answers with "
                          "order.receipt");
}

static void what_is_awaited_and_published_by_none_is_told(void **state)
{
    (void)state;
    const struct stele_route route = {.name = "place", .on = "place", .handle = shop_ignore};
    const struct stele_module_request requests[] = {
        {&place_type, &receipt_type}, {&price_type, &quote_type}, {NULL, &quote_type}};
    const struct stele_module order = {
        .name = "order", .routes = &route, .route_count = 1, .requests = requests, .request_count = 3};
    assert_refused(&order, "4 problems:\n"
                           "module order, request order.place: awaits order.receipt, which nothing publishes\n"
                           "module order, request order.price: sends what nothing handles: order.price\n"
                           "module order, request order.price: awaits order.quote, which nothing publishes\n"
                           "module order, request without a name: it does not name what is sent and what answers");
}

static void a_reply_that_comes_from_the_end_of_a_chain_is_none_of_a_problem(void **state)
{
    (void)state;
    const struct stele_route routes[] = {
        {.name = "place", .on = "place", .handle = shop_ignore, .publishes = only_placed},
        {.name = "answer", .on = "placed", .handle = shop_ignore, .replies = &receipt_type},
    };
    const struct stele_module_request requests[] = {{&place_type, &receipt_type}, {&place_type, &placed_type}};
    const struct stele_module order = {
        .name = "order", .routes = routes, .route_count = 2, .requests = requests, .request_count = 2};
    struct stage stage = set_up(NULL);
    assert_mounts(stage.app, &order);
    tear_down(&stage);
}

static void E1_two_types_under_one_name_are_told(void **state)
{
    (void)state;
    const struct stele_type *const others[] = {&other_placed_type, NULL};
    const struct stele_route route = {.name = "ship", .on = "placed", .handle = shop_ignore};
    const struct stele_module other = {.name = "other", .accepts = others};
    const struct stele_module *const parts[] = {&other, NULL};
    const struct stele_module order = {
        .name = "order", .modules = parts, .accepts = only_placed, .routes = &route, .route_count = 1};
    assert_refused(&order, "1 problem:\n"
                           "module order, type order.placed: module other has another type under this name");
}

static void names_that_are_taken_are_told(void **state)
{
    (void)state;
    static const struct stele_interceptor_kind kind = {.name = "none", .points = STELE_AT_HANDLE};
    const struct stele_interceptor limit = {.name = "limit", .kind = &kind};
    const struct stele_interceptor *const interceptors[] = {&limit, &limit, NULL};
    const struct stele_route routes[] = {
        {.name = "ship", .on = "placed", .handle = shop_ignore},
        {.name = ".order.ship", .on = "placed", .handle = shop_ignore},
    };
    const struct stele_module twin = {.name = "order"};
    const struct stele_module *const parts[] = {&twin, NULL};
    const struct stele_module order = {.name = "order",
                                       .modules = parts,
                                       .accepts = only_placed,
                                       .interceptors = interceptors,
                                       .routes = routes,
                                       .route_count = 2};
    assert_refused(&order, "3 problems:\n"
                           "module order: the name is taken, by module order\n"
                           "module order, interceptor order.limit: the name is taken, by module order\n"
                           "module order, route order.ship: the name is taken, by module order");
}

static void malformed_names_and_patterns_are_told(void **state)
{
    (void)state;
    const struct stele_interceptor nameless = {.on = "a.>.b"};
    const struct stele_interceptor *const interceptors[] = {&nameless, NULL};
    const struct stele_route routes[] = {
        {.name = "gap", .on = "a..b", .handle = shop_ignore},
        {.on = "placed", .handle = shop_ignore},
        {.name = "both", .on = "placed", .type = &placed_type},
        {.name = "neither", .handle = shop_ignore},
    };
    const struct stele_module order = {
        .name = "order", .accepts = only_placed, .interceptors = interceptors, .routes = routes, .route_count = 4};
    const struct stele_module *const parts[] = {&order, NULL};
    const struct stele_module wild = {.name = "a.*", .modules = parts};
    assert_refused(&wild,
                   "9 problems:\n"
                   "module order, interceptor without a name: name: must not be empty\n"
                   "module order, interceptor without a name: order.a.>.b: pattern: '>' before the end at offset 8\n"
                   "module order, interceptor without a name: it has no kind\n"
                   "module order, route order.gap: order.a..b: pattern: empty level at offset 8\n"
                   "module order, route without a name: name: must not be empty\n"
                   "module order, route order.both: it has both `on` and `type`\n"
                   "module order, route order.both: it has no handler\n"
                   "module order, route order.neither: it has neither `on` nor `type`\n"
                   "module a.*: a namespace has no wildcards");
}

static void assert_namespace_refused(const char *name, const char *problem)
{
    const struct stele_module module = {.name = name};
    assert_refused(&module, problem);
}

static void a_namespace_is_a_dotted_name_of_plain_characters(void **state)
{
    (void)state;
    assert_namespace_refused("a b", "1 problem:\nmodule a b: a namespace is letters, digits, '_' and '-' between dots: "
                                    "not ' ' at offset 1");
    assert_namespace_refused("shop/order", "1 problem:\nmodule shop/order: a namespace is letters, digits, '_' and '-' "
                                           "between dots: not '/' at offset 4");
    assert_namespace_refused(".order", "1 problem:\nmodule .order: pattern: empty level at offset 0");
    assert_namespace_refused("order.", "1 problem:\nmodule order.: pattern: empty level at offset 6");
    static const struct stele_module sound[] = {
        {.name = "order"}, {.name = "Shop-2.order_line"}, {.name = "läden.küche"}, {.name = ""}};
    for (size_t i = 0; i < 4; i++) {
        struct stage stage = set_up(NULL);
        assert_mounts(stage.app, &sound[i]);
        tear_down(&stage);
    }
}

static void a_reply_of_another_kind_is_told(void **state)
{
    (void)state;
    const struct stele_route route = {.name = "place", .on = "place", .handle = shop_ignore, .replies = &placed_type};
    const struct stele_module order = {.name = "order", .accepts = only_place, .routes = &route, .route_count = 1};
    assert_refused(&order, "1 problem:\n"
                           "module order, route order.place: replies with order.placed, which is no reply");
}

/* Its label alone is longer than all that an error shows. */
static void a_problem_of_any_length_is_shown_with_its_beginning(void **state)
{
    (void)state;
    static char name[5000];
    memset(name, 'x', sizeof(name) - 1);
    const struct stele_route route = {.name = name, .on = "placed", .handle = shop_ignore};
    const struct stele_module order = {.name = "order", .accepts = only_placed, .routes = &route, .route_count = 1};
    struct stage stage = set_up(NULL);
    stele_error *error = NULL;
    assert_failure(STELE_INVALID, shop_mount(stage.app, &order, &error), error);
    assert_memory_equal("1 problem: module order, route order.xxx", stele_error_message(error), 40);
    assert_message(error, "xxx ...");
    assert_null(strstr(stele_error_message(error), "more"));
    stele_error_free(error);
    tear_down(&stage);
}

static void an_aggregate_without_a_store_is_told(void **state)
{
    (void)state;
    const struct stele_module_aggregate entry = {.aggregate = &book_aggregate, .key = "order"};
    const struct stele_route route = {
        .name = "log", .on = "opened", .handle = shop_ignore, .delivery = STELE_AFTER_COMMIT};
    const struct stele_module order = {.name = "order",
                                       .accepts = only_open,
                                       .aggregates = &entry,
                                       .aggregate_count = 1,
                                       .routes = &route,
                                       .route_count = 1};
    assert_refused(&order, "2 problems:\n"
                           "module order, route order.log: it follows the log, and the app has no store\n"
                           "module order, aggregate order.book: the app has no store");
}

static void a_second_handler_beside_an_aggregate_is_told(void **state)
{
    (void)state;
    const struct stele_module_aggregate entries[] = {{.aggregate = &book_aggregate, .key = "order"},
                                                     {.aggregate = &book_aggregate, .key = "order"}};
    const struct stele_route route = {.name = "open", .on = "open", .handle = shop_ignore};
    const struct stele_module order = {
        .name = "order", .aggregates = entries, .aggregate_count = 2, .routes = &route, .route_count = 1};
    stele_store *store = shop_store();
    struct stele_app_options options = STELE_OPTIONS_INIT(struct stele_app_options);
    options.store = store;
    struct stage stage = set_up(&options);
    shop_assert_refused(
        stage.app, &order,
        "5 problems:\n"
        "module order, route order.open: is for what nothing publishes and no module accepts: order.open\n"
        "module order, aggregate order.book: order.open has a handler already: order.open\n"
        "module order, aggregate order.book: is for what nothing publishes and no module accepts: order.open\n"
        "module order, aggregate order.book: order.open has a handler already: order.book\n"
        "module order, aggregate order.book: is for what nothing publishes and no module accepts: order.open");
    tear_down(&stage);
    stele_store_close(store);
}

static void a_schedule_without_type_payload_or_interval_is_told(void **state)
{
    (void)state;
    const struct place payload = {.order = "a"};
    const struct stele_module_schedule schedules[] = {
        {.type = &shipped_type, .payload = &payload, .every_ms = 10},
        {.payload = &payload, .every_ms = 10},
        {.type = &placed_type},
    };
    const struct stele_route route = {.name = "ship", .on = "placed", .handle = shop_ignore};
    const struct stele_module order = {
        .name = "order", .routes = &route, .route_count = 1, .schedules = schedules, .schedule_count = 3};
    assert_refused(&order, "4 problems:\n"
                           "module order, schedule order.shipped: publishes what nothing handles: order.shipped\n"
                           "module order, schedule without a name: it has no type\n"
                           "module order, schedule order.placed: it has no payload\n"
                           "module order, schedule order.placed: its interval is 0");
}

static void tables_that_are_missing_are_told(void **state)
{
    (void)state;
    const struct stele_module empty = {.route_count = 2, .aggregate_count = 1, .request_count = 1, .schedule_count = 3};
    assert_refused(&empty, "4 problems:\n"
                           "module \"\": it has 2 routes, but the table is missing\n"
                           "module \"\": it has 1 aggregates, but the table is missing\n"
                           "module \"\": it has 1 requests, but the table is missing\n"
                           "module \"\": it has 3 schedules, but the table is missing");
}

/* --- Together -------------------------------------------------------------------------------- */

static void an_error_of_a_known_type_may_be_handled(void **state)
{
    (void)state;
    const struct stele_route routes[] = {
        {.name = "ship", .on = "placed", .handle = shop_ignore},
        {.name = "recover", .on = "placed.error", .handle = shop_ignore},
        {.name = "again", .on = "placed.error.error", .handle = shop_ignore},
        {.name = "errors", .on = "*.error", .handle = shop_ignore},
        {.name = "any", .type = &stele_handler_failed_type, .handle = shop_ignore},
    };
    const struct stele_module order = {.name = "order", .accepts = only_placed, .routes = routes, .route_count = 5};
    struct stage stage = set_up(NULL);
    assert_mounts(stage.app, &order);
    tear_down(&stage);
}

/* A module whose routes are on unknown types, with names of 200 bytes: more than an error holds. */
static void many_problems_are_cut_at_a_whole_line_and_counted(void **state)
{
    (void)state;
    enum { ROUTES = 30 };
    static char names[ROUTES][201];
    struct stele_route routes[ROUTES];
    for (int i = 0; i < ROUTES; i++) {
        memset(names[i], 'x', 200);
        snprintf(names[i], sizeof(names[i]), "r%02d", i);
        names[i][3] = 'x';
        routes[i] = (struct stele_route){.name = names[i], .on = "gone", .handle = shop_ignore};
    }
    const struct stele_module order = {.name = "order", .routes = routes, .route_count = ROUTES};
    struct stage stage = set_up(NULL);
    stele_error *error = NULL;
    assert_failure(STELE_INVALID, shop_mount(stage.app, &order, &error), error);
    const char *problems = stele_error_get(error, "problems");
    /* Each line: "\nmodule order, route order." (27), the name (200), ": no type of the app is known as order.gone"
     * (43), so 270 bytes; 13 of them are 3510, below 3600, and 14 are 3780. The first newline is left out. */
    assert_memory_equal("module order, route order.r00x", problems, 30);
    assert_int_equal(13 * 270 - 1 + strlen("\nand 17 more"), strlen(problems));
    assert_string_equal("\nand 17 more", problems + 13 * 270 - 1);
    assert_memory_equal("30 problems: module order, route order.r00x", stele_error_message(error), 43);
    assert_message(error, "; and 17 more");
    stele_error_free(error);
    tear_down(&stage);
}

static void a_refused_module_leaves_nothing_behind(void **state)
{
    (void)state;
    const struct stele_route routes[] = {
        {.name = "ship", .on = "placed", .handle = shop_note},
        {.name = "bill", .on = ".payment.paid", .handle = shop_note, .uses = "bank"},
    };
    const struct stele_type *const accepts[] = {&placed_type, &paid_type, NULL};
    const struct stele_module order = {.name = "order", .accepts = accepts, .routes = routes, .route_count = 2};
    struct stage stage = set_up(NULL);
    int bank = 0;
    stele_error *error = NULL;
    assert_status(STELE_INVALID, shop_mount(stage.app, &order, &error), error);
    assert_int_equal(0, shop_publish(stage.app, &placed_type, "a"));
    assert_ok(stele_app_provide(stage.app, "bank", &bank, &error), error);
    assert_mounts(stage.app, &order);
    assert_int_equal(1, shop_publish(stage.app, &placed_type, "a"));
    assert_string_equal("order.ship ", shop_notes);
    tear_down(&stage);
}

static void what_the_bus_refuses_leaves_nothing_behind(void **state)
{
    (void)state;
    const struct stele_interceptor pass = {.name = "pass", STELE_VALIDATION};
    const struct stele_interceptor *const interceptors[] = {&pass, NULL};
    const struct stele_route routes[] = {
        {.name = "ship", .on = "placed", .handle = shop_note},
        {.name = "odd", .on = "placed", .handle = shop_note, .partition = "order"}, /* an inline route has no mailbox */
    };
    struct stele_module order = {
        .name = "order", .accepts = only_placed, .interceptors = interceptors, .routes = routes, .route_count = 2};
    struct stage stage = set_up(NULL);
    stele_error *error = NULL;
    assert_failure(STELE_INVALID, shop_mount(stage.app, &order, &error), error);
    assert_message(error, "module order: route order.odd: ");
    stele_error_free(error);
    assert_int_equal(0, shop_publish(stage.app, &placed_type, "a"));
    assert_false(stele_bus_remove_interceptor(stele_app_bus(stage.app), "order.pass"));
    order.route_count = 1;
    assert_mounts(stage.app, &order);
    assert_int_equal(1, shop_publish(stage.app, &placed_type, "a"));
    tear_down(&stage);
}

/* --- Warnings instead --------------------------------------------------------------------------- */

struct logged {
    unsigned count;
    char line[256];
};

static void keep_record(void *context, const struct stele_log_record *record)
{
    struct logged *logged = context;
    if (record->level != STELE_LOG_WARNING)
        return;
    logged->count++;
    stele_log_print(record, logged->line, sizeof(logged->line));
}

static void what_an_app_allows_is_only_logged(void **state)
{
    (void)state;
    struct stele_app_options options = STELE_OPTIONS_INIT(struct stele_app_options);
    options.allow_unhandled = true;
    const struct stele_route route = {.name = "ship", .on = "placed", .handle = shop_ignore, .publishes = only_shipped};
    const struct stele_module order = {.name = "order", .types = only_placed, .routes = &route, .route_count = 1};
    struct logged logged = {0};
    struct stage stage = set_up(&options);
    stele_log_use(keep_record, &logged, STELE_LOG_WARNING);
    assert_mounts(stage.app, &order);
    stele_log_use(NULL, NULL, STELE_LOG_ERROR);
    assert_int_equal(2, logged.count);
    assert_string_equal("warning publishes what nothing handles module=order route=order.ship type=order.shipped",
                        logged.line);
    tear_down(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(KHO19_a_resource_that_is_not_there_is_named),
        support_test(KHO25_a_type_that_nobody_knows_is_told),
        support_test(KHO25_what_is_published_and_handled_by_none_is_told),
        support_test(KHO25_what_is_handled_and_published_by_none_is_told),
        support_test(B1_a_second_handler_of_a_command_is_told),
        support_test(handlers_that_conditions_keep_apart_are_no_second_ones),
        support_test(a_reply_other_than_the_one_awaited_is_told),
        support_test(what_is_awaited_and_published_by_none_is_told),
        support_test(a_reply_that_comes_from_the_end_of_a_chain_is_none_of_a_problem),
        support_test(E1_two_types_under_one_name_are_told),
        support_test(names_that_are_taken_are_told),
        support_test(malformed_names_and_patterns_are_told),
        support_test(a_namespace_is_a_dotted_name_of_plain_characters),
        support_test(a_reply_of_another_kind_is_told),
        support_test(a_problem_of_any_length_is_shown_with_its_beginning),
        support_test(an_aggregate_without_a_store_is_told),
        support_test(a_second_handler_beside_an_aggregate_is_told),
        support_test(a_schedule_without_type_payload_or_interval_is_told),
        support_test(tables_that_are_missing_are_told),
        support_test(an_error_of_a_known_type_may_be_handled),
        support_test(many_problems_are_cut_at_a_whole_line_and_counted),
        support_test(a_refused_module_leaves_nothing_behind),
        support_test(what_the_bus_refuses_leaves_nothing_behind),
        support_test(what_an_app_allows_is_only_logged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
