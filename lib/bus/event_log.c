/*
 * The event log: the last ends of calls, in a ring.
 *
 *     observation ──► entry (one allocation) ──► ring, the oldest goes
 *     read: references to those that fit ──► visited without the lock ──► references given back
 *
 * Each attempt of a handler ends once, as HANDLED, FAILED or RETRIED, and so is
 * in the log once, whatever it published. An event that no route wanted is in
 * it too, without a route.
 *
 * What can fail: memory. An entry there is none for is counted as dropped.
 */
#include "bus/event_log.h"

#include <pthread.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "bus/describe.h"
#include "message/json.h"
#include "message/value.h"

#define LOG_NAME "event-log"
#define LOG_CAPACITY ((size_t)200)
#define LOG_LIMIT ((size_t)50)

struct entry {
    struct stele_event_log_entry seen;
    const char *correlation;
    size_t references; /* guarded by the log */
    size_t allocated;
    char texts[];
};

struct stele_event_log {
    struct stele__observers *observers;
    size_t capacity;
    pthread_mutex_t mutex; /* guards what follows */
    struct entry **ring;   /* `capacity` places */
    size_t first, count;
};

/* --- Entries ---------------------------------------------------------------------- */

static const char *put(char **place, struct stele_slice text)
{
    char *const copy = *place;

    if (text.size)
        memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    *place += text.size + 1;
    return copy;
}

static struct stele_slice attribute(const stele_message *message,
                                    struct stele_slice (*read)(const stele_message *message))
{
    return message ? read(message) : stele__slice(NULL);
}

static struct entry *entry_new(const struct stele_observation *seen)
{
    enum { TYPE, ROUTE, ID, SOURCE, TRACE, TEXT, CORRELATION, TEXTS };
    const struct stele_slice texts[TEXTS] = {
        [TYPE] = stele__slice(seen->observed),
        [ROUTE] = stele__slice(seen->route),
        [ID] = attribute(seen->message, stele_message_id),
        [SOURCE] = attribute(seen->message, stele_message_source),
        [TRACE] = stele__chain_of(seen->message),
        [TEXT] = stele__slice(seen->text),
        [CORRELATION] = stele__correlation_of(seen->message),
    };
    size_t size = sizeof(struct entry) + TEXTS;
    struct entry *entry;
    char *place;

    for (size_t i = 0; i < TEXTS; i++)
        size += texts[i].size;
    entry = stele__resize(NULL, 0, size);
    if (!entry)
        return NULL;
    place = entry->texts;
    entry->references = 1;
    entry->allocated = size;
    entry->seen = (struct stele_event_log_entry){
        .time = seen->time,
        .type = put(&place, texts[TYPE]),
        .route = put(&place, texts[ROUTE]),
        .id = put(&place, texts[ID]),
        .source = put(&place, texts[SOURCE]),
        .trace = put(&place, texts[TRACE]),
        .text = put(&place, texts[TEXT]),
        .duration_ns = seen->duration_ns,
        .status = seen->status,
        .has_failed = seen->seen == STELE_SEEN_FAILED || seen->seen == STELE_SEEN_RETRIED,
    };
    entry->correlation = put(&place, texts[CORRELATION]);
    return entry;
}

/* Give a reference back; the last one frees. */
static void entry_drop(stele_event_log *log, struct entry *entry)
{
    bool is_last;

    pthread_mutex_lock(&log->mutex);
    is_last = --entry->references == 0;
    pthread_mutex_unlock(&log->mutex);
    if (is_last)
        stele__free(entry, entry->allocated);
}

/* --- The observer ------------------------------------------------------------------ */

static struct entry **at(const stele_event_log *log, size_t index)
{
    return &log->ring[(log->first + index) % log->capacity];
}

static void see_end(void *context, const struct stele_observation *seen)
{
    stele_event_log *log = context;
    struct entry *entry = entry_new(seen), *oldest = NULL;

    if (!entry) {
        stele__observers_lost(log->observers, LOG_NAME);
        return;
    }
    pthread_mutex_lock(&log->mutex);
    if (log->count == log->capacity) {
        oldest = *at(log, 0);
        *at(log, 0) = entry;
        log->first = (log->first + 1) % log->capacity;
    } else {
        *at(log, log->count++) = entry;
    }
    pthread_mutex_unlock(&log->mutex);
    if (oldest)
        entry_drop(log, oldest);
}

static void free_log(void *context)
{
    stele_event_log *log = context;

    for (size_t i = 0; i < log->count; i++)
        stele__free(*at(log, i), (*at(log, i))->allocated);
    pthread_mutex_destroy(&log->mutex);
    stele__free(log->ring, log->capacity * sizeof(struct entry *));
    stele__free(log, sizeof(*log));
}

static stele_event_log *log_new(struct stele__observers *observers, size_t capacity)
{
    stele_event_log *log = stele__alloc(sizeof(*log));
    size_t size;

    if (!log)
        return NULL;
    log->observers = observers;
    log->capacity = capacity ? capacity : LOG_CAPACITY;
    if (stele__size_multiply(log->capacity, sizeof(struct entry *), &size))
        log->ring = stele__alloc(size);
    if (!log->ring || pthread_mutex_init(&log->mutex, NULL) != 0) {
        stele__free(log->ring, log->capacity * sizeof(struct entry *));
        stele__free(log, sizeof(*log));
        return NULL;
    }
    return log;
}

