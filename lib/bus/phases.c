/*
 * Phases: a fixed point of handlers that collect.
 *
 *     phase n ── all it causes ──► something? phase n + 1
 *                              └─► nothing: done
 *
 * What can fail: a handler, time, a bus that never comes to rest.
 */
#include "bus/core.h"

#include "base/error.h"

#include <inttypes.h>

#define PHASES_MOST UINT64_C(1000)

STELE_DEFINE_EVENT(stele_phase, "stele.phase", 1, STELE_PHASE);

/* One phase; `*caused` counts the messages that followed from it. */
static stele_status run_phase(stele_bus *bus, uint64_t number, const struct stele_send_options *options,
                              uint64_t *caused, stele_error **error)
{
    const struct stele_phase payload = {.number = number};
    struct stele_unit_outcome outcome = {0};
    stele_message *message = NULL;
    stele_status status = stele_phase_message(&payload, NULL, &message, error);

    if (status == STELE_OK)
        status = stele_deliver(bus, message, options, &outcome, error);
    *caused = outcome.messages > 0 ? outcome.messages - 1 : 0;
    stele_unit_outcome_fini(&outcome);
    stele_message_unref(message);
    return status;
}

stele_status stele_run_phases(stele_bus *bus, uint64_t most, const struct stele_send_options *options, uint64_t *phases,
                              stele_error **error)
{
    const uint64_t limit = most ? most : PHASES_MOST;
    uint64_t caused = 1;
    uint64_t number = 0;
    stele_status status = STELE_OK;

    while (status == STELE_OK && caused > 0) {
        if (number == limit)
            return stele__fail(error, STELE_LIMIT, "after %" PRIu64 " phases there was still something to do", limit);
        status = run_phase(bus, ++number, options, &caused, error);
    }
    if (status == STELE_OK && phases)
        *phases = number;
    return status;
}
