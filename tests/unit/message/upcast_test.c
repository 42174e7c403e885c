/* Tables of upcasters: what is refused, which way an event goes, what becomes of it. */
#include "tests/support/support.h"

#include "message/upcast.h"

#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* --- Types: an amount in euros, then in cents, then with a currency, then split ------------- */

#define PAID_1(FIELD, T) FIELD(T, TEXT, order) FIELD(T, INT64, amount)
#define PAID_2(FIELD, T) FIELD(T, TEXT, order) FIELD(T, INT64, cents, STELE_POSITIVE)
#define PAID_3(FIELD, T) FIELD(T, TEXT, order) FIELD(T, INT64, cents) FIELD(T, TEXT, currency)
#define CHARGED(FIELD, T) FIELD(T, INT64, cents)
STELE_DECLARE(paid_1, PAID_1);
STELE_DECLARE(paid_2, PAID_2);
STELE_DECLARE(paid_3, PAID_3);
STELE_DECLARE(charged, CHARGED);
STELE_DECLARE(charge, CHARGED);
STELE_DEFINE_EVENT(paid_1, "order.paid", 1, PAID_1);
STELE_DEFINE_EVENT(paid_2, "order.paid", 2, PAID_2);
STELE_DEFINE_EVENT(paid_3, "order.paid", 3, PAID_3);
STELE_DEFINE_EVENT(charged, "order.charged", 1, CHARGED);
STELE_DEFINE_COMMAND(charge, "order.paid", 2, CHARGED);

static stele_status to_2(const struct paid_1 *old, stele_upcast *upcast)
{
    return STELE_UPCAST_TO(upcast, paid_2, .order = old->order, .cents = old->amount * 100);
}
STELE_DEFINE_UPCAST(to_2, paid_1)

static stele_status to_3(const struct paid_2 *old, stele_upcast *upcast)
{
    return STELE_UPCAST_TO(upcast, paid_3, .order = old->order, .cents = old->cents, .currency = "EUR");
}
STELE_DEFINE_UPCAST(to_3, paid_2)

static stele_status straight_to_3(const struct paid_1 *old, stele_upcast *upcast)
{
    return STELE_UPCAST_TO(upcast, paid_3, .order = old->order, .cents = old->amount * 100, .currency = "JUMP");
}
STELE_DEFINE_UPCAST(straight_to_3, paid_1)

#define STEP_1_2 \
    { \
        .from = "order.paid", .from_version = 1, .to = "order.paid", .to_version = 2, .up = to_2_up, \
        .old_type = &paid_1_type, .new_type = &paid_2_type \
    }
#define STEP_2_3 \
    { \
        .from = "order.paid", .from_version = 2, .to = "order.paid", .to_version = 3, .up = to_3_up, \
        .old_type = &paid_2_type, .new_type = &paid_3_type \
    }
#define STEP_1_3 \
    { \
        .from = "order.paid", .from_version = 1, .to = "order.paid", .to_version = 3, .up = straight_to_3_up, \
        .old_type = &paid_1_type, .new_type = &paid_3_type \
    }
#define BETWEEN(name, version, to_name, new_version) \
    { \
        .from = (name), .from_version = (version), .to = (to_name), .to_version = (new_version) \
    }

/* --- Refusals ------------------------------------------------------------------------------------ */

static void assert_refused(const struct stele_upcaster *upcasters, size_t count, const char *message)
{
    stele_error *error = NULL;

    assert_failure(STELE_INVALID, stele_upcasters_check(upcasters, count, &error), error);
    assert_message(error, message);
    assert_string_equal(stele_error_get(error, "argument"), "upcasters");
    stele_error_free(error);
    assert_int_equal(stele_upcasters_check(upcasters, count, NULL), STELE_INVALID);
}

