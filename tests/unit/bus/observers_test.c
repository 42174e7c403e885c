/* Observers: queues, order, overflow, adding and removing, those that hang. Without a bus: notified here. */
#include "tests/unit/bus/registry.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <stele/log.h>
#include <stele/observe.h>
#include <stele/runtime.h>

#include "bus/observers.h"
#include "runtime/runtime.h"

#define SECOND INT64_C(1000000000)

/* --- What is observed here ------------------------------------------------------- */

static void begin_threads(struct registry *registry, unsigned threads)
{
    stele_error *error = NULL;

    assert_ok(stele_runtime_new(threads, NULL, &registry->runtime, &error), error);
    assert_ok(stele__observers_new(registry->runtime, &registry->observers, &error), error);
}

static void notify(struct registry *registry, enum stele_seen seen, const char *type, uint64_t call)
{
    const struct stele_observation observation = {
        .seen = seen, .route = "r", .observed = type, .call = call, .text = "t"};

    stele__observers_notify(registry->observers, &observation);
}

/* An observer that writes down the calls it sees, and with whom it shares what. */
struct witness {
    uint64_t calls[64];
    atomic_size_t count;
    atomic_int freed;
};

static void write_down(void *context, const struct stele_observation *seen)
{
    struct witness *witness = context;
    const size_t count = atomic_load(&witness->count);

    if (count < sizeof(witness->calls) / sizeof(witness->calls[0]))
        witness->calls[count] = seen->call;
    atomic_store(&witness->count, count + 1);
}

static void let_go(void *context)
{
    struct witness *witness = context;

    atomic_fetch_add(&witness->freed, 1);
}

static const struct stele_observer everything = {.name = "all", .see = write_down, .free = let_go};

static void add(struct registry *registry, const struct stele_observer *observer, void *context)
{
    stele_error *error = NULL;

    assert_ok(stele__observers_add(registry->observers, observer, context, &error), error);
}

static struct stele_observer_stats stats_of(struct registry *registry, const char *name)
{
    struct stele_observer_stats stats = {0, 0, 0};
    stele_error *error = NULL;

    assert_ok(stele__observers_stats(registry->observers, name, &stats, &error), error);
    return stats;
}

/* --- Registration ------------------------------------------------------------------ */

static void HEX03_what_is_wrong_with_an_observer_is_said(void **state)
{
    static const struct {
        struct stele_observer observer;
        const char *text;
    } wrong[] = {
        {{.name = NULL, .see = write_down}, "no name"},
        {{.name = "", .see = write_down}, "no name"},
        {{.name = "blind"}, "observer blind: it has no function"},
        {{.name = "odd", .see = write_down, .kinds = 1u << 11}, "observer odd: kinds"},
        {{.name = "odd", .see = write_down, .on = "a..b"}, "observer odd: "},
        {{.name = "odd", .see = write_down, .on = ""}, "observer odd: "},
        {{.name = "odd", .see = write_down, .overflow = (enum stele_observer_overflow)2}, "observer odd: overflow"},
    };
    struct registry registry;
    stele_error *error = NULL;

    (void)state;
    registry_begin(&registry);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_failure(STELE_INVALID, stele__observers_add(registry.observers, &wrong[i].observer, NULL, &error),
                       error);
        assert_message(error, wrong[i].text);
        stele_error_free(error);
        error = NULL;
    }
    registry_finish(&registry);
}

static void HEX03_a_second_observer_of_a_name_is_refused_and_the_first_goes_on(void **state)
{
    struct witness first = {.count = 0}, second = {.count = 0};
    struct registry registry;
    stele_error *error = NULL;

    (void)state;
    registry_begin(&registry);
    add(&registry, &everything, &first);
    assert_failure(STELE_INVALID, stele__observers_add(registry.observers, &everything, &second, &error), error);
    assert_message(error, "observer all: the name is taken");
    stele_error_free(error);
    notify(&registry, STELE_SEEN_HANDLED, "a", 1);
    registry_finish(&registry);
    assert_int_equal(1, first.count);
    assert_int_equal(1, first.freed);
    assert_int_equal(0, second.count);
    assert_int_equal(0, second.freed); /* it stays its caller's */
}

