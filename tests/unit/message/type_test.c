/* Descriptors: which ones are accepted, and what is said of those that are not. */
#include "tests/support/support.h"

#include <stele/limits.h>
#include <stele/message.h>
#include <stele/type.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

/* The example of stele/type.h. */
#define MONEY_WITHDRAWN(FIELD, T) \
    FIELD(T, INT64, amount, STELE_POSITIVE) \
    FIELD(T, OPTIONAL(TEXT), reference, STELE_MAX_LENGTH(35))
STELE_DECLARE_STRUCT(money_withdrawn, MONEY_WITHDRAWN);
STELE_DEFINE_EVENT(money_withdrawn, "bank.money.withdrawn", 1, MONEY_WITHDRAWN);

/* Room for one field of any kind. */
struct holder {
    union {
        char bytes[64];
        max_align_t aligned;
    } place;
};

#define PART(FIELD, T) FIELD(T, BOOL, yes)
STELE_DECLARE_STRUCT(part, PART);
STELE_DEFINE_STRUCT(part, PART);

#define STATE(FIELD, T) FIELD(T, ARENA, memory) FIELD(T, INT64, balance)
STELE_DECLARE_STRUCT(account_state, STATE);
STELE_DEFINE_STATE(account_state, "account", 1, STATE);

static bool no_int(int64_t value)
{
    return value == 0;
}

/* A type of one field named "f" unless it has a name. */
static stele_status check_field(struct stele_field field, stele_error **error)
{
    const struct stele_type type = {.name = "t",
                                    .version = 1,
                                    .kind = STELE_EVENT,
                                    .size = sizeof(struct holder),
                                    .fields = &field,
                                    .field_count = 1};

    if (!field.name)
        field.name = "f";
    return stele_type_check(&type, error);
}

static void assert_refused(struct stele_field field, const char *rule)
{
    stele_error *error = NULL;

    assert_failure(STELE_INVALID, check_field(field, &error), error);
    assert_string_equal("t", stele_error_get(error, "type"));
    assert_string_equal("f", stele_error_get(error, "field"));
    assert_string_equal(rule, stele_error_get(error, "rule"));
    stele_error_free(error);
}

static void assert_accepted(struct stele_field field)
{
    stele_error *error = NULL;

    assert_ok(check_field(field, &error), error);
}

#define REFUSED(rule, ...) assert_refused((struct stele_field){__VA_ARGS__}, rule)
#define ACCEPTED(...) assert_accepted((struct stele_field){__VA_ARGS__})

static void the_macros_make_the_documented_descriptor(void **state)
{
    const struct stele_field *fields = money_withdrawn_type.fields;
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele_type_check(&money_withdrawn_type, &error), error);
    assert_string_equal("bank.money.withdrawn", money_withdrawn_type.name);
    assert_int_equal(1, money_withdrawn_type.version);
    assert_int_equal(STELE_EVENT, money_withdrawn_type.kind);
    assert_int_equal(sizeof(struct money_withdrawn), money_withdrawn_type.size);
    assert_int_equal(2, money_withdrawn_type.field_count);
    assert_string_equal("amount", fields[0].name);
    assert_int_equal(STELE_KIND_INT64, fields[0].kind);
    assert_int_equal(STELE_SHAPE_ONE, fields[0].shape);
    assert_true(fields[0].positive);
    assert_string_equal("reference", fields[1].name);
    assert_int_equal(STELE_SHAPE_OPTIONAL, fields[1].shape);
    assert_int_equal(offsetof(struct money_withdrawn, reference), fields[1].offset);
    assert_int_equal(35, fields[1].max_length);
}

