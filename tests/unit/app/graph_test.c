/* The graph of an app, as text and for Graphviz: goldens worked out by hand from the tables. */
#include "tests/unit/app/shop.h"

#include <string.h>

static const struct stele_interceptor valid = {.name = "valid", STELE_VALIDATION};
static const struct stele_interceptor valid_payments = {
    .name = ".payments.valid", .on = ".payment.>", STELE_VALIDATION};
static const struct stele_interceptor *const interceptors[] = {&valid, &valid_payments, NULL};
static const char *const needs[] = {"clock", NULL};
static const struct stele_route order_routes[] = {
    {.name = "place", .on = "place", .handle = shop_ignore, .publishes = only_placed, .replies = &receipt_type},
    {.name = "ship",
     .on = "placed",
     .where = {"order", "a"},
     .handle = shop_ignore,
     .delivery = STELE_QUEUED,
     .uses = "printer"},
};
static const struct place tick = {.order = "tick"};
static const struct stele_module_schedule schedules[] = {{&paid_type, &tick, 1500}};
static const struct stele_module_request requests[] = {{&place_type, &receipt_type}};
static const struct stele_module order = {.name = "order",
                                          .accepts = only_place,
                                          .needs = needs,
                                          .interceptors = interceptors,
                                          .routes = order_routes,
                                          .route_count = 2};
static const struct stele_module *const parts[] = {&order, NULL};
static const struct stele_route plain_routes[] = {
    {.name = "a \"quoted\\\" one", .type = &paid_type, .handle = shop_ignore},
};
static const struct stele_module plain = {.modules = parts,
                                          .routes = plain_routes,
                                          .route_count = 1,
                                          .schedules = schedules,
                                          .schedule_count = 1,
                                          .requests = requests,
                                          .request_count = 1};

static const char text_golden[] = "module order\n"
                                  "  needs clock\n"
                                  "  accepts order.place\n"
                                  "  interceptor order.valid on everything\n"
                                  "  interceptor payments.valid on payment.>\n"
                                  "  route order.place, inline\n"
                                  "    on order.place\n"
                                  "    publishes order.placed\n"
                                  "    replies order.receipt\n"
                                  "  route order.ship, queued\n"
                                  "    on order.placed where order = a\n"
                                  "    uses printer\n"
                                  "module \"\"\n"
                                  "  route a \"quoted\\\" one, inline\n"
                                  "    on type payment.paid\n"
                                  "  request order.place, answered by order.receipt\n"
                                  "  schedule payment.paid every 1500 ms\n";

static const char dot_golden[] =
    "digraph app {\n"
    "  rankdir=LR;\n"
    "  subgraph \"cluster:order\" {\n"
    "    label=\"order\";\n"
    "    \"route:order.place\" [label=\"order.place\", shape=box];\n"
    "    \"route:order.ship\" [label=\"order.ship\", shape=box];\n"
    "  }\n"
    "  subgraph \"cluster:\" {\n"
    "    label=\"\";\n"
    "    \"route:a \\\"quoted\\\\\\\" one\" [label=\"a \\\"quoted\\\\\\\" one\", shape=box];\n"
    "    \"schedule:payment.paid\" [label=\"payment.paid\", shape=cds];\n"
    "  }\n"
    "  \"type:order.place\" [label=\"order.place\", shape=ellipse];\n"
    "  \"type:order.placed\" [label=\"order.placed\", shape=ellipse];\n"
    "  \"type:order.receipt\" [label=\"order.receipt\", shape=ellipse];\n"
    "  \"type:payment.paid\" [label=\"payment.paid\", shape=ellipse];\n"
    "  \"type:order.place\" -> \"route:order.place\";\n"
    "  \"route:order.place\" -> \"type:order.placed\";\n"
    "  \"route:order.place\" -> \"type:order.receipt\" [style=dashed];\n"
    "  \"type:order.placed\" -> \"route:order.ship\";\n"
    "  \"type:payment.paid\" -> \"route:a \\\"quoted\\\\\\\" one\";\n"
    "  \"schedule:payment.paid\" -> \"type:payment.paid\";\n"
    "}\n";

struct stage {
    stele_runtime *runtime;
    stele_app *app;
    stele_arena *arena;
};

static struct stage set_up(void)
{
    static int anything;
    struct stage stage = {.runtime = shop_simulation()};
    stele_error *error = NULL;
    stage.app = shop_app(stage.runtime, NULL);
    assert_ok(stele_app_provide(stage.app, "clock", &anything, &error), error);
    assert_ok(stele_app_provide(stage.app, "printer", &anything, &error), error);
    assert_mounts(stage.app, &plain);
    assert_ok(stele_arena_new(&stage.arena, &error), error);
    return stage;
}

