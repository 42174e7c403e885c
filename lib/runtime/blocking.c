/*
 * Threads for what blocks elsewhere: a store, a pipe.
 * What can fail: the system gives no thread.
 */
#include "base/error.h"
#include "runtime/thread.h"
#include "runtime/state.h"

#include <string.h>

static void *run(void *context)
{
    const struct stele__blocking *blocking = context;

    blocking->run(blocking->context);
    return NULL;
}

stele_status stele__blocking_start(stele_runtime *runtime, struct stele__blocking *blocking,
                                   void (*run_it)(void *context), void *context, stele_error **error)
{
    int code;

    blocking->started = false;
    blocking->run = run_it;
    blocking->context = context;
    if (runtime->kind == STELE__SIMULATED)
        return stele__fail(error, STELE_INVALID, "a simulation has no threads");
    code = stele__thread_start(&blocking->thread, run, blocking);
    if (code != 0)
        return stele__fail(error, STELE_IO, "no thread can be started: %s", strerror(code));
    blocking->started = true;
    return STELE_OK;
}

void stele__blocking_join(struct stele__blocking *blocking)
{
    if (blocking->started)
        pthread_join(blocking->thread, NULL);
    blocking->started = false;
}
