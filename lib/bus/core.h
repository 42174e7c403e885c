/*
 * The inside of the core: what a bus, its routes and its units of work are.
 *
 *   stele_publish ─► entry of the type (table.c) ─┬─ inline ─► call (call.c)
 *        ▲                                         └─ queued ─► delivery, mailbox (box.h) ─► call
 *        └──────────── what the handler published, after it succeeded ◄─┘
 *
 * A table is read without a lock, by publishers that are counted (table.c);
 * everything that changes a bus is done under its mutex. Locks, in the order in
 * which they may be taken: bus, box, unit; then those of the runtime. No user
 * function is called under any of them.
 */
#ifndef STELE_BUS_CORE_H
#define STELE_BUS_CORE_H

#include "bus/bus.h"
#include "bus/chain.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/arena.h"
#include "base/fork.h"
#include "base/map.h"
#include "base/vector.h"
#include "message/message.h"
#include "runtime/runtime.h"

#define STELE__NANOS_PER_MILLISECOND INT64_C(1000000)

struct stele__box;
struct stele__delivery;
struct stele__measured;

/* --- Routes (route.c) ------------------------------------------------------------------ */

struct stele__route_counts {
    _Atomic uint64_t timeouts, late, rejected, dropped, skipped, retries, dead, running;
};

/* What an aggregate's routes share (aggregates.c). */
struct stele__aggregate_place;

struct stele__route {
    const struct stele_route *table;
    void *resource;
    stele_bus *bus;
    stele_route_id id;
    /* In the low half the deliveries that wait or run; in the high half who else knows the route. */
    _Atomic uint64_t references;
    uint64_t hash;                            /* of the exact name it is on; 0: a pattern or a type */
    struct stele__box *box;                   /* its mailboxes; NULL for an inline route */
    struct stele__aggregate_place *aggregate; /* NULL for others */
    struct stele__placed **placed;            /* its own interceptors, in their order */
    unsigned placed_count;
    _Atomic int last_error;
    atomic_bool is_removed;
    atomic_bool is_stopped; /* its `stop` was called, or never will be */
    struct stele__route_counts counts;
    _Atomic(struct stele__last_error *) last; /* its text; NULL: it never failed */
    struct stele__measured *measured;         /* of a bus that measures */
    struct stele__route *next_removed;        /* given back with the same table; guarded by the bus, as what follows */
    struct stele__route *next_leaving;
    bool is_leaving; /* removed, and the bus waits for its deliveries */
    bool is_left;    /* it gets no more of them */
    bool is_told;    /* in the report of who stops the bus: that one's */
};

#define STELE__ROUTE_KNOWN (UINT64_C(1) << 32)
#define STELE__ROUTE_DELIVERIES UINT64_C(0x7fffffff)
static inline void stele__route_ref(struct stele__route *route)
{
    atomic_fetch_add_explicit(&route->references, STELE__ROUTE_KNOWN, memory_order_relaxed);
}
static inline uint32_t stele__route_deliveries(const struct stele__route *route)
{
    return (uint32_t)(atomic_load_explicit(&route->references, memory_order_acquire) & STELE__ROUTE_DELIVERIES);
}
/* Give a reference back, `amount` is 1 for that of a delivery: the last one stops and frees the route. Not under a lock. */
void stele__route_release(struct stele__route *route, uint64_t amount);
void stele__route_call_stop(struct stele__route *route);
/* Under the bus's mutex. */
struct stele__route *stele__route_find(stele_bus *bus, const char *name);
/* True if a message of the type's name is for the route; `type` is what is known of it, or NULL. */
bool stele__route_matches(const struct stele__route *route, uint64_t hash, struct stele_slice name,
                          const struct stele_type *type);
/* Add a route whose struct was checked; takes `box` and `aggregate` on success. */
stele_status stele__route_add(stele_bus *bus, const struct stele_route *table, void *resource, struct stele__box *box,
                              struct stele__aggregate_place *aggregate, stele_route_id *id, stele_error **error);
/* Remember the last failure. */
void stele__route_note_error(struct stele__route *route, stele_status status, const char *text);

/* --- Which routes a type has (table.c) -------------------------------------------------- */

struct stele__item {
    stele_handle *handle;
    void *resource;
    struct stele__route *route;
    struct stele__chain chain; /* asked at HANDLE, FAILED and DONE */
    bool is_plain;             /* inline, and nothing to do but call */
};

