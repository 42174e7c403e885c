/*
 * The inside of a message, for the files that make one: message.c from a
 * payload, cloudevents.c from JSON, the store front from a stored record.
 *
 * Attributes that nearly every message has are members; the rest is one
 * MessagePack map, `meta`, in the form in which a store keeps it:
 *
 *   key                                             value
 *   "source" (unless "stele"), "subject",
 *   "datacontenttype", "dataschema",
 *   "correlationid", "causationid", "traceparent"   str
 *   "messagekind" (unless an event)                 str
 *   "format"      (unless MSGPACK)                  str: "none" or "bytes"
 *   "extensions"  (if any)                          map of name to str, int or bool, in the order given
 *
 * An empty meta has size 0.
 */
#ifndef STELE_MESSAGE_MESSAGE_H
#define STELE_MESSAGE_MESSAGE_H

#include <stele/message.h>

#include <stdatomic.h>

#include "message/attributes.h"
#include "message/msgpack.h"

struct stele_message {
    atomic_uint references; /* 0: lent by a cursor, which owns the bytes */
    stele_message *self;    /* this message, for what a caller's const does not cover: `references` and `id_text`;
                             * whoever lends a message sets it */
    enum stele_message_kind kind;
    enum stele_payload_format format;
    bool id_is_uuid;
    struct stele_uuid uuid; /* with id_is_uuid */
    struct stele_slice id;  /* absent in a lent message of a UUID: printed into id_text when asked for */
    char id_text[STELE_UUID_TEXT_SIZE];
    uint32_t type_version;
    struct stele_slice type;
    int64_t time;
    struct stele_slice meta;
    struct stele_slice payload;
    struct stele_slice stream; /* absent if not stored */
    uint64_t version;
    uint64_t position;
    unsigned part;    /* of what upcasters split a stored event into */
    bool has_more;    /* lent: another part of the event is read behind this one */
    size_t allocated; /* bytes of the one allocation */
};

/*
 * The one-allocation copy that every way of making a message ends in: takes the
 * members of `draft` and copies every slice, with a NUL behind each, into the
 * new message, which has one reference. NULL when memory is out.
 */
stele_message *stele__message_seal(const struct stele_message *draft);

/* stele_message_new() for what also takes over the extensions of its cause, those apart that the options have. */
stele_status stele__message_follow(const struct stele_type *type, const void *payload,
                                   const struct stele_message_options *options, stele_message **out,
                                   stele_error **error);

/* Fill `kind` and `format` of a message from its meta, which comes from a store row: STELE_CORRUPT if it is not as drawn above. */
stele_status stele__message_open_meta(struct stele_message *message, stele_error **error);

/* Set `id`, `id_is_uuid` and `uuid` from the text of an id. */
void stele__message_set_id(struct stele_message *message, struct stele_slice id);

/* The user's own attributes of a meta that was checked, one by one. */
struct stele__extension_walk {
    struct stele__mp_reader reader;
    uint32_t left;
};
bool stele__extension_next(struct stele__extension_walk *walk, struct stele_extension *out);

/* Attributes to become meta. */
struct stele__attributes {
    enum stele_message_kind kind;
    enum stele_payload_format format;
    struct stele_slice text[STELE__META_TEXTS]; /* absent ones have NULL data */
    bool is_valid[STELE__META_TEXTS];           /* the text comes from a message, which checked it */
    const struct stele_extension *extensions;
    size_t extension_count;
    struct stele__extension_walk inherited; /* of a message: kept unless `extensions` has one of that name */
};

/* Check attributes and append them as meta to `buffer` (STELE_INVALID with "attribute", STELE_LIMIT). Texts that are
 * known to be valid are not checked again. */
stele_status stele__attributes_encode(const struct stele__attributes *attributes, struct stele__buffer *buffer,
                                      stele_error **error);

/* One text of a meta that was checked; absent if it is not there. */
struct stele_slice stele__meta_text(struct stele_slice meta, enum stele__attribute attribute);

/* All of a meta that was checked, in one pass. */
struct stele__meta {
    struct stele_slice text[STELE__META_TEXTS];
    struct stele__extension_walk extensions;
};
void stele__meta_read(struct stele_slice meta, struct stele__meta *out);

#endif
