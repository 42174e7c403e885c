/* The log, scanned before SQLite sees it: a torn end is no damage, a flipped bit before whole commits is. */
#include "tests/unit/sqlite/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER = 32, FRAME = 4096 + 24 };

/* --- A log of a store that died ---------------------------------------------------------- */

struct dead {
    unsigned char *file, *log;
    size_t file_size, log_size;
};

/* A copy of a store of n events whose log was never moved in. */
static struct dead die(unsigned n)
{
    struct dead dead;
    stele_store *store = fixture_open();

    fixture_fill(store, 1, n);
    dead.file = fixture_load(fixture_path(), &dead.file_size);
    dead.log = fixture_load(fixture_log(), &dead.log_size);
    stele_store_close(store);
    return dead;
}

static void restore(const struct dead *dead)
{
    char shm[4200];

    snprintf(shm, sizeof(shm), "%s-shm", fixture_path());
    remove(shm);
    fixture_save(fixture_path(), dead->file, dead->file_size);
    fixture_save(fixture_log(), dead->log, dead->log_size);
}

static void bury(struct dead *dead)
{
    free(dead->file);
    free(dead->log);
}

/* --- The walk -------------------------------------------------------------------------------- */

struct bytes {
    struct sqlite_wal_source base;
    const unsigned char *data;
    size_t size;
    bool fails;
};

static bool read_bytes(void *context, void *out, size_t size, uint64_t offset)
{
    struct bytes *bytes = context;

    if (bytes->fails) {
        bytes->base.failed = true;
        return false;
    }
    if (offset > bytes->size || size > bytes->size - offset)
        return false;
    memcpy(out, bytes->data + offset, size);
    return true;
}

static struct sqlite_wal_facts walk(const unsigned char *data, size_t size)
{
    struct bytes bytes = {.base = {.read = read_bytes}, .data = data, .size = size};
    struct sqlite_wal_facts facts = {0};
    stele_error *error = NULL;

    bytes.base.context = &bytes;
    assert_ok(stele__sqlite_wal_walk(&bytes.base, &facts, &error), error);
    return facts;
}

static void D5_a_sound_log_counts_its_commits(void **state)
{
    struct dead dead = die(20);
    const struct sqlite_wal_facts facts = walk(dead.log, dead.log_size);

    (void)state;
    assert_int_equal(facts.commits, 20);
    assert_int_equal(facts.at_risk, 0);
    bury(&dead);
}

static void D5_nothing_and_the_beginning_of_a_header_have_no_commits(void **state)
{
    struct dead dead = die(3);

    (void)state;
    for (size_t size = 0; size <= HEADER; size++) {
        const struct sqlite_wal_facts facts = walk(dead.log, size);

        assert_int_equal(facts.commits + facts.at_risk, 0);
    }
    bury(&dead);
}

static void D5_a_log_cut_anywhere_is_torn_and_not_damaged(void **state)
{
    struct dead dead = die(12);
    uint64_t before = 0;

    (void)state;
    for (size_t size = 0; size < dead.log_size; size += 509) {
        const struct sqlite_wal_facts facts = walk(dead.log, size);

        assert_int_equal(facts.at_risk, 0);
        assert_in_range(facts.commits, before, 12);
        before = facts.commits;
    }
    bury(&dead);
}

/* Flip one bit anywhere before the last frame: all commits are told of, as whole or as at risk. */
static void D5_a_flipped_bit_puts_all_commits_behind_it_at_risk(void **state)
{
    struct dead dead = die(12);

    (void)state;
    for (size_t at = 0; at < dead.log_size; at += 257) {
        struct sqlite_wal_facts facts;

        dead.log[at] ^= 0x10;
        facts = walk(dead.log, dead.log_size);
        dead.log[at] ^= 0x10;
        /* The commit that was hit is lost itself, and so may be the one whose frame carried the flipped sum. */
        assert_in_range(facts.commits + facts.at_risk, 10, 12);
        if (at >= HEADER) {
            assert_int_equal(facts.damaged, HEADER + (at - HEADER) / FRAME * FRAME);
            assert_true(facts.commits < 12);
        } else {
            assert_int_equal(facts.commits, 0);
        }
    }
    bury(&dead);
}

