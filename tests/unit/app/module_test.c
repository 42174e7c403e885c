/* Modules: names in their namespace, modules made of others, each mounted once. */
#include "tests/unit/app/shop.h"

#include <stdio.h>

#include "app/app.h"

/* --- Names ---------------------------------------------------------------------------------- */

static void assert_resolved(const char *expected, const char *prefix, const char *name)
{
    stele_arena *arena = NULL;
    stele_error *error = NULL;
    assert_ok(stele_arena_new(&arena, &error), error);
    assert_string_equal(expected, stele__name_resolve(arena, prefix, name));
    stele_arena_free(arena);
}

static void KHO18_a_relative_name_gets_the_namespace_once(void **state)
{
    (void)state;
    assert_resolved("order.validate", "order", "validate");
    assert_resolved("order.validate", "order", "order.validate");
    assert_resolved("shop.order.validate", "shop.order", "validate");
    assert_resolved("order.orders.validate", "order", "orders.validate");
    assert_resolved("order.order", "order", "order");
}

static void KHO18_a_leading_dot_makes_a_name_absolute(void **state)
{
    (void)state;
    assert_resolved("payment.paid", "order", ".payment.paid");
    assert_resolved("validate", "", ".validate");
    assert_resolved("validate", "", "validate");
    assert_null(stele__name_resolve(NULL, "order", NULL));
}

static void patterns_are_relative_too(void **state)
{
    (void)state;
    assert_resolved("order.*", "order", "*");
    assert_resolved("order.>", "order", ">");
    assert_resolved(">", "order", ".>");
}

static void KHO18_what_is_mounted_has_resolved_names(void **state)
{
    (void)state;
    const struct stele_route routes[] = {
        {.name = "ship", .on = "placed", .handle = shop_note},
        {.name = "order.watch", .on = "order.placed", .handle = shop_note},
        {.name = ".audit", .on = ".>", .handle = shop_note},
    };
    const struct stele_module order = {.name = "order", .accepts = only_placed, .routes = routes, .route_count = 3};
    stele_runtime *runtime = shop_simulation();
    stele_app *app = shop_app(runtime, NULL);
    assert_mounts(app, &order);
    assert_int_equal(3, shop_publish(app, &placed_type, "a"));
    assert_string_equal("order.ship order.watch audit ", shop_notes);
    stele_app_free(app);
    stele_runtime_free(runtime);
}

static struct stele_answer note_interceptor(void *state, enum stele_point point, stele_call *call)
{
    (void)state;
    (void)point;
    (void)call;
    shop_add_note("asked");
    return stele_proceed();
}

static void interceptors_get_the_namespace(void **state)
{
    (void)state;
    static const struct stele_interceptor_kind noting = {
        .name = "noting", .points = STELE_AT_HANDLE, .ask = note_interceptor};
    const struct stele_interceptor only_orders = {.name = "orders", .on = "placed", .kind = &noting};
    const struct stele_interceptor own = {.name = "own", .on = "*", .kind = &noting};
    const struct stele_interceptor *const of_module[] = {&only_orders, NULL};
    const struct stele_interceptor *const of_route[] = {&own, NULL};
    const struct stele_route routes[] = {
        {.name = "ship", .on = "placed", .handle = shop_note, .interceptors = of_route},
        {.name = "bill", .type = &paid_type, .handle = shop_note, .interceptors = of_route},
    };
    const struct stele_type *const accepts[] = {&placed_type, &paid_type, NULL};
    const struct stele_module order = {
        .name = "order", .accepts = accepts, .interceptors = of_module, .routes = routes, .route_count = 2};
    stele_runtime *runtime = shop_simulation();
    stele_app *app = shop_app(runtime, NULL);
    assert_mounts(app, &order);
    shop_publish(app, &placed_type, "a");
    assert_string_equal("asked asked order.ship ", shop_notes);
    shop_clear();
    shop_publish(app, &paid_type, "a"); /* neither order.placed nor order.* is payment.paid */
    assert_string_equal("order.bill ", shop_notes);
    assert_true(stele_bus_remove_interceptor(stele_app_bus(app), "order.orders"));
    stele_app_free(app);
    stele_runtime_free(runtime);
}

/* --- Modules of modules ------------------------------------------------------------------------ */

