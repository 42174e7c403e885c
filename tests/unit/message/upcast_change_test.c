/* Changes of encoded payloads that are declared: rename, drop, add, set. */
#include "tests/support/support.h"

#include "message/upcast.h"

#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Arena and scratch of a test. */
struct room {
    struct stele_arena arena;
    struct stele__buffer scratch;
    size_t limit;
};

static void fini_room(struct room *room)
{
    stele__buffer_fini(&room->scratch);
    stele__arena_fini(&room->arena);
}

static stele_status make(struct room *room, const struct stele_change *changes, size_t count,
                         struct stele_slice payload, struct stele_slice *out, stele_error **error)
{
    const struct stele__change_room where = {&room->arena, &room->scratch, room->limit};
    struct stele__change *compiled = stele__arena_array(&room->arena, count, sizeof(*compiled));
    stele_status status = compiled ? STELE_OK : STELE_NO_MEMORY;

    for (size_t i = 0; i < count && status == STELE_OK; i++)
        status = stele__change_compile(&changes[i], &room->arena, &compiled[i], error);
    return status == STELE_OK ? stele__changes_make(compiled, count, payload, &where, out, error) : status;
}

static stele_status make_json(struct room *room, const struct stele_change *changes, size_t count, const char *json,
                              struct stele_slice *out, stele_error **error)
{
    struct stele_slice payload;
    struct stele_slice changed;
    stele_status status = stele_msgpack_from_json(support_slice(json), &room->arena, &payload, error);

    if (status == STELE_OK)
        status = make(room, changes, count, payload, &changed, error);
    if (status == STELE_OK)
        status = stele_json_from_msgpack(changed, &room->arena, out, error);
    return status;
}

static void check(const struct stele_change *changes, size_t count, const char *before, const char *after)
{
    struct room room = {.limit = STELE_PAYLOAD_DEFAULT};
    struct stele_slice json = {NULL, 0};
    stele_error *error = NULL;

    assert_ok(make_json(&room, changes, count, before, &json, &error), error);
    assert_string_equal(json.data, after);
    fini_room(&room);
}

#define assert_change(before, after, ...) \
    do { \
        const struct stele_change changes_[] = {__VA_ARGS__}; \
        check(changes_, COUNT(changes_), (before), (after)); \
    } while (0)

static void a_field_gets_a_new_name_and_keeps_its_place_and_value(void **state)
{
    (void)state;
    assert_change("{\"a\":1,\"b\":[2,{\"a\":3}],\"c\":4}", "{\"a\":1,\"x\":[2,{\"a\":3}],\"c\":4}",
                  STELE_RENAME("b", "x"));
    assert_change("{\"a\":1}", "{\"a\":1}", STELE_RENAME("b", "x"));
    assert_change("{\"a\":1}", "{\"a\":1}", STELE_RENAME("a", "a"));
}

static void a_field_is_dropped(void **state)
{
    (void)state;
    assert_change("{\"a\":1,\"b\":2}", "{\"b\":2}", STELE_DROP("a"));
    assert_change("{\"a\":1}", "{}", STELE_DROP("a"));
    assert_change("{\"ab\":1}", "{\"ab\":1}", STELE_DROP("a"));
}

static void a_field_is_added_unless_it_is_there(void **state)
{
    (void)state;
    assert_change("{\"a\":1}", "{\"a\":1,\"b\":{\"c\":[true,null]}}", STELE_ADD("b", "{\"c\":[true,null]}"));
    assert_change("{\"a\":1}", "{\"a\":1}", STELE_ADD("a", "\"other\""));
}

static void a_field_is_set_in_any_case(void **state)
{
    (void)state;
    assert_change("{\"a\":1,\"b\":2}", "{\"a\":\"EUR\",\"b\":2}", STELE_SET("a", "\"EUR\""));
    assert_change("{\"b\":2}", "{\"b\":2,\"a\":-1.5}", STELE_SET("a", "-1.5"));
}

static void changes_are_made_one_after_the_other(void **state)
{
    (void)state;
    assert_change("{\"a\":1,\"b\":2}", "{\"b\":1,\"a\":2}", STELE_RENAME("a", "t"), STELE_RENAME("b", "a"),
                  STELE_RENAME("t", "b"));
    assert_change("{\"a\":1}", "{\"c\":7}", STELE_DROP("a"), STELE_ADD("b", "7"), STELE_RENAME("b", "c"));
    assert_change("{\"a\":1}", "{\"a\":1,\"b\":2}", STELE_ADD("b", "1"), STELE_SET("b", "2"), STELE_ADD("b", "3"));
    assert_change("{\"a\":1}", "{}", STELE_RENAME("a", "b"), STELE_DROP("b"));
    assert_change("{\"a\":1}", "{\"a\":2}", STELE_DROP("a"), STELE_ADD("a", "2"));
}

