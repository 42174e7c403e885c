/*
 * What tests need beside cmocka: assertions on a stele_status that show the
 * error's message, an allocator that fails on demand, temporary folders, leak
 * checks around each test, and seeded random numbers.
 *
 * Include this header first: it brings cmocka's own headers in their order.
 */
#ifndef STELE_TESTS_SUPPORT_H
#define STELE_TESTS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stele/base.h>
#include <stele/error.h>
#include <stele/memory.h>

/* --- Statuses ---------------------------------------------------------------
 *
 *     stele_error *error = NULL;
 *     assert_ok(stele_store_open(url, NULL, &store, &error), error);
 *     assert_status(STELE_CONFLICT, stele_append(...), error);
 *
 * `error` is a variable; the call is evaluated once. assert_ok() also asserts
 * that no error was set. assert_status() of a failure frees the error and sets
 * it to NULL; assert_failure() leaves it for further assertions.
 */
#define assert_ok(call, error) \
    do { \
        const stele_status support_status_ = (call); \
        support_assert_ok(support_status_, &(error), #call, __FILE__, __LINE__); \
    } while (0)

#define assert_status(expected, call, error) \
    do { \
        const stele_status support_status_ = (call); \
        support_assert_status((expected), support_status_, &(error), #call, __FILE__, __LINE__); \
        stele_error_free(error); \
        (error) = NULL; \
    } while (0)

#define assert_failure(expected, call, error) \
    do { \
        const stele_status support_status_ = (call); \
        support_assert_status((expected), support_status_, &(error), #call, __FILE__, __LINE__); \
    } while (0)

/* The error's message contains `text`. */
#define assert_message(error, text) support_assert_message((error), (text), __FILE__, __LINE__)

void support_assert_ok(stele_status status, stele_error **error, const char *call, const char *file, int line);
void support_assert_status(stele_status expected, stele_status status, stele_error **error, const char *call,
                           const char *file, int line);
void support_assert_message(const stele_error *error, const char *text, const char *file, int line);

/* A slice over a C string; lives as long as the string. NULL gives the absent slice. */
struct stele_slice support_slice(const char *text);

/* --- Leaks ------------------------------------------------------------------
 *
 * As setup and teardown of a test: the failing allocator is in place during the
 * test, and after it no allocation of the library is left and as many file
 * descriptors are open as before. They leave `*state` alone, so a test's own
 * setup may call support_setup() first and its teardown support_teardown() last.
 *
 *     support_test(name)   entry of a cmocka test table with these two
 */
int support_setup(void **state);
int support_teardown(void **state);
#define support_test(name) cmocka_unit_test_setup_teardown(name, support_setup, support_teardown)

/* Open file descriptors of this process. */
size_t support_open_descriptors(void);

/* --- Failing allocations ----------------------------------------------------
 *
 * Between support_setup() and support_teardown() only.
 */

/* Let the n-th allocation from now fail, once: 1 is the next one, 0 is none. */
void support_fail_allocation(size_t n);
/* Let the n-th allocation from now and all after it fail, until called with 0. */
void support_fail_allocations_from(size_t n);
/* Whether the failure asked for has happened. */
bool support_allocation_failed(void);
/* Allocations made since support_setup(). */
size_t support_allocations(void);

/*
 * Run `attempt` with allocation 1 failing, then 2, 3 ... until it succeeds.
 *
 * `attempt` must free all it made on success; each failure must be
 * STELE_NO_MEMORY, and after each run the memory in use must be what it was.
 * Fails the test after 100,000 rounds. Returns how many allocations an
 * undisturbed attempt makes, so that a test can assert it is not 0.
 */
typedef stele_status support_attempt(void *context, stele_error **error);
size_t support_every_allocation_fails(support_attempt *attempt, void *context);

/* --- Temporary folders ------------------------------------------------------ */

/* A new empty folder below $TMPDIR (or /tmp); the path is static until support_temp_dir_remove(). One at a time. */
const char *support_temp_dir(void);
/* "FOLDER/name"; static for the next 8 calls. */
const char *support_temp_path(const char *name);
/* Remove the folder and all in it; does nothing if there is none. support_teardown() calls it. */
void support_temp_dir_remove(void);

/* --- Random numbers ---------------------------------------------------------
 *
 * support_seed() takes the seed from the environment variable STELE_TEST_SEED,
 * else from the clock, prints it, and starts a sequence with it.
 */
struct support_random {
    uint64_t state;
};

struct support_random support_seed(void);
uint64_t support_random_next(struct support_random *random);
/* Below `limit`, which must not be 0. */
uint64_t support_random_below(struct support_random *random, uint64_t limit);
void support_random_bytes(struct support_random *random, void *bytes, size_t size);

#endif
