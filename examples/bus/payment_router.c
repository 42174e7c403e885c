/*
 * A router: each payment goes one of four ways, by amount, currency and flag.
 *
 *                          +- .card     small amounts in EUR
 *   payment.submitted ->  -+- .wire     large ones in EUR
 *                          +- .exchange other currencies
 *                          '- .review   whatever is flagged
 *
 * Forwarding keeps payload, correlation and the user; only type and id are new.
 */
#include "example.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PAYMENT(FIELD, T) \
    FIELD(T, TEXT, id, STELE_NON_EMPTY) \
    FIELD(T, INT64, cents, STELE_POSITIVE) \
    FIELD(T, TEXT, currency) \
    FIELD(T, BOOL, flagged)
STELE_DECLARE(submitted, PAYMENT);
STELE_DECLARE(by_card, PAYMENT);
STELE_DECLARE(by_wire, PAYMENT);
STELE_DECLARE(by_exchange, PAYMENT);
STELE_DECLARE(for_review, PAYMENT);
STELE_DEFINE_EVENT(submitted, "payment.submitted", 1, PAYMENT);
STELE_DEFINE_EVENT(by_card, "payment.card", 1, PAYMENT);
STELE_DEFINE_EVENT(by_wire, "payment.wire", 1, PAYMENT);
STELE_DEFINE_EVENT(by_exchange, "payment.exchange", 1, PAYMENT);
STELE_DEFINE_EVENT(for_review, "payment.review", 1, PAYMENT);

enum { WIRE_FROM_CENTS = 1000000 };

static stele_status choose(const struct submitted *payment, stele_context *context)
{
    if (payment->flagged)
        return stele_context_forward(context, "payment.review");
    if (strcmp(payment->currency, "EUR") != 0)
        return stele_context_forward(context, "payment.exchange");
    return stele_context_forward(context, payment->cents < WIRE_FROM_CENTS ? "payment.card" : "payment.wire");
}
STELE_DEFINE_HANDLER(choose, submitted)

/* One handler for all four ways: it looks at the envelope, which needs no type. */
static stele_status print_way(void *unused, const stele_message *message, stele_context *context)
{
    (void)unused;
    printf("%.*s: %.*s, for %.*s\n", STELE_SLICE(stele_message_correlationid(message)),
           STELE_SLICE(stele_message_type(message)), STELE_SLICE(stele_context_user(context)));
    return STELE_OK;
}

static const struct stele_type *const ways[] = {&by_card_type, &by_wire_type, &by_exchange_type, &for_review_type,
                                                NULL};
static const struct stele_type *const types[] = {&submitted_type,   &by_card_type,    &by_wire_type,
                                                 &by_exchange_type, &for_review_type, NULL};
static const struct stele_type *const accepts[] = {&submitted_type, NULL};
static const struct stele_route routes[] = {
    {.name = "choose", .on = "submitted", .handle = choose_handle, .publishes = ways},
    {.name = "card", .on = "card", .handle = print_way, .delivery = STELE_QUEUED},
    {.name = "wire", .on = "wire", .handle = print_way, .delivery = STELE_QUEUED},
    {.name = "exchange", .on = "exchange", .handle = print_way, .delivery = STELE_QUEUED},
    {.name = "review", .on = "review", .handle = print_way, .delivery = STELE_QUEUED},
};
static const struct stele_module payments = {
    .name = "payment",
    .types = types,
    .accepts = accepts,
    .routes = routes,
    .route_count = sizeof(routes) / sizeof(routes[0]),
};

static stele_status submit(stele_app *app, const struct submitted *payment, stele_error **error)
{
    const struct stele_extension user = {
        .name = "user", .kind = STELE_EXTENSION_TEXT, .text = {"anna", sizeof("anna") - 1}};
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
    stele_message *message = NULL;
    stele_status status;

    options.correlationid = payment->id;
    options.extensions = &user;
    options.extension_count = 1;
    status = submitted_message(payment, &options, &message, error);
    if (status == STELE_OK)
        status = stele_deliver(stele_app_bus(app), message, NULL, NULL, error);
    stele_message_unref(message);
    return status;
}

static stele_status run(stele_app *app, stele_error **error)
{
    static const struct submitted all[] = {
        {"p-1", 4990, "EUR", false},
        {"p-2", 2500000, "EUR", false},
        {"p-3", 4990, "USD", false},
        {"p-4", 4990, "EUR", true},
    };
    stele_status status = STELE_OK;

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]) && status == STELE_OK; i++)
        status = submit(app, &all[i], error);
    return status;
}

int main(int argc, char **argv)
{
    static const struct stele_module *const modules[] = {&payments, NULL};
    const struct example example = {modules, NULL, NULL, run};

    return example_main(argc, argv, &example);
}
