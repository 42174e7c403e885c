/* The command ledger (B7), alone and together with repeated events (A6). */
#include "tests/contract/contract.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define UUID "0192f0c4-0000-7000-8000-0000000000aa"

/* --- Commands ------------------------------------------------------------------------- */

/* A command of type "do.it" whose payload is one byte of MessagePack, a number. */
static stele_message *command_of(const char *id, const char *type, char number)
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
static stele_status handle(stele_store *store, const stele_message *command, const char *rejection,
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

static stele_status accept(stele_store *store, const char *id, char number, struct stele_appended *result,
                           stele_error **error)
{
    stele_message *command = command_of(id, "do.it", number);
    const stele_status status = handle(store, command, NULL, stele_expect_any(), result, error);

    stele_message_unref(command);
    return status;
}

static stele_status refuse(stele_store *store, const char *id, char number, const char *rejection, stele_error **error)
{
    stele_message *command = command_of(id, "do.it", number);
    const stele_status status = handle(store, command, rejection, stele_expect_any(), NULL, error);

    stele_message_unref(command);
    return status;
}

/* STELE_OK with `*out`, whose rejection is not to be used, or STELE_NOT_FOUND. */
static stele_status outcome_of(stele_store *store, const char *id, struct stele_outcome *out)
{
    stele_arena *arena = NULL;
    stele_error *error = NULL;
    stele_status status;

    assert_ok(stele_arena_new(&arena, &error), error);
    status = stele_find_outcome(store, id, arena, out, &error);
    if (status != STELE_OK)
        assert_string_equal(stele_error_get(error, "id"), id);
    stele_error_free(error);
    stele_arena_free(arena);
    return status;
}

static bool is_remembered(stele_store *store, const char *id)
{
    struct stele_outcome outcome;
    const stele_status status = outcome_of(store, id, &outcome);

    assert_true(status == STELE_OK || status == STELE_NOT_FOUND);
    return status == STELE_OK;
}

/* --- The first outcome ------------------------------------------------------------------ */

static void assert_first_outcome_again(const char *id)
{
    struct stele_appended first = {0}, again = {0};
    stele_store *store = contract_open();
    stele_error *error = NULL;

    contract_append(store, "b", 7);
    assert_ok(accept(store, id, 1, &first, &error), error);
    assert_false(first.replayed);
    assert_int_equal(first.version, 1);
    contract_append(store, "a", 8);
    store = contract_reopen(store);
    assert_ok(accept(store, id, 1, &again, &error), error);
    assert_true(again.replayed);
    assert_false(again.repeated);
    assert_int_equal(again.version, 1);
    assert_int_equal(again.first_position, first.first_position);
    assert_int_equal(again.last_position, first.last_position);
    assert_true(first.created && again.created);
    assert_int_equal(contract_count(store, NULL), 3);
    stele_store_close(store);
    support_temp_dir_remove();
}

static void B7_a_command_sent_again_gets_the_first_outcome(void **state)
{
    (void)state;
    assert_first_outcome_again(UUID);
    assert_first_outcome_again("an id of its own");
}

static void B7_the_first_outcome_is_given_whatever_is_expected(void **state)
{
    stele_store *store = contract_open();
    stele_message *command = command_of("c-1", "do.it", 1);
    struct stele_appended result = {0};
    stele_error *error = NULL;

    (void)state;
    assert_ok(handle(store, command, NULL, stele_expect_no_stream(), NULL, &error), error);
    assert_ok(handle(store, command, NULL, stele_expect_no_stream(), &result, &error), error);
    assert_true(result.replayed);
    assert_ok(handle(store, command, NULL, stele_expect_version(9), &result, &error), error);
    assert_true(result.replayed);
    /* Also if it is refused this time. */
    assert_ok(handle(store, command, "no", stele_expect_version(9), &result, &error), error);
    assert_true(result.replayed);
    assert_int_equal(result.version, 1);
    assert_int_equal(contract_count(store, NULL), 1);
    stele_message_unref(command);
    stele_store_close(store);
}

static void B7_a_refused_command_is_refused_again_with_the_first_text(void **state)
{
    stele_store *store = contract_open();
    stele_error *error = NULL;

    (void)state;
    assert_ok(refuse(store, UUID, 1, "insufficient funds: 100 % gone", &error), error);
    assert_ok(refuse(store, "c-2", 1, "", &error), error);
    assert_int_equal(contract_count(store, NULL), 0);
    store = contract_reopen(store);
    assert_failure(STELE_REJECTED, refuse(store, UUID, 1, "another reason", &error), error);
    assert_string_equal(stele_error_message(error), "insufficient funds: 100 % gone");
    assert_string_equal(stele_error_get(error, "id"), UUID);
    stele_error_free(error);
    error = NULL;
    /* Also if it would be accepted now. */
    assert_status(STELE_REJECTED, accept(store, UUID, 1, NULL, &error), error);
    assert_failure(STELE_REJECTED, accept(store, "c-2", 1, NULL, &error), error);
    assert_string_equal(stele_error_message(error), "");
    stele_error_free(error);
    assert_int_equal(contract_count(store, NULL), 0);
    stele_store_close(store);
}

static void B7_the_same_id_with_another_body_is_id_reuse(void **state)
{
    const struct stele_raw_message other_version = {.kind = STELE_COMMAND,
                                                    .type = "do.it",
                                                    .type_version = 2,
                                                    .format = STELE_PAYLOAD_MSGPACK,
                                                    .payload = {"\1", 1}};
    const struct stele_raw_message other_format = {
        .kind = STELE_COMMAND, .type = "do.it", .format = STELE_PAYLOAD_BYTES, .payload = {"\1", 1}};
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
    stele_message *others[4] = {command_of("c-1", "do.it", 2), command_of("c-1", "do.that", 1)};
    stele_store *store = contract_open();
    stele_error *error = NULL;

    (void)state;
    options.id = "c-1";
    options.datacontenttype = "application/octet-stream";
    assert_ok(stele_message_new_raw(&other_version, &options, &others[2], &error), error);
    assert_ok(stele_message_new_raw(&other_format, &options, &others[3], &error), error);
    assert_ok(accept(store, "c-1", 1, NULL, &error), error);
    store = contract_reopen(store);
    for (size_t i = 0; i < 4; i++) {
        assert_failure(STELE_ID_REUSE, handle(store, others[i], NULL, stele_expect_any(), NULL, &error), error);
        assert_string_equal(stele_error_get(error, "id"), "c-1");
        stele_error_free(error);
        error = NULL;
        assert_status(STELE_ID_REUSE, handle(store, others[i], "no", stele_expect_any(), NULL, &error), error);
        stele_message_unref(others[i]);
    }
    assert_int_equal(contract_count(store, NULL), 1);
    stele_store_close(store);
}

static void B7_what_a_command_says_is_its_type_and_payload_only(void **state)
{
    const char number = 1;
    const struct stele_raw_message raw = {
        .kind = STELE_COMMAND, .type = "do.it", .format = STELE_PAYLOAD_MSGPACK, .payload = {&number, 1}};
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
    stele_store *store = contract_open();
    struct stele_appended result = {0};
    stele_message *later = NULL;
    stele_error *error = NULL;

    (void)state;
    options.id = "c-1";
    options.source = "urn:elsewhere";
    options.correlationid = "x";
    options.has_time = true;
    options.time = 77;
    assert_ok(stele_message_new_raw(&raw, &options, &later, &error), error);
    assert_ok(accept(store, "c-1", 1, NULL, &error), error);
    assert_ok(handle(store, later, NULL, stele_expect_any(), &result, &error), error);
    assert_true(result.replayed);
    stele_message_unref(later);
    stele_store_close(store);
}

static void B7_a_refused_command_under_the_id_is_told_from_another_body(void **state)
{
    stele_store *store = contract_open();
    stele_error *error = NULL;

    (void)state;
    assert_ok(refuse(store, "c-1", 1, "no", &error), error);
    assert_status(STELE_ID_REUSE, refuse(store, "c-1", 2, "no", &error), error);
    assert_status(STELE_ID_REUSE, accept(store, "c-1", 2, NULL, &error), error);
    stele_store_close(store);
}

static void B7_ids_that_look_alike_are_two_commands(void **state)
{
    /* As a UUID and, in upper case, as a text. */
    stele_store *store = contract_open();
    struct stele_appended result = {0};
    stele_error *error = NULL;

    (void)state;
    assert_ok(accept(store, UUID, 1, NULL, &error), error);
    assert_ok(accept(store, "0192F0C4-0000-7000-8000-0000000000AA", 2, &result, &error), error);
    assert_false(result.replayed);
    stele_store_close(store);
}

/* --- What is not remembered --------------------------------------------------------------- */

static void B7_a_conflicting_append_remembers_nothing(void **state)
{
    stele_store *store = contract_open();
    stele_message *command = command_of("c-1", "do.it", 1);
    struct stele_appended result = {0};
    stele_error *error = NULL;

    (void)state;
    assert_status(STELE_CONFLICT, handle(store, command, NULL, stele_expect_exists(), NULL, &error), error);
    assert_status(STELE_CONFLICT, handle(store, command, "no", stele_expect_exists(), NULL, &error), error);
    assert_false(is_remembered(store, "c-1"));
    assert_ok(handle(store, command, NULL, stele_expect_no_stream(), &result, &error), error);
    assert_false(result.replayed);
    assert_true(is_remembered(store, "c-1"));
    stele_message_unref(command);
    stele_store_close(store);
}

static void B7_an_append_without_a_command_is_not_in_the_ledger(void **state)
{
    stele_store *store = contract_open();

    (void)state;
    contract_append(store, "a", 1);
    assert_false(is_remembered(store, "c-1"));
    stele_store_close(store);
}

/* --- Commands without events ---------------------------------------------------------------- */

static void B7_a_command_that_led_to_nothing_is_remembered(void **state)
{
    const struct stele_expectation exists = {"a", {STELE_EXPECT_EXISTS, 0}};
    stele_message *command = command_of("c-1", "do.it", 1);
    stele_message *bare = command_of("c-2", "do.it", 1);
    const struct stele_batch batch = {.expectations = &exists, .expectation_count = 1, .command = command};
    const struct stele_batch bare_batch = {.command = bare};
    stele_store *store = contract_open();
    struct stele_appended result = {0};
    stele_error *error = NULL;

    (void)state;
    contract_append(store, "a", 1);
    contract_append(store, "a", 2);
    assert_ok(stele_append_batch(store, &batch, &result, &error), error);
    assert_int_equal(result.version, 2);
    assert_ok(stele_append_batch(store, &bare_batch, NULL, &error), error);
    contract_append(store, "a", 3);
    store = contract_reopen(store);
    memset(&result, 0, sizeof(result));
    assert_ok(stele_append_batch(store, &batch, &result, &error), error);
    assert_true(result.replayed);
    assert_int_equal(result.version, 2);
    assert_int_equal(result.first_position, 0);
    assert_false(result.created);
    assert_ok(stele_append_batch(store, &bare_batch, &result, &error), error);
    assert_true(result.replayed);
    stele_message_unref(command);
    stele_message_unref(bare);
    stele_store_close(store);
}

/* --- Together with A6 -------------------------------------------------------------------------- */

static stele_message *event_with_id(const char *id)
{
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);

    options.id = id;
    return contract_event("t", 1, &options);
}

