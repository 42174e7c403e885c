/*
 * The bus: what a publish, a request, a mailbox and an interceptor cost.
 *
 * Inline cases count nanoseconds of one call, against the least that a bus must
 * do (look the type up in a hash map under a read lock, call each subscriber)
 * and, where GLib is there, against g_signal_emit(). Cases between threads are
 * compared with handing bare pointers through a queue of mutex and condition
 * variable, and with waking a thread through a futex.
 */
#include "bench/bench.h"

#include <stele/bus.h>
#include <stele/intercept.h>
#include <stele/observe.h>

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/futex.h"
#include "base/map.h"
#include "base/text.h"

#ifdef HAVE_GOBJECT
#include <glib-object.h>
#endif

enum {
    CALLS = 300000,
    SUBSCRIBERS_MAX = 100,
    PRODUCERS = 8,
    WORKERS = 2,
    LETTERS_EACH = 50000,
    ROUND_TRIPS_ASLEEP = 3000,
    ROUND_TRIPS_AWAKE = 100000,
    PAUSE_ASLEEP = 200000, /* nanoseconds in which whoever spins falls asleep */
    INTERCEPTORS = 100,
    OBSERVERS = 50,
    ROUTES = 1000,
    QUEUED = 100000
};

#define MEASURED(FIELD, T) FIELD(T, INT64, value)
STELE_DECLARE(measured, MEASURED);
STELE_DECLARE(derived, MEASURED);
STELE_DECLARE(concluded, MEASURED);
STELE_DECLARE(ask, MEASURED);
STELE_DECLARE(answer, MEASURED);
STELE_DEFINE_EVENT(measured, "bench.measured", 1, MEASURED);
STELE_DEFINE_EVENT(derived, "bench.derived", 1, MEASURED);
STELE_DEFINE_EVENT(concluded, "bench.concluded", 1, MEASURED);
STELE_DEFINE_COMMAND(ask, "bench.ask", 1, MEASURED);
STELE_DEFINE_REPLY(answer, "bench.answer", 1, MEASURED);

static atomic_uint_fast64_t handled;

/* `error` (may be NULL) is looked at after the call that fills it. */
static void must(stele_status status, stele_error *const *error)
{
    if (status == STELE_OK)
        return;
    fprintf(stderr, "bench: %s\n", error && *error ? stele_error_message(*error) : stele_status_text(status));
    exit(EXIT_FAILURE);
}

/* --- Handlers ---------------------------------------------------------------------- */

static uint64_t touched;

static stele_status touch(void *resource, const stele_message *message, stele_context *context)
{
    (void)resource;
    (void)message;
    (void)context;
    touched++;
    return STELE_OK;
}

static stele_status count(void *resource, const stele_message *message, stele_context *context)
{
    (void)resource;
    (void)message;
    (void)context;
    atomic_fetch_add_explicit(&handled, 1, memory_order_relaxed);
    return STELE_OK;
}

static stele_status derive(const struct measured *event, stele_context *context)
{
    return STELE_PUBLISH(context, derived, event->value + 1);
}
STELE_DEFINE_HANDLER(derive, measured)

static stele_status conclude(const struct derived *event, stele_context *context)
{
    return STELE_PUBLISH(context, concluded, event->value + 1);
}
STELE_DEFINE_HANDLER(conclude, derived)

static stele_status reply_typed(const struct ask *question, stele_context *context)
{
    return STELE_REPLY(context, answer, question->value + 1);
}
STELE_DEFINE_HANDLER(reply_typed, ask)

/* The reply made before: what is measured is the way there and back. */
static stele_status reply_ready(void *resource, const stele_message *message, stele_context *context)
{
    (void)message;
    return stele_context_send(context, resource);
}

/* --- A bus for a case ---------------------------------------------------------------- */

struct subject {
    stele_runtime *runtime;
    stele_bus *bus;
    stele_message *message;
    stele_message *ready;
    struct stele_route routes[SUBSCRIBERS_MAX];
    char names[SUBSCRIBERS_MAX][24];
    size_t route_count;
};

static void open_subject(struct subject *subject, unsigned threads)
{
    const struct measured event = {1};
    stele_error *error = NULL;

    memset(subject, 0, sizeof(*subject));
    must(stele_runtime_new(threads, NULL, &subject->runtime, &error), &error);
    must(stele_bus_new(subject->runtime, NULL, &subject->bus, &error), &error);
    must(measured_message(&event, NULL, &subject->message, &error), &error);
}

