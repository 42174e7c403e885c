/*
 * The store against bare SQLite: the same rows, indexes, pragmas and disk.
 *
 * Each case has its own files in the folder given. "Other" is SQLite driven by
 * hand with prepared statements on a file of the same schema (docs/file-format.md),
 * which a store made and left empty. Bare rows get a constant for a checksum
 * and a version counted in the program: that work is ours to pay for.
 */
#include "bench/bare.h"
#include "bench/readings.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SINGLE_APPENDS = 2000, BATCH = 100, BATCHES = 100, STREAMS = BARE_STREAMS };

#define METER(FIELD, T) FIELD(T, INT64, total) FIELD(T, INT64, readings)
STELE_DECLARE(meter, METER);
STELE_DEFINE_STATE(meter, "bench.meter", 1, METER);

#define READ_METER(FIELD, T) FIELD(T, NONE, stele_unused)
STELE_DECLARE(read_meter, READ_METER);
STELE_DEFINE_COMMAND(read_meter, "bench.meter.read", 1, READ_METER);

static void on_reading(struct meter *meter, const struct reading *event)
{
    meter->total += event->amount;
    meter->readings++;
}

static stele_status decide_read(const struct meter *meter, const struct read_meter *command, stele_decision *decision)
{
    (void)meter;
    (void)command;
    return stele_decision_reject(decision, "a meter only reads");
}

#define METER_EVENTS(EVOLVE, A) EVOLVE(A, reading, on_reading)
#define METER_COMMANDS(DECIDE, A) DECIDE(A, read_meter, decide_read)
STELE_DEFINE_AGGREGATE(meter, METER_EVENTS, METER_COMMANDS);

/* --- appending ---------------------------------------------------------------- */

struct append_case {
    stele_store *store;
    struct bare *bare;
    int64_t serial;
};

static double append_single_ours(void *context)
{
    struct append_case *subject = context;
    const double start = bench_seconds();

    for (unsigned i = 0; i < SINGLE_APPENDS; i++) {
        stele_message *message = new_reading(subject->serial++);
        stele_error *error = NULL;
        char name[32];

        stream_name(i % STREAMS, name);
        bench_must(stele_append(subject->store, name, stele_expect_any(), message, NULL, &error), error, "append");
        stele_message_unref(message);
    }
    return SINGLE_APPENDS / (bench_seconds() - start);
}

static double append_single_bare(void *context)
{
    struct append_case *subject = context;
    const double start = bench_seconds();

    for (unsigned i = 0; i < SINGLE_APPENDS; i++) {
        stele_message *message = new_reading(subject->serial++);

        bare_step(subject->bare, subject->bare->begin);
        bare_insert(subject->bare, i % STREAMS, message);
        bare_step(subject->bare, subject->bare->commit);
        stele_message_unref(message);
    }
    return SINGLE_APPENDS / (bench_seconds() - start);
}

static void new_batch(struct append_case *subject, stele_message *messages[BATCH])
{
    for (unsigned i = 0; i < BATCH; i++)
        messages[i] = new_reading(subject->serial++);
}

static void free_batch(stele_message *messages[BATCH])
{
    for (unsigned i = 0; i < BATCH; i++)
        stele_message_unref(messages[i]);
}

static double append_batch_ours(void *context)
{
    struct append_case *subject = context;
    const double start = bench_seconds();

    for (unsigned batch = 0; batch < BATCHES; batch++) {
        stele_message *messages[BATCH];
        struct stele_write writes[BATCH];
        stele_error *error = NULL;
        char name[32];

        new_batch(subject, messages);
        stream_name(batch % STREAMS, name);
        for (unsigned i = 0; i < BATCH; i++)
            writes[i] = (struct stele_write){.stream = name, .event = messages[i]};
        bench_must(stele_append_batch(subject->store, &(struct stele_batch){.writes = writes, .write_count = BATCH},
                                      NULL, &error),
                   error, "append");
        free_batch(messages);
    }
    return BATCHES * BATCH / (bench_seconds() - start);
}

