/*
 * The stream "$subscriptions".
 *
 *     paused, goes on, failed, detached ─► stele.subscription.moved ─► folded: the last one of each name
 *
 * Few are written: nothing is while a subscription just runs. A damaged row, and
 * one that cannot be read, are logged and passed over.
 *
 * What can fail: the store, memory.
 */
#include "store/subscribed.h"

#include "base/arena.h"
#include "base/error.h"
#include "base/log.h"
#include "base/map.h"
#include "base/text.h"
#include "base/vector.h"
#include "store/dead_log.h"
#include "store/subscription.h"

#include <stdlib.h>
#include <string.h>

#define STREAM "$subscriptions"

enum { STATES_AT_ONCE = 64 };

#define MOVED(FIELD, T) \
    FIELD(T, TEXT, name) \
    FIELD(T, TEXT, state) \
    FIELD(T, OPTIONAL(TEXT), code) \
    FIELD(T, OPTIONAL(TEXT), text) \
    FIELD(T, UINT64, at)
STELE_DECLARE(stele__subscription_moved, MOVED);
STELE_DEFINE_EVENT(stele__subscription_moved, "stele.subscription.moved", 1, MOVED);

/* --- Writing --------------------------------------------------------------------------------- */

static stele_status make_event(stele_store *store, const struct stele__subscribed_state *state, stele_message **out,
                               stele_error **error)
{
    const struct stele__subscription_moved moved = {.name = state->name,
                                                    .state = stele_subscription_state_name(state->state),
                                                    .code = state->code,
                                                    .text = state->text,
                                                    .at = state->at};
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);

    options.has_time = true;
    options.time = store->clock->now(store->clock->context);
    return stele__subscription_moved_message(&moved, &options, out, error);
}

static stele_status write_some(stele_store *store, const struct stele__subscribed_state *states, size_t count,
                               stele_error **error)
{
    struct stele_write writes[STATES_AT_ONCE];
    stele_message *events[STATES_AT_ONCE] = {NULL};
    const struct stele_batch batch = {.writes = writes, .write_count = count};
    stele_status status = STELE_OK;

    for (size_t i = 0; i < count && status == STELE_OK; i++) {
        status = make_event(store, &states[i], &events[i], error);
        writes[i] = (struct stele_write){STREAM, events[i]};
    }
    if (status == STELE_OK)
        status = stele__store_append_own(store, &batch, error);
    for (size_t i = 0; i < count; i++)
        stele_message_unref(events[i]);
    return status;
}

stele_status stele__subscribed_write(stele_store *store, const struct stele__subscribed_state *states, size_t count,
                                     stele_error **error)
{
    stele_status status = STELE_OK;

    for (size_t done = 0; status == STELE_OK && done < count; done += STATES_AT_ONCE)
        status = write_some(store, states + done, count - done < STATES_AT_ONCE ? count - done : STATES_AT_ONCE, error);
    return status;
}

/* --- Reading --------------------------------------------------------------------------------- */

/* Told of each state that is recorded, in order, with its time; false ends it with `no_memory`. */
typedef bool take_state(void *context, const struct stele__subscribed_state *state, int64_t time);

static bool read_event(const stele_message *event, stele_arena *arena, struct stele__subscribed_state *out)
{
    struct stele__subscription_moved moved;
    stele_error *why = NULL;

    if (!stele_message_is(event, &stele__subscription_moved_type))
        return false;
    /* No subscription has a name that is none, and none could be recorded as detached. */
    if (stele__subscription_moved_read(event, arena, &moved, &why) != STELE_OK ||
        stele__name_check(stele__slice(moved.name), "name", STELE_CHECKPOINT_MAX, &why) != STELE_OK ||
        !stele__subscription_find_state(moved.state, &out->state)) {
        STELE__LOG(STELE_LOG_ERROR, "a recorded state of a subscription cannot be read, and is passed over",
                   {"why", why ? stele_error_message(why) : "no such state"});
        stele_error_free(why);
        return false;
    }
    /* Nothing else is ever recorded, whatever an imported log may say. */
    if (out->state != STELE_SUBSCRIPTION_PAUSED && out->state != STELE_SUBSCRIPTION_FAILED &&
        out->state != STELE_SUBSCRIPTION_DETACHED)
        out->state = STELE_SUBSCRIPTION_CATCHING_UP;
    out->name = moved.name;
    out->code = moved.code;
    out->text = moved.text;
    out->at = moved.at;
    return true;
}

