/* Buffers: what is appended is there in order; failures are kept until the end. */
#include "tests/support/support.h"

#include "base/buffer.h"

static void assert_content(const struct stele__buffer *buffer, const char *text)
{
    const struct stele_slice slice = stele__buffer_slice(buffer);

    assert_int_equal(strlen(text), slice.size);
    assert_memory_equal(text, slice.data, slice.size);
}

static void an_empty_buffer_is_a_present_slice_without_memory(void **state)
{
    struct stele__buffer buffer;
    stele_error *error = NULL;

    (void)state;
    stele__buffer_init(&buffer);
    assert_non_null(stele__buffer_slice(&buffer).data);
    assert_content(&buffer, "");
    assert_ok(stele__buffer_finish(&buffer, "line", &error), error);
    assert_int_equal(0, support_allocations());
    stele__buffer_fini(&buffer);
}

static void everything_appended_stands_in_order(void **state)
{
    struct stele__buffer buffer;

    (void)state;
    stele__buffer_init(&buffer);
    stele__buffer_add(&buffer, "abc", 2);
    stele__buffer_add_byte(&buffer, '-');
    stele__buffer_add_text(&buffer, "text");
    stele__buffer_print(&buffer, " %d %s", 42, "x");
    memcpy(stele__buffer_extend(&buffer, 3), "end", 3);
    stele__buffer_add(&buffer, NULL, 0);
    stele__buffer_print(&buffer, "%s", "");
    assert_content(&buffer, "ab-text 42 xend");
    stele__buffer_fini(&buffer);
}

static void a_buffer_grows_in_few_steps(void **state)
{
    struct stele__buffer buffer;

    (void)state;
    stele__buffer_init(&buffer);
    for (int i = 0; i < 100000; i++)
        stele__buffer_add_byte(&buffer, (char)('a' + i % 26));
    assert_int_equal(100000, buffer.size);
    for (int i = 0; i < 100000; i++)
        assert_int_equal('a' + i % 26, stele__buffer_slice(&buffer).data[i]);
    /* 256 bytes doubled until they exceed 100,000: 131,072 after nine doublings. */
    assert_int_equal(10, support_allocations());
    stele__buffer_fini(&buffer);
}

static void printing_fits_exactly_at_every_size(void **state)
{
    (void)state;
    for (int width = 250; width < 262; width++) {
        struct stele__buffer buffer;

        stele__buffer_init(&buffer);
        stele__buffer_print(&buffer, "%*d", width, 7);
        assert_int_equal(width, buffer.size);
        assert_int_equal('7', stele__buffer_slice(&buffer).data[width - 1]);
        stele__buffer_print(&buffer, "%*d", 512 - width, 8);
        assert_int_equal(512, buffer.size);
        assert_int_equal('8', stele__buffer_slice(&buffer).data[511]);
        stele__buffer_fini(&buffer);
    }
}

static void a_reset_forgets_the_content_and_keeps_the_memory(void **state)
{
    struct stele__buffer buffer;
    size_t allocations;

    (void)state;
    stele__buffer_init(&buffer);
    stele__buffer_add_text(&buffer, "first");
    stele__buffer_reset(&buffer);
    assert_content(&buffer, "");
    allocations = support_allocations();
    stele__buffer_add_text(&buffer, "again");
    assert_content(&buffer, "again");
    assert_int_equal(allocations, support_allocations());
    stele__buffer_fini(&buffer);
}

static void the_limit_can_be_reached_but_not_passed(void **state)
{
    struct stele__buffer buffer;
    stele_error *error = NULL;

    (void)state;
    stele__buffer_init(&buffer);
    buffer.limit = 10;
    stele__buffer_add_text(&buffer, "0123456789");
    assert_ok(stele__buffer_finish(&buffer, "payload", &error), error);
    stele__buffer_add_byte(&buffer, 'x');
    assert_null(stele__buffer_extend(&buffer, 4));
    stele__buffer_print(&buffer, "%s", "12");
    assert_content(&buffer, "0123456789");
    assert_failure(STELE_LIMIT, stele__buffer_finish(&buffer, "payload", &error), error);
    assert_string_equal("payload is 17 bytes long, the limit is 10", stele_error_message(error));
    stele_error_free(error);
    stele__buffer_reset(&buffer);
    stele__buffer_add_text(&buffer, "short");
    error = NULL;
    assert_ok(stele__buffer_finish(&buffer, "payload", &error), error);
    stele__buffer_fini(&buffer);
}