static void HEX04_observers_get_what_their_kinds_and_pattern_say(void **state)
{
    static const struct stele_observer failures = {.name = "failures", .kinds = STELE_SEEN_FAILED, .see = write_down};
    static const struct stele_observer exact = {.name = "exact", .on = "order.paid", .see = write_down};
    static const struct stele_observer level = {.name = "level", .on = "order.*", .see = write_down};
    struct witness of_all = {.count = 0}, of_failures = {.count = 0}, of_exact = {.count = 0}, of_level = {.count = 0};
    struct registry registry;

    (void)state;
    registry_begin(&registry);
    add(&registry, &everything, &of_all);
    add(&registry, &failures, &of_failures);
    add(&registry, &exact, &of_exact);
    add(&registry, &level, &of_level);
    notify(&registry, STELE_SEEN_HANDLED, "order.paid", 1);
    notify(&registry, STELE_SEEN_FAILED, "order.sent", 2);
    notify(&registry, STELE_SEEN_FAILED, "order.sent.late", 3);
    registry_finish(&registry);
    assert_int_equal(3, of_all.count);
    assert_int_equal(2, of_failures.count);
    assert_int_equal(2, of_failures.calls[0]);
    assert_int_equal(1, of_exact.count);
    assert_int_equal(1, of_exact.calls[0]);
    assert_int_equal(2, of_level.count);
    assert_int_equal(2, of_level.calls[1]);
}

static void HEX04_of_twenty_observers_only_the_ten_that_want_it_are_called(void **state)
{
    static const char *const names[20] = {"0",  "1",  "2",  "3",  "4",  "5",  "6",  "7",  "8",  "9",
                                          "10", "11", "12", "13", "14", "15", "16", "17", "18", "19"};
    struct witness witnesses[20] = {{.count = 0}};
    struct registry registry;

    (void)state;
    registry_begin(&registry);
    for (size_t i = 0; i < 20; i++) {
        const struct stele_observer observer = {
            .name = names[i], .kinds = i % 2 ? STELE_SEEN_FAILED : STELE_SEEN_HANDLED, .see = write_down};

        add(&registry, &observer, &witnesses[i]);
    }
    notify(&registry, STELE_SEEN_HANDLED, "a", 1);
    registry_finish(&registry);
    for (size_t i = 0; i < 20; i++)
        assert_int_equal(i % 2 ? 0 : 1, witnesses[i].count);
}

static void HEX12_observers_are_removed_once_and_not_called_again(void **state)
{
    struct witness witness = {.count = 0};
    struct stele_observer_stats stats;
    struct registry registry;
    stele_error *error = NULL;

    (void)state;
    registry_begin(&registry);
    add(&registry, &everything, &witness);
    assert_int_equal(STELE_SEEN_ALL, stele__observers_want(registry.observers));
    assert_true(stele__observers_remove(registry.observers, "all"));
    assert_int_equal(1, witness.freed);
    assert_false(stele__observers_remove(registry.observers, "all"));
    assert_int_equal(0, stele__observers_want(registry.observers));
    notify(&registry, STELE_SEEN_HANDLED, "a", 1);
    stele_runtime_run_until_idle(registry.runtime);
    assert_int_equal(0, witness.count);
    assert_status(STELE_NOT_FOUND, stele__observers_stats(registry.observers, "all", &stats, &error), error);
    registry_finish(&registry);
    assert_int_equal(1, witness.freed);
}

static void HEX12_stopping_twice_is_harmless_and_ends_adding(void **state)
{
    struct witness witness = {.count = 0};
    struct registry registry;
    stele_error *error = NULL;

    (void)state;
    registry_begin(&registry);
    add(&registry, &everything, &witness);
    notify(&registry, STELE_SEEN_HANDLED, "a", 1);
    stele__observers_stop(registry.observers, 1000);
    stele__observers_stop(registry.observers, 1000);
    notify(&registry, STELE_SEEN_HANDLED, "a", 2);
    assert_int_equal(1, stats_of(&registry, "all").seen);
    assert_status(STELE_SHUTDOWN, stele__observers_add(registry.observers, &everything, NULL, &error), error);
    registry_finish(&registry);
    assert_int_equal(1, witness.count);
    stele__observers_free(NULL);
}

/* What waits is dropped, and `free` comes behind the `see` that runs. */
struct remover {
    struct registry *registry;
    int seen;
    int freed;
    int freed_while_seeing;
};

static void remove_myself(void *context, const struct stele_observation *seen)
{
    struct remover *remover = context;

    (void)seen;
    remover->seen++;
    assert_true(stele__observers_remove(remover->registry->observers, "myself"));
    assert_false(stele__observers_remove(remover->registry->observers, "myself"));
    remover->freed_while_seeing = remover->freed;
}

