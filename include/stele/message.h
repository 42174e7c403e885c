/*
 * stele/message.h - messages: an envelope of CloudEvents 1.0 attributes around one payload.
 *
 * A message is immutable and one allocation. Building it checks everything, so
 * a message that exists is valid. Attributes and limits follow the CloudEvents
 * 1.0.2 specification; `specversion` is always "1.0".
 *
 *     @example message
 *     #define MONEY_WITHDRAWN(FIELD, T) FIELD(T, INT64, amount, STELE_POSITIVE)
 *     STELE_DECLARE(money_withdrawn, MONEY_WITHDRAWN);
 *
 *     stele_status withdraw_50(stele_message **out, stele_error **error)
 *     {
 *         struct money_withdrawn payload = {.amount = 50};
 *         return money_withdrawn_message(&payload, NULL, out, error);
 *     }
 *     @end
 *
 * Thread-safe: a message may be read, referenced and released by any thread.
 * A message lent by a cursor is the exception: it belongs to the cursor's
 * thread and lives until the cursor's next step; stele_message_ref() on it
 * makes an ordinary message with a copy of the bytes.
 */
#ifndef STELE_MESSAGE_H
#define STELE_MESSAGE_H

#include <stele/base.h>
#include <stele/error.h>
#include <stele/limits.h>
#include <stele/memory.h>
#include <stele/type.h>
#include <stele/uuid.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct stele_message stele_message;

/* For printf: printf("%.*s", STELE_SLICE(stele_message_type(message))). */
#define STELE_SLICE(slice) (int)(slice).size, (slice).data

/* How a payload is kept. */
enum stele_payload_format {
    STELE_PAYLOAD_NONE,    /* there is none */
    STELE_PAYLOAD_MSGPACK, /* one MessagePack value: what typed payloads and JSON data become */
    STELE_PAYLOAD_BYTES    /* opaque bytes of the message's datacontenttype */
};

enum stele_extension_kind { STELE_EXTENSION_TEXT, STELE_EXTENSION_INTEGER, STELE_EXTENSION_BOOLEAN };

/* A user's own attribute: name of a-z and 0-9, at most 20; values as CloudEvents has them. */
struct stele_extension {
    char name[STELE_EXTENSION_NAME_MAX + 1]; /* with a NUL */
    enum stele_extension_kind kind;
    struct stele_slice text; /* of STELE_EXTENSION_TEXT */
    int32_t integer;         /* of STELE_EXTENSION_INTEGER */
    bool boolean;            /* of STELE_EXTENSION_BOOLEAN */
};

/*
 * What the envelope says beyond type and payload. All optional. Names the
 * library writes itself (specversion, id, ..., correlationid, causationid,
 * traceparent, stream, streamversion, position, typeversion, messagekind,
 * data, data_base64) cannot be extensions.
 */
struct stele_message_options {
    size_t size;
    const char *id;     /* default: a new UUID of version 7 */
    const char *source; /* a URI reference; default "stele" */
    const char *subject;
    bool has_time;
    int64_t time;                /* with has_time; default: now */
    const char *datacontenttype; /* a media type (RFC 2046) */
    const char *dataschema;      /* an absolute URI */
    const char *correlationid;   /* default: the cause's, or the cause's id if it has none */
    const char *causationid;     /* default: the cause's id */
    const char *traceparent;     /* W3C trace context; default: the cause's */
    const stele_message *cause;  /* the message that this one answers or follows from */
    const struct stele_extension *extensions;
    size_t extension_count;
    size_t payload_limit; /* bytes, encoded; default STELE_PAYLOAD_DEFAULT, at most STELE_PAYLOAD_MAX */
};

/*
 * Build a message of a type. The typed function made by STELE_DECLARE is the
 * usual way here. STELE_INVALID names the type, field, value and rule a
 * payload breaks ("type", "field", "value", "rule"), or the attribute
 * ("attribute"); STELE_LIMIT; STELE_NO_MEMORY. The caller owns one reference.
 */
STELE_API stele_status stele_message_new(const struct stele_type *type, const void *payload,
                                         const struct stele_message_options *options, stele_message **out,
                                         stele_error **error);

