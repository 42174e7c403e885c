/*
 * A descriptor to poll for what is ready or due, so that an event loop of the
 * program's own can drive a runtime.
 *
 *     Linux: ready  -> eventfd -.
 *                                >- epoll: the descriptor
 *            timers -> timerfd -'
 *
 *     elsewhere (or with STELE__DESCRIPTOR_PORTABLE, for tests): a pipe with a byte in it while something is ready or
 *     due; a thread puts it there in time for timers
 *
 * They are made when somebody asks for the descriptor, and brought up to date
 * when something changes while the runtime is not running: a task that is
 * added, a timer that is started or cancelled, the end of a run.
 *
 * What can fail: the system has no descriptors left, or no thread (-1).
 */
#include "runtime/state.h"

#include <unistd.h>

static void close_one(int *descriptor)
{
    if (*descriptor >= 0)
        close(*descriptor);
    *descriptor = -1;
}

void stele__descriptor_close(stele_runtime *runtime)
{
    close_one(&runtime->descriptor);
    close_one(&runtime->event_descriptor);
    close_one(&runtime->timer_descriptor);
}

#if defined(__linux__) && !defined(STELE__DESCRIPTOR_PORTABLE)

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

#define NANOS_PER_SECOND INT64_C(1000000000)

static bool join(stele_runtime *runtime, int descriptor)
{
    struct epoll_event event = {.events = EPOLLIN};

    return descriptor >= 0 && epoll_ctl(runtime->descriptor, EPOLL_CTL_ADD, descriptor, &event) == 0;
}

/* Locked. */
static void open_all(stele_runtime *runtime)
{
    runtime->descriptor = epoll_create1(EPOLL_CLOEXEC);
    runtime->event_descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    runtime->timer_descriptor = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    runtime->event_shown = false;
    runtime->due_shown = INT64_MAX;
    if (runtime->descriptor < 0 || !join(runtime, runtime->event_descriptor) ||
        !join(runtime, runtime->timer_descriptor))
        stele__descriptor_close(runtime);
}

static void show_ready(stele_runtime *runtime)
{
    const bool is_ready = runtime->ready.first && !runtime->stopped;
    uint64_t count = 1;
    ssize_t moved;

    if (is_ready == runtime->event_shown)
        return;
    if (is_ready)
        moved = write(runtime->event_descriptor, &count, sizeof(count));
    else
        moved = read(runtime->event_descriptor, &count, sizeof(count));
    if (moved == (ssize_t)sizeof(count))
        runtime->event_shown = is_ready;
}

static void show_due(stele_runtime *runtime)
{
    const int64_t due = stele__timer_next(runtime);
    struct itimerspec time = {{0, 0}, {0, 0}};
    int64_t left;

    /* Another clock may be behind the timer's: it is wound again for what is left. */
    if (due == runtime->due_shown && (due == INT64_MAX || runtime->clock == stele_clock_system()))
        return;
    if (due != INT64_MAX) {
        left = due - stele__runtime_monotonic(runtime);
        if (left < 1)
            left = 1; /* 0 would mean never */
        time.it_value.tv_sec = (time_t)(left / NANOS_PER_SECOND);
        time.it_value.tv_nsec = (long)(left % NANOS_PER_SECOND);
    }
    if (timerfd_settime(runtime->timer_descriptor, 0, &time, NULL) == 0)
        runtime->due_shown = due;
}

void stele__descriptor_update(stele_runtime *runtime)
{
    if (runtime->descriptor < 0)
        return;
    show_ready(runtime);
    show_due(runtime);
}

#else

#include <fcntl.h>

static bool is_open(const int ends[2])
{
    return fcntl(ends[0], F_SETFD, FD_CLOEXEC) == 0 && fcntl(ends[1], F_SETFD, FD_CLOEXEC) == 0 &&
           fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0 && fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0;
}

/* Locked. */
static void open_all(stele_runtime *runtime)
{
    int ends[2];

    if (pipe(ends) != 0)
        return;
    runtime->descriptor = ends[0];
    runtime->event_descriptor = ends[1];
    runtime->event_shown = false;
    if (!is_open(ends) || (!runtime->keeper && !runtime->stopping && !stele__keeper_start(runtime)))
        stele__descriptor_close(runtime);
}

void stele__descriptor_update(stele_runtime *runtime)
{
    const int64_t due = stele__timer_next(runtime);
    const bool has_work = !runtime->stopped && (runtime->ready.first || due <= stele__runtime_monotonic(runtime));
    char byte = 0;
    ssize_t moved = 0;

    if (runtime->descriptor < 0)
        return;
    if (has_work && !runtime->event_shown)
        moved = write(runtime->event_descriptor, &byte, 1);
    else if (!has_work && runtime->event_shown)
        moved = read(runtime->descriptor, &byte, 1);
    if (moved == 1)
        runtime->event_shown = has_work;
    if (due < runtime->keeper_until)
        stele__keeper_wake(runtime);
}

#endif

int stele_runtime_descriptor(stele_runtime *runtime)
{
    int descriptor;

    if (runtime->kind != STELE__DRIVEN)
        return -1;
    pthread_mutex_lock(&runtime->mutex);
    if (runtime->descriptor < 0)
        open_all(runtime);
    stele__descriptor_update(runtime);
    descriptor = runtime->descriptor;
    pthread_mutex_unlock(&runtime->mutex);
    return descriptor;
}