struct stele__entry {
    uint64_t hash;
    struct stele_slice name;
    struct stele__entry *next; /* of the table */
    size_t allocated;
    struct stele__chain chain; /* of the bus, asked at PUBLISH */
    size_t exact;              /* routes that are for exactly this type, and may not be more than one of a command */
    bool is_plain;             /* all items are */
    size_t count;              /* of the items that a publisher goes through */
    size_t all;                /* with those of routes after the commit, behind them */
    struct stele__item *items;
};

struct stele__table {
    size_t mask;
    size_t count;
    struct stele__entry *entries;
    struct stele__table *retired_next;
    struct stele__route *removed; /* given back with the table: routes that only older ones have, too */
    uint32_t unseen;              /* reader counters that were not seen at 0 since it was retired */
    _Atomic(struct stele__entry *) slots[];
};

enum { STELE__READER_SHARDS = 8 };
/*
 * A counter's last change is the last touch of the bus by whoever makes it, so that the bus may be freed when all are 0.
 * While the bus stops, or has retired tables, each has this bit: then it is changed under the mutex, with what follows
 * from it.
 */
#define STELE__ATTENTION UINT32_C(0x80000000)
struct stele__readers {
    atomic_uint count[2];
    char apart[64 - 2 * sizeof(atomic_uint)]; /* from the next one's cache line */
};
/* Where a reader was counted. */
struct stele__reading {
    atomic_uint *counter; /* NULL: this thread is counted already */
};

struct stele__table *stele__table_new(size_t slots);
/* All that a table that nobody reads holds. */
void stele__table_free(struct stele__table *table);
struct stele__reading stele__read_begin(stele_bus *bus);
void stele__read_end(stele_bus *bus, struct stele__reading reading);
/* Readers in all, those of this thread included. */
uint32_t stele__readers(const stele_bus *bus);
/* Under the mutex: have all counters, of readers and routes, changed under the mutex from now on; or no more. */
void stele__attention(stele_bus *bus, bool is_wanted);
/* While reading: the entry of a type; NULL when memory is out. */
const struct stele__entry *stele__table_find(stele_bus *bus, struct stele_slice type);
const struct stele__item *stele__entry_item(const struct stele__entry *entry, const struct stele__route *route);
/* Under the mutex: have new entries made. False when memory is out: nothing has changed. */
bool stele__table_renew(stele_bus *bus);
/* Under the mutex: the same without one that is removed, which is released when nobody can see it any more. Out of memory,
 * the table stays, with a ghost in it: readers look whether a route is removed. */
void stele__table_remove(stele_bus *bus, struct stele__route *removed);
/* Not under a lock: free what nobody reads any more. */
void stele__table_reclaim(stele_bus *bus);

/* --- Units of work (unit.c) -------------------------------------------------------------- */

struct stele_unit {
    stele_bus *bus;
    atomic_uint references;
    atomic_uint pending; /* deliveries, and one for whoever publishes from outside */
    int64_t deadline;
    bool awaits_reply;
    bool keeps_events;
    struct stele_slice awaited; /* type of the reply; absent: the first of kind REPLY */
    char *awaited_text;
    atomic_bool is_cancelled;
    atomic_bool is_abandoned; /* who waited has given up */
    _Atomic uint64_t messages, deliveries;

    pthread_mutex_t mutex; /* guards what follows */
    stele_message *reply;
    stele_status wrong_reply;
    bool is_shut_down;
    uint64_t failure_count;
    size_t failures_kept;
    struct stele_failure *failures; /* in the arena, of STELE_FAILURES_MAX */
    stele_arena *arena;
    struct stele__vector events; /* stele_message * */
    size_t taken;
    struct stele__signal signal;        /* something to look at for who waits */
    struct stele_unit *previous, *next; /* of those who wait; guarded by the bus */
};

stele_status stele__unit_begin(stele_bus *bus, const struct stele_send_options *options, stele_unit **out,
                               stele_error **error);
/* With one thing pending, which is the caller's; NULL when memory is out. */
struct stele_unit *stele__unit_new(stele_bus *bus, int64_t deadline);
int64_t stele__unit_deadline(stele_bus *bus, const struct stele_send_options *options);
void stele__unit_free_spare(stele_bus *bus);
void stele__unit_unref(struct stele_unit *unit);
/* The same by one whom the bus does not wait for. */
void stele__unit_drop(struct stele_unit *unit);
static inline void stele__unit_join(struct stele_unit *unit)
{
    atomic_fetch_add_explicit(&unit->references, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&unit->pending, 1, memory_order_relaxed);
}
/* Nobody else has it: nothing of it goes on elsewhere. */
static inline bool stele__unit_is_alone(const struct stele_unit *unit)
{
    return atomic_load_explicit(&unit->references, memory_order_acquire) == 1;
}
/* Count; one who is alone needs no locked instruction for that. */
static inline void stele__unit_count(const struct stele_unit *unit, _Atomic uint64_t *counter, uint64_t amount)
{
    if (stele__unit_is_alone(unit))
        atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + amount,
                              memory_order_relaxed);
    else
        atomic_fetch_add_explicit(counter, amount, memory_order_relaxed);
}
/* One pending thing is done; gives the reference back too. */
void stele__unit_leave(struct stele_unit *unit);
/* Record a failure; `route` is "" if none is at fault. */
void stele__unit_fail(struct stele_unit *unit, stele_status status, const char *route, const stele_message *message,
                      const char *text, unsigned attempts);