stele_status stele__event_log_new(struct stele__observers *observers, size_t capacity, stele_event_log **out,
                                  stele_error **error)
{
    static const struct stele_observer observer = {.name = LOG_NAME,
                                                   .kinds = STELE_SEEN_HANDLED | STELE_SEEN_FAILED |
                                                            STELE_SEEN_RETRIED | STELE_SEEN_UNROUTED,
                                                   .see = see_end,
                                                   .free = free_log};
    stele_event_log *log = log_new(observers, capacity);
    stele_status status;

    if (!log)
        return stele__fail_memory(error);
    status = stele__observers_add(observers, &observer, log, error);
    if (status == STELE_OK)
        *out = log;
    else
        free_log(log);
    return status;
}

/* --- Reading ---------------------------------------------------------------------- */

/* The entries that a query is about, with a reference each. */
struct selection {
    struct entry **items;
    size_t count;
    size_t room;
};

static bool fits(const struct entry *entry, const struct stele_event_log_query *query)
{
    if (query->type && strcmp(query->type, entry->seen.type) != 0)
        return false;
    return !query->trace || strcmp(query->trace, entry->seen.trace) == 0 ||
           strcmp(query->trace, entry->correlation) == 0;
}

/* Newest first, from the end of the room: what is left stands at its end in the log's order. */
static void choose(stele_event_log *log, const struct stele_event_log_query *query, struct selection *chosen)
{
    pthread_mutex_lock(&log->mutex);
    for (size_t i = log->count; i > 0 && chosen->count < chosen->room; i--) {
        struct entry *const entry = *at(log, i - 1);

        if (!fits(entry, query))
            continue;
        entry->references++;
        chosen->items[chosen->room - ++chosen->count] = entry;
    }
    pthread_mutex_unlock(&log->mutex);
}

static stele_status check(const stele_event_log *log, const struct stele_event_log_query *query, stele_error **error)
{
    if (!log)
        return stele__fail_argument(error, "log", "is NULL");
    return stele__options_check(query, sizeof(*query), sizeof(*query), "query", error);
}

stele_status stele_event_log_read(stele_event_log *log, const struct stele_event_log_query *query,
                                  stele_event_log_visit *visit, void *context, stele_error **error)
{
    static const struct stele_event_log_query everything = STELE_OPTIONS_INIT(struct stele_event_log_query);
    struct selection chosen = {NULL, 0, 0};
    bool goes_on = true;
    const stele_status status = check(log, query, error);

    if (status != STELE_OK)
        return status;
    if (!visit)
        return stele__fail_argument(error, "visit", "is NULL");
    query = query ? query : &everything;
    chosen.room = query->has_limit ? query->limit : LOG_LIMIT;
    if (chosen.room > log->capacity)
        chosen.room = log->capacity;
    if (chosen.room == 0)
        return STELE_OK;
    chosen.items = stele__alloc(chosen.room * sizeof(struct entry *));
    if (!chosen.items)
        return stele__fail_memory(error);
    choose(log, query, &chosen);
    for (size_t i = chosen.room - chosen.count; i < chosen.room; i++) {
        goes_on = goes_on && visit(context, &chosen.items[i]->seen);
        entry_drop(log, chosen.items[i]);
    }
    stele__free(chosen.items, chosen.room * sizeof(struct entry *));
    return STELE_OK;
}

/* --- JSON ------------------------------------------------------------------------- */

#define ENTRY(FIELD, T) \
    FIELD(T, TIME, time) \
    FIELD(T, TEXT, type) \
    FIELD(T, TEXT, route) \
    FIELD(T, TEXT, id) \
    FIELD(T, TEXT, source) \
    FIELD(T, TEXT, trace) \
    FIELD(T, INT64, duration_ns) \
    FIELD(T, BOOL, ok) \
    FIELD(T, TEXT, status) \
    FIELD(T, TEXT, text)
STELE_DECLARE_STRUCT(stele__event_log_line, ENTRY);
STELE_DEFINE_STRUCT(stele__event_log_line, ENTRY);

struct writing {
    struct stele__buffer buffer;
    stele_arena *arena;
    stele_status status;
    stele_error **error;
};

static bool write_entry(void *context, const struct stele_event_log_entry *entry)
{
    struct writing *writing = context;
    const struct stele__event_log_line line = {
        .time = entry->time,
        .type = entry->type,
        .route = stele__clean_text(entry->route, writing->arena),
        .id = entry->id,
        .source = entry->source,
        .trace = entry->trace,
        .duration_ns = entry->duration_ns,
        .ok = !entry->has_failed,
        .status = stele_status_name(entry->status),
        .text = stele__clean_text(entry->text, writing->arena),
    };

    if (!line.route || !line.text) {
        writing->status = stele__fail_memory(writing->error);
        return false;
    }
    if (writing->buffer.size > 1)
        stele__buffer_add_byte(&writing->buffer, ',');
    writing->status = stele__value_to_json(&stele__event_log_line_type, &line, &writing->buffer, writing->error);
    return writing->status == STELE_OK;
}

stele_status stele_event_log_json(stele_event_log *log, const struct stele_event_log_query *query, stele_arena *arena,
                                  struct stele_slice *out, stele_error **error)
{
    struct writing writing = {.arena = arena, .error = error};
    stele_status status;

    if (!arena)
        return stele__fail_argument(error, "arena", "is NULL");
    if (!out)
        return stele__fail_argument(error, "out", "is NULL");
    stele__buffer_init(&writing.buffer);
    stele__buffer_add_byte(&writing.buffer, '[');
    status = stele_event_log_read(log, query, write_entry, &writing, error);
    if (status == STELE_OK)
        status = writing.status;
    stele__buffer_add_byte(&writing.buffer, ']');
    return stele__buffer_to_arena(&writing.buffer, status, "event log", arena, out, error);
}
