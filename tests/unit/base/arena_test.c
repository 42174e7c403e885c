/* Arenas: alignment, reuse, savepoints, and what is left when memory is out. */
#include "tests/support/support.h"

#include "base/arena.h"
#include "base/error.h"

#include <string.h>

static void pieces_are_aligned_for_any_type_and_do_not_overlap(void **state)
{
    enum { PIECES = 2000 };
    static unsigned char *pieces[PIECES];
    static size_t sizes[PIECES];
    struct support_random random = support_seed();
    struct stele_arena arena;

    (void)state;
    stele__arena_init(&arena);
    for (size_t i = 0; i < PIECES; i++) {
        sizes[i] = support_random_below(&random, i % 100 == 0 ? 100000 : 200);
        pieces[i] = stele__arena_alloc(&arena, sizes[i]);
        assert_int_equal(0, (uintptr_t)pieces[i] % _Alignof(max_align_t));
        memset(pieces[i], (int)(i % 251), sizes[i]);
    }
    for (size_t i = 0; i < PIECES; i++) {
        for (size_t j = 0; j < sizes[i]; j++)
            assert_int_equal(i % 251, pieces[i][j]);
    }
    stele__arena_fini(&arena);
}

static void a_piece_of_no_bytes_is_a_unique_pointer(void **state)
{
    stele_arena *arena = NULL;
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele_arena_new(&arena, &error), error);
    assert_int_equal(0, stele_arena_used(arena));
    assert_non_null(stele_arena_alloc(arena, 0));
    assert_ptr_not_equal(stele_arena_alloc(arena, 0), stele_arena_alloc(arena, 0));
    stele_arena_free(arena);
}

static void a_text_is_copied_with_a_nul(void **state)
{
    struct stele_arena arena;
    const char *text;

    (void)state;
    stele__arena_init(&arena);
    text = stele_arena_text(&arena, "abcdef", 3);
    assert_string_equal("abc", text);
    assert_string_equal("", stele_arena_text(&arena, NULL, 0));
    assert_null(stele_arena_text(&arena, "x", SIZE_MAX));
    stele__arena_fini(&arena);
}

static void used_counts_what_was_handed_out_since_the_reset(void **state)
{
    const size_t unit = _Alignof(max_align_t);
    struct stele_arena arena;

    (void)state;
    stele__arena_init(&arena);
    stele_arena_alloc(&arena, 1);
    assert_int_equal(unit, stele_arena_used(&arena));
    stele_arena_alloc(&arena, 5 * unit);
    assert_int_equal(6 * unit, stele_arena_used(&arena));
    stele_arena_alloc(&arena, 100000 * unit);
    assert_int_equal(100006 * unit, stele_arena_used(&arena));
    stele_arena_reset(&arena);
    assert_int_equal(0, stele_arena_used(&arena));
    stele__arena_fini(&arena);
}

static void a_reset_keeps_one_block_for_reuse(void **state)
{
    struct stele_arena arena;
    size_t allocations;

    (void)state;
    stele__arena_init(&arena);
    stele_arena_reset(&arena);
    for (int i = 0; i < 1000; i++)
        stele_arena_alloc(&arena, 500);
    stele_arena_reset(&arena);
    assert_in_range(stele_memory_in_use(), 1, 64 * 1024);
    allocations = support_allocations();
    for (int i = 0; i < 100; i++)
        stele_arena_alloc(&arena, 500);
    assert_int_equal(allocations, support_allocations());
    stele__arena_fini(&arena);
    assert_int_equal(0, stele_memory_in_use());
}

static void blocks_grow_so_that_many_small_pieces_need_few_allocations(void **state)
{
    struct stele_arena arena;

    (void)state;
    stele__arena_init(&arena);
    for (int i = 0; i < 65536; i++)
        assert_non_null(stele_arena_alloc(&arena, 16));
    /* 1 MiB in blocks of 1, 2, 4 ... 64 KiB: 7 of them, then 15 or 16 of 64 KiB. */
    assert_in_range(support_allocations(), 20, 24);
    stele__arena_fini(&arena);
}

static void a_size_no_machine_has_is_out_of_memory(void **state)
{
    static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 15, SIZE_MAX - 64, SIZE_MAX / 2 + 1, PTRDIFF_MAX};
    struct stele_arena arena;

    (void)state;
    stele__arena_init(&arena);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        assert_null(stele_arena_alloc(&arena, sizes[i]));
    assert_null(stele__arena_array(&arena, SIZE_MAX / 2, 3));
    assert_int_equal(0, support_allocations());
    assert_non_null(stele_arena_alloc(&arena, 10));
    stele__arena_fini(&arena);
}

static void an_array_is_zeroed_also_in_used_memory(void **state)
{
    static const char zeros[400];
    struct stele_arena arena;

    (void)state;
    stele__arena_init(&arena);
    memset(stele_arena_alloc(&arena, 400), 0xAA, 400);
    stele_arena_reset(&arena);
    assert_memory_equal(zeros, stele__arena_array(&arena, 100, 4), 400);
    assert_non_null(stele__arena_array(&arena, 0, 4));
    stele__arena_fini(&arena);
}

