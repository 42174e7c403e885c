/*
 * Messages: an envelope and a payload in one allocation.
 *
 *     payload --check, encode--\
 *     options ----check, meta---> draft on the stack --stele__message_seal()--> message
 *     CloudEvents JSON, row ---/
 *
 *     allocation: | struct stele_message | type NUL | meta NUL | payload NUL | stream NUL | id NUL |
 *
 * A draft's slices point wherever its maker has them; sealing copies them. The
 * id of a UUID stays in `id_text`. A lent message (no references) is a draft
 * that a cursor shows; referencing it seals it.
 *
 * What can fail: making a message, for what it is given or for memory.
 * Afterwards nothing changes and nothing fails but memory in a copy.
 */
#include "message/message.h"

#include <inttypes.h>
#include <string.h>

#include <stele/clock.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "base/uuid.h"
#include "message/value.h"

/* --- Sealing ------------------------------------------------------------------------ */

/* Bytes of a slice's copy, its NUL included. */
static inline size_t copy_size(struct stele_slice slice)
{
    return slice.data ? slice.size + 1 : 0;
}

/* Copy what a slice shows to `*place`, behind which that is then. */
static inline void put_copy(char **place, struct stele_slice *slice)
{
    char *const copy = *place;

    if (!slice->data)
        return;
    if (slice->size)
        memcpy(copy, slice->data, slice->size);
    copy[slice->size] = '\0';
    slice->data = copy;
    *place += slice->size + 1;
}

/* The id's text in the message itself. */
static struct stele_slice put_uuid(struct stele_message *message)
{
    const struct stele_slice id = {message->id_text, STELE_UUID_TEXT_SIZE - 1};

    stele_uuid_print(&message->uuid, message->id_text);
    return id;
}

stele_message *stele__message_seal(const struct stele_message *draft)
{
    const struct stele_slice id = draft->id_is_uuid ? stele__slice(NULL) : draft->id;
    const struct stele_slice payload = stele_message_payload(draft);
    const size_t size = sizeof(*draft) + copy_size(draft->type) + copy_size(draft->meta) + copy_size(payload) +
                        copy_size(draft->stream) + copy_size(id);
    stele_message *message = stele__resize(NULL, 0, size);
    char *place;

    if (!message)
        return NULL;
    *message = *draft;
    place = (char *)(message + 1);
    atomic_init(&message->references, 1);
    message->self = message;
    message->allocated = size;
    message->payload = payload;
    put_copy(&place, &message->type);
    put_copy(&place, &message->meta);
    put_copy(&place, &message->payload);
    put_copy(&place, &message->stream);
    if (draft->id_is_uuid)
        message->id = put_uuid(message);
    else
        put_copy(&place, &message->id);
    return message;
}

/* Canonical, that is lower-case, so that printing the UUID gives the same text. */
static bool is_canonical_uuid(struct stele_slice text, struct stele_uuid *uuid)
{
    if (text.size != STELE_UUID_TEXT_SIZE - 1)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] >= 'A' && text.data[i] <= 'F')
            return false;
    }
    return stele_uuid_parse(text, uuid, NULL) == STELE_OK;
}

void stele__message_set_id(struct stele_message *message, struct stele_slice id)
{
    message->id = id;
    message->id_is_uuid = is_canonical_uuid(id, &message->uuid);
}

/* --- Making ------------------------------------------------------------------------- */

/* Bytes on the stack for what most payloads and attributes fit into. */
enum { PAYLOAD_SCRATCH = 256, META_SCRATCH = 512 };

/* What makes a message, on its way there. */
struct making {
    struct stele_message draft;
    struct stele__attributes attributes;
    size_t payload_limit;
    bool takes_extensions; /* over from the cause */
};

/* To copy from: compilers make moves of that, where clearing so much is an instruction that takes long to start. */
static const struct stele_message no_draft;
static const struct stele__attributes no_attributes;

static void start(struct making *making, bool takes_extensions)
{
    making->draft = no_draft;
    making->attributes = no_attributes;
    making->takes_extensions = takes_extensions;
}

static stele_status set_payload_limit(struct making *making, size_t limit, stele_error **error)
{
    if (limit > STELE_PAYLOAD_MAX)
        return stele__fail_limit(error, "payload_limit", limit, STELE_PAYLOAD_MAX, "bytes");
    making->payload_limit = limit ? limit : STELE_PAYLOAD_DEFAULT;
    return STELE_OK;
}

