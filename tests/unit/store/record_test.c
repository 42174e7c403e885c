/* Messages as records, and records as lent messages. */
#include "tests/support/support.h"

#include <string.h>

#include "store/record.h"

static const struct stele_uuid some_uuid = {{0x01, 0x92, 0xf0, 0xc4, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, 0xaa}};

static struct stele_record stored_record(void)
{
    return (struct stele_record){
        .position = 7,
        .version = 3,
        .stream = support_slice("account-7"),
        .type = support_slice("t.one"),
        .type_version = 2,
        .id_is_uuid = true,
        .uuid = some_uuid,
        .time = -5,
        .payload = support_slice("\xc0"), /* nil */
    };
}

static void assert_slice(struct stele_slice slice, const char *text)
{
    assert_int_equal(slice.size, strlen(text));
    assert_memory_equal(slice.data, text, slice.size);
}

static void a_record_is_lent_as_a_message_without_copying(void **state)
{
    const struct stele_record record = stored_record();
    stele_message lent;
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele__record_to_message(&record, &lent, &error), error);
    assert_int_equal(support_allocations(), 0);
    assert_int_equal(stele_message_kind(&lent), STELE_EVENT);
    assert_slice(stele_message_id(&lent), "0192f0c4-0000-7000-8000-0000000000aa");
    assert_slice(stele_message_source(&lent), "stele");
    assert_ptr_equal(stele_message_type(&lent).data, record.type.data);
    assert_int_equal(stele_message_type_version(&lent), 2);
    assert_int_equal(stele_message_time(&lent), -5);
    assert_ptr_equal(stele_message_payload(&lent).data, record.payload.data);
    assert_ptr_equal(stele_message_stream(&lent).data, record.stream.data);
    assert_int_equal(stele_message_version(&lent), 3);
    assert_int_equal(stele_message_position(&lent), 7);
}

static void the_same_space_may_be_lent_again(void **state)
{
    struct stele_record record = stored_record();
    stele_message lent;
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele__record_to_message(&record, &lent, &error), error);
    assert_slice(stele_message_id(&lent), "0192f0c4-0000-7000-8000-0000000000aa");
    record.uuid.bytes[15] = 0xbb;
    assert_ok(stele__record_to_message(&record, &lent, &error), error);
    assert_slice(stele_message_id(&lent), "0192f0c4-0000-7000-8000-0000000000bb");
    record.id_is_uuid = false;
    record.id = support_slice("order 1");
    assert_ok(stele__record_to_message(&record, &lent, &error), error);
    assert_slice(stele_message_id(&lent), "order 1");
}

static void a_message_and_its_record_and_its_lent_message_agree(void **state)
{
    const struct stele_raw_message raw = {.kind = STELE_COMMAND, .type = "t", .format = STELE_PAYLOAD_NONE};
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
    stele_message *message = NULL;
    struct stele_record record;
    stele_message lent;
    stele_error *error = NULL;

    (void)state;
    options.id = "order 1";
    options.subject = "of it";
    assert_ok(stele_message_new_raw(&raw, &options, &message, &error), error);
    stele__record_from_message(message, support_slice("s"), &record);
    assert_false(record.id_is_uuid);
    assert_slice(record.id, "order 1");
    assert_slice(record.stream, "s");
    assert_null(record.payload.data);
    assert_int_equal(record.position, 0);
    assert_ok(stele__record_to_message(&record, &lent, &error), error);
    assert_int_equal(stele_message_kind(&lent), STELE_COMMAND);
    assert_int_equal(stele_message_format(&lent), STELE_PAYLOAD_NONE);
    assert_slice(stele_message_subject(&lent), "of it");
    stele_message_unref(message);
}

static void damaged_attributes_are_corrupt_and_the_place_is_told(void **state)
{
    struct stele_record record = stored_record();
    stele_message lent;
    stele_error *error = NULL;

    (void)state;
    record.meta = support_slice("\xc1");
    assert_failure(STELE_CORRUPT, stele__record_to_message(&record, &lent, &error), error);
    assert_string_equal(stele_error_get(error, "position"), "7");
    assert_message(error, "position 7");
    stele_error_free(error);
    assert_int_equal(stele__record_to_message(&record, &lent, NULL), STELE_CORRUPT);
}

static void a_payload_that_its_format_denies_is_corrupt(void **state)
{
    /* {"format": "none"} */
    static const char none[] = "\x81\xa6"
                               "format\xa4none";
    struct stele_record record = stored_record();
    stele_message lent;
    stele_error *error = NULL;

    (void)state;
    record.payload = support_slice(NULL); /* MessagePack by default, but there is none */
    assert_status(STELE_CORRUPT, stele__record_to_message(&record, &lent, &error), error);
    record.meta = support_slice(none);
    assert_ok(stele__record_to_message(&record, &lent, &error), error);
    record.payload = support_slice("\xc0");
    assert_status(STELE_CORRUPT, stele__record_to_message(&record, &lent, &error), error);
}

static void ids_are_compared_by_kind_and_bytes(void **state)
{
    struct stele_record uuid = stored_record();
    struct stele_record other = stored_record();
    struct stele_record text = {.id = {(const char *)some_uuid.bytes, sizeof(some_uuid.bytes)}};
    char printed[STELE_UUID_TEXT_SIZE];

    (void)state;
    assert_true(stele__record_same_id(&uuid, &other));
    other.uuid.bytes[0]++;
    assert_false(stele__record_same_id(&uuid, &other));
    assert_false(stele__record_same_id(&uuid, &text));
    memset(&uuid.uuid, 0, sizeof(uuid.uuid)); /* the nil UUID, as the text's record has it unused */
    assert_false(stele__record_same_id(&uuid, &text));
    uuid.uuid = some_uuid;
    assert_true(stele__record_same_id(&text, &text));
    assert_slice(stele__record_id(&uuid, printed), "0192f0c4-0000-7000-8000-0000000000aa");
    assert_int_equal(stele__record_id_bytes(&uuid).size, 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(a_record_is_lent_as_a_message_without_copying),
        support_test(the_same_space_may_be_lent_again),
        support_test(a_message_and_its_record_and_its_lent_message_agree),
        support_test(damaged_attributes_are_corrupt_and_the_place_is_told),
        support_test(a_payload_that_its_format_denies_is_corrupt),
        support_test(ids_are_compared_by_kind_and_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
