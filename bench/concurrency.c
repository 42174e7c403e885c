/*
 * Many appenders on one store handle, against one thread on bare SQLite.
 *
 * Every case appends one durable event per call and compares with the rate of
 * bare SQLite committing one row at a time (bare.h), measured in the same
 * rounds. Latencies and events per sync are of all rounds of the case before.
 * Syncs are counted where they happen: fsync(2) and fdatasync(2) of this
 * program are wrapped below.
 */
#include "bench/bare.h"
#include "bench/readings.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    THREADS_MAX = 64,
    BARE_APPENDS = 2000,
    LATENCIES_MAX = 1 << 20,
    REFUSALS = 20000,
    STREAMS = 6400,
    ASYNC_APPENDS = 20000
};

/* --- syncs ------------------------------------------------------------------ */

static atomic_uint_fast64_t syncs;

/* Seen by the libraries, whatever symbols of this program are hidden by default. */
__attribute__((visibility("default"))) int fdatasync(int descriptor)
{
    atomic_fetch_add_explicit(&syncs, 1, memory_order_relaxed);
    return (int)syscall(SYS_fdatasync, descriptor);
}

__attribute__((visibility("default"))) int fsync(int descriptor)
{
    atomic_fetch_add_explicit(&syncs, 1, memory_order_relaxed);
    return (int)syscall(SYS_fsync, descriptor);
}

/* --- one case ---------------------------------------------------------------- */

struct subject {
    stele_store *store;
    struct bare *bare;
    unsigned threads;  /* that append */
    unsigned appends;  /* of each, a round */
    int64_t serial;    /* of the bare rows */
    uint64_t appended; /* by all rounds */
    uint64_t synced;
    uint32_t *latencies; /* nanoseconds, of all rounds */
    size_t latency_count;
    double percentile; /* the one asked for */
};

struct appender {
    struct subject *subject;
    pthread_barrier_t *start;
    pthread_t thread;
    unsigned number;
    uint32_t *latencies;
};

static int64_t nanoseconds(void)
{
    const struct stele_clock *clock = stele_clock_system();

    return clock->monotonic(clock->context);
}

/* Streams far apart and shared by no two threads at once. */
static void choose_stream(const struct appender *appender, unsigned i, char name[32])
{
    const unsigned own = STREAMS / appender->subject->threads;

    stream_name(appender->number * own + i * 7 % own, name);
}

static void *run_appender(void *context)
{
    const struct appender *appender = context;
    const struct subject *subject = appender->subject;

    pthread_barrier_wait(appender->start);
    for (unsigned i = 0; i < subject->appends; i++) {
        stele_message *message = new_reading(i);
        stele_error *error = NULL;
        int64_t start;
        char name[32];

        choose_stream(appender, i, name);
        start = nanoseconds();
        bench_must(stele_append(subject->store, name, stele_expect_any(), message, NULL, &error), error, "append");
        appender->latencies[i] = (uint32_t)(nanoseconds() - start);
        stele_message_unref(message);
    }
    return NULL;
}

static void start_appenders(struct subject *subject, struct appender *appenders, pthread_barrier_t *start)
{
    for (unsigned i = 0; i < subject->threads; i++) {
        appenders[i] = (struct appender){
            .subject = subject,
            .start = start,
            .number = i,
            .latencies = subject->latencies + subject->latency_count,
        };
        subject->latency_count += subject->appends;
        if (subject->latency_count > LATENCIES_MAX ||
            pthread_create(&appenders[i].thread, NULL, run_appender, &appenders[i]) != 0)
            bench_must(STELE_NO_MEMORY, NULL, "start threads");
    }
}

static double count_events(struct subject *subject, uint64_t events, uint64_t syncs_before, double start)
{
    const double seconds = bench_seconds() - start;

    subject->appended += events;
    subject->synced += atomic_load(&syncs) - syncs_before;
    return (double)events / seconds;
}

static double append_by_threads(void *context)
{
    struct subject *subject = context;
    struct appender appenders[THREADS_MAX];
    pthread_barrier_t barrier;
    const uint64_t before = atomic_load(&syncs);
    double start;

    pthread_barrier_init(&barrier, NULL, subject->threads + 1);
    start_appenders(subject, appenders, &barrier);
    pthread_barrier_wait(&barrier);
    start = bench_seconds();
    for (unsigned i = 0; i < subject->threads; i++)
        pthread_join(appenders[i].thread, NULL);
    pthread_barrier_destroy(&barrier);
    return count_events(subject, (uint64_t)subject->threads * subject->appends, before, start);
}

