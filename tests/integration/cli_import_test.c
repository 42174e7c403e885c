/* stele export and import: bytes that come back the same, foreign events, imports cut short, bad lines. */
#include "tests/integration/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Every shape of JSON data. */
static const char *const shapes[] = {
    "null",
    "true",
    "false",
    "0",
    "-1",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "1.0",
    "-0.0",
    "1e300",
    "5e-324",
    "0.1",
    "\"\"",
    "\"text\"",
    "\"\\u0000\"",
    "\"\\u001b[31m\\n\\t\\\"\\\\/\"",
    "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"",
    "\"\xc2\x9b\xe2\x80\xae\"",
    "{}",
    "[]",
    "[[],{},[{}]]",
    "{\"b\":1,\"a\":{\"c\":[1,2.5,\"x\",null,true]},\"\":0,\"\xc3\xa4\":{}}",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
};
enum { SHAPES = sizeof(shapes) / sizeof(shapes[0]) };

static void write_shapes(void)
{
    for (size_t i = 0; i < SHAPES; i++) {
        cli("append", "one.db", i % 3 == 0 ? "a" : "b-\xc3\xa4", "--type", "shape", "--", shapes[i]);
        assert_cli(0);
    }
}

static void assert_same_files(const char *left, const char *right)
{
    size_t left_size = 0, right_size = 0;
    char *left_bytes = cli_read_file(left, &left_size);
    char *right_bytes = cli_read_file(right, &right_size);
    assert_int_equal(left_size, right_size);
    assert_memory_equal(left_bytes, right_bytes, left_size);
    free(left_bytes);
    free(right_bytes);
}

static void assert_count(const char *db, const char *events)
{
    char text[40];
    snprintf(text, sizeof(text), "{\"events\":%s,", events);
    cli("stats", db, "--json");
    assert_cli(0);
    assert_out_has(text);
}

static void export_and_import_give_the_same_bytes_for_every_shape_of_data(void **state)
{
    (void)state;
    write_shapes();
    cli("export", "one.db", "one.ndjson");
    assert_cli(0);
    cli("import", "two.db", "one.ndjson");
    assert_cli(0);
    assert_out("24 imported, 0 already there\n");
    cli("export", "two.db", "two.ndjson");
    assert_cli(0);
    assert_same_files("one.ndjson", "two.ndjson");
    assert_int_equal(SHAPES, 24);
}

static void exported_data_is_what_was_appended(void **state)
{
    (void)state;
    write_shapes();
    cli("export", "one.db");
    assert_cli(0);
    static const char *const exact[] = {
        "\"data\":18446744073709551615}",
        "\"data\":-9223372036854775808}",
        "\"data\":1.0}",
        "\"data\":-0.0}",
        "\"data\":null}",
        "\"data\":\"\\u0000\"}",
        "\"data\":{}}",
        "\"data\":[[],{},[{}]]}",
    };
    for (size_t i = 0; i < sizeof(exact) / sizeof(exact[0]); i++)
        assert_out_has(exact[i]);
    const char *big = strstr(cli_last.out, "\"data\":1e");
    assert_non_null(big);
    assert_true(strtod(big + strlen("\"data\":"), NULL) == 1e300);
}

static void export_and_import_work_in_a_pipe(void **state)
{
    (void)state;
    write_shapes();
    cli_shell("$STELE export one.db | $STELE import two.db --batch-size 7 && $STELE export one.db >one.ndjson &&"
              " $STELE export two.db >two.ndjson");
    assert_cli(0);
    assert_same_files("one.ndjson", "two.ndjson");
}

static void importing_twice_changes_nothing(void **state)
{
    (void)state;
    write_shapes();
    cli("export", "one.db", "one.ndjson");
    cli("import", "two.db", "one.ndjson", "--batch-size", "5");
    assert_cli(0);
    cli("import", "two.db", "one.ndjson", "--batch-size", "7");
    assert_cli(0);
    assert_out("0 imported, 24 already there\n");
    cli("import", "one.db", "one.ndjson");
    assert_out("0 imported, 24 already there\n");
    cli("export", "two.db", "two.ndjson");
    assert_same_files("one.ndjson", "two.ndjson");
}

