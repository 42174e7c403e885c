/* Subscriptions on real threads: constant appends, other handles, ending in the middle (C1, C6). */
#include "tests/unit/store/subscription_stage.h"

#include "store/subscription.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

enum { APPENDERS = 3, APPENDS = 200, PATIENCE_MS = 60000 };

/* Counts, and notices what is not in the order of the log. */
struct counter {
    uint64_t last;
    atomic_uint count;
    atomic_bool is_out_of_order;
};

static stele_status count_event(void *context, const stele_message *event, stele_error **error)
{
    struct counter *counter = context;

    (void)error;
    if (stele_message_position(event) <= counter->last)
        atomic_store(&counter->is_out_of_order, true);
    counter->last = stele_message_position(event);
    atomic_fetch_add(&counter->count, 1);
    return STELE_OK;
}

static const struct stele_subscriber counting = {.name = "counting", .receive = count_event, .batch = 16};
static const struct stele_subscriber in_place = {
    .name = "in place", .receive = count_event, .batch = 16, .in_place = true};

static void begin_threads(struct stage *stage, const char *url)
{
    stele_error *error = NULL;

    assert_ok(stele_runtime_new(2, NULL, &stage->runtime, &error), error);
    stage->store = open_store(url, NULL);
}

static stele_subscription *begin_counting(const struct stage *stage, const struct stele_subscriber *subscriber,
                                          struct counter *counter)
{
    stele_subscription *subscription = NULL;
    stele_error *error = NULL;

    assert_ok(stele_subscription_start(stage->store, stage->runtime, subscriber, counter, &subscription, &error),
              error);
    return subscription;
}

static void *keep_appending(void *context)
{
    const struct stele_raw_message raw = {.kind = STELE_EVENT, .type = "order.placed", .format = STELE_PAYLOAD_NONE};
    stele_store *store = context;
    uintptr_t failed = 0;

    for (int i = 0; i < APPENDS; i++) {
        stele_message *event = NULL;

        if (stele_message_new_raw(&raw, NULL, &event, NULL) != STELE_OK ||
            stele_append(store, i % 2 ? "a" : "b", stele_expect_any(), event, NULL, NULL) != STELE_OK)
            failed++;
        stele_message_unref(event);
    }
    return (void *)failed;
}

static void append_with_threads(stele_store *const stores[APPENDERS])
{
    pthread_t threads[APPENDERS];
    void *failed = NULL;

    for (int i = 0; i < APPENDERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, keep_appending, stores[i]), 0);
    for (int i = 0; i < APPENDERS; i++) {
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
}

static void assert_all_counted(struct counter *counter)
{
    assert_int_equal(atomic_load(&counter->count), APPENDERS * APPENDS);
    assert_false(atomic_load(&counter->is_out_of_order));
}

static void C1_under_constant_appends_nothing_is_lost_or_repeated_and_all_is_in_order(void **state)
{
    struct stage stage;
    struct counter one = {0}, two = {0};
    stele_subscription *first, *second;
    stele_error *error = NULL;

    (void)state;
    begin_threads(&stage, "memory:");
    first = begin_counting(&stage, &counting, &one);
    second = begin_counting(&stage, &in_place, &two);
    append_with_threads((stele_store *const[APPENDERS]){stage.store, stage.store, stage.store});
    assert_ok(stele_subscription_wait(first, APPENDERS * APPENDS, PATIENCE_MS, &error), error);
    assert_ok(stele_subscription_wait(second, APPENDERS * APPENDS, PATIENCE_MS, &error), error);
    assert_all_counted(&one);
    assert_all_counted(&two);
    stele_subscription_free(first);
    stele_subscription_free(second);
    end_stage(&stage);
}

