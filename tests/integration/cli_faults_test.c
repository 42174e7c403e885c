/* What may be wrong around the command: files, standard output, the line itself. */
#include "tests/integration/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Every command that reads, with all its arguments but the store. */
static const char *const readers[][2] = {
    {"read", "a"},    {"log", NULL},   {"streams", NULL}, {"show", "1"},
    {"export", NULL}, {"stats", NULL}, {"schema", NULL},  {"verify", NULL},
};
enum { READERS = sizeof(readers) / sizeof(readers[0]) };

static void run_reader(size_t i, const char *db)
{
    if (readers[i][1] != NULL)
        cli(readers[i][0], db, readers[i][1]);
    else
        cli(readers[i][0], db);
}

static void assert_all_refuse(const char *db)
{
    for (size_t i = 0; i < READERS; i++) {
        run_reader(i, db);
        assert_cli(1);
        assert_out("");
        assert_err_has(readers[i][0]);
        assert_err_has(db);
    }
}

static void assert_writers_refuse(const char *db)
{
    cli("append", db, "a", "--type", "t", "{}");
    assert_cli(1);
    assert_err_has(db);
    cli("import", db);
    assert_cli(1);
    assert_err_has(db);
}

static void a_missing_store_is_named_and_never_made(void **state)
{
    (void)state;
    assert_all_refuse("missing.db");
    assert_int_not_equal(access(cli_path("missing.db"), F_OK), 0);
    assert_all_refuse("no/such/folder.db");
    assert_writers_refuse("no/such/folder.db");
}

static void a_directory_is_refused(void **state)
{
    (void)state;
    assert_int_equal(mkdir(cli_path("folder"), 0700), 0);
    assert_all_refuse("folder");
    assert_writers_refuse("folder");
}

static void a_foreign_file_is_refused_and_left_alone(void **state)
{
    (void)state;
    const char *text = "This is somebody's diary, and it is longer than a header of any kind of file would be.\n";
    cli_write_text("diary.txt", text);
    assert_all_refuse("diary.txt");
    assert_writers_refuse("diary.txt");
    char *left = cli_read_file("diary.txt", NULL);
    assert_string_equal(left, text);
    free(left);
}

static void a_truncated_store_is_refused(void **state)
{
    (void)state;
    cli("append", "ledger.db", "a", "--type", "t", "{}");
    size_t size = 0;
    char *bytes = cli_read_file("ledger.db", &size);
    cli_write("cut.db", bytes, size / 2);
    assert_all_refuse("cut.db");
    cli_write("cut.db", bytes, 50);
    assert_all_refuse("cut.db");
    free(bytes);
}

static void an_unknown_scheme_is_refused(void **state)
{
    (void)state;
    cli("log", "postgres://x");
    assert_cli(1);
    assert_err_has("postgres");
    cli("log", "");
    assert_cli(1);
}

static void a_full_disk_under_standard_output_is_told(void **state)
{
    (void)state;
    cli("append", "ledger.db", "a", "--type", "t", "{}");
    for (size_t i = 0; i < READERS; i++) {
        char line[120];
        snprintf(line, sizeof(line), "$STELE %s ledger.db %s >/dev/full", readers[i][0],
                 readers[i][1] != NULL ? readers[i][1] : "");
        cli_shell(line);
        assert_cli(1);
        assert_err_has("stele: standard output: No space left on device");
    }
    cli_shell("$STELE --help >/dev/full");
    assert_cli(1);
    cli_shell("$STELE version >/dev/full");
    assert_cli(1);
    cli_shell("$STELE append ledger.db a --type t '{}' >/dev/full");
    assert_cli(1);
}

static void standard_output_that_is_closed_is_told(void **state)
{
    (void)state;
    cli("append", "ledger.db", "a", "--type", "t", "{}");
    cli_shell("$STELE log ledger.db >&-");
    assert_cli(1);
    assert_err_has("stele: standard output: Bad file descriptor");
    cli("verify", "ledger.db");
    assert_cli(0);
}

static void a_reader_that_has_gone_is_no_fault(void **state)
{
    (void)state;
    cli_shell("seq 5000 | $STELE append ledger.db a --type t --batch");
    assert_cli(0);
    cli_shell("{ $STELE log ledger.db; echo status $? >&2; } | head -n 1");
    assert_string_equal(cli_last.err, "status 0\n");
    cli_shell("{ $STELE export ledger.db; echo status $? >&2; } | head -n 1");
    assert_string_equal(cli_last.err, "status 0\n");
}