static double append_batch_bare(void *context)
{
    struct append_case *subject = context;
    const double start = bench_seconds();

    for (unsigned batch = 0; batch < BATCHES; batch++) {
        stele_message *messages[BATCH];

        new_batch(subject, messages);
        bare_step(subject->bare, subject->bare->begin);
        for (unsigned i = 0; i < BATCH; i++)
            bare_insert(subject->bare, batch % STREAMS, messages[i]);
        bare_step(subject->bare, subject->bare->commit);
        free_batch(messages);
    }
    return BATCHES * BATCH / (bench_seconds() - start);
}

static void bench_appends(struct bench *bench)
{
    char *ours = path_of(bench, "append-ours");
    char *other = path_of(bench, "append-bare");
    struct append_case subject = {.store = open_store(ours), .bare = bare_open(other)};

    /* Both logs at full length, both files with every stream in them. */
    if (bench_wants(bench, "append")) {
        append_batch_ours(&subject);
        append_batch_bare(&subject);
        append_single_ours(&subject);
        append_single_bare(&subject);
    }
    bench_run(
        bench,
        &(struct bench_case){
            "append_1_durable", "events/s", append_single_ours, append_single_bare, &subject, {.at_least = 0.90}});
    bench_run(
        bench,
        &(struct bench_case){
            "append_100_durable", "events/s", append_batch_ours, append_batch_bare, &subject, {.at_least = 0.80}});
    stele_store_close(subject.store);
    bare_close(subject.bare);
    remove_store(ours);
    remove_store(other);
}

/* --- reading ------------------------------------------------------------------- */

struct read_case {
    stele_store *store;
    struct bare *bare;
    stele_repository *repository;
    unsigned streams;
    uint64_t stream_events;
    unsigned loads; /* per round */
};

static double load_ours(void *context)
{
    const struct read_case *subject = context;
    const double start = bench_seconds();

    for (unsigned i = 0; i < subject->loads; i++) {
        stele_instance *instance = NULL;
        stele_error *error = NULL;
        char name[32];

        stream_name(i % subject->streams, name);
        bench_must(stele_load(subject->repository, name, NULL, &instance, &error), error, "load");
        if (stele_instance_version(instance) != subject->stream_events)
            bench_must(STELE_CORRUPT, NULL, "load");
        stele_instance_free(instance);
    }
    return (double)(subject->loads * subject->stream_events) / (bench_seconds() - start);
}

static double load_bare(void *context)
{
    const struct read_case *subject = context;
    const struct bare *bare = subject->bare;
    const double start = bench_seconds();

    for (unsigned i = 0; i < subject->loads; i++) {
        sqlite3_bind_int64(bare->read_stream, 1, i % subject->streams + 1);
        if (bare_read(bare, bare->read_stream) != subject->stream_events)
            bench_must(STELE_CORRUPT, NULL, "bare load");
    }
    return (double)(subject->loads * subject->stream_events) / (bench_seconds() - start);
}

static double log_ours(void *context)
{
    const struct read_case *subject = context;
    const double start = bench_seconds();
    stele_cursor *cursor = NULL;
    stele_error *error = NULL;
    const stele_message *message = NULL;
    uint64_t events = 0;

    bench_must(stele_read(subject->store, NULL, &cursor, &error), error, "read");
    for (;;) {
        bench_must(stele_cursor_next(cursor, &message, &error), error, "next");
        if (!message)
            break;
        events++;
    }
    stele_cursor_close(cursor);
    return (double)events / (bench_seconds() - start);
}

static double log_bare(void *context)
{
    const struct read_case *subject = context;
    const double start = bench_seconds();

    return (double)bare_read(subject->bare, subject->bare->read_log) / (bench_seconds() - start);
}

struct file_case {
    const char *path;
    uint64_t events;
};

static double fill_file(void *context)
{
    const struct file_case *file = context;
    stele_store *store = open_store(file->path);

    fill(store, STREAMS, file->events);
    stele_store_close(store);
    return 0;
}

