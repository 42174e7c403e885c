/*
 * Much at once: batches of 1,000 events to many streams, a whole import, and
 * the bytes that an event takes in the end.
 *
 * "Other" is bare SQLite (bare.h) writing as many rows of the same columns, in
 * transactions as large. Only the appends are timed, not the making of what is
 * appended. An import is timed as its user sees it: the program `stele import`
 * from its start to its end, reading a file of the lines that `stele export`
 * writes; the bare side opens its file, inserts, and closes it.
 */
#include "bench/bare.h"
#include "bench/readings.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BATCH = 1000, BATCHES = 20, STREAMS = BARE_STREAMS };

/* --- one batch to many streams --------------------------------------------------- */

struct batch_case {
    stele_store *store;
    struct bare *bare;
    unsigned streams; /* that a batch goes to, in turn */
    bool expecting;   /* a version of each of them */
    int64_t serial;
    int64_t version; /* of every stream of the store */
    stele_message *messages[BATCH];
    char names[BATCH][32];
};

static void make_messages(struct batch_case *subject)
{
    for (unsigned i = 0; i < BATCH; i++) {
        subject->messages[i] = new_reading(subject->serial++);
        stream_name(i % subject->streams, subject->names[i]);
    }
}

static void free_messages(struct batch_case *subject)
{
    for (unsigned i = 0; i < BATCH; i++)
        stele_message_unref(subject->messages[i]);
}

static void append_batch(struct batch_case *subject)
{
    struct stele_write writes[BATCH];
    struct stele_expectation expectations[BATCH];
    struct stele_batch batch = {.writes = writes, .write_count = BATCH};
    stele_error *error = NULL;

    for (unsigned i = 0; i < BATCH; i++)
        writes[i] = (struct stele_write){.stream = subject->names[i], .event = subject->messages[i]};
    if (subject->expecting) {
        for (unsigned i = 0; i < subject->streams; i++)
            expectations[i] =
                (struct stele_expectation){subject->names[i], stele_expect_version((uint64_t)subject->version)};
        batch.expectations = expectations;
        batch.expectation_count = subject->streams;
    }
    bench_must(stele_append_batch(subject->store, &batch, NULL, &error), error, "append");
    subject->version += BATCH / subject->streams;
}

static void insert_batch(struct batch_case *subject)
{
    bare_step(subject->bare, subject->bare->begin);
    for (unsigned i = 0; i < BATCH; i++)
        bare_insert(subject->bare, i % subject->streams, subject->messages[i]);
    bare_step(subject->bare, subject->bare->commit);
}

static double time_batches(struct batch_case *subject, void (*write)(struct batch_case *))
{
    double seconds = 0;

    for (unsigned batch = 0; batch < BATCHES; batch++) {
        double start;

        make_messages(subject);
        start = bench_seconds();
        write(subject);
        seconds += bench_seconds() - start;
        free_messages(subject);
    }
    return BATCHES * BATCH / seconds;
}

static double batches_ours(void *context)
{
    return time_batches(context, append_batch);
}

static double batches_bare(void *context)
{
    return time_batches(context, insert_batch);
}

static void bench_batch(struct bench *bench, const char *name, unsigned streams, bool expecting, double goal)
{
    struct batch_case *subject = NULL;
    char *ours;
    char *other;

    if (!bench_wants(bench, name))
        return;
    subject = calloc(1, sizeof(*subject));
    if (!subject)
        bench_must(STELE_NO_MEMORY, NULL, name);
    ours = path_of(bench, "batch-ours");
    other = path_of(bench, "batch-bare");
    subject->streams = streams;
    subject->expecting = expecting;
    subject->store = open_store(ours);
    subject->bare = bare_open(other);
    /* Both logs at full length, both files with every stream in them. */
    batches_ours(subject);
    batches_bare(subject);
    bench_run(bench, &(struct bench_case){name, "events/s", batches_ours, batches_bare, subject, {.at_least = goal}});
    stele_store_close(subject->store);
    bare_close(subject->bare);
    free(subject);
    remove_store(ours);
    remove_store(other);
}

/* --- an import ------------------------------------------------------------------- */

struct import_case {
    const struct bench *bench;
    char *lines, *ours, *other;
};

