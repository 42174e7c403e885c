/* A UUID's counter overflows after 2^29 ids or more in a millisecond: here it is set to its end. */
#include "tests/support/support.h"

#include "lib/base/uuid.c"

static int64_t stopped_now(void *context)
{
    (void)context;
    return INT64_C(1645557742000) * NANOS_PER_MS;
}

static const struct stele_clock stopped_clock = {.now = stopped_now, .monotonic = stopped_now};

static void an_overflowing_counter_advances_the_tick(void **state)
{
    struct stele_uuid before;
    struct stele_uuid after;

    (void)state;
    stele__clock_use(&stopped_clock);
    before = stele_uuid_new();
    last.tail = TAIL_MASK;
    after = stele_uuid_new();
    stele__clock_use(NULL);
    assert_memory_equal("\x01\x7F\x22\xE2\x79\xB0\x70\x00", before.bytes, 8);
    assert_memory_equal("\x01\x7F\x22\xE2\x79\xB0\x70\x01", after.bytes, 8);
    /* Random anew, with room to count. */
    assert_true(last.tail <= TAIL_MASK / 2);
}

static void an_overflow_at_the_end_of_a_millisecond_advances_it(void **state)
{
    struct stele_uuid after;

    (void)state;
    stele__clock_use(&stopped_clock);
    stele_uuid_new();
    last.tick = (UINT64_C(1645557742000) << TICK_BITS) + 0xFFF;
    last.tail = TAIL_MASK;
    after = stele_uuid_new();
    stele__clock_use(NULL);
    assert_memory_equal("\x01\x7F\x22\xE2\x79\xB1\x70\x00", after.bytes, 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(an_overflowing_counter_advances_the_tick),
        support_test(an_overflow_at_the_end_of_a_millisecond_advances_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
