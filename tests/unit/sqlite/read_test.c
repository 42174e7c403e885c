/* Reading below the front: bounded snapshots, many names, several readers. */
#include "tests/unit/sqlite/fixture.h"

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- A large store -------------------------------------------------------------------- */

enum { BATCH = 10000, BATCHES = 7, STREAMS = 34000 };

static void print_name(unsigned n, char name[32])
{
    snprintf(name, 32, "s-%05u", n % STREAMS);
}

/* 70,000 events in 34,000 streams: more rows than one snapshot visits, more streams than a table of names holds. */
static stele_store *open_large(void)
{
    static char names[BATCH][32];
    static struct stele_record records[BATCH];
    static char ids[BATCH][16];
    stele_store *store = fixture_open_with(STELE_OPEN_CREATE, "sync=off");

    for (unsigned batch = 0; batch < BATCHES; batch++) {
        struct stele_append_member member = {.records = records, .record_count = BATCH};

        for (unsigned i = 0; i < BATCH; i++) {
            const unsigned n = batch * BATCH + i;

            print_name(n, names[i]);
            snprintf(ids[i], sizeof(ids[i]), "%u", n);
            records[i] = (struct stele_record){.stream = support_slice(names[i]),
                                               .type = support_slice(n % 10 ? "often" : "rare"),
                                               .type_version = 1,
                                               .id = support_slice(ids[i]),
                                               .time = n,
                                               .payload = support_slice(ids[i])};
        }
        store->ops->append(store->backend, &member, 1);
        assert_int_equal(member.status, STELE_OK);
    }
    return store;
}

struct seen {
    uint64_t count;
    uint64_t last;
    bool right;
};

static bool see(void *context, const struct stele_record *record)
{
    struct seen *seen = context;
    const unsigned n = (unsigned)record->position - 1;
    char name[32];

    print_name(n, name);
    seen->right = seen->right && strcmp(record->stream.data, name) == 0 && record->version == n / STREAMS + 1 &&
                  strcmp(record->type.data, n % 10 ? "often" : "rare") == 0;
    seen->count++;
    seen->last = record->position;
    return true;
}

static void a_snapshot_ends_after_a_bounded_number_of_rows(void **state)
{
    stele_store *store = open_large();
    struct stele_scan scan = {.until = STELE_VERSION_MAX, .limit = UINT64_MAX};
    struct stele_scan_end end = {0};
    struct seen seen = {.right = true};
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele__sqlite_read(store->backend, &scan, see, &seen, &end, &error), error);
    assert_false(end.done);
    assert_int_equal(end.last, SQLITE_STORE_LOOKED_MAX);
    assert_int_equal(end.head, BATCH * BATCHES);
    scan.after = end.last;
    assert_ok(stele__sqlite_read(store->backend, &scan, see, &seen, &end, &error), error);
    assert_true(end.done);
    assert_int_equal(end.last, BATCH * BATCHES);
    assert_int_equal(seen.count, BATCH * BATCHES);
    assert_true(seen.right);

    /* Rows that are only looked at count too. */
    scan = (struct stele_scan){
        .until = STELE_VERSION_MAX, .limit = UINT64_MAX, .backwards = true, .type = support_slice("rare")};
    seen = (struct seen){.right = true};
    assert_ok(stele__sqlite_read(store->backend, &scan, see, &seen, &end, &error), error);
    assert_false(end.done);
    assert_int_equal(end.last, BATCH * BATCHES - SQLITE_STORE_LOOKED_MAX + 1);
    scan.after = end.last;
    assert_ok(stele__sqlite_read(store->backend, &scan, see, &seen, &end, &error), error);
    assert_true(end.done);
    assert_int_equal(seen.count, BATCH * BATCHES / 10);
    assert_true(seen.right);

    /* A category is a prefix of names. */
    scan = (struct stele_scan){.until = 20000, .limit = UINT64_MAX, .category = support_slice("s-000")};
    seen = (struct seen){.right = true};
    assert_ok(stele__sqlite_read(store->backend, &scan, see, &seen, &end, &error), error);
    assert_int_equal(seen.count, 100);
    assert_int_equal(end.last, 20000);
    stele_store_close(store);
}

struct names {
    uint64_t count;
    char last[32];
    bool ordered;
    int direction;
};

static bool see_stream(void *context, const struct stele_stream *stream)
{
    struct names *names = context;

    if (names->count)
        names->ordered = names->ordered && strcmp(stream->name.data, names->last) * names->direction > 0;
    snprintf(names->last, sizeof(names->last), "%s", stream->name.data);
    names->count++;
    return true;
}

static void a_listing_longer_than_a_page_has_every_stream_once_and_in_order(void **state)
{
    stele_store *store = open_large();
    struct stele_stream_query query = {.size = sizeof(query), .limit = UINT64_MAX};
    stele_error *error = NULL;

    (void)state;
    for (int backwards = 0; backwards <= 1; backwards++) {
        struct names names = {.ordered = true, .direction = backwards ? -1 : 1};

        query.backwards = backwards != 0;
        assert_ok(stele__sqlite_streams(store->backend, &query, see_stream, &names, &error), error);
        assert_int_equal(names.count, STREAMS);
        assert_true(names.ordered);
    }
    stele_store_close(store);
}

/* --- Names with odd bytes --------------------------------------------------------------- */

