/*
 * Shapes of flows over several handlers: routers, soft errors, pipelines (KHO-14, KHO-15, KHO-17), steps in sequence and
 * beside each other, choreographed sagas, compensation, aggregation (NTH-22 to NTH-25). What is durable of these is a
 * process; here they are handlers on a bus.
 */
#include "tests/unit/bus/fixture.h"

#include <stdio.h>
#include <string.h>

static stele_status deliver_payload(const struct stele_type *type, const void *payload)
{
    stele_message *message = NULL;
    stele_error *error = NULL;
    stele_status status;

    assert_ok(stele_message_new(type, payload, NULL, &message, &error), error);
    status = stele_deliver(fixture_bus, message, NULL, NULL, &error);
    stele_error_free(error);
    stele_message_unref(message);
    return status;
}

/* --- KHO-14: a router -------------------------------------------------------------------------------- */

#define PAYMENT(FIELD, T) FIELD(T, INT64, amount) FIELD(T, TEXT, currency) FIELD(T, BOOL, express)
STELE_DECLARE(payment, PAYMENT);
STELE_DEFINE_EVENT(payment, "payment.asked", 1, PAYMENT);

static const char *branch_of(const struct payment *payment)
{
    if (payment->express)
        return "payment.express";
    if (strcmp(payment->currency, "EUR") != 0)
        return "payment.foreign";
    return payment->amount >= 1000 ? "payment.large" : "payment.small";
}

static stele_status route_payment(const struct payment *payment, stele_context *context)
{
    return stele_context_forward(context, branch_of(payment));
}
STELE_DEFINE_HANDLER(route_payment, payment);

