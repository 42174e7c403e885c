/* Damage at rest: no wrong byte is ever served, no crash, and what concerns an event is told. */
#include "tests/unit/sqlite/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Single rows --------------------------------------------------------------------- */

static unsigned faults;

static void note_fault(void *context, const char *text)
{
    (void)context;
    assert_non_null(text);
    faults++;
}

/* After tampering, reading the log meets one damaged record at the position, and all others are right. */
static void assert_damaged(const char *sql, uint64_t position)
{
    const struct stele_verify_options options = {.size = sizeof(options), .fault = note_fault};
    stele_store *store;
    stele_cursor *cursor = NULL;
    const stele_message *message = NULL;
    stele_error *error = NULL;
    char text[24];
    size_t right = 0;
    size_t wrong = 0;
    unsigned n;

    fixture_make(9);
    fixture_tamper(sql);
    store = fixture_open();
    assert_ok(stele_read(store, NULL, &cursor, &error), error);
    for (;;) {
        const stele_status status = stele_cursor_next(cursor, &message, &error);

        if (status == STELE_OK && !message)
            break;
        if (status == STELE_OK) {
            assert_true(fixture_is_right(message, &n));
            right++;
            continue;
        }
        assert_int_equal(status, STELE_CORRUPT);
        snprintf(text, sizeof(text), "%llu", (unsigned long long)position);
        assert_string_equal(stele_error_get(error, "position"), text);
        stele_error_free(error);
        error = NULL;
        wrong++;
    }
    stele_cursor_close(cursor);
    assert_int_equal(wrong, 1);
    assert_int_equal(right, 8);
    faults = 0;
    assert_status(STELE_CORRUPT, stele_verify(store, &options, NULL, &error), error);
    assert_true(faults > 0);
    stele_store_close(store);
    support_temp_dir_remove();
}

static void D5_every_changed_column_of_an_event_is_found(void **state)
{
    (void)state;
    assert_damaged("UPDATE event SET data = x'00' WHERE position = 4", 4);
    assert_damaged("UPDATE event SET data = NULL WHERE position = 4", 4);
    assert_damaged("UPDATE event SET data = CAST(data || 'x' AS BLOB) WHERE position = 4", 4);
    assert_damaged("UPDATE event SET meta = x'80' WHERE position = 4", 4);
    assert_damaged("UPDATE event SET time = time + 1 WHERE position = 4", 4);
    assert_damaged("UPDATE event SET id = 'event-77' WHERE position = 4", 4);
    assert_damaged("UPDATE event SET id = CAST(id AS BLOB) WHERE position = 4", 4);
    assert_damaged("UPDATE event SET version = 88 WHERE position = 4", 4);
    assert_damaged("UPDATE event SET stream = 2, version = 9 WHERE position = 4", 4);
    assert_damaged("UPDATE event SET type = 2 WHERE position = 4", 4);
    assert_damaged("UPDATE event SET checksum = checksum + 1 WHERE position = 4", 4);
    assert_damaged("UPDATE event SET position = 40 WHERE position = 9", 40);
}

static void D5_bytes_moved_between_columns_are_found(void **state)
{
    (void)state;
    assert_damaged("UPDATE event SET meta = data, data = meta WHERE position = 4", 4);
}

static void D5_a_changed_name_of_a_stream_or_type_is_found(void **state)
{
    stele_error *error = NULL;
    stele_cursor *cursor = NULL;
    const stele_message *message;
    stele_store *store;

    (void)state;
    fixture_make(3);
    fixture_tamper("UPDATE stream SET name = 'other' WHERE id = 1");
    store = fixture_open();
    assert_ok(stele_read(store, NULL, &cursor, &error), error);
    assert_status(STELE_CORRUPT, stele_cursor_next(cursor, &message, &error), error);
    assert_ok(stele_cursor_next(cursor, &message, &error), error);
    stele_cursor_close(cursor);
    assert_status(STELE_CORRUPT, fixture_append(store, "other", 4, &error), error);
    assert_status(STELE_CORRUPT, stele_verify(store, NULL, NULL, &error), error);
    stele_store_close(store);
    support_temp_dir_remove();

    fixture_make(3);
    fixture_tamper("UPDATE type SET version = 2");
    store = fixture_open();
    assert_ok(stele_read(store, NULL, &cursor, &error), error);
    assert_status(STELE_CORRUPT, stele_cursor_next(cursor, &message, &error), error);
    stele_cursor_close(cursor);
    assert_status(STELE_CORRUPT, stele_verify(store, NULL, NULL, &error), error);
    stele_store_close(store);
}