static void A6_B7_a_whole_batch_sent_again_is_known_by_its_command(void **state)
{
    stele_message *command = command_of("c-1", "do.it", 1);
    stele_message *event = event_with_id("e-1");
    const struct stele_write write = {"a", event};
    const struct stele_batch batch = {.writes = &write, .write_count = 1, .command = command};
    stele_store *store = contract_open();
    struct stele_appended result = {0};
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele_append_batch(store, &batch, NULL, &error), error);
    assert_ok(stele_append_batch(store, &batch, &result, &error), error);
    assert_true(result.replayed);
    assert_false(result.repeated);
    assert_int_equal(contract_count(store, NULL), 1);
    stele_message_unref(command);
    stele_message_unref(event);
    stele_store_close(store);
}

static void A6_B7_the_command_of_events_that_are_stored_is_remembered_with_their_result(void **state)
{
    stele_message *command = command_of("c-1", "do.it", 1);
    stele_message *event = event_with_id("e-1");
    const struct stele_write write = {"a", event};
    const struct stele_batch batch = {.writes = &write, .write_count = 1, .command = command};
    stele_store *store = contract_open();
    struct stele_appended result = {0};
    stele_error *error = NULL;

    (void)state;
    contract_append(store, "b", 1);
    assert_ok(stele_append(store, "a", stele_expect_any(), event, NULL, &error), error);
    contract_append(store, "a", 2);
    assert_ok(stele_append_batch(store, &batch, &result, &error), error);
    assert_true(result.repeated);
    assert_false(result.replayed);
    assert_int_equal(result.version, 1);
    store = contract_reopen(store);
    assert_ok(stele_append_batch(store, &batch, &result, &error), error);
    assert_true(result.replayed);
    assert_int_equal(result.version, 1);
    assert_int_equal(result.first_position, 2);
    assert_true(result.created);
    assert_int_equal(contract_count(store, NULL), 3);
    stele_message_unref(command);
    stele_message_unref(event);
    stele_store_close(store);
}