static void C6_what_other_handles_commit_wakes_it_as_well(void **state)
{
    struct stage stage;
    struct counter counter = {0};
    stele_subscription *subscription;
    stele_store *others[APPENDERS] = {NULL};
    stele_error *error = NULL;

    (void)state;
    support_temp_dir();
    begin_threads(&stage, support_temp_path("log.db"));
    subscription = begin_counting(&stage, &counting, &counter);
    for (int i = 0; i < APPENDERS; i++)
        others[i] = open_store(support_temp_path("log.db"), NULL);
    append_with_threads(others);
    assert_ok(stele_subscription_wait(subscription, APPENDERS * APPENDS, PATIENCE_MS, &error), error);
    assert_all_counted(&counter);
    stele_subscription_free(subscription);
    for (int i = 0; i < APPENDERS; i++)
        stele_store_close(others[i]);
    end_stage(&stage);
}

/* A child that opens the file once it is told to, and appends. */
static pid_t fork_writer(const char *path, int told)
{
    const pid_t child = fork();
    char byte;

    if (child == 0) {
        stele_store *store = NULL;
        const bool is_told = read(told, &byte, 1) == 1;
        const bool is_open = is_told && stele_store_open(path, NULL, &store, NULL) == STELE_OK;

        _exit(is_open && !keep_appending(store) ? 0 : 1);
    }
    return child;
}

static void C6_what_another_process_commits_wakes_it_as_well(void **state)
{
    char path[4096];
    struct stage stage;
    struct counter counter = {0};
    stele_subscription *subscription;
    stele_error *error = NULL;
    int ends[2], status = -1;
    pid_t child;

    (void)state;
    support_temp_dir();
    snprintf(path, sizeof(path), "%s", support_temp_path("log.db"));
    assert_int_equal(pipe(ends), 0);
    child = fork_writer(path, ends[0]);
    assert_true(child > 0);
    begin_threads(&stage, path);
    subscription = begin_counting(&stage, &counting, &counter);
    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_ok(stele_subscription_wait(subscription, APPENDS, PATIENCE_MS, &error), error);
    assert_int_equal(atomic_load(&counter.count), APPENDS);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    close(ends[0]);
    close(ends[1]);
    stele_subscription_free(subscription);
    end_stage(&stage);
}

static void ending_it_and_starting_it_again_amid_appends_loses_and_repeats_nothing(void **state)
{
    struct stage stage;
    struct counter counter = {0};
    pthread_t threads[APPENDERS];
    stele_subscription *subscription;
    stele_error *error = NULL;
    void *failed = NULL;

    (void)state;
    begin_threads(&stage, "memory:");
    for (int i = 0; i < APPENDERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, keep_appending, stage.store), 0);
    for (int i = 0; i < 50; i++)
        stele_subscription_free(begin_counting(&stage, i % 2 ? &counting : &(struct stele_subscriber){
                                                                               .name = "counting",
                                                                               .receive = count_event,
                                                                               .in_place = true,
                                                                           },
                                               &counter));
    for (int i = 0; i < APPENDERS; i++) {
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    subscription = begin_counting(&stage, &counting, &counter);
    assert_ok(stele_subscription_wait(subscription, APPENDERS * APPENDS, PATIENCE_MS, &error), error);
    assert_all_counted(&counter);
    stele_subscription_free(subscription);
    end_stage(&stage);
}

/* --- One that takes its time ----------------------------------------------------------------------- */

struct slow {
    atomic_bool is_inside, may_leave;
    atomic_uint count;
};

static stele_status take_time(void *context, const stele_message *event, stele_error **error)
{
    struct slow *slow = context;

    (void)event;
    (void)error;
    atomic_store(&slow->is_inside, true);
    while (!atomic_load(&slow->may_leave))
        sched_yield();
    atomic_fetch_add(&slow->count, 1);
    return STELE_OK;
}

static void *let_leave(void *context)
{
    struct slow *slow = context;

    while (!atomic_load(&slow->is_inside))
        sched_yield();
    atomic_store(&slow->may_leave, true);
    return NULL;
}

