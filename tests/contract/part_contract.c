/* What takes part in appends (C2, C3): views written in the transaction of each, on every backend. */
#include "tests/contract/contract.h"
#include "tests/support/tally.h"

#include <stele/types.h>
#include <stele/upcast.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { BATCH = 2 };

static void join(struct tally *tally, stele_store *store)
{
    stele_error *error = NULL;

    assert_ok(tally_open(tally, store, BATCH, &error), error);
}

static void assert_right(stele_store *store)
{
    char why[TALLY_TEXT];

    if (!tally_is_right(store, true, why))
        fail_msg("%s", why);
}

static struct tally_row row_of(stele_views *views, const char *stream)
{
    const struct tally_row key = {.stream = stream};
    struct tally_row row = {.events = -1};
    stele_arena *arena = NULL;
    stele_error *error = NULL;

    assert_ok(stele_arena_new(&arena, &error), error);
    if (tally_row_get(views, &key, arena, &row, NULL) != STELE_OK)
        row.events = 0;
    stele_arena_free(arena);
    return row;
}

static int64_t counted(stele_store *store, const char *stream)
{
    stele_views *views = NULL;
    stele_error *error = NULL;
    int64_t events;

    assert_ok(stele_views_of_store(store, &views, &error), error);
    events = row_of(views, stream).events;
    stele_views_close(views);
    return events;
}

static uint64_t checkpoint_of(stele_store *store)
{
    uint64_t position = UINT64_MAX;
    stele_error *error = NULL;

    assert_ok(stele_checkpoint_read(store, "tally", &position, &error), error);
    return position;
}

/* --- Joining -------------------------------------------------------------------------------- */

static void C3_an_acknowledged_event_is_in_the_view(void **state)
{
    stele_store *store = contract_open();
    struct tally tally;

    (void)state;
    join(&tally, store);
    for (int64_t i = 1; i <= 3; i++) {
        contract_append(store, "a", i);
        assert_int_equal(counted(store, "a"), i);
        assert_int_equal(checkpoint_of(store), i);
    }
    contract_append(store, "b", 1);
    assert_int_equal(counted(store, "b"), 1);
    assert_int_equal(tally.applied, 4);
    assert_right(store);
    tally_close(&tally);
    stele_store_close(store);
}

static void C3_joining_catches_up_in_batches_first(void **state)
{
    stele_store *store = contract_open();
    struct tally tally;

    (void)state;
    for (int64_t i = 1; i <= 5; i++)
        contract_append(store, "a", i);
    join(&tally, store);
    assert_int_equal(tally.applied, 5);
    assert_int_equal(counted(store, "a"), 5);
    assert_right(store);
    tally_close(&tally);
    stele_store_close(store);
}

static void C2_who_comes_back_goes_on_where_it_left(void **state)
{
    stele_store *store = contract_open();
    struct tally tally;

    (void)state;
    join(&tally, store);
    contract_append(store, "a", 1);
    tally_close(&tally);
    contract_append(store, "a", 2);
    contract_append(store, "b", 1);
    assert_int_equal(counted(store, "a"), 1);
    assert_int_equal(checkpoint_of(store), 1);
    store = contract_reopen(store);
    join(&tally, store);
    assert_int_equal(tally.applied, 2);
    assert_right(store);
    tally_close(&tally);
    stele_store_close(store);
}

static void C2_a_part_of_a_name_joins_once(void **state)
{
    stele_store *store = contract_open();
    struct tally tally, again;
    stele_error *error = NULL;

    (void)state;
    join(&tally, store);
    assert_status(STELE_INVALID, tally_open(&again, store, BATCH, &error), error);
    contract_append(store, "a", 1);
    assert_int_equal(counted(store, "a"), 1);
    tally_close(&tally);
    stele_store_close(store);
}

static void C2_a_checkpoint_beyond_the_log_is_a_conflict(void **state)
{
    stele_store *store = contract_open();
    struct tally tally;
    stele_error *error = NULL;

    (void)state;
    contract_append(store, "a", 1);
    contract_append(store, "a", 2);
    assert_ok(stele_checkpoint_write(store, "tally", STELE_NO_CHECKPOINT, 2, &error), error);
    join(&tally, store);
    assert_int_equal(tally.applied, 0);
    tally_close(&tally);
    stele_store_close(store);
}

