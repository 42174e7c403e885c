/* The event log: what is in it, in which order, and what a query finds. */
#include "tests/unit/bus/registry.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "bus/event_log.h"

#define TRACE "0af7651916cd43dd8448eb211c80319c"

static stele_event_log *add_log(struct registry *registry, size_t capacity)
{
    stele_event_log *log = NULL;
    stele_error *error = NULL;

    assert_ok(stele__event_log_new(registry->observers, capacity, &log, &error), error);
    return log;
}

/* A call of `route` for an event `type` with the id ends. */
static void end(struct registry *registry, enum stele_seen seen, const char *type, const char *id)
{
    const struct stele_observation observation = {
        .seen = seen,
        .time = 1767225600000000000,
        .route = "charge",
        .duration_ns = 1500,
        .status = seen == STELE_SEEN_HANDLED ? STELE_OK : STELE_REJECTED,
        .text = seen == STELE_SEEN_HANDLED ? "" : "too \"dear\"",
    };

    registry_tell(registry, observation, type, event_of(type, id, NULL, NULL));
}

/* Ids of what a query finds, separated by blanks. */
static bool note_id(void *context, const struct stele_event_log_entry *entry)
{
    char *text = context;

    strcat(text, *text ? " " : "");
    strcat(text, entry->id);
    return true;
}

static const char *ids(stele_event_log *log, const struct stele_event_log_query *query)
{
    static char text[256];
    stele_error *error = NULL;

    *text = '\0';
    assert_ok(stele_event_log_read(log, query, note_id, text, &error), error);
    return text;
}

static void KHO22_the_oldest_goes_when_the_log_is_full(void **state)
{
    struct registry registry;
    stele_event_log *log;

    (void)state;
    registry_begin(&registry);
    log = add_log(&registry, 3);
    end(&registry, STELE_SEEN_HANDLED, "a", "1");
    end(&registry, STELE_SEEN_HANDLED, "a", "2");
    end(&registry, STELE_SEEN_HANDLED, "a", "3");
    registry_flush(&registry);
    assert_string_equal("1 2 3", ids(log, NULL));
    end(&registry, STELE_SEEN_HANDLED, "a", "4");
    registry_flush(&registry);
    assert_string_equal("2 3 4", ids(log, NULL));
    registry_finish(&registry);
}

static void KHO22_the_log_keeps_two_hundred_and_shows_the_last_fifty(void **state)
{
    struct stele_event_log_query all = STELE_OPTIONS_INIT(struct stele_event_log_query);
    struct registry registry;
    stele_event_log *log;
    char id[16];

    (void)state;
    registry_begin(&registry);
    log = add_log(&registry, 0);
    for (int i = 1; i <= 201; i++) {
        snprintf(id, sizeof(id), "%d", i);
        end(&registry, STELE_SEEN_HANDLED, "a", id);
    }
    registry_flush(&registry);
    assert_int_equal(0, strncmp("152 153 ", ids(log, NULL), 8));
    all.has_limit = true;
    all.limit = 1;
    assert_string_equal("201", ids(log, &all));
    all.limit = 2;
    assert_string_equal("200 201", ids(log, &all));
    registry_finish(&registry);
}

static bool count_entry(void *context, const struct stele_event_log_entry *entry)
{
    size_t *count = context;

    (void)entry;
    ++*count;
    return true;
}

/* The reference's recent(0) returned everything. */
static void bug_recent_of_none_returns_everything(void **state)
{
    struct stele_event_log_query none = STELE_OPTIONS_INIT(struct stele_event_log_query);
    struct registry registry;
    stele_event_log *log;
    stele_error *error = NULL;
    size_t count = 0;

    (void)state;
    registry_begin(&registry);
    log = add_log(&registry, 0);
    end(&registry, STELE_SEEN_HANDLED, "a", "1");
    registry_flush(&registry);
    none.has_limit = true;
    assert_ok(stele_event_log_read(log, &none, count_entry, &count, &error), error);
    assert_int_equal(0, count);
    none.limit = SIZE_MAX; /* more than there can be is all */
    assert_ok(stele_event_log_read(log, &none, count_entry, &count, &error), error);
    assert_int_equal(1, count);
    registry_finish(&registry);
}

