/*
 * MessagePack, one token at a time.
 *
 * Writing goes through msgpack-c's packer into a buffer. Reading is our own:
 * it never allocates, never recurses, and checks every length against the
 * bytes that are left, so hostile input costs at most one pass over it.
 * Floats of 32 bits are read as doubles; integers come as STELE__MP_INT if
 * they fit an int64_t, else as STELE__MP_UINT.
 */
#ifndef STELE_MESSAGE_MSGPACK_H
#define STELE_MESSAGE_MSGPACK_H

#include <stele/base.h>
#include <stele/error.h>
#include <stele/limits.h>

#include "base/buffer.h"

enum stele__mp_kind {
    STELE__MP_NIL,
    STELE__MP_BOOL,
    STELE__MP_INT,
    STELE__MP_UINT, /* above INT64_MAX */
    STELE__MP_DOUBLE,
    STELE__MP_TEXT,
    STELE__MP_BYTES,
    STELE__MP_EXT,
    STELE__MP_LIST, /* `count` items follow */
    STELE__MP_MAP   /* `count` pairs follow */
};

struct stele__mp_token {
    enum stele__mp_kind kind;
    union {
        bool boolean;
        int64_t integer;
        uint64_t unsigned_integer;
        double real;
        struct stele_slice slice; /* TEXT (UTF-8 not checked), BYTES, EXT (without its type) */
        uint32_t count;
    } as;
    int8_t ext_type;
};

struct stele__mp_reader {
    const char *start;
    const char *at;
    const char *end;
};

static inline struct stele__mp_reader stele__mp_reader(struct stele_slice bytes)
{
    struct stele__mp_reader reader = {bytes.data, bytes.data, bytes.data + bytes.size};
    return reader;
}

/* The next token. STELE_MALFORMED ("offset") at the end of input, a length beyond it (a list or map needs at least
 * one byte per item), or the reserved byte 0xc1. */
stele_status stele__mp_next(struct stele__mp_reader *reader, struct stele__mp_token *token, stele_error **error);

/* Take a text of less than 256 bytes off, as short texts are written; false, with nothing taken, for all else. */
static inline bool stele__mp_take_text(struct stele__mp_reader *reader, struct stele_slice *text)
{
    const size_t left = (size_t)(reader->end - reader->at);
    const unsigned char *lead = (const unsigned char *)reader->at;
    size_t head;
    size_t size;

    if (left >= 1 && (*lead & 0xe0) == 0xa0) {
        head = 1;
        size = *lead & 0x1f;
    } else if (left >= 2 && *lead == 0xd9) {
        head = 2;
        size = lead[1];
    } else {
        return false;
    }
    if (size > left - head)
        return false;
    text->data = reader->at + head;
    text->size = size;
    reader->at += head + size;
    return true;
}

/*
 * A walk over one whole value, token by token, with its levels in view: a list
 * or map is one step at its start and one CLOSE at its end. STELE_LIMIT beyond
 * STELE_NESTING_MAX levels, of which `above` are already taken by what is
 * around the value. It ends with END, once; text keys are KEY like all others.
 */
enum stele__mp_step { STELE__MP_VALUE, STELE__MP_KEY, STELE__MP_CLOSE, STELE__MP_END };

struct stele__mp_level {
    uint64_t left;  /* values to come; a pair is two */
    uint64_t total; /* values in all */
    bool map;
};

struct stele__mp_walk {
    struct stele__mp_reader *reader;
    size_t above;
    size_t depth; /* open levels; the innermost is levels[depth - 1] */
    bool started;
    struct stele__mp_level levels[STELE_NESTING_MAX];
};

void stele__mp_walk_init(struct stele__mp_walk *walk, struct stele__mp_reader *reader, size_t above);

/* The next step; `token` is set for VALUE and KEY. For CLOSE, levels[depth] is the level that was closed. */
stele_status stele__mp_walk_next(struct stele__mp_walk *walk, enum stele__mp_step *step, struct stele__mp_token *token,
                                 stele_error **error);

/* Pass over one whole value, whatever is in it. STELE_LIMIT as for a walk. */
stele_status stele__mp_skip(struct stele__mp_reader *reader, size_t above, stele_error **error);

/* STELE_MALFORMED if a map of one whole value, at any level, has a text key twice; else as a walk. */
stele_status stele__mp_check_keys(struct stele_slice bytes, stele_error **error);

/* STELE_MALFORMED naming the byte `at`, which is in the reader's input; adds "offset". */
stele_status stele__mp_malformed(const struct stele__mp_reader *reader, const char *at, const char *why,
                                 stele_error **error);

/* Writing; failures stay in the buffer (see base/buffer.h). */
void stele__mp_write_nil(struct stele__buffer *buffer);
void stele__mp_write_bool(struct stele__buffer *buffer, bool value);
void stele__mp_write_int(struct stele__buffer *buffer, int64_t value);
void stele__mp_write_uint(struct stele__buffer *buffer, uint64_t value);
void stele__mp_write_double(struct stele__buffer *buffer, double value);
void stele__mp_write_text(struct stele__buffer *buffer, struct stele_slice text);
/* A key and its text. */
void stele__mp_write_pair(struct stele__buffer *buffer, struct stele_slice key, struct stele_slice text);
void stele__mp_write_bytes(struct stele__buffer *buffer, struct stele_slice bytes);
void stele__mp_write_list(struct stele__buffer *buffer, uint32_t count);
void stele__mp_write_map(struct stele__buffer *buffer, uint32_t count);

#endif