static void a_file_that_may_not_grow_is_told_and_ends_nothing_by_a_signal(void **state)
{
    (void)state;
    cli("append", "ledger.db", "a", "--type", "t", "{}");
    cli_shell("seq 9000 | { ulimit -f 100; $STELE append ledger.db a --type t --batch; }");
    assert_cli(1);
    assert_err_has("stele: append: ");
    assert_err_has("ledger.db");
    cli("verify", "ledger.db", "--expect-head", "1");
    assert_cli(0);
    cli("append", "ledger.db", "a", "--type", "t", "{}");
    assert_cli(0);
}

static void the_line_without_a_command_or_with_another_is_wrong_usage(void **state)
{
    (void)state;
    cli_run(NULL, (const char *const[]){NULL});
    assert_cli(2);
    assert_err_has("Usage: stele");
    cli("frobnicate");
    assert_cli(2);
    assert_err_has("'frobnicate' is not a command");
    cli("--frobnicate");
    assert_cli(2);
    cli("version", "x");
    assert_cli(2);
    for (size_t i = 0; i < READERS; i++) {
        cli(readers[i][0]);
        assert_cli(2);
        assert_err_has("an argument is missing: ");
        cli(readers[i][0], "--no-such-option");
        assert_cli(2);
        assert_err_has("unrecognized option '--no-such-option'");
    }
}

static void help_and_version_are_on_standard_output(void **state)
{
    (void)state;
    static const char *const commands[] = {"append",  "read",  "log",    "streams", "show",    "export",
                                           "import",  "stats", "verify", "backup",  "restore", "compact",
                                           "upgrade", "trace", "sql",    "version", "schema"};
    cli("--help");
    assert_cli(0);
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        assert_out_has(commands[i]);
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        char usage[40];
        snprintf(usage, sizeof(usage), "Usage: stele %s", commands[i]);
        cli(commands[i], "--help");
        assert_cli(0);
        assert_out_has(usage);
        cli("help", commands[i]);
        assert_cli(0);
        assert_out_has(usage);
    }
    char version[40];
    snprintf(version, sizeof(version), "stele %s\n", stele_version());
    cli("version");
    assert_out(version);
    cli("--version");
    assert_out(version);
    cli("log", "--version");
    assert_out(version);
}

static void control_characters_never_reach_standard_error_raw(void **state)
{
    (void)state;
    cli("log", "mis\033[31msing.db");
    assert_cli(1);
    assert_err_has("mis\\u001b[31msing.db");
    assert_null(strchr(cli_last.err, '\033'));
}

static void control_characters_never_reach_a_table_raw(void **state)
{
    (void)state;
    cli("append", "ledger.db", "a", "--type", "t", "\"\\u001b[31m \xc2\x9b \xe2\x80\xae \xc3\xa4\"");
    assert_cli(0);
    cli("log", "ledger.db");
    assert_out_has("\\u001b[31m \\u009b \\u202e \xc3\xa4\"");
    cli("show", "ledger.db", "1");
    assert_out_has("\\u001b[31m \\u009b \\u202e \xc3\xa4\"");
}

static void the_log_of_the_library_is_shown_to_who_asks(void **state)
{
    (void)state;
    cli_shell("STELE_LOG=trace $STELE append ledger.db a --type t '{}'");
    assert_cli(0);
    assert_err_has("stele: info store opened");
    cli("log", "ledger.db");
    assert_err_empty();
    cli_shell("STELE_LOG=loud $STELE log ledger.db");
    assert_cli(2);
    assert_err_has("stele: STELE_LOG: 'loud' is not trace, ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cli_test(a_missing_store_is_named_and_never_made),
        cli_test(a_directory_is_refused),
        cli_test(a_foreign_file_is_refused_and_left_alone),
        cli_test(a_truncated_store_is_refused),
        cli_test(an_unknown_scheme_is_refused),
        cli_test(a_full_disk_under_standard_output_is_told),
        cli_test(standard_output_that_is_closed_is_told),
        cli_test(a_reader_that_has_gone_is_no_fault),
        cli_test(a_file_that_may_not_grow_is_told_and_ends_nothing_by_a_signal),
        cli_test(the_line_without_a_command_or_with_another_is_wrong_usage),
        cli_test(help_and_version_are_on_standard_output),
        cli_test(control_characters_never_reach_standard_error_raw),
        cli_test(control_characters_never_reach_a_table_raw),
        cli_test(the_log_of_the_library_is_shown_to_who_asks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
