/* Observers that write: the audit file, and records for the log hook. */
#include "tests/unit/bus/registry.h"

#include <stdio.h>
#include <string.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include <stele/log.h>

#include "bus/audit.h"

static void tell(struct registry *registry, enum stele_seen seen, const char *text)
{
    const struct stele_observation observation = {.seen = seen,
                                                  .time = INT64_C(1767225600000000000),
                                                  .route = "charge",
                                                  .call = 3,
                                                  .parent_call = 2,
                                                  .attempt = 1,
                                                  .hop = 2,
                                                  .duration_ns = 1500,
                                                  .count = 4,
                                                  .status = seen == STELE_SEEN_FAILED ? STELE_REJECTED : STELE_OK,
                                                  .text = text};

    registry_tell(registry, observation, "order.placed", event_of("order.placed", "7", "root", NULL));
}

/* --- The file ---------------------------------------------------------------------- */

/* The lines of a file, parsed. */
static size_t read_lines(const char *path, json_t **lines, size_t room)
{
    FILE *file = fopen(path, "r");
    char line[1024];
    size_t count = 0;

    assert_non_null(file);
    while (fgets(line, sizeof(line), file)) {
        assert_true(count < room);
        assert_int_equal('\n', line[strlen(line) - 1]);
        lines[count] = json_loads(line, 0, NULL);
        assert_non_null(lines[count]);
        count++;
    }
    fclose(file);
    return count;
}

static const char *member(const json_t *line, const char *name)
{
    return json_string_value(json_object_get(line, name));
}

static void HEX32_an_audit_line_is_one_json_object(void **state)
{
    const char *const path = (support_temp_dir(), support_temp_path("audit.ndjson"));
    struct registry registry;
    stele_error *error = NULL;
    json_t *lines[2] = {NULL, NULL};

    (void)state;
    registry_begin(&registry);
    assert_ok(stele__audit_new(registry.observers, path, 0, &error), error);
    tell(&registry, STELE_SEEN_FAILED, "two\nlines, \"quoted\" and caf\xE9");
    tell(&registry, STELE_SEEN_STARTED, "");
    registry_flush(&registry);
    assert_int_equal(2, read_lines(path, lines, 2)); /* before the bus ends */
    assert_string_equal("2026-01-01T00:00:00Z", member(lines[0], "time"));
    assert_string_equal("failed", member(lines[0], "seen"));
    assert_string_equal("order.placed", member(lines[0], "type"));
    assert_string_equal("charge", member(lines[0], "route"));
    assert_string_equal("7", member(lines[0], "id"));
    assert_string_equal("/shop", member(lines[0], "source"));
    assert_string_equal("root", member(lines[0], "trace"));
    assert_string_equal("REJECTED", member(lines[0], "status"));
    assert_string_equal("two\nlines, \"quoted\" and caf?", member(lines[0], "text"));
    assert_int_equal(3, json_integer_value(json_object_get(lines[0], "call")));
    assert_int_equal(2, json_integer_value(json_object_get(lines[0], "parent_call")));
    assert_int_equal(1500, json_integer_value(json_object_get(lines[0], "duration_ns")));
    assert_null(json_object_get(lines[1], "duration_ns"));
    assert_null(json_object_get(lines[1], "text"));
    json_decref(lines[0]);
    json_decref(lines[1]);
    registry_finish(&registry);
}

static void an_audit_goes_on_behind_what_is_there_and_takes_its_kinds_only(void **state)
{
    const char *const path = (support_temp_dir(), support_temp_path("audit.ndjson"));
    struct registry registry;
    stele_error *error = NULL;
    json_t *lines[2] = {NULL, NULL};

    (void)state;
    for (int round = 0; round < 2; round++) {
        registry_begin(&registry);
        assert_ok(stele__audit_new(registry.observers, path, STELE_SEEN_HANDLED, &error), error);
        tell(&registry, STELE_SEEN_HANDLED, "");
        tell(&registry, STELE_SEEN_FAILED, "no");
        registry_finish(&registry);
    }
    assert_int_equal(2, read_lines(path, lines, 2));
    json_decref(lines[0]);
    json_decref(lines[1]);
}

