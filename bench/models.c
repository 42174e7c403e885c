/*
 * What a read model out of an SQL file costs to build.
 *
 * A log of readings of 1,000 meters is brought into a table with a row for each meter. "model_build": the model of
 * stele/model.h, a sum for each meter, indexed by it. "model_build_narrow": the cheapest table there is, one tree
 * and no index, where reading the log weighs most. `other` is bare SQLite doing the same upserts from memory, 500 a
 * transaction, on a file set up in the same way; figures are events a second. "model_beside": built beside a version
 * that is there, and swapped. "model_memory": the most memory a process has that builds it, in MiB, the log's reading
 * included.
 */
#include "bench/readings.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

enum { METERS = 1000, BATCH = 500, WAIT_MS = 600000 };

/* A model, and the parts of it that bare SQLite runs. */
struct shape {
    const char *table, *upsert, *model;
};
#define SHAPE(table_sql, upsert_sql) \
    { \
        table_sql, upsert_sql, \
            "--! projection meters 1\n" table_sql ";\n--! on bench.reading.taken\n" upsert_sql ";\n" \
    }
static const struct shape indexed = SHAPE(
    "CREATE TABLE meter(name TEXT PRIMARY KEY, amount INTEGER NOT NULL) STRICT; "
    "CREATE INDEX meter_by_amount ON meter(amount)",
    "INSERT INTO meter VALUES(:stream, :amount) ON CONFLICT(name) DO UPDATE SET amount = amount + excluded.amount");
static const struct shape narrow = SHAPE(
    "CREATE TABLE meter(name TEXT PRIMARY KEY, amount INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    "INSERT INTO meter VALUES(:stream, :amount) ON CONFLICT(name) DO UPDATE SET amount = amount + excluded.amount");

struct row {
    char name[32];
    int64_t amount;
};

struct subject {
    stele_store *store;
    const struct shape *shape;
    stele_model *model;
    const char *path; /* of the store */
    const char *read;
    struct row *rows;
    uint64_t events;
};

/* --- Ours ---------------------------------------------------------------------------- */

static void build(const struct subject *subject, stele_store *store, bool rebuild)
{
    struct stele_model_options options = STELE_OPTIONS_INIT(struct stele_model_options);
    stele_runtime *runtime = NULL;
    stele_subscription *running = NULL;
    stele_error *error = NULL;

    options.until = STELE_UNTIL_HEAD;
    options.rebuild = rebuild;
    bench_must(stele_runtime_new(1, NULL, &runtime, &error), error, "runtime");
    bench_must(stele_model_start(subject->model, store, runtime, subject->read, &options, &running, &error), error,
               "start");
    bench_must(stele_subscription_join(running, WAIT_MS, &error), error, "build");
    stele_subscription_free(running);
    stele_runtime_free(runtime);
}

static void forget(const struct subject *subject)
{
    char *path = NULL;

    if (asprintf(&path, "%s", subject->read) < 0)
        exit(EXIT_FAILURE);
    remove_store(path);
}

static double build_ours(void *context)
{
    const struct subject *subject = context;
    double start;

    forget(subject);
    start = bench_seconds();
    build(subject, subject->store, false);
    return (double)subject->events / (bench_seconds() - start);
}

static double build_beside(void *context)
{
    const struct subject *subject = context;
    const double start = bench_seconds();

    build(subject, subject->store, true);
    return (double)subject->events / (bench_seconds() - start);
}

/* In a process of its own. */
static double measure_memory(void *context)
{
    const struct subject *subject = context;
    stele_store *store = open_store(subject->path);

    build(subject, store, true);
    stele_store_close(store);
    return (double)bench_peak() / 1024;
}

/* --- Bare SQLite -------------------------------------------------------------------------- */

static void must(int code, sqlite3 *db, const char *doing)
{
    if (code == SQLITE_OK || code == SQLITE_DONE)
        return;
    fprintf(stderr, "bench: %s: %s\n", doing, sqlite3_errmsg(db));
    exit(EXIT_FAILURE);
}

static sqlite3 *open_bare(const struct subject *subject)
{
    sqlite3 *db = NULL;

    must(sqlite3_open(subject->read, &db), db, "open");
    must(sqlite3_exec(db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 4000",
                      NULL, NULL, NULL),
         db, "set up");
    must(sqlite3_exec(db, subject->shape->table, NULL, NULL, NULL), db, "create");
    return db;
}

static void upsert(sqlite3 *db, sqlite3_stmt *statement, const struct row *row)
{
    sqlite3_bind_text(statement, 1, row->name, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 2, row->amount);
    must(sqlite3_step(statement), db, "upsert");
    sqlite3_reset(statement);
}

static double build_bare(void *context)
{
    const struct subject *subject = context;
    sqlite3_stmt *statement = NULL;
    sqlite3 *db;
    double start;

    forget(subject);
    start = bench_seconds();
    db = open_bare(subject);
    must(sqlite3_prepare_v2(db, subject->shape->upsert, -1, &statement, NULL), db, "prepare");
    for (uint64_t i = 0; i < subject->events; i++) {
        if (i % BATCH == 0)
            must(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), db, "begin");
        upsert(db, statement, &subject->rows[i]);
        if (i % BATCH == BATCH - 1)
            must(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), db, "commit");
    }
    if (!sqlite3_get_autocommit(db))
        must(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), db, "commit");
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return (double)subject->events / (bench_seconds() - start);
}