static void D5_frames_of_an_earlier_round_are_no_damage(void **state)
{
    struct dead dead = die(12);

    (void)state;
    /* The frames from the fourth on are of another generation, as after a restart of the log. */
    for (size_t at = HEADER + 3 * FRAME; at < dead.log_size; at += FRAME)
        dead.log[at + 8] ^= 1;
    assert_int_equal(walk(dead.log, dead.log_size).at_risk, 0);
    bury(&dead);
}

static void a_log_that_cannot_be_read_is_an_error(void **state)
{
    struct bytes bytes = {.base = {.read = read_bytes}, .fails = true};
    struct sqlite_wal_facts facts;
    stele_error *error = NULL;

    (void)state;
    bytes.base.context = &bytes;
    assert_status(STELE_IO, stele__sqlite_wal_walk(&bytes.base, &facts, &error), error);
}

static void noise_is_walked_without_harm(void **state)
{
    struct support_random random = support_seed();
    unsigned char noise[20000];

    (void)state;
    for (unsigned round = 0; round < 300; round++) {
        support_random_bytes(&random, noise, sizeof(noise));
        if (round % 2) /* a header that looks right so far, with an absurd page size */
            memcpy(noise, "\x37\x7f\x06\x82\x00\x2d\xe2\x18\xff\xff\xff\xff", 12);
        assert_int_equal(walk(noise, sizeof(noise)).commits, 0);
    }
}

/* --- The judgement ------------------------------------------------------------------------------ */

static void D5_damage_before_three_commits_is_refused_with_their_number(void **state)
{
    struct dead dead = die(20);
    stele_store *store = NULL;
    stele_error *error = NULL;
    size_t size;
    unsigned char *after;

    (void)state;
    restore(&dead);
    dead.log[HEADER + FRAME + 100] ^= 1;
    restore(&dead);
    assert_failure(STELE_CORRUPT, fixture_try(STELE_OPEN_EXISTING, NULL, &store, &error), error);
    assert_message(error, "at risk");
    assert_message(error, "accept=wal-damage");
    stele_error_free(error);
    error = NULL;
    assert_status(STELE_CORRUPT, fixture_try(STELE_OPEN_READ_ONLY, NULL, &store, &error), error);
    /* Nothing was changed: the log can still be mended. */
    after = fixture_load(fixture_log(), &size);
    assert_int_equal(size, dead.log_size);
    assert_memory_equal(after, dead.log, size);
    free(after);
    dead.log[HEADER + FRAME + 100] ^= 1;
    restore(&dead);
    store = fixture_open();
    fixture_assert_holds(store, 20);
    stele_store_close(store);
    bury(&dead);
}

static void D5_damage_can_be_accepted_by_name(void **state)
{
    struct dead dead = die(20);
    stele_store *store;
    size_t held;
    stele_error *error = NULL;

    (void)state;
    dead.log[dead.log_size / 2] ^= 1;
    restore(&dead);
    store = fixture_open_with(STELE_OPEN_EXISTING, "accept=wal-damage");
    held = fixture_count(store);
    assert_in_range(held, 5, 15);
    fixture_assert_holds(store, (unsigned)held);
    fixture_fill(store, (unsigned)held + 1, 25);
    fixture_assert_holds(store, 25);
    assert_ok(stele_verify(store, NULL, NULL, &error), error);
    stele_store_close(store);
    bury(&dead);
}

static unsigned warnings;

static void hear(void *context, const struct stele_log_record *record)
{
    (void)context;
    if (record->level == STELE_LOG_WARNING && strstr(record->message, "damaged"))
        warnings++;
}

/* The frame in which the last commits begin, counted from the end. */
static size_t frame_before_last_commits(const struct dead *dead, unsigned commits)
{
    size_t at = dead->log_size;

    for (;;) {
        at -= FRAME;
        if (memcmp(dead->log + at + 4, "\0\0\0\0", 4) != 0 && commits-- == 0)
            return at;
    }
}

