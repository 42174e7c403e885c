/* stele subscriptions: what runs, stands or was put aside, seen from outside (ORX-32, ORX-34). */
#include "tests/integration/cli.h"

#include "tests/unit/store/subscription_stage.h"

static void begin_ledger(struct stage *stage)
{
    char url[4096];

    snprintf(url, sizeof(url), "sqlite:%s", cli_path("ledger.db"));
    begin_stage(stage, url);
}

/* At 3 events: "a" is through with them, with one parked, and "b" stands before the first. */
static void leave_subscriptions(const char *second)
{
    const struct stele_subscriber parks = {PLAIN_AS("a")};
    const struct stele_subscriber stops = {PLAIN_AS(second), .on_failure = STELE_POISON_STOP};
    struct receiver one = {.fails_at = 1, .fails = UINT32_MAX, .status = STELE_MALFORMED}, other = one;
    struct stage stage;

    begin_ledger(&stage);
    append_many(stage.store, 2);
    begin_subscription(&stage, &stops, &other);
    stele_runtime_run_until_idle(stage.runtime);
    begin_subscription(&stage, &parks, &one);
    stele_runtime_advance(stage.runtime, SECOND);
    stele_subscription_free(one.subscription);
    stele_subscription_free(other.subscription);
    end_stage(&stage);
}

static void ORX32_each_is_a_row_with_its_state_and_lag(void **state)
{
    (void)state;
    leave_subscriptions("b");
    cli("subscriptions", "ledger.db");
    assert_cli(0);
    assert_err_empty();
    assert_out_has("NAME  STATE   POSITION  LAG  MOVED");
    assert_out_has("a     live           4    0  2026-01-01T00:00:0");
    assert_out_has("b     failed         0    2  2026-01-01T00:00:00Z           0  malformed input");
}

static void as_json_each_is_an_object(void **state)
{
    (void)state;
    leave_subscriptions("b");
    cli("subscriptions", "ledger.db", "--json");
    assert_cli(0);
    assert_out_has(
        "{\"name\":\"a\",\"state\":\"live\",\"position\":4,\"head\":2,\"lag\":0,\"time\":\"2026-01-01T00:00:0");
    assert_out_has("\"parked\":1,\"error\":null}\n");
    assert_out_has("\"error\":{\"code\":\"MALFORMED\",\"text\":\"malformed input\",\"position\":1}}\n");
}

static void a_hostile_name_is_made_harmless(void **state)
{
    (void)state;
    leave_subscriptions("b\xe2\x80\xaeh\"\\");
    cli("subscriptions", "ledger.db");
    assert_cli(0);
    assert_null(strstr(cli_last.out, "\xe2\x80\xae"));
    cli("subscriptions", "ledger.db", "--json");
    assert_cli(0);
    assert_out_has("h\\\"\\\\\"");
}

static void a_store_without_any_shows_none(void **state)
{
    struct stage stage;

    (void)state;
    begin_ledger(&stage);
    end_stage(&stage);
    cli("subscriptions", "ledger.db", "--json");
    assert_cli(0);
    assert_out("");
    cli("subscriptions", "missing.db");
    assert_cli(1);
    cli("subscriptions");
    assert_cli(2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cli_test(ORX32_each_is_a_row_with_its_state_and_lag),
        cli_test(as_json_each_is_an_object),
        cli_test(a_hostile_name_is_made_harmless),
        cli_test(a_store_without_any_shows_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
