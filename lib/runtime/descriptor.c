/*
 * A descriptor to poll for what is ready or due, so that an event loop of the
 * program's own can drive a runtime.
 *
 *     ready  -> eventfd -.
 *                         >- epoll: the descriptor
 *     timers -> timerfd -'
 *
 * They are made when somebody asks for the descriptor, and brought up to date
 * when something changes while the runtime is not running: a task that is
 * added, a timer that is started or cancelled, the end of a run.
 *
 * What can fail: the system has no descriptors left (-1).
 */
#include "runtime/state.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define NANOS_PER_SECOND INT64_C(1000000000)

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

    if (due == runtime->due_shown)
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
