/*
 * Memoise: a call that succeeded is not made again for the same input.
 *
 *     HANDLE ── key ── kept? ── yes ── FALLBACK with what was published then, made again
 *                        └ no ── PROCEED ── handler ── DONE, success ── keep what it published
 *
 *     key:  route NUL type NUL | type version, 4 | format, 4 | XXH3 of the payload, 16
 *
 * Name and version are not in the key: they name the memo, which has kept
 * results of its own, and are unique on a bus. A kept result holds the messages
 * and the one that caused them, whose extensions the new ones do not inherit.
 * Beyond the number of entries the longest unused goes.
 *
 * What can fail: memory. A result that cannot be kept is not; one that cannot be
 * published again is an ERROR.
 */
#include <stele/intercept.h>

#include "base/error.h"
#include "base/map.h"
#include "base/memory.h"
#include "base/text.h"
#include "bus/again.h"
#include "bus/stock.h"

#include <xxhash.h>

enum { ENTRIES_DEFAULT = 1024 };

/* --- Names ------------------------------------------------------------------------------- */

/* Memos by "NAME VERSION". */
struct stele__memo_names {
    pthread_mutex_t mutex; /* guards what follows */
    struct stele__map names;
};

stele_status stele__memo_names_new(struct stele__memo_names **out, stele_error **error)
{
    struct stele__memo_names *names = stele__alloc(sizeof(*names));

    if (!names || pthread_mutex_init(&names->mutex, NULL) != 0) {
        stele__free(names, sizeof(*names));
        return stele__fail_memory(error);
    }
    stele__map_init(&names->names);
    *out = names;
    return STELE_OK;
}

void stele__memo_names_free(struct stele__memo_names *names)
{
    if (!names)
        return;
    stele__map_fini(&names->names);
    pthread_mutex_destroy(&names->mutex);
    stele__free(names, sizeof(*names));
}

/* --- What is kept --------------------------------------------------------------------------- */

struct key {
    size_t size;
    char bytes[2 * (STELE_TYPE_MAX + 1) + 2 * sizeof(uint32_t) + sizeof(XXH128_canonical_t)];
};

/* A result; immutable once it is in the memo but for its links. */
struct result {
    atomic_uint references;
    struct result *newer, *older; /* by last use; guarded by the memo's mutex */
    stele_message *cause;
    size_t count;
    struct key key;
    stele_message *messages[];
};

struct memo {
    struct stele__memo_names *names;
    char *name; /* "NAME VERSION" */
    size_t limit;

    pthread_mutex_t mutex; /* guards what follows */
    struct stele__map results;
    struct result *newest, *oldest;
};

static void add_bytes(struct key *key, const void *bytes, size_t size)
{
    if (size)
        memcpy(key->bytes + key->size, bytes, size);
    key->size += size;
}

static void make_key(const stele_call *call, struct key *key)
{
    const stele_message *message = stele_call_message(call);
    const struct stele_slice payload = stele_message_payload(message);
    const struct stele_slice type = stele_message_type(message);
    const uint32_t numbers[2] = {stele_message_type_version(message), (uint32_t)stele_message_format(message)};
    const char *route = stele_call_route(call)->name;
    XXH128_canonical_t digest;

    XXH128_canonicalFromHash(&digest, XXH3_128bits(payload.data, payload.size));
    key->size = 0;
    add_bytes(key, route, strlen(route) + 1);
    add_bytes(key, type.data, type.size);
    add_bytes(key, "", 1);
    add_bytes(key, numbers, sizeof(numbers));
    add_bytes(key, &digest, sizeof(digest));
}

static struct stele_slice key_slice(const struct key *key)
{
    return (struct stele_slice){key->bytes, key->size};
}

static size_t result_size(size_t count)
{
    return sizeof(struct result) + count * sizeof(stele_message *);
}

