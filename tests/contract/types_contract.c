/* E1 and E2: the types of a store are registered, shown and checked, over every backend. */
#include "tests/contract/contract.h"

#include <stele/types.h>
#include <stele/upcast.h>

#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* --- Versions of one type, as programs may come with them ------------------------------------------ */

#define LINE(FIELD, T) FIELD(T, TEXT, article) FIELD(T, INT64, pieces)
STELE_DECLARE_STRUCT(line, LINE);
STELE_DEFINE_STRUCT(line, LINE);

#define SENT(FIELD, T) \
    FIELD(T, TEXT, parcel) \
    FIELD(T, OPTIONAL(INT64), weight) FIELD(T, LIST(STRUCT(line)), lines) FIELD(T, INT64, copies, STELE_DEFAULT(1))
#define SENT_MORE(FIELD, T) SENT(FIELD, T) FIELD(T, OPTIONAL(TEXT), carrier)
#define SENT_OTHER_KIND(FIELD, T) FIELD(T, INT64, parcel) FIELD(T, LIST(STRUCT(line)), lines)
#define SENT_OTHER_LIST(FIELD, T) FIELD(T, LIST(TEXT), parcel) FIELD(T, LIST(STRUCT(line)), lines)
#define SENT_REQUIRED(FIELD, T) SENT(FIELD, T) FIELD(T, TEXT, carrier)
#define SENT_STRICT(FIELD, T) FIELD(T, TEXT, parcel) FIELD(T, INT64, weight) FIELD(T, LIST(STRUCT(line)), lines)
#define SENT_LESS(FIELD, T) FIELD(T, TEXT, parcel)
STELE_DECLARE(sent, SENT);
STELE_DECLARE(sent_more, SENT_MORE);
STELE_DECLARE(sent_other_kind, SENT_OTHER_KIND);
STELE_DECLARE(sent_other_list, SENT_OTHER_LIST);
STELE_DECLARE(sent_required, SENT_REQUIRED);
STELE_DECLARE(sent_strict, SENT_STRICT);
STELE_DECLARE(sent_less, SENT_LESS);
STELE_DECLARE(sent_2, SENT_LESS);
STELE_DECLARE(send, SENT);
STELE_DEFINE_EVENT(sent, "parcel.sent", 1, SENT);
STELE_DEFINE_EVENT(sent_more, "parcel.sent", 1, SENT_MORE);
STELE_DEFINE_EVENT(sent_other_kind, "parcel.sent", 1, SENT_OTHER_KIND);
STELE_DEFINE_EVENT(sent_other_list, "parcel.sent", 1, SENT_OTHER_LIST);
STELE_DEFINE_EVENT(sent_required, "parcel.sent", 1, SENT_REQUIRED);
STELE_DEFINE_EVENT(sent_strict, "parcel.sent", 1, SENT_STRICT);
STELE_DEFINE_EVENT(sent_less, "parcel.sent", 1, SENT_LESS);
STELE_DEFINE_EVENT(sent_2, "parcel.sent", 2, SENT_LESS);
STELE_DEFINE_COMMAND(send, "parcel.sent", 1, SENT);

static const struct stele_type *const first[] = {&sent_type};

static void must_register(stele_store *store, const struct stele_type *type)
{
    stele_error *error = NULL;

    assert_ok(stele_types_register(store, &type, 1, &error), error);
}

/* --- Showing ------------------------------------------------------------------------------------------ */

static bool print_type(void *context, const struct stele_stored_type *type)
{
    char *text = context;
    char line[128];

    snprintf(line, sizeof(line), "%s %u x%d%s%s -> %s %u; ", type->name, (unsigned)type->version, (int)type->events,
             type->schema ? " registered" : "", type->is_reachable ? "" : " LOST", type->becomes,
             (unsigned)type->becomes_version);
    strcat(text, line);
    return true;
}

static void assert_types(stele_store *store, const char *expected)
{
    stele_error *error = NULL;
    char text[1024] = "";

    assert_ok(stele_types_visit(store, print_type, text, &error), error);
    assert_string_equal(text, expected);
}

static bool print_fields(void *context, const struct stele_stored_type *type)
{
    char *text = context;

    for (size_t i = 0; i < type->field_count; i++) {
        const struct stele_stored_field *field = &type->fields[i];
        char line[128];

        snprintf(line, sizeof(line), "%s/%s %s%s; ", field->part, field->name, field->is_required ? "" : "optional ",
                 field->kind);
        strcat(text, line);
    }
    return false;
}

static void E1_registered_types_are_there_with_their_fields(void **state)
{
    stele_store *store = contract_open();
    stele_error *error = NULL;
    char text[512] = "";

    (void)state;
    assert_ok(stele_types_register(store, first, 1, &error), error);
    store = contract_reopen(store);
    assert_types(store, "parcel.sent 1 x0 registered -> parcel.sent 1; ");
    assert_ok(stele_types_visit(store, print_fields, text, &error), error);
    assert_string_equal(text, "/parcel text; /weight optional int64; /lines list of struct line; "
                              "/copies optional int64; line/article text; line/pieces int64; ");
    stele_store_close(store);
}

