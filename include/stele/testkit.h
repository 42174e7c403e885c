/*
 * stele/testkit.h - for tests of programs that use stele: given, when, then; and stores that fail on demand.
 *
 * This header belongs to a library of its own, which tests are linked with
 * (`pkg-config --libs stele-testkit`). It works with any test framework.
 *
 * A *scenario* says of an aggregate: given these events, when this command comes,
 * then this happens. Nothing is read or written: the aggregate's own functions
 * run on a store in memory, in virtual time.
 *
 *     @example scenario
 *     #define ACCOUNT(FIELD, T) FIELD(T, INT64, balance)
 *     STELE_DECLARE(account, ACCOUNT);
 *     STELE_DECLARE_AGGREGATE(account);
 *     #define MONEY(FIELD, T) FIELD(T, INT64, amount, STELE_POSITIVE)
 *     STELE_DECLARE(money_deposited, MONEY);
 *     STELE_DECLARE(money_withdrawn, MONEY);
 *     STELE_DECLARE(withdraw, MONEY);
 *
 *     void withdrawing_takes_from_the_balance(void)
 *     {
 *         STELE_SCENARIO (scenario, account) {
 *             STELE_GIVEN(scenario, money_deposited, .amount = 100);
 *             STELE_WHEN(scenario, withdraw, .amount = 80);
 *             STELE_THEN(scenario, money_withdrawn, .amount = 80);
 *             STELE_THEN_STATE(scenario, account, .balance = 20);
 *         }
 *     }
 *
 *     void more_than_there_is_cannot_be_withdrawn(void)
 *     {
 *         STELE_SCENARIO (scenario, account) {
 *             STELE_GIVEN(scenario, money_deposited, .amount = 100);
 *             STELE_WHEN(scenario, withdraw, .amount = 101);
 *             STELE_THEN_REJECTED(scenario, "insufficient funds");
 *         }
 *     }
 *     @end
 *
 * At the closing brace all is compared, and everything that differs is told at
 * once, as JSON, what was expected on the left and what came on the right:
 *
 *     account_test.c:12: scenario of bank.account: bank.withdraw
 *         expected                       actual
 *         "events": [                    "events": [
 *           {"bank.money.withdrawn": {     {"bank.money.withdrawn": {
 *       !     "amount": 80                   "amount": 81
 *           }}                             }}
 *         ]                              ]
 *
 * So are scenarios that say nothing sensible: a step in the wrong place, two
 * commands, a type the aggregate does not know, an event that breaks a rule of
 * its type, nothing to check.
 *
 * A scenario is used by one thread at a time.
 */
#ifndef STELE_TESTKIT_H
#define STELE_TESTKIT_H

#include <stele/aggregate.h>
#include <stele/base.h>
#include <stele/error.h>
#include <stele/store.h>
#include <stele/type.h>
#include <stele/upcast.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- Failing a test --------------------------------------------------------------------- */

enum { STELE_TESTKIT_TEXT_MAX = 16384 }; /* bytes of what is told, the NUL included; longer texts are cut */

/*
 * Called when a scenario fails; `text` has no newline at its end. It may leave
 * by longjmp(3), as test frameworks do: nothing is lost then, the scenario has
 * freed all it had. If it returns, the test goes on behind the scenario.
 */
typedef void stele_testkit_fail(void *context, const char *file, int line, const char *text);

/*
 * Have failures told to `fail` from now on, in the whole process; NULL restores
 * the default, which prints the text to stderr and aborts. Call it before
 * scenarios run in other threads. With cmocka, in two lines and a call:
 *
 *     static void fail_in_cmocka(void *context, const char *file, int line, const char *text)
 *     { (void)context, fprintf(stderr, "%s\n", text), _fail(file, line); }
 *     stele_testkit_on_failure(fail_in_cmocka, NULL);
 */
STELE_API void stele_testkit_on_failure(stele_testkit_fail *fail, void *context);

/* --- Scenarios --------------------------------------------------------------------------- */

typedef struct stele_scenario stele_scenario;

struct stele_scenario_options {
    size_t size;
    const struct stele_upcaster *upcasters; /* how given events of old shapes are read; default none */
    size_t upcaster_count;
};

