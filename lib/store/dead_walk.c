/*
 * Dead letters of a store, without a bus: listed, requeued, dropped.
 *
 *     "$dead": 1 ........ beyond ............................ end
 *     page 1   letters first │ only what becomes of the letters
 *              buried here   │ of this page; their burials are noted
 *     page 2                 │ letters first ...  │ only what ...
 *
 * A page takes letters until it is full, and is then read on to the end, since
 * any of them may be dropped there. The next page begins at the burial that
 * found no room. From there on a burial is that of a new letter unless it was
 * noted as one of a letter that an earlier page had: a bit for each event is
 * all that is kept of the earlier pages.
 *
 * What can fail: the query, memory, the store.
 */
#include "store/dead_walk.h"

#include "base/error.h"
#include "store/dead_choice.h"

#include <string.h>

enum { LETTERS_AT_ONCE = 32768, MARKS_AT_ONCE = 256 };

/* --- Burials of earlier pages ------------------------------------------------------------- */

static bool is_known(const struct stele__dead_walk *walk, uint64_t version)
{
    const uint64_t bit = version - walk->first_known;

    return walk->first_known && bit / 8 < walk->known.size && (walk->known.data[bit / 8] >> bit % 8 & 1);
}

static stele_status note_known(struct stele__dead_walk *walk, uint64_t version, stele_error **error)
{
    const uint64_t bit = version - walk->first_known;
    const size_t wanted = (size_t)(bit / 8) + 1;

    if (wanted > walk->known.size) {
        const size_t more = wanted - walk->known.size;
        char *place = stele__buffer_extend(&walk->known, more);

        if (!place)
            return stele__fail_memory(error);
        memset(place, 0, more);
    }
    walk->known.data[bit / 8] = (char)(walk->known.data[bit / 8] | 1 << bit % 8);
    return STELE_OK;
}

/* --- Pages -------------------------------------------------------------------------------- */

static stele_status admit(void *context, const struct stele__burial *burial, bool *is_let_in, stele_error **error)
{
    struct stele__dead_walk *walk = context;

    *is_let_in = false;
    if ((walk->query.id && strcmp(walk->query.id, burial->id) != 0) || is_known(walk, burial->said_at))
        return STELE_OK;
    if (stele__yard_find(&walk->yard, burial->route, burial->id)) {
        *is_let_in = true;
        return walk->beyond ? note_known(walk, burial->said_at, error) : STELE_OK;
    }
    if (!walk->beyond && walk->yard.graves.count == walk->at_once)
        walk->beyond = burial->said_at;
    if (!walk->first_known)
        walk->first_known = walk->beyond;
    *is_let_in = !walk->beyond;
    return STELE_OK;
}

static stele_status read_page(struct stele__dead_walk *walk, stele_error **error)
{
    uint64_t version = walk->after;
    stele_status status;

    stele__yard_fini(&walk->yard);
    stele__yard_init(&walk->yard);
    walk->yard.only = walk->query.route;
    walk->yard.gate = admit;
    walk->yard.gate_context = walk;
    walk->beyond = 0;
    status = stele__dead_fold_until(walk->store, &walk->yard, &version, walk->end, error);
    /* What is written from now on, this walk's own marks among it, is not for later pages. */
    if (walk->end == 0)
        walk->end = version;
    walk->next = walk->yard.first;
    return status;
}

stele_status stele__dead_walk_begin(struct stele__dead_walk *walk, stele_store *store,
                                    const struct stele_dead_query *query, size_t at_once, stele_error **error)
{
    stele_status status;

    memset(walk, 0, sizeof(*walk));
    walk->store = store;
    walk->at_once = at_once;
    stele__yard_init(&walk->yard);
    stele__buffer_init(&walk->known);
    status = stele__choice_query(query, &walk->query, error);
    return status == STELE_OK ? read_page(walk, error) : status;
}

static bool is_sated(const struct stele__dead_walk *walk)
{
    return walk->query.limit && walk->taken == walk->query.limit;
}

