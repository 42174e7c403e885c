/* MessagePack token by token: what is written is read back, the reader agrees with msgpack-c, hostile input is refused. */
#include "tests/support/support.h"

#include "base/buffer.h"
#include "message/msgpack.h"

#include <stele/type.h>

#include <float.h>
#include <math.h>
#include <msgpack.h>
#include <stdlib.h>
#include <string.h>

#define bytes_of(literal) ((struct stele_slice){(literal), sizeof(literal) - 1})
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { RANDOM_ROUNDS = 20000 };

static struct stele__mp_token only_token(struct stele_slice bytes)
{
    struct stele__mp_reader reader = stele__mp_reader(bytes);
    struct stele__mp_token token = {.kind = STELE__MP_NIL};
    stele_error *error = NULL;

    assert_ok(stele__mp_next(&reader, &token, &error), error);
    return token;
}

/* --- Tokens ------------------------------------------------------------------------ */

static void integers_are_read_back_in_the_shortest_form(void **state)
{
    static const struct {
        int64_t value;
        size_t size;
    } cases[] = {
        {0, 1},          {127, 1},        {128, 2},       {255, 2},       {256, 3},         {65535, 3},     {65536, 5},
        {UINT32_MAX, 5}, {4294967296, 9}, {INT64_MAX, 9}, {-1, 1},        {-32, 1},         {-33, 2},       {-128, 2},
        {-129, 3},       {-32768, 3},     {-32769, 5},    {INT32_MIN, 5}, {-2147483649, 9}, {INT64_MIN, 9},
    };
    struct stele__buffer buffer;

    (void)state;
    stele__buffer_init(&buffer);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct stele__mp_token token;

        stele__buffer_reset(&buffer);
        stele__mp_write_int(&buffer, cases[i].value);
        assert_int_equal(cases[i].size, buffer.size);
        token = only_token(stele__buffer_slice(&buffer));
        assert_int_equal(STELE__MP_INT, token.kind);
        assert_true(token.as.integer == cases[i].value);
    }
    stele__buffer_fini(&buffer);
}

/* The heads are those of the specification of MessagePack. */
static void maps_begin_in_the_shortest_form(void **state)
{
    static const struct {
        uint32_t count;
        struct stele_slice head;
    } cases[] = {
        {0, {"\x80", 1}},
        {15, {"\x8f", 1}},
        {16, {"\xde\x00\x10", 3}},
        {65535, {"\xde\xff\xff", 3}},
        {65536, {"\xdf\x00\x01\x00\x00", 5}},
    };
    struct stele__buffer buffer;

    (void)state;
    stele__buffer_init(&buffer);
    for (size_t i = 0; i < COUNT(cases); i++) {
        stele__buffer_reset(&buffer);
        stele__mp_write_map(&buffer, cases[i].count);
        assert_int_equal(cases[i].head.size, buffer.size);
        assert_memory_equal(cases[i].head.data, buffer.data, buffer.size);
    }
    stele__buffer_fini(&buffer);
}

static void integers_above_int64_are_told_apart(void **state)
{
    struct stele__mp_token token = only_token(bytes_of("\xcf\x80\0\0\0\0\0\0\0"));

    (void)state;
    assert_int_equal(STELE__MP_UINT, token.kind);
    assert_true(token.as.unsigned_integer == (uint64_t)INT64_MAX + 1);
    token = only_token(bytes_of("\xcf\x7f\xff\xff\xff\xff\xff\xff\xff"));
    assert_int_equal(STELE__MP_INT, token.kind);
    assert_true(token.as.integer == INT64_MAX);
}

static void wider_forms_than_needed_are_read(void **state)
{
    static const struct {
        struct stele_slice bytes;
        int64_t value;
    } cases[] = {
        {{"\xcc\x05", 2}, 5},
        {{"\xcd\x00\x05", 3}, 5},
        {{"\xce\x00\x00\x00\x05", 5}, 5},
        {{"\xd0\x80", 2}, -128},
        {{"\xd0\x7f", 2}, 127},
        {{"\xd1\xff\xff", 3}, -1},
        {{"\xd2\xff\xff\xff\xfe", 5}, -2},
        {{"\xd3\0\0\0\0\0\0\0\x09", 9}, 9},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct stele__mp_token token = only_token(cases[i].bytes);

        assert_int_equal(STELE__MP_INT, token.kind);
        assert_true(token.as.integer == cases[i].value);
    }
}

