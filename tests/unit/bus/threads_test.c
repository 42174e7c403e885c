/* A bus used by many threads at once; run under ThreadSanitizer. */
#include "tests/unit/bus/fixture.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { THREADS = 8, EACH = 1250 };

static uint64_t counter; /* without a lock: its route is one at a time */
static int64_t last_of[THREADS];
static unsigned out_of_order;

static stele_status count(const struct note *read, stele_context *context)
{
    const int thread = read->text[0] - '0';

    (void)context;
    counter++;
    if (read->number <= last_of[thread])
        out_of_order++;
    last_of[thread] = read->number;
    return STELE_OK;
}
STELE_DEFINE_HANDLER(count, note);

static void publish_number(int thread, int64_t number)
{
    char text[2] = {(char)('0' + thread), '\0'};
    const struct note payload = {.text = text, .number = number};
    stele_message *message = NULL;

    if (note_message(&payload, NULL, &message, NULL) == STELE_OK)
        stele_publish(fixture_bus, message, NULL, NULL);
    stele_message_unref(message);
}

static void *produce(void *context)
{
    const int thread = (int)(intptr_t)context;

    for (int64_t i = 1; i <= EACH; i++)
        publish_number(thread, i);
    return NULL;
}

static void run_threads(void *(*run)(void *))
{
    pthread_t threads[THREADS];

    for (intptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run, (void *)i), 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void FWK06_a_counter_without_a_lock_stays_exact(void **state)
{
    static const struct stele_route route = {
        .name = "r", .type = &note_type, .handle = count_handle, .delivery = STELE_QUEUED};

    (void)state;
    counter = out_of_order = 0;
    memset(last_of, 0, sizeof(last_of));
    fixture_add(&route, NULL);
    run_threads(produce);
    fixture_run();
    assert_int_equal(counter, THREADS * EACH);
    assert_int_equal(out_of_order, 0);
}

enum { SENDERS = 3, ROUNDS = 3000 };

static pthread_barrier_t round_begins;
static atomic_uint refused;

static void *send_in_rounds(void *context)
{
    stele_message *message = fixture_event("full");

    (void)context;
    for (int i = 0; i < 2 * ROUNDS; i++) {
        if (i % 2 == 0)
            pthread_barrier_wait(&round_begins);
        if (stele_publish(fixture_bus, message, NULL, NULL) != STELE_OK)
            atomic_fetch_add(&refused, 1);
    }
    stele_message_unref(message);
    return NULL;
}

static stele_status do_nothing(void *resource, const stele_message *message, stele_context *context)
{
    (void)resource;
    (void)message;
    (void)context;
    return STELE_OK;
}

/* Each round's last one has nobody behind it who would wake it. */
static void who_waits_for_room_is_called_when_there_is_some(void **state)
{
    static const struct stele_route route = {
        .name = "full", .on = "full", .handle = do_nothing, .delivery = STELE_QUEUED, .capacity = 1};
    const struct stele_bus_options options = {.size = sizeof(options), .timeout_ms = 2000};
    pthread_t threads[SENDERS];

    (void)state;
    fixture_renew(&options);
    fixture_add(&route, NULL);
    atomic_store(&refused, 0);
    assert_int_equal(pthread_barrier_init(&round_begins, NULL, SENDERS), 0);
    for (size_t i = 0; i < SENDERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, send_in_rounds, NULL), 0);
    for (size_t i = 0; i < SENDERS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&round_begins);
    assert_int_equal(atomic_load(&refused), 0);
}

static uint64_t counters[THREADS];

static stele_status count_key(const struct note *read, stele_context *context)
{
    (void)context;
    counters[read->text[0] - '0']++;
    return STELE_OK;
}
STELE_DEFINE_HANDLER(count_key, note);

static void partitions_are_one_at_a_time_each(void **state)
{
    static const struct stele_route route = {.name = "r",
                                             .type = &note_type,
                                             .handle = count_key_handle,
                                             .delivery = STELE_QUEUED,
                                             .partition = "text",
                                             .capacity = 64};

    (void)state;
    memset(counters, 0, sizeof(counters));
    fixture_add(&route, NULL);
    run_threads(produce);
    fixture_run();
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(counters[i], EACH);
    assert_int_equal(fixture_stats("r").partitions, 0);
}

