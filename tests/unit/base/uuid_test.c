/* UUIDs: the fields of RFC 9562, strict order whatever the clock does, text both ways. */
#include "tests/support/support.h"

#include "base/clock.h"
#include "base/random.h"

#include <stele/uuid.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define NANOS_PER_MS INT64_C(1000000)

static int64_t fixed_now(void *context)
{
    return *(const int64_t *)context;
}

static int64_t now;
static const struct stele_clock fixed_clock = {.now = fixed_now, .monotonic = fixed_now, .context = &now};

static int teardown(void **state)
{
    stele__clock_use(NULL);
    return support_teardown(state);
}

static int64_t milliseconds(const struct stele_uuid *uuid)
{
    int64_t time = 0;

    for (int i = 0; i < 6; i++)
        time = time << 8 | uuid->bytes[i];
    return time;
}

/* Stop the clock a second after all ids so far. */
static int64_t stop_clock(void)
{
    const struct stele_uuid last = stele_uuid_new();
    const int64_t time = milliseconds(&last) + 1000;

    now = time * NANOS_PER_MS;
    stele__clock_use(&fixed_clock);
    return time;
}

static void a_new_id_has_the_fields_of_version_7(void **state)
{
    const int64_t time = stop_clock();
    struct stele_uuid uuid;

    (void)state;
    now += 500000;
    uuid = stele_uuid_new();
    assert_true(milliseconds(&uuid) == time);
    assert_int_equal(7, uuid.bytes[6] >> 4);
    assert_int_equal(2, uuid.bytes[8] >> 6);
    /* Half a millisecond: 2048 of 4096. */
    assert_int_equal(0x800, (uuid.bytes[6] & 0xF) << 8 | uuid.bytes[7]);
}

static void the_tail_of_ids_in_different_milliseconds_is_random(void **state)
{
    unsigned char all_ones[8];
    unsigned char all_zeros[8] = {0};

    (void)state;
    stop_clock();
    memset(all_ones, 0xFF, sizeof(all_ones));
    for (int i = 0; i < 200; i++) {
        struct stele_uuid uuid;

        now += NANOS_PER_MS;
        uuid = stele_uuid_new();
        for (int j = 0; j < 8; j++) {
            all_ones[j] &= uuid.bytes[8 + j];
            all_zeros[j] |= uuid.bytes[8 + j];
        }
    }
    /* The variant, and a bit left to count in; every other bit was once 0 and once 1 (but for chances of 2^-193). */
    assert_int_equal(0x80, all_ones[0]);
    assert_int_equal(0x9F, all_zeros[0]);
    for (int j = 1; j < 8; j++) {
        assert_int_equal(0x00, all_ones[j]);
        assert_int_equal(0xFF, all_zeros[j]);
    }
}

static void assert_next_is_greater(struct stele_uuid *last)
{
    const struct stele_uuid next = stele_uuid_new();

    assert_true(stele_uuid_compare(last, &next) < 0);
    *last = next;
}

static void ids_increase_within_a_millisecond(void **state)
{
    struct stele_uuid last;

    (void)state;
    stop_clock();
    last = stele_uuid_new();
    for (int i = 0; i < 100000; i++)
        assert_next_is_greater(&last);
}

static void ids_of_the_system_clock_increase(void **state)
{
    struct stele_uuid last = stele_uuid_new();

    (void)state;
    for (int i = 0; i < 100000; i++)
        assert_next_is_greater(&last);
}

static void ids_increase_when_the_clock_steps_back(void **state)
{
    static const int64_t steps[] = {-1, -NANOS_PER_MS, -3600000 * NANOS_PER_MS, 1, 5 * NANOS_PER_MS};
    struct support_random random = support_seed();
    struct stele_uuid last;
    int64_t time;

    (void)state;
    time = stop_clock();
    last = stele_uuid_new();
    for (int i = 0; i < 10000; i++) {
        now += steps[support_random_below(&random, sizeof(steps) / sizeof(steps[0]))];
        assert_next_is_greater(&last);
    }
    now = INT64_MIN;
    assert_next_is_greater(&last);
    now = 0;
    assert_next_is_greater(&last);
    assert_true(milliseconds(&last) >= time);
    /* 10,000 steps of at most 5 ms. */
    assert_true(milliseconds(&last) <= time + 50000);
}

static void ids_follow_a_clock_that_goes_on(void **state)
{
    const int64_t time = stop_clock();
    struct stele_uuid uuid;

    (void)state;
    for (int i = 1; i < 100; i++) {
        now += NANOS_PER_MS;
        uuid = stele_uuid_new();
        assert_true(milliseconds(&uuid) == time + i);
    }
}