static void reals_of_32_bits_are_read_as_doubles(void **state)
{
    const struct stele__mp_token token = only_token(bytes_of("\xca\xbf\xc0\0\0"));

    (void)state;
    assert_int_equal(STELE__MP_DOUBLE, token.kind);
    assert_true(token.as.real == -1.5);
}

/* Sizes at both ends of each form of length. */
static void contents_of_all_lengths_are_read_back(void **state)
{
    static const size_t sizes[] = {0, 1, 31, 32, 255, 256, 65535, 65536};
    char *content = calloc(1, 65536);
    struct stele__buffer buffer;

    (void)state;
    stele__buffer_init(&buffer);
    for (size_t i = 0; i < COUNT(sizes); i++) {
        const struct stele_slice given = {content, sizes[i]};
        struct stele__mp_token token;

        stele__buffer_reset(&buffer);
        stele__mp_write_text(&buffer, given);
        token = only_token(stele__buffer_slice(&buffer));
        assert_int_equal(STELE__MP_TEXT, token.kind);
        assert_int_equal(sizes[i], token.as.slice.size);
        stele__buffer_reset(&buffer);
        stele__mp_write_bytes(&buffer, given);
        token = only_token(stele__buffer_slice(&buffer));
        assert_int_equal(STELE__MP_BYTES, token.kind);
        assert_int_equal(sizes[i], token.as.slice.size);
    }
    stele__buffer_fini(&buffer);
    free(content);
}

static void extension_types_are_read(void **state)
{
    struct stele__mp_token token = only_token(bytes_of("\xd4\xfb\x01"));

    (void)state;
    assert_int_equal(STELE__MP_EXT, token.kind);
    assert_int_equal(-5, token.ext_type);
    assert_int_equal(1, token.as.slice.size);
    assert_int_equal(16, only_token(bytes_of("\xd8\x01"
                                             "0123456789abcdef"))
                             .as.slice.size);
    token = only_token(bytes_of("\xc7\x03\x07xyz"));
    assert_int_equal(7, token.ext_type);
    assert_memory_equal("xyz", token.as.slice.data, 3);
    assert_int_equal(0, only_token(bytes_of("\xc8\0\0\x07")).as.slice.size);
}

static void what_is_no_token_names_its_offset(void **state)
{
    static const struct stele_slice cases[] = {
        {"", 0},
        {"\xc1", 1},
        {"\xcc", 1},
        {"\xcd\x01", 2},
        {"\xcb\0\0\0\0\0\0\0", 8},
        {"\xa1", 1},
        {"\xd9", 1},
        {"\xd9\x02x", 3},
        {"\xda\x00", 2},
        {"\xc4\x01", 2},
        {"\xc6\xff\xff\xff\xff", 5},
        {"\xdb\x7f\xff\xff\xff", 5},
        {"\xd4", 1},
        {"\xd4\x01", 2},
        {"\xd8\x01x", 3},
        {"\xc7\x01", 2},
        {"\xc7\x01\x05", 3},
        {"\xc9\xff\xff\xff\xff\x01", 6},
        {"\x91", 1},
        {"\x81\x01", 2},
        {"\xdc\x00\x02\x01", 4},
        {"\xdd\xff\xff\xff\xff\x01\x01\x01\x01\x01", 10},
        {"\xdf\x80\x00\x00\x00\x01\x01\x01\x01\x01", 10},
        {"\xde\x00\x02\x01\x01\x01", 6},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct stele__mp_reader reader = stele__mp_reader(cases[i]);
        struct stele__mp_token token;
        stele_error *error = NULL;

        assert_failure(STELE_MALFORMED, stele__mp_next(&reader, &token, &error), error);
        assert_string_equal("0", stele_error_get(error, "offset"));
        assert_ptr_equal(cases[i].data, reader.at);
        stele_error_free(error);
    }
}

/* --- Whole values --------------------------------------------------------------------- */

/* `levels` lists inside each other, in memory that the caller frees. */
static struct stele_slice nested_lists(size_t levels)
{
    char *bytes = malloc(levels);

