/* stele read, log, streams, show, stats, verify: what they print about a small ledger. */
#include "tests/integration/cli.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void append(const char *stream, const char *type, const char *id, const char *time, const char *text)
{
    cli("append", "ledger.db", stream, "--type", type, "--id", id, "--time", time, text);
    assert_cli(0);
}

/* Four events on three streams, on two days. */
static void write_ledger(void)
{
    append("account-1", "bank.opened", "e1", "2026-01-02T10:00:00Z", "{\"owner\":\"Ada\"}");
    append("account-22", "bank.opened", "e2", "2026-01-02T10:00:01.5Z", "{\"owner\":\"Bob\"}");
    append("account-1", "bank.money.deposited", "e3", "2026-01-02T23:59:59.999Z", "{\"amount\":100}");
    append("till", "till.counted", "e4", "2026-01-03T00:00:00Z", "[1,-2.5,null]");
}

#define FIRST \
    "{\"specversion\":\"1.0\",\"id\":\"e1\",\"source\":\"stele\",\"type\":\"bank.opened\",\"subject\":\"account-1\"," \
    "\"time\":\"2026-01-02T10:00:00Z\",\"stream\":\"account-1\",\"streamversion\":1,\"position\":1," \
    "\"data\":{\"owner\":\"Ada\"}}\n"
#define THIRD \
    "{\"specversion\":\"1.0\",\"id\":\"e3\",\"source\":\"stele\",\"type\":\"bank.money.deposited\"," \
    "\"subject\":\"account-1\",\"time\":\"2026-01-02T23:59:59.999Z\",\"stream\":\"account-1\",\"streamversion\":2," \
    "\"position\":3,\"data\":{\"amount\":100}}\n"

static void read_shows_a_table(void **state)
{
    (void)state;
    write_ledger();
    cli("read", "ledger.db", "account-1");
    assert_cli(0);
    assert_out("POSITION  STREAM     VERSION  TYPE                  TIME                      DATA\n"
               "       1  account-1        1  bank.opened           2026-01-02T10:00:00Z      {\"owner\":\"Ada\"}\n"
               "       3  account-1        2  bank.money.deposited  2026-01-02T23:59:59.999Z  {\"amount\":100}\n");
    assert_err_empty();
}

static void tables_are_aligned_by_the_width_of_characters(void **state)
{
    (void)state;
    append("\xe6\x97\xa5\xe6\x9c\xac", "t", "e1", "2026-01-02T10:00:00Z", "1"); /* two characters, four columns */
    append("na\xc3\xafve-1", "t", "e2", "2026-01-02T10:00:00Z", "2");           /* seven characters and columns */
    cli("log", "ledger.db");
    assert_out("POSITION  STREAM   VERSION  TYPE  TIME                  DATA\n"
               "       1  \xe6\x97\xa5\xe6\x9c\xac           1  t     2026-01-02T10:00:00Z  1\n"
               "       2  na\xc3\xafve-1        1  t     2026-01-02T10:00:00Z  2\n");
}

static void long_logs_stay_aligned_over_pages(void **state)
{
    (void)state;
    cli_shell("seq 1000 | $STELE append ledger.db a --type t --time 2026-01-02T10:00:00Z --batch");
    cli("log", "ledger.db");
    assert_cli(0);
    assert_out_has("POSITION  STREAM  VERSION  TYPE  TIME                  DATA\n"
                   "       1  a             1  t     2026-01-02T10:00:00Z  1\n");
    assert_out_has("\n    1000  a          1000  t     2026-01-02T10:00:00Z  1000\n");
    assert_null(strstr(cli_last.out + 1, "POSITION"));
}

static void read_writes_cloudevents_with_json(void **state)
{
    (void)state;
    write_ledger();
    cli("read", "ledger.db", "account-1", "--json");
    assert_cli(0);
    assert_out(FIRST THIRD);
}

static void log_shows_all_streams_in_order(void **state)
{
    (void)state;
    write_ledger();
    cli("log", "ledger.db");
    assert_cli(0);
    assert_out("POSITION  STREAM      VERSION  TYPE                  TIME                      DATA\n"
               "       1  account-1         1  bank.opened           2026-01-02T10:00:00Z      {\"owner\":\"Ada\"}\n"
               "       2  account-22        1  bank.opened           2026-01-02T10:00:01.500Z  {\"owner\":\"Bob\"}\n"
               "       3  account-1         2  bank.money.deposited  2026-01-02T23:59:59.999Z  {\"amount\":100}\n"
               "       4  till              1  till.counted          2026-01-03T00:00:00Z      [1,-2.5,null]\n");
}