static stele_status answer(void *resource, const stele_message *message, stele_context *context)
{
    (void)resource;
    (void)message;
    return STELE_REPLY(context, told, .text = "", .number = 1);
}

static atomic_uint answered;

static void *ask_often(void *context)
{
    const struct ask payload = {.text = "", .number = 1};

    (void)context;
    for (int i = 0; i < 200; i++) {
        stele_message *message = NULL;
        stele_message *reply = NULL;

        if (ask_message(&payload, NULL, &message, NULL) == STELE_OK &&
            stele_request(fixture_bus, message, NULL, &reply, NULL) == STELE_OK)
            atomic_fetch_add(&answered, 1);
        stele_message_unref(message);
        stele_message_unref(reply);
    }
    return NULL;
}

static void requests_of_many_threads_get_their_own_answers(void **state)
{
    static const struct stele_route route = {
        .name = "answer", .type = &ask_type, .handle = answer, .delivery = STELE_QUEUED};

    (void)state;
    atomic_store(&answered, 0);
    fixture_add(&route, NULL);
    run_threads(ask_often);
    assert_int_equal(atomic_load(&answered), THREADS * 200);
}

static atomic_uint stops;

static void count_stop(void *resource)
{
    (void)resource;
    atomic_fetch_add(&stops, 1);
}

static atomic_uint touched;

static stele_status touch(void *resource, const stele_message *message, stele_context *context)
{
    (void)resource;
    (void)message;
    (void)context;
    atomic_fetch_add(&touched, 1);
    return STELE_OK;
}

static void *come_and_go(void *context)
{
    /* A route that is removed is let go of by whoever reads last, perhaps when this thread is gone. */
    static char names[THREADS][16];
    static struct stele_route routes[THREADS][2];
    const intptr_t thread = (intptr_t)context;
    struct stele_route *queued = &routes[thread][0];
    struct stele_route *inlined = &routes[thread][1];

    snprintf(names[thread], sizeof(names[thread]), "r-%d", (int)thread);
    *queued = (struct stele_route){
        .name = names[thread], .on = "x", .handle = touch, .stop = count_stop, .delivery = STELE_QUEUED};
    *inlined = (struct stele_route){.name = names[thread], .on = "x", .handle = touch, .stop = count_stop};
    for (int i = 0; i < 100; i++) {
        stele_message *message = fixture_event("x");
        stele_route_id id = 0;

        if (thread < THREADS / 2)
            stele_bus_add_route(fixture_bus, i % 2 ? inlined : queued, NULL, &id, NULL);
        stele_publish(fixture_bus, message, NULL, NULL);
        if (thread < THREADS / 2) {
            stele_bus_remove_route(fixture_bus, id);
            stele_runtime_run_until_idle(fixture_runtime);
        }
        stele_message_unref(message);
    }
    stele_runtime_run_until_idle(fixture_runtime);
    return NULL;
}

static void routes_come_and_go_while_others_publish(void **state)
{
    (void)state;
    atomic_store(&stops, 0);
    run_threads(come_and_go);
    fixture_renew(NULL);
    assert_int_equal(atomic_load(&stops), THREADS / 2 * 100);
}

static atomic_bool is_released;
static atomic_bool has_begun;

/* Does not return until it is let go: as one that hangs. */
static stele_status hang(void *resource, const stele_message *message, stele_context *context)
{
    (void)resource;
    (void)message;
    atomic_store(&has_begun, true);
    while (!atomic_load(&is_released))
        sched_yield();
    return STELE_REPLY(context, told, .text = "late", .number = 1);
}

