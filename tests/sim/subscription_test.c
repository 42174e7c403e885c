/*
 * Subscriptions in simulation, many seeds: the way from catching up to live
 * loses nothing and repeats nothing (C1, C2, C4, C6).
 *
 * Two readers of one log, one of which keeps its position itself, while events
 * come all the time, handlers fail now and then or always, readers are paused,
 * ended, and killed (what was written since the last checkpoint is taken back).
 * A book is kept of what has to be shown next:
 *
 *   - the next event shown is the first wanted one behind the place, which a kill sets back to the checkpoint
 *   - only an event that always fails is passed over, and it lies parked; requeued, it is handled
 *   - the one that keeps its position has each effect exactly once, in order
 *   - the same seed gives the same run
 *
 * A failure prints the seed; STELE_TEST_SEED takes it back, STELE_SIM_SEEDS says how many are tried.
 */
#include "tests/support/support.h"

#include <stele/deadletters.h>
#include <stele/runtime.h>
#include <stele/store.h>
#include <stele/subscription.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POSITIONS = 4096, ACTS = 120, ATTEMPTS = 3, READERS = 2 };
#define SECOND INT64_C(1000000000)

enum nature { UNWANTED, SOUND, SHAKY, POISONED };

struct reader {
    struct stele_subscriber subscriber;
    stele_subscription *subscription;
    bool keeps_position;
    uint64_t place;                 /* all up to here was shown or passed over */
    unsigned char tries[POSITIONS]; /* failed calls */
    unsigned char shown[POSITIONS]; /* successful calls, or effects that were committed */
    uint64_t position;              /* what it keeps itself */
    uint64_t pending[64];           /* shown since `begin` */
    size_t pending_count;
    uint64_t pending_place;
    bool is_begun;
};

static struct world {
    struct support_random random;
    stele_runtime *runtime;
    stele_store *store;
    unsigned char natures[POSITIONS]; /* enum nature, by position */
    uint64_t last;                    /* position of the last event of ours */
    struct reader readers[READERS];
    bool is_healed; /* nothing fails any more */
    uint64_t trace; /* a digest of what was shown, to whom, in which order */
    char fault[256];
} world;

static uint64_t draw(uint64_t bound)
{
    return support_random_below(&world.random, bound);
}

static void note_fault(const char *what, uint64_t position)
{
    if (!*world.fault)
        snprintf(world.fault, sizeof(world.fault), "%s at %" PRIu64, what, position);
}

/* --- Readers ---------------------------------------------------------------------------------- */

/* What is between the place and a position must not be wanted, or have failed as often as it may. */
static void check_next(struct reader *reader, uint64_t position)
{
    for (uint64_t i = reader->place + 1; i < position; i++) {
        if (world.natures[i] == SOUND || world.natures[i] == SHAKY)
            note_fault("an event was passed over", i);
        if (world.natures[i] == POISONED && reader->tries[i] < ATTEMPTS)
            note_fault("an event was given up too early", i);
    }
    if (world.natures[position] == UNWANTED)
        note_fault("an event was shown that nobody wants", position);
}

static bool fails(struct reader *reader, uint64_t position)
{
    const enum nature nature = world.natures[position];
    const bool is_failing =
        !world.is_healed && (nature == POISONED || (nature == SHAKY && reader->tries[position] < 2));

    if (is_failing && reader->tries[position] < UINT8_MAX)
        reader->tries[position]++;
    return is_failing;
}

static stele_status receive(void *context, const stele_message *event, stele_error **error)
{
    struct reader *reader = context;
    const uint64_t position = stele_message_position(event);
    const bool is_again = world.is_healed && world.natures[position] == POISONED;

    (void)error;
    if (!is_again && position <= reader->place)
        note_fault("an event was shown twice", position);
    else if (!is_again)
        check_next(reader, position);
    world.trace = (world.trace * 31 + position) * 31 + reader->keeps_position;
    if (fails(reader, position))
        return STELE_FAILED;
    if (!is_again)
        reader->place = position;
    if (!reader->keeps_position)
        reader->shown[position]++;
    else if (reader->pending_count < sizeof(reader->pending) / sizeof(reader->pending[0]))
        reader->pending[reader->pending_count++] = position;
    return STELE_OK;
}

