/* Callbacks of a simulation that wait: each on a stack of its own, one thread at a time, in an order from the seed. */
#include "tests/support/support.h"

#include "runtime/thread.h"

#include <stele/log.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int threads_left = -1; /* that may be started; below 0: any number */

static int start_thread(pthread_t *thread, void *(*run)(void *), void *context)
{
    if (threads_left == 0)
        return EAGAIN;
    if (threads_left > 0)
        threads_left--;
    return stele__thread_start(thread, run, context);
}

#define stele__thread_start start_thread
#include "lib/runtime/carrier.c"
#undef stele__thread_start

#define MS INT64_C(1000000)
enum { SEEDS = 300, TEXT_MAX = 65536 };

struct text {
    char bytes[TEXT_MAX];
    size_t size;
};

static struct text the_text;

static void write_down(void *context, const char *line)
{
    const size_t size = strlen(line);

    (void)context;
    assert_true(the_text.size + size + 1 < TEXT_MAX);
    memcpy(the_text.bytes + the_text.size, line, size);
    the_text.bytes[the_text.size + size] = '\n';
    the_text.size += size + 1;
    the_text.bytes[the_text.size] = '\0';
}

static void clear_text(void)
{
    the_text.size = 0;
    the_text.bytes[0] = '\0';
}

static stele_runtime *simulate(uint64_t seed)
{
    stele_runtime *runtime = NULL;
    stele_error *error = NULL;

    clear_text();
    assert_ok(stele_runtime_simulated(seed, &runtime, &error), error);
    return runtime;
}

/* Time since the beginning, in milliseconds. */
static int elapsed(const stele_runtime *runtime)
{
    return (int)((stele__runtime_now(runtime) - STELE_SIMULATION_START) / MS);
}

/* --- Sleepers: tasks that wait for a signal, and write down how that ended -------------------------- */

struct sleeper {
    struct stele__task task;
    stele_runtime *runtime;
    struct stele__signal signal;
    int64_t deadline;
    int waits; /* one after the other */
    bool was_inside;
    struct sleeper *wakes; /* afterwards */
};

static void sleep_and_tell(struct stele__task *task)
{
    struct sleeper *sleeper = (struct sleeper *)task;
    char line[64];

    for (; sleeper->waits > 0; sleeper->waits--) {
        const bool is_set = stele__runtime_wait(sleeper->runtime, &sleeper->signal, sleeper->deadline);

        snprintf(line, sizeof(line), "%s %d %s", task->name, elapsed(sleeper->runtime), is_set ? "set" : "late");
        write_down(NULL, line);
    }
    sleeper->was_inside = stele__runtime_is_inside(sleeper->runtime);
    if (sleeper->wakes)
        stele__signal_set(&sleeper->wakes->signal);
}

/* Posted; `ms` below 0: without a deadline. */
static void put_to_sleep(struct sleeper *sleeper, stele_runtime *runtime, const char *name, int priority, int ms)
{
    memset(sleeper, 0, sizeof(*sleeper));
    sleeper->task = (struct stele__task){.name = name, .priority = priority, .run = sleep_and_tell};
    sleeper->runtime = runtime;
    sleeper->deadline = ms < 0 ? INT64_MAX : stele__runtime_monotonic(runtime) + ms * MS;
    sleeper->waits = 1;
    stele__runtime_post(runtime, &sleeper->task);
}

struct alarm {
    struct stele__timer timer;
    struct stele__signal *signal;
};

static void sound(struct stele__timer *timer)
{
    stele__signal_set(((struct alarm *)timer)->signal);
}

static void set_alarm(struct alarm *alarm, stele_runtime *runtime, struct stele__signal *signal, int ms)
{
    *alarm = (struct alarm){{.name = "alarm", .fire = sound}, signal};
    assert_true(stele__timer_start(runtime, &alarm->timer, ms * MS));
}

/* --- Two that wait for each other ----------------------------------------------------------------- */

