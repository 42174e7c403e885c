/*
 * The states of a subscription and what leads from one to another: a table, and
 * what becomes of an event that failed. Pure: no lock, no clock, no memory.
 *
 *                   catching up  live  paused  retrying  parked  failed  finished  detached
 *     new                x               x                          x                  x
 *     catching up                 x      x         x        x       x        x         x
 *     live               x               x         x        x       x        x         x
 *     paused             x                                                             x
 *     retrying           x               x         x        x       x                  x
 *     parked             x               x         x                x                  x
 *     failed             x               x                                             x
 *     finished, detached: the end
 *
 * Nothing can fail.
 */
#include "store/subscription.h"

#include <string.h>

#define TO(state) (1u << STELE_SUBSCRIPTION_##state)

enum { STATE_COUNT = STELE_SUBSCRIPTION_DETACHED + 1 };

struct state {
    const char *name;
    unsigned next; /* TO() of those that may follow */
};

static const struct state states[STATE_COUNT] = {
    [STELE_SUBSCRIPTION_NEW] = {"new", TO(CATCHING_UP) | TO(PAUSED) | TO(FAILED) | TO(DETACHED)},
    [STELE_SUBSCRIPTION_CATCHING_UP] = {"catching up", TO(LIVE) | TO(PAUSED) | TO(RETRYING) | TO(PARKED) | TO(FAILED) |
                                                           TO(FINISHED) | TO(DETACHED)},
    [STELE_SUBSCRIPTION_LIVE] = {"live", TO(CATCHING_UP) | TO(PAUSED) | TO(RETRYING) | TO(PARKED) | TO(FAILED) |
                                             TO(FINISHED) | TO(DETACHED)},
    [STELE_SUBSCRIPTION_PAUSED] = {"paused", TO(CATCHING_UP) | TO(DETACHED)},
    [STELE_SUBSCRIPTION_RETRYING] = {"retrying", TO(CATCHING_UP) | TO(PAUSED) | TO(RETRYING) | TO(PARKED) | TO(FAILED) |
                                                     TO(DETACHED)},
    [STELE_SUBSCRIPTION_PARKED] = {"parked", TO(CATCHING_UP) | TO(PAUSED) | TO(RETRYING) | TO(FAILED) | TO(DETACHED)},
    [STELE_SUBSCRIPTION_FAILED] = {"failed", TO(CATCHING_UP) | TO(PAUSED) | TO(DETACHED)},
    [STELE_SUBSCRIPTION_FINISHED] = {"finished", 0},
    [STELE_SUBSCRIPTION_DETACHED] = {"detached", 0},
};

const char *stele_subscription_state_name(enum stele_subscription_state state)
{
    return (unsigned)state < STATE_COUNT ? states[state].name : "?";
}

bool stele__subscription_find_state(const char *name, enum stele_subscription_state *out)
{
    for (unsigned i = 0; i < STATE_COUNT; i++) {
        if (strcmp(states[i].name, name) == 0) {
            *out = (enum stele_subscription_state)i;
            return true;
        }
    }
    return false;
}

bool stele__subscription_move(enum stele_subscription_state *state, enum stele_subscription_state next)
{
    if ((unsigned)next >= STATE_COUNT || !(states[*state].next & (1u << next)))
        return false;
    *state = next;
    return true;
}

/* --- Failures ------------------------------------------------------------------------------ */

struct stele__verdict stele__subscription_judge(const struct stele_subscriber *subscriber, unsigned attempts,
                                                stele_status status, uint64_t random)
{
    struct stele__verdict verdict = {.end = STELE__END_RETRY};

    if (stele_retry_wants(subscriber->retry, attempts, status))
        verdict.pause = stele_retry_delay(subscriber->retry, attempts, random);
    else if (subscriber->on_failure == STELE_POISON_PARK)
        verdict.end = STELE__END_PARK;
    else
        verdict.end = subscriber->on_failure == STELE_POISON_SKIP ? STELE__END_SKIP : STELE__END_STOP;
    return verdict;
}

/* Statuses that tell of the place something is written to, and not of what is written. */
bool stele__subscription_is_surroundings(stele_status status)
{
    switch (status) {
    case STELE_NO_MEMORY:
    case STELE_BUSY:
    case STELE_FULL:
    case STELE_READ_ONLY:
    case STELE_DENIED:
    case STELE_IO:
    case STELE_UNKNOWN:
    case STELE_FORKED:
    case STELE_SHUTDOWN: return true;
    default: return false;
    }
}

/* What hardly passes by itself is tried as often as an event; for a place that is busy or full there is no end. */
static bool may_pass(const struct stele_subscriber *subscriber, unsigned attempts, stele_status status)
{
    const struct stele_retry plain = {.max_attempts = subscriber->retry ? subscriber->retry->max_attempts : 0};

    return stele_status_action(status) == STELE_ACTION_RETRY || stele_retry_wants(&plain, attempts, STELE_BUSY);
}

struct stele__verdict stele__subscription_judge_surroundings(const struct stele_subscriber *subscriber,
                                                             unsigned attempts, stele_status status, uint64_t random)
{
    struct stele__verdict verdict = {.end = STELE__END_STOP};

    if (status != STELE_CONFLICT && may_pass(subscriber, attempts, status)) {
        verdict.end = STELE__END_RETRY;
        verdict.pause = stele_retry_delay(subscriber->retry, attempts, random);
    }
    return verdict;
}
