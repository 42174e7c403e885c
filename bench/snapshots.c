/*
 * Where a load begins: at the first event, at a snapshot, at a kept state.
 * "Other" is bare SQLite doing the least that could be asked for in its place
 * (reading the rows behind the snapshot, looking up a version), or the same load
 * by replaying the stream. All figures are microseconds per load: less is better.
 */
#include "bench/bare.h"
#include "bench/bench.h"
#include "bench/readings.h"

#include <stdlib.h>

enum { METERS = 100, AT_SNAPSHOT = 1000, BEHIND = 50, LOADS = 2000 };

#define GAUGE(FIELD, T) FIELD(T, INT64, total) FIELD(T, INT64, readings) FIELD(T, OPTIONAL(TEXT), last)
STELE_DECLARE(gauge, GAUGE);
STELE_DEFINE_STATE(gauge, "bench.gauge", 1, GAUGE);

#define READ_GAUGE(FIELD, T) FIELD(T, NONE, stele_unused)
STELE_DECLARE(read_gauge, READ_GAUGE);
STELE_DEFINE_COMMAND(read_gauge, "bench.gauge.read", 1, READ_GAUGE);

static void on_reading(struct gauge *gauge, const struct reading *event)
{
    gauge->total += event->amount;
    gauge->readings++;
    gauge->last = event->text;
}

static stele_status decide_read(const struct gauge *gauge, const struct read_gauge *command, stele_decision *decision)
{
    (void)gauge;
    (void)command;
    return stele_decision_reject(decision, "a gauge only shows");
}

#define GAUGE_EVENTS(EVOLVE, A) EVOLVE(A, reading, on_reading)
#define GAUGE_COMMANDS(DECIDE, A) DECIDE(A, read_gauge, decide_read)
STELE_DEFINE_AGGREGATE(gauge, GAUGE_EVENTS, GAUGE_COMMANDS);

struct subject {
    stele_store *store;
    stele_repository *replaying, *snapshots, *cached;
    struct bare *bare;
    sqlite3_stmt *version, *behind;
};

static stele_repository *new_repository(stele_store *store, uint64_t snapshot_every, size_t cache_bytes)
{
    struct stele_repository_options options = STELE_OPTIONS_INIT(struct stele_repository_options);
    stele_repository *repository = NULL;
    stele_error *error = NULL;

    options.snapshot_every = snapshot_every;
    options.cache_bytes = cache_bytes;
    bench_must(stele_repository_new(store, &gauge_aggregate, &options, &repository, &error), error, "repository");
    return repository;
}

/* `count` readings for every meter, one meter after the other. */
static void add_readings(stele_store *store, unsigned count)
{
    stele_message *messages[AT_SNAPSHOT];
    struct stele_write writes[AT_SNAPSHOT];

    for (unsigned meter = 0; meter < METERS; meter++) {
        stele_error *error = NULL;
        char name[32];

        stream_name(meter, name);
        for (unsigned i = 0; i < count; i++) {
            messages[i] = new_reading(i);
            writes[i] = (struct stele_write){name, messages[i]};
        }
        bench_must(
            stele_append_batch(store, &(struct stele_batch){.writes = writes, .write_count = count}, NULL, &error),
            error, "fill");
        for (unsigned i = 0; i < count; i++)
            stele_message_unref(messages[i]);
    }
}

static double load_each(const stele_repository *repository)
{
    const double start = bench_seconds();

    for (unsigned i = 0; i < LOADS; i++) {
        stele_instance *instance = NULL;
        stele_error *error = NULL;
        char name[32];

        stream_name(i % METERS, name);
        bench_must(stele_load(repository, name, NULL, &instance, &error), error, "load");
        if ((int64_t)stele_instance_version(instance) != STELE_STATE_OF(gauge, instance)->readings)
            bench_must(STELE_CORRUPT, NULL, "load");
        stele_instance_free(instance);
    }
    return (bench_seconds() - start) * 1e6 / LOADS;
}

static double load_snapshot(void *context)
{
    return load_each(((const struct subject *)context)->snapshots);
}

static double load_cached(void *context)
{
    return load_each(((const struct subject *)context)->cached);
}

static double load_replaying(void *context)
{
    return load_each(((const struct subject *)context)->replaying);
}

