/* Checking a store against a journal (see check.h). */
#include "tests/crash/check.h"

#include "sqlite/sqlite.h"
#include "store/store.h"
#include "tests/support/support.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NEXT_STEPS = 3 };

size_t check_wanted(const char *variable, size_t otherwise)
{
    const char *text = getenv(variable);

    if (text != NULL)
        return (size_t)strtoull(text, NULL, 10);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return (otherwise + 4) / 5;
#else
    return otherwise;
#endif
}

/* --- Opening --------------------------------------------------------------------------- */

void check_set_checkpoint(stele_store *store, int pages)
{
    struct sqlite_store *backend = stele__sqlite_store(store->backend);

    backend->checkpoint_pages = pages;
    backend->writer.checkpoint_at = pages;
}

void check_checkpoint_next(stele_store *store)
{
    stele__sqlite_store(store->backend)->writer.checkpoint_at = 1;
}

stele_store *check_open(const struct opening *opening, struct verdict *verdict)
{
    struct stele_store_options options = STELE_OPTIONS_INIT(struct stele_store_options);
    stele_store *store = NULL;
    stele_error *error = NULL;
    char url[128];

    options.clock = opening->real_clock ? NULL : crash_disk_clock(opening->disk);
    /* A workload that is to be the same each time says itself when it is idle. */
    snprintf(url, sizeof url, "sqlite:/ledger?vfs=%s&sync=%s&busy=%d&idle=%d", opening->vfs, opening->sync,
             opening->real_clock ? 60000 : 100, opening->real_clock ? 1 : 0);
    if (stele_store_open(url, &options, &store, &error) != STELE_OK) {
        found(verdict, FINDING_REFUSED, "the store does not open: %s", stele_error_message(error));
        stele_error_free(error);
        return NULL;
    }
    if (opening->checkpoint_pages != 0)
        check_set_checkpoint(store, opening->checkpoint_pages);
    return store;
}

/* --- The log ----------------------------------------------------------------------------- */

/* A walk over the log. */
struct walk {
    struct journal *journal;
    bool *present;
    uint64_t position;
    bool in_batch;
    size_t step, event; /* the event read last */
    struct verdict *verdict;
};

static bool same(struct stele_slice left, struct stele_slice right)
{
    return (left.data == NULL) == (right.data == NULL) && left.size == right.size &&
           (left.size == 0 || memcmp(left.data, right.data, left.size) == 0);
}

static bool same_message(const stele_message *left, const stele_message *right)
{
    return same(stele_message_id(left), stele_message_id(right)) &&
           same(stele_message_type(left), stele_message_type(right)) &&
           stele_message_type_version(left) == stele_message_type_version(right) &&
           same(stele_message_source(left), stele_message_source(right)) &&
           same(stele_message_correlationid(left), stele_message_correlationid(right)) &&
           same(stele_message_datacontenttype(left), stele_message_datacontenttype(right)) &&
           stele_message_time(left) == stele_message_time(right) &&
           stele_message_format(left) == stele_message_format(right) &&
           same(stele_message_payload(left), stele_message_payload(right));
}

static bool is_complete(const struct walk *walk)
{
    return !walk->in_batch || walk->event + 1 == walk->journal->plan->steps[walk->step].event_count;
}

/* The event is the next of its batch, and batches do not mix. */
static bool check_batch(struct walk *walk, size_t step, size_t event)
{
    const bool goes_on = walk->in_batch && !is_complete(walk);

    if (goes_on && (step != walk->step || event != walk->event + 1))
        return found(walk->verdict, FINDING_TORN, "event %zu.%zu follows %zu.%zu, whose batch is not complete", step,
                     event, walk->step, walk->event);
    if (!goes_on && event != 0)
        return found(walk->verdict, FINDING_TORN, "event %zu.%zu is there without those before it", step, event);
    if (!goes_on && walk->present[step])
        return found(walk->verdict, FINDING_PHANTOM, "step %zu is stored twice", step);
    walk->in_batch = true;
    walk->step = step;
    walk->event = event;
    walk->present[step] = true;
    return true;
}

