/* Making plans from seeds and running their steps (see plan.h). */
#include "tests/crash/plan.h"

#include "store/store.h"
#include "tests/support/support.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAYLOAD_MAX = 9000, DEFAULT_STEPS = 48 };

/* --- Findings ------------------------------------------------------------------------ */

const char *finding_name(enum finding finding)
{
    static const char *const names[FINDINGS] = {"nothing",  "lost",  "phantom", "torn",
                                                "disorder", "bytes", "answer",  "refused"};
    return names[finding];
}

bool found(struct verdict *verdict, enum finding finding, const char *format, ...)
{
    va_list arguments;

    if (verdict->finding != FINDING_NONE)
        return false;
    verdict->finding = finding;
    va_start(arguments, format);
    vsnprintf(verdict->text, sizeof verdict->text, format, arguments);
    va_end(arguments);
    return false;
}

/* --- Messages -------------------------------------------------------------------------- */

const char *plan_stream(size_t stream)
{
    static const char *const names[PLAN_STREAMS] = {"account-1", "account-2", "order-1", "order-2", "device-1"};
    return names[stream];
}

/* Every seventh step has ids that are no UUIDs. */
static void make_id(const struct plan *plan, size_t step, size_t event, char text[64])
{
    if (step % 7 == 3)
        snprintf(text, 64, "event %zu.%zu", step, event);
    else
        snprintf(text, 64, "%08zx-%04zx-8000-8000-%012" PRIx64, step, event, plan->seed & 0xffffffffffff);
}

bool plan_locate(const struct plan *plan, const stele_message *message, size_t *step, size_t *event)
{
    const struct stele_slice id = stele_message_id(message);
    char text[64] = "";
    char again[64];

    if (id.size >= sizeof text)
        return false;
    memcpy(text, id.data, id.size);
    if (sscanf(text, "event %zu.%zu", step, event) != 2 && sscanf(text, "%8zx-%4zx-", step, event) != 2)
        return false;
    if (*step >= plan->count || *event >= plan->steps[*step].event_count)
        return false;
    make_id(plan, *step, *event, again);
    return strcmp(text, again) == 0;
}

const char *plan_rejection(size_t step)
{
    static const char *const texts[] = {"not enough money", "", "the account is closed: \xc3\xa4rgerlich"};
    return texts[step % 3];
}

static stele_message *make_command(const struct plan *plan, size_t step, const char *payload)
{
    char id[64];
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
    const struct stele_raw_message raw = {.kind = STELE_COMMAND,
                                          .type = "crash.command",
                                          .format = STELE_PAYLOAD_BYTES,
                                          .payload = {payload, strlen(payload)}};
    stele_message *message = NULL;
    stele_error *error = NULL;

    if (step % 7 == 3)
        snprintf(id, sizeof id, "command %zu", step);
    else
        snprintf(id, sizeof id, "%08zx-ffff-8000-8000-%012" PRIx64, step, plan->seed & 0xffffffffffff);
    options.id = id;
    options.has_time = true;
    assert_ok(stele_message_new_raw(&raw, &options, &message, &error), error);
    return message;
}

static size_t payload_size(struct support_random *random, bool small)
{
    if (small)
        return (size_t)support_random_below(random, 64);
    switch (support_random_below(random, 16)) {
    case 0: return 0;
    case 1: return 3900 + (size_t)support_random_below(random, 300); /* about a page */
    case 2: return (size_t)support_random_below(random, PAYLOAD_MAX);
    default: return (size_t)support_random_below(random, 300);
    }
}

static stele_message *make_message(const struct plan *plan, struct support_random *random, size_t step, size_t event,
                                   bool small)
{
    static const char *const types[] = {"crash.event.made", "crash.event.changed", "crash.order.placed"};
    char payload[PAYLOAD_MAX];
    char id[64];
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
    struct stele_raw_message raw = {
        .kind = STELE_EVENT,
        .type = types[support_random_below(random, 3)],
        .type_version = 1 + (uint32_t)support_random_below(random, 2),
        .format = STELE_PAYLOAD_BYTES,
        .payload = {payload, payload_size(random, small)},
    };
    stele_message *message = NULL;
    stele_error *error = NULL;

    support_random_bytes(random, payload, raw.payload.size);
    make_id(plan, step, event, id);
    options.id = id;
    options.datacontenttype = "application/octet-stream";
    options.has_time = true;
    options.time = (int64_t)support_random_below(random, INT64_MAX);
    if (support_random_below(random, 2) == 0)
        options.correlationid = "correlation 4711";
    assert_ok(stele_message_new_raw(&raw, &options, &message, &error), error);
    return message;
}

/* --- Plans --------------------------------------------------------------------------------- */

