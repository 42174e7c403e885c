/* A registry of observers without a bus, on a simulated or a real runtime; notified by the test. */
#ifndef STELE_TESTS_UNIT_BUS_REGISTRY_H
#define STELE_TESTS_UNIT_BUS_REGISTRY_H

#include "tests/support/support.h"

#include <stele/message.h>
#include <stele/observe.h>
#include <stele/runtime.h>

#include "bus/observers.h"

struct registry {
    stele_runtime *runtime;
    struct stele__observers *observers;
};

static inline void registry_begin(struct registry *registry)
{
    stele_error *error = NULL;

    assert_ok(stele_runtime_simulated(7, &registry->runtime, &error), error);
    assert_ok(stele__observers_new(registry->runtime, &registry->observers, &error), error);
}

static inline void registry_finish(struct registry *registry)
{
    stele__observers_stop(registry->observers, 5000);
    stele__observers_free(registry->observers);
    stele_runtime_free(registry->runtime);
}

/* Let all observers see what was notified. */
static inline void registry_flush(struct registry *registry)
{
    stele_error *error = NULL;

    assert_ok(stele__observers_flush(registry->observers, 1000, &error), error);
}

/* An event without payload. */
static inline stele_message *event_of(const char *type, const char *id, const char *correlationid,
                                      const char *traceparent)
{
    const struct stele_raw_message raw = {.kind = STELE_EVENT, .type = type, .format = STELE_PAYLOAD_NONE};
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
    stele_message *message = NULL;
    stele_error *error = NULL;

    options.id = id;
    options.source = "/shop";
    options.correlationid = correlationid;
    options.traceparent = traceparent;
    assert_ok(stele_message_new_raw(&raw, &options, &message, &error), error);
    return message;
}

/* Notify of a message, which is given up; the other members as in `seen`. */
static inline void registry_tell(struct registry *registry, struct stele_observation seen, const char *type,
                                 stele_message *message)
{
    seen.observed = type;
    seen.message = message;
    stele__observers_notify(registry->observers, &seen);
    stele_message_unref(message);
}

#endif
