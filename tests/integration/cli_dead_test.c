/* stele dead: letters that a bus left behind, listed, shown, requeued and dropped from outside (ORX-44). */
#include "tests/integration/cli.h"

#include "tests/unit/bus/log_stage.h"

static const struct stele_route charge = {.name = "charge", .on = "order.placed", .handle = note};
static const struct stele_route mail = {.name = "mail", .on = "order.placed", .handle = note};

static stele_store *open_ledger(void)
{
    char url[4096];

    snprintf(url, sizeof(url), "sqlite:%s", cli_path("ledger.db"));
    return log_stage_store(url);
}

static void publish(const struct log_stage *stage, const char *id)
{
    stele_message *event = log_stage_event("order.placed", id);
    stele_error *error = NULL;

    assert_ok(stele_publish(stage->bus, event, NULL, &error), error);
    stele_message_unref(event);
}

/* Letters: charge/o-1 and charge/o-2 (TIMEOUT), mail/o-2 (FAILED). */
static void leave_letters(void)
{
    struct log_stage stage = {.store = open_ledger()};
    struct notes charging = {.mutex = PTHREAD_MUTEX_INITIALIZER, .fails_on = "o-1", .status = STELE_TIMEOUT};
    struct notes mailing = {.mutex = PTHREAD_MUTEX_INITIALIZER, .fails_on = "o-2", .status = STELE_FAILED};

    log_stage_begin(&stage, 0);
    log_stage_route(&stage, &charge, &charging);
    log_stage_route(&stage, &mail, &mailing);
    publish(&stage, "o-1");
    charging.fails_on = "o-2";
    publish(&stage, "o-2");
    log_stage_end(&stage);
    stele_store_close(stage.store);
}

static void list_has_a_line_for_each_letter_the_oldest_first(void **state)
{
    (void)state;
    leave_letters();
    cli("dead", "ledger.db", "list");
    assert_cli(0);
    assert_err_empty();
    assert_out_has("ROUTE");
    assert_out_has("charge  o-1  order.placed  TIMEOUT      1  2026-01-01T00:00:00Z");
    assert_true(strstr(cli_last.out, "charge  o-2") < strstr(cli_last.out, "mail    o-2"));
    cli("dead", "ledger.db", "list", "--code", "FAILED", "--json");
    assert_cli(0);
    assert_out_has("{\"route\":\"mail\",\"id\":\"o-2\",\"type\":\"order.placed\",\"code\":\"FAILED\",\"text\":");
    assert_out_has("\"count\":1,\"attempts\":1,\"firsttime\":\"2026-01-01T00:00:00Z\"");
    assert_out_has("\"position\":0,\"requeued\":false,\"message\":{\"specversion\":\"1.0\",");
    cli_shell("$STELE dead ledger.db list --json | wc -l");
    assert_out_has("3");
    cli_shell("$STELE dead ledger.db list --json --limit 2 | wc -l");
    assert_out_has("2");
    cli("dead", "ledger.db", "list", "--route", "nobody");
    assert_cli(0);
}

static void show_has_all_of_a_letter_with_its_message(void **state)
{
    (void)state;
    leave_letters();
    cli("dead", "ledger.db", "show", "--id", "o-1");
    assert_cli(0);
    assert_out_has("route      charge\nid         o-1\ntype       order.placed\ncode       TIMEOUT\n");
    assert_out_has("count      1\nattempts   1\nfirst time 2026-01-01T00:00:00Z\n");
    assert_out_has("message    {\"specversion\":\"1.0\",\"id\":\"o-1\",");
    cli("dead", "ledger.db", "show", "--id", "missing");
    assert_cli(1);
    assert_err_has("stele: dead: ledger.db: there is no such dead letter\n");
}

