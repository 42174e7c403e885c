/*
 * The simulated runtime: virtual time, choices from a seed, traces.
 *
 *     step, step ... nothing is ready -> time jumps to the next timer or deadline, if the caller lets it -> step ...
 *
 * Time never passes by itself: stele_runtime_advance(), a wait that has nothing
 * else to do, and the clock's `pause` let it pass. What the caller asks for
 * is a goal, which the simulation's own threads pursue (carrier.c). What can fail: memory.
 */
#include "base/log.h"
#include "base/memory.h"
#include "runtime/state.h"

#include <stdio.h>

enum { LINE_SIZE = 1024, STEPS_BETWEEN_LOOKS = 32 /* at the clock, while stopping */ };

static int64_t read_time(void *context)
{
    const stele_runtime *runtime = context;

    return runtime->time;
}

static int64_t add_time(int64_t time, int64_t nanoseconds)
{
    if (nanoseconds <= 0)
        return time;
    return nanoseconds < INT64_MAX - time ? time + nanoseconds : INT64_MAX;
}

static void pass_time(void *context, int64_t nanoseconds)
{
    stele_runtime *runtime = context;

    runtime->time = add_time(runtime->time, nanoseconds);
}

bool stele__simulation_init(stele_runtime *runtime, uint64_t seed)
{
    runtime->carriers = stele__alloc(STELE__DEPTH * sizeof(*runtime->carriers));
    runtime->has_turn = runtime->carriers && stele__signal_init(&runtime->turn);
    runtime->seed = seed;
    runtime->order = seed;
    runtime->random = ~seed;
    runtime->time = STELE_SIMULATION_START;
    runtime->virtual_clock = (struct stele_clock){read_time, read_time, pass_time, runtime};
    runtime->clock = &runtime->virtual_clock;
    return runtime->has_turn;
}

void stele__simulation_fini(stele_runtime *runtime)
{
    if (runtime->has_turn)
        stele__signal_fini(&runtime->turn);
    stele__free(runtime->carriers, STELE__DEPTH * sizeof(*runtime->carriers));
}

void stele__simulation_trace(stele_runtime *runtime, const char *kind, const char *name)
{
    char time[STELE_TIME_TEXT_SIZE];
    char line[LINE_SIZE];

    if (!runtime->trace)
        return;
    stele_time_print(runtime->time, time);
    snprintf(line, sizeof(line), "%s %s %s", time, kind, name);
    runtime->trace(runtime->trace_context, line);
}

void stele_runtime_set_trace(stele_runtime *runtime, stele_runtime_trace *trace, void *context)
{
    if (runtime->kind != STELE__SIMULATED)
        return;
    runtime->trace = trace;
    runtime->trace_context = context;
}

/* --- Driving --------------------------------------------------------------------------------- */

bool stele__simulation_jump(stele_runtime *runtime, int64_t end)
{
    const int64_t next = stele__timer_next(runtime);

    if (next > end || next == INT64_MAX)
        return false;
    if (next > runtime->time)
        runtime->time = next;
    return true;
}

/* Inside a callback: on its own stack, and without those that wait on theirs. */
static void pursue_nested(stele_runtime *runtime, struct stele__goal *goal)
{
    while (goal->most == 0 || goal->steps < goal->most) {
        if (goal->signal && (stele__signal_is_set(goal->signal) || runtime->time > goal->end))
            return;
        if (stele__step(runtime))
            goal->steps++;
        else if (!stele__simulation_jump(runtime, goal->end))
            return;
    }
}

static bool has_something(stele_runtime *runtime, int64_t end)
{
    return runtime->waiting || atomic_load_explicit(&runtime->ready.count, memory_order_relaxed) > 0 ||
           stele__timer_next(runtime) <= (end > runtime->time ? end : runtime->time);
}

static size_t pursue(stele_runtime *runtime, struct stele__goal *goal)
{
    if (runtime->goal)
        pursue_nested(runtime, goal);
    else if (has_something(runtime, goal->end))
        stele__carrier_pursue(runtime, goal);
    return goal->steps;
}

size_t stele__simulation_run(stele_runtime *runtime, size_t most, bool finishes)
{
    return pursue(runtime, &(struct stele__goal){.end = INT64_MIN, .most = most, .finishes = finishes});
}

void stele__simulation_unwind(stele_runtime *runtime)
{
    pursue(runtime, &(struct stele__goal){.end = INT64_MIN, .most = STEPS_BETWEEN_LOOKS, .unwinds = true});
}

size_t stele_runtime_advance(stele_runtime *runtime, int64_t nanoseconds)
{
    struct stele__goal goal = {NULL};

    if (runtime->kind != STELE__SIMULATED) {
        stele__log(STELE_LOG_ERROR, "stele_runtime_advance() is for simulated runtimes", NULL, 0);
        return 0;
    }
    if (stele__runtime_is_foreign(runtime))
        return 0;
    goal.end = add_time(runtime->time, nanoseconds);
    pursue(runtime, &goal);
    if (goal.end > runtime->time)
        runtime->time = goal.end;
    return goal.steps;
}

bool stele__simulation_wait(stele_runtime *runtime, struct stele__signal *signal, int64_t deadline)
{
    struct stele__goal goal = {.signal = signal, .end = deadline};

    if (runtime->time >= deadline)
        return stele__signal_is_set(signal);
    if (stele__carrier_is_here(runtime))
        return stele__carrier_wait(runtime, signal, deadline);
    if (stele__frame_depth(runtime) < STELE__DEPTH)
        pursue(runtime, &goal);
    if (!stele__signal_is_set(signal) && deadline != INT64_MAX && deadline > runtime->time)
        runtime->time = deadline;
    return stele__signal_is_set(signal);
}
