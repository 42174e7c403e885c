/* The tables of a projection as a whole: removed, and copied from one file of views into another. */
#ifndef STELE_PROJECTIONS_TABLES_H
#define STELE_PROJECTIONS_TABLES_H

#include "projections/marks.h"

/* Call `each` for every table in the list of a mark. STELE_CORRUPT for a name that cannot be a projection's. */
typedef stele_status stele__table_each(void *context, const char *table, stele_error **error);
stele_status stele__tables_walk(const stele_views *views, const struct stele__mark *mark, stele__table_each *each,
                                void *context, stele_error **error);
/* Remove the tables of a projection and its mark, inside a transaction. */
stele_status stele__tables_remove(stele_views *views, const struct stele__mark *mark, stele_error **error);
/* Make the tables and indexes of `mark` in `into` as they are in `from`, with all rows, inside a transaction of `into`;
 * its mark is left to the caller. STELE_INVALID with "table" for one that is there; STELE_CORRUPT for one that is not in
 * `from`. */
stele_status stele__tables_copy(stele_views *from, stele_views *into, const struct stele__mark *mark,
                                stele_error **error);

#endif
