/*
 * How long after its commit an event is seen by another process.
 *
 * The reader is forked before the store is opened, opens it for itself, waits
 * for what is new and reads it. Both sides note the monotonic clock, which
 * processes share: the writer when its append has returned, the reader when it
 * holds the event. A reader that was quicker than the append's return counts as 0.
 *
 *   writer: append -> committed[n]        reader: wait -> read -> seen[n]
 *
 * "Paced" leaves the reader asleep between events; "busy" appends without a pause.
 */
#include "bench/readings.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 1000, WAIT_MS = 10000, PACE_NS = 2000000 };

struct shared {
    atomic_uint_fast64_t position; /* up to which the reader has read */
    int64_t committed[EVENTS];
    int64_t seen[EVENTS];
};

struct subject {
    const struct bench *bench;
    struct shared *shared;
    bool paced;
    double *latencies; /* milliseconds, of all rounds */
    size_t latency_count;
    double percentile; /* the one asked for */
};

static int64_t nanoseconds(void)
{
    const struct stele_clock *clock = stele_clock_system();

    return clock->monotonic(clock->context);
}

static void pass(int64_t duration)
{
    const struct timespec pause = {.tv_nsec = (long)duration};

    nanosleep(&pause, NULL);
}

/* Read what is there behind `position`; the new one. */
static uint64_t read_new(struct shared *shared, stele_store *store, uint64_t position)
{
    struct stele_query query = STELE_OPTIONS_INIT(struct stele_query);
    stele_cursor *cursor = NULL;
    stele_error *error = NULL;

    query.after = position;
    bench_must(stele_read(store, &query, &cursor, &error), error, "read");
    for (;;) {
        const stele_message *message = NULL;

        bench_must(stele_cursor_next(cursor, &message, &error), error, "next");
        if (!message)
            break;
        position = stele_message_position(message);
        if (position > 1)
            shared->seen[position - 2] = nanoseconds();
    }
    stele_cursor_close(cursor);
    return position;
}

/* The first event only tells that the reader is there. */
static void follow(struct shared *shared, const char *path)
{
    stele_store *store = open_store(path);

    for (uint64_t position = 0; position < EVENTS + 1;) {
        stele_error *error = NULL;

        bench_must(stele_wait(store, position, WAIT_MS, NULL, &error), error, "wait");
        position = read_new(shared, store, position);
        atomic_store(&shared->position, position);
    }
    stele_store_close(store);
}

static void append_one(stele_store *store, int64_t serial)
{
    stele_message *message = new_reading(serial);
    stele_error *error = NULL;

    bench_must(stele_append(store, "meter", stele_expect_any(), message, NULL, &error), error, "append");
    stele_message_unref(message);
}

static void append_all(const struct subject *subject, const char *path)
{
    stele_store *store = open_store(path);

    append_one(store, 0);
    while (atomic_load(&subject->shared->position) == 0)
        pass(PACE_NS);
    for (unsigned i = 0; i < EVENTS; i++) {
        append_one(store, i);
        subject->shared->committed[i] = nanoseconds();
        if (subject->paced)
            pass(PACE_NS);
    }
    stele_store_close(store);
}

static void keep_latencies(struct subject *subject)
{
    const struct shared *shared = subject->shared;

    for (unsigned i = 0; i < EVENTS; i++) {
        const double latency = (double)(shared->seen[i] - shared->committed[i]) / 1e6;

        subject->latencies[subject->latency_count++] = latency > 0 ? latency : 0;
    }
}

static double see(void *context)
{
    struct subject *subject = context;
    char *path = path_of(subject->bench, "live");
    int status = 0;
    pid_t reader;

    atomic_store(&subject->shared->position, 0);
    fflush(NULL);
    reader = fork();
    if (reader == 0) {
        follow(subject->shared, path);
        _exit(EXIT_SUCCESS);
    }
    append_all(subject, path);
    bench_must(reader > 0 && waitpid(reader, &status, 0) == reader && status == 0 ? STELE_OK : STELE_IO, NULL,
               "reader");
    keep_latencies(subject);
    remove_store(path);
    return bench_percentile(subject->latencies + subject->latency_count - EVENTS, EVENTS, 50);
}

static double asked_percentile(void *context)
{
    const struct subject *subject = context;

    return bench_percentile(subject->latencies, subject->latency_count, subject->percentile);
}

static void bench_live(struct bench *bench, struct subject *subject, const char *name, bool paced)
{
    char p99[64];

    if (!bench_wants(bench, name))
        return;
    subject->paced = paced;
    subject->latency_count = 0;
    bench_run(bench, &(struct bench_case){name, "ms to seen, median", see, NULL, subject, {.at_most = 5}});
    snprintf(p99, sizeof(p99), "%s_p99", name);
    subject->percentile = 99;
    bench_run(bench, &(struct bench_case){p99, "ms to seen, 99 %", asked_percentile, NULL, subject, {.at_most = 50}});
}

int main(int argc, char **argv)
{
    struct bench bench;
    struct subject subject;

    bench_open(&bench, argc, argv, "Measure how soon another process sees an event.");
    subject = (struct subject){.bench = &bench};
    subject.shared = mmap(NULL, sizeof(*subject.shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    subject.latencies = calloc((size_t)bench.rounds * EVENTS, sizeof(*subject.latencies));
    bench_must(subject.shared != MAP_FAILED && subject.latencies ? STELE_OK : STELE_NO_MEMORY, NULL, "start");
    bench_live(&bench, &subject, "live_paced", true);
    bench_live(&bench, &subject, "live_busy", false);
    free(subject.latencies);
    munmap(subject.shared, sizeof(*subject.shared));
    bench_close(&bench);
    return EXIT_SUCCESS;
}