static void a_file_that_cannot_be_opened_is_said_at_once(void **state)
{
    struct registry registry;
    stele_error *error = NULL;

    (void)state;
    registry_begin(&registry);
    support_temp_dir();
    assert_failure(STELE_IO, stele__audit_new(registry.observers, support_temp_path("no/such"), 0, &error), error);
    assert_message(error, "No such file or directory");
    stele_error_free(error);
    error = NULL;
    if (geteuid() != 0) {
        assert_int_equal(0, mkdir(support_temp_path("closed"), 0500));
        assert_status(STELE_DENIED, stele__audit_new(registry.observers, support_temp_path("closed/a"), 0, &error),
                      error);
    }
    registry_finish(&registry);
}

struct said {
    int audit_failures, slow;
    enum stele_log_level level;
    char message[64], fields[256];
};

static void hear(void *context, const struct stele_log_record *record)
{
    struct said *said = context;
    char *end = said->fields;

    said->audit_failures += strcmp(record->message, "audit is not written") == 0;
    said->slow += strcmp(record->message, "handler was slow") == 0;
    said->level = record->level;
    snprintf(said->message, sizeof(said->message), "%s", record->message);
    for (size_t i = 0; i < record->field_count; i++)
        end += snprintf(end, sizeof(said->fields) - (size_t)(end - said->fields), "%s%s=%s", i ? " " : "",
                        record->fields[i].key, record->fields[i].value);
}

static void HEX09_a_full_disk_is_logged_once_counted_and_harms_nobody_else(void **state)
{
    struct said said = {.audit_failures = 0};
    struct registry registry;
    struct stele_observer_stats stats;
    stele_error *error = NULL;

    (void)state;
    if (access("/dev/full", W_OK) != 0)
        skip();
    stele_log_use(hear, &said, STELE_LOG_WARNING);
    registry_begin(&registry);
    assert_ok(stele__audit_new(registry.observers, "/dev/full", 0, &error), error);
    tell(&registry, STELE_SEEN_HANDLED, "");
    tell(&registry, STELE_SEEN_HANDLED, "");
    registry_flush(&registry);
    assert_ok(stele__observers_stats(registry.observers, "audit", &stats, &error), error);
    assert_int_equal(2, stats.dropped);
    assert_int_equal(1, said.audit_failures);
    registry_finish(&registry);
    stele_log_use(NULL, NULL, STELE_LOG_WARNING);
}

/* Bytes of a file, and no more than so many may be in it from now on; 0 for no limit. */
static size_t limit_file(const char *path, size_t more)
{
    struct rlimit limit;
    struct stat file;

    assert_int_equal(0, stat(path, &file));
    assert_int_equal(0, getrlimit(RLIMIT_FSIZE, &limit));
    limit.rlim_cur = more ? (rlim_t)file.st_size + more : limit.rlim_max;
    assert_int_equal(0, setrlimit(RLIMIT_FSIZE, &limit));
    return (size_t)file.st_size;
}

static void a_line_that_was_cut_short_does_not_spoil_the_next_one(void **state)
{
    const char *const path = (support_temp_dir(), support_temp_path("audit.ndjson"));
    void (*const former)(int) = signal(SIGXFSZ, SIG_IGN);
    struct registry registry;
    stele_error *error = NULL;
    char line[1024];
    size_t first;
    json_t *last;
    FILE *file;

    (void)state;
    registry_begin(&registry);
    assert_ok(stele__audit_new(registry.observers, path, 0, &error), error);
    tell(&registry, STELE_SEEN_HANDLED, "");
    registry_flush(&registry);
    first = limit_file(path, 10);
    tell(&registry, STELE_SEEN_HANDLED, "");
    registry_flush(&registry);
    assert_int_equal(first + 10, limit_file(path, 0));
    tell(&registry, STELE_SEEN_FAILED, "");
    registry_finish(&registry);
    signal(SIGXFSZ, former);
    file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof(line), file));
    assert_non_null(fgets(line, sizeof(line), file));
    assert_int_equal(11, strlen(line));
    assert_non_null(fgets(line, sizeof(line), file));
    last = json_loads(line, 0, NULL);
    assert_string_equal("failed", member(last, "seen"));
    json_decref(last);
    assert_null(fgets(line, sizeof(line), file));
    fclose(file);
}

static stele_status add_both(void *context, stele_error **error)
{
    struct registry *registry = context;
    stele_status status = stele__audit_new(registry->observers, support_temp_path("audit.ndjson"), 0, error);

    if (status == STELE_OK)
        status = stele__log_observer_new(registry->observers, NULL, error);
    stele__observers_remove(registry->observers, "audit");
    stele__observers_remove(registry->observers, "log");
    return status;
}

static void adding_survives_each_failed_allocation(void **state)
{
    struct registry registry;

    (void)state;
    support_temp_dir();
    registry_begin(&registry);
    assert_int_equal(6, support_every_allocation_fails(add_both, &registry));
    registry_finish(&registry);
}

