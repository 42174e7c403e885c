/*
 * Observations as log records (stele/log.h): what somebody should look at as
 * warnings, calls that took long too, the rest as debug. A record that no hook
 * wants costs nothing but the look. What can fail: adding, for memory.
 */
#include "bus/audit.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "bus/describe.h"

#define NANOS_PER_MS INT64_C(1000000)
#define SLOW_MS 5000u

struct logging {
    struct stele_observer table;
    int64_t slow_ns;
};

/* Constant texts, as records want them. */
static const char *message_of(enum stele_seen seen)
{
    switch (seen) {
    case STELE_SEEN_PUBLISHED: return "message published";
    case STELE_SEEN_STARTED: return "handler started";
    case STELE_SEEN_HANDLED: return "message handled";
    case STELE_SEEN_FAILED: return "handler failed";
    case STELE_SEEN_RETRIED: return "handler failed, is called again";
    case STELE_SEEN_SKIPPED: return "handler skipped";
    case STELE_SEEN_DROPPED: return "message dropped";
    case STELE_SEEN_BURIED: return "message buried";
    case STELE_SEEN_UNROUTED: return "message unrouted";
    case STELE_SEEN_INTERCEPTOR: return "interceptor failed";
    case STELE_SEEN_LATE: return "result too late";
    }
    return "?";
}

static void log_record(enum stele_log_level level, const char *message, const struct stele_observation *seen)
{
    const struct stele_slice trace = stele__chain_of(seen->message);
    const struct stele_slice id = seen->message ? stele_message_id(seen->message) : trace;
    char chain[64], duration[24], attempt[16];
    const struct stele_log_field fields[] = {
        {"route", seen->route},
        {"type", seen->observed},
        {"id", id.size ? id.data : ""},
        {"trace", chain},
        {"attempt", attempt},
        {"duration_ns", duration},
        {"status", stele_status_name(seen->status)},
        {"text", seen->text},
    };

    snprintf(chain, sizeof(chain), "%.*s", (int)trace.size, trace.size ? trace.data : "");
    snprintf(duration, sizeof(duration), "%" PRId64, seen->duration_ns);
    snprintf(attempt, sizeof(attempt), "%u", seen->attempt);
    stele__log(level, message, fields, sizeof(fields) / sizeof(fields[0]));
}

static void see(void *context, const struct stele_observation *seen)
{
    const struct logging *logging = context;
    const bool is_end = (seen->seen & (STELE_SEEN_HANDLED | STELE_SEEN_FAILED | STELE_SEEN_RETRIED)) != 0;
    const enum stele_log_level level = stele__seen_is_bad(seen->seen) ? STELE_LOG_WARNING : STELE_LOG_DEBUG;

    if (stele__log_wanted(level))
        log_record(level, message_of(seen->seen), seen);
    if (is_end && seen->duration_ns >= logging->slow_ns && stele__log_wanted(STELE_LOG_WARNING))
        log_record(STELE_LOG_WARNING, "handler was slow", seen);
}

static void free_logging(void *context)
{
    stele__free(context, sizeof(struct logging));
}

stele_status stele__log_observer_new(struct stele__observers *observers,
                                     const struct stele_log_observer_options *options, stele_error **error)
{
    const unsigned slow_ms = options && options->has_slow ? options->slow_ms : SLOW_MS;
    stele_status status = stele__options_check(options, sizeof(*options), sizeof(*options), "options", error);
    struct logging *logging;

    if (status != STELE_OK)
        return status;
    logging = stele__alloc(sizeof(*logging));
    if (!logging)
        return stele__fail_memory(error);
    logging->table =
        (struct stele_observer){.name = "log", .kinds = options ? options->kinds : 0, .see = see, .free = free_logging};
    logging->slow_ns = slow_ms * NANOS_PER_MS;
    status = stele__observers_add(observers, &logging->table, logging, error);
    if (status != STELE_OK)
        free_logging(logging);
    return status;
}
