/* Waiting: on worker threads, without them, in a simulation; inside callbacks and outside. */
#include "tests/support/support.h"

#include "runtime/runtime.h"

#include <sched.h>
#include <string.h>

#define MS INT64_C(1000000)

static stele_runtime *new_runtime(unsigned threads)
{
    stele_runtime *runtime = NULL;
    stele_error *error = NULL;

    assert_ok(stele_runtime_new(threads, NULL, &runtime, &error), error);
    return runtime;
}

static stele_runtime *simulate(void)
{
    stele_runtime *runtime = NULL;
    stele_error *error = NULL;

    assert_ok(stele_runtime_simulated(3, &runtime, &error), error);
    return runtime;
}

struct setter {
    struct stele__task task;
    struct stele__timer timer;
    struct stele__signal *signal;
};

static void set_by_task(struct stele__task *task)
{
    stele__signal_set(((struct setter *)task)->signal);
}

static void set_by_timer(struct stele__timer *timer)
{
    stele__signal_set(((struct setter *)((char *)timer - offsetof(struct setter, timer)))->signal);
}

static struct setter setter_of(struct stele__signal *signal)
{
    return (struct setter){{.name = "set", .run = set_by_task}, {.name = "set", .fire = set_by_timer}, signal};
}

/* --- On all three -------------------------------------------------------------------------------- */

static void assert_waits(stele_runtime *runtime)
{
    const int64_t now = stele__runtime_monotonic(runtime);
    struct stele__signal is_set = {0};
    struct stele__signal by_task = {0};
    struct stele__signal by_timer = {0};
    struct stele__signal by_nobody = {0};
    struct setter task = setter_of(&by_task);
    struct setter timer = setter_of(&by_timer);

    stele__signal_set(&is_set);
    assert_true(stele__runtime_wait(runtime, &is_set, INT64_MAX));
    assert_true(stele__runtime_wait(runtime, &is_set, 0));
    stele__runtime_post(runtime, &task.task);
    assert_true(stele__runtime_wait(runtime, &by_task, INT64_MAX));
    assert_true(stele__timer_start(runtime, &timer.timer, MS));
    assert_true(stele__runtime_wait(runtime, &by_timer, INT64_MAX));
    assert_false(stele__runtime_wait(runtime, &by_nobody, now));
    assert_false(stele__runtime_wait(runtime, &by_nobody, stele__runtime_monotonic(runtime) + MS));
    stele__signal_reset(&is_set);
    assert_false(stele__runtime_wait(runtime, &is_set, now));
    stele_runtime_free(runtime);
}

static void a_wait_ends_with_the_signal_or_the_deadline(void **state)
{
    (void)state;
    assert_waits(new_runtime(2));
    assert_waits(new_runtime(0));
    assert_waits(simulate());
}

/* Rooms: a mailbox whose callback posts to the next room and waits for its answer. */
enum { ROOMS = 20 };

struct room {
    struct stele__mailbox mailbox;
    struct stele__letter letter;
    struct stele__letter second; /* waits behind the first: must not be delivered inside it */
    struct room *next;
    struct stele__signal answer;
    bool inside;
    bool went_wrong;
    int visits;
};

static void visit(struct stele__mailbox *mailbox, struct stele__letter *letter)
{
    struct room *room = (struct room *)mailbox;

    room->went_wrong = room->went_wrong || room->inside || !stele__runtime_is_inside(mailbox->runtime);
    room->inside = true;
    room->visits++;
    if (letter == &room->letter && room->next) {
        stele__mailbox_send(&room->next->mailbox, &room->next->letter);
        stele__mailbox_send(&room->next->mailbox, &room->next->second);
        if (!stele__runtime_wait(mailbox->runtime, &room->next->answer, INT64_MAX))
            room->went_wrong = true;
    }
    room->inside = false;
    if (letter == &room->letter)
        stele__signal_set(&room->answer);
}

