/*
 * Dead letters that nobody wrote who meant well: rows of "$dead" with wrong
 * positions, absurd numbers, bytes that are no text; a great many of them; and
 * marks from elsewhere while a bus has them in hand.
 */
#include "tests/unit/bus/log_stage.h"
#include "tests/unit/sqlite/fixture.h"

#include "store/dead_log.h"

#include <stele/log.h>

/* --- Writing rows --------------------------------------------------------------------------------- */

/* MessagePack of a burial, with lengths of its texts, so that they may hold anything. */
struct row {
    char bytes[8192];
    size_t size;
};

static void put(struct row *row, const void *bytes, size_t size)
{
    assert_true(row->size + size <= sizeof(row->bytes));
    memcpy(row->bytes + row->size, bytes, size);
    row->size += size;
}

static void put_text(struct row *row, const char *key, const char *text, size_t size)
{
    const char key_head = (char)(0xa0 | strlen(key));
    const char text_head[] = {(char)0xda, (char)(size >> 8), (char)size};

    put(row, &key_head, 1);
    put(row, key, strlen(key));
    put(row, text_head, sizeof(text_head));
    put(row, text, size);
}

static void put_number(struct row *row, const char *key, uint64_t number)
{
    const char key_head = (char)(0xa0 | strlen(key));
    char value[9] = {(char)0xcf};

    for (int i = 0; i < 8; i++)
        value[1 + i] = (char)(number >> (56 - 8 * i));
    put(row, &key_head, 1);
    put(row, key, strlen(key));
    put(row, value, sizeof(value));
}

#define TEXT_OF(text) (text), strlen(text)

static void bury_bytes(stele_store *store, enum stele_payload_format format, const char *bytes, size_t size)
{
    const struct stele_raw_message raw = {
        .kind = STELE_EVENT, .type = "stele.dead.buried", .format = format, .payload = {bytes, size}};
    stele_message *event = NULL;
    struct stele_write write = {.stream = "$dead"};
    const struct stele_batch batch = {.writes = &write, .write_count = 1};
    stele_error *error = NULL;

    assert_ok(stele_message_new_raw(&raw, NULL, &event, &error), error);
    write.event = event;
    assert_ok(stele__store_append_own(store, &batch, &error), error);
    stele_message_unref(event);
}

static void put_row(struct row *row, const char *route, const char *id, const char *text, size_t text_size,
                    uint64_t attempts, uint64_t position)
{
    put(row, "\x87", 1);
    put_text(row, "route", TEXT_OF(route));
    put_text(row, "id", TEXT_OF(id));
    put_text(row, "type", TEXT_OF("order.placed"));
    put_text(row, "code", TEXT_OF("FAILED"));
    put_text(row, "text", text, text_size);
    put_number(row, "attempts", attempts);
    put_number(row, "position", position);
}

static void bury_row(stele_store *store, const char *route, const char *id, const char *text, size_t text_size,
                     uint64_t attempts, uint64_t position)
{
    struct row row = {.size = 0};

    put_row(&row, route, id, text, text_size, attempts, position);
    bury_bytes(store, STELE_PAYLOAD_MSGPACK, row.bytes, row.size);
}

/* --- What a list says ------------------------------------------------------------------------------ */

struct seen {
    size_t letters;
    size_t with_message;
    uint64_t attempts;
    size_t text_size;
};

static bool see(void *context, const struct stele_dead_letter *letter)
{
    struct seen *seen = context;

    seen->letters++;
    seen->with_message += letter->message != NULL;
    seen->attempts = letter->attempts;
    seen->text_size = strlen(letter->text);
    return true;
}

static struct seen list(stele_store *store)
{
    struct seen seen = {0};
    stele_error *error = NULL;

    assert_ok(stele_dead_list_in(store, NULL, see, &seen, &error), error);
    return seen;
}

static unsigned errors_logged;

static void count_errors(void *context, const struct stele_log_record *record)
{
    (void)context;
    errors_logged += record->level >= STELE_LOG_WARNING;
}

