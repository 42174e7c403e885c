/* Projections into anything: at least once, with a delivery id, and knowing what is a replay. */
#include "tests/unit/projections/stage.h"

#include <stele/upcast.h>

static void each_event_has_one_delivery_id_whenever_it_comes(void **state)
{
    struct letters out = {""};
    struct stage stage;

    (void)state;
    begin_stage(&stage, "memory:", NULL);
    put_many(stage.store, 3);
    failing = (struct failing){.amount = 2, .times = 1, .status = STELE_BUSY};
    add(&stage, &letters, &out);
    run(&stage);
    assert_string_equal(out.text, "letters:1 ");
    stele_runtime_advance(stage.runtime, 10 * SECOND);
    assert_string_equal(out.text, "letters:1 letters:2 letters:3 ");
    end_stage(&stage);
}

static void a_restart_goes_on_where_it_stopped(void **state)
{
    struct letters out = {""};
    struct stage stage;

    (void)state;
    begin_stage(&stage, "memory:", NULL);
    put_many(stage.store, 3);
    add(&stage, &letters, &out);
    run(&stage);
    restart(&stage, NULL);
    out.text[0] = '\0';
    put(stage.store, "a", 4);
    add(&stage, &letters, &out);
    run(&stage);
    assert_string_equal(out.text, "letters:4 ");
    end_stage(&stage);
}

static void E4_another_version_begins_again_and_what_went_out_is_a_replay(void **state)
{
    struct stele_projection second = letters;
    struct letters out = {""};
    struct stage stage;

    (void)state;
    begin_stage(&stage, "memory:", NULL);
    put_many(stage.store, 3);
    add(&stage, &letters, &out);
    run(&stage);
    restart(&stage, NULL);
    put(stage.store, "a", 4);
    second.version = 2;
    out.text[0] = '\0';
    add(&stage, &second, &out);
    run(&stage);
    assert_string_equal(out.text, "(letters:1) (letters:2) (letters:3) letters:4 ");
    end_stage(&stage);
}

static void one_that_starts_now_has_nothing_of_before(void **state)
{
    struct stele_projection now = letters;
    struct letters out = {""};
    stele_error *error = NULL;
    struct stage stage;

    (void)state;
    begin_stage(&stage, "memory:", NULL);
    put_many(stage.store, 3);
    now.start = STELE_START_NOW;
    add(&stage, &now, &out);
    put(stage.store, "a", 4);
    run(&stage);
    assert_string_equal(out.text, "letters:4 ");
    assert_status(STELE_INVALID, stele_projections_rebuild(stage.projections, "letters", &error), error);
    assert_status(STELE_INVALID, stele_projections_rollback(stage.projections, "letters", &error), error);
    end_stage(&stage);
}

/* --- Parts -------------------------------------------------------------------------------------- */

#define PUT_TWICE(FIELD, T) FIELD(T, TEXT, account) FIELD(T, INT64, first) FIELD(T, INT64, second)
STELE_DECLARE(put_twice, PUT_TWICE);
STELE_DEFINE_EVENT(put_twice, "purse.put_twice", 1, PUT_TWICE);

static stele_status split(const struct put_twice *old, stele_upcast *upcast)
{
    stele_status status = STELE_UPCAST_TO(upcast, put_in, .account = old->account, .amount = old->first);

    if (status == STELE_OK)
        status = STELE_UPCAST_TO(upcast, put_in, .account = old->account, .amount = old->second);
    return status;
}
STELE_DEFINE_UPCAST(split, put_twice)

static const struct stele_upcaster upcasters[] = {{.from = "purse.put_twice",
                                                   .from_version = 1,
                                                   .to = "purse.put_in",
                                                   .to_version = 1,
                                                   .up = split_up,
                                                   .old_type = &put_twice_type,
                                                   .new_type = &put_in_type}};

/* Both parts of an event at one position are told apart, in whatever is made of them. */
static void E2_parts_of_an_event_have_delivery_ids_of_their_own(void **state)
{
    const struct put_twice payload = {.account = "a", .first = 1, .second = 2};
    struct stele_store_options options = STELE_OPTIONS_INIT(struct stele_store_options);
    struct totals model = {0};
    struct letters out = {""};
    stele_message *event = NULL;
    stele_error *error = NULL;
    struct stage stage;

    (void)state;
    begin_stage(&stage, "memory:", NULL);
    stele_projections_free(stage.projections);
    stele_store_close(stage.store);
    options.upcasters = upcasters;
    options.upcaster_count = 1;
    assert_ok(stele_store_open("memory:", &options, &stage.store, &error), error);
    assert_ok(stele_projections_new(stage.store, stage.runtime, NULL, &stage.projections, &error), error);
    assert_ok(put_twice_message(&payload, NULL, &event, &error), error);
    assert_ok(stele_append(stage.store, "purse-a", stele_expect_any(), event, NULL, &error), error);
    stele_message_unref(event);
    put(stage.store, "a", 3);
    failing = (struct failing){.amount = 2, .times = 2, .status = STELE_BUSY};
    add(&stage, &letters, &out);
    add(&stage, &totals, &model);
    run(&stage);
    stele_runtime_advance(stage.runtime, 30 * SECOND);
    /* The first part goes out again with the second: at least once. */
    assert_string_equal(out.text, "letters:1:0 letters:1:0 letters:1:1 letters:2 ");
    assert_string_equal(model.order, "1 2 3 ");
    end_stage(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(each_event_has_one_delivery_id_whenever_it_comes),
        support_test(a_restart_goes_on_where_it_stopped),
        support_test(E4_another_version_begins_again_and_what_went_out_is_a_replay),
        support_test(one_that_starts_now_has_nothing_of_before),
        support_test(E2_parts_of_an_event_have_delivery_ids_of_their_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
