/*
 * SQL files among the projections of a store.
 *
 *     subscription ─► load, { begin ─► receive* ─► commit | rollback }* ─► follower (model_run.h) ─► target ─► tables
 *
 * What can fail: what stele_model_start() says.
 */
#include "projections/projections.h"

#include "base/error.h"
#include "projections/model_run.h"
#include "store/subscription.h"

struct in_sql {
    struct stele__running running;
    struct stele__model_follower follower;
};

static struct in_sql *of(struct stele__running *running)
{
    return (struct in_sql *)running;
}

static stele_status start(struct stele__running *running, stele_error **error)
{
    const stele_projections *projections = running->projections;
    struct stele__model_follower *follower = &of(running)->follower;
    const stele_status status =
        stele__model_follower_open(follower, running->sql_model, projections->store, projections->file, false, error);

    if (status != STELE_OK)
        return status;
    running->subscriber.name = running->subscription_name;
    stele__model_follower_subscribe(follower, &running->subscriber);
    return stele_subscription_start(projections->store, projections->runtime, &running->subscriber, follower,
                                    &running->subscription, error);
}

static void stop(struct stele__running *running)
{
    stele__model_follower_close(&of(running)->follower);
}

static struct stele__target *target(struct stele__running *running)
{
    return &of(running)->follower.target;
}

const struct stele__running_kind stele__running_in_sql = {
    .size = sizeof(struct in_sql),
    .start = start,
    .stop = stop,
    .target = target,
};

stele_status stele_projections_add_model(stele_projections *projections, const stele_model *model, stele_error **error)
{
    const stele_status status = stele__projections_check(projections, error);

    if (status != STELE_OK)
        return status;
    if (!model)
        return stele__fail_argument(error, "model", "is NULL");
    return stele__running_add(projections,
                              &(struct stele__running_seed){
                                  .kind = &stele__running_in_sql,
                                  .name = stele_model_name(model),
                                  .version = stele_model_version(model),
                                  .told = STELE_PROJECTION_IN_FILE,
                                  .sql_model = model,
                              },
                              error);
}
