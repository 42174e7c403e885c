/*
 * Reading for projections: what it costs that old shapes are brought up to date.
 *
 * Every case reads a log of a file from end to end and decodes each event.
 * "upcast_none": a store that has upcasters, of which the events need none,
 * beside one without any. "upcast_three": events three steps in code behind,
 * beside the same ones in today's shape. Figures are nanoseconds an event, so
 * the ratio is how much longer it takes.
 */
#include "bench/readings.h"

#include <stdlib.h>

enum { STREAMS = 1000 };

/* A reading's shapes: the first had neither unit nor place, the second no place; the third counted in whole units. */
#define MEASURED_1(FIELD, T) FIELD(T, INT64, amount) FIELD(T, INT64, serial) FIELD(T, TEXT, text)
#define MEASURED_2(FIELD, T) MEASURED_1(FIELD, T) FIELD(T, TEXT, unit)
#define MEASURED_3(FIELD, T) MEASURED_2(FIELD, T) FIELD(T, INT64, place)
#define MEASURED_4(FIELD, T) \
    FIELD(T, INT64, milli) FIELD(T, INT64, serial) FIELD(T, TEXT, text) FIELD(T, TEXT, unit) FIELD(T, INT64, place)
STELE_DECLARE(measured_1, MEASURED_1);
STELE_DECLARE(measured_2, MEASURED_2);
STELE_DECLARE(measured_3, MEASURED_3);
STELE_DECLARE(measured_4, MEASURED_4);
STELE_DEFINE_EVENT(measured_1, "bench.measured", 1, MEASURED_1);
STELE_DEFINE_EVENT(measured_2, "bench.measured", 2, MEASURED_2);
STELE_DEFINE_EVENT(measured_3, "bench.measured", 3, MEASURED_3);
STELE_DEFINE_EVENT(measured_4, "bench.measured", 4, MEASURED_4);

static stele_status to_2(const struct measured_1 *old, stele_upcast *upcast)
{
    return STELE_UPCAST_TO(upcast, measured_2, .amount = old->amount, .serial = old->serial, .text = old->text,
                           .unit = "W");
}
STELE_DEFINE_UPCAST(to_2, measured_1)

static stele_status to_3(const struct measured_2 *old, stele_upcast *upcast)
{
    return STELE_UPCAST_TO(upcast, measured_3, .amount = old->amount, .serial = old->serial, .text = old->text,
                           .unit = old->unit, .place = 0);
}
STELE_DEFINE_UPCAST(to_3, measured_2)

static stele_status to_4(const struct measured_3 *old, stele_upcast *upcast)
{
    return STELE_UPCAST_TO(upcast, measured_4, .milli = old->amount * 1000, .serial = old->serial, .text = old->text,
                           .unit = old->unit, .place = old->place);
}
STELE_DEFINE_UPCAST(to_4, measured_3)

static const struct stele_upcaster upcasters[] = {
    {.from = "bench.measured",
     .from_version = 1,
     .to = "bench.measured",
     .to_version = 2,
     .up = to_2_up,
     .old_type = &measured_1_type,
     .new_type = &measured_2_type},
    {.from = "bench.measured",
     .from_version = 2,
     .to = "bench.measured",
     .to_version = 3,
     .up = to_3_up,
     .old_type = &measured_2_type,
     .new_type = &measured_3_type},
    {.from = "bench.measured",
     .from_version = 3,
     .to = "bench.measured",
     .to_version = 4,
     .up = to_4_up,
     .old_type = &measured_3_type,
     .new_type = &measured_4_type},
};

enum { UPCASTERS = sizeof(upcasters) / sizeof(upcasters[0]), BATCH = 1000 };

/* The same events twice: in the shape of today, and in the first one. */
struct subject {
    stele_store *plain;    /* today's, without upcasters */
    stele_store *prepared; /* the same file, with upcasters */
    stele_store *old;
    uint64_t events;
};

/* --- The logs --------------------------------------------------------------------------- */

static const char text[] = "0123456789012345678901234567890123456789012345678901234567890123";

static stele_message *new_today(int64_t serial)
{
    const struct measured_4 payload = {.milli = 1000 * serial, .serial = serial, .text = text, .unit = "W"};
    stele_message *message = NULL;
    stele_error *error = NULL;

    bench_must(measured_4_message(&payload, NULL, &message, &error), error, "message");
    return message;
}

