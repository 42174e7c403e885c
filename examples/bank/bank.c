/*
 * The bank as an app (see bank.h).
 *
 *   bank_handle(): line ─► post_line ─► bus ─► stele_accepted
 *                            │            '- refused ─► reject_transaction ─► bus ─► stele_accepted
 *                            '- breaks a rule: malformed
 *
 * The runtime has no threads, and tells the time of the line at hand. Routes are
 * inline, so a request is handled and answered in the thread that makes it;
 * alerts and the watch run when this thread says so. Balances are written with
 * each event.
 */
#include "bank.h"

#include "balances.h"
#include "history.h"
#include "transaction.h"

#include <stdio.h>
#include <string.h>

/* --- Opening --------------------------------------------------------------------- */

static int64_t time_of_line(void *context)
{
    const struct bank *bank = context;

    return bank->now;
}

static int64_t monotonic(void *context)
{
    const struct stele_clock *system = stele_clock_system();

    (void)context;
    return system->monotonic(system->context);
}

static void pause_for(void *context, int64_t nanoseconds)
{
    const struct stele_clock *system = stele_clock_system();

    (void)context;
    system->pause(system->context, nanoseconds);
}

static stele_status open_app(struct bank *bank, stele_error **error)
{
    const struct stele_module *const modules[] = {&bank_module, bank->alerts.out ? &alerts_module : NULL, NULL};
    const struct stele_app_options options = {.size = sizeof(options), .store = bank->ledger};
    stele_status status = stele_app_new(bank->runtime, &options, &bank->app, error);

    if (status == STELE_OK)
        status = stele_app_provide(bank->app, "books", &bank->books, error);
    if (status == STELE_OK)
        status = stele_app_provide(bank->app, "alerts", &bank->alerts, error);
    if (status == STELE_OK)
        status = stele_app_mount(bank->app, modules, error);
    return status == STELE_OK ? stele_app_start(bank->app, error) : status;
}

/* What the ledger says already is not told by the watch. */
static stele_status find_head(struct bank *bank, uint64_t *head, stele_error **error)
{
    struct stele_stats stats;
    const stele_status status = stele_stats(bank->ledger, &stats, error);

    if (status == STELE_OK)
        *head = stats.head;
    return status;
}

static stele_status open_projections(struct bank *bank, FILE *watch, stele_error **error)
{
    stele_status status = stele_projections_new(bank->ledger, bank->runtime, NULL, &bank->projections, error);

    if (status == STELE_OK)
        status = stele_projections_add(bank->projections, &balances_projection, NULL, error);
    if (status != STELE_OK || !watch)
        return status;
    bank->watch.out = watch;
    status = find_head(bank, &bank->watch.told, error);
    if (status == STELE_OK)
        status = stele_projections_add(bank->projections, &watch_projection, &bank->watch, error);
    return status;
}

/* Asking needs no bus, only a repository. */
static stele_status open_for_reading(struct bank *bank, stele_error **error)
{
    const stele_status status = stele_repository_new(bank->ledger, &account_aggregate, NULL, &bank->accounts, error);

    bank->books.accounts = bank->accounts;
    return status;
}

static stele_status open_for_lines(struct bank *bank, FILE *watch, stele_error **error)
{
    const struct stele_runtime_options options = {.size = sizeof(options), .clock = &bank->clock};
    /* A ledger of a newer bank, perhaps: better told now than by the line that meets it. */
    stele_status status = stele_types_check(bank->ledger, bank_events, bank_event_count, error);

    if (status == STELE_OK)
        status = stele_types_register(bank->ledger, bank_events, bank_event_count, error);
    if (status == STELE_OK)
        status = stele_runtime_new(0, &options, &bank->runtime, error);
    if (status == STELE_OK)
        status = open_projections(bank, watch, error);
    return status == STELE_OK ? open_app(bank, error) : status;
}