struct pipe {
    stele_runtime *runtime;
    size_t capacity;
    size_t count;
    struct stele__signal *waiter; /* of either side: the other one is not waiting then */
};

struct end {
    struct stele__task task;
    struct pipe *pipe;
    bool is_sender;
    int moved;
    bool went_wrong;
};

static void move_many(struct stele__task *task)
{
    enum { MOVES = 100 };
    struct end *end = (struct end *)task;
    struct pipe *pipe = end->pipe;

    while (end->moved < MOVES && !end->went_wrong) {
        struct stele__signal signal = {{0}};

        if (pipe->count == (end->is_sender ? pipe->capacity : 0)) {
            end->went_wrong = pipe->waiter;
            pipe->waiter = &signal;
            if (!stele__runtime_wait(pipe->runtime, &signal, INT64_MAX))
                end->went_wrong = true;
        }
        pipe->count += end->is_sender ? 1 : (size_t)-1;
        end->moved++;
        if (pipe->waiter)
            stele__signal_set(pipe->waiter);
        pipe->waiter = NULL;
    }
}

static void assert_all_pass(uint64_t seed, size_t capacity)
{
    stele_runtime *runtime = simulate(seed);
    struct pipe pipe = {.runtime = runtime, .capacity = capacity};
    struct end sender = {{.name = "sender", .run = move_many}, &pipe, true, 0, false};
    struct end receiver = {{.name = "receiver", .run = move_many}, &pipe, false, 0, false};

    stele__runtime_post(runtime, &sender.task);
    stele__runtime_post(runtime, &receiver.task);
    assert_int_equal(stele_runtime_run_until_idle(runtime), 2);
    assert_int_equal(sender.moved, 100);
    assert_int_equal(receiver.moved, 100);
    assert_false(sender.went_wrong || receiver.went_wrong);
    assert_int_equal(elapsed(runtime), 0);
    stele_runtime_free(runtime);
}

static void two_callbacks_wait_for_each_other_back_and_forth(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        assert_all_pass(seed, 1);
        assert_all_pass(seed, 4);
    }
}

/* --- One seed, one run ------------------------------------------------------------------------------ */

enum { FOLK = 12 };

struct folk {
    struct stele__task task;
    stele_runtime *runtime;
    struct folk *all;
    struct stele__signal signal;
    bool is_waiting;
};

/* Now and then wake somebody, now and then wait for it, for a random time. */
static void live(struct stele__task *task)
{
    struct folk *one = (struct folk *)task;
    char line[64];

    for (int i = 0; i < 8; i++) {
        struct folk *other = &one->all[stele_runtime_random(one->runtime) % FOLK];
        const int64_t patience = (int64_t)(stele_runtime_random(one->runtime) % 5) * MS;
        bool is_set;

        if (other->is_waiting)
            stele__signal_set(&other->signal);
        stele__signal_reset(&one->signal);
        one->is_waiting = true;
        is_set = stele__runtime_wait(one->runtime, &one->signal, stele__runtime_monotonic(one->runtime) + patience);
        one->is_waiting = false;
        snprintf(line, sizeof(line), "%s %d %d", task->name, elapsed(one->runtime), is_set);
        write_down(NULL, line);
    }
}

static void run_village(uint64_t seed)
{
    static const char *const names[FOLK] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"};
    struct folk all[FOLK];
    stele_runtime *runtime = simulate(seed);

    stele_runtime_set_trace(runtime, write_down, NULL);
    memset(all, 0, sizeof(all));
    for (size_t i = 0; i < FOLK; i++) {
        all[i].task = (struct stele__task){.name = names[i], .run = live};
        all[i].runtime = runtime;
        all[i].all = all;
        stele__runtime_post(runtime, &all[i].task);
    }
    assert_int_equal(stele_runtime_run_until_idle(runtime), FOLK);
    stele_runtime_free(runtime);
}

