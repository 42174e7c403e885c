/* CloudEvents JSON: what is written, what is read, and that one gives the other back. */
#include "tests/support/support.h"

#include <stele/clock.h>

#include "base/text.h"
#include "message/message.h"
#include "tests/unit/message/events.h"

/* --- Writing ------------------------------------------------------------------------ */

static stele_message *make(const struct stele_raw_message *raw, const struct stele_message_options *given)
{
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
    stele_message *message = NULL;
    stele_error *error = NULL;

    if (given)
        options = *given;
    if (!options.id)
        options.id = "1";
    if (!options.source)
        options.source = "/a";
    options.has_time = true;
    options.time = INT64_C(1522949460) * 1000000000; /* 2018-04-05T17:31:00Z */
    assert_ok(stele_message_new_raw(raw, &options, &message, &error), error);
    return message;
}

static void the_least_event_has_five_members(void **state)
{
    const struct stele_raw_message raw = {.kind = STELE_EVENT, .type = "t"};
    stele_message *message = make(&raw, NULL);

    (void)state;
    assert_slice(START TIME "}", encode(message));
    stele_message_unref(message);
}

static void members_stand_in_the_order_of_the_header(void **state)
{
    const struct stele_raw_message raw = {.kind = STELE_COMMAND,
                                          .type = "t",
                                          .type_version = 2,
                                          .format = STELE_PAYLOAD_MSGPACK,
                                          .payload = {"\x81\xA1"
                                                      "a\x01",
                                                      4}};
    const struct stele_extension extensions[] = {
        {.name = "zone", .kind = STELE_EXTENSION_TEXT, .text = {"n\"\\\xC3\xA4/", 6}},
        {.name = "a1", .kind = STELE_EXTENSION_INTEGER, .integer = INT32_MIN},
        {.name = "on", .kind = STELE_EXTENSION_BOOLEAN, .boolean = true},
        {.name = "off", .kind = STELE_EXTENSION_BOOLEAN},
    };
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
    stele_message *message;
    struct stele_message stored;

    (void)state;
    options.subject = "s";
    options.datacontenttype = "application/json";
    options.dataschema = "urn:d";
    options.correlationid = "c";
    options.causationid = "k";
    options.traceparent = TRACEPARENT;
    options.extensions = extensions;
    options.extension_count = 4;
    message = make(&raw, &options);
    memcpy(&stored, message, sizeof(stored));
    stored.stream = stele__slice("account-17");
    stored.version = 3;
    stored.position = 4711;
    assert_slice(START ",\"subject\":\"s\"" TIME
                       ",\"datacontenttype\":\"application/json\",\"dataschema\":\"urn:d\",\"stream\":\"account-17\","
                       "\"streamversion\":3,\"position\":4711,\"typeversion\":2,\"messagekind\":\"command\","
                       "\"correlationid\":\"c\",\"causationid\":\"k\",\"traceparent\":\"" TRACEPARENT "\","
                       "\"zone\":\"n\\\"\\\\\xC3\xA4/\",\"a1\":-2147483648,\"on\":true,\"off\":false,"
                       "\"data\":{\"a\":1}}",
                 encode(&stored));
    stele_message_unref(message);
}

static void numbers_beyond_32_bits_are_texts(void **state)
{
    const struct stele_raw_message raw = {.kind = STELE_EVENT, .type = "t", .type_version = UINT32_MAX};
    stele_message *message = make(&raw, NULL);
    struct stele_message stored;

    (void)state;
    memcpy(&stored, message, sizeof(stored));
    stored.stream = stele__slice("s");
    stored.version = INT32_MAX;
    stored.position = (uint64_t)INT32_MAX + 1;
    assert_slice(START TIME ",\"stream\":\"s\",\"streamversion\":2147483647,\"position\":\"2147483648\","
                            "\"typeversion\":\"4294967295\"}",
                 encode(&stored));
    stele_message_unref(message);
}

