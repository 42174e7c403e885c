/* What a bus tells its observers: on a simulated runtime, with real routes. */
#include "tests/support/support.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include <stele/bus.h>
#include <stele/intercept.h>
#include <stele/observe.h>

#include "tests/unit/bus/exposition.h"

/* --- A small shop: place -> pay -> send ------------------------------------------------- */

#define ORDER(FIELD, T) FIELD(T, TEXT, order)
STELE_DECLARE(observe_placed, ORDER);
STELE_DEFINE_EVENT(observe_placed, "order.placed", 1, ORDER);
STELE_DECLARE(observe_paid, ORDER);
STELE_DEFINE_EVENT(observe_paid, "order.paid", 1, ORDER);

static stele_status charge(const struct observe_placed *order, stele_context *context)
{
    if (strcmp(order->order, "dear") == 0)
        return stele_context_fail(context, STELE_DENIED, "%s is too dear", order->order);
    return STELE_PUBLISH(context, observe_paid, .order = order->order);
}
STELE_DEFINE_HANDLER(charge, observe_placed);

static stele_status pack(const struct observe_paid *order, stele_context *context)
{
    (void)order;
    (void)context;
    return STELE_OK;
}
STELE_DEFINE_HANDLER(pack, observe_paid);

STELE_DECLARE(observe_asked, ORDER);
STELE_DEFINE_EVENT(observe_asked, "order.asked", 1, ORDER);

static stele_status charge_asked(const struct observe_asked *order, stele_context *context)
{
    return stele_context_fail(context, STELE_BUSY, "%s is too dear", order->order);
}
STELE_DEFINE_HANDLER(charge_asked, observe_asked);

static const struct stele_route charge_route = {
    .name = "charge", .on = "order.placed", .handle = charge_handle, .delivery = STELE_QUEUED};
static const struct stele_route second_route = {
    .name = "charge again", .on = "order.placed.twice", .handle = charge_handle, .delivery = STELE_QUEUED};
static const struct stele_route pack_route = {
    .name = "pack", .on = "order.paid", .handle = pack_handle, .delivery = STELE_QUEUED};

struct shop {
    stele_runtime *runtime;
    stele_bus *bus;
};

/* On its runtime. */
static void open_shop_there(struct shop *shop)
{
    struct stele_bus_options options = STELE_OPTIONS_INIT(struct stele_bus_options);
    stele_error *error = NULL;

    options.measure = true;
    assert_ok(stele_bus_new(shop->runtime, &options, &shop->bus, &error), error);
    assert_ok(stele_bus_add_route(shop->bus, &charge_route, NULL, NULL, &error), error);
    assert_ok(stele_bus_add_route(shop->bus, &second_route, NULL, NULL, &error), error);
    assert_ok(stele_bus_add_route(shop->bus, &pack_route, NULL, NULL, &error), error);
}

static void open_shop(struct shop *shop)
{
    stele_error *error = NULL;

    assert_ok(stele_runtime_simulated(7, &shop->runtime, &error), error);
    open_shop_there(shop);
}

static void close_shop(struct shop *shop)
{
    stele_bus_free(shop->bus);
    stele_runtime_free(shop->runtime);
}

static void place(struct shop *shop, const char *order, const char *id, const char *traceparent)
{
    const struct observe_placed payload = {.order = order};
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
    stele_message *message = NULL;
    stele_error *error = NULL;

    options.id = id;
    options.traceparent = traceparent;
    assert_ok(observe_placed_message(&payload, &options, &message, &error), error);
    assert_ok(stele_publish(shop->bus, message, NULL, &error), error);
    stele_message_unref(message);
    stele_runtime_run_until_idle(shop->runtime);
}

static void add(struct shop *shop, const struct stele_observer *observer, void *context)
{
    stele_error *error = NULL;

    assert_ok(stele_bus_add_observer(shop->bus, observer, context, &error), error);
}

/* --- Lifecycle ---------------------------------------------------------------------------- */

struct story {
    char text[1024];
    int64_t last_time;
};