/* Write the events of a store as `stele export` does. Runs in a child: the store is in memory. */
static double write_lines(void *context)
{
    const struct import_case *subject = context;
    struct stele_cloudevent_options options = STELE_OPTIONS_INIT(struct stele_cloudevent_options);
    stele_store *store = open_store("memory:");
    FILE *file = fopen(subject->lines, "w");
    stele_arena *arena = NULL;
    stele_cursor *cursor = NULL;
    const stele_message *message = NULL;
    stele_error *error = NULL;

    options.subject_from_stream = true;
    bench_must(file ? STELE_OK : STELE_IO, NULL, subject->lines);
    fill(store, STREAMS, subject->bench->events);
    bench_must(stele_arena_new(&arena, &error), error, "arena");
    bench_must(stele_read(store, NULL, &cursor, &error), error, "read");
    for (;;) {
        struct stele_slice line;

        bench_must(stele_cursor_next(cursor, &message, &error), error, "next");
        if (!message)
            break;
        bench_must(stele_cloudevent_encode(message, &options, arena, &line, &error), error, "encode");
        fprintf(file, "%.*s\n", STELE_SLICE(line));
        stele_arena_reset(arena);
    }
    stele_cursor_close(cursor);
    stele_arena_free(arena);
    stele_store_close(store);
    bench_must(fclose(file) == 0 ? STELE_OK : STELE_IO, NULL, subject->lines);
    return 0;
}

static void remove_files(const char *path)
{
    char *copy = strdup(path);

    if (!copy)
        bench_must(STELE_NO_MEMORY, NULL, path);
    remove_store(copy);
}

static double import_ours(void *context)
{
    const struct import_case *subject = context;
    double start;

    remove_files(subject->ours);
    start = bench_seconds();
    bench_tool(subject->bench, "import", subject->ours, subject->lines);
    return (double)subject->bench->events / (bench_seconds() - start);
}

/* The same number of rows in transactions of the same size; the making of the readings is not counted. */
static double import_bare(void *context)
{
    const struct import_case *subject = context;
    struct batch_case *batch = calloc(1, sizeof(*batch));
    double start;
    double seconds;

    if (!batch)
        bench_must(STELE_NO_MEMORY, NULL, "import");
    remove_files(subject->other);
    start = bench_seconds();
    batch->bare = bare_open(subject->other);
    batch->streams = STREAMS;
    seconds = bench_seconds() - start;
    for (uint64_t done = 0; done < subject->bench->events; done += BATCH) {
        make_messages(batch);
        start = bench_seconds();
        insert_batch(batch);
        seconds += bench_seconds() - start;
        free_messages(batch);
    }
    start = bench_seconds();
    bare_close(batch->bare);
    free(batch);
    return (double)subject->bench->events / (seconds + bench_seconds() - start);
}

static double size_of(const char *path)
{
    struct stat facts;

    bench_must(stat(path, &facts) == 0 ? STELE_OK : STELE_IO, NULL, path);
    return (double)facts.st_size;
}

/* The file after a checkpoint that left no log, as closing it does. */
static double bytes_ours(void *context)
{
    const struct import_case *subject = context;

    return size_of(subject->ours) / (double)subject->bench->events;
}

static double bytes_bare(void *context)
{
    const struct import_case *subject = context;

    return size_of(subject->other) / (double)subject->bench->events;
}

static double bytes_compacted(void *context)
{
    const struct import_case *subject = context;

    bench_tool(subject->bench, "compact", subject->ours, NULL);
    return bytes_ours(context);
}

static void bench_import(struct bench *bench)
{
    struct import_case subject = {bench, path_of(bench, "lines"), path_of(bench, "import-ours"),
                                  path_of(bench, "import-bare")};

    if (bench_wants(bench, "import")) {
        bench_in_child(write_lines, &subject);
        bench_run(bench,
                  &(struct bench_case){"import", "events/s", import_ours, import_bare, &subject, {.at_least = 0.60}});
        bench_run(bench, &(struct bench_case){
                             "import_bytes", "bytes/event", bytes_ours, bytes_bare, &subject, {.at_least = 0}});
        bench_run(bench,
                  &(struct bench_case){
                      "import_bytes_compacted", "bytes/event", bytes_compacted, NULL, &subject, {.at_most = 310}});
    }
    unlink(subject.lines);
    free(subject.lines);
    remove_store(subject.ours);
    remove_store(subject.other);
}

int main(int argc, char **argv)
{
    struct bench bench;

    bench_open(&bench, argc, argv, "Measure batches of a thousand and imports against bare SQLite.");
    bench_batch(&bench, "batch_1000_to_1000_streams", 1000, false, 0.80);
    bench_batch(&bench, "batch_1000_to_100_streams", 100, false, 0.80);
    bench_batch(&bench, "batch_1000_expecting_versions", 1000, true, 0);
    bench_import(&bench);
    bench_close(&bench);
    return EXIT_SUCCESS;
}