/* Mebibytes by which a whole-log read, opening included, raises the peak. */
static double read_file_memory(void *context)
{
    const struct file_case *file = context;
    const long before = bench_resident();
    struct read_case subject = {.store = NULL};

    bench_reset_peak();
    subject.store = open_store(file->path);
    log_ours(&subject);
    stele_store_close(subject.store);
    return (double)(bench_peak() - before) / 1024;
}

static double log_memory_ours(void *context)
{
    return bench_in_child(read_file_memory, context);
}

/* Open `subject` on a store with `events` more events, and a bare connection to the same file. */
static void open_reading(struct read_case *subject, const char *path, uint64_t events)
{
    stele_error *error = NULL;

    subject->store = open_store(path);
    if (events > 0)
        fill(subject->store, subject->streams, events);
    subject->bare = bare_open(path);
    bench_must(stele_repository_new(subject->store, &meter_aggregate, NULL, &subject->repository, &error), error,
               "repository");
}

static void close_reading(struct read_case *subject)
{
    stele_repository_free(subject->repository);
    bare_close(subject->bare);
    stele_store_close(subject->store);
}

static void bench_loads(struct bench *bench)
{
    struct read_case small = {.streams = 100, .stream_events = 100, .loads = 5000};
    struct read_case large = {.streams = 1, .stream_events = 10000, .loads = 50};
    char *path = NULL;

    if (bench_wants(bench, "load_100_events")) {
        path = path_of(bench, "load-100");
        open_reading(&small, path, 10000);
        bench_run(bench, &(struct bench_case){
                             "load_100_events", "events/s", load_ours, load_bare, &small, {.at_least = 0.80}});
        close_reading(&small);
        remove_store(path);
    }
    if (bench_wants(bench, "load_10000_events")) {
        path = path_of(bench, "load-10000");
        open_reading(&large, path, 10000);
        bench_run(bench,
                  &(struct bench_case){"load_10000_events", "events/s", load_ours, load_bare, &large, {.at_least = 0}});
        close_reading(&large);
        remove_store(path);
    }
}

static void bench_log(struct bench *bench)
{
    char *path = path_of(bench, "log");
    struct read_case subject = {.streams = STREAMS};
    struct file_case file = {path, bench->events};

    if (bench_wants(bench, "log_peak_memory") || bench_wants(bench, "log_read_all"))
        bench_in_child(fill_file, &file);
    bench_run(bench, &(struct bench_case){"log_peak_memory", "MiB", log_memory_ours, NULL, &file, {.at_most = 16}});
    if (bench_wants(bench, "log_read_all")) {
        open_reading(&subject, path, 0);
        bench_run(bench,
                  &(struct bench_case){"log_read_all", "events/s", log_ours, log_bare, &subject, {.at_least = 0.60}});
        close_reading(&subject);
    }
    remove_store(path);
}

/* --- folding from memory ---------------------------------------------------------- */

static void bench_fold(struct bench *bench)
{
    struct read_case subject = {.streams = 1, .stream_events = 100000, .loads = 10};
    stele_error *error = NULL;

    if (!bench_wants(bench, "fold"))
        return;
    subject.store = open_store("memory:");
    fill(subject.store, 1, subject.stream_events);
    bench_must(stele_repository_new(subject.store, &meter_aggregate, NULL, &subject.repository, &error), error,
               "repository");
    bench_run(bench,
              &(struct bench_case){"fold_from_memory", "events/s", load_ours, NULL, &subject, {.at_least = 4e6}});
    stele_repository_free(subject.repository);
    stele_store_close(subject.store);
}

int main(int argc, char **argv)
{
    struct bench bench;

    bench_open(&bench, argc, argv, "Measure the store against bare SQLite.");
    bench_appends(&bench);
    bench_loads(&bench);
    bench_log(&bench);
    bench_fold(&bench);
    bench_close(&bench);
    return EXIT_SUCCESS;
}
