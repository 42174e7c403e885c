/*
 * The attributes of a message: their names, and what CloudEvents 1.0.2 allows
 * them to be. Nothing here allocates.
 */
#ifndef STELE_MESSAGE_ATTRIBUTES_H
#define STELE_MESSAGE_ATTRIBUTES_H

#include <stele/message.h>

/* Every name that is the library's own; a user's extension can have none of them. */
enum stele__attribute {
    /* Texts that a message keeps in its meta, in this order. */
    STELE__SOURCE,
    STELE__SUBJECT,
    STELE__DATACONTENTTYPE,
    STELE__DATASCHEMA,
    STELE__CORRELATIONID,
    STELE__CAUSATIONID,
    STELE__TRACEPARENT,
    STELE__META_TEXTS, /* how many */

    STELE__SPECVERSION = STELE__META_TEXTS,
    STELE__ID,
    STELE__TYPE,
    STELE__TIME,
    STELE__STREAM,
    STELE__STREAMVERSION,
    STELE__POSITION,
    STELE__TYPEVERSION,
    STELE__MESSAGEKIND,
    STELE__DATA,
    STELE__DATA_BASE64,
    STELE__ATTRIBUTES /* how many; also "none of them" */
};

extern const struct stele_slice stele__attribute_names[STELE__ATTRIBUTES];

static inline struct stele_slice stele__attribute_name(enum stele__attribute attribute)
{
    return stele__attribute_names[attribute];
}

/* STELE__ATTRIBUTES if there is none of that name. */
enum stele__attribute stele__attribute_find(struct stele_slice name);

/* The source of a message that was given none. */
#define STELE__SOURCE_DEFAULT "stele"

/* The word for a kind ("event"), and the kind of a word; STELE_PART if it is none. */
struct stele_slice stele__kind_name(enum stele_message_kind kind);
enum stele_message_kind stele__kind_find(struct stele_slice name);

/* STELE_INVALID: "NAME: why", with "attribute". */
stele_status stele__fail_attribute(stele_error **error, struct stele_slice name, const char *why);

/*
 * Check the text of a present attribute of the meta texts, id, type or stream:
 * its length (STELE_LIMIT) and form (STELE_INVALID), both with "attribute".
 */
stele_status stele__attribute_check(enum stele__attribute attribute, struct stele_slice value, stele_error **error);

/* Check the user's own attributes: count, names, values. Errors as above. */
stele_status stele__extensions_check(const struct stele_extension *extensions, size_t count, stele_error **error);

/* A name as CloudEvents writes them that is none of the library's own; errors as above. */
stele_status stele__extension_name_check(struct stele_slice name, stele_error **error);

#endif