    memset(bytes, '\x91', levels);
    bytes[levels - 1] = '\x90';
    return (struct stele_slice){bytes, levels};
}

static void free_slice(struct stele_slice slice)
{
    char *bytes;

    memcpy(&bytes, &slice.data, sizeof(bytes));
    free(bytes);
}

static void nesting_is_64_deep_at_most(void **state)
{
    static const struct {
        size_t levels;
        stele_status status;
    } cases[] = {{1, STELE_OK}, {64, STELE_OK}, {65, STELE_LIMIT}, {1000000, STELE_LIMIT}};
    stele_error *error = NULL;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct stele_slice bytes = nested_lists(cases[i].levels);
        struct stele__mp_reader reader = stele__mp_reader(bytes);

        assert_status(cases[i].status, stele_msgpack_check(bytes, &error), error);
        assert_status(cases[i].status, stele__mp_skip(&reader, 0, &error), error);
        assert_int_equal(cases[i].status == STELE_OK, stele_msgpack_is_json(bytes));
        reader = stele__mp_reader(bytes);
        assert_status(STELE_LIMIT, stele__mp_skip(&reader, 64, &error), error);
        free_slice(bytes);
    }
}

static void a_skip_ends_behind_its_value(void **state)
{
    static const struct {
        struct stele_slice bytes;
        size_t end;
    } cases[] = {
        {{"\x01\x02", 2}, 1},
        {{"\x90\x02", 2}, 1},
        {{"\x82\x01\x92\xc0\xc3\xa1x\x80\x07", 9}, 8},
        {{"\x92\x91\x90\x81\xc0\x90\xff", 7}, 6},
        {{"\xc7\x01\x05z\x01", 5}, 4},
    };
    stele_error *error = NULL;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct stele__mp_reader reader = stele__mp_reader(cases[i].bytes);

        assert_ok(stele__mp_skip(&reader, 0, &error), error);
        assert_int_equal(cases[i].end, reader.at - reader.start);
    }
}

static void a_check_wants_exactly_one_value_of_valid_text(void **state)
{
    static const struct {
        struct stele_slice bytes;
        const char *offset;
    } cases[] = {
        {{"", 0}, "0"},         {{"\x01\x02", 2}, "1"},         {{"\x92\x01", 2}, "0"},      {{"\x92\x01\xc1", 3}, "2"},
        {{"\xa1\xff", 2}, "1"}, {{"\x81\xa1\xff\x01", 4}, "2"}, {{"\x91\xa2x\xc3", 4}, "3"},
    };
    stele_error *error = NULL;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_failure(STELE_MALFORMED, stele_msgpack_check(cases[i].bytes, &error), error);
        assert_string_equal(cases[i].offset, stele_error_get(error, "offset"));
        stele_error_free(error);
        error = NULL;
        assert_false(stele_msgpack_is_json(cases[i].bytes));
    }
    /* In bytes, invalid UTF-8 is data. */
    assert_ok(stele_msgpack_check(bytes_of("\x92\xc4\x01\xff\xd4\x01\xff"), &error), error);
    assert_status(STELE_INVALID, stele_msgpack_check((struct stele_slice){NULL, 0}, &error), error);
}

static void a_check_takes_16_mib_and_no_more(void **state)
{
    char *bytes = calloc(1, STELE_PAYLOAD_MAX + 1);
    stele_error *error = NULL;

    (void)state;
    memcpy(bytes, "\xc6\x00\xff\xff\xfb", 5);
    assert_ok(stele_msgpack_check((struct stele_slice){bytes, STELE_PAYLOAD_MAX}, &error), error);
    memcpy(bytes, "\xc6\x00\xff\xff\xfc", 5);
    assert_failure(STELE_LIMIT, stele_msgpack_check((struct stele_slice){bytes, STELE_PAYLOAD_MAX + 1}, &error), error);
    assert_string_equal("16777217", stele_error_get(error, "actual"));
    stele_error_free(error);
    free(bytes);
}

