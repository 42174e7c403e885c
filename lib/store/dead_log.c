/*
 * The stream "$dead".
 *
 *     bury    -> stele.dead.buried: why, how often, and the message, by position or as CloudEvents JSON
 *     requeue -> stele.dead.requeued: a mark for the bus that has the route
 *     handled, or dropped by somebody -> stele.dead.dropped
 *
 * What can fail: the store; a message too large to be kept as a whole.
 */
#include "store/dead_log.h"

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "store/store.h"

#include <stele/cloudevents.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define STREAM "$dead"

enum { MARKS_AT_ONCE = 64 };

#define DEAD_BURIED(FIELD, T) \
    FIELD(T, TEXT, route) \
    FIELD(T, TEXT, id) \
    FIELD(T, TEXT, type) \
    FIELD(T, TEXT, code) \
    FIELD(T, TEXT, text) \
    FIELD(T, UINT64, attempts) \
    FIELD(T, UINT64, position) /* 0: in `message` */ \
    FIELD(T, OPTIONAL(BYTES), message)
STELE_DECLARE(stele__dead_buried, DEAD_BURIED);
STELE_DEFINE_EVENT(stele__dead_buried, "stele.dead.buried", 1, DEAD_BURIED);

#define DEAD_REQUEUED(FIELD, T) \
    FIELD(T, TEXT, route) \
    FIELD(T, TEXT, id)
STELE_DECLARE(stele__dead_requeued, DEAD_REQUEUED);
STELE_DEFINE_EVENT(stele__dead_requeued, "stele.dead.requeued", 1, DEAD_REQUEUED);

#define DEAD_DROPPED(FIELD, T) \
    FIELD(T, TEXT, route) \
    FIELD(T, TEXT, id) \
    FIELD(T, BOOL, handled) /* by its route, after it was requeued */
STELE_DECLARE(stele__dead_dropped, DEAD_DROPPED);
STELE_DEFINE_EVENT(stele__dead_dropped, "stele.dead.dropped", 1, DEAD_DROPPED);

/* --- Folding --------------------------------------------------------------------------- */

static stele_status fold_burial(struct stele__yard *yard, const stele_message *event, stele_arena *arena,
                                stele_error **error)
{
    struct stele__dead_buried buried;
    struct stele__burial burial;
    bool is_let_in = true;
    stele_status status = stele__dead_buried_read(event, arena, &buried, error);

    if (status != STELE_OK || (yard->only && strcmp(yard->only, buried.route) != 0))
        return status;
    /* No mark would find it. */
    if (strlen(buried.route) > STELE_TYPE_MAX || strlen(buried.id) > STELE__LETTER_ID_MAX)
        return stele__fail(error, STELE_CORRUPT, "a dead letter has a route or an id of impossible length");
    burial = (struct stele__burial){
        .route = buried.route,
        .id = buried.id,
        .type = buried.type,
        .code = buried.code,
        .text = buried.text,
        .attempts = buried.attempts,
        .position = buried.position,
        .version = buried.position ? 0 : stele_message_version(event),
        .said_at = stele_message_version(event),
        .time = stele_message_time(event),
    };
    if (yard->gate)
        status = yard->gate(yard->gate_context, &burial, &is_let_in, error);
    if (status == STELE_OK && is_let_in && !stele__yard_bury(yard, &burial))
        status = stele__fail_memory(error);
    return status;
}

static stele_status fold_requeued(struct stele__yard *yard, const stele_message *event, stele_arena *arena,
                                  stele_error **error)
{
    struct stele__dead_requeued requeued;
    const stele_status status = stele__dead_requeued_read(event, arena, &requeued, error);
    struct stele__grave *grave = status == STELE_OK ? stele__yard_find(yard, requeued.route, requeued.id) : NULL;

    if (grave)
        stele__yard_set_requeued(yard, grave, true);
    return status;
}

static stele_status fold_dropped(struct stele__yard *yard, const stele_message *event, stele_arena *arena,
                                 stele_error **error)
{
    struct stele__dead_dropped dropped;
    const stele_status status = stele__dead_dropped_read(event, arena, &dropped, error);
    struct stele__grave *grave = status == STELE_OK ? stele__yard_find(yard, dropped.route, dropped.id) : NULL;

    if (grave)
        stele__yard_remove(yard, grave);
    return status;
}

static stele_status fold(struct stele__yard *yard, const stele_message *event, stele_arena *arena, stele_error **error)
{
    if (stele_message_is(event, &stele__dead_buried_type))
        return fold_burial(yard, event, arena, error);
    if (stele_message_is(event, &stele__dead_requeued_type))
        return fold_requeued(yard, event, arena, error);
    if (stele_message_is(event, &stele__dead_dropped_type))
        return fold_dropped(yard, event, arena, error);
    return STELE_OK;
}

static void pass_over(stele_error **error)
{
    STELE__LOG(STELE_LOG_ERROR, "an event of the dead letters cannot be read, and is passed over",
               {"why", stele_error_message(*error)});
    stele_error_free(*error);
    *error = NULL;
}

