/*
 * What a view written in the transaction of each append costs.
 *
 * One durable event a call, and one row of a view with it: the last serial of
 * its stream. "inline_append": one thread; "other" is bare SQLite (bare.h)
 * writing the same two rows in one transaction, with the same sync.
 * "inline_threads": 64 threads; "other" is the same store without the view. Figures are
 * appends a second.
 */
#include "bench/bare.h"
#include "bench/readings.h"

#include "projections/instore.h"

#include <pthread.h>
#include <stdlib.h>

enum { APPENDS = 2000, STREAMS = BARE_STREAMS, THREADS = 64, EACH = 250 };

#define LATEST(FIELD, T) FIELD(T, TEXT, stream) FIELD(T, INT64, position) FIELD(T, INT64, time)
STELE_DECLARE_VIEW(latest, LATEST);
STELE_DEFINE_VIEW(latest, "latest", 1, LATEST, "stream");

struct subject {
    stele_store *plain;
    stele_store *with;
    struct stele__part part;
    struct bare *bare;
    sqlite3_stmt *upsert;
    int64_t serial;
};

static stele_status apply(struct stele__part *part, const stele_message *event, stele_error **error)
{
    const struct latest row = {.stream = stele_message_stream(event).data,
                               .position = (int64_t)stele_message_position(event),
                               .time = stele_message_time(event)};

    return latest_upsert(part->views, &row, error);
}

static void append_one(stele_store *store, unsigned i, const stele_message *event)
{
    char name[32];
    stele_error *error = NULL;

    stream_name(i % STREAMS, name);
    bench_must(stele_append(store, name, stele_expect_any(), event, NULL, &error), error, "append");
}

/* --- One thread -------------------------------------------------------------------------- */

static double append_ours(void *context)
{
    struct subject *subject = context;
    const double start = bench_seconds();

    for (unsigned i = 0; i < APPENDS; i++) {
        stele_message *event = new_reading(subject->serial++);

        append_one(subject->with, i, event);
        stele_message_unref(event);
    }
    return APPENDS / (bench_seconds() - start);
}

static void append_bare(const struct subject *subject, unsigned i, const stele_message *event)
{
    struct bare *bare = subject->bare;
    char name[32];

    stream_name(i % STREAMS, name);
    bare_step(bare, bare->begin);
    bare_insert(bare, i % STREAMS, event);
    sqlite3_bind_text(subject->upsert, 1, name, -1, SQLITE_STATIC);
    sqlite3_bind_int64(subject->upsert, 2, bare->position);
    sqlite3_bind_int64(subject->upsert, 3, stele_message_time(event));
    bare_step(bare, subject->upsert);
    bare_step(bare, bare->commit);
}

static double append_other(void *context)
{
    struct subject *subject = context;
    const double start = bench_seconds();

    for (unsigned i = 0; i < APPENDS; i++) {
        stele_message *event = new_reading(subject->serial++);

        append_bare(subject, i, event);
        stele_message_unref(event);
    }
    return APPENDS / (bench_seconds() - start);
}

/* --- Many threads -------------------------------------------------------------------------- */

struct appender {
    pthread_t thread;
    stele_store *store;
    unsigned number;
};

static void *append_each(void *context)
{
    const struct appender *appender = context;

    for (unsigned i = 0; i < EACH; i++) {
        stele_message *event = new_reading((int64_t)appender->number * EACH + i);

        append_one(appender->store, appender->number * EACH + i, event);
        stele_message_unref(event);
    }
    return NULL;
}

static double append_by_threads(stele_store *store)
{
    struct appender appenders[THREADS];
    const double start = bench_seconds();

    for (unsigned i = 0; i < THREADS; i++) {
        appenders[i] = (struct appender){.store = store, .number = i};
        if (pthread_create(&appenders[i].thread, NULL, append_each, &appenders[i]) != 0)
            abort();
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(appenders[i].thread, NULL);
    return THREADS * EACH / (bench_seconds() - start);
}

static double threads_with(void *context)
{
    return append_by_threads(((struct subject *)context)->with);
}

static double threads_without(void *context)
{
    return append_by_threads(((struct subject *)context)->plain);
}

/* --- The subject ------------------------------------------------------------------------------ */

static void prepare_ours(struct subject *subject, const char *path)
{
    stele_error *error = NULL;

    subject->with = open_store(path);
    subject->part = (struct stele__part){.name = "latest", .apply = apply};
    bench_must(stele__views_in_store(subject->with, &subject->part.views, &error), error, "views");
    bench_must(stele_view_create(subject->part.views, &latest_view, &error), error, "create");
    bench_must(stele__part_join(subject->with, &subject->part, 500, &error), error, "join");
}

/* The table as the view makes it. */
static void prepare_bare(struct subject *subject, const char *path)
{
    sqlite3 *database;

    subject->bare = bare_open(path);
    database = subject->bare->database;
    if (sqlite3_exec(database,
                     "CREATE TABLE latest(stream TEXT NOT NULL, position INTEGER NOT NULL, time INTEGER NOT NULL, "
                     "PRIMARY KEY(stream)) STRICT, WITHOUT ROWID",
                     NULL, NULL, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(database,
                           "INSERT INTO latest(stream, position, time) VALUES(?1, ?2, ?3) "
                           "ON CONFLICT DO UPDATE SET position = excluded.position, time = excluded.time",
                           -1, &subject->upsert, NULL) != SQLITE_OK)
        abort();
}

static void bench_inline(struct bench *bench)
{
    struct subject subject = {.serial = 0};
    char *with = path_of(bench, "with");
    char *plain = path_of(bench, "plain");
    char *bare = path_of(bench, "bare");
    const struct bench_case cases[] = {
        {"inline_append", "appends/s", append_ours, append_other, &subject, {0.7, 0}},
        {"inline_threads", "appends/s", threads_with, threads_without, &subject, {0, 0}},
    };

    prepare_ours(&subject, with);
    prepare_bare(&subject, bare);
    subject.plain = open_store(plain);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (bench_wants(bench, cases[i].name))
            bench_run(bench, &cases[i]);
    stele__part_leave(subject.with, &subject.part);
    stele_views_close(subject.part.views);
    stele_store_close(subject.with);
    stele_store_close(subject.plain);
    sqlite3_finalize(subject.upsert);
    bare_close(subject.bare);
    remove_store(with);
    remove_store(plain);
    remove_store(bare);
}

int main(int argc, char **argv)
{
    struct bench bench;

    bench_open(&bench, argc, argv, "Measure what a view in the transaction of each append costs.");
    bench_inline(&bench);
    bench_close(&bench);
    return EXIT_SUCCESS;
}
