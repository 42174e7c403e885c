/*
 * stele/aggregate.h - aggregates: state folded from events, decisions made of commands.
 *
 * An aggregate is a constant table of two kinds of plain functions:
 *
 *   evolve   state + event -> state       total, no I/O: what happened cannot be refused
 *   decide   state + command -> events    or a rejection; pure, no I/O
 *
 *     @example aggregate
 *     #define ACCOUNT(FIELD, T) FIELD(T, INT64, balance)
 *     STELE_DECLARE(account, ACCOUNT);
 *     STELE_DEFINE_STATE(account, "bank.account", 1, ACCOUNT);
 *
 *     #define MONEY_WITHDRAWN(FIELD, T) FIELD(T, INT64, amount, STELE_POSITIVE)
 *     STELE_DECLARE(money_withdrawn, MONEY_WITHDRAWN);
 *     STELE_DEFINE_EVENT(money_withdrawn, "bank.money.withdrawn", 1, MONEY_WITHDRAWN);
 *
 *     #define WITHDRAW(FIELD, T) FIELD(T, INT64, amount, STELE_POSITIVE)
 *     STELE_DECLARE(withdraw, WITHDRAW);
 *     STELE_DEFINE_COMMAND(withdraw, "bank.withdraw", 1, WITHDRAW);
 *
 *     static void on_money_withdrawn(struct account *account, const struct money_withdrawn *event)
 *     {
 *         account->balance -= event->amount;
 *     }
 *
 *     static stele_status decide_withdraw(const struct account *account, const struct withdraw *command,
 *                                         stele_decision *decision)
 *     {
 *         if (account->balance < command->amount)
 *             return stele_decision_reject(decision, "insufficient funds");
 *         return STELE_EMIT(decision, money_withdrawn, .amount = command->amount);
 *     }
 *
 *     #define ACCOUNT_EVENTS(EVOLVE, A) EVOLVE(A, money_withdrawn, on_money_withdrawn)
 *     #define ACCOUNT_COMMANDS(DECIDE, A) DECIDE(A, withdraw, decide_withdraw)
 *     STELE_DEFINE_AGGREGATE(account, ACCOUNT_EVENTS, ACCOUNT_COMMANDS);
 *     @end
 *
 * That makes `account_aggregate`. A *repository* loads and saves the aggregates
 * of one table in one store; an *instance* is one of them, loaded: its state,
 * the version it was loaded at, and the events decided but not saved yet.
 *
 * The state starts as all zero bytes. Pointers in an event (text, bytes,
 * lists) stay valid as long as the instance, so evolve may keep them in the
 * state; a state that needs memory of its own, to build a list say, declares
 * `FIELD(T, ARENA, memory)` and takes it from there with stele_arena_alloc().
 */
#ifndef STELE_AGGREGATE_H
#define STELE_AGGREGATE_H

#include <stele/base.h>
#include <stele/clock.h>
#include <stele/error.h>
#include <stele/message.h>
#include <stele/store.h>
#include <stele/type.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a decide function writes to. Owned by the library; valid for the call. */
typedef struct stele_decision stele_decision;

/*
 * Refuse a command, with the domain's reason in the manner of printf. Returns
 * STELE_REJECTED, to be returned by the decide function: nothing is stored,
 * and the caller of the command gets that status with this text.
 */
STELE_API stele_status stele_decision_reject(stele_decision *decision, const char *format, ...) STELE_PRINTF(2, 3);

/* Decide that an event happens; STELE_EMIT is the typed way here. STELE_INVALID if the payload breaks a rule of its
 * type or the aggregate has no evolve function for it; the state moves on only after decide has returned STELE_OK. */
STELE_API stele_status stele_decision_emit(stele_decision *decision, const struct stele_type *type,
                                           const void *payload);