static void the_subject_may_be_taken_from_the_stream(void **state)
{
    struct stele_cloudevent_options options = STELE_OPTIONS_INIT(struct stele_cloudevent_options);
    stele_message *message = decode(START TIME ",\"stream\":\"s\"}");
    stele_message *other = decode(START TIME ",\"stream\":\"s\",\"subject\":\"own\"}");
    struct stele_slice json;
    stele_error *error = NULL;

    (void)state;
    options.subject_from_stream = true;
    assert_ok(stele_cloudevent_encode(message, &options, arena, &json, &error), error);
    assert_slice(START ",\"subject\":\"s\"" TIME ",\"stream\":\"s\"}", json);
    assert_ok(stele_cloudevent_encode(other, &options, arena, &json, &error), error);
    assert_slice(START ",\"subject\":\"own\"" TIME ",\"stream\":\"s\"}", json);
    stele_message_unref(message);
    stele_message_unref(other);
}

static void what_json_has_no_word_for_is_base64(void **state)
{
    static const struct {
        struct stele_slice payload;
        const char *base64;
    } cases[] = {
        {{"\xC4\x01\xFF", 3}, "xAH/"},                                 /* bin */
        {{"\xD4\x01\x02", 3}, "1AEC"},                                 /* ext */
        {{"\xCB\x7F\xF0\x00\x00\x00\x00\x00\x00", 9}, "y3/wAAAAAAAA"}, /* infinity */
        {{"\x81\xA1\x00\x01", 4}, "gaEAAQ=="},                         /* U+0000 in a key */
        {{"\x81\x01\x02", 3}, "gQEC"},                                 /* a key that is no text */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct stele_raw_message raw = {
            .kind = STELE_EVENT, .type = "t", .format = STELE_PAYLOAD_MSGPACK, .payload = cases[i].payload};
        stele_message *message = make(&raw, NULL);
        stele_message *again;
        char expected[256];

        snprintf(expected, sizeof(expected),
                 START TIME ",\"datacontenttype\":\"application/msgpack\",\"data_base64\":\"%s\"}", cases[i].base64);
        assert_slice(expected, encode(message));
        again = decode(expected);
        assert_int_equal(STELE_PAYLOAD_MSGPACK, stele_message_format(again));
        assert_true(stele__slice_equal(cases[i].payload, stele_message_payload(again)));
        assert_null(stele_message_datacontenttype(again).data);
        assert_slice(expected, encode(again));
        stele_message_unref(message);
        stele_message_unref(again);
    }
}

static void bytes_are_base64_with_their_own_type(void **state)
{
    const struct stele_raw_message raw = {
        .kind = STELE_EVENT, .type = "t", .format = STELE_PAYLOAD_BYTES, .payload = {"\x00\xFF", 2}};
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
    stele_message *message;

    (void)state;
    options.datacontenttype = "image/png";
    message = make(&raw, &options);
    assert_slice(START TIME ",\"datacontenttype\":\"image/png\",\"data_base64\":\"AP8=\"}", encode(message));
    stele_message_unref(message);
}

static void a_damaged_payload_is_corrupt(void **state)
{
    struct stele_message stored = {.kind = STELE_EVENT, .format = STELE_PAYLOAD_MSGPACK, .type_version = 1};
    const stele_message *const batch[] = {&stored};
    struct stele_slice json = {NULL, 0};
    stele_error *error = NULL;

    (void)state;
    stele__message_set_id(&stored, stele__slice("order 17"));
    stored.type = stele__slice("t");
    stored.payload = stele__slice("\x92\x01");
    assert_failure(STELE_CORRUPT, stele_cloudevent_encode(&stored, NULL, arena, &json, &error), error);
    assert_string_equal("order 17", stele_error_get(error, "id"));
    assert_message(error, "order 17");
    stele_error_free(error);
    error = NULL;
    stored.payload = stele__slice("\x92\xC4"); /* cut short behind something that is not JSON */
    assert_status(STELE_CORRUPT, stele_cloudevent_encode(&stored, NULL, arena, &json, &error), error);
    stored.payload = stele__slice("\xC1");
    assert_failure(STELE_CORRUPT, stele_cloudevents_encode(batch, 1, NULL, arena, &json, &error), error);
    assert_string_equal("0", stele_error_get(error, "index"));
    stele_error_free(error);
    assert_null(json.data);
}

