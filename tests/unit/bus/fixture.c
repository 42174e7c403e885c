#include "tests/unit/bus/fixture.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

STELE_DEFINE_EVENT(note, "note.taken", 1, NOTE);
STELE_DEFINE_QUERY(ask, "note.ask", 1, NOTE);
STELE_DEFINE_COMMAND(put, "note.put", 1, NOTE);
STELE_DEFINE_REPLY(told, "note.told", 1, NOTE);

stele_runtime *fixture_runtime;
stele_bus *fixture_bus;

enum { TAGS = 256, TAG_SIZE = 16 };
static char tags[TAGS][TAG_SIZE];
static size_t tag_count;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static char record[65536];
static char shown[65536];

static int set_up(void **state, unsigned threads)
{
    stele_error *error = NULL;

    support_setup(state);
    record[0] = '\0';
    if (threads)
        assert_ok(stele_runtime_new(threads, NULL, &fixture_runtime, &error), error);
    else
        assert_ok(stele_runtime_simulated(7, &fixture_runtime, &error), error);
    assert_ok(stele_bus_new(fixture_runtime, NULL, &fixture_bus, &error), error);
    return 0;
}

int fixture_setup(void **state)
{
    return set_up(state, 0);
}

int fixture_setup_threads(void **state)
{
    return set_up(state, 2);
}

int fixture_teardown(void **state)
{
    stele_bus_free(fixture_bus);
    stele_runtime_free(fixture_runtime);
    return support_teardown(state);
}

void fixture_renew(const struct stele_bus_options *options)
{
    stele_error *error = NULL;

    stele_bus_free(fixture_bus);
    fixture_bus = NULL;
    assert_ok(stele_bus_new(fixture_runtime, options, &fixture_bus, &error), error);
}

stele_message *fixture_message(enum stele_message_kind kind, const char *type, const char *text, int64_t number)
{
    struct stele_type named = note_type;
    const struct note payload = {.text = text, .number = number};
    stele_message *message = NULL;
    stele_error *error = NULL;

    named.name = type;
    named.kind = kind;
    assert_ok(stele_message_new(&named, &payload, NULL, &message, &error), error);
    return message;
}

stele_message *fixture_event(const char *type)
{
    return fixture_message(STELE_EVENT, type, "", 1);
}

size_t fixture_publish(const char *type)
{
    stele_message *message = fixture_event(type);
    stele_error *error = NULL;
    size_t reached = 99;

    assert_ok(stele_publish(fixture_bus, message, &reached, &error), error);
    stele_message_unref(message);
    return reached;
}

void fixture_run(void)
{
    stele_runtime_run_until_idle(fixture_runtime);
}

stele_route_id fixture_add(const struct stele_route *route, void *resource)
{
    stele_error *error = NULL;
    stele_route_id id = 0;

    assert_ok(stele_bus_add_route(fixture_bus, route, resource, &id, &error), error);
    return id;
}

void *fixture_tag(const char *tag)
{
    char *place = tags[tag_count++ % TAGS];

    snprintf(place, TAG_SIZE, "%s", tag);
    return place;
}

stele_route_id fixture_add_as(const struct stele_route *route, const char *tag)
{
    return fixture_add(route, fixture_tag(tag));
}

void fixture_write(const char *word)
{
    size_t used;

    pthread_mutex_lock(&mutex);
    used = strlen(record);
    snprintf(record + used, sizeof(record) - used, "%s%s", used ? " " : "", word);
    pthread_mutex_unlock(&mutex);
}

stele_status fixture_record(void *resource, const stele_message *message, stele_context *context)
{
    const void *untyped = NULL;
    const struct note *payload;
    struct stele_type named = note_type;
    stele_arena *arena = NULL;
    struct note read;
    char word[64];

    (void)context;
    (void)untyped;
    named.name = stele_message_type(message).data;
    if (stele_arena_new(&arena, NULL) != STELE_OK)
        return STELE_NO_MEMORY;
    payload = stele_message_read(message, &named, arena, &read, NULL) == STELE_OK ? &read : NULL;
    snprintf(word, sizeof(word), "%s%d", resource ? (const char *)resource : "", payload ? (int)payload->number : 0);
    stele_arena_free(arena);
    fixture_write(word);
    return STELE_OK;
}

stele_status fixture_break(void *resource, const stele_message *message, stele_context *context)
{
    const stele_status status = fixture_record(resource, message, context);

    return status == STELE_OK ? stele_context_fail(context, STELE_FAILED, "broken") : status;
}

const char *fixture_recorded(void)
{
    pthread_mutex_lock(&mutex);
    memcpy(shown, record, sizeof(shown));
    record[0] = '\0';
    pthread_mutex_unlock(&mutex);
    return shown;
}

struct wanted {
    const char *name;
    struct stele_route_stats stats;
    bool is_found;
};

static bool compare(void *context, const struct stele_route_stats *stats)
{
    struct wanted *wanted = context;

    if (strcmp(stats->route->name, wanted->name) != 0)
        return true;
    wanted->stats = *stats;
    wanted->is_found = true;
    return false;
}

struct stele_route_stats fixture_stats(const char *route)
{
    struct wanted wanted = {.name = route};
    stele_error *error = NULL;

    assert_ok(stele_bus_visit_routes(fixture_bus, compare, &wanted, &error), error);
    assert_true(wanted.is_found);
    return wanted.stats;
}