static const char trace[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

static stele_status note_branch(void *resource, const stele_message *message, stele_context *context)
{
    const struct stele_slice type = stele_message_type(message);
    const struct stele_slice traceparent = stele_message_traceparent(message);
    const bool is_traced =
        traceparent.size == sizeof(trace) - 1 && memcmp(traceparent.data, trace, traceparent.size) == 0;
    char word[64];

    (void)resource;
    (void)context;
    snprintf(word, sizeof(word), "%.*s%s", STELE_SLICE(type), is_traced ? "+" : "-");
    fixture_write(word);
    return STELE_OK;
}

static void KHO14_a_router_chooses_the_next_name_and_the_trace_goes_along(void **state)
{
    static const struct stele_route router = {
        .name = "router", .on = "payment.asked", .handle = route_payment_handle, .delivery = STELE_QUEUED};
    static const char *const names[] = {"payment.express", "payment.foreign", "payment.large", "payment.small"};
    static struct stele_route branches[4];
    static const struct payment payments[] = {
        {5, "EUR", false}, {1000, "EUR", false}, {5000, "CHF", false}, {5000, "CHF", true}};
    const struct stele_message_options options = {.size = sizeof(options), .traceparent = trace};
    stele_error *error = NULL;

    (void)state;
    fixture_add(&router, NULL);
    for (size_t i = 0; i < 4; i++) {
        branches[i] = (struct stele_route){
            .name = names[i], .on = names[i], .handle = note_branch, .delivery = i % 2 ? STELE_QUEUED : STELE_INLINE};
        fixture_add(&branches[i], NULL);
    }
    for (size_t i = 0; i < 4; i++) {
        stele_message *message = NULL;

        assert_ok(payment_message(&payments[i], &options, &message, &error), error);
        assert_ok(stele_deliver(fixture_bus, message, NULL, NULL, &error), error);
        stele_message_unref(message);
    }
    assert_string_equal(fixture_recorded(), "payment.small+ payment.large+ payment.foreign+ payment.express+");
}

/* --- KHO-15: soft errors; KHO-17: one struct all along ------------------------------------------------- */

#define SHEET(FIELD, T) FIELD(T, TEXT, steps) FIELD(T, TEXT, status) FIELD(T, INT64, total)
STELE_DECLARE(sheet, SHEET);
STELE_DEFINE_EVENT(sheet, "sheet", 1, SHEET);

/* A block: adds its number, unless an earlier one has set a status; the fifth one's result is what all ends with. */
struct block {
    const char *name; /* of the step, one character */
    const char *next; /* type of what it gives */
    const char *fails;
    unsigned worked;
};

static stele_status work(struct block *block, const struct sheet *sheet, stele_context *context)
{
    struct stele_type next = sheet_type;
    char steps[32];
    const bool is_sound = strcmp(sheet->status, "ok") == 0;
    const struct sheet result = {.steps = steps,
                                 .status = is_sound && block->fails ? block->fails : sheet->status,
                                 .total = sheet->total + (is_sound ? 1 : 0)};

    snprintf(steps, sizeof(steps), "%s%s", sheet->steps, is_sound ? block->name : "-");
    block->worked += is_sound;
    next.name = block->next;
    return stele_context_publish(context, &next, &result, NULL);
}

static stele_status read_sheet(struct block *block, const stele_message *message, stele_context *context)
{
    struct stele_type type = sheet_type;
    stele_arena *arena = NULL;
    struct sheet sheet;
    stele_status status = stele_arena_new(&arena, NULL);

    type.name = stele_message_type(message).data;
    if (status == STELE_OK)
        status = stele_message_read(message, &type, arena, &sheet, NULL);
    if (status == STELE_OK && block) {
        status = work(block, &sheet, context);
    } else if (status == STELE_OK) {
        char word[64];

        snprintf(word, sizeof(word), "%s/%s/%d", sheet.steps, sheet.status, (int)sheet.total);
        fixture_write(word);
    }
    stele_arena_free(arena);
    return status;
}

static stele_status handle_sheet(void *resource, const stele_message *message, stele_context *context)
{
    return read_sheet(resource, message, context);
}

static const char *const sheet_names[] = {"sheet", "sheet.1", "sheet.2", "sheet.3", "sheet.4", "sheet.5"};

static void run_sheet(struct block blocks[5])
{
    static struct stele_route routes[6];
    const struct sheet empty = {.steps = "", .status = "ok", .total = 0};

    for (size_t i = 0; i < 6; i++) {
        routes[i] = (struct stele_route){.name = sheet_names[i],
                                         .on = sheet_names[i],
                                         .handle = handle_sheet,
                                         .delivery = i % 2 ? STELE_INLINE : STELE_QUEUED};
        if (i < 5) {
            blocks[i].name = (const char *const[]){"a", "b", "c", "d", "e"}[i];
            blocks[i].next = sheet_names[i + 1];
        }
        fixture_add(&routes[i], i < 5 ? &blocks[i] : NULL);
    }
    assert_int_equal(deliver_payload(&sheet_type, &empty), STELE_OK);
}

static void KHO15_behind_a_soft_error_the_blocks_let_everything_pass(void **state)
{
    static struct block blocks[5];

    (void)state;
    memset(blocks, 0, sizeof(blocks));
    blocks[1].fails = "no stock";
    run_sheet(blocks);
    assert_string_equal(fixture_recorded(), "ab---/no stock/2");
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(blocks[i].worked, i < 2);
        assert_int_equal(fixture_stats(sheet_names[i]).dead, 0); /* it is no failure */
    }
}

static void KHO17_one_struct_is_enriched_from_block_to_block(void **state)
{
    static struct block blocks[5];

    (void)state;
    memset(blocks, 0, sizeof(blocks));
    run_sheet(blocks);
    assert_string_equal(fixture_recorded(), "abcde/ok/5");
}

/* --- KHO-17: another struct in and out of each block ----------------------------------------------------- */

#define LINE(FIELD, T) FIELD(T, TEXT, text)
STELE_DECLARE(line, LINE);
STELE_DEFINE_EVENT(line, "etl.line", 1, LINE);
#define PARSED(FIELD, T) FIELD(T, INT64, celsius)
STELE_DECLARE(parsed, PARSED);
STELE_DEFINE_EVENT(parsed, "etl.parsed", 1, PARSED);
#define CONVERTED(FIELD, T) FIELD(T, DOUBLE, fahrenheit)
STELE_DECLARE(converted, CONVERTED);
STELE_DEFINE_EVENT(converted, "etl.converted", 1, CONVERTED);