static void A6_B7_reused_event_ids_are_id_reuse_and_remember_nothing(void **state)
{
    stele_message *command = command_of("c-1", "do.it", 1);
    stele_message *event = event_with_id("e-1");
    const struct stele_write write = {"b", event};
    const struct stele_batch batch = {.writes = &write, .write_count = 1, .command = command};
    stele_store *store = contract_open();
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele_append(store, "a", stele_expect_any(), event, NULL, &error), error);
    assert_failure(STELE_ID_REUSE, stele_append_batch(store, &batch, NULL, &error), error);
    assert_string_equal(stele_error_get(error, "id"), "e-1");
    stele_error_free(error);
    assert_false(is_remembered(store, "c-1"));
    stele_message_unref(command);
    stele_message_unref(event);
    stele_store_close(store);
}

static void A6_B7_an_id_may_be_that_of_a_command_and_of_an_event(void **state)
{
    stele_message *command = command_of("x", "do.it", 1);
    stele_message *event = event_with_id("x");
    const struct stele_write write = {"a", event};
    const struct stele_batch batch = {.writes = &write, .write_count = 1, .command = command};
    stele_store *store = contract_open();
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele_append_batch(store, &batch, NULL, &error), error);
    assert_true(is_remembered(store, "x"));
    stele_message_unref(command);
    stele_message_unref(event);
    stele_store_close(store);
}

/* --- Many at once --------------------------------------------------------------------------- */

/* What became of asynchronous appends, by the order in which they were done. */
struct done {
    stele_status statuses[300];
    bool replayed[300];
    size_t count;
};

