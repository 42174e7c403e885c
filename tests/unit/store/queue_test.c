/*
 * The queue over a backend that notes its groups and can be held inside one, so
 * that what comes meanwhile is known. Threads note what happened; the test's
 * thread asserts.
 */
#include "tests/support/support.h"

#include "runtime/thread.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>

static bool no_threads; /* the system is out of them */

static int start_thread(pthread_t *thread, void *(*run)(void *), void *context)
{
    return no_threads ? EAGAIN : stele__thread_start(thread, run, context);
}

#define stele__thread_start start_thread
#include "lib/store/queue.c"
#undef stele__thread_start

/* --- A backend ------------------------------------------------------------------------ */

enum { GROUPS_MAX = 5000 };

struct group_seen {
    pthread_t thread;
    size_t count;
    uint64_t first, last; /* tags */
};

/* What the test gives as a record's time, and gets back as a version. Odd ones are refused. */
struct backend {
    struct stele_backend backend;
    struct stele__queue queue;
    struct group_seen groups[GROUPS_MAX];
    size_t group_count;
    atomic_bool hold;   /* keep the next append inside */
    atomic_bool inside; /* one is */
    atomic_int running; /* appends at once: never more than one */
    atomic_bool overlapped;
};

static uint64_t tag_of(const struct stele_append_member *member)
{
    return (uint64_t)member->records[0].time;
}

static void judge(struct stele_append_member *member)
{
    const uint64_t tag = tag_of(member);

    member->error = NULL;
    member->result = (struct stele_appended){.version = tag};
    member->status = tag % 2 ? stele__fail(&member->error, STELE_CONFLICT, "tag %" PRIu64, tag) : STELE_OK;
}

static void backend_append(struct stele_backend *backend, struct stele_append_member *members, size_t count)
{
    struct backend *own = (struct backend *)backend;
    struct group_seen *group = &own->groups[own->group_count++ % GROUPS_MAX];

    if (atomic_fetch_add(&own->running, 1) != 0)
        atomic_store(&own->overlapped, true);
    *group = (struct group_seen){pthread_self(), count, tag_of(&members[0]), tag_of(&members[count - 1])};
    if (atomic_load(&own->hold)) {
        atomic_store(&own->inside, true);
        while (atomic_load(&own->hold))
            sched_yield();
        atomic_store(&own->inside, false);
    }
    for (size_t i = 0; i < count; i++)
        judge(&members[i]);
    atomic_fetch_sub(&own->running, 1);
}

static const struct stele_store_ops ops = {.size = sizeof(ops), .append = backend_append};

static struct backend backend;

static void open_queue(size_t events_limit, size_t bytes_limit)
{
    stele_error *error = NULL;

    memset(&backend, 0, sizeof(backend));
    assert_ok(stele__queue_init(&backend.queue, &ops, &backend.backend, events_limit, bytes_limit, &error), error);
}

static void close_queue(void)
{
    stele__queue_fini(&backend.queue);
    assert_false(atomic_load(&backend.overlapped));
}

static void hold(void)
{
    atomic_store(&backend.hold, true);
}

static void wait_until_held(void)
{
    while (!atomic_load(&backend.inside))
        sched_yield();
}

static void release(void)
{
    atomic_store(&backend.hold, false);
}

static void wait_until_arrived(size_t count)
{
    while (atomic_load(&backend.queue.arrived) != count)
        sched_yield();
}

/* Until so many wait for room. */
static void wait_until_asking(uint64_t count)
{
    uint64_t asking;

    do {
        sched_yield();
        pthread_mutex_lock(&backend.queue.mutex);
        asking = backend.queue.room_asked - backend.queue.room_given;
        pthread_mutex_unlock(&backend.queue.mutex);
    } while (asking != count);
}

static void assert_group(size_t group, size_t count, uint64_t first, uint64_t last)
{
    assert_in_range(group, 0, backend.group_count - 1);
    assert_int_equal(backend.groups[group].count, count);
    assert_int_equal(backend.groups[group].first, first);
    assert_int_equal(backend.groups[group].last, last);
}

/* --- Threads that append --------------------------------------------------------------- */

