/*
 * What is expected of a scenario, and whether it came.
 *
 *     then ... -> copies in the scenario -+-> expected lines -+
 *                                         |                   +-> side by side -> the text of the failure
 *     store, after the command -----------+-> actual lines  --+
 *
 * What can fail: the user's steps, values that no JSON can show, memory.
 */
#include "testkit/render.h"
#include "testkit/scenario.h"

#include <stdio.h>
#include <string.h>

/* --- Saying it ------------------------------------------------------------------------------ */

static const char *said_before(enum expectation expectation)
{
    static const char *const words[] = {"", "events were", "nothing was", "a rejection was", "a failure was"};

    return words[expectation];
}

/* Is this the place to say this of the command? Events may be said again and again. */
static bool may_say(stele_scenario *scenario, int line, enum expectation what)
{
    const enum expectation before = scenario->expectation;

    if (!scenario->when_line)
        stele__kit_problem(scenario, line, "then: no command came; STELE_WHEN is before it");
    else if (before != EXPECT_ACCEPTED && (before != what || what != EXPECT_EVENTS))
        stele__kit_problem(scenario, line, "then: %s expected already, at line %d", said_before(before),
                           scenario->said_line);
    if (stele__kit_is_over(scenario))
        return false;
    if (!scenario->then_line)
        scenario->then_line = line;
    if (before == EXPECT_ACCEPTED)
        scenario->said_line = line;
    scenario->expectation = what;
    return true;
}

/* A copy of a value; NULL, noted, if memory is out. */
static const void *copy_value(stele_scenario *scenario, const struct stele_type *type, const void *value, int line)
{
    void *copy = stele_arena_alloc(scenario->arena, type->size);
    stele_error *error = NULL;
    stele_status status = STELE_NO_MEMORY;

    if (copy)
        status = stele_value_copy(type, value, scenario->arena, copy, &error);
    if (status == STELE_OK)
        return copy;
    stele__kit_problem(scenario, line, "then %s: %s", type->name,
                       error ? stele_error_message(error) : stele_status_text(status));
    stele_error_free(error);
    return NULL;
}

/* An event that breaks a rule of its type can never come. */
static bool is_possible(stele_scenario *scenario, const struct stele_type *type, const void *payload, int line)
{
    const struct stele_slice name = {type->name, strlen(type->name)};
    stele_error *error = NULL;

    if (stele__kit_event_of(scenario->aggregate, name, type->version) == NULL)
        stele__kit_problem(scenario, line, "then %s: the aggregate has no evolve function for it", type->name);
    else if (stele_value_check(type, payload, &error) != STELE_OK)
        stele__kit_problem(scenario, line, "then: %s", stele_error_message(error));
    stele_error_free(error);
    return !stele__kit_is_over(scenario);
}

void stele_scenario_then(stele_scenario *scenario, const struct stele_type *type, const void *payload, int line)
{
    struct expected_event *expected;

    if (stele__kit_is_over(scenario) || !is_possible(scenario, type, payload, line) ||
        !may_say(scenario, line, EXPECT_EVENTS))
        return;
    expected = stele_arena_alloc(scenario->arena, sizeof(*expected));
    if (!expected) {
        stele__kit_problem(scenario, line, "then %s: out of memory", type->name);
        return;
    }
    *expected = (struct expected_event){.type = type, .value = copy_value(scenario, type, payload, line)};
    *scenario->last = expected;
    scenario->last = &expected->next;
}

void stele_scenario_then_nothing(stele_scenario *scenario, int line)
{
    if (!stele__kit_is_over(scenario))
        may_say(scenario, line, EXPECT_NOTHING);
}

void stele_scenario_then_rejected(stele_scenario *scenario, const char *text, int line)
{
    if (stele__kit_is_over(scenario) || !may_say(scenario, line, EXPECT_REJECTION))
        return;
    scenario->rejection = stele_arena_text(scenario->arena, text, strlen(text));
    if (!scenario->rejection)
        stele__kit_problem(scenario, line, "then rejected: out of memory");
}

