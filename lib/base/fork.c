/*
 * Counting forks. Each child is one further from the first process, so a handle
 * made under another count was inherited. A load of one word, where getpid(2)
 * would be a system call for each step of a cursor.
 *
 * What can fail: there is no memory for the handler; nothing is watched then.
 */
#include "base/fork.h"

#include <pthread.h>

atomic_uint stele__fork_count;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static bool watching; /* guarded by mutex */

static void count_fork(void)
{
    atomic_fetch_add_explicit(&stele__fork_count, 1, memory_order_relaxed);
}

bool stele__fork_watch(void)
{
    bool result;

    pthread_mutex_lock(&mutex);
    if (!watching)
        watching = pthread_atfork(NULL, NULL, count_fork) == 0;
    result = watching;
    pthread_mutex_unlock(&mutex);
    return result;
}
