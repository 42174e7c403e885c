/* Starting threads. What can fail: the system is out of them. */
#include "runtime/thread.h"

#include <signal.h>

int stele__thread_start(pthread_t *thread, void *(*run)(void *), void *context)
{
    sigset_t all, before;
    int code;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    code = pthread_create(thread, NULL, run, context);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code;
}