#define NOTING_START(NAME) \
    static stele_status start_##NAME(stele_app *app, stele_error **error) \
    { \
        (void)app; \
        (void)error; \
        shop_add_note("+" #NAME); \
        return STELE_OK; \
    } \
    static void stop_##NAME(stele_app *app) \
    { \
        (void)app; \
        shop_add_note("-" #NAME); \
    }
NOTING_START(base)
NOTING_START(left)
NOTING_START(right)
NOTING_START(top)

static const struct stele_module base = {.name = "base", .start = start_base, .stop = stop_base};
static const struct stele_module *const on_base[] = {&base, NULL};
static const struct stele_module left = {.name = "left", .modules = on_base, .start = start_left, .stop = stop_left};
static const struct stele_module right = {
    .name = "right", .modules = on_base, .start = start_right, .stop = stop_right};
static const struct stele_module *const on_both[] = {&left, &right, NULL};
static const struct stele_module top = {.name = "top", .modules = on_both, .start = start_top, .stop = stop_top};

static void NTH13_modules_start_after_what_they_are_made_of_and_stop_in_reverse(void **state)
{
    (void)state;
    stele_runtime *runtime = shop_simulation();
    stele_app *app = shop_app(runtime, NULL);
    stele_error *error = NULL;
    assert_mounts(app, &top); /* a diamond: base is mounted once */
    assert_ok(stele_app_start(app, &error), error);
    assert_string_equal("+base +left +right +top ", shop_notes);
    shop_clear();
    assert_ok(stele_app_stop(app, 1000, NULL, &error), error);
    assert_string_equal("-top -right -left -base ", shop_notes);
    stele_app_free(app);
    stele_runtime_free(runtime);
}

static void a_module_mounted_twice_is_mounted_once(void **state)
{
    (void)state;
    const struct stele_route route = {.name = "ship", .on = "placed", .handle = shop_note};
    const struct stele_module order = {.name = "order", .accepts = only_placed, .routes = &route, .route_count = 1};
    const struct stele_module *const twice[] = {&order, &order, NULL};
    stele_runtime *runtime = shop_simulation();
    stele_app *app = shop_app(runtime, NULL);
    stele_error *error = NULL;
    assert_ok(stele_app_mount(app, twice, &error), error);
    assert_mounts(app, &order);
    assert_int_equal(1, shop_publish(app, &placed_type, "a"));
    stele_app_free(app);
    stele_runtime_free(runtime);
}

static void modules_in_a_circle_are_named(void **state)
{
    (void)state;
    static struct stele_module one = {.name = "one"}, two = {.name = "two"}, three = {.name = "three"};
    static const struct stele_module *of_one[] = {&two, NULL}, *of_two[] = {&three, NULL}, *of_three[] = {&two, NULL};
    one.modules = of_one;
    two.modules = of_two;
    three.modules = of_three;
    stele_runtime *runtime = shop_simulation();
    stele_app *app = shop_app(runtime, NULL);
    shop_assert_refused(app, &one, "1 problem:\nmodule two: modules in a circle: two -> three -> two");
    stele_app_free(app);
    stele_runtime_free(runtime);
}

/* m000 of m001, m001 of m002, ... and the last one of m000. */
static void a_long_circle_of_modules_is_told_with_its_ends(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    static struct stele_module modules[COUNT];
    static const struct stele_module *parts[COUNT][2];
    static char names[COUNT][8];
    for (size_t i = 0; i < COUNT; i++) {
        snprintf(names[i], sizeof(names[i]), "m%03zu", i);
        parts[i][0] = &modules[(i + 1) % COUNT];
        modules[i] = (struct stele_module){.name = names[i], .modules = parts[i]};
    }
    stele_runtime *runtime = shop_simulation();
    stele_app *app = shop_app(runtime, NULL);
    shop_assert_refused(app, &modules[0],
                        "1 problem:\nmodule m000: modules in a circle: m000 -> m001 -> m002 -> m003 -> (992 more) -> "
                        "m996 -> m997 -> m998 -> m999 -> m000");
    stele_app_free(app);
    stele_runtime_free(runtime);
}

static void ORX13_two_modules_are_isolated(void **state)
{
    (void)state;
    const struct stele_route order_route = {.name = "watch", .on = "*", .handle = shop_note};
    const struct stele_route payment_route = {.name = "watch", .on = "*", .handle = shop_note};
    const struct stele_module order = {
        .name = "order", .accepts = only_placed, .routes = &order_route, .route_count = 1};
    const struct stele_module payment = {
        .name = "payment", .accepts = only_paid, .routes = &payment_route, .route_count = 1};
    stele_runtime *runtime = shop_simulation();
    stele_app *app = shop_app(runtime, NULL);
    assert_mounts(app, &order);
    assert_mounts(app, &payment);
    assert_int_equal(1, shop_publish(app, &placed_type, "a"));
    assert_int_equal(1, shop_publish(app, &paid_type, "a"));
    assert_string_equal("order.watch payment.watch ", shop_notes);
    stele_app_free(app);
    stele_runtime_free(runtime);
}

static stele_status mount_order(void *context, stele_error **error)
{
    static const struct stele_route routes[] = {
        {.name = "ship", .on = "placed", .handle = shop_note, .publishes = only_shipped},
        {.name = "note", .on = "shipped", .handle = shop_note, .delivery = STELE_QUEUED},
    };
    static const struct stele_interceptor valid = {.name = "valid", STELE_VALIDATION};
    static const struct stele_interceptor *const interceptors[] = {&valid, NULL};
    static const struct stele_module order = {.name = "order",
                                              .modules = on_base,
                                              .accepts = only_placed,
                                              .interceptors = interceptors,
                                              .routes = routes,
                                              .route_count = 2};
    stele_app *app = NULL;
    stele_status status = stele_app_new(context, NULL, &app, error);
    if (status == STELE_OK)
        status = stele_app_provide(app, "thing", context, error);
    if (status == STELE_OK)
        status = shop_mount(app, &order, error);
    if (status == STELE_OK)
        status = stele_app_start(app, error);
    stele_app_free(app);
    return status;
}

static void mounting_and_starting_survive_a_lack_of_memory(void **state)
{
    (void)state;
    stele_runtime *runtime = shop_simulation();
    assert_true(support_every_allocation_fails(mount_order, runtime) > 10);
    stele_runtime_free(runtime);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(KHO18_a_relative_name_gets_the_namespace_once),
        support_test(KHO18_a_leading_dot_makes_a_name_absolute),
        support_test(patterns_are_relative_too),
        support_test(KHO18_what_is_mounted_has_resolved_names),
        support_test(interceptors_get_the_namespace),
        support_test(NTH13_modules_start_after_what_they_are_made_of_and_stop_in_reverse),
        support_test(a_module_mounted_twice_is_mounted_once),
        support_test(modules_in_a_circle_are_named),
        support_test(a_long_circle_of_modules_is_told_with_its_ends),
        support_test(ORX13_two_modules_are_isolated),
        support_test(mounting_and_starting_survive_a_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