enum { THREADS = 4, IDS = 25000 };

static void *make_ids(void *context)
{
    struct stele_uuid *ids = context;

    for (size_t i = 0; i < IDS; i++)
        ids[i] = stele_uuid_new();
    return NULL;
}

/* Merge: the smallest next id of all threads must be greater than the one before, so none occurs twice. */
static void ids_of_several_threads_increase_and_differ(void **state)
{
    static struct stele_uuid ids[THREADS][IDS];
    size_t next[THREADS] = {0};
    struct stele_uuid last = {{0}};
    pthread_t threads[THREADS];

    (void)state;
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(0, pthread_create(&threads[i], NULL, make_ids, ids[i]));
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (size_t merged = 0; merged < (size_t)THREADS * IDS; merged++) {
        size_t least = THREADS;

        for (size_t i = 0; i < THREADS; i++) {
            if (next[i] < IDS &&
                (least == THREADS || stele_uuid_compare(&ids[i][next[i]], &ids[least][next[least]]) < 0))
                least = i;
        }
        assert_true(stele_uuid_compare(&last, &ids[least][next[least]]) < 0);
        last = ids[least][next[least]++];
    }
}

/* The first `IDS_OF_CHILD` ids of a forked child. */
enum { IDS_OF_CHILD = 50 };

static void read_child_ids(struct stele_uuid ids[IDS_OF_CHILD])
{
    enum { SIZE = IDS_OF_CHILD * sizeof(ids[0]) };
    int ends[2];
    int status;
    pid_t child;

    assert_int_equal(0, pipe(ends));
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        for (size_t i = 0; i < IDS_OF_CHILD; i++)
            ids[i] = stele_uuid_new();
        _exit(write(ends[1], ids, SIZE) == SIZE ? 0 : 1);
    }
    assert_int_equal(SIZE, read(ends[0], ids, SIZE));
    assert_int_equal(child, waitpid(child, &status, 0));
    assert_int_equal(0, status);
    close(ends[0]);
    close(ends[1]);
}

static void a_forked_child_makes_other_ids_than_its_parent(void **state)
{
    struct stele_uuid before;
    struct stele_uuid child[IDS_OF_CHILD];
    struct stele_uuid parent[IDS_OF_CHILD];

    (void)state;
    stop_clock();
    before = stele_uuid_new();
    read_child_ids(child);
    for (size_t i = 0; i < IDS_OF_CHILD; i++)
        parent[i] = stele_uuid_new();
    assert_true(stele_uuid_compare(&before, &child[0]) < 0);
    /* The steps of the two differ too: not only the tick. */
    for (size_t i = 0; i < IDS_OF_CHILD; i++) {
        for (size_t j = 0; j < IDS_OF_CHILD; j++)
            assert_memory_not_equal(child[i].bytes + 8, parent[j].bytes + 8, 8);
    }
}

static void an_id_prints_in_lower_case_and_parses_in_either(void **state)
{
    /* RFC 9562, appendix A.6. */
    const char *const text = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f";
    const uint8_t bytes[] = {0x01, 0x7F, 0x22, 0xE2, 0x79, 0xB0, 0x7C, 0xC3,
                             0x98, 0xC4, 0xDC, 0x0C, 0x0C, 0x07, 0x39, 0x8F};
    char printed[STELE_UUID_TEXT_SIZE];
    struct stele_uuid uuid = {{0}};
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele_uuid_parse(support_slice("017F22E2-79B0-7CC3-98C4-DC0C0C07398F"), &uuid, &error), error);
    assert_memory_equal(bytes, uuid.bytes, 16);
    stele_uuid_print(&uuid, printed);
    assert_string_equal(text, printed);
    assert_ok(stele_uuid_parse(support_slice(text), &uuid, &error), error);
    assert_memory_equal(bytes, uuid.bytes, 16);
}