static void a_line_without_memory_is_counted_and_the_next_one_whole(void **state)
{
    const char *const path = (support_temp_dir(), support_temp_path("audit.ndjson"));
    struct registry registry;
    struct stele_observer_stats stats;
    stele_error *error = NULL;
    json_t *lines[1] = {NULL};

    (void)state;
    registry_begin(&registry);
    assert_ok(stele__audit_new(registry.observers, path, 0, &error), error);
    tell(&registry, STELE_SEEN_HANDLED, "");
    support_fail_allocations_from(1);
    registry_flush(&registry);
    support_fail_allocations_from(0);
    tell(&registry, STELE_SEEN_HANDLED, "");
    registry_flush(&registry);
    assert_ok(stele__observers_stats(registry.observers, "audit", &stats, &error), error);
    assert_int_equal(1, stats.dropped);
    assert_int_equal(1, read_lines(path, lines, 1));
    json_decref(lines[0]);
    registry_finish(&registry);
}

/* --- Records ------------------------------------------------------------------------ */

static void ORX49_a_record_has_a_level_a_message_and_fields(void **state)
{
    struct said said = {.slow = 0};
    struct registry registry;
    stele_error *error = NULL;

    (void)state;
    stele_log_use(hear, &said, STELE_LOG_DEBUG);
    registry_begin(&registry);
    assert_ok(stele__log_observer_new(registry.observers, NULL, &error), error);
    tell(&registry, STELE_SEEN_FAILED, "too dear");
    registry_flush(&registry);
    assert_int_equal(STELE_LOG_WARNING, said.level);
    assert_string_equal("handler failed", said.message);
    assert_string_equal("route=charge type=order.placed id=7 trace=root attempt=1 duration_ns=1500 status=REJECTED "
                        "text=too dear",
                        said.fields);
    tell(&registry, STELE_SEEN_HANDLED, "");
    registry_flush(&registry);
    assert_int_equal(STELE_LOG_DEBUG, said.level);
    assert_string_equal("message handled", said.message);
    assert_int_equal(0, said.slow);
    registry_finish(&registry);
    stele_log_use(NULL, NULL, STELE_LOG_WARNING);
}

static void FWK18_a_call_that_took_long_is_a_warning_of_its_own(void **state)
{
    struct stele_log_observer_options options = STELE_OPTIONS_INIT(struct stele_log_observer_options);
    struct stele_observation slow = {
        .seen = STELE_SEEN_HANDLED, .route = "r", .observed = "a", .duration_ns = INT64_C(5000000000) - 1};
    struct said said = {.slow = 0};
    struct registry registry;
    stele_error *error = NULL;

    (void)state;
    stele_log_use(hear, &said, STELE_LOG_WARNING);
    registry_begin(&registry);
    assert_ok(stele__log_observer_new(registry.observers, NULL, &error), error);
    stele__observers_notify(registry.observers, &slow);
    registry_flush(&registry);
    assert_int_equal(0, said.slow);
    slow.duration_ns++;
    stele__observers_notify(registry.observers, &slow);
    registry_flush(&registry);
    assert_int_equal(1, said.slow);
    assert_true(stele__observers_remove(registry.observers, "log"));
    /* A threshold of 0 tells of every call. */
    options.has_slow = true;
    assert_ok(stele__log_observer_new(registry.observers, &options, &error), error);
    slow.duration_ns = 0;
    stele__observers_notify(registry.observers, &slow);
    registry_flush(&registry);
    assert_int_equal(2, said.slow);
    registry_finish(&registry);
    stele_log_use(NULL, NULL, STELE_LOG_WARNING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(HEX32_an_audit_line_is_one_json_object),
        support_test(an_audit_goes_on_behind_what_is_there_and_takes_its_kinds_only),
        support_test(a_file_that_cannot_be_opened_is_said_at_once),
        support_test(HEX09_a_full_disk_is_logged_once_counted_and_harms_nobody_else),
        support_test(a_line_that_was_cut_short_does_not_spoil_the_next_one),
        support_test(adding_survives_each_failed_allocation),
        support_test(a_line_without_memory_is_counted_and_the_next_one_whole),
        support_test(ORX49_a_record_has_a_level_a_message_and_fields),
        support_test(FWK18_a_call_that_took_long_is_a_warning_of_its_own),
    };

    return cmocka_run_group_tests_name("audit", tests, NULL, NULL);
}