static void C2_what_is_moved_by_hand_is_gone_on_from(void **state)
{
    stele_store *store = contract_open();
    struct tally tally;
    stele_error *error = NULL;

    (void)state;
    join(&tally, store);
    contract_append(store, "a", 1);
    contract_append(store, "a", 2);
    /* Somebody says that the second one is to be applied once more: so it is, before the third. */
    assert_ok(stele_checkpoint_write(store, "tally", 2, 1, &error), error);
    contract_append(store, "a", 3);
    assert_int_equal(counted(store, "a"), 4);
    assert_int_equal(checkpoint_of(store), 3);
    assert_ok(stele_checkpoint_delete(store, "tally", &error), error);
    assert_failure(STELE_INVALID, contract_try(store, "a", stele_expect_any(), 4, &error), error);
    assert_message(error, "deleted");
    stele_error_free(error);
    assert_int_equal(contract_version(store, "a"), 3);
    tally_close(&tally);
    contract_append(store, "a", 4);
    stele_store_close(store);
}

/* --- Refusing ------------------------------------------------------------------------------- */

static void D8_a_refused_append_is_nowhere(void **state)
{
    stele_store *store = contract_open();
    stele_message *event = contract_event(TALLY_REFUSED, 1, NULL);
    struct tally tally;
    stele_error *error = NULL;

    (void)state;
    join(&tally, store);
    contract_append(store, "a", 1);
    for (int i = 0; i < 2; i++) {
        assert_failure(STELE_REJECTED, stele_append(store, "a", stele_expect_any(), event, NULL, &error), error);
        assert_message(error, "this event is not counted");
        stele_error_free(error);
        error = NULL;
    }
    assert_status(STELE_REJECTED, stele_append(store, "new", stele_expect_no_stream(), event, NULL, &error), error);
    assert_int_equal(contract_head(store), 1);
    assert_int_equal(contract_version(store, "a"), 1);
    assert_right(store);
    /* Versions and positions go on without a hole. */
    assert_int_equal(contract_append(store, "a", 2).version, 2);
    assert_int_equal(contract_append(store, "new", 1).version, 1);
    assert_int_equal(contract_head(store), 3);
    assert_right(store);
    stele_message_unref(event);
    tally_close(&tally);
    stele_store_close(store);
}

/* In one batch with what is refused. */
static void D8_a_batch_is_refused_as_a_whole(void **state)
{
    stele_store *store = contract_open();
    stele_message *good = contract_event("t", 1, NULL);
    stele_message *bad = contract_event(TALLY_REFUSED, 2, NULL);
    const struct stele_write writes[] = {{"a", good}, {"b", good}, {"b", bad}};
    const struct stele_batch batch = {.writes = writes, .write_count = 3};
    stele_message *second = contract_event("t", 3, NULL);
    const struct stele_write other[] = {{"a", second}, {"b", bad}};
    const struct stele_batch refused = {.writes = other, .write_count = 2};
    struct tally tally;
    stele_error *error = NULL;

    (void)state;
    join(&tally, store);
    assert_status(STELE_INVALID, stele_append_batch(store, &batch, NULL, &error), error);
    assert_status(STELE_REJECTED, stele_append_batch(store, &refused, NULL, &error), error);
    assert_int_equal(contract_head(store), 0);
    assert_int_equal(counted(store, "a"), 0);
    assert_right(store);
    stele_message_unref(good);
    stele_message_unref(bad);
    stele_message_unref(second);
    tally_close(&tally);
    stele_store_close(store);
}

enum { GROUP = 40 };

struct told {
    stele_status status[GROUP];
    size_t count;
};

static void note(void *context, stele_status status, const struct stele_appended *result, const stele_error *error)
{
    struct told *told = context;

    (void)result;
    (void)error;
    told->status[told->count++] = status;
}