static void close_subject(struct subject *subject)
{
    stele_bus_free(subject->bus);
    stele_runtime_free(subject->runtime);
    stele_message_unref(subject->message);
    stele_message_unref(subject->ready);
}

static void add_route(struct subject *subject, const char *on, stele_handle *handle, enum stele_delivery delivery,
                      void *resource)
{
    struct stele_route *route = &subject->routes[subject->route_count];
    stele_error *error = NULL;

    snprintf(subject->names[subject->route_count], sizeof(subject->names[0]), "route-%zu", subject->route_count);
    *route = (struct stele_route){.name = subject->names[subject->route_count],
                                  .on = on,
                                  .handle = handle,
                                  .delivery = delivery,
                                  .capacity = delivery == STELE_QUEUED ? (size_t)PRODUCERS * LETTERS_EACH : 0};
    subject->route_count++;
    must(stele_bus_add_route(subject->bus, route, resource, NULL, &error), &error);
}

static double nanoseconds_each(double since, double calls)
{
    return (bench_seconds() - since) * 1e9 / calls;
}

/* --- Inline publishing ------------------------------------------------------------------ */

struct fan {
    struct subject subject;
    struct stele__map map; /* the floor's: type name -> list of subscribers */
    pthread_rwlock_t lock;
    stele_handle *subscribers[SUBSCRIBERS_MAX];
    size_t count;
};

static void open_fan(struct fan *fan, size_t subscribers)
{
    memset(fan, 0, sizeof(*fan));
    open_subject(&fan->subject, 0);
    pthread_rwlock_init(&fan->lock, NULL);
    stele__map_init(&fan->map);
    fan->count = subscribers;
    for (size_t i = 0; i < subscribers; i++) {
        add_route(&fan->subject, "bench.measured", touch, STELE_INLINE, NULL);
        fan->subscribers[i] = touch;
    }
    if (!stele__map_put(&fan->map, stele__slice("bench.measured"), fan))
        must(STELE_NO_MEMORY, NULL);
}

static void close_fan(struct fan *fan)
{
    stele__map_fini(&fan->map);
    pthread_rwlock_destroy(&fan->lock);
    close_subject(&fan->subject);
}

static double publish(void *context)
{
    struct fan *fan = context;
    const double since = bench_seconds();

    for (int i = 0; i < CALLS; i++)
        stele_publish(fan->subject.bus, fan->subject.message, NULL, NULL);
    return nanoseconds_each(since, CALLS);
}

static double publish_floor(void *context)
{
    struct fan *fan = context;
    const double since = bench_seconds();

    for (int i = 0; i < CALLS; i++) {
        const struct fan *found;

        pthread_rwlock_rdlock(&fan->lock);
        found = stele__map_get(&fan->map, stele_message_type(fan->subject.message));
        for (size_t s = 0; s < found->count; s++)
            found->subscribers[s](NULL, fan->subject.message, NULL);
        pthread_rwlock_unlock(&fan->lock);
    }
    return nanoseconds_each(since, CALLS);
}

#ifdef HAVE_GOBJECT
static void touch_signal(GObject *object, gpointer message, gpointer unused)
{
    (void)object;
    (void)message;
    (void)unused;
    touched++;
}

static double emit_signal(void *context)
{
    struct fan *fan = context;
    static guint signal;
    GObject *object = g_object_new(G_TYPE_OBJECT, NULL);
    double since;

    if (!signal)
        signal = g_signal_new("measured", G_TYPE_OBJECT, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 1,
                              G_TYPE_POINTER);
    for (size_t i = 0; i < fan->count; i++)
        g_signal_connect(object, "measured", G_CALLBACK(touch_signal), NULL);
    since = bench_seconds();
    for (int i = 0; i < CALLS / 10; i++)
        g_signal_emit(object, signal, 0, fan->subject.message);
    since = nanoseconds_each(since, CALLS / 10.0);
    g_object_unref(object);
    return since;
}
#endif