static void D5_an_event_that_is_gone_leaves_a_gap_that_is_told(void **state)
{
    struct stele_query query = STELE_OPTIONS_INIT(struct stele_query);
    stele_store *store;
    stele_cursor *cursor = NULL;
    stele_error *error = NULL;
    const stele_message *message = NULL;

    (void)state;
    fixture_make(12); /* stream-1: events 1, 4, 7, 10 */
    fixture_tamper("DELETE FROM event WHERE position = 7");
    store = fixture_open();
    query.stream = "stream-1";
    for (int backwards = 0; backwards <= 1; backwards++) {
        query.backwards = backwards != 0;
        assert_ok(stele_read(store, &query, &cursor, &error), error);
        for (int i = 0; i < 2 - backwards; i++)
            assert_ok(stele_cursor_next(cursor, &message, &error), error);
        assert_failure(STELE_CORRUPT, stele_cursor_next(cursor, &message, &error), error);
        assert_string_equal(stele_error_get(error, "version"), "3");
        stele_error_free(error);
        error = NULL;
        assert_ok(stele_cursor_next(cursor, &message, &error), error);
        assert_int_equal(stele_message_version(message), backwards ? 2 : 4);
        stele_cursor_close(cursor);
    }
    assert_status(STELE_CORRUPT, stele_verify(store, NULL, NULL, &error), error);
    stele_store_close(store);
}

static void D5_a_stream_without_its_beginning_is_told(void **state)
{
    struct stele_query query = STELE_OPTIONS_INIT(struct stele_query);
    stele_store *store;
    stele_cursor *cursor = NULL;
    stele_error *error = NULL;
    const stele_message *message = NULL;

    (void)state;
    fixture_make(6);
    fixture_tamper("DELETE FROM event WHERE position = 1");
    store = fixture_open();
    query.stream = "stream-1";
    assert_ok(stele_read(store, &query, &cursor, &error), error);
    assert_status(STELE_CORRUPT, stele_cursor_next(cursor, &message, &error), error);
    stele_cursor_close(cursor);
    stele_store_close(store);
}

/* --- Any byte of the file ----------------------------------------------------------------- */

struct outcome {
    size_t right; /* events read as they were written */
    bool told;    /* something was refused on the way */
};

/* Open and read all; whatever comes must be right. */
static struct outcome read_all(void)
{
    struct outcome outcome = {0, false};
    stele_store *store = NULL;
    stele_cursor *cursor = NULL;
    const stele_message *message = NULL;
    unsigned n;

    if (fixture_try(STELE_OPEN_EXISTING, NULL, &store, NULL) != STELE_OK ||
        stele_read(store, NULL, &cursor, NULL) != STELE_OK)
        outcome.told = true;
    while (cursor) {
        const stele_status status = stele_cursor_next(cursor, &message, NULL);

        if (status == STELE_OK && !message)
            break;
        if (status == STELE_OK)
            assert_true(fixture_is_right(message, &n));
        outcome.right += status == STELE_OK;
        outcome.told = outcome.told || status != STELE_OK;
        if (status != STELE_OK && status != STELE_CORRUPT)
            break;
    }
    stele_cursor_close(cursor);
    if (store && !outcome.told)
        outcome.told = stele_verify(store, NULL, NULL, NULL) != STELE_OK;
    stele_store_close(store);
    return outcome;
}

/* Every byte, or with a stride that meets every place of a page in the long run. */
static size_t stride(void)
{
    const char *all = getenv("STELE_TEST_EXHAUSTIVE");

    return all && *all ? 1 : 41;
}

static void D5_a_flipped_bit_anywhere_is_told_or_harmless(void **state)
{
    enum { EVENTS = 25 };
    unsigned char *file;
    size_t size;
    size_t harmless = 0;

    (void)state;
    fixture_make(EVENTS);
    file = fixture_load(fixture_path(), &size);
    for (size_t at = 0; at < size; at += stride()) {
        struct outcome outcome;

        file[at] ^= (unsigned char)(1 << at % 8);
        support_temp_dir_remove();
        fixture_save(fixture_path(), file, size);
        outcome = read_all();
        file[at] ^= (unsigned char)(1 << at % 8);
        if (outcome.told)
            continue;
        /* Nobody complained: then nothing may be missing. */
        if (outcome.right != EVENTS)
            fail_msg("byte %zu: %zu of %d events, and nothing was told", at, outcome.right, EVENTS);
        harmless++;
    }
    assert_true(harmless < size / stride());
    free(file);
}

/* What an index says is covered by no checksum: event 2 is looked for, and its entry leads to event 3. */
static void D5_an_index_of_ids_that_leads_elsewhere_is_told(void **state)
{
    stele_store *store;
    stele_message *found = NULL;
    stele_error *error = NULL;
    unsigned n = 0;

    (void)state;
    fixture_make(5);
    fixture_redirect("event-2", 2, 3);
    store = fixture_open();
    assert_status(STELE_CORRUPT, stele_find(store, "event-2", &found, &error), error);
    assert_status(STELE_CORRUPT, fixture_append(store, "stream-2", 2, &error), error);
    assert_ok(stele_find(store, "event-3", &found, &error), error);
    assert_true(fixture_is_right(found, &n));
    assert_int_equal(n, 3);
    stele_message_unref(found);
    stele_store_close(store);
}

static void assert_no_event_is_found_for_another(unsigned count)
{
    stele_store *store = NULL;

    if (fixture_try(STELE_OPEN_READ_ONLY, NULL, &store, NULL) != STELE_OK)
        return;
    for (unsigned i = 1; i <= count; i++) {
        stele_message *found = NULL;
        char id[24];
        unsigned n = 0;

        snprintf(id, sizeof(id), "event-%u", i);
        if (stele_find(store, id, &found, NULL) == STELE_OK) {
            assert_true(fixture_is_right(found, &n));
            assert_int_equal(n, i);
        }
        stele_message_unref(found);
    }
    stele_store_close(store);
}