static void is_json_knows_what_json_has_no_word_for(void **state)
{
    static const struct stele_slice not_json[] = {
        {"\xc4\x00", 2},         {"\x91\xc4\x01x", 4}, {"\xd4\x01x", 3},    {"\xcb\x7f\xf0\0\0\0\0\0\0", 9},
        {"\xca\x7f\xc0\0\0", 5}, {"\x81\x01\x02", 3},  {"\x81\xc0\x02", 3}, {"\x81\x90\x02", 3},
    };

    (void)state;
    assert_true(stele_msgpack_is_json(bytes_of("\xc0")));
    assert_true(stele_msgpack_is_json(bytes_of("\x81\xa1k\x93\xc3\xcb\x3f\xf0\0\0\0\0\0\0\x80")));
    /* What reading the JSON would refuse: a key twice, U+0000 in a key. */
    assert_true(stele_msgpack_is_json(bytes_of("\x92\x81\xa1k\x01\x81\xa1k\x01")));
    assert_false(stele_msgpack_is_json(bytes_of("\x91\x82\xa1k\x01\xa1k\x01")));
    assert_false(stele_msgpack_is_json(bytes_of("\x81\xa1\0\x01")));
    assert_false(stele_msgpack_is_json((struct stele_slice){NULL, 0}));
    for (size_t i = 0; i < COUNT(not_json); i++)
        assert_false(stele_msgpack_is_json(not_json[i]));
}

/* --- Against msgpack-c ------------------------------------------------------------------ */

static void assert_text_equal(const char *data, size_t size, struct stele_slice slice)
{
    assert_int_equal(size, slice.size);
    assert_memory_equal(data, slice.data, size);
}

static void assert_object(const msgpack_object *object, struct stele__mp_reader *reader);

static void assert_items(const msgpack_object *object, struct stele__mp_reader *reader)
{
    if (object->type == MSGPACK_OBJECT_ARRAY) {
        for (uint32_t i = 0; i < object->via.array.size; i++)
            assert_object(&object->via.array.ptr[i], reader);
        return;
    }
    for (uint32_t i = 0; i < object->via.map.size; i++) {
        assert_object(&object->via.map.ptr[i].key, reader);
        assert_object(&object->via.map.ptr[i].val, reader);
    }
}

/* The reader's next value is what msgpack-c made of the same bytes. */
static void assert_object(const msgpack_object *object, struct stele__mp_reader *reader)
{
    struct stele__mp_token token;
    stele_error *error = NULL;

    assert_ok(stele__mp_next(reader, &token, &error), error);
    switch (object->type) {
    case MSGPACK_OBJECT_NIL: assert_int_equal(STELE__MP_NIL, token.kind); break;
    case MSGPACK_OBJECT_BOOLEAN:
        assert_true(token.kind == STELE__MP_BOOL && token.as.boolean == object->via.boolean);
        break;
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        if (object->via.u64 > INT64_MAX)
            assert_true(token.kind == STELE__MP_UINT && token.as.unsigned_integer == object->via.u64);
        else
            assert_true(token.kind == STELE__MP_INT && (uint64_t)token.as.integer == object->via.u64);
        break;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        assert_true(token.kind == STELE__MP_INT && token.as.integer == object->via.i64);
        break;
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        assert_int_equal(STELE__MP_DOUBLE, token.kind);
        assert_true(isnan(object->via.f64) ? isnan(token.as.real) : token.as.real == object->via.f64);
        break;
    case MSGPACK_OBJECT_STR:
        assert_int_equal(STELE__MP_TEXT, token.kind);
        assert_text_equal(object->via.str.ptr, object->via.str.size, token.as.slice);
        break;
    case MSGPACK_OBJECT_BIN:
        assert_int_equal(STELE__MP_BYTES, token.kind);
        assert_text_equal(object->via.bin.ptr, object->via.bin.size, token.as.slice);
        break;
    case MSGPACK_OBJECT_EXT:
        assert_int_equal(STELE__MP_EXT, token.kind);
        assert_int_equal(object->via.ext.type, token.ext_type);
        assert_text_equal(object->via.ext.ptr, object->via.ext.size, token.as.slice);
        break;
    case MSGPACK_OBJECT_ARRAY:
        assert_true(token.kind == STELE__MP_LIST && token.as.count == object->via.array.size);
        assert_items(object, reader);
        break;
    case MSGPACK_OBJECT_MAP:
        assert_true(token.kind == STELE__MP_MAP && token.as.count == object->via.map.size);
        assert_items(object, reader);
        break;
    }
}

