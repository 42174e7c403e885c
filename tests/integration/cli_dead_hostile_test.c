/* stele dead over files that are no stores, or damaged, or held by somebody; letters meant to harm a terminal; marks
 * that race a bus in another process. */
#include "tests/integration/cli.h"

#include "tests/unit/bus/log_stage.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const actions[] = {"list", "show", "requeue", "drop"};
enum { ACTIONS = sizeof(actions) / sizeof(actions[0]) };

static const struct stele_route charge = {.name = "charge", .on = "order.placed", .handle = note};

static stele_store *open_ledger(void)
{
    char url[4096];

    snprintf(url, sizeof(url), "sqlite:%s", cli_path("ledger.db"));
    return log_stage_store(url);
}

static void run_action(size_t i, const char *db)
{
    if (strcmp(actions[i], "drop") == 0)
        cli("dead", db, actions[i], "--all");
    else
        cli("dead", db, actions[i]);
}

static void assert_all_refuse(const char *db)
{
    for (size_t i = 0; i < ACTIONS; i++) {
        run_action(i, db);
        assert_cli(1);
        assert_out("");
        assert_err_has("dead");
        assert_err_has(db);
    }
}

/* A store with letters of the ids "1" to "`letters`". */
static void leave_letters(int letters)
{
    struct log_stage stage = {.store = open_ledger()};
    struct notes failing = {.mutex = PTHREAD_MUTEX_INITIALIZER, .status = STELE_FAILED};
    stele_error *error = NULL;

    log_stage_begin(&stage, 0);
    log_stage_route(&stage, &charge, &failing);
    for (int i = 1; i <= letters; i++) {
        char id[16];
        stele_message *event;

        snprintf(id, sizeof(id), "%d", i);
        failing.fails_on = id;
        failing.text[0] = '\0';
        event = log_stage_event("order.placed", id);
        assert_ok(stele_publish(stage.bus, event, NULL, &error), error);
        stele_message_unref(event);
    }
    log_stage_end(&stage);
    stele_store_close(stage.store);
}

/* --- Files ------------------------------------------------------------------------------------- */

static void what_is_no_store_is_refused_and_left_alone(void **state)
{
    (void)state;
    assert_all_refuse("missing.db");
    assert_int_not_equal(access(cli_path("missing.db"), F_OK), 0);
    assert_int_equal(mkdir(cli_path("folder"), 0700), 0);
    assert_all_refuse("folder");
    cli_write_text("diary.txt", "This is somebody's diary, longer than a header of any file would be, by far.\n");
    assert_all_refuse("diary.txt");
    cli_write("empty.db", "", 0);
    assert_all_refuse("empty.db");
}

/* Whatever is cut off: an error or what is left, never a crash (a signal would be above 128). */
static void a_truncated_store_never_crashes_the_command(void **state)
{
    size_t size = 0;
    char *bytes;

    (void)state;
    leave_letters(30);
    bytes = cli_read_file("ledger.db", &size);
    for (size_t left = 0; left < size; left += size / 16 + 7) {
        cli_write("cut.db", bytes, left);
        for (size_t i = 0; i < ACTIONS; i++) {
            run_action(i, "cut.db");
            assert_cli(1);
        }
    }
    free(bytes);
}

/* One byte after the other is changed, in steps. */
static void a_flipped_byte_never_crashes_the_command(void **state)
{
    size_t size = 0;
    char *bytes;

    (void)state;
    leave_letters(5);
    bytes = cli_read_file("ledger.db", &size);
    for (size_t at = 50; at < size; at += size / 40 + 13) {
        bytes[at] = (char)~bytes[at];
        cli_write("flipped.db", bytes, size);
        bytes[at] = (char)~bytes[at];
        for (size_t i = 0; i < ACTIONS; i++) {
            run_action(i, "flipped.db");
            assert_true(cli_last.status == 0 || cli_last.status == 1);
        }
    }
    free(bytes);
}

