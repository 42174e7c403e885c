/*
 * The insides of stock interceptors that are worth using, and testing, without
 * a bus: machines over explicit time. All thread-safe.
 */
#ifndef STELE_BUS_STOCK_H
#define STELE_BUS_STOCK_H

#include <stele/intercept.h>

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "bus/chain.h"

/* The settings of the one being asked, for those that keep no state of their own; not at DONE and WITHDRAWN. */
static inline const void *stele__call_settings(const struct stele_call *call)
{
    return call->asked->interceptor->settings;
}

/* --- Memo (intercept_memo.c) ------------------------------------------------------------- */

/* Its place was removed: its name is free, although calls that are under way may still ask it. */
void stele__memo_retire(void *state);

/* --- Circuit breaker (intercept_breaker.c) ------------------------------------------- */

enum stele__breaker_state { STELE__BREAKER_CLOSED, STELE__BREAKER_OPEN, STELE__BREAKER_HALF_OPEN };

struct stele__breaker {
    unsigned threshold;
    int64_t recovery;

    pthread_mutex_t mutex; /* guards what follows */
    enum stele__breaker_state state;
    unsigned failures; /* in a row */
    int64_t opened;    /* when it was opened last */
    uint64_t trial;    /* ticket of the call that is one, 0: none is under way */
    uint64_t tickets;
};

/* False when the system is out of something. */
bool stele__breaker_init(struct stele__breaker *breaker, unsigned threshold, int64_t recovery);
void stele__breaker_fini(struct stele__breaker *breaker);
/* Whether a call may be made at `now`; *ticket is not 0 if it is the trial. */
bool stele__breaker_enter(struct stele__breaker *breaker, int64_t now, uint64_t *ticket);
/* It has ended: `ticket` as given by enter. */
void stele__breaker_leave(struct stele__breaker *breaker, int64_t now, uint64_t ticket, bool has_failed);
/* It was not made after all: if it was the trial, the next call is. */
void stele__breaker_withdraw(struct stele__breaker *breaker, uint64_t ticket);

/* --- Token bucket (intercept_limit.c) --------------------------------------------------- */

/*
 * Kept as one word, the instant at which the bucket is full again: a token is
 * `interval` of it. It is empty when that is `burst` intervals away.
 */
struct stele__bucket {
    int64_t interval;
    int64_t capacity; /* burst * interval */
    _Atomic int64_t full;
};

/* STELE_INVALID names what is out of range: a rate that is not above 0, or too low for its burst. */
stele_status stele__bucket_init(struct stele__bucket *bucket, double per_second, unsigned burst, stele_error **error);
/* Take a token: 0, or the nanoseconds until there is one. */
int64_t stele__bucket_take(struct stele__bucket *bucket, int64_t now);
/* Give back one that was taken. */
void stele__bucket_return(struct stele__bucket *bucket);

#endif