/*
 * STELE_SCENARIO(scenario, account) { ... }: a scenario of the aggregate
 * `account_aggregate`, run once and checked at the closing brace. Do not leave the
 * braces with break, goto or return: then nothing is checked. With options:
 *
 *     @example scenario_options (const struct stele_aggregate *account, const struct stele_upcaster *upcasters)
 *         struct stele_scenario_options options = STELE_OPTIONS_INIT(struct stele_scenario_options);
 *         options.upcasters = upcasters;
 *         options.upcaster_count = 1;
 *         stele_scenario *scenario = stele_scenario_new(account, &options, __FILE__, __LINE__);
 *         STELE_GIVEN_JSON(scenario, "bank.money.withdrawn", 1, "{\"amount\":5}");
 *         bool passed = stele_scenario_end(scenario);
 *     @end
 */
#define STELE_SCENARIO(scenario, aggregate) STELE_SCENARIO_WITH (scenario, aggregate, NULL)
#define STELE_SCENARIO_WITH(scenario, aggregate, options) \
    for (stele_scenario *scenario = stele_scenario_new(&aggregate##_aggregate, (options), __FILE__, __LINE__); \
         scenario; (void)stele_scenario_end(scenario), scenario = NULL)

/* Begin; the aggregate, the options' upcasters and `file` must outlive it. NULL when it cannot begin (an aggregate or
 * upcasters not in order, no memory), which is told as a failure. */
STELE_API stele_scenario *stele_scenario_new(const struct stele_aggregate *aggregate,
                                             const struct stele_scenario_options *options, const char *file, int line);

/* Check, free, and tell what is wrong. True if nothing is. NULL is allowed, and false. */
STELE_API bool stele_scenario_end(stele_scenario *scenario);

/*
 * The steps. `type` is a declared type and what follows is its payload, so
 * STELE_GIVEN(scenario, money_deposited, .amount = 100). Their functions take the
 * same as a descriptor and a payload, and are for tests that compute them.
 *
 *   STELE_GIVEN          this happened, before. Any number; of today's shape, or of one that an upcaster reads.
 *   STELE_GIVEN_JSON     the same, of a shape the program has no type for: name, version, payload as JSON.
 *   STELE_PASS           virtual time passes, in nanoseconds; it begins at STELE_SIMULATION_START.
 *   STELE_WHEN           this command comes. One, behind all that is given. It carries the present time.
 *   STELE_THEN           this event follows. All that follow are said, in their order.
 *   STELE_THEN_NOTHING   the command is accepted, and no event follows.
 *   STELE_THEN_REJECTED  decide refused, with exactly this text.
 *   STELE_THEN_FAILS     it failed with this status: STELE_INVALID for a command that breaks a rule of its type.
 *   STELE_THEN_STATE     this is the state in the end, all of it: fields not said are zero. With or without a command;
 *                        if nothing else is said of the command, it is to be accepted.
 *
 * What is said is copied.
 */
#define STELE_GIVEN(...) STELE__STEP(given, __VA_ARGS__, )
#define STELE_GIVEN_JSON(scenario, type_name, version, json) \
    stele_scenario_given_json((scenario), (type_name), (version), (json), __LINE__)
#define STELE_PASS(scenario, nanoseconds) stele_scenario_pass((scenario), (nanoseconds), __LINE__)
#define STELE_WHEN(...) STELE__STEP(when, __VA_ARGS__, )
#define STELE_THEN(...) STELE__STEP(then, __VA_ARGS__, )
#define STELE_THEN_NOTHING(scenario) stele_scenario_then_nothing((scenario), __LINE__)
#define STELE_THEN_REJECTED(scenario, text) stele_scenario_then_rejected((scenario), (text), __LINE__)
#define STELE_THEN_FAILS(scenario, status) stele_scenario_then_fails((scenario), (status), __LINE__)
#define STELE_THEN_STATE(...) STELE__STEP(then_state, __VA_ARGS__, )
#define STELE__STEP(step, scenario, type, ...) \
    stele_scenario_##step((scenario), &type##_type, &(const struct type){__VA_ARGS__}, __LINE__)

STELE_API void stele_scenario_given(stele_scenario *scenario, const struct stele_type *type, const void *payload,
                                    int line);
STELE_API void stele_scenario_given_json(stele_scenario *scenario, const char *type_name, uint32_t version,
                                         const char *json, int line);
STELE_API void stele_scenario_pass(stele_scenario *scenario, int64_t nanoseconds, int line);
STELE_API void stele_scenario_when(stele_scenario *scenario, const struct stele_type *type, const void *payload,
                                   int line);
STELE_API void stele_scenario_then(stele_scenario *scenario, const struct stele_type *type, const void *payload,
                                   int line);
STELE_API void stele_scenario_then_nothing(stele_scenario *scenario, int line);
STELE_API void stele_scenario_then_rejected(stele_scenario *scenario, const char *text, int line);
STELE_API void stele_scenario_then_fails(stele_scenario *scenario, stele_status status, int line);
STELE_API void stele_scenario_then_state(stele_scenario *scenario, const struct stele_type *type, const void *state,
                                         int line);

/* --- Stores that fail on demand ---------------------------------------------------------- */

/*
 * A store over any other one, whose calls fail when the test says so:
 *
 *     @example faults (stele_message *event, stele_error **error)
 *         stele_faults *faults = NULL;
 *         stele_store *store = NULL;
 *         struct stele_appended result;
 *         if (stele_faults_new(&faults, error) == STELE_OK &&
 *             stele_faults_open(faults, "memory:", NULL, &store, error) == STELE_OK) {
 *             // The second append from now is stored, but its answer is lost.
 *             STELE_FAULT(faults, .call = STELE_CALL_APPEND, .nth = 2, .status = STELE_UNKNOWN, .after = true);
 *             stele_append(store, "account-7", stele_expect_any(), event, &result, error);
 *             assert(stele_faults_calls(faults, STELE_CALL_APPEND) == 1);
 *         }
 *         stele_store_close(store);
 *         stele_faults_free(faults);
 *     @end
 *
 * Calls are those that arrive at the store's backend, by whichever function: a
 * load reads, a repository that remembers commands asks for them first. Appends
 * are counted one by one, also where several threads' go in one transaction.
 */
typedef struct stele_faults stele_faults;

enum stele_store_call {
    STELE_CALL_ANY,   /* every one of those below but waits, which threads of the library's own make too */
    STELE_CALL_WRITE, /* every one that writes: appends, forgetting, snapshots and checkpoints */
    STELE_CALL_OPEN,
    STELE_CALL_APPEND,
    STELE_CALL_READ,
    STELE_CALL_FIND, /* an event by its id */
    STELE_CALL_STREAMS,
    STELE_CALL_WAIT,
    STELE_CALL_STATS,
    STELE_CALL_VERIFY,
    STELE_CALL_FIND_COMMAND,
    STELE_CALL_MARK_COMMANDS, /* how far there is to forget */
    STELE_CALL_FORGET_COMMANDS,
    STELE_CALL_LOAD_SNAPSHOT,
    STELE_CALL_SAVE_SNAPSHOT,
    STELE_CALL_DROP_SNAPSHOT,
    STELE_CALL_READ_CHECKPOINTS,
    STELE_CALL_WRITE_CHECKPOINT,
    STELE_CALL_DELETE_CHECKPOINT
};

enum { STELE_FAULTS_MAX = 16 }; /* faults waiting or failing at a time */

/* One fault. */
struct stele_fault {
    size_t size;
    enum stele_store_call call;
    uint64_t nth;        /* of these calls from now on; default 1, the next */
    uint64_t times;      /* how many in a row; default 1; UINT64_MAX: all from then on */
    stele_status status; /* default STELE_IO */
    bool after;          /* the call is carried out first. If that fails by itself, its own failure is told. */
};

/* A control for faults, with none; thread-safe. STELE_NO_MEMORY. Free it when its stores are closed; NULL is allowed. */
STELE_API stele_status stele_faults_new(stele_faults **out, stele_error **error);
STELE_API void stele_faults_free(stele_faults *faults);

/*
 * stele_store_open(), under this control: any number of stores, together or one
 * after the other. The store has neither views nor operations beyond storing
 * (copies, SQL). A real store that answered STELE_UNKNOWN refuses further appends
 * with STELE_IO until it is opened anew: arm a second fault for that.
 */
STELE_API stele_status stele_faults_open(stele_faults *faults, const char *url,
                                         const struct stele_store_options *options, stele_store **out,
                                         stele_error **error);

/* Arm a fault. Where several fit a call, all count it, and that armed first decides. STELE_INVALID for an unknown call
 * or status; STELE_LIMIT beyond STELE_FAULTS_MAX. */
STELE_API stele_status stele_faults_arm(stele_faults *faults, const struct stele_fault *fault, stele_error **error);
#define STELE_FAULT(faults, ...) \
    stele_faults_arm((faults), &(const struct stele_fault){.size = sizeof(struct stele_fault), __VA_ARGS__}, NULL)

/* Disarm all; the counts stay. */
STELE_API void stele_faults_clear(stele_faults *faults);

/* How many calls there were, and how many of them were made to fail. */
STELE_API uint64_t stele_faults_calls(stele_faults *faults, enum stele_store_call call);
STELE_API uint64_t stele_faults_failed(stele_faults *faults, enum stele_store_call call);

#ifdef __cplusplus
}
#endif

#endif
