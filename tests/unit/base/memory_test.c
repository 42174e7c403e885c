/* The allocator table, the count of bytes in use, and copies of text. */
#include "tests/support/support.h"

#include "base/memory.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static void allocated_memory_is_zeroed(void **state)
{
    static const char zeros[1000];
    char *memory;

    (void)state;
    for (int i = 0; i < 3; i++) {
        memory = stele__alloc(1000);
        assert_memory_equal(zeros, memory, 1000);
        memset(memory, 0xAA, 1000);
        stele__free(memory, 1000);
    }
}

static void memory_in_use_is_exact(void **state)
{
    const size_t before = stele_memory_in_use();
    char *memory = stele__alloc(100);

    (void)state;
    assert_int_equal(before + 100, stele_memory_in_use());
    memory = stele__resize(memory, 100, 250);
    assert_int_equal(before + 250, stele_memory_in_use());
    memory = stele__resize(memory, 250, 30);
    assert_int_equal(before + 30, stele_memory_in_use());
    support_fail_allocation(1);
    assert_null(stele__resize(memory, 30, 4000));
    assert_null(stele__alloc(SIZE_MAX));
    assert_int_equal(before + 30, stele_memory_in_use());
    stele__free(memory, 30);
    stele__free(NULL, 99);
    assert_int_equal(before, stele_memory_in_use());
}

static void nothing_is_still_something_to_allocate(void **state)
{
    const size_t before = stele_memory_in_use();
    void *first = stele__alloc(0);
    void *second = stele__alloc(0);

    (void)state;
    assert_non_null(first);
    assert_ptr_not_equal(first, second);
    first = stele__resize(first, 0, 10);
    first = stele__resize(first, 10, 0);
    stele__free(first, 0);
    stele__free(second, 0);
    assert_int_equal(before, stele_memory_in_use());
}

/* An allocator that remembers what it was asked. */
struct recorder {
    size_t old_size;
    size_t new_size;
    size_t released;
    int calls;
};

static void *record_resize(void *context, void *memory, size_t old_size, size_t new_size)
{
    struct recorder *recorder = context;

    recorder->old_size = old_size;
    recorder->new_size = new_size;
    recorder->calls++;
    return realloc(memory, new_size);
}

static void record_release(void *context, void *memory, size_t size)
{
    struct recorder *recorder = context;

    recorder->released = size;
    recorder->calls++;
    free(memory);
}

static void an_allocator_gets_its_context_and_the_sizes(void **state)
{
    struct recorder recorder = {0};
    const struct stele_allocator allocator = {record_resize, record_release, &recorder};
    stele_error *error = NULL;
    void *memory;

    (void)state;
    assert_ok(stele_memory_use(&allocator, &error), error);
    memory = stele__alloc(40);
    assert_int_equal(0, recorder.old_size);
    assert_int_equal(40, recorder.new_size);
    memory = stele__resize(memory, 40, 90);
    assert_int_equal(40, recorder.old_size);
    assert_int_equal(90, recorder.new_size);
    stele__free(memory, 90);
    assert_int_equal(90, recorder.released);
    stele__free(NULL, 7);
    assert_int_equal(3, recorder.calls);
    assert_ok(stele_memory_use(NULL, &error), error);
    stele__free(stele__alloc(5), 5);
    assert_int_equal(3, recorder.calls);
}

static void an_allocator_cannot_be_replaced_while_memory_is_in_use(void **state)
{
    stele_error *error = NULL;
    void *memory = stele__alloc(1);

    (void)state;
    assert_failure(STELE_INVALID, stele_memory_use(NULL, &error), error);
    assert_string_equal("allocator", stele_error_get(error, "argument"));
    stele_error_free(error);
    stele__free(memory, 1);
}

static void an_allocator_without_both_functions_is_refused(void **state)
{
    const struct stele_allocator no_release = {record_resize, NULL, NULL};
    const struct stele_allocator no_resize = {NULL, record_release, NULL};
    stele_error *error = NULL;

    (void)state;
    assert_status(STELE_INVALID, stele_memory_use(&no_release, &error), error);
    assert_status(STELE_INVALID, stele_memory_use(&no_resize, &error), error);
}

static void copies_of_text_end_in_nul(void **state)
{
    const struct stele_slice inner = {"abcdef", 3};
    const struct stele_slice with_nul = {"ab\0cd", 5};
    char *copy = stele__text_copy("word");

    (void)state;
    assert_string_equal("word", copy);
    stele__text_free(copy);
    copy = stele__text_copy_slice(inner);
    assert_string_equal("abc", copy);
    stele__text_free(copy);
    copy = stele__text_copy_slice(with_nul);
    assert_string_equal("ab", copy);
    stele__text_free(copy);
    copy = stele__text_copy("");
    assert_string_equal("", copy);
    stele__text_free(copy);
    assert_null(stele__text_copy(NULL));
    assert_null(stele__text_copy_slice(support_slice(NULL)));
    stele__text_free(NULL);
    support_fail_allocation(1);
    assert_null(stele__text_copy("word"));
}

static void sizes_that_overflow_are_found(void **state)
{
    size_t result = 7;

    (void)state;
    assert_true(stele__size_multiply(SIZE_MAX, 1, &result));
    assert_true(result == SIZE_MAX);
    assert_true(stele__size_multiply(0, SIZE_MAX, &result));
    assert_int_equal(0, result);
    assert_false(stele__size_multiply(SIZE_MAX / 2 + 1, 2, &result));
    assert_true(stele__size_add(SIZE_MAX - 1, 1, &result));
    assert_true(result == SIZE_MAX);
    assert_false(stele__size_add(SIZE_MAX, 1, &result));
}

static void *allocate_and_free(void *context)
{
    (void)context;
    for (size_t size = 1; size < 2000; size++)
        stele__free(stele__alloc(size), size);
    return NULL;
}

static void memory_in_use_is_counted_across_threads(void **state)
{
    const size_t before = stele_memory_in_use();
    pthread_t threads[4];

    (void)state;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(0, pthread_create(&threads[i], NULL, allocate_and_free, NULL));
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(before, stele_memory_in_use());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(allocated_memory_is_zeroed),
        support_test(memory_in_use_is_exact),
        support_test(nothing_is_still_something_to_allocate),
        support_test(an_allocator_gets_its_context_and_the_sizes),
        support_test(an_allocator_cannot_be_replaced_while_memory_is_in_use),
        support_test(an_allocator_without_both_functions_is_refused),
        support_test(copies_of_text_end_in_nul),
        support_test(sizes_that_overflow_are_found),
        support_test(memory_in_use_is_counted_across_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
