/* Checksums are over the bytes that docs/file-format.md draws: here they are written out by hand, and its examples. */
#include "tests/unit/sqlite/fixture.h"

#include <string.h>
#include <xxhash.h>

static void the_checksum_of_a_stream_is_over_its_drawn_bytes(void **state)
{
    static const char bytes[] = "STRM"
                                "\x09\0\0\0"         /* size of the name */
                                "\x07\0\0\0\0\0\0\0" /* id */
                                "\0\0\0\0\0\0\0\0"
                                "account-7";

    (void)state;
    assert_int_equal(stele__sqlite_stream_checksum(7, support_slice("account-7")),
                     XXH3_64bits(bytes, sizeof(bytes) - 1));
    assert_int_equal(stele__sqlite_stream_checksum(7, support_slice("account-7")), UINT64_C(0x40F2B51FBC9C261C));
}

static void the_checksum_of_a_type_is_over_its_drawn_bytes(void **state)
{
    static const char bytes[] = "TYPE"
                                "\x06\0\0\0"         /* size of the name */
                                "\x03\0\0\0\0\0\0\0" /* id */
                                "\x02\0\0\0\0\0\0\0" /* version */
                                "a.made";

    (void)state;
    assert_int_equal(stele__sqlite_type_checksum(3, 2, support_slice("a.made")), XXH3_64bits(bytes, sizeof(bytes) - 1));
}

static void the_checksum_of_an_event_is_over_its_drawn_bytes(void **state)
{
    static const char bytes[] = "EVNT"
                                "\x10\0\0\0"                       /* size of the id */
                                "\x01\x02\0\0\0\0\0\0"             /* position 513 */
                                "\x07\0\0\0\0\0\0\0"               /* stream */
                                "\x02\0\0\0\0\0\0\0"               /* version */
                                "\x03\0\0\0\0\0\0\0"               /* type */
                                "\xff\xff\xff\xff\xff\xff\xff\xff" /* time: one nanosecond before 1970 */
                                "\0\0\0\0"                         /* size of meta */
                                "\x02\0\0\0"                       /* flags: no meta */
                                "\x03\0\0\0\0\0\0\0"               /* size of data */
                                "\x01\x93\x4f\x2a\x70\x00\x70\x00\x80\x00\x00\x00\x00\x00\x00\x01"
                                "\x81\x61\x61";
    const struct sqlite_event_row row = {
        .position = 513,
        .stream = 7,
        .version = 2,
        .type = 3,
        .time = -1,
        .id = {"\x01\x93\x4f\x2a\x70\x00\x70\x00\x80\x00\x00\x00\x00\x00\x00\x01", 16},
        .payload = {"\x81\x61\x61", 3},
    };

    (void)state;
    assert_int_equal(stele__sqlite_event_checksum(&row), XXH3_64bits(bytes, sizeof(bytes) - 1));
    assert_int_equal(stele__sqlite_event_checksum(&row), UINT64_C(0x159A3100F825F263));
}

static void a_text_id_and_an_absent_payload_have_their_flags(void **state)
{
    static const char bytes[] = "EVNT"
                                "\x01\0\0\0"
                                "\x01\0\0\0\0\0\0\0"
                                "\x01\0\0\0\0\0\0\0"
                                "\x01\0\0\0\0\0\0\0"
                                "\x01\0\0\0\0\0\0\0"
                                "\0\0\0\0\0\0\0\0"
                                "\x01\0\0\0"
                                "\x05\0\0\0" /* id is a text, no data */
                                "\0\0\0\0\0\0\0\0"
                                "x"
                                "\x80";
    const struct sqlite_event_row row = {
        .position = 1, .stream = 1, .version = 1, .type = 1, .id = {"x", 1}, .id_is_text = true, .meta = {"\x80", 1}};

    (void)state;
    assert_int_equal(stele__sqlite_event_checksum(&row), XXH3_64bits(bytes, sizeof(bytes) - 1));
}