static stele_message *new_old(int64_t serial)
{
    const struct measured_1 payload = {.amount = serial, .serial = serial, .text = text};
    stele_message *message = NULL;
    stele_error *error = NULL;

    bench_must(measured_1_message(&payload, NULL, &message, &error), error, "message");
    return message;
}

static void fill_with(const char *path, stele_message *(*new_event)(int64_t), uint64_t events)
{
    stele_store *store = open_store(path);
    struct stele_write writes[BATCH];
    stele_message *messages[BATCH];
    char names[BATCH][32];

    for (uint64_t at = 0; at < events; at += BATCH) {
        stele_error *error = NULL;

        for (unsigned i = 0; i < BATCH; i++) {
            stream_name((unsigned)((at + i) % STREAMS), names[i]);
            messages[i] = new_event((int64_t)(at + i));
            writes[i] = (struct stele_write){names[i], messages[i]};
        }
        bench_must(
            stele_append_batch(store, &(struct stele_batch){.writes = writes, .write_count = BATCH}, NULL, &error),
            error, "fill");
        for (unsigned i = 0; i < BATCH; i++)
            stele_message_unref(messages[i]);
    }
    stele_store_close(store);
}

static stele_store *open_with_upcasters(const char *path)
{
    struct stele_store_options options = STELE_OPTIONS_INIT(struct stele_store_options);
    stele_store *store = NULL;
    stele_error *error = NULL;

    options.upcasters = upcasters;
    options.upcaster_count = UPCASTERS;
    bench_must(stele_store_open(path, &options, &store, &error), error, "open");
    return store;
}

/* --- Reading ------------------------------------------------------------------------------ */

/* Nanoseconds an event. */
static double read_all(stele_store *store, uint64_t events)
{
    const double start = bench_seconds();
    stele_cursor *cursor = NULL;
    stele_arena *arena = NULL;
    stele_error *error = NULL;
    int64_t serials = 0;

    bench_must(stele_arena_new(&arena, &error), error, "arena");
    bench_must(stele_read(store, NULL, &cursor, &error), error, "read");
    for (;;) {
        const stele_message *message = NULL;
        struct measured_4 event;

        bench_must(stele_cursor_next(cursor, &message, &error), error, "next");
        if (!message)
            break;
        bench_must(measured_4_read(message, arena, &event, &error), error, "decode");
        serials += event.serial;
        stele_arena_reset(arena);
    }
    stele_cursor_close(cursor);
    stele_arena_free(arena);
    if ((uint64_t)serials != events * (events - 1) / 2)
        abort();
    return (bench_seconds() - start) * 1e9 / (double)events;
}

static double read_plain(void *context)
{
    const struct subject *subject = context;

    return read_all(subject->plain, subject->events);
}

static double read_prepared(void *context)
{
    const struct subject *subject = context;

    return read_all(subject->prepared, subject->events);
}

static double read_old(void *context)
{
    const struct subject *subject = context;

    return read_all(subject->old, subject->events);
}

static void bench_upcasts(struct bench *bench)
{
    struct subject subject = {.events = bench->events - bench->events % BATCH};
    char *today = path_of(bench, "today");
    char *old = path_of(bench, "old");
    const struct bench_case cases[] = {
        {"upcast_none", "ns", read_prepared, read_plain, &subject, {0, 1.1}},
        {"upcast_three", "ns", read_old, read_plain, &subject, {0, 2}},
    };

    fill_with(today, new_today, subject.events);
    fill_with(old, new_old, subject.events);
    subject.plain = open_store(today);
    subject.prepared = open_with_upcasters(today);
    subject.old = open_with_upcasters(old);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        bench_run(bench, &cases[i]);
    stele_store_close(subject.old);
    stele_store_close(subject.prepared);
    stele_store_close(subject.plain);
    remove_store(old);
    remove_store(today);
}

int main(int argc, char **argv)
{
    struct bench bench;

    bench_open(&bench, argc, argv, "Measure what reading old shapes costs.");
    if (bench_wants(&bench, "upcast_none") || bench_wants(&bench, "upcast_three"))
        bench_upcasts(&bench);
    bench_close(&bench);
    return EXIT_SUCCESS;
}