static stele_status fold(stele_store *store, take_state *take, void *context, stele_error **error)
{
    const struct stele_query query = {.size = sizeof(query), .stream = STREAM};
    struct stele__subscribed_state state;
    stele_cursor *cursor = NULL;
    stele_arena *arena = NULL;
    const stele_message *event = NULL;
    stele_status status = stele_read(store, &query, &cursor, error);

    if (status == STELE_OK)
        status = stele_arena_new(&arena, error);
    while (status == STELE_OK) {
        stele_error *why = NULL;

        status = stele_cursor_next(cursor, &event, &why);
        if (status == STELE_CORRUPT) {
            STELE__LOG(STELE_LOG_ERROR, "a recorded state of a subscription is damaged, and is passed over",
                       {"why", stele_error_message(why)});
            stele_error_free(why);
            status = STELE_OK;
            continue;
        }
        if (status != STELE_OK && error)
            *error = why;
        else
            stele_error_free(why);
        if (status != STELE_OK || !event)
            break;
        if (read_event(event, arena, &state) && !take(context, &state, stele_message_time(event)))
            status = stele__fail_memory(error);
        stele_arena_reset(arena);
    }
    stele_arena_free(arena);
    stele_cursor_close(cursor);
    return status;
}

struct wanted {
    stele_arena *arena;
    struct stele__subscribed_state *state;
};

/* The texts of the last one stay. NULL where there is none; false when memory is out. */
static bool keep(stele_arena *arena, const char *text, const char **out)
{
    const size_t size = text ? strlen(text) + 1 : 0;
    char *copy = text ? stele__arena_alloc(arena, size) : NULL;

    if (copy)
        memcpy(copy, text, size);
    *out = copy;
    return copy || !text;
}

static bool take_one(void *context, const struct stele__subscribed_state *state, int64_t time)
{
    struct wanted *wanted = context;

    (void)time;
    if (strcmp(state->name, wanted->state->name) != 0)
        return true;
    wanted->state->state = state->state;
    wanted->state->at = state->at;
    return keep(wanted->arena, state->code, &wanted->state->code) &&
           keep(wanted->arena, state->text, &wanted->state->text);
}

stele_status stele__subscribed_read(stele_store *store, const char *name, stele_arena *arena,
                                    struct stele__subscribed_state *out, stele_error **error)
{
    struct wanted wanted = {arena, out};

    *out = (struct stele__subscribed_state){.name = name, .state = STELE_SUBSCRIPTION_CATCHING_UP};
    return fold(store, take_one, &wanted, error);
}

stele_status stele__subscribed_fail_detached(const char *name, stele_error **error)
{
    stele__fail(error, STELE_CONFLICT, "subscription \"%s\" is detached: its code was said to be gone; attach it first",
                name);
    stele__error_add(error, "subscription", "%s", name);
    stele__error_add(error, "state", "detached");
    return STELE_CONFLICT;
}

stele_status stele__subscribed_check(stele_store *store, const char *name, stele_error **error)
{
    struct stele__subscribed_state state;
    stele_arena *arena = NULL;
    stele_status status = stele_arena_new(&arena, error);

    if (status == STELE_OK)
        status = stele__subscribed_read(store, name, arena, &state, error);
    if (status == STELE_OK && state.state == STELE_SUBSCRIPTION_DETACHED)
        status = stele__subscribed_fail_detached(name, error);
    stele_arena_free(arena);
    return status;
}

/* --- All of them -------------------------------------------------------------------------------- */

/* A subscription, as it is gathered from its checkpoint, its recorded states and the dead letters. */
struct known {
    struct stele_subscription_record record; /* its texts are in the arena */
    bool is_recorded;                        /* `record.state` is the last recorded one */
};

struct gathering {
    stele_arena *arena;
    struct stele__map names;     /* of struct known */
    struct stele__vector sorted; /* struct known * */
    bool no_memory;
};

static struct known *find_known(struct gathering *gathering, const char *name)
{
    struct known *known = stele__map_get(&gathering->names, stele__slice(name));
    struct known **slot = NULL;

    if (known)
        return known;
    known = stele__arena_alloc(gathering->arena, sizeof(*known));
    if (known) {
        *known = (struct known){.record = {.state = STELE_SUBSCRIPTION_CATCHING_UP, .code = "", .text = ""}};
        if (keep(gathering->arena, name, &known->record.name))
            slot = stele__vector_add(&gathering->sorted);
    }
    if (slot)
        *slot = known;
    if (!slot || !stele__map_put(&gathering->names, stele__slice(known->record.name), known)) {
        gathering->no_memory = true;
        return NULL;
    }
    return known;
}

static bool take_checkpoint(void *context, const struct stele_checkpoint *checkpoint)
{
    struct known *known = find_known(context, checkpoint->name);

    if (!known)
        return false;
    known->record.position = checkpoint->position;
    known->record.time = checkpoint->time;
    return true;
}

