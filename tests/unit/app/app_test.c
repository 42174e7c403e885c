/* An app's life: resources, starting and stopping in order, what runs in between. */
#include "tests/unit/app/shop.h"

#include <string.h>

#define SECOND INT64_C(1000000000)

struct stage {
    stele_runtime *runtime;
    stele_store *store;
    stele_app *app;
};

static struct stage set_up(bool with_store)
{
    struct stele_app_options options = STELE_OPTIONS_INIT(struct stele_app_options);
    struct stage stage = {.runtime = shop_simulation()};
    stage.store = with_store ? shop_store() : NULL;
    options.store = stage.store;
    stage.app = shop_app(stage.runtime, &options);
    return stage;
}

static void tear_down(struct stage *stage)
{
    stele_app_free(stage->app);
    stele_store_close(stage->store);
    stele_runtime_free(stage->runtime);
}

static void start(const struct stage *stage)
{
    stele_error *error = NULL;
    assert_ok(stele_app_start(stage->app, &error), error);
}

static void stop(const struct stage *stage)
{
    stele_error *error = NULL;
    assert_ok(stele_app_stop(stage->app, 1000, NULL, &error), error);
}

/* --- An app and its parts ------------------------------------------------------------------- */

static void an_app_has_a_bus_and_perhaps_a_store(void **state)
{
    (void)state;
    struct stage stage = set_up(true);
    assert_ptr_equal(stage.runtime, stele_bus_runtime(stele_app_bus(stage.app)));
    assert_ptr_equal(stage.store, stele_app_store(stage.app));
    tear_down(&stage);
    stage = set_up(false);
    assert_null(stele_app_store(stage.app));
    assert_null(stele_app_repository(stage.app, &book_aggregate));
    tear_down(&stage);
    assert_null(stele_app_bus(NULL));
    assert_null(stele_app_store(NULL));
    assert_null(stele_app_repository(NULL, &book_aggregate));
    assert_null(stele_app_resource(NULL, "x"));
    stele_app_free(NULL);
    stele_app_quit(NULL);
}

static bool keep_processed(void *context, const struct stele_route_stats *stats)
{
    *(uint64_t *)context = stats->processed;
    return true;
}

static void KHO35_options_have_documented_defaults(void **state)
{
    (void)state;
    const struct stele_route route = {.name = "ship", .on = "placed", .handle = shop_note};
    const struct stele_module order = {.name = "order", .accepts = only_placed, .routes = &route, .route_count = 1};
    stele_runtime *runtime = shop_simulation();
    stele_app *app = shop_app(runtime, NULL);
    uint64_t processed = 0;
    stele_error *error = NULL;
    assert_mounts(app, &order);
    shop_publish(app, &placed_type, "a");
    assert_ok(stele_bus_visit_routes(stele_app_bus(app), keep_processed, &processed, &error), error);
    assert_int_equal(1, processed); /* the bus measures */
    stele_app_free(app);

    struct stele_bus_options bus = STELE_OPTIONS_INIT(struct stele_bus_options);
    struct stele_app_options options = STELE_OPTIONS_INIT(struct stele_app_options);
    options.bus = &bus;
    app = shop_app(runtime, &options);
    assert_mounts(app, &order);
    shop_publish(app, &placed_type, "a");
    assert_ok(stele_bus_visit_routes(stele_app_bus(app), keep_processed, &processed, &error), error);
    assert_int_equal(0, processed); /* this one does not */
    stele_app_free(app);
    stele_runtime_free(runtime);
}

