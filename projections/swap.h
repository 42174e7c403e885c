/*
 * Versions of a projection beside each other, and taking one another's place.
 *
 *     PATH              tables of each projection as they are read
 *     PATH.NAME.new     the next version, while it is built
 *     PATH.NAME.old     the version before, after a swap
 *     PATH.NAME.back    a copy of ".old" on its way back
 *
 * Those beside are files of views with the same tables under the same names, and
 * a mark of their own. A swap copies: the present tables into ".old", then, in one transaction of the present
 * file, the tables and the mark of ".new" in their place. So a kill at any time leaves the present one whole,
 * and either version complete. For views in memory (`path` NULL) what is built beside is in memory too, and nothing is
 * kept of the version before.
 */
#ifndef STELE_PROJECTIONS_SWAP_H
#define STELE_PROJECTIONS_SWAP_H

#include "projections/marks.h"

/* Open what is built beside; one that is there and of this version and digest is continued, any other is begun anew.
 * `make` makes the tables in a file without any, inside a transaction. */
struct stele__beside {
    const char *path; /* of the present file; NULL: in memory */
    const char *name;
    uint32_t version;
    uint8_t digest[STELE__DIGEST_SIZE];
    const char *tables;
    stele_status (*make)(void *context, stele_views *views, stele_error **error);
    void *context;
};
stele_status stele__beside_open(const struct stele__beside *beside, stele_views **out, stele_error **error);
/* Is one there, of whatever version? */
bool stele__beside_exists(const char *path, const char *name);
/* Is what is there of this version and digest, to be continued? Another one is left to who builds that. Errors as
 * stele_views_open(). */
stele_status stele__beside_is_of(const char *path, const char *name, uint32_t version, const uint8_t *digest, bool *is,
                                 stele_error **error);

/* Remove ".new" if a kill has left it there behind the swap that put it in. Before it is asked for; `present` is in no
 * transaction. */
stele_status stele__beside_tidy(stele_views *present, const char *path, const char *name, stele_error **error);

/*
 * Put what was built in the place of what is there (there may be nothing yet), keep that as ".old", and remove ".new". Neither
 * handle is in a transaction. `*built` is closed, and NULL, when it succeeded, and as it was when not. STELE_NOT_FOUND if
 * nothing was built; STELE_INVALID with "table" if one of its names is another's in the present file.
 */
stele_status stele__swap_new(stele_views *present, stele_views **built, const char *path, const char *name,
                             stele_error **error);
/* Exchange the present one and ".old". STELE_NOT_FOUND if none is kept. */
stele_status stele__swap_old(stele_views *present, const char *path, const char *name, stele_error **error);

#endif