void stele__unit_cancel(struct stele_unit *unit);
/* A message is published in it. */
void stele__unit_note(struct stele_unit *unit, const stele_message *message);
/* Under the bus's mutex: answer who waits for a unit of the bus with STELE_SHUTDOWN. */
void stele__units_shut_down(stele_bus *bus);
/* Wait until `is_over`, which is asked under the unit's mutex: STELE_OK, STELE_TIMEOUT or STELE_SHUTDOWN. */
stele_status stele__unit_wait(struct stele_unit *unit, bool (*is_over)(const struct stele_unit *unit));

static inline bool stele__unit_is_cancelled(const struct stele_unit *unit)
{
    return unit && atomic_load_explicit(&unit->is_cancelled, memory_order_relaxed);
}

/* --- Contexts (context.c) ------------------------------------------------------------------ */

enum {
    STELE__EMISSIONS_FEW = 8,
    STELE__CONTEXT_ARENA = 512 /* bytes that most payloads fit into, decoded */
};

/* What the library keeps for the calls of one message's handlers, one after the other. Handlers do not get its address,
 * but a ticket of their call: see context.c. */
struct stele__context {
    struct stele__context *outer; /* of the same thread */
    uintptr_t ticket;             /* of the handler that runs; 0: none does */
    stele_bus *bus;
    const stele_message *message;
    const struct stele__item *item;
    struct stele_unit *unit; /* may be NULL */
    int64_t deadline;        /* of this call; INT64_MAX: only that of the unit */
    uint64_t call;           /* its number, for observers */
    uint64_t parent_call;
    unsigned hop;
    unsigned attempt;
    bool has_replied;
    atomic_bool is_expired; /* it has overrun */
    stele_status failed;    /* what a call on the context said first */
    const char *text;       /* of the failure, in the arena; NULL: none */
    struct stele__read *reads;
    struct stele_arena arena;
    _Alignas(max_align_t) char first[STELE__CONTEXT_ARENA]; /* the arena's, once a payload is read */
    stele_message **emitted;
    size_t emitted_count;
    size_t emitted_capacity;
    stele_message *few[STELE__EMISSIONS_FEW];
};

/* The innermost context of this thread, of any bus. */
extern _Thread_local struct stele__context *stele__current __attribute__((tls_model("initial-exec")));

/* True if a context, or one around it, is of this bus. */
static inline bool stele__is_within(const struct stele__context *context, const stele_bus *bus)
{
    while (context && context->bus != bus)
        context = context->outer;
    return context != NULL;
}

/* Tickets are never used twice: each thread has a range of them at a time. */
enum { STELE__TICKET_RANGE = 1 << 20 };
extern _Thread_local uintptr_t stele__last_ticket __attribute__((tls_model("initial-exec")));
uintptr_t stele__ticket_range(size_t count);

/* The first of `count` tickets. */
static inline uintptr_t stele__tickets(size_t count)
{
    uintptr_t first = stele__last_ticket + 1;

    if (stele__last_ticket % STELE__TICKET_RANGE + count >= STELE__TICKET_RANGE)
        first = stele__ticket_range(count);
    stele__last_ticket = first + count - 1;
    return first;
}
/* A handler is about to be called, with a ticket for this call. */
static inline stele_context *stele__context_open(struct stele__context *context, uintptr_t ticket)
{
    context->ticket = ticket;
    return (stele_context *)ticket;
}
/* It has returned. */
static inline void stele__context_close(struct stele__context *context)
{
    context->ticket = 0;
}