static stele_status parse(const struct line *line, stele_context *context)
{
    int celsius;

    if (sscanf(line->text, "t=%d", &celsius) != 1)
        return stele_context_fail(context, STELE_REJECTED, "no temperature");
    return STELE_PUBLISH(context, parsed, .celsius = celsius);
}
STELE_DEFINE_HANDLER(parse, line);

static stele_status convert(const struct parsed *parsed, stele_context *context)
{
    return STELE_PUBLISH(context, converted, .fahrenheit = (double)parsed->celsius * 1.8 + 32);
}
STELE_DEFINE_HANDLER(convert, parsed);

static stele_status load(const struct converted *converted, stele_context *context)
{
    char word[32];

    (void)context;
    snprintf(word, sizeof(word), "%.1f", converted->fahrenheit);
    fixture_write(word);
    return STELE_OK;
}
STELE_DEFINE_HANDLER(load, converted);

static void KHO17_each_block_has_types_of_its_own(void **state)
{
    static const struct stele_type *const gives_parsed[] = {&parsed_type, NULL};
    static const struct stele_type *const gives_converted[] = {&converted_type, NULL};
    static const struct stele_route routes[] = {
        {.name = "parse", .type = &line_type, .handle = parse_handle, .publishes = gives_parsed},
        {.name = "convert",
         .type = &parsed_type,
         .handle = convert_handle,
         .publishes = gives_converted,
         .delivery = STELE_QUEUED},
        {.name = "load", .type = &converted_type, .handle = load_handle},
    };
    const struct line good = {.text = "t=100"};
    const struct line bad = {.text = "?"};

    (void)state;
    for (size_t i = 0; i < 3; i++)
        fixture_add(&routes[i], NULL);
    assert_int_equal(deliver_payload(&line_type, &good), STELE_OK);
    assert_int_equal(deliver_payload(&line_type, &bad), STELE_REJECTED);
    assert_string_equal(fixture_recorded(), "212.0");
}

/* --- NTH-22: in sequence, beside each other, by what the data say ------------------------------------------- */

#define STEP(FIELD, T) FIELD(T, TEXT, name)
STELE_DECLARE(step, STEP);
STELE_DEFINE_COMMAND(step, "flow.step", 1, STEP);
STELE_DECLARE(skip, STEP);
STELE_DEFINE_COMMAND(skip, "flow.skip", 1, STEP);
#define FLOW(FIELD, T) FIELD(T, TEXT, way)
STELE_DECLARE(flow, FLOW);
STELE_DEFINE_COMMAND(flow, "flow.begin", 1, FLOW);

static stele_status take_step(const struct step *step, stele_context *context)
{
    (void)context;
    fixture_write(step->name);
    return strcmp(step->name, "bad") == 0 ? STELE_FAILED : STELE_OK;
}
STELE_DEFINE_HANDLER(take_step, step);

static stele_status take_skip(const struct skip *skip, stele_context *context)
{
    (void)context;
    (void)skip;
    fixture_write("skipped");
    return STELE_OK;
}
STELE_DEFINE_HANDLER(take_skip, skip);

static stele_status do_step(stele_context *context, const char *name)
{
    const struct step payload = {.name = name};
    const struct stele_message_options options = {.size = sizeof(options), .cause = stele_context_message(context)};
    stele_message *message = NULL;
    stele_status status = step_message(&payload, &options, &message, NULL);

    if (status == STELE_OK)
        status = stele_deliver(stele_context_bus(context), message, NULL, NULL, NULL);
    stele_message_unref(message);
    return status;
}

static stele_status go(const struct flow *flow, stele_context *context)
{
    if (strcmp(flow->way, "sequence") == 0) {
        static const char *const names[] = {"0", "1", "2", "3", "4"};
        stele_status status = STELE_OK;

        for (size_t i = 0; i < 5 && status == STELE_OK; i++)
            status = do_step(context, names[i]);
        fixture_write("end");
        return status;
    }
    if (strcmp(flow->way, "parallel") == 0) {
        STELE_PUBLISH(context, step, .name = "left");
        return STELE_PUBLISH(context, step, .name = "right");
    }
    return strcmp(flow->way, "short") == 0 ? STELE_PUBLISH(context, skip, .name = "")
                                           : STELE_PUBLISH(context, step, .name = "long");
}
STELE_DEFINE_HANDLER(go, flow);