static void tell_on(void *context, const struct stele_observation *seen)
{
    static const struct {
        enum stele_seen seen;
        const char *name;
    } names[] = {{STELE_SEEN_PUBLISHED, "published"}, {STELE_SEEN_STARTED, "started"},
                 {STELE_SEEN_HANDLED, "handled"},     {STELE_SEEN_FAILED, "failed"},
                 {STELE_SEEN_BURIED, "buried"},       {STELE_SEEN_UNROUTED, "unrouted"},
                 {STELE_SEEN_RETRIED, "retried"},     {STELE_SEEN_SKIPPED, "skipped"}};
    struct story *story = context;
    const size_t size = strlen(story->text);

    assert_true(seen->time >= STELE_SIMULATION_START);
    assert_true(seen->monotonic >= story->last_time);
    story->last_time = seen->monotonic;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (names[i].seen == seen->seen)
            snprintf(story->text + size, sizeof(story->text) - size, "%s %s %s %zu; ", names[i].name, seen->observed,
                     *seen->route ? seen->route : "-", seen->count);
    }
}

static const struct stele_observer teller = {.name = "teller", .see = tell_on};

static void HEX02_a_chain_is_seen_as_it_happens(void **state)
{
    struct story story = {.text = ""};
    struct shop shop;

    (void)state;
    open_shop(&shop);
    add(&shop, &teller, &story);
    place(&shop, "cheap", "1", NULL);
    assert_string_equal("published order.placed - 1; started order.placed charge 0; handled order.placed charge 1; "
                        "published order.paid - 1; started order.paid pack 0; handled order.paid pack 0; ",
                        story.text);
    close_shop(&shop);
}

static void HEX02_a_failure_is_seen_with_its_burial(void **state)
{
    static const struct stele_observer ends = {
        .name = "ends", .kinds = STELE_SEEN_FAILED | STELE_SEEN_HANDLED | STELE_SEEN_BURIED, .see = tell_on};
    struct story story = {.text = ""};
    struct shop shop;

    (void)state;
    open_shop(&shop);
    add(&shop, &ends, &story);
    place(&shop, "dear", "1", NULL);
    assert_string_equal("failed order.placed charge 0; buried order.placed charge 0; ", story.text);
    close_shop(&shop);
}

/* Which calls began and how they ended: "+1 r1 +2 f2". */
static void tell_calls(void *context, const struct stele_observation *seen)
{
    char *text = context;
    const char mark = seen->seen == STELE_SEEN_STARTED ? '+' : seen->seen == STELE_SEEN_RETRIED ? 'r' : 'f';

    sprintf(text + strlen(text), "%c%" PRIu64 " ", mark, seen->call);
    if (mark == 'f')
        assert_string_equal(seen->text, "there was no time left to try again: dear is too dear");
}

/* 50 ms for the unit, 30 ms between calls: there is time for two calls. */
static void a_call_that_cannot_be_made_again_in_time_has_failed_and_was_not_retried(void **state)
{
    static const struct stele_retry settings = {
        .max_attempts = 9, .backoff = STELE_BACKOFF_FIXED, .jitter = STELE_JITTER_NONE, .delay_ms = 30};
    static const struct stele_interceptor retry = {.name = "retry", STELE_RETRY(&settings)};
    static const struct stele_interceptor *const retrying[] = {&retry, NULL};
    static const struct stele_route patient = {
        .name = "patient", .on = "order.asked", .handle = charge_asked_handle, .interceptors = retrying};
    static const struct stele_observer calls = {
        .name = "calls", .kinds = STELE_SEEN_STARTED | STELE_SEEN_RETRIED | STELE_SEEN_FAILED, .see = tell_calls};
    const struct stele_send_options options = {.size = sizeof(options), .timeout_ms = 50};
    struct stele_unit_outcome outcome = {0};
    stele_message *message = NULL;
    stele_error *error = NULL;
    char text[256] = "";
    struct shop shop;

    (void)state;
    open_shop(&shop);
    add(&shop, &calls, text);
    assert_ok(stele_bus_add_route(shop.bus, &patient, NULL, NULL, &error), error);
    assert_ok(observe_asked_message(&(struct observe_asked){.order = "dear"}, NULL, &message, &error), error);
    assert_status(STELE_TIMEOUT, stele_deliver(shop.bus, message, &options, &outcome, &error), error);
    assert_int_equal(outcome.failures[0].attempts, 2);
    assert_string_equal(outcome.failures[0].text, "there was no time left to try again: dear is too dear");
    stele_unit_outcome_fini(&outcome);
    stele_runtime_run_until_idle(shop.runtime);
    assert_string_equal(text, "+1 r1 +2 f2 ");
    stele_message_unref(message);
    close_shop(&shop);
}