static void D5_one_or_two_commits_behind_a_torn_one_are_warned_of(void **state)
{
    (void)state;
    for (unsigned commits = 1; commits <= 2; commits++) {
        struct dead dead = die(20);
        stele_store *store;

        dead.log[frame_before_last_commits(&dead, commits) + 200] ^= 1;
        restore(&dead);
        assert_int_equal(walk(dead.log, dead.log_size).at_risk, commits);
        warnings = 0;
        stele_log_use(hear, NULL, STELE_LOG_WARNING);
        store = fixture_open();
        stele_log_use(NULL, NULL, STELE_LOG_WARNING);
        assert_int_equal(warnings, 1);
        fixture_assert_holds(store, 20 - commits - 1);
        stele_store_close(store);
        bury(&dead);
        support_temp_dir_remove();
    }
}

static void D5_three_commits_behind_a_damaged_one_are_refused(void **state)
{
    struct dead dead = die(20);
    stele_store *store = NULL;
    stele_error *error = NULL;

    (void)state;
    dead.log[frame_before_last_commits(&dead, 3) + 200] ^= 1;
    restore(&dead);
    assert_int_equal(walk(dead.log, dead.log_size).at_risk, 3);
    assert_failure(STELE_CORRUPT, fixture_try(STELE_OPEN_EXISTING, NULL, &store, &error), error);
    assert_message(error, "3 commits behind it are at risk");
    stele_error_free(error);
    bury(&dead);
}

static void D5_with_weaker_sync_any_number_is_only_warned_of(void **state)
{
    struct dead dead = die(20);
    stele_store *store;

    (void)state;
    dead.log[dead.log_size / 2] ^= 1;
    restore(&dead);
    warnings = 0;
    stele_log_use(hear, NULL, STELE_LOG_WARNING);
    store = fixture_open_with(STELE_OPEN_EXISTING, "sync=normal");
    stele_log_use(NULL, NULL, STELE_LOG_WARNING);
    assert_int_equal(warnings, 1);
    stele_store_close(store);
    bury(&dead);
}

static void D5_verify_tells_the_commits_of_the_log_and_damage_in_it(void **state)
{
    stele_store *store = fixture_open();
    struct stele_verified found;
    stele_error *error = NULL;
    size_t size;
    unsigned char *log;

    (void)state;
    fixture_fill(store, 1, 20);
    assert_ok(stele_verify(store, NULL, &found, &error), error);
    assert_int_equal(found.log_commits, 20);
    assert_int_equal(found.faults, 0);
    log = fixture_load(fixture_log(), &size);
    log[HEADER + FRAME + 100] ^= 1;
    fixture_save(fixture_log(), log, size);
    assert_status(STELE_CORRUPT, stele_verify(store, NULL, &found, &error), error);
    assert_true(found.faults > 0);
    log[HEADER + FRAME + 100] ^= 1;
    fixture_save(fixture_log(), log, size);
    free(log);
    stele_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(D5_a_sound_log_counts_its_commits),
        support_test(D5_nothing_and_the_beginning_of_a_header_have_no_commits),
        support_test(D5_a_log_cut_anywhere_is_torn_and_not_damaged),
        support_test(D5_a_flipped_bit_puts_all_commits_behind_it_at_risk),
        support_test(D5_frames_of_an_earlier_round_are_no_damage),
        support_test(a_log_that_cannot_be_read_is_an_error),
        support_test(noise_is_walked_without_harm),
        support_test(D5_damage_before_three_commits_is_refused_with_their_number),
        support_test(D5_damage_can_be_accepted_by_name),
        support_test(D5_one_or_two_commits_behind_a_torn_one_are_warned_of),
        support_test(D5_three_commits_behind_a_damaged_one_are_refused),
        support_test(D5_with_weaker_sync_any_number_is_only_warned_of),
        support_test(D5_verify_tells_the_commits_of_the_log_and_damage_in_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
