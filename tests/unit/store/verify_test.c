/* Checking a store: each kind of fault is found once, told, and counted. */
#include "tests/unit/store/fake.h"

#include <stdio.h>
#include <string.h>

static struct fake fake;

struct told {
    char text[4096];
    size_t count;
};

static void note_fault(void *context, const char *text)
{
    struct told *told = context;
    const size_t length = strlen(told->text);

    snprintf(told->text + length, sizeof(told->text) - length, "%s\n", text);
    told->count++;
}

/* Check the fake store: that many faults, the first of them with `word` in it. */
static struct stele_verified assert_faults(uint64_t faults, const char *word)
{
    struct stele_verify_options options = STELE_OPTIONS_INIT(struct stele_verify_options);
    struct stele_verified verified = {0};
    struct told told = {.count = 0};
    stele_error *error = NULL;

    options.fault = note_fault;
    options.context = &told;
    if (faults)
        assert_status(STELE_CORRUPT, stele_verify(&fake.store, &options, &verified, &error), error);
    else
        assert_ok(stele_verify(&fake.store, &options, &verified, &error), error);
    if (told.count != faults || (word && !strstr(told.text, word)))
        fail_msg("told: %s", told.text);
    assert_int_equal(verified.faults, faults);
    return verified;
}

static void a_sound_log_has_no_faults(void **state)
{
    struct stele_verified verified;

    (void)state;
    fake_init(&fake, 100);
    verified = assert_faults(0, NULL);
    assert_int_equal(verified.events, 100);
    assert_int_equal(verified.streams, 1);
    assert_int_equal(verified.log_commits, 3);
    fake_init(&fake, 0);
    verified = assert_faults(0, NULL);
    assert_int_equal(verified.events, 0);
}

static void a_gap_in_a_stream_s_versions_is_a_fault(void **state)
{
    (void)state;
    fake_init(&fake, 10);
    for (size_t i = 4; i < 10; i++)
        fake.records[i].version++;
    assert_faults(1, "position 50: version 6 of stream \"s\" follows version 4");
}

static void a_version_that_comes_twice_or_starts_late_is_a_fault(void **state)
{
    (void)state;
    fake_init(&fake, 3);
    fake.records[1].version = 1;
    fake.records[2].version = 2;
    assert_faults(1, "version 1 of stream \"s\" follows version 1");
    fake_init(&fake, 1);
    fake.records[0].version = 2;
    assert_faults(1, "version 2 of stream \"s\" follows version 0");
}

static void a_row_that_cannot_be_read_is_one_fault_and_not_a_gap_as_well(void **state)
{
    struct stele_verified verified;

    (void)state;
    fake_init(&fake, 10);
    fake.damaged[3] = fake.damaged[4] = fake.damaged[9] = true;
    verified = assert_faults(3, "row at position 40 is damaged");
    assert_int_equal(verified.events, 7);
}

static void a_gap_wider_than_the_unread_rows_is_a_fault_of_its_own(void **state)
{
    (void)state;
    fake_init(&fake, 10);
    fake.damaged[3] = true;
    for (size_t i = 4; i < 10; i++)
        fake.records[i].version++;
    assert_faults(2, "version 6 of stream \"s\" follows version 3");
}

static void a_row_that_cannot_be_read_explains_one_gap_and_no_second(void **state)
{
    (void)state;
    fake_init(&fake, 10);
    fake.damaged[3] = true;
    for (size_t i = 7; i < 10; i++)
        fake.records[i].version++;
    assert_faults(2, "position 80: version 9 of stream \"s\" follows version 7");
}

static void a_position_that_does_not_grow_is_a_fault(void **state)
{
    (void)state;
    fake_init(&fake, 5);
    fake.records[2].position = fake.records[1].position;
    assert_faults(1, "position 20 follows position 20");
}

static void a_payload_that_does_not_decode_is_a_fault(void **state)
{
    (void)state;
    fake_init(&fake, 5);
    fake.records[2].payload = support_slice("\x92\x01"); /* a list of two with one item */
    assert_faults(1, "position 30: ");
    fake.records[2].payload = support_slice(NULL);
    assert_faults(1, "position 30");
    fake.records[2].payload = support_slice("\xc0");
    fake.records[2].meta = support_slice("\xc0");
    assert_faults(1, "position 30");
}

static void names_that_could_not_be_written_are_faults(void **state)
{
    (void)state;
    fake_init(&fake, 2);
    fake.records[1].type = support_slice("a\nb");
    assert_faults(1, "position 20");
    fake_init(&fake, 2);
    fake.records[1].stream = support_slice("\xff");
    fake.records[1].version = 1;
    assert_faults(1, "position 20");
}

static void faults_below_are_counted_with_the_rest(void **state)
{
    (void)state;
    fake_init(&fake, 3);
    fake.faults_below = 2;
    fake.records[2].version = 9;
    assert_faults(3, "below");
}

static void damage_without_a_place_ends_the_check_with_its_fault(void **state)
{
    struct stele_verified verified;

    (void)state;
    fake_init(&fake, 10);
    fake.place_unknown = true;
    fake.damaged[6] = true;
    verified = assert_faults(1, "position 70");
    assert_int_equal(verified.events, 6);
}

static void failing_to_check_is_not_a_fault(void **state)
{
    struct stele_verified verified = {.faults = 77};
    stele_error *error = NULL;

    (void)state;
    fake_init(&fake, 10);
    fake.failing_read = 1;
    fake.failure = STELE_IO;
    assert_status(STELE_IO, stele_verify(&fake.store, NULL, &verified, &error), error);
    assert_int_equal(verified.faults, 77);
}

static stele_status verify_many_streams(void *context, stele_error **error)
{
    (void)context;
    return stele_verify(&fake.store, NULL, NULL, error);
}

static void checking_survives_every_failed_allocation(void **state)
{
    static char names[50][8];

    (void)state;
    fake_init(&fake, 50);
    for (size_t i = 0; i < 50; i++) {
        snprintf(names[i], sizeof(names[i]), "s%zu", i);
        fake.records[i].stream = support_slice(names[i]);
        fake.records[i].version = 1;
    }
    assert_int_equal(assert_faults(0, NULL).streams, 50);
    assert_true(support_every_allocation_fails(verify_many_streams, NULL) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(a_sound_log_has_no_faults),
        support_test(a_gap_in_a_stream_s_versions_is_a_fault),
        support_test(a_version_that_comes_twice_or_starts_late_is_a_fault),
        support_test(a_row_that_cannot_be_read_is_one_fault_and_not_a_gap_as_well),
        support_test(a_gap_wider_than_the_unread_rows_is_a_fault_of_its_own),
        support_test(a_row_that_cannot_be_read_explains_one_gap_and_no_second),
        support_test(a_position_that_does_not_grow_is_a_fault),
        support_test(a_payload_that_does_not_decode_is_a_fault),
        support_test(names_that_could_not_be_written_are_faults),
        support_test(faults_below_are_counted_with_the_rest),
        support_test(damage_without_a_place_ends_the_check_with_its_fault),
        support_test(failing_to_check_is_not_a_fault),
        support_test(checking_survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
