/* The inside of a scenario, for the files that fill and check it. */
#ifndef TESTKIT_SCENARIO_H
#define TESTKIT_SCENARIO_H

#include <stele/runtime.h>
#include <stele/spi/store.h>
#include <stele/testkit.h>

#include "testkit/lines.h"

/* What is said of the command. */
enum expectation { EXPECT_ACCEPTED, EXPECT_EVENTS, EXPECT_NOTHING, EXPECT_REJECTION, EXPECT_FAILURE };

/* An event that is to follow; the value is a copy in the scenario's arena. */
struct expected_event {
    const struct stele_type *type;
    const void *value;
    struct expected_event *next;
};

struct stele_scenario {
    stele_arena *arena; /* holds the scenario itself */
    const struct stele_aggregate *aggregate;
    struct stele_scenario_options options;
    const char *file;
    int line;

    stele_runtime *runtime; /* simulated */
    stele_store *store;     /* memory: */
    stele_repository *repository;
    uint64_t given; /* events in the store before the command */

    int when_line; /* 0: no command yet */
    const struct stele_type *command;
    stele_status outcome;
    const char *words; /* of a rejection or failure */

    int then_line; /* of the first one; 0: nothing is expected yet */
    int said_line; /* of what was said of the command */
    enum expectation expectation;
    struct expected_event *events;
    struct expected_event **last;
    const char *rejection;
    stele_status failure;
    const void *state; /* expected; NULL: not said */

    struct lines problems; /* what is wrong with the scenario itself; the steps behind the first are passed over */
};

#define STREAM "scenario"

/* Note what is wrong with a step. */
void stele__kit_problem(stele_scenario *scenario, int line, const char *format, ...) STELE_PRINTF(3, 4);
static inline bool stele__kit_is_over(const stele_scenario *scenario)
{
    return !scenario || scenario->problems.count || scenario->problems.failed;
}

/* Compare what is expected with what came. True if all is well; otherwise what is wrong is in `text`. */
bool stele__kit_check(stele_scenario *scenario, char *text, size_t size);

/* The entry of an event's type in the aggregate's table; NULL if it is not there in that version. */
const struct stele_type *stele__kit_event_of(const struct stele_aggregate *aggregate, struct stele_slice name,
                                             uint32_t version);

#endif
