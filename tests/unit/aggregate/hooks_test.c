/* Hooks: each is called from where the work is done, with what was done, and can do no harm. */
#include "tests/unit/aggregate/basket.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "store/store.h"

/* What was told, the last of each kind and how often. */
struct told {
    stele_store *store; /* with `calls_back`: what each hook calls */
    bool calls_back;
    atomic_int appended, conflicts, commits, loaded, saved, restored, discarded;
    atomic_uint_fast64_t events, appends, groups, bytes;

    char streams[4][32];
    char ids[4][STELE_UUID_TEXT_SIZE];
    size_t write_count;
    struct stele_appended result;
    struct stele_conflict conflict;
    char conflict_stream[32];
    struct stele_hook_commit commit;
    struct stele_hook_loaded load;
    char load_stream[32];
    struct stele_hook_snapshot snapshot, discard;
    char snapshot_stream[32];
    bool done_before; /* the done function was called before the hook */
    bool done;
};

static void copy_text(char *place, size_t size, const char *text)
{
    strncat(place, text, size - 1);
}

/* What must not lock up and must not be told: an append, a load by reading, a flush where it is allowed. */
static void call_back(struct told *told)
{
    struct stele_query query = STELE_OPTIONS_INIT(struct stele_query);
    stele_cursor *cursor = NULL;
    stele_message *event = NULL;
    if (!told->calls_back)
        return;
    if (added_message(&(const struct added){.amount = 1}, NULL, &event, NULL) == STELE_OK)
        stele_append(told->store, "echo", stele_expect_any(), event, NULL, NULL);
    stele_append(told->store, "echo", stele_expect_no_stream(), event, NULL, NULL);
    stele_message_unref(event);
    query.stream = "echo";
    if (stele_read(told->store, &query, &cursor, NULL) == STELE_OK)
        stele_cursor_close(cursor);
}

static void on_append(void *context, const struct stele_hook_appended *appended)
{
    struct told *told = context;
    told->appended++;
    told->events += appended->write_count;
    if (!told->calls_back) {
        told->write_count = appended->write_count;
        told->result = *appended->result;
        told->done_before = told->done;
        for (size_t i = 0; i < appended->write_count && i < 4; i++) {
            const struct stele_slice id = stele_message_id(appended->writes[i].event);
            told->streams[i][0] = '\0';
            copy_text(told->streams[i], sizeof told->streams[i], appended->writes[i].stream);
            memcpy(told->ids[i], id.data, id.size < STELE_UUID_TEXT_SIZE ? id.size + 1 : STELE_UUID_TEXT_SIZE);
        }
    }
    call_back(told);
}

static void on_conflict(void *context, const struct stele_conflict *conflict)
{
    struct told *told = context;
    told->conflicts++;
    if (!told->calls_back) {
        told->conflict = *conflict;
        told->conflict_stream[0] = '\0';
        copy_text(told->conflict_stream, sizeof told->conflict_stream, conflict->stream);
    }
    call_back(told);
}

static void on_commit(void *context, const struct stele_hook_commit *commit)
{
    struct told *told = context;
    told->commits++;
    told->groups += commit->groups;
    told->appends += commit->appends;
    told->bytes += commit->bytes;
    if (!told->calls_back)
        told->commit = *commit;
    call_back(told);
}

static void on_load(void *context, const struct stele_hook_loaded *loaded)
{
    struct told *told = context;
    told->loaded++;
    if (!told->calls_back) {
        told->load = *loaded;
        told->load_stream[0] = '\0';
        copy_text(told->load_stream, sizeof told->load_stream, loaded->stream);
    }
    call_back(told);
}

static void note_snapshot(struct told *told, const struct stele_hook_snapshot *snapshot)
{
    if (!told->calls_back) {
        told->snapshot = *snapshot;
        told->snapshot_stream[0] = '\0';
        copy_text(told->snapshot_stream, sizeof told->snapshot_stream, snapshot->stream);
    }
    call_back(told);
}

static void on_saved(void *context, const struct stele_hook_snapshot *snapshot)
{
    struct told *told = context;
    told->saved++;
    note_snapshot(told, snapshot);
}

