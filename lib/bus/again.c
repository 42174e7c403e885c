/*
 * Messages made of others.
 *
 *     original ── type, payload, attributes ──► draft ── sealed ──► message
 *     cause ───── correlation, trace, extensions that the original does not set itself
 *
 * Without a cause the meta is taken over as it is (nothing in it can change then). What can fail: memory, and a
 * type that is no name.
 */
#include "bus/again.h"

#include "base/buffer.h"
#include "base/error.h"
#include "base/text.h"
#include "message/attributes.h"
#include "message/message.h"
#include "runtime/runtime.h"

#include <string.h>

struct stele_uuid stele__new_id(stele_runtime *runtime, int64_t time)
{
    const uint64_t milliseconds = (uint64_t)(time / 1000000);
    struct stele_uuid uuid;
    uint64_t random[2];

    if (!stele_runtime_is_simulated(runtime))
        return stele_uuid_new();
    random[0] = stele_runtime_random(runtime);
    random[1] = stele_runtime_random(runtime);
    memcpy(uuid.bytes, random, sizeof(uuid.bytes));
    for (size_t i = 0; i < 6; i++)
        uuid.bytes[i] = (uint8_t)(milliseconds >> (40 - 8 * i));
    uuid.bytes[6] = (uint8_t)(0x70 | (uuid.bytes[6] & 0x0f));
    uuid.bytes[8] = (uint8_t)(0x80 | (uuid.bytes[8] & 0x3f));
    return uuid;
}

struct extensions {
    struct stele_extension items[STELE_EXTENSIONS_MAX];
    size_t count;
};

static size_t read_extensions(const stele_message *message, struct stele_extension *out)
{
    size_t count = 0;

    while (count < STELE_EXTENSIONS_MAX && stele_message_extension(message, count, &out[count]))
        count++;
    return count;
}

static const struct stele_extension *find(const struct extensions *extensions, const char *name)
{
    for (size_t i = 0; i < extensions->count; i++) {
        if (strcmp(extensions->items[i].name, name) == 0)
            return &extensions->items[i];
    }
    return NULL;
}

static bool is_same(const struct stele_extension *left, const struct stele_extension *right)
{
    if (!right || left->kind != right->kind)
        return false;
    if (left->kind == STELE_EXTENSION_TEXT)
        return stele__slice_equal(left->text, right->text);
    return left->kind == STELE_EXTENSION_INTEGER ? left->integer == right->integer : left->boolean == right->boolean;
}

/* Those of the original, but for what it had from its cause; then those of the new cause. */
static void merge(const stele_message *original, const struct stele__again *how, struct extensions *merged)
{
    struct extensions own = {.count = read_extensions(original, own.items)};
    struct extensions former = {.count = 0};
    struct extensions caused = {.count = read_extensions(how->cause, caused.items)};

    if (how->former_cause)
        former.count = read_extensions(how->former_cause, former.items);
    merged->count = 0;
    for (size_t i = 0; i < own.count; i++) {
        if (!is_same(&own.items[i], find(&former, own.items[i].name)))
            merged->items[merged->count++] = own.items[i];
    }
    for (size_t i = 0; i < caused.count && merged->count < STELE_EXTENSIONS_MAX; i++) {
        if (!find(merged, caused.items[i].name))
            merged->items[merged->count++] = caused.items[i];
    }
}

/* The meta of a message that follows from another cause than the original. */
static stele_status encode_meta(const stele_message *original, const struct stele__again *how,
                                struct stele__buffer *meta, stele_error **error)
{
    const struct stele_slice correlationid = stele_message_correlationid(how->cause);
    struct extensions extensions;
    struct stele__meta former;
    struct stele__attributes attributes = {.kind = how->type ? how->kind : original->kind, .format = original->format};

    merge(original, how, &extensions);
    stele__meta_read(original->meta, &former);
    memcpy(attributes.text, former.text, sizeof(attributes.text));
    if (how->source)
        attributes.text[STELE__SOURCE] = stele__slice(how->source);
    attributes.text[STELE__CAUSATIONID] = stele_message_id(how->cause);
    attributes.text[STELE__CORRELATIONID] = correlationid.data ? correlationid : stele_message_id(how->cause);
    attributes.text[STELE__TRACEPARENT] =
        how->traceparent ? stele__slice(how->traceparent) : stele_message_traceparent(how->cause);
    attributes.extensions = extensions.items;
    attributes.extension_count = extensions.count;
    return stele__attributes_encode(&attributes, meta, error);
}

stele_status stele__message_again(stele_runtime *runtime, const stele_message *original, const struct stele__again *how,
                                  stele_message **out, stele_error **error)
{
    const bool is_other = how->cause && how->type;
    const struct stele_slice type = is_other ? stele__slice(how->type) : original->type;
    const int64_t time = stele__runtime_now(runtime);
    struct stele_message draft = {.kind = is_other ? how->kind : original->kind,
                                  .format = original->format,
                                  .id_is_uuid = true,
                                  .uuid = stele__new_id(runtime, time),
                                  .type = type,
                                  .type_version = original->type_version,
                                  .time = time,
                                  .meta = original->meta,
                                  .payload = original->payload};
    struct stele__buffer meta;
    stele_message *message = NULL;
    stele_status status;

    stele__buffer_init(&meta);
    status = is_other ? stele__attribute_check(STELE__TYPE, type, error) : STELE_OK;
    if (status == STELE_OK && how->cause) {
        status = encode_meta(original, how, &meta, error);
        draft.meta = meta.size ? stele__buffer_slice(&meta) : stele__slice(NULL);
    }
    if (status == STELE_OK) {
        message = stele__message_seal(&draft);
        status = message ? STELE_OK : stele__fail_memory(error);
    }
    if (status == STELE_OK)
        *out = message;
    stele__buffer_fini(&meta);
    return status;
}