static void E1_registering_again_writes_nothing(void **state)
{
    static const struct stele_type *const both[] = {&sent_2_type, &sent_type, &sent_type};
    stele_store *store = contract_open();
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele_types_register(store, both, COUNT(both), &error), error);
    assert_int_equal(contract_version(store, "$types"), 2);
    assert_ok(stele_types_register(store, both, COUNT(both), &error), error);
    assert_ok(stele_types_register(store, NULL, 0, &error), error);
    assert_int_equal(contract_version(store, "$types"), 2);
    assert_types(store, "parcel.sent 1 x0 registered -> parcel.sent 1; parcel.sent 2 x0 registered -> parcel.sent 2; ");
    stele_store_close(store);
}

/* Programs with and without an optional field take turns: each is written once. */
static void E1_optional_fields_come_and_go(void **state)
{
    stele_store *store = contract_open();

    (void)state;
    must_register(store, &sent_type);
    must_register(store, &sent_more_type);
    must_register(store, &sent_type);
    must_register(store, &sent_more_type);
    assert_int_equal(contract_version(store, "$types"), 2);
    stele_store_close(store);
}

static void E1_a_shape_that_breaks_others_is_refused(void **state)
{
    static const struct {
        const struct stele_type *type;
        const char *field;
        const char *message;
    } cases[] = {
        {&sent_other_kind_type, "parcel", "parcel.sent 1: field parcel has another kind in the store"},
        {&sent_other_list_type, "parcel", "has another kind"},
        {&sent_required_type, "carrier", "field carrier is required, but not in the store"},
        {&sent_strict_type, "weight", "field weight is optional in the store"},
        {&sent_less_type, "lines", "field lines is required in the store, but not here"},
    };
    stele_store *store = contract_open();
    stele_error *error = NULL;

    (void)state;
    must_register(store, &sent_type);
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct stele_type *const types[] = {&sent_2_type, cases[i].type};

        assert_failure(STELE_INVALID, stele_types_register(store, types, 2, &error), error);
        assert_message(error, cases[i].message);
        assert_string_equal(stele_error_get(error, "type"), "parcel.sent");
        assert_string_equal(stele_error_get(error, "field"), cases[i].field);
        stele_error_free(error);
        error = NULL;
    }
    assert_int_equal(contract_version(store, "$types"), 1);
    stele_store_close(store);
}

/* Two shapes of one type that do not agree cannot be registered together either. */
static void E1_two_types_under_one_name_fail_at_registration(void **state)
{
    static const struct stele_type *const types[] = {&sent_type, &sent_other_kind_type};
    static const struct stele_type *const kinds[] = {&sent_type, &send_type};
    static const struct stele_type *const part[] = {&line_type};
    static const struct stele_type *const none[] = {NULL};
    stele_store *store = contract_open();
    stele_error *error = NULL;

    (void)state;
    assert_status(STELE_INVALID, stele_types_register(store, types, 2, &error), error);
    assert_status(STELE_INVALID, stele_types_register(store, kinds, 2, &error), error);
    assert_status(STELE_INVALID, stele_types_register(store, part, 1, &error), error);
    assert_status(STELE_INVALID, stele_types_register(store, none, 1, &error), error);
    assert_status(STELE_INVALID, stele_types_register(store, NULL, 1, &error), error);
    assert_status(STELE_INVALID, stele_types_register(NULL, types, 1, &error), error);
    assert_status(STELE_INVALID, stele_types_visit(store, NULL, NULL, &error), error);
    assert_int_equal(contract_version(store, "$types"), 0);
    stele_store_close(store);
}

/* --- Checking ------------------------------------------------------------------------------------------ */

static const struct stele_upcaster upcasters[] = {
    {.from = "parcel.sent", .from_version = 1, .to = "parcel.sent", .to_version = 2},
    {.from = "box.sent", .from_version = 1, .to = "parcel.sent", .to_version = 1},
    {.from = "crate.sent", .from_version = 1, .to = "crate.sent", .to_version = 2},
};

static stele_store *open_with_upcasters(void)
{
    struct stele_store_options options = STELE_OPTIONS_INIT(struct stele_store_options);

    options.upcasters = upcasters;
    options.upcaster_count = COUNT(upcasters);
    return contract_open_with(&options);
}