static size_t event_count(struct support_random *random, enum step_kind kind)
{
    if (kind == STEP_REPEAT || kind == STEP_EMPTY || kind == STEP_REFUSE || kind == STEP_IDLE)
        return 0;
    if (kind != STEP_APPEND || support_random_below(random, 2) == 0)
        return 1;
    return 1 + (size_t)support_random_below(random, PLAN_EVENTS_MAX - 1);
}

static void choose_kind(struct step *step, struct support_random *random)
{
    static const enum step_expect expects[] = {EXPECT_NOTHING,  EXPECT_NOTHING, EXPECT_EXACTLY,    EXPECT_EXACTLY,
                                               EXPECT_EXACTLY,  EXPECT_STALE,   EXPECT_FUTURE,     EXPECT_OTHER,
                                               EXPECT_PRESENCE, EXPECT_OTHER,   EXPECT_OTHER_STALE};

    step->expect = expects[support_random_below(random, sizeof expects / sizeof expects[0])];
    switch (support_random_below(random, 18)) {
    case 0: step->kind = STEP_REPEAT; break;
    case 1: step->kind = STEP_REUSE; break;
    case 2: step->kind = STEP_EMPTY; break;
    case 3: step->kind = STEP_REFUSE; break;
    case 4: step->kind = STEP_COMMAND_AGAIN; break;
    case 5: step->kind = STEP_COMMAND_REUSE; break;
    case 6: step->kind = STEP_IDLE; break;
    default: step->kind = STEP_APPEND; break;
    }
}

static void choose_command(const struct plan *plan, struct step *step, struct support_random *random, size_t number)
{
    if (step->kind != STEP_REFUSE && (step->kind != STEP_APPEND || support_random_below(random, 3) != 0))
        return;
    step->command = make_command(plan, number, "do this");
    step->other = make_command(plan, number, "do that");
}

static void make_step(struct plan *plan, struct support_random *random, size_t number,
                      const struct plan_options *options)
{
    struct step *step = &plan->steps[number];
    const size_t stream = (size_t)support_random_below(random, PLAN_STREAMS);
    const bool several = support_random_below(random, 3) == 0;

    if (!options->only_appends) {
        choose_kind(step, random);
        choose_command(plan, step, random, number);
    }
    step->event_count = event_count(random, step->kind);
    for (size_t i = 0; i < step->event_count; i++) {
        step->streams[i] = several ? (size_t)support_random_below(random, PLAN_STREAMS) : stream;
        step->events[i] = make_message(plan, random, number, i, options->small);
    }
    if (step->event_count == 0)
        step->streams[0] = stream;
}

struct plan *plan_new(uint64_t seed, const struct plan_options *options)
{
    struct plan *plan = calloc(1, sizeof *plan);
    struct support_random random = {.state = seed};

    assert_non_null(plan);
    plan->seed = seed;
    plan->count = options->steps == 0 ? DEFAULT_STEPS : options->steps;
    assert_in_range(plan->count, 1, PLAN_STEPS_MAX);
    for (size_t i = 0; i < plan->count; i++)
        make_step(plan, &random, i, options);
    return plan;
}

void plan_free(struct plan *plan)
{
    if (plan == NULL)
        return;
    for (size_t i = 0; i < plan->count; i++) {
        for (size_t event = 0; event < plan->steps[i].event_count; event++)
            stele_message_unref(plan->steps[i].events[event]);
        stele_message_unref(plan->steps[i].command);
        stele_message_unref(plan->steps[i].other);
    }
    free(plan);
}

/* --- Running a step --------------------------------------------------------------------------- */

/* A step made ready: what is given to the store, and what it must answer. */
struct ready {
    struct stele_write writes[PLAN_EVENTS_MAX + 1];
    size_t write_count;
    struct stele_expectation expectations[PLAN_STREAMS];
    size_t expectation_count;
    const stele_message *command;
    const char *rejection;
    stele_status answer;
    size_t original; /* of what comes again */
};

static struct stele_expected expect_of(enum step_expect expect, uint64_t version)
{
    switch (expect) {
    case EXPECT_EXACTLY:
    case EXPECT_OTHER: return stele_expect_version(version);
    case EXPECT_PRESENCE: return version == 0 ? stele_expect_no_stream() : stele_expect_exists();
    case EXPECT_STALE:
    case EXPECT_OTHER_STALE: return version == 0 ? stele_expect_exists() : stele_expect_version(version - 1);
    case EXPECT_FUTURE: return stele_expect_version(version + 1);
    case EXPECT_NOTHING: break;
    }
    return stele_expect_any();
}

static bool is_wrong(enum step_expect expect)
{
    return expect == EXPECT_STALE || expect == EXPECT_FUTURE || expect == EXPECT_OTHER_STALE;
}

static void expect_stream(struct journal *journal, struct entry *entry, size_t stream, enum step_expect expect)
{
    if (entry->has_expected[stream])
        return;
    entry->has_expected[stream] = true;
    entry->expected[stream] = expect_of(expect, journal->versions[stream]);
}