static size_t list(stele_store *store, const char *category, const char *after, bool backwards)
{
    const struct stele_stream_query query = {
        .size = sizeof(query), .category = category, .after = after, .backwards = backwards, .limit = 100};
    struct names names = {.ordered = true, .direction = backwards ? -1 : 1};
    stele_error *error = NULL;

    assert_ok(stele__sqlite_streams(store->backend, &query, see_stream, &names, &error), error);
    assert_true(names.ordered);
    return names.count;
}

static void prefixes_end_where_the_next_byte_begins(void **state)
{
    static const char *const streams[] = {"a", "a-1", "a-2", "a.", "b", "\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbfz"};
    stele_store *store = fixture_open();
    stele_error *error = NULL;

    (void)state;
    for (unsigned i = 0; i < sizeof(streams) / sizeof(streams[0]); i++)
        assert_ok(fixture_append(store, streams[i], i, &error), error);
    for (int backwards = 0; backwards <= 1; backwards++) {
        assert_int_equal(list(store, NULL, NULL, backwards), 7);
        assert_int_equal(list(store, "a", NULL, backwards), 4);
        assert_int_equal(list(store, "a-", NULL, backwards), 2);
        assert_int_equal(list(store, "\xf4\x8f\xbf\xbf", NULL, backwards), 2);
        assert_int_equal(list(store, "\xff\xff", NULL, backwards), 0);
        assert_int_equal(list(store, "c", NULL, backwards), 0);
    }
    assert_int_equal(list(store, "a", "a-1", false), 2);
    assert_int_equal(list(store, "a", "a-1", true), 1);
    assert_int_equal(list(store, "a-", "a", false), 2);
    assert_int_equal(list(store, "a-", "a", true), 0);
    assert_int_equal(list(store, "a-", "zzz", false), 0);
    assert_int_equal(list(store, "a-", "zzz", true), 2);
    stele_store_close(store);
}

/* --- Threads -------------------------------------------------------------------------------- */

struct reading {
    pthread_t thread;
    stele_store *store;
    atomic_bool *stop;
    bool right;
    unsigned rounds;
};

/* Read the log again and again: it only grows, and has no holes. */
static void *read_on(void *context)
{
    struct reading *reading = context;
    uint64_t before = 0;

    reading->right = true;
    do {
        struct stele_scan scan = {.until = STELE_VERSION_MAX, .limit = UINT64_MAX};
        struct stele_scan_end end;
        struct seen seen = {0};

        reading->right =
            reading->right && stele__sqlite_read(reading->store->backend, &scan, see, &seen, &end, NULL) == STELE_OK;
        reading->right = reading->right && seen.count == end.head && seen.last == end.head && end.head >= before;
        before = end.head;
        reading->rounds++;
    } while (!atomic_load(reading->stop));
    return NULL;
}

static void more_readers_than_connections_see_whole_snapshots_beside_a_writer(void **state)
{
    enum { THREADS = SQLITE_STORE_READERS_MAX + 4 };
    stele_store *store = fixture_open_with(STELE_OPEN_CREATE, "sync=off");
    struct reading readings[THREADS];
    atomic_bool stop = false;

    (void)state;
    fixture_inside(store)->checkpoint_pages = fixture_inside(store)->writer.checkpoint_at = 25;
    for (unsigned i = 0; i < THREADS; i++) {
        readings[i] = (struct reading){.store = store, .stop = &stop};
        assert_int_equal(pthread_create(&readings[i].thread, NULL, read_on, &readings[i]), 0);
    }
    fixture_fill(store, 1, 300);
    atomic_store(&stop, true);
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(readings[i].thread, NULL);
        assert_true(readings[i].right);
        assert_true(readings[i].rounds > 0);
    }
    assert_in_range(fixture_inside(store)->readers, 1, SQLITE_STORE_READERS_MAX);
    stele_store_close(store);
}

/* --- Memory ------------------------------------------------------------------------------------ */

static bool ignore(void *context, const struct stele_record *record)
{
    (void)context;
    (void)record;
    return true;
}

static stele_status read_by_type(void *context, stele_error **error)
{
    const struct stele_scan scan = {.until = STELE_VERSION_MAX,
                                    .limit = UINT64_MAX,
                                    .type = support_slice("thing.*"),
                                    .category = support_slice("stream")};
    struct stele_scan_end end;
    stele_store *store = NULL;
    stele_status status = fixture_try(STELE_OPEN_READ_ONLY, NULL, &store, error);

    (void)context;
    if (status == STELE_OK)
        status = stele__sqlite_read(store->backend, &scan, ignore, NULL, &end, error);
    stele_store_close(store);
    return status;
}

static stele_status list_streams(void *context, stele_error **error)
{
    const struct stele_stream_query query = {.size = sizeof(query), .category = "stream", .limit = UINT64_MAX};
    struct names names = {0};
    stele_store *store = NULL;
    stele_status status = fixture_try(STELE_OPEN_READ_ONLY, NULL, &store, error);

    (void)context;
    if (status == STELE_OK)
        status = stele__sqlite_streams(store->backend, &query, see_stream, &names, error);
    stele_store_close(store);
    return status;
}

static void memory_that_runs_out_in_a_read_is_told(void **state)
{
    (void)state;
    fixture_make(12);
    assert_true(support_every_allocation_fails(read_by_type, NULL) > 0);
    assert_true(support_every_allocation_fails(list_streams, NULL) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(a_snapshot_ends_after_a_bounded_number_of_rows),
        support_test(a_listing_longer_than_a_page_has_every_stream_once_and_in_order),
        support_test(prefixes_end_where_the_next_byte_begins),
        support_test(more_readers_than_connections_see_whole_snapshots_beside_a_writer),
        support_test(memory_that_runs_out_in_a_read_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
