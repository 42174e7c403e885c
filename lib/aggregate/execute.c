/*
 * Executing commands: load, decide, save; on a conflict all of it again.
 *
 *   load (or begin) -> decide -> save -- OK ------> result
 *        ^                        |  '- other ----> error
 *        '------ short pause <----'-- conflict, while attempts are left
 *
 * Where the repository remembers commands, the ledger is asked first, and what
 * is saved is the outcome of the command too, a rejection as well: that is saved
 * at the versions it was decided at, without events.
 *
 * A command may come a second time: its sender saw no answer. Loading watches
 * for the id that the command's first event has; if it is in the stream, the
 * command is decided again on the state and at the time of then, which gives
 * the same events, and the store answers with the first result (or with
 * STELE_ID_REUSE if it is another command under the same id).
 */
#include "aggregate/aggregate.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/random.h"
#include "store/ledger.h"

#include <string.h>

enum { ATTEMPTS = 3 };
#define PAUSE_FIRST INT64_C(1000000) /* nanoseconds */
#define PAUSE_MOST INT64_C(20000000)

struct execution {
    const struct stele_execution *executions;
    size_t count;
    const struct stele_execute_options *options;
    stele_instance **instances; /* one per stream, in the order of first use */
    size_t instance_count;
    bool is_repeated; /* it was decided before, at `time` */
    int64_t time;
    bool is_remembered; /* its outcome is for the ledger: */
    uint8_t digest[STELE__DIGEST_SIZE];
};

/* STELE_CONFLICT unless the stream is at the version stated. */
static stele_status check_version(const struct stele_execution *execution, uint64_t version, stele_error **error)
{
    const struct stele_expectation expectation = {execution->stream, stele_expect_version(version)};
    const struct stele_batch batch = {.expectations = &expectation, .expectation_count = 1};
    const stele_status status = stele_append_batch(execution->repository->store, &batch, NULL, error);

    if (status == STELE_CONFLICT)
        stele__count(execution->repository->counts, STELE__COUNT_CONFLICTS, 1);
    return status;
}

/* Load the instance again, up to a version that it is known to have. */
static stele_status reload(const struct stele_execution *execution, uint64_t until, stele_instance **instance,
                           stele_error **error)
{
    struct stele__loading loading = {.or_new = true, .until = until};

    stele_instance_free(*instance);
    *instance = NULL;
    return stele__load(execution->repository, execution->stream, &loading, instance, error);
}

/* Load what a command is to be decided on. */
static stele_status load(struct execution *all, const struct stele_execution *execution, stele_instance **instance,
                         stele_error **error)
{
    const struct stele_uuid first_event = stele__event_id(execution->command, execution->stream, 0);
    struct stele__loading loading = {.or_new = true, .until = STELE_VERSION_MAX, .watched = &first_event};
    const uint64_t stated = all->options->version;
    stele_status status = stele__load(execution->repository, execution->stream, &loading, instance, error);

    if (status != STELE_OK)
        return status;
    if (loading.watched_version > 0) {
        all->is_repeated = true;
        all->time = loading.watched_time;
        return reload(execution, loading.watched_version - 1, instance, error);
    }
    if (all->options->has_version && stele_instance_version(*instance) != stated) {
        status = check_version(execution, stated, error);
        if (status == STELE_OK)
            status = reload(execution, stated, instance, error);
    }
    return status;
}

/* The instance of an execution, which may be that of an earlier one; NULL if it is not loaded. */
static stele_instance *find_instance(const struct execution *all, const struct stele_execution *execution)
{
    for (size_t i = 0; i < all->instance_count; i++) {
        stele_instance *instance = all->instances[i];

        if (instance->repository == execution->repository && strcmp(instance->stream, execution->stream) == 0)
            return instance;
    }
    return NULL;
}

static stele_status load_all(struct execution *all, stele_error **error)
{
    stele_status status = STELE_OK;

    for (size_t i = 0; i < all->count && status == STELE_OK; i++) {
        stele_instance *instance = find_instance(all, &all->executions[i]);

        if (instance)
            continue;
        status = load(all, &all->executions[i], &instance, error);
        if (status == STELE_OK)
            all->instances[all->instance_count++] = instance;
        else
            stele_instance_free(instance);
    }
    return status;
}

static stele_status decide_all(struct execution *all, stele_error **error)
{
    const struct stele_clock *clock = all->executions[0].repository->clock;
    const int64_t time = all->is_repeated ? all->time : clock->now(clock->context);
    stele_status status = STELE_OK;

    for (size_t i = 0; i < all->count && status == STELE_OK; i++) {
        stele_instance *instance = find_instance(all, &all->executions[i]);

        instance->has_decision_time = true;
        instance->decision_time = time;
        status = stele_decide(instance, all->executions[i].command, error);
    }
    return status;
}

/* --- The ledger ------------------------------------------------------------------- */

/* Answer from the ledger, if the command is there. */
static stele_status replay(struct execution *all, struct stele_appended *result, bool *replayed, stele_error **error)
{
    const stele_message *command = all->executions[0].command;
    struct stele_appended first = {0};
    struct stele_command_record record;
    stele_status status;

    *replayed = false;
    if (!all->is_remembered)
        return STELE_OK;
    for (size_t i = 0; i < all->count; i++)
        stele__command_digest_add(all->executions[i].stream, all->executions[i].command, all->digest);
    stele__command_record(command, all->digest, &record);
    status = stele__store_replay(all->executions[0].repository->store, &record, &first, replayed, error);
    if (status == STELE_OK && *replayed && result)
        *result = first;
    return status;
}

