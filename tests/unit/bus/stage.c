#include "tests/unit/bus/stage.h"

#include <stdio.h>

STELE_DEFINE_EVENT(order_placed, "order.placed", 1, ORDER_PLACED);
STELE_DEFINE_EVENT(order_paid, "order.paid", 1, ORDER_PAID);
STELE_DEFINE_QUERY(quote_asked, "quote.asked", 1, QUOTE_ASKED);
STELE_DEFINE_REPLY(quote, "quote", 1, QUOTE);

stele_runtime *stage_runtime;
stele_bus *stage_bus;
static int64_t began;
static char text[512];

static int64_t now(void)
{
    const struct stele_clock *clock = stele_runtime_clock(stage_runtime);

    return clock->monotonic(clock->context);
}

int stage_setup(void **state)
{
    support_setup(state);
    text[0] = '\0';
    stage_runtime = NULL;
    stage_bus = NULL;
    if (stele_runtime_simulated(7, &stage_runtime, NULL) != STELE_OK)
        return -1;
    began = now();
    return stele_bus_new(stage_runtime, NULL, &stage_bus, NULL) == STELE_OK ? 0 : -1;
}

int stage_teardown(void **state)
{
    stele_bus_free(stage_bus);
    stele_runtime_free(stage_runtime);
    return support_teardown(state);
}

int64_t stage_time(void)
{
    return now() - began;
}

stele_status stage_act(void *resource, const stele_message *message, stele_context *context)
{
    const struct stele_clock *clock = stele_runtime_clock(stage_runtime);
    struct actor *actor = resource;
    const unsigned call = actor->calls++;

    assert_in_range(call, 0, STAGE_CALLS - 1);
    actor->times[call] = stage_time();
    actor->attempts[call] = stele_context_attempt(context);
    if (actor->takes)
        clock->pause(clock->context, actor->takes);
    if (call < actor->fails)
        return stele_context_fail(context, actor->status ? actor->status : STELE_FAILED, "call %u failed", call + 1);
    if (!actor->publishes)
        return STELE_OK;
    return stele_message_is(message, &quote_asked_type) ? STELE_REPLY(context, quote, .price = 7)
                                                        : STELE_PUBLISH(context, order_paid, .order = "o");
}

void stage_add(const struct stele_route *route, struct actor *actor)
{
    stele_error *error = NULL;

    assert_ok(stele_bus_add_route(stage_bus, route, actor, NULL, &error), error);
}

void stage_intercept(const struct stele_interceptor *interceptor)
{
    stele_error *error = NULL;

    assert_ok(stele_bus_add_interceptor(stage_bus, interceptor, &error), error);
}

stele_message *stage_order(const char *order, int64_t amount, const char *user)
{
    const struct order_placed payload = {.order = order, .amount = amount};
    const struct stele_extension extension = {
        .name = "user", .kind = STELE_EXTENSION_TEXT, .text = support_slice(user ? user : "")};
    const struct stele_message_options options = {
        .size = sizeof(options), .extensions = &extension, .extension_count = user ? 1 : 0};
    stele_message *message = NULL;
    stele_error *error = NULL;

    assert_ok(order_placed_message(&payload, &options, &message, &error), error);
    return message;
}

stele_status stage_deliver_message(const stele_message *message, struct stele_unit_outcome *outcome)
{
    stele_error *error = NULL;
    const stele_status status = stele_deliver(stage_bus, message, NULL, outcome, &error);

    assert_int_equal(status, stele_error_status(error));
    snprintf(text, sizeof(text), "%s", stele_error_message(error));
    stele_error_free(error);
    return status;
}

stele_status stage_deliver_order(const char *order)
{
    stele_message *message = stage_order(order, 5, NULL);
    const stele_status status = stage_deliver_message(message, NULL);

    stele_message_unref(message);
    return status;
}

stele_status stage_deliver(void)
{
    return stage_deliver_order("o");
}

const char *stage_text(void)
{
    return text;
}