static bool check_place(struct walk *walk, const stele_message *message)
{
    const struct step *step = &walk->journal->plan->steps[walk->step];
    const struct entry *entry = &walk->journal->entries[walk->step];
    const uint64_t position = stele_message_position(message);
    uint64_t *version = &walk->journal->versions[step->streams[walk->event]];
    const struct stele_slice stream = stele_message_stream(message);
    const char *name = plan_stream(step->streams[walk->event]);

    if (position <= walk->position)
        return found(walk->verdict, FINDING_DISORDER, "position %" PRIu64 " follows %" PRIu64, position,
                     walk->position);
    walk->position = position;
    if (stream.size != strlen(name) || memcmp(stream.data, name, stream.size) != 0)
        return found(walk->verdict, FINDING_BYTES, "event %zu.%zu is in another stream", walk->step, walk->event);
    if (stele_message_version(message) != ++*version)
        return found(walk->verdict, FINDING_DISORDER, "%s: version %" PRIu64 " instead of %" PRIu64, name,
                     stele_message_version(message), *version);
    if (entry->outcome != ACKNOWLEDGED)
        return true;
    if ((walk->event == 0 && position != entry->first_position) ||
        (walk->event + 1 == step->event_count && position != entry->last_position))
        return found(walk->verdict, FINDING_DISORDER, "event %zu.%zu moved to position %" PRIu64, walk->step,
                     walk->event, position);
    return true;
}

static bool check_event(struct walk *walk, const stele_message *message)
{
    const struct plan *plan = walk->journal->plan;
    size_t step = 0;
    size_t event = 0;

    if (!plan_locate(plan, message, &step, &event))
        return found(walk->verdict, FINDING_PHANTOM, "nobody appended event %.*s",
                     STELE_SLICE(stele_message_id(message)));
    const enum outcome outcome = walk->journal->entries[step].outcome;
    if (outcome == REJECTED || outcome == NOT_TRIED)
        return found(walk->verdict, FINDING_PHANTOM, "event %zu.%zu is there although it was %s (%s)", step, event,
                     outcome == REJECTED ? "rejected" : "never appended",
                     stele_status_name(walk->journal->entries[step].status));
    if (!check_batch(walk, step, event))
        return false;
    if (!same_message(message, plan->steps[step].events[event]))
        return found(walk->verdict, FINDING_BYTES, "event %zu.%zu is not as it was appended", step, event);
    return check_place(walk, message);
}

static bool check_end(const struct walk *walk, uint64_t head)
{
    const struct journal *journal = walk->journal;

    if (!is_complete(walk))
        return found(walk->verdict, FINDING_TORN, "the batch of step %zu ends with its event %zu", walk->step,
                     walk->event);
    for (size_t i = 0; i < journal->plan->count; i++)
        if (journal->plan->steps[i].kind == STEP_APPEND && journal->plan->steps[i].event_count > 0 &&
            journal->entries[i].outcome == ACKNOWLEDGED && !walk->present[i])
            return found(walk->verdict, FINDING_LOST,
                         "step %zu was acknowledged at position %" PRIu64 " and is not there; the log ends at %" PRIu64,
                         i, journal->entries[i].first_position, walk->position);
    if (head != walk->position)
        return found(walk->verdict, FINDING_DISORDER, "the head is %" PRIu64 ", the last event is at %" PRIu64, head,
                     walk->position);
    return true;
}

static bool fail_read(struct verdict *verdict, stele_error *error)
{
    found(verdict, FINDING_REFUSED, "the log cannot be read: %s", stele_error_message(error));
    stele_error_free(error);
    return false;
}

/* --- The ledger ---------------------------------------------------------------------------- */

static bool same_outcome(const struct step *step, size_t number, const struct entry *entry,
                         const struct stele_outcome *outcome)
{
    if (step->kind == STEP_REFUSE)
        return outcome->rejected && strcmp(outcome->rejection.data, plan_rejection(number)) == 0;
    return !outcome->rejected && (entry->outcome != ACKNOWLEDGED || (outcome->first_position == entry->first_position &&
                                                                     outcome->last_position == entry->last_position &&
                                                                     outcome->version == entry->version));
}

