/* Readings of meters, and files of stores. */
#include "bench/readings.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PAYLOAD_TEXT = 100 };

STELE_DEFINE_EVENT(reading, "bench.reading.taken", 1, READING);

static const char filler[PAYLOAD_TEXT + 1] = "The quick brown fox jumps over the lazy dog while the stone keeps every "
                                             "deed in the order it happened";

char *path_of(const struct bench *bench, const char *name)
{
    char *path = NULL;

    if (asprintf(&path, "%s/bench-store-%ld-%s", bench->folder, (long)getpid(), name) < 0)
        exit(EXIT_FAILURE);
    return path;
}

void remove_store(char *path)
{
    static const char *const endings[] = {"", "-wal", "-shm"};

    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        char *name = NULL;

        if (asprintf(&name, "%s%s", path, endings[i]) >= 0)
            unlink(name);
        free(name);
    }
    free(path);
}

stele_store *open_store(const char *url)
{
    stele_store *store = NULL;
    stele_error *error = NULL;

    bench_must(stele_store_open(url, NULL, &store, &error), error, url);
    return store;
}

stele_message *new_reading(int64_t serial)
{
    const struct reading payload = {.amount = serial % 1000, .serial = serial, .text = filler};
    stele_message *message = NULL;
    stele_error *error = NULL;

    bench_must(reading_message(&payload, NULL, &message, &error), error, "new message");
    return message;
}

void stream_name(unsigned stream, char name[32])
{
    snprintf(name, 32, "meter-%06u", stream);
}

void fill_from(stele_store *store, unsigned first, unsigned streams, uint64_t events)
{
    enum { CHUNK = 1000 };
    static char names[CHUNK][32];
    static struct stele_write writes[CHUNK];

    for (uint64_t done = 0; done < events;) {
        stele_message *messages[CHUNK];
        stele_error *error = NULL;
        unsigned count = 0;

        for (; count < CHUNK && done < events; count++, done++) {
            messages[count] = new_reading((int64_t)done);
            stream_name(first + (unsigned)(done % streams), names[count]);
            writes[count] = (struct stele_write){.stream = names[count], .event = messages[count]};
        }
        bench_must(
            stele_append_batch(store, &(struct stele_batch){.writes = writes, .write_count = count}, NULL, &error),
            error, "fill");
        while (count > 0)
            stele_message_unref(messages[--count]);
    }
}

void fill(stele_store *store, unsigned streams, uint64_t events)
{
    fill_from(store, 0, streams, events);
}
