/* The cache of aggregates: what it keeps, for how long, and that it hides nothing. */
#include "tests/unit/aggregate/basket.h"

#include <string.h>

#include "aggregate/cache.h"

static const struct basket empty_state;

static struct stele__kept *kept(const char *stream, uint64_t version)
{
    struct stele__kept *made = NULL;
    stele_error *error = NULL;
    assert_ok(stele__kept_new(&basket_type, stream, &empty_state, &made, &error), error);
    made->version = version;
    return made;
}

static uint64_t version_in(struct stele__cache *cache, const char *stream)
{
    struct stele__kept *found = stele__cache_find(cache, stream);
    const uint64_t version = found != NULL ? found->version : 0;
    stele__kept_unref(found);
    return version;
}

/* --- The cache alone ------------------------------------------------------------ */

static void the_state_used_least_recently_goes_first(void **state)
{
    (void)state;
    struct stele__kept *first = kept("a", 1);
    struct stele__cache *cache = stele__cache_new(3 * first->bytes);
    stele__cache_keep(cache, first);
    stele__cache_keep(cache, kept("b", 2));
    stele__cache_keep(cache, kept("c", 3));
    assert_int_equal(1, version_in(cache, "a"));
    stele__cache_keep(cache, kept("d", 4)); /* in place of b */
    assert_int_equal(0, version_in(cache, "b"));
    assert_int_equal(3, version_in(cache, "c"));
    assert_int_equal(1, version_in(cache, "a"));
    stele__cache_keep(cache, kept("e", 5)); /* in place of d */
    assert_int_equal(0, version_in(cache, "d"));
    assert_int_equal(1, version_in(cache, "a"));
    assert_int_equal(3, version_in(cache, "c"));
    assert_int_equal(5, version_in(cache, "e"));
    assert_int_equal(2, cache->evictions);
    assert_int_equal(cache->limit, cache->bytes);
    stele__cache_free(cache);
}

static void a_newer_version_replaces_an_older_one_and_not_the_other_way_round(void **state)
{
    (void)state;
    struct stele__cache *cache = stele__cache_new(100000);
    stele__cache_keep(cache, kept("a", 5));
    const size_t bytes = cache->bytes;
    stele__cache_keep(cache, kept("a", 4));
    assert_int_equal(5, version_in(cache, "a"));
    stele__cache_keep(cache, kept("a", 6));
    assert_int_equal(6, version_in(cache, "a"));
    assert_int_equal(bytes, cache->bytes);
    assert_int_equal(1, cache->by_stream.count);
    assert_int_equal(0, cache->evictions);
    stele__cache_free(cache);
}