static void free_remover(void *context)
{
    ((struct remover *)context)->freed++;
}

static void HEX11_an_observer_may_remove_itself_and_is_freed_behind_its_call(void **state)
{
    static const struct stele_observer myself = {.name = "myself", .see = remove_myself, .free = free_remover};
    struct registry registry;
    struct remover remover = {.registry = &registry};

    (void)state;
    registry_begin(&registry);
    add(&registry, &myself, &remover);
    notify(&registry, STELE_SEEN_HANDLED, "a", 1);
    notify(&registry, STELE_SEEN_HANDLED, "a", 2);
    stele_runtime_run_until_idle(registry.runtime);
    assert_int_equal(1, remover.seen);
    assert_int_equal(0, remover.freed_while_seeing);
    assert_int_equal(1, remover.freed);
    registry_finish(&registry);
}

static void a_name_is_free_again_while_the_removed_observer_is_still_ready(void **state)
{
    struct witness first = {.count = 0}, second = {.count = 0};
    struct registry registry;

    (void)state;
    registry_begin(&registry);
    add(&registry, &everything, &first);
    notify(&registry, STELE_SEEN_HANDLED, "a", 1);
    assert_true(stele__observers_remove(registry.observers, "all"));
    add(&registry, &everything, &second);
    notify(&registry, STELE_SEEN_HANDLED, "a", 2);
    stele_runtime_run_until_idle(registry.runtime);
    assert_int_equal(0, first.count);
    assert_int_equal(1, first.freed);
    assert_int_equal(1, second.count);
    registry_finish(&registry);
}

static void HEX20_two_hundred_adds_and_removes_leave_nothing_behind(void **state)
{
    struct witness witness = {.count = 0};
    struct registry registry;
    size_t in_use;

    (void)state;
    registry_begin(&registry);
    in_use = stele_memory_in_use();
    for (int i = 0; i < 200; i++) {
        add(&registry, &everything, &witness);
        notify(&registry, STELE_SEEN_HANDLED, "a", 1);
        assert_true(stele__observers_remove(registry.observers, "all"));
        stele_runtime_run_until_idle(registry.runtime);
    }
    assert_int_equal(0, witness.count);
    assert_int_equal(200, witness.freed);
    /* The timer that watches may have made room for itself, once. */
    assert_true(stele_memory_in_use() - in_use < 4096);
    registry_finish(&registry);
}

static void HEX28_without_observers_nothing_is_wanted_and_nothing_allocated(void **state)
{
    struct registry registry;
    size_t allocations;

    (void)state;
    registry_begin(&registry);
    allocations = support_allocations();
    assert_int_equal(0, stele__observers_want(registry.observers));
    notify(&registry, STELE_SEEN_HANDLED, "a", 1);
    assert_int_equal(allocations, support_allocations());
    registry_finish(&registry);
}

/* --- Notifying --------------------------------------------------------------------- */

static void HEX05_notify_returns_before_anybody_has_seen(void **state)
{
    struct witness witness = {.count = 0};
    struct registry registry;
    stele_error *error = NULL;

    (void)state;
    registry_begin(&registry);
    add(&registry, &everything, &witness);
    notify(&registry, STELE_SEEN_HANDLED, "a", 1);
    notify(&registry, STELE_SEEN_HANDLED, "a", 2);
    assert_int_equal(0, witness.count);
    assert_int_equal(2, stats_of(&registry, "all").waiting);
    assert_ok(stele__observers_flush(registry.observers, 1000, &error), error);
    assert_int_equal(2, witness.count);
    assert_int_equal(2, stats_of(&registry, "all").seen);
    assert_int_equal(0, stats_of(&registry, "all").waiting);
    registry_finish(&registry);
}

struct copy {
    char route[8], type[8], text[8];
    int64_t time;
    unsigned attempt;
    stele_status status;
};

static void copy_out(void *context, const struct stele_observation *seen)
{
    struct copy *copy = context;

    snprintf(copy->route, sizeof(copy->route), "%s", seen->route);
    snprintf(copy->type, sizeof(copy->type), "%s", seen->observed);
    snprintf(copy->text, sizeof(copy->text), "%s", seen->text);
    copy->time = seen->time;
    copy->attempt = seen->attempt;
    copy->status = seen->status;
}