static void run_publishing(struct bench *bench)
{
    static const struct {
        size_t subscribers;
        double most;      /* nanoseconds */
        double of_signal; /* at most this part of g_signal_emit() */
    } cases[] = {{1, 30, 1 / 2.5}, {10, 45, 1.0 / 11}, {100, 250, 1.0 / 18}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char name[48];
        struct fan fan;
        struct bench_case entry = {name, "ns", publish, NULL, &fan, {.at_most = cases[i].most}};

        open_fan(&fan, cases[i].subscribers);
        snprintf(name, sizeof(name), "publish_%zu", cases[i].subscribers);
        bench_run(bench, &entry);
        snprintf(name, sizeof(name), "publish_%zu_against_floor", cases[i].subscribers);
        entry.other = publish_floor;
        entry.goal = (struct bench_goal){0};
        bench_run(bench, &entry);
#ifdef HAVE_GOBJECT
        snprintf(name, sizeof(name), "publish_%zu_against_gsignal", cases[i].subscribers);
        entry.other = emit_signal;
        entry.goal.at_most = cases[i].of_signal;
        bench_run(bench, &entry);
#endif
        close_fan(&fan);
    }
}

static double publish_rate(void *context)
{
    return 1e3 / publish(context);
}

/* --- Requests and chains ------------------------------------------------------------------- */

static double request(void *context)
{
    struct subject *subject = context;
    const double since = bench_seconds();

    for (int i = 0; i < CALLS; i++) {
        stele_message *reply = NULL;

        must(stele_request(subject->bus, subject->message, NULL, &reply, NULL), NULL);
        stele_message_unref(reply);
    }
    return nanoseconds_each(since, CALLS);
}

static double deliver(void *context)
{
    struct subject *subject = context;
    const double since = bench_seconds();

    for (int i = 0; i < CALLS; i++)
        must(stele_deliver(subject->bus, subject->message, NULL, NULL, NULL), NULL);
    return nanoseconds_each(since, CALLS);
}

static double command_rate(void *context)
{
    return 1e3 / deliver(context);
}

static void run_requests(struct bench *bench)
{
    const struct ask question = {1};
    const struct answer ready = {2};
    struct subject subject;

    open_subject(&subject, 0);
    stele_message_unref(subject.message);
    must(ask_message(&question, NULL, &subject.message, NULL), NULL);
    must(answer_message(&ready, NULL, &subject.ready, NULL), NULL);
    add_route(&subject, "bench.ask", reply_ready, STELE_INLINE, subject.ready);
    bench_run(bench, &(struct bench_case){"request_same_thread", "ns", request, NULL, &subject, {.at_most = 150}});
    bench_run(bench, &(struct bench_case){"unit_commands", "M/s", command_rate, NULL, &subject, {.at_least = 1}});
    close_subject(&subject);

    open_subject(&subject, 0);
    stele_message_unref(subject.message);
    must(ask_message(&question, NULL, &subject.message, NULL), NULL);
    add_route(&subject, "bench.ask", reply_typed_handle, STELE_INLINE, NULL);
    bench_run(bench, &(struct bench_case){"request_building_the_reply", "ns", request, NULL, &subject, {.at_most = 0}});
    close_subject(&subject);

    open_subject(&subject, 0);
    add_route(&subject, "bench.measured", derive_handle, STELE_INLINE, NULL);
    add_route(&subject, "bench.derived", conclude_handle, STELE_INLINE, NULL);
    add_route(&subject, "bench.concluded", touch, STELE_INLINE, NULL);
    bench_run(bench, &(struct bench_case){"chain_of_3", "ns", deliver, NULL, &subject, {.at_most = 500}});
    close_subject(&subject);
}

/* --- Between threads -------------------------------------------------------------------------- */

/* The bare queue: pointers through a ring under a mutex. */
struct bare_queue {
    pthread_mutex_t mutex;
    pthread_cond_t filled;
    const void *ring[1024];
    size_t first, count;
    bool is_closed;
    pthread_cond_t emptied;
};

static void bare_put(struct bare_queue *queue, const void *pointer)
{
    pthread_mutex_lock(&queue->mutex);
    while (queue->count == 1024)
        pthread_cond_wait(&queue->emptied, &queue->mutex);
    queue->ring[(queue->first + queue->count++) % 1024] = pointer;
    pthread_cond_signal(&queue->filled);
    pthread_mutex_unlock(&queue->mutex);
}