static void E2_shapes_that_nothing_reads_are_found_by_a_check(void **state)
{
    static const struct stele_type *const known[] = {&sent_2_type};
    stele_store *store = open_with_upcasters();
    stele_error *error = NULL;

    (void)state;
    must_register(store, &sent_2_type);
    assert_ok(stele_types_check(store, known, 1, &error), error);
    contract_append_type(store, "p", "parcel.sent", 1);
    contract_append_type(store, "p", "box.sent", 1);
    contract_append_type(store, "p", "box.sent", 1);
    assert_ok(stele_types_check(store, known, 1, &error), error);
    assert_types(store, "box.sent 1 x2 -> parcel.sent 2; parcel.sent 1 x1 -> parcel.sent 2; "
                        "parcel.sent 2 x0 registered -> parcel.sent 2; ");
    contract_append_type(store, "p", "crate.sent", 1);
    contract_append_type(store, "p", "pallet.sent", 1);
    contract_append_type(store, "p", "pallet.sent", 1);
    assert_failure(STELE_UNKNOWN_TYPE, stele_types_check(store, known, 1, &error), error);
    assert_message(error, "2 shapes are stored that nothing reads: crate.sent 1 (1 event), pallet.sent 1 (2 events)");
    assert_string_equal(stele_error_get(error, "count"), "2");
    stele_error_free(error);
    error = NULL;
    assert_types(store, "box.sent 1 x2 -> parcel.sent 2; crate.sent 1 x1 LOST -> crate.sent 2; "
                        "pallet.sent 1 x2 LOST -> pallet.sent 1; parcel.sent 1 x1 -> parcel.sent 2; "
                        "parcel.sent 2 x0 registered -> parcel.sent 2; ");
    /* What is known, but goes on to what is not, is not read either. */
    assert_failure(STELE_UNKNOWN_TYPE, stele_types_check(store, first, 1, &error), error);
    assert_string_equal(stele_error_get(error, "count"), "4");
    stele_error_free(error);
    stele_store_close(store);
}

static void a_check_names_the_first_of_many(void **state)
{
    stele_store *store = contract_open();
    stele_error *error = NULL;

    (void)state;
    for (int i = 0; i < 18; i++) {
        char type[32];

        snprintf(type, sizeof(type), "t%02d", i);
        contract_append_type(store, "s", type, 1);
    }
    assert_failure(STELE_UNKNOWN_TYPE, stele_types_check(store, NULL, 0, &error), error);
    assert_message(error, "18 shapes are stored that nothing reads: t00 1 (1 event), ");
    assert_message(error, "t15 1 (1 event) and 2 more");
    stele_error_free(error);
    stele_store_close(store);
}

/* --- Memory --------------------------------------------------------------------------------------------- */

static bool look(void *context, const struct stele_stored_type *type)
{
    (void)context;
    (void)type;
    return true;
}

static stele_status check_and_visit(void *context, stele_error **error)
{
    static const struct stele_type *const known[] = {&sent_2_type};
    const stele_status status = stele_types_check(context, known, 1, error);

    return status == STELE_OK ? stele_types_visit(context, look, NULL, error) : status;
}

/* What was not registered for want of memory can be registered later; in the end it is there once. */
static void types_survive_every_failing_allocation(void **state)
{
    stele_store *store = open_with_upcasters();
    stele_status status = STELE_NO_MEMORY;
    stele_error *error = NULL;

    (void)state;
    must_register(store, &sent_2_type);
    for (size_t n = 1; status == STELE_NO_MEMORY; n++) {
        support_fail_allocation(n);
        status = stele_types_register(store, first, 1, &error);
        support_fail_allocation(0);
        stele_error_free(error);
        error = NULL;
    }
    assert_int_equal(status, STELE_OK);
    assert_int_equal(contract_version(store, "$types"), 2);
    contract_append_type(store, "p", "box.sent", 1);
    assert_ok(check_and_visit(store, &error), error); /* what a connection keeps of names is there then */
    assert_true(support_every_allocation_fails(check_and_visit, store) > 5);
    stele_store_close(store);
}

static void a_store_opened_for_reading_registers_nothing_new(void **state)
{
    struct stele_store_options options = STELE_OPTIONS_INIT(struct stele_store_options);
    stele_error *error = NULL;
    stele_store *store;

    (void)state;
    if (!contract_is_durable())
        return;
    store = contract_open();
    must_register(store, &sent_type);
    stele_store_close(store);
    options.mode = STELE_OPEN_READ_ONLY;
    store = contract_open_with(&options);
    must_register(store, &sent_type);
    assert_status(STELE_READ_ONLY,
                  stele_types_register(store, (const struct stele_type *const[]){&sent_2_type}, 1, &error), error);
    assert_types(store, "parcel.sent 1 x0 registered -> parcel.sent 1; ");
    stele_store_close(store);
}

static const struct CMUnitTest tests[] = {
    support_test(E1_registered_types_are_there_with_their_fields),
    support_test(E1_registering_again_writes_nothing),
    support_test(E1_optional_fields_come_and_go),
    support_test(E1_a_shape_that_breaks_others_is_refused),
    support_test(E1_two_types_under_one_name_fail_at_registration),
    support_test(E2_shapes_that_nothing_reads_are_found_by_a_check),
    support_test(a_check_names_the_first_of_many),
    support_test(types_survive_every_failing_allocation),
    support_test(a_store_opened_for_reading_registers_nothing_new),
};

CONTRACT_GROUP(contract_types_group, tests);