static void freeing_waits_for_the_event_that_is_being_handled_and_for_no_other(void **state)
{
    static const struct stele_subscriber lingering = {.name = "slow", .receive = take_time};
    struct stage stage;
    struct slow slow = {0};
    stele_subscription *subscription = NULL;
    stele_error *error = NULL;
    pthread_t thread;

    (void)state;
    begin_threads(&stage, "memory:");
    append_many(stage.store, 3);
    assert_ok(stele_subscription_start(stage.store, stage.runtime, &lingering, &slow, &subscription, &error), error);
    while (!atomic_load(&slow.is_inside))
        sched_yield();
    assert_int_equal(pthread_create(&thread, NULL, let_leave, &slow), 0);
    stele_subscription_free(subscription);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(checkpoint_of(&stage, "slow"), atomic_load(&slow.count));
    end_stage(&stage);
}

static void freeing_behind_a_stopped_runtime_waits_for_nothing(void **state)
{
    struct stage stage;
    struct counter counter = {0};
    stele_subscription *subscription;
    stele_error *error = NULL;

    (void)state;
    begin_threads(&stage, "memory:");
    subscription = begin_counting(&stage, &counting, &counter);
    assert_ok(stele_runtime_stop(stage.runtime, PATIENCE_MS, &error), error);
    append_many(stage.store, 1);
    stele_subscription_free(subscription);
    end_stage(&stage);
}

static void in_a_forked_child_it_is_refused_and_freeing_it_does_nothing(void **state)
{
    struct stage stage;
    struct counter counter = {0};
    stele_subscription *subscription;
    int status = -1;
    pid_t child;

    (void)state;
    begin_threads(&stage, "memory:");
    subscription = begin_counting(&stage, &counting, &counter);
    pthread_mutex_lock(&subscription->mutex);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct stele_subscription_stats stats;
        bool is_refused = stele_subscription_wait(subscription, 1, 1000, NULL) == STELE_FORKED &&
                          stele_subscription_pause(subscription, NULL) == STELE_FORKED;

        stele_subscription_get_stats(subscription, &stats);
        is_refused = is_refused && stats.state == STELE_SUBSCRIPTION_NEW;
        stele_subscription_free(subscription);
        _exit(is_refused ? 0 : 1);
    }
    pthread_mutex_unlock(&subscription->mutex);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    stele_subscription_free(subscription);
    end_stage(&stage);
}

/* --- Held and let go by others ------------------------------------------------------------------------ */

static void *pause_and_resume(void *context)
{
    uintptr_t failed = 0;

    for (int i = 0; i < 50; i++) {
        failed += stele_subscription_pause(context, NULL) != STELE_OK;
        failed += stele_subscription_resume(context, NULL) != STELE_OK;
    }
    return (void *)failed;
}

static void pausing_amid_appends_loses_and_repeats_nothing(void **state)
{
    struct stage stage;
    struct counter counter = {0};
    struct stele_subscription_stats stats;
    stele_subscription *subscription;
    pthread_t threads[2];
    stele_error *error = NULL;
    void *failed = NULL;
    uint64_t head = 0;

    (void)state;
    begin_threads(&stage, "memory:");
    subscription = begin_counting(&stage, &counting, &counter);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, pause_and_resume, subscription), 0);
    append_with_threads((stele_store *const[APPENDERS]){stage.store, stage.store, stage.store});
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    assert_ok(stele_subscription_resume(subscription, &error), error);
    assert_ok(stele_wait(stage.store, 0, 0, &head, &error), error);
    assert_ok(stele_subscription_wait(subscription, head, PATIENCE_MS, &error), error);
    stele_subscription_get_stats(subscription, &stats);
    assert_int_equal(stats.handled, APPENDERS * APPENDS);
    assert_all_counted(&counter);
    stele_subscription_free(subscription);
    end_stage(&stage);
}

struct storm {
    struct stage *stage;
    stele_subscription *subscription;
};

