/*
 * stele/observe.h - observers: told what happens on a bus, unable to interfere.
 *
 * Each observer has a bounded queue of its own and is called from it, in order,
 * one call at a time, by a thread of the runtime. Whoever publishes or handles
 * never waits for it: what a full queue does is stated and counted. Observers
 * are flushed when the bus stops.
 *
 *     @example observe
 *     static void print_failure(void *context, const struct stele_observation *seen)
 *     {
 *         FILE *out = context;
 *         fprintf(out, "%s failed: %s\n", seen->route, seen->text);
 *     }
 *
 *     stele_status watch(stele_bus *bus, stele_error **error)
 *     {
 *         static const struct stele_observer observer = {
 *             .name = "failures", .kinds = STELE_SEEN_FAILED, .see = print_failure};
 *         return stele_bus_add_observer(bus, &observer, stderr, error);
 *     }
 *     @end
 */
#ifndef STELE_OBSERVE_H
#define STELE_OBSERVE_H

#include <stele/base.h>
#include <stele/bus.h>
#include <stele/error.h>
#include <stele/message.h>

#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What happened. */
enum stele_seen {
    STELE_SEEN_PUBLISHED = 1,     /* a message entered the bus; `count`: routes reached */
    STELE_SEEN_STARTED = 2,       /* a handler is about to be called */
    STELE_SEEN_HANDLED = 4,       /* it succeeded; `count`: messages it published */
    STELE_SEEN_FAILED = 8,        /* it failed for good */
    STELE_SEEN_RETRIED = 16,      /* it failed and is called again */
    STELE_SEEN_SKIPPED = 32,      /* an interceptor kept it from being called */
    STELE_SEEN_DROPPED = 64,      /* a message that waited was thrown out, or not taken */
    STELE_SEEN_BURIED = 128,      /* it became a dead letter */
    STELE_SEEN_UNROUTED = 256,    /* no route wanted it */
    STELE_SEEN_INTERCEPTOR = 512, /* an interceptor failed and was passed over */
    STELE_SEEN_LATE = 1024        /* a result came after its deadline */
};
#define STELE_SEEN_ALL 0x7ffu

/* One observation; lent for the call. Texts are never NULL. */
struct stele_observation {
    enum stele_seen seen;
    int64_t time;      /* wall clock, when it happened */
    int64_t monotonic; /* the same instant, for differences */
    const stele_message *message;
    const char *route;    /* "" without */
    const char *observed; /* the type of the message, NUL-terminated */
    uint64_t call;        /* number of the call of a handler on this bus, from 1; 0 without. STARTED to its end */
    uint64_t parent_call; /* the call that published the message; 0: from outside */
    unsigned attempt;
    unsigned hop;
    int64_t duration_ns; /* of HANDLED, FAILED, RETRIED: in the handler */
    size_t count;
    stele_status status;
    const char *text;
};

enum stele_observer_overflow { STELE_OBSERVER_DROP_OLDEST, STELE_OBSERVER_DROP_NEWEST };

struct stele_observer {
    const char *name;                      /* unique on its bus */
    const char *on;                        /* type name or pattern of messages; NULL: all */
    unsigned kinds;                        /* of enum stele_seen, or-ed; 0: all */
    size_t capacity;                       /* default 1024 */
    enum stele_observer_overflow overflow; /* of a full queue: counted */
    uint32_t timeout_ms;                   /* for one call of `see`; default 1000 */
    /* It may call the bus, but not wait for observers. A call that lasts longer than its time is logged, and another
     * thread stands in for its own until it returns. */
    void (*see)(void *context, const struct stele_observation *observation);
    void (*free)(void *context); /* when it is removed or the bus freed, behind the last `see`; may be NULL */
};

/* Add an observer, from now on. STELE_INVALID names it and what is wrong: no name, one that is taken, no function, a
 * malformed pattern; STELE_SHUTDOWN; STELE_NO_MEMORY. Name, pattern and functions must live until it is freed, the struct
 * is copied. On failure the context stays the caller's. */
STELE_API stele_status stele_bus_add_observer(stele_bus *bus, const struct stele_observer *observer, void *context,
                                              stele_error **error);
/* Remove one by name: what waits for it is dropped. False if there is none. Also from its own `see`. */
STELE_API bool stele_bus_remove_observer(stele_bus *bus, const char *name);