static void an_observation_is_a_copy_of_what_was_notified(void **state)
{
    static const struct stele_observer copier = {.name = "copier", .see = copy_out};
    char route[] = "route", type[] = "type", text[] = "text";
    const struct stele_observation observation = {.seen = STELE_SEEN_FAILED,
                                                  .time = 5,
                                                  .route = route,
                                                  .observed = type,
                                                  .text = text,
                                                  .attempt = 3,
                                                  .status = STELE_TIMEOUT};
    struct registry registry;
    struct copy copy = {.time = 0};

    (void)state;
    registry_begin(&registry);
    add(&registry, &copier, &copy);
    stele__observers_notify(registry.observers, &observation);
    memset(route, 'x', 5);
    memset(type, 'x', 4);
    memset(text, 'x', 4);
    registry_finish(&registry);
    assert_string_equal("route", copy.route);
    assert_string_equal("type", copy.type);
    assert_string_equal("text", copy.text);
    assert_int_equal(5, copy.time);
    assert_int_equal(3, copy.attempt);
    assert_int_equal(STELE_TIMEOUT, copy.status);
}

static void B9_a_full_queue_drops_the_oldest_or_the_newest_and_counts(void **state)
{
    static const struct stele_observer oldest = {.name = "oldest", .capacity = 2, .see = write_down};
    static const struct stele_observer newest = {
        .name = "newest", .capacity = 2, .overflow = STELE_OBSERVER_DROP_NEWEST, .see = write_down};
    struct witness of_oldest = {.count = 0}, of_newest = {.count = 0};
    struct registry registry;
    stele_error *error = NULL;

    (void)state;
    registry_begin(&registry);
    add(&registry, &oldest, &of_oldest);
    add(&registry, &newest, &of_newest);
    for (uint64_t call = 1; call <= 5; call++)
        notify(&registry, STELE_SEEN_HANDLED, "a", call);
    assert_ok(stele__observers_flush(registry.observers, 1000, &error), error);
    assert_int_equal(3, stats_of(&registry, "oldest").dropped);
    assert_int_equal(3, stats_of(&registry, "newest").dropped);
    assert_int_equal(2, stats_of(&registry, "newest").seen);
    registry_finish(&registry);
    assert_int_equal(2, of_oldest.count);
    assert_int_equal(4, of_oldest.calls[0]);
    assert_int_equal(5, of_oldest.calls[1]);
    assert_int_equal(2, of_newest.count);
    assert_int_equal(1, of_newest.calls[0]);
    assert_int_equal(2, of_newest.calls[1]);
}

static void a_queue_goes_round_its_ring_in_order(void **state)
{
    static const struct stele_observer small = {.name = "small", .capacity = 3, .see = write_down};
    struct witness witness = {.count = 0};
    struct registry registry;
    uint64_t call = 0;

    (void)state;
    registry_begin(&registry);
    add(&registry, &small, &witness);
    for (int round = 0; round < 10; round++) {
        notify(&registry, STELE_SEEN_HANDLED, "a", ++call);
        notify(&registry, STELE_SEEN_HANDLED, "a", ++call);
        stele_runtime_run_until_idle(registry.runtime);
    }
    registry_finish(&registry);
    assert_int_equal(20, witness.count);
    for (size_t i = 0; i < 20; i++)
        assert_int_equal(i + 1, witness.calls[i]);
}

static void a_notification_without_memory_is_counted_as_dropped(void **state)
{
    static const struct stele_observer failures = {.name = "failures", .kinds = STELE_SEEN_FAILED, .see = write_down};
    struct witness witness = {.count = 0}, uninterested = {.count = 0};
    struct registry registry;

    (void)state;
    registry_begin(&registry);
    add(&registry, &everything, &witness);
    add(&registry, &failures, &uninterested);
    support_fail_allocation(1);
    notify(&registry, STELE_SEEN_HANDLED, "a", 1);
    notify(&registry, STELE_SEEN_HANDLED, "a", 2);
    stele_runtime_run_until_idle(registry.runtime);
    assert_int_equal(1, stats_of(&registry, "all").dropped);
    assert_int_equal(1, stats_of(&registry, "all").seen);
    assert_int_equal(0, stats_of(&registry, "failures").dropped);
    assert_int_equal(2, witness.calls[0]);
    registry_finish(&registry);
}

static stele_status make_and_add(void *context, stele_error **error)
{
    stele_runtime *runtime = context;
    struct witness witness = {.count = 0};
    struct stele__observers *observers = NULL;
    stele_status status = stele__observers_new(runtime, &observers, error);

    if (status == STELE_OK)
        status = stele__observers_add(observers, &everything, &witness, error);
    stele__observers_free(observers);
    return status;
}

