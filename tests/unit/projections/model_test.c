/* Models against the types of a store, and what their statements are given of an event. */
#include "tests/unit/projections/model_stage.h"

#include <stele/upcast.h>

#include "projections/model_run.h"

#define HEAD "--! projection p 1\n"

static void assert_check_fault(const char *text, const char *line, const char *why)
{
    struct stage stage;
    stele_model *model = read_model(text);
    stele_error *error = NULL;

    begin_stage(&stage);
    assert_failure(STELE_MALFORMED, stele_model_check(model, stage.store, NULL, NULL, &error), error);
    assert_message(error, why);
    assert_string_equal(stele_error_get(error, "line"), line);
    assert_string_equal(stele_error_get(error, "path"), "m.sql");
    assert_string_equal(stele_error_get(error, "type"), "paid");
    stele_error_free(error);
    stele_model_free(model);
    end_stage(&stage);
}

/* --- Checks ----------------------------------------------------------------------------- */

static void a_field_that_the_type_has_not_is_told_with_its_line(void **state)
{
    (void)state;
    assert_check_fault(HEAD "CREATE TABLE t(a);\n--! on paid\nINSERT INTO t VALUES(\n  -- :amuont\n  :amuont)", "6",
                       "type paid has no field amuont");
    assert_check_fault(HEAD "CREATE TABLE t(a);\n--! on paid\nINSERT INTO t VALUES(@subject)", "4",
                       "type paid has no field subject");
}

static void a_field_without_a_value_is_told_with_its_line(void **state)
{
    (void)state;
    assert_check_fault(HEAD "CREATE TABLE t(a);\n--! on paid\nINSERT INTO t\nVALUES(:tags)", "5",
                       "field tags of type paid is a list of text, which has no value here");
}

