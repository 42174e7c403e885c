/* The table of a projection, checked; what a function is given, and what becomes of its errors; health of all (ORX-35). */
#include "tests/unit/projections/stage.h"

#include "projections/projecting.h"

#include <string.h>

/* --- What is wrong with a table -------------------------------------------------------------------- */

static void assert_refused(const struct stele_projection *projection, void *model, stele_status expected,
                           const char *why)
{
    stele_error *error = NULL;

    assert_failure(expected, stele__projection_check(projection, model, &error), error);
    assert_message(error, why);
    stele_error_free(error);
}

static void a_table_says_what_is_wrong_with_it(void **state)
{
    static const struct stele_view *const views_twice[] = {&purse_view, &purse_view, NULL};
    static const struct stele_retry bad_retry = {.factor = 0.5};
    struct stele_projection_on doubled[] = {totals_on[0], totals_on[0]};
    struct stele_projection_on bare[] = {{.type = &put_in_type}};
    char long_name[STELE_PROJECTION_NAME_MAX + 2];
    struct totals model = {0};
    struct stele_projection bad;

    (void)state;
#define BAD(from, member, value, with, why) \
    bad = from; \
    bad.member = value; \
    assert_refused(&bad, with, STELE_INVALID, why)
    assert_refused(NULL, NULL, STELE_INVALID, "projection");
    BAD(totals, name, NULL, &model, "no name");
    BAD(totals, name, "two words", &model, "letters, digits");
    BAD(totals, version, 0, &model, "versions begin with 1");
    BAD(totals, on_count, 0, &model, "no function");
    BAD(totals, on, doubled, &model, "two functions for purse.put_in");
    BAD(totals, on, bare, &model, "on[0] has no function");
    BAD(totals, reset, NULL, &model, "no function `reset`");
    BAD(totals, views, purse_views, &model, "has no views");
    BAD(totals, start, STELE_START_NOW, &model, "does not start there");
    BAD(totals, retry, &bad_retry, &model, "factor");
    BAD(totals, on_failure, (enum stele_poison_policy)9, &model, "policy");
    BAD(totals, kind, (enum stele_projection_kind)9, &model, "kind is none");
    BAD(totals, version, 1, NULL, "was given no model");
    BAD(purses, version, 1, &model, "was given a model");
    BAD(purses, views, NULL, NULL, "it has no views");
    BAD(purses, views, views_twice, NULL, "two views");
    BAD(purses, reset, reset_totals, NULL, "only a projection in memory is reset");
    BAD(inline_purses, on_failure, STELE_POISON_STOP, NULL, "no policy");
    BAD(letters, start, STELE_START_TIME, NULL, "does not start there");
#undef BAD
    memset(long_name, 'n', sizeof(long_name));
    long_name[STELE_PROJECTION_NAME_MAX] = '\0';
    bad = totals;
    bad.name = long_name;
    assert_int_equal(stele__projection_check(&bad, &model, NULL), STELE_OK);
    long_name[STELE_PROJECTION_NAME_MAX] = 'n';
    long_name[STELE_PROJECTION_NAME_MAX + 1] = '\0';
    assert_refused(&bad, &model, STELE_LIMIT, "name");
    bad = totals;
    bad.batch = STELE_SUBSCRIPTION_BATCH_MAX + 1;
    assert_refused(&bad, &model, STELE_LIMIT, "batch");
}

/* --- One event ---------------------------------------------------------------------------------------- */

struct looking {
    struct totals totals;
    bool tries;
    bool silent;
    size_t used;
};

static stele_status look_at(struct looking *model, const struct put_in *event, stele_projecting *at)
{
    model->used = stele_arena_used(stele_projecting_arena(at));
    assert_non_null(stele_arena_alloc(stele_projecting_arena(at), 5000));
    if (model->tries) /* and goes on */
        stele_projecting_fail(at, STELE_BUSY, "not now");
    if (model->silent)
        return STELE_TIMEOUT;
    model->totals.sum += event->amount;
    return STELE_OK;
}
STELE_DEFINE_PROJECT_WITH(look_at, put_in, looking)

