/*
 * Random routes behind random interceptors (B9): each keeps what it promises,
 * as seen from the calls that come through.
 *
 *     gate ─► rate, breaker, concurrency, memo, skip ─► handler ─► retry, fallback
 *
 *   - a breaker opens after so many failures in a row, stays so for its time, then lets one trial through
 *   - never more calls at once than the limit, in all partitions together
 *   - in no stretch of virtual time more calls than rate and burst allow
 *   - a result that is kept is not made again, and is given out again
 *   - what is skipped, invalid or denied is not called; what may not fail has its fallback
 *   - behind each PROCEED at HANDLE comes exactly one DONE or WITHDRAWN
 *   - every message that was taken has one end: handled, failed, skipped; or it is still waiting
 */
#include "tests/sim/sim.h"

#include <stele/intercept.h>
#include <stele/observe.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUTES = 4, MESSAGES = 256, STARTS = 2048, CONTENTS = 12, ATTEMPTS = 3, THRESHOLD = 2 };
enum { RECOVERY_MS = 40, DEADLINE_MS = 9, PER_SECOND = 200, BURST = 3, LIMIT = 2 };

#define JOB(FIELD, T) FIELD(T, INT64, number, STELE_POSITIVE) FIELD(T, INT64, key)
STELE_DECLARE(job, JOB);
STELE_DEFINE_EVENT(job, "job", 1, JOB);
STELE_DECLARE(result, JOB);
STELE_DEFINE_EVENT(result, "result", 1, JOB);
static const struct result substitute = {.number = 1, .key = -1};

enum lot { LOT_ROUTE = 1, LOT_NAP, LOT_FAIL };

struct node {
    struct stele_route route;
    char name[32];
    size_t index;
    bool breaks, limits, is_limited, remembers, skips, retries, falls_back, hurries;
    const struct stele_interceptor *interceptors[12];

    int64_t starts[STARTS];
    size_t start_count;
    unsigned running, asked, answered;
    bool is_kept[CONTENTS]; /* since the call that made it has ended */
    /* The breaker as it has to be. */
    unsigned failures;
    bool is_open, has_trial;
    int64_t opened;
    uint64_t trial;
};

static struct {
    stele_bus *bus;
    struct node nodes[ROUTES];
    size_t node_count;
    uint64_t sent;
    uint64_t ends[ROUTES];
    uint64_t results, substitutes; /* seen */
    uint64_t made;                 /* to be seen */
    bool flag;
    uint64_t calls;
} world;

/* --- The stock interceptors, one place for each route ------------------------------------------- */

static bool flag_is_set(void)
{
    return world.flag;
}

static bool allows(const char *user, const stele_message *message)
{
    (void)message;
    return !user || strcmp(user, "mallory") != 0;
}

static const struct stele_breaker breaker_settings = {.threshold = THRESHOLD, .recovery_ms = RECOVERY_MS};
static const struct stele_rate_limit rate_settings = {.per_second = PER_SECOND, .burst = BURST, .wait = true};
static const struct stele_concurrency_limit limit_settings = {.limit = LIMIT};
static const struct stele_retry retry_settings = {.max_attempts = ATTEMPTS, .delay_ms = 6};
static const struct stele_skip_flag skip_settings = {.flag = flag_is_set};
static const struct stele_deadline deadline_settings = {.timeout_ms = DEADLINE_MS};
static const struct stele_fallback_value fallback_settings = {.type = &result_type, .payload = &substitute};
static const struct stele_authorisation user_settings = {.allows = allows};
static const struct stele_memo memo_settings[ROUTES] = {
    {"memo", 1, 0}, {"memo", 2, 0}, {"memo", 3, 0}, {"other", 1, 0}};