static void B4_others_go_on_while_a_handler_hangs(void **state)
{
    static const struct stele_route hanging = {
        .name = "hanging", .type = &ask_type, .handle = hang, .delivery = STELE_QUEUED, .timeout_ms = 20};
    static const struct stele_route other = {.name = "other", .on = "x", .handle = touch, .delivery = STELE_QUEUED};
    stele_message *question = fixture_message(STELE_QUERY, "note.ask", "", 1);
    stele_message *event = fixture_event("x");
    stele_message *reply = NULL;
    stele_error *error = NULL;

    (void)state;
    atomic_store(&is_released, false);
    fixture_add(&hanging, NULL);
    fixture_add(&other, NULL);
    assert_failure(STELE_TIMEOUT, stele_request(fixture_bus, question, NULL, &reply, &error), error);
    assert_string_equal(stele_error_get(error, "route"), "hanging");
    stele_error_free(error);
    error = NULL;
    assert_ok(stele_deliver(fixture_bus, event, NULL, NULL, &error), error);
    assert_int_equal(fixture_stats("hanging").running, 1);
    atomic_store(&is_released, true);
    fixture_run();
    assert_int_equal(fixture_stats("hanging").late, 1);
    stele_message_unref(question);
    stele_message_unref(event);
}

static void *stop_late(void *context)
{
    const struct stele_send_options options = {.size = sizeof(options), .timeout_ms = 600000};
    stele_message *question = fixture_message(STELE_QUERY, "note.ask", "", 1);
    stele_message *reply = NULL;
    stele_status *status = context;

    *status = stele_request(fixture_bus, question, &options, &reply, NULL);
    stele_message_unref(question);
    return NULL;
}

static void B10_who_waits_is_answered_when_the_bus_stops(void **state)
{
    static const struct stele_route hanging = {
        .name = "hanging", .type = &ask_type, .handle = hang, .delivery = STELE_QUEUED};
    struct stele_stopped stopped;
    stele_status status = STELE_OK;
    stele_error *error = NULL;
    pthread_t thread;

    (void)state;
    atomic_store(&is_released, false);
    atomic_store(&has_begun, false);
    fixture_add(&hanging, NULL);
    assert_int_equal(pthread_create(&thread, NULL, stop_late, &status), 0);
    while (!atomic_load(&has_begun))
        sched_yield();
    assert_status(STELE_TIMEOUT, stele_bus_stop(fixture_bus, 10, &stopped, &error), error);
    pthread_join(thread, NULL);
    assert_int_equal(status, STELE_SHUTDOWN);
    assert_int_equal(stopped.running, 1);
    assert_string_equal(stopped.routes, "hanging");
    atomic_store(&is_released, true);
    fixture_run();
}

/* One that both runs and has messages waiting. */
static void B10_a_route_is_named_once_in_what_was_not_done(void **state)
{
    static const struct stele_route hanging = {.name = "hanging", .on = "x", .handle = hang, .delivery = STELE_QUEUED};
    struct stele_stopped stopped;
    stele_error *error = NULL;

    (void)state;
    atomic_store(&is_released, false);
    atomic_store(&has_begun, false);
    fixture_add(&hanging, NULL);
    fixture_publish("x");
    fixture_publish("x");
    while (!atomic_load(&has_begun))
        sched_yield();
    assert_status(STELE_TIMEOUT, stele_bus_stop(fixture_bus, 10, &stopped, &error), error);
    assert_int_equal(stopped.discarded, 1);
    assert_int_equal(stopped.running, 1);
    assert_string_equal(stopped.routes, "hanging");
    atomic_store(&is_released, true);
    fixture_run();
}

static void *publish_until_refused(void *context)
{
    stele_message *message = fixture_event("x");

    (void)context;
    while (stele_publish(fixture_bus, message, NULL, NULL) != STELE_SHUTDOWN)
        continue;
    stele_message_unref(message);
    return NULL;
}

static void deliver_one(void)
{
    stele_message *message = fixture_event("x");

    stele_deliver(fixture_bus, message, NULL, NULL, NULL);
    stele_message_unref(message);
}