static void a_rewind_takes_back_what_came_after_the_mark(void **state)
{
    struct stele_arena arena;
    struct stele__arena_mark mark;
    size_t used;
    char *kept;
    char *next;

    (void)state;
    stele__arena_init(&arena);
    kept = stele_arena_text(&arena, "kept", 4);
    mark = stele__arena_mark(&arena);
    used = stele_arena_used(&arena);
    next = stele_arena_alloc(&arena, 10);
    for (int i = 0; i < 5000; i++)
        stele_arena_alloc(&arena, 100);
    stele__arena_rewind(&arena, mark);
    assert_int_equal(used, stele_arena_used(&arena));
    assert_string_equal("kept", kept);
    assert_ptr_equal(next, stele_arena_alloc(&arena, 10));
    stele__arena_rewind(&arena, mark);
    stele__arena_rewind(&arena, mark);
    assert_int_equal(used, stele_arena_used(&arena));
    stele__arena_fini(&arena);
}

static void a_mark_of_an_empty_arena_takes_back_everything(void **state)
{
    struct stele_arena arena;
    struct stele__arena_mark mark;
    size_t allocations;

    (void)state;
    stele__arena_init(&arena);
    mark = stele__arena_mark(&arena);
    stele__arena_rewind(&arena, mark);
    stele_arena_alloc(&arena, 10);
    stele__arena_rewind(&arena, mark);
    assert_int_equal(0, stele_arena_used(&arena));
    allocations = support_allocations();
    stele_arena_alloc(&arena, 10);
    assert_int_equal(allocations, support_allocations());
    stele__arena_fini(&arena);
}

static void memory_that_was_taken_back_is_poisoned(void **state)
{
    (void)state;
#ifdef STELE__ADDRESS_SANITIZER
    struct stele_arena arena;
    struct stele__arena_mark mark;
    char *first;
    char *second;

    stele__arena_init(&arena);
    first = stele_arena_alloc(&arena, 20);
    assert_false(__asan_address_is_poisoned(first + 19));
    assert_true(__asan_address_is_poisoned(first + 24));
    mark = stele__arena_mark(&arena);
    second = stele_arena_alloc(&arena, 8);
    stele__arena_rewind(&arena, mark);
    assert_true(__asan_address_is_poisoned(second));
    assert_false(__asan_address_is_poisoned(first));
    stele_arena_reset(&arena);
    assert_true(__asan_address_is_poisoned(first));
    stele__arena_fini(&arena);
#else
    skip();
#endif
}

static void an_arena_without_memory_is_as_before(void **state)
{
    struct stele_arena arena;
    size_t used;
    char *text;

    (void)state;
    stele__arena_init(&arena);
    support_fail_allocation(1);
    assert_null(stele_arena_alloc(&arena, 1));
    assert_int_equal(0, stele_arena_used(&arena));
    text = stele_arena_text(&arena, "text", 4);
    used = stele_arena_used(&arena);
    support_fail_allocation(1);
    assert_null(stele_arena_alloc(&arena, 100000));
    assert_string_equal("text", text);
    assert_int_equal(used, stele_arena_used(&arena));
    assert_ptr_equal(text + 16, stele_arena_alloc(&arena, 1));
    stele__arena_fini(&arena);
}

static stele_status fill_arena(void *context, stele_error **error)
{
    stele_arena *arena = NULL;
    stele_status status = stele_arena_new(&arena, error);

    (void)context;
    if (status != STELE_OK)
        return status;
    for (size_t i = 0; i < 20 && status == STELE_OK; i++) {
        if (!stele_arena_alloc(arena, i * 1000))
            status = stele__fail_memory(error);
    }
    stele_arena_free(arena);
    return status;
}

static void an_arena_on_memory_of_the_caller_allocates_only_beyond_it(void **state)
{
    _Alignas(max_align_t) char memory[256];
    struct stele_arena arena;
    char *first;
    char *second;

    (void)state;
    stele__arena_init_on(&arena, memory, sizeof(memory));
    first = stele__arena_alloc(&arena, 100);
    assert_true(first >= memory && first + 100 <= memory + sizeof(memory));
    assert_int_equal(0, (uintptr_t)first % _Alignof(max_align_t));
    assert_int_equal(0, stele_memory_in_use());
    memset(first, 'a', 100);
    second = stele__arena_alloc(&arena, 200);
    assert_true(second + 200 <= memory || second >= memory + sizeof(memory));
    memset(second, 'b', 200);
    assert_int_equal('a', first[99]);
    assert_true(stele_memory_in_use() > 0);
    stele_arena_reset(&arena);
    assert_int_equal(0, stele_arena_used(&arena));
    stele__arena_fini(&arena);
    assert_int_equal(0, stele_memory_in_use());
    /* All of it is the caller's again. */
    memset(memory, 'c', sizeof(memory));
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_in_range(support_every_allocation_fails(fill_arena, NULL), 5, 30);
    stele_arena_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(pieces_are_aligned_for_any_type_and_do_not_overlap),
        support_test(a_piece_of_no_bytes_is_a_unique_pointer),
        support_test(a_text_is_copied_with_a_nul),
        support_test(used_counts_what_was_handed_out_since_the_reset),
        support_test(a_reset_keeps_one_block_for_reuse),
        support_test(blocks_grow_so_that_many_small_pieces_need_few_allocations),
        support_test(a_size_no_machine_has_is_out_of_memory),
        support_test(an_array_is_zeroed_also_in_used_memory),
        support_test(a_rewind_takes_back_what_came_after_the_mark),
        support_test(a_mark_of_an_empty_arena_takes_back_everything),
        support_test(memory_that_was_taken_back_is_poisoned),
        support_test(an_arena_without_memory_is_as_before),
        support_test(an_arena_on_memory_of_the_caller_allocates_only_beyond_it),
        support_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