static const struct stele_interceptor breaker = {.name = "breaker", STELE_BREAKER(&breaker_settings)};
static const struct stele_interceptor rate = {.name = "rate", STELE_RATE_LIMIT(&rate_settings)};
static const struct stele_interceptor limit = {.name = "limit", STELE_CONCURRENCY_LIMIT(&limit_settings)};
static const struct stele_interceptor retry = {.name = "retry", STELE_RETRY(&retry_settings)};
static const struct stele_interceptor skip = {.name = "skip", STELE_SKIP_BY_FLAG(&skip_settings)};
static const struct stele_interceptor deadline = {.name = "deadline", STELE_DEADLINE(&deadline_settings)};
static const struct stele_interceptor fallback = {.name = "fallback", STELE_FALLBACK_VALUE(&fallback_settings)};
static const struct stele_interceptor authorisation = {.name = "users", STELE_AUTHORISATION(&user_settings)};
static const struct stele_interceptor validation = {.name = "valid", STELE_VALIDATION};
static const struct stele_interceptor memos[ROUTES] = {
    {.name = "memo", STELE_MEMO(&memo_settings[0])},
    {.name = "memo", STELE_MEMO(&memo_settings[1])},
    {.name = "memo", STELE_MEMO(&memo_settings[2])},
    {.name = "memo", STELE_MEMO(&memo_settings[3])},
};

/* --- A gate in front of all others: what it lets pass comes back --------------------------------------- */

static struct node *node_of(const stele_call *call)
{
    for (size_t i = 0; i < world.node_count; i++)
        if (stele_call_route(call) == &world.nodes[i].route)
            return &world.nodes[i];
    return NULL;
}

static struct stele_answer ask_gate(void *state, enum stele_point point, stele_call *call)
{
    struct node *node = node_of(call);

    (void)state;
    if (!node)
        return stele_proceed();
    if (point == STELE_AT_HANDLE)
        node->asked++;
    else
        node->answered++;
    sim_expect(node->answered <= node->asked, "%s: DONE or WITHDRAWN came twice", node->name);
    return stele_proceed();
}

static const struct stele_interceptor_kind gate_kind = {
    .name = "gate", .points = STELE_AT_HANDLE | STELE_AT_DONE | STELE_AT_WITHDRAWN, .priority = 1, .ask = ask_gate};
static const struct stele_interceptor gate = {.name = "gate", .kind = &gate_kind};

/* --- A handler, and what has to be so when it is called ---------------------------------------------------- */

/* True if this call is the trial. */
static bool check_breaker(struct node *node, int64_t now)
{
    if (!node->breaks || !node->is_open)
        return false;
    sim_expect(now - node->opened >= RECOVERY_MS * SIM_MS, "%s: a call came through an open breaker", node->name);
    sim_expect(!node->has_trial, "%s: two trials at once", node->name);
    node->has_trial = true;
    node->trial++;
    return true;
}

static void end_breaker(struct node *node, bool was_trial, uint64_t trial, bool has_failed, int64_t now)
{
    if (was_trial && trial == node->trial) {
        node->has_trial = false;
        node->is_open = has_failed;
        node->opened = now;
        node->failures = 0;
    } else if (!node->is_open) {
        node->failures = has_failed ? node->failures + 1 : 0;
        if (node->failures >= THRESHOLD) {
            node->is_open = true;
            node->opened = now;
            node->failures = 0;
        }
    }
}

static void check_rate(struct node *node, int64_t now)
{
    const int64_t interval = (int64_t)(1e9 / PER_SECOND);

    if (node->start_count == STARTS)
        abort();
    node->starts[node->start_count++] = now;
    for (size_t i = 0; node->limits && i < node->start_count; i++)
        sim_expect((int64_t)(node->start_count - i) <= BURST + (now - node->starts[i]) / interval,
                   "%s: %zu calls in %d ms", node->name, node->start_count - i,
                   (int)((now - node->starts[i]) / SIM_MS));
}

static stele_status work(struct node *node, const struct job *job, stele_context *context)
{
    const int64_t began = sim_now();
    const uint64_t call = ++world.calls;
    bool is_late;

    sim_sleep((int64_t)sim_draw(LOT_NAP, call, 14) * SIM_MS);
    is_late = node->hurries && sim_now() - began >= DEADLINE_MS * SIM_MS;
    if (is_late || sim_draw(LOT_FAIL, call, 3) == 0) {
        if (!is_late)
            sim_expect(stele_context_time_left(context) > 0, "%s: no time is left", node->name);
        return STELE_TIMEOUT;
    }
    return STELE_PUBLISH(context, result, .number = job->number, .key = (int64_t)node->index);
}

