/*
 * Projections in C: how fast a log is folded, how soon a commit is in a read model.
 *
 * "replay_*" fold a log of small events (two fields) into a struct: read, decoded, dispatched,
 * from subscription to position; the figure is millions of events a second, "scan_*" the same log read by a
 * cursor and not decoded. "applied_same" and "applied_other" are milliseconds from a commit to
 * the moment when a wait for it returns, in the process that commits and in another. "rebuild_memory" is the memory that
 * building views of the whole log takes, in MiB.
 */
#include "bench/readings.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOVED(FIELD, T) FIELD(T, TEXT, account) FIELD(T, INT64, amount)
STELE_DECLARE(moved, MOVED);
STELE_DEFINE_EVENT(moved, "bench.moved", 1, MOVED);

#define POT(FIELD, T) FIELD(T, TEXT, account) FIELD(T, INT64, amount)
STELE_DECLARE_VIEW(pot, POT);
STELE_DEFINE_VIEW(pot, "pot", 1, POT, "account");

enum { BATCH = 1000, ACCOUNTS = 1000, COMMITS = 400, WAIT_MS = 120000 };

struct sums {
    int64_t sum;
    uint64_t count;
};

static stele_status sum(struct sums *model, const struct moved *event, stele_projecting *at)
{
    (void)at;
    model->sum += event->amount;
    model->count++;
    return STELE_OK;
}
STELE_DEFINE_PROJECT_WITH(sum, moved, sums)

static void reset(void *model)
{
    *(struct sums *)model = (struct sums){0};
}

static const struct stele_projection_on sums_on[] = {{&moved_type, sum_project}};
static const struct stele_projection sums = {
    .name = "sums",
    .version = 1,
    .kind = STELE_PROJECTION_IN_MEMORY,
    .on = sums_on,
    .on_count = 1,
    .reset = reset,
};

static stele_status move(stele_views *views, const struct moved *event, stele_projecting *at)
{
    struct pot row = {.account = event->account};
    const stele_status status = pot_get(views, &row, stele_projecting_arena(at), &row, NULL);

    if (status != STELE_OK && status != STELE_NOT_FOUND)
        return status;
    row.account = event->account;
    row.amount += event->amount;
    return pot_upsert(views, &row, stele_projecting_error(at));
}
STELE_DEFINE_PROJECT(move, moved)

static const struct stele_projection_on pots_on[] = {{&moved_type, move_project}};
static const struct stele_view *const pots_views[] = {&pot_view, NULL};
static const struct stele_projection pots = {
    .name = "pots",
    .version = 1,
    .kind = STELE_PROJECTION_IN_FILE,
    .on = pots_on,
    .on_count = 1,
    .views = pots_views,
};

struct subject {
    stele_store *store;
    const char *path;
    const char *views;
    uint64_t events;
};

/* --- Logs ------------------------------------------------------------------------------------ */

static void append_moves(stele_store *store, uint64_t from, unsigned count)
{
    static char names[BATCH][32];
    struct stele_write writes[BATCH];
    stele_message *messages[BATCH];
    stele_error *error = NULL;

    for (unsigned i = 0; i < count; i++) {
        struct moved payload = {.amount = (int64_t)(from + i)};

        stream_name((unsigned)((from + i) % ACCOUNTS), names[i]);
        payload.account = names[i];
        bench_must(moved_message(&payload, NULL, &messages[i], &error), error, "message");
        writes[i] = (struct stele_write){names[i], messages[i]};
    }
    bench_must(stele_append_batch(store, &(struct stele_batch){.writes = writes, .write_count = count}, NULL, &error),
               error, "append");
    for (unsigned i = 0; i < count; i++)
        stele_message_unref(messages[i]);
}

static void fill_moves(stele_store *store, uint64_t events)
{
    for (uint64_t at = 0; at < events; at += BATCH)
        append_moves(store, at, BATCH);
}