static void a_column_that_cannot_take_the_kind_is_told_with_the_line_of_the_parameter(void **state)
{
    static const char *const pairs[][2] = {
        {"INTEGER", ":note"},   {"INTEGER", ":rate"},  {"INTEGER", ":photo"}, {"INTEGER", ":token"},
        {"REAL", ":note"},      {"BLOB", ":amount"},   {"BLOB", ":note"},     {"TEXT", ":photo"},
        {"INTEGER", ":stream"}, {"BLOB", ":position"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        char text[512];

        snprintf(text, sizeof(text),
                 HEAD "CREATE TABLE t(a TEXT, b %s) STRICT;\n--! on paid\nINSERT INTO t VALUES(:account,\n\n %s)",
                 pairs[i][0], pairs[i][1]);
        assert_check_fault(text, "6", "cannot store");
    }
}

static void count_warning(void *context, const char *text)
{
    char *seen = context;

    snprintf(seen + strlen(seen), 256 - strlen(seen), "%s\n", text);
}

static void a_type_that_is_not_registered_is_a_warning(void **state)
{
    char seen[256] = "";
    struct stage stage;
    stele_model *model = read_model(HEAD "CREATE TABLE t(a);\n--! on paid\nINSERT INTO t VALUES(:amount);\n"
                                         "--! on strange other\nINSERT INTO t VALUES(:what);\n"
                                         "--! on silent\nDELETE FROM t");
    stele_error *error = NULL;

    (void)state;
    begin_stage(&stage);
    assert_ok(stele_model_check(model, stage.store, count_warning, seen, &error), error);
    assert_string_equal(seen, "m.sql:5: type strange is not registered in the store: its fields cannot be checked\n"
                              "m.sql:5: type other is not registered in the store: its fields cannot be checked\n");
    assert_ok(stele_model_check(model, stage.store, NULL, NULL, &error), error);
    assert_status(STELE_INVALID, stele_model_check(NULL, stage.store, NULL, NULL, &error), error);
    stele_model_free(model);
    end_stage(&stage);
}

/* --- Values ---------------------------------------------------------------------------------- */

static void every_kind_comes_as_its_own_value_and_absent_as_NULL(void **state)
{
    struct stage stage;
    struct paid full = {.account = "a\xc3\xa9", .amount = INT64_MIN};
    stele_model *model = read_model(
        HEAD "CREATE TABLE t(position INTEGER PRIMARY KEY, all_kinds TEXT) STRICT;\n--! on paid\n"
             "INSERT INTO t VALUES(:position, format('%s %s %s %s %s %s %s %s %s', :account, :amount, quote(:note), "
             "quote(:rate), quote(:cash), quote(:token), quote(:photo), quote(:due), quote(:big)));");

    (void)state;
    begin_stage(&stage);
    append_paid(&stage, &full);
    full.note = "";
    full.rate.present = full.cash.present = full.token.present = full.due.present = full.big.present = true;
    full.rate.value = -0.5;
    full.cash.value = true;
    memcpy(full.token.value.bytes, "\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef", 16);
    full.photo = (struct stele_slice){"\0\xff", 2};
    full.due.value = -7;
    full.big.value = INT64_MAX;
    append_paid(&stage, &full);
    run_once(&stage, model, false);
    assert_string_equal(ask("SELECT all_kinds FROM t ORDER BY position LIMIT 1"),
                        "a\xc3\xa9 -9223372036854775808 NULL NULL NULL NULL NULL NULL NULL");
    assert_string_equal(ask("SELECT all_kinds FROM t ORDER BY position DESC LIMIT 1"),
                        "a\xc3\xa9 -9223372036854775808 '' -0.5 1 '01234567-89ab-cdef-0123-456789abcdef' X'00FF' -7 "
                        "9223372036854775807");
    stele_model_free(model);
    end_stage(&stage);
}

/* What one payment in parts was once. */
#define BULK(FIELD, T) FIELD(T, INT64, parts)
STELE_DECLARE(bulk, BULK);
STELE_DEFINE_EVENT(bulk, "bulk", 1, BULK);

static stele_status spread(const struct bulk *old, stele_upcast *upcast)
{
    stele_status status = STELE_OK;

    for (int64_t i = 0; i < old->parts && status == STELE_OK; i++)
        status = STELE_UPCAST_TO(upcast, paid, .account = "a", .amount = 10 + i);
    return status;
}
STELE_DEFINE_UPCAST(spread, bulk)

static void E2_an_event_that_was_split_comes_in_parts(void **state)
{
    static const struct stele_upcaster upcasters[] = {{.from = "bulk",
                                                       .from_version = 1,
                                                       .to = "paid",
                                                       .to_version = 1,
                                                       .up = spread_up,
                                                       .old_type = &bulk_type,
                                                       .new_type = &paid_type}};
    struct stele_store_options options = STELE_OPTIONS_INIT(struct stele_store_options);
    struct stage stage;
    const struct bulk bulk = {.parts = 3};
    stele_message *event = NULL;
    stele_error *error = NULL;
    stele_model *model = read_model(HEAD "CREATE TABLE t(position, part, amount, PRIMARY KEY(position, part));\n"
                                         "--! on paid\nINSERT INTO t VALUES(:position, :part, :amount)");

    (void)state;
    support_temp_dir();
    options.upcasters = upcasters;
    options.upcaster_count = 1;
    assert_ok(stele_runtime_simulated(7, &stage.runtime, &error), error);
    options.clock = stele_runtime_clock(stage.runtime);
    assert_ok(stele_store_open("memory:", &options, &stage.store, &error), error);
    pay(&stage, "b", 5);
    assert_ok(bulk_message(&bulk, NULL, &event, &error), error);
    append_message(&stage, event);
    run_once(&stage, model, false);
    assert_string_equal(
        ask("SELECT group_concat(position || '.' || part || '=' || amount, ' ') FROM (SELECT * FROM t ORDER BY 1, 2)"),
        "1.0=5 2.0=10 2.1=11 2.2=12");
    stele_model_free(model);
    end_stage(&stage);
}

static void the_envelope_comes_by_its_names(void **state)
{
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
    const struct paid payload = {.account = "a", .amount = 1};
    struct stage stage;
    stele_message *event = NULL;
    stele_error *error = NULL;
    stele_model *model = read_model(HEAD "CREATE TABLE t(a, b, c, d, e, f, g, h, i);\n--! on paid\nINSERT INTO t "
                                         "VALUES(:stream, :version, :position, :time, :subject, :id, :type, :source, "
                                         ":part)");

    (void)state;
    begin_stage(&stage);
    options.id = "id-1";
    options.source = "/here";
    options.subject = "me";
    options.has_time = true;
    options.time = 1234567890123456789;
    assert_ok(paid_message(&payload, &options, &event, &error), error);
    append_message(&stage, event);
    run_once(&stage, model, false);
    /* Position 1 is the registration of the type. */
    assert_string_equal(ask("SELECT * FROM t"), "till|1|2|1234567890123456789|me|id-1|paid|/here|0");
    stele_model_free(model);
    end_stage(&stage);
}

/* A payload that was not made from the type: an integer for a double, a UUID as bytes, keys in another order. */
static void a_raw_payload_is_read_as_it_is(void **state)
{
    /* {"token": bin 16, "other": {"account": [1]}, "amount": 5, "account": "a"} */
    static const char packed[] = "\x84\xa5token\xc4\x10\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef"
                                 "\xa5other\x81\xa7"
                                 "account\x91\x01\xa6"
                                 "amount\x05\xa7"
                                 "account\xa1"
                                 "a";
    const struct stele_raw_message raw = {.kind = STELE_EVENT,
                                          .type = "paid",
                                          .type_version = 1,
                                          .format = STELE_PAYLOAD_MSGPACK,
                                          .payload = {packed, sizeof(packed) - 1}};
    struct stage stage;
    stele_message *event = NULL;
    stele_error *error = NULL;
    stele_model *model =
        read_model(HEAD "CREATE TABLE t(a, b, c);\n--! on paid\nINSERT INTO t VALUES(:account, :amount, :token)");

    (void)state;
    begin_stage(&stage);
    assert_ok(stele_message_new_raw(&raw, NULL, &event, &error), error);
    append_message(&stage, event);
    run_once(&stage, model, false);
    assert_string_equal(ask("SELECT * FROM t"), "a|5|01234567-89ab-cdef-0123-456789abcdef");
    stele_model_free(model);
    end_stage(&stage);
}

/* --- Events that do not fit ---------------------------------------------------------------------- */

static struct stele_subscription_stats fail_on(const char *text, const struct paid *payload)
{
    struct stele_model_options options = STELE_OPTIONS_INIT(struct stele_model_options);
    struct stele_subscription_stats stats;
    struct stage stage;
    stele_subscription *subscription;
    stele_model *model = read_model(text);

    begin_stage(&stage);
    append_paid(&stage, payload);
    options.on_failure = STELE_POISON_STOP;
    subscription = start(&stage, model, &options);
    settle(&stage);
    stele_subscription_get_stats(subscription, &stats);
    stele_subscription_free(subscription);
    stele_model_free(model);
    end_stage(&stage);
    return stats;
}

static void a_natural_number_beyond_INTEGER_is_a_failure(void **state)
{
    const struct paid payload = {.account = "a", .big = {(uint64_t)INT64_MAX + 1, true}};
    const struct stele_subscription_stats stats =
        fail_on(HEAD "CREATE TABLE t(a);\n--! on paid\nINSERT INTO t VALUES(:big)", &payload);

    (void)state;
    assert_int_equal(stats.state, STELE_SUBSCRIPTION_FAILED);
    assert_int_equal(stats.last_error, STELE_LIMIT);
    assert_non_null(strstr(stats.last_error_text, "m.sql:4: "));
}

static void a_value_that_grows_beyond_all_bounds_is_a_failure(void **state)
{
    const struct paid payload = {.account = "a", .amount = 100 * 1000 * 1000};
    const struct stele_subscription_stats stats =
        fail_on(HEAD "CREATE TABLE t(a);\n--! on paid\nINSERT INTO t VALUES(hex(zeroblob(:amount)))", &payload);

    (void)state;
    assert_int_equal(stats.state, STELE_SUBSCRIPTION_FAILED);
    assert_int_equal(stats.last_error, STELE_LIMIT);
    assert_non_null(strstr(stats.last_error_text, "m.sql:4: a value is too big"));
}

static void the_present_moment_as_a_value_of_an_event_is_a_failure(void **state)
{
    const struct paid payload = {.account = "now"};
    const struct stele_subscription_stats stats =
        fail_on(HEAD "CREATE TABLE t(a);\n--! on paid\nINSERT INTO t VALUES(date(:account))", &payload);

    (void)state;
    assert_int_equal(stats.last_error, STELE_INVALID);
    assert_non_null(strstr(stats.last_error_text, "present moment"));
}

static void a_section_that_fails_has_no_effect_at_all(void **state)
{
    const struct paid payload = {.account = "a", .amount = 1};
    const struct stele_subscription_stats stats =
        fail_on(HEAD "CREATE TABLE t(a INTEGER UNIQUE);\n--! on paid\nINSERT INTO t VALUES(:amount + 1);\n"
                     "INSERT INTO t VALUES(:amount);\nINSERT INTO t VALUES(:amount);",
                &payload);

    (void)state;
    assert_int_equal(stats.last_error, STELE_INVALID);
    assert_non_null(strstr(stats.last_error_text, "m.sql:6: UNIQUE constraint failed: t.a"));
    assert_string_equal(ask("SELECT count(*) FROM t"), "0");
}

/* --- Memory ------------------------------------------------------------------------------------------- */

struct applying {
    struct stage stage;
    stele_model *model;
    stele_message *event;
};

static stele_status apply_once(void *context, stele_error **error)
{
    const struct applying *applying = context;
    struct stele__model_run *run = NULL;
    stele_views *views = NULL;
    stele_status status = stele__model_run_new(applying->model, applying->stage.store, NULL, NULL, &run, error);

    if (status == STELE_OK)
        status = stele_views_open(read_db(), NULL, &views, error);
    if (status == STELE_OK)
        status = stele_views_begin(views, error);
    if (status == STELE_OK)
        status = stele__model_make_tables(applying->model, views, error);
    if (status == STELE_OK)
        status = stele__model_check_tables(applying->model, views, error);
    if (status == STELE_OK)
        status = stele__model_apply(run, views, applying->event, error);
    stele__model_run_free(run);
    stele_views_close(views);
    return status;
}

static void applying_survives_every_failed_allocation(void **state)
{
    struct applying applying;
    const struct paid payload = {.account = "a", .amount = 1};
    stele_error *error = NULL;

    (void)state;
    begin_stage(&applying.stage);
    applying.model =
        read_model(HEAD "CREATE TABLE t(a, b);\n--! on paid\nINSERT INTO t VALUES(:account, date(:amount));\n"
                        "DELETE FROM t WHERE a = :note");
    assert_ok(paid_message(&payload, NULL, &applying.event, &error), error);
    assert_true(support_every_allocation_fails(apply_once, &applying) > 0);
    stele_message_unref(applying.event);
    stele_model_free(applying.model);
    end_stage(&applying.stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(a_field_that_the_type_has_not_is_told_with_its_line),
        support_test(a_field_without_a_value_is_told_with_its_line),
        support_test(a_column_that_cannot_take_the_kind_is_told_with_the_line_of_the_parameter),
        support_test(a_type_that_is_not_registered_is_a_warning),
        support_test(every_kind_comes_as_its_own_value_and_absent_as_NULL),
        support_test(E2_an_event_that_was_split_comes_in_parts),
        support_test(the_envelope_comes_by_its_names),
        support_test(a_raw_payload_is_read_as_it_is),
        support_test(a_natural_number_beyond_INTEGER_is_a_failure),
        support_test(a_value_that_grows_beyond_all_bounds_is_a_failure),
        support_test(the_present_moment_as_a_value_of_an_event_is_a_failure),
        support_test(a_section_that_fails_has_no_effect_at_all),
        support_test(applying_survives_every_failed_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