void stele__context_fini(struct stele__context *context);
static inline void stele__context_init(struct stele__context *context, stele_bus *bus, const stele_message *message,
                                       struct stele_unit *unit, unsigned hop, uint64_t parent_call)
{
    context->outer = stele__current;
    context->bus = bus;
    context->message = message;
    context->item = NULL;
    context->unit = unit;
    context->deadline = INT64_MAX;
    context->call = 0;
    context->parent_call = parent_call;
    context->hop = hop;
    context->attempt = 1;
    context->ticket = 0;
    context->has_replied = false;
    atomic_init(&context->is_expired, false);
    context->failed = STELE_OK;
    context->text = NULL;
    context->reads = NULL;
    stele__arena_init(&context->arena);
    context->emitted = context->few;
    context->emitted_count = 0;
    context->emitted_capacity = STELE__EMISSIONS_FEW;
}
/* Drop what was published in it. */
void stele__context_drop(struct stele__context *context);
/* Publish it, in order; forgets it. */
void stele__context_flush(struct stele__context *context);
/* Add a message, one more reference. */
stele_status stele__context_emit(struct stele__context *context, const stele_message *message, stele_error **error);
/* A message that follows from another one: cause, extensions, time and source as the bus gives them. */
stele_status stele__bus_message(stele_bus *bus, const struct stele_type *type, const void *payload,
                                const struct stele_message_options *options, const stele_message *cause,
                                stele_message **out, stele_error **error);

/* --- Publishing and calling (publish.c, call.c) ------------------------------------------------ */

static inline bool stele__message_is_lent(const stele_message *message)
{
    return atomic_load_explicit(&message->references, memory_order_relaxed) == 0;
}

/* Inline routes call each other on one stack. */
enum { STELE__HOPS_MOST = 4096 };

/* Where a message comes from. */
struct stele__origin {
    struct stele_unit *unit; /* may be NULL */
    unsigned hop;
    uint64_t parent_call;
};

/* While reading: bring a message to its routes. STELE_OVERLOAD is recorded in the unit; other failures are returned only. */
stele_status stele__publish(stele_bus *bus, const stele_message *message, const struct stele__origin *origin,
                            size_t *reached, stele_error **error);

/* What became of a call. */
enum stele__verdict {
    STELE__HANDLED,   /* or failed, and dealt with */
    STELE__LATER,     /* to be called again after `delay` */
    STELE__SUSPENDED, /* held until somebody resumes the route */
    STELE__BACK_OFF   /* as LATER, but the handler was not called */
};
struct stele__result {
    enum stele__verdict verdict;
    stele_status status;
    int64_t delay;
};
/* One attempt, with all that goes around it. The context has its item. */
struct stele__result stele__call_once(struct stele__context *context);
/* A call in the caller's thread, repeated as its interceptors want. */
void stele__call_inline(struct stele__context *context);
/* It is to be called again, which makes no sense any more: it has failed. */
enum stele__verdict stele__call_give_up(struct stele__context *context, stele_status status);
/* A call has failed, or succeeded, without anything around it. */
void stele__call_settle_plain(struct stele__context *context, stele_status status);

/* Tell observers, if they want it. */
void stele__see(const struct stele__context *context, enum stele_seen seen, stele_status status, const char *text,
                int64_t duration, size_t count);
/* Publish "TYPE.error" if a route wants it (failed.c). */
void stele__publish_failed(struct stele__context *context, stele_status status, const char *text);
/* How many ".error" a type ends with. */
unsigned stele__error_depth(struct stele_slice type);
/* Say in the log that what a handler published reached nobody. */
void stele__log_lost(const stele_message *message, stele_status status, const stele_error *error);

/* --- Mailboxes (box.c, queue.c) ------------------------------------------------------------------------ */

/* The mailboxes of a route, or of an aggregate's routes together. Reference-counted. `aggregate`, if not NULL, says which
 * stream a message is for: that is the partition. */
struct stele__box *stele__box_new(stele_bus *bus, const struct stele_route *table,
                                  struct stele__aggregate_place *aggregate);
void stele__box_ref(struct stele__box *box);
/* Free with the last reference; its mailboxes are closed and idle then. */
void stele__box_unref(struct stele__box *box);
/* Under the bus's mutex, as the next one. */
void stele__box_pause(struct stele__box *box);
void stele__box_resume(struct stele__box *box);
/* Not under a lock: take no more; what waits is discarded with `status`. Returns how many there were. */
uint64_t stele__box_close(struct stele__box *box, stele_status status);
struct stele__box_counts {
    uint64_t waiting;
    uint64_t partitions;
    bool is_paused;
};
/* Under the bus's mutex. */
void stele__box_count(struct stele__box *box, struct stele__box_counts *out);

void stele__delivery_free_spare(stele_bus *bus);