/* --- Positions -------------------------------------------------------------------------------------- */

static const struct stele_route charge = {.name = "charge", .on = "never.published", .handle = note};

static void a_letter_that_leads_to_another_message_is_not_delivered(void **state)
{
    static const uint64_t wrong[] = {1, 3, 4000, UINT64_MAX, INT64_MAX, 0};
    struct log_stage stage = {.store = log_stage_store("memory:")};
    struct notes notes = NOTES;
    stele_error *error = NULL;
    uint64_t count = 0;

    (void)state;
    log_stage_fill(stage.store, "order.placed", 1, 2);
    /* One leads to event 1, the next to itself, others to nothing; the last says that it has the message, and has not. */
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char id[32];

        snprintf(id, sizeof(id), "lost-%zu", i);
        bury_row(stage.store, "charge", id, TEXT_OF("no luck"), 1, wrong[i]);
    }
    bury_row(stage.store, "charge", "2", TEXT_OF("no luck"), 1, 2);
    assert_int_equal(list(stage.store).letters, 7);
    assert_int_equal(list(stage.store).with_message, 1);
    log_stage_begin(&stage, 0);
    log_stage_route(&stage, &charge, &notes);
    assert_ok(stele_dead_requeue(stage.bus, NULL, &count, &error), error);
    assert_int_equal(count, 7);
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(notes.text, "2 ");
    /* They can be dropped nevertheless. */
    assert_ok(
        stele_dead_drop(stage.bus,
                        &(const struct stele_dead_query){sizeof(struct stele_dead_query), NULL, NULL, NULL, true, 0},
                        &count, &error),
        error);
    assert_int_equal(count, 6);
    log_stage_end(&stage);
    stele_store_close(stage.store);
}

/* --- Numbers and texts --------------------------------------------------------------------------------- */

