/* Routes after the commit, of events that upcasters split: every part comes, once, to those that want it. */
#include "tests/unit/bus/log_stage.h"

#include <stele/upcast.h>

enum { NOTED = 300 }; /* more than are in flight */

#define NUMBER(FIELD, T) FIELD(T, INT64, n)
STELE_DECLARE(combined, NUMBER);
STELE_DECLARE(noted, NUMBER);
STELE_DECLARE(paid, NUMBER);
STELE_DEFINE_EVENT(combined, "order.combined", 1, NUMBER);
STELE_DEFINE_EVENT(noted, "order.noted", 1, NUMBER);
STELE_DEFINE_EVENT(paid, "order.paid", 1, NUMBER);

static stele_status take_apart(const struct combined *old, stele_upcast *upcast)
{
    stele_status status = STELE_OK;

    for (int64_t i = 0; i < NOTED && status == STELE_OK; i++)
        status = STELE_UPCAST_TO(upcast, noted, .n = i);
    return status == STELE_OK ? STELE_UPCAST_TO(upcast, paid, .n = old->n) : status;
}
STELE_DEFINE_UPCAST(take_apart, combined)

static const struct stele_type *const others[] = {&paid_type};
static const struct stele_upcaster upcasters[] = {{.from = "order.combined",
                                                   .from_version = 1,
                                                   .to = "order.noted",
                                                   .to_version = 1,
                                                   .up = take_apart_up,
                                                   .old_type = &combined_type,
                                                   .new_type = &noted_type,
                                                   .others = others,
                                                   .other_count = 1}};

static stele_store *open_store(void)
{
    struct stele_store_options options = STELE_OPTIONS_INIT(struct stele_store_options);
    stele_store *store = NULL;
    stele_error *error = NULL;

    options.upcasters = upcasters;
    options.upcaster_count = 1;
    assert_ok(stele_store_open("memory:", &options, &store, &error), error);
    return store;
}

/* The parts in their order, of one event after the other. */
struct parts {
    uint64_t position;
    unsigned next;
    unsigned count;
};

static stele_status count_part(void *resource, const stele_message *message, stele_context *context)
{
    struct parts *parts = resource;
    const uint64_t position = stele_message_position(message);

    (void)context;
    if (position != parts->position)
        parts->next = 0;
    parts->position = position;
    if (stele_message_part(message) != parts->next++)
        return STELE_FAILED;
    parts->count++;
    return STELE_OK;
}

static const struct stele_route all_parts = {
    .name = "all", .on = "order.>", .handle = count_part, .delivery = STELE_DURABLE, .begin = STELE_BEGIN_FIRST};
static const struct stele_route payments = {
    .name = "paid", .on = "order.paid", .handle = note, .delivery = STELE_DURABLE, .begin = STELE_BEGIN_FIRST};

static void E2_every_part_of_a_split_event_comes_once(void **state)
{
    struct log_stage stage = {.store = open_store()};
    struct parts parts = {0};
    struct notes notes = NOTES;
    stele_error *error = NULL;

    (void)state;
    log_stage_append(stage.store, "order.combined", "a");
    log_stage_append(stage.store, "order.noted", "b");
    log_stage_append(stage.store, "order.combined", "c");
    log_stage_begin(&stage, 0);
    assert_ok(stele_bus_add_route(stage.bus, &all_parts, &parts, NULL, &error), error);
    log_stage_route(&stage, &payments, &notes);
    stele_runtime_run_until_idle(stage.runtime);
    assert_int_equal(parts.count, 2 * (NOTED + 1) + 1);
    assert_string_equal(notes.text, "a c ");
    assert_int_equal(log_stage_stats(&stage, "all").position, 3);
    assert_int_equal(log_stage_stats(&stage, "paid").position, 3);
    log_stage_end(&stage);
    stele_store_close(stage.store);
}

/* Fails on the parts 1, 2 and 3 as long as it is told to; otherwise writes down which came. */
struct sieve {
    bool fails;
    char text[64];
};

static stele_status sift(void *resource, const stele_message *message, stele_context *context)
{
    struct sieve *sieve = resource;
    const unsigned part = stele_message_part(message);
    const size_t used = strlen(sieve->text);

    (void)context;
    if (part == 0 || part > 3)
        return STELE_OK;
    if (sieve->fails)
        return STELE_FAILED;
    snprintf(sieve->text + used, sizeof(sieve->text) - used, "%u@%d ", part, (int)stele_message_position(message));
    return STELE_OK;
}

static bool add_letter(void *context, const struct stele_dead_letter *letter)
{
    char *text = context;
    const size_t used = strlen(text);

    snprintf(text + used, 128 - used, "%s=%d/%u ", letter->id, (int)letter->position,
             letter->message ? stele_message_part(letter->message) : 99);
    return true;
}

/* The reference of a letter was that of the event: all parts that failed were one letter, and came back as the first. */
static void ORX44_each_part_that_failed_is_a_letter_of_its_own(void **state)
{
    static const struct stele_route sifting = {
        .name = "sift", .on = "order.>", .handle = sift, .delivery = STELE_DURABLE, .begin = STELE_BEGIN_FIRST};
    const struct stele_dead_query last = {.size = sizeof(last), .id = "a#3"};
    struct log_stage stage = {.store = open_store()};
    struct sieve sieve = {.fails = true};
    char text[128] = "";
    uint64_t count = 0;
    stele_error *error = NULL;

    (void)state;
    log_stage_append(stage.store, "order.combined", "a");
    log_stage_begin(&stage, 0);
    assert_ok(stele_bus_add_route(stage.bus, &sifting, &sieve, NULL, &error), error);
    stele_runtime_run_until_idle(stage.runtime);
    assert_ok(stele_dead_list(stage.bus, NULL, add_letter, text, &error), error);
    assert_string_equal(text, "a#1=1/1 a#2=1/2 a#3=1/3 ");
    sieve.fails = false;
    assert_ok(stele_dead_drop(stage.bus, &last, &count, &error), error);
    assert_int_equal(count, 1);
    assert_ok(stele_dead_requeue(stage.bus, NULL, &count, &error), error);
    assert_int_equal(count, 2);
    stele_runtime_run_until_idle(stage.runtime);
    assert_string_equal(sieve.text, "1@1 2@1 ");
    text[0] = '\0';
    assert_ok(stele_dead_list(stage.bus, NULL, add_letter, text, &error), error);
    assert_string_equal(text, "");
    log_stage_end(&stage);
    stele_store_close(stage.store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(E2_every_part_of_a_split_event_comes_once),
        support_test(ORX44_each_part_that_failed_is_a_letter_of_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