void stele_scenario_then_fails(stele_scenario *scenario, stele_status status, int line)
{
    if (stele__kit_is_over(scenario))
        return;
    if (status == STELE_OK || status == STELE_REJECTED)
        stele__kit_problem(scenario, line, "then fails: %s is no failure", stele_status_name(status));
    else if (may_say(scenario, line, EXPECT_FAILURE))
        scenario->failure = status;
}

void stele_scenario_then_state(stele_scenario *scenario, const struct stele_type *type, const void *state, int line)
{
    if (stele__kit_is_over(scenario))
        return;
    if (type != scenario->aggregate->state)
        stele__kit_problem(scenario, line, "then %s: the state of the aggregate is %s", type->name,
                           scenario->aggregate->state->name);
    else if (scenario->state)
        stele__kit_problem(scenario, line, "then %s: the state was said already", type->name);
    else
        scenario->state = copy_value(scenario, type, state, line);
    if (!scenario->then_line)
        scenario->then_line = line;
}

/* --- Expected and actual, as lines ----------------------------------------------------------- */

/* What is compared, and what went wrong while it was gathered. */
struct sides {
    struct pair pairs[2];
    struct lines notes;
};

enum { OUTCOME, STATE };

static void note(struct lines *notes, const char *what, stele_status status)
{
    if (status != STELE_OK)
        stele__kit_print(notes, "    %s: %s", what, status == STELE_NO_MEMORY ? "out of memory" : "cannot be shown");
}

static void add_failure(struct lines *lines, stele_status status)
{
    stele__kit_print(lines, "\"failed\": \"%s\"", stele_status_name(status));
}

static void add_expected_events(const stele_scenario *scenario, struct sides *sides)
{
    stele__kit_print(&sides->pairs[OUTCOME].expected, "\"events\": [");
    for (const struct expected_event *event = scenario->events; event; event = event->next)
        note(&sides->notes, "an expected event",
             stele__kit_render_event(&sides->pairs[OUTCOME].expected, event->type, event->value));
    stele__kit_close_list(&sides->pairs[OUTCOME].expected);
}

static void add_expected(const stele_scenario *scenario, struct sides *sides)
{
    struct lines *lines = &sides->pairs[OUTCOME].expected;

    switch (scenario->expectation) {
    case EXPECT_ACCEPTED: stele__kit_print(lines, "\"accepted\": true"); break;
    case EXPECT_EVENTS:
    case EXPECT_NOTHING: add_expected_events(scenario, sides); break;
    case EXPECT_REJECTION:
        note(&sides->notes, "the expected rejection", stele__kit_render_text(lines, "rejected", scenario->rejection));
        break;
    case EXPECT_FAILURE: add_failure(lines, scenario->failure); break;
    }
}

static stele_status add_event(const stele_scenario *scenario, const stele_message *message, struct lines *lines,
                              stele_error **error)
{
    const struct stele_type *type =
        stele__kit_event_of(scenario->aggregate, stele_message_type(message), stele_message_type_version(message));
    void *value;
    stele_status status;

    if (!type) /* upcasters have made something else of it */
        return stele_backend_fail(error, STELE_UNKNOWN_TYPE, "an event is read as a type the aggregate does not have");
    value = stele_arena_alloc(lines->arena, type->size);
    if (!value)
        return stele_backend_fail(error, STELE_NO_MEMORY, "out of memory");
    status = stele_message_read(message, type, lines->arena, value, error);
    return status == STELE_OK ? stele__kit_render_event(lines, type, value) : status;
}

static stele_status read_events(const stele_scenario *scenario, struct lines *lines, stele_error **error)
{
    struct stele_query query = STELE_OPTIONS_INIT(struct stele_query);
    const stele_message *message = NULL;
    stele_cursor *cursor = NULL;
    stele_status status;

    query.stream = STREAM;
    query.after = scenario->given;
    status = stele_read(scenario->store, &query, &cursor, error);
    if (status == STELE_OK)
        status = stele_cursor_next(cursor, &message, error);
    while (status == STELE_OK && message) {
        status = add_event(scenario, message, lines, error);
        if (status == STELE_OK)
            status = stele_cursor_next(cursor, &message, error);
    }
    stele_cursor_close(cursor);
    return status;
}

