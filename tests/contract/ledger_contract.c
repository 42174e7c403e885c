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

/* --- The first outcome ------------------------------------------------------------------ */

static void assert_first_outcome_again(const char *id)
{
    struct stele_appended first = {0}, again = {0};
    stele_store *store = contract_open();
    stele_error *error = NULL;

    contract_append(store, "b", 7);
    assert_ok(contract_accept(store, id, 1, &first, &error), error);
    assert_false(first.replayed);
    assert_int_equal(first.version, 1);
    contract_append(store, "a", 8);
    store = contract_reopen(store);
    assert_ok(contract_accept(store, id, 1, &again, &error), error);
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
    stele_message *command = contract_command("c-1", "do.it", 1);
    struct stele_appended result = {0};
    stele_error *error = NULL;

    (void)state;
    assert_ok(contract_handle(store, command, NULL, stele_expect_no_stream(), NULL, &error), error);
    assert_ok(contract_handle(store, command, NULL, stele_expect_no_stream(), &result, &error), error);
    assert_true(result.replayed);
    assert_ok(contract_handle(store, command, NULL, stele_expect_version(9), &result, &error), error);
    assert_true(result.replayed);
    /* Also if it is refused this time. */
    assert_ok(contract_handle(store, command, "no", stele_expect_version(9), &result, &error), error);
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
    assert_ok(contract_refuse(store, UUID, 1, "insufficient funds: 100 % gone", &error), error);
    assert_ok(contract_refuse(store, "c-2", 1, "", &error), error);
    assert_int_equal(contract_count(store, NULL), 0);
    store = contract_reopen(store);
    assert_failure(STELE_REJECTED, contract_refuse(store, UUID, 1, "another reason", &error), error);
    assert_string_equal(stele_error_message(error), "insufficient funds: 100 % gone");
    assert_string_equal(stele_error_get(error, "id"), UUID);
    stele_error_free(error);
    error = NULL;
    /* Also if it would be accepted now. */
    assert_status(STELE_REJECTED, contract_accept(store, UUID, 1, NULL, &error), error);
    assert_failure(STELE_REJECTED, contract_accept(store, "c-2", 1, NULL, &error), error);
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
    stele_message *others[4] = {contract_command("c-1", "do.it", 2), contract_command("c-1", "do.that", 1)};
    stele_store *store = contract_open();
    stele_error *error = NULL;

    (void)state;
    options.id = "c-1";
    options.datacontenttype = "application/octet-stream";
    assert_ok(stele_message_new_raw(&other_version, &options, &others[2], &error), error);
    assert_ok(stele_message_new_raw(&other_format, &options, &others[3], &error), error);
    assert_ok(contract_accept(store, "c-1", 1, NULL, &error), error);
    store = contract_reopen(store);
    for (size_t i = 0; i < 4; i++) {
        assert_failure(STELE_ID_REUSE, contract_handle(store, others[i], NULL, stele_expect_any(), NULL, &error),
                       error);
        assert_string_equal(stele_error_get(error, "id"), "c-1");
        stele_error_free(error);
        error = NULL;
        assert_status(STELE_ID_REUSE, contract_handle(store, others[i], "no", stele_expect_any(), NULL, &error), error);
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
    assert_ok(contract_accept(store, "c-1", 1, NULL, &error), error);
    assert_ok(contract_handle(store, later, NULL, stele_expect_any(), &result, &error), error);
    assert_true(result.replayed);
    stele_message_unref(later);
    stele_store_close(store);
}

static void B7_a_refused_command_under_the_id_is_told_from_another_body(void **state)
{
    stele_store *store = contract_open();
    stele_error *error = NULL;

    (void)state;
    assert_ok(contract_refuse(store, "c-1", 1, "no", &error), error);
    assert_status(STELE_ID_REUSE, contract_refuse(store, "c-1", 2, "no", &error), error);
    assert_status(STELE_ID_REUSE, contract_accept(store, "c-1", 2, NULL, &error), error);
    stele_store_close(store);
}

static void B7_ids_that_look_alike_are_two_commands(void **state)
{
    /* As a UUID and, in upper case, as a text. */
    stele_store *store = contract_open();
    struct stele_appended result = {0};
    stele_error *error = NULL;

    (void)state;
    assert_ok(contract_accept(store, UUID, 1, NULL, &error), error);
    assert_ok(contract_accept(store, "0192F0C4-0000-7000-8000-0000000000AA", 2, &result, &error), error);
    assert_false(result.replayed);
    stele_store_close(store);
}

/* --- What is not remembered --------------------------------------------------------------- */

static void B7_a_conflicting_append_remembers_nothing(void **state)
{
    stele_store *store = contract_open();
    stele_message *command = contract_command("c-1", "do.it", 1);
    struct stele_appended result = {0};
    stele_error *error = NULL;

    (void)state;
    assert_status(STELE_CONFLICT, contract_handle(store, command, NULL, stele_expect_exists(), NULL, &error), error);
    assert_status(STELE_CONFLICT, contract_handle(store, command, "no", stele_expect_exists(), NULL, &error), error);
    assert_false(contract_is_remembered(store, "c-1"));
    assert_ok(contract_handle(store, command, NULL, stele_expect_no_stream(), &result, &error), error);
    assert_false(result.replayed);
    assert_true(contract_is_remembered(store, "c-1"));
    stele_message_unref(command);
    stele_store_close(store);
}

static void B7_an_append_without_a_command_is_not_in_the_ledger(void **state)
{
    stele_store *store = contract_open();

    (void)state;
    contract_append(store, "a", 1);
    assert_false(contract_is_remembered(store, "c-1"));
    stele_store_close(store);
}

/* --- Commands without events ---------------------------------------------------------------- */

static void B7_a_command_that_led_to_nothing_is_remembered(void **state)
{
    const struct stele_expectation exists = {"a", {STELE_EXPECT_EXISTS, 0}};
    stele_message *command = contract_command("c-1", "do.it", 1);
    stele_message *bare = contract_command("c-2", "do.it", 1);
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

static void A6_B7_a_whole_batch_sent_again_is_known_by_its_command(void **state)
{
    stele_message *command = contract_command("c-1", "do.it", 1);
    stele_message *event = contract_event_with_id("e-1");
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
    stele_message *command = contract_command("c-1", "do.it", 1);
    stele_message *event = contract_event_with_id("e-1");
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
    stele_message *command = contract_command("c-1", "do.it", 1);
    stele_message *event = contract_event_with_id("e-1");
    const struct stele_write write = {"b", event};
    const struct stele_batch batch = {.writes = &write, .write_count = 1, .command = command};
    stele_store *store = contract_open();
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele_append(store, "a", stele_expect_any(), event, NULL, &error), error);
    assert_failure(STELE_ID_REUSE, stele_append_batch(store, &batch, NULL, &error), error);
    assert_string_equal(stele_error_get(error, "id"), "e-1");
    stele_error_free(error);
    assert_false(contract_is_remembered(store, "c-1"));
    stele_message_unref(command);
    stele_message_unref(event);
    stele_store_close(store);
}

static void A6_B7_an_id_may_be_that_of_a_command_and_of_an_event(void **state)
{
    stele_message *command = contract_command("x", "do.it", 1);
    stele_message *event = contract_event_with_id("x");
    const struct stele_write write = {"a", event};
    const struct stele_batch batch = {.writes = &write, .write_count = 1, .command = command};
    stele_store *store = contract_open();
    stele_error *error = NULL;

    (void)state;
    assert_ok(stele_append_batch(store, &batch, NULL, &error), error);
    assert_true(contract_is_remembered(store, "x"));
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
    stele_message *command = contract_command(id, "do.it", number);
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
    assert_failure(STELE_REJECTED, contract_accept(store, UUID, 1, NULL, &error), error);
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
        sender->commands[i] = contract_command(id, "do.it", 1);
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
};

CONTRACT_GROUP(contract_ledger_group, tests);
