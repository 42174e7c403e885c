/* The tests of futex.h, for a program that has included one way to do it. */
#ifndef STELE_TESTS_FUTEX_CASES_H
#define STELE_TESTS_FUTEX_CASES_H

#include <pthread.h>

enum { SLEEPERS = 8, PASSES = 20000 };

static struct stele__futex futex;
static atomic_bool awake;
static atomic_size_t asleep; /* sleepers that are about to sleep */

static int setup(void **state)
{
    atomic_store(&awake, false);
    atomic_store(&asleep, 0);
    return stele__futex_init(&futex) ? support_setup(state) : -1;
}

static int teardown(void **state)
{
    stele__futex_fini(&futex);
    return support_teardown(state);
}

static void a_wait_for_what_has_changed_returns_at_once(void **state)
{
    const uint32_t seen = stele__futex_read(&futex);

    (void)state;
    stele__futex_wake(&futex);
    assert_int_not_equal(stele__futex_read(&futex), seen);
    stele__futex_wait(&futex, seen);
}

static void a_wait_for_a_time_ends_with_it_or_with_the_change(void **state)
{
    const uint32_t seen = stele__futex_read(&futex);

    (void)state;
    stele__futex_wait_for(&futex, seen, 1);
    assert_int_equal(stele__futex_read(&futex), seen);
    stele__futex_wake(&futex);
    stele__futex_wait_for(&futex, seen, INT64_MAX / 2);
}

static void *sleep_until_awake(void *context)
{
    atomic_fetch_add(&asleep, 1);
    for (;;) {
        const uint32_t seen = stele__futex_read(&futex);

        if (atomic_load(&awake))
            return context;
        stele__futex_wait(&futex, seen);
    }
}

static void one_wake_up_wakes_all(void **state)
{
    pthread_t threads[SLEEPERS];

    (void)state;
    for (size_t i = 0; i < SLEEPERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, sleep_until_awake, NULL), 0);
    while (atomic_load(&asleep) < SLEEPERS)
        ;
    atomic_store(&awake, true);
    stele__futex_wake(&futex);
    for (size_t i = 0; i < SLEEPERS; i++)
        pthread_join(threads[i], NULL);
}

static atomic_uint turn; /* a ball between two threads: no wake-up may be lost */

static void pass_the_ball(unsigned player)
{
    for (unsigned pass = player; pass < PASSES; pass += 2) {
        for (;;) {
            const uint32_t seen = stele__futex_read(&futex);

            if (atomic_load(&turn) == pass)
                break;
            stele__futex_wait(&futex, seen);
        }
        atomic_store(&turn, pass + 1);
        stele__futex_wake(&futex);
    }
}

static void *play(void *context)
{
    pass_the_ball(1);
    return context;
}

static void no_wake_up_is_lost(void **state)
{
    pthread_t thread;

    (void)state;
    atomic_store(&turn, 0);
    assert_int_equal(pthread_create(&thread, NULL, play, NULL), 0);
    pass_the_ball(0);
    pthread_join(thread, NULL);
    assert_int_equal(atomic_load(&turn), PASSES);
}

enum { SIGNALS = 2000 };
#define SET UINT32_C(0x80000000)
#define ASLEEP UINT32_C(0x40000000)

static void *finish(void *context)
{
    stele__futex_finish(context, SET, ASLEEP);
    return NULL;
}

static void a_finished_futex_may_end_with_its_waiter(void **state)
{
    (void)state;
    for (int i = 0; i < SIGNALS; i++) {
        struct stele__futex *mine = test_malloc(sizeof(*mine));
        pthread_t thread;

        assert_true(stele__futex_init(mine));
        assert_int_equal(pthread_create(&thread, NULL, finish, mine), 0);
        for (;;) {
            const uint32_t seen = atomic_fetch_or(&mine->word, ASLEEP) | ASLEEP;

            if (seen & SET)
                break;
            stele__futex_wait(mine, seen);
        }
        stele__futex_settle(mine);
        stele__futex_fini(mine);
        test_free(mine);
        pthread_join(thread, NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_wait_for_what_has_changed_returns_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_wait_for_a_time_ends_with_it_or_with_the_change, setup, teardown),
        cmocka_unit_test_setup_teardown(one_wake_up_wakes_all, setup, teardown),
        cmocka_unit_test_setup_teardown(no_wake_up_is_lost, setup, teardown),
        cmocka_unit_test(a_finished_futex_may_end_with_its_waiter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
