/*
 * Waiting for a commit, whoever makes it, without looking at the table again
 * and again.
 *
 * Of all threads that wait, one listens for the others: it sits in poll(2) on a
 * pipe, written by appends of this store, and on an inotify watch of the log,
 * which every process writes. When anything happens it counts a change, and all
 * look at the head of the log. A write to the log is seen before its commit is
 * done, so after one the listener looks again for a while, at growing
 * intervals. Where inotify is not to be had, it looks every few milliseconds.
 *
 * What can fail: a read of the head.
 */
#include "sqlite/sqlite.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/inotify.h>
#endif

#define MILLISECOND INT64_C(1000000)

enum { PAUSE_WITHOUT_NOTICE = 20 /* ms */ };

/* How often, and how long, the head is looked at after a write to the log: a commit takes as long as its sync. */
static const int64_t alert_first = MILLISECOND / 4;
static const int64_t alert_most = 20 * MILLISECOND;
static const int64_t alert_time = 5000 * MILLISECOND;

/* --- The watch ---------------------------------------------------------------------- */

stele_status stele__sqlite_watch_init(struct sqlite_watch *watch, stele_error **error)
{
    pthread_condattr_t monotonic;

    memset(watch, 0, sizeof(*watch));
    watch->notify = -1;
    watch->wake[0] = -1;
    watch->wake[1] = -1;
    if (pthread_condattr_init(&monotonic) != 0)
        return stele__fail_memory(error);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&watch->mutex, NULL);
    pthread_cond_init(&watch->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return STELE_OK;
}

static void close_file(int *file)
{
    if (*file >= 0)
        close(*file);
    *file = -1;
}

void stele__sqlite_watch_fini(struct sqlite_watch *watch)
{
    close_file(&watch->notify);
    close_file(&watch->wake[0]);
    close_file(&watch->wake[1]);
    pthread_cond_destroy(&watch->changed);
    pthread_mutex_destroy(&watch->mutex);
}

/* Before a wait: what cannot be had is done without, by looking now and then. The log may come later. */
static void open_files(struct sqlite_watch *watch, const char *log_path)
{
    if (watch->wake[0] < 0 && pipe2(watch->wake, O_CLOEXEC | O_NONBLOCK) != 0)
        watch->wake[0] = watch->wake[1] = -1;
#ifdef __linux__
    if (watch->notify >= 0)
        return;
    watch->notify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (watch->notify >= 0 && inotify_add_watch(watch->notify, log_path, IN_MODIFY) < 0)
        close_file(&watch->notify);
#else
    (void)log_path;
#endif
}

void stele__sqlite_watch_tell(struct sqlite_watch *watch)
{
    pthread_mutex_lock(&watch->mutex);
    watch->changes++;
    if (watch->waiting) {
        pthread_cond_broadcast(&watch->changed);
        /* A full pipe wakes as well. */
        if (watch->listening && watch->wake[1] >= 0 && write(watch->wake[1], "", 1) < 0 && errno != EAGAIN)
            close_file(&watch->wake[1]);
    }
    pthread_mutex_unlock(&watch->mutex);
}

/* --- The listener ----------------------------------------------------------------------- */

/* Take what is there to read; true if there was anything. */
static bool drain(int file)
{
    char bytes[4096];
    bool any = false;

    while (file >= 0 && read(file, bytes, sizeof(bytes)) > 0)
        any = true;
    return any;
}

/* How long poll(2) may sit, in ns. */
static int64_t pause_until(const struct sqlite_watch *watch, int64_t now, int64_t deadline)
{
    int64_t pause = deadline - now;

    if (watch->notify < 0 || watch->wake[1] < 0) {
        if (pause > PAUSE_WITHOUT_NOTICE * MILLISECOND)
            pause = PAUSE_WITHOUT_NOTICE * MILLISECOND;
    }
    if (now < watch->alert_end && pause > watch->alert_pause)
        pause = watch->alert_pause;
    return pause > 0 ? pause : 0;
}

static struct timespec time_of(int64_t nanoseconds)
{
    return (struct timespec){(time_t)(nanoseconds / (1000 * MILLISECOND)), (long)(nanoseconds % (1000 * MILLISECOND))};
}

static void note_write(struct sqlite_watch *watch, int64_t now)
{
    watch->alert_end = now + alert_time;
    watch->alert_pause = alert_first;
}