static stele_status handle(void *resource, const stele_message *message, stele_context *context)
{
    struct node *node = resource;
    const void *untyped = NULL;
    const struct job *job;
    const int64_t now = sim_now();
    bool is_trial;
    uint64_t trial;
    stele_status status;

    (void)message;
    if (stele_context_read(context, &job_type, &untyped) != STELE_OK)
        return STELE_INVALID;
    job = untyped;
    sim_expect(job->number > 0, "%s: what is invalid was handled", node->name);
    sim_expect(!node->skips || !world.flag, "%s: what is skipped was handled", node->name);
    sim_expect(!node->remembers || !node->is_kept[job->number % CONTENTS], "%s: a kept result was made again",
               node->name);
    node->running++;
    sim_expect(node->running <= LIMIT || !node->is_limited, "%s: %u calls at once", node->name, node->running);
    sim_expect(stele_context_attempt(context) <= ATTEMPTS, "%s: called too often", node->name);
    sim_expect(!node->hurries || stele_context_time_left(context) <= DEADLINE_MS * SIM_MS, "%s: no deadline",
               node->name);
    check_rate(node, now);
    is_trial = check_breaker(node, now);
    trial = node->trial;
    status = work(node, job, context);
    node->running--;
    end_breaker(node, is_trial, trial, status != STELE_OK, sim_now());
    node->is_kept[job->number % CONTENTS] = node->is_kept[job->number % CONTENTS] || status == STELE_OK;
    sim_note("%s: job %d: %s", node->name, (int)job->number, stele_status_name(status));
    return status;
}

static stele_status count_result(void *resource, const stele_message *message, stele_context *context)
{
    const void *untyped = NULL;

    (void)resource;
    (void)message;
    if (stele_context_read(context, &result_type, &untyped) != STELE_OK)
        return STELE_INVALID;
    if (((const struct result *)untyped)->key < 0)
        world.substitutes++;
    else
        world.results++;
    return STELE_OK;
}

/* --- What becomes of each message, as an observer tells it ------------------------------------------------- */

static void see(void *context, const struct stele_observation *seen)
{
    (void)context;
    for (size_t i = 0; i < world.node_count; i++) {
        if (strcmp(world.nodes[i].name, seen->route) != 0)
            continue;
        world.ends[i]++;
        world.made += seen->seen == STELE_SEEN_HANDLED || seen->seen == STELE_SEEN_SKIPPED ? seen->count : 0;
        sim_expect(!world.nodes[i].falls_back || seen->seen != STELE_SEEN_FAILED || seen->status == STELE_OVERLOAD,
                   "%s: failed, and had a fallback: %s", seen->route, seen->text);
    }
}

static const struct stele_observer witness = {.name = "witness",
                                              .kinds = STELE_SEEN_HANDLED | STELE_SEEN_FAILED | STELE_SEEN_SKIPPED,
                                              .capacity = 8192,
                                              .see = see};
static const struct stele_route sink = {
    .name = "sink", .on = "result", .handle = count_result, .delivery = STELE_QUEUED, .capacity = 8192};

/* --- A world ----------------------------------------------------------------------------------------------- */

static bool draw_one(struct node *node, uint64_t what, const struct stele_interceptor *interceptor, size_t *count)
{
    if (sim_draw(LOT_ROUTE, node->index * 16 + what, 2) == 0)
        return false;
    node->interceptors[(*count)++] = interceptor;
    return true;
}

static void add_node(size_t index)
{
    struct node *node = &world.nodes[index];
    stele_error *error = NULL;
    size_t count = 0;

    node->index = index;
    snprintf(node->name, sizeof(node->name), "node-%zu", index);
    node->interceptors[count++] = &gate;
    node->breaks = draw_one(node, 0, &breaker, &count);
    node->limits = draw_one(node, 1, &rate, &count);
    node->is_limited = draw_one(node, 2, &limit, &count);
    node->remembers = draw_one(node, 3, &memos[index], &count);
    node->skips = draw_one(node, 4, &skip, &count);
    node->retries = draw_one(node, 5, &retry, &count);
    node->falls_back = draw_one(node, 6, &fallback, &count);
    node->hurries = draw_one(node, 7, &deadline, &count);
    node->route = (struct stele_route){.name = node->name,
                                       .on = "job",
                                       .handle = handle,
                                       .delivery = STELE_QUEUED,
                                       .on_failure = STELE_IGNORE,
                                       .partition = sim_draw(LOT_ROUTE, index * 16 + 8, 3) ? "key" : NULL,
                                       .interceptors = node->interceptors};
    sim_ok(stele_bus_add_route(world.bus, &node->route, node, NULL, &error), error);
}

