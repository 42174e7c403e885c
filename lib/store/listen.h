/*
 * Being told at once of what this handle commits: for the parts of the library
 * that read the log as it grows. The user's hooks are another thing (hooks.h).
 */
#ifndef STELE_STORE_LISTEN_H
#define STELE_STORE_LISTEN_H

#include <stele/error.h>

#include <pthread.h>
#include <stdatomic.h>

/* Embedded by who listens; the function is set once. */
struct stele__listener {
    /*
     * Events up to `head` are committed. In the thread that committed, after its
     * group was let go, with no lock but that of the listeners: it must be quick,
     * and must not call the store. Heads may come in another order than they grew.
     */
    void (*committed)(struct stele__listener *listener, uint64_t head);

    struct stele__listener *next; /* the list's own */
};

/* Thread-safe, except for init and fini. */
struct stele__listeners {
    atomic_bool any;
    pthread_mutex_t mutex; /* guards the list; held while they are told */
    struct stele__listener *first;
};

stele_status stele__listeners_init(struct stele__listeners *listeners, stele_error **error);
void stele__listeners_fini(struct stele__listeners *listeners);

void stele__listeners_add(struct stele__listeners *listeners, struct stele__listener *listener);
/* When it returns, the listener is not called any more. One that is not in the list is fine. */
void stele__listeners_remove(struct stele__listeners *listeners, const struct stele__listener *listener);

static inline bool stele__listeners_any(const struct stele__listeners *listeners)
{
    return listeners && atomic_load_explicit(&listeners->any, memory_order_relaxed);
}
void stele__listeners_tell(struct stele__listeners *listeners, uint64_t head);

#endif