static void count_failure(void *context, const struct stele_observation *seen)
{
    int *count = context;

    assert_string_equal("dear is too dear", seen->text);
    assert_int_equal(STELE_DENIED, seen->status);
    ++*count;
}

/* The reference's callbacks could throw; here there is no way to fail, and each is called. */
static void KHO23_all_who_want_failures_get_them(void **state)
{
    static const struct stele_observer first = {.name = "1", .kinds = STELE_SEEN_FAILED, .see = count_failure};
    static const struct stele_observer second = {.name = "2", .kinds = STELE_SEEN_FAILED, .see = count_failure};
    struct shop shop;
    int counts[2] = {0, 0};

    (void)state;
    open_shop(&shop);
    add(&shop, &first, &counts[0]);
    add(&shop, &second, &counts[1]);
    place(&shop, "dear", "1", NULL);
    assert_int_equal(1, counts[0]);
    assert_int_equal(1, counts[1]);
    close_shop(&shop);
}

static void add_another(void *context, const struct stele_observation *seen)
{
    struct shop *shop = context;
    static const struct stele_observer other = {.name = "other", .see = tell_on};
    static struct story story;
    struct stele_observer_stats stats;
    stele_error *error = NULL;

    (void)seen;
    assert_ok(stele_bus_observer_stats(shop->bus, "adder", &stats, &error), error);
    add(shop, &other, &story);
    assert_true(stele_bus_remove_observer(shop->bus, "other"));
    assert_true(stele_bus_remove_observer(shop->bus, "adder"));
}

static void HEX11_an_observer_may_add_and_remove_observers(void **state)
{
    static const struct stele_observer adder = {.name = "adder", .see = add_another};
    struct shop shop;

    (void)state;
    open_shop(&shop);
    add(&shop, &adder, &shop);
    place(&shop, "cheap", "1", NULL);
    assert_false(stele_bus_remove_observer(shop.bus, "adder"));
    close_shop(&shop);
}

static void arguments_that_are_null_are_named(void **state)
{
    struct stele_observer_stats stats;
    struct stele_slice text;
    struct shop shop;
    stele_event_log *log = NULL;
    stele_error *error = NULL;

    (void)state;
    open_shop(&shop);
    assert_status(STELE_INVALID, stele_bus_add_observer(NULL, &teller, NULL, &error), error);
    assert_status(STELE_INVALID, stele_bus_add_observer(shop.bus, NULL, NULL, &error), error);
    assert_false(stele_bus_remove_observer(NULL, "a"));
    assert_false(stele_bus_remove_observer(shop.bus, NULL));
    assert_status(STELE_INVALID, stele_bus_observer_stats(shop.bus, NULL, &stats, &error), error);
    assert_status(STELE_INVALID, stele_bus_observer_stats(shop.bus, "a", NULL, &error), error);
    assert_status(STELE_INVALID, stele_bus_flush_observers(NULL, 0, &error), error);
    assert_status(STELE_INVALID, stele_event_log_add(NULL, 0, &log, &error), error);
    assert_status(STELE_INVALID, stele_event_log_add(shop.bus, 0, NULL, &error), error);
    assert_status(STELE_INVALID, stele_audit_add(shop.bus, NULL, 0, &error), error);
    assert_status(STELE_INVALID, stele_spans_add(shop.bus, NULL, NULL, &error), error);
    assert_status(STELE_INVALID, stele_log_observer_add(NULL, NULL, &error), error);
    assert_status(STELE_INVALID, stele_metrics_json(shop.bus, NULL, &text, &error), error);
    assert_status(STELE_INVALID, stele_metrics_prometheus(NULL, NULL, &text, &error), error);
    close_shop(&shop);
}