/* Whatever comes of each call: held, detached, attached. */
static void *trouble(void *context)
{
    static const char *const nothing[] = {NULL};
    const struct storm *storm = context;
    struct stele_subscription_stats stats;

    for (int i = 0; i < 20; i++) {
        stele_subscription_pause(storm->subscription, NULL);
        stele_subscription_get_stats(storm->subscription, &stats);
        stele_subscription_resume(storm->subscription, NULL);
        if (i == 10)
            stele_subscriptions_keep(storm->stage->store, nothing, NULL, NULL);
    }
    return NULL;
}

static bool take_state(void *context, const struct stele_subscription_record *record)
{
    *(enum stele_subscription_state *)context = record->state;
    return true;
}

static void C4_detached_amid_a_storm_it_is_so_in_the_store_too(void **state)
{
    enum stele_subscription_state recorded = STELE_SUBSCRIPTION_NEW;
    struct stage stage;
    struct counter counter = {0};
    struct stele_subscription_stats stats;
    struct storm storm = {.stage = &stage};
    pthread_t threads[8];
    stele_error *error = NULL;

    (void)state;
    begin_threads(&stage, "memory:");
    storm.subscription = begin_counting(&stage, &counting, &counter);
    for (int i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, trouble, &storm), 0);
    append_many(stage.store, 50);
    for (int i = 0; i < 8; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    stele_subscription_get_stats(storm.subscription, &stats);
    assert_int_equal(stats.state, STELE_SUBSCRIPTION_DETACHED);
    assert_ok(stele_subscriptions_visit(stage.store, take_state, &recorded, &error), error);
    assert_int_equal(recorded, STELE_SUBSCRIPTION_DETACHED);
    stele_subscription_free(storm.subscription);
    end_stage(&stage);
}

/* Either it began before, and is stopped, or it is refused. */
static void *start_it(void *context)
{
    struct storm *storm = context;
    static struct counter unused;

    stele_subscription_start(storm->stage->store, storm->stage->runtime, &counting, &unused, &storm->subscription,
                             NULL);
    return NULL;
}

static void C4_what_starts_while_it_is_detached_does_not_run(void **state)
{
    static const char *const nothing[] = {NULL};

    (void)state;
    for (int i = 0; i < 100; i++) {
        struct stage stage;
        struct storm storm = {.stage = &stage};
        struct stele_subscription_stats stats;
        pthread_t thread;
        stele_error *error = NULL;

        begin_threads(&stage, "memory:");
        assert_ok(stele_checkpoint_write(stage.store, counting.name, STELE_NO_CHECKPOINT, 0, &error), error);
        assert_int_equal(pthread_create(&thread, NULL, start_it, &storm), 0);
        assert_ok(stele_subscriptions_keep(stage.store, nothing, NULL, &error), error);
        assert_int_equal(pthread_join(thread, NULL), 0);
        if (storm.subscription) {
            stele_subscription_get_stats(storm.subscription, &stats);
            assert_int_equal(stats.state, STELE_SUBSCRIPTION_DETACHED);
        }
        stele_subscription_free(storm.subscription);
        end_stage(&stage);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(C1_under_constant_appends_nothing_is_lost_or_repeated_and_all_is_in_order),
        support_test(C6_what_other_handles_commit_wakes_it_as_well),
        support_test(C6_what_another_process_commits_wakes_it_as_well),
        support_test(ending_it_and_starting_it_again_amid_appends_loses_and_repeats_nothing),
        support_test(freeing_waits_for_the_event_that_is_being_handled_and_for_no_other),
        support_test(freeing_behind_a_stopped_runtime_waits_for_nothing),
        support_test(in_a_forked_child_it_is_refused_and_freeing_it_does_nothing),
        support_test(pausing_amid_appends_loses_and_repeats_nothing),
        support_test(C4_detached_amid_a_storm_it_is_so_in_the_store_too),
        support_test(C4_what_starts_while_it_is_detached_does_not_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