/* One event; STELE_END behind the last. */
static stele_status fold_next(stele_cursor *cursor, struct stele__yard *yard, uint64_t *version, stele_arena *arena,
                              stele_error **error)
{
    const stele_message *event = NULL;
    stele_error *why = NULL;
    stele_status status = stele_cursor_next(cursor, &event, &why);

    if (status == STELE_OK && !event)
        return STELE_END;
    if (status == STELE_OK) {
        status = fold(yard, event, arena, &why);
        stele_arena_reset(arena);
    }
    if (status == STELE_OK || (status != STELE_NO_MEMORY && event)) {
        if (why)
            pass_over(&why);
        *version = stele_message_version(event);
        return STELE_OK;
    }
    if (status == STELE_CORRUPT) {
        pass_over(&why);
        (*version)++; /* at most the one that is damaged, so that it is not met each time when it is the last */
        return STELE_OK;
    }
    if (error)
        *error = why;
    else
        stele_error_free(why);
    return status;
}

stele_status stele__dead_fold_until(stele_store *store, struct stele__yard *yard, uint64_t *version, uint64_t until,
                                    stele_error **error)
{
    const struct stele_query query = {.size = sizeof(query), .stream = STREAM, .after = *version, .until = until};
    stele_cursor *cursor = NULL;
    stele_arena *arena = NULL;
    stele_status status = stele_read(store, &query, &cursor, error);

    if (status == STELE_OK)
        status = stele_arena_new(&arena, error);
    while (status == STELE_OK)
        status = fold_next(cursor, yard, version, arena, error);
    stele_arena_free(arena);
    stele_cursor_close(cursor);
    return status == STELE_END ? STELE_OK : status;
}

stele_status stele__dead_fold(stele_store *store, struct stele__yard *yard, uint64_t *version, stele_error **error)
{
    return stele__dead_fold_until(store, yard, version, 0, error);
}

/* --- Writing ------------------------------------------------------------------------------- */

static stele_status append(stele_store *store, stele_message *const *events, size_t count, stele_error **error)
{
    struct stele_write writes[MARKS_AT_ONCE];
    const struct stele_batch batch = {.writes = writes, .write_count = count};

    for (size_t i = 0; i < count; i++)
        writes[i] = (struct stele_write){STREAM, events[i]};
    return stele__store_append_own(store, &batch, error);
}

/* True for what upcasters made of that event, in this store. */
static bool is_part_of(const stele_message *message, const stele_message *stored)
{
    return stele_message_part(message) > 0 && stele_message_position(message) == stele_message_position(stored);
}

/* Where a message is in the store; 0 if it is not. */
static stele_status find(stele_store *store, const stele_message *message, uint64_t *position, stele_error **error)
{
    char id[STELE_ID_MAX + 1];
    stele_message *stored = NULL;
    stele_error *why = NULL;
    stele_status status;

    snprintf(id, sizeof(id), "%.*s", STELE_SLICE(stele_message_id(message)));
    status = stele_find(store, id, &stored, &why);
    *position = 0;
    if (status == STELE_OK &&
        (is_part_of(message, stored) || stele__slice_equal(stele_message_type(stored), stele_message_type(message))))
        *position = stele_message_position(stored);
    stele_message_unref(stored);
    /* A damaged row is no reason to lose the message at hand. */
    if (status == STELE_OK || status == STELE_NOT_FOUND || status == STELE_CORRUPT) {
        stele_error_free(why);
        return STELE_OK;
    }
    if (error)
        *error = why;
    else
        stele_error_free(why);
    return status;
}

stele_status stele__dead_write_burial(stele_store *store, const struct stele__burial *burial,
                                      const stele_message *message, stele_error **error)
{
    struct stele_message_options options = STELE_OPTIONS_INIT(struct stele_message_options);
    struct stele__dead_buried buried = {.route = burial->route,
                                        .id = burial->id,
                                        .type = burial->type,
                                        .code = burial->code,
                                        .text = burial->text,
                                        .attempts = burial->attempts};
    stele_message *event = NULL;
    stele_arena *arena = NULL;
    stele_status status = STELE_OK;

    buried.position = burial->position;
    if (message)
        status = find(store, message, &buried.position, error);
    if (status == STELE_OK && buried.position == 0)
        status = stele_arena_new(&arena, error);
    if (status == STELE_OK && buried.position == 0)
        status = stele_cloudevent_encode(message, NULL, arena, &buried.message, error);
    options.has_time = true;
    options.time = burial->time;
    options.payload_limit = STELE_PAYLOAD_MAX;
    if (status == STELE_OK)
        status = stele__dead_buried_message(&buried, &options, &event, error);
    if (status == STELE_OK)
        status = append(store, &event, 1, error);
    stele_message_unref(event);
    stele_arena_free(arena);
    return status;
}

