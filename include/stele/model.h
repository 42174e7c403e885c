/*
 * stele/model.h - read models without code: SQL files.
 *
 * A model is a text of SQL statements in sections. What the tables are, and what
 * each type of event does to them:
 *
 *     --! projection balances 1
 *
 *     CREATE TABLE balance(account TEXT PRIMARY KEY, amount INTEGER NOT NULL) STRICT;
 *     CREATE INDEX balance_by_amount ON balance(amount);
 *
 *     --! on bank.money.deposited
 *     INSERT INTO balance(account, amount) VALUES (:subject, :amount)
 *         ON CONFLICT(account) DO UPDATE SET amount = amount + excluded.amount;
 *
 *     --! on bank.account.closed
 *     DELETE FROM balance WHERE account = :subject;
 *
 *     @example model
 *     stele_status build(stele_store *store, stele_runtime *runtime, stele_error **error)
 *     {
 *         stele_model *model = NULL;
 *         stele_subscription *running = NULL;
 *         struct stele_model_options options = STELE_OPTIONS_INIT(struct stele_model_options);
 *         stele_status status = stele_model_load("balances.sql", &model, error);
 *         options.until = STELE_UNTIL_HEAD;
 *         if (status == STELE_OK)
 *             status = stele_model_start(model, store, runtime, "read.db", &options, &running, error);
 *         if (status == STELE_OK)
 *             status = stele_subscription_join(running, 60000, error);
 *         stele_subscription_free(running);
 *         stele_model_free(model);
 *         return status;
 *     }
 *     @end
 *
 * The file. A line that begins with "--!" is a directive:
 *
 *     --! projection NAME VERSION     first; the name as in stele/projection.h, the version from 1
 *     --! on TYPE [TYPE ...]          the statements that follow are run for each event of these types; a type is
 *                                     in one section only. The payload is that of the type's newest registered version.
 *
 * Before the first `on` there are CREATE TABLE and CREATE INDEX, and nothing
 * else; behind it INSERT, UPDATE, DELETE, REPLACE, also WITH ... in front. Parameters are
 *
 *     :stream :version :position :time :subject :id :type :source :part   of the envelope; a time in nanoseconds
 *     :FIELD                               a field at the top of the payload whose name is none of these
 *     @FIELD                               a field whatever its name is
 *
 * bound by kind: BOOL, INT64, TIME to INTEGER; UINT64 too, and a value above
 * 2^63-1 is a failure; DOUBLE to REAL; TEXT and UUID to TEXT; BYTES to BLOB; an absent
 * field to NULL. Structs and lists have no value here.
 *
 * Statements touch the model's own tables only. ATTACH, PRAGMA, transactions,
 * triggers, virtual tables, SQL views, a WITH that refers to itself, OR ROLLBACK, OR FAIL and AUTOINCREMENT are
 * refused, and so are functions with effects or results that are not the same when the model is built again
 * (random(), date('now') even where `now` is a value of an event, last_insert_rowid(), ...).
 */
#ifndef STELE_MODEL_H
#define STELE_MODEL_H

#include <stele/base.h>
#include <stele/error.h>
#include <stele/retry.h>
#include <stele/runtime.h>
#include <stele/store.h>
#include <stele/subscription.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A model, read and checked as far as that goes without a store. Constant; thread-safe. */
typedef struct stele_model stele_model;

#define STELE_MODEL_BYTES_MAX (1024 * 1024) /* of a file */
#define STELE_MODEL_STATEMENTS_MAX 1000
#define STELE_MODEL_TYPES_MAX 1000

/*
 * Read a model from a file, or from a text (`path` is what errors call it). All
 * statements are prepared against the model's own tables. STELE_MALFORMED with "path" and "line", the line of the fault, for
 * what is no directive, a syntax error, an unknown table or column, a statement that is not allowed; STELE_LIMIT;
 * STELE_NOT_FOUND; STELE_IO; STELE_NO_MEMORY. The message begins "PATH:LINE: ".
 */
STELE_API stele_status stele_model_load(const char *path, stele_model **out, stele_error **error);
STELE_API stele_status stele_model_parse(struct stele_slice text, const char *path, stele_model **out,
                                         stele_error **error);
/* NULL is allowed. */
STELE_API void stele_model_free(stele_model *model);

STELE_API const char *stele_model_name(const stele_model *model);
STELE_API uint32_t stele_model_version(const stele_model *model);

/*
 * Check a model against the types registered in a store (stele/types.h), as
 * stele_model_start() does: STELE_MALFORMED with "line" for a field that the
 * type does not have, or one that has no value here. `warning` (may be NULL) is told,
 * one line each, of types that are not registered: their fields cannot be checked, and absent ones are NULL.
 */
STELE_API stele_status stele_model_check(const stele_model *model, stele_store *store,
                                         void (*warning)(void *context, const char *text), void *context,
                                         stele_error **error);

struct stele_model_options {
    size_t size;
    enum stele_until until;
    size_t batch; /* as in struct stele_subscriber */
    const struct stele_retry *retry;
    enum stele_poison_policy on_failure; /* default STELE_POISON_PARK */
    bool rebuild;                        /* build it anew although its version is there */
};

/*
 * Run a model into a read database: a file of views (stele/view.h), in which its
 * tables and its position are kept; made if it is not there. It goes on where it
 * stopped. Where another version of it is there, or `rebuild` says so, it is built beside, in
 * "PATH.NAME.new", the old one serves until the new one has come to the head of the log, and they are
 * swapped in one transaction; a build that was cut short is continued by the version that it is of, or begun anew if
 * the file has changed, while the version that is there goes on. A table in the way of the new one fails the
 * subscription (STELE_CONFLICT) when it is complete, with no event parked for it.
 * Model, store and runtime must outlive the subscription.
 *
 * STELE_INVALID if tables of its names are there and are none of its own, were changed by hand so
 * that they are not as the model makes them, or the same version has another text ("version": say `rebuild`);
 * STELE_CONFLICT if the read database is ahead of the log, with "position" and "head"; errors as
 * stele_model_check(), stele_views_open(), stele_subscription_start(). A second process that builds the same
 * model fails at its first commit (STELE_CONFLICT).
 */
STELE_API stele_status stele_model_start(const stele_model *model, stele_store *store, stele_runtime *runtime,
                                         const char *path, const struct stele_model_options *options,
                                         stele_subscription **out, stele_error **error);

/* What is in a read database; lent for the visit. */
struct stele_model_record {
    const char *name;
    uint32_t version;
    uint64_t position;
    uint32_t old_version; /* what a rollback leads to; 0: nothing */
    bool is_building;     /* another one is being built beside it */
};
/* Call `visit` for each projection in a read database, by name, until it returns false. Errors as stele_views_open(). */
typedef bool stele_model_visit(void *context, const struct stele_model_record *record);
STELE_API stele_status stele_model_list(const char *path, stele_model_visit *visit, void *context, stele_error **error);

/*
 * Put the version before the last swap of a projection back, with its position: it
 * goes on from there. Swaps again: a second call undoes the first. STELE_NOT_FOUND if none is kept. The
 * program that runs the present one fails at its next commit.
 */
STELE_API stele_status stele_model_rollback(const char *path, const char *name, stele_error **error);

#ifdef __cplusplus
}
#endif

#endif