/* --- Running --------------------------------------------------------------------------------------- */

struct running {
    stele_runtime *runtime;
    stele_projections *projections;
};

static void begin(struct running *running, stele_store *store, const char *views)
{
    struct stele_projections_options options = STELE_OPTIONS_INIT(struct stele_projections_options);
    stele_error *error = NULL;

    options.file = views;
    bench_must(stele_runtime_new(2, NULL, &running->runtime, &error), error, "runtime");
    bench_must(stele_projections_new(store, running->runtime, &options, &running->projections, &error), error,
               "projections");
}

static void add(const struct running *running, const struct stele_projection *projection, void *model)
{
    stele_error *error = NULL;

    bench_must(stele_projections_add(running->projections, projection, model, &error), error, "add");
}

static void wait_for(const struct running *running, uint64_t position)
{
    stele_error *error = NULL;

    bench_must(stele_projections_wait(running->projections, NULL, position, WAIT_MS, &error), error, "wait");
}

static void end(const struct running *running)
{
    stele_projections_free(running->projections);
    stele_runtime_free(running->runtime);
}

/* --- Replay ----------------------------------------------------------------------------------------------- */

static double replay(void *context)
{
    const struct subject *subject = context;
    struct sums model = {0};
    struct running running;
    double start;
    double seconds;

    begin(&running, subject->store, NULL);
    start = bench_seconds();
    add(&running, &sums, &model);
    wait_for(&running, subject->events);
    seconds = bench_seconds() - start;
    end(&running);
    if (model.count != subject->events)
        abort();
    return (double)subject->events / seconds / 1e6;
}

static double scan(void *context)
{
    const struct subject *subject = context;
    const stele_message *message = NULL;
    stele_cursor *cursor = NULL;
    stele_error *error = NULL;
    uint64_t count = 0;
    const double start = bench_seconds();

    bench_must(stele_read(subject->store, NULL, &cursor, &error), error, "read");
    for (;; count++) {
        bench_must(stele_cursor_next(cursor, &message, &error), error, "next");
        if (!message)
            break;
    }
    stele_cursor_close(cursor);
    if (count < subject->events)
        abort();
    return (double)subject->events / (bench_seconds() - start) / 1e6;
}

static void bench_log(struct bench *bench, const char *url, const char *replayed, double at_least, const char *scanned)
{
    struct subject subject = {.events = bench->events - bench->events % BATCH};

    if (!bench_wants(bench, replayed) && !bench_wants(bench, scanned))
        return;
    subject.store = open_store(url);
    fill_moves(subject.store, subject.events);
    bench_run(bench, &(struct bench_case){replayed, "M/s", replay, NULL, &subject, {at_least, 0}});
    bench_run(bench, &(struct bench_case){scanned, "M/s", scan, NULL, &subject, {0, 0}});
    stele_store_close(subject.store);
}

static void bench_replay(struct bench *bench)
{
    char *path = path_of(bench, "replay");

    bench_log(bench, "memory:", "replay_memory", 5, "scan_memory");
    bench_log(bench, path, "replay_sqlite", 3, "scan_sqlite");
    remove_store(path);
}

/* --- Applied ------------------------------------------------------------------------------------------------ */

static double applied_same(void *context)
{
    const struct subject *subject = context;
    stele_store *store = open_store(subject->path);
    double figures[COMMITS];
    struct running running;
    uint64_t head = 0;

    begin(&running, store, subject->views);
    add(&running, &pots, NULL);
    for (unsigned i = 0; i < COMMITS; i++) {
        double committed;
        stele_error *error = NULL;

        append_moves(store, i, 1);
        committed = bench_seconds();
        bench_must(stele_wait(store, head, 0, &head, &error), error, "head");
        wait_for(&running, head);
        figures[i] = (bench_seconds() - committed) * 1e3;
    }
    end(&running);
    stele_store_close(store);
    return bench_percentile(figures, COMMITS, 50);
}