static void assert_nested_waits(stele_runtime *runtime)
{
    struct room rooms[ROOMS];

    memset(rooms, 0, sizeof(rooms));
    for (size_t i = 0; i < ROOMS; i++) {
        assert_true(stele__mailbox_init(&rooms[i].mailbox, runtime, "room", 0, 0, visit));
        rooms[i].next = i + 1 < ROOMS ? &rooms[i + 1] : NULL;
    }
    stele__mailbox_send(&rooms[0].mailbox, &rooms[0].letter);
    assert_true(stele__runtime_wait(runtime, &rooms[0].answer, INT64_MAX));
    stele_runtime_run_until_idle(runtime);
    assert_false(stele__runtime_is_inside(runtime));
    for (size_t i = 0; i < ROOMS; i++) {
        assert_int_equal(rooms[i].visits, i == 0 ? 1 : 2);
        assert_false(rooms[i].went_wrong);
        stele__mailbox_fini(&rooms[i].mailbox);
    }
    stele_runtime_free(runtime);
}

static void waits_inside_callbacks_run_others_but_never_the_same_mailbox(void **state)
{
    (void)state;
    assert_nested_waits(new_runtime(0));
    assert_nested_waits(simulate());
}

static void a_worker_that_waits_is_replaced(void **state)
{
    (void)state;
    assert_nested_waits(new_runtime(1));
    assert_nested_waits(new_runtime(3));
}

/* Burrows: a task whose callback posts the next one and waits for it, as deep as it goes. */
enum { BURROWS = 400 };

struct burrow {
    struct stele__task task;
    stele_runtime *runtime;
    struct burrow *next;
    struct stele__signal done;
    int64_t deadline;
    bool has_waited; /* until the next one was done */
};

static void dig(struct stele__task *task)
{
    struct burrow *burrow = (struct burrow *)task;

    if (burrow->next) {
        stele__runtime_post(burrow->runtime, &burrow->next->task);
        burrow->has_waited = stele__runtime_wait(burrow->runtime, &burrow->next->done, burrow->deadline);
    }
    stele__signal_set(&burrow->done);
}

static void assert_waits_nest_so_deep(stele_runtime *runtime, int64_t patience)
{
    struct burrow *burrows = test_calloc(BURROWS, sizeof(*burrows));

    for (size_t i = 0; i < BURROWS; i++) {
        burrows[i].task = (struct stele__task){.name = "burrow", .run = dig};
        burrows[i].runtime = runtime;
        burrows[i].next = i + 1 < BURROWS ? &burrows[i + 1] : NULL;
        burrows[i].deadline = i < 255 ? INT64_MAX : stele__runtime_monotonic(runtime) + patience;
    }
    stele__runtime_post(runtime, &burrows[0].task);
    stele_runtime_run_until_idle(runtime);
    for (size_t i = 0; i < BURROWS; i++)
        assert_true(stele__signal_is_set(&burrows[i].done));
    assert_true(burrows[254].has_waited);
    assert_false(burrows[255].has_waited); /* in the 256th callback, nothing else is run */
    test_free(burrows);
    stele_runtime_free(runtime);
}

static void waits_within_waits_have_a_limit(void **state)
{
    (void)state;
    assert_waits_nest_so_deep(new_runtime(0), MS);
    assert_waits_nest_so_deep(simulate(), MS);
}

/* --- In a simulation ----------------------------------------------------------------------------- */

static void a_wait_for_what_never_comes_ends_at_once(void **state)
{
    stele_runtime *runtime = simulate();
    struct stele__signal never = {0};

    (void)state;
    assert_false(stele__runtime_wait(runtime, &never, INT64_MAX));
    assert_int_equal(stele__runtime_now(runtime), STELE_SIMULATION_START);
    assert_false(stele__runtime_wait(runtime, &never, STELE_SIMULATION_START + 5 * MS));
    assert_int_equal(stele__runtime_now(runtime), STELE_SIMULATION_START + 5 * MS);
    stele_runtime_free(runtime);
}