static void invalid_arguments_are_named(void **state)
{
    (void)state;
    struct stage stage = set_up(false);
    stele_app *app = NULL;
    stele_error *error = NULL;
    int thing = 0;
    assert_status(STELE_INVALID, stele_app_new(NULL, NULL, &app, &error), error);
    assert_status(STELE_INVALID, stele_app_new(stage.runtime, NULL, NULL, &error), error);
    struct stele_app_options unknown = {.size = 1};
    assert_status(STELE_INVALID, stele_app_new(stage.runtime, &unknown, &app, &error), error);
    assert_status(STELE_INVALID, stele_app_provide(NULL, "x", &thing, &error), error);
    assert_status(STELE_INVALID, stele_app_provide(stage.app, NULL, &thing, &error), error);
    assert_status(STELE_INVALID, stele_app_provide(stage.app, "", &thing, &error), error);
    assert_status(STELE_INVALID, stele_app_provide(stage.app, "x", NULL, &error), error);
    assert_status(STELE_INVALID, stele_app_mount(NULL, NULL, &error), error);
    assert_status(STELE_INVALID, stele_app_mount(stage.app, NULL, &error), error);
    assert_status(STELE_INVALID, stele_app_start(NULL, &error), error);
    assert_status(STELE_INVALID, stele_app_stop(NULL, 0, NULL, &error), error);
    assert_status(STELE_INVALID, stele_app_run(NULL, 0, &error), error);
    tear_down(&stage);
}

/* --- Resources ---------------------------------------------------------------------------------- */

/* A service that knows nothing of messages, and a thin handler that turns what it says into events. */
struct till {
    int64_t amount;
};

static bool till_take(struct till *till, const char *order)
{
    if (strcmp(order, "bad") == 0)
        return false;
    till->amount++;
    return true;
}

static stele_status bill(struct till *till, const struct placed *event, stele_context *context)
{
    if (till_take(till, event->order))
        return STELE_PUBLISH(context, paid, .order = event->order);
    return STELE_PUBLISH(context, shipped, .order = event->order); /* here: the failure event */
}
STELE_DEFINE_HANDLER_WITH(bill, placed, till)

static const struct stele_type *const paid_or_shipped[] = {&paid_type, &shipped_type, NULL};

static void NTH29_a_thin_handler_turns_a_service_s_result_into_events(void **state)
{
    (void)state;
    const struct stele_route routes[] = {
        {.name = "bill", .on = "placed", .handle = bill_handle, .publishes = paid_or_shipped, .uses = "till"},
        {.name = "yes", .on = ".payment.paid", .handle = shop_note},
        {.name = "no", .on = "shipped", .handle = shop_note},
    };
    const struct stele_module order = {.name = "order", .accepts = only_placed, .routes = routes, .route_count = 3};
    struct stage stage = set_up(false);
    struct till till = {.amount = 0};
    stele_error *error = NULL;
    assert_ok(stele_app_provide(stage.app, "till", &till, &error), error);
    assert_ptr_equal(&till, stele_app_resource(stage.app, "till"));
    assert_null(stele_app_resource(stage.app, "tills"));
    assert_mounts(stage.app, &order);
    shop_publish(stage.app, &placed_type, "good");
    shop_publish(stage.app, &placed_type, "bad");
    assert_string_equal("order.yes order.no ", shop_notes);
    assert_int_equal(1, till.amount);
    tear_down(&stage);
}

static void KHO19_a_resource_is_named_once(void **state)
{
    (void)state;
    struct stage stage = set_up(false);
    int one = 0, two = 0;
    stele_error *error = NULL;
    char name[] = "clock";
    assert_ok(stele_app_provide(stage.app, name, &one, &error), error);
    name[0] = 'b'; /* the name was copied */
    assert_failure(STELE_INVALID, stele_app_provide(stage.app, "clock", &two, &error), error);
    assert_message(error, "there is a resource clock already");
    stele_error_free(error);
    assert_ptr_equal(&one, stele_app_resource(stage.app, "clock"));
    tear_down(&stage);
}

/* One event, several commands that follow. */
static stele_status react(const struct placed *event, stele_context *context)
{
    const stele_status status = STELE_PUBLISH(context, place, .order = event->order);
    return status == STELE_OK ? STELE_PUBLISH(context, price, .order = event->order) : status;
}
STELE_DEFINE_HANDLER(react, placed)

