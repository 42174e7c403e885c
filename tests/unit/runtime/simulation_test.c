/* The simulated runtime: one seed, one run; virtual time; traces. */
#include "tests/support/support.h"

#include "runtime/runtime.h"

#include <string.h>

#define MS INT64_C(1000000)

enum { BOXES = 6, LETTERS = 4, TEXT_MAX = 65536 };

struct text {
    char bytes[TEXT_MAX];
    size_t size;
};

static void write_down(void *context, const char *line)
{
    struct text *text = context;
    const size_t size = strlen(line);

    assert_true(text->size + size + 1 < TEXT_MAX);
    memcpy(text->bytes + text->size, line, size);
    text->bytes[text->size + size] = '\n';
    text->size += size + 1;
    text->bytes[text->size] = '\0';
}

static stele_runtime *simulate(uint64_t seed)
{
    stele_runtime *runtime = NULL;
    stele_error *error = NULL;

    assert_ok(stele_runtime_simulated(seed, &runtime, &error), error);
    return runtime;
}

/* --- A small world: boxes that write to each other, timers that write to boxes -------------------- */

struct world {
    stele_runtime *runtime;
    struct stele__mailbox boxes[BOXES];
    struct stele__letter letters[BOXES * LETTERS];
    unsigned hops;
    struct stele__timer timers[3];
};

static struct world *the_world;

static void pass_on(struct stele__mailbox *mailbox, struct stele__letter *letter)
{
    (void)mailbox;
    if (the_world->hops == 0)
        return;
    the_world->hops--;
    stele__mailbox_send(&the_world->boxes[stele_runtime_random(the_world->runtime) % BOXES], letter);
}

static void wake_boxes(struct stele__timer *timer)
{
    the_world->hops += 10;
    if (the_world->hops < 100)
        stele__timer_start(timer->runtime, timer, (int64_t)(stele_runtime_random(timer->runtime) % 50) * MS);
}

static void live(uint64_t seed, struct text *trace)
{
    static const char *const names[BOXES] = {"a", "b", "c", "d", "e", "f"};
    struct world world = {.runtime = simulate(seed), .hops = 50};

    the_world = &world;
    stele_runtime_set_trace(world.runtime, write_down, trace);
    for (size_t i = 0; i < BOXES; i++)
        assert_true(stele__mailbox_init(&world.boxes[i], world.runtime, names[i], i % 2 ? 5 : 1, 0, pass_on));
    for (size_t i = 0; i < BOXES * LETTERS; i++)
        stele__mailbox_send(&world.boxes[i % BOXES], &world.letters[i]);
    for (size_t i = 0; i < 3; i++) {
        world.timers[i] = (struct stele__timer){.name = names[i], .fire = wake_boxes};
        assert_true(stele__timer_start(world.runtime, &world.timers[i], (int64_t)i * MS));
    }
    stele_runtime_advance(world.runtime, 1000 * MS);
    for (size_t i = 0; i < BOXES; i++) {
        assert_true(stele__mailbox_is_idle(&world.boxes[i]));
        stele__mailbox_fini(&world.boxes[i]);
    }
    stele_runtime_free(world.runtime);
}

static void same_seed_same_trace(void **state)
{
    struct text *first = test_calloc(1, sizeof(*first));
    struct text *second = test_calloc(1, sizeof(*second));

    (void)state;
    for (uint64_t seed = 0; seed < 300; seed++) {
        first->size = second->size = 0;
        live(seed, first);
        live(seed, second);
        assert_true(first->size > 1000);
        assert_string_equal(first->bytes, second->bytes);
    }
    test_free(first);
    test_free(second);
}

static void another_seed_is_another_trace(void **state)
{
    struct text *first = test_calloc(1, sizeof(*first));
    struct text *second = test_calloc(1, sizeof(*second));

    (void)state;
    live(1, first);
    live(2, second);
    assert_string_not_equal(first->bytes, second->bytes);
    test_free(first);
    test_free(second);
}

/* --- Choices ------------------------------------------------------------------------------------- */

static char order[8];

static void note_name(struct stele__task *task)
{
    order[strlen(order)] = task->name[0];
}

static const char *run_three(uint64_t seed, int priority_of_third)
{
    stele_runtime *runtime = simulate(seed);
    struct stele__task tasks[3] = {{.name = "x", .priority = 7, .run = note_name},
                                   {.name = "y", .priority = 7, .run = note_name},
                                   {.name = "z", .priority = priority_of_third, .run = note_name}};

    memset(order, 0, sizeof(order));
    for (size_t i = 0; i < 3; i++)
        stele__runtime_post(runtime, &tasks[i]);
    assert_int_equal(stele_runtime_run_until_idle(runtime), 3);
    stele_runtime_free(runtime);
    return order;
}

static void seeds_reach_every_order_of_equal_tasks(void **state)
{
    static const char *const all[] = {"xyz", "xzy", "yxz", "yzx", "zxy", "zyx"};
    unsigned seen[6] = {0};

    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        const char *got = run_three(seed, 7);

        for (size_t i = 0; i < 6; i++)
            seen[i] += strcmp(got, all[i]) == 0;
    }
    for (size_t i = 0; i < 6; i++)
        assert_true(seen[i] > 10);
}

