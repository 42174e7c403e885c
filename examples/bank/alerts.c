/*
 * Alerts (see alerts.h): a route after the commit. It begins at the end of the
 * log, and gets what is stored from then on, in order; what is refused never
 * gets here.
 */
#include "alerts.h"

#include "account.h"
#include "money.h"

static stele_status tell(struct alerts *alerts, const struct money_withdrawn *event, stele_context *context)
{
    const struct stele_slice stream = stele_message_stream(stele_context_message(context));
    char amount[MONEY_TEXT_SIZE];

    if (event->amount < alerts->limit)
        return STELE_OK;
    money_print(event->amount, amount);
    fprintf(alerts->out, "bank: large withdrawal: %s %s from %.*s, %s\n", amount, BANK_CURRENCY, STELE_SLICE(stream),
            event->text);
    return STELE_OK;
}
STELE_DEFINE_HANDLER_WITH(tell, money_withdrawn, alerts)

static const struct stele_route routes[] = {
    {.name = "withdrawals",
     .on = ".bank.money.withdrawn",
     .handle = tell_handle,
     .uses = "alerts",
     .delivery = STELE_AFTER_COMMIT},
};
const struct stele_module alerts_module = {
    .name = "alerts",
    .routes = routes,
    .route_count = sizeof(routes) / sizeof(routes[0]),
};
