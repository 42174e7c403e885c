/*
 * A projection's table itself: checked where it is added, so that all behind
 * that can rely on it.
 */
#include "projections/projecting.h"

#include "base/error.h"
#include "base/text.h"

#include <string.h>
#include <strings.h>

stele_status stele__projection_fault(const struct stele_projection *projection, stele_status status,
                                     stele_error **error)
{
    stele__error_prefix(error, "projection %s", projection->name);
    stele__error_add(error, "projection", "%s", projection->name);
    return status;
}

static stele_status check_name(const char *name, stele_error **error)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";

    if (!name || !*name)
        return stele__fail_argument(error, "projection", "has no name");
    if (strlen(name) > STELE_PROJECTION_NAME_MAX)
        return stele__fail_limit(error, "the projection's name", strlen(name), STELE_PROJECTION_NAME_MAX, "bytes");
    if (name[strspn(name, letters)])
        return stele__fail(error, STELE_INVALID, "a projection's name is letters, digits, '_', '-' and '.', not \"%s\"",
                           name);
    return STELE_OK;
}

static stele_status check_on(const struct stele_projection *projection, size_t index, stele_error **error)
{
    const struct stele_projection_on *on = &projection->on[index];
    stele_status status;

    if (!on->type || !on->project)
        return stele__fail(error, STELE_INVALID, "on[%zu] has no %s", index, on->type ? "function" : "type");
    status = stele_type_check(on->type, error);
    if (status != STELE_OK)
        return status;
    if (on->type->kind != STELE_EVENT)
        return stele__fail(error, STELE_INVALID, "%s is no event", on->type->name);
    for (size_t i = 0; i < index; i++)
        if (strcmp(projection->on[i].type->name, on->type->name) == 0)
            return stele__fail(error, STELE_INVALID, "there are two functions for %s", on->type->name);
    return STELE_OK;
}

static stele_status check_views(const struct stele_projection *projection, stele_error **error)
{
    const bool wanted = projection->kind == STELE_PROJECTION_IN_FILE || projection->kind == STELE_PROJECTION_IN_STORE;
    const struct stele_view *const *views = projection->views;
    const bool has = views && *views;

    if (has != wanted)
        return stele__fail(error, STELE_INVALID, wanted ? "it has no views" : "a projection of its kind has no views");
    for (size_t i = 0; has && views[i]; i++) {
        const stele_status status = stele_view_check(views[i], error);

        if (status != STELE_OK)
            return status;
        for (size_t j = 0; j < i; j++)
            if (strcasecmp(views[i]->row->name, views[j]->row->name) == 0)
                return stele__fail(error, STELE_INVALID, "there are two views \"%s\"", views[i]->row->name);
    }
    return STELE_OK;
}

static stele_status check_kind(const struct stele_projection *projection, const void *model, stele_error **error)
{
    const enum stele_projection_kind kind = projection->kind;

    if ((unsigned)kind > STELE_PROJECTION_OUT)
        return stele__fail(error, STELE_INVALID, "its kind is none");
    if ((projection->reset != NULL) != (kind == STELE_PROJECTION_IN_MEMORY))
        return stele__fail(error, STELE_INVALID,
                           projection->reset ? "only a projection in memory is reset" : "it has no function `reset`");
    if (kind == STELE_PROJECTION_IN_MEMORY && !model)
        return stele__fail(error, STELE_INVALID, "it is in memory, and was given no model");
    if (kind < STELE_PROJECTION_IN_MEMORY && model)
        return stele__fail(error, STELE_INVALID, "it writes to views, and was given a model");
    if (projection->start != STELE_START_FIRST &&
        (kind != STELE_PROJECTION_OUT || projection->start != STELE_START_NOW))
        return stele__fail(error, STELE_INVALID, "a projection of its kind does not start there");
    if (kind == STELE_PROJECTION_IN_STORE && projection->on_failure != STELE_POISON_PARK)
        return stele__fail(error, STELE_INVALID, "in the store there is no policy: what fails, is not appended");
    return STELE_OK;
}

static stele_status check(const struct stele_projection *projection, const void *model, stele_error **error)
{
    stele_status status = STELE_OK;

    if (projection->version == 0)
        return stele__fail(error, STELE_INVALID, "versions begin with 1");
    if (projection->on_count == 0 || !projection->on)
        return stele__fail(error, STELE_INVALID, "it has no function for any event");
    if (projection->batch > STELE_SUBSCRIPTION_BATCH_MAX)
        return stele__fail_limit(error, "its batch", projection->batch, STELE_SUBSCRIPTION_BATCH_MAX, "events");
    if ((unsigned)projection->on_failure > STELE_POISON_SKIP)
        return stele__fail(error, STELE_INVALID, "its policy for failures is none");
    for (size_t i = 0; status == STELE_OK && i < projection->on_count; i++)
        status = check_on(projection, i, error);
    if (status == STELE_OK)
        status = check_kind(projection, model, error);
    if (status == STELE_OK)
        status = check_views(projection, error);
    if (status == STELE_OK && projection->retry)
        status = stele_retry_check(projection->retry, error);
    return status;
}

stele_status stele__projection_check(const struct stele_projection *projection, const void *model, stele_error **error)
{
    stele_status status;

    if (!projection)
        return stele__fail_argument(error, "projection", "is NULL");
    status = check_name(projection->name, error);
    if (status != STELE_OK)
        return status;
    status = check(projection, model, error);
    return status == STELE_OK ? STELE_OK : stele__projection_fault(projection, status, error);
}