/* --- Metrics -------------------------------------------------------------------------------- */

static void KHO21_metrics_count_calls_and_errors_of_each_route_apart(void **state)
{
    struct shop shop;
    stele_arena *arena = NULL;
    stele_error *error = NULL;
    struct stele_slice text;
    json_t *root;
    const json_t *route;
    char why[128];

    (void)state;
    open_shop(&shop);
    for (int i = 0; i < 10; i++)
        place(&shop, i == 4 ? "dear" : "cheap", NULL, NULL);
    assert_ok(stele_arena_new(&arena, &error), error);
    assert_ok(stele_metrics_json(shop.bus, arena, &text, &error), error);
    root = json_loadb(text.data, text.size, 0, NULL);
    route = json_array_get(json_object_get(root, "routes"), 0);
    assert_string_equal("charge", json_string_value(json_object_get(route, "name")));
    assert_int_equal(10, json_integer_value(json_object_get(route, "processed")));
    assert_int_equal(1, json_integer_value(json_object_get(route, "errors")));
    assert_string_equal("dear is too dear", json_string_value(json_object_get(route, "last_error_text")));
    /* Another route of the same handler. */
    route = json_array_get(json_object_get(root, "routes"), 1);
    assert_string_equal("charge again", json_string_value(json_object_get(route, "name")));
    assert_int_equal(0, json_integer_value(json_object_get(route, "processed")));
    json_decref(root);
    assert_ok(stele_metrics_prometheus(shop.bus, arena, &text, &error), error);
    if (!exposition_check(text.data, why))
        fail_msg("%s", why);
    assert_string_equal("9", exposition_value(text.data, "stele_route_calls_total{route=\"pack\",status=\"success\"}"));
    assert_string_equal("1", exposition_value(text.data, "stele_route_calls_total{route=\"charge\",status=\"error\"}"));
    stele_arena_free(arena);
    close_shop(&shop);
}

static stele_status write_metrics(void *context, stele_error **error)
{
    struct shop *shop = context;
    stele_arena *arena = NULL;
    struct stele_slice text;
    stele_status status = stele_arena_new(&arena, error);

    if (status == STELE_OK)
        status = stele_metrics_json(shop->bus, arena, &text, error);
    if (status == STELE_OK)
        status = stele_metrics_prometheus(shop->bus, arena, &text, error);
    stele_arena_free(arena);
    return status;
}

static void metrics_survive_each_failed_allocation(void **state)
{
    struct shop shop;

    (void)state;
    open_shop(&shop);
    place(&shop, "dear", NULL, NULL);
    assert_true(support_every_allocation_fails(write_metrics, &shop) > 5);
    close_shop(&shop);
}

/* A program's own metrics: an observer is the sink, and sees what it needs to count, gauge and sort into buckets. */
struct sink {
    unsigned ended[2]; /* well, badly */
    int64_t longest;
    size_t published;
};

static void record(void *context, const struct stele_observation *seen)
{
    struct sink *sink = context;

    sink->ended[seen->seen == STELE_SEEN_FAILED]++;
    sink->published += seen->count;
    if (seen->duration_ns > sink->longest)
        sink->longest = seen->duration_ns;
}

static void ORX46_an_observer_is_a_sink_for_metrics(void **state)
{
    static const struct stele_observer sink_observer = {
        .name = "sink", .kinds = STELE_SEEN_HANDLED | STELE_SEEN_FAILED, .see = record};
    struct sink sink = {.longest = -1};
    struct shop shop;

    (void)state;
    open_shop(&shop);
    add(&shop, &sink_observer, &sink);
    place(&shop, "cheap", NULL, NULL);
    place(&shop, "dear", NULL, NULL);
    assert_int_equal(2, sink.ended[0]);
    assert_int_equal(1, sink.ended[1]);
    assert_int_equal(1, sink.published);
    assert_int_equal(0, sink.longest); /* no virtual time passes in a handler */
    close_shop(&shop);
}

/* --- Spans ----------------------------------------------------------------------------------- */

