/* The aggregates that the tests of this folder work on (see account.h). */
#include "tests/unit/aggregate/account.h"

STELE_DEFINE_STATE(account, "test.account", 1, ACCOUNT);
STELE_DEFINE_EVENT(opened, "test.account.opened", 1, OPENED);
STELE_DEFINE_EVENT(deposited, "test.money.deposited", 1, DEPOSITED);
STELE_DEFINE_EVENT(withdrawn, "test.money.withdrawn", 1, WITHDRAWN);
STELE_DEFINE_EVENT(frozen, "test.account.frozen", 1, FROZEN);
STELE_DEFINE_COMMAND(open, "test.open", 1, OPEN);
STELE_DEFINE_COMMAND(deposit, "test.deposit", 1, DEPOSIT);
STELE_DEFINE_COMMAND(withdraw, "test.withdraw", 1, WITHDRAW);
STELE_DEFINE_COMMAND(look, "test.look", 1, LOOK);
STELE_DEFINE_COMMAND(misbehave, "test.misbehave", 1, MISBEHAVE);

static void on_opened(struct account *account, const struct opened *event)
{
    account->owner = event->owner;
}

static void on_deposited(struct account *account, const struct deposited *event)
{
    account->balance += event->amount;
    account->movements++;
}

static void on_withdrawn(struct account *account, const struct withdrawn *event)
{
    account->balance -= event->amount;
    account->movements++;
}

static stele_status decide_open(const struct account *account, const struct open *command, stele_decision *decision)
{
    if (account->owner != NULL)
        return stele_decision_reject(decision, "the account is open, its owner is %s", account->owner);
    return STELE_EMIT(decision, opened, .owner = command->owner);
}

static stele_status decide_deposit(const struct account *account, const struct deposit *command,
                                   stele_decision *decision)
{
    (void)account;
    for (int64_t i = 0; i < command->parts; i++) {
        const stele_status status = STELE_EMIT(decision, deposited, .amount = command->amount);
        if (status != STELE_OK)
            return status;
    }
    return STELE_OK;
}

static stele_status decide_withdraw(const struct account *account, const struct withdraw *command,
                                    stele_decision *decision)
{
    if (account->balance < command->amount)
        return stele_decision_reject(decision, "insufficient funds: %d%%", 100);
    return STELE_EMIT(decision, withdrawn, .amount = command->amount, .decided = stele_decision_time(decision));
}

static stele_status decide_look(const struct account *account, const struct look *command, stele_decision *decision)
{
    (void)account;
    (void)command;
    (void)decision;
    return STELE_OK;
}

static stele_status decide_misbehave(const struct account *account, const struct misbehave *command,
                                     stele_decision *decision)
{
    (void)account;
    switch ((enum misdeed)command->how) {
    case EMIT_BROKEN_AND_SAY_OK:
        STELE_EMIT(decision, deposited, .amount = 1);
        STELE_EMIT(decision, deposited, .amount = -5);
        STELE_EMIT(decision, deposited, .amount = 2);
        return STELE_OK;
    case EMIT_UNKNOWN: return STELE_EMIT(decision, frozen, .reason = "cold");
    case EMIT_NULL: return stele_decision_emit(decision, &deposited_type, NULL);
    case REJECT_AND_SAY_OK:
        stele_decision_reject(decision, "first reason");
        stele_decision_reject(decision, "second reason");
        return STELE_OK;
    case REJECT_WITHOUT_A_WORD: return STELE_REJECTED;
    case EMIT_THEN_REJECT:
        STELE_EMIT(decision, opened, .owner = "nobody");
        return stele_decision_reject(decision, "changed my mind");
    case RETURN_NOT_FOUND: return STELE_NOT_FOUND;
    }
    return STELE_OK;
}

#define ACCOUNT_EVENTS(EVOLVE, A) \
    EVOLVE(A, opened, on_opened) EVOLVE(A, deposited, on_deposited) EVOLVE(A, withdrawn, on_withdrawn)
#define ACCOUNT_COMMANDS(DECIDE, A) \
    DECIDE(A, open, decide_open) \
    DECIDE(A, deposit, decide_deposit) \
    DECIDE(A, withdraw, decide_withdraw) DECIDE(A, look, decide_look) DECIDE(A, misbehave, decide_misbehave)
STELE_DEFINE_AGGREGATE(account, ACCOUNT_EVENTS, ACCOUNT_COMMANDS);

/* --- The diary ---------------------------------------------------------------- */

STELE_DEFINE_STATE(diary, "test.diary", 1, DIARY);
STELE_DEFINE_EVENT(written, "test.page.written", 1, WRITTEN);
STELE_DEFINE_COMMAND(write_page, "test.write", 1, WRITE);

struct page {
    const struct page *older;
    int64_t number;
};

static void on_written(struct diary *diary, const struct written *event)
{
    struct page *page = stele_arena_alloc(diary->memory, sizeof *page);
    if (page == NULL)
        return;
    page->older = (const struct page *)(uintptr_t)diary->newest;
    page->number = event->number;
    diary->newest = (uint64_t)(uintptr_t)page;
    diary->pages++;
}

