/*
 * Read models: rows upserted through a view, 500 a transaction, beside bare
 * SQLite with one prepared statement on a table of the same columns, and the
 * same pages read.
 *
 * Both sides write the same rows over the same keys, each into a file of its
 * own with a write-ahead log and synchronous = NORMAL.
 */
#include "bench/bench.h"

#include <stele/view.h>

#include <inttypes.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BATCH = 500, BATCHES = 200, KEYS = 20000, NAME = 32, PATH = 4096 };

#define BALANCE(FIELD, T) \
    FIELD(T, TEXT, account, STELE_NON_EMPTY) \
    FIELD(T, INT64, amount) \
    FIELD(T, UINT64, bookings) \
    FIELD(T, OPTIONAL(TEXT), note) \
    FIELD(T, TIME, changed)
STELE_DECLARE_VIEW(balance, BALANCE);
STELE_DEFINE_VIEW(balance, "balance", 1, BALANCE, "account");

struct views_case {
    stele_views *views;
    stele_arena *arena;
    sqlite3 *bare;
    sqlite3_stmt *upsert;
    uint64_t serial; /* of the rows, the same on both sides */
};

static void must_sqlite(const struct views_case *subject, int code)
{
    if (code == SQLITE_OK || code == SQLITE_DONE)
        return;
    fprintf(stderr, "SQLite: %s\n", sqlite3_errmsg(subject->bare));
    exit(1);
}

static void run(const struct views_case *subject, const char *sql)
{
    must_sqlite(subject, sqlite3_exec(subject->bare, sql, NULL, NULL, NULL));
}

static struct balance make_row(uint64_t serial, char name[NAME])
{
    snprintf(name, NAME, "account-%08" PRIu64, serial * 7919 % KEYS);
    return (struct balance){.account = name,
                            .amount = (int64_t)serial,
                            .bookings = serial / 3,
                            .note = serial % 2 ? "paid in at the counter" : NULL,
                            .changed = (int64_t)serial * 1000};
}

static double upsert_ours(void *context)
{
    struct views_case *subject = context;
    const double start = bench_seconds();
    uint64_t serial = subject->serial;
    char name[NAME];
    stele_error *error = NULL;

    for (int batch = 0; batch < BATCHES; batch++) {
        bench_must(stele_views_begin(subject->views, &error), error, "begin");
        for (int i = 0; i < BATCH; i++) {
            const struct balance row = make_row(serial++, name);

            bench_must(balance_upsert(subject->views, &row, &error), error, "upsert");
        }
        bench_must(stele_views_commit(subject->views, &error), error, "commit");
    }
    return BATCHES * BATCH / (bench_seconds() - start);
}

static void upsert_bare_row(const struct views_case *subject, const struct balance *row)
{
    sqlite3_stmt *upsert = subject->upsert;

    sqlite3_bind_text(upsert, 1, row->account, -1, SQLITE_STATIC);
    sqlite3_bind_int64(upsert, 2, row->amount);
    sqlite3_bind_int64(upsert, 3, (int64_t)row->bookings);
    sqlite3_bind_text(upsert, 4, row->note, -1, SQLITE_STATIC);
    sqlite3_bind_int64(upsert, 5, row->changed);
    must_sqlite(subject, sqlite3_step(upsert));
    sqlite3_reset(upsert);
}

static double upsert_bare(void *context)
{
    struct views_case *subject = context;
    const double start = bench_seconds();
    char name[NAME];

    for (int batch = 0; batch < BATCHES; batch++) {
        run(subject, "BEGIN IMMEDIATE");
        for (int i = 0; i < BATCH; i++) {
            const struct balance row = make_row(subject->serial++, name);

            upsert_bare_row(subject, &row);
        }
        run(subject, "COMMIT");
    }
    return BATCHES * BATCH / (bench_seconds() - start);
}

