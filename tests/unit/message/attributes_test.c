/* Attributes: what each may be, at its limit and one past it, and their form as meta. */
#include "tests/support/support.h"

#include <string.h>

#include <stele/message.h>

#include "base/buffer.h"
#include "base/text.h"
#include "message/message.h"

/* Put `text` into the attribute of that name. */
static void set(struct stele_message_options *options, const char *name, const char *text)
{
    const struct {
        const char *name;
        const char **place;
    } places[] = {
        {"id", &options->id},
        {"source", &options->source},
        {"subject", &options->subject},
        {"datacontenttype", &options->datacontenttype},
        {"dataschema", &options->dataschema},
        {"correlationid", &options->correlationid},
        {"causationid", &options->causationid},
        {"traceparent", &options->traceparent},
    };

    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        if (strcmp(places[i].name, name) == 0)
            *places[i].place = text;
    }
}

/* What making a message with one attribute set to `text` comes to. `error` has "attribute" on failure. */
static stele_status try_attribute(const char *name, const char *text, stele_error **error)
{
    struct stele_raw_message raw = {.kind = STELE_EVENT, .type = "t"};
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
    stele_message *message = NULL;
    stele_status status;

    set(&options, name, text);
    if (strcmp(name, "type") == 0)
        raw.type = text;
    status = stele_message_new_raw(&raw, &options, &message, error);
    stele_message_unref(message);
    return status;
}

static void assert_refused(stele_status expected, const char *name, const char *text)
{
    stele_error *error = NULL;
    const stele_status status = try_attribute(name, text, &error);

    if (status != expected)
        fail_msg("%s \"%s\": %s instead of %s", name, text, stele_status_name(status), stele_status_name(expected));
    assert_string_equal(name, stele_error_get(error, "attribute"));
    stele_error_free(error);
}

static void assert_accepted(const char *name, const char *text)
{
    stele_error *error = NULL;

    if (try_attribute(name, text, &error) != STELE_OK)
        fail_msg("%s \"%s\": %s", name, text, stele_error_message(error));
}

static void empty_attributes_are_refused(void **state)
{
    static const char *const names[] = {"id",         "source",        "subject",     "datacontenttype",
                                        "dataschema", "correlationid", "causationid", "traceparent",
                                        "type"};

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_refused(STELE_INVALID, names[i], "");
}

static void an_absent_type_is_refused(void **state)
{
    (void)state;
    assert_refused(STELE_INVALID, "type", NULL);
}

static void texts_may_reach_their_limit_but_not_pass_it(void **state)
{
    static const struct {
        const char *name;
        size_t limit;
        const char *start; /* what makes the form right; followed by x */
    } cases[] = {
        {"id", 255, ""},
        {"type", 255, ""},
        {"source", 1024, ""},
        {"subject", 1024, ""},
        {"datacontenttype", 1024, "text/"},
        {"dataschema", 1024, "urn:"},
        {"correlationid", 255, ""},
        {"causationid", 255, ""},
    };
    char text[1026];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memset(text, 'x', sizeof(text));
        memcpy(text, cases[i].start, strlen(cases[i].start));
        text[cases[i].limit] = '\0';
        assert_accepted(cases[i].name, text);
        text[cases[i].limit] = 'x';
        text[cases[i].limit + 1] = '\0';
        assert_refused(STELE_LIMIT, cases[i].name, text);
    }
}

static void a_limit_names_itself_and_the_actual_length(void **state)
{
    char text[258];
    stele_error *error = NULL;

    (void)state;
    memset(text, 'x', 257);
    text[257] = '\0';
    assert_failure(STELE_LIMIT, try_attribute("correlationid", text, &error), error);
    assert_string_equal("correlationid", stele_error_get(error, "field"));
    assert_string_equal("255", stele_error_get(error, "limit"));
    assert_string_equal("257", stele_error_get(error, "actual"));
    stele_error_free(error);
}