struct appender {
    pthread_t thread;
    uint64_t tag;
    size_t records;
    bool right; /* the outcome was its own */
};

static bool is_own_outcome(const struct stele_append_member *member)
{
    char text[32];

    if (tag_of(member) % 2 == 0)
        return member->status == STELE_OK && !member->error && member->result.version == tag_of(member);
    snprintf(text, sizeof(text), "tag %" PRIu64, tag_of(member));
    return member->status == STELE_CONFLICT && strcmp(stele_error_message(member->error), text) == 0;
}

static bool append_tag(uint64_t tag, size_t records)
{
    const struct stele_record record = {.time = (int64_t)tag};
    struct stele__queue_entry entry = {.member = {.records = &record, .record_count = records}};
    bool right;

    stele__queue_append(&backend.queue, &entry);
    right = is_own_outcome(&entry.member);
    stele_error_free(entry.member.error);
    return right;
}

static void *run_appender(void *context)
{
    struct appender *appender = context;

    appender->right = append_tag(appender->tag, appender->records);
    return NULL;
}

static void start_appender(struct appender *appender, uint64_t tag)
{
    *appender = (struct appender){.tag = tag, .records = 1};
    assert_int_equal(pthread_create(&appender->thread, NULL, run_appender, appender), 0);
}

static void join_appender(struct appender *appender)
{
    pthread_join(appender->thread, NULL);
    assert_true(appender->right);
}

/* --- Entries that are pushed ------------------------------------------------------------ */

enum { PUSHED_MAX = 100000 };

struct pushed {
    struct stele__queue_entry entry;
    struct stele_record record;
    void (*then)(struct pushed *pushed); /* in its deliver function */
    atomic_uint times;
    size_t place; /* in the order of deliveries */
    pthread_t thread;
    bool right;
};

static struct pushed pushed[PUSHED_MAX];
static atomic_size_t delivered;
static atomic_bool delivering;
static atomic_bool delivered_at_once;

static void deliver_pushed(struct stele__queue_entry *entry)
{
    struct pushed *own = (struct pushed *)entry;

    if (atomic_exchange(&delivering, true))
        atomic_store(&delivered_at_once, true);
    own->right = is_own_outcome(&entry->member);
    stele_error_free(entry->member.error);
    own->thread = pthread_self();
    atomic_fetch_add(&own->times, 1);
    own->place = atomic_fetch_add(&delivered, 1);
    if (own->then)
        own->then(own);
    atomic_store(&delivering, false);
}

static void forget_pushed(void)
{
    memset(pushed, 0, sizeof(pushed));
    atomic_store(&delivered, 0);
    atomic_store(&delivered_at_once, false);
}

static stele_status push(size_t i, size_t records, size_t bytes, stele_error **error)
{
    struct pushed *own = &pushed[i];

    own->record.time = (int64_t)i;
    own->entry.member = (struct stele_append_member){.records = &own->record, .record_count = records};
    own->entry.bytes = bytes;
    own->entry.deliver = deliver_pushed;
    return stele__queue_push(&backend.queue, &own->entry, error);
}

static void must_push(size_t i, size_t records, size_t bytes)
{
    stele_error *error = NULL;

    assert_ok(push(i, records, bytes, &error), error);
}

static void flush(void)
{
    stele_error *error = NULL;

    assert_ok(stele__queue_flush(&backend.queue, &error), error);
}

static void assert_delivered(size_t count)
{
    assert_int_equal(atomic_load(&delivered), count);
    assert_false(atomic_load(&delivered_at_once));
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(atomic_load(&pushed[i].times), 1);
        assert_true(pushed[i].right);
    }
}

/* --- Groups ------------------------------------------------------------------------------- */

static void a_thread_alone_commits_at_once_in_itself_and_starts_no_other(void **state)
{
    (void)state;
    open_queue(0, 0);
    for (uint64_t tag = 0; tag < 3; tag++)
        assert_true(append_tag(tag, 1));
    assert_int_equal(backend.group_count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_group(i, 1, i, i);
        assert_true(pthread_equal(backend.groups[i].thread, pthread_self()));
    }
    assert_false(backend.queue.started);
    /* Nobody was woken, and nobody slept. */
    for (size_t i = 0; i < STELE__WORD_COUNT; i++)
        assert_int_equal(stele__futex_read(&backend.queue.words[i]), 0);
    close_queue();
}

