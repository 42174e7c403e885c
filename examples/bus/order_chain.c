/*
 * An order goes through five steps; whoever placed it waits for the last.
 *
 *   placed -> validated -> priced -> discounted -> reserved -> paid -> confirmed
 *                                                     '- out of stock: the request fails at once
 *
 * Each step is a handler that knows the event it waits for and the one it
 * publishes, and nothing of the others.
 */
#include "example.h"

#include <inttypes.h>
#include <stdio.h>

#define ORDER(FIELD, T) \
    FIELD(T, TEXT, id, STELE_NON_EMPTY) \
    FIELD(T, TEXT, item) \
    FIELD(T, INT64, quantity, STELE_POSITIVE) \
    FIELD(T, INT64, cents)
STELE_DECLARE(order_placed, ORDER);
STELE_DECLARE(order_validated, ORDER);
STELE_DECLARE(order_priced, ORDER);
STELE_DECLARE(order_discounted, ORDER);
STELE_DECLARE(order_reserved, ORDER);
STELE_DECLARE(order_paid, ORDER);
STELE_DECLARE(order_confirmed, ORDER);
STELE_DEFINE_EVENT(order_placed, "order.placed", 1, ORDER);
STELE_DEFINE_EVENT(order_validated, "order.validated", 1, ORDER);
STELE_DEFINE_EVENT(order_priced, "order.priced", 1, ORDER);
STELE_DEFINE_EVENT(order_discounted, "order.discounted", 1, ORDER);
STELE_DEFINE_EVENT(order_reserved, "order.reserved", 1, ORDER);
STELE_DEFINE_EVENT(order_paid, "order.paid", 1, ORDER);
STELE_DEFINE_EVENT(order_confirmed, "order.confirmed", 1, ORDER);

struct warehouse {
    int64_t stock; /* touched by the handler `reserve` alone */
};

static stele_status validate(const struct order_placed *order, stele_context *context)
{
    printf("%s: validated\n", order->id);
    return STELE_PUBLISH(context, order_validated, order->id, order->item, order->quantity, 0);
}
STELE_DEFINE_HANDLER(validate, order_placed)

static stele_status price(const struct order_validated *order, stele_context *context)
{
    const int64_t cents = order->quantity * 1999;

    printf("%s: priced at %" PRId64 " cents\n", order->id, cents);
    return STELE_PUBLISH(context, order_priced, order->id, order->item, order->quantity, cents);
}
STELE_DEFINE_HANDLER(price, order_validated)

static stele_status discount(const struct order_priced *order, stele_context *context)
{
    const int64_t cents = order->quantity >= 3 ? order->cents - order->cents / 10 : order->cents;

    printf("%s: after discount %" PRId64 " cents\n", order->id, cents);
    return STELE_PUBLISH(context, order_discounted, order->id, order->item, order->quantity, cents);
}
STELE_DEFINE_HANDLER(discount, order_priced)

static stele_status reserve(struct warehouse *warehouse, const struct order_discounted *order, stele_context *context)
{
    if (order->quantity > warehouse->stock)
        return stele_context_fail(context, STELE_REJECTED, "%" PRId64 " of %s wanted, %" PRId64 " there",
                                  order->quantity, order->item, warehouse->stock);
    warehouse->stock -= order->quantity;
    printf("%s: reserved, %" PRId64 " left\n", order->id, warehouse->stock);
    return STELE_PUBLISH(context, order_reserved, order->id, order->item, order->quantity, order->cents);
}
STELE_DEFINE_HANDLER_WITH(reserve, order_discounted, warehouse)

static stele_status pay(const struct order_reserved *order, stele_context *context)
{
    printf("%s: paid\n", order->id);
    return STELE_PUBLISH(context, order_paid, order->id, order->item, order->quantity, order->cents);
}
STELE_DEFINE_HANDLER(pay, order_reserved)

static stele_status confirm(const struct order_paid *order, stele_context *context)
{
    return STELE_PUBLISH(context, order_confirmed, order->id, order->item, order->quantity, order->cents);
}
STELE_DEFINE_HANDLER(confirm, order_paid)

static const struct stele_type *const types[] = {
    &order_placed_type,   &order_validated_type, &order_priced_type,    &order_discounted_type,
    &order_reserved_type, &order_paid_type,      &order_confirmed_type, NULL};
#define PUBLISHES(name) \
    (const struct stele_type *const[]) \
    { \
        &order_##name##_type, NULL \
    }
static const struct stele_route routes[] = {
    {.name = "validate",
     .on = "placed",
     .handle = validate_handle,
     .publishes = PUBLISHES(validated),
     .delivery = STELE_QUEUED},
    {.name = "price",
     .on = "validated",
     .handle = price_handle,
     .publishes = PUBLISHES(priced),
     .delivery = STELE_QUEUED},
    {.name = "discount",
     .on = "priced",
     .handle = discount_handle,
     .publishes = PUBLISHES(discounted),
     .delivery = STELE_QUEUED},
    {.name = "reserve",
     .on = "discounted",
     .handle = reserve_handle,
     .uses = "warehouse",
     .publishes = PUBLISHES(reserved),
     .delivery = STELE_QUEUED},
    {.name = "pay", .on = "reserved", .handle = pay_handle, .publishes = PUBLISHES(paid), .delivery = STELE_QUEUED},
    {.name = "confirm",
     .on = "paid",
     .handle = confirm_handle,
     .publishes = PUBLISHES(confirmed),
     .delivery = STELE_QUEUED},
};
static const struct stele_type *const accepts[] = {&order_placed_type, NULL};
static const struct stele_module_request requests[] = {{&order_placed_type, &order_confirmed_type}};
static const struct stele_module orders = {
    .name = "order",
    .types = types,
    .accepts = accepts,
    .routes = routes,
    .route_count = sizeof(routes) / sizeof(routes[0]),
    .requests = requests,
    .request_count = 1,
};

static stele_status place(stele_app *app, const char *id, int64_t quantity, stele_error **error)
{
    const struct order_placed order = {.id = id, .item = "a lamp", .quantity = quantity};
    struct stele_send_options options = STELE_OPTIONS_INIT(struct stele_send_options);
    stele_message *message = NULL;
    stele_message *reply = NULL;
    stele_error *failure = NULL;
    stele_status status = order_placed_message(&order, NULL, &message, error);

    if (status != STELE_OK)
        return status;
    options.timeout_ms = 10000;
    options.reply = "order.confirmed";
    status = stele_request(stele_app_bus(app), message, &options, &reply, &failure);
    if (status == STELE_OK)
        printf("%s: confirmed\n", id);
    else
        printf("%s: %s: %s\n", id, stele_status_name(status), stele_error_message(failure));
    stele_error_free(failure);
    stele_message_unref(reply);
    stele_message_unref(message);
    return STELE_OK;
}

static stele_status run(stele_app *app, stele_error **error)
{
    static const int64_t quantities[] = {2, 3, 4};
    static const char *const ids[] = {"order-1", "order-2", "order-3"};
    stele_status status = STELE_OK;

    for (size_t i = 0; i < 3 && status == STELE_OK; i++)
        status = place(app, ids[i], quantities[i], error);
    return status;
}

int main(int argc, char **argv)
{
    static const struct stele_module *const modules[] = {&orders, NULL};
    struct warehouse warehouse = {.stock = 7};
    const struct example example = {modules, "warehouse", &warehouse, run};

    return example_main(argc, argv, &example);
}