static void maps_of_more_than_fifteen_pairs_keep_all(void **state)
{
    static const char before[] = "{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1,\"h\":1,\"i\":1,\"j\":1,"
                                 "\"k\":1,\"l\":1,\"m\":1,\"n\":1,\"o\":1}";
    static const char after[] = "{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1,\"h\":1,\"i\":1,\"j\":1,"
                                "\"k\":1,\"l\":1,\"m\":1,\"n\":1,\"o\":1,\"p\":2}";

    (void)state;
    assert_change(before, after, STELE_ADD("p", "2"));
    assert_change(after, before, STELE_DROP("p"));
}

static void assert_refused(stele_status expected, const struct stele_change *changes, size_t count, const char *bytes,
                           size_t size, const char *message)
{
    struct room room = {.limit = 32};
    struct stele_slice out = {NULL, 0};
    stele_error *error = NULL;

    assert_failure(expected, make(&room, changes, count, (struct stele_slice){bytes, size}, &out, &error), error);
    assert_message(error, message);
    assert_null(out.data);
    stele_error_free(error);
    fini_room(&room);
}

static void what_cannot_be_changed_is_refused(void **state)
{
    static const struct stele_change rename[] = {STELE_RENAME("a", "b")};
    static const struct stele_change add[] = {STELE_ADD("b", "\"more than thirty-two bytes of text\"")};

    (void)state;
    assert_refused(STELE_INVALID, rename, 1,
                   "\x82\xa1"
                   "a\x01\xa1"
                   "b\x02",
                   7, "\"a\" cannot become \"b\"");
    assert_refused(STELE_INVALID, rename, 1,
                   "\x82\xa1"
                   "b\x01\xa1"
                   "a\x02",
                   7, "\"a\" cannot become \"b\"");
    assert_refused(STELE_MALFORMED, rename, 1, "\x91\x01", 2, "not a map");
    assert_refused(STELE_MALFORMED, rename, 1,
                   "\x81\xa1"
                   "a",
                   3, "");
    assert_refused(STELE_MALFORMED, rename, 1,
                   "\x81\xa1"
                   "a\x01\x01",
                   5, "behind the end");
    assert_refused(STELE_MALFORMED, rename, 1, "", 0, "");
    assert_refused(STELE_LIMIT, add, 1, "\x80", 1, "payload");
}

static void keys_that_are_not_text_are_kept(void **state)
{
    static const struct stele_change changes[] = {STELE_RENAME("a", "b"), STELE_ADD("c", "3")};
    /* {7: 1, "a": 2} becomes {7: 1, "b": 2, "c": 3} */
    static const char after[] = "\x83\x07\x01\xa1"
                                "b\x02\xa1"
                                "c\x03";
    struct room room = {.limit = STELE_PAYLOAD_DEFAULT};
    struct stele_slice out = {NULL, 0};
    stele_error *error = NULL;

    (void)state;
    assert_ok(make(&room, changes, 2,
                   (struct stele_slice){"\x82\x07\x01\xa1"
                                        "a\x02",
                                        6},
                   &out, &error),
              error);
    assert_int_equal(out.size, sizeof(after) - 1);
    assert_memory_equal(out.data, after, sizeof(after) - 1);
    fini_room(&room);
}

static void malformed_changes_are_invalid(void **state)
{
    static const struct {
        struct stele_change change;
        const char *message;
    } cases[] = {
        {STELE_DROP(NULL), "names no field"},
        {STELE_DROP(""), "names no field"},
        {STELE_RENAME("a", NULL), "has no new name"},
        {STELE_RENAME("a", ""), "has no new name"},
        {STELE_ADD("a", NULL), "has no value"},
        {STELE_SET("a", NULL), "has no value"},
        {STELE_SET("a", "{"), "the value of \"a\""},
        {STELE_ADD("a", ""), "the value of \"a\""},
        {{(enum stele_change_kind)9, "a", NULL, NULL}, "is none of"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_refused(STELE_INVALID, &cases[i].change, 1, "\x80", 1, cases[i].message);
}

static stele_status attempt(void *context, stele_error **error)
{
    static const struct stele_change changes[] = {STELE_RENAME("a", "b"), STELE_ADD("c", "[1,2,3]"), STELE_DROP("d")};
    struct room room = {.limit = STELE_PAYLOAD_DEFAULT};
    struct stele_slice json;
    const stele_status status = make_json(&room, changes, 3, "{\"a\":1,\"d\":2}", &json, error);

    (void)context;
    fini_room(&room);
    return status;
}

static void changes_survive_every_failing_allocation(void **state)
{
    (void)state;
    assert_true(support_every_allocation_fails(attempt, NULL) > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(a_field_gets_a_new_name_and_keeps_its_place_and_value),
        support_test(a_field_is_dropped),
        support_test(a_field_is_added_unless_it_is_there),
        support_test(a_field_is_set_in_any_case),
        support_test(changes_are_made_one_after_the_other),
        support_test(maps_of_more_than_fifteen_pairs_keep_all),
        support_test(what_cannot_be_changed_is_refused),
        support_test(keys_that_are_not_text_are_kept),
        support_test(malformed_changes_are_invalid),
        support_test(changes_survive_every_failing_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