/* The first stream of the step; for the "other" ones also the stream after it. */
static void choose_expectations(struct journal *journal, const struct step *step, struct entry *entry)
{
    const size_t stream = step->streams[0];
    const bool other = step->expect == EXPECT_OTHER || step->expect == EXPECT_OTHER_STALE;

    memset(entry->has_expected, 0, sizeof entry->has_expected);
    if (step->expect == EXPECT_NOTHING)
        return;
    expect_stream(journal, entry, stream, other ? EXPECT_EXACTLY : step->expect);
    if (other)
        expect_stream(journal, entry, (stream + 1) % PLAN_STREAMS, step->expect);
}

/* The newest acknowledged append, or outcome of a command, before a step; false if there is none. */
static bool find_original(const struct journal *journal, size_t step, bool of_command, size_t *out)
{
    for (size_t i = step; i-- > 0;) {
        const struct step *earlier = &journal->plan->steps[i];

        if (journal->entries[i].outcome == ACKNOWLEDGED &&
            (of_command ? earlier->command != NULL : earlier->kind == STEP_APPEND)) {
            *out = i;
            return true;
        }
    }
    return false;
}

static void add_writes(struct ready *ready, const struct step *step)
{
    for (size_t i = 0; i < step->event_count; i++) {
        ready->writes[ready->write_count++] =
            (struct stele_write){.stream = plan_stream(step->streams[i]), .event = step->events[i]};
    }
}

static void add_expectations(struct ready *ready, const struct entry *entry)
{
    for (size_t i = 0; i < PLAN_STREAMS; i++)
        if (entry->has_expected[i])
            ready->expectations[ready->expectation_count++] =
                (struct stele_expectation){.stream = plan_stream(i), .expected = entry->expected[i]};
}

/* What an earlier step did, done once more, and what must come of it whatever is expected. */
static void add_original(struct ready *ready, enum step_kind kind, const struct step *original)
{
    switch (kind) {
    case STEP_REPEAT:
        add_writes(ready, original);
        ready->answer = STELE_OK;
        break;
    case STEP_REUSE:
        add_writes(ready, &(struct step){
                              .event_count = 1, .streams = {original->streams[0]}, .events = {original->events[0]}});
        ready->answer = STELE_ID_REUSE;
        break;
    case STEP_COMMAND_AGAIN:
        ready->command = original->command;
        ready->answer = original->kind == STEP_REFUSE ? STELE_REJECTED : STELE_OK;
        break;
    case STEP_COMMAND_REUSE:
        ready->command = original->other;
        ready->answer = STELE_ID_REUSE;
        break;
    case STEP_APPEND:
    case STEP_EMPTY:
    case STEP_REFUSE:
    case STEP_IDLE: break;
    }
}

/* False if the step has nothing to work on. */
static bool make_ready(struct journal *journal, size_t number, struct ready *ready)
{
    const struct step *step = &journal->plan->steps[number];
    struct entry *entry = &journal->entries[number];
    const bool again = entry->outcome == UNKNOWN;
    const bool of_command = step->kind == STEP_COMMAND_AGAIN || step->kind == STEP_COMMAND_REUSE;
    const bool needs_original = step->kind == STEP_REPEAT || step->kind == STEP_REUSE || of_command;

    memset(ready, 0, sizeof *ready);
    if (step->kind == STEP_IDLE || (needs_original && !find_original(journal, number, of_command, &ready->original)))
        return false;
    if (!again)
        choose_expectations(journal, step, entry);
    ready->command = step->command;
    ready->answer = is_wrong(step->expect) ? STELE_CONFLICT : STELE_OK;
    if (step->kind == STEP_REFUSE)
        ready->rejection = plan_rejection(number);
    if (needs_original)
        add_original(ready, step->kind, &journal->plan->steps[ready->original]);
    add_writes(ready, step);
    add_expectations(ready, entry);
    return true;
}

static bool is_fault(stele_status status)
{
    return status == STELE_IO || status == STELE_UNKNOWN || status == STELE_FULL || status == STELE_BUSY ||
           status == STELE_NO_MEMORY;
}

/* The model takes over what was acknowledged. */
static void acknowledge(struct journal *journal, size_t number, const struct stele_appended *result)
{
    const struct step *step = &journal->plan->steps[number];
    struct entry *entry = &journal->entries[number];

    entry->outcome = ACKNOWLEDGED;
    entry->first_position = result->first_position;
    entry->last_position = result->last_position;
    entry->version = result->version;
    if (step->event_count == 0 || result->repeated || result->replayed)
        return;
    journal->head = result->last_position;
    for (size_t i = 0; i < step->event_count; i++)
        journal->versions[step->streams[i]]++;
}