static void making_and_adding_survive_each_failed_allocation(void **state)
{
    stele_runtime *runtime = NULL;
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele_runtime_simulated(7, &runtime, &error), error);
    assert_int_equal(3, support_every_allocation_fails(make_and_add, runtime));
    stele_runtime_free(runtime);
}

/* --- Flushing ---------------------------------------------------------------------- */

struct gate {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool is_open;
    int inside, most_inside, passed;
};

#define GATE \
    { \
        .mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER \
    }

static void wait_at_gate(void *context, const struct stele_observation *seen)
{
    struct gate *gate = context;

    (void)seen;
    pthread_mutex_lock(&gate->mutex);
    if (++gate->inside > gate->most_inside)
        gate->most_inside = gate->inside;
    pthread_cond_broadcast(&gate->changed);
    while (!gate->is_open)
        pthread_cond_wait(&gate->changed, &gate->mutex);
    gate->inside--;
    gate->passed++;
    pthread_mutex_unlock(&gate->mutex);
}

static void open_gate(struct gate *gate)
{
    pthread_mutex_lock(&gate->mutex);
    gate->is_open = true;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->mutex);
}

static void await_inside(struct gate *gate, int count)
{
    pthread_mutex_lock(&gate->mutex);
    while (gate->inside < count)
        pthread_cond_wait(&gate->changed, &gate->mutex);
    pthread_mutex_unlock(&gate->mutex);
}

static void flushing_ends_when_the_time_is_up(void **state)
{
    static const struct stele_observer gated = {.name = "gated", .see = wait_at_gate};
    struct gate gate = GATE;
    struct registry registry;
    stele_error *error = NULL;

    (void)state;
    begin_threads(&registry, 1);
    add(&registry, &gated, &gate);
    notify(&registry, STELE_SEEN_HANDLED, "a", 1);
    await_inside(&gate, 1);
    assert_failure(STELE_TIMEOUT, stele__observers_flush(registry.observers, 1, &error), error);
    assert_message(error, "1 observers have not seen all after 1 ms");
    stele_error_free(error);
    error = NULL;
    open_gate(&gate);
    assert_ok(stele__observers_flush(registry.observers, 60000, &error), error);
    assert_int_equal(1, gate.passed);
    registry_finish(&registry);
}

static void flushing_does_not_wait_for_what_comes_later_or_was_removed(void **state)
{
    struct witness witness = {.count = 0};
    struct registry registry;
    stele_error *error = NULL;

    (void)state;
    registry_begin(&registry);
    assert_ok(stele__observers_flush(registry.observers, 0, &error), error);
    add(&registry, &everything, &witness);
    assert_ok(stele__observers_flush(registry.observers, 0, &error), error);
    notify(&registry, STELE_SEEN_HANDLED, "a", 1);
    assert_true(stele__observers_remove(registry.observers, "all"));
    assert_ok(stele__observers_flush(registry.observers, 0, &error), error);
    registry_finish(&registry);
}

static void B9_stopping_flushes_what_waits(void **state)
{
    struct witness witness = {.count = 0};
    struct registry registry;

    (void)state;
    registry_begin(&registry);
    add(&registry, &everything, &witness);
    for (uint64_t call = 1; call <= 50; call++)
        notify(&registry, STELE_SEEN_HANDLED, "a", call);
    stele__observers_stop(registry.observers, 1000);
    assert_int_equal(50, witness.count);
    registry_finish(&registry);
}

/* --- Threads ----------------------------------------------------------------------- */

/* Bold, 5.2: notify() took as long as the slowest observer, and with a cap of two at once ran 4 of 6. */
static void bug_notify_blocks_and_drops_observers_without_running_them(void **state)
{
    static const char *const names[6] = {"0", "1", "2", "3", "4", "5"};
    struct gate gate = GATE;
    struct registry registry;
    stele_error *error = NULL;

    (void)state;
    begin_threads(&registry, 2);
    for (size_t i = 0; i < 6; i++) {
        const struct stele_observer observer = {.name = names[i], .see = wait_at_gate};

        add(&registry, &observer, &gate);
    }
    notify(&registry, STELE_SEEN_HANDLED, "a", 1); /* returns although nobody can get through the gate */
    await_inside(&gate, 2);
    open_gate(&gate);
    assert_ok(stele__observers_flush(registry.observers, 60000, &error), error);
    assert_int_equal(6, gate.passed);
    registry_finish(&registry);
}

