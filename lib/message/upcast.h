/*
 * Upcasters, compiled: a graph whose nodes are shapes (a type name in a
 * version) and whose edges are steps.
 *
 *     table -> upcast_plan.c: checked, a step chosen for each shape
 *     stored message -> upcast.c: step by step -> what it is read as
 *                       upcast_change.c: the steps that are declared, on bytes
 *
 * A compiled set is constant and may be used by any number of threads.
 */
#ifndef STELE_MESSAGE_UPCAST_H
#define STELE_MESSAGE_UPCAST_H

#include <stele/upcast.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/map.h"
#include "base/vector.h"
#include "message/message.h"

/* --- Changes ------------------------------------------------------------------------- */

/* A change with its texts measured and its value encoded. */
struct stele__change {
    enum stele_change_kind kind;
    struct stele_slice field;
    struct stele_slice renamed;
    struct stele_slice value; /* MessagePack */
};

/*
 * Make a change ready for use. STELE_INVALID: no field, no name, no value, JSON
 * that is none; STELE_NO_MEMORY.
 */
stele_status stele__change_compile(const struct stele_change *change, stele_arena *arena, struct stele__change *out,
                                   stele_error **error);

/*
 * Make changes to a payload, of any bytes, one after the other. `out` lives in
 * `arena`, `scratch` is overwritten. STELE_MALFORMED: no MessagePack, or not a
 * map; STELE_INVALID: a field would be there twice; STELE_LIMIT: nesting, or a
 * result above `limit` bytes; STELE_NO_MEMORY.
 */
struct stele__change_room {
    stele_arena *arena;
    struct stele__buffer *scratch;
    size_t limit;
};
stele_status stele__changes_make(const struct stele__change *changes, size_t count, struct stele_slice payload,
                                 const struct stele__change_room *room, struct stele_slice *out, stele_error **error);

/* --- The graph ------------------------------------------------------------------------- */

struct stele__step;

struct stele__shape {
    struct stele_slice name;
    uint32_t version;
    size_t index;                         /* among all shapes of the set */
    struct stele__shape *sibling;         /* of the same name */
    const struct stele__step *next;       /* the step that an event of this shape takes; NULL: it stays as it is */
    const struct stele__step *first_step; /* of those that leave here */
    size_t distance;                      /* steps to where the way ends */
    enum { STELE__SHAPE_NEW, STELE__SHAPE_OPEN, STELE__SHAPE_DONE } visit;
};

struct stele__step {
    const struct stele_upcaster *upcaster;
    struct stele__shape *from;
    struct stele__shape *to;
    struct stele__shape **others;
    const struct stele__step *next_step; /* that leaves the same shape */
    const struct stele__change *changes;
};

struct stele__upcasting {
    struct stele_arena arena;
    struct stele__map names; /* to the first shape of the name */
    size_t shape_count;
    struct stele__step *steps; /* as in the table */
    size_t step_count;
    size_t payload_limit;
};

/* Check and compile a table, which must outlive the set; errors as stele_upcasters_check(). */
stele_status stele__upcasting_new(const struct stele_upcaster *upcasters, size_t count, size_t payload_limit,
                                  struct stele__upcasting **out, stele_error **error);
void stele__upcasting_free(struct stele__upcasting *upcasting);

/* The shape of a name and version; NULL if no step knows it. */
const struct stele__shape *stele__upcasting_find(const struct stele__upcasting *upcasting, struct stele_slice name,
                                                 uint32_t version);

/*
 * Mark the shapes of which the test is true, and those that become such a one
 * by the steps they take. `marks` has `shape_count` elements, by index.
 */
typedef bool stele__shape_test(void *context, const struct stele__shape *shape);
void stele__upcasting_mark(const struct stele__upcasting *upcasting, stele__shape_test *test, void *context,
                           bool *marks);

/*
 * Append a text of the steps that are taken from marked shapes, one a line, the
 * same for every order of the table. Of steps in code it has the ends only.
 */
void stele__upcasting_print(const struct stele__upcasting *upcasting, const bool *marks, struct stele__buffer *text);

/* --- Running ---------------------------------------------------------------------------- */

/* What stored messages become, one after the other; owner only. All zero is empty. */
struct stele__upcasts {
    struct stele_arena arena;
    struct stele__buffer scratch;
    struct stele__vector messages; /* struct stele_message, lent until the next run */
};

void stele__upcasts_fini(struct stele__upcasts *upcasts);

/*
 * Bring a stored message, which must stay, from its shape, which has a next
 * step, to what it is read as. STELE_CORRUPT if a step fails, with "position",
 * "stream", "version" and "step"; STELE_NO_MEMORY.
 */
stele_status stele__upcast_run(const struct stele__upcasting *upcasting, const struct stele__shape *shape,
                               const stele_message *stored, struct stele__upcasts *out, stele_error **error);

#endif
