/*
 * What a file of views remembers of the projections in it: the table "stele_projection", a row for each.
 *
 *     name | version | digest | position | tables | old version
 *
 * The digest is of what made the tables and fills them (an SQL text, the shapes
 * of typed views): the same version with another digest is a mistake that is told.
 * All of this works on any handle of views, in a file or in a store, in its transaction.
 */
#ifndef STELE_PROJECTIONS_MARKS_H
#define STELE_PROJECTIONS_MARKS_H

#include <stele/memory.h>
#include <stele/view.h>

enum { STELE__DIGEST_SIZE = 16 };

/* A row. Texts live in the arena it was read with. */
struct stele__mark {
    const char *name;
    uint32_t version;
    uint8_t digest[STELE__DIGEST_SIZE];
    uint64_t position;    /* all up to here has its effect in the tables */
    const char *tables;   /* their names, with commas between */
    uint32_t old_version; /* what is kept in the file beside, see swap.h; 0: nothing */
};

/* Make the table if it is not there. */
stele_status stele__marks_create(stele_views *views, stele_error **error);
/* STELE_NOT_FOUND if there is no such row, or no table. */
stele_status stele__mark_read(stele_views *views, const char *name, stele_arena *arena, struct stele__mark *out,
                              stele_error **error);
typedef bool stele__mark_visit(void *context, const struct stele__mark *mark);
stele_status stele__marks_visit(stele_views *views, stele__mark_visit *visit, void *context, stele_error **error);
/* Insert or replace a row. */
stele_status stele__mark_write(stele_views *views, const struct stele__mark *mark, stele_error **error);
/* Delete a row; STELE_OK also if there is none. */
stele_status stele__mark_delete(stele_views *views, const char *name, stele_error **error);
/*
 * Move a position, compared and set: STELE_CONFLICT, with "projection", "expected" and "actual", if name and version are not
 * at `from`, and the transaction is to be rolled back. One statement, kept prepared: it is in every batch.
 */
stele_status stele__mark_move(stele_views *views, const char *name, uint32_t version, uint64_t from, uint64_t to,
                              stele_error **error);

#endif