/* --- Reading ------------------------------------------------------------------------ */

static void every_attribute_is_taken_over(void **state)
{
    stele_message *message = decode(
        " { \"data\" : { \"b\" : [ 1 , 2.0 ] } ,\t\"specversion\":\"1.0\",\r\n\"id\":\"01890a5d-ac96-774b-bcce-b302099a8057\","
        "\"source\":\"/a\",\"type\":\"t\",\"subject\":\"s\",\"time\":\"2018-04-05T19:31:00.5+02:00\","
        "\"datacontenttype\":\"application/a+json\",\"dataschema\":\"urn:d\",\"stream\":\"account-17\","
        "\"streamversion\":\"9223372036854775807\",\"position\":1,\"typeversion\":\"4294967295\","
        "\"messagekind\":\"query\",\"correlationid\":\"c\",\"causationid\":\"k\",\"traceparent\":\"" TRACEPARENT "\","
        "\"zone\":\"north\",\"rank\":2147483647,\"on\":true} ");
    struct stele_extension extension;
    struct stele_uuid uuid;

    (void)state;
    assert_slice("01890a5d-ac96-774b-bcce-b302099a8057", stele_message_id(message));
    assert_true(stele_message_uuid(message, &uuid));
    assert_slice("/a", stele_message_source(message));
    assert_slice("t", stele_message_type(message));
    assert_slice("s", stele_message_subject(message));
    assert_true(stele_message_time(message) == INT64_C(1522949460500000000));
    assert_slice("application/a+json", stele_message_datacontenttype(message));
    assert_slice("urn:d", stele_message_dataschema(message));
    assert_slice("account-17", stele_message_stream(message));
    assert_int_equal(0, stele_message_version(message));
    assert_int_equal(0, stele_message_position(message));
    assert_true(stele_message_type_version(message) == UINT32_MAX);
    assert_int_equal(STELE_QUERY, stele_message_kind(message));
    assert_slice("c", stele_message_correlationid(message));
    assert_slice("k", stele_message_causationid(message));
    assert_slice(TRACEPARENT, stele_message_traceparent(message));
    assert_true(stele_message_extension(message, 1, &extension));
    assert_string_equal("rank", extension.name);
    assert_int_equal(INT32_MAX, extension.integer);
    assert_int_equal(STELE_PAYLOAD_MSGPACK, stele_message_format(message));
    assert_slice("\x81\xA1"
                 "b\x92\x01\xCB\x40", /* ... and zeros */
                 (struct stele_slice){stele_message_payload(message).data, 7});
    stele_message_unref(message);
}

static void a_missing_time_is_the_time_of_reading(void **state)
{
    const int64_t before = stele_time_now();
    stele_message *message = decode(START "}");
    const int64_t after = stele_time_now();

    (void)state;
    assert_true(stele_message_time(message) >= before && stele_message_time(message) <= after);
    assert_int_equal(STELE_PAYLOAD_NONE, stele_message_format(message));
    stele_message_unref(message);
}

static void null_is_absent_except_as_data(void **state)
{
    (void)state;
    assert_becomes(START TIME "}", START TIME ",\"subject\":null,\"datacontenttype\":null,\"dataschema\":null,"
                                              "\"stream\":null,\"streamversion\":null,\"position\":null,"
                                              "\"typeversion\":null,\"messagekind\":null,\"correlationid\":null,"
                                              "\"causationid\":null,\"traceparent\":null,\"data_base64\":null,"
                                              "\"anything\":null}");
    assert_becomes(START TIME ",\"data\":null}", START TIME ",\"data\":null}");
    assert_becomes(START TIME ",\"data\":null}", START TIME ",\"data\":null,\"data_base64\":null}");
}