/* How a message is sent to a mailbox. */
struct stele__sending {
    struct stele__route *route;
    const stele_message *message;
    struct stele__origin origin;
    bool beyond; /* whatever the capacity */
    stele__settled *settled;
    void *context;
};
/* STELE_OVERLOAD, recorded in the unit, when it is full and the route's policy rejects. */
stele_status stele__queue(const struct stele__sending *sending, stele_error **error);

/* --- Fields of a payload as text (where.c) --------------------------------------------------------- */

/* The value of a field at the top of the payload as text, in `scratch` if it must be printed; absent if it is not there or
 * neither text, number nor boolean. */
enum { STELE__FIELD_TEXT_SIZE = 40 };
struct stele_slice stele__payload_field(const stele_message *message, const char *field,
                                        char scratch[STELE__FIELD_TEXT_SIZE]);
bool stele__where_holds(const struct stele_where *where, const stele_message *message);

/* --- Numbers (stats.c) --------------------------------------------------------------------------- */

/* Times and counts of calls. */
struct stele__measured *stele__measured_new(void);
void stele__measured_free(struct stele__measured *measured);
void stele__measured_add(struct stele__measured *measured, int64_t nanoseconds, bool has_failed);
void stele__last_error_free(struct stele__last_error *last);
static inline void stele__tally(_Atomic uint64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* --- Aggregates (aggregates.c) --------------------------------------------------------------------- */

void stele__aggregate_place_unref(struct stele__aggregate_place *place);
/* The stream of a command, in `arena`; NULL with an error if it has none. */
const char *stele__aggregate_stream(const struct stele__aggregate_place *place, const stele_message *command,
                                    stele_arena *arena, stele_error **error);

/* --- A bus (bus.c) ------------------------------------------------------------------------------- */

enum stele__bus_state { STELE__BUS_RUNNING, STELE__BUS_STOPPING, STELE__BUS_STOPPED };

struct stele_bus {
    _Atomic(struct stele__table *) table;
    atomic_uint parity;     /* which of a shard's counters readers take */
    atomic_bool has_ghosts; /* see stele__table_remove() */
    atomic_int state;       /* enum stele__bus_state */
    bool measures;
    unsigned generation; /* of the process, see base/fork.h */
    unsigned hops;
    uint32_t timeout_ms;
    stele_runtime *runtime;
    char *source;         /* NULL: that of messages */
    bool source_is_route; /* of what handlers publish */
    struct stele__observers *observers;
    struct stele__graves *graves;
    struct stele__schedules *schedules;
    struct stele__memo_names *memo_names;
    _Atomic(struct stele__follower *) follower;
    stele_store *store;
    _Atomic uint64_t calls, published, unrouted, late_replies, hops_ended;
    atomic_bool needs_units; /* a route cancels its unit when it fails */

    pthread_mutex_t mutex;       /* guards what follows */
    struct stele__vector routes; /* struct stele__route *, in order of adding */
    struct stele__map names;     /* of routes */
    struct stele__map types;     /* struct stele__known * */
    struct stele__vector placed; /* struct stele__placed *: interceptors of the bus, in their order */
    uint64_t next_id;
    uint64_t next_place;
    struct stele__table *retired;
    struct stele__route *leaving; /* removed, with deliveries under way */
    struct stele_unit *waiting;   /* units that somebody waits for */
    bool is_ending;               /* a second stop ends the first one's wait */
    bool is_stopped;
    struct stele__signal stopped;  /* set when it is */
    struct stele__signal progress; /* something ended while the bus is stopping */

    struct stele__readers readers[STELE__READER_SHARDS];
    /* To be used again; far from what else changes. */
    _Atomic(struct stele_unit *) spare;
    _Atomic(struct stele__delivery *) spare_delivery;
};

static inline bool stele__is_seen(stele_bus *bus, unsigned kinds)
{
    return (stele__observers_want(bus->observers) & kinds) != 0;
}
/* In a child of the process that made it: its threads are gone, and its locks may be held by them. */
static inline bool stele__bus_is_foreign(const stele_bus *bus)
{
    return bus->generation != stele__fork_generation();
}
static inline enum stele__bus_state stele__bus_state(const stele_bus *bus)
{
    return (enum stele__bus_state)atomic_load_explicit(&bus->state, memory_order_acquire);
}
struct stele__known {
    const struct stele_type *type;
};
/* Under the mutex: the type known by a name, or NULL. */
const struct stele_type *stele__bus_known(const stele_bus *bus, struct stele_slice name);
/* Under the mutex: make a type known, with its parents. */
stele_status stele__bus_learn(stele_bus *bus, const struct stele_type *type, stele_error **error);
stele_status stele__bus_refuse(const stele_bus *bus, stele_error **error);

#endif
