/* Messages made of others: copies with a new id and cause. */
#include "tests/unit/bus/stage.h"

#include <string.h>

#include "bus/again.h"

static const struct stele_extension both[] = {
    {.name = "user", .text = {"ann", 3}},
    {.name = "shop", .kind = STELE_EXTENSION_INTEGER, .integer = 7},
};

/* An order.placed with all that an envelope can say; the caller owns it. */
static stele_message *full_order(size_t extension_count)
{
    const struct order_placed payload = {.order = "o", .amount = 5};
    const struct stele_message_options options = {
        .size = sizeof(options),
        .id = "order-1",
        .source = "shop",
        .subject = "subject-1",
        .datacontenttype = "application/msgpack",
        .dataschema = "https://example.org/order",
        .correlationid = "talk-1",
        .causationid = "click-1",
        .traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        .extensions = both,
        .extension_count = extension_count,
    };
    stele_message *message = NULL;
    stele_error *error = NULL;

    assert_ok(order_placed_message(&payload, &options, &message, &error), error);
    return message;
}

#define assert_slice(text, slice) \
    do { \
        const struct stele_slice slice_ = (slice); \
        assert_int_equal(strlen(text), slice_.size); \
        assert_memory_equal(text, slice_.data, slice_.size); \
    } while (0)

static void without_a_cause_all_but_id_and_time_stays(void **state)
{
    static const struct stele__again how = {0};
    stele_message *original = full_order(2);
    struct stele_extension extension;
    stele_message *copy = NULL;
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele__message_again(stage_runtime, original, &how, &copy, &error), error);
    assert_slice("order.placed", stele_message_type(copy));
    assert_slice("shop", stele_message_source(copy));
    assert_slice("subject-1", stele_message_subject(copy));
    assert_slice("talk-1", stele_message_correlationid(copy));
    assert_slice("click-1", stele_message_causationid(copy));
    assert_true(stele_message_time(copy) == STELE_SIMULATION_START);
    assert_int_equal(36, stele_message_id(copy).size);
    assert_int_equal(stele_message_payload(original).size, stele_message_payload(copy).size);
    assert_true(stele_message_extension(copy, 1, &extension));
    assert_int_equal(7, extension.integer);
    stele_message_unref(original);
    stele_message_unref(copy);
}

static void with_a_cause_it_follows_from_that(void **state)
{
    stele_message *original = full_order(2);
    stele_message *cause = stage_order("c", 1, "bob");
    const struct stele__again how = {.cause = cause};
    struct stele_extension extension;
    stele_message *copy = NULL;
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele__message_again(stage_runtime, original, &how, &copy, &error), error);
    assert_slice("subject-1", stele_message_subject(copy));
    assert_slice("application/msgpack", stele_message_datacontenttype(copy));
    assert_slice("https://example.org/order", stele_message_dataschema(copy));
    assert_memory_equal(stele_message_id(cause).data, stele_message_causationid(copy).data, 36);
    assert_memory_equal(stele_message_id(cause).data, stele_message_correlationid(copy).data, 36);
    assert_null(stele_message_traceparent(copy).data);
    assert_true(stele_message_extension(copy, 0, &extension));
    assert_slice("ann", extension.text); /* what a message says itself is stronger than its cause */
    assert_false(stele_message_extension(copy, 2, &extension));
    stele_message_unref(original);
    stele_message_unref(cause);
    stele_message_unref(copy);
}

static void what_it_had_from_its_former_cause_is_left_behind(void **state)
{
    stele_message *original = full_order(2);
    stele_message *former = full_order(1);
    stele_message *cause = stage_order("c", 1, NULL);
    const struct stele__again how = {.cause = cause, .former_cause = former};
    struct stele_extension extension;
    stele_message *copy = NULL;
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele__message_again(stage_runtime, original, &how, &copy, &error), error);
    assert_true(stele_message_extension(copy, 0, &extension));
    assert_string_equal("shop", extension.name);
    assert_false(stele_message_extension(copy, 1, &extension));
    stele_message_unref(original);
    stele_message_unref(former);
    stele_message_unref(cause);
    stele_message_unref(copy);
}