static double bare_rows_behind(void *context)
{
    const struct subject *subject = context;
    const double start = bench_seconds();

    for (unsigned i = 0; i < LOADS; i++) {
        sqlite3_bind_int64(subject->behind, 1, i % METERS + 1);
        if (bare_read(subject->bare, subject->behind) != BEHIND)
            bench_must(STELE_CORRUPT, NULL, "bare rows");
    }
    return (bench_seconds() - start) * 1e6 / LOADS;
}

static double bare_version(void *context)
{
    const struct subject *subject = context;
    const double start = bench_seconds();

    for (unsigned i = 0; i < LOADS; i++) {
        char name[32];

        stream_name(i % METERS, name);
        sqlite3_bind_text(subject->version, 1, name, -1, SQLITE_STATIC);
        if (sqlite3_step(subject->version) != SQLITE_ROW ||
            sqlite3_column_int64(subject->version, 0) != AT_SNAPSHOT + BEHIND)
            bench_must(STELE_CORRUPT, NULL, "bare version");
        sqlite3_reset(subject->version);
    }
    return (bench_seconds() - start) * 1e6 / LOADS;
}

static sqlite3_stmt *prepare(const struct bare *bare, const char *sql)
{
    sqlite3_stmt *statement = NULL;

    if (sqlite3_prepare_v2(bare->database, sql, -1, &statement, NULL) != SQLITE_OK)
        bench_must(STELE_INVALID, NULL, sql);
    return statement;
}

/* Every meter 50 readings behind its snapshot, and in the cache as it is. */
static void open_subject(struct subject *subject, const char *path)
{
    stele_store *store = open_store(path);
    stele_repository *writing = new_repository(store, AT_SNAPSHOT, 0);

    add_readings(store, AT_SNAPSHOT);
    for (unsigned meter = 0; meter < METERS; meter++) {
        stele_instance *instance = NULL;
        stele_error *error = NULL;
        char name[32];

        stream_name(meter, name);
        bench_must(stele_load(writing, name, NULL, &instance, &error), error, "load");
        stele_instance_free(instance);
    }
    stele_repository_free(writing);
    stele_store_close(store); /* writes the snapshots */
    store = open_store(path);
    add_readings(store, BEHIND);
    subject->store = store;
    subject->replaying = new_repository(store, 0, 0);
    subject->snapshots = new_repository(store, AT_SNAPSHOT, 0);
    subject->cached = new_repository(store, 0, 64 * 1024 * 1024);
    load_cached(subject);
    subject->bare = bare_open(path);
    subject->version =
        prepare(subject->bare, "SELECT version FROM event WHERE stream = (SELECT id FROM stream WHERE name = ?1)"
                               " ORDER BY version DESC LIMIT 1");
    subject->behind = prepare(subject->bare, "SELECT position, stream, version, type, time, id, meta, data, checksum"
                                             " FROM event WHERE stream = ?1 AND version > 1000 ORDER BY version");
}

static void close_subject(struct subject *subject)
{
    sqlite3_finalize(subject->version);
    sqlite3_finalize(subject->behind);
    bare_close(subject->bare);
    stele_repository_free(subject->replaying);
    stele_repository_free(subject->snapshots);
    stele_repository_free(subject->cached);
    stele_store_close(subject->store);
}

int main(int argc, char **argv)
{
    struct bench bench;
    struct subject subject;
    char *path;

    bench_open(&bench, argc, argv, "Loads that begin at a snapshot, and at a kept state");
    path = path_of(&bench, "snapshots");
    open_subject(&subject, path);
    bench_run(&bench, &(struct bench_case){"load_snapshot_50_behind",
                                           "us/load, other: 50 rows",
                                           load_snapshot,
                                           bare_rows_behind,
                                           &subject,
                                           {.at_most = 3}});
    bench_run(&bench, &(struct bench_case){"load_snapshot_or_replay",
                                           "us/load, other: 1050 events",
                                           load_snapshot,
                                           load_replaying,
                                           &subject,
                                           {.at_least = 0}});
    bench_run(
        &bench,
        &(struct bench_case){
            "load_cache_warm", "us/load, other: a version", load_cached, bare_version, &subject, {.at_least = 0}});
    close_subject(&subject);
    remove_store(path);
    bench_close(&bench);
    return EXIT_SUCCESS;
}