/* Those that come while the first is written become a group. */
static void D8_the_neighbours_of_a_refused_member_go_on(void **state)
{
    stele_store *store = contract_open();
    struct told told = {.count = 0};
    struct tally tally;
    stele_error *error = NULL;

    (void)state;
    join(&tally, store);
    for (size_t i = 0; i < GROUP; i++) {
        stele_message *event = contract_event(i % 3 == 1 ? TALLY_REFUSED : "t", (int64_t)i, NULL);
        const struct stele_write write = {i % 2 ? "a" : "b", event};
        const struct stele_batch batch = {.writes = &write, .write_count = 1};

        assert_ok(stele_append_async(store, &batch, note, &told, &error), error);
        stele_message_unref(event);
    }
    assert_ok(stele_flush(store, &error), error);
    assert_int_equal(told.count, GROUP);
    for (size_t i = 0; i < GROUP; i++)
        assert_int_equal(told.status[i], i % 3 == 1 ? STELE_REJECTED : STELE_OK);
    assert_int_equal(contract_head(store), GROUP - GROUP / 3);
    assert_right(store);
    tally_close(&tally);
    stele_store_close(store);
}

/* --- Repeating ------------------------------------------------------------------------------- */

static void C2_a_repeated_append_is_applied_once(void **state)
{
    stele_store *store = contract_open();
    stele_message *event = contract_event_with_id("one");
    struct tally tally;
    struct stele_appended result;
    stele_error *error = NULL;

    (void)state;
    join(&tally, store);
    for (int i = 0; i < 3; i++)
        assert_ok(stele_append(store, "a", stele_expect_no_stream(), event, &result, &error), error);
    assert_int_equal(counted(store, "a"), 1);
    assert_int_equal(contract_head(store), 1);
    assert_right(store);
    stele_message_unref(event);
    tally_close(&tally);
    stele_store_close(store);
}

static void B7_a_replayed_command_is_applied_once_and_a_refused_one_not_remembered(void **state)
{
    stele_store *store = contract_open();
    stele_message *command = contract_command("c1", "do.it", 1);
    stele_message *event = contract_event(TALLY_REFUSED, 1, NULL);
    const struct stele_write write = {"a", event};
    const struct stele_batch batch = {.writes = &write, .write_count = 1, .command = command};
    struct tally tally;
    struct stele_appended result;
    stele_error *error = NULL;

    (void)state;
    join(&tally, store);
    assert_status(STELE_REJECTED, stele_append_batch(store, &batch, NULL, &error), error);
    assert_false(contract_is_remembered(store, "c1"));
    for (int i = 0; i < 3; i++)
        assert_ok(contract_accept(store, "c1", 1, &result, &error), error);
    assert_true(contract_is_remembered(store, "c1"));
    assert_int_equal(counted(store, "a"), 1);
    assert_right(store);
    stele_message_unref(command);
    stele_message_unref(event);
    tally_close(&tally);
    stele_store_close(store);
}

/* --- What a part may do ------------------------------------------------------------------------ */

struct nosy {
    struct stele__part part;
    stele_store *store;
    size_t calls;
};

static stele_status look_around(struct stele__part *part, const stele_message *event, stele_error **error)
{
    struct nosy *nosy = (struct nosy *)part;
    stele_message *found = NULL;
    stele_views *views = NULL;
    struct stele_stats stats;

    (void)error;
    nosy->calls++;
    assert_int_equal(stele_append(nosy->store, "b", stele_expect_any(), event, NULL, NULL), STELE_INVALID);
    assert_int_equal(stele_find_position(nosy->store, 1, &found, NULL), STELE_INVALID);
    assert_int_equal(stele_stats(nosy->store, &stats, NULL), STELE_INVALID);
    assert_int_equal(stele_checkpoint_write(nosy->store, "x", STELE_NO_CHECKPOINT, 0, NULL), STELE_INVALID);
    assert_int_equal(stele__views_in_store(nosy->store, &views, NULL), STELE_INVALID);
    assert_int_equal(stele_views_begin(part->views, NULL), STELE_INVALID);
    assert_int_equal(stele_views_commit(part->views, NULL), STELE_INVALID);
    assert_int_equal(stele_views_rollback(part->views, NULL), STELE_INVALID);
    assert_int_equal(stele_view_create(part->views, &tally_row_view, NULL), STELE_INVALID);
    assert_int_equal(stele_view_drop(part->views, &tally_row_view, NULL), STELE_INVALID);
    return STELE_OK;
}

