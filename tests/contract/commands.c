/* Commands as the tests of the ledger send them. */
#include "tests/contract/contract.h"

/* A command of type "do.it" whose payload is one byte of MessagePack, a number. */
stele_message *contract_command(const char *id, const char *type, char number)
{
    const struct stele_raw_message raw = {
        .kind = STELE_COMMAND, .type = type, .format = STELE_PAYLOAD_MSGPACK, .payload = {&number, 1}};
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
    stele_message *command = NULL;
    stele_error *error = NULL;

    options.id = id;
    assert_ok(stele_message_new_raw(&raw, &options, &command, &error), error);
    return command;
}

/* What a command led to: an event to stream "a", or with a rejection none. A new event each time. */
stele_status contract_handle(stele_store *store, const stele_message *command, const char *rejection,
                             struct stele_expected expected, struct stele_appended *result, stele_error **error)
{
    stele_message *event = contract_event("t", 1, NULL);
    const struct stele_write write = {"a", event};
    const struct stele_expectation expectation = {"a", expected};
    const struct stele_batch batch = {.writes = &write,
                                      .write_count = rejection ? 0 : 1,
                                      .expectations = &expectation,
                                      .expectation_count = 1,
                                      .command = command,
                                      .rejection = rejection};
    const stele_status status = stele_append_batch(store, &batch, result, error);

    stele_message_unref(event);
    return status;
}

stele_status contract_accept(stele_store *store, const char *id, char number, struct stele_appended *result,
                             stele_error **error)
{
    stele_message *command = contract_command(id, "do.it", number);
    const stele_status status = contract_handle(store, command, NULL, stele_expect_any(), result, error);

    stele_message_unref(command);
    return status;
}

stele_status contract_refuse(stele_store *store, const char *id, char number, const char *rejection,
                             stele_error **error)
{
    stele_message *command = contract_command(id, "do.it", number);
    const stele_status status = contract_handle(store, command, rejection, stele_expect_any(), NULL, error);

    stele_message_unref(command);
    return status;
}

bool contract_is_remembered(stele_store *store, const char *id)
{
    struct stele_outcome outcome;
    stele_arena *arena = NULL;
    stele_error *error = NULL;
    stele_status status;

    assert_ok(stele_arena_new(&arena, &error), error);
    status = stele_find_outcome(store, id, arena, &outcome, &error);
    assert_true(status == STELE_OK || status == STELE_NOT_FOUND);
    if (status == STELE_NOT_FOUND)
        assert_string_equal(stele_error_get(error, "id"), id);
    stele_error_free(error);
    stele_arena_free(arena);
    return status == STELE_OK;
}

stele_message *contract_event_with_id(const char *id)
{
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);

    options.id = id;
    return contract_event("t", 1, &options);
}
