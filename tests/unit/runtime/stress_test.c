/* Many threads at once: nothing is lost, nothing sleeps for ever, nothing runs twice. */
#include "tests/support/support.h"

#include "runtime/runtime.h"

#include <sched.h>
#include <string.h>

static stele_runtime *new_runtime(unsigned threads)
{
    stele_runtime *runtime = NULL;
    stele_error *error = NULL;

    assert_ok(stele_runtime_new(threads, NULL, &runtime, &error), error);
    return runtime;
}

/* --- Producers and workers --------------------------------------------------------------------------- */

enum { PRODUCERS = 8, EACH = 3000, BOXES = 5 };

struct counter {
    struct stele__mailbox mailbox;
    uint64_t count; /* without a lock: one letter is in flight at a time */
};

struct producer {
    struct counter *counters;
    struct stele__letter *letters;
    uint64_t random;
};

static void count(struct stele__mailbox *mailbox, struct stele__letter *letter)
{
    (void)letter;
    ((struct counter *)mailbox)->count++;
}

static void *produce(void *context)
{
    struct producer *producer = context;
    struct support_random random = {producer->random};

    for (int i = 0; i < EACH; i++) {
        struct counter *counter = &producer->counters[support_random_below(&random, BOXES)];

        stele__mailbox_send(&counter->mailbox, &producer->letters[i]);
        if (support_random_below(&random, 100) == 0) {
            stele__mailbox_pause(&counter->mailbox);
            stele__mailbox_resume(&counter->mailbox);
        }
    }
    return NULL;
}

static void assert_nothing_lost(unsigned workers, struct support_random *random)
{
    stele_runtime *runtime = new_runtime(workers);
    struct counter counters[BOXES];
    struct producer producers[PRODUCERS];
    pthread_t threads[PRODUCERS];
    uint64_t sum = 0;

    memset(counters, 0, sizeof(counters));
    for (size_t i = 0; i < BOXES; i++)
        assert_true(stele__mailbox_init(&counters[i].mailbox, runtime, "box", (int)i % 3, 0, count));
    for (size_t i = 0; i < PRODUCERS; i++) {
        producers[i] =
            (struct producer){counters, test_calloc(EACH, sizeof(struct stele__letter)), support_random_next(random)};
        assert_int_equal(pthread_create(&threads[i], NULL, produce, &producers[i]), 0);
    }
    for (size_t i = 0; i < PRODUCERS; i++)
        pthread_join(threads[i], NULL);
    stele_runtime_run_until_idle(runtime);
    for (size_t i = 0; i < BOXES; i++) {
        assert_true(stele__mailbox_is_idle(&counters[i].mailbox));
        sum += counters[i].count;
        stele__mailbox_fini(&counters[i].mailbox);
    }
    assert_int_equal(sum, PRODUCERS * EACH);
    for (size_t i = 0; i < PRODUCERS; i++)
        test_free(producers[i].letters);
    stele_runtime_free(runtime);
}

static void nothing_is_lost_between_eight_producers_and_the_workers(void **state)
{
    struct support_random random = support_seed();

    (void)state;
    assert_nothing_lost(1, &random);
    assert_nothing_lost(2, &random);
    assert_nothing_lost(7, &random);
}

/* --- Requests: signals on the stack of those who wait --------------------------------------------------- */

struct request {
    struct stele__letter letter;
    struct stele__signal answer;
    struct stele__mailbox *next; /* asked in turn, before the answer; or NULL */
};

static void answer(struct stele__mailbox *mailbox, struct stele__letter *letter)
{
    struct request *request = (struct request *)letter;

    if (request->next) {
        struct request inner = {.next = NULL};

        stele__mailbox_send(request->next, &inner.letter);
        stele__runtime_wait(mailbox->runtime, &inner.answer, INT64_MAX);
    }
    stele__signal_set(&request->answer);
}

struct asker {
    struct stele__mailbox *first, *second;
    uint64_t answers;
};

static void *ask(void *context)
{
    struct asker *asker = context;

    for (int i = 0; i < 1000; i++) {
        struct request request = {.next = i % 2 ? asker->second : NULL};

        stele__mailbox_send(asker->first, &request.letter);
        asker->answers += stele__runtime_wait(asker->first->runtime, &request.answer, INT64_MAX);
    }
    return NULL;
}