/* The ids that a log with these arguments shows, such as "e1 e3". */
static void assert_log(const char *arguments, const char *ids)
{
    char line[300];
    snprintf(line, sizeof(line), "$STELE log ledger.db --json %s | sed 's/.*\"id\":\"\\([^\"]*\\).*/\\1/' | xargs echo",
             arguments);
    cli_shell(line);
    assert_cli(0);
    assert_err_empty();
    char expected[64];
    snprintf(expected, sizeof(expected), "%s\n", ids);
    assert_out(expected);
}

static void log_takes_a_part_of_the_events(void **state)
{
    (void)state;
    write_ledger();
    assert_log("", "e1 e2 e3 e4");
    assert_log("--after 2", "e3 e4");
    assert_log("--after 4", "");
    assert_log("--after 9223372036854775807", "");
    assert_log("--limit 2", "e1 e2");
    assert_log("--reverse", "e4 e3 e2 e1");
    assert_log("--reverse --limit=1", "e4");
    assert_log("--reverse --after 3", "e2 e1");
    assert_log("--type bank.opened", "e1 e2");
    assert_log("--type 'bank.*'", "e1 e2");
    assert_log("--type 'bank.>'", "e1 e2 e3");
    assert_log("--category account-", "e1 e2 e3");
    assert_log("--category account-2", "e2");
    assert_log("--until 3", "e1 e2 e3");
    assert_log("--until 2026-01-02", "e1 e2 e3");
    assert_log("--until 2026-01-02T10:00:01Z", "e1");
    assert_log("--until 2026-01-03T00:00:00+00:00", "e1 e2 e3 e4");
    assert_log("-r -n 2 -t 'bank.>' --until 3 --after 3", "e2 e1");
}

static void read_counts_in_versions(void **state)
{
    (void)state;
    write_ledger();
    cli("read", "ledger.db", "account-1", "--json", "--after", "1");
    assert_out(THIRD);
    cli("read", "ledger.db", "account-1", "--json", "--until", "1");
    assert_out(FIRST);
    cli("read", "ledger.db", "account-1", "--json", "--reverse");
    assert_out(THIRD FIRST);
}

static void V4_reading_a_missing_stream_shows_nothing_and_says_so(void **state)
{
    (void)state;
    write_ledger();
    cli("read", "ledger.db", "nobody");
    assert_cli(0);
    assert_out("");
    assert_err_has("stele: read: stream nobody has no events\n");
}

static void streams_lists_by_name(void **state)
{
    (void)state;
    write_ledger();
    cli("streams", "ledger.db");
    assert_cli(0);
    assert_out("STREAM      VERSION  FIRST  LAST  FIRST TIME                LAST TIME\n"
               "account-1         2      1     3  2026-01-02T10:00:00Z      2026-01-02T23:59:59.999Z\n"
               "account-22        1      2     2  2026-01-02T10:00:01.500Z  2026-01-02T10:00:01.500Z\n"
               "till              1      4     4  2026-01-03T00:00:00Z      2026-01-03T00:00:00Z\n");
    cli("streams", "ledger.db", "--json", "--category", "account-", "--reverse", "--limit", "1");
    assert_out("{\"stream\":\"account-22\",\"version\":1,\"firstposition\":2,\"lastposition\":2,"
               "\"firsttime\":\"2026-01-02T10:00:01.500Z\",\"lasttime\":\"2026-01-02T10:00:01.500Z\"}\n");
    cli("streams", "ledger.db", "--json", "--after", "account-22");
    assert_out("{\"stream\":\"till\",\"version\":1,\"firstposition\":4,\"lastposition\":4,"
               "\"firsttime\":\"2026-01-03T00:00:00Z\",\"lasttime\":\"2026-01-03T00:00:00Z\"}\n");
}

static void streams_escapes_names_in_json(void **state)
{
    (void)state;
    append("a\"b\\c", "t", "e1", "2026-01-02T10:00:00Z", "{}");
    cli("streams", "ledger.db", "--json");
    assert_out_has("{\"stream\":\"a\\\"b\\\\c\",\"version\":1,");
}

static void show_lays_one_event_out(void **state)
{
    (void)state;
    write_ledger();
    const char *expected = "position        4\n"
                           "stream          till\n"
                           "version         1\n"
                           "type            till.counted\n"
                           "time            2026-01-03T00:00:00Z\n"
                           "id              e4\n"
                           "source          stele\n"
                           "\n"
                           "[\n"
                           "  1,\n"
                           "  -2.5,\n"
                           "  null\n"
                           "]\n";
    cli("show", "ledger.db", "4");
    assert_cli(0);
    assert_out(expected);
    cli("show", "ledger.db", "e4");
    assert_out(expected);
    cli("show", "ledger.db", "e1", "--json");
    assert_out(FIRST);
}

