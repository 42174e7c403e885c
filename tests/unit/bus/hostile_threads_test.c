/*
 * Sixteen threads at once against what must stay exact: the one trial of a
 * breaker, a burst, a limit of calls, the results of a memo, what was cancelled
 * or removed meanwhile. For ThreadSanitizer as well.
 */
#include "tests/unit/bus/fixture.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { THREADS = 16, ROUNDS = 60 };

/* --- All at once ------------------------------------------------------------------------------------ */

struct starters {
    pthread_barrier_t barrier;
    void (*run)(unsigned thread);
};

struct starter {
    struct starters *all;
    unsigned thread;
};

static void *start(void *context)
{
    const struct starter *starter = context;

    pthread_barrier_wait(&starter->all->barrier);
    starter->all->run(starter->thread);
    return NULL;
}

static void run_together(void (*run)(unsigned thread))
{
    struct starters all = {.run = run};
    struct starter starters[THREADS];
    pthread_t threads[THREADS];

    assert_int_equal(pthread_barrier_init(&all.barrier, NULL, THREADS), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        starters[i] = (struct starter){&all, i};
        assert_int_equal(pthread_create(&threads[i], NULL, start, &starters[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&all.barrier);
}

/* --- A clock that the test moves ----------------------------------------------------------------------- */

static _Atomic int64_t elapsed;

static int64_t read_wall(void *context)
{
    (void)context;
    return INT64_C(1767225600000000000) + atomic_load(&elapsed);
}

static int64_t read_elapsed(void *context)
{
    (void)context;
    return atomic_load(&elapsed);
}

static void pass(void *context, int64_t nanoseconds)
{
    (void)context;
    atomic_fetch_add(&elapsed, nanoseconds);
}

static const struct stele_clock moved = {.now = read_wall, .monotonic = read_elapsed, .pause = pass};

static int begin(void **state)
{
    struct stele_runtime_options options = STELE_OPTIONS_INIT(struct stele_runtime_options);
    stele_error *error = NULL;

    assert_int_equal(support_setup(state), 0);
    atomic_store(&elapsed, 1000 * MS);
    options.clock = &moved;
    assert_ok(stele_runtime_new(2, &options, &fixture_runtime, &error), error);
    assert_ok(stele_bus_new(fixture_runtime, NULL, &fixture_bus, &error), error);
    return 0;
}

#define crowd_test(name) cmocka_unit_test_setup_teardown(name, begin, fixture_teardown)

/* --- What they do ------------------------------------------------------------------------------------------ */

static stele_message *event;
static atomic_uint calls, running, most, overloads, successes;
static _Atomic stele_status answer;

static stele_status answer_now(void *resource, const stele_message *message, stele_context *context)
{
    const unsigned now = atomic_fetch_add(&running, 1) + 1;
    unsigned known = atomic_load(&most);

    (void)resource;
    (void)message;
    (void)context;
    while (now > known && !atomic_compare_exchange_weak(&most, &known, now))
        continue;
    atomic_fetch_add(&calls, 1);
    sched_yield();
    atomic_fetch_sub(&running, 1);
    return atomic_load(&answer);
}

static void clear(stele_status next)
{
    atomic_store(&calls, 0);
    atomic_store(&most, 0);
    atomic_store(&overloads, 0);
    atomic_store(&successes, 0);
    atomic_store(&answer, next);
}

static void deliver(unsigned thread)
{
    const stele_status status = stele_deliver(fixture_bus, event, NULL, NULL, NULL);

    (void)thread;
    if (status == STELE_OK)
        atomic_fetch_add(&successes, 1);
    else if (status == STELE_OVERLOAD)
        atomic_fetch_add(&overloads, 1);
}

static void deliver_often(unsigned thread)
{
    for (int i = 0; i < ROUNDS; i++)
        deliver(thread);
}

static void add_route(const struct stele_interceptor *const *interceptors)
{
    static struct stele_route route;

    route = (struct stele_route){.name = "r",
                                 .on = "note.taken",
                                 .handle = answer_now,
                                 .interceptors = interceptors,
                                 .on_failure = STELE_IGNORE};
    fixture_add(&route, NULL);
    event = fixture_event("note.taken");
}

/* --- Each kind ----------------------------------------------------------------------------------------------- */

static void NTH26_sixteen_threads_get_one_trial(void **state)
{
    static const struct stele_breaker settings = {.threshold = 1, .recovery_ms = 100};
    static const struct stele_interceptor breaker = {.name = "breaker", STELE_BREAKER(&settings)};
    static const struct stele_interceptor *const interceptors[] = {&breaker, NULL};

    (void)state;
    add_route(interceptors);
    clear(STELE_FAILED);
    assert_int_equal(stele_deliver(fixture_bus, event, NULL, NULL, NULL), STELE_FAILED);
    for (int i = 0; i < ROUNDS; i++) {
        /* It is open; a failed trial leaves it so. */
        clear(STELE_FAILED);
        run_together(deliver);
        assert_int_equal(atomic_load(&calls), 0);
        pass(NULL, 100 * MS);
        run_together(deliver);
        assert_int_equal(atomic_load(&calls), 1);
        assert_int_equal(atomic_load(&overloads), 2 * THREADS - 1);
    }
    stele_message_unref(event);
}

static void sixteen_threads_share_one_burst(void **state)
{
    enum { BURST = 5 };
    static const struct stele_rate_limit settings = {.per_second = 10, .burst = BURST};
    static const struct stele_interceptor limit = {.name = "limit", STELE_RATE_LIMIT(&settings)};
    static const struct stele_interceptor *const interceptors[] = {&limit, NULL};

    (void)state;
    add_route(interceptors);
    for (int i = 0; i < ROUNDS; i++) {
        clear(STELE_OK);
        run_together(deliver);
        assert_int_equal(atomic_load(&successes), BURST);
        assert_int_equal(atomic_load(&overloads), THREADS - BURST);
        pass(NULL, 10000 * MS);
    }
    stele_message_unref(event);
}

static void sixteen_threads_stay_within_a_limit_of_calls(void **state)
{
    enum { LIMIT = 3 };
    static const struct stele_concurrency_limit settings = {.limit = LIMIT, .reject = true};
    static const struct stele_interceptor limit = {.name = "limit", STELE_CONCURRENCY_LIMIT(&settings)};
    static const struct stele_interceptor *const interceptors[] = {&limit, NULL};

    (void)state;
    add_route(interceptors);
    clear(STELE_OK);
    run_together(deliver_often);
    assert_in_range(atomic_load(&most), 1, LIMIT);
    assert_int_equal(atomic_load(&successes), atomic_load(&calls));
    assert_int_equal(atomic_load(&successes) + atomic_load(&overloads), THREADS * ROUNDS);
    /* All places have come back. */
    clear(STELE_OK);
    deliver(0);
    assert_int_equal(atomic_load(&successes), 1);
    stele_message_unref(event);
}

static void sixteen_threads_share_a_memo(void **state)
{
    static const struct stele_memo settings = {.name = "memo", .version = 1, .entries = 2};
    static const struct stele_interceptor memo = {.name = "memo", STELE_MEMO(&settings)};
    static const struct stele_interceptor *const interceptors[] = {&memo, NULL};

    (void)state;
    add_route(interceptors);
    clear(STELE_OK);
    run_together(deliver_often);
    assert_int_equal(atomic_load(&successes), THREADS * ROUNDS);
    /* Those that began before the first was done; none after. */
    assert_in_range(atomic_load(&calls), 1, THREADS);
    stele_message_unref(event);
}

/* --- Comings and goings ------------------------------------------------------------------------------------------ */

static stele_context *kept;
static atomic_uint refused;

static stele_status keep(void *resource, const stele_message *message, stele_context *context)
{
    (void)resource;
    (void)message;
    kept = context;
    return STELE_OK;
}

static void emit_from_the_dead(unsigned thread)
{
    (void)thread;
    for (int i = 0; i < ROUNDS; i++) {
        if (stele_context_send(kept, event) == STELE_INVALID &&
            stele_context_fail(kept, STELE_FAILED, "late") != STELE_OK && stele_context_message(kept) == NULL)
            atomic_fetch_add(&refused, 1);
    }
}

static void FWK14_sixteen_threads_get_nothing_out_of_a_dead_context(void **state)
{
    static const struct stele_route route = {.name = "keep", .on = "note.taken", .handle = keep};

    (void)state;
    fixture_add(&route, NULL);
    event = fixture_event("note.taken");
    clear(STELE_OK);
    deliver(0);
    atomic_store(&refused, 0);
    run_together(emit_from_the_dead);
    assert_int_equal(atomic_load(&refused), THREADS * ROUNDS);
    stele_message_unref(event);
}

static void cancel_under_way(unsigned thread)
{
    for (int i = 0; i < ROUNDS; i++) {
        stele_unit *unit = NULL;

        if (stele_unit_begin(fixture_bus, NULL, &unit, NULL) != STELE_OK)
            continue;
        stele_unit_publish(unit, event, NULL, NULL);
        if ((thread + (unsigned)i) % 2)
            stele_unit_cancel(unit);
        stele_unit_publish(unit, event, NULL, NULL);
        if (stele_unit_end(unit, NULL, NULL) == STELE_OK)
            atomic_fetch_add(&successes, 1);
    }
}

static void units_cancelled_during_dispatch_end_and_others_go_on(void **state)
{
    static const struct stele_route route = {
        .name = "q", .on = "note.taken", .handle = answer_now, .delivery = STELE_QUEUED, .on_failure = STELE_IGNORE};

    (void)state;
    fixture_add(&route, NULL);
    event = fixture_event("note.taken");
    clear(STELE_OK);
    run_together(cancel_under_way);
    assert_true(atomic_load(&successes) >= THREADS * ROUNDS / 2);
    assert_int_equal(atomic_load(&most), 1);
    assert_int_equal(fixture_stats("q").waiting, 0);
    stele_message_unref(event);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        crowd_test(NTH26_sixteen_threads_get_one_trial),
        crowd_test(sixteen_threads_share_one_burst),
        crowd_test(sixteen_threads_stay_within_a_limit_of_calls),
        crowd_test(sixteen_threads_share_a_memo),
        crowd_test(FWK14_sixteen_threads_get_nothing_out_of_a_dead_context),
        fixture_thread_test(units_cancelled_during_dispatch_end_and_others_go_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
