/*
 * What a model's statements may do: an authorizer of SQLite, and functions whose results are the same on any day.
 *
 * While a statement is prepared SQLite asks for everything it would do; what is
 * not in the list is refused. Functions of time are the one case that only their
 * arguments decide, so they are replaced by ones that refuse the present moment
 * and the time zone of the machine, whoever passes it, a constant or an event.
 */
#ifndef STELE_PROJECTIONS_CONFINE_H
#define STELE_PROJECTIONS_CONFINE_H

#include <stele/base.h>

#include "base/vector.h"

#include <sqlite3.h>

enum stele__confined { CONFINED_TABLES, CONFINED_EVENTS };

/* Which statements are prepared, and what is found out about them. */
struct stele__confine {
    enum stele__confined stage;
    struct stele__vector tables; /* char[STELE_VIEW_NAME_MAX + 1], the model's own; filled while stage is TABLES */
    /* Of one statement. */
    struct stele_slice sql;
    bool does;      /* what a statement of this stage is there for */
    char made[65];  /* the table that it makes */
    char what[128]; /* the first thing refused: as it may stand in the text */
    char why[256];  /* and why; empty if nothing was */
    bool no_memory;
};

void stele__confine_init(struct stele__confine *confine);
void stele__confine_fini(struct stele__confine *confine);
/* Before each statement, which is in `sql` (behind it there may be more). */
void stele__confine_reset(struct stele__confine *confine, struct stele_slice sql);
/* For sqlite3_set_authorizer(); the context is a struct stele__confine. */
int stele__confine_ask(void *context, int action, const char *first, const char *second, const char *database,
                       const char *trigger);
/* Replace the functions of time of a connection; an SQLite result code. Doing so again is harmless. */
int stele__confine_time(sqlite3 *db);

#endif
