/* A store and a bus that follows it, in a simulation unless said otherwise, and routes that note what they get. */
#ifndef STELE_TESTS_UNIT_BUS_LOG_STAGE_H
#define STELE_TESTS_UNIT_BUS_LOG_STAGE_H

#include "tests/support/support.h"

#include <stele/bus.h>
#include <stele/deadletters.h>
#include <stele/runtime.h>
#include <stele/store.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

struct log_stage {
    stele_runtime *runtime;
    stele_store *store;
    stele_bus *bus;
};

static inline stele_store *log_stage_store(const char *url)
{
    stele_store *store = NULL;
    stele_error *error = NULL;

    assert_ok(stele_store_open(url, NULL, &store, &error), error);
    return store;
}

/* A bus on the store that is there; with 0 threads in a simulation. */
static inline void log_stage_begin(struct log_stage *stage, unsigned threads)
{
    stele_error *error = NULL;

    if (threads)
        assert_ok(stele_runtime_new(threads, NULL, &stage->runtime, &error), error);
    else
        assert_ok(stele_runtime_simulated(7, &stage->runtime, &error), error);
    assert_ok(stele_bus_new(stage->runtime, NULL, &stage->bus, &error), error);
    assert_ok(stele_bus_follow(stage->bus, stage->store, &error), error);
}

/* End the bus, not the store. */
static inline void log_stage_end(struct log_stage *stage)
{
    stele_bus_stop(stage->bus, 5000, NULL, NULL);
    stele_bus_free(stage->bus);
    stele_runtime_free(stage->runtime);
    stage->bus = NULL;
    stage->runtime = NULL;
}

/* --- Routes that note ---------------------------------------------------------------------- */

/* The ids of the messages in the order of handling, each with a blank behind it. Thread-safe. */
struct notes {
    pthread_mutex_t mutex;
    char text[4096];
    size_t count;
    const char *fails_on; /* an id; NULL: none */
    stele_status status;  /* what it fails with */
};
#define NOTES \
    { \
        .mutex = PTHREAD_MUTEX_INITIALIZER \
    }

static inline stele_status note(void *resource, const stele_message *message, stele_context *context)
{
    struct notes *notes = resource;
    const struct stele_slice id = stele_message_id(message);
    stele_status status = STELE_OK;
    size_t used;

    (void)context;
    pthread_mutex_lock(&notes->mutex);
    used = strlen(notes->text);
    snprintf(notes->text + used, sizeof(notes->text) - used, "%.*s ", STELE_SLICE(id));
    notes->count++;
    if (notes->fails_on && strlen(notes->fails_on) == id.size && memcmp(notes->fails_on, id.data, id.size) == 0)
        status = notes->status;
    pthread_mutex_unlock(&notes->mutex);
    return status;
}

static inline void log_stage_route(const struct log_stage *stage, const struct stele_route *route, struct notes *notes)
{
    stele_error *error = NULL;

    assert_ok(stele_bus_add_route(stage->bus, route, notes, NULL, &error), error);
}

/* --- Events --------------------------------------------------------------------------------- */

static inline stele_message *log_stage_event(const char *type, const char *id)
{
    const struct stele_raw_message raw = {
        .kind = STELE_EVENT, .type = type, .format = STELE_PAYLOAD_MSGPACK, .payload = {"\x81\xa1n\7", 4}};
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
    stele_message *message = NULL;
    stele_error *error = NULL;

    options.id = id;
    assert_ok(stele_message_new_raw(&raw, &options, &message, &error), error);
    return message;
}

static inline void log_stage_append(stele_store *store, const char *type, const char *id)
{
    stele_message *event = log_stage_event(type, id);
    stele_error *error = NULL;

    assert_ok(stele_append(store, "orders", stele_expect_any(), event, NULL, &error), error);
    stele_message_unref(event);
}

/* Events with the ids "from" to "to". */
static inline void log_stage_fill(stele_store *store, const char *type, int from, int to)
{
    for (int i = from; i <= to; i++) {
        char id[16];

        snprintf(id, sizeof(id), "%d", i);
        log_stage_append(store, type, id);
    }
}

/* --- Places ---------------------------------------------------------------------------------- */

struct log_stage_found {
    const char *name;
    struct stele_route_stats stats;
};

static inline bool log_stage_find(void *context, const struct stele_route_stats *stats)
{
    struct log_stage_found *found = context;

    if (strcmp(stats->route->name, found->name) != 0)
        return true;
    found->stats = *stats;
    return false;
}

static inline struct stele_route_stats log_stage_stats(const struct log_stage *stage, const char *name)
{
    struct log_stage_found found = {.name = name};
    stele_error *error = NULL;

    assert_ok(stele_bus_visit_routes(stage->bus, log_stage_find, &found, &error), error);
    assert_non_null(found.stats.route);
    return found.stats;
}

#endif