/* The other process: commits when it is told to, and says when. */
static void commit_on_demand(const char *path, int orders, int times)
{
    stele_store *store = open_store(path);
    char order;

    while (read(orders, &order, 1) == 1) {
        double committed;

        append_moves(store, 0, 1);
        committed = bench_seconds();
        if (write(times, &committed, sizeof(committed)) != sizeof(committed))
            break;
    }
    stele_store_close(store);
    _exit(0);
}

static double applied_other(void *context)
{
    const struct subject *subject = context;
    double figures[COMMITS];
    int orders[2], times[2];
    stele_store *store;
    struct running running;
    uint64_t head = 0;
    pid_t child;

    if (pipe(orders) != 0 || pipe(times) != 0)
        abort();
    child = fork();
    if (child == 0) {
        close(orders[1]);
        close(times[0]);
        commit_on_demand(subject->path, orders[0], times[1]);
    }
    close(orders[0]);
    close(times[1]);
    store = open_store(subject->path);
    begin(&running, store, subject->views);
    add(&running, &pots, NULL);
    stele_wait(store, 0, 0, &head, NULL);
    wait_for(&running, head);
    for (unsigned i = 0; i < COMMITS; i++) {
        double committed;

        if (write(orders[1], "", 1) != 1)
            abort();
        wait_for(&running, ++head);
        figures[i] = bench_seconds();
        if (read(times[0], &committed, sizeof(committed)) != sizeof(committed))
            abort();
        figures[i] = (figures[i] - committed) * 1e3;
    }
    end(&running);
    stele_store_close(store);
    close(orders[1]);
    close(times[0]);
    waitpid(child, NULL, 0);
    return bench_percentile(figures, COMMITS, 50);
}

static void bench_applied(struct bench *bench, const char *name, bench_side *side, double at_most)
{
    char *path = path_of(bench, name);
    char *views = path_of(bench, "views");
    struct subject subject = {.path = path, .views = views};

    bench_run(bench, &(struct bench_case){name, "ms", side, NULL, &subject, {0, at_most}});
    remove_store(views);
    remove_store(path);
}

/* --- Memory ------------------------------------------------------------------------------------------------------- */

static double build_views(void *context)
{
    const struct subject *subject = context;
    stele_store *store = open_store(subject->path);
    struct running running;
    long before;
    double figure;

    bench_reset_peak();
    before = bench_resident();
    begin(&running, store, subject->views);
    add(&running, &pots, NULL);
    wait_for(&running, subject->events);
    figure = (double)(bench_peak() - before) / 1024;
    end(&running);
    stele_store_close(store);
    return figure;
}

static double build_in_child(void *context)
{
    const struct subject *subject = context;
    const double figure = bench_in_child(build_views, context);
    char *views = strdup(subject->views);

    remove_store(views);
    return figure;
}

static void bench_memory(struct bench *bench)
{
    char *path = path_of(bench, "long");
    char *views = path_of(bench, "views");
    struct subject subject = {.path = path, .views = views, .events = bench->events - bench->events % BATCH};

    subject.store = open_store(path);
    fill_moves(subject.store, subject.events);
    stele_store_close(subject.store);
    bench_run(bench, &(struct bench_case){"rebuild_memory", "MiB", build_in_child, NULL, &subject, {0, 64}});
    remove_store(views);
    remove_store(path);
}

int main(int argc, char **argv)
{
    struct bench bench;

    bench_open(&bench, argc, argv, "Measure how fast projections in C follow a log.");
    bench_replay(&bench);
    if (bench_wants(&bench, "applied_same"))
        bench_applied(&bench, "applied_same", applied_same, 1);
    if (bench_wants(&bench, "applied_other"))
        bench_applied(&bench, "applied_other", applied_other, 5);
    if (bench_wants(&bench, "rebuild_memory"))
        bench_memory(&bench);
    bench_close(&bench);
    return EXIT_SUCCESS;
}
