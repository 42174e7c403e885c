/*
 * Support for tests (see support.h). The failing allocator counts every call;
 * its state is guarded by one mutex, because the library may allocate on any
 * thread. Assertions are made on the test's thread only.
 */
#include "tests/support/support.h"

#include <dirent.h>
#include <ftw.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS_MAX = 100000, PATHS = 8, PATH_SIZE = 4096, TREE_DESCRIPTORS = 16 };

/* --- Statuses ------------------------------------------------------------- */

struct stele_slice support_slice(const char *text)
{
    return (struct stele_slice){.data = text, .size = text == NULL ? 0 : strlen(text)};
}

void support_assert_ok(stele_status status, stele_error **error, const char *call, const char *file, int line)
{
    if (status == STELE_OK && *error == NULL)
        return;
    if (status == STELE_OK)
        print_error("%s: succeeded, but an error was set: %s\n", call, stele_error_message(*error));
    else
        print_error("%s: %s: %s\n", call, stele_status_name(status), stele_error_message(*error));
    stele_error_free(*error);
    *error = NULL;
    _fail(file, line);
}

void support_assert_status(stele_status expected, stele_status status, stele_error **error, const char *call,
                           const char *file, int line)
{
    const stele_status told = expected == STELE_OK ? STELE_OK : stele_error_status(*error);
    if (status == expected && told == expected)
        return;
    print_error("%s: %s instead of %s; the error says %s: %s\n", call, stele_status_name(status),
                stele_status_name(expected), stele_status_name(stele_error_status(*error)),
                stele_error_message(*error));
    stele_error_free(*error);
    *error = NULL;
    _fail(file, line);
}

void support_assert_message(const stele_error *error, const char *text, const char *file, int line)
{
    if (strstr(stele_error_message(error), text) != NULL)
        return;
    print_error("\"%s\" is not in the message \"%s\"\n", text, stele_error_message(error));
    _fail(file, line);
}

/* --- The failing allocator ------------------------------------------------ */

static struct {
    pthread_mutex_t mutex; /* guards all below */
    size_t count;          /* allocations since setup */
    size_t fail_at;        /* the allocation that fails, counted as `count`; 0 for none */
    bool fail_on;          /* all after it fail too */
    bool failed;
} allocations = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static size_t memory_at_start;
static size_t descriptors_at_start;

static bool next_allocation_fails(void)
{
    pthread_mutex_lock(&allocations.mutex);
    allocations.count++;
    const bool reached = allocations.fail_at != 0 && allocations.count >= allocations.fail_at;
    const bool fails = reached && (allocations.fail_on || allocations.count == allocations.fail_at);
    allocations.failed = allocations.failed || fails;
    pthread_mutex_unlock(&allocations.mutex);
    return fails;
}

static void *failing_resize(void *context, void *memory, size_t old_size, size_t new_size)
{
    (void)context;
    (void)old_size;
    return next_allocation_fails() ? NULL : realloc(memory, new_size);
}

static void failing_release(void *context, void *memory, size_t size)
{
    (void)context;
    (void)size;
    free(memory);
}

static void fail_at(size_t n, bool on)
{
    pthread_mutex_lock(&allocations.mutex);
    allocations.fail_at = n == 0 ? 0 : allocations.count + n;
    allocations.fail_on = on;
    allocations.failed = false;
    pthread_mutex_unlock(&allocations.mutex);
}

void support_fail_allocation(size_t n)
{
    fail_at(n, false);
}

void support_fail_allocations_from(size_t n)
{
    fail_at(n, true);
}

bool support_allocation_failed(void)
{
    pthread_mutex_lock(&allocations.mutex);
    const bool failed = allocations.failed;
    pthread_mutex_unlock(&allocations.mutex);
    return failed;
}

size_t support_allocations(void)
{
    pthread_mutex_lock(&allocations.mutex);
    const size_t count = allocations.count;
    pthread_mutex_unlock(&allocations.mutex);
    return count;
}

static void assert_nothing_leaked(size_t before, size_t n)
{
    const size_t after = stele_memory_in_use();
    if (after != before)
        fail_msg("with allocation %zu failing, %zu bytes were in use before and %zu after", n, before, after);
}