static void an_import_cut_short_goes_on_where_it_was(void **state)
{
    (void)state;
    write_shapes();
    cli("export", "one.db", "one.ndjson");
    cli_shell("head -n 10 one.ndjson | $STELE import two.db --batch-size 3");
    assert_cli(0);
    assert_out("10 imported, 0 already there\n");
    cli("import", "two.db", "one.ndjson", "--batch-size", "4");
    assert_cli(0);
    assert_out("14 imported, 10 already there\n");
    cli("export", "two.db", "two.ndjson");
    assert_same_files("one.ndjson", "two.ndjson");
}

static void a_file_cut_in_the_middle_of_a_line_is_named_and_mended_by_the_whole_one(void **state)
{
    (void)state;
    write_shapes();
    cli("export", "one.db", "one.ndjson");
    size_t size = 0;
    char *text = cli_read_file("one.ndjson", &size);
    size_t lines = 0, at = 0;
    while (lines < 12)
        lines += text[at++] == '\n';
    cli_write("cut.ndjson", text, at + 40);
    free(text);
    cli("import", "two.db", "cut.ndjson");
    assert_cli(1);
    assert_err_has("stele: import: line 13: ");
    assert_err_has("12 imported, 0 already there");
    assert_count("two.db", "12");
    cli("import", "two.db", "one.ndjson");
    assert_cli(0);
    cli("export", "two.db", "two.ndjson");
    assert_same_files("one.ndjson", "two.ndjson");
}

/* Events of the CloudEvents 1.0.2 specification: its example, its variants of data, and its batch's members. */
static const char foreign[] =
    "{\"specversion\":\"1.0\",\"type\":\"com.example.someevent\",\"source\":\"/mycontext\",\"subject\":\"larger-context\","
    "\"id\":\"A234-1234-1234\",\"time\":\"2018-04-05T17:31:00Z\",\"comexampleextension1\":\"value\","
    "\"comexampleothervalue\":5,\"datacontenttype\":\"application/json\",\"data\":{\"appinfoA\":\"abc\",\"appinfoB\":123,"
    "\"appinfoC\":true}}\n"
    "{\"specversion\":\"1.0\",\"type\":\"com.example.someevent\",\"source\":\"/mycontext\",\"id\":\"B234-1234-1234\","
    "\"time\":\"2018-04-05T17:31:00+02:00\",\"unsetextension\":null,\"datacontenttype\":\"application/octet-stream\","
    "\"data_base64\":\"AAEC/w==\"}\n"
    "{\"specversion\":\"1.0\",\"type\":\"com.example.someevent\",\"source\":\"/mycontext\",\"id\":\"C234-1234-1234\","
    "\"time\":\"2018-04-05T17:31:00Z\",\"datacontenttype\":\"text/plain\",\"data\":\"I'm just a string\"}\n"
    "{\"specversion\":\"1.0\",\"type\":\"com.example.someevent\",\"source\":\"/mycontext\",\"id\":\"D234-1234-1234\","
    "\"time\":\"2018-04-05T17:31:00Z\",\"stream\":\"named\",\"subject\":\"not-this\"}\n";

static void foreign_cloudevents_keep_what_they_say(void **state)
{
    (void)state;
    cli_with(foreign, "import", "two.db", "--stream", "rest");
    assert_cli(0);
    assert_out("4 imported, 0 already there\n");
    cli("export", "two.db");
    assert_cli(0);
    assert_out_has("\"id\":\"A234-1234-1234\",\"source\":\"/mycontext\",\"type\":\"com.example.someevent\","
                   "\"subject\":\"larger-context\",\"time\":\"2018-04-05T17:31:00Z\"");
    assert_out_has("\"stream\":\"larger-context\"");
    assert_out_has("\"comexampleextension1\":\"value\",\"comexampleothervalue\":5");
    assert_out_has("\"data\":{\"appinfoA\":\"abc\",\"appinfoB\":123,\"appinfoC\":true}");
    assert_out_has("\"subject\":\"rest\",\"time\":\"2018-04-05T15:31:00Z\"");
    assert_out_has("\"data_base64\":\"AAEC/w==\"");
    assert_out_has("\"data\":\"I'm just a string\"");
    assert_out_has("\"subject\":\"not-this\",\"time\":\"2018-04-05T17:31:00Z\",\"stream\":\"named\"");
    cli_shell("$STELE export two.db >two.ndjson && $STELE import three.db two.ndjson &&"
              " $STELE export three.db >three.ndjson");
    assert_cli(0);
    assert_same_files("two.ndjson", "three.ndjson");
    cli_with(foreign, "import", "two.db", "--stream", "rest");
    assert_out("0 imported, 4 already there\n");
}

