/*
 * A scenario from its beginning to its command.
 *
 *     given -> message -> store in memory ---+
 *                                            v
 *     when  -> message -> stele_execute: load, decide, append -> outcome, new events in the store
 *
 * A step that makes no sense is noted with its line; what follows it is passed
 * over, and the end tells it. What can fail: the user's steps, memory.
 */
#include "testkit/scenario.h"

#include "testkit/fail.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void stele__kit_problem(stele_scenario *scenario, int line, const char *format, ...)
{
    char text[STELE_TESTKIT_TEXT_MAX / 4];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    stele__kit_print(&scenario->problems, "    line %d: %s", line, text);
}

static void note_error(stele_scenario *scenario, int line, const char *what, stele_error *error)
{
    stele__kit_problem(scenario, line, "%s: %s", what, stele_error_message(error));
    stele_error_free(error);
}

/* --- Beginning and end of the memory -------------------------------------------------------- */

static stele_status open_store(stele_scenario *scenario, stele_error **error)
{
    struct stele_store_options options = STELE_OPTIONS_INIT(struct stele_store_options);
    struct stele_repository_options how = STELE_OPTIONS_INIT(struct stele_repository_options);
    stele_status status = stele_runtime_simulated(1, &scenario->runtime, error);

    if (status != STELE_OK)
        return status;
    options.clock = stele_runtime_clock(scenario->runtime);
    options.upcasters = scenario->options.upcasters;
    options.upcaster_count = scenario->options.upcaster_count;
    how.clock = options.clock;
    status = stele_store_open("memory:", &options, &scenario->store, error);
    if (status == STELE_OK)
        status = stele_repository_new(scenario->store, scenario->aggregate, &how, &scenario->repository, error);
    return status;
}

static void close_all(stele_scenario *scenario)
{
    stele_repository_free(scenario->repository);
    stele_store_close(scenario->store);
    stele_runtime_free(scenario->runtime);
    stele_arena_free(scenario->arena);
}

static stele_status begin(const struct stele_aggregate *aggregate, const struct stele_scenario_options *options,
                          stele_scenario **out, stele_error **error)
{
    const struct stele_scenario_options none = STELE_OPTIONS_INIT(struct stele_scenario_options);
    stele_arena *arena = NULL;
    stele_scenario *scenario = NULL;
    stele_status status = stele_arena_new(&arena, error);

    if (status == STELE_OK && (scenario = stele_arena_alloc(arena, sizeof(*scenario))) == NULL) {
        stele_arena_free(arena);
        status = stele_backend_fail(error, STELE_NO_MEMORY, "out of memory");
    }
    if (status != STELE_OK)
        return status;
    *scenario = (stele_scenario){
        .arena = arena, .aggregate = aggregate, .options = options ? *options : none, .problems = {.arena = arena}};
    scenario->last = &scenario->events;
    status = open_store(scenario, error);
    if (status == STELE_OK)
        *out = scenario;
    else
        close_all(scenario);
    return status;
}

static stele_status check_beginning(const struct stele_aggregate *aggregate,
                                    const struct stele_scenario_options *options, stele_error **error)
{
    if (options && options->size != sizeof(*options))
        return stele_backend_fail(error, STELE_INVALID, "options: begin them with STELE_OPTIONS_INIT");
    return stele_aggregate_check(aggregate, error);
}

stele_scenario *stele_scenario_new(const struct stele_aggregate *aggregate,
                                   const struct stele_scenario_options *options, const char *file, int line)
{
    stele_scenario *scenario = NULL;
    stele_error *error = NULL;
    char text[STELE_TESTKIT_TEXT_MAX / 4];
    stele_status status = check_beginning(aggregate, options, &error);

    if (status == STELE_OK)
        status = begin(aggregate, options, &scenario, &error);
    if (status == STELE_OK) {
        scenario->file = file;
        scenario->line = line;
        return scenario;
    }
    snprintf(text, sizeof(text), "%s:%d: the scenario cannot begin: %s", file, line, stele_error_message(error));
    stele_error_free(error);
    stele__kit_fail(file, line, text);
    return NULL;
}

bool stele_scenario_end(stele_scenario *scenario)
{
    char text[STELE_TESTKIT_TEXT_MAX];
    const char *file;
    int line;
    bool passed;

    if (!scenario)
        return false;
    file = scenario->file;
    line = scenario->line;
    passed = stele__kit_check(scenario, text, sizeof(text));
    close_all(scenario);
    if (!passed)
        stele__kit_fail(file, line, text);
    return passed;
}

/* --- Given --------------------------------------------------------------------------------- */

const struct stele_type *stele__kit_event_of(const struct stele_aggregate *aggregate, struct stele_slice name,
                                             uint32_t version)
{
    for (size_t i = 0; i < aggregate->evolution_count; i++) {
        const struct stele_type *type = aggregate->evolutions[i].event;

        if (type->version == version && strlen(type->name) == name.size &&
            memcmp(type->name, name.data, name.size) == 0)
            return type;
    }
    return NULL;
}

static bool is_known(const stele_scenario *scenario, const char *name, uint32_t version)
{
    const struct stele_slice slice = {name, strlen(name)};

    if (stele__kit_event_of(scenario->aggregate, slice, version))
        return true;
    for (size_t i = 0; i < scenario->options.upcaster_count; i++) {
        const struct stele_upcaster *step = &scenario->options.upcasters[i];

        if (step->from_version == version && strcmp(step->from, name) == 0)
            return true;
    }
    return false;
}

