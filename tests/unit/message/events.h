/* What the tests of CloudEvents JSON share: beginnings of events, and an arena per test. Include tests/support/support.h first. */
#ifndef STELE_TESTS_EVENTS_H
#define STELE_TESTS_EVENTS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <stele/cloudevents.h>
/* The required attributes, to be followed by more members and a brace. */
#define START "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/a\",\"type\":\"t\""
/* The same as it is written, with the time that tests give. */
#define TIME ",\"time\":\"2018-04-05T17:31:00Z\""
#define TRACEPARENT "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

static stele_arena *arena;

static inline int setup(void **state)
{
    return support_setup(state) || stele_arena_new(&arena, NULL) != STELE_OK;
}

static inline int teardown(void **state)
{
    stele_arena_free(arena);
    arena = NULL;
    return support_teardown(state);
}

static inline void assert_slice(const char *expected, struct stele_slice actual)
{
    assert_non_null(actual.data);
    if (actual.size != strlen(expected) || memcmp(expected, actual.data, actual.size) != 0)
        fail_msg("\"%.*s\" instead of \"%s\"", STELE_SLICE(actual), expected);
}

static inline stele_message *decode(const char *json)
{
    stele_message *message = NULL;
    stele_error *error = NULL;

    if (stele_cloudevent_decode(support_slice(json), 0, &message, &error) != STELE_OK)
        fail_msg("%s: %s", json, stele_error_message(error));
    return message;
}

static inline struct stele_slice encode(const stele_message *message)
{
    struct stele_slice json = {NULL, 0};
    stele_error *error = NULL;

    assert_ok(stele_cloudevent_encode(message, NULL, arena, &json, &error), error);
    assert_int_equal('\0', json.data[json.size]);
    return json;
}

/* Reading `given` and writing it again gives `expected`. */
static inline void assert_becomes(const char *expected, const char *given)
{
    stele_message *message = decode(given);

    assert_slice(expected, encode(message));
    stele_message_unref(message);
}

static inline void assert_refused(stele_status expected, const char *attribute, const char *json)
{
    stele_message *message = NULL;
    stele_error *error = NULL;
    const stele_status status = stele_cloudevent_decode(support_slice(json), 0, &message, &error);

    if (status != expected)
        fail_msg("%s: %s instead of %s: %s", json, stele_status_name(status), stele_status_name(expected),
                 stele_error_message(error));
    if (attribute &&
        (!stele_error_get(error, "attribute") || strcmp(stele_error_get(error, "attribute"), attribute) != 0))
        fail_msg("%s: \"%s\" is not named: %s", json, attribute, stele_error_message(error));
    if (status == STELE_MALFORMED)
        assert_non_null(stele_error_get(error, "offset"));
    assert_null(message);
    assert_int_equal(expected, stele_cloudevent_decode(support_slice(json), 0, &message, NULL));
    stele_error_free(error);
}

/* Every member there is. */
#define FULL \
    START ",\"subject\":\"s\"" TIME \
          ",\"datacontenttype\":\"application/json\",\"dataschema\":\"urn:d\",\"stream\":\"x\"," \
          "\"typeversion\":2,\"messagekind\":\"reply\",\"correlationid\":\"c\"," \
          "\"causationid\":\"k\",\"traceparent\":\"" TRACEPARENT "\"," \
          "\"zone\":\"n\\\"\",\"rank\":-5,\"on\":true," \
          "\"data\":{\"a\":[1,-2.5,18446744073709551615,\"\\u0000\xC3\xA4\",null,{}]}}"

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