static void same_seed_same_trace_with_waits_inside_callbacks(void **state)
{
    struct text *first = test_malloc(sizeof(*first));

    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        run_village(seed);
        *first = the_text;
        run_village(seed);
        assert_true(first->size > FOLK * 8 * 6);
        assert_string_equal(first->bytes, the_text.bytes);
    }
    run_village(SEEDS);
    assert_string_not_equal(first->bytes, the_text.bytes);
    test_free(first);
}

/* The one that was woken goes on before or after a task that is ready: both happen. */
static void the_seed_chooses_between_the_woken_and_the_ready(void **state)
{
    unsigned woken_first = 0;

    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        stele_runtime *runtime = simulate(seed);
        struct sleeper woken, waker, ready;

        put_to_sleep(&woken, runtime, "woken", 1, -1);
        put_to_sleep(&waker, runtime, "waker", 2, -1);
        put_to_sleep(&ready, runtime, "ready", 3, 0);
        waker.waits = 0;
        waker.wakes = &woken;
        assert_int_equal(stele_runtime_run_until_idle(runtime), 3);
        woken_first += strcmp(the_text.bytes, "woken 0 set\nready 0 late\n") == 0;
        if (the_text.bytes[0] == 'r')
            assert_string_equal(the_text.bytes, "ready 0 late\nwoken 0 set\n");
        stele_runtime_free(runtime);
    }
    assert_in_range(woken_first, SEEDS / 3, SEEDS * 2 / 3);
}

/* --- Time ------------------------------------------------------------------------------------------ */

static void deadlines_in_callbacks_come_in_the_order_of_time(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        stele_runtime *runtime = simulate(seed);
        struct sleeper sleepers[5];
        struct alarm alarms[2];

        put_to_sleep(&sleepers[0], runtime, "thirty", 1, 30);
        put_to_sleep(&sleepers[1], runtime, "ten", 2, 10);
        put_to_sleep(&sleepers[2], runtime, "twenty", 3, 20);
        put_to_sleep(&sleepers[3], runtime, "ten too", 4, 10);
        put_to_sleep(&sleepers[4], runtime, "woken", 5, 20);
        set_alarm(&alarms[0], runtime, &sleepers[4].signal, 15);
        set_alarm(&alarms[1], runtime, &sleepers[2].signal, 20); /* just in time */
        assert_int_equal(stele_runtime_run_until_idle(runtime), 7);
        assert_string_equal(the_text.bytes, "ten 10 late\n"
                                            "ten too 10 late\n"
                                            "woken 15 set\n"
                                            "twenty 20 set\n"
                                            "thirty 30 late\n");
        for (size_t i = 0; i < 5; i++)
            assert_true(sleepers[i].was_inside);
        assert_false(stele__runtime_is_inside(runtime));
        stele_runtime_free(runtime);
    }
}

static void take_long(struct stele__task *task)
{
    const stele_runtime *runtime = ((struct sleeper *)task)->runtime;
    const struct stele_clock *clock = stele_runtime_clock(runtime);

    clock->pause(clock->context, 25 * MS);
}

/* A callback takes 25 ms: what is overdue then comes before what is ready, by time. */
static void overdue_deadlines_come_first_and_in_order(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        stele_runtime *runtime = simulate(seed);
        struct sleeper late[2], slow, timed, ready;
        struct alarm alarm;

        put_to_sleep(&late[0], runtime, "twenty", 1, 20);
        put_to_sleep(&late[1], runtime, "five", 2, 5);
        put_to_sleep(&timed, runtime, "timed", 3, 10);
        put_to_sleep(&slow, runtime, "slow", 4, 0);
        put_to_sleep(&ready, runtime, "ready", 5, 0);
        slow.task.run = take_long;
        set_alarm(&alarm, runtime, &timed.signal, 10);
        stele_runtime_run(runtime, 0);
        assert_string_equal(the_text.bytes, "five 25 late\n"
                                            "timed 25 set\n"
                                            "twenty 25 late\n"
                                            "ready 25 late\n");
        stele_runtime_free(runtime);
    }
}

static void take_long_and_wake(struct stele__task *task)
{
    take_long(task);
    stele__signal_set(&((struct sleeper *)task)->wakes->signal);
}

