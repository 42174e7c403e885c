/*
 * A store, a runtime (a simulation unless said otherwise) and a receiver that
 * notes which positions it was shown, fails where it is told to, and keeps its
 * position itself if it is asked to.
 */
#ifndef STELE_TESTS_UNIT_STORE_SUBSCRIPTION_STAGE_H
#define STELE_TESTS_UNIT_STORE_SUBSCRIPTION_STAGE_H

#include "tests/support/support.h"

#include <stele/runtime.h>
#include <stele/store.h>
#include <stele/subscription.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SECOND INT64_C(1000000000)

struct stage {
    stele_runtime *runtime;
    stele_store *store;
};

static inline stele_store *open_store(const char *url, const stele_runtime *runtime)
{
    struct stele_store_options options = STELE_OPTIONS_INIT(struct stele_store_options);
    stele_store *store = NULL;
    stele_error *error = NULL;

    options.clock = runtime ? stele_runtime_clock(runtime) : NULL;
    assert_ok(stele_store_open(url, &options, &store, &error), error);
    return store;
}

/* In a simulation. */
static inline void begin_stage(struct stage *stage, const char *url)
{
    stele_error *error = NULL;

    assert_ok(stele_runtime_simulated(7, &stage->runtime, &error), error);
    stage->store = open_store(url, stage->runtime);
}

static inline void end_stage(struct stage *stage)
{
    stele_store_close(stage->store);
    stele_runtime_free(stage->runtime);
}

static inline void append_with(stele_store *store, const char *stream, const char *type,
                               const struct stele_message_options *options)
{
    const struct stele_raw_message raw = {.kind = STELE_EVENT, .type = type, .format = STELE_PAYLOAD_NONE};
    stele_message *event = NULL;
    stele_error *error = NULL;

    assert_ok(stele_message_new_raw(&raw, options, &event, &error), error);
    assert_ok(stele_append(store, stream, stele_expect_any(), event, NULL, &error), error);
    stele_message_unref(event);
}

static inline void append_to(stele_store *store, const char *stream, const char *type)
{
    append_with(store, stream, type, NULL);
}

static inline void append_at(stele_store *store, int64_t time)
{
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);

    options.has_time = true;
    options.time = time;
    append_with(store, "account-1", "money.moved", &options);
}

static inline void append_many(stele_store *store, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        append_to(store, "account-1", "money.moved");
}

/* --- The receiver --------------------------------------------------------------------------- */

struct receiver {
    char shown[2048];  /* positions, each with a blank behind it; in a transaction, those of it */
    char stored[2048]; /* what was committed; only with `load` */
    uint64_t position; /* likewise */
    uint64_t fails_at; /* a position; 0: none */
    unsigned fails;    /* so many times; UINT_MAX: always */
    stele_status status;
    unsigned calls; /* of `receive` */
    unsigned commits, commit_fails;
    stele_status commit_status;
    unsigned begin_fails;
    bool is_begun;
    char states[512]; /* told by `changed` */
    stele_subscription *subscription;
    void (*during)(struct receiver *receiver, const stele_message *event);
    void *other;
};

static inline void note_position(char *text, size_t size, uint64_t position)
{
    const size_t used = strlen(text);

    snprintf(text + used, size - used, "%" PRIu64 " ", position);
}

static inline stele_status receive(void *context, const stele_message *event, stele_error **error)
{
    struct receiver *receiver = context;
    const uint64_t position = stele_message_position(event);

    (void)error;
    receiver->calls++;
    if (receiver->during)
        receiver->during(receiver, event);
    if (position == receiver->fails_at && receiver->fails > 0) {
        if (receiver->fails != UINT32_MAX)
            receiver->fails--;
        return receiver->status ? receiver->status : STELE_FAILED;
    }
    note_position(receiver->shown, sizeof(receiver->shown), position);
    return STELE_OK;
}

static inline void note_change(void *context, stele_subscription *subscription)
{
    struct receiver *receiver = context;
    struct stele_subscription_stats stats;
    const size_t used = strlen(receiver->states);

    stele_subscription_get_stats(subscription, &stats);
    snprintf(receiver->states + used, sizeof(receiver->states) - used, "%s, ",
             stele_subscription_state_name(stats.state));
}

static inline stele_status load_position(void *context, uint64_t *position, stele_error **error)
{
    struct receiver *receiver = context;

    (void)error;
    receiver->shown[0] = '\0';
    if (receiver->position == STELE_NO_CHECKPOINT)
        return STELE_NOT_FOUND;
    *position = receiver->position;
    return STELE_OK;
}

static inline stele_status begin_batch(void *context, stele_error **error)
{
    struct receiver *receiver = context;

    (void)error;
    assert_false(receiver->is_begun);
    if (receiver->begin_fails > 0) {
        receiver->begin_fails--;
        return STELE_BUSY;
    }
    receiver->is_begun = true;
    receiver->shown[0] = '\0';
    return STELE_OK;
}

static inline stele_status commit_batch(void *context, uint64_t from, uint64_t to, stele_error **error)
{
    struct receiver *receiver = context;

    (void)error;
    assert_true(receiver->is_begun);
    if (receiver->commit_fails > 0) {
        receiver->commit_fails--;
        return receiver->commit_status ? receiver->commit_status : STELE_BUSY;
    }
    if (receiver->position != from)
        return STELE_CONFLICT;
    receiver->position = to;
    receiver->commits++;
    receiver->is_begun = false;
    snprintf(receiver->stored + strlen(receiver->stored), sizeof(receiver->stored) - strlen(receiver->stored), "%s",
             receiver->shown);
    receiver->shown[0] = '\0';
    return STELE_OK;
}

static inline void roll_back(void *context)
{
    struct receiver *receiver = context;

    assert_true(receiver->is_begun);
    receiver->is_begun = false;
    receiver->shown[0] = '\0';
}

/* Retries without jitter: after 1 s, then 2 s; three attempts in all. */
static const struct stele_retry three = {.max_attempts = 3, .jitter = STELE_JITTER_NONE};

/* The members that all subscribers here have. */
#define PLAIN_AS(name_) .name = (name_), .receive = receive, .retry = &three, .changed = note_change
#define PLAIN PLAIN_AS("reader")
#define TRANSACTIONAL PLAIN, .load = load_position, .begin = begin_batch, .commit = commit_batch, .rollback = roll_back

static inline void begin_subscription(const struct stage *stage, const struct stele_subscriber *subscriber,
                                      struct receiver *receiver)
{
    stele_error *error = NULL;

    assert_ok(
        stele_subscription_start(stage->store, stage->runtime, subscriber, receiver, &receiver->subscription, &error),
        error);
}

static inline struct stele_subscription_stats stats_of(const struct receiver *receiver)
{
    struct stele_subscription_stats stats;

    stele_subscription_get_stats(receiver->subscription, &stats);
    return stats;
}

static inline void assert_state(const struct receiver *receiver, enum stele_subscription_state state)
{
    assert_string_equal(stele_subscription_state_name(stats_of(receiver).state), stele_subscription_state_name(state));
}

static inline uint64_t checkpoint_of(const struct stage *stage, const char *name)
{
    uint64_t position = 0;
    stele_error *error = NULL;

    assert_ok(stele_checkpoint_read(stage->store, name, &position, &error), error);
    return position;
}

#endif
