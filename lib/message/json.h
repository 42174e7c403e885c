/*
 * JSON. Parsing is jansson's; before it runs, one pass over the text checks
 * UTF-8 and nesting and sets aside the integers above INT64_MAX, which jansson
 * has no word for. Writing goes straight into a buffer, without a tree.
 */
#ifndef STELE_MESSAGE_JSON_H
#define STELE_MESSAGE_JSON_H

#include <stele/base.h>
#include <stele/error.h>

#include <jansson.h>

#include "base/buffer.h"

/* An integer above INT64_MAX; the tree has a real in its place. */
struct stele__json_wide {
    const json_t *node;
    uint64_t value;
};

/* A parsed text. */
struct stele__json {
    json_t *root;
    struct stele__json_wide *wide; /* ordered by the address of the node */
    size_t wide_count;
};

/*
 * Parse one value of any shape. STELE_MALFORMED ("offset", at or just behind the fault) for what is not JSON, for
 * bytes that are not UTF-8, duplicate keys, bytes behind the end; STELE_LIMIT for nesting beyond STELE_NESTING_MAX,
 * numbers beyond 64 bits or the range of double, and texts of so many values that the tree would pass
 * STELE__JSON_TREE_MAX. The text's size is the caller's to bound. On failure `out` needs no fini.
 */
enum { STELE__JSON_TREE_MAX = 512 * 1024 * 1024 }; /* bytes, estimated */
stele_status stele__json_parse(struct stele_slice text, struct stele__json *out, stele_error **error);
/* Also for a zeroed struct. */
void stele__json_fini(struct stele__json *json);

/* True if `node`, anywhere in the tree, stands for an integer above INT64_MAX. */
bool stele__json_wide(const struct stele__json *json, const json_t *node, uint64_t *value);

/* Append any value of the tree as MessagePack; failures stay in the buffer. (jansson has no iterator over const objects.) */
void stele__json_to_msgpack(const struct stele__json *json, json_t *value, struct stele__buffer *out);

/* Writing: text with quotes and escapes (control characters as \u00xx or short forms, '/' not escaped, other UTF-8 as it is). */
void stele__json_write_text(struct stele__buffer *buffer, struct stele_slice text);
void stele__json_write_int(struct stele__buffer *buffer, int64_t value);
void stele__json_write_uint(struct stele__buffer *buffer, uint64_t value);
void stele__json_write_double(struct stele__buffer *buffer, double value);
void stele__json_write_base64(struct stele__buffer *buffer, struct stele_slice bytes);

/* Append one MessagePack value as JSON; errors as stele_json_from_msgpack(). */
stele_status stele__json_write_msgpack(struct stele__buffer *buffer, struct stele_slice bytes, stele_error **error);

#endif