static void overdue_timers_come_before_those_that_were_woken(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        stele_runtime *runtime = simulate(seed);
        struct stele__signal nobodys = {{0}};
        struct sleeper woken, slow;
        struct alarm alarm;

        stele_runtime_set_trace(runtime, write_down, NULL);
        put_to_sleep(&woken, runtime, "woken", 1, -1);
        put_to_sleep(&slow, runtime, "slow", 2, 0);
        slow.task.run = take_long_and_wake;
        slow.wakes = &woken;
        set_alarm(&alarm, runtime, &nobodys, 10);
        assert_int_equal(stele_runtime_run(runtime, 0), 3);
        assert_string_equal(the_text.bytes, "2026-01-01T00:00:00Z task woken\n"
                                            "2026-01-01T00:00:00Z task slow\n"
                                            "2026-01-01T00:00:00.025Z timer alarm\n"
                                            "woken 25 set\n");
        stele_runtime_free(runtime);
    }
}

static void advancing_goes_no_further_and_leaves_callbacks_waiting(void **state)
{
    stele_runtime *runtime = simulate(1);
    struct sleeper sleepers[2];

    (void)state;
    put_to_sleep(&sleepers[0], runtime, "ten", 1, 10);
    put_to_sleep(&sleepers[1], runtime, "never", 2, -1);
    assert_int_equal(stele_runtime_run(runtime, 1), 1);
    assert_int_equal(stele_runtime_run(runtime, 0), 1);
    assert_int_equal(stele_runtime_advance(runtime, 9 * MS), 0);
    assert_int_equal(elapsed(runtime), 9);
    assert_string_equal(the_text.bytes, "");
    assert_false(stele__runtime_is_inside(runtime));
    assert_int_equal(stele_runtime_advance(runtime, 91 * MS), 0);
    assert_int_equal(elapsed(runtime), 100);
    assert_string_equal(the_text.bytes, "ten 10 late\n");
    stele__signal_set(&sleepers[1].signal);
    assert_int_equal(stele_runtime_run(runtime, 0), 0);
    assert_string_equal(the_text.bytes, "ten 10 late\nnever 100 set\n");
    stele_runtime_free(runtime);
}

/* Whatever else waits in callbacks, the caller's own wait ends with its signal. */
static void a_wait_outside_is_not_held_up_by_waits_inside(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        stele_runtime *runtime = simulate(seed);
        struct stele__signal signal = {{0}};
        struct sleeper sleepers[2];
        struct alarm alarm;

        put_to_sleep(&sleepers[0], runtime, "long", 1, 30000);
        put_to_sleep(&sleepers[1], runtime, "never", 1, -1);
        set_alarm(&alarm, runtime, &signal, 5);
        assert_true(stele__runtime_wait(runtime, &signal, INT64_MAX));
        assert_int_equal(elapsed(runtime), 5);
        stele__signal_reset(&signal);
        assert_false(stele__runtime_wait(runtime, &signal, STELE_SIMULATION_START + 7 * MS));
        assert_int_equal(elapsed(runtime), 7);
        assert_string_equal(the_text.bytes, "");
        stele_runtime_free(runtime);
    }
}

/* --- What never happens ------------------------------------------------------------------------------ */

static void post_three(struct sleeper sleepers[3], stele_runtime *runtime)
{
    put_to_sleep(&sleepers[0], runtime, "first", 1, -1);
    put_to_sleep(&sleepers[1], runtime, "second", 2, 10);
    put_to_sleep(&sleepers[2], runtime, "third", 3, -1);
}

static void waits_for_what_never_comes_end_with_the_newest(void **state)
{
    stele_runtime *runtime = simulate(1);
    struct sleeper sleepers[3];

    (void)state;
    post_three(sleepers, runtime);
    assert_int_equal(stele_runtime_run_until_idle(runtime), 3);
    assert_string_equal(the_text.bytes, "second 10 late\nthird 10 late\nfirst 10 late\n");
    clear_text();
    post_three(sleepers, runtime);
    sleepers[2].wakes = &sleepers[0];
    stele_runtime_run_until_idle(runtime);
    assert_string_equal(the_text.bytes, "second 20 late\nthird 20 late\nfirst 20 set\n");
    stele_runtime_free(runtime);
}

