/*
 * stele/intercept.h - interceptors: asked before and after a handler, may decide otherwise.
 *
 * An interceptor is a constant struct: where it applies, when it is asked
 * (priority), and its kind, whose function answers with a *signal*. Lower priorities are
 * asked first, ties in the order of adding; the first answer other than PROCEED
 * wins and is final. It is asked at three points:
 *
 *   point     when                              what the signals mean
 *   PUBLISH   a message enters the bus          SKIP: it is dropped, reaching 0 routes, without error
 *                                               FAIL: the publisher gets the error
 *                                               FALLBACK: another message is published in its place
 *                                               RETRY: not allowed
 *   HANDLE    a route is about to be called     SKIP: it is not, and that is a success
 *                                               FAIL: it is not, and that is a failure nobody is asked about again
 *                                               FALLBACK: it is not; messages given are published as if by it
 *                                               RETRY: asked again after a delay
 *   FAILED    a call has failed                 SKIP: that is a success after all
 *                                               FAIL: the failure stands, with another status or text
 *                                               FALLBACK: a success; messages given are published as if by it
 *                                               RETRY: called again after a delay, its attempt counted
 *
 * ERROR, at any point, says that the interceptor itself has failed: a critical
 * one fails the message with that, others are logged and passed over. A signal
 * that is not allowed counts as ERROR.
 *
 *     @example intercept
 *     static struct stele_answer no_sundays(void *state, enum stele_point point, stele_call *call)
 *     {
 *         const int64_t day = stele_message_time(stele_call_message(call)) / (INT64_C(86400) * 1000000000);
 *         (void)state;
 *         (void)point;
 *         return day % 7 == 3 ? stele_call_fail(call, STELE_REJECTED, "closed on Sundays") : stele_proceed();
 *     }
 *     static const struct stele_interceptor_kind sundays = {
 *         .name = "sundays", .points = STELE_AT_HANDLE, .ask = no_sundays};
 *     const struct stele_interceptor closed_on_sundays = {.name = "closed", .on = "order.>", .kind = &sundays};
 *
 *     static const struct stele_retry patient = {.max_attempts = 5, .delay_ms = 20};
 *     const struct stele_interceptor retry_payments = {
 *         .name = "retry-payments", .on = "payment.>", STELE_RETRY(&patient)};
 *     @end
 *
 * While a route waits for a RETRY, its mailbox is held, so that order is kept.
 * Inline routes wait in the caller's thread. A RETRY behind the deadline of the
 * unit of work is not waited for: the call has failed, with STELE_TIMEOUT.
 */
#ifndef STELE_INTERCEPT_H
#define STELE_INTERCEPT_H

#include <stele/base.h>
#include <stele/bus.h>
#include <stele/error.h>
#include <stele/message.h>
#include <stele/retry.h>

