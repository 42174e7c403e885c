/*
 * Changes that are declared: renaming, dropping, adding and setting fields of
 * an encoded payload, without a type.
 *
 *     payload -> pair by pair: its name goes through all changes in turn -> body
 *             -> fields that changes add, through the changes behind them -> body
 *             -> head (the number of pairs), body
 *
 * Values are copied as they stand. Nothing is kept of the pairs but, for each
 * change, whether it found its field, so memory is bounded by the bytes. Keys
 * that are not text are nobody's field.
 *
 * What can fail: bytes that are no map (STELE_MALFORMED), a field that comes to
 * be there twice by renaming (STELE_INVALID), the size (STELE_LIMIT), memory.
 */
#include "message/upcast.h"

#include "base/error.h"
#include "base/text.h"

/* --- Compiling ----------------------------------------------------------------------- */

static stele_status fail_change(const char *why, const char *field, stele_error **error)
{
    return stele__fail(error, STELE_INVALID, "a change of \"%s\" %s", field ? field : "", why);
}

static stele_status compile_value(const struct stele_change *change, stele_arena *arena, struct stele_slice *out,
                                  stele_error **error)
{
    stele_error *cause = NULL;
    const stele_status status = stele_msgpack_from_json(stele__slice(change->json), arena, out, &cause);

    if (status == STELE_NO_MEMORY)
        stele__fail_memory(error);
    else if (status != STELE_OK)
        stele__fail(error, STELE_INVALID, "the value of \"%s\": %s", change->field, stele_error_message(cause));
    stele_error_free(cause);
    return status == STELE_OK || status == STELE_NO_MEMORY ? status : STELE_INVALID;
}

stele_status stele__change_compile(const struct stele_change *change, stele_arena *arena, struct stele__change *out,
                                   stele_error **error)
{
    const bool has_value = change->kind == STELE_CHANGE_ADD || change->kind == STELE_CHANGE_SET;

    if (change->kind < STELE_CHANGE_RENAME || change->kind > STELE_CHANGE_SET)
        return fail_change("is none of enum stele_change_kind", change->field, error);
    if (!change->field || !*change->field)
        return fail_change("names no field", change->field, error);
    if (change->kind == STELE_CHANGE_RENAME && (!change->renamed || !*change->renamed))
        return fail_change("has no new name", change->field, error);
    if (has_value && !change->json)
        return fail_change("has no value", change->field, error);
    *out = (struct stele__change){
        .kind = change->kind,
        .field = stele__slice(change->field),
        .renamed = stele__slice(change->kind == STELE_CHANGE_RENAME ? change->renamed : NULL),
    };
    return has_value ? compile_value(change, arena, &out->value, error) : STELE_OK;
}

/* --- Making ----------------------------------------------------------------------------- */

/* What a change has met so far. */
struct met {
    bool source; /* its field */
    bool target; /* a field that has the new name already */
};

struct making {
    const struct stele__change *changes;
    size_t count;
    struct met *met; /* by change */
    struct stele__buffer *body;
    uint32_t pairs;
};

/* A pair on its way through the changes. */
struct pair {
    struct stele_slice key; /* as it is encoded; absent when `name` says it better */
    struct stele_slice name;
    struct stele_slice value;
    bool dropped;
};

static void pass(const struct making *making, size_t index, struct pair *pair)
{
    const struct stele__change *change = &making->changes[index];
    struct met *met = &making->met[index];

    if (change->kind == STELE_CHANGE_RENAME && stele__slice_equal(pair->name, change->renamed))
        met->target = true;
    if (!stele__slice_equal(pair->name, change->field))
        return;
    met->source = true;
    switch (change->kind) {
    case STELE_CHANGE_RENAME:
        pair->name = change->renamed;
        pair->key.data = NULL;
        break;
    case STELE_CHANGE_DROP: pair->dropped = true; break;
    case STELE_CHANGE_SET: pair->value = change->value; break;
    case STELE_CHANGE_ADD: break;
    }
}