static void who_comes_during_a_commit_is_committed_in_one_group_led_by_one_of_them(void **state)
{
    struct appender appenders[8];

    (void)state;
    open_queue(0, 0);
    hold();
    start_appender(&appenders[0], 0);
    wait_until_held();
    for (size_t i = 1; i < 8; i++) {
        start_appender(&appenders[i], i);
        wait_until_arrived(i);
    }
    release();
    for (size_t i = 0; i < 8; i++)
        join_appender(&appenders[i]);
    assert_int_equal(backend.group_count, 2);
    assert_group(0, 1, 0, 0);
    assert_group(1, 7, 1, 7);
    assert_true(pthread_equal(backend.groups[1].thread, appenders[1].thread));
    /* One wake-up for all that were led. */
    assert_int_equal(stele__futex_read(&backend.queue.words[STELE__WORD_HEIR]), 1);
    assert_int_equal(stele__futex_read(&backend.queue.words[STELE__WORD_ODD]), 1);
    assert_int_equal(stele__futex_read(&backend.queue.words[STELE__WORD_EVEN]), 0);
    close_queue();
}

static void a_group_has_at_most_256_members(void **state)
{
    (void)state;
    forget_pushed();
    open_queue(0, 0);
    hold();
    must_push(0, 1, 10);
    wait_until_held();
    for (size_t i = 1; i <= 600; i++)
        must_push(i, 1, 10);
    release();
    flush();
    assert_int_equal(backend.group_count, 4);
    assert_group(1, 256, 1, 256);
    assert_group(2, 256, 257, 512);
    assert_group(3, 88, 513, 600);
    assert_delivered(601);
    close_queue();
}

static void a_group_has_at_most_the_events_of_a_batch(void **state)
{
    (void)state;
    forget_pushed();
    open_queue(0, 0);
    hold();
    must_push(0, 1, 1);
    wait_until_held();
    must_push(1, 6000, 1);
    must_push(2, 4000, 1);
    must_push(3, 1, 1);
    must_push(4, STELE_BATCH_EVENTS_MAX, 1);
    release();
    flush();
    assert_int_equal(backend.group_count, 4);
    assert_group(1, 2, 1, 2);
    assert_group(2, 1, 3, 3);
    assert_group(3, 1, 4, 4);
    assert_delivered(5);
    close_queue();
}

static void a_group_has_at_most_the_bytes_of_a_batch(void **state)
{
    const size_t most = STELE_BATCH_BYTES_MAX;

    (void)state;
    forget_pushed();
    open_queue(0, 10 * most);
    hold();
    must_push(0, 1, 1);
    wait_until_held();
    must_push(1, 1, most - 1);
    must_push(2, 1, 1);
    must_push(3, 1, 1);
    must_push(4, 1, most);
    must_push(5, 1, most + 1); /* larger than any batch: alone */
    release();
    flush();
    assert_int_equal(backend.group_count, 5);
    assert_group(1, 2, 1, 2);
    assert_group(2, 1, 3, 3);
    assert_group(3, 1, 4, 4);
    assert_group(4, 1, 5, 5);
    assert_delivered(6);
    close_queue();
}

static void a_thread_behind_many_leads_until_its_own_is_committed_and_delivers_what_it_committed(void **state)
{
    struct appender last;

    (void)state;
    forget_pushed();
    open_queue(0, 0);
    hold();
    must_push(0, 1, 1);
    wait_until_held();
    for (size_t i = 1; i <= 300; i++)
        must_push(i, 1, 1);
    start_appender(&last, 1000);
    wait_until_arrived(301);
    release();
    join_appender(&last);
    flush();
    assert_int_equal(backend.group_count, 3);
    assert_group(1, 256, 1, 256);
    assert_group(2, 45, 257, 1000);
    assert_true(pthread_equal(backend.groups[0].thread, backend.queue.committer));
    assert_true(pthread_equal(backend.groups[1].thread, last.thread));
    assert_true(pthread_equal(backend.groups[2].thread, last.thread));
    assert_delivered(301);
    close_queue();
}