static void HEX06_no_more_observers_run_at_once_than_there_are_threads(void **state)
{
    static const char *const names[6] = {"0", "1", "2", "3", "4", "5"};
    struct gate gate = GATE;
    struct registry registry;

    (void)state;
    begin_threads(&registry, 2);
    for (size_t i = 0; i < 6; i++) {
        const struct stele_observer observer = {.name = names[i], .see = wait_at_gate};

        add(&registry, &observer, &gate);
    }
    for (uint64_t call = 1; call <= 20; call++)
        notify(&registry, STELE_SEEN_HANDLED, "a", call);
    await_inside(&gate, 2);
    open_gate(&gate);
    registry_finish(&registry);
    assert_int_equal(120, gate.passed);
    assert_int_equal(2, gate.most_inside);
}

static void HEX08_an_observer_that_blocks_does_not_delay_the_others(void **state)
{
    static const struct stele_observer gated = {.name = "gated", .see = wait_at_gate};
    struct gate gate = GATE;
    struct witness witness = {.count = 0};
    struct registry registry;
    stele_error *error = NULL;

    (void)state;
    begin_threads(&registry, 2);
    add(&registry, &gated, &gate);
    notify(&registry, STELE_SEEN_HANDLED, "a", 1);
    await_inside(&gate, 1);
    add(&registry, &everything, &witness);
    notify(&registry, STELE_SEEN_HANDLED, "a", 2);
    while (stats_of(&registry, "all").seen < 1)
        ;
    assert_int_equal(0, gate.passed);
    open_gate(&gate);
    assert_ok(stele__observers_flush(registry.observers, 60000, &error), error);
    registry_finish(&registry);
}

static atomic_int hangs;

static void count_hang(void *context, const struct stele_log_record *record)
{
    (void)context;
    if (strcmp(record->message, "observers hang") == 0 && strcmp(record->fields[0].value, "gated") == 0)
        atomic_fetch_add(&hangs, 1);
}

/* Waits in virtual time, as something that hangs would. */
static void wait_for(struct registry *registry, int64_t time)
{
    struct stele__signal never;

    assert_true(stele__signal_init(&never));
    stele__runtime_wait(registry->runtime, &never, stele__runtime_monotonic(registry->runtime) + time);
    stele__signal_fini(&never);
}

static void linger(void *context, const struct stele_observation *seen)
{
    (void)seen;
    wait_for(context, 10 * SECOND);
}

static void linger_a_little(void *context, const struct stele_observation *seen)
{
    (void)seen;
    wait_for(context, 29 * SECOND / 1000);
}

static void HEX07_an_observer_that_hangs_is_reported_once_and_others_are_served(void **state)
{
    static const struct stele_observer gated = {.name = "gated", .see = linger};
    struct witness witness = {.count = 0};
    struct registry registry;

    (void)state;
    atomic_store(&hangs, 0);
    stele_log_use(count_hang, NULL, STELE_LOG_WARNING);
    registry_begin(&registry);
    add(&registry, &gated, &registry);
    add(&registry, &everything, &witness);
    notify(&registry, STELE_SEEN_HANDLED, "a", 1);
    stele_runtime_run_until_idle(registry.runtime);
    assert_int_equal(1, hangs);
    assert_int_equal(1, witness.count);
    registry_finish(&registry);
    stele_log_use(NULL, NULL, STELE_LOG_WARNING);
}

/* Virtual times at which observers were told to hang, in ms, and their names. */
struct hangs {
    struct registry registry;
    int64_t began;
    char text[256];
};

static void note_hang(void *context, const struct stele_log_record *record)
{
    struct hangs *noted = context;
    const size_t used = strlen(noted->text);

    if (strcmp(record->message, "observers hang") == 0)
        snprintf(noted->text + used, sizeof(noted->text) - used, "%s@%d ", record->fields[0].value,
                 (int)((stele__runtime_monotonic(noted->registry.runtime) - noted->began) / 1000000));
}