static void payloads_that_are_no_json_are_shown_by_size_and_type(void **state)
{
    (void)state;
    cli_with(foreign, "import", "two.db", "--stream", "rest");
    cli("log", "two.db");
    assert_cli(0);
    assert_out_has("<4 bytes of application/octet-stream>");
    cli("show", "two.db", "B234-1234-1234");
    assert_out_has("content type    application/octet-stream\n");
    assert_out_has("<4 bytes of application/octet-stream>\n");
    cli("show", "two.db", "A234-1234-1234");
    assert_out_has("comexampleextension1 value\n");
    assert_out_has("comexampleothervalue 5\n");
}

#define EVENT(id, stream) \
    "{\"specversion\":\"1.0\",\"id\":\"" id "\",\"source\":\"s\",\"type\":\"t\",\"time\":\"2026-01-01T00:00:00Z\"" \
    ",\"stream\":\"" stream "\",\"data\":1}\n"
#define WITHOUT_STREAM(id) "{\"specversion\":\"1.0\",\"id\":\"" id "\",\"source\":\"s\",\"type\":\"t\"}\n"

static void the_first_bad_line_ends_an_import_and_what_stood_before_is_kept(void **state)
{
    (void)state;
    cli_with(EVENT("1", "a") "\n" EVENT("2", "a") "{\"specversion\":\"1.0\"}\n" EVENT("3", "a"), "import", "two.db");
    assert_cli(1);
    assert_out("");
    assert_err_has("stele: import: line 4: ");
    assert_err_has("stele: import: stopped; 2 imported, 0 already there\n");
    assert_count("two.db", "2");
}

static void skip_bad_reports_each_line_and_has_status_3(void **state)
{
    (void)state;
    cli_with(EVENT("1", "a") "not json\n" EVENT("2", "a") WITHOUT_STREAM("3") EVENT("4", "$own") "[]\n" EVENT("5", "b"),
             "import", "two.db", "--skip-bad");
    assert_cli(3);
    assert_out("3 imported, 0 already there, 4 bad lines skipped\n");
    assert_err_has("stele: import: line 2: ");
    assert_err_has("stele: import: line 4: the event names no stream");
    assert_err_has("stele: import: line 5: stream names that begin with $");
    assert_err_has("stele: import: line 6: ");
    assert_count("two.db", "3");
    cli_with(EVENT("1", "a"), "import", "two.db", "--skip-bad");
    assert_cli(0);
}

static void streams_of_the_library_are_refused(void **state)
{
    (void)state;
    cli_with(EVENT("1", "$own"), "import", "two.db");
    assert_cli(1);
    assert_err_has("stele: import: line 1: ");
    assert_count("two.db", "0");
}

static void an_id_stored_as_another_event_is_a_bad_line(void **state)
{
    (void)state;
    cli_with(EVENT("1", "a"), "import", "two.db");
    cli_with(EVENT("0", "a") EVENT("1", "b") EVENT("2", "a"), "import", "two.db");
    assert_cli(1);
    assert_err_has("stele: import: line 2: id 1 is stored already as another event: position 1, stream a\n");
    assert_err_has("stopped; 1 imported, 0 already there");
    assert_count("two.db", "2");
    cli_with(EVENT("0", "a") EVENT("1", "b") EVENT("2", "a"), "import", "two.db", "--skip-bad");
    assert_cli(3);
    assert_out("1 imported, 1 already there, 1 bad line skipped\n");
}