/* What the store remembers of a step's command is what became of the step. */
static bool check_command(const struct journal *journal, stele_store *store, size_t number, bool present,
                          stele_arena *arena, struct verdict *verdict)
{
    const struct step *step = &journal->plan->steps[number];
    const struct entry *entry = &journal->entries[number];
    struct stele_outcome outcome;
    stele_error *error = NULL;
    const stele_status status =
        stele_find_outcome(store, stele_message_id(step->command).data, arena, &outcome, &error);
    const bool unknown_refusal = entry->outcome == UNKNOWN && step->kind == STEP_REFUSE;
    const bool wanted =
        entry->outcome == ACKNOWLEDGED || (entry->outcome == UNKNOWN && (present || step->event_count == 0));

    if (status == STELE_OK && !wanted)
        return found(verdict, FINDING_PHANTOM, "the command of step %zu is remembered", number);
    if (status == STELE_OK && !same_outcome(step, number, entry, &outcome))
        return found(verdict, FINDING_BYTES, "the command of step %zu is remembered with another outcome", number);
    if (status == STELE_OK || (status == STELE_NOT_FOUND && (!wanted || unknown_refusal))) {
        stele_error_free(error);
        return true;
    }
    found(verdict, status == STELE_NOT_FOUND ? FINDING_LOST : FINDING_REFUSED, "the command of step %zu: %s", number,
          stele_error_message(error));
    stele_error_free(error);
    return false;
}

static bool check_ledger(const struct journal *journal, stele_store *store, const bool *present,
                         struct verdict *verdict)
{
    stele_arena *arena = NULL;
    stele_error *error = NULL;
    bool sound = true;

    assert_ok(stele_arena_new(&arena, &error), error);
    for (size_t i = 0; i < journal->plan->count && sound; i++)
        if (journal->plan->steps[i].command != NULL)
            sound = check_command(journal, store, i, present[i], arena, verdict);
    stele_arena_free(arena);
    return sound;
}

/* --- Both ------------------------------------------------------------------------------------- */

bool check_log(struct journal *journal, stele_store *store, bool *present, struct verdict *verdict)
{
    bool there[PLAN_STEPS_MAX] = {false};
    struct walk walk = {.journal = journal, .present = there, .verdict = verdict};
    const stele_message *message = NULL;
    stele_cursor *cursor = NULL;
    stele_error *error = NULL;
    bool sound = true;

    memset(journal->versions, 0, sizeof journal->versions);
    if (stele_read(store, NULL, &cursor, &error) != STELE_OK)
        return fail_read(verdict, error);
    do {
        if (stele_cursor_next(cursor, &message, &error) != STELE_OK)
            sound = fail_read(verdict, error);
        else if (message != NULL)
            sound = check_event(&walk, message);
    } while (sound && message != NULL);
    if (sound)
        sound = check_end(&walk, stele_cursor_head(cursor).position);
    journal->head = walk.position;
    stele_cursor_close(cursor);
    if (sound)
        sound = check_ledger(journal, store, there, verdict);
    if (present != NULL)
        memcpy(present, there, sizeof there);
    return sound;
}

/* --- Going on ------------------------------------------------------------------------------- */

static void note_fault(void *context, const char *text)
{
    found(context, FINDING_REFUSED, "verify: %s", text);
}

bool check_verify(stele_store *store, struct verdict *verdict)
{
    struct stele_verify_options options = STELE_OPTIONS_INIT(struct stele_verify_options);
    stele_error *error = NULL;

    options.fault = note_fault;
    options.context = verdict;
    if (stele_verify(store, &options, NULL, &error) == STELE_OK)
        return verdict->finding == FINDING_NONE;
    found(verdict, FINDING_REFUSED, "verify: %s", stele_error_message(error));
    stele_error_free(error);
    return false;
}

bool check_settle(struct journal *journal, stele_store *store, const bool *present, bool faulty,
                  struct verdict *verdict)
{
    for (size_t i = 0; i < journal->plan->count; i++) {
        if (journal->entries[i].outcome != UNKNOWN)
            continue;
        const uint64_t head = journal->head;
        if (!journal_run(journal, store, i, faulty, verdict))
            return false;
        if (journal->plan->steps[i].event_count > 0 && journal->entries[i].outcome == ACKNOWLEDGED &&
            present[i] != (journal->head == head))
            return found(verdict, FINDING_ANSWER, "step %zu was %s, but its repetition says otherwise", i,
                         present[i] ? "stored" : "not stored");
    }
    return true;
}

bool check_store(struct journal *journal, stele_store *store, size_t next, struct verdict *verdict)
{
    bool present[PLAN_STEPS_MAX];

    if (!check_log(journal, store, present, verdict) || !check_settle(journal, store, present, false, verdict))
        return false;
    for (size_t i = next; i < journal->plan->count && i < next + NEXT_STEPS; i++)
        if (!journal_run(journal, store, i, false, verdict))
            return false;
    return check_log(journal, store, NULL, verdict) && check_verify(store, verdict);
}
