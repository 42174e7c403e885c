/* A store with typed events, a simulation, and models that are read from a text; for the tests of models. */
#ifndef STELE_TESTS_UNIT_PROJECTIONS_MODEL_STAGE_H
#define STELE_TESTS_UNIT_PROJECTIONS_MODEL_STAGE_H

#include "tests/support/support.h"

#include <stele/model.h>
#include <stele/types.h>

#include "base/text.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#define PAID(FIELD, T) \
    FIELD(T, TEXT, account) \
    FIELD(T, INT64, amount) \
    FIELD(T, OPTIONAL(TEXT), note) \
    FIELD(T, OPTIONAL(DOUBLE), rate) \
    FIELD(T, OPTIONAL(BOOL), cash) \
    FIELD(T, OPTIONAL(UUID), token) \
    FIELD(T, OPTIONAL(BYTES), photo) \
    FIELD(T, OPTIONAL(TIME), due) \
    FIELD(T, OPTIONAL(UINT64), big) \
    FIELD(T, LIST(TEXT), tags)
STELE_DECLARE(paid, PAID);
STELE_DEFINE_EVENT(paid, "paid", 1, PAID);

#define BALANCES \
    "CREATE TABLE balance(account TEXT PRIMARY KEY, amount INTEGER NOT NULL CHECK(amount < 1000)) STRICT;\n" \
    "CREATE INDEX by_amount ON balance(amount);\n" \
    "--! on paid\n" \
    "INSERT INTO balance VALUES(:account, :amount)\n" \
    "    ON CONFLICT(account) DO UPDATE SET amount = amount + excluded.amount;\n"

struct stage {
    stele_runtime *runtime;
    stele_store *store;
};

static inline void begin_stage(struct stage *stage)
{
    static const struct stele_type *const types[] = {&paid_type};
    struct stele_store_options options = STELE_OPTIONS_INIT(struct stele_store_options);
    stele_error *error = NULL;

    support_temp_dir();
    assert_ok(stele_runtime_simulated(7, &stage->runtime, &error), error);
    options.clock = stele_runtime_clock(stage->runtime);
    assert_ok(stele_store_open("memory:", &options, &stage->store, &error), error);
    assert_ok(stele_types_register(stage->store, types, 1, &error), error);
}

static inline void end_stage(struct stage *stage)
{
    stele_store_close(stage->store);
    stele_runtime_free(stage->runtime);
}

static inline void append_message(struct stage *stage, stele_message *event)
{
    stele_error *error = NULL;

    assert_ok(stele_append(stage->store, "till", stele_expect_any(), event, NULL, &error), error);
    stele_message_unref(event);
}

static inline void append_paid(struct stage *stage, const struct paid *payload)
{
    stele_message *event = NULL;
    stele_error *error = NULL;

    assert_ok(paid_message(payload, NULL, &event, &error), error);
    append_message(stage, event);
}

static inline void pay(struct stage *stage, const char *account, int64_t amount)
{
    const struct paid payload = {.account = account, .amount = amount};

    append_paid(stage, &payload);
}

static inline stele_model *read_model(const char *text)
{
    stele_model *model = NULL;
    stele_error *error = NULL;

    assert_ok(stele_model_parse(stele__slice(text), "m.sql", &model, &error), error);
    return model;
}

static inline const char *read_db(void)
{
    return support_temp_path("read.db");
}

/* What the first row of a question to a file says, "|" between columns; static. */
static inline const char *ask_file(const char *name, const char *sql)
{
    static char answer[4][512];
    static unsigned turn;
    char *text = answer[turn++ % 4];
    sqlite3 *db = NULL;
    sqlite3_stmt *row = NULL;
    int code;

    assert_int_equal(sqlite3_open_v2(support_temp_path(name), &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    if (sqlite3_prepare_v2(db, sql, -1, &row, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    text[0] = '\0';
    code = sqlite3_step(row);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    if (code == SQLITE_ROW)
        for (int i = 0; i < sqlite3_column_count(row); i++) {
            const char *value = (const char *)sqlite3_column_text(row, i);

            snprintf(text + strlen(text), 512 - strlen(text), "%s%s", i ? "|" : "", value ? value : "NULL");
        }
    sqlite3_finalize(row);
    sqlite3_close(db);
    return text;
}

static inline const char *ask(const char *sql)
{
    return ask_file("read.db", sql);
}

/* All balances in one text. */
static inline const char *balances(void)
{
    return ask("SELECT group_concat(account || '=' || amount, ' ') FROM (SELECT * FROM balance ORDER BY account)");
}

static inline stele_subscription *start(struct stage *stage, const stele_model *model,
                                        const struct stele_model_options *options)
{
    stele_subscription *subscription = NULL;
    stele_error *error = NULL;

    assert_ok(stele_model_start(model, stage->store, stage->runtime, read_db(), options, &subscription, &error), error);
    return subscription;
}

static inline void settle(struct stage *stage)
{
    stele_runtime_run_until_idle(stage->runtime);
}

/* Start, let it come to the head, and end. */
static inline void run_once(struct stage *stage, const stele_model *model, bool rebuild)
{
    struct stele_model_options options = STELE_OPTIONS_INIT(struct stele_model_options);
    struct stele_subscription_stats stats;
    stele_subscription *subscription;

    options.rebuild = rebuild;
    subscription = start(stage, model, &options);
    settle(stage);
    stele_subscription_get_stats(subscription, &stats);
    if (stats.state != STELE_SUBSCRIPTION_LIVE)
        fail_msg("%s: %s", stele_subscription_state_name(stats.state), stats.last_error_text);
    stele_subscription_free(subscription);
}

#endif