static void add_flow(void)
{
    static const struct stele_route begin = {
        .name = "begin", .type = &flow_type, .handle = go_handle, .delivery = STELE_QUEUED};
    static const struct stele_route steps = {
        .name = "steps", .type = &step_type, .handle = take_step_handle, .delivery = STELE_QUEUED, .partition = "name"};
    static const struct stele_route skips = {.name = "skips", .type = &skip_type, .handle = take_skip_handle};

    fixture_add(&begin, NULL);
    fixture_add(&steps, NULL);
    fixture_add(&skips, NULL);
}

/* Bold, 3.2: dispatching did not wait, so that the steps 0, 1, 2 of a "sequential" flow completed as 2, 1, 0. Whatever
 * order a simulation draws, it is theirs here; each step is in a mailbox of its own. */
static void NTH22_bug_steps_in_sequence_end_in_the_order_they_are_declared_in(void **state)
{
    const struct flow payload = {.way = "sequence"};

    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        stele_error *error = NULL;

        stele_bus_free(fixture_bus);
        stele_runtime_free(fixture_runtime);
        fixture_bus = NULL;
        fixture_runtime = NULL;
        assert_ok(stele_runtime_simulated(seed, &fixture_runtime, &error), error);
        assert_ok(stele_bus_new(fixture_runtime, NULL, &fixture_bus, &error), error);
        add_flow();
        assert_int_equal(deliver_payload(&flow_type, &payload), STELE_OK);
        assert_string_equal(fixture_recorded(), "0 1 2 3 4 end");
    }
}

static void NTH22_steps_beside_each_other_are_all_done_when_the_unit_is(void **state)
{
    const struct flow payload = {.way = "parallel"};
    const char *recorded;

    (void)state;
    add_flow();
    assert_int_equal(deliver_payload(&flow_type, &payload), STELE_OK);
    recorded = fixture_recorded();
    assert_non_null(strstr(recorded, "left"));
    assert_non_null(strstr(recorded, "right"));
}

static void NTH22_data_decide_which_step_comes(void **state)
{
    const struct flow brief = {.way = "short"};
    const struct flow thorough = {.way = "thorough"};

    (void)state;
    add_flow();
    assert_int_equal(deliver_payload(&flow_type, &brief), STELE_OK);
    assert_int_equal(deliver_payload(&flow_type, &thorough), STELE_OK);
    assert_string_equal(fixture_recorded(), "skipped long");
}

/* --- NTH-23: a saga without a conductor ----------------------------------------------------------------------- */

#define ORDER(FIELD, T) FIELD(T, TEXT, order) FIELD(T, INT64, amount)
STELE_DECLARE(placed, ORDER);
STELE_DEFINE_EVENT(placed, "saga.placed", 1, ORDER);
STELE_DECLARE(charge, ORDER);
STELE_DEFINE_COMMAND(charge, "saga.charge", 1, ORDER);
STELE_DECLARE(charged, ORDER);
STELE_DEFINE_EVENT(charged, "saga.charged", 1, ORDER);
STELE_DECLARE(ship, ORDER);
STELE_DEFINE_COMMAND(ship, "saga.ship", 1, ORDER);
STELE_DECLARE(ship_failed, ORDER);
STELE_DEFINE_EVENT(ship_failed, "saga.ship.failed", 1, ORDER);
STELE_DECLARE(refund, ORDER);
STELE_DEFINE_COMMAND(refund, "saga.refund", 1, ORDER);

static stele_status on_placed(const struct placed *event, stele_context *context)
{
    return STELE_PUBLISH(context, charge, .order = event->order, .amount = event->amount);
}
STELE_DEFINE_HANDLER(on_placed, placed);

static stele_status do_charge(const struct charge *command, stele_context *context)
{
    fixture_write("charge");
    return STELE_PUBLISH(context, charged, .order = command->order, .amount = command->amount);
}
STELE_DEFINE_HANDLER(do_charge, charge);