/* Bring a pair through the changes from `first` on, into the body. */
static void pass_all(struct making *making, size_t first, struct pair *pair)
{
    for (size_t i = first; i < making->count && !pair->dropped; i++)
        pass(making, i, pair);
    if (pair->dropped)
        return;
    if (pair->key.data)
        stele__buffer_add(making->body, pair->key.data, pair->key.size);
    else
        stele__mp_write_text(making->body, pair->name);
    stele__buffer_add(making->body, pair->value.data, pair->value.size);
    making->pairs++;
}

static stele_status read_pair(struct stele__mp_reader *reader, struct pair *pair, stele_error **error)
{
    const char *start = reader->at;
    struct stele__mp_reader key = *reader;
    struct stele__mp_token token;
    stele_status status = stele__mp_skip(reader, 1, error);

    if (status != STELE_OK)
        return status;
    *pair = (struct pair){.key = {start, (size_t)(reader->at - start)}};
    if (stele__mp_next(&key, &token, NULL) == STELE_OK && token.kind == STELE__MP_TEXT)
        pair->name = token.as.slice;
    start = reader->at;
    status = stele__mp_skip(reader, 1, error);
    pair->value = (struct stele_slice){start, (size_t)(reader->at - start)};
    return status;
}

/* A key that is not text has no name, and no change finds it: names of changes are not empty. */
static stele_status pass_payload(struct making *making, struct stele_slice payload, stele_error **error)
{
    struct stele__mp_reader reader = stele__mp_reader(payload);
    struct stele__mp_token map;
    struct pair pair;
    stele_status status = stele__mp_next(&reader, &map, error);

    if (status == STELE_OK && map.kind != STELE__MP_MAP)
        return stele__mp_malformed(&reader, payload.data, "the payload is not a map", error);
    for (uint32_t i = 0; status == STELE_OK && i < map.as.count && !making->body->failed; i++) {
        status = read_pair(&reader, &pair, error);
        if (status == STELE_OK)
            pass_all(making, 0, &pair);
    }
    if (status == STELE_OK && !making->body->failed && reader.at != reader.end)
        return stele__mp_malformed(&reader, reader.at, "bytes behind the end of the value", error);
    return status;
}

static void add_missing(struct making *making)
{
    for (size_t i = 0; i < making->count; i++) {
        const struct stele__change *change = &making->changes[i];
        struct pair pair = {.name = change->field, .value = change->value};

        if (change->value.data && !making->met[i].source)
            pass_all(making, i + 1, &pair);
    }
}

static stele_status check_renamed(const struct making *making, stele_error **error)
{
    for (size_t i = 0; i < making->count; i++) {
        const struct stele__change *change = &making->changes[i];

        if (making->met[i].source && making->met[i].target && !stele__slice_equal(change->field, change->renamed))
            return stele__fail(error, STELE_INVALID, "\"%s\" cannot become \"%s\", which is there too",
                               change->field.data, change->renamed.data);
    }
    return STELE_OK;
}

/* The head goes in front when the number of pairs is known. */
static stele_status finish(const struct making *making, const struct stele__change_room *room, struct stele_slice *out,
                           stele_error **error)
{
    struct stele__buffer *scratch = room->scratch;
    const size_t body = scratch->size;
    size_t head;
    char *bytes;

    stele__mp_write_map(scratch, making->pairs);
    if (scratch->failed)
        return stele__buffer_finish(scratch, "payload", error);
    bytes = stele__arena_alloc(room->arena, scratch->size);
    if (!bytes)
        return stele__fail_memory(error);
    head = scratch->size - body;
    memcpy(bytes, scratch->data + body, head);
    memcpy(bytes + head, scratch->data, body);
    *out = (struct stele_slice){bytes, scratch->size};
    return STELE_OK;
}

stele_status stele__changes_make(const struct stele__change *changes, size_t count, struct stele_slice payload,
                                 const struct stele__change_room *room, struct stele_slice *out, stele_error **error)
{
    struct making making = {.changes = changes, .count = count, .body = room->scratch};
    stele_status status;

    making.met = stele__arena_array(room->arena, count, sizeof(*making.met));
    if (!making.met)
        return stele__fail_memory(error);
    stele__buffer_reset(room->scratch);
    room->scratch->limit = room->limit;
    status = pass_payload(&making, payload, error);
    if (status != STELE_OK)
        return status;
    add_missing(&making);
    status = check_renamed(&making, error);
    return status == STELE_OK ? finish(&making, room, out, error) : status;
}