static void note_done(void *context, stele_status status, const struct stele_appended *result, const stele_error *error)
{
    struct done *done = context;

    (void)error;
    done->statuses[done->count] = status;
    done->replayed[done->count++] = result && result->replayed;
}

static stele_status push(stele_store *store, const char *id, char number, const char *rejection, struct done *done,
                         stele_error **error)
{
    stele_message *command = command_of(id, "do.it", number);
    stele_message *event = contract_event("t", 1, NULL);
    char *reason = rejection ? strdup(rejection) : NULL;
    const struct stele_write write = {"a", event};
    const struct stele_batch batch = {
        .writes = &write, .write_count = rejection ? 0 : 1, .command = command, .rejection = reason};
    const stele_status status = stele_append_async(store, &batch, note_done, done, error);

    /* The store has copies. */
    if (reason)
        memset(reason, '#', strlen(reason));
    free(reason);
    stele_message_unref(command);
    stele_message_unref(event);
    return status;
}

static void B7_members_of_one_group_see_each_others_commands(void **state)
{
    static struct done done;
    stele_store *store = contract_open();
    stele_error *error = NULL;

    (void)state;
    memset(&done, 0, sizeof(done));
    /* Pushed faster than synced: most of them share groups. */
    for (size_t i = 0; i < 50; i++) {
        char id[24];

        snprintf(id, sizeof(id), "command %zu", i);
        assert_ok(push(store, id, 1, NULL, &done, &error), error);
        assert_ok(push(store, id, 1, NULL, &done, &error), error);
        assert_ok(push(store, id, 2, NULL, &done, &error), error);
    }
    assert_ok(push(store, UUID, 1, "never", &done, &error), error);
    assert_ok(push(store, UUID, 1, NULL, &done, &error), error);
    assert_ok(stele_flush(store, &error), error);
    assert_int_equal(done.count, 152);
    for (size_t i = 0; i < 150; i++) {
        assert_int_equal(done.statuses[i], i % 3 == 2 ? STELE_ID_REUSE : STELE_OK);
        assert_int_equal(done.replayed[i], i % 3 == 1);
    }
    assert_int_equal(done.statuses[150], STELE_OK);
    assert_int_equal(done.statuses[151], STELE_REJECTED);
    assert_int_equal(contract_count(store, NULL), 50);
    store = contract_reopen(store);
    assert_failure(STELE_REJECTED, accept(store, UUID, 1, NULL, &error), error);
    assert_string_equal(stele_error_message(error), "never");
    stele_error_free(error);
    stele_store_close(store);
}

enum { THREADS = 8, COMMANDS = 20 };

struct sender {
    pthread_t thread;
    stele_store *store;
    stele_message *commands[COMMANDS];
    stele_message *events[COMMANDS];
    size_t first; /* outcomes that were not replayed */
    bool failed;
};

static void *send_all(void *context)
{
    struct sender *sender = context;

    for (size_t i = 0; i < COMMANDS; i++) {
        const struct stele_write write = {"a", sender->events[i]};
        const struct stele_batch batch = {.writes = &write, .write_count = 1, .command = sender->commands[i]};
        struct stele_appended result = {0};

        if (stele_append_batch(sender->store, &batch, &result, NULL) != STELE_OK)
            sender->failed = true;
        else if (!result.replayed)
            sender->first++;
    }
    return NULL;
}

static void make_sender(struct sender *sender, stele_store *store)
{
    *sender = (struct sender){.store = store};
    for (size_t i = 0; i < COMMANDS; i++) {
        char id[24];

        snprintf(id, sizeof(id), "command %zu", i);
        sender->commands[i] = command_of(id, "do.it", 1);
        sender->events[i] = contract_event("t", 1, NULL);
    }
}

static void free_sender(const struct sender *sender)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        stele_message_unref(sender->commands[i]);
        stele_message_unref(sender->events[i]);
    }
}

static void B7_threads_that_send_the_same_commands_apply_each_once(void **state)
{
    static struct sender senders[THREADS];
    stele_store *store = contract_open();
    size_t first = 0;

    (void)state;
    for (size_t i = 0; i < THREADS; i++)
        make_sender(&senders[i], store);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&senders[i].thread, NULL, send_all, &senders[i]), 0);
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(senders[i].thread, NULL);
        assert_false(senders[i].failed);
        first += senders[i].first;
        free_sender(&senders[i]);
    }
    assert_int_equal(first, COMMANDS);
    assert_int_equal(contract_count(store, NULL), COMMANDS);
    stele_store_close(store);
}

/* --- Other processes --------------------------------------------------------------------------- */

/* In a child: send the commands; its exit status is how many were new, or 255. */
static void send_and_exit(struct sender *sender)
{
    stele_store *store = NULL;
    size_t first = 255;

    if (stele_store_open(contract_url(), NULL, &store, NULL) == STELE_OK) {
        sender->store = store;
        send_all(sender);
        first = sender->failed ? 255 : sender->first;
    }
    stele_store_close(store);
    _exit((int)first);
}