static stele_status load(void *context, uint64_t *position, stele_error **error)
{
    struct reader *reader = context;

    (void)error;
    *position = reader->position;
    reader->place = reader->position;
    return STELE_OK;
}

static stele_status begin(void *context, stele_error **error)
{
    struct reader *reader = context;

    (void)error;
    if (!world.is_healed && draw(20) == 0)
        return STELE_BUSY;
    reader->pending_count = 0;
    reader->pending_place = reader->place;
    reader->is_begun = true;
    return STELE_OK;
}

static stele_status commit(void *context, uint64_t from, uint64_t to, stele_error **error)
{
    struct reader *reader = context;

    (void)error;
    if (!world.is_healed && draw(20) == 0)
        return STELE_FULL;
    if (from != reader->position)
        return STELE_CONFLICT;
    for (size_t i = 0; i < reader->pending_count; i++)
        reader->shown[reader->pending[i]]++;
    reader->position = to;
    reader->is_begun = false;
    return STELE_OK;
}

static void roll_back(void *context)
{
    struct reader *reader = context;

    reader->place = reader->pending_place;
    reader->is_begun = false;
}

static const char *const wanted_types[] = {"wanted.one", "wanted.two", NULL};
static const struct stele_retry retry = {.max_attempts = ATTEMPTS};

static void start(struct reader *reader)
{
    struct stele_subscriber *subscriber = &reader->subscriber;
    stele_error *error = NULL;

    *subscriber = (struct stele_subscriber){
        .name = reader->keeps_position ? "exact" : "plain",
        .types = wanted_types,
        .receive = receive,
        .retry = &retry,
        .batch = 1 + draw(8),
        .in_place = draw(2),
    };
    if (reader->keeps_position) {
        subscriber->load = load;
        subscriber->begin = begin;
        subscriber->commit = commit;
        subscriber->rollback = roll_back;
    }
    assert_ok(stele_subscription_start(world.store, world.runtime, subscriber, reader, &reader->subscription, &error),
              error);
}

/* Its process dies: what it had written when it was last seen is all there is. */
static void kill_reader(struct reader *reader)
{
    uint64_t before = 0, after = 0;
    const struct reader seen = *reader;
    stele_error *error = NULL;

    if (!reader->keeps_position)
        assert_ok(stele_checkpoint_read(world.store, "plain", &before, &error), error);
    stele_subscription_free(reader->subscription);
    if (reader->keeps_position) {
        reader->position = seen.position;
        return;
    }
    assert_ok(stele_checkpoint_read(world.store, "plain", &after, &error), error);
    assert_ok(stele_checkpoint_write(world.store, "plain", after, before, &error), error);
    reader->place = before;
    /* What is tried anew fails anew. */
    memset(reader->tries + before + 1, 0, sizeof(reader->tries) - before - 1);
}

/* --- What happens --------------------------------------------------------------------------------- */

static void append(void)
{
    static const char *const types[] = {"wanted.one", "wanted.two", "other"};
    const size_t type = draw(3);
    const struct stele_raw_message raw = {.kind = STELE_EVENT, .type = types[type], .format = STELE_PAYLOAD_NONE};
    const uint64_t dice = draw(40);
    struct stele_appended appended = {0};
    stele_message *event = NULL;
    stele_error *error = NULL;

    assert_ok(stele_message_new_raw(&raw, NULL, &event, &error), error);
    assert_ok(stele_append(world.store, "stream", stele_expect_any(), event, &appended, &error), error);
    stele_message_unref(event);
    assert_true(appended.last_position < POSITIONS);
    world.last = appended.last_position;
    world.natures[world.last] = type == 2 ? UNWANTED : dice == 0 ? POISONED : dice < 4 ? SHAKY : SOUND;
}

