/*
 * Checking an aggregate's table, once, before a repository uses it: everything
 * behind that trusts it. What can fail: the table (STELE_INVALID).
 */
#include "aggregate/aggregate.h"

#include "base/error.h"

#include <string.h>

/* STELE_INVALID, in the manner of "aggregate bank.account: event bank.closed: is there twice". */
static stele_status fail_table(const struct stele_aggregate *aggregate, const char *kind, const struct stele_type *type,
                               const char *why, stele_error **error)
{
    stele__fail(error, STELE_INVALID, "aggregate %s: %s %s: %s", aggregate->state->name, kind, type ? type->name : "?",
                why);
    stele__error_add(error, "argument", "aggregate");
    stele__error_add(error, "type", "%s", type ? type->name : aggregate->state->name);
    return STELE_INVALID;
}

static stele_status check_type(const struct stele_aggregate *aggregate, const struct stele_type *type,
                               enum stele_message_kind kind, const char *kind_name, stele_error **error)
{
    stele_status status;

    if (!type)
        return fail_table(aggregate, kind_name, NULL, "its type is NULL", error);
    status = stele_type_check(type, error);
    if (status != STELE_OK) {
        stele__error_prefix(error, "aggregate %s", aggregate->state->name);
        return status;
    }
    if (type->kind != kind)
        return fail_table(aggregate, kind_name, type, "its type is of another kind", error);
    return STELE_OK;
}

/* Stored types are found by name alone, so events and commands share one space of names. */
static const struct stele_type *type_at(const struct stele_aggregate *aggregate, size_t index)
{
    return index < aggregate->evolution_count ? aggregate->evolutions[index].event
                                              : aggregate->deciders[index - aggregate->evolution_count].command;
}

static stele_status check_names(const struct stele_aggregate *aggregate, stele_error **error)
{
    const size_t count = aggregate->evolution_count + aggregate->decider_count;

    for (size_t i = 0; i < count; i++) {
        const struct stele_type *type = type_at(aggregate, i);

        for (size_t j = 0; j < i; j++) {
            if (strcmp(type_at(aggregate, j)->name, type->name) == 0)
                return fail_table(aggregate, "type", type, "the name is in the table twice", error);
        }
    }
    return STELE_OK;
}

static stele_status check_evolutions(const struct stele_aggregate *aggregate, stele_error **error)
{
    for (size_t i = 0; i < aggregate->evolution_count; i++) {
        const struct stele_evolution *evolution = &aggregate->evolutions[i];
        const stele_status status = check_type(aggregate, evolution->event, STELE_EVENT, "event", error);

        if (status != STELE_OK)
            return status;
        if (!evolution->evolve)
            return fail_table(aggregate, "event", evolution->event, "its evolve function is NULL", error);
    }
    return STELE_OK;
}

static stele_status check_deciders(const struct stele_aggregate *aggregate, stele_error **error)
{
    for (size_t i = 0; i < aggregate->decider_count; i++) {
        const struct stele_decider *decider = &aggregate->deciders[i];
        const stele_status status = check_type(aggregate, decider->command, STELE_COMMAND, "command", error);

        if (status != STELE_OK)
            return status;
        if (!decider->decide)
            return fail_table(aggregate, "command", decider->command, "its decide function is NULL", error);
    }
    return STELE_OK;
}

stele_status stele_aggregate_check(const struct stele_aggregate *aggregate, stele_error **error)
{
    stele_status status;

    if (!aggregate)
        return stele__fail_argument(error, "aggregate", "is NULL");
    if (!aggregate->state)
        return stele__fail_argument(error, "aggregate", "its state type is NULL");
    if (aggregate->evolution_count && !aggregate->evolutions)
        return stele__fail_argument(error, "aggregate", "its evolutions are NULL");
    if (aggregate->decider_count && !aggregate->deciders)
        return stele__fail_argument(error, "aggregate", "its deciders are NULL");
    status = stele_type_check(aggregate->state, error);
    if (status == STELE_OK && aggregate->state->kind != STELE_STATE)
        status = fail_table(aggregate, "state", aggregate->state, "its type is of another kind", error);
    if (status == STELE_OK)
        status = check_evolutions(aggregate, error);
    if (status == STELE_OK)
        status = check_deciders(aggregate, error);
    if (status == STELE_OK)
        status = check_names(aggregate, error);
    return status;
}
