/* Snapshots as the store keeps them (E3): a cache beside the streams, for the repository above. */
#include "tests/contract/contract.h"

#include <stdlib.h>
#include <string.h>

#include "store/store.h"

/* --- What is saved and loaded ------------------------------------------------------------ */

static struct stele_snapshot snapshot_of(const char *stream, uint64_t version, const char *state)
{
    struct stele_snapshot snapshot = {
        .stream = support_slice(stream), .version = version, .state = support_slice(state), .time = 1000};

    memset(snapshot.fingerprint, 'F', sizeof(snapshot.fingerprint));
    return snapshot;
}

static stele_status save(stele_store *store, const char *stream, uint64_t version, const char *state,
                         stele_error **error)
{
    const struct stele_snapshot snapshot = snapshot_of(stream, version, state);

    return stele__store_save_snapshot(store, &snapshot, error);
}

struct loaded {
    size_t visits;
    struct stele_snapshot snapshot; /* without texts */
    char state[64];
};

static bool take(void *context, const struct stele_snapshot *snapshot)
{
    struct loaded *loaded = context;

    loaded->visits++;
    loaded->snapshot = *snapshot;
    assert_true(snapshot->state.size < sizeof(loaded->state));
    memcpy(loaded->state, snapshot->state.data, snapshot->state.size);
    loaded->state[snapshot->state.size] = '\0';
    return true;
}

static struct loaded load(stele_store *store, const char *stream)
{
    struct loaded loaded = {.visits = 0};
    stele_error *error = NULL;
    bool damaged = true;

    assert_ok(stele__store_load_snapshot(store, support_slice(stream), take, &loaded, &damaged, &error), error);
    assert_false(damaged);
    return loaded;
}

static void assert_snapshot(stele_store *store, const char *stream, uint64_t version, const char *state)
{
    const struct loaded loaded = load(store, stream);
    const struct stele_snapshot wanted = snapshot_of(stream, version, state);

    assert_int_equal(loaded.visits, 1);
    assert_int_equal(loaded.snapshot.version, version);
    assert_int_equal(loaded.snapshot.time, 1000);
    assert_memory_equal(loaded.snapshot.fingerprint, wanted.fingerprint, sizeof(wanted.fingerprint));
    assert_int_equal(loaded.snapshot.state.size, strlen(state));
    assert_string_equal(loaded.state, state);
}

static stele_store *open_with_events(void)
{
    stele_store *store = contract_open();

    for (int64_t i = 1; i <= 5; i++)
        contract_append(store, "a", i);
    contract_append(store, "b", 1);
    return store;
}

static void E3_a_snapshot_is_loaded_as_it_was_saved(void **state)
{
    stele_store *store = open_with_events();
    stele_error *error = NULL;

    (void)state;
    assert_int_equal(load(store, "a").visits, 0);
    assert_int_equal(load(store, "missing").visits, 0);
    assert_ok(save(store, "a", 3, "state of a", &error), error);
    assert_ok(save(store, "b", 1, "", &error), error);
    store = contract_reopen(store);
    assert_snapshot(store, "a", 3, "state of a");
    assert_snapshot(store, "b", 1, "");
    assert_int_equal(contract_count(store, NULL), 6);
    stele_store_close(store);
}

static void E3_a_newer_snapshot_replaces_and_an_older_one_does_not(void **state)
{
    stele_store *store = open_with_events();
    stele_error *error = NULL;

    (void)state;
    assert_ok(save(store, "a", 3, "three", &error), error);
    assert_ok(save(store, "a", 4, "four", &error), error);
    assert_snapshot(store, "a", 4, "four");
    assert_ok(save(store, "a", 2, "two", &error), error);
    assert_snapshot(store, "a", 4, "four");
    assert_ok(save(store, "a", 4, "four again", &error), error);
    assert_snapshot(store, "a", 4, "four again");
    stele_store_close(store);
}

static void E3_a_snapshot_of_another_shape_is_replaced_also_by_an_older_one(void **state)
{
    stele_store *store = open_with_events();
    struct stele_snapshot other = snapshot_of("a", 5, "other");
    stele_error *error = NULL;

    (void)state;
    other.fingerprint[15] = 'G';
    assert_ok(stele__store_save_snapshot(store, &other, &error), error);
    assert_ok(save(store, "a", 2, "two", &error), error);
    assert_snapshot(store, "a", 2, "two");
    stele_store_close(store);
}

static void E3_a_snapshot_belongs_to_a_stream_and_a_version_it_has(void **state)
{
    stele_store *store = open_with_events();
    stele_error *error = NULL;

    (void)state;
    assert_failure(STELE_NOT_FOUND, save(store, "missing", 1, "x", &error), error);
    assert_string_equal(stele_error_get(error, "stream"), "missing");
    stele_error_free(error);
    error = NULL;
    assert_status(STELE_INVALID, save(store, "a", 6, "x", &error), error);
    assert_int_equal(load(store, "a").visits, 0);
    assert_ok(save(store, "a", 5, "five", &error), error);
    /* What was refused disturbs no append. */
    contract_append(store, "a", 6);
    assert_snapshot(store, "a", 5, "five");
    stele_store_close(store);
}