static void rules_fit_their_kinds(void **state)
{
    static const char *const words[] = {"a", NULL};
    const char *positive = "STELE_POSITIVE is for INT64, UINT64 and DOUBLE";
    const char *non_negative = "STELE_NON_NEGATIVE is for INT64 and DOUBLE";
    const char *ends = "STELE_MIN and STELE_MAX are for numbers and TIME";
    const char *lengths = "STELE_MIN_LENGTH and STELE_MAX_LENGTH are for TEXT, BYTES and lists";
    const char *non_empty = "STELE_NON_EMPTY is for TEXT, BYTES, UUID and lists";

    (void)state;
    REFUSED(positive, STELE__K_TEXT, STELE_POSITIVE);
    REFUSED(positive, STELE__K_TIME, STELE_POSITIVE);
    REFUSED(positive, STELE__K_BOOL, STELE_POSITIVE);
    REFUSED(non_negative, STELE__K_UINT64, STELE_NON_NEGATIVE);
    REFUSED(ends, STELE__K_TEXT, STELE_MIN(1));
    REFUSED(ends, STELE__K_UUID, STELE_MAX(1));
    ACCEPTED(STELE__K_TIME, STELE_MIN(1), STELE_MAX(1));
    REFUSED(lengths, STELE__K_INT64, STELE_MIN_LENGTH(1));
    REFUSED(lengths, STELE__K_UUID, STELE_MAX_LENGTH(1));
    ACCEPTED(STELE__D_LIST(INT64), STELE_MIN_LENGTH(1), STELE_MAX_LENGTH(1));
    REFUSED(non_empty, STELE__K_BOOL, STELE_NON_EMPTY);
    ACCEPTED(STELE__D_LIST(BOOL), STELE_NON_EMPTY);
    ACCEPTED(STELE__K_UUID, STELE_NON_EMPTY);
    REFUSED("STELE_ONE_OF is for TEXT", STELE__K_BYTES, .one_of = words);
    ACCEPTED(STELE__D_LIST(TEXT), .one_of = words);
    REFUSED("STELE_CHECK is for numbers, TEXT, BYTES, UUID and TIME", STELE__K_BOOL,
            STELE_CHECK_INT64(no_int, "nothing"));
}

static void rules_do_not_contradict_each_other(void **state)
{
    static const char *const none[] = {NULL};
    static const char *const broken[] = {"a", "\xff", NULL};
    const char *crossed = "the minimum is not above the maximum";

    (void)state;
    REFUSED(crossed, STELE__K_INT64, STELE_MIN(1), STELE_MAX(0));
    REFUSED(crossed, STELE__K_UINT64, STELE_MIN_UINT(UINT64_MAX), STELE_MAX_UINT(0));
    REFUSED(crossed, STELE__K_DOUBLE, STELE_MIN_DOUBLE(0.5), STELE_MAX_DOUBLE(0.25));
    ACCEPTED(STELE__K_UINT64, STELE_MIN_UINT(1), STELE_MAX_UINT(UINT64_MAX));
    ACCEPTED(STELE__K_INT64, STELE_MIN(-1), STELE_MAX(-1));
    REFUSED("minimum and maximum are finite", STELE__K_DOUBLE, STELE_MIN_DOUBLE(NAN));
    REFUSED("the minimum length is not above the maximum length", STELE__K_TEXT, STELE_MIN_LENGTH(2),
            STELE_MAX_LENGTH(1));
    REFUSED("STELE_ONE_OF names something", STELE__K_TEXT, .one_of = none);
    REFUSED("STELE_ONE_OF names valid UTF-8", STELE__K_TEXT, .one_of = broken);
    REFUSED("a custom check has a function and a rule in words", STELE__K_INT64, .check_rule = "even");
    REFUSED("a custom check has a function and a rule in words", STELE__K_INT64, .check = {.int64 = no_int});
}

static void a_default_is_for_required_scalars(void **state)
{
    const char *shape = "only a required field that is no list has a default";
    const char *kind = "a default is for BOOL, numbers, TEXT and TIME";

    (void)state;
    ACCEPTED(STELE__K_INT64, STELE_DEFAULT(1));
    REFUSED(shape, STELE__D_OPTIONAL(INT64), STELE_DEFAULT(1));
    REFUSED(shape, STELE__D_LIST(INT64), STELE_DEFAULT(1));
    REFUSED(kind, STELE__K_BYTES, STELE_DEFAULT(1));
    REFUSED(kind, STELE__K_UUID, STELE_DEFAULT(1));
    REFUSED(kind, STELE__K_STRUCT(part), STELE_DEFAULT(1));
    REFUSED("a default text is valid UTF-8", STELE__K_TEXT, STELE_DEFAULT_TEXT(NULL));
    REFUSED("a default text is valid UTF-8", STELE__K_TEXT, STELE_DEFAULT_TEXT("\xff"));
    REFUSED("a default is finite", STELE__K_DOUBLE, STELE_DEFAULT_DOUBLE(INFINITY));
}

static void fields_are_whole(void **state)
{
    (void)state;
    REFUSED("a STRUCT has a type", .kind = STELE_KIND_STRUCT);
    REFUSED("the kind is one of enum stele_kind", .kind = (enum stele_kind)99);
    REFUSED("the shape is one of enum stele_shape", STELE__K_INT64, .shape = (enum stele_shape)99);
    ACCEPTED(STELE__K_INT64, .offset = sizeof(struct holder) - 8);
    REFUSED("the field lies within its struct", STELE__K_INT64, .offset = sizeof(struct holder) - 7);
    REFUSED("the field lies within its struct", STELE__K_INT64, .offset = SIZE_MAX);
    REFUSED("the field lies within its struct", STELE__D_OPTIONAL(INT64), .offset = sizeof(struct holder) - 8);
    REFUSED("NONE and ARENA have no rules and no shape", .kind = STELE_KIND_NONE, STELE_NON_EMPTY);
    REFUSED("ARENA is for states", .kind = STELE_KIND_ARENA);
}

