/*
 * Taking the JSON object of a CloudEvent apart, member by member.
 *
 * An event's own members are short scalars; only `data` is JSON of any shape.
 * So the object is walked here without a tree, and the parser of json.h sees
 * the text of `data` alone (and of the rare text with escapes in it).
 */
#ifndef STELE_MESSAGE_CLOUDEVENTS_H
#define STELE_MESSAGE_CLOUDEVENTS_H

#include <stele/base.h>
#include <stele/error.h>
#include <stele/memory.h>

#define STELE__MSGPACK_MEDIA_TYPE "application/msgpack"

/* Where the walk is. The text is UTF-8, which is the caller's to check. */
struct stele__envelope {
    const char *start;
    const char *at;
    const char *end;
    stele_arena *scratch; /* for texts with escapes */
};

enum stele__member_kind {
    STELE__MEMBER_TEXT,
    STELE__MEMBER_INTEGER,
    STELE__MEMBER_REAL, /* any other number */
    STELE__MEMBER_BOOLEAN,
    STELE__MEMBER_NULL,
    STELE__MEMBER_NESTED /* an object or a list: only its ends were looked for */
};

struct stele__member {
    struct stele_slice name;
    enum stele__member_kind kind;
    struct stele_slice raw; /* the value as it stands in the text, quotes included */
    bool escaped;           /* a text with escapes */
};

/* Pass over white space. */
void stele__envelope_blank(struct stele__envelope *envelope);

/* Pass over white space and one character; false, and nothing but the white space passed, if it is another one. */
bool stele__envelope_take(struct stele__envelope *envelope, char wanted);

/* STELE_MALFORMED with "offset", at the place of the walk. */
stele_status stele__envelope_fail(const struct stele__envelope *envelope, const char *why, stele_error **error);

/*
 * The next member of the object whose opening brace was taken; *there is false
 * behind the closing one. `first` says that none was taken before. Errors:
 * STELE_MALFORMED with "offset", STELE_NO_MEMORY.
 */
stele_status stele__envelope_next(struct stele__envelope *envelope, bool first, struct stele__member *member,
                                  bool *there, stele_error **error);

/* The characters of a TEXT, in the input or in `scratch`. Errors as above. */
stele_status stele__envelope_text(const struct stele__envelope *envelope, const struct stele__member *member,
                                  struct stele_slice *text, stele_error **error);

#endif