#ifdef __cplusplus
extern "C" {
#endif

enum stele_point {
    STELE_AT_PUBLISH = 1,
    STELE_AT_HANDLE = 2,
    STELE_AT_FAILED = 4,
    /* Told, not asked: the signal is ignored. */
    STELE_AT_DONE = 8,      /* a call that was not kept from running has ended */
    STELE_AT_WITHDRAWN = 16 /* a call that this one let pass at HANDLE was kept from running by another */
};

enum stele_signal { STELE_PROCEED, STELE_SKIP, STELE_RETRY_LATER, STELE_FALLBACK, STELE_FAIL, STELE_ERROR };

/* An answer; made by the functions below. */
struct stele_answer {
    enum stele_signal signal;
    stele_status status; /* of FAIL and ERROR; its text is in the call */
    int64_t delay;       /* of RETRY_LATER: nanoseconds */
};

/* One message about to be published, or on its way to one route. Lent for the call of `ask`. */
typedef struct stele_call stele_call;

STELE_API const stele_message *stele_call_message(const stele_call *call);
STELE_API stele_bus *stele_call_bus(const stele_call *call);
STELE_API const struct stele_route *stele_call_route(const stele_call *call); /* NULL at PUBLISH */
STELE_API unsigned stele_call_attempt(const stele_call *call);                /* from 1 */
STELE_API stele_status stele_call_status(const stele_call *call);             /* at FAILED and DONE: of the handler */
STELE_API const char *stele_call_text(const stele_call *call);                /* its text, "" if none */
STELE_API int64_t stele_call_time(const stele_call *call);                    /* monotonic time, nanoseconds */
STELE_API uint64_t stele_call_random(stele_call *call);
/* Monotonic time by which all must be done; INT64_MAX: none. Setting it can only make it earlier. */
STELE_API int64_t stele_call_deadline(const stele_call *call);
STELE_API void stele_call_set_deadline(stele_call *call, int64_t deadline);
/* At DONE, of a success: what the handler published, by index from 0; NULL beyond the last. Valid during `ask`. */
STELE_API const stele_message *stele_call_emitted(const stele_call *call, size_t index);
/* A word that this interceptor keeps with the call, from HANDLE to the DONE or WITHDRAWN that follows; 0 at first. NULL
 * when memory is out. Valid during `ask`. */
STELE_API uint64_t *stele_call_note(stele_call *call);

static inline struct stele_answer stele_proceed(void)
{
    const struct stele_answer answer = {STELE_PROCEED, STELE_OK, 0};
    return answer;
}
static inline struct stele_answer stele_skip(void)
{
    const struct stele_answer answer = {STELE_SKIP, STELE_OK, 0};
    return answer;
}
static inline struct stele_answer stele_retry_later(int64_t delay)
{
    const struct stele_answer answer = {STELE_RETRY_LATER, STELE_OK, delay};
    return answer;
}
/* FAIL and ERROR with a text in the manner of printf. A status of STELE_OK is taken as STELE_FAILED. */
STELE_API struct stele_answer stele_call_fail(stele_call *call, stele_status status, const char *format, ...)
    STELE_PRINTF(3, 4);
STELE_API struct stele_answer stele_call_error(stele_call *call, stele_status status, const char *format, ...)
    STELE_PRINTF(3, 4);
/* FALLBACK; first give the messages (referenced), none or more; at PUBLISH exactly one. STELE_INVALID for NULL and where
 * nothing is asked; STELE_LIMIT beyond STELE_EMISSIONS_MAX; STELE_NO_MEMORY. */
STELE_API stele_status stele_call_give(stele_call *call, const stele_message *message);
static inline struct stele_answer stele_fallback(void)
{
    const struct stele_answer answer = {STELE_FALLBACK, STELE_OK, 0};
    return answer;
}

/* What an interceptor does; constant. */
struct stele_interceptor_kind {
    const char *name;
    unsigned points; /* of enum stele_point, or-ed */
    int priority;    /* of interceptors that state none; 0 is 100 */
    struct stele_answer (*ask)(void *state, enum stele_point point, stele_call *call);
    /*
     * Check the settings and make the state of one place (the bus, or one
     * route); free it after the last `ask`. Both may be NULL: the state is NULL.
     * settings outlive the state.
     */
    stele_status (*make)(const void *settings, stele_bus *bus, void **state, stele_error **error);
    void (*free)(void *state);
};

/* Below this priority an interceptor is critical unless it says otherwise. */
enum { STELE_CRITICAL_BELOW = 50 };
enum stele_critical { STELE_CRITICAL_BY_PRIORITY, STELE_CRITICAL, STELE_NOT_CRITICAL };

/* An interceptor: what, where, in which order; constant. */
struct stele_interceptor {
    const char *name; /* unique on its bus or route */
    const char *on;   /* type name or pattern; NULL: every message */
    const struct stele_interceptor_kind *kind;
    const void *settings;         /* for `make` */
    int priority;                 /* lower first; 0 is that of the kind */
    enum stele_critical critical; /* what an ERROR of it means */
    uint32_t timeout_ms;          /* an answer that took longer counts as ERROR with STELE_TIMEOUT; 0: none */
};

/*
 * Add an interceptor for all routes; a route's own are in its `interceptors`
 * and are never asked at PUBLISH. STELE_INVALID names it and what is wrong: no
 * name or one that is taken, a malformed pattern, a kind without points or
 * function, settings out of range; STELE_NO_MEMORY. It must outlive the bus.
 */
STELE_API stele_status stele_bus_add_interceptor(stele_bus *bus, const struct stele_interceptor *interceptor,
                                                 stele_error **error);
/* Remove one by name; false if there is none. A call that is under way may ask it once more. */
STELE_API bool stele_bus_remove_interceptor(stele_bus *bus, const char *name);

/*
 * --- Stock interceptors ---------------------------------------------------------
 *
 * Each is a kind and a struct of settings; a setting that is 0 is its default.
 *
 *     static const struct stele_breaker settings = {.threshold = 3, .recovery_ms = 5000};
 *     static const struct stele_interceptor breaker =
 *         {.name = "payments-breaker", .on = "payment.>", STELE_BREAKER(&settings)};
 */
#define STELE__KIND(kind_name, settings_type, settings_) \
    .kind = &kind_name, .settings = (1 ? (settings_) : (const settings_type *)NULL)

/* Validation, at PUBLISH, priority 10: the payload of a known type decodes and keeps its rules; else FAIL, STELE_INVALID
 * naming type, field and rule. For messages from outside: those built from a type are valid already. No settings. */
STELE_API extern const struct stele_interceptor_kind stele_validation_kind;
#define STELE_VALIDATION .kind = &stele_validation_kind

/* Deadline, at HANDLE, priority 20: gives each call at most so long; FAIL with STELE_TIMEOUT if the time is over already. */
struct stele_deadline {
    uint32_t timeout_ms;
};
STELE_API extern const struct stele_interceptor_kind stele_deadline_kind;
#define STELE_DEADLINE(settings) STELE__KIND(stele_deadline_kind, struct stele_deadline, settings)

/* Retry, at FAILED, priority 60: RETRY while attempts are left and the status is worth it (stele/retry.h); else PROCEED. */
STELE_API extern const struct stele_interceptor_kind stele_retry_kind;
#define STELE_RETRY(settings) STELE__KIND(stele_retry_kind, struct stele_retry, settings)
/*
 * Circuit breaker, at HANDLE and DONE, priority 30.
 *
 *   closed ── `threshold` failures in a row ──► open ── `recovery_ms` ──► half open
 *     ▲                                          ▲                          │ one trial
 *     └───────────────── success ────────────────┼──────────────────────────┤
 *                                                └──────── failure ─────────┘
 *
 * Open, and half open during the trial: FAIL with STELE_OVERLOAD.
 */
struct stele_breaker {
    unsigned threshold;                  /* default 5 */
    uint32_t recovery_ms;                /* default 30000 */
    bool (*counts)(stele_status status); /* which statuses are failures; NULL: all but STELE_OK and STELE_REJECTED */
};
STELE_API extern const struct stele_interceptor_kind stele_breaker_kind;
#define STELE_BREAKER(settings) STELE__KIND(stele_breaker_kind, struct stele_breaker, settings)

/* Rate limit, at HANDLE, priority 30: a bucket of `burst` tokens, filled at `per_second`. Empty: RETRY when there is one if
 * `wait`, else FAIL with STELE_OVERLOAD. */
struct stele_rate_limit {
    double per_second;
    unsigned burst; /* default 1 */
    bool wait;
};
STELE_API extern const struct stele_interceptor_kind stele_rate_limit_kind;
#define STELE_RATE_LIMIT(settings) STELE__KIND(stele_rate_limit_kind, struct stele_rate_limit, settings)

/* Authorisation, at PUBLISH on a bus and at HANDLE on a route, priority 5: FAIL with STELE_DENIED unless allowed. The user
 * is the extension "user", NULL without. */
struct stele_authorisation {
    bool (*allows)(const char *user, const stele_message *message);
};
STELE_API extern const struct stele_interceptor_kind stele_authorisation_kind;
#define STELE_AUTHORISATION(settings) STELE__KIND(stele_authorisation_kind, struct stele_authorisation, settings)

/* Skip by flag, at HANDLE, priority 40: SKIP while the flag is as `when`. */
struct stele_skip_flag {
    bool (*flag)(void);
    bool when_unset; /* default: skip while it is set */
};
STELE_API extern const struct stele_interceptor_kind stele_skip_kind;
#define STELE_SKIP_BY_FLAG(settings) STELE__KIND(stele_skip_kind, struct stele_skip_flag, settings)

/* Fallback value, at FAILED, priority 90: a message of `type` with this payload is published, as a reply if it is one. */
struct stele_fallback_value {
    const struct stele_type *type;
    const void *payload;
    bool (*wants)(stele_status status); /* after which statuses; NULL: all */
};
STELE_API extern const struct stele_interceptor_kind stele_fallback_kind;
#define STELE_FALLBACK_VALUE(settings) STELE__KIND(stele_fallback_kind, struct stele_fallback_value, settings)

/* Concurrency limit, at HANDLE and DONE, priority 35: at most so many calls at once in the place it is added to; beyond,
 * RETRY after `retry_ms` (default 1), or FAIL with STELE_OVERLOAD if `reject`. */
struct stele_concurrency_limit {
    unsigned limit;
    uint32_t retry_ms;
    bool reject;
};
STELE_API extern const struct stele_interceptor_kind stele_concurrency_kind;
#define STELE_CONCURRENCY_LIMIT(settings) STELE__KIND(stele_concurrency_kind, struct stele_concurrency_limit, settings)

/*
 * Memoise, at HANDLE and DONE, priority 45: a call that succeeded is not made again for the same input. The key is
 * (name, version, route, type name, type version, digest of the payload: XXH3, 128 bits); what the first call
 * published is published again, with new ids and the new cause. Failures are not kept. Two under one (name,
 * version) on one bus are STELE_INVALID.
 */
struct stele_memo {
    const char *name;
    uint32_t version; /* from 1: raise it when the handler's results change */
    size_t entries;   /* kept at most, the longest unused goes; default 1024 */
};
STELE_API extern const struct stele_interceptor_kind stele_memo_kind;
#define STELE_MEMO(settings) STELE__KIND(stele_memo_kind, struct stele_memo, settings)

#ifdef __cplusplus
}
#endif

#endif
