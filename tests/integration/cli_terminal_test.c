/* What differs on a terminal: colours, width, progress. Run on a pseudo-terminal. */
#include "tests/integration/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { COLUMNS = 60, SCREEN_SIZE = 65536 };

/* A pseudo-terminal of 60 columns; its other end's path is in `name`. */
static int open_terminal(char *name, size_t size)
{
    const int master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master < 0)
        skip();
    assert_int_equal(grantpt(master), 0);
    assert_int_equal(unlockpt(master), 0);
    assert_int_equal(ptsname_r(master, name, size), 0);
    const struct winsize columns = {.ws_row = 24, .ws_col = COLUMNS};
    assert_int_equal(ioctl(master, TIOCSWINSZ, &columns), 0);
    return master;
}

static void become(const char *terminal, const char *const *arguments)
{
    enum { MOST = 15 };
    char *argv[MOST + 1] = {strdup("stele")};
    for (size_t i = 0; arguments[i] != NULL && i + 1 < MOST; i++)
        argv[i + 1] = strdup(arguments[i]);
    const int slave = open(terminal, O_RDWR | O_NOCTTY);
    if (slave < 0 || dup2(slave, STDOUT_FILENO) < 0 || dup2(slave, STDERR_FILENO) < 0 || chdir(support_temp_dir()) != 0)
        _exit(126);
    execv(cli_program(), argv);
    _exit(127);
}

/* What the command shows on the terminal. */
static void on_terminal(char screen[SCREEN_SIZE], const char *const *arguments)
{
    char name[128];
    const int master = open_terminal(name, sizeof(name));
    const int held = open(name, O_RDWR | O_NOCTTY); /* keeps the terminal up until all is read */
    assert_true(held >= 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        become(name, arguments);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(fcntl(master, F_SETFL, O_NONBLOCK), 0);
    size_t length = 0;
    ssize_t got;
    while ((got = read(master, screen + length, SCREEN_SIZE - 1 - length)) > 0)
        length += (size_t)got;
    screen[length] = '\0';
    close(held);
    close(master);
}

#define terminal(screen, ...) on_terminal((screen), (const char *const[]){__VA_ARGS__, NULL})

static void write_ledger(void)
{
    cli("append", "ledger.db", "a", "--type", "t", "--time", "2026-01-02T10:00:00Z", "--id", "e1",
        "\"0123456789012345678901234567890123456789 \\u001b[31m \xc2\x9b\"");
    assert_cli(0);
}

static void a_terminal_gets_colours(void **state)
{
    (void)state;
    char screen[SCREEN_SIZE];
    setenv("TERM", "xterm", 1);
    write_ledger();
    terminal(screen, "log", "ledger.db");
    assert_non_null(strstr(screen, "\033[1mPOSITION\033[0m"));
    assert_non_null(strstr(screen, "\033[36ma\033[0m"));
    cli("log", "ledger.db");
    assert_null(strchr(cli_last.out, '\033'));
}

static void no_color_and_dumb_terminals_get_none(void **state)
{
    (void)state;
    char screen[SCREEN_SIZE];
    write_ledger();
    setenv("TERM", "xterm", 1);
    setenv("NO_COLOR", "1", 1);
    terminal(screen, "log", "ledger.db");
    assert_null(strchr(screen, '\033'));
    unsetenv("NO_COLOR");
    setenv("TERM", "dumb", 1);
    terminal(screen, "log", "ledger.db");
    assert_null(strchr(screen, '\033'));
}

static void data_is_cut_to_the_width_of_the_terminal(void **state)
{
    (void)state;
    char screen[SCREEN_SIZE];
    write_ledger();
    setenv("TERM", "dumb", 1);
    terminal(screen, "log", "ledger.db");
    /* 8 + 2 + 6 + 2 + 7 + 2 + 4 + 2 + 20 + 2 columns stand before the data: 16, the least, are left to it. */
    assert_non_null(strstr(screen, "2026-01-02T10:00:00Z  \"01234567890123\xe2\x80\xa6\r\n"));
    cli("log", "ledger.db");
    assert_out_has("0123456789012345678901234567890123456789 ");
}

static void json_on_a_terminal_is_the_same_json_without_control_characters(void **state)
{
    (void)state;
    char screen[SCREEN_SIZE];
    write_ledger();
    terminal(screen, "log", "ledger.db", "--json");
    assert_null(strchr(screen, '\033'));
    assert_null(strstr(screen, "\xc2\x9b"));
    assert_non_null(strstr(screen, "\\u001b[31m \\u009b\""));
    cli("log", "ledger.db", "--json");
    assert_out_has("\xc2\x9b");
}

static void import_shows_progress_on_a_terminal_and_removes_it(void **state)
{
    (void)state;
    char screen[SCREEN_SIZE];
    write_ledger();
    cli("export", "ledger.db", "one.ndjson");
    terminal(screen, "import", "two.db", "one.ndjson");
    assert_non_null(strstr(screen, "\r\033[K1 events, 100 %"));
    assert_non_null(strstr(screen, " a second"));
    assert_non_null(strstr(screen, "\r\033[K1 imported, 0 already there\r\n"));
    cli("import", "three.db", "one.ndjson");
    assert_err_empty();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cli_test(a_terminal_gets_colours),
        cli_test(no_color_and_dumb_terminals_get_none),
        cli_test(data_is_cut_to_the_width_of_the_terminal),
        cli_test(json_on_a_terminal_is_the_same_json_without_control_characters),
        cli_test(import_shows_progress_on_a_terminal_and_removes_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
