/*
 * Dead letters of a bus.
 *
 *     bury ─► "$dead" ─► fold ─► yard ◄─ bury, without a store or when it refuses
 *                                 │
 *     list ◄──────── chosen ◄─────┤
 *     requeue, drop ─► marks ─► "$dead" ─► fold ─► yard
 *     look: what is marked as requeued ─► its route ─► settled: gone, or buried again
 *
 * With a store the yard is only what its stream folds to, read anew from where
 * it was left; so marks of other processes are seen like one's own. Letters are
 * chosen under the mutex, copied, and used without it.
 *
 * What can fail: memory, the store. A message whose burial fails in both is logged.
 */
#include "bus/bus.h"

#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "store/dead_choice.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { CAPACITY_DEFAULT = 1000 };

struct stele__graves {
    stele_bus *bus;
    size_t capacity;              /* of letters that the store does not know */
    _Atomic(stele_store *) store; /* NULL: none */
    pthread_mutex_t mutex;        /* guards what follows */
    struct stele__yard yard;
    uint64_t version; /* of "$dead", up to which it is folded */
};

static stele_store *store_of(struct stele__graves *graves)
{
    return atomic_load(&graves->store);
}

/* --- Choosing ----------------------------------------------------------------------------- */

/* Under the mutex. */
static stele_status fold(struct stele__graves *graves, stele_error **error)
{
    stele_store *store = store_of(graves);

    return store ? stele__dead_fold(store, &graves->yard, &graves->version, error) : STELE_OK;
}

static stele_status choose_on_bus(stele_bus *bus, const struct stele_dead_query *query, struct stele__choice *choice,
                                  stele_error **error)
{
    struct stele__graves *graves = stele__bus_graves(bus);
    struct stele_dead_query wanted;
    stele_status status = stele__choice_query(query, &wanted, error);

    if (status != STELE_OK)
        return status;
    choice->store = store_of(graves);
    pthread_mutex_lock(&graves->mutex);
    status = fold(graves, error);
    if (status == STELE_OK)
        status = stele__choice_take(choice, &graves->yard, &wanted, error);
    pthread_mutex_unlock(&graves->mutex);
    return status;
}

/* --- Listing ------------------------------------------------------------------------------- */

stele_status stele_dead_list(stele_bus *bus, const struct stele_dead_query *query, stele_dead_visit *visit,
                             void *context, stele_error **error)
{
    struct stele__choice choice = {.store = NULL};
    stele_status status;

    if (!stele__bus_is_usable(bus))
        return stele__bus_fail_unusable(bus, error);
    if (!visit)
        return stele__fail_argument(error, "visit", "is NULL");
    status = choose_on_bus(bus, query, &choice, error);
    if (status == STELE_OK)
        stele__choice_show(&choice, visit, context);
    stele__choice_fini(&choice);
    return status;
}

/* --- Marking ------------------------------------------------------------------------------- */

/* Mark what is chosen and known to this bus alone; returns how many. */
static size_t mark_local(struct stele__graves *graves, const struct stele__choice *choice, enum stele__dead_mark mark)
{
    size_t count = 0;

    pthread_mutex_lock(&graves->mutex);
    for (size_t i = 0; i < choice->count; i++) {
        const struct stele_dead_letter *letter = &choice->all[i].letter;
        struct stele__grave *grave =
            choice->all[i].is_local ? stele__yard_find(&graves->yard, letter->route, letter->id) : NULL;

        if (!grave)
            continue;
        count++;
        if (mark == STELE__DEAD_REQUEUED)
            stele__yard_set_requeued(&graves->yard, grave, true);
        else
            stele__yard_remove(&graves->yard, grave);
    }
    pthread_mutex_unlock(&graves->mutex);
    return count;
}

static stele_status mark_on_bus(stele_bus *bus, const struct stele__choice *choice, enum stele__dead_mark mark,
                                uint64_t *count, stele_error **error)
{
    struct stele__graves *graves = stele__bus_graves(bus);
    size_t stored = 0;
    const size_t local = mark_local(graves, choice, mark);
    const stele_status status = stele__choice_mark(choice, mark, &stored, error);

    if (count)
        *count = local + stored;
    stele__graves_look(graves);
    return status;
}