static void a_store_held_by_another_program_is_read_and_marking_says_busy(void **state)
{
    sqlite3 *db = NULL;

    (void)state;
    leave_letters(2);
    assert_int_equal(sqlite3_open(cli_path("ledger.db"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    cli_shell("$STELE dead ledger.db list --json | wc -l");
    assert_out_has("2");
    cli("dead", "ledger.db", "drop", "--all");
    assert_cli(1);
    assert_err_has("another program holds the lock");
    assert_out("0 dropped\n");
    assert_int_equal(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    cli("dead", "ledger.db", "drop", "--all");
    assert_cli(0);
    assert_out("2 dropped\n");
}

/* --- Letters ------------------------------------------------------------------------------------ */

static stele_status curse(void *resource, const stele_message *message, stele_context *context)
{
    (void)resource;
    (void)message;
    return stele_context_fail(context, STELE_FAILED,
                              "\x1b]0;owned\a\x1b[2J\r\n\x7f\xc2\x9b"
                              "31m \xe2\x80\xae backwards");
}

static const struct stele_route cursing = {.name = "curse", .on = "order.placed", .handle = curse};

static void letters_do_nothing_to_a_terminal(void **state)
{
    struct log_stage stage = {.store = open_ledger()};
    struct notes notes = NOTES;
    stele_message *event = log_stage_event("order.placed", "1");
    stele_error *error = NULL;

    (void)state;
    log_stage_begin(&stage, 0);
    log_stage_route(&stage, &cursing, &notes);
    assert_ok(stele_publish(stage.bus, event, NULL, &error), error);
    stele_message_unref(event);
    log_stage_end(&stage);
    stele_store_close(stage.store);
    for (size_t i = 0; i < 3; i++) {
        if (i == 0)
            cli("dead", "ledger.db", "list");
        else if (i == 1)
            cli("dead", "ledger.db", "show");
        else
            cli("dead", "ledger.db", "list", "--json");
        assert_cli(0);
        assert_null(strpbrk(cli_last.out, "\x1b\a\r\x7f"));
        /* JSON keeps what no ASCII control character is. */
        assert_true(i == 2 || !strstr(cli_last.out, "\xc2\x9b"));
    }
}

/* --- A bus in another process ---------------------------------------------------------------------- */

enum { LETTERS = 60 };

static stele_status count_up(void *resource, const stele_message *message, stele_context *context)
{
    (void)message;
    (void)context;
    return write(*(int *)resource, "x", 1) == 1 ? STELE_OK : STELE_IO;
}

static const struct stele_route counting = {.name = "charge", .on = "order.placed", .handle = count_up};

/* The route, in a process of its own, until nothing is left to be handled. */
static int run_bus(int told, int ended)
{
    stele_store *store = NULL;
    stele_runtime *runtime = NULL;
    stele_bus *bus = NULL;
    char byte;
    char url[4096];

    snprintf(url, sizeof(url), "sqlite:%s", cli_path("ledger.db"));
    if (stele_store_open(url, NULL, &store, NULL) != STELE_OK ||
        stele_runtime_new(2, NULL, &runtime, NULL) != STELE_OK ||
        stele_bus_new(runtime, NULL, &bus, NULL) != STELE_OK || stele_bus_follow(bus, store, NULL) != STELE_OK ||
        stele_bus_add_route(bus, &counting, &told, NULL, NULL) != STELE_OK || write(told, "r", 1) != 1)
        return 1;
    if (read(ended, &byte, 1) != 0)
        return 2;
    stele_bus_stop(bus, 5000, NULL, NULL);
    stele_bus_free(bus);
    stele_runtime_free(runtime);
    stele_store_close(store);
    return 0;
}

/* Requeued in two ways at once while the bus runs: each letter is handled, and none stays. */
static void ORX44_letters_requeued_while_a_bus_runs_are_each_handled_once(void **state)
{
    int told[2], ended[2];
    int status = 0;
    char byte;
    pid_t child;

    (void)state;
    leave_letters(LETTERS);
    assert_int_equal(pipe(told), 0);
    assert_int_equal(pipe(ended), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(told[0]);
        close(ended[1]);
        _exit(run_bus(told[1], ended[0]));
    }
    close(told[1]);
    close(ended[0]);
    assert_int_equal(read(told[0], &byte, 1), 1);
    assert_int_equal(byte, 'r');
    cli_shell(
        "$STELE dead ledger.db requeue --limit 20 & $STELE dead ledger.db requeue --limit 30 &"
        "$STELE dead ledger.db requeue --id 45 & $STELE dead ledger.db requeue & wait; $STELE dead ledger.db requeue");
    for (int i = 0; i < LETTERS; i++)
        assert_int_equal(read(told[0], &byte, 1), 1);
    close(ended[1]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    /* Nothing came twice. */
    assert_int_equal(read(told[0], &byte, 1), 0);
    close(told[0]);
    cli("dead", "ledger.db", "list", "--requeued", "--json");
    assert_cli(0);
    assert_out("");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cli_test(what_is_no_store_is_refused_and_left_alone),
        cli_test(a_truncated_store_never_crashes_the_command),
        cli_test(a_flipped_byte_never_crashes_the_command),
        cli_test(a_store_held_by_another_program_is_read_and_marking_says_busy),
        cli_test(letters_do_nothing_to_a_terminal),
        cli_test(ORX44_letters_requeued_while_a_bus_runs_are_each_handled_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
