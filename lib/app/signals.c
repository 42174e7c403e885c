/*
 * SIGINT and SIGTERM, brought to a thread that polls.
 *
 *   signal ──► handler, in any thread ──► a byte in the pipe ──► poll(2)
 *
 * A handler may only do little: it writes one byte and restores errno. Where it
 * writes to is the one thing that has to be global; whoever catches the signals
 * owns it until releasing. A handler may be under way in another thread
 * meanwhile, so the pipe is closed when nobody is counted inside any more. A
 * child of the process has the handler too, and dies of the signal.
 *
 * What can fail: the system is out of descriptors; somebody has the signals.
 */
#include "app/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"

enum { NOBODY = -1 };

static atomic_bool is_owned;
static atomic_int target = NOBODY;
static atomic_int writers;  /* about to write to the target, or writing */
static atomic_int owner_id; /* the process that has the target: its children inherit the pipe and the handlers */

static void write_byte(int descriptor, char byte)
{
    ssize_t written;

    do
        written = write(descriptor, &byte, 1);
    while (written < 0 && errno == EINTR); /* a full pipe wakes as well */
}

static void write_to_target(char byte)
{
    const int number = errno;
    int descriptor;

    atomic_fetch_add(&writers, 1);
    descriptor = atomic_load(&target);
    if (descriptor != NOBODY)
        write_byte(descriptor, byte);
    atomic_fetch_sub(&writers, 1);
    errno = number;
}

/* In a child nobody polls: there the signal does what it does without a handler, as soon as this one has returned. */
static void act_by_default(int signal)
{
    struct sigaction action = {.sa_handler = SIG_DFL};

    sigemptyset(&action.sa_mask);
    sigaction(signal, &action, NULL);
    raise(signal);
}

static void on_signal(int signal)
{
    if (getpid() == (pid_t)atomic_load(&owner_id))
        write_to_target(STELE__WOKEN_SIGNAL);
    else
        act_by_default(signal);
}

void stele__signals_wake(void)
{
    write_to_target(STELE__WOKEN_NOTE);
}

void stele__signals_end(const struct stele__signals *signals)
{
    write_byte(signals->write_end, STELE__WOKEN_END);
}

static bool prepare(int descriptor)
{
    return fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0 && fcntl(descriptor, F_SETFL, O_NONBLOCK) == 0;
}

static stele_status open_pipe(struct stele__signals *signals, stele_error **error)
{
    int ends[2];

    if (pipe(ends) != 0)
        return stele__fail(error, STELE_IO, "no pipe for signals: %s", strerror(errno));
    if (!prepare(ends[0]) || !prepare(ends[1])) {
        stele__fail(error, STELE_IO, "no pipe for signals: %s", strerror(errno));
        close(ends[0]);
        close(ends[1]);
        return STELE_IO;
    }
    signals->read_end = ends[0];
    signals->write_end = ends[1];
    return STELE_OK;
}

stele_status stele__signals_catch(struct stele__signals *signals, stele_error **error)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    bool expected = false;
    stele_status status;

    if (!atomic_compare_exchange_strong(&is_owned, &expected, true))
        return stele__fail(error, STELE_INVALID, "an app of this process runs already");
    status = open_pipe(signals, error);
    if (status != STELE_OK) {
        atomic_store(&is_owned, false);
        return status;
    }
    atomic_store(&owner_id, (int)getpid());
    atomic_store(&target, signals->write_end);
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, &signals->interrupt);
    sigaction(SIGTERM, &action, &signals->terminate);
    return STELE_OK;
}

void stele__signals_release(struct stele__signals *signals)
{
    sigaction(SIGINT, &signals->interrupt, NULL);
    sigaction(SIGTERM, &signals->terminate, NULL);
    atomic_store(&target, NOBODY);
    while (atomic_load(&writers) > 0)
        sched_yield();
    close(signals->read_end);
    close(signals->write_end);
    atomic_store(&is_owned, false);
}

bool stele__signals_poll(const struct stele__signals *signals, enum stele__woken *woken)
{
    char byte = 0;
    ssize_t count;

    do
        count = read(signals->read_end, &byte, 1);
    while (count < 0 && errno == EINTR);
    if (count < 0 && errno == EAGAIN)
        return false;
    *woken = count == 1 ? (enum stele__woken)byte : STELE__WOKEN_END;
    return true;
}

enum stele__woken stele__signals_next(const struct stele__signals *signals)
{
    struct pollfd descriptor = {.fd = signals->read_end, .events = POLLIN};
    enum stele__woken woken = STELE__WOKEN_END;

    while (!stele__signals_poll(signals, &woken)) {
        if (poll(&descriptor, 1, -1) < 0 && errno != EINTR)
            return STELE__WOKEN_END;
    }
    return woken;
}
