/*
 * Running the built `stele` command from tests: in a temporary folder, with
 * given input, its outputs and exit status kept for assertions.
 *
 *     cli("read", "ledger.db", "a");
 *     assert_cli(0);
 *     assert_out("...");
 *
 * The program is STELE_BUILD/tools/stele/stele; tests fail without it.
 */
#ifndef STELE_TESTS_CLI_H
#define STELE_TESTS_CLI_H

#include "tests/support/support.h"

#include <sys/types.h>

/* What the last run left behind. Texts have a NUL behind them. */
struct cli_result {
    int status; /* exit status; 128 + the signal that ended it */
    char *out;
    size_t out_size;
    char *err;
};
extern struct cli_result cli_last;

/* As setup and teardown of each test: an empty folder to run in. */
int cli_setup(void **state);
int cli_teardown(void **state);
#define cli_test(name) cmocka_unit_test_setup_teardown(name, cli_setup, cli_teardown)

/* Run `stele` with these arguments and nothing on standard input, or with `input` there. */
#define cli(...) cli_run(NULL, (const char *const[]){__VA_ARGS__, NULL})
#define cli_with(input, ...) cli_run((input), (const char *const[]){__VA_ARGS__, NULL})
void cli_run(const char *input, const char *const *arguments);

/* Run a line of shell in the folder, with the program as $STELE. */
void cli_shell(const char *line);

/* Assertions on the last run; they show what it wrote. */
#define assert_cli(expected) cli_assert_status((expected), __FILE__, __LINE__)
#define assert_out(expected) cli_assert_out((expected), __FILE__, __LINE__)
#define assert_out_has(text) cli_assert_has(cli_last.out, (text), __FILE__, __LINE__)
#define assert_err_has(text) cli_assert_has(cli_last.err, (text), __FILE__, __LINE__)
#define assert_err_empty() cli_assert_silent(__FILE__, __LINE__)
void cli_assert_status(int expected, const char *file, int line);
void cli_assert_out(const char *expected, const char *file, int line);
void cli_assert_has(const char *where, const char *text, const char *file, int line);
void cli_assert_silent(const char *file, int line);

/* Files of the folder. What is read has a NUL behind it and is the caller's to free. */
void cli_write(const char *name, const void *bytes, size_t size);
void cli_write_text(const char *name, const char *text);
char *cli_read_file(const char *name, size_t *size);

/* The folder, and a path in it (static for the next calls). */
const char *cli_path(const char *name);
/* The program. */
const char *cli_program(void);

#endif
