/* The disk that the crash tests stand on: what survives a power cut on it, and what does not. */
#include "tests/support/support.h"

#include "tests/support/crash_vfs.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#define VFS "crash-disk"

enum { FLAGS = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE };

struct fixture {
    struct crash_disk *disk;
    sqlite3_vfs *vfs;
    sqlite3_file *file;
    struct crash_image image;
    uint64_t random;
};

/* A log is synced together with its folder. */
static void set_up(struct fixture *fixture)
{
    const struct crash_options options = {.sector = 512, .power_safe = true};

    memset(fixture, 0, sizeof *fixture);
    fixture->disk = crash_disk_new(VFS, &options);
    fixture->vfs = sqlite3_vfs_find(VFS);
    fixture->file = calloc(1, (size_t)fixture->vfs->szOsFile);
    assert_non_null(fixture->file);
    assert_int_equal(SQLITE_OK,
                     fixture->vfs->xOpen(fixture->vfs, "/f-wal", fixture->file, FLAGS | SQLITE_OPEN_WAL, NULL));
}

static void tear_down(struct fixture *fixture)
{
    fixture->file->pMethods->xClose(fixture->file);
    free(fixture->file);
    crash_image_fini(&fixture->image);
    crash_disk_free(fixture->disk);
}

static int write_text(struct fixture *fixture, const char *text, int offset)
{
    return fixture->file->pMethods->xWrite(fixture->file, text, (int)strlen(text), offset);
}

static int sync_file(struct fixture *fixture)
{
    return fixture->file->pMethods->xSync(fixture->file, SQLITE_SYNC_NORMAL);
}

/* What a power cut leaves of the file; NULL if its name is gone. */
static const struct crash_image_file *left(struct fixture *fixture, enum crash_damage damage)
{
    crash_disk_image(fixture->disk, damage, &fixture->random, &fixture->image);
    return crash_image_find(&fixture->image, "/f-wal");
}

static void assert_left(struct fixture *fixture, enum crash_damage damage, const char *text)
{
    const struct crash_image_file *file = left(fixture, damage);

    assert_non_null(file);
    assert_int_equal(strlen(text), file->size);
    assert_memory_equal(text, file->bytes, file->size);
}

static void what_was_not_synced_is_lost(void **state)
{
    (void)state;
    struct fixture fixture;

    set_up(&fixture);
    assert_int_equal(SQLITE_OK, write_text(&fixture, "one", 0));
    assert_null(left(&fixture, CRASH_ALL_LOST));
    assert_left(&fixture, CRASH_ALL_KEPT, "one");
    assert_int_equal(SQLITE_OK, sync_file(&fixture));
    assert_left(&fixture, CRASH_ALL_LOST, "one");
    assert_int_equal(SQLITE_OK, write_text(&fixture, "two", 0));
    assert_left(&fixture, CRASH_ALL_LOST, "one");
    assert_left(&fixture, CRASH_ALL_KEPT, "two");
    tear_down(&fixture);
}

static void a_deleted_name_comes_back_unless_its_folder_is_synced(void **state)
{
    (void)state;
    struct fixture fixture;

    set_up(&fixture);
    assert_int_equal(SQLITE_OK, write_text(&fixture, "one", 0));
    assert_int_equal(SQLITE_OK, sync_file(&fixture));
    assert_int_equal(SQLITE_OK, fixture.vfs->xDelete(fixture.vfs, "/f-wal", 0));
    assert_left(&fixture, CRASH_ALL_LOST, "one");
    assert_null(left(&fixture, CRASH_ALL_KEPT));
    tear_down(&fixture);
}

static void a_lying_sync_fails_and_its_data_never_reaches_the_disk(void **state)
{
    (void)state;
    struct fixture fixture;
    char bytes[3];

    set_up(&fixture);
    assert_int_equal(SQLITE_OK, write_text(&fixture, "one", 0));
    assert_int_equal(SQLITE_OK, sync_file(&fixture));
    assert_int_equal(SQLITE_OK, write_text(&fixture, "two", 0));
    crash_disk_fail(fixture.disk, CRASH_LYING_SYNC, 1, false);
    assert_int_equal(SQLITE_IOERR_FSYNC, sync_file(&fixture));
    assert_int_equal(SQLITE_OK, sync_file(&fixture));
    assert_int_equal(SQLITE_OK, fixture.file->pMethods->xRead(fixture.file, bytes, 3, 0));
    assert_memory_equal("two", bytes, 3);
    assert_left(&fixture, CRASH_ALL_KEPT, "one");
    tear_down(&fixture);
}

