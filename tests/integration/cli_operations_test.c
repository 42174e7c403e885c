/* Keeping a store from the command line: backup, restore, compact, upgrade, stats, trace, sql. */
#include "tests/integration/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_there(const char *name)
{
    return access(cli_path(name), F_OK) == 0;
}

/* Files in the folder, but for those that keep the outputs of a run. */
static void assert_files(const char *names)
{
    cli_shell("ls -A | grep -v -e '^[.]out$' -e '^[.]err$' -e '^[.]in$' | tr '\\n' ' '");
    assert_out_has(names);
    assert_int_equal(strlen(cli_last.out), strlen(names));
}

/* Two accounts; event 2 follows from 1, 3 and 4 from 2, 5 is somebody else's. */
static void write_ledger(void)
{
    static const char *const events[][4] = {
        {"a-1", "bank.opened", NULL, "{\"owner\":\"Ada\"}"}, {"a-1", "bank.deposited", "e1", "{\"amount\":100}"},
        {"a-2", "bank.sent", "e2", "{\"amount\":1.5}"},      {"a-2", "bank.noted", "e2", "\"hi\""},
        {"b-1", "bank.opened", NULL, "{\"owner\":\"Bob\"}"},
    };
    for (int i = 0; i < 5; i++) {
        char id[16];
        snprintf(id, sizeof(id), "e%d", i + 1);
        if (events[i][2] != NULL)
            cli("append", "ledger.db", events[i][0], "--type", events[i][1], "--id", id, "--time",
                "2026-01-02T03:04:05Z", "--correlation", "e1", "--causation", events[i][2], events[i][3]);
        else
            cli("append", "ledger.db", events[i][0], "--type", events[i][1], "--id", id, "--time",
                "2026-01-02T03:04:05Z", events[i][3]);
        assert_cli(0);
    }
}

/* --- Copies ---------------------------------------------------------------------------- */

static void a_store_goes_to_a_backup_and_back(void **state)
{
    (void)state;
    write_ledger();
    cli("backup", "ledger.db", "copy.db");
    assert_cli(0);
    assert_out_has("5 events in 3 streams, head 5, ");
    assert_err_empty();
    cli("restore", "copy.db", "new.db", "--json");
    assert_cli(0);
    assert_out_has("{\"events\":5,\"streams\":3,\"head\":5,\"bytes\":");
    cli_shell("$STELE export ledger.db >a && $STELE export copy.db >b && $STELE export new.db >c && "
              "cmp a b && cmp a c && cat c");
    assert_cli(0);
    assert_out_has("\"id\":\"e5\"");
    cli("verify", "new.db", "--expect-head", "5");
    assert_cli(0);
}

static void what_is_there_is_replaced_only_by_force(void **state)
{
    (void)state;
    write_ledger();
    cli("backup", "ledger.db", "copy.db");
    assert_cli(0);
    cli("append", "ledger.db", "a-1", "--type", "t", "{}");
    cli("backup", "ledger.db", "copy.db");
    assert_cli(1);
    assert_err_has("stele: backup: ");
    assert_err_has("copy.db: is there already");
    cli("restore", "copy.db", "ledger.db");
    assert_cli(1);
    assert_err_has("ledger.db: is there already");
    cli("backup", "ledger.db", "copy.db", "--force");
    assert_cli(0);
    assert_out_has("6 events");
    cli("append", "ledger.db", "a-1", "--type", "t", "{}");
    cli("restore", "--force", "copy.db", "ledger.db");
    assert_cli(0);
    assert_out_has("6 events");
    cli("stats", "ledger.db", "--json");
    assert_out_has("{\"events\":6,");
    assert_files("copy.db ledger.db ");
}

static void what_is_no_store_is_never_replaced(void **state)
{
    (void)state;
    write_ledger();
    cli_write_text("thesis.txt", "chapter 1");
    cli("backup", "ledger.db", "thesis.txt", "--force");
    assert_cli(1);
    assert_err_has("thesis.txt: not a stele store");
    cli("restore", "ledger.db", "thesis.txt", "--force");
    assert_cli(1);
    char *text = cli_read_file("thesis.txt", NULL);
    assert_string_equal(text, "chapter 1");
    free(text);
    assert_int_equal(mkdir(cli_path("folder"), 0700), 0);
    cli("backup", "ledger.db", "folder", "--force");
    assert_cli(1);
    assert_err_has("is a directory");
    cli("backup", "ledger.db", "no/such/copy.db");
    assert_cli(1);
    assert_err_has("no/such/copy.db");
    cli("backup", "ledger.db", "ledger.db", "--force");
    assert_cli(1);
    assert_err_has("is the store itself");
}