static void the_examples_of_the_specification_are_read(void **state)
{
    static const char start[] = "\"type\" : \"com.example.someevent\",\n\"source\" : \"/mycontext\",\n";
    static const struct {
        const char *rest;
        const char *expected;
    } examples[] = {
        {"\"id\" : \"A234-1234-1234\", \"time\" : \"2018-04-05T17:31:00Z\", \"comexampleextension1\" : \"value\","
         "\"comexampleothervalue\" : 5, \"datacontenttype\" : \"application/vnd.apache.thrift.binary\","
         "\"data_base64\" : \"AAEC\"",
         "\"datacontenttype\":\"application/vnd.apache.thrift.binary\",\"comexampleextension1\":\"value\","
         "\"comexampleothervalue\":5,\"data_base64\":\"AAEC\"}"},
        {"\"id\" : \"A234-1234-1234\", \"time\" : \"2018-04-05T17:31:00Z\", \"comexampleextension1\" : \"value\","
         "\"comexampleothervalue\" : 5, \"unsetextension\": null, \"datacontenttype\" : \"application/xml\","
         "\"data\" : \"<much wow=\\\"xml\\\"/>\"",
         "\"datacontenttype\":\"application/xml\",\"comexampleextension1\":\"value\","
         "\"comexampleothervalue\":5,\"data\":\"<much wow=\\\"xml\\\"/>\"}"},
        {"\"subject\": null, \"id\" : \"A234-1234-1234\", \"time\" : \"2018-04-05T17:31:00Z\","
         "\"comexampleextension1\" : \"value\", \"comexampleothervalue\" : 5,"
         "\"datacontenttype\" : \"application/json\", \"data\" : { \"appinfoA\" : \"abc\", \"appinfoB\" : 123,"
         "\"appinfoC\" : true }",
         "\"datacontenttype\":\"application/json\",\"comexampleextension1\":\"value\","
         "\"comexampleothervalue\":5,\"data\":{\"appinfoA\":\"abc\",\"appinfoB\":123,\"appinfoC\":true}}"},
        {"\"subject\": null, \"id\" : \"A234-1234-1234\", \"time\" : \"2018-04-05T17:31:00Z\","
         "\"data\" : \"I'm just a string\"",
         "\"data\":\"I'm just a string\"}"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
        char json[1024], expected[1024];

        snprintf(json, sizeof(json), "{ \"specversion\" : \"1.0\", %s%s }\n", start, examples[i].rest);
        snprintf(expected, sizeof(expected),
                 "{\"specversion\":\"1.0\",\"id\":\"A234-1234-1234\",\"source\":\"/mycontext\","
                 "\"type\":\"com.example.someevent\"" TIME ",%s",
                 examples[i].expected);
        assert_becomes(expected, json);
        assert_becomes(expected, expected);
    }
}

static void data_of_every_shape_comes_back(void **state)
{
    static const char *const shapes[] = {
        "null",
        "true",
        "false",
        "0",
        "-1",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551615",
        "-9223372036854775808",
        "1.0",
        "-0.0",
        "0.1",
        "1.5e+300",
        "\"\"",
        "\"a\"",
        "\"\xC3\xA4\xF0\x9F\x98\x80\"",
        "\"\\u0000\"",
        "\"\\n\\t\\\"\\\\/\"",
        "[]",
        "{}",
        "[[],{}]",
        "{\"\":{\"b\":[1,\"2\",3.0,null]},\"a\":false}",
        "{\"z\":1,\"a\":2}",
        "[18446744073709551615,1.0,18446744073709551614]",
        "\"[}{]\"",
        "{\"a\\\"}\":\"]\"}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        char json[512];

        snprintf(json, sizeof(json), START TIME ",\"data\":%s}", shapes[i]);
        assert_becomes(json, json);
    }
    assert_becomes(START TIME ",\"data\":1e+300}", START TIME ",\"data\":1E300}");
    assert_becomes(START TIME ",\"data\":\"\xC3\xA4/\"}", START TIME ",\"data\":\"\\u00e4\\/\"}");
}

static void data_may_come_before_or_after_what_describes_it(void **state)
{
    (void)state;
    assert_becomes(START TIME ",\"data\":[1]}",
                   "{\"data\":[1],\"type\":\"t\",\"source\":\"/a\",\"id\":\"1\"" TIME ",\"specversion\":\"1.0\"}");
}

static void text_data_of_any_media_type_is_kept(void **state)
{
    const char *json = START TIME ",\"datacontenttype\":\"text/plain\",\"data\":\"hello\"}";
    stele_message *message = decode(json);

    (void)state;
    assert_int_equal(STELE_PAYLOAD_MSGPACK, stele_message_format(message));
    assert_slice("\xA5hello", stele_message_payload(message));
    assert_slice(json, encode(message));
    stele_message_unref(message);
}

static void base64_is_bytes_unless_it_is_msgpack_that_says_so(void **state)
{
    static const struct {
        const char *members;
        enum stele_payload_format format;
    } cases[] = {
        {"\"data_base64\":\"\"", STELE_PAYLOAD_BYTES},
        {"\"data_base64\":\"gA==\"", STELE_PAYLOAD_BYTES},
        {"\"datacontenttype\":\"text/plain\",\"data_base64\":\"gA==\"", STELE_PAYLOAD_BYTES},
        {"\"datacontenttype\":\"application/msgpack\",\"data_base64\":\"gA==\"", STELE_PAYLOAD_MSGPACK},
        {"\"datacontenttype\":\"application/msgpack\",\"data_base64\":\"xAA=\"", STELE_PAYLOAD_MSGPACK},
        {"\"datacontenttype\":\"application/msgpack\",\"data_base64\":\"gQ==\"", STELE_PAYLOAD_BYTES},
        {"\"datacontenttype\":\"application/msgpack\",\"data_base64\":\"\"", STELE_PAYLOAD_BYTES},
        /* {a: 1, a: 1}: a key twice */
        {"\"datacontenttype\":\"application/msgpack\",\"data_base64\":\"gqFhAaFhAQ==\"", STELE_PAYLOAD_BYTES},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char json[256];
        stele_message *message;

        snprintf(json, sizeof(json), START TIME ",%s}", cases[i].members);
        message = decode(json);
        assert_int_equal(cases[i].format, stele_message_format(message));
        assert_slice(json, encode(message));
        stele_message_unref(message);
    }
}

static void escapes_are_read_in_names_and_texts(void **state)
{
    (void)state;
    assert_becomes(START TIME ",\"zone\":\"\xC3\xA4\\\"\xF0\x9F\x98\x80\"}",
                   "{\"specversio\\u006e\":\"1\\u002e0\",\"id\":\"\\u0031\",\"source\":\"\\/a\",\"type\":\"t\"" TIME
                   ",\"zon\\u0065\":\"\\u00e4\\\"\\ud83d\\ude00\"}");
    assert_refused(STELE_INVALID, "subject", START ",\"subject\":\"a\\u0000\"}");
    assert_refused(STELE_INVALID, "subject", START ",\"subject\":\"a\\nb\"}");
    assert_refused(STELE_INVALID, "zone", START ",\"zone\":\"\\uFFFF\"}");
    assert_refused(STELE_MALFORMED, NULL, START ",\"zone\":\"\\uDEAD\"}");
    assert_refused(STELE_MALFORMED, NULL, START ",\"zone\":\"\\x\"}");
    assert_refused(STELE_MALFORMED, NULL, START ",\"zone\":\"\\u12\"}");
}

static void what_a_random_change_leaves_readable_comes_back(void **state)
{
    static const char characters[] = "\"\\{}[],:01.eE-+ntu/ \x00\x7F\xC3\xFF";
    struct support_random random = support_seed();
    char json[sizeof(FULL)];

    (void)state;
    for (int i = 0; i < 20000; i++) {
        const size_t changes = 1 + support_random_below(&random, 3);
        stele_message *message = NULL;
        stele_message *again = NULL;
        stele_error *error = NULL;
        struct stele_slice first;

        memcpy(json, FULL, sizeof(FULL));
        for (size_t j = 0; j < changes; j++)
            json[support_random_below(&random, sizeof(FULL) - 1)] =
                characters[support_random_below(&random, sizeof(characters) - 1)];
        if (stele_cloudevent_decode((struct stele_slice){json, sizeof(FULL) - 1}, 0, &message, NULL) != STELE_OK)
            continue;
        stele_arena_reset(arena);
        first = encode(message);
        assert_ok(stele_cloudevent_decode(first, 0, &again, &error), error);
        assert_slice(first.data, encode(again));
        stele_message_unref(message);
        stele_message_unref(again);
    }
}

/* --- Batches ------------------------------------------------------------------------ */

static void assert_batch(const char *expected, const char *given, size_t expected_count)
{
    stele_message **messages = NULL;
    size_t count = SIZE_MAX;
    struct stele_slice json;
    stele_error *error = NULL;

    assert_ok(stele_cloudevents_decode(support_slice(given), 0, arena, &messages, &count, &error), error);
    assert_int_equal(expected_count, count);
    assert_ok(stele_cloudevents_encode((const stele_message *const *)messages, count, NULL, arena, &json, &error),
              error);
    assert_slice(expected, json);
    for (size_t i = 0; i < count; i++)
        stele_message_unref(messages[i]);
}

static void batches_of_none_one_and_many_come_back(void **state)
{
    static const char event[] = START TIME ",\"data\":[1]}";
    char many[100 * sizeof(event) + 2] = "[";

    (void)state;
    assert_batch("[]", " [ ] ", 0);
    assert_batch("[" START TIME ",\"data\":[1]}]", "[ " START TIME ",\"data\":[1]} ]", 1);
    for (int i = 0; i < 100; i++) {
        strcat(many, i ? "," : "");
        strcat(many, event);
    }
    strcat(many, "]");
    assert_batch(many, many, 100);
}

static void nothing_of_an_event_is_left_in_the_next(void **state)
{
    static const char batch[] = "[" FULL "," START TIME "}," START TIME ",\"data_base64\":\"AA==\"}," START TIME "}]";

    (void)state;
    assert_batch(batch, batch, 4);
}

static void a_single_event_is_a_batch_of_one(void **state)
{
    (void)state;
    assert_batch("[" START TIME "}]", START TIME "}", 1);
}

static void a_batch_names_the_index_of_the_bad_one(void **state)
{
    static const struct {
        const char *json;
        stele_status status;
        const char *index;
    } cases[] = {
        {"[" START "}," START ",\"subject\":\"\"}]", STELE_INVALID, "1"},
        {"[{}]", STELE_INVALID, "0"},
        {"[" START "}," START "},1]", STELE_MALFORMED, "2"},
        {"[" START "},]", STELE_MALFORMED, "1"},
        {"[[]]", STELE_MALFORMED, "0"},
        {"[" START "} " START "}]", STELE_MALFORMED, NULL},
        {"[" START "}", STELE_MALFORMED, NULL},
        {"[" START "}] x", STELE_MALFORMED, NULL},
        {"[", STELE_MALFORMED, "0"},
        {"", STELE_MALFORMED, "0"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        stele_message **messages = NULL;
        size_t count = 77;
        stele_error *error = NULL;

        assert_failure(cases[i].status,
                       stele_cloudevents_decode(support_slice(cases[i].json), 0, arena, &messages, &count, &error),
                       error);
        if (cases[i].index)
            assert_string_equal(cases[i].index, stele_error_get(error, "index"));
        else
            assert_null(stele_error_get(error, "index"));
        assert_null(messages);
        assert_int_equal(77, count);
        stele_error_free(error);
    }
}

/* --- Arguments and memory ------------------------------------------------------------ */

static void missing_arguments_are_named(void **state)
{
    struct stele_cloudevent_options small = {.size = 1};
    stele_message *message = decode(START "}");
    stele_message **messages = NULL;
    struct stele_slice json = {NULL, 0};
    size_t count;
    stele_error *error = NULL;

    (void)state;
    assert_status(STELE_INVALID, stele_cloudevent_encode(NULL, NULL, arena, &json, &error), error);
    assert_status(STELE_INVALID, stele_cloudevent_encode(message, NULL, NULL, &json, &error), error);
    assert_status(STELE_INVALID, stele_cloudevent_encode(message, NULL, arena, NULL, &error), error);
    assert_status(STELE_INVALID, stele_cloudevent_encode(message, &small, arena, &json, &error), error);
    assert_status(STELE_INVALID, stele_cloudevents_encode(NULL, 1, NULL, arena, &json, &error), error);
    assert_status(STELE_INVALID, stele_cloudevents_encode(NULL, 0, NULL, NULL, &json, &error), error);
    assert_status(STELE_INVALID, stele_cloudevent_decode(json, 0, NULL, &error), error);
    assert_status(STELE_MALFORMED, stele_cloudevent_decode(json, 0, &message, &error), error);
    assert_status(STELE_INVALID, stele_cloudevents_decode(json, 0, NULL, &messages, &count, &error), error);
    assert_status(STELE_INVALID, stele_cloudevents_decode(json, 0, arena, NULL, &count, &error), error);
    assert_status(STELE_INVALID, stele_cloudevents_decode(json, 0, arena, &messages, NULL, &error), error);
    stele_message_unref(message);
}

/* A batch in and out again, with escapes, payloads of all kinds and scratch memory of every sort. */
static stele_status exchange(void *context, stele_error **error)
{
    static const char json[] =
        "[" START TIME ",\"zone\":\"\\u00e4\",\"data\":{\"a\":18446744073709551615}}," START TIME
        ",\"data_base64\":\"AAAA\"}," START TIME
        ",\"datacontenttype\":\"application/msgpack\",\"data_base64\":\"gqFhxAChYgE=\"}," START TIME "}]";
    stele_message **messages = NULL;
    stele_arena *own = NULL;
    struct stele_slice out;
    size_t count = 0;
    stele_status status = stele_arena_new(&own, error);

    (void)context;
    if (!status)
        status = stele_cloudevents_decode(support_slice(json), 0, own, &messages, &count, error);
    if (!status)
        status = stele_cloudevents_encode((const stele_message *const *)messages, count, NULL, own, &out, error);
    for (size_t i = 0; i < count; i++)
        stele_message_unref(messages[i]);
    stele_arena_free(own);
    return status;
}

static stele_status exchange_one(void *context, stele_error **error)
{
    stele_message *message = NULL;
    stele_arena *own = NULL;
    struct stele_slice out;
    stele_status status = stele_arena_new(&own, error);

    (void)context;
    if (!status)
        status = stele_cloudevent_decode(support_slice(FULL), 0, &message, error);
    if (!status)
        status = stele_cloudevent_encode(message, NULL, own, &out, error);
    stele_message_unref(message);
    stele_arena_free(own);
    return status;
}

static void reading_and_writing_survive_every_failed_allocation(void **state)
{
    (void)state;
    assert_true(support_every_allocation_fails(exchange, NULL) > 0);
    assert_true(support_every_allocation_fails(exchange_one, NULL) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(the_least_event_has_five_members),
        test(members_stand_in_the_order_of_the_header),
        test(numbers_beyond_32_bits_are_texts),
        test(the_subject_may_be_taken_from_the_stream),
        test(what_json_has_no_word_for_is_base64),
        test(bytes_are_base64_with_their_own_type),
        test(a_damaged_payload_is_corrupt),
        test(every_attribute_is_taken_over),
        test(a_missing_time_is_the_time_of_reading),
        test(null_is_absent_except_as_data),
        test(the_examples_of_the_specification_are_read),
        test(data_of_every_shape_comes_back),
        test(data_may_come_before_or_after_what_describes_it),
        test(text_data_of_any_media_type_is_kept),
        test(base64_is_bytes_unless_it_is_msgpack_that_says_so),
        test(escapes_are_read_in_names_and_texts),
        test(what_a_random_change_leaves_readable_comes_back),
        test(batches_of_none_one_and_many_come_back),
        test(nothing_of_an_event_is_left_in_the_next),
        test(a_single_event_is_a_batch_of_one),
        test(a_batch_names_the_index_of_the_bad_one),
        test(missing_arguments_are_named),
        test(reading_and_writing_survive_every_failed_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