static void characters_outside_the_string_type_are_refused(void **state)
{
    static const char *const refused[] = {
        "a\x01",
        "\x1F",
        "a\nb",
        "\x7F",
        "\xC2\x80",
        "a\xC2\x9F", /* controls */
        "\xEF\xB7\x90",
        "\xEF\xB7\xAF",
        "\xEF\xBF\xBE",
        "\xEF\xBF\xBF", /* U+FDD0, FDEF, FFFE, FFFF */
        "\xF0\x9F\xBF\xBE",
        "\xF4\x8F\xBF\xBF", /* U+1FFFE, U+10FFFF */
        "\xFF",
        "\xC3",
        "\xC0\x80",
        "\xED\xA0\x80",
        "\xF4\x90\x80\x80", /* not UTF-8 */
    };
    static const char *const accepted[] = {
        " ",
        "~",
        "\xC2\xA0",
        "\xEF\xB7\x8F",
        "\xEF\xB7\xB0",
        "\xEF\xBF\xBD",
        "\xF0\x9F\xBF\xBD",
        "\xF4\x8F\xBF\xBD",
        "\xF0\x9F\x98\x80",
        "\xED\x9F\xBF",
        "\xEE\x80\x80",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        assert_refused(STELE_INVALID, "subject", refused[i]);
        assert_refused(STELE_INVALID, "id", refused[i]);
        assert_refused(STELE_INVALID, "type", refused[i]);
    }
    for (size_t i = 0; i < sizeof(accepted) / sizeof(accepted[0]); i++)
        assert_accepted("subject", accepted[i]);
}

/* Text is checked eight bytes at a step: one bad byte in any place of it, among the highest and lowest good ones. */
static void a_character_outside_the_string_type_is_found_in_every_place(void **state)
{
    static const char refused[] = {'\x1F', '\x7F', '\x01', '\x80', '\xFF'};
    char text[24];

    (void)state;
    for (size_t size = 1; size < sizeof(text); size++) {
        for (size_t i = 0; i < size; i++)
            text[i] = i % 2 ? '~' : ' ';
        text[size] = '\0';
        assert_accepted("subject", text);
        for (size_t i = 0; i < size; i++) {
            const char good = text[i];

            for (size_t j = 0; j < sizeof(refused); j++) {
                text[i] = refused[j];
                assert_refused(STELE_INVALID, "subject", text);
            }
            text[i] = good;
        }
    }
}

static void a_source_is_a_uri_reference(void **state)
{
    static const char *const accepted[] = {
        "https://github.com/cloudevents",
        "mailto:cncf-wg-serverless@lists.cncf.io",
        "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66",
        "/cloudevents/spec/pull/123",
        "/sensors/tn-1234567/alerts",
        "1-555-123-4567",
        "a",
        ".",
        "?",
        "#",
        "//host",
        "a/b:c",
        "%20",
        "?q=/?",
        "#f/?",
        "http://user:pw@[2001:db8::1]:8080/a?b#c",
        "http://h:/",
        "ldap://[::1]",
        "a+b-c.d:x",
    };
    static const char *const refused[] = {
        " ",     "a b",         "a\"",        "<a>",           "a\\b", "a^b",        "a`b",     "{a}",
        "a|b",   "%",           "%4",         "%4g",           "%G0",  "1a:b",       ":a",      "-:a",
        "a#b#c", "http://[::1", "http://h:x", "http://[::1]x", "a[b]", "http://h/[", "//u@v@w", "\xC3\xA4",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(accepted) / sizeof(accepted[0]); i++)
        assert_accepted("source", accepted[i]);
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        assert_refused(STELE_INVALID, "source", refused[i]);
}

static void a_dataschema_is_an_absolute_uri(void **state)
{
    (void)state;
    assert_accepted("dataschema", "https://example.com/schema.json?v=1");
    assert_accepted("dataschema", "https://example.com/schema.json#/$defs/a");
    assert_accepted("dataschema", "urn:schema:1");
    assert_refused(STELE_INVALID, "dataschema", "/schema.json");
    assert_refused(STELE_INVALID, "dataschema", "schema");
    assert_refused(STELE_INVALID, "dataschema", "//host/schema");
    assert_refused(STELE_INVALID, "dataschema", "https://example.com/a b");
}