static void a_wait_outside_for_what_never_comes_gives_up_those_inside_first(void **state)
{
    stele_runtime *runtime = simulate(1);
    struct stele__signal never = {{0}};
    struct sleeper sleepers[3];

    (void)state;
    post_three(sleepers, runtime);
    assert_false(stele__runtime_wait(runtime, &never, INT64_MAX));
    assert_string_equal(the_text.bytes, "second 10 late\nthird 10 late\nfirst 10 late\n");
    stele_runtime_free(runtime);
}

/* --- Stopping ---------------------------------------------------------------------------------------- */

static void stopping_ends_waits_in_callbacks_oldest_first(void **state)
{
    stele_runtime *runtime = simulate(1);
    stele_error *error = NULL;
    struct sleeper sleepers[3];

    (void)state;
    post_three(sleepers, runtime);
    sleepers[0].waits = 2;
    stele_runtime_run(runtime, 0);
    assert_ok(stele_runtime_stop(runtime, 60000, &error), error);
    assert_string_equal(the_text.bytes, "first 0 late\nsecond 0 late\nthird 0 late\nfirst 0 late\n");
    assert_ok(stele_runtime_stop(runtime, 0, &error), error);
    stele_runtime_free(runtime);
}

static void freeing_ends_waits_in_callbacks_too(void **state)
{
    stele_runtime *runtime = simulate(1);
    struct sleeper sleepers[3];

    (void)state;
    post_three(sleepers, runtime);
    stele_runtime_run(runtime, 0);
    stele_runtime_free(runtime);
    assert_string_equal(the_text.bytes, "first 0 late\nsecond 0 late\nthird 0 late\n");
}

static void stopping_without_time_leaves_callbacks_for_the_next_stop(void **state)
{
    stele_runtime *runtime = simulate(1);
    stele_error *error = NULL;
    struct sleeper sleepers[3];

    (void)state;
    post_three(sleepers, runtime);
    stele_runtime_run(runtime, 2);
    assert_status(STELE_TIMEOUT, stele_runtime_stop(runtime, 0, &error), error);
    assert_string_equal(the_text.bytes, "");
    assert_ok(stele_runtime_stop(runtime, 60000, &error), error);
    assert_string_equal(the_text.bytes, "first 0 late\nsecond 0 late\n");
    stele_runtime_free(runtime);
}

/* --- No more threads ----------------------------------------------------------------------------------- */

static int logged;

static void count_log(void *context, const struct stele_log_record *record)
{
    (void)context;
    (void)record;
    logged++;
}

static void limit_threads(int count)
{
    logged = 0;
    threads_left = count;
    stele_log_use(count_log, NULL, STELE_LOG_WARNING);
}

static void unlimit_threads(void)
{
    threads_left = -1;
    stele_log_use(NULL, NULL, STELE_LOG_TRACE);
}

static void without_a_second_thread_a_wait_inside_fails(void **state)
{
    stele_runtime *runtime = simulate(1);
    struct sleeper sleepers[2];

    (void)state;
    limit_threads(1);
    put_to_sleep(&sleepers[0], runtime, "one", 1, 10);
    put_to_sleep(&sleepers[1], runtime, "two", 2, 10);
    assert_int_equal(stele_runtime_run_until_idle(runtime), 2);
    assert_string_equal(the_text.bytes, "one 0 late\ntwo 0 late\n");
    assert_int_equal(logged, 2);
    unlimit_threads();
    put_to_sleep(&sleepers[0], runtime, "three", 1, 10);
    stele_runtime_run_until_idle(runtime);
    assert_string_equal(the_text.bytes, "one 0 late\ntwo 0 late\nthree 10 late\n");
    stele_runtime_free(runtime);
}

