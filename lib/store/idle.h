/*
 * A thread that lets the backend tidy up when nothing has been written for a
 * while (struct stele_backend, `idle_ms`). It is started by the first write,
 * and sleeps for good while there is nothing to tidy.
 */
#ifndef STELE_STORE_IDLE_H
#define STELE_STORE_IDLE_H

#include "store/queue.h"

struct stele__idle {
    struct stele__queue *queue;
    int64_t quiet; /* ns without a write, after which the backend is called; 0: it never is */
    pthread_t thread;
    bool asked;   /* for the thread, or never to be; this and the next two are used in the queue's gate */
    bool started; /* and there is one */
    bool closing;
    struct stele__futex word;
    atomic_uint writes; /* counts them */
    atomic_bool parked; /* the thread waits for the next write */
    atomic_bool stopping;
};

/* STELE_NO_MEMORY. */
stele_status stele__idle_init(struct stele__idle *idle, struct stele__queue *queue, stele_error **error);
/* The thread has ended when this returns; writes may still come. */
void stele__idle_stop(struct stele__idle *idle);
/* No other call may be running. */
void stele__idle_fini(struct stele__idle *idle);

/* Something may have been written. Called in the gate: an addition and a look, but for the first write after a rest. */
void stele__idle_note(struct stele__idle *idle);

#endif