static void ORX44_a_requeued_letter_is_handled_by_the_next_program_with_the_route(void **state)
{
    struct log_stage stage;
    struct notes charged = NOTES;
    struct notes mailed = NOTES;

    (void)state;
    leave_letters();
    cli("dead", "ledger.db", "requeue", "--route", "charge", "--limit", "1");
    assert_cli(0);
    assert_out("1 requeued\n");
    cli_shell("$STELE dead ledger.db list --json | wc -l");
    assert_out_has("2");
    cli("dead", "ledger.db", "show", "--requeued", "--id", "o-1");
    assert_cli(0);
    assert_out_has("requeued   yes, and not handled yet\n");
    stage.store = open_ledger();
    log_stage_begin(&stage, 0);
    log_stage_route(&stage, &charge, &charged);
    log_stage_route(&stage, &mail, &mailed);
    stele_runtime_run_until_idle(stage.runtime);
    log_stage_end(&stage);
    stele_store_close(stage.store);
    assert_string_equal(charged.text, "o-1 ");
    assert_string_equal(mailed.text, "");
    cli("dead", "ledger.db", "show", "--requeued", "--id", "o-1");
    assert_cli(1);
    cli("read", "ledger.db", "$dead", "--type", "stele.dead.dropped", "--json");
    assert_cli(0);
    assert_out_has("\"handled\":true");
}

static void drop_forgets_what_it_is_told_to(void **state)
{
    (void)state;
    leave_letters();
    cli("dead", "ledger.db", "drop");
    assert_cli(2);
    assert_err_has("drop needs --route, --id, --code or --limit, or --all");
    cli("dead", "ledger.db", "drop", "--code", "TIMEOUT", "--json");
    assert_cli(0);
    assert_out("{\"dropped\":2}\n");
    cli("dead", "ledger.db", "drop", "--id", "o-1");
    assert_cli(1);
    assert_err_has("there is no such dead letter");
    cli("dead", "ledger.db", "drop", "--all");
    assert_cli(0);
    assert_out("1 dropped\n");
    cli("dead", "ledger.db", "list", "--json");
    assert_cli(0);
    assert_out("");
}

static void a_program_that_runs_sees_the_mark_at_once(void **state)
{
    struct log_stage stage;
    struct notes charged = NOTES;
    uint64_t last = 0;
    stele_error *error = NULL;

    (void)state;
    leave_letters();
    stage.store = open_ledger();
    log_stage_begin(&stage, 2);
    log_stage_route(&stage, &charge, &charged);
    cli("dead", "ledger.db", "requeue", "--id", "o-1");
    assert_cli(0);
    /* The three burials, the mark, and what the bus writes when the message is handled. */
    assert_ok(stele_wait(stage.store, 4, 60000, &last, &error), error);
    assert_int_equal(last, 5);
    log_stage_end(&stage);
    stele_store_close(stage.store);
    assert_string_equal(charged.text, "o-1 ");
}

static void an_export_leaves_letters_out_and_can_be_imported(void **state)
{
    stele_store *store;

    (void)state;
    leave_letters();
    store = open_ledger();
    log_stage_append(store, "order.placed", "o-9");
    stele_store_close(store);
    cli_shell("$STELE export ledger.db | tee out.ndjson | wc -l");
    assert_cli(0);
    assert_out_has("1");
    cli("import", "copy.db", "out.ndjson");
    assert_cli(0);
    cli("dead", "copy.db", "list", "--json");
    assert_cli(0);
    assert_out("");
}

static void wrong_arguments_are_refused(void **state)
{
    (void)state;
    leave_letters();
    cli("dead", "ledger.db");
    assert_cli(2);
    cli("dead", "ledger.db", "bury");
    assert_cli(2);
    assert_err_has("'bury' is none of list, show, requeue, drop");
    cli("dead", "ledger.db", "list", "more");
    assert_cli(2);
    cli("dead", "ledger.db", "list", "--limit", "0");
    assert_cli(2);
    cli("dead", "missing.db", "requeue");
    assert_cli(1);
    assert_err_has("missing.db");
    cli_shell("test ! -e missing.db");
    assert_cli(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cli_test(list_has_a_line_for_each_letter_the_oldest_first),
        cli_test(show_has_all_of_a_letter_with_its_message),
        cli_test(ORX44_a_requeued_letter_is_handled_by_the_next_program_with_the_route),
        cli_test(drop_forgets_what_it_is_told_to),
        cli_test(a_program_that_runs_sees_the_mark_at_once),
        cli_test(an_export_leaves_letters_out_and_can_be_imported),
        cli_test(wrong_arguments_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
