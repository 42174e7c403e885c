/* The support itself: what it should catch, it catches. */
#include "tests/support/support.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"

enum { PIECES = 3, PIECE_SIZE = 24 };

/* Three allocations, each of which can fail. */
static stele_status three_pieces(void *context, stele_error **error)
{
    (void)context;
    void *pieces[PIECES] = {NULL};
    stele_status status = STELE_OK;
    for (size_t i = 0; i < PIECES && status == STELE_OK; i++) {
        pieces[i] = stele__alloc(PIECE_SIZE);
        if (pieces[i] == NULL)
            status = stele__fail_memory(error);
    }
    for (size_t i = 0; i < PIECES; i++)
        stele__free(pieces[i], PIECE_SIZE);
    return status;
}

static void every_allocation_of_an_attempt_fails_once(void **state)
{
    (void)state;
    assert_int_equal(support_every_allocation_fails(three_pieces, NULL), PIECES);
    /* 1, 2 and 3 allocations until the failure of each, then the 3 of the success. */
    assert_int_equal(support_allocations(), 1 + 2 + 3 + 3);
}

static void an_allocation_fails_once_and_the_next_does_not(void **state)
{
    (void)state;
    support_fail_allocation(2);
    void *first = stele__alloc(PIECE_SIZE);
    assert_non_null(first);
    assert_false(support_allocation_failed());
    assert_null(stele__alloc(PIECE_SIZE));
    assert_true(support_allocation_failed());
    void *third = stele__alloc(PIECE_SIZE);
    assert_non_null(third);
    stele__free(first, PIECE_SIZE);
    stele__free(third, PIECE_SIZE);
}

static void allocations_fail_from_one_on_until_told_otherwise(void **state)
{
    (void)state;
    support_fail_allocations_from(1);
    assert_null(stele__alloc(PIECE_SIZE));
    assert_null(stele__alloc(PIECE_SIZE));
    support_fail_allocation(0);
    void *piece = stele__alloc(PIECE_SIZE);
    assert_non_null(piece);
    stele__free(piece, PIECE_SIZE);
}

static void teardown_finds_memory_that_is_left(void **state)
{
    void *piece = stele__alloc(PIECE_SIZE);
    assert_non_null(piece);
    assert_int_equal(support_teardown(state), -1);
    stele__free(piece, PIECE_SIZE);
    assert_int_equal(support_teardown(state), 0);
}

static void teardown_finds_a_descriptor_that_is_left(void **state)
{
    const int descriptor = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_in_range(descriptor, 0, 1000000);
    assert_int_equal(support_teardown(state), -1);
    close(descriptor);
    assert_int_equal(support_teardown(state), 0);
}

static void a_temporary_folder_goes_with_all_in_it(void **state)
{
    (void)state;
    char folder[4096];
    const int length = snprintf(folder, sizeof folder, "%s", support_temp_dir());
    assert_in_range(length, 1, (int)sizeof folder - 1);
    const int descriptor = open(support_temp_path("file"), O_CREAT | O_WRONLY | O_CLOEXEC, 0);
    assert_in_range(descriptor, 0, 1000000);
    close(descriptor);
    assert_int_equal(access(folder, F_OK), 0);
    support_temp_dir_remove();
    assert_int_equal(access(folder, F_OK), -1);
    assert_string_not_equal(support_temp_dir(), folder);
}

/* The first numbers of splitmix64 for the seed 1234567, as published with the reference implementation. */
static void the_same_seed_gives_the_same_numbers(void **state)
{
    (void)state;
    struct support_random random = {.state = 1234567};
    assert_true(support_random_next(&random) == 6457827717110365317U);
    assert_true(support_random_next(&random) == 3203168211198807973U);
    assert_true(support_random_next(&random) == 9817491932198370423U);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(every_allocation_of_an_attempt_fails_once),
        support_test(an_allocation_fails_once_and_the_next_does_not),
        support_test(allocations_fail_from_one_on_until_told_otherwise),
        support_test(teardown_finds_memory_that_is_left),
        support_test(teardown_finds_a_descriptor_that_is_left),
        support_test(a_temporary_folder_goes_with_all_in_it),
        support_test(the_same_seed_gives_the_same_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
