/*
 * Tidying up when nothing is written.
 *
 *     a write -> note -> parked? woken --+
 *                                        v
 *     parked <- tidied -- backend <- no write for `quiet` <- sleep <-+
 *                            '- something is left: a longer sleep ---'
 *
 * A write counts itself and goes on; the thread compares the count when its
 * sleep is over. So a burst, however long, wakes it once, and costs it a
 * glance each `quiet`. What is in the way of the backend (a reader, another
 * process) may stay for hours: each sleep is twice as long as the one before.
 *
 * What can fail: the thread. Then nothing is tidied between writes.
 */
#include "store/idle.h"

#include "base/error.h"
#include "base/log.h"
#include "runtime/thread.h"

#include <string.h>

#define MILLISECOND INT64_C(1000000)

static const int64_t longest = 60000 * MILLISECOND;

/* Sleep until something was written. A write comes after its count: one of the two sides sees the other. */
static void park(struct stele__idle *idle, unsigned tidied)
{
    const uint32_t seen = stele__futex_read(&idle->word);

    atomic_store(&idle->parked, true);
    if (atomic_load(&idle->writes) == tidied && !atomic_load(&idle->stopping))
        stele__futex_wait(&idle->word, seen);
    atomic_store(&idle->parked, false);
}

static void sleep_for(struct stele__idle *idle, int64_t time)
{
    const struct stele_clock *clock = stele_clock_system();
    const int64_t end = clock->monotonic(clock->context) + time;

    for (int64_t left = time; left > 0; left = end - clock->monotonic(clock->context)) {
        const uint32_t seen = stele__futex_read(&idle->word);

        if (atomic_load(&idle->stopping))
            return;
        stele__futex_wait_for(&idle->word, seen, left);
    }
}

/* False if something is left to do, or somebody writes just now. */
static bool tidy(struct stele__queue *queue)
{
    bool done;

    if (!stele__queue_try_enter(queue))
        return false;
    done = queue->ops->idle(queue->backend);
    stele__queue_leave(queue);
    return done;
}

static void *run(void *context)
{
    struct stele__idle *idle = context;
    int64_t pause = idle->quiet;
    unsigned tidied = 0; /* the writes after which all was tidied */

    while (!atomic_load(&idle->stopping)) {
        const unsigned seen = atomic_load(&idle->writes);

        if (seen == tidied) {
            park(idle, tidied);
            pause = idle->quiet;
            continue;
        }
        sleep_for(idle, pause);
        if (atomic_load(&idle->stopping) || atomic_load(&idle->writes) != seen)
            pause = idle->quiet;
        else if (tidy(idle->queue))
            tidied = seen;
        else
            pause = pause < longest / 2 ? 2 * pause : longest;
    }
    return NULL;
}

static void start(struct stele__idle *idle)
{
    int code;

    idle->asked = true;
    code = stele__thread_start(&idle->thread, run, idle);
    idle->started = code == 0;
    if (code != 0)
        STELE__LOG(STELE_LOG_WARNING, "no thread can be started: nothing is tidied between writes",
                   {"why", strerror(code)});
}

void stele__idle_note(struct stele__idle *idle)
{
    atomic_fetch_add(&idle->writes, 1);
    if (atomic_load(&idle->parked) && atomic_exchange(&idle->parked, false))
        stele__futex_wake(&idle->word);
    else if (!idle->asked && !idle->closing)
        start(idle);
}

stele_status stele__idle_init(struct stele__idle *idle, struct stele__queue *queue, stele_error **error)
{
    memset(idle, 0, sizeof(*idle));
    idle->queue = queue;
    idle->quiet = queue->backend->idle_ms * MILLISECOND;
    idle->asked = idle->quiet == 0;
    return stele__futex_init(&idle->word) ? STELE_OK : stele__fail_memory(error);
}

void stele__idle_stop(struct stele__idle *idle)
{
    stele__queue_enter(idle->queue);
    idle->closing = true;
    stele__queue_leave(idle->queue);
    atomic_store(&idle->stopping, true);
    stele__futex_wake(&idle->word);
    if (idle->started)
        pthread_join(idle->thread, NULL);
}

void stele__idle_fini(struct stele__idle *idle)
{
    stele__futex_fini(&idle->word);
}
