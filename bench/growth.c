/*
 * What changes while a store grows: 10,000 events, and ten times as many each
 * step up to --events (10,000,000 take 2.5 GB and some minutes).
 *
 * Streams have 100 events, and those that are filled in one step take turns:
 * the events of one lie far apart. Single appends and refusals give the
 * median, `stele stats` and `stele verify` are whole programs, run once a
 * step. "Other" of a load is bare SQLite reading the same rows of the same file.
 */
#include "bench/bare.h"
#include "bench/readings.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { STREAM_EVENTS = 100, SAMPLES = 2000, FIRST = 10000 };

struct subject {
    const struct bench *bench;
    const char *path;
    stele_store *store;
    struct bare *bare;
    uint64_t events;
    unsigned streams;
    double figures[SAMPLES];
};

static double microseconds(double start)
{
    return (bench_seconds() - start) * 1e6;
}

/* Streams all over the store, in an order that no cache foresees. Stream 1 of the file is the growing one. */
static unsigned choose_stream(const struct subject *subject, unsigned i)
{
    return (unsigned)(i * UINT64_C(2654435761) % subject->streams);
}

static double append_median(void *context)
{
    struct subject *subject = context;

    for (unsigned i = 0; i < SAMPLES; i++) {
        stele_message *message = new_reading(i);
        stele_error *error = NULL;
        const double start = bench_seconds();

        bench_must(stele_append(subject->store, "growing", stele_expect_any(), message, NULL, &error), error, "append");
        subject->figures[i] = microseconds(start);
        stele_message_unref(message);
    }
    subject->events += SAMPLES;
    return bench_percentile(subject->figures, SAMPLES, 50);
}

static double refuse_median(void *context)
{
    struct subject *subject = context;
    stele_message *message = new_reading(0);

    for (unsigned i = 0; i < SAMPLES; i++) {
        char name[32];
        double start;

        stream_name(choose_stream(subject, i), name);
        start = bench_seconds();
        if (stele_append(subject->store, name, stele_expect_version(STREAM_EVENTS - 2), message, NULL, NULL) !=
            STELE_CONFLICT)
            bench_must(STELE_CORRUPT, NULL, "refuse");
        subject->figures[i] = microseconds(start);
    }
    stele_message_unref(message);
    return bench_percentile(subject->figures, SAMPLES, 50);
}

static uint64_t read_stream(const struct subject *subject, const char *name)
{
    struct stele_query query = STELE_OPTIONS_INIT(struct stele_query);
    stele_cursor *cursor = NULL;
    stele_error *error = NULL;
    uint64_t events = 0;

    query.stream = name;
    bench_must(stele_read(subject->store, &query, &cursor, &error), error, "read");
    for (;; events++) {
        const stele_message *message = NULL;

        bench_must(stele_cursor_next(cursor, &message, &error), error, "next");
        if (!message)
            break;
    }
    stele_cursor_close(cursor);
    return events;
}

static double load_ours(void *context)
{
    struct subject *subject = context;

    for (unsigned i = 0; i < SAMPLES; i++) {
        const double start = bench_seconds();
        char name[32];

        stream_name(choose_stream(subject, i), name);
        if (read_stream(subject, name) != STREAM_EVENTS)
            bench_must(STELE_CORRUPT, NULL, "load");
        subject->figures[i] = microseconds(start);
    }
    return bench_percentile(subject->figures, SAMPLES, 50);
}

static double load_bare(void *context)
{
    struct subject *subject = context;

    for (unsigned i = 0; i < SAMPLES; i++) {
        const double start = bench_seconds();

        sqlite3_bind_int64(subject->bare->read_stream, 1, choose_stream(subject, i) + 2);
        if (bare_read(subject->bare, subject->bare->read_stream) != STREAM_EVENTS)
            bench_must(STELE_CORRUPT, NULL, "bare load");
        subject->figures[i] = microseconds(start);
    }
    return bench_percentile(subject->figures, SAMPLES, 50);
}

static double run_command(const struct subject *subject, const char *command)
{
    const double start = bench_seconds();

    bench_tool(subject->bench, command, subject->path, NULL);
    return bench_seconds() - start;
}

static double stats_seconds(void *context)
{
    return run_command(context, "stats");
}

static double verify_seconds(void *context)
{
    return run_command(context, "verify");
}

static double bytes_each(void *context)
{
    const struct subject *subject = context;
    struct stat facts;

    bench_must(stat(subject->path, &facts) == 0 ? STELE_OK : STELE_IO, NULL, subject->path);
    return (double)facts.st_size / (double)subject->events;
}

/* As many more streams as lead to `events`, filled in turn. */
static void fill_to(struct subject *subject, uint64_t events)
{
    const unsigned fresh = (unsigned)(events / STREAM_EVENTS) - subject->streams;

    subject->store = open_store(subject->path);
    if (subject->streams == 0)
        append_median(subject);
    fill_from(subject->store, subject->streams, fresh, (uint64_t)fresh * STREAM_EVENTS);
    stele_store_close(subject->store);
    subject->streams += fresh;
    subject->events += (uint64_t)fresh * STREAM_EVENTS;
}

static void run_case(struct subject *subject, uint64_t events, const char *figure, const char *unit, bench_side *ours,
                     bench_side *other)
{
    char name[64];
    struct bench bench = *subject->bench;

    if (ours == stats_seconds || ours == verify_seconds || ours == bytes_each)
        bench.rounds = 1;
    snprintf(name, sizeof(name), "growth_%" PRIu64 "_%s", events, figure);
    bench_run(&bench, &(struct bench_case){name, unit, ours, other, subject, {.at_least = 0}});
}

static void measure(struct subject *subject, uint64_t events)
{
    run_case(subject, events, "bytes", "bytes/event", bytes_each, NULL);
    run_case(subject, events, "stats", "s, stele stats", stats_seconds, NULL);
    run_case(subject, events, "verify", "s, stele verify", verify_seconds, NULL);
    subject->bare = bare_open(subject->path);
    subject->store = open_store(subject->path);
    run_case(subject, events, "load_100", "us, median", load_ours, load_bare);
    run_case(subject, events, "refused", "us, median", refuse_median, NULL);
    run_case(subject, events, "append_1", "us, median", append_median, NULL);
    stele_store_close(subject->store);
    bare_close(subject->bare);
}

int main(int argc, char **argv)
{
    struct bench bench;
    static struct subject subject;
    char *path;

    bench_open(&bench, argc, argv, "Measure a store while it grows to --events.");
    path = path_of(&bench, "growing");
    subject.bench = &bench;
    subject.path = path;
    for (uint64_t events = FIRST; events <= bench.events && bench_wants(&bench, "growth"); events *= 10) {
        fill_to(&subject, events);
        measure(&subject, events);
    }
    remove_store(path);
    bench_close(&bench);
    return EXIT_SUCCESS;
}