static void a_bad_backup_restores_nothing(void **state)
{
    (void)state;
    write_ledger();
    size_t size = 0;
    char *bytes = cli_read_file("ledger.db", &size);
    cli_write("cut.db", bytes, size / 2);
    char *payload = memmem(bytes, size, "owner", 5);
    assert_non_null(payload);
    payload[1] ^= 1;
    cli_write("flipped.db", bytes, size);
    free(bytes);
    cli_write_text("diary.txt", "This is somebody's diary, and no backup of anything at all.\n");
    static const char *const bad[] = {"cut.db", "flipped.db", "diary.txt", "missing.db"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cli("restore", bad[i], "new.db");
        assert_cli(1);
        assert_err_has("stele: restore: ");
        assert_out("");
        assert_false(is_there("new.db"));
    }
    cli("restore", "flipped.db", "new.db");
    assert_err_has("position");
    cli("restore", "flipped.db", "ledger.db", "--force");
    assert_cli(1);
    cli("verify", "ledger.db");
    assert_cli(0);
}

static void a_file_size_limit_in_the_middle_leaves_nothing(void **state)
{
    (void)state;
    write_ledger();
    cli_shell("yes '{\"some\":\"data that takes room\"}' | head -n 5000 | "
              "$STELE append ledger.db big --type t --batch >/dev/null");
    assert_cli(0);
    cli_shell("trap '' XFSZ; ulimit -f 100; $STELE backup ledger.db copy.db");
    assert_cli(1);
    assert_err_has("stele: backup: ");
    assert_files("ledger.db ");
}

/* --- Compaction, formats, numbers -------------------------------------------------------- */

static void compaction_keeps_every_event(void **state)
{
    (void)state;
    write_ledger();
    cli_shell("$STELE export ledger.db >before; $STELE compact ledger.db");
    assert_cli(0);
    assert_out_has(" bytes before, ");
    cli_shell("$STELE export ledger.db >after; cmp before after");
    assert_cli(0);
    cli("compact", "missing.db");
    assert_cli(1);
    assert_false(is_there("missing.db"));
}

static void upgrade_says_what_there_was_to_do(void **state)
{
    (void)state;
    write_ledger();
    cli("upgrade", "ledger.db");
    assert_cli(0);
    assert_out_has(" is the newest: nothing to do\n");
    cli_shell(
        "cp \"$STELE_SOURCE/tests/fixtures/version-1.db\" old.db && chmod u+w old.db && $STELE export old.db >before");
    assert_cli(0);
    cli("upgrade", "old.db");
    assert_cli(0);
    assert_out_has("format 1 before, format ");
    cli("upgrade", "old.db");
    assert_out_has("nothing to do");
    cli_shell("$STELE export old.db >after && cmp before after");
    assert_cli(0);
    cli("upgrade", "missing.db");
    assert_cli(1);
    assert_err_has("missing.db");
    assert_false(is_there("missing.db"));
}

static void stats_tell_bytes_by_table_and_by_type(void **state)
{
    (void)state;
    write_ledger();
    cli("stats", "ledger.db");
    assert_cli(0);
    assert_out_has("\nTABLE ");
    assert_out_has("\nevent ");
    assert_out_has("\nTYPE            VERSION  EVENTS  BYTES\n");
    /* Twice {"owner": 3 letters}, 1 + 6 + 4 bytes, an id of 2, no attributes. */
    assert_out_has("\nbank.opened           1       2     26\n");
    cli("stats", "ledger.db", "--json");
    assert_out_has("\"tablebytes\":[{\"table\":\"");
    assert_out_has("{\"table\":\"event\",\"bytes\":4096,\"indexbytes\":8192}");
    assert_out_has("{\"type\":\"bank.opened\",\"typeversion\":1,\"events\":2,\"bytes\":26}");
}

/* --- Causes ------------------------------------------------------------------------------ */

static void trace_shows_the_tree_of_causes(void **state)
{
    (void)state;
    write_ledger();
    cli("trace", "ledger.db", "e1");
    assert_cli(0);
    assert_out("POSITION  EVENT             STREAM  VERSION  TIME                  DATA\n"
               "       1  bank.opened       a-1           1  2026-01-02T03:04:05Z  {\"owner\":\"Ada\"}\n"
               "       2    bank.deposited  a-1           2  2026-01-02T03:04:05Z  {\"amount\":100}\n"
               "       3      bank.sent     a-2           1  2026-01-02T03:04:05Z  {\"amount\":1.5}\n"
               "       4      bank.noted    a-2           2  2026-01-02T03:04:05Z  \"hi\"\n");
    cli("trace", "ledger.db", "e2", "--json");
    assert_cli(0);
    assert_out_has("{\"depth\":0,\"cause\":null,\"event\":{\"specversion\":\"1.0\",\"id\":\"e2\",");
    assert_out_has("\n{\"depth\":1,\"cause\":2,\"event\":{\"specversion\":\"1.0\",\"id\":\"e3\",");
    assert_null(strstr(cli_last.out, "\"id\":\"e1\""));
    cli("trace", "ledger.db", "nobody");
    assert_cli(1);
    assert_err_has("no event has the correlation id or the id 'nobody'");
    assert_out("");
}

/* An order command's events have a cause that is no event. */
static void trace_shows_what_has_its_cause_elsewhere(void **state)
{
    (void)state;
    cli("append", "ledger.db", "a", "--type", "one", "--correlation", "c", "--causation", "command-1", "1");
    cli("append", "ledger.db", "a", "--type", "two", "--correlation", "c", "--causation", "command-2", "2");
    cli("trace", "ledger.db", "c");
    assert_cli(0);
    assert_out_has("\n       1  one ");
    assert_out_has("\n       2  two ");
}