static const struct stele_projection_on looking_on[] = {{&put_in_type, look_at_project}};
static const struct stele_projection looking = {
    .name = "looking",
    .version = 1,
    .kind = STELE_PROJECTION_IN_MEMORY,
    .on = looking_on,
    .on_count = 1,
    .reset = reset_totals,
};

static void the_arena_is_emptied_and_an_error_of_a_try_is_forgotten(void **state)
{
    struct looking model = {.tries = true};
    struct stele_projecting at;
    stele_message *event = new_put("a", 5);
    stele_error *error = NULL;
    size_t used;

    (void)state;
    assert_ok(stele__projecting_init(&at, &looking, &error), error);
    assert_ok(stele__project(&at, &model, event, &error), error);
    used = model.used;
    for (int i = 0; i < 3; i++)
        assert_ok(stele__project(&at, &model, event, &error), error);
    assert_int_equal(model.used, used);
    assert_int_equal(model.totals.sum, 20);
    stele_message_unref(event);
    stele__projecting_fini(&at);
}

static void a_failure_without_a_word_is_told_as_its_status_and_place(void **state)
{
    struct looking model = {.silent = true};
    struct stele_projecting at;
    stele_message *event = new_put("a", 5);
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele__projecting_init(&at, &looking, &error), error);
    assert_failure(STELE_TIMEOUT, stele__project(&at, &model, event, &error), error);
    assert_message(error, "projection looking, position 0: the time was up");
    assert_string_equal(stele_error_get(error, "type"), "purse.put_in");
    stele_error_free(error);
    assert_int_equal(stele__project(&at, &model, event, NULL), STELE_TIMEOUT);
    stele_message_unref(event);
    stele__projecting_fini(&at);
}

static void an_event_of_another_version_or_without_a_payload_fails(void **state)
{
    const struct stele_raw_message newer = {
        .kind = STELE_EVENT, .type = "purse.put_in", .type_version = 2, .format = STELE_PAYLOAD_NONE};
    const struct stele_raw_message empty = {
        .kind = STELE_EVENT, .type = "purse.put_in", .type_version = 1, .format = STELE_PAYLOAD_NONE};
    struct looking model = {.tries = false};
    struct stele_projecting at;
    stele_message *event = NULL;
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele__projecting_init(&at, &looking, &error), error);
    assert_ok(stele_message_new_raw(&newer, NULL, &event, &error), error);
    assert_failure(STELE_INVALID, stele__project(&at, &model, event, &error), error);
    assert_message(error, "of version 2");
    stele_error_free(error);
    error = NULL;
    stele_message_unref(event);
    assert_ok(stele_message_new_raw(&empty, NULL, &event, &error), error);
    assert_failure(STELE_INVALID, stele__project(&at, &model, event, &error), error);
    assert_message(error, "no MessagePack payload");
    stele_error_free(error);
    stele_message_unref(event);
    stele__projecting_fini(&at);
}

/* --- Health of all ------------------------------------------------------------------------------------- */

struct names {
    char text[256];
    unsigned most;
};

static bool note_name(void *context, const struct stele_projection_stats *stats)
{
    struct names *names = context;
    const size_t used = strlen(names->text);

    snprintf(names->text + used, sizeof(names->text) - used, "%s:%u:%d:%s ", stats->name, stats->version, stats->kind,
             stats->running.is_healthy ? "well" : "ill");
    return --names->most > 0;
}

static void ORX35_one_that_is_ill_is_seen_beside_the_others_until_it_is_well(void **state)
{
    struct names all = {.most = 9};
    struct names after = {.most = 9};
    struct names first = {.most = 1};
    struct letters out = {""};
    struct totals model = {0};
    stele_error *error = NULL;
    struct stage stage;

    (void)state;
    begin_stage(&stage, "memory:", NULL);
    put_many(stage.store, 3);
    failing = (struct failing){.amount = 2, .times = 1, .status = STELE_BUSY};
    add(&stage, &totals, &model);
    run(&stage);
    add(&stage, &inline_purses, NULL);
    add(&stage, &letters, &out);
    run(&stage);
    assert_ok(stele_projections_visit(stage.projections, note_name, &all, &error), error);
    assert_string_equal(all.text, "totals:1:2:ill inline:1:1:well letters:1:3:well ");
    assert_string_equal(out.text, "letters:1 letters:2 letters:3 ");
    stele_runtime_advance(stage.runtime, 5 * SECOND);
    assert_ok(stele_projections_visit(stage.projections, note_name, &after, &error), error);
    assert_string_equal(after.text, "totals:1:2:well inline:1:1:well letters:1:3:well ");
    assert_int_equal(stats_of(&stage, "totals").running.errors, 1);
    assert_ok(stele_projections_visit(stage.projections, note_name, &first, &error), error);
    assert_string_equal(first.text, "totals:1:2:well ");
    assert_status(STELE_INVALID, stele_projections_visit(stage.projections, NULL, NULL, &error), error);
    end_stage(&stage);
}

