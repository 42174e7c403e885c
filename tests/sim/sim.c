/* Seeds, faults and traces, see sim.h. What can fail: memory, which aborts. */
#include "tests/sim/sim.h"

#include "runtime/runtime.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEEDS_DEFAULT = 300 };

STELE_DEFINE_EVENT(sim_step, "sim.0", 1, SIM_STEP);

const char *const sim_names[SIM_TYPES] = {"sim.0", "sim.1", "sim.2", "sim.3"};
struct stele_type sim_types[SIM_TYPES];
struct sim sim;

/* --- The trace -------------------------------------------------------------------------------- */

static void add_line(void *context, const char *line)
{
    static int is_shown = -1;

    (void)context;
    if (is_shown < 0)
        is_shown = getenv("STELE_SIM_TRACE") != NULL;
    if (is_shown)
        fprintf(stderr, "%s\n", line);
    sim.lines++;
    for (; *line; line++)
        sim.trace = (sim.trace ^ (unsigned char)*line) * UINT64_C(1099511628211);
    sim.trace = (sim.trace ^ '\n') * UINT64_C(1099511628211);
}

void sim_note(const char *format, ...)
{
    char line[256];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    add_line(NULL, line);
}

/* --- Faults ------------------------------------------------------------------------------- */

void sim_expect(bool is_so, const char *format, ...)
{
    va_list arguments;

    if (is_so || sim_has_fault())
        return;
    va_start(arguments, format);
    vsnprintf(sim.fault, sizeof(sim.fault), format, arguments);
    va_end(arguments);
    sim_note("FAULT %.200s", sim.fault);
}

void sim_expect_ok(stele_status status, stele_error *error, const char *call)
{
    sim_expect(status == STELE_OK, "%.60s: %s: %s", call, stele_status_name(status), stele_error_message(error));
    stele_error_free(error);
}

bool sim_has_fault(void)
{
    return sim.fault[0] != '\0';
}

/* --- Chance -------------------------------------------------------------------------------- */

uint64_t sim_draw(uint64_t what, uint64_t of, uint64_t limit)
{
    struct support_random random = {.state = sim.seed ^ (what * UINT64_C(0x9e3779b97f4a7c15)) ^ (of << 32)};

    support_random_next(&random);
    return support_random_below(&random, limit);
}

uint64_t sim_next(uint64_t limit)
{
    return support_random_below(&sim.script, limit);
}

bool sim_chance(unsigned percent)
{
    return sim_next(100) < percent;
}

/* --- The runtime -------------------------------------------------------------------------------- */

void sim_runtime_begin(uint64_t number)
{
    stele_error *error = NULL;

    assert_ok(stele_runtime_simulated(sim.seed + (number << 40), &sim.runtime, &error), error);
    stele_runtime_set_trace(sim.runtime, add_line, NULL);
}

void sim_runtime_end(void)
{
    stele_runtime_free(sim.runtime);
    sim.runtime = NULL;
}

int64_t sim_now(void)
{
    return stele__runtime_monotonic(sim.runtime);
}

void sim_sleep(int64_t nanoseconds)
{
    struct stele__signal never;

    if (nanoseconds <= 0)
        return;
    if (!stele__signal_init(&never))
        abort();
    stele__runtime_wait(sim.runtime, &never, sim_now() + nanoseconds);
    stele__signal_fini(&never);
}

/* --- Messages -------------------------------------------------------------------------------------- */

stele_message *sim_message(size_t type, int64_t number, int64_t key, const char *id)
{
    const struct stele_message_options options = {.size = sizeof(options), .id = id};
    const struct sim_step step = {.number = number, .key = key};
    stele_message *message = NULL;
    stele_error *error = NULL;

    sim_ok(stele_message_new(&sim_types[type], &step, &options, &message, &error), error);
    if (!message)
        abort();
    return message;
}

bool sim_read(const stele_message *message, stele_context *context, struct sim_step *out)
{
    const void *step = NULL;

    for (size_t i = 0; i < SIM_TYPES && !step; i++) {
        if (stele_message_is(message, &sim_types[i]))
            stele_context_read(context, &sim_types[i], &step);
    }
    sim_expect(step != NULL, "a payload could not be read");
    if (step)
        memcpy(out, step, sizeof(*out));
    return step != NULL;
}

/* --- Seeds ------------------------------------------------------------------------------------------- */

static void run_world(uint64_t seed, void (*world)(void))
{
    memset(&sim, 0, sizeof(sim));
    sim.seed = seed;
    sim.script.state = seed ^ UINT64_C(0x5ca1ab1e);
    world();
}

static void run_seed(uint64_t seed, const char *program, void (*world)(void))
{
    uint64_t trace, lines;

    run_world(seed, world);
    trace = sim.trace;
    lines = sim.lines;
    if (!sim_has_fault()) {
        run_world(seed, world);
        sim_expect(sim.trace == trace && sim.lines == lines, "the same seed gave another run");
    }
    if (sim_has_fault())
        fail_msg("seed %" PRIu64 ": %s\nalone: STELE_TEST_SEED=%" PRIu64 " STELE_SIM_SEEDS=1 tests/sim/%s", seed,
                 sim.fault, seed, program);
}

void sim_run_seeds(const char *program, void (*world)(void))
{
    const char *wanted = getenv("STELE_SIM_SEEDS");
    const struct support_random seed = support_seed();
    const uint64_t seeds = wanted ? strtoull(wanted, NULL, 10) : SEEDS_DEFAULT;

    for (size_t i = 0; i < SIM_TYPES; i++) {
        sim_types[i] = sim_step_type;
        sim_types[i].name = sim_names[i];
    }
    for (uint64_t i = 0; i < seeds; i++)
        run_seed(seed.state + i, program, world);
}