/* The reference's event log had what a handler published twice: published, and returned. */
static void bug_the_event_log_records_an_event_twice(void **state)
{
    static const enum stele_seen others[] = {STELE_SEEN_PUBLISHED,  STELE_SEEN_STARTED, STELE_SEEN_SKIPPED,
                                             STELE_SEEN_DROPPED,    STELE_SEEN_BURIED,  STELE_SEEN_LATE,
                                             STELE_SEEN_INTERCEPTOR};
    struct registry registry;
    stele_event_log *log;

    (void)state;
    registry_begin(&registry);
    log = add_log(&registry, 0);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        end(&registry, others[i], "a", "1");
    end(&registry, STELE_SEEN_HANDLED, "a", "1");
    end(&registry, STELE_SEEN_RETRIED, "b", "2");
    end(&registry, STELE_SEEN_FAILED, "b", "2");
    end(&registry, STELE_SEEN_UNROUTED, "c", "3");
    registry_flush(&registry);
    assert_string_equal("1 2 2 3", ids(log, NULL));
    registry_finish(&registry);
}

static void KHO22_a_query_finds_a_type_and_then_takes_the_last_ones(void **state)
{
    struct stele_event_log_query query = STELE_OPTIONS_INIT(struct stele_event_log_query);
    struct registry registry;
    stele_event_log *log;

    (void)state;
    registry_begin(&registry);
    log = add_log(&registry, 0);
    end(&registry, STELE_SEEN_HANDLED, "a", "1");
    end(&registry, STELE_SEEN_HANDLED, "b", "2");
    end(&registry, STELE_SEEN_HANDLED, "a", "3");
    end(&registry, STELE_SEEN_HANDLED, "a.b", "4");
    registry_flush(&registry);
    query.type = "a";
    assert_string_equal("1 3", ids(log, &query));
    query.has_limit = true;
    query.limit = 1;
    assert_string_equal("3", ids(log, &query));
    query.type = "none";
    assert_string_equal("", ids(log, &query));
    registry_finish(&registry);
}

static void KHO22_a_trace_rebuilds_a_chain(void **state)
{
    static const struct stele_observation handled = {.seen = STELE_SEEN_HANDLED, .route = "r"};
    struct stele_event_log_query query = STELE_OPTIONS_INIT(struct stele_event_log_query);
    struct registry registry;
    stele_event_log *log;

    (void)state;
    registry_begin(&registry);
    log = add_log(&registry, 0);
    /* One chain by correlation, its root without; one by traceparent; they interleave. */
    registry_tell(&registry, handled, "a", event_of("a", "1", NULL, NULL));
    registry_tell(&registry, handled, "a", event_of("a", "2", "order-7", "00-" TRACE "-b7ad6b7169203331-01"));
    registry_tell(&registry, handled, "b", event_of("b", "3", "1", NULL));
    registry_tell(&registry, handled, "b", event_of("b", "4", "order-7", "00-" TRACE "-00f067aa0ba902b7-00"));
    registry_tell(&registry, handled, "c", event_of("c", "5", "1", NULL));
    registry_flush(&registry);
    query.trace = "1";
    assert_string_equal("1 3 5", ids(log, &query));
    query.trace = TRACE;
    assert_string_equal("2 4", ids(log, &query));
    query.trace = "order-7";
    assert_string_equal("2 4", ids(log, &query));
    query.type = "b";
    assert_string_equal("4", ids(log, &query));
    registry_finish(&registry);
}

static bool check_first(void *context, const struct stele_event_log_entry *entry)
{
    int *visits = context;

    ++*visits;
    assert_int_equal(1767225600000000000, entry->time);
    assert_string_equal("order.placed", entry->type);
    assert_string_equal("charge", entry->route);
    assert_string_equal("7", entry->id);
    assert_string_equal("/shop", entry->source);
    assert_string_equal("7", entry->trace);
    assert_string_equal("too \"dear\"", entry->text);
    assert_int_equal(1500, entry->duration_ns);
    assert_int_equal(STELE_REJECTED, entry->status);
    assert_true(entry->has_failed);
    return false;
}