static void arguments_are_checked_where_they_come_in(void **state)
{
    struct stele_projections_options wide = STELE_OPTIONS_INIT(struct stele_projections_options);
    stele_projections *projections = NULL;
    stele_error *error = NULL;
    struct stage stage;

    (void)state;
    begin_stage(&stage, "memory:", NULL);
    assert_status(STELE_INVALID, stele_projections_new(NULL, stage.runtime, NULL, &projections, &error), error);
    assert_status(STELE_INVALID, stele_projections_new(stage.store, NULL, NULL, &projections, &error), error);
    assert_status(STELE_INVALID, stele_projections_new(stage.store, stage.runtime, NULL, NULL, &error), error);
    wide.size = 1;
    assert_status(STELE_INVALID, stele_projections_new(stage.store, stage.runtime, &wide, &projections, &error), error);
    assert_status(STELE_INVALID, stele_projections_add(NULL, &totals, NULL, &error), error);
    assert_status(STELE_INVALID, stele_projections_add(stage.projections, NULL, NULL, &error), error);
    assert_status(STELE_INVALID, stele_projections_add_model(stage.projections, NULL, &error), error);
    assert_status(STELE_INVALID, stele_projections_rebuild(stage.projections, NULL, &error), error);
    assert_status(STELE_NOT_FOUND, stele_projections_rollback(stage.projections, "none", &error), error);
    assert_null(stele_projections_subscription(stage.projections, "none"));
    stele_projections_free(NULL);
    end_stage(&stage);
}

/* --- SQL files among them ------------------------------------------------------------------------------------- */

static void an_sql_file_is_a_projection_as_the_others(void **state)
{
    static const char text[] = "--! projection counts 3\n"
                               "CREATE TABLE tally(account TEXT PRIMARY KEY, puts INTEGER NOT NULL) STRICT;\n"
                               "--! on purse.put_in\n"
                               "INSERT INTO tally VALUES (:account, 1)\n"
                               "    ON CONFLICT(account) DO UPDATE SET puts = puts + 1;\n";
    stele_model *model = NULL;
    stele_error *error = NULL;
    struct stage stage;

    (void)state;
    support_temp_dir();
    assert_ok(stele_model_parse(support_slice(text), "counts.sql", &model, &error), error);
    for (int in_store = 0; in_store < 2; in_store++) {
        begin_stage(&stage, support_temp_path(in_store ? "one.db" : "two.db"),
                    in_store ? NULL : support_temp_path("views.db"));
        put_many(stage.store, 4);
        assert_ok(stele_projections_add_model(stage.projections, model, &error), error);
        wait_for(&stage, "counts", 4);
        assert_int_equal(stats_of(&stage, "counts").version, 3);
        assert_int_equal(stats_of(&stage, "counts").running.handled, 4);
        assert_ok(stele_projections_rebuild(stage.projections, "counts", &error), error);
        wait_for(&stage, "counts", 4);
        assert_false(stats_of(&stage, "counts").is_building);
        assert_status(STELE_INVALID, stele_projections_add_model(stage.projections, model, &error), error);
        end_stage(&stage);
    }
    stele_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(a_table_says_what_is_wrong_with_it),
        support_test(the_arena_is_emptied_and_an_error_of_a_try_is_forgotten),
        support_test(a_failure_without_a_word_is_told_as_its_status_and_place),
        support_test(an_event_of_another_version_or_without_a_payload_fails),
        support_test(ORX35_one_that_is_ill_is_seen_beside_the_others_until_it_is_well),
        support_test(arguments_are_checked_where_they_come_in),
        support_test(an_sql_file_is_a_projection_as_the_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
