/*
 * stele/bus.h - commands, queries and events between handlers.
 *
 * A *route* brings messages of some types to a handler. It is a constant
 * struct, mostly one of a table; the handler is a typed function:
 *
 *     @example bus
 *     #define ORDER_PLACED(FIELD, T) FIELD(T, TEXT, order) FIELD(T, INT64, amount, STELE_POSITIVE)
 *     STELE_DECLARE(order_placed, ORDER_PLACED);
 *     STELE_DEFINE_EVENT(order_placed, "order.placed", 1, ORDER_PLACED);
 *
 *     #define ORDER_PAID(FIELD, T) FIELD(T, TEXT, order)
 *     STELE_DECLARE(order_paid, ORDER_PAID);
 *     STELE_DEFINE_EVENT(order_paid, "order.paid", 1, ORDER_PAID);
 *
 *     static stele_status charge(const struct order_placed *order, stele_context *context)
 *     {
 *         if (order->amount > 10000)
 *             return stele_context_fail(context, STELE_REJECTED, "%s is too dear", order->order);
 *         return STELE_PUBLISH(context, order_paid, .order = order->order);
 *     }
 *     STELE_DEFINE_HANDLER(charge, order_placed);
 *
 *     static const struct stele_type *const charge_publishes[] = {&order_paid_type, NULL};
 *     static const struct stele_route charge_route = {
 *         .name = "charge",
 *         .on = "order.placed",
 *         .handle = charge_handle,
 *         .publishes = charge_publishes,
 *         .delivery = STELE_QUEUED,
 *     };
 *
 *     stele_status place(stele_bus *bus, const char *order, stele_error **error)
 *     {
 *         struct order_placed payload = {.order = order, .amount = 50};
 *         stele_message *message = NULL;
 *         stele_status status = stele_bus_add_route(bus, &charge_route, NULL, NULL, error);
 *         if (status == STELE_OK)
 *             status = order_placed_message(&payload, NULL, &message, error);
 *         if (status == STELE_OK)
 *             status = stele_deliver(bus, message, NULL, NULL, error);
 *         stele_message_unref(message);
 *         return status;
 *     }
 *     @end
 *
 * A command or query has exactly one handler, an event any number. Inline
 * routes run in the caller's thread, in the order they were added. Queued
 * routes have a mailbox each: first in, first out, one message in flight, run
 * by the threads of the runtime. So a handler needs no lock for what only it
 * uses. With a partition key there is a mailbox for each value of it: messages
 * of one key in order, different keys in parallel.
 *
 * What a handler publishes becomes visible when it returns STELE_OK, and not at
 * all if it fails. All that one message causes is its *unit of work*: it knows
 * when all is done and what failed, carries a deadline, can be cancelled, and
 * ends cascades that run in circles (STELE_HOPS_MAX).
 *
 * What is published carries its cause: correlationid and traceparent are
 * inherited, causationid is the cause's id, and extension attributes of the
 * cause ("user" among them) are copied, where the new message does not set them.
 *
 * A failure stays with its handler: other handlers of the message run. The
 * route's policy says what becomes of the message, the unit of work records the
 * failure, whoever waits is told at once, and "TYPE.error" is published if a
 * route wants it (stele_handler_failed_type).
 *
 * A bus is thread-safe. Handlers may call it, also to add and remove routes. A
 * child of fork() must not use its parent's: STELE_FORKED.
 */
#ifndef STELE_BUS_H
#define STELE_BUS_H

#include <stele/aggregate.h>
#include <stele/base.h>
#include <stele/error.h>
#include <stele/limits.h>
#include <stele/message.h>
#include <stele/runtime.h>
#include <stele/store.h>
#include <stele/type.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct stele_bus stele_bus;

/* What a handler is called in: the message, what it causes, how long it may take. Used by the handler's thread, until the
 * handler returns; one that is kept is dead for good, whatever is called later: publishing, answering and failing are
 * STELE_INVALID. */