static void NTH27_one_event_leads_to_several_commands(void **state)
{
    (void)state;
    const struct stele_type *const commands[] = {&place_type, &price_type, NULL};
    const struct stele_route routes[] = {
        {.name = "react", .on = "placed", .handle = react_handle, .publishes = commands},
        {.name = "email", .on = "place", .handle = shop_note, .delivery = STELE_QUEUED, .priority = 1},
        {.name = "inventory", .on = "price", .handle = shop_note, .delivery = STELE_QUEUED, .priority = 2},
    };
    const struct stele_module order = {.name = "order", .accepts = only_placed, .routes = routes, .route_count = 3};
    struct stage stage = set_up(false);
    assert_mounts(stage.app, &order);
    shop_publish(stage.app, &placed_type, "a");
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal("order.email order.inventory ", shop_notes);
    tear_down(&stage);
}

/* --- Starting and stopping ------------------------------------------------------------------------ */

static stele_status starts_one(stele_app *app, stele_error **error)
{
    shop_add_note("+one");
    assert_non_null(stele_app_bus(app));
    /* Nothing is mounted or started from within. */
    assert_int_equal(STELE_INVALID, stele_app_start(app, NULL));
    (void)error;
    return STELE_OK;
}

static void stops_one(stele_app *app)
{
    (void)app;
    shop_add_note("-one");
}

static bool two_fails;

static stele_status starts_two(stele_app *app, stele_error **error)
{
    (void)app;
    (void)error;
    shop_add_note("+two");
    return two_fails ? STELE_FULL : STELE_OK;
}

static void stops_two(stele_app *app)
{
    (void)app;
    shop_add_note("-two");
}

static void stops_route(void *resource)
{
    (void)resource;
    shop_add_note("route");
}

static const struct stele_route noting_routes[] = {
    {.name = "note", .on = "placed", .handle = shop_note, .stop = stops_route},
};
static const struct stele_module one = {.name = "one", .start = starts_one, .stop = stops_one};
static const struct stele_module two = {.name = "order",
                                        .accepts = only_placed,
                                        .routes = noting_routes,
                                        .route_count = 1,
                                        .start = starts_two,
                                        .stop = stops_two};
static const struct stele_module *const both[] = {&one, &two, NULL};

static void FWK09_modules_are_told_of_start_and_stop_around_all_messages(void **state)
{
    (void)state;
    struct stage stage = set_up(false);
    stele_error *error = NULL;
    two_fails = false;
    assert_ok(stele_app_mount(stage.app, both, &error), error);
    start(&stage);
    shop_publish(stage.app, &placed_type, "a");
    stop(&stage);
    assert_string_equal("+one +two order.note route -two -one ", shop_notes);
    tear_down(&stage);
}

/* The reference stopped in any order, and a component that had not started was stopped as well. */
static void NTH13_bug_a_failed_start_stops_those_that_were_started(void **state)
{
    (void)state;
    struct stage stage = set_up(false);
    stele_error *error = NULL;
    two_fails = true;
    assert_ok(stele_app_mount(stage.app, both, &error), error);
    assert_int_equal(STELE_FULL, stele_app_start(stage.app, NULL));
    assert_string_equal("+one +two -one ", shop_notes);
    shop_clear();
    two_fails = false;
    start(&stage); /* what could not start may be tried again */
    stop(&stage);
    assert_string_equal("+one +two route -two -one ", shop_notes);
    tear_down(&stage);
}

static void the_states_of_an_app_come_once_and_in_order(void **state)
{
    (void)state;
    struct stage stage = set_up(false);
    stele_error *error = NULL;
    two_fails = false;
    start(&stage);
    assert_status(STELE_INVALID, stele_app_start(stage.app, &error), error);
    assert_status(STELE_INVALID, stele_app_mount(stage.app, both, &error), error);
    stop(&stage);
    stop(&stage);
    assert_status(STELE_INVALID, stele_app_start(stage.app, &error), error);
    assert_status(STELE_INVALID, stele_app_run(stage.app, 0, &error), error);
    tear_down(&stage);
}

