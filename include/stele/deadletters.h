/*
 * stele/deadletters.h - what could not be handled, kept until a person decides.
 *
 * When a handler has failed for good and its route buries (STELE_BURY), the
 * message becomes a dead letter: which route, why, how often, since when. A
 * letter is named by the route and the message's id; the same message failing
 * there again raises its count.
 *
 * On a bus that follows a store (stele_bus_follow()), letters are events of the
 * stream "$dead": what is dead survives the process, and is seen by
 * `stele dead`. A message that is in the store is kept by its position, others
 * as a whole. Without a store they are kept in memory, a bounded number.
 *
 * Requeueing hands a message to the route it failed in, and to no other. From
 * another process (`stele dead requeue`) it is done by the bus that has the
 * route, when it sees the mark in the log, if need be after its next start. A
 * letter is gone when it was handled; if it fails again, it lies there again.
 * So a kill in between has it handled once more. Of several buses that have the
 * route, each does it.
 *
 * Subscriptions (stele/subscription.h) put events aside in the same way, under their own name in place of a route's.
 */
#ifndef STELE_DEADLETTERS_H
#define STELE_DEADLETTERS_H

#include <stele/base.h>
#include <stele/error.h>
#include <stele/message.h>
#include <stele/store.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct stele_bus stele_bus; /* stele/bus.h */

/* One dead letter; lent for the visit. */
struct stele_dead_letter {
    const char *route;
    const char *id;   /* of the message; "ID#PART" for a part behind the first of a split event (stele/upcast.h) */
    const char *type; /* of the message */
    const char *code; /* name of the status it failed with last */
    const char *text;
    uint64_t count;    /* how often it was buried */
    uint64_t attempts; /* calls in all */
    int64_t first_time, last_time;
    uint64_t position;            /* where it is stored; 0: it is not */
    bool is_requeued;             /* and neither handled nor buried since */
    const stele_message *message; /* NULL if it is stored and could not be read */
};

/* Which letters: all that fit all members given. */
struct stele_dead_query {
    size_t size;
    const char *route;
    const char *id;
    const char *code;
    bool with_requeued; /* also those that were requeued, and wait for their route or are being handled */
    uint64_t limit;     /* the first so many, oldest first; 0: no limit */
};

/* Call `visit` for each letter, oldest first, until it returns false. Errors as stele_read(). */
typedef bool stele_dead_visit(void *context, const struct stele_dead_letter *letter);
STELE_API stele_status stele_dead_list(stele_bus *bus, const struct stele_dead_query *query, stele_dead_visit *visit,
                                       void *context, stele_error **error);
/* Hand letters to their routes again: they leave the list. `*count` (may be NULL): how many. A route that is gone leaves
 * its letters where they are (STELE_NOT_FOUND, behind the others). */
STELE_API stele_status stele_dead_requeue(stele_bus *bus, const struct stele_dead_query *query, uint64_t *count,
                                          stele_error **error);
/* Forget letters. */
STELE_API stele_status stele_dead_drop(stele_bus *bus, const struct stele_dead_query *query, uint64_t *count,
                                       stele_error **error);

/* The same on a store, without a bus: for tools. Requeueing leaves a mark for the bus that has the route. */
STELE_API stele_status stele_dead_list_in(stele_store *store, const struct stele_dead_query *query,
                                          stele_dead_visit *visit, void *context, stele_error **error);
STELE_API stele_status stele_dead_requeue_in(stele_store *store, const struct stele_dead_query *query, uint64_t *count,
                                             stele_error **error);
STELE_API stele_status stele_dead_drop_in(stele_store *store, const struct stele_dead_query *query, uint64_t *count,
                                          stele_error **error);

#ifdef __cplusplus
}
#endif

#endif