static void begin_world(void)
{
    stele_error *error = NULL;

    memset(&world, 0, sizeof(world));
    sim_runtime_begin(0);
    sim_ok(stele_bus_new(sim.runtime, NULL, &world.bus, &error), error);
    sim_ok(stele_bus_add_interceptor(world.bus, &validation, &error), error);
    sim_ok(stele_bus_add_interceptor(world.bus, &authorisation, &error), error);
    sim_ok(stele_bus_add_observer(world.bus, &witness, NULL, &error), error);
    sim_ok(stele_bus_add_type(world.bus, &job_type, &error), error);
    sim_ok(stele_bus_add_route(world.bus, &sink, NULL, NULL, &error), error);
    world.node_count = 1 + (size_t)sim_next(ROUTES);
    for (size_t i = 0; i < world.node_count; i++)
        add_node(i);
}

/* A number below 1 breaks the rule of its field, which nobody checks who has no type. */
static stele_message *new_job(int64_t number, int64_t key, bool is_mallory)
{
    static const struct stele_extension mallory = {
        .name = "user", .kind = STELE_EXTENSION_TEXT, .text = {"mallory", 7}};
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
    const struct sim_step payload = {.number = number, .key = key};
    struct stele_type type = sim_step_type;
    stele_message *message = NULL;

    type.name = "job";
    options.extensions = is_mallory ? &mallory : NULL;
    options.extension_count = is_mallory;
    if (stele_message_new(&type, &payload, &options, &message, NULL) != STELE_OK)
        abort();
    return message;
}

static void send(void)
{
    const bool is_mallory = sim_chance(5);
    const int64_t number = sim_chance(5) ? 0 : 1 + (int64_t)sim_next(CONTENTS);
    /* The same content has the same key: all of the payload is the key of a memo. */
    stele_message *message = new_job(number, number % 5, is_mallory);
    const stele_status status = stele_publish(world.bus, message, NULL, NULL);

    sim_expect(status == (is_mallory    ? STELE_DENIED
                          : number == 0 ? STELE_INVALID
                                        : STELE_OK),
               "a publish: %s", stele_status_name(status));
    world.sent += status == STELE_OK;
    stele_message_unref(message);
}

static void take_step(void)
{
    const uint64_t lot = sim_next(100);

    if (lot < 50)
        for (uint64_t i = 1 + sim_next(4); i-- > 0 && world.sent < MESSAGES;)
            send();
    else if (lot < 60)
        world.flag = sim_chance(30);
    else if (lot < 75)
        stele_runtime_run(sim.runtime, 1 + (size_t)sim_next(20));
    else
        stele_runtime_advance(sim.runtime, (int64_t)sim_next(30) * SIM_MS);
}

static void check_end(void)
{
    sim_expect(stele_bus_flush_observers(world.bus, 1000, NULL) == STELE_OK, "observers are behind");
    for (size_t i = 0; i < world.node_count; i++) {
        const struct node *node = &world.nodes[i];

        sim_expect(world.ends[i] == world.sent, "%s: %" PRIu64 " of %" PRIu64 " messages have an end", node->name,
                   world.ends[i], world.sent);
        sim_expect(node->asked == node->answered, "%s: %u were let pass, %u told of", node->name, node->asked,
                   node->answered);
    }
    sim_expect(world.results + world.substitutes == world.made,
               "%" PRIu64 " results and %" PRIu64 " substitutes of %" PRIu64, world.results, world.substitutes,
               world.made);
}

static void run_world(void)
{
    const uint64_t steps = 10 + sim_next(40);

    begin_world();
    for (uint64_t i = 0; i < steps && !sim_has_fault(); i++)
        take_step();
    world.flag = false;
    stele_runtime_advance(sim.runtime, 600000 * SIM_MS);
    check_end();
    stele_bus_free(world.bus);
    sim_runtime_end();
}

static void interceptors_keep_what_they_promise(void **state)
{
    (void)state;
    sim_run_seeds("intercept_test", run_world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(interceptors_keep_what_they_promise),
    };

    return cmocka_run_group_tests_name("simulated interceptors", tests, NULL, NULL);
}