static void C3_a_part_uses_its_views_and_nothing_else(void **state)
{
    stele_store *store = contract_open();
    struct nosy nosy = {.part = {.name = "nosy", .apply = look_around}, .store = store};
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele__views_in_store(store, &nosy.part.views, &error), error);
    contract_append(store, "a", 1);
    assert_ok(stele__part_join(store, &nosy.part, 10, &error), error);
    contract_append(store, "a", 2);
    assert_int_equal(nosy.calls, 2);
    stele__part_leave(store, &nosy.part);
    contract_append(store, "a", 3);
    assert_int_equal(nosy.calls, 2);
    stele_views_close(nosy.part.views);
    stele_store_close(store);
}

static stele_status fail_silently(struct stele__part *part, const stele_message *event, stele_error **error)
{
    (void)part;
    (void)event;
    (void)error;
    return STELE_CORRUPT;
}

static void C3_a_failure_while_joining_has_its_position(void **state)
{
    stele_store *store = contract_open();
    struct stele__part part = {.name = "silent", .apply = fail_silently};
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele__views_in_store(store, &part.views, &error), error);
    contract_append(store, "a", 1);
    assert_failure(STELE_CORRUPT, stele__part_join(store, &part, 10, &error), error);
    assert_string_equal(stele_error_get(error, "position"), "1");
    assert_message(error, "silent");
    stele_error_free(error);
    error = NULL;
    contract_append(store, "a", 2);
    stele__part_leave(store, &part);
    assert_status(STELE_INVALID, stele__part_join(store, &part, 0, &error), error);
    stele_views_close(part.views);
    stele_store_close(store);
}

#define THING(FIELD, T) FIELD(T, INT64, amount)
STELE_DECLARE(thing, THING);
STELE_DEFINE_EVENT(thing, "thing.made", 1, THING);

static void C3_the_librarys_own_streams_are_not_shown_and_move_the_checkpoint(void **state)
{
    const struct stele_type *const types[] = {&thing_type};
    stele_store *store = contract_open();
    struct tally tally;
    stele_error *error = NULL;

    (void)state;
    join(&tally, store);
    assert_ok(stele_types_register(store, types, 1, &error), error);
    assert_true(contract_head(store) > 0);
    assert_int_equal(tally.applied, 0);
    assert_int_equal(checkpoint_of(store), contract_head(store));
    contract_append(store, "a", 1);
    assert_right(store);
    tally_close(&tally);
    stele_store_close(store);
}

#define THING_2(FIELD, T) FIELD(T, INT64, cents)
STELE_DECLARE(thing_2, THING_2);
STELE_DEFINE_EVENT(thing_2, "thing.made", 2, THING_2);

static stele_status to_cents(const struct thing *old, stele_upcast *upcast)
{
    return STELE_UPCAST_TO(upcast, thing_2, .cents = old->amount * 100);
}
STELE_DEFINE_UPCAST(to_cents, thing)

struct adder {
    struct stele__part part;
    stele_arena *arena;
    int64_t cents;
};

static stele_status add_cents(struct stele__part *part, const stele_message *event, stele_error **error)
{
    struct adder *adder = (struct adder *)part;
    struct thing_2 thing;
    const stele_status status = thing_2_read(event, adder->arena, &thing, error);

    if (status == STELE_OK)
        adder->cents += thing.cents;
    return status;
}

static void append_thing(stele_store *store, const struct stele_type *type, const void *payload)
{
    stele_message *event = NULL;
    stele_error *error = NULL;

    assert_ok(stele_message_new(type, payload, NULL, &event, &error), error);
    assert_ok(stele_append(store, "a", stele_expect_any(), event, NULL, &error), error);
    stele_message_unref(event);
}

