/*
 * The retry interceptor: has a call that failed made again, as stele/retry.h
 * says. Nothing can fail behind the check of the settings.
 */
#include <stele/intercept.h>

#include "bus/stock.h"

static struct stele_answer ask_retry(void *state, enum stele_point point, stele_call *call)
{
    const struct stele_retry *settings = stele__call_settings(call);
    const unsigned attempt = stele_call_attempt(call);
    const bool is_drawn = !settings || settings->jitter != STELE_JITTER_NONE;

    (void)state;
    (void)point;
    if (!stele_retry_wants(settings, attempt, stele_call_status(call)))
        return stele_proceed();
    return stele_retry_later(stele_retry_delay(settings, attempt, is_drawn ? stele_call_random(call) : 0));
}

static stele_status make_retry(const void *settings, stele_bus *bus, void **state, stele_error **error)
{
    const stele_status status = stele_retry_check(settings, error);

    (void)bus;
    (void)state;
    return status;
}

const struct stele_interceptor_kind stele_retry_kind = {
    .name = "retry", .points = STELE_AT_FAILED, .priority = 60, .ask = ask_retry, .make = make_retry};