static void a_batch_is_settled_before_the_next_one_is_stored(void **state)
{
    (void)state;
    cli_with(EVENT("2", "a"), "import", "two.db");
    cli_with(EVENT("1", "a") EVENT("2", "b") EVENT("3", "a") EVENT("4", "a") "[]\n", "import", "two.db", "--batch-size",
             "2");
    assert_cli(1);
    assert_err_has("stele: import: line 2: id 2 is stored already as another event: position 1, stream a\n");
    assert_err_has("stopped; 1 imported, 0 already there");
    assert_count("two.db", "2");
    cli_with(EVENT("2", "a"), "import", "three.db");
    cli_with(EVENT("1", "a") EVENT("2", "b") EVENT("3", "a") EVENT("4", "a") "[]\n", "import", "three.db",
             "--batch-size", "2", "--skip-bad");
    assert_cli(3);
    assert_out("3 imported, 0 already there, 2 bad lines skipped\n");
    cli_shell("$STELE export three.db | grep -o '\"id\":\"[^\"]*\"'");
    assert_out("\"id\":\"2\"\n\"id\":\"1\"\n\"id\":\"3\"\n\"id\":\"4\"\n");
}

static void the_same_event_twice_in_a_file_is_taken_once(void **state)
{
    (void)state;
    cli_with(EVENT("1", "a") EVENT("2", "a") EVENT("1", "a"), "import", "two.db");
    assert_cli(0);
    assert_out("2 imported, 1 already there\n");
    cli_with(EVENT("9", "a") EVENT("9", "b"), "import", "two.db");
    assert_cli(1);
    assert_err_has("stele: import: line 2: id 9 is stored already as another event: position 3, stream a");
}

static void an_event_that_the_store_refuses_is_named_by_its_line(void **state)
{
    (void)state;
    char text[3000];
    char name[1026];
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    snprintf(
        text, sizeof(text),
        EVENT(
            "1",
            "a") "{\"specversion\":\"1.0\",\"id\":\"2\",\"source\":\"s\",\"type\":\"t\",\"stream\":\"%s\"}\n" EVENT("3",
                                                                                                                    "a"),
        name);
    cli_with(text, "import", "two.db", "--skip-bad");
    assert_cli(3);
    assert_err_has("stele: import: line 2: ");
    assert_out("2 imported, 0 already there, 1 bad line skipped\n");
}

static void a_line_over_the_limit_is_a_bad_line(void **state)
{
    (void)state;
    const size_t size = 24 * 1024 * 1024 + 1;
    const char *after = "\n" EVENT("1", "a");
    char *text = malloc(size + strlen(after) + 1);
    assert_non_null(text);
    memset(text, ' ', size);
    text[0] = '{';
    memcpy(text + size, after, strlen(after) + 1);
    cli_with(text, "import", "two.db", "--skip-bad");
    assert_cli(3);
    assert_err_has("stele: import: line 1: longer than 24 MiB (skipped)\n");
    assert_out("1 imported, 0 already there, 1 bad line skipped\n");
    text[size] = '\0';
    cli_with(text, "import", "two.db");
    free(text);
    assert_cli(1);
    assert_err_has("stele: import: line 1: longer than 24 MiB\n");
}

static void an_import_of_nothing_makes_an_empty_store(void **state)
{
    (void)state;
    cli("import", "two.db");
    assert_cli(0);
    assert_out("0 imported, 0 already there\n");
    cli("export", "two.db");
    assert_cli(0);
    assert_out("");
}

static void wrong_batch_sizes_are_refused(void **state)
{
    (void)state;
    static const char *const sizes[] = {"0", "10001", "-5", "x"};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        cli("import", "two.db", "--batch-size", sizes[i]);
        assert_cli(2);
        assert_err_has("stele: import: --batch-size: '");
    }
}