/* Bytes that are likely to mean something: first bytes of all formats, short lengths. */
static void random_input(struct support_random *random, char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        const uint64_t choice = support_random_below(random, 4);

        bytes[i] = choice == 0   ? (char)(0x80 + support_random_below(random, 0x28))
                   : choice == 1 ? (char)(0xc0 + support_random_below(random, 0x20))
                   : choice == 2 ? (char)support_random_below(random, 4)
                                 : (char)support_random_next(random);
    }
}

/* msgpack-c allocates what a list or map of 32 bits announces before it looks for it: those it is not given. */
static bool is_safe_for_msgpack_c(const char *bytes, size_t size)
{
    return !memchr(bytes, 0xdd, size) && !memchr(bytes, 0xdf, size);
}

static bool compare_with_msgpack_c(const char *bytes, size_t size)
{
    const struct stele_slice slice = {bytes, size};
    struct stele__mp_reader skipping = stele__mp_reader(slice);
    struct stele__mp_reader reader = skipping;
    const stele_status status = stele__mp_skip(&skipping, 0, NULL);
    msgpack_unpacked unpacked;
    size_t end = 0;

    msgpack_unpacked_init(&unpacked);
    if (msgpack_unpack_next(&unpacked, bytes, size, &end) == MSGPACK_UNPACK_SUCCESS) {
        assert_int_equal(STELE_OK, status);
        assert_int_equal(end, skipping.at - skipping.start);
        assert_object(&unpacked.data, &reader);
        assert_ptr_equal(skipping.at, reader.at);
    } else {
        assert_int_equal(STELE_MALFORMED, status);
    }
    msgpack_unpacked_destroy(&unpacked);
    return status == STELE_OK;
}

static void the_reader_agrees_with_msgpack_c(void **state)
{
    struct support_random random = support_seed();
    size_t good = 0;

    (void)state;
    for (size_t round = 0; round < RANDOM_ROUNDS; round++) {
        const size_t size = 1 + support_random_below(&random, 24);
        char *bytes = malloc(size);

        random_input(&random, bytes, size);
        if (is_safe_for_msgpack_c(bytes, size))
            good += compare_with_msgpack_c(bytes, size);
        free(bytes);
    }
    assert_true(good > RANDOM_ROUNDS / 20);
}

static void random_bytes_never_crash(void **state)
{
    struct support_random random = support_seed();

    (void)state;
    for (size_t round = 0; round < RANDOM_ROUNDS; round++) {
        const size_t size = support_random_below(&random, 64);
        char *bytes = malloc(size ? size : 1);
        const struct stele_slice slice = {bytes, size};

        random_input(&random, bytes, size);
        /* What is JSON is well-formed. */
        assert_true(!stele_msgpack_is_json(slice) || stele_msgpack_check(slice, NULL) == STELE_OK);
        free(bytes);
    }
}

static stele_status attempt_check(void *context, stele_error **error)
{
    const stele_status status = stele_msgpack_check(bytes_of("\x92\x01\xc1"), error);

    (void)context;
    if (status == STELE_MALFORMED) {
        stele_error_free(*error);
        *error = NULL;
        return STELE_OK;
    }
    return status;
}

static void a_fault_survives_running_out_of_memory(void **state)
{
    (void)state;
    assert_true(support_every_allocation_fails(attempt_check, NULL) >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(integers_are_read_back_in_the_shortest_form),
        support_test(maps_begin_in_the_shortest_form),
        support_test(integers_above_int64_are_told_apart),
        support_test(wider_forms_than_needed_are_read),
        support_test(reals_of_32_bits_are_read_as_doubles),
        support_test(contents_of_all_lengths_are_read_back),
        support_test(extension_types_are_read),
        support_test(what_is_no_token_names_its_offset),
        support_test(nesting_is_64_deep_at_most),
        support_test(a_skip_ends_behind_its_value),
        support_test(a_check_wants_exactly_one_value_of_valid_text),
        support_test(a_check_takes_16_mib_and_no_more),
        support_test(is_json_knows_what_json_has_no_word_for),
        support_test(the_reader_agrees_with_msgpack_c),
        support_test(random_bytes_never_crash),
        support_test(a_fault_survives_running_out_of_memory),
    };

    return cmocka_run_group_tests_name("msgpack", tests, NULL, NULL);
}