static void tear_down(struct stage *stage)
{
    stele_arena_free(stage->arena);
    stele_app_free(stage->app);
    stele_runtime_free(stage->runtime);
}

static void KHO25_the_graph_prints_as_text(void **state)
{
    (void)state;
    struct stage stage = set_up();
    struct stele_slice text = {NULL, 0};
    stele_error *error = NULL;
    assert_ok(stele_app_graph_text(stage.app, stage.arena, &text, &error), error);
    assert_string_equal(text_golden, text.data);
    assert_int_equal(sizeof(text_golden) - 1, text.size);
    tear_down(&stage);
}

static void KHO25_the_graph_prints_as_dot_with_names_quoted(void **state)
{
    (void)state;
    struct stage stage = set_up();
    struct stele_slice text = {NULL, 0};
    stele_error *error = NULL;
    assert_ok(stele_app_graph_dot(stage.app, stage.arena, &text, &error), error);
    assert_string_equal(dot_golden, text.data);
    tear_down(&stage);
}

static void aggregates_stand_between_commands_and_stored_events(void **state)
{
    (void)state;
    const struct stele_module_aggregate entry = {
        .aggregate = &book_aggregate, .key = "order", .delivery = STELE_QUEUED};
    const struct stele_module books = {
        .name = "order", .accepts = only_open, .aggregates = &entry, .aggregate_count = 1};
    struct stele_app_options options = STELE_OPTIONS_INIT(struct stele_app_options);
    stele_runtime *runtime = shop_simulation();
    stele_arena *arena = NULL;
    struct stele_slice text = {NULL, 0};
    stele_error *error = NULL;
    options.store = shop_store();
    stele_app *app = shop_app(runtime, &options);
    assert_mounts(app, &books);
    assert_ok(stele_arena_new(&arena, &error), error);
    assert_ok(stele_app_graph_text(app, arena, &text, &error), error);
    assert_string_equal("module order\n"
                        "  accepts order.open\n"
                        "  aggregate order.book, queued\n"
                        "    on order.open\n"
                        "    stores order.opened\n",
                        text.data);
    assert_ok(stele_app_graph_dot(app, arena, &text, &error), error);
    assert_non_null(strstr(text.data, "    \"aggregate:order.book\" [label=\"order.book\", shape=cylinder];\n"));
    assert_non_null(strstr(text.data, "  \"type:order.open\" -> \"aggregate:order.book\";\n"));
    assert_non_null(strstr(text.data, "  \"aggregate:order.book\" -> \"type:order.opened\";\n"));
    stele_arena_free(arena);
    stele_app_free(app);
    stele_store_close(options.store);
    stele_runtime_free(runtime);
}

static void an_empty_app_has_an_empty_graph(void **state)
{
    (void)state;
    stele_runtime *runtime = shop_simulation();
    stele_app *app = shop_app(runtime, NULL);
    stele_arena *arena = NULL;
    struct stele_slice text = {NULL, 0};
    stele_error *error = NULL;
    assert_ok(stele_arena_new(&arena, &error), error);
    assert_ok(stele_app_graph_text(app, arena, &text, &error), error);
    assert_string_equal("", text.data);
    assert_ok(stele_app_graph_dot(app, arena, &text, &error), error);
    assert_string_equal("digraph app {\n  rankdir=LR;\n}\n", text.data);
    assert_status(STELE_INVALID, stele_app_graph_text(NULL, arena, &text, &error), error);
    assert_status(STELE_INVALID, stele_app_graph_text(app, NULL, &text, &error), error);
    assert_status(STELE_INVALID, stele_app_graph_dot(app, arena, NULL, &error), error);
    stele_arena_free(arena);
    stele_app_free(app);
    stele_runtime_free(runtime);
}

static stele_status print_both(void *context, stele_error **error)
{
    stele_arena *arena = NULL;
    struct stele_slice text = {NULL, 0};
    stele_status status = stele_arena_new(&arena, error);
    if (status == STELE_OK)
        status = stele_app_graph_text(context, arena, &text, error);
    if (status == STELE_OK)
        status = stele_app_graph_dot(context, arena, &text, error);
    stele_arena_free(arena);
    return status;
}

static void printing_survives_a_lack_of_memory(void **state)
{
    (void)state;
    struct stage stage = set_up();
    assert_true(support_every_allocation_fails(print_both, stage.app) > 4);
    tear_down(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(KHO25_the_graph_prints_as_text),
        support_test(KHO25_the_graph_prints_as_dot_with_names_quoted),
        support_test(aggregates_stand_between_commands_and_stored_events),
        support_test(an_empty_app_has_an_empty_graph),
        support_test(printing_survives_a_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
