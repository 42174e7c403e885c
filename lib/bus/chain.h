/*
 * Interceptors in their places, and asking them.
 *
 * The core keeps, for each route and message type, the chain that applies to
 * it: those of the bus whose pattern fits, merged with the route's own, by
 * priority, then in the order of adding. For a message it fills a stele_call
 * and asks the chain at each point; the answer comes back with the critical
 * ones, time limits and forbidden signals taken care of, so that the core sees
 * only signals that are allowed at that point.
 */
#ifndef STELE_BUS_CHAIN_H
#define STELE_BUS_CHAIN_H

#include "bus/bus.h"

#include <stdatomic.h>

#include "base/buffer.h"
#include "base/vector.h"

/* An interceptor with the state of one place. Reference-counted; thread-safe. */
struct stele__placed {
    const struct stele_interceptor *interceptor;
    const char *name; /* points to the interceptor's */
    void *state;
    /* Copies, so that asking stays within these few words. */
    struct stele_answer (*ask)(void *state, enum stele_point point, stele_call *call);
    uint32_t timeout_ms;
    unsigned points;
    int priority;
    bool is_critical;
    uint64_t order;
    atomic_uint references;
};

/* Check an interceptor and make its state. `order` is higher for those added later. */
stele_status stele__placed_new(const struct stele_interceptor *interceptor, stele_bus *bus, uint64_t order,
                               struct stele__placed **out, stele_error **error);
struct stele__placed *stele__placed_ref(struct stele__placed *placed);
void stele__placed_unref(struct stele__placed *placed);
/* It was removed, while others may still refer to it: what it holds on the bus by name is free. Not under a lock. */
void stele__placed_retire(struct stele__placed *placed);
/* qsort(3) order of two `struct stele__placed *`. */
int stele__placed_compare(const void *left, const void *right);

/* Sorted; only those whose `on` fits the type. Borrowed from the core's table. */
struct stele__chain {
    struct stele__placed *const *items;
    size_t count;
    unsigned points; /* of all of them, or-ed: the core asks only at these */
};

/* What interceptors are asked about; on the stack of the core, or in its delivery. */
struct stele_call {
    /* Filled by the core. */
    stele_bus *bus;
    const stele_message *message;
    const struct stele_route *route; /* NULL at PUBLISH */
    unsigned attempt;
    stele_status status;
    const char *text;
    int64_t deadline; /* monotonic; interceptors make it earlier */
    stele_message *const *emitted;
    size_t emitted_count;

    /* Theirs; zeroed by stele__call_init(), released by stele__call_fini(). */
    struct stele__vector given;  /* stele_message *, of FALLBACK */
    struct stele__buffer answer; /* the text of FAIL or ERROR, NUL-terminated when not empty */
    struct stele__vector notes;  /* one uint64_t per place in the chain, made when asked for */
    size_t asking;               /* place of the one being asked */
    enum stele_point point;
    const struct stele__placed *asked; /* the one being asked; behind stele__chain_ask() the one that answered */
};

void stele__call_init(struct stele_call *call, stele_bus *bus, const stele_message *message,
                      const struct stele_route *route, int64_t deadline);
void stele__call_fini(struct stele_call *call);

/*
 * Ask at PUBLISH, HANDLE or FAILED: the first answer that is not PROCEED. A
 * critical interceptor's ERROR comes back as FAIL, others are passed over (told
 * to observers as STELE_SEEN_INTERCEPTOR). FAIL never has STELE_OK.
 */
struct stele_answer stele__chain_ask(const struct stele__chain *chain, enum stele_point point, struct stele_call *call);
/*
 * Tell at DONE, in reverse order, with the chain that was asked at HANDLE:
 * behind each PROCEED at HANDLE there is either this, or stele__chain_withdraw()
 * where the core does not make the call after all. (Interceptors before one
 * that keeps the call from running are told by stele__chain_ask().)
 */
void stele__chain_tell(const struct stele__chain *chain, struct stele_call *call);
void stele__chain_withdraw(const struct stele__chain *chain, struct stele_call *call);

/* The text of the answer, "" if there is none; valid until the next question. */
const char *stele__call_answer_text(const struct stele_call *call);

#endif
