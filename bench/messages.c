/*
 * Messages: what it costs to build one without and with a cause, to read it,
 * and to take it through JSON. Nanoseconds of one call; the payload is one
 * integer, so that what is measured is the envelope.
 */
#include "bench/bench.h"

#include <stdlib.h>

enum { CALLS = 200000, EXTENSIONS = 5 };

#define MEASURED(FIELD, T) FIELD(T, INT64, value)
STELE_DECLARE(measured, MEASURED);
STELE_DEFINE_EVENT(measured, "bench.measured", 1, MEASURED);

struct subject {
    const struct stele_message_options *options;
    stele_message *message;
    struct stele_slice json;
    stele_arena *arena;
};

static void must(stele_status status)
{
    bench_must(status, NULL, "measuring messages");
}

static double nanoseconds_each(double since)
{
    return (bench_seconds() - since) * 1e9 / CALLS;
}

static double build(void *context)
{
    const struct subject *subject = context;
    const double since = bench_seconds();

    for (int64_t i = 0; i < CALLS; i++) {
        const struct measured payload = {i & 0x7F};
        stele_message *message = NULL;

        must(measured_message(&payload, subject->options, &message, NULL));
        stele_message_unref(message);
    }
    return nanoseconds_each(since);
}

static double reference(void *context)
{
    const struct subject *subject = context;
    const double since = bench_seconds();

    for (int i = 0; i < CALLS; i++)
        stele_message_unref(stele_message_ref(subject->message));
    return nanoseconds_each(since);
}

static double read_payload(void *context)
{
    const struct subject *subject = context;
    const double since = bench_seconds();

    for (int i = 0; i < CALLS; i++) {
        struct measured payload;

        must(measured_read(subject->message, subject->arena, &payload, NULL));
        stele_arena_reset(subject->arena);
    }
    return nanoseconds_each(since);
}

static double write_json(void *context)
{
    const struct subject *subject = context;
    const double since = bench_seconds();

    for (int i = 0; i < CALLS; i++) {
        struct stele_slice json;

        must(stele_cloudevent_encode(subject->message, NULL, subject->arena, &json, NULL));
        stele_arena_reset(subject->arena);
    }
    return nanoseconds_each(since);
}

static double read_json(void *context)
{
    const struct subject *subject = context;
    const double since = bench_seconds();

    for (int i = 0; i < CALLS; i++) {
        stele_message *message = NULL;

        must(stele_cloudevent_decode(subject->json, 0, &message, NULL));
        stele_message_unref(message);
    }
    return nanoseconds_each(since);
}

static void measure(struct bench *bench, const char *name, bench_side *side, struct subject *subject, double at_most)
{
    const struct bench_case entry = {name, "ns", side, NULL, subject, {.at_most = at_most}};

    bench_run(bench, &entry);
}

static void run_building(struct bench *bench)
{
    static const char traceparent[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const struct stele_extension extensions[EXTENSIONS] = {
        {.name = "tenant", .text = {"acme", 4}},
        {.name = "region", .text = {"eu-central-1", 12}},
        {.name = "partitionkey", .text = {"customer-4711", 13}},
        {.name = "attempt", .kind = STELE_EXTENSION_INTEGER, .integer = 3},
        {.name = "replayed", .kind = STELE_EXTENSION_BOOLEAN, .boolean = true},
    };
    struct stele_message_options cause = STELE_OPTIONS_INIT(struct stele_message_options);
    struct stele_message_options caused = STELE_OPTIONS_INIT(struct stele_message_options);
    struct stele_message_options extended = STELE_OPTIONS_INIT(struct stele_message_options);
    struct subject subject = {0};
    stele_message *message = NULL;

    cause.correlationid = "order-4711";
    cause.traceparent = traceparent;
    must(measured_message(&(struct measured){1}, &cause, &message, NULL));
    caused.cause = message;
    caused.source = "/bench";
    extended.extensions = extensions;
    extended.extension_count = EXTENSIONS;
    measure(bench, "build", build, &subject, 120);
    subject.options = &caused;
    measure(bench, "build_with_cause", build, &subject, 170);
    subject.options = &extended;
    measure(bench, "build_with_5_extensions", build, &subject, 300);
    stele_message_unref(message);
}

static void run_reading(struct bench *bench)
{
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
    struct subject subject = {0};
    stele_arena *kept = NULL;

    options.source = "/bench";
    options.correlationid = "order-4711";
    must(measured_message(&(struct measured){1}, &options, &subject.message, NULL));
    must(stele_arena_new(&subject.arena, NULL));
    must(stele_arena_new(&kept, NULL));
    must(stele_cloudevent_encode(subject.message, NULL, kept, &subject.json, NULL));
    measure(bench, "reference", reference, &subject, 20);
    measure(bench, "read", read_payload, &subject, 50);
    measure(bench, "write_json", write_json, &subject, 0);
    measure(bench, "read_json", read_json, &subject, 0);
    stele_arena_free(subject.arena);
    stele_arena_free(kept);
    stele_message_unref(subject.message);
}

int main(int argc, char **argv)
{
    struct bench bench;

    bench_open(&bench, argc, argv, "What it costs to build, read and write a message.");
    run_building(&bench);
    run_reading(&bench);
    bench_close(&bench);
    return EXIT_SUCCESS;
}