/* --- All ------------------------------------------------------------------------------------- */

static void use(struct subject *subject, const struct shape *shape)
{
    stele_error *error = NULL;

    stele_model_free(subject->model);
    subject->shape = shape;
    bench_must(stele_model_parse((struct stele_slice){shape->model, strlen(shape->model)}, "bench.sql", &subject->model,
                                 &error),
               error, "model");
}

static void run(struct bench *bench, struct subject *subject)
{
    const struct shape *const shapes[] = {&indexed, &indexed, &narrow};
    const struct bench_case cases[] = {
        {.name = "model_build",
         .unit = "events/s",
         .ours = build_ours,
         .other = build_bare,
         .context = subject,
         .goal = {.at_least = 0.7}},
        {.name = "model_beside", .unit = "events/s", .ours = build_beside, .context = subject},
        {.name = "model_build_narrow",
         .unit = "events/s",
         .ours = build_ours,
         .other = build_bare,
         .context = subject,
         .goal = {.at_least = 0.7}},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (bench_wants(bench, cases[i].name)) {
            use(subject, shapes[i]);
            forget(subject);
            build(subject, subject->store, false);
            bench_run(bench, &cases[i]);
        }
}

static double memory_in_child(void *context)
{
    return bench_in_child(measure_memory, context);
}

int main(int argc, char **argv)
{
    struct bench bench;
    struct subject subject = {0};
    char *path, *read;

    bench_open(&bench, argc, argv, "Build read models out of SQL files.");
    subject.path = path = path_of(&bench, "models.db");
    subject.read = read = path_of(&bench, "models-read.db");
    subject.events = bench.events;
    subject.store = open_store(path);
    fill(subject.store, METERS, subject.events);
    use(&subject, &indexed);
    if (bench_wants(&bench, "model_memory")) {
        const struct bench_case memory = {.name = "model_memory",
                                          .unit = "MiB",
                                          .ours = memory_in_child,
                                          .context = &subject,
                                          .goal = {.at_most = 64}};

        stele_store_close(subject.store);
        bench_run(&bench, &memory);
        subject.store = open_store(path);
    }
    subject.rows = calloc(subject.events, sizeof(*subject.rows));
    for (uint64_t i = 0; i < subject.events; i++) {
        stream_name((unsigned)(i % METERS), subject.rows[i].name);
        subject.rows[i].amount = (int64_t)(i % 1000);
    }
    run(&bench, &subject);
    free(subject.rows);
    stele_model_free(subject.model);
    stele_store_close(subject.store);
    remove_store(read);
    remove_store(path);
    bench_close(&bench);
    return EXIT_SUCCESS;
}