static void result_unref(struct result *result)
{
    if (!result || atomic_fetch_sub_explicit(&result->references, 1, memory_order_acq_rel) > 1)
        return;
    for (size_t i = 0; i < result->count; i++)
        stele_message_unref(result->messages[i]);
    stele_message_unref(result->cause);
    stele__free(result, result_size(result->count));
}

/* NULL when memory is out. */
static struct result *result_new(const stele_call *call)
{
    size_t count = 0;
    struct result *result;
    bool is_whole;

    while (stele_call_emitted(call, count))
        count++;
    result = stele__alloc(result_size(count));
    if (!result)
        return NULL;
    atomic_init(&result->references, 1);
    result->count = count;
    make_key(call, &result->key);
    result->cause = stele_message_ref(stele_call_message(call));
    is_whole = result->cause != NULL;
    for (size_t i = 0; i < count && is_whole; i++) {
        result->messages[i] = stele_message_ref(stele_call_emitted(call, i));
        is_whole = result->messages[i] != NULL;
    }
    if (!is_whole) {
        result_unref(result);
        return NULL;
    }
    return result;
}

static void take_out(struct memo *memo, struct result *result)
{
    *(result->newer ? &result->newer->older : &memo->newest) = result->older;
    *(result->older ? &result->older->newer : &memo->oldest) = result->newer;
}

static void put_first(struct memo *memo, struct result *result)
{
    result->newer = NULL;
    result->older = memo->newest;
    *(memo->newest ? &memo->newest->newer : &memo->oldest) = result;
    memo->newest = result;
}

/* The result for a key, now the one used last, with a reference for the caller. */
static struct result *memo_find(struct memo *memo, const struct key *key)
{
    struct result *result;

    pthread_mutex_lock(&memo->mutex);
    result = stele__map_get(&memo->results, key_slice(key));
    if (result) {
        atomic_fetch_add_explicit(&result->references, 1, memory_order_relaxed);
        take_out(memo, result);
        put_first(memo, result);
    }
    pthread_mutex_unlock(&memo->mutex);
    return result;
}

/* Keep a result unless there is one already, from a call that ran at the same time; takes the reference. */
static void memo_keep(struct memo *memo, struct result *result)
{
    struct result *dropped = result;

    pthread_mutex_lock(&memo->mutex);
    if (!stele__map_get(&memo->results, key_slice(&result->key)) &&
        stele__map_put(&memo->results, key_slice(&result->key), result)) {
        dropped = memo->results.count > memo->limit ? memo->oldest : NULL;
        put_first(memo, result);
        if (dropped) {
            stele__map_remove(&memo->results, key_slice(&dropped->key));
            take_out(memo, dropped);
        }
    }
    pthread_mutex_unlock(&memo->mutex);
    result_unref(dropped);
}

/* --- The interceptor -------------------------------------------------------------------------- */

static stele_status check_memo(const struct stele_memo *settings, stele_error **error)
{
    if (!settings || !settings->name || !*settings->name)
        return stele__fail_argument(error, "name", "is missing");
    if (settings->version == 0)
        return stele__fail_argument(error, "version", "must be at least 1");
    return STELE_OK;
}

static stele_status claim_name(struct memo *memo, stele_error **error)
{
    const struct stele_slice name = stele__slice(memo->name);
    stele_status status = STELE_OK;

    pthread_mutex_lock(&memo->names->mutex);
    if (stele__map_get(&memo->names->names, name))
        status =
            stele__fail(error, STELE_INVALID, "name: another memo on this bus has the name and version %s", memo->name);
    else if (!stele__map_put(&memo->names->names, name, memo))
        status = stele__fail_memory(error);
    pthread_mutex_unlock(&memo->names->mutex);
    return status;
}

/* Once or twice: another memo may have the name by then. */
static void forget_name(struct memo *memo)
{
    const struct stele_slice name = stele__slice(memo->name);

    pthread_mutex_lock(&memo->names->mutex);
    if (stele__map_get(&memo->names->names, name) == memo)
        stele__map_remove(&memo->names->names, name);
    pthread_mutex_unlock(&memo->names->mutex);
}

