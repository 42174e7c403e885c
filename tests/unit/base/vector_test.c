/* Vectors: growth keeps the items, a failure keeps the vector. */
#include "tests/support/support.h"

#include "base/error.h"
#include "base/vector.h"

struct item {
    uint64_t number;
    char letter;
};

static void items_are_zeroed_and_survive_growth(void **state)
{
    struct stele__vector vector;

    (void)state;
    stele__vector_init(&vector, sizeof(struct item));
    for (size_t i = 0; i < 1000; i++) {
        struct item *item = stele__vector_add(&vector);

        assert_int_equal(0, item->number);
        assert_int_equal(0, item->letter);
        item->number = i;
        item->letter = 'x';
    }
    assert_int_equal(1000, vector.count);
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(i, ((const struct item *)stele__vector_at(&vector, i))->number);
    /* 8, 16, ... 1024 */
    assert_int_equal(8, support_allocations());
    stele__vector_fini(&vector);
    assert_int_equal(0, vector.count);
}

static void a_truncated_vector_gives_zeroed_items_again(void **state)
{
    struct stele__vector vector;

    (void)state;
    stele__vector_init(&vector, sizeof(int));
    for (int i = 0; i < 5; i++)
        *(int *)stele__vector_add(&vector) = 9;
    stele__vector_truncate(&vector, 2);
    assert_int_equal(2, vector.count);
    assert_int_equal(0, *(const int *)stele__vector_add(&vector));
    stele__vector_truncate(&vector, 10);
    assert_int_equal(3, vector.count);
    assert_int_equal(9, *(const int *)stele__vector_at(&vector, 1));
    stele__vector_fini(&vector);
}

static void reserved_room_needs_no_further_memory(void **state)
{
    struct stele__vector vector;

    (void)state;
    stele__vector_init(&vector, sizeof(int));
    assert_true(stele__vector_reserve(&vector, 0));
    assert_int_equal(0, support_allocations());
    assert_true(stele__vector_reserve(&vector, 100));
    for (int i = 0; i < 100; i++)
        assert_non_null(stele__vector_add(&vector));
    assert_int_equal(1, support_allocations());
    stele__vector_fini(&vector);
}

static void a_count_that_overflows_is_refused(void **state)
{
    struct stele__vector vector;

    (void)state;
    stele__vector_init(&vector, 16);
    *(char *)stele__vector_add(&vector) = 'a';
    assert_false(stele__vector_reserve(&vector, SIZE_MAX / 16 + 1));
    assert_false(stele__vector_reserve(&vector, SIZE_MAX / 16));
    assert_int_equal(1, vector.count);
    assert_int_equal('a', *(const char *)stele__vector_at(&vector, 0));
    stele__vector_fini(&vector);
}

static stele_status fill_vector(void *context, stele_error **error)
{
    struct stele__vector vector;
    stele_status status = STELE_OK;

    (void)context;
    stele__vector_init(&vector, sizeof(size_t));
    for (size_t i = 0; i < 100 && status == STELE_OK; i++) {
        size_t *item = stele__vector_add(&vector);

        if (item)
            *item = i;
        else
            status = stele__fail_memory(error);
    }
    for (size_t i = 0; i < vector.count; i++)
        assert_int_equal(i, *(const size_t *)stele__vector_at(&vector, i));
    stele__vector_fini(&vector);
    return status;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    /* 8, 16, 32, 64, 128 */
    assert_int_equal(5, support_every_allocation_fails(fill_vector, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(items_are_zeroed_and_survive_growth),
        support_test(a_truncated_vector_gives_zeroed_items_again),
        support_test(reserved_room_needs_no_further_memory),
        support_test(a_count_that_overflows_is_refused),
        support_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
