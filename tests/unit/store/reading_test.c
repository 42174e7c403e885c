/* Visits through upcasters: what they lend, where their limit ends them, what they ask the backend for. */
#include "tests/support/support.h"

#include <stele.h>

#include "store/reading.h"
#include "store/store.h"

#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define HALF(FIELD, T) FIELD(T, NONE, stele_unused)
STELE_DECLARE(whole, HALF);
STELE_DECLARE(half, HALF);
STELE_DECLARE(rest, HALF);
STELE_DEFINE_EVENT(whole, "cake.whole", 1, HALF);
STELE_DEFINE_EVENT(half, "cake.half", 1, HALF);
STELE_DEFINE_EVENT(rest, "crumb", 1, HALF);

static stele_status cut(const struct whole *old, stele_upcast *upcast)
{
    const struct half payload = {0};
    const struct rest crumb = {0};
    stele_status status = stele_upcast_give(upcast, &half_type, &payload);

    (void)old;
    if (status == STELE_OK)
        status = stele_upcast_give(upcast, &half_type, &payload);
    return status == STELE_OK ? stele_upcast_give(upcast, &rest_type, &crumb) : status;
}
STELE_DEFINE_UPCAST(cut, whole)

/* A torte was a cake once; what is whole is two halves and a crumb today. A pie is a tart, which is no concern of cakes. */
static const struct stele_type *const crumbs[] = {&rest_type};
static const struct stele_upcaster upcasters[] = {
    {.from = "torte", .from_version = 1, .to = "cake.whole", .to_version = 1},
    {.from = "cake.whole",
     .from_version = 1,
     .to = "cake.half",
     .to_version = 1,
     .up = cut_up,
     .old_type = &whole_type,
     .new_type = &half_type,
     .others = crumbs,
     .other_count = 1},
    {.from = "pie", .from_version = 1, .to = "tart", .to_version = 1},
};

static stele_store *open_store(void)
{
    struct stele_store_options options = STELE_OPTIONS_INIT(struct stele_store_options);
    stele_store *store = NULL;
    stele_error *error = NULL;

    options.upcasters = upcasters;
    options.upcaster_count = COUNT(upcasters);
    assert_ok(stele_store_open("memory:", &options, &store, &error), error);
    return store;
}

static void append(stele_store *store, const char *type)
{
    const struct stele_raw_message raw = {
        .kind = STELE_EVENT, .type = type, .format = STELE_PAYLOAD_MSGPACK, .payload = {"\x80", 1}};
    stele_message *event = NULL;
    stele_error *error = NULL;

    assert_ok(stele_message_new_raw(&raw, NULL, &event, &error), error);
    assert_ok(stele_append(store, "table", stele_expect_any(), event, NULL, &error), error);
    stele_message_unref(event);
}

struct seen {
    size_t count;
    size_t stop_at;
    uint64_t position;
};

static bool see(void *context, const stele_message *message)
{
    struct seen *seen = context;

    seen->position = message->position;
    return ++seen->count != seen->stop_at;
}

static void a_visit_ends_with_the_event_that_reaches_its_limit(void **state)
{
    struct stele_query query = STELE_OPTIONS_INIT(struct stele_query);
    stele_store *store = open_store();
    struct seen seen = {0};
    struct stele_head head;
    stele_error *error = NULL;

    (void)state;
    append(store, "tart");
    append(store, "torte");
    append(store, "pie");
    query.limit = 2;
    assert_ok(stele__store_visit(store, &query, see, &seen, &head, &error), error);
    assert_int_equal(seen.count, 4);
    assert_int_equal(head.position, 2);
    query.limit = 0;
    seen = (struct seen){0};
    assert_ok(stele__store_visit(store, &query, see, &seen, &head, &error), error);
    assert_int_equal(seen.count, 5);
    assert_int_equal(head.position, 3);
    seen = (struct seen){.stop_at = 3};
    assert_ok(stele__store_visit(store, &query, see, &seen, &head, &error), error);
    assert_int_equal(seen.count, 3);
    assert_int_equal(seen.position, 2);
    stele_store_close(store);
}

static bool has(const struct stele__reading *reading, const char *name)
{
    for (size_t i = 0; i < reading->also_count; i++) {
        if (reading->also[i].size == strlen(name) && memcmp(reading->also[i].data, name, strlen(name)) == 0)
            return true;
    }
    return false;
}

/* Open a reading of a pattern, and tell which stored names it asks for besides. */
static void assert_also(const stele_store *store, const char *pattern, size_t count, const char *one, const char *other)
{
    struct stele_query query = STELE_OPTIONS_INIT(struct stele_query);
    struct stele__reading reading = {0};
    struct stele__scan scan;
    stele_error *error = NULL;

    query.type = pattern;
    query.limit = 7;
    assert_ok(stele__scan_init(&scan, &query, &error), error);
    assert_ok(stele__reading_init(&reading, store, &scan, &error), error);
    assert_int_equal(reading.also_count, count);
    assert_int_equal(scan.wanted.also_count, count);
    assert_int_equal(scan.wanted.limit, UINT64_MAX);
    assert_true(!one || has(&reading, one));
    assert_true(!other || has(&reading, other));
    stele__reading_fini(&reading);
}

static void only_names_that_lead_to_a_match_are_asked_for(void **state)
{
    stele_store *store = open_store();

    (void)state;
    assert_also(store, "cake.half", 2, "cake.whole", "torte");
    assert_also(store, "cake.*", 1, "torte", NULL);
    assert_also(store, "crumb", 2, "cake.whole", "torte");
    assert_also(store, "tart", 1, "pie", NULL);
    assert_also(store, "torte", 0, NULL, NULL);
    assert_also(store, "other", 0, NULL, NULL);
    stele_store_close(store);
}

static stele_status attempt(void *context, stele_error **error)
{
    const struct stele_query query = {.size = sizeof(query), .type = "cake.half"};
    struct seen seen = {0};

    return stele__store_visit(context, &query, see, &seen, NULL, error);
}

static void visits_survive_every_failing_allocation(void **state)
{
    stele_store *store = open_store();

    (void)state;
    append(store, "torte");
    assert_true(support_every_allocation_fails(attempt, store) > 3);
    stele_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(a_visit_ends_with_the_event_that_reaches_its_limit),
        support_test(only_names_that_lead_to_a_match_are_asked_for),
        support_test(visits_survive_every_failing_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