static void KHO22_an_entry_says_what_when_where_and_how_it_ended(void **state)
{
    struct registry registry;
    stele_event_log *log;
    stele_error *error = NULL;
    int visits = 0;

    (void)state;
    registry_begin(&registry);
    log = add_log(&registry, 0);
    end(&registry, STELE_SEEN_FAILED, "order.placed", "7");
    end(&registry, STELE_SEEN_FAILED, "order.placed", "8");
    registry_flush(&registry);
    assert_ok(stele_event_log_read(log, NULL, check_first, &visits, &error), error);
    assert_int_equal(1, visits); /* it returned false */
    registry_finish(&registry);
}

static void KHO34_the_log_as_json_can_be_parsed_back(void **state)
{
    const struct stele_observation failed = {
        .seen = STELE_SEEN_FAILED, .route = "r", .status = STELE_TIMEOUT, .text = "caf\xE9 \xF0\x9F\x98\x80"};
    struct registry registry;
    stele_event_log *log;
    stele_arena *arena = NULL;
    stele_error *error = NULL;
    struct stele_slice text;
    json_t *root, *entry;

    (void)state;
    registry_begin(&registry);
    log = add_log(&registry, 0);
    assert_ok(stele_arena_new(&arena, &error), error);
    assert_ok(stele_event_log_json(log, NULL, arena, &text, &error), error);
    assert_string_equal("[]", text.data);
    end(&registry, STELE_SEEN_FAILED, "order.placed", "7");
    registry_tell(&registry, failed, "a", event_of("a", "8", NULL, NULL));
    registry_flush(&registry);
    assert_ok(stele_event_log_json(log, NULL, arena, &text, &error), error);
    root = json_loadb(text.data, text.size, 0, NULL);
    assert_int_equal(2, json_array_size(root));
    entry = json_array_get(root, 0);
    assert_string_equal("2026-01-01T00:00:00Z", json_string_value(json_object_get(entry, "time")));
    assert_string_equal("order.placed", json_string_value(json_object_get(entry, "type")));
    assert_string_equal("too \"dear\"", json_string_value(json_object_get(entry, "text")));
    assert_int_equal(1500, json_integer_value(json_object_get(entry, "duration_ns")));
    assert_true(json_is_false(json_object_get(entry, "ok")));
    entry = json_array_get(root, 1);
    assert_string_equal("TIMEOUT", json_string_value(json_object_get(entry, "status")));
    assert_string_equal("caf? \xF0\x9F\x98\x80", json_string_value(json_object_get(entry, "text")));
    json_decref(root);
    stele_arena_free(arena);
    registry_finish(&registry);
}

static void what_is_wrong_with_a_query_is_said(void **state)
{
    struct stele_event_log_query query = STELE_OPTIONS_INIT(struct stele_event_log_query);
    struct registry registry;
    stele_event_log *log, *second = NULL;
    stele_error *error = NULL;
    size_t count = 0;

    (void)state;
    registry_begin(&registry);
    log = add_log(&registry, 0);
    assert_status(STELE_INVALID, stele_event_log_read(NULL, NULL, count_entry, &count, &error), error);
    assert_status(STELE_INVALID, stele_event_log_read(log, NULL, NULL, &count, &error), error);
    query.size = 1;
    assert_status(STELE_INVALID, stele_event_log_read(log, &query, count_entry, &count, &error), error);
    assert_status(STELE_INVALID, stele__event_log_new(registry.observers, 0, &second, &error), error);
    registry_finish(&registry);
}

static stele_status add_and_remove(void *context, stele_error **error)
{
    struct registry *registry = context;
    stele_event_log *log = NULL;
    const stele_status status = stele__event_log_new(registry->observers, 0, &log, error);

    if (status == STELE_OK)
        assert_true(stele__observers_remove(registry->observers, "event-log"));
    return status;
}