static void seeds_never_break_priorities(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        assert_int_equal(run_three(seed, 8)[2], 'z');
        assert_int_equal(run_three(seed, 6)[0], 'z');
    }
}

/* --- Time ---------------------------------------------------------------------------------------- */

struct poster {
    struct stele__timer timer;
    struct stele__task task;
};

static void post_task(struct stele__timer *timer)
{
    stele__runtime_post(timer->runtime, &((struct poster *)timer)->task);
}

static void do_nothing(struct stele__task *task)
{
    (void)task;
}

static void each_timer_is_followed_by_what_it_makes_ready(void **state)
{
    stele_runtime *runtime = simulate(5);
    struct text *trace = test_calloc(1, sizeof(*trace));
    struct poster posters[2] = {
        {{.name = "one", .fire = post_task}, {.name = "after one", .run = do_nothing}},
        {{.name = "two", .fire = post_task}, {.name = "after two", .run = do_nothing}},
    };

    (void)state;
    stele_runtime_set_trace(runtime, write_down, trace);
    for (size_t i = 0; i < 2; i++)
        assert_true(stele__timer_start(runtime, &posters[i].timer, 1500 * MS));
    assert_int_equal(stele_runtime_advance(runtime, 2000 * MS), 4);
    assert_string_equal(trace->bytes, "2026-01-01T00:00:01.500Z timer one\n"
                                      "2026-01-01T00:00:01.500Z task after one\n"
                                      "2026-01-01T00:00:01.500Z timer two\n"
                                      "2026-01-01T00:00:01.500Z task after two\n");
    stele_runtime_set_trace(runtime, NULL, NULL);
    assert_true(stele__timer_start(runtime, &posters[0].timer, 0));
    assert_int_equal(stele_runtime_run_until_idle(runtime), 2);
    assert_int_equal(strlen(trace->bytes), trace->size);
    test_free(trace);
    stele_runtime_free(runtime);
}

static void time_passes_only_when_it_is_let(void **state)
{
    stele_runtime *runtime = simulate(1);
    const struct stele_clock *clock = stele_runtime_clock(runtime);
    struct poster poster = {{.name = "timer", .fire = post_task}, {.name = "task", .run = do_nothing}};

    (void)state;
    assert_int_equal(clock->now(clock->context), STELE_SIMULATION_START);
    assert_true(stele__timer_start(runtime, &poster.timer, 10 * MS));
    assert_int_equal(stele_runtime_run_until_idle(runtime), 0);
    assert_int_equal(stele_runtime_advance(runtime, 0), 0);
    assert_int_equal(stele_runtime_advance(runtime, -5), 0);
    assert_int_equal(stele__runtime_now(runtime), STELE_SIMULATION_START);
    clock->pause(clock->context, 25 * MS);
    assert_int_equal(stele__runtime_now(runtime), STELE_SIMULATION_START + 25 * MS);
    assert_int_equal(stele_runtime_run_until_idle(runtime), 2);
    assert_int_equal(stele_runtime_advance(runtime, 5 * MS), 0);
    assert_int_equal(stele__runtime_now(runtime), STELE_SIMULATION_START + 30 * MS);
    stele_runtime_free(runtime);
}

static void random_numbers_come_from_the_seed(void **state)
{
    stele_runtime *first = simulate(9);
    stele_runtime *second = simulate(9);
    stele_runtime *third = simulate(10);

    (void)state;
    assert_int_equal(stele_runtime_seed(first), 9);
    assert_true(stele_runtime_is_simulated(first));
    for (int i = 0; i < 10; i++) {
        const uint64_t number = stele_runtime_random(first);

        assert_int_equal(stele_runtime_random(second), number);
        assert_int_not_equal(stele_runtime_random(third), number);
    }
    stele_runtime_free(first);
    stele_runtime_free(second);
    stele_runtime_free(third);
}

static void real_runtimes_do_not_advance(void **state)
{
    stele_runtime *runtime = NULL;
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele_runtime_new(0, NULL, &runtime, &error), error);
    assert_int_equal(stele_runtime_advance(runtime, MS), 0);
    assert_false(stele_runtime_is_simulated(runtime));
    assert_int_equal(stele_runtime_seed(runtime), 0);
    stele_runtime_free(runtime);
}

static stele_status make_and_free(void *context, stele_error **error)
{
    stele_runtime *runtime = NULL;
    const stele_status status = stele_runtime_simulated(1, &runtime, error);

    (void)context;
    stele_runtime_free(runtime);
    return status;
}

static void making_one_survives_failing_allocations(void **state)
{
    stele_error *error = NULL;

    (void)state;
    assert_true(support_every_allocation_fails(make_and_free, NULL) > 0);
    assert_status(STELE_INVALID, stele_runtime_simulated(1, NULL, &error), error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(same_seed_same_trace),
        support_test(another_seed_is_another_trace),
        support_test(seeds_reach_every_order_of_equal_tasks),
        support_test(seeds_never_break_priorities),
        support_test(each_timer_is_followed_by_what_it_makes_ready),
        support_test(time_passes_only_when_it_is_let),
        support_test(random_numbers_come_from_the_seed),
        support_test(real_runtimes_do_not_advance),
        support_test(making_one_survives_failing_allocations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