/* Is this the place for something that was before the command, of a known type? */
static bool may_be_given(stele_scenario *scenario, int line, const char *name, uint32_t version)
{
    if (scenario->when_line)
        stele__kit_problem(scenario, line, "given %s: the command came already, at line %d", name, scenario->when_line);
    else if (scenario->then_line)
        stele__kit_problem(scenario, line, "given %s: what is expected was said already, at line %d", name,
                           scenario->then_line);
    else if (!is_known(scenario, name, version))
        stele__kit_problem(scenario, line,
                           "given %s: the aggregate has no evolve function for version %" PRIu32
                           " of it, and no upcaster reads it",
                           name, version);
    return !stele__kit_is_over(scenario);
}

/* The envelope of what is sent: in virtual time, and the same in every run. */
static struct stele_message_options envelope(const stele_scenario *scenario, const char *id)
{
    const struct stele_clock *clock = stele_runtime_clock(scenario->runtime);
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);

    options.id = id;
    options.has_time = true;
    options.time = clock->now(clock->context);
    return options;
}

static stele_status store_given(stele_scenario *scenario, const struct stele_type *type, const void *payload,
                                const struct stele_raw_message *raw, stele_error **error)
{
    char id[32];
    struct stele_message_options options;
    stele_message *event = NULL;
    stele_status status;

    snprintf(id, sizeof(id), "given-%" PRIu64, scenario->given + 1);
    options = envelope(scenario, id);
    status = raw ? stele_message_new_raw(raw, &options, &event, error)
                 : stele_message_new(type, payload, &options, &event, error);
    if (status == STELE_OK)
        status = stele_append(scenario->store, STREAM, stele_expect_any(), event, NULL, error);
    if (status == STELE_OK)
        scenario->given++;
    stele_message_unref(event);
    return status;
}

void stele_scenario_given(stele_scenario *scenario, const struct stele_type *type, const void *payload, int line)
{
    stele_error *error = NULL;

    if (stele__kit_is_over(scenario))
        return;
    if (type->kind != STELE_EVENT)
        stele__kit_problem(scenario, line, "given %s: that is no event", type->name);
    else if (may_be_given(scenario, line, type->name, type->version) &&
             store_given(scenario, type, payload, NULL, &error) != STELE_OK)
        note_error(scenario, line, "given", error);
}

void stele_scenario_given_json(stele_scenario *scenario, const char *type_name, uint32_t version, const char *json,
                               int line)
{
    struct stele_raw_message raw = {
        .kind = STELE_EVENT, .type = type_name, .type_version = version, .format = STELE_PAYLOAD_MSGPACK};
    stele_error *error = NULL;
    stele_status status;

    if (stele__kit_is_over(scenario) || !may_be_given(scenario, line, type_name, version))
        return;
    status = stele_msgpack_from_json((struct stele_slice){json, strlen(json)}, scenario->arena, &raw.payload, &error);
    if (status == STELE_OK)
        status = store_given(scenario, NULL, NULL, &raw, &error);
    if (status != STELE_OK)
        note_error(scenario, line, "given", error);
}

void stele_scenario_pass(stele_scenario *scenario, int64_t nanoseconds, int line)
{
    if (stele__kit_is_over(scenario))
        return;
    if (nanoseconds < 0)
        stele__kit_problem(scenario, line, "pass: time does not go back");
    else if (scenario->when_line)
        stele__kit_problem(scenario, line, "pass: the command came already, at line %d", scenario->when_line);
    else
        stele_runtime_advance(scenario->runtime, nanoseconds);
}

/* --- When ---------------------------------------------------------------------------------- */

static bool has_decider(const struct stele_aggregate *aggregate, const struct stele_type *type)
{
    for (size_t i = 0; i < aggregate->decider_count; i++) {
        const struct stele_type *command = aggregate->deciders[i].command;

        if (command->version == type->version && strcmp(command->name, type->name) == 0)
            return true;
    }
    return false;
}

static bool may_come(stele_scenario *scenario, int line, const struct stele_type *type)
{
    if (scenario->when_line)
        stele__kit_problem(scenario, line, "when %s: there is a command already, at line %d", type->name,
                           scenario->when_line);
    else if (scenario->then_line)
        stele__kit_problem(scenario, line, "when %s: what is expected was said before it, at line %d", type->name,
                           scenario->then_line);
    else if (type->kind != STELE_COMMAND)
        stele__kit_problem(scenario, line, "when %s: that is no command", type->name);
    else if (!has_decider(scenario->aggregate, type))
        stele__kit_problem(scenario, line, "when %s: the aggregate has no decide function for it", type->name);
    return !stele__kit_is_over(scenario);
}

static stele_status execute(stele_scenario *scenario, const struct stele_type *type, const void *payload,
                            stele_error **error)
{
    const struct stele_message_options options = envelope(scenario, "command");
    stele_message *command = NULL;
    stele_status status = stele_message_new(type, payload, &options, &command, error);

    if (status == STELE_OK)
        status = stele_execute(scenario->repository, STREAM, command, NULL, error);
    stele_message_unref(command);
    return status;
}

void stele_scenario_when(stele_scenario *scenario, const struct stele_type *type, const void *payload, int line)
{
    stele_error *error = NULL;
    const char *words;

    if (stele__kit_is_over(scenario) || !may_come(scenario, line, type))
        return;
    scenario->when_line = line;
    scenario->command = type;
    scenario->outcome = execute(scenario, type, payload, &error);
    words = stele_error_message(error);
    scenario->words = stele_arena_text(scenario->arena, words, strlen(words));
    if (scenario->outcome == STELE_NO_MEMORY || !scenario->words)
        stele__kit_problem(scenario, line, "when %s: out of memory", type->name);
    stele_error_free(error);
}