static stele_status read_as_json(void *context, stele_error **error)
{
    stele_event_log *log = context;
    stele_arena *arena = NULL;
    struct stele_slice text;
    stele_status status = stele_arena_new(&arena, error);

    if (status == STELE_OK)
        status = stele_event_log_json(log, NULL, arena, &text, error);
    stele_arena_free(arena);
    return status;
}

static void adding_and_reading_survive_each_failed_allocation(void **state)
{
    struct registry registry;
    stele_event_log *log;

    (void)state;
    registry_begin(&registry);
    assert_int_equal(4, support_every_allocation_fails(add_and_remove, &registry));
    log = add_log(&registry, 0);
    end(&registry, STELE_SEEN_FAILED, "a", "1");
    registry_flush(&registry);
    assert_true(support_every_allocation_fails(read_as_json, log) > 2);
    registry_finish(&registry);
}

static void an_entry_without_memory_is_counted_as_dropped(void **state)
{
    struct registry registry;
    struct stele_observer_stats stats;
    stele_event_log *log;
    stele_error *error = NULL;

    (void)state;
    registry_begin(&registry);
    log = add_log(&registry, 0);
    end(&registry, STELE_SEEN_HANDLED, "a", "1");
    registry_flush(&registry);
    end(&registry, STELE_SEEN_HANDLED, "a", "2");
    support_fail_allocation(1);
    registry_flush(&registry);
    assert_true(support_allocation_failed());
    assert_string_equal("1", ids(log, NULL));
    assert_ok(stele__observers_stats(registry.observers, "event-log", &stats, &error), error);
    assert_int_equal(1, stats.dropped);
    registry_finish(&registry);
}

/* Reads again and again while entries come and go: each is whole, and in order. */
static bool check_order(void *context, const struct stele_event_log_entry *entry)
{
    int64_t *last = context;

    assert_true(entry->time > *last);
    assert_string_equal("r", entry->route);
    *last = entry->time;
    return true;
}

static void *notify_many(void *context)
{
    struct registry *registry = context;
    struct stele_observation observation = {.seen = STELE_SEEN_HANDLED, .route = "r", .observed = "a"};

    for (int64_t time = 1; time <= 2000; time++) {
        observation.time = time;
        stele__observers_notify(registry->observers, &observation);
    }
    return NULL;
}

static void the_log_is_read_while_it_is_written(void **state)
{
    struct registry registry;
    stele_event_log *log;
    stele_error *error = NULL;
    pthread_t thread;

    (void)state;
    assert_ok(stele_runtime_new(1, NULL, &registry.runtime, &error), error);
    assert_ok(stele__observers_new(registry.runtime, &registry.observers, &error), error);
    log = add_log(&registry, 8);
    assert_int_equal(0, pthread_create(&thread, NULL, notify_many, &registry));
    for (int i = 0; i < 500; i++) {
        int64_t last = 0;

        assert_ok(stele_event_log_read(log, NULL, check_order, &last, &error), error);
    }
    pthread_join(thread, NULL);
    registry_finish(&registry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(KHO22_the_oldest_goes_when_the_log_is_full),
        support_test(KHO22_the_log_keeps_two_hundred_and_shows_the_last_fifty),
        support_test(bug_recent_of_none_returns_everything),
        support_test(bug_the_event_log_records_an_event_twice),
        support_test(KHO22_a_query_finds_a_type_and_then_takes_the_last_ones),
        support_test(KHO22_a_trace_rebuilds_a_chain),
        support_test(KHO22_an_entry_says_what_when_where_and_how_it_ended),
        support_test(KHO34_the_log_as_json_can_be_parsed_back),
        support_test(what_is_wrong_with_a_query_is_said),
        support_test(adding_and_reading_survive_each_failed_allocation),
        support_test(an_entry_without_memory_is_counted_as_dropped),
        support_test(the_log_is_read_while_it_is_written),
    };

    return cmocka_run_group_tests_name("event log", tests, NULL, NULL);
}