static void another_type_has_its_kind(void **state)
{
    stele_message *original = full_order(0);
    const struct stele__again how = {.type = "order.ask", .kind = STELE_QUERY, .source = "desk", .cause = original};
    const struct stele__again bad = {.type = "", .cause = original};
    stele_message *copy = NULL;
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele__message_again(stage_runtime, original, &how, &copy, &error), error);
    assert_slice("order.ask", stele_message_type(copy));
    assert_slice("desk", stele_message_source(copy));
    assert_slice("talk-1", stele_message_correlationid(copy));
    assert_slice("order-1", stele_message_causationid(copy));
    assert_int_equal(STELE_QUERY, stele_message_kind(copy));
    stele_message_unref(copy);
    assert_status(STELE_INVALID, stele__message_again(stage_runtime, original, &bad, &copy, &error), error);
    stele_message_unref(original);
}

static void ids_of_a_simulation_are_those_of_its_seed(void **state)
{
    stele_runtime *twin = NULL;
    stele_error *error = NULL;
    struct stele_uuid first;
    struct stele_uuid second;

    (void)state;
    assert_ok(stele_runtime_simulated(7, &twin, &error), error);
    first = stele__new_id(twin, 1000 * MS);
    stele_runtime_free(twin);
    twin = NULL;
    assert_ok(stele_runtime_simulated(7, &twin, &error), error);
    second = stele__new_id(twin, 1000 * MS);
    assert_memory_equal(first.bytes, second.bytes, 16);
    second = stele__new_id(twin, 1000 * MS);
    assert_memory_not_equal(first.bytes, second.bytes, 16);
    assert_int_equal(0x70, first.bytes[6] & 0xf0); /* version 7 */
    assert_int_equal(0x80, first.bytes[8] & 0xc0); /* variant of RFC 9562 */
    assert_int_equal(1000, first.bytes[4] << 8 | first.bytes[5]);
    stele_runtime_free(twin);
}

static stele_status copy_one(void *context, stele_error **error)
{
    const struct stele__again how = {.cause = context};
    stele_message *copy = NULL;
    const stele_status status = stele__message_again(stage_runtime, context, &how, &copy, error);

    stele_message_unref(copy);
    return status;
}

static void every_allocation_of_a_copy_may_fail(void **state)
{
    stele_message *original = full_order(2);

    (void)state;
    assert_int_not_equal(0, support_every_allocation_fails(copy_one, original));
    stele_message_unref(original);
}

/* --- Forwarding ---------------------------------------------------------------------------- */

static stele_status forward(void *resource, const stele_message *message, stele_context *context)
{
    (void)resource;
    (void)message;
    return stele_context_forward(context, "order.sent");
}

static stele_message *forwarded;

static stele_status keep(void *resource, const stele_message *message, stele_context *context)
{
    (void)resource;
    (void)context;
    forwarded = stele_message_ref(message);
    return STELE_OK;
}

static void a_forwarded_message_keeps_payload_and_attributes(void **state)
{
    static const struct stele_route router = {.name = "router", .on = "order.placed", .handle = forward};
    static const struct stele_route target = {.name = "target", .on = "order.sent", .handle = keep};
    stele_message *original = full_order(2);
    struct stele_extension extension;
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele_bus_add_route(stage_bus, &router, NULL, NULL, &error), error);
    assert_ok(stele_bus_add_route(stage_bus, &target, NULL, NULL, &error), error);
    assert_int_equal(STELE_OK, stage_deliver_message(original, NULL));
    assert_slice("order.sent", stele_message_type(forwarded));
    assert_slice("subject-1", stele_message_subject(forwarded));
    assert_slice("application/msgpack", stele_message_datacontenttype(forwarded));
    assert_slice("talk-1", stele_message_correlationid(forwarded));
    assert_slice("order-1", stele_message_causationid(forwarded));
    assert_true(stele_message_extension(forwarded, 1, &extension));
    assert_int_equal(stele_message_payload(original).size, stele_message_payload(forwarded).size);
    stele_message_unref(original);
    stele_message_unref(forwarded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage_test(without_a_cause_all_but_id_and_time_stays),        stage_test(with_a_cause_it_follows_from_that),
        stage_test(what_it_had_from_its_former_cause_is_left_behind), stage_test(another_type_has_its_kind),
        stage_test(ids_of_a_simulation_are_those_of_its_seed),        stage_test(every_allocation_of_a_copy_may_fail),
        stage_test(a_forwarded_message_keeps_payload_and_attributes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
