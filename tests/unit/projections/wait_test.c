/* Reading what one has written (C3): waiting for a position, sending and waiting; readers and requests from many threads. */
#include "tests/unit/projections/stage.h"

#include <stele/aggregate.h>
#include <stele/bus.h>

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum { MS = 60000 };

/* --- An aggregate: putting money in is a command ---------------------------------------------------- */

#define PUT(FIELD, T) FIELD(T, TEXT, account) FIELD(T, INT64, amount)
STELE_DECLARE(put_command, PUT);
STELE_DEFINE_COMMAND(put_command, "purse.put", 1, PUT);
#define PURSE_STATE(FIELD, T) FIELD(T, INT64, amount)
STELE_DECLARE(purse_state, PURSE_STATE);
STELE_DEFINE_STATE(purse_state, "purse", 1, PURSE_STATE);

static stele_status decide_put(const struct purse_state *purse, const struct put_command *command,
                               stele_decision *decision)
{
    (void)purse;
    if (command->amount < 0)
        return stele_decision_reject(decision, "a negative amount");
    if (command->amount == 0)
        return STELE_OK;
    return STELE_EMIT(decision, put_in, .account = command->account, .amount = command->amount);
}

static void evolve_put(struct purse_state *purse, const struct put_in *event)
{
    purse->amount += event->amount;
}
#define PURSE_EVENTS(EVOLVE, A) EVOLVE(A, put_in, evolve_put)
#define PURSE_COMMANDS(DECIDE, A) DECIDE(A, put_command, decide_put)
STELE_DEFINE_AGGREGATE(purse_state, PURSE_EVENTS, PURSE_COMMANDS);

struct desk {
    struct stage stage;
    stele_bus *bus;
    stele_repository *repository;
};

static void begin_desk(struct desk *desk, unsigned threads)
{
    struct stele_aggregate_route route = {.prefix = "purse-", .key = "account"};
    stele_error *error = NULL;

    support_temp_dir();
    if (threads)
        begin_stage_with(&desk->stage, "memory:", support_temp_path("views.db"), threads);
    else
        begin_stage(&desk->stage, "memory:", support_temp_path("views.db"));
    assert_ok(stele_repository_new(desk->stage.store, &purse_state_aggregate, NULL, &desk->repository, &error), error);
    assert_ok(stele_bus_new(desk->stage.runtime, NULL, &desk->bus, &error), error);
    route.repository = desk->repository;
    assert_ok(stele_bus_add_aggregate(desk->bus, &route, &error), error);
}

static void end_desk(struct desk *desk)
{
    stele_error *error = NULL;

    assert_ok(stele_bus_stop(desk->bus, 5000, NULL, &error), error);
    stele_bus_free(desk->bus);
    stele_repository_free(desk->repository);
    end_stage(&desk->stage);
}

static stele_message *new_command(const char *account, int64_t amount)
{
    const struct put_command payload = {.account = account, .amount = amount};
    stele_message *command = NULL;

    /* In other threads, too: nothing is asserted here. */
    put_command_message(&payload, NULL, &command, NULL);
    return command;
}

/* --- Waiting ---------------------------------------------------------------------------------------- */

static void C3_a_position_is_waited_for_by_name_or_for_all(void **state)
{
    const char *const both[] = {"totals", "purses", NULL};
    const char *const none[] = {"others", NULL};
    struct totals model = {0};
    stele_error *error = NULL;
    struct stage stage;

    (void)state;
    support_temp_dir();
    begin_stage(&stage, "memory:", support_temp_path("views.db"));
    add(&stage, &totals, &model);
    add(&stage, &purses, NULL);
    put_many(stage.store, 3);
    assert_ok(stele_projections_wait(stage.projections, both, 3, MS, &error), error);
    assert_int_equal(model.count, 3);
    assert_string_equal(dump_of(&stage, "purses"), "a 1 1; b 2 1; c 3 1; ");
    put_many(stage.store, 3);
    assert_ok(stele_projections_wait(stage.projections, NULL, 6, MS, &error), error);
    assert_int_equal(model.count, 6);
    assert_status(STELE_NOT_FOUND, stele_projections_wait(stage.projections, none, 1, MS, &error), error);
    assert_status(STELE_INVALID, stele_projections_wait(NULL, none, 1, MS, &error), error);
    end_stage(&stage);
}