static stele_status decide_write(const struct diary *diary, const struct write_page *command, stele_decision *decision)
{
    (void)diary;
    return STELE_EMIT(decision, written, .number = command->number);
}

#define DIARY_EVENTS(EVOLVE, A) EVOLVE(A, written, on_written)
#define DIARY_COMMANDS(DECIDE, A) DECIDE(A, write_page, decide_write)
STELE_DEFINE_AGGREGATE(diary, DIARY_EVENTS, DIARY_COMMANDS);

int64_t diary_number(const struct diary *diary, size_t n)
{
    const struct page *page = (const struct page *)(uintptr_t)diary->newest;
    while (page != NULL && n-- > 0)
        page = page->older;
    return page != NULL ? page->number : -1;
}

/* --- The badge ------------------------------------------------------------------ */

STELE_DEFINE_STATE(badge, "test.badge", 1, BADGE);
STELE_DEFINE_EVENT(taken, "test.picture.taken", 1, TAKEN);
STELE_DEFINE_COMMAND(take, "test.take", 1, TAKE);

static void on_taken(struct badge *badge, const struct taken *event)
{
    badge->picture = event->picture;
}

static stele_status decide_take(const struct badge *badge, const struct take *command, stele_decision *decision)
{
    (void)badge;
    return STELE_EMIT(decision, taken, .picture = command->picture);
}

#define BADGE_EVENTS(EVOLVE, A) EVOLVE(A, taken, on_taken)
#define BADGE_COMMANDS(DECIDE, A) DECIDE(A, take, decide_take)
STELE_DEFINE_AGGREGATE(badge, BADGE_EVENTS, BADGE_COMMANDS);

/* --- Commands ------------------------------------------------------------------ */

static stele_message *build(const struct stele_type *type, const void *payload, const char *id)
{
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
    stele_message *message = NULL;
    stele_error *error = NULL;
    options.id = id;
    assert_ok(stele_message_new(type, payload, &options, &message, &error), error);
    return message;
}

stele_message *open_command(const char *owner)
{
    return build(&open_type, &(const struct open){.owner = owner}, NULL);
}

stele_message *deposit_command(int64_t amount, int64_t parts)
{
    return build(&deposit_type, &(const struct deposit){.amount = amount, .parts = parts}, NULL);
}

stele_message *deposit_command_with_id(int64_t amount, const char *id)
{
    return build(&deposit_type, &(const struct deposit){.amount = amount, .parts = 1}, id);
}

stele_message *withdraw_command(int64_t amount)
{
    return withdraw_command_with_id(amount, NULL);
}

stele_message *withdraw_command_with_id(int64_t amount, const char *id)
{
    return build(&withdraw_type, &(const struct withdraw){.amount = amount}, id);
}

stele_message *look_command(void)
{
    return build(&look_type, &(const struct look){.stele_unused = 0}, NULL);
}

stele_message *misbehave_command(enum misdeed how)
{
    return build(&misbehave_type, &(const struct misbehave){.how = how}, NULL);
}

stele_message *write_command(int64_t number)
{
    return build(&write_page_type, &(const struct write_page){.number = number}, NULL);
}

stele_message *take_command(const char *picture)
{
    return build(&take_type, &(const struct take){.picture = support_slice(picture)}, NULL);
}

/* --- The world ------------------------------------------------------------------ */

struct world world_open(const char *url)
{
    struct world world = {0};
    stele_error *error = NULL;
    assert_ok(stele_store_open(url, NULL, &world.store, &error), error);
    assert_ok(stele_repository_new(world.store, &account_aggregate, NULL, &world.accounts, &error), error);
    return world;
}

void world_close(struct world *world)
{
    stele_repository_free(world->accounts);
    stele_store_close(world->store);
}

stele_status decide(stele_instance *instance, stele_message *command, stele_error **error)
{
    const stele_status status = stele_decide(instance, command, error);
    stele_message_unref(command);
    return status;
}

struct stele_appended execute(const struct world *world, const char *stream, stele_message *command)
{
    struct stele_appended result = {0};
    stele_error *error = NULL;
    assert_ok(stele_execute(world->accounts, stream, command, &result, &error), error);
    stele_message_unref(command);
    return result;
}

stele_instance *load(const struct world *world, const char *stream)
{
    stele_instance *instance = NULL;
    stele_error *error = NULL;
    assert_ok(stele_load(world->accounts, stream, NULL, &instance, &error), error);
    return instance;
}

stele_instance *load_or_new(const struct world *world, const char *stream)
{
    struct stele_load_options options = STELE_OPTIONS_INIT(struct stele_load_options);
    stele_instance *instance = NULL;
    stele_error *error = NULL;
    options.or_new = true;
    assert_ok(stele_load(world->accounts, stream, &options, &instance, &error), error);
    return instance;
}

int64_t balance(const struct world *world, const char *stream)
{
    stele_instance *instance = load(world, stream);
    const int64_t found = STELE_STATE_OF(account, instance)->balance;
    stele_instance_free(instance);
    return found;
}

uint64_t head(const struct world *world)
{
    struct stele_stats stats = {0};
    stele_error *error = NULL;
    assert_ok(stele_stats(world->store, &stats, &error), error);
    return stats.head;
}
