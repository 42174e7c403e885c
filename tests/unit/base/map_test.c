/* Maps: against a plain array of keys, with removal, growth and failing memory. */
#include "tests/support/support.h"

#include "base/error.h"
#include "base/map.h"

#include <stdio.h>

enum { KEYS = 300, KEY_SIZE = 24 };

/* Keys of many lengths that share their beginnings. */
static struct stele_slice key_at(size_t index)
{
    static char texts[KEYS][KEY_SIZE];
    const int length = snprintf(texts[index], KEY_SIZE, "%.*s%zu", (int)(index % 15), "account-account", index);

    return (struct stele_slice){texts[index], (size_t)length};
}

static void an_empty_map_needs_no_memory(void **state)
{
    struct stele__map map;
    struct stele_slice key;
    size_t place = 0;
    void *value;

    (void)state;
    stele__map_init(&map);
    assert_null(stele__map_get(&map, key_at(0)));
    assert_null(stele__map_remove(&map, key_at(0)));
    assert_false(stele__map_next(&map, &place, &key, &value));
    assert_int_equal(0, support_allocations());
    stele__map_fini(&map);
}

static void a_key_is_its_bytes_whatever_they_are(void **state)
{
    int values[4] = {0};
    struct stele__map map;

    (void)state;
    stele__map_init(&map);
    assert_true(stele__map_put(&map, (struct stele_slice){"a\0b", 3}, &values[0]));
    assert_true(stele__map_put(&map, (struct stele_slice){"a\0c", 3}, &values[1]));
    assert_true(stele__map_put(&map, (struct stele_slice){"a", 1}, &values[2]));
    assert_true(stele__map_put(&map, (struct stele_slice){"", 0}, &values[3]));
    assert_ptr_equal(&values[0], stele__map_get(&map, (struct stele_slice){"a\0b", 3}));
    assert_ptr_equal(&values[1], stele__map_get(&map, (struct stele_slice){"a\0c", 3}));
    assert_ptr_equal(&values[2], stele__map_get(&map, (struct stele_slice){"a", 1}));
    assert_ptr_equal(&values[3], stele__map_get(&map, (struct stele_slice){"", 0}));
    assert_null(stele__map_get(&map, (struct stele_slice){"a\0", 2}));
    stele__map_fini(&map);
}

static void a_replaced_entry_keeps_its_first_key(void **state)
{
    char first[] = "key";
    char second[] = "key";
    int values[2] = {0};
    struct stele__map map;
    struct stele_slice key;
    size_t place = 0;
    void *value;

    (void)state;
    stele__map_init(&map);
    assert_true(stele__map_put(&map, support_slice(first), &values[0]));
    assert_true(stele__map_put(&map, support_slice(second), &values[1]));
    assert_int_equal(1, map.count);
    assert_true(stele__map_next(&map, &place, &key, &value));
    assert_ptr_equal(first, key.data);
    assert_ptr_equal(&values[1], value);
    assert_false(stele__map_next(&map, &place, &key, &value));
    stele__map_fini(&map);
}

/* A walk meets every entry of the model once. */
static void assert_walk(const struct stele__map *map, char *const model[KEYS])
{
    struct stele_slice key;
    size_t place = 0;
    size_t met = 0;
    size_t wanted = 0;
    void *value;

    while (stele__map_next(map, &place, &key, &value)) {
        met++;
        assert_ptr_equal(value, stele__map_get(map, key));
    }
    for (size_t i = 0; i < KEYS; i++) {
        wanted += model[i] != NULL;
        assert_ptr_equal(model[i], stele__map_get(map, key_at(i)));
    }
    assert_int_equal(wanted, met);
    assert_int_equal(wanted, map->count);
}

static void a_map_agrees_with_an_array_over_random_operations(void **state)
{
    static char values[100];
    struct support_random random = support_seed();
    char *model[KEYS] = {NULL};
    struct stele__map map;

    (void)state;
    stele__map_init(&map);
    for (int i = 0; i < 20000; i++) {
        const size_t index = support_random_below(&random, KEYS);

        if (support_random_below(&random, 2) == 0) {
            char *value = &values[support_random_below(&random, sizeof(values))];

            assert_true(stele__map_put(&map, key_at(index), value));
            model[index] = value;
        } else {
            assert_ptr_equal(model[index], stele__map_remove(&map, key_at(index)));
            model[index] = NULL;
        }
        if (i % 500 == 0)
            assert_walk(&map, model);
    }
    assert_walk(&map, model);
    stele__map_fini(&map);
}

