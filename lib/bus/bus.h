/*
 * Where the parts of the bus meet. The core (routing, mailboxes, units of work,
 * contexts) is in bus.c and the files it names; interceptors, observers, dead
 * letters and the reading of the log hang on it through what follows.
 */
#ifndef STELE_BUS_BUS_H
#define STELE_BUS_BUS_H

#include <stele/bus.h>
#include <stele/deadletters.h>
#include <stele/intercept.h>
#include <stele/observe.h>

struct stele__route; /* a route on a bus, with its mailboxes */

/* --- The core offers ------------------------------------------------------------ */

/* False for NULL, and in a child of the process that made the bus. */
bool stele__bus_is_usable(const stele_bus *bus);
/* Why it is not: STELE_INVALID, STELE_FORKED. */
stele_status stele__bus_fail_unusable(const stele_bus *bus, stele_error **error);

/* The type known by a name; NULL if none is. */
const struct stele_type *stele__bus_type(stele_bus *bus, struct stele_slice name);

/*
 * A route by name, with one reference that stele__route_unref() gives back; NULL
 * if there is none (any more).
 */
struct stele__route *stele__bus_route(stele_bus *bus, const char *name);
void stele__route_unref(struct stele__route *route);
const struct stele_route *stele__route_table(const struct stele__route *route);

/*
 * Bring a message to one route, whatever the route is `on`, through its mailbox
 * (whatever its capacity) or inline. `settled` is called once, without a lock:
 * when the message was handled, or its failure was dealt with by the route's
 * policy, or it was discarded (STELE_CANCELLED, STELE_SHUTDOWN).
 */
typedef void stele__settled(void *context, stele_status status);
stele_status stele__route_deliver(struct stele__route *route, const stele_message *message, stele__settled *settled,
                                  void *context, stele_error **error);

/* The parts of a bus. */
struct stele__observers *stele__bus_observers(stele_bus *bus);
struct stele__graves *stele__bus_graves(stele_bus *bus);
struct stele__follower *stele__bus_follower(stele_bus *bus); /* NULL without a store */
int64_t stele__bus_now(const stele_bus *bus);                /* wall clock of its runtime */
struct stele__schedules *stele__bus_schedules(stele_bus *bus);
struct stele__memo_names *stele__bus_memo_names(stele_bus *bus);

/* --- Observers (observers.c) ------------------------------------------------------ */

struct stele__observers;
stele_status stele__observers_new(stele_runtime *runtime, struct stele__observers **out, stele_error **error);
/* Flush within `timeout_ms`, then take no more. */
void stele__observers_stop(struct stele__observers *observers, uint32_t timeout_ms);
void stele__observers_free(struct stele__observers *observers);
/* Of all observers together: enum stele_seen, or-ed. One relaxed load: ask it before making an observation. */
unsigned stele__observers_want(const struct stele__observers *observers);
/* Queue for each that wants it; copies what it needs; never waits; a lack of memory drops it, counted. */
void stele__observers_notify(struct stele__observers *observers, const struct stele_observation *observation);

/* --- Dead letters (deadletters.c) ------------------------------------------------- */

struct stele__graves;
stele_status stele__graves_new(stele_bus *bus, size_t capacity, struct stele__graves **out, stele_error **error);
void stele__graves_free(struct stele__graves *graves);
/* Keep letters in `store` from now on, and requeue what marks in its log say. */
stele_status stele__graves_follow(struct stele__graves *graves, stele_store *store, stele_error **error);
/* Bury a message. A store that refuses it is logged, and the letter kept in memory. */
void stele__graves_bury(struct stele__graves *graves, const char *route, const stele_message *message,
                        stele_status status, const char *text, unsigned attempts);
/* Look for letters that are marked as requeued, and hand them to their routes: after commits, and when a route is added.
 * False if that could not be done now, and is to be tried again. */
bool stele__graves_look(struct stele__graves *graves);
uint64_t stele__graves_count(struct stele__graves *graves);

/* --- The log (follow.c) -------------------------------------------------------------- */

struct stele__follower;
stele_status stele__follower_new(stele_bus *bus, stele_store *store, struct stele__follower **out, stele_error **error);
/* No more is read; deliveries under way are waited for by the core. */
void stele__follower_stop(struct stele__follower *follower);
void stele__follower_free(struct stele__follower *follower);
/* Begin to read for a route of delivery AFTER_COMMIT or DURABLE; end it, when it is removed. */
stele_status stele__follower_add(struct stele__follower *follower, struct stele__route *route, stele_error **error);
void stele__follower_remove(struct stele__follower *follower, struct stele__route *route);
/* Something may be to do for dead letters: a route was added that requeued ones wait for. */
void stele__follower_look(struct stele__follower *follower);
/* Where a route is: handled up to `*position`, the head is at `*head`. */
void stele__follower_place(struct stele__follower *follower, const struct stele__route *route, uint64_t *position,
                           uint64_t *head);

/* --- Schedules (schedule.c) -------------------------------------------------------- */

struct stele__schedules;
stele_status stele__schedules_new(stele_bus *bus, struct stele__schedules **out, stele_error **error);
/* Cancel all and take no more, as the first step of stopping; twice is harmless. */
void stele__schedules_stop(struct stele__schedules *schedules);
/* When stopped: wait a second at most until none is publishing; false if one still is. */
bool stele__schedules_drain(struct stele__schedules *schedules);
/* How often a message could not be published. */
uint64_t stele__schedules_failed(const struct stele__schedules *schedules);
/* When drained. NULL is allowed. */
void stele__schedules_free(struct stele__schedules *schedules);

/* --- Names of memos, unique on a bus (intercept_memo.c) ------------------------------ */

struct stele__memo_names;
stele_status stele__memo_names_new(struct stele__memo_names **out, stele_error **error);
/* Behind the last interceptor. NULL is allowed. */
void stele__memo_names_free(struct stele__memo_names *names);

#endif