static void what_follows_a_refusal_is_ignored_even_if_it_would_fit(void **state)
{
    struct stele__buffer buffer;
    stele_error *error = NULL;

    (void)state;
    stele__buffer_init(&buffer);
    buffer.limit = 4;
    stele__buffer_add_text(&buffer, "abc");
    stele__buffer_add_text(&buffer, "de");
    stele__buffer_add_byte(&buffer, 'f');
    assert_content(&buffer, "abc");
    assert_null(stele__buffer_extend(&buffer, SIZE_MAX));
    assert_status(STELE_LIMIT, stele__buffer_finish(&buffer, "payload", &error), error);
    stele__buffer_fini(&buffer);
}

static void a_limit_set_below_the_capacity_holds(void **state)
{
    struct stele__buffer buffer;
    stele_error *error = NULL;

    (void)state;
    stele__buffer_init(&buffer);
    stele__buffer_add_text(&buffer, "abc");
    stele__buffer_reset(&buffer);
    buffer.limit = 2;
    stele__buffer_add_text(&buffer, "abc");
    assert_status(STELE_LIMIT, stele__buffer_finish(&buffer, "payload", &error), error);
    stele__buffer_fini(&buffer);
}

static void a_size_no_machine_has_is_out_of_memory(void **state)
{
    struct stele__buffer buffer;
    stele_error *error = NULL;

    (void)state;
    stele__buffer_init(&buffer);
    stele__buffer_add_text(&buffer, "abc");
    assert_null(stele__buffer_extend(&buffer, SIZE_MAX - 1));
    stele__buffer_add_text(&buffer, "de");
    assert_content(&buffer, "abc");
    assert_status(STELE_NO_MEMORY, stele__buffer_finish(&buffer, "x", &error), error);
    stele__buffer_fini(&buffer);
}

static void a_buffer_on_memory_of_the_caller_stays_there_as_long_as_it_fits(void **state)
{
    char memory[16];
    struct stele__buffer buffer;

    (void)state;
    stele__buffer_init_on(&buffer, memory, sizeof(memory));
    stele__buffer_add_text(&buffer, "0123456789abcde");
    assert_ptr_equal(memory, stele__buffer_slice(&buffer).data);
    assert_int_equal(0, stele_memory_in_use());
    stele__buffer_add_text(&buffer, "fgh");
    assert_ptr_not_equal(memory, stele__buffer_slice(&buffer).data);
    assert_int_equal(18, buffer.size);
    assert_memory_equal("0123456789abcdefgh", buffer.data, 18);
    stele__buffer_fini(&buffer);
    assert_int_equal(0, stele_memory_in_use());
}

static void a_buffer_on_memory_of_the_caller_keeps_its_content_when_memory_is_out(void **state)
{
    char memory[8];
    struct stele__buffer buffer;

    (void)state;
    stele__buffer_init_on(&buffer, memory, sizeof(memory));
    stele__buffer_add_text(&buffer, "0123");
    support_fail_allocation(1);
    stele__buffer_add_text(&buffer, "456789");
    support_fail_allocation(0);
    assert_int_equal(STELE_NO_MEMORY, buffer.failed);
    assert_int_equal(4, buffer.size);
    assert_memory_equal("0123", memory, 4);
    stele__buffer_fini(&buffer);
}

static stele_status fill_buffer(void *context, stele_error **error)
{
    struct stele__buffer buffer;
    stele_status status;

    (void)context;
    stele__buffer_init(&buffer);
    for (int i = 0; i < 1000; i++)
        stele__buffer_print(&buffer, "%d,", i);
    status = stele__buffer_finish(&buffer, "numbers", error);
    stele__buffer_fini(&buffer);
    return status;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    /* 10 * 2 + 90 * 3 + 900 * 4 = 3,890 bytes: 256, 512, 1024, 2048, 4096. */
    assert_int_equal(5, support_every_allocation_fails(fill_buffer, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(an_empty_buffer_is_a_present_slice_without_memory),
        support_test(everything_appended_stands_in_order),
        support_test(a_buffer_grows_in_few_steps),
        support_test(printing_fits_exactly_at_every_size),
        support_test(a_reset_forgets_the_content_and_keeps_the_memory),
        support_test(the_limit_can_be_reached_but_not_passed),
        support_test(what_follows_a_refusal_is_ignored_even_if_it_would_fit),
        support_test(a_limit_set_below_the_capacity_holds),
        support_test(a_size_no_machine_has_is_out_of_memory),
        support_test(a_buffer_on_memory_of_the_caller_stays_there_as_long_as_it_fits),
        support_test(a_buffer_on_memory_of_the_caller_keeps_its_content_when_memory_is_out),
        support_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