static void add_actual_events(const stele_scenario *scenario, struct sides *sides)
{
    stele_error *error = NULL;

    stele__kit_print(&sides->pairs[OUTCOME].actual, "\"events\": [");
    if (read_events(scenario, &sides->pairs[OUTCOME].actual, &error) != STELE_OK)
        stele__kit_print(&sides->notes, "    the events: %s", stele_error_message(error));
    stele__kit_close_list(&sides->pairs[OUTCOME].actual);
    stele_error_free(error);
}

static void add_actual(const stele_scenario *scenario, struct sides *sides)
{
    if (scenario->outcome == STELE_REJECTED)
        note(&sides->notes, "the rejection",
             stele__kit_render_text(&sides->pairs[OUTCOME].actual, "rejected", scenario->words));
    else if (scenario->outcome != STELE_OK)
        add_failure(&sides->pairs[OUTCOME].actual, scenario->outcome);
    else if (scenario->expectation == EXPECT_ACCEPTED)
        stele__kit_print(&sides->pairs[OUTCOME].actual, "\"accepted\": true");
    else
        add_actual_events(scenario, sides);
}

static void add_states(const stele_scenario *scenario, struct sides *sides)
{
    const struct stele_type *type = scenario->aggregate->state;
    struct stele_load_options options = STELE_OPTIONS_INIT(struct stele_load_options);
    stele_instance *instance = NULL;
    stele_error *error = NULL;

    options.or_new = true;
    note(&sides->notes, "the expected state",
         stele__kit_render_state(&sides->pairs[STATE].expected, type, scenario->state));
    if (stele_load(scenario->repository, STREAM, &options, &instance, &error) == STELE_OK)
        note(&sides->notes, "the state",
             stele__kit_render_state(&sides->pairs[STATE].actual, type,
                                     stele_instance_state(instance, scenario->aggregate)));
    else
        stele__kit_print(&sides->notes, "    the state: %s", stele_error_message(error));
    stele_error_free(error);
    stele_instance_free(instance);
}

/* --- The verdict ------------------------------------------------------------------------------- */

static void check_complete(stele_scenario *scenario)
{
    if (!stele__kit_is_over(scenario) && !scenario->then_line)
        stele__kit_problem(scenario, scenario->line, "the scenario checks nothing: STELE_THEN is missing");
}

static bool compare(const stele_scenario *scenario, struct lines *out)
{
    const struct lines none = {.arena = scenario->arena};
    struct sides sides = {{{none, none}, {none, none}}, none};
    bool same;

    if (scenario->when_line) {
        add_expected(scenario, &sides);
        add_actual(scenario, &sides);
    }
    if (scenario->state)
        add_states(scenario, &sides);
    same = stele__kit_compare(sides.pairs, 2, out);
    if (!same && scenario->when_line && scenario->outcome != STELE_OK && scenario->outcome != STELE_REJECTED)
        stele__kit_print(&sides.notes, "    the command failed: %s", scenario->words);
    for (size_t i = 0; i < sides.notes.count; i++)
        stele__kit_print(out, "%s", sides.notes.items[i]);
    for (size_t i = 0; i < 2; i++)
        out->failed = out->failed || sides.pairs[i].expected.failed || sides.pairs[i].actual.failed;
    out->failed = out->failed || sides.notes.failed;
    return same && sides.notes.count == 0;
}

bool stele__kit_check(stele_scenario *scenario, char *text, size_t size)
{
    struct lines report = {.arena = scenario->arena};
    bool passed = false;

    check_complete(scenario);
    stele__kit_print(&report, "%s:%d: scenario of %s%s%s", scenario->file, scenario->line,
                     scenario->aggregate->state->name, scenario->command ? ": " : "",
                     scenario->command ? scenario->command->name : "");
    for (size_t i = 0; i < scenario->problems.count; i++)
        stele__kit_print(&report, "%s", scenario->problems.items[i]);
    if (!stele__kit_is_over(scenario))
        passed = compare(scenario, &report);
    if (report.failed || scenario->problems.failed) {
        snprintf(text, size, "%s:%d: scenario of %s: out of memory", scenario->file, scenario->line,
                 scenario->aggregate->state->name);
        return false;
    }
    stele__kit_join(&report, text, size);
    return passed;
}