/* Short rows are copied together and hashed at once, long ones in pieces: the sum is the same function. */
static void long_and_short_rows_are_summed_alike(void **state)
{
    static char bytes[64 + 2000];
    static char data[2000];

    (void)state;
    memset(data, 'd', sizeof(data));
    for (size_t size = 900; size <= sizeof(data); size += 20) {
        struct sqlite_event_row row = {.id = {"", 0}, .payload = {data, size}};
        const unsigned char low = (unsigned char)(size & 0xff);
        const unsigned char high = (unsigned char)(size >> 8);

        memset(bytes, 0, sizeof(bytes));
        memcpy(bytes, "EVNT", 4);
        bytes[52] = 2; /* no meta */
        bytes[56] = (char)low;
        bytes[57] = (char)high;
        memcpy(bytes + 64, data, size);
        assert_int_equal(stele__sqlite_event_checksum(&row), XXH3_64bits(bytes, 64 + size));
    }
}

static void the_checksum_of_a_command_is_over_its_drawn_bytes(void **state)
{
    static const char bytes[] = "CMND"
                                "\x03\0\0\0"           /* size of the id */
                                "\x05\0\0\0\0\0\0\0"   /* time */
                                "\x01\x02\0\0\0\0\0\0" /* first: 513 */
                                "\x02\x02\0\0\0\0\0\0" /* last: 514 */
                                "\x07\0\0\0\0\0\0\0"   /* version */
                                "\x02\0\0\0"           /* size of the rejection */
                                "\x19\0\0\0"           /* flags: a text as id, rejected, created */
                                "0123456789abcdef"     /* digest */
                                "c-1"
                                "no";
    struct stele_command_record command = {
        .id = support_slice("c-1"),
        .digest = "0123456789abcde",
        .rejection = support_slice("no"),
        .time = 5,
        .outcome = {.version = 7, .first_position = 513, .last_position = 514, .created = true},
    };

    (void)state;
    command.digest[15] = 'f';
    assert_int_equal(stele__sqlite_command_checksum(&command), XXH3_64bits(bytes, sizeof(bytes) - 1));
}

static void the_checksum_of_an_accepted_command_with_a_uuid_has_no_flags(void **state)
{
    static const char bytes[64 + 16] = "CMND\x10";
    const struct stele_command_record command = {.id_is_uuid = true};

    (void)state;
    assert_int_equal(stele__sqlite_command_checksum(&command), XXH3_64bits(bytes, sizeof(bytes)));
}

static void the_checksum_of_a_snapshot_is_over_its_drawn_bytes(void **state)
{
    static const char bytes[] = "SNAP"
                                "\x05\0\0\0"                       /* size of the state */
                                "\x07\0\0\0\0\0\0\0"               /* stream */
                                "\x02\0\0\0\0\0\0\0"               /* version */
                                "\xff\xff\xff\xff\xff\xff\xff\xff" /* time */
                                "0123456789abcdef"                 /* fingerprint */
                                "state";
    struct stele_snapshot snapshot = {
        .version = 2, .fingerprint = "0123456789abcde", .state = support_slice("state"), .time = -1};

    (void)state;
    snapshot.fingerprint[15] = 'f';
    assert_int_equal(stele__sqlite_snapshot_checksum(7, &snapshot), XXH3_64bits(bytes, sizeof(bytes) - 1));
}

static void the_checksum_of_a_checkpoint_is_over_its_drawn_bytes(void **state)
{
    static const char bytes[] = "CHKP"
                                "\x06\0\0\0"                       /* size of the name */
                                "\x01\x02\0\0\0\0\0\0"             /* position */
                                "\xff\xff\xff\xff\xff\xff\xff\xff" /* time */
                                "mailer";
    const struct stele_checkpoint checkpoint = {.name = "mailer", .position = 513, .time = -1};

    (void)state;
    assert_int_equal(stele__sqlite_checkpoint_checksum(&checkpoint), XXH3_64bits(bytes, sizeof(bytes) - 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(the_checksum_of_a_stream_is_over_its_drawn_bytes),
        support_test(the_checksum_of_a_type_is_over_its_drawn_bytes),
        support_test(the_checksum_of_an_event_is_over_its_drawn_bytes),
        support_test(a_text_id_and_an_absent_payload_have_their_flags),
        support_test(long_and_short_rows_are_summed_alike),
        support_test(the_checksum_of_a_command_is_over_its_drawn_bytes),
        support_test(the_checksum_of_an_accepted_command_with_a_uuid_has_no_flags),
        support_test(the_checksum_of_a_snapshot_is_over_its_drawn_bytes),
        support_test(the_checksum_of_a_checkpoint_is_over_its_drawn_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
