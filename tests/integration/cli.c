/*
 * Running the command (see cli.h). Input and outputs are files, so that no pipe
 * can fill up; the child runs in the temporary folder, so that paths in
 * messages are short and the same everywhere.
 */
#include "tests/integration/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct cli_result cli_last;

const char *cli_program(void)
{
    static char path[4096];
    const char *build = getenv("STELE_BUILD");
    snprintf(path, sizeof(path), "%s/tools/stele/stele", build != NULL ? build : ".");
    return path;
}

const char *cli_path(const char *name)
{
    return support_temp_path(name);
}

int cli_setup(void **state)
{
    if (access(cli_program(), X_OK) != 0) {
        print_message("%s: not built\n", cli_program());
        return -1;
    }
    unsetenv("NO_COLOR");
    const int status = support_setup(state);
    support_temp_dir();
    return status;
}

static void forget(void)
{
    free(cli_last.out);
    free(cli_last.err);
    cli_last = (struct cli_result){0};
}

int cli_teardown(void **state)
{
    forget();
    support_temp_dir_remove();
    return support_teardown(state);
}

void cli_write(const char *name, const void *bytes, size_t size)
{
    FILE *file = fopen(cli_path(name), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

void cli_write_text(const char *name, const char *text)
{
    cli_write(name, text, strlen(text));
}

char *cli_read_file(const char *name, size_t *size)
{
    FILE *file = fopen(cli_path(name), "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    const long length = ftell(file);
    assert_true(length >= 0);
    rewind(file);
    char *text = malloc((size_t)length + 1);
    assert_non_null(text);
    assert_int_equal(fread(text, 1, (size_t)length, file), (size_t)length);
    fclose(file);
    text[length] = '\0';
    if (size != NULL)
        *size = (size_t)length;
    return text;
}

/* In the child: put a file of the folder in the place of a descriptor. */
static void redirect(const char *path, int flags, int descriptor)
{
    const int opened = open(path, flags, 0600);
    if (opened < 0 || dup2(opened, descriptor) < 0)
        _exit(126);
    close(opened);
}

static void run(const char *program, char *const *arguments)
{
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (chdir(support_temp_dir()) != 0)
            _exit(126);
        redirect(".in", O_RDONLY, STDIN_FILENO);
        redirect(".out", O_WRONLY | O_CREAT | O_TRUNC, STDOUT_FILENO);
        redirect(".err", O_WRONLY | O_CREAT | O_TRUNC, STDERR_FILENO);
        execv(program, arguments);
        _exit(127);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0)
        assert_int_equal(errno, EINTR);
    forget();
    cli_last.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    cli_last.out = cli_read_file(".out", &cli_last.out_size);
    cli_last.err = cli_read_file(".err", NULL);
}

/* execv() takes the texts without const and leaves them as they are. */
static char *argument(const char *text)
{
    char *copy = strdup(text);
    assert_non_null(copy);
    return copy;
}

void cli_run(const char *input, const char *const *arguments)
{
    enum { MOST = 30 };
    char *argv[MOST + 2] = {argument("stele")};
    size_t count = 1;
    for (; arguments[count - 1] != NULL && count <= MOST; count++)
        argv[count] = argument(arguments[count - 1]);
    cli_write_text(".in", input != NULL ? input : "");
    run(cli_program(), argv);
    for (size_t i = 0; i < count; i++)
        free(argv[i]);
}

void cli_shell(const char *line)
{
    char *argv[] = {argument("sh"), argument("-c"), argument(line), NULL};
    setenv("STELE", cli_program(), 1);
    cli_write_text(".in", "");
    run("/bin/sh", argv);
    for (size_t i = 0; i < 3; i++)
        free(argv[i]);
}

static void show_last(void)
{
    print_error("status %d\n--- output\n%.4000s\n--- errors\n%.4000s\n", cli_last.status, cli_last.out, cli_last.err);
}

void cli_assert_status(int expected, const char *file, int line)
{
    if (cli_last.status == expected)
        return;
    print_error("exit status %d expected\n", expected);
    show_last();
    _fail(file, line);
}

void cli_assert_out(const char *expected, const char *file, int line)
{
    if (strcmp(cli_last.out, expected) == 0)
        return;
    print_error("--- expected\n%s\n", expected);
    show_last();
    _fail(file, line);
}

void cli_assert_has(const char *where, const char *text, const char *file, int line)
{
    if (strstr(where, text) != NULL)
        return;
    print_error("\"%s\" is missing\n", text);
    show_last();
    _fail(file, line);
}

void cli_assert_silent(const char *file, int line)
{
    if (cli_last.err[0] == '\0')
        return;
    print_error("nothing on standard error expected\n");
    show_last();
    _fail(file, line);
}