/* --- Pushing --------------------------------------------------------------------------------- */

static void what_is_pushed_is_committed_and_delivered_once_and_in_order(void **state)
{
    enum { COUNT = 20000 };

    (void)state;
    forget_pushed();
    open_queue(0, 0);
    for (size_t i = 0; i < COUNT; i++)
        must_push(i, 1, 100);
    flush();
    assert_delivered(COUNT);
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(pushed[i].place, i);
    for (size_t i = 1; i < backend.group_count; i++)
        assert_int_equal(backend.groups[i].first, backend.groups[i - 1].last + 1);
    assert_int_equal(backend.queue.events, 0);
    assert_int_equal(backend.queue.bytes, 0);
    close_queue();
}

static void what_is_pushed_while_a_thread_leads_is_committed_after_it(void **state)
{
    struct appender leader;

    (void)state;
    forget_pushed();
    open_queue(0, 0);
    hold();
    start_appender(&leader, 2);
    wait_until_held();
    must_push(0, 1, 1);
    release();
    flush();
    join_appender(&leader);
    assert_delivered(1);
    assert_true(pthread_equal(backend.groups[1].thread, backend.queue.committer));
    close_queue();
}

static atomic_bool stuck; /* a deliver function */

static void be_stuck(struct pushed *own)
{
    (void)own;
    while (atomic_load(&stuck))
        sched_yield();
}

static void who_commits_while_another_delivers_leaves_deliveries_to_that_one(void **state)
{
    struct appender leader, heir;

    (void)state;
    forget_pushed();
    open_queue(0, 0);
    atomic_store(&stuck, true);
    pushed[0].then = be_stuck;
    must_push(0, 1, 1);
    while (atomic_load(&delivered) == 0)
        sched_yield();
    hold();
    start_appender(&leader, 2);
    wait_until_held();
    must_push(1, 1, 1);
    start_appender(&heir, 4);
    wait_until_arrived(2);
    release();
    join_appender(&leader);
    join_appender(&heir);
    assert_true(pthread_equal(backend.groups[2].thread, heir.thread));
    assert_int_equal(atomic_load(&pushed[1].times), 0);
    atomic_store(&stuck, false);
    flush();
    assert_delivered(2);
    close_queue();
}

static void wait_until_finished(size_t count)
{
    size_t finished;

    do {
        sched_yield();
        pthread_mutex_lock(&backend.queue.mutex);
        finished = backend.queue.finished.count;
        pthread_mutex_unlock(&backend.queue.mutex);
    } while (finished != count);
}

static void what_is_finished_while_an_appender_delivers_is_delivered_by_the_committer(void **state)
{
    struct appender leader, heir;

    (void)state;
    forget_pushed();
    open_queue(0, 0);
    atomic_store(&stuck, true);
    pushed[0].then = be_stuck;
    hold();
    start_appender(&leader, 2);
    wait_until_held();
    must_push(0, 1, 1);
    start_appender(&heir, 4);
    wait_until_arrived(2);
    release();
    while (atomic_load(&delivered) == 0)
        sched_yield();
    must_push(1, 1, 1);
    wait_until_finished(1);
    atomic_store(&stuck, false);
    flush();
    join_appender(&leader);
    join_appender(&heir);
    assert_delivered(2);
    assert_true(pthread_equal(pushed[0].thread, heir.thread));
    assert_true(pthread_equal(pushed[1].thread, backend.queue.committer));
    close_queue();
}

static void a_flush_with_nothing_pushed_returns_and_starts_no_thread(void **state)
{
    (void)state;
    open_queue(0, 0);
    flush();
    assert_false(backend.queue.started);
    close_queue();
}

static void closing_commits_and_delivers_what_is_pushed(void **state)
{
    (void)state;
    forget_pushed();
    open_queue(0, 0);
    for (size_t i = 0; i < 1000; i++)
        must_push(i, 1, 1);
    close_queue();
    assert_delivered(1000);
}

static void push_next(struct pushed *own)
{
    const size_t next = (size_t)(own - pushed) + 1;

    if (next % 50 == 0)
        return;
    pushed[next].then = push_next;
    own->right = own->right && push(next, 1, 1, NULL) == STELE_OK;
}