typedef struct stele_context stele_context;

struct stele_interceptor; /* stele/intercept.h */

/* --- A bus ------------------------------------------------------------------ */

struct stele_bus_options {
    size_t size;
    uint32_t timeout_ms; /* for what does not state one: requests, deliveries; default 30000 */
    unsigned hops; /* messages that follow from each other in one unit of work; default STELE_HOPS_MAX, at most 4096 */
    bool measure;  /* keep counts and times per route: see stele_bus_visit_routes(); costs two clock reads a call */
    const char *source;   /* of what is published; default "stele" */
    size_t dead_letters;  /* kept in memory at most, without a store; default 1000. The oldest goes first. */
    bool source_is_route; /* what a handler publishes has its route's name, a URI reference then, as source */
};

/* A bus on a runtime, which must outlive it. STELE_INVALID, STELE_NO_MEMORY. */
STELE_API stele_status stele_bus_new(stele_runtime *runtime, const struct stele_bus_options *options, stele_bus **out,
                                     stele_error **error);

/* What was not done when a bus stopped. */
struct stele_stopped {
    uint64_t discarded; /* messages that still waited */
    uint64_t running;   /* handlers that had not returned */
    char routes[256];   /* names of routes these were for, as far as they fit */
};

/*
 * Stop a bus: new messages are refused with STELE_SHUTDOWN; what is in flight
 * and its cascades are finished until `timeout_ms` is over (0: at once); those
 * who wait are answered, at the end with STELE_SHUTDOWN; then the `stop`
 * function of each route is called, in reverse order of adding. STELE_TIMEOUT
 * if something was not done, told in `*out` (may be NULL). A second call while
 * one waits ends the wait; stopping twice is harmless. Called by a handler or an
 * observer, it does not wait for that call.
 */
STELE_API stele_status stele_bus_stop(stele_bus *bus, uint32_t timeout_ms, struct stele_stopped *out,
                                      stele_error **error);

/* Stop at once and free; NULL is allowed. If a handler has not returned within a second, the bus's memory stays. Not to be
 * called by a handler or an observer. */
STELE_API void stele_bus_free(stele_bus *bus);

/* Valid as long as the bus. */
STELE_API stele_runtime *stele_bus_runtime(const stele_bus *bus);

/* --- Handlers ---------------------------------------------------------------- */

/*
 * Handle a message. `resource` is what the route was added with. Anything but
 * STELE_OK is a failure; stele_context_fail() gives it a text.
 */
typedef stele_status stele_handle(void *resource, const stele_message *message, stele_context *context);

/*
 * Define `NAME_handle` from a typed function, in the same file, for a declared
 * type: `stele_status NAME(const struct TYPE *message, stele_context *context)`.
 * The payload, read once for all handlers of the message, is valid as long as
 * the call. A function for another type does not compile.
 */