const struct stele__grave *stele__dead_walk_on(struct stele__dead_walk *walk)
{
    const struct stele__grave *grave = walk->next;

    while (grave && !stele__grave_fits(grave, &walk->query))
        grave = grave->next;
    if (!grave || is_sated(walk))
        return NULL;
    walk->next = grave->next;
    walk->taken++;
    return grave;
}

stele_status stele__dead_walk_turn(struct stele__dead_walk *walk, stele_error **error)
{
    if (!walk->beyond || is_sated(walk))
        return STELE_END;
    walk->after = walk->beyond - 1;
    return read_page(walk, error);
}

void stele__dead_walk_end(struct stele__dead_walk *walk)
{
    stele__yard_fini(&walk->yard);
    stele__buffer_fini(&walk->known);
}

/* --- Listing ------------------------------------------------------------------------------ */

/* False if the visitor wants no more. */
static bool list_page(struct stele__dead_walk *walk, stele_dead_visit *visit, void *context)
{
    const struct stele__grave *grave;
    bool wanted = true;

    while (wanted && (grave = stele__dead_walk_on(walk)) != NULL) {
        struct stele__chosen chosen = {.letter = grave->letter, .version = grave->version};

        wanted = stele__chosen_show(walk->store, &chosen, visit, context);
    }
    return wanted;
}

stele_status stele_dead_list_in(stele_store *store, const struct stele_dead_query *query, stele_dead_visit *visit,
                                void *context, stele_error **error)
{
    struct stele__dead_walk walk;
    stele_status status;

    if (!store || !visit)
        return stele__fail_argument(error, store ? "visit" : "store", "is NULL");
    status = stele__dead_walk_begin(&walk, store, query, LETTERS_AT_ONCE, error);
    while (status == STELE_OK)
        status = list_page(&walk, visit, context) ? stele__dead_walk_turn(&walk, error) : STELE_END;
    stele__dead_walk_end(&walk);
    return status == STELE_END ? STELE_OK : status;
}

/* --- Marking ------------------------------------------------------------------------------ */

static stele_status mark_page(struct stele__dead_walk *walk, enum stele__dead_mark mark, uint64_t *marked,
                              stele_error **error)
{
    const struct stele__grave *grave;
    stele_status status = STELE_OK;

    do {
        struct stele__dead_name names[MARKS_AT_ONCE];
        size_t some = 0, done = 0;

        while (some < MARKS_AT_ONCE && (grave = stele__dead_walk_on(walk)) != NULL)
            names[some++] = (struct stele__dead_name){grave->letter.route, grave->letter.id};
        status = stele__dead_write_marks(walk->store, mark, names, some, &done, error);
        *marked += done;
    } while (status == STELE_OK && grave);
    return status;
}

static stele_status mark_in_store(stele_store *store, const struct stele_dead_query *query, enum stele__dead_mark mark,
                                  uint64_t *count, stele_error **error)
{
    struct stele__dead_walk walk;
    uint64_t marked = 0;
    stele_status status;

    if (!store)
        return stele__fail_argument(error, "store", "is NULL");
    status = stele__dead_walk_begin(&walk, store, query, LETTERS_AT_ONCE, error);
    while (status == STELE_OK) {
        status = mark_page(&walk, mark, &marked, error);
        if (status == STELE_OK)
            status = stele__dead_walk_turn(&walk, error);
    }
    if (count)
        *count = marked;
    stele__dead_walk_end(&walk);
    return status == STELE_END ? STELE_OK : status;
}

stele_status stele_dead_requeue_in(stele_store *store, const struct stele_dead_query *query, uint64_t *count,
                                   stele_error **error)
{
    return mark_in_store(store, query, STELE__DEAD_REQUEUED, count, error);
}

stele_status stele_dead_drop_in(stele_store *store, const struct stele_dead_query *query, uint64_t *count,
                                stele_error **error)
{
    return mark_in_store(store, query, STELE__DEAD_DROPPED, count, error);
}