static void E2_a_part_sees_new_shapes_only(void **state)
{
    const struct stele_upcaster upcasters[] = {{.from = "thing.made",
                                                .from_version = 1,
                                                .to = "thing.made",
                                                .to_version = 2,
                                                .up = to_cents_up,
                                                .old_type = &thing_type,
                                                .new_type = &thing_2_type}};
    struct stele_store_options options = STELE_OPTIONS_INIT(struct stele_store_options);
    struct adder adder = {.part = {.name = "adder", .apply = add_cents}};
    stele_store *store;
    stele_error *error = NULL;

    (void)state;
    options.upcasters = upcasters;
    options.upcaster_count = 1;
    store = contract_open_with(&options);
    assert_ok(stele_arena_new(&adder.arena, &error), error);
    assert_ok(stele__views_in_store(store, &adder.part.views, &error), error);
    append_thing(store, &thing_type, &(struct thing){.amount = 3});
    assert_ok(stele__part_join(store, &adder.part, 10, &error), error);
    assert_int_equal(adder.cents, 300);
    append_thing(store, &thing_type, &(struct thing){.amount = 2});
    append_thing(store, &thing_2_type, &(struct thing_2){.cents = 7});
    assert_int_equal(adder.cents, 507);
    stele__part_leave(store, &adder.part);
    stele_views_close(adder.part.views);
    stele_arena_free(adder.arena);
    stele_store_close(store);
}

/* --- Transactions of the views ------------------------------------------------------------------ */

static void C2_what_is_written_between_begin_and_commit_is_there_together_or_not_at_all(void **state)
{
    stele_store *store = contract_open();
    stele_message *event = contract_event("t", 1, NULL);
    const struct tally_row rows[] = {{.stream = "x", .events = 1}, {.stream = "y", .events = 2}};
    stele_views *views = NULL;
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele__views_in_store(store, &views, &error), error);
    assert_ok(stele_view_create(views, &tally_row_view, &error), error);
    assert_ok(stele_views_begin(views, &error), error);
    assert_status(STELE_INVALID, stele_views_begin(views, &error), error);
    assert_ok(tally_row_upsert(views, &rows[0], &error), error);
    assert_int_equal(row_of(views, "x").events, 1);
    /* What writes to the store would wait for this transaction; what reads does not. */
    assert_status(STELE_INVALID, stele_append(store, "a", stele_expect_any(), event, NULL, &error), error);
    assert_status(STELE_INVALID, stele_checkpoint_write(store, "c", STELE_NO_CHECKPOINT, 0, &error), error);
    assert_int_equal(contract_head(store), 0);
    assert_ok(stele_views_rollback(views, &error), error);
    assert_int_equal(counted(store, "x"), 0);
    assert_ok(stele_views_begin(views, &error), error);
    assert_ok(tally_row_upsert(views, &rows[0], &error), error);
    assert_ok(tally_row_upsert(views, &rows[1], &error), error);
    assert_ok(stele_views_commit(views, &error), error);
    assert_status(STELE_INVALID, stele_views_commit(views, &error), error);
    assert_int_equal(counted(store, "x"), 1);
    assert_int_equal(counted(store, "y"), 2);
    assert_ok(stele_append(store, "a", stele_expect_any(), event, NULL, &error), error);
    /* One that was begun is rolled back by closing. */
    assert_ok(stele_views_begin(views, &error), error);
    assert_ok(tally_row_delete(views, &rows[0], &error), error);
    stele_views_close(views);
    assert_int_equal(counted(store, "x"), 1);
    contract_append(store, "a", 2);
    stele_message_unref(event);
    stele_store_close(store);
}