static double append_bare(void *context)
{
    struct subject *subject = context;
    const double start = bench_seconds();

    for (unsigned i = 0; i < BARE_APPENDS; i++) {
        stele_message *message = new_reading(subject->serial++);

        bare_step(subject->bare, subject->bare->begin);
        bare_insert(subject->bare, i % BARE_STREAMS, message);
        bare_step(subject->bare, subject->bare->commit);
        stele_message_unref(message);
    }
    return BARE_APPENDS / (bench_seconds() - start);
}

/* --- figures of a case -------------------------------------------------------- */

static int compare_latencies(const void *left, const void *right)
{
    const uint32_t a = *(const uint32_t *)left;
    const uint32_t b = *(const uint32_t *)right;

    return (a > b) - (a < b);
}

/* Microseconds; the latencies are sorted. */
static double percentile(const struct subject *subject, double percent)
{
    return subject->latencies[(size_t)((double)(subject->latency_count - 1) * percent / 100)] / 1e3;
}

static double asked_percentile(void *context)
{
    const struct subject *subject = context;

    return percentile(subject, subject->percentile);
}

static double median_latency(void *context)
{
    return percentile(context, 50);
}

static double events_per_sync(void *context)
{
    const struct subject *subject = context;

    return subject->synced ? (double)subject->appended / (double)subject->synced : 0;
}

static void report(struct bench *bench, const char *name, const char *figure, const char *unit, bench_side *side,
                   struct subject *subject, struct bench_goal goal)
{
    char title[64];

    snprintf(title, sizeof(title), "%s_%s", name, figure);
    bench_run(bench, &(struct bench_case){title, unit, side, NULL, subject, goal});
}

static void report_latencies(struct bench *bench, const char *name, struct subject *subject)
{
    qsort(subject->latencies, subject->latency_count, sizeof(*subject->latencies), compare_latencies);
    subject->percentile = 50;
    report(bench, name, "p50", "us", asked_percentile, subject, (struct bench_goal){0});
    subject->percentile = 99;
    report(bench, name, "p99", "us", asked_percentile, subject, (struct bench_goal){0});
    report(bench, name, "per_sync", "events", events_per_sync, subject, (struct bench_goal){0});
}

/* --- stores -------------------------------------------------------------------- */

/*
 * Every case has a store of its own, so that none pays for the growth of the
 * one before, with every stream in it and the log at its full length.
 */
static void open_subject(struct subject *subject, const char *path, size_t queue_events)
{
    struct stele_store_options options = STELE_OPTIONS_INIT(struct stele_store_options);
    stele_error *error = NULL;

    options.queue_events = queue_events;
    bench_must(stele_store_open(path, &options, &subject->store, &error), error, path);
    fill(subject->store, STREAMS, 20000);
    subject->appended = subject->synced = 0;
    subject->latency_count = 0;
}

static void close_subject(struct subject *subject, char *path)
{
    stele_store_close(subject->store);
    remove_store(path);
}

/* --- threads ------------------------------------------------------------------- */

static double resident(void *context)
{
    (void)context;
    return (double)bench_resident() / 1024;
}

static void bench_threads(struct bench *bench, struct subject *subject, unsigned threads, unsigned appends, double goal)
{
    char name[32];
    char *path;

    snprintf(name, sizeof(name), "threads_%u", threads);
    if (!bench_wants(bench, name))
        return;
    path = path_of(bench, name);
    subject->threads = threads;
    subject->appends = appends;
    open_subject(subject, path, 0);
    bench_run(bench,
              &(struct bench_case){name, "events/s", append_by_threads, append_bare, subject, {.at_least = goal}});
    report_latencies(bench, name, subject);
    if (threads == 1) {
        subject->percentile = 99.9;
        bench_run(bench,
                  &(struct bench_case){
                      "threads_1_p99.9_to_p50", "us", asked_percentile, median_latency, subject, {.at_most = 4}});
    }
    if (threads == THREADS_MAX)
        report(bench, name, "resident", "MiB", resident, subject, (struct bench_goal){.at_most = 64});
    close_subject(subject, path);
}

/* --- one thread, not waiting ---------------------------------------------------- */

/* An append under way. */
struct flight {
    int64_t start;
    uint32_t *latency;
};