static void freeing_stops(void **state)
{
    (void)state;
    struct stage stage = set_up(false);
    stele_error *error = NULL;
    two_fails = false;
    assert_ok(stele_app_mount(stage.app, both, &error), error);
    start(&stage);
    tear_down(&stage);
    assert_string_equal("+one +two route -two -one ", shop_notes);
    stage = set_up(false);
    assert_ok(stele_app_mount(stage.app, both, &error), error);
    tear_down(&stage); /* never started: only the route hears of it */
    assert_string_equal("route ", shop_notes);
}

/* --- The end (B10) ----------------------------------------------------------------------------------- */

static stele_status pass_on(const struct placed *event, stele_context *context)
{
    shop_add_note("passed");
    return STELE_PUBLISH(context, shipped, .order = event->order);
}
STELE_DEFINE_HANDLER(pass_on, placed)

static void KHO24_B10_stopping_finishes_what_is_queued_and_its_cascades(void **state)
{
    (void)state;
    const struct stele_route routes[] = {
        {.name = "pass", .on = "placed", .handle = pass_on_handle, .publishes = only_shipped, .delivery = STELE_QUEUED},
        {.name = "ship", .on = "shipped", .handle = shop_note, .delivery = STELE_QUEUED},
    };
    const struct stele_module order = {.name = "order", .accepts = only_placed, .routes = routes, .route_count = 2};
    struct stage stage = set_up(false);
    struct stele_stopped stopped = {.discarded = 99};
    stele_error *error = NULL;
    assert_mounts(stage.app, &order);
    start(&stage);
    shop_publish(stage.app, &placed_type, "a");
    assert_string_equal("", shop_notes); /* it is queued, nothing has run */
    assert_ok(stele_app_stop(stage.app, 1000, &stopped, &error), error);
    assert_string_equal("passed order.ship ", shop_notes);
    assert_int_equal(0, stopped.discarded);
    assert_int_equal(0, stopped.running);
    stele_message *late = shop_message(&placed_type, "late");
    assert_status(STELE_SHUTDOWN, stele_publish(stele_app_bus(stage.app), late, NULL, &error), error);
    stele_message_unref(late);
    tear_down(&stage);
}

static void B10_what_was_not_done_is_reported(void **state)
{
    (void)state;
    const struct stele_route route = {.name = "ship", .on = "placed", .handle = shop_note, .delivery = STELE_QUEUED};
    const struct stele_module order = {.name = "order", .accepts = only_placed, .routes = &route, .route_count = 1};
    struct stage stage = set_up(false);
    struct stele_stopped stopped = {.discarded = 99};
    stele_error *error = NULL;
    assert_mounts(stage.app, &order);
    start(&stage);
    shop_publish(stage.app, &placed_type, "a");
    shop_publish(stage.app, &placed_type, "b");
    assert_status(STELE_TIMEOUT, stele_app_stop(stage.app, 0, &stopped, &error), error);
    assert_int_equal(2, stopped.discarded);
    assert_string_equal("order.ship", stopped.routes);
    assert_string_equal("", shop_notes);
    tear_down(&stage);
}

/* --- Schedules, aggregates, the log --------------------------------------------------------------------- */

static void schedules_run_while_the_app_runs(void **state)
{
    (void)state;
    static const struct placed tick = {.order = "tick"};
    const struct stele_module_schedule schedule = {.type = &placed_type, .payload = &tick, .every_ms = 10000};
    const struct stele_route route = {.name = "tick", .on = "placed", .handle = shop_note};
    const struct stele_module order = {
        .name = "order", .routes = &route, .route_count = 1, .schedules = &schedule, .schedule_count = 1};
    struct stage stage = set_up(false);
    assert_mounts(stage.app, &order);
    stele_runtime_advance(stage.runtime, 60 * SECOND);
    assert_string_equal("", shop_notes);
    start(&stage);
    stele_runtime_advance(stage.runtime, 9 * SECOND);
    assert_string_equal("", shop_notes);
    stele_runtime_advance(stage.runtime, 16 * SECOND); /* at 10 and at 20 seconds */
    assert_string_equal("order.tick order.tick ", shop_notes);
    stop(&stage);
    stele_runtime_advance(stage.runtime, 60 * SECOND);
    assert_string_equal("order.tick order.tick ", shop_notes);
    tear_down(&stage);
}