static void a_state_may_have_an_arena(void **state)
{
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele_type_check(&account_state_type, &error), error);
}

static void field_names_are_within_their_limits(void **state)
{
    char name[STELE_TYPE_MAX + 2] = "";
    stele_error *error = NULL;

    (void)state;
    memset(name, 'n', STELE_TYPE_MAX);
    ACCEPTED(.name = name, STELE__K_BOOL);
    name[STELE_TYPE_MAX] = 'n';
    assert_status(STELE_LIMIT, check_field((struct stele_field){.name = name, STELE__K_BOOL}, &error), error);
    assert_status(STELE_INVALID, check_field((struct stele_field){.name = "", STELE__K_BOOL}, &error), error);
    assert_status(STELE_INVALID, check_field((struct stele_field){.name = "a\n", STELE__K_BOOL}, &error), error);
    assert_failure(STELE_INVALID, check_field((struct stele_field){.name = "a\xff", STELE__K_BOOL}, &error), error);
    assert_string_equal("t", stele_error_get(error, "type"));
    stele_error_free(error);
    assert_int_equal(STELE_INVALID, check_field((struct stele_field){.name = "", STELE__K_BOOL}, NULL));
}

static void field_names_are_there_and_unique(void **state)
{
    struct stele_field fields[] = {{.name = "a", STELE__K_BOOL}, {.name = "b", STELE__K_BOOL}, {STELE__K_BOOL}};
    const struct stele_type type = {.name = "t", .version = 1, .size = 8, .fields = fields, .field_count = 3};
    stele_error *error = NULL;

    (void)state;
    assert_failure(STELE_INVALID, stele_type_check(&type, &error), error);
    assert_message(error, "field 2 has no name");
    stele_error_free(error);
    error = NULL;
    fields[2].name = "a";
    assert_failure(STELE_INVALID, stele_type_check(&type, &error), error);
    assert_string_equal("names are unique", stele_error_get(error, "rule"));
    stele_error_free(error);
}

static void a_type_has_a_name_a_version_and_fields(void **state)
{
    char name[STELE_TYPE_MAX + 2] = "";
    struct stele_type type = {.name = "t", .version = 1};
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele_type_check(&type, &error), error);
    assert_status(STELE_INVALID, stele_type_check(NULL, &error), error);
    type.version = 0;
    assert_status(STELE_INVALID, stele_type_check(&type, &error), error);
    type.version = 1;
    type.kind = (enum stele_message_kind)99;
    assert_status(STELE_INVALID, stele_type_check(&type, &error), error);
    type.kind = STELE_QUERY;
    type.field_count = 1;
    assert_status(STELE_INVALID, stele_type_check(&type, &error), error);
    type.field_count = 0;
    type.name = NULL;
    assert_status(STELE_INVALID, stele_type_check(&type, &error), error);
    type.name = "";
    assert_status(STELE_INVALID, stele_type_check(&type, &error), error);
    type.name = "a\tb";
    assert_status(STELE_INVALID, stele_type_check(&type, &error), error);
    memset(name, 'n', STELE_TYPE_MAX);
    type.name = name;
    assert_ok(stele_type_check(&type, &error), error);
    name[STELE_TYPE_MAX] = 'n';
    assert_status(STELE_LIMIT, stele_type_check(&type, &error), error);
}

/* A chain of types, each containing the next. */
static stele_status check_chain(size_t length, stele_error **error)
{
    struct stele_type types[STELE_NESTING_MAX + 1];
    struct stele_field fields[STELE_NESTING_MAX + 1];

    memset(types, 0, sizeof(types));
    memset(fields, 0, sizeof(fields));
    for (size_t i = 0; i < length; i++) {
        fields[i] =
            (struct stele_field){.name = "f", .kind = STELE_KIND_STRUCT, .type = &types[i + 1 < length ? i + 1 : i]};
        types[i] = (struct stele_type){.name = "t", .version = 1, .size = 8, .fields = &fields[i], .field_count = 1};
    }
    types[length - 1].field_count = 0;
    return stele_type_check(&types[0], error);
}

static void types_nest_64_deep_at_most(void **state)
{
    stele_error *error = NULL;

    (void)state;
    assert_ok(check_chain(STELE_NESTING_MAX, &error), error);
    assert_failure(STELE_INVALID, check_chain(STELE_NESTING_MAX + 1, &error), error);
    assert_string_equal("types nest at most 64 deep", stele_error_get(error, "rule"));
    stele_error_free(error);
}

