/*
 * Purses: an event for money put in and one for money taken out, projected into
 * a view, a struct, or letters; functions that fail where they are told to; a store, a
 * runtime (a simulation unless said otherwise) and the projections on them.
 */
#ifndef STELE_TESTS_UNIT_PROJECTIONS_STAGE_H
#define STELE_TESTS_UNIT_PROJECTIONS_STAGE_H

#include "tests/support/support.h"

#include <stele/projection.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SECOND INT64_C(1000000000)

#define PUT_IN(FIELD, T) FIELD(T, TEXT, account) FIELD(T, INT64, amount)
STELE_DECLARE(put_in, PUT_IN);
#define TOOK_OUT(FIELD, T) FIELD(T, TEXT, account) FIELD(T, INT64, amount)
STELE_DECLARE(took_out, TOOK_OUT);
#define PURSE(FIELD, T) FIELD(T, TEXT, account) FIELD(T, INT64, amount) FIELD(T, INT64, changes)
STELE_DECLARE_VIEW(purse, PURSE);

/* --- What fails ------------------------------------------------------------------------------ */

/* The functions fail with `status` on events of this amount, so many times. */
struct failing {
    int64_t amount;
    unsigned times;
    stele_status status;
};
extern struct failing failing;

/* --- The model in memory ------------------------------------------------------------------------ */

struct totals {
    int64_t sum;
    uint64_t count;
    unsigned resets;
    char order[256]; /* amounts, each with a blank behind it */
};

void reset_totals(void *model);

/* What goes out. */
struct letters {
    char text[2048]; /* delivery ids, each with a blank behind it; of replays in brackets */
};

/* --- Projections ------------------------------------------------------------------------------------ */

extern const struct stele_retry three; /* attempts, after 1 s, then 2 s */

extern const struct stele_projection_on totals_on[2], purses_on[2], letters_on[1];
extern const struct stele_view *const purse_views[2];
extern const struct stele_projection totals, purses, inline_purses, letters;

/* --- The stage ------------------------------------------------------------------------------------------ */

struct stage {
    stele_runtime *runtime;
    stele_store *store;
    stele_projections *projections;
};

/* In a simulation; `file` may be NULL. */
void begin_stage(struct stage *stage, const char *url, const char *file);
/* With worker threads. */
void begin_stage_with(struct stage *stage, const char *url, const char *file, unsigned threads);
void end_stage(struct stage *stage);
/* End the projections, and make new ones. */
void restart(struct stage *stage, const char *file);

stele_store *open_store(const char *url, const stele_runtime *runtime);

/* The position of the event. */
uint64_t put(stele_store *store, const char *account, int64_t amount);
uint64_t take_out(stele_store *store, const char *account, int64_t amount);
/* Amounts 1 to `count`, accounts "a", "b", "c" in turn. */
void put_many(stele_store *store, unsigned count);
stele_message *new_put(const char *account, int64_t amount);

void add(struct stage *stage, const struct stele_projection *projection, void *model);
void run(struct stage *stage);
void wait_for(struct stage *stage, const char *name, uint64_t position);
struct stele_projection_stats stats_of(struct stage *stage, const char *name);
void assert_state(struct stage *stage, const char *name, enum stele_subscription_state state);

/* All rows of the view, by account: "a 5 2; b 7 1; " (account, amount, changes). Static, for two calls. */
const char *dump(stele_views *views);
const char *dump_of(struct stage *stage, const char *name);
const char *dump_file(const char *path);

#endif