stele_status bank_open(struct bank *bank, const char *ledger, const struct bank_options *options, stele_error **error)
{
    struct stele_store_options store_options = STELE_OPTIONS_INIT(struct stele_store_options);
    stele_status status;

    *bank = (struct bank){.clock = {time_of_line, monotonic, pause_for, bank}, .alerts = options->alerts};
    store_options.mode = options->mode;
    store_options.upcasters = bank_upcasters;
    store_options.upcaster_count = bank_upcaster_count;
    status = stele_store_open(ledger, &store_options, &bank->ledger, error);
    if (status == STELE_OK)
        status = stele_arena_new(&bank->arena, error);
    if (status == STELE_OK)
        status = options->mode == STELE_OPEN_READ_ONLY ? open_for_reading(bank, error)
                                                       : open_for_lines(bank, options->watch, error);
    if (status != STELE_OK)
        bank_close(bank);
    return status;
}

void bank_close(struct bank *bank)
{
    stele_app_free(bank->app);
    stele_projections_free(bank->projections);
    watch_clear(&bank->watch);
    stele_runtime_free(bank->runtime);
    stele_repository_free(bank->accounts);
    stele_arena_free(bank->arena);
    stele_store_close(bank->ledger);
    *bank = (struct bank){0};
}

void account_stream(const char *number, char stream[STREAM_SIZE])
{
    snprintf(stream, STREAM_SIZE, ACCOUNT_STREAMS "%s", number);
}

/* --- Handling a line ----------------------------------------------------------------- */

/* Which field broke which rule of its type. */
static void describe_fault(const stele_error *error, char reason[REASON_SIZE])
{
    const char *field = stele_error_get(error, "field");
    const char *rule = stele_error_get(error, "rule");

    if (field && rule)
        snprintf(reason, REASON_SIZE, "%s must be %s", field, rule);
    else
        snprintf(reason, REASON_SIZE, "%s", stele_error_message(error));
}

/* Send a command and wait for the answer: `*outcome` becomes HANDLED if it is one of earlier. */
static stele_status request(struct bank *bank, const stele_message *command, enum outcome *outcome, stele_error **error)
{
    stele_message *reply = NULL;
    struct stele_accepted accepted;
    stele_status status = stele_request(stele_app_bus(bank->app), command, NULL, &reply, error);

    if (status == STELE_OK)
        status = stele_accepted_read(reply, bank->arena, &accepted, error);
    if (status == STELE_OK && accepted.repeated)
        *outcome = OUTCOME_HANDLED;
    stele_message_unref(reply);
    stele_arena_reset(bank->arena);
    return status;
}

/* Note a refusal, `rule: details`, in the stream of the transaction. */
static stele_status note_rejection(struct bank *bank, const struct line *line, const char *refusal,
                                   enum outcome *outcome, char reason[REASON_SIZE], stele_error **error)
{
    const char *colon = strchr(refusal, ':');
    const struct reject_transaction reject = {
        .line = line->post.line, .rule = reason, .details = colon && colon[1] ? colon + 2 : ""};
    stele_message *command = NULL;
    stele_status status;

    snprintf(reason, REASON_SIZE, "%.*s", (int)(colon ? colon - refusal : REASON_SIZE - 1), refusal);
    *outcome = OUTCOME_REJECTED;
    status = make_command(&line->post.line, line->time, line->post.reference, &reject_transaction_type, &reject,
                          &command, error);
    if (status == STELE_OK)
        status = request(bank, command, outcome, error);
    stele_message_unref(command);
    return status;
}

stele_status bank_handle(struct bank *bank, const struct line *line, enum outcome *outcome, char reason[REASON_SIZE],
                         stele_error **error)
{
    stele_message *command = NULL;
    stele_error *fault = NULL;
    const char *refusal;
    stele_status status;

    bank->now = line->time;
    status = make_command(&line->post.line, line->time, NULL, &post_line_type, &line->post, &command, &fault);
    if (status == STELE_INVALID) {
        describe_fault(fault, reason);
        *outcome = OUTCOME_MALFORMED;
        status = STELE_OK;
        goto out;
    }
    *outcome = OUTCOME_ACCEPTED;
    if (status == STELE_OK)
        status = request(bank, command, outcome, &fault);
    refusal = status == STELE_REJECTED ? stele_error_get(fault, "text") : NULL;
    if (refusal) {
        status = note_rejection(bank, line, refusal, outcome, reason, error);
    } else {
        *error = fault;
        fault = NULL;
    }
    stele_runtime_run(bank->runtime, 0); /* alerts, and the watch */
out:
    stele_error_free(fault);
    stele_message_unref(command);
    return status;
}