static void D9_a_view_has_no_name_of_the_stores_own(void **state)
{
    static const char *const names[] = {"stream",  "type",     "event",      "EVENT",
                                        "command", "snapshot", "checkpoint", "events"};
    stele_store *store = contract_open();
    stele_views *views = NULL;
    stele_error *error = NULL;

    (void)state;
    contract_append(store, "a", 1);
    assert_ok(stele__views_in_store(store, &views, &error), error);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct stele_type row = tally_row_type;
        struct stele_view view = tally_row_view;
        const struct tally_row value = {.stream = "x"};

        row.name = names[i];
        view.row = &row;
        assert_failure(STELE_INVALID, stele_view_create(views, &view, &error), error);
        assert_message(error, "the store's own");
        stele_error_free(error);
        error = NULL;
        assert_status(STELE_INVALID, stele_view_drop(views, &view, &error), error);
        assert_int_not_equal(stele_view_upsert(views, &view, &value, NULL), STELE_OK);
    }
    contract_append(store, "a", 2);
    stele_views_close(views);
    stele_store_close(store);
}

static void C3_a_handle_that_reads_does_not_write(void **state)
{
    stele_store *store = contract_open();
    const struct tally_row row = {.stream = "x"};
    stele_views *views = NULL;
    uint64_t rows;
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele_views_of_store(store, &views, &error), error);
    assert_status(STELE_READ_ONLY, stele_view_create(views, &tally_row_view, &error), error);
    assert_status(STELE_READ_ONLY, stele_view_upsert(views, &tally_row_view, &row, &error), error);
    assert_status(STELE_READ_ONLY, stele_views_begin(views, &error), error);
    assert_status(STELE_NOT_FOUND, stele_view_count(views, &tally_row_view, NULL, &rows, &error), error);
    stele_views_close(views);
    stele_store_close(store);
}

/* --- Threads ---------------------------------------------------------------------------------------- */

enum { THREADS = 64, EACH = 12 };

struct appender {
    pthread_t thread;
    stele_store *store;
    stele_message *events[EACH];
    char stream[8];
    size_t refused, failed;
};

static void *append_all(void *context)
{
    struct appender *appender = context;

    for (size_t i = 0; i < EACH; i++) {
        const stele_status status =
            stele_append(appender->store, appender->stream, stele_expect_any(), appender->events[i], NULL, NULL);

        appender->refused += status == STELE_REJECTED;
        appender->failed += status != STELE_REJECTED && status != STELE_OK;
    }
    return NULL;
}

static void start_all(struct appender *appenders, stele_store *store)
{
    for (size_t i = 0; i < THREADS; i++) {
        appenders[i] = (struct appender){.store = store};
        snprintf(appenders[i].stream, sizeof(appenders[i].stream), "s%zu", i % 7);
        for (size_t j = 0; j < EACH; j++)
            appenders[i].events[j] = contract_event(i % 8 == 3 ? TALLY_REFUSED : "t", (int64_t)(i * EACH + j), NULL);
    }
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&appenders[i].thread, NULL, append_all, &appenders[i]), 0);
}

static size_t join_all(struct appender *appenders)
{
    size_t refused = 0;

    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(appenders[i].thread, NULL);
        assert_int_equal(appenders[i].failed, 0);
        refused += appenders[i].refused;
        for (size_t j = 0; j < EACH; j++)
            stele_message_unref(appenders[i].events[j]);
    }
    return refused;
}

static struct appender appenders[THREADS];

static void C2_groups_of_64_threads_are_in_the_view_once_each(void **state)
{
    stele_store *store = contract_open();
    struct tally tally;

    (void)state;
    join(&tally, store);
    start_all(appenders, store);
    assert_int_equal(join_all(appenders), THREADS / 8 * EACH);
    assert_int_equal(contract_head(store), (THREADS - THREADS / 8) * EACH);
    assert_right(store);
    tally_close(&tally);
    stele_store_close(store);
}

static void *append_good(void *context)
{
    struct appender *appender = context;

    for (size_t i = 0; i < EACH; i++)
        appender->failed += stele_append(appender->store, appender->stream, stele_expect_any(), appender->events[i],
                                         NULL, NULL) != STELE_OK;
    return NULL;
}