static void on_restored(void *context, const struct stele_hook_snapshot *snapshot)
{
    struct told *told = context;
    told->restored++;
    note_snapshot(told, snapshot);
}

static void on_discarded(void *context, const struct stele_hook_snapshot *snapshot)
{
    struct told *told = context;
    told->discarded++;
    if (!told->calls_back)
        told->discard = *snapshot;
    call_back(told);
}

static struct stele_hooks hooks_for(struct told *told)
{
    return (struct stele_hooks){.size = sizeof(struct stele_hooks),
                                .context = told,
                                .appended = on_append,
                                .conflict = on_conflict,
                                .commit = on_commit,
                                .loaded = on_load,
                                .snapshot_saved = on_saved,
                                .snapshot_loaded = on_restored,
                                .snapshot_discarded = on_discarded};
}

static stele_store *open_told(const char *url, const struct stele_hooks *hooks)
{
    struct stele_store_options options = STELE_OPTIONS_INIT(struct stele_store_options);
    stele_store *store = NULL;
    stele_error *error = NULL;
    options.hooks = hooks;
    assert_ok(stele_store_open(url, &options, &store, &error), error);
    return store;
}

static stele_message *an_event(const char *id)
{
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
    stele_message *event = NULL;
    stele_error *error = NULL;
    options.id = id;
    assert_ok(added_message(&(const struct added){.amount = 1}, &options, &event, &error), error);
    return event;
}

/* --- Appending ------------------------------------------------------------------- */

static void ORX45_an_append_is_told_with_streams_ids_and_positions(void **state)
{
    (void)state;
    struct told told = {.calls_back = false};
    const struct stele_hooks hooks = hooks_for(&told);
    stele_store *store = open_told("memory:", &hooks);
    stele_message *events[3] = {an_event("one"), an_event("two"), an_event("three")};
    const struct stele_write writes[] = {{"basket-1", events[0]}, {"basket-2", events[1]}, {"basket-1", events[2]}};
    const struct stele_batch batch = {.writes = writes, .write_count = 3};
    stele_error *error = NULL;
    basket_fill(store, "basket-1", 4);
    assert_int_equal(4, told.appended);
    assert_int_equal(1, told.write_count);
    assert_int_equal(4, told.result.version);
    assert_int_equal(4, told.result.first_position);
    assert_ok(stele_append_batch(store, &batch, NULL, &error), error);
    assert_int_equal(5, told.appended);
    assert_int_equal(3, told.write_count);
    assert_string_equal("basket-1", told.streams[0]);
    assert_string_equal("basket-2", told.streams[1]);
    assert_string_equal("basket-1", told.streams[2]);
    assert_string_equal("one", told.ids[0]);
    assert_string_equal("two", told.ids[1]);
    assert_string_equal("three", told.ids[2]);
    assert_int_equal(6, told.result.version);
    assert_int_equal(5, told.result.first_position);
    assert_int_equal(7, told.result.last_position);
    /* what was stored before is not stored again, and nothing is nothing */
    assert_ok(stele_append_batch(store, &batch, NULL, &error), error);
    const struct stele_expectation expectation = {"basket-1", stele_expect_version(6)};
    const struct stele_batch nothing = {.expectations = &expectation, .expectation_count = 1};
    assert_ok(stele_append_batch(store, &nothing, NULL, &error), error);
    assert_int_equal(5, told.appended);
    assert_int_equal(0, told.conflicts);
    for (size_t i = 0; i < 3; i++)
        stele_message_unref(events[i]);
    stele_store_close(store);
}

static void ORX45_a_conflict_is_told_with_its_facts(void **state)
{
    (void)state;
    struct told told = {.calls_back = false};
    const struct stele_hooks hooks = hooks_for(&told);
    stele_store *store = open_told("memory:", &hooks);
    stele_message *event = an_event("one");
    stele_error *error = NULL;
    basket_fill(store, "basket-1", 4);
    assert_status(STELE_CONFLICT, stele_append(store, "basket-1", stele_expect_version(2), event, NULL, &error), error);
    assert_int_equal(1, told.conflicts);
    assert_string_equal("basket-1", told.conflict_stream);
    assert_int_equal(2, told.conflict.expected);
    assert_int_equal(4, told.conflict.actual);
    assert_int_equal(2, told.conflict.event_count);
    /* also when the caller does not want to know */
    assert_int_equal(STELE_CONFLICT, stele_append(store, "basket-1", stele_expect_no_stream(), event, NULL, NULL));
    assert_int_equal(2, told.conflicts);
    assert_int_equal(4, told.appended);
    stele_message_unref(event);
    stele_store_close(store);
}

