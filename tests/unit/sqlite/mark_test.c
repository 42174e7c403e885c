/* Checkpoints of readers in their file: damage, failures, and files of the format before them. */
#include "tests/unit/sqlite/fixture.h"

#include "tests/support/fault_vfs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int setup(void **state)
{
    const int result = support_setup(state);

    fault_vfs_install();
    return result;
}

static int teardown(void **state)
{
    fault_vfs_remove();
    return support_teardown(state);
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static stele_status read_mailer(stele_store *store, uint64_t *position, stele_error **error)
{
    return stele_checkpoint_read(store, "mailer", position, error);
}

static uint64_t faults(stele_store *store)
{
    struct stele_verified verified = {0};
    stele_error *error = NULL;

    stele_verify(store, NULL, &verified, &error);
    stele_error_free(error);
    return verified.faults;
}

static bool count_one(void *context, const struct stele_checkpoint *checkpoint)
{
    (void)checkpoint;
    (*(size_t *)context)++;
    return true;
}

/* --- Damage and failures ------------------------------------------------------------------ */

static void assert_damaged(const char *sql)
{
    stele_store *store;
    uint64_t position;
    size_t count = 0;
    stele_error *error = NULL;

    fixture_make(5);
    store = fixture_open();
    assert_ok(stele_checkpoint_write(store, "mailer", STELE_NO_CHECKPOINT, 3, &error), error);
    stele_store_close(store);
    assert_int_equal(fixture_sql(sql), SQLITE_OK);
    store = fixture_open();
    assert_failure(STELE_CORRUPT, read_mailer(store, &position, &error), error);
    assert_message(error, "checkpoint \"mailer\" is damaged");
    stele_error_free(error);
    error = NULL;
    assert_status(STELE_CORRUPT, stele_checkpoint_list(store, count_one, &count, &error), error);
    /* Not moved on from a place that nobody knows. */
    assert_status(STELE_CORRUPT, stele_checkpoint_write(store, "mailer", 3, 4, &error), error);
    assert_int_equal(faults(store), 1);
    /* The way out: begin anew. */
    assert_ok(stele_checkpoint_delete(store, "mailer", &error), error);
    assert_ok(stele_checkpoint_write(store, "mailer", STELE_NO_CHECKPOINT, 1, &error), error);
    assert_int_equal(faults(store), 0);
    stele_store_close(store);
    support_temp_dir_remove();
}

static void a_damaged_checkpoint_is_no_place_to_go_on_from(void **state)
{
    (void)state;
    assert_damaged("UPDATE checkpoint SET position = 4");
    assert_damaged("UPDATE checkpoint SET time = time + 1");
    assert_damaged("UPDATE checkpoint SET checksum = checksum - 1");
}

enum { READERS = 12 };

static const char *reader(unsigned n)
{
    static char name[16];

    snprintf(name, sizeof(name), "reader-%u", n);
    return name;
}

static void assert_no_readers_position_is_anothers(void)
{
    stele_store *store = NULL;

    if (fixture_try(STELE_OPEN_READ_ONLY, NULL, &store, NULL) != STELE_OK)
        return;
    for (unsigned n = 1; n <= READERS; n++) {
        uint64_t position = 0;

        if (stele_checkpoint_read(store, reader(n), &position, NULL) == STELE_OK)
            assert_int_equal(position, n);
    }
    stele_store_close(store);
}

/* SQLite finds a row whose length was changed under the name of another. */
static void D5_a_flipped_bit_never_gives_a_reader_the_position_of_another(void **state)
{
    enum { ROW = 40 }; /* bytes, at most */
    stele_store *store;
    stele_error *error = NULL;
    unsigned char *bytes;
    size_t size, end = 0;

    (void)state;
    fixture_make(READERS);
    store = fixture_open();
    for (unsigned n = 1; n <= READERS; n++)
        assert_ok(stele_checkpoint_write(store, reader(n), STELE_NO_CHECKPOINT, n, &error), error);
    stele_store_close(store);
    bytes = fixture_load(fixture_path(), &size);
    for (size_t i = 0; i + 8 < size; i++)
        if (memcmp(bytes + i, "reader-1", 8) == 0)
            end = i + ROW < size ? i + ROW : size;
    assert_true(end >= READERS * ROW);
    for (size_t i = end - READERS * ROW; i < end; i++) {
        bytes[i] ^= 1;
        fixture_save(fixture_path(), bytes, size);
        assert_no_readers_position_is_anothers();
        bytes[i] ^= 1;
    }
    free(bytes);
}

static void C2_a_write_that_fails_moves_nothing(void **state)
{
    const struct fault fault = {
        .operations = FAULT_WRITE | FAULT_SYNC, .files = FAULT_LOG, .number = 1, .for_ever = true, .code = SQLITE_FULL};
    stele_store *store = fixture_open();
    uint64_t position = 0;
    stele_error *error = NULL;

    (void)state;
    fixture_fill(store, 1, 5);
    assert_ok(stele_checkpoint_write(store, "mailer", STELE_NO_CHECKPOINT, 3, &error), error);
    fault_vfs_set(&fault);
    assert_status(STELE_FULL, stele_checkpoint_write(store, "mailer", 3, 5, &error), error);
    fault_vfs_set(NULL);
    assert_ok(read_mailer(store, &position, &error), error);
    assert_int_equal(position, 3);
    stele_store_close(store);
}

static void D3_a_write_cut_short_by_a_failed_sync_is_in_doubt(void **state)
{
    const struct fault fault = {
        .operations = FAULT_SYNC, .files = FAULT_LOG, .number = 1, .after = true, .code = SQLITE_IOERR_FSYNC};
    stele_store *store = fixture_open();
    uint64_t position = 0;
    stele_error *error = NULL;

    (void)state;
    fixture_fill(store, 1, 5);
    assert_ok(stele_checkpoint_write(store, "mailer", STELE_NO_CHECKPOINT, 3, &error), error);
    fault_vfs_set(&fault);
    assert_failure(STELE_UNKNOWN, stele_checkpoint_write(store, "mailer", 3, 5, &error), error);
    assert_message(error, "open the store again to see");
    assert_non_null(stele_error_get(error, "path"));
    stele_error_free(error);
    error = NULL;
    fault_vfs_set(NULL);
    stele_store_close(store);
    /* The bytes were there before the sync said that it had failed. */
    store = fixture_open();
    assert_ok(read_mailer(store, &position, &error), error);
    assert_int_equal(position, 5);
    stele_store_close(store);
}

static void checkpoints_are_read_but_not_written_in_a_store_opened_for_reading(void **state)
{
    stele_store *store = fixture_open();
    uint64_t position = 0;
    stele_error *error = NULL;

    (void)state;
    fixture_fill(store, 1, 5);
    assert_ok(stele_checkpoint_write(store, "mailer", STELE_NO_CHECKPOINT, 3, &error), error);
    stele_store_close(store);
    store = fixture_open_with(STELE_OPEN_READ_ONLY, NULL);
    assert_ok(read_mailer(store, &position, &error), error);
    assert_int_equal(position, 3);
    assert_status(STELE_READ_ONLY, stele_checkpoint_write(store, "mailer", 3, 4, &error), error);
    assert_status(STELE_READ_ONLY, stele_checkpoint_delete(store, "mailer", &error), error);
    stele_store_close(store);
}

/* --- Format 2 -------------------------------------------------------------------------------- */

/* What the file kept from the time of format 2 holds beside the four events of the one of format 1. */
static void assert_old_content(stele_store *store)
{
    static const char *const commands[] = {"second-order", "0192f0c4-0000-7000-8000-000000000009"};
    struct stele_outcome outcome;
    stele_message *message = NULL;
    stele_arena *arena = NULL;
    stele_error *error = NULL;

    assert_ok(stele_arena_new(&arena, &error), error);
    for (size_t i = 0; i < 2; i++) {
        assert_ok(stele_find_outcome(store, commands[i], arena, &outcome, &error), error);
        assert_int_equal(outcome.rejected, i == 0);
        assert_int_equal(outcome.version, 3);
    }
    stele_arena_free(arena);
    assert_ok(stele_find_position(store, 4, &message, &error), error);
    assert_memory_equal(stele_message_type(message).data, "bank.withdrawn", 14);
    stele_message_unref(message);
    assert_int_equal(faults(store), 0);
}

static void a_file_of_format_2_is_brought_up_when_it_is_opened_for_writing(void **state)
{
    stele_store *store;
    uint64_t position = 0;
    stele_error *error = NULL;

    (void)state;
    fixture_place("version-2.db");
    assert_int_equal(fixture_sql_number("PRAGMA user_version"), 2);
    store = fixture_open();
    assert_old_content(store);
    assert_ok(stele_checkpoint_write(store, "mailer", STELE_NO_CHECKPOINT, 4, &error), error);
    stele_store_close(store);
    assert_int_equal(fixture_sql_number("PRAGMA user_version"), 4);
    assert_int_equal(fixture_sql_number("SELECT count(*) FROM snapshot"), 1);
    store = fixture_open();
    assert_old_content(store);
    assert_ok(read_mailer(store, &position, &error), error);
    assert_int_equal(position, 4);
    stele_store_close(store);
}

static void a_file_of_format_2_is_read_as_it_is(void **state)
{
    unsigned char *before, *after;
    size_t size_before, size_after;
    uint64_t position;
    size_t count = 0;
    stele_store *store;
    stele_error *error = NULL;

    (void)state;
    fixture_place("version-2.db");
    before = fixture_load(fixture_path(), &size_before);
    store = fixture_open_with(STELE_OPEN_READ_ONLY, NULL);
    assert_old_content(store);
    assert_status(STELE_NOT_FOUND, read_mailer(store, &position, &error), error);
    assert_ok(stele_checkpoint_list(store, count_one, &count, &error), error);
    assert_int_equal(count, 0);
    assert_status(STELE_READ_ONLY, stele_checkpoint_write(store, "mailer", STELE_NO_CHECKPOINT, 1, &error), error);
    stele_store_close(store);
    after = fixture_load(fixture_path(), &size_after);
    assert_int_equal(size_after, size_before);
    assert_memory_equal(after, before, size_before);
    free(before);
    free(after);
}

static void a_reader_of_format_2_sees_checkpoints_once_somebody_brings_the_file_up(void **state)
{
    stele_store *reader, *writer;
    uint64_t position = 0;
    stele_error *error = NULL;

    (void)state;
    fixture_place("version-2.db");
    reader = fixture_open_with(STELE_OPEN_READ_ONLY, NULL);
    assert_status(STELE_NOT_FOUND, read_mailer(reader, &position, &error), error);
    writer = fixture_open();
    assert_ok(stele_checkpoint_write(writer, "mailer", STELE_NO_CHECKPOINT, 2, &error), error);
    assert_ok(read_mailer(reader, &position, &error), error);
    assert_int_equal(position, 2);
    stele_store_close(writer);
    stele_store_close(reader);
}

static void bringing_format_2_up_fails_at_any_write_without_harm(void **state)
{
    bool through = false;

    (void)state;
    for (size_t number = 1; !through; number++) {
        const struct fault fault = {.operations = FAULT_WRITE | FAULT_SYNC,
                                    .files = FAULT_DATABASE | FAULT_LOG,
                                    .number = number,
                                    .for_ever = true,
                                    .code = number % 2 ? SQLITE_IOERR_WRITE : SQLITE_FULL};
        stele_store *store = NULL;
        stele_error *error = NULL;

        fixture_place("version-2.db");
        fault_vfs_set(&fault);
        through = fixture_try(STELE_OPEN_CREATE, NULL, &store, &error) == STELE_OK;
        stele_error_free(error);
        fault_vfs_set(NULL);
        stele_store_close(store);
        store = fixture_open();
        assert_old_content(store);
        stele_store_close(store);
        support_temp_dir_remove();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(a_damaged_checkpoint_is_no_place_to_go_on_from),
        test(D5_a_flipped_bit_never_gives_a_reader_the_position_of_another),
        test(C2_a_write_that_fails_moves_nothing),
        test(D3_a_write_cut_short_by_a_failed_sync_is_in_doubt),
        test(checkpoints_are_read_but_not_written_in_a_store_opened_for_reading),
        test(a_file_of_format_2_is_brought_up_when_it_is_opened_for_writing),
        test(a_file_of_format_2_is_read_as_it_is),
        test(a_reader_of_format_2_sees_checkpoints_once_somebody_brings_the_file_up),
        test(bringing_format_2_up_fails_at_any_write_without_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