static stele_status on_charged(const struct charged *event, stele_context *context)
{
    return STELE_PUBLISH(context, ship, .order = event->order, .amount = event->amount);
}
STELE_DEFINE_HANDLER(on_charged, charged);

/* What went wrong is an event, for others to react to. */
static stele_status do_ship(const struct ship *command, stele_context *context)
{
    if (strcmp(command->order, "lost") == 0)
        return STELE_PUBLISH(context, ship_failed, .order = command->order, .amount = command->amount);
    fixture_write("ship");
    return STELE_OK;
}
STELE_DEFINE_HANDLER(do_ship, ship);

static stele_status on_ship_failed(const struct ship_failed *event, stele_context *context)
{
    return STELE_PUBLISH(context, refund, .order = event->order, .amount = event->amount);
}
STELE_DEFINE_HANDLER(on_ship_failed, ship_failed);

static stele_status do_refund(const struct refund *command, stele_context *context)
{
    char word[32];

    (void)context;
    snprintf(word, sizeof(word), "refund:%s:%d", command->order, (int)command->amount);
    fixture_write(word);
    return STELE_OK;
}
STELE_DEFINE_HANDLER(do_refund, refund);

static void NTH23_a_failure_told_as_an_event_leads_to_the_refund(void **state)
{
    static const struct stele_route routes[] = {
        {.name = "on-placed", .type = &placed_type, .handle = on_placed_handle},
        {.name = "charge", .type = &charge_type, .handle = do_charge_handle, .delivery = STELE_QUEUED},
        {.name = "on-charged", .type = &charged_type, .handle = on_charged_handle},
        {.name = "ship", .type = &ship_type, .handle = do_ship_handle, .delivery = STELE_QUEUED},
        {.name = "on-ship-failed", .type = &ship_failed_type, .handle = on_ship_failed_handle},
        {.name = "refund", .type = &refund_type, .handle = do_refund_handle, .delivery = STELE_QUEUED},
    };
    const struct placed good = {.order = "o-1", .amount = 5};
    const struct placed bad = {.order = "lost", .amount = 7};

    (void)state;
    for (size_t i = 0; i < 6; i++)
        fixture_add(&routes[i], NULL);
    assert_int_equal(deliver_payload(&placed_type, &good), STELE_OK);
    assert_string_equal(fixture_recorded(), "charge ship");
    assert_int_equal(deliver_payload(&placed_type, &bad), STELE_OK);
    assert_string_equal(fixture_recorded(), "charge refund:lost:7");
}

/* --- NTH-24: what was done is undone in reverse ---------------------------------------------------------------- */

/* Books one after the other; when one cannot be had, what was booked is given back, the last first. */
static stele_status travel(void *resource, const stele_message *message, stele_context *context)
{
    static const char *const names[] = {"flight", "hotel", "car", "bad", "never"};
    static const char *const undo[] = {"-flight", "-hotel", "-car", "-bad", "-never"};
    size_t done = 0;

    (void)resource;
    (void)message;
    while (done < 5 && do_step(context, names[done]) == STELE_OK)
        done++;
    if (done == 5)
        return STELE_OK;
    while (done > 0)
        STELE_PUBLISH(context, step, .name = undo[--done]);
    return STELE_OK;
}

static void NTH24_what_was_done_is_undone_in_reverse(void **state)
{
    static const struct stele_route trip = {.name = "trip", .on = "trip", .handle = travel, .delivery = STELE_QUEUED};
    static const struct stele_route steps = {
        .name = "steps", .type = &step_type, .handle = take_step_handle, .delivery = STELE_QUEUED};
    stele_message *message = fixture_event("trip");
    stele_error *error = NULL;

    (void)state;
    fixture_add(&trip, NULL);
    fixture_add(&steps, NULL);
    assert_ok(stele_deliver(fixture_bus, message, NULL, NULL, &error), error);
    /* The one that failed was not done, and is not undone. */
    assert_string_equal(fixture_recorded(), "flight hotel car bad -car -hotel -flight");
    stele_message_unref(message);
}

/* --- NTH-25: aggregation ------------------------------------------------------------------------------------------ */

