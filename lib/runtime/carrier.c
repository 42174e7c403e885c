/*
 * The threads of a simulation: stacks for callbacks, of which exactly one is in use at a time.
 *
 *     caller: run, advance, wait --turn--> a carrier: step ... a callback waits --turn--> another one: step ...
 *       ^                                                           ^                                |
 *       |                                                           '----- signal set, or too late --+
 *       '------------------------- what the caller wants is reached ---------------------------------'
 *
 * So a callback that waits keeps its stack and stands in nobody's way, as with
 * worker threads; and as only who has the turn runs, and only the state of
 * the simulation says who gets it next, one seed is still one run. Everything
 * here belongs to whoever has the turn; there is nothing to lock.
 *
 * After each step the next thing is, in this order:
 *
 *     a timer, or the deadline of a wait, that is overdue, by time; at one instant the timer
 *     what is ready, and callbacks whose signal is set: the seed chooses
 *     timers, then deadlines, of this very instant
 *     time passes to the next of them, as far as the caller lets it
 *     a wait that cannot end any more ends with false, if the caller waits for it: the newest one without a deadline
 *
 * What can fail: the system has no thread, or STELE__DEPTH of them wait. For a wait in a callback that means false. For
 * the first thread it means that the caller's own stack is used, on which waits run what is ready.
 */
#include "base/log.h"
#include "base/random.h"
#include "runtime/state.h"
#include "runtime/thread.h"

static _Thread_local struct stele__carrier *here;

/* --- Who waits ----------------------------------------------------------------------------- */

static void enlist(stele_runtime *runtime, struct stele__carrier *carrier)
{
    struct stele__carrier **place = &runtime->waiting;

    while (*place)
        place = &(*place)->next;
    carrier->next = NULL;
    *place = carrier;
}

static void delist(stele_runtime *runtime, struct stele__carrier *carrier)
{
    struct stele__carrier **place = &runtime->waiting;

    while (*place != carrier)
        place = &(*place)->next;
    *place = carrier->next;
}

/* The first one to be too late; NULL if nobody waits. */
static struct stele__carrier *find_earliest(const stele_runtime *runtime)
{
    struct stele__carrier *earliest = runtime->waiting;

    for (struct stele__carrier *each = earliest; each; each = each->next) {
        if (each->deadline < earliest->deadline)
            earliest = each;
    }
    return earliest;
}

/* The one whose signal is set as the n-th, from 0; else NULL, and *count of these there are. */
static struct stele__carrier *find_set(const stele_runtime *runtime, uint64_t n, uint64_t *count)
{
    *count = 0;
    for (struct stele__carrier *each = runtime->waiting; each; each = each->next) {
        if (stele__signal_is_set(each->signal) && (*count)++ == n)
            return each;
    }
    return NULL;
}

static struct stele__carrier *find_overdue(const stele_runtime *runtime)
{
    struct stele__carrier *earliest = find_earliest(runtime);
    const bool is_overdue =
        earliest && earliest->deadline < runtime->time && earliest->deadline < stele__timer_next(runtime);

    return is_overdue ? earliest : NULL;
}

/* Let the seed choose between those whose signal is set and what is ready: NULL for the latter. */
static struct stele__carrier *choose(stele_runtime *runtime)
{
    uint64_t ready = atomic_load_explicit(&runtime->ready.count, memory_order_relaxed);
    uint64_t set;

    find_set(runtime, UINT64_MAX, &set);
    if (set == 0 || stele__timer_next(runtime) < runtime->time)
        return NULL;
    if (ready > STELE__CHOICE)
        ready = STELE__CHOICE;
    return find_set(runtime, set + ready > 1 ? stele__random_below(&runtime->order, set + ready) : 0, &set);
}

static struct stele__carrier *find_due(const stele_runtime *runtime)
{
    struct stele__carrier *earliest = find_earliest(runtime);

    return earliest && earliest->deadline <= runtime->time ? earliest : NULL;
}

/* --- What the caller wants ----------------------------------------------------------------- */

static bool is_reached(const stele_runtime *runtime)
{
    const struct stele__goal *goal = runtime->goal;

    if (goal->most > 0 && goal->steps >= goal->most)
        return true;
    return goal->signal && (stele__signal_is_set(goal->signal) || runtime->time > goal->end);
}

/* How far time may pass. */
static int64_t end_of(const stele_runtime *runtime)
{
    return runtime->goal->finishes && runtime->waiting ? INT64_MAX : runtime->goal->end;
}

static bool jump(stele_runtime *runtime)
{
    const struct stele__carrier *earliest = find_earliest(runtime);
    int64_t end = end_of(runtime);

    if (earliest && earliest->deadline != INT64_MAX && earliest->deadline <= end &&
        earliest->deadline < stele__timer_next(runtime)) {
        runtime->time = earliest->deadline;
        return true;
    }
    return stele__simulation_jump(runtime, end);
}