struct stele_observer_stats {
    uint64_t seen;
    uint64_t dropped;
    uint64_t waiting;
};
STELE_API stele_status stele_bus_observer_stats(stele_bus *bus, const char *name, struct stele_observer_stats *out,
                                                stele_error **error);
/* Wait until all observers have seen what happened before; STELE_TIMEOUT. Not to be called by one. */
STELE_API stele_status stele_bus_flush_observers(stele_bus *bus, uint32_t timeout_ms, stele_error **error);

/* --- Metrics: what the routes counted (struct stele_route_stats), as text ----------- */

/*
 * JSON, one object with "bus" and "routes"; or Prometheus text exposition
 * format 0.0.4 (counters end in _total, times in seconds, one series per
 * route). Lives in `arena`, with a NUL behind it. The bus should `measure`.
 */
STELE_API stele_status stele_metrics_json(stele_bus *bus, stele_arena *arena, struct stele_slice *out,
                                          stele_error **error);
STELE_API stele_status stele_metrics_prometheus(stele_bus *bus, stele_arena *arena, struct stele_slice *out,
                                                stele_error **error);

/* --- Stock observers ------------------------------------------------------------------ */

/* The last `capacity` (default 200) ends of calls, each attempt once, and events that no route wanted; in memory. Owned by
 * the bus, named "event-log"; valid until removed. */
typedef struct stele_event_log stele_event_log;
STELE_API stele_status stele_event_log_add(stele_bus *bus, size_t capacity, stele_event_log **out, stele_error **error);

struct stele_event_log_query {
    size_t size;
    const char *type;  /* exactly; NULL: any */
    const char *trace; /* the trace id of the traceparent, or the correlation id (of a root: its id); NULL: any */
    bool has_limit;
    size_t limit; /* the last so many; 0 is none. Without has_limit: 50 */
};
struct stele_event_log_entry {
    int64_t time;
    const char *type, *route, *id, *source, *trace, *text;
    int64_t duration_ns;
    stele_status status;
    bool has_failed;
};
/* Call `visit` for each entry, oldest first, until it returns false. Thread-safe. The entry is lent for the call. */
typedef bool stele_event_log_visit(void *context, const struct stele_event_log_entry *entry);
STELE_API stele_status stele_event_log_read(stele_event_log *log, const struct stele_event_log_query *query,
                                            stele_event_log_visit *visit, void *context, stele_error **error);
/* The same as a JSON array, in `arena`. */
STELE_API stele_status stele_event_log_json(stele_event_log *log, const struct stele_event_log_query *query,
                                            stele_arena *arena, struct stele_slice *out, stele_error **error);

/* Append each observation to a file as one line of JSON; flushed with each, closed with the bus. STELE_DENIED, STELE_IO if
 * it cannot be opened; a write that fails later is logged once and counted as dropped. Named "audit". */
STELE_API stele_status stele_audit_add(stele_bus *bus, const char *path, unsigned kinds, stele_error **error);

struct stele_log_observer_options {
    size_t size;
    unsigned kinds; /* of enum stele_seen; 0: all */
    bool has_slow;  /* without it, slow_ms is 5000 */
    uint32_t
        slow_ms; /* a call of a handler that took as long or longer is told in one more record, a warning; 0: all */
};

/* Write each observation to the log hook (stele/log.h): failures and losses as warnings, the rest as debug; with the fields
 * route, type, id, trace, attempt, duration_ns, status, text. Named "log". STELE_INVALID, STELE_NO_MEMORY. */
STELE_API stele_status stele_log_observer_add(stele_bus *bus, const struct stele_log_observer_options *options,
                                              stele_error **error);

/* --- Spans -------------------------------------------------------------------------------- */

/* One call of a handler as a span of W3C Trace Context. */
struct stele_span {
    char trace_id[33]; /* hexadecimal; the message's, or made anew */
    char span_id[17];
    char parent_id[17]; /* "" for a root */
    const char *name;   /* "ROUTE TYPE" */
    int64_t start, end; /* wall clock */
    stele_status status;
    const char *text;
    unsigned attempt;
};

/* Give each call's span, when it ends, to `end` (in the manner of an observer named "spans"). As long as it is there, what
 * a handler publishes has the span of its call as parent id in its traceparent. */
typedef void stele_span_end(void *context, const struct stele_span *span);
STELE_API stele_status stele_spans_add(stele_bus *bus, stele_span_end *end, void *context, stele_error **error);

#ifdef __cplusplus
}
#endif

#endif