static void a_datacontenttype_is_a_media_type(void **state)
{
    static const char *const accepted[] = {
        "application/json",       "text/xml",          "application/vnd.apache.thrift.binary",
        "application/a+json",     "text/plain;a=b",    "text/plain; charset=utf-8",
        "text/plain ; a=b ; c=d", "text/plain;a=\"\"", "text/plain;a=\"x;\\\"y\"",
    };
    static const char *const refused[] = {
        "json",         "/json",         "text/",           "text/a/b",          "text/plain;",    "text/plain; ",
        "text/plain;a", "text/plain;a=", "text/plain;=b",   "text/plain;a=\"",   "text /plain",    "text/pl ain",
        "text/plain ",  "text/(x)",      "text/pl\xC3\xA4", "text/plain;a=\"\\", "text/plain a=b", "te@xt/plain",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(accepted) / sizeof(accepted[0]); i++)
        assert_accepted("datacontenttype", accepted[i]);
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        assert_refused(STELE_INVALID, "datacontenttype", refused[i]);
}

static void a_traceparent_is_a_w3c_trace_context(void **state)
{
    static const char *const refused[] = {
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",   /* short */
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-010", /* long */
        "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",  /* upper case */
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",  /* trace of zeros */
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",  /* parent of zeros */
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",  /* version that is none */
        "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331_01",
        "0g-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319g-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333g-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0g",
    };

    (void)state;
    assert_accepted("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    assert_accepted("traceparent", "fe-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ff");
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        assert_refused(STELE_INVALID, "traceparent", refused[i]);
}

static stele_status try_extensions(const struct stele_extension *extensions, size_t count, stele_error **error)
{
    const struct stele_raw_message raw = {.kind = STELE_EVENT, .type = "t"};
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
    stele_message *message = NULL;
    stele_status status;

    options.extensions = extensions;
    options.extension_count = count;
    status = stele_message_new_raw(&raw, &options, &message, error);
    stele_message_unref(message);
    return status;
}

static void extension_names_follow_the_rules(void **state)
{
    static const char *const refused[] = {
        "Tenant",     "ten_ant",       "ten-ant",     "ten ant",     "t\xC3\xA4",   "specversion",
        "id",         "source",        "type",        "subject",     "time",        "datacontenttype",
        "dataschema", "correlationid", "causationid", "traceparent", "stream",      "streamversion",
        "position",   "typeversion",   "messagekind", "data",        "data_base64",
    };
    stele_error *error = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct stele_extension extension = {.kind = STELE_EXTENSION_BOOLEAN};

        memcpy(extension.name, refused[i], strlen(refused[i]));
        assert_failure(STELE_INVALID, try_extensions(&extension, 1, &error), error);
        assert_string_equal(refused[i], stele_error_get(error, "attribute"));
        stele_error_free(error);
        error = NULL;
    }
}

static void extension_names_may_reach_their_limit_but_not_pass_it(void **state)
{
    struct stele_extension extension = {.kind = STELE_EXTENSION_BOOLEAN};
    stele_error *error = NULL;

    (void)state;
    assert_status(STELE_INVALID, try_extensions(&extension, 1, &error), error);
    memset(extension.name, '9', 20);
    assert_ok(try_extensions(&extension, 1, &error), error);
    extension.name[20] = '9'; /* no room for a NUL */
    assert_status(STELE_LIMIT, try_extensions(&extension, 1, &error), error);
}

static void extension_texts_follow_the_rules(void **state)
{
    struct stele_extension extension = {.name = "x"};
    char text[1025];
    stele_error *error = NULL;

    (void)state;
    assert_failure(STELE_INVALID, try_extensions(&extension, 1, &error), error);
    assert_string_equal("x", stele_error_get(error, "attribute"));
    stele_error_free(error);
    error = NULL;
    memset(text, 'v', sizeof(text));
    extension.text.data = text;
    extension.text.size = 1024;
    assert_ok(try_extensions(&extension, 1, &error), error);
    extension.text.size = 1025;
    assert_failure(STELE_LIMIT, try_extensions(&extension, 1, &error), error);
    assert_string_equal("x", stele_error_get(error, "attribute"));
    stele_error_free(error);
    error = NULL;
    extension.text.size = 3;
    text[1] = '\0';
    assert_status(STELE_INVALID, try_extensions(&extension, 1, &error), error);
    extension.kind = (enum stele_extension_kind)7;
    assert_status(STELE_INVALID, try_extensions(&extension, 1, &error), error);
}