static void a_state_larger_than_the_cache_is_not_kept_and_displaces_nothing(void **state)
{
    (void)state;
    struct stele__kept *small = kept("a", 1);
    struct stele__cache *cache = stele__cache_new(small->bytes + 1);
    char longer[64];
    memset(longer, 'n', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    stele__cache_keep(cache, small);
    stele__cache_keep(cache, kept(longer, 1));
    assert_int_equal(0, version_in(cache, longer));
    assert_int_equal(1, version_in(cache, "a"));
    stele__cache_free(cache);
}

static void a_state_in_use_outlives_its_place(void **state)
{
    (void)state;
    struct stele__kept *first = kept("a", 1);
    struct stele__cache *cache = stele__cache_new(first->bytes);
    stele__cache_keep(cache, first);
    struct stele__kept *found = stele__cache_find(cache, "a");
    stele__cache_keep(cache, kept("b", 2));
    assert_int_equal(0, version_in(cache, "a"));
    assert_int_equal(1, found->version);
    assert_memory_equal("a", found->stream.data, 2);
    stele__cache_drop(cache, found); /* is not the one kept: nothing happens */
    assert_int_equal(2, version_in(cache, "b"));
    stele__kept_unref(found);
    found = stele__cache_find(cache, "b");
    stele__cache_drop(cache, found);
    assert_int_equal(0, version_in(cache, "b"));
    assert_int_equal(0, cache->bytes);
    stele__kept_unref(found);
    stele__cache_free(cache);
}

static stele_status keep_one(void *context, stele_error **error)
{
    struct stele__cache *cache = stele__cache_new(100000);
    struct stele__kept *made = NULL;
    (void)context;
    if (cache == NULL)
        return STELE_NO_MEMORY;
    const stele_status status = stele__kept_new(&basket_type, "a", &empty_state, &made, error);
    if (status == STELE_OK)
        stele__cache_keep(cache, made);
    stele__cache_free(cache);
    return status;
}

static void what_cannot_be_kept_for_want_of_memory_is_not(void **state)
{
    (void)state;
    assert_int_equal(3, support_every_allocation_fails(keep_one, NULL));
}

/* --- In a repository -------------------------------------------------------------- */

static stele_store *open_store(const char *url)
{
    stele_store *store = NULL;
    stele_error *error = NULL;
    assert_ok(stele_store_open(url, NULL, &store, &error), error);
    return store;
}

static stele_repository *cached(stele_store *store, size_t bytes)
{
    return basket_repository(store, &(const struct basket_options){.cache_bytes = bytes});
}

static void only_events_behind_the_kept_version_are_read(void **state)
{
    (void)state;
    stele_store *store = open_store("memory:");
    stele_repository *repository = cached(store, 100000);
    basket_fill(store, "basket-1", 10);
    assert_total(repository, "basket-1", 10, 55);
    assert_total(repository, "basket-1", 10, 55);
    assert_int_equal(10, basket_stats(repository).events_folded);
    basket_fill(store, "basket-1", 2);
    assert_total(repository, "basket-1", 12, 78);
    assert_total(repository, "basket-1", 12, 78);
    const struct stele_repository_stats stats = basket_stats(repository);
    assert_int_equal(12, stats.events_folded);
    assert_int_equal(4, stats.loads);
    assert_int_equal(3, stats.cache_hits);
    assert_int_equal(1, stats.cache_misses);
    assert_int_equal(1, stats.cache_entries);
    assert_in_range(stats.cache_bytes, 500, 100000);
    stele_repository_free(repository);
    stele_store_close(store);
}

static void what_is_done_to_an_instance_is_not_seen_in_another(void **state)
{
    (void)state;
    stele_store *store = open_store("memory:");
    stele_repository *repository = cached(store, 100000);
    stele_instance *instance = NULL;
    stele_error *error = NULL;
    stele_message *command = add_command(1000, 1);
    basket_append(store, "basket-1", &added_type, &(const struct added){.amount = 1, .note = "first"}, 0);
    assert_total(repository, "basket-1", 1, 1);
    assert_ok(stele_load(repository, "basket-1", NULL, &instance, &error), error);
    assert_ok(stele_decide(instance, command, &error), error);
    assert_int_equal(1001, basket_of(instance)->total);
    assert_int_equal(2, basket_of(instance)->lines.count);
    assert_total(repository, "basket-1", 1, 1); /* it is not saved */
    stele_instance_free(instance);
    assert_ok(stele_load(repository, "basket-1", NULL, &instance, &error), error);
    basket_append(store, "basket-1", &added_type, &(const struct added){.amount = 2, .note = "second"}, 0);
    assert_total(repository, "basket-1", 2, 3);
    assert_int_equal(1, basket_of(instance)->total);
    assert_string_equal("first", basket_of(instance)->lines.items[0].note);
    stele_message_unref(command);
    assert_string_equal("first", basket_of(instance)->notes.items[0]);
    stele_instance_free(instance);
    stele_repository_free(repository);
    stele_store_close(store);
}

static void saving_keeps_the_new_state(void **state)
{
    (void)state;
    stele_store *store = open_store("memory:");
    stele_repository *repository = cached(store, 100000);
    stele_message *command = add_command(5, 3);
    stele_error *error = NULL;
    assert_ok(stele_execute(repository, "basket-1", command, NULL, &error), error);
    assert_total(repository, "basket-1", 3, 15);
    assert_int_equal(0, basket_stats(repository).events_folded);
    assert_int_equal(1, basket_stats(repository).cache_hits);
    stele_message_unref(command);
    stele_repository_free(repository);
    stele_store_close(store);
}

static void a_kept_state_never_hides_a_conflict(void **state)
{
    (void)state;
    stele_store *store = open_store("memory:");
    stele_repository *repository = cached(store, 100000);
    stele_instance *instance = NULL;
    stele_message *command = add_command(5, 1);
    stele_error *error = NULL;
    basket_fill(store, "basket-1", 3);
    assert_total(repository, "basket-1", 3, 6);
    assert_ok(stele_load(repository, "basket-1", NULL, &instance, &error), error);
    basket_fill(store, "basket-1", 1);
    assert_ok(stele_decide(instance, command, &error), error);
    assert_status(STELE_CONFLICT, stele_save(&instance, 1, NULL, &error), error);
    assert_int_equal(1, basket_stats(repository).conflicts);
    stele_instance_free(instance);
    assert_total(repository, "basket-1", 4, 10);
    stele_message_unref(command);
    stele_repository_free(repository);
    stele_store_close(store);
}

/* The way another process would come: through a store of its own on the same file. */
static void what_another_handle_appends_is_seen_at_the_next_load(void **state)
{
    (void)state;
    const char *path = support_temp_path("baskets.db");
    stele_store *store = open_store(path);
    stele_store *other = open_store(path);
    stele_repository *repository = cached(store, 100000);
    stele_message *command = add_command(5, 1);
    stele_error *error = NULL;
    basket_fill(other, "basket-1", 3);
    assert_total(repository, "basket-1", 3, 6);
    for (int64_t i = 4; i <= 8; i++) {
        basket_fill(other, "basket-1", 1);
        assert_total(repository, "basket-1", (uint64_t)i, i * (i + 1) / 2);
    }
    assert_int_equal(8, basket_stats(repository).events_folded);
    basket_fill(other, "basket-1", 1);
    assert_ok(stele_execute(repository, "basket-1", command, NULL, &error), error);
    assert_total(repository, "basket-1", 10, 50);
    stele_message_unref(command);
    stele_repository_free(repository);
    stele_store_close(other);
    stele_store_close(store);
}

static void as_of_an_earlier_version_or_time_nothing_newer_is_used(void **state)
{
    (void)state;
    stele_store *store = open_store("memory:");
    stele_repository *repository = cached(store, 100000);
    struct stele_load_options options = STELE_OPTIONS_INIT(struct stele_load_options);
    stele_instance *instance = NULL;
    stele_error *error = NULL;
    basket_fill(store, "basket-1", 10);
    assert_total(repository, "basket-1", 10, 55);
    options.version = 4;
    assert_ok(stele_load(repository, "basket-1", &options, &instance, &error), error);
    assert_int_equal(10, basket_of(instance)->total);
    stele_instance_free(instance);
    options.version = 0;
    options.has_time = true;
    options.time = INT64_C(5500000000);
    assert_ok(stele_load(repository, "basket-1", &options, &instance, &error), error);
    assert_int_equal(15, basket_of(instance)->total);
    stele_instance_free(instance);
    options.has_time = false;
    options.version = 11;
    assert_status(STELE_NOT_FOUND, stele_load(repository, "basket-1", &options, &instance, &error), error);
    assert_total(repository, "basket-1", 10, 55);
    stele_repository_free(repository);
    stele_store_close(store);
}

static void a_cache_keeps_to_its_limit(void **state)
{
    (void)state;
    enum { LIMIT = 20000 };
    stele_store *store = open_store("memory:");
    stele_repository *repository = cached(store, LIMIT);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 50; i++) {
            char stream[] = "basket-00";
            stream[7] = (char)('0' + i / 10);
            stream[8] = (char)('0' + i % 10);
            if (round == 0)
                basket_fill(store, stream, 3);
            assert_total(repository, stream, 3, 6);
            assert_in_range(basket_stats(repository).cache_bytes, 1, LIMIT);
        }
    }
    const struct stele_repository_stats stats = basket_stats(repository);
    assert_in_range(stats.cache_entries, 2, 49);
    /* each stream in turn: the oldest is always the one that is needed next */
    assert_int_equal(0, stats.cache_hits);
    assert_int_equal(100 - stats.cache_entries, stats.cache_evictions);
    stele_repository_free(repository);
    stele_store_close(store);
}

