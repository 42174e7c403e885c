/*
 * A model as it was: folded up to a position or a time, at once, in the caller's
 * thread. Nothing of it is kept.
 *
 * What can fail: reading, the functions, memory.
 */
#include "base/error.h"
#include "message/message.h"
#include "projections/projecting.h"
#include "store/store.h"

static stele_status check(stele_store *store, const struct stele_projection *projection, const void *model,
                          const struct stele_query *until, stele_error **error)
{
    stele_status status = stele__store_check(store, error);

    if (status == STELE_OK)
        status = stele__projection_check(projection, model, error);
    if (status == STELE_OK && projection->kind != STELE_PROJECTION_IN_MEMORY)
        status = stele__fail_argument(error, "projection", "is not in memory");
    if (status == STELE_OK && until && (until->backwards || until->limit || until->type || until->after))
        status = stele__fail_argument(error, "until", "says more than which streams, and where to end");
    return status;
}

struct folding {
    struct stele_projecting at;
    void *model;
};

static stele_status fold(struct folding *folding, stele_cursor *cursor, stele_error **error)
{
    const stele_message *event = NULL;

    for (;;) {
        stele_status status = stele_cursor_next(cursor, &event, error);

        if (status != STELE_OK || !event)
            return status;
        if (!stele__stream_is_own(event->stream))
            status = stele__project(&folding->at, folding->model, event, error);
        if (status != STELE_OK)
            return status;
    }
}

stele_status stele_project_until(stele_store *store, const struct stele_projection *projection, void *model,
                                 const struct stele_query *until, stele_error **error)
{
    struct stele_query query = STELE_OPTIONS_INIT(struct stele_query);
    struct folding folding = {.model = model};
    stele_cursor *cursor = NULL;
    stele_status status = check(store, projection, model, until, error);

    if (status == STELE_OK)
        status = stele__projecting_init(&folding.at, projection, error);
    if (status != STELE_OK)
        return status;
    if (until)
        query = *until;
    if (!query.stream && !query.category)
        query.category = projection->category;
    status = stele_read(store, &query, &cursor, error);
    if (status == STELE_OK) {
        projection->reset(model);
        status = fold(&folding, cursor, error);
    }
    stele_cursor_close(cursor);
    stele__projecting_fini(&folding.at);
    return status;
}