static bool bare_take(struct bare_queue *queue)
{
    bool is_taken;

    pthread_mutex_lock(&queue->mutex);
    while (queue->count == 0 && !queue->is_closed)
        pthread_cond_wait(&queue->filled, &queue->mutex);
    is_taken = queue->count > 0;
    if (is_taken) {
        queue->first = (queue->first + 1) % 1024;
        queue->count--;
        pthread_cond_signal(&queue->emptied);
    }
    pthread_mutex_unlock(&queue->mutex);
    return is_taken;
}

static void *bare_produce(void *context)
{
    struct bare_queue *queue = context;

    for (int i = 0; i < LETTERS_EACH; i++)
        bare_put(queue, queue);
    return NULL;
}

static void *bare_consume(void *context)
{
    struct bare_queue *queue = context;
    uint64_t taken = 0;

    while (bare_take(queue))
        taken++;
    atomic_fetch_add(&handled, taken);
    return NULL;
}

static void start_all(pthread_t *threads, size_t how_many, void *(*run)(void *), void *context)
{
    for (size_t i = 0; i < how_many; i++)
        must(pthread_create(&threads[i], NULL, run, context) == 0 ? STELE_OK : STELE_IO, NULL);
}

static void join_all(const pthread_t *threads, size_t how_many)
{
    for (size_t i = 0; i < how_many; i++)
        pthread_join(threads[i], NULL);
}

/* Messages a second. */
static double bare_handover(void *context)
{
    struct bare_queue queue = {
        .mutex = PTHREAD_MUTEX_INITIALIZER, .filled = PTHREAD_COND_INITIALIZER, .emptied = PTHREAD_COND_INITIALIZER};
    pthread_t producers[PRODUCERS];
    pthread_t consumers[WORKERS];
    const double since = bench_seconds();

    (void)context;
    start_all(consumers, WORKERS, bare_consume, &queue);
    start_all(producers, PRODUCERS, bare_produce, &queue);
    join_all(producers, PRODUCERS);
    pthread_mutex_lock(&queue.mutex);
    queue.is_closed = true;
    pthread_cond_broadcast(&queue.filled);
    pthread_mutex_unlock(&queue.mutex);
    join_all(consumers, WORKERS);
    return (double)PRODUCERS * LETTERS_EACH / (bench_seconds() - since);
}

static void *produce(void *context)
{
    struct subject *subject = context;

    for (int i = 0; i < LETTERS_EACH; i++)
        must(stele_publish(subject->bus, subject->message, NULL, NULL), NULL);
    return NULL;
}

static double mailbox_handover(void *context)
{
    struct subject *subject = context;
    pthread_t producers[PRODUCERS];
    const double since = bench_seconds();

    start_all(producers, PRODUCERS, produce, subject);
    join_all(producers, PRODUCERS);
    stele_runtime_run_until_idle(subject->runtime);
    return (double)PRODUCERS * LETTERS_EACH / (bench_seconds() - since);
}

struct ping_pong {
    struct stele__futex ping, pong;
    atomic_uint turn; /* even: the first thread's */
    unsigned trips;
};

static void *return_pings(void *context)
{
    struct ping_pong *game = context;

    for (unsigned i = 0; i < game->trips; i++) {
        for (;;) {
            const uint32_t seen = stele__futex_read(&game->ping);

            if (atomic_load(&game->turn) == 2 * i + 1)
                break;
            stele__futex_wait(&game->ping, seen);
        }
        atomic_store(&game->turn, 2 * i + 2);
        stele__futex_wake(&game->pong);
    }
    return NULL;
}

static double futex_ping_pong(void *context)
{
    const struct stele_clock *clock = stele_clock_system();
    struct ping_pong game = {.trips = ROUND_TRIPS_ASLEEP};
    pthread_t peer;
    double spent = 0;

    (void)context;
    must(stele__futex_init(&game.ping) && stele__futex_init(&game.pong) ? STELE_OK : STELE_IO, NULL);
    start_all(&peer, 1, return_pings, &game);
    for (unsigned i = 0; i < game.trips; i++) {
        double since;

        clock->pause(clock->context, PAUSE_ASLEEP);
        since = bench_seconds();
        atomic_store(&game.turn, 2 * i + 1);
        stele__futex_wake(&game.ping);
        for (;;) {
            const uint32_t seen = stele__futex_read(&game.pong);

            if (atomic_load(&game.turn) == 2 * i + 2)
                break;
            stele__futex_wait(&game.pong, seen);
        }
        spent += bench_seconds() - since;
    }
    join_all(&peer, 1);
    stele__futex_fini(&game.ping);
    stele__futex_fini(&game.pong);
    return spent * 1e6 / game.trips;
}