static void a_schedule_that_breaks_a_rule_keeps_the_app_from_starting(void **state)
{
    (void)state;
    static const struct placed empty = {.order = NULL};
    const struct stele_module_schedule schedule = {.type = &placed_type, .payload = &empty, .every_ms = 10};
    const struct stele_route route = {.name = "tick", .on = "placed", .handle = shop_note};
    const struct stele_module order = {
        .name = "order", .routes = &route, .route_count = 1, .schedules = &schedule, .schedule_count = 1};
    const struct stele_module *const modules[] = {&one, &order, NULL};
    struct stage stage = set_up(false);
    stele_error *error = NULL;
    assert_ok(stele_app_mount(stage.app, modules, &error), error);
    assert_failure(STELE_INVALID, stele_app_start(stage.app, &error), error);
    assert_message(error, "schedule order.placed: ");
    stele_error_free(error);
    assert_string_equal("+one -one ", shop_notes);
    tear_down(&stage);
}

static void aggregates_of_a_module_take_their_commands_from_the_bus(void **state)
{
    (void)state;
    struct stele_repository_options options = STELE_OPTIONS_INIT(struct stele_repository_options);
    options.source = "books";
    const struct stele_module_aggregate entry = {
        .aggregate = &book_aggregate, .options = &options, .prefix = "book-", .key = "order"};
    const struct stele_route routes[] = {
        {.name = "log", .on = "opened", .handle = shop_note, .delivery = STELE_AFTER_COMMIT},
    };
    const struct stele_module order = {.name = "order",
                                       .accepts = only_open,
                                       .aggregates = &entry,
                                       .aggregate_count = 1,
                                       .routes = routes,
                                       .route_count = 1};
    struct stage stage = set_up(true);
    stele_instance *instance = NULL;
    stele_message *command = shop_message(&open_order_type, "a");
    stele_error *error = NULL;
    assert_mounts(stage.app, &order);
    start(&stage);
    assert_ok(stele_deliver(stele_app_bus(stage.app), command, NULL, NULL, &error), error);
    const stele_repository *books = stele_app_repository(stage.app, &book_aggregate);
    assert_non_null(books);
    assert_ok(stele_load(books, "book-a", NULL, &instance, &error), error);
    assert_int_equal(1, STELE_STATE_OF(book, instance)->count);
    stele_instance_free(instance);
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal("order.log ", shop_notes); /* the event, from the log */
    stele_message_unref(command);
    tear_down(&stage);
}

static void routes_after_the_commit_begin_when_the_app_starts(void **state)
{
    (void)state;
    const struct stele_route route = {
        .name = "log", .on = "placed", .handle = shop_note, .delivery = STELE_DURABLE, .begin = STELE_BEGIN_FIRST};
    const struct stele_module order = {.name = "order", .accepts = only_placed, .routes = &route, .route_count = 1};
    struct stage stage = set_up(true);
    stele_message *event = shop_message(&placed_type, "a");
    stele_error *error = NULL;
    assert_mounts(stage.app, &order);
    assert_ok(stele_append(stage.store, "orders", stele_expect_any(), event, NULL, &error), error);
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal("", shop_notes);
    start(&stage);
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal("order.log ", shop_notes);
    stele_message_unref(event);
    tear_down(&stage);
}

static const struct stele_module_aggregate books_entry = {
    .aggregate = &book_aggregate, .prefix = "book-", .key = "order", .delivery = STELE_QUEUED};