static void extensions_may_be_32_but_not_33_and_not_twice_the_same(void **state)
{
    struct stele_extension extensions[33] = {0};
    stele_error *error = NULL;

    (void)state;
    for (int i = 0; i < 33; i++) {
        extensions[i].kind = STELE_EXTENSION_INTEGER;
        extensions[i].name[0] = (char)('a' + i % 26);
        extensions[i].name[1] = (char)('0' + i / 26);
    }
    assert_ok(try_extensions(extensions, 32, &error), error);
    assert_status(STELE_LIMIT, try_extensions(extensions, 33, &error), error);
    assert_status(STELE_INVALID, try_extensions(NULL, 1, &error), error);
    extensions[1] = extensions[0];
    assert_status(STELE_INVALID, try_extensions(extensions, 2, &error), error);
    extensions[1].name[0] = 'b';
    extensions[31] = extensions[0];
    assert_failure(STELE_INVALID, try_extensions(extensions, 32, &error), error);
    assert_string_equal("a0", stele_error_get(error, "attribute"));
    stele_error_free(error);
}

/* --- Meta ---------------------------------------------------------------------------- */

static void nothing_said_is_an_empty_meta(void **state)
{
    struct stele__attributes attributes = {.kind = STELE_EVENT, .format = STELE_PAYLOAD_MSGPACK};
    struct stele__buffer buffer;
    stele_error *error = NULL;

    (void)state;
    stele__buffer_init(&buffer);
    attributes.text[STELE__SOURCE] = stele__slice("stele");
    assert_ok(stele__attributes_encode(&attributes, &buffer, &error), error);
    assert_int_equal(0, buffer.size);
    stele__buffer_fini(&buffer);
}

static void meta_is_laid_out_as_drawn(void **state)
{
    static const char expected[] = "\x85"
                                   "\xA6source\xA2/a"
                                   "\xA7subject\xA1s"
                                   "\xABmessagekind\xA7"
                                   "command"
                                   "\xA6"
                                   "format\xA4none"
                                   "\xAA"
                                   "extensions\x83\xA1"
                                   "b\xC3\xA1i\xFF\xA1t\xA1x";
    const struct stele_extension extensions[] = {
        {.name = "b", .kind = STELE_EXTENSION_BOOLEAN, .boolean = true},
        {.name = "i", .kind = STELE_EXTENSION_INTEGER, .integer = -1},
        {.name = "t", .kind = STELE_EXTENSION_TEXT, .text = {"x", 1}},
    };
    struct stele__attributes attributes = {.kind = STELE_COMMAND, .format = STELE_PAYLOAD_NONE};
    struct stele__buffer buffer;
    stele_error *error = NULL;

    (void)state;
    stele__buffer_init(&buffer);
    attributes.text[STELE__SOURCE] = stele__slice("/a");
    attributes.text[STELE__SUBJECT] = stele__slice("s");
    attributes.extensions = extensions;
    attributes.extension_count = 3;
    assert_ok(stele__attributes_encode(&attributes, &buffer, &error), error);
    assert_int_equal(sizeof(expected) - 1, buffer.size);
    assert_memory_equal(expected, buffer.data, buffer.size);
    stele__buffer_fini(&buffer);
}

static stele_status open_meta(const char *bytes, size_t size, struct stele_message *message)
{
    memset(message, 0, sizeof(*message));
    message->meta.data = bytes;
    message->meta.size = size;
    return stele__message_open_meta(message, NULL);
}

static void an_opened_meta_gives_kind_and_format(void **state)
{
    static const char meta[] = "\x82\xABmessagekind\xA5reply\xA6"
                               "format\xA5"
                               "bytes";
    struct stele_message message;

    (void)state;
    assert_int_equal(STELE_OK, open_meta(meta, sizeof(meta) - 1, &message));
    assert_int_equal(STELE_REPLY, message.kind);
    assert_int_equal(STELE_PAYLOAD_BYTES, message.format);
    assert_int_equal(STELE_OK, open_meta("", 0, &message));
    assert_int_equal(STELE_EVENT, message.kind);
    assert_int_equal(STELE_PAYLOAD_MSGPACK, message.format);
}

#define BYTES(text) \
    { \
        text, sizeof(text) - 1 \
    }

