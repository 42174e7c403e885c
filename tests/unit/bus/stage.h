/*
 * A bus on a simulation for tests of interceptors and schedules, and a handler
 * that does as it is told: it fails as often as it should, remembers when it was
 * called, and answers with an order.paid (an event) or a quote (a reply).
 */
#ifndef STELE_TESTS_UNIT_BUS_STAGE_H
#define STELE_TESTS_UNIT_BUS_STAGE_H

#include "tests/support/support.h"

#include <stele/bus.h>
#include <stele/intercept.h>

#define MS INT64_C(1000000)

#define ORDER_PLACED(FIELD, T) FIELD(T, TEXT, order, STELE_NON_EMPTY) FIELD(T, INT64, amount, STELE_POSITIVE)
STELE_DECLARE(order_placed, ORDER_PLACED);
#define ORDER_PAID(FIELD, T) FIELD(T, TEXT, order)
STELE_DECLARE(order_paid, ORDER_PAID);
#define QUOTE_ASKED(FIELD, T) FIELD(T, TEXT, order)
STELE_DECLARE(quote_asked, QUOTE_ASKED);
#define QUOTE(FIELD, T) FIELD(T, INT64, price)
STELE_DECLARE(quote, QUOTE);

enum { STAGE_CALLS = 64 };

/* What the handler does, and what it saw. The resource of its route. */
struct actor {
    unsigned fails;      /* so many calls, then it succeeds */
    stele_status status; /* of these; default STELE_FAILED */
    int64_t takes;       /* virtual time */
    bool publishes;      /* an order.paid, or to a quote.asked a quote of 7 */

    unsigned calls;
    int64_t times[STAGE_CALLS]; /* since the stage was set up */
    unsigned attempts[STAGE_CALLS];
};

extern stele_runtime *stage_runtime;
extern stele_bus *stage_bus;

/* As setup and teardown of a test, with the leak checks of support.h. */
int stage_setup(void **state);
int stage_teardown(void **state);
#define stage_test(name) cmocka_unit_test_setup_teardown(name, stage_setup, stage_teardown)

/* The handler of all routes here. */
stele_status stage_act(void *resource, const stele_message *message, stele_context *context);

void stage_add(const struct stele_route *route, struct actor *actor);
void stage_intercept(const struct stele_interceptor *interceptor);
/* Virtual time since the stage was set up. */
int64_t stage_time(void);

/* An order.placed; `user` may be NULL. The caller owns it. */
stele_message *stage_order(const char *order, int64_t amount, const char *user);
/* Deliver one to order "o" and wait for all it leads to; the error's message is kept for stage_text(). */
stele_status stage_deliver(void);
stele_status stage_deliver_order(const char *order);
stele_status stage_deliver_message(const stele_message *message, struct stele_unit_outcome *outcome);
/* The message of the last failure of these. */
const char *stage_text(void);

#endif
