/*
 * What a store remembers of subscriptions besides their checkpoints: the states
 * that outlive a process, as events of the stream "$subscriptions".
 */
#ifndef STELE_STORE_SUBSCRIBED_H
#define STELE_STORE_SUBSCRIBED_H

#include <stele/memory.h>
#include <stele/subscription.h>

/* A state as it is recorded. Only these are: PAUSED, FAILED, DETACHED; CATCHING_UP stands for "goes on". */
struct stele__subscribed_state {
    const char *name;
    enum stele_subscription_state state;
    const char *code, *text; /* of a failure; NULL: none */
    uint64_t at;
};

/* Record states, in as many batches as it takes. Errors as stele_append(). */
stele_status stele__subscribed_write(stele_store *store, const struct stele__subscribed_state *states, size_t count,
                                     stele_error **error);
/* The last state recorded of a name; CATCHING_UP if there is none. The texts live in the arena. Errors as stele_read(). */
stele_status stele__subscribed_read(stele_store *store, const char *name, stele_arena *arena,
                                    struct stele__subscribed_state *out, stele_error **error);
/* STELE_CONFLICT if it was detached; errors as stele_read(). */
stele_status stele__subscribed_check(stele_store *store, const char *name, stele_error **error);
/* That error. */
stele_status stele__subscribed_fail_detached(const char *name, stele_error **error);

#endif