static stele_status make_mark(enum stele__dead_mark mark, const struct stele__dead_name *name, stele_message **out,
                              stele_error **error)
{
    const struct stele__dead_requeued requeued = {.route = name->route, .id = name->id};
    const struct stele__dead_dropped dropped = {
        .route = name->route, .id = name->id, .handled = mark == STELE__DEAD_HANDLED};

    return mark == STELE__DEAD_REQUEUED ? stele__dead_requeued_message(&requeued, NULL, out, error)
                                        : stele__dead_dropped_message(&dropped, NULL, out, error);
}

static stele_status write_some(stele_store *store, enum stele__dead_mark mark, const struct stele__dead_name *names,
                               size_t count, stele_error **error)
{
    stele_message *events[MARKS_AT_ONCE] = {NULL};
    stele_status status = STELE_OK;

    for (size_t i = 0; i < count && status == STELE_OK; i++)
        status = make_mark(mark, &names[i], &events[i], error);
    if (status == STELE_OK)
        status = append(store, events, count, error);
    for (size_t i = 0; i < count; i++)
        stele_message_unref(events[i]);
    return status;
}

stele_status stele__dead_write_marks(stele_store *store, enum stele__dead_mark mark,
                                     const struct stele__dead_name *names, size_t count, size_t *done,
                                     stele_error **error)
{
    *done = 0;
    while (*done < count) {
        const size_t left = count - *done;
        const size_t some = left < MARKS_AT_ONCE ? left : MARKS_AT_ONCE;
        const stele_status status = write_some(store, mark, names + *done, some, error);

        if (status != STELE_OK)
            return status;
        *done += some;
    }
    return STELE_OK;
}

/* --- Messages -------------------------------------------------------------------------------- */

static stele_status take_whole(const stele_message *event, stele_message **out, stele_error **error)
{
    struct stele__dead_buried buried;
    stele_arena *arena = NULL;
    stele_status status = stele_arena_new(&arena, error);

    if (status == STELE_OK)
        status = stele__dead_buried_read(event, arena, &buried, error);
    if (status == STELE_OK)
        status = stele_cloudevent_decode(buried.message, STELE_PAYLOAD_MAX, out, error);
    stele_arena_free(arena);
    return status;
}

static stele_status read_whole(stele_store *store, uint64_t version, stele_message **out, stele_error **error)
{
    const struct stele_query query = {.size = sizeof(query), .stream = STREAM, .after = version - 1, .limit = 1};
    const stele_message *event = NULL;
    stele_cursor *cursor = NULL;
    stele_status status = stele_read(store, &query, &cursor, error);

    if (status == STELE_OK)
        status = stele_cursor_next(cursor, &event, error);
    if (status == STELE_OK && !event)
        status = stele__fail(error, STELE_NOT_FOUND, "event %" PRIu64 " of stream " STREAM " is not there", version);
    if (status == STELE_OK)
        status = take_whole(event, out, error);
    stele_cursor_close(cursor);
    return status;
}

static bool has_letter_id(const stele_message *message, const char *id)
{
    char own[STELE__LETTER_ID_MAX + 1];

    stele__letter_id(message, own);
    return strcmp(own, id) == 0;
}

/* A message that was kept as a whole does not say which part it was. */
static bool has_id_of_whole(const stele_message *message, const char *id)
{
    const struct stele_slice own = stele_message_id(message);

    return stele__slice_begins_with(stele__slice(id), own) && (id[own.size] == '\0' || id[own.size] == '#');
}

/* The part of the event at `position` that a letter is about; NULL if there is none. */
static stele_status find_part(stele_store *store, const char *id, uint64_t position, stele_message **out,
                              stele_error **error)
{
    const struct stele_query query = {.size = sizeof(query), .after = position - 1, .until = position};
    const stele_message *event = NULL;
    stele_cursor *cursor = NULL;
    stele_status status = stele_read(store, &query, &cursor, error);

    *out = NULL;
    if (status == STELE_OK)
        status = stele_cursor_next(cursor, &event, error);
    while (status == STELE_OK && event && !has_letter_id(event, id))
        status = stele_cursor_next(cursor, &event, error);
    if (status == STELE_OK && event && !(*out = stele_message_ref(event)))
        status = stele__fail_memory(error);
    stele_cursor_close(cursor);
    return status;
}

stele_status stele__dead_message(stele_store *store, const char *id, uint64_t position, uint64_t version,
                                 stele_message **out, stele_error **error)
{
    stele_message *first = NULL;
    stele_message *message = NULL;
    stele_status status =
        position ? stele_find_position(store, position, &first, error) : read_whole(store, version, &first, error);

    if (status == STELE_OK && (position ? has_letter_id(first, id) : has_id_of_whole(first, id))) {
        *out = first;
        return STELE_OK;
    }
    if (status == STELE_OK && position)
        status = find_part(store, id, position, &message, error);
    if (status == STELE_OK && !message)
        status = stele__fail(error, STELE_CORRUPT, "the dead letter of message %s leads to message %.*s", id,
                             STELE_SLICE(stele_message_id(first)));
    stele_message_unref(first);
    if (status == STELE_OK)
        *out = message;
    return status;
}