static int wait_for(pid_t child)
{
    int result = 0;

    while (waitpid(child, &result, 0) < 0)
        assert_int_equal(errno, EINTR);
    assert_true(WIFEXITED(result));
    return WEXITSTATUS(result);
}

static void B7_processes_that_send_the_same_commands_apply_each_once(void **state)
{
    struct sender sender;
    pid_t children[3];
    stele_store *store;
    int first = 0;

    (void)state;
    if (!contract_is_durable())
        return;
    contract_url(); /* the folder is there before the children look for it */
    make_sender(&sender, NULL);
    for (size_t i = 0; i < 3; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0)
            send_and_exit(&sender);
    }
    for (size_t i = 0; i < 3; i++) {
        const int new = wait_for(children[i]);

        assert_int_not_equal(new, 255);
        first += new;
    }
    assert_int_equal(first, COMMANDS);
    /* And from this process, later. */
    store = contract_open();
    sender.store = store;
    send_all(&sender);
    assert_false(sender.failed);
    assert_int_equal(sender.first, 0);
    assert_int_equal(contract_count(store, NULL), COMMANDS);
    stele_store_close(store);
    free_sender(&sender);
}

/* --- Asking for an outcome ------------------------------------------------------------------------ */

static int64_t set_now;

static int64_t now(void *context)
{
    (void)context;
    return set_now;
}

static int64_t monotonic(void *context)
{
    (void)context;
    return stele_clock_system()->monotonic(stele_clock_system()->context);
}

static void pause_for(void *context, int64_t nanoseconds)
{
    (void)context;
    stele_clock_system()->pause(stele_clock_system()->context, nanoseconds);
}

static const struct stele_clock set_clock = {.now = now, .monotonic = monotonic, .pause = pause_for};

static stele_store *open_at(int64_t time)
{
    const struct stele_store_options options = {.size = sizeof(options), .clock = &set_clock};

    set_now = time;
    return contract_open_with(&options);
}

static void B7_the_outcome_of_a_command_can_be_asked_for(void **state)
{
    stele_store *store = open_at(1234);
    struct stele_outcome outcome;
    stele_arena *arena = NULL;
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele_arena_new(&arena, &error), error);
    contract_append(store, "b", 1);
    assert_ok(accept(store, UUID, 1, NULL, &error), error);
    set_now = 1200;
    assert_ok(refuse(store, "c-2", 1, "not today", &error), error);
    assert_ok(stele_find_outcome(store, UUID, arena, &outcome, &error), error);
    assert_false(outcome.rejected);
    assert_null(outcome.rejection.data);
    assert_int_equal(outcome.version, 1);
    assert_int_equal(outcome.first_position, 2);
    assert_int_equal(outcome.last_position, 2);
    assert_true(outcome.created);
    assert_int_equal(outcome.time, 1234);
    assert_ok(stele_find_outcome(store, "c-2", arena, &outcome, &error), error);
    assert_true(outcome.rejected);
    assert_int_equal(outcome.rejection.size, strlen("not today"));
    assert_string_equal(outcome.rejection.data, "not today");
    assert_int_equal(outcome.version, 1);
    assert_int_equal(outcome.first_position, 0);
    assert_int_equal(outcome.time, 1200);
    stele_arena_free(arena);
    stele_store_close(store);
}

static void an_outcome_is_asked_for_with_sound_arguments(void **state)
{
    char long_id[STELE_ID_MAX + 2];
    stele_store *store = contract_open();
    struct stele_outcome outcome;
    stele_arena *arena = NULL;
    stele_error *error = NULL;

    (void)state;
    memset(long_id, 'x', sizeof(long_id));
    long_id[STELE_ID_MAX + 1] = '\0';
    assert_ok(stele_arena_new(&arena, &error), error);
    assert_status(STELE_INVALID, stele_find_outcome(NULL, "x", arena, &outcome, &error), error);
    assert_status(STELE_INVALID, stele_find_outcome(store, NULL, arena, &outcome, &error), error);
    assert_status(STELE_INVALID, stele_find_outcome(store, "", arena, &outcome, &error), error);
    assert_status(STELE_INVALID, stele_find_outcome(store, "x", NULL, &outcome, &error), error);
    assert_status(STELE_INVALID, stele_find_outcome(store, "x", arena, NULL, &error), error);
    assert_status(STELE_LIMIT, stele_find_outcome(store, long_id, arena, &outcome, &error), error);
    long_id[STELE_ID_MAX] = '\0';
    assert_status(STELE_NOT_FOUND, stele_find_outcome(store, long_id, arena, &outcome, &error), error);
    assert_int_equal(stele_find_outcome(store, "x", arena, &outcome, NULL), STELE_NOT_FOUND);
    stele_arena_free(arena);
    stele_store_close(store);
}

