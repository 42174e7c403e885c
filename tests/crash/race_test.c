/*
 * Races: 16 threads in each of 4 processes on one file, then two handles on a
 * disk that naps in lock, shared-memory and sync calls while the log is moved
 * in all the time (contract D2). The finished log proves every expectation.
 */
#include "tests/support/support.h"

#include "tests/crash/check.h"
#include "tests/crash/writers.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define NAP_VFS "crash-race"

enum { PROCESSES = 4, BATCHES = 100, NAP_THREADS = 4, NAP_BATCHES = 500, CHECKPOINT_PAGES = 32 };

static void check(struct writers *writers, stele_store *store)
{
    struct verdict verdict = {FINDING_NONE, ""};
    struct writers_seen seen;

    writers_check(writers, store, &seen, &verdict);
    if (verdict.finding == FINDING_NONE)
        check_verify(store, &verdict);
    if (verdict.finding != FINDING_NONE)
        fail_msg("%s: %s", finding_name(verdict.finding), verdict.text);
    print_message("%zu batches stored, %zu rejected, %zu expectations true at their place\n", seen.batches,
                  seen.rejected, seen.expectations);
    assert_int_equal(seen.acknowledged, seen.batches);
    assert_true(seen.rejected > 0 && seen.expectations > 0);
}

/* --- Processes ------------------------------------------------------------------------ */

static stele_store *open_file(const char *path)
{
    char url[512];
    stele_store *store = NULL;
    stele_error *error = NULL;

    snprintf(url, sizeof url, "sqlite:%s?busy=60000&idle=1", path);
    if (stele_store_open(url, NULL, &store, &error) != STELE_OK) {
        fprintf(stderr, "%s\n", stele_error_message(error));
        abort();
    }
    check_set_checkpoint(store, CHECKPOINT_PAGES);
    return store;
}

static void write_in_child(struct writers *writers, const char *path, size_t process, uint64_t seed)
{
    stele_store *store = open_file(path);

    writers_run(writers, store, process * WRITERS_THREADS, WRITERS_THREADS, BATCHES, seed);
    stele_store_close(store);
    _exit(0);
}

static void race(struct writers *writers, uint64_t seed)
{
    const char *path = support_temp_path("race.db");
    pid_t children[PROCESSES];

    writers_clear(writers);
    for (size_t i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0)
            write_in_child(writers, path, i, seed);
    }
    for (size_t i = 0; i < PROCESSES; i++) {
        int status = 0;
        assert_int_equal(children[i], waitpid(children[i], &status, 0));
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    stele_store *store = open_file(path);
    check(writers, store);
    stele_store_close(store);
    support_temp_dir_remove();
}

static void A1_A2_A7_every_expectation_was_true_where_its_batch_stands(void **state)
{
    (void)state;
    const struct support_random random = support_seed();
    struct writers writers;

    writers_init(&writers, 6);
    for (size_t i = 0; i < check_wanted("STELE_CRASH_RACES", 1); i++)
        race(&writers, random.state + i);
    writers_fini(&writers);
}

/* --- Naps ---------------------------------------------------------------------------------- */

struct napping {
    struct writers *writers;
    stele_store *store;
    size_t lane;
    uint64_t seed;
};

static void *write_napping(void *context)
{
    struct napping *napping = context;

    writers_run(napping->writers, napping->store, napping->lane, NAP_THREADS, NAP_BATCHES, napping->seed);
    return NULL;
}

static void race_napping(struct writers *writers, uint64_t seed)
{
    const struct crash_options options = {
        .sector = 4096, .power_safe = true, .nap_permille = 50, .nap_max = 100, .seed = seed};
    struct crash_disk *disk = crash_disk_new(NAP_VFS, &options);
    const struct opening opening = {
        .disk = disk, .vfs = NAP_VFS, .sync = "full", .checkpoint_pages = 8, .real_clock = true};
    struct verdict verdict = {FINDING_NONE, ""};
    struct napping both[2];
    pthread_t threads[2];

    writers_clear(writers);
    for (size_t i = 0; i < 2; i++) {
        both[i] = (struct napping){writers, check_open(&opening, &verdict), i * NAP_THREADS, seed};
        assert_non_null(both[i].store);
    }
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(0, pthread_create(&threads[i], NULL, write_napping, &both[i]));
    for (size_t i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    check(writers, both[0].store);
    stele_store_close(both[1].store);
    stele_store_close(both[0].store);
    crash_disk_free(disk);
}

static void D2_guarded_checkpoints_beside_writers_lose_nothing(void **state)
{
    (void)state;
    const struct support_random random = support_seed();
    struct writers writers;

    writers_init(&writers, 6);
    for (size_t i = 0; i < check_wanted("STELE_CRASH_RACES", 1); i++)
        race_napping(&writers, random.state + i);
    writers_fini(&writers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(A1_A2_A7_every_expectation_was_true_where_its_batch_stands),
        support_test(D2_guarded_checkpoints_beside_writers_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