#define PART(FIELD, T) FIELD(T, TEXT, key) FIELD(T, INT64, item) FIELD(T, INT64, total)
STELE_DECLARE(part, PART);
STELE_DEFINE_EVENT(part, "set.part", 1, PART);
#define WHOLE(FIELD, T) FIELD(T, TEXT, key)
STELE_DECLARE(whole, WHOLE);
STELE_DEFINE_EVENT(whole, "set.whole", 1, WHOLE);

enum { SETS = 4, ITEMS = 8 };

/* A set that is being collected; free when its key is empty. */
struct set {
    char key[8];
    bool has[ITEMS];
    int64_t count;
};

static stele_status collect(struct set *sets, const struct part *part, stele_context *context)
{
    struct set *set = NULL;

    for (size_t i = 0; i < SETS && !set; i++)
        set = strcmp(sets[i].key, part->key) == 0 ? &sets[i] : NULL;
    for (size_t i = 0; i < SETS && !set; i++)
        set = sets[i].key[0] == '\0' ? &sets[i] : NULL;
    if (!set)
        return stele_context_fail(context, STELE_LIMIT, "too many sets");
    snprintf(set->key, sizeof(set->key), "%s", part->key);
    set->count += !set->has[part->item];
    set->has[part->item] = true;
    if (set->count < part->total)
        return STELE_OK;
    memset(set, 0, sizeof(*set));
    return STELE_PUBLISH(context, whole, .key = part->key);
}
STELE_DEFINE_HANDLER_WITH(collect, part, set)

static stele_status note_whole(const struct whole *whole, stele_context *context)
{
    (void)context;
    fixture_write(whole->key);
    return STELE_OK;
}
STELE_DEFINE_HANDLER(note_whole, whole);

static void give_part(const char *key, int64_t item)
{
    const struct part payload = {.key = key, .item = item, .total = 3};

    assert_int_equal(deliver_payload(&part_type, &payload), STELE_OK);
}

/* A mailbox: the handler needs no lock for what it collects in. */
static void NTH25_a_set_is_told_once_when_all_its_parts_have_come_in_any_order(void **state)
{
    static const struct stele_route collecting = {
        .name = "collecting", .type = &part_type, .handle = collect_handle, .delivery = STELE_QUEUED};
    static const struct stele_route noting = {.name = "noting", .type = &whole_type, .handle = note_whole_handle};
    static struct set sets[SETS];

    (void)state;
    memset(sets, 0, sizeof(sets));
    fixture_add(&collecting, sets);
    fixture_add(&noting, NULL);
    give_part("a", 2);
    give_part("b", 0);
    give_part("a", 2); /* again: it does not count */
    give_part("a", 0);
    assert_string_equal(fixture_recorded(), "");
    give_part("a", 1);
    assert_string_equal(fixture_recorded(), "a");
    give_part("b", 2);
    give_part("b", 1);
    assert_string_equal(fixture_recorded(), "b");
    /* What was told is forgotten: the same key begins anew. */
    give_part("a", 0);
    give_part("a", 1);
    assert_string_equal(fixture_recorded(), "");
    give_part("a", 2);
    assert_string_equal(fixture_recorded(), "a");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(KHO14_a_router_chooses_the_next_name_and_the_trace_goes_along),
        fixture_test(KHO15_behind_a_soft_error_the_blocks_let_everything_pass),
        fixture_test(KHO17_one_struct_is_enriched_from_block_to_block),
        fixture_test(KHO17_each_block_has_types_of_its_own),
        fixture_test(NTH22_bug_steps_in_sequence_end_in_the_order_they_are_declared_in),
        fixture_test(NTH22_steps_beside_each_other_are_all_done_when_the_unit_is),
        fixture_test(NTH22_data_decide_which_step_comes),
        fixture_test(NTH23_a_failure_told_as_an_event_leads_to_the_refund),
        fixture_test(NTH24_what_was_done_is_undone_in_reverse),
        fixture_test(NTH25_a_set_is_told_once_when_all_its_parts_have_come_in_any_order),
    };

    return cmocka_run_group_tests_name("flows", tests, NULL, NULL);
}