static const struct place tick = {.order = "tick"};
static const struct stele_module_schedule books_schedule = {.type = &placed_type, .payload = &tick, .every_ms = 1000};
static const struct stele_route books_routes[] = {
    {.name = "log", .on = "opened", .handle = shop_note, .delivery = STELE_DURABLE},
    {.name = "tick", .on = "placed", .handle = shop_note},
};
static const struct stele_module books = {.name = "order",
                                          .accepts = only_open,
                                          .aggregates = &books_entry,
                                          .aggregate_count = 1,
                                          .routes = books_routes,
                                          .route_count = 2,
                                          .schedules = &books_schedule,
                                          .schedule_count = 1};

static void an_aggregate_leaves_the_bus_when_another_module_cannot_join(void **state)
{
    (void)state;
    const struct stele_route odd = {
        .name = "odd", .on = ".order.opened", .handle = shop_note, .partition = "order"}; /* inline has no mailbox */
    const struct stele_module other = {.name = "other", .routes = &odd, .route_count = 1};
    const struct stele_module *const modules[] = {&books, &other, NULL};
    struct stage stage = set_up(true);
    stele_message *command = shop_message(&open_order_type, "a");
    stele_error *error = NULL;
    assert_status(STELE_INVALID, stele_app_mount(stage.app, modules, &error), error);
    assert_null(stele_app_repository(stage.app, &book_aggregate));
    assert_status(STELE_NO_HANDLER, stele_publish(stele_app_bus(stage.app), command, NULL, &error), error);
    assert_mounts(stage.app, &books);
    assert_ok(stele_deliver(stele_app_bus(stage.app), command, NULL, NULL, &error), error);
    stele_message_unref(command);
    tear_down(&stage);
}

/* Runtime and store keep what has grown, so they are made anew each time. */
static stele_status mount_books(void *context, stele_error **error)
{
    struct stele_app_options options = STELE_OPTIONS_INIT(struct stele_app_options);
    stele_runtime *runtime = NULL;
    stele_app *app = NULL;
    stele_status status = stele_runtime_simulated(7, &runtime, error);
    (void)context;
    if (status == STELE_OK)
        status = stele_store_open("memory:", NULL, &options.store, error);
    if (status == STELE_OK)
        status = stele_app_new(runtime, &options, &app, error);
    if (status == STELE_OK)
        status = shop_mount(app, &books, error);
    if (status == STELE_OK)
        status = stele_app_start(app, error);
    stele_app_free(app);
    stele_store_close(options.store);
    stele_runtime_free(runtime);
    return status;
}

static void an_app_with_a_store_survives_a_lack_of_memory(void **state)
{
    (void)state;
    shop_clear();
    assert_true(support_every_allocation_fails(mount_books, NULL) > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(an_app_has_a_bus_and_perhaps_a_store),
        support_test(KHO35_options_have_documented_defaults),
        support_test(invalid_arguments_are_named),
        support_test(NTH29_a_thin_handler_turns_a_service_s_result_into_events),
        support_test(KHO19_a_resource_is_named_once),
        support_test(NTH27_one_event_leads_to_several_commands),
        support_test(FWK09_modules_are_told_of_start_and_stop_around_all_messages),
        support_test(NTH13_bug_a_failed_start_stops_those_that_were_started),
        support_test(the_states_of_an_app_come_once_and_in_order),
        support_test(freeing_stops),
        support_test(KHO24_B10_stopping_finishes_what_is_queued_and_its_cascades),
        support_test(B10_what_was_not_done_is_reported),
        support_test(schedules_run_while_the_app_runs),
        support_test(a_schedule_that_breaks_a_rule_keeps_the_app_from_starting),
        support_test(aggregates_of_a_module_take_their_commands_from_the_bus),
        support_test(an_aggregate_leaves_the_bus_when_another_module_cannot_join),
        support_test(an_app_with_a_store_survives_a_lack_of_memory),
        support_test(routes_after_the_commit_begin_when_the_app_starts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