static void removed_entries_do_not_make_a_map_grow(void **state)
{
    static char value;
    struct stele__map map;

    (void)state;
    stele__map_init(&map);
    for (size_t i = 0; i < 100000; i++) {
        assert_true(stele__map_put(&map, key_at(i % KEYS), &value));
        assert_ptr_equal(&value, stele__map_remove(&map, key_at(i % KEYS)));
    }
    assert_int_equal(16, map.capacity);
    stele__map_fini(&map);
}

static stele_status fill_map(void *context, stele_error **error)
{
    static char value;
    struct stele__map map;
    stele_status status = STELE_OK;

    (void)context;
    stele__map_init(&map);
    for (size_t i = 0; i < 100 && status == STELE_OK; i++) {
        if (!stele__map_put(&map, key_at(i), &value)) {
            status = stele__fail_memory(error);
            assert_null(stele__map_get(&map, key_at(i)));
            assert_int_equal(i, map.count);
        }
    }
    for (size_t i = 0; i < map.count; i++)
        assert_ptr_equal(&value, stele__map_get(&map, key_at(i)));
    stele__map_fini(&map);
    return status;
}

static void what_a_burst_of_keys_took_is_given_back(void **state)
{
    enum { MANY = 20000 };
    static uint32_t keys[MANY];
    struct stele__map map;
    size_t most = 0;

    (void)state;
    stele__map_init(&map);
    for (uint32_t i = 0; i < MANY; i++) {
        keys[i] = i;
        assert_true(stele__map_put(&map, (struct stele_slice){(const char *)&keys[i], sizeof(keys[i])}, &keys[i]));
    }
    most = map.capacity;
    for (uint32_t i = 100; i < MANY; i++)
        assert_ptr_equal(&keys[i],
                         stele__map_remove(&map, (struct stele_slice){(const char *)&keys[i], sizeof(keys[i])}));
    assert_true(map.capacity <= most / 16);
    for (uint32_t i = 0; i < 100; i++)
        assert_ptr_equal(&keys[i],
                         stele__map_remove(&map, (struct stele_slice){(const char *)&keys[i], sizeof(keys[i])}));
    assert_int_equal(0, map.count);
    assert_true(map.capacity <= 1024);
    stele__map_fini(&map);
}

static void a_map_that_cannot_shrink_stays_large(void **state)
{
    enum { MANY = 2000 };
    static uint32_t keys[MANY];
    struct stele__map map;

    (void)state;
    stele__map_init(&map);
    for (uint32_t i = 0; i < MANY; i++) {
        keys[i] = i;
        assert_true(stele__map_put(&map, (struct stele_slice){(const char *)&keys[i], sizeof(keys[i])}, &keys[i]));
    }
    support_fail_allocations_from(1);
    for (uint32_t i = 1; i < MANY; i++)
        assert_non_null(stele__map_remove(&map, (struct stele_slice){(const char *)&keys[i], sizeof(keys[i])}));
    assert_true(support_allocation_failed());
    support_fail_allocations_from(0);
    assert_ptr_equal(&keys[0], stele__map_get(&map, (struct stele_slice){(const char *)&keys[0], sizeof(keys[0])}));
    stele__map_fini(&map);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    /* Three quarters of 16, 32, 64 and 128 are below 100: 16, 32, 64, 128, 256. */
    assert_int_equal(5, support_every_allocation_fails(fill_map, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(an_empty_map_needs_no_memory),
        support_test(a_key_is_its_bytes_whatever_they_are),
        support_test(a_replaced_entry_keeps_its_first_key),
        support_test(a_map_agrees_with_an_array_over_random_operations),
        support_test(removed_entries_do_not_make_a_map_grow),
        support_test(what_a_burst_of_keys_took_is_given_back),
        support_test(a_map_that_cannot_shrink_stays_large),
        support_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