static stele_status save(struct execution *all, const char *rejection, struct stele_appended *result,
                         stele_error **error)
{
    const struct stele__handled handled = {all->executions[0].command, all->digest, rejection};

    return stele__save(all->instances, all->instance_count, false, all->is_remembered ? &handled : NULL, result, error);
}

/* Remember a rejection; its error stays unless there is a better one. */
static stele_status save_rejection(struct execution *all, stele_error **error)
{
    stele_error *failure = NULL;
    stele_status status = stele_error_status(*error);

    if (status != STELE_REJECTED) /* there was no memory for the text */
        return status;
    status = save(all, stele_error_message(*error), NULL, &failure);
    if (status == STELE_OK)
        return STELE_REJECTED;
    stele_error_free(*error);
    *error = failure;
    return status;
}

/* --- Attempts ----------------------------------------------------------------------- */

/* `error` is not NULL. */
static stele_status attempt(struct execution *all, struct stele_appended *result, stele_error **error)
{
    stele_status status;

    all->instance_count = 0;
    all->is_repeated = false;
    status = load_all(all, error);
    if (status == STELE_OK)
        status = decide_all(all, error);
    if (status == STELE_OK)
        status = save(all, NULL, result, error);
    else if (status == STELE_REJECTED && all->is_remembered && !all->is_repeated)
        status = save_rejection(all, error);
    for (size_t i = 0; i < all->instance_count; i++)
        stele_instance_free(all->instances[i]);
    return status;
}

/* Full jitter: writers that met once should not meet again. */
static void pause_after(const struct stele_clock *clock, unsigned attempts)
{
    int64_t most = PAUSE_FIRST;

    for (unsigned i = 1; i < attempts && most < PAUSE_MOST; i++)
        most *= 2;
    if (most > PAUSE_MOST)
        most = PAUSE_MOST;
    clock->pause(clock->context, (int64_t)(stele__random() % (uint64_t)most));
}

static stele_status check_executions(const struct stele_execution *executions, size_t count,
                                     const struct stele_execute_options *options, stele_error **error)
{
    if (!executions || count == 0)
        return stele__fail_argument(error, "executions", "there are none");
    for (size_t i = 0; i < count; i++) {
        if (!executions[i].repository)
            return stele__fail_argument(error, "executions", "a repository is NULL");
        if (!executions[i].stream)
            return stele__fail_argument(error, "executions", "a stream is NULL");
        if (!executions[i].command)
            return stele__fail_argument(error, "executions", "a command is NULL");
        if (executions[i].repository->store != executions[0].repository->store)
            return stele__fail_argument(error, "executions", "they are of different stores");
        /* Before it becomes part of an event id, which has room for a stream's name and no more. */
        if (strlen(executions[i].stream) > STELE_STREAM_MAX)
            return stele__fail_limit(error, "stream", strlen(executions[i].stream), STELE_STREAM_MAX, "bytes");
    }
    if (options->has_version && count != 1)
        return stele__fail_argument(error, "options", "a version can be stated for one execution only");
    if (options->has_version && options->version > STELE_VERSION_MAX)
        return stele__fail_argument(error, "options", "version is above STELE_VERSION_MAX");
    return STELE_OK;
}

static stele_status execute(struct execution *all, struct stele_appended *result, stele_error **error)
{
    const unsigned asked = all->options->attempts ? all->options->attempts : ATTEMPTS;
    const unsigned attempts = all->options->has_version ? 1 : asked;

    for (unsigned made = 1;; made++) {
        stele_error *failure = NULL;
        const stele_status status = attempt(all, result, &failure);

        if (status != STELE_CONFLICT || made >= attempts) {
            if (error && failure)
                *error = failure;
            else
                stele_error_free(failure);
            return status;
        }
        stele_error_free(failure);
        stele__count(all->executions[0].repository->counts, STELE__COUNT_RETRIES, 1);
        pause_after(all->executions[0].repository->clock, made);
    }
}

stele_status stele_execute_all(const struct stele_execution *executions, size_t count,
                               const struct stele_execute_options *options, struct stele_appended *result,
                               stele_error **error)
{
    static const struct stele_execute_options defaults = STELE_OPTIONS_INIT(struct stele_execute_options);
    struct execution all = {.executions = executions, .count = count, .options = options ? options : &defaults};
    stele_status status = stele__options_check(options, sizeof(*options), sizeof(*options), "options", error);
    bool replayed = false;
    size_t size;

    if (status == STELE_OK)
        status = check_executions(executions, count, all.options, error);
    if (status != STELE_OK)
        return status;
    if (stele__size_multiply(count, sizeof(*all.instances), &size))
        all.instances = stele__alloc(size);
    if (!all.instances)
        return stele__fail_memory(error);
    all.is_remembered = executions[0].repository->remembers_commands;
    status = replay(&all, result, &replayed, error);
    if (status == STELE_OK && !replayed)
        status = execute(&all, result, error);
    stele__free(all.instances, size);
    return status;
}

stele_status stele_execute(const stele_repository *repository, const char *stream, const stele_message *command,
                           struct stele_appended *result, stele_error **error)
{
    const struct stele_execution execution = {repository, stream, command};

    return stele_execute_all(&execution, 1, NULL, result, error);
}