static void a_store_opened_for_reading_knows_outcomes_and_remembers_none(void **state)
{
    const struct stele_store_options reading = {.size = sizeof(reading), .mode = STELE_OPEN_READ_ONLY};
    const struct stele_retention all = {.size = sizeof(all), .has_keep = true};
    stele_store *store = contract_open();
    stele_error *error = NULL;

    (void)state;
    if (contract_is_durable()) {
        assert_ok(accept(store, "c-1", 1, NULL, &error), error);
        stele_store_close(store);
        store = contract_open_with(&reading);
        assert_true(is_remembered(store, "c-1"));
        assert_status(STELE_READ_ONLY, accept(store, "c-1", 1, NULL, &error), error);
        assert_status(STELE_READ_ONLY, stele_forget_commands(store, &all, NULL, &error), error);
    }
    stele_store_close(store);
}

/* --- Arguments of a batch ---------------------------------------------------------------------------- */

static void B7_a_rejection_stands_for_a_command_without_events(void **state)
{
    stele_message *command = command_of("c-1", "do.it", 1);
    stele_message *event = contract_event("t", 1, NULL);
    const struct stele_write write = {"a", event};
    const struct stele_batch no_command = {.rejection = "no"};
    const struct stele_batch with_event = {.writes = &write, .write_count = 1, .command = command, .rejection = "no"};
    const struct stele_batch not_text = {.command = command, .rejection = "\xff"};
    stele_store *store = contract_open();
    stele_error *error = NULL;

    (void)state;
    assert_failure(STELE_INVALID, stele_append_batch(store, &no_command, NULL, &error), error);
    assert_string_equal(stele_error_get(error, "argument"), "batch.rejection");
    stele_error_free(error);
    error = NULL;
    assert_status(STELE_INVALID, stele_append_batch(store, &with_event, NULL, &error), error);
    assert_status(STELE_INVALID, stele_append_batch(store, &not_text, NULL, &error), error);
    assert_false(is_remembered(store, "c-1"));
    stele_message_unref(command);
    stele_message_unref(event);
    stele_store_close(store);
}

static void a_rejection_has_a_limit(void **state)
{
    char *text = malloc(STELE_REJECTION_MAX + 2);
    stele_store *store = contract_open();
    stele_error *error = NULL;

    (void)state;
    assert_non_null(text);
    memset(text, 'n', STELE_REJECTION_MAX + 1);
    text[STELE_REJECTION_MAX + 1] = '\0';
    assert_failure(STELE_LIMIT, refuse(store, "c-1", 1, text, &error), error);
    assert_string_equal(stele_error_get(error, "limit"), "4095");
    assert_string_equal(stele_error_get(error, "actual"), "4096");
    stele_error_free(error);
    error = NULL;
    text[STELE_REJECTION_MAX] = '\0';
    assert_ok(refuse(store, "c-1", 1, text, &error), error);
    assert_failure(STELE_REJECTED, refuse(store, "c-1", 1, text, &error), error);
    assert_string_equal(stele_error_message(error), text);
    stele_error_free(error);
    free(text);
    stele_store_close(store);
}

/* --- Forgetting ------------------------------------------------------------------------------------------ */

/* Remember commands "1", "2" ... at the times given. */
static void remember_at(stele_store *store, const int64_t *times, size_t count)
{
    stele_error *error = NULL;

    for (size_t i = 0; i < count; i++) {
        char id[24];

        snprintf(id, sizeof(id), "%zu", i + 1);
        set_now = times[i];
        assert_ok(refuse(store, id, 1, "no", &error), error);
    }
}

/* Which of the commands "1" to "9" are remembered, as a text of their digits. */
static const char *remembered(stele_store *store)
{
    static char found[10];
    size_t count = 0;

    for (char digit = '1'; digit <= '9'; digit++)
        if (is_remembered(store, (const char[]){digit, '\0'}))
            found[count++] = digit;
    found[count] = '\0';
    return found;
}

static uint64_t forget(stele_store *store, const int64_t *before, const uint64_t *keep)
{
    struct stele_retention retention = STELE_OPTIONS_INIT(struct stele_retention);
    uint64_t forgotten = UINT64_MAX;
    stele_error *error = NULL;

    retention.has_before = before != NULL;
    retention.before = before ? *before : 0;
    retention.has_keep = keep != NULL;
    retention.keep = keep ? *keep : 0;
    assert_ok(stele_forget_commands(store, &retention, &forgotten, &error), error);
    return forgotten;
}
#define BEFORE(time) (&(const int64_t){(time)})
#define KEEP(count) (&(const uint64_t){(count)})

static void B7_commands_are_forgotten_by_age(void **state)
{
    stele_store *store = open_at(0);

    (void)state;
    remember_at(store, (const int64_t[]){10, 20, 20, 30, 40}, 5);
    assert_int_equal(forget(store, BEFORE(10), NULL), 0);
    assert_string_equal(remembered(store), "12345");
    assert_int_equal(forget(store, BEFORE(20), NULL), 1);
    assert_string_equal(remembered(store), "2345");
    assert_int_equal(forget(store, BEFORE(31), NULL), 3);
    assert_string_equal(remembered(store), "5");
    assert_int_equal(forget(store, BEFORE(INT64_MIN), NULL), 0);
    assert_int_equal(forget(store, BEFORE(INT64_MAX), NULL), 1);
    assert_int_equal(forget(store, BEFORE(INT64_MAX), NULL), 0);
    stele_store_close(store);
}

