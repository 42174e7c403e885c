/* Digests of commands are over the bytes that docs/file-format.md lists: here they are written out by hand. */
#include "tests/support/support.h"

#include <string.h>

#include <xxhash.h>

#include "store/ledger.h"

static stele_message *command_of(const char *type, uint32_t version, enum stele_payload_format format,
                                 struct stele_slice payload)
{
    const struct stele_raw_message raw = {
        .kind = STELE_COMMAND, .type = type, .type_version = version, .format = format, .payload = payload};
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
    stele_message *command = NULL;
    stele_error *error = NULL;

    options.id = "c-1";
    if (format == STELE_PAYLOAD_BYTES)
        options.datacontenttype = "text/plain";
    assert_ok(stele_message_new_raw(&raw, &options, &command, &error), error);
    return command;
}

static void canonical(const void *bytes, size_t size, uint8_t out[16])
{
    XXH128_canonical_t digest;

    XXH128_canonicalFromHash(&digest, XXH3_128bits(bytes, size));
    memcpy(out, digest.digest, 16);
}

#define SAID \
    "\x05\0\0\0\0\0\0\0" \
    "do.it"              /* type */ \
    "\x02\0\0\0\0\0\0\0" /* type version */ \
    "\x01\0\0\0\0\0\0\0" /* format: MessagePack */ \
    "\x03\0\0\0\0\0\0\0" \
    "\xa2" \
    "ab" /* payload */

static void B7_the_digest_of_a_command_is_over_type_and_payload(void **state)
{
    static const char bytes[] = SAID;
    stele_message *command = command_of("do.it", 2, STELE_PAYLOAD_MSGPACK,
                                        support_slice("\xa2"
                                                      "ab"));
    uint8_t found[16], wanted[16];

    (void)state;
    canonical(bytes, sizeof(bytes) - 1, wanted);
    stele__command_digest(command, found);
    assert_memory_equal(found, wanted, 16);
    stele_message_unref(command);
}

static void B7_the_digest_of_a_call_covers_streams_and_ids_in_order(void **state)
{
    static const char link[] = "................"
                               "\x09\0\0\0\0\0\0\0"
                               "account-7" /* stream */
                               "\x03\0\0\0\0\0\0\0"
                               "c-1" /* id */
        SAID;
    stele_message *command = command_of("do.it", 2, STELE_PAYLOAD_MSGPACK,
                                        support_slice("\xa2"
                                                      "ab"));
    uint8_t found[16] = {0}, wanted[16] = {0};
    char bytes[sizeof(link)];

    (void)state;
    memcpy(bytes, link, sizeof(link));
    for (int i = 0; i < 2; i++) {
        memcpy(bytes, wanted, 16);
        canonical(bytes, sizeof(bytes) - 1, wanted);
        stele__command_digest_add("account-7", command, found);
        assert_memory_equal(found, wanted, 16);
    }
    stele_message_unref(command);
}

static void B7_a_payload_of_no_bytes_is_not_one_that_is_absent(void **state)
{
    stele_message *none = command_of("do.it", 1, STELE_PAYLOAD_NONE, support_slice(NULL));
    stele_message *empty = command_of("do.it", 1, STELE_PAYLOAD_BYTES, support_slice(""));
    uint8_t left[16], right[16];

    (void)state;
    stele__command_digest(none, left);
    stele__command_digest(empty, right);
    assert_memory_not_equal(left, right, 16);
    stele_message_unref(none);
    stele_message_unref(empty);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(B7_the_digest_of_a_command_is_over_type_and_payload),
        support_test(B7_the_digest_of_a_call_covers_streams_and_ids_in_order),
        support_test(B7_a_payload_of_no_bytes_is_not_one_that_is_absent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
