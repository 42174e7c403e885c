/* CloudEvents JSON that is refused: why, and what the error names. */
#include "tests/support/support.h"

#include "tests/unit/message/events.h"

static void what_the_specification_calls_invalid_is_refused_by_name(void **state)
{
    static const struct {
        const char *attribute;
        const char *json;
    } cases[] = {
        {"specversion", "{}"},
        {"specversion", "{\"specversion\":null,\"id\":\"1\",\"source\":\"/a\",\"type\":\"t\"}"},
        {"specversion", "{\"specversion\":\"0.3\",\"id\":\"1\",\"source\":\"/a\",\"type\":\"t\"}"},
        {"specversion", "{\"specversion\":1.0,\"id\":\"1\",\"source\":\"/a\",\"type\":\"t\"}"},
        {"specversion", "{\"specversion\":\"\",\"id\":\"1\",\"source\":\"/a\",\"type\":\"t\"}"},
        {"id", "{\"specversion\":\"1.0\",\"source\":\"/a\",\"type\":\"t\"}"},
        {"id", "{\"specversion\":\"1.0\",\"id\":null,\"source\":\"/a\",\"type\":\"t\"}"},
        {"id", "{\"specversion\":\"1.0\",\"id\":\"\",\"source\":\"/a\",\"type\":\"t\"}"},
        {"id", "{\"specversion\":\"1.0\",\"id\":1,\"source\":\"/a\",\"type\":\"t\"}"},
        {"source", "{\"specversion\":\"1.0\",\"id\":\"1\",\"type\":\"t\"}"},
        {"source", "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"\",\"type\":\"t\"}"},
        {"source", "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"a b\",\"type\":\"t\"}"},
        {"source", "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":[],\"type\":\"t\"}"},
        {"type", "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/a\"}"},
        {"type", "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/a\",\"type\":\"\"}"},
        {"type", "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/a\",\"type\":true}"},
        {"subject", START ",\"subject\":\"\"}"},
        {"subject", START ",\"subject\":1}"},
        {"time", START ",\"time\":\"\"}"},
        {"time", START ",\"time\":\"yesterday\"}"},
        {"time", START ",\"time\":\"2018-04-05\"}"},
        {"time", START ",\"time\":\"2018-02-30T00:00:00Z\"}"},
        {"time", START ",\"time\":1522949460}"},
        {"datacontenttype", START ",\"datacontenttype\":\"\"}"},
        {"datacontenttype", START ",\"datacontenttype\":\"json\"}"},
        {"datacontenttype", START ",\"datacontenttype\":{}}"},
        {"dataschema", START ",\"dataschema\":\"\"}"},
        {"dataschema", START ",\"dataschema\":\"/relative\"}"},
        {"dataschema", START ",\"dataschema\":false}"},
        {"correlationid", START ",\"correlationid\":\"\"}"},
        {"causationid", START ",\"causationid\":5}"},
        {"traceparent", START ",\"traceparent\":\"00-1-2-3\"}"},
        {"stream", START ",\"stream\":\"\"}"},
        {"stream", START ",\"stream\":\"\\u0001\"}"},
        {"stream", START ",\"stream\":1}"},
        {"streamversion", START ",\"streamversion\":0}"},
        {"streamversion", START ",\"streamversion\":-1}"},
        {"streamversion", START ",\"streamversion\":1.0}"},
        {"streamversion", START ",\"streamversion\":\"9223372036854775808\"}"},
        {"position", START ",\"position\":\"\"}"},
        {"position", START ",\"position\":\"1x\"}"},
        {"position", START ",\"position\":true}"},
        {"typeversion", START ",\"typeversion\":0}"},
        {"typeversion", START ",\"typeversion\":4294967296}"},
        {"messagekind", START ",\"messagekind\":\"state\"}"},
        {"messagekind", START ",\"messagekind\":1}"},
        {"data_base64", START ",\"data\":1,\"data_base64\":\"\"}"},
        {"data_base64", START ",\"data\":null,\"data_base64\":\"AA==\"}"},
        {"data_base64", START ",\"data_base64\":\"A\"}"},
        {"data_base64", START ",\"data_base64\":\"AB==\"}"},
        {"data_base64", START ",\"data_base64\":\"A-_=\"}"},
        {"data_base64", START ",\"data_base64\":{}}"},
        {"Zone", START ",\"Zone\":\"x\"}"},
        {"zo_ne", START ",\"zo_ne\":null}"},
        {"", START ",\"\":1}"},
        {"zone", START ",\"zone\":{}}"},
        {"zone", START ",\"zone\":[1]}"},
        {"zone", START ",\"zone\":1.5}"},
        {"zone", START ",\"zone\":1e3}"},
        {"zone", START ",\"zone\":2147483648}"},
        {"zone", START ",\"zone\":-2147483649}"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_refused(STELE_INVALID, cases[i].attribute, cases[i].json);
    assert_refused(STELE_LIMIT, "time", START ",\"time\":\"2262-04-12T00:00:00Z\"}");
    assert_refused(STELE_LIMIT, "a23456789012345678901", START ",\"a23456789012345678901\":1}");
}

static void text_that_is_not_json_is_malformed(void **state)
{
    static const char *const texts[] = {
        "",
        " ",
        "null",
        "1",
        "\"\"",
        "x",
        "[]",
        "{",
        "{,}",
        START ",}",
        START "},",
        START "}}",
        START "} x",
        START ",\"a\"}",
        START ",\"a\":}",
        START ",\"a\":01}",
        START ",\"a\":-}",
        START ",\"a\":+1}",
        START ",\"a\":.5}",
        START ",\"a\":tru}",
        START ",\"a\":nulL}",
        START ",\"a\":'x'}",
        START ",a:1}",
        START ",\"a\":1 \"b\":2}",
        START ",\"a\":\"\t\"}",
        START ",\"data\":[1}",
        START ",\"data\":[1,]}",
        START ",\"data\":{\"a\" 1}}",
        START ",\"data\":{\"a\":1,\"a\":2}}",
        START ",\"data\":1.}",
        START ",\"data\":\"\\q\"}",
        START ",\"data\":[}]}",
        START ",\"data\":nan}",
        START ",\"data\":}",
        START ",\"a\":\"\xFF\"}",
        START ",\"data\":\"\xED\xA0\x80\"}",
        START ",\"a\":1,\"a\":2}",
        START ",\"a\":null,\"a\":null}",
        START ",\"a\":null,\"a\":1}",
        START ",\"a\":1,\"\\u0061\":null}",
        START ",\"id\":\"1\"}",
        START ",\"data\":1,\"data\":1}",
        START ",\"subject\":null,\"subject\":\"s\"}",

        "\xEF\xBB\xBF" START "}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_refused(STELE_MALFORMED, NULL, texts[i]);
}

static void an_offset_counts_from_the_start_of_the_text(void **state)
{
    static const struct {
        const char *json;
        const char *offset;
    } cases[] = {
        {"  x", "2"},
        {"{\"a\":tru}", "5"},
        {"{\"a\":\"\xFF\"}", "6"},
        {"{\"a\":1", "6"},
    };
    stele_message *message = NULL;
    stele_error *error = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_failure(STELE_MALFORMED, stele_cloudevent_decode(support_slice(cases[i].json), 0, &message, &error),
                       error);
        assert_string_equal(cases[i].offset, stele_error_get(error, "offset"));
        stele_error_free(error);
        error = NULL;
    }
    assert_failure(STELE_MALFORMED,
                   stele_cloudevent_decode(support_slice(START ",\"data\":[1,x]}"), 0, &message, &error), error);
    /* "At or just behind the fault": the x, or behind it. */
    assert_in_range(strtoul(stele_error_get(error, "offset"), NULL, 10), strlen(START ",\"data\":[1,"),
                    strlen(START ",\"data\":[1,x"));
    assert_string_equal("data", stele_error_get(error, "attribute"));
    stele_error_free(error);
}

static char *nested(size_t depth)
{
    char *json = calloc(1, sizeof(START TIME ",\"data\":}") + 2 * depth);

    assert_non_null(json);
    strcpy(json, START TIME ",\"data\":");
    memset(json + strlen(json), '[', depth);
    memset(json + strlen(json), ']', depth);
    strcat(json, "}");
    return json;
}

static void data_may_be_nested_64_deep_but_not_65(void **state)
{
    char *deepest = nested(64);
    char *deeper = nested(65);

    (void)state;
    assert_becomes(deepest, deepest);
    assert_refused(STELE_LIMIT, NULL, deeper);
    free(deepest);
    free(deeper);
}

static void a_payload_may_reach_its_limit_but_not_pass_it(void **state)
{
    static const struct {
        const char *json;
        size_t size; /* of the payload */
    } cases[] = {
        {START ",\"data\":\"123456\"}", 7},          {START ",\"data\":[1,2]}", 3},
        {START ",\"data_base64\":\"AAAAAA==\"}", 4}, {START ",\"data_base64\":\"AAAAAAA=\"}", 5},
        {START ",\"data_base64\":\"AAAAAAAA\"}", 6},
    };
    stele_message *message = NULL;
    stele_error *error = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct stele_slice json = support_slice(cases[i].json);

        assert_ok(stele_cloudevent_decode(json, cases[i].size, &message, &error), error);
        assert_int_equal(cases[i].size, stele_message_payload(message).size);
        stele_message_unref(message);
        message = NULL;
        assert_failure(STELE_LIMIT, stele_cloudevent_decode(json, cases[i].size - 1, &message, &error), error);
        assert_string_equal("payload", stele_error_get(error, "field"));
        stele_error_free(error);
        error = NULL;
    }
    assert_status(STELE_LIMIT,
                  stele_cloudevent_decode(support_slice(START "}"), STELE_PAYLOAD_MAX + 1, &message, &error), error);
    assert_null(message);
}

/* An event with `count` extensions that have the value `value`. */
static char *with_extensions(int count, const char *value, const char *rest)
{
    char *json = calloc(1, 4096);

    assert_non_null(json);
    strcpy(json, START TIME);
    for (int i = 0; i < count; i++)
        sprintf(json + strlen(json), ",\"e%d\":%s", i, value);
    strcat(json, rest);
    strcat(json, "}");
    return json;
}

static void extensions_may_be_32_but_not_33(void **state)
{
    char *most = with_extensions(32, "true", "");
    char *more = with_extensions(33, "true", "");
    char *unset = with_extensions(32, "true", ",\"f\":null");
    char *unset_too_many = with_extensions(33, "null", "");

    (void)state;
    assert_becomes(most, most);
    assert_becomes(most, unset);
    assert_refused(STELE_LIMIT, NULL, more);
    assert_refused(STELE_LIMIT, NULL, unset_too_many);
    free(most);
    free(more);
    free(unset);
    free(unset_too_many);
}

static void texts_may_reach_their_limit_but_not_pass_it(void **state)
{
    static const struct {
        const char *name;
        int limit;
    } cases[] = {{"subject", 1024}, {"stream", 1024}, {"correlationid", 255}, {"zone", 1024}, {"causationid", 255}};
    char json[2048], text[1026];

    (void)state;
    memset(text, 'x', sizeof(text));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(json, sizeof(json), START ",\"%s\":\"%.*s\"}", cases[i].name, cases[i].limit, text);
        stele_message_unref(decode(json));
        snprintf(json, sizeof(json), START ",\"%s\":\"%.*s\"}", cases[i].name, cases[i].limit + 1, text);
        assert_refused(STELE_LIMIT, cases[i].name, json);
    }
}

static void an_event_cut_anywhere_is_malformed(void **state)
{
    (void)state;
    assert_becomes(FULL, FULL);
    for (size_t size = 0; size < strlen(FULL); size++) {
        /* In a block of its own, so that a byte read too far is found. */
        char *cut = malloc(size ? size : 1);
        stele_message *message = NULL;
        stele_error *error = NULL;

        memcpy(cut, FULL, size);
        assert_status(STELE_MALFORMED, stele_cloudevent_decode((struct stele_slice){cut, size}, 0, &message, &error),
                      error);
        free(cut);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(what_the_specification_calls_invalid_is_refused_by_name),
        test(text_that_is_not_json_is_malformed),
        test(an_offset_counts_from_the_start_of_the_text),
        test(data_may_be_nested_64_deep_but_not_65),
        test(a_payload_may_reach_its_limit_but_not_pass_it),
        test(extensions_may_be_32_but_not_33),
        test(texts_may_reach_their_limit_but_not_pass_it),
        test(an_event_cut_anywhere_is_malformed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