/* STELE_EMIT(decision, money_withdrawn, .amount = 50): emit an event of a declared type. */
#define STELE_EMIT(...) STELE__EMIT(__VA_ARGS__, )
#define STELE__EMIT(decision, event, ...) \
    stele_decision_emit((decision), &event##_type, &(const struct event){__VA_ARGS__})

/* The id of the command being decided, and the time the events will carry. */
STELE_API struct stele_slice stele_decision_command_id(const stele_decision *decision);
STELE_API int64_t stele_decision_time(const stele_decision *decision);

struct stele_evolution {
    const struct stele_type *event;
    void (*evolve)(void *state, const void *event);
};

struct stele_decider {
    const struct stele_type *command;
    stele_status (*decide)(const void *state, const void *command, stele_decision *decision);
};

/* The table. Made by STELE_DEFINE_AGGREGATE; constant. */
struct stele_aggregate {
    const struct stele_type *state;
    const struct stele_evolution *evolutions;
    size_t evolution_count;
    const struct stele_decider *deciders;
    size_t decider_count;
};

/*
 * Define `NAME_aggregate` from the declared state type NAME and two lists. The
 * functions are checked against the types: one that takes another event's
 * struct does not compile.
 */
#define STELE_DEFINE_AGGREGATE(name, EVENTS, COMMANDS) \
    EVENTS(STELE__EVOLVE_FUNCTION, name) \
    COMMANDS(STELE__DECIDE_FUNCTION, name) \
    static const struct stele_evolution name##_evolutions[] = {EVENTS(STELE__EVOLVE_ENTRY, name)}; \
    static const struct stele_decider name##_deciders[] = {COMMANDS(STELE__DECIDE_ENTRY, name)}; \
    const struct stele_aggregate name##_aggregate = { \
        .state = &name##_type, \
        .evolutions = name##_evolutions, \
        .evolution_count = sizeof(name##_evolutions) / sizeof(name##_evolutions[0]), \
        .deciders = name##_deciders, \
        .decider_count = sizeof(name##_deciders) / sizeof(name##_deciders[0])}

#define STELE_DECLARE_AGGREGATE(name) extern const struct stele_aggregate name##_aggregate

#define STELE__EVOLVE_FUNCTION(A, name, function) \
    static void A##_evolve_##name(void *untyped_state, const void *untyped_event) \
    { \
        struct A *state = untyped_state; \
        const struct name *event = untyped_event; \
        function(state, event); \
    }
#define STELE__EVOLVE_ENTRY(A, name, function) {&name##_type, A##_evolve_##name},
#define STELE__DECIDE_FUNCTION(A, name, function) \
    static stele_status A##_decide_##name(const void *untyped_state, const void *untyped_command, \
                                          stele_decision *decision) \
    { \
        const struct A *state = untyped_state; \
        const struct name *command = untyped_command; \
        return function(state, command, decision); \
    }
#define STELE__DECIDE_ENTRY(A, name, function) {&name##_type, A##_decide_##name},

/*
 * Check a table: every type (stele_type_check), a state of kind STATE, events
 * and commands of their kinds, no type name twice, no two types under one
 * name. STELE_INVALID names aggregate and type.
 */
STELE_API stele_status stele_aggregate_check(const struct stele_aggregate *aggregate, stele_error **error);

typedef struct stele_repository stele_repository;
typedef struct stele_instance stele_instance;

/*
 * What to do with a stored event whose type name is not in the table. A name
 * that is, stored in another version of its shape, is STELE_UNKNOWN_TYPE always.
 */
enum stele_unknown {
    STELE_UNKNOWN_IS_ERROR,  /* STELE_UNKNOWN_TYPE with "type", "stream" and "position" (the default) */
    STELE_UNKNOWN_IS_SKIPPED /* it changes nothing but the version */
};

struct stele_repository_options {
    size_t size;
    enum stele_unknown unknown;
    const char *source;              /* of the events; default "stele" */
    const struct stele_clock *clock; /* default stele_clock_system() */
    /*
     * Let stele_execute() keep each command with its outcome in the store's
     * ledger, in the transaction of its events, also when it was refused or led
     * to nothing. Costs one look-up before and one row with each command; see
     * stele_forget_commands(). stele_save() remembers none.
     */
    bool remember_commands;
    /*
     * The two below let a load begin elsewhere than at the first event; they
     * change how fast it is, not what comes out (docs/snapshots.md). For that,
     * all that evolve functions keep must be in the fields of the state: what
     * they hide in its ARENA behind a number is not found again, and a list
     * has no room behind its last item.
     */
    uint64_t snapshot_every; /* write a snapshot when so many events have come since the last one; 0: none, and none
                                is read */
    size_t cache_bytes;      /* keep loaded states in memory up to this size; 0: none */
};

/*
 * A repository of the aggregates of one table. The store and the table must
 * outlive it. STELE_INVALID as stele_aggregate_check(). Thread-safe.
 */
STELE_API stele_status stele_repository_new(stele_store *store, const struct stele_aggregate *aggregate,
                                            const struct stele_repository_options *options, stele_repository **out,
                                            stele_error **error);
/* Free a repository whose instances are all freed; NULL is allowed. */
STELE_API void stele_repository_free(stele_repository *repository);
/* The table it was made with. */
STELE_API const struct stele_aggregate *stele_repository_aggregate(const stele_repository *repository);

/* What a repository did since it was made. */
struct stele_repository_stats {
    uint64_t loads;         /* that succeeded, those of commands included */
    uint64_t events_folded; /* in these; not those that were decided */
    uint64_t cache_hits;    /* loads that began at a kept state */
    uint64_t cache_misses;
    uint64_t cache_evictions; /* states thrown out to make room */
    uint64_t cache_entries;   /* now */
    uint64_t cache_bytes;     /* now, with all overhead */
    uint64_t snapshots_loaded;
    uint64_t snapshots_saved;
    uint64_t snapshots_overtaken; /* not written, because a newer one came before */
    uint64_t snapshots_failed;    /* not written: the store said no, or the state cannot be encoded */
    uint64_t discarded_shape;     /* snapshots thrown away, by reason: see enum stele_discard_reason */
    uint64_t discarded_damaged;
    uint64_t discarded_beyond;
    uint64_t conflicts; /* saves refused because a stream had moved on */
    uint64_t retries;   /* commands decided again for that */
};

/* A repository in numbers. STELE_INVALID if an argument is NULL. Thread-safe. */
STELE_API stele_status stele_repository_stats(const stele_repository *repository, struct stele_repository_stats *out,
                                              stele_error **error);

struct stele_load_options {
    size_t size;
    bool or_new;      /* a missing stream gives an instance at version 0 instead of STELE_NOT_FOUND */
    uint64_t version; /* the state as of this version; 0 = the newest. STELE_NOT_FOUND if the stream is not that long */
    bool has_time;
    int64_t time; /* the state as of this time: events up to the first one later than it */
};

/*
 * Load an instance: fold its stream. STELE_NOT_FOUND, STELE_UNKNOWN_TYPE,
 * STELE_CORRUPT (also a stored event that does not decode), and what
 * stele_read() returns. An instance is used by one thread at a time.
 */
STELE_API stele_status stele_load(const stele_repository *repository, const char *stream,
                                  const struct stele_load_options *options, stele_instance **out, stele_error **error);
/* Free an instance and what it has not saved; NULL is allowed. */
STELE_API void stele_instance_free(stele_instance *instance);

/* The state, typed: `const struct account *account = STELE_STATE_OF(account, instance);` valid until the next call
 * that changes the instance. NULL if the instance is of another aggregate. */
#define STELE_STATE_OF(name, instance) ((const struct name *)stele_instance_state((instance), &name##_aggregate))
STELE_API const void *stele_instance_state(const stele_instance *instance, const struct stele_aggregate *aggregate);

/* The stream's name, valid as long as the instance; the version of the state: what was loaded, and the pending events. */
STELE_API const char *stele_instance_stream(const stele_instance *instance);
STELE_API uint64_t stele_instance_version(const stele_instance *instance);

/* Events decided and not saved. Borrowed until saved or freed. */
STELE_API size_t stele_instance_pending(const stele_instance *instance, const stele_message *const **events);

/*
 * Decide a command: its events join the pending ones and the state moves on.
 * STELE_REJECTED with the domain's text; STELE_INVALID for a command the table
 * has no decide function for, or an event it has no evolve function for;
 * STELE_LIMIT; STELE_NO_MEMORY. On failure the instance is as before.
 *
 * Each event's causationid is the command's id, its correlationid the
 * command's (or, if it has none, the command's id), its traceparent the
 * command's. Its own id is derived from the command's id, the stream and the
 * event's number, so that deciding the same command twice gives the same ids
 * and the store keeps the first.
 */
STELE_API stele_status stele_decide(stele_instance *instance, const stele_message *command, stele_error **error);

/*
 * Append the pending events of all instances in one atomic step, each at the
 * version its instance was loaded at; instances without pending events take
 * part as expectations. On STELE_OK nothing is pending and the versions have
 * moved on. On failure (STELE_CONFLICT: load again) the instances are as
 * before. All must be of the same store (STELE_INVALID) and different streams.
 * If the events were stored already (`result->repeated`), the instances are
 * loaded anew, up to the newest version.
 */
STELE_API stele_status stele_save(stele_instance *const *instances, size_t count, struct stele_appended *result,
                                  stele_error **error);

/* One command for one aggregate. */
struct stele_execution {
    const stele_repository *repository;
    const char *stream;
    const stele_message *command;
};

struct stele_execute_options {
    size_t size;
    unsigned attempts; /* in total, on conflict; default 3 */
    bool has_version;
    uint64_t version; /* with has_version: the version the caller has seen; a conflict is final. One execution. */
};

/*
 * Load (or begin), decide and save; on a conflict do it again on fresh state,
 * with a short random pause growing from try to try. Several executions are
 * decided in order and saved in one atomic step; a rejection of one rejects
 * all. A command that decides nothing writes nothing and makes no stream.
 *
 * Sending a command again is safe, whatever has happened since: if its events
 * are in the stream, it is decided again on the state and at the time of then,
 * and the first result is returned, with `repeated` set. Another command under
 * the same id is then STELE_ID_REUSE. Of several executions, one that decided
 * nothing the first time leaves no trace of when that was: it is decided on
 * today's state, which may give another answer.
 *
 * With `remember_commands` in the (first) repository the first answer is looked
 * up before anything is loaded: the first result with `replayed` set, or
 * STELE_REJECTED with the first text, without deciding again, whatever version
 * is stated. A rejection is remembered for the versions it was decided at; where
 * those have moved on meanwhile, it is decided again as after a conflict. The id
 * of the first command stands for all executions of the call: for another
 * command under it, for the same one on another stream, or with other commands
 * behind it, the answer is STELE_ID_REUSE.
 *
 * Errors as stele_load(), stele_decide() and stele_append_batch().
 */
STELE_API stele_status stele_execute_all(const struct stele_execution *executions, size_t count,
                                         const struct stele_execute_options *options, struct stele_appended *result,
                                         stele_error **error);

/* stele_execute_all() for one command with default options. */
STELE_API stele_status stele_execute(const stele_repository *repository, const char *stream,
                                     const stele_message *command, struct stele_appended *result, stele_error **error);

#ifdef __cplusplus
}
#endif

#endif