static void a_deliver_function_may_push_though_the_queue_is_full_and_closing_waits_for_that_too(void **state)
{
    (void)state;
    forget_pushed();
    open_queue(1, 0);
    pushed[0].then = push_next;
    must_push(0, 1, 1);
    pushed[50].then = push_next;
    must_push(50, 1, 1);
    close_queue();
    assert_delivered(100);
}

static void append_inside(struct pushed *own)
{
    own->right = own->right && append_tag(7, 1) && append_tag(8, 1);
}

static void a_deliver_function_may_append(void **state)
{
    (void)state;
    forget_pushed();
    open_queue(1, 0);
    for (size_t i = 0; i < 20; i++)
        pushed[i].then = append_inside;
    for (size_t i = 0; i < 20; i++)
        must_push(i, 1, 1);
    flush();
    assert_delivered(20);
    close_queue();
}

static void flush_inside(struct pushed *own)
{
    own->right = own->right && stele__queue_flush(&backend.queue, NULL) == STELE_INVALID;
}

static void a_flush_in_a_deliver_function_is_refused(void **state)
{
    (void)state;
    forget_pushed();
    open_queue(0, 0);
    pushed[0].then = flush_inside;
    must_push(0, 1, 1);
    flush();
    assert_delivered(1);
    close_queue();
}

static void without_a_thread_nothing_is_pushed(void **state)
{
    stele_error *error = NULL;

    (void)state;
    forget_pushed();
    open_queue(0, 0);
    no_threads = true;
    assert_failure(STELE_NO_MEMORY, push(0, 1, 1, &error), error);
    assert_message(error, "no thread can be started");
    stele_error_free(error);
    no_threads = false;
    assert_int_equal(backend.queue.waiting.count, 0);
    must_push(0, 1, 1);
    flush();
    assert_delivered(1);
    close_queue();
}

/* --- Back-pressure ------------------------------------------------------------------------------ */

static void *push_fifth(void *context)
{
    (void)context;
    push(4, 1, 1, NULL);
    return NULL;
}

static void fill_and_assert_that_one_more_waits(size_t records, size_t bytes)
{
    pthread_t thread;

    forget_pushed();
    hold();
    must_push(0, records, bytes);
    wait_until_held();
    for (size_t i = 1; i < 4; i++)
        must_push(i, records, bytes);
    assert_int_equal(pthread_create(&thread, NULL, push_fifth, NULL), 0);
    wait_until_asking(1);
    assert_int_equal(backend.queue.waiting.count, 3);
    release();
    pthread_join(thread, NULL);
    flush();
    assert_delivered(5);
    assert_int_equal(pushed[4].place, 4);
}

static void who_comes_to_a_full_queue_waits_for_room(void **state)
{
    (void)state;
    open_queue(4, 0);
    fill_and_assert_that_one_more_waits(1, 0);
    close_queue();
    open_queue(0, 4000);
    fill_and_assert_that_one_more_waits(1, 1000);
    close_queue();
}

static void appenders_wait_for_room_in_the_order_of_coming(void **state)
{
    struct appender first, large, small;

    (void)state;
    open_queue(4, 0);
    hold();
    start_appender(&first, 0);
    wait_until_held();
    large = (struct appender){.tag = 2, .records = 4};
    assert_int_equal(pthread_create(&large.thread, NULL, run_appender, &large), 0);
    wait_until_asking(1);
    start_appender(&small, 4); /* would fit, but is behind one who does not */
    wait_until_asking(2);
    assert_int_equal(backend.queue.waiting.count, 0);
    release();
    join_appender(&first);
    join_appender(&large);
    join_appender(&small);
    assert_int_equal(backend.group_count, 3);
    assert_group(1, 1, 2, 2);
    assert_group(2, 1, 4, 4);
    close_queue();
}

static void what_is_larger_than_the_queue_goes_alone(void **state)
{
    (void)state;
    forget_pushed();
    open_queue(4, 100);
    assert_true(append_tag(2, 50));
    must_push(0, 1, 1000);
    must_push(1, 10, 10);
    flush();
    assert_delivered(2);
    close_queue();
}