static void note_done(void *context, stele_status status, const struct stele_appended *result, const stele_error *error)
{
    struct told *told = context;
    (void)status;
    (void)result;
    (void)error;
    told->done = true;
}

static void an_asynchronous_append_is_told_before_its_done_function(void **state)
{
    (void)state;
    struct told told = {.calls_back = false};
    const struct stele_hooks hooks = hooks_for(&told);
    stele_store *store = open_told("memory:", &hooks);
    stele_message *event = an_event("one");
    const struct stele_write write = {"basket-1", event};
    struct stele_expectation expectation = {"basket-1", stele_expect_no_stream()};
    const struct stele_batch batch = {
        .writes = &write, .write_count = 1, .expectations = &expectation, .expectation_count = 1};
    stele_error *error = NULL;
    assert_ok(stele_append_async(store, &batch, note_done, &told, &error), error);
    assert_ok(stele_flush(store, &error), error);
    assert_true(told.done);
    assert_int_equal(1, told.appended);
    assert_false(told.done_before);
    assert_string_equal("basket-1", told.streams[0]);
    assert_string_equal("one", told.ids[0]);
    assert_int_equal(1, told.result.version);
    stele_message_unref(event);
    event = an_event("two");
    const struct stele_write other = {"basket-1", event};
    const struct stele_batch refused = {
        .writes = &other, .write_count = 1, .expectations = &expectation, .expectation_count = 1};
    assert_ok(stele_append_async(store, &refused, note_done, &told, &error), error);
    assert_ok(stele_flush(store, &error), error);
    assert_int_equal(1, told.appended);
    assert_int_equal(1, told.conflicts);
    stele_message_unref(event);
    stele_store_close(store);
}

static void ORX45_a_commit_is_told_with_its_size_and_time(void **state)
{
    (void)state;
    struct told told = {.calls_back = false};
    const struct stele_hooks hooks = hooks_for(&told);
    stele_store *store = open_told(support_temp_path("baskets.db"), &hooks);
    stele_message *event = an_event("one");
    stele_message *second = an_event("two");
    const struct stele_write writes[] = {{"basket-1", event}, {"basket-2", second}};
    const struct stele_batch batch = {.writes = writes, .write_count = 2};
    stele_error *error = NULL;
    assert_ok(stele_append_batch(store, &batch, NULL, &error), error);
    assert_int_equal(1, told.commits);
    assert_int_equal(1, told.commit.groups);
    assert_int_equal(1, told.commit.appends);
    assert_int_equal(2, told.commit.events);
    assert_in_range(told.commit.bytes, 2 * stele_message_payload(event).size, 1000);
    assert_in_range(told.commit.nanoseconds, 1000, INT64_C(60000000000));
    assert_int_equal(0, told.commit.queued);
    /* a refused one was with the backend, too */
    stele_append(store, "basket-1", stele_expect_no_stream(), event, NULL, NULL);
    assert_int_equal(2, told.commits);
    stele_message_unref(second);
    stele_message_unref(event);
    stele_store_close(store);
}

static void ORX45_groups_add_up_to_what_was_appended(void **state)
{
    (void)state;
    enum { APPENDS = 600 };
    struct told told = {.calls_back = false};
    const struct stele_hooks hooks = hooks_for(&told);
    stele_store *store = open_told(support_temp_path("baskets.db"), &hooks);
    stele_error *error = NULL;
    for (int i = 0; i < APPENDS; i++) {
        stele_message *event = an_event(NULL);
        const struct stele_write write = {"basket-1", event};
        const struct stele_batch batch = {.writes = &write, .write_count = 1};
        assert_ok(stele_append_async(store, &batch, note_done, &told, &error), error);
        stele_message_unref(event);
    }
    assert_ok(stele_flush(store, &error), error);
    stele_store_close(store);
    assert_int_equal(APPENDS, told.appended);
    assert_int_equal(APPENDS, told.events);
    assert_int_equal(APPENDS, told.appends);
    assert_in_range(told.groups, 3, APPENDS); /* of at most 256 */
    assert_in_range(told.commits, 1, told.groups);
}

