/* Metrics as JSON and as Prometheus text, of numbers made here. */
#include "tests/support/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "bus/metrics.h"
#include "message/value.h"
#include "tests/unit/bus/exposition.h"

/* Two routes of one handler: ten calls, one of them failed; and none. */
static const struct stele__metrics_route routes[] = {
    {.stats = {.processed = 10,
               .errors = 1,
               .timeouts = 2,
               .waiting = 3,
               .retries = 4,
               .dead = 5,
               .average_ns = 250000000,
               .p50_ns = 200000000,
               .p99_ns = 1500000000,
               .max_ns = 2000000000,
               .position = 40,
               .lag = 2,
               .last_error = STELE_REJECTED,
               .paused = true},
     .name = "charge",
     .error = "too dear"},
    {.name = "odd \"name\" \\ with\nnewline", .error = ""},
};
static const struct stele__metrics metrics = {
    .bus = {.routes = 2, .published = UINT64_MAX, .dead_letters = 5}, .routes = routes, .route_count = 2};

static char *prometheus_text(const struct stele__metrics *of)
{
    struct stele__buffer buffer;
    char *text;

    stele__buffer_init(&buffer);
    stele__metrics_to_prometheus(of, &buffer);
    assert_int_equal(STELE_OK, buffer.failed);
    text = malloc(buffer.size + 1);
    assert_non_null(text);
    memcpy(text, buffer.data, buffer.size);
    text[buffer.size] = '\0';
    stele__buffer_fini(&buffer);
    return text;
}

static void ORX47_the_exposition_follows_the_grammar_with_and_without_routes(void **state)
{
    static const struct stele__metrics none = {.route_count = 0};
    char why[128];
    char *text = prometheus_text(&metrics);

    (void)state;
    if (!exposition_check(text, why))
        fail_msg("%s", why);
    free(text);
    text = prometheus_text(&none);
    if (!exposition_check(text, why))
        fail_msg("%s", why);
    free(text);
}

static void ORX47_samples_have_status_labels_and_seconds(void **state)
{
    char *const text = prometheus_text(&metrics);

    (void)state;
    assert_string_equal("9", exposition_value(text, "stele_route_calls_total{route=\"charge\",status=\"success\"}"));
    assert_string_equal("1", exposition_value(text, "stele_route_calls_total{route=\"charge\",status=\"error\"}"));
    assert_string_equal("0.2",
                        exposition_value(text, "stele_route_duration_seconds{route=\"charge\",quantile=\"0.5\"}"));
    assert_string_equal("1.5",
                        exposition_value(text, "stele_route_duration_seconds{route=\"charge\",quantile=\"0.99\"}"));
    assert_string_equal("2.5", exposition_value(text, "stele_route_duration_seconds_sum{route=\"charge\"}"));
    assert_string_equal("10", exposition_value(text, "stele_route_duration_seconds_count{route=\"charge\"}"));
    assert_string_equal("2", exposition_value(text, "stele_route_timeouts_total{route=\"charge\"}"));
    assert_string_equal("3", exposition_value(text, "stele_route_waiting{route=\"charge\"}"));
    assert_string_equal("2", exposition_value(text, "stele_route_lag{route=\"charge\"}"));
    assert_string_equal("1", exposition_value(text, "stele_route_paused{route=\"charge\"}"));
    assert_string_equal("18446744073709551615", exposition_value(text, "stele_bus_published_total"));
    free(text);
}

static void label_values_are_escaped(void **state)
{
    char *const text = prometheus_text(&metrics);

    (void)state;
    assert_string_equal("0",
                        exposition_value(text, "stele_route_waiting{route=\"odd \\\"name\\\" \\\\ with\\nnewline\"}"));
    free(text);
}