stele_status stele_dead_drop(stele_bus *bus, const struct stele_dead_query *query, uint64_t *count, stele_error **error)
{
    struct stele__choice choice = {.store = NULL};
    stele_status status;

    if (!stele__bus_is_usable(bus))
        return stele__bus_fail_unusable(bus, error);
    status = choose_on_bus(bus, query, &choice, error);
    if (status == STELE_OK)
        status = mark_on_bus(bus, &choice, STELE__DEAD_DROPPED, count, error);
    stele__choice_fini(&choice);
    return status;
}

/* Leave out the letters of routes that are gone; `*missing` is the name of one of these, in the arena. */
static void leave_out(stele_bus *bus, struct stele__choice *choice, const char **missing)
{
    size_t left = 0;

    for (size_t i = 0; i < choice->count; i++) {
        struct stele__route *route = stele__bus_route(bus, choice->all[i].letter.route);

        if (route) {
            stele__route_unref(route);
            choice->all[left++] = choice->all[i];
        } else {
            *missing = choice->all[i].letter.route;
            stele_message_unref(choice->all[i].message);
        }
    }
    choice->count = left;
}

static stele_status fail_missing(const char *route, stele_error **error)
{
    stele__fail(error, STELE_NOT_FOUND, "there is no route \"%s\" to requeue its letters to", route);
    stele__error_add(error, "route", "%s", route);
    return STELE_NOT_FOUND;
}

stele_status stele_dead_requeue(stele_bus *bus, const struct stele_dead_query *query, uint64_t *count,
                                stele_error **error)
{
    struct stele__choice choice = {.store = NULL};
    const char *missing = NULL;
    stele_status status;

    if (!stele__bus_is_usable(bus))
        return stele__bus_fail_unusable(bus, error);
    status = choose_on_bus(bus, query, &choice, error);
    if (status == STELE_OK) {
        leave_out(bus, &choice, &missing);
        status = mark_on_bus(bus, &choice, STELE__DEAD_REQUEUED, count, error);
    }
    if (status == STELE_OK && missing)
        status = fail_missing(missing, error);
    stele__choice_fini(&choice);
    return status;
}

/* --- Handing to routes again ------------------------------------------------------------------ */

struct redelivery {
    struct stele__graves *graves;
    struct redelivery *next;
    struct stele__dead_name name; /* behind the struct */
    size_t allocated;
    uint64_t position, version;
    stele_message *message; /* NULL: in the store */
};

static void free_redelivery(struct redelivery *redelivery)
{
    stele_message_unref(redelivery->message);
    stele__free(redelivery, redelivery->allocated);
}

static struct redelivery *new_redelivery(struct stele__graves *graves, const struct stele__grave *grave)
{
    const size_t size = sizeof(struct redelivery) + grave->key_size;
    struct redelivery *redelivery = stele__alloc(size);
    char *key = (char *)(redelivery + 1);

    if (!redelivery)
        return NULL;
    redelivery->allocated = size;
    redelivery->graves = graves;
    memcpy(key, grave->key, grave->key_size);
    redelivery->name = (struct stele__dead_name){key, key + strlen(key) + 1};
    redelivery->position = grave->letter.position;
    redelivery->version = grave->version;
    if (grave->message && !(redelivery->message = stele_message_ref(grave->message))) {
        free_redelivery(redelivery);
        return NULL;
    }
    return redelivery;
}

/* Under the mutex: what is to be delivered, in order; where memory is out, a later look finds the rest. */
static struct redelivery *collect(struct stele__graves *graves)
{
    struct redelivery *first = NULL;
    struct redelivery **end = &first;

    if (graves->yard.requeued == 0)
        return NULL;
    for (struct stele__grave *grave = graves->yard.first; grave; grave = grave->next) {
        if (!grave->letter.is_requeued || grave->is_delivering)
            continue;
        *end = new_redelivery(graves, grave);
        if (!*end)
            break;
        grave->is_delivering = true;
        end = &(*end)->next;
    }
    return first;
}

/* Its route does not have it any more. */
static void let_go(struct stele__graves *graves, const struct stele__dead_name *name)
{
    struct stele__grave *grave;

    pthread_mutex_lock(&graves->mutex);
    grave = stele__yard_find(&graves->yard, name->route, name->id);
    if (grave)
        grave->is_delivering = false;
    pthread_mutex_unlock(&graves->mutex);
}