static void without_any_thread_waits_run_what_is_ready_in_the_callers(void **state)
{
    stele_runtime *runtime = simulate(1);
    struct sleeper sleepers[3];

    (void)state;
    limit_threads(0);
    put_to_sleep(&sleepers[0], runtime, "one", 1, 10);
    put_to_sleep(&sleepers[1], runtime, "two", 2, -1);
    put_to_sleep(&sleepers[2], runtime, "three", 3, 5);
    sleepers[2].wakes = &sleepers[1];
    assert_true(stele_runtime_run_until_idle(runtime) > 0);
    assert_string_equal(the_text.bytes, "three 5 late\ntwo 5 set\none 10 late\n");
    assert_int_equal(logged, 1);
    unlimit_threads();
    stele_runtime_free(runtime);
}

/* One more than there are threads. */
static void as_many_callbacks_wait_as_there_are_threads(void **state)
{
    stele_runtime *runtime = simulate(1);
    struct sleeper *sleepers = test_malloc((STELE__DEPTH + 1) * sizeof(*sleepers));

    (void)state;
    limit_threads(-1);
    for (int i = 0; i < STELE__DEPTH + 1; i++)
        put_to_sleep(&sleepers[i], runtime, "sleeper", i, -1);
    stele_runtime_run(runtime, 0);
    /* The last two find no other thread; that one then goes on with the rest. */
    assert_string_equal(the_text.bytes, "sleeper 0 late\nsleeper 0 late\n");
    assert_int_equal(logged, 2);
    for (int i = 0; i < STELE__DEPTH - 1; i++)
        stele__signal_set(&sleepers[i].signal);
    clear_text();
    stele_runtime_run(runtime, 0);
    assert_int_equal(the_text.size, (STELE__DEPTH - 1) * strlen("sleeper 0 set\n"));
    unlimit_threads();
    test_free(sleepers);
    stele_runtime_free(runtime);
}

/* --- Calls from callbacks -------------------------------------------------------------------------------- */

struct driver {
    struct stele__task task;
    stele_runtime *runtime;
    size_t steps;
};

static void drive_inside(struct stele__task *task)
{
    struct driver *driver = (struct driver *)task;

    driver->steps = stele_runtime_advance(driver->runtime, 20 * MS);
}

/* It does not go on with those that wait; they are late when it is over. */
static void a_callback_that_lets_time_pass_runs_what_begins_only(void **state)
{
    stele_runtime *runtime = simulate(1);
    struct driver driver = {{.name = "driver", .priority = 2, .run = drive_inside}, runtime, 0};
    struct stele__signal nobodys = {{0}};
    struct sleeper sleeper;
    struct alarm alarm;

    (void)state;
    put_to_sleep(&sleeper, runtime, "sleeper", 1, 10);
    set_alarm(&alarm, runtime, &nobodys, 15);
    stele__runtime_post(runtime, &driver.task);
    assert_int_equal(stele_runtime_run_until_idle(runtime), 2);
    assert_int_equal(driver.steps, 1);
    assert_string_equal(the_text.bytes, "sleeper 20 late\n");
    stele_runtime_free(runtime);
}

struct caller {
    struct stele__task task;
    stele_runtime *own;
    stele_runtime *other;
    struct caller *callee;
    struct stele__signal done;
    bool was_answered;
};

static void call_over(struct stele__task *task)
{
    struct caller *caller = (struct caller *)task;

    if (caller->callee) {
        stele__runtime_post(caller->other, &caller->callee->task);
        caller->was_answered = stele__runtime_wait(caller->other, &caller->callee->done, INT64_MAX);
    }
    stele__signal_set(&caller->done);
}

static void two_simulations_call_each_other(void **state)
{
    stele_runtime *left = simulate(1);
    stele_runtime *right = simulate(2);
    struct caller last = {{.name = "last", .run = call_over}, left, right, NULL, {{0}}, false};
    struct caller second = {{.name = "second", .run = call_over}, right, left, &last, {{0}}, false};
    struct caller first = {{.name = "first", .run = call_over}, left, right, &second, {{0}}, false};

    (void)state;
    stele__runtime_post(left, &first.task);
    assert_int_equal(stele_runtime_run_until_idle(left), 1);
    assert_true(first.was_answered);
    assert_true(second.was_answered);
    stele_runtime_free(left);
    stele_runtime_free(right);
}