static bool take_recorded(void *context, const struct stele__subscribed_state *state, int64_t time)
{
    struct gathering *gathering = context;
    struct known *known = find_known(gathering, state->name);

    if (!known)
        return false;
    known->is_recorded = state->state != STELE_SUBSCRIPTION_CATCHING_UP;
    known->record.state = state->state;
    known->record.at = state->at;
    if (known->record.time == 0)
        known->record.time = time;
    return keep(gathering->arena, state->code ? state->code : "", &known->record.code) &&
           keep(gathering->arena, state->text ? state->text : "", &known->record.text);
}

/* Letters of a route that has no checkpoint are no subscription's. */
static void count_parked(struct gathering *gathering, const struct stele__yard *yard)
{
    for (const struct stele__grave *grave = yard->first; grave; grave = grave->next) {
        struct known *known = stele__map_get(&gathering->names, stele__slice(grave->letter.route));

        if (known && !grave->letter.is_requeued)
            known->record.parked++;
    }
}

static int by_name(const void *left, const void *right)
{
    const struct known *const *one = left;
    const struct known *const *other = right;

    return strcmp((*one)->record.name, (*other)->record.name);
}

static void complete(struct gathering *gathering, uint64_t head)
{
    for (size_t i = 0; i < gathering->sorted.count; i++) {
        struct known *known = *(struct known **)stele__vector_at(&gathering->sorted, i);
        struct stele_subscription_record *record = &known->record;

        record->head = head;
        record->lag = head > record->position ? head - record->position : 0;
        if (!known->is_recorded && record->lag == 0)
            record->state = STELE_SUBSCRIPTION_LIVE;
    }
    if (gathering->sorted.count > 1)
        qsort(gathering->sorted.items, gathering->sorted.count, gathering->sorted.item_size, by_name);
}

static stele_status gather_letters(stele_store *store, struct gathering *gathering, stele_error **error)
{
    struct stele__yard yard;
    uint64_t version = 0;
    stele_status status;

    stele__yard_init(&yard);
    status = stele__dead_fold(store, &yard, &version, error);
    if (status == STELE_OK)
        count_parked(gathering, &yard);
    stele__yard_fini(&yard);
    return status;
}

/* The last position that a subscription is shown: those of the library's own events are nobody's lag. */
static stele_status find_head(stele_store *store, uint64_t *head, stele_error **error)
{
    const struct stele_query query = {.size = sizeof(query), .backwards = true};
    const stele_message *event = NULL;
    stele_cursor *cursor = NULL;
    stele_error *why = NULL;
    stele_status status = stele_read(store, &query, &cursor, error);

    *head = 0;
    if (status != STELE_OK)
        return status;
    /* A damaged row says nothing of whose it is: the next one does. */
    do {
        stele_error_free(why);
        why = NULL;
        status = stele_cursor_next(cursor, &event, &why);
    } while (status == STELE_CORRUPT ||
             (status == STELE_OK && event && stele__stream_is_own(stele_message_stream(event))));
    if (status == STELE_OK && event)
        *head = stele_message_position(event);
    stele_cursor_close(cursor);
    if (error)
        *error = why;
    else
        stele_error_free(why);
    return status;
}

/* In any case to be ended with finish_gathering(). */
static stele_status gather(stele_store *store, struct gathering *gathering, stele_error **error)
{
    uint64_t head = 0;
    stele_status status;

    *gathering = (struct gathering){NULL};
    stele__map_init(&gathering->names);
    stele__vector_init(&gathering->sorted, sizeof(struct known *));
    status = stele_arena_new(&gathering->arena, error);
    if (status == STELE_OK)
        status = stele_checkpoint_list(store, take_checkpoint, gathering, error);
    if (status == STELE_OK && gathering->no_memory)
        status = stele__fail_memory(error);
    if (status == STELE_OK)
        status = fold(store, take_recorded, gathering, error);
    if (status == STELE_OK)
        status = gather_letters(store, gathering, error);
    if (status == STELE_OK)
        status = find_head(store, &head, error);
    if (status == STELE_OK)
        complete(gathering, head);
    return status;
}

static void finish_gathering(struct gathering *gathering)
{
    stele__map_fini(&gathering->names);
    stele__vector_fini(&gathering->sorted);
    stele_arena_free(gathering->arena);
}

stele_status stele_subscriptions_visit(stele_store *store, stele_subscription_visit *visit, void *context,
                                       stele_error **error)
{
    struct gathering gathering;
    stele_status status = stele__store_check(store, error);

    if (status == STELE_OK && !visit)
        status = stele__fail_argument(error, "visit", "is NULL");
    if (status != STELE_OK)
        return status;
    status = gather(store, &gathering, error);
    for (size_t i = 0; status == STELE_OK && i < gathering.sorted.count; i++) {
        const struct known *known = *(struct known **)stele__vector_at(&gathering.sorted, i);

        if (!visit(context, &known->record))
            break;
    }
    finish_gathering(&gathering);
    return status;
}

