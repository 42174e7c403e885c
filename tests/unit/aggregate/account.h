/* The aggregates that the tests of this folder work on, and how they are stored. */
#ifndef STELE_TESTS_AGGREGATE_ACCOUNT_H
#define STELE_TESTS_AGGREGATE_ACCOUNT_H

#include "tests/support/support.h"

#include <stele.h>

/* --- An account: text and numbers in its state ------------------------------ */

#define ACCOUNT(FIELD, T) FIELD(T, TEXT, owner) FIELD(T, INT64, balance) FIELD(T, INT64, movements)
STELE_DECLARE(account, ACCOUNT);

#define OPENED(FIELD, T) FIELD(T, TEXT, owner, STELE_NON_EMPTY)
STELE_DECLARE(opened, OPENED);

#define DEPOSITED(FIELD, T) FIELD(T, INT64, amount, STELE_POSITIVE)
STELE_DECLARE(deposited, DEPOSITED);

#define WITHDRAWN(FIELD, T) FIELD(T, INT64, amount, STELE_POSITIVE) FIELD(T, TIME, decided)
STELE_DECLARE(withdrawn, WITHDRAWN);

/* An event that no account knows. */
#define FROZEN(FIELD, T) FIELD(T, TEXT, reason)
STELE_DECLARE(frozen, FROZEN);

#define OPEN(FIELD, T) FIELD(T, TEXT, owner)
STELE_DECLARE(open, OPEN);

/* Deposits `amount` as many times as `parts` says. */
#define DEPOSIT(FIELD, T) FIELD(T, INT64, amount) FIELD(T, INT64, parts, STELE_DEFAULT(1))
STELE_DECLARE(deposit, DEPOSIT);

#define WITHDRAW(FIELD, T) FIELD(T, INT64, amount, STELE_POSITIVE)
STELE_DECLARE(withdraw, WITHDRAW);

/* A command that decides nothing. */
#define LOOK(FIELD, T) FIELD(T, NONE, stele_unused)
STELE_DECLARE(look, LOOK);

enum misdeed {
    EMIT_BROKEN_AND_SAY_OK = 1,
    EMIT_UNKNOWN,
    EMIT_NULL,
    REJECT_AND_SAY_OK,
    REJECT_WITHOUT_A_WORD,
    EMIT_THEN_REJECT,
    RETURN_NOT_FOUND
};
#define MISBEHAVE(FIELD, T) FIELD(T, INT64, how)
STELE_DECLARE(misbehave, MISBEHAVE);

STELE_DECLARE_AGGREGATE(account);

/* --- A diary: a state with memory of its own -------------------------------- */

struct page; /* of a list, newest first, in the diary's memory */
#define DIARY(FIELD, T) FIELD(T, ARENA, memory) FIELD(T, INT64, pages) FIELD(T, UINT64, newest)
STELE_DECLARE(diary, DIARY);

#define WRITTEN(FIELD, T) FIELD(T, INT64, number)
STELE_DECLARE(written, WRITTEN);
#define WRITE(FIELD, T) FIELD(T, INT64, number)
STELE_DECLARE(write_page, WRITE);

STELE_DECLARE_AGGREGATE(diary);

/* The number on the n-th page, counted from the newest; -1 if there is none. */
int64_t diary_number(const struct diary *diary, size_t n);

/* --- A badge: bytes in its state ----------------------------------------------- */

#define BADGE(FIELD, T) FIELD(T, BYTES, picture)
STELE_DECLARE(badge, BADGE);
#define TAKEN(FIELD, T) FIELD(T, BYTES, picture)
STELE_DECLARE(taken, TAKEN);
#define TAKE(FIELD, T) FIELD(T, BYTES, picture)
STELE_DECLARE(take, TAKE);

STELE_DECLARE_AGGREGATE(badge);

/* --- Commands ---------------------------------------------------------------- */

stele_message *open_command(const char *owner);
stele_message *deposit_command(int64_t amount, int64_t parts);
stele_message *deposit_command_with_id(int64_t amount, const char *id);
stele_message *withdraw_command(int64_t amount);
stele_message *withdraw_command_with_id(int64_t amount, const char *id);
stele_message *look_command(void);
stele_message *misbehave_command(enum misdeed how);
stele_message *write_command(int64_t number);
stele_message *take_command(const char *picture);

/* --- A store with a repository of accounts ----------------------------------- */

struct world {
    stele_store *store;
    stele_repository *accounts;
};

struct world world_open(const char *url);
void world_close(struct world *world);

/* Decide a command, which is released. */
stele_status decide(stele_instance *instance, stele_message *command, stele_error **error);
/* Execute a command, which is released; asserts that it succeeds. */
struct stele_appended execute(const struct world *world, const char *stream, stele_message *command);
stele_instance *load(const struct world *world, const char *stream);
stele_instance *load_or_new(const struct world *world, const char *stream);
int64_t balance(const struct world *world, const char *stream);
uint64_t head(const struct world *world);

#endif