/* --- Loading --------------------------------------------------------------------------- */

static void ORX45_a_load_is_told_with_where_it_began(void **state)
{
    (void)state;
    struct told told = {.calls_back = false};
    const struct stele_hooks hooks = hooks_for(&told);
    stele_store *store = open_told("memory:", &hooks);
    const struct basket_options both = {.snapshot_every = 10, .cache_bytes = 100000};
    stele_repository *first = basket_repository(store, &both);
    stele_repository *second = basket_repository(store, &both);
    basket_fill(store, "basket-1", 12);
    assert_total(first, "basket-1", 12, 78);
    basket_drain(store);
    assert_int_equal(1, told.loaded);
    assert_string_equal("test.basket", told.load.aggregate);
    assert_string_equal("basket-1", told.load_stream);
    assert_int_equal(12, told.load.version);
    assert_int_equal(STELE_LOADED_FROM_EVENTS, told.load.source);
    assert_int_equal(0, told.load.from);
    assert_int_equal(12, told.load.folded);
    assert_int_equal(1, told.saved);
    assert_string_equal("basket-1", told.snapshot_stream);
    assert_string_equal("test.basket", told.snapshot.aggregate);
    assert_int_equal(12, told.snapshot.version);
    assert_in_range(told.snapshot.bytes, 50, 10000);
    basket_fill(store, "basket-1", 3);
    assert_total(second, "basket-1", 15, 120);
    assert_int_equal(STELE_LOADED_FROM_SNAPSHOT, told.load.source);
    assert_int_equal(12, told.load.from);
    assert_int_equal(3, told.load.folded);
    assert_int_equal(15, told.load.version);
    assert_int_equal(1, told.restored);
    assert_int_equal(12, told.snapshot.version);
    assert_total(first, "basket-1", 15, 120);
    assert_int_equal(STELE_LOADED_FROM_CACHE, told.load.source);
    assert_int_equal(12, told.load.from);
    assert_int_equal(3, told.load.folded);
    assert_int_equal(3, told.loaded);
    assert_int_equal(1, told.saved);
    assert_int_equal(0, told.discarded);
    stele_repository_free(second);
    stele_repository_free(first);
    stele_store_close(store);
}

static void ORX45_a_discarded_snapshot_is_told_with_the_reason(void **state)
{
    (void)state;
    struct told told = {.calls_back = false};
    const struct stele_hooks hooks = hooks_for(&told);
    stele_store *store = open_told("memory:", &hooks);
    stele_repository *older = basket_repository(store, &(const struct basket_options){.snapshot_every = 1});
    stele_repository *newer = basket_repository(
        store, &(const struct basket_options){.aggregate = &new_basket_aggregate, .snapshot_every = 100});
    basket_fill(store, "basket-1", 5);
    assert_total(older, "basket-1", 5, 15);
    basket_drain(store);
    assert_int_equal(1, told.saved);
    assert_total(newer, "basket-1", 5, 15);
    assert_int_equal(1, told.discarded);
    assert_int_equal(0, told.restored);
    assert_int_equal(STELE_LOADED_FROM_EVENTS, told.load.source);
    basket_drain(store);
    assert_int_equal(2, told.saved);
    assert_total(older, "basket-1", 5, 15);
    assert_int_equal(2, told.discarded);
    assert_int_equal(STELE_DISCARD_SHAPE, told.discard.reason);
    assert_int_equal(5, told.discard.version);
    assert_in_range(told.discard.bytes, 50, 10000);
    basket_drain(store);
    assert_int_equal(3, told.saved);
    stele_repository_free(newer);
    stele_repository_free(older);
    stele_store_close(store);
}

/* --- Hooks that misbehave ---------------------------------------------------------------- */