static void a_repeated_command_does_not_leave_its_second_thoughts_in_the_cache(void **state)
{
    (void)state;
    stele_store *store = open_store("memory:");
    stele_repository *repository = cached(store, 100000);
    stele_message *command = add_command(5, 2);
    struct stele_appended result;
    stele_error *error = NULL;
    for (int i = 0; i < 3; i++) {
        assert_ok(stele_execute(repository, "basket-1", command, &result, &error), error);
        assert_int_equal(i > 0, result.repeated);
        assert_total(repository, "basket-1", 2, 10);
    }
    stele_message_unref(command);
    stele_repository_free(repository);
    stele_store_close(store);
}

/* The first of two was decided, and has moved its instance on, when the second was refused: that is remembered. */
static void what_was_decided_beside_a_rejection_is_not_kept(void **state)
{
    (void)state;
    stele_store *store = open_store("memory:");
    stele_repository *repository = basket_repository(
        store, &(const struct basket_options){.snapshot_every = 1, .cache_bytes = 100000, .remember_commands = true});
    stele_message *commands[] = {add_command(5, 2), add_command(5, 1)};
    const struct stele_execution both[] = {{repository, "basket-1", commands[0]},
                                           {repository, "basket-2", commands[1]}};
    stele_error *error = NULL;
    basket_fill(store, "basket-1", 1);
    basket_append(store, "basket-2", &capped_type, &(const struct capped){.ceiling = {.value = 1, .present = true}}, 0);
    for (int i = 0; i < 2; i++)
        assert_status(STELE_REJECTED, stele_execute_all(both, 2, NULL, NULL, &error), error);
    /* Versions 2 and 3 become other events than those that were decided. */
    basket_drain(store);
    basket_fill(store, "basket-1", 3);
    assert_total(repository, "basket-1", 4, 10);
    basket_drain(store);
    stele_repository_free(repository);
    repository = basket_repository(store, &(const struct basket_options){.snapshot_every = 100});
    assert_total(repository, "basket-1", 4, 10);
    stele_message_unref(commands[0]);
    stele_message_unref(commands[1]);
    stele_repository_free(repository);
    stele_store_close(store);
}