static void act_on(struct reader *reader)
{
    stele_error *error = NULL;

    switch (draw(5)) {
    case 0: assert_ok(stele_subscription_pause(reader->subscription, &error), error); break;
    case 1:
        kill_reader(reader);
        start(reader);
        break;
    case 2:
        stele_subscription_free(reader->subscription);
        start(reader);
        break;
    default: assert_ok(stele_subscription_resume(reader->subscription, &error), error); break;
    }
}

static void act(void)
{
    switch (draw(8)) {
    case 0: act_on(&world.readers[draw(READERS)]); break;
    case 1: stele_runtime_advance(world.runtime, (int64_t)draw(3 * SECOND)); break;
    case 2:
    case 3: stele_runtime_run(world.runtime, 1 + draw(4)); break;
    default:
        for (uint64_t i = draw(6); i > 0; i--)
            append();
        break;
    }
}

static void check_all_shown(void)
{
    for (size_t i = 0; i < READERS; i++) {
        const struct reader *reader = &world.readers[i];

        for (uint64_t position = 1; position <= world.last; position++) {
            const bool is_wanted = world.natures[position] != UNWANTED;

            if (is_wanted && reader->shown[position] == 0)
                note_fault("an event was lost", position);
            if (reader->keeps_position && reader->shown[position] > 1)
                note_fault("an effect came twice", position);
        }
    }
}

/* Until all is handled that does not fail for ever, and then, healed, the rest. */
static void settle(void)
{
    stele_error *error = NULL;

    for (size_t i = 0; i < READERS; i++)
        assert_ok(stele_subscription_resume(world.readers[i].subscription, &error), error);
    stele_runtime_advance(world.runtime, 4000 * SECOND);
    world.is_healed = true;
    for (size_t i = 0; i < READERS; i++)
        assert_ok(stele_subscription_wait(world.readers[i].subscription, world.last, 60000, &error), error);
    assert_ok(stele_dead_requeue_in(world.store, NULL, NULL, &error), error);
    stele_runtime_advance(world.runtime, 10 * SECOND);
}

static const char *run_seed(uint64_t seed)
{
    struct stele_store_options options = STELE_OPTIONS_INIT(struct stele_store_options);
    stele_error *error = NULL;

    memset(&world, 0, sizeof(world));
    world.random.state = seed;
    assert_ok(stele_runtime_simulated(seed | 1, &world.runtime, &error), error);
    options.clock = stele_runtime_clock(world.runtime);
    assert_ok(stele_store_open("memory:", &options, &world.store, &error), error);
    world.readers[1].keeps_position = true;
    for (uint64_t i = draw(50); i > 0; i--)
        append();
    for (size_t i = 0; i < READERS; i++)
        start(&world.readers[i]);
    for (int i = 0; i < ACTS && !*world.fault; i++)
        act();
    if (!*world.fault)
        settle();
    if (!*world.fault)
        check_all_shown();
    for (size_t i = 0; i < READERS; i++)
        stele_subscription_free(world.readers[i].subscription);
    stele_store_close(world.store);
    stele_runtime_free(world.runtime);
    return *world.fault ? world.fault : NULL;
}

static void C2_random_readers_lose_nothing_and_repeat_nothing(void **state)
{
    const char *wanted = getenv("STELE_SIM_SEEDS");
    const struct support_random seed = support_seed();
    const uint64_t seeds = wanted ? strtoull(wanted, NULL, 10) : 300;

    (void)state;
    for (uint64_t i = 0; i < seeds; i++) {
        const char *fault = run_seed(seed.state + i);
        const uint64_t trace = world.trace;

        if (!fault && !run_seed(seed.state + i) && world.trace != trace)
            fault = "the same seed gave another run";
        if (fault)
            fail_msg("STELE_TEST_SEED=%" PRIu64 ": %s", seed.state + i, fault);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(C2_random_readers_lose_nothing_and_repeat_nothing),
    };

    return cmocka_run_group_tests_name("simulated subscriptions", tests, NULL, NULL);
}
