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
 *
 * 1,000 seeds are tried unless STELE_SIM_SEEDS says otherwise.
 */
#include "tests/sim/sim.h"

#include <stele/deadletters.h>
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
};

static struct world {
    stele_store *store;
    unsigned char natures[POSITIONS]; /* enum nature, by position */
    uint64_t last;                    /* position of the last event of ours */
    struct reader readers[READERS];
    bool is_healed; /* nothing fails any more */
} world;

static void note_fault(const char *what, uint64_t position)
{
    sim_expect(false, "%s at %" PRIu64, what, position);
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
    sim_note("%s is shown %" PRIu64, reader->subscriber.name, position);
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
    if (!world.is_healed && sim_next(20) == 0)
        return STELE_BUSY;
    reader->pending_count = 0;
    reader->pending_place = reader->place;
    return STELE_OK;
}

static stele_status commit(void *context, uint64_t from, uint64_t to, stele_error **error)
{
    struct reader *reader = context;

    (void)error;
    if (!world.is_healed && sim_next(20) == 0)
        return STELE_FULL;
    if (from != reader->position)
        return STELE_CONFLICT;
    for (size_t i = 0; i < reader->pending_count; i++)
        reader->shown[reader->pending[i]]++;
    reader->position = to;
    return STELE_OK;
}

static void roll_back(void *context)
{
    struct reader *reader = context;

    reader->place = reader->pending_place;
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
        .batch = 1 + sim_next(8),
        .in_place = sim_next(2),
    };
    if (reader->keeps_position) {
        subscriber->load = load;
        subscriber->begin = begin;
        subscriber->commit = commit;
        subscriber->rollback = roll_back;
    }
    assert_ok(stele_subscription_start(world.store, sim.runtime, subscriber, reader, &reader->subscription, &error),
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
    const size_t type = sim_next(3);
    const struct stele_raw_message raw = {.kind = STELE_EVENT, .type = types[type], .format = STELE_PAYLOAD_NONE};
    const uint64_t dice = sim_next(40);
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

    switch (sim_next(5)) {
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
    switch (sim_next(8)) {
    case 0: act_on(&world.readers[sim_next(READERS)]); break;
    case 1: stele_runtime_advance(sim.runtime, (int64_t)sim_next(3 * SECOND)); break;
    case 2:
    case 3: stele_runtime_run(sim.runtime, 1 + sim_next(4)); break;
    default:
        for (uint64_t i = sim_next(6); i > 0; i--)
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
    stele_runtime_advance(sim.runtime, 4000 * SECOND);
    world.is_healed = true;
    for (size_t i = 0; i < READERS; i++)
        assert_ok(stele_subscription_wait(world.readers[i].subscription, world.last, 60000, &error), error);
    assert_ok(stele_dead_requeue_in(world.store, NULL, NULL, &error), error);
    stele_runtime_advance(sim.runtime, 10 * SECOND);
}

static void run_world(void)
{
    struct stele_store_options options = STELE_OPTIONS_INIT(struct stele_store_options);
    stele_error *error = NULL;

    memset(&world, 0, sizeof(world));
    sim_runtime_begin(0);
    options.clock = stele_runtime_clock(sim.runtime);
    assert_ok(stele_store_open("memory:", &options, &world.store, &error), error);
    world.readers[1].keeps_position = true;
    for (uint64_t i = sim_next(50); i > 0; i--)
        append();
    for (size_t i = 0; i < READERS; i++)
        start(&world.readers[i]);
    for (int i = 0; i < ACTS && !sim_has_fault(); i++)
        act();
    if (!sim_has_fault())
        settle();
    if (!sim_has_fault())
        check_all_shown();
    for (size_t i = 0; i < READERS; i++)
        stele_subscription_free(world.readers[i].subscription);
    stele_store_close(world.store);
    sim_runtime_end();
}

static void C2_random_readers_lose_nothing_and_repeat_nothing(void **state)
{
    (void)state;
    sim_run_seeds("subscription_test", run_world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(C2_random_readers_lose_nothing_and_repeat_nothing),
    };

    setenv("STELE_SIM_SEEDS", "1000", false);
    return cmocka_run_group_tests_name("simulated subscriptions", tests, NULL, NULL);
}
