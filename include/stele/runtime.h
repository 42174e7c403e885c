/*
 * stele/runtime.h - where things run: threads, timers and the clock, real or simulated.
 *
 * Whatever reacts in a process, runs on a runtime: handlers of a bus, observers,
 * schedules. There are two of them behind one type:
 *
 *   real        worker threads, the system's clock. What is ready runs at once.
 *   simulated   one thing at a time, virtual time, an order drawn from a seed.
 *               The same seed gives the same run, byte for byte.
 *
 *     @example runtime
 *     stele_status ten_virtual_minutes(stele_error **error)
 *     {
 *         stele_runtime *runtime = NULL;
 *         stele_status status = stele_runtime_simulated(42, &runtime, error);
 *         if (status != STELE_OK)
 *             return status;
 *         // ... make a bus on it, publish ...
 *         stele_runtime_run_until_idle(runtime);
 *         stele_runtime_advance(runtime, INT64_C(600) * 1000000000);
 *         stele_runtime_free(runtime);
 *         return STELE_OK;
 *     }
 *     @end
 *
 * A call that waits (stele_request(), stele_deliver(), a channel) does the same
 * on all of them: the rest goes on until the caller has what it waits for. On
 * worker threads it sleeps meanwhile, and so it does in a simulation, where others
 * have their turn. Without workers it runs what is ready itself, on its own stack:
 * there a handler that waits goes on only after those that it ran have returned,
 * so that two of them that wait for each other by turns get nowhere.
 *
 * Thread-safe, except the simulated one, which belongs to one thread. Its handlers
 * run while that thread is in a call that runs something, on threads of the
 * simulation's own (256 at most, made when needed), never two at once.
 * After fork() the child has none of the threads: it must not use a runtime of its
 * parent, nor a bus or app on it. Stopping one, and calls of a bus, say so with
 * STELE_FORKED; running one runs nothing, and freeing one there frees nothing.
 */
#ifndef STELE_RUNTIME_H
#define STELE_RUNTIME_H

#include <stele/base.h>
#include <stele/clock.h>
#include <stele/error.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct stele_runtime stele_runtime;

/* Where virtual time begins: 2026-01-01T00:00:00Z. */
#define STELE_SIMULATION_START INT64_C(1767225600000000000)

struct stele_runtime_options {
    size_t size;
    const struct stele_clock *clock; /* of a real runtime; default stele_clock_system(); must outlive it */
    unsigned spare_threads; /* most threads that stand in while workers wait or overrun a deadline; default 64 */
};

/*
 * A runtime with `threads` worker threads. With 0 there are none: what is ready
 * runs when the caller says stele_runtime_run(), so that an event loop of the
 * program's own can drive it (stele_runtime_descriptor()). STELE_INVALID above
 * 1024 threads; STELE_NO_MEMORY; STELE_IO when the system gives no thread.
 */
STELE_API stele_status stele_runtime_new(unsigned threads, const struct stele_runtime_options *options,
                                         stele_runtime **out, stele_error **error);

/* A simulated runtime. STELE_NO_MEMORY. */
STELE_API stele_status stele_runtime_simulated(uint64_t seed, stele_runtime **out, stele_error **error);

/* The seed of a simulation; 0 for a real one. */
STELE_API uint64_t stele_runtime_seed(const stele_runtime *runtime);
STELE_API bool stele_runtime_is_simulated(const stele_runtime *runtime);

/* The runtime's clock, valid as long as it: pass it to a store to have events in virtual time. In a simulation its
 * `pause` lets virtual time pass without running anything. */
STELE_API const struct stele_clock *stele_runtime_clock(const stele_runtime *runtime);

/* 64 random bits; in a simulation from its seed. Not for secrets. */
STELE_API uint64_t stele_runtime_random(stele_runtime *runtime);

/*
 * Run what is ready in the caller's thread, at most `most` steps (0: no limit);
 * returns how many began. A step is one message, one timer or one task. For
 * runtimes without workers; with workers it runs nothing and returns 0. In a
 * simulation handlers that wait are left waiting, until the next call.
 */
STELE_API size_t stele_runtime_run(stele_runtime *runtime, size_t most);

/*
 * Run until nothing is ready and, on worker threads, nothing is running: wait
 * for quiet. Timers that are due later do not count. In a simulation no time
 * passes, unless handlers wait: then as much as it takes until none does, and a
 * wait without a deadline that nothing can end any more fails. Returns the steps
 * that began, without workers. Not to be called from inside a handler.
 */
STELE_API size_t stele_runtime_run_until_idle(stele_runtime *runtime);

/*
 * Let virtual time pass: what is ready runs first, then timers up to that
 * instant in order of their time, each followed by what it makes ready. Handlers
 * that wait for longer are left waiting. Returns the steps that began.
 * STELE_INVALID is logged and 0 returned for a real runtime.
 */
STELE_API size_t stele_runtime_advance(stele_runtime *runtime, int64_t nanoseconds);

/*
 * A file descriptor that is readable when stele_runtime_run() would run
 * something, timers included; for poll(2), epoll(7) and the like, never to be
 * read from or closed. -1 for runtimes with workers and in a simulation, and when
 * the system has no descriptors left.
 */
STELE_API int stele_runtime_descriptor(stele_runtime *runtime);

/*
 * Have each step of a simulation written down: one line without newline, of at
 * most 1,023 bytes, with the virtual time, the kind of step ("message", "timer",
 * "task") and its name. NULL ends it. The same seed
 * and the same calls give the same lines.
 */
typedef void stele_runtime_trace(void *context, const char *line);
STELE_API void stele_runtime_set_trace(stele_runtime *runtime, stele_runtime_trace *trace, void *context);

/* A runtime in numbers. */
struct stele_runtime_stats {
    unsigned workers;       /* threads there are, spare ones included */
    unsigned spare_workers; /* of these, standing in for others */
    uint64_t steps;         /* run since the beginning */
    uint64_t timers;        /* waiting for their time */
    uint64_t ready;         /* mailboxes and tasks waiting for a thread */
};
STELE_API void stele_runtime_get_stats(stele_runtime *runtime, struct stele_runtime_stats *out);

/*
 * End the worker threads: what is ready is run first, until `timeout_ms` is
 * over; timers do not fire any more. STELE_TIMEOUT if something was still
 * running or ready then: its thread is left alone and the runtime's memory
 * stays. Afterwards nothing runs any more. STELE_INVALID from inside a handler.
 * In a simulation the waits of handlers fail, once nothing is ready.
 * Stopping twice is harmless. Stop buses and stores before.
 */
STELE_API stele_status stele_runtime_stop(stele_runtime *runtime, uint32_t timeout_ms, stele_error **error);

/* Stop (waiting up to 5 seconds) and free; NULL is allowed. Everything made on the runtime must be freed before. Nothing
 * is freed, and that is logged, if a handler is still running. */
STELE_API void stele_runtime_free(stele_runtime *runtime);

#ifdef __cplusplus
}
#endif

#endif
