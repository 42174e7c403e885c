/* Observers and schedules of a world of flows, see flow_model.h. */
#include "tests/sim/flow_model.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Observers ------------------------------------------------------------------------------------- */

static void describe(const struct stele_observation *seen, struct sighting *out)
{
    const struct stele_slice id = stele_message_id(seen->message);

    memset(out, 0, sizeof(*out));
    out->seen = seen->seen;
    snprintf(out->what, sizeof(out->what), "%.12s %.*s", seen->route, STELE_SLICE(id));
}

/* Sees all, and knows what was dropped. */
static void witness(void *context, const struct stele_observation *seen)
{
    struct sim_step step = {0};
    stele_arena *arena = NULL;

    (void)context;
    if (flow.sighting_count == SEEN)
        abort();
    describe(seen, &flow.sightings[flow.sighting_count++]);
    if (seen->seen != STELE_SEEN_DROPPED || stele_arena_new(&arena, NULL) != STELE_OK)
        return;
    for (size_t i = 0; i < SIM_TYPES; i++)
        if (stele_message_is(seen->message, &sim_types[i]))
            stele_message_read(seen->message, &sim_types[i], arena, &step, NULL);
    stele_arena_free(arena);
    for (size_t i = flow.seat_count; i-- > 0;) {
        struct seat *seat = &flow.seats[i];

        if (strcmp(seat->name, seen->route) == 0 && seat->is_offered[step.number]) {
            seat->dropped[step.number]++;
            break;
        }
    }
}

static void watch(void *context, const struct stele_observation *seen)
{
    struct watcher *watcher = context;

    if (watcher->seen == SEEN)
        abort();
    describe(seen, &watcher->sightings[watcher->seen++]);
    if (watcher->naps)
        sim_sleep(3 * SIM_MS);
}

static struct sighting *new_sightings(void)
{
    struct sighting *sightings = calloc(SEEN, sizeof(*sightings));

    if (!sightings)
        abort();
    return sightings;
}

void flow_add_observers(void)
{
    static const struct stele_observer table = {.name = "witness", .capacity = SEEN, .see = witness};
    stele_error *error = NULL;

    flow.sightings = new_sightings();
    sim_ok(stele_bus_add_observer(flow.bus, &table, NULL, &error), error);
    flow.watcher_count = (size_t)sim_next(OBSERVERS + 1);
    for (size_t i = 0; i < flow.watcher_count; i++) {
        struct watcher *watcher = &flow.watchers[i];

        snprintf(watcher->name, sizeof(watcher->name), "watcher-%zu", i);
        watcher->sightings = new_sightings();
        watcher->naps = sim_draw(LOT_OBSERVER, i, 3) == 0;
        watcher->table = (struct stele_observer){
            .name = watcher->name,
            .on = sim_draw(LOT_OBSERVER, 10 + i, 2) ? "sim.0" : NULL,
            .kinds = sim_draw(LOT_OBSERVER, 20 + i, 2) ? STELE_SEEN_HANDLED | STELE_SEEN_DROPPED : 0,
            .capacity = 1 + (size_t)sim_draw(LOT_OBSERVER, 30 + i, 20),
            .overflow = (enum stele_observer_overflow)sim_draw(LOT_OBSERVER, 40 + i, 2),
            .see = watch};
        sim_ok(stele_bus_add_observer(flow.bus, &watcher->table, watcher, &error), error);
    }
}

static bool concerns(const struct watcher *watcher, const struct sighting *sighting)
{
    const char *id = strchr(sighting->what, ' ') + 1;
    const int64_t number = strtol(id + 2, NULL, 10);

    if (watcher->table.kinds && !(watcher->table.kinds & (unsigned)sighting->seen))
        return false;
    return !watcher->table.on || (id[0] == 'm' && flow.messages[number].type == 0);
}