struct chain {
    struct stele_span spans[4];
    char names[4][64];
    size_t count;
};

static void keep_span(void *context, const struct stele_span *span)
{
    struct chain *chain = context;

    assert_true(chain->count < 4);
    snprintf(chain->names[chain->count], sizeof(chain->names[0]), "%s", span->name);
    chain->spans[chain->count++] = *span;
}

static void copy_traceparent(void *context, const struct stele_observation *seen)
{
    const struct stele_slice traceparent = stele_message_traceparent(seen->message);

    snprintf(context, 56, "%.*s", (int)traceparent.size, traceparent.size ? traceparent.data : "");
}

static void ORX48_spans_form_a_tree_across_a_chain_of_handlers(void **state)
{
    static const struct stele_observer paid = {
        .name = "paid", .on = "order.paid", .kinds = STELE_SEEN_PUBLISHED, .see = copy_traceparent};
    struct chain chain = {.count = 0};
    struct shop shop;
    char traceparent[56] = "";
    stele_error *error = NULL;

    (void)state;
    open_shop(&shop);
    assert_ok(stele_spans_add(shop.bus, keep_span, &chain, &error), error);
    add(&shop, &paid, traceparent);
    place(&shop, "cheap", "1", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    assert_int_equal(2, chain.count);
    assert_string_equal("charge order.placed", chain.names[0]);
    assert_string_equal("b7ad6b7169203331", chain.spans[0].parent_id);
    assert_string_equal("pack order.paid", chain.names[1]);
    assert_string_equal(chain.spans[0].span_id, chain.spans[1].parent_id);
    assert_string_equal("0af7651916cd43dd8448eb211c80319c", chain.spans[1].trace_id);
    /* What left the handler names its span, for those who read it elsewhere. */
    assert_memory_equal("00-0af7651916cd43dd8448eb211c80319c-", traceparent, 36);
    assert_memory_equal(chain.spans[0].span_id, traceparent + 36, 16);
    close_shop(&shop);
}

static void a_chain_without_a_traceparent_gets_one_trace(void **state)
{
    struct chain chain = {.count = 0};
    struct shop shop;
    stele_error *error = NULL;

    (void)state;
    open_shop(&shop);
    assert_ok(stele_spans_add(shop.bus, keep_span, &chain, &error), error);
    place(&shop, "cheap", "0198c0de-0000-7000-8000-00000000002a", NULL);
    assert_int_equal(2, chain.count);
    assert_string_equal("", chain.spans[0].parent_id);
    assert_string_equal("0198c0de00007000800000000000002a", chain.spans[0].trace_id);
    assert_string_equal(chain.spans[0].trace_id, chain.spans[1].trace_id);
    assert_string_equal(chain.spans[0].span_id, chain.spans[1].parent_id);
    close_shop(&shop);
}

/* --- The event log ------------------------------------------------------------------------------ */

static bool note_entry(void *context, const struct stele_event_log_entry *entry)
{
    char *text = context;
    const size_t size = strlen(text);

    snprintf(text + size, 256 - size, "%s by %s %s; ", entry->type, *entry->route ? entry->route : "-",
             entry->has_failed ? "failed" : "ok");
    return true;
}

/* The reference had what a handler published in its log twice. */
static void bug_a_handlers_output_is_in_the_event_log_twice(void **state)
{
    struct stele_event_log_query query = STELE_OPTIONS_INIT(struct stele_event_log_query);
    struct shop shop;
    stele_event_log *log = NULL;
    stele_error *error = NULL;
    char text[256] = "";

    (void)state;
    open_shop(&shop);
    assert_ok(stele_event_log_add(shop.bus, 0, &log, &error), error);
    place(&shop, "cheap", "1", NULL);
    place(&shop, "dear", "2", NULL);
    query.trace = "1";
    assert_ok(stele_event_log_read(log, &query, note_entry, text, &error), error);
    assert_string_equal("order.placed by charge ok; order.paid by pack ok; ", text);
    *text = '\0';
    query.trace = "2";
    assert_ok(stele_event_log_read(log, &query, note_entry, text, &error), error);
    assert_string_equal("order.placed by charge failed; ", text);
    close_shop(&shop);
}

static void stopping_a_bus_lets_observers_see_the_rest(void **state)
{
    struct story story = {.text = ""};
    struct observe_placed payload = {.order = "cheap"};
    stele_message *message = NULL;
    struct shop shop;
    stele_error *error = NULL;

    (void)state;
    open_shop(&shop);
    add(&shop, &teller, &story);
    assert_ok(observe_placed_message(&payload, NULL, &message, &error), error);
    assert_ok(stele_publish(shop.bus, message, NULL, &error), error);
    stele_message_unref(message);
    assert_string_equal("", story.text);
    assert_ok(stele_bus_stop(shop.bus, 1000, NULL, &error), error);
    assert_non_null(strstr(story.text, "handled order.paid pack 0; "));
    close_shop(&shop);
}

/* --- Threads -------------------------------------------------------------------------------------- */

enum { PUBLISHERS = 3, ORDERS = 100 };

static void *place_many(void *context)
{
    struct shop *shop = context;
    const struct observe_placed payload = {.order = "cheap"};

    for (int i = 0; i < ORDERS; i++) {
        stele_message *message = NULL;

        if (observe_placed_message(&payload, NULL, &message, NULL) == STELE_OK)
            stele_publish(shop->bus, message, NULL, NULL);
        stele_message_unref(message);
    }
    return NULL;
}

static void count_call(void *context, const struct stele_observation *seen)
{
    size_t *count = context;

    (void)seen;
    ++*count;
}

static void ignore_span(void *context, const struct stele_span *span)
{
    (void)context;
    (void)span;
}

static void HEX05_observers_come_and_go_while_threads_publish(void **state)
{
    static const struct stele_observer handled = {
        .name = "handled", .kinds = STELE_SEEN_HANDLED, .capacity = 4096, .see = count_call};
    struct shop shop;
    pthread_t threads[PUBLISHERS];
    stele_error *error = NULL;
    stele_event_log *log = NULL;
    size_t count = 0;

    (void)state;
    assert_ok(stele_runtime_new(2, NULL, &shop.runtime, &error), error);
    open_shop_there(&shop);
    add(&shop, &handled, &count);
    for (size_t i = 0; i < PUBLISHERS; i++)
        assert_int_equal(0, pthread_create(&threads[i], NULL, place_many, &shop));
    for (int i = 0; i < 30; i++) {
        assert_ok(stele_event_log_add(shop.bus, 0, &log, &error), error);
        assert_ok(stele_spans_add(shop.bus, ignore_span, NULL, &error), error);
        assert_true(stele_bus_remove_observer(shop.bus, "event-log"));
        assert_true(stele_bus_remove_observer(shop.bus, "spans"));
    }
    for (size_t i = 0; i < PUBLISHERS; i++)
        pthread_join(threads[i], NULL);
    assert_ok(stele_bus_stop(shop.bus, 60000, NULL, &error), error);
    /* Each order was charged, and then packed. */
    assert_int_equal(2 * PUBLISHERS * ORDERS, count);
    close_shop(&shop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(HEX02_a_chain_is_seen_as_it_happens),
        support_test(HEX02_a_failure_is_seen_with_its_burial),
        support_test(a_call_that_cannot_be_made_again_in_time_has_failed_and_was_not_retried),
        support_test(KHO23_all_who_want_failures_get_them),
        support_test(HEX11_an_observer_may_add_and_remove_observers),
        support_test(arguments_that_are_null_are_named),
        support_test(KHO21_metrics_count_calls_and_errors_of_each_route_apart),
        support_test(metrics_survive_each_failed_allocation),
        support_test(ORX46_an_observer_is_a_sink_for_metrics),
        support_test(ORX48_spans_form_a_tree_across_a_chain_of_handlers),
        support_test(a_chain_without_a_traceparent_gets_one_trace),
        support_test(bug_a_handlers_output_is_in_the_event_log_twice),
        support_test(stopping_a_bus_lets_observers_see_the_rest),
        support_test(HEX05_observers_come_and_go_while_threads_publish),
    };

    return cmocka_run_group_tests_name("observe", tests, NULL, NULL);
}
