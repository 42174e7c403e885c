/*
 * Circuit breaker: keep calls away from what fails anyway.
 *
 *   state      enter               success      failure                     withdrawn
 *   CLOSED     yes                 failures = 0 failures + 1; threshold:    -
 *                                               OPEN
 *   OPEN       recovery over:      -            -                           -
 *              HALF_OPEN, trial
 *   HALF_OPEN  a trial is under    of the       of the trial: OPEN          of the trial: the
 *              way: no; else       trial:                                   next one is the trial
 *              trial               CLOSED
 *
 * Only the trial has a ticket. What began before the breaker opened may end
 * whenever it likes: it has none, and counts only while the state is CLOSED.
 *
 * What can fail: memory for the note that carries a trial's ticket; the trial
 * is then withdrawn and the call fails.
 */
#include "bus/stock.h"

#include "base/error.h"
#include "base/memory.h"

enum { THRESHOLD_DEFAULT = 5, RECOVERY_DEFAULT = 30000 };

/* --- The machine ------------------------------------------------------------------------ */

static const bool may_follow[3][3] = {
    [STELE__BREAKER_CLOSED] = {[STELE__BREAKER_OPEN] = true},
    [STELE__BREAKER_OPEN] = {[STELE__BREAKER_HALF_OPEN] = true},
    [STELE__BREAKER_HALF_OPEN] = {[STELE__BREAKER_CLOSED] = true, [STELE__BREAKER_OPEN] = true},
};

static void move(struct stele__breaker *breaker, enum stele__breaker_state next, int64_t now)
{
    if (!may_follow[breaker->state][next])
        return;
    breaker->state = next;
    breaker->failures = 0;
    breaker->trial = 0;
    if (next == STELE__BREAKER_OPEN)
        breaker->opened = now;
}

bool stele__breaker_init(struct stele__breaker *breaker, unsigned threshold, int64_t recovery)
{
    *breaker = (struct stele__breaker){.threshold = threshold, .recovery = recovery};
    return pthread_mutex_init(&breaker->mutex, NULL) == 0;
}

void stele__breaker_fini(struct stele__breaker *breaker)
{
    pthread_mutex_destroy(&breaker->mutex);
}

bool stele__breaker_enter(struct stele__breaker *breaker, int64_t now, uint64_t *ticket)
{
    bool enters;

    *ticket = 0;
    pthread_mutex_lock(&breaker->mutex);
    if (breaker->state == STELE__BREAKER_OPEN && now - breaker->opened >= breaker->recovery)
        move(breaker, STELE__BREAKER_HALF_OPEN, now);
    enters = breaker->state == STELE__BREAKER_CLOSED;
    if (breaker->state == STELE__BREAKER_HALF_OPEN && !breaker->trial) {
        breaker->trial = ++breaker->tickets;
        *ticket = breaker->trial;
        enters = true;
    }
    pthread_mutex_unlock(&breaker->mutex);
    return enters;
}

static void leave_closed(struct stele__breaker *breaker, int64_t now, bool has_failed)
{
    if (!has_failed)
        breaker->failures = 0;
    else if (++breaker->failures >= breaker->threshold)
        move(breaker, STELE__BREAKER_OPEN, now);
}

void stele__breaker_leave(struct stele__breaker *breaker, int64_t now, uint64_t ticket, bool has_failed)
{
    pthread_mutex_lock(&breaker->mutex);
    if (breaker->state == STELE__BREAKER_CLOSED)
        leave_closed(breaker, now, has_failed);
    else if (ticket && ticket == breaker->trial)
        move(breaker, has_failed ? STELE__BREAKER_OPEN : STELE__BREAKER_CLOSED, now);
    pthread_mutex_unlock(&breaker->mutex);
}

void stele__breaker_withdraw(struct stele__breaker *breaker, uint64_t ticket)
{
    pthread_mutex_lock(&breaker->mutex);
    if (ticket && ticket == breaker->trial)
        breaker->trial = 0;
    pthread_mutex_unlock(&breaker->mutex);
}

/* --- The interceptor ---------------------------------------------------------------------- */

struct breaker_place {
    struct stele__breaker breaker;
    bool (*counts)(stele_status status);
};

static bool counts_by_default(stele_status status)
{
    return status != STELE_OK && status != STELE_REJECTED;
}

static stele_status make_breaker(const void *untyped, stele_bus *bus, void **state, stele_error **error)
{
    const struct stele_breaker *settings = untyped;
    const unsigned threshold = settings && settings->threshold ? settings->threshold : THRESHOLD_DEFAULT;
    const uint32_t recovery = settings && settings->recovery_ms ? settings->recovery_ms : RECOVERY_DEFAULT;
    struct breaker_place *place = stele__alloc(sizeof(*place));

    (void)bus;
    if (!place || !stele__breaker_init(&place->breaker, threshold, recovery * STELE__NANOS_PER_MS)) {
        stele__free(place, sizeof(*place));
        return stele__fail_memory(error);
    }
    place->counts = settings && settings->counts ? settings->counts : counts_by_default;
    *state = place;
    return STELE_OK;
}

static void free_breaker(void *state)
{
    struct breaker_place *place = state;

    stele__breaker_fini(&place->breaker);
    stele__free(place, sizeof(*place));
}

/* A trial's ticket travels in the note. */
static struct stele_answer enter(struct breaker_place *place, stele_call *call)
{
    uint64_t ticket;
    uint64_t *note;

    if (!stele__breaker_enter(&place->breaker, stele_call_time(call), &ticket))
        return stele_call_fail(call, STELE_OVERLOAD, "the circuit is open: what is called has failed too often");
    if (!ticket)
        return stele_proceed();
    note = stele_call_note(call);
    if (!note) {
        stele__breaker_withdraw(&place->breaker, ticket);
        return stele_call_error(call, STELE_NO_MEMORY, "out of memory");
    }
    *note = ticket;
    return stele_proceed();
}

/* An ordinary call has no note; one that memory is out for cannot be a trial. */
static uint64_t ticket_of(stele_call *call)
{
    const uint64_t *note = stele_call_note(call);

    return note ? *note : 0;
}

static struct stele_answer ask_breaker(void *state, enum stele_point point, stele_call *call)
{
    struct breaker_place *place = state;
    const stele_status status = stele_call_status(call);

    if (point == STELE_AT_HANDLE)
        return enter(place, call);
    if (point == STELE_AT_WITHDRAWN)
        stele__breaker_withdraw(&place->breaker, ticket_of(call));
    else
        stele__breaker_leave(&place->breaker, stele_call_time(call), ticket_of(call),
                             status != STELE_OK && place->counts(status));
    return stele_proceed();
}

const struct stele_interceptor_kind stele_breaker_kind = {.name = "breaker",
                                                          .points =
                                                              STELE_AT_HANDLE | STELE_AT_DONE | STELE_AT_WITHDRAWN,
                                                          .priority = 30,
                                                          .ask = ask_breaker,
                                                          .make = make_breaker,
                                                          .free = free_breaker};