static void a_simulated_wait_lets_time_pass_no_further_than_needed(void **state)
{
    stele_runtime *runtime = simulate();
    struct stele__signal first = {0};
    struct stele__signal second = {0};
    struct setter setters[2] = {setter_of(&first), setter_of(&second)};

    (void)state;
    assert_true(stele__timer_start(runtime, &setters[0].timer, 10 * MS));
    assert_true(stele__timer_start(runtime, &setters[1].timer, 20 * MS));
    assert_true(stele__runtime_wait(runtime, &first, INT64_MAX));
    assert_int_equal(stele__runtime_now(runtime), STELE_SIMULATION_START + 10 * MS);
    assert_false(stele__runtime_wait(runtime, &second, STELE_SIMULATION_START + 19 * MS));
    assert_int_equal(stele__runtime_now(runtime), STELE_SIMULATION_START + 19 * MS);
    assert_true(stele__runtime_wait(runtime, &second, STELE_SIMULATION_START + 20 * MS));
    assert_int_equal(stele__runtime_now(runtime), STELE_SIMULATION_START + 20 * MS);
    stele_runtime_free(runtime);
}

/* --- Without workers, with other threads --------------------------------------------------------- */

struct other {
    stele_runtime *runtime;
    struct setter setter;
    atomic_bool go;
};

static void *post_from_outside(void *context)
{
    struct other *other = context;

    while (!atomic_load(&other->go))
        sched_yield();
    stele__runtime_post(other->runtime, &other->setter.task);
    return NULL;
}

static void *set_from_outside(void *context)
{
    struct other *other = context;

    while (!atomic_load(&other->go))
        sched_yield();
    stele__signal_set(other->setter.signal);
    return NULL;
}

static void a_wait_without_workers_sees_what_other_threads_do(void **state)
{
    enum { ROUNDS = 300 };
    stele_runtime *runtime = new_runtime(0);

    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        struct stele__signal signal = {0};
        struct other other = {.runtime = runtime, .setter = setter_of(&signal)};
        pthread_t thread;

        atomic_init(&other.go, false);
        assert_int_equal(pthread_create(&thread, NULL, i % 2 ? post_from_outside : set_from_outside, &other), 0);
        atomic_store(&other.go, true);
        assert_true(stele__runtime_wait(runtime, &signal, INT64_MAX));
        pthread_join(thread, NULL);
    }
    stele_runtime_free(runtime);
}

static void *wait_outside(void *context)
{
    struct other *other = context;

    stele__runtime_wait(other->runtime, other->setter.signal, INT64_MAX);
    return NULL;
}

/* One is woken for the task, and may leave because of its signal: the other one must run the task then. */
static void a_waiter_that_leaves_passes_on_what_it_was_woken_for(void **state)
{
    enum { ROUNDS = 1000 };
    stele_runtime *runtime = new_runtime(0);

    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        struct stele__signal signals[2] = {{{0}}, {{0}}};
        struct other others[2] = {{.runtime = runtime, .setter = setter_of(&signals[0])},
                                  {.runtime = runtime, .setter = setter_of(&signals[1])}};
        pthread_t threads[2];

        for (size_t j = 0; j < 2; j++)
            assert_int_equal(pthread_create(&threads[j], NULL, wait_outside, &others[j]), 0);
        if (i % 2)
            sched_yield();
        stele__runtime_post(runtime, &others[0].setter.task);
        stele__signal_set(&signals[1]);
        for (size_t j = 0; j < 2; j++)
            pthread_join(threads[j], NULL);
    }
    stele_runtime_free(runtime);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(a_wait_ends_with_the_signal_or_the_deadline),
        support_test(waits_inside_callbacks_run_others_but_never_the_same_mailbox),
        support_test(a_worker_that_waits_is_replaced),
        support_test(waits_within_waits_have_a_limit),
        support_test(a_wait_for_what_never_comes_ends_at_once),
        support_test(a_simulated_wait_lets_time_pass_no_further_than_needed),
        support_test(a_wait_without_workers_sees_what_other_threads_do),
        support_test(a_waiter_that_leaves_passes_on_what_it_was_woken_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