/* Listen once, for all who wait. Called and left with the mutex held, which is released meanwhile. */
static void listen_once(struct sqlite_watch *watch, const struct stele_clock *clock, int64_t deadline)
{
    struct pollfd files[2] = {{watch->wake[0], POLLIN, 0}, {watch->notify, POLLIN, 0}};
    int64_t now = clock->monotonic(clock->context);
    const bool alert = now < watch->alert_end;
    const int64_t pause = pause_until(watch, now, deadline);
    const struct timespec limit = time_of(pause);
    bool written;

    watch->listening = true;
    pthread_mutex_unlock(&watch->mutex);
    ppoll(files, 2, &limit, NULL);
    drain(files[0].fd);
    written = drain(files[1].fd);
    now = clock->monotonic(clock->context);
    pthread_mutex_lock(&watch->mutex);
    watch->listening = false;

    if (written)
        note_write(watch, now);
    else if (alert)
        watch->alert_pause = watch->alert_pause * 2 < alert_most ? watch->alert_pause * 2 : alert_most;
    if (written || alert || watch->notify < 0)
        watch->changes++;
    /* Somebody else takes over, or looks at the head as well. */
    pthread_cond_broadcast(&watch->changed);
}

static void wait_for_listener(struct sqlite_watch *watch, int64_t pause)
{
    /* The condition knows the system's clock; a clock of the user's own says only how long. */
    const struct stele_clock *clock = stele_clock_system();
    const int64_t end = clock->monotonic(clock->context) + pause;
    const struct timespec until = time_of(end);

    pthread_cond_timedwait(&watch->changed, &watch->mutex, &until);
}

/* Wait until something has changed since `seen`, or the time is up (false). */
static bool wait_for_change(struct sqlite_watch *watch, const struct stele_clock *clock, uint64_t seen,
                            int64_t deadline)
{
    bool changed;

    pthread_mutex_lock(&watch->mutex);
    watch->waiting++;
    while (watch->changes == seen) {
        const int64_t now = clock->monotonic(clock->context);

        if (now >= deadline)
            break;
        if (watch->listening)
            wait_for_listener(watch, deadline - now);
        else
            listen_once(watch, clock, deadline);
    }
    changed = watch->changes != seen;
    watch->waiting--;
    pthread_mutex_unlock(&watch->mutex);
    return changed;
}

/* --- The slot ------------------------------------------------------------------------------ */

static uint64_t changes_so_far(struct sqlite_watch *watch, const char *log_path)
{
    uint64_t changes;

    pthread_mutex_lock(&watch->mutex);
    /* Not under the listener, who polls them. */
    if (!watch->listening)
        open_files(watch, log_path);
    changes = watch->changes;
    pthread_mutex_unlock(&watch->mutex);
    return changes;
}

static stele_status read_head(struct sqlite_store *store, uint64_t *head, stele_error **error)
{
    struct sqlite_connection *connection = NULL;
    int64_t found = 0;
    stele_status status = stele__sqlite_take(store, &connection, error);

    if (status != STELE_OK)
        return status;
    status = stele__sqlite_number(connection, STATEMENT_HEAD, &found, error);
    stele__sqlite_give(store, connection);
    *head = (uint64_t)found;
    return status;
}

stele_status stele__sqlite_wait(struct stele_backend *backend, uint64_t position, uint32_t timeout_ms, uint64_t *head,
                                stele_error **error)
{
    struct sqlite_store *store = stele__sqlite_store(backend);
    const struct stele_clock *clock = store->clock;
    const int64_t deadline = clock->monotonic(clock->context) + timeout_ms * MILLISECOND;
    uint64_t found = 0;
    bool in_time = true;

    while (in_time) {
        /* Counted before the head is read: what is committed in between ends the wait at once. */
        const uint64_t seen = changes_so_far(&store->watch, store->log_path);
        const stele_status status = read_head(store, &found, error);

        if (status != STELE_OK)
            return status;
        if (found > position) {
            if (head)
                *head = found;
            return STELE_OK;
        }
        in_time = wait_for_change(&store->watch, clock, seen, deadline);
    }
    return stele__fail(error, STELE_TIMEOUT, "no event behind position %" PRIu64 " within %" PRIu32 " ms", position,
                       timeout_ms);
}