static void rows_with_absurd_members_neither_crash_nor_hide_others(void **state)
{
    char long_name[300];
    stele_store *store = log_stage_store("memory:");
    stele_error *error = NULL;
    uint64_t count = 0;
    struct seen seen;

    (void)state;
    memset(long_name, 'x', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    bury_bytes(store, STELE_PAYLOAD_BYTES, "\xff\xfe\x80\0", 4);
    bury_bytes(store, STELE_PAYLOAD_MSGPACK, "\x81\xa5route\x01", 8);
    bury_bytes(store, STELE_PAYLOAD_NONE, "", 0);
    bury_row(store, "charge", "nul", "nul \0 within", 12, 1, 0);
    bury_row(store, long_name, "a", TEXT_OF("x"), 1, 0);
    bury_row(store, "charge", long_name, TEXT_OF("x"), 1, 0);
    bury_row(store, "", "", TEXT_OF(""), 0, 0);
    bury_row(store, "charge", "huge", TEXT_OF("\x1b[2J\a\r\n"), UINT64_MAX, 0);
    bury_row(store, "charge", "huge", TEXT_OF("\x1b[2J\a\r\n"), UINT64_MAX, 0);
    seen = list(store);
    /* The one without names, and the huge one: what no letter can be is passed over. */
    assert_int_equal(seen.letters, 2);
    assert_int_equal(seen.attempts, UINT64_MAX);
    assert_ok(stele_dead_drop_in(store, NULL, &count, &error), error);
    assert_int_equal(count, seen.letters);
    assert_int_equal(list(store).letters, 0);
    stele_store_close(store);
}

/* --- Many --------------------------------------------------------------------------------------------------- */

static stele_message *long_letter(unsigned n)
{
    struct stele_raw_message raw = {.kind = STELE_EVENT, .type = "stele.dead.buried", .format = STELE_PAYLOAD_MSGPACK};
    struct row row = {.size = 0};
    char text[1000], id[32];
    stele_message *event = NULL;
    stele_error *error = NULL;

    memset(text, 't', sizeof(text));
    snprintf(id, sizeof(id), "letter-%u", n);
    put_row(&row, "charge", id, text, sizeof(text), 1, 1);
    raw.payload = (struct stele_slice){row.bytes, row.size};
    assert_ok(stele_message_new_raw(&raw, NULL, &event, &error), error);
    return event;
}

/* In one batch. */
static void bury_many(stele_store *store, unsigned letters)
{
    stele_message **events = test_calloc(letters, sizeof(*events));
    struct stele_write *writes = test_calloc(letters, sizeof(*writes));
    const struct stele_batch batch = {.writes = writes, .write_count = letters};
    stele_error *error = NULL;

    for (unsigned i = 0; i < letters; i++) {
        events[i] = long_letter(i);
        writes[i] = (struct stele_write){"$dead", events[i]};
    }
    assert_ok(stele__store_append_own(store, &batch, &error), error);
    for (unsigned i = 0; i < letters; i++)
        stele_message_unref(events[i]);
    test_free(writes);
    test_free(events);
}

/* Walked through in their order, marked in several batches, none twice. */
static void many_letters_are_walked_through_and_marked_in_parts(void **state)
{
    enum { LETTERS = 3000, FIRST = 700 };
    struct stele_dead_query few = STELE_OPTIONS_INIT(struct stele_dead_query);
    stele_store *store = log_stage_store("memory:");
    struct seen seen = {0};
    stele_error *error = NULL;
    uint64_t count = 0;

    (void)state;
    bury_many(store, LETTERS);
    assert_int_equal(list(store).letters, LETTERS);
    few.limit = FIRST;
    assert_ok(stele_dead_list_in(store, &few, see, &seen, &error), error);
    assert_int_equal(seen.letters, FIRST);
    assert_ok(stele_dead_requeue_in(store, &few, &count, &error), error);
    assert_int_equal(count, FIRST);
    assert_int_equal(list(store).letters, LETTERS - FIRST);
    assert_ok(stele_dead_drop_in(store, NULL, &count, &error), error);
    assert_int_equal(count, LETTERS - FIRST);
    few.limit = 0;
    few.with_requeued = true;
    seen.letters = 0;
    assert_ok(stele_dead_list_in(store, &few, see, &seen, &error), error);
    assert_int_equal(seen.letters, FIRST);
    stele_store_close(store);
}

/* --- Damage ------------------------------------------------------------------------------------------------ */

static void a_damaged_last_row_is_told_once_not_at_each_commit(void **state)
{
    struct log_stage stage;
    struct notes notes = NOTES;
    char url[4096];
    unsigned first;

    (void)state;
    snprintf(url, sizeof(url), "sqlite:%s?idle=0", fixture_path());
    stage.store = log_stage_store(url);
    bury_row(stage.store, "charge", "1", TEXT_OF("x"), 1, 0);
    bury_row(stage.store, "charge", "2", TEXT_OF("x"), 1, 0);
    stele_store_close(stage.store);
    fixture_tamper("UPDATE event SET time = time + 1 WHERE position = 2");
    stage.store = log_stage_store(url);
    errors_logged = 0;
    stele_log_use(count_errors, NULL, STELE_LOG_WARNING);
    log_stage_begin(&stage, 0);
    log_stage_route(&stage, &charge, &notes);
    stele_runtime_run_until_idle(stage.runtime);
    first = errors_logged;
    assert_true(first > 0);
    for (int i = 1; i <= 10; i++) {
        log_stage_fill(stage.store, "order.placed", i, i);
        stele_runtime_run_until_idle(stage.runtime);
    }
    assert_int_equal(errors_logged, first);
    bury_row(stage.store, "charge", "3", TEXT_OF("x"), 1, 0);
    stele_log_use(NULL, NULL, STELE_LOG_ERROR);
    assert_int_equal(list(stage.store).letters, 2);
    log_stage_end(&stage);
    stele_store_close(stage.store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(a_letter_that_leads_to_another_message_is_not_delivered),
        support_test(rows_with_absurd_members_neither_crash_nor_hide_others),
        support_test(many_letters_are_walked_through_and_marked_in_parts),
        support_test(a_damaged_last_row_is_told_once_not_at_each_commit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