enum { THREADS = 4, ROUNDS = 40 };

static void *execute_often(void *context)
{
    stele_repository *repository = context;
    for (int i = 0; i < ROUNDS; i++) {
        struct stele_execute_options options = STELE_OPTIONS_INIT(struct stele_execute_options);
        stele_message *command = NULL;
        if (add_message(&(const struct add){.amount = 1, .parts = 1}, NULL, &command, NULL) != STELE_OK)
            return repository;
        const struct stele_execution execution = {repository, "basket-1", command};
        options.attempts = 1000;
        const stele_status status = stele_execute_all(&execution, 1, &options, NULL, NULL);
        stele_message_unref(command);
        if (status != STELE_OK)
            return repository;
    }
    return NULL;
}

static void run_with_hooks_that_call_back(const char *url)
{
    struct told told = {.calls_back = true};
    const struct stele_hooks hooks = hooks_for(&told);
    stele_store *store = open_told(url, &hooks);
    stele_repository *repository =
        basket_repository(store, &(const struct basket_options){.snapshot_every = 3, .cache_bytes = 3000});
    pthread_t threads[THREADS];
    stele_error *error = NULL;
    told.store = store;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(0, pthread_create(&threads[i], NULL, execute_often, repository));
    for (int i = 0; i < ROUNDS; i++) {
        stele_message *event = an_event(NULL);
        const struct stele_write write = {"basket-2", event};
        const struct stele_batch batch = {.writes = &write, .write_count = 1};
        assert_ok(stele_append_async(store, &batch, note_done, &told, &error), error);
        stele_message_unref(event);
    }
    for (int i = 0; i < THREADS; i++) {
        void *complaint = NULL;
        pthread_join(threads[i], &complaint);
        assert_null(complaint);
    }
    assert_ok(stele_flush(store, &error), error);
    assert_total(repository, "basket-1", THREADS * ROUNDS, THREADS * ROUNDS);
    basket_drain(store);
    /* What hooks did was told to none of them. */
    assert_int_equal(THREADS * ROUNDS + ROUNDS, told.appended);
    assert_int_equal(basket_stats(repository).conflicts, told.conflicts);
    assert_int_equal(basket_stats(repository).loads, told.loaded);
    assert_int_equal(basket_stats(repository).snapshots_saved, told.saved);
    stele_repository_free(repository);
    stele_store_close(store);
}

static void a_hook_may_call_the_store_and_nothing_locks_up(void **state)
{
    (void)state;
    run_with_hooks_that_call_back("memory:");
    run_with_hooks_that_call_back(support_temp_path("baskets.db"));
}

static void a_table_may_be_partly_empty_and_must_be_of_this_library(void **state)
{
    (void)state;
    struct stele_store_options options = STELE_OPTIONS_INIT(struct stele_store_options);
    struct stele_hooks hooks = {.size = sizeof hooks};
    stele_store *store = open_told("memory:", &hooks);
    stele_repository *repository = basket_repository(store, &(const struct basket_options){.snapshot_every = 1});
    stele_error *error = NULL;
    basket_fill(store, "basket-1", 2);
    assert_total(repository, "basket-1", 2, 3);
    assert_total(repository, "basket-1", 2, 3);
    stele_repository_free(repository);
    stele_store_close(store);
    hooks.size = sizeof hooks - 1;
    options.hooks = &hooks;
    assert_failure(STELE_INVALID, stele_store_open("memory:", &options, &store, &error), error);
    assert_message(error, "hooks");
    stele_error_free(error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(ORX45_an_append_is_told_with_streams_ids_and_positions),
        support_test(ORX45_a_conflict_is_told_with_its_facts),
        support_test(an_asynchronous_append_is_told_before_its_done_function),
        support_test(ORX45_a_commit_is_told_with_its_size_and_time),
        support_test(ORX45_groups_add_up_to_what_was_appended),
        support_test(ORX45_a_load_is_told_with_where_it_began),
        support_test(ORX45_a_discarded_snapshot_is_told_with_the_reason),
        support_test(a_hook_may_call_the_store_and_nothing_locks_up),
        support_test(a_table_may_be_partly_empty_and_must_be_of_this_library),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