static void C3_what_is_late_failed_or_paused_is_told_as_that(void **state)
{
    const char *const names[] = {"totals", NULL};
    struct stele_projection stopping = totals;
    struct totals model = {0};
    stele_error *error = NULL;
    struct stage stage;

    (void)state;
    begin_stage(&stage, "memory:", NULL);
    stopping.on_failure = STELE_POISON_STOP;
    add(&stage, &stopping, &model);
    assert_failure(STELE_LATE, stele_projections_wait(stage.projections, names, 1, 100, &error), error);
    assert_string_equal(stele_error_get(error, "projection"), "totals");
    stele_error_free(error);
    error = NULL;
    failing = (struct failing){.amount = 1, .times = 1};
    put_many(stage.store, 1);
    assert_failure(STELE_FAILED, stele_projections_wait(stage.projections, names, 1, MS, &error), error);
    assert_string_equal(stele_error_get(error, "code"), "REJECTED");
    assert_string_equal(stele_error_get(error, "projection"), "totals");
    stele_error_free(error);
    error = NULL;
    assert_ok(stele_subscription_resume(stele_projections_subscription(stage.projections, "totals"), &error), error);
    assert_ok(stele_projections_wait(stage.projections, names, 1, MS, &error), error);
    assert_ok(stele_subscription_pause(stele_projections_subscription(stage.projections, "totals"), &error), error);
    assert_status(STELE_CANCELLED,
                  stele_projections_wait(stage.projections, names, put(stage.store, "a", 2), MS, &error), error);
    end_stage(&stage);
}

/* --- Sending and waiting --------------------------------------------------------------------------------- */

static void C3_a_request_returns_when_its_events_are_in_the_views(void **state)
{
    const char *const names[] = {"purses", "totals", NULL};
    stele_message *command = new_command("a", 5);
    struct totals model = {0};
    stele_message *reply = NULL;
    stele_error *error = NULL;
    struct desk desk;

    (void)state;
    begin_desk(&desk, 0);
    add(&desk.stage, &purses, NULL);
    add(&desk.stage, &totals, &model);
    assert_ok(stele_projections_request(desk.stage.projections, names, desk.bus, command, NULL, &reply, &error), error);
    assert_true(stele_message_is(reply, &stele_accepted_type));
    assert_int_equal(model.sum, 5);
    assert_string_equal(dump_of(&desk.stage, "purses"), "a 5 1; ");
    stele_message_unref(reply);
    stele_message_unref(command);
    command = new_command("a", 0); /* no events: nothing to wait for */
    assert_ok(stele_projections_request(desk.stage.projections, NULL, desk.bus, command, NULL, NULL, &error), error);
    stele_message_unref(command);
    end_desk(&desk);
}

static void C3_late_is_told_with_the_reply_in_hand_and_a_refusal_as_what_it_is(void **state)
{
    const char *const names[] = {"totals", NULL};
    const char *const none[] = {"others", NULL};
    struct stele_send_options options = STELE_OPTIONS_INIT(struct stele_send_options);
    stele_message *command = new_command("a", 5);
    struct totals model = {0};
    stele_message *reply = NULL;
    stele_error *error = NULL;
    struct desk desk;

    (void)state;
    begin_desk(&desk, 0);
    add(&desk.stage, &totals, &model);
    failing = (struct failing){.amount = 5, .times = 3, .status = STELE_BUSY};
    options.timeout_ms = 500; /* the second attempt is after a second */
    assert_failure(
        STELE_LATE,
        stele_projections_request(desk.stage.projections, names, desk.bus, command, &options, &reply, &error), error);
    assert_string_equal(stele_error_get(error, "projection"), "totals");
    assert_non_null(reply);
    stele_error_free(error);
    stele_message_unref(reply);
    stele_message_unref(command);
    error = NULL;
    reply = NULL;
    command = new_command("a", -1);
    assert_status(STELE_REJECTED,
                  stele_projections_request(desk.stage.projections, names, desk.bus, command, NULL, &reply, &error),
                  error);
    assert_null(reply);
    assert_status(STELE_NOT_FOUND,
                  stele_projections_request(desk.stage.projections, none, desk.bus, command, NULL, &reply, &error),
                  error);
    assert_status(STELE_INVALID,
                  stele_projections_request(desk.stage.projections, names, NULL, command, NULL, &reply, &error), error);
    stele_message_unref(command);
    end_desk(&desk);
}