static void B7_commands_are_forgotten_by_count(void **state)
{
    stele_store *store = open_at(0);

    (void)state;
    remember_at(store, (const int64_t[]){10, 20, 20, 20, 40}, 5);
    assert_int_equal(forget(store, NULL, KEEP(5)), 0);
    assert_int_equal(forget(store, NULL, KEEP(UINT64_MAX)), 0);
    assert_int_equal(forget(store, NULL, KEEP(3)), 2); /* of equal times the first goes first */
    assert_string_equal(remembered(store), "345");
    assert_int_equal(forget(store, NULL, KEEP(0)), 3);
    assert_string_equal(remembered(store), "");
    stele_store_close(store);
}

static void B7_with_age_and_count_commands_go_that_fit_both(void **state)
{
    stele_store *store = open_at(0);

    (void)state;
    remember_at(store, (const int64_t[]){10, 20, 30, 40, 50}, 5);
    assert_int_equal(forget(store, BEFORE(40), KEEP(4)), 1);
    assert_string_equal(remembered(store), "2345");
    assert_int_equal(forget(store, BEFORE(30), KEEP(1)), 1);
    assert_string_equal(remembered(store), "345");
    stele_store_close(store);
}

static void B7_the_newest_are_those_of_the_latest_time_also_if_the_clock_steps_back(void **state)
{
    stele_store *store = open_at(0);

    (void)state;
    remember_at(store, (const int64_t[]){50, 10, 40, -5, 20}, 5);
    store = contract_is_durable() ? (stele_store_close(store), open_at(0)) : store;
    assert_int_equal(forget(store, NULL, KEEP(3)), 2);
    assert_string_equal(remembered(store), "135");
    assert_int_equal(forget(store, BEFORE(41), NULL), 2);
    assert_string_equal(remembered(store), "1");
    stele_store_close(store);
}

static void B7_many_commands_are_forgotten_in_steps(void **state)
{
    enum { MANY = 1100 }; /* of steps of 500 */
    stele_store *store = open_at(7);
    stele_error *error = NULL;
    static struct done done;

    (void)state;
    for (size_t at = 0; at < MANY; at += 275) {
        memset(&done, 0, sizeof(done));
        for (size_t i = at; i < at + 275; i++) {
            char id[24];

            snprintf(id, sizeof(id), "command %zu", i);
            assert_ok(push(store, id, 1, "no", &done, &error), error);
        }
        assert_ok(stele_flush(store, &error), error);
    }
    assert_int_equal(forget(store, NULL, KEEP(100)), 1000); /* two whole steps, and one to see that it is done */
    assert_false(is_remembered(store, "command 999"));
    assert_true(is_remembered(store, "command 1000"));
    assert_int_equal(forget(store, BEFORE(8), NULL), 100);
    stele_store_close(store);
}

static void B7_a_forgotten_command_is_a_new_one(void **state)
{
    stele_store *store = contract_open();
    struct stele_appended result = {0};
    stele_error *error = NULL;

    (void)state;
    assert_ok(accept(store, "c-1", 1, NULL, &error), error);
    assert_int_equal(forget(store, NULL, KEEP(0)), 1);
    store = contract_reopen(store);
    assert_ok(accept(store, "c-1", 2, &result, &error), error);
    assert_false(result.replayed);
    assert_int_equal(result.version, 2);
    assert_ok(accept(store, "c-1", 2, &result, &error), error);
    assert_true(result.replayed);
    assert_int_equal(result.version, 2);
    stele_store_close(store);
}

static void a_retention_must_say_something(void **state)
{
    const struct stele_retention nothing = STELE_OPTIONS_INIT(struct stele_retention);
    const struct stele_retention small = {.size = 1, .has_keep = true};
    stele_store *store = contract_open();
    stele_error *error = NULL;

    (void)state;
    assert_failure(STELE_INVALID, stele_forget_commands(store, &nothing, NULL, &error), error);
    assert_string_equal(stele_error_get(error, "argument"), "retention");
    stele_error_free(error);
    error = NULL;
    assert_status(STELE_INVALID, stele_forget_commands(store, NULL, NULL, &error), error);
    assert_status(STELE_INVALID, stele_forget_commands(store, &small, NULL, &error), error);
    assert_status(STELE_INVALID, stele_forget_commands(NULL, &nothing, NULL, &error), error);
    stele_store_close(store);
}

/* --- Memory ------------------------------------------------------------------------------------------------- */

struct attempt {
    stele_message *accepted, *refused, *event;
};