/* It was dealt with. True if the store is to be told: until it is, nobody else takes the letter. */
static bool is_to_be_told(struct stele__graves *graves, const struct stele__dead_name *name)
{
    struct stele__grave *grave;
    bool is_open;

    pthread_mutex_lock(&graves->mutex);
    grave = stele__yard_find(&graves->yard, name->route, name->id);
    is_open = grave && grave->letter.is_requeued;
    if (is_open && grave->is_local) {
        stele__yard_remove(&graves->yard, grave);
        is_open = false;
    }
    pthread_mutex_unlock(&graves->mutex);
    return is_open;
}

static void say_not_written(const struct stele__dead_name *name, const stele_error *why)
{
    STELE__LOG(STELE_LOG_WARNING, "a requeued dead letter was handled, but that cannot be written down",
               {"route", name->route}, {"id", name->id}, {"why", stele_error_message(why)});
}

static void tell_store(struct stele__graves *graves, const struct stele__dead_name *name)
{
    stele_error *why = NULL;
    size_t done;

    if (stele__dead_write_marks(store_of(graves), STELE__DEAD_HANDLED, name, 1, &done, &why) != STELE_OK)
        say_not_written(name, why);
    stele_error_free(why);
    pthread_mutex_lock(&graves->mutex);
    fold(graves, NULL);
    pthread_mutex_unlock(&graves->mutex);
}

/* It was handled; or it failed, and the route's policy has buried it again, or forgotten it. */
static void settled(void *context, stele_status status)
{
    struct redelivery *redelivery = context;
    struct stele__graves *graves = redelivery->graves;

    if (status != STELE_CANCELLED && status != STELE_SHUTDOWN && is_to_be_told(graves, &redelivery->name))
        tell_store(graves, &redelivery->name);
    let_go(graves, &redelivery->name);
    free_redelivery(redelivery);
}

/* What the store has lost will not be there at the next look either; the rest may. */
static bool is_for_good(stele_status status)
{
    return status == STELE_CORRUPT || status == STELE_NOT_FOUND;
}

/* False if it is to be tried again. */
static bool redeliver(struct redelivery *redelivery)
{
    struct stele__graves *graves = redelivery->graves;
    struct stele__route *route = stele__bus_route(graves->bus, redelivery->name.route);
    stele_message *message = redelivery->message;
    stele_error *why = NULL;
    stele_status status = STELE_OK;

    /* A route may be added later. */
    if (!route) {
        let_go(graves, &redelivery->name);
        free_redelivery(redelivery);
        return true;
    }
    redelivery->message = NULL;
    if (!message)
        status = stele__dead_message(store_of(graves), redelivery->name.id, redelivery->position, redelivery->version,
                                     &message, &why);
    if (status == STELE_OK)
        status = stele__route_deliver(route, message, settled, redelivery, &why);
    /* It stays marked as being delivered, so that nobody tries again. */
    if (status != STELE_OK && !is_for_good(status))
        let_go(graves, &redelivery->name);
    if (status != STELE_OK) {
        STELE__LOG(STELE_LOG_WARNING, "a dead letter cannot be handed to its route again",
                   {"route", redelivery->name.route}, {"id", redelivery->name.id}, {"why", stele_error_message(why)});
        free_redelivery(redelivery);
    }
    stele_error_free(why);
    stele_message_unref(message);
    stele__route_unref(route);
    return status == STELE_OK || is_for_good(status);
}

bool stele__graves_look(struct stele__graves *graves)
{
    struct redelivery *next;
    stele_error *why = NULL;
    stele_status status;
    bool is_done;

    pthread_mutex_lock(&graves->mutex);
    status = fold(graves, &why);
    next = collect(graves);
    pthread_mutex_unlock(&graves->mutex);
    if (status != STELE_OK)
        STELE__LOG(STELE_LOG_WARNING, "dead letters cannot be read", {"why", stele_error_message(why)});
    stele_error_free(why);
    is_done = status == STELE_OK;
    while (next) {
        struct redelivery *redelivery = next;

        next = redelivery->next;
        is_done = redeliver(redelivery) && is_done;
    }
    return is_done;
}