static void an_input_that_cannot_be_read_is_told_and_makes_no_store(void **state)
{
    (void)state;
    cli("import", "two.db", "missing.ndjson");
    assert_cli(1);
    assert_err_has("stele: import: missing.ndjson: No such file or directory");
    cli("import", "two.db", ".");
    assert_cli(1);
    assert_err_has("stele: import: .: Is a directory");
    assert_int_not_equal(access(cli_path("two.db"), F_OK), 0);
}

static void export_never_writes_over_a_store(void **state)
{
    (void)state;
    write_shapes();
    cli("export", "one.db", "one.db");
    assert_cli(1);
    assert_err_has("one.db: is a database and is not written over");
    cli("export", "one.db", "one.db-wal");
    assert_cli(1);
    assert_err_has("one.db-wal: is a file of a database and is not written over");
    assert_int_not_equal(access(cli_path("one.db-wal"), F_OK), 0);
    assert_count("one.db", "24");
    cli("export", "one.db", "none.db-wal");
    assert_cli(0);
    cli("export", "one.db", "no-such-folder/x");
    assert_cli(1);
    cli("export", "one.db", "/dev/full");
    assert_cli(1);
    assert_err_has("stele: export: /dev/full: No space left on device");
}

static void export_through_a_link_writes_the_file_behind_it(void **state)
{
    (void)state;
    write_shapes();
    cli_shell("mkdir there && echo old >there/file && ln -s there/file link && $STELE export one.db link &&"
              " test -L link && $STELE import two.db there/file");
    assert_cli(0);
    assert_out("24 imported, 0 already there\n");
}

static void export_that_fails_leaves_the_older_file_and_nothing_else(void **state)
{
    (void)state;
    cli_with("1\n2\n\"MARKED-PAYLOAD\"\n", "append", "one.db", "a", "--type", "t", "--batch");
    size_t size = 0;
    char *bytes = cli_read_file("one.db", &size);
    char *found = memmem(bytes, size, "MARKED", 6);
    assert_non_null(found);
    found[0] = 'm';
    cli_write("one.db", bytes, size);
    free(bytes);
    cli_write_text("old.ndjson", "old");
    cli("export", "one.db", "old.ndjson");
    assert_cli(1);
    assert_err_has("position 3");
    cli_shell("cat old.ndjson; ls");
    assert_out_has("old");
    assert_null(strstr(cli_last.out, "specversion"));
    assert_null(strstr(cli_last.out, "old.ndjson."));
}

static void standard_input_that_is_closed_is_told(void **state)
{
    (void)state;
    cli_shell("$STELE import two.db <&-");
    assert_cli(1);
    assert_err_has("stele: import: standard input: Bad file descriptor");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cli_test(export_and_import_give_the_same_bytes_for_every_shape_of_data),
        cli_test(exported_data_is_what_was_appended),
        cli_test(export_and_import_work_in_a_pipe),
        cli_test(importing_twice_changes_nothing),
        cli_test(an_import_cut_short_goes_on_where_it_was),
        cli_test(a_file_cut_in_the_middle_of_a_line_is_named_and_mended_by_the_whole_one),
        cli_test(foreign_cloudevents_keep_what_they_say),
        cli_test(payloads_that_are_no_json_are_shown_by_size_and_type),
        cli_test(the_first_bad_line_ends_an_import_and_what_stood_before_is_kept),
        cli_test(skip_bad_reports_each_line_and_has_status_3),
        cli_test(streams_of_the_library_are_refused),
        cli_test(an_id_stored_as_another_event_is_a_bad_line),
        cli_test(a_batch_is_settled_before_the_next_one_is_stored),
        cli_test(the_same_event_twice_in_a_file_is_taken_once),
        cli_test(an_event_that_the_store_refuses_is_named_by_its_line),
        cli_test(a_line_over_the_limit_is_a_bad_line),
        cli_test(an_import_of_nothing_makes_an_empty_store),
        cli_test(wrong_batch_sizes_are_refused),
        cli_test(an_input_that_cannot_be_read_is_told_and_makes_no_store),
        cli_test(export_never_writes_over_a_store),
        cli_test(export_through_a_link_writes_the_file_behind_it),
        cli_test(export_that_fails_leaves_the_older_file_and_nothing_else),
        cli_test(standard_input_that_is_closed_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