/* Every page by cursor, 100 rows each. */
static double page_ours(void *context)
{
    const struct views_case *subject = context;
    struct stele_view_query query = {.per_page = 100, .after = ""};
    const double start = bench_seconds();
    struct balance_page page = {0};
    uint64_t rows = 0;
    stele_error *error = NULL;

    stele_arena_reset(subject->arena);
    while (query.after) {
        bench_must(balance_list(subject->views, &query, subject->arena, &page, &error), error, "list");
        rows += page.count;
        query.after = page.next;
    }
    return (double)rows / (bench_seconds() - start);
}

static double page_bare(void *context)
{
    const struct views_case *subject = context;
    const double start = bench_seconds();
    sqlite3_stmt *page = NULL;
    char last[NAME] = "";
    uint64_t rows = 0;
    uint64_t before;

    must_sqlite(subject, sqlite3_prepare_v2(subject->bare,
                                            "SELECT account, amount, bookings, note, changed FROM balance "
                                            "WHERE account > ? ORDER BY account LIMIT 100",
                                            -1, &page, NULL));
    do {
        before = rows;
        sqlite3_bind_text(page, 1, last, -1, SQLITE_TRANSIENT);
        while (sqlite3_step(page) == SQLITE_ROW) {
            snprintf(last, sizeof(last), "%s", (const char *)sqlite3_column_text(page, 0));
            for (int i = 1; i < 5; i++)
                sqlite3_column_bytes(page, i);
            rows++;
        }
        sqlite3_reset(page);
    } while (rows > before);
    sqlite3_finalize(page);
    return (double)rows / (bench_seconds() - start);
}

static void remove_files(const char *path)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    char file[PATH + 8];

    for (int i = 0; i < 3; i++) {
        snprintf(file, sizeof(file), "%s%s", path, suffixes[i]);
        unlink(file);
    }
}

static void open_case(struct views_case *subject, const char *ours, const char *bare)
{
    stele_error *error = NULL;

    remove_files(ours);
    remove_files(bare);
    bench_must(stele_arena_new(&subject->arena, &error), error, "make an arena");
    bench_must(stele_views_open(ours, NULL, &subject->views, &error), error, "open");
    bench_must(stele_view_create(subject->views, &balance_view, &error), error, "create the view");
    must_sqlite(subject, sqlite3_open(bare, &subject->bare));
    run(subject, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 4000;"
                 "CREATE TABLE balance(account TEXT NOT NULL, amount INTEGER NOT NULL, bookings INTEGER NOT NULL, "
                 "note TEXT, changed INTEGER NOT NULL, PRIMARY KEY(account)) STRICT, WITHOUT ROWID");
    must_sqlite(subject, sqlite3_prepare_v2(subject->bare,
                                            "INSERT INTO balance VALUES(?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
                                            "amount = excluded.amount, bookings = excluded.bookings, "
                                            "note = excluded.note, changed = excluded.changed",
                                            -1, &subject->upsert, NULL));
}

static void close_case(struct views_case *subject)
{
    sqlite3_finalize(subject->upsert);
    sqlite3_close(subject->bare);
    stele_views_close(subject->views);
    stele_arena_free(subject->arena);
}

int main(int argc, char **argv)
{
    struct views_case subject = {0};
    const struct bench_case cases[] = {
        {"views_upsert_500", "rows/s", upsert_ours, upsert_bare, &subject, {.at_least = 0.7}},
        {"views_pages_by_cursor", "rows/s", page_ours, page_bare, &subject, {0, 0}},
    };
    struct bench bench;
    char ours[PATH];
    char bare[PATH];

    bench_open(&bench, argc, argv, "Measure read models beside bare SQLite.");
    snprintf(ours, sizeof(ours), "%s/views-ours.db", bench.folder);
    snprintf(bare, sizeof(bare), "%s/views-bare.db", bench.folder);
    open_case(&subject, ours, bare);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (bench_wants(&bench, cases[i].name))
            bench_run(&bench, &cases[i]);
    close_case(&subject);
    remove_files(ours);
    remove_files(bare);
    bench_close(&bench);
    return EXIT_SUCCESS;
}