static stele_status remember_ask_forget(void *context, stele_error **error)
{
    const struct stele_retention all = {.size = sizeof(all), .has_keep = true};
    const struct attempt *attempt = context;
    const struct stele_write write = {"a", attempt->event};
    const struct stele_batch accepted = {.writes = &write, .write_count = 1, .command = attempt->accepted};
    const struct stele_batch refused = {.command = attempt->refused, .rejection = "no"};
    struct stele_outcome outcome;
    stele_arena *arena = NULL;
    stele_store *store = NULL;
    stele_status status = stele_store_open(contract_url(), NULL, &store, error);

    if (status == STELE_OK)
        status = stele_append_batch(store, &accepted, NULL, error);
    if (status == STELE_OK)
        status = stele_append_batch(store, &refused, NULL, error);
    if (status == STELE_REJECTED) { /* what an earlier attempt remembered */
        stele_error_free(*error);
        *error = NULL;
        status = STELE_OK;
    }
    if (status == STELE_OK)
        status = stele_arena_new(&arena, error);
    if (status == STELE_OK)
        status = stele_find_outcome(store, "c-2", arena, &outcome, error);
    if (status == STELE_OK)
        status = stele_forget_commands(store, &all, NULL, error);
    stele_arena_free(arena);
    stele_store_close(store);
    return status;
}

static void running_out_of_memory_leaves_no_half_remembered_command(void **state)
{
    struct attempt attempt = {command_of("c-1", "do.it", 1), command_of("c-2", "do.it", 1), event_with_id("e-1")};

    (void)state;
    assert_true(support_every_allocation_fails(remember_ask_forget, &attempt) > 5);
    stele_message_unref(attempt.accepted);
    stele_message_unref(attempt.refused);
    stele_message_unref(attempt.event);
}

/* An append that fails for want of memory has remembered nothing; the next one finds all as it was. */
static void B7_an_append_without_memory_remembers_nothing(void **state)
{
    stele_store *store = contract_open();
    struct stele_appended result = {0};
    stele_error *error = NULL;
    bool through = false;

    (void)state;
    for (size_t n = 1; !through; n++) {
        stele_message *command = command_of("c-1", "do.it", 1);
        stele_message *event = contract_event("t", 1, NULL);
        const struct stele_write write = {"a", event};
        const struct stele_batch batch = {.writes = &write, .write_count = 1, .command = command};

        support_fail_allocation(n);
        through = stele_append_batch(store, &batch, &result, NULL) == STELE_OK;
        support_fail_allocation(0);
        assert_int_equal(is_remembered(store, "c-1"), through);
        assert_int_equal(contract_count(store, NULL), through);
        stele_message_unref(command);
        stele_message_unref(event);
    }
    assert_false(result.replayed);
    assert_ok(accept(store, "c-1", 1, &result, &error), error);
    assert_true(result.replayed);
    stele_store_close(store);
}

static const struct CMUnitTest tests[] = {
    support_test(B7_a_command_sent_again_gets_the_first_outcome),
    support_test(B7_the_first_outcome_is_given_whatever_is_expected),
    support_test(B7_a_refused_command_is_refused_again_with_the_first_text),
    support_test(B7_the_same_id_with_another_body_is_id_reuse),
    support_test(B7_what_a_command_says_is_its_type_and_payload_only),
    support_test(B7_a_refused_command_under_the_id_is_told_from_another_body),
    support_test(B7_ids_that_look_alike_are_two_commands),
    support_test(B7_a_conflicting_append_remembers_nothing),
    support_test(B7_an_append_without_a_command_is_not_in_the_ledger),
    support_test(B7_a_command_that_led_to_nothing_is_remembered),
    support_test(A6_B7_a_whole_batch_sent_again_is_known_by_its_command),
    support_test(A6_B7_the_command_of_events_that_are_stored_is_remembered_with_their_result),
    support_test(A6_B7_reused_event_ids_are_id_reuse_and_remember_nothing),
    support_test(A6_B7_an_id_may_be_that_of_a_command_and_of_an_event),
    support_test(B7_members_of_one_group_see_each_others_commands),
    support_test(B7_threads_that_send_the_same_commands_apply_each_once),
    support_test(B7_processes_that_send_the_same_commands_apply_each_once),
    support_test(B7_the_outcome_of_a_command_can_be_asked_for),
    support_test(an_outcome_is_asked_for_with_sound_arguments),
    support_test(a_store_opened_for_reading_knows_outcomes_and_remembers_none),
    support_test(B7_a_rejection_stands_for_a_command_without_events),
    support_test(a_rejection_has_a_limit),
    support_test(B7_commands_are_forgotten_by_age),
    support_test(B7_commands_are_forgotten_by_count),
    support_test(B7_with_age_and_count_commands_go_that_fit_both),
    support_test(B7_the_newest_are_those_of_the_latest_time_also_if_the_clock_steps_back),
    support_test(B7_many_commands_are_forgotten_in_steps),
    support_test(B7_a_forgotten_command_is_a_new_one),
    support_test(a_retention_must_say_something),
    support_test(running_out_of_memory_leaves_no_half_remembered_command),
    support_test(B7_an_append_without_memory_remembers_nothing),
};

CONTRACT_GROUP(contract_ledger_group, tests);
