/*
 * A stream of readings for three consumers at once, through a broadcast channel:
 * each of them gets every reading. The channel is small, so the sensor waits for
 * the slowest; closing it ends the three.
 */
#include "example.h"

#include <inttypes.h>
#include <stdio.h>

#define READING(FIELD, T) FIELD(T, INT64, celsius)
STELE_DECLARE(reading, READING);
STELE_DEFINE_EVENT(reading, "sensor.reading", 1, READING);
#define NOTHING(FIELD, T) FIELD(T, NONE, stele_unused)
STELE_DECLARE(started, NOTHING);
STELE_DEFINE_EVENT(started, "sensor.started", 1, NOTHING);

enum { CONSUMERS = 3, READINGS = 12, CAPACITY = 4, WAIT_MS = 5000 };

struct consumer {
    stele_channel_reader *reader;
    int64_t result;
    int count;
    void (*take)(struct consumer *consumer, int64_t celsius);
};

struct sensor {
    stele_channel *channel;
    struct consumer consumers[CONSUMERS];
};

static void take_highest(struct consumer *consumer, int64_t celsius)
{
    if (consumer->count == 0 || celsius > consumer->result)
        consumer->result = celsius;
}

static void take_sum(struct consumer *consumer, int64_t celsius)
{
    consumer->result += celsius;
}

static void take_alarms(struct consumer *consumer, int64_t celsius)
{
    consumer->result += celsius > 30;
}

static stele_status send_reading(stele_channel *channel, int64_t celsius)
{
    const struct reading payload = {celsius};
    stele_message *message = NULL;
    stele_status status = reading_message(&payload, NULL, &message, NULL);

    if (status == STELE_OK)
        status = stele_channel_send(channel, message, WAIT_MS, NULL);
    stele_message_unref(message);
    return status;
}

static stele_status measure(struct sensor *sensor, const struct started *event, stele_context *context)
{
    stele_status status = STELE_OK;

    (void)event;
    (void)context;
    for (int64_t i = 0; i < READINGS && status == STELE_OK; i++)
        status = send_reading(sensor->channel, 20 + i * 7 % 13);
    stele_channel_close(sensor->channel);
    return status;
}
STELE_DEFINE_HANDLER_WITH(measure, started, sensor)

static stele_status consume(struct consumer *consumer, stele_context *context)
{
    stele_message *message = NULL;
    stele_status status;

    while ((status = stele_channel_next(consumer->reader, WAIT_MS, &message, NULL)) == STELE_OK) {
        stele_arena *arena = NULL;
        struct reading payload;

        status = stele_arena_new(&arena, NULL);
        if (status == STELE_OK)
            status = reading_read(message, arena, &payload, NULL);
        if (status == STELE_OK)
            consumer->take(consumer, payload.celsius);
        consumer->count++;
        stele_arena_free(arena);
        stele_message_unref(message);
        if (status != STELE_OK)
            break;
    }
    return status == STELE_END ? STELE_OK : stele_context_fail(context, status, "no reading for %d ms", WAIT_MS);
}

static stele_status find_highest(struct sensor *sensor, const struct started *event, stele_context *context)
{
    (void)event;
    return consume(&sensor->consumers[0], context);
}
STELE_DEFINE_HANDLER_WITH(find_highest, started, sensor)

static stele_status sum_up(struct sensor *sensor, const struct started *event, stele_context *context)
{
    (void)event;
    return consume(&sensor->consumers[1], context);
}
STELE_DEFINE_HANDLER_WITH(sum_up, started, sensor)

static stele_status count_alarms(struct sensor *sensor, const struct started *event, stele_context *context)
{
    (void)event;
    return consume(&sensor->consumers[2], context);
}
STELE_DEFINE_HANDLER_WITH(count_alarms, started, sensor)

static const struct stele_type *const types[] = {&started_type, &reading_type, NULL};
static const struct stele_type *const accepts[] = {&started_type, NULL};
#define PART(function) \
    { \
        .name = #function, .on = "started", .handle = function##_handle, .uses = "sensor", .delivery = STELE_QUEUED \
    }
static const struct stele_route routes[] = {PART(measure), PART(find_highest), PART(sum_up), PART(count_alarms)};
static const struct stele_module sensors = {
    .name = "sensor",
    .types = types,
    .accepts = accepts,
    .routes = routes,
    .route_count = sizeof(routes) / sizeof(routes[0]),
};

static stele_status join(stele_app *app, struct sensor *sensor, stele_error **error)
{
    stele_runtime *runtime = stele_bus_runtime(stele_app_bus(app));
    stele_status status = stele_channel_new(runtime, STELE_BROADCAST, CAPACITY, &sensor->channel, error);

    for (size_t i = 0; i < CONSUMERS && status == STELE_OK; i++)
        status = stele_channel_join(sensor->channel, &sensor->consumers[i].reader, error);
    return status;
}

static stele_status run(stele_app *app, stele_error **error)
{
    static const char *const names[CONSUMERS] = {"highest", "sum", "alarms"};
    const struct started nothing = {0};
    struct sensor *sensor = stele_app_resource(app, "sensor");
    stele_status status = join(app, sensor, error);

    if (status == STELE_OK)
        status = example_deliver(app, &started_type, &nothing, NULL, error);
    for (size_t i = 0; i < CONSUMERS; i++) {
        printf("%s: %" PRId64 " of %d readings\n", names[i], sensor->consumers[i].result, sensor->consumers[i].count);
        stele_channel_leave(sensor->consumers[i].reader);
    }
    stele_channel_free(sensor->channel);
    return status;
}

int main(int argc, char **argv)
{
    static const struct stele_module *const modules[] = {&sensors, NULL};
    struct sensor sensor = {.consumers = {{.take = take_highest}, {.take = take_sum}, {.take = take_alarms}}};
    const struct example example = {modules, "sensor", &sensor, run};

    return example_main(argc, argv, &example);
}