/* Ten seconds for each: brief has 30 ms, patient 20 s, the other one nothing stated. */
static void HEX10_each_observer_has_a_time_of_its_own(void **state)
{
    static const struct stele_observer observers[] = {{.name = "usual", .see = linger},
                                                      {.name = "patient", .see = linger, .timeout_ms = 20000},
                                                      {.name = "brief", .see = linger, .timeout_ms = 30}};
    struct hangs noted = {.text = ""};

    (void)state;
    stele_log_use(note_hang, &noted, STELE_LOG_WARNING);
    registry_begin(&noted.registry);
    noted.began = stele__runtime_monotonic(noted.registry.runtime);
    for (size_t i = 0; i < 3; i++)
        add(&noted.registry, &observers[i], &noted.registry);
    notify(&noted.registry, STELE_SEEN_HANDLED, "a", 1);
    stele_runtime_run_until_idle(noted.registry.runtime);
    assert_string_equal(noted.text, "brief@30 usual@1000 ");
    /* It is told again for another call, that begins while the timer runs for one with more time. */
    noted.text[0] = '\0';
    assert_true(stele__observers_remove(noted.registry.observers, "usual"));
    noted.began = stele__runtime_monotonic(noted.registry.runtime);
    notify(&noted.registry, STELE_SEEN_HANDLED, "a", 2);
    stele_runtime_run_until_idle(noted.registry.runtime);
    assert_string_equal(noted.text, "brief@30 ");
    registry_finish(&noted.registry);
    stele_log_use(NULL, NULL, STELE_LOG_WARNING);
}

/* A call that returns in time is none, however many of them there are. */
static void HEX10_the_time_is_that_of_one_call(void **state)
{
    static const struct stele_observer quick = {.name = "quick", .see = linger_a_little, .timeout_ms = 30};
    struct hangs noted = {.text = ""};

    (void)state;
    stele_log_use(note_hang, &noted, STELE_LOG_WARNING);
    registry_begin(&noted.registry);
    add(&noted.registry, &quick, &noted.registry);
    for (uint64_t call = 1; call <= 20; call++)
        notify(&noted.registry, STELE_SEEN_HANDLED, "a", call);
    stele_runtime_run_until_idle(noted.registry.runtime);
    assert_int_equal(20, stats_of(&noted.registry, "quick").seen);
    assert_string_equal(noted.text, "");
    registry_finish(&noted.registry);
    stele_log_use(NULL, NULL, STELE_LOG_WARNING);
}

/* With one thread, held by an observer that does not return, work goes on: another thread stands in. */
static void HEX07_an_observer_that_hangs_does_not_keep_its_thread_from_the_others(void **state)
{
    static const struct stele_observer gated = {.name = "gated", .see = wait_at_gate};
    struct gate gate = GATE;
    struct witness witness = {.count = 0};
    struct registry registry;

    (void)state;
    begin_threads(&registry, 1);
    add(&registry, &gated, &gate);
    notify(&registry, STELE_SEEN_HANDLED, "a", 1);
    await_inside(&gate, 1);
    add(&registry, &everything, &witness);
    notify(&registry, STELE_SEEN_HANDLED, "a", 2);
    while (stats_of(&registry, "all").seen < 1)
        ;
    assert_int_equal(0, gate.passed);
    open_gate(&gate);
    registry_finish(&registry);
}

/* The reference let concurrent notifications reach one observer out of order. */
enum { NOTIFIERS = 4, EACH = 500 };

struct ordered {
    uint64_t last[NOTIFIERS];
    size_t count, out_of_order;
};

static void check_order(void *context, const struct stele_observation *seen)
{
    struct ordered *ordered = context;
    const size_t notifier = seen->attempt;

    ordered->count++;
    ordered->out_of_order += seen->call != ordered->last[notifier] + 1;
    ordered->last[notifier] = seen->call;
}

struct notifier {
    struct registry *registry;
    unsigned number;
};

static void *notify_many(void *context)
{
    const struct notifier *notifier = context;

    for (uint64_t call = 1; call <= EACH; call++) {
        const struct stele_observation observation = {
            .seen = STELE_SEEN_HANDLED, .observed = "a", .call = call, .attempt = notifier->number};

        stele__observers_notify(notifier->registry->observers, &observation);
    }
    return NULL;
}

static void bug_concurrent_notifications_reach_an_observer_out_of_order(void **state)
{
    static const struct stele_observer first = {.name = "first", .capacity = 4096, .see = check_order};
    static const struct stele_observer second = {.name = "second", .capacity = 4096, .see = check_order};
    struct ordered ordered[2] = {{.count = 0}};
    struct notifier notifiers[NOTIFIERS];
    pthread_t threads[NOTIFIERS];
    struct registry registry;

    (void)state;
    begin_threads(&registry, 2);
    add(&registry, &first, &ordered[0]);
    add(&registry, &second, &ordered[1]);
    for (unsigned i = 0; i < NOTIFIERS; i++) {
        notifiers[i] = (struct notifier){&registry, i};
        assert_int_equal(0, pthread_create(&threads[i], NULL, notify_many, &notifiers[i]));
    }
    for (unsigned i = 0; i < NOTIFIERS; i++)
        pthread_join(threads[i], NULL);
    stele__observers_stop(registry.observers, 60000);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(NOTIFIERS * EACH, ordered[i].count);
        assert_int_equal(0, ordered[i].out_of_order);
    }
    registry_finish(&registry);
}