static void land(void *context, stele_status status, const struct stele_appended *result, const stele_error *error)
{
    const struct flight *flight = context;

    (void)result;
    if (status != STELE_OK) {
        fprintf(stderr, "append: %s\n", stele_error_message(error));
        exit(EXIT_FAILURE);
    }
    *flight->latency = (uint32_t)(nanoseconds() - flight->start);
}

/* The store's queue_events is what may be under way: the loop runs against that bound. */
static double append_async(void *context)
{
    static struct flight flights[ASYNC_APPENDS];
    struct subject *subject = context;
    const uint64_t before = atomic_load(&syncs);
    const double start = bench_seconds();
    stele_error *error = NULL;

    if (subject->latency_count + ASYNC_APPENDS > LATENCIES_MAX)
        bench_must(STELE_LIMIT, NULL, "keep latencies");
    for (unsigned i = 0; i < ASYNC_APPENDS; i++) {
        stele_message *message = new_reading(i);
        char name[32];
        const struct stele_write write = {name, message};

        stream_name(i % STREAMS, name);
        flights[i] = (struct flight){nanoseconds(), &subject->latencies[subject->latency_count++]};
        bench_must(stele_append_async(subject->store, &(struct stele_batch){.writes = &write, .write_count = 1}, land,
                                      &flights[i], &error),
                   error, "append");
        stele_message_unref(message);
    }
    bench_must(stele_flush(subject->store, &error), error, "flush");
    return count_events(subject, ASYNC_APPENDS, before, start);
}

static void bench_async(struct bench *bench, struct subject *subject, unsigned bound, double goal)
{
    char name[32];
    char *path;

    snprintf(name, sizeof(name), "async_%u", bound);
    if (!bench_wants(bench, name))
        return;
    path = path_of(bench, name);
    open_subject(subject, path, bound);
    bench_run(bench, &(struct bench_case){name, "events/s", append_async, append_bare, subject, {.at_least = goal}});
    report_latencies(bench, name, subject);
    close_subject(subject, path);
}

/* --- refusals --------------------------------------------------------------------- */

static double refuse(const struct subject *subject, struct stele_expected expected)
{
    stele_message *message = new_reading(0);
    const double start = bench_seconds();

    for (unsigned i = 0; i < REFUSALS; i++) {
        char name[32];

        stream_name(i % STREAMS, name);
        if (stele_append(subject->store, name, expected, message, NULL, NULL) != STELE_CONFLICT)
            bench_must(STELE_CORRUPT, NULL, "refuse");
    }
    stele_message_unref(message);
    return (bench_seconds() - start) / REFUSALS * 1e6;
}

/* The stream was to be new: the error tells of the events that are in it. */
static double refuse_new(void *context)
{
    return refuse(context, stele_expect_no_stream());
}

/* One event or two came in between: the usual conflict. */
static double refuse_stale(void *context)
{
    return refuse(context, stele_expect_version(2));
}

static void bench_refusals(struct bench *bench, struct subject *subject)
{
    char *path;

    if (!bench_wants(bench, "refused"))
        return;
    path = path_of(bench, "refused");
    open_subject(subject, path, 0);
    bench_run(bench, &(struct bench_case){"refused_new", "us", refuse_new, NULL, subject, {.at_most = 8}});
    bench_run(bench, &(struct bench_case){"refused_stale", "us", refuse_stale, NULL, subject, {.at_most = 8}});
    close_subject(subject, path);
}

int main(int argc, char **argv)
{
    struct bench bench;
    struct subject subject = {0};
    char *path;

    bench_open(&bench, argc, argv, "Measure many appenders on one store against one on bare SQLite.");
    path = path_of(&bench, "bare");
    subject.bare = bare_open(path);
    subject.latencies = malloc(LATENCIES_MAX * sizeof(*subject.latencies));
    if (!subject.latencies)
        bench_must(STELE_NO_MEMORY, NULL, "start");
    append_bare(&subject);
    bench_threads(&bench, &subject, 1, 2000, 0.90);
    bench_threads(&bench, &subject, 2, 1000, 1.3);
    bench_threads(&bench, &subject, 8, 500, 3);
    bench_threads(&bench, &subject, 64, 250, 7);
    bench_async(&bench, &subject, 64, 8);
    bench_async(&bench, &subject, 256, 20);
    bench_refusals(&bench, &subject);
    bare_close(subject.bare);
    remove_store(path);
    free(subject.latencies);
    bench_close(&bench);
    return EXIT_SUCCESS;
}
