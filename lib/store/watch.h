/*
 * Who looks after what other handles and processes commit: one thread of a
 * store, however many read its log as it grows. What it sees it tells the store's listeners.
 */
#ifndef STELE_STORE_WATCH_H
#define STELE_STORE_WATCH_H

#include "base/futex.h"
#include "store/listen.h"

#include <stele/store.h>

/* Thread-safe, except for init and fini. */
struct stele__watch {
    stele_store *store;
    struct stele__listener listener; /* what this handle commits is no news */
    _Atomic uint64_t head;           /* of the log, as far as is known */
    atomic_bool is_stopping;
    struct stele__futex word; /* changed when there is a first user, and to end the thread */
    atomic_uint users;
    pthread_mutex_t mutex; /* guards what follows */
    bool started;
    pthread_t thread;
};

stele_status stele__watch_init(struct stele__watch *watch, stele_store *store, stele_error **error);
/* The thread has ended when this returns. */
void stele__watch_stop(struct stele__watch *watch);
void stele__watch_fini(struct stele__watch *watch);

/* From now on, until `end` was called as often as `begin`. STELE_IO: the system gives no thread. */
stele_status stele__watch_begin(struct stele__watch *watch, stele_error **error);
/* Waits for nobody. */
void stele__watch_end(struct stele__watch *watch);

#endif