/* Nothing will happen any more: whose wait ends for that. */
static struct stele__carrier *find_hopeless(const stele_runtime *runtime)
{
    struct stele__carrier *newest = NULL;

    if (runtime->goal->unwinds)
        return runtime->waiting;
    if (end_of(runtime) != INT64_MAX)
        return NULL;
    for (struct stele__carrier *each = runtime->waiting; each; each = each->next)
        newest = each;
    return newest;
}

/* A callback's step counts for the caller who had it begin, whenever it ends. */
static bool step(stele_runtime *runtime)
{
    struct stele__goal *goal = runtime->goal;

    goal->steps++;
    if (stele__step(runtime))
        return true;
    goal->steps--;
    return false;
}

/* --- Turns --------------------------------------------------------------------------------- */

static void take_turn(struct stele__signal *turn)
{
    stele__signal_sleep(turn);
    stele__signal_reset(turn);
}

static struct stele__signal *call(stele_runtime *runtime, struct stele__carrier *waiter)
{
    runtime->goal->steps += runtime->goal->unwinds;
    delist(runtime, waiter);
    return &waiter->turn;
}

/* Go on until the turn is somebody else's: a callback's that has waited, or the caller's. */
static struct stele__signal *drive(stele_runtime *runtime)
{
    while (!is_reached(runtime)) {
        struct stele__carrier *waiter = find_overdue(runtime);

        if (!waiter)
            waiter = choose(runtime);
        if (!waiter && step(runtime))
            continue;
        /* What was ready may have been mailboxes that are empty by now. */
        if (!waiter)
            waiter = choose(runtime);
        if (!waiter)
            waiter = find_due(runtime);
        if (!waiter && jump(runtime))
            continue;
        if (!waiter)
            waiter = find_hopeless(runtime);
        if (!waiter)
            break;
        return call(runtime, waiter);
    }
    return &runtime->turn;
}

static void *carry(void *context)
{
    struct stele__carrier *self = context;
    stele_runtime *runtime = self->runtime;

    here = self;
    take_turn(&self->turn);
    while (!self->ends) {
        struct stele__signal *next = drive(runtime);

        self->next = runtime->idle;
        runtime->idle = self;
        stele__signal_set(next);
        take_turn(&self->turn);
    }
    return NULL;
}

static struct stele__carrier *start(stele_runtime *runtime)
{
    struct stele__carrier *carrier = &runtime->carriers[runtime->carrier_count];

    if (runtime->carrier_count == STELE__DEPTH || !stele__signal_init(&carrier->turn))
        return NULL;
    carrier->runtime = runtime;
    carrier->ends = false;
    if (stele__thread_start(&carrier->thread, carry, carrier) != 0) {
        stele__signal_fini(&carrier->turn);
        return NULL;
    }
    runtime->carrier_count++;
    return carrier;
}

static struct stele__carrier *find_carrier(stele_runtime *runtime)
{
    struct stele__carrier *carrier = runtime->idle;

    if (!carrier)
        return start(runtime);
    runtime->idle = carrier->next;
    return carrier;
}

bool stele__carrier_is_here(const stele_runtime *runtime)
{
    return here && here->runtime == runtime;
}

bool stele__carrier_wait(stele_runtime *runtime, struct stele__signal *signal, int64_t deadline)
{
    struct stele__carrier *self = here;
    struct stele__carrier *other = find_carrier(runtime);

    if (!other) {
        stele__log(STELE_LOG_ERROR, "a wait in a simulation fails: there is no thread for what else is to run", NULL,
                   0);
        return false;
    }
    self->signal = signal;
    self->deadline = deadline;
    enlist(runtime, self);
    stele__signal_set(&other->turn);
    take_turn(&self->turn);
    return stele__signal_is_set(signal);
}

void stele__carrier_pursue(stele_runtime *runtime, struct stele__goal *goal)
{
    struct stele__carrier *carrier = find_carrier(runtime);

    runtime->goal = goal;
    if (carrier) {
        stele__signal_set(&carrier->turn);
        take_turn(&runtime->turn);
    } else {
        /* There never was a thread, else the last one to have the turn were idle: so no callback waits. */
        stele__log(STELE_LOG_WARNING, "a simulation runs in the caller's thread: there is no other one", NULL, 0);
        drive(runtime);
    }
    runtime->goal = NULL;
}

bool stele__carrier_end_all(stele_runtime *runtime)
{
    unsigned idle = 0;

    for (const struct stele__carrier *each = runtime->idle; each; each = each->next)
        idle++;
    if (idle < runtime->carrier_count)
        return false;
    for (; runtime->carrier_count > 0; runtime->carrier_count--) {
        struct stele__carrier *carrier = &runtime->carriers[runtime->carrier_count - 1];

        carrier->ends = true;
        stele__signal_set(&carrier->turn);
        pthread_join(carrier->thread, NULL);
        stele__signal_fini(&carrier->turn);
    }
    runtime->idle = NULL;
    return true;
}