/* A message whose type this program has no descriptor of. */
struct stele_raw_message {
    enum stele_message_kind kind; /* EVENT, COMMAND, QUERY or REPLY */
    const char *type;
    uint32_t type_version; /* from 1; 0 is taken as 1 */
    enum stele_payload_format format;
    struct stele_slice payload; /* MessagePack is checked to be well-formed, with no text key twice in a map */
};
STELE_API stele_status stele_message_new_raw(const struct stele_raw_message *raw,
                                             const struct stele_message_options *options, stele_message **out,
                                             stele_error **error);

/* One more reference (a copy, for a message lent by a cursor); NULL when memory is out. `message` is not NULL. */
STELE_API stele_message *stele_message_ref(const stele_message *message);
/* Give a reference back; the last one frees. NULL is allowed. */
STELE_API void stele_message_unref(stele_message *message);

/*
 * Decode the payload into a struct of `type`: the message must be of that type
 * name and version (STELE_INVALID otherwise). The typed function made by
 * STELE_DECLARE is the usual way here. What `out` points to lives in the
 * message and in `arena`. Errors as stele_msgpack_decode().
 */
STELE_API stele_status stele_message_read(const stele_message *message, const struct stele_type *type,
                                          stele_arena *arena, void *out, stele_error **error);

/* True if the message is of that type name and version. */
STELE_API bool stele_message_is(const stele_message *message, const struct stele_type *type);

/* Attributes. Slices live as long as the message; absent ones have NULL data. */
STELE_API enum stele_message_kind stele_message_kind(const stele_message *message);
STELE_API struct stele_slice stele_message_id(const stele_message *message);
STELE_API struct stele_slice stele_message_source(const stele_message *message);
STELE_API struct stele_slice stele_message_type(const stele_message *message);
STELE_API uint32_t stele_message_type_version(const stele_message *message);
STELE_API struct stele_slice stele_message_subject(const stele_message *message);
STELE_API int64_t stele_message_time(const stele_message *message);
STELE_API struct stele_slice stele_message_datacontenttype(const stele_message *message);
STELE_API struct stele_slice stele_message_dataschema(const stele_message *message);
STELE_API struct stele_slice stele_message_correlationid(const stele_message *message);
STELE_API struct stele_slice stele_message_causationid(const stele_message *message);
STELE_API struct stele_slice stele_message_traceparent(const stele_message *message);

/* The id as a UUID; false if it is not the canonical (lower-case) text of one. */
STELE_API bool stele_message_uuid(const stele_message *message, struct stele_uuid *out);

/* The user's own attributes, in the order given; false beyond the last. */
STELE_API bool stele_message_extension(const stele_message *message, size_t index, struct stele_extension *out);

/* The payload as it is kept. */
STELE_API enum stele_payload_format stele_message_format(const stele_message *message);
STELE_API struct stele_slice stele_message_payload(const stele_message *message);

/* Where the message is stored: stream name, version in it, global position. Absent and 0 for one that was not read
 * from a store; one read from CloudEvents JSON has the stream that the JSON named, if any. */
STELE_API struct stele_slice stele_message_stream(const stele_message *message);
STELE_API uint64_t stele_message_version(const stele_message *message);
STELE_API uint64_t stele_message_position(const stele_message *message);

/* The typed functions of a declared type. */
#define STELE_DECLARE(name, FIELDS) \
    STELE_DECLARE_STRUCT(name, FIELDS); \
    __attribute__((unused)) static inline stele_status name##_message(const struct name *payload, \
                                                                      const struct stele_message_options *options, \
                                                                      stele_message **out, stele_error **error) \
    { \
        return stele_message_new(&name##_type, payload, options, out, error); \
    } \
    __attribute__((unused)) static inline stele_status name##_read(const stele_message *message, stele_arena *arena, \
                                                                   struct name *out, stele_error **error) \
    { \
        return stele_message_read(message, &name##_type, arena, out, error); \
    } \
    struct name

#ifdef __cplusplus
}
#endif

#endif