/* Contexts that must not be used once they were freed. */
struct mortal {
    atomic_bool is_dead;
    atomic_int *stale;
};

static void see_alive(void *context, const struct stele_observation *seen)
{
    struct mortal *mortal = context;

    (void)seen;
    if (atomic_load(&mortal->is_dead))
        atomic_fetch_add(mortal->stale, 1);
}

static void die(void *context)
{
    struct mortal *mortal = context;

    atomic_store(&mortal->is_dead, true);
}

static void HEX20_adding_and_removing_while_others_notify_calls_no_stale_observer(void **state)
{
    static const struct stele_observer mortal_observer = {.name = "mortal", .see = see_alive, .free = die};
    enum { LIVES = 200 };
    static struct mortal mortals[LIVES];
    atomic_int stale = 0;
    struct notifier notifiers[2];
    pthread_t threads[2];
    struct registry registry;

    (void)state;
    begin_threads(&registry, 2);
    for (unsigned i = 0; i < 2; i++) {
        notifiers[i] = (struct notifier){&registry, i};
        assert_int_equal(0, pthread_create(&threads[i], NULL, notify_many, &notifiers[i]));
    }
    for (size_t i = 0; i < LIVES; i++) {
        atomic_store(&mortals[i].is_dead, false);
        mortals[i].stale = &stale;
        add(&registry, &mortal_observer, &mortals[i]);
        assert_true(stele__observers_remove(registry.observers, "mortal"));
    }
    for (unsigned i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    registry_finish(&registry);
    assert_int_equal(0, stale);
    for (size_t i = 0; i < LIVES; i++)
        assert_true(mortals[i].is_dead);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(HEX03_what_is_wrong_with_an_observer_is_said),
        support_test(HEX03_a_second_observer_of_a_name_is_refused_and_the_first_goes_on),
        support_test(HEX04_observers_get_what_their_kinds_and_pattern_say),
        support_test(HEX04_of_twenty_observers_only_the_ten_that_want_it_are_called),
        support_test(HEX12_observers_are_removed_once_and_not_called_again),
        support_test(HEX12_stopping_twice_is_harmless_and_ends_adding),
        support_test(HEX11_an_observer_may_remove_itself_and_is_freed_behind_its_call),
        support_test(a_name_is_free_again_while_the_removed_observer_is_still_ready),
        support_test(HEX20_two_hundred_adds_and_removes_leave_nothing_behind),
        support_test(HEX28_without_observers_nothing_is_wanted_and_nothing_allocated),
        support_test(HEX05_notify_returns_before_anybody_has_seen),
        support_test(an_observation_is_a_copy_of_what_was_notified),
        support_test(B9_a_full_queue_drops_the_oldest_or_the_newest_and_counts),
        support_test(a_queue_goes_round_its_ring_in_order),
        support_test(a_notification_without_memory_is_counted_as_dropped),
        support_test(making_and_adding_survive_each_failed_allocation),
        support_test(flushing_ends_when_the_time_is_up),
        support_test(flushing_does_not_wait_for_what_comes_later_or_was_removed),
        support_test(B9_stopping_flushes_what_waits),
        support_test(bug_notify_blocks_and_drops_observers_without_running_them),
        support_test(HEX06_no_more_observers_run_at_once_than_there_are_threads),
        support_test(HEX08_an_observer_that_blocks_does_not_delay_the_others),
        support_test(HEX07_an_observer_that_hangs_is_reported_once_and_others_are_served),
        support_test(HEX07_an_observer_that_hangs_does_not_keep_its_thread_from_the_others),
        support_test(HEX10_each_observer_has_a_time_of_its_own),
        support_test(HEX10_the_time_is_that_of_one_call),
        support_test(bug_concurrent_notifications_reach_an_observer_out_of_order),
        support_test(HEX20_adding_and_removing_while_others_notify_calls_no_stale_observer),
    };

    return cmocka_run_group_tests_name("observers", tests, NULL, NULL);
}
