/*
 * Reading what one has written: waiting for a position, sending and waiting.
 *
 * Each projection is waited for in turn, within one time. One that is being built beside is there when it has come to its
 * goal: only then what was built is what is read.
 *
 * What can fail: the time, a projection that has failed or is paused.
 */
#include "projections/projections.h"

#include "base/arena.h"
#include "base/error.h"
#include "bus/core.h"
#include "projections/target.h"

#include <inttypes.h>

enum { NANOS_PER_MS = 1000000 };

static uint32_t milliseconds_to(const struct stele__running *running, int64_t deadline)
{
    const int64_t left = deadline - stele__runtime_monotonic(running->projections->runtime);

    if (left <= 0)
        return 0;
    return left / NANOS_PER_MS >= UINT32_MAX ? UINT32_MAX : (uint32_t)((left + NANOS_PER_MS - 1) / NANOS_PER_MS);
}

/* A position that is reached while it is built beside is not yet what is read. */
static stele_status wait_for_tables(struct stele__running *running, uint64_t position, int64_t deadline,
                                    stele_error **error)
{
    struct stele__building *building = stele__running_building(running);
    stele_status status = STELE_OK;

    do {
        if (building)
            status = stele__building_wait(building, running->projections->runtime, deadline, error);
        if (status == STELE_OK)
            status =
                stele_subscription_wait(running->subscription, position, milliseconds_to(running, deadline), error);
    } while (status == STELE_OK && building && stele__building_is_under_way(building));
    return status;
}

static stele_status wait_for(struct stele__running *running, uint64_t position, int64_t deadline, stele_error **error)
{
    const stele_status status = running->kind->wait ? running->kind->wait(running, position, deadline, error)
                                                    : wait_for_tables(running, position, deadline, error);

    return status == STELE_OK ? STELE_OK : stele__running_fault(running, status, error);
}

static stele_status wait_for_all(stele_projections *projections, uint64_t position, int64_t deadline,
                                 stele_error **error)
{
    struct stele__running *running;
    size_t place = 0;
    stele_status status = STELE_OK;

    while (status == STELE_OK && (running = stele__running_next(projections, &place)))
        status = wait_for(running, position, deadline, error);
    return status;
}

static stele_status wait_until(stele_projections *projections, const char *const *names, uint64_t position,
                               int64_t deadline, stele_error **error)
{
    struct stele__running *running = NULL;
    stele_status status = STELE_OK;

    if (!names)
        return wait_for_all(projections, position, deadline, error);
    for (size_t i = 0; status == STELE_OK && names[i]; i++) {
        status = stele__running_find(projections, names[i], &running, error);
        if (status == STELE_OK)
            status = wait_for(running, position, deadline, error);
    }
    return status;
}

static int64_t deadline_in(const stele_projections *projections, uint32_t timeout_ms)
{
    return stele__runtime_monotonic(projections->runtime) + (int64_t)timeout_ms * NANOS_PER_MS;
}

stele_status stele_projections_wait(stele_projections *projections, const char *const *names, uint64_t position,
                                    uint32_t timeout_ms, stele_error **error)
{
    const stele_status status = stele__projections_check(projections, error);

    if (status != STELE_OK)
        return status;
    return wait_until(projections, names, position, deadline_in(projections, timeout_ms), error);
}

/* Where the events of a command are in the log: the last one is at or below this. */
static stele_status find_last(const stele_projections *projections, const stele_message *reply, uint64_t *position,
                              stele_error **error)
{
    struct stele_accepted accepted;
    struct stele_arena arena;
    stele_status status;

    if (!stele_message_is(reply, &stele_accepted_type))
        return stele__target_head(projections->store, position, error);
    stele__arena_init(&arena);
    status = stele_accepted_read(reply, &arena, &accepted, error);
    if (status == STELE_OK)
        *position = accepted.last_position;
    stele__arena_fini(&arena);
    return status;
}

static stele_status check_names(stele_projections *projections, const char *const *names, stele_error **error)
{
    struct stele__running *running = NULL;
    stele_status status = STELE_OK;

    for (size_t i = 0; status == STELE_OK && names && names[i]; i++)
        status = stele__running_find(projections, names[i], &running, error);
    return status;
}

stele_status stele_projections_request(stele_projections *projections, const char *const *names, stele_bus *bus,
                                       const stele_message *command, const struct stele_send_options *options,
                                       stele_message **reply, stele_error **error)
{
    stele_message *answer = NULL;
    uint64_t position = 0;
    int64_t deadline;
    stele_status status = stele__projections_check(projections, error);

    if (status == STELE_OK && !bus)
        status = stele__fail_argument(error, "bus", "is NULL");
    /* Before anything is sent. */
    if (status == STELE_OK)
        status = check_names(projections, names, error);
    if (status != STELE_OK)
        return status;
    deadline = deadline_in(projections, options && options->timeout_ms ? options->timeout_ms : bus->timeout_ms);
    status = stele_request(bus, command, options, &answer, error);
    if (status != STELE_OK)
        return status;
    status = find_last(projections, answer, &position, error);
    if (status == STELE_OK)
        status = wait_until(projections, names, position, deadline, error);
    if (reply)
        *reply = answer;
    else
        stele_message_unref(answer);
    return status;
}
