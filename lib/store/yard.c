/*
 * Dead letters by route and message, and in order.
 *
 *     buried ── requeued ──► requeued ── handled, dropped ──► gone
 *       ▲ ▲                     │
 *       │ └──── fails again ────┘
 *       └ buried again: the count goes up
 *
 * What can fail: memory.
 */
#include "store/yard.h"

#include "base/memory.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

void stele__yard_init(struct stele__yard *yard)
{
    memset(yard, 0, sizeof(*yard));
    stele__map_init(&yard->graves);
}

static void free_grave(struct stele__grave *grave)
{
    stele_message_unref(grave->message);
    stele__free(grave->key, grave->key_size);
    stele__text_free(grave->type);
    stele__text_free(grave->code);
    stele__text_free(grave->text);
    stele__free(grave, sizeof(*grave));
}

void stele__yard_fini(struct stele__yard *yard)
{
    struct stele__grave *next = NULL;

    for (struct stele__grave *grave = yard->first; grave; grave = next) {
        next = grave->next;
        free_grave(grave);
    }
    stele__map_fini(&yard->graves);
}

/* --- Keys ----------------------------------------------------------------------------- */

static char *make_key(const char *route, const char *id, size_t *size)
{
    const size_t first = strlen(route) + 1;
    const size_t second = strlen(id) + 1;
    char *key = stele__alloc(first + second);

    if (!key)
        return NULL;
    memcpy(key, route, first);
    memcpy(key + first, id, second);
    *size = first + second;
    return key;
}

static struct stele_slice key_of(const struct stele__grave *grave)
{
    return (struct stele_slice){grave->key, grave->key_size};
}

void stele__letter_id(const stele_message *message, char out[STELE__LETTER_ID_MAX + 1])
{
    const unsigned part = stele_message_part(message);
    const struct stele_slice id = stele_message_id(message);

    if (part)
        snprintf(out, STELE__LETTER_ID_MAX + 1, "%.*s#%u", STELE_SLICE(id), part);
    else
        snprintf(out, STELE__LETTER_ID_MAX + 1, "%.*s", STELE_SLICE(id));
}

struct stele__grave *stele__yard_find(const struct stele__yard *yard, const char *route, const char *id)
{
    char few[STELE_TYPE_MAX + STELE__LETTER_ID_MAX + 2];
    const size_t first = strlen(route) + 1;
    const size_t second = strlen(id) + 1;

    /* Longer ones are nobody's. */
    if (first + second > sizeof(few))
        return NULL;
    memcpy(few, route, first);
    memcpy(few + first, id, second);
    return stele__map_get(&yard->graves, (struct stele_slice){few, first + second});
}

/* --- Burying ----------------------------------------------------------------------------- */

static struct stele__grave *new_grave(const struct stele__burial *burial)
{
    struct stele__grave *grave = stele__alloc(sizeof(*grave));

    if (!grave)
        return NULL;
    grave->key = make_key(burial->route, burial->id, &grave->key_size);
    grave->type = stele__text_copy(burial->type);
    if (!grave->key || !grave->type) {
        free_grave(grave);
        return NULL;
    }
    grave->letter.route = grave->key;
    grave->letter.id = grave->key + strlen(burial->route) + 1;
    grave->letter.type = grave->type;
    grave->letter.first_time = burial->time;
    return grave;
}

/* Nothing fails behind this. */
static bool take_texts(struct stele__grave *grave, const struct stele__burial *burial)
{
    char *code = stele__text_copy(burial->code);
    char *text = stele__text_copy(burial->text);

    if (!code || !text) {
        stele__text_free(code);
        stele__text_free(text);
        return false;
    }
    stele__text_free(grave->code);
    stele__text_free(grave->text);
    grave->code = code;
    grave->text = text;
    grave->letter.code = code;
    grave->letter.text = text;
    return true;
}

static void take_numbers(struct stele__grave *grave, const struct stele__burial *burial)
{
    grave->letter.count++;
    grave->letter.attempts = burial->attempts <= UINT64_MAX - grave->letter.attempts
                                 ? grave->letter.attempts + burial->attempts
                                 : UINT64_MAX;
    grave->letter.last_time = burial->time;
    grave->letter.position = burial->position;
    grave->version = burial->version;
    grave->is_local = burial->is_local;
    stele_message_unref(grave->message);
    grave->message = burial->message;
}

static void link_last(struct stele__yard *yard, struct stele__grave *grave)
{
    grave->previous = yard->last;
    if (yard->last)
        yard->last->next = grave;
    else
        yard->first = grave;
    yard->last = grave;
}

bool stele__yard_bury(struct stele__yard *yard, const struct stele__burial *burial)
{
    struct stele__grave *grave = stele__yard_find(yard, burial->route, burial->id);

    if (grave) {
        if (!take_texts(grave, burial))
            return false;
        stele__yard_set_requeued(yard, grave, false);
    } else {
        grave = new_grave(burial);
        if (!grave)
            return false;
        if (!take_texts(grave, burial) || !stele__map_put(&yard->graves, key_of(grave), grave)) {
            free_grave(grave);
            return false;
        }
        link_last(yard, grave);
    }
    take_numbers(grave, burial);
    return true;
}

/* --- What becomes of it --------------------------------------------------------------------- */

void stele__yard_set_requeued(struct stele__yard *yard, struct stele__grave *grave, bool is_requeued)
{
    if (grave->letter.is_requeued == is_requeued)
        return;
    grave->letter.is_requeued = is_requeued;
    if (is_requeued)
        yard->requeued++;
    else
        yard->requeued--;
}

void stele__yard_remove(struct stele__yard *yard, struct stele__grave *grave)
{
    stele__yard_set_requeued(yard, grave, false);
    stele__map_remove(&yard->graves, key_of(grave));
    if (grave->previous)
        grave->previous->next = grave->next;
    else
        yard->first = grave->next;
    if (grave->next)
        grave->next->previous = grave->previous;
    else
        yard->last = grave->previous;
    free_grave(grave);
}

static bool is_wanted(const char *wanted, const char *text)
{
    return !wanted || strcmp(wanted, text) == 0;
}

bool stele__grave_fits(const struct stele__grave *grave, const struct stele_dead_query *query)
{
    return (!grave->letter.is_requeued || query->with_requeued) && is_wanted(query->route, grave->letter.route) &&
           is_wanted(query->id, grave->letter.id) && is_wanted(query->code, grave->letter.code);
}