void stele__memo_retire(void *state)
{
    forget_name(state);
}

static char *memo_name(const struct stele_memo *settings)
{
    struct stele__buffer text;
    char *name = NULL;

    stele__buffer_init(&text);
    stele__buffer_print(&text, "%s %lu", settings->name, (unsigned long)settings->version);
    if (!text.failed)
        name = stele__text_copy_slice(stele__buffer_slice(&text));
    stele__buffer_fini(&text);
    return name;
}

static void discard(struct memo *memo)
{
    if (!memo)
        return;
    stele__text_free(memo->name);
    stele__free(memo, sizeof(*memo));
}

static stele_status make_memo(const void *untyped, stele_bus *bus, void **state, stele_error **error)
{
    const struct stele_memo *settings = untyped;
    stele_status status = check_memo(settings, error);
    struct memo *memo;

    if (status != STELE_OK)
        return status;
    memo = stele__alloc(sizeof(*memo));
    if (memo)
        memo->name = memo_name(settings);
    if (!memo || !memo->name || pthread_mutex_init(&memo->mutex, NULL) != 0) {
        discard(memo);
        return stele__fail_memory(error);
    }
    memo->names = stele__bus_memo_names(bus);
    memo->limit = settings->entries ? settings->entries : ENTRIES_DEFAULT;
    stele__map_init(&memo->results);
    status = claim_name(memo, error);
    if (status != STELE_OK) {
        pthread_mutex_destroy(&memo->mutex);
        discard(memo);
        return status;
    }
    *state = memo;
    return STELE_OK;
}

static void free_memo(void *state)
{
    struct memo *memo = state;

    forget_name(memo);
    for (struct result *result = memo->newest, *older; result; result = older) {
        older = result->older;
        result_unref(result);
    }
    stele__map_fini(&memo->results);
    pthread_mutex_destroy(&memo->mutex);
    discard(memo);
}

static stele_status give_again(const struct result *result, stele_call *call, stele_error **error)
{
    const struct stele__again how = {.cause = stele_call_message(call), .former_cause = result->cause};
    stele_runtime *runtime = stele_bus_runtime(stele_call_bus(call));
    stele_status status = STELE_OK;

    for (size_t i = 0; i < result->count && status == STELE_OK; i++) {
        stele_message *message = NULL;

        status = stele__message_again(runtime, result->messages[i], &how, &message, error);
        if (status == STELE_OK)
            status = stele_call_give(call, message);
        stele_message_unref(message);
    }
    return status;
}

static struct stele_answer look_up(struct memo *memo, stele_call *call)
{
    struct stele_answer answer = stele_fallback();
    struct result *result;
    struct key key;
    stele_status status;

    make_key(call, &key);
    result = memo_find(memo, &key);
    if (!result)
        return stele_proceed();
    status = give_again(result, call, NULL);
    result_unref(result);
    if (status != STELE_OK)
        answer =
            stele_call_error(call, status, "what it has kept cannot be published again: %s", stele_status_text(status));
    return answer;
}

static struct stele_answer ask_memo(void *state, enum stele_point point, stele_call *call)
{
    struct memo *memo = state;
    struct result *result;

    if (point == STELE_AT_HANDLE)
        return look_up(memo, call);
    result = stele_call_status(call) == STELE_OK ? result_new(call) : NULL;
    if (result)
        memo_keep(memo, result);
    return stele_proceed();
}

const struct stele_interceptor_kind stele_memo_kind = {.name = "memo",
                                                       .points = STELE_AT_HANDLE | STELE_AT_DONE,
                                                       .priority = 45,
                                                       .ask = ask_memo,
                                                       .make = make_memo,
                                                       .free = free_memo};