static void the_checker_of_expositions_finds_what_is_wrong(void **state)
{
    static const char *const wrong[] = {
        "a 1\n",                                                      /* no TYPE */
        "# HELP a A.\n# TYPE a gauge\na 1",                           /* no newline */
        "# HELP a A.\n# TYPE a counter\na 1\n",                       /* no _total */
        "# HELP a_total A.\n# TYPE a_total gauge\na_total 1\n",       /* _total of a gauge */
        "# HELP a A.\n# TYPE a gauge\na one\n",                       /* no number */
        "# HELP a A.\n# TYPE a gauge\nb 1\n",                         /* another family */
        "# HELP a A.\n# TYPE a gauge\na{x=\"\\t\"} 1\n",              /* an escape that is none */
        "# HELP a A.\n# TYPE a gauge\na{x=\"} 1\n",                   /* no end */
        "# HELP a A.\n# TYPE a gauge\na 1\na 2\n",                    /* twice */
        "# HELP a A.\n# TYPE a summary\na{x=\"1\"} 1\n",              /* no quantile */
        "# HELP a A.\n# TYPE a gauge\n# HELP a A.\n# TYPE a gauge\n", /* a family twice */
        "# HELP a A.\n# TYPE a histogram\n",                          /* none of ours */
    };
    char why[128];

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_false(exposition_check(wrong[i], why));
    assert_true(exposition_check("# HELP a A.\n# TYPE a gauge\na{x=\"\\\\\\\"\\n\"} 1e-09\n", why));
}

/* promtool of the Prometheus project, where it is installed. */
static void promtool_accepts_the_exposition_where_it_is_installed(void **state)
{
    char *const text = prometheus_text(&metrics);
    FILE *promtool;

    (void)state;
    if (system("promtool --version >/dev/null 2>&1") != 0) {
        free(text);
        skip();
    }
    promtool = popen("promtool check metrics", "w");
    assert_non_null(promtool);
    assert_int_equal(strlen(text), fwrite(text, 1, strlen(text), promtool));
    free(text);
    assert_int_equal(0, pclose(promtool));
}

static json_t *json_of(const struct stele__metrics *of)
{
    struct stele__buffer buffer;
    stele_arena *arena = NULL;
    stele_error *error = NULL;
    json_t *root;

    stele__buffer_init(&buffer);
    assert_ok(stele_arena_new(&arena, &error), error);
    assert_ok(stele__metrics_to_json(of, arena, &buffer, &error), error);
    root = json_loadb(buffer.data, buffer.size, 0, NULL);
    assert_non_null(root);
    stele__buffer_fini(&buffer);
    stele_arena_free(arena);
    return root;
}

static json_int_t number(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

static void KHO34_metrics_as_json_can_be_parsed_back(void **state)
{
    static const struct stele__metrics few = {.bus = {.published = 7}, .routes = routes, .route_count = 2};
    json_t *const root = json_of(&few);
    const json_t *const list = json_object_get(root, "routes");
    const json_t *const route = json_array_get(list, 0);

    (void)state;
    assert_int_equal(7, number(json_object_get(root, "bus"), "published"));
    assert_int_equal(2, json_array_size(list));
    assert_string_equal("charge", json_string_value(json_object_get(route, "name")));
    assert_int_equal(10, number(route, "processed"));
    assert_int_equal(1, number(route, "errors"));
    assert_int_equal(250000000, number(route, "average_ns"));
    assert_string_equal("REJECTED", json_string_value(json_object_get(route, "last_error")));
    assert_string_equal("too dear", json_string_value(json_object_get(route, "last_error_text")));
    assert_null(json_object_get(json_array_get(list, 1), "last_error"));
    json_decref(root);
}

static stele_status write_both(void *context, stele_error **error)
{
    struct stele__buffer buffer;
    stele_arena *arena = NULL;
    stele_status status = stele_arena_new(&arena, error);

    (void)context;
    stele__buffer_init(&buffer);
    if (status == STELE_OK)
        status = stele__metrics_to_json(&metrics, arena, &buffer, error);
    if (status == STELE_OK)
        stele__metrics_to_prometheus(&metrics, &buffer);
    if (status == STELE_OK)
        status = stele__buffer_finish(&buffer, "metrics", error);
    stele__buffer_fini(&buffer);
    stele_arena_free(arena);
    return status;
}

static void writing_survives_each_failed_allocation(void **state)
{
    (void)state;
    assert_true(support_every_allocation_fails(write_both, NULL) > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(ORX47_the_exposition_follows_the_grammar_with_and_without_routes),
        support_test(ORX47_samples_have_status_labels_and_seconds),
        support_test(label_values_are_escaped),
        support_test(the_checker_of_expositions_finds_what_is_wrong),
        support_test(promtool_accepts_the_exposition_where_it_is_installed),
        support_test(KHO34_metrics_as_json_can_be_parsed_back),
        support_test(writing_survives_each_failed_allocation),
    };

    return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