static void C2_nothing_is_between_catching_up_and_taking_part(void **state)
{
    stele_store *store = contract_open();
    struct tally tally;

    (void)state;
    for (size_t i = 0; i < THREADS; i++) {
        appenders[i] = (struct appender){.store = store};
        snprintf(appenders[i].stream, sizeof(appenders[i].stream), "s%zu", i % 7);
        for (size_t j = 0; j < EACH; j++)
            appenders[i].events[j] = contract_event("t", (int64_t)(i * EACH + j), NULL);
    }
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&appenders[i].thread, NULL, append_good, &appenders[i]), 0);
    for (int i = 0; i < 5; i++) {
        join(&tally, store);
        tally_close(&tally);
    }
    join(&tally, store);
    join_all(appenders);
    assert_right(store);
    tally_close(&tally);
    stele_store_close(store);
}

/* --- Memory ------------------------------------------------------------------------------------------- */

static stele_status make_event(const char *id, stele_message **out, stele_error **error)
{
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
    const struct thing payload = {.amount = 1};

    options.id = id;
    return stele_message_new(&thing_type, &payload, &options, out, error);
}

static stele_status append_new(stele_store *store, stele_error **error)
{
    static unsigned last;
    char id[32];
    stele_message *event = NULL;
    stele_status status;

    snprintf(id, sizeof(id), "event-%u", ++last);
    status = make_event(id, &event, error);
    if (status == STELE_OK)
        status = stele_append(store, "a", stele_expect_any(), event, NULL, error);
    stele_message_unref(event);
    return status;
}

/* An event before the part joins, and two behind it. */
static stele_status join_and_append(void *context, stele_error **error)
{
    struct tally tally = {.joined = false};
    stele_store *store = NULL;
    stele_status status = stele_store_open(context, NULL, &store, error);

    if (status != STELE_OK)
        return status;
    status = append_new(store, error);
    if (status == STELE_OK)
        status = tally_open(&tally, store, BATCH, error);
    for (int i = 0; i < 2 && status == STELE_OK; i++)
        status = append_new(store, error);
    if (tally.joined)
        tally_close(&tally);
    stele_store_close(store);
    return status;
}

static void every_allocation_of_joining_and_appending_may_fail(void **state)
{
    char url[512];
    stele_store *store;
    struct tally tally;

    (void)state;
    snprintf(url, sizeof(url), "%s", contract_url());
    assert_int_not_equal(support_every_allocation_fails(join_and_append, url), 0);
    store = contract_open();
    join(&tally, store);
    assert_right(store);
    tally_close(&tally);
    stele_store_close(store);
}

static const struct CMUnitTest tests[] = {
    support_test(C3_an_acknowledged_event_is_in_the_view),
    support_test(C3_joining_catches_up_in_batches_first),
    support_test(C2_who_comes_back_goes_on_where_it_left),
    support_test(C2_a_part_of_a_name_joins_once),
    support_test(C2_a_checkpoint_beyond_the_log_is_a_conflict),
    support_test(C2_what_is_moved_by_hand_is_gone_on_from),
    support_test(D8_a_refused_append_is_nowhere),
    support_test(D8_a_batch_is_refused_as_a_whole),
    support_test(D8_the_neighbours_of_a_refused_member_go_on),
    support_test(C2_a_repeated_append_is_applied_once),
    support_test(B7_a_replayed_command_is_applied_once_and_a_refused_one_not_remembered),
    support_test(C3_a_part_uses_its_views_and_nothing_else),
    support_test(C3_a_failure_while_joining_has_its_position),
    support_test(C3_the_librarys_own_streams_are_not_shown_and_move_the_checkpoint),
    support_test(E2_a_part_sees_new_shapes_only),
    support_test(C2_what_is_written_between_begin_and_commit_is_there_together_or_not_at_all),
    support_test(D9_a_view_has_no_name_of_the_stores_own),
    support_test(C3_a_handle_that_reads_does_not_write),
    support_test(C2_groups_of_64_threads_are_in_the_view_once_each),
    support_test(C2_nothing_is_between_catching_up_and_taking_part),
    support_test(every_allocation_of_joining_and_appending_may_fail),
};

CONTRACT_GROUP(contract_part_group, tests);