/* --- Burying --------------------------------------------------------------------------------- */

/* Under the mutex: the oldest of those that only this process knows goes first. */
static void make_room(struct stele__graves *graves)
{
    struct stele__grave *grave = graves->yard.first;

    if (store_of(graves))
        return;
    while (grave && graves->yard.graves.count > graves->capacity) {
        struct stele__grave *next = grave->next;

        if (!grave->is_delivering)
            stele__yard_remove(&graves->yard, grave);
        grave = next;
    }
}

static void bury_here(struct stele__graves *graves, struct stele__burial *burial, const stele_message *message)
{
    bool buried = false;

    burial->is_local = true;
    burial->message = stele_message_ref(message);
    if (burial->message) {
        pthread_mutex_lock(&graves->mutex);
        buried = stele__yard_bury(&graves->yard, burial);
        make_room(graves);
        pthread_mutex_unlock(&graves->mutex);
    }
    if (buried)
        return;
    stele_message_unref(burial->message);
    STELE__LOG(STELE_LOG_ERROR, "out of memory: a dead letter is lost", {"route", burial->route}, {"id", burial->id},
               {"code", burial->code}, {"text", burial->text});
}

void stele__graves_bury(struct stele__graves *graves, const char *route, const stele_message *message,
                        stele_status status, const char *text, unsigned attempts)
{
    char id[STELE__LETTER_ID_MAX + 1], type[STELE_TYPE_MAX + 1];
    struct stele__burial burial = {
        .route = route,
        .id = id,
        .type = type,
        .code = stele_status_name(status),
        .text = text ? text : "",
        .attempts = attempts,
        .time = stele__bus_now(graves->bus),
    };
    stele_store *store = store_of(graves);
    stele_error *why = NULL;

    stele__letter_id(message, id);
    snprintf(type, sizeof(type), "%.*s", STELE_SLICE(stele_message_type(message)));
    if (!store) {
        bury_here(graves, &burial, message);
        return;
    }
    if (stele__dead_write_burial(store, &burial, message, &why) == STELE_OK) {
        pthread_mutex_lock(&graves->mutex);
        fold(graves, NULL);
        pthread_mutex_unlock(&graves->mutex);
        return;
    }
    STELE__LOG(STELE_LOG_ERROR, "the store refuses a dead letter: it is kept in memory", {"route", route}, {"id", id},
               {"why", stele_error_message(why)});
    stele_error_free(why);
    bury_here(graves, &burial, message);
}

/* --- The graves of a bus ----------------------------------------------------------------------- */

stele_status stele__graves_new(stele_bus *bus, size_t capacity, struct stele__graves **out, stele_error **error)
{
    struct stele__graves *graves = stele__alloc(sizeof(*graves));

    if (!graves || pthread_mutex_init(&graves->mutex, NULL) != 0) {
        stele__free(graves, sizeof(*graves));
        return stele__fail_memory(error);
    }
    graves->bus = bus;
    graves->capacity = capacity ? capacity : CAPACITY_DEFAULT;
    atomic_init(&graves->store, NULL);
    stele__yard_init(&graves->yard);
    *out = graves;
    return STELE_OK;
}

void stele__graves_free(struct stele__graves *graves)
{
    if (!graves)
        return;
    stele__yard_fini(&graves->yard);
    pthread_mutex_destroy(&graves->mutex);
    stele__free(graves, sizeof(*graves));
}

stele_status stele__graves_follow(struct stele__graves *graves, stele_store *store, stele_error **error)
{
    struct stele__follower *follower = stele__bus_follower(graves->bus);
    stele_status status;

    pthread_mutex_lock(&graves->mutex);
    status = stele__dead_fold(store, &graves->yard, &graves->version, error);
    if (status == STELE_OK)
        atomic_store(&graves->store, store);
    pthread_mutex_unlock(&graves->mutex);
    if (status == STELE_OK && follower)
        stele__follower_look(follower);
    return status;
}

uint64_t stele__graves_count(struct stele__graves *graves)
{
    uint64_t count;

    pthread_mutex_lock(&graves->mutex);
    count = stele__yard_count(&graves->yard);
    pthread_mutex_unlock(&graves->mutex);
    return count;
}
