/* Threads of the library's own. */
#ifndef STELE_RUNTIME_THREAD_H
#define STELE_RUNTIME_THREAD_H

#include <pthread.h>

/* Start a thread that takes no signals: those are the program's. 0, or a code of errno(3). */
int stele__thread_start(pthread_t *thread, void *(*run)(void *), void *context);

#endif