static void E3_snapshots_can_be_dropped_one_by_one_and_all_at_once(void **state)
{
    stele_store *store = open_with_events();
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele__store_drop_snapshot(store, support_slice("a"), &error), error);
    assert_ok(save(store, "a", 3, "three", &error), error);
    assert_ok(save(store, "b", 1, "one", &error), error);
    assert_ok(stele__store_drop_snapshot(store, support_slice("a"), &error), error);
    assert_int_equal(load(store, "a").visits, 0);
    assert_snapshot(store, "b", 1, "one");
    assert_ok(save(store, "a", 3, "three", &error), error);
    assert_ok(stele__store_drop_snapshot(store, support_slice(NULL), &error), error);
    assert_int_equal(load(store, "a").visits, 0);
    assert_int_equal(load(store, "b").visits, 0);
    assert_ok(save(store, "a", 2, "two", &error), error);
    assert_snapshot(store, "a", 2, "two");
    stele_store_close(store);
}

static bool compare_large(void *context, const struct stele_snapshot *snapshot)
{
    const struct stele_slice *state = context;

    assert_int_equal(snapshot->state.size, state->size);
    assert_memory_equal(snapshot->state.data, state->data, state->size);
    return true;
}

static void a_large_state_is_kept(void **state)
{
    enum { LARGE = 3 * 1024 * 1024 };
    stele_store *store = open_with_events();
    struct stele_snapshot snapshot = snapshot_of("a", 1, "");
    struct support_random random = support_seed();
    char *bytes = malloc(LARGE);
    stele_error *error = NULL;
    bool damaged;

    (void)state;
    assert_non_null(bytes);
    support_random_bytes(&random, bytes, LARGE);
    snapshot.state = (struct stele_slice){bytes, LARGE};
    assert_ok(stele__store_save_snapshot(store, &snapshot, &error), error);
    assert_ok(stele__store_load_snapshot(store, support_slice("a"), compare_large, &snapshot.state, &damaged, &error),
              error);
    assert_false(damaged);
    free(bytes);
    stele_store_close(store);
}

static void a_store_opened_for_reading_loads_snapshots_and_saves_none(void **state)
{
    const struct stele_store_options reading = {.size = sizeof(reading), .mode = STELE_OPEN_READ_ONLY};
    stele_store *store = open_with_events();
    stele_error *error = NULL;

    (void)state;
    if (contract_is_durable()) {
        assert_ok(save(store, "a", 3, "three", &error), error);
        stele_store_close(store);
        store = contract_open_with(&reading);
        assert_snapshot(store, "a", 3, "three");
        assert_status(STELE_READ_ONLY, save(store, "a", 4, "four", &error), error);
        assert_status(STELE_READ_ONLY, stele__store_drop_snapshot(store, support_slice(NULL), &error), error);
    }
    stele_store_close(store);
}

/* --- Memory ------------------------------------------------------------------------------------ */

static stele_status save_load_drop(void *context, stele_error **error)
{
    struct loaded loaded = {.visits = 0};
    stele_store *store = context;
    bool damaged;
    stele_status status = save(store, "a", 3, "three", error);

    if (status == STELE_OK)
        status = stele__store_load_snapshot(store, support_slice("a"), take, &loaded, &damaged, error);
    if (status == STELE_OK)
        status = stele__store_drop_snapshot(store, support_slice("a"), error);
    return status;
}

static void running_out_of_memory_harms_no_snapshot(void **state)
{
    stele_store *store = open_with_events();
    stele_error *error = NULL;

    (void)state;
    /* Once, for what is prepared and kept. */
    assert_ok(save_load_drop(store, &error), error);
    support_every_allocation_fails(save_load_drop, store);
    assert_ok(save(store, "a", 3, "three", &error), error);
    assert_snapshot(store, "a", 3, "three");
    assert_numbers(store, QUERY(.stream = "a"), 1, 2, 3, 4, 5);
    stele_store_close(store);
}

static const struct CMUnitTest tests[] = {
    support_test(E3_a_snapshot_is_loaded_as_it_was_saved),
    support_test(E3_a_newer_snapshot_replaces_and_an_older_one_does_not),
    support_test(E3_a_snapshot_of_another_shape_is_replaced_also_by_an_older_one),
    support_test(E3_a_snapshot_belongs_to_a_stream_and_a_version_it_has),
    support_test(E3_snapshots_can_be_dropped_one_by_one_and_all_at_once),
    support_test(a_large_state_is_kept),
    support_test(a_store_opened_for_reading_loads_snapshots_and_saves_none),
    support_test(running_out_of_memory_harms_no_snapshot),
};

CONTRACT_GROUP(contract_snapshot_group, tests);
