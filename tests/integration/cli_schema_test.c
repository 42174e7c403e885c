/* stele schema: the types of a store, in a table, field by field, and as JSON Schema. */
#include "tests/integration/cli.h"

#include <stele.h>

#include <string.h>

#define LINE(FIELD, T) FIELD(T, TEXT, article)
STELE_DECLARE_STRUCT(line, LINE);
STELE_DEFINE_STRUCT(line, LINE);

#define SENT(FIELD, T) FIELD(T, TEXT, parcel) FIELD(T, OPTIONAL(INT64), weight) FIELD(T, LIST(STRUCT(line)), lines)
#define SEND(FIELD, T) FIELD(T, NONE, stele_unused)
STELE_DECLARE(sent, SENT);
STELE_DECLARE(send, SEND);
STELE_DEFINE_EVENT(sent, "parcel.sent", 2, SENT);
STELE_DEFINE_COMMAND(send, "parcel.send", 1, SEND);

/* Two types that are registered, and two events of a version that is not. */
static void write_store(void)
{
    static const struct stele_type *const types[] = {&sent_type, &send_type};
    stele_store *store = NULL;
    stele_error *error = NULL;

    assert_ok(stele_store_open(cli_path("parcels.db"), NULL, &store, &error), error);
    assert_ok(stele_types_register(store, types, 2, &error), error);
    stele_store_close(store);
    cli("append", "parcels.db", "p-1", "--type", "parcel.sent", "{\"parcel\":\"a\"}");
    assert_cli(0);
    cli("append", "parcels.db", "p-1", "--type", "parcel.sent", "{\"parcel\":\"b\"}");
    assert_cli(0);
}

static void types_are_rows_with_their_fields(void **state)
{
    (void)state;
    write_store();
    cli("schema", "parcels.db");
    assert_cli(0);
    assert_out(
        "TYPE         VERSION  KIND     EVENTS  FIELDS\n"
        "parcel.send        1  command       0  \n"
        "parcel.sent        1  event         2  (not registered)\n"
        "parcel.sent        2  event         0  parcel text, weight optional int64, lines list of struct line\n");
    assert_err_empty();
}

static void one_type_is_shown_field_by_field(void **state)
{
    (void)state;
    write_store();
    cli("schema", "parcels.db", "parcel.sent");
    assert_cli(0);
    assert_out("TYPE         VERSION  FIELD             KIND\n"
               "parcel.sent        1  (not registered)  \n"
               "parcel.sent        2  parcel            text\n"
               "parcel.sent        2  weight            optional int64\n"
               "parcel.sent        2  lines             list of struct line\n"
               "parcel.sent        2  line.article      text\n");
    cli("schema", "parcels.db", "parcel.lost");
    assert_cli(1);
    assert_out("");
    assert_err_has("there is no type 'parcel.lost'");
}

static void json_has_the_schema_of_each_version(void **state)
{
    (void)state;
    write_store();
    cli("schema", "parcels.db", "--json", "parcel.sent");
    assert_cli(0);
    assert_out_has("{\"type\":\"parcel.sent\",\"typeversion\":1,\"kind\":\"event\",\"events\":2,\"schema\":null}\n");
    assert_out_has(
        "{\"type\":\"parcel.sent\",\"typeversion\":2,\"kind\":\"event\",\"events\":0,\"schema\":{\"$schema\":"
        "\"https://json-schema.org/draft/2020-12/schema\",\"title\":\"parcel.sent\",");
    assert_out_has("\"required\":[\"parcel\",\"lines\"]");
    assert_null(strstr(cli_last.out, "parcel.send"));
    cli("schema", "parcels.db", "--json");
    assert_out_has("{\"type\":\"parcel.send\",\"typeversion\":1,\"kind\":\"command\",");
    assert_out_has("\"type\":\"parcel.sent\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cli_test(types_are_rows_with_their_fields),
        cli_test(one_type_is_shown_field_by_field),
        cli_test(json_has_the_schema_of_each_version),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
