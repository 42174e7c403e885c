/* The log, scanned before SQLite sees it: a torn end is no damage, a flipped bit before whole commits is. */
#include "tests/unit/sqlite/fixture.h"

#include "tests/support/fault_vfs.h"

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

/* --- A header that was torn ------------------------------------------------------------------- */

static uint32_t get(const unsigned char *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static void put(unsigned char *bytes, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        bytes[i] = (unsigned char)(value >> (24 - 8 * i));
}

struct sum {
    uint32_t first, second;
};

static uint32_t get_little(const unsigned char *bytes)
{
    const unsigned char turned[] = {bytes[3], bytes[2], bytes[1], bytes[0]};

    return get(turned);
}

/* SQLite's checksum, as a little-endian machine makes it. */
static struct sum add(struct sum sum, const unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i += 8) {
        sum.first += get_little(bytes + i) + sum.second;
        sum.second += get_little(bytes + i + 4) + sum.first;
    }
    return sum;
}

static struct sum write_header(unsigned char *header, uint32_t number, uint32_t salt)
{
    struct sum sum = {0, 0};

    header[3] &= 0xfe;
    put(header + 12, number);
    put(header + 16, salt);
    sum = add(sum, header, 24);
    put(header + 24, sum.first);
    put(header + 28, sum.second);
    return sum;
}

/* The log as it were with this number and salt in its header. */
static void renumber(unsigned char *log, size_t size, uint32_t number, uint32_t salt)
{
    struct sum sum = write_header(log, number, salt);

    for (size_t at = HEADER; at + FRAME <= size; at += FRAME) {
        put(log + at + 8, salt);
        sum = add(add(sum, log + at, 8), log + at + 24, FRAME - 24);
        put(log + at + 16, sum.first);
        put(log + at + 20, sum.second);
    }
}

/* The log begins anew, and of its header's one write only the first bytes are there. */
static void check_torn(const struct dead *dead, uint32_t number, uint32_t salt, size_t written)
{
    unsigned char *log = malloc(dead->log_size);
    unsigned char old[HEADER], next[HEADER];
    struct sqlite_wal_facts facts;

    assert_non_null(log);
    memcpy(log, dead->log, dead->log_size);
    renumber(log, dead->log_size, number, salt);
    memcpy(old, log, HEADER);
    memcpy(next, log, HEADER);
    for (size_t i = 20; i < 24; i++)
        next[i] ^= 0xff; /* a second salt that is new in each byte */
    write_header(next, number + 1, salt + 1);
    memcpy(log, next, written);
    facts = walk(log, dead->log_size);
    if (memcmp(log, old, HEADER) == 0)
        assert_int_equal(facts.commits, 12);
    else if (memcmp(log + 16, old + 16, 8) == 0)
        assert_true(facts.contested && facts.at_risk == 12);
    else
        assert_int_equal(facts.at_risk, 0);
    free(log);
}

static void D5_a_header_torn_anywhere_while_the_log_begins_anew_is_known(void **state)
{
    static const uint32_t numbers[] = {0, 1, 0xff, 0x1ffff, 0xffffff, 0xffffffff};
    struct dead dead = die(12);

    (void)state;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        for (size_t salt = 0; salt < sizeof(numbers) / sizeof(numbers[0]); salt++)
            for (size_t written = 0; written < HEADER; written++)
                check_torn(&dead, numbers[i], numbers[salt], written);
    bury(&dead);
}

static void D5_each_flipped_bit_of_a_header_leaves_all_commits_at_risk(void **state)
{
    static const uint32_t numbers[] = {0, 1, 0xff, 0x1ffff, 0xffffff, 0xffffffff};
    struct dead dead = die(12);

    (void)state;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        renumber(dead.log, dead.log_size, numbers[i], numbers[5 - i]);
        assert_int_equal(walk(dead.log, dead.log_size).commits, 12);
        for (size_t bit = 0; bit < HEADER * 8; bit++) {
            dead.log[bit / 8] ^= (unsigned char)(1U << bit % 8);
            assert_in_range(walk(dead.log, dead.log_size).at_risk, 11, 12);
            dead.log[bit / 8] ^= (unsigned char)(1U << bit % 8);
        }
    }
    bury(&dead);
}

static void D5_what_a_torn_header_leaves_is_sought_in_the_database(void **state)
{
    struct dead dead = die(12);
    struct bytes log = {.base = {.read = read_bytes}, .data = dead.log, .size = dead.log_size};
    struct bytes file = {.base = {.read = read_bytes}};
    stele_error *error = NULL;
    size_t size;
    unsigned char *moved;
    size_t at;
    bool is_moved = true;

    (void)state;
    log.base.context = &log;
    file.base.context = &file;
    file.data = dead.file;
    file.size = dead.file_size;
    assert_ok(stele__sqlite_wal_is_moved(&log.base, &file.base, &is_moved, &error), error);
    assert_false(is_moved);
    /* die() closed the store, which moved all of it in. */
    moved = fixture_load(fixture_path(), &size);
    file.data = moved;
    file.size = size;
    assert_ok(stele__sqlite_wal_is_moved(&log.base, &file.base, &is_moved, &error), error);
    assert_true(is_moved);
    /* One bit of the page in the first frame is not the same, or its end is missing. */
    at = (get(dead.log + HEADER) - 1) * 4096;
    moved[at] ^= 1;
    assert_ok(stele__sqlite_wal_is_moved(&log.base, &file.base, &is_moved, &error), error);
    assert_false(is_moved);
    moved[at] ^= 1;
    file.size = at + 4095;
    assert_ok(stele__sqlite_wal_is_moved(&log.base, &file.base, &is_moved, &error), error);
    assert_false(is_moved);
    file.fails = true;
    assert_ok(stele__sqlite_wal_is_moved(&log.base, &file.base, &is_moved, &error), error);
    assert_false(is_moved);
    log.fails = true;
    assert_status(STELE_IO, stele__sqlite_wal_is_moved(&log.base, &file.base, &is_moved, &error), error);
    free(moved);
    bury(&dead);
}