static void ORX29_malformed_steps_are_refused(void **state)
{
    static const struct stele_change some[] = {STELE_DROP("a")};
    static const struct stele_change broken[] = {STELE_SET("a", "{")};
    static const struct {
        struct stele_upcaster step;
        const char *message;
    } cases[] = {
        {BETWEEN(NULL, 1, "a", 2), "upcaster ? 1 -> a 2: a name is NULL"},
        {BETWEEN("a", 1, NULL, 2), "a name is NULL"},
        {BETWEEN("", 1, "a", 2), "type"},
        {BETWEEN("a", 0, "a", 2), "a version is 0"},
        {BETWEEN("a", 1, "b", 0), "a version is 0"},
        {BETWEEN("a", 1, "a", 1), "upcaster a 1 -> a 1: it leads from a shape to itself"},
        {BETWEEN("a", 2, "a", 1), "upcaster a 2 -> a 1: it goes back in versions"},
        {BETWEEN("stele.handler.failed", 1, "a", 1), "the library's own"},
        {{.from = "order.paid", .from_version = 1, .to = "order.paid", .to_version = 2, .up = to_2_up}, "both types"},
        {{.from = "order.paid",
          .from_version = 1,
          .to = "order.paid",
          .to_version = 3,
          .up = to_2_up,
          .old_type = &paid_1_type,
          .new_type = &paid_2_type},
         "its new type is order.paid 2"},
        {{.from = "order.payed",
          .from_version = 1,
          .to = "order.paid",
          .to_version = 2,
          .up = to_2_up,
          .old_type = &paid_1_type,
          .new_type = &paid_2_type},
         "its old type is order.paid 1"},
        {{.from = "order.paid",
          .from_version = 1,
          .to = "order.paid",
          .to_version = 2,
          .up = to_2_up,
          .old_type = &paid_1_type,
          .new_type = &charge_type},
         "not messages of one kind"},
        {{.from = "order.paid",
          .from_version = 1,
          .to = "order.paid",
          .to_version = 2,
          .up = to_2_up,
          .old_type = &paid_1_type,
          .new_type = &paid_2_type,
          .other_count = 1},
         "its other types are NULL"},
        {{.from = "order.paid",
          .from_version = 1,
          .to = "order.paid",
          .to_version = 2,
          .up = to_2_up,
          .old_type = &paid_1_type,
          .new_type = &paid_2_type,
          .changes = some,
          .change_count = 1},
         "a function and changes"},
        {{.from = "a", .from_version = 1, .to = "a", .to_version = 2, .old_type = &paid_1_type},
         "types, but no function"},
        {{.from = "a", .from_version = 1, .to = "a", .to_version = 2, .change_count = 1}, "its changes are NULL"},
        {{.from = "a", .from_version = 1, .to = "a", .to_version = 2, .changes = broken, .change_count = 1},
         "upcaster a 1 -> a 2: the value of \"a\""},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_refused(&cases[i].step, 1, cases[i].message);
    assert_refused(NULL, 1, "is NULL");
}

static void ORX29_two_steps_between_the_same_shapes_are_refused(void **state)
{
    static const struct stele_upcaster twice[] = {BETWEEN("a", 1, "b", 1), BETWEEN("a", 1, "c", 1),
                                                  BETWEEN("a", 1, "b", 1)};

    (void)state;
    assert_refused(twice, COUNT(twice), "upcaster a 1 -> b 1: there are two steps");
}

static void E2_a_circle_is_refused_with_its_path(void **state)
{
    static const struct stele_upcaster circle[] = {BETWEEN("in", 1, "a", 1), BETWEEN("a", 1, "b", 7),
                                                   BETWEEN("b", 7, "c", 1), BETWEEN("c", 1, "a", 1)};
    static const struct stele_type *const others[] = {&paid_1_type};
    static const struct stele_upcaster split[] = {{.from = "order.paid",
                                                   .from_version = 1,
                                                   .to = "order.paid",
                                                   .to_version = 2,
                                                   .up = to_2_up,
                                                   .old_type = &paid_1_type,
                                                   .new_type = &paid_2_type,
                                                   .others = others,
                                                   .other_count = 1}};

    (void)state;
    assert_refused(circle, COUNT(circle), "upcasters lead in a circle: a 1 -> b 7 -> c 1 -> a 1");
    assert_refused(split, 1, "upcasters lead in a circle: order.paid 1 -> order.paid 1");
}

static void more_steps_than_the_limit_are_refused(void **state)
{
    static struct stele_upcaster steps[STELE_UPCASTERS_MAX + 1];
    stele_error *error = NULL;

    (void)state;
    for (uint32_t i = 0; i < COUNT(steps); i++)
        steps[i] = (struct stele_upcaster)BETWEEN("a", i + 1, "a", i + 2);
    assert_ok(stele_upcasters_check(steps, STELE_UPCASTERS_MAX, &error), error);
    assert_failure(STELE_LIMIT, stele_upcasters_check(steps, STELE_UPCASTERS_MAX + 1, &error), error);
    assert_string_equal(stele_error_get(error, "limit"), "1024");
    assert_string_equal(stele_error_get(error, "actual"), "1025");
    stele_error_free(error);
    error = NULL;
    assert_ok(stele_upcasters_check(NULL, 0, &error), error);
}

/* --- Ways ---------------------------------------------------------------------------------------- */

/* The ways as text: "a 1 -> b 1, " for each shape that has a next one. */
static void print_ways(const struct stele_upcaster *upcasters, size_t count, struct stele__buffer *text)
{
    struct stele__upcasting *upcasting = NULL;
    stele_error *error = NULL;
    bool marks[32];

    assert_ok(stele__upcasting_new(upcasters, count, STELE_PAYLOAD_DEFAULT, &upcasting, &error), error);
    assert_true(upcasting->shape_count <= COUNT(marks));
    memset(marks, true, sizeof(marks));
    stele__upcasting_print(upcasting, marks, text);
    stele__upcasting_free(upcasting);
}

static void assert_ways(const struct stele_upcaster *upcasters, size_t count, const char *expected)
{
    struct stele__buffer text;

    stele__buffer_init(&text);
    print_ways(upcasters, count, &text);
    stele__buffer_add_byte(&text, '\0');
    assert_string_equal(text.data, expected);
    stele__buffer_fini(&text);
}

static void E2_the_shortest_way_is_taken(void **state)
{
    static const struct stele_upcaster steps[] = {BETWEEN("a", 1, "a", 2), BETWEEN("a", 2, "a", 3),
                                                  BETWEEN("a", 1, "a", 3), BETWEEN("old", 4, "a", 1)};

    (void)state;
    assert_ways(steps, COUNT(steps), "upcast a 1 -> a 3\nupcast a 2 -> a 3\nupcast old 4 -> a 1\n");
}

/* From 1, both 1-2-5 and 1-4-5 are two steps, and so is 1-3-5: the step to 4 goes farthest. */
static void E2_of_equally_short_ways_the_longest_jump_is_taken(void **state)
{
    static const struct stele_upcaster steps[] = {BETWEEN("a", 1, "a", 2), BETWEEN("a", 1, "a", 4),
                                                  BETWEEN("a", 1, "a", 3), BETWEEN("a", 2, "a", 5),
                                                  BETWEEN("a", 3, "a", 5), BETWEEN("a", 4, "a", 5)};
    static const struct stele_upcaster alike[] = {BETWEEN("a", 1, "y", 2), BETWEEN("a", 1, "x", 2),
                                                  BETWEEN("a", 1, "z", 2)};

    (void)state;
    assert_ways(steps, COUNT(steps), "upcast a 1 -> a 4\nupcast a 2 -> a 5\nupcast a 3 -> a 5\nupcast a 4 -> a 5\n");
    assert_ways(alike, COUNT(alike), "upcast a 1 -> y 2\n");
}

/* --- Running ------------------------------------------------------------------------------------- */

static const char stream_name[] = "order-7";

struct running {
    struct stele__upcasting *upcasting;
    stele_message *original;
    struct stele_message stored; /* the same, as a store lends it */
    struct stele__upcasts upcasts;
};

static stele_status make_original(stele_message **out, stele_error **error)
{
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
    const struct paid_1 payload = {.order = "A-1", .amount = 12};

    options.id = "0190163d-8694-739b-aea5-966c26f8ad91";
    options.subject = "customer-3";
    options.correlationid = "c-1";
    options.causationid = "c-2";
    options.has_time = true;
    options.time = 1000;
    return paid_1_message(&payload, &options, out, error);
}

static stele_status begin(struct running *running, const struct stele_upcaster *upcasters, size_t count,
                          size_t payload_limit, stele_error **error)
{
    stele_status status = stele__upcasting_new(upcasters, count, payload_limit, &running->upcasting, error);

    if (status == STELE_OK)
        status = make_original(&running->original, error);
    if (status != STELE_OK)
        return status;
    memcpy(&running->stored, running->original, sizeof(running->stored));
    running->stored.self = &running->stored;
    running->stored.stream = support_slice(stream_name);
    running->stored.version = 5;
    running->stored.position = 42;
    return STELE_OK;
}

static stele_status run(struct running *running, stele_error **error)
{
    const struct stele__shape *shape =
        stele__upcasting_find(running->upcasting, running->stored.type, running->stored.type_version);

    return stele__upcast_run(running->upcasting, shape, &running->stored, &running->upcasts, error);
}

static void end(struct running *running)
{
    stele__upcasts_fini(&running->upcasts);
    stele_message_unref(running->original);
    stele__upcasting_free(running->upcasting);
}

static const stele_message *part(const struct running *running, size_t index)
{
    return stele__vector_at(&running->upcasts.messages, index);
}

static void assert_paid_3(const stele_message *message, const char *currency)
{
    stele_arena *arena = NULL;
    stele_error *error = NULL;
    struct paid_3 paid;

    assert_ok(stele_arena_new(&arena, &error), error);
    assert_ok(paid_3_read(message, arena, &paid, &error), error);
    assert_string_equal(paid.order, "A-1");
    assert_int_equal(paid.cents, 1200);
    assert_string_equal(paid.currency, currency);
    stele_arena_free(arena);
}

static void assert_text(struct stele_slice slice, const char *text)
{
    assert_int_equal(slice.size, strlen(text));
    assert_memory_equal(slice.data, text, slice.size);
}

/* The event in the shape of today, by whatever steps. */
static void assert_becomes(const struct stele_upcaster *upcasters, size_t count, const char *currency)
{
    struct running running = {0};
    stele_error *error = NULL;

    assert_ok(begin(&running, upcasters, count, STELE_PAYLOAD_DEFAULT, &error), error);
    for (int round = 0; round < 2; round++) {
        assert_ok(run(&running, &error), error);
        assert_int_equal(running.upcasts.messages.count, 1);
        assert_paid_3(part(&running, 0), currency);
    }
    end(&running);
}

static void ORX30_an_event_goes_step_by_step(void **state)
{
    static const struct stele_upcaster steps[] = {STEP_2_3, STEP_1_2};

    (void)state;
    assert_becomes(steps, COUNT(steps), "EUR");
}

static void ORX30_a_direct_step_is_used(void **state)
{
    static const struct stele_upcaster steps[] = {STEP_1_2, STEP_2_3, STEP_1_3};

    (void)state;
    assert_becomes(steps, COUNT(steps), "JUMP");
}

/* Function, changes, function, and the other way round: what is under way is bytes, then a struct, then bytes. */
static void functions_and_changes_may_take_turns(void **state)
{
    static const struct stele_change to_cents[] = {STELE_RENAME("amount", "cents"), STELE_SET("cents", "1200")};
    static const struct stele_change add[] = {STELE_ADD("currency", "\"USD\"")};
    static const struct stele_upcaster declared_first[] = {{.from = "order.paid",
                                                            .from_version = 1,
                                                            .to = "order.paid",
                                                            .to_version = 2,
                                                            .changes = to_cents,
                                                            .change_count = 2},
                                                           STEP_2_3};
    static const struct stele_upcaster declared_last[] = {
        STEP_1_2,
        {.from = "order.paid",
         .from_version = 2,
         .to = "order.paid",
         .to_version = 3,
         .changes = add,
         .change_count = 1},
    };

    (void)state;
    assert_becomes(declared_first, COUNT(declared_first), "EUR");
    assert_becomes(declared_last, COUNT(declared_last), "USD");
}

static void E2_identity_time_position_and_correlation_stay(void **state)
{
    static const struct stele_upcaster steps[] = {STEP_1_2, STEP_2_3};
    struct running running = {0};
    const stele_message *message;
    stele_error *error = NULL;

    (void)state;
    assert_ok(begin(&running, steps, COUNT(steps), STELE_PAYLOAD_DEFAULT, &error), error);
    assert_ok(run(&running, &error), error);
    message = part(&running, 0);
    assert_text(stele_message_id(message), "0190163d-8694-739b-aea5-966c26f8ad91");
    assert_text(stele_message_subject(message), "customer-3");
    assert_text(stele_message_source(message), "stele");
    assert_text(stele_message_correlationid(message), "c-1");
    assert_text(stele_message_causationid(message), "c-2");
    assert_text(stele_message_stream(message), stream_name);
    assert_text(stele_message_type(message), "order.paid");
    assert_int_equal(stele_message_type_version(message), 3);
    assert_int_equal(stele_message_time(message), 1000);
    assert_int_equal(stele_message_version(message), 5);
    assert_int_equal(stele_message_position(message), 42);
    assert_int_equal(stele_message_part(message), 0);
    assert_int_equal(running.stored.type_version, 1);
    end(&running);
}

/* --- Splitting ------------------------------------------------------------------------------------ */

static int split_how; /* events of `charged` to give beside the payment */

static stele_status split(const struct paid_1 *old, stele_upcast *upcast)
{
    stele_status status = STELE_OK;

    if (split_how < 0)
        return STELE_OK;
    status = STELE_UPCAST_TO(upcast, paid_2, .order = old->order, .cents = old->amount * 100);
    for (int i = 0; i < split_how && status == STELE_OK; i++)
        status = STELE_UPCAST_TO(upcast, charged, .cents = i);
    return status;
}
STELE_DEFINE_UPCAST(split, paid_1)

static const struct stele_type *const split_others[] = {&charged_type};
static const struct stele_upcaster split_steps[] = {
    {.from = "order.paid",
     .from_version = 1,
     .to = "order.paid",
     .to_version = 2,
     .up = split_up,
     .old_type = &paid_1_type,
     .new_type = &paid_2_type,
     .others = split_others,
     .other_count = 1},
    STEP_2_3,
};

static void E2_an_event_becomes_several_each_on_its_own_way(void **state)
{
    struct running running = {0};
    stele_error *error = NULL;

    (void)state;
    split_how = 2;
    assert_ok(begin(&running, split_steps, COUNT(split_steps), STELE_PAYLOAD_DEFAULT, &error), error);
    assert_ok(run(&running, &error), error);
    assert_int_equal(running.upcasts.messages.count, 3);
    assert_paid_3(part(&running, 0), "EUR");
    for (size_t i = 0; i < 3; i++) {
        stele_message *kept = stele_message_ref(part(&running, i));

        assert_non_null(kept);
        assert_int_equal(stele_message_part(kept), i);
        assert_int_equal(stele_message_position(kept), 42);
        assert_true(stele_message_is(kept, i == 0 ? &paid_3_type : &charged_type));
        stele_message_unref(kept);
    }
    split_how = -1;
    assert_ok(run(&running, &error), error);
    assert_int_equal(running.upcasts.messages.count, 0);
    end(&running);
}

/* The payment counts too, and its second step: 1,024 events are given with 1,022 charges. */
static void an_event_becomes_no_more_than_the_limit(void **state)
{
    struct running running = {0};
    stele_error *error = NULL;

    (void)state;
    split_how = STELE_UPCAST_EVENTS_MAX - 2;
    assert_ok(begin(&running, split_steps, COUNT(split_steps), STELE_PAYLOAD_DEFAULT, &error), error);
    assert_ok(run(&running, &error), error);
    assert_int_equal(running.upcasts.messages.count, STELE_UPCAST_EVENTS_MAX - 1);
    split_how++;
    assert_failure(STELE_CORRUPT, run(&running, &error), error);
    assert_message(error, "STELE_UPCAST_EVENTS_MAX");
    stele_error_free(error);
    end(&running);
}

/* --- Failing --------------------------------------------------------------------------------------- */

static enum { REFUSE, RETURN_FAULT, BREAK_RULE, WRONG_TYPE, GIVE_NULL, IGNORE_FAILURE, BREAK_TEXT } misdeed;

static stele_status misbehave(const struct paid_1 *old, stele_upcast *upcast)
{
    switch (misdeed) {
    case REFUSE:
        return stele_upcast_fail(upcast, "order %s of %.*s is odd", old->order,
                                 STELE_SLICE(stele_message_subject(stele_upcast_message(upcast))));
    case RETURN_FAULT: return STELE_NOT_FOUND;
    case BREAK_RULE: return STELE_UPCAST_TO(upcast, paid_2, .order = old->order, .cents = 0);
    case WRONG_TYPE: return STELE_UPCAST_TO(upcast, charged, .cents = 1);
    case GIVE_NULL: return stele_upcast_give(upcast, &paid_2_type, NULL);
    case IGNORE_FAILURE:
        assert_int_equal(STELE_UPCAST_TO(upcast, charged, .cents = 1), STELE_INVALID);
        STELE_UPCAST_TO(upcast, paid_2, .order = old->order, .cents = 1);
        return STELE_OK;
    case BREAK_TEXT: return STELE_UPCAST_TO(upcast, paid_2, .order = "\xff", .cents = 1);
    }
    return STELE_OK;
}
STELE_DEFINE_UPCAST(misbehave, paid_1)

static const struct stele_upcaster misbehaving[] = {
    {.from = "order.paid",
     .from_version = 1,
     .to = "order.paid",
     .to_version = 2,
     .up = misbehave_up,
     .old_type = &paid_1_type,
     .new_type = &paid_2_type},
};

static void a_step_that_fails_is_named_with_the_event(void **state)
{
    static const char *const messages[] = {
        [REFUSE] = "event at position 42: upcaster order.paid 1 -> order.paid 2: order A-1 of customer-3 is odd",
        [RETURN_FAULT] = "its function returned",
        [BREAK_RULE] = "cents",
        [WRONG_TYPE] = "it gave a order.charged of version 1, which it does not name",
        [GIVE_NULL] = "it gave NULL",
        [IGNORE_FAILURE] = "it gave a order.charged",
        [BREAK_TEXT] = "order",
    };
    struct running running = {0};
    stele_error *error = NULL;

    (void)state;
    assert_ok(begin(&running, misbehaving, 1, STELE_PAYLOAD_DEFAULT, &error), error);
    for (size_t i = 0; i < COUNT(messages); i++) {
        misdeed = i;
        assert_failure(STELE_CORRUPT, run(&running, &error), error);
        assert_message(error, messages[i]);
        assert_string_equal(stele_error_get(error, "position"), "42");
        assert_string_equal(stele_error_get(error, "stream"), stream_name);
        assert_string_equal(stele_error_get(error, "version"), "5");
        assert_string_equal(stele_error_get(error, "step"), "order.paid 1 -> order.paid 2");
        stele_error_free(error);
        error = NULL;
        assert_int_equal(run(&running, NULL), STELE_CORRUPT);
        assert_int_equal(running.upcasts.messages.count, 0);
    }
    end(&running);
}

static void a_later_step_is_named_where_it_fails(void **state)
{
    static const struct stele_change clash[] = {STELE_RENAME("cents", "order")};
    static const struct stele_upcaster steps[] = {
        STEP_1_2,
        {.from = "order.paid",
         .from_version = 2,
         .to = "order.paid",
         .to_version = 3,
         .changes = clash,
         .change_count = 1},
    };
    struct running running = {0};
    stele_error *error = NULL;

    (void)state;
    assert_ok(begin(&running, steps, COUNT(steps), STELE_PAYLOAD_DEFAULT, &error), error);
    assert_failure(STELE_CORRUPT, run(&running, &error), error);
    assert_message(error, "upcaster order.paid 2 -> order.paid 3: \"cents\" cannot become \"order\"");
    stele_error_free(error);
    end(&running);
}

/* {"order":"A-1","cents":1200}: 1 + 6 + 4 + 6 + 3 = 20 bytes. */
static void a_new_payload_is_held_to_the_limit(void **state)
{
    static const struct stele_upcaster steps[] = {STEP_1_2};
    struct running running = {0};
    stele_error *error = NULL;

    (void)state;
    assert_ok(begin(&running, steps, 1, 20, &error), error);
    assert_ok(run(&running, &error), error);
    assert_int_equal(stele_message_payload(part(&running, 0)).size, 20);
    running.upcasting->payload_limit = 19;
    assert_failure(STELE_CORRUPT, run(&running, &error), error);
    assert_message(error, "payload");
    stele_error_free(error);
    end(&running);
}

static void a_payload_that_does_not_decode_is_the_step_s_failure(void **state)
{
    static const struct stele_upcaster steps[] = {STEP_1_2};
    static const struct stele_upcaster renamed[] = {BETWEEN("order.paid", 1, "order.settled", 1)};
    struct running running = {0};
    stele_error *error = NULL;

    (void)state;
    assert_ok(begin(&running, steps, 1, STELE_PAYLOAD_DEFAULT, &error), error);
    running.stored.payload = support_slice("\x80");
    assert_failure(STELE_CORRUPT, run(&running, &error), error);
    assert_message(error, "order");
    stele_error_free(error);
    error = NULL;
    running.stored.format = STELE_PAYLOAD_BYTES;
    assert_failure(STELE_CORRUPT, run(&running, &error), error);
    assert_message(error, "no MessagePack payload");
    stele_error_free(error);
    error = NULL;
    end(&running);

    /* A new name is no business of the payload's. */
    memset(&running, 0, sizeof(running));
    assert_ok(begin(&running, renamed, 1, STELE_PAYLOAD_DEFAULT, &error), error);
    running.stored.format = STELE_PAYLOAD_BYTES;
    running.stored.payload = support_slice("\xc1");
    assert_ok(run(&running, &error), error);
    assert_text(stele_message_type(part(&running, 0)), "order.settled");
    assert_text(stele_message_payload(part(&running, 0)), "\xc1");
    end(&running);
}

/* --- Memory ------------------------------------------------------------------------------------------ */

static stele_status attempt(void *context, stele_error **error)
{
    static const struct stele_change add[] = {STELE_ADD("note", "\"text\"")};
    static const struct stele_upcaster steps[] = {
        {.from = "order.paid",
         .from_version = 1,
         .to = "order.paid",
         .to_version = 2,
         .up = split_up,
         .old_type = &paid_1_type,
         .new_type = &paid_2_type,
         .others = split_others,
         .other_count = 1},
        STEP_2_3,
        {.from = "order.charged",
         .from_version = 1,
         .to = "order.charged",
         .to_version = 2,
         .changes = add,
         .change_count = 1},
    };
    struct running running = {0};
    stele_status status = begin(&running, steps, COUNT(steps), STELE_PAYLOAD_DEFAULT, error);

    (void)context;
    split_how = 20;
    if (status == STELE_OK)
        status = run(&running, error);
    end(&running);
    return status;
}

static void upcasting_survives_every_failing_allocation(void **state)
{
    (void)state;
    assert_true(support_every_allocation_fails(attempt, NULL) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(ORX29_malformed_steps_are_refused),
        support_test(ORX29_two_steps_between_the_same_shapes_are_refused),
        support_test(E2_a_circle_is_refused_with_its_path),
        support_test(more_steps_than_the_limit_are_refused),
        support_test(E2_the_shortest_way_is_taken),
        support_test(E2_of_equally_short_ways_the_longest_jump_is_taken),
        support_test(ORX30_an_event_goes_step_by_step),
        support_test(ORX30_a_direct_step_is_used),
        support_test(functions_and_changes_may_take_turns),
        support_test(E2_identity_time_position_and_correlation_stay),
        support_test(E2_an_event_becomes_several_each_on_its_own_way),
        support_test(an_event_becomes_no_more_than_the_limit),
        support_test(a_step_that_fails_is_named_with_the_event),
        support_test(a_later_step_is_named_where_it_fails),
        support_test(a_new_payload_is_held_to_the_limit),
        support_test(a_payload_that_does_not_decode_is_the_step_s_failure),
        support_test(upcasting_survives_every_failing_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
