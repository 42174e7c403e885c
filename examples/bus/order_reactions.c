/*
 * One event, five reactions. They run in parallel and know nothing of each
 * other; one that fails keeps none of the others from their work, and whoever
 * delivered the event learns of it.
 */
#include "example.h"

#include <stdatomic.h>
#include <stdio.h>

#define ORDER_CONFIRMED(FIELD, T) FIELD(T, TEXT, order, STELE_NON_EMPTY) FIELD(T, INT64, cents)
STELE_DECLARE(order_confirmed, ORDER_CONFIRMED);
STELE_DEFINE_EVENT(order_confirmed, "order.confirmed", 1, ORDER_CONFIRMED);

/* Counted by handlers that run at the same time. */
struct done {
    atomic_int mails, invoices, points, parcels, figures;
};

static stele_status send_mail(struct done *done, const struct order_confirmed *order, stele_context *context)
{
    (void)order;
    (void)context;
    atomic_fetch_add(&done->mails, 1);
    return STELE_OK;
}
STELE_DEFINE_HANDLER_WITH(send_mail, order_confirmed, done)

static stele_status write_invoice(struct done *done, const struct order_confirmed *order, stele_context *context)
{
    (void)order;
    (void)context;
    atomic_fetch_add(&done->invoices, 1);
    return STELE_OK;
}
STELE_DEFINE_HANDLER_WITH(write_invoice, order_confirmed, done)

static stele_status give_points(struct done *done, const struct order_confirmed *order, stele_context *context)
{
    if (order->cents < 100)
        return stele_context_fail(context, STELE_FAILED, "no points for %d cents", (int)order->cents);
    atomic_fetch_add(&done->points, (int)(order->cents / 100));
    return STELE_OK;
}
STELE_DEFINE_HANDLER_WITH(give_points, order_confirmed, done)

static stele_status ship(struct done *done, const struct order_confirmed *order, stele_context *context)
{
    (void)order;
    (void)context;
    atomic_fetch_add(&done->parcels, 1);
    return STELE_OK;
}
STELE_DEFINE_HANDLER_WITH(ship, order_confirmed, done)

static stele_status count(struct done *done, const struct order_confirmed *order, stele_context *context)
{
    (void)context;
    atomic_fetch_add(&done->figures, (int)order->cents);
    return STELE_OK;
}
STELE_DEFINE_HANDLER_WITH(count, order_confirmed, done)

static const struct stele_type *const types[] = {&order_confirmed_type, NULL};
#define REACTION(function) \
    { \
        .name = #function, .on = "confirmed", .handle = function##_handle, .uses = "done", .delivery = STELE_QUEUED \
    }
static const struct stele_route routes[] = {REACTION(send_mail), REACTION(write_invoice), REACTION(give_points),
                                            REACTION(ship), REACTION(count)};
static const struct stele_module orders = {
    .name = "order",
    .types = types,
    .accepts = types,
    .routes = routes,
    .route_count = sizeof(routes) / sizeof(routes[0]),
};

static stele_status confirm(stele_app *app, const char *id, int64_t cents)
{
    const struct order_confirmed order = {id, cents};
    struct stele_unit_outcome outcome = {0};
    const stele_status status = example_deliver(app, &order_confirmed_type, &order, &outcome, NULL);

    printf("%s: %s, %d handlers called\n", id, stele_status_name(status), (int)outcome.deliveries);
    for (size_t i = 0; i < outcome.failures_kept; i++)
        printf("    %s: %s\n", outcome.failures[i].route, outcome.failures[i].text);
    stele_unit_outcome_fini(&outcome);
    return status == STELE_FAILED ? STELE_OK : status;
}

static stele_status run(stele_app *app, stele_error **error)
{
    const struct done *done = stele_app_resource(app, "done");
    stele_status status = confirm(app, "order-1", 4500);

    (void)error;
    if (status == STELE_OK)
        status = confirm(app, "order-2", 50);
    printf("%d mails, %d invoices, %d points, %d parcels, %d cents\n", done->mails, done->invoices, done->points,
           done->parcels, done->figures);
    return status;
}

int main(int argc, char **argv)
{
    static const struct stele_module *const modules[] = {&orders, NULL};
    struct done done = {0};
    const struct example example = {modules, "done", &done, run};

    return example_main(argc, argv, &example);
}