/* --- Threads ------------------------------------------------------------------------------------------------- */

enum { REQUESTERS = 16, REQUESTS = 20 };

struct requester {
    struct desk *desk;
    pthread_t thread;
    unsigned number;
    atomic_uint wrong;
};

/* Each has its own account, and finds its own sum in the view. */
static void *request_and_read(void *context)
{
    static const char *const names[] = {"purses", "totals", NULL};
    struct requester *requester = context;
    stele_views *views = NULL;
    stele_arena *arena = NULL;
    char account[16];

    snprintf(account, sizeof(account), "r%u", requester->number);
    if (stele_projections_open(requester->desk->stage.projections, "purses", &views, NULL) != STELE_OK ||
        stele_arena_new(&arena, NULL) != STELE_OK)
        requester->wrong++;
    for (int64_t i = 1; i <= REQUESTS && requester->wrong == 0; i++) {
        stele_message *command = new_command(account, 1);
        struct purse row = {.account = account};

        if (stele_projections_request(requester->desk->stage.projections, names, requester->desk->bus, command, NULL,
                                      NULL, NULL) != STELE_OK ||
            purse_get(views, &row, arena, &row, NULL) != STELE_OK || row.amount != i)
            requester->wrong++;
        stele_message_unref(command);
        stele_arena_reset(arena);
    }
    stele_arena_free(arena);
    stele_views_close(views);
    return NULL;
}

struct reader {
    stele_projections *projections;
    const struct totals *model;
    pthread_t thread;
    atomic_bool is_over;
    unsigned wrong;
};

/* A held model is whole: its sum is its count. */
static void *hold_and_look(void *context)
{
    struct reader *reader = context;

    while (!atomic_load(&reader->is_over)) {
        if (stele_projections_hold(reader->projections, "totals", NULL) != STELE_OK) {
            reader->wrong++;
            continue;
        }
        if (reader->model->sum != (int64_t)reader->model->count)
            reader->wrong++;
        stele_projections_release(reader->projections, "totals");
    }
    return NULL;
}

static void C3_sixteen_threads_read_what_they_wrote_while_others_hold_the_model(void **state)
{
    struct requester requesters[REQUESTERS] = {{0}};
    struct reader readers[2] = {{0}};
    struct totals model = {0};
    stele_error *error = NULL;
    unsigned wrong = 0;
    struct desk desk;

    (void)state;
    begin_desk(&desk, 3);
    add(&desk.stage, &purses, NULL);
    add(&desk.stage, &totals, &model);
    for (unsigned i = 0; i < 2; i++) {
        readers[i].projections = desk.stage.projections;
        readers[i].model = &model;
        assert_int_equal(pthread_create(&readers[i].thread, NULL, hold_and_look, &readers[i]), 0);
    }
    for (unsigned i = 0; i < REQUESTERS; i++) {
        requesters[i].desk = &desk;
        requesters[i].number = i;
        assert_int_equal(pthread_create(&requesters[i].thread, NULL, request_and_read, &requesters[i]), 0);
    }
    assert_ok(stele_projections_rebuild(desk.stage.projections, "totals", &error), error);
    assert_ok(stele_projections_rebuild(desk.stage.projections, "purses", &error), error);
    for (unsigned i = 0; i < REQUESTERS; i++) {
        pthread_join(requesters[i].thread, NULL);
        wrong += requesters[i].wrong;
    }
    for (unsigned i = 0; i < 2; i++) {
        atomic_store(&readers[i].is_over, true);
        pthread_join(readers[i].thread, NULL);
        wrong += readers[i].wrong;
    }
    assert_int_equal(wrong, 0);
    assert_int_equal(model.count, REQUESTERS * REQUESTS);
    end_desk(&desk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(C3_a_position_is_waited_for_by_name_or_for_all),
        support_test(C3_what_is_late_failed_or_paused_is_told_as_that),
        support_test(C3_a_request_returns_when_its_events_are_in_the_views),
        support_test(C3_late_is_told_with_the_reply_in_hand_and_a_refusal_as_what_it_is),
        support_test(C3_sixteen_threads_read_what_they_wrote_while_others_hold_the_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