#define TREE(FIELD, T) FIELD(T, LIST(STRUCT(tree)), children) FIELD(T, OPTIONAL(STRUCT(tree)), parent)
STELE_DECLARE_STRUCT(tree, TREE);
STELE_DEFINE_STRUCT(tree, TREE);

static void a_type_may_contain_itself(void **state)
{
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele_type_check(&tree_type, &error), error);
}

static void a_fault_of_a_nested_type_is_found(void **state)
{
    static const struct stele_field bad = {.name = "x", STELE__K_TEXT, STELE_POSITIVE};
    static const struct stele_type nested = {
        .name = "nested", .version = 1, .size = 8, .fields = &bad, .field_count = 1};
    stele_error *error = NULL;

    (void)state;
    assert_failure(STELE_INVALID, check_field((struct stele_field){.kind = STELE_KIND_STRUCT, .type = &nested}, &error),
                   error);
    assert_string_equal("nested", stele_error_get(error, "type"));
    assert_string_equal("x", stele_error_get(error, "field"));
    stele_error_free(error);
}

static stele_status attempt_check(void *context, stele_error **error)
{
    const stele_status status = check_field((struct stele_field){STELE__K_TEXT, STELE_POSITIVE}, error);

    (void)context;
    if (status != STELE_INVALID)
        return status;
    stele_error_free(*error);
    *error = NULL;
    return STELE_OK;
}

/* The type under a parent, both with one field; `kind` is the parent's. */
static stele_status check_under(enum stele_message_kind kind, struct stele_field inherited, struct stele_field own,
                                stele_error **error)
{
    const struct stele_type parent = {
        .name = "parent", .version = 1, .kind = kind, .size = 64, .fields = &inherited, .field_count = 1};
    const struct stele_type type = {.name = "child",
                                    .version = 1,
                                    .kind = STELE_EVENT,
                                    .size = 64,
                                    .fields = &own,
                                    .field_count = 1,
                                    .parent = &parent};

    return stele_type_check(&type, error);
}

static void a_child_has_the_fields_of_its_parent_alike(void **state)
{
    const struct stele_field number = {.name = "number", STELE__K_INT64};
    const struct stele_field optional = {.name = "number", STELE__D_OPTIONAL(INT64)};
    const struct stele_field text = {.name = "number", STELE__K_TEXT};
    const struct stele_field other = {.name = "other", STELE__K_INT64};
    const struct stele_field wrong = {.name = "number", STELE__K_TEXT, STELE_POSITIVE};
    stele_error *error = NULL;

    (void)state;
    assert_ok(check_under(STELE_EVENT, number, number, &error), error);
    assert_status(STELE_INVALID, check_under(STELE_COMMAND, number, number, &error), error);
    assert_status(STELE_INVALID, check_under(STELE_EVENT, number, optional, &error), error);
    assert_status(STELE_INVALID, check_under(STELE_EVENT, number, text, &error), error);
    assert_status(STELE_INVALID, check_under(STELE_EVENT, wrong, text, &error), error);
    assert_failure(STELE_INVALID, check_under(STELE_EVENT, number, other, &error), error);
    assert_string_equal("child", stele_error_get(error, "type"));
    assert_string_equal("number", stele_error_get(error, "field"));
    stele_error_free(error);
}

static void parents_do_not_run_in_a_circle(void **state)
{
    struct stele_type first = {.name = "first", .version = 1, .kind = STELE_EVENT};
    const struct stele_type second = {.name = "second", .version = 1, .kind = STELE_EVENT, .parent = &first};
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele_type_check(&second, &error), error);
    first.parent = &second;
    assert_status(STELE_INVALID, stele_type_check(&second, &error), error);
}

static void a_fault_survives_running_out_of_memory(void **state)
{
    (void)state;
    assert_true(support_every_allocation_fails(attempt_check, NULL) >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(the_macros_make_the_documented_descriptor),
        support_test(rules_fit_their_kinds),
        support_test(rules_do_not_contradict_each_other),
        support_test(a_default_is_for_required_scalars),
        support_test(fields_are_whole),
        support_test(a_state_may_have_an_arena),
        support_test(field_names_are_within_their_limits),
        support_test(field_names_are_there_and_unique),
        support_test(a_type_has_a_name_a_version_and_fields),
        support_test(types_nest_64_deep_at_most),
        support_test(a_type_may_contain_itself),
        support_test(a_fault_of_a_nested_type_is_found),
        support_test(a_child_has_the_fields_of_its_parent_alike),
        support_test(parents_do_not_run_in_a_circle),
        support_test(a_fault_survives_running_out_of_memory),
    };

    return cmocka_run_group_tests_name("type", tests, NULL, NULL);
}