static void an_append_without_events_is_held_too(void **state)
{
    (void)state;
    open_queue(4, 0);
    fill_and_assert_that_one_more_waits(0, 0);
    close_queue();
}

/* --- All at once ------------------------------------------------------------------------------------ */

enum { THREADS = 16, EACH = 1500 };

struct crowd {
    pthread_t thread;
    size_t number;
    size_t wrong;
};

/* Every third append is pushed, into places of the thread's own. */
static void *run_crowd(void *context)
{
    struct crowd *crowd = context;

    for (size_t i = 0; i < EACH; i++) {
        const size_t tag = crowd->number * EACH + i;

        if (i % 3 == 0)
            crowd->wrong += push(tag, 1, 10, NULL) != STELE_OK;
        else
            crowd->wrong += !append_tag(tag, 1 + i % 5);
    }
    return NULL;
}

static void assert_pushed_of(size_t number)
{
    size_t before = 0;

    for (size_t i = 0; i < EACH; i += 3) {
        const struct pushed *own = &pushed[number * EACH + i];

        assert_int_equal(atomic_load(&own->times), 1);
        assert_true(own->right);
        assert_true(i == 0 || own->place > before);
        before = own->place;
    }
}

static void run_a_crowd(size_t events_limit)
{
    struct crowd crowds[THREADS];
    size_t leaders = 0;

    forget_pushed();
    open_queue(events_limit, 0);
    for (size_t i = 0; i < THREADS; i++) {
        crowds[i] = (struct crowd){.number = i};
        assert_int_equal(pthread_create(&crowds[i].thread, NULL, run_crowd, &crowds[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(crowds[i].thread, NULL);
        assert_int_equal(crowds[i].wrong, 0);
    }
    flush();
    assert_false(atomic_load(&delivered_at_once));
    for (size_t i = 0; i < THREADS; i++)
        assert_pushed_of(i);
    for (size_t i = 1; i < backend.group_count && i < GROUPS_MAX; i++)
        leaders += !pthread_equal(backend.groups[i].thread, backend.groups[i - 1].thread);
    assert_true(leaders > 1);
    assert_int_equal(backend.queue.events, 0);
    assert_int_equal(backend.queue.waiting.count, 0);
    close_queue();
}

static void a_crowd_gets_each_its_own_outcomes_in_its_own_order(void **state)
{
    (void)state;
    run_a_crowd(0);
}

static void a_crowd_before_a_small_queue_gets_through(void **state)
{
    (void)state;
    run_a_crowd(8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(a_thread_alone_commits_at_once_in_itself_and_starts_no_other),
        support_test(who_comes_during_a_commit_is_committed_in_one_group_led_by_one_of_them),
        support_test(a_group_has_at_most_256_members),
        support_test(a_group_has_at_most_the_events_of_a_batch),
        support_test(a_group_has_at_most_the_bytes_of_a_batch),
        support_test(a_thread_behind_many_leads_until_its_own_is_committed_and_delivers_what_it_committed),
        support_test(what_is_pushed_is_committed_and_delivered_once_and_in_order),
        support_test(what_is_pushed_while_a_thread_leads_is_committed_after_it),
        support_test(who_commits_while_another_delivers_leaves_deliveries_to_that_one),
        support_test(what_is_finished_while_an_appender_delivers_is_delivered_by_the_committer),
        support_test(a_flush_with_nothing_pushed_returns_and_starts_no_thread),
        support_test(closing_commits_and_delivers_what_is_pushed),
        support_test(a_deliver_function_may_push_though_the_queue_is_full_and_closing_waits_for_that_too),
        support_test(a_deliver_function_may_append),
        support_test(a_flush_in_a_deliver_function_is_refused),
        support_test(without_a_thread_nothing_is_pushed),
        support_test(who_comes_to_a_full_queue_waits_for_room),
        support_test(appenders_wait_for_room_in_the_order_of_coming),
        support_test(what_is_larger_than_the_queue_goes_alone),
        support_test(an_append_without_events_is_held_too),
        support_test(a_crowd_gets_each_its_own_outcomes_in_its_own_order),
        support_test(a_crowd_before_a_small_queue_gets_through),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
