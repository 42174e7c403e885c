/*
 * Mixed load for a long time: writers, whole-log and backward readers, and a
 * follower on one store. A line now and then says how much memory, log and how many
 * descriptors there are; at the end they must not have grown since the start.
 *
 * usage: soak FILE SECONDS
 */
#include <stele/store.h>

#include <dirent.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    WRITERS = 6,
    STREAMS = 500,
    PAGE_EVENTS = 5000,
    LINES = 20,
    LOG_MAX = 64 * 1024 * 1024, /* bytes */
    MEMORY_SLACK = 8 * 1024     /* KiB */
};

static struct {
    stele_store *store;
    atomic_bool stop;
    atomic_ulong appended, read, followed, failures;
} soak;

struct measure {
    size_t memory; /* KiB, resident */
    size_t log;    /* bytes */
    size_t descriptors;
};

static void fail(const char *what, stele_error *error)
{
    fprintf(stderr, "%s: %s\n", what, stele_error_message(error));
    stele_error_free(error);
    atomic_fetch_add(&soak.failures, 1);
    atomic_store(&soak.stop, true);
}

/* --- The load --------------------------------------------------------------------- */

static stele_message *make_event(uint64_t number)
{
    char payload[160];
    struct stele_raw_message raw = {.kind = STELE_EVENT, .type = "soak.happened", .format = STELE_PAYLOAD_BYTES};
    stele_message *message = NULL;

    raw.payload.data = payload;
    raw.payload.size = (size_t)snprintf(payload, sizeof payload, "%0120" PRIu64, number);
    const struct stele_message_options options = {.size = sizeof options, .datacontenttype = "text/plain"};
    if (stele_message_new_raw(&raw, &options, &message, NULL) != STELE_OK)
        abort();
    return message;
}

static void *append_events(void *context)
{
    uint64_t number = (uint64_t)(uintptr_t)context;

    while (!atomic_load(&soak.stop)) {
        stele_message *event = make_event(number);
        stele_error *error = NULL;
        char stream[32];

        snprintf(stream, sizeof stream, "soak-%" PRIu64, number * 7919 % STREAMS);
        if (stele_append(soak.store, stream, stele_expect_any(), event, NULL, &error) != STELE_OK)
            fail("append", error);
        stele_message_unref(event);
        atomic_fetch_add(&soak.appended, 1);
        number += WRITERS;
    }
    return NULL;
}

static void read_once(bool backwards, uint64_t limit)
{
    const struct stele_query query = {.size = sizeof query, .backwards = backwards, .limit = limit};
    const stele_message *message = NULL;
    stele_cursor *cursor = NULL;
    stele_error *error = NULL;

    if (stele_read(soak.store, &query, &cursor, &error) != STELE_OK) {
        fail("read", error);
        return;
    }
    do {
        if (stele_cursor_next(cursor, &message, &error) != STELE_OK) {
            fail("next", error);
            break;
        }
        atomic_fetch_add(&soak.read, message != NULL);
    } while (message != NULL && !atomic_load(&soak.stop));
    stele_cursor_close(cursor);
}

static void *read_events(void *context)
{
    (void)context;
    for (unsigned round = 0; !atomic_load(&soak.stop); round++)
        read_once(round % 2 == 0, round % 16 == 1 ? 0 : PAGE_EVENTS);
    return NULL;
}

static void *follow(void *context)
{
    uint64_t position = 0;

    (void)context;
    while (!atomic_load(&soak.stop)) {
        stele_error *error = NULL;
        const stele_status status = stele_wait(soak.store, position, 200, &position, &error);
        if (status != STELE_OK && status != STELE_TIMEOUT) {
            fail("wait", error);
            break;
        }
        stele_error_free(error);
        atomic_fetch_add(&soak.followed, 1);
    }
    return NULL;
}

/* --- Measuring ---------------------------------------------------------------------- */

static struct measure take_measure(const char *path)
{
    struct measure measure = {0};
    char log[512];
    struct stat facts;
    FILE *status = fopen("/proc/self/statm", "r");
    DIR *folder = opendir("/proc/self/fd");
    long size = 0;
    long resident = 0;

    if (status != NULL && fscanf(status, "%ld %ld", &size, &resident) == 2)
        measure.memory = (size_t)(resident * (sysconf(_SC_PAGESIZE) / 1024));
    if (status != NULL)
        fclose(status);
    while (folder != NULL && readdir(folder) != NULL)
        measure.descriptors++;
    if (folder != NULL)
        closedir(folder);
    snprintf(log, sizeof log, "%s-wal", path);
    measure.log = stat(log, &facts) == 0 ? (size_t)facts.st_size : 0;
    return measure;
}

static bool check(const struct measure *start, const struct measure *end)
{
    const bool sound = end->memory <= start->memory + start->memory / 10 + MEMORY_SLACK &&
                       end->descriptors <= start->descriptors && end->log <= LOG_MAX;

    printf("memory %zu -> %zu KiB, log %zu -> %zu bytes, descriptors %zu -> %zu: %s\n", start->memory, end->memory,
           start->log, end->log, start->descriptors, end->descriptors, sound ? "stable" : "grown");
    return sound;
}

static bool measure_all(const char *path, unsigned seconds)
{
    const unsigned interval = seconds / LINES == 0 ? 1 : seconds / LINES;
    struct measure start = {0};
    struct measure now = {0};

    for (unsigned at = interval; at <= seconds && !atomic_load(&soak.stop); at += interval) {
        sleep(interval);
        now = take_measure(path);
        /* What is grown into at first (pools, caches) is there after the first tenth. */
        if (at <= seconds / 10 + interval)
            start = now;
        if (now.descriptors > start.descriptors && at <= seconds / 4)
            start.descriptors = now.descriptors;
        printf("%4u s: %lu appended, %lu read, %lu waits; memory %zu KiB, log %zu bytes, %zu descriptors\n", at,
               atomic_load(&soak.appended), atomic_load(&soak.read), atomic_load(&soak.followed), now.memory, now.log,
               now.descriptors);
        fflush(stdout);
    }
    return check(&start, &now);
}

int main(int argc, char **argv)
{
    pthread_t threads[WRITERS + 3];
    size_t started = 0;
    stele_error *error = NULL;

    if (argc != 3) {
        fprintf(stderr, "usage: soak FILE SECONDS\n");
        return 2;
    }
    if (stele_store_open(argv[1], NULL, &soak.store, &error) != STELE_OK) {
        fail(argv[1], error);
        return 1;
    }
    for (; started < WRITERS; started++)
        pthread_create(&threads[started], NULL, append_events, (void *)(uintptr_t)started);
    pthread_create(&threads[started++], NULL, read_events, NULL);
    pthread_create(&threads[started++], NULL, read_events, NULL);
    pthread_create(&threads[started++], NULL, follow, NULL);
    bool sound = measure_all(argv[1], (unsigned)strtoul(argv[2], NULL, 10));
    atomic_store(&soak.stop, true);
    for (size_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    if (stele_verify(soak.store, NULL, NULL, &error) != STELE_OK)
        fail("verify", error);
    stele_store_close(soak.store);
    return sound && atomic_load(&soak.failures) == 0 ? 0 : 1;
}
