/*
 * Plans and journals: what a workload does, and what became of it.
 *
 *     seed -> plan: steps, their messages made beforehand
 *     plan -> steps run against a store -> journal: acknowledged, rejected, unknown
 *
 * The same seed gives the same plan. What a step expects of its streams is
 * worked out when it is run, from the model of the store that the journal
 * keeps: it moves on responses. Each message's id says which step and which of
 * its events it is, so that a stored event can be led back to its step.
 */
#ifndef STELE_TESTS_CRASH_PLAN_H
#define STELE_TESTS_CRASH_PLAN_H

#include <stele/store.h>

enum { PLAN_STREAMS = 5, PLAN_EVENTS_MAX = 6, PLAN_STEPS_MAX = 512, FINDING_TEXT = 400 };

/* --- Findings ----------------------------------------------------------------------- */

/* What the harness may find wrong. */
enum finding {
    FINDING_NONE,
    FINDING_LOST,     /* an acknowledged event is not there */
    FINDING_PHANTOM,  /* a rejected or never appended event is there */
    FINDING_TORN,     /* a batch is there in part, or mixed with another */
    FINDING_DISORDER, /* versions or positions are not as they must be */
    FINDING_BYTES,    /* an event is not what was appended */
    FINDING_ANSWER,   /* an append or read answered what it must not */
    FINDING_REFUSED,  /* the store does not open, or the check of the store fails */
    FINDINGS
};

struct verdict {
    enum finding finding;
    char text[FINDING_TEXT];
};

const char *finding_name(enum finding finding);
/* Note the first finding; always false. */
bool found(struct verdict *verdict, enum finding finding, const char *format, ...) STELE_PRINTF(3, 4);

/* --- Plans ------------------------------------------------------------------------------ */

enum step_kind {
    STEP_APPEND,
    STEP_REPEAT,        /* an acknowledged append once more */
    STEP_REUSE,         /* an old event together with a new one: refused */
    STEP_EMPTY,         /* expectations only */
    STEP_REFUSE,        /* a command is refused, and that is remembered */
    STEP_COMMAND_AGAIN, /* a remembered command with other events: the first outcome, and nothing is written */
    STEP_COMMAND_REUSE, /* the id of a remembered command on another one: refused */
    STEP_IDLE           /* nothing for a while: the store moves its log into the file */
};

enum step_expect {
    EXPECT_NOTHING,
    EXPECT_EXACTLY,
    EXPECT_PRESENCE, /* "no stream" or "exists", as it is */
    EXPECT_STALE,
    EXPECT_FUTURE,
    EXPECT_OTHER,      /* exactly, also of a stream that is not written */
    EXPECT_OTHER_STALE /* of the other stream what is not so */
};

struct step {
    enum step_kind kind;
    enum step_expect expect;
    size_t event_count;
    size_t streams[PLAN_EVENTS_MAX];
    stele_message *events[PLAN_EVENTS_MAX];
    stele_message *command; /* that the step is the outcome of; NULL: none */
    stele_message *other;   /* with its id, another one */
};

struct plan {
    uint64_t seed;
    size_t count;
    struct step steps[PLAN_STEPS_MAX];
};

/* What a plan is made of; zero members take the defaults. */
struct plan_options {
    size_t steps;
    bool only_appends; /* no conflicts, repeats, reuse, commands: every step is acknowledged */
    bool small;        /* payloads below 64 bytes */
};

struct plan *plan_new(uint64_t seed, const struct plan_options *options);
void plan_free(struct plan *plan);
const char *plan_stream(size_t stream);
/* Why the commands of this step and of some others are refused; static. */
const char *plan_rejection(size_t step);
/* Which step and event a message is, by its id. */
bool plan_locate(const struct plan *plan, const stele_message *message, size_t *step, size_t *event);

/* --- Journals ------------------------------------------------------------------------------ */

enum outcome { NOT_TRIED, ACKNOWLEDGED, REJECTED, UNKNOWN };

struct entry {
    enum outcome outcome;
    stele_status status;
    size_t begin, end; /* operations of the disk done before and after */
    uint64_t first_position, last_position;
    uint64_t version;
    struct stele_expected expected[PLAN_STREAMS];
    bool has_expected[PLAN_STREAMS];
};

struct journal {
    const struct plan *plan;
    uint64_t versions[PLAN_STREAMS]; /* the model */
    uint64_t head;
    struct entry entries[PLAN_STEPS_MAX];
};

/*
 * Run a step. Answers that a sound store may not give are findings: a conflict
 * that is none, an acknowledgement of a stale version, other positions for a
 * repeat. With `faulty`, failures for want of a working disk are none.
 */
bool journal_run(struct journal *journal, stele_store *store, size_t step, bool faulty, struct verdict *verdict);

/* As the journal was when only `operations` of the disk were done: later steps were not tried, the one then running is
 * unknown. */
void journal_cut(struct journal *journal, size_t operations);

#endif