static void a_long_chain_of_causes_is_shown(void **state)
{
    (void)state;
    cli_shell(
        "awk 'BEGIN { for (i = 1; i <= 3000; i++) printf \"{\\\"specversion\\\":\\\"1.0\\\",\\\"id\\\":\\\"e%d\\\","
        "\\\"source\\\":\\\"s\\\",\\\"type\\\":\\\"t\\\",\\\"stream\\\":\\\"a\\\",\\\"causationid\\\":\\\"e%d\\\"}\\n\","
        " i, i - 1 }' | $STELE import ledger.db >/dev/null && $STELE trace ledger.db e1 --json | tail -n 1");
    assert_cli(0);
    assert_out_has("{\"depth\":2999,\"cause\":2999,");
}

/* --- SQL ---------------------------------------------------------------------------------- */

static void sql_answers_in_three_forms(void **state)
{
    static const char question[] = "SELECT position, data ->> '$.amount' AS amount, \"time\" FROM events "
                                   "WHERE stream = 'a-2' ORDER BY position";
    (void)state;
    write_ledger();
    cli("sql", "ledger.db", question);
    assert_cli(0);
    assert_out("position  amount  time\n"
               "3         1.5     2026-01-02T03:04:05Z\n"
               "4                 2026-01-02T03:04:05Z\n");
    cli("sql", "ledger.db", question, "--json");
    assert_out("{\"position\":3,\"amount\":1.5,\"time\":\"2026-01-02T03:04:05Z\"}\n"
               "{\"position\":4,\"amount\":null,\"time\":\"2026-01-02T03:04:05Z\"}\n");
    cli("sql", "ledger.db", "SELECT 'a,b' AS \"x\"\"y\", 'say \"hi\"' AS b, NULL AS c, x'ff00' AS d, 2.0 AS e",
        "--csv");
    assert_out("\"x\"\"y\",b,c,d,e\n\"a,b\",\"say \"\"hi\"\"\",,ff00,2.0\n");
    cli("sql", "ledger.db", "SELECT * FROM events WHERE position = 2", "--json");
    assert_out_has("\"data\":\"{\\\"amount\\\":100}\",\"attributes\":\"{\\\"correlationid\\\":\\\"e1\\\","
                   "\\\"causationid\\\":\\\"e1\\\"}\"}\n");
}

static void sql_only_reads(void **state)
{
    static const char *const refused[] = {"DELETE FROM event", "ATTACH 'x.db' AS x", "PRAGMA user_version = 9",
                                          "SELECT load_extension('x')", "VACUUM INTO 'x.db'"};
    (void)state;
    write_ledger();
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        cli("sql", "ledger.db", refused[i]);
        assert_cli(1);
        assert_err_has("stele: sql: ");
        assert_err_has("a question can only read");
    }
    assert_files("ledger.db ");
    cli("stats", "ledger.db", "--json");
    assert_out_has("{\"events\":5,");
}

static void sql_tells_mistakes_and_runs_out_of_time(void **state)
{
    (void)state;
    write_ledger();
    cli("sql", "ledger.db", "SELECT position\nFROM nowhere");
    assert_cli(1);
    assert_err_has("stele: sql: ");
    assert_err_has("no such table: nowhere");
    cli("sql", "ledger.db", "SELECT position,\n nope FROM events");
    assert_err_has("line 2, column 2: no such column: nope");
    cli("sql", "ledger.db", "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT max(x) FROM c",
        "--timeout", "30");
    assert_cli(1);
    assert_err_has("30 ms");
    cli("sql", "ledger.db");
    assert_cli(2);
    cli("sql", "ledger.db", "SELECT 1", "--timeout", "soon");
    assert_cli(2);
    cli("sql", "missing.db", "SELECT 1");
    assert_cli(1);
    assert_err_has("missing.db");
}

static void sql_shows_control_characters_as_escapes(void **state)
{
    (void)state;
    write_ledger();
    cli("sql", "ledger.db", "SELECT char(27) || '[31m' AS \"a\033b\"");
    assert_cli(0);
    assert_out("a\\u001bb\n\\u001b[31m\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cli_test(a_store_goes_to_a_backup_and_back),
        cli_test(what_is_there_is_replaced_only_by_force),
        cli_test(what_is_no_store_is_never_replaced),
        cli_test(a_bad_backup_restores_nothing),
        cli_test(a_file_size_limit_in_the_middle_leaves_nothing),
        cli_test(compaction_keeps_every_event),
        cli_test(upgrade_says_what_there_was_to_do),
        cli_test(stats_tell_bytes_by_table_and_by_type),
        cli_test(trace_shows_the_tree_of_causes),
        cli_test(trace_shows_what_has_its_cause_elsewhere),
        cli_test(a_long_chain_of_causes_is_shown),
        cli_test(sql_answers_in_three_forms),
        cli_test(sql_only_reads),
        cli_test(sql_tells_mistakes_and_runs_out_of_time),
        cli_test(sql_shows_control_characters_as_escapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