static void show_nests_and_keeps_text_together(void **state)
{
    (void)state;
    append("a", "t", "e1", "2026-01-02T10:00:00Z", "{\"a\":{},\"b\":[],\"c\":[{\"d\":\"x,{\\\"}:[\"}]}");
    cli("show", "ledger.db", "1");
    assert_out_has(
        "\n\n{\n  \"a\": {},\n  \"b\": [],\n  \"c\": [\n    {\n      \"d\": \"x,{\\\"}:[\"\n    }\n  ]\n}\n");
}

static void show_takes_a_number_for_an_id_where_there_is_no_such_position(void **state)
{
    (void)state;
    append("a", "first", "77", "2026-01-02T10:00:00Z", "{}");
    append("a", "second", "1", "2026-01-02T10:00:00Z", "{}");
    cli("show", "ledger.db", "77");
    assert_out_has("type            first\n");
    cli("show", "ledger.db", "1");
    assert_out_has("type            first\n");
    cli("show", "ledger.db", "--id", "1");
    assert_out_has("type            second\n");
    cli("show", "ledger.db", "3");
    assert_cli(1);
    assert_err_has("stele: show: ");
    assert_err_has("3");
    cli("show", "ledger.db", "none-such");
    assert_cli(1);
    assert_err_has("none-such");
}

static void stats_counts(void **state)
{
    (void)state;
    write_ledger();
    cli("stats", "ledger.db");
    assert_cli(0);
    assert_out_has("events      4\nstreams     3\ntypes       3\nhead        4\nbytes       ");
    assert_out_has("survives    power loss\n");
    cli("stats", "ledger.db", "--json");
    assert_out_has("{\"events\":4,\"streams\":3,\"types\":3,\"head\":4,\"bytes\":");
    assert_out_has("\"backend\":\"sqlite\"");
    assert_out_has("\"survives\":\"power loss\"}\n");
}

static void verify_says_what_it_checked(void **state)
{
    (void)state;
    write_ledger();
    cli("verify", "ledger.db");
    assert_cli(0);
    assert_out_has("events       4 checked\nstreams      3 checked\nlog commits  ");
    assert_out_has("faults       0\n");
    cli("verify", "ledger.db", "--json");
    assert_cli(0);
    assert_out_has("{\"faults\":[],\"ok\":true,\"events\":4,\"streams\":3,\"logcommits\":");
    cli("verify", "ledger.db", "--expect-head", "4");
    assert_cli(0);
    cli("verify", "ledger.db", "--expect-head", "5");
    assert_cli(1);
    assert_err_has("stele: verify: ");
    assert_out_has("5");
}

static void D5_verify_names_the_position_of_a_flipped_byte(void **state)
{
    (void)state;
    write_ledger();
    append("till", "till.counted", "e5", "2026-01-04T00:00:00Z", "\"MARKED-PAYLOAD\"");
    for (int file = 0; file < 2; file++) {
        const char *name = file == 0 ? "ledger.db" : "ledger.db-wal";
        if (access(cli_path(name), F_OK) != 0)
            continue;
        size_t size = 0;
        char *bytes = cli_read_file(name, &size);
        char *found = memmem(bytes, size, "MARKED-PAYLOAD", 14);
        if (file == 0)
            assert_non_null(found); /* closing the last connection moves the log into the file */
        if (found != NULL)
            found[3] = 'C';
        cli_write(name, bytes, size);
        free(bytes);
    }
    cli("verify", "ledger.db");
    assert_cli(1);
    assert_out_has("fault: ");
    assert_out_has("position 5");
    assert_out_has("faults       1\n");
    assert_err_has("stele: verify: ");
    cli("verify", "ledger.db", "--json");
    assert_cli(1);
    assert_out_has("position 5");
    assert_out_has("\"ok\":false");
    cli("log", "ledger.db");
    assert_cli(1);
    assert_out_has("till.counted");
    assert_err_has("position 5");
    cli("export", "ledger.db");
    assert_cli(1);
    assert_err_has("position 5");
}

