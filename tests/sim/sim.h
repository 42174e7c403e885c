/*
 * What the simulations share: worlds drawn from a seed, run twice, and a place
 * for what is found wrong in them.
 *
 *     seed ─► world: topology, script, runtime(s) ─► faults, trace
 *        └──► the same once more ─► the same trace, byte for byte
 *
 * Handlers run on threads of the simulation, never two at once: they note a
 * fault instead of asserting, and the first one ends the world. What a
 * world does follows from its seed alone: sim_draw() tells of a thing whatever it
 * is asked before, sim_next() draws in the order of the script.
 *
 * A failure prints the seed and how to run it alone. STELE_SIM_SEEDS says how
 * many are tried, STELE_TEST_SEED which is the first, STELE_SIM_TRACE=1 writes
 * the steps of each run to stderr.
 */
#ifndef STELE_TESTS_SIM_SIM_H
#define STELE_TESTS_SIM_SIM_H

#include "tests/support/support.h"

#include <stele/bus.h>
#include <stele/runtime.h>

#define SIM_MS INT64_C(1000000)

enum { SIM_TYPES = 4, SIM_KEYS = 3 };

/* The payload of most messages: which it is in the book of its world, and a key. */
#define SIM_STEP(FIELD, T) FIELD(T, INT64, number) FIELD(T, INT64, key)
STELE_DECLARE(sim_step, SIM_STEP);

extern const char *const sim_names[SIM_TYPES]; /* "sim.0" ... */
extern struct stele_type sim_types[SIM_TYPES]; /* sim_step under each name */

struct sim {
    uint64_t seed;
    stele_runtime *runtime;
    struct support_random script;
    uint64_t trace; /* a digest of all lines */
    uint64_t lines;
    char fault[512]; /* the first; "" if there is none */
};
extern struct sim sim;

/* Note a fault unless it is so. */
void sim_expect(bool is_so, const char *format, ...) STELE_PRINTF(2, 3);
/* Note a fault unless a call succeeded; `error` is the variable it sets. */
#define sim_ok(call, error) \
    do { \
        const stele_status sim_status_ = (call); \
        sim_expect_ok(sim_status_, (error), #call); \
        (error) = NULL; \
    } while (0)
void sim_expect_ok(stele_status status, stele_error *error, const char *call); /* takes the error */
bool sim_has_fault(void);

/* A number below `limit` that follows from the seed and what it is asked about. */
uint64_t sim_draw(uint64_t what, uint64_t of, uint64_t limit);
/* The next one of the script. */
uint64_t sim_next(uint64_t limit);
bool sim_chance(unsigned percent);

/* Add a line to the trace. */
void sim_note(const char *format, ...) STELE_PRINTF(1, 2);

/* A runtime of the world, the `number`-th: its steps go to the trace. */
void sim_runtime_begin(uint64_t number);
void sim_runtime_end(void);
/* Virtual time, monotonic. */
int64_t sim_now(void);
/* Wait in a handler, while others have their turn. */
void sim_sleep(int64_t nanoseconds);

/* A message of sim_types[type], and reading one of any of them. */
stele_message *sim_message(size_t type, int64_t number, int64_t key, const char *id);
bool sim_read(const stele_message *message, stele_context *context, struct sim_step *out);

/* Run a world for each seed, twice. `program` is the name in tests/sim. */
void sim_run_seeds(const char *program, void (*world)(void));

#endif