/* --- Detaching ------------------------------------------------------------------------------------ */

static bool is_named(const char *const *names, const char *name)
{
    for (; *names; names++)
        if (strcmp(*names, name) == 0)
            return true;
    return false;
}

/* What runs on this handle is known, whether it has written something yet or not. */
static bool add_running(stele_store *store, struct gathering *gathering)
{
    bool is_whole = true;

    pthread_mutex_lock(&store->subscribed.mutex);
    for (const stele_subscription *each = store->subscribed.first; each && is_whole; each = each->next)
        is_whole = find_known(gathering, each->subscriber->name) != NULL;
    pthread_mutex_unlock(&store->subscribed.mutex);
    return is_whole;
}

/* The running ones among those that are detached stop; others, and who began meanwhile, are not touched. False if there was
 * none. */
static bool stop_running(stele_store *store, const struct gathering *gathering, const char *const *names)
{
    bool has_stopped = false;

    pthread_mutex_lock(&store->subscribed.mutex);
    for (stele_subscription *each = store->subscribed.first; each; each = each->next) {
        const char *name = each->subscriber->name;

        if (!is_named(names, name) && stele__map_get(&gathering->names, stele__slice(name)))
            has_stopped = stele__subscription_detach(each) || has_stopped;
    }
    pthread_mutex_unlock(&store->subscribed.mutex);
    return has_stopped;
}

/* Record that those who are not named are detached. */
static stele_status write_gone(stele_store *store, const struct gathering *gathering, const char *const *names,
                               uint64_t *count, stele_error **error)
{
    struct stele__subscribed_state *gone;

    *count = 0;
    if (gathering->sorted.count == 0)
        return STELE_OK;
    gone = stele__arena_array(gathering->arena, gathering->sorted.count, sizeof(*gone));
    if (!gone)
        return stele__fail_memory(error);
    for (size_t i = 0; i < gathering->sorted.count; i++) {
        const struct stele_subscription_record *record =
            &(*(struct known **)stele__vector_at(&gathering->sorted, i))->record;

        if (record->state != STELE_SUBSCRIPTION_DETACHED && !is_named(names, record->name))
            gone[(*count)++] =
                (struct stele__subscribed_state){.name = record->name, .state = STELE_SUBSCRIPTION_DETACHED};
    }
    return stele__subscribed_write(store, gone, *count, error);
}

static stele_status detach_others(stele_store *store, const char *const *names, uint64_t *count, bool *has_stopped,
                                  stele_error **error)
{
    struct gathering gathering;
    stele_status status = gather(store, &gathering, error);

    if (status == STELE_OK && !add_running(store, &gathering))
        status = stele__fail_memory(error);
    if (status == STELE_OK)
        status = write_gone(store, &gathering, names, count, error);
    if (status == STELE_OK)
        *has_stopped = stop_running(store, &gathering, names);
    finish_gathering(&gathering);
    return status;
}

stele_status stele_subscriptions_keep(stele_store *store, const char *const *names, uint64_t *detached,
                                      stele_error **error)
{
    uint64_t count = 0, again = 0;
    bool has_stopped = false;
    stele_status status = stele__store_check_writable(store, error);

    if (status == STELE_OK && !names)
        status = stele__fail_argument(error, "names", "is NULL");
    if (status == STELE_OK)
        status = detach_others(store, names, &count, &has_stopped, error);
    /* One that ran may have recorded another state behind it, before it was stopped. */
    while (status == STELE_OK && has_stopped)
        status = detach_others(store, names, &again, &has_stopped, error);
    if (status == STELE_OK && detached)
        *detached = count;
    return status;
}

stele_status stele_subscription_attach(stele_store *store, const char *name, stele_error **error)
{
    struct stele__subscribed_state state = {.state = STELE_SUBSCRIPTION_CATCHING_UP};
    const struct known *known = NULL;
    struct gathering gathering;
    stele_status status = stele__store_check_writable(store, error);

    if (status == STELE_OK && !name)
        status = stele__fail_argument(error, "name", "is NULL");
    if (status != STELE_OK)
        return status;
    status = gather(store, &gathering, error);
    if (status == STELE_OK) {
        known = stele__map_get(&gathering.names, stele__slice(name));
        if (!known) {
            status = stele__fail(error, STELE_NOT_FOUND, "there is no subscription \"%s\"", name);
            stele__error_add(error, "subscription", "%s", name);
        }
    }
    state.name = name;
    if (known && known->record.state == STELE_SUBSCRIPTION_DETACHED)
        status = stele__subscribed_write(store, &state, 1, error);
    finish_gathering(&gathering);
    return status;
}