#define STELE_DEFINE_HANDLER(name, type) \
    static stele_status name##_handle(void *resource, const stele_message *message, stele_context *context) \
    { \
        const void *untyped = NULL; \
        const stele_status status = stele_context_read(context, &type##_type, &untyped); \
        const struct type *payload = untyped; \
        (void)resource; \
        (void)message; \
        return status == STELE_OK ? name(payload, context) : status; \
    }

/* The same for a function that uses a resource of the route:
 * `stele_status NAME(struct RESOURCE *resource, const struct TYPE *message, stele_context *context)`. */
#define STELE_DEFINE_HANDLER_WITH(name, type, resource_type) \
    static stele_status name##_handle(void *untyped_resource, const stele_message *message, stele_context *context) \
    { \
        const void *untyped = NULL; \
        const stele_status status = stele_context_read(context, &type##_type, &untyped); \
        const struct type *payload = untyped; \
        struct resource_type *resource = untyped_resource; \
        (void)message; \
        return status == STELE_OK ? name(resource, payload, context) : status; \
    }

/*
 * The payload of the message, of `type` or of a type whose parent (of any
 * degree) `type` is. What `*out` points to lives until the handler returns.
 * Errors as stele_message_read(); they are recorded in the context.
 */
STELE_API stele_status stele_context_read(stele_context *context, const struct stele_type *type, const void **out);

/*
 * Fail with a text in the manner of printf; returns `status`, to be returned by
 * the handler. STELE_REJECTED is the domain saying no: it is not retried.
 */
STELE_API stele_status stele_context_fail(stele_context *context, stele_status status, const char *format, ...)
    STELE_PRINTF(3, 4);

/*
 * Publish a message when the handler succeeds. The typed way here is
 * STELE_PUBLISH; stele_context_send() takes a ready message (one more reference),
 * whose cause is then as it was built. STELE_INVALID: a payload that breaks a
 * rule, a type that the route does not declare (`publishes`, if it has any),
 * the context of a handler that has returned, another thread; STELE_LIMIT beyond
 * STELE_EMISSIONS_MAX messages; STELE_NO_MEMORY. The failure is recorded: a
 * handler that ignores it fails nevertheless.
 */
STELE_API stele_status stele_context_publish(stele_context *context, const struct stele_type *type, const void *payload,
                                             const struct stele_message_options *options);
STELE_API stele_status stele_context_send(stele_context *context, const stele_message *message);

/* STELE_PUBLISH(context, order_paid, .order = "o-1"): publish a declared type. */
#define STELE_PUBLISH(...) STELE__PUBLISH(__VA_ARGS__, )
#define STELE__PUBLISH(context, type, ...) \
    stele_context_publish((context), &type##_type, &(const struct type){__VA_ARGS__}, NULL)

/* Answer a request: publish a message of kind REPLY, at most one. STELE_REPLY(context, quote, .price = 5). Other errors
 * as stele_context_publish(); the route's `replies`, if stated, is the type it must be of. */
STELE_API stele_status stele_context_reply(stele_context *context, const struct stele_type *type, const void *payload);
#define STELE_REPLY(...) STELE__REPLY(__VA_ARGS__, )
#define STELE__REPLY(context, type, ...) stele_context_reply((context), &type##_type, &(const struct type){__VA_ARGS__})

/* Publish the message itself again under another type of the same shape (a router's way): payload and attributes are
 * copied, the id is new. Errors as stele_context_publish(). */
STELE_API stele_status stele_context_forward(stele_context *context, const char *type);

/* What the handler is called with. Valid until it returns; of a dead context NULL, "", 0, absent, and cancelled. */
STELE_API const stele_message *stele_context_message(const stele_context *context);
STELE_API stele_bus *stele_context_bus(const stele_context *context);
STELE_API const char *stele_context_route(const stele_context *context); /* its name */
STELE_API unsigned stele_context_attempt(const stele_context *context);  /* from 1 */
STELE_API unsigned stele_context_hop(const stele_context *context);      /* from 1: the message that began the unit */
STELE_API struct stele_slice stele_context_user(const stele_context *context); /* extension "user"; absent if none */
/* Monotonic nanoseconds left until the deadline; INT64_MAX without one, 0 or less when it is over. */
STELE_API int64_t stele_context_time_left(const stele_context *context);
/* True if nobody wants the result any more: cancelled, timed out, or the bus is stopping. Long handlers ask now and then. */
STELE_API bool stele_context_is_cancelled(const stele_context *context);

/* --- Routes ------------------------------------------------------------------- */

enum stele_delivery {
    STELE_INLINE,       /* in the thread that publishes, before the call returns */
    STELE_QUEUED,       /* through a mailbox */
    STELE_AFTER_COMMIT, /* stored events in the order of the log, through a mailbox; needs stele_bus_follow() */
    STELE_DURABLE       /* the same, going on after the last one handled, also in the next process: the route's name is
                           that of its checkpoint */
};

/* What a sender does when a mailbox is full. */
enum stele_overflow {
    STELE_BLOCK,      /* waits, until its deadline; where it cannot wait (a handler of the same runtime), as REJECT */
    STELE_REJECT,     /* that route is not reached: STELE_OVERLOAD in the unit of work */
    STELE_DROP_OLDEST /* the oldest that waits is dropped, counted, and told to its unit of work */
};

/* What becomes of a message whose handler failed, retries included. */
enum stele_failure_policy {
    STELE_BURY,      /* it becomes a dead letter (the default), unless it was STELE_REJECTED: that is an answer */
    STELE_IGNORE,    /* the failure is only recorded and counted */
    STELE_FAIL_FAST, /* the rest of the unit of work is cancelled */
    STELE_SUSPEND    /* the mailbox is paused with the message at its head, until stele_bus_resume() */
};

/* A condition on a field at the top of the payload: its value as text is `equals` ("EUR", "42", "true"). */
struct stele_where {
    const char *field; /* NULL: no condition */
    const char *equals;
};

/* Where a route after the commit begins when it has no checkpoint. */
enum stele_begin { STELE_BEGIN_NOW, STELE_BEGIN_FIRST };

struct stele_route {
    const char *name; /* unique on its bus; at most STELE_TYPE_MAX bytes */
    const char *on;   /* a type name, or a pattern: "order.*" (one level), "order.>" (the rest), ">" (all) */
    const struct stele_type *type; /* instead of `on`: this type, and types that have it as a parent */
    struct stele_where where;
    stele_handle *handle;
    void (*stop)(void *resource); /* called once when the bus has stopped or the route is removed; may be NULL */

    /* What the handler publishes, and answers with; checked when it does, and as a whole by stele_bus_check(). A
     * `publishes` of NULL leaves it open. */
    const struct stele_type *const *publishes; /* NULL at its end */
    const struct stele_type *replies;

    enum stele_delivery delivery;
    int priority;    /* of the mailbox among those ready: lower first; default (0) is 100 */
    size_t capacity; /* of the mailbox, all partitions together; default 1024 */
    enum stele_overflow overflow;
    const char *partition; /* a field at the top of the payload, or "@subject", "@stream"; NULL: one mailbox */
    enum stele_begin begin;

    uint32_t timeout_ms; /* for one call of the handler; 0: none but the unit's */
    enum stele_failure_policy on_failure;
    const struct stele_interceptor *const *interceptors; /* of this route alone; NULL at its end */
    const char *uses;                                    /* the name of its resource in an app (stele/app.h) */
};

/* Names a route on its bus, as long as it is there; never used twice. */
typedef uint64_t stele_route_id;

/*
 * Add a route. The struct, and what it points to, must be there until its `stop` has been called or the bus is freed. STELE_INVALID
 * names the route and what is wrong with it: no name, neither or both of `on`
 * and `type`, a malformed pattern, no handler, a second handler of a command or
 * query (one whose type is known by `type`, stele_bus_add_type(), or an
 * aggregate), a name that is taken, members that do not go together.
 * STELE_CONFLICT, with "subscription" and "state", for a durable one that was
 * detached (stele_subscriptions_keep()). STELE_LIMIT, STELE_SHUTDOWN,
 * STELE_NO_MEMORY. `id` may be NULL.
 */
STELE_API stele_status stele_bus_add_route(stele_bus *bus, const struct stele_route *route, void *resource,
                                           stele_route_id *id, stele_error **error);

/*
 * Remove a route. What waits for it is discarded, counted, and told to its
 * units of work. A call that runs meanwhile goes on; `stop` is called behind it.
 * False if there is no such route (any more). Allowed in every handler, its own too.
 */
STELE_API bool stele_bus_remove_route(stele_bus *bus, stele_route_id id);

/* Hold a queued route's mailbox, and let it go on in order. STELE_NOT_FOUND for a name that no route has, STELE_INVALID for
 * an inline one. */
STELE_API stele_status stele_bus_pause(stele_bus *bus, const char *route, stele_error **error);
STELE_API stele_status stele_bus_resume(stele_bus *bus, const char *route, stele_error **error);

/* Make a type known: its kind, and its parent. Types of routes and aggregates are known by themselves. STELE_INVALID if
 * another type has its name. The type must outlive the bus. */
STELE_API stele_status stele_bus_add_type(stele_bus *bus, const struct stele_type *type, stele_error **error);

/* How commands of an aggregate find their stream. */
struct stele_aggregate_route {
    const stele_repository *repository;
    const char *prefix;           /* the stream is PREFIX followed by the value of `key`; NULL: "" */
    const char *key;              /* a TEXT, UUID or integer field of every command; NULL: the message's subject */
    enum stele_delivery delivery; /* INLINE or QUEUED: then commands of one stream never race each other */
    size_t capacity;
    unsigned attempts; /* in total, on conflict; default 3 */
};

/*
 * Route the commands of an aggregate's table to it: load, decide, append,
 * with the ledger if its repository remembers commands. The answer is a
 * stele_accepted; a rejection is STELE_REJECTED with the domain's text. The
 * repository must outlive the bus. Errors as stele_bus_add_route().
 */
STELE_API stele_status stele_bus_add_aggregate(stele_bus *bus, const struct stele_aggregate_route *route,
                                               stele_error **error);

/* The reply to an aggregate's command. */
#define STELE_ACCEPTED(FIELD, T) \
    FIELD(T, TEXT, stream) \
    FIELD(T, UINT64, version) \
    FIELD(T, UINT64, first_position) \
    FIELD(T, UINT64, last_position) \
    FIELD(T, BOOL, created) \
    FIELD(T, BOOL, repeated)
STELE_API extern const struct stele_type stele_accepted_type;
STELE_DECLARE(stele_accepted, STELE_ACCEPTED);

/*
 * Let routes after the commit read a store, which must outlive the bus. They
 * are told of what other handles and processes commit, too. One store per bus
 * (STELE_INVALID). Dead letters then live in that store (stele/deadletters.h).
 */
STELE_API stele_status stele_bus_follow(stele_bus *bus, stele_store *store, stele_error **error);

/* --- Sending -------------------------------------------------------------------- */

struct stele_send_options {
    size_t size;
    uint32_t timeout_ms; /* for the whole unit of work; default that of the bus */
    /* Of a request: the type of the message that answers it, of any kind; NULL: the first of kind REPLY. */
    const char *reply;
};

/*
 * Publish: returns when the message is with its routes: inline handlers have
 * run, mailboxes have it. `*reached` (may be NULL) counts the routes; 0 is no
 * error for an event. Failures of handlers are none of this call.
 * STELE_NO_HANDLER for a command or query that none handles; STELE_SHUTDOWN;
 * STELE_OVERLOAD if a mailbox rejected it (others have it); STELE_LIMIT; what an
 * interceptor said; STELE_NO_MEMORY.
 */
STELE_API stele_status stele_publish(stele_bus *bus, const stele_message *message, size_t *reached,
                                     stele_error **error);

/* A failure in a unit of work. Texts live in the outcome's memory. */
struct stele_failure {
    stele_status status;
    const char *route; /* "" if no handler was at fault */
    const char *type;  /* of the message it failed on */
    const char *id;
    const char *text;
    unsigned attempts;
};

enum { STELE_FAILURES_MAX = 16 };

/* What became of a unit of work. Zero it before, free it after with stele_unit_outcome_fini(). */
struct stele_unit_outcome {
    uint64_t messages;   /* published in it, the first included */
    uint64_t deliveries; /* of a message to a route, each once, however often its handler is called */
    uint64_t failure_count;
    size_t failures_kept; /* the first ones */
    struct stele_failure failures[STELE_FAILURES_MAX];
    void *memory; /* the library's */
};
STELE_API void stele_unit_outcome_fini(struct stele_unit_outcome *outcome);

/*
 * Publish and wait until the whole cascade is done. STELE_OK if nothing failed;
 * otherwise the status and text of the first failure, and all of them in
 * `outcome` (may be NULL); STELE_TIMEOUT when the deadline passed first;
 * otherwise as stele_publish(). Routes after the commit are not part of it.
 */
STELE_API stele_status stele_deliver(stele_bus *bus, const stele_message *message,
                                     const struct stele_send_options *options, struct stele_unit_outcome *outcome,
                                     stele_error **error);

/*
 * Publish and wait for the answer, which goes to its subscribers too. As soon as
 * any handler of the cascade fails, its status and text, with "route" and, as
 * the handler has put it, "text"; when all is done and none has answered,
 * STELE_NOT_FOUND; a REPLY of another type than options->reply is STELE_INVALID;
 * STELE_TIMEOUT, and an answer that comes later is counted and otherwise
 * ordinary; otherwise as stele_publish(). The caller owns one reference.
 */
STELE_API stele_status stele_request(stele_bus *bus, const stele_message *message,
                                     const struct stele_send_options *options, stele_message **reply,
                                     stele_error **error);

/*
 * A unit of work of several messages, with its events as they come.
 *
 *   begin ── publish*, next* ── end
 *
 * Used by one thread at a time. stele_unit_end() waits for the whole cascade
 * (errors as stele_deliver()) and frees the unit, also on failure.
 */
typedef struct stele_unit stele_unit;
STELE_API stele_status stele_unit_begin(stele_bus *bus, const struct stele_send_options *options, stele_unit **out,
                                        stele_error **error);
STELE_API stele_status stele_unit_publish(stele_unit *unit, const stele_message *message, size_t *reached,
                                          stele_error **error);
/* The next event or reply published in the unit, in order; the caller owns one reference. STELE_END when all is done and
 * taken, STELE_TIMEOUT when the unit's deadline passes. */
STELE_API stele_status stele_unit_next(stele_unit *unit, stele_message **out, stele_error **error);
/* Cancel: what waits is discarded and recorded as STELE_CANCELLED, what runs is told. Cancelling twice is harmless. */
STELE_API void stele_unit_cancel(stele_unit *unit);
STELE_API stele_status stele_unit_end(stele_unit *unit, struct stele_unit_outcome *outcome, stele_error **error);

/* --- Phases ------------------------------------------------------------------------ */

/* The payload of a phase: for handlers that collect, and give what they have when all is quiet. */
#define STELE_PHASE(FIELD, T) FIELD(T, UINT64, number, STELE_POSITIVE)
STELE_API extern const struct stele_type stele_phase_type; /* the event "stele.phase" */
STELE_DECLARE(stele_phase, STELE_PHASE);

/*
 * Publish phases until nothing comes of them: phase 1 and all that it causes,
 * phase 2, and so on, each a unit of work of its own, until one causes no further
 * message. What others publish meanwhile is not waited for and does not count.
 * `*phases` (may be NULL) is the number of the last one. STELE_LIMIT after `most`
 * phases (default, with 0: 1000) that all caused something; otherwise as
 * stele_deliver(), whose options these are.
 */
STELE_API stele_status stele_run_phases(stele_bus *bus, uint64_t most, const struct stele_send_options *options,
                                        uint64_t *phases, stele_error **error);

/* --- Failures as messages -------------------------------------------------------- */

/* The payload of "TYPE.error", published when a handler of TYPE has failed for good. At most STELE_ERRORS_MAX of them
 * follow from each other. */
#define STELE_HANDLER_FAILED(FIELD, T) \
    FIELD(T, TEXT, code) /* name of the status: "TIMEOUT" */ \
    FIELD(T, TEXT, text) \
    FIELD(T, TEXT, route) \
    FIELD(T, TEXT, type) /* of the message that was handled */ \
    FIELD(T, TEXT, id) \
    FIELD(T, UINT64, attempts) \
    FIELD(T, OPTIONAL(BYTES), payload) /* of that message, MessagePack */
STELE_API extern const struct stele_type stele_handler_failed_type;
STELE_DECLARE(stele_handler_failed, STELE_HANDLER_FAILED);

/* --- Schedules ---------------------------------------------------------------------- */

/* Names a schedule on its bus; never used twice. */
typedef uint64_t stele_schedule_id;

/*
 * Publish a message at a wall-clock time (at once if it is over), or again and
 * again, first after one interval: each time with a new id and time. A time is
 * never kept early; a clock that is set ahead meanwhile is noticed when the wait
 * that was left at the call is over. In memory: a schedule ends with its bus. A
 * publish that fails is logged, counted (`unscheduled` of
 * stele_bus_get_stats()), and the schedule goes on. STELE_INVALID for an interval
 * below 1 ms or above 73 years; STELE_SHUTDOWN; STELE_NO_MEMORY. `id` may be NULL.
 */
STELE_API stele_status stele_schedule_at(stele_bus *bus, int64_t time, const stele_message *message,
                                         stele_schedule_id *id, stele_error **error);
STELE_API stele_status stele_schedule_every(stele_bus *bus, uint64_t interval_ms, const stele_message *message,
                                            stele_schedule_id *id, stele_error **error);
/* False if it is not there (any more). */
STELE_API bool stele_schedule_cancel(stele_bus *bus, stele_schedule_id id);

/* --- What a bus is and does --------------------------------------------------------- */

/* A route in numbers. Those marked * only on a bus that measures. */
struct stele_route_stats {
    const struct stele_route *route;
    uint64_t processed; /* * calls of the handler, failures included */
    uint64_t errors;    /* * of these */
    uint64_t timeouts;  /* of these */
    uint64_t late;      /* results that came after their deadline and were discarded */
    uint64_t rejected;  /* not taken by a full mailbox */
    uint64_t dropped;   /* taken, and thrown out for newer ones, by removal, cancellation or stopping */
    uint64_t skipped;   /* by interceptors */
    uint64_t retries;
    uint64_t dead;       /* buried */
    uint64_t waiting;    /* in the mailboxes now */
    uint64_t running;    /* now */
    uint64_t partitions; /* with something in them, now */
    int64_t average_ns;  /* * of a call */
    int64_t p50_ns;      /* * from a histogram, within 7 % */
    int64_t p99_ns;
    int64_t max_ns;
    uint64_t lag;            /* of a route after the commit: positions between it and the head */
    uint64_t position;       /* of such a route: handled up to here */
    stele_status last_error; /* STELE_OK if it never failed */
    char last_error_text[160];
    bool paused;
};

/* Call `visit` for each route in order of adding, until it returns false; it must not call the bus. */
typedef bool stele_route_visit(void *context, const struct stele_route_stats *stats);
STELE_API stele_status stele_bus_visit_routes(stele_bus *bus, stele_route_visit *visit, void *context,
                                              stele_error **error);

struct stele_bus_stats {
    uint64_t routes;
    uint64_t published;    /* messages, by callers and handlers; * as above */
    uint64_t unrouted;     /* events that no route wanted */
    uint64_t late_replies; /* answers to requests that had given up */
    uint64_t hops_ended;   /* messages refused because they had followed from too many */
    uint64_t unscheduled;  /* times of schedules at which nothing could be published */
    uint64_t in_flight;    /* deliveries waiting or running */
    uint64_t dead_letters;
    bool stopping;
};
STELE_API void stele_bus_get_stats(stele_bus *bus, struct stele_bus_stats *out);

/*
 * Look at the whole graph of routes and report every problem, one line each, to
 * `problem`: a type published that no route wants, a reply that its requester's
 * route does not state, an exact type that is routed but neither known nor
 * published by any route, cycles of inline routes. Returns their number.
 */
typedef void stele_problem(void *context, const char *text);
STELE_API size_t stele_bus_check(stele_bus *bus, stele_problem *problem, void *context);

#ifdef __cplusplus
}
#endif

#endif
