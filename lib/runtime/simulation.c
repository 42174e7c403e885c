/*
 * The simulated runtime: virtual time, choices from a seed, traces.
 *
 *     step, step, step ... nothing is ready -> time jumps to the next timer, if the caller lets it -> step ...
 *
 * Time never passes by itself: stele_runtime_advance(), a wait that has nothing
 * else to do, and the clock's `pause` let it pass. Nothing can fail.
 */
#include "base/log.h"
#include "runtime/state.h"

#include <stdio.h>

enum { LINE_SIZE = 1024 };

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

void stele__simulation_init(stele_runtime *runtime, uint64_t seed)
{
    runtime->seed = seed;
    runtime->order = seed;
    runtime->random = ~seed;
    runtime->time = STELE_SIMULATION_START;
    runtime->virtual_clock = (struct stele_clock){read_time, read_time, pass_time, runtime};
    runtime->clock = &runtime->virtual_clock;
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

/* Let time pass to the next timer; false if that is beyond `end`. */
static bool jump(stele_runtime *runtime, int64_t end)
{
    const int64_t next = stele__timer_next(runtime);

    if (next > end || next == INT64_MAX)
        return false;
    if (next > runtime->time)
        runtime->time = next;
    return true;
}

size_t stele_runtime_advance(stele_runtime *runtime, int64_t nanoseconds)
{
    size_t steps = 0;
    int64_t end;

    if (runtime->kind != STELE__SIMULATED) {
        stele__log(STELE_LOG_ERROR, "stele_runtime_advance() is for simulated runtimes", NULL, 0);
        return 0;
    }
    end = add_time(runtime->time, nanoseconds);
    do {
        while (stele__step(runtime))
            steps++;
    } while (jump(runtime, end));
    if (end > runtime->time)
        runtime->time = end;
    return steps;
}

bool stele__simulation_wait(stele_runtime *runtime, struct stele__signal *signal, int64_t deadline)
{
    bool goes_on = runtime->time < deadline && stele__frame_depth(runtime) < STELE__DEPTH;

    /* What happens at the deadline itself still counts. */
    while (goes_on && !stele__signal_is_set(signal))
        goes_on = runtime->time <= deadline && (stele__step(runtime) || jump(runtime, deadline));
    if (!stele__signal_is_set(signal) && deadline != INT64_MAX && deadline > runtime->time)
        runtime->time = deadline;
    return stele__signal_is_set(signal);
}