/* Where SQLite then looks, it may take the next entry for the one that is asked for. */
static void D5_a_flipped_bit_in_the_index_of_ids_never_gives_another_event(void **state)
{
    enum { EVENTS = 40, PAGE = 4096, HEADER = 8, LEAF_OF_INDEX = 10 };
    unsigned char *bytes;
    size_t size, page = PAGE;

    (void)state;
    fixture_make(EVENTS);
    bytes = fixture_load(fixture_path(), &size);
    while (page < size && (bytes[page] != LEAF_OF_INDEX || !memmem(bytes + page, PAGE, "event-40", 8)))
        page += PAGE;
    assert_true(page < size);
    for (size_t bit = 0; bit < (size_t)8 * (HEADER + 2 * EVENTS); bit++) {
        bytes[page + bit / 8] ^= (unsigned char)(1U << bit % 8);
        fixture_save(fixture_path(), bytes, size);
        assert_no_event_is_found_for_another(EVENTS);
        bytes[page + bit / 8] ^= (unsigned char)(1U << bit % 8);
    }
    free(bytes);
}

static void D5_a_page_of_zeros_or_noise_is_told_or_harmless(void **state)
{
    enum { EVENTS = 120, PAGE = 4096 };
    struct support_random random = support_seed();
    unsigned char *file;
    unsigned char *copy;
    size_t size;

    (void)state;
    fixture_make(EVENTS);
    file = fixture_load(fixture_path(), &size);
    copy = malloc(size);
    assert_non_null(copy);
    for (size_t at = 0; at < size; at += PAGE)
        for (int noise = 0; noise <= 1; noise++) {
            struct outcome outcome;

            memcpy(copy, file, size);
            memset(copy + at, 0, PAGE);
            if (noise)
                support_random_bytes(&random, copy + at, PAGE);
            support_temp_dir_remove();
            fixture_save(fixture_path(), copy, size);
            outcome = read_all();
            assert_true(outcome.told || outcome.right == EVENTS);
        }
    free(file);
    free(copy);
}

/* What is read of the log is right and in order, each event once; damage is told, and the reading ends. */
static void assert_in_order(bool backwards)
{
    struct stele_query query = STELE_OPTIONS_INIT(struct stele_query);
    stele_store *store = NULL;
    stele_cursor *cursor = NULL;
    const stele_message *message = NULL;
    uint64_t last = backwards ? UINT64_MAX : 0;
    stele_status status = STELE_CORRUPT;
    unsigned n;

    query.backwards = backwards;
    if (fixture_try(STELE_OPEN_READ_ONLY, NULL, &store, NULL) != STELE_OK)
        return;
    if (stele_read(store, &query, &cursor, NULL) != STELE_OK)
        cursor = NULL;
    for (unsigned steps = 0; cursor && (status == STELE_OK || status == STELE_CORRUPT); steps++) {
        assert_true(steps < 10000);
        status = stele_cursor_next(cursor, &message, NULL);
        if (status != STELE_OK)
            continue;
        if (!message)
            break;
        assert_true(fixture_is_right(message, &n));
        assert_true(backwards ? stele_message_position(message) < last : stele_message_position(message) > last);
        last = stele_message_position(message);
    }
    stele_cursor_close(cursor);
    stele_store_close(store);
}

static void D5_a_page_in_the_place_of_another_never_brings_events_out_of_order(void **state)
{
    enum { EVENTS = 120, PAGE = 4096 };
    unsigned char *file;
    unsigned char *copy;
    size_t size;

    (void)state;
    fixture_make(EVENTS);
    file = fixture_load(fixture_path(), &size);
    copy = malloc(size);
    assert_non_null(copy);
    for (size_t at = PAGE; at < size; at += PAGE)
        for (size_t from = PAGE; from < size; from += PAGE) {
            memcpy(copy, file, size);
            memcpy(copy + at, file + from, PAGE);
            support_temp_dir_remove();
            fixture_save(fixture_path(), copy, size);
            assert_in_order(false);
            assert_in_order(true);
        }
    free(file);
    free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(D5_every_changed_column_of_an_event_is_found),
        support_test(D5_bytes_moved_between_columns_are_found),
        support_test(D5_a_changed_name_of_a_stream_or_type_is_found),
        support_test(D5_an_event_that_is_gone_leaves_a_gap_that_is_told),
        support_test(D5_a_stream_without_its_beginning_is_told),
        support_test(D5_a_flipped_bit_anywhere_is_told_or_harmless),
        support_test(D5_an_index_of_ids_that_leads_elsewhere_is_told),
        support_test(D5_a_flipped_bit_in_the_index_of_ids_never_gives_another_event),
        support_test(D5_a_page_of_zeros_or_noise_is_told_or_harmless),
        support_test(D5_a_page_in_the_place_of_another_never_brings_events_out_of_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