static void wrong_usage_has_status_2_and_names_the_option(void **state)
{
    (void)state;
    static const char *const refused[][2] = {
        {"--limit", "-1"},
        {"--limit", "0"},
        {"--limit", "x"},
        {"--limit", ""},
        {"--after", "1x"},
        {"--after", "-1"},
        {"--after", "+1"},
        {"--until", "0"},
        {"--until", "2026-02-30"},
        {"--until", "soon"},
        {"--limit", "9223372036854775808"},
        {"--after", "18446744073709551616"},
        {"--until", "9223372036854775808"},
    };
    write_ledger();
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        cli("log", "ledger.db", refused[i][0], refused[i][1]);
        assert_cli(2);
        assert_out("");
        char start[40];
        snprintf(start, sizeof(start), "stele: log: %s: '", refused[i][0]);
        assert_err_has(start);
        assert_err_has(refused[i][1]);
        cli("read", "ledger.db", "account-1", refused[i][0], refused[i][1]);
        assert_cli(2);
    }
    cli("log", "ledger.db", "--follow", "--reverse");
    assert_cli(2);
    cli("log", "ledger.db", "--follow", "--until", "2");
    assert_cli(2);
    cli("verify", "ledger.db", "--expect-head", "0");
    assert_cli(2);
    cli("log", "ledger.db", "--type", "bank..x");
    assert_cli(1);
    assert_err_has("stele: log: ");
}

static void log_follow_ends_at_its_limit(void **state)
{
    (void)state;
    write_ledger();
    cli("log", "ledger.db", "--follow", "--limit", "2", "--json", "--after", "2");
    assert_cli(0);
    assert_out_has("\"id\":\"e3\"");
    assert_out_has("\"id\":\"e4\"");
}

/* Wait until a pipe has given `text`; what came is kept in `got`. */
static void read_until(int descriptor, char *got, size_t size, const char *text)
{
    size_t length = strlen(got);
    while (strstr(got, text) == NULL) {
        struct pollfd watched = {.fd = descriptor, .events = POLLIN};
        assert_int_equal(poll(&watched, 1, 30000), 1);
        const ssize_t more = read(descriptor, got + length, size - length - 1);
        assert_true(more > 0);
        length += (size_t)more;
        got[length] = '\0';
    }
}

static void log_follow_sees_another_process_append_and_ends_on_a_signal(int signal_number)
{
    write_ledger();
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (dup2(ends[1], STDOUT_FILENO) < 0 || chdir(support_temp_dir()) != 0)
            _exit(126);
        close(ends[0]);
        close(ends[1]);
        execl(cli_program(), "stele", "log", "ledger.db", "--follow", "--json", "--after", "3", (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    char got[4096] = "";
    read_until(ends[0], got, sizeof(got), "\"id\":\"e4\"");
    append("till", "till.counted", "e5", "2026-01-04T00:00:00Z", "0");
    read_until(ends[0], got, sizeof(got), "\"id\":\"e5\"");
    append("till", "till.counted", "e6", "2026-01-04T00:00:00Z", "0");
    read_until(ends[0], got, sizeof(got), "\"id\":\"e6\"");
    assert_null(strstr(got, "\"id\":\"e3\""));
    assert_int_equal(kill(child, signal_number), 0);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    close(ends[0]);
}

static void C6_log_follow_sees_appends_and_ends_on_sigterm(void **state)
{
    (void)state;
    log_follow_sees_another_process_append_and_ends_on_a_signal(SIGTERM);
}

static void C6_log_follow_sees_appends_and_ends_on_sigint(void **state)
{
    (void)state;
    log_follow_sees_another_process_append_and_ends_on_a_signal(SIGINT);
}

static void log_follow_ends_when_its_reader_has_gone(void **state)
{
    (void)state;
    write_ledger();
    cli_shell("{ $STELE log ledger.db --follow; echo $? >&2; } | head -n 1");
    assert_cli(0);
    assert_out_has("POSITION");
    assert_string_equal(cli_last.err, "0\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cli_test(read_shows_a_table),
        cli_test(tables_are_aligned_by_the_width_of_characters),
        cli_test(long_logs_stay_aligned_over_pages),
        cli_test(read_writes_cloudevents_with_json),
        cli_test(log_shows_all_streams_in_order),
        cli_test(log_takes_a_part_of_the_events),
        cli_test(read_counts_in_versions),
        cli_test(V4_reading_a_missing_stream_shows_nothing_and_says_so),
        cli_test(streams_lists_by_name),
        cli_test(streams_escapes_names_in_json),
        cli_test(show_lays_one_event_out),
        cli_test(show_nests_and_keeps_text_together),
        cli_test(show_takes_a_number_for_an_id_where_there_is_no_such_position),
        cli_test(stats_counts),
        cli_test(verify_says_what_it_checked),
        cli_test(D5_verify_names_the_position_of_a_flipped_byte),
        cli_test(wrong_usage_has_status_2_and_names_the_option),
        cli_test(log_follow_ends_at_its_limit),
        cli_test(C6_log_follow_sees_appends_and_ends_on_sigterm),
        cli_test(C6_log_follow_sees_appends_and_ends_on_sigint),
        cli_test(log_follow_ends_when_its_reader_has_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