static void every_request_is_answered(void **state)
{
    enum { ASKERS = 6 };
    stele_runtime *runtime = new_runtime(2);
    struct stele__mailbox first, second;
    struct asker askers[ASKERS];
    pthread_t threads[ASKERS];

    (void)state;
    assert_true(stele__mailbox_init(&first, runtime, "first", 0, 0, answer));
    assert_true(stele__mailbox_init(&second, runtime, "second", 0, 0, answer));
    for (size_t i = 0; i < ASKERS; i++) {
        askers[i] = (struct asker){&first, &second, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, ask, &askers[i]), 0);
    }
    for (size_t i = 0; i < ASKERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(askers[i].answers, 1000);
    }
    stele_runtime_run_until_idle(runtime);
    stele__mailbox_fini(&first);
    stele__mailbox_fini(&second);
    stele_runtime_free(runtime);
}

/* --- Tasks that come and go: each round everything falls asleep and is woken ----------------------------- */

struct link {
    struct stele__task task;
    struct stele__timer timer;
    stele_runtime *runtime;
    int left;
    struct stele__signal *done;
};

static void post_by_timer(struct stele__timer *timer)
{
    struct link *link = (struct link *)((char *)timer - offsetof(struct link, timer));

    stele__runtime_post(link->runtime, &link->task);
}

/* Alternately at once and by a timer. */
static void go_on(struct stele__task *task)
{
    struct link *link = (struct link *)task;

    if (link->left-- == 0)
        stele__signal_set(link->done);
    else if (link->left % 2)
        stele__runtime_post(link->runtime, &link->task);
    else
        stele__timer_start(link->runtime, &link->timer, link->left % 5 * 1000);
}

static void tasks_and_timers_keep_each_other_going(void **state)
{
    enum { LINKS = 12 };
    stele_runtime *runtime = new_runtime(3);

    (void)state;
    for (int round = 0; round < 30; round++) {
        struct stele__signal done[LINKS];
        struct link links[LINKS];

        memset(done, 0, sizeof(done));
        for (size_t i = 0; i < LINKS; i++) {
            links[i] = (struct link){
                {.name = "link", .run = go_on}, {.name = "link", .fire = post_by_timer}, runtime, 40, &done[i]};
            stele__runtime_post(runtime, &links[i].task);
        }
        for (size_t i = 0; i < LINKS; i++)
            assert_true(stele__runtime_wait(runtime, &done[i], INT64_MAX));
        stele_runtime_run_until_idle(runtime);
    }
    stele_runtime_free(runtime);
}

/* --- As many at once as there are workers ------------------------------------------------------------------ */

enum { CROWD = 4 };

static atomic_int arrived;

/* Without the runtime's knowing: nobody stands in. */
static void await_the_crowd(struct stele__task *task)
{
    (void)task;
    atomic_fetch_add(&arrived, 1);
    while (atomic_load(&arrived) < CROWD)
        sched_yield();
}

static void all_workers_are_called_when_there_is_work_for_all(void **state)
{
    stele_runtime *runtime = new_runtime(CROWD);
    struct stele__task tasks[CROWD];

    (void)state;
    for (int round = 0; round < 200; round++) {
        atomic_store(&arrived, 0);
        for (size_t i = 0; i < CROWD; i++) {
            tasks[i] = (struct stele__task){.name = "task", .run = await_the_crowd};
            stele__runtime_post(runtime, &tasks[i]);
        }
        stele_runtime_run_until_idle(runtime);
        assert_int_equal(atomic_load(&arrived), CROWD);
    }
    stele_runtime_free(runtime);
}

/* --- Making and stopping in a row -------------------------------------------------------------------------- */

static void do_nothing(struct stele__task *task)
{
    (void)task;
}

static void runtimes_come_and_go(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 200; i++) {
        stele_runtime *runtime = new_runtime(i % 4 + 1);
        struct stele__task tasks[8];

        for (size_t j = 0; j < 8; j++) {
            tasks[j] = (struct stele__task){.name = "task", .run = do_nothing};
            stele__runtime_post(runtime, &tasks[j]);
        }
        stele_runtime_free(runtime);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(nothing_is_lost_between_eight_producers_and_the_workers),
        support_test(every_request_is_answered),
        support_test(tasks_and_timers_keep_each_other_going),
        support_test(all_workers_are_called_when_there_is_work_for_all),
        support_test(runtimes_come_and_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
