/*
 * Letters chosen by a query, copied, and what is done with them.
 *
 *     yard ─► chosen ─┬─► shown, each with its message
 *                     └─► marked: requeued, or dropped
 *
 * What can fail: the query, memory, the store.
 */
#include "store/dead_choice.h"

#include "base/arena.h"
#include "base/error.h"
#include "base/log.h"

#include <string.h>

/* --- Choosing ----------------------------------------------------------------------------- */

void stele__choice_fini(struct stele__choice *choice)
{
    for (size_t i = 0; i < choice->count; i++)
        stele_message_unref(choice->all[i].message);
    stele_arena_free(choice->arena);
}

static const char *keep(stele_arena *arena, const char *text, bool *failed)
{
    const size_t size = strlen(text) + 1;
    char *copy = stele__arena_alloc(arena, size);

    if (!copy) {
        *failed = true;
        return "";
    }
    memcpy(copy, text, size);
    return copy;
}

static bool take(struct stele__choice *choice, const struct stele__grave *grave)
{
    struct stele__chosen *chosen = &choice->all[choice->count];
    bool failed = false;

    chosen->letter = grave->letter;
    chosen->letter.route = keep(choice->arena, grave->letter.route, &failed);
    chosen->letter.id = keep(choice->arena, grave->letter.id, &failed);
    chosen->letter.type = keep(choice->arena, grave->letter.type, &failed);
    chosen->letter.code = keep(choice->arena, grave->letter.code, &failed);
    chosen->letter.text = keep(choice->arena, grave->letter.text, &failed);
    chosen->version = grave->version;
    chosen->is_local = grave->is_local;
    chosen->message = NULL;
    if (!failed && grave->message) {
        chosen->message = stele_message_ref(grave->message);
        failed = !chosen->message;
    }
    if (!failed)
        choice->count++;
    return !failed;
}

stele_status stele__choice_take(struct stele__choice *choice, const struct stele__yard *yard,
                                const struct stele_dead_query *query, stele_error **error)
{
    const size_t all = yard->graves.count;
    const size_t room = query->limit && query->limit < all ? (size_t)query->limit : all;
    stele_status status = stele_arena_new(&choice->arena, error);

    if (status != STELE_OK || room == 0)
        return status;
    choice->all = stele__arena_array(choice->arena, room, sizeof(*choice->all));
    if (!choice->all)
        return stele__fail_memory(error);
    for (const struct stele__grave *grave = yard->first; grave; grave = grave->next) {
        if (query->limit && choice->count == query->limit)
            break;
        if (stele__grave_fits(grave, query) && !take(choice, grave))
            return stele__fail_memory(error);
    }
    return STELE_OK;
}

stele_status stele__choice_query(const struct stele_dead_query *query, struct stele_dead_query *out,
                                 stele_error **error)
{
    const stele_status status = stele__options_check(query, sizeof(*query), sizeof(*query), "query", error);

    *out = query ? *query : (const struct stele_dead_query){.size = sizeof(*query)};
    return status;
}

/* --- Showing ------------------------------------------------------------------------------- */

/* The message of a letter; NULL if it cannot be read any more. */
static stele_message *message_of(stele_store *store, struct stele__chosen *chosen)
{
    stele_message *message = chosen->message;
    stele_error *why = NULL;

    chosen->message = NULL;
    if (message || chosen->is_local)
        return message;
    if (stele__dead_message(store, chosen->letter.id, chosen->letter.position, chosen->version, &message, &why) !=
        STELE_OK)
        STELE__LOG(STELE_LOG_WARNING, "the message of a dead letter cannot be read", {"route", chosen->letter.route},
                   {"id", chosen->letter.id}, {"why", stele_error_message(why)});
    stele_error_free(why);
    return message;
}

bool stele__chosen_show(stele_store *store, struct stele__chosen *chosen, stele_dead_visit *visit, void *context)
{
    stele_message *message = message_of(store, chosen);
    bool wanted;

    chosen->letter.message = message;
    wanted = visit(context, &chosen->letter);
    stele_message_unref(message);
    return wanted;
}

void stele__choice_show(struct stele__choice *choice, stele_dead_visit *visit, void *context)
{
    bool wanted = true;

    for (size_t i = 0; i < choice->count && wanted; i++)
        wanted = stele__chosen_show(choice->store, &choice->all[i], visit, context);
}

/* --- Marking ------------------------------------------------------------------------------- */

stele_status stele__choice_mark(const struct stele__choice *choice, enum stele__dead_mark mark, size_t *count,
                                stele_error **error)
{
    struct stele__dead_name *names;
    size_t wanted = 0;

    *count = 0;
    if (choice->count == 0)
        return STELE_OK;
    names = stele__arena_array(choice->arena, choice->count, sizeof(*names));
    if (!names)
        return stele__fail_memory(error);
    for (size_t i = 0; i < choice->count; i++)
        if (!choice->all[i].is_local)
            names[wanted++] = (struct stele__dead_name){choice->all[i].letter.route, choice->all[i].letter.id};
    return wanted ? stele__dead_write_marks(choice->store, mark, names, wanted, count, error) : STELE_OK;
}
