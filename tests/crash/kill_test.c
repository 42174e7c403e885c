/*
 * Kills: processes with 16 writing threads die by SIGKILL, at a random time or
 * at the n-th system call that SQLite makes (a write may be half done then),
 * some of them while they create the store. What they knew to be acknowledged
 * stands in shared memory. STELE_CRASH_KILLS says how many (default 300).
 */
#include "tests/support/support.h"

#include "tests/crash/check.h"
#include "tests/crash/writers.h"

#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    RUNS_PER_STORE = WRITERS_LANES_MAX / WRITERS_THREADS,
    CHECKPOINT_PAGES = 64,
    CALLS_MAX = 4000,
    CREATION_CALLS_MAX = 150,
    TIME_MAX = 30000 /* microseconds */
};

/* --- Dying at the n-th system call ------------------------------------------------------ */

static atomic_long calls_left; /* of this process; 0: it does not die so */

static bool is_last_call(void)
{
    return atomic_load(&calls_left) > 0 && atomic_fetch_sub(&calls_left, 1) == 1;
}

static void die(void)
{
    kill(getpid(), SIGKILL);
    pause();
}

static ssize_t dying_pwrite(int file, const void *bytes, size_t size, off_t offset)
{
    if (!is_last_call())
        return pwrite(file, bytes, size, offset);
    const ssize_t half = pwrite(file, bytes, size / 2, offset);
    die();
    return half;
}

static ssize_t dying_write(int file, const void *bytes, size_t size)
{
    if (is_last_call())
        die();
    return write(file, bytes, size);
}

static int dying_ftruncate(int file, off_t size)
{
    if (is_last_call())
        die();
    return ftruncate(file, size);
}

static int dying_unlink(const char *path)
{
    if (is_last_call())
        die();
    return unlink(path);
}

static int dying_open(const char *path, int flags, int mode)
{
    if (is_last_call())
        die();
    return open(path, flags, (mode_t)mode);
}

static ssize_t dying_pread(int file, void *bytes, size_t size, off_t offset)
{
    if (is_last_call())
        die();
    return pread(file, bytes, size, offset);
}

static void die_at(long call)
{
    static const struct {
        const char *name;
        sqlite3_syscall_ptr function;
    } replaced[] = {
        {"pwrite", (sqlite3_syscall_ptr)dying_pwrite}, {"pwrite64", (sqlite3_syscall_ptr)dying_pwrite},
        {"write", (sqlite3_syscall_ptr)dying_write},   {"ftruncate", (sqlite3_syscall_ptr)dying_ftruncate},
        {"unlink", (sqlite3_syscall_ptr)dying_unlink}, {"open", (sqlite3_syscall_ptr)dying_open},
        {"pread", (sqlite3_syscall_ptr)dying_pread},   {"pread64", (sqlite3_syscall_ptr)dying_pread},
    };
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);

    for (size_t i = 0; i < sizeof replaced / sizeof replaced[0]; i++)
        if (vfs->xGetSystemCall(vfs, replaced[i].name) != NULL)
            vfs->xSetSystemCall(vfs, replaced[i].name, replaced[i].function);
    atomic_store(&calls_left, call);
}

/* --- One kill ------------------------------------------------------------------------------- */

struct killing {
    struct writers writers;
    struct support_random random;
    char path[512];
    size_t kills, at_calls, in_creation;
};

static stele_store *open_store(const char *path, stele_error **error)
{
    stele_store *store = NULL;
    char url[600];

    snprintf(url, sizeof url, "sqlite:%s?idle=1", path);
    if (stele_store_open(url, NULL, &store, error) != STELE_OK)
        return NULL;
    check_set_checkpoint(store, CHECKPOINT_PAGES);
    return store;
}

static void live(struct killing *killing, size_t run, long call)
{
    stele_store *store = NULL;

    if (call != 0)
        die_at(call);
    store = open_store(killing->path, NULL);
    if (store == NULL)
        _exit(1);
    writers_run(&killing->writers, store, run * WRITERS_THREADS, WRITERS_THREADS, WRITERS_BATCHES_MAX,
                support_random_next(&killing->random));
    _exit(0);
}

static void wait_a_moment(uint64_t microseconds)
{
    const struct timespec pause = {.tv_nsec = (long)(1000 * microseconds)};

    nanosleep(&pause, NULL);
}

static void kill_one(struct killing *killing, size_t run)
{
    const bool at_call = support_random_below(&killing->random, 2) == 0;
    const bool in_creation = run == 0;
    const long limit = in_creation ? CREATION_CALLS_MAX : CALLS_MAX;
    const long call = at_call ? 1 + (long)support_random_below(&killing->random, (uint64_t)limit) : 0;
    const uint64_t moment = support_random_below(&killing->random, in_creation ? 3000 : TIME_MAX);
    int status = 0;
    const pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0)
        live(killing, run, call);
    if (!at_call) {
        wait_a_moment(moment);
        kill(child, SIGKILL);
    }
    assert_int_equal(child, waitpid(child, &status, 0));
    if (WIFEXITED(status))
        assert_int_equal(0, WEXITSTATUS(status));
    killing->kills += WIFSIGNALED(status);
    killing->at_calls += WIFSIGNALED(status) && at_call;
    killing->in_creation += WIFSIGNALED(status) && in_creation;
}

static size_t check_after(struct killing *killing, bool fully)
{
    struct verdict verdict = {FINDING_NONE, ""};
    struct writers_seen seen = {0};
    stele_error *error = NULL;
    stele_store *store = open_store(killing->path, &error);

    if (store == NULL)
        found(&verdict, FINDING_REFUSED, "the store does not open: %s", stele_error_message(error));
    else if (writers_check(&killing->writers, store, &seen, &verdict) && fully)
        check_verify(store, &verdict);
    stele_error_free(error);
    stele_store_close(store);
    if (verdict.finding != FINDING_NONE)
        fail_msg("after %zu kills: %s: %s", killing->kills, finding_name(verdict.finding), verdict.text);
    return seen.acknowledged;
}

static void A8_D4_kills_at_any_instant_lose_nothing(void **state)
{
    (void)state;
    const size_t wanted = check_wanted("STELE_CRASH_KILLS", 300);
    struct killing killing = {.random = support_seed()};
    size_t acknowledged = 0;

    writers_init(&killing.writers, 8);
    for (size_t store = 0; killing.kills < wanted; store++) {
        size_t on_this = 0;
        writers_clear(&killing.writers);
        snprintf(killing.path, sizeof killing.path, "%s", support_temp_path("kill.db"));
        for (size_t run = 0; run < RUNS_PER_STORE && killing.kills < wanted; run++) {
            kill_one(&killing, run);
            on_this = check_after(&killing, run % 8 == 7);
        }
        acknowledged += on_this;
        support_temp_dir_remove();
    }
    writers_fini(&killing.writers);
    print_message("%zu kills, %zu of them at a system call, %zu while the store was created; %zu acknowledged batches, "
                  "all there\n",
                  killing.kills, killing.at_calls, killing.in_creation, acknowledged);
    assert_true(acknowledged > 0 && killing.at_calls > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(A8_D4_kills_at_any_instant_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
