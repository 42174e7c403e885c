/*
 * The contract suite: every clause that is the same for all backends, run over
 * each of them. Tests are named by clause (V1 ... A8, D8) or by feature.
 *
 *     contract_test [URL ...]    "TEMP" in a URL is replaced by the test's own folder
 */
#ifndef STELE_TESTS_CONTRACT_H
#define STELE_TESTS_CONTRACT_H

#include "tests/support/support.h"

#include <stele/store.h>

/* --- The backend under test ---------------------------------------------------- */

const char *contract_url(void);
/* Does it keep what it holds when it is closed? */
bool contract_is_durable(void);

stele_store *contract_open(void);
stele_store *contract_open_with(const struct stele_store_options *options);
/* Close and open again, if the backend is durable. */
stele_store *contract_reopen(stele_store *store);

/* --- Events ---------------------------------------------------------------------- */

/* An event whose payload is one number; the caller owns it. `options` may be NULL. */
stele_message *contract_event(const char *type, int64_t number, const struct stele_message_options *options);
int64_t contract_number(const stele_message *message);

/* Append an event of type "thing.happened", or of another, whatever the stream is. */
struct stele_appended contract_append(stele_store *store, const char *stream, int64_t number);
struct stele_appended contract_append_type(stele_store *store, const char *stream, const char *type, int64_t number);

/* Append what is given as one event with an expectation; the event is given back. */
stele_status contract_try(stele_store *store, const char *stream, struct stele_expected expected, int64_t number,
                          stele_error **error);

/* --- Commands ----------------------------------------------------------------------- */

/* A command whose payload is one byte of MessagePack, a number below 128; the caller owns it. */
stele_message *contract_command(const char *id, const char *type, char number);
/* An event with an id, the same each time. */
stele_message *contract_event_with_id(const char *id);
/* Append what a command led to: a new event to stream "a", or with a rejection none. */
stele_status contract_handle(stele_store *store, const stele_message *command, const char *rejection,
                             struct stele_expected expected, struct stele_appended *result, stele_error **error);
/* The same for a command of type "do.it", whatever the stream is. */
stele_status contract_accept(stele_store *store, const char *id, char number, struct stele_appended *result,
                             stele_error **error);
stele_status contract_refuse(stele_store *store, const char *id, char number, const char *rejection,
                             stele_error **error);
/* Is the command in the ledger? */
bool contract_is_remembered(stele_store *store, const char *id);

/* --- Reading ---------------------------------------------------------------------- */

#define QUERY(...) (&(const struct stele_query){.size = sizeof(struct stele_query), __VA_ARGS__})

struct contract_seen {
    uint64_t position;
    uint64_t version;
    char stream[64];
    int64_t number;
};

/* Read into `seen`; returns how many there were, which must not be more than `room`. */
size_t contract_read(stele_store *store, const struct stele_query *query, struct contract_seen *seen, size_t room,
                     struct stele_head *head);
size_t contract_count(stele_store *store, const struct stele_query *query);
uint64_t contract_version(stele_store *store, const char *stream);
uint64_t contract_head(stele_store *store);

/* The numbers of the events a query gives, in order. */
void contract_assert_numbers(stele_store *store, const struct stele_query *query, const int64_t *numbers, size_t count,
                             const char *file, int line);
#define assert_numbers(store, query, ...) \
    do { \
        const int64_t numbers_[] = {__VA_ARGS__}; \
        contract_assert_numbers((store), (query), numbers_, sizeof(numbers_) / sizeof(numbers_[0]), __FILE__, \
                                __LINE__); \
    } while (0)
#define assert_no_events(store, query) contract_assert_numbers((store), (query), NULL, 0, __FILE__, __LINE__)

/* --- The groups of tests ------------------------------------------------------------ */

struct contract_group {
    const char *name;
    const struct CMUnitTest *tests;
    size_t count;
};

extern const struct contract_group contract_append_group;
extern const struct contract_group contract_repeat_group;
extern const struct contract_group contract_read_group;
extern const struct contract_group contract_filter_group;
extern const struct contract_group contract_limit_group;
extern const struct contract_group contract_life_group;
extern const struct contract_group contract_thread_group;
extern const struct contract_group contract_async_group;
extern const struct contract_group contract_ledger_group;
extern const struct contract_group contract_outcome_group;
extern const struct contract_group contract_snapshot_group;
extern const struct contract_group contract_checkpoint_group;
extern const struct contract_group contract_part_group;
extern const struct contract_group contract_upcast_group;
extern const struct contract_group contract_types_group;

#define CONTRACT_GROUP(group, tests) \
    const struct contract_group group = {#group, tests, sizeof(tests) / sizeof((tests)[0])}

#endif