static bool check_result(struct journal *journal, size_t number, const struct ready *ready,
                         const struct stele_appended *result, bool again, struct verdict *verdict)
{
    const struct step *step = &journal->plan->steps[number];
    const struct entry *original = &journal->entries[ready->original];
    const bool stored = result->repeated || result->replayed;

    if (step->kind == STEP_COMMAND_AGAIN) {
        if (!result->replayed || result->first_position != original->first_position ||
            result->last_position != original->last_position || result->version != original->version)
            return found(verdict, FINDING_ANSWER, "step %zu sends the command of step %zu and got another outcome",
                         number, ready->original);
        return true;
    }
    if (step->kind == STEP_REPEAT) {
        if (!result->repeated || result->first_position != original->first_position ||
            result->last_position != original->last_position)
            return found(verdict, FINDING_ANSWER, "step %zu repeats step %zu and got other positions", number,
                         ready->original);
        return true;
    }
    if (step->event_count == 0)
        return true;
    if (stored && !again)
        return found(verdict, FINDING_ANSWER, "step %zu is told to be a repeat and is none", number);
    if (result->repeated && step->command != NULL)
        return found(verdict, FINDING_ANSWER, "step %zu is stored without its command", number);
    if (!stored && result->first_position <= journal->head)
        return found(verdict, FINDING_DISORDER, "step %zu got position %" PRIu64 " behind the head %" PRIu64, number,
                     result->first_position, journal->head);
    if (!stored) {
        uint64_t version = journal->versions[step->streams[step->event_count - 1]];
        for (size_t i = 0; i < step->event_count; i++)
            version += step->streams[i] == step->streams[step->event_count - 1];
        if (result->version != version)
            return found(verdict, FINDING_DISORDER, "step %zu got version %" PRIu64 " instead of %" PRIu64, number,
                         result->version, version);
    }
    return true;
}

/* A refused command that comes again is told why it was refused. */
static bool check_rejection(size_t number, size_t original, const stele_error *error, struct verdict *verdict)
{
    if (strcmp(stele_error_message(error), plan_rejection(original)) == 0)
        return true;
    return found(verdict, FINDING_ANSWER, "step %zu: step %zu was refused for \"%s\", and not for \"%s\"", number,
                 original, plan_rejection(original), stele_error_message(error));
}

bool journal_run(struct journal *journal, stele_store *store, size_t number, bool faulty, struct verdict *verdict)
{
    struct entry *entry = &journal->entries[number];
    const bool again = entry->outcome == UNKNOWN;
    struct stele_appended result = {0};
    struct ready ready;
    stele_error *error = NULL;
    bool sound = true;

    if (journal->plan->steps[number].kind == STEP_IDLE)
        store->ops->idle(store->backend);
    if (!make_ready(journal, number, &ready)) {
        entry->outcome = REJECTED;
        return true;
    }
    const struct stele_batch batch = {.writes = ready.writes,
                                      .write_count = ready.write_count,
                                      .expectations = ready.expectations,
                                      .expectation_count = ready.expectation_count,
                                      .command = ready.command,
                                      .rejection = ready.rejection};
    entry->status = stele_append_batch(store, &batch, &result, &error);
    if (entry->status == STELE_OK && ready.answer == STELE_OK) {
        sound = check_result(journal, number, &ready, &result, again, verdict);
        acknowledge(journal, number, &result);
    } else if (faulty && is_fault(entry->status)) {
        if (entry->status == STELE_UNKNOWN)
            entry->outcome = UNKNOWN;
        else if (!again)
            entry->outcome = REJECTED;
    } else if (again && ready.rejection != NULL && entry->status == STELE_REJECTED) {
        sound = check_rejection(number, number, error, verdict);
        entry->outcome = ACKNOWLEDGED;
    } else if (entry->status == ready.answer) {
        if (entry->status == STELE_REJECTED)
            sound = check_rejection(number, ready.original, error, verdict);
        entry->outcome = REJECTED;
    } else {
        sound = found(verdict, FINDING_ANSWER, "step %zu: %s instead of %s: %s", number,
                      stele_status_name(entry->status), stele_status_name(ready.answer), stele_error_message(error));
    }
    stele_error_free(error);
    return sound;
}

void journal_cut(struct journal *journal, size_t operations)
{
    for (size_t i = 0; i < journal->plan->count; i++) {
        struct entry *entry = &journal->entries[i];
        if (entry->outcome == NOT_TRIED || entry->end <= operations)
            continue;
        if (entry->begin > operations)
            entry->outcome = NOT_TRIED;
        else if (entry->outcome == ACKNOWLEDGED &&
                 (journal->plan->steps[i].kind == STEP_APPEND || journal->plan->steps[i].kind == STEP_REFUSE))
            entry->outcome = UNKNOWN;
    }
}