static void D5_a_flipped_bit_of_the_number_is_damage_until_all_is_in_the_file(void **state)
{
    struct dead dead = die(20);
    stele_store *store = NULL;
    stele_error *error = NULL;
    size_t size;
    unsigned char *moved = fixture_load(fixture_path(), &size);

    (void)state;
    dead.log[15] ^= 1;
    restore(&dead);
    assert_failure(STELE_CORRUPT, fixture_try(STELE_OPEN_EXISTING, NULL, &store, &error), error);
    assert_message(error, "20 commits behind it are at risk");
    stele_error_free(error);
    restore(&dead);
    fixture_save(fixture_path(), moved, size);
    free(moved);
    store = fixture_open();
    fixture_assert_holds(store, 20);
    stele_store_close(store);
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

/* Nothing in the file tells that there was one. */
static void D5_a_log_deleted_behind_a_store_that_died_is_told_by_a_head_kept_outside(void **state)
{
    struct stele_verify_options options = STELE_OPTIONS_INIT(struct stele_verify_options);
    struct dead dead = die(20);
    stele_store *store;
    stele_error *error = NULL;

    (void)state;
    restore(&dead);
    assert_int_equal(remove(fixture_log()), 0);
    store = fixture_open();
    assert_int_equal(fixture_count(store), 0);
    assert_ok(stele_verify(store, &options, NULL, &error), error);
    options.expect_head = 20;
    assert_status(STELE_CORRUPT, stele_verify(store, &options, NULL, &error), error);
    fixture_fill(store, 1, 3);
    fixture_assert_holds(store, 3);
    stele_store_close(store);
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

/* --- A log that comes and goes ---------------------------------------------------------------- */

struct coming {
    unsigned looks, changes_at;
    bool comes; /* or goes */
};

static void come_or_go(void *context)
{
    struct coming *coming = context;

    if (++coming->looks < coming->changes_at)
        return;
    if (coming->comes)
        fixture_save(fixture_log(), "not yet the header of a log", 27);
    else
        remove(fixture_log());
}

static void scan_while(unsigned operation, struct coming coming)
{
    struct sqlite_store store = {.path = (char *)(uintptr_t)fixture_path(),
                                 .log_path = (char *)(uintptr_t)fixture_log()};
    struct sqlite_wal_facts facts;
    stele_error *error = NULL;

    fault_vfs_watch(operation, FAULT_LOG, come_or_go, &coming);
    assert_ok(stele__sqlite_scan_log(&store, &facts, &error), error);
    fault_vfs_watch(0, 0, NULL, NULL);
    assert_int_equal(facts.commits, 0);
    assert_int_equal(facts.at_risk, 0);
    assert_true(coming.looks > 0);
    remove(fixture_log());
}

static void a_log_that_appears_when_none_was_found_is_not_of_this_opening(void **state)
{
    (void)state;
    fault_vfs_install();
    scan_while(FAULT_ACCESS, (struct coming){.changes_at = 2, .comes = true});
    fault_vfs_remove();
}

static void a_log_that_goes_before_it_is_opened_is_none(void **state)
{
    (void)state;
    fault_vfs_install();
    fixture_make(1);
    fixture_save(fixture_log(), "the log of who closes just now", 30);
    scan_while(FAULT_OPEN, (struct coming){.changes_at = 1});
    fault_vfs_remove();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(D5_a_sound_log_counts_its_commits),
        support_test(D5_nothing_and_the_beginning_of_a_header_have_no_commits),
        support_test(D5_a_log_cut_anywhere_is_torn_and_not_damaged),
        support_test(D5_a_flipped_bit_puts_all_commits_behind_it_at_risk),
        support_test(D5_frames_of_an_earlier_round_are_no_damage),
        support_test(D5_a_header_torn_anywhere_while_the_log_begins_anew_is_known),
        support_test(D5_each_flipped_bit_of_a_header_leaves_all_commits_at_risk),
        support_test(D5_what_a_torn_header_leaves_is_sought_in_the_database),
        support_test(D5_a_flipped_bit_of_the_number_is_damage_until_all_is_in_the_file),
        support_test(a_log_that_cannot_be_read_is_an_error),
        support_test(noise_is_walked_without_harm),
        support_test(D5_damage_before_three_commits_is_refused_with_their_number),
        support_test(D5_damage_can_be_accepted_by_name),
        support_test(D5_one_or_two_commits_behind_a_torn_one_are_warned_of),
        support_test(D5_three_commits_behind_a_damaged_one_are_refused),
        support_test(D5_a_log_deleted_behind_a_store_that_died_is_told_by_a_head_kept_outside),
        support_test(D5_with_weaker_sync_any_number_is_only_warned_of),
        support_test(D5_verify_tells_the_commits_of_the_log_and_damage_in_it),
        support_test(a_log_that_appears_when_none_was_found_is_not_of_this_opening),
        support_test(a_log_that_goes_before_it_is_opened_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