static double request_microseconds(struct subject *subject, unsigned trips, int64_t pause)
{
    const struct stele_clock *clock = stele_clock_system();
    double spent = 0;

    for (unsigned i = 0; i < trips; i++) {
        stele_message *reply = NULL;
        double since;

        if (pause)
            clock->pause(clock->context, pause);
        since = bench_seconds();
        must(stele_request(subject->bus, subject->message, NULL, &reply, NULL), NULL);
        spent += bench_seconds() - since;
        stele_message_unref(reply);
    }
    return spent * 1e6 / trips;
}

static double request_awake(void *context)
{
    return request_microseconds(context, ROUND_TRIPS_AWAKE, 0);
}

static double request_asleep(void *context)
{
    return request_microseconds(context, ROUND_TRIPS_ASLEEP, PAUSE_ASLEEP);
}

static void run_threads(struct bench *bench)
{
    const struct ask question = {1};
    const struct answer ready = {2};
    struct subject subject;

    open_subject(&subject, WORKERS);
    add_route(&subject, "bench.measured", count, STELE_QUEUED, NULL);
    bench_run(bench, &(struct bench_case){"mailbox_8_producers_2_workers",
                                          "messages/s",
                                          mailbox_handover,
                                          bare_handover,
                                          &subject,
                                          {.at_least = 0.35}});
    close_subject(&subject);

    open_subject(&subject, 1);
    stele_message_unref(subject.message);
    must(ask_message(&question, NULL, &subject.message, NULL), NULL);
    must(answer_message(&ready, NULL, &subject.ready, NULL), NULL);
    add_route(&subject, "bench.ask", reply_ready, STELE_QUEUED, subject.ready);
    bench_run(bench,
              &(struct bench_case){"request_to_a_thread_awake", "us", request_awake, NULL, &subject, {.at_most = 0.6}});
    bench_run(bench,
              &(struct bench_case){
                  "request_to_a_thread_asleep", "us", request_asleep, futex_ping_pong, &subject, {.at_most = 1.2}});
    close_subject(&subject);
}

/* --- Interceptors and observers ------------------------------------------------------------------ */

static struct stele_answer proceed(void *state, enum stele_point point, stele_call *call)
{
    (void)state;
    (void)point;
    (void)call;
    touched++;
    return stele_proceed();
}

static void see(void *context, const struct stele_observation *observation)
{
    (void)context;
    (void)observation;
    atomic_fetch_add_explicit(&handled, 1, memory_order_relaxed);
}

struct crowd {
    struct subject subject;
    struct stele_interceptor interceptors[INTERCEPTORS];
    struct stele_observer observers[OBSERVERS];
    char names[INTERCEPTORS][24];
};

/* Of a publish with them, less one without. */
static double added_microseconds(void *context)
{
    struct crowd *crowd = context;
    double since = bench_seconds();
    double with;

    for (int i = 0; i < CALLS / 30; i++) {
        stele_publish(crowd->subject.bus, crowd->subject.message, NULL, NULL);
        if (i % 256 == 0) {
            const double pause = bench_seconds();

            stele_bus_flush_observers(crowd->subject.bus, 10000, NULL);
            since += bench_seconds() - pause;
        }
    }
    with = nanoseconds_each(since, CALLS / 30.0);
    return with / 1e3;
}