static void without_the_option_nothing_is_kept(void **state)
{
    (void)state;
    stele_store *store = open_store("memory:");
    stele_repository *repository = cached(store, 0);
    basket_fill(store, "basket-1", 3);
    assert_total(repository, "basket-1", 3, 6);
    assert_total(repository, "basket-1", 3, 6);
    const struct stele_repository_stats stats = basket_stats(repository);
    assert_int_equal(6, stats.events_folded);
    assert_int_equal(0, stats.cache_hits + stats.cache_misses + stats.cache_bytes);
    stele_repository_free(repository);
    stele_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(the_state_used_least_recently_goes_first),
        support_test(a_newer_version_replaces_an_older_one_and_not_the_other_way_round),
        support_test(a_state_larger_than_the_cache_is_not_kept_and_displaces_nothing),
        support_test(a_state_in_use_outlives_its_place),
        support_test(what_cannot_be_kept_for_want_of_memory_is_not),
        support_test(only_events_behind_the_kept_version_are_read),
        support_test(what_is_done_to_an_instance_is_not_seen_in_another),
        support_test(saving_keeps_the_new_state),
        support_test(a_kept_state_never_hides_a_conflict),
        support_test(what_another_handle_appends_is_seen_at_the_next_load),
        support_test(as_of_an_earlier_version_or_time_nothing_newer_is_used),
        support_test(a_cache_keeps_to_its_limit),
        support_test(a_repeated_command_does_not_leave_its_second_thoughts_in_the_cache),
        support_test(what_was_decided_beside_a_rejection_is_not_kept),
        support_test(without_the_option_nothing_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
