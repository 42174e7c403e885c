/*
 * A payment service that is down for a while, behind a circuit breaker: after
 * three failures in a row nobody waits for it any more, and after a pause one
 * trial finds out whether it is back.
 */
#include "example.h"

#include <stdio.h>

#define PAY(FIELD, T) FIELD(T, TEXT, order, STELE_NON_EMPTY)
STELE_DECLARE(pay, PAY);
STELE_DECLARE(paid, PAY);
STELE_DEFINE_COMMAND(pay, "payment.pay", 1, PAY);
STELE_DEFINE_REPLY(paid, "payment.paid", 1, PAY);

enum { RECOVERY_MS = 50 };

struct gateway {
    bool is_down;
    int calls;
};

static stele_status charge(struct gateway *gateway, const struct pay *payment, stele_context *context)
{
    gateway->calls++;
    if (gateway->is_down)
        return stele_context_fail(context, STELE_FAILED, "the gateway does not answer");
    return STELE_REPLY(context, paid, payment->order);
}
STELE_DEFINE_HANDLER_WITH(charge, pay, gateway)

static const struct stele_breaker breaker_settings = {.threshold = 3, .recovery_ms = RECOVERY_MS};
static const struct stele_interceptor breaker = {.name = "breaker", STELE_BREAKER(&breaker_settings)};
static const struct stele_interceptor *const around[] = {&breaker, NULL};
static const struct stele_type *const types[] = {&pay_type, &paid_type, NULL};
static const struct stele_type *const accepts[] = {&pay_type, NULL};
static const struct stele_route routes[] = {
    {.name = "charge",
     .on = "pay",
     .handle = charge_handle,
     .uses = "gateway",
     .replies = &paid_type,
     .interceptors = around,
     .on_failure = STELE_IGNORE},
};
static const struct stele_module payments = {
    .name = "payment", .types = types, .accepts = accepts, .routes = routes, .route_count = 1};

static stele_status request_payment(stele_app *app, const char *order, stele_error **error)
{
    const struct gateway *gateway = stele_app_resource(app, "gateway");
    const struct pay payment = {order};
    stele_message *message = NULL;
    stele_message *reply = NULL;
    stele_status status = pay_message(&payment, NULL, &message, error);

    if (status != STELE_OK)
        return status;
    status = stele_request(stele_app_bus(app), message, NULL, &reply, NULL);
    printf("%s: %s after %d calls of the gateway\n", order, stele_status_name(status), gateway->calls);
    stele_message_unref(reply);
    stele_message_unref(message);
    return STELE_OK;
}

static stele_status run(stele_app *app, stele_error **error)
{
    static const char *const orders[] = {"order-1", "order-2", "order-3", "order-4", "order-5"};
    struct gateway *gateway = stele_app_resource(app, "gateway");
    stele_status status = STELE_OK;

    gateway->is_down = true;
    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]) && status == STELE_OK; i++)
        status = request_payment(app, orders[i], error);
    gateway->is_down = false;
    example_pause(app, RECOVERY_MS + 1);
    if (status == STELE_OK)
        status = request_payment(app, "order-6", error);
    return status == STELE_OK ? request_payment(app, "order-7", error) : status;
}

int main(int argc, char **argv)
{
    static const struct stele_module *const modules[] = {&payments, NULL};
    struct gateway gateway = {0};
    const struct example example = {modules, "gateway", &gateway, run};

    return example_main(argc, argv, &example);
}