void flow_check_observers(void)
{
    struct stele_observer_stats stats;

    for (size_t i = 0; i < flow.watcher_count; i++) {
        const struct watcher *watcher = &flow.watchers[i];
        uint64_t due = 0;
        size_t next = 0;

        for (size_t j = 0; j < flow.sighting_count; j++) {
            const struct sighting *sighting = &flow.sightings[j];

            due += concerns(watcher, sighting);
            if (next < watcher->seen && memcmp(sighting, &watcher->sightings[next], sizeof(*sighting)) == 0)
                next++;
        }
        sim_expect(next == watcher->seen, "%s saw %s out of order", watcher->name, watcher->sightings[next].what);
        if (stele_bus_observer_stats(flow.bus, watcher->name, &stats, NULL) != STELE_OK)
            abort();
        sim_expect(stats.waiting == 0 && stats.seen == watcher->seen, "%s counts wrongly", watcher->name);
        sim_expect(stats.seen + stats.dropped == due, "%s: %" PRIu64 " seen, %" PRIu64 " missed of %" PRIu64,
                   watcher->name, stats.seen, stats.dropped, due);
    }
}

void flow_free_observers(void)
{
    for (size_t i = 0; i < flow.watcher_count; i++)
        free(flow.watchers[i].sightings);
    free(flow.sightings);
}

/* --- Schedules --------------------------------------------------------------------------------------- */

static struct stele_type tick_type; /* sim_step under another name */

/* A tick's number is its plan. */
static stele_status tick(void *resource, const stele_message *message, stele_context *context)
{
    const void *step = NULL;
    struct plan *plan;
    const int64_t now = sim_now();

    (void)resource;
    (void)message;
    if (stele_context_read(context, &tick_type, &step) != STELE_OK)
        return STELE_INVALID;
    plan = &flow.plans[((const struct sim_step *)step)->number];
    plan->fired++;
    sim_expect(!plan->is_cancelled, "a schedule went on behind its cancellation");
    sim_expect(plan->interval || (plan->fired == 1 && now == plan->due), "a schedule came at the wrong time");
    sim_expect(!plan->interval || (now - plan->began) == (int64_t)plan->fired * plan->interval,
               "time %" PRIu64 " of a schedule is wrong", plan->fired);
    return STELE_OK;
}

void flow_plan_one(void)
{
    struct plan *plan = &flow.plans[flow.plan_count];
    const struct sim_step payload = {.number = (int64_t)flow.plan_count};
    stele_message *message = NULL;
    stele_error *error = NULL;

    if (flow.plan_count == SCHEDULES || stele_message_new(&tick_type, &payload, NULL, &message, NULL) != STELE_OK)
        return;
    flow.plan_count++;
    plan->began = sim_now();
    plan->due = plan->began + (int64_t)sim_next(50) * SIM_MS;
    plan->interval = sim_chance(50) ? (1 + (int64_t)sim_next(40)) * SIM_MS : 0;
    if (plan->interval)
        sim_ok(stele_schedule_every(flow.bus, (uint64_t)(plan->interval / SIM_MS), message, &plan->id, &error), error);
    else
        sim_ok(stele_schedule_at(flow.bus, plan->due, message, &plan->id, &error), error);
    stele_message_unref(message);
}

void flow_cancel_plan(struct plan *plan)
{
    const bool was_there = stele_schedule_cancel(flow.bus, plan->id);

    sim_expect(was_there || plan->is_cancelled || (!plan->interval && plan->fired == 1), "a schedule was gone");
    plan->is_cancelled = true;
}

void flow_check_plans(void)
{
    const int64_t now = sim_now();

    for (size_t i = 0; i < flow.plan_count; i++) {
        const struct plan *plan = &flow.plans[i];
        const uint64_t due = plan->interval ? (uint64_t)((now - plan->began) / plan->interval) : plan->due <= now;

        sim_expect(plan->is_cancelled || plan->fired == due, "a schedule came %" PRIu64 " times of %" PRIu64,
                   plan->fired, due);
    }
}

void flow_add_ticker(void)
{
    static const struct stele_route ticker = {.name = "ticker", .on = "tick", .handle = tick};
    stele_error *error = NULL;

    tick_type = sim_step_type;
    tick_type.name = "tick";
    sim_ok(stele_bus_add_route(flow.bus, &ticker, NULL, NULL, &error), error);
}