static stele_status set_payload(struct making *making, struct stele_slice payload, stele_error **error)
{
    if (payload.size > making->payload_limit)
        return stele__fail_limit(error, "payload", payload.size, making->payload_limit, "bytes");
    making->draft.payload = payload;
    return STELE_OK;
}

static stele_status set_type(struct making *making, enum stele_message_kind kind, struct stele_slice type,
                             uint32_t version, stele_error **error)
{
    if (kind < STELE_EVENT || kind > STELE_REPLY)
        return stele__fail_attribute(error, stele__attribute_name(STELE__TYPE),
                                     "its kind is none of event, command, query and reply");
    making->draft.kind = kind;
    making->attributes.kind = kind;
    making->draft.type = type;
    making->draft.type_version = version;
    return stele__attribute_check(STELE__TYPE, type, error);
}

static void set_format(struct making *making, enum stele_payload_format format)
{
    making->draft.format = format;
    making->attributes.format = format;
}

static void take_over(struct stele__attributes *attributes, enum stele__attribute attribute,
                      const struct stele__meta *meta)
{
    attributes->text[attribute] = meta->text[attribute];
    attributes->is_valid[attribute] = true;
}

/* What a message takes over from the one it follows (B6). Meta is checked where it comes from; of ids, UUIDs are. */
static void inherit(struct making *making, const stele_message *cause)
{
    struct stele__attributes *attributes = &making->attributes;
    const struct stele_slice id = stele_message_id(cause);
    struct stele__meta meta;

    stele__meta_read(cause->meta, &meta);
    attributes->text[STELE__CORRELATIONID] = id;
    attributes->is_valid[STELE__CORRELATIONID] = cause->id_is_uuid;
    attributes->text[STELE__CAUSATIONID] = id;
    attributes->is_valid[STELE__CAUSATIONID] = cause->id_is_uuid;
    if (meta.text[STELE__CORRELATIONID].data)
        take_over(attributes, STELE__CORRELATIONID, &meta);
    take_over(attributes, STELE__TRACEPARENT, &meta);
    if (making->takes_extensions)
        attributes->inherited = meta.extensions;
}

static void override(struct stele__attributes *attributes, enum stele__attribute attribute, const char *text)
{
    if (!text)
        return;
    attributes->text[attribute] = stele__slice(text);
    attributes->is_valid[attribute] = false;
}

static stele_status set_id(struct making *making, const char *id, stele_error **error)
{
    stele__message_set_id(&making->draft, stele__slice(id));
    return stele__attribute_check(STELE__ID, stele__slice(id), error);
}

static void set_new_id(struct making *making, struct stele_uuid id)
{
    making->draft.id_is_uuid = true;
    making->draft.uuid = id;
}

/* Time and id; where both are to be made, of one look at the clock. */
static stele_status set_origin(struct making *making, const struct stele_message_options *options, stele_error **error)
{
    const bool has_time = options && options->has_time;

    making->draft.time = has_time ? options->time : stele_time_now();
    if (options && options->id)
        return set_id(making, options->id, error);
    set_new_id(making, has_time ? stele_uuid_new() : stele__uuid_new_at(making->draft.time));
    return STELE_OK;
}

static stele_status set_options(struct making *making, const struct stele_message_options *options, stele_error **error)
{
    struct stele__attributes *attributes = &making->attributes;
    stele_status status = stele__options_check(options, sizeof(*options), sizeof(*options), "options", error);

    if (status)
        return status;
    if (!options) {
        making->payload_limit = STELE_PAYLOAD_DEFAULT;
        return set_origin(making, NULL, error);
    }
    if (options->cause)
        inherit(making, options->cause);
    override(attributes, STELE__SOURCE, options->source);
    override(attributes, STELE__SUBJECT, options->subject);
    override(attributes, STELE__DATACONTENTTYPE, options->datacontenttype);
    override(attributes, STELE__DATASCHEMA, options->dataschema);
    override(attributes, STELE__CORRELATIONID, options->correlationid);
    override(attributes, STELE__CAUSATIONID, options->causationid);
    override(attributes, STELE__TRACEPARENT, options->traceparent);
    attributes->extensions = options->extensions;
    attributes->extension_count = options->extension_count;
    status = set_payload_limit(making, options->payload_limit, error);
    return status ? status : set_origin(making, options, error);
}