/* --- Memory ------------------------------------------------------------------------------------------------ */

static stele_status sleep_a_while(void *context, stele_error **error)
{
    stele_runtime *runtime = NULL;
    struct sleeper sleepers[3];
    const stele_status status = stele_runtime_simulated(1, &runtime, error);

    (void)context;
    if (status != STELE_OK)
        return status;
    clear_text();
    post_three(sleepers, runtime);
    stele_runtime_run_until_idle(runtime);
    stele_runtime_free(runtime);
    return strcmp(the_text.bytes, "second 10 late\nthird 10 late\nfirst 10 late\n") == 0 ? STELE_OK : STELE_FAILED;
}

static void waits_in_callbacks_need_no_memory(void **state)
{
    (void)state;
    assert_int_equal(support_every_allocation_fails(sleep_a_while, NULL), 2); /* the runtime, and its threads' places */
}

static void take_letter(struct stele__mailbox *mailbox, struct stele__letter *letter)
{
    (void)mailbox;
    (void)letter;
}

/* Nothing is run, whatever the seed chooses. */
static void who_is_woken_goes_on_though_only_empty_mailboxes_are_ready(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        stele_runtime *runtime = simulate(seed);
        struct stele__mailbox mailboxes[4];
        struct stele__letter letters[4];
        struct sleeper sleeper;

        put_to_sleep(&sleeper, runtime, "sleeper", STELE__PRIORITY_DEFAULT, 1000);
        assert_true(stele__signal_init(&sleeper.signal));
        stele_runtime_run(runtime, 0);
        for (size_t i = 0; i < 4; i++) {
            assert_true(stele__mailbox_init(&mailboxes[i], runtime, "empty", STELE__PRIORITY_DEFAULT, 0, take_letter));
            stele__mailbox_send(&mailboxes[i], &letters[i]);
            stele__mailbox_close(&mailboxes[i]);
        }
        stele__signal_set(&sleeper.signal);
        stele_runtime_run(runtime, 0);
        assert_string_equal(the_text.bytes, "sleeper 0 set\n");
        stele__signal_fini(&sleeper.signal);
        for (size_t i = 0; i < 4; i++)
            stele__mailbox_fini(&mailboxes[i]);
        stele_runtime_free(runtime);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(two_callbacks_wait_for_each_other_back_and_forth),
        support_test(same_seed_same_trace_with_waits_inside_callbacks),
        support_test(the_seed_chooses_between_the_woken_and_the_ready),
        support_test(deadlines_in_callbacks_come_in_the_order_of_time),
        support_test(overdue_deadlines_come_first_and_in_order),
        support_test(overdue_timers_come_before_those_that_were_woken),
        support_test(advancing_goes_no_further_and_leaves_callbacks_waiting),
        support_test(a_wait_outside_is_not_held_up_by_waits_inside),
        support_test(waits_for_what_never_comes_end_with_the_newest),
        support_test(a_wait_outside_for_what_never_comes_gives_up_those_inside_first),
        support_test(stopping_ends_waits_in_callbacks_oldest_first),
        support_test(freeing_ends_waits_in_callbacks_too),
        support_test(stopping_without_time_leaves_callbacks_for_the_next_stop),
        support_test(without_a_second_thread_a_wait_inside_fails),
        support_test(without_any_thread_waits_run_what_is_ready_in_the_callers),
        support_test(as_many_callbacks_wait_as_there_are_threads),
        support_test(a_callback_that_lets_time_pass_runs_what_begins_only),
        support_test(two_simulations_call_each_other),
        support_test(waits_in_callbacks_need_no_memory),
        support_test(who_is_woken_goes_on_though_only_empty_mailboxes_are_ready),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