size_t support_every_allocation_fails(support_attempt *attempt, void *context)
{
    for (size_t n = 1; n <= ROUNDS_MAX; n++) {
        const size_t before = stele_memory_in_use();
        stele_error *error = NULL;
        support_fail_allocation(n);
        const stele_status status = attempt(context, &error);
        const bool failed = support_allocation_failed();
        support_fail_allocation(0);
        if (status != STELE_OK && (!failed || status != STELE_NO_MEMORY))
            fail_msg("with allocation %zu failing: %s: %s", n, stele_status_name(status), stele_error_message(error));
        if (status == STELE_OK && error != NULL)
            fail_msg("with allocation %zu failing: success, but an error is set: %s", n, stele_error_message(error));
        stele_error_free(error);
        assert_nothing_leaked(before, n);
        /* A success in spite of the failure is fine: the allocation was a luxury. Go on to the next. */
        if (status == STELE_OK && !failed)
            return n - 1;
    }
    fail_msg("still failing after %d allocations", ROUNDS_MAX);
    return 0;
}

/* --- Leaks ---------------------------------------------------------------- */

size_t support_open_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    assert_non_null(folder);
    size_t count = 0;
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count;
}

int support_setup(void **state)
{
    (void)state;
    static const struct stele_allocator failing = {.resize = failing_resize, .release = failing_release};
    stele_error *error = NULL;
    assert_ok(stele_memory_use(&failing, &error), error);
    pthread_mutex_lock(&allocations.mutex);
    allocations.count = 0;
    pthread_mutex_unlock(&allocations.mutex);
    support_fail_allocation(0);
    memory_at_start = stele_memory_in_use();
    descriptors_at_start = support_open_descriptors();
    return 0;
}

int support_teardown(void **state)
{
    (void)state;
    support_fail_allocation(0);
    support_temp_dir_remove();
    const size_t memory = stele_memory_in_use();
    const size_t descriptors = support_open_descriptors();
    int result = 0;
    if (memory != memory_at_start) {
        print_error("%zu bytes of the library's memory are left\n", memory - memory_at_start);
        result = -1;
    }
    if (descriptors != descriptors_at_start) {
        print_error("%zu descriptors are open, %zu were at the start\n", descriptors, descriptors_at_start);
        result = -1;
    }
    return result;
}

/* --- Temporary folders ---------------------------------------------------- */

static char temp_dir[PATH_SIZE];

const char *support_temp_dir(void)
{
    if (temp_dir[0] != '\0')
        return temp_dir;
    const char *parent = getenv("TMPDIR");
    const int length = snprintf(temp_dir, sizeof temp_dir, "%s/stele-test-XXXXXX", parent == NULL ? "/tmp" : parent);
    assert_in_range(length, 1, (int)sizeof temp_dir - 1);
    if (mkdtemp(temp_dir) == NULL) {
        temp_dir[0] = '\0';
        fail_msg("no temporary folder could be made");
    }
    return temp_dir;
}

const char *support_temp_path(const char *name)
{
    static char paths[PATHS][2 * PATH_SIZE];
    static size_t next;
    char *path = paths[next++ % PATHS];
    const int length = snprintf(path, sizeof paths[0], "%s/%s", support_temp_dir(), name);
    assert_in_range(length, 1, (int)sizeof paths[0] - 1);
    return path;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

static int open_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)place;
    /* A test may have left a folder that nobody can read; the removal below needs to. */
    return kind == FTW_D || kind == FTW_DNR ? chmod(path, S_IRWXU) : 0;
}

void support_temp_dir_remove(void)
{
    if (temp_dir[0] == '\0')
        return;
    (void)nftw(temp_dir, open_entry, TREE_DESCRIPTORS, FTW_PHYS);
    if (nftw(temp_dir, remove_entry, TREE_DESCRIPTORS, FTW_DEPTH | FTW_PHYS) != 0)
        print_error("%s could not be removed\n", temp_dir);
    temp_dir[0] = '\0';
}

/* --- Random numbers (splitmix64) ------------------------------------------ */

struct support_random support_seed(void)
{
    const char *given = getenv("STELE_TEST_SEED");
    struct timespec now = {0};
    clock_gettime(CLOCK_REALTIME, &now);
    const uint64_t seed =
        given != NULL ? strtoull(given, NULL, 0) : (uint64_t)now.tv_sec * 1000000007U + (uint64_t)now.tv_nsec;
    print_message("STELE_TEST_SEED=%" PRIu64 "\n", seed);
    return (struct support_random){.state = seed};
}

uint64_t support_random_next(struct support_random *random)
{
    random->state += 0x9E3779B97F4A7C15U;
    uint64_t mixed = random->state;
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9U;
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBU;
    return mixed ^ (mixed >> 31);
}

uint64_t support_random_below(struct support_random *random, uint64_t limit)
{
    return support_random_next(random) % limit;
}

void support_random_bytes(struct support_random *random, void *bytes, size_t size)
{
    unsigned char *next = bytes;
    for (size_t i = 0; i < size; i++)
        next[i] = (unsigned char)support_random_next(random);
}