static void nothing_works_after_the_power_cut_and_what_was_in_flight_is_torn(void **state)
{
    (void)state;
    struct fixture fixture;
    char bytes[3];
    bool torn = false;

    set_up(&fixture);
    assert_int_equal(SQLITE_OK, write_text(&fixture, "one", 0));
    assert_int_equal(SQLITE_OK, sync_file(&fixture));
    crash_disk_fail(fixture.disk, CRASH_POWER_CUT, crash_disk_operations(fixture.disk) + 1, true);
    assert_int_equal(SQLITE_IOERR_WRITE, write_text(&fixture, "two", 0));
    assert_int_equal(SQLITE_IOERR_READ, fixture.file->pMethods->xRead(fixture.file, bytes, 3, 0));
    for (int i = 0; i < 50; i++) {
        const struct crash_image_file *file = left(&fixture, CRASH_TORN);
        assert_int_equal(3, file->size);
        torn = torn || memcmp(file->bytes, "twe", 3) == 0;
    }
    assert_true(torn);
    tear_down(&fixture);
}

static void a_short_write_does_half_and_a_full_disk_nothing(void **state)
{
    (void)state;
    struct fixture fixture;

    set_up(&fixture);
    crash_disk_fail(fixture.disk, CRASH_SHORT_WRITE, 1, false);
    assert_int_equal(SQLITE_FULL, write_text(&fixture, "four", 0));
    assert_int_equal(SQLITE_OK, sync_file(&fixture));
    assert_left(&fixture, CRASH_ALL_LOST, "fo");
    crash_disk_fail(fixture.disk, CRASH_DISK_FULL, 1, true);
    assert_int_equal(SQLITE_FULL, write_text(&fixture, "four", 0));
    assert_int_equal(SQLITE_OK, sync_file(&fixture));
    assert_left(&fixture, CRASH_ALL_KEPT, "fo");
    tear_down(&fixture);
}

static void a_replay_passes_through_the_same_states(void **state)
{
    (void)state;
    struct fixture fixture;
    const struct crash_options options = {.sector = 512, .power_safe = true, .recording = true};

    set_up(&fixture);
    fixture.file->pMethods->xClose(fixture.file);
    crash_disk_format(fixture.disk, &options);
    assert_int_equal(SQLITE_OK, fixture.vfs->xOpen(fixture.vfs, "/f-wal", fixture.file, FLAGS | SQLITE_OPEN_WAL, NULL));
    assert_int_equal(SQLITE_OK, write_text(&fixture, "one", 0));
    assert_int_equal(SQLITE_OK, sync_file(&fixture));
    struct crash_replay *replay = crash_replay_new(fixture.disk);
    /* Created, written, synced, and the folder synced. */
    static const bool there[] = {false, false, false, true};
    for (size_t i = 0; i < 4; i++) {
        assert_true(crash_replay_step(replay));
        crash_replay_image(replay, CRASH_ALL_LOST, &fixture.random, &fixture.image);
        assert_int_equal(there[i], crash_image_find(&fixture.image, "/f-wal") != NULL);
    }
    assert_false(crash_replay_step(replay));
    assert_int_equal(4, crash_replay_done(replay));
    crash_replay_free(replay);
    tear_down(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(what_was_not_synced_is_lost),
        support_test(a_deleted_name_comes_back_unless_its_folder_is_synced),
        support_test(a_lying_sync_fails_and_its_data_never_reaches_the_disk),
        support_test(nothing_works_after_the_power_cut_and_what_was_in_flight_is_torn),
        support_test(a_short_write_does_half_and_a_full_disk_nothing),
        support_test(a_replay_passes_through_the_same_states),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