static void run_crowds(struct bench *bench)
{
    static const struct stele_interceptor_kind kind = {.name = "proceed", .points = STELE_AT_HANDLE, .ask = proceed};
    struct crowd crowd;
    stele_error *error = NULL;

    open_subject(&crowd.subject, 0);
    add_route(&crowd.subject, "bench.measured", touch, STELE_INLINE, NULL);
    for (size_t i = 0; i < INTERCEPTORS; i++) {
        snprintf(crowd.names[i], sizeof(crowd.names[i]), "interceptor-%zu", i);
        crowd.interceptors[i] = (struct stele_interceptor){.name = crowd.names[i], .kind = &kind};
        must(stele_bus_add_interceptor(crowd.subject.bus, &crowd.interceptors[i], &error), &error);
    }
    bench_run(bench,
              &(struct bench_case){"interceptors_100", "us", added_microseconds, NULL, &crowd, {.at_most = 0.5}});
    close_subject(&crowd.subject);

    open_subject(&crowd.subject, 1);
    add_route(&crowd.subject, "bench.measured", touch, STELE_INLINE, NULL);
    for (size_t i = 0; i < OBSERVERS; i++) {
        crowd.observers[i] =
            (struct stele_observer){.name = crowd.names[i], .kinds = STELE_SEEN_HANDLED, .see = see, .capacity = 1024};
        must(stele_bus_add_observer(crowd.subject.bus, &crowd.observers[i], NULL, &error), &error);
    }
    bench_run(bench, &(struct bench_case){"observers_50", "us", added_microseconds, NULL, &crowd, {.at_most = 2}});
    close_subject(&crowd.subject);
}

/* --- Memory ------------------------------------------------------------------------------------------ */

static double bytes_of_idle_routes(void *context)
{
    struct stele_route *routes = context;
    char(*names)[24] = calloc(ROUTES, sizeof(*names));
    stele_runtime *runtime = NULL;
    stele_bus *bus = NULL;
    size_t before;
    double bytes;

    must(names ? STELE_OK : STELE_NO_MEMORY, NULL);
    must(stele_runtime_new(0, NULL, &runtime, NULL), NULL);
    must(stele_bus_new(runtime, NULL, &bus, NULL), NULL);
    before = stele_memory_in_use();
    for (size_t i = 0; i < ROUTES; i++) {
        snprintf(names[i], sizeof(names[i]), "bench.type-%zu", i);
        routes[i] = (struct stele_route){.name = names[i], .on = names[i], .handle = count, .delivery = STELE_QUEUED};
        must(stele_bus_add_route(bus, &routes[i], NULL, NULL, NULL), NULL);
    }
    bytes = (double)(stele_memory_in_use() - before) / ROUTES;
    stele_bus_free(bus);
    stele_runtime_free(runtime);
    free(names);
    return bytes;
}

/* MiB of messages that wait, the messages themselves included. */
static double memory_of_queued(void *context)
{
    struct subject subject;
    const size_t before = stele_memory_in_use();
    double bytes;

    (void)context;
    open_subject(&subject, 0);
    add_route(&subject, "bench.measured", count, STELE_QUEUED, NULL);
    for (int64_t i = 0; i < QUEUED; i++) {
        const struct measured event = {i};
        stele_message *message = NULL;

        must(measured_message(&event, NULL, &message, NULL), NULL);
        must(stele_publish(subject.bus, message, NULL, NULL), NULL);
        stele_message_unref(message);
    }
    bytes = (double)(stele_memory_in_use() - before);
    stele_runtime_run_until_idle(subject.runtime);
    close_subject(&subject);
    return bytes / (1024 * 1024);
}

static void run_memory(struct bench *bench)
{
    struct stele_route *routes = calloc(ROUTES, sizeof(*routes));

    must(routes ? STELE_OK : STELE_NO_MEMORY, NULL);
    bench_run(bench, &(struct bench_case){"idle_route", "bytes", bytes_of_idle_routes, NULL, routes, {.at_most = 512}});
    bench_run(bench, &(struct bench_case){"queued_100000", "MiB", memory_of_queued, NULL, NULL, {.at_most = 32}});
    free(routes);
}

int main(int argc, char **argv)
{
    struct bench bench;
    struct fan one;

    bench_open(&bench, argc, argv, "What a publish, a request, a mailbox and an interceptor cost.");
    run_publishing(&bench);
    open_fan(&one, 1);
    bench_run(&bench, &(struct bench_case){"publish_rate", "M/s", publish_rate, NULL, &one, {.at_least = 8}});
    close_fan(&one);
    run_requests(&bench);
    run_threads(&bench);
    run_crowds(&bench);
    run_memory(&bench);
    bench_close(&bench);
    return EXIT_SUCCESS;
}