/* Who delivers may be back before the thread that handled has left the route, and with it the bus. */
static void a_bus_is_freed_behind_what_a_removed_route_does(void **state)
{
    static const struct stele_route queued = {
        .name = "queued", .on = "x", .handle = touch, .delivery = STELE_QUEUED, .stop = count_stop};

    (void)state;
    atomic_store(&stops, 0);
    for (int round = 0; round < 3000; round++) {
        const stele_route_id id = fixture_add(&queued, NULL);

        deliver_one();
        assert_true(stele_bus_remove_route(fixture_bus, id));
        fixture_renew(NULL);
    }
    stele_runtime_run_until_idle(fixture_runtime);
    assert_int_equal(atomic_load(&stops), 3000);
}

static stele_status overrun(void *resource, const stele_message *message, stele_context *context)
{
    (void)resource;
    (void)message;
    while (!stele_context_is_cancelled(context))
        continue;
    return STELE_OK;
}

/* The timer that tells of an overrun may still be at it. */
static void a_bus_is_freed_behind_a_call_that_overran(void **state)
{
    static const struct stele_route slow = {
        .name = "slow", .on = "x", .handle = overrun, .delivery = STELE_QUEUED, .timeout_ms = 1};

    (void)state;
    for (int round = 0; round < 300; round++) {
        fixture_add(&slow, NULL);
        deliver_one();
        fixture_renew(NULL);
    }
}

/* What comes while its mailboxes are closed must find none to stay in. */
static void a_paused_route_is_removed_while_others_publish_to_its_partitions(void **state)
{
    static const struct stele_route paused = {
        .name = "paused", .on = "x", .handle = touch, .delivery = STELE_QUEUED, .partition = "number"};
    struct stele_stopped stopped;
    pthread_t threads[THREADS];
    stele_error *error = NULL;

    (void)state;
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, publish_until_refused, NULL), 0);
    for (int round = 0; round < 3000; round++) {
        const stele_route_id id = fixture_add(&paused, NULL);

        assert_ok(stele_bus_pause(fixture_bus, "paused", &error), error);
        assert_true(stele_bus_remove_route(fixture_bus, id));
    }
    assert_ok(stele_bus_stop(fixture_bus, 30000, &stopped, &error), error);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void the_bus_is_freed_behind_the_last_of_many(void **state)
{
    static const struct stele_route queued = {
        .name = "queued", .on = "x", .handle = touch, .delivery = STELE_QUEUED, .stop = count_stop};
    static const struct stele_route inlined = {.name = "inlined", .on = "x", .handle = touch, .stop = count_stop};

    (void)state;
    for (int round = 0; round < 20; round++) {
        pthread_t threads[2];
        const unsigned before = atomic_load(&touched);
        stele_error *error = NULL;

        fixture_renew(NULL);
        fixture_add(&queued, NULL);
        fixture_add(&inlined, NULL);
        for (size_t i = 0; i < 2; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, publish_until_refused, NULL), 0);
        while (atomic_load(&touched) == before)
            sched_yield();
        assert_ok(stele_bus_stop(fixture_bus, 60000, NULL, &error), error);
        for (size_t i = 0; i < 2; i++)
            pthread_join(threads[i], NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_thread_test(FWK06_a_counter_without_a_lock_stays_exact),
        fixture_thread_test(who_waits_for_room_is_called_when_there_is_some),
        fixture_thread_test(partitions_are_one_at_a_time_each),
        fixture_thread_test(requests_of_many_threads_get_their_own_answers),
        fixture_thread_test(routes_come_and_go_while_others_publish),
        fixture_thread_test(B4_others_go_on_while_a_handler_hangs),
        fixture_thread_test(B10_who_waits_is_answered_when_the_bus_stops),
        fixture_thread_test(B10_a_route_is_named_once_in_what_was_not_done),
        fixture_thread_test(a_bus_is_freed_behind_what_a_removed_route_does),
        fixture_thread_test(a_bus_is_freed_behind_a_call_that_overran),
        fixture_thread_test(a_paused_route_is_removed_while_others_publish_to_its_partitions),
        fixture_thread_test(the_bus_is_freed_behind_the_last_of_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