static stele_status finish(struct making *making, stele_message **out, stele_error **error)
{
    char scratch[META_SCRATCH];
    struct stele__buffer meta;
    stele_message *message = NULL;
    stele_status status;

    stele__buffer_init_on(&meta, scratch, sizeof(scratch));
    status = stele__attributes_encode(&making->attributes, &meta, error);
    if (meta.size)
        making->draft.meta = stele__buffer_slice(&meta);
    if (!status)
        message = stele__message_seal(&making->draft);
    stele__buffer_fini(&meta);
    if (status)
        return status;
    if (!message)
        return stele__fail_memory(error);
    *out = message;
    return STELE_OK;
}

static stele_status encode(struct making *making, const struct stele_type *type, const void *payload,
                           struct stele__buffer *bytes, stele_error **error)
{
    stele_status status = stele_value_check(type, payload, error);

    if (!status)
        status = stele__value_to_msgpack(type, payload, bytes, error);
    if (!status)
        status = stele__buffer_finish(bytes, "payload", error);
    return status ? status : set_payload(making, stele__buffer_slice(bytes), error);
}

static stele_status make(bool takes_extensions, const struct stele_type *type, const void *payload,
                         const struct stele_message_options *options, stele_message **out, stele_error **error)
{
    char scratch[PAYLOAD_SCRATCH];
    struct stele__buffer bytes;
    struct making making;
    stele_status status;

    if (!type)
        return stele__fail_argument(error, "type", "is NULL");
    if (!payload)
        return stele__fail_argument(error, "payload", "is NULL");
    if (!out)
        return stele__fail_argument(error, "out", "is NULL");
    stele__buffer_init_on(&bytes, scratch, sizeof(scratch));
    bytes.limit = STELE_PAYLOAD_MAX;
    start(&making, takes_extensions);
    set_format(&making, STELE_PAYLOAD_MSGPACK);
    status = set_type(&making, type->kind, stele__slice(type->name), type->version, error);
    if (!status)
        status = set_options(&making, options, error);
    if (!status)
        status = encode(&making, type, payload, &bytes, error);
    if (!status)
        status = finish(&making, out, error);
    stele__buffer_fini(&bytes);
    return status;
}

stele_status stele_message_new(const struct stele_type *type, const void *payload,
                               const struct stele_message_options *options, stele_message **out, stele_error **error)
{
    return make(false, type, payload, options, out, error);
}

stele_status stele__message_follow(const struct stele_type *type, const void *payload,
                                   const struct stele_message_options *options, stele_message **out,
                                   stele_error **error)
{
    return make(true, type, payload, options, out, error);
}

static stele_status check_msgpack(struct stele_slice payload, stele_error **error)
{
    stele_status status = stele_msgpack_check(payload, error);

    if (!status)
        status = stele__mp_check_keys(payload, error);
    if (status)
        stele__error_prefix(error, "payload");
    return status;
}

static stele_status set_raw_payload(struct making *making, enum stele_payload_format format, struct stele_slice payload,
                                    stele_error **error)
{
    stele_status status;

    set_format(making, format);
    switch (format) {
    case STELE_PAYLOAD_NONE:
        return payload.size ? stele__fail_argument(error, "payload", "is there although the format says none")
                            : STELE_OK;
    case STELE_PAYLOAD_MSGPACK:
    case STELE_PAYLOAD_BYTES:
        if (payload.size && !payload.data)
            return stele__fail_argument(error, "payload", "is NULL, its size is not 0");
        status = set_payload(making, payload, error);
        return status || format == STELE_PAYLOAD_BYTES ? status : check_msgpack(payload, error);
    }
    return stele__fail_argument(error, "format", "is none of the payload formats");
}

stele_status stele_message_new_raw(const struct stele_raw_message *raw, const struct stele_message_options *options,
                                   stele_message **out, stele_error **error)
{
    struct making making;
    stele_status status;

    if (!raw)
        return stele__fail_argument(error, "raw", "is NULL");
    if (!out)
        return stele__fail_argument(error, "out", "is NULL");
    start(&making, false);
    status = set_type(&making, raw->kind, stele__slice(raw->type), raw->type_version ? raw->type_version : 1, error);
    if (!status)
        status = set_options(&making, options, error);
    if (!status)
        status = set_raw_payload(&making, raw->format, raw->payload, error);
    return status ? status : finish(&making, out, error);
}

/* --- References --------------------------------------------------------------------- */

stele_message *stele_message_ref(const stele_message *message)
{
    if (atomic_load_explicit(&message->references, memory_order_relaxed) == 0)
        return stele__message_seal(message);
    atomic_fetch_add_explicit(&message->self->references, 1, memory_order_relaxed);
    return message->self;
}