/* Against printf(3), with every value in every place. */
static void every_byte_of_an_id_is_printed(void **state)
{
    (void)state;
    for (unsigned value = 0; value < 256; value++) {
        char expected[STELE_UUID_TEXT_SIZE];
        char printed[STELE_UUID_TEXT_SIZE];
        struct stele_uuid uuid;
        unsigned b[16];

        for (unsigned i = 0; i < 16; i++) {
            b[i] = (value + 37 * i) % 256;
            uuid.bytes[i] = (uint8_t)b[i];
        }
        snprintf(expected, sizeof(expected), "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
                 b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
        stele_uuid_print(&uuid, printed);
        assert_string_equal(expected, printed);
    }
}

static void a_derived_id_depends_on_name_space_and_name_only(void **state)
{
    /* RFC 9562, appendix A.4: "www.example.com" in the name space of DNS. */
    char printed[STELE_UUID_TEXT_SIZE];
    struct stele_uuid dns = {{0}};
    struct stele_uuid derived;
    struct stele_uuid other;
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele_uuid_parse(support_slice("6ba7b810-9dad-11d1-80b4-00c04fd430c8"), &dns, &error), error);
    derived = stele_uuid_derive(&dns, (struct stele_slice){"www.example.com/", 15});
    stele_uuid_print(&derived, printed);
    assert_string_equal("2ed6657d-e927-568b-95e1-2665a8aea6a2", printed);
    other = stele_uuid_derive(&derived, support_slice("www.example.com"));
    assert_int_not_equal(0, stele_uuid_compare(&derived, &other));
    other = stele_uuid_derive(&dns, support_slice(""));
    derived = stele_uuid_derive(&dns, support_slice(NULL));
    assert_int_equal(0, stele_uuid_compare(&derived, &other));
}

static void malformed_ids_name_the_offset(void **state)
{
    static const struct {
        const char *text;
        const char *offset;
    } cases[] = {
        {"", "0"},
        {"{17f22e2-79b0-7cc3-98c4-dc0c0c07398f", "0"},
        {"017f22e279b0-7cc3-98c4-dc0c0c07398f", "8"},
        {"017f22eg-79b0-7cc3-98c4-dc0c0c07398f", "7"},
        {"017f22e2-79b0_7cc3-98c4-dc0c0c07398f", "13"},
        {"017f22e2-79b0-7cc3-98c4-dc0c0c07398", "35"},
        {"017f22e2-79b0-7cc3-98c4-dc0c0c07398f0", "36"},
        {"017f22e2-79b0-7cc3-98c4-dc0c0c07398\xC3", "35"},
        {"017f22e2-79b0-7cc3-98c4--c0c0c07398f", "24"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct stele_uuid uuid = {{42}};
        stele_error *error = NULL;

        assert_failure(STELE_MALFORMED, stele_uuid_parse(support_slice(cases[i].text), &uuid, &error), error);
        assert_string_equal(cases[i].offset, stele_error_get(error, "offset"));
        assert_int_equal(42, uuid.bytes[0]);
        stele_error_free(error);
        assert_int_equal(STELE_MALFORMED, stele_uuid_parse(support_slice(cases[i].text), &uuid, NULL));
    }
}

static void every_random_bit_is_once_0_and_once_1(void **state)
{
    uint64_t all_ones = UINT64_MAX;
    uint64_t all_zeros = 0;

    (void)state;
    for (int i = 0; i < 200; i++) {
        const uint64_t number = stele__random();

        all_ones &= number;
        all_zeros |= number;
    }
    assert_true(all_ones == 0);
    assert_true(all_zeros == UINT64_MAX);
}

static void ids_compare_as_their_bytes(void **state)
{
    struct stele_uuid low = {{0}};
    struct stele_uuid high = {{0}};
    stele_error *error = NULL;

    (void)state;
    low.bytes[15] = 1;
    high.bytes[0] = 0x80;
    assert_true(stele_uuid_compare(&low, &high) < 0);
    assert_true(stele_uuid_compare(&high, &low) > 0);
    assert_int_equal(0, stele_uuid_compare(&low, &low));
    assert_status(STELE_INVALID, stele_uuid_parse(support_slice("x"), NULL, &error), error);
}

#define uuid_unit_test(name) cmocka_unit_test_setup_teardown(name, support_setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        uuid_unit_test(a_new_id_has_the_fields_of_version_7),
        uuid_unit_test(the_tail_of_ids_in_different_milliseconds_is_random),
        uuid_unit_test(ids_increase_within_a_millisecond),
        uuid_unit_test(ids_of_the_system_clock_increase),
        uuid_unit_test(ids_increase_when_the_clock_steps_back),
        uuid_unit_test(ids_follow_a_clock_that_goes_on),
        uuid_unit_test(ids_of_several_threads_increase_and_differ),
        uuid_unit_test(a_forked_child_makes_other_ids_than_its_parent),
        uuid_unit_test(an_id_prints_in_lower_case_and_parses_in_either),
        uuid_unit_test(every_byte_of_an_id_is_printed),
        uuid_unit_test(a_derived_id_depends_on_name_space_and_name_only),
        uuid_unit_test(malformed_ids_name_the_offset),
        uuid_unit_test(every_random_bit_is_once_0_and_once_1),
        uuid_unit_test(ids_compare_as_their_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