static void a_damaged_meta_is_corrupt(void **state)
{
    static const struct stele_slice metas[] = {
        BYTES("\xC0"),                                 /* no map */
        BYTES("\x81"),                                 /* cut short */
        BYTES("\x80\x80"),                             /* more behind it */
        BYTES("\x81\x01\xA1s"),                        /* a key that is no text */
        BYTES("\x81\xA7unknown\xA1s"),                 /* an unknown key */
        BYTES("\x81\xA2id\xA1s"),                      /* an attribute that is not kept here */
        BYTES("\x82\xA7subject\xA1s\xA7subject\xA1s"), /* twice */
        BYTES("\x81\xA7subject\x01"),                  /* no text */
        BYTES("\x81\xA7subject\xA0"),                  /* empty */
        BYTES("\x81\xA7subject\xA1\xFF"),              /* not UTF-8 */
        BYTES("\x81\xA6source\xA1 "),                  /* no URI reference */
        BYTES("\x81\xABmessagekind\xA4none"),          /* no kind */
        BYTES("\x81\xA6"
              "format\xA4text"), /* no format */
        BYTES("\x81\xAA"
              "extensions\xA1s"), /* no map */
        BYTES("\x81\xAA"
              "extensions\x81\xA1"
              "A\xC3"), /* a name in upper case */
        BYTES("\x81\xAA"
              "extensions\x81\xA2id\xC3"), /* the library's own name */
        BYTES("\x81\xAA"
              "extensions\x81\xA1"
              "a\xC0"), /* a value that is none */
        BYTES("\x81\xAA"
              "extensions\x81\xA1"
              "a\xCE\x80\x00\x00\x00"), /* 2^31 */
        BYTES("\x81\xAA"
              "extensions\xDC\xFF\xFF"), /* more than there is */
    };
    struct stele_message message;

    (void)state;
    for (size_t i = 0; i < sizeof(metas) / sizeof(metas[0]); i++) {
        if (open_meta(metas[i].data, metas[i].size, &message) != STELE_CORRUPT)
            fail_msg("meta %zu was not found to be damaged", i);
    }
}

static void a_meta_cut_anywhere_or_with_any_byte_changed_is_harmless(void **state)
{
    static const char whole[] = "\x84\xA6source\xA2/a\xABmessagekind\xA5query\xA6"
                                "format\xA5"
                                "bytes\xAA"
                                "extensions\x82\xA1"
                                "b\xC3\xA1t\xA1x";
    struct stele_message message;
    char meta[sizeof(whole)];

    (void)state;
    assert_int_equal(STELE_OK, open_meta(whole, sizeof(whole) - 1, &message));
    for (size_t size = 1; size < sizeof(whole) - 1; size++)
        assert_int_equal(STELE_CORRUPT, open_meta(whole, size, &message));
    for (size_t i = 0; i < sizeof(whole) - 1; i++) {
        for (int byte = 0; byte < 256; byte++) {
            struct stele_extension extension;

            memcpy(meta, whole, sizeof(whole));
            meta[i] = (char)byte;
            if (open_meta(meta, sizeof(whole) - 1, &message) != STELE_OK)
                continue;
            assert_true(stele_message_source(&message).size > 0);
            assert_false(stele_message_extension(&message, 2, &extension));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(empty_attributes_are_refused),
        support_test(an_absent_type_is_refused),
        support_test(texts_may_reach_their_limit_but_not_pass_it),
        support_test(a_limit_names_itself_and_the_actual_length),
        support_test(characters_outside_the_string_type_are_refused),
        support_test(a_character_outside_the_string_type_is_found_in_every_place),
        support_test(a_source_is_a_uri_reference),
        support_test(a_dataschema_is_an_absolute_uri),
        support_test(a_datacontenttype_is_a_media_type),
        support_test(a_traceparent_is_a_w3c_trace_context),
        support_test(extension_names_follow_the_rules),
        support_test(extension_names_may_reach_their_limit_but_not_pass_it),
        support_test(extension_texts_follow_the_rules),
        support_test(extensions_may_be_32_but_not_33_and_not_twice_the_same),
        support_test(nothing_said_is_an_empty_meta),
        support_test(meta_is_laid_out_as_drawn),
        support_test(an_opened_meta_gives_kind_and_format),
        support_test(a_damaged_meta_is_corrupt),
        support_test(a_meta_cut_anywhere_or_with_any_byte_changed_is_harmless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