void stele_message_unref(stele_message *message)
{
    if (!message)
        return;
    if (atomic_load_explicit(&message->references, memory_order_acquire) == 1 ||
        atomic_fetch_sub_explicit(&message->references, 1, memory_order_acq_rel) == 1)
        stele__free(message, message->allocated);
}

/* --- Reading ------------------------------------------------------------------------ */

bool stele_message_is(const stele_message *message, const struct stele_type *type)
{
    return message->type_version == type->version && stele__slice_equal(message->type, stele__slice(type->name));
}

stele_status stele_message_read(const stele_message *message, const struct stele_type *type, stele_arena *arena,
                                void *out, stele_error **error)
{
    if (!message)
        return stele__fail_argument(error, "message", "is NULL");
    if (!type)
        return stele__fail_argument(error, "type", "is NULL");
    if (!stele_message_is(message, type)) {
        stele__fail(error, STELE_INVALID, "the message is a %.*s of version %" PRIu32 ", not a %s of version %" PRIu32,
                    STELE_SLICE(message->type), message->type_version, type->name, type->version);
        stele__error_add(error, "type", "%.*s", STELE_SLICE(message->type));
        return STELE_INVALID;
    }
    if (message->format != STELE_PAYLOAD_MSGPACK) {
        stele__fail(error, STELE_INVALID, "the %s has no MessagePack payload", type->name);
        stele__error_add(error, "type", "%s", type->name);
        return STELE_INVALID;
    }
    return stele_msgpack_decode(type, message->payload, arena, out, error);
}

enum stele_message_kind stele_message_kind(const stele_message *message)
{
    return message->kind;
}

struct stele_slice stele_message_id(const stele_message *message)
{
    return message->id.data || !message->id_is_uuid ? message->id : put_uuid(message->self);
}

bool stele_message_uuid(const stele_message *message, struct stele_uuid *out)
{
    if (message->id_is_uuid)
        *out = message->uuid;
    return message->id_is_uuid;
}

struct stele_slice stele_message_source(const stele_message *message)
{
    const struct stele_slice source = stele__meta_text(message->meta, STELE__SOURCE);

    return source.data ? source : stele__slice(STELE__SOURCE_DEFAULT);
}

struct stele_slice stele_message_type(const stele_message *message)
{
    return message->type;
}

uint32_t stele_message_type_version(const stele_message *message)
{
    return message->type_version;
}

struct stele_slice stele_message_subject(const stele_message *message)
{
    return stele__meta_text(message->meta, STELE__SUBJECT);
}

int64_t stele_message_time(const stele_message *message)
{
    return message->time;
}

struct stele_slice stele_message_datacontenttype(const stele_message *message)
{
    return stele__meta_text(message->meta, STELE__DATACONTENTTYPE);
}

struct stele_slice stele_message_dataschema(const stele_message *message)
{
    return stele__meta_text(message->meta, STELE__DATASCHEMA);
}

struct stele_slice stele_message_correlationid(const stele_message *message)
{
    return stele__meta_text(message->meta, STELE__CORRELATIONID);
}

struct stele_slice stele_message_causationid(const stele_message *message)
{
    return stele__meta_text(message->meta, STELE__CAUSATIONID);
}

struct stele_slice stele_message_traceparent(const stele_message *message)
{
    return stele__meta_text(message->meta, STELE__TRACEPARENT);
}

bool stele_message_extension(const stele_message *message, size_t index, struct stele_extension *out)
{
    struct stele_extension extension;
    struct stele__meta meta;

    stele__meta_read(message->meta, &meta);
    for (size_t i = 0; stele__extension_next(&meta.extensions, &extension); i++) {
        if (i == index) {
            *out = extension;
            return true;
        }
    }
    return false;
}

enum stele_payload_format stele_message_format(const stele_message *message)
{
    return message->format;
}

struct stele_slice stele_message_payload(const stele_message *message)
{
    const struct stele_slice absent = {NULL, 0};
    const struct stele_slice empty = {"", 0};

    if (message->format == STELE_PAYLOAD_NONE)
        return absent;
    /* A store may show a payload of no bytes as NULL. */
    return message->payload.data ? message->payload : empty;
}

struct stele_slice stele_message_stream(const stele_message *message)
{
    return message->stream;
}

uint64_t stele_message_version(const stele_message *message)
{
    return message->version;
}

uint64_t stele_message_position(const stele_message *message)
{
    return message->position;
}
